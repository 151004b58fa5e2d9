// Instructions that change b-trees.

import ApusBase
import ApusStorage

extension MachineCore {
  mutating func makeRecord(_ i: Instruction) throws(Fault) {
    if i.p4 >= 0 { applyAffinities(i.p1, i.p4) }
    let compactsReals = i.p5 & RecordFlags.compactsReals.rawValue != 0
    if compactsReals { compactReals(i) }
    defer { if compactsReals { expandReals(i) } }
    if writesPlainRecords {
      try RecordCodec.encode(registers.range(i.p1, Int(i.p2)), into: &scratch)
    } else {
      try RecordCodec.encode(
        registers.range(i.p1, Int(i.p2)), into: &scratch, textEncoding, hasBooleans: !program.writesLegacyRecords)
    }
    guard scratch.count <= state.limits.lengthMax else { throw .error(.tooBig) }
    registers.adopt(i.p3, .blob, &scratch)
  }

  private func compactReals(_ i: Instruction) {
    let affinities = program.affinityStrings[Int(i.p4)]
    for (index, affinity) in affinities.enumerated() where affinity == .real {
      let register = i.p1 + Int32(index)
      let value = registers[register]
      guard value.kind == .real, value.realValue.magnitude < MachineCore.compactMax else { continue }
      guard let whole = Int64(exactly: value.realValue) else { continue }
      var compacted = Value.integer(whole)
      compacted.flags = RegisterFlag.compacted
      registers[register] = compacted
    }
  }

  private func expandReals(_ i: Instruction) {
    for register in i.p1..<i.p1 + i.p2 where registers[register].flags & RegisterFlag.compacted != 0 {
      makeReal(register)
    }
  }

  /// Integers below 2^47 take six bytes at most.
  private static let compactMax = 140_737_488_355_328.0

  mutating func newRowid(_ i: Instruction) throws(Fault) {
    // A sequence only grows: there is no id by chance.
    var rowid = try cursors[tree: i.p1].newRowid(
      mayBeRandom: i.p3 == 0, behind: i.p3 == 0 ? .min : registers[i.p3].asInteger)
    if i.p3 != 0 {
      let largest = registers[i.p3].asInteger
      guard largest < .max else { throw .error(.full, cause: "the largest row id is taken") }
      rowid = max(rowid, largest &+ 1)
      registers[i.p3] = .integer(rowid)
    }
    registers[i.p2] = .integer(rowid)
  }

  mutating func insert(_ i: Instruction) throws(Fault) {
    let record = registers[i.p2]
    guard record.hasBytes else { throw .error(.internal, "a record is a blob") }
    let rowid = registers[i.p3].asInteger
    let flags = ChangeFlags(rawValue: i.p5)
    if !program.needsUndoScope, marks.isEmpty {
      let replaces = flags.contains(.isUpdate)
      if cursors[tree: i.p1].insertTakesSteps(recordBytes: record.bytes.count, replaces: replaces) { try openUndoScope() }
    }
    try cursors[tree: i.p1].insert(rowid: rowid, record: record.bytes, isAppend: flags.contains(.append))
    cursors[i.p1].deferredFrom = -1
    if flags.contains(.countsChange) { changes += 1 }
    if flags.contains(.setsLastRowid) { state.figures.lastInsertRowid = rowid }
  }

  mutating func delete(_ i: Instruction) throws(Fault) {
    if progress == 0 {
      try finishSeek(i.p1)
      progress = 1
    }
    if !program.needsUndoScope, marks.isEmpty, cursors[tree: i.p1].deleteTakesSteps() { try openUndoScope() }
    try cursors[tree: i.p1].delete()
    progress = 0
    if ChangeFlags(rawValue: i.p5).contains(.countsChange) { changes += 1 }
  }

  mutating func insertIntoIndex(_ i: Instruction) throws(Fault) {
    let record = registers[i.p2]
    guard record.hasBytes else { throw .error(.internal, "a record is a blob") }
    if i.p4 > 0 {
      try cursors[tree: i.p1].insert(key: record.bytes, values: key(i.p3, Int(i.p4)))
    } else {
      unpacked.load(record.bytes)
      try cursors[tree: i.p1].insert(key: record.bytes, values: unpacked.range)
    }
    if ChangeFlags(rawValue: i.p5).contains(.countsChange) { changes += 1 }
  }

  mutating func deleteFromIndex(_ i: Instruction) throws(Fault) {
    if progress == 0 {
      guard try cursors[tree: i.p1].seek(key: key(i.p2, Int(i.p3)), .equal) else {
        if i.p5 & 1 != 0 {
          throw .error(
            .corruptIndex, cause: "an index lacks the entry of a row",
            hint: "run PRAGMA integrity_check; REINDEX may repair it")
        }
        return
      }
      progress = 1
    }
    #if PlantedBugs
      cursors[tree: i.p1].leavesRemovalOut = i.p5 & 2 != 0 && PlantedBug.isActive(.replaceNamesTableOnly)
    #endif
    try cursors[tree: i.p1].delete()
    progress = 0
  }

  // MARK: Whole b-trees

  mutating func createTree(_ i: Instruction) throws(Fault) {
    let pager = try state.pager(Int(i.p1))
    let root = try BTree.create(pager, i.p3 == 2 ? .index : .table)
    registers[i.p2] = .integer(Int64(root.rawValue))
  }

  mutating func destroyTree(_ i: Instruction) throws(Fault) {
    let pager = try state.pager(Int(i.p3))
    var movedRoot: UInt32 = 0
    // Its pages may be anything next, and other roots may move: nobody may be reading, as in SQLite.
    if state.active.contains(where: { $0 != reference && $0.uses != 0 }) {
      throw .error(.locked, "database table is locked")
    }
    while try !BTree.drop(pager, root: PageNumber(UInt32(bitPattern: i.p1)), movedRoot: &movedRoot) {}
    registers[i.p2] = .integer(Int64(movedRoot))
  }

  mutating func vacuumIncrementally(_ i: Instruction) throws(Fault) {
    let pager = try state.pager(Int(i.p1))
    let asked = registers[i.p2].asInteger
    // What is left to do survives a wait in `progressCount`, counted from 1: nothing may be left but the rest of the last step.
    var steps = progressCount > 0 ? Int(progressCount) - 1 : asked > 0 ? Int(min(asked, .max - 1)) : Int.max - 1
    do throws(Fault) {
      try pager.vacuum(&steps)
    } catch {
      progressCount = Int64(steps) + 1
      throw error
    }
    progressCount = 0
  }

  mutating func clearTree(_ i: Instruction) throws(Fault) {
    let pager = try state.pager(Int(i.p2))
    let root = PageNumber(UInt32(bitPattern: i.p1))
    while try !BTree.clear(pager, root: root, entryCount: &progressCount) {}
    if i.p3 > 0 {
      changes += progressCount
      registers[i.p3] = .integer(registers[i.p3].asInteger &+ progressCount)
    }
    progressCount = 0
  }
}
