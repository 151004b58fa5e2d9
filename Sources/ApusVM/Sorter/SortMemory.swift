// The records of one run in memory: one area that records fill from the front and entries from the back.
//
//   | record | record | record | ...  free  ... | entry | entry | entry |
//
// What is sorted is the entries, where they lie: no second array. Small sorts have a small area; from 256 KiB on it
// takes its full size at once, which costs nothing until it is written to. Entries are sorted by the prefixes of their
// first column; where these leave it open, by those of the bytes behind, and of the columns behind; and where that leads
// nowhere, by comparing records. Offsets grow in the order of insertion and decide last: the sort is stable.
// `unsafe` lives here: the area; every place in it was handed out by `makeRoom`.

import ApusBase
import ApusStorage

/// What records are sorted by: one column at least.
struct SortOrder {
  var columns: [SortColumn]
  var comparison: SortComparison
}

@safe
struct SortMemory: ~Copyable {
  private static let roomAtFirst = 4 << 10, roomInSteps = 256 << 10
  /// Offsets have 32 bits.
  private static let roomLimit = 1 << 31
  /// Bytes of a text that are sorted by prefixes before records are compared.
  private static let depthMax = 10 * SortPrefix.byteCount
  private static let columnsMax = 16

  private var area: UnsafeMutableRawPointer
  private var room: Int
  private let roomMax: Int
  /// Bytes of records.
  private var used = 0
  private(set) var count = 0
  /// Prefixes are those of the records' first columns.
  private var hasFirstPrefixes = true

  init(byteCountMax: Int) {
    roomMax = min(max(byteCountMax, 256), SortMemory.roomLimit) & ~15
    room = min(SortMemory.roomAtFirst, roomMax)
    unsafe area = UnsafeMutableRawPointer.allocate(byteCount: room, alignment: 16)
  }

  deinit { unsafe area.deallocate() }

  /// In the order of insertion from the last to the first; once sorted, from the first to the last.
  private var entries: UnsafeMutablePointer<SortEntry> {
    @inline(__always)
    get { unsafe (area + room).assumingMemoryBound(to: SortEntry.self) - count }
  }

  var byteCount: Int { used &+ count &* MemoryLayout<SortEntry>.stride }

  // MARK: Adding

  /// Makes room for a record of `byteCount` bytes.
  /// - Returns: false where the area is full; never if it is empty.
  @inline(__always)
  mutating func makeRoom(_ byteCount: Int) -> Bool {
    used &+ byteCount &+ (count &+ 1) &* MemoryLayout<SortEntry>.stride <= room || grow(byteCount)
  }

  @inline(never)
  private mutating func grow(_ byteCount: Int) -> Bool {
    let wanted = used &+ byteCount &+ (count &+ 1) &* MemoryLayout<SortEntry>.stride
    if wanted > roomMax, count > 0 { return false }
    var grown = room
    while grown < min(wanted, roomMax) { grown = grown < SortMemory.roomInSteps ? grown &* 4 : roomMax }
    grown = max(min(grown, roomMax), (wanted &+ 15) & ~15)
    let new = UnsafeMutableRawPointer.allocate(byteCount: grown, alignment: 16)
    unsafe new.copyMemory(from: area, byteCount: used)
    let entryBytes = count &* MemoryLayout<SortEntry>.stride
    unsafe (new + grown - entryBytes).copyMemory(from: entries, byteCount: entryBytes)
    unsafe area.deallocate()
    unsafe area = new
    room = grown
    return true
  }

  /// Where the next record goes, as much as there is room for it.
  var tail: MutableByteView {
    @inline(__always)
    get {
      unsafe MutableByteView(
        unchecked: area + used, count: room &- used &- (count &+ 1) &* MemoryLayout<SortEntry>.stride)
    }
  }

  /// The record of `byteCount` bytes that lies in `tail` becomes the next entry.
  @inline(__always)
  mutating func append(_ byteCount: Int, prefix: UInt64) {
    precondition(byteCount >= 0 && byteCount <= tail.count)
    unsafe (entries - 1).initialize(
      to: SortEntry(
        prefix: prefix, offset: UInt32(truncatingIfNeeded: used), byteCount: UInt32(truncatingIfNeeded: byteCount)))
    used &+= byteCount
    count &+= 1
  }

