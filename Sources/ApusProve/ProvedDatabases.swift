// What the damaged databases hold, and what is asked of them.

enum ProjDatabase {
  static let tables = [
    "sqlite_master", "metadata", "unit_of_measure", "celestial_body", "ellipsoid", "extent", "scope", "usage",
    "prime_meridian", "geodetic_datum", "geodetic_datum_ensemble_member", "vertical_datum",
    "vertical_datum_ensemble_member", "coordinate_system", "axis", "geodetic_crs", "vertical_crs",
    "conversion_method", "conversion_param", "conversion_table", "projected_crs", "compound_crs",
    "coordinate_operation_method", "helmert_transformation_table", "grid_transformation", "grid_packages",
    "grid_alternatives", "other_transformation", "concatenated_operation", "concatenated_operation_step",
    "geoid_model", "alias_name", "supersession", "deprecation", "authority_to_authority_preference",
    "versioned_auth_name_mapping", "sqlite_stat1",
  ]

  static let queries = [
    "SELECT * FROM usage WHERE object_table_name = 'conversion' AND object_code = '16031'",
    "SELECT name FROM alias_name WHERE code = '4326' ORDER BY name",
    "SELECT * FROM geodetic_crs WHERE datum_code = '6326' AND datum_auth_name = 'EPSG'",
    "SELECT * FROM projected_crs WHERE auth_name = 'EPSG' AND code BETWEEN '2000' AND '2600'",
    "SELECT p.name, g.name FROM projected_crs p JOIN geodetic_crs g ON g.auth_name = p.geodetic_crs_auth_name"
      + " AND g.code = p.geodetic_crs_code ORDER BY p.name LIMIT 500",
    "SELECT auth_name, count(*), max(length(name)) FROM extent GROUP BY auth_name",
    "SELECT * FROM extent WHERE rowid BETWEEN 100 AND 300",
    "SELECT * FROM crs_view LIMIT 50",
    "SELECT DISTINCT table_name FROM object_view LIMIT 50",
    "SELECT * FROM grid_alternatives WHERE original_grid_name IN ('conus', 'ntv2_0.gsb', 'zzz')",
  ]

  static let changes = [
    "UPDATE extent SET description = description || ' changed', south_lat = 1 WHERE code < '2000'",
    "UPDATE alias_name SET alt_name = upper(alt_name) WHERE code > '4'",
    "UPDATE projected_crs SET description = 'd' WHERE code < '3000'",
    "DELETE FROM usage WHERE object_code LIKE '1%'",
    "DELETE FROM supersession",
    "DELETE FROM helmert_transformation_table WHERE code > '5000'",
    "INSERT INTO metadata VALUES ('proof', 'yes')",
    "INSERT OR REPLACE INTO metadata SELECT 'k' || code, name FROM projected_crs LIMIT 2000",
    "INSERT INTO unit_of_measure SELECT 'X', code || 'x', name, type, conv_factor, proj_short_name, 0 FROM unit_of_measure",
    "CREATE TABLE proof(a, b, c)",
    "INSERT INTO proof SELECT auth_name, code, zeroblob(3000) FROM extent LIMIT 500",
    "CREATE INDEX proof_i ON extent(name)",
    "CREATE UNIQUE INDEX proof_u ON alias_name(code)",
    "DROP TABLE grid_alternatives",
    "DROP TABLE usage",
    "DELETE FROM extent",
  ]
}

/// 512-byte pages, so that a small file has deep trees, long chains and a freelist.
enum SmallDatabase {
  static let tables = ["sqlite_master", "t", "w", "e", "sqlite_sequence", "sqlite_stat1", "v"]

  static let script = """
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

  static let queries = [
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

  static let changes = [
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
