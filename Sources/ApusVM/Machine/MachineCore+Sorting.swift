// Instructions on sorters and row sets.

import ApusBase
import ApusStorage

extension MachineCore {
  func openSorter(_ i: Instruction) {
    let wanted = i.p3 > 0 && registers[i.p3].kind == .integer ? registers[i.p3].integerValue : 0
    cursors.open(
      i.p1,
      sorter: Sorter(
        key: program.keyDescriptions[Int(i.p4)], environment: state.environment, queue: state.queue,
        budget: state.limits.sorterBytes, wanted: Int(wanted)))
    cursors[i.p1].columnCount = i.p2
    cursors[i.p1].key = i.p4
  }

  /// Rows that are looked up at once at most: with their entries in two sorters they fit into one sorter's memory.
  private static let batchRowsMax: Int64 = 1 << 17

  mutating func sizeBatch(_ i: Instruction) throws(Fault) {
    let size = registers[i.p2]
    if size.isNull {
      registers[i.p2] = .integer(try state.pager(Int(i.p1)).fitsIntoCache ? 0 : 1)
    } else {
      registers[i.p2] = .integer(min(size.asInteger &* 4, MachineCore.batchRowsMax))
    }
  }

  mutating func insertIntoSorter(_ i: Instruction) throws(Fault) {
    if i.p3 > 0 {
      try cursors[sorter: i.p1].add(key(i.p2, Int(i.p3)))
      return
    }
    let record = registers[i.p2]
    guard record.hasBytes else { throw .error(.internal, "a record is a blob") }
    try cursors[sorter: i.p1].add(record: record.bytes)
  }

  mutating func sortAndRewind(_ cursor: Int32) throws(Fault) -> Bool {
    if state.isInterrupted { throw .error(.interrupt) }
    let found = try cursors[sorter: cursor].sort()
    cursors[cursor].isNullRow = !found
    return found
  }

  @inline(__always)
  mutating func nextInSorter(_ cursor: Int32) throws(Fault) -> Bool {
    let found = try cursors[sorter: cursor].next()
    cursors[cursor].isNullRow = !found
    return found
  }

  mutating func differsFromSorter(_ i: Instruction) -> Bool {
    let record = registers[i.p3]
    guard record.hasBytes, i.p4 > 0 else { return true }
    unpacked.load(record.bytes)
    let order = cursors[i.p1].key < 0 ? nil : program.keyDescriptions[Int(cursors[i.p1].key)].order
    for index in 0..<Int(i.p4) {
      guard index < unpacked.count, let other = cursors[sorter: i.p1].column(index), !other.isNull else { return true }
      let mine = unpacked.range[index]
      if mine.isNull { return true }
      let result = order?.compare(mine, other, at: index) ?? ValueComparison.order(mine, other, .binary)
      if result != 0 { return true }
    }
    return false
  }

  mutating func resetSorter(_ i: Instruction) throws(Fault) {
    if cursors[i.p1].kind == .sorter {
      cursors[sorter: i.p1].removeAll()
      cursors[i.p1].isNullRow = false
    } else {
      try clearEphemeral(i.p1)
    }
  }

  // MARK: Row sets

  /// The row set in a register; an empty one is put there where it holds none.
  private mutating func rowSetIndex(_ register: Int32) -> Int {
    let value = registers[register]
    if value.kind == .integer, value.flags & RegisterFlag.handle != 0 { return Int(value.integerValue) }
    rowSets.append(RowSet())
    var handle = Value.integer(Int64(rowSets.count - 1))
    handle.flags = RegisterFlag.handle
    registers[register] = handle
    return rowSets.count - 1
  }

  mutating func addToRowSet(_ i: Instruction) {
    let index = rowSetIndex(i.p1)
    rowSets[index].add(registers[i.p2].asInteger)
  }

  mutating func readRowSet(_ i: Instruction) -> Bool {
    let index = rowSetIndex(i.p1)
    guard let rowid = rowSets[index].next() else {
      registers[i.p1] = .null
      return true
    }
    registers[i.p3] = .integer(rowid)
    return false
  }

  mutating func isInRowSet(_ i: Instruction) -> Bool {
    let index = rowSetIndex(i.p1)
    return rowSets[index].test(registers[i.p3].asInteger, batch: i.p4)
  }
}
