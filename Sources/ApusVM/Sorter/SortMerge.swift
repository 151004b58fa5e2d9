// Merges sorted runs: a binary heap of readers, the smallest record at its root. Runs are numbered in the order in which
// their records came in, and the lower number wins among equals, so the merge is stable. `unsafe` lives here: the readers
// lie in one array that the merge owns.

import ApusBase
import ApusIO

@safe
final class SortMerge {
  private let readers: UnsafeMutablePointer<SortRunReader>
  let runCount: Int
  /// Readers that still have records, as a heap.
  private var heap: [Int] = []
  private var isStarted = false
  private var opened = 0

  init(_ runs: ArraySlice<SortRun>, file: any File, queue: any IOQueue, chunkBytes: Int) {
    runCount = runs.count
    unsafe readers = UnsafeMutablePointer<SortRunReader>.allocate(capacity: max(runs.count, 1))
    for (index, run) in runs.enumerated() {
      unsafe (readers + index).initialize(to: SortRunReader(run, file: file, queue: queue, chunkBytes: chunkBytes))
    }
  }

  deinit {
    unsafe readers.deinitialize(count: runCount)
    unsafe readers.deallocate()
  }

  var isAtEnd: Bool { heap.isEmpty }
  var record: ByteView { unsafe readers[heap[0]].record }
  var prefix: UInt64 { unsafe readers[heap[0]].prefix }

  /// Reads the first record of every run. Called again after a wait.
  func start(_ comparison: SortComparison) throws(Fault) {
    if isStarted { return }
    while opened < runCount {
      try unsafe readers[opened].advance()
      if unsafe !readers[opened].isAtEnd { heap.append(opened) }
      opened += 1
    }
    for position in stride(from: heap.count / 2, through: 0, by: -1) { sink(position, comparison) }
    isStarted = true
  }

  /// Moves to the next record.
  func advance(_ comparison: SortComparison) throws(Fault) {
    try unsafe readers[heap[0]].advance()
    if unsafe readers[heap[0]].isAtEnd {
      heap[0] = heap[heap.count - 1]
      heap.removeLast()
      if heap.isEmpty { return }
    }
    sink(0, comparison)
  }

  private func sink(_ start: Int, _ comparison: SortComparison) {
    var position = start
    while true {
      var child = 2 * position + 1
      if child >= heap.count { return }
      if child + 1 < heap.count, isBefore(heap[child + 1], heap[child], comparison) { child += 1 }
      if !isBefore(heap[child], heap[position], comparison) { return }
      heap.swapAt(child, position)
      position = child
    }
  }

  private func isBefore(_ left: Int, _ right: Int, _ comparison: SortComparison) -> Bool {
    let leftPrefix = unsafe readers[left].prefix
    let rightPrefix = unsafe readers[right].prefix
    if leftPrefix != rightPrefix { return leftPrefix < rightPrefix }
    let order = unsafe comparison.compare(readers[left].record, readers[right].record)
    return order != 0 ? order < 0 : left < right
  }
}
