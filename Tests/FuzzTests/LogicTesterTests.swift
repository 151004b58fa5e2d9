// The logic tester is silent where nothing is wrong, and finds what is: engines with one lie each, behind the same protocols.

import ApusFuzzing
import ApusHarness
import Testing

@Suite("Logic tester", .timeLimit(.minutes(20)))
struct LogicTesterTests {
  @Test("nothing is found in our engine", arguments: UInt64(0)...3)
  func ours(part: UInt64) throws {
    let tester = LogicTester.ours()
    for seed in part * 40..<part * 40 + 40 {
      let finding = try tester.run(seed: seed)
      #expect(finding == nil, "\(finding.map { "\($0)" } ?? "")")
    }
    #expect(tester.checkCount > 500)
    for method in ["TLP WHERE", "TLP aggregates", "TLP DISTINCT", "TLP HAVING", "NoREC", "PQS", "plan: hints"] {
      #expect(tester.histogram["check: \(method)"] ?? 0 > 10, "\(method)")
    }
    #expect(tester.skippedCount * 10 < tester.checkCount)
  }

  @Test("each lie is found by the method that looks for it", arguments: LyingConnection.Lie.allCases)
  func lies(lie: LyingConnection.Lie) throws {
    let library = try SQLiteLibrary()
    let tester = LogicTester { () throws(EngineFailure) in
      LyingConnection(try library.open(":memory:", readOnly: false), lie)
    }
    var methods: Set<String> = []
    for seed in UInt64(1)...60 {
      guard let finding = try tester.run(seed: seed) else { continue }
      methods.insert(finding.check.method)
      #expect(!finding.script.isEmpty || finding.check.method.hasPrefix("TLP"), "\(finding)")
    }
    #expect(lie.methods.isSubset(of: methods), "\(lie): found by \(methods.sorted())")
  }
}

/// SQLite, but for one lie.
final class LyingConnection: HarnessConnection {
  enum Lie: CaseIterable, Sendable {
    /// WHERE loses a row.
    case filterLosesRow
    /// A count is one too high where it is filtered.
    case countIsOff
    /// What is read by an index is not all.
    case indexLosesRow
    /// HAVING keeps a group too many: that it loses one looks the same.
    case havingLosesGroup
    /// DISTINCT gives a row twice.
    case distinctRepeats

    var methods: Set<String> {
      switch self {
      case .filterLosesRow: ["TLP WHERE", "PQS"]
      case .countIsOff: ["NoREC"]
      case .indexLosesRow: ["plan: hints"]
      case .havingLosesGroup: ["TLP HAVING"]
      case .distinctRepeats: ["TLP DISTINCT"]
      }
    }

    fileprivate func drops(_ sql: String, _ row: Int) -> Bool {
      switch self {
      case .filterLosesRow: row == 0 && sql.hasPrefix("SELECT x") && sql.contains(" WHERE ")
      case .indexLosesRow: row == 1 && sql.contains("INDEXED BY")
      case .havingLosesGroup: row == 0 && sql.contains(" HAVING ")
      case .countIsOff, .distinctRepeats: false
      }
    }

    fileprivate func repeats(_ sql: String) -> Bool { self == .distinctRepeats && sql.hasPrefix("SELECT DISTINCT") }
    fileprivate func counts(_ sql: String) -> Bool {
      self == .countIsOff && sql.hasPrefix("SELECT count(*)") && sql.contains(" WHERE ")
    }
  }

  private let connection: any HarnessConnection
  private let lie: Lie

  init(_ connection: any HarnessConnection, _ lie: Lie) {
    self.connection = connection
    self.lie = lie
  }

  func prepare(
    _ sql: [UInt8], from start: Int
  ) throws(EngineFailure) -> (statement: (any HarnessStatement)?, end: Int) {
    let (statement, end) = try connection.prepare(sql, from: start)
    let text = String(decoding: sql[start..<end], as: UTF8.self)
    return (statement.map { LyingStatement($0, text, lie) }, end)
  }

  var changes: Int64 { connection.changes }
  var totalChanges: Int64 { connection.totalChanges }
  var lastInsertRowid: Int64 { connection.lastInsertRowid }
  func backUp(to path: String) throws(EngineFailure) { try connection.backUp(to: path) }
  func close() { connection.close() }
}

private final class LyingStatement: HarnessStatement {
  private let statement: any HarnessStatement
  private let sql: String
  private let lie: LyingConnection.Lie
  private var row = 0
  private var mustRepeat = false

  init(_ statement: any HarnessStatement, _ sql: String, _ lie: LyingConnection.Lie) {
    self.statement = statement
    self.sql = sql
    self.lie = lie
  }

  func step() throws(EngineFailure) -> Bool {
    if mustRepeat {
      mustRepeat = false
      return true
    }
    guard try statement.step() else { return false }
    let current = row
    row += 1
    if current == 0, lie.repeats(sql) { mustRepeat = true }
    return lie.drops(sql, current) ? try step() : true
  }

  func value(_ column: Int) -> HarnessValue {
    let value = statement.value(column)
    guard lie.counts(sql), case .integer(let count) = value, count > 2 else { return value }
    return .integer(count + 1)
  }

  var columnCount: Int { statement.columnCount }
  func columnName(_ column: Int) -> String { statement.columnName(column) }
  func bind(_ value: HarnessValue, at index: Int) throws(EngineFailure) { try statement.bind(value, at: index) }
  func bind(integer: Int64, at index: Int) throws(EngineFailure) { try statement.bind(integer: integer, at: index) }
  func integer(_ column: Int) -> Int64 { statement.integer(column) }
  func byteCount(_ column: Int) -> Int { statement.byteCount(column) }
  func reset() { statement.reset() }
  func finalize() { statement.finalize() }
}
