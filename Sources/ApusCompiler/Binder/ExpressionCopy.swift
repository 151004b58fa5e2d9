// Copies whole expressions, so that a copy can be rewritten. Subqueries inside are shared.

extension BoundExpression {
  /// A copy down to the leaves. `replace` may give another node instead of one.
  func deepCopy(_ replace: (BoundExpression) -> BoundExpression? = { _ in nil }) -> BoundExpression {
    if let other = replace(self) { return other }
    func copy(_ node: BoundExpression) -> BoundExpression { node.deepCopy(replace) }
    let node = self.copy()
    switch kind {
    case .null, .integer, .real, .text, .blob, .parameter, .column, .register, .aggregate, .aggregateColumn, .exists,
      .subquery:
      break
    case .unary(let op, let a): node.kind = .unary(op, copy(a))
    case .binary(let op, let a, let b): node.kind = .binary(op, copy(a), copy(b))
    case .truth(let a, let isTrue, let isNegated): node.kind = .truth(copy(a), isTrue: isTrue, isNegated: isNegated)
    case .collate(let a, let name): node.kind = .collate(copy(a), name)
    case .nullTest(let a, let isNegated): node.kind = .nullTest(copy(a), isNegated: isNegated)
    case .between(let a, let b, let c, let isNegated): node.kind = .between(copy(a), copy(b), copy(c), isNegated: isNegated)
    case .inList(let a, let list, let isNegated): node.kind = .inList(copy(a), list.map(copy), isNegated: isNegated)
    case .inSelect(let a, let select, let isNegated): node.kind = .inSelect(copy(a), select, isNegated: isNegated)
    case .subqueryColumn(let a, let index): node.kind = .subqueryColumn(copy(a), index)
    case .row(let parts): node.kind = .row(parts.map(copy))
    case .conditional(let operand, let branches, let otherwise):
      node.kind = .conditional(
        operand.map(copy), branches.map { (copy($0.condition), copy($0.result)) }, otherwise.map(copy))
    case .cast(let a, let affinity): node.kind = .cast(copy(a), affinity)
    case .function(let definition, let arguments): node.kind = .function(definition, arguments.map(copy))
    case .ifNullRow(let source, let a): node.kind = .ifNullRow(source, copy(a))
    case .coalesceUsing(let parts): node.kind = .coalesceUsing(parts.map(copy))
    }
    return node
  }
}
