// The rows of EXPLAIN and EXPLAIN QUERY PLAN.

import ApusBase
import ApusStorage

/// One row of EXPLAIN: addr, opcode, p1, p2, p3, p4, p5, comment.
public struct DisassembledInstruction: Sendable {
  public var address: Int
  public var opcode: String
  public var p1: Int32
  public var p2: Int32
  public var p3: Int32
  public var p4: String
  public var p5: UInt16
  public var comment: String
}

extension Program {
  public static let explainColumns = ["addr", "opcode", "p1", "p2", "p3", "p4", "p5", "comment"]
  public static let planColumns = ["id", "parent", "notused", "detail"]

  public func disassemble(_ address: Int) -> DisassembledInstruction {
    let instruction = instruction(address)
    return DisassembledInstruction(
      address: address, opcode: instruction.opcode.displayName, p1: instruction.p1, p2: instruction.p2,
      p3: instruction.p3, p4: operandText(instruction), p5: instruction.p5, comment: comments[address] ?? "")
  }

  /// The whole program as text, for tests and debugging.
  public var listing: String {
    (0..<instructionCount).map { address in
      let row = disassemble(address)
      return "\(address)\t\(row.opcode)\t\(row.p1)\t\(row.p2)\t\(row.p3)\t\(row.p4)\t\(row.p5)\t\(row.comment)"
    }.joined(separator: "\n")
  }

  private func operandText(_ instruction: Instruction) -> String {
    let index = Int(instruction.p4)
    let kind = instruction.opcode.p4Kind
    if kind == .number { return "\(instruction.p4)" }
    if index < 0 { return kind == .collation ? "BINARY-8" : "" }
    switch kind {
    case .none, .number: return ""
    case .constant:
      let value = constant(index)
      switch value.kind {
      case .null: return "NULL"
      case .integer: return "\(value.integerValue)"
      case .real: return "\(value.realValue)"
      case .text: return value.bytes.string
      case .blob: return "(blob of \(value.bytes.count))"
      }
    case .keyDescription:
      let columns = keyDescriptions[index].columns
      let parts = columns.map { column in
        var part = column.isDescending ? "-" : ""
        if column.isNullsLast { part += "N." }
        if case .binary = column.collation { return part + "B" }
        return part + column.collation.name
      }
      return "k(\(columns.count),\(parts.joined(separator: ",")))"
    case .function:
      let name = functions[index].definition.name
      return instruction.p5 > 0 ? "\(name)(\(instruction.p5))" : name
    case .collation: return "\(collations[index].name)-8"
    case .affinity: return String(decoding: affinityStrings[index].map(\.rawValue), as: UTF8.self)
    case .message: return messages[index]
    case .table: return tables[index].name
    case .integers: return "[\(integerLists[index].map(String.init).joined(separator: ","))]"
    }
  }
}
