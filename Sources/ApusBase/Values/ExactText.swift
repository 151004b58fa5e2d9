// Text that is equal byte by byte, as SQLite compares names and the texts of statements. Swift's `String` takes spellings for
// equal that Unicode calls equivalent: `é` as one scalar and as two.

public struct ExactText: Hashable, Comparable, Sendable, ExpressibleByStringLiteral, CustomStringConvertible {
  public let string: String

  @inlinable public init(_ string: String) { self.string = string }
  @inlinable public init(stringLiteral value: String) { self.string = value }

  /// Folds ASCII letters to lower case, as SQLite compares names; other letters stay as they are.
  public static func folding(_ text: String) -> ExactText {
    if !text.utf8.contains(where: { $0 &- 0x41 < 26 }) { return ExactText(text) }
    return ExactText(String(decoding: text.utf8.map { $0 &- 0x41 < 26 ? $0 | 0x20 : $0 }, as: UTF8.self))
  }

  public var description: String { string }
  @inlinable public var utf8: String.UTF8View { string.utf8 }
  @inlinable public func hasPrefix(_ prefix: ExactText) -> Bool { utf8.starts(with: prefix.utf8) }

  /// O(n). What differs at all is told apart by one comparison of memory in most cases.
  @inlinable public static func == (left: ExactText, right: ExactText) -> Bool {
    if left.utf8.count != right.utf8.count || left.string != right.string { return false }
    return left.string.utf8Span.isKnownASCII || left.utf8.elementsEqual(right.utf8)
  }

  /// Equal bytes are equal strings: the string's own hash serves.
  @inlinable public func hash(into hasher: inout Hasher) { hasher.combine(string) }

  /// In order of the bytes.
  public static func < (left: ExactText, right: ExactText) -> Bool { left.utf8.lexicographicallyPrecedes(right.utf8) }
}
