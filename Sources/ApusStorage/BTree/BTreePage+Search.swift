// The search for a row id within a page.
//
// A method of the page, which is a few words: one of the cursor's state that does not change it would get a copy of all of it.

import ApusBase

/// What is known of a page's row ids before it is looked at; the extremes mean nothing is.
struct RowidRange {
  var low = Int64.min
  var high = Int64.max
}

extension BTreePage {
  /// The first cell whose row id is not below `target`. Row ids are mostly spread evenly, so the place is
  /// guessed from what is known of the page's row ids, and narrowed down from there.
  /// - Parameter range: on the way in what the way from the root says of the page's row ids (above `low`, up to `high`):
  ///   a guess may build on it, and nothing else. Afterwards the same for the child at that place, and where the place is a
  ///   cell, `high` is its row id.
  @inline(__always)
  func lowerBound(_ target: Int64, _ range: inout RowidRange) throws(Fault) -> Int {
    var low = 0
    var high = cellCount
    if high == 0 { return 0 }
    var keyCount = high
    if range.low == .min, target > 0, range.high == .max {
      // At the root: what most tables begin with is as good a guess as their first row id.
      range.low = 0
    } else if range.low == .min {
      let first = try rowid(0)
      if target <= first {
        range.high = first
        return 0
      }
      range.low = first
      low = 1
      keyCount &-= 1
    }
    if range.high == .max {
      let last = try rowid(high &- 1)
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
    let key = try rowid(guess)
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
        let key = try rowid(place)
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
        let key = try rowid(place)
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
      let key = try rowid(middle)
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
}
