// Code that checks a new row against the table's constraints, in SQLite's order: NOT NULL, CHECK, the rowid, the indexes. What
// deletes the rows in the way (REPLACE) comes last. The types of a STRICT table are checked before the first that needs them:
// a CHECK, or the indexes.

import ApusBase
import ApusSQL
import ApusStorage
import ApusVM

/// A row about to be written: its columns lie in registers.
struct NewRow {
  /// The row as a source for expressions: `registerBase` and `rowidRegister` are set.
  var source: Source
  var base: Int32
  /// Rowid of a rowid table.
  var rowid: Int32
  /// Register (first of `rowKeyCount`) with the key of the row that an UPDATE replaces; nil for INSERT.
  var oldKey: Int32?
  /// The rowid was chosen by the engine: it cannot be taken.
  var hasNewRowid = false
  /// Columns that the statement sets; nil: all.
  var changedColumns: Set<Int>?
  /// An UPDATE that may change the row's key.
  var mayChangeKey = true
}

extension ConflictAction {
  var onConflict: OnConflict {
    switch self {
    case .rollback: .rollback
    case .abort: .abort
    case .fail: .fail
    case .ignore: .ignore
    case .replace: .replace
    }
  }
}

extension Generator {
  /// Checks `row`, computes the index entries, and jumps to `skip` where a conflict is to be ignored.
  func checkConstraints(
    _ target: ChangeTarget, _ row: NewRow, conflict: ConflictAction?, skip: Label
  ) throws(EngineError) {
    let table = target.table
    try checkNotNull(table, row, conflict, skip)
    let typesAreChecked = try checkChecks(table, row, conflict, skip)
    // A constraint of its own, not the statement, makes the rowid alone replace: the others are asked first.
    let replacesLast = conflict == nil && table.rowidConflict == .replace && !table.indexes.isEmpty
    if table.hasRowid, !replacesLast { try checkRowid(target, row, conflict, skip) }
    if table.isStrict, !typesAreChecked { checkTypes(table, row) }
    try checkIndexes(target, row, conflict, skip)
    if table.hasRowid, replacesLast { try checkRowid(target, row, conflict, skip) }
  }

  /// Writes the row and the index entries that `checkConstraints` computed.
  func writeRow(_ target: ChangeTarget, _ row: NewRow, flags: ChangeFlags) throws(EngineError) {
    for entry in target.indexes where entry.isChanged {
      let behind = builder.makeLabel()
      if entry.index.filter != nil { builder.emit(.isNull, entry.recordRegister, to: behind) }
      builder.emit(
        .idxInsert, entry.cursor, entry.recordRegister, entry.keyRegister, p4: Int32(entry.index.columns.count))
      builder.place(behind)
    }
    let table = target.table
    let record = builder.allocateTemporary()
    defer { builder.releaseTemporary(record) }
    if let key = table.primaryKeyIndex {
      let stored = target.storedColumns
      let first = registers(stored.count)
      for (place, number) in stored.enumerated() {
        builder.emit(.shallowCopy, row.base + Int32(number), first + Int32(place))
      }
      makeStoredRecord(first, stored.count, record, affinities(key, of: table))
      builder.emit(.idxInsert, target.cursor, record, first, p4: Int32(stored.count), p5: flags.rawValue)
      return
    }
    // The key column of a rowid table is stored as NULL: the rowid is its value.
    if let alias = table.rowidAlias { builder.emit(.null, 0, row.base + Int32(alias)) }
    makeStoredRecord(row.base, table.columns.count, record, table.columns.map(\.affinity))
    builder.emit(.insert, target.cursor, record, row.rowid, p4: tableDescription(table), p5: flags.rawValue)
  }

  // MARK: NOT NULL and CHECK

  private func checkNotNull(
    _ table: CatalogTable, _ row: NewRow, _ conflict: ConflictAction?, _ skip: Label
  ) throws(EngineError) {
    // REPLACE puts the default there; without one it aborts. Whether the default is NULL itself is asked when all others passed.
    var filled: [Int] = []
    for (number, column) in table.columns.enumerated() where column.isNotNull && number != table.rowidAlias {
      if let changed = row.changedColumns, !changed.contains(number) { continue }
      let action = conflict ?? column.notNullConflict ?? .abort
      guard action == .replace, let value = column.defaultValue else {
        refuseNull(table, number, row, action, skip)
        continue
      }
      filled.append(number)
      let register = row.base + Int32(number)
      let isThere = builder.makeLabel()
      builder.emit(.notNull, register, to: isThere)
      try code(try binder.scalar(value, nil), into: register)
      if column.affinity != .blob, column.affinity != .none {
        builder.emit(.affinity, register, 1, p4: builder.affinityIndex([column.affinity]))
      }
      builder.place(isThere)
    }
    for number in filled { refuseNull(table, number, row, .abort, skip) }
  }

