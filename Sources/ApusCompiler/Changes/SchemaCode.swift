// CREATE and DROP: trees are made or freed, rows of sqlite_schema written or deleted, the schema cookie grows.

import ApusBase
import ApusSQL
import ApusStorage
import ApusVM

/// Header fields that statements read and write. Source: https://sqlite.org/fileformat2.html#the_database_header
enum HeaderField: Int32 {
  case schemaCookie = 1, fileFormat = 2, largestRoot = 4, textEncoding = 5, userVersion = 6, incrementalVacuum = 7
  case applicationID = 8
}

extension Generator {
  // MARK: CREATE TABLE

  func createTable(_ create: CreateTable, text: ByteView) throws(EngineError) {
    let database = try creationDatabase(
      create.schema, isTemporary: create.isTemporary, kind: "table", create.offset)
    if try exists(create.name, in: database, ifNotExists: create.ifNotExists, create.offset) { return }
    try checkName(create.name)
    guard case .columns = create.body else { throw unsupported("CREATE TABLE ... AS SELECT") }
    let sql = create.schemaText(text)
    let table = try TableBuilder(create, database: database, sql: sql).build()
    if let column = table.columns.first(where: { $0.generation != nil }) {
      throw unsupported("generated columns (column \(column.name.text))")
    }
    for name in table.columns.map(\.collation) + table.indexes.flatMap({ $0.columns.map(\.collation) }) {
      _ = try context.collation(name)
    }
    try checkExpressions(of: table)
    writes(database)
    prepareEmptyFile(database)
    let root = register()
    builder.emit(.createBtree, Int32(database), root, table.isWithoutRowid ? 2 : 1)
    var rows: [(name: String, root: Int32)] = []
    for index in table.indexes.reversed() where index !== table.primaryKeyIndex {
      let indexRoot = register()
      builder.emit(.createBtree, Int32(database), indexRoot, 2)
      rows.append((index.name.text, indexRoot))
    }
    let cursor = try openSchemaTable(database)
    insertSchemaRow(cursor, type: "table", name: create.name.text, table: create.name.text, root: root, sql: sql)
    rows.sort { $0.name < $1.name }
    for row in rows {
      insertSchemaRow(cursor, type: "index", name: row.name, table: create.name.text, root: row.root, sql: nil)
    }
    if table.isAutoincrement { try createSequenceTable(database, cursor) }
    changeSchema(database)
  }

  /// The first table with AUTOINCREMENT makes the table of all their sequences.
  private func createSequenceTable(_ database: Int, _ cursor: Int32) throws(EngineError) {
    if try context.schemas.databases[database].schema.table(key: ExactText(Self.sequenceTable)) != nil { return }
    let root = register()
    builder.emit(.createBtree, Int32(database), root, 1)
    insertSchemaRow(
      cursor, type: "table", name: Self.sequenceTable, table: Self.sequenceTable, root: root,
      sql: "CREATE TABLE \(Self.sequenceTable)(name,seq)")
  }

  /// A definition that cannot be bound now never could be: refuse it before it is stored.
  private func checkExpressions(of table: CatalogTable) throws(EngineError) {
    let source = Source(cursor: 0, table: table, alias: table.name, name: table.name.text)
    for check in table.checks { _ = try binder.scalar(check.expression, Scope(sources: [source])) }
  }

  // MARK: CREATE INDEX

