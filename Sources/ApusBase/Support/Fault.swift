// What stops an instruction: a wait, after which it is executed again from its start, or a failure.
// Fast paths pay one register test for the typed throw; nothing is allocated unless a failure is built.

/// A request in flight in an I/O queue.
public struct Ticket: RawRepresentable, Hashable, Sendable {
  public var rawValue: UInt64

  @inlinable
  public init(rawValue: UInt64) { self.rawValue = rawValue }
}

/// What an instruction waits for before it can be executed again.
public enum Wait: Hashable, Sendable {
  /// The request behind the ticket, in the connection's own I/O queue.
  case completion(Ticket)
  /// A moment of the environment's monotonic clock, in nanoseconds: a lock is tried again then, or when the
  /// connection's alarm rings.
  case moment(UInt64)
  /// Another connection of the process, which rings the connection's alarm (`Alarm`); at that moment it is looked whether it should
  /// have. No lock is waited for.
  case signal(until: UInt64)
  /// Nothing: execute again at once. The debug switch that makes operations fault at random uses it.
  case nothing
}

/// A failure, as every layer reports it. A class, so that a throwing function returns one pointer.
///
/// `message` is SQLite's, word for word; the rest is what SQLite does not give.
public final class EngineError: Error, Sendable, CustomStringConvertible {
  /// SQLite's extended result code.
  public let code: ResultCode
  public let message: String
  /// Byte offset of the offending token in the SQL text.
  public let sqlOffset: Int?
  /// What it happened to: a file's path, "table t", "page 17 cell 3".
  public let object: String?
  /// What lay below: "pwrite: No space left on device (28)".
  public let cause: String?
  /// What to do about it.
  public let hint: String?

  public init(
    _ code: ResultCode, _ message: String? = nil, sqlOffset: Int? = nil, object: String? = nil, cause: String? = nil,
    hint: String? = nil
  ) {
    self.code = code
    self.message = message ?? code.standardMessage
    self.sqlOffset = sqlOffset
    self.object = object
    self.cause = cause
    self.hint = hint
  }

  public var description: String {
    var text = message
    if let object { text += " [\(object)]" }
    if let cause { text += ": \(cause)" }
    if let hint { text += " (\(hint))" }
    return text
  }
}

/// Why an instruction stopped short.
public enum Fault: Error, Sendable {
  case wait(Wait)
  case failure(EngineError)

  @inline(never)
  public static func error(
    _ code: ResultCode, _ message: String? = nil, object: String? = nil, cause: String? = nil, hint: String? = nil
  ) -> Fault {
    .failure(EngineError(code, message, object: object, cause: cause, hint: hint))
  }

  /// A damaged page: SQLite's code and message, and where the damage is.
  @inline(never)
  public static func corrupt(_ page: PageNumber, _ cause: StaticString, cell: Int? = nil) -> Fault {
    let place = cell.map { "page \(page.rawValue) cell \($0)" } ?? "page \(page.rawValue)"
    let hint = "run PRAGMA integrity_check; restore from a backup"
    return .failure(EngineError(.corrupt, object: place, cause: "\(cause)", hint: hint))
  }
}
