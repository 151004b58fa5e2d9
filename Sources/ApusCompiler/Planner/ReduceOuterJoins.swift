// A LEFT JOIN whose null rows cannot pass WHERE is an inner join.
// Source: https://sqlite.org/optoverview.html#strength_reduction

import ApusSQL

extension Rewrite {
  @Sendable static func reduceOuterJoins(_ subject: Subject) {
    let query = subject.query
    guard query.sources.contains(where: { $0.joinKind == .left }) else { return }
    var conditions: [BoundExpression] = []
    if let filter = query.filter { WhereClause.split(filter, .and, &conditions) }
    for source in query.sources where source.joinKind != .left {
      if let on = source.on { WhereClause.split(on, .and, &conditions) }
    }
    for source in query.sources where source.joinKind == .left {
      if conditions.contains(where: { isFalseOnNullRow($0, source) }) { source.joinKind = .inner }
    }
  }

  /// Whether the condition is surely not true where all columns of `source` are NULL.
  private static func isFalseOnNullRow(_ condition: BoundExpression, _ source: Source) -> Bool {
    switch condition.kind {
    case .binary(let op, let left, let right):
      switch op {
      case .and: return isFalseOnNullRow(left, source) || isFalseOnNullRow(right, source)
      case .or: return isFalseOnNullRow(left, source) && isFalseOnNullRow(right, source)
      case .is, .isNot: return false
      default: return isNullOnNullRow(condition, source)
      }
    case .nullTest(let inner, isNegated: true): return isNullOnNullRow(inner, source)
    case .between(let value, _, _, isNegated: false), .inList(let value, _, isNegated: false),
      .inSelect(let value, _, isNegated: false):
      return isNullOnNullRow(value, source)
    case .unary(.not, let inner): return isNullOnNullRow(inner, source)
    default: return isNullOnNullRow(condition, source)
    }
  }

  /// Whether the value is surely NULL there.
  private static func isNullOnNullRow(_ expression: BoundExpression, _ source: Source) -> Bool {
    switch expression.kind {
    case .column(let other, _): return other === source
    case .collate(let inner, _), .unary(_, let inner), .cast(let inner, _): return isNullOnNullRow(inner, source)
    case .binary(let op, let left, let right):
      if op == .and || op == .or || op == .is || op == .isNot || op == .extract || op == .extractText { return false }
      return isNullOnNullRow(left, source) || isNullOnNullRow(right, source)
    default: return false
    }
  }
}
