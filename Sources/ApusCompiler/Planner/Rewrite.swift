// Rewrites of a bound query that keep its meaning and make it cheaper. One rule per file; this one lists them.

import ApusSQL

enum Rewrite {
  /// A query under rewriting, with the terms of its select's ORDER BY, which read its FROM items too.
  struct Subject {
    let query: BoundQuery
    let orderBy: [BoundOrder]

    /// Visits every expression that can read the query's FROM items.
    func walk(_ visit: (BoundExpression) -> Bool) {
      query.walk(visit)
      for term in orderBy { term.expression.walk(visit) }
    }
  }

  /// All rules are about LEFT JOINs and subqueries in FROM: a query of plain tables needs no look at each of them.
  static func applies(to query: BoundQuery) -> Bool {
    query.sources.contains { $0.select != nil || $0.joinKind == .left }
  }

  typealias Rule = @Sendable (Subject) -> Void

  /// In the order in which they are applied.
  static let rules: [Rule] = [reduceOuterJoins, flattenSubqueries, reduceOuterJoins, pushDownConditions, dropUnusedColumns]
}
