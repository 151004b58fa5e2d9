// Code for compound selects and for recursive common tables.

import ApusBase
import ApusSQL
import ApusStorage
import ApusVM

extension Generator {
  func codeCompound(
    _ select: BoundSelect, to destination: Destination, _ limit: LimitState, _ end: Label
  ) throws(EngineError) {
    let parent = planParent
    planParent = builder.explain("COMPOUND QUERY", parent: parent)
    defer { planParent = parent }
    if select.orderBy.isEmpty {
      try codeArms(select, select.arms.count - 1, limit, to: destination, end)
      return
    }
    // The terms name result columns: the rows go through one sorter.
    let results = (0..<select.columnCount).map { select.columns[$0].expression }
    let sort = try openSorter(select.orderBy, results, limit)
    let count = select.columnCount
    let collect = Destination.row { (first, _) throws(EngineError) in self.pushOnSorter(sort, row: first, count) }
    try codeArms(select, select.arms.count - 1, LimitState(), to: collect, builder.makeUnusedLabel())
    builder.explain("USE TEMP B-TREE FOR ORDER BY", parent: planParent)
    try codeSortTail(sort, count, limit, destination, end)
  }

  // The rows of arms 0...last, as the operators between them combine them from left to right.
  private func codeArms(
    _ select: BoundSelect, _ last: Int, _ limit: LimitState, to destination: Destination, _ end: Label
  ) throws(EngineError) {
    if last == 0 {
      try codeArm(select, 0, limit, to: destination, end)
      return
    }
    switch select.operators[last - 1] {
    case .unionAll:
      try codeArms(select, last - 1, limit, to: destination, end)
      if limit.limit != 0 { builder.emit(.ifNot, limit.limit, to: end, 0) }
      let parent = planParent
      planParent = builder.explain("UNION ALL", parent: parent)
      try codeArm(select, last, limit, to: destination, end)
      planParent = parent
    case .union, .except:
      let cursor = try openSet(select)
      let affinities = [Affinity](repeating: .blob, count: select.columnCount)
      let isUnion = select.operators[last - 1] == .union
      let left: Destination = !isUnion && looksMatter(select, last) ? .distinct(cursor, nil) : .set(cursor, affinities)
      try codeArms(select, last - 1, LimitState(), to: left, builder.makeUnusedLabel())
      let parent = planParent
      planParent = builder.explain(isUnion ? "UNION USING TEMP B-TREE" : "EXCEPT USING TEMP B-TREE", parent: parent)
      try codeArm(
        select, last, LimitState(), to: isUnion ? .set(cursor, affinities) : .except(cursor), builder.makeUnusedLabel())
      planParent = parent
      try codeSetScan(cursor, select.columnCount, nil, limit, to: destination)
    case .intersect:
      let left = try openSet(select), right = try openSet(select)
      let affinities = [Affinity](repeating: .blob, count: select.columnCount)
      let rows: Destination = looksMatter(select, last) ? .distinct(left, nil) : .set(left, affinities)
      try codeArms(select, last - 1, LimitState(), to: rows, builder.makeUnusedLabel())
      let parent = planParent
      planParent = builder.explain("INTERSECT USING TEMP B-TREE", parent: parent)
      try codeArm(select, last, LimitState(), to: .set(right, affinities), builder.makeUnusedLabel())
      planParent = parent
      try codeSetScan(left, select.columnCount, right, limit, to: destination)
    }
  }

  private func codeArm(
    _ select: BoundSelect, _ index: Int, _ limit: LimitState, to destination: Destination, _ end: Label
  ) throws(EngineError) {
    let parent = planParent
    if index == 0 { planParent = builder.explain("LEFT-MOST SUBQUERY", parent: parent) }
    let rows = try code(
      select.arms[index], orderBy: [], limit: limit, to: destination, end: end, isWhole: false)
    select.rowEstimate = index == 0 ? rows : LogEstimate.sum(select.rowEstimate, rows)
    planParent = parent
  }

  // An ephemeral index of whole rows, each once; columns compare by the leftmost collation there is.
  private func openSet(_ select: BoundSelect) throws(EngineError) -> Int32 {
    var columns: [KeyColumn] = []
    for place in 0..<select.columnCount {
      let name = select.arms.lazy.compactMap { $0.columns[place].expression.collation }.first
      columns.append(KeyColumn(collation: try context.collation(name?.key == "binary" ? nil : name)))
    }
    let cursor = builder.allocateCursor()
    builder.emit(
      .openEphemeral, cursor, Int32(select.columnCount), p4: builder.keyIndex(KeyDescription(columns)))
    return cursor
  }

  // Whether rows of the arms before `last` may be equal and yet look different (1 and 1.0, 'a' and 'A' under NOCASE): then
  // INTERSECT and EXCEPT keep the first of them. A set by itself keeps the last, at less cost.
  private func looksMatter(_ select: BoundSelect, _ last: Int) -> Bool {
    (0..<select.columnCount).contains { place in
      let affinity = select.arms[0].columns[place].expression.affinity
      return select.arms[..<last].contains { arm in
        let expression = arm.columns[place].expression
        if arm.isValues || expression.affinity != affinity { return true }
        return (affinity == .blob || affinity == .none) && expression.valueKinds & 1 != 0
      } || select.arms.contains { ($0.columns[place].expression.collation?.key ?? "binary") != "binary" }
    }
  }

