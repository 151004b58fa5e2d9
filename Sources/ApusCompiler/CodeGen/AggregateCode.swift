// Code for queries with aggregate functions and GROUP BY.

import ApusBase
import ApusSQL
import ApusStorage
import ApusVM

extension Generator {
  func codeAggregate(
    _ query: BoundQuery, _ orderBy: [BoundOrder], _ limit: LimitState, _ destination: Destination, _ end: Label
  ) throws(EngineError) -> LogEstimate {
    guard let info = query.aggregates else { return 0 }
    collectSlots(query, orderBy, info)
    info.mode = .direct
    defer { info.mode = .direct }
    var orderBy = orderBy
    orderBy.removeAll { $0.expression.isConstant }
    if query.groupBy.isEmpty { return try codeWhole(query, info, orderBy, limit, destination, end) }
    return try codeGroups(query, info, orderBy, limit, destination, end)
  }

  // MARK: What a group keeps

  // Replaces the columns of the query's tables by slots of the group, outside and inside aggregates.
  private func collectSlots(_ query: BoundQuery, _ orderBy: [BoundOrder], _ info: AggregateInfo) {
    for (place, term) in query.groupBy.enumerated() {
      if info.slots.contains(where: { $0.groupIndex == place }) { continue }
      info.slots.append(AggregateInfo.Slot(expression: term, groupIndex: place, isBare: false))
    }
    func rewrite(_ expression: BoundExpression, isBare: Bool) {
      expression.walk { node in
        switch node.kind {
        case .aggregateColumn(let other, let slot):
          if other === info, isBare { info.slots[slot].isBare = true }
          return false
        case .aggregate(let call):
          guard info.calls.contains(where: { $0 === call }) else { return true }
          for argument in call.arguments { rewrite(argument, isBare: false) }
          if let filter = call.filter { rewrite(filter, isBare: false) }
          for term in call.orderBy { rewrite(term.expression, isBare: false) }
          return false
        case .null, .integer, .real, .text, .blob, .parameter: return false
        default: break
        }
        if let place = query.groupBy.firstIndex(where: { $0 !== node && $0.matches(node) }),
          let slot = info.slots.firstIndex(where: { $0.groupIndex == place })
        {
          if isBare { info.slots[slot].isBare = true }
          node.kind = .aggregateColumn(info, slot)
          return false
        }
        let source: Source
        switch node.kind {
        case .column(let other, _), .ifNullRow(let other, _): source = other
        default: return true
        }
        guard query.sources.contains(where: { $0 === source }) else { return true }
        var slot = info.slots.firstIndex { $0.groupIndex < 0 && $0.expression.matches(node) }
        if slot == nil {
          info.slots.append(AggregateInfo.Slot(expression: node.copy(), groupIndex: -1, isBare: isBare))
          slot = info.slots.count - 1
        } else if isBare {
          info.slots[slot!].isBare = true
        }
        node.kind = .aggregateColumn(info, slot!)
        return false
      }
    }
    for column in query.columns { rewrite(column.expression, isBare: true) }
    if let having = query.having { rewrite(having, isBare: true) }
    for term in orderBy { rewrite(term.expression, isBare: true) }
    for slot in info.slots.indices where info.slots[slot].isBare || info.slots[slot].groupIndex >= 0 {
      info.slots[slot].register = Int(register())
    }
    for call in info.calls { call.register = Int(register()) }
  }

  // MARK: Steps

  private func openAggregates(_ info: AggregateInfo) throws(EngineError) {
    for call in info.calls {
      if call.isDistinct {
        call.distinctCursor = Int(builder.allocateCursor())
        builder.emit(
          .openEphemeral, Int32(call.distinctCursor), 1, p4: try keyDescription(distinguishing: call.arguments))
        builder.explain("USE TEMP B-TREE FOR \(call.name)(DISTINCT)", parent: planParent)
      }
      if !call.orderBy.isEmpty {
        call.orderCursor = Int(builder.allocateCursor())
        builder.emit(
          .sorterOpen, Int32(call.orderCursor), Int32(call.orderBy.count + call.arguments.count),
          p4: try keyDescription(call.orderBy))
        builder.explain("USE TEMP B-TREE FOR \(call.name)(ORDER BY)", parent: planParent)
      }
    }
  }

