// Balancing: plan from a changed page up to the root, then act.

import ApusBase

/// A change of one page's list: before cell `index`, or of it.
struct PageEdit {
  var depth: Int
  var index: Int
  var removes: Bool
  var insertion: CellReference?
}

extension CursorState {
  /// Works out what `edit` on the path in `staged` leads to. `above` is a second edit on a page further up, where an
  /// entry of an interior page gives way to the last one of its left subtree. Loads siblings; may fault.
  /// - Precondition: `plan.reset()` was called before the edits' cells were added to it.
  mutating func makePlan(_ edit: PageEdit, above: PageEdit?) throws(Fault) {
    var above = above
    var depth = edit.depth
    var list = try makeList(staged[depth].page, edit)
    while true {
      let page = staged[depth].page
      let size = plan.byteCount(list)
      let isFull = size > page.capacity
      if depth == 0, isFull {
        try deepenRoot(page, list)
        return
      }
      // Two thirds empty: worth a merge. A page that is left alone keeps its bytes.
      if !isFull, depth == 0 || plan.isAppend || (page.capacity - size) * 3 <= geometry.usableBytes * 2 {
        plan.pages.append(
          PlannedPage(page: page, kind: page.kind, cells: list, levelBelow: levelBelow(depth)))
        guard let next = above else { return }
        above = nil
        depth = next.depth
        list = try makeList(staged[depth].page, next)
        continue
      }
      let parentEdit = above?.depth == depth - 1 ? above : nil
      if parentEdit != nil { above = nil }
      let level = try joinSiblings(page, list, depth, parentEdit)
      plan.levels.append(level)
      list = level.parent
      depth -= 1
      if depth == 0, list.count == 0, level.newCount == 1 {
        let root = staged[0].page
        if plan.byteCount(level.cells) <= root.bytes.count - (root.headerStart + level.kind.headerBytes) {
          plan.collapsesRoot = true
          plan.pages.append(
            PlannedPage(page: root, kind: level.kind, cells: level.cells, levelBelow: plan.levels.count - 1))
          return
        }
      }
    }
  }

  /// The planned level whose parent is at `depth`: the last one, unless the page was changed only by its own edit.
  private mutating func levelBelow(_ depth: Int) -> Int {
    guard let level = plan.levels.indices.last, plan.levels[level].parentDepth == depth else { return -1 }
    return level
  }

  private mutating func makeList(_ page: BTreePage, _ edit: PageEdit?) throws(Fault) -> CellList {
    let start = plan.cells.count
    try plan.appendCells(of: page, geometry)
    if let edit {
      if edit.removes {
        if let new = edit.insertion {
          plan.cells[start + edit.index] = new
        } else {
          plan.cells.remove(at: start + edit.index)
        }
      } else if let new = edit.insertion {
        plan.cells.insert(new, at: start + edit.index)
      }
    }
    let rightChild = page.isLeaf ? 0 : page.bytes.bigEndianUInt32(at: page.headerStart + 8)
    return CellList(start: start, count: plan.cells.count - start, rightChild: rightChild)
  }

  /// Joins the page, whose cells are `list`, with its siblings, and cuts all of them anew.
  private mutating func joinSiblings(
    _ page: BTreePage, _ list: CellList, _ depth: Int, _ parentEdit: PageEdit?
  ) throws(Fault) -> PlannedLevel {
    let parentPage = staged[depth - 1].page
    let child = staged[depth - 1].index
    let parent = try makeList(parentPage, parentEdit)
    guard parent.count == parentPage.cellCount, child <= parent.count else {
      throw Fault.corrupt(parentPage.number, "b-tree path does not fit")
    }
    let first = plan.isAppend ? child : max(0, min(child - 1, parent.count - 2))
    let siblings = plan.isAppend ? 1 : min(3, parent.count + 1)
    var level = PlannedLevel(
      kind: page.kind, cells: CellList(start: 0, count: 0, rightChild: 0),
      oldPages: InlineArray(repeating: page.page), oldCount: siblings)
    level.parentDepth = depth - 1
    level.below = levelBelow(depth)
    // The siblings' own lists first: each appends to `cells`.
    var lists = InlineArray<3, CellList>(repeating: list)
    for sibling in 0..<siblings where first + sibling != child {
      let number = childNumber(parent, first + sibling)
      guard number.rawValue > 1, number.rawValue <= pager.pageCount, number != page.number else {
        throw Fault.corrupt(parentPage.number, "child page out of range", cell: first + sibling)
      }
      for earlier in 0..<sibling where level.oldPages[earlier].number == number {
        throw Fault.corrupt(parentPage.number, "a page is the child of two cells", cell: first + sibling)
      }
      let siblingPage = try BTreePage(pager.page(number, isKeyed: keepsKeys))
      guard siblingPage.kind == page.kind else {
        throw Fault.corrupt(number, "sibling of another kind")
      }
      level.oldPages[sibling] = siblingPage.page
      lists[sibling] = try makeList(siblingPage, nil)
    }
    let start = plan.cells.count
    var count = siblings
    for sibling in 0..<siblings { count &+= lists[sibling].count }
    plan.cells.reserveCapacity(2 * (start + count))
    for sibling in 0..<siblings {
      let own = lists[sibling]
      for index in own.start..<own.end { plan.cells.append(plan.cells[index]) }
      let isChanged = first + sibling == child && level.below >= 0
      if sibling == siblings - 1 {
        level.cells.rightChild = own.rightChild
        level.takesRightChildFromBelow = isChanged
      } else if page.kind != .tableLeaf {
        let cell = lowered(plan.cells[parent.start + first + sibling], page.kind, rightChild: own.rightChild)
        plan.cells.append(cell)
        if isChanged { level.lateCell = cell }
      }
    }
    level.cells.start = start
    level.cells.count = plan.cells.count - start
    guard plan.cut(&level, capacity: geometry.usableBytes - page.kind.headerBytes) else {
      throw Fault.corrupt(page.number, "cells larger than a page")
    }
    try raiseDividers(&level, parent, first: first, replaced: siblings - 1)
    return level
  }

