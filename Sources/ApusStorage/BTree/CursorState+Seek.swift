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

/// What is known of a page's row ids before it is looked at; the extremes mean nothing is.
private struct RowidRange {
  var low = Int64.min
  var high = Int64.max
}

extension CursorState {
  // MARK: Row ids

  /// Stages the path to the leaf place of `target`: the first row whose id is not smaller, or the leaf's end.
  /// - Returns: true where that row has the id itself.
  mutating func locate(rowid target: Int64) throws(Fault) -> Bool {
    var page = try load(root, atDepth: 0)
    var range = RowidRange()
    while !page.isLeaf {
      let index = try lowerBound(page, target, &range)
      stage(page, index)
      page = try loadChild(page, index, atDepth: stagedCount)
    }
    let index = try lowerBound(page, target, &range)
    stage(page, index)
    guard index < page.cellCount else { return false }
    return try page.rowid(index) == target
  }

  /// The first cell of `page` whose row id is not below `target`. Row ids are mostly spread evenly, so the place is
  /// guessed from what is known of the page's row ids, and narrowed down from there.
  /// - Parameter range: on the way in what the way from the root says of the page's row ids (above `low`, up to `high`),
  ///   afterwards the same for the child at that place. A guess may build on it, and nothing else.
  @inline(__always)
  private func lowerBound(_ page: BTreePage, _ target: Int64, _ range: inout RowidRange) throws(Fault) -> Int {
    var low = 0
    var high = page.cellCount
    if high == 0 { return 0 }
    var keyCount = high
    if range.low == .min, target > 0, range.high == .max {
      // At the root: what most tables begin with is as good a guess as their first row id.
      range.low = 0
    } else if range.low == .min {
      let first = try page.rowid(0)
      if target <= first {
        range.high = first
        return 0
      }
      range.low = first
      low = 1
      keyCount &-= 1
    }
    if range.high == .max {
      let last = try page.rowid(high &- 1)
      if target > last {
        range.low = last
        return high
      }
      range.high = last
      high &-= 1
    }
    if low >= high { return low }
    // Differences beyond the integers come out negative: then the guess is the middle.
    let span = range.high &- range.low
    let part = target &- range.low
    let fraction = part > 0 && part <= span ? (Double(part) - 0.5) / Double(span) : 0.5
    let guess = min(low &+ Int(fraction * Double(keyCount)), high &- 1)
    let key = try page.rowid(guess)
    if key == target {
      range.high = key
      return guess
    }
    var step = 1
    if key < target {
      range.low = key
      low = guess &+ 1
      while low < high {
        let place = min(low &+ step, high) &- 1
        let key = try page.rowid(place)
        if key >= target {
          range.high = key
          high = place
          break
        }
        range.low = key
        low = place &+ 1
        step = step &* 2
      }
    } else {
      range.high = key
      high = guess
      while low < high {
        let place = max(high &- step, low)
        let key = try page.rowid(place)
        if key < target {
          range.low = key
          low = place &+ 1
          break
        }
        range.high = key
        high = place
        step = step &* 2
      }
    }
    while low < high {
      let middle = (low &+ high) >> 1
      let key = try page.rowid(middle)
      if key < target {
        range.low = key
        low = middle &+ 1
      } else {
        range.high = key
        high = middle
      }
    }
    return low
  }

