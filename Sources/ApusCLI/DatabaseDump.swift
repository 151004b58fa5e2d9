// `.dump`: the database as SQL text, as sqlite3 writes it; `.schema`: its CREATE statements.

struct DatabaseDump {
  let shell: Shell

  /// - Parameter patterns: LIKE patterns of the objects wanted; all where there is none.
  func run(_ patterns: [String]) throws(ShellFailure) {
    let output = shell.output
    output.write("PRAGMA foreign_keys=OFF;\nBEGIN TRANSACTION;\n")
    var hasWritableSchema = false
    let filter = condition(on: "name", patterns)
    let tables = try shell.texts(
      """
      SELECT name, type, sql FROM sqlite_schema WHERE \(filter) AND type = 'table' AND sql NOT NULL \
      ORDER BY tbl_name = 'sqlite_sequence', rowid
      """)
    for table in tables {
      let name = String(decoding: table[0], as: UTF8.self)
      let sql = table[2]
      if name == "sqlite_sequence" {
        output.write("DELETE FROM sqlite_sequence;\n")
      } else if name.hasPrefix("sqlite_stat"), name.utf8.count == 12 {
        output.write("ANALYZE sqlite_schema;\n")
      } else if name.hasPrefix("sqlite_") {
        continue
      } else if String(decoding: sql.prefix(20), as: UTF8.self).uppercased() == "CREATE VIRTUAL TABLE" {
        if !hasWritableSchema {
          output.write("PRAGMA writable_schema=ON;\n")
          hasWritableSchema = true
        }
        output.write("INSERT INTO sqlite_schema(type,name,tbl_name,rootpage,sql)VALUES('table',")
        output.write(Quoting.string(table[0]) + Array(",".utf8) + Quoting.string(table[0]) + Array(",0,".utf8))
        output.write(Quoting.string(sql) + Array(");\n".utf8))
        continue
      } else {
        SchemaText.write(sql, to: output, end: ";\n")
      }
      try rows(of: name)
    }
    let others = try shell.texts(
      """
      SELECT sql FROM sqlite_schema WHERE \(filter) AND sql NOT NULL AND type IN ('index', 'trigger', 'view')
      """)
    for object in others {
      // A comment at the end must not swallow the semicolon.
      output.write(object[0] + Array((Quoting.contains(object[0], Array("--".utf8)) ? "\n;\n" : ";\n").utf8))
    }
    if hasWritableSchema { output.write("PRAGMA writable_schema=OFF;\n") }
    output.write("COMMIT;\n")
  }

  private func rows(of table: String) throws(ShellFailure) {
    let columns = try shell.texts("PRAGMA table_info(\(Quoting.quotedName(table)))").map {
      Quoting.name(String(decoding: $0[1], as: UTF8.self))
    }
    guard !columns.isEmpty else { return }
    var settings = shell.settings
    settings.mode = .insert
    settings.showsHeader = false
    settings.insertTable = table
    let sql = "SELECT \(columns.joined(separator: ",")) FROM \(Quoting.name(table))"
    guard let statement = try shell.session.prepare(Array(sql.utf8), from: 0).statement else { return }
    defer { statement.finish() }
    var printer = RowPrinter(settings, shell.output, names: columns)
    do {
      while try statement.step() { printer.row(statement) }
    } catch {
      shell.output.write("/****** ERROR: \(error.message) ******/\n")
      throw error
    }
  }

  private func condition(on column: String, _ patterns: [String]) -> String {
    if patterns.isEmpty { return "1" }
    let tests = patterns.map { pattern -> String in
      let literal = String(decoding: Quoting.string(Array(pattern.utf8)), as: UTF8.self)
      return "\(column) LIKE \(literal) ESCAPE '\\'"
    }
    return "(\(tests.joined(separator: " OR ")))"
  }
}

enum SchemaText {
  /// Writes a CREATE statement. A quoted table name gets IF NOT EXISTS, so that a dump of a system's table loads; a comment
  /// at the end is closed, so that the semicolon does not vanish in it.
  static func write(_ sql: [UInt8], to output: ShellOutput, end: String) {
    let head = String(decoding: sql.prefix(14), as: UTF8.self)
    var text = sql
    if Quoting.contains(sql, Array("--".utf8)) || Quoting.contains(sql, Array("/*".utf8)) {
      for closing in ["", "*/", "\n"] where StatementText.isComplete(sql + Array(closing.utf8) + [UInt8(ascii: ";")]) {
        text = sql + Array(closing.utf8)
        break
      }
    }
    if head == "CREATE TABLE '" || head == "CREATE TABLE \"" {
      output.write("CREATE TABLE IF NOT EXISTS ")
      text = Array(text.dropFirst(13))
    }
    output.write(text + Array(end.utf8))
  }
}

extension Shell {
  /// All rows of a query as text.
  func texts(_ sql: String) throws(ShellFailure) -> [[[UInt8]]] {
    guard let statement = try session.prepare(Array(sql.utf8), from: 0).statement else { return [] }
    defer { statement.finish() }
    var rows: [[[UInt8]]] = []
    while try statement.step() { rows.append((0..<statement.columnCount).map { statement.text($0) }) }
    return rows
  }
}
