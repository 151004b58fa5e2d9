// Sorts records: in memory as long as they fit the budget, in runs on a temporary file beyond it.
//
//   add ... add      records gather in memory; over the budget they are sorted and written as a run
//   sort             what is left is sorted; with runs, it becomes the last of them, and all are merged
//   next             the merge gives one record after the other
//
// Where only the first rows are wanted (LIMIT), what cannot be among them is dropped: memory is sorted and cut whenever it
// holds twice as many, and from then on a record that comes behind the last one kept is not even taken in.
//
// Equal records come out in the order in which they came in. Every verb may wait and is called again with the same
// arguments; what it has come to is kept here. Memory: the budget, and while merging two chunks per run.

import ApusBase
import ApusIO
import ApusStorage

struct Sorter: ~Copyable {
  /// Runs merged at once; more are merged in several passes.
  static let fanIn = 32
  /// With more runs than these the last one is written too, and its memory is free for the merge.
  private static let runsBesideMemoryMax = 8
  /// Rows beyond twice the limit that are gathered before memory is cut.
  private static let spareRows = 62

  private enum Phase: UInt8 { case adding, spilling, merging }

  private let environment: any Environment
  private let queue: any IOQueue
  private let budget: Int
  private let key: KeyDescription
  private var order: SortOrder
  /// The first of the order's columns.
  private var first: SortColumn
  /// Prefixes of the first column decide all that was added.
  private var isExact = true
  private var memory: SortMemory
  private var encoded = ByteBuffer()

  /// How many records are wanted; none beyond them is given out.
  private let wanted: Int
  /// Records in memory that make it worth a cut.
  private let cutCount: Int
  /// The last of the wanted ones so far; what does not come before it is dropped.
  private var hasCutoff = false
  private var cutoffPrefix: UInt64 = 0
  /// The cutoff is the only value with its prefix.
  private var cutoffIsExact = false
  private var cutoffRecord = ByteBuffer()
  private var cutoff = UnpackedRecord()

  private var phase = Phase.adding
  private var position = 0

  // Spilled runs.
  private var file: (any File)?
  private var runs: [SortRun] = []
  private var fileEnd: Int64 = 0
  private var writer: SortRunWriter?
  private var written = 0
  private var merge: SortMerge?
  /// The merge's current record.
  private var merged: ByteView?
  private var mergedCount = 0
  /// The merge's current record is already in the run that a pass writes.
  private var isCopied = false

  // The current record, unpacked when its first column is read.
  private var columns = UnpackedRecord()
  private var isUnpacked = false

  /// - Parameter wanted: how many of the sorted records are read at most; below 1: all.
  init(
    key: KeyDescription, environment: any Environment, queue: any IOQueue, budget: Int, wanted: Int = 0
  ) {
    precondition(!key.columns.isEmpty)
    self.key = key
    order = SortOrder(
      columns: key.columns.map { SortColumn($0) },
      comparison: SortComparison(order: key.order, columnCount: key.columns.count))
    first = order.columns[0]
    self.environment = environment
    self.queue = queue
    self.budget = budget
    memory = SortMemory(byteCountMax: budget)
    self.wanted = wanted > 0 && wanted < 1 << 40 ? wanted : Int.max
    cutCount = self.wanted == Int.max ? Int.max : 2 * wanted + Sorter.spareRows
    setIntegersOnly(true)
  }

  /// Little more fits into memory.
  var isFull: Bool { !runs.isEmpty || memory.byteCount >= budget / 4 * 3 }

  /// For tests.
  var rowsInMemory: Int { memory.count }

  // MARK: Adding

