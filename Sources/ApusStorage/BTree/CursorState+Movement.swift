// First, last, next, previous.

import ApusBase

extension CursorState {
  mutating func moveToFirst() throws(Fault) -> Bool {
    if pager.isNoting { flushNotes() }
    beginOperation()
    countProgress = nil
    forgetScan()
    let page = try load(root, atDepth: 0)
    stage(page, 0)
    let found = try finishForward(at: 0)
    if pager.isNoting { noteFirst(found) }
    return found
  }

  /// A scan begins anew: how far to read ahead is found out again.
  @inline(__always)
  mutating func forgetScan() {
    aheadCount = 1
    leafDepth = -1
  }

  mutating func moveToLast() throws(Fault) -> Bool {
    // An append-only workload asks for the last row before each insert.
    if position == .atRow, isFresh, isAtLastLeaf, generation == pager.cursors.generation,
      current.index == current.page.cellCount &- 1
    {
      return true
    }
    if pager.isNoting { flushNotes() }
    beginOperation()
    let page = try load(root, atDepth: 0)
    stage(page, page.cellCount)
    let found = try finishBackward(at: 0, isLast: true)
    if pager.isNoting { noteLast(found) }
    return found
  }

  @inline(__always)
  mutating func next() throws(Fault) -> Bool {
    if position == .atRow, current.page.isLeaf {
      let index = current.index &+ 1
      if index < current.page.cellCount {
        current.index = index
        parsedColumns = -1
        return true
      }
    }
    return try nextElsewhere()
  }

  @inline(never)
  mutating func nextElsewhere() throws(Fault) -> Bool {
    switch position {
    case .unpositioned, .nullRow: return false
    case .displaced:
      try restore()
      #if PlantedBugs
        if PlantedBug.isActive(.skipRowAfterRestore), position == .inGap { setPosition(.atRow) }
      #endif
      // Restored in a gap: the entry behind it is the next one. Restored on the row: one further.
      return position == .unpositioned ? false : try nextElsewhere()
    case .atRow, .inGap: break
    }
    beginOperation()
    if current.page.isLeaf { leafDepth = depth }
    let isGap = position == .inGap
    if current.page.isLeaf {
      stage(current.page, isGap ? current.index : current.index &+ 1)
    } else {
      stage(current.page, current.index &+ 1)
    }
    let found = try finishForward(at: depth)
    if !found, pager.isNoting { noteEnd() }
    return found
  }

  mutating func previous() throws(Fault) -> Bool {
    if position == .atRow, current.page.isLeaf, current.index > backFloor {
      current.index &-= 1
      parsedColumns = -1
      return true
    }
    return try pager.isNoting ? previousNoting() : previousElsewhere()
  }

  mutating func previousElsewhere() throws(Fault) -> Bool {
    switch position {
    case .unpositioned, .nullRow: return false
    case .displaced:
      try restore()
      return position == .unpositioned ? false : try previousElsewhere()
    case .atRow, .inGap: break
    }
    beginOperation()
    stage(current.page, current.index)
    return try finishBackward(at: depth)
  }

  /// The staged levels start at depth `base` and end with a page and the index of the entry or child to go to. Descends
  /// to the first entry from there on, climbing as needed, and takes the path.
  /// - Returns: false where no entry follows; the cursor is then nowhere.
  mutating func finishForward(at base: Int) throws(Fault) -> Bool {
    var base = base
    while true {
      let level = staged[stagedCount &- 1]
      if level.page.isLeaf {
        if level.index < level.page.cellCount { break }
        // Climb to the nearest ancestor that has an entry or a child to the right.
        var found = false
        while !found {
          if stagedCount > 1 {
            stagedCount &-= 1
          } else if base > 0 {
            base &-= 1
            staged[0] = ancestors[base]
          } else {
            setPosition(.unpositioned)
            return false
          }
          found = staged[stagedCount &- 1].index < staged[stagedCount &- 1].page.cellCount
        }
        if !isTable { break }
        staged[stagedCount &- 1].index &+= 1
      } else {
        let child = try loadChildAhead(level.page, level.index, atDepth: base &+ stagedCount)
        stage(child, 0)
      }
    }
    takeStaged(at: base)
    setPosition(.atRow)
    return true
  }

  /// As `finishForward`, to the last entry before the staged place.
  mutating func finishBackward(at base: Int, isLast: Bool = false) throws(Fault) -> Bool {
    var base = base
    var isLast = isLast
    while true {
      let level = staged[stagedCount &- 1]
      if level.page.isLeaf {
        if level.index > 0 {
          staged[stagedCount &- 1].index &-= 1
          break
        }
        isLast = false
        var found = false
        while !found {
          if stagedCount > 1 {
            stagedCount &-= 1
          } else if base > 0 {
            base &-= 1
            staged[0] = ancestors[base]
          } else {
            setPosition(.unpositioned)
            return false
          }
          found = staged[stagedCount &- 1].index > 0
        }
        staged[stagedCount &- 1].index &-= 1
        if !isTable { break }
      } else {
        let child = try loadChild(level.page, level.index, atDepth: base &+ stagedCount)
        stage(child, child.cellCount)
      }
    }
    takeStaged(at: base)
    isAtLastLeaf = isLast && current.page.isLeaf && !pager.isNoting
    setPosition(.atRow)
    return true
  }

  /// A child that a scan moves on to. Where it is not in memory, its right siblings are asked for with it.
  private mutating func loadChildAhead(_ page: BTreePage, _ index: Int, atDepth newDepth: Int) throws(Fault)
    -> BTreePage
  {
    if newDepth == leafDepth { readAhead(page, index) }
    do {
      return try loadChild(page, index, atDepth: newDepth)
    } catch {
      if case .wait(.completion) = error { prefetch(page, from: index &+ 1, isLeaf: newDepth == leafDepth) }
      throw error
    }
  }

  /// The leaves from child `index` on that follow each other in the file.
  private mutating func readAhead(_ page: BTreePage, _ index: Int) {
    guard let first = try? page.child(index), !pager.isLoaded(first) else { return }
    // Each further miss of a scan doubles what is read at once.
    if aheadCount < CursorState.aheadCountMax { aheadCount = aheadCount &* 2 }
    let limit = min(aheadCount, page.cellCount &+ 1 &- index)
    var count = 1
    while count < limit, let next = try? page.child(index &+ count),
      UInt64(next.rawValue) == UInt64(first.rawValue) &+ UInt64(count)
    {
      count &+= 1
    }
    pager.readAhead(first.rawValue, count: count)
  }

  private mutating func prefetch(_ page: BTreePage, from index: Int, isLeaf: Bool) {
    var numbers: [PageNumber] = []
    // A scan that has met several misses asks for twice what it would read at once: the disk works while it goes on.
    let count = max(8, isLeaf ? aheadCount &* 2 : 0)
    for sibling in index..<max(index, min(index + count, page.cellCount + 1)) {
      guard let number = try? page.child(sibling), number.rawValue > 1, number.rawValue <= pager.pageCount else {
        return
      }
      numbers.append(number)
    }
    pager.pages(prefetch: numbers)
  }
}
