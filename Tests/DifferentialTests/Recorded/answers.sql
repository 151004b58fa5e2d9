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
