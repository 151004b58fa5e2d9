// What a cursor of a concurrent transaction puts into the logical log (SPEC, "The logical log").
//
// A stretch is open from its anchor, a cut, up to and with the entry that the cursor is on: `next` and `scan` step on within a
// leaf without a word. Whoever moves the cursor otherwise closes the stretch first (`flushNotes`): a search, a step back,
// a save before somebody's write, a write of its own, the cursor's end. So all that it passed is in the log before anybody
// compares, and nobody else pays for it:
//
//   leafScore    keeps searches away from the leaf in hand
//   backFloor    keeps `previous` out of its quick way
//   isAtLastLeaf is never true: no quick append, no quick end
//
// Invariant: while the transaction notes, a cursor that has a place has an open stretch.

import ApusBase

final class CursorNotes {
  let log: LogicalLog
  let tree: LogicalLog.Tree
  /// The anchor of a table, and of an index.
  var low: Int64 = 0
  var cut = KeyCut.start
  var isOpen = false
  /// The entry at which an end comparison has ended the loop: what lies before the comparison's cut is in the log, and the entry
  /// itself was refused.
  var refusedPage: UInt32 = 0
  var refusedIndex = -1
  /// The record that a write replaces.
  var old = ByteBuffer()
  /// The root of the table whose sequence the cursor looks up and raises; 0 for any other cursor.
  let sequenceTable: UInt32

  init(_ log: LogicalLog, _ root: UInt32, _ description: KeyDescription?, sequenceTable: UInt32) {
    self.log = log
    self.sequenceTable = sequenceTable
    tree = sequenceTable == 0 ? log.tree(root, description) : log.sequences(root, of: sequenceTable)
  }
}

extension CursorState {
  /// A score with which no search tries the leaf in hand.
  private static let farScore = -7

  /// The notes of this cursor in the log of the open transaction; nil where it keeps no keys.
  private mutating func book() -> CursorNotes? {
    guard keepsKeys, let log = pager.logicalLog else { return nil }
    leafScore = CursorState.farScore
    backFloor = .max
    if let notes, notes.log === log { log.tick(notes.tree) } else { log.tick() }
    if let notes, notes.log === log, notes.sequenceTable == sequenceTable { return notes }
    let new = CursorNotes(log, root.rawValue, description, sequenceTable: sequenceTable)
    notes = new
    return new
  }

  // MARK: Places

  /// The cut before or behind entry `index` of the page.
  private mutating func keyCut(_ page: BTreePage, _ index: Int, isBehind: Bool) -> KeyCut {
    guard let description, let cell = try? page.cell(index, geometry) else { return isBehind ? .end : .start }
    // Columns on overflow pages are left out: the cut lies further out.
    let local = page.bytes.slice(cell.payloadOffset, cell.localBytes)
    let (record, count) = RecordPrefix.copy(local, columnCountMax: description.uniqueCount)
    return KeyCut(record, columnCount: count, isBehind: isBehind)
  }

  private mutating func anchor(_ notes: CursorNotes, before page: BTreePage, _ index: Int) {
    if isTable {
      notes.low = (try? page.rowid(index)) ?? .min
    } else {
      notes.cut = keyCut(page, index, isBehind: false)
    }
    notes.isOpen = true
    notes.refusedIndex = -1
  }

  // MARK: Stretches

  /// Puts what was passed since the anchor into the log; the stretch goes on from the current entry.
  mutating func flushNotes() {
    guard let notes, notes.isOpen else { return }
    // A row id rests on what was looked up.
    if notes.sequenceTable != 0 { return notePath() }
    if notes.tree.isWhole { return }
    guard position == .atRow || position == .nullRow, depth >= 0, current.index < current.page.cellCount else { return }
    if notes.refusedIndex == current.index, notes.refusedPage == current.page.number.rawValue { return }
    #if PlantedBugs
      if PlantedBug.isActive(.forgetIndexRange), !isTable {
        return anchor(notes, before: current.page, current.index)
      }
      if PlantedBug.isActive(.cutBeforeRangeEnd) {
        if isTable, let rowid = try? current.page.rowid(current.index), rowid > .min {
          notes.tree.note(notes.low, rowid - 1)
        } else if !isTable {
          notes.tree.note(notes.cut, keyCut(current.page, current.index, isBehind: false))
        }
        return anchor(notes, before: current.page, current.index)
      }
    #endif
    if isTable {
      guard let rowid = try? current.page.rowid(current.index) else { return notes.tree.noteAll() }
      notes.tree.note(min(notes.low, rowid), rowid)
    } else {
      notes.tree.note(notes.cut, keyCut(current.page, current.index, isBehind: true))
    }
    anchor(notes, before: current.page, current.index)
  }

