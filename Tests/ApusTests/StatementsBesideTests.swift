// Several statements of one connection under way at once, of which one is in the midst of a change, or takes away what another
// reads.

import ApusBase
import ApusIO
import Testing

@testable import Apus
@testable import ApusStorage

@Suite(.timeLimit(.minutes(20))) struct StatementsBesideTests {
  @Test(
    "what another statement reads cannot be dropped, whatever the mode of auto_vacuum",
    arguments: ["none", "full", "incremental"], [true, false])
  func keepsTreesOfReaders(vacuum: String, isInTransaction: Bool) throws {
    let connection = try Connection("/a.db", environment: MemoryEnvironment())
    try connection.execute(
      """
      PRAGMA auto_vacuum = \(vacuum); CREATE TABLE t(x, y); CREATE INDEX i ON t(y);
      INSERT INTO t VALUES (1, 1), (2, 2), (3, 3)
      """)
    if isInTransaction { try connection.execute("BEGIN") }
    let reader = try connection.prepareBlocking("SELECT x FROM t")
    #expect(try reader.stepBlocking())
    for sql in ["DROP TABLE t", "DROP INDEX i"] {
      let refusal = connection.refusal(sql)
      #expect(refusal?.code == .locked && refusal?.message == "database table is locked", "\(sql)")
    }
    try connection.execute("CREATE TABLE u(x); INSERT INTO u VALUES (100), (200)")
    #expect(try reader.stepBlocking())
    #expect(ColumnReader(reader.column(0)).value == .integer(2))
    #expect(try reader.stepBlocking())
    #expect(try !reader.stepBlocking())
    try connection.execute("DROP TABLE t; CREATE TABLE v(x); INSERT INTO v VALUES (7)")
    if isInTransaction { try connection.execute("COMMIT") }
    #expect(try connection.text("PRAGMA integrity_check") == ["ok"])
    reader.finalize()
  }

  private static let changes = [
    "INSERT INTO t SELECT id + 1000, k, hex(zeroblob(150)) FROM t WHERE id % 2 = 0",
    "UPDATE t SET k = k + 1, v = hex(zeroblob(90))",
    "DELETE FROM t WHERE id % 3 = 0", "INSERT INTO t(k, v) VALUES (5, hex(zeroblob(2000)))",
  ]

  /// A connection with a small cache, whose pages are on the disk.
  private static func world(_ mode: String, _ seed: UInt64) throws -> Connection {
    let connection = try Connection(
      "/a.db", environment: MemoryEnvironment(seed: seed, completesAtOnce: false, cacheHits: .sometimes))
    try connection.execute(
      """
      PRAGMA page_size = 512; PRAGMA journal_mode = \(mode); CREATE TABLE t(id INTEGER PRIMARY KEY, k, v); CREATE INDEX tk ON t(k);
      WITH RECURSIVE s(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM s WHERE i < 80)
      INSERT INTO t SELECT i, i * 7 % 50, hex(zeroblob(i % 60)) FROM s; PRAGMA cache_size = 5; PRAGMA shrink_memory
      """)
    return connection
  }

  @Test("ROLLBACK TO ends what another statement was in the midst of", arguments: ["wal", "delete"], changes)
  func undoesHalves(mode: String, change: String) throws {
    var limit = 0
    var isOver = false
    while !isOver {
      let connection = try Self.world(mode, UInt64(limit))
      try connection.execute("BEGIN; UPDATE t SET k = k + 100 WHERE id < 4; SAVEPOINT s; UPDATE t SET k = 0 WHERE id = 7")
      let due = try connection.text("SELECT id, CASE id WHEN 7 THEN 49 ELSE k END, length(v) FROM t ORDER BY id")
      let statement = try connection.prepareBlocking(change)
      isOver = true
      for step in 0...limit {
        guard case .pending(let wait) = try statement.step() else { break }
        if step < limit { connection.wait(for: wait) } else { isOver = false }
      }
      try connection.execute("ROLLBACK TO s")
      if !isOver { #expect(throws: EngineError.self, "wait \(limit)") { while try statement.stepBlocking() {} } }
      statement.finalize()
      let found = try connection.text("SELECT id, k, length(v) FROM t ORDER BY id")
      #expect(found == due.map { $0.hasPrefix("7|") ? "7|\(7 * 7 % 50)|\($0.split(separator: "|")[2])" : $0 }, "wait \(limit)")
      try connection.execute("INSERT INTO t VALUES (5000, 1, 'x'); COMMIT")
      #expect(try connection.text("PRAGMA integrity_check") == ["ok"], "wait \(limit)")
      #expect(try connection.value("SELECT count(*) FROM t") == "\(due.count + 1)")
      // A step that divides none of the places' own rhythms.
      limit += limit < 12 ? 1 : 7
    }
    #expect(limit > 0)
  }

  @Test("who reads beside a change that is half done is not told that the file is damaged", arguments: changes)
  func readsBesideHalves(change: String) throws {
    var refusals = 0
    for limit in stride(from: 0, to: 60, by: 3) {
      let connection = try Self.world("wal", UInt64(limit))
      try connection.execute("BEGIN; SAVEPOINT s; UPDATE t SET k = k")
      let statement = try connection.prepareBlocking(change)
      var isDone = false
      for step in 0...limit where !isDone {
        if case .pending(let wait) = try statement.step() {
          if step < limit { connection.wait(for: wait) }
        } else {
          isDone = true
        }
      }
      if let refusal = connection.refusal("SELECT v FROM t INDEXED BY tk WHERE k >= 0") {
        #expect(refusal.code == .busy, "\(refusal)")
        refusals += 1
      }
      if !isDone { while try statement.stepBlocking() {} }
      statement.finalize()
      try connection.execute("COMMIT")
      #expect(try connection.text("PRAGMA integrity_check") == ["ok"])
    }
    if change.hasPrefix("INSERT INTO t SELECT") { #expect(refusals > 0) }
  }

  @Test(
    "new row ids of concurrent transactions where the largest is negative, or nearly the largest of all",
    arguments: [-5, Int64.min, Int64.max - 3, Int64.max - 1])
  func rowidsAtTheEnds(rowid: Int64) throws {
    let next = rowid + 1
    let connection = try Connection("/a.db", environment: MemoryEnvironment())
    try connection.execute("PRAGMA journal_mode = wal; CREATE TABLE t(a); INSERT INTO t(rowid, a) VALUES (\(rowid), 1)")
    try connection.execute("BEGIN CONCURRENT; INSERT INTO t(a) VALUES (2); INSERT INTO t(a) VALUES (3); COMMIT")
    let found = try connection.text("SELECT rowid FROM t WHERE a = 2")
    #expect(found == ["\(next)"])
    #expect(try connection.value("SELECT count(*) FROM t") == "3")
    #expect(try connection.text("PRAGMA integrity_check") == ["ok"])
  }

  @Test(
    "a statement that was dropped in the midst of a long record reads it from its beginning when it runs again",
    arguments: [false, true])
  func droppedInChain(_ changes: Bool) throws {
    for limit in 0..<200 {
      let environment = MemoryEnvironment(seed: 3, completesAtOnce: false)
      let maker = try Connection("/a.db", environment: environment)
      try maker.execute(
        "PRAGMA page_size = 512; PRAGMA journal_mode = wal; CREATE TABLE t(id INTEGER PRIMARY KEY, v);"
          + " INSERT INTO t VALUES (1, zeroblob(18000)); PRAGMA wal_checkpoint(TRUNCATE)")
      try maker.closeBlocking()
      let connection = try Connection("/a.db", environment: environment)
      try connection.execute("BEGIN CONCURRENT; SELECT id FROM t")
      let update = try connection.prepareBlocking("UPDATE t SET v = 'x' WHERE id = 1")
      var hasEnded = false
      for step in 0...limit {
        guard case .pending(let wait) = try update.step() else {
          hasEnded = true
          break
        }
        if step < limit { connection.wait(for: wait) }
      }
      if hasEnded {
        #expect(limit > 30)
        return
      }
      update.reset()
      // Another record may take its pages meanwhile.
      if changes { try connection.execute("DELETE FROM t; INSERT INTO t VALUES (1, zeroblob(17000))") }
      while try update.stepBlocking() {}
      update.finalize()
      try connection.execute("COMMIT")
      #expect(try connection.text("SELECT v FROM t") == ["x"], "wait \(limit)")
      #expect(try connection.text("PRAGMA integrity_check") == ["ok"])
    }
  }
}
