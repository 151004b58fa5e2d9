// The table that a statement changes: its cursors, and the code that deletes a row with its index entries.

import ApusBase
import ApusSQL
import ApusStorage
import ApusVM

/// An index of the changed table with its cursor. The tree of a WITHOUT ROWID table's rows is not among them.
struct IndexTarget {
  var index: CatalogIndex
  var cursor: Int32
  /// Registers of the new entry's columns, and of its record; NULL record: the row is not in the (partial) index.
  var keyRegister: Int32 = 0
  var recordRegister: Int32 = 0
  /// False where an UPDATE touches no column of it.
  var isChanged = true
}

final class ChangeTarget {
  let table: CatalogTable
  /// The row under the cursor: the old one.
  let source: Source
  var indexes: [IndexTarget]
  /// False where an UPDATE that deletes no other row leaves indexes alone that it does not change.
  var opensAllIndexes = true

  var cursor: Int32 { Int32(source.cursor) }

  init(_ table: CatalogTable, source: Source, generator: Generator) {
    self.table = table
    self.source = source
    indexes = []
    for index in table.indexes where index !== table.primaryKeyIndex {
      indexes.append(IndexTarget(index: index, cursor: generator.builder.allocateCursor()))
    }
  }

  /// How many columns find a row: one for a rowid, those of the primary key otherwise.
  var rowKeyCount: Int { table.primaryKeyIndex?.keyCount ?? 1 }

  /// Registers' order of a WITHOUT ROWID table's record: table column numbers.
  var storedColumns: [Int] {
    guard let key = table.primaryKeyIndex else { return table.columns.indices.filter { table.columns[$0].isStored } }
    return key.columns.map(\.number)
  }
}

extension Generator {
  /// Refuses what cannot be changed, with SQLite's words.
  func checkWritable(_ table: CatalogTable, _ verb: ChangeVerb) throws(EngineError) {
    if table.isView {
      throw EngineError(.error, "cannot modify \(table.name.text) because it is a view")
    }
    if table.isVirtual { throw unsupported("changing a virtual table (\(table.name.text))") }
    if table.name.key == "sqlite_master" || table.name.key == "sqlite_temp_master" {
      guard context.settings.writableSchema else {
        throw EngineError(.error, "table \(table.name.text) may not be modified")
      }
    }
    for trigger in try table.triggers() where verb.fires(trigger.definition.event) {
      throw unsupported("\(verb.rawValue) on a table with triggers (trigger \(trigger.name.text))")
    }
    if let column = table.columns.first(where: { $0.generation != nil }) {
      throw unsupported("\(verb.rawValue) on a table with generated columns (column \(column.name.text))")
    }
  }

  /// Opens the row tree and the indexes for writing.
  func openForWriting(_ target: ChangeTarget, opensRows: Bool = true) throws(EngineError) {
    if opensRows {
      try open(target.table, cursor: target.cursor, forWriting: true)
    } else {
      writes(target.table.database)
    }
    for entry in target.indexes where entry.isChanged || target.opensAllIndexes {
      try open(entry.index, of: target.table, cursor: entry.cursor, forWriting: true)
    }
  }

  /// What messages and hooks call the table.
  func tableDescription(_ table: CatalogTable) -> Int32 {
    builder.tableIndex(
      TableDescription(
        name: table.name.text,
        columns: table.columns.map { column in
          TableDescription.Column(name: column.name.text, strictType: (column.declaredType ?? "ANY").uppercased())
        }))
  }

  /// The columns of an index entry for the row that `source` reads, into consecutive registers from `first` on.
  func codeIndexKey(_ index: CatalogIndex, _ source: Source, into first: Int32) throws(EngineError) {
    let keepsBorrowing = borrowsColumns
    borrowsColumns = false
    defer { borrowsColumns = keepsBorrowing }
    for (place, part) in index.columns.enumerated() {
      let register = first + Int32(place)
      switch part.source {
      case .column(let number):
        try codeColumn(source, number == source.table?.rowidAlias ? -1 : number, into: register)
      case .rowid: try codeColumn(source, -1, into: register)
      case .expression(let expression):
        try code(try indexExpression(expression, of: index, source), into: register)
      }
    }
  }

