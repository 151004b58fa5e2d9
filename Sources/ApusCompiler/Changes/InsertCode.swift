// INSERT and REPLACE: where the rows come from, what fills each column, and the loop around `checkConstraints` and
// `writeRow`.

import ApusBase
import ApusSQL
import ApusStorage
import ApusVM

/// Which value of the source row fills each column.
private struct ColumnMap {
  /// For each table column the position in the source row; nil takes the default.
  var positions: [Int?]
  /// The position that gives the rowid; nil: the engine chooses.
  var rowid: Int?
  /// Values that a source row has.
  var count: Int
}

extension Generator {
  func insert(_ insert: Insert) throws(EngineError) {
    let table = try binder.table(insert.table)
    try checkWritable(table, .insert)
    if !insert.upserts.isEmpty { throw unsupported("ON CONFLICT clause (upsert)") }
    if !insert.returning.isEmpty { throw unsupported("RETURNING") }
    var map = try columnMap(insert, table)
    let target = ChangeTarget(table, source: binder.source(for: table, alias: insert.table.alias), generator: self)
    let row = newRow(table)

    guard case .select(var select) = insert.source else {
      map.positions = map.positions.map { _ in nil }
      try openForWriting(target)
      let sequence = try beginSequence(table, target.cursor)
      try writeNewRow(target, row, map, sequence, conflict: insert.conflict) { _, _ in }
      endSequence(sequence)
      return
    }
    if let with = insert.with {
      guard select.with == nil else { throw unsupported("WITH before INSERT and inside its SELECT") }
      select.with = with
    }
    let tablesBefore = binder.boundTables.count
    let bound = try binder.bind(select, parent: nil)
    try checkCount(insert, table, map, bound.columnCount)
    let readsTarget = binder.boundTables[tablesBefore...].contains { $0 === table }

    if let values = singleRow(bound) {
      try openForWriting(target)
      let sequence = try beginSequence(table, target.cursor)
      try writeNewRow(target, row, map, sequence, conflict: insert.conflict) { (position, register) throws(EngineError) in
        try self.code(values[position], into: register)
      }
      endSequence(sequence)
      return
    }
    if readsTarget {
      // The rows are complete before the first is written, so that the statement does not meet its own rows.
      let cursor = builder.allocateCursor()
      builder.emit(.openEphemeral, cursor, Int32(bound.columnCount))
      try code(bound, to: .table(cursor))
      try openForWriting(target)
      let sequence = try beginSequence(table, target.cursor)
      let done = builder.makeLabel()
      builder.emit(.rewind, cursor, to: done)
      let loop = builder.labelHere()
      try writeNewRow(target, row, map, sequence, conflict: insert.conflict) { position, register in
        self.builder.emit(.column, cursor, Int32(position), register)
      }
      builder.emit(.next, cursor, to: loop)
      builder.place(done)
      endSequence(sequence)
      return
    }
    let state = register()
    let base = registers(max(bound.columnCount, 1))
    let behind = builder.makeLabel()
    let start = builder.emit(.initCoroutine, state, to: behind, 0)
    builder.patch(start) { $0.p3 = start + 1 }
    try code(bound, to: .coroutine(state: state, base: base))
    builder.emit(.endCoroutine, state)
    builder.place(behind)
    try openForWriting(target)
    let sequence = try beginSequence(table, target.cursor)
    let done = builder.makeLabel()
    let loop = builder.labelHere()
    builder.emit(.yield, state, to: done)
    try writeNewRow(target, row, map, sequence, conflict: insert.conflict) { position, register in
      self.builder.emit(.copy, base + Int32(position), register)
    }
    builder.emit(.goto, to: loop)
    builder.place(done)
    endSequence(sequence)
  }

  /// Registers for a row to be written, and the source that expressions read it through.
  func newRow(_ table: CatalogTable) -> NewRow {
    let rowid = register()
    let base = registers(table.columns.count)
    let source = binder.newSource(table, alias: table.name, name: table.name.text)
    source.registerBase = Int(base)
    source.rowidRegister = Int(rowid)
    return NewRow(source: source, base: base, rowid: rowid)
  }

  /// Applies the columns' affinities to a row in registers, where something reads it before it is a record.
  func applyAffinities(_ table: CatalogTable, _ row: NewRow) {
    let isRead = !table.checks.isEmpty || table.isStrict || !table.indexes.isEmpty
    guard isRead, table.columns.contains(where: { $0.affinity != .blob && $0.affinity != .none }) else { return }
    builder.emit(
      .affinity, row.base, Int32(table.columns.count), p4: builder.affinityIndex(table.columns.map(\.affinity)))
  }

