// Expressions: our engine and SQLite give the same value, bit for bit, or the same error.

import ApusHarness

final class ExpressionTarget: FuzzTarget {
  static let name = "expression"
  static let summary = "generated expressions: the same value or error as SQLite's"
  static let byteCountMax = 256

  private let ours: any HarnessConnection
  private let reference: any HarnessConnection

  init() throws(EngineFailure) {
    ours = try FuzzEngines.ours()
    reference = try SQLiteLibrary().open(":memory:", readOnly: false)
  }

  static func seeds() -> [FuzzSeed] { TapeSeeds.make(count: 64, byteCount: 96) }

  func check(_ input: [UInt8]) throws(FuzzFinding) {
    var generator = ExpressionGenerator(ChoiceTape(input))
    let sql = "SELECT " + (0..<3).map { _ in generator.expression(depth: 5).sql }.joined(separator: ", ")
    let expected = Outcome(reference, sql), found = Outcome(ours, sql)
    if case .failure(let failure) = found { try FuzzFinding.check(failure, sql) }
    // Of columns that both name alike only the values count: a name is the expression's text.
    if let difference = Outcome.difference(expected: expected, found: found, isOrdered: true) {
      throw FuzzFinding("an expression's value differs", "\(sql)\n  \(difference)")
    }
  }
}

enum TapeSeeds {
  /// Tapes of random choices.
  static func make(count: Int, byteCount: Int) -> [FuzzSeed] {
    (1...count).map { number in
      var tape = ChoiceTape(seed: UInt64(number))
      return FuzzSeed("tape-\(number)", (0..<byteCount).map { _ in tape.byte() })
    }
  }
}
