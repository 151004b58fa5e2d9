// Code for the values of expressions.

import ApusBase
import ApusSQL
import ApusVM

/// A value in a register, and whether the register goes back when the value was used.
struct Operand {
  var register: Int32
  var isTemporary: Bool
}

extension Generator {
  /// Puts the value of `expression` into some register: a constant's, a computed one's, or a temporary.
  func operand(_ expression: BoundExpression) throws(EngineError) -> Operand {
    switch expression.kind {
    case .register(let register, _, _): return Operand(register: Int32(register), isTemporary: false)
    case .collate(let inner, _): return try operand(inner)
    case .column(let source, let number):
      if let register = heldRegister(source, number) { return Operand(register: register, isTemporary: false) }
    case .aggregateColumn(let info, let slot):
      if info.mode == .final, info.slots[slot].register > 0 {
        return Operand(register: Int32(info.slots[slot].register), isTemporary: false)
      }
    case .aggregate(let call):
      if call.register > 0 { return Operand(register: Int32(call.register), isTemporary: false) }
    default:
      if isHoisting, expression.isConstant, !expression.containsCall {
        return Operand(register: hoist(expression), isTemporary: false)
      }
    }
    let register = builder.allocateTemporary()
    try code(expression, into: register)
    return Operand(register: register, isTemporary: true)
  }

  func release(_ operand: Operand) {
    if operand.isTemporary { builder.releaseTemporary(operand.register) }
  }

  /// The register that holds a column already: a coroutine's row, a row about to be written.
  private func heldRegister(_ source: Source, _ number: Int) -> Int32? {
    guard let base = source.registerBase else { return nil }
    if number < 0 { return source.rowidRegister.map { Int32($0) } }
    return Int32(base + number)
  }

  /// Puts the value of `expression` into `target`.
  func code(_ expression: BoundExpression, into target: Int32) throws(EngineError) {
    switch expression.kind {
    case .null: builder.emit(.null, 0, target)
    case .integer(let value): codeInteger(value, into: target)
    case .real(let value): builder.emit(.constant, 0, target, p4: builder.constantIndex(.real(value)))
    case .text(let value): builder.emit(.constant, 0, target, p4: builder.constantIndex(.text(value)))
    case .blob(let value): builder.emit(.constant, 0, target, p4: builder.constantIndex(.blob(value)))
    case .parameter(let number): builder.emit(.variable, Int32(number), target)
    case .column(let source, let number): try codeColumn(source, number, into: target)
    case .unary(let op, let operand): try codeUnary(op, operand, into: target)
    case .binary(let op, let left, let right): try codeBinary(op, left, right, into: target)
    case .truth(let inner, let isTrue, let isNegated):
      let value = try operand(inner)
      builder.emit(.isTrue, value.register, target, isNegated ? 1 : 0, p4: isTrue == isNegated ? 1 : 0)
      release(value)
    case .collate(let inner, _): try code(inner, into: target)
    case .nullTest, .between: try codeTest(expression, into: target)
    case .inList, .inSelect: try codeMembership(expression, into: target)
    case .exists(let select): try codeExists(select, into: target)
    case .subquery(let select): try codeScalarSubquery(select, into: target)
    case .subqueryColumn(let row, let index):
      guard case .subquery(let select) = row.kind else { throw EngineError(.error, "row value misused") }
      let first = try codeRowSubquery(select)
      builder.emit(.copy, first + Int32(index), target)
    case .row: throw EngineError(.error, "row value misused")
    case .conditional(let operand, let branches, let otherwise):
      try codeConditional(operand, branches, otherwise, into: target)
    case .cast(let inner, let affinity):
      try code(inner, into: target)
      builder.emit(.cast, target, Int32(affinity.rawValue))
    case .function(let definition, let arguments):
      if expression.isConstant {
        // Computed once, but only if it is reached: it may fail.
        let kept = register()
        try once { () throws(EngineError) in try codeFunction(definition, arguments, into: kept) }
        builder.emit(.shallowCopy, kept, target)
      } else {
        try codeFunction(definition, arguments, into: target)
      }
    case .aggregate(let call):
      guard call.register > 0 else {
        throw EngineError(.error, "misuse of aggregate: \(call.name)()", sqlOffset: expression.offset.value)
      }
      builder.emit(borrowsColumns ? .shallowCopy : .copy, Int32(call.register), target)
    case .aggregateColumn(let info, let slot): try codeAggregateColumn(info, slot, into: target)
    case .register(let register, _, _): if Int32(register) != target { builder.emit(.copy, Int32(register), target) }
    case .ifNullRow(let source, let inner):
      let behind = builder.makeLabel()
      let standsIn = source.coveringIndex != nil || source.automaticColumns != nil
      builder.emit(.ifNullRow, Int32(standsIn ? source.coveringCursor : source.cursor), to: behind, target)
      try code(inner, into: target)
      builder.place(behind)
    case .coalesceUsing(let parts): try codeCoalesce(parts, into: target)
    }
  }

