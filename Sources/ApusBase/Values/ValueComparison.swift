// The order of values: NULL, then numbers, then text, then blobs; and the built-in collations.
// Source: https://sqlite.org/datatype3.html#comparisons and #collating_sequences

extension Collation {
  /// The built-in collation of this name, in any case; nil where there is none.
  public init?(builtIn name: String) {
    switch name.lowercased() {
    case "binary": self = .binary
    case "nocase": self = .nocase
    case "rtrim": self = .rtrim
    default: return nil
    }
  }

  /// - Returns: negative, zero or positive.
  @inlinable @inline(__always)
  public func compare(_ left: ByteView, _ right: ByteView) -> Int {
    if case .binary = self { return left.compare(right) }
    return compareFolded(left, right)
  }

  @usableFromInline
  func compareFolded(_ left: ByteView, _ right: ByteView) -> Int {
    switch self {
    case .binary: left.compare(right)
    case .nocase: Collation.compareNoCase(left, right)
    case .rtrim: Collation.compareTrimmed(left, right)
    case .custom(let collation): collation.compare(left, right)
    }
  }

  // A zero byte ends the folded comparison, as in SQLite; the lengths then decide.
  public static func compareNoCase(_ left: ByteView, _ right: ByteView) -> Int {
    let shared = min(left.count, right.count)
    for offset in 0..<shared {
      let a = folded(left[offset])
      let b = folded(right[offset])
      if a != b { return Int(a) &- Int(b) }
      if a == 0 { break }
    }
    return left.count &- right.count
  }

  public static func compareTrimmed(_ left: ByteView, _ right: ByteView) -> Int {
    trimmed(left).compare(trimmed(right))
  }

  private static func trimmed(_ view: ByteView) -> ByteView {
    var count = view.count
    while count > 0, view[count &- 1] == 0x20 { count &-= 1 }
    return view.slice(0, count)
  }

  @inline(__always)
  private static func folded(_ byte: UInt8) -> UInt8 { byte &- 0x41 < 26 ? byte | 0x20 : byte }
}

public enum ValueComparison {
  /// The exact order of an integer and a double, neither rounded to the other. `real` is not NaN.
  @inlinable
  public static func order(_ integer: Int64, _ real: Double) -> Int {
    if real < -9_223_372_036_854_775_808.0 { return 1 }
    if !(real < 9_223_372_036_854_775_808.0) { return -1 }
    let whole = Int64(real)
    if integer != whole { return integer < whole ? -1 : 1 }
    // Equal up to the fraction that the conversion cut off.
    let fraction = real - Double(whole)
    return fraction > 0 ? -1 : (fraction < 0 ? 1 : 0)
  }

  /// The order of two values; NULL equals NULL here, as ORDER BY, GROUP BY and indexes see it.
  /// - Returns: negative, zero or positive.
  @inlinable
  public static func order(_ left: Value, _ right: Value, _ collation: Collation) -> Int {
    if left.kind == .integer, right.kind == .integer {
      let a = left.integerValue
      let b = right.integerValue
      return a < b ? -1 : (a > b ? 1 : 0)
    }
    if left.kind == .text, right.kind == .text { return collation.compare(left.bytes, right.bytes) }
    return mixedOrder(left, right)
  }

  @usableFromInline
  static func mixedOrder(_ left: Value, _ right: Value) -> Int {
    switch (left.kind, right.kind) {
    case (.null, .null): return 0
    case (.null, _): return -1
    case (_, .null): return 1
    case (.integer, .integer):
      let a = left.integerValue
      let b = right.integerValue
      return a < b ? -1 : (a > b ? 1 : 0)
    case (.integer, .real): return order(left.integerValue, right.realValue)
    case (.real, .integer): return -order(right.integerValue, left.realValue)
    case (.real, .real):
      let a = left.realValue
      let b = right.realValue
      return a < b ? -1 : (a > b ? 1 : 0)
    case (.integer, _), (.real, _): return -1
    case (_, .integer), (_, .real): return 1
    case (.text, .blob): return -1
    case (.blob, .text): return 1
    case (.text, .text), (.blob, .blob): return left.bytes.compare(right.bytes)
    }
  }
}
