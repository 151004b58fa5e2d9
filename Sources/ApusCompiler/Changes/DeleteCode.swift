// DELETE: the rows are found first and deleted then, so that the search does not run over a changing tree.

import ApusBase
import ApusSQL
import ApusStorage
import ApusVM

extension Generator {
  func delete(_ delete: Delete) throws(EngineError) {
    let table = try binder.table(delete.table)
    try checkWritable(table, .delete)
    if delete.with != nil { throw unsupported("WITH before DELETE") }
    if !delete.returning.isEmpty { throw unsupported("RETURNING") }
    if !delete.orderBy.isEmpty || delete.limit != nil { throw unsupported("DELETE ... ORDER BY or LIMIT") }
    let source = binder.source(for: table, alias: delete.table.alias)
    try binder.setHint(delete.table, of: source)
    let target = ChangeTarget(table, source: source, generator: self)
    guard let filter = delete.filter else {
      try clear(table)
      return
    }
    let bound = try binder.scalar(filter, Scope(sources: [source]))
    try forEachFound(target, bound) { (_, _) throws(EngineError) in
      try self.deleteRow(target, flags: [.countsChange])
    }
  }

  /// Empties the trees as a whole: no row is read.
  private func clear(_ table: CatalogTable) throws(EngineError) {
    writes(table.database)
    let counter = register()
    integer(0, into: counter)
    for index in table.indexes where index !== table.primaryKeyIndex {
      builder.emit(.clear, Int32(bitPattern: index.root.rawValue), Int32(table.database), 0)
    }
    builder.emit(.clear, Int32(bitPattern: table.root.rawValue), Int32(table.database), counter)
  }

  /// Generates the search for the rows that `filter` finds, and then `body` for each, with the target's cursor on it and
  /// its key in registers from `key` on. `skip` goes on with the next row. Rows come in the order in which they are found,
  /// or, where `sortsByKey` says so of the loop, in the order of their keys.
  func forEachFound(
    _ target: ChangeTarget, _ filter: BoundExpression?, sortsByKey: (LoopLevel) -> Bool = { _ in false },
    _ body: (_ key: Int32, _ skip: Label) throws(EngineError) -> Void
  ) throws(EngineError) {
    let source = target.source
    let keyCount = target.rowKeyCount
    let found = builder.allocateCursor()
    let key = registers(keyCount)
    let open = builder.emit(.openEphemeral, found, Int32(keyCount))
    null(key)
    var wishes = LoopWishes()
    wishes.changesRows = true
    let loops = try beginLoops([source], filter, wishes)
    let borrowsKey = borrowsColumns
    // The only row's key outlives the cursor it comes from, which is opened again for writing.
    borrowsColumns = borrowsColumns && !loops.isOneRow
    try codeRowKey(target, into: key)
    borrowsColumns = borrowsKey
    if loops.isOneRow {
      builder.patch(open) { $0 = Instruction(.noop) }
    } else if sortsByKey(loops.levels[0]) {
      try insertKey(target, key, into: found, open: open)
    } else {
      try withTemporary { (record) throws(EngineError) in
        try self.withTemporary { (number) throws(EngineError) in
          self.builder.emit(.makeRecord, key, Int32(keyCount), record)
          self.builder.emit(.newRowid, found, number)
          self.builder.emit(.insert, found, record, number, p5: ChangeFlags.append.rawValue)
        }
      }
    }
    try endLoops(loops)
    let isFound = loops.findsRowid && openSearchForWriting(target, from: open)
    // From here on columns come from the row tree itself.
    source.coveringIndex = nil
    source.automaticColumns = nil
    try openForWriting(target, opensRows: !isFound)
    let done = builder.makeLabel(), skip = builder.makeLabel(), loop = builder.makeLabel()
    if loops.isOneRow {
      // The key is its own set.
      builder.emit(.isNull, key, to: done)
      builder.place(loop)
    } else {
      builder.emit(.rewind, found, to: done)
      builder.place(loop)
      for place in 0..<keyCount { builder.emit(.column, found, Int32(place), key + Int32(place)) }
    }
    if !isFound { seek(target, key: key, orElse: skip) }
    let keepsBorrowing = borrowsColumns
    borrowsColumns = false
    try body(key, skip)
    borrowsColumns = keepsBorrowing
    builder.place(skip)
    if !loops.isOneRow { builder.emit(.next, found, to: loop) }
    builder.place(done)
  }

  /// Adds the key to a tree by keys, which the instruction at `open` opens.
  private func insertKey(
    _ target: ChangeTarget, _ key: Int32, into found: Int32, open: Int32
  ) throws(EngineError) {
    let count = target.rowKeyCount
    let record = builder.allocateTemporary()
    defer { builder.releaseTemporary(record) }
    builder.emit(.makeRecord, key, Int32(count), record)
    guard let index = target.table.primaryKeyIndex else {
      builder.emit(.insert, found, record, key)
      return
    }
    var columns: [KeyColumn] = []
    for part in index.columns.prefix(count) {
      columns.append(KeyColumn(collation: try context.collation(part.collation), isDescending: part.isDescending))
    }
    let description = builder.keyIndex(KeyDescription(columns))
    builder.patch(open) { $0.p4 = description }
    builder.emit(.idxInsert, found, record, key, p4: Int32(count))
  }

  /// The search for the only row, whose code begins at `start`, uses the cursor that changes it.
  /// - Returns: false where the search did not open the target's cursor.
  private func openSearchForWriting(_ target: ChangeTarget, from start: Int32) -> Bool {
    for address in start..<builder.nextAddress {
      let instruction = builder.instruction(address)
      guard instruction.opcode == .openRead, instruction.p1 == target.cursor else { continue }
      builder.patch(address) { $0.opcode = .openWrite }
      return true
    }
    return false
  }

  private func codeRowKey(_ target: ChangeTarget, into first: Int32) throws(EngineError) {
    guard let key = target.table.primaryKeyIndex else { return try codeColumn(target.source, -1, into: first) }
    for (place, part) in key.columns.prefix(key.keyCount).enumerated() {
      try codeColumn(target.source, part.number, into: first + Int32(place))
    }
  }
}
