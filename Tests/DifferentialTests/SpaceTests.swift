// dbstat: its rows are SQLite's, on files that SQLite wrote, on damaged ones, and for every way of asking.

import ApusBase
import ApusHarness
import Foundation
import Testing

@Suite("Differential: dbstat", .timeLimit(.minutes(20)))
struct SpaceTests {
  struct Shape: CustomTestStringConvertible {
    var pageSize: Int
    var encoding = "UTF-8"
    var journal = "delete"
    var autoVacuum = 0
    var rows = 400
    var testDescription: String { "\(pageSize) \(encoding) \(journal) \(autoVacuum) \(rows)" }
  }

  static let shapes: [Shape] = [
    Shape(pageSize: 512), Shape(pageSize: 512, autoVacuum: 1, rows: 3_000), Shape(pageSize: 1024, encoding: "UTF-16le"),
    Shape(pageSize: 1024, encoding: "UTF-16be", journal: "wal"), Shape(pageSize: 4096, journal: "wal", rows: 2_000),
    Shape(pageSize: 4096, autoVacuum: 2), Shape(pageSize: 65536), Shape(pageSize: 512, rows: 0),
  ]

  private static func make(_ shape: Shape, _ path: String) throws {
    let writer = try SQLiteLibrary().open(path, readOnly: false)
    defer { writer.close() }
    try writer.execute(
      """
      PRAGMA page_size = \(shape.pageSize); PRAGMA encoding = '\(shape.encoding)'; PRAGMA auto_vacuum = \(shape.autoVacuum);
      PRAGMA journal_mode = \(shape.journal);
      CREATE TABLE t(a INTEGER PRIMARY KEY, b, c TEXT); CREATE INDEX tb ON t(b); CREATE UNIQUE INDEX tc ON t(c, a DESC);
      CREATE TABLE w(k TEXT PRIMARY KEY, v, x BLOB) WITHOUT ROWID; CREATE TABLE "e é"(z); CREATE VIEW vv AS SELECT * FROM t;
      CREATE TABLE s(id INTEGER PRIMARY KEY AUTOINCREMENT, q UNIQUE);
      WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < \(shape.rows))
        INSERT INTO t SELECT x, printf('%.*c', x * 37 % 700, 'b'), hex(x) || printf('%.*c', x % 7, 'é') FROM n
        WHERE \(shape.rows) > 0;
      INSERT INTO w SELECT 'k' || a || substr(b, 1, 200), length(b), zeroblob(a * 101 % 5000) FROM t;
      INSERT INTO s(q) SELECT c FROM t WHERE a % 2; DELETE FROM t WHERE a % 3 = 0; DELETE FROM w WHERE v % 5 = 1;
      """)
  }

  private static func temporaryPath() -> String { NSTemporaryDirectory() + "apus-dbstat-\(UUID().uuidString).db" }

  private static func remove(_ path: String) {
    for suffix in ["", "-journal", "-wal", "-shm"] { try? FileManager.default.removeItem(atPath: path + suffix) }
  }

  private static func answer(_ connection: any HarnessConnection, _ sql: String) -> String {
    do throws(EngineFailure) {
      let table = try connection.rows(sql)
      return "\(table.columns)\n" + table.rows.map { "\($0)" }.joined(separator: "\n")
    } catch {
      return error.message
    }
  }

  /// SQLite 3.40 tells the offset of another page for overflow pages, which later versions do not.
  private static let columns = """
    name, path, pageno, pagetype, ncell, payload, unused, mx_payload, iif(pagetype = 'overflow', 0, pgoffset), pgsize
    """

