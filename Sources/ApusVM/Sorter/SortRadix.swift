// Sorts entries where they lie, by the bits in which they differ: each pass deals them out by up to 11 bits, exchanging
// them in place (the "American flag"), and goes into each pile. Short runs are sorted by insertion. Exchanging is not
// stable: entries of equal prefixes are put into the order of their offsets, which is the order of insertion.
// `unsafe` lives here: entries are reached by address; every place is one of `count` that the caller vouches for.
// Source: P. M. McIlroy, K. Bostic, M. D. McIlroy, Engineering Radix Sort (1993).

/// A record that is being sorted: 16 bytes.
struct SortEntry {
  var prefix: UInt64
  var offset: UInt32
  var byteCount: UInt32

  @inline(__always)
  func isBefore(_ other: SortEntry) -> Bool {
    prefix != other.prefix ? prefix < other.prefix : offset < other.offset
  }
}

/// What a pass deals out by.
private protocol RadixKey {
  static func bits(_ entry: SortEntry) -> UInt64
}

private enum PrefixKey: RadixKey {
  @inline(__always)
  static func bits(_ entry: SortEntry) -> UInt64 { entry.prefix }
}

private enum OffsetKey: RadixKey {
  @inline(__always)
  static func bits(_ entry: SortEntry) -> UInt64 { UInt64(entry.offset) }
}

/// The sort, with the numbers that its passes count in.
@safe
struct SortRadix: ~Copyable {
  /// Up to this many entries are sorted by insertion.
  private static let insertionMax = 20
  private static let digitBitsMax = 11, deeperDigitBitsMax = 8
  /// A pass takes four bits at least, of a prefix and of an offset.
  private static let passesMax = 26

  /// Two numbers per pile of a pass, for the passes that lie within each other.
  private let counts: UnsafeMutablePointer<Int>

  /// - Parameter count: the most entries that are sorted at once.
  init(count: Int) {
    let bits = SortRadix.digitBits(count)
    let room = 2 << min(bits, SortRadix.digitBitsMax) + SortRadix.passesMax * 2 << min(bits, SortRadix.deeperDigitBitsMax)
    unsafe counts = UnsafeMutablePointer<Int>.allocate(capacity: count <= SortRadix.insertionMax ? 1 : room)
  }

  deinit { unsafe counts.deallocate() }

  private static func digitBits(_ count: Int) -> Int { max(Int.bitWidth - count.leadingZeroBitCount - 2, 4) }

  /// Sorts by prefix; those of equal prefixes by offset if `ordersTies`, else anyhow.
  @unsafe
  func sort(_ entries: UnsafeMutablePointer<SortEntry>, _ count: Int, ordersTies: Bool) {
    unsafe SortRadix.deal(entries, count, ordersTies, counts, SortRadix.digitBitsMax, by: PrefixKey.self)
  }

  @unsafe
  func sortByOffset(_ entries: UnsafeMutablePointer<SortEntry>, _ count: Int) {
    unsafe SortRadix.deal(entries, count, false, counts, SortRadix.digitBitsMax, by: OffsetKey.self)
  }

  private static func deal<Key: RadixKey>(
    _ entries: UnsafeMutablePointer<SortEntry>, _ count: Int, _ ordersTies: Bool, _ counts: UnsafeMutablePointer<Int>,
    _ digitBitsMost: Int, by key: Key.Type
  ) {
    if count <= insertionMax {
      if Key.self == PrefixKey.self {
        unsafe insertionSort(entries, count)
      } else {
        unsafe insertionSortByOffset(entries, count)
      }
      return
    }
    let first = unsafe Key.bits(entries[0])
    var differing: UInt64 = 0
    for index in 1..<count { unsafe differing |= Key.bits(entries[index]) ^ first }
    if differing == 0 {
      if ordersTies { unsafe deal(entries, count, false, counts, digitBitsMost, by: OffsetKey.self) }
      return
    }
    let differingBits = 64 &- differing.leadingZeroBitCount
    let bits = min(differingBits, digitBitsMost, digitBits(count))
    let shift = UInt64(truncatingIfNeeded: differingBits &- bits)
    let piles = 1 << bits
    let mask = UInt64(piles &- 1)
    // For each pile: the place that is filled next, the place behind its last.
    let next = unsafe counts
    let ends = unsafe counts + piles
    unsafe next.initialize(repeating: 0, count: piles)
    for index in 0..<count { unsafe next[Int(truncatingIfNeeded: Key.bits(entries[index]) &>> shift & mask)] &+= 1 }
    var sum = 0
    for pile in 0..<piles {
      let here = unsafe next[pile]
      unsafe next[pile] = sum
      sum &+= here
      unsafe ends[pile] = sum
    }
    for pile in 0..<piles {
      let end = unsafe ends[pile]
      while true {
        let place = unsafe next[pile]
        if place >= end { break }
        var entry = unsafe entries[place]
        var digit = Int(truncatingIfNeeded: Key.bits(entry) &>> shift & mask)
        while digit != pile {
          let target = unsafe next[digit]
          unsafe next[digit] = target &+ 1
          let other = unsafe entries[target]
          unsafe entries[target] = entry
          entry = other
          digit = Int(truncatingIfNeeded: Key.bits(entry) &>> shift & mask)
        }
        unsafe entries[place] = entry
        unsafe next[pile] = place &+ 1
      }
    }
    if shift == 0, !ordersTies { return }
    var start = 0
    for pile in 0..<piles {
      let end = unsafe ends[pile]
      if end &- start > 1 {
        unsafe deal(
          entries + start, end &- start, ordersTies, counts + 2 * piles, min(digitBitsMost, deeperDigitBitsMax), by: key)
      }
      start = end
    }
  }

  private static func insertionSort(_ entries: UnsafeMutablePointer<SortEntry>, _ count: Int) {
    for index in 1..<max(count, 1) {
      let entry = unsafe entries[index]
      var place = index
      while place > 0, unsafe entry.isBefore(entries[place &- 1]) {
        unsafe entries[place] = entries[place &- 1]
        place &-= 1
      }
      unsafe entries[place] = entry
    }
  }

  private static func insertionSortByOffset(_ entries: UnsafeMutablePointer<SortEntry>, _ count: Int) {
    for index in 1..<max(count, 1) {
      let entry = unsafe entries[index]
      var place = index
      while place > 0, unsafe entry.offset < entries[place &- 1].offset {
        unsafe entries[place] = entries[place &- 1]
        place &-= 1
      }
      unsafe entries[place] = entry
    }
  }
}
