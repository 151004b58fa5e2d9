// One page of a B-tree, as read.
//
//   offset  size  page header (behind the 100-byte file header on page 1)
//        0     1  kind: 2 index interior, 5 table interior, 10 index leaf, 13 table leaf
//        1     2  first freeblock; 0 none
//        3     2  number of cells
//        5     2  start of the cell content area; 0 means 65536
//        7     1  fragmented free bytes in the content area
//        8     4  right-most child (interior pages only)
//     then  2 each  cell pointers in key order; free space; cells and freeblocks up to the end
//
//   cell             left child   payload size   row id   payload   first overflow page
//   table leaf            -          varint      varint    bytes      4, if it overflows
//   table interior        4             -        varint      -        -
//   index leaf            -          varint         -      bytes      4, if it overflows
//   index interior        4          varint         -      bytes      4, if it overflows
//
// Source: https://sqlite.org/fileformat2.html#b_tree_pages
//
// `unsafe` lives here: row ids are read without a check per byte, behind one check that a longest cell head lies inside.

import ApusBase

enum PageKind: UInt8 {
  case indexInterior = 2, tableInterior = 5, indexLeaf = 10, tableLeaf = 13

  @inline(__always)
  var isLeaf: Bool { rawValue & 8 != 0 }
  @inline(__always)
  var isTable: Bool { rawValue & 1 != 0 }
  @inline(__always)
  var headerBytes: Int { isLeaf ? 8 : 12 }
}

/// What follows from a page's usable size.
struct TreeGeometry {
  /// Page size less the reserved bytes at the end.
  let usableBytes: Int
  let localMaxLeaf: Int
  let localMaxIndex: Int
  let localMin: Int

  /// Longest root-to-leaf path; a longer one can only be a loop in a damaged file.
  static let depthMax = 20
  /// A cell never takes less, so that its place can become a freeblock.
  static let cellBytesMin = 4

  init(usableBytes: Int) {
    self.usableBytes = usableBytes
    localMaxLeaf = usableBytes - 35
    localMaxIndex = (usableBytes - 12) * 64 / 255 - 23
    localMin = (usableBytes - 12) * 32 / 255 - 23
  }

  /// How much of a payload lies in the cell itself.
  @inline(__always)
  func localBytes(payload: Int, isTable: Bool) -> Int {
    let most = isTable ? localMaxLeaf : localMaxIndex
    return payload <= most ? payload : spilledLocalBytes(payload, most)
  }

  private func spilledLocalBytes(_ payload: Int, _ most: Int) -> Int {
    let local = localMin + (payload - localMin) % (usableBytes - 4)
    return local <= most ? local : localMin
  }

  /// Payload bytes on one overflow page.
  var overflowBytes: Int { usableBytes - 4 }
}

/// A cell, parsed. Offsets count from the page's start.
struct TreeCell {
  var rowid: Int64
  /// The whole payload, overflow included.
  var payloadBytes: Int
  var payloadOffset: Int
  var localBytes: Int
  /// What the cell takes on the page.
  var cellBytes: Int

  @inline(__always)
  var overflows: Bool { localBytes < payloadBytes }
}

/// A page whose header was checked: the cell pointers lie inside, the kind is known. Trivial bytes, as `Page` is.
/// Half a cache line: paths of them are copied at each search.
struct BTreePage {
  let page: Page
  private let cells: UInt16
  private let start: UInt16
  let kind: PageKind

  @inline(__always)
  var bytes: ByteView { page.bytes }
  @inline(__always)
  var cellCount: Int { Int(cells) }
  /// Where the cell pointers begin.
  @inline(__always)
  var pointersStart: Int { Int(start) }
  @inline(__always)
  var number: PageNumber { page.number }
  @inline(__always)
  var isLeaf: Bool { kind.isLeaf }
  @inline(__always)
  var headerStart: Int { pointersStart &- kind.headerBytes }
  @inline(__always)
  var pointersEnd: Int { pointersStart &+ 2 &* cellCount }

  /// Stands where a path holds no page; never read.
  static var none: BTreePage { BTreePage(none: .none) }

  private init(none page: Page) {
    self.page = page
    cells = 0
    start = 8
    kind = .tableLeaf
  }

  @inline(__always)
  func isSameImage(as other: BTreePage) -> Bool { page.isSameImage(as: other.page) }

