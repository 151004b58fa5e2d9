// The program's scan loops at work: for each the steps that its cursor takes. `unsafe` lives here: they lie in memory that
// the table owns, so that a loop reaches them by one load.

import ApusBase
import ApusStorage

@safe
struct ScanTable {
  private let steps: UnsafeMutablePointer<ScanSteps>
  private let count: Int

  init(_ loops: [ScanLoop]) {
    count = loops.count
    unsafe steps = UnsafeMutablePointer<ScanSteps>.allocate(capacity: max(count, 1))
    for (index, loop) in loops.enumerated() {
      unsafe (steps + index).initialize(
        to: ScanSteps(loop.steps.map { unsafe ScanTable.step($0) }, isWhole: loop.isWhole))
    }
  }

  func destroy() {
    unsafe steps.deinitialize(count: count)
    unsafe steps.deallocate()
  }

  @inline(__always)
  subscript(loop: Int32) -> ScanSteps {
    _read {
      precondition(loop >= 0 && Int(loop) < count)
      yield unsafe steps[Int(loop)]
    }
    nonmutating _modify {
      precondition(loop >= 0 && Int(loop) < count)
      yield unsafe &steps[Int(loop)]
    }
  }

  @unsafe
  private static func step(_ step: ScanLoop.Step) -> ScanStep {
    let action: ScanStep.Action = switch step.opcode {
    case .isNull: .rejectNull
    case .notNull: .rejectNotNull
    case .aggStepCount: .count
    case .aggStepSum: .sum
    default: .compare
    }
    return unsafe ScanStep(
      action, column: step.column, register: step.register, orders: step.orders, rejectsNull: step.rejectsNull, isReal: step.isReal,
      comparesBytes: step.comparesBytes)
  }

  /// Gives the steps what the registers hold.
  /// - Returns: false where an aggregate has not begun: the loop itself does that.
  func prepare(_ loop: Int32, _ registers: RegisterFile) -> Bool {
    precondition(loop >= 0 && Int(loop) < count)
    let loop = unsafe steps + Int(loop)
    for index in 0..<(unsafe loop.pointee.count) {
      let value = unsafe registers[loop.pointee.register(index)]
      switch unsafe loop.pointee.action(index) {
      case .rejectNull, .rejectNotNull: break
      case .compare: unsafe loop.pointee.set(index, operand: value)
      case .count, .sum:
        guard value.flags & RegisterFlag.handle != 0,
          let target = unsafe UnsafeMutableRawPointer(bitPattern: Int(value.integerValue))
        else { return false }
        unsafe loop.pointee.set(index, target: target)
      }
    }
    return true
  }

  /// A new run: whether a loop's steps pay is found out again.
  func clear() {
    for loop in 0..<count { unsafe steps[loop].forgetFigures() }
  }
}