  /// The cursor has no place any more.
  mutating func endNotes() {
    flushNotes()
    notes?.isOpen = false
    backFloor = 0
  }

  /// Before the cursor saves its key: what was refused counts as passed, since it goes on from there.
  mutating func flushNotesWhole() {
    notes?.refusedIndex = -1
    flushNotes()
  }

  /// A movement to the right has met the end.
  mutating func noteEnd() {
    guard let notes = book() else { return }
    #if PlantedBugs
      if PlantedBug.isActive(.forgetGapAtEnd) {
        notes.isOpen = false
        return
      }
    #endif
    if !notes.isOpen {
      notes.tree.noteAll()
    } else if isTable {
      notes.tree.note(notes.low, .max)
    } else {
      notes.tree.note(notes.cut, .end)
    }
    notes.isOpen = false
  }

  /// A row id or a key, and on which side of it a stretch begins.
  private mutating func open(_ notes: CursorNotes, at cut: KeyCut) {
    notes.cut = cut
    notes.isOpen = true
    notes.refusedIndex = -1
  }

  private mutating func open(_ notes: CursorNotes, at rowid: Int64) {
    notes.low = rowid
    notes.isOpen = true
    notes.refusedIndex = -1
  }

  /// The cursor has gone back to its saved key.
  mutating func noteRestored() {
    guard let notes = book(), !notes.isOpen else { return }
    if isTable {
      open(notes, at: savedRowid)
    } else {
      let (record, count) = RecordPrefix.copy(savedKey.bytes, columnCountMax: description?.uniqueCount ?? 0)
      open(notes, at: KeyCut(record, columnCount: count, isBehind: false))
    }
  }

  // MARK: First and last

  mutating func noteFirst(_ found: Bool) {
    guard let notes = book() else { return }
    if isTable { open(notes, at: .min) } else { open(notes, at: .start) }
    if !found { noteEnd() }
  }

  mutating func noteLast(_ found: Bool) {
    guard let notes = book() else { return }
    if !found {
      if isTable { notes.tree.note(.min, .max) } else { notes.tree.note(.start, .end) }
      notes.isOpen = false
      return
    }
    anchor(notes, before: current.page, current.index)
    if isTable { notes.tree.note(notes.low, .max) } else { notes.tree.note(notes.cut, .end) }
  }

  /// A step back, each with its range.
  mutating func previousNoting() throws(Fault) -> Bool {
    if position == .unpositioned || position == .nullRow { return false }
    if position == .displaced { try restore() }
    flushNotes()
    let found = try previousElsewhere()
    guard let notes = book() else { return found }
    if !notes.isOpen { notes.tree.noteAll() }
    let (low, cut) = (notes.low, notes.cut)
    if found {
      anchor(notes, before: current.page, current.index)
      if isTable { notes.tree.note(notes.low, low) } else { notes.tree.note(notes.cut, cut) }
    } else {
      if isTable { notes.tree.note(.min, low) } else { notes.tree.note(.start, cut) }
      notes.isOpen = false
    }
    return found
  }

  // MARK: Searches

  mutating func noteSeek(rowid target: Int64, _ operation: SeekOperation, _ found: Bool) {
    guard let notes = book() else { return }
    switch operation {
    case .equal:
      open(notes, at: target)
      #if PlantedBugs
        if PlantedBug.isActive(.forgetAbsentKey), !found { return }
      #endif
      notes.tree.note(target, target, isAsserted: pager.assertsLooks)
    case .greaterOrEqual:
      open(notes, at: target)
      if !found { noteEnd() }
    case .greater:
      if target == .max {
        notes.isOpen = false
      } else {
        open(notes, at: target + 1)
        if !found { noteEnd() }
      }
    case .lessOrEqual, .less:
      if operation == .less, target == .min {
        notes.isOpen = false
        return
      }
      let high = operation == .less ? target - 1 : target
      if found {
        anchor(notes, before: current.page, current.index)
        notes.tree.note(notes.low, high)
      } else {
        notes.tree.note(.min, high)
        notes.isOpen = false
      }
    }
  }

