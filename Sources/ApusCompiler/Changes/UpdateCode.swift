// UPDATE: the rows are found first; each is then read, its new form checked, the old index entries deleted, and the new
// form written.

import ApusBase
import ApusSQL
import ApusStorage
import ApusVM

extension Generator {
  func update(_ update: Update) throws(EngineError) {
    let table = try binder.table(update.table)
    try checkWritable(table, .update)
    if update.with != nil { throw unsupported("WITH before UPDATE") }
    if update.from != nil { throw unsupported("UPDATE ... FROM") }
    if !update.returning.isEmpty { throw unsupported("RETURNING") }
    if !update.orderBy.isEmpty || update.limit != nil { throw unsupported("UPDATE ... ORDER BY or LIMIT") }
    let source = binder.source(for: table, alias: update.table.alias)
    try binder.setHint(update.table, of: source)
    let target = ChangeTarget(table, source: source, generator: self)
    let scope = Scope(sources: [source])
    let changes = try bindAssignments(update, table, scope)
    // The search for the rows reads what the condition needs; the values come from the rows themselves.
    source.usedColumns = 0
    let filter = try update.filter.map { expression throws(EngineError) in try binder.scalar(expression, scope) }
    try checkSettable(update, table)

    let changed = Set(changes.columns.keys)
    let keyColumns = Set(table.primaryKey)
    var row = newRow(table)
    row.changedColumns = changed
    row.mayChangeKey = changes.rowid != nil || !changed.isDisjoint(with: keyColumns)
    for place in target.indexes.indices {
      target.indexes[place].isChanged = row.mayChangeKey || isAffected(target.indexes[place].index, by: changed)
    }
    #if PlantedBugs
      for place in target.indexes.indices where PlantedBug.isActive(.forgetKeyInIndexes) {
        target.indexes[place].isChanged = isAffected(target.indexes[place].index, by: changed)
      }
      if PlantedBug.isActive(.forgetIndexEntryOnUpdate), !target.indexes.isEmpty {
        target.indexes[target.indexes.count - 1].isChanged = false
      }
    #endif
    let replaces = mayReplace(target, update.conflict)
    target.opensAllIndexes = replaces
    let mustSort = replaces || row.mayChangeKey || filter?.isCostly == true
    // In an order of its own only where the index that finds the rows stays as it is, as in SQLite.
    func sortsByKey(_ level: LoopLevel) -> Bool {
      if level.candidate.flags.contains(.multipleOr) { return true }
      guard let index = level.candidate.index, index !== table.primaryKeyIndex else { return false }
      return mustSort || target.indexes.contains { $0.index === index && $0.isChanged }
    }
    try forEachFound(target, filter, sortsByKey: sortsByKey) { (key, skip) throws(EngineError) in
      var row = row
      row.oldKey = key
      var known: [ObjectIdentifier: Int32] = [:]
      for number in table.columns.indices {
        let register = row.base + Int32(number)
        if let value = changes.columns[number] {
          try self.codeAssigned(value, into: register, &known)
        } else if number != table.rowidAlias {
          try self.codeColumn(source, number, into: register)
        } else {
          self.builder.emit(.null, 0, register)
        }
      }
      if table.hasRowid {
        if let value = changes.rowid {
          try self.codeAssigned(value, into: row.rowid, &known)
          self.builder.emit(.mustBeInt, row.rowid, 0)
        } else {
          self.builder.emit(.copy, key, row.rowid)
        }
      }
      self.applyAffinities(table, row)
      try self.checkConstraints(target, row, conflict: update.conflict, skip: skip)
      // Checks may have moved the cursor, and REPLACE may have deleted this very row's neighbours.
      if replaces || row.mayChangeKey { self.seek(target, key: key, orElse: skip) }
      try self.deleteIndexEntries(target, only: true)
      if row.mayChangeKey || table.primaryKeyIndex != nil {
        self.builder.emit(.delete, target.cursor, p4: self.tableDescription(table), p5: ChangeFlags.isUpdate.rawValue)
      }
      try self.writeRow(target, row, flags: [.countsChange, .isUpdate])
    }
  }

  /// The value of an assigned column. A row-valued subquery runs once for all columns that take a value of it: `known` has
  /// the registers of its row.
  private func codeAssigned(
    _ value: BoundExpression, into target: Int32, _ known: inout [ObjectIdentifier: Int32]
  ) throws(EngineError) {
    guard case .subqueryColumn(let row, let index) = value.kind, case .subquery(let select) = row.kind else {
      try code(value, into: target)
      return
    }
    let first: Int32
    if let run = known[ObjectIdentifier(row)] {
      first = run
    } else {
      first = try codeRowSubquery(select)
      known[ObjectIdentifier(row)] = first
    }
    builder.emit(.copy, first + Int32(index), target)
  }

  private struct Assignments {
    var columns: [Int: BoundExpression] = [:]
    var rowid: BoundExpression?
  }

  private func bindAssignments(
    _ update: Update, _ table: CatalogTable, _ scope: Scope
  ) throws(EngineError) -> Assignments {
    var result = Assignments()
    for assignment in update.assignments {
      let bound = try binder.bind(assignment.value, scope)
      if assignment.columns.count != bound.width {
        if assignment.columns.count == 1 { try binder.checkScalar(bound) }
        throw EngineError(
          .error, "\(assignment.columns.count) columns assigned \(bound.width) values",
          sqlOffset: assignment.offset.value)
      }
      for (place, name) in assignment.columns.enumerated() {
        let value = assignment.columns.count == 1 ? bound : bound.part(place)
        if let number = table.column(named: name.key) {
          if number == table.rowidAlias { result.rowid = value } else { result.columns[number] = value }
        } else if table.hasRowid, Binder.isRowidName(name.key) {
          result.rowid = value
        } else {
          throw EngineError(.error, "no such column: \(name.text)", sqlOffset: assignment.offset.value)
        }
      }
    }
    return result
  }

  private func checkSettable(_ update: Update, _ table: CatalogTable) throws(EngineError) {
    for assignment in update.assignments {
      for name in assignment.columns {
        guard let number = table.column(named: name.key), table.columns[number].generation != nil else { continue }
        throw EngineError(.error, "cannot UPDATE generated column \"\(name.text)\"", sqlOffset: assignment.offset.value)
      }
    }
  }

  private func isAffected(_ index: CatalogIndex, by changed: Set<Int>) -> Bool {
    if index.filter != nil || index.hasExpressions { return true }
    return index.columns.contains { changed.contains($0.number) }
  }

  private func mayReplace(_ target: ChangeTarget, _ conflict: ConflictAction?) -> Bool {
    if let conflict { return conflict == .replace }
    return target.table.rowidConflict == .replace || target.table.indexes.contains { $0.conflict == .replace }
  }
}
