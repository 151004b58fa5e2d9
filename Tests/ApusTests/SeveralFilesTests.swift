// Transactions over files of different journal modes, and over temporary databases beside them: what a dropped or failed COMMIT
// leaves, and what the application is told.

import ApusBase
import ApusIO
import Testing

@testable import Apus
@testable import ApusStorage
@testable import ApusVM

@Suite(.timeLimit(.minutes(20))) struct SeveralFilesTests {
  /// Goes on until the statement ends, or drops it at its wait number `limit`.
  /// - Returns: whether it has ended.
  private static func run(_ connection: Connection, _ sql: String, limit: Int) throws -> Bool {
    let statement = try connection.prepareBlocking(sql)
    defer { statement.finalize() }
    for step in 0...limit {
      guard case .pending(let wait) = try statement.step() else { return true }
      if step < limit { connection.wait(for: wait) }
    }
    return false
  }

  @Test("a file that leaves WAL mode is read as the log has left it, by all who share its cache")
  func leavesLog() throws {
    for mode in ["delete", "truncate", "persist"] {
      let environment = MemoryEnvironment()
      let maker = try Connection("/a.db", environment: environment)
      try maker.execute("CREATE TABLE t(v); INSERT INTO t VALUES (1)")
      try maker.closeBlocking()
      let first = try Connection("/a.db", environment: environment)
      let second = try Connection("/a.db", environment: environment)
      try first.execute("PRAGMA journal_mode = \(mode)")
      #expect(try first.value("SELECT v FROM t") == "1")
      #expect(try second.value("SELECT v FROM t") == "1")
      try first.execute("UPDATE t SET v = 2; PRAGMA journal_mode = wal; UPDATE t SET v = 3; PRAGMA journal_mode = \(mode)")
      #expect(try first.value("SELECT v FROM t") == "3")
      #expect(try second.value("SELECT v FROM t") == "3")
      try second.execute("INSERT INTO t VALUES (7)")
      let third = try Connection("/a.db", environment: environment)
      for connection in [first, second, third] { #expect(try connection.text("SELECT v FROM t") == ["3", "7"]) }
    }
  }

  // MARK: Temporary databases

  private static let temporaries = ["temp", "x"]

  private static func temporary(_ schema: String, _ seed: UInt64) throws -> Connection {
    let connection = try Connection(
      "/a.db", environment: MemoryEnvironment(seed: seed, completesAtOnce: false, cacheHits: .sometimes))
    try connection.execute(
      """
      PRAGMA page_size = 512; CREATE TABLE m(a); INSERT INTO m VALUES (1); ATTACH '' AS x; PRAGMA \(schema).cache_size = 8;
      CREATE TABLE \(schema).t(id INTEGER PRIMARY KEY, k, v);
      WITH RECURSIVE s(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM s WHERE i < 150)
      INSERT INTO \(schema).t SELECT i, i, hex(zeroblob(100)) FROM s
      """)
    return connection
  }

  private static func contents(_ connection: Connection, _ schema: String) throws -> [String] {
    try connection.text("SELECT id, k, length(v) FROM \(schema).t ORDER BY id")
  }

  @Test(
    "a change of a temporary database that is dropped at any wait leaves it as it was", arguments: temporaries,
    ["id % 2 = 0", "id < 4", "id > 20"])
  func dropsTemporary(schema: String, rows: String) throws {
    var limit = 0
    var isOver = false
    while !isOver {
      let connection = try Self.temporary(schema, UInt64(limit))
      let due = try Self.contents(connection, schema)
      isOver = try Self.run(connection, "UPDATE \(schema).t SET k = k + 1000, v = hex(zeroblob(90)) WHERE \(rows)", limit: limit)
      try connection.execute("PRAGMA shrink_memory")
      let found = try Self.contents(connection, schema)
      if !isOver { #expect(found == due, "wait \(limit)") }
      try connection.execute("INSERT INTO \(schema).t VALUES (1000, 1, 'x')")
      #expect(try connection.text("PRAGMA \(schema).integrity_check") == ["ok"], "wait \(limit)")
      #expect(try Self.contents(connection, schema).count == due.count + 1)
      limit += 1
    }
  }

  enum Replacement { case vacuum, backup }

  @Test(
    "what replaces a temporary database is not undone by its way into a file that was dropped at any wait",
    arguments: [("x", Replacement.vacuum), ("x", .backup), ("temp", .backup)])
  func dropsConversion(schema: String, replacement: Replacement) throws {
    // The conversion writes about a hundred pages, one at each wait.
    for limit in stride(from: 0, to: 140, by: 7) {
      // Everything fits into memory until the budget shrinks.
      let connection = try Connection("/a.db", environment: MemoryEnvironment(seed: UInt64(limit), completesAtOnce: false))
      try connection.execute(
        """
        ATTACH '' AS x; PRAGMA \(schema).page_size = 512; CREATE TABLE \(schema).t(id INTEGER PRIMARY KEY, k, v);
        WITH RECURSIVE s(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM s WHERE i < 150)
        INSERT INTO \(schema).t SELECT i, i, hex(zeroblob(100)) FROM s;
        DELETE FROM \(schema).t WHERE id % 3 = 0; PRAGMA \(schema).cache_size = 8;
        """)
      #expect(try !Self.run(connection, "UPDATE \(schema).t SET k = k + 1000", limit: limit))
      var due = try Self.contents(connection, schema)
      switch replacement {
      case .vacuum:
        try connection.execute("VACUUM \(schema)")
      case .backup:
        let other = try Connection("/b.db", environment: MemoryEnvironment())
        try other.execute(
          """
          PRAGMA page_size = 512; CREATE TABLE t(id INTEGER PRIMARY KEY, k, v);
          WITH RECURSIVE s(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM s WHERE i < 120)
          INSERT INTO t SELECT i, -i, hex(zeroblob(90)) FROM s;
          """)
        due = try Self.contents(other, "main")
        let backup = try connection.makeBackup(into: schema, from: other)
        while !(try connection.block { () throws(Fault) in try backup.step(pages: -1) }) {}
        try connection.block { () throws(Fault) in try backup.finish() }
      }
      try connection.execute("INSERT INTO \(schema).t VALUES (1000, 1, 'x'); UPDATE \(schema).t SET k = k + 1 WHERE id = 1000")
      #expect(try Self.contents(connection, schema).dropLast() == due[...], "wait \(limit)")
      #expect(try connection.text("PRAGMA \(schema).integrity_check") == ["ok"], "wait \(limit)")
    }
  }

  enum Then: CaseIterable { case rollback, rollbackTo, commit }

  @Test("a COMMIT that is dropped in a temporary database can be undone, in part too", arguments: temporaries, Then.allCases)
  func dropsCommit(schema: String, then: Then) throws {
    var limit = 0
    var isOver = false
    while !isOver {
      let connection = try Self.temporary(schema, UInt64(limit))
      let before = try Self.contents(connection, schema)
      try connection.execute("BEGIN; UPDATE \(schema).t SET k = k + 500 WHERE id < 9")
      let first = try Self.contents(connection, schema)
      try connection.execute(
        "SAVEPOINT s; UPDATE \(schema).t SET v = hex(zeroblob(60)), k = 7 WHERE id % 3 = 0; UPDATE m SET a = 2")
      let all = try Self.contents(connection, schema)
      isOver = try Self.run(connection, "COMMIT", limit: limit)
      if isOver { break }
      let place: Comment = "wait \(limit)"
      var due = all
      switch then {
      case .rollback:
        if connection.refusal("ROLLBACK") == nil { due = before } else { try? connection.execute("ROLLBACK") }
      case .rollbackTo:
        if connection.refusal("ROLLBACK TO s") == nil { due = first }
        try? connection.execute("COMMIT")
      case .commit: try? connection.execute("COMMIT")
      }
      try? connection.execute("ROLLBACK")
      #expect(try Self.contents(connection, schema) == due, place)
      #expect(try connection.value("SELECT a FROM m") == (due == all ? "2" : "1"), place)
      #expect(try connection.text("PRAGMA \(schema).integrity_check") == ["ok"], place)
      limit += 1
    }
    #expect(limit > 5)
  }

  @Test("where a temporary database has no room, COMMIT fails for the file beside it too", arguments: ["delete", "truncate", "wal"])
  func temporaryWithoutRoom(mode: String) throws {
    var failures = 0
    for room in stride(from: 60_000, to: 200_000, by: 8_000) {
      let environment = MemoryEnvironment(fileByteCountMax: Int64(room))
      let connection = try Connection("/a.db", environment: environment)
      try connection.execute(
        """
        PRAGMA page_size = 512; PRAGMA journal_mode = \(mode); CREATE TABLE m(a); INSERT INTO m VALUES (1);
        PRAGMA temp.cache_size = 8; CREATE TEMP TABLE t(id INTEGER PRIMARY KEY, v); INSERT INTO t VALUES (1, 'x');
        BEGIN; UPDATE m SET a = 2
        """)
      let filling = """
        WITH RECURSIVE s(i) AS (VALUES (2) UNION ALL SELECT i + 1 FROM s WHERE i < 400)
        INSERT INTO t SELECT i, hex(zeroblob(100)) FROM s
        """
      if connection.refusal(filling) != nil {
        try? connection.execute("ROLLBACK")
        failures += 1
        continue
      }
      let refusal = connection.refusal("COMMIT")
      if refusal != nil { failures += 1 }
      try? connection.execute("ROLLBACK")
      let other = try Connection("/a.db", environment: environment)
      for reader in [connection, other] { #expect(try reader.value("SELECT a FROM m") == (refusal == nil ? "2" : "1"), "\(room)") }
      #expect(try connection.value("SELECT count(*) FROM t") == (refusal == nil ? "400" : "1"), "\(room)")
    }
    #expect(failures > 0 && failures < 18)
  }

  // MARK: Files

  private static let modes = ["wal wal", "delete wal", "wal delete", "truncate truncate", "persist delete", "truncate wal"]

  /// Two files and a temporary database with a row each; `BEGIN` is open.
  private static func files(_ modes: String, _ seed: UInt64) throws -> (environment: MemoryEnvironment, connection: Connection) {
    let environment = MemoryEnvironment(seed: seed, completesAtOnce: false)
    let connection = try Connection("/a.db", environment: environment)
    let names = modes.split(separator: " ")
    try connection.execute(
      """
      PRAGMA page_size = 512; PRAGMA synchronous = full; PRAGMA journal_mode = \(names[0]); CREATE TABLE m(a);
      INSERT INTO m VALUES (1); ATTACH '/b.db' AS b; PRAGMA b.synchronous = full; PRAGMA b.journal_mode = \(names[1]);
      CREATE TABLE b.n(a); INSERT INTO n VALUES (1); CREATE TEMP TABLE p(a); INSERT INTO p VALUES (1); BEGIN
      """)
    return (environment, connection)
  }

  enum Behind: CaseIterable, Sendable { case rollback, commit, insert, rollbackTwice }

  @Test(
    "behind a COMMIT of several files that was dropped, all of them have it or none, and ROLLBACK says which",
    arguments: modes, Behind.allCases)
  func dropsSeveral(modes: String, behind: Behind) throws {
    var limit = 0
    var isOver = false
    while !isOver {
      let (environment, connection) = try Self.files(modes, UInt64(limit))
      // A second connection of the process: the log's commits wait for syncs with others.
      let witness = try Connection("/a.db", environment: environment)
      _ = try witness.value("SELECT a FROM m")
      try connection.execute("UPDATE m SET a = 2; UPDATE n SET a = 2; UPDATE p SET a = 2")
      isOver = try Self.run(connection, "COMMIT", limit: limit)
      if isOver { break }
      let place: Comment = "\(modes), wait \(limit), \(behind)"
      var isCommitted = false
      switch behind {
      case .rollback, .rollbackTwice:
        if let refusal = connection.refusal("ROLLBACK") {
          #expect(refusal.code == .abort, place)
          isCommitted = true
        }
        if case .rollbackTwice = behind { _ = connection.refusal("ROLLBACK") }
      case .commit:
        isCommitted = true
        if let refusal = connection.refusal("COMMIT") { #expect(refusal.code == .abort, place) }
      case .insert:
        if let refusal = connection.refusal("INSERT INTO p VALUES (9)") {
          #expect(refusal.code == .abort, place)
          isCommitted = true
          #expect(connection.refusal("ROLLBACK") != nil, place)
        } else {
          try connection.execute("ROLLBACK")
        }
      }
      let due = isCommitted ? "2" : "1"
      let other = try Connection("/b.db", environment: environment)
      #expect(try connection.row("SELECT (SELECT a FROM m), (SELECT a FROM n), (SELECT max(a) FROM p)") == [due, due, due], place)
      #expect(try other.value("SELECT a FROM n") == due, place)
      #expect(try witness.value("SELECT a FROM m") == due, place)
      limit += 1
    }
    #expect(limit > 3)
  }

  @Test("behind a dropped COMMIT of one file nothing is written to another one, unless it was taken back", arguments: modes)
  func writesElsewhere(modes: String) throws {
    var limit = 0
    var isOver = false
    while !isOver {
      let (environment, connection) = try Self.files(modes, UInt64(limit))
      try connection.execute("UPDATE m SET a = 2")
      isOver = try Self.run(connection, "COMMIT", limit: limit)
      if isOver { break }
      let place: Comment = "\(modes), wait \(limit)"
      let refusal = connection.refusal("UPDATE n SET a = 2")
      if let refusal {
        #expect(refusal.code == .abort, place)
        #expect(connection.refusal("ROLLBACK")?.code == .abort, place)
      } else {
        try connection.execute("ROLLBACK")
      }
      #expect(try connection.value("SELECT a FROM m") == (refusal == nil ? "1" : "2"), place)
      #expect(try connection.value("SELECT a FROM n") == "1", place)
      let other = try Connection("/a.db", environment: environment)
      #expect(try other.value("SELECT a FROM m") == (refusal == nil ? "1" : "2"), place)
      limit += 1
    }
    #expect(limit > 1)
  }

  @Test("the super-journal's name is the last of each journal, whatever longer one was there before")
  func nameAtTheEnd() throws {
    var named = 0
    for limit in 0..<40 {
      let environment = MemoryEnvironment(seed: UInt64(limit), completesAtOnce: false)
      let connection = try Connection("/a.db", environment: environment)
      try connection.execute(
        """
        PRAGMA page_size = 512; CREATE TABLE m(id INTEGER PRIMARY KEY, v); ATTACH '/b.db' AS b; CREATE TABLE b.n(a);
        WITH RECURSIVE s(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM s WHERE i < 200)
        INSERT INTO m SELECT i, zeroblob(400) FROM s; INSERT INTO n VALUES (1);
        PRAGMA main.cache_size = 10; BEGIN; UPDATE m SET v = zeroblob(401) WHERE id < 30; SAVEPOINT s
        """)
      try connection.execute("PRAGMA main.cache_size = 1000; UPDATE m SET v = zeroblob(399); UPDATE n SET a = 2")
      if try Self.run(connection, "COMMIT", limit: limit) { break }
      guard connection.refusal("ROLLBACK TO s") == nil else { continue }
      try connection.execute("UPDATE n SET a = 3; UPDATE m SET v = zeroblob(401) WHERE id = 90")
      let store = try #require(try connection.state.pager(0).store)
      _ = try Stepped(connection, "COMMIT").goOn { _ in
        if store.hasSuperRecord, case .countSync = store.flush {
          let bytes = environment.contents(of: "/a.db-journal")?.suffix(8)
          #expect(bytes == [0xd9, 0xd5, 0x05, 0xf9, 0x20, 0xa1, 0x63, 0xd7], "wait \(limit)")
          named += 1
        }
        return true
      }
      #expect(try connection.value("SELECT a FROM n") == "3")
      #expect(try connection.text("PRAGMA integrity_check") == ["ok"])
    }
    #expect(named > 0)
  }
}
