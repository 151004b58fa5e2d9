// Code for subqueries inside expressions: EXISTS, scalar and row values, IN.

import ApusBase
import ApusSQL
import ApusStorage
import ApusVM

extension Generator {
  // A subquery's result outlives the rows it came from, so bytes are copied.
  private func inSubquery(
    _ title: String, _ select: BoundSelect, _ body: () throws(EngineError) -> Void
  ) throws(EngineError) {
    let borrows = borrowsColumns, parent = planParent
    defer {
      borrowsColumns = borrows
      planParent = parent
    }
    subqueryCount += 1
    let words = "\(select.isCorrelated ? "CORRELATED " : "")\(title) SUBQUERY \(subqueryCount)"
    if select.isCorrelated {
      planParent = builder.explain(words, parent: planParent)
      try body()
    } else {
      try once { () throws(EngineError) in
        self.planParent = self.builder.explain(words, parent: parent)
        try body()
      }
    }
  }

  func codeExists(_ select: BoundSelect, into target: Int32) throws(EngineError) {
    let kept = register()
    try inSubquery("SCALAR", select) { () throws(EngineError) in
      self.integer(0, into: kept)
      // What it selects does not matter, nor in which order.
      if !select.isCompound, select.limit == nil { select.orderBy = [] }
      // SQLite forgets DISTINCT even where an OFFSET counts its rows.
      if select.operators.allSatisfy({ $0 == .unionAll }) {
        for arm in select.arms { arm.isDistinct = false }
      }
      try self.code(select, to: .exists(kept))
    }
    if kept != target { builder.emit(.copy, kept, target) }
  }

  func codeScalarSubquery(_ select: BoundSelect, into target: Int32) throws(EngineError) {
    guard select.columnCount == 1 else {
      throw EngineError(.error, "sub-select returns \(select.columnCount) columns - expected 1")
    }
    let first = try codeRowSubquery(select)
    builder.emit(.copy, first, target)
  }

  /// Runs the subquery and returns the first of the registers that hold its first row, NULLs where it has none.
  func codeRowSubquery(_ select: BoundSelect) throws(EngineError) -> Int32 {
    let first = registers(select.columnCount)
    try inSubquery("SCALAR", select) { () throws(EngineError) in
      self.null(first, count: select.columnCount)
      self.borrowsColumns = false
      try self.code(select, to: .memory(first))
    }
    return first
  }

  // MARK: IN

  func codeMembership(_ expression: BoundExpression, into target: Int32) throws(EngineError) {
    let isNegated =
      switch expression.kind {
      case .inList(_, _, let negated), .inSelect(_, _, let negated): negated
      default: false
      }
    let isFalse = builder.makeLabel(), isNull = builder.makeLabel(), behind = builder.makeLabel()
    let result = builder.allocateTemporary()
    try codeMembership(expression, ifFalse: isFalse, ifNull: isNull)
    integer(isNegated ? 0 : 1, into: result)
    builder.emit(.goto, to: behind)
    builder.place(isFalse)
    integer(isNegated ? 1 : 0, into: result)
    builder.emit(.goto, to: behind)
    builder.place(isNull)
    builder.emit(.null, 0, result)
    builder.place(behind)
    builder.emit(.copy, result, target)
    builder.releaseTemporary(result)
  }

  /// Falls through where the operand is a member; jumps where it is not, or where that is unknown.
  func codeMembership(_ expression: BoundExpression, ifFalse: Label, ifNull: Label) throws(EngineError) {
    switch expression.kind {
    case .inList(let value, let items, _):
      if items.isEmpty {
        builder.emit(.goto, to: ifFalse)
      } else if items.count <= 2 || !items.allSatisfy({ $0.isConstant }) {
        try codeListByComparison(value, items, ifFalse: ifFalse, ifNull: ifNull)
      } else {
        try codeSetTest(expression, value, width: 1, ifFalse: ifFalse, ifNull: ifNull)
      }
    case .inSelect(let value, _, _):
      try codeSetTest(expression, value, width: value.width, ifFalse: ifFalse, ifNull: ifNull)
    default: break
    }
  }

  private func codeListByComparison(
    _ value: BoundExpression, _ items: [BoundExpression], ifFalse: Label, ifNull: Label
  ) throws(EngineError) {
    let left = try operand(value)
    let affinity = value.affinity
    var flags: ComparisonFlags = affinity == .blob || affinity == .none ? [] : .affinity(affinity)
    let collation = try collationIndex(Comparison.collation(value, BoundExpression(.null)))
    let found = builder.makeLabel()
    let distinguishesNull = ifNull != ifFalse
    var nullCheck: Int32 = 0
    if distinguishesNull {
      // NULL if some comparison was: the bitwise AND of all operands is NULL then.
      nullCheck = builder.allocateTemporary()
      builder.emit(.bitAnd, left.register, left.register, nullCheck)
    }
    for (place, item) in items.enumerated() {
      let right = try operand(item)
      if distinguishesNull, item.canBeNull {
        builder.emit(.bitAnd, nullCheck, right.register, nullCheck)
      }
      if place < items.count - 1 || distinguishesNull {
        builder.emit(.eq, right.register, to: found, left.register, p4: collation, p5: flags.rawValue)
      } else {
        flags.insert(.jumpIfNull)
        builder.emit(.ne, right.register, to: ifFalse, left.register, p4: collation, p5: flags.rawValue)
      }
      release(right)
    }
    if distinguishesNull {
      builder.emit(.isNull, nullCheck, to: ifNull)
      builder.emit(.goto, to: ifFalse)
      builder.releaseTemporary(nullCheck)
    }
    builder.place(found)
    release(left)
  }

