// Code for SELECT: one arm without aggregates; the frame that compounds and aggregate queries share.

import ApusBase
import ApusSQL
import ApusStorage
import ApusVM

/// The sorter of one ORDER BY, and what its records hold.
struct SortState {
  var cursor: Int32
  var terms: [BoundOrder]
  /// The address of the instruction that opens it.
  var openAddress: Int32
  /// For each result column its column in the record: a term's, or one behind the terms.
  var columns: [Int]
  var width: Int
}

/// Rows that come ordered by the first terms are sorted block by block: those that agree in these terms.
struct SortBlocks {
  /// The registers with the block's terms.
  var first: Int32
  var count: Int
  /// The subroutine that sorts a block and gives it out.
  var flush: Label
  var flushReturn: Int32
}

extension Generator {
  /// Generates code that sends the rows of `select` to `destination`.
  func code(_ select: BoundSelect, to destination: Destination) throws(EngineError) {
    if select.recursiveArmStart != nil {
      try codeRecursive(select, to: destination)
      return
    }
    let end = builder.makeLabel()
    let limit = try codeLimit(select, destination, end)
    if select.isCompound {
      try codeCompound(select, to: destination, limit, end)
    } else {
      select.rowEstimate = try code(
        select.arms[0], orderBy: select.orderBy, limit: limit, to: destination, end: end, isWhole: true)
      if limit.limit != 0, let count = select.limit?.integerLiteral, count >= 0 {
        select.rowEstimate = min(select.rowEstimate, LogEstimate.of(UInt64(count)))
      }
    }
    builder.place(end)
  }

  // MARK: LIMIT

  func codeLimit(_ select: BoundSelect, _ destination: Destination, _ end: Label) throws(EngineError) -> LimitState {
    var state = LimitState()
    guard let count = select.limit else {
      if destination.takesOneRow {
        state.limit = register()
        integer(1, into: state.limit)
      }
      return state
    }
    state.limit = register()
    if let literal = count.integerLiteral, let small = Int(exactly: literal), small.magnitude < 1 << 31 {
      integer(small, into: state.limit)
      if small == 0 { builder.emit(.goto, to: end) }
      if destination.takesOneRow, small < 0 || small > 1 { builder.patch(builder.nextAddress - 1) { $0.p1 = 1 } }
    } else {
      try code(count, into: state.limit)
      builder.emit(.mustBeInt, state.limit)
      builder.emit(.ifNot, state.limit, to: end)
      if destination.takesOneRow { integer(1, into: state.limit) }
    }
    if let offset = select.offset {
      state.offset = register()
      state.sum = register()
      try code(offset, into: state.offset)
      builder.emit(.mustBeInt, state.offset)
      builder.emit(.offsetLimit, state.limit, state.sum, state.offset)
    }
    return state
  }

  // MARK: One arm

