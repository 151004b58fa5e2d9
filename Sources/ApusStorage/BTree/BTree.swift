// Whole b-trees: making, clearing and dropping them.

import ApusBase

public enum BTree {
  public enum Kind: Sendable { case table, index }

  /// A new, empty tree.
  /// - Returns: its root page.
  public static func create(_ pager: Pager, _ kind: Kind) throws(Fault) -> PageNumber {
    try pager.beginWriteOperation(pages: 4)
    pager.noteUnkeyedChange()
    let page = pager.usesPointerMap ? try allocateRoot(pager) : try pager.allocate()
    initialize(page, kind == .table ? .tableLeaf : .indexLeaf)
    return page.number
  }

  /// Roots stand at the front of a file with auto_vacuum: whatever is in the next one's place moves away.
  private static func allocateRoot(_ pager: Pager) throws(Fault) -> Page {
    let largest = try pager.meta(4)
    guard largest > 0, largest <= pager.pageCount else { throw Fault.corrupt(.one, "largest root outside the database") }
    var wanted = largest
    repeat {
      guard wanted < DatabaseHeader.pageCountMax else { throw pager.noMorePages() }
      wanted += 1
    } while pager.isReserved(wanted)
    let page: Page
    if wanted > pager.pageCount {
      page = try pager.allocate()
      guard page.numberValue == wanted else { throw Fault.corrupt(page.number, "a free page among the roots") }
    } else if try pager.pointerEntry(of: wanted).kind == .free {
      let place = try pager.findFreePage(wanted)
      try pager.takeFreePage(wanted, at: place)
      page = pager.blankPage(wanted)
    } else {
      try pager.cursors.saveEverything()
      let relocation = try pager.prepareRelocation(of: wanted, mayBeRoot: false)
      pager.carryOut(relocation, to: try pager.allocate())
      page = pager.blankPage(wanted)
    }
    pager.notePointer(wanted, .root, parent: 0)
    pager.setLargestRoot(wanted, on: try pager.loadedPage(.one))
    return page
  }

  private static func initialize(_ page: Page, _ kind: PageKind) {
    let start = page.number == .one ? 100 : 0
    let bytes = page.mutableBytes
    bytes[start] = kind.rawValue
    bytes.fill(start + 1, 7)
    bytes.setBigEndianUInt16(bytes.count, at: start + 5)
  }

  /// Empties a tree, a bounded piece at each call: call again until it returns true. The root stays.
  ///
  /// Each call takes the last leaves off, so the tree is whole between two calls.
  /// - Parameter entryCount: grows by the number of entries that went.
  public static func clear(_ pager: Pager, root: PageNumber, entryCount: inout Int64) throws(Fault) -> Bool {
    try pager.cursors.saveAll(on: root)
    if pager.isNoting {
      pager.logicalLog?.addClear(of: root.rawValue)
      pager.assertsLooks = true
    }
    defer { pager.assertsLooks = false }
    for _ in 0..<8 {
      if try clearLastPage(pager, root, &entryCount) { return true }
    }
    return false
  }

  public static func clear(_ pager: Pager, root: PageNumber) throws(Fault) -> Bool {
    var entryCount: Int64 = 0
    return try clear(pager, root: root, entryCount: &entryCount)
  }

  /// Clears a tree and frees its root; call again until it returns true.
  /// - Parameter movedRoot: in a file with auto_vacuum the last root moves to where the freed one was; this is where it was
  ///   before, 0 where no root moved.
  public static func drop(_ pager: Pager, root: PageNumber, movedRoot: inout UInt32) throws(Fault) -> Bool {
    guard try clear(pager, root: root) else { return false }
    movedRoot = 0
    try pager.beginWriteOperation(pages: 4)
    pager.noteUnkeyedChange()
    _ = try pager.page(root)
    guard pager.usesPointerMap else {
      try pager.free(root)
      return true
    }
    let last = try pager.meta(4)
    guard last >= root.rawValue, last <= pager.pageCount, root.rawValue > 1, !pager.isReserved(last) else {
      throw Fault.corrupt(.one, "largest root outside the database")
    }
    if last != root.rawValue {
      try pager.cursors.saveEverything()
      let relocation = try pager.prepareRelocation(of: last, mayBeRoot: true)
      _ = try pager.page(root)
      pager.carryOut(relocation, to: pager.blankPage(root.rawValue))
      movedRoot = last
    }
    try pager.free(PageNumber(last))
    var largest = last - 1
    while largest > 1, pager.isReserved(largest) { largest -= 1 }
    pager.setLargestRoot(largest, on: try pager.loadedPage(.one))
    return true
  }

