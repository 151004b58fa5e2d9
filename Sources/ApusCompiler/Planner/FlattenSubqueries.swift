// A subquery in FROM that is a plain join becomes part of the join around it.
// Source: https://sqlite.org/optoverview.html#flattening

import ApusSQL

extension Rewrite {
  static func flattenSubqueries(_ query: BoundQuery, _ generator: Generator) {
  }
}
