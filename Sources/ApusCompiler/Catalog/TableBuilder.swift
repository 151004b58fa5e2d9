// Makes a catalog table out of CREATE TABLE, with the checks that SQLite makes and the implicit indexes of its
// constraints. CREATE TABLE itself uses it to learn which trees it has to make.

import ApusBase
import ApusSQL

public struct TableBuilder {
  private let create: CreateTable
  private var table: TableDraft
  private let text: [UInt8]
  private var primaryKeySeen = false
  /// By column.
  private var types: [TypeName?] = []
  /// The last CONSTRAINT's name: one without a name, in the same column, bears it too, and so does a table's first one.
  private var constraintName: Name?

  /// A PRIMARY KEY of one column that is declared INTEGER: the rowid's other name, but in WITHOUT ROWID.
  private struct IntegerKey {
    let column: Int
    let isDescending: Bool
    let conflict: ConflictAction?
  }

  public init(_ create: CreateTable, database: Int, root: PageNumber = .none, sql: String? = nil) {
    self.create = create
    table = TableDraft(name: create.name, database: database, root: root)
    table.sql = sql
    text = sql.map { Array($0.utf8) } ?? []
  }

  /// - Throws: SQLITE_ERROR with SQLite's message where the definition contradicts itself.
  public consuming func build() throws(EngineError) -> CatalogTable { try draft().finish() }

  /// The table without what other statements add to it.
  consuming func draft() throws(EngineError) -> TableDraft {
    guard case .columns(let columns, let constraints, let options) = create.body else {
      throw EngineError(.error, "not supported: CREATE TABLE AS in the schema")
    }
    table.isWithoutRowid = options.contains(.withoutRowID)
    table.isStrict = options.contains(.strict)
    var integerKey: IntegerKey?
    for definition in columns {
      constraintName = nil
      guard table.column(named: definition.name.key) == nil else {
        throw EngineError(.error, "duplicate column name: \(definition.name.text)")
      }
      try add(definition, &integerKey)
    }
    for constraint in constraints {
      try add(constraint, &integerKey)
      constraintName = nil
    }
    if let integerKey {
      if table.isWithoutRowid {
        let key = IndexColumn(
          source: .column(integerKey.column), collation: table.columns[integerKey.column].collation,
          isDescending: integerKey.isDescending)
        try addUnique([key], origin: .primaryKey, integerKey.conflict)
      } else {
        table.rowidAlias = integerKey.column
        table.rowidConflict = integerKey.conflict
      }
    }
    if table.isWithoutRowid {
      guard primaryKeySeen else { throw EngineError(.error, "PRIMARY KEY missing on table \(table.name.text)") }
      if table.isAutoincrement {
        throw EngineError(.error, "AUTOINCREMENT not allowed on WITHOUT ROWID tables")
      }
      convertToWithoutRowid()
    }
    if table.columns.allSatisfy({ $0.generation != nil }) {
      throw EngineError(.error, "must have at least one non-generated column")
    }
    if table.isStrict { try finishStrict() }
    for check in table.checks { try DefinitionCheck.check(check.expression, of: table, at: .check) }
    return table
  }

  // MARK: Columns

