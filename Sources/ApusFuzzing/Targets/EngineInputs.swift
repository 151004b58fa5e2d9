// How targets run SQL: our engine in a world in memory, real SQLite beside it.

import Apus
import ApusBase
import ApusHarness
import ApusIO
import ApusVM

/// One statement, prepared in SQLite and in our engine, for targets that bind an input to its parameters.
struct StatementInBoth {
  /// Statements do not keep their connections.
  private let connections: [any HarnessConnection]
  /// SQLite's, then ours.
  let statements: [any HarnessStatement]

  init(_ sql: String) throws(EngineFailure) {
    let ours: any HarnessConnection = try FuzzEngines.ours(),
      reference = try SQLiteLibrary().open(":memory:", readOnly: false)
    connections = [reference, ours]
    statements = [try reference.prepare(sql), try ours.prepare(sql)]
  }
}

enum FuzzEngines {
  /// A connection of ours whose statements cost what `FuzzLimits` allow.
  static func ours(_ path: String = ":memory:", in world: MemoryEnvironment? = nil) throws(EngineFailure)
    -> ApusConnection
  {
    let engine = ApusEngine(environment: world ?? MemoryEnvironment(seed: 1))
    guard let connection = try engine.open(path, readOnly: false) as? ApusConnection else {
      throw EngineFailure(code: 2, message: "not a connection of ours")
    }
    limit(connection.connection)
    return connection
  }

  static func limit(_ connection: Connection) {
    connection.state.limits.lengthMax = FuzzLimits.byteCountMax
    connection.state.limits.turnCountMax = FuzzLimits.turnCountMax
    connection.state.limits.sorterBytes = 1 << 20
  }
}

extension FuzzFinding {
  /// An error that no input may bring about.
  static func check(_ failure: EngineFailure, _ sql: String) throws(FuzzFinding) {
    if ResultCode(failure.code).primary == .internal { throw FuzzFinding("internal error", "\(failure) in \(sql)") }
  }
}

extension HarnessConnection {
  /// The rows of one statement, at most `FuzzLimits.rowCountMax` of them.
  func firstRows(_ sql: String) throws(EngineFailure) -> [[HarnessValue]] {
    let statement = try prepare(sql)
    defer { statement.finalize() }
    var rows: [[HarnessValue]] = []
    while rows.count < FuzzLimits.rowCountMax, try statement.step() {
      rows.append((0..<statement.columnCount).map { statement.value($0) })
    }
    return rows
  }

  /// The rows of one statement that takes parameters.
  func rows(_ sql: String, with parameters: [HarnessValue]) throws(EngineFailure) -> [[HarnessValue]] {
    let statement = try prepare(sql)
    defer { statement.finalize() }
    return try statement.rows(with: parameters)
  }
}

extension HarnessStatement {
  func rows(with parameters: [HarnessValue]) throws(EngineFailure) -> [[HarnessValue]] {
    defer { reset() }
    for (index, value) in parameters.enumerated() { try bind(value, at: index + 1) }
    var rows: [[HarnessValue]] = []
    while try step() { rows.append((0..<columnCount).map { value($0) }) }
    return rows
  }
}