  mutating func removeAll() {
    count = 0
    used = 0
    hasFirstPrefixes = true
    if room <= roomMax { return }
    // A record larger than the budget had an area of its own.
    room = min(SortMemory.roomAtFirst, roomMax)
    unsafe area.deallocate()
    unsafe area = UnsafeMutableRawPointer.allocate(byteCount: room, alignment: 16)
  }

  // MARK: Reading

  /// Record number `index`, counted in sorted order once that is there.
  @inline(__always)
  subscript(index: Int) -> ByteView {
    precondition(UInt(bitPattern: index) < UInt(bitPattern: count))
    return unsafe record(entries[index])
  }

  @inline(__always)
  private func record(_ entry: SortEntry) -> ByteView {
    unsafe ByteView(unchecked: area + Int(entry.offset), count: Int(entry.byteCount))
  }

  // MARK: Keeping the first ones

  /// Keeps the first `length` of the sorted records; more can be added then.
  mutating func truncate(to length: Int, _ column: SortColumn) {
    precondition(length <= count)
    let kept = unsafe entries
    let radix = SortRadix(count: length)
    unsafe radix.sortByOffset(kept, length)
    // The records move together, and the entries to the back, the last one first again.
    let back = unsafe (area + room).assumingMemoryBound(to: SortEntry.self) - length
    unsafe back.update(from: kept, count: length)
    used = 0
    for index in 0..<length {
      var entry = unsafe back[index]
      unsafe (area + used).copyMemory(from: area + Int(entry.offset), byteCount: Int(entry.byteCount))
      entry.offset = UInt32(truncatingIfNeeded: used)
      used &+= Int(entry.byteCount)
      unsafe back[index] = entry
    }
    unsafe reverse(back, length)
    count = length
    setFirstPrefixes(column)
  }

  /// Gives every entry the prefix of its record's first column.
  mutating func setFirstPrefixes(_ column: SortColumn) {
    let entries = unsafe entries
    for index in 0..<count {
      unsafe entries[index].prefix = SortPrefix(RecordReader.first(record(entries[index])) ?? .null, column).bits
    }
    hasFirstPrefixes = true
  }

  private func reverse(_ entries: UnsafeMutablePointer<SortEntry>, _ count: Int) {
    var low = 0
    var high = count &- 1
    while low < high {
      let entry = unsafe entries[low]
      unsafe entries[low] = entries[high]
      unsafe entries[high] = entry
      low &+= 1
      high &-= 1
    }
  }

  // MARK: Sorting

  /// - Parameter isExact: the prefixes of the first column decide all.
  mutating func sort(_ order: SortOrder, isExact: Bool) {
    if count < 2 { return }
    if !hasFirstPrefixes { setFirstPrefixes(order.columns[0]) }
    let entries = unsafe entries
    let radix = SortRadix(count: count)
    if unsafe isInOrder(entries) {
      unsafe reverse(entries, count)
      if isExact { return }
    } else if isExact {
      unsafe radix.sort(entries, count, ordersTies: true)
      return
    }
    hasFirstPrefixes = false
    let depth = unsafe count > 2 ? sharedBytes(entries, order.columns[0]) : 0
    var isDecided = false
    if depth > 0 {
      isDecided = order.columns.count == 1
      for index in 0..<count {
        let value = unsafe RecordReader.first(record(entries[index])) ?? .null
        let prefix = SortPrefix(value, order.columns[0], behind: depth)
        if !prefix.isExact { isDecided = false }
        unsafe entries[index].prefix = prefix.bits
      }
    }
    unsafe radix.sort(entries, count, ordersTies: isDecided)
    if !isDecided { unsafe settleTies(entries, count, order, radix, 0, depth) }
  }

  /// How many bytes the texts of the first column all begin with; records lie in the order in which they are read here.
  private func sharedBytes(_ entries: UnsafeMutablePointer<SortEntry>, _ column: SortColumn) -> Int {
    guard column.order == .binary, let first = unsafe RecordReader.first(record(entries[0])), first.kind == .text else {
      return 0
    }
    let text = first.bytes
    var shared = min(text.count, SortMemory.depthMax)
    for index in 1..<count {
      guard let value = unsafe RecordReader.first(record(entries[index])), value.kind == .text else { return 0 }
      let other = value.bytes
      shared = min(shared, other.count)
      while shared > 0, !other.slice(0, shared).elementsEqual(text.slice(0, shared)) { shared &-= 1 }
      if shared == 0 { return 0 }
    }
    return shared
  }

