// What a change that moves cells between pages will do, worked out before the first byte changes.
//
// The images of all pages concerned are copied into `scratch`, and each level of the tree becomes a list of references to
// cells there, with the change made in it. A level that does not fit its page, or leaves it two thirds empty, is joined
// with up to two siblings and cut anew; that changes the parent's list, and so on up. Acting then writes whole pages from
// the lists, bottom up, and cannot fail but for what `allocate` and `free` report.

import ApusBase

/// A cell in the scratch memory, as it stands on its page: with its left child on interior pages.
struct CellReference {
  var offset: Int
  /// Without padding to the least size of a cell.
  var length: Int

  @inline(__always)
  var spaceBytes: Int { max(length, TreeGeometry.cellBytesMin) &+ 2 }
}

/// A list of cells in `BalancePlan.cells`, in key order, and the right-most child of an interior page.
struct CellList {
  var start: Int
  var count: Int
  var rightChild: UInt32
  var end: Int { start + count }
}

/// Siblings that are cut anew.
struct PlannedLevel {
  static let pagesMax = 8

  var kind: PageKind
  var cells: CellList
  var oldPages: InlineArray<3, Page>
  var oldCount: Int
  var newCount = 0
  /// Where page k's cells end in `cells`; in all but the leaves of tables the cell there goes up.
  var ends = InlineArray<8, Int>(repeating: 0)
  /// Depth of the parent, whose list takes the dividers.
  var parentDepth = 0
  /// The planned level one further down, which changed this one's list; -1 none. Its last new page may be the right-most
  /// child of what was one page here: that number goes into `lateCell`, or is the whole level's right-most child.
  var below = -1
  var lateCell: CellReference?
  var takesRightChildFromBelow = false
  /// The parent's list once the dividers stand in it, and where the first of them stands.
  var parent = CellList(start: 0, count: 0, rightChild: 0)
  var firstDivider = 0
}

/// A page that is written anew and needs no sibling.
struct PlannedPage {
  var page: BTreePage
  var kind: PageKind
  var cells: CellList
  /// The level below it was cut anew: its numbers are put into this page's list first.
  var levelBelow: Int
}

struct BalancePlan: ~Copyable {
  var scratch = ByteBuffer()
  var cells: [CellReference] = []
  var levels: [PlannedLevel] = []
  var pages: [PlannedPage] = []
  /// True where the root takes over its only child's content.
  var collapsesRoot = false
  /// A cell behind the tree's last one: its pages are split at the right end, and stay full.
  var isAppend = false

  mutating func reset() {
    scratch.removeAll()
    cells.removeAll(keepingCapacity: true)
    levels.removeAll(keepingCapacity: true)
    pages.removeAll(keepingCapacity: true)
    collapsesRoot = false
    isAppend = false
  }

  // MARK: Lists

  /// Room in the scratch memory.
  mutating func takeScratch(_ byteCount: Int) -> Int {
    let offset = scratch.count
    scratch.resize(to: offset + byteCount)
    return offset
  }

  mutating func add(_ cell: NewCell, isInterior child: PageNumber? = nil) -> CellReference {
    let prefix = child == nil ? 0 : 4
    let offset = takeScratch(prefix + cell.spaceBytes)
    if let child { scratch.mutableBytes.setBigEndianUInt32(child.rawValue, at: offset) }
    cell.write(to: scratch.mutableBytes, at: offset + prefix)
    return CellReference(offset: offset, length: prefix + cell.byteCount)
  }

  /// Copies a page in and appends its cells to the list that is being built.
  mutating func appendCells(of page: BTreePage, _ geometry: TreeGeometry) throws(Fault) {
    let base = scratch.count
    scratch.append(page.bytes)
    cells.reserveCapacity(cells.count + page.cellCount)
    if !page.kind.isTable { return try appendEntries(of: page, geometry, base) }
    for index in 0..<page.cellCount {
      let offset = try page.cellOffset(index)
      let length = try page.cellLength(index, geometry)
      cells.append(CellReference(offset: base + offset, length: length))
    }
  }

