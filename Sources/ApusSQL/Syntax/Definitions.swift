// CREATE, ALTER and DROP. The span `definition` runs from the object's unqualified name to the statement's last token:
// `sqlite_schema` stores "CREATE TABLE " (or another heading, see `SchemaText`) and that text.

public struct CreateTable: Hashable, Sendable {
  public enum Body: Hashable, Sendable {
    case columns([ColumnDefinition], constraints: [TableConstraint], options: TableOptions)
    case select(Select)
  }
  public var isTemporary: Bool
  public var ifNotExists: Bool
  public var schema: Name?
  public var name: Name
  public var body: Body
  public var offset: SourceOffset
  public var definition: SourceSpan

  public init(
    isTemporary: Bool = false, ifNotExists: Bool = false, schema: Name? = nil, name: Name, body: Body,
    offset: SourceOffset = .none, definition: SourceSpan = .none
  ) {
    self.isTemporary = isTemporary
    self.ifNotExists = ifNotExists
    self.schema = schema
    self.name = name
    self.body = body
    self.offset = offset
    self.definition = definition
  }
}

public struct TableOptions: OptionSet, Hashable, Sendable {
  public var rawValue: UInt8
  public init(rawValue: UInt8) { self.rawValue = rawValue }
  public static let withoutRowID = TableOptions(rawValue: 1)
  public static let strict = TableOptions(rawValue: 2)
}

public struct ColumnDefinition: Hashable, Sendable {
  public var name: Name
  public var type: TypeName?
  public var constraints: [ColumnConstraint]
  public var offset: SourceOffset

  public init(name: Name, type: TypeName? = nil, constraints: [ColumnConstraint] = [], offset: SourceOffset = .none) {
    self.name = name
    self.type = type
    self.constraints = constraints
    self.offset = offset
  }
}

public struct ColumnConstraint: Hashable, Sendable {
  public enum Kind: Hashable, Sendable {
    case primaryKey(order: SortOrder, conflict: ConflictAction?, isAutoincrement: Bool)
    case notNull(conflict: ConflictAction?)
    /// `NULL`, which says nothing.
    case null(conflict: ConflictAction?)
    case unique(conflict: ConflictAction?)
    /// The span is the text between the parentheses, which names a failed check.
    case check(Expression, SourceSpan)
    /// The span is the default's text, without its parentheses.
    case `default`(Expression, SourceSpan)
    case collate(Name)
    case references(ForeignKeyReference)
    case generated(Expression, isStored: Bool)
    /// A name without a constraint, which SQLite accepts and ignores.
    case nameOnly
  }
  public var name: Name?
  public var kind: Kind
  public var offset: SourceOffset

  public init(name: Name? = nil, _ kind: Kind, offset: SourceOffset = .none) {
    self.name = name
    self.kind = kind
    self.offset = offset
  }
}

public struct TableConstraint: Hashable, Sendable {
  public enum Kind: Hashable, Sendable {
    case primaryKey([OrderingTerm], isAutoincrement: Bool, conflict: ConflictAction?)
    case unique([OrderingTerm], conflict: ConflictAction?)
    case check(Expression, conflict: ConflictAction?, SourceSpan)
    case foreignKey([Name], ForeignKeyReference)
    /// A name without a constraint, which SQLite accepts and ignores.
    case nameOnly
  }
  public var name: Name?
  public var kind: Kind
  public var offset: SourceOffset

  public init(name: Name? = nil, _ kind: Kind, offset: SourceOffset = .none) {
    self.name = name
    self.kind = kind
    self.offset = offset
  }
}

public enum ReferenceAction: UInt8, Hashable, Sendable, CaseIterable {
  case noAction, restrict, setNull, setDefault, cascade
}

/// `REFERENCES table(columns) ON DELETE ... ON UPDATE ... [NOT] DEFERRABLE ...`
public struct ForeignKeyReference: Hashable, Sendable {
  public var table: Name
  /// Empty: the parent's primary key.
  public var columns: [Name]
  public var onDelete: ReferenceAction
  public var onUpdate: ReferenceAction
  /// `MATCH name`, which SQLite parses and ignores.
  public var match: Name?
  /// `DEFERRABLE INITIALLY DEFERRED`: the only form that defers.
  public var isDeferred: Bool

  public init(
    table: Name, columns: [Name] = [], onDelete: ReferenceAction = .noAction, onUpdate: ReferenceAction = .noAction,
    match: Name? = nil, isDeferred: Bool = false
  ) {
    self.table = table
    self.columns = columns
    self.onDelete = onDelete
    self.onUpdate = onUpdate
    self.match = match
    self.isDeferred = isDeferred
  }
}

public struct CreateIndex: Hashable, Sendable {
  public var isUnique: Bool
  public var ifNotExists: Bool
  public var schema: Name?
  public var name: Name
  public var table: Name
  public var columns: [OrderingTerm]
  public var filter: Expression?
  public var offset: SourceOffset
  /// The place of the table's name.
  public var tableOffset: SourceOffset
  public var definition: SourceSpan

