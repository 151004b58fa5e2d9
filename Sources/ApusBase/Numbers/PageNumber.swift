// Distinct numbers have distinct types, so that a frame is not looked up as a page.

/// A 1-based page index; zero on disk means "no page".
public struct PageNumber: RawRepresentable, Hashable, Comparable, Sendable, CustomStringConvertible {
  public var rawValue: UInt32

  @inlinable @inline(__always)
  public init(rawValue: UInt32) { self.rawValue = rawValue }

  @inlinable @inline(__always)
  public init(_ rawValue: UInt32) { self.rawValue = rawValue }

  @inlinable @inline(__always)
  public static func < (left: PageNumber, right: PageNumber) -> Bool { left.rawValue < right.rawValue }

  public static let none = PageNumber(0)
  /// The page that holds the file header and the root of `sqlite_schema`.
  public static let one = PageNumber(1)

  @inlinable @inline(__always)
  public var isNone: Bool { rawValue == 0 }

  public var description: String { "page \(rawValue)" }
}

/// A 1-based index of a frame in the write-ahead log; zero means "not in the log".
public struct FrameNumber: RawRepresentable, Hashable, Comparable, Sendable {
  public var rawValue: UInt32

  @inlinable @inline(__always)
  public init(rawValue: UInt32) { self.rawValue = rawValue }

  @inlinable @inline(__always)
  public init(_ rawValue: UInt32) { self.rawValue = rawValue }

  @inlinable @inline(__always)
  public static func < (left: FrameNumber, right: FrameNumber) -> Bool { left.rawValue < right.rawValue }

  public static let none = FrameNumber(0)
}
