// Makes a catalog table out of CREATE TABLE, with the checks that SQLite makes and the implicit indexes of its
// constraints. CREATE TABLE itself uses it to learn which trees it has to make.

import ApusBase
import ApusSQL

public struct TableBuilder {
  private let create: CreateTable
  private var table: TableDraft
  private let text: [UInt8]
  private var primaryKeySeen = false

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
    var integerKey: (column: Int, conflict: ConflictAction?)?
    for definition in columns {
      guard table.column(named: definition.name.key) == nil else {
        throw EngineError(.error, "duplicate column name: \(definition.name.text)")
      }
      try add(definition, &integerKey)
    }
    for constraint in constraints { try add(constraint, &integerKey) }
    if let integerKey {
      if table.isWithoutRowid {
        let key = IndexColumn(
          source: .column(integerKey.column), collation: table.columns[integerKey.column].collation, isDescending: false)
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
    if table.isStrict { try checkStrict() }
    return table
  }

  // MARK: Columns

  private mutating func add(
    _ definition: ColumnDefinition, _ integerKey: inout (column: Int, conflict: ConflictAction?)?
  ) throws(EngineError) {
    let number = table.columns.count
    var column = CatalogColumn(name: definition.name)
    if let type = definition.type {
      column.declaredType = type.text
      (column.affinity, column.sizeEstimate) = TypeAffinity.estimate(type.text)
      if table.isStrict, type.text.lowercased() == "any" { column.affinity = .blob }
    }
    table.columns.append(column)
    // The collation counts for the column's own UNIQUE also where it is written behind it.
    for constraint in definition.constraints {
      if case .collate(let name) = constraint.kind { table.columns[number].collation = known(name) }
    }
    for constraint in definition.constraints {
      switch constraint.kind {
      case .primaryKey(let order, let conflict, let isAutoincrement):
        let key = [OrderingTerm(.column(ColumnReference(column: definition.name)), order: order)]
        try setPrimaryKey(key, [number], conflict, isAutoincrement, &integerKey)
      case .notNull(let conflict):
        table.columns[number].isNotNull = true
        table.columns[number].notNullConflict = conflict
      case .unique(let conflict):
        let key = IndexColumn(
          source: .column(number), collation: table.columns[number].collation, isDescending: false)
        try addUnique([key], origin: .unique, conflict)
      case .check(let expression, let span):
        table.checks.append(
          CatalogCheck(name: constraint.name?.text, expression: expression, text: source(span)))
      case .default(let value, let span):
        table.columns[number].defaultValue = value
        table.columns[number].defaultText = source(span)
      case .references(let reference):
        table.foreignKeys.append(CatalogForeignKey(columns: [number], reference: reference))
      case .generated(let expression, let isStored):
        if table.columns[number].primaryKeyPosition > 0 {
          throw EngineError(.error, "generated columns cannot be part of the PRIMARY KEY")
        }
        table.columns[number].generation = isStored ? .stored : .virtual
        table.columns[number].generator = expression
        if let type = table.columns[number].declaredType {
          // "GENERATED ALWAYS" may have been read as a part of the type's name.
          table.columns[number].declaredType = type
        }
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

  // MARK: Constraints

  private mutating func add(
    _ constraint: TableConstraint, _ integerKey: inout (column: Int, conflict: ConflictAction?)?
  ) throws(EngineError) {
    switch constraint.kind {
    case .primaryKey(let terms, let isAutoincrement, let conflict):
      var numbers: [Int] = []
      for term in terms { numbers.append(try keyColumn(term).number) }
      try setPrimaryKey(terms, numbers, conflict, isAutoincrement, &integerKey)
    case .unique(let terms, let conflict):
      var columns: [IndexColumn] = []
      for term in terms { columns.append(try keyColumn(term).part) }
      try addUnique(columns, origin: .unique, conflict)
    case .check(let expression, _, let span):
      table.checks.append(CatalogCheck(name: constraint.name?.text, expression: expression, text: source(span)))
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

  private func keyColumn(_ term: OrderingTerm) throws(EngineError) -> (number: Int, part: IndexColumn) {
    var expression = term.expression
    var collation: Name?
    var isCollated = false
    while case .collate(let inner, let name, _) = expression {
      if !isCollated { collation = known(name) }
      isCollated = true
      expression = inner
    }
    let name: Name
    switch expression {
    case .column(let reference) where reference.table == nil: name = reference.column
    case .literal(.text(let text), _): name = Name(text)
    default: throw EngineError(.error, "expressions prohibited in PRIMARY KEY and UNIQUE constraints")
    }
    guard let number = table.column(named: name.key) else {
      throw EngineError(.error, "table \(table.name.text) has no column named \(name.text)")
    }
    let part = IndexColumn(
      source: .column(number), collation: isCollated ? collation : table.columns[number].collation,
      isDescending: term.order == .descending)
    return (number, part)
  }

  private mutating func setPrimaryKey(
    _ terms: [OrderingTerm], _ numbers: [Int], _ conflict: ConflictAction?, _ isAutoincrement: Bool,
    _ integerKey: inout (column: Int, conflict: ConflictAction?)?
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
    let isInteger = numbers.count == 1
      && table.columns[numbers[0]].declaredType.map { Name.fold($0) == "integer" } == true
    if isInteger, terms[0].order == .ascending {
      integerKey = (numbers[0], conflict)
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
    for term in create.columns {
      var expression = term.expression
      var collation: Name?
      var isCollated = false
      while case .collate(let inner, let name, _) = expression {
        if !isCollated { collation = name.key == "binary" ? nil : name }
        isCollated = true
        expression = inner
      }
      var name: Name?
      switch expression {
      case .column(let reference) where reference.table == nil: name = reference.column
      case .literal(.text(let text), _): name = Name(text)
      default: break
      }
      if let name, let number = table.column(named: name.key) {
        columns.append(
          IndexColumn(
            source: .column(number), collation: isCollated ? collation : table.columns[number].collation,
            isDescending: term.order == .descending))
      } else {
        if let name {
          guard table.hasRowid, ["rowid", "oid", "_rowid_"].contains(name.key) else {
            throw EngineError(.error, "no such column: \(name.text)")
          }
        }
        columns.append(
          IndexColumn(source: .expression(expression), collation: collation, isDescending: term.order == .descending))
      }
    }
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

  // MARK: STRICT

  private func checkStrict() throws(EngineError) {
    for column in table.columns {
      guard let type = column.declaredType, !type.isEmpty else {
        throw EngineError(.error, "missing datatype for \(table.name.text).\(column.name.text)")
      }
      guard ["int", "integer", "real", "text", "blob", "any"].contains(type.lowercased()) else {
        throw EngineError(.error, "unknown datatype for \(table.name.text).\(column.name.text): \"\(type)\"")
      }
    }
  }
}
