// The encodings that a database's text may have, and the ways between them. Source: https://sqlite.org/fileformat2.html#enc
//
// Registers hold UTF-8; records of a UTF-16 database hold its own. The ways there and back lose nothing of valid text,
// nor of UTF-16 with surrogates that stand alone: those become three bytes in UTF-8, as in the encoding called WTF-8, and turn
// back into what they were. A last odd byte is dropped, as SQLite drops it; other bytes that are not UTF-8 become U+FFFD.

public enum TextEncoding: UInt32, Sendable {
  case utf8 = 1, utf16LittleEndian, utf16BigEndian

  /// As PRAGMA encoding says it.
  public var name: String {
    switch self {
    case .utf8: "UTF-8"
    case .utf16LittleEndian: "UTF-16le"
    case .utf16BigEndian: "UTF-16be"
    }
  }

  /// What PRAGMA encoding takes; "UTF-16" is this machine's byte order.
  public init?(named name: String) {
    switch name.lowercased() {
    case "utf8", "utf-8": self = .utf8
    case "utf16", "utf-16", "utf16le", "utf-16le": self = .utf16LittleEndian
    case "utf16be", "utf-16be": self = .utf16BigEndian
    default: return nil
    }
  }

  private var lowByte: Int { self == .utf16LittleEndian ? 0 : 1 }

  // MARK: UTF-8 to UTF-16

  /// Appends `text`, which is UTF-8, in this encoding.
  public func append(_ text: ByteView, to buffer: inout ByteBuffer) {
    if self == .utf8 { return buffer.append(text) }
    let start = buffer.count
    buffer.resize(to: start + 2 * text.count)
    let target = buffer.mutableBytes
    let low = lowByte
    var reader = UTF8Reader(text)
    var place = start
    func put(_ unit: UInt32) {
      target[place + low] = UInt8(truncatingIfNeeded: unit)
      target[place + 1 - low] = UInt8(truncatingIfNeeded: unit >> 8)
      place += 2
    }
    while let scalar = reader.next() {
      if scalar < 0x1_0000 {
        put(scalar)
      } else {
        put(0xd800 + (scalar - 0x1_0000) >> 10)
        put(0xdc00 + (scalar - 0x1_0000) & 0x3ff)
      }
    }
    buffer.resize(to: place)
  }

  /// Bytes that `text`, which is UTF-8, takes in this encoding.
  public func byteCount(_ text: ByteView) -> Int {
    if self == .utf8 { return text.count }
    var reader = UTF8Reader(text)
    var count = 0
    while let scalar = reader.next() { count += scalar < 0x1_0000 ? 2 : 4 }
    return count
  }

  // MARK: UTF-16 to UTF-8

  /// Appends `text`, which has this encoding, as UTF-8.
  public func appendUTF8(_ text: ByteView, to buffer: inout ByteBuffer) {
    if self == .utf8 { return buffer.append(text) }
    let start = buffer.count
    buffer.resize(to: start + text.count / 2 * 3)
    let target = buffer.mutableBytes
    let low = lowByte
    let end = text.count & ~1
    var place = start
    var source = 0
    func unit(at offset: Int) -> UInt32 { UInt32(text[offset + low]) | UInt32(text[offset + 1 - low]) << 8 }
    func put(_ byte: UInt32) {
      target[place] = UInt8(truncatingIfNeeded: byte)
      place += 1
    }
    while source < end {
      var scalar = unit(at: source)
      source += 2
      if scalar < 0x80 {
        put(scalar)
        continue
      }
      if scalar & 0xfc00 == 0xd800, source < end {
        let next = unit(at: source)
        if next & 0xfc00 == 0xdc00 {
          scalar = 0x1_0000 + (scalar & 0x3ff) << 10 + next & 0x3ff
          source += 2
        }
      }
      if scalar < 0x800 {
        put(0xc0 | scalar >> 6)
      } else {
        if scalar < 0x1_0000 {
          put(0xe0 | scalar >> 12)
        } else {
          put(0xf0 | scalar >> 18)
          put(0x80 | scalar >> 12 & 0x3f)
        }
        put(0x80 | scalar >> 6 & 0x3f)
      }
      put(0x80 | scalar & 0x3f)
    }
    buffer.resize(to: place)
  }

