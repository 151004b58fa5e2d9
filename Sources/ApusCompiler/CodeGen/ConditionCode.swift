// Code that jumps on conditions, with SQL's three-valued logic.

import ApusBase
import ApusSQL
import ApusVM

extension Generator {
  /// Jumps to `label` if `expression` is true, and if it is NULL where `nullJumps`; falls through else.
  func jump(ifTrue expression: BoundExpression, to label: Label, nullJumps: Bool) throws(EngineError) {
    switch expression.kind {
    case .binary(.and, let left, let right):
      let behind = builder.makeLabel()
      try jump(ifFalse: left, to: behind, nullJumps: !nullJumps)
      try jump(ifTrue: right, to: label, nullJumps: nullJumps)
      builder.place(behind)
    case .binary(.or, let left, let right):
      try jump(ifTrue: left, to: label, nullJumps: nullJumps)
      try jump(ifTrue: right, to: label, nullJumps: nullJumps)
    case .unary(.not, let inner):
      try jump(ifFalse: inner, to: label, nullJumps: nullJumps)
    case .binary(let op, let left, let right) where op.isComparison:
      try compare(op, left, right, to: label, nullJumps: nullJumps)
    case .nullTest(let inner, let isNegated):
      try test(inner, isNegated ? .notNull : .isNull, label)
    case .truth(let inner, let isTrue, let isNegated):
      // IS TRUE jumps on true; IS NOT FALSE also on NULL; and the other way round.
      let value = try operand(inner)
      builder.emit(isTrue != isNegated ? .if : .ifNot, value.register, to: label, isNegated ? 1 : 0)
      release(value)
    case .between(let inner, let low, let high, let isNegated):
      try between(inner, low, high) { (test) throws(EngineError) in
        if isNegated {
          try self.jump(ifFalse: test, to: label, nullJumps: nullJumps)
        } else {
          try self.jump(ifTrue: test, to: label, nullJumps: nullJumps)
        }
      }
    case .inList(_, _, let isNegated), .inSelect(_, _, let isNegated):
      let isFalse = builder.makeLabel(), behind = builder.makeLabel()
      // Where the membership is false, and where it is NULL.
      let onFalse = isNegated ? label : behind
      let onNull = nullJumps ? label : behind
      try codeMembership(expression, ifFalse: onFalse, ifNull: onNull)
      if !isNegated { builder.emit(.goto, to: label) }
      builder.place(isFalse)
      builder.place(behind)
    case .integer(let value):
      if value != 0 { builder.emit(.goto, to: label) }
    default:
      let value = try operand(expression)
      builder.emit(.if, value.register, to: label, nullJumps ? 1 : 0)
      release(value)
    }
  }

  /// Jumps to `label` if `expression` is false, and if it is NULL where `nullJumps`; falls through else.
  func jump(ifFalse expression: BoundExpression, to label: Label, nullJumps: Bool) throws(EngineError) {
    switch expression.kind {
    case .binary(.and, let left, let right):
      // The side without a subquery first.
      let (first, second) = left.isCostly && !right.isCostly ? (right, left) : (left, right)
      try jump(ifFalse: first, to: label, nullJumps: nullJumps)
      try jump(ifFalse: second, to: label, nullJumps: nullJumps)
    case .binary(.or, let left, let right):
      let behind = builder.makeLabel()
      try jump(ifTrue: left, to: behind, nullJumps: !nullJumps)
      try jump(ifFalse: right, to: label, nullJumps: nullJumps)
      builder.place(behind)
    case .unary(.not, let inner):
      try jump(ifTrue: inner, to: label, nullJumps: nullJumps)
    case .binary(let op, let left, let right) where op.isComparison:
      try compare(op.negated, left, right, to: label, nullJumps: nullJumps)
    case .nullTest(let inner, let isNegated):
      try test(inner, isNegated ? .isNull : .notNull, label)
    case .truth(let inner, let isTrue, let isNegated):
      let value = try operand(inner)
      builder.emit(isTrue != isNegated ? .ifNot : .if, value.register, to: label, isNegated ? 0 : 1)
      release(value)
    case .between(let inner, let low, let high, let isNegated):
      try between(inner, low, high) { (test) throws(EngineError) in
        if isNegated {
          try self.jump(ifTrue: test, to: label, nullJumps: nullJumps)
        } else {
          try self.jump(ifFalse: test, to: label, nullJumps: nullJumps)
        }
      }
    case .inList(_, _, let isNegated), .inSelect(_, _, let isNegated):
      if isNegated {
        let behind = builder.makeLabel()
        try codeMembership(expression, ifFalse: behind, ifNull: nullJumps ? label : behind)
        builder.emit(.goto, to: label)
        builder.place(behind)
      } else if nullJumps {
        try codeMembership(expression, ifFalse: label, ifNull: label)
      } else {
        let behind = builder.makeLabel()
        try codeMembership(expression, ifFalse: label, ifNull: behind)
        builder.place(behind)
      }
    case .integer(let value):
      if value == 0 { builder.emit(.goto, to: label) }
    default:
      let value = try operand(expression)
      builder.emit(.ifNot, value.register, to: label, nullJumps ? 1 : 0)
      release(value)
    }
  }

  private func test(_ inner: BoundExpression, _ opcode: Opcode, _ label: Label) throws(EngineError) {
    let value = try operand(inner)
    builder.emit(opcode, value.register, to: label)
    release(value)
  }

  private func between(
    _ inner: BoundExpression, _ low: BoundExpression, _ high: BoundExpression,
    _ body: (BoundExpression) throws(EngineError) -> Void
  ) throws(EngineError) {
    let value = try operand(inner)
    let kept = held(inner, value.register)
    try body(
      BoundExpression(
        .binary(
          .and, BoundExpression(.binary(.greaterOrEqual, kept, low)),
          BoundExpression(.binary(.lessOrEqual, kept, high)))))
    release(value)
  }

  private func compare(
    _ op: BinaryOperator, _ left: BoundExpression, _ right: BoundExpression, to label: Label, nullJumps: Bool
  ) throws(EngineError) {
    let a = try operand(left)
    let b = try operand(right)
    let comparison = Comparison(left, right)
    var flags = comparisonFlags(comparison)
    if op == .is || op == .isNot {
      flags.insert(.nullEqual)
    } else if nullJumps {
      flags.insert(.jumpIfNull)
    }
    builder.emit(
      Generator.comparisonOpcode(op), b.register, to: label, a.register, p4: try collationIndex(comparison.collation),
      p5: flags.rawValue)
    release(a)
    release(b)
  }
}

extension BinaryOperator {
  var isComparison: Bool {
    switch self {
    case .equal, .notEqual, .is, .isNot, .less, .lessOrEqual, .greater, .greaterOrEqual: true
    default: false
    }
  }

  var negated: BinaryOperator {
    switch self {
    case .equal: .notEqual
    case .notEqual: .equal
    case .is: .isNot
    case .isNot: .is
    case .less: .greaterOrEqual
    case .lessOrEqual: .greater
    case .greater: .lessOrEqual
    case .greaterOrEqual: .less
    default: self
    }
  }

  /// The same comparison with its sides exchanged.
  var mirrored: BinaryOperator {
    switch self {
    case .less: .greater
    case .lessOrEqual: .greaterOrEqual
    case .greater: .less
    case .greaterOrEqual: .lessOrEqual
    default: self
    }
  }
}