  /// Values into consecutive registers from `first` on.
  func code(_ expressions: [BoundExpression], into first: Int32) throws(EngineError) {
    for (place, expression) in expressions.enumerated() { try code(expression, into: first + Int32(place)) }
  }

  func codeInteger(_ value: Int64, into target: Int32) {
    if let small = Int32(exactly: value) {
      builder.emit(.integer, small, target)
    } else {
      builder.emit(.constant, 0, target, p4: builder.constantIndex(.integer(value)))
    }
  }

  // MARK: Columns

  /// Reads a column of a FROM item: -1 is the rowid.
  func codeColumn(_ source: Source, _ number: Int, into target: Int32) throws(EngineError) {
    if let register = heldRegister(source, number) {
      if register != target { builder.emit(.shallowCopy, register, target) }
      return
    }
    var flags: ColumnFlags = borrowsColumns ? .borrowed : []
    if let index = source.coveringIndex {
      if number < 0 {
        builder.emit(.idxRowid, Int32(source.coveringCursor), target)
        return
      }
      if let place = index.position(ofColumn: number) {
        if source.table?.columns[number].affinity == .real { flags.insert(.realAffinity) }
        builder.emit(
          .column, Int32(source.coveringCursor), Int32(place), target, p4: defaultConstant(source, number),
          p5: flags.rawValue)
        return
      }
    }
    if let automatic = source.automaticColumns {
      let place = number < 0 ? automatic.last ?? -1 : automatic[number]
      if place >= 0 {
        if number >= 0, source.affinity(number) == .real { flags.insert(.realAffinity) }
        builder.emit(.column, Int32(source.coveringCursor), Int32(place), target, p5: flags.rawValue)
        return
      }
    }
    guard let table = source.table else {
      if number < 0 {
        builder.emit(.rowid, Int32(source.cursor), target)
      } else {
        builder.emit(.column, Int32(source.cursor), Int32(number), target, p5: flags.rawValue)
      }
      return
    }
    if number < 0 || number == table.rowidAlias {
      builder.emit(.rowid, Int32(source.cursor), target)
      return
    }
    if table.columns[number].generation == .virtual {
      try codeGenerated(source, table, number, into: target)
      return
    }
    if table.columns[number].affinity == .real { flags.insert(.realAffinity) }
    builder.emit(
      .column, Int32(source.cursor), Int32(table.fields[number]), target, p4: defaultConstant(source, number),
      p5: flags.rawValue)
  }

  private func codeGenerated(
    _ source: Source, _ table: CatalogTable, _ number: Int, into target: Int32
  ) throws(EngineError) {
    guard let generator = table.columns[number].generator else { return }
    guard !openGeneratedColumns.contains(where: { $0.table === table && $0.number == number }) else {
      throw EngineError(.error, "generated column loop on \"\(table.columns[number].name.text)\"")
    }
    openGeneratedColumns.append((table, number))
    defer { openGeneratedColumns.removeLast() }
    let bound = try binder.scalar(generator, Scope(sources: [source], pureIn: .generatedColumn))
    let behind = builder.makeLabel()
    if source.isNullable {
      let standsIn = source.coveringIndex != nil || source.automaticColumns != nil
      builder.emit(.ifNullRow, Int32(standsIn ? source.coveringCursor : source.cursor), to: behind, target)
    }
    try code(bound, into: target)
    let affinity = table.columns[number].affinity
    if affinity != .blob { builder.emit(.affinity, target, 1, p4: builder.affinityIndex([affinity])) }
    builder.place(behind)
  }

