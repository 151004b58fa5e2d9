// Expressions. Parentheses leave no trace in the tree; a row value has at least two parts. Each node that can cause an
// error carries the byte offset SQLite would report for it.

public indirect enum Expression: Hashable, Sendable {
  case literal(Literal, SourceOffset)
  case parameter(Parameter)
  case column(ColumnReference)
  case unary(UnaryOperator, Expression, SourceOffset)
  case binary(BinaryOperator, Expression, Expression, SourceOffset)
  case collate(Expression, Name, SourceOffset)
  /// LIKE, GLOB, REGEXP and MATCH: calls of the functions of these names.
  case pattern(PatternMatch)
  /// `x ISNULL`, `x IS NULL`; negated: `x NOTNULL`, `x NOT NULL`, `x IS NOT NULL`.
  case nullTest(Expression, isNegated: Bool, SourceOffset)
  case between(Expression, low: Expression, high: Expression, isNegated: Bool, SourceOffset)
  case membership(Expression, MembershipSet, isNegated: Bool, SourceOffset)
  /// `EXISTS (select)`; its negation is `unary(.not, exists)`.
  case exists(Select, SourceOffset)
  /// A scalar or row-valued subquery.
  case subquery(Select, SourceOffset)
  /// `(a, b, ...)` of at least two parts.
  case row([Expression], SourceOffset)
  case conditional(Conditional)
  case cast(Expression, TypeName, SourceOffset)
  case raise(RaiseAction, message: Expression?, SourceOffset)
  case function(FunctionCall)
}

public enum Literal: Hashable, Sendable {
  case null
  case integer(Int64)
  /// Also an integer that Int64 does not hold.
  case real(Double)
  case text(String)
  /// A string whose bytes are not valid UTF-8; they are kept as they are.
  case malformedText([UInt8])
  case blob([UInt8])
  /// TRUE and FALSE, unquoted: the integers 1 and 0, except that `x IS TRUE` tests truth.
  case boolean(Bool)
  case currentTime
  case currentDate
  case currentTimestamp
}

/// `?`, `?NNN`, `:name`, `@name`, `$name::more(suffix)`.
public struct Parameter: Hashable, Sendable {
  /// 1-based, as `sqlite3_bind_*` counts.
  public var index: Int
  /// With its sigil (also `?12`); nil for a plain `?`.
  public var name: String?
  public var offset: SourceOffset

  public init(index: Int, name: String? = nil, offset: SourceOffset = .none) {
    self.index = index
    self.name = name
    self.offset = offset
  }
}

/// `column`, `table.column` or `schema.table.column`.
public struct ColumnReference: Hashable, Sendable {
  public var schema: Name?
  public var table: Name?
  public var column: Name
  public var offset: SourceOffset

  public init(schema: Name? = nil, table: Name? = nil, column: Name, offset: SourceOffset = .none) {
    self.schema = schema
    self.table = table
    self.column = column
    self.offset = offset
  }
}

public enum UnaryOperator: UInt8, Hashable, Sendable, CaseIterable {
  case negate
  /// Unary plus: no operation, but the operand loses its column's affinity for index use.
  case plus
  case bitNot
  case not
}

public enum BinaryOperator: UInt8, Hashable, Sendable, CaseIterable {
  case or, and
  case equal, notEqual
  /// `IS` and `IS NOT DISTINCT FROM`.
  case `is`
  /// `IS NOT` and `IS DISTINCT FROM`.
  case isNot
  case less, lessOrEqual, greater, greaterOrEqual
  case bitAnd, bitOr, shiftLeft, shiftRight
  case add, subtract, multiply, divide, remainder
  case concatenate
  /// `->`
  case extract
  /// `->>`
  case extractText
}

public enum PatternOperator: UInt8, Hashable, Sendable, CaseIterable { case like, glob, regexp, match }

public struct PatternMatch: Hashable, Sendable {
  public var `operator`: PatternOperator
  public var isNegated: Bool
  public var operand: Expression
  public var pattern: Expression
  public var escape: Expression?
  public var offset: SourceOffset

  public init(
    _ `operator`: PatternOperator, isNegated: Bool = false, operand: Expression, pattern: Expression,
    escape: Expression? = nil, offset: SourceOffset = .none
  ) {
    self.operator = `operator`
    self.isNegated = isNegated
    self.operand = operand
    self.pattern = pattern
    self.escape = escape
    self.offset = offset
  }
}

/// The right side of IN.
public enum MembershipSet: Hashable, Sendable {
  case list([Expression])
  case select(Select)
  /// `IN table`, `IN schema.table`, and with arguments `IN function(a, b)`.
  case table(schema: Name?, name: Name, arguments: [Expression]?, SourceOffset)
}