  private func resetAggregates(_ info: AggregateInfo) throws(EngineError) {
    for slot in info.slots where slot.isBare && slot.groupIndex < 0 { null(Int32(slot.register)) }
    for call in info.calls {
      null(Int32(call.register))
      if call.distinctCursor >= 0 { builder.emit(.resetSorter, Int32(call.distinctCursor)) }
      if call.orderCursor >= 0 { builder.emit(.resetSorter, Int32(call.orderCursor)) }
    }
  }

  private func stepCollation(_ call: AggregateCall) throws(EngineError) -> Collation {
    guard call.definition.traits.contains(.usesCollation) else { return .binary }
    for argument in call.arguments {
      if let name = argument.collation { return try context.collation(name.key == "binary" ? nil : name) }
    }
    return .binary
  }

  /// Adds the current row to its group. `hasRows` is a register that says whether the group has rows yet. The bare columns
  /// come from the row that the last call of min or max took, or, where `isFirstKept`, from the first row at least.
  private func codeStep(_ info: AggregateInfo, hasRows: Int32, isFirstKept: Bool) throws(EngineError) {
    // This register says whether the row is not the extreme one. A call that DISTINCT leaves out says nothing of its row.
    var extreme: Int32 = 0
    // With min or max even the group's own terms come from the extreme row (equal terms may look different).
    let bare = info.slots.indices.filter {
      info.slots[$0].isBare && (info.slots[$0].groupIndex < 0 || takesExtremeRow(info))
    }
    for call in info.calls {
      let skip = builder.makeLabel()
      let decides = !bare.isEmpty && !call.definition.traits.isDisjoint(with: [.isMinimum, .isMaximum])
      if decides, extreme == 0 { extreme = register() }
      if let filter = call.filter {
        // A row that is left out is kept only where it is the first.
        if decides, isFirstKept { builder.emit(.copy, hasRows, extreme) }
        try jump(ifFalse: filter, to: skip, nullJumps: true)
      }
      let first = registers(max(call.arguments.count + call.orderBy.count, 1))
      if call.orderCursor >= 0 {
        try code(call.orderBy.map(\.expression) + call.arguments, into: first)
        if call.isDistinct {
          let argument = first + Int32(call.orderBy.count)
          try codeDistinctArgument(call, argument, skip)
        }
        builder.emit(.sorterInsert, Int32(call.orderCursor), first, Int32(call.orderBy.count + call.arguments.count))
        builder.place(skip)
        continue
      }
      try code(call.arguments, into: first)
      if call.isDistinct { try codeDistinctArgument(call, first, skip) }
      let function = builder.functionIndex(ApusVM.FunctionCall(call.definition, collation: try stepCollation(call)))
      builder.emit(
        call.definition.stepOpcode, decides ? extreme : 0, first, Int32(call.register), p4: function,
        p5: UInt16(truncatingIfNeeded: call.arguments.count))
      builder.place(skip)
    }
    guard !bare.isEmpty else { return }
    let behind = builder.makeLabel()
    builder.emit(.if, extreme != 0 ? extreme : hasRows, to: behind)
    let borrows = borrowsColumns
    borrowsColumns = false
    for slot in bare {
      let kept = info.slots[slot]
      try code(BoundExpression(.aggregateColumn(info, slot)), into: Int32(kept.register))
    }
    borrowsColumns = borrows
    builder.place(behind)
  }

  private func takesExtremeRow(_ info: AggregateInfo) -> Bool {
    info.calls.contains {
      $0.definition.traits.contains(.isMinimum) || $0.definition.traits.contains(.isMaximum)
    }
  }