  func createIndex(_ create: CreateIndex, text: ByteView) throws(EngineError) {
    var database = 0
    if let schema = create.schema {
      database = try number(of: schema, create.offset)
    } else if try context.schemas.databases[1].schema.table(create.table) != nil {
      // An index of a temporary table is a temporary one; all others without a schema lie in main.
      database = 1
    }
    let schema = context.schemas.databases[database]
    if database == 1, create.schema != nil, try schema.schema.table(create.table) == nil,
      let other = try context.schemas.table(create.table, schema: nil)
    {
      throw EngineError(.error, "cannot create a TEMP index on non-TEMP table \"\(other.name.text)\"")
    }
    guard let table = try schema.schema.table(create.table) else {
      throw EngineError(.error, "no such table: \(schema.name.text).\(create.table.text)", sqlOffset: create.tableOffset.value)
    }
    try checkName(create.name)
    if table.isView { throw EngineError(.error, "views may not be indexed") }
    if table.isVirtual { throw EngineError(.error, "virtual tables may not be indexed") }
    if table.isSystem { throw EngineError(.error, "table \(table.name.text) may not be indexed") }
    if schema.schema.hasTable(key: create.name.key) {
      throw EngineError(.error, "there is already a table named \(create.name.text)")
    }
    if schema.schema.hasIndex(key: create.name.key) {
      if create.ifNotExists {
        reads(database)
        return
      }
      throw EngineError(.error, "index \(create.name.text) already exists")
    }
    let index = try TableBuilder.index(create, on: table, format: schema.schema.format)
    let source = binder.source(for: table)
    for part in index.columns {
      if case .expression(let expression) = part.source {
        try checkStable(expression, source, .indexExpression)
      }
    }
    if let filter = create.filter { try checkStable(filter, source, .indexFilter) }
    writes(database)
    let root = register()
    builder.emit(.createBtree, Int32(database), root, 2)
    let cursor = try openSchemaTable(database)
    insertSchemaRow(
      cursor, type: "index", name: create.name.text, table: table.name.text, root: root, sql: create.schemaText(text))
    try fill(index, of: table, source: source, root: root)
    changeSchema(database)
  }

  /// The functions that it calls are there, and give the same for the same row always.
  private func checkStable(
    _ expression: Expression, _ source: Source, _ place: DefinitionCheck.Place
  ) throws(EngineError) {
    if try binder.scalar(expression, Scope(sources: [source])).callsUnstable {
      throw EngineError(.error, "non-deterministic functions prohibited in \(place.rawValue)")
    }
  }

  /// Puts an entry for each row of the table into a new index, in the index's order.
  private func fill(
    _ index: CatalogIndex, of table: CatalogTable, source: Source, root: Int32
  ) throws(EngineError) {
    let key = try keyDescription(index)
    let count = Int32(index.columns.count)
    let sorter = builder.allocateCursor()
    builder.emit(.sorterOpen, sorter, count, p4: key)
    try open(table, cursor: Int32(source.cursor))
    let first = registers(index.columns.count)
    let record = register()
    let scanned = builder.makeLabel()
    builder.emit(.rewind, Int32(source.cursor), to: scanned)
    let loop = builder.labelHere()
    let behind = builder.makeLabel()
    try skipUnlessIndexed(index, source, to: behind)
    try codeIndexKey(index, source, into: first)
    makeStoredRecord(first, index.columns.count, record, affinities(index, of: table))
    builder.emit(.sorterInsert, sorter, record, 0)
    builder.place(behind)
    builder.emit(.next, Int32(source.cursor), to: loop)
    builder.place(scanned)
    let cursor = builder.allocateCursor()
    builder.emit(
      .openWrite, cursor, root, Int32(table.database), p4: key, p5: OpenFlags.rootInRegister.rawValue)
    let done = builder.makeLabel()
    builder.emit(.sorterSort, sorter, to: done)
    let next = builder.labelHere()
    if index.isUnique {
      // The entry before is in the record register still: equal keys without a NULL are a violation.
      let isFirst = builder.makeLabel(), differs = builder.makeLabel()
      let seen = register()
      builder.emit(.isNull, seen, to: isFirst)
      builder.emit(.sorterCompare, sorter, to: differs, record, p4: Int32(index.keyCount))
      builder.emit(
        .halt, ResultCode.constraintUnique.rawValue, OnConflict.abort.rawValue,
        p4: builder.messageIndex(
          index.hasExpressions
            ? "index '\(index.name.text)'"
            : index.columns.prefix(index.keyCount).map { "\(table.name.text).\(table.columns[max($0.number, 0)].name.text)" }
              .joined(separator: ", ")), p5: ConstraintKind.unique.rawValue)
      builder.place(isFirst)
      builder.place(differs)
      integer(1, into: seen)
    }
    builder.emit(.sorterData, sorter, record, cursor)
    builder.emit(.idxInsert, cursor, record, 0, p4: 0, p5: ChangeFlags.append.rawValue)
    builder.emit(.sorterNext, sorter, to: next)
    builder.place(done)
  }

