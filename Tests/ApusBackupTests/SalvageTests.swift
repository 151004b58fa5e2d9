// Salvage: all of a sound file, most of a damaged one, and never a trap.

import Apus
import ApusBase
import ApusIO
import Testing

@testable import ApusBackup

@Suite struct SalvageTests {
  func made(_ environment: any Environment) throws {
    let connection = try Connection("/a.db", environment: environment)
    try connection.execute(
      """
      PRAGMA page_size = 1024;
      CREATE TABLE t(a INTEGER PRIMARY KEY, b TEXT, c REAL); CREATE INDEX i ON t(b);
      CREATE TABLE w(x TEXT, y, z, PRIMARY KEY(y, x)) WITHOUT ROWID;
      CREATE TABLE plain(p, q);
      CREATE VIEW v AS SELECT a FROM t;
      WITH RECURSIVE c(n) AS (VALUES(1) UNION ALL SELECT n + 1 FROM c WHERE n < 400)
        INSERT INTO t SELECT n * 3, 'it''s row ' || n, n / 4.0 FROM c;
      INSERT INTO w SELECT b, a, c FROM t WHERE a < 300;
      INSERT INTO plain SELECT randomblob(a * 7), NULL FROM t WHERE a < 400;
      """)
    try connection.closeBlocking()
  }

  func number(_ path: String, _ sql: String, _ environment: any Environment) throws -> Int64 {
    let connection = try Connection(path, environment: environment)
    let statement = try connection.prepareBlocking(sql)
    defer {
      statement.finalize()
      try? connection.closeBlocking()
    }
    #expect(try statement.stepBlocking())
    return statement.column(0).asInteger
  }

  @Test("a sound file comes back row by row")
  func sound() throws {
    let environment = MemoryEnvironment()
    try made(environment)
    let recovery = try Recovery.run(environment, from: "/a.db", to: "/b.db")
    #expect(recovery.refused == 0 && recovery.lostRows == 0, "\(recovery)")
    for sql in [
      "SELECT count(*) FROM t", "SELECT sum(a) FROM t", "SELECT sum(length(b)) FROM t", "SELECT total(c) FROM t",
      "SELECT count(*) FROM w", "SELECT sum(y) FROM w", "SELECT sum(length(p)) FROM plain", "SELECT max(rowid) FROM plain",
      "SELECT count(*) FROM v", "SELECT count(*) FROM t INDEXED BY i WHERE b > ''", "SELECT count(*) FROM sqlite_schema",
    ] {
      #expect(try number("/b.db", sql, environment) == number("/a.db", sql, environment), "\(sql)")
    }
    #expect(throws: EngineError.self) { try Recovery.run(environment, from: "/a.db", to: "/b.db") }
  }

  @Test("where the rows do not fit there is an error and no file", arguments: [4, 20, 60, 120])
  func fullDisk(kilobytes: Int64) throws {
    let roomy = MemoryEnvironment()
    try made(roomy)
    let source = try #require(roomy.contents(of: "/a.db"))
    #expect(source.count > 140 << 10)
    let environment = MemoryEnvironment(fileByteCountMax: kilobytes << 10)
    environment.setContents(of: "/a.db", to: source)
    do {
      let recovery = try Recovery.run(environment, from: "/a.db", to: "/b.db")
      Issue.record("\(recovery)")
    } catch {
      #expect(error.code == .full, "\(error)")
    }
    #expect(environment.paths == ["/a.db"])
  }

  /// A database whose schema says what the rows of `changes` make it say.
  private func crafted(_ environment: MemoryEnvironment, _ changes: String) throws {
    let connection = try Connection("/a.db", environment: environment)
    try connection.execute(
      """
      CREATE TABLE t(a, b, c, d, e); INSERT INTO t VALUES ('table', 'x', 'x', 0, 'CREATE TABLE x(a)'), (1, 2, 3, 4, 5);
      CREATE TABLE u(a); INSERT INTO u VALUES (7); CREATE INDEX i ON u(a); CREATE VIEW v AS SELECT a FROM u;
      PRAGMA writable_schema = on; \(changes)
      """)
    try connection.closeBlocking()
  }

  private static let foreign = [
    "ROLLBACK", "COMMIT", "COMMIT;", "ATTACH '/c.db' AS c", "SELECT 1", "", "EXPLAIN CREATE TABLE t(a)", "CREATE TABLE t",
    "CREATE TABLE t AS SELECT 1 AS a", "CREATE TABLE another(a)", "CREATE TABLE t(a); ATTACH '/c.db' AS c; CREATE TABLE c.z(a)",
    "CREATE TABLE t(a); COMMIT; DROP TABLE u",
  ]

