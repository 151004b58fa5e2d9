// Visits every node of an expression, subqueries included.

import ApusSQL

extension BoundExpression {
  /// Calls `visit` for each node from the top; it says whether to go on into the node.
  func walk(intoSelects: Bool = true, _ visit: (BoundExpression) -> Bool) {
    guard visit(self) else { return }
    func go(_ node: BoundExpression) { node.walk(intoSelects: intoSelects, visit) }
    switch kind {
    case .null, .integer, .real, .text, .blob, .parameter, .column, .register: break
    case .aggregateColumn(let info, let slot): go(info.slots[slot].expression)
    case .unary(_, let a), .collate(let a, _), .nullTest(let a, _), .truth(let a, _, _), .cast(let a, _),
      .subqueryColumn(let a, _), .ifNullRow(_, let a):
      go(a)
    case .binary(_, let a, let b):
      go(a)
      go(b)
    case .between(let a, let b, let c, _):
      go(a)
      go(b)
      go(c)
    case .inList(let a, let list, _):
      go(a)
      for item in list { go(item) }
    case .inSelect(let a, let select, _):
      go(a)
      if intoSelects { select.walk(visit) }
    case .exists(let select), .subquery(let select):
      if intoSelects { select.walk(visit) }
    case .row(let parts), .coalesceUsing(let parts), .function(_, let parts):
      for part in parts { go(part) }
    case .conditional(let operand, let branches, let otherwise):
      if let operand { go(operand) }
      for branch in branches {
        go(branch.condition)
        go(branch.result)
      }
      if let otherwise { go(otherwise) }
    case .aggregate(let call):
      for argument in call.arguments { go(argument) }
      if let filter = call.filter { go(filter) }
      for term in call.orderBy { go(term.expression) }
    }
  }

  /// Whether some node satisfies `test`.
  func contains(_ test: (BoundExpression) -> Bool) -> Bool {
    var found = false
    walk { node in
      if !found, test(node) { found = true }
      return !found
    }
    return found
  }

  /// Whether it reads `source`.
  func reads(_ source: Source) -> Bool {
    contains {
      switch $0.kind {
      case .column(let other, _), .ifNullRow(let other, _): other === source
      default: false
      }
    }
  }
}

extension BoundSelect {
  func walk(_ visit: (BoundExpression) -> Bool) {
    for arm in arms { arm.walk(visit) }
    for term in orderBy { term.expression.walk(visit) }
    limit?.walk(visit)
    offset?.walk(visit)
  }
}

extension BoundQuery {
  func walk(_ visit: (BoundExpression) -> Bool) {
    for column in columns { column.expression.walk(visit) }
    for row in moreRows { for value in row { value.walk(visit) } }
    for source in sources {
      source.on?.walk(visit)
      source.select?.walk(visit)
    }
    filter?.walk(visit)
    for term in groupBy { term.walk(visit) }
    having?.walk(visit)
  }
}
