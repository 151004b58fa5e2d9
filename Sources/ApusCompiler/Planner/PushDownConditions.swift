// Conditions on the columns of a subquery in FROM are tested inside it, where an index may serve them.
// Source: https://sqlite.org/optoverview.html#pushdown

import ApusSQL

extension Rewrite {
  @Sendable static func pushDownConditions(_ subject: Subject) {
    let query = subject.query
    guard let filter = query.filter else { return }
    var conjuncts: [BoundExpression] = []
    WhereClause.split(filter, .and, &conjuncts)
    var kept: [BoundExpression] = []
    for conjunct in conjuncts {
      guard let source = onlySource(conjunct, query), canTake(source, conjunct), let select = source.select else {
        kept.append(conjunct)
        continue
      }
      for arm in select.arms {
        let copy = conjunct.deepCopy { node in
          guard case .column(let other, let number) = node.kind, other === source else { return nil }
          let replaced = BoundExpression(.null, node.offset)
          replace(replaced, by: arm.columns[number].expression, nil)
          return replaced
        }
        if arm.aggregates != nil {
          arm.having = conjunction([arm.having, copy].compactMap { $0 })
        } else {
          arm.filter = conjunction([arm.filter, copy].compactMap { $0 })
        }
      }
    }
    if kept.count < conjuncts.count { query.filter = conjunction(kept) }
  }

  // The subquery that a condition reads columns of, if it reads no others and runs no subquery itself.
  private static func onlySource(_ conjunct: BoundExpression, _ query: BoundQuery) -> Source? {
    var found: Source?
    var isSimple = true
    conjunct.walk { node in
      switch node.kind {
      case .column(let source, let number):
        if number < 0 || (found != nil && found !== source) { isSimple = false }
        found = source
      case .subquery, .exists, .inSelect, .aggregate, .aggregateColumn, .subqueryColumn, .ifNullRow: isSimple = false
      case .function(let definition, _):
        if !definition.traits.contains(.deterministic) { isSimple = false }
      default: break
      }
      return isSimple
    }
    guard isSimple, let found, query.sources.contains(where: { $0 === found }) else { return nil }
    return found
  }

  private static func canTake(_ source: Source, _ conjunct: BoundExpression) -> Bool {
    guard let select = source.select, select.recursiveArmStart == nil, select.limit == nil, source.joinKind != .left,
      source.materialization != .materialized, select.operators.allSatisfy({ $0 == .unionAll })
    else { return false }
    for arm in select.arms {
      if arm.isValues { return false }
      // An arm without FROM has no rows to test one by one, yet its one row must pass.
      if arm.isDistinct, arm.aggregates == nil { continue }
    }
    var isSame = true
    conjunct.walk { node in
      guard case .column(_, let number) = node.kind else { return true }
      for arm in select.arms {
        let expression = arm.columns[number].expression
        if expression.isCostly { isSame = false }
        if expression.affinity != source.columns[number].affinity { isSame = false }
        let own = expression.collation?.key ?? "binary", outer = source.columns[number].collation?.key ?? "binary"
        if own != outer { isSame = false }
      }
      return isSame
    }
    return isSame
  }
}
