// AUTOINCREMENT: what INSERT gives and keeps, statement by statement as SQLite has it, and the schema with it.

import ApusHarness
import Testing

@Suite("Differential: AUTOINCREMENT", .timeLimit(.minutes(20)))
struct AutoincrementTests {
  private struct Pair {
    let ours: any HarnessConnection
    let reference: any HarnessConnection

    init() throws {
      ours = try ApusEngine().open(":memory:", readOnly: false)
      reference = try SQLiteLibrary().open(":memory:", readOnly: false)
    }

    private func run(_ connection: any HarnessConnection, _ sql: String) -> String {
      do throws(EngineFailure) {
        return try connection.rows(sql).rows.map { "\($0)" }.joined(separator: " ")
      } catch {
        return "\(error)"
      }
    }

    /// The same answer from both, and the same sequences behind it.
    func both(_ sql: String) {
      let looks = [
        sql, "SELECT last_insert_rowid()", "SELECT * FROM sqlite_sequence ORDER BY rowid",
        "SELECT type, name, tbl_name, rootpage, sql FROM sqlite_schema",
      ]
      for look in looks {
        let expected = run(reference, look), found = run(ours, look)
        #expect(found == expected, "\(sql): \(look)")
      }
    }

    func close() {
      ours.close()
      reference.close()
    }
  }

  private static let scripts: [[String]] = [
    [
      "CREATE TABLE t(id INTEGER PRIMARY KEY AUTOINCREMENT, v UNIQUE)", "INSERT INTO t(v) VALUES ('a'), ('b')",
      "DELETE FROM t", "INSERT INTO t(v) VALUES ('c')", "INSERT INTO t VALUES (50, 'd')",
      "INSERT INTO t VALUES (7, 'e')",
      "INSERT INTO t VALUES (NULL, 'f')", "INSERT INTO t(rowid, v) VALUES (60, 'g')",
      "INSERT OR IGNORE INTO t VALUES (90, 'g')",
      "INSERT INTO t(v) VALUES ('h')", "INSERT INTO t VALUES (200, 'h')", "INSERT INTO t(v) VALUES ('i')",
      "REPLACE INTO t VALUES (300, 'i')", "REPLACE INTO t VALUES (NULL, 'a')",
      "INSERT OR FAIL INTO t VALUES (400, 'j'), (500, 'a')",
      "INSERT INTO t(v) VALUES ('k')", "INSERT INTO t VALUES ('x', 'l')", "INSERT INTO t VALUES (-5, 'm')",
      "SELECT * FROM t",
      "UPDATE t SET id = 9000 WHERE v = 'k'", "INSERT INTO t(v) VALUES ('n')", "INSERT INTO t DEFAULT VALUES",
    ],
    [
      "CREATE TABLE t(id INTEGER PRIMARY KEY AUTOINCREMENT, v)",
      "CREATE TABLE \"T 2\"(v, id INTEGER PRIMARY KEY AUTOINCREMENT)",
      "INSERT INTO t(v) SELECT 1 WHERE 0", "INSERT INTO \"t 2\"(v) VALUES (1), (2), (3)",
      "INSERT INTO t(v) SELECT id FROM \"T 2\"",
      "INSERT INTO t(v) SELECT v FROM t", "INSERT INTO t SELECT id + 100, v FROM t WHERE id > 4", "SELECT * FROM t",
      "DELETE FROM sqlite_sequence WHERE name = 't'", "INSERT INTO t(v) VALUES (1)",
      "UPDATE sqlite_sequence SET seq = 1000",
      "INSERT INTO t(v) VALUES (2)", "INSERT INTO \"T 2\"(v) VALUES (2)",
      "UPDATE sqlite_sequence SET seq = 'abc' WHERE name = 't'",
      "INSERT INTO t(v) VALUES (3)", "UPDATE sqlite_sequence SET seq = '2000x' WHERE name = 't'",
      "INSERT INTO t(v) VALUES (3)",
      "UPDATE sqlite_sequence SET seq = NULL WHERE name = 't'", "INSERT INTO t(v) VALUES (4)", "SELECT * FROM t",
      "INSERT INTO sqlite_sequence VALUES ('t', 5000)", "INSERT INTO t(v) VALUES (5)", "DROP TABLE t",
      "CREATE TABLE t(id INTEGER PRIMARY KEY AUTOINCREMENT)", "INSERT INTO t DEFAULT VALUES", "SELECT * FROM t",
      "DROP TABLE \"T 2\"",
      "DROP TABLE sqlite_sequence", "CREATE TABLE IF NOT EXISTS t(id INTEGER PRIMARY KEY AUTOINCREMENT)",
      "PRAGMA integrity_check",
    ],
    [
      "CREATE TABLE t(id INTEGER PRIMARY KEY AUTOINCREMENT, v NOT NULL CHECK (v > 0))", "BEGIN",
      "INSERT INTO t(v) VALUES (1)",
      "SAVEPOINT s", "INSERT INTO t(v) VALUES (2), (3)", "ROLLBACK TO s", "INSERT INTO t(v) VALUES (4)", "COMMIT",
      "INSERT INTO t(v) VALUES (5), (0)", "INSERT INTO t(v) VALUES (6), (NULL)",
      "INSERT OR IGNORE INTO t(v) VALUES (NULL), (7)",
      "INSERT OR ROLLBACK INTO t(v) VALUES (8), (-1)", "BEGIN", "INSERT INTO t(v) VALUES (9)", "ROLLBACK",
      "SELECT * FROM t",
      "INSERT INTO t VALUES (9223372036854775806, 1)", "INSERT INTO t(v) VALUES (2)", "INSERT INTO t(v) VALUES (3)",
      "DELETE FROM t WHERE id > 100", "INSERT INTO t(v) VALUES (3)", "UPDATE sqlite_sequence SET seq = 5",
      "INSERT INTO t(v) VALUES (3)",
      "INSERT INTO t VALUES (9223372036854775807, 1)", "UPDATE sqlite_sequence SET seq = 9223372036854775805",
      "INSERT INTO t(v) VALUES (3)", "SELECT * FROM t", "PRAGMA integrity_check",
    ],
    [
      "CREATE TABLE w(id INTEGER PRIMARY KEY AUTOINCREMENT, v) WITHOUT ROWID",
      "CREATE TABLE w(id INT PRIMARY KEY AUTOINCREMENT)",
      "CREATE TABLE plain(id INTEGER PRIMARY KEY)", "INSERT INTO plain DEFAULT VALUES",
      "CREATE TABLE u(a UNIQUE, b UNIQUE, id INTEGER PRIMARY KEY AUTOINCREMENT)", "INSERT INTO u(a, b) VALUES (1, 2)",
      "CREATE TABLE v(id INTEGER PRIMARY KEY AUTOINCREMENT)", "INSERT INTO v DEFAULT VALUES", "DELETE FROM v",
      "INSERT INTO v DEFAULT VALUES", "SELECT * FROM v", "DELETE FROM sqlite_sequence", "INSERT INTO v DEFAULT VALUES",
      "INSERT INTO u(a, b) SELECT seq, name FROM sqlite_sequence", "SELECT * FROM u",
    ],
  ]

  @Test("row ids, sequences and the schema are SQLite's", arguments: scripts)
  func isSQLites(script: [String]) throws {
    let pair = try Pair()
    for sql in script { pair.both(sql) }
    pair.close()
  }
}
