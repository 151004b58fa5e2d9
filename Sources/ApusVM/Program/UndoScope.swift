// Tells the programs that need no undo scope. An instruction happens wholly or not at all, so a program that changes its
// database by one instruction, once, and then ends, leaves nothing half done: the usual INSERT into a table without indexes.
// Without the scope, pages that the transaction has changed already are changed in place.

enum UndoScope {
  /// True where the only change is the insertion of a new row, which no loop repeats, and only the end follows it.
  static func isSingleInsert(_ code: TrivialList<Instruction>) -> Bool {
    var place = -1
    for address in 0..<code.count {
      let instruction = code[address]
      switch instruction.opcode {
      case .insert:
        let flags = ChangeFlags(rawValue: instruction.p5)
        guard place < 0, flags.contains(.setsLastRowid), !flags.contains(.isUpdate) else { return false }
        place = address
      case .delete, .idxInsert, .idxDelete, .createBtree, .destroy, .clear, .setCookie, .setting, .schemaChanged,
        .journalMode, .openEphemeral, .openAutoindex, .savepoint, .autoCommit, .resetCount:
        return false
      default: break
      }
    }
    guard place >= 0 else { return false }
    // A row that is overwritten may have overflow pages, which are freed one after the other.
    let cursor = code[place].p1
    let isNew = (0..<code.count).contains { address in
      let instruction = code[address]
      return (instruction.opcode == .newRowid || instruction.opcode == .notExists) && instruction.p1 == cursor
    }
    return isNew && onlyEnds(after: place, code)
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