  /// Code for one arm; returns the estimated number of rows.
  func code(
    _ query: BoundQuery, orderBy: [BoundOrder], limit: LimitState, to destination: Destination, end: Label,
    isWhole: Bool
  ) throws(EngineError) -> LogEstimate {
    if query.isValues { return try codeValues(query, orderBy, limit, destination, end) }
    if Rewrite.applies(to: query) {
      for rule in Rewrite.rules { rule(Rewrite.Subject(query: query, orderBy: orderBy)) }
    }
    if query.aggregates != nil { return try codeAggregate(query, orderBy, limit, destination, end) }
    try codeSources(query)
    var orderBy = orderBy
    // DISTINCT over the terms of ORDER BY is a sort that drops duplicates; a constant term orders nothing.
    orderBy.removeAll { $0.expression.isConstant }
    var sort: SortState?
    if !orderBy.isEmpty { sort = try openSorter(orderBy, query.columns.map(\.expression), limit) }
    let behindSort = builder.labelHere()
    // A cleared NULL differs from every value: the first row begins a block.
    let block = orderBy.isEmpty ? 0 : registers(orderBy.count)
    if !orderBy.isEmpty { builder.emit(.null, 1, block, block + Int32(orderBy.count) - 1) }
    var distinctAddress: Int32 = -1
    var distinctCursor: Int32 = 0
    if query.isDistinct {
      distinctCursor = builder.allocateCursor()
      distinctAddress = builder.emit(
        .openEphemeral, distinctCursor, Int32(query.columns.count),
        p4: try keyDescription(distinguishing: query.columns.map(\.expression)))
    }
    var wishes = LoopWishes()
    wishes.orderBy = orderBy
    wishes.distinct = query.isDistinct ? query.columns.map(\.expression) : []
    wishes.limit = limit.limit != 0
    wishes.resultCount = query.columns.count
    wishes.outputs = query.columns.map(\.expression) + orderBy.map(\.expression)
    let loops = try beginLoops(query.sources, query.filter, wishes)
    let openAddress = sort?.openAddress
    if loops.isOrdered, let opened = sort {
      builder.patch(opened.openAddress) { $0 = Instruction(.noop) }
      sort = nil
    }
    var isDistinct = query.isDistinct
    if isDistinct, loops.isUnique {
      builder.patch(distinctAddress) { $0 = Instruction(.noop) }
      isDistinct = false
    }
    let expressions = query.columns.map(\.expression)
    if let openAddress, let level = batchedLevel(query, loops, limit) {
      try codeInBatches(expressions, level, loops, to: destination, begin: openAddress, behindBegin: behindSort)
      return loops.rowEstimate
    }
    var blocks: SortBlocks?
    if sort != nil, loops.orderedPrefix > 0 {
      blocks = SortBlocks(
        first: block, count: loops.orderedPrefix, flush: builder.makeLabel(), flushReturn: register())
    }
    if let sort {
      try pushOnSorter(sort, expressions, loops.next, isDistinct ? distinctCursor : -1, blocks)
    } else {
      try emitRow(expressions, limit, destination, next: loops.next, end: loops.exit, isDistinct ? distinctCursor : -1)
    }
    try endLoops(loops)
    // Told behind the loops, so that no row passes over these instructions.
    if isDistinct { builder.explain("USE TEMP B-TREE FOR DISTINCT", parent: planParent) }
    if let sort {
      let rest = sort.terms.count - loops.orderedPrefix
      let part = loops.orderedPrefix == 0 ? "" : rest == 1 ? "LAST TERM OF " : "LAST \(rest) TERMS OF "
      builder.explain("USE TEMP B-TREE FOR \(part)ORDER BY", parent: planParent)
      try codeSortTail(sort, expressions.count, limit, destination, end, blocks)
    }
    return loops.rowEstimate
  }

  /// Computes a row and hands it out, with DISTINCT, OFFSET and LIMIT.
  func emitRow(
    _ expressions: [BoundExpression], _ limit: LimitState, _ destination: Destination, next: Label, end: Label,
    _ distinctCursor: Int32
  ) throws(EngineError) {
    var first: Int32
    switch destination {
    case .coroutine(_, let base): first = base
    case .memory(let target): first = target
    default: first = resultRegisters(expressions.count)
    }
    if distinctCursor < 0, limit.offset != 0 { builder.emit(.ifPos, limit.offset, to: next, 1) }
    if case .exists = destination, distinctCursor < 0 {
      try deliver(first, expressions.count, to: destination, skip: next)
    } else {
      if distinctCursor >= 0, case .memory = destination { first = resultRegisters(expressions.count) }
      try code(expressions, into: first)
      if distinctCursor >= 0 {
        builder.emit(.found, distinctCursor, to: next, first, p4: Int32(expressions.count))
        try withTemporary { (record) throws(EngineError) in
          self.builder.emit(.makeRecord, first, Int32(expressions.count), record)
          self.builder.emit(.idxInsert, distinctCursor, record, first, p4: 0)
        }
        if limit.offset != 0 { builder.emit(.ifPos, limit.offset, to: next, 1) }
      }
      try deliver(first, expressions.count, to: destination, skip: next)
    }
    if limit.limit != 0 { builder.emit(.decrJumpZero, limit.limit, to: end) }
  }

  private func resultRegisters(_ count: Int) -> Int32 { registers(max(count, 1)) }

