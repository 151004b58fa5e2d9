// Columns of a subquery in FROM that nobody reads are not computed. Which columns its tables are read for stays as it was,
// so that a covering index is chosen where SQLite chooses one, and rows come in SQLite's order.

import ApusSQL

extension Rewrite {
  @Sendable static func dropUnusedColumns(_ subject: Subject) {
    for source in subject.query.sources {
      guard let select = source.select, select.recursiveArmStart == nil, !source.isCommonTable,
        select.operators.allSatisfy({ $0 == .unionAll })
      else { continue }
      if select.arms.contains(where: { $0.isDistinct || $0.isValues || $0.aggregates != nil }) { continue }
      source.usedColumns = 0
      subject.walk { node in
        if case .column(let other, let number) = node.kind, other === source { source.markUsed(number) }
        return true
      }
      for number in source.columns.indices.prefix(63) where source.usedColumns & 1 << UInt64(number) == 0 {
        if select.orderBy.contains(where: { $0.resultColumn == number }) { continue }
        for arm in select.arms { arm.columns[number].expression = BoundExpression(.null) }
      }
    }
  }
}
