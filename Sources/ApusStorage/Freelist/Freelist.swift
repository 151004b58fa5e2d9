// The freelist: pages of the file that hold nothing. Source: https://sqlite.org/fileformat2.html#the_freelist
//
// Trunk page:
//   offset  size  meaning (big-endian)
//        0     4  next trunk page, 0 at the end
//        4     4  leaves in this trunk
//        8   4*n  leaf page numbers
//
// `beginWriteOperation` loads the trunks that the operation can need, so that allocating and freeing do not fault. A
// freed page's content stays as it is until the page is used again.

import ApusBase

extension Pager {
  /// Leaves that are put into one trunk: SQLite leaves the last six places free (an old release read them wrongly).
  var freelistLeafCountMax: Int {
    #if PlantedBugs
      if let small = environment.smallLimits.trunkLeafCount { return min(small, usableSize / 4 - 8) }
    #endif
    return usableSize / 4 - 8
  }

  /// The lock bytes' page, which holds nothing.
  var lockBytePage: UInt32 { UInt32(truncatingIfNeeded: configuration.lockByteOffset / Int64(pageSize)) + 1 }

  /// How many pages the freelist has.
  /// - Throws: SQLITE_CORRUPT where the file cannot have that many: page 1 is never free.
  func freelistCount(_ one: ByteView) throws(Fault) -> UInt32 {
    let count = one.bigEndianUInt32(at: DatabaseHeader.freelistCountOffset)
    guard count < max(currentPageCount, 1) else { throw .corrupt(.one, "freelist longer than the database") }
    return count
  }

  /// Loads page 1 and the trunks that `pages` allocations can use up.
  func loadFreelist(pages: Int) throws(Fault) {
    let one = try loadedPage(.one).bytes
    var wanted = pages
    var trunk = one.bigEndianUInt32(at: DatabaseHeader.freelistTrunkOffset)
    var left = try freelistCount(one)
    while trunk != 0 && wanted > 0 && left > 0 {
      let bytes = try trunkPage(trunk).bytes
      let leaves = Int(bytes.bigEndianUInt32(at: 4))
      wanted -= leaves + 1
      left = left > UInt32(leaves) + 1 ? left - UInt32(leaves) - 1 : 0
      trunk = bytes.bigEndianUInt32(at: 0)
    }
  }

  func trunkPage(_ number: UInt32) throws(Fault) -> Page {
    guard number > 1 && number <= currentPageCount else {
      throw .corrupt(PageNumber(number), "freelist trunk outside the database")
    }
    let page = try loadedPage(PageNumber(number))
    guard Int(page.bytes.bigEndianUInt32(at: 4)) <= usableSize / 4 - 2 else {
      throw .corrupt(page.number, "freelist trunk with too many leaves")
    }
    return page
  }

  /// A private, zeroed page: a free one (near `target` if the first trunk has one), else a new one at the file's end.
  public func allocate(near target: PageNumber = .none) throws(Fault) -> Page {
    precondition(state == .write)
    let one = try loadedPage(.one)
    let free = try freelistCount(one.bytes)
    if free == 0 { return try appendPage() }
    let trunk = try trunkPage(one.bytes.bigEndianUInt32(at: DatabaseHeader.freelistTrunkOffset))
    let leaves = Int(trunk.bytes.bigEndianUInt32(at: 4))
    if leaves == 0 {
      let next = trunk.bytes.bigEndianUInt32(at: 0)
      setFreelist(one, trunk: next, count: free - 1)
      return blankPage(trunk.numberValue)
    }
    let place = nearestLeaf(trunk.bytes, count: leaves, to: target)
    let number = trunk.bytes.bigEndianUInt32(at: 8 + 4 * place)
    guard number > 1 && number <= currentPageCount && number != trunk.numberValue && !isReserved(number) else {
      throw .corrupt(trunk.number, "freelist leaf outside the database", cell: place)
    }
    let bytes = writable(trunk).mutableBytes
    bytes.setBigEndianUInt32(bytes.readable.bigEndianUInt32(at: 4 + 4 * leaves), at: 8 + 4 * place)
    bytes.setBigEndianUInt32(UInt32(leaves - 1), at: 4)
    #if PlantedBugs
      let isForgotten = PlantedBug.isActive(.forgetFreedContent)
      if PlantedBug.isActive(.allocateLeafTwice), leaves % 8 == 5 { bytes.setBigEndianUInt32(UInt32(leaves), at: 4) }
      let wrongCount: UInt32 = PlantedBug.isActive(.freelistCountStuck) && leaves % 8 == 3 ? 1 : 0
    #else
      let isForgotten = false, wrongCount: UInt32 = 0
    #endif
    setFreelist(one, trunk: trunk.numberValue, count: free - 1 + wrongCount)
    if number <= committedPageCount && (!freedPages.contains(number) || isForgotten) { contentlessPages.insert(number) }
    return blankPage(number)
  }