  // MARK: Sorting

  func openSorter(
    _ terms: [BoundOrder], _ results: [BoundExpression], _ limit: LimitState
  ) throws(EngineError) -> SortState {
    var columns: [Int] = []
    columns.reserveCapacity(results.count)
    var width = terms.count
    for (place, _) in results.enumerated() {
      // A result that is a term is kept once; but not where the term's collation hides nothing of it anyway.
      if let term = terms.firstIndex(where: { $0.resultColumn == place }) {
        columns.append(term)
      } else {
        columns.append(width)
        width += 1
      }
    }
    let cursor = builder.allocateCursor()
    let address = builder.emit(
      .sorterOpen, cursor, Int32(width), limit.offset != 0 ? limit.sum : limit.limit, p4: try keyDescription(terms))
    return SortState(cursor: cursor, terms: terms, openAddress: address, columns: columns, width: width)
  }

  /// Adds the row of `results` to the sorter, but not one that was there before, where rows must differ.
  func pushOnSorter(
    _ sort: SortState, _ results: [BoundExpression], _ next: Label, _ distinctCursor: Int32,
    _ blocks: SortBlocks? = nil
  ) throws(EngineError) {
    let first = registers(sort.width)
    for (place, term) in sort.terms.enumerated() { try code(term.expression, into: first + Int32(place)) }
    for (place, result) in results.enumerated() where sort.columns[place] >= sort.terms.count {
      try code(result, into: first + Int32(sort.columns[place]))
    }
    if distinctCursor >= 0 {
      let row = registers(results.count)
      for place in results.indices { builder.emit(.shallowCopy, first + Int32(sort.columns[place]), row + Int32(place)) }
      builder.emit(.found, distinctCursor, to: next, row, p4: Int32(results.count))
      try withTemporary { (record) throws(EngineError) in
        self.builder.emit(.makeRecord, row, Int32(results.count), record)
        self.builder.emit(.idxInsert, distinctCursor, record, row, p4: 0)
      }
    }
    if let blocks {
      let begins = builder.makeLabel(), continues = builder.makeLabel()
      builder.emit(
        .compare, blocks.first, first, Int32(blocks.count), p4: try keyDescription(Array(sort.terms.prefix(blocks.count))))
      builder.emit(.jump, begins.operand, continues.operand, begins.operand)
      builder.place(begins)
      builder.emit(.gosub, blocks.flushReturn, to: blocks.flush)
      builder.emit(.copy, first, blocks.first, Int32(blocks.count) - 1)
      builder.place(continues)
    }
    builder.emit(.sorterInsert, sort.cursor, first, Int32(sort.width))
  }

  /// Adds a row that lies in registers to the sorter of a compound: terms name its columns.
  func pushOnSorter(_ sort: SortState, row: Int32, _ count: Int) {
    let first = registers(sort.width)
    for (place, term) in sort.terms.enumerated() {
      builder.emit(.shallowCopy, row + Int32(term.resultColumn), first + Int32(place))
    }
    for place in 0..<count where sort.columns[place] >= sort.terms.count {
      builder.emit(.shallowCopy, row + Int32(place), first + Int32(sort.columns[place]))
    }
    builder.emit(.sorterInsert, sort.cursor, first, Int32(sort.width))
  }

  func codeSortTail(
    _ sort: SortState, _ count: Int, _ limit: LimitState, _ destination: Destination, _ end: Label,
    _ blocks: SortBlocks? = nil
  ) throws(EngineError) {
    let next = builder.makeLabel(), done = builder.makeLabel(), given = builder.makeLabel()
    if let blocks {
      builder.emit(.gosub, blocks.flushReturn, to: blocks.flush)
      builder.emit(.goto, to: done)
      builder.place(blocks.flush)
    }
    builder.emit(.sorterSort, sort.cursor, to: given)
    let loop = builder.labelHere()
    if limit.offset != 0 { builder.emit(.ifPos, limit.offset, to: next, 1) }
    let first: Int32
    switch destination {
    case .coroutine(_, let base): first = base
    case .memory(let target): first = target
    default: first = registers(max(count, 1))
    }
    let flags: ColumnFlags = borrowsColumns ? .borrowed : []
    for place in 0..<count {
      builder.emit(.column, sort.cursor, Int32(sort.columns[place]), first + Int32(place), p5: flags.rawValue)
    }
    try deliver(first, count, to: destination, skip: next)
    if limit.limit != 0 { builder.emit(.decrJumpZero, limit.limit, to: done) }
    builder.place(next)
    builder.emit(.sorterNext, sort.cursor, to: loop)
    if blocks != nil { builder.emit(.resetSorter, sort.cursor) }
    builder.place(given)
    if let blocks { builder.emit(.return, blocks.flushReturn) }
    builder.place(done)
  }

