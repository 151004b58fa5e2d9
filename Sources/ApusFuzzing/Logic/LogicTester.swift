// The logic tester: a database from a seed, then queries whose answers check each other. It needs no second engine, and finds what
// a comparison with SQLite cannot: where both are wrong, and where there is nothing to compare with.
//
// Sources: M. Rigger, Z. Su: "Finding bugs in database systems via query partitioning" (TLP, 2020), "Detecting optimization bugs
// in database engines via non-optimizing reference engine construction" (NoREC, 2020), "Testing database engines via pivoted query
// synthesis" (PQS, 2020).

import ApusBase
import ApusHarness

public struct LogicFinding: Sendable, CustomStringConvertible {
  public var seed: UInt64
  public var check: LogicCheck
  public var what: String
  /// What remains of the schema and its rows after shrinking.
  public var script: [String]

  public var description: String {
    """
    \(check.method), seed \(seed): \(what)
    \((script + check.setup).map { $0 + ";" }.joined(separator: "\n"))
    \(check.queries.map { $0 + ";" }.joined(separator: "\n"))
    """
  }
}

public final class LogicTester {
  public typealias Opener = () throws(EngineFailure) -> any HarnessConnection

  private let open: Opener
  /// How often each thing was generated, checked, planned.
  public private(set) var histogram: [String: Int] = [:]
  public private(set) var checkCount = 0
  public private(set) var skippedCount = 0
  private static let checkCountPerWorld = 24

  /// - Parameter open: gives a new, empty database.
  public init(open: @escaping Opener) { self.open = open }

  /// Our engine, each database in a world of its own in memory.
  public static func ours() -> LogicTester {
    LogicTester { () throws(EngineFailure) in
      let connection = try FuzzEngines.ours()
      connection.connection.state.limits.turnCountMax = 2_000_000
      return connection
    }
  }

  private func note(_ feature: String, _ count: Int = 1) { histogram[feature, default: 0] += count }

  /// Makes the database of one seed and checks it.
  /// - Returns: the first finding.
  /// - Throws: where no database can be opened.
  public func run(seed: UInt64) throws(EngineFailure) -> LogicFinding? {
    var generator = LogicGenerator(QueryGenerator(ChoiceTape(seed: seed)))
    let connection = try open()
    defer { connection.close() }
    let script = generator.queries.schema()
    for sql in script {
      do throws(EngineFailure) {
        try connection.execute(sql)
      } catch {
        // A value that does not fit a row id or a rule; refusals are counted.
        if error.isRefusal { note("refused: \(error.message)") }
      }
    }
    for _ in 0..<Self.checkCountPerWorld {
      guard let check = generator.check(connection) else { continue }
      for sql in check.setup { try? connection.execute(sql) }
      let verdict = check.verdict(connection)
      checkCount += 1
      note("check: \(check.method)")
      notePlan(connection, check)
      switch verdict {
      case .holds: break
      case .skipped(let why):
        skippedCount += 1
        note("skipped: \(why)")
      case .broken(let what): return shrink(seed, script, check, what)
      }
    }
    for (feature, count) in generator.queries.features { note("SQL: \(feature)", count) }
    return nil
  }

  /// What the planner chose for the check's last query.
  private func notePlan(_ connection: any HarnessConnection, _ check: LogicCheck) {
    guard let query = check.queries.last(where: { $0.hasPrefix("SELECT") }),
      let rows = try? connection.lastRows("EXPLAIN QUERY PLAN \(query)").isEmpty
        ? connection.rows("EXPLAIN QUERY PLAN \(query)").rows : []
    else { return }
    let words = [
      "USING INDEX", "USING COVERING INDEX", "AUTOMATIC", "USING INTEGER PRIMARY KEY", "USING PRIMARY KEY",
      "MULTI-INDEX OR", "SCAN",
      "SEARCH", "LEFT-JOIN", "CORRELATED", "LIST SUBQUERY", "MATERIALIZE", "CO-ROUTINE", "USE TEMP B-TREE",
    ]
    for row in rows {
      guard case .text(let bytes) = row.last else { continue }
      let text = String(decoding: bytes, as: UTF8.self)
      for word in words where text.contains(word) { note("plan: \(word)") }
    }
  }

  // MARK: - Shrinking

  /// Leaves out every statement that the failure does not need.
  private func shrink(_ seed: UInt64, _ script: [String], _ check: LogicCheck, _ what: String) -> LogicFinding {
    var kept = script, check = check, what = what
    func fails(_ script: [String], _ check: LogicCheck) -> String? {
      guard let connection = try? open() else { return nil }
      defer { connection.close() }
      for sql in script + check.setup { try? connection.execute(sql) }
      guard case .broken(let text) = check.verdict(connection) else { return nil }
      // Not another failure: a query whose table is gone fails too.
      return text.contains("no such") ? nil : text
    }
    if check.relation == .same, check.queries.count > 2 {
      for other in check.queries.dropFirst() {
        var pair = check
        pair.queries = [check.queries[0], other]
        if let text = fails(kept, pair) {
          (check, what) = (pair, text)
          break
        }
      }
    }
    var hasShrunk = true
    while hasShrunk {
      hasShrunk = false
      for index in kept.indices.reversed() {
        var fewer = kept
        fewer.remove(at: index)
        if let text = fails(fewer, check) {
          (kept, what, hasShrunk) = (fewer, text, true)
        }
      }
    }
    return LogicFinding(seed: seed, check: check, what: what, script: kept)
  }
}
