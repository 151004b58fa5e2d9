// Ranges of one tree: what a transaction has read there. They only grow: what lies in one once lies in one for ever.
//
// New ranges are put aside, and sorted into the others when there are as many of them: so each costs little, however they
// come. Where they are too many, neighbours are joined, with what lies between them.

import ApusBase

/// A place in the order of a tree: the bound of a range.
protocol RangeBound {
  associatedtype Order
  static func order(_ left: Self, _ right: Self, _ order: Order) -> Int
  /// Nothing lies between a range that ends here and one that begins there.
  static func meets(end: Self, start: Self, _ order: Order) -> Bool
  var byteCount: Int { get }
}

/// Row ids: a range has both of its ends.
extension Int64: RangeBound {
  static func order(_ left: Int64, _ right: Int64, _ order: Void) -> Int { left < right ? -1 : (left == right ? 0 : 1) }
  static func meets(end: Int64, start: Int64, _ order: Void) -> Bool { end == .max || start <= end + 1 }
  var byteCount: Int { 8 }
}

extension KeyCut: RangeBound {
  static func order(_ left: KeyCut, _ right: KeyCut, _ order: KeyComparer) -> Int { order.order(left, right) }
  static func meets(end: KeyCut, start: KeyCut, _ order: KeyComparer) -> Bool { order.order(start, end) <= 0 }
  var byteCount: Int { 64 + record.count }
}

struct RangeList<Bound: RangeBound> {
  struct Range {
    var low: Bound
    var high: Bound
    /// A change rests on it: it counts whatever the isolation.
    var isAsserted: Bool
  }

  /// Sorted and apart, once settled.
  private(set) var ranges: [Range] = []
  private var recent: [Range] = []
  /// What the ranges take, about.
  private(set) var byteCount = 0

  static var recentMin: Int { 64 }

  var count: Int { ranges.count + recent.count }

  mutating func insert(_ low: Bound, _ high: Bound, isAsserted: Bool, _ order: Bound.Order) {
    // A scan goes on where it was, and a change asserts what was just read.
    #if PlantedBugs
      let forgetsLow = PlantedBug.isActive(.joinBackwardReads)
    #else
      let forgetsLow = false
    #endif
    if let last = recent.indices.last, Bound.meets(end: recent[last].high, start: low, order),
      forgetsLow || Bound.order(recent[last].low, low, order) <= 0
    {
      if Bound.order(recent[last].high, high, order) < 0 {
        byteCount += high.byteCount - recent[last].high.byteCount
        recent[last].high = high
      }
      if isAsserted { recent[last].isAsserted = true }
      return
    }
    recent.append(Range(low: low, high: high, isAsserted: isAsserted))
    byteCount += low.byteCount + high.byteCount + 16
    if recent.count >= max(RangeList.recentMin, ranges.count) { settle(order) }
  }

  /// Sorts what is new into the rest.
  mutating func settle(_ order: Bound.Order) {
    if recent.isEmpty { return }
    let all = (ranges + recent).sorted { Bound.order($0.low, $1.low, order) < 0 }
    recent.removeAll(keepingCapacity: true)
    ranges.removeAll(keepingCapacity: true)
    for range in all {
      guard let last = ranges.indices.last, Bound.meets(end: ranges[last].high, start: range.low, order) else {
        ranges.append(range)
        continue
      }
      if Bound.order(ranges[last].high, range.high, order) < 0 { ranges[last].high = range.high }
      if range.isAsserted { ranges[last].isAsserted = true }
    }
    recount()
  }

  /// Joins neighbours in pairs, what lies between them included.
  mutating func join(_ order: Bound.Order) {
    settle(order)
    var joined: [Range] = []
    joined.reserveCapacity(ranges.count / 2 + 1)
    for (index, range) in ranges.enumerated() {
      if index % 2 == 0 {
        joined.append(range)
      } else {
        joined[joined.count - 1].high = range.high
        if range.isAsserted { joined[joined.count - 1].isAsserted = true }
      }
    }
    ranges = joined
    recount()
  }

  private mutating func recount() {
    byteCount = 0
    for range in ranges { byteCount += range.low.byteCount + range.high.byteCount + 16 }
  }

  /// The first range whose end `isBehind` says lies behind the place sought; the list is settled.
  func firstRange(_ isBehind: (Bound) -> Bool) -> Range? {
    var (low, high) = (0, ranges.count)
    while low < high {
      let middle = (low + high) / 2
      if isBehind(ranges[middle].high) { high = middle } else { low = middle + 1 }
    }
    return low < ranges.count ? ranges[low] : nil
  }
}
