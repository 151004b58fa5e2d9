# Answers that SQLite 3.54.1 gave: statements, each with its rows behind it, or its message (!). A line ## begins an
# empty database and says what it is about. Recorded once.
## REPLACE puts a default with its column's affinity where NOT NULL forbids NULL
CREATE TABLE r(a, c INT NOT NULL DEFAULT '5', d TEXT NOT NULL DEFAULT 7);
CREATE INDEX rc ON r(typeof(c), typeof(d));
INSERT OR REPLACE INTO r VALUES (1, NULL, NULL);
INSERT INTO r VALUES (2, 3, 'x');
UPDATE OR REPLACE r SET c = NULL, d = NULL WHERE a = 2;
SELECT a, c, typeof(c), d, typeof(d) FROM r ORDER BY a;
= 1, 5, 'integer', '7', 'text'
= 2, 5, 'integer', '7', 'text'
PRAGMA integrity_check;
= 'ok'
## an automatic index on a correlated subquery in FROM is made anew for each row around it
CREATE TABLE o(x);
INSERT INTO o VALUES (1), (2);
CREATE TABLE u(y);
INSERT INTO u VALUES (2), (3);
SELECT x, (SELECT count(*) FROM u JOIN (SELECT y - x AS k FROM u GROUP BY 1) s ON s.k = u.y) FROM o;
= 1, 1
= 2, 0
SELECT x, (SELECT group_concat(y || s.k) FROM u LEFT JOIN (SELECT DISTINCT y - o.x + 1 AS k FROM u) s ON s.k = u.y) FROM o;
= 1, '22,33'
= 2, '22'
SELECT x, (SELECT count(*) FROM u JOIN (SELECT y AS k FROM u GROUP BY 1) s ON s.k = u.y AND u.y > o.x) FROM o;
= 1, 2
= 2, 1
## a scalar subquery gives a comparison no collation
CREATE TABLE t(i, c TEXT COLLATE NOCASE);
INSERT INTO t VALUES (1, 'a'), (2, 'A'), (3, 'b');
SELECT (SELECT c FROM t LIMIT 1) = 'A', (SELECT c COLLATE NOCASE FROM t LIMIT 1) = 'A';
= 0, 0
SELECT (SELECT c, 1 FROM t LIMIT 1) = ('A', 1), ('A', 1) IS (SELECT c, 1 FROM t LIMIT 1);
= 0, 0
SELECT ('A', 1) >= (SELECT c, 1 FROM t LIMIT 1);
= 0
SELECT (SELECT c, 1 FROM t LIMIT 1) IN (SELECT 'A', 1), (SELECT c FROM t LIMIT 1) IN (SELECT 'A');
= 1, 0
SELECT (SELECT c FROM t LIMIT 1) IN ('A', 'B', 'C');
= 0
SELECT (SELECT c FROM t LIMIT 1) = c FROM t ORDER BY i;
= 1
= 1
= 0
SELECT CASE (SELECT c FROM t LIMIT 1) WHEN 'A' THEN 1 ELSE 2 END, nullif((SELECT c FROM t LIMIT 1), 'A');
= 2, 'a'
SELECT (SELECT c FROM t LIMIT 1) BETWEEN 'A' AND 'A', max((SELECT c FROM t LIMIT 1), 'A');
= 0, 'a'
SELECT DISTINCT (SELECT s.c FROM t s WHERE s.i = t.i) FROM t ORDER BY 1;
= 'A'
= 'a'
= 'b'
SELECT count(*) FROM t GROUP BY (SELECT s.c FROM t s WHERE s.i = t.i);
= 1
= 1
= 1
SELECT i FROM t ORDER BY (SELECT s.c FROM t s WHERE s.i = t.i), i;
= 2
= 1
= 3
SELECT count(DISTINCT (SELECT s.c FROM t s WHERE s.i = t.i)), min((SELECT s.c FROM t s WHERE s.i = t.i)) FROM t;
= 3, 'A'
SELECT count(*) FROM (SELECT (SELECT s.c FROM t s WHERE s.i = t.i) AS z FROM t) WHERE z = 'A';
= 1
SELECT (SELECT s.c FROM t s WHERE s.i = t.i) AS z FROM t UNION SELECT 'A' ORDER BY 1;
= 'A'
= 'a'
= 'b'
SELECT i FROM t WHERE c = (SELECT 'A') ORDER BY i;
= 1
= 2
SELECT i FROM t WHERE (SELECT 'A') = c ORDER BY i;
= 1
= 2
SELECT i FROM t WHERE (SELECT c, i FROM t LIMIT 1) = (c, 1) ORDER BY i;
= 1
= 2
## a column of REAL affinity makes a compound's integers real
CREATE TABLE t(r REAL, i INT);
INSERT INTO t VALUES (1.5, 3);
CREATE VIEW v AS SELECT r AS v FROM t UNION ALL SELECT i FROM t;
SELECT v / 2, typeof(v) FROM v;
= 0.75, 'real'
= 1.5, 'real'
SELECT * FROM v;
= 1.5
= 3.0
SELECT v, typeof(v) FROM (SELECT v FROM v LIMIT 5);
= 1.5, 'real'
= 3.0, 'real'
SELECT v, count(*) FROM v GROUP BY v;
= 1.5, 1
= 3.0, 1
SELECT v / 2 FROM v WHERE v = 3;
= 1.5
SELECT v FROM v WHERE v IN (3);
= 3.0
SELECT typeof(v) FROM t JOIN v ORDER BY v;
= 'real'
= 'real'
SELECT typeof(max(v)) FROM v;
= 'real'
SELECT typeof(v) FROM (SELECT r AS v FROM t UNION SELECT i FROM t);
= 'real'
= 'real'
SELECT typeof(v) FROM (SELECT 1 AS v UNION ALL SELECT r FROM t UNION ALL SELECT i FROM t);
= 'real'
= 'real'
= 'real'
SELECT typeof(v) FROM (SELECT i AS v FROM t UNION ALL SELECT r FROM t);
= 'integer'
= 'real'
SELECT typeof(v) FROM (SELECT CAST(1 AS REAL) AS v UNION ALL SELECT 6);
= 'real'
= 'integer'
SELECT typeof(column1) FROM (VALUES (CAST(1 AS REAL)), (2));
= 'real'
= 'integer'
SELECT typeof((SELECT r FROM t WHERE 0 UNION ALL SELECT i FROM t));
= 'integer'
WITH RECURSIVE c(n) AS (SELECT r FROM t UNION ALL SELECT 5 FROM c WHERE n < 5) SELECT n, typeof(n) FROM c;
= 1.5, 'real'
= 5.0, 'real'
WITH RECURSIVE c(n, m) AS (SELECT r, '' FROM t UNION ALL SELECT 5, typeof(n) FROM c LIMIT 4) SELECT n, m FROM c;
= 1.5, ''
= 5.0, 'real'
= 5.0, 'real'
= 5.0, 'real'
## rows are sorted and grouped where an equality leaves their column several values
CREATE TABLE t(a TEXT, c);
INSERT INTO t VALUES ('1', 1), ('1.0', 2), ('1', 3);
SELECT a, count(*) FROM t WHERE a = CAST(1 AS INT) GROUP BY a;
= '1', 2
= '1.0', 1
SELECT a, c FROM t WHERE a = CAST(1 AS INT) ORDER BY a, c;
= '1', 1
= '1', 3
= '1.0', 2
CREATE TABLE u(a, c);
INSERT INTO u VALUES ('1', 1), (1, 2), ('1.0', 3), (1.0, 4);
SELECT a, count(*) FROM u WHERE a = CAST(1 AS INT) GROUP BY a;
= 1, 2
= '1', 1
= '1.0', 1
SELECT a, c FROM u WHERE a = CAST(1 AS INT) ORDER BY a DESC, c;
= '1.0', 3
= '1', 1
= 1, 2
= 1.0, 4
SELECT DISTINCT typeof(a) FROM u WHERE a = CAST(1 AS INT) ORDER BY 1;
= 'integer'
= 'real'
= 'text'
## DISTINCT drops rows where an equality of another kind than the key's finds several
CREATE TABLE t(a TEXT NOT NULL, b NOT NULL, UNIQUE (a, b));
INSERT INTO t VALUES ('x', 1), ('X', 1), ('5', 2), ('5.0', 2);
SELECT DISTINCT b FROM t WHERE a = 'x' COLLATE NOCASE;
= 1
SELECT DISTINCT b FROM t WHERE a = CAST(5 AS INT);
= 2
SELECT DISTINCT b FROM t WHERE a = 'x';
= 1
## a column of an outer query is NULL on the null row of a LEFT JOIN
CREATE TABLE o(x);
INSERT INTO o VALUES (1), (2);
CREATE TABLE u(y);
INSERT INTO u VALUES (7);
SELECT x, (SELECT count(s.z) FROM u LEFT JOIN (SELECT o.x AS z FROM u WHERE 0) s) FROM o;
= 1, 0
= 2, 0
SELECT x, (SELECT coalesce(s.z, 'none') FROM u LEFT JOIN (SELECT o.x AS z FROM u AS w WHERE w.y = 7 * o.x) s) FROM o;
= 1, 1
= 2, 'none'
## a compound's last arm gives affinity and collation to IN and comparisons
CREATE TABLE t(i INT, x TEXT, c TEXT COLLATE NOCASE);
INSERT INTO t VALUES (1, '1', 'a');
SELECT x FROM t WHERE x IN (SELECT i FROM t UNION ALL SELECT x FROM t WHERE 0);
SELECT '01' IN (SELECT i FROM t UNION ALL SELECT x FROM t WHERE 0);
= 0
SELECT 'A' IN (SELECT x FROM t WHERE 0 UNION ALL SELECT c FROM t), 'A' IN (SELECT c FROM t UNION ALL SELECT x FROM t WHERE 0);
= 1, 0
SELECT '1' = (SELECT x FROM t WHERE 0 UNION ALL SELECT i FROM t);
= 1
SELECT x FROM t WHERE x = (SELECT i FROM t UNION ALL SELECT x FROM t WHERE 0);
SELECT '1' IN (VALUES (CAST(1 AS INT)), ('7')), '1' = (VALUES (CAST(1 AS INT)), ('7'));
= 0, 0
SELECT i FROM t WHERE '1' IN (VALUES (7), (t.i));
= 1
SELECT i FROM t WHERE '1' IN (VALUES (t.i), (7));
## ORDER BY and GROUP BY of a random value are obeyed behind a loop of one row
CREATE TABLE one(id INTEGER PRIMARY KEY);
INSERT INTO one VALUES (1);
CREATE TABLE many(a);
WITH RECURSIVE s(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM s WHERE i < 200) INSERT INTO many SELECT i FROM s;
SELECT group_concat(a) = (SELECT group_concat(a) FROM many) FROM (SELECT a FROM one, many WHERE id = 1 ORDER BY random() LIMIT -1);
= 0
SELECT count(*) > 100 FROM (SELECT 1 FROM one, many WHERE id = 1 GROUP BY random());
= 1
SELECT count(*) > 100 FROM (SELECT 1 FROM one, many WHERE id = 1 GROUP BY id + random());
= 1
## UPDATE and DELETE find their rows in the order of the table
CREATE TABLE t(a, d UNIQUE, e DEFAULT 'xxxxxxxxxx');
CREATE INDEX ta ON t(a DESC);
INSERT INTO t VALUES (2, 1, 0), (3, 2, 0);
UPDATE t SET d = a;
! UNIQUE constraint failed: t.d
UPDATE OR REPLACE t SET d = 9;
SELECT a, d FROM t;
= 3, 9
CREATE TABLE w(a INT, b INT UNIQUE, c, PRIMARY KEY (a)) WITHOUT ROWID;
CREATE INDEX wb ON w(b DESC);
INSERT INTO w VALUES (1, 2, 0), (2, 3, 0), (3, 4, 0);
UPDATE OR IGNORE w SET b = b - 1;
SELECT * FROM w;
= 1, 1, 0
= 2, 2, 0
= 3, 3, 0
UPDATE OR IGNORE w SET b = b + 1;
SELECT * FROM w;
= 1, 1, 0
= 2, 2, 0
= 3, 4, 0
## the bare columns beside a min or max with a filter
CREATE TABLE m(b, k);
INSERT INTO m VALUES (2, 'p'), (1, 'q'), (1, 'r'), (3, 's'), (1, 't'), (3, 'u'), (0, 'v');
SELECT min(b) FILTER (WHERE b > 1), k FROM m;
= 2, 'p'
SELECT max(b) FILTER (WHERE b < 2), k FROM m;
= 1, 'q'
SELECT min(b) FILTER (WHERE b > 99), k FROM m;
= NULL, 'p'
SELECT min(b) FILTER (WHERE b > 2), count(*), k FROM m;
= 3, 7, 's'
SELECT b % 2, min(b) FILTER (WHERE b > 1), k FROM m GROUP BY 1;
= 0, 2, 'p'
= 1, 3, 's'
SELECT b % 2, min(b) FILTER (WHERE b > 99), k FROM m GROUP BY 1;
= 0, NULL, 'p'
= 1, NULL, 'q'
SELECT b, min(k) FILTER (WHERE k > 'q'), k FROM m GROUP BY 1;
= 0, 'v', 'v'
= 1, 'r', 'r'
= 2, NULL, 'p'
= 3, 's', 's'
SELECT min(DISTINCT b), k FROM m;
= 0, 'v'
SELECT max(DISTINCT b), k FROM m;
= 3, 'u'
SELECT b % 2, max(DISTINCT b), min(DISTINCT b), k FROM m GROUP BY 1;
= 0, 2, 0, 'v'
= 1, 3, 1, 'r'
SELECT min(b), max(b) FILTER (WHERE b < 3), k FROM m;
= 0, 2, 'p'
SELECT max(b) FILTER (WHERE b < 3), min(b), k FROM m;
= 2, 0, 'v'
SELECT max(b) FILTER (WHERE b < 2), min(b) FILTER (WHERE b > 2), k FROM m;
= 1, 3, 's'
SELECT min(b) FILTER (WHERE b > 2), max(b) FILTER (WHERE b < 2), k FROM m;
= 3, 1, 'q'
CREATE TABLE o(x);
INSERT INTO o VALUES (0), (1), (2);
SELECT x, (SELECT k || min(b) FILTER (WHERE b > o.x) FROM m) FROM o;
= 0, 'q1'
= 1, 'p2'
= 2, 's3'
SELECT x, (SELECT k || min(b) || coalesce(max(b) FILTER (WHERE b < o.x), '') FROM m) FROM o;
= 0, 'v0'
= 1, 'v00'
= 2, 'q01'
## of rows that are all NULL the first in the index gives min its bare columns
CREATE TABLE t(a, b);
INSERT INTO t VALUES (NULL, 'x'), (NULL, 'y'), (NULL, 'z');
SELECT min(a), b FROM t;
= NULL, 'z'
SELECT max(a), b FROM t;
= NULL, 'z'
CREATE INDEX ta ON t(a);
SELECT min(a), b FROM t;
= NULL, 'x'
SELECT max(a), b FROM t;
= NULL, 'z'
SELECT min(a), b FROM t WHERE a IS NULL;
= NULL, 'x'
INSERT INTO t VALUES (5, 'q'), (4, 'r');
SELECT min(a), b FROM t;
= 4, 'r'
SELECT max(a), b FROM t;
= 5, 'q'
## of equal rows INTERSECT and EXCEPT keep the first, UNION the last
VALUES (1), (1.0) INTERSECT SELECT 1;
= 1
VALUES (1.0), (1) INTERSECT SELECT 1;
= 1.0
SELECT 1 INTERSECT VALUES (1.0);
= 1
VALUES (1), (1.0) EXCEPT SELECT 2;
= 1
VALUES (1.0), (1) EXCEPT SELECT 2;
= 1.0
SELECT 1 UNION SELECT 1.0;
= 1.0
SELECT 1 UNION SELECT 1.0 UNION SELECT 1;
= 1
SELECT 1 UNION SELECT 1.0 INTERSECT SELECT 1;
= 1.0
VALUES (1.0), (1) UNION ALL SELECT 2 EXCEPT SELECT 2;
= 1.0
CREATE TABLE t(c TEXT COLLATE NOCASE, i INT, r REAL);
INSERT INTO t VALUES ('b', 1, 1), ('B', 1, 1), ('a', 1, 1);
SELECT c FROM t EXCEPT SELECT 'a';
= 'b'
SELECT c FROM t INTERSECT SELECT 'B';
= 'b'
SELECT i FROM t UNION ALL SELECT r FROM t EXCEPT SELECT 2;
= 1
SELECT r FROM t UNION ALL SELECT i FROM t INTERSECT SELECT 1;
= 1.0
## a row-valued subquery in SET runs once for each row
CREATE TABLE t(a, b, k);
INSERT INTO t VALUES (0, 0, 1), (0, 0, 2), (0, 0, 3);
UPDATE t SET (a, b) = (SELECT z, z FROM (SELECT random() AS z, t.k));
SELECT count(*), count(DISTINCT a) FROM t WHERE a = b;
= 3, 3
UPDATE t SET (a, b) = (SELECT t.k + 1, t.b IS t.a);
SELECT * FROM t;
= 2, 1, 1
= 3, 1, 2
= 4, 1, 3
UPDATE t SET (a, b) = (b, a), k = (SELECT max(k) FROM t);
SELECT * FROM t;
= 1, 2, 3
= 1, 3, 3
= 1, 4, 3
## the row that BETWEEN tests keeps its collations
CREATE TABLE t(c TEXT COLLATE NOCASE);
INSERT INTO t VALUES ('a');
SELECT (SELECT c, 1 FROM t) BETWEEN ('A', 1) AND ('A', 1), (SELECT c, 1 FROM t) NOT BETWEEN ('A', 0) AND ('B', 1);
= 1, 0
SELECT ('A', 1) BETWEEN (SELECT c, 1 FROM t) AND (SELECT c, 1 FROM t);
= 0
## UPDATE goes by the key where the index that finds the rows changes, else in its order
CREATE TABLE t(a, d UNIQUE, k);
CREATE INDEX ta ON t(a);
CREATE INDEX tka ON t(k, a DESC);
INSERT INTO t VALUES (3, 1, 1), (2, 2, 1), (1, 3, 1);
UPDATE OR IGNORE t SET d = d - 1 WHERE a > 0;
SELECT a, d FROM t;
= 3, 0
= 2, 2
= 1, 3
UPDATE OR IGNORE t SET d = d + 1 WHERE a > 0;
SELECT a, d FROM t;
= 3, 1
= 2, 3
= 1, 4
UPDATE OR IGNORE t SET d = d + 1, a = a WHERE a > 0;
SELECT a, d FROM t;
= 3, 2
= 2, 3
= 1, 5
UPDATE OR IGNORE t SET d = d - 1, a = a WHERE a > 0;
SELECT a, d FROM t;
= 3, 1
= 2, 2
= 1, 4
UPDATE OR REPLACE t SET d = d + 1 WHERE a > 0;
SELECT a, d FROM t;
= 3, 2
= 1, 5
INSERT INTO t VALUES (2, 12, 1), (1, 13, 1);
UPDATE OR IGNORE t SET d = d - 1 WHERE a > 0 AND EXISTS (SELECT 1);
SELECT a, d FROM t;
= 3, 1
= 1, 4
= 2, 11
= 1, 12
UPDATE OR IGNORE t SET d = d + 1 WHERE a = 1 OR a = 2 OR k = 7;
SELECT a, d FROM t;
= 3, 1
= 1, 5
= 2, 11
= 1, 13
UPDATE OR IGNORE t SET d = d - 1 WHERE k = 1;
SELECT a, d FROM t;
= 3, 0
= 1, 4
= 2, 10
= 1, 12
PRAGMA integrity_check;
= 'ok'
CREATE TABLE w(a INT, b INT UNIQUE, c, PRIMARY KEY (a DESC)) WITHOUT ROWID;
CREATE INDEX wc ON w(c);
INSERT INTO w VALUES (1, 2, 7), (2, 3, 6), (3, 4, 5);
UPDATE OR IGNORE w SET b = b - 1;
SELECT * FROM w;
= 3, 4, 5
= 2, 3, 6
= 1, 1, 7
UPDATE OR IGNORE w SET b = b + 1 WHERE c > 0;
SELECT * FROM w;
= 3, 5, 5
= 2, 4, 6
= 1, 2, 7
UPDATE OR IGNORE w SET b = b + 1, c = c + 1 WHERE c > 0;
SELECT * FROM w;
= 3, 6, 6
= 2, 5, 7
= 1, 3, 8
UPDATE OR IGNORE w SET a = a + 1 WHERE c > 0;
SELECT * FROM w;
= 4, 6, 6
= 3, 5, 7
= 2, 3, 8
UPDATE OR IGNORE w SET a = a - 1 WHERE c > 0;
SELECT * FROM w;
= 4, 6, 6
= 3, 5, 7
= 1, 3, 8
UPDATE OR REPLACE w SET b = b + 1 WHERE c > 0;
SELECT * FROM w;
= 4, 7, 6
= 3, 6, 7
= 1, 4, 8
PRAGMA integrity_check;
= 'ok'
## an integer of more than 32 bits names no result column
SELECT 5 ORDER BY 3000000000;
= 5
SELECT 5 ORDER BY 2147483647;
! 1st ORDER BY term out of range - should be between 1 and 1
SELECT count(*) GROUP BY 3000000000;
= 1
SELECT 5 UNION SELECT 6 ORDER BY 3000000000;
! 1st ORDER BY term does not match any column in the result set
## a partial index does not keep another one from covering
CREATE TABLE t(a, b, c, d TEXT COLLATE NOCASE);
CREATE INDEX tad ON t(a DESC, d);
CREATE INDEX tc ON t(b) WHERE c <> 2;
INSERT INTO t VALUES (1, 0, 0, 'x'), (2, 0, 0, 'X');
SELECT DISTINCT d FROM t;
= 'X'
## names are told apart byte by byte, spellings that Unicode calls equivalent too
CREATE TABLE t(é INTEGER, é TEXT);
INSERT INTO t(é, é) VALUES ('two', 1);
SELECT é, é FROM t;
= 1, 'two'
CREATE TABLE é(a);
CREATE TABLE é(a);
INSERT INTO é VALUES (1);
SELECT count(*) FROM é;
= 0
CREATE TABLE é(b);
! table é already exists
CREATE INDEX ié ON é(a);
CREATE INDEX ié ON é(a);
WITH cé AS (SELECT 1), cé AS (SELECT 2) SELECT * FROM cé, cé;
= 1, 2
SELECT x.é FROM (SELECT 3 AS é, 4 AS é) x;
= 3
SAVEPOINT é;
SAVEPOINT é;
RELEASE é;
RELEASE é;
! no such savepoint: é
SELECT 'é' = 'é';
= 0
SELECT length('é'), length('é');
= 1, 2
SELECT group_concat(name, ' ') FROM (SELECT name FROM sqlite_schema ORDER BY hex(name));
= 'é ié ié t é'
PRAGMA integrity_check;
= 'ok'
## the first rows of numbers that differ in their last bits
CREATE TABLE t(x);
WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 100) INSERT INTO t SELECT 1.0000000000000002 FROM n;
INSERT INTO t VALUES (1.0);
SELECT x = 1.0 FROM t ORDER BY x LIMIT 1;
= 1
UPDATE t SET x = -x;
SELECT x = -1.0 FROM t ORDER BY x DESC LIMIT 1;
= 1
INSERT INTO t VALUES (-1);
SELECT typeof(x) FROM t ORDER BY x DESC LIMIT 2;
= 'real'
= 'integer'
## texts are constants byte by byte
CREATE TABLE t(a);
INSERT INTO t VALUES ('é'), ('é');
SELECT count(*) FROM t WHERE a = 'é' OR a = 'é';
= 2
SELECT a = 'é', a = 'é' FROM t;
= 1, 0
= 0, 1
SELECT a IN ('é'), a IN ('é') FROM t;
= 1, 0
= 0, 1
SELECT DISTINCT hex(a) FROM t ORDER BY 1;
= '65CC81'
= 'C3A9'
SELECT count(*), hex(a || 'é') FROM t GROUP BY a || 'é' ORDER BY 2;
= 1, '65CC81C3A9'
= 1, 'C3A9C3A9'
CREATE INDEX i ON t(a || 'é');
SELECT count(*) FROM t WHERE a || 'é' = 'éé';
= 1
SELECT CASE 'é' WHEN 'é' THEN 1 ELSE 2 END;
= 2
SELECT sum(a = 'é'), sum(a = 'é'), count(DISTINCT a) FROM t;
= 1, 1, 2
## a type in quotes is its text
CREATE TABLE t(a "INTEGER" PRIMARY KEY, b "big" int, c big "int", d 'x' 'y', e [text], f "in""t", g `any`, h "");
PRAGMA table_info(t);
= 0, 'a', 'INTEGER', 0, NULL, 1
= 1, 'b', 'big', 0, NULL, 0
= 2, 'c', 'big "int"', 0, NULL, 0
= 3, 'd', 'x', 0, NULL, 0
= 4, 'e', 'TEXT', 0, NULL, 0
= 5, 'f', 'in"t', 0, NULL, 0
= 6, 'g', 'ANY', 0, NULL, 0
= 7, 'h', '', 0, NULL, 0
PRAGMA index_list(t);
INSERT INTO t(a, b, c, e) VALUES (7, '1', '1', 1);
SELECT rowid, typeof(b), typeof(c), typeof(e) FROM t;
= 7, 'integer', 'integer', 'text'
CREATE TABLE u(a "INTEGER"(3) PRIMARY KEY);
PRAGMA index_list(u);
= 0, 'sqlite_autoindex_u_1', 1, 'pk', 0
CREATE TABLE v(a "INT", b [Any]) STRICT;
PRAGMA table_info(v);
= 0, 'a', 'INT', 0, NULL, 0
= 1, 'b', 'ANY', 0, NULL, 0
CREATE TABLE w(a "x") STRICT;
! unknown datatype for w.a: "x"
CREATE TABLE w(a "INT"(1)) STRICT;
! unknown datatype for w.a: "INT"
SELECT typeof(CAST('1' AS "INTEGER")), typeof(CAST(1 AS [text]));
= 'integer', 'text'
## six types are written in capitals
CREATE TABLE t(a int, b Integer, c text, d Real, e blob, f any, g Numeric, h varchar(3));
PRAGMA table_info(t);
= 0, 'a', 'INT', 0, NULL, 0
= 1, 'b', 'INTEGER', 0, NULL, 0
= 2, 'c', 'TEXT', 0, NULL, 0
= 3, 'd', 'REAL', 0, NULL, 0
= 4, 'e', 'BLOB', 0, NULL, 0
= 5, 'f', 'ANY', 0, NULL, 0
= 6, 'g', 'Numeric', 0, NULL, 0
= 7, 'h', 'varchar(3)', 0, NULL, 0
## DESC in a table's PRIMARY KEY of an integer
CREATE TABLE t(a INTEGER, PRIMARY KEY(a DESC));
PRAGMA index_list(t);
INSERT INTO t VALUES (5);
SELECT rowid, a FROM t;
= 5, 5
CREATE TABLE u(a INTEGER PRIMARY KEY DESC);
PRAGMA index_list(u);
= 0, 'sqlite_autoindex_u_1', 1, 'pk', 0
CREATE TABLE v(a INTEGER, PRIMARY KEY(a DESC)) WITHOUT ROWID;
INSERT INTO v VALUES (1), (2);
SELECT a FROM v;
= 2
= 1
PRAGMA index_xinfo(sqlite_autoindex_v_1);
= 0, 0, 'a', 1, 'BINARY', 1
CREATE TABLE w(a INTEGER, PRIMARY KEY(a DESC AUTOINCREMENT));
CREATE TABLE x(a INTEGER, PRIMARY KEY(a, a));
PRAGMA index_list(x);
= 0, 'sqlite_autoindex_x_1', 1, 'pk', 0
## what an index may say
CREATE TABLE k(a, b);
CREATE INDEX i0 ON k(?);
! parameters prohibited in index expressions
CREATE INDEX i1 ON k(a) WHERE a = ?;
! parameters prohibited in partial index WHERE clauses
CREATE INDEX i2 ON k(a + :x);
! parameters prohibited in index expressions
CREATE INDEX i3 ON k(random());
! non-deterministic functions prohibited in index expressions
CREATE INDEX i4 ON k((SELECT 1));
! subqueries prohibited in index expressions
CREATE INDEX i5 ON k(a IN (SELECT 1));
! subqueries prohibited in index expressions
CREATE INDEX i6 ON k(EXISTS (SELECT 1));
! subqueries prohibited in index expressions
CREATE INDEX i7 ON k(a) WHERE (SELECT 1);
! subqueries prohibited in partial index WHERE clauses
CREATE INDEX i8 ON k(a) WHERE random();
! non-deterministic functions prohibited in partial index WHERE clauses
CREATE INDEX i9 ON k(k.a);
! the "." operator prohibited in index expressions
CREATE INDEX i10 ON k(k.a + 1);
! the "." operator prohibited in index expressions
CREATE INDEX i11 ON k(main.k.a);
! the "." operator prohibited in index expressions
CREATE INDEX i12 ON k(a) WHERE k.a = 1;
CREATE INDEX i13 ON k(rowid);
! no such column: rowid
CREATE INDEX i14 ON k(rowid + 1);
! no such column: rowid
CREATE INDEX i15 ON k(_rowid_);
! no such column: _rowid_
CREATE INDEX i16 ON k('rowid');
! no such column: rowid
CREATE INDEX i17 ON k(a) WHERE rowid = 1;
CREATE INDEX i18 ON k(a NULLS FIRST);
! unsupported use of NULLS FIRST
CREATE INDEX i19 ON k(a DESC NULLS LAST);
! unsupported use of NULLS LAST
CREATE INDEX i20 ON k('typo');
! no such column: typo
CREATE INDEX i21 ON k(typo);
! no such column: typo
CREATE INDEX i22 ON k([typo]);
! no such column: typo
CREATE INDEX i23 ON k(`typo`);
! no such column: typo
CREATE INDEX i24 ON k("typo");
CREATE INDEX i25 ON k("typo" COLLATE nocase);
CREATE INDEX i26 ON k("typo" || a);
CREATE INDEX i27 ON k("rowid");
CREATE INDEX i28 ON k('a');
CREATE INDEX i29 ON k('a' || a);
CREATE INDEX i30 ON k(count(*));
! misuse of aggregate function count()
CREATE INDEX i31 ON k(nosuch(1));
! no such function: nosuch
CREATE INDEX i32 ON k(current_time);
! non-deterministic functions prohibited in index expressions
CREATE INDEX i33 ON k(a) WHERE current_date > a;
! non-deterministic functions prohibited in partial index WHERE clauses
CREATE INDEX i34 ON k((a, b));
! row value misused
SELECT name FROM sqlite_schema WHERE type = 'index' ORDER BY 1;
= 'i12'
= 'i17'
= 'i24'
= 'i25'
= 'i26'
= 'i27'
= 'i28'
= 'i29'
INSERT INTO k VALUES (1, 2);
SELECT * FROM k WHERE a = 1;
= 1, 2
CREATE INDEX temp.j ON k(a);
! cannot create a TEMP index on non-TEMP table "k"
CREATE INDEX main.j ON k(a);
## what keys and columns of a table may say
CREATE TABLE t0(a, UNIQUE(zz));
! no such column: zz
CREATE TABLE t1(a, UNIQUE("zz"));
! expressions prohibited in PRIMARY KEY and UNIQUE constraints
CREATE TABLE t2(a, UNIQUE('zz'));
! no such column: zz
CREATE TABLE t3(a, UNIQUE('a'));
CREATE TABLE t4(a, UNIQUE(a + 1));
! expressions prohibited in PRIMARY KEY and UNIQUE constraints
CREATE TABLE t5(a, UNIQUE(t5.a));
! the "." operator prohibited in index expressions
CREATE TABLE t6(a, UNIQUE(?));
! parameters prohibited in index expressions
CREATE TABLE t7(a, UNIQUE((SELECT 1)));
! subqueries prohibited in index expressions
CREATE TABLE t8(a, PRIMARY KEY(rowid));
! no such column: rowid
CREATE TABLE t9(a, PRIMARY KEY(a NULLS FIRST));
! unsupported use of NULLS FIRST
CREATE TABLE t10(a, PRIMARY KEY("a" DESC));
CREATE TABLE t11(a REFERENCES k(a, b));
! foreign key on a should reference only one column of table k
CREATE TABLE t12(a, b, FOREIGN KEY(a) REFERENCES k(a, b));
! number of columns in foreign key does not match the number of columns in the referenced table
CREATE TABLE t13(a DEFAULT ("k"));
! default value of column [a] is not constant
CREATE TABLE t14(a DEFAULT "k");
CREATE TABLE t15(a DEFAULT (k));
! default value of column [a] is not constant
CREATE TABLE t16(a DEFAULT ('k'));
CREATE TABLE t17(a DEFAULT (1 + 2));
CREATE TABLE t18(a DEFAULT (nosuch()));
CREATE TABLE t19(a DEFAULT ((SELECT 1)));
! default value of column [a] is not constant
CREATE TABLE t20(a DEFAULT ("true"));
! default value of column [a] is not constant
CREATE TABLE t21(a DEFAULT (true));
CREATE TABLE t22(a DEFAULT (a));
! default value of column [a] is not constant
CREATE TABLE t23(a CHECK((SELECT 1)));
! subqueries prohibited in CHECK constraints
CREATE TABLE t24(a CHECK(zz));
! no such column: zz
CREATE TABLE t25(a CHECK("zz"));
CREATE TABLE t26(a CHECK(x.a));
! no such column: x.a
CREATE TABLE t27(a CHECK(rowid > 1));
CREATE TABLE t28(a CHECK(random()));
SELECT name FROM sqlite_schema ORDER BY 1;
= 'sqlite_autoindex_t10_1'
= 'sqlite_autoindex_t3_1'
= 't10'
= 't14'
= 't16'
= 't17'
= 't18'
= 't21'
= 't25'
= 't27'
= 't28'
= 't3'
## INDEXED BY in every statement
CREATE TABLE k(a);
CREATE INDEX i ON k(a);
INSERT INTO k VALUES (1), (2);
DELETE FROM k INDEXED BY zz;
! no such index: zz
DELETE FROM k INDEXED BY zz WHERE a = 1;
! no such index: zz
UPDATE k INDEXED BY zz SET a = 3;
! no such index: zz
SELECT a FROM k INDEXED BY zz;
! no such index: zz
SELECT a FROM k;
= 1
= 2
DELETE FROM k INDEXED BY i WHERE a = 1;
UPDATE k INDEXED BY i SET a = 3 WHERE a = 2;
SELECT a FROM k;
= 3
## DISTINCT over an outer query's column
CREATE TABLE o(id INTEGER PRIMARY KEY, u UNIQUE NOT NULL);
CREATE TABLE t(id INTEGER PRIMARY KEY, u UNIQUE NOT NULL);
INSERT INTO o VALUES (1, 10), (2, 20);
INSERT INTO t VALUES (1, 1), (2, 2), (3, 3);
SELECT (SELECT count(*) FROM (SELECT DISTINCT o.id FROM t)) FROM o;
= 1
= 1
SELECT (SELECT count(*) FROM (SELECT DISTINCT o.u FROM t)) FROM o;
= 1
= 1
SELECT (SELECT count(*) FROM (SELECT DISTINCT o.id, t.id FROM t)) FROM o;
= 3
= 3
SELECT (SELECT count(DISTINCT o.id) FROM t) FROM o;
= 2
## the smallest row id as a real
CREATE TABLE t(a INTEGER PRIMARY KEY);
INSERT INTO t VALUES (-9223372036854775807 - 1), (9223372036854775807);
SELECT a FROM t WHERE rowid = -9223372036854775808.0;
= -9223372036854775808
SELECT a FROM t WHERE a = '-9223372036854775808.0';
= -9223372036854775808
SELECT a FROM t WHERE a IN (-9223372036854775808.0);
= -9223372036854775808
SELECT a FROM t WHERE a = 9223372036854775807.0;
SELECT a FROM t WHERE a = 9223372036854775808.0;
CREATE TABLE u(x);
INSERT INTO u VALUES (-9223372036854775808.0);
SELECT a FROM u, t WHERE t.a = u.x;
= -9223372036854775808
SELECT a FROM t WHERE a IN (SELECT x FROM u);
= -9223372036854775808
SELECT a FROM t WHERE a <= -9223372036854775808.0;
= -9223372036854775808
## numbers of the header
PRAGMA user_version = 0x10;
PRAGMA user_version;
= 16
PRAGMA user_version = -0x10;
PRAGMA user_version;
= 0
PRAGMA user_version = 0x7fffffff;
PRAGMA user_version;
= 2147483647
PRAGMA user_version = 0x80000000;
PRAGMA user_version;
= 0
PRAGMA user_version = 2147483647;
PRAGMA user_version;
= 2147483647
PRAGMA user_version = 2147483648;
PRAGMA user_version;
= 0
PRAGMA user_version = -2147483648;
PRAGMA user_version;
= -2147483648
PRAGMA user_version = -2147483649;
PRAGMA user_version;
= 0
PRAGMA user_version = 1.5;
PRAGMA user_version;
= 1
PRAGMA user_version = '12';
PRAGMA user_version;
= 12
PRAGMA user_version = '0x1F';
PRAGMA user_version;
= 31
PRAGMA user_version = +5;
PRAGMA user_version;
= 5
PRAGMA user_version = -5;
PRAGMA user_version;
= -5
PRAGMA user_version = 99999999999;
PRAGMA user_version;
= 0
PRAGMA user_version = '-7x';
PRAGMA user_version;
= -7
PRAGMA user_version = 00012;
PRAGMA user_version;
= 12
PRAGMA user_version = '  7';
PRAGMA user_version;
= 0
PRAGMA application_id = 0X1f;
PRAGMA application_id;
= 31
## switches that are numbers
PRAGMA recursive_triggers = 0x10;
PRAGMA recursive_triggers;
= 1
PRAGMA recursive_triggers = 0x0;
PRAGMA recursive_triggers;
= 0
PRAGMA recursive_triggers = 1.5;
PRAGMA recursive_triggers;
= 1
PRAGMA recursive_triggers = 0.9;
PRAGMA recursive_triggers;
= 0
PRAGMA recursive_triggers = on;
PRAGMA recursive_triggers;
= 1
PRAGMA recursive_triggers = 'off';
PRAGMA recursive_triggers;
= 0
PRAGMA recursive_triggers = 2;
PRAGMA recursive_triggers;
= 1
PRAGMA recursive_triggers = 256;
PRAGMA recursive_triggers;
= 1
PRAGMA recursive_triggers = yes;
PRAGMA recursive_triggers;
= 1
PRAGMA recursive_triggers = 0;
PRAGMA recursive_triggers;
= 0
## DEFAULT VALUES with columns
CREATE TABLE k(a, b);
INSERT INTO k(a) DEFAULT VALUES;
! 0 values for 1 columns
INSERT INTO k(a, b) DEFAULT VALUES;
! 0 values for 2 columns
INSERT INTO k(c) DEFAULT VALUES;
! table k has no column named c
INSERT INTO k DEFAULT VALUES;
SELECT * FROM k;
= NULL, NULL
## names of views' columns
CREATE VIEW v(x, y) AS SELECT 1, 'a';
PRAGMA table_info(v);
= 0, 'x', '', 0, NULL, 0
= 1, 'y', '', 0, NULL, 0
CREATE VIEW v2 AS SELECT 1 AS a, 2 AS a, 3 AS a;
PRAGMA table_info(v2);
= 0, 'a', '', 0, NULL, 0
= 1, 'a:1', '', 0, NULL, 0
= 2, 'a:2', '', 0, NULL, 0
SELECT "a:1", "a:2" FROM v2;
= 2, 3
CREATE VIEW v7(a, a) AS SELECT 1, 2;
PRAGMA table_info(v7);
= 0, 'a', '', 0, NULL, 0
= 1, 'a:1', '', 0, NULL, 0
SELECT a, "a:1" FROM v7;
= 1, 2
CREATE VIEW v8(a, "a:1", a) AS SELECT 1, 2, 3;
PRAGMA table_info(v8);
= 0, 'a', '', 0, NULL, 0
= 1, 'a:1', '', 0, NULL, 0
= 2, 'a:2', '', 0, NULL, 0
CREATE VIEW v9("x:1", "x:1") AS SELECT 1, 2;
PRAGMA table_info(v9);
= 0, 'x:1', '', 0, NULL, 0
= 1, 'x:2', '', 0, NULL, 0
WITH t(a, a) AS (SELECT 1, 2) SELECT "a:1" FROM t;
= 2
PRAGMA collation_list;
= 0, 'RTRIM'
= 1, 'NOCASE'
= 2, 'BINARY'
## what a CHECK is called
CREATE TABLE a(a CHECK(a > 5));
INSERT INTO a VALUES (1);
! CHECK constraint failed: a > 5
CREATE TABLE b(a CHECK ( a > 5 ));
INSERT INTO b VALUES (1);
! CHECK constraint failed: a > 5
CREATE TABLE c(a CHECK(/* x */ a > 5 /* y */));
INSERT INTO c VALUES (1);
! CHECK constraint failed: /* x */ a > 5 /* y */
CREATE TABLE d(a CHECK("a" > 5));
INSERT INTO d VALUES (1);
! CHECK constraint failed: a
CREATE TABLE e(a CHECK([a] > 5));
INSERT INTO e VALUES (1);
! CHECK constraint failed: a
CREATE TABLE f(a CHECK('it''s' > 'j'));
INSERT INTO f VALUES (1);
! CHECK constraint failed: it's
CREATE TABLE g(a CONSTRAINT n CHECK(a > 5), CHECK(`a` < 9));
INSERT INTO g VALUES (1);
! CHECK constraint failed: n
INSERT INTO g VALUES (10);
! CHECK constraint failed: n
CREATE TABLE h(a DEFAULT (/* x */ 1 + 1 ));
PRAGMA table_info(h);
= 0, 'a', '', 0, '/* x */ 1 + 1', 0
## 24:00 is the next day's midnight, and a negative weekday the last one
SELECT datetime('2024-02-28 24:00'), datetime('2024-12-31 24:00', 'start of year'), datetime('24:00', 'start of day');
= '2024-02-29 00:00:00', '2025-01-01 00:00:00', '2000-01-01 00:00:00'
SELECT datetime('-0001-12-31 24:00'), datetime('9999-12-31 24:00', '-1 day'), datetime('2023-02-30 24:00', 'floor');
= '-0002-01-01 00:00:00', NULL, '2023-03-03 00:00:00'
SELECT date('2024-01-03', 'weekday -0'), date('2024-01-03', 'weekday -3'), date('2024-01-03', 'weekday -6'), date('2024-01-03', 'weekday -7');
= '2023-12-31', '2024-01-03', '2023-12-30', NULL
SELECT length(time('12:00', 'subsec', 'utc')), length(time('12:00', 'utc', 'subsec'));
= 8, 12
SELECT strftime('%J', 0), strftime('%J', 0.00001), strftime('%J', 2460310.25);
= '0', '1e-05', '2460310.25'
## likelihood takes a constant
SELECT likelihood(1, 0.5), likelihood(2, (1.0)), likelihood(3, .0);
= 1, 2, 3
SELECT likelihood(1, 1);
! second argument to likelihood() must be a constant between 0.0 and 1.0
SELECT likelihood(1, -0.5);
! second argument to likelihood() must be a constant between 0.0 and 1.0
SELECT LikeliHood(1, 1.5);
! second argument to LikeliHood() must be a constant between 0.0 and 1.0
SELECT likelihood(1, '0.5');
! second argument to likelihood() must be a constant between 0.0 and 1.0
SELECT likelihood(1, 0.25 + 0.25);
! second argument to likelihood() must be a constant between 0.0 and 1.0
SELECT likelihood(1, NULL);
! second argument to likelihood() must be a constant between 0.0 and 1.0
SELECT likelihood(unknown, 2);
! no such column: unknown
SELECT likelihood(1);
! wrong number of arguments to function likelihood()
CREATE TABLE t(a, CHECK (likelihood(a, 2)));
! second argument to likelihood() must be a constant between 0.0 and 1.0
## a number before a NUL
SELECT typeof(sum('12' || char(0))), typeof(sum('12' || char(0) || 'x')), typeof(sum('9007199254740993' || char(0)));
= 'integer', 'integer', 'real'
SELECT ceil('12' || char(0)), ceil('9007199254740993' || char(0)), typeof('12' || char(0) + 0);
= 12, 9007199254740992.0, 'real'
CREATE TABLE t(i INT, r REAL);
INSERT INTO t VALUES ('12' || char(0) || 'x', '12' || char(0)), ('9007199254740993' || char(0), 1);
SELECT i, typeof(i), r, i = '12' || char(0) FROM t;
= 12, 'integer', 12.0, 1
= 9007199254740992, 'integer', 1.0, 0
SELECT count(*) FROM t WHERE i IN ('12' || char(0), 3);
= 1
SELECT log(3, '12abc') = log(3, 12), log('3x', 12), log(3, 'abc'), format('[%*d]', 4294967298, 5), format('[%*d]', -4294967294, 5);
= 1, NULL, NULL, '[ 5]', '[ 5]'
## an index refuses the moment and the zone when it reads them
CREATE TABLE t(a);
CREATE INDEX i ON t(date(a));
CREATE INDEX j ON t(a) WHERE time('12:00', a) > '1';
INSERT INTO t VALUES ('2024-01-01');
INSERT INTO t VALUES ('now');
! non-deterministic use of date() in an index
INSERT OR IGNORE INTO t VALUES ('subsec');
! non-deterministic use of date() in an index
INSERT INTO t VALUES ('utc');
! non-deterministic use of time() in an index
INSERT INTO t VALUES ('localtime');
! non-deterministic use of time() in an index
UPDATE t SET a = 'NOW';
! non-deterministic use of date() in an index
SELECT a FROM t WHERE date(a) < date('now');
= '2024-01-01'
SELECT count(*) FROM t WHERE date(a) > '2023' AND time('12:00', a) IS NULL;
= 1
CREATE INDEX k ON t(date('now'));
! non-deterministic use of date() in an index
CREATE INDEX k ON t(a) WHERE unixepoch() > 0;
! non-deterministic use of unixepoch() in an index
CREATE INDEX k ON t(current_date);
! non-deterministic functions prohibited in index expressions
CREATE INDEX k ON t(timediff('x', 'now'));
DELETE FROM t;
CREATE INDEX l ON t(strftime('%s'));
INSERT INTO t VALUES (1);
! non-deterministic use of strftime() in an index
DROP INDEX l;
INSERT INTO t VALUES (1);
## a CHECK constraint refuses the moment and the zone when it reads them
CREATE TABLE t(a, b, CHECK (a = 1 OR datetime('2024-01-01', b) > '2'));
INSERT INTO t VALUES (1, 'utc');
INSERT INTO t VALUES (2, '+1 day');
INSERT INTO t VALUES (2, 'utc');
! non-deterministic use of datetime() in a CHECK constraint
INSERT OR IGNORE INTO t VALUES (2, 'localtime');
! non-deterministic use of datetime() in a CHECK constraint
UPDATE t SET a = 2;
! non-deterministic use of datetime() in a CHECK constraint
SELECT count(*), datetime('2024-01-01', 'utc') > '2' FROM t;
= 2, 1
CREATE TABLE u(a, CHECK (a < julianday('now')));
INSERT INTO u VALUES (1);
! non-deterministic use of julianday() in a CHECK constraint
CREATE TABLE v(a, CHECK (a < current_date));
INSERT INTO v VALUES (1);
CREATE TABLE w(a, CHECK (date(a, 'localtime') > '1'));
INSERT INTO w VALUES ('x');
INSERT INTO w VALUES (NULL);
INSERT INTO w VALUES ('2024-01-01');
! non-deterministic use of date() in a CHECK constraint
PRAGMA ignore_check_constraints = 1;
INSERT INTO t VALUES (3, 'utc');
PRAGMA ignore_check_constraints = 0;
PRAGMA quick_check;
! non-deterministic use of datetime() in a CHECK constraint
## the primary key of a STRICT table is NOT NULL
CREATE TABLE t(a INT, b TEXT, PRIMARY KEY (a)) STRICT;
INSERT INTO t(b) VALUES ('x');
! NOT NULL constraint failed: t.a
INSERT OR IGNORE INTO t(b) VALUES ('x');
INSERT OR REPLACE INTO t(b) VALUES ('x');
! NOT NULL constraint failed: t.a
PRAGMA table_info(t);
= 0, 'a', 'INT', 1, NULL, 1
= 1, 'b', 'TEXT', 0, NULL, 0
INSERT INTO t VALUES (1, NULL);
UPDATE t SET a = NULL;
! NOT NULL constraint failed: t.a
SELECT * FROM t WHERE a IS NULL;
CREATE TABLE u(a INTEGER PRIMARY KEY DESC, b TEXT) STRICT;
INSERT INTO u(b) VALUES ('x');
! NOT NULL constraint failed: u.a
PRAGMA table_info(u);
= 0, 'a', 'INTEGER', 1, NULL, 1
= 1, 'b', 'TEXT', 0, NULL, 0
CREATE TABLE v(a INT, b TEXT DEFAULT 3, c ANY, PRIMARY KEY (c, a, c)) STRICT;
INSERT INTO v(a) VALUES (1);
! NOT NULL constraint failed: v.c
INSERT INTO v(c) VALUES (1);
! NOT NULL constraint failed: v.a
PRAGMA table_info(v);
= 0, 'a', 'INT', 1, NULL, 2
= 1, 'b', 'TEXT', 0, '3', 0
= 2, 'c', 'ANY', 1, NULL, 1
CREATE TABLE w(a INTEGER PRIMARY KEY, b TEXT UNIQUE) STRICT;
INSERT INTO w VALUES (NULL, NULL);
SELECT * FROM w;
= 1, NULL
PRAGMA table_info(w);
= 0, 'a', 'INTEGER', 0, NULL, 1
= 1, 'b', 'TEXT', 0, NULL, 0
CREATE TABLE x(a INT PRIMARY KEY NOT NULL ON CONFLICT IGNORE, b INT) STRICT;
INSERT INTO x(b) VALUES (1);
SELECT count(*) FROM x;
= 0
CREATE TABLE y(a INTEGER, PRIMARY KEY (a DESC)) STRICT;
INSERT INTO y VALUES (NULL);
PRAGMA table_info(y);
= 0, 'a', 'INTEGER', 0, NULL, 1
CREATE TABLE z(a INT DEFAULT 7 PRIMARY KEY) STRICT;
INSERT OR REPLACE INTO z VALUES (NULL);
SELECT * FROM z;
= 7
## when a STRICT table's types are checked
CREATE TABLE t(a BLOB, b INT CHECK (b > 5)) STRICT;
INSERT INTO t VALUES (1, 2);
! cannot store INT value in BLOB column t.a
INSERT INTO t VALUES (1, 9);
! cannot store INT value in BLOB column t.a
INSERT INTO t VALUES (x'00', 2);
! CHECK constraint failed: b > 5
INSERT OR IGNORE INTO t VALUES (1, 2);
! cannot store INT value in BLOB column t.a
INSERT INTO t VALUES (x'00', 9);
UPDATE t SET a = 1;
! cannot store INT value in BLOB column t.a
UPDATE t SET a = 1, b = 1;
! cannot store INT value in BLOB column t.a
PRAGMA ignore_check_constraints = 1;
INSERT INTO t VALUES (1, 2);
! cannot store INT value in BLOB column t.a
PRAGMA ignore_check_constraints = 0;
CREATE TABLE u(a INTEGER PRIMARY KEY ON CONFLICT IGNORE, b INTEGER) STRICT;
INSERT INTO u VALUES (1, 1);
INSERT INTO u VALUES (1, 'x');
INSERT INTO u VALUES (2, 'x');
! cannot store TEXT value in INTEGER column u.b
INSERT OR ABORT INTO u VALUES (1, 'x');
! UNIQUE constraint failed: u.a
INSERT OR REPLACE INTO u VALUES (1, 'x');
! cannot store TEXT value in INTEGER column u.b
SELECT * FROM u;
= 1, 1
CREATE TABLE v(a INTEGER PRIMARY KEY, b INTEGER UNIQUE, c INTEGER) STRICT;
INSERT INTO v VALUES (1, 1, 1), (2, 2, 2);
INSERT INTO v VALUES (1, 3, 'x');
! UNIQUE constraint failed: v.a
INSERT INTO v VALUES (3, 1, 'x');
! cannot store TEXT value in INTEGER column v.c
UPDATE v SET a = 2, c = 'x' WHERE a = 1;
! UNIQUE constraint failed: v.a
UPDATE v SET b = 2, c = 'x' WHERE a = 1;
! cannot store TEXT value in INTEGER column v.c
UPDATE OR IGNORE v SET a = 2, c = 'x' WHERE a = 1;
UPDATE OR IGNORE v SET b = 2, c = 'x' WHERE a = 1;
! cannot store TEXT value in INTEGER column v.c
CREATE TABLE w(a INTEGER PRIMARY KEY, b INTEGER CHECK (b > 5)) STRICT;
INSERT INTO w VALUES (1, 9);
INSERT INTO w VALUES (1, 'x');
! cannot store TEXT value in INTEGER column w.b
CREATE TABLE x(a INT PRIMARY KEY ON CONFLICT IGNORE, b INT) STRICT, WITHOUT ROWID;
INSERT INTO x VALUES (1, 1);
INSERT INTO x VALUES (1, 'x');
! cannot store TEXT value in INT column x.b
SELECT * FROM x;
= 1, 1
## the primary key of a WITHOUT ROWID table is checked in its turn
CREATE TABLE t(a INT PRIMARY KEY ON CONFLICT IGNORE, b UNIQUE) WITHOUT ROWID;
INSERT INTO t VALUES (1, 1), (2, 2);
INSERT INTO t VALUES (1, 2);
! UNIQUE constraint failed: t.b
INSERT INTO t VALUES (1, 3);
UPDATE t SET a = 1, b = 1 WHERE a = 2;
! UNIQUE constraint failed: t.b
SELECT * FROM t;
= 1, 1
= 2, 2
CREATE TABLE u(a INT PRIMARY KEY, b UNIQUE ON CONFLICT IGNORE) WITHOUT ROWID;
INSERT INTO u VALUES (1, 1), (2, 2);
INSERT INTO u VALUES (1, 2);
INSERT INTO u VALUES (1, 3);
! UNIQUE constraint failed: u.a
SELECT * FROM u;
= 1, 1
= 2, 2
CREATE TABLE v(a INTEGER PRIMARY KEY, b UNIQUE) WITHOUT ROWID;
INSERT INTO v VALUES (1, 1), (2, 2);
INSERT INTO v VALUES (1, 2);
! UNIQUE constraint failed: v.a
CREATE TABLE w(a, b UNIQUE, c, PRIMARY KEY (c, a)) WITHOUT ROWID;
INSERT INTO w VALUES (1, 1, 1), (2, 2, 2);
INSERT INTO w VALUES (1, 2, 1);
! UNIQUE constraint failed: w.c, w.a
CREATE UNIQUE INDEX i ON w(c);
INSERT INTO w VALUES (1, 2, 1);
! UNIQUE constraint failed: w.c
INSERT OR REPLACE INTO w VALUES (1, 2, 1);
SELECT * FROM w;
= 1, 2, 1
CREATE TABLE x(a PRIMARY KEY ON CONFLICT REPLACE, b UNIQUE, c UNIQUE ON CONFLICT REPLACE) WITHOUT ROWID;
INSERT INTO x VALUES (1, 1, 1), (2, 2, 2), (3, 3, 3);
INSERT INTO x VALUES (1, 2, 3);
! UNIQUE constraint failed: x.b
INSERT INTO x VALUES (1, 4, 3);
SELECT * FROM x;
= 1, 4, 3
= 2, 2, 2
PRAGMA integrity_check;
= 'ok'
## what an index computes comes after the keys before it
CREATE TABLE t(a INTEGER PRIMARY KEY, b);
CREATE INDEX i ON t(abs(b));
INSERT INTO t VALUES (1, 1);
INSERT OR IGNORE INTO t VALUES (1, -9223372036854775808);
INSERT INTO t VALUES (1, -9223372036854775808);
! UNIQUE constraint failed: t.a
INSERT OR REPLACE INTO t VALUES (1, -9223372036854775808);
! integer overflow
INSERT OR IGNORE INTO t VALUES (2, -9223372036854775808);
! integer overflow
SELECT * FROM t;
= 1, 1
INSERT INTO t VALUES (2, 2);
UPDATE OR IGNORE t SET a = 1, b = -9223372036854775808 WHERE a = 2;
SELECT * FROM t;
= 1, 1
= 2, 2
CREATE TABLE u(a UNIQUE, b);
CREATE INDEX j ON u(abs(b));
INSERT INTO u VALUES (1, 1);
INSERT OR IGNORE INTO u VALUES (1, -9223372036854775808);
! integer overflow
DROP INDEX j;
CREATE UNIQUE INDEX k ON u(a, b);
CREATE INDEX j ON u(a) WHERE abs(b) > 0;
CREATE UNIQUE INDEX l ON u(a);
INSERT OR IGNORE INTO u VALUES (1, -9223372036854775808);
SELECT * FROM u;
= 1, 1
CREATE TABLE v(a INTEGER PRIMARY KEY ON CONFLICT REPLACE, b UNIQUE, c);
CREATE INDEX m ON v(abs(c));
INSERT INTO v VALUES (1, 1, 1), (2, 2, 2);
INSERT INTO v VALUES (1, 2, 3);
! UNIQUE constraint failed: v.b
INSERT INTO v VALUES (1, 3, -9223372036854775808);
! integer overflow
INSERT INTO v VALUES (1, 3, -3);
INSERT OR REPLACE INTO v VALUES (1, 2, -4);
SELECT * FROM v;
= 1, 2, -4
PRAGMA integrity_check;
= 'ok'
## NOT NULL asks about filled defaults last
CREATE TABLE t(a NOT NULL ON CONFLICT REPLACE DEFAULT NULL, b NOT NULL);
INSERT INTO t(a) VALUES (NULL);
! NOT NULL constraint failed: t.b
INSERT INTO t(b) VALUES (1);
! NOT NULL constraint failed: t.a
INSERT OR REPLACE INTO t(a) VALUES (1);
! NOT NULL constraint failed: t.b
CREATE TABLE x(a NOT NULL ON CONFLICT REPLACE DEFAULT NULL, b NOT NULL ON CONFLICT IGNORE);
INSERT INTO x(a) VALUES (NULL);
INSERT INTO x(b) VALUES (1);
! NOT NULL constraint failed: x.a
SELECT count(*) FROM x;
= 0
CREATE TABLE u(a NOT NULL ON CONFLICT REPLACE DEFAULT NULL, b NOT NULL, c TEXT NOT NULL ON CONFLICT REPLACE DEFAULT 5);
INSERT INTO u(a) VALUES (NULL);
! NOT NULL constraint failed: u.b
INSERT INTO u VALUES (NULL, 1, NULL);
! NOT NULL constraint failed: u.a
INSERT INTO u VALUES (1, 2, NULL);
SELECT a, b, c, typeof(c) FROM u;
= 1, 2, '5', 'text'
UPDATE u SET a = NULL;
! NOT NULL constraint failed: u.a
UPDATE u SET a = NULL, b = NULL;
! NOT NULL constraint failed: u.b
UPDATE u SET c = NULL;
SELECT * FROM u;
= 1, 2, '5'
CREATE TABLE v(a NOT NULL ON CONFLICT REPLACE, b NOT NULL);
INSERT INTO v(a) VALUES (NULL);
! NOT NULL constraint failed: v.a
## constraints that replace are the last, the newest first
CREATE TABLE t(a UNIQUE ON CONFLICT REPLACE, b UNIQUE ON CONFLICT REPLACE, c UNIQUE, d UNIQUE ON CONFLICT REPLACE, e UNIQUE);
PRAGMA index_list(t);
= 0, 'sqlite_autoindex_t_5', 1, 'u', 0
= 1, 'sqlite_autoindex_t_3', 1, 'u', 0
= 2, 'sqlite_autoindex_t_4', 1, 'u', 0
= 3, 'sqlite_autoindex_t_2', 1, 'u', 0
= 4, 'sqlite_autoindex_t_1', 1, 'u', 0
CREATE TABLE u(a UNIQUE, b UNIQUE ON CONFLICT REPLACE, c UNIQUE, UNIQUE (a) ON CONFLICT REPLACE);
PRAGMA index_list(u);
= 0, 'sqlite_autoindex_u_3', 1, 'u', 0
= 1, 'sqlite_autoindex_u_1', 1, 'u', 0
= 2, 'sqlite_autoindex_u_2', 1, 'u', 0
INSERT INTO u VALUES (1, 1, 1), (2, 2, 2), (3, 3, 3);
INSERT INTO u VALUES (1, 2, 3);
! UNIQUE constraint failed: u.c
INSERT INTO u VALUES (1, 2, 4);
SELECT * FROM u;
= 3, 3, 3
= 1, 2, 4
CREATE TABLE v(a INTEGER PRIMARY KEY ON CONFLICT REPLACE, b UNIQUE ON CONFLICT REPLACE, c UNIQUE) WITHOUT ROWID;
PRAGMA index_list(v);
= 0, 'sqlite_autoindex_v_2', 1, 'u', 0
= 1, 'sqlite_autoindex_v_3', 1, 'pk', 0
= 2, 'sqlite_autoindex_v_1', 1, 'u', 0
CREATE UNIQUE INDEX i ON v(b, c);
PRAGMA index_list(v);
= 0, 'i', 1, 'c', 0
= 1, 'sqlite_autoindex_v_2', 1, 'u', 0
= 2, 'sqlite_autoindex_v_3', 1, 'pk', 0
= 3, 'sqlite_autoindex_v_1', 1, 'u', 0
## a NULL that groups is itself
CREATE TABLE n(a, b);
INSERT INTO n VALUES (NULL, 1), (NULL, 2), (3, 3);
SELECT x FROM (SELECT a x FROM n GROUP BY a) WHERE x IS x;
= NULL
= 3
SELECT a IS a, a IS NOT a, (a, 1) IS (a, 1), count(*) FROM n GROUP BY a;
= 1, 0, 1, 2
= 1, 0, 1, 1
SELECT DISTINCT x IS x FROM (SELECT a x FROM n GROUP BY a);
= 1
SELECT x IS (SELECT NULL) FROM (SELECT a x FROM n GROUP BY a);
= 1
= 0
CREATE INDEX i ON n(a);
SELECT a IS a, sum(b) FROM n GROUP BY a;
= 1, 3
= 1, 3
SELECT a, b, count(*) FROM n GROUP BY a, b ORDER BY 2;
= NULL, 1, 1
= NULL, 2, 1
= 3, 3, 1
## groups from a descending index
CREATE TABLE t3(c, d);
CREATE INDEX i ON t3(c DESC, d);
INSERT INTO t3 VALUES (1, 1), (2, 2), (3, 3);
SELECT c FROM t3 WHERE d <> 0 GROUP BY c ORDER BY c LIMIT 1;
= 1
SELECT c FROM t3 WHERE d <> 0 GROUP BY c ORDER BY c DESC LIMIT 1;
= 3
SELECT c, d FROM t3 GROUP BY c, d ORDER BY c, d;
= 1, 1
= 2, 2
= 3, 3
CREATE TABLE w(c, d, PRIMARY KEY(c DESC, d)) WITHOUT ROWID;
INSERT INTO w VALUES (1, 1), (2, 2), (3, 3);
SELECT c FROM w WHERE d <> 0 GROUP BY c ORDER BY c;
= 1
= 2
= 3
## tables of one name in two databases
CREATE TABLE t(a, b, c);
CREATE TEMP TABLE t(a, b);
INSERT INTO main.t VALUES (1, 2, 3);
INSERT INTO temp.t VALUES (4, 5);
SELECT * FROM temp.t, main.t;
= 4, 5, 1, 2, 3
SELECT * FROM main.t, temp.t;
= 1, 2, 3, 4, 5
SELECT * FROM main.t JOIN temp.t ON main.t.a < temp.t.a;
= 1, 2, 3, 4, 5
SELECT * FROM main.t LEFT JOIN temp.t ON 0;
= 1, 2, 3, NULL, NULL
SELECT * FROM main.t, main.t;
! ambiguous column name: main.t.a
SELECT * FROM temp.t, t;
! ambiguous column name: temp.t.a
## a real in a set of large integers
CREATE TABLE r(x REAL);
INSERT INTO r VALUES (1e18);
SELECT x IN (SELECT 1000000000000000001) FROM r;
= 1
SELECT x IN (1000000000000000001) FROM r;
= 0
SELECT (x, 1) IN (SELECT 1000000000000000001, 1) FROM r;
= 1
SELECT x IN (VALUES (1000000000000000001)) FROM r;
= 1
CREATE TABLE i(k INTEGER);
INSERT INTO i VALUES (1000000000000000001), (5);
SELECT x IN (SELECT k FROM i), x IN (SELECT +k FROM i), 5.0 IN (SELECT k FROM i), 1000000000000000001 IN (SELECT x FROM r) FROM r;
= 0, 1, 1, 1
SELECT count(*) FROM r WHERE x IN (SELECT k FROM i);
= 0
## the collation of an aggregate
CREATE TABLE x(a, c);
INSERT INTO x VALUES (1, 'aBd'), (2, 'b');
SELECT min(c COLLATE nocase) = 'abd' FROM x;
= 1
SELECT count(*) FROM x HAVING max(c COLLATE nocase) = 'B';
= 2
SELECT min(c COLLATE nocase) IN ('ABD') FROM x;
= 1
SELECT count(c COLLATE nocase) || 'A' = '2a' FROM x;
= 1
SELECT group_concat(c COLLATE nocase) = 'ABD,B' FROM x;
= 1
SELECT a FROM x GROUP BY a ORDER BY max(c COLLATE nocase);
= 1
= 2
SELECT min(c) = 'abd' FROM x;
= 0
## conditions on arms of other affinities
CREATE TABLE u(b TEXT);
INSERT INTO u VALUES ('x'), ('1');
CREATE TABLE w(k INT);
INSERT INTO w VALUES (1), (5);
SELECT * FROM (SELECT b FROM u UNION ALL SELECT k FROM w) WHERE b <> '1';
= 'x'
= 5
SELECT * FROM (SELECT b FROM u UNION ALL SELECT k FROM w) WHERE b NOT IN ('1', '7');
= 'x'
= 5
SELECT * FROM (SELECT b FROM u UNION ALL SELECT k FROM w) WHERE b NOT BETWEEN '1' AND '2';
= 'x'
= 5
SELECT * FROM (SELECT b FROM u UNION ALL SELECT k + 0 FROM w) WHERE b <> '1';
= 'x'
= 1
= 5
SELECT * FROM (SELECT b FROM u UNION ALL SELECT 1) WHERE b <> '1';
= 'x'
= 1
SELECT * FROM (SELECT b FROM u UNION ALL SELECT k FROM w LIMIT 9) WHERE b <> '1';
= 'x'
= 1
= 5
SELECT * FROM (SELECT k FROM w UNION ALL SELECT b FROM u) WHERE k <> '1';
= 5
= 'x'
SELECT * FROM (SELECT k FROM w UNION ALL SELECT b FROM u) WHERE k = 1;
= 1
CREATE VIEW v AS SELECT b FROM u UNION ALL SELECT k FROM w;
SELECT * FROM v WHERE b <> '1';
= 'x'
= 5
## INDEXED BY an index that no condition uses
CREATE TABLE u(a, b, c);
CREATE INDEX uj ON u(c);
INSERT INTO u VALUES (1, 1, 9), (2, 1, 8), (3, 2, 7);
SELECT a FROM u INDEXED BY uj WHERE b = 1;
= 2
= 1
UPDATE u INDEXED BY uj SET a = a + 10 WHERE b = 1;
SELECT a FROM u INDEXED BY uj;
= 3
= 12
= 11
DELETE FROM u INDEXED BY uj WHERE b = 1;
SELECT a FROM u;
= 3
CREATE INDEX up ON u(c) WHERE a > 5;
SELECT a FROM u INDEXED BY up WHERE b = 2;
! no query solution
## EXISTS and DISTINCT
CREATE TABLE t(a);
INSERT INTO t VALUES (1), (2), (3);
SELECT EXISTS (SELECT DISTINCT 1 FROM t LIMIT 5 OFFSET 2);
= 1
SELECT EXISTS (SELECT DISTINCT a FROM t LIMIT 5 OFFSET 3);
= 0
SELECT EXISTS (SELECT DISTINCT abs(-9223372036854775807 - 1) FROM t);
= 1
SELECT EXISTS (SELECT DISTINCT 1 FROM t UNION SELECT 1 LIMIT 5 OFFSET 1);
= 0
## chains of common tables
WITH c0(a) AS (SELECT 1), c1(a) AS (SELECT a FROM c0), c2(a) AS (SELECT a FROM c1), c3(a) AS (SELECT a FROM c2), c4(a) AS (SELECT a FROM c3), c5(a) AS (SELECT a FROM c4) SELECT count(*) FROM c5;
= 1
WITH c0(a) AS (SELECT 1), c1(a) AS (SELECT x.a FROM c0 x, c0 y), c2(a) AS (SELECT x.a FROM c1 x, c1 y), c3(a) AS (SELECT x.a FROM c2 x, c2 y), c4(a) AS (SELECT x.a FROM c3 x, c3 y), c5(a) AS (SELECT x.a FROM c4 x, c4 y), c6(a) AS (SELECT x.a FROM c5 x, c5 y) SELECT count(*) FROM c6;
= 1
WITH c0(a) AS (SELECT 1), c1(a) AS (SELECT (SELECT a FROM c0)), c2(a) AS (SELECT (SELECT a FROM c1)), c3(a) AS (SELECT (SELECT a FROM c2)), c4(a) AS (SELECT (SELECT a FROM c3)), c5(a) AS (SELECT (SELECT a FROM c4)), c6(a) AS (SELECT (SELECT a FROM c5)), c7(a) AS (SELECT (SELECT a FROM c6)), c8(a) AS (SELECT (SELECT a FROM c7)), c9(a) AS (SELECT (SELECT a FROM c8)), c10(a) AS (SELECT (SELECT a FROM c9)), c11(a) AS (SELECT (SELECT a FROM c10)), c12(a) AS (SELECT (SELECT a FROM c11)), c13(a) AS (SELECT (SELECT a FROM c12)), c14(a) AS (SELECT (SELECT a FROM c13)), c15(a) AS (SELECT (SELECT a FROM c14)), c16(a) AS (SELECT (SELECT a FROM c15)), c17(a) AS (SELECT (SELECT a FROM c16)), c18(a) AS (SELECT (SELECT a FROM c17)), c19(a) AS (SELECT (SELECT a FROM c18)), c20(a) AS (SELECT (SELECT a FROM c19)) SELECT count(*) FROM c20;
= 1
## columns of a parenthesised outer join
CREATE TABLE a(id, x);
CREATE TABLE b(id, x);
CREATE TABLE t(id, y);
INSERT INTO a VALUES (1, 10);
INSERT INTO b VALUES (1, 20);
INSERT INTO t VALUES (1, 30), (2, 40);
SELECT t.y, b.x FROM t LEFT JOIN (a JOIN b ON a.id = b.id) ON a.id = t.id;
= 30, 20
= 40, NULL
SELECT b.id, a.id FROM t LEFT JOIN (a JOIN b ON a.id = b.id) ON b.id = t.id;
= 1, 1
= NULL, NULL
SELECT b.x, b.id FROM t LEFT JOIN (a JOIN b USING (id)) ON t.id = a.id;
= 20, 1
= NULL, NULL
SELECT x FROM t LEFT JOIN (a JOIN b USING (id)) ON t.id = a.id;
! ambiguous column name: x
SELECT * FROM t LEFT JOIN (a JOIN b ON a.id = b.id) ON a.id = t.id;
= 1, 30, 1, 10, 1, 20
= 2, 40, NULL, NULL, NULL, NULL
SELECT * FROM t LEFT JOIN (a JOIN b USING (id)) ON t.id = a.id;
= 1, 30, 1, 10, 20
= 2, 40, NULL, NULL, NULL
SELECT count(b.x), max(a.x) FROM t LEFT JOIN (a JOIN b ON a.id = b.id) ON a.id = t.id WHERE b.id = 1;
= 1, 10
## a real in a list of large integers
CREATE TABLE r(x REAL);
INSERT INTO r VALUES (1e18);
SELECT x IN (1000000000000000001, 2, 3) FROM r;
= 0
SELECT count(*) FROM r WHERE x IN (1000000000000000001, 2, 3);
= 0
SELECT x IN (1000000000000000000, 2, 3) FROM r;
= 1
CREATE INDEX i ON r(x);
SELECT count(*) FROM r WHERE x IN (1000000000000000001, 2, 3);
= 0
SELECT count(*) FROM r WHERE x IN (1000000000000000000, 2, 3);
= 1
## EXISTS and DISTINCT in arms
CREATE TABLE u(a);
INSERT INTO u VALUES (1), (1);
SELECT EXISTS (SELECT a FROM u WHERE 0 UNION ALL SELECT DISTINCT a FROM u LIMIT 1 OFFSET 1);
= 1
SELECT EXISTS (SELECT DISTINCT a FROM u UNION ALL SELECT a FROM u WHERE 0 LIMIT 1 OFFSET 1);
= 1
SELECT EXISTS (SELECT DISTINCT a FROM u UNION SELECT a FROM u WHERE 0 LIMIT 1 OFFSET 1);
= 0
## rowid in double quotes is a string in an index
CREATE TABLE t(a);
CREATE INDEX i ON t(a || "rowid");
CREATE INDEX j ON t("rowid");
INSERT INTO t VALUES ('x'), ('y');
PRAGMA integrity_check;
= 'ok'
SELECT a FROM t WHERE a || "rowid" = 'x1';
= 'x'
SELECT a FROM t WHERE a || 'rowid' = 'xrowid';
= 'x'
SELECT count(*) FROM t INDEXED BY i WHERE a || 'rowid' > '';
= 2
