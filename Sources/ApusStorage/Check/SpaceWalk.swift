// Where the space of a database file goes: every page of every b-tree with its cells, payload and unused bytes, in the
// order and with the figures of SQLite's dbstat. Source: https://sqlite.org/dbstat.html
//
// The walk goes down each tree in pre-order: a page, then for each of its cells the overflow pages and the child. It keeps
// one level per page of the path and looks at one page at a time; a wait costs no work. Trees are those of the schema table,
// in its order, the schema's own first. What is wrong with a page makes it a "corrupted" one, as in SQLite; what is wrong with
// a number of a page is SQLITE_CORRUPT.

import ApusBase

/// One page, or all pages of a b-tree.
public struct SpaceRow {
  /// The table's or index's name as the file has it, in the file's encoding.
  public var name: [UInt8] = []
  /// From the root to the page: "/" the root, "/00a/" its 11th child, "/00a+000002" the third overflow page of that cell. Empty
  /// for a whole tree.
  public var path: [UInt8] = []
  public var page: UInt32 = 0
  public var kind: StaticString = ""
  public var pageCount = 0
  public var cellCount = 0
  public var payloadBytes: Int64 = 0
  public var unusedBytes: Int64 = 0
  public var payloadBytesMax: Int64 = 0
}

public final class SpaceWalk {
  private struct Cell {
    var child: UInt32 = 0
    var localBytes = 0
    var overflowPage: UInt32 = 0
    var overflowCount = 0
    /// Payload on the last overflow page.
    var lastBytes = 0
  }

  private struct Level {
    var page: UInt32
    var path: [UInt8]
    var kind: StaticString = "corrupted"
    var cells: [Cell] = []
    var rightChild: UInt32 = 0
    var unusedBytes = 0
    var payloadBytesMax: UInt32 = 0
    // How far the walk has come: the cell, and its next overflow page.
    var cell = 0
    var overflowIndex = 0
    var overflowPage: UInt32 = 0

    mutating func go(to cell: Int) {
      self.cell = cell
      overflowIndex = 0
      overflowPage = cell < cells.count ? cells[cell].overflowPage : 0
    }
  }

  private struct Root {
    var name: [UInt8]
    var page: UInt32
  }

  private let pager: Pager
  private let isAggregate: Bool
  private let schemaName: [UInt8]
  private let onlyName: [UInt8]?
  private let geometry: TreeGeometry
  private var reader: SchemaReader?
  private var roots: [Root] = []
  private var areRootsRead = false
  private var nextRoot = 0
  private var levels: [Level] = []
  /// What the tree has come to.
  private var total = SpaceRow()
  private var visitedCount = 0

  /// As many levels as SQLite follows.
  private static let levelCountMax = 32

  /// - Parameters:
  ///   - isAggregate: one row for each tree.
  ///   - schemaName: what the schema table is called, in the file's encoding.
  ///   - onlyName: trees of other names are left out.
  /// - Precondition: the pager has a snapshot until the walk ends.
  public init(_ pager: Pager, isAggregate: Bool, schemaName: [UInt8], onlyName: [UInt8]? = nil) {
    self.pager = pager
    self.isAggregate = isAggregate
    self.schemaName = schemaName
    self.onlyName = onlyName
    geometry = TreeGeometry(usableBytes: pager.usableSize)
  }

  /// The next row; nil behind the last. Called again after a wait, it goes on where it was.
  /// - Throws: SQLITE_CORRUPT where a tree has too many levels, leads to page 0 or to the lock bytes, or where pages are met so
  ///   often that trees must share them.
  public func next() throws(Fault) -> SpaceRow? {
    if pager.pageCount == 0 { return nil }
    if !areRootsRead { try readRoots() }
    while true {
      pager.beginOperation()
      if levels.isEmpty {
        guard nextRoot < roots.count else { return nil }
        let level = try decode(roots[nextRoot].page, path: isAggregate ? [] : Array("/".utf8))
        total = SpaceRow(name: roots[nextRoot].name)
        nextRoot += 1
        if let row = try enter(level) { return row }
        continue
      }
      let top = levels.count - 1
      if levels[top].cell < levels[top].cells.count {
        let cell = levels[top].cells[levels[top].cell]
        if levels[top].overflowIndex < cell.overflowCount {
          if let row = try passOverflow(of: cell, top) { return row }
          continue
        }
        if levels[top].rightChild == 0 {
          levels[top].go(to: levels[top].cell + 1)
          continue
        }
      }
      if levels[top].rightChild == 0 || levels[top].cell > levels[top].cells.count {
        levels.removeLast()
        if isAggregate, levels.isEmpty { return total }
        continue
      }
      let (place, count) = (levels[top].cell, levels[top].cells.count)
      guard levels.count < Self.levelCountMax else { throw .corrupt(PageNumber(levels[top].page), "the tree is too deep") }
      let child = place == count ? levels[top].rightChild : levels[top].cells[place].child
      var path = levels[top].path
      if !isAggregate {
        Self.append(place, digits: 3, to: &path)
        path.append(UInt8(ascii: "/"))
      }
      let level = try decode(child, path: path)
      levels[top].go(to: place + 1)
      if let row = try enter(level) { return row }
    }
  }

