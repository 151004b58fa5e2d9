// Texts that SQLite 3.54.1 rejects while it parses: the byte offset it gives (-1: none), its message, the text. Recorded
// once by a script that prepared each of them.

let rejectedStatements = #"""
  30 | near "FROM": syntax error | SELECT a BETWEEN b OR c AND d FROM t
  -1 | a JOIN clause is required before ON | select 1 from t on 1
  -1 | incomplete input | select
  -1 | incomplete input | select 1 +
  7 | unrecognized token: "'abc" | select 'abc
  7 | unrecognized token: "@" | select @
  7 | unrecognized token: "$" | select $
  7 | unrecognized token: "#" | select #
  7 | variable number must be between ?1 and ?32766 | select ?0
  7 | variable number must be between ?1 and ?32766 | select ?32767
  7 | variable number must be between ?1 and ?32766 | select ?99999999999
  10 | near "?": syntax error | select :a ?
  7 | unrecognized token: "0x" | select 0x
  7 | hex literal too big: 0x12345678901234567 | select 0x12345678901234567
  8 | hex literal too big: -0x8000000000000000 | select -0x8000000000000000
  7 | unrecognized token: "12ab" | select 12ab
  -1 | unrecognized token: "1__0" | select 1__0
  -1 | unrecognized token: "1_" | select 1_
  7 | unrecognized token: "1e" | select 1e
  7 | unrecognized token: "1e" | select 1e+
  -1 | unrecognized token: "1._5" | select 1._5
  7 | unrecognized token: "x'12" | select x'12
  7 | unrecognized token: "x'1'" | select x'1'
  7 | unrecognized token: "x'zz'" | select x'zz'
  7 | unrecognized token: ""abc" | select "abc
  7 | unrecognized token: "[abc" | select [abc
  7 | unrecognized token: "`abc" | select `abc
  7 | unrecognized token: "!" | select !
  9 | unrecognized token: "!" | select a ! b
  7 | unrecognized token: "{" | select {
  -1 | incomplete input | create table tt(
  -1 | incomplete input | insert into t
  -1 | incomplete input | select * from
  -1 | incomplete input | create table
  -1 | incomplete input | create
  0 | near "(": syntax error | (
  -1 | incomplete input | explain
  -1 | incomplete input | explain query
  -1 | incomplete input | select 1 where
  -1 | incomplete input | values
  36 | near "(": syntax error | select percentile(0.5) within group (order by 1)
  25 | near "order": syntax error | select 1 union values(2) order by 1
  -1 | all VALUES must have the same number of terms | values(1),(2,3)
  -1 | ORDER BY clause should come after UNION not before | select 1 order by 1 union select 2
  29 | near "on": syntax error | insert into t default values on conflict do nothing
  -1 | incomplete input | create trigger a after insert on t begin select 1 end
  -1 | qualified table names are not allowed on INSERT, UPDATE, and DELETE statements within triggers | create \#
  trigger a after insert on t begin insert into main.t values(1); end
  -1 | the INDEXED BY clause is not allowed on UPDATE or DELETE statements within triggers | create trigger a \#
  after insert on t begin update t indexed by x set a=1; end
  -1 | the NOT INDEXED clause is not allowed on UPDATE or DELETE statements within triggers | create trigger a \#
  after insert on t begin delete from t not indexed; end
  -1 | incomplete input | create trigger a after insert on t begin select 1; select
  55 | near "default": syntax error | create trigger a after insert on t begin insert into t default values; end
  -1 | incomplete input | drop
  -1 | incomplete input | pragma a=
  -1 | incomplete input | pragma a(b
  -1 | incomplete input | vacuum into
  9 | near "select": syntax error | select 1 select
  12 | near ".": syntax error | select a.b.c.d
  8 | near ")": syntax error | select ()
  -1 | incomplete input | select case end
  -1 | incomplete input | select cast(1 as int
  20 | near "*": syntax error | select abs(distinct *)
  -1 | incomplete input | select distinct
  13 | near "x": syntax error | select raise(x)
  11 | near "=": syntax error | select 1 = = 2
  13 | near "b": syntax error | select a not b
  -1 | incomplete input | select a not
  -1 | incomplete input | select 1 in
  -1 | incomplete input | select 1 between 2
  -1 | incomplete input | select 1 between 2 and
  18 | near ")": syntax error | create table t8(a,)
  30 | near ")": syntax error | create table t8(a, primary key)
  -1 | unknown table option: foo | create table t8(a,b) foo
  -1 | unknown table option: foo | create table t8(a) without foo
  33 | near ")": syntax error | create table t8(a int, constraint)
  16 | near "constraint": syntax error | create table t8(constraint x)
  32 | near ")": syntax error | create table t8(a unique primary)
  -1 | parameters are not allowed in views | create view v8 as select ?
  -1 | default value of column [a] is not constant | create table t8(a default (?))
  -1 | incomplete input | attach
  16 | unknown join type: natural foo | select 1 from a natural foo join b
  16 | unknown join type: left inner | select 1 from a left inner join b
  16 | unknown join type: inner left | select 1 from a inner left join b
  16 | unknown join type: natural outer | select 1 from a natural outer join b
  16 | unknown join type: outer | select 1 from a outer join b
  16 | unknown join type: cross left | select 1 from a cross left join b
  28 | near "using": syntax error | select * from a join b on 1 using(x)
  -1 | incomplete input | select a collate
  9 | near "escape": syntax error | select 1 escape 2
  25 | near "escape": syntax error | select 1 like 2 escape 3 escape 4
  9 | unrecognized token: "@" | select 1 @
  7 | unrecognized token: "$a(" | select $a(
  7 | unrecognized token: "$a::b(c" | select $a::b(c d)
  7 | near "#1": syntax error | select #1
  10 | near ".": syntax error | select a.*.b
  11 | near "b": syntax error | select 5 a b
  -1 | incomplete input | select 1 as
  12 | near "select": syntax error | select 1 as select
  -1 | incomplete input | savepoint
  -1 | incomplete input | release savepoint
  -1 | incomplete input | rollback to
  -1 | incomplete input | create index i on t
  27 | near ")": syntax error | create unique index i on t()
  -1 | incomplete input | create virtual table v using
  -1 | incomplete input | create virtual table v using foo(a(b
  39 | near "x": syntax error | create virtual table v using foo(a(b)) x
  47 | near "on": syntax error | insert into t values(1) on conflict do nothing on conflict do nothing
  42 | near "do": syntax error | insert into t select 1 from a on conflict do nothing
  -1 | incomplete input | select 1 group by
  -1 | incomplete input | select row_number() over (
  -1 | unsupported frame specification | select sum(a) over (rows between current row and 1 preceding)
  35 | near "following": syntax error | select sum(a) over (rows unbounded following)
  43 | near "following": syntax error | select sum(a) over (rows between unbounded following and current row)
  45 | near "foo": syntax error | select sum(a) over (rows 1 preceding exclude foo)
  22 | near "1": syntax error | select sum(a) filter (1)
  25 | near "2": syntax error | select 1 is not distinct 2
  -1 | incomplete input | select 1 not in
  10 | near "(": syntax error | select 'a'(1)
  -1 | incomplete input | select true(1) from
  14 | near "1": syntax error | select exists 1
  15 | near "1": syntax error | select exists (1)
  -1 | incomplete input | alter table t
  -1 | incomplete input | alter table t rename
  18 | near "unique": syntax error | alter table t add unique(a)
  26 | near "null": syntax error | alter table t alter a set null
  6 | near "foo": syntax error | begin foo
  16 | near "foo": syntax error | begin immediate foo
  7 | near "foo": syntax error | commit foo
  9 | near "foo": syntax error | rollback foo
  -1 | incomplete input | select * from t indexed
  -1 | incomplete input | select * from t not
  -1 | incomplete input | select * from t indexed by
  11 | near ".": syntax error | reindex a.b.c
  -1 | incomplete input | detach
  -1 | incomplete input | create table t8 as
  19 | near "as": syntax error | create table t8(a) as select 1
  19 | near ")": syntax error | select f(1 order by)
  -1 | incomplete input | select f(order by 1
  10 | near ")": syntax error | select (1,)
  8 | near ",": syntax error | select (,1)
  -1 | incomplete input | select 1,
  7 | near ",": syntax error | select ,1
  11 | near "from": syntax error | select * , from t
  7 | near "t": syntax error | delete t
  -1 | incomplete input | delete from
  -1 | incomplete input | update t
  -1 | incomplete input | update t set
  -1 | incomplete input | update t set a
  17 | near "b": syntax error | update t set a=1 b
  7 | near "t": syntax error | insert t values(1)
  -1 | incomplete input | insert into t values
  21 | near ")": syntax error | insert into t values()
  14 | near ")": syntax error | insert into t() values(1)
  8 | near "t": syntax error | replace t values(1)
  -1 | incomplete input | select 1 from (select 2
  15 | near ")": syntax error | select 1 from ()
  -1 | incomplete input | select -
  -1 | incomplete input | select not
  -1 | incomplete input | select ~
  10 | near "*": syntax error | select 1 +* 2
  -1 | incomplete input | select 1 ||
  12 | near "from": syntax error | select a -> from t
  7 | near ".": syntax error | select .a from t
  10 | near "from": syntax error | select a. from t
  10 | near ".3": syntax error | select 1.2.3
  7 | unrecognized token: "1.a" | select 1.a
  14 | near "z": syntax error | select x'00'y z w
  7 | unrecognized token: ""a""b from t" | select "a""b from t
  43 | near "oid": syntax error | INSERT INTO t (a) SELECT x FROM u WHERE 1  oid  CONFLICT DO NOTHING
  16 | near ",": syntax error | SELECT /* c */  ,  /* d **/ + /***/ 2
  1 | near ")": syntax error |  ) SELECT a AS [x y] FROM t AS "u v"
  43 | near ")": syntax error | SELECT 1e308 * 10, 1.7976931348623157e308, )  4.9e-324, 5e-400
  9 | near "aux1": syntax error | DETACH a aux1
  8 | near ")": syntax error | SELECT  )  FROM t NATURAL LEFT JOIN u
  14 | near "IN": syntax error | SELECT a KEY  IN (SELECT b FROM t), a NOT IN (VALUES(1)) FROM t
  12 | near "UPDATE": syntax error | SELECT CASE UPDATE WHEN a THEN CASE b WHEN 1 THEN 2 END ELSE CASE WHEN c \#
  THEN d END END FROM t
  10 | near "t": syntax error | SELECT *  t NATURAL LEFT OUTER JOIN u
  7 | near "RAISE": syntax error | CREATE RAISE TABLE n1 (a INTEGER, PRIMARY KEY (a AUTOINCREMENT))
  30 | near "NOT": syntax error | ALTER TABLE t ALTER COLUMN a  NOT NULL
  9 | near "a": syntax error | SELECT * a  FROM t
  15 | near "n1": syntax error | ALTER TABLE t  n1 ADD z
  7 | near "REPLACE": syntax error | CREATE REPLACE TABLE "select" ("from" "where")
  16 | near "a": syntax error | SELECT CASE  a  a THEN b END FROM t
  13 | near "ALTER": syntax error | ALTER TABLE  ALTER COLUMN a SET NOT NULL
  6 | near "EXCLUSIVETRANSACTION": syntax error | BEGIN EXCLUSIVETRANSACTION foo
  1 | near "x''": syntax error |  x'', X'00ff', x'DEADBEEF'
  10 | near "(": syntax error | SELECT t. (  FROM t
  1 | near ",": syntax error |  , CREATE VIEW main.v1 AS VALUES (1)
  -1 | incomplete input | PRAGMA cache_size(+10
  29 | near "0XAB": syntax error | SELECT x'0a' || X'0B', 0x10  0XAB
  33 | unrecognized token: "2AND" | SELECT a BETWEEN b BETWEEN 1 AND 2AND 3 FROM t
  1 | near ")": syntax error |  )  t SET a = 1
  28 | near ")": syntax error | CREATE VIEW v1 AS SELECT *  ) FROM t
  8 | near "INSERT": syntax error |  SELECT INSERT INTO main.t AS x (a) VALUES (1)
  18 | near "4096": syntax error | PRAGMA page_size  4096
  15 | near "'s 1'": syntax error | SAVEPOINT OVER 's 1'
  13 | near "(": syntax error | INSERT INTO  (a) SELECT x FROM u
  8 | near "WHEN": syntax error | SELECT  WHEN a THEN b END FROM t
  9 | near "WHERE": syntax error | SELECT ( WHERE 1), ((1)), (((1 + 2))) * 3
  32 | near ")": syntax error | INSERT INTO t (a, b) VALUES (1, )
  8 | near ".": syntax error | REINDEX .ta
  24 | near ",": syntax error | SELECT a FROM t WHERE b ,  = 1 GROUP BY c
  1 | near "INDEX": syntax error |  INDEX "i 1" ON "t" ("a")
  30 | near "ROWS": syntax error | SELECT sum(a) OVER ORDER BY b ROWS CURRENT ROW) FROM t
  25 | near "c": syntax error | CREATE TEMP TABLE n1 AS  c AS (SELECT 1) SELECT * FROM c
  14 | near "'[1,2]'": syntax error | INSERT INTO t '[1,2]'  DEFAULT VALUES RETURNING a
  12 | near ";": syntax error | ;;;  SELECT ;
  -1 | incomplete input | DROP
  14 | near "RIGHT": syntax error | DROP TABLE IF RIGHT EXISTS main.t
  25 | near ".": syntax error | SELECT * FROM t JOIN u  t.a = u.x
  1 | near "AND": syntax error |  AND  a FROM t WHERE b = 1
  6 | near "=": syntax error | WITH  = c AS (SELECT 1 AS n) INSERT INTO t (a) SELECT n FROM c
  -1 | incomplete input | SELECT /* c */ 1 /* d **/ + /*** 2
  12 | near ".": syntax error | CREATE VIEW .v1 AS VALUES (1)
  30 | unrecognized token: "[c " | CREATE TABLE n1 ("a b" "t t", [c 
  43 | near "(": syntax error | SELECT date('now', '-1 day'), BIG  strftime('%Y', 'now')
  10 | near "t": syntax error | SELECT *  t INDEXED BY ta WHERE a = 1
  20 | near "(": syntax error | ALTER TABLE t DROP  ( f
  -1 | incomplete input | SELECT group_concat(a ORDER BY b), group_concat(a,
  21 | near "1": syntax error | SELECT a IS TRUE, a  1 IS NOT FALSE FROM t
  12 | near "SELECT": syntax error | ATTACH ? AS SELECT  ?
  43 | near "(": syntax error | CREATE TABLE n1 (a REFERENCES t DEFERRABLE ( INITIALLY DEFERRED)
  1 | near ")": syntax error |  )  t
  8 | near "SELECT": syntax error | CREATE  SELECT TRIGGER r1 AFTER INSERT ON t BEGIN SELECT 1; END
  13 | near "FROM": syntax error | ANALYZE main FROM .t
  12 | near "(": syntax error | SELECT b abs(-1), max(1, 2, 3), coalesce(NULL, 1), random()
  55 | near ",": syntax error | INSERT INTO t (a) VALUES (1) ON CONFLICT (a) DO UPDATE , SET b = excluded.b
  -1 | incomplete input | CREATE TABLE n1 (a, b AS (a + 1), c GENERATED ALWAYS 
  -1 | incomplete input | SELECT sum(a) OVER (ORDER BY b ROWS 1 PRECEDING) FROM
  -1 | incomplete input | SELECT * FROM t, 
  31 | near ",": syntax error | CREATE TABLE n1 (a REFERENCES  ,  DEFERRABLE)
  -1 | incomplete input | SELECT a = b = c, a < b < c, a - b -
  1 | near "key": syntax error |  key, "key", desc FROM (SELECT 1 AS key, 2 AS desc)
  19 | near "a": syntax error | DELETE FROM tWHERE a = 1
  10 | near "t": syntax error | SELECT *  t NATURAL INNER JOIN u
  29 | near "b": syntax error | SELECT a BETWEEN 1 AND 2  x  b FROM t
  13 | near "table_info": syntax error | PRAGMA  left table_info(t)
  10 | near "t": syntax error | REINDEX a t
  1 | near "EXCLUDE": syntax error |  EXCLUDE BEGIN
  15 | near "CHECK": syntax error | ALTER TABLE t  CHECK (a > 0)
  7 | near "RETURNING": syntax error | DELETE RETURNING FROM t WHERE a = 1
  1 | near "INDEX": syntax error |  INDEX i1 ON t (a)
  11 | near "9223372036854775807": syntax error | SELECT  ta 9223372036854775807, - 5, +5, -(-5)
  47 | near "10": syntax error | CREATE TABLE n1 (a VARCHAR(10), b DECIMAL OVER 10, 2), c DOUBLE PRECISION, d \#
  UNSIGNED BIG INT)
  1 | near ",": syntax error |  , ROLLBACK
  36 | near "3": syntax error | INSERT INTO t (a, b) VALUES (1, 2), 3, 4)
  9 | near "1": syntax error | SELECT b 1; SELECT 2
  1 | near "r1": syntax error |  r1  a NOT LIKE b NOT LIKE c FROM t
  10 | near "b": syntax error | SELECT *  b FROM t CROSS JOIN u
  40 | near ")": syntax error | SELECT sum(a) OVER (ORDER BY b ROWS  ROW) FROM t
  15 | near "INSERT": syntax error | EXPLAIN SELECT INSERT INTO t (a) VALUES (1)
  35 | near "AS": syntax error | CREATE INDEX i1 ON t (a + b, lower AS c))
  13 | near "OVER": syntax error | SELECT sum(a OVER w FROM t WINDOW w AS (PARTITION BY b)
  42 | near "FROM": syntax error | SELECT a IN (1,2,3), a NOT IN (1, a IN () FROM t
  12 | near ".": syntax error | SELECT a 'a'.b FROM t
  28 | near "lower": syntax error | CREATE INDEX i1 ON t (a + b lower(c))
  30 | near ")": syntax error | SELECT * FROM t JOIN u ON t.a )  = u.x
  15 | near "SELECT": syntax error | SELECT ?2, ?,  SELECT ?1, :x, ?
  30 | near "FROM": syntax error | SELECT a BETWEEN b OR c AND d FROM CREATE t
  29 | near "CREATE": syntax error | SELECT CASE a + 1 WHEN b OR  CREATE  THEN d AND e ELSE NOT a END AS x FROM t
  36 | near ")": syntax error | SELECT count(*) FROM t HAVING count*) > 1
  -1 | incomplete input | DELETE FROM 
  9 | near "NATURAL": syntax error | SELECT * NATURAL FROM (t, u)
  26 | near "FROM": syntax error | INSERT INTO t (a) VALUES  FROM (1) ON CONFLICT DO NOTHING
  12 | near "'file'": syntax error | ATTACH NULL 'file' AS aux1
  15 | near "ROLLBACK": syntax error | VALUES (1, 2), ROLLBACK  (3, 4), (5, 6)
  -1 | incomplete input | SELECT a, (SELECT max(x) FROM u WHERE u.x = t.a AND EXISTS (SELECT 1 FROM t AS t2 
  1 | near "2": syntax error |  2 SELECT - - a, ~ ~a, NOT NOT a, -+~a FROM t
  14 | near "ADDCONSTRAINT": syntax error | ALTER TABLE t ADDCONSTRAINT ck CHECK (a > 0) ON CONFLICT FAIL
  15 | near "FROM": syntax error | SELECT left  * FROM t
  6 | near "BEFORE": syntax error | BEGIN BEFORE  DEFERRED
  42 | near "LEFT": syntax error | CREATE TABLE n1 (a, b, UNIQUE (a), UNIQUE LEFT (b, a) ON CONFLICT REPLACE)
  1 | near "*": syntax error |  *  * FROM t NATURAL JOIN u
  52 | near "NOTDEFERRABLE": syntax error | CREATE TABLE n1 (a, b, FOREIGN KEY (a) REFERENCES t NOTDEFERRABLE)
  1 | near "TABLE": syntax error |  TABLE t RENAME a TO z
  14 | near "FROM": syntax error | SELECT * FROM FROM t NATURAL INNER JOIN u
  -1 | incomplete input | SELECT * FROM t FULL JOIN u ON 
  58 | near "1": syntax error | INSERT INTO t (a) SELECT x FROM u WHERE 1 ON CONFLICT DO  1 
  1 | near "TO": syntax error |  TO s1
  39 | near "DROP": syntax error | SELECT key, "key", desc FROM (SELECT 1 DROP  AS key, 2 AS desc)
  1 | near "CASE": syntax error |  CASE WHEN a THEN b END FROM t
  20 | near "SELECT": syntax error | UPDATE t SET (a, b) SELECT  = (1, 2)
  1 | near "t": syntax error |  t  TRANSACTION foo
  7 | near ")": syntax error | CREATE )  VIEW v1 AS SELECT * FROM t
  35 | near "5": syntax error | SELECT a FROM t LIMIT 10 OFFSET  1 5
  13 | near "n1": syntax error | CREATE TEMP  n1 (a)
  1 | near "INTO": syntax error |  INTO t (a) SELECT 1
  1 | near "c": syntax error |  c  TABLE n1 (a, b, c)
  23 | near "FROM": syntax error | SELECT DISTINCT a (  b FROM t
  1 | near "a": syntax error |  a = b = c, a < b < c, a - b - c, a / b / c FROM t
  9 | near "table_info": syntax error | PRAGMA a table_info('t')
  40 | near "f": syntax error | SELECT * FROM t LEFT JOIN u USING (a, b f 
  1 | near "a": syntax error |  a ALTER TABLE t ALTER COLUMN a DROP NOT NULL
  36 | near ",": syntax error | SELECT * FROM t NATURAL FULL OUTER  ,  u
  12 | near "-": syntax error | SELECT a  b - c * d / e % f FROM t
  25 | near "1": syntax error | WITH c AS MATERIALIZED ( 1) SELECT * FROM c
  25 | near "ON": syntax error | INSERT INTO t (a) VALUES ON  (1) ON CONFLICT (a) DO NOTHING
  28 | near "u": syntax error | CREATE UNIQUE INDEX i1 ON t u  (a) WHERE b > 5 AND c
  45 | near "t": syntax error | CREATE TABLE n1 (a, b, CONSTRAINT pk PRIMARY t  KEY (a) CONSTRAINT u UNIQUE (b) \#
  CHECK (a))
  14 | near "TABLE": syntax error | SELECT * FROM TABLE t RIGHT OUTER JOIN u ON 1
  31 | near "DO": syntax error | SELECT a FROM t WHERE a GROUP  DO BY b HAVING c ORDER BY d LIMIT 1 OFFSET 2
  11 | near "AS": syntax error | SELECT c a AS [x y] FROM t AS "u v"
  34 | near "1": syntax error | SELECT a IN (WITH x AS (SELECT  c 1) SELECT * FROM x) FROM t
  10 | near "INSERT": syntax error | SELECT *  INSERT FROM (t)
  38 | near "WHERE": syntax error | UPDATE t INDEXED BY ta SET a = 1 FROM WHERE a = 2
  8 | near ")": syntax error | CREATE  ) VIEW IF NOT EXISTS v1 (x, y) AS SELECT a, b FROM t
  -1 | incomplete input | SELECT * FROM (SELECT * FROM (SELECT * 
  40 | near "1": syntax error | INSERT OR ROLLBACK INTO t (a) VALUES (1 1 )
  17 | near "WHERE": syntax error | CREATE VIEW main WHERE .v1 AS VALUES (1)
  10 | near "foo": syntax error | ROLLBACK  foo
  -1 | incomplete input | ATTACH 
  13 | near "AND": syntax error | SELECT aOR b AND c OR d, (a OR b) AND (c OR d) FROM t
  27 | near "SELECT": syntax error | WITH c AS NOT MATERIALIZED SELECT 1) SELECT * FROM c
  10 | near "json_each": syntax error | SELECT *  json_each('[1,2]')
  21 | near "s1": syntax error | RELEASE SAVEPOINT a  s1
  9 | near "1": syntax error | SELECT * 1  FROM t RIGHT OUTER JOIN u ON 1
  13 | near "1": syntax error | CREATE TABLE 1 n1 (a generated always)
  0 | near "DROPTRIGGER": syntax error | DROPTRIGGER IF EXISTS nor
  10 | near "5": syntax error | SELECT a  5  t, a NOT IN main.t, a IN json_each('[1]') FROM t
  44 | near "b": syntax error | SELECT a < b, a <= b, a > b, a >= b, a  n1  b, a == b, a != b, a <> b FROM t
  30 | near ")": syntax error | SELECT * FROM main.t AS x NOT ) INDEXED WHERE 1
  -1 | incomplete input | SELECT -9223372036854775807, - 5, +5, --5)
  3 | near ",": syntax error | ;; , ; ;
  19 | near "4": syntax error | CREATE TABLE n1 (a 4 REFERENCES t DEFERRABLE INITIALLY DEFERRED)
  11 | near "a": syntax error | INSERT OR  a ABORT INTO t (a) VALUES (1)
  1 | near "b": syntax error |  b DELETE FROM t WHERE a = 1
  28 | near "SELECT": syntax error | WITH c AS (SELECT 1) SELECT SELECT  * FROM c
  24 | near "2": syntax error | SELECT 1 UNION SELECT a 2
  34 | near "FROM": syntax error | SELECT a FROM t ORDER BY a ASC, b FROM  DESC, 3
  1 | near "EXCLUSIVE": syntax error |  EXCLUSIVE TRANSACTION foo
  -1 | incomplete input | ALTER TABLE 
  69 | unrecognized token: "1AS" | INSERT INTO t (a) VALUES (1) ON CONFLICT DO NOTHING RETURNING a, b + 1AS c
  19 | near ",": syntax error | ALTER TABLE t ADD  ,  ck CHECK (a > 0)
  14 | near "SELECT": syntax error | SELECT * FROM SELECT temp.sqlite_schema
  41 | near ")": syntax error | EXPLAIN QUERY PLAN SELECT * FROM t WHERE ) a = 1
  15 | near "INTEGER": syntax error | SELECT CAST(a  INTEGER), CAST(a AS VARCHAR(10)), CAST(a + 1 AS \#
  DECIMAL(10,2)), CAST(1 AS) FROM t
  58 | near "(": syntax error | CREATE TABLE n1 (a INTEGER, PRIMARY KEY (a AUTOINCREMENT) ( 
  45 | near ")": syntax error | SELECT likely(a), unlikely(b) FROM t WHERE a ) +0 BETWEEN -1 AND +1
  9 | near ")": syntax error | SELECT * ) FROM t JOIN u
  -1 | incomplete input | RELEASE SAVEPOINT 
  27 | near ",": syntax error | SELECT (a, b) BETWEEN (1 = , 2) AND (3, 4) FROM t
  8 | near ")": syntax error | EXPLAIN )  QUERY PLAN SELECT * FROM t WHERE a = 1
  7 | near ",": syntax error | SELECT ,  * FROM t FULL JOIN u ON 1
  41 | near "(": syntax error | WITH RECURSIVE c(n) AS (VALUES (1) UNION ( SELECT n + 1 FROM c LIMIT 5) SELECT * \#
  FROM c
  12 | near ",": syntax error | INSERT INTO , t (a) SELECT x FROM u ORDER BY x LIMIT 3
  1 | near "t": syntax error |  t.* FROM t
  7 | near ""b"": syntax error | INSERT "b" INTO t (a) SELECT x FROM u
  64 | near "ESCAPE": syntax error | SELECT count(*), count(a), count(DISTINCT a), sum(ALL a), total ESCAPE (a) FROM t
  28 | near "a": syntax error | INSERT INTO main.t AS x (a) a  VALUES (1)
  49 | near "SELECT": syntax error | SELECT iif(a, b, c) FROM t GROUP BY iif(a, b, c) SELECT  ORDER BY 1 DESC \#
  LIMIT (SELECT 1)
  8 | near "r1": syntax error | CREATE  r1 AFTER INSERT ON t BEGIN SELECT 1; END
  72 | near "1": syntax error | INSERT INTO t (a) VALUES (1) ON CONFLICT DO NOTHING RETURNING a, b +  a 1 AS c
  10 | near "=": syntax error | SELECT 0, =  1, 42, 9223372036854775807, 9223372036854775808, -9223372036854775808
  41 | near "count": syntax error | CREATE TABLE n1 (a, b, CONSTRAINT lonely count 
  10 | near "t": syntax error | SELECT *  t, u
  20 | near "INT": syntax error | PRAGMA busy_timeout INT = 1.5
  17 | near ",": syntax error | CREATE TABLE n1  , (a COLLATE nocase, b TEXT COLLATE "binary")
  -1 | incomplete input | ALTER TABLE
  -1 | incomplete input | CREATE TEMP TABLE n1 AS WITH c AS (SELECT 1)
  -1 | incomplete input | DROP TABLE 
  1 | near "NOT": syntax error |  NOT  FROM t WHERE a IN (SELECT x FROM u) RETURNING a
  16 | near ",": syntax error | SELECT t.rowid, , _rowid_ FROM t
  55 | near "'00ff'": syntax error | SELECT a FROM t WHERE a = :p1 AND b = @p2 OR c = $p3:: '00ff' x(y) LIMIT ?3
  8 | near "WHERE": syntax error | PRAGMA  WHERE  = delete
  11 | near "*": syntax error | SELECT a, (*) FROM t GROUP BY a, b + 1 HAVING count(*) > 1
  49 | near "FROM": syntax error | SELECT * FROM (SELECT a FROM t) AS s JOIN ( a  x FROM u) r ON s.a = r.x
  8 | near "SELECT": syntax error |  SELECT SELECT * FROM (VALUES (1, 2)) AS v
  -1 | incomplete input | SELECT * FROM 
  1 | near "nocase": syntax error |  nocase
  22 | near "INTO": syntax error | SELECT a FROM t LIMIT INTO 10 OFFSET 5
  22 | near "(": syntax error | CREATE TABLE n1 (a  ) (+10), b NUMBER(-5, +2))
  -1 | incomplete input | UPDATE
  1 | near ")": syntax error |  ) DROP TRIGGER tr
  26 | near "SELECT": syntax error | CREATE TABLE n1 AS VALUES SELECT  (1, 2)
  25 | near "INTEGER": syntax error | ALTER TABLE t ADD CHECK  INTEGER a > 0)
  8 | near "(": syntax error | CREATE  ( TABLE n1 (a VARCHAR(+10), b NUMBER(-5, +2))
  48 | near "TABLE": syntax error | WITH c(x) AS (SELECT 1), d AS (SELECT x FROM c) TABLE  SELECT * FROM c, d
  31 | near "SELECT": syntax error | SELECT a BETWEEN b AND c AND d SELECT  FROM t
  50 | near "OVER": syntax error | SELECT lag(a, 1, 0) OVER (ORDER BY b), ntile(4) a OVER (ORDER BY b) FROM t
  33 | near "ORDER": syntax error | SELECT NOT a = b, NOT a < b, NOT ORDER a IN (1), NOT a BETWEEN 1 AND 2, NOT a \#
  IS NULL FROM t
  16 | near ".": syntax error | SELECT lag(a, 1 . , 0) OVER (ORDER BY b), ntile(4) OVER (ORDER BY b) FROM t
  75 | near "b": syntax error | SELECT sum(a) OVER (w) FROM t WINDOW w AS (PARTITION BY b ORDER BY c NULLS b LAST)
  27 | near "ON": syntax error | SELECT * FROM t FULL JOIN  ON 1
  -1 | incomplete input | ALTER TABLE main.t RENAME  t9
  -1 | incomplete input | SELECT row_number() OVER (PARTITION BY a, b ORDER BY c DESC, d) FROM 
  -1 | incomplete input | DELETE FROM t INDEXED BY ta WHERE 
  -1 | incomplete input | PRAGMA 
  27 | near ";": syntax error | SELECT a = b = c, a < b <  ; c, a - b - c, a / b / c FROM t
  """#
