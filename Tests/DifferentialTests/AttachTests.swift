// Several databases in one connection: our engine and SQLite agree on rows, names, errors and their codes.

import ApusHarness
import Foundation
import Testing

@Suite("Differential: attached databases", .timeLimit(.minutes(20)))
struct AttachTests {
  /// The engines work in directories of their own; `$` in a statement is the directory, in what is compared it is again.
  private final class Side {
    let directory: String
    let connection: any HarnessConnection

    init(_ engine: any HarnessEngine, _ name: String, openOptions readOnly: Bool = false) throws {
      let url = FileManager.default.temporaryDirectory.resolvingSymlinksInPath()
        .appendingPathComponent("apus-attach-\(name)-\(UInt64.random(in: 0 ... .max))")
      try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
      directory = url.path
      connection = try engine.open("\(directory)/main.db", readOnly: readOnly)
    }

    func run(_ sql: String) -> String {
      do throws(EngineFailure) {
        let table = try connection.rows(sql.replacingOccurrences(of: "$", with: directory))
        return table.rows.map { "\($0)" }.joined(separator: "\n").replacingOccurrences(of: directory, with: "$")
      } catch {
        return "\(error.message.replacingOccurrences(of: directory, with: "$")) (\(error.code))"
      }
    }

    deinit {
      connection.close()
      try? FileManager.default.removeItem(atPath: directory)
    }
  }

  private func compare(_ statements: [String], sourceLocation: SourceLocation = #_sourceLocation) throws {
    let ours = try Side(try Engines.named("apus"), "ours")
    let reference = try Side(try SQLiteLibrary(), "reference")
    for sql in statements {
      let expected = reference.run(sql)
      let found = ours.run(sql)
      if expected != found {
        Issue.record("\(sql)\n  SQLite: \(expected)\n  Apus:   \(found)", sourceLocation: sourceLocation)
      }
    }
  }

  @Test("names, arguments and errors of ATTACH and DETACH are SQLite's")
  func attachesAndDetaches() throws {
    try compare([
      "ATTACH '$/a.db' AS a", "PRAGMA database_list", "ATTACH '$/b.db' AS A", "ATTACH '$/b.db' AS main",
      "ATTACH '$/b.db' AS TEMP", "ATTACH '$/none/x' AS q", "ATTACH ':memory:' AS m", "ATTACH '' AS t", "ATTACH NULL AS n",
      "ATTACH '$/b' || '.db' AS b", "ATTACH x'' AS x", "ATTACH c.db AS c", "ATTACH (SELECT '$/s.db') AS lower('YY')",
      "ATTACH count(*) AS z", "PRAGMA database_list", "ATTACH '' AS d8", "ATTACH '' AS d9", "ATTACH '' AS d10",
      "ATTACH '' AS d11", "ATTACH '' AS d12", "DETACH main", "DETACH temp", "DETACH nope", "DETACH 'A'", "DETACH a",
      "DETACH 5", "PRAGMA database_list", "CREATE TEMP TABLE tt(x)", "DETACH temp", "PRAGMA database_list", "DETACH yy",
      "DETACH DATABASE x", "PRAGMA database_list", "ATTACH '$/a.db' AS \"a b\"", "CREATE TABLE \"a b\".t(x)",
      "SELECT * FROM \"A B\".T",
    ])
  }

  @Test("attaching and detaching inside transactions")
  func transactions() throws {
    try compare([
      "BEGIN", "ATTACH '$/a.db' AS a", "CREATE TABLE a.t(x)", "DETACH a", "COMMIT", "BEGIN", "DETACH a", "COMMIT",
      "ATTACH '$/a.db' AS a", "BEGIN", "SELECT * FROM a.t", "DETACH a", "COMMIT", "BEGIN IMMEDIATE", "DETACH a",
      "ATTACH '$/b.db' AS b", "COMMIT", "SAVEPOINT s", "ATTACH '$/c.db' AS c", "CREATE TABLE c.u(y)", "ROLLBACK TO s",
      "PRAGMA database_list", "RELEASE s", "SELECT name FROM c.sqlite_schema", "BEGIN", "INSERT INTO a.t VALUES(1)",
      "CREATE TABLE b.t(x)", "INSERT INTO b.t VALUES(2)", "ROLLBACK", "SELECT * FROM a.t", "SELECT * FROM b.t",
      "BEGIN", "INSERT INTO a.t VALUES(1)", "SAVEPOINT s", "INSERT INTO a.t VALUES(2)", "CREATE TABLE b.t(x)",
      "INSERT INTO b.t VALUES(3)", "ROLLBACK TO s", "INSERT INTO c.sqlite_schema VALUES(1)", "COMMIT", "SELECT * FROM a.t",
      "SELECT * FROM b.t", "DETACH b", "SELECT * FROM a.t", "CREATE TABLE c.u(y)", "SELECT * FROM c.u",
    ])
  }