  private func refuseNull(_ table: CatalogTable, _ number: Int, _ row: NewRow, _ action: ConflictAction, _ skip: Label) {
    let register = row.base + Int32(number)
    if action == .ignore {
      builder.emit(.isNull, register, to: skip)
      return
    }
    let action = action == .replace ? ConflictAction.abort : action
    builder.emit(
      .haltIfNull, ResultCode.constraintNotNull.rawValue, action.onConflict.rawValue, register,
      p4: builder.messageIndex("\(table.name.text).\(table.columns[number].name.text)"), p5: ConstraintKind.notNull.rawValue)
  }

  /// - Returns: the types of a STRICT table are checked: a CHECK sees none that do not belong there.
  private func checkChecks(
    _ table: CatalogTable, _ row: NewRow, _ conflict: ConflictAction?, _ skip: Label
  ) throws(EngineError) -> Bool {
    if context.settings.ignoreCheckConstraints { return false }
    var typesAreChecked = false
    for check in table.checks {
      let bound = try binder.scalar(check.expression, Scope(sources: [row.source], pureIn: .check))
      if let changed = row.changedColumns, !row.mayChangeKey, !bound.reads(row.source, anyOf: changed) { continue }
      if table.isStrict, !typesAreChecked {
        checkTypes(table, row)
        typesAreChecked = true
      }
      let passed = builder.makeLabel()
      try jump(ifTrue: bound, to: passed, nullJumps: true)
      let action = conflict ?? .abort
      if action == .ignore {
        builder.emit(.goto, to: skip)
      } else {
        halt(
          .constraintCheck, action == .replace ? .abort : action, .check, check.name)
      }
      builder.place(passed)
    }
    return typesAreChecked
  }

  private func checkTypes(_ table: CatalogTable, _ row: NewRow) {
    builder.emit(.typeCheck, row.base, Int32(table.columns.count), p4: tableDescription(table))
  }

  private func halt(_ code: ResultCode, _ action: ConflictAction, _ kind: ConstraintKind, _ message: String) {
    builder.emit(
      .halt, code.rawValue, action.onConflict.rawValue, p4: builder.messageIndex(message), p5: kind.rawValue)
  }

  // MARK: keys

  private func checkRowid(
    _ target: ChangeTarget, _ row: NewRow, _ conflict: ConflictAction?, _ skip: Label
  ) throws(EngineError) {
    if row.hasNewRowid { return }
    let table = target.table
    let action = conflict ?? table.rowidConflict ?? .abort
    let free = builder.makeLabel()
    if let old = row.oldKey {
      if !row.mayChangeKey { return }
      builder.emit(.eq, old, to: free, row.rowid)
    }
    builder.emit(.notExists, target.cursor, to: free, row.rowid)
    switch action {
    case .ignore: builder.emit(.goto, to: skip)
    case .replace: try deleteRow(target, flags: [])
    case .abort, .fail, .rollback:
      let name = table.rowidAlias.map { table.columns[$0].name.text } ?? "rowid"
      halt(
        table.rowidAlias == nil ? .constraintRowid : .constraintPrimaryKey, action, .unique, "\(table.name.text).\(name)")
    }
    builder.place(free)
  }

  private func checkPrimaryKey(
    _ target: ChangeTarget, _ key: CatalogIndex, _ row: NewRow, _ action: ConflictAction, _ skip: Label
  ) throws(EngineError) {
    let free = builder.makeLabel()
    let first = registers(key.keyCount)
    for (place, part) in key.columns.prefix(key.keyCount).enumerated() {
      builder.emit(.shallowCopy, row.base + Int32(part.number), first + Int32(place))
    }
    builder.emit(.noConflict, target.cursor, to: free, first, p4: Int32(key.keyCount))
    if let old = row.oldKey {
      // The row may stay where it is.
      let other = builder.makeLabel()
      for place in 0..<key.keyCount {
        let part = key.columns[place]
        builder.emit(
          .ne, old + Int32(place), to: other, first + Int32(place), p4: try collationIndex(part.collation),
          p5: ComparisonFlags.nullEqual.rawValue)
      }
      builder.emit(.goto, to: free)
      builder.place(other)
    }
    switch action {
    case .ignore: builder.emit(.goto, to: skip)
    case .replace: try deleteRow(target, flags: [])
    case .abort, .fail, .rollback: halt(.constraintPrimaryKey, action, .unique, uniqueNames(key, target.table))
    }
    builder.place(free)
  }

