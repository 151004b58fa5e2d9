// The databases that a select names in its FROM clauses, wherever they stand: a view may name its own only.

import ApusSQL

extension Select {
  /// The schema names of its tables, in the order of the text.
  var schemas: [Name] {
    var search = SchemaSearch()
    search.visit(self)
    return search.found
  }
}

private struct SchemaSearch {
  var found: [Name] = []

  mutating func visit(_ select: Select) {
    for table in select.with?.tables ?? [] { visit(table.select) }
    visit(select.first)
    for compound in select.compounds { visit(compound.core) }
    visit(select.orderBy)
    visit(select.limit?.count)
    visit(select.limit?.offset)
  }

  private mutating func visit(_ core: SelectCore) {
    switch core {
    case .values(let rows, _): for row in rows { visit(row) }
    case .query(let query):
      for column in query.columns { if case .expression(let expression, _, _) = column { visit(expression) } }
      if let from = query.from { visit(from) }
      visit(query.filter)
      visit(query.groupBy)
      visit(query.having)
    }
  }

  private mutating func visit(_ from: FromClause) {
    for term in from.terms {
      switch term.source {
      case .table(let reference): note(reference.schema)
      case .function(let schema, _, let arguments, _, _):
        note(schema)
        visit(arguments)
      case .subquery(let select, _, _): visit(select)
      case .nested(let inner, _, _): visit(inner)
      }
      if case .on(let condition) = term.constraint { visit(condition) }
    }
  }

  private mutating func note(_ schema: Name?) { if let schema { found.append(schema) } }

  private mutating func visit(_ terms: [OrderingTerm]) { for term in terms { visit(term.expression) } }
  private mutating func visit(_ list: [Expression]) { for expression in list { visit(expression) } }

  private mutating func visit(_ expression: Expression?) {
    guard let expression else { return }
    // The left side of IN stands before its select.
    visit(expression.operands)
    switch expression {
    case .exists(let select, _), .subquery(let select, _), .membership(_, .select(let select), _, _): visit(select)
    case .membership(_, .table(let schema, _, _, _), _, _): note(schema)
    default: break
    }
  }
}