  // MARK: Steps

  /// A page of a tree has been read: the walk goes on in it.
  private func enter(_ level: Level) throws(Fault) -> SpaceRow? {
    try countVisit(level.page)
    var entered = level
    entered.go(to: 0)
    levels.append(entered)
    if !isAggregate { total = SpaceRow(name: total.name, path: level.path) }
    total.page = level.page
    total.kind = level.kind
    total.pageCount += 1
    total.cellCount += level.cells.count
    total.unusedBytes += Int64(level.unusedBytes)
    total.payloadBytesMax = max(total.payloadBytesMax, Int64(level.payloadBytesMax))
    for cell in level.cells { total.payloadBytes += Int64(cell.localBytes) }
    return isAggregate ? nil : total
  }

  private func passOverflow(of cell: Cell, _ top: Int) throws(Fault) -> SpaceRow? {
    let index = levels[top].overflowIndex, page = levels[top].overflowPage
    let isLast = index == cell.overflowCount - 1
    // Of the last page nothing is read.
    let following = isLast ? 0 : try link(of: page)
    try countVisit(page)
    if !isAggregate {
      var path = levels[top].path
      Self.append(levels[top].cell, digits: 3, to: &path)
      path.append(UInt8(ascii: "+"))
      Self.append(index, digits: 6, to: &path)
      total = SpaceRow(name: total.name, path: path)
    }
    total.page = page
    total.kind = "overflow"
    total.pageCount += 1
    total.payloadBytes += Int64(isLast ? cell.lastBytes : geometry.overflowBytes)
    if isLast { total.unusedBytes += Int64(geometry.overflowBytes - cell.lastBytes) }
    levels[top].overflowIndex += 1
    levels[top].overflowPage = following
    return isAggregate ? nil : total
  }

  /// In a sound file each page is met once. Trees that share pages could be walked for years.
  private func countVisit(_ page: UInt32) throws(Fault) {
    visitedCount += 1
    if visitedCount > 2 * Int(pager.pageCount) + 1_000 {
      throw .corrupt(PageNumber(page), "trees share pages, or lead back into themselves")
    }
  }

  // MARK: Pages

  /// A page's bytes; nil where the file ends before it, and it counts as zeros.
  private func bytes(of number: UInt32) throws(Fault) -> ByteView? {
    guard number > 0, number != pager.lockBytePage else {
      throw .corrupt(PageNumber(number), "a tree leads to a page that holds nothing")
    }
    return number > pager.pageCount ? nil : try pager.page(PageNumber(number)).bytes
  }

  private func link(of number: UInt32) throws(Fault) -> UInt32 { try bytes(of: number).map { Self.four($0, 0) } ?? 0 }

  private func decode(_ number: UInt32, path: [UInt8]) throws(Fault) -> Level {
    var level = Level(page: number, path: path)
    guard let view = try bytes(of: number) else { return level }
    let start = number == 1 ? DatabaseHeader.byteCount : 0
    guard let kind = PageKind(rawValue: view[start]) else { return level }
    let end = start + kind.headerBytes
    let cellCount = Self.two(view, start + 3)
    // As SQLite counts: 0 stands for 0, not for 65536.
    var unused = Self.two(view, start + 5) - end - 2 * cellCount + Int(view[start + 7])
    var block = Self.two(view, start + 1)
    while block != 0 {
      if block >= pager.pageSize { return level }
      unused += Self.two(view, block + 2)
      let next = Self.two(view, block)
      if next > 0, next < block + 4 { return level }
      block = next
    }
    level.unusedBytes = unused
    if !kind.isLeaf { level.rightChild = Self.four(view, start + 8) }
    var cells: [Cell] = []
    cells.reserveCapacity(min(cellCount, pager.pageSize / TreeGeometry.cellBytesMin))
    for index in 0..<cellCount {
      guard let cell = cell(Self.two(view, end + 2 * index), view, end, kind, &level.payloadBytesMax) else { return level }
      cells.append(cell)
    }
    level.cells = cells
    level.kind = kind.isLeaf ? "leaf" : "internal"
    return level
  }