  private func codeDistinctArgument(_ call: AggregateCall, _ argument: Int32, _ skip: Label) throws(EngineError) {
    builder.emit(.found, Int32(call.distinctCursor), to: skip, argument, p4: 1)
    try withTemporary { (record) throws(EngineError) in
      self.builder.emit(.makeRecord, argument, 1, record)
      self.builder.emit(.idxInsert, Int32(call.distinctCursor), record, argument, p4: 0)
    }
  }

  private func codeFinals(_ info: AggregateInfo) throws(EngineError) {
    for call in info.calls {
      let function = builder.functionIndex(ApusVM.FunctionCall(call.definition, collation: try stepCollation(call)))
      if call.orderCursor >= 0 {
        let done = builder.makeLabel()
        builder.emit(.sorterSort, Int32(call.orderCursor), to: done)
        let loop = builder.labelHere()
        let first = registers(max(call.arguments.count, 1))
        for place in call.arguments.indices {
          builder.emit(.column, Int32(call.orderCursor), Int32(call.orderBy.count + place), first + Int32(place))
        }
        builder.emit(
          call.definition.stepOpcode, 0, first, Int32(call.register), p4: function,
          p5: UInt16(truncatingIfNeeded: call.arguments.count))
        builder.emit(.sorterNext, Int32(call.orderCursor), to: loop)
        builder.place(done)
      }
      builder.emit(.aggFinal, Int32(call.register), Int32(call.arguments.count), p4: function)
    }
  }

  // MARK: Without GROUP BY

  private func codeWhole(
    _ query: BoundQuery, _ info: AggregateInfo, _ orderBy: [BoundOrder], _ limit: LimitState,
    _ destination: Destination, _ end: Label
  ) throws(EngineError) -> LogEstimate {
    if try codeCount(query, info) {
      info.mode = .final
    } else {
      try codeSources(query)
      let hasRows = register()
      integer(0, into: hasRows)
      try openAggregates(info)
      for slot in info.slots where slot.isBare { null(Int32(slot.register)) }
      for call in info.calls { null(Int32(call.register)) }
      var wishes = LoopWishes()
      wishes.resultCount = query.columns.count
      let extreme = extremeOrder(query, info)
      if let extreme {
        wishes.orderBy = [extreme]
        wishes.limit = true
        wishes.firstRowOnly = true
      }
      let loops = try beginLoops(query.sources, query.filter, wishes)
      let isBare = info.slots.contains { $0.isBare }
      let isFirstKept = info.calls.allSatisfy {
        $0.filter != nil || $0.definition.traits.isDisjoint(with: [.isMinimum, .isMaximum])
      }
      if isBare, let extreme, !extreme.isDescending, loops.isOrdered {
        // Of the rows that are NULL there, and come first, the very first gives the bare columns.
        let counts = builder.makeLabel()
        let value = try operand(extreme.expression)
        builder.emit(.notNull, value.register, to: counts)
        builder.emit(.if, hasRows, to: loops.next, 0)
        builder.place(counts)
        release(value)
      }
      try codeStep(info, hasRows: hasRows, isFirstKept: isFirstKept)
      if isBare { integer(1, into: hasRows) }
      if extreme != nil, loops.isOrdered {
        if let extreme, extreme.isDescending {
          builder.emit(.goto, to: loops.exit)
        } else if let extreme {
          // NULLs come first and do not count for min: go on until a value was seen.
          let value = try operand(extreme.expression)
          builder.emit(.notNull, value.register, to: loops.exit)
          release(value)
        }
      }
      try endLoops(loops)
      try codeFinals(info)
      info.mode = .final
    }
    let done = builder.makeLabel()
    if let having = query.having { try jump(ifFalse: having, to: done, nullJumps: true) }
    let next = builder.makeLabel()
    try emitRow(query.columns.map(\.expression), limit, destination, next: next, end: done, -1)
    builder.place(next)
    builder.place(done)
    return 0
  }

