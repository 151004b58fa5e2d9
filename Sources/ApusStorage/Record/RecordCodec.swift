// Records: a header of serial types, then the values' bytes.
//
//   varint  header size in bytes, itself included
//   varint  serial type of each column
//   bytes   each column's value
//
// Source: https://sqlite.org/fileformat2.html#record_format
// `unsafe` lives here: the quick encoder writes without bounds checks into room that it has reserved.

import ApusBase

public enum RecordCodec {
  /// The longest record: SQLite's default limit on a row.
  public static let byteCountMax = 1_000_000_000

  /// Replaces the buffer's bytes by the record of `values`. Integers take their smallest form.
  /// - Throws: `string or blob too big` where the record exceeds a row's limit.
  public static func encode(_ values: ValueRange, into buffer: inout ByteBuffer) throws(Fault) {
    if encodeQuickly(values, &buffer) { return }
    var headerBytes = 0
    var bodyBytes = 0
    for index in 0..<values.count {
      let type = SerialType.of(values[index])
      headerBytes &+= type < 0x80 ? 1 : Varint.byteCount(type)
      bodyBytes &+= SerialType.byteCount(type)
    }
    // The size counts its own bytes.
    var sizeBytes = 1
    while Varint.byteCount(UInt64(headerBytes &+ sizeBytes)) > sizeBytes { sizeBytes &+= 1 }
    headerBytes &+= sizeBytes
    guard headerBytes &+ bodyBytes <= byteCountMax else { throw Fault.error(.tooBig) }
    buffer.resize(to: headerBytes &+ bodyBytes)
    let target = buffer.mutableBytes
    var header = target.setVarint(UInt64(headerBytes), at: 0)
    var body = headerBytes
    for index in 0..<values.count {
      let value = values[index]
      let type = SerialType.of(value)
      header = target.setVarint(type, at: header)
      body = store(value, type, target, at: body)
    }
  }

  /// The usual row: few columns, no text or blob longer than 57 bytes, so that every length takes one byte and the header's
  /// size is known beforehand.
  @inline(__always)
  private static func encodeQuickly(_ values: ValueRange, _ buffer: inout ByteBuffer) -> Bool {
    guard values.count < 100 else { return false }
    buffer.reserve(quickByteCountMax(values.count))
    buffer.removeAll()
    let byteCount = unsafe encodeQuickly(values, buffer.mutableBytes.unsafeBase)
    if byteCount < 0 { return false }
    buffer.resize(to: byteCount)
    return true
  }

  /// Room that `encodeQuickly` wants for so many values, of which none takes more than 57 bytes.
  @inlinable @inline(__always)
  public static func quickByteCountMax(_ valueCount: Int) -> Int { 16 &+ 58 &* valueCount }

  /// Writes the record of `values` to the front of `target`, which has room for `quickByteCountMax`.
  /// - Returns: its byte count; -1 where it is not the usual row: `encode` takes it.
  public static func encodeQuickly(_ values: ValueRange, to target: MutableByteView) -> Int {
    guard values.count < 100 else { return -1 }
    precondition(target.count >= quickByteCountMax(values.count))
    return unsafe encodeQuickly(values, target.unsafeBase)
  }

  @inline(__always)
  private static func encodeQuickly(_ values: ValueRange, _ base: UnsafeMutableRawPointer) -> Int {
    let count = values.count
    var body = count &+ 1
    unsafe base.storeBytes(of: UInt8(truncatingIfNeeded: body), as: UInt8.self)
    for index in 0..<count {
      let value = values[index]
      var type: UInt64
      switch value.kind {
      case .null: type = SerialType.null
      case .integer:
        let number = value.integerValue
        type = SerialType.of(number)
        #if PlantedBugs
          if type == SerialType.zero, PlantedBug.isActive(.canary) { type = SerialType.one }
        #endif
        let bytes = SerialType.byteCount(type)
        // The low bytes of the number, the highest of them first: stored as eight, the rest is overwritten.
        if bytes > 0 {
          let shifted = UInt64(bitPattern: number) &<< UInt64(truncatingIfNeeded: 64 &- 8 &* bytes)
          unsafe base.storeBytes(of: shifted.bigEndian, toByteOffset: body, as: UInt64.self)
        }
        body &+= bytes
      case .real:
        type = SerialType.real
        unsafe base.storeBytes(of: value.realValue.bitPattern.bigEndian, toByteOffset: body, as: UInt64.self)
        body &+= 8
      case .text, .blob:
        let bytes = value.bytes
        if bytes.count > 57 { return -1 }
        type = UInt64(truncatingIfNeeded: bytes.count &* 2) &+ (value.kind == .text ? 13 : 12)
        unsafe (base + body).copyMemory(from: bytes.unsafeBase, byteCount: bytes.count)
        body &+= bytes.count
      }
      unsafe base.storeBytes(of: UInt8(truncatingIfNeeded: type), toByteOffset: index &+ 1, as: UInt8.self)
    }
    return body
  }