  /// nil where it is damaged.
  private func cell(
    _ start: Int, _ view: ByteView, _ headerEnd: Int, _ kind: PageKind, _ payloadBytesMax: inout UInt32
  ) -> Cell? {
    guard start >= headerEnd, start < pager.pageSize else { return nil }
    var cell = Cell()
    var offset = start
    if !kind.isLeaf {
      cell.child = Self.four(view, offset)
      offset += 4
    }
    if kind == .tableInterior { return cell }
    let payload = UInt32(clamping: Self.varint(view, &offset))
    if kind == .tableLeaf { _ = Self.varint(view, &offset) }
    payloadBytesMax = max(payloadBytesMax, payload)
    // No payload is that long.
    if payload > UInt32(Int32.max) { return nil }
    cell.localBytes = geometry.localBytes(payload: Int(payload), isTable: kind == .tableLeaf)
    let rest = Int(payload) - cell.localBytes
    if rest == 0 { return cell }
    if offset + cell.localBytes + 4 > geometry.usableBytes { return nil }
    cell.overflowCount = (rest + geometry.overflowBytes - 1) / geometry.overflowBytes
    cell.lastBytes = rest - (cell.overflowCount - 1) * geometry.overflowBytes
    cell.overflowPage = Self.four(view, offset + cell.localBytes)
    return cell
  }

  // MARK: The schema

  private func readRoots() throws(Fault) {
    let reader = self.reader ?? SchemaReader(BTreeCursor(pager: pager, root: .one, key: nil, isWritable: false))
    self.reader = reader
    if roots.isEmpty { roots = [Root(name: schemaName, page: 1)] }
    while try reader.advance() {
      let root = try reader.cursor.column(3) ?? .null
      if root.isNull || root.isNumeric && root.asReal == 0 {
        reader.take()
        continue
      }
      // What is no page is found when the tree is walked.
      let page = UInt32(truncatingIfNeeded: root.asInteger)
      let name = try reader.cursor.column(1) ?? .null
      roots.append(Root(name: name.hasBytes ? name.bytes.array : [], page: page))
      reader.take()
    }
    self.reader = nil
    if let onlyName { roots.removeAll { $0.name != onlyName } }
    areRootsRead = true
  }

  // MARK: Bytes

  // What lies behind the page is zeros, as in SQLite's copy of it.
  private static func one(_ view: ByteView, _ offset: Int) -> Int { offset < view.count ? Int(view[offset]) : 0 }
  private static func two(_ view: ByteView, _ offset: Int) -> Int { one(view, offset) << 8 | one(view, offset + 1) }
  private static func four(_ view: ByteView, _ offset: Int) -> UInt32 {
    UInt32(two(view, offset)) << 16 | UInt32(two(view, offset + 2))
  }

  private static func varint(_ view: ByteView, _ offset: inout Int) -> UInt64 {
    var value: UInt64 = 0
    for _ in 0..<8 {
      let byte = UInt64(one(view, offset))
      offset += 1
      value = value << 7 | byte & 0x7f
      if byte < 0x80 { return value }
    }
    value = value << 8 | UInt64(one(view, offset))
    offset += 1
    return value
  }

  private static func append(_ number: Int, digits: Int, to path: inout [UInt8]) {
    let text = String(number, radix: 16)
    for _ in text.utf8.count..<max(digits, text.utf8.count) { path.append(UInt8(ascii: "0")) }
    path.append(contentsOf: text.utf8)
  }
}

/// The rows of the schema table, one after the other; a row is taken before the next one comes.
private final class SchemaReader {
  var cursor: BTreeCursor
  private var isPositioned = false
  private var isTaken = true

  init(_ cursor: consuming BTreeCursor) { self.cursor = cursor }

  func advance() throws(Fault) -> Bool {
    if !isTaken { return true }
    guard try isPositioned ? cursor.next() : cursor.moveToFirst() else { return false }
    isPositioned = true
    isTaken = false
    return true
  }

  func take() { isTaken = true }
}
