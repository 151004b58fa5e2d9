// Searches by row id and by key.

import ApusBase

/// The order of an entry, part of which lies on overflow pages, relative to the key of the search that goes on.
struct DistantComparison {
  var page: PageNumber
  var index: Int
  var order: Int
}

/// Where a seek goes relative to the key.
public enum SeekOperation: Sendable {
  case equal, greaterOrEqual, greater, lessOrEqual, less
}

extension CursorState {
  // MARK: Row ids

  /// Stages the path to the leaf place of `target`: the first row whose id is not smaller, or the leaf's end.
  /// - Returns: true where that row has the id itself.
  mutating func locate(rowid target: Int64) throws(Fault) -> Bool {
    var page = try load(root, atDepth: 0)
    var range = RowidRange()
    while true {
      let index = try page.lowerBound(target, &range)
      stage(page, index)
      if page.isLeaf { return index < page.cellCount && range.high == target }
      page = try loadChild(page, index, atDepth: stagedCount)
    }
  }

  mutating func seek(rowid target: Int64, _ operation: SeekOperation) throws(Fault) -> Bool {
    if operation == .equal, triesNearby, let found = try seekNearby(target) {
      leafScore = 0
      return found
    }
    beginOperation()
    if operation == .equal, triesLeaf, let found = try seekInLeaf(target) {
      leafScore = 0
      return found
    }
    if pager.isNoting { flushNotes() }
    let found = try seekFromRoot(target, operation)
    leafScore &-= 1
    if pager.isNoting { noteSeek(rowid: target, operation, found) }
    return found
  }

  private mutating func seekFromRoot(_ target: Int64, _ operation: SeekOperation) throws(Fault) -> Bool {
    forgetScan()
    countProgress = nil
    let isExact = try locate(rowid: target)
    switch operation {
    case .equal:
      takeStaged(at: 0)
      setPosition(isExact ? .atRow : .inGap)
      savedRowid = target
      gapHasKey = true
      return isExact
    case .greaterOrEqual: return try finishForward(at: 0)
    case .greater:
      if isExact { staged[stagedCount &- 1].index &+= 1 }
      return try finishForward(at: 0)
    case .lessOrEqual:
      if isExact { staged[stagedCount &- 1].index &+= 1 }
      return try finishBackward(at: 0)
    case .less: return try finishBackward(at: 0)
    }
  }

  /// The row itself, or the one behind it on the same page: what lookups in order ask for. Or a place behind the
  /// table's last row, on which the cursor then stays, for the row to be appended.
  /// - Returns: nil where it takes a search.
  @inline(__always)
  private mutating func seekNearby(_ target: Int64) throws(Fault) -> Bool? {
    guard position == .atRow, isFresh, generation == pager.cursors.generation else { return nil }
    var index = current.index
    var rowid = try current.page.rowid(index)
    if rowid == target { return true }
    guard rowid < target else { return nil }
    guard index &+ 1 < current.page.cellCount else { return isAtLastLeaf ? false : nil }
    index &+= 1
    rowid = try current.page.rowid(index)
    guard rowid == target else { return nil }
    current.index = index
    parsedColumns = -1
    return true
  }

  /// True where the path ends in a leaf that is as the tree is now, and it is worth a look: after some searches in
  /// vain only each eighth one tries. A search that waits and is repeated goes the same way each time: the score changes
  /// when it has ended. Else two ways would take turns at what is remembered of an overflow chain, and neither get on.
  private var triesLeaf: Bool {
    @inline(__always)
    mutating get {
      isFresh && depth >= 0 && current.page.isLeaf && current.page.cellCount > 1 && triesNearby
    }
  }

  /// Searches have lately ended near where they began.
  private var triesNearby: Bool {
    @inline(__always)
    mutating get { leafScore > -4 || leafScore & 7 == 0 }
  }

  /// A row id that lies between the first and the last one of the leaf in hand is there or nowhere.
  /// - Returns: nil where it takes a search from the root.
  @inline(__always)
  private mutating func seekInLeaf(_ target: Int64) throws(Fault) -> Bool? {
    let page = current.page
    guard try page.rowid(0) <= target else { return nil }
    var range = RowidRange()
    let index = try page.lowerBound(target, &range)
    if index == page.cellCount { return nil }
    let isExact = range.high == target
    current.index = index
    countProgress = nil
    setPosition(isExact ? .atRow : .inGap)
    savedRowid = target
    gapHasKey = true
    return isExact
  }

  // MARK: Keys

