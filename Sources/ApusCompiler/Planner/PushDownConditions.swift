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
    var isCopied = false
    for conjunct in conjuncts {
      guard let source = onlySource(conjunct, query), let select = source.select, canTake(source, conjunct) else {
        kept.append(conjunct)
        continue
      }
      // An arm compares with its own column's affinity; where that is not the whole's, both must find the row.
      if !hasOneAffinity(source, conjunct) {
        guard select.arms.allSatisfy({ !$0.sources.isEmpty }) else {
          kept.append(conjunct)
          continue
        }
        kept.append(conjunct)
        isCopied = true
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
    if kept.count < conjuncts.count || isCopied { query.filter = conjunction(kept) }
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
    guard conjunct.height + select.height <= Binder.nestingMax else { return false }
    var isSame = true
    conjunct.walk { node in
      guard case .column(_, let number) = node.kind else { return true }
      for arm in select.arms {
        let expression = arm.columns[number].expression
        if expression.isCostly { isSame = false }
        let own = expression.collation?.key ?? "binary", outer = source.columns[number].collation?.key ?? "binary"
        if own != outer { isSame = false }
      }
      return isSame
    }
    return isSame
  }

  private static func hasOneAffinity(_ source: Source, _ conjunct: BoundExpression) -> Bool {
    var isSame = true
    conjunct.walk { node in
      guard case .column(_, let number) = node.kind else { return true }
      for arm in source.select?.arms ?? [] where arm.columns[number].expression.affinity != source.columns[number].affinity {
        isSame = false
      }
      return isSame
    }
    return isSame
  }
}