  @inline(__always)
  init(_ page: Page) throws(Fault) {
    let bytes = page.bytes
    let header = page.numberValue == 1 ? 100 : 0
    let kind: PageKind
    switch bytes[header] {
    case PageKind.tableLeaf.rawValue: kind = .tableLeaf
    case PageKind.tableInterior.rawValue: kind = .tableInterior
    case PageKind.indexLeaf.rawValue: kind = .indexLeaf
    case PageKind.indexInterior.rawValue: kind = .indexInterior
    default: throw Fault.corrupt(page.number, "not a b-tree page")
    }
    self.page = page
    self.kind = kind
    let count = bytes.bigEndianUInt16(at: header &+ 3)
    start = UInt16(truncatingIfNeeded: header &+ kind.headerBytes)
    cells = UInt16(truncatingIfNeeded: count)
    guard header &+ kind.headerBytes &+ 2 &* count <= bytes.count else {
      throw Fault.corrupt(page.number, "more cells than fit")
    }
  }

  /// The page after a change that left it valid: what `init(_:)` checks holds by construction.
  @inline(__always)
  init(changed page: Page, from old: BTreePage) {
    self.page = page
    kind = old.kind
    start = old.start
    cells = UInt16(truncatingIfNeeded: page.bytes.bigEndianUInt16(at: old.headerStart &+ 3))
  }

  /// Where cell `index` starts. At least four bytes of the page follow.
  @inline(__always)
  func cellOffset(_ index: Int) throws(Fault) -> Int {
    precondition(UInt(bitPattern: index) < UInt(bitPattern: cellCount))
    let offset = bytes.bigEndianUInt16(at: pointersStart &+ 2 &* index)
    guard offset >= pointersEnd, offset <= bytes.count &- TreeGeometry.cellBytesMin else {
      throw Fault.corrupt(number, "cell outside the content area", cell: index)
    }
    return offset
  }

  /// Child `index` of an interior page; `index == cellCount` is the right-most.
  func child(_ index: Int) throws(Fault) -> PageNumber {
    precondition(!isLeaf && index <= cellCount)
    let offset = index == cellCount ? headerStart &+ 8 : try cellOffset(index)
    return PageNumber(bytes.bigEndianUInt32(at: offset))
  }

  /// The row id of a table's cell, leaf or interior.
  @inline(__always)
  func rowid(_ index: Int) throws(Fault) -> Int64 {
    precondition(UInt(bitPattern: index) < UInt(bitPattern: cellCount))
    let offset = bytes.bigEndianUInt16(at: pointersStart &+ 2 &* index)
    // Four bytes before the key, or a payload size of up to three, and a key of up to four.
    guard offset >= pointersEnd, offset <= bytes.count &- 8 else {
      return kind == .tableInterior ? try firstRowid(index, offset) : try rowidAtEnd(index)
    }
    var cell = unsafe bytes.unsafeBase + offset
    if kind == .tableLeaf {
      var length = 1
      while unsafe length < 4 && cell.load(fromByteOffset: length &- 1, as: UInt8.self) >= 0x80 { length &+= 1 }
      if length == 4 { return try rowidAtEnd(index) }
      unsafe cell += length
    } else {
      unsafe cell += 4
    }
    let word = unsafe UInt32(bigEndian: cell.loadUnaligned(as: UInt32.self))
    if word & 0x8000_0000 == 0 { return Int64(word >> 24) }
    var key = (word >> 17) & 0x3f80 | (word >> 16) & 0x7f
    if word & 0x0080_0000 == 0 { return Int64(key) }
    key = key << 7 | (word >> 8) & 0x7f
    if word & 0x0000_8000 == 0 { return Int64(key) }
    if word & 0x0000_0080 == 0 { return Int64(key << 7 | word & 0x7f) }
    return try rowidAtEnd(index)
  }

  /// The same for an interior cell of seven bytes at the very end of its page: the first one that a page is given, which
  /// every search looks at.
  @inline(__always)
  private func firstRowid(_ index: Int, _ offset: Int) throws(Fault) -> Int64 {
    guard offset == bytes.count &- 7, offset >= pointersEnd else { return try rowidAtEnd(index) }
    let word = unsafe UInt32(bigEndian: (bytes.unsafeBase + offset + 3).loadUnaligned(as: UInt32.self))
    guard word & 0x0080_8080 == 0x0080_8000 else { return try rowidAtEnd(index) }
    return Int64((word >> 2) & 0x1f_c000 | (word >> 1) & 0x3f80 | word & 0x7f)
  }