  // Rows written before ALTER TABLE ADD COLUMN lack the column: they read as its default.
  private func defaultConstant(_ source: Source, _ number: Int) -> Int32 {
    guard let column = source.table?.columns[number], let value = column.defaultValue else { return -1 }
    guard let constant = constantValue(value, column.affinity) else { return -1 }
    return builder.constantIndex(constant)
  }

  private func constantValue(_ expression: Expression, _ affinity: Affinity) -> ConstantValue? {
    switch expression {
    case .literal(.integer(let value), _):
      switch affinity {
      case .real: return .real(Double(value))
      case .text: return .text("\(value)")
      default: return .integer(value)
      }
    case .literal(.boolean(let value), _): return .integer(value ? 1 : 0)
    case .literal(.real(let value), _):
      if affinity == .integer || affinity == .numeric, let whole = Int64(exactly: value) { return .integer(whole) }
      return .real(value)
    case .literal(.text(let value), _):
      if affinity.isNumericKind {
        if let number = Int64(value) { return affinity == .real ? .real(Double(number)) : .integer(number) }
        if let number = Double(value) { return .real(number) }
      }
      return .text(value)
    case .literal(.blob(let value), _): return .blob(value)
    case .unary(.negate, .literal(.integer(let value), _), _):
      return affinity == .real ? .real(-Double(value)) : affinity == .text ? .text("\(0 &- value)") : .integer(0 &- value)
    case .unary(.negate, .literal(.real(let value), _), _): return .real(-value)
    case .unary(.plus, let inner, _): return constantValue(inner, affinity)
    default: return nil
    }
  }

  private func codeAggregateColumn(_ info: AggregateInfo, _ slot: Int, into target: Int32) throws(EngineError) {
    let kept = info.slots[slot]
    switch info.mode {
    case .direct: try code(kept.expression, into: target)
    case .sorting:
      if kept.sorterColumn >= 0 {
        let flags: ColumnFlags = borrowsColumns ? .borrowed : []
        builder.emit(.column, Int32(info.sorterCursor), Int32(kept.sorterColumn), target, p5: flags.rawValue)
      } else {
        try code(kept.expression, into: target)
      }
    case .final: builder.emit(borrowsColumns ? .shallowCopy : .copy, Int32(kept.register), target)
    }
  }

  // MARK: Operators

  private func codeUnary(_ op: UnaryOperator, _ inner: BoundExpression, into target: Int32) throws(EngineError) {
    switch op {
    case .plus: try code(inner, into: target)
    case .negate:
      switch inner.kind {
      case .integer(let value) where value != Int64.min: codeInteger(-value, into: target)
      case .real(let value):
        builder.emit(.constant, 0, target, p4: builder.constantIndex(.real(-value)))
      default:
        let zero = try operand(BoundExpression(.integer(0)))
        let value = try operand(inner)
        builder.emit(.subtract, value.register, zero.register, target)
        release(value)
        release(zero)
      }
    case .bitNot, .not:
      let value = try operand(inner)
      builder.emit(op == .not ? .not : .bitNot, value.register, target)
      release(value)
    }
  }

