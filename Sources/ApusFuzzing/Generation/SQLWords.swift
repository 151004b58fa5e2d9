// Words and statements of SQL: dictionaries and first inputs.

enum SQLWords {
  /// Every keyword, operator and piece of syntax that a mutation may insert.
  static let all: [String] =
    keywords + functions + [
      "||", "->", "->>", "<<", ">>", "<=", ">=", "<>", "!=", "==", "/*", "*/", "--", "''", "\"\"", "``", "[]", "x'00'",
      "(", ")", ",", ";", "?1", ":a", "@a", "$a", "1e308", "0x7fffffffffffffff", "9223372036854775807",
      "-9223372036854775808", "9223372036854775808", ".5", "1_000",
    ]

  private static let keywords = """
    ABORT ACTION ADD AFTER ALL ALTER ALWAYS ANALYZE AND AS ASC ATTACH AUTOINCREMENT BEFORE BEGIN BETWEEN BY CASCADE CASE CAST
    CHECK COLLATE COLUMN COMMIT CONFLICT CONSTRAINT CREATE CROSS CURRENT CURRENT_DATE CURRENT_TIME CURRENT_TIMESTAMP DATABASE
    DEFAULT DEFERRABLE DEFERRED DELETE DESC DETACH DISTINCT DO DROP EACH ELSE END ESCAPE EXCEPT EXCLUDE EXCLUSIVE EXISTS
    EXPLAIN FAIL FILTER FIRST FOLLOWING FOR FOREIGN FROM FULL GENERATED GLOB GROUP GROUPS HAVING IF IGNORE IMMEDIATE IN INDEX
    INDEXED INITIALLY INNER INSERT INSTEAD INTERSECT INTO IS ISNULL JOIN KEY LAST LEFT LIKE LIMIT MATCH MATERIALIZED NATURAL
    NO NOT NOTHING NOTNULL NULL NULLS OF OFFSET ON OR ORDER OTHERS OUTER OVER PARTITION PLAN PRAGMA PRECEDING PRIMARY QUERY
    RAISE RANGE RECURSIVE REFERENCES REGEXP REINDEX RELEASE RENAME REPLACE RESTRICT RETURNING RIGHT ROLLBACK ROW ROWS
    SAVEPOINT SELECT SET STRICT TABLE TEMP TEMPORARY THEN TIES TO TRANSACTION TRIGGER TRUE FALSE UNBOUNDED UNION UNIQUE UPDATE
    USING VACUUM VALUES VIEW VIRTUAL WHEN WHERE WINDOW WITH WITHOUT ROWID INTEGER TEXT REAL BLOB NUMERIC NOCASE RTRIM BINARY
    """.split(whereSeparator: { $0 == " " || $0 == "\n" }).map(String.init)

  private static let functions = """
    abs( avg( changes( char( coalesce( count( count(* date( datetime( format( glob( group_concat( hex( ifnull( iif( instr(
    julianday( last_insert_rowid( length( like( likelihood( lower( ltrim( max( min( nullif( printf( quote( random( replace(
    round( rtrim( sign( strftime( substr( sum( time( total( trim( typeof( unicode( upper( zeroblob(
    """.split(whereSeparator: { $0 == " " || $0 == "\n" }).map(String.init)

  /// One of each kind.
  static let statements: [String] = [
    "SELECT 1, 'a', x'00', NULL, 1.5e3, :a, ?2, CURRENT_DATE",
    "SELECT DISTINCT a, b AS c FROM t AS u, (SELECT 1) v LEFT JOIN w USING (x) WHERE a NOTNULL GROUP BY a HAVING count(*) > 1",
    "SELECT * FROM a NATURAL JOIN b CROSS JOIN c ON a.x = c.y ORDER BY 1 DESC NULLS LAST, b COLLATE NOCASE LIMIT 5 OFFSET 2",
    "WITH RECURSIVE c(x) AS (VALUES (1) UNION ALL SELECT x + 1 FROM c WHERE x < 9) SELECT x FROM c UNION SELECT 2 EXCEPT SELECT 3",
    "SELECT a FROM t WHERE b IN (1, 2) AND c NOT IN (SELECT 1) OR EXISTS (SELECT 1) AND (a, b) = (SELECT 1, 2)",
    "SELECT CASE a WHEN 1 THEN 2 ELSE 3 END, CAST(a AS VARCHAR(10)), a BETWEEN 1 AND 2, a LIKE 'x%' ESCAPE '\\', -a, ~a, NOT a",
    "SELECT sum(a) FILTER (WHERE a) OVER (PARTITION BY b ORDER BY c ROWS BETWEEN 1 PRECEDING AND UNBOUNDED FOLLOWING) FROM t",
    "SELECT group_concat(DISTINCT a), max(a, b), a -> 'x' ->> 1, a || b << 2 & 3 | 4 % 5 FROM t NOT INDEXED, u INDEXED BY i",
    "INSERT OR REPLACE INTO t(a, b) VALUES (1, 2), (3, 4) ON CONFLICT (a) WHERE b > 1 DO UPDATE SET b = excluded.b RETURNING *",
    "INSERT INTO main.t AS x SELECT * FROM u",
    "REPLACE INTO t DEFAULT VALUES",
    "UPDATE OR IGNORE t SET a = 1, (b, c) = (SELECT 1, 2) FROM u WHERE t.a = u.b RETURNING a AS x",
    "DELETE FROM t INDEXED BY i WHERE a = 1 RETURNING *",
    """
    CREATE TABLE IF NOT EXISTS t(a INTEGER PRIMARY KEY AUTOINCREMENT, b TEXT COLLATE NOCASE NOT NULL ON CONFLICT FAIL DEFAULT 'x',
    c AS (a + 1) STORED, d REFERENCES u(x) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED, CONSTRAINT k UNIQUE (a, b), CHECK (a))
    """,
    "CREATE TABLE w(a, b, PRIMARY KEY(a DESC, b)) WITHOUT ROWID, STRICT",
    "CREATE TEMP TABLE x AS SELECT 1 AS y",
    "CREATE UNIQUE INDEX main.i ON t(a COLLATE RTRIM DESC, b + 1) WHERE a IS NOT NULL",
    "CREATE TEMP VIEW IF NOT EXISTS v(a, b) AS SELECT 1, 2",
    "CREATE TRIGGER r AFTER UPDATE OF a, b ON t FOR EACH ROW WHEN new.a > 1 BEGIN UPDATE t SET a = 1; SELECT raise(FAIL, 'n'); END",
    "CREATE VIRTUAL TABLE f USING fts5(a, b, tokenize = 'x')",
    "ALTER TABLE t RENAME COLUMN a TO b", "ALTER TABLE t ADD COLUMN z DEFAULT 3", "ALTER TABLE t DROP COLUMN z",
    "DROP TABLE IF EXISTS main.t", "DROP INDEX i", "DROP VIEW v", "DROP TRIGGER r",
    "PRAGMA main.journal_mode = wal", "PRAGMA table_info(t)", "PRAGMA cache_size = -2000",
    "EXPLAIN QUERY PLAN SELECT 1",
    "BEGIN IMMEDIATE TRANSACTION", "COMMIT", "ROLLBACK TO SAVEPOINT s", "SAVEPOINT s", "RELEASE s",
    "VACUUM main INTO 'x'",
    "ATTACH 'x' AS y", "DETACH y", "ANALYZE t", "REINDEX NOCASE",
  ]
}
