// Statements, and what the parser says about one beside its tree.

public indirect enum Statement: Hashable, Sendable {
  case select(Select)
  case insert(Insert)
  case update(Update)
  case delete(Delete)
  case createTable(CreateTable)
  case createIndex(CreateIndex)
  case createView(CreateView)
  case createTrigger(CreateTrigger)
  case createVirtualTable(CreateVirtualTable)
  case alterTable(AlterTable)
  case drop(Drop)
  case pragma(Pragma)
  case begin(TransactionMode)
  /// COMMIT and END.
  case commit
  case rollback
  case savepoint(Name)
  case release(Name)
  case rollbackTo(Name)
  case attach(database: Expression, name: Expression, key: Expression?)
  case detach(Expression)
  case vacuum(schema: Name?, into: Expression?)
  /// `ANALYZE`, `ANALYZE name`, `ANALYZE schema.name`.
  case analyze(schema: Name?, name: Name?)
  /// `REINDEX`, `REINDEX name`, `REINDEX schema.name`.
  case reindex(schema: Name?, name: Name?)
}

/// How BEGIN takes its locks; a plain BEGIN is deferred.
public enum TransactionMode: UInt8, Hashable, Sendable, CaseIterable {
  case deferred, immediate, exclusive
  /// Ours: a transaction that writes beside others and is checked for conflicts when it commits.
  case concurrent
}

public struct Pragma: Hashable, Sendable {
  public enum Argument: Hashable, Sendable {
    /// A word or a quoted text; also ON, DELETE and DEFAULT.
    case name(Name)
    /// A number with its sign, as it was written.
    case number(String)

    /// The argument's text without quotes, as SQLite hands it to the pragma.
    public var text: String {
      switch self {
      case .name(let name): name.text
      case .number(let text): text
      }
    }
  }
  public var schema: Name?
  public var name: Name
  /// nil for `PRAGMA name`; `PRAGMA name = x` and `PRAGMA name(x)` mean the same.
  public var argument: Argument?
  public var offset: SourceOffset

  public init(schema: Name? = nil, name: Name, argument: Argument? = nil, offset: SourceOffset = .none) {
    self.schema = schema
    self.name = name
    self.argument = argument
    self.offset = offset
  }
}

public enum Explain: UInt8, Hashable, Sendable { case none, program, queryPlan }

/// One statement of a text.
public struct ParsedStatement: Sendable {
  public var statement: Statement
  public var explain: Explain
  /// From the statement's first token to the end of its `;`, or of the text.
  public var span: SourceSpan
  /// The highest parameter number: what `sqlite3_bind_parameter_count` gives.
  public var parameterCount: Int
  /// The names, with their sigils, by index - 1; nil for those without. Shorter than `parameterCount` if the last have none.
  public var parameterNames: [String?]

  public init(
    statement: Statement, explain: Explain = .none, span: SourceSpan = .none, parameterCount: Int = 0,
    parameterNames: [String?] = []
  ) {
    self.statement = statement
    self.explain = explain
    self.span = span
    self.parameterCount = parameterCount
    self.parameterNames = parameterNames
  }

  /// Where the text after this statement begins.
  public var end: Int { Int(span.end) }
}
