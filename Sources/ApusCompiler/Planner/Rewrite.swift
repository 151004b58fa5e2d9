// Rewrites of a bound query that keep its meaning and make it cheaper. One rule per file; this one lists them.

enum Rewrite {
  typealias Rule = @Sendable (BoundQuery, Generator) -> Void

  /// In the order in which they are applied.
  static let rules: [Rule] = [flattenSubqueries, pushDownConditions]
}
