// A set of row ids: what DELETE and UPDATE collect before they change anything, and what an OR has already visited.

struct RowSet {
  private var entries: [Int64] = []
  private var isSorted = false
  private var position = 0
  // For tests: what earlier batches added, and the batch being added.
  private var earlier: Set<Int64> = []
  private var batch: [Int64] = []
  private var batchNumber: Int32 = 0

  mutating func add(_ rowid: Int64) {
    if isSorted {
      entries.removeSubrange(..<position)
      position = 0
      isSorted = false
    }
    entries.append(rowid)
  }

  /// Takes the smallest id out.
  mutating func next() -> Int64? {
    if !isSorted {
      entries.sort()
      isSorted = true
      position = 0
    }
    guard position < entries.count else { return nil }
    let rowid = entries[position]
    while position < entries.count, entries[position] == rowid { position += 1 }
    return rowid
  }

  /// True where an earlier batch than `number` added it; else it is added, unless `number` is -1.
  mutating func test(_ rowid: Int64, batch number: Int32) -> Bool {
    if number != batchNumber {
      earlier.formUnion(batch)
      batch.removeAll(keepingCapacity: true)
      batchNumber = number
    }
    if earlier.contains(rowid) { return true }
    if number >= 0 { batch.append(rowid) }
    return false
  }
}