  private func codeBinary(
    _ op: BinaryOperator, _ left: BoundExpression, _ right: BoundExpression, into target: Int32
  ) throws(EngineError) {
    let opcode: Opcode
    switch op {
    case .and: opcode = .and
    case .or: opcode = .or
    case .bitAnd: opcode = .bitAnd
    case .bitOr: opcode = .bitOr
    case .shiftLeft: opcode = .shiftLeft
    case .shiftRight: opcode = .shiftRight
    case .add: opcode = .add
    case .subtract: opcode = .subtract
    case .multiply: opcode = .multiply
    case .divide: opcode = .divide
    case .remainder: opcode = .remainder
    case .concatenate: opcode = .concat
    case .equal, .notEqual, .is, .isNot, .less, .lessOrEqual, .greater, .greaterOrEqual:
      try codeComparisonValue(op, left, right, into: target)
      return
    case .extract, .extractText: throw unsupported("JSON operators")
    }
    if op == .and || op == .or, right.isCostly || left.isCostly {
      // A subquery on one side is not run when the other side decides.
      try codeShortCircuit(op, left, right, into: target)
      return
    }
    let a = try operand(left)
    let b = try operand(right)
    builder.emit(opcode, b.register, a.register, target)
    release(a)
    release(b)
  }

  private func codeShortCircuit(
    _ op: BinaryOperator, _ left: BoundExpression, _ right: BoundExpression, into target: Int32
  ) throws(EngineError) {
    let (first, second) = left.isCostly && !right.isCostly ? (right, left) : (left, right)
    let behind = builder.makeLabel()
    let a = builder.allocateTemporary()
    try code(first, into: a)
    let decided = builder.makeLabel()
    builder.emit(op == .and ? .ifNot : .if, a, to: decided, 0)
    let b = try operand(second)
    builder.emit(op == .and ? .and : .or, b.register, a, target)
    release(b)
    builder.emit(.goto, to: behind)
    builder.place(decided)
    integer(op == .and ? 0 : 1, into: target)
    builder.place(behind)
    builder.releaseTemporary(a)
  }

  static func comparisonOpcode(_ op: BinaryOperator) -> Opcode {
    switch op {
    case .equal, .is: .eq
    case .notEqual, .isNot: .ne
    case .less: .lt
    case .lessOrEqual: .le
    case .greater: .gt
    default: .ge
    }
  }

  private func codeComparisonValue(
    _ op: BinaryOperator, _ left: BoundExpression, _ right: BoundExpression, into target: Int32
  ) throws(EngineError) {
    let a = try operand(left)
    let b = try operand(right)
    let comparison = Comparison(left, right)
    // r2 = 1, 0 or NULL without a jump.
    var flags = comparisonFlags(comparison)
    if op == .is || op == .isNot { flags.insert(.nullEqual) }
    flags.insert(.storeResult)
    builder.emit(
      Generator.comparisonOpcode(op), b.register, target, a.register, p4: try collationIndex(comparison.collation),
      p5: flags.rawValue)
    release(a)
    release(b)
  }

  func comparisonFlags(_ comparison: Comparison) -> ComparisonFlags {
    comparison.affinity == .blob || comparison.affinity == .none ? [] : .affinity(comparison.affinity)
  }

  func collationIndex(_ name: Name?) throws(EngineError) -> Int32 {
    builder.collationIndex(try context.collation(name))
  }

  // The value of a test that is easier to jump on: 1, 0 or NULL.
  private func codeTest(_ expression: BoundExpression, into target: Int32) throws(EngineError) {
    switch expression.kind {
    case .nullTest(let inner, let isNegated):
      let value = try operand(inner)
      let behind = builder.makeLabel()
      // The operand may be in the target's register: decide before writing.
      let result = builder.allocateTemporary()
      integer(1, into: result)
      builder.emit(isNegated ? .notNull : .isNull, value.register, to: behind)
      integer(0, into: result)
      builder.place(behind)
      release(value)
      builder.emit(.copy, result, target)
      builder.releaseTemporary(result)
    case .between(let inner, let low, let high, let isNegated):
      let value = try operand(inner)
      let kept = held(inner, value.register)
      let test = BoundExpression(
        .binary(
          .and, BoundExpression(.binary(.greaterOrEqual, kept, low)),
          BoundExpression(.binary(.lessOrEqual, kept, high))))
      try code(isNegated ? BoundExpression(.unary(.not, test)) : test, into: target)
      release(value)
    default: break
    }
  }

  /// An expression whose value lies in a register, with the same affinity and collation.
  func held(_ expression: BoundExpression, _ register: Int32) -> BoundExpression {
    let node = BoundExpression(
      .register(Int(register), affinity: expression.affinity, collation: expression.collation), expression.offset)
    node.hasCollate = expression.hasCollate
    return node
  }

