// Sort keys cut down to 64 bits: most comparisons of records become one comparison of integers.
//
//   bits   meaning
//     3    class: 1 NULL, 2 number, 3 text, 4 blob, 6 NULL where NULLs come last
//    61    number: the double's bits in an order that integers have, without the last three
//          text, blob: the first 7 bytes, then 5 bits: the byte count, at most 8
//
// The order of prefixes never contradicts the order of values; equal prefixes say nothing unless both are exact. A
// descending column has all bits inverted.

import ApusBase
import ApusStorage

struct SortPrefix {
  var bits: UInt64
  /// True where no other value (in the sense of the column's order) has these bits.
  var isExact: Bool

  init(_ value: Value, _ column: KeyColumn) {
    switch value.kind {
    case .null:
      bits = (column.isNullsLast ? 6 : 1) << 61
      isExact = true
    case .integer:
      let integer = value.integerValue
      self = SortPrefix(number: Double(integer))
      if integer.magnitude >= 1 << 49 { isExact = false }
    case .real: self = SortPrefix(number: value.realValue)
    case .text: self = SortPrefix(text: value.bytes, column.collation)
    case .blob: self = SortPrefix(bytes: value.bytes, class: 4, folding: false)
    }
    if column.isDescending { bits = ~bits }
  }

  private init(bits: UInt64, isExact: Bool) {
    self.bits = bits
    self.isExact = isExact
  }

  private init(number: Double) {
    let pattern = number == 0 ? 0 : number.bitPattern
    // Negative doubles run backwards; the sign bit puts them first.
    let ordered = pattern >> 63 == 0 ? pattern | 1 << 63 : ~pattern
    bits = 2 << 61 | ordered >> 3
    isExact = pattern & 7 == 0
  }

  private init(text: ByteView, _ collation: Collation) {
    switch collation {
    case .binary: self.init(bytes: text, class: 3, folding: false)
    case .nocase: self.init(bytes: text, class: 3, folding: true)
    case .rtrim:
      var count = text.count
      while count > 0, text[count &- 1] == 0x20 { count &-= 1 }
      self.init(bytes: text.slice(0, count), class: 3, folding: false)
    case .custom: self.init(bits: 3 << 61, isExact: false)
    }
  }

  private init(bytes: ByteView, class number: UInt64, folding: Bool) {
    var word: UInt64 = 0
    let length = min(bytes.count, 7)
    if !folding, bytes.count >= 8 {
      word = bytes.bigEndianUInt64(at: 0) >> 8
    } else {
      for index in 0..<length {
        var byte = bytes[index]
        if folding {
          if byte &- 0x41 < 26 { byte |= 0x20 }
          // NOCASE looks no further than a zero byte; lengths decide then, which the comparison of records does.
          if byte == 0 {
            bits = number << 61 | (word << UInt64(8 * (7 - index))) << 5
            isExact = false
            return
          }
        }
        word = word << 8 | UInt64(byte)
      }
      word <<= UInt64(8 * (7 - length))
    }
    bits = number << 61 | word << 5 | UInt64(min(bytes.count, 8))
    isExact = bytes.count <= 7
  }
}
