// SELECT and VALUES: cores joined by compound operators, under one WITH, ORDER BY and LIMIT.

public struct Select: Hashable, Sendable {
  public var with: With?
  public var first: SelectCore
  /// The further cores of a compound; all compound operators have one precedence and associate to the left.
  public var compounds: [Compound]
  public var orderBy: [OrderingTerm]
  public var limit: Limit?

  public struct Compound: Hashable, Sendable {
    public var `operator`: CompoundOperator
    public var core: SelectCore
    public var offset: SourceOffset

    public init(_ `operator`: CompoundOperator, _ core: SelectCore, offset: SourceOffset = .none) {
      self.operator = `operator`
      self.core = core
      self.offset = offset
    }
  }

  public init(
    with: With? = nil, first: SelectCore, compounds: [Compound] = [], orderBy: [OrderingTerm] = [],
    limit: Limit? = nil
  ) {
    self.with = with
    self.first = first
    self.compounds = compounds
    self.orderBy = orderBy
    self.limit = limit
  }
}

public enum CompoundOperator: UInt8, Hashable, Sendable, CaseIterable { case union, unionAll, intersect, except }

public indirect enum SelectCore: Hashable, Sendable {
  case query(Query)
  /// `VALUES (...), (...)`; all rows have the same number of values.
  case values([[Expression]], SourceOffset)
}

/// One `SELECT ... FROM ... WHERE ... GROUP BY ... HAVING ... WINDOW ...`.
public struct Query: Hashable, Sendable {
  public var isDistinct: Bool
  public var columns: [ResultColumn]
  /// nil without FROM.
  public var from: FromClause?
  public var filter: Expression?
  public var groupBy: [Expression]
  public var having: Expression?
  public var windows: [NamedWindow]
  /// The place of the keyword SELECT.
  public var offset: SourceOffset

  public init(
    isDistinct: Bool = false, columns: [ResultColumn], from: FromClause? = nil, filter: Expression? = nil,
    groupBy: [Expression] = [], having: Expression? = nil, windows: [NamedWindow] = [], offset: SourceOffset = .none
  ) {
    self.isDistinct = isDistinct
    self.columns = columns
    self.from = from
    self.filter = filter
    self.groupBy = groupBy
    self.having = having
    self.windows = windows
    self.offset = offset
  }
}

/// A result column, of SELECT or RETURNING.
public enum ResultColumn: Hashable, Sendable {
  /// `expression [AS alias]`; `span` is the expression's text, which names the column where there is no alias.
  case expression(Expression, alias: Name?, span: SourceSpan)
  case star(SourceOffset)
  case tableStar(Name, SourceOffset)
}

public struct NamedWindow: Hashable, Sendable {
  public var name: Name
  public var definition: WindowDefinition

  public init(name: Name, definition: WindowDefinition) {
    self.name = name
    self.definition = definition
  }
}

public struct Limit: Hashable, Sendable {
  public var count: Expression
  public var offset: Expression?

  public init(count: Expression, offset: Expression? = nil) {
    self.count = count
    self.offset = offset
  }
}

public struct With: Hashable, Sendable {
  public var isRecursive: Bool
  public var tables: [CommonTable]

  public init(isRecursive: Bool = false, tables: [CommonTable]) {
    self.isRecursive = isRecursive
    self.tables = tables
  }
}

public enum Materialization: UInt8, Hashable, Sendable, CaseIterable { case materialized, notMaterialized }

/// `name(columns) AS [[NOT] MATERIALIZED] (select)`
public struct CommonTable: Hashable, Sendable {
  public var name: Name
  public var columns: [Name]
  public var materialization: Materialization?
  public var select: Select
  public var offset: SourceOffset

  public init(
    name: Name, columns: [Name] = [], materialization: Materialization? = nil, select: Select,
    offset: SourceOffset = .none
  ) {
    self.name = name
    self.columns = columns
    self.materialization = materialization
    self.select = select
    self.offset = offset
  }
}

/// The tables of FROM from left to right; joins associate to the left.
public struct FromClause: Hashable, Sendable {
  public var terms: [JoinTerm]
  public init(_ terms: [JoinTerm]) { self.terms = terms }
}

public struct JoinTerm: Hashable, Sendable {
  /// How the term is joined with what stands left of it; nil for the first one.
  public var join: JoinOperator?
  public var source: TableSource
  public var constraint: JoinConstraint

  public init(join: JoinOperator? = nil, source: TableSource, constraint: JoinConstraint = .none) {
    self.join = join
    self.source = source
    self.constraint = constraint
  }
}

public struct JoinOperator: Hashable, Sendable {
  public enum Kind: UInt8, Hashable, Sendable, CaseIterable { case comma, inner, cross, left, right, full }
  public var kind: Kind
  public var isNatural: Bool

  public init(_ kind: Kind, isNatural: Bool = false) {
    self.kind = kind
    self.isNatural = isNatural
  }
}

public enum JoinConstraint: Hashable, Sendable {
  case none
  case on(Expression)
  case using([Name])
}

public indirect enum TableSource: Hashable, Sendable {
  case table(TableReference)
  /// A table-valued function.
  case function(schema: Name?, name: Name, arguments: [Expression], alias: Name?, SourceOffset)
  case subquery(Select, alias: Name?, SourceOffset)
  /// Parenthesised joins.
  case nested(FromClause, alias: Name?, SourceOffset)
}

public enum IndexHint: Hashable, Sendable {
  case none
  case indexedBy(Name)
  case notIndexed
}

/// A table by name, in FROM or as the target of INSERT, UPDATE and DELETE.
public struct TableReference: Hashable, Sendable {
  public var schema: Name?
  public var name: Name
  public var alias: Name?
  public var hint: IndexHint
  public var offset: SourceOffset

  public init(
    schema: Name? = nil, name: Name, alias: Name? = nil, hint: IndexHint = .none, offset: SourceOffset = .none
  ) {
    self.schema = schema
    self.name = name
    self.alias = alias
    self.hint = hint
    self.offset = offset
  }
}
