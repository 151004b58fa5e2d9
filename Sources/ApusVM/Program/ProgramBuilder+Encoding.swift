// Programs of UTF-16 databases. They are compiled as any other, for UTF-8; then
//
//   - what is read from a record is converted (`ColumnFlags.decodesText`), what goes into one or is searched for is converted by
//     the machine (`MachineCore.key`);
//   - keys of b-trees and sorters, which compare stored text, keep BINARY and get the other collations converted;
//   - comparisons of registers get BINARY's order in that encoding, which is the order of its bytes.

import ApusBase
import ApusStorage

extension ProgramBuilder {
  func storeTextEncoded() {
    let order = Collation.custom(EncodedOrder(textEncoding))
    collations.append(order)
    let orderIndex = Int32(collations.count - 1)
    var stored: [Int32: Int32] = [:]
    var compared: [Int32: Int32] = [:]
    for address in 0..<instructions.count {
      var instruction = instructions[address]
      switch instruction.opcode {
      case .column:
        instruction.p5 &= ~ColumnFlags.borrowed.rawValue
        instruction.p5 |= ColumnFlags.decodesText.rawValue
      case .lt, .le, .gt, .ge: if instruction.p4 < 0 { instruction.p4 = orderIndex }
      case .openRead, .openWrite, .openEphemeral, .openAutoindex, .sorterOpen:
        guard instruction.p4 >= 0 else { continue }
        instruction.p4 = variant(of: instruction.p4, in: &stored) { collation in
          if case .binary = collation { return collation }
          return .custom(StoredTextCollation(collation, textEncoding))
        }
      case .compare:
        guard instruction.p4 >= 0 else { continue }
        instruction.p4 = variant(of: instruction.p4, in: &compared) { collation in
          if case .binary = collation { return order }
          return collation
        }
      default: continue
      }
      instructions[address] = instruction
    }
    for index in functions.indices {
      if case .binary = functions[index].collation { functions[index].collation = order }
    }
  }

  /// The key with other collations, the same one for the same key.
  private func variant(
    of key: Int32, in known: inout [Int32: Int32], _ convert: (Collation) -> Collation
  ) -> Int32 {
    if let index = known[key] { return index }
    let original = keyDescriptions[Int(key)]
    var columns = original.columns
    for index in columns.indices { columns[index].collation = convert(columns[index].collation) }
    keyDescriptions.append(KeyDescription(columns, uniqueCount: original.uniqueCount))
    let index = Int32(keyDescriptions.count - 1)
    known[key] = index
    return index
  }
}
