// The sorter against the standard library's stable order.

import ApusBase
import ApusIO
import ApusStorage
import Testing

@testable import ApusVM

@Suite struct SorterTests {
  static func randomValue(_ random: inout SeededRandom, _ bytes: inout [[UInt8]]) -> Plain {
    switch random.below(8) {
    case 0: return .null
    case 1: return .integer(Int64(bitPattern: random.next()))
    case 2: return .integer(Int64(random.below(10)) - 5)
    case 3: return .real(Double(random.below(100)) / 8 - 3)
    case 4: return .real(Double(bitPattern: random.next()).isNaN ? 0 : Double(Int64(bitPattern: random.next())))
    case 5:
      return .text(String((0..<random.below(12)).map { _ in Character(["a", "b", "A", " ", "é"][Int(random.below(5))]) }))
    case 6: return .text("prefix-that-is-long-" + String(random.below(100)))
    default: return .blob((0..<random.below(10)).map { _ in UInt8(random.below(3)) })
    }
  }

  @Test("sorting is stable and in the order of the key, in memory and spilled", arguments: UInt64(1)...24)
  func sorts(seed: UInt64) throws {
    var random = SeededRandom(seed: seed)
    let environment = MemoryEnvironment(seed: seed, completesAtOnce: seed % 2 == 0)
    let queue = environment.makeQueue()
    let collations: [Collation] = [.binary, .nocase, .rtrim]
    let key = KeyDescription(
      (0..<1 + Int(random.below(2))).map { _ in
        KeyColumn(
          collation: collations[Int(random.below(3))], isDescending: random.below(2) == 0,
          isNullsLast: random.below(2) == 0)
      })
    let budget = seed % 3 == 0 ? 4 << 20 : 2000
    let count = seed % 8 == 7 ? 3000 : 300
    var sorter = Sorter(key: key, environment: environment, queue: queue, budget: budget)
    var model: [(values: [Plain], index: Int)] = []
    var unused: [[UInt8]] = []
    for index in 0..<count {
      let row = [SorterTests.randomValue(&random, &unused), SorterTests.randomValue(&random, &unused), .integer(Int64(index))]
      model.append((row, index))
      try withValues(row) { values in
        try patiently(queue) { () throws(Fault) in try sorter.add(values) }
      }
    }
    let expected = try model.sorted { left, right in
      let order = try withValues(left.values) { a in
        try withValues(right.values) { b in key.order.compare(a.prefix(key.columns.count), b.prefix(key.columns.count)) }
      }
      return order != 0 ? order < 0 : left.index < right.index
    }
    var found = try patiently(queue) { () throws(Fault) in try sorter.sort() }
    var position = 0
    while found {
      let row = (0..<3).map { Plain(sorter.column($0) ?? .null) }
      #expect(row == expected[position].values, "seed \(seed), position \(position)")
      if row != expected[position].values { return }
      position += 1
      found = try patiently(queue) { () throws(Fault) in try sorter.next() }
    }
    #expect(position == count, "seed \(seed)")
  }

  @Test("the order of prefixes never contradicts the order of values", arguments: UInt64(1)...20)
  func prefixes(seed: UInt64) throws {
    var random = SeededRandom(seed: seed)
    var unused: [[UInt8]] = []
    for _ in 0..<2000 {
      let column = KeyColumn(
        collation: [.binary, .nocase, .rtrim][Int(random.below(3))], isDescending: random.below(2) == 0,
        isNullsLast: random.below(2) == 0)
      let key = KeyDescription([column])
      let left = SorterTests.randomValue(&random, &unused)
      let right = SorterTests.randomValue(&random, &unused)
      try withValues([left]) { a in
        try withValues([right]) { b in
          let order = key.order.compare(a, b)
          let p = SortPrefix(a[0], column)
          let q = SortPrefix(b[0], column)
          if p.bits < q.bits { #expect(order < 0, "\(left) \(right) \(column)") }
          if p.bits > q.bits { #expect(order > 0, "\(left) \(right) \(column)") }
          if p.bits == q.bits, p.isExact, q.isExact { #expect(order == 0, "\(left) \(right) \(column)") }
        }
      }
    }
  }
}

/// Calls until it no longer waits.
func patiently<R>(_ queue: any IOQueue, _ body: () throws(Fault) -> R) throws -> R {
  while true {
    do throws(Fault) {
      return try body()
    } catch {
      switch error {
      case .wait(.completion): queue.waitForCompletion()
      case .wait: break
      case .failure(let failure): throw failure
      }
    }
  }
}

/// The values as registers, for the time of `body`.
func withValues<R>(_ plain: [Plain], _ body: (ValueRange) throws -> R) throws -> R {
  let file = RegisterFile(count: plain.count)
  defer { file.destroy() }
  for (index, value) in plain.enumerated() {
    let register = Int32(index + 1)
    switch value {
    case .null: file[register] = .null
    case .integer(let number): file[register] = .integer(number)
    case .real(let number): file[register] = .real(number)
    case .text(let text): text.withUTF8View { file.setCopy(register, .text($0)) }
    case .blob(let blob):
      unsafe blob.withUnsafeBytes { unsafe file.setCopy(register, .blob(ByteView(unchecked: $0))) }
    }
  }
  return try body(file.range(1, plain.count))
}
