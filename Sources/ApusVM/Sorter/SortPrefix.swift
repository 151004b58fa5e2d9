// Sort keys cut down to 64 bits: most comparisons of records become one comparison of integers.
//
//   bits   meaning
//     3    class: 1 NULL, 2 number, 3 text, 4 blob, 6 NULL where NULLs come last
//    61    number, where the column has shown integers only: the integer, cut off at 60 bits
//          number: the double's bits in an order that integers have, without the last three
//          text, blob: 7 bytes from some place on, then 5 bits: the byte count from there on, at most 8
//
// The order of prefixes never contradicts the order of values; equal prefixes say nothing unless both are exact. A
// descending column has all bits inverted. Texts that agree in their first bytes have another prefix behind these.

import ApusBase
import ApusStorage

/// A key column as trivial bytes.
struct SortColumn {
  enum Order: UInt8 { case binary, nocase, rtrim, custom }

  var order = Order.binary
  var isDescending = false
  var isNullsLast = false
  /// Numbers are coded as integers: there is no double among them.
  var hasIntegersOnly = false

  init() {}

  init(_ column: KeyColumn) {
    switch column.collation {
    case .binary: order = .binary
    case .nocase: order = .nocase
    case .rtrim: order = .rtrim
    case .custom: order = .custom
    }
    isDescending = column.isDescending
    isNullsLast = column.isNullsLast
  }
}

struct SortPrefix {
  /// What equal prefixes leave open.
  enum Rest: UInt8 {
    /// Nothing: no other value (in the sense of the column's order) has these bits.
    case none
    /// The text's or the blob's bytes behind those that are in the prefix.
    case bytes
    /// Records must be compared.
    case unknown
  }

  /// Bytes of a text in one prefix.
  static let byteCount = 7

  var bits: UInt64
  var rest: Rest
  var isExact: Bool { rest == .none }

  /// - Parameter depth: bytes of text and blobs that are left out, because they are known to be the same.
  @inline(__always)
  init(_ value: Value, _ column: SortColumn, behind depth: Int = 0) {
    switch value.kind {
    case .integer where column.hasIntegersOnly:
      let number = value.integerValue
      let most: Int64 = 1 << 60 - 1
      let cut = min(max(number, -most), most)
      self.init(
        bits: 2 << 61 | UInt64(bitPattern: cut &+ 1 << 60),
        rest: number.magnitude < UInt64(most) ? .none : .unknown)
    case .text where column.order == .binary: self.init(bytes: value.bytes, class: 3, behind: depth)
    default: self.init(other: value, column, depth)
    }
    if column.isDescending { bits = ~bits }
  }

  @inline(never)
  private init(other value: Value, _ column: SortColumn, _ depth: Int) {
    switch value.kind {
    case .null: self.init(bits: (column.isNullsLast ? 6 : 1) << 61, rest: .none)
    case .integer:
      let integer = value.integerValue
      self.init(number: Double(integer))
      if integer.magnitude >= 1 << 49 { rest = .unknown }
    case .real: self.init(number: value.realValue)
    case .text:
      switch column.order {
      case .binary: self.init(bytes: value.bytes, class: 3, behind: depth)
      case .nocase: self.init(folding: value.bytes, behind: depth)
      case .rtrim:
        let text = value.bytes
        var count = text.count
        while count > 0, text[count &- 1] == 0x20 { count &-= 1 }
        self.init(bytes: text.slice(0, count), class: 3, behind: depth)
      case .custom: self.init(bits: 3 << 61, rest: .unknown)
      }
    case .blob: self.init(bytes: value.bytes, class: 4, behind: depth)
    }
  }

  @inline(__always)
  private init(bits: UInt64, rest: Rest) {
    self.bits = bits
    self.rest = rest
  }

  private init(number: Double) {
    let pattern = number == 0 ? 0 : number.bitPattern
    // Negative doubles run backwards; the sign bit puts them first.
    let ordered = pattern >> 63 == 0 ? pattern | 1 << 63 : ~pattern
    bits = 2 << 61 | ordered >> 3
    rest = pattern & 7 == 0 ? .none : .unknown
  }

  @inline(__always)
  private init(bytes: ByteView, class number: UInt64, behind depth: Int) {
    let count = max(bytes.count &- depth, 0)
    var word: UInt64 = 0
    if count >= 8 {
      word = bytes.bigEndianUInt64(at: depth) >> 8
    } else {
      for index in 0..<min(count, 7) { word = word << 8 | UInt64(bytes[depth &+ index]) }
      word <<= UInt64(8 * (7 - min(count, 7)))
    }
    bits = number << 61 | word << 5 | UInt64(min(count, 8))
    rest = count <= 7 ? .none : .bytes
  }

  private init(folding bytes: ByteView, behind depth: Int) {
    let count = max(bytes.count &- depth, 0)
    var word: UInt64 = 0
    for index in 0..<min(count, 7) {
      var byte = bytes[depth &+ index]
      if byte &- 0x41 < 26 { byte |= 0x20 }
      // NOCASE looks no further than a zero byte; lengths decide then, which the comparison of records does.
      if byte == 0 {
        bits = 3 << 61 | (word << UInt64(8 * (7 - index))) << 5 | 8
        rest = .unknown
        return
      }
      word = word << 8 | UInt64(byte)
    }
    word <<= UInt64(8 * (7 - min(count, 7)))
    bits = 3 << 61 | word << 5 | UInt64(min(count, 8))
    rest = count <= 7 ? .none : .bytes
  }
}

/// Compares records column by column.
struct SortComparison {
  let order: KeyOrder
  let columnCount: Int

  /// - Parameter first: the columns before it are known to be equal.
  func compare(_ left: ByteView, _ right: ByteView, from first: Int = 0) -> Int {
    if columnCount == 1, let leftValue = RecordReader.first(left), let rightValue = RecordReader.first(right) {
      return order.compare(leftValue, rightValue, at: 0)
    }
    var leftReader = RecordReader(left)
    var rightReader = RecordReader(right)
    for column in 0..<columnCount {
      guard let leftValue = leftReader.next(), let rightValue = rightReader.next() else { return 0 }
      if column < first { continue }
      let result = order.compare(leftValue, rightValue, at: column)
      if result != 0 { return result }
    }
    return 0
  }
}
