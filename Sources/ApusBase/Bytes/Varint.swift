// SQLite's variable-length integer: 1 to 9 bytes, big-endian, seven bits a byte with the high bit as "more follows";
// the ninth byte gives all its eight bits. Source: https://sqlite.org/fileformat2.html#varint

public enum Varint {
  /// The most bytes one can take.
  public static let byteCountMax = 9

  /// How many bytes `value` takes.
  @inlinable @inline(__always)
  public static func byteCount(_ value: UInt64) -> Int {
    if value < 0x80 { return 1 }
    let bits = 64 &- value.leadingZeroBitCount
    return bits > 56 ? 9 : (bits &+ 6) / 7
  }
}

extension ByteView {
  /// The varint at `offset` and the offset just behind it; nil where it runs over the view's end.
  @inlinable @inline(__always)
  public func varint(at offset: Int) -> (value: UInt64, end: Int)? {
    guard UInt(bitPattern: offset) < UInt(bitPattern: count) else { return nil }
    let first = self[offset]
    if first < 0x80 { return (UInt64(first), offset &+ 1) }
    return longVarint(at: offset)
  }

  @inlinable
  public func longVarint(at offset: Int) -> (value: UInt64, end: Int)? {
    var value: UInt64 = 0
    var position = offset
    for _ in 0..<8 {
      guard position < count else { return nil }
      let byte = self[position]
      position &+= 1
      value = value << 7 | UInt64(byte & 0x7f)
      if byte < 0x80 { return (value, position) }
    }
    guard position < count else { return nil }
    return (value << 8 | UInt64(self[position]), position &+ 1)
  }
}

extension MutableByteView {
  /// Writes `value` at `offset` and returns the offset just behind it.
  @inlinable
  public func setVarint(_ value: UInt64, at offset: Int) -> Int {
    if value < 0x80 {
      self[offset] = UInt8(truncatingIfNeeded: value)
      return offset &+ 1
    }
    let length = Varint.byteCount(value)
    var rest = value
    if length == 9 {
      self[offset &+ 8] = UInt8(truncatingIfNeeded: rest)
      rest >>= 8
      for index in stride(from: 7, through: 0, by: -1) {
        self[offset &+ index] = UInt8(truncatingIfNeeded: rest & 0x7f) | 0x80
        rest >>= 7
      }
      return offset &+ 9
    }
    for index in stride(from: length &- 1, through: 0, by: -1) {
      let more: UInt8 = index == length &- 1 ? 0 : 0x80
      self[offset &+ index] = UInt8(truncatingIfNeeded: rest & 0x7f) | more
      rest >>= 7
    }
    return offset &+ length
  }
}
