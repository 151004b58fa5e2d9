// Inserting and overwriting.
//
// A write goes in steps, each of which loads first and then acts: the new record's overflow chain, a piece at a time; the
// change of the tree; the old record's chain, a piece at a time. A fault between two steps resumes there: `writeStep`
// remembers. Until the tree is changed, nothing leads to the new chain. A statement that is dropped between two steps is
// undone as a whole by its savepoint.

import ApusBase

/// An overflow chain that is being written or freed.
struct OverflowChain {
  /// Pages handled between two looks at the cache.
  static let pagesPerStep = 16

  var head = PageNumber.none
  var last = PageNumber.none
  /// Bytes of the record that lie in the chain so far; for freeing, bytes still to come.
  var byteCount = 0
}

extension CursorState {
  /// Pages that one change of the tree can touch: three siblings, their parent and two more new pages per level.
  static var pagesPerChange: Int { 32 }

  mutating func insert(rowid: Int64, record: ByteView, isAppend: Bool) throws(Fault) {
    if try appendQuickly(rowid, record) { return }
    guard writeStep != .freeingChain else { return try finishWrite() }
    if pager.isNoting { return try insertNoting(rowid: rowid, record: record) }
    try put(rowid: rowid, record: record)
    try finishWrite()
  }

  /// Up to the change of the tree.
  @inline(__always)
  mutating func put(rowid: Int64, record: ByteView) throws(Fault) {
    try pager.cursors.saveOthers(on: root, but: link)
    try writeChain(record)
    try beginWriteOperation()
    let isExact: Bool
    if let isHere = try placeOf(rowid) {
      if try changeHere(record, rowid, replaces: isHere) { return }
      isExact = isHere
      stagePath()
    } else {
      isExact = try locate(rowid: rowid)
    }
    let cell = NewCell(record: record, rowid: rowid, isTable: true, overflowHead: chain.head, geometry)
    try change(cell, replaces: isExact)
    // Not before: until the change is made, the cursor may be in the gap of another row.
    savedRowid = rowid
    if position == .atRow { isAtLastLeaf = isPathAtEnd() }
  }

  /// True where `insert` may wait between two steps of its change: the record, or the one it replaces, has overflow pages; and
  /// where it may meet the database's largest page count between two pages.
  mutating func insertTakesSteps(recordBytes: Int, replaces: Bool) -> Bool {
    if pager.isNearLargestPageCount(CursorState.pagesPerChange) { return true }
    if recordBytes > (isTable ? geometry.localMaxLeaf : geometry.localMaxIndex) { return true }
    return replaces && deleteTakesSteps()
  }

  /// The same for `delete`.
  mutating func deleteTakesSteps() -> Bool {
    if pager.isNearLargestPageCount(CursorState.pagesPerChange) { return true }
    if position == .inGap || position == .unpositioned { return false }
    guard position == .atRow, isFresh, let cell = try? current.page.cell(current.index, geometry) else { return true }
    return cell.overflows
  }

  /// Where the last search left the cursor, if that is the row's place: true on the row, false in the gap where it will be;
  /// nil where it must be searched for.
  private mutating func placeOf(_ rowid: Int64) throws(Fault) -> Bool? {
    guard isFresh, current.page.isLeaf else { return nil }
    switch position {
    case .atRow: return try current.page.rowid(current.index) == rowid ? true : nil
    case .inGap:
      #if PlantedBugs
        if PlantedBug.isActive(.insertInOtherGap), gapHasKey { return false }
      #endif
      return gapHasKey && savedRowid == rowid ? false : nil
    case .unpositioned, .displaced, .nullRow: return nil
    }
  }

  /// The change where the cursor stands, if it stays within the leaf and in the gap or the old cell's place: what most come to.
  private mutating func changeHere(_ record: ByteView, _ rowid: Int64, replaces: Bool) throws(Fault) -> Bool {
    guard record.count <= geometry.localMaxLeaf, chain.head.isNone else { return false }
    let page = current.page
    let index = current.index
    let cell = NewCell(record: record, rowid: rowid, isTable: true, overflowHead: .none, geometry)
    let space = cell.spaceBytes
    var oldOffset = 0
    var oldBytes = 0
    if replaces {
      oldOffset = try page.cellOffset(index)
      let old = try page.cell(at: oldOffset, index, geometry)
      if old.overflows { return false }
      oldBytes = old.cellBytes
      if oldBytes != space {
        guard try page.gap() >= space else { return false }
        try page.checkRelease(oldOffset, oldBytes)
      }
    } else {
      guard try page.gap() >= space &+ 2 else { return false }
    }
    let editor = PageEditor(makeCurrentWritable(), like: page)
    if oldBytes == space {
      cell.write(to: editor.bytes, at: oldOffset)
    } else {
      let offset = editor.takeFromGap(space)
      cell.write(to: editor.bytes, at: offset)
      if replaces {
        editor.setPointer(index, to: offset)
        editor.release(oldOffset, oldBytes)
      } else {
        editor.insertPointer(index, to: offset)
      }
    }
    endCurrentEdit(page)
    setPosition(.atRow)
    savedRowid = rowid
    isAtLastLeaf = isPathAtEnd()
    return true
  }

