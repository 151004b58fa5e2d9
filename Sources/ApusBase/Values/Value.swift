// One SQL value as the engine moves it: 16 trivial bytes, no reference counting.
//
//   offset  size  meaning
//        0     8  the integer, the double's bits, or the address of text or blob bytes
//        8     4  byte count of text or blob
//       12     1  kind
//       13     1  subtype (as sqlite3_value_subtype)
//       14     2  flags
//
// Text and blob bytes are not owned. They lie in a pinned page, in memory that the machine owns, or in the caller's
// hands, and whoever stores a value knows how long they stay. `unsafe` lives here: above this file, bytes are a ByteView.

@safe
public struct Value: @unchecked Sendable {
  public enum Kind: UInt8, Sendable {
    case null = 0, integer = 1, real = 2, text = 3, blob = 4
  }

  @usableFromInline var bits: UInt64
  @usableFromInline var byteCount: UInt32
  public let kind: Kind
  public var subtype: UInt8
  /// Free for the machine's use (for instance "this null is a cleared one", as a group's first comparison needs).
  public var flags: UInt16

  @inlinable @inline(__always)
  init(bits: UInt64, byteCount: UInt32, kind: Kind) {
    self.bits = bits
    self.byteCount = byteCount
    self.kind = kind
    self.subtype = 0
    self.flags = 0
  }

  @inlinable @inline(__always)
  public static var null: Value { Value(bits: 0, byteCount: 0, kind: .null) }

  @inlinable @inline(__always)
  public static func integer(_ value: Int64) -> Value {
    Value(bits: UInt64(bitPattern: value), byteCount: 0, kind: .integer)
  }

  /// A double; NaN becomes NULL, as SQLite has no NaN.
  @inlinable @inline(__always)
  public static func real(_ value: Double) -> Value {
    value.isNaN ? .null : Value(bits: value.bitPattern, byteCount: 0, kind: .real)
  }

  @inlinable @inline(__always)
  public static func boolean(_ value: Bool) -> Value { .integer(value ? 1 : 0) }

  /// Text whose bytes stay where they are; the caller keeps them alive.
  @inlinable @inline(__always)
  public static func text(_ bytes: ByteView) -> Value {
    unsafe Value(bits: UInt64(UInt(bitPattern: bytes.base)), byteCount: UInt32(bytes.count), kind: .text)
  }

  @inlinable @inline(__always)
  public static func blob(_ bytes: ByteView) -> Value {
    unsafe Value(bits: UInt64(UInt(bitPattern: bytes.base)), byteCount: UInt32(bytes.count), kind: .blob)
  }

  @inlinable @inline(__always)
  public var isNull: Bool { kind == .null }

  @inlinable @inline(__always)
  public var isNumeric: Bool { kind == .integer || kind == .real }

  @inlinable @inline(__always)
  public var hasBytes: Bool { kind == .text || kind == .blob }

  /// - Precondition: the kind is `.integer`.
  @inlinable @inline(__always)
  public var integerValue: Int64 {
    precondition(kind == .integer)
    return Int64(bitPattern: bits)
  }

  /// - Precondition: the kind is `.real`.
  @inlinable @inline(__always)
  public var realValue: Double {
    precondition(kind == .real)
    return Double(bitPattern: bits)
  }

  /// The bytes of text or blob as stored, no conversion.
  /// - Precondition: the kind is `.text` or `.blob`.
  @inlinable @inline(__always)
  public var bytes: ByteView {
    precondition(kind == .text || kind == .blob)
    return unsafe ByteView(
      unchecked: UnsafeRawPointer(bitPattern: UInt(bits)) ?? ByteView.emptyBase, count: Int(byteCount))
  }

  /// The same value with its bytes at another place (after a copy of them was made there).
  @inlinable @inline(__always)
  public func relocated(to bytes: ByteView) -> Value {
    precondition(hasBytes && bytes.count == Int(byteCount))
    var copy = unsafe Value(bits: UInt64(UInt(bitPattern: bytes.base)), byteCount: byteCount, kind: kind)
    copy.subtype = subtype
    copy.flags = flags
    return copy
  }
}

/// A bounds-checked run of values that somebody else owns: a function's arguments, a record's fields, a key's columns.
@safe
public struct ValueRange: @unchecked Sendable {
  @usableFromInline let base: UnsafePointer<Value>
  public let count: Int

  @unsafe
  @inlinable @inline(__always)
  public init(unchecked base: UnsafePointer<Value>, count: Int) {
    precondition(count >= 0)
    unsafe self.base = base
    self.count = count
  }

  /// No values; its address is never read.
  @inlinable
  public static var empty: ValueRange {
    unsafe ValueRange(unchecked: UnsafePointer(bitPattern: 16).unsafelyUnwrapped, count: 0)
  }

  @inlinable @inline(__always)
  public subscript(index: Int) -> Value {
    precondition(UInt(bitPattern: index) < UInt(bitPattern: count))
    return unsafe base[index]
  }

  @inlinable @inline(__always)
  public func prefix(_ length: Int) -> ValueRange {
    precondition(length >= 0 && length <= count)
    return unsafe ValueRange(unchecked: base, count: length)
  }

  @inlinable @inline(__always)
  public func dropFirst(_ length: Int) -> ValueRange {
    precondition(length >= 0 && length <= count)
    return unsafe ValueRange(unchecked: base + length, count: count &- length)
  }
}
