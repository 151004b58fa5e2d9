// Names and places: the leaves that every part of the syntax tree carries.

import ApusBase

/// An identifier as the statement gave it, quotes removed. Two names are equal when their bytes differ in ASCII case only.
public struct Name: Hashable, Sendable, CustomStringConvertible {
  /// How the identifier was written.
  public enum Quote: UInt8, Sendable {
    case none
    /// `"x"`: where no column of that name exists, SQLite takes an expression `"x"` for the string `'x'`.
    case double
    /// `` `x` ``
    case backtick
    /// `[x]`
    case bracket
    /// `'x'`, which the grammar accepts as a name in most places.
    case single
  }

  /// The text, unquoted, in the writer's case.
  public let text: String
  /// `text` with A-Z folded to a-z: what names are looked up and compared by.
  public let key: ExactText
  public let quote: Quote

  public init(_ text: String, quote: Quote = .none) {
    self.text = text
    self.key = Name.fold(text)
    self.quote = quote
  }

  /// For callers that have folded the text already.
  init(text: String, key: ExactText, quote: Quote) {
    self.text = text
    self.key = key
    self.quote = quote
  }

  @inlinable public var isDoubleQuoted: Bool { quote == .double }
  @inlinable public var isQuoted: Bool { quote != .none }
  public var description: String { text }

  @inlinable public static func == (left: Name, right: Name) -> Bool { left.key == right.key }
  @inlinable public func hash(into hasher: inout Hasher) { hasher.combine(key) }

  /// The collating sequence that columns have where nothing else is said.
  public static let binary = Name("BINARY")
  /// What an unqualified name's database is called.
  public static let main = Name("main"), temp = Name("temp")

  /// Folds ASCII letters to lower case, as SQLite compares identifiers; other letters stay as they are.
  public static func fold(_ text: String) -> ExactText { ExactText.folding(text) }
}

extension Name: ExpressibleByStringLiteral {
  public init(stringLiteral value: String) { self.init(value) }
}

/// A byte offset into the statement's text. All offsets compare equal, so that trees compare by structure.
public struct SourceOffset: Hashable, Sendable {
  public var rawValue: Int32

  @inlinable public init(_ offset: Int) { rawValue = Int32(truncatingIfNeeded: offset) }
  @inlinable public var value: Int { Int(rawValue) }
  /// The node was not parsed from text.
  public static let none = SourceOffset(-1)

  @inlinable public static func == (_: SourceOffset, _: SourceOffset) -> Bool { true }
  @inlinable public func hash(into hasher: inout Hasher) {}
}

/// A half-open range of bytes of the text that was parsed. All spans compare equal, as offsets do.
public struct SourceSpan: Hashable, Sendable {
  public var start: Int32
  public var end: Int32

  @inlinable public init(_ start: Int, _ end: Int) {
    self.start = Int32(truncatingIfNeeded: start)
    self.end = Int32(truncatingIfNeeded: end)
  }
  @inlinable public var byteCount: Int { Int(end) - Int(start) }
  /// The node was not parsed from text.
  public static let none = SourceSpan(0, 0)

  @inlinable public static func == (_: SourceSpan, _: SourceSpan) -> Bool { true }
  @inlinable public func hash(into hasher: inout Hasher) {}
}
