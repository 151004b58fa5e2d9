// Visits every node of an expression, subqueries included.

import ApusSQL

extension BoundExpression {
  /// Calls `visit` for each node from the top; it says whether to go on into the node.
  func walk(intoSelects: Bool = true, _ visit: (BoundExpression) -> Bool) {
    guard visit(self) else { return }
    forEachOperand { $0.walk(intoSelects: intoSelects, visit) }
    if intoSelects { select?.walk(visit) }
  }

  /// The select that it runs.
  private var select: BoundSelect? {
    switch kind {
    case .inSelect(_, let select, _), .exists(let select), .subquery(let select): select
    default: nil
    }
  }

  /// The expressions that it is made of. What stands in its select is not among them.
  private func forEachOperand(_ go: (BoundExpression) -> Void) {
    switch kind {
    case .null, .integer, .real, .text, .blob, .parameter, .column, .register, .exists, .subquery: break
    case .aggregateColumn(let info, let slot): go(info.slots[slot].expression)
    case .unary(_, let a), .collate(let a, _), .nullTest(let a, _), .truth(let a, _, _), .cast(let a, _),
      .subqueryColumn(let a, _), .ifNullRow(_, let a), .inSelect(let a, _, _):
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

  /// Nodes on the longest path down, through selects too: what walks over the tree recurses as deep.
  var height: Int {
    var highest = select?.height ?? 0
    forEachOperand { highest = max(highest, $0.height) }
    return highest + 1
  }

  var nodeCount: Int {
    var count = 0
    walk { _ in
      count += 1
      return true
    }
    return count
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
  /// The height of its highest expression, those of its FROM's selects among them.
  var height: Int {
    var highest = 0
    for arm in arms { highest = max(highest, arm.height) }
    for term in orderBy { highest = max(highest, term.expression.height) }
    return max(highest, limit?.height ?? 0, offset?.height ?? 0)
  }

  func walk(_ visit: (BoundExpression) -> Bool) {
    for arm in arms { arm.walk(visit) }
    for term in orderBy { term.expression.walk(visit) }
    limit?.walk(visit)
    offset?.walk(visit)
  }
}

extension BoundQuery {
  var height: Int {
    var highest = max(filter?.height ?? 0, having?.height ?? 0)
    for column in columns { highest = max(highest, column.expression.height) }
    for row in moreRows { for value in row { highest = max(highest, value.height) } }
    for source in sources { highest = max(highest, source.on?.height ?? 0, source.select?.height ?? 0) }
    for term in groupBy { highest = max(highest, term.height) }
    return highest
  }

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
