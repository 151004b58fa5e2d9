// What sqlite_schema says of one table: its row, and those of its indexes and triggers. The table is made of them when it is
// first asked for.

import ApusBase
import ApusSQL

final class SchemaEntry {
  let row: SchemaRow
  private let database: Int
  private let pageCountMax: UInt32
  var indexes: [SchemaRow] = []
  var triggers: [SchemaRow] = []
  var statistics: [(index: String?, stat: String)] = []
  /// Below 4, DESC in an index means nothing.
  var format: UInt32 = 4
  private var made: CatalogTable?

  init(_ row: SchemaRow, database: Int, pageCountMax: UInt32) {
    self.row = row
    self.database = database
    self.pageCountMax = pageCountMax
  }

  /// sqlite_schema itself.
  init(schemaTable key: String, database: Int) {
    row = SchemaRow(type: "table", name: key, tableName: key, root: 1, sql: nil)
    self.database = database
    pageCountMax = 0
    var draft = TableDraft(name: Name(key), database: database, root: .one)
    for name in ["type", "name", "tbl_name", "rootpage", "sql"] {
      let isNumber = name == "rootpage"
      var column = CatalogColumn(
        name: Name(name), declaredType: isNumber ? "INT" : "TEXT", affinity: isNumber ? .integer : .text)
      if !isNumber { column.sizeEstimate = 5 }
      draft.columns.append(column)
    }
    made = draft.finish()
  }

  /// - Throws: SQLITE_CORRUPT, "malformed database schema (NAME) - ...".
  func table() throws(EngineError) -> CatalogTable {
    if let made { return made }
    var draft = try refusing(row) { () throws(EngineError) in try definition() }
    for index in indexes { try refusing(index) { () throws(EngineError) in try add(index, to: &draft) } }
    for line in statistics { draft.addStatistics(index: line.index, stat: line.stat) }
    draft.triggerRows = triggers
    if format < 4 { draft.ignoreDescending() }
    let table = draft.finish()
    made = table
    return table
  }

  // What is wrong with a stored definition is damage, whatever it would be in a statement.
  private func refusing<R>(_ row: SchemaRow, _ body: () throws(EngineError) -> R) throws(EngineError) -> R {
    do throws(EngineError) {
      return try body()
    } catch {
      throw error.code == .corrupt ? error : row.malformed(error.message)
    }
  }

  private func definition() throws(EngineError) -> TableDraft {
    let root = PageNumber(UInt32(truncatingIfNeeded: row.root ?? 0))
    let draft: TableDraft
    switch try row.parsed() {
    case .createTable(let create):
      guard pageCountMax == 0 || (root.rawValue >= 2 && root.rawValue <= pageCountMax) else {
        throw row.malformed("invalid rootpage")
      }
      draft = try TableBuilder(create, database: database, root: root, sql: row.sql).draft()
    case .createView(let create):
      var view = TableDraft(name: create.name, database: database)
      view.view = CatalogView(columns: create.columns, select: create.select, text: Array((row.sql ?? "").utf8))
      view.sql = row.sql
      draft = view
    case .createVirtualTable(let create):
      var table = TableDraft(name: create.name, database: database)
      table.virtualModule = create.module
      table.sql = row.sql
      draft = table
    default:
      throw row.malformed()
    }
    let isNamed = draft.name == Name(row.name) && draft.name == Name(row.tableName)
    guard isNamed, Name.fold(row.type) == (draft.view == nil ? "table" : "view") else { throw row.malformed() }
    return draft
  }

  private func add(_ index: SchemaRow, to draft: inout TableDraft) throws(EngineError) {
    let root = PageNumber(UInt32(truncatingIfNeeded: index.root ?? 0))
    if index.sql?.isEmpty ?? true {
      guard let place = draft.indexes.firstIndex(where: { $0.name == Name(index.name) }) else {
        throw index.malformed("orphan index")
      }
      draft.indexes[place].root = root
      return
    }
    guard case .createIndex(let create) = try index.parsed(), create.name == Name(index.name), create.table == draft.name
    else { throw index.malformed() }
    guard draft.view == nil else { throw EngineError(.error, "no such table: \(create.table.text)") }
    draft.link(try TableBuilder.draft(create, on: draft, root: root))
  }
}
