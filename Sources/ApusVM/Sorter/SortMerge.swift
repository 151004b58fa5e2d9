// Merges sorted runs with a tree of losers: a leaf for each run, at each inner node the run that lost there, and what won
// on top; the next record is found by replaying one path. Runs are numbered in the order in which their records came in,
// and the lower number wins among equals, so the merge is stable. The last run may lie in memory.
// `unsafe` lives here: the readers, the heads and the tree lie in arrays that the merge owns.
// Source: D. E. Knuth, The Art of Computer Programming, volume 3, section 5.4.1.

import ApusBase
import ApusIO
import ApusStorage

@safe
struct SortMerge: ~Copyable {
  /// The current record of a run.
  @safe
  private struct Head {
    var prefix: UInt64 = 0
    var isExact = false
    var isAtEnd = true
    var record = ByteView.empty
  }

  private let readers: UnsafeMutablePointer<SortRunReader>
  private let heads: UnsafeMutablePointer<Head>
  /// Losers at 1 ..< runCount, the winner at 0.
  private let tree: UnsafeMutablePointer<Int>
  /// Runs on file.
  private let fileCount: Int
  /// All of them.
  private let runCount: Int
  private let comparison: SortComparison
  private let column: SortColumn
  /// Bytes of the first column that prefixes leave out.
  private let depth: Int
  private let shared: SortSharedBytes
  private var memoryPosition = 0
  private var isStarted = false
  private var opened = 0

  /// - Parameter memory: what the first and the last sorted record in memory share; nil: no run lies there.
  init(
    _ runs: ArraySlice<SortRun>, memory: SortSharedBytes?, file: any File, queue: any IOQueue, chunkBytes: Int,
    _ order: SortOrder
  ) {
    fileCount = runs.count
    runCount = runs.count + (memory == nil ? 0 : 1)
    comparison = order.comparison
    column = order.columns[0]
    var shared = runs.first?.shared ?? SortSharedBytes()
    for run in runs { shared = shared.shared(with: run.shared) }
    if let memory { shared = shared.shared(with: memory) }
    self.shared = shared
    depth = shared.bytes.count
    unsafe readers = UnsafeMutablePointer<SortRunReader>.allocate(capacity: max(runs.count, 1))
    for (index, run) in runs.enumerated() {
      unsafe (readers + index).initialize(to: SortRunReader(run, file: file, queue: queue, chunkBytes: chunkBytes))
    }
    unsafe heads = UnsafeMutablePointer<Head>.allocate(capacity: max(runCount, 1))
    unsafe heads.initialize(repeating: Head(), count: max(runCount, 1))
    unsafe tree = UnsafeMutablePointer<Int>.allocate(capacity: max(runCount, 1))
    unsafe tree.initialize(repeating: -1, count: max(runCount, 1))
  }

  deinit {
    unsafe readers.deinitialize(count: fileCount)
    unsafe readers.deallocate()
    unsafe heads.deallocate()
    unsafe tree.deallocate()
  }

  /// The number of runs on file, and what their keys share.
  var sources: (count: Int, shared: SortSharedBytes) { mutating get { (fileCount, shared) } }

  /// The current record, nil behind the last one; it stays where it is until the merge moves.
  var record: ByteView? {
    mutating get {
      let head = unsafe heads[tree[0]]
      return head.isAtEnd ? nil : head.record
    }
  }

  /// Reads the first record of every run. Called again after a wait.
  mutating func start(_ memory: borrowing SortMemory) throws(Fault) {
    if isStarted { return }
    while opened < runCount {
      try read(opened, memory)
      opened += 1
    }
    // Every leaf climbs until it finds an empty node to wait at; the last one to come meets them all.
    for run in 0..<runCount {
      var winner = run
      var node = (run + runCount) / 2
      while node > 0 {
        let other = unsafe tree[node]
        if other < 0 {
          unsafe tree[node] = winner
          winner = -1
          break
        }
        if isBefore(other, winner) {
          unsafe tree[node] = winner
          winner = other
        }
        node /= 2
      }
      if winner >= 0 { unsafe tree[0] = winner }
    }
    isStarted = true
  }

  /// Moves to the next record.
  mutating func advance(_ memory: borrowing SortMemory) throws(Fault) {
    var winner = unsafe tree[0]
    try read(winner, memory)
    var node = (winner &+ runCount) / 2
    while node > 0 {
      let other = unsafe tree[node]
      if isBefore(other, winner) {
        unsafe tree[node] = winner
        winner = other
      }
      node /= 2
    }
    unsafe tree[0] = winner
  }

  /// The next record of a run.
  @inline(__always)
  private mutating func read(_ run: Int, _ memory: borrowing SortMemory) throws(Fault) {
    let record: ByteView
    if run < fileCount {
      try unsafe readers[run].advance()
      if unsafe readers[run].isAtEnd {
        unsafe heads[run].isAtEnd = true
        return
      }
      record = unsafe readers[run].record
    } else {
      if memoryPosition >= memory.count {
        unsafe heads[run].isAtEnd = true
        return
      }
      record = memory[memoryPosition]
      memoryPosition &+= 1
    }
    let prefix = SortPrefix(RecordReader.first(record) ?? .null, column, behind: depth)
    unsafe heads[run] = Head(prefix: prefix.bits, isExact: prefix.isExact, isAtEnd: false, record: record)
  }

  @inline(__always)
  private func isBefore(_ left: Int, _ right: Int) -> Bool {
    let a = unsafe heads[left].prefix
    let b = unsafe heads[right].prefix
    if unsafe heads[left].isAtEnd || heads[right].isAtEnd {
      return unsafe heads[right].isAtEnd && (!heads[left].isAtEnd || left < right)
    }
    if a != b { return a < b }
    return isBeforeAmongTies(left, right)
  }

  @inline(never)
  private func isBeforeAmongTies(_ left: Int, _ right: Int) -> Bool {
    if unsafe heads[left].isExact && heads[right].isExact && comparison.columnCount <= 1 { return left < right }
    let order = unsafe comparison.compare(heads[left].record, heads[right].record)
    return order != 0 ? order < 0 : left < right
  }
}