  private static let queries = [
    "SELECT \(columns) FROM dbstat", "SELECT *, schema, aggregate FROM dbstat WHERE aggregate = 1",
    "SELECT * FROM dbstat WHERE aggregate = TRUE", "SELECT *, aggregate FROM dbstat('main', 1)",
    "SELECT count(*) FROM dbstat WHERE aggregate = 2", "SELECT count(*) FROM dbstat WHERE aggregate = '1'",
    "SELECT count(*) FROM dbstat WHERE schema = 'MAIN'", "SELECT count(*) FROM dbstat WHERE schema = NULL",
    "SELECT count(*) FROM dbstat WHERE schema = 'nosuch'", "SELECT count(*) FROM dbstat('temp')",
    "SELECT \(columns) FROM dbstat WHERE name = 't'", "SELECT * FROM dbstat WHERE name = 'sqlite_schema' AND aggregate = 1",
    "SELECT * FROM dbstat WHERE name = 'T'", "SELECT name, path, pageno FROM dbstat ORDER BY name",
    "SELECT name, path FROM dbstat ORDER BY name, path", "SELECT name, sum(pgsize), sum(unused) FROM dbstat GROUP BY name",
    "SELECT s.type, d.name, d.pageno, d.payload FROM sqlite_schema s JOIN dbstat d ON d.name = s.name WHERE aggregate = 1",
    "SELECT s.name, (SELECT sum(pgsize) FROM dbstat WHERE name = s.name) FROM sqlite_schema s",
    "SELECT s.name, d.ncell FROM sqlite_schema s LEFT JOIN dbstat d ON d.name = s.name AND d.aggregate = 1",
    "SELECT d.name FROM main.dbstat AS d WHERE d.schema = 'main' AND pagetype = 'overflow' LIMIT 5",
    "SELECT total(pgsize) FROM dbstat", "SELECT max(mx_payload), min(unused) FROM dbstat WHERE pagetype <> 'internal'",
    "SELECT pgoffset / pgsize + 1 = pageno, count(*) FROM dbstat WHERE pagetype <> 'overflow' GROUP BY 1",
    "SELECT * FROM dbstat('main', 1, 2)",
    "WITH dbstat AS (SELECT 1 AS x) SELECT * FROM dbstat",
    "SELECT * FROM nosuch.dbstat WHERE aggregate = 1",
  ]

