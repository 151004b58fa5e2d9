// Instructions that open, move and read cursors.

import ApusBase
import ApusStorage

extension MachineCore {
  // MARK: Opening

  mutating func openTree(_ i: Instruction, isWritable: Bool) throws(Fault) {
    let pager = try state.pager(Int(i.p3))
    var root = Int64(i.p2)
    if OpenFlags(rawValue: i.p5).contains(.rootInRegister) { root = registers[i.p2].asInteger }
    guard root > 0, root <= Int64(UInt32.max) else { throw .error(.corrupt) }
    if root == 1 { pager.noteHeaderRead(isAsserted: isWritable) }
    let key = i.p4 < 0 ? nil : program.keyDescriptions[Int(i.p4)]
    cursors.open(i.p1, pager, root: PageNumber(UInt32(root)), key: key, isWritable: isWritable)
    cursors[i.p1].root = UInt32(root)
    cursors[i.p1].key = i.p4
  }

  /// The pager of the ephemeral tables, in a write transaction that never ends.
  private mutating func temporaryPager() throws(Fault) -> Pager {
    if let temporary { return temporary }
    let pager = state.makeEphemeralPager()
    try pager.beginWrite()
    temporary = pager
    return pager
  }

  mutating func openEphemeral(_ i: Instruction) throws(Fault) {
    let pager = try temporaryPager()
    if cursors[i.p1].isEphemeral, !cursors[i.p1].isDuplicate, cursors[i.p1].key == i.p4 {
      try clearEphemeral(i.p1)
      return
    }
    let key = i.p4 < 0 ? nil : program.keyDescriptions[Int(i.p4)]
    let root = try BTree.create(pager, key == nil ? .table : .index)
    cursors.open(i.p1, tree: BTreeCursor(pager: pager, root: root, key: key, isWritable: true), kind: key == nil ? .table : .index)
    cursors[i.p1].columnCount = i.p2
    cursors[i.p1].key = i.p4
    cursors[i.p1].root = root.rawValue
  }

  mutating func clearEphemeral(_ cursor: Int32) throws(Fault) {
    guard cursors[cursor].isEphemeral, let temporary else { return }
    cursors[cursor].isPlain = false
    cursors[cursor].isNullRow = false
    cursors[cursor].nextSequence = 0
    while try !BTree.clear(temporary, root: PageNumber(cursors[cursor].root)) {}
  }

  mutating func openDuplicate(_ i: Instruction) throws(Fault) {
    guard cursors[i.p2].isEphemeral else { throw .error(.internal, "only an ephemeral table has duplicates") }
    let pager = try temporaryPager()
    let original = cursors[i.p2]
    let key = original.key < 0 ? nil : program.keyDescriptions[Int(original.key)]
    let tree = BTreeCursor(pager: pager, root: PageNumber(original.root), key: key, isWritable: true)
    cursors.open(i.p1, tree: tree, kind: original.kind)
    cursors[i.p1].isDuplicate = true
    cursors[i.p1].columnCount = original.columnCount
    cursors[i.p1].key = original.key
    cursors[i.p1].root = original.root
  }

  func openPseudo(_ i: Instruction) {
    cursors.close(i.p1)
    cursors[i.p1].kind = .pseudo
    cursors[i.p1].register = i.p2
    cursors[i.p1].columnCount = i.p3
  }

  // MARK: Moving

  mutating func rewind(_ cursor: Int32) throws(Fault) -> Bool {
    if cursors[cursor].kind == .sorter { return try sortAndRewind(cursor) }
    let found = try cursors[tree: cursor].moveToFirst()
    settle(cursor, found)
    return found
  }

  mutating func moveToLast(_ cursor: Int32) throws(Fault) -> Bool {
    let found = try cursors[tree: cursor].moveToLast()
    settle(cursor, found)
    return found
  }

  @inline(__always)
  mutating func next(_ cursor: Int32) throws(Fault) -> Bool {
    if cursors[cursor].isPlain {
      if try cursors[tree: cursor].next() { return true }
      settle(cursor, false)
      return false
    }
    // From an outer join's null row there is no way on, wherever the tree's cursor stands.
    if cursors[cursor].isNullRow { return false }
    let found = try cursors[tree: cursor].next()
    settle(cursor, found)
    return found
  }