  // min(x) or max(x) alone: the rows in the order of x, and the first one will do.
  private func extremeOrder(_ query: BoundQuery, _ info: AggregateInfo) -> BoundOrder? {
    guard info.calls.count == 1, query.groupBy.isEmpty, info.calls[0].filter == nil, info.calls[0].arguments.count == 1
    else { return nil }
    let call = info.calls[0]
    if call.definition.traits.contains(.isMinimum) {
      return BoundOrder(call.arguments[0])
    }
    if call.definition.traits.contains(.isMaximum) {
      return BoundOrder(call.arguments[0], isDescending: true, isNullsLast: true)
    }
    return nil
  }

  // count(*) of a whole table counts the entries of its smallest tree.
  private func codeCount(_ query: BoundQuery, _ info: AggregateInfo) throws(EngineError) -> Bool {
    guard info.calls.count == 1, query.sources.count == 1, query.filter == nil, let table = query.sources[0].table,
      query.sources[0].on == nil, info.slots.isEmpty
    else { return false }
    let call = info.calls[0]
    guard call.definition.traits.contains(.isCount), call.arguments.isEmpty, call.filter == nil, !call.isDistinct else {
      return false
    }
    let cursor = Int32(query.sources[0].cursor)
    var best: CatalogIndex?
    if case .none = query.sources[0].hint {
      for index in table.indexes where index.filter == nil && !index.isUnordered && index !== table.primaryKeyIndex {
        if index.entryWidth < table.rowWidth, best == nil || index.entryWidth < best!.entryWidth { best = index }
      }
    }
    if let best {
      try open(best, of: table, cursor: cursor)
      builder.explain("SCAN \(table.name.text) USING COVERING INDEX \(best.name.text)", parent: planParent)
    } else {
      try open(table, cursor: cursor)
      builder.explain("SCAN \(table.name.text)", parent: planParent)
    }
    builder.emit(.count, cursor, Int32(call.register))
    builder.emit(.close, cursor)
    return true
  }

  // MARK: GROUP BY

