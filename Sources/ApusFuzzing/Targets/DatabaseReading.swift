// Everything that a database says when it is read: its own check, its tables, and whether what was changed leaves it whole.

import ApusBase
import ApusHarness

/// What one engine reads of a database.
struct DatabaseReading: Equatable {
  /// The lines of integrity_check, or the error.
  var check: [String]
  /// What is read of each table: its rows, or the error.
  var tables: [String: Table] = [:]

  enum Table: Equatable {
    case rows([[HarnessValue]])
    case error(String)
  }

  static let tableCountMax = 24

  var isWhole: Bool { check == ["ok"] }
  /// A limit has stopped the check or the reading of a table: 9 is an interruption, 13 the size of a file, 18 that of a
  /// value.
  var isStopped: Bool {
    let texts = check + tables.values.compactMap { if case .error(let text) = $0 { text } else { nil } }
    return texts.contains { text in ["(9)", "(13)", "(18)"].contains { text.hasSuffix($0) } }
  }
  var hasErrors: Bool { tables.values.contains { if case .error = $0 { true } else { false } } }

  /// Reads the main database. Views are compiled and not run: their text is the file's, and may never end.
  init(_ connection: any HarnessConnection) throws(FuzzFinding) {
    check = try Self.firstColumn(connection, "PRAGMA integrity_check")
    let objects = try Self.outcome(connection, "SELECT type, name FROM sqlite_schema WHERE type IN ('table', 'view')")
    tables["sqlite_schema"] = try Self.outcome(connection, "SELECT * FROM sqlite_schema")
    guard case .rows(let rows) = objects else { return }
    for row in rows.prefix(Self.tableCountMax) {
      guard case .text(let type) = row[0], case .text(let bytes) = row[1] else { continue }
      let name = String(decoding: bytes, as: UTF8.self)
      let quoted = "\"" + name.split(separator: "\"", omittingEmptySubsequences: false).joined(separator: "\"\"") + "\""
      if type == Array("view".utf8) {
        _ = try? connection.prepare("SELECT * FROM \(quoted)")
        continue
      }
      tables[name] = try Self.outcome(connection, "SELECT * FROM \(quoted)")
    }
  }

  private static func firstColumn(_ connection: any HarnessConnection, _ sql: String) throws(FuzzFinding) -> [String] {
    switch try outcome(connection, sql) {
    case .rows(let rows):
      return rows.map { row in
        if case .text(let bytes) = row.first { String(decoding: bytes, as: UTF8.self) } else { "\(row)" }
      }
    case .error(let text): return ["error: \(text)"]
    }
  }

  static func outcome(_ connection: any HarnessConnection, _ sql: String) throws(FuzzFinding) -> Table {
    do throws(EngineFailure) {
      return .rows(try connection.firstRows(sql))
    } catch {
      try FuzzFinding.check(error, sql)
      return .error("\(error)")
    }
  }

  /// Nothing is read of a database that cannot be opened.
  init(refusal: EngineFailure) { check = ["error: \(refusal)"] }

  /// Holds it against what SQLite reads of the same bytes, whichever of the two calls them whole.
  /// - Parameter header: the database's first bytes.
  func compare(
    with reference: any HarnessConnection, _ header: ArraySlice<UInt8>, _ kind: String
  ) throws(FuzzFinding) {
    let expected = try DatabaseReading(reference)
    if !isWhole {
      if expected.isWhole, !expected.hasErrors, !isStopped, !isRefused(header),
        try Self.isWholeWithoutViews(reference)
      {
        throw FuzzFinding("we call broken what SQLite calls whole", "\(check)")
      }
      return
    }
    if !expected.isWhole { throw FuzzFinding("SQLite calls broken what we call whole", "\(expected.check)") }
    if let difference = difference(from: expected) { throw FuzzFinding(kind, difference) }
  }

  /// What only we refuse: page checksums that do not fit (8202 where the page is needed), and a schema format, of whose
  /// four bytes SQLite looks at the last one.
  private func isRefused(_ header: ArraySlice<UInt8>) -> Bool {
    if check.contains(where: { $0.hasSuffix("(8202)") || $0.contains(": wrong checksum") }) { return true }
    return header.count > 47 && header.dropFirst(44).prefix(3).contains { $0 != 0 }
  }

  /// Where the first thing in its schema's table is a view, SQLite 3.40 takes the check for one of a single table, and
  /// looks neither at the free pages nor at the lost ones.
  private static func isWholeWithoutViews(_ reference: any HarnessConnection) throws(FuzzFinding) -> Bool {
    let views = "SELECT name FROM sqlite_schema WHERE type = 'view'"
    guard case .rows(let rows) = try outcome(reference, views) else { return false }
    for row in rows {
      guard case .text(let bytes) = row.first else { continue }
      let name = String(decoding: bytes, as: UTF8.self).split(separator: "\"", omittingEmptySubsequences: false)
      _ = try outcome(reference, "DROP VIEW \"\(name.joined(separator: "\"\""))\"")
    }
    return try firstColumn(reference, "PRAGMA integrity_check") == ["ok"]
  }

  /// Where another engine's reading of the same database differs; nil where it agrees.
  func difference(from expected: DatabaseReading) -> String? {
    for (name, table) in expected.tables.sorted(by: { $0.key < $1.key }) {
      guard let found = tables[name] else { return "table \(name) is missing" }
      if found == table { continue }
      guard case .rows(let rows) = table, case .rows(let other) = found else {
        return "table \(name): expected \(table), found \(found)"
      }
      for (index, (one, two)) in zip(rows, other).enumerated() where one != two {
        return "table \(name), row \(index + 1): expected \(one), found \(two)"
      }
      return "table \(name): \(rows.count) rows expected, \(other.count) found"
    }
    return nil
  }
}

/// Changes that are made to a database that was read, whatever its tables are called.
enum DatabaseChanges {
  /// Runs them; what they meet is the database's affair.
  static func run(_ connection: any HarnessConnection, _ tables: [String]) throws(FuzzFinding) {
    func attempt(_ sql: String) throws(FuzzFinding) {
      do throws(EngineFailure) {
        try connection.execute(sql)
      } catch {
        try FuzzFinding.check(error, sql)
      }
    }
    try attempt("BEGIN")
    for (index, name) in tables.enumerated() {
      let table = "\"" + name.split(separator: "\"", omittingEmptySubsequences: false).joined(separator: "\"\"") + "\""
      switch index % 3 {
      case 0:
        try attempt("INSERT OR IGNORE INTO \(table) SELECT * FROM \(table) LIMIT 3")
        try attempt("DELETE FROM \(table) WHERE rowid % 3 = 1")
      case 1:
        try attempt("UPDATE OR IGNORE \(table) SET rowid = rowid + 1000 WHERE rowid % 2 = 0")
        try attempt("INSERT OR REPLACE INTO \(table) SELECT * FROM \(table) ORDER BY 1 LIMIT 5")
      default:
        try attempt("DELETE FROM \(table)")
        try attempt("SAVEPOINT s; DROP TABLE \(table); ROLLBACK TO s; RELEASE s")
      }
    }
    try attempt("CREATE TABLE \"fuzz-table\"(a, b UNIQUE)")
    try attempt("WITH RECURSIVE n(x) AS (VALUES (1) UNION ALL SELECT x + 1 FROM n WHERE x < 12) SELECT x FROM n")
    try attempt("INSERT INTO \"fuzz-table\" VALUES (1, zeroblob(700)), (2, 'x'), (3, zeroblob(3000))")
    try attempt("COMMIT")
    try attempt("ROLLBACK")
  }
}