  /// A wait comes from `next` alone, and by then the cursor stands on a row that is done with.
  mutating func nextScan(_ i: Instruction) throws(Fault) -> Bool {
    try countTurns(1)
    guard try next(i.p1) else { return false }
    if !cursors[i.p1].isPlain || scans[i.p4].isFutile || !scans.prepare(i.p4, registers) { return true }
    while true {
      let before = scans[i.p4].rowCount
      let isDone = cursors[tree: i.p1].scan(&scans[i.p4])
      try countTurns(scans[i.p4].rowCount &- before)
      if !isDone { return true }
      guard try next(i.p1) else { return false }
    }
  }

  mutating func previous(_ cursor: Int32) throws(Fault) -> Bool {
    // From an outer join's null row there is no way on, wherever the tree's cursor stands.
    if !cursors[cursor].isPlain, cursors[cursor].isNullRow { return false }
    let found = try cursors[tree: cursor].previous()
    settle(cursor, found)
    return found
  }

  /// A movement is over: what a deferred seek or a null row said no longer holds.
  @inline(__always)
  func settle(_ cursor: Int32, _ found: Bool) {
    cursors[cursor].isPlain = found
    cursors[cursor].isNullRow = !found
    cursors[cursor].deferredFrom = -1
  }

  // MARK: Seeking

  /// `seekGE` and its like.
  mutating func seek(_ i: Instruction, _ operation: SeekOperation) throws(Fault) -> Bool {
    let found: Bool
    if cursors[i.p1].kind == .table {
      found = try seekTable(i, operation)
    } else {
      found = try cursors[tree: i.p1].seek(key: key(i.p3, Int(i.p4)), operation)
    }
    settle(i.p1, found)
    return found
  }

  private mutating func seekTable(_ i: Instruction, _ operation: SeekOperation) throws(Fault) -> Bool {
    let value = registers[i.p3]
    if value.kind == .integer { return try cursors[tree: i.p1].seek(rowid: value.integerValue, operation) }
    let number = value.kind == .text ? value.asComparedNumber : value
    switch number.kind {
    case .integer: return try cursors[tree: i.p1].seek(rowid: number.integerValue, operation)
    case .null: return false
    case .text, .blob:
      // Every row id is less than any text or blob.
      if operation == .lessOrEqual || operation == .less { return try cursors[tree: i.p1].moveToLast() }
      return false
    case .real:
      let real = number.realValue
      let (rowid, exact) = MachineCore.nearest(real, operation)
      guard let rowid else {
        // Beyond all row ids on the far side: all of them qualify, or none.
        switch operation {
        case .greater, .greaterOrEqual: return real < 0 ? try cursors[tree: i.p1].moveToFirst() : false
        case .less, .lessOrEqual: return real > 0 ? try cursors[tree: i.p1].moveToLast() : false
        case .equal: return false
        }
      }
      return try cursors[tree: i.p1].seek(rowid: rowid, exact)
    }
  }

  /// The integer search that means the same as the search for `real`; nil where it lies beyond all integers.
  private static func nearest(_ real: Double, _ operation: SeekOperation) -> (Int64?, SeekOperation) {
    guard real >= -9_223_372_036_854_775_808, real < 9_223_372_036_854_775_808 else { return (nil, operation) }
    let floor = real.rounded(.down)
    let whole = Int64(floor)
    if floor == real { return (whole, operation) }
    // x > 2.5 and x >= 2.5 mean x > 2; x < 2.5 and x <= 2.5 mean x <= 2.
    switch operation {
    case .greater, .greaterOrEqual: return (whole, .greater)
    case .less, .lessOrEqual: return (whole, .lessOrEqual)
    case .equal: return (nil, .equal)
    }
  }

  /// - Parameter asserts: a constraint or a change rests on the answer.
  mutating func seekRowid(_ i: Instruction, asserts: Bool = false) throws(Fault) -> Bool {
    let value = registers[i.p3]
    var rowid: Int64
    if value.kind == .integer {
      rowid = value.integerValue
    } else {
      let number = value.kind == .text ? value.asNumericColumn : value
      switch number.kind {
      case .integer: rowid = number.integerValue
      case .real:
        // A column's affinity leaves the smallest integer a real; as a row id it is found all the same.
        guard let exact = Int64(exactly: number.realValue) else {
          settle(i.p1, false)
          return false
        }
        rowid = exact
      default:
        settle(i.p1, false)
        return false
      }
    }
    let found = asserts ? try cursors[tree: i.p1].seekAsserting(rowid: rowid) : try cursors[tree: i.p1].seek(rowid: rowid, .equal)
    settle(i.p1, found)
    return found
  }

