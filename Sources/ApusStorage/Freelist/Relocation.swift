// Moving a page of a file with auto_vacuum to another number: its content is copied, the pointer that leads to it changed,
// and the pointer map's entries of all that it leads to.

import ApusBase

/// A page and everything that must be in memory before it moves.
struct Relocation {
  fileprivate let page: Page
  fileprivate let entry: PointerEntry
  /// The page that leads here and where its pointer is; nil for a root.
  fileprivate let parent: Page?
  fileprivate let pointerOffset: Int
}

extension Pager {
  /// Loads what moving page `number` takes. Every cursor has saved its place before.
  /// - Throws: SQLITE_CORRUPT where the map and the page above disagree.
  func prepareRelocation(of number: UInt32, mayBeRoot: Bool) throws(Fault) -> Relocation {
    let entry = try pointerEntry(of: number)
    let page = try page(PageNumber(number))
    switch entry.kind {
    case .free: throw .corrupt(page.number, "a free page is not on the freelist")
    case .root:
      guard mayBeRoot, number > 1 else { throw .corrupt(page.number, "a root page is not where roots are") }
      try checkPointers(below: page)
      return Relocation(page: page, entry: entry, parent: nil, pointerOffset: 0)
    case .overflowHead, .overflowNext, .child: break
    }
    guard entry.parent > 0, entry.parent <= currentPageCount, entry.parent != number, !isReserved(entry.parent) else {
      throw .corrupt(page.number, "the pointer map's parent of a page is none")
    }
    let parent = try self.page(PageNumber(entry.parent))
    let offset: Int?
    switch entry.kind {
    case .overflowNext: offset = parent.bytes.bigEndianUInt32(at: 0) == number ? 0 : nil
    case .child:
      try checkPointers(below: page)
      offset = try childPointer(to: number, on: BTreePage(parent))
    case .overflowHead, .root, .free: offset = try chainPointer(to: number, on: BTreePage(parent))
    }
    guard let offset else { throw .corrupt(page.number, "the pointer map's parent does not lead to its page") }
    return Relocation(page: page, entry: entry, parent: parent, pointerOffset: offset)
  }

  /// Whether `notePointers(below:)` finds what it looks for on a page of the file.
  private func checkPointers(below page: Page) throws(Fault) {
    let tree = try BTreePage(page)
    let geometry = TreeGeometry(usableBytes: usableSize)
    for index in 0..<tree.cellCount {
      if !tree.isLeaf { try checkPointer(tree.child(index), on: page, cell: index) }
      if tree.kind == .tableInterior { continue }
      let cell = try tree.cell(index, geometry)
      if cell.overflows { try checkPointer(tree.overflowHead(cell), on: page, cell: index) }
    }
    if !tree.isLeaf { try checkPointer(tree.child(tree.cellCount), on: page, cell: tree.cellCount) }
  }

  private func checkPointer(_ number: PageNumber, on page: Page, cell: Int) throws(Fault) {
    guard number.rawValue > 1, number.rawValue <= currentPageCount, !isReserved(number.rawValue) else {
      throw .corrupt(page.number, "a pointer of a cell leads nowhere", cell: cell)
    }
  }

  /// The last page that is a root; page 1 is in memory.
  func setLargestRoot(_ number: UInt32, on one: Page) {
    writable(one).mutableBytes.setBigEndianUInt32(number, at: DatabaseHeader.largestRootOffset)
  }

  private func childPointer(to number: UInt32, on page: BTreePage) throws(Fault) -> Int? {
    if page.isLeaf { return nil }
    for index in 0..<page.cellCount where try page.child(index).rawValue == number { return try page.cellOffset(index) }
    return try page.child(page.cellCount).rawValue == number ? page.headerStart + 8 : nil
  }

  private func chainPointer(to number: UInt32, on page: BTreePage) throws(Fault) -> Int? {
    if page.kind == .tableInterior { return nil }
    let geometry = TreeGeometry(usableBytes: usableSize)
    for index in 0..<page.cellCount {
      let cell = try page.cell(index, geometry)
      if cell.overflows, page.overflowHead(cell).rawValue == number { return cell.payloadOffset + cell.localBytes }
    }
    return nil
  }

  /// Moves the page to `target`, a private page whose content does not matter. What becomes of the old place is the
  /// caller's business.
  func carryOut(_ relocation: Relocation, to target: Page) {
    target.mutableBytes.copy(relocation.page.bytes, to: 0)
    let number = target.numberValue
    #if PlantedBugs
      let forgetsPredecessor = PlantedBug.isActive(.staleLinkAfterMove) && relocation.entry.kind == .overflowNext
    #else
      let forgetsPredecessor = false
    #endif
    if let parent = relocation.parent, !forgetsPredecessor {
      writable(parent).mutableBytes.setBigEndianUInt32(number, at: relocation.pointerOffset)
    }
    notePointer(number, relocation.entry.kind, parent: relocation.entry.parent)
    switch relocation.entry.kind {
    case .root, .child: notePointers(below: target)
    case .overflowHead, .overflowNext:
      let next = target.bytes.bigEndianUInt32(at: 0)
      if next != 0 { notePointer(next, .overflowNext, parent: number) }
    case .free: break
    }
  }
}
