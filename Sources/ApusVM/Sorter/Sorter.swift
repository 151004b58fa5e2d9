// Sorts records: in memory as long as they fit the budget, in runs on a temporary file beyond it.
//
//   add ... add      records gather in memory; over the budget they are sorted and written as a run
//   sort             what is left is sorted; with runs, it becomes the last of them, and all are merged
//   next             the merge gives one record after the other
//
// Equal records come out in the order in which they came in. Every verb may wait and is called again with the same
// arguments; what it has come to is kept here. Memory: the budget, and while merging one chunk per run.

import ApusBase
import ApusIO
import ApusStorage

struct Sorter: ~Copyable {
  /// Runs merged at once; more are merged in several passes.
  static let fanIn = 32

  private enum Phase: UInt8 { case adding, spilling, merging, reading }

  private let key: KeyDescription
  private let order: KeyOrder
  private let firstColumn: KeyColumn
  private let environment: any Environment
  private let queue: any IOQueue
  private let budget: Int
  /// Columns that a comparison begins at: 1 where prefixes alone decide the first.
  private var allExact = true
  private var memory = SortEntries()
  private var encoded = ByteBuffer()
  private var left = UnpackedRecord()
  private var right = UnpackedRecord()

  private var phase = Phase.adding
  private(set) var isSorted = false
  private var position = 0

  // Spilled runs.
  private var file: (any File)?
  private var runs: [SortRun] = []
  private var fileEnd: Int64 = 0
  private var writer: SortRunWriter?
  private var written = 0
  private var merge: SortMerge?
  private var mergedCount = 0
  /// The merge's current record is already in the run that a pass writes.
  private var isCopied = false

  // The current record, unpacked when its first column is read.
  private var columns = UnpackedRecord()
  private var isUnpacked = false

  init(key: KeyDescription, environment: any Environment, queue: any IOQueue, budget: Int) {
    self.key = key
    order = key.order
    firstColumn = key.columns.first ?? KeyColumn()
    self.environment = environment
    self.queue = queue
    self.budget = budget
  }

  // MARK: Adding

  /// Adds the record of `values`.
  mutating func add(_ values: ValueRange) throws(Fault) {
    if memory.byteCount >= budget { try spill() }
    try RecordCodec.encode(values, into: &encoded)
    let prefix = SortPrefix(values.count > 0 ? values[0] : .null, firstColumn)
    if !prefix.isExact { allExact = false }
    memory.append(encoded.bytes, prefix: prefix.bits)
    isSorted = false
  }

  mutating func add(record: ByteView) throws(Fault) {
    if memory.byteCount >= budget { try spill() }
    let prefix = SortPrefix(RecordReader.column(0, of: record) ?? .null, firstColumn)
    if !prefix.isExact { allExact = false }
    memory.append(record, prefix: prefix.bits)
    isSorted = false
  }

  mutating func removeAll() {
    memory.removeAll()
    merge = nil
    writer = nil
    runs = []
    fileEnd = 0
    file = nil
    phase = .adding
    isSorted = false
    allExact = true
    isUnpacked = false
  }

  // MARK: Sorting

  /// - Returns: false where there are no records; else the first one is current.
  mutating func sort() throws(Fault) -> Bool {
    isUnpacked = false
    if runs.isEmpty, phase == .adding {
      sortMemory()
      isSorted = true
      position = 0
      return memory.count > 0
    }
    if phase != .merging {
      if memory.count > 0 || phase == .spilling { try spill() }
      memory = SortEntries()
      phase = .merging
    }
    while runs.count > Sorter.fanIn { try mergePass() }
    if merge == nil {
      merge = SortMerge(runs[...], file: try temporaryFile(), queue: queue, chunkBytes: chunkBytes(runs.count))
    }
    try start()
    isSorted = true
    return merge?.isAtEnd == false
  }

