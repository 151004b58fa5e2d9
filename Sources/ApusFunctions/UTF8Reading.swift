// Characters of UTF-8 text, read as forgivingly as SQLite reads them: a stray continuation byte is a character of its own,
// and an overlong or forbidden sequence is U+FFFD.

import ApusBase

extension ByteView {
  /// The offset just behind the character at `offset`, which is inside the view.
  @inline(__always)
  func characterEnd(_ offset: Int) -> Int {
    var end = offset &+ 1
    if self[offset] >= 0xc0 {
      while end < count, self[end] & 0xc0 == 0x80 { end &+= 1 }
    }
    return end
  }

  /// The code point at `offset`, and the offset just behind it.
  func character(at offset: Int) -> (code: UInt32, end: Int) {
    let lead = self[offset]
    var end = offset &+ 1
    if lead < 0xc0 { return (UInt32(lead), end) }
    var code: UInt32
    switch lead {
    case 0xc0...0xdf: code = UInt32(lead & 0x1f)
    case 0xe0...0xef: code = UInt32(lead & 0x0f)
    case 0xf0...0xf7: code = UInt32(lead & 0x07)
    case 0xf8...0xfb: code = UInt32(lead & 0x03)
    case 0xfc...0xfd: code = UInt32(lead & 0x01)
    default: code = 0
    }
    while end < count, self[end] & 0xc0 == 0x80 {
      code = code << 6 &+ UInt32(self[end] & 0x3f)
      end &+= 1
    }
    let isForbidden = code < 0x80 || code & 0xffff_f800 == 0xd800 || code & 0xffff_fffe == 0xfffe
    return (isForbidden ? 0xfffd : code, end)
  }

  /// The bytes before the first NUL: what functions see that work on C strings.
  func untilNUL() -> ByteView {
    var end = 0
    let low: UInt64 = 0x0101_0101_0101_0101
    while end &+ 8 <= count {
      let word = bigEndianUInt64(at: end)
      if (word &- low) & ~word & (low << 7) != 0 { break }
      end &+= 8
    }
    while end < count, self[end] != 0 { end &+= 1 }
    return slice(0, end)
  }

  /// How many characters there are.
  var characterCount: Int {
    var characters = 0
    var offset = 0
    while offset < count {
      if offset &+ 8 <= count, bigEndianUInt64(at: offset) & 0x8080_8080_8080_8080 == 0 {
        offset &+= 8
        characters &+= 8
        continue
      }
      offset = characterEnd(offset)
      characters &+= 1
    }
    return characters
  }
}

extension ByteBuffer {
  /// The UTF-8 form of `code`, surrogates and all; of numbers beyond 21 bits, the low bits.
  mutating func append(character code: UInt32) {
    func byte(_ value: UInt32) -> UInt8 { UInt8(truncatingIfNeeded: value) }
    if code < 0x80 {
      append(byte(code))
    } else if code < 0x800 {
      append(byte(0xc0 | code >> 6))
      append(byte(0x80 | code & 0x3f))
    } else if code < 0x10000 {
      append(byte(0xe0 | code >> 12))
      append(byte(0x80 | code >> 6 & 0x3f))
      append(byte(0x80 | code & 0x3f))
    } else {
      append(byte(0xf0 | code >> 18 & 0x07))
      append(byte(0x80 | code >> 12 & 0x3f))
      append(byte(0x80 | code >> 6 & 0x3f))
      append(byte(0x80 | code & 0x3f))
    }
  }
}

/// The value of a hexadecimal digit; nil where it is none.
@inline(__always)
func hexadecimalDigit(_ byte: UInt8) -> UInt8? {
  switch byte {
  case 0x30...0x39: byte &- 0x30
  case 0x41...0x46: byte &- 0x37
  case 0x61...0x66: byte &- 0x57
  default: nil
  }
}