  public init(
    isUnique: Bool = false, ifNotExists: Bool = false, schema: Name? = nil, name: Name, table: Name,
    columns: [OrderingTerm], filter: Expression? = nil, offset: SourceOffset = .none,
    tableOffset: SourceOffset = .none, definition: SourceSpan = .none
  ) {
    self.isUnique = isUnique
    self.ifNotExists = ifNotExists
    self.schema = schema
    self.name = name
    self.table = table
    self.columns = columns
    self.filter = filter
    self.offset = offset
    self.tableOffset = tableOffset
    self.definition = definition
  }
}

public struct CreateView: Hashable, Sendable {
  public var isTemporary: Bool
  public var ifNotExists: Bool
  public var schema: Name?
  public var name: Name
  /// Empty where no column list was written.
  public var columns: [Name]
  public var select: Select
  public var offset: SourceOffset
  public var definition: SourceSpan

  public init(
    isTemporary: Bool = false, ifNotExists: Bool = false, schema: Name? = nil, name: Name, columns: [Name] = [],
    select: Select, offset: SourceOffset = .none, definition: SourceSpan = .none
  ) {
    self.isTemporary = isTemporary
    self.ifNotExists = ifNotExists
    self.schema = schema
    self.name = name
    self.columns = columns
    self.select = select
    self.offset = offset
    self.definition = definition
  }
}

public struct CreateTrigger: Hashable, Sendable {
  public enum Timing: UInt8, Hashable, Sendable, CaseIterable { case before, after, insteadOf }
  public enum Event: Hashable, Sendable {
    case delete
    case insert
    /// Empty: any column.
    case update(of: [Name])
  }
  public enum Step: Hashable, Sendable {
    case insert(Insert)
    case update(Update)
    case delete(Delete)
    case select(Select)
  }
  public var isTemporary: Bool
  public var ifNotExists: Bool
  public var schema: Name?
  public var name: Name
  /// BEFORE where none was written.
  public var timing: Timing
  public var event: Event
  public var table: TableReference
  public var filter: Expression?
  public var steps: [Step]
  public var offset: SourceOffset
  public var definition: SourceSpan

  public init(
    isTemporary: Bool = false, ifNotExists: Bool = false, schema: Name? = nil, name: Name, timing: Timing = .before,
    event: Event, table: TableReference, filter: Expression? = nil, steps: [Step], offset: SourceOffset = .none,
    definition: SourceSpan = .none
  ) {
    self.isTemporary = isTemporary
    self.ifNotExists = ifNotExists
    self.schema = schema
    self.name = name
    self.timing = timing
    self.event = event
    self.table = table
    self.filter = filter
    self.steps = steps
    self.offset = offset
    self.definition = definition
  }
}

public struct CreateVirtualTable: Hashable, Sendable {
  public var ifNotExists: Bool
  public var schema: Name?
  public var name: Name
  public var module: Name
  /// The module's arguments as they were written, outer blanks removed.
  public var arguments: [String]
  public var offset: SourceOffset
  public var definition: SourceSpan

  public init(
    ifNotExists: Bool = false, schema: Name? = nil, name: Name, module: Name, arguments: [String] = [],
    offset: SourceOffset = .none, definition: SourceSpan = .none
  ) {
    self.ifNotExists = ifNotExists
    self.schema = schema
    self.name = name
    self.module = module
    self.arguments = arguments
    self.offset = offset
    self.definition = definition
  }
}

public struct AlterTable: Hashable, Sendable {
  public enum Action: Hashable, Sendable {
    case rename(to: Name)
    case renameColumn(Name, to: Name)
    /// The span is the column's definition, which is added to the table's text.
    case addColumn(ColumnDefinition, SourceSpan)
    case dropColumn(Name)
    /// A named or unnamed CHECK; the first span is the whole constraint's text.
    case addConstraint(TableConstraint, SourceSpan)
    case dropConstraint(Name)
    case setNotNull(Name, conflict: ConflictAction?)
    case dropNotNull(Name)
  }
  public var table: TableReference
  public var action: Action

  public init(table: TableReference, action: Action) {
    self.table = table
    self.action = action
  }
}

public struct Drop: Hashable, Sendable {
  public enum Kind: UInt8, Hashable, Sendable, CaseIterable { case table, index, view, trigger }
  public var kind: Kind
  public var ifExists: Bool
  public var schema: Name?
  public var name: Name
  public var offset: SourceOffset

  public init(_ kind: Kind, ifExists: Bool = false, schema: Name? = nil, name: Name, offset: SourceOffset = .none) {
    self.kind = kind
    self.ifExists = ifExists
    self.schema = schema
    self.name = name
    self.offset = offset
  }
}
