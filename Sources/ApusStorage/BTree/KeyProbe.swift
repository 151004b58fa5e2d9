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
    let bytes = page.bytes
    var offset = bytes.bigEndianUInt16(at: page.pointersStart &+ 2 &* index)
    guard offset >= page.pointersEnd, offset <= bytes.count &- 16 else { return KeyProbe.unknown }
    if !page.isLeaf { offset &+= 4 }
    let cell = unsafe bytes.unsafeBase + offset
    // Payload size, header size, first serial type: one byte each.
    let size = unsafe Int(cell.load(as: UInt8.self))
    let header = unsafe Int(cell.load(fromByteOffset: 1, as: UInt8.self))
    let type = unsafe UInt64(cell.load(fromByteOffset: 2, as: UInt8.self))
    guard size | header | Int(truncatingIfNeeded: type) < 0x80, size <= localMax, header >= 2,
      offset &+ 1 &+ size <= bytes.count
    else { return KeyProbe.unknown }
    let length = SerialType.byteCount(type)
    guard header &+ length <= size else { return KeyProbe.unknown }
    if form == .integer {
      guard type &- 1 < 9, type != SerialType.real else { return KeyProbe.unknown }
      let stored = unsafe SerialType.load(type, length, cell + 1 + header).integerValue
      if stored != integer { return stored < integer ? -1 : 1 }
    } else {
      guard type > SerialType.firstBlob, type & 1 == 1 else { return KeyProbe.unknown }
      let order = unsafe ByteView(unchecked: cell + 1 + header, count: length).compare(text)
      if order != 0 { return order }
    }
    return isSingle ? 0 : KeyProbe.unknown
  }

  /// True where an entry of this order relative to the key lies before the place that is sought.
  @inline(__always)
  static func isBefore(_ order: Int, _ isAfter: Bool) -> Bool { order < 0 || (isAfter && order == 0) }
}
