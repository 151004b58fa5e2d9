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
