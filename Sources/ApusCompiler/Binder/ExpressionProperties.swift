// What can be said of a bound expression without running it: affinity, collation, constancy, nullability, equality.
// Sources: https://sqlite.org/datatype3.html, sections 3 to 7.

import ApusBase
import ApusSQL
import ApusVM

extension Affinity {
  var isNumericKind: Bool { rawValue >= Affinity.numeric.rawValue }
}

extension BoundExpression {
  var affinity: Affinity {
    switch kind {
    case .column(let source, let number): source.affinity(number)
    case .cast(_, let affinity): affinity
    case .collate(let inner, _), .ifNullRow(_, let inner): inner.affinity
    case .subquery(let select): select.comparand(0)?.affinity ?? .none
    case .subqueryColumn: subqueryComparand?.affinity ?? .none
    case .row(let parts): parts[0].affinity
    case .aggregateColumn(let info, let slot): info.slots[slot].expression.affinity
    case .register(_, let affinity, _): affinity
    case .coalesceUsing(let parts): parts[0].affinity
    default: .none
    }
  }

  /// The collation that a comparison takes from this side; nil where it has none to give.
  var collation: Name? {
    var node = self
    while true {
      switch node.kind {
      case .collate(_, let name): return name
      case .column(let source, let number):
        return source.collation(number) ?? (number >= 0 ? .binary : nil)
      case .cast(let inner, _), .unary(.plus, let inner), .ifNullRow(_, let inner): node = inner
      case .subquery, .subqueryColumn: return nil
      case .row(let parts): node = parts[0]
      case .aggregateColumn(let info, let slot): node = info.slots[slot].expression
      case .register(_, _, let collation): return collation
      case .coalesceUsing(let parts): node = parts[0]
      default:
        guard node.hasCollate, let next = node.collatedChild else { return nil }
        node = next
      }
    }
  }

  /// What a column of a row-valued subquery selects.
  private var subqueryComparand: BoundExpression? {
    guard case .subqueryColumn(let row, let index) = kind, case .subquery(let select) = row.kind else { return nil }
    return select.comparand(index)
  }

  /// What stands on the left of IN for its collation: a row-valued subquery gives that of what it selects, one of one
  /// column gives none.
  var memberComparand: BoundExpression { subqueryComparand ?? self }

  private var collatedChild: BoundExpression? {
    switch kind {
    case .unary(_, let a), .nullTest(let a, _), .truth(let a, _, _), .between(let a, _, _, _): return a
    case .binary(_, let a, let b): return a.hasCollate ? a : b
    case .function(_, let arguments): return arguments.first { $0.hasCollate }
    case .aggregate(let call): return call.arguments.first { $0.hasCollate }
    case .conditional(let operand, let branches, let otherwise):
      if let operand, operand.hasCollate { return operand }
      for branch in branches {
        if branch.condition.hasCollate { return branch.condition }
        if branch.result.hasCollate { return branch.result }
      }
      return otherwise
    default: return nil
    }
  }

  /// Whether a value of it can be NULL, as far as that is easy to see.
  var canBeNull: Bool {
    switch kind {
    case .integer, .real, .text, .blob, .exists: return false
    case .unary(.plus, let inner), .unary(.negate, let inner), .collate(let inner, _): return inner.canBeNull
    case .column(let source, let number):
      guard let table = source.table, !source.isNullable, source.registerBase == nil else { return true }
      if number < 0 { return false }
      return !table.columns[number].isNotNull && table.rowidAlias != number
    default: return true
    }
  }

  /// Which kinds its values can have: 1 numeric, 2 text, 4 blob.
  var valueKinds: Int {
    switch kind {
    case .null: return 0
    case .text: return 2
    case .blob: return 4
    case .binary(.concatenate, _, _): return 6
    case .parameter, .function, .aggregate: return 7
    case .column, .subquery, .subqueryColumn, .cast, .register, .aggregateColumn, .ifNullRow:
      let affinity = affinity
      if affinity.isNumericKind { return 5 }
      return affinity == .text ? 6 : 7
    case .conditional(_, let branches, let otherwise):
      return branches.reduce(otherwise?.valueKinds ?? 0) { $0 | $1.result.valueKinds }
    case .collate(let inner, _), .unary(.plus, let inner): return inner.valueKinds
    default: return 1
    }
  }

  /// A value that does not change while the statement runs: parameters count, columns and volatile functions do not.
  var isConstant: Bool {
    switch kind {
    case .null, .integer, .real, .text, .blob, .parameter: return true
    case .unary(_, let a), .collate(let a, _), .nullTest(let a, _), .truth(let a, _, _), .cast(let a, _):
      return a.isConstant
    case .binary(_, let a, let b): return a.isConstant && b.isConstant
    case .between(let a, let b, let c, _): return a.isConstant && b.isConstant && c.isConstant
    case .inList(let a, let list, _): return a.isConstant && list.allSatisfy { $0.isConstant }
    case .row(let parts), .coalesceUsing(let parts): return parts.allSatisfy { $0.isConstant }
    case .conditional(let operand, let branches, let otherwise):
      return operand?.isConstant != false && otherwise?.isConstant != false
        && branches.allSatisfy { $0.condition.isConstant && $0.result.isConstant }
    case .function(let definition, let arguments):
      return (definition.traits.contains(.deterministic) || definition.traits.contains(.slowChange))
        && arguments.allSatisfy { $0.isConstant }
    default: return false
    }
  }

