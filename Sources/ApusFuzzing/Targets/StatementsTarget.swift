// Whole statements: streams of changes and queries over a fixed schema, and queries over a generated one. Both engines agree on
// rows, counters, errors and contents after each step.

import ApusHarness

final class StatementsTarget: FuzzTarget {
  static let name = "statements"
  static let summary = "generated statements: SQLite's rows, counters, errors and contents"
  static let byteCountMax = 1024
  private static let statementCountMax = 30
  private static let contents = [
    "SELECT * FROM a ORDER BY id", "SELECT * FROM b ORDER BY k", "SELECT * FROM c ORDER BY rowid",
  ]

  private let library: SQLiteLibrary

  init() throws(EngineFailure) { library = try SQLiteLibrary() }

  static func seeds() -> [FuzzSeed] { TapeSeeds.make(count: 96, byteCount: 400) }

  func check(_ input: [UInt8]) throws(FuzzFinding) {
    var tape = ChoiceTape(input)
    do throws(EngineFailure) {
      let ours = try FuzzEngines.ours()
      ours.connection.state.limits.turnCountMax = FuzzLimits.queryTurnCountMax
      let reference = try library.open(":memory:", readOnly: false)
      defer {
        ours.close()
        reference.close()
      }
      var pair = EnginePair(ours: ours, reference: reference)
      if tape.oneIn(2) { try Self.runStream(tape, &pair) } else { try Self.runQueries(tape, &pair) }
      if let finding = pair.finding { throw EngineFailure(code: -1, message: finding) }
    } catch {
      guard error.code == -1 else { throw FuzzFinding("a connection cannot be opened", "\(error)") }
      throw FuzzFinding("a statement's outcome differs", error.message)
    }
  }

  private static func runStream(_ tape: ChoiceTape, _ pair: inout EnginePair) throws(EngineFailure) {
    for sql in StatementGenerator.schema { try pair.executeBoth(sql) }
    var generator = StatementGenerator(tape)
    for _ in 0..<statementCountMax where !generator.random.isAtEnd && pair.finding == nil {
      let sql = generator.statement()
      // Which of several rows breaks which rule first depends on the order in which an UPDATE finds them.
      pair.compare(
        sql, isOrdered: sql.contains("ORDER BY") && sql.hasPrefix("SELECT"), failsAlike: sql.hasPrefix("UPDATE"))
    }
    for sql in contents where pair.finding == nil { pair.compare(sql, isOrdered: true, failsAlike: false) }
    pair.compare("PRAGMA integrity_check", isOrdered: true, failsAlike: false)
  }

  private static func runQueries(_ tape: ChoiceTape, _ pair: inout EnginePair) throws(EngineFailure) {
    var generator = QueryGenerator(tape)
    for sql in generator.schema() where pair.finding == nil { pair.compare(sql, isOrdered: true, failsAlike: false) }
    for _ in 0..<8 where !generator.tape.isAtEnd && pair.finding == nil {
      let query = generator.query()
      pair.compare(query.sql, isOrdered: query.isOrdered, failsAlike: true)
    }
  }
}

/// Two connections that are told the same.
struct EnginePair {
  let ours: any HarnessConnection
  let reference: any HarnessConnection
  private(set) var log: [String] = []
  private(set) var finding: String?

  init(ours: any HarnessConnection, reference: any HarnessConnection) {
    self.ours = ours
    self.reference = reference
  }

  /// 19 is a constraint, 20 a value of the wrong type.
  private static func areAlike(_ one: EngineFailure, _ other: EngineFailure) -> Bool {
    let codes = [one, other].map { $0.code & 0xff }
    return codes[0] == codes[1] || codes.allSatisfy { $0 == 19 || $0 == 20 }
  }

  mutating func executeBoth(_ sql: String) throws(EngineFailure) {
    log.append(sql)
    try reference.execute(sql)
    try ours.execute(sql)
  }

  /// - Parameter failsAlike: two failures need not be the same one, but of one primary code, or both of a rule that a
  ///   row breaks.
  mutating func compare(_ sql: String, isOrdered: Bool, failsAlike: Bool) {
    log.append(sql)
    let expected = Outcome(reference, sql), found = Outcome(ours, sql)
    if failsAlike, case .failure(let one) = expected, case .failure(let other) = found, Self.areAlike(one, other) {
      return
    }
    var difference = Outcome.difference(expected: expected, found: found, isOrdered: isOrdered)
    if difference == nil {
      let counters = [reference, ours].map { [$0.changes, $0.totalChanges, $0.lastInsertRowid] }
      if counters[0] != counters[1] {
        difference = "changes, total, rowid: expected \(counters[0]), found \(counters[1])"
      }
    }
    if let difference { finding = "\(sql)\n  \(difference)\n  after:\n" + log.joined(separator: ";\n") }
  }
}
