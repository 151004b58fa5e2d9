// Tells the programs that need no undo scope. An instruction happens wholly or not at all, so a program that changes its
// database by one instruction, once, and then ends, leaves nothing half done: the INSERT, UPDATE or DELETE of one row that
// touches no index. Without the scope, pages that the transaction has changed already are changed in place. A row with
// overflow pages is changed in several steps, between which its instruction may wait: the instruction opens the scope then.

import ApusBase

enum UndoScope {
  /// True where the only change is that of one row, which no loop repeats, and only the end follows it.
  static func isSingleChange(_ code: TrivialList<Instruction>) -> Bool {
    var place = -1
    for address in 0..<code.count {
      let instruction = code[address]
      switch instruction.opcode {
      case .insert, .delete:
        guard place < 0, ChangeFlags(rawValue: instruction.p5).contains(.countsChange) else { return false }
        place = address
      case .idxInsert, .idxDelete, .createBtree, .destroy, .clear, .setCookie, .setting, .schemaChanged,
        .journalMode, .openEphemeral, .openAutoindex, .savepoint, .autoCommit, .resetCount,
        .attach, .detach:
        #if PlantedBugs
          let isIndexEntry = instruction.opcode == .idxInsert || instruction.opcode == .idxDelete
          if isIndexEntry, PlantedBug.isActive(.noUndoScopeBesideIndexes) { continue }
        #endif
        return false
      default: break
      }
    }
    guard place >= 0 else { return false }
    if code[place].opcode == .insert, !ChangeFlags(rawValue: code[place].p5).contains(.isUpdate) {
      // A new row replaces none, whose overflow pages would be freed one after the other.
      let cursor = code[place].p1
      let isNew = (0..<code.count).contains { address in
        let instruction = code[address]
        return (instruction.opcode == .newRowid || instruction.opcode == .notExists) && instruction.p1 == cursor
      }
      if !isNew { return false }
    }
    return onlyEnds(after: place, code)
  }

  private static func onlyEnds(after place: Int, _ code: TrivialList<Instruction>) -> Bool {
    var address = place + 1
    for _ in 0..<code.count where address < code.count {
      switch code[address].opcode {
      case .noop, .explain, .close: address += 1
      case .goto:
        // Backwards would be a loop.
        guard Int(code[address].p2) > address else { return false }
        address = Int(code[address].p2)
      case .halt: return code[address].p1 == 0
      default: return false
      }
    }
    return false
  }
}