  /// Looks for an entry that begins with the key.
  /// - Parameter asserts: a constraint rests on it.
  mutating func find(_ i: Instruction, asserts: Bool = false) throws(Fault) -> Bool {
    let found: Bool
    if asserts, i.p4 > 0 {
      found = try cursors[tree: i.p1].seekAsserting(key: key(i.p3, Int(i.p4)))
    } else if i.p4 > 0 {
      found = try cursors[tree: i.p1].seek(key: key(i.p3, Int(i.p4)), .equal)
    } else {
      let key = registers[i.p3]
      guard key.hasBytes else { throw .error(.internal, "a key record is a blob") }
      unpacked.load(key.bytes)
      found = try cursors[tree: i.p1].seek(key: unpacked.range, .equal)
    }
    settle(i.p1, found)
    return found
  }

  func hasNull(_ i: Instruction) -> Bool {
    for offset in 0..<max(i.p4, 1) where registers[i.p3 + offset].isNull { return true }
    return false
  }

  /// The order of the current entry relative to the key of an `idxGE` and its like.
  mutating func entryOrder(_ i: Instruction) throws(Fault) -> Int {
    try cursors[tree: i.p1].compareKey(key(i.p3, Int(i.p4)))
  }

  /// The end of a loop over entries in ascending order: the current one lies behind its last, and nobody looks at it.
  mutating func endOfRange(_ i: Instruction, isBehind: Bool) throws(Fault) -> Int {
    try cursors[tree: i.p1].noteRefusal(key(i.p3, Int(i.p4)), isBehind: isBehind)
    return Int(i.p2)
  }

  // MARK: Deferred seeks

  func deferSeek(_ i: Instruction) {
    cursors[i.p3].isPlain = false
    cursors[i.p3].isNullRow = false
    cursors[i.p3].deferredFrom = i.p1
    cursors[i.p3].deferredMap = i.p4
  }

  mutating func finishSeek(_ cursor: Int32) throws(Fault) {
    let source = cursors[cursor].deferredFrom
    if source < 0 { return }
    if cursors[source].isNullRow {
      setNullRow(cursor)
      return
    }
    let rowid = try cursors[tree: source].indexRowid()
    guard try cursors[tree: cursor].seek(rowid: rowid, .equal) else {
      if state.isWriterMidway(except: reference) {
        throw .error(
          .busy, cause: "another statement of this connection is in the middle of a change",
          hint: "let it finish, or reset it")
      }
      throw .error(.corruptIndex, cause: "an index entry names row \(rowid), which its table does not have",
        hint: "run PRAGMA integrity_check; REINDEX may repair it")
    }
    settle(cursor, true)
  }

  mutating func setNullRow(_ cursor: Int32) {
    // Its place is lost as well: a `next` that follows the row of NULLs ends the loop, wherever the cursor stood before.
    if cursors[cursor].kind == .table || cursors[cursor].kind == .index { cursors[tree: cursor].isNullRow = true }
    cursors[cursor].isPlain = false
    cursors[cursor].isNullRow = true
    cursors[cursor].deferredFrom = -1
  }

  // MARK: Reading

  @inline(__always)
  mutating func column(_ i: Instruction) throws(Fault) {
    if cursors[i.p1].isPlain {
      if try cursors.column(i.p1, Int(i.p2), into: registers, i.p3) {
        finishColumn(i)
        return
      }
      setDefault(i)
      return
    }
    try columnElsewhere(i)
  }

  /// The register holds a value that borrows: it is made to own its bytes unless the instruction says otherwise.
  @inline(__always)
  private mutating func finishColumn(_ i: Instruction) {
    let value = registers[i.p3]
    if value.hasBytes {
      if i.p5 & ColumnFlags.borrowed.rawValue != 0 {
        var borrowed = value
        borrowed.flags = RegisterFlag.borrowed
        registers[i.p3] = borrowed
      } else if i.p5 & ColumnFlags.decodesText.rawValue != 0, value.kind == .text {
        decodeText(i.p3, value)
      } else {
        registers.copyBytes(i.p3, value)
      }
    } else if i.p5 & ColumnFlags.realAffinity.rawValue != 0 {
      makeReal(i.p3)
    }
  }

