// A cursor's state: the path of pinned pages from the root to the current entry, and the current record as far as it
// was parsed. It lives at a fixed address that its `BTreeCursor` owns.
//
// Position
//   unpositioned  nowhere: new, or moved past either end
//   atRow         on entry `current.index` of the page `current`
//   inGap         in a leaf, before entry `current.index` (which may be the count): the row sought, or just deleted,
//                 would be here
//   displaced     another cursor, or this one's own write, changed the tree; the saved key tells where to go back to
//   nullRow       on the row of NULLs that an outer join supplies
//
// Invariants
//   1. Pages at depths 0...depth are pinned, and so is no other page. A pinned image never changes: what `column` gave
//      out stays valid until the cursor moves or writes itself.
//   2. `ancestors[d].index` is the child (0...cellCount) that the path takes.
//   3. The path is as the tree is (`isFresh`), unless the position is `displaced`.
//   4. A movement loads into `staged` first, which nobody sees, and then replaces the path without a fault.
//
// `unsafe` lives here: the addresses of the current record and its header, see CursorState+Record. Methods are `mutating`
// even where they change nothing: a borrowed self of this size would be copied.

import ApusBase

struct Level {
  var page: BTreePage
  var index: Int
}

@safe
struct CursorState: ~Copyable {
  enum Position: UInt8 { case unpositioned, atRow, inGap, displaced, nullRow }

  /// Where a write that goes in several steps has come to. A fault between two steps resumes there.
  enum WriteStep: UInt8 { case begin, freeingChain }

  let pager: Pager
  let root: PageNumber
  let description: KeyDescription?
  let order: KeyOrder
  let isTable: Bool
  let isWritable: Bool
  let geometry: TreeGeometry
  /// Longest payload that lies wholly in a cell that has one.
  let localMax: Int
  /// Where a concurrent transaction reads, keys tell what: no collation of the application has a say in their order.
  let keepsKeys: Bool

  // Position.
  var position = Position.unpositioned
  var current: Level
  /// Depth of `current`; -1 where no path is held.
  var depth = -1
  var isFresh = false
  /// The registry's generation when the path was loaded: an older one is not reused.
  var generation: UInt64 = 0
  var ancestors: InlineArray<20, Level>
  var staged: InlineArray<20, Level>
  var stagedCount = 0

  /// Searches since the last one that found its place in the leaf in hand, as a negative number.
  var leafScore = 0

  /// Leaves that a scan asks for at once when it comes to one that is not in memory, and where the leaves are.
  var aheadCount = 1
  var leafDepth = -1
  static let aheadCountMax = 32

  // The current record. `parsedColumns` is -1 while the cell was not parsed, -2 where parsing waits
  // for a header that lies on overflow pages.
  var parsedColumns = -1
  var recordBase: UnsafeRawPointer
  var localBytes = 0
  var payloadBytes = 0
  var headerBase: UnsafeRawPointer
  var headerEnd = 0
  var headerNext = 0
  var bodyNext = 0
  var slots = ColumnSlots()

  // A payload that goes on over overflow pages, assembled as far as it was asked for.
  var assembled = ByteBuffer()
  var assembledBytes = 0
  var assembledNext = PageNumber.none

  // A search that compares with entries on overflow pages: what it found out before a wait, until it has succeeded.
  var probe = ByteBuffer()
  var probeHead = PageNumber.none
  var probeNext = PageNumber.none
  var comparisons: [DistantComparison] = []

  // The key to go back to while displaced.
  var savedRowid: Int64 = 0
  /// A random row id that is looked for.
  var rowidCandidate: Int64?
  var savedKey = ByteBuffer()
  var savedValues = KeyValues()

  /// True in a gap whose place the saved key names: something was deleted there. A gap that a search ended in has none.
  var gapHasKey = false

  // Writing.
  var writeStep = WriteStep.begin
  var chain = OverflowChain()
  var plan = BalancePlan()
  var countProgress: CountProgress? = nil
  /// True while `current` is known to be the last leaf of the tree.
  var isAtLastLeaf = false

  /// See CursorState+Notes.
  var notes: CursorNotes?
  /// The root of the table whose sequence this cursor looks up and raises; 0: it is a cursor like any.
  var sequenceTable: UInt32 = 0
  /// Entries of the leaf from here back that `previous` does not go to in its quick way.
  var backFloor = 0
  #if PlantedBugs
    var leavesRemovalOut = false
  #endif

  // Intrusive list of the pager's cursors; a parked one is not in it.
  var link = CursorLink()
  var isParked = false

  init(pager: Pager, root: PageNumber, description: KeyDescription?, isWritable: Bool) {
    self.pager = pager
    self.root = root
    self.description = description
    order = description?.order ?? .none
    isTable = description == nil
    self.isWritable = isWritable
    geometry = TreeGeometry(usableBytes: pager.usableSize)
    localMax = description == nil ? geometry.localMaxLeaf : geometry.localMaxIndex
    keepsKeys = description?.hasCustomCollation != true
    unsafe recordBase = ByteView.empty.unsafeBase
    unsafe headerBase = ByteView.empty.unsafeBase
    let nowhere = Level(page: .none, index: 0)
    current = nowhere
    ancestors = InlineArray(repeating: nowhere)
    staged = InlineArray(repeating: nowhere)
  }