  /// Puts a page that the current operation has loaded onto the freelist.
  public func free(_ number: PageNumber) throws(Fault) {
    precondition(state == .write)
    guard number.rawValue > 1, number.rawValue <= currentPageCount, !isReserved(number.rawValue) else {
      throw .corrupt(number, "a page outside the database cannot be freed")
    }
    _ = try loadedPage(.one)
    #if PlantedBugs
      if !PlantedBug.isActive(.freeWithoutUndo) { keepForUndo(number.rawValue) }
    #else
      keepForUndo(number.rawValue)
    #endif
    freedPages.insert(number.rawValue)
    contentlessPages.remove(number.rawValue)
    if usesPointerMap { notePointer(number.rawValue, .free, parent: 0) }
    try addToFreelist(number.rawValue)
  }

  /// Needs page 1 and the first trunk, where there is one that has room.
  func addToFreelist(_ number: UInt32) throws(Fault) {
    let one = try loadedPage(.one)
    let free = try freelistCount(one.bytes)
    let trunkNumber = one.bytes.bigEndianUInt32(at: DatabaseHeader.freelistTrunkOffset)
    if free > 0 {
      let trunk = try trunkPage(trunkNumber)
      let leaves = Int(trunk.bytes.bigEndianUInt32(at: 4))
      if leaves < freelistLeafCountMax {
        let bytes = writable(trunk).mutableBytes
        bytes.setBigEndianUInt32(number, at: 8 + 4 * leaves)
        bytes.setBigEndianUInt32(UInt32(leaves + 1), at: 4)
        setFreelist(one, trunk: trunkNumber, count: free + 1)
        return
      }
    }
    blankPage(number).mutableBytes.setBigEndianUInt32(free > 0 ? trunkNumber : 0, at: 0)
    setFreelist(one, trunk: number, count: free + 1)
  }

  func setFreelist(_ one: Page, trunk: UInt32, count: UInt32) {
    let bytes = writable(one).mutableBytes
    bytes.setBigEndianUInt32(trunk, at: DatabaseHeader.freelistTrunkOffset)
    bytes.setBigEndianUInt32(count, at: DatabaseHeader.freelistCountOffset)
  }

  private func appendPage() throws(Fault) -> Page {
    var number = try pageNumber(behind: currentPageCount)
    #if PlantedBugs
      let usesLockPage = PlantedBug.isActive(.allocateLockBytePage) && number == lockBytePage
    #else
      let usesLockPage = false
    #endif
    while !usesLockPage, isReserved(number) {
      if number != lockBytePage { _ = blankPage(number) }
      number = try pageNumber(behind: number)
    }
    currentPageCount = number
    return blankPage(number)
  }

  private func pageNumber(behind number: UInt32) throws(Fault) -> UInt32 {
    guard number < min(configuration.pageCountMax, DatabaseHeader.pageCountMax) else { throw noMorePages() }
    return number + 1
  }

  /// True where allocating `pages`, beside which pages of the pointer map and that of the lock bytes may come, may fail.
  func isNearLargestPageCount(_ pages: Int) -> Bool {
    UInt64(currentPageCount) + UInt64(2 * pages) > UInt64(configuration.pageCountMax)
  }

