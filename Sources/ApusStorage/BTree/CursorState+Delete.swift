// Deleting the current entry.

import ApusBase

extension CursorState {
  /// Deletes the current entry. Afterwards `next` goes to the entry behind it, `previous` to the one before.
  mutating func delete() throws(Fault) {
    if !pager.isNoting { return try deleteCurrent() }
    pager.assertsLooks = true
    defer { pager.assertsLooks = false }
    try deleteCurrent()
  }

  private mutating func deleteCurrent() throws(Fault) {
    guard writeStep != .freeingChain else { return try finishWrite() }
    if position == .displaced { try restore() }
    guard position == .atRow else { return }
    try pager.cursors.saveOthers(on: root, but: link)
    try saveKeyOfCurrent()
    if pager.isNoting { try noteOld() }
    gapHasKey = true
    try beginWriteOperation()
    stagePath()
    let place = stagedCount &- 1
    let page = staged[place].page
    let index = staged[place].index
    let old = try page.cell(index, geometry)
    let oldHead = old.overflows ? page.overflowHead(old) : .none
    if page.isLeaf {
      try deleteFromLeaf(page, index, old, place)
    } else {
      try deleteFromInterior(page, index, place)
    }
    chain = OverflowChain()
    if !oldHead.isNone {
      chain.head = oldHead
      chain.byteCount = old.payloadBytes - old.localBytes
      writeStep = .freeingChain
    }
    if pager.isNoting { noteRemoval() }
    try finishWrite()
  }

  private mutating func saveKeyOfCurrent() throws(Fault) {
    if isTable {
      savedRowid = try current.page.rowid(current.index)
    } else {
      let record = try wholePayload()
      savedKey.removeAll()
      savedKey.append(record)
    }
  }

  /// Stages the path that the cursor has.
  mutating func stagePath() {
    var level = 0
    while level < depth {
      stage(ancestors[level].page, ancestors[level].index)
      level &+= 1
    }
    stage(current.page, current.index)
  }

  private mutating func deleteFromLeaf(
    _ page: BTreePage, _ index: Int, _ old: TreeCell, _ place: Int
  ) throws(Fault) {
    let offset = try page.cellOffset(index)
    let freeAfter = try page.checkRelease(offset, old.cellBytes) + old.cellBytes + 2
    if place == 0 || freeAfter * 3 <= geometry.usableBytes * 2 {
      let editor = PageEditor(makeCurrentWritable(), like: page)
      editor.release(offset, old.cellBytes)
      editor.removePointer(index)
      endCurrentEdit(page)
      setPosition(.inGap)
      return
    }
    plan.reset()
    try makePlan(PageEdit(depth: place, index: index, removes: true, insertion: nil), above: nil)
    releasePath()
    try carryOutPlan()
    position = .displaced
  }

  /// The entry gives way to the last one of its left subtree.
  private mutating func deleteFromInterior(_ page: BTreePage, _ index: Int, _ place: Int) throws(Fault) {
    var child = try loadChild(page, index, atDepth: stagedCount)
    while !child.isLeaf {
      stage(child, child.cellCount)
      child = try loadChild(child, child.cellCount, atDepth: stagedCount)
    }
    let last = child.cellCount - 1
    stage(child, last)
    plan.reset()
    let offset = try child.cellOffset(last)
    let length = try child.cellLength(last, geometry)
    let copy = plan.takeScratch(4 + length)
    let left = try page.child(index)
    plan.scratch.mutableBytes.setBigEndianUInt32(left.rawValue, at: copy)
    plan.scratch.mutableBytes.copy(child.bytes.slice(offset, length), to: copy + 4)
    let replacement = CellReference(offset: copy, length: 4 + length)
    try makePlan(
      PageEdit(depth: stagedCount - 1, index: last, removes: true, insertion: nil),
      above: PageEdit(depth: place, index: index, removes: true, insertion: replacement))
    releasePath()
    try carryOutPlan()
    position = .displaced
  }

  // MARK: Counting, new row ids

  /// The number of entries. What was counted before a wait is remembered.
  /// - Returns: nil after each `leavesPerCount` leaves: the caller sees whether it is to go on, and calls again.
  mutating func count() throws(Fault) -> Int? {
    if countProgress == nil {
      guard try moveToFirst() else { return 0 }
      countProgress = CountProgress()
    }
    var progress = countProgress ?? CountProgress()
    while true {
      if current.page.isLeaf {
        // The whole leaf at once.
        progress.entryCount &+= current.page.cellCount
        progress.leafCount &+= 1
        current.index = current.page.cellCount &- 1
      } else {
        progress.entryCount &+= 1
      }
      do throws(Fault) {
        guard progress.leafCount <= Int(pager.pageCount) else {
          throw Fault.corrupt(root, "more leaves than the database has pages")
        }
        guard try next() else { break }
      } catch {
        // A movement that waits leaves the cursor where it is: this page is counted again.
        if case .failure = error { countProgress = nil }
        #if PlantedBugs
          if PlantedBug.isActive(.countLeafTwice), case .wait = error { countProgress = progress }
        #endif
        throw error
      }
      countProgress = progress
      if current.page.isLeaf, progress.leafCount % CursorState.leavesPerCount == 0 { return nil }
    }
    countProgress = nil
    return progress.entryCount
  }

  /// Leaves that `count` goes through in one call: much work between two looks, and few leaves too many behind an interrupt.
  static var leavesPerCount: Int { 100 }

  /// One more than the largest row id, and than `sequence`; where that is taken, a random one that is free.
  mutating func newRowid(mayBeRandom: Bool, behind sequence: Int64) throws(Fault) -> Int64 {
    if !isAtLastLeaf, pager.isNoting { return try newRowidNoting(mayBeRandom: mayBeRandom, behind: sequence) }
    let largest = max(try moveToLast() ? try current.page.rowid(current.index) : 0, sequence)
    return largest < Int64.max ? largest &+ 1 : try randomRowid(mayBeRandom)
  }

  mutating func randomRowid(_ isAllowed: Bool) throws(Fault) -> Int64 {
    if !isAllowed {
      throw Fault.error(.full, object: "table with root page \(root.rawValue)", cause: "the largest row id is taken")
    }
    for _ in 0..<100 {
      // The same one behind a wait, whose leaf has been read meanwhile.
      let candidate = rowidCandidate ?? Int64(bitPattern: pager.environment.randomUInt64() >> 2)
      rowidCandidate = candidate
      var isTaken = candidate == 0
      if !isTaken { isTaken = try seek(rowid: candidate, .equal) }
      rowidCandidate = nil
      if !isTaken { return candidate }
    }
    throw Fault.error(.full, object: "table with root page \(root.rawValue)", cause: "no free row id was found")
  }
}

/// How far `count` has come.
struct CountProgress {
  var entryCount = 0
  var leafCount = 0
}