  private func codeConditional(
    _ operand: BoundExpression?, _ branches: [(condition: BoundExpression, result: BoundExpression)],
    _ otherwise: BoundExpression?, into target: Int32
  ) throws(EngineError) {
    let behind = builder.makeLabel()
    var kept: BoundExpression?
    var value: Operand?
    if let operand {
      let register = builder.allocateTemporary()
      try code(operand, into: register)
      value = Operand(register: register, isTemporary: true)
      kept = held(operand, register)
    }
    for branch in branches {
      let next = builder.makeLabel()
      let test = kept.map { BoundExpression(.binary(.equal, $0, branch.condition)) } ?? branch.condition
      try jump(ifFalse: test, to: next, nullJumps: true)
      try code(branch.result, into: target)
      builder.emit(.goto, to: behind)
      builder.place(next)
    }
    if let otherwise { try code(otherwise, into: target) } else { builder.emit(.null, 0, target) }
    builder.place(behind)
    if let value { release(value) }
  }

  // MARK: Functions

  private func codeFunction(
    _ definition: FunctionDefinition, _ arguments: [BoundExpression], into target: Int32
  ) throws(EngineError) {
    if definition.traits.contains(.isInline), try codeInline(definition.name, arguments, into: target) { return }
    let first = registers(max(arguments.count, 1))
    var constants: Int32 = 0
    for (place, argument) in arguments.enumerated() {
      if argument.isConstant, !argument.containsCall {
        if place < 31 { constants |= 1 << Int32(place) }
        let value = try operand(argument)
        builder.emit(.shallowCopy, value.register, first + Int32(place))
        release(value)
      } else {
        try code(argument, into: first + Int32(place))
      }
    }
    var collation: Name?
    if definition.traits.contains(.usesCollation) {
      for argument in arguments where collation == nil { collation = argument.collation }
    }
    let call = ApusVM.FunctionCall(definition, collation: try context.collation(collation?.key == "binary" ? nil : collation))
    builder.emit(
      .function, constants, first, target, p4: builder.functionIndex(call), p5: UInt16(truncatingIfNeeded: arguments.count))
  }

  // Functions that are better than a call. Returns false where the name is not one of them.
  private func codeInline(_ name: String, _ arguments: [BoundExpression], into target: Int32) throws(EngineError) -> Bool {
    switch name {
    case "coalesce", "ifnull":
      guard arguments.count >= 2 else { return false }
      try codeCoalesce(arguments, into: target)
    case "iif", "if":
      guard arguments.count >= 2 else { return false }
      var branches: [(condition: BoundExpression, result: BoundExpression)] = []
      var place = 0
      while place + 1 < arguments.count {
        branches.append((arguments[place], arguments[place + 1]))
        place += 2
      }
      try codeConditional(nil, branches, place < arguments.count ? arguments[place] : nil, into: target)
    case "likely", "unlikely", "likelihood", "unlikelihood":
      try code(arguments[0], into: target)
    default:
      return false
    }
    return true
  }

  private func codeCoalesce(_ parts: [BoundExpression], into target: Int32) throws(EngineError) {
    let behind = builder.makeLabel()
    for (place, part) in parts.enumerated() {
      try code(part, into: target)
      if place + 1 < parts.count { builder.emit(.notNull, target, to: behind) }
    }
    builder.place(behind)
  }
}

extension BoundExpression {
  /// Calls a function, which may fail or cost much.
  var containsCall: Bool {
    switch kind {
    case .null, .integer, .real, .text, .blob, .parameter, .column, .register: false
    default: contains { if case .function = $0.kind { true } else { false } }
    }
  }

  /// Runs a subquery.
  var isCostly: Bool {
    switch kind {
    case .null, .integer, .real, .text, .blob, .parameter, .column, .register: false
    default:
      contains {
        switch $0.kind {
        case .subquery, .exists, .inSelect: true
        default: false
        }
      }
    }
  }
}
