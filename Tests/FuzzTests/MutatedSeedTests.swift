// What campaigns begin with, changed as they change it: some hundred inputs for each target, the same ones each time.

import ApusBase
import ApusFuzzing
import ApusHarness
import Testing

@Suite("Mutated seeds", .timeLimit(.minutes(30)))
struct MutatedSeedTests {
  @Test(
    "nothing is found in what mutations make of the seeds",
    arguments: [
      ("database", 250), ("wal", 120), ("journal", 120), ("date", 3000), ("number", 3000), ("script", 250),
      ("statements", 150),
    ])
  func mutated(name: String, count: Int) throws {
    let type = try #require(FuzzTargets.named(name)), target = try type.init(), seeds = try type.seeds()
    var kinds: [String: String] = [:], random = SeededRandom(seed: 1)
    for number in 0..<count {
      var input = seeds[random.below(seeds.count)].bytes
      for _ in 0...random.below(3) {
        if !target.mutate(&input, &random) { Self.change(&input, &random, seeds[random.below(seeds.count)].bytes) }
      }
      if random.oneIn(2) { target.repair(&input, &random) }
      input = Array(input.prefix(type.byteCountMax))
      do throws(FuzzFinding) {
        try target.check(input)
      } catch {
        if kinds[error.kind] == nil { kinds[error.kind] = "input \(number): \(error.text.prefix(1000))" }
      }
    }
    let found = kinds.sorted { $0.key < $1.key }.map { "\($0.key): \($0.value)" }.joined(separator: "\n")
    #expect(found.isEmpty, "\(name): \(found)")
  }

  /// A checkpoint that is cut may tear the first bytes of the file; the log still has page 1 and all else.
  @Test(
    "a log counts whatever the file's header says, and makes up for one that is torn",
    arguments: [0..<16, 18..<20, 16..<24])
  func brokenHeader(place: Range<Int>) throws {
    let path = "/tmp/apus-header-\(Console.nanoseconds()).db", copy = path + "-copy.db", sqlite = try SQLiteLibrary()
    defer { for name in [path, copy] { for suffix in ["", "-wal", "-shm"] { Console.remove(name + suffix) } } }
    let writer = try sqlite.open(path, readOnly: false)
    defer { writer.close() }
    try writer.execute("PRAGMA journal_mode = wal; CREATE TABLE t(a); PRAGMA wal_checkpoint(TRUNCATE)")
    try writer.execute("CREATE TABLE u(a); INSERT INTO t VALUES (1)")
    func count(_ engine: any HarnessEngine) throws -> [[HarnessValue]] {
      var torn = try #require(Console.contents(of: path))
      torn.replaceSubrange(place, with: repeatElement(place == 18..<20 ? 1 : 0, count: place.count))
      Console.remove(copy + "-shm")
      #expect(Console.put(torn, to: copy))
      #expect(Console.put(Console.contents(of: path + "-wal") ?? [], to: copy + "-wal"))
      let connection = try engine.open(copy, readOnly: false)
      defer { connection.close() }
      return try connection.rows("SELECT count(*) FROM t").rows
    }
    #expect(try count(sqlite) == [[.integer(1)]])
    #expect(try count(ApusEngine()) == [[.integer(1)]])
  }

  @Test("an empty log beside a file with a rollback journal is none")
  func emptyLog() throws {
    let path = "/tmp/apus-empty-log-\(Console.nanoseconds()).db", engines: [any HarnessEngine] = [try SQLiteLibrary(), ApusEngine()]
    defer { for suffix in ["", "-wal", "-shm"] { Console.remove(path + suffix) } }
    let writer = try engines[0].open(path, readOnly: false)
    try writer.execute("CREATE TABLE t(a)")
    writer.close()
    for engine in engines {
      #expect(Console.put([], to: path + "-wal"))
      let connection = try engine.open(path, readOnly: false)
      defer { connection.close() }
      #expect(try connection.rows("SELECT count(*) FROM t").rows == [[.integer(0)]])
      #expect(try connection.rows("PRAGMA journal_mode").rows == [[.text(Array("delete".utf8))]])
    }
  }

  /// For targets that leave mutations to the fuzzer: a byte, a piece that is left out, a piece of another seed.
  private static func change(_ input: inout [UInt8], _ random: inout SeededRandom, _ other: [UInt8]) {
    let place = random.below(input.count + 1), count = random.below(4)
    switch random.below(3) {
    case 0 where place < input.count: input[place] = UInt8(truncatingIfNeeded: 32 + random.below(96))
    case 1 where place < input.count: input.removeSubrange(place..<min(input.count, place + count))
    default:
      let start = random.below(other.count + 1)
      input.insert(contentsOf: other[start..<min(other.count, start + 2 + 3 * count)], at: place)
    }
  }
}