  /// The current page, private. The cursor's own pin is given up for a moment, as a pinned image would be copied.
  mutating func makeCurrentWritable() -> Page {
    let page = current.page.page
    if let writable = pager.writableInPlace(page) {
      current = Level(page: BTreePage(changed: writable, from: current.page), index: current.index)
      return writable
    }
    pager.unpin(page)
    let writable = pager.writable(page)
    pager.pin(writable)
    current = Level(page: BTreePage(changed: writable, from: current.page), index: current.index)
    return writable
  }

  /// The current page was changed: its cells are counted anew.
  @inline(__always)
  mutating func endCurrentEdit(_ old: BTreePage) {
    current = Level(page: BTreePage(changed: current.page.page, from: old), index: current.index)
  }

  private mutating func isPathAtEnd() -> Bool {
    guard current.index == current.page.cellCount - 1, !pager.isNoting else { return false }
    var level = 0
    while level < depth, ancestors[level].index == ancestors[level].page.cellCount { level &+= 1 }
    return level == depth
  }

  /// - Parameter values: the columns that make the entry unique: an equal entry is overwritten.
  mutating func insert(key record: ByteView, values: ValueRange) throws(Fault) {
    if try appendQuickly(record, values) { return }
    guard writeStep != .freeingChain else { return try finishWrite() }
    if pager.isNoting { return try insertNoting(key: record, values: values) }
    try put(key: record, values: values)
    try finishWrite()
  }

  /// Up to the change of the tree.
  @inline(__always)
  mutating func put(key record: ByteView, values: ValueRange) throws(Fault) {
    try pager.cursors.saveOthers(on: root, but: link)
    try writeChain(record)
    try beginWriteOperation()
    let place = try equalPlace(values)
    let isExact = place != nil
    if let place { stagedCount = place + 1 }
    savedKey.removeAll()
    savedKey.append(record)
    let cell = NewCell(record: record, rowid: 0, isTable: false, overflowHead: chain.head, geometry)
    try change(cell, replaces: isExact)
    if position == .atRow { isAtLastLeaf = isPathAtEnd() }
  }

  // MARK: The change

  /// Puts the cell at the staged place: before the entry there, or over it. Acts, after it has loaded everything.
  private mutating func change(_ cell: NewCell, replaces: Bool) throws(Fault) {
    let place = stagedCount &- 1
    let page = staged[place].page
    let index = staged[place].index
    var old = TreeCell(rowid: 0, payloadBytes: 0, payloadOffset: 0, localBytes: 0, cellBytes: 0)
    var oldHead = PageNumber.none
    if replaces {
      old = try page.cell(index, geometry)
      if old.overflows { oldHead = page.overflowHead(old) }
    }
    if page.isLeaf, try changeInPlace(page, index, cell, replaces ? old : nil) {
      noteChain(cell, on: page.number)
      takeStaged(at: 0)
      setPosition(.atRow)
    } else {
      if !replaces, try appendLeaf(page, index, cell) {
        // The cursor is on the new leaf.
      } else {
        plan.reset()
        let insertion: CellReference
        if page.isLeaf {
          insertion = plan.add(cell)
        } else {
          insertion = plan.add(cell, isInterior: try page.child(index))
        }
        plan.isAppend = !replaces && isStagedAtEnd()
        try makePlan(
          PageEdit(depth: place, index: index, removes: replaces, insertion: insertion), above: nil)
        releasePath()
        try carryOutPlan()
        position = .displaced
        gapHasKey = true
      }
    }
    chain = OverflowChain()
    if !oldHead.isNone {
      chain.head = oldHead
      chain.byteCount = old.payloadBytes - old.localBytes
      writeStep = .freeingChain
    }
  }