  private func codeGroups(
    _ query: BoundQuery, _ info: AggregateInfo, _ orderBy: [BoundOrder], _ limit: LimitState,
    _ destination: Destination, _ end: Label
  ) throws(EngineError) -> LogEstimate {
    try codeSources(query)
    let count = query.groupBy.count
    var orderBy = orderBy
    // Groups come out in the order of their keys: an ORDER BY of the same terms is done with them.
    var groupOrder = query.groupBy.map { BoundOrder($0) }
    let isOrderWanted = !orderBy.isEmpty && isSameOrder(orderBy, query, info)
    if isOrderWanted {
      for place in orderBy.indices {
        groupOrder[place].isDescending = orderBy[place].isDescending
        groupOrder[place].isNullsLast = orderBy[place].isNullsLast
      }
      orderBy = []
    }
    var sort: SortState?
    let results = query.columns.map(\.expression)
    if !orderBy.isEmpty { sort = try openSorter(orderBy, results, limit) }
    var distinctCursor: Int32 = -1
    if query.isDistinct {
      distinctCursor = builder.allocateCursor()
      builder.emit(
        .openEphemeral, distinctCursor, Int32(results.count), p4: try keyDescription(distinguishing: results))
    }
    let hasRows = register(), isDone = register()
    let outputReturn = register(), resetReturn = register()
    let previous = registers(count), current = registers(count)
    let output = builder.makeLabel(), reset = builder.makeLabel(), behind = builder.makeLabel()
    // The order of the groups: by a sorter unless the loops give it.
    let sorterCursor = builder.allocateCursor()
    var width = count
    for slot in info.slots.indices {
      if info.slots[slot].groupIndex >= 0 {
        info.slots[slot].sorterColumn = info.slots[slot].groupIndex
      } else {
        info.slots[slot].sorterColumn = width
        width += 1
      }
    }
    let key = try keyDescription(groupOrder)
    let sorterAddress = builder.emit(.sorterOpen, sorterCursor, Int32(width), p4: key)
    let groupsAddress = builder.emit(.noop)
    integer(0, into: isDone)
    // The first row of a group of NULLs begins none, and needs not: there is no group before it to be given out.
    builder.emit(.null, 0, previous, previous + Int32(count) - 1)
    try openAggregates(info)
    builder.emit(.gosub, resetReturn, to: reset)
    var wishes = LoopWishes()
    if isOrderWanted { wishes.orderBy = groupOrder } else { wishes.groupBy = query.groupBy }
    wishes.resultCount = query.columns.count
    wishes.outputs = info.slots.map(\.expression)
    let loops = try beginLoops(query.sources, query.filter, wishes)
    let isSorted = loops.isOrdered
    let nextRow: Label
    var sorterLoop: Label?
    var groupsCursor: Int32 = -1
    if isSorted {
      builder.patch(sorterAddress) { $0 = Instruction(.noop) }
      nextRow = loops.next
      for (place, term) in query.groupBy.enumerated() { try code(term, into: current + Int32(place)) }
    } else {
      let isHashed = try canHash(query, info)
      let number = Int32(width)
      if isHashed { width += 1 }
      let first = registers(width)
      for (place, term) in query.groupBy.enumerated() { try code(term, into: first + Int32(place)) }
      if isHashed {
        // Groups that find room gather in memory; only the rows of the others are sorted.
        groupsCursor = builder.allocateCursor()
        let list = try groupList(info)
        builder.patch(sorterAddress) { $0.p2 = Int32(width) }
        builder.patch(groupsAddress) { $0 = Instruction(.groupOpen, groupsCursor, Int32(count), p4: list) }
        let sorted = builder.makeLabel()
        builder.emit(.groupFind, groupsCursor, to: sorted, first)
        try codeStep(info, hasRows: hasRows, isFirstKept: true)
        builder.emit(.goto, to: loops.next)
        builder.place(sorted)
        null(first + number)
      }
      for slot in info.slots where slot.groupIndex < 0 {
        try code(slot.expression, into: first + Int32(slot.sorterColumn))
      }
      builder.emit(.sorterInsert, sorterCursor, first, Int32(width))
      try endLoops(loops)
      if isHashed {
        // A finished group takes its place in the order as a row of its own, with its number.
        let done = builder.makeLabel()
        if Int(number) > count { builder.emit(.null, 0, first + Int32(count), first + number - 1) }
        let again = builder.labelHere()
        builder.emit(.groupNext, groupsCursor, to: done, first, p4: first + number)
        builder.emit(.sorterInsert, sorterCursor, first, Int32(width))
        builder.emit(.goto, to: again)
        builder.place(done)
        // The accumulators still name the group of the last row that found room.
        builder.emit(.gosub, resetReturn, to: reset)
      }
      builder.explain("USE TEMP B-TREE FOR GROUP BY", parent: planParent)
      nextRow = builder.makeLabel()
      builder.emit(.sorterSort, sorterCursor, to: behind)
      sorterLoop = builder.labelHere()
      info.mode = .sorting
      info.sorterCursor = Int(sorterCursor)
      for place in 0..<count {
        builder.emit(
          .column, sorterCursor, Int32(place), current + Int32(place), p5: ColumnFlags.borrowed.rawValue)
      }
    }
    // A new group?
    let newGroup = builder.makeLabel(), same = builder.makeLabel()
    builder.emit(.compare, previous, current, Int32(count), p4: key)
    builder.emit(.jump, newGroup.operand, same.operand, newGroup.operand)
    builder.place(newGroup)
    builder.emit(.gosub, outputReturn, to: output)
    builder.emit(.move, current, previous, Int32(count))
    builder.emit(.ifPos, isDone, to: end, 0)
    builder.emit(.gosub, resetReturn, to: reset)
    builder.place(same)
    let stepped = builder.makeLabel()
    if groupsCursor >= 0 {
      let step = builder.makeLabel()
      try withTemporary { (number) throws(EngineError) in
        self.builder.emit(.column, sorterCursor, Int32(width - 1), number)
        self.builder.emit(.isNull, number, to: step)
        self.builder.emit(.groupLoad, groupsCursor, number)
      }
      builder.emit(.goto, to: stepped)
      builder.place(step)
    }
    try codeStep(info, hasRows: hasRows, isFirstKept: true)
    builder.place(stepped)
    integer(1, into: hasRows)
    if let sorterLoop {
      builder.place(nextRow)
      builder.emit(.sorterNext, sorterCursor, to: sorterLoop)
    } else {
      try endLoops(loops)
    }
    builder.emit(.gosub, outputReturn, to: output)
    builder.emit(.goto, to: behind)
    // The subroutine that hands out a group.
    let stop = builder.labelHere()
    integer(1, into: isDone)
    let leave = builder.labelHere()
    builder.emit(.return, outputReturn)
    builder.place(output)
    let isThere = builder.makeLabel()
    builder.emit(.ifPos, hasRows, to: isThere, 0)
    builder.emit(.goto, to: leave)
    builder.place(isThere)
    let isExtreme = takesExtremeRow(info)
    for slot in info.slots where slot.groupIndex >= 0 && !(isExtreme && slot.isBare) {
      builder.emit(.copy, previous + Int32(slot.groupIndex), Int32(slot.register))
    }
    try codeFinals(info)
    info.mode = .final
    if let having = query.having { try jump(ifFalse: having, to: leave, nullJumps: true) }
    if let sort {
      try pushOnSorter(sort, results, leave, distinctCursor)
    } else {
      try emitRow(results, limit, destination, next: leave, end: stop, distinctCursor)
    }
    builder.emit(.goto, to: leave)
    // The subroutine that begins a group.
    builder.place(reset)
    try resetAggregates(info)
    integer(0, into: hasRows)
    builder.emit(.return, resetReturn)
    builder.place(behind)
    if let sort {
      builder.explain("USE TEMP B-TREE FOR ORDER BY", parent: planParent)
      try codeSortTail(sort, results.count, limit, destination, end)
    }
    return max(loops.rowEstimate - 10, 0)
  }

