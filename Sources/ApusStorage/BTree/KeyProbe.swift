// A search key made ready: its first column in a form in which most entries can be compared with it at once.
// `unsafe` lives here: an entry's first bytes are read behind one check that they lie on the page.

import ApusBase

@safe
struct KeyProbe {
  private enum Form: UInt8 { case general, integer, text }

  let key: ValueRange
  private let form: Form
  /// The first column is the whole key.
  private let isSingle: Bool
  private let integer: Int64
  private let text: ByteView
  private let localMax: Int

  /// The entry has to be looked at as a whole.
  static let unknown = Int.min

  @inline(__always)
  init(_ key: ValueRange, _ order: KeyOrder, localMax: Int) {
    self.key = key
    self.localMax = localMax
    isSingle = key.count == 1
    var form = Form.general
    var integer: Int64 = 0
    var text = ByteView.empty
    if key.count > 0 {
      let first = key[0]
      let column = order[0]
      if first.kind == .integer, !column.isDescending {
        form = .integer
        integer = first.integerValue
      } else if first.kind == .text, !column.isDescending, column.kind == .binary {
        form = .text
        text = first.bytes
      }
    }
    self.form = form
    self.integer = integer
    self.text = text
  }

  /// The order of entry `index` relative to the key where its first column says it: the usual entry is shorter than 128
  /// bytes, wholly on its page, not at its very end.
  /// - Returns: negative, zero, positive, or `unknown`.
  @inline(__always)
  func quickOrder(_ page: BTreePage, _ index: Int) -> Int {
    if form == .general { return KeyProbe.unknown }
    precondition(UInt(bitPattern: index) < UInt(bitPattern: page.cellCount))
    return unsafe quickOrder(
      page.bytes.unsafeBase, page.bytes.count, page.pointersStart, page.pointersEnd, page.isLeaf ? 0 : 4, index)
  }

  /// Halves what is left as long as quick orders say how.
  /// - Returns: false where the entry in the middle has to be looked at as a whole.
  @inline(never)
  func narrow(_ page: BTreePage, _ place: inout KeyPlace, _ isAfter: Bool) -> Bool {
    if form == .general { return place.low >= place.high }
    precondition(place.low >= 0 && place.high <= page.cellCount)
    let base = unsafe page.bytes.unsafeBase
    let byteCount = page.bytes.count
    let pointersStart = page.pointersStart
    let pointersEnd = page.pointersEnd
    let childBytes = page.isLeaf ? 0 : 4
    while place.low < place.high {
      let order = unsafe quickOrder(base, byteCount, pointersStart, pointersEnd, childBytes, place.middle)
      if order == KeyProbe.unknown { return false }
      place.take(order, isAfter)
    }
    return true
  }

  /// - Precondition: the page has an entry `index`: its pointer lies on the page.
  @unsafe
  @inline(__always)
  private func quickOrder(
    _ base: UnsafeRawPointer, _ byteCount: Int, _ pointersStart: Int, _ pointersEnd: Int, _ childBytes: Int, _ index: Int
  ) -> Int {
    let pointer = unsafe base.loadUnaligned(fromByteOffset: pointersStart &+ 2 &* index, as: UInt16.self)
    let offset = Int(UInt16(bigEndian: pointer))
    guard offset >= pointersEnd, offset <= byteCount &- 16 else { return KeyProbe.unknown }
    let cell = unsafe base + (offset &+ childBytes)
    // Payload size, header size, first serial type: one byte each.
    let size = unsafe Int(cell.load(as: UInt8.self))
    let header = unsafe Int(cell.load(fromByteOffset: 1, as: UInt8.self))
    let type = unsafe Int(cell.load(fromByteOffset: 2, as: UInt8.self))
    guard size | header | type < 0x80, size <= localMax, header >= 2,
      offset &+ childBytes &+ 1 &+ size <= byteCount
    else { return KeyProbe.unknown }
    let content = unsafe cell + (header &+ 1)
    if form == .integer {
      let type = UInt64(truncatingIfNeeded: type)
      let length = SerialType.byteCount(type)
      guard header &+ length <= size, type &- 1 < 9, type != SerialType.real else { return KeyProbe.unknown }
      let stored = unsafe SerialType.load(type, length, content).integerValue
      if stored != integer { return stored < integer ? -1 : 1 }
    } else {
      let length = (type &- 13) >> 1
      guard type & 1 == 1, length >= 0, header &+ length <= size else { return KeyProbe.unknown }
      let order = unsafe ByteView(unchecked: content, count: length).compare(text)
      if order != 0 { return order }
    }
    return isSingle ? 0 : KeyProbe.unknown
  }

  /// True where an entry of this order relative to the key lies before the place that is sought.
  @inline(__always)
  static func isBefore(_ order: Int, _ isAfter: Bool) -> Bool { order < 0 || (isAfter && order == 0) }
}

/// How far the search for the place of a key within a page has come.
struct KeyPlace {
  /// The entries before it lie before the place.
  var low: Int
  /// This entry, and those behind it, do not.
  var high: Int
  /// The order of entry `high` relative to the key, once one was found that does not lie before the place.
  var order = 1

  @inline(__always)
  init(low: Int, high: Int) {
    self.low = low
    self.high = high
  }

  @inline(__always)
  var middle: Int { (low &+ high) >> 1 }

  /// The order of the entry in the middle is known.
  @inline(__always)
  mutating func take(_ order: Int, _ isAfter: Bool) {
    if KeyProbe.isBefore(order, isAfter) {
      low = middle &+ 1
    } else {
      high = middle
      self.order = order
    }
  }
}