  // MARK: CREATE VIEW

  func createView(_ create: CreateView, text: ByteView, parameterCount: Int) throws(EngineError) {
    if parameterCount > 0 { throw EngineError(.error, "parameters are not allowed in views") }
    let database = try creationDatabase(create.schema, isTemporary: create.isTemporary, kind: "view", create.offset)
    if try exists(create.name, in: database, ifNotExists: create.ifNotExists, create.offset) { return }
    try checkName(create.name)
    if database != 1, let foreign = create.select.schemas.first(where: { context.schemas.database(named: $0) != database }) {
      throw EngineError(
        .error, "view \(create.name.text) cannot reference objects in database \(foreign.text)")
    }
    writes(database)
    prepareEmptyFile(database)
    let cursor = try openSchemaTable(database)
    let root = register()
    integer(0, into: root)
    insertSchemaRow(
      cursor, type: "view", name: create.name.text, table: create.name.text, root: root, sql: create.schemaText(text))
    changeSchema(database)
  }

  // MARK: DROP

  func drop(_ drop: Drop) throws(EngineError) {
    switch drop.kind {
    case .table, .view: try dropTable(drop)
    case .index: try dropIndex(drop)
    case .trigger:
      guard let found = context.schemas.trigger(drop.name, schema: drop.schema) else {
        return try missing("trigger", drop)
      }
      writes(found.database)
      try deleteSchemaRows(found.database, type: "trigger", column: 1, equals: found.name.text)
      changeSchema(found.database)
    }
  }

  private func missing(_ kind: String, _ drop: Drop) throws(EngineError) {
    if drop.ifExists { return }
    let name = drop.schema.map { "\($0.text).\(drop.name.text)" } ?? drop.name.text
    throw EngineError(.error, "no such \(kind): \(name)")
  }

  private func dropTable(_ drop: Drop) throws(EngineError) {
    let wantsView = drop.kind == .view
    guard let table = try context.schemas.table(drop.name, schema: drop.schema) else {
      if !wantsView, drop.name == Binder.spaceWalkName { throw EngineError(.error, "table dbstat may not be dropped") }
      return try missing(wantsView ? "view" : "table", drop)
    }
    if wantsView && !table.isView {
      throw EngineError(.error, "use DROP TABLE to delete table \(table.name.text)")
    }
    if !wantsView && table.isView {
      throw EngineError(.error, "use DROP VIEW to delete view \(table.name.text)")
    }
    if table.isVirtual { throw unsupported("DROP TABLE of a virtual table (\(table.name.text))") }
    if table.isSystem && !table.name.key.hasPrefix("sqlite_stat") {
      throw EngineError(.error, "table \(table.name.text) may not be dropped")
    }
    let database = table.database
    writes(database)
    let schema = context.schemas.databases[database].schema
    for companion in ["sqlite_sequence", "sqlite_stat1", "sqlite_stat4"] {
      guard let known = try schema.table(key: ExactText(companion)), known !== table else { continue }
      try deleteRows(of: known, where: companion == "sqlite_sequence" ? "name" : "tbl", equals: table.name.text)
    }
    try deleteSchemaRows(database, type: nil, column: 2, equals: table.name.text)
    if !table.isView {
      // Highest root first, as SQLite does it, so that a moved root is none that is still to be dropped.
      var roots = table.indexes.map(\.root.rawValue).filter { $0 != table.root.rawValue } + [table.root.rawValue]
      roots.sort(by: >)
      for root in roots { try destroy(root, database) }
    }
    changeSchema(database)
  }