  // MARK: VALUES

  private func codeValues(
    _ query: BoundQuery, _ orderBy: [BoundOrder], _ limit: LimitState, _ destination: Destination, _ end: Label
  ) throws(EngineError) -> LogEstimate {
    let rows = [query.columns.map(\.expression)] + query.moreRows
    builder.explain("SCAN \(rows.count)-ROW VALUES CLAUSE", parent: planParent)
    let done = builder.makeLabel()
    for row in rows {
      let next = builder.makeLabel()
      try emitRow(row, limit, destination, next: next, end: done, -1)
      builder.place(next)
    }
    builder.place(done)
    return LogEstimate.of(UInt64(rows.count))
  }

  // MARK: Subqueries in FROM

  /// Generates what makes the rows of the FROM items that are selects.
  func codeSources(_ query: BoundQuery) throws(EngineError) {
    for (index, source) in query.sources.enumerated() {
      guard let select = source.select else { continue }
      let parent = planParent, borrows = borrowsColumns
      defer {
        planParent = parent
        borrowsColumns = borrows
      }
      source.registerBase = nil
      source.isMaterialized = false
      source.coroutineRegister = 0
      borrowsColumns = true
      if canBeCoroutine(query, index) {
        planParent = builder.explain("CO-ROUTINE \(source.name)", parent: parent)
        let state = register()
        let base = registers(max(select.columnCount, 1))
        let behind = builder.makeLabel()
        let address = builder.emit(.initCoroutine, state, to: behind, 0)
        builder.patch(address) { $0.p3 = address + 1 }
        try code(select, to: makingReals(source, .coroutine(state: state, base: base)))
        builder.emit(.endCoroutine, state)
        builder.place(behind)
        source.coroutineRegister = Int(state)
        source.coroutineAddress = Int(address + 1)
        source.registerBase = Int(base)
      } else {
        planParent = builder.explain("MATERIALIZE \(source.name)", parent: parent)
        func fill() throws(EngineError) {
          builder.emit(.openEphemeral, Int32(source.cursor), Int32(select.columnCount))
          try code(select, to: makingReals(source, .table(Int32(source.cursor))))
        }
        if select.isCorrelated {
          try fill()
          // An automatic index is made of these rows alone.
          source.indexedRegister = register()
          integer(0, into: source.indexedRegister)
        } else {
          source.indexedRegister = 0
          try once { () throws(EngineError) in try fill() }
        }
        source.isMaterialized = true
      }
      source.rowEstimate = select.rowEstimate
    }
  }

  // In a column of REAL affinity every number is a real, the integers of a compound's other arms too.
  private func makingReals(_ source: Source, _ destination: Destination) -> Destination {
    let numbers = source.realColumns
    if numbers.isEmpty { return destination }
    return .row { (first, count) throws(EngineError) in
      for number in numbers { self.builder.emit(.realAffinity, first + Int32(number)) }
      let behind = self.builder.makeLabel()
      try self.deliver(first, count, to: destination, skip: behind)
      self.builder.place(behind)
    }
  }

  // The outermost loop can take its rows as they are made; inner ones must be able to start again.
  private func canBeCoroutine(_ query: BoundQuery, _ index: Int) -> Bool {
    guard index == 0, query.sources[0].materialization != .materialized else { return false }
    if query.sources.count == 1 { return true }
    return query.sources[1].joinKind == .left || query.sources[1].joinKind == .cross
  }
}