  deinit {
    var level = 0
    while level < depth {
      pager.unpin(ancestors[level].page.page)
      level += 1
    }
    if depth >= 0 { pager.unpin(current.page.page) }
  }

  // MARK: Use and use again

  /// Nowhere, as a new cursor is, but the path stays pinned: the next search may begin with it.
  mutating func restart() {
    setPosition(.unpositioned)
    gapHasKey = false
    writeStep = .begin
    chain = OverflowChain()
    countProgress = nil
    isAtLastLeaf = false
    aheadCount = 1
    leafDepth = -1
    sequenceTable = 0
    rowidCandidate = nil
  }

  mutating func park() {
    if notes != nil { endNotes() }
    if depth >= 0 { releasePath() }
    notes = nil
    restart()
    assembledBytes = 0
    if assembled.capacity > CursorState.parkedBytesMax { assembled = ByteBuffer() }
    // A chain that was read in part is another one when the statement runs again.
    probeHead = .none
    if probe.capacity > CursorState.parkedBytesMax { probe = ByteBuffer() }
    if savedKey.capacity > CursorState.parkedBytesMax { savedKey = ByteBuffer() }
    isParked = true
  }

  /// Buffers larger than this do not outlive their use.
  private static let parkedBytesMax = 1 << 14

  // MARK: Pages

  /// The page at `number` for a path at `newDepth`, from the path itself where it is already there.
  mutating func load(_ number: PageNumber, atDepth newDepth: Int) throws(Fault) -> BTreePage {
    if isFresh, newDepth <= depth {
      if newDepth == depth {
        if current.page.number == number { return current.page }
      } else if ancestors[newDepth].page.number == number {
        return ancestors[newDepth].page
      }
    }
    guard newDepth < TreeGeometry.depthMax else { throw Fault.corrupt(number, "b-tree too deep") }
    let page = try BTreePage(pager.page(number, isKeyed: keepsKeys))
    guard page.kind.isTable == isTable else { throw Fault.corrupt(number, "page of another kind of b-tree") }
    return page
  }

  /// Child `index` of an interior page at `depth`. Only a root has no cells.
  mutating func loadChild(_ page: BTreePage, _ index: Int, atDepth newDepth: Int) throws(Fault) -> BTreePage {
    let number = try page.child(index)
    guard number.rawValue > 1, number.rawValue <= pager.pageCount else {
      throw Fault.corrupt(page.number, "child page out of range", cell: index)
    }
    let child = try load(number, atDepth: newDepth)
    // A clear leaves some between two of its pieces: they are private.
    guard child.cellCount > 0 || pager.isPrivate(number.rawValue) else {
      throw Fault.corrupt(number, "b-tree page without cells below the root")
    }
    return child
  }

  @inline(__always)
  mutating func stage(_ page: BTreePage, _ index: Int) {
    staged[stagedCount] = Level(page: page, index: index)
    stagedCount &+= 1
  }

  /// Replaces the path from depth `base` down by the staged levels. Cannot fail.
  mutating func takeStaged(at base: Int) {
    if depth >= 0 { ancestors[depth] = current }
    let newDepth = base &+ stagedCount &- 1
    var level = base
    while level <= newDepth {
      let new = staged[level &- base]
      if level > depth {
        pager.pin(new.page.page)
      } else if !new.page.isSameImage(as: ancestors[level].page) {
        pager.pin(new.page.page)
        pager.unpin(ancestors[level].page.page)
      }
      ancestors[level] = new
      level &+= 1
    }
    while level <= depth {
      pager.unpin(ancestors[level].page.page)
      level &+= 1
    }
    depth = newDepth
    current = ancestors[newDepth]
    isFresh = true
    generation = pager.cursors.generation
    isAtLastLeaf = false
  }

  /// Begins an operation that may load pages: images that nobody pinned may go.
  @inline(__always)
  mutating func beginOperation() {
    stagedCount = 0
    pager.beginOperation()
    if generation != pager.cursors.generation { isFresh = false }
  }

  /// Begins an operation that writes: the pager makes room for the pages that it may touch.
  mutating func beginWriteOperation() throws(Fault) {
    stagedCount = 0
    try pager.beginWriteOperation(pages: CursorState.pagesPerChange)
    if generation != pager.cursors.generation { isFresh = false }
    if !isFresh { return }
    var level = 0
    while level <= depth {
      try checkIsOurs(level < depth ? ancestors[level].page : current.page)
      level &+= 1
    }
  }

  /// Only cursors on this b-tree change its pages, and they have made this one give its path up. Whoever else has changed one
  /// shares it in a damaged file: what is known of it no longer holds. Page 1 has the file's header, which all change.
  @inline(__always)
  func checkIsOurs(_ page: BTreePage) throws(Fault) {
    if pager.isSuperseded(page.page), page.number != .one {
      throw Fault.corrupt(page.number, "b-tree page has another use too")
    }
  }

  /// Gives the path up.
  mutating func releasePath() {
    var level = 0
    while level < depth {
      pager.unpin(ancestors[level].page.page)
      level += 1
    }
    if depth >= 0 { pager.unpin(current.page.page) }
    if !comparisons.isEmpty { forgetComparisons() }
    depth = -1
    isFresh = false
    isAtLastLeaf = false
    parsedColumns = -1
  }

  @inline(__always)
  mutating func setPosition(_ new: Position) {
    position = new
    parsedColumns = -1
    if !comparisons.isEmpty { forgetComparisons() }
  }
}
