// Which Swift types a column of a row can be read as. Reading is strict: text is no number and NULL no zero.

import ApusBase

/// A type that a column's value can be read as.
public protocol ColumnDecodable: Sendable {
  /// - Throws: `ApusError` with the code `mismatch` where the value is of another kind or does not fit.
  init(column: borrowing ColumnReader) throws(ApusError)
}

/// One column of a row, while it is read.
public struct ColumnReader: ~Copyable {
  let stored: Value

  init(_ stored: Value) { self.stored = stored }

  public var isNull: Bool { stored.isNull }

  /// The value with a copy of its text or bytes. Invalid UTF-8 is repaired; `withBytes` gives it as it is.
  public var value: DatabaseValue {
    switch stored.kind {
    case .null: .null
    case .integer: .integer(stored.integerValue)
    case .real: .real(stored.realValue)
    case .text: .text(stored.bytes.string)
    case .blob: .blob(stored.bytes.array)
    }
  }

  /// The bytes of a text or a blob, without a copy; none for the other kinds.
  public func withBytes<R, E: Error>(_ body: (RawSpan) throws(E) -> R) throws(E) -> R {
    try stored.hasBytes ? stored.bytes.withSpan(body) : ByteView.empty.withSpan(body)
  }

  /// What a conforming type throws for a value that it cannot be.
  public func mismatch(_ expected: String) -> ApusError {
    let found =
      switch stored.kind {
      case .null: "NULL"
      case .integer: "INTEGER \(stored.integerValue)"
      case .real: "REAL \(stored.realValue)"
      case .text: "TEXT of \(stored.bytes.count) bytes"
      case .blob: "BLOB of \(stored.bytes.count) bytes"
      }
    return ApusError(
      .mismatch, "datatype mismatch", cause: "expected \(expected), found \(found)",
      hint: stored.isNull ? "read the column as an optional, or exclude NULLs in the query" : nil)
  }

  func integer<T: FixedWidthInteger>(_ expected: String) throws(ApusError) -> T {
    guard stored.kind == .integer, let value = T(exactly: stored.integerValue) else { throw mismatch(expected) }
    return value
  }
}

extension DatabaseValue: ColumnDecodable {
  public init(column: borrowing ColumnReader) throws(ApusError) { self = column.value }
}

extension Int: ColumnDecodable {
  public init(column: borrowing ColumnReader) throws(ApusError) { self = try column.integer("Int") }
}

extension Int64: ColumnDecodable {
  public init(column: borrowing ColumnReader) throws(ApusError) { self = try column.integer("Int64") }
}

extension Int32: ColumnDecodable {
  public init(column: borrowing ColumnReader) throws(ApusError) { self = try column.integer("Int32") }
}

extension UInt32: ColumnDecodable {
  public init(column: borrowing ColumnReader) throws(ApusError) { self = try column.integer("UInt32") }
}

extension Double: ColumnDecodable {
  /// An integer is taken where a Double holds it exactly.
  public init(column: borrowing ColumnReader) throws(ApusError) {
    switch column.stored.kind {
    case .real: self = column.stored.realValue
    case .integer:
      guard let value = Double(exactly: column.stored.integerValue) else { throw column.mismatch("Double") }
      self = value
    case .null, .text, .blob: throw column.mismatch("Double")
    }
  }
}

extension Bool: ColumnDecodable {
  /// 0 or 1.
  public init(column: borrowing ColumnReader) throws(ApusError) {
    guard column.stored.kind == .integer, column.stored.integerValue & ~1 == 0 else { throw column.mismatch("Bool") }
    self = column.stored.integerValue == 1
  }
}

extension String: ColumnDecodable {
  public init(column: borrowing ColumnReader) throws(ApusError) {
    guard column.stored.kind == .text else { throw column.mismatch("String") }
    self = column.stored.bytes.string
  }
}

extension [UInt8]: ColumnDecodable {
  public init(column: borrowing ColumnReader) throws(ApusError) {
    guard column.stored.kind == .blob else { throw column.mismatch("[UInt8]") }
    self = column.stored.bytes.array
  }
}

extension Optional: ColumnDecodable where Wrapped: ColumnDecodable {
  public init(column: borrowing ColumnReader) throws(ApusError) {
    self = column.isNull ? nil : try Wrapped(column: column)
  }
}
