// VACUUM and VACUUM INTO on files that SQLite wrote: the contents stay, the file is what SQLite calls whole, and its shape is
// what the pragmas asked for.

import ApusBase
import ApusHarness
import Foundation
import Testing

@Suite("VACUUM")
struct VacuumTests {
  struct Case: CustomTestStringConvertible {
    var pageSize: Int
    var rows: Int
    var length: Int
    var journal = "delete"
    var encoding = "UTF-8"
    var autoVacuum = 0
    /// Said to our engine before its VACUUM.
    var asks = ""
    var testDescription: String { "\(pageSize), \(rows) rows to \(length), \(journal), \(autoVacuum) \(asks)" }
  }

  static let cases: [Case] = [
    Case(pageSize: 512, rows: 0, length: 1), Case(pageSize: 512, rows: 900, length: 40, journal: "wal"),
    Case(pageSize: 512, rows: 300, length: 3_000, autoVacuum: 1), Case(pageSize: 1024, rows: 1, length: 20_000),
    Case(pageSize: 1024, rows: 700, length: 90, encoding: "UTF-16le", asks: "PRAGMA page_size = 4096"),
    Case(pageSize: 4096, rows: 2_000, length: 30, asks: "PRAGMA auto_vacuum = 1; PRAGMA page_size = 512"),
    Case(pageSize: 4096, rows: 500, length: 5_000, autoVacuum: 2, asks: "PRAGMA auto_vacuum = 0"),
    Case(pageSize: 65536, rows: 400, length: 900, journal: "wal", asks: "PRAGMA auto_vacuum = 2"),
    // More than fits into memory while it is built.
    Case(pageSize: 4096, rows: 9_000, length: 3_000),
  ]

  private static let dump = """
    SELECT * FROM t; SELECT * FROM w; SELECT * FROM g; SELECT * FROM s; SELECT * FROM sqlite_sequence;
    SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY name; PRAGMA user_version; PRAGMA application_id;
    PRAGMA encoding; PRAGMA integrity_check
    """

  private static func schema(_ test: Case) -> String {
    """
    PRAGMA page_size = \(test.pageSize); PRAGMA encoding = '\(test.encoding)'; PRAGMA auto_vacuum = \(test.autoVacuum);
    PRAGMA journal_mode = \(test.journal);
    CREATE TABLE t(a INTEGER PRIMARY KEY, b, c TEXT); CREATE INDEX tb ON t(b); CREATE UNIQUE INDEX tc ON t(c, a DESC);
    CREATE TABLE w(k TEXT PRIMARY KEY, v, x BLOB) WITHOUT ROWID; CREATE INDEX wv ON w(v DESC); CREATE TABLE e(z);
    CREATE VIEW vv AS SELECT * FROM t; CREATE TABLE g(a, b AS (a * 2) STORED, c AS (a + 1));
    CREATE TRIGGER tr AFTER INSERT ON e BEGIN SELECT 1; END; CREATE TABLE s(id INTEGER PRIMARY KEY AUTOINCREMENT, q);
    INSERT INTO s(q) VALUES(1), (2); INSERT INTO g(a) VALUES(1), (5);
    WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < \(test.rows))
      INSERT INTO t SELECT x, printf('%.*c', x * 37 % \(test.length), 'b'), hex(x) || printf('%.*c', x % 7, 'é') FROM n;
    INSERT INTO w SELECT 'k' || a || substr(b, 1, 30), length(b), zeroblob(a * 101 % 5000) FROM t;
    DELETE FROM t WHERE a % 3 = 0; PRAGMA user_version = 77; PRAGMA application_id = 4711;
    """
  }

  private func rows(_ engine: any HarnessEngine, _ path: String, _ sql: String) throws -> [[HarnessValue]] {
    let connection = try engine.open(path, readOnly: false)
    defer { connection.close() }
    var found: [[HarnessValue]] = []
    for statement in sql.split(separator: ";") { found += try connection.rows(String(statement)).rows }
    return found
  }

  @Test("keeps the contents and makes the file whole", arguments: cases)
  func keepsContents(_ test: Case) throws {
    let path = NSTemporaryDirectory() + "apus-vacuum-\(UUID().uuidString).db"
    let copy = path + "-into"
    defer {
      for suffix in ["", "-journal", "-wal", "-shm", "-into", "-into-journal"] {
        try? FileManager.default.removeItem(atPath: path + suffix)
      }
    }
    let sqlite = try SQLiteLibrary(), ours = ApusEngine()
    let writer = try sqlite.open(path, readOnly: false)
    try writer.execute(Self.schema(test))
    writer.close()
    let before = try rows(sqlite, path, Self.dump)
    let connection = try ours.open(path, readOnly: false)
    try connection.execute(test.asks)
    try connection.execute("VACUUM; VACUUM INTO '\(copy)'")
    #expect(throws: EngineFailure.self) { try connection.execute("VACUUM INTO '\(copy)'") }
    #expect(throws: EngineFailure.self) { try connection.execute("BEGIN; VACUUM") }
    connection.close()
    for file in [path, copy] {
      #expect(try rows(sqlite, file, Self.dump) == before, "\(test.testDescription): \(file)")
      #expect(try rows(sqlite, file, "PRAGMA freelist_count") == [[.integer(0)]])
      for ask in test.asks.split(separator: ";") {
        let words = ask.split(separator: " ")
        #expect(try rows(sqlite, file, "PRAGMA \(words[1])") == [[.integer(Int64(words[3]) ?? -1)]], "\(ask)")
      }
    }
  }

  @Test("rows behind 4 GiB, the page of the lock bytes in between, and the largest page")
  func reachesFar() throws {
    let path = NSTemporaryDirectory() + "apus-far-\(UUID().uuidString).db"
    defer { for suffix in ["", "-journal"] { try? FileManager.default.removeItem(atPath: path + suffix) } }
    let sqlite = try SQLiteLibrary(), ours = ApusEngine()
    let writer = try sqlite.open(path, readOnly: false)
    try writer.execute("PRAGMA page_size = 4096; CREATE TABLE t(a INTEGER PRIMARY KEY, b)")
    writer.close()
    // The header counts pages that are a hole: one short of the lock bytes' page, then one behind 4 GiB.
    for count in [262_144, 1_100_000] as [UInt32] {
      let file = try #require(FileHandle(forUpdatingAtPath: path))
      try file.truncate(atOffset: UInt64(count) * 4096)
      try file.seek(toOffset: 28)
      try file.write(contentsOf: Data([24, 16, 8, 0].map { UInt8(truncatingIfNeeded: count >> UInt32($0)) }))
      try file.close()
      let connection = try ours.open(path, readOnly: false)
      try connection.execute("INSERT INTO t(b) VALUES(zeroblob(60000)), ('x')")
      let pages = try connection.rows("PRAGMA page_count").rows
      #expect(pages == [[.integer(Int64(count) + (count == 262_144 ? 15 : 16))]])
      let most = try connection.rows("PRAGMA max_page_count = \(count + 18)").rows
      #expect(most == [[.integer(Int64(count) + 18)]])
      #expect(throws: EngineFailure(code: 13, message: "database or disk is full")) {
        try connection.execute("INSERT INTO t(b) VALUES(zeroblob(90000))")
      }
      connection.close()
      let found = try rows(sqlite, path, "SELECT length(b) FROM t ORDER BY a DESC LIMIT 2; PRAGMA page_count")
      #expect(found == [[.integer(1)], [.integer(60_000)], pages[0]])
    }
  }
}
