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

  /// Values of one kind and shape, so that keys agree in much of what they begin with.
  static func similarValue(_ shape: Int, _ random: inout SeededRandom) -> Plain {
    switch shape {
    case 0: return .integer(Int64(random.below(1000)))
    case 1: return .text("customer-number-" + String(random.below(5000) + 10_000))
    case 2:
      let end = ["", "A", "a ", "b", "\0", "\0x"][Int(random.below(6))]
      return .text(String(repeating: "ab", count: Int(random.below(90))) + end)
    case 3: return .blob([UInt8](repeating: 7, count: Int(random.below(20))))
    case 4: return .integer(Int64(1) << 60 - 8 + Int64(random.below(16)))
    case 5: return .text(["a", "A", "a\0", "A\0b", "a ", "aa", "AA\0b", "b"][Int(random.below(8))])
    case 6: return random.below(50) == 0 ? .real(Double(random.below(100)) / 3) : .integer(Int64(random.below(50)))
    default: return .text(String(repeating: "x", count: 800 + Int(random.below(3))))
    }
  }

  @Test("sorting is stable and in the key's order, in memory and spilled, all rows or the first", arguments: UInt64(1)...48)
  func sorts(seed: UInt64) throws {
    var random = SeededRandom(seed: seed)
    let environment = MemoryEnvironment(seed: seed, completesAtOnce: seed % 2 == 0)
    let queue = environment.makeQueue()
    let collations: [Collation] = [.binary, .nocase, .rtrim]
    let key = KeyDescription(
      (0..<1 + Int(random.below(3))).map { _ in
        KeyColumn(
          collation: collations[Int(random.below(3))], isDescending: random.below(2) == 0,
          isNullsLast: random.below(2) == 0)
      })
    let budget = [4 << 20, 300, 2000, 60_000][Int(seed % 4)]
    let count = seed % 8 == 7 ? 1500 : 1 + Int(random.below(400))
    // Every third time only the first rows are wanted.
    let wanted = seed % 3 == 0 ? 1 + Int(random.below(count)) / (seed % 2 == 0 ? 1 : 20) : 0
    let shapes = (0..<3).map { _ in Int(random.below(14)) }
    var sorter = Sorter(key: key, environment: environment, queue: queue, budget: budget, wanted: wanted)
    for round in 0..<2 {
      try check(&sorter, key, queue, &random, count, wanted == 0 ? count : wanted, shapes, "seed \(seed), round \(round)")
      sorter.removeAll()
    }
  }

  private func check(
    _ sorter: inout Sorter, _ key: KeyDescription, _ queue: any IOQueue, _ random: inout SeededRandom, _ count: Int,
    _ wanted: Int, _ shapes: [Int], _ name: Comment
  ) throws {
    var model: [(values: [Plain], index: Int)] = []
    var unused: [[UInt8]] = []
    for index in 0..<count {
      var row: [Plain] = []
      for shape in shapes {
        row.append(
          shape < 8 ? SorterTests.similarValue(shape, &random) : SorterTests.randomValue(&random, &unused))
      }
      row.append(.integer(Int64(index)))
      model.append((row, index))
      let asRecord = random.below(10) == 0
      try withValues(row) { values in
        var record = ByteBuffer()
        if asRecord { try RecordCodec.encode(values, into: &record) }
        try patiently(queue) { () throws(Fault) in
          if asRecord { try sorter.add(record: record.bytes) } else { try sorter.add(values) }
        }
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
    while found, position < wanted {
      let row = (0..<4).map { Plain(sorter.column($0) ?? .null) }
      #expect(row == expected[position].values, name)
      if row != expected[position].values { return }
      position += 1
      found = try patiently(queue) { () throws(Fault) in try sorter.next() }
    }
    #expect(position == min(count, wanted), name)
  }

  @Test("of many rows only the wanted ones are kept")
  func keepsFewRows() throws {
    let environment = MemoryEnvironment(seed: 1, completesAtOnce: true)
    let queue = environment.makeQueue()
    let key = KeyDescription([KeyColumn(isDescending: true)])
    var sorter = Sorter(key: key, environment: environment, queue: queue, budget: 1 << 20, wanted: 10)
    for index in 0..<100_000 {
      try withValues([.integer(Int64(index * 7919 % 100_003)), .text("a row")]) { values in
        try patiently(queue) { () throws(Fault) in try sorter.add(values) }
      }
      let kept = sorter.rowsInMemory
      #expect(kept <= 82)
    }
    let found = try patiently(queue) { () throws(Fault) in try sorter.sort() }
    let isInMemory = sorter.isInMemory
    let largest = Plain(sorter.column(0) ?? .null)
    #expect(found && isInMemory && largest == .integer(100_002))
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
      let shape = Int(random.below(12))
      let left = shape < 8 ? SorterTests.similarValue(shape, &random) : SorterTests.randomValue(&random, &unused)
      let right = shape < 8 ? SorterTests.similarValue(shape, &random) : SorterTests.randomValue(&random, &unused)
      try withValues([left]) { a in
        try withValues([right]) { b in
          let order = key.order.compare(a, b)
          var coded = SortColumn(column)
          if case .real = left {} else if case .real = right {} else { coded.hasIntegersOnly = random.below(2) == 0 }
          let p = SortPrefix(a[0], coded)
          let q = SortPrefix(b[0], coded)
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
