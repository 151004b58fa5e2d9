// Conditions on the columns of a subquery in FROM are tested inside it.
// Source: https://sqlite.org/optoverview.html#pushdown

import ApusSQL

extension Rewrite {
  static func pushDownConditions(_ query: BoundQuery, _ generator: Generator) {
  }
}