  mutating func noteSeek(key: ValueRange, _ operation: SeekOperation, _ found: Bool) {
    guard let notes = book() else { return }
    #if PlantedBugs
      let isForgotten = PlantedBug.isActive(.forgetIndexRange)
    #else
      let isForgotten = false
    #endif
    switch operation {
    case .equal:
      let cut = KeyCut(key, isBehind: false)
      open(notes, at: cut)
      #if PlantedBugs
        if PlantedBug.isActive(.forgetAbsentKey), !found { return }
        if isForgotten, found { return }
      #endif
      notes.tree.note(cut, cut.turned(isBehind: true), isAsserted: pager.assertsLooks)
    case .greaterOrEqual, .greater:
      open(notes, at: KeyCut(key, isBehind: operation == .greater))
      if !found { noteEnd() }
    case .lessOrEqual, .less:
      let high = KeyCut(key, isBehind: operation == .lessOrEqual)
      if found { anchor(notes, before: current.page, current.index) } else { notes.isOpen = false }
      if !isForgotten { notes.tree.note(found ? notes.cut : .start, high) }
    }
  }

  /// The loop over the entries ends at a comparison with `key`: the current entry lies behind the cut, and is not looked at.
  mutating func noteRefusal(_ key: ValueRange, isBehind: Bool) {
    guard position == .atRow, pager.isNoting, let notes = book(), notes.isOpen, !isTable else { return }
    let cut = KeyCut(key, isBehind: isBehind)
    #if PlantedBugs
      let isForgotten = PlantedBug.isActive(.forgetIndexRange)
    #else
      let isForgotten = false
    #endif
    if let comparer = notes.tree.comparer, comparer.order(notes.cut, cut) < 0 {
      if !isForgotten { notes.tree.note(notes.cut, cut) }
      notes.cut = cut
    }
    notes.refusedPage = current.page.number.rawValue
    notes.refusedIndex = current.index
  }

  // MARK: Assertions

  /// A search for a constraint: a change rests on what it finds, or does not find.
  mutating func seekAsserting(key: ValueRange) throws(Fault) -> Bool {
    if !pager.isNoting { return try seek(key: key, .equal) }
    #if PlantedBugs
      if PlantedBug.isActive(.forgetAssertedLook) { return try seek(key: key, .equal) }
    #endif
    pager.assertsLooks = true
    defer { pager.assertsLooks = false }
    let found = try seek(key: key, .equal)
    notePath()
    return found
  }

  mutating func seekAsserting(rowid: Int64) throws(Fault) -> Bool {
    if !pager.isNoting { return try seek(rowid: rowid, .equal) }
    #if PlantedBugs
      if PlantedBug.isActive(.forgetAssertedRowid) { return try seek(rowid: rowid, .equal) }
    #endif
    pager.assertsLooks = true
    defer { pager.assertsLooks = false }
    let found = try seek(rowid: rowid, .equal)
    notePath()
    return found
  }

  /// The path that the cursor has: a plain read may have loaded it.
  private func notePath() {
    if depth < 0 || !pager.keepsPlainReadsApart { return }
    for level in 0..<depth { noteLook(ancestors[level].page) }
    noteLook(current.page)
  }

  /// The path that a write has found.
  private func noteStaged() {
    if !pager.keepsPlainReadsApart { return }
    #if PlantedBugs
      if PlantedBug.isActive(.forgetWrittenPath) { return }
    #endif
    for level in 0..<stagedCount { noteLook(staged[level].page) }
  }

  private func noteLook(_ page: BTreePage) {
    if page.number != .one { pager.noteLook(at: page.number.rawValue, isKeyed: keepsKeys) }
  }

  // MARK: Writes

  /// Keeps the record of the entry at the staged place.
  private mutating func keepOld(_ notes: CursorNotes?, at place: Int) throws(Fault) {
    guard let notes else { return }
    let page = staged[place].page
    let cell = try page.cell(staged[place].index, geometry)
    notes.old.removeAll()
    if cell.overflows {
      try readChainIntoProbe(page, cell)
      notes.old.append(probe.bytes)
    } else {
      notes.old.append(page.bytes.slice(cell.payloadOffset, cell.localBytes))
    }
  }

