// INSERT, UPDATE and DELETE.

/// `OR ...` and `ON CONFLICT ...`.
public enum ConflictAction: UInt8, Hashable, Sendable, CaseIterable { case rollback, abort, fail, ignore, replace }

public struct Insert: Hashable, Sendable {
  public var with: With?
  /// `REPLACE INTO` is `INSERT OR REPLACE INTO`.
  public var conflict: ConflictAction?
  public var table: TableReference
  /// Empty where no column list was written.
  public var columns: [Name]
  public var source: InsertSource
  public var upserts: [Upsert]
  public var returning: [ResultColumn]

  public init(
    with: With? = nil, conflict: ConflictAction? = nil, table: TableReference, columns: [Name] = [],
    source: InsertSource, upserts: [Upsert] = [], returning: [ResultColumn] = []
  ) {
    self.with = with
    self.conflict = conflict
    self.table = table
    self.columns = columns
    self.source = source
    self.upserts = upserts
    self.returning = returning
  }
}

public enum InsertSource: Hashable, Sendable {
  case defaultValues
  /// Also VALUES, which is a select.
  case select(Select)
}

/// `ON CONFLICT [(targets) [WHERE filter]] DO ...`
public struct Upsert: Hashable, Sendable {
  public enum Action: Hashable, Sendable {
    case nothing
    case update([Assignment], filter: Expression?)
  }
  /// Empty: any uniqueness constraint.
  public var targets: [OrderingTerm]
  public var targetFilter: Expression?
  public var action: Action

  public init(targets: [OrderingTerm] = [], targetFilter: Expression? = nil, action: Action) {
    self.targets = targets
    self.targetFilter = targetFilter
    self.action = action
  }
}

/// `column = value` or `(columns) = row value`.
public struct Assignment: Hashable, Sendable {
  public var columns: [Name]
  /// Whether the columns stood in parentheses.
  public var isRow: Bool
  public var value: Expression
  public var offset: SourceOffset

  public init(columns: [Name], isRow: Bool = false, value: Expression, offset: SourceOffset = .none) {
    self.columns = columns
    self.isRow = isRow
    self.value = value
    self.offset = offset
  }
}

public struct Update: Hashable, Sendable {
  public var with: With?
  public var conflict: ConflictAction?
  public var table: TableReference
  public var assignments: [Assignment]
  public var from: FromClause?
  public var filter: Expression?
  public var returning: [ResultColumn]
  public var orderBy: [OrderingTerm]
  public var limit: Limit?

  public init(
    with: With? = nil, conflict: ConflictAction? = nil, table: TableReference, assignments: [Assignment],
    from: FromClause? = nil, filter: Expression? = nil, returning: [ResultColumn] = [],
    orderBy: [OrderingTerm] = [], limit: Limit? = nil
  ) {
    self.with = with
    self.conflict = conflict
    self.table = table
    self.assignments = assignments
    self.from = from
    self.filter = filter
    self.returning = returning
    self.orderBy = orderBy
    self.limit = limit
  }
}

public struct Delete: Hashable, Sendable {
  public var with: With?
  public var table: TableReference
  public var filter: Expression?
  public var returning: [ResultColumn]
  public var orderBy: [OrderingTerm]
  public var limit: Limit?

  public init(
    with: With? = nil, table: TableReference, filter: Expression? = nil, returning: [ResultColumn] = [],
    orderBy: [OrderingTerm] = [], limit: Limit? = nil
  ) {
    self.with = with
    self.table = table
    self.filter = filter
    self.returning = returning
    self.orderBy = orderBy
    self.limit = limit
  }
}
