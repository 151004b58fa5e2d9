// The error of the Swift API.

import ApusBase

/// What went wrong: SQLite's code and message word for word, and beside them where, why and what to do.
public struct ApusError: Error, Sendable, CustomStringConvertible {
  /// SQLite's extended result code, with the numbers of its C API. Source: https://sqlite.org/rescode.html
  public struct Code: RawRepresentable, Hashable, Sendable {
    public var rawValue: Int32
    public init(rawValue: Int32) { self.rawValue = rawValue }

    public static let error = Code(rawValue: 1), permission = Code(rawValue: 3), abort = Code(rawValue: 4)
    public static let busy = Code(rawValue: 5), locked = Code(rawValue: 6), noMemory = Code(rawValue: 7)
    public static let readOnly = Code(rawValue: 8), interrupt = Code(rawValue: 9), ioError = Code(rawValue: 10)
    public static let corrupt = Code(rawValue: 11), full = Code(rawValue: 13), cannotOpen = Code(rawValue: 14)
    public static let schema = Code(rawValue: 17), tooBig = Code(rawValue: 18), constraint = Code(rawValue: 19)
    public static let mismatch = Code(rawValue: 20), misuse = Code(rawValue: 21), range = Code(rawValue: 25)
    public static let notADatabase = Code(rawValue: 26)
    public static let busySnapshot = Code(rawValue: 517), constraintCheck = Code(rawValue: 275)
    public static let constraintForeignKey = Code(rawValue: 787), constraintNotNull = Code(rawValue: 1299)
    public static let constraintPrimaryKey = Code(rawValue: 1555), constraintUnique = Code(rawValue: 2067)

    /// The code's family: its low byte.
    public var primary: Code { Code(rawValue: rawValue & 0xff) }
  }

  public var code: Code
  /// SQLite's message, word for word.
  public var message: String
  /// The statement's text; bound values are never part of it.
  public var sql: String?
  /// Byte offset of the offending token in `sql`.
  public var offset: Int?
  /// What it happened to: a file's path, a page, a column of the result.
  public var object: String?
  /// What lay below: "pwrite: No space left on device (28)".
  public var cause: String?
  /// What to do about it.
  public var hint: String?

  public init(
    _ code: Code, _ message: String, sql: String? = nil, offset: Int? = nil, object: String? = nil,
    cause: String? = nil, hint: String? = nil
  ) {
    self.code = code
    self.message = message
    self.sql = sql
    self.offset = offset
    self.object = object
    self.cause = cause
    self.hint = hint
  }

  init(_ error: EngineError, sql: String? = nil) {
    self.init(
      Code(rawValue: error.code.rawValue), error.message, sql: sql, offset: error.sqlOffset, object: error.object,
      cause: error.cause, hint: error.hint)
  }

  /// True where the same transaction may succeed when it is run again: others were in its way.
  public var isRetryable: Bool { code.primary == .busy || code.primary == .locked }

  public var description: String {
    var text = message
    if let object { text += " [\(object)]" }
    if let cause { text += ": \(cause)" }
    if let hint { text += " (\(hint))" }
    if let sql { text += "; in: \(sql)" }
    return text
  }
}
