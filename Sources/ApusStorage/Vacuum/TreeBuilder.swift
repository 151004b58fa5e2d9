// Builds a b-tree from entries that come in order: pages are filled to the end and written once, from left to right, as
// their parents are. Nothing is searched.
//
// The page that is being filled lies in memory, one for each level; it gets its number when it is full, the top one the
// root's. Where an entry does not fit into a page whose entries divide its children or neighbours, it is `carried` until
// the next one comes: it goes up between the two pages then. At the end, where no next one comes, the page's last entry
// goes up instead.

import ApusBase

public final class TreeBuilder {
  private let pager: Pager
  private let root: PageNumber
  private let isTable: Bool
  private let geometry: TreeGeometry
  private let leaf: BuilderLevel
  private var levels: [BuilderLevel]
  private var lastRowid: Int64?
  private var chain = OverflowChain()
  private var cell = ByteBuffer()

  /// Pages that one entry or the end may make: one for each level, twice.
  private static var pagesPerStep: Int { 2 * TreeGeometry.depthMax + OverflowChain.pagesPerStep }

  /// - Parameter root: an empty tree's.
  public init(_ pager: Pager, root: PageNumber, isTable: Bool) {
    self.pager = pager
    self.root = root
    self.isTable = isTable
    geometry = TreeGeometry(usableBytes: pager.usableSize)
    leaf = BuilderLevel(isTable ? .tableLeaf : .indexLeaf, usableBytes: geometry.usableBytes)
    levels = [leaf]
  }

  // MARK: Entries

  /// Appends a record: behind the row of the id before, or in its index's order, which nobody checks here. Called again
  /// after a wait.
  public func append(_ record: ByteView, rowid: Int64 = 0) throws(Fault) {
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

  private func writeChain(_ record: ByteView) throws(Fault) {
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
  private func flush(_ level: Int, rightChild: UInt32 = 0) throws(Fault) -> UInt32 {
    levels[level].close(rightChild: rightChild)
    let page = try pager.allocate()
    page.mutableBytes.copy(levels[level].bytes.bytes, to: 0)
    if pager.usesPointerMap { pager.notePointers(below: page) }
    levels[level].empty()
    return page.numberValue
  }

  private func flushTableLeaf() throws(Fault) {
    guard leaf.count > 0, let lastRowid else { return }
    let number = try flush(0)
    cell.resize(to: 4 + 9)
    let length = cell.mutableBytes.setVarint(UInt64(bitPattern: lastRowid), at: 4)
    cell.resize(to: length)
    try addDivider(above: 0, child: number)
  }

  /// The page of level `level` is full, and one more entry follows the carried one: that one divides the two.
  private func flushCarried(_ level: Int) throws(Fault) {
    let isLeaf = levels[level].kind.isLeaf
    let carried = levels[level].carried.bytes
    cell.resize(to: 4)
    cell.append(isLeaf ? carried : carried.suffix(from: 4))
    let rightChild = isLeaf ? 0 : carried.bigEndianUInt32(at: 0)
    levels[level].carried.removeAll()
    let number = try flush(level, rightChild: rightChild)
    try addDivider(above: level, child: number)
  }

  /// Puts `cell`, whose first four bytes are free, into the level above, with `child` to its left.
  private func addDivider(above level: Int, child: UInt32) throws(Fault) {
    let above = level + 1
    guard above < TreeGeometry.depthMax else { throw .corrupt(root, "b-tree too deep") }
    if above == levels.count {
      levels.append(BuilderLevel(isTable ? .tableInterior : .indexInterior, usableBytes: geometry.usableBytes))
    }
    cell.mutableBytes.setBigEndianUInt32(child, at: 0)
    if !levels[above].hasCarried, max(cell.count, TreeGeometry.cellBytesMin) + 2 > levels[above].room {
      levels[above].carried.append(cell.bytes)
      return
    }
    if levels[above].hasCarried {
      var kept = ByteBuffer()
      swap(&kept, &cell)
      try flushCarried(above)
      swap(&kept, &cell)
    }
    levels[above].place(cell.bytes)
  }

  // MARK: The end

  /// Writes what is left, the root last. Called again after a wait.
  public func finish() throws(Fault) {
    try pager.beginWriteOperation(pages: Self.pagesPerStep)
    _ = try pager.page(root)
    if levels.count == 1, leaf.count == 0 { return }
    // Everything is in memory: act.
    var level = 0
    var child: UInt32 = 0
    while true {
      if levels[level].hasCarried {
        var kept = ByteBuffer()
        swap(&kept, &levels[level].carried)
        var last = ByteBuffer()
        levels[level].removeLast(into: &last)
        let isLeaf = levels[level].kind.isLeaf
        cell.resize(to: 4)
        cell.append(isLeaf ? trimmed(last.bytes) : last.bytes.suffix(from: 4))
        let number = try flush(level, rightChild: isLeaf ? 0 : last.bytes.bigEndianUInt32(at: 0))
        try addDivider(above: level, child: number)
        levels[level].place(kept.bytes)
      }
      if level == levels.count - 1 { break }
      child = try flush(level, rightChild: child)
      level += 1
    }
    levels[level].close(rightChild: child)
    let page = pager.blankPage(root.rawValue)
    page.mutableBytes.copy(levels[level].bytes.bytes, to: 0)
    if pager.usesPointerMap { pager.notePointers(below: page) }
  }

  /// A leaf's entry without the padding of one that is shorter than a cell may be.
  private func trimmed(_ cell: ByteView) -> ByteView {
    guard cell.count == TreeGeometry.cellBytesMin, let (size, end) = cell.varint(at: 0) else { return cell }
    return cell.slice(0, min(cell.count, end + Int(size)))
  }
}

/// The page of one level that is being filled.
private final class BuilderLevel {
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

  func take(_ byteCount: Int) -> Int {
    content -= max(byteCount, TreeGeometry.cellBytesMin)
    bytes.mutableBytes.setBigEndianUInt16(content, at: kind.headerBytes + 2 * count)
    count += 1
    return content
  }

  func place(_ cell: ByteView) {
    let offset = take(cell.count)
    bytes.mutableBytes.copy(cell, to: offset)
  }

  /// Takes the last entry, which is the first of the content area, off into `cell`.
  func removeLast(into cell: inout ByteBuffer) {
    let end = count == 1 ? bytes.count : bytes.bytes.bigEndianUInt16(at: kind.headerBytes + 2 * (count - 2))
    cell.removeAll()
    cell.append(bytes.bytes.slice(content, end - content))
    bytes.mutableBytes.fill(content, end - content)
    content = end
    count -= 1
  }

  func close(rightChild: UInt32) {
    let target = bytes.mutableBytes
    target[0] = kind.rawValue
    target.setBigEndianUInt16(count, at: 3)
    target.setBigEndianUInt16(content & 0xffff, at: 5)
    if !kind.isLeaf { target.setBigEndianUInt32(rightChild, at: 8) }
  }

  func empty() {
    bytes.mutableBytes.fill(0, bytes.count)
    content = bytes.count
    count = 0
  }
}
