// The pragmas that list the schema: their rows are known when the statement is compiled.

import ApusBase
import ApusSQL
import ApusVM

extension Generator {
  /// One column of a listing's row.
  enum Cell {
    case null, integer(Int), text(String)

    static func flag(_ value: Bool) -> Cell { .integer(value ? 1 : 0) }
    static func optional(_ text: String?) -> Cell { text.map(Cell.text) ?? .null }
  }

  /// - Returns: false where `key` is none of these pragmas.
  func schemaPragma(_ key: String, _ pragma: Pragma, _ database: Int) throws(EngineError) -> Bool {
    switch key {
    case "table_info": try tableInfo(pragma, isExtended: false)
    case "table_xinfo": try tableInfo(pragma, isExtended: true)
    case "table_list": try tableList(pragma)
    case "index_list": try indexList(pragma)
    case "index_info": try indexInfo(pragma, isExtended: false)
    case "index_xinfo": try indexInfo(pragma, isExtended: true)
    case "foreign_key_list": try foreignKeyList(pragma)
    case "database_list": databaseList()
    case "collation_list":
      let names = context.collations.values.map(\.name).sorted() + ["RTRIM", "NOCASE", "BINARY"]
      list(["seq", "name"], names.enumerated().map { [.integer($0.offset), .text($0.element)] })
    case "function_list": functionList()
    case "pragma_list": list(["name"], Self.pragmaNames.map { [.text($0)] })
    case "compile_options": list(["compile_options"], ["THREADSAFE=1"].map { [.text($0)] })
    default: return false
    }
    return true
  }

  private static let pragmaNames = [
    "application_id", "auto_vacuum", "automatic_index", "busy_timeout", "cache_size", "cache_spill",
    "case_sensitive_like",
    "cell_size_check", "collation_list", "compile_options", "concurrent_conflicts",
    "concurrent_isolation", "data_version", "database_list",
    "direct_reads", "encoding",
    "foreign_key_list", "foreign_keys", "freelist_count", "function_list", "ignore_check_constraints",
    "incremental_vacuum", "index_info",
    "index_list", "index_xinfo", "integrity_check", "io_backend", "journal_mode", "journal_size_limit",
    "legacy_alter_table", "locking_mode", "max_page_count", "mmap_size", "page_count", "page_size", "pragma_list",
    "query_only", "quick_check", "recursive_triggers", "reverse_unordered_selects", "schema_version", "secure_delete",
    "shrink_memory", "strict_pragmas", "synchronous", "table_info", "table_list", "table_xinfo", "temp_store", "threads",
    "trusted_schema", "user_version", "wal_autocheckpoint", "wal_checkpoint",
    "wal_size_limit", "writable_schema",
  ]

  /// Emits a result row for each of `rows`.
  func list(_ names: [String], _ rows: [[Cell]]) {
    builder.resultColumns = names.map { ResultColumn(name: $0) }
    let first = registers(names.count)
    for row in rows {
      for (place, cell) in row.enumerated() {
        let register = first + Int32(place)
        switch cell {
        case .null: builder.emit(.null, 0, register)
        case .integer(let number): codeInteger(Int64(number), into: register)
        case .text(let text): builder.emit(.constant, 0, register, p4: builder.constantIndex(.text(text)))
        }
      }
      builder.emit(.resultRow, first, Int32(names.count))
    }
  }

  private func namedTable(_ pragma: Pragma) throws(EngineError) -> CatalogTable? {
    guard let argument = pragma.argument else { return nil }
    let table = try context.schemas.table(Name(argument.text), schema: pragma.schema)
    if let table { reads(table.database) } else { reads(0) }
    return table
  }

  /// Columns of a view have to be found by binding its body.
  private func columns(of table: CatalogTable) -> [CatalogColumn] {
    if table.view == nil { return table.columns }
    guard let source = try? binder.viewColumns(table) else { return [] }
    return source.map { column in
      CatalogColumn(name: column.name, declaredType: column.declaredType ?? "", affinity: column.affinity)
    }
  }

  private func tableInfo(_ pragma: Pragma, isExtended: Bool) throws(EngineError) {
    var names = ["cid", "name", "type", "notnull", "dflt_value", "pk"]
    if isExtended { names.append("hidden") }
    guard let table = try namedTable(pragma) else {
      return list(names, Name(pragma.argument?.text ?? "") == Binder.spaceWalkName ? spaceColumns(isExtended) : [])
    }
    var rows: [[Cell]] = []
    for (number, column) in columns(of: table).enumerated() {
      let hidden = column.isHidden ? 1 : column.generation == .virtual ? 2 : column.generation == .stored ? 3 : 0
      if hidden != 0 && !isExtended { continue }
      var row: [Cell] = [
        .integer(number), .text(column.name.text), .text(column.declaredType ?? ""), .flag(column.isNotNull),
        .optional(column.generation == nil ? column.defaultText : nil), .integer(column.primaryKeyPosition),
      ]
      if isExtended { row.append(.integer(hidden)) }
      rows.append(row)
    }
    list(names, rows)
  }