  private func uniqueNames(_ index: CatalogIndex, _ table: CatalogTable) -> String {
    if index.hasExpressions { return "index '\(index.name.text)'" }
    return index.columns.prefix(index.keyCount).map { part in
      "\(table.name.text).\(part.number < 0 ? "rowid" : table.columns[part.number].name.text)"
    }.joined(separator: ", ")
  }

  // MARK: indexes

  /// One index after the other: its entry is computed, then looked for. The primary key of a WITHOUT ROWID table is one of
  /// them, in its place.
  private func checkIndexes(
    _ target: ChangeTarget, _ row: NewRow, _ conflict: ConflictAction?, _ skip: Label
  ) throws(EngineError) {
    var place = 0
    for index in target.table.indexes {
      let action = conflict ?? index.conflict ?? .abort
      if index === target.table.primaryKeyIndex {
        if row.oldKey == nil || row.mayChangeKey { try checkPrimaryKey(target, index, row, action, skip) }
        continue
      }
      // The target's indexes are the table's without the primary key, in the same order.
      precondition(target.indexes[place].index === index)
      if target.indexes[place].isChanged {
        try makeIndexEntry(target, place, row)
        if index.isUnique { try checkUnique(target, place, row, action, skip) }
      }
      place += 1
    }
  }

  private func makeIndexEntry(_ target: ChangeTarget, _ place: Int, _ row: NewRow) throws(EngineError) {
    let index = target.indexes[place].index
    let count = index.columns.count
    if target.indexes[place].keyRegister == 0 {
      target.indexes[place].keyRegister = registers(count)
      target.indexes[place].recordRegister = register()
    }
    let first = target.indexes[place].keyRegister
    let record = target.indexes[place].recordRegister
    let behind = builder.makeLabel()
    if index.filter != nil {
      builder.emit(.null, 0, record)
      try skipUnlessIndexed(index, row.source, to: behind)
    }
    try codeIndexKey(index, row.source, into: first)
    makeStoredRecord(first, count, record, affinities(index, of: target.table))
    builder.place(behind)
  }

  private func checkUnique(
    _ target: ChangeTarget, _ place: Int, _ row: NewRow, _ action: ConflictAction, _ skip: Label
  ) throws(EngineError) {
    let entry = target.indexes[place]
    let free = builder.makeLabel()
    if entry.index.filter != nil { builder.emit(.isNull, entry.recordRegister, to: free) }
    builder.emit(
      .noConflict, entry.cursor, to: free, entry.keyRegister, p4: Int32(entry.index.keyCount))
    // The entry in the way may be the very row that an UPDATE replaces.
    let keyCount = target.rowKeyCount
    let found = registers(keyCount)
    if let key = target.table.primaryKeyIndex {
      for (number, part) in key.columns.prefix(keyCount).enumerated() {
        guard let position = entry.index.position(ofColumn: part.number) else { continue }
        builder.emit(.column, entry.cursor, Int32(position), found + Int32(number))
      }
    } else {
      builder.emit(.idxRowid, entry.cursor, found)
    }
    if let old = row.oldKey {
      let other = builder.makeLabel()
      for number in 0..<keyCount {
        let collation = try collationIndex(target.table.primaryKeyIndex?.columns[number].collation)
        builder.emit(
          .ne, old + Int32(number), to: other, found + Int32(number), p4: collation,
          p5: ComparisonFlags.nullEqual.rawValue)
      }
      builder.emit(.goto, to: free)
      builder.place(other)
    }
    switch action {
    case .ignore: builder.emit(.goto, to: skip)
    case .replace:
      // Its absence would mean an index that does not fit its table; nothing is deleted then.
      seek(target, key: found, orElse: free)
      try deleteRow(target, flags: [])
    case .abort, .fail, .rollback:
      let code: ResultCode = entry.index.origin == .primaryKey ? .constraintPrimaryKey : .constraintUnique
      halt(code, action, .unique, uniqueNames(entry.index, target.table))
    }
    builder.place(free)
  }

  /// Puts the target's cursor on the row with the key in registers from `key` on.
  func seek(_ target: ChangeTarget, key: Int32, orElse missing: Label) {
    if target.table.primaryKeyIndex != nil {
      builder.emit(.notFound, target.cursor, to: missing, key, p4: Int32(target.rowKeyCount))
    } else {
      builder.emit(.notExists, target.cursor, to: missing, key)
    }
  }
}

extension BoundExpression {
  /// Whether it reads a column of `source` that is in `columns`; the rowid counts as read by nobody else.
  func reads(_ source: Source, anyOf columns: Set<Int>) -> Bool {
    contains { node in
      guard case .column(let owner, let number) = node.kind, owner === source else { return false }
      return number < 0 || columns.contains(number)
    }
  }
}
