// What a statement would like of its loops beside the rows themselves.

import ApusBase
import ApusVM

public struct LoopWishes {
  /// The rows in this order.
  public var orderBy: [BoundOrder] = []
  /// Rows of equal values side by side, in whatever direction and order of the terms.
  public var groupBy: [BoundExpression] = []
  /// Rows of equal values side by side, so that duplicates are easily dropped.
  public var distinct: [BoundExpression] = []
  public var limit = false
  public var limitEstimate: LogEstimate?
  public var resultCount = 1
  /// Only the first row is wanted (min, max).
  public var firstRowOnly = false

  /// All that is computed from a row; nil: not known, so that every table may be needed.
  public var outputs: [BoundExpression]?

  public init() {}

  var isGroup: Bool { orderBy.isEmpty }
  var isDistinctWish: Bool { orderBy.isEmpty && groupBy.isEmpty && !distinct.isEmpty }

  /// The order as terms, whichever wish it comes from.
  var wishedTerms: [BoundOrder] {
    if !orderBy.isEmpty { return orderBy }
    if !groupBy.isEmpty { return groupBy.map { BoundOrder($0) } }
    return distinct.map { BoundOrder($0) }
  }
}