  /// Adds the record of `values`.
  mutating func add(_ values: ValueRange) throws(Fault) {
    var prefix = self.prefix(values.count > 0 ? values[0] : .null)
    if hasCutoff, prefix.bits >= cutoffPrefix {
      if prefix.bits > cutoffPrefix || (prefix.isExact && cutoffIsExact && order.columns.count == 1) { return }
      if isBehindCutoff(values) { return }
    }
    if phase == .adding, memory.makeRoom(RecordCodec.quickByteCountMax(values.count)) {
      let byteCount = RecordCodec.encodeQuickly(values, to: memory.tail)
      if byteCount >= 0 {
        append(byteCount, prefix)
        return
      }
    }
    try RecordCodec.encode(values, into: &encoded)
    try makeRoom(encoded.count)
    // Room may have been made by spilling, and the cutoff by that.
    prefix = self.prefix(values.count > 0 ? values[0] : .null)
    memory.tail.copy(encoded.bytes, to: 0)
    append(encoded.count, prefix)
  }

  mutating func add(record: ByteView) throws(Fault) {
    try makeRoom(record.count)
    let prefix = self.prefix(RecordReader.first(record) ?? .null)
    memory.tail.copy(record, to: 0)
    append(record.count, prefix)
  }

  private mutating func makeRoom(_ byteCount: Int) throws(Fault) {
    if phase == .adding, memory.makeRoom(byteCount) { return }
    // A cut that frees little would come again soon: what is there is written then.
    if phase == .adding, memory.count >= cutCount / 4 * 3 {
      cut()
      if memory.makeRoom(byteCount) { return }
    }
    try spill()
    _ = memory.makeRoom(byteCount)
  }

  @inline(__always)
  private mutating func append(_ byteCount: Int, _ prefix: SortPrefix) {
    if !prefix.isExact { isExact = false }
    memory.append(byteCount, prefix: prefix.bits)
    if memory.count >= cutCount { cut() }
  }

  @inline(__always)
  private mutating func prefix(_ value: Value) -> SortPrefix {
    if value.kind == .real, first.hasIntegersOnly { takeDoubles() }
    return SortPrefix(value, first)
  }

  private mutating func setIntegersOnly(_ flag: Bool) {
    first.hasIntegersOnly = flag
    order.columns[0].hasIntegersOnly = flag
  }

  /// The first double among the keys: numbers are coded in another way from here on.
  private mutating func takeDoubles() {
    setIntegersOnly(false)
    isExact = false
    memory.setFirstPrefixes(first)
    if hasCutoff { takeCutoffPrefix() }
  }

  mutating func removeAll() {
    memory.removeAll()
    merge = nil
    merged = nil
    writer = nil
    runs = []
    fileEnd = 0
    file = nil
    phase = .adding
    setIntegersOnly(true)
    isExact = true
    hasCutoff = false
    isUnpacked = false
    mergedCount = 0
    isCopied = false
  }

  // MARK: The first rows only

  @inline(never)
  private func isBehindCutoff(_ values: ValueRange) -> Bool {
    let count = order.columns.count
    guard values.count >= count, cutoff.count >= count else { return false }
    return order.comparison.order.compare(values.prefix(count), cutoff.range.prefix(count)) >= 0
  }

  /// Drops the records that are not among the wanted ones.
  private mutating func cut() {
    sortMemory()
    if memory.count < wanted { return }
    setCutoff(memory[wanted - 1])
    memory.truncate(to: wanted, first)
  }

  private mutating func setCutoff(_ record: ByteView) {
    cutoffRecord.removeAll()
    cutoffRecord.append(record)
    cutoff.load(cutoffRecord.bytes)
    takeCutoffPrefix()
    hasCutoff = true
  }

  private mutating func takeCutoffPrefix() {
    let prefix = SortPrefix(cutoff.count > 0 ? cutoff.range[0] : .null, first)
    cutoffPrefix = prefix.bits
    cutoffIsExact = prefix.isExact
  }

  // MARK: Sorting