  /// Stages the path to the place of `key` in a leaf: before the first entry that is not smaller, or, where `isAfter`,
  /// before the first that is greater.
  /// - Returns: bit d set where the entry at depth d that the path stops before equals the key.
  mutating func locate(key: ValueRange, isAfter: Bool) throws(Fault) -> UInt32 {
    var equal: UInt32 = 0
    let probe = KeyProbe(key, order, localMax: localMax)
    var page = try load(root, atDepth: 0)
    while true {
      var place = KeyPlace(low: 0, high: page.cellCount)
      try narrow(page, &place, probe, isAfter)
      if place.order == 0 { equal |= 1 << UInt32(stagedCount) }
      stage(page, place.low)
      if page.isLeaf { return equal }
      page = try loadChild(page, place.low, atDepth: stagedCount)
    }
  }

  mutating func seek(key: ValueRange, _ operation: SeekOperation) throws(Fault) -> Bool {
    beginOperation()
    if triesLeaf, let found = try seekInLeaf(key, operation) {
      leafScore = 0
      return found
    }
    if pager.isNoting { flushNotes() }
    let found = try seekFromRoot(key, operation)
    leafScore &-= 1
    if pager.isNoting { noteSeek(key: key, operation, found) }
    return found
  }

  private mutating func seekFromRoot(_ key: ValueRange, _ operation: SeekOperation) throws(Fault) -> Bool {
    forgetScan()
    switch operation {
    case .equal:
      if try equalPlace(key) != nil { return try finishForward(at: 0) }
      takeStaged(at: 0)
      setPosition(.inGap)
      gapHasKey = false
      return false
    case .greaterOrEqual:
      _ = try locate(key: key, isAfter: false)
      return try finishForward(at: 0)
    case .greater:
      _ = try locate(key: key, isAfter: true)
      return try finishForward(at: 0)
    case .lessOrEqual:
      _ = try locate(key: key, isAfter: true)
      return try finishBackward(at: 0)
    case .less:
      _ = try locate(key: key, isAfter: false)
      return try finishBackward(at: 0)
    }
  }

  /// Stages the path to the place of `key`.
  /// - Returns: the depth of the first entry that equals it, if one does: it is in the leaf, or at the nearest ancestor that has
  ///   an entry there.
  @inline(__always)
  mutating func equalPlace(_ key: ValueRange) throws(Fault) -> Int? {
    let equal = try locate(key: key, isAfter: false)
    var level = stagedCount &- 1
    while level >= 0, staged[level].index >= staged[level].page.cellCount { level &-= 1 }
    return level >= 0 && equal & (1 << UInt32(level)) != 0 ? level : nil
  }

  /// Where the place of `key` lies behind the first and before the last entry of the leaf in hand, the cursor moves
  /// there. It looks near the current entry first: lookups often come in order.
  /// - Returns: as `seek`; nil where it takes a search from the root.
  private mutating func seekInLeaf(_ key: ValueRange, _ operation: SeekOperation) throws(Fault) -> Bool? {
    let probe = KeyProbe(key, order, localMax: localMax)
    let isAfter = operation == .greater || operation == .lessOrEqual
    let page = current.page
    let last = page.cellCount &- 1
    let hint = min(max(current.index, 0), last)
    var place = KeyPlace(low: 0, high: hint)
    place.order = try compare(page, hint, probe)
    if KeyProbe.isBefore(place.order, isAfter) {
      place.high = last
      place.order = try compare(page, last, probe)
      if KeyProbe.isBefore(place.order, isAfter) { return nil }
      place.low = hint &+ 1
      var step = 1
      while place.low &+ step <= last {
        let order = try compare(page, place.low &+ step &- 1, probe)
        if !KeyProbe.isBefore(order, isAfter) {
          place.high = place.low &+ step &- 1
          place.order = order
          break
        }
        place.low = place.low &+ step
        step = step &* 2
      }
    } else {
      guard hint > 0, KeyProbe.isBefore(try compare(page, 0, probe), isAfter) else { return nil }
      place.low = 1
      let order = try compare(page, hint &- 1, probe)
      if KeyProbe.isBefore(order, isAfter) {
        place.low = hint
      } else {
        place.high = hint &- 1
        place.order = order
      }
    }
    try narrow(page, &place, probe, isAfter)
    current.index = operation == .lessOrEqual || operation == .less ? place.high &- 1 : place.high
    if operation == .equal && place.order != 0 {
      setPosition(.inGap)
      gapHasKey = false
      return false
    }
    setPosition(.atRow)
    return true
  }

  /// Narrows the place of the key down to one entry, or the page's end.
  @inline(__always)
  private mutating func narrow(
    _ page: BTreePage, _ place: inout KeyPlace, _ probe: KeyProbe, _ isAfter: Bool
  ) throws(Fault) {
    while !probe.narrow(page, &place, isAfter) {
      place.take(try compare(page, place.middle, probe.key), isAfter)
    }
  }

  /// The order of entry `index` relative to the key.
  @inline(__always)
  private mutating func compare(_ page: BTreePage, _ index: Int, _ probe: KeyProbe) throws(Fault) -> Int {
    let order = probe.quickOrder(page, index)
    return order == KeyProbe.unknown ? try compare(page, index, probe.key) : order
  }