  @Test("every figure is SQLite's", arguments: shapes)
  func figures(_ shape: Shape) throws {
    let path = Self.temporaryPath()
    defer { Self.remove(path) }
    try Self.make(shape, path)
    let sqlite = try SQLiteLibrary().open(path, readOnly: false), ours = try ApusEngine().open(path, readOnly: false)
    defer {
      ours.close()
      sqlite.close()
    }
    for sql in Self.queries {
      let expected = Self.answer(sqlite, sql), found = Self.answer(ours, sql)
      #expect(found == expected, "\(shape.testDescription): \(sql)")
    }
    #expect(try ours.rows("SELECT count(*) FROM dbstat WHERE pgoffset <> pgsize * (pageno - 1)").rows == [[.integer(0)]])
    let plan = try ours.rows("EXPLAIN QUERY PLAN SELECT * FROM dbstat d WHERE name = 't' AND aggregate = 1")
    #expect(plan.rows.last?.last == .text("SCAN d VIRTUAL TABLE INDEX 0x6:"))
    // Every page of the file is in a tree or free.
    let used = try ours.rows("SELECT count(*), count(DISTINCT pageno) FROM dbstat").rows[0]
    #expect(used[0] == used[1])
    if shape.autoVacuum == 0 {
      let all = try ours.rows("PRAGMA page_count").rows[0][0]
      let free = try ours.rows("PRAGMA freelist_count").rows[0][0]
      if case .integer(let pages) = all, case .integer(let unused) = free { #expect(used[0] == .integer(pages - unused)) }
    }
  }

  @Test("attached and temporary databases, uncommitted changes, views and names")
  func connections() throws {
    let directory = NSTemporaryDirectory() + "apus-dbstat-\(UUID().uuidString)"
    try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: directory) }
    let sqlite = try SQLiteLibrary().open(directory + "/s.db", readOnly: false)
    let ours = try ApusEngine().open(directory + "/a.db", readOnly: false)
    defer {
      ours.close()
      sqlite.close()
    }
    for sql in [
      "SELECT * FROM dbstat", "CREATE TABLE t(a, b)", "ATTACH ':memory:' AS k", "CREATE TABLE k.u(c UNIQUE)",
      "INSERT INTO k.u VALUES (zeroblob(9000)), (2)", "SELECT \(Self.columns), schema FROM dbstat WHERE schema = 'k'",
      "SELECT *, schema FROM dbstat('K', 1)", "CREATE TEMP TABLE z(q)", "SELECT *, schema FROM dbstat('temp')",
      "SELECT *, schema FROM dbstat WHERE schema = lower('TEMP') AND name = 'z'", "BEGIN",
      "INSERT INTO t VALUES (zeroblob(20000), 1)", "SELECT \(Self.columns) FROM dbstat", "ROLLBACK", "SELECT * FROM dbstat",
      "CREATE VIEW v AS SELECT * FROM dbstat", "SELECT * FROM v", "CREATE TEMP VIEW tv AS SELECT name FROM dbstat",
      "SELECT * FROM tv", "DELETE FROM dbstat", "INSERT INTO dbstat(name) VALUES (1)", "UPDATE dbstat SET name = 1",
      "DROP TABLE dbstat", "PRAGMA table_info(dbstat)", "CREATE TABLE dbstat(x)", "SELECT * FROM dbstat",
      "INSERT INTO dbstat VALUES (7)", "SELECT * FROM dbstat", "DROP TABLE dbstat", "SELECT name FROM dbstat",
    ] {
      let expected = Self.answer(sqlite, sql), found = Self.answer(ours, sql)
      #expect(found == expected, "\(sql)")
    }
    // What would need a walk for each row of another table is refused by name.
    for sql in [
      "SELECT count(*) FROM dbstat WHERE schema IN ('main', 'temp')",
      "SELECT count(*) FROM t, dbstat WHERE dbstat.aggregate = t.b",
    ] {
      #expect(Self.answer(ours, sql).hasPrefix("not supported"), "\(sql): \(Self.answer(ours, sql))")
    }
  }

  @Test("a damaged file gives SQLite's rows or an error", arguments: UInt64(1)...40)
  func damage(seed: UInt64) throws {
    let path = Self.temporaryPath()
    defer { Self.remove(path) }
    try Self.make(Shape(pageSize: seed % 2 == 0 ? 512 : 1024, rows: 250), path)
    var bytes = [UInt8](try Data(contentsOf: URL(fileURLWithPath: path)))
    var random = SeededRandom(seed: seed)
    let pageSize = seed % 2 == 0 ? 512 : 1024
    for _ in 0..<random.below(6) + 1 {
      // Heads of pages, cell pointers and cells; the schema's own page stays.
      let page = 1 + random.below(bytes.count / pageSize - 1)
      let offset = random.below(3) == 0 ? random.below(pageSize) : random.below(24)
      bytes[page * pageSize + offset] = UInt8(truncatingIfNeeded: random.next())
    }
    try Data(bytes).write(to: URL(fileURLWithPath: path))
    let sqlite = try SQLiteLibrary().open(path, readOnly: true), ours = try ApusEngine().open(path, readOnly: true)
    defer {
      ours.close()
      sqlite.close()
    }
    // SQLite walks trees that share pages again and again; where we give rows, the file has not so many.
    for condition in ["", "WHERE name = 'tc'"] {
      let sql = "SELECT \(Self.columns) FROM dbstat \(condition) LIMIT 20000"
      let found = Self.answer(ours, sql)
      if found.hasPrefix("[") {
        let expected = Self.answer(sqlite, sql)
        #expect(found == expected, "seed \(seed)")
      } else {
        #expect(found == "database disk image is malformed", "seed \(seed)")
      }
    }
  }
}