  private func dropIndex(_ drop: Drop) throws(EngineError) {
    guard let found = try context.schemas.index(drop.name, schema: drop.schema) else {
      return try missing("index", drop)
    }
    if found.index.origin != .create {
      throw EngineError(.error, "index associated with UNIQUE or PRIMARY KEY constraint cannot be dropped")
    }
    let database = found.table.database
    writes(database)
    if let statistics = try context.schemas.databases[database].schema.table(key: "sqlite_stat1") {
      try deleteRows(of: statistics, where: "idx", equals: found.index.name.text)
    }
    try deleteSchemaRows(database, type: "index", column: 1, equals: found.index.name.text)
    try destroy(found.index.root.rawValue, database)
    changeSchema(database)
  }

  /// Frees a b-tree. In a file with auto_vacuum another root may move into its place: the row that names it is changed.
  private func destroy(_ root: UInt32, _ database: Int) throws(EngineError) {
    let moved = register()
    builder.emit(.destroy, Int32(bitPattern: root), moved, Int32(database))
    let done = builder.makeLabel()
    builder.emit(.ifNot, moved, to: done)
    let cursor = try openSchemaTable(database)
    let first = registers(5)
    let rowid = register(), record = register()
    let closed = builder.makeLabel()
    builder.emit(.rewind, cursor, to: closed)
    let loop = builder.labelHere()
    let behind = builder.makeLabel()
    builder.emit(.column, cursor, 3, first + 3)
    builder.emit(.ne, moved, to: behind, first + 3, p4: -1, p5: ComparisonFlags.jumpIfNull.rawValue)
    for column in [0, 1, 2, 4] as [Int32] { builder.emit(.column, cursor, column, first + column) }
    integer(Int(root), into: first + 3)
    builder.emit(.rowid, cursor, rowid)
    builder.emit(.makeRecord, first, 5, record, p4: builder.affinityIndex([.text, .text, .text, .integer, .text]))
    builder.emit(.insert, cursor, record, rowid)
    builder.place(behind)
    builder.emit(.next, cursor, to: loop)
    builder.place(closed)
    builder.emit(.close, cursor)
    builder.place(done)
  }

  // MARK: sqlite_schema

  /// A file without a table gets its schema format and its encoding with the first one.
  private func prepareEmptyFile(_ database: Int) {
    let format = register()
    let known = builder.makeLabel()
    builder.emit(.readCookie, Int32(database), format, HeaderField.fileFormat.rawValue)
    builder.emit(.if, format, to: known)
    integer(4, into: format)
    builder.emit(.setCookie, Int32(database), HeaderField.fileFormat.rawValue, 4)
    builder.emit(
      .setCookie, Int32(database), HeaderField.textEncoding.rawValue, Int32(context.settings.textEncoding.rawValue))
    builder.place(known)
  }

  private func openSchemaTable(_ database: Int) throws(EngineError) -> Int32 {
    let cursor = builder.allocateCursor()
    guard let table = try context.schemas.databases[database].schema.table(key: "sqlite_master") else {
      throw EngineError(.corrupt)
    }
    try open(table, cursor: cursor, forWriting: true)
    return cursor
  }

  private func insertSchemaRow(
    _ cursor: Int32, type: String, name: String, table: String, root: Int32, sql: String?
  ) {
    let first = registers(5)
    let rowid = register(), record = register()
    for (place, text) in [type, name, table].enumerated() {
      builder.emit(.constant, 0, first + Int32(place), p4: builder.constantIndex(.text(text)))
    }
    builder.emit(.copy, root, first + 3)
    if let sql {
      builder.emit(.constant, 0, first + 4, p4: builder.constantIndex(.text(sql)))
    } else {
      builder.emit(.null, 0, first + 4)
    }
    builder.emit(.newRowid, cursor, rowid)
    builder.emit(.makeRecord, first, 5, record, p4: builder.affinityIndex([.text, .text, .text, .integer, .text]))
    builder.emit(.insert, cursor, record, rowid, p5: ChangeFlags.append.rawValue)
  }

