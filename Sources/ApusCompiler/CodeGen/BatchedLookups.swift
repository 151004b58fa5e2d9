// Rows in the order of an index, of a table that is larger than the page cache: one look-up after the other would read a
// page for nearly every row. So index entries gather in batches; the rows of a batch are looked up in the order of their
// row ids, which reads each page once, and given out in the order of the index. Batches begin with two rows and grow, so
// the first row is there as soon as without them. What does not fit into a sorter's memory is looked up when its turn comes.
//
//   for each index entry:   (row id, number) into `rows`; where the batch is full: gosub flush
//   flush:                  for each of `rows`, in the order of row ids: (number, NULL, columns) into `results`
//                           for each of `results`, in the order of numbers: give the columns out

import ApusBase
import ApusSQL
import ApusStorage
import ApusVM

extension Generator {
  /// The only loop, where its rows are worth looking up in batches: it walks a whole index for its order, all rows are
  /// wanted, and no condition needs the table's row.
  func batchedLevel(_ query: BoundQuery, _ loops: LoopSet, _ limit: LimitState) -> LoopLevel? {
    guard loops.isOrdered, limit.limit == 0, !query.isDistinct, query.sources.count == 1, loops.levels.count == 1,
      let level = loops.levels.first, level.source.table?.hasRowid == true, level.indexCursor >= 0,
      level.candidate.index != nil, level.candidate.terms.isEmpty, level.advance != nil,
      level.candidate.flags.isDisjoint(with: [.covering, .oneRow, .automatic, .multipleOr]),
      !query.columns.contains(where: { $0.expression.isCostly }),
      loops.clause.terms.allSatisfy({ $0.isVirtual || cost($0, level) == 0 })
    else { return nil }
    return level
  }

  /// The loop's body and its end, and what goes behind it. `begin` is an instruction before the loops that becomes a jump,
  /// `behindBegin` the place behind it.
  func codeInBatches(
    _ results: [BoundExpression], _ level: LoopLevel, _ loops: LoopSet, to destination: Destination, begin: Int32,
    behindBegin: Label
  ) throws(EngineError) {
    guard let table = level.source.table else { return }
    let cursor = Int32(level.source.cursor), count = results.count
    let rows = builder.allocateCursor(), found = builder.allocateCursor()
    let size = register(), remaining = register(), flushReturn = register()
    let row = registers(2), rowid = register(), entry = registers(count + 2)
    let direct = builder.makeLabel(), flush = builder.makeLabel(), flushed = builder.makeLabel()
    let opened = builder.makeLabel(), done = builder.makeLabel()
    // The body.
    builder.emit(.ifNot, size, to: direct)
    builder.emit(.rowid, cursor, row)
    builder.emit(.addImmediate, row + 1, 1)
    builder.emit(.sorterInsert, rows, row, 2)
    builder.emit(.ifPos, remaining, to: loops.next, 1)
    builder.emit(.gosub, flushReturn, to: flush)
    builder.emit(.goto, to: loops.next)
    builder.place(direct)
    try emitRow(results, LimitState(), destination, next: loops.next, end: loops.exit, -1)
    try endLoops(loops)
    builder.emit(.ifNot, size, to: done)
    builder.emit(.gosub, flushReturn, to: flush)
    builder.emit(.goto, to: done)
    // Before the loop.
    builder.patch(begin) { $0 = Instruction(.goto, 0, opened.operand) }
    builder.place(opened)
    let key = builder.keyIndex(KeyDescription([KeyColumn()]))
    builder.emit(.sorterOpen, rows, 2, p4: key)
    builder.emit(.sorterOpen, found, Int32(count + 2), p4: key)
    null(size)
    builder.emit(.lookupBatch, Int32(table.database), size)
    builder.emit(.integerCopy, size, remaining)
    integer(0, into: row + 1)
    builder.emit(.goto, to: behindBegin)
    // A batch: its rows by row id.
    builder.place(flush)
    builder.emit(.lookupBatch, Int32(table.database), size)
    builder.emit(.integerCopy, size, remaining)
    builder.emit(.sorterSort, rows, to: flushed)
    let gather = builder.labelHere()
    let later = builder.makeLabel(), next = builder.makeLabel(), missing = builder.makeLabel()
    builder.emit(.column, rows, 0, rowid)
    builder.emit(.column, rows, 1, entry)
    builder.emit(.sorterFull, found, to: later)
    builder.emit(.seekRowid, cursor, to: missing, rowid)
    null(entry + 1)
    try code(results, into: entry + 2)
    builder.emit(.sorterInsert, found, entry, Int32(count + 2))
    builder.place(next)
    builder.emit(.sorterNext, rows, to: gather)
    builder.emit(.resetSorter, rows)
    // The rows by number.
    let lookUp = builder.makeLabel(), give = builder.makeLabel(), nextFound = builder.makeLabel()
    builder.emit(.sorterSort, found, to: flushed)
    let hand = builder.labelHere()
    let first: Int32
    if case .coroutine(_, let base) = destination { first = base } else { first = registers(max(count, 1)) }
    builder.emit(.column, found, 1, rowid)
    builder.emit(.notNull, rowid, to: lookUp)
    let flags: ColumnFlags = borrowsColumns ? .borrowed : []
    for place in 0..<count {
      builder.emit(.column, found, Int32(place + 2), first + Int32(place), p5: flags.rawValue)
    }
    builder.place(give)
    try deliver(first, count, to: destination, skip: nextFound)
    builder.place(nextFound)
    builder.emit(.sorterNext, found, to: hand)
    builder.emit(.resetSorter, found)
    builder.place(flushed)
    builder.emit(.return, flushReturn)
    // No memory for the row: only its row id waits for its turn.
    builder.place(later)
    builder.emit(.integerCopy, rowid, entry + 1)
    builder.emit(.sorterInsert, found, entry, 2)
    builder.emit(.goto, to: next)
    builder.place(lookUp)
    builder.emit(.seekRowid, cursor, to: nextFound, rowid)
    try code(results, into: first)
    builder.emit(.goto, to: give)
    builder.place(missing)
    builder.emit(.halt, ResultCode.corruptIndex.rawValue, OnConflict.abort.rawValue)
    builder.place(done)
  }
}
