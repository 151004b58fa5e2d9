// Builds a b-tree from entries that come in order: pages are filled to the end and written once, from left to right, as
// their parents are. Nothing is searched.
//
// The page that is being filled lies in memory, one for each level; it gets its number when it is full, the top one the
// root's. Where an entry does not fit into a page whose entries divide its children or neighbours, it is `carried` until
// the next one comes: it goes up between the two pages then. At the end, where no next one comes, the page's last entry
// goes up instead.
//
// A value, moved in and out of whoever keeps it: a row costs no check for exclusive access.

import ApusBase

struct TreeBuilder: ~Copyable {
  private let pager: Pager
  private let root: PageNumber
  private let isTable: Bool
  private let geometry: TreeGeometry
  private var leaf: BuilderLevel
  /// The levels above the leaves, from below.
  private var uppers: [UpperLevel] = []
  private var lastRowid: Int64?
  private var chain = OverflowChain()
  private var cell = ByteBuffer()

  /// Pages that one entry or the end may make: one for each level, twice.
  private static var pagesPerStep: Int { 2 * TreeGeometry.depthMax + OverflowChain.pagesPerStep }

  /// - Parameter root: an empty tree's.
  init(_ pager: Pager, root: PageNumber, isTable: Bool) {
    self.pager = pager
    self.root = root
    self.isTable = isTable
    geometry = TreeGeometry(usableBytes: pager.usableSize)
    leaf = BuilderLevel(isTable ? .tableLeaf : .indexLeaf, usableBytes: geometry.usableBytes)
  }

  // MARK: Entries

  /// Appends a record: behind the row of the id before, or in its index's order, which nobody checks here. Called again
  /// after a wait.
  mutating func append(_ record: ByteView, rowid: Int64 = 0) throws(Fault) {
    if isTable, let lastRowid, rowid <= lastRowid { throw .corrupt(root, "rows out of order") }
    try writeChain(record)
    let new = NewCell(record: record, rowid: rowid, isTable: isTable, overflowHead: chain.head, geometry)
    if new.spaceBytes + 2 > leaf.room || leaf.hasCarried {
      try pager.beginWriteOperation(pages: Self.pagesPerStep)
      // Everything is in memory: act.
      if isTable {
        try flushTableLeaf()
      } else if !leaf.hasCarried {
        leaf.carried.resize(to: new.spaceBytes)
        new.write(to: leaf.carried.mutableBytes, at: 0)
        leaf.carried.resize(to: new.byteCount)
        chain = OverflowChain()
        return
      } else {
        try flushCarried(0)
      }
    }
    let offset = leaf.take(new.spaceBytes)
    new.write(to: leaf.bytes.mutableBytes, at: offset)
    lastRowid = rowid
    chain = OverflowChain()
  }

  private mutating func writeChain(_ record: ByteView) throws(Fault) {
    let local = geometry.localBytes(payload: record.count, isTable: isTable)
    let total = record.count - local
    while chain.byteCount < total {
      try pager.beginWriteOperation(pages: OverflowChain.pagesPerStep + 1)
      var previous: Page?
      if !chain.last.isNone { previous = try pager.page(chain.last) }
      for _ in 0..<OverflowChain.pagesPerStep where chain.byteCount < total {
        let page = try pager.allocate()
        let length = min(geometry.overflowBytes, total - chain.byteCount)
        page.mutableBytes.copy(record.slice(local + chain.byteCount, length), to: 4)
        if let previous {
          pager.writable(previous).mutableBytes.setBigEndianUInt32(page.number.rawValue, at: 0)
          if pager.usesPointerMap { pager.notePointer(page.numberValue, .overflowNext, parent: previous.numberValue) }
        } else {
          chain.head = page.number
        }
        previous = page
        chain.last = page.number
        chain.byteCount += length
      }
    }
  }

  // MARK: Pages

  /// Writes the page of level `level` and gives its number.
  private mutating func flush(_ level: Int, rightChild: UInt32 = 0) throws(Fault) -> UInt32 {
    level == 0
      ? try leaf.flush(to: pager, rightChild: rightChild) : try uppers[level - 1].level.flush(to: pager, rightChild: rightChild)
  }

  private mutating func flushTableLeaf() throws(Fault) {
    guard leaf.count > 0, let lastRowid else { return }
    let number = try flush(0)
    cell.resize(to: 4 + 9)
    let length = cell.mutableBytes.setVarint(UInt64(bitPattern: lastRowid), at: 4)
    cell.resize(to: length)
    try addDivider(above: 0, child: number)
  }

  /// The page of level `level` is full, and one more entry follows the carried one: that one divides the two.
  private mutating func flushCarried(_ level: Int) throws(Fault) {
    let rightChild = level == 0 ? leaf.liftCarried(into: &cell) : uppers[level - 1].level.liftCarried(into: &cell)
    let number = try flush(level, rightChild: rightChild)
    try addDivider(above: level, child: number)
  }

  /// Puts `cell`, whose first four bytes are free, into the level above, with `child` to its left.
  private mutating func addDivider(above level: Int, child: UInt32) throws(Fault) {
    guard level + 1 < TreeGeometry.depthMax else { throw .corrupt(root, "b-tree too deep") }
    if level == uppers.count {
      uppers.append(UpperLevel(isTable ? .tableInterior : .indexInterior, usableBytes: geometry.usableBytes))
    }
    let above = uppers[level]
    cell.mutableBytes.setBigEndianUInt32(child, at: 0)
    if !above.level.hasCarried, max(cell.count, TreeGeometry.cellBytesMin) + 2 > above.level.room {
      above.level.carried.append(cell.bytes)
      return
    }
    if above.level.hasCarried {
      var kept = ByteBuffer()
      swap(&kept, &cell)
      try flushCarried(level + 1)
      swap(&kept, &cell)
    }
    above.level.place(cell.bytes)
  }

