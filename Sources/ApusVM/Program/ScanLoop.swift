// Finds the loops whose rows a cursor can work off by itself, wholly or until one passes the loop's first conditions:
//
//   top:  column c, k -> r          (also several)
//         eq, ne, lt, le, gt, ge    r against a register that the loop's front does not write; jumps to `next`
//         isNull, notNull           r; jumps to `next`
//         aggStepCount, aggStepSum  of such a column
//         ...                       anything else ends the front
//   next: next c -> top             becomes `nextScan`
//
// Nothing is moved: a row that the cursor leaves alone runs through the loop as it is written.

import ApusBase
import ApusStorage

/// A loop's front as the cursor is to take it.
struct ScanLoop {
  struct Step {
    var opcode: Opcode
    var column: Int32
    /// The register that the column is compared with, or the accumulator.
    var register: Int32
    var orders: UInt8 = 0
    var rejectsNull = false
    var isReal = false
    var comparesBytes = false
  }

  var steps: [Step] = []
  /// The steps are the whole loop.
  var isWhole = false

  /// Replaces the `next` of each such loop.
  static func replaceLoops(in code: TrivialList<Instruction>) -> [ScanLoop] {
    var loops: [ScanLoop] = []
    for address in 0..<code.count where code[address].opcode == .next {
      guard let loop = front(of: address, code) else { continue }
      var instruction = code[address]
      instruction.opcode = .nextScan
      instruction.p4 = Int32(loops.count)
      code[address] = instruction
      loops.append(loop)
    }
    return loops
  }

  private static let stepMax = 16

  private static func front(of next: Int, _ code: TrivialList<Instruction>) -> ScanLoop? {
    let cursor = code[next].p1
    var loop = ScanLoop()
    // The registers that the front has written, and the column that each holds.
    var columns: [(register: Int32, instruction: Instruction)] = []
    var lastCondition = 0
    var address = Int(code[next].p2)
    front: while address < next, loop.steps.count < stepMax {
      let i = code[address]
      switch i.opcode {
      case .column:
        let unusual = i.p5 & ~(ColumnFlags.borrowed.rawValue | ColumnFlags.realAffinity.rawValue)
        guard i.p1 == cursor, i.p2 <= ScanSteps.columnMax, unusual == 0 else { break front }
        columns.removeAll { $0.register == i.p3 }
        columns.append((i.p3, i))
      case .eq, .ne, .lt, .le, .gt, .ge:
        guard Int(i.p2) == next, let step = comparison(i, columns) else { break front }
        loop.steps.append(step)
        lastCondition = loop.steps.count
      case .isNull, .notNull:
        guard Int(i.p2) == next, let column = columns.first(where: { $0.register == i.p1 })?.instruction else {
          break front
        }
        loop.steps.append(Step(opcode: i.opcode, column: column.p2, register: 0))
        lastCondition = loop.steps.count
      case .aggStepCount:
        guard i.p1 == 0 else { break front }
        loop.steps.append(Step(opcode: i.opcode, column: 0, register: i.p3))
      case .aggStepSum:
        guard i.p1 == 0, let column = columns.first(where: { $0.register == i.p2 })?.instruction else { break front }
        loop.steps.append(
          Step(
            opcode: i.opcode, column: column.p2, register: i.p3,
            isReal: column.p5 & ColumnFlags.realAffinity.rawValue != 0))
      default: break front
      }
      address += 1
    }
    loop.isWhole = address == next
    if !loop.isWhole {
      // An aggregate belongs to the rest of the loop, which runs as a whole.
      let front = loop.steps.prefix(lastCondition).prefix { !$0.opcode.isStep }
      loop.steps = Array(front)
    }
    return loop.steps.isEmpty ? nil : loop
  }

  private static func comparison(
    _ i: Instruction, _ columns: [(register: Int32, instruction: Instruction)]
  ) -> Step? {
    let flags = ComparisonFlags(rawValue: i.p5)
    if flags.contains(.storeResult) || flags.contains(.nullEqual) { return nil }
    let left = columns.first { $0.register == i.p3 }?.instruction
    let right = columns.first { $0.register == i.p1 }?.instruction
    guard (left == nil) != (right == nil), let column = left ?? right else { return nil }
    var step = Step(opcode: i.opcode, column: column.p2, register: left == nil ? i.p3 : i.p1)
    let orders: UInt8 = switch i.opcode {
    case .eq: 2
    case .ne: 5
    case .lt: 1
    case .le: 3
    case .gt: 4
    default: 6
    }
    // What the instruction says of left and right is turned round where the column stands right.
    step.orders = left != nil ? orders : (orders & 2) | (orders & 1) << 2 | (orders & 4) >> 2
    step.rejectsNull = flags.contains(.jumpIfNull)
    step.isReal = column.p5 & ColumnFlags.realAffinity.rawValue != 0
    // Without a collation, and where no text is made a number first.
    step.comparesBytes = i.p4 < 0 && !flags.affinity.isNumeric
    return step
  }
}

extension Opcode {
  fileprivate var isStep: Bool { self == .aggStepCount || self == .aggStepSum }
}
