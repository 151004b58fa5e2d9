// A small database with deep trees, long chains and a freelist: what damaged files are made of.

/// 512-byte pages, so that a small file has deep trees, long chains and a freelist.
public enum SmallDatabase {
  public static let tables = ["sqlite_master", "t", "w", "e", "sqlite_sequence", "sqlite_stat1", "v"]

  public static let script = """
    PRAGMA page_size = 512;
    CREATE TABLE t(a INTEGER PRIMARY KEY, b TEXT UNIQUE, c REAL, d BLOB);
    CREATE INDEX ti ON t(c, b);
    CREATE TABLE w(k TEXT PRIMARY KEY, n INTEGER NOT NULL DEFAULT 3, x) WITHOUT ROWID;
    CREATE INDEX wi ON w(n DESC);
    CREATE TABLE e(id INTEGER PRIMARY KEY AUTOINCREMENT, v CHECK (v <> 'bad'));
    CREATE VIEW v AS SELECT t.a, w.n FROM t JOIN w ON w.n = t.a;
    WITH RECURSIVE s(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM s WHERE i < 300)
    INSERT INTO t SELECT i, 'text ' || i, i / 3.0, CASE WHEN i % 7 THEN zeroblob(i) ELSE zeroblob(i * 20) END FROM s;
    WITH RECURSIVE s(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM s WHERE i < 300)
    INSERT INTO w SELECT 'key ' || i, i % 17, CASE WHEN i % 9 THEN i ELSE hex(zeroblob(i * 3)) END FROM s;
    INSERT INTO e(v) SELECT b FROM t WHERE a % 2 = 0;
    DELETE FROM t WHERE a BETWEEN 100 AND 160;
    ANALYZE;
    """

  public static let queries = [
    "SELECT * FROM t WHERE b = 'text 200'",
    "SELECT b FROM t WHERE c BETWEEN 10 AND 60 ORDER BY c",
    "SELECT * FROM w WHERE k > 'key 2' AND k < 'key 3'",
    "SELECT k FROM w WHERE n = 5",
    "SELECT * FROM t WHERE a IN (1, 7, 14, 99, 100, 250, 300)",
    "SELECT n, count(*), group_concat(x) FROM w GROUP BY n",
    "SELECT count(*) FROM t, w WHERE t.a = w.n",
    "SELECT max(a), min(b), sum(length(d)) FROM t",
    "SELECT max(c) FROM t",
    "SELECT * FROM v LIMIT 100",
    "SELECT length(hex(d)) FROM t ORDER BY d DESC",
  ]

  public static let changes = [
    "UPDATE t SET b = b || ' changed' WHERE a % 2 = 0",
    "UPDATE t SET d = zeroblob(900) WHERE a % 5 = 0",
    "UPDATE t SET a = a + 1000 WHERE a < 50",
    "UPDATE w SET k = k || 'x', n = n + 1",
    "DELETE FROM t WHERE c > 20",
    "DELETE FROM w WHERE n = 3",
    "INSERT INTO e(v) VALUES ('one'), ('two')",
    "INSERT INTO t(b, d) SELECT k, zeroblob(2000) FROM w LIMIT 50",
    "INSERT OR REPLACE INTO w SELECT b, a, c FROM t",
    "CREATE TABLE n(a, b UNIQUE)",
    "INSERT OR IGNORE INTO n SELECT a, d FROM t",
    "CREATE INDEX ni ON t(d)",
    "CREATE UNIQUE INDEX nu ON w(x)",
    "DROP INDEX ti",
    "DROP TABLE t",
    "DROP TABLE w",
    "DELETE FROM e",
  ]
}