  private func spaceColumns(_ isExtended: Bool) -> [[Cell]] {
    SpaceColumn.all.enumerated().filter { isExtended || !$0.element.isHidden }.map { number, column in
      let row: [Cell] = [
        .integer(number), .text(column.name.text), .text(column.declaredType ?? ""), .integer(0), .null, .integer(0),
      ]
      return isExtended ? row + [.flag(column.isHidden)] : row
    }
  }

  private func tableList(_ pragma: Pragma) throws(EngineError) {
    var rows: [[Cell]] = []
    for (number, database) in context.schemas.databases.enumerated() {
      if let schema = pragma.schema, schema != database.name { continue }
      reads(number)
      for table in try database.schema.allTables() {
        if let argument = pragma.argument, Name(argument.text) != table.name { continue }
        let type = table.isView ? "view" : table.isVirtual ? "virtual" : "table"
        let schemaTables = ["sqlite_master": "sqlite_schema", "sqlite_temp_master": "sqlite_temp_schema"]
        let name = schemaTables[table.name.key.string] ?? table.name.text
        rows.append([
          .text(database.name.text), .text(name), .text(type), .integer(columns(of: table).count),
          .flag(table.isWithoutRowid), .flag(table.isStrict),
        ])
      }
    }
    list(["schema", "name", "type", "ncol", "wr", "strict"], rows)
  }

  private func indexList(_ pragma: Pragma) throws(EngineError) {
    let names = ["seq", "name", "unique", "origin", "partial"]
    guard let table = try namedTable(pragma) else { return list(names, []) }
    let rows = table.indexes.enumerated().map { number, index -> [Cell] in
      let origin = index.origin == .create ? "c" : index.origin == .unique ? "u" : "pk"
      return [.integer(number), .text(index.name.text), .flag(index.isUnique), .text(origin), .flag(index.filter != nil)]
    }
    list(names, rows)
  }

  private func indexInfo(_ pragma: Pragma, isExtended: Bool) throws(EngineError) {
    let names = isExtended ? ["seqno", "cid", "name", "desc", "coll", "key"] : ["seqno", "cid", "name"]
    guard let argument = pragma.argument else { return list(names, []) }
    var found = try context.schemas.index(Name(argument.text), schema: pragma.schema)
    if found == nil, let table = try context.schemas.table(Name(argument.text), schema: pragma.schema) {
      // The name of a WITHOUT ROWID table stands for its primary key.
      found = table.primaryKeyIndex.map { ($0, table) }
    }
    guard let found else { return list(names, []) }
    reads(found.table.database)
    let count = isExtended ? found.index.columns.count : found.index.keyCount
    let rows = found.index.columns.prefix(count).enumerated().map { place, part -> [Cell] in
      var row: [Cell] = [
        .integer(place), .integer(part.number),
        .optional(part.number >= 0 ? found.table.columns[part.number].name.text : nil),
      ]
      if isExtended {
        row += [.flag(part.isDescending), .text(part.collation?.text ?? "BINARY"), .flag(place < found.index.keyCount)]
      }
      return row
    }
    list(names, rows)
  }

  private func foreignKeyList(_ pragma: Pragma) throws(EngineError) {
    let names = ["id", "seq", "table", "from", "to", "on_update", "on_delete", "match"]
    guard let table = try namedTable(pragma) else { return list(names, []) }
    let words: [ReferenceAction: String] = [
      .noAction: "NO ACTION", .restrict: "RESTRICT", .setNull: "SET NULL", .setDefault: "SET DEFAULT", .cascade: "CASCADE",
    ]
    var rows: [[Cell]] = []
    // Newest first, as SQLite lists them.
    for (id, key) in table.foreignKeys.reversed().enumerated() {
      for (place, column) in key.columns.enumerated() {
        let parent = place < key.reference.columns.count ? key.reference.columns[place].text : nil
        rows.append([
          .integer(id), .integer(place), .text(key.reference.table.text), .text(table.columns[column].name.text),
          .optional(parent), .text(words[key.reference.onUpdate] ?? ""), .text(words[key.reference.onDelete] ?? ""),
          .text("NONE"),
        ])
      }
    }
    list(names, rows)
  }

  private func databaseList() {
    var rows: [[Cell]] = []
    for (number, database) in context.schemas.databases.enumerated() {
      // The temporary database is listed once it has something in it.
      if number == 1 && database.schema.tableCount <= 1 { continue }
      rows.append([.integer(number), .text(database.name.text), .text(context.databasePaths[number] ?? "")])
    }
    list(["seq", "name", "file"], rows)
  }

  private func functionList() {
    let builtIn = context.functions.builtInDefinitions.map { ($0, true) }
    let rows = (builtIn + context.functions.ownDefinitions.map { ($0, false) }).map { definition, isBuiltIn -> [Cell] in
      [
        .text(definition.name), .flag(isBuiltIn), .text(definition.isAggregate ? "a" : "s"), .text("utf8"),
        .integer(definition.arity.listed), .integer(definition.traits.listed),
      ]
    }
    list(["name", "builtin", "type", "enc", "narg", "flags"], rows)
  }
}
