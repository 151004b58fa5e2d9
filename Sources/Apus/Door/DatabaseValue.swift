// Values as applications hold them, and which Swift types can be bound to a statement.

/// A value of SQL, with ownership of its text or bytes.
public enum DatabaseValue: Sendable, Hashable {
  case null
  case integer(Int64)
  case real(Double)
  case text(String)
  case blob([UInt8])
}

/// A type whose values can be bound to a statement.
public protocol Bindable: Sendable {
  var databaseValue: DatabaseValue { get }
}

extension DatabaseValue: Bindable {
  public var databaseValue: DatabaseValue { self }
}

extension Int: Bindable {
  public var databaseValue: DatabaseValue { .integer(Int64(self)) }
}

extension Int64: Bindable {
  public var databaseValue: DatabaseValue { .integer(self) }
}

extension Int32: Bindable {
  public var databaseValue: DatabaseValue { .integer(Int64(self)) }
}

extension UInt32: Bindable {
  public var databaseValue: DatabaseValue { .integer(Int64(self)) }
}

extension Double: Bindable {
  /// NaN becomes NULL: SQL has none.
  public var databaseValue: DatabaseValue { .real(self) }
}

extension Bool: Bindable {
  public var databaseValue: DatabaseValue { .integer(self ? 1 : 0) }
}

extension String: Bindable {
  public var databaseValue: DatabaseValue { .text(self) }
}

extension [UInt8]: Bindable {
  public var databaseValue: DatabaseValue { .blob(self) }
}

extension Optional: Bindable where Wrapped: Bindable {
  public var databaseValue: DatabaseValue { self?.databaseValue ?? .null }
}