  // Accumulators that are a few numbers, of arguments that may be computed at two places of the program; keys that are
  // equal when their bytes are.
  private func canHash(_ query: BoundQuery, _ info: AggregateInfo) throws(EngineError) -> Bool {
    if info.slots.contains(where: { $0.isBare && $0.groupIndex < 0 }) { return false }
    for call in info.calls {
      guard !call.isDistinct, call.orderBy.isEmpty, call.filter == nil,
        case .aggregate(let body) = call.definition.body, body.destroy == nil,
        call.definition.traits.isDisjoint(with: [.hasCallState, .isMinimum, .isMaximum]),
        call.arguments.allSatisfy({ !hasSubquery($0) })
      else { return false }
    }
    for term in query.groupBy {
      guard case .binary = try context.collation(collationForOrder(term)) else { return false }
    }
    return info.slots.allSatisfy { !hasSubquery($0.expression) }
  }

  private func hasSubquery(_ expression: BoundExpression) -> Bool {
    var found = false
    expression.walk { node in
      switch node.kind {
      case .inSelect, .exists, .subquery, .subqueryColumn: found = true
      default: break
      }
      return !found
    }
    return found
  }

  private func groupList(_ info: AggregateInfo) throws(EngineError) -> Int32 {
    var list: [Int32] = []
    for call in info.calls {
      list.append(builder.functionIndex(ApusVM.FunctionCall(call.definition, collation: try stepCollation(call))))
      list.append(Int32(call.register))
    }
    return builder.integersIndex(list)
  }

  // ORDER BY names the GROUP BY terms, all and in the same order.
  private func isSameOrder(_ orderBy: [BoundOrder], _ query: BoundQuery, _ info: AggregateInfo) -> Bool {
    guard !orderBy.isEmpty, orderBy.count == query.groupBy.count else { return false }
    for (term, group) in zip(orderBy, query.groupBy) where !term.expression.matches(group) { return false }
    return true
  }
}
