// Type affinity and the built-in collating sequences. Source: https://sqlite.org/datatype3.html

/// What a column or an expression would like its values to be. The raw values are the letters of SQLite's EXPLAIN.
public enum Affinity: UInt8, Sendable {
  case blob = 0x41, text = 0x42, numeric = 0x43, integer = 0x44, real = 0x45
  /// An expression without affinity (a literal, a computed value).
  case none = 0x40
}

/// A collating sequence that the application registered: an order on text bytes.
public protocol CustomCollation: AnyObject, Sendable {
  var name: String { get }
  /// Negative, zero or positive. It must be a total order that never changes while an index uses it.
  func compare(_ left: ByteView, _ right: ByteView) -> Int
}

/// How text is ordered.
public enum Collation: Sendable {
  /// Byte by byte.
  case binary
  /// Byte by byte with the 26 ASCII capitals folded.
  case nocase
  /// Byte by byte with trailing spaces ignored.
  case rtrim
  case custom(any CustomCollation)

  public var name: String {
    switch self {
    case .binary: "BINARY"
    case .nocase: "NOCASE"
    case .rtrim: "RTRIM"
    case .custom(let collation): collation.name
    }
  }
}