  // MARK: The end

  /// Writes what is left, the root last. Called again after a wait.
  mutating func finish() throws(Fault) {
    try pager.beginWriteOperation(pages: Self.pagesPerStep)
    _ = try pager.page(root)
    if uppers.isEmpty, leaf.count == 0 { return }
    // Everything is in memory: act.
    var level = 0
    var child: UInt32 = 0
    var kept = ByteBuffer()
    while true {
      if level == 0 ? leaf.hasCarried : uppers[level - 1].level.hasCarried {
        let rightChild =
          level == 0 ? leaf.liftLast(into: &cell, &kept) : uppers[level - 1].level.liftLast(into: &cell, &kept)
        let number = try flush(level, rightChild: rightChild)
        try addDivider(above: level, child: number)
        if level == 0 { leaf.place(kept.bytes) } else { uppers[level - 1].level.place(kept.bytes) }
      }
      if level == uppers.count { break }
      child = try flush(level, rightChild: child)
      level += 1
    }
    let page = pager.blankPage(root.rawValue)
    if level == 0 { leaf.write(to: page, rightChild: child) } else { uppers[level - 1].level.write(to: page, rightChild: child) }
    if pager.usesPointerMap { pager.notePointers(below: page) }
  }
}

/// A level above the leaves, with a place of its own.
private final class UpperLevel {
  var level: BuilderLevel
  init(_ kind: PageKind, usableBytes: Int) { level = BuilderLevel(kind, usableBytes: usableBytes) }
}

/// The page of one level that is being filled.
private struct BuilderLevel: ~Copyable {
  var bytes = ByteBuffer()
  let kind: PageKind
  var count = 0
  var content: Int
  /// An entry that did not fit, with its child on interior pages; no bytes: none.
  var carried = ByteBuffer()

  init(_ kind: PageKind, usableBytes: Int) {
    self.kind = kind
    content = usableBytes
    bytes.resize(to: usableBytes)
    bytes.mutableBytes.fill(0, usableBytes)
  }

  var room: Int { content - kind.headerBytes - 2 * count }
  var hasCarried: Bool { carried.count > 0 }

  mutating func take(_ byteCount: Int) -> Int {
    content -= max(byteCount, TreeGeometry.cellBytesMin)
    bytes.mutableBytes.setBigEndianUInt16(content, at: kind.headerBytes + 2 * count)
    count += 1
    return content
  }

  mutating func place(_ cell: ByteView) {
    let offset = take(cell.count)
    bytes.mutableBytes.copy(cell, to: offset)
  }

  /// The carried entry becomes the divider `cell`, with four bytes in front for a child.
  /// - Returns: the child that is the last one of the page before it.
  mutating func liftCarried(into cell: inout ByteBuffer) -> UInt32 {
    cell.resize(to: 4)
    cell.append(kind.isLeaf ? carried.bytes : carried.bytes.suffix(from: 4))
    defer { carried.removeAll() }
    return kind.isLeaf ? 0 : carried.bytes.bigEndianUInt32(at: 0)
  }

  /// As `liftCarried`, of the last entry, since none follows the carried one, which goes to `kept`.
  mutating func liftLast(into cell: inout ByteBuffer, _ kept: inout ByteBuffer) -> UInt32 {
    kept.removeAll()
    swap(&kept, &carried)
    let end = count == 1 ? bytes.count : bytes.bytes.bigEndianUInt16(at: kind.headerBytes + 2 * (count - 2))
    let last = bytes.bytes.slice(content, end - content)
    cell.resize(to: 4)
    cell.append(kind.isLeaf ? Self.trimmed(last) : last.suffix(from: 4))
    let rightChild = kind.isLeaf ? 0 : last.bigEndianUInt32(at: 0)
    bytes.mutableBytes.fill(content, end - content)
    content = end
    count -= 1
    return rightChild
  }

  /// A leaf's entry without the padding of one that is shorter than a cell may be.
  private static func trimmed(_ cell: ByteView) -> ByteView {
    guard cell.count == TreeGeometry.cellBytesMin, let (size, end) = cell.varint(at: 0) else { return cell }
    return cell.slice(0, min(cell.count, end + Int(size)))
  }

  /// Writes the page, which is whole, to a new one, and begins anew.
  mutating func flush(to pager: Pager, rightChild: UInt32) throws(Fault) -> UInt32 {
    let page = try pager.allocate()
    write(to: page, rightChild: rightChild)
    if pager.usesPointerMap { pager.notePointers(below: page) }
    bytes.mutableBytes.fill(0, bytes.count)
    content = bytes.count
    count = 0
    return page.numberValue
  }

  mutating func write(to page: Page, rightChild: UInt32) {
    let target = bytes.mutableBytes
    target[0] = kind.rawValue
    target.setBigEndianUInt16(count, at: 3)
    target.setBigEndianUInt16(content & 0xffff, at: 5)
    if !kind.isLeaf { target.setBigEndianUInt32(rightChild, at: 8) }
    page.mutableBytes.copy(bytes.bytes, to: 0)
  }
}