  mutating func seek(rowid target: Int64, _ operation: SeekOperation) throws(Fault) -> Bool {
    if operation == .equal, let found = try seekNearby(target) { return found }
    beginOperation()
    if operation == .equal, triesLeaf, let found = try seekInLeaf(target) {
      leafScore = 0
      return found
    }
    let found = try seekFromRoot(target, operation)
    leafScore &-= 1
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
      isFresh && depth >= 0 && current.page.isLeaf && current.page.cellCount > 1 && (leafScore > -4 || leafScore & 7 == 0)
    }
  }

  /// A row id that lies between the first and the last one of the leaf in hand is there or nowhere.
  /// - Returns: nil where it takes a search from the root.
  @inline(__always)
  private mutating func seekInLeaf(_ target: Int64) throws(Fault) -> Bool? {
    let page = current.page
    guard try page.rowid(0) <= target else { return nil }
    var range = RowidRange()
    let index = try lowerBound(page, target, &range)
    if index == page.cellCount { return nil }
    let isExact = try page.rowid(index) == target
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
      var low = 0
      var high = page.cellCount
      let depthHere = stagedCount
      while low < high {
        let middle = (low &+ high) >> 1
        let order = try compare(page, middle, probe)
        if order < 0 || (isAfter && order == 0) {
          low = middle &+ 1
        } else {
          if order == 0 { equal |= 1 << UInt32(depthHere) } else { equal &= ~(1 << UInt32(depthHere)) }
          high = middle
        }
      }
      stage(page, low)
      if page.isLeaf { return equal }
      page = try loadChild(page, low, atDepth: stagedCount)
    }
  }

  mutating func seek(key: ValueRange, _ operation: SeekOperation) throws(Fault) -> Bool {
    beginOperation()
    if triesLeaf, let found = try seekInLeaf(key, operation) {
      leafScore = 0
      return found
    }
    let found = try seekFromRoot(key, operation)
    leafScore &-= 1
    return found
  }

  private mutating func seekFromRoot(_ key: ValueRange, _ operation: SeekOperation) throws(Fault) -> Bool {
    forgetScan()
    switch operation {
    case .equal:
      let equal = try locate(key: key, isAfter: false)
      // The place of the first match is in the leaf, or at the nearest ancestor that has an entry there.
      var level = stagedCount &- 1
      while level >= 0, staged[level].index >= staged[level].page.cellCount { level &-= 1 }
      if level >= 0, equal & (1 << UInt32(level)) != 0 { return try finishForward(at: 0) }
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

  /// Where the place of `key` lies behind the first and before the last entry of the leaf in hand, the cursor moves
  /// there. It looks near the current entry first: lookups often come in order.
  /// - Returns: as `seek`; nil where it takes a search from the root.
  private mutating func seekInLeaf(_ key: ValueRange, _ operation: SeekOperation) throws(Fault) -> Bool? {
    let probe = KeyProbe(key, order, localMax: localMax)
    let isAfter = operation == .greater || operation == .lessOrEqual
    let page = current.page
    let last = page.cellCount &- 1
    let hint = min(max(current.index, 0), last)
    // The entries before `low` lie before the place; entry `high` does not, and `placeOrder` is its order.
    var low: Int
    var high: Int
    var placeOrder = try compare(page, hint, probe)
    if KeyProbe.isBefore(placeOrder, isAfter) {
      high = last
      placeOrder = try compare(page, last, probe)
      if KeyProbe.isBefore(placeOrder, isAfter) { return nil }
      low = hint &+ 1
      var step = 1
      while low &+ step <= last {
        let order = try compare(page, low &+ step &- 1, probe)
        if !KeyProbe.isBefore(order, isAfter) {
          high = low &+ step &- 1
          placeOrder = order
          break
        }
        low = low &+ step
        step = step &* 2
      }
    } else {
      guard hint > 0, KeyProbe.isBefore(try compare(page, 0, probe), isAfter) else { return nil }
      low = 1
      high = hint
      let order = try compare(page, hint &- 1, probe)
      if KeyProbe.isBefore(order, isAfter) {
        low = hint
      } else {
        high = hint &- 1
        placeOrder = order
      }
    }
    while low < high {
      let middle = (low &+ high) >> 1
      let order = try compare(page, middle, probe)
      if KeyProbe.isBefore(order, isAfter) {
        low = middle &+ 1
      } else {
        high = middle
        placeOrder = order
      }
    }
    current.index = operation == .lessOrEqual || operation == .less ? high &- 1 : high
    if operation == .equal && placeOrder != 0 {
      setPosition(.inGap)
      gapHasKey = false
      return false
    }
    setPosition(.atRow)
    return true
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
      return
    }
    guard savedValues.load(savedKey.bytes, most: description?.uniqueCount ?? 0) else {
      throw Fault.corrupt(root, "malformed record")
    }
    _ = try seek(key: savedValues.range, .equal)
    gapHasKey = true
  }

  /// Saves the key, however long it is, before pages are rolled back to a savepoint: statements that are open go on.
  mutating func saveBeforeRollback() throws(Fault) {
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
    }
  }

  /// The same where nothing may be thrown: the whole transaction is rolled back, or the snapshot has ended. A key that
  /// lies partly on overflow pages is lost, and the cursor with it; its statement ends anyway.
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
