// Giving free pages back to the file system: in files with auto_vacuum, the last pages move into free ones, and the file
// gets shorter. FULL does so before each commit, INCREMENTAL when PRAGMA incremental_vacuum asks.
//
// The freelist is taken into memory as a whole; then the last page of the file is looked at again and again: a free one
// goes, a page of the pointer map goes, any other moves to the lowest free place. Each such step loads first and then
// acts, and a wait between two goes on there. What is left is put back into the file's freelist; so it is where the
// statement was dropped and the transaction goes on.

import ApusBase

/// Free pages in memory. A class: a copy of a large list at each step would be too much.
final class FreePool {
  /// The trunk to read next, while the list is being read; the file's freelist is as it was until then.
  var nextTrunk: UInt32
  var pagesLeft: UInt32
  /// In ascending order once all are known.
  var pages: [UInt32] = []
  /// Where the lowest of them stands that is still free.
  var lowest = 0
  var trunks: Set<UInt32> = []
  /// The file's freelist is empty; these pages are to be put back.
  var isOwned = false

  init(nextTrunk: UInt32, pagesLeft: UInt32) {
    self.nextTrunk = nextTrunk
    self.pagesLeft = pagesLeft
  }

  /// A copy: what a mark keeps stays as it is.
  init(_ other: FreePool) {
    nextTrunk = other.nextTrunk
    pagesLeft = other.pagesLeft
    pages = other.pages
    lowest = other.lowest
    trunks = other.trunks
    isOwned = other.isOwned
  }
}

extension Pager {
  /// Before a commit: shortens a file in FULL mode, then writes what the pointer map owes.
  func settlePointerMap() throws(Fault) {
    if !usesPointerMap { return }
    let one = try loadedPage(.one).bytes
    let isFull = one.bigEndianUInt32(at: DatabaseHeader.incrementalOffset) == 0
    let hasFreePages = one.bigEndianUInt32(at: DatabaseHeader.freelistCountOffset) > 0
    if isFull, hasFreePages || freePool != nil {
      var steps = Int.max
      try vacuum(&steps)
    } else if freePool != nil {
      // The file is in another mode since a COMMIT was dropped.
      try putBackFreePages()
    }
    try writePointerEdits()
  }

  /// Takes up to `steps` pages off the file's end, as many as the freelist can take in. May wait; what is done is taken
  /// off `steps`.
  public func vacuum(_ steps: inout Int) throws(Fault) {
    guard usesPointerMap, state == .write else { return }
    noteUnkeyedChange()
    try takeFreelist()
    while let pool = freePool, pool.lowest < pool.pages.count, steps > 0 {
      beginOperation()
      try makeRoom(8)
      try writeManyPointerEdits()
      if try vacuumStep() { steps -= 1 }
    }
    // A file does not end with a page that describes others.
    while currentPageCount > 1, isReserved(currentPageCount) {
      try loadForUndo(currentPageCount)
      keepForUndo(currentPageCount)
      currentPageCount -= 1
    }
    try putBackFreePages()
  }

  private func takeFreelist() throws(Fault) {
    if freePool?.isOwned == true { return }
    if freePool == nil {
      let one = try loadedPage(.one).bytes
      freePool = FreePool(
        nextTrunk: one.bigEndianUInt32(at: DatabaseHeader.freelistTrunkOffset),
        pagesLeft: try freelistCount(one))
    }
    do throws(Fault) {
      while let next = freePool?.nextTrunk, next != 0 {
        beginOperation()
        // A list that leads back to itself ends here: what is collected is never more than the file's trunks hold.
        guard freePool?.trunks.contains(next) == false, mayBeFree(next) else { throw notFree(next) }
        let trunk = try trunkPage(next).bytes
        let leaves = Int(trunk.bigEndianUInt32(at: 4))
        guard let left = freePool?.pagesLeft, Int(left) > leaves else {
          throw .corrupt(.one, "freelist longer than its count")
        }
        keepForUndo(next)
        for leaf in 0..<leaves {
          let number = trunk.bigEndianUInt32(at: 8 + 4 * leaf)
          guard mayBeFree(number) else { throw notFree(number) }
          freePool?.pages.append(number)
        }
        freePool?.pages.append(next)
        freePool?.trunks.insert(next)
        freePool?.pagesLeft -= UInt32(leaves) + 1
        freePool?.nextTrunk = trunk.bigEndianUInt32(at: 0)
      }
      freePool?.pages.sort()
      var last: UInt32 = 1
      for number in freePool?.pages ?? [] {
        guard number > last else { throw notFree(number) }
        last = number
      }
      guard freePool?.pagesLeft == 0 else { throw .corrupt(.one, "freelist shorter than its count") }
      beginOperation()
      let one = try loadedPage(.one)
      setFreelist(one, trunk: 0, count: 0)
      freePool?.isOwned = true
      // Page 1 says that there is no freelist: who changes something next must ask.
      endDirtyRoom()
    } catch {
      if case .failure = error { freePool = nil }
      throw error
    }
  }

  private func mayBeFree(_ number: UInt32) -> Bool { number > 1 && number <= currentPageCount && !isReserved(number) }

  private func notFree(_ number: UInt32) -> Fault { .corrupt(PageNumber(number), "a page on the freelist cannot be there") }

  /// - Returns: false where a page went that never holds anything.
  private func vacuumStep() throws(Fault) -> Bool {
    let last = currentPageCount
    guard let pool = freePool, let lowest = pool.pages[pool.lowest...].first else { return false }
    if isReserved(last) {
      try loadForUndo(last)
      keepForUndo(last)
      currentPageCount = last - 1
      return false
    }
    if pool.pages.last == last {
      freePool?.pages.removeLast()
      noteReuse(last)
      pointerEdits[last] = nil
      currentPageCount = last - 1
      return true
    }
    try cursors.saveEverything()
    let relocation = try prepareRelocation(of: last, mayBeRoot: false)
    // Everything is in memory: act.
    freePool?.lowest += 1
    noteReuse(lowest)
    // The file may grow over it again.
    #if PlantedBugs
      if !PlantedBug.isActive(.cutWithoutUndo) { keepForUndo(last) }
    #else
      keepForUndo(last)
    #endif
    carryOut(relocation, to: blankPage(lowest))
    pointerEdits[last] = nil
    currentPageCount = last - 1
    return true
  }

  /// A page of the pointer map that was changed and written ahead of the commit is owed to savepoints as it is now, and nobody has
  /// looked at it on the way to its end. May wait.
  private func loadForUndo(_ number: UInt32) throws(Fault) {
    if isMapPage(number) { _ = try loadedPage(PageNumber(number)) }
  }

  /// A page that was free when the transaction began, and no trunk, held nothing that a journal would have to keep.
  private func noteReuse(_ number: UInt32) {
    if number <= committedPageCount, !freedPages.contains(number), freePool?.trunks.contains(number) == false {
      contentlessPages.insert(number)
    }
  }

  /// Writes what is left of the pool as the file's freelist.
  func putBackFreePages() throws(Fault) {
    guard let pool = freePool else { return }
    guard pool.isOwned else {
      freePool = nil
      return
    }
    _ = try loadedPage(.one)
    for number in pool.pages[pool.lowest...] {
      if pool.trunks.contains(number) { freedPages.insert(number) }
      try addToFreelist(number)
    }
    freePool = nil
  }
}
