// The records of one run in memory: their bytes side by side, and an array of 16-byte entries that is what gets sorted.
//
// Sorting is by radix on the prefixes, byte by byte from the last, skipping bytes that are the same in all; then runs of
// equal prefixes are merge-sorted by comparing records, unless the prefixes are exact. Both are stable.
// `unsafe` lives here: the two arrays of entries, grown by doubling.

import ApusBase

struct SortEntry {
  var prefix: UInt64
  var offset: UInt32
  var byteCount: UInt32
}

@safe
struct SortEntries: ~Copyable {
  private(set) var bytes = ByteBuffer()
  private var entries: UnsafeMutablePointer<SortEntry>
  private var spare: UnsafeMutablePointer<SortEntry>?
  private(set) var count = 0
  private var room = 256

  init() { unsafe entries = UnsafeMutablePointer<SortEntry>.allocate(capacity: 256) }

  deinit {
    unsafe entries.deallocate()
    unsafe spare?.deallocate()
  }

  /// Memory in use once sorted.
  var byteCount: Int { bytes.count &+ count &* 2 &* MemoryLayout<SortEntry>.stride }

  @inline(__always)
  subscript(index: Int) -> SortEntry {
    precondition(UInt(bitPattern: index) < UInt(bitPattern: count))
    return unsafe entries[index]
  }

  @inline(__always)
  func record(_ entry: SortEntry) -> ByteView { bytes.bytes.slice(Int(entry.offset), Int(entry.byteCount)) }

  mutating func append(_ record: ByteView, prefix: UInt64) {
    if count == room { grow() }
    unsafe (entries + count).initialize(
      to: SortEntry(prefix: prefix, offset: UInt32(bytes.count), byteCount: UInt32(record.count)))
    bytes.append(record)
    count &+= 1
  }

  private mutating func grow() {
    let grown = UnsafeMutablePointer<SortEntry>.allocate(capacity: room * 2)
    unsafe grown.update(from: entries, count: count)
    unsafe entries.deallocate()
    unsafe entries = grown
    room *= 2
  }

  mutating func removeAll() {
    count = 0
    bytes.removeAll()
    if unsafe spare != nil {
      unsafe spare?.deallocate()
      unsafe spare = nil
    }
  }

  /// Sorts by prefix, then by `compare`, then by the order of insertion.
  mutating func sort(isExact: Bool, _ compare: (ByteView, ByteView) -> Int) {
    if count < 2 { return }
    let other = UnsafeMutablePointer<SortEntry>.allocate(capacity: room)
    unsafe spare = other
    unsafe sortByPrefix(other)
    if !isExact {
      var start = 0
      while start < count {
        let prefix = unsafe entries[start].prefix
        var end = start &+ 1
        while end < count, unsafe entries[end].prefix == prefix { end &+= 1 }
        if end &- start > 1 { unsafe mergeSort(start, end, other, compare) }
        start = end
      }
    }
    unsafe spare?.deallocate()
    unsafe spare = nil
  }

  private mutating func sortByPrefix(_ other: UnsafeMutablePointer<SortEntry>) {
    if isSorted() { return }
    var differing: UInt64 = 0
    let first = unsafe entries[0].prefix
    for index in 1..<count { unsafe differing |= entries[index].prefix ^ first }
    var from = unsafe entries
    var to = unsafe other
    unsafe withUnsafeTemporaryAllocation(of: Int.self, capacity: 256) { counts in
      for shift in stride(from: UInt64(0), to: 64, by: 8) where differing >> shift & 0xff != 0 {
        unsafe counts.initialize(repeating: 0)
        for index in 0..<count { unsafe counts[Int(from[index].prefix >> shift & 0xff)] &+= 1 }
        var sum = 0
        for digit in 0..<256 {
          let here = unsafe counts[digit]
          unsafe counts[digit] = sum
          sum &+= here
        }
        for index in 0..<count {
          let entry = unsafe from[index]
          let digit = Int(entry.prefix >> shift & 0xff)
          unsafe (to + counts[digit]).initialize(to: entry)
          unsafe counts[digit] &+= 1
        }
        unsafe swap(&from, &to)
      }
    }
    if unsafe from != entries { unsafe entries.update(from: from, count: count) }
  }

  private func isSorted() -> Bool {
    for index in 1..<count where unsafe entries[index &- 1].prefix > entries[index].prefix { return false }
    return true
  }

  /// Bottom-up merge sort of entries `start ..< end`, whose prefixes are equal.
  private mutating func mergeSort(
    _ start: Int, _ end: Int, _ other: UnsafeMutablePointer<SortEntry>, _ compare: (ByteView, ByteView) -> Int
  ) {
    var from = unsafe entries
    var to = unsafe other
    var width = 1
    while width < end &- start {
      var low = start
      while low < end {
        let middle = min(low &+ width, end)
        let high = min(low &+ 2 &* width, end)
        var left = low
        var right = middle
        for target in low..<high {
          let takesLeft: Bool
          if left >= middle {
            takesLeft = false
          } else if right >= high {
            takesLeft = true
          } else {
            takesLeft = unsafe compare(record(from[left]), record(from[right])) <= 0
          }
          if takesLeft {
            unsafe (to + target).initialize(to: from[left])
            left &+= 1
          } else {
            unsafe (to + target).initialize(to: from[right])
            right &+= 1
          }
        }
        low = high
      }
      unsafe swap(&from, &to)
      width &*= 2
    }
    if unsafe from != entries { unsafe (entries + start).update(from: from + start, count: end &- start) }
  }
}
