// Expressions after name resolution. A node may be reached from several places (an alias is the expression it names), so
// a rewrite in place must mean the same everywhere.

import ApusBase
import ApusSQL
import ApusVM

final class BoundExpression {
  enum Kind {
    case null
    case integer(Int64)
    case real(Double)
    case text(String)
    case blob([UInt8])
    case parameter(Int)
    /// Column of a FROM item or of a changed row; -1 is the rowid.
    case column(Source, Int)
    case unary(UnaryOperator, BoundExpression)
    case binary(BinaryOperator, BoundExpression, BoundExpression)
    /// IS [NOT] TRUE, IS [NOT] FALSE.
    case truth(BoundExpression, isTrue: Bool, isNegated: Bool)
    case collate(BoundExpression, Name)
    case nullTest(BoundExpression, isNegated: Bool)
    case between(BoundExpression, BoundExpression, BoundExpression, isNegated: Bool)
    case inList(BoundExpression, [BoundExpression], isNegated: Bool)
    case inSelect(BoundExpression, BoundSelect, isNegated: Bool)
    case exists(BoundSelect)
    /// A scalar subquery, or a row-valued one.
    case subquery(BoundSelect)
    /// One column of a row-valued subquery.
    case subqueryColumn(BoundExpression, Int)
    case row([BoundExpression])
    case conditional(BoundExpression?, [(condition: BoundExpression, result: BoundExpression)], BoundExpression?)
    case cast(BoundExpression, Affinity)
    case function(FunctionDefinition, [BoundExpression])
    case aggregate(AggregateCall)
    /// A value that an aggregate query keeps for its current group.
    case aggregateColumn(AggregateInfo, Int)
    /// A value that lies in a register already.
    case register(Int, affinity: Affinity, collation: Name?)
    /// NULL while the source stands on the null row of an outer join, else the expression.
    case ifNullRow(Source, BoundExpression)
    /// A LIKE or GLOB test of the function's call, kept apart for the planner: the call's arguments are (pattern, operand...).
    case coalesceUsing([BoundExpression])
  }

  var kind: Kind
  var offset: SourceOffset
  /// COLLATE was written in it at a place that counts for a comparison.
  var hasCollate: Bool

  init(_ kind: Kind, _ offset: SourceOffset = .none) {
    self.kind = kind
    self.offset = offset
    switch kind {
    case .collate: hasCollate = true
    case .unary(_, let a), .cast(let a, _), .nullTest(let a, _), .truth(let a, _, _): hasCollate = a.hasCollate
    case .binary(_, let a, let b): hasCollate = a.hasCollate || b.hasCollate
    case .function(_, let arguments): hasCollate = arguments.contains { $0.hasCollate }
    case .aggregate(let call): hasCollate = call.arguments.contains { $0.hasCollate }
    case .between(let a, _, _, _): hasCollate = a.hasCollate
    case .conditional(let operand, let branches, let otherwise):
      hasCollate = operand?.hasCollate == true || otherwise?.hasCollate == true
        || branches.contains { $0.condition.hasCollate || $0.result.hasCollate }
    default: hasCollate = false
    }
  }

  /// The same node again, so that the original can be rewritten.
  func copy() -> BoundExpression {
    let node = BoundExpression(kind, offset)
    node.hasCollate = hasCollate
    return node
  }

  /// Without the COLLATEs at its top.
  var withoutCollate: BoundExpression {
    var node = self
    while case .collate(let inner, _) = node.kind { node = inner }
    return node
  }

  /// How many values it has: more than one for row values.
  var width: Int {
    switch kind {
    case .row(let parts): parts.count
    case .subquery(let select): select.columnCount
    case .collate(let inner, _): inner.width
    default: 1
    }
  }

  /// The `index`th value of a row value.
  func part(_ index: Int) -> BoundExpression {
    switch kind {
    case .row(let parts): parts[index]
    case .subquery(let select): select.columnCount == 1 ? self : BoundExpression(.subqueryColumn(self, index), offset)
    default: self
    }
  }

  var isNullLiteral: Bool { if case .null = kind { true } else { false } }
}

/// One call of an aggregate function in an aggregate query.
final class AggregateCall {
  let definition: FunctionDefinition
  let name: String
  var arguments: [BoundExpression]
  let isDistinct: Bool
  var filter: BoundExpression?
  var orderBy: [BoundOrder]
  /// The accumulator, and the result after `aggFinal`.
  var register = 0
  /// Ephemeral index of the values seen so far (DISTINCT).
  var distinctCursor = -1
  /// Sorter of the arguments (ORDER BY in the call).
  var orderCursor = -1

  init(
    _ definition: FunctionDefinition, name: String, arguments: [BoundExpression], isDistinct: Bool,
    filter: BoundExpression?, orderBy: [BoundOrder]
  ) {
    self.definition = definition
    self.name = name
    self.arguments = arguments
    self.isDistinct = isDistinct
    self.filter = filter
    self.orderBy = orderBy
  }
}

/// What an aggregate query computes: the calls, and the columns and expressions that are kept for each group.
final class AggregateInfo {
  enum Mode {
    /// Rows come from the tables: columns are read there.
    case direct
    /// Rows come from the sorter.
    case sorting
    /// The group is complete: values lie in registers.
    case final
  }
  struct Slot {
    var expression: BoundExpression
    /// Index in GROUP BY, -1 for a bare column.
    var groupIndex: Int
    var register = 0
    var sorterColumn = -1
    /// Used outside the arguments of aggregates.
    var isBare: Bool
  }
  var calls: [AggregateCall] = []
  var slots: [Slot] = []
  var mode = Mode.direct
  /// The record that the current row is read from in `sorting` mode.
  var sorterCursor = -1
}

/// A term of ORDER BY.
struct BoundOrder {
  var expression: BoundExpression
  var isDescending: Bool
  var isNullsLast: Bool
  /// The 0-based result column it names or equals, -1 for none.
  var resultColumn = -1

  init(_ expression: BoundExpression, isDescending: Bool = false, isNullsLast: Bool = false) {
    self.expression = expression
    self.isDescending = isDescending
    self.isNullsLast = isNullsLast
  }
}
