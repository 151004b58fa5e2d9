-- Column names, aliases, quoting, stars.
SELECT code, ellipsoid.code, e2.code AS c2, e2."name" FROM ellipsoid JOIN ellipsoid e2 USING (auth_name, code) WHERE auth_name = 'EPSG' AND code = 7030;
SELECT *, code + 1 AS next, code+1 FROM prime_meridian WHERE auth_name = 'EPSG' AND code < 8904 ORDER BY code;
SELECT prime_meridian.* FROM prime_meridian WHERE code = 8901;
SELECT p.* , 'x' FROM prime_meridian AS p WHERE p.code = 8901 ORDER BY p.auth_name;
SELECT main.metadata.key, metadata.value FROM main.metadata WHERE main.metadata.key = 'EPSG.VERSION';
SELECT "code", [name], `longitude` FROM "prime_meridian" WHERE "auth_name" = 'EPSG' AND [code] = 8903;
SELECT 'lit', "lit" AS x, 1 one, 2 AS "two words", 3 AS [br] FROM (SELECT 5 AS lit);
SELECT CODE, Name FROM PRIME_MERIDIAN WHERE AUTH_NAME = 'EPSG' AND Code = 8901;
SELECT count(*), max(code), min(code) AS lowest, count ( * ) FROM prime_meridian WHERE auth_name = 'EPSG';
SELECT 1 AS a, 2 AS a, 3 AS A;
SELECT a.code, b.code FROM prime_meridian a, prime_meridian b WHERE a.code = 8901 AND b.code = 8902;
SELECT name AS n FROM celestial_body WHERE n = 'Earth';
SELECT length(name) AS n FROM celestial_body GROUP BY n HAVING n > 12 ORDER BY n;
SELECT upper(name) AS name FROM celestial_body WHERE name = 'Mars' ORDER BY name;
SELECT code AS name, name AS code FROM prime_meridian WHERE auth_name = 'EPSG' ORDER BY code LIMIT 3;
SELECT x.n FROM (SELECT name AS n FROM celestial_body WHERE auth_name = 'PROJ') x;
SELECT * FROM (SELECT 1, 2, 3 AS c);
SELECT * FROM (SELECT code, name FROM prime_meridian WHERE code = 8901) AS q, (SELECT 1 AS one);
SELECT type, name FROM sqlite_schema WHERE type = 'view' ORDER BY name;
SELECT type, name, tbl_name, rootpage > 0 FROM sqlite_master WHERE type = 'index' AND tbl_name = 'usage' ORDER BY name;
SELECT count(*), sum(length(sql)) FROM sqlite_schema WHERE type = 'table';
SELECT tbl, idx, stat FROM sqlite_stat1 ORDER BY tbl, idx;
SELECT /* a comment */ 1 -- and another
;
SELECT 'multi
line', "key" FROM metadata WHERE key LIKE 'EPSG%' ORDER BY key LIMIT 1;
SELECT NULL, 1 IS NULL AS "is null", CAST(1 AS TEXT), -1, 'a' || 'b', (1), ((2));
SELECT CASE WHEN 1 THEN 2 END, 1 IN (1), EXISTS (SELECT 1), (SELECT 1 AS z), abs(-1), NOT 1;
SELECT DISTINCT auth_name a, deprecated d FROM scope ORDER BY a, d;
SELECT u.object_table_name t, count(*) "n" FROM usage u GROUP BY t ORDER BY "n" DESC, t LIMIT 3;

-- true and false are no names of a subquery's columns.
SELECT true, false, column1 FROM (SELECT 5 AS true, 'x' AS other) AS t;
SELECT x, x IS true, x IS NOT true, x IS false, column2 FROM (SELECT 5 AS x, 5 AS "true");
SELECT x IS TRUE, x IS NOT FALSE, true + 1 FROM (SELECT 7 AS x);
SELECT (SELECT true FROM (SELECT 1)) FROM (SELECT 9 AS true);