  /// The page that leads to the cell's overflow chain is known now.
  private mutating func noteChain(_ cell: NewCell, on page: PageNumber) {
    if pager.usesPointerMap, !cell.overflowHead.isNone {
      pager.notePointer(cell.overflowHead.rawValue, .overflowHead, parent: page.rawValue)
    }
  }

  /// Changes one leaf that has contiguous room.
  private mutating func changeInPlace(
    _ page: BTreePage, _ index: Int, _ cell: NewCell, _ old: TreeCell?
  ) throws(Fault) -> Bool {
    let space = cell.spaceBytes
    if let old {
      let oldOffset = try page.cellOffset(index)
      if old.cellBytes == space {
        let editor = beginEdit(page)
        cell.write(to: editor.bytes, at: oldOffset)
        endEdit()
        return true
      }
      try page.checkRelease(oldOffset, old.cellBytes)
      guard try page.gap() >= space else { return false }
      let editor = beginEdit(page)
      let offset = editor.takeFromGap(space)
      cell.write(to: editor.bytes, at: offset)
      editor.setPointer(index, to: offset)
      editor.release(oldOffset, old.cellBytes)
      endEdit()
      return true
    }
    if try page.gap() >= space &+ 2 {
      let editor = beginEdit(page)
      let offset = editor.takeFromGap(space)
      cell.write(to: editor.bytes, at: offset)
      editor.insertPointer(index, to: offset)
      endEdit()
      return true
    }
    let free = try page.freeSpace()
    guard free.gap >= 2, free.total >= space + 2, let found = page.findFreeblock(space) else { return false }
    let editor = beginEdit(page)
    let offset = editor.takeFreeblock(found, space)
    cell.write(to: editor.bytes, at: offset)
    editor.insertPointer(index, to: offset)
    endEdit()
    return true
  }

  /// Makes the staged path's last page private, in place where it is already. The cursor's own pin on it is given up, as
  /// a pinned image would be copied.
  private mutating func beginEdit(_ page: BTreePage) -> PageEditor {
    let place = stagedCount &- 1
    releasePath()
    let writable = pager.writable(page.page)
    staged[place].page = BTreePage(changed: writable, from: page)
    return PageEditor(writable, like: page)
  }

  private mutating func endEdit() {
    let place = stagedCount &- 1
    staged[place].page = BTreePage(changed: staged[place].page.page, from: staged[place].page)
  }

  // MARK: Appending

  /// A row behind the last one of the tree, on the leaf that the cursor is on: what a bulk load does.
  @inline(__always)
  private mutating func appendQuickly(_ rowid: Int64, _ record: ByteView) throws(Fault) -> Bool {
    guard mayAppend, record.count <= geometry.localMaxLeaf else { return false }
    let page = current.page
    guard try page.rowid(page.cellCount &- 1) < rowid else { return false }
    let cell = NewCell(record: record, rowid: rowid, isTable: true, overflowHead: .none, geometry)
    return try append(cell, page)
  }

  /// The same for an entry of an index: what building one from sorted entries does.
  @inline(__always)
  private mutating func appendQuickly(_ record: ByteView, _ values: ValueRange) throws(Fault) -> Bool {
    guard mayAppend, record.count <= geometry.localMaxIndex else { return false }
    let page = current.page
    let last = try page.cell(page.cellCount &- 1, geometry)
    if last.overflows { return false }
    guard try compare(page, page.cellCount &- 1, values) < 0 else { return false }
    return try append(NewCell(record: record, rowid: 0, isTable: false, overflowHead: .none, geometry), page)
  }

  private var mayAppend: Bool {
    @inline(__always)
    mutating get {
      isAtLastLeaf && isFresh && position == .atRow && current.page.cellCount > 0 && writeStep == .begin
        && chain.head.isNone && generation == pager.cursors.generation
    }
  }

  @inline(__always)
  private mutating func append(_ cell: NewCell, _ page: BTreePage) throws(Fault) -> Bool {
    let count = page.cellCount
    let space = cell.spaceBytes
    guard try page.gap() >= space &+ 2 else { return false }
    try pager.cursors.saveOthers(on: root, but: link)
    guard let writable = pager.writableInPlace(page.page) else { return false }
    let editor = PageEditor(writable, like: page)
    let offset = editor.takeFromGap(space)
    cell.write(to: editor.bytes, at: offset)
    editor.insertPointer(count, to: offset)
    current = Level(page: BTreePage(changed: writable, from: page), index: count)
    parsedColumns = -1
    return true
  }