  @Test("names mean temp's objects, then main's, then those of attached databases in their order")
  func names() throws {
    try compare([
      "ATTACH '$/a.db' AS a", "ATTACH '$/b.db' AS b", "CREATE TABLE b.t(x)", "INSERT INTO b.t VALUES('b')",
      "SELECT * FROM t", "CREATE TABLE a.t(x)", "INSERT INTO t VALUES('a')", "SELECT * FROM t", "SELECT * FROM b.t",
      "CREATE TABLE t(x)", "INSERT INTO t VALUES('main')", "SELECT * FROM t", "CREATE TEMP TABLE t(x)",
      "INSERT INTO t VALUES('temp')", "SELECT * FROM t", "SELECT t.x, a.t.x FROM a.t", "SELECT main.t.x FROM a.t",
      "SELECT a.t.x, main.t.x, temp.t.x FROM a.t, main.t, temp.t", "SELECT x FROM a.t, main.t", "SELECT * FROM q.t",
      "UPDATE a.t SET x = x || '!' WHERE x = (SELECT x FROM a.t)", "DELETE FROM b.t WHERE a.t.x = 1",
      "DELETE FROM b.t WHERE b.t.x = 'b'", "SELECT count(*) FROM b.t", "CREATE INDEX i ON t(x)",
      "SELECT name, tbl_name FROM temp.sqlite_schema WHERE type='index'", "CREATE TABLE a.only(y)",
      "CREATE INDEX oi ON only(y)", "CREATE INDEX a.oi ON only(y)", "CREATE INDEX IF NOT EXISTS a.oi ON only(y)",
      "CREATE INDEX a.oi ON only(y)", "CREATE INDEX q.oi ON only(y)", "SELECT type, name FROM a.sqlite_master",
      "SELECT count(*) FROM a.sqlite_temp_schema", "PRAGMA index_list(only)", "PRAGMA b.index_list(only)",
      "PRAGMA a.table_info(only)", "PRAGMA q.table_info(only)", "DROP INDEX oi", "DROP TABLE b.nope", "DROP TABLE q.nope",
      "DROP INDEX a.oi", "DROP TABLE t", "SELECT * FROM t", "DROP TABLE t", "SELECT * FROM t", "DROP TABLE a.t", "DROP TABLE t",
      "SELECT * FROM t", "INSERT INTO only VALUES(1) ", "INSERT INTO b.only VALUES(1)", "CREATE TABLE a.only(z)",
      "CREATE TABLE b.only(z)", "CREATE TABLE IF NOT EXISTS a.only(z)", "INSERT INTO b.only SELECT y + 1 FROM a.only",
      "SELECT * FROM a.only UNION ALL SELECT * FROM b.only", "CREATE TEMP TABLE main.q(x)", "CREATE TABLE temp.q(x)",
      "SELECT name FROM sqlite_temp_master",
    ])
  }

