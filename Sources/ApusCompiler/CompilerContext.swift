// What a statement is compiled against.

import ApusBase
import ApusSQL
import ApusVM

/// Pragmas that change the meaning of statements or the programs made of them.
public struct CompilerSettings: Sendable {
  public var doubleQuotedStrings = true
  public var automaticIndex = true
  public var reverseUnorderedSelects = false
  public var foreignKeys = false
  public var recursiveTriggers = false
  public var countChanges = false
  public var caseSensitiveLike = false
  public var ignoreCheckConstraints = false
  public var writableSchema = false
  public var queryOnly = false
  /// Pragmas that are unknown, or whose value has no effect, fail instead of leaving a warning.
  public var strictPragmas = false
  /// How the connection's databases store text.
  public var textEncoding = TextEncoding.utf8
  /// SQLITE_LIMIT_COLUMN.
  public var columnCountMax = 2000
  /// Most tables of one FROM.
  public static let joinTableCountMax = 64

  public init() {}
}

public struct CompilerContext {
  public var schemas: SchemaSet
  public var functions: FunctionRegistry
  /// Collating sequences of the application by folded name.
  public var collations: [ExactText: Collation]
  public var settings: CompilerSettings
  /// No transaction is open.
  public var isAutocommit: Bool
  /// The files of the databases, for `PRAGMA database_list`; absent for those without a file.
  public var databasePaths: [Int: String] = [:]

  public init(
    schemas: SchemaSet, functions: FunctionRegistry, collations: [ExactText: Collation] = [:],
    settings: CompilerSettings = CompilerSettings(), isAutocommit: Bool = true
  ) {
    self.schemas = schemas
    self.functions = functions
    self.collations = collations
    self.settings = settings
    self.isAutocommit = isAutocommit
  }

  /// The collation of this name; nil means BINARY.
  func collation(_ name: Name?) throws(EngineError) -> Collation { try Self.collation(name, collations) }

  static func collation(_ name: Name?, _ collations: [ExactText: Collation]) throws(EngineError) -> Collation {
    guard let name else { return .binary }
    switch name.key {
    case "binary": return .binary
    case "nocase": return .nocase
    case "rtrim": return .rtrim
    default:
      if let found = collations[name.key] { return found }
      throw EngineError(.errorMissingCollation, "no such collation sequence: \(name.text)")
    }
  }
}