  // MARK: one row

  private func writeNewRow(
    _ target: ChangeTarget, _ pattern: NewRow, _ map: ColumnMap, _ sequence: Sequence?, conflict: ConflictAction?,
    value: (_ position: Int, _ register: Int32) throws(EngineError) -> Void
  ) throws(EngineError) {
    let table = target.table
    var row = pattern
    let keepsBorrowing = borrowsColumns
    borrowsColumns = false
    defer { borrowsColumns = keepsBorrowing }
    let skip = builder.makeLabel()
    for (number, column) in table.columns.enumerated() {
      let register = row.base + Int32(number)
      if number == table.rowidAlias {
        builder.emit(.null, 0, register)
      } else if let position = map.positions[number] {
        try value(position, register)
      } else if let standard = column.defaultValue {
        try code(try binder.scalar(standard, nil), into: register)
      } else {
        builder.emit(.null, 0, register)
      }
    }
    if table.hasRowid {
      if let position = map.rowid {
        try value(position, row.rowid)
        let given = builder.makeLabel(), known = builder.makeLabel()
        builder.emit(.notNull, row.rowid, to: given)
        builder.emit(.newRowid, target.cursor, row.rowid, sequence?.largest ?? 0)
        builder.emit(.goto, to: known)
        builder.place(given)
        builder.emit(.mustBeInt, row.rowid, 0)
        if let sequence { raise(sequence, to: row.rowid) }
        builder.place(known)
      } else {
        builder.emit(.newRowid, target.cursor, row.rowid, sequence?.largest ?? 0)
        row.hasNewRowid = true
      }
    }
    applyAffinities(table, row)
    try checkConstraints(target, row, conflict: conflict, skip: skip)
    var flags: ChangeFlags = [.countsChange]
    if table.hasRowid { flags.insert(.setsLastRowid) }
    if row.hasNewRowid { flags.insert(.append) }
    try writeRow(target, row, flags: flags)
    builder.place(skip)
  }

  // MARK: columns

  private func columnMap(_ insert: Insert, _ table: CatalogTable) throws(EngineError) -> ColumnMap {
    var map = ColumnMap(positions: [Int?](repeating: nil, count: table.columns.count), rowid: nil, count: 0)
    if insert.columns.isEmpty {
      for (number, column) in table.columns.enumerated() where !column.isHidden {
        map.positions[number] = map.count
        if number == table.rowidAlias { map.rowid = map.count }
        map.count += 1
      }
      if case .defaultValues = insert.source { map.rowid = nil }
      return map
    }
    for (position, name) in insert.columns.enumerated() {
      if let number = table.column(named: name.key) {
        // A column named twice takes its first value.
        if map.positions[number] == nil { map.positions[number] = position }
        if number == table.rowidAlias, map.rowid == nil { map.rowid = position }
      } else if table.hasRowid, Binder.isRowidName(name.key) {
        map.rowid = position
      } else {
        throw EngineError(.error, "table \(table.name.text) has no column named \(name.text)", sqlOffset: insert.table.offset.value)
      }
    }
    map.count = insert.columns.count
    if case .defaultValues = insert.source { try checkCount(insert, table, map, 0) }
    return map
  }

  private func checkCount(
    _ insert: Insert, _ table: CatalogTable, _ map: ColumnMap, _ count: Int
  ) throws(EngineError) {
    if count == map.count { return }
    if insert.columns.isEmpty {
      throw EngineError(
        .error, "table \(insert.table.name.text) has \(map.count) columns but \(count) values were supplied",
        sqlOffset: insert.table.offset.value)
    }
    throw EngineError(.error, "\(count) values for \(map.count) columns", sqlOffset: insert.table.offset.value)
  }

  /// The values of a select that is one row without a table.
  private func singleRow(_ select: BoundSelect) -> [BoundExpression]? {
    guard select.arms.count == 1, select.limit == nil, select.recursiveArmStart == nil else { return nil }
    let query = select.arms[0]
    guard query.sources.isEmpty, !query.isValues, query.filter == nil, query.aggregates == nil, query.groupBy.isEmpty,
      query.having == nil
    else { return nil }
    return query.columns.map(\.expression)
  }
}