  func noMorePages() -> Fault {
    .error(
      .full, object: store?.path ?? "a database in memory",
      cause: "it has \(currentPageCount) pages, as many as max_page_count allows", hint: "raise PRAGMA max_page_count")
  }

  /// Loads what taking page `number` off the freelist takes.
  func findFreePage(_ number: UInt32) throws(Fault) -> FreePlace {
    let one = try loadedPage(.one).bytes
    var next = one.bigEndianUInt32(at: DatabaseHeader.freelistTrunkOffset)
    // Each trunk counts, so that a list that leads back to itself ends, too.
    var left = Int64(try freelistCount(one))
    var previous: Page?
    while next != 0, left > 0 {
      let trunk = try trunkPage(next)
      let leaves = Int(trunk.bytes.bigEndianUInt32(at: 4))
      if next == number { return FreePlace(previous: previous, trunk: trunk, leaf: -1) }
      for leaf in 0..<leaves where trunk.bytes.bigEndianUInt32(at: 8 + 4 * leaf) == number {
        return FreePlace(previous: previous, trunk: trunk, leaf: leaf)
      }
      previous = trunk
      next = trunk.bytes.bigEndianUInt32(at: 0)
      left -= Int64(leaves) + 1
    }
    throw .corrupt(PageNumber(number), "a free page is not on the freelist")
  }

  /// Takes the page at `place` off the freelist, for use with new content.
  func takeFreePage(_ number: UInt32, at place: FreePlace) throws(Fault) {
    let one = try loadedPage(.one)
    let free = try freelistCount(one.bytes)
    var first = one.bytes.bigEndianUInt32(at: DatabaseHeader.freelistTrunkOffset)
    let leaves = Int(place.trunk.bytes.bigEndianUInt32(at: 4))
    if place.leaf >= 0 {
      let bytes = writable(place.trunk).mutableBytes
      bytes.setBigEndianUInt32(bytes.readable.bigEndianUInt32(at: 4 + 4 * leaves), at: 8 + 4 * place.leaf)
      bytes.setBigEndianUInt32(UInt32(leaves - 1), at: 4)
      if number <= committedPageCount && !freedPages.contains(number) { contentlessPages.insert(number) }
    } else {
      // The trunk's last leaf becomes the trunk; without leaves the next one follows.
      var heir = place.trunk.bytes.bigEndianUInt32(at: 0)
      if leaves > 0 {
        heir = place.trunk.bytes.bigEndianUInt32(at: 4 + 4 * leaves)
        guard heir > 1, heir <= currentPageCount, heir != number, !isReserved(heir) else {
          throw .corrupt(place.trunk.number, "freelist leaf outside the database")
        }
        let bytes = blankPage(heir).mutableBytes
        bytes.copy(place.trunk.bytes.slice(0, 4 + 4 * leaves), to: 0)
        #if PlantedBugs
          if PlantedBug.isActive(.heirWithoutNextTrunk) { bytes.setBigEndianUInt32(0, at: 0) }
        #endif
        bytes.setBigEndianUInt32(UInt32(leaves - 1), at: 4)
      }
      if let previous = place.previous {
        writable(previous).mutableBytes.setBigEndianUInt32(heir, at: 0)
      } else {
        first = heir
      }
    }
    setFreelist(one, trunk: first, count: free - 1)
  }

  /// The last leaf, which costs no move; with a target the one closest to it.
  private func nearestLeaf(_ trunk: ByteView, count: Int, to target: PageNumber) -> Int {
    if target.isNone { return count - 1 }
    var best = count - 1
    var bestDistance = Int64.max
    for place in 0..<count {
      let distance = abs(Int64(trunk.bigEndianUInt32(at: 8 + 4 * place)) - Int64(target.rawValue))
      if distance < bestDistance {
        bestDistance = distance
        best = place
      }
    }
    return best
  }
}

/// Where a page stands in the freelist.
struct FreePlace {
  /// The trunk before `trunk`; nil where that is the first.
  let previous: Page?
  let trunk: Page
  /// -1 for the trunk itself.
  let leaf: Int
}
