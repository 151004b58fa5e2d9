// Mutations give the same for the same seed, stay in bounds, and are believed: that is what they are for.

import ApusBase
import ApusHarness
import Testing

@testable import ApusFuzzing

@Suite("Fuzz mutations")
struct MutationTests {
  private func flip(_ bytes: [UInt8], _ random: inout SeededRandom) -> [UInt8] {
    var bytes = bytes
    if !bytes.isEmpty { bytes[random.below(bytes.count)] ^= 1 << UInt8(random.below(8)) }
    return bytes
  }

  @Test("the same seed gives the same input", arguments: FuzzTargets.all.indices)
  func areDeterministic(index: Int) throws {
    let type = FuzzTargets.all[index], target = try type.init()
    for (number, seed) in try type.seeds().prefix(6).enumerated() {
      let steps = (0..<2).map { _ in
        var random = SeededRandom(seed: UInt64(number))
        return Mutation.step(target, seed.bytes, seed: UInt64(number)) { flip($0, &random) }
      }
      #expect(steps[0] == steps[1], "\(type.name), \(seed.name)")
    }
  }

  @Test("a log whose pages have changed is recovered after its repair, and not without it")
  func logsAreBelieved() throws {
    let target = try LogTarget()
    var believed = 0, refused = 0
    for (number, seed) in try LogTarget.seeds().enumerated() {
      let split = SplitInput(seed.bytes)
      let size = Int(split.first[16]) << 8 | Int(split.first[17])
      // The last frame of page 1, whose user version changes by one bit.
      let frames = (0..<(split.second.count - 32) / (24 + size)).map { 32 + $0 * (24 + size) }
      guard let frame = frames.last(where: { split.second[$0..<$0 + 4].elementsEqual([0, 0, 0, 1]) }) else { continue }
      var changed = split
      changed.second[frame + 24 + 63] ^= 0x40
      #expect(userVersion(changed) != 0x40, "\(seed.name)")
      refused += 1
      var bytes = changed.bytes, random = SeededRandom(seed: UInt64(number + 2))
      target.repair(&bytes, &random)
      if userVersion(SplitInput(bytes)) == 0x40 { believed += 1 }
    }
    #expect(refused >= 3 && believed * 3 >= refused * 2, "\(believed) of \(refused)")
  }

  private func userVersion(_ input: SplitInput) -> Int64 {
    let world = MemoryWorld(input)
    return world.integer("PRAGMA user_version")
  }

  @Test("a database whose header is broken is opened after its repair")
  func databasesAreBelieved() throws {
    var opened = 0, count = 0
    for (number, seed) in try DatabaseTarget.seeds().enumerated() where seed.bytes.count > 1024 {
      var bytes = seed.bytes, random = SeededRandom(seed: UInt64(number))
      for place in [0, 5, 16, 18, 21, 28, 44, 101] { bytes[place] = UInt8(random.below(256)) }
      bytes += [1, 2, 3]
      #expect(MemoryWorld(SplitInput(bytes, [])).integer("SELECT count(*) FROM sqlite_schema") < 0)
      for attempt in 0..<4 {
        var repaired = bytes, random = SeededRandom(seed: UInt64(number * 10 + attempt))
        DatabaseRepair.repair(&repaired, &random)
        count += 1
        if MemoryWorld(SplitInput(repaired, [])).integer("SELECT count(*) FROM sqlite_schema") > 0 { opened += 1 }
      }
    }
    #expect(opened * 4 >= count, "\(opened) of \(count)")
  }
}