  private mutating func add(
    _ definition: ColumnDefinition, _ integerKey: inout IntegerKey?
  ) throws(EngineError) {
    let number = table.columns.count
    var column = CatalogColumn(name: definition.name)
    if let type = definition.type {
      column.declaredType = type.standardName ?? type.text
      (column.affinity, column.sizeEstimate) = TypeAffinity.estimate(type.text)
      if table.isStrict, type.standardName == "ANY" { column.affinity = .blob }
    }
    table.columns.append(column)
    types.append(definition.type)
    // The collation counts for the column's own UNIQUE also where it is written behind it.
    for constraint in definition.constraints {
      if case .collate(let name) = constraint.kind { table.columns[number].collation = known(name) }
    }
    for constraint in definition.constraints {
      if let name = constraint.name { constraintName = name }
      switch constraint.kind {
      case .primaryKey(let order, let conflict, let isAutoincrement):
        let key = [OrderingTerm(.column(ColumnReference(column: definition.name)), order: order)]
        try setPrimaryKey(
          key, [number], conflict, isAutoincrement, isInteger: order == .ascending && isInteger(definition.type), &integerKey)
      case .notNull(let conflict):
        table.columns[number].isNotNull = true
        table.columns[number].notNullConflict = conflict
      case .unique(let conflict):
        let key = IndexColumn(
          source: .column(number), collation: table.columns[number].collation, isDescending: false)
        try addUnique([key], origin: .unique, conflict)
      case .check(let expression, let span):
        table.checks.append(CatalogCheck(name: constraintName?.text ?? name(span), expression: expression))
      case .default(let value, let span):
        guard DefinitionCheck.isConstant(value) else {
          throw EngineError(.error, "default value of column [\(definition.name.text)] is not constant")
        }
        table.columns[number].defaultValue = value
        table.columns[number].defaultText = source(span)
      case .references(let reference):
        guard reference.columns.count <= 1 else {
          throw EngineError(
            .error, "foreign key on \(definition.name.text) should reference only one column of table "
              + reference.table.text)
        }
        table.foreignKeys.append(CatalogForeignKey(columns: [number], reference: reference))
      case .generated(let expression, let isStored):
        if table.columns[number].primaryKeyPosition > 0 {
          throw EngineError(.error, "generated columns cannot be part of the PRIMARY KEY")
        }
        table.columns[number].generation = isStored ? .stored : .virtual
        table.columns[number].generator = expression
      case .collate, .null, .nameOnly:
        break
      }
    }
  }

  // nil for BINARY, which needs no mention.
  private func known(_ name: Name) -> Name? { name.key == "binary" ? nil : name }

  private func source(_ span: SourceSpan) -> String {
    let start = Int(span.start), end = Int(span.end)
    guard start >= 0, end <= text.count, start < end else { return "" }
    return String(decoding: text[start..<end], as: UTF8.self)
  }

  /// What messages call a CHECK without a name: its text, of which SQLite reads no more than a name in quotes where it begins
  /// with one.
  private func name(_ span: SourceSpan) -> String {
    let start = Int(span.start), end = Int(span.end)
    guard start >= 0, end <= text.count, start < end else { return "" }
    let quote: UInt8 = text[start] == 0x5b ? 0x5d : text[start]
    guard [0x22, 0x27, 0x5d, 0x60].contains(quote), text[start] != 0x5d else { return source(span) }
    var bytes: [UInt8] = []
    var place = start + 1
    while place < end {
      if text[place] == quote {
        guard place + 1 < end, text[place + 1] == quote else { break }
        place += 1
      }
      bytes.append(text[place])
      place += 1
    }
    return String(decoding: bytes, as: UTF8.self)
  }

  // MARK: Constraints

  private mutating func add(
    _ constraint: TableConstraint, _ integerKey: inout IntegerKey?
  ) throws(EngineError) {
    if let name = constraint.name { constraintName = name }
    switch constraint.kind {
    case .primaryKey(let terms, let isAutoincrement, let conflict):
      var numbers: [Int] = []
      for term in terms { numbers.append(try keyColumn(term).number) }
      // DESC is for the column's own PRIMARY KEY alone to say that it means another key than the rowid.
      try setPrimaryKey(
        terms, numbers, conflict, isAutoincrement, isInteger: numbers.count == 1 && isInteger(types[numbers[0]]), &integerKey)
    case .unique(let terms, let conflict):
      var columns: [IndexColumn] = []
      for term in terms { columns.append(try keyColumn(term).part) }
      try addUnique(columns, origin: .unique, conflict)
    case .check(let expression, _, let span):
      table.checks.append(CatalogCheck(name: constraintName?.text ?? name(span), expression: expression))
    case .foreignKey(let names, let reference):
      var numbers: [Int] = []
      for name in names {
        guard let number = table.column(named: name.key) else {
          throw EngineError(.error, "unknown column \"\(name.text)\" in foreign key definition")
        }
        numbers.append(number)
      }
      if !reference.columns.isEmpty, reference.columns.count != numbers.count {
        throw EngineError(
          .error, "number of columns in foreign key does not match the number of columns in the referenced table")
      }
      table.foreignKeys.append(CatalogForeignKey(columns: numbers, reference: reference))
    case .nameOnly:
      break
    }
  }