  // MARK: Order

  /// The order of two texts in UTF-8 as SQLite's BINARY has it in this encoding: by its bytes.
  public func order(_ left: ByteView, _ right: ByteView) -> Int {
    if self == .utf8 { return left.compare(right) }
    var same = 0
    let shared = min(left.count, right.count)
    while same < shared, left[same] == right[same] { same += 1 }
    // Back to where the first character begins that differs.
    while same > 0, same < shared, left[same] & 0xc0 == 0x80 || right[same] & 0xc0 == 0x80 { same -= 1 }
    var ours = UTF8Reader(left.suffix(from: same)), theirs = UTF8Reader(right.suffix(from: same))
    while true {
      switch (ours.nextUnit(), theirs.nextUnit()) {
      case (nil, nil): return 0
      case (nil, _): return -1
      case (_, nil): return 1
      case (let a?, let b?):
        if a == b { continue }
        return self == .utf16BigEndian ? (a < b ? -1 : 1) : (a.byteSwapped < b.byteSwapped ? -1 : 1)
      }
    }
  }
}

/// The characters of UTF-8 text. Surrogates written in three bytes are taken as they are.
struct UTF8Reader {
  private let text: ByteView
  private var place = 0
  private var lowSurrogate: UInt16?

  init(_ text: ByteView) { self.text = text }

  mutating func next() -> UInt32? {
    guard place < text.count else { return nil }
    let first = text[place]
    place += 1
    if first < 0x80 { return UInt32(first) }
    let more: Int
    var scalar: UInt32
    switch first {
    case 0xc2...0xdf: (more, scalar) = (1, UInt32(first & 0x1f))
    case 0xe0...0xef: (more, scalar) = (2, UInt32(first & 0x0f))
    case 0xf0...0xf4: (more, scalar) = (3, UInt32(first & 0x07))
    default: return 0xfffd
    }
    var taken = 0
    while taken < more, place < text.count, text[place] & 0xc0 == 0x80 {
      scalar = scalar << 6 | UInt32(text[place] & 0x3f)
      place += 1
      taken += 1
    }
    let least: UInt32 = more == 1 ? 0x80 : more == 2 ? 0x800 : 0x1_0000
    return taken == more && scalar >= least && scalar < 0x11_0000 ? scalar : 0xfffd
  }

  /// The same in units of UTF-16.
  mutating func nextUnit() -> UInt16? {
    if let low = lowSurrogate {
      lowSurrogate = nil
      return low
    }
    guard let scalar = next() else { return nil }
    if scalar < 0x1_0000 { return UInt16(scalar) }
    lowSurrogate = UInt16(0xdc00 + (scalar - 0x1_0000) & 0x3ff)
    return UInt16(0xd800 + (scalar - 0x1_0000) >> 10)
  }
}

/// BINARY over texts in UTF-8, in the order that a UTF-16 database gives them.
public final class EncodedOrder: CustomCollation {
  public let name = "BINARY"
  private let encoding: TextEncoding

  public init(_ encoding: TextEncoding) { self.encoding = encoding }

  public func compare(_ left: ByteView, _ right: ByteView) -> Int { encoding.order(left, right) }
}

/// A collation of UTF-8 texts for texts that are stored in another encoding.
public final class StoredTextCollation: CustomCollation {
  private let base: Collation
  private let encoding: TextEncoding

  public init(_ base: Collation, _ encoding: TextEncoding) {
    self.base = base
    self.encoding = encoding
  }

  public var name: String { base.name }

  public func compare(_ left: ByteView, _ right: ByteView) -> Int {
    var ours = ByteBuffer(), theirs = ByteBuffer()
    encoding.appendUTF8(left, to: &ours)
    encoding.appendUTF8(right, to: &theirs)
    return base.compare(ours.bytes, theirs.bytes)
  }
}