  private mutating func childNumber(_ parent: CellList, _ index: Int) -> PageNumber {
    PageNumber(index == parent.count ? parent.rightChild : plan.child(of: plan.cells[parent.start + index]))
  }

  /// A divider of the parent as a cell of the level below.
  private mutating func lowered(_ divider: CellReference, _ kind: PageKind, rightChild: UInt32) -> CellReference {
    if kind.isLeaf { return CellReference(offset: divider.offset + 4, length: divider.length - 4) }
    let offset = plan.takeScratch(divider.length)
    let scratch = plan.scratch.mutableBytes
    scratch.copy(scratch.readable.slice(divider.offset, divider.length), to: offset)
    scratch.setBigEndianUInt32(rightChild, at: offset)
    return CellReference(offset: offset, length: divider.length)
  }

  /// Builds the parent's list: its own cells with the dividers between the new pages in place of the old ones.
  private mutating func raiseDividers(
    _ level: inout PlannedLevel, _ parent: CellList, first: Int, replaced: Int
  ) throws(Fault) {
    let start = plan.cells.count
    for index in 0..<first { plan.cells.append(plan.cells[parent.start + index]) }
    for page in 0..<level.newCount - 1 { plan.cells.append(try divider(level, page)) }
    for index in (first + replaced)..<parent.count { plan.cells.append(plan.cells[parent.start + index]) }
    level.parent = CellList(start: start, count: plan.cells.count - start, rightChild: parent.rightChild)
    level.firstDivider = start + first
    #if PlantedBugs
      if PlantedBug.isActive(.loseCellInSplit), level.kind == .tableLeaf, level.newCount > level.oldCount,
        level.cells.count > 6
      {
        level.ends[level.newCount - 1] -= 1
      }
    #endif
  }

  /// The cell that goes up between new page `page` and the next one; its left child is set when the pages are known.
  private mutating func divider(_ level: PlannedLevel, _ page: Int) throws(Fault) -> CellReference {
    let end = level.ends[page]
    switch level.kind {
    case .tableLeaf:
      // A copy of the largest row id on the left.
      var source = plan.cells[end - 1]
      #if PlantedBugs
        if PlantedBug.isActive(.staleDividerKey), end >= 2 { source = plan.cells[end - 2] }
      #endif
      source.length = max(source.length, TreeGeometry.cellBytesMin)
      let bytes = plan.scratch.bytes
      guard let (_, keyStart) = bytes.varint(at: source.offset), let (_, keyEnd) = bytes.varint(at: keyStart) else {
        throw Fault.corrupt(root, "cell too short")
      }
      let length = keyEnd - keyStart
      let offset = plan.takeScratch(4 + length)
      let scratch = plan.scratch.mutableBytes
      scratch.copy(scratch.readable.slice(keyStart, length), to: offset + 4)
      return CellReference(offset: offset, length: 4 + length)
    case .indexLeaf:
      let source = plan.cells[end]
      let offset = plan.takeScratch(4 + source.length)
      let scratch = plan.scratch.mutableBytes
      scratch.copy(scratch.readable.slice(source.offset, source.length), to: offset + 4)
      return CellReference(offset: offset, length: 4 + source.length)
    case .tableInterior, .indexInterior:
      // In place: its left child, known when the level below is written, becomes the page's right-most one.
      return plan.cells[end]
    }
  }