  /// Moves to the next record.
  /// - Returns: false behind the last.
  mutating func next() throws(Fault) -> Bool {
    if merge != nil {
      try advance()
      isUnpacked = false
      return merge?.isAtEnd == false
    }
    position += 1
    isUnpacked = false
    return position < memory.count
  }

  // MARK: Reading

  /// The current record; it stays where it is until the sorter moves.
  var record: ByteView {
    if let record = merge?.record { return record }
    return memory.record(memory[position])
  }

  /// False where `next` reads files: records given out before may be gone while it waits.
  var isInMemory: Bool { merge == nil }

  /// Column `index` of the current record; nil where it has fewer.
  mutating func column(_ index: Int) -> Value? {
    if !isUnpacked {
      columns.load(record)
      isUnpacked = true
    }
    return index < columns.count ? columns.range[index] : nil
  }

  // MARK: Comparing

  private mutating func sortMemory() {
    let isExact = allExact && key.columns.count <= 1
    let comparison = SortComparison(order: order, columnCount: key.columns.count)
    memory.sort(isExact: isExact) { left, right in comparison.compare(left, right) }
  }

  // MARK: Runs

  private mutating func temporaryFile() throws(Fault) -> any File {
    if let file { return file }
    do throws(EngineError) {
      let new = try environment.openTemporary()
      file = new
      return new
    } catch {
      throw .failure(error)
    }
  }

  private func chunkBytes(_ runCount: Int) -> Int { max(32 << 10, min(256 << 10, budget / max(runCount, 1))) }

  /// Writes what is in memory as a run.
  private mutating func spill() throws(Fault) {
    if phase != .spilling {
      sortMemory()
      writer = SortRunWriter(file: try temporaryFile(), queue: queue, at: fileEnd)
      written = 0
      phase = .spilling
    }
    while written < memory.count {
      let entry = memory[written]
      try writer!.append(memory.record(entry), prefix: entry.prefix)
      written += 1
    }
    try finishRun()
    memory.removeAll()
    phase = .adding
  }

  private mutating func finishRun() throws(Fault) {
    let run = try writer!.finish()
    writer = nil
    fileEnd += run.byteCount
    runs.append(run)
  }

  /// Merges the oldest runs that were not merged in this pass into one, which takes their place.
  private mutating func mergePass() throws(Fault) {
    if merge == nil {
      let group = runs[mergedCount..<min(mergedCount + Sorter.fanIn, runs.count)]
      merge = SortMerge(group, file: try temporaryFile(), queue: queue, chunkBytes: chunkBytes(Sorter.fanIn))
      writer = SortRunWriter(file: try temporaryFile(), queue: queue, at: fileEnd)
    }
    try start()
    while merge?.isAtEnd == false {
      if !isCopied {
        try writer!.append(merge!.record, prefix: merge!.prefix)
        isCopied = true
      }
      try advance()
      isCopied = false
    }
    let groupCount = merge!.runCount
    try finishRun()
    let merged = runs.removeLast()
    runs.replaceSubrange(mergedCount..<mergedCount + groupCount, with: [merged])
    merge = nil
    mergedCount += 1
    if mergedCount >= runs.count { mergedCount = 0 }
  }

  private mutating func start() throws(Fault) {
    let comparison = SortComparison(order: order, columnCount: key.columns.count)
    try merge!.start(comparison)
  }

  private mutating func advance() throws(Fault) {
    let comparison = SortComparison(order: order, columnCount: key.columns.count)
    try merge!.advance(comparison)
  }
}

/// Compares records column by column.
struct SortComparison {
  let order: KeyOrder
  let columnCount: Int

  func compare(_ left: ByteView, _ right: ByteView) -> Int {
    var leftReader = RecordReader(left)
    var rightReader = RecordReader(right)
    for column in 0..<columnCount {
      guard let leftValue = leftReader.next(), let rightValue = rightReader.next() else { return 0 }
      let result = order.compare(leftValue, rightValue, at: column)
      if result != 0 { return result }
    }
    return 0
  }
}