  private func setDefault(_ i: Instruction) {
    registers[i.p3] = i.p4 < 0 ? .null : constant(i.p4)
    if i.p5 & ColumnFlags.realAffinity.rawValue != 0 { makeReal(i.p3) }
  }

  @inline(never)
  private mutating func columnElsewhere(_ i: Instruction) throws(Fault) {
    if cursors[i.p1].kind == .sorter, !cursors[i.p1].isNullRow { return columnOfSorter(i) }
    let slot = cursors[i.p1]
    if slot.isNullRow {
      registers[i.p3] = .null
      return
    }
    switch slot.kind {
    case .closed, .groups: throw .error(.internal, "the cursor is closed")
    case .pseudo:
      let record = registers[slot.register]
      guard record.hasBytes else {
        registers[i.p3] = .null
        return
      }
      takeColumn(RecordReader.column(Int(i.p2), of: record.bytes), i)
    case .sorter: columnOfSorter(i)
    case .table, .index:
      if slot.deferredFrom >= 0 {
        if slot.deferredMap >= 0 {
          let map = program.integerLists[Int(slot.deferredMap)]
          if Int(i.p2) < map.count, map[Int(i.p2)] >= 0 {
            var other = i
            other.p1 = slot.deferredFrom
            other.p2 = map[Int(i.p2)]
            try column(other)
            return
          }
        }
        try finishSeek(i.p1)
        if cursors[i.p1].isNullRow {
          registers[i.p3] = .null
          return
        }
      }
      if try cursors.column(i.p1, Int(i.p2), into: registers, i.p3) {
        finishColumn(i)
      } else {
        setDefault(i)
      }
    }
  }

  @inline(__always)
  private mutating func columnOfSorter(_ i: Instruction) {
    guard let value = cursors[sorter: i.p1].column(Int(i.p2)) else { return setDefault(i) }
    registers[i.p3] = value
    var instruction = i
    if value.hasBytes, !cursors[sorter: i.p1].isInMemory { instruction.p5 &= ~ColumnFlags.borrowed.rawValue }
    finishColumn(instruction)
  }

  private mutating func takeColumn(_ value: Value?, _ i: Instruction) {
    guard let value else {
      setDefault(i)
      return
    }
    registers[i.p3] = value
    finishColumn(i)
  }

  @inline(__always)
  mutating func rowid(_ i: Instruction) throws(Fault) {
    if cursors[i.p1].isPlain {
      registers[i.p2] = .integer(try cursors[tree: i.p1].rowid)
      return
    }
    try rowidElsewhere(i)
  }

  @inline(never)
  private mutating func rowidElsewhere(_ i: Instruction) throws(Fault) {
    if cursors[i.p1].isNullRow {
      registers[i.p2] = .null
      return
    }
    let source = cursors[i.p1].deferredFrom
    if source >= 0 {
      registers[i.p2] = cursors[source].isNullRow ? .null : .integer(try cursors[tree: source].indexRowid())
      return
    }
    if cursors[i.p1].kind == .pseudo {
      registers[i.p2] = .null
      return
    }
    registers[i.p2] = .integer(try cursors[tree: i.p1].rowid)
  }

  mutating func indexRowid(_ i: Instruction) throws(Fault) {
    registers[i.p2] = cursors[i.p1].isNullRow ? .null : .integer(try cursors[tree: i.p1].indexRowid())
  }

  mutating func rowData(_ i: Instruction) throws(Fault) {
    if cursors[i.p1].kind == .sorter {
      registers.copyBytes(i.p2, .blob(cursors[sorter: i.p1].record))
      return
    }
    try finishSeek(i.p1)
    if cursors[i.p1].isNullRow {
      registers[i.p2] = .null
      return
    }
    let payload = try cursors[tree: i.p1].payload()
    guard payload.count <= state.limits.lengthMax else { throw .error(.tooBig) }
    registers.copyBytes(i.p2, .blob(payload))
  }

  mutating func count(_ i: Instruction) throws(Fault) {
    while true {
      if let count = try cursors[tree: i.p1].count() {
        registers[i.p2] = .integer(Int64(count))
        return
      }
      // Each leaf is a turn of a loop.
      try countTurns(BTreeCursor.leavesPerCount)
    }
  }

  func sequence(_ i: Instruction) {
    registers[i.p2] = .integer(cursors[i.p1].nextSequence)
    cursors[i.p1].nextSequence += 1
  }
}