  /// The root does not fit its page: its content moves one level down.
  private mutating func deepenRoot(_ root: BTreePage, _ list: CellList) throws(Fault) {
    var level = PlannedLevel(
      kind: root.kind, cells: list, oldPages: InlineArray(repeating: root.page), oldCount: 0)
    level.parentDepth = 0
    level.below = levelBelow(0)
    level.takesRightChildFromBelow = level.below >= 0
    guard plan.cut(&level, capacity: geometry.usableBytes - root.kind.headerBytes) else {
      throw Fault.corrupt(root.number, "cells larger than a page")
    }
    try raiseDividers(&level, CellList(start: plan.cells.count, count: 0, rightChild: 0), first: 0, replaced: 0)
    plan.levels.append(level)
    let kind: PageKind = root.kind.isTable ? .tableInterior : .indexInterior
    plan.pages.append(
      PlannedPage(page: root, kind: kind, cells: level.parent, levelBelow: plan.levels.count - 1))
  }

  // MARK: Acting

  /// Carries the plan out. The cursor must hold no pins on the pages concerned, so that private images are changed in
  /// place.
  mutating func carryOutPlan() throws(Fault) {
    for index in plan.levels.indices {
      let isRootContent = plan.collapsesRoot && index == plan.levels.count - 1
      try writeLevel(index, isRootContent: isRootContent)
    }
    #if PlantedBugs
      let forgetsLastChild = PlantedBug.isActive(.forgetLastChildAtCollapse)
    #else
      let forgetsLastChild = false
    #endif
    for (index, page) in plan.pages.enumerated() {
      var cells = page.cells
      // The root that takes its child's content over has it from `writeLevel`.
      let isRootContent = plan.collapsesRoot && (index == plan.pages.count - 1 || forgetsLastChild)
      if page.levelBelow >= 0, !isRootContent { cells.rightChild = plan.levels[page.levelBelow].parent.rightChild }
      let bytes = pager.writable(page.page.page).mutableBytes
      plan.write(
        cells.start..<cells.end, page.kind, rightChild: cells.rightChild, to: bytes, headerStart: page.page.headerStart)
      if pager.usesPointerMap { notePointers(below: page.page.number) }
    }
  }

  /// The pointer map follows what was moved to a page.
  private mutating func notePointers(below number: PageNumber) {
    guard let page = try? pager.loadedPage(number) else { preconditionFailure("the page was just written") }
    #if PlantedBugs
      if PlantedBug.isActive(.staleMapEntryAfterBalance), page.bytes[0] == PageKind.tableLeaf.rawValue { return }
    #endif
    pager.notePointers(below: page)
  }

  private mutating func writeLevel(_ index: Int, isRootContent: Bool) throws(Fault) {
    var level = plan.levels[index]
    if level.below >= 0 {
      let number = plan.levels[level.below].parent.rightChild
      if level.takesRightChildFromBelow { level.cells.rightChild = number }
      if let cell = level.lateCell { plan.setChild(number, of: cell) }
    }
    if isRootContent {
      // The root takes the content over: the pages of the level go.
      plan.pages[plan.pages.count - 1].cells.rightChild = level.cells.rightChild
      for old in 0..<level.oldCount { try pager.free(level.oldPages[old].number) }
      #if PlantedBugs
        if PlantedBug.isActive(.wrongCollapse) { plan.pages[plan.pages.count - 1].cells.count -= 1 }
      #endif
      return
    }
    // Pages in ascending order, so that a scan reads the file forwards.
    var pages = InlineArray<8, Page>(repeating: level.oldCount > 0 ? level.oldPages[0] : .none)
    for page in 0..<level.newCount {
      if page < level.oldCount {
        pages[page] = pager.writable(level.oldPages[page])
      } else {
        pages[page] = try pager.allocate(near: page > 0 ? pages[page - 1].number : root)
      }
      var place = page
      while place > 0, pages[place].number < pages[place - 1].number {
        pages.swapAt(place, place - 1)
        place -= 1
      }
    }
    var start = level.cells.start
    for page in 0..<level.newCount {
      let end = level.ends[page]
      let isLast = page == level.newCount - 1
      var rightChild = level.cells.rightChild
      if !isLast, !level.kind.isLeaf { rightChild = plan.child(of: plan.cells[end]) }
      plan.write(
        start..<end, level.kind, rightChild: rightChild, to: pages[page].mutableBytes,
        headerStart: 0)
      if pager.usesPointerMap { notePointers(below: pages[page].number) }
      start = level.kind == .tableLeaf ? end : end + 1
      let number = pages[page].number.rawValue
      if level.firstDivider + page < level.parent.end {
        plan.setChild(number, of: plan.cells[level.firstDivider + page])
      } else {
        plan.levels[index].parent.rightChild = number
      }
    }
    if level.newCount < level.oldCount {
      for old in level.newCount..<level.oldCount { try pager.free(level.oldPages[old].number) }
    }
  }
}