  /// - Returns: false where there are no records; else the first one is current.
  mutating func sort() throws(Fault) -> Bool {
    isUnpacked = false
    if runs.isEmpty, phase == .adding {
      sortMemory()
      position = 0
      return memory.count > 0
    }
    if phase == .adding, runs.count <= Sorter.runsBesideMemoryMax {
      sortMemory()
      phase = .merging
    }
    if phase != .merging {
      if memory.count > 0 || phase == .spilling { try spill() }
      memory = SortMemory(byteCountMax: budget)
      phase = .merging
    }
    while runs.count > Sorter.fanIn { try mergePass() }
    if merge == nil {
      merge = SortMerge(
        runs[...], memory: memory.count > 0 ? sharedInMemory : nil, file: try temporaryFile(), queue: queue,
        chunkBytes: chunkBytes(runs.count), order)
    }
    try merge!.start(memory)
    merged = merge!.record
    return merged != nil
  }

  /// Moves to the next record.
  /// - Returns: false behind the last.
  @inline(__always)
  mutating func next() throws(Fault) -> Bool {
    isUnpacked = false
    if phase == .merging { return try nextMerged() }
    position &+= 1
    return position < memory.count
  }

  private mutating func nextMerged() throws(Fault) -> Bool {
    try merge!.advance(memory)
    merged = merge!.record
    return merged != nil
  }

  // MARK: Reading

  /// The current record; it stays where it is until the sorter moves.
  var record: ByteView { merged ?? memory[position] }

  /// False where `next` reads files: records given out before may be gone while it waits.
  var isInMemory: Bool { phase != .merging }

  /// Column `index` of the current record; nil where it has fewer.
  @inline(__always)
  mutating func column(_ index: Int) -> Value? {
    if !isUnpacked {
      columns.load(record)
      isUnpacked = true
    }
    return index < columns.count ? columns.range[index] : nil
  }

  // MARK: Runs

  private mutating func sortMemory() { memory.sort(order, isExact: isExact && order.columns.count == 1) }

  private var sharedInMemory: SortSharedBytes { SortSharedBytes(memory[0], memory[memory.count - 1], first) }

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

  private func chunkBytes(_ runCount: Int) -> Int { max(32 << 10, min(256 << 10, budget / 4 / max(runCount, 1))) }

  /// Writes what is in memory as a run.
  private mutating func spill() throws(Fault) {
    if phase != .spilling {
      sortMemory()
      if memory.count >= wanted { setCutoff(memory[wanted - 1]) }
      writer = SortRunWriter(file: try temporaryFile(), queue: queue, at: fileEnd)
      written = 0
      phase = .spilling
    }
    let count = min(memory.count, wanted)
    while written < count {
      try writer!.append(memory[written])
      written &+= 1
    }
    try finishRun(sharedInMemory)
    memory.removeAll()
    phase = .adding
  }

  private mutating func finishRun(_ shared: SortSharedBytes) throws(Fault) {
    let run = try writer!.finish(shared)
    writer = nil
    fileEnd += run.byteCount
    runs.append(run)
  }

  /// Merges the oldest runs that were not merged in this pass into one, which takes their place.
  private static let recordsPerTurn = 16_384

  private mutating func mergePass() throws(Fault) {
    if merge == nil {
      let group = runs[mergedCount..<min(mergedCount + Sorter.fanIn, runs.count)]
      merge = SortMerge(
        group, memory: nil, file: try temporaryFile(), queue: queue, chunkBytes: chunkBytes(Sorter.fanIn), order)
      writer = SortRunWriter(file: try temporaryFile(), queue: queue, at: fileEnd)
    }
    try merge!.start(memory)
    var copiedCount = 0
    while let record = merge!.record {
      if !isCopied {
        // Now and then the statement's driver looks at interrupts, and at other statements.
        copiedCount += 1
        if copiedCount > Sorter.recordsPerTurn { throw .wait(.nothing) }
        try writer!.append(record)
        isCopied = true
      }
      try merge!.advance(memory)
      isCopied = false
    }
    let group = merge!.sources
    try finishRun(group.shared)
    let run = runs.removeLast()
    runs.replaceSubrange(mergedCount..<mergedCount + group.count, with: [run])
    merge = nil
    mergedCount += 1
    if mergedCount >= runs.count { mergedCount = 0 }
  }
}