  /// Fills an ephemeral index with the right side of IN and returns its cursor.
  func codeSet(_ expression: BoundExpression) throws(EngineError) -> Int32 {
    let cursor = builder.allocateCursor()
    switch expression.kind {
    case .inList(let value, let items, _):
      let affinity = listAffinity(value.affinity)
      let key = try setKey([value], [value])
      let isConstant = items.allSatisfy { $0.isConstant }
      func fill() throws(EngineError) {
        builder.emit(.openEphemeral, cursor, 1, p4: key)
        // The affinity is applied where the value lies, so that must be no constant's register.
        let member = register()
        try withTemporary { (record) throws(EngineError) in
          let affinities = self.builder.affinityIndex([affinity])
          for item in items {
            try self.code(item, into: member)
            self.builder.emit(.makeRecord, member, 1, record, p4: affinities)
            self.builder.emit(.idxInsert, cursor, record, member, p4: 0)
          }
        }
      }
      if isConstant {
        try once { () throws(EngineError) in try fill() }
      } else {
        try fill()
      }
    case .inSelect(let value, let select, _):
      let parts = (0..<value.width).map { value.part($0) }
      let columns = (0..<parts.count).map { select.comparand($0) ?? BoundExpression(.null) }
      let key = try setKey(parts.map(\.memberComparand), columns)
      var affinities: [Affinity] = []
      for (part, column) in zip(parts, columns) {
        affinities.append(setAffinity(Comparison.affinity(part.affinity, column.affinity)))
      }
      try inSubquery("LIST", select) { () throws(EngineError) in
        self.builder.emit(.openEphemeral, cursor, Int32(parts.count), p4: key)
        self.borrowsColumns = true
        try self.code(select, to: .set(cursor, affinities))
      }
    default: break
    }
    return cursor
  }

  private func setAffinity(_ affinity: Affinity) -> Affinity { affinity == .none ? .blob : affinity }

  /// Of the members of a list: a large integer stays one beside a column of REAL affinity, but not in a select.
  private func listAffinity(_ affinity: Affinity) -> Affinity { affinity == .real ? .numeric : setAffinity(affinity) }

  private func setKey(_ left: [BoundExpression], _ right: [BoundExpression]) throws(EngineError) -> Int32 {
    var columns: [KeyColumn] = []
    for (a, b) in zip(left, right) {
      columns.append(KeyColumn(collation: try context.collation(Comparison.collation(a, b))))
    }
    return builder.keyIndex(KeyDescription(columns))
  }

  private func codeSetTest(
    _ expression: BoundExpression, _ value: BoundExpression, width: Int, ifFalse: Label, ifNull: Label
  ) throws(EngineError) {
    let cursor = try codeSet(expression)
    let first = registers(width)
    var affinities: [Affinity] = []
    let parts = (0..<width).map { value.part($0) }
    if width > 1, case .subquery(let select) = value.kind {
      let row = try codeRowSubquery(select)
      builder.emit(.copy, row, first, Int32(width - 1))
    } else {
      try code(parts, into: first)
    }
    for (place, part) in parts.enumerated() {
      if case .inSelect(_, let select, _) = expression.kind {
        affinities.append(setAffinity(Comparison.affinity(part.affinity, select.comparand(place)?.affinity ?? .none)))
      } else {
        affinities.append(listAffinity(part.affinity))
      }
    }
    if affinities.contains(where: { $0 != .blob }) {
      builder.emit(.affinity, first, Int32(width), p4: builder.affinityIndex(affinities))
    }
    let distinguishesNull = ifNull != ifFalse
    let hasNull = builder.makeLabel(), found = builder.makeLabel()
    for (place, part) in parts.enumerated() where part.canBeNull {
      builder.emit(.isNull, first + Int32(place), to: distinguishesNull ? hasNull : ifFalse)
    }
    guard distinguishesNull else {
      builder.emit(.notFound, cursor, to: ifFalse, first, p4: Int32(width))
      builder.place(hasNull)
      return
    }
    builder.emit(.found, cursor, to: found, first, p4: Int32(width))
    // Not there: unknown if a row of the set could be equal but for a NULL.
    if width == 1 {
      builder.emit(.rewind, cursor, to: ifFalse)
      try withTemporary { (member) throws(EngineError) in
        self.builder.emit(.column, cursor, 0, member)
        self.builder.emit(.isNull, member, to: ifNull)
      }
      builder.emit(.goto, to: ifFalse)
      builder.place(hasNull)
      builder.emit(.rewind, cursor, to: ifFalse)
      builder.emit(.goto, to: ifNull)
    } else {
      builder.place(hasNull)
      builder.emit(.rewind, cursor, to: ifFalse)
      let next = builder.makeLabel()
      let loop = builder.labelHere()
      try withTemporary { (member) throws(EngineError) in
        for (place, part) in parts.enumerated() {
          self.builder.emit(.column, cursor, Int32(place), member)
          var collation: Name?
          if case .inSelect(_, let select, _) = expression.kind {
            collation = Comparison.collation(
              part.memberComparand, select.comparand(place) ?? BoundExpression(.null))
          }
          self.builder.emit(.ne, member, to: next, first + Int32(place), p4: try self.collationIndex(collation))
        }
      }
      builder.emit(.goto, to: ifNull)
      builder.place(next)
      builder.emit(.next, cursor, to: loop)
      builder.emit(.goto, to: ifFalse)
    }
    builder.place(found)
  }
}
