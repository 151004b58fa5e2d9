// Serial types: how one value of a record is stored.
//
//   type   bytes  value                          type        bytes      value
//      0       0  NULL                              7            8      double, big-endian
//    1-4     1-4  integer, big-endian             8,9            0      integers 0 and 1
//      5       6  integer                       10,11            -      reserved: read as NULL, of no bytes
//      6       8  integer                       N>=12    (N-12)/2      blob where N is even, text where it is odd
//
// Source: https://sqlite.org/fileformat2.html#record_format
// `unsafe` lives here: `load` reads a value whose bytes the caller has checked to be there.

import ApusBase

enum SerialType {
  static let null: UInt64 = 0, real: UInt64 = 7, zero: UInt64 = 8, one: UInt64 = 9, firstBlob: UInt64 = 12

  /// Bytes that a value of this type takes in the record's body.
  @inline(__always)
  static func byteCount(_ type: UInt64) -> Int {
    if type >= firstBlob { return Int(truncatingIfNeeded: (type &- firstBlob) >> 1) }
    // One hexadecimal digit per type, 0 first.
    return Int(truncatingIfNeeded: (0x8864_3210 as UInt64) >> (type &* 4)) & 0xf
  }

  @inline(__always)
  static func of(_ integer: Int64) -> UInt64 {
    let magnitude = UInt64(bitPattern: integer < 0 ? ~integer : integer)
    if magnitude <= 0x7f { return integer == 0 ? zero : (integer == 1 ? one : 1) }
    if magnitude <= 0x7fff { return 2 }
    if magnitude <= 0x7f_ffff { return 3 }
    if magnitude <= 0x7fff_ffff { return 4 }
    return magnitude <= 0x7fff_ffff_ffff ? 5 : 6
  }

  @inline(__always)
  static func of(_ value: Value) -> UInt64 {
    switch value.kind {
    case .null: return null
    case .integer: return of(value.integerValue)
    case .real: return real
    case .text: return UInt64(truncatingIfNeeded: value.bytes.count &* 2 &+ 13)
    case .blob: return UInt64(truncatingIfNeeded: value.bytes.count &* 2 &+ 12)
    }
  }

  /// As `value`, without bounds checks.
  /// - Precondition: `byteCount` bytes, those of the type, can be read at `base`, and so can the eight before their end: on
  ///   a page the page header lies before them.
  @unsafe
  @inline(__always)
  static func load(_ type: UInt64, _ byteCount: Int, _ base: UnsafeRawPointer) -> Value {
    if type &- 1 < 6 {
      // The eight bytes that end with the integer's: what is before it is shifted out.
      let word = unsafe UInt64(bigEndian: base.loadUnaligned(fromByteOffset: byteCount &- 8, as: UInt64.self))
      let shift = UInt64(truncatingIfNeeded: 64 &- byteCount &* 8)
      return .integer(Int64(bitPattern: word &<< shift) &>> Int64(bitPattern: shift))
    }
    switch type {
    case real: return unsafe .real(Double(bitPattern: UInt64(bigEndian: base.loadUnaligned(as: UInt64.self))))
    case zero: return .integer(0)
    case one: return .integer(1)
    default:
      if type < firstBlob { return .null }
      let content = unsafe ByteView(unchecked: base, count: byteCount)
      return type & 1 == 0 ? .blob(content) : .text(content)
    }
  }

  /// The value of `type` whose bytes start at `offset`. Text and blob point into `bytes`.
  /// - Precondition: `offset + byteCount(type)` lies inside `bytes`.
  @inline(__always)
  static func value(_ type: UInt64, _ bytes: ByteView, at offset: Int) -> Value {
    switch type {
    case 1: return .integer(Int64(Int8(bitPattern: bytes[offset])))
    case 2: return .integer(Int64(Int16(truncatingIfNeeded: bytes.bigEndianUInt16(at: offset))))
    case 3:
      let high = Int64(Int8(bitPattern: bytes[offset]))
      return .integer(high << 16 | Int64(bytes.bigEndianUInt16(at: offset &+ 1)))
    case 4: return .integer(Int64(Int32(bitPattern: bytes.bigEndianUInt32(at: offset))))
    case 5:
      let high = Int64(Int16(truncatingIfNeeded: bytes.bigEndianUInt16(at: offset)))
      return .integer(high << 32 | Int64(bytes.bigEndianUInt32(at: offset &+ 2)))
    case 6: return .integer(Int64(bitPattern: bytes.bigEndianUInt64(at: offset)))
    case real: return .real(Double(bitPattern: bytes.bigEndianUInt64(at: offset)))
    case zero: return .integer(0)
    case one: return .integer(1)
    default:
      if type < firstBlob { return .null }
      let content = bytes.slice(offset, byteCount(type))
      return type & 1 == 0 ? .blob(content) : .text(content)
    }
  }
}