  /// The same for an index: most of its cells begin with one byte of size, and lie wholly on the page.
  private mutating func appendEntries(of page: BTreePage, _ geometry: TreeGeometry, _ base: Int) throws(Fault) {
    let bytes = page.bytes
    let head = page.isLeaf ? 1 : 5
    let largest = min(geometry.localMaxIndex, 0x7f)
    for index in 0..<page.cellCount {
      let offset = try page.cellOffset(index)
      var length = bytes.count
      if offset &+ head <= bytes.count {
        let size = Int(bytes[offset &+ head &- 1])
        if size <= largest { length = head &+ size }
      }
      if offset &+ length > bytes.count { length = try page.cellLength(index, geometry) }
      cells.append(CellReference(offset: base &+ offset, length: length))
    }
  }

  func byteCount(_ list: CellList) -> Int {
    var sum = 0
    for index in list.start..<list.end { sum &+= cells[index].spaceBytes }
    return sum
  }

  // MARK: Cutting

  /// Cuts a level's list into pages of `capacity` bytes: full from the left, then evened out from the right, so that
  /// appending leaves full pages behind and the last two share what is left.
  /// - Returns: false where it would take more pages than there can be.
  func cut(_ level: inout PlannedLevel, capacity: Int) -> Bool {
    let list = level.cells
    let raises = level.kind != .tableLeaf
    var sizes = InlineArray<8, Int>(repeating: 0)
    var page = 0
    var index = list.start
    while index < list.end {
      let size = cells[index].spaceBytes
      if sizes[page] &+ size > capacity {
        // The page is full; it can only be empty where a cell is larger than any page.
        if sizes[page] == 0 || page &+ 1 == PlannedLevel.pagesMax { return false }
        level.ends[page] = index
        page &+= 1
        // The cell that does not fit divides the two pages, or starts the next one.
        if raises {
          index &+= 1
          continue
        }
      }
      sizes[page] &+= size
      index &+= 1
    }
    level.ends[page] = list.end
    level.newCount = page + 1
    if page > 0, !isAppend || sizes[page] == 0 { evenOut(&level, &sizes, raises) }
    return true
  }

  private func evenOut(_ level: inout PlannedLevel, _ sizes: inout InlineArray<8, Int>, _ raises: Bool) {
    var page = level.newCount - 1
    while page > 0 {
      let left = page - 1
      while true {
        // The left page's last cell goes right: as divider, and the divider before it joins the right page.
        let last = level.ends[left] - 1
        let joins = raises ? level.ends[left] : last
        let leaving = cells[last].spaceBytes
        let joining = cells[joins].spaceBytes
        if sizes[page] != 0, sizes[page] &+ joining > sizes[left] &- leaving { break }
        if sizes[left] == leaving { break }
        sizes[left] &-= leaving
        sizes[page] &+= joining
        level.ends[left] = last
      }
      page -= 1
    }
  }

  // MARK: Writing

  /// Writes a page from a slice of a list.
  func write(_ range: Range<Int>, _ kind: PageKind, rightChild: UInt32, to bytes: MutableByteView, headerStart: Int) {
    let source = scratch.bytes
    var content = bytes.count
    var pointer = headerStart + kind.headerBytes
    for index in range {
      let cell = cells[index]
      let space = max(cell.length, TreeGeometry.cellBytesMin)
      content &-= space
      if cell.length < space { bytes.fill(content, space) }
      bytes.copy(source.slice(cell.offset, cell.length), to: content)
      bytes.setBigEndianUInt16(content, at: pointer)
      pointer &+= 2
    }
    bytes[headerStart] = kind.rawValue
    bytes.setBigEndianUInt16(0, at: headerStart + 1)
    bytes.setBigEndianUInt16(range.count, at: headerStart + 3)
    bytes.setBigEndianUInt16(content, at: headerStart + 5)
    bytes[headerStart + 7] = 0
    if !kind.isLeaf { bytes.setBigEndianUInt32(rightChild, at: headerStart + 8) }
  }

  func child(of reference: CellReference) -> UInt32 { scratch.bytes.bigEndianUInt32(at: reference.offset) }

  mutating func setChild(_ number: UInt32, of reference: CellReference) {
    scratch.mutableBytes.setBigEndianUInt32(number, at: reference.offset)
  }
}