  mutating func insertNoting(rowid: Int64, record: ByteView) throws(Fault) {
    let notes = book()
    if notes == nil { pager.logicalLog?.dropKeys() }
    flushNotes()
    try pager.cursors.saveOthers(on: root, but: link)
    beginOperation()
    pager.assertsLooks = true
    defer { pager.assertsLooks = false }
    let replaces = try locate(rowid: rowid)
    noteStaged()
    if replaces { try keepOld(notes, at: stagedCount &- 1) }
    try put(rowid: rowid, record: record)
    if let notes, notes.sequenceTable != 0 {
      let values = RecordReader.values(record)
      let value = values.count > 1 && values[1].kind == .integer ? values[1].integerValue : 0
      notes.log.addRaise(in: root.rawValue, of: notes.sequenceTable, to: value, record: record)
      open(notes, at: rowid)
    } else if let notes {
      notes.log.add(notes.tree, rowid: rowid, old: replaces ? notes.old.bytes : nil, new: record)
      notes.tree.note(rowid, rowid, isAsserted: true)
      open(notes, at: rowid)
    }
    try finishWrite()
  }

  mutating func insertNoting(key record: ByteView, values: ValueRange) throws(Fault) {
    let notes = book()
    if notes == nil { pager.logicalLog?.dropKeys() }
    flushNotes()
    try pager.cursors.saveOthers(on: root, but: link)
    beginOperation()
    pager.assertsLooks = true
    defer { pager.assertsLooks = false }
    let place = try equalPlace(values)
    noteStaged()
    if let place { try keepOld(notes, at: place) }
    try put(key: record, values: values)
    if let notes {
      notes.log.add(notes.tree, rowid: 0, old: place != nil ? notes.old.bytes : nil, new: record)
      noteWrite(notes, record)
    }
    try finishWrite()
  }

  /// The key of a record that was written, asserted; the stretch goes on from it.
  private mutating func noteWrite(_ notes: CursorNotes, _ record: ByteView) {
    let (key, count) = RecordPrefix.copy(record, columnCountMax: description?.uniqueCount ?? 0)
    let cut = KeyCut(key, columnCount: count, isBehind: false)
    notes.tree.note(cut, cut.turned(isBehind: true), isAsserted: true)
    open(notes, at: cut)
  }

  /// Before the current entry is deleted.
  mutating func noteOld() throws(Fault) {
    let notes = book()
    if notes == nil { pager.logicalLog?.dropKeys() }
    flushNotesWhole()
    if pager.keepsPlainReadsApart {
      notePath()
      // The chain may have been read before, without a thought of changing it.
      let cell = try current.page.cell(current.index, geometry)
      if cell.overflows {
        try readChainIntoProbe(current.page, cell)
        // Read once: between two ways along a chain that is longer than the cache neither would come to its end.
        notes?.old.removeAll()
        notes?.old.append(probe.bytes)
        return
      }
    }
    guard let notes else { return }
    let record = try wholePayload()
    notes.old.removeAll()
    notes.old.append(record)
  }

  /// The entry whose record `noteOld` has kept is deleted.
  mutating func noteRemoval() {
    guard let notes = book() else { return }
    #if PlantedBugs
      if leavesRemovalOut { return noteWrite(notes, notes.old.bytes) }
    #endif
    notes.log.add(notes.tree, rowid: isTable ? savedRowid : 0, old: notes.old.bytes, new: nil)
    if isTable {
      notes.tree.note(savedRowid, savedRowid, isAsserted: true)
      open(notes, at: savedRowid)
    } else {
      noteWrite(notes, notes.old.bytes)
    }
  }

  /// A row id that no other transaction is given. The largest one that is here is not read: nobody is promised the next.
  mutating func newRowidNoting(mayBeRandom: Bool, behind sequence: Int64) throws(Fault) -> Int64 {
    flushNotes()
    beginOperation()
    let page = try load(root, atDepth: 0)
    stage(page, page.cellCount)
    let found = try finishBackward(at: 0, isLast: true)
    let largest = found ? try current.page.rowid(current.index) : 0
    _ = book()
    notes?.isOpen = false
    setPosition(.unpositioned)
    let floor = max(largest, sequence)
    if floor < .max, let rowid = pager.newRowid(in: root, behind: floor) { return rowid }
    return try randomRowid(mayBeRandom)
  }
}