  private func isInOrder(_ entries: UnsafeMutablePointer<SortEntry>) -> Bool {
    for index in 1..<count where unsafe entries[index &- 1].isBefore(entries[index]) { return false }
    return true
  }

  /// Settles the runs of equal prefixes among entries that are sorted by their prefixes, which are those of column
  /// number `column` behind `depth` bytes.
  private func settleTies(
    _ entries: UnsafeMutablePointer<SortEntry>, _ count: Int, _ order: SortOrder, _ radix: borrowing SortRadix,
    _ column: Int, _ depth: Int
  ) {
    var start = 0
    while start < count {
      let prefix = unsafe entries[start].prefix
      var end = start &+ 1
      while end < count, unsafe entries[end].prefix == prefix { end &+= 1 }
      if end &- start > 1 { unsafe settle(entries + start, end &- start, order, radix, column, depth) }
      start = end
    }
  }

  /// Sorts entries of the same prefix.
  private func settle(
    _ entries: UnsafeMutablePointer<SortEntry>, _ count: Int, _ order: SortOrder, _ radix: borrowing SortRadix,
    _ column: Int, _ depth: Int
  ) {
    if count == 2 || depth > SortMemory.depthMax || column > SortMemory.columnsMax {
      return unsafe mergeSort(entries, count, order, radix, column)
    }
    var rest = SortPrefix.Rest.unknown
    for index in 0..<count {
      let record = unsafe record(entries[index])
      let value = (column == 0 ? RecordReader.first(record) : RecordReader.column(column, of: record)) ?? .null
      let here = SortPrefix(value, order.columns[column], behind: depth).rest
      if index == 0 { rest = here }
      if here != rest || here == .unknown { return unsafe mergeSort(entries, count, order, radix, column) }
      let next: SortPrefix
      if here == .bytes {
        next = SortPrefix(value, order.columns[column], behind: depth &+ SortPrefix.byteCount)
      } else if column &+ 1 < order.columns.count {
        next = SortPrefix(RecordReader.column(column &+ 1, of: record) ?? .null, order.columns[column &+ 1])
      } else {
        // Nothing else to sort by.
        continue
      }
      unsafe entries[index].prefix = next.bits
    }
    if rest == .none, column &+ 1 == order.columns.count { return unsafe radix.sortByOffset(entries, count) }
    unsafe radix.sort(entries, count, ordersTies: false)
    if rest == .bytes {
      unsafe settleTies(entries, count, order, radix, column, depth &+ SortPrefix.byteCount)
    } else {
      unsafe settleTies(entries, count, order, radix, column &+ 1, 0)
    }
  }

  /// Sorts by comparing records, whose columns before `column` are known to be equal.
  private func mergeSort(
    _ entries: UnsafeMutablePointer<SortEntry>, _ count: Int, _ order: SortOrder, _ radix: borrowing SortRadix,
    _ column: Int
  ) {
    let comparison = order.comparison
    if count == 2 {
      let result = unsafe comparison.compare(record(entries[0]), record(entries[1]), from: column)
      if unsafe result > 0 || (result == 0 && entries[1].offset < entries[0].offset) { unsafe reverse(entries, 2) }
      return
    }
    // In the order of insertion first: merging keeps it among equals.
    unsafe radix.sortByOffset(entries, count)
    let spare = UnsafeMutablePointer<SortEntry>.allocate(capacity: count)
    defer { unsafe spare.deallocate() }
    var from = unsafe entries
    var to = unsafe spare
    var width = 1
    while width < count {
      var low = 0
      while low < count {
        let middle = min(low &+ width, count)
        let high = min(low &+ 2 &* width, count)
        var left = low
        var right = middle
        for target in low..<high {
          let takesLeft: Bool
          if left >= middle {
            takesLeft = false
          } else if right >= high {
            takesLeft = true
          } else {
            takesLeft = unsafe comparison.compare(record(from[left]), record(from[right]), from: column) <= 0
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
    if unsafe from != entries { unsafe entries.update(from: from, count: count) }
  }
}