  @Test("of the schema's text only the definitions are run", arguments: ["table", "index", "view", "trigger"], foreign)
  func runsNothingElse(type: String, text: String) throws {
    let environment = MemoryEnvironment()
    let name = ["table": "t", "index": "i", "view": "v", "trigger": "r"][type] ?? ""
    var text = text
    switch type {
    case "index": text = text.replacing("TABLE t(a)", with: "INDEX i ON u(a)")
    case "view": text = text.replacing("TABLE t(a)", with: "VIEW v AS SELECT 1")
    case "trigger": text = text.replacing("TABLE t(a)", with: "TRIGGER r AFTER INSERT ON u BEGIN SELECT 1; END")
    default: break
    }
    try crafted(
      environment,
      """
      INSERT INTO sqlite_schema SELECT 'trigger', 'r', 'u', 0, '' WHERE '\(name)' = 'r';
      UPDATE sqlite_schema SET sql = '\(text.replacing("'", with: "''"))' WHERE name = '\(name)'
      """)
    let recovery = try Recovery.run(environment, from: "/a.db", to: "/b.db")
    #expect(recovery.refused == 1 && recovery.firstRefusal?.contains("\(type) \(name)") == true, "\(recovery)")
    #expect(environment.paths == ["/a.db", "/b.db"])
    // The other definitions are all there, and a table's rows are not lost with its own.
    let isTable = type == "table"
    #expect(recovery.rows == (isTable ? 1 : 3) && recovery.lostRows == (isTable ? 2 : 0), "\(recovery)")
    #expect(try number("/b.db", "SELECT count(*) FROM sqlite_schema", environment) == (type == "index" || type == "view" ? 3 : 4))
    #expect(try number("/b.db", "SELECT sum(a) FROM u", environment) == 7)
  }

  @Test(
    "a table with a name of the engine's own makes no rows of the new schema",
    arguments: ["SQLITE_MASTER", "sqlite_schema", "Sqlite_Sequence", "SQLITE_STAT1", "sqlite_x"])
  func ownNames(name: String) throws {
    let environment = MemoryEnvironment()
    try crafted(
      environment,
      """
      UPDATE sqlite_schema SET name = '\(name)', tbl_name = '\(name)',
        sql = 'CREATE TABLE \(name)(type, name, tbl_name, rootpage, sql)'
        WHERE name = 't'
      """)
    let recovery = try Recovery.run(environment, from: "/a.db", to: "/b.db")
    #expect(environment.paths == ["/a.db", "/b.db"])
    #expect(try number("/b.db", "SELECT count(*) FROM sqlite_schema WHERE name IN ('x', '\(name)')", environment) == 0)
    #expect(try number("/b.db", "SELECT sum(a) FROM u", environment) == 7)
    if ["SQLITE_MASTER", "sqlite_schema", "sqlite_x"].contains(name) {
      #expect(recovery.refused == 1 && recovery.lostRows == 2, "\(recovery)")
    }
  }

  @Test("the entries of a constraint's index are no lost rows")
  func constraintIndexes() throws {
    let environment = MemoryEnvironment()
    let connection = try Connection("/a.db", environment: environment)
    try connection.execute("CREATE TABLE t(a UNIQUE, b, PRIMARY KEY(b, a)); INSERT INTO t VALUES (1, 2), (3, 4)")
    try connection.closeBlocking()
    let recovery = try Recovery.run(environment, from: "/a.db", to: "/b.db")
    #expect(recovery.rows == 2 && recovery.lostRows == 0 && recovery.refused == 0, "\(recovery)")
  }

  @Test("definitions are taken over without what stands around them")
  func takesDefinitions() throws {
    let environment = MemoryEnvironment()
    try crafted(
      environment,
      """
      UPDATE sqlite_schema SET sql = 'create table if not exists main.U(a) -- the end' WHERE name = 'u';
      UPDATE sqlite_schema SET sql = '/* unique */ CREATE UNIQUE INDEX temp."I" ON u(a);' WHERE name = 'i';
      """)
    var statements: [String] = []
    let salvage = try Salvage(environment, "/a.db") { statements.append($0) }
    salvage.run()
    #expect(salvage.refusedCount == 0)
    #expect(statements.contains("CREATE TABLE U(a);") && statements.contains("CREATE UNIQUE INDEX \"I\" ON u(a);"), "\(statements)")
  }