  private func isInteger(_ type: TypeName?) -> Bool { type?.standardName == "INTEGER" }

  private func keyColumn(_ term: OrderingTerm) throws(EngineError) -> (number: Int, part: IndexColumn) {
    let part = try Self.part(term, of: table)
    guard case .column(let number) = part.source else {
      throw EngineError(.error, "expressions prohibited in PRIMARY KEY and UNIQUE constraints")
    }
    return (number, part)
  }

  private mutating func setPrimaryKey(
    _ terms: [OrderingTerm], _ numbers: [Int], _ conflict: ConflictAction?, _ isAutoincrement: Bool,
    isInteger: Bool, _ integerKey: inout IntegerKey?
  ) throws(EngineError) {
    guard !primaryKeySeen else {
      throw EngineError(.error, "table \"\(table.name.text)\" has more than one primary key")
    }
    primaryKeySeen = true
    for (place, number) in numbers.enumerated() where table.columns[number].primaryKeyPosition == 0 {
      table.columns[number].primaryKeyPosition = place + 1
      if table.columns[number].generation != nil {
        throw EngineError(.error, "generated columns cannot be part of the PRIMARY KEY")
      }
    }
    table.primaryKey = numbers
    if isInteger {
      integerKey = IntegerKey(column: numbers[0], isDescending: terms[0].order == .descending, conflict: conflict)
      table.isAutoincrement = isAutoincrement
      return
    }
    if isAutoincrement {
      throw EngineError(.error, "AUTOINCREMENT is only allowed on an INTEGER PRIMARY KEY")
    }
    var columns: [IndexColumn] = []
    for term in terms { columns.append(try keyColumn(term).part) }
    try addUnique(columns, origin: .primaryKey, conflict)
  }

  // A constraint that says what an earlier one said makes no second index. Where it is the primary key, the index that is there
  // becomes the primary key's: a WITHOUT ROWID table has to have one.
  private mutating func addUnique(
    _ columns: [IndexColumn], origin: CatalogIndex.Origin, _ conflict: ConflictAction?
  ) throws(EngineError) {
    for (place, index) in table.indexes.enumerated()
    where index.keyCount == columns.count && index.filter == nil && index.isUnique {
      let isSame = zip(index.columns, columns).allSatisfy {
        $0.number == $1.number && ($0.collation?.key ?? "binary") == ($1.collation?.key ?? "binary")
      }
      if !isSame { continue }
      if let conflict, let earlier = index.conflict, conflict != earlier {
        throw EngineError(.error, "conflicting ON CONFLICT clauses specified")
      }
      table.indexes[place].conflict = index.conflict ?? conflict
      if origin == .primaryKey { table.indexes[place].origin = .primaryKey }
      if index.conflict == nil, conflict == .replace { table.link(table.indexes.remove(at: place)) }
      return
    }
    let name = Name("sqlite_autoindex_\(table.name.text)_\(table.indexes.count + 1)")
    let isRowidPart = !table.isWithoutRowid
    let index = IndexDraft(
      name: name, origin: origin, isUnique: true, conflict: conflict, root: .none,
      columns: isRowidPart ? columns + [IndexColumn(source: .rowid, collation: nil, isDescending: false)] : columns,
      keyCount: columns.count, filter: nil)
    table.link(index)
  }

  // MARK: WITHOUT ROWID

  private mutating func convertToWithoutRowid() {
    guard let place = table.indexes.firstIndex(where: { $0.origin == .primaryKey }) else { return }
    let key = table.indexes[place]
    // A column that is named twice counts once.
    var parts: [IndexColumn] = []
    for part in key.columns.prefix(key.keyCount)
    where !parts.contains(where: { $0.number == part.number && $0.collation?.key == part.collation?.key }) {
      parts.append(part)
    }
    table.primaryKey = parts.map(\.number)
    for number in table.primaryKey { table.columns[number].isNotNull = true }
    var all = parts
    for number in table.columns.indices
    where table.columns[number].isStored && !parts.contains(where: { $0.number == number }) {
      all.append(
        IndexColumn(source: .column(number), collation: nil, isDescending: false))
    }
    table.indexes[place] = IndexDraft(
      name: key.name, origin: .primaryKey, isUnique: true, conflict: key.conflict, root: table.root, columns: all,
      keyCount: parts.count, filter: nil)
    for other in table.indexes.indices where other != place {
      let index = table.indexes[other]
      table.indexes[other].columns = TableBuilder.withPrimaryKey(Array(index.columns.prefix(index.keyCount)), parts)
    }
  }

