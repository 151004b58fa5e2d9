// The rows of EXPLAIN and EXPLAIN QUERY PLAN.

import ApusBase
import ApusVM

struct ProgramListing {
  enum Field {
    case null
    case integer(Int64)
    case text(ByteBox)
  }

  /// Text at an address that stays.
  final class ByteBox {
    private var buffer = ByteBuffer()
    init(_ text: String) { buffer.append(contentsOf: text) }
    var value: Value { .text(buffer.bytes) }
  }

  let columns: [ResultColumn]
  private let rows: [[Field]]
  private var next = 0

  init(_ program: Program) {
    func text(_ string: String) -> Field { .text(ByteBox(string)) }
    if program.explainMode == 1 {
      columns = Program.explainColumns.map { ResultColumn(name: $0) }
      rows = (0..<program.instructionCount).map { address in
        let row = program.disassemble(address)
        return [
          .integer(Int64(row.address)), text(row.opcode), .integer(Int64(row.p1)), .integer(Int64(row.p2)),
          .integer(Int64(row.p3)), row.p4.isEmpty ? .null : text(row.p4), .integer(Int64(row.p5)),
          row.comment.isEmpty ? .null : text(row.comment),
        ]
      }
    } else {
      columns = Program.planColumns.map { ResultColumn(name: $0) }
      rows = program.planRows.map { row in
        [.integer(Int64(row.id)), .integer(Int64(row.parent)), .integer(0), text(row.detail)]
      }
    }
  }

  /// - Returns: false behind the last row; the next call starts over.
  mutating func advance() -> Bool {
    if next < rows.count {
      next += 1
      return true
    }
    next = 0
    return false
  }

  mutating func rewind() { next = 0 }

  func column(_ index: Int) -> Value {
    guard next >= 1, index >= 0, index < columns.count else { return .null }
    switch rows[next - 1][index] {
    case .null: return .null
    case .integer(let value): return .integer(value)
    case .text(let box): return box.value
    }
  }
}