  /// No function in it gives another value each time.
  var isDeterministic: Bool {
    !contains {
      guard case .function(let definition, _) = $0.kind else { return false }
      return definition.traits.isDisjoint(with: [.deterministic, .slowChange])
    }
  }

  /// The integer of a literal, signs included.
  var integerLiteral: Int64? {
    switch kind {
    case .integer(let value): return value
    case .unary(.negate, let inner):
      guard let value = inner.integerLiteral else { return nil }
      return value == Int64.min ? nil : -value
    case .unary(.plus, let inner): return inner.integerLiteral
    default: return nil
    }
  }

  /// Whether both surely have the same value in the same row. Parameters equal themselves.
  func matches(_ other: BoundExpression) -> Bool {
    if self === other { return true }
    switch (kind, other.kind) {
    case (.null, .null): return true
    case (.integer(let a), .integer(let b)): return a == b
    case (.real(let a), .real(let b)): return a.bitPattern == b.bitPattern
    case (.text(let a), .text(let b)): return ExactText(a) == ExactText(b)
    case (.blob(let a), .blob(let b)): return a == b
    case (.parameter(let a), .parameter(let b)): return a == b
    case (.column(let a, let m), .column(let b, let n)): return a === b && m == n
    case (.unary(let o, let a), .unary(let p, let b)): return o == p && a.matches(b)
    case (.binary(let o, let a, let c), .binary(let p, let b, let d)): return o == p && a.matches(b) && c.matches(d)
    case (.truth(let a, let t, let n), .truth(let b, let u, let m)): return t == u && n == m && a.matches(b)
    case (.collate(let a, let c), .collate(let b, let d)): return c == d && a.matches(b)
    case (.nullTest(let a, let n), .nullTest(let b, let m)): return n == m && a.matches(b)
    case (.cast(let a, let c), .cast(let b, let d)): return c == d && a.matches(b)
    case (.between(let a, let b, let c, let n), .between(let d, let e, let f, let m)):
      return n == m && a.matches(d) && b.matches(e) && c.matches(f)
    case (.inList(let a, let l, let n), .inList(let b, let k, let m)):
      return n == m && a.matches(b) && BoundExpression.matches(l, k)
    case (.row(let a), .row(let b)): return BoundExpression.matches(a, b)
    case (.function(let f, let a), .function(let g, let b)):
      return f === g && (f.traits.contains(.deterministic) || f.traits.contains(.slowChange))
        && BoundExpression.matches(a, b)
    case (.aggregate(let a), .aggregate(let b)):
      if a === b { return true }
      return a.definition === b.definition && a.isDistinct == b.isDistinct && a.orderBy.isEmpty && b.orderBy.isEmpty
        && BoundExpression.matches(a.arguments, b.arguments)
        && (a.filter == nil) == (b.filter == nil) && (a.filter == nil || a.filter!.matches(b.filter!))
    case (.aggregateColumn(let a, let m), .aggregateColumn(let b, let n)): return a === b && m == n
    case (.aggregateColumn(let a, let m), _): return a.slots[m].expression.matches(other)
    case (_, .aggregateColumn(let b, let n)): return matches(b.slots[n].expression)
    case (.ifNullRow(let s, let a), .ifNullRow(let t, let b)): return s === t && a.matches(b)
    case (.conditional(let o, let l, let e), .conditional(let p, let k, let f)):
      func same(_ a: BoundExpression?, _ b: BoundExpression?) -> Bool {
        guard let a, let b else { return a == nil && b == nil }
        return a.matches(b)
      }
      return same(o, p) && same(e, f) && l.count == k.count
        && zip(l, k).allSatisfy { $0.condition.matches($1.condition) && $0.result.matches($1.result) }
    default: return false
    }
  }

  static func matches(_ a: [BoundExpression], _ b: [BoundExpression]) -> Bool {
    a.count == b.count && zip(a, b).allSatisfy { $0.matches($1) }
  }
}

/// How two values are compared.
struct Comparison {
  var affinity: Affinity
  var collation: Name?

  init(_ left: BoundExpression, _ right: BoundExpression) {
    affinity = Comparison.affinity(left.affinity, right.affinity)
    collation = Comparison.collation(left, right)
  }

  /// An index on a column of this affinity orders its values as the comparison does: they need no conversion.
  func isServed(by column: Affinity) -> Bool {
    switch affinity {
    case .blob, .none: true
    case .text: column == .text
    default: column.isNumericKind
    }
  }

  /// The affinity that both operands take; `.blob` means none does.
  static func affinity(_ left: Affinity, _ right: Affinity) -> Affinity {
    if left != .none, right != .none {
      return left.isNumericKind || right.isNumericKind ? .numeric : .blob
    }
    return left == .none ? right : left
  }

  static func collation(_ left: BoundExpression, _ right: BoundExpression) -> Name? {
    let name: Name?
    if left.hasCollate {
      name = left.collation
    } else if right.hasCollate {
      name = right.collation
    } else {
      name = left.collation ?? right.collation
    }
    return name?.key == "binary" ? nil : name
  }
}