  /// Frees the overflow chains of the tree's last leaf, cell by cell, then the leaf.
  /// - Returns: true when the root is an empty leaf.
  private static func clearLastPage(
    _ pager: Pager, _ root: PageNumber, _ entryCount: inout Int64
  ) throws(Fault) -> Bool {
    try pager.beginWriteOperation(pages: 20)
    let geometry = TreeGeometry(usableBytes: pager.usableSize)
    var parent: BTreePage?
    var page = try BTreePage(pager.page(root, isKeyed: true))
    let leafKind: PageKind = page.kind.isTable ? .tableLeaf : .indexLeaf
    var depth = 0
    while !page.isLeaf {
      let number = try page.child(page.cellCount)
      guard number.rawValue > 1, number.rawValue <= pager.pageCount, number != root, number != parent?.number else {
        throw Fault.corrupt(page.number, "child page out of range")
      }
      depth += 1
      guard depth < TreeGeometry.depthMax else { throw Fault.corrupt(number, "b-tree too deep") }
      parent = page
      page = try BTreePage(pager.page(number, isKeyed: true))
    }
    if try freeLastChain(pager, page, geometry) { return false }
    guard let parent else {
      // The root is a leaf without chains. An empty one stays as it is: who comes again after a wait changes nothing.
      if page.cellCount == 0, page.kind == leafKind { return true }
      entryCount += Int64(page.cellCount)
      initialize(pager.writable(page.page), leafKind)
      return true
    }
    // The leaf goes; the parent's last cell, whose left child then is the last, goes with it.
    if parent.cellCount == 0 {
      // The leaf is the only child: its parent becomes a leaf itself.
      entryCount += Int64(page.cellCount)
      initialize(pager.writable(parent.page), leafKind)
      try pager.free(page.number)
      return false
    }
    let last = parent.cellCount - 1
    let child = try parent.child(last)
    if parent.kind == .indexInterior {
      let cell = try parent.cell(last, geometry)
      if cell.overflows, try freeChainPiece(pager, parent, last, cell, geometry) { return false }
    }
    // An entry of an index lies between two leaves, too.
    entryCount += Int64(page.cellCount) + (parent.kind == .indexInterior ? 1 : 0)
    let writable = pager.writable(parent.page)
    let bytes = writable.mutableBytes
    bytes.setBigEndianUInt32(child.rawValue, at: parent.headerStart + 8)
    removeLastCell(writable, parent)
    try pager.free(page.number)
    return false
  }

  /// Takes the last cell of a page off; its bytes become fragments that the page, soon gone, never uses.
  private static func removeLastCell(_ writable: Page, _ page: BTreePage) {
    PageEditor(writable, like: page).removePointer(page.cellCount - 1)
  }

  /// Frees a piece of the chain of the leaf's last cell that has one.
  /// - Returns: false where no cell of the leaf overflows.
  private static func freeLastChain(_ pager: Pager, _ page: BTreePage, _ geometry: TreeGeometry) throws(Fault) -> Bool {
    var index = page.cellCount - 1
    while index >= 0 {
      let cell = try page.cell(index, geometry)
      if cell.overflows, try freeChainPiece(pager, page, index, cell, geometry) { return true }
      index -= 1
    }
    return false
  }

  /// Frees the first pages of a chain and shortens it. The record's own bytes no longer matter: what is left is a shorter
  /// record and its chain, whose head the cell holds, or zero at its end. Whatever the last page of a record leads to is
  /// not the record's.
  /// - Returns: false where nothing is left to free.
  private static func freeChainPiece(
    _ pager: Pager, _ page: BTreePage, _ index: Int, _ cell: TreeCell, _ geometry: TreeGeometry
  ) throws(Fault) -> Bool {
    var next = page.overflowHead(cell)
    if next.isNone { return false }
    var pages: [PageNumber] = []
    let most = (cell.payloadBytes - cell.localBytes + geometry.overflowBytes - 1) / geometry.overflowBytes
    while !next.isNone, pages.count < min(OverflowChain.pagesPerStep, most) {
      guard next.rawValue > 1, next.rawValue <= pager.pageCount, !pages.contains(next) else {
        throw Fault.corrupt(page.number, "overflow chain leaves the file", cell: index)
      }
      pages.append(next)
      next = PageNumber(try pager.page(next, isKeyed: true).bytes.bigEndianUInt32(at: 0))
    }
    if pages.count == most { next = .none }
    let start = try page.cellOffset(index) + (page.isLeaf ? 0 : 4)
    let bytes = pager.writable(page.page).mutableBytes
    if !next.isNone {
      // Full pages went: as much of the record lies in the cell as before.
      let rest = cell.payloadBytes - pages.count * geometry.overflowBytes
      setPayloadBytes(rest, bytes, at: start)
    }
    bytes.setBigEndianUInt32(next.rawValue, at: cell.payloadOffset + cell.localBytes)
    if pager.usesPointerMap, !next.isNone {
      pager.notePointer(next.rawValue, .overflowHead, parent: page.number.rawValue)
    }
    for number in pages { try pager.free(number) }
    return true
  }

  /// Overwrites a cell's payload size with a smaller one that takes as many bytes.
  private static func setPayloadBytes(_ payloadBytes: Int, _ bytes: MutableByteView, at start: Int) {
    // The ninth byte of a number has eight bits of it.
    var end = start
    while end < start + 8, bytes[end] >= 0x80 { end += 1 }
    let isLong = end == start + 8
    var rest = payloadBytes
    bytes[end] = UInt8(truncatingIfNeeded: rest & (isLong ? 0xff : 0x7f))
    rest >>= isLong ? 8 : 7
    while end > start {
      end -= 1
      bytes[end] = UInt8(truncatingIfNeeded: rest & 0x7f) | 0x80
      rest >>= 7
    }
  }
}
