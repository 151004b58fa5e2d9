// A statement that fails, or is dropped at any of its waits, leaves nothing behind: neither a row nor a page. What an
// engine saves on undo scopes must not show here.

import ApusBase
import ApusIO
import ApusStorage
import Testing

@testable import Apus

@Suite(.timeLimit(.minutes(20))) struct UndoneStatementTests {
  /// What is changed. The columns are the same for all: id, k, u, v.
  enum Shape: String, CaseIterable, Sendable {
    case plain = "CREATE TABLE t(id INTEGER PRIMARY KEY, k, u, v)"
    case rowid = "CREATE TABLE t(id, k, u, v)"
    case constrained = "CREATE TABLE t(id INTEGER PRIMARY KEY, k NOT NULL CHECK (k <> 1300), u, v)"
    case unique = "CREATE TABLE t(id INTEGER PRIMARY KEY, k, u UNIQUE, v)"
    case indexed = "CREATE TABLE t(id INTEGER PRIMARY KEY, k, u, v); CREATE INDEX tk ON t(k); CREATE INDEX tv ON t(v, id)"
    case withoutRowid = "CREATE TABLE t(id PRIMARY KEY, k, u, v) WITHOUT ROWID"
    case withoutRowidIndexed = "CREATE TABLE t(id PRIMARY KEY, k, u UNIQUE, v) WITHOUT ROWID; CREATE INDEX tk ON t(k)"
  }

  /// Small and large rows, one and several, by key and by range; some of them violate a constraint of some shapes.
  static let statements = [
    "INSERT INTO t(k, u, v) VALUES (7, 9001, 'small')",
    "INSERT INTO t VALUES (1000, 7, 9001, 'small')",
    "INSERT INTO t VALUES (31, 7, 9001, 'twice')",
    "INSERT INTO t VALUES (1000, 1300, 30, 'twice')",
    "INSERT INTO t(k, u, v) VALUES (7, 9001, zeroblob(2500))",
    "INSERT INTO t VALUES (-5, 7, 9001, zeroblob(20000))",
    "INSERT INTO t VALUES (1000, 7, 9001, zeroblob(700)), (1001, 7, 9002, zeroblob(700))",
    "INSERT INTO t VALUES (1000, 7, 9001, zeroblob(700)), (33, 1300, 33, 'twice')",
    "INSERT OR REPLACE INTO t VALUES (20, 8, 9001, zeroblob(900))",
    "INSERT OR REPLACE INTO t VALUES (2000, 8, 20, 'x')",
    "INSERT OR IGNORE INTO t VALUES (20, 8, 20, zeroblob(3000))",
    "INSERT INTO t SELECT id + 5000, k, u + 5000, v || 'more' FROM t WHERE id % 4 = 1",
    "UPDATE t SET v = 'one' WHERE id = 20",
    "UPDATE t SET v = zeroblob(9000) WHERE id = 21",
    "UPDATE t SET k = k + 1, v = zeroblob(k * 5) WHERE id BETWEEN 10 AND 25",
    "UPDATE t SET k = 1300 WHERE id > 30",
    "UPDATE t SET u = 40 WHERE id = 12",
    "UPDATE t SET u = u + 1 WHERE id < 30",
    "UPDATE t SET id = id + 7000 WHERE id > 40",
    "UPDATE t SET id = 41 WHERE id > 40",
    "DELETE FROM t WHERE id = 30",
    "DELETE FROM t WHERE id BETWEEN 5 AND 45",
    "DELETE FROM t WHERE k % 3 = 0",
    "DELETE FROM t",
  ]

  /// Rows of 10 to 4,000 bytes over pages of 512.
  private static let filling = """
    WITH RECURSIVE s(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM s WHERE i < 60)
    INSERT INTO t SELECT i, i * 7 % 50, i, CASE i % 9 WHEN 0 THEN zeroblob(i * 60) ELSE hex(zeroblob(i)) END FROM s
    """
  /// What the transaction has done before the statement comes.
  private static let earlier = [
    "UPDATE t SET k = k + 100 WHERE id % 3 = 0", "DELETE FROM t WHERE id % 10 = 4", "UPDATE t SET v = 'short' WHERE id % 9 = 0",
    "INSERT INTO t VALUES (61, 61, 61, zeroblob(300))",
  ]

  private enum End: Equatable {
    case done, failed(ResultCode), dropped
  }

  /// Drives a statement; drops it at the wait number `limit`.
  private static func run(_ connection: Connection, _ sql: String, limit: Int) -> (end: End, waits: Int) {
    var waits = 0
    do throws(EngineError) {
      let statement = try connection.prepareBlocking(sql)
      while true {
        guard case .pending(let wait) = try statement.step() else { return (.done, waits) }
        waits += 1
        if waits > limit {
          if limit % 2 == 0 { statement.reset() } else { statement.finalize() }
          return (.dropped, waits)
        }
        connection.wait(for: wait)
      }
    } catch {
      return (.failed(error.code), waits)
    }
  }

  private static func contents(_ connection: Connection) throws -> [String] {
    try connection.text("SELECT id, k, u, length(v), substr(v, 1, 9), typeof(v) FROM t ORDER BY id")
  }

  @Test(
    "a statement that fails or is dropped at a wait leaves nothing behind", arguments: Shape.allCases)
  func leavesNothing(shape: Shape) throws {
    for isExplicit in [true, false] {
      for (number, sql) in Self.statements.enumerated() {
        // Alone, a statement is undone with its transaction: a few of them will do.
        if !isExplicit, number % 4 != 1 { continue }
        if case .rowid = shape, sql.contains("REPLACE") || sql.contains("IGNORE") { continue }
        let seed = UInt64(number)
        // Both journal modes for each shape, and over the shapes for each statement.
        let mode = (number + shape.rawValue.utf8.count) % 2 == 0 ? "delete" : "wal"
        let environment = MemoryEnvironment(seed: seed, completesAtOnce: false, cacheHits: .sometimes)
        let connection = try Connection("/a.db", environment: environment)
        try connection.execute("PRAGMA page_size = 512; PRAGMA journal_mode = \(mode); \(shape.rawValue); \(Self.filling)")
        try connection.execute("PRAGMA cache_size = 12")
        let pager = try #require(try? connection.state.pager(0))
        var limit = 0
        while true {
          if isExplicit {
            try connection.execute("BEGIN")
            for statement in Self.earlier { _ = try? connection.execute(statement) }
          }
          let before = try Self.contents(connection)
          // Every second round also faults at pages that are in memory.
          if limit % 2 == 0 { pager.faultInjection = SeededRandom(seed: seed &* 1000 &+ UInt64(limit)) }
          let (end, _) = Self.run(connection, sql, limit: limit)
          pager.faultInjection = nil
          let place = "\(shape), \(mode), \(sql), in a transaction: \(isExplicit), wait \(limit): \(end)"
          let after = try Self.contents(connection)
          if end != .done { #expect(after == before, "\(place)") }
          #expect(connection.isAutocommit == !isExplicit, "\(place)")
          if isExplicit { try connection.execute("COMMIT") }
          #expect(try connection.text("PRAGMA integrity_check") == ["ok"], "\(place)")
          #expect(try Self.contents(connection) == after, "\(place), committed")
          if end != .dropped {
            if case .failed(let code) = end { #expect(code.primary == .constraint, "\(place)") }
            break
          }
          limit += 1 + limit / 2
        }
        try connection.closeBlocking()
      }
    }
  }

  @Test("a ROLLBACK that is dropped at a wait has ended the transaction", arguments: ["delete", "truncate", "wal"])
  func dropsRollback(mode: String) throws {
    let environment = MemoryEnvironment(seed: 7, completesAtOnce: false, cacheHits: .sometimes)
    let connection = try Connection("/a.db", environment: environment)
    try connection.execute(
      "PRAGMA page_size = 512; PRAGMA journal_mode = \(mode); \(Shape.unique.rawValue); \(Self.filling); PRAGMA cache_size = 12")
    let before = try Self.contents(connection)
    var limit = 0
    while true {
      try connection.execute("BEGIN")
      for statement in Self.earlier { _ = try? connection.execute(statement) }
      try connection.execute("UPDATE t SET v = zeroblob(3000)")
      let (end, waits) = Self.run(connection, "ROLLBACK", limit: limit)
      let place = "\(mode), wait \(limit): \(end)"
      #expect(connection.isAutocommit && connection.owesWork == (end == .dropped), "\(place)")
      // The next statement finds everything undone, a transaction as well as a query.
      if limit % 3 == 0 { try connection.execute("BEGIN IMMEDIATE; ROLLBACK") }
      #expect(try Self.contents(connection) == before, "\(place)")
      #expect(try connection.text("PRAGMA integrity_check") == ["ok"], "\(place)")
      if end == .done {
        #expect(waits == limit, "\(place)")
        break
      }
      limit += 1
    }
    // In a log nothing but memory is undone here.
    #expect(limit > 0 || mode == "wal")
    try connection.closeBlocking()
  }
}