  @inline(__always)
  static func store(_ value: Value, _ type: UInt64, _ target: MutableByteView, at offset: Int) -> Int {
    switch value.kind {
    case .null: return offset
    case .integer:
      let bits = UInt64(bitPattern: value.integerValue)
      switch type {
      case 1: target[offset] = UInt8(truncatingIfNeeded: bits)
      case 2: target.setBigEndianUInt16(Int(truncatingIfNeeded: bits), at: offset)
      case 3:
        target[offset] = UInt8(truncatingIfNeeded: bits >> 16)
        target.setBigEndianUInt16(Int(truncatingIfNeeded: bits), at: offset &+ 1)
      case 4: target.setBigEndianUInt32(UInt32(truncatingIfNeeded: bits), at: offset)
      case 5:
        target.setBigEndianUInt16(Int(truncatingIfNeeded: bits >> 32), at: offset)
        target.setBigEndianUInt32(UInt32(truncatingIfNeeded: bits), at: offset &+ 2)
      case 6: target.setBigEndianUInt64(bits, at: offset)
      default: break
      }
      return offset &+ SerialType.byteCount(type)
    case .real:
      target.setBigEndianUInt64(value.realValue.bitPattern, at: offset)
      return offset &+ 8
    case .text, .blob:
      target.copy(value.bytes, to: offset)
      return offset &+ value.bytes.count
    }
  }
}

/// Reads a record that lies in one piece, column by column from the front. The record may be damaged.
public struct RecordReader {
  private let bytes: ByteView
  private let headerEnd: Int
  private var header: Int
  private var body: Int
  /// True where the record contradicts itself; what was read before still holds.
  public private(set) var isDamaged = false

  public init(_ bytes: ByteView) {
    self.bytes = bytes
    if let (size, end) = bytes.varint(at: 0), size <= UInt64(bytes.count), size >= UInt64(end) {
      headerEnd = Int(size)
      header = end
      body = Int(size)
    } else {
      headerEnd = 0
      header = 0
      body = 0
      isDamaged = true
    }
  }

  /// The next column's value; nil behind the last one, and where the record is damaged.
  public mutating func next() -> Value? {
    guard header < headerEnd, !isDamaged else { return nil }
    guard let (type, end) = bytes.varint(at: header), end <= headerEnd,
      SerialType.byteCount(type) <= bytes.count &- body, type < 1 << 33
    else {
      isDamaged = true
      return nil
    }
    let value = SerialType.value(type, bytes, at: body)
    header = end
    body &+= SerialType.byteCount(type)
    return value
  }

  /// The first column of a record; nil where there is none.
  public static func first(_ bytes: ByteView) -> Value? {
    if bytes.count >= 2, bytes[0] >= 2, bytes[0] < 0x80, bytes[1] < 0x80 {
      let type = UInt64(bytes[1])
      let offset = Int(bytes[0])
      if offset <= bytes.count &- SerialType.byteCount(type) { return SerialType.value(type, bytes, at: offset) }
    }
    var reader = RecordReader(bytes)
    return reader.next()
  }

  /// Puts the columns of a record side by side, at most `room` of them.
  /// - Returns: how many the record has; more than `room` where some are missing.
  @unsafe
  public static func unpack(_ bytes: ByteView, into target: UnsafeMutablePointer<Value>, room: Int) -> Int {
    // The usual record: every length in its header takes one byte.
    if bytes.count > 0, bytes[0] > 0, bytes[0] < 0x80, Int(bytes[0]) <= bytes.count {
      let headerEnd = Int(bytes[0])
      var header = 1
      var body = headerEnd
      while header < headerEnd, header <= room {
        let type = UInt64(bytes[header])
        let length = SerialType.byteCount(type)
        if type >= 0x80 || length > bytes.count &- body { break }
        unsafe (target + header - 1).initialize(to: SerialType.value(type, bytes, at: body))
        header &+= 1
        body &+= length
      }
      if header >= headerEnd { return headerEnd &- 1 }
    }
    var reader = RecordReader(bytes)
    var count = 0
    while let value = reader.next() {
      if count < room { unsafe (target + count).initialize(to: value) }
      count &+= 1
    }
    return count
  }

  /// All columns; for tests and the edges of the engine.
  public static func values(_ bytes: ByteView) -> [Value] {
    var reader = RecordReader(bytes)
    var values: [Value] = []
    while let value = reader.next() { values.append(value) }
    return values
  }
}