  /// The order of entry `index` relative to `key`.
  mutating func compare(_ page: BTreePage, _ index: Int, _ key: ValueRange) throws(Fault) -> Int {
    let entry = try page.cell(index, geometry)
    let order = RecordOrder.compare(
      page.bytes.slice(entry.payloadOffset, entry.localBytes), byteCount: entry.payloadBytes, key, self.order)
    if order > RecordOrder.isDamaged { return order }
    return try compareAssembled(page, index, entry, order, key)
  }

  /// The comparison went past what lies on the page, or the record is damaged.
  @inline(never)
  private mutating func compareAssembled(
    _ page: BTreePage, _ index: Int, _ entry: TreeCell, _ order: Int, _ key: ValueRange
  ) throws(Fault) -> Int {
    guard order == RecordOrder.isIncomplete, entry.overflows else {
      throw Fault.corrupt(page.number, "malformed record", cell: index)
    }
    for known in comparisons where known.page == page.number && known.index == index { return known.order }
    try readChainIntoProbe(page, entry)
    let result = RecordOrder.compare(probe.bytes, byteCount: probe.count, key, self.order)
    guard result > RecordOrder.isDamaged else { throw Fault.corrupt(page.number, "malformed record", cell: index) }
    comparisons.append(DistantComparison(page: page.number, index: index, order: result))
    return result
  }

  mutating func forgetComparisons() {
    comparisons.removeAll(keepingCapacity: true)
    probeHead = .none
  }

  mutating func compareKey(_ key: ValueRange) throws(Fault) -> Int {
    if position == .displaced { try restore() }
    guard position == .atRow else { return -1 }
    if current.page.kind.isTable { return 0 }
    let quick = KeyProbe(key, order, localMax: localMax).quickOrder(current.page, current.index)
    if quick != KeyProbe.unknown { return quick }
    let entry = try current.page.cell(current.index, geometry)
    let result = RecordOrder.compare(
      current.page.bytes.slice(entry.payloadOffset, entry.localBytes), byteCount: entry.payloadBytes, key, order)
    if result > RecordOrder.isDamaged { return result }
    guard result == RecordOrder.isIncomplete, entry.overflows else {
      throw Fault.corrupt(current.page.number, "malformed record", cell: current.index)
    }
    let whole = try wholePayload()
    let again = RecordOrder.compare(whole, byteCount: whole.count, key, order)
    guard again > RecordOrder.isDamaged else {
      throw Fault.corrupt(current.page.number, "malformed record", cell: current.index)
    }
    return again
  }

  // MARK: Going back after another cursor wrote

  /// Saves the key of the current place, so that the tree may change. The path stays pinned until the cursor moves.
  mutating func save() throws(Fault) {
    if notes != nil { flushNotesWhole() }
    switch position {
    case .unpositioned, .nullRow, .displaced: break
    case .atRow:
      if isTable {
        savedRowid = try current.page.rowid(current.index)
      } else {
        let record = try wholePayload()
        savedKey.removeAll()
        savedKey.append(record)
      }
      position = .displaced
      parsedColumns = -1
    case .inGap:
      position = gapHasKey ? .displaced : .unpositioned
    }
    isFresh = false
    isAtLastLeaf = false
    forgetComparisons()
  }

  /// Goes back to the saved key: `atRow` where it is still there, else `inGap` where it would be.
  mutating func restore() throws(Fault) {
    guard position == .displaced else { return }
    if isTable {
      beginOperation()
      let isExact = try locate(rowid: savedRowid)
      takeStaged(at: 0)
      setPosition(isExact ? .atRow : .inGap)
      gapHasKey = true
      if pager.isNoting { noteRestored() }
      return
    }
    guard savedValues.load(savedKey.bytes, most: description?.uniqueCount ?? 0) else {
      throw Fault.corrupt(root, "malformed record")
    }
    _ = try seek(key: savedValues.range, .equal)
    gapHasKey = true
  }

  /// Saves the key, however long it is, before pages are rolled back: statements that are open go on.
  /// - Returns: false where it cannot be read. The cursor has no place then, and its statement must not pass for one at its end.
  mutating func saveBeforeRollback() throws(Fault) -> Bool {
    if writeStep != .begin {
      // What this cursor was writing is what is being undone.
      writeStep = .begin
      chain = OverflowChain()
      countProgress = nil
    }
    do { try save() } catch {
      if case .wait = error { throw error }
      setPosition(.unpositioned)
      isFresh = false
      return false
    }
    return true
  }

  /// The same where nothing may be thrown: the snapshot has ended. A key that lies partly on overflow pages is lost, and the
  /// cursor with it; its statement ends anyway.
  mutating func saveAtRollback() {
    writeStep = .begin
    chain = OverflowChain()
    countProgress = nil
    do { try save() } catch {
      setPosition(.unpositioned)
      isFresh = false
    }
  }
}
