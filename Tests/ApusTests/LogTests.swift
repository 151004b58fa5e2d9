// The write-ahead log as SQL sees it: checkpoints beside other connections, and the ways into WAL mode and out of it.

import ApusBase
import ApusIO
import ApusStorage
import Testing

@testable import Apus

extension Connection {
  /// The first column of the only row.
  func value(_ sql: String) throws -> String { try row(sql).first ?? "no row" }

  func row(_ sql: String) throws -> [String] {
    let statement = try prepareBlocking(sql)
    defer { statement.finalize() }
    guard try statement.stepBlocking() else { return [] }
    return (0..<statement.columnCount).map { column in
      let value = statement.column(column)
      switch value.kind {
      case .null: return "NULL"
      case .integer: return "\(value.integerValue)"
      case .real: return "\(value.realValue)"
      case .text, .blob: return value.bytes.string
      }
    }
  }
}

@Suite struct LogTests {
  private static func world(_ mode: String = "wal") throws -> (MemoryEnvironment, Connection, Connection) {
    let world = MemoryEnvironment(seed: 3, completesAtOnce: false)
    let first = try Connection("/a.db", environment: world)
    try first.execute("PRAGMA journal_mode = \(mode); CREATE TABLE t(a); INSERT INTO t VALUES (1)")
    return (world, first, try Connection("/a.db", environment: world))
  }

  @Test("a connection that empties the log sees what others have committed since it read last")
  func truncatingDoesNotHideCommits() throws {
    let (_, first, second) = try Self.world()
    #expect(try second.value("SELECT a FROM t") == "1")
    try first.execute("UPDATE t SET a = 2")
    #expect(try second.row("PRAGMA wal_checkpoint(TRUNCATE)") == ["0", "0", "0"])
    #expect(try second.value("SELECT a FROM t") == "2")
    try second.execute("UPDATE t SET a = a + 1")
    #expect(try first.value("SELECT a FROM t") == "3")
  }

  @Test("the journal mode changes from each to each, with every request waited for")
  func journalModesChange() throws {
    let (_, first, second) = try Self.world("delete")
    try second.closeBlocking()
    var count = 1
    for from in ["wal", "delete", "truncate", "persist"] {
      for to in ["wal", "delete", "truncate", "persist"] {
        #expect(try first.value("PRAGMA journal_mode = \(from)") == from)
        try first.execute("INSERT INTO t VALUES (7)")
        #expect(try first.value("PRAGMA journal_mode = \(to)") == to)
        try first.execute("INSERT INTO t VALUES (8)")
        count += 2
        #expect(try first.value("SELECT count(*) FROM t") == "\(count)")
        #expect(try first.value("PRAGMA integrity_check") == "ok")
      }
    }
  }

  @Test("WAL mode is not left while another connection uses the log, and all goes on")
  func leavingNeedsToBeAlone() throws {
    let (world, first, second) = try Self.world()
    #expect(try second.value("SELECT a FROM t") == "1")
    #expect { try first.value("PRAGMA journal_mode = delete") } throws: { ($0 as? EngineError)?.code == .busy }
    try second.execute("UPDATE t SET a = 5")
    #expect(try first.value("SELECT a FROM t") == "5")
    try second.closeBlocking()
    #expect(try first.value("PRAGMA journal_mode = delete") == "delete")
    #expect(try world.exists("/a.db-wal") == false)
    let third = try Connection("/a.db", environment: world)
    try third.execute("UPDATE t SET a = 6")
    #expect(try first.value("SELECT a FROM t") == "6")
  }

  @Test("what says how a file is opened is said before it is looked at")
  func pragmasBeforeTheFirstRead() throws {
    let (_, first, second) = try Self.world("delete")
    try first.execute("BEGIN EXCLUSIVE")
    #expect(try second.value("PRAGMA busy_timeout = 5") == "5")
    #expect { try second.value("SELECT a FROM t") } throws: { ($0 as? EngineError)?.code == .busy }
    try first.execute("COMMIT")
    #expect(try second.value("SELECT a FROM t") == "1")
  }
}