  /// Splits at the tree's right end: the full leaf stays as it is, the new row starts a leaf of its own.
  private mutating func appendLeaf(_ page: BTreePage, _ index: Int, _ cell: NewCell) throws(Fault) -> Bool {
    let place = stagedCount &- 1
    guard isTable, place > 0, index == page.cellCount, index > 0 else { return false }
    for level in 0..<place {
      if staged[level].index != staged[level].page.cellCount { return false }
    }
    let parent = staged[place - 1].page
    let last = try page.rowid(index - 1)
    let dividerBytes = 4 + Varint.byteCount(UInt64(bitPattern: last))
    guard last < cell.rowid, try parent.gap() >= dividerBytes + 2 else { return false }
    releasePath()
    let leaf = try pager.allocate(near: page.number)
    try checkIsOurs(parent)
    let bytes = leaf.mutableBytes
    bytes[0] = PageKind.tableLeaf.rawValue
    bytes.fill(1, 7)
    let editor = PageEditor(leaf, like: page)
    bytes.setBigEndianUInt16(bytes.count, at: 5)
    let offset = editor.takeFromGap(cell.spaceBytes)
    cell.write(to: bytes, at: offset)
    editor.insertPointer(0, to: offset)
    // The divider: the full leaf and its largest row id.
    let writable = pager.writable(parent.page)
    let parentEditor = PageEditor(writable, like: parent)
    let divider = parentEditor.takeFromGap(dividerBytes)
    parentEditor.bytes.setBigEndianUInt32(page.number.rawValue, at: divider)
    _ = parentEditor.bytes.setVarint(UInt64(bitPattern: last), at: divider + 4)
    parentEditor.insertPointer(parent.cellCount, to: divider)
    parentEditor.bytes.setBigEndianUInt32(leaf.number.rawValue, at: parent.headerStart + 8)
    if pager.usesPointerMap { pager.notePointer(leaf.numberValue, .child, parent: parent.number.rawValue) }
    noteChain(cell, on: leaf.number)
    let newParent = BTreePage(changed: writable, from: parent)
    staged[place - 1] = Level(page: newParent, index: newParent.cellCount)
    staged[place] = Level(page: BTreePage(changed: leaf, from: page), index: 0)
    takeStaged(at: 0)
    setPosition(.atRow)
    isAtLastLeaf = !pager.isNoting
    return true
  }

  /// True where the staged path leads to the tree's right end: what is inserted there is an append.
  private mutating func isStagedAtEnd() -> Bool {
    var level = 0
    while level < stagedCount, staged[level].index == staged[level].page.cellCount { level &+= 1 }
    return level == stagedCount
  }

  // MARK: Overflow chains

  /// Writes the part of the record that does not fit its cell, as far as it was not written yet.
  private mutating func writeChain(_ record: ByteView) throws(Fault) {
    let local = geometry.localBytes(payload: record.count, isTable: isTable)
    let total = record.count - local
    while chain.byteCount < total {
      try pager.beginWriteOperation(pages: OverflowChain.pagesPerStep + 1)
      var previous: Page?
      if !chain.last.isNone { previous = try pager.page(chain.last, isKeyed: true) }
      #if PlantedBugs
        if PlantedBug.isActive(.breakLongChain) { previous = nil }
      #endif
      for _ in 0..<OverflowChain.pagesPerStep where chain.byteCount < total {
        let page = try pager.allocate(near: chain.last)
        let length = min(geometry.overflowBytes, total - chain.byteCount)
        page.mutableBytes.setBigEndianUInt32(0, at: 0)
        page.mutableBytes.copy(record.slice(local + chain.byteCount, length), to: 4)
        if let previous {
          pager.writable(previous).mutableBytes.setBigEndianUInt32(page.number.rawValue, at: 0)
          if pager.usesPointerMap {
            pager.notePointer(page.numberValue, .overflowNext, parent: previous.numberValue)
          }
        } else {
          chain.head = page.number
        }
        previous = page
        chain.last = page.number
        chain.byteCount += length
      }
    }
  }

  /// Frees what is left of an old record's chain.
  mutating func finishWrite() throws(Fault) {
    if writeStep == .begin { return }
    #if PlantedBugs
      if PlantedBug.isActive(.leakOverflowChain) { chain.byteCount = 0 }
    #endif
    while chain.byteCount > 0 {
      try pager.beginWriteOperation(pages: 2)
      let page = try overflowPage(chain.head)
      let next = PageNumber(page.bytes.bigEndianUInt32(at: 0))
      try pager.free(chain.head)
      chain.head = next
      chain.byteCount -= geometry.overflowBytes
    }
    chain = OverflowChain()
    writeStep = .begin
  }
}