  @Test("a source that has the name under which the target is made is refused", arguments: ["", "-journal", "-wal", "-shm"])
  func keepsItsSource(suffix: String) throws {
    let environment = MemoryEnvironment()
    try made(environment)
    try DatabaseArchive.backup(environment, from: "/a.db", to: "/a.zst")
    let name = "/b.db-partial" + suffix
    for (source, call) in [
      ("/a.db", { try Recovery.run(environment, from: name, to: "b.db") }),
      ("/a.zst", { try DatabaseArchive.restore(environment, from: name, to: "b.db", replaces: true) }),
      ("/a.db", { try DatabaseArchive.backup(environment, from: name, to: "b.db", replaces: true) }),
    ] as [(String, () throws -> Any)] {
      let bytes = try #require(environment.contents(of: source))
      environment.setContents(of: name, to: bytes)
      let error = try #require(throws: EngineError.self) { _ = try call() }
      #expect(error.code == .cannotOpen && error.object == name && error.hint != nil, "\(error)")
      #expect(environment.contents(of: name) == bytes)
      #expect(environment.contents(of: "/b.db") == nil)
    }
  }

  @Test("without its schema the rows lie in lost_and_found")
  func lostSchema() throws {
    let environment = MemoryEnvironment()
    try made(environment)
    var bytes = try #require(environment.contents(of: "/a.db"))
    for index in 0..<1024 { bytes[index] = 0 }
    environment.setContents(of: "/a.db", to: bytes)
    let recovery = try Recovery.run(environment, from: "/a.db", to: "/b.db")
    #expect(recovery.lostRows > 900, "\(recovery)")
    #expect(try number("/b.db", "SELECT count(*) FROM lost_and_found WHERE c1 LIKE 'it''s row %' AND id > 0", environment) >= 400)
  }

  @Test("damage costs the rows of the damaged pages, no others", arguments: UInt64(1)...8)
  func damagedPages(seed: UInt64) throws {
    let environment = MemoryEnvironment()
    try made(environment)
    let good = try #require(environment.contents(of: "/a.db"))
    var random = SeededRandom(seed: seed)
    var bad = good
    let page = 1 + random.below(good.count / 1024 - 1)
    for index in 0..<1024 { bad[page * 1024 + index] = UInt8(truncatingIfNeeded: random.next()) }
    environment.setContents(of: "/a.db", to: bad)
    let recovery = try Recovery.run(environment, from: "/a.db", to: "/b.db")
    let all = 400 + 99 + 133
    // A page holds at most 60 rows here; an inner page's children are found without it.
    #expect(recovery.rows + recovery.lostRows >= all - 60, "seed \(seed), page \(page + 1): \(recovery)")
  }

  @Test("a chain that leads back to itself ends, and a cell that many pointers name is one row")
  func loopingChain() throws {
    let environment = MemoryEnvironment()
    let connection = try Connection("/a.db", environment: environment)
    // Of the row's bytes 123 lie in the leaf.
    try connection.execute("PRAGMA page_size = 1024; CREATE TABLE t(a); INSERT INTO t VALUES (zeroblob(9299))")
    try connection.closeBlocking()
    var bytes = try #require(environment.contents(of: "/a.db"))
    let cell = Array(bytes[1024 + 8..<1024 + 10])
    for index in 0..<300 { bytes.replaceSubrange(1024 + 8 + 2 * index..<1024 + 10 + 2 * index, with: cell) }
    bytes.replaceSubrange(1024 + 3..<1024 + 5, with: [1, 44])
    bytes.replaceSubrange(2048..<2052, with: [0, 0, 0, 3])
    environment.setContents(of: "/a.db", to: bytes)
    var rows: [String] = []
    try Salvage(environment, "/a.db") { if $0.contains("INTO \"t\"(") { rows.append($0) } }.run()
    // What the chain does not hold is not made up of its page, again and again.
    #expect(rows == ["INSERT OR IGNORE INTO \"t\"(_rowid_, \"a\") VALUES (1, NULL);"])
  }

  @Test("no bytes make it trap", arguments: UInt64(1)...12)
  func neverTraps(seed: UInt64) throws {
    let environment = MemoryEnvironment()
    try made(environment)
    let good = try #require(environment.contents(of: "/a.db"))
    var random = SeededRandom(seed: seed)
    for _ in 0..<12 {
      var bad = good
      for _ in 0..<(1 + random.below(400)) {
        let place = random.oneIn(3) ? random.below(100) : random.below(bad.count)
        bad[place] = random.oneIn(2) ? UInt8(truncatingIfNeeded: random.next()) : [0, 1, 0x7f, 0x80, 0xff][random.below(5)]
      }
      // Heads of pages matter most.
      for _ in 0..<random.below(60) {
        bad[random.below(bad.count / 1024) * 1024 + random.below(40)] = UInt8(truncatingIfNeeded: random.next())
      }
      if random.oneIn(4) { bad.removeLast(random.below(bad.count)) }
      environment.setContents(of: "/bad.db", to: bad)
      var statements = 0
      try Salvage(environment, "/bad.db") { _ in statements += 1 }.run()
      #expect(statements >= 7)
    }
  }
}
