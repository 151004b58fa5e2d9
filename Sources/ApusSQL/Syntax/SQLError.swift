// What the parser throws, and the bounds it keeps.

/// A text that is no statement. The result code is SQLITE_ERROR (1), the message SQLite's word for word.
public struct SQLError: Error, Hashable, Sendable, CustomStringConvertible {
  public var message: String
  /// The byte offset of the offending token, as `sqlite3_error_offset` gives it; -1 where none applies.
  public var offset: Int

  public init(_ message: String, at offset: Int) {
    self.message = message
    self.offset = offset
  }
  public var description: String { message }
}

/// The limits of `sqlite3_limit` that concern the text, with SQLite's defaults.
public struct SQLLimits: Hashable, Sendable {
  /// SQLITE_LIMIT_LENGTH of the text.
  public var sqlByteCountMax = 1_000_000_000
  /// SQLITE_LIMIT_COLUMN: of a table, an index, a result, a SET list or a row of VALUES.
  public var columnCountMax = 2000
  /// SQLITE_LIMIT_EXPR_DEPTH.
  public var expressionDepthMax = 1000
  /// SQLITE_LIMIT_COMPOUND_SELECT.
  public var compoundCountMax = 500
  /// SQLITE_LIMIT_FUNCTION_ARG.
  public var functionArgumentCountMax = 1000
  /// SQLITE_LIMIT_VARIABLE_NUMBER.
  public var parameterNumberMax = 32766

  public init() {}
  public static let `default` = SQLLimits()
}