  /// An expression of an index's definition, or its WHERE, for the row that `source` reads.
  /// - Parameter isStored: an entry is made of it, so that it may not depend on the moment or the zone. What a query is
  ///   compared with stays the query's own call.
  /// - Throws: SQLITE_CORRUPT where the stored definition calls what would give another entry at each look: CREATE INDEX
  ///   refuses that.
  func indexExpression(
    _ expression: Expression, of index: CatalogIndex, _ source: Source, isStored: Bool = true, isFilter: Bool = false
  ) throws(EngineError) -> BoundExpression {
    let scope = Scope(sources: [source], pureIn: isStored ? .index : nil)
    scope.hidesRowid = !isFilter
    let bound = try binder.scalar(expression, scope)
    if bound.callsUnstable {
      throw EngineError(
        .corrupt, "malformed database schema (\(index.name.text)) - non-deterministic functions prohibited in index "
          + "expressions")
    }
    return bound
  }

  /// The affinities of an index entry's columns.
  func affinities(_ index: CatalogIndex, of table: CatalogTable) -> [Affinity] {
    index.columns.map { part in
      switch part.source {
      case .column(let number): table.columns[number].affinity
      case .rowid: .integer
      case .expression: .blob
      }
    }
  }

  /// A record as it is stored in a table or an index: whole numbers in columns of REAL affinity are stored as integers.
  func makeStoredRecord(_ first: Int32, _ count: Int, _ record: Int32, _ affinities: [Affinity]) {
    builder.emit(
      .makeRecord, first, Int32(count), record, p4: builder.affinityIndex(affinities),
      p5: affinities.contains(.real) ? RecordFlags.compactsReals.rawValue : 0)
  }

  /// Jumps to `label` where the row that `source` reads does not belong into a partial index.
  func skipUnlessIndexed(_ index: CatalogIndex, _ source: Source, to label: Label) throws(EngineError) {
    guard let filter = index.filter else { return }
    let bound = try indexExpression(filter, of: index, source, isFilter: true)
    try jump(ifFalse: bound, to: label, nullJumps: true)
  }

  /// Deletes the row under the target's cursor, its index entries first.
  func deleteRow(_ target: ChangeTarget, flags: ChangeFlags, only changedIndexes: Bool = false) throws(EngineError) {
    try deleteIndexEntries(target, only: changedIndexes, isReplaced: flags.isEmpty)
    builder.emit(.delete, target.cursor, p4: tableDescription(target.table), p5: flags.rawValue)
  }

  /// Deletes the index entries of the row under the target's cursor.
  /// - Parameter isReplaced: REPLACE removes the row.
  func deleteIndexEntries(
    _ target: ChangeTarget, only changedIndexes: Bool = false, isReplaced: Bool = false
  ) throws(EngineError) {
    for entry in target.indexes where entry.isChanged || !changedIndexes {
      let behind = builder.makeLabel()
      try skipUnlessIndexed(entry.index, target.source, to: behind)
      let count = entry.index.columns.count
      let first = registers(count)
      try codeIndexKey(entry.index, target.source, into: first)
      #if PlantedBugs
        let p5: UInt16 = isReplaced ? 3 : 1
      #else
        let p5: UInt16 = 1
      #endif
      builder.emit(.idxDelete, entry.cursor, first, Int32(count), p5: p5)
      builder.place(behind)
    }
  }
}

enum ChangeVerb: String {
  case insert = "INSERT", update = "UPDATE", delete = "DELETE"

  func fires(_ event: CreateTrigger.Event) -> Bool {
    switch (self, event) {
    case (.insert, .insert), (.update, .update), (.delete, .delete): true
    case (.insert, _), (.update, _), (.delete, _): false
    }
  }
}