/// `CASE operand WHEN a THEN b ... ELSE c END`
public struct Conditional: Hashable, Sendable {
  public struct Branch: Hashable, Sendable {
    public var condition: Expression
    public var result: Expression

    public init(condition: Expression, result: Expression) {
      self.condition = condition
      self.result = result
    }
  }
  public var operand: Expression?
  public var branches: [Branch]
  public var otherwise: Expression?
  public var offset: SourceOffset

  public init(operand: Expression?, branches: [Branch], otherwise: Expression?, offset: SourceOffset = .none) {
    self.operand = operand
    self.branches = branches
    self.otherwise = otherwise
    self.offset = offset
  }
}

/// A declared type or a CAST's target, as it was written: `VARCHAR(10)`.
/// The name of a column's type or of a CAST's.
public struct TypeName: Hashable, Sendable {
  public enum Spelling: UInt8, Hashable, Sendable {
    /// `VARCHAR(10)`: the text as it was written.
    case words
    /// `"INTEGER"`: the text without its quotes.
    case quoted
    /// `"INTEGER"(3)`: what stands behind a first word in quotes belongs to no type, and SQLite takes the name for none of
    /// its six standard ones.
    case quotedFirstWord
  }

  public var text: String
  public var spelling: Spelling

  public init(_ text: String, _ spelling: Spelling = .words) {
    self.text = text
    self.spelling = spelling
  }

  /// The name in capitals where it is one of the six that STRICT tables know.
  public var standardName: String? {
    guard spelling != .quotedFirstWord else { return nil }
    return Self.standardNames.first { Name.fold($0) == Name.fold(text) }
  }

  private static let standardNames = ["ANY", "BLOB", "INT", "INTEGER", "REAL", "TEXT"]
}

public enum RaiseAction: UInt8, Hashable, Sendable, CaseIterable { case ignore, rollback, abort, fail }

public struct FunctionCall: Hashable, Sendable {
  public var name: Name
  /// nil for `f(*)`.
  public var arguments: [Expression]?
  public var isDistinct: Bool
  /// `ORDER BY` inside the parentheses of an aggregate.
  public var orderBy: [OrderingTerm]
  public var filter: Expression?
  public var over: Over?
  public var offset: SourceOffset

  public init(
    name: Name, arguments: [Expression]?, isDistinct: Bool = false, orderBy: [OrderingTerm] = [],
    filter: Expression? = nil, over: Over? = nil, offset: SourceOffset = .none
  ) {
    self.name = name
    self.arguments = arguments
    self.isDistinct = isDistinct
    self.orderBy = orderBy
    self.filter = filter
    self.over = over
    self.offset = offset
  }
}

/// `OVER name` or `OVER (definition)`.
public enum Over: Hashable, Sendable {
  case named(Name, SourceOffset)
  case window(WindowDefinition)
}

public struct WindowDefinition: Hashable, Sendable {
  public var base: Name?
  public var partitionBy: [Expression]
  public var orderBy: [OrderingTerm]
  public var frame: WindowFrame?

  public init(
    base: Name? = nil, partitionBy: [Expression] = [], orderBy: [OrderingTerm] = [], frame: WindowFrame? = nil
  ) {
    self.base = base
    self.partitionBy = partitionBy
    self.orderBy = orderBy
    self.frame = frame
  }
}

public struct WindowFrame: Hashable, Sendable {
  public enum Unit: UInt8, Hashable, Sendable, CaseIterable { case rows, range, groups }
  public enum Exclusion: UInt8, Hashable, Sendable, CaseIterable { case noOthers, currentRow, group, ties }
  public enum Bound: Hashable, Sendable {
    case unboundedPreceding
    case preceding(Expression)
    case currentRow
    case following(Expression)
    case unboundedFollowing
  }
  public var unit: Unit
  public var start: Bound
  /// CURRENT ROW where the frame was written without BETWEEN.
  public var end: Bound
  /// `EXCLUDE NO OTHERS` where none was written.
  public var exclusion: Exclusion

  public init(unit: Unit, start: Bound, end: Bound = .currentRow, exclusion: Exclusion = .noOthers) {
    self.unit = unit
    self.start = start
    self.end = end
    self.exclusion = exclusion
  }
}

public enum SortOrder: UInt8, Hashable, Sendable { case ascending, descending }
public enum NullsOrder: UInt8, Hashable, Sendable { case first, last }

/// A term of ORDER BY, and a column of an index, a key or a conflict target. A COLLATE is part of the expression.
public struct OrderingTerm: Hashable, Sendable {
  public var expression: Expression
  public var order: SortOrder
  /// nil: smallest, so first ascending and last descending.
  public var nulls: NullsOrder?

  public init(_ expression: Expression, order: SortOrder = .ascending, nulls: NullsOrder? = nil) {
    self.expression = expression
    self.order = order
    self.nulls = nulls
  }
}
