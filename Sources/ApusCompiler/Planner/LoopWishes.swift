// What a statement would like of its loops beside the rows themselves.

import ApusBase
import ApusVM

struct LoopWishes {
  /// The rows in this order.
  var orderBy: [BoundOrder] = []
  /// Rows of equal values side by side, in whatever direction and order of the terms.
  var groupBy: [BoundExpression] = []
  /// Rows of equal values side by side, so that duplicates are easily dropped.
  var distinct: [BoundExpression] = []
  var limit = false
  var limitEstimate: LogEstimate?
  var resultCount = 1
  /// Only the first row is wanted (min, max).
  var firstRowOnly = false
  /// The rows are to be changed: their table is read as a whole rather than an index that would do.
  var changesRows = false

  /// All that is computed from a row; nil: not known, so that every table may be needed.
  var outputs: [BoundExpression]?

  init() {}

  var isGroup: Bool { orderBy.isEmpty }
  var isDistinctWish: Bool { orderBy.isEmpty && groupBy.isEmpty && !distinct.isEmpty }

  /// The order as terms, whichever wish it comes from.
  var wishedTerms: [BoundOrder] {
    if !orderBy.isEmpty { return orderBy }
    if !groupBy.isEmpty { return groupBy.map { BoundOrder($0) } }
    return distinct.map { BoundOrder($0) }
  }
}