  private func codeSetScan(
    _ cursor: Int32, _ count: Int, _ other: Int32?, _ limit: LimitState, to destination: Destination
  ) throws(EngineError) {
    let next = builder.makeLabel(), done = builder.makeLabel()
    builder.emit(.rewind, cursor, to: done)
    let loop = builder.labelHere()
    let first: Int32
    switch destination {
    case .coroutine(_, let base): first = base
    case .memory(let target): first = target
    default: first = registers(count)
    }
    if other == nil, limit.offset != 0 { builder.emit(.ifPos, limit.offset, to: next, 1) }
    let flags: ColumnFlags = borrowsColumns ? .borrowed : []
    for place in 0..<count { builder.emit(.column, cursor, Int32(place), first + Int32(place), p5: flags.rawValue) }
    if let other {
      builder.emit(.notFound, other, to: next, first, p4: Int32(count))
      if limit.offset != 0 { builder.emit(.ifPos, limit.offset, to: next, 1) }
    }
    try deliver(first, count, to: destination, skip: next)
    if limit.limit != 0 { builder.emit(.decrJumpZero, limit.limit, to: done) }
    builder.place(next)
    builder.emit(.next, cursor, to: loop)
    builder.place(done)
  }

  // MARK: Recursion

  // The initial rows go into a queue; each row taken out is handed on and runs the recursive arms, whose rows go into
  // the queue in turn. Source: https://sqlite.org/lang_with.html
  func codeRecursive(_ select: BoundSelect, to destination: Destination) throws(EngineError) {
    guard let start = select.recursiveArmStart else { return }
    let end = builder.makeLabel()
    let limit = try codeLimit(select, destination, end)
    let count = select.columnCount
    let queue = builder.allocateCursor()
    let isDistinct = select.operators[(start - 1)...].contains(.union)
    // Without ORDER BY the queue is first in, first out: a table by rowid.
    var key: [KeyColumn] = []
    for term in select.orderBy {
      key.append(
        KeyColumn(
          collation: try context.collation(collationForOrder(select.columns[term.resultColumn].expression)),
          isDescending: term.isDescending, isNullsLast: term.isNullsLast != term.isDescending))
    }
    let terms = select.orderBy
    if terms.isEmpty {
      builder.emit(.openEphemeral, queue, Int32(count))
    } else {
      key.append(KeyColumn())
      builder.emit(.openEphemeral, queue, Int32(terms.count + 1 + count), p4: builder.keyIndex(KeyDescription(key)))
    }
    var into = Destination.table(queue)
    if !terms.isEmpty {
      into = .row { (first, width) throws(EngineError) in
        let entry = self.registers(terms.count + 1 + width)
        for (place, term) in terms.enumerated() {
          self.builder.emit(.shallowCopy, first + Int32(term.resultColumn), entry + Int32(place))
        }
        self.builder.emit(.sequence, queue, entry + Int32(terms.count))
        for place in 0..<width {
          self.builder.emit(.shallowCopy, first + Int32(place), entry + Int32(terms.count + 1 + place))
        }
        try self.withTemporary { (record) throws(EngineError) in
          self.builder.emit(.makeRecord, entry, Int32(terms.count + 1 + width), record)
          self.builder.emit(.idxInsert, queue, record, entry, p4: 0)
        }
      }
    }
    if isDistinct {
      let seen = try openSet(select)
      into = .distinct(seen, into)
    }
    let parent = planParent
    planParent = builder.explain("SETUP", parent: parent)
    let initial = BoundSelect(arms: Array(select.arms[..<start]), operators: Array(select.operators[..<(start - 1)]))
    try code(initial, to: into)
    planParent = parent
    builder.emit(.rewind, queue, to: end)
    let loop = builder.labelHere()
    let done = builder.makeLabel()
    // Take one row out.
    let row = registers(count)
    let offset = terms.isEmpty ? 0 : terms.count + 1
    for place in 0..<count { builder.emit(.column, queue, Int32(offset + place), row + Int32(place)) }
    builder.emit(.delete, queue)
    // As in `makingReals`: the recursive arms read this row.
    for (number, column) in (select.recursiveSources.first?.columns ?? []).enumerated() where column.affinity == .real {
      builder.emit(.realAffinity, row + Int32(number))
    }
    let next = builder.makeLabel()
    if limit.offset != 0 { builder.emit(.ifPos, limit.offset, to: next, 1) }
    if case .coroutine(_, let base) = destination {
      builder.emit(.copy, row, base, Int32(count - 1))
      try deliver(base, count, to: destination, skip: next)
    } else {
      try deliver(row, count, to: destination, skip: next)
    }
    if limit.limit != 0 { builder.emit(.decrJumpZero, limit.limit, to: done) }
    builder.place(next)
    for source in select.recursiveSources { source.registerBase = Int(row) }
    planParent = builder.explain("RECURSIVE STEP", parent: parent)
    for arm in select.arms[start...] {
      let armEnd = builder.makeLabel()
      _ = try code(arm, orderBy: [], limit: LimitState(), to: into, end: armEnd, isWhole: false)
      builder.place(armEnd)
    }
    planParent = parent
    builder.emit(.rewind, queue, to: done)
    builder.emit(.goto, to: loop)
    builder.place(done)
    builder.place(end)
    select.rowEstimate = LogEstimate.sum(initial.rowEstimate, 100)
  }
}

extension ProgramBuilder {
  /// A label for jumps that the code at hand never makes; it means the next instruction.
  func makeUnusedLabel() -> Label { labelHere() }
}
