// The SQL of a run whose failure needs nothing but SQL: one connection, no fault, no power cut, no dropped statement.

public struct PlainScript: Sendable {
  /// Who says what makes the tables.
  static let nobody = -1

  /// Why there is none.
  public var reason: String?
  public var text = ""

  public init(_ verdict: Verdict) {
    let script = verdict.trace.script
    let all = Set(script.map(\.client)).subtracting([Self.nobody])
    // Who has opened the file and said nothing else is a witness.
    let busy = Set(script.lazy.filter { !Self.isSetUp($0.sql) }.map(\.client)).subtracting([Self.nobody])
    let names = busy.isEmpty ? all : busy
    let isDisturbed = verdict.trace.events.contains { ["cut", "kill", "drop", "episode"].contains($0.name) }
    if verdict.cutCount > 0 || isDisturbed {
      reason = "needs a cut, a kill or a dropped statement"
    } else if names.count != 1 {
      reason = "needs \(names.count) connections"
    } else if verdict.profile.injectsFaults || verdict.coverage.faults.contains(where: { $0.injected > 0 }) {
      reason = "needs faults"
    } else {
      var statements = verdict.profile.creationStatements
      statements.append("CREATE TABLE stamp(id INTEGER PRIMARY KEY, n INTEGER)")
      statements += Simulation.shapes(verdict.profile).filter { !$0.comesAndGoes }.flatMap(\.createStatements)
      statements.append("INSERT INTO stamp VALUES(1,0)")
      if verdict.profile.hasLists { statements += HistoryRecorder.creationStatements }
      if verdict.profile.isConcurrent { statements += SideLedger.creationStatements(verdict.profile) }
      if verdict.profile.hasKeys { statements += KeyModel.creationStatements(verdict.profile) }
      statements += script.lazy.filter { names.contains($0.client) || $0.client == Self.nobody }.map(\.sql)
      text = statements.map { $0 + ";\n" }.joined()
      let others = all.count - names.count
      if others > 0 { text = "-- \(others) other connections had the file open, and said nothing but their PRAGMAs.\n" + text }
    }
  }

  private static func isSetUp(_ sql: String) -> Bool { sql.hasPrefix("PRAGMA ") || sql.hasPrefix("ATTACH ") }
}