  /// The same for long numbers, and cells at the page's end.
  @inline(never)
  private func rowidAtEnd(_ index: Int) throws(Fault) -> Int64 {
    var offset = try cellOffset(index)
    if kind == .tableLeaf {
      // Skip the payload size.
      var first = bytes[offset]
      offset &+= 1
      if first >= 0x80 {
        let end = min(offset &+ 8, bytes.count)
        while first >= 0x80, offset < end {
          first = bytes[offset]
          offset &+= 1
        }
      }
    } else {
      offset &+= 4
    }
    guard let (key, _) = bytes.quickVarint(at: offset) else { throw Fault.corrupt(number, "cell too short", cell: index) }
    return Int64(bitPattern: key)
  }

  /// Parses a cell with a payload: any but a table's interior cell.
  @inline(__always)
  func cell(_ index: Int, _ geometry: TreeGeometry) throws(Fault) -> TreeCell {
    let start = try cellOffset(index)
    return try cell(at: start, index, geometry)
  }

  @inline(__always)
  func cell(at start: Int, _ index: Int, _ geometry: TreeGeometry) throws(Fault) -> TreeCell {
    var offset = start
    if !isLeaf { offset &+= 4 }
    guard let (size, afterSize) = bytes.quickVarint(at: offset), size <= UInt64(UInt32.max) else {
      throw Fault.corrupt(number, "cell too short", cell: index)
    }
    offset = afterSize
    var rowid: Int64 = 0
    if kind == .tableLeaf {
      guard let (key, afterKey) = bytes.quickVarint(at: offset) else {
        throw Fault.corrupt(number, "cell too short", cell: index)
      }
      rowid = Int64(bitPattern: key)
      offset = afterKey
    }
    let payloadBytes = Int(truncatingIfNeeded: size)
    let localBytes = geometry.localBytes(payload: payloadBytes, isTable: kind == .tableLeaf)
    let end = offset &+ localBytes &+ (localBytes < payloadBytes ? 4 : 0)
    guard end <= bytes.count else { throw Fault.corrupt(number, "cell runs over the page's end", cell: index) }
    return TreeCell(
      rowid: rowid, payloadBytes: payloadBytes, payloadOffset: offset, localBytes: localBytes,
      cellBytes: max(end &- start, TreeGeometry.cellBytesMin))
  }

  /// Bytes of cell `index`, of whatever kind, without padding to the least size; it lies inside the page.
  func cellLength(_ index: Int, _ geometry: TreeGeometry) throws(Fault) -> Int {
    let start = try cellOffset(index)
    if kind != .tableInterior {
      let cell = try cell(at: start, index, geometry)
      return cell.payloadOffset &+ cell.localBytes &+ (cell.overflows ? 4 : 0) &- start
    }
    guard let (_, end) = bytes.quickVarint(at: start &+ 4) else {
      throw Fault.corrupt(number, "cell too short", cell: index)
    }
    return end &- start
  }

  /// The first page of the overflow chain of a cell that overflows.
  @inline(__always)
  func overflowHead(_ cell: TreeCell) -> PageNumber {
    PageNumber(bytes.bigEndianUInt32(at: cell.payloadOffset &+ cell.localBytes))
  }
}

extension ByteView {
  /// As `varint(at:)`, with one load and one bounds check for the usual short numbers.
  @inline(__always)
  func quickVarint(at offset: Int) -> (value: UInt64, end: Int)? {
    guard offset <= count &- 4 else { return varint(at: offset) }
    let word = bigEndianUInt32(at: offset)
    if word & 0x8000_0000 == 0 { return (UInt64(word >> 24), offset &+ 1) }
    let low = (word >> 16) & 0x7f
    if word & 0x0080_0000 == 0 { return (UInt64((word >> 17) & 0x3f80 | low), offset &+ 2) }
    if word & 0x0000_8000 == 0 {
      let high = (word >> 10) & 0x1f_c000
      let middle = (word >> 9) & 0x3f80
      return (UInt64(high | middle | (word >> 8) & 0x7f), offset &+ 3)
    }
    return longVarint(at: offset)
  }
}