  private func deleteSchemaRows(
    _ database: Int, type: String?, column: Int32, equals name: String
  ) throws(EngineError) {
    let cursor = try openSchemaTable(database)
    var tests: [(column: Int32, text: String)] = [(column, name)]
    if let type { tests.append((0, type)) }
    deleteMatching(cursor, tests)
  }

  private func deleteRows(of table: CatalogTable, where column: Name, equals name: String) throws(EngineError) {
    guard let number = table.column(named: column.key), table.indexes.isEmpty, table.hasRowid else { return }
    let cursor = builder.allocateCursor()
    try open(table, cursor: cursor, forWriting: true)
    deleteMatching(cursor, [(Int32(table.fields[number]), name)])
  }

  private func deleteMatching(_ cursor: Int32, _ tests: [(column: Int32, text: String)]) {
    let wanted = registers(tests.count)
    for (place, test) in tests.enumerated() {
      builder.emit(.constant, 0, wanted + Int32(place), p4: builder.constantIndex(.text(test.text)))
    }
    let done = builder.makeLabel()
    builder.emit(.rewind, cursor, to: done)
    let loop = builder.labelHere()
    let behind = builder.makeLabel()
    let found = register()
    for (place, test) in tests.enumerated() {
      builder.emit(.column, cursor, test.column, found)
      // Names are stored in the writer's case; those of one table all in the table's.
      let collation: Int32 = test.column == 2 || test.column == 1 ? builder.collationIndex(.nocase) : -1
      builder.emit(
        .ne, wanted + Int32(place), to: behind, found, p4: collation, p5: ComparisonFlags.jumpIfNull.rawValue)
    }
    builder.emit(.delete, cursor, p5: ChangeFlags.savePosition.rawValue)
    builder.place(behind)
    builder.emit(.next, cursor, to: loop)
    builder.place(done)
    builder.emit(.close, cursor)
  }

  private func changeSchema(_ database: Int) {
    let cookie = context.schemas.databases[database].schema.cookie &+ 1
    builder.emit(
      .setCookie, Int32(database), HeaderField.schemaCookie.rawValue, Int32(bitPattern: cookie))
    builder.emit(.schemaChanged, Int32(database))
  }

  // MARK: names

  func number(of schema: Name, _ offset: SourceOffset) throws(EngineError) -> Int {
    guard let number = context.schemas.database(named: schema) else {
      throw EngineError(.error, "unknown database \(schema.text)", sqlOffset: offset.value)
    }
    return number
  }

  private func creationDatabase(
    _ schema: Name?, isTemporary: Bool, kind: String, _ offset: SourceOffset
  ) throws(EngineError) -> Int {
    if isTemporary {
      if let schema, schema.key != "temp" {
        throw EngineError(.error, "temporary table name must be unqualified", sqlOffset: offset.value)
      }
      return 1
    }
    return try schema.map { name throws(EngineError) in try number(of: name, offset) } ?? 0
  }

  /// True where the statement has nothing to do: the object is there, and IF NOT EXISTS was said.
  private func exists(
    _ name: Name, in database: Int, ifNotExists: Bool, _ offset: SourceOffset
  ) throws(EngineError) -> Bool {
    let schema = context.schemas.databases[database].schema
    if let table = try schema.table(name) {
      if ifNotExists {
        reads(database)
        return true
      }
      throw EngineError(
        .error, "\(table.isView ? "view" : "table") \(name.text) already exists", sqlOffset: offset.value)
    }
    if schema.hasIndex(key: name.key) {
      throw EngineError(.error, "there is already an index named \(name.text)", sqlOffset: offset.value)
    }
    return false
  }

  private func checkName(_ name: Name) throws(EngineError) {
    if name.key.hasPrefix("sqlite_") && !context.settings.writableSchema {
      throw EngineError(.error, "object name reserved for internal use: \(name.text)")
    }
  }
}