  private static func withPrimaryKey(_ columns: [IndexColumn], _ key: [IndexColumn]) -> [IndexColumn] {
    var all = columns
    func isThere(_ part: IndexColumn) -> Bool {
      all.contains {
        $0.number == part.number && ($0.collation?.key ?? "binary") == (part.collation?.key ?? "binary")
      }
    }
    for part in key where !isThere(part) {
      all.append(IndexColumn(source: part.source, collation: part.collation, isDescending: part.isDescending))
    }
    return all
  }

  // MARK: Indexes

  /// The index that CREATE INDEX makes of a table that knows nothing of it yet.
  /// - Parameter format: the schema format of the table's file.
  static func index(
    _ create: CreateIndex, on table: CatalogTable, format: UInt32
  ) throws(EngineError) -> CatalogIndex {
    var rowCount = table.rowEstimate
    var draft = try draft(create, on: table)
    if format < 4 { draft.ignoreDescending() }
    return draft.finish(table.columns, &rowCount)
  }

  static func draft(
    _ create: CreateIndex, on table: some TableShape, root: PageNumber = .none
  ) throws(EngineError) -> IndexDraft {
    var columns: [IndexColumn] = []
    for term in create.columns { columns.append(try part(term, of: table)) }
    if let filter = create.filter { try DefinitionCheck.check(filter, of: table, at: .indexFilter) }
    let keyCount = columns.count
    if let key = table.rowKey {
      columns = withPrimaryKey(columns, key)
    } else {
      columns.append(IndexColumn(source: .rowid, collation: nil, isDescending: false))
    }
    return IndexDraft(
      name: create.name, origin: .create, isUnique: create.isUnique, conflict: nil, root: root, columns: columns,
      keyCount: keyCount, filter: create.filter)
  }

  /// A column of an index or of a key: a table's column, its name in whatever quotes, or an expression.
  private static func part(_ term: OrderingTerm, of table: some TableShape) throws(EngineError) -> IndexColumn {
    if let nulls = term.nulls {
      throw EngineError(.error, "unsupported use of NULLS \(nulls == .first ? "FIRST" : "LAST")")
    }
    var expression = term.expression
    var collation: Name?
    var isCollated = false
    while case .collate(let inner, let name, _) = expression {
      if !isCollated { collation = name.key == "binary" ? nil : name }
      isCollated = true
      expression = inner
    }
    // A string that stands alone is a name.
    if case .literal(.text(let text), let offset) = expression {
      expression = .column(ColumnReference(column: Name(text, quote: .single), offset: offset))
    }
    let isDescending = term.order == .descending
    if case .column(let reference) = expression, reference.table == nil,
      let number = table.column(named: reference.column.key)
    {
      return IndexColumn(
        source: .column(number), collation: isCollated ? collation : table.columns[number].collation,
        isDescending: isDescending)
    }
    try DefinitionCheck.check(expression, of: table, at: .indexExpression)
    return IndexColumn(source: .expression(expression), collation: collation, isDescending: isDescending)
  }

  // MARK: STRICT

  // No column of a STRICT table's primary key may be NULL. The row id's other name is left alone: NULL chooses one.
  private mutating func finishStrict() throws(EngineError) {
    for (number, type) in types.enumerated() {
      let column = table.columns[number]
      guard let type else {
        throw EngineError(.error, "missing datatype for \(table.name.text).\(column.name.text)")
      }
      guard type.standardName != nil else {
        throw EngineError(.error, "unknown datatype for \(table.name.text).\(column.name.text): \"\(type.text)\"")
      }
      if column.primaryKeyPosition > 0, number != table.rowidAlias { table.columns[number].isNotNull = true }
    }
  }
}
