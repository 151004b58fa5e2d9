// The kinds of statement that are dropped at each of their waits.

/// A statement, and what is said before it on the same connection.
public struct CancelKind: Sendable {
  public var name: String
  public var before: [String] = []
  public var sql: String

  /// Dropped in its midst it may be through all the same.
  var mayBeThrough: Bool { sql.hasPrefix("ROLLBACK") || sql == "COMMIT" }

  init(_ sql: String, after before: [String] = []) {
    name = (before + [sql]).joined(separator: "; ")
    self.before = before
    self.sql = sql
  }

  /// What is in the file before: a table with two indexes, one without row ids, one of large rows, a view.
  static let setUp = [
    "CREATE TABLE t(id INTEGER PRIMARY KEY, k INTEGER NOT NULL, u INTEGER UNIQUE, v TEXT)", "CREATE INDEX t_k ON t(k)",
    "CREATE TABLE w(id TEXT PRIMARY KEY, k INTEGER, v BLOB) WITHOUT ROWID", "CREATE INDEX w_k ON w(k)",
    "CREATE TABLE big(id INTEGER PRIMARY KEY, v BLOB)", "CREATE VIEW few AS SELECT k, count(*) AS n FROM t GROUP BY k",
    "WITH RECURSIVE c(x) AS (VALUES(1) UNION ALL SELECT x+1 FROM c WHERE x<120) "
      + "INSERT INTO t SELECT x, x%7, x*10, 'row number '||x||' of a table' FROM c",
    "INSERT INTO w SELECT 'key'||(id*7919%1000), k, zeroblob(id%50) FROM t WHERE id<=60",
    "INSERT INTO big SELECT id, zeroblob(400+id*90) FROM t WHERE id<=12", "DELETE FROM t WHERE id BETWEEN 20 AND 30",
  ]

  private static let transaction = ["BEGIN"]
  private static let changed = ["BEGIN", "UPDATE t SET k=k+1", "DELETE FROM big WHERE id=3"]
  private static let saved = [
    "BEGIN", "INSERT INTO t VALUES(900,1,1,'x')", "SAVEPOINT s", "UPDATE w SET k=k+1", "DELETE FROM big",
  ]

  public static let all: [CancelKind] = [
    // Rows that come.
    CancelKind("INSERT INTO t VALUES(500,1,5000,'one')"),
    CancelKind("INSERT INTO t(k,u,v) VALUES(1,5001,'chosen'),(2,5002,'keys')"),
    CancelKind("INSERT INTO t SELECT id+1000, k, u+10000, v FROM t"),
    CancelKind("INSERT INTO t SELECT id+1000, k, u+10000, v FROM t", after: changed),
    CancelKind("INSERT OR REPLACE INTO t VALUES(5,1,60,'takes the place of two')"),
    CancelKind("INSERT OR IGNORE INTO t SELECT id, k, u, v FROM t"),
    CancelKind("INSERT INTO t SELECT 2000-id, k, CASE WHEN id=100 THEN 50 ELSE u+20000 END, v FROM t"),
    CancelKind("INSERT OR ROLLBACK INTO t VALUES(600,1,50,'collides')", after: transaction),
    CancelKind("INSERT OR FAIL INTO t SELECT id+3000, k, CASE WHEN id=100 THEN 50 ELSE u+30000 END, v FROM t"),
    CancelKind("INSERT INTO w SELECT 'new'||id, k, v FROM w"),
    CancelKind("INSERT INTO big VALUES(50, zeroblob(9000))"),
    CancelKind("INSERT INTO big SELECT id+100, v FROM big", after: transaction),
    // Rows that change.
    CancelKind("UPDATE t SET v='changed' WHERE id=7"),
    CancelKind("UPDATE t SET k=k+1"),
    CancelKind("UPDATE t SET u=u+1"),
    CancelKind("UPDATE t SET u=u+10 WHERE id<60"),
    CancelKind("UPDATE t SET id=id+5000"),
    CancelKind("UPDATE t SET v=v||v||v||v||v||v||v||v", after: changed),
    CancelKind("UPDATE w SET id='z'||id"),
    CancelKind("UPDATE big SET v=zeroblob(30) WHERE id%2=0"),
    CancelKind("UPDATE OR REPLACE t SET u=u+10 WHERE id<40"),
    // Rows that go.
    CancelKind("DELETE FROM t WHERE id=7"),
    CancelKind("DELETE FROM t WHERE k=3"),
    CancelKind("DELETE FROM t"),
    CancelKind("DELETE FROM w WHERE k IN (SELECT k FROM t WHERE id<4)"),
    CancelKind("DELETE FROM big"),
    CancelKind("DELETE FROM t WHERE id>10", after: saved),
    // Reads.
    CancelKind("SELECT * FROM t"),
    CancelKind("SELECT v FROM t WHERE u=500"),
    CancelKind("SELECT count(*), sum(length(v)) FROM big"),
    CancelKind("SELECT k, count(*) FROM t GROUP BY k ORDER BY 2 DESC, k"),
    CancelKind("SELECT a.id, b.id FROM t a JOIN w b ON a.k=b.k ORDER BY a.v, b.id"),
    CancelKind("SELECT * FROM few"),
    CancelKind(
      "WITH RECURSIVE c(x) AS (VALUES(1) UNION ALL SELECT x+1 FROM c WHERE x<90) SELECT t.v FROM c JOIN t ON t.id=c.x"),
    CancelKind("SELECT DISTINCT k FROM t UNION SELECT k FROM w EXCEPT VALUES(3)", after: changed),
    // The schema.
    CancelKind("CREATE TABLE fresh(a PRIMARY KEY, b UNIQUE)"),
    CancelKind("CREATE INDEX t_v ON t(v, k)"),
    CancelKind("CREATE UNIQUE INDEX w_u ON w(v, id)", after: transaction),
    CancelKind("CREATE VIEW more AS SELECT * FROM few"),
    CancelKind("DROP TABLE t"),
    CancelKind("DROP INDEX t_k"),
    CancelKind("DROP TABLE big", after: changed),
    // Transactions.
    CancelKind("BEGIN IMMEDIATE"),
    CancelKind("BEGIN EXCLUSIVE"),
    CancelKind("COMMIT", after: changed),
    CancelKind("ROLLBACK", after: changed),
    CancelKind("SAVEPOINT r", after: changed),
    CancelKind("ROLLBACK TO s", after: saved),
    CancelKind("RELEASE s", after: saved),
    // Upkeep.
    CancelKind("VACUUM"),
    CancelKind("PRAGMA wal_checkpoint(PASSIVE)"),
    CancelKind("PRAGMA wal_checkpoint(TRUNCATE)"),
    CancelKind("PRAGMA integrity_check"),
    CancelKind("PRAGMA incremental_vacuum(4)", after: ["DELETE FROM big"]),
    CancelKind("PRAGMA user_version=7"),
    CancelKind("PRAGMA journal_mode=delete"),
    CancelKind("PRAGMA journal_mode=wal"),
    CancelKind("PRAGMA page_count"),
  ]
}