  @Test("a view sees its own database, a temporary one sees all")
  func views() throws {
    try compare([
      "ATTACH '$/a.db' AS a", "CREATE TABLE a.t(x)", "INSERT INTO a.t VALUES('a')", "CREATE TABLE t(x)",
      "INSERT INTO t VALUES('main')", "CREATE VIEW v AS SELECT * FROM a.t",
      "CREATE VIEW a.v AS SELECT * FROM main.t", "CREATE VIEW a.v AS SELECT (SELECT 1 FROM main.t)",
      "CREATE VIEW a.v AS SELECT 1 WHERE 1 IN main.t", "CREATE VIEW a.v AS SELECT * FROM t",
      "SELECT * FROM v", "CREATE TEMP TABLE t(x)", "INSERT INTO temp.t VALUES('temp')", "SELECT * FROM v",
      "CREATE VIEW main.w AS SELECT * FROM t", "SELECT * FROM w", "CREATE TEMP VIEW tv AS SELECT * FROM t, a.t AS u",
      "SELECT * FROM tv", "CREATE TEMP VIEW tw AS SELECT * FROM v, w", "SELECT * FROM tw", "DROP TABLE temp.t",
      "SELECT * FROM tv", "SELECT * FROM a.v", "CREATE VIEW a.bad AS SELECT * FROM onlymain", "CREATE TABLE onlymain(x)",
      "SELECT * FROM bad", "DETACH a", "SELECT * FROM tv", "SELECT * FROM v", "DROP VIEW tv", "DROP VIEW v", "DROP VIEW w",
      "CREATE TEMP TABLE e(x)", "CREATE INDEX temp.ei ON e(x)", "INSERT INTO e VALUES(1),(2)", "SELECT * FROM e WHERE x = 2",
      "PRAGMA integrity_check",
    ])
  }

  @Test("pragmas of one database, and of all")
  func pragmas() throws {
    try compare([
      "CREATE TABLE m(x)", "ATTACH '$/a.db' AS a", "CREATE TABLE a.t(x UNIQUE)", "ATTACH ':memory:' AS mem",
      "PRAGMA a.user_version = 5", "PRAGMA user_version", "PRAGMA a.user_version", "PRAGMA a.cache_size = 77",
      "PRAGMA cache_size", "PRAGMA a.cache_size", "PRAGMA cache_size = -100", "PRAGMA a.cache_size", "PRAGMA cache_size",
      "PRAGMA a.synchronous = 1", "PRAGMA synchronous", "PRAGMA a.synchronous", "PRAGMA journal_mode = persist",
      "PRAGMA a.journal_mode", "PRAGMA mem.journal_mode", "PRAGMA a.journal_mode = wal", "PRAGMA journal_mode",
      "PRAGMA a.journal_mode", "INSERT INTO a.t VALUES(1)", "PRAGMA journal_mode = delete", "PRAGMA a.journal_mode",
      "PRAGMA a.journal_mode = wal", "INSERT INTO a.t VALUES(2)", "PRAGMA wal_checkpoint", "PRAGMA main.wal_checkpoint",
      "PRAGMA integrity_check",
      "PRAGMA a.integrity_check", "PRAGMA q.integrity_check", "PRAGMA a.page_count", "PRAGMA a.page_size",
      "PRAGMA mem.page_count", "PRAGMA q.page_count", "PRAGMA a.table_info(t)", "PRAGMA a.index_list(t)",
      "PRAGMA a.quick_check(t)", "BEGIN", "PRAGMA a.journal_mode = delete", "COMMIT", "DETACH a", "PRAGMA a.user_version",
      "BEGIN IMMEDIATE", "COMMIT", "BEGIN EXCLUSIVE", "INSERT INTO mem.sqlite_schema VALUES(1)", "COMMIT",
    ])
  }

  @Test("what is no database, or another connection's, is not attached")
  func refusals() throws {
    let ours = try Side(try Engines.named("apus"), "ours")
    let reference = try Side(try SQLiteLibrary(), "reference")
    for side in [ours, reference] {
      try Data(repeating: 0x41, count: 4096).write(to: URL(fileURLWithPath: side.directory + "/text.db"))
      let wide = try SQLiteLibrary().open(side.directory + "/wide.db", readOnly: false)
      try wide.execute("PRAGMA encoding = 'UTF-16'; CREATE TABLE t(x)")
      wide.close()
    }
    for sql in [
      "ATTACH '$/text.db' AS t", "PRAGMA database_list", "ATTACH '$/wide.db' AS w", "PRAGMA database_list", "ATTACH '$' AS d",
    ] {
      #expect(ours.run(sql) == reference.run(sql), "\(sql)")
    }
  }
}
