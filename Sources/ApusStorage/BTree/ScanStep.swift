// What a scan does with each row before anybody else looks at it: it tells the rows that a condition rules out, and counts
// and sums. The virtual machine finds such steps in its loops (see ApusVM/Program/ScanLoop.swift); the cursor takes
// them, row after row, without being called for each.
//
// `unsafe` lives here: the steps lie in memory that their list owns.

import ApusBase

/// One step: trivial bytes.
@unsafe
public struct ScanStep {
  public enum Action: UInt8, Sendable {
    /// Rules the row out where the column's order relative to `operand` is one of `orders`.
    case compare
    case rejectNull
    case rejectNotNull
    /// Adds one to the `Int64` at `target`.
    case count
    /// Adds the column to the `QuickSum` at `target`.
    case sum
  }

  public var action: Action
  /// Of a comparison: 1 less, 2 equal, 4 greater.
  public var orders: UInt8
  /// Of a comparison: NULL on either side rules the row out.
  public var rejectsNull: Bool
  /// Integers of the column are read as reals.
  public var isReal: Bool
  /// Texts may be compared byte by byte.
  public var comparesBytes: Bool
  public var column: Int32
  /// The caller's: where the operand or the target comes from.
  public let register: Int32
  public var operand: Value
  public var target: UnsafeMutableRawPointer?

  public init(
    _ action: Action, column: Int32, register: Int32, orders: UInt8 = 0, rejectsNull: Bool = false, isReal: Bool = false,
    comparesBytes: Bool = false
  ) {
    unsafe self.action = action
    unsafe self.column = column
    unsafe self.register = register
    unsafe self.orders = orders
    unsafe self.rejectsNull = rejectsNull
    unsafe self.isReal = isReal
    unsafe self.comparesBytes = comparesBytes
    unsafe operand = .null
    unsafe target = nil
  }
}

/// Steps in the order in which they are taken, and whether they are all that is done with a row.
@safe
public struct ScanSteps: ~Copyable {
  let base: UnsafeMutablePointer<ScanStep>
  public let count: Int
  /// A row that passes all steps is done with, too. Otherwise the scan stops on it.
  public let isWhole: Bool
  /// Rows that were worked off, and how often the cursor was asked to: whether it pays.
  public internal(set) var rowCount = 0
  public internal(set) var callCount = 0

  /// Columns of higher numbers are nobody's business here.
  public static let columnMax: Int32 = 100

  public init(_ steps: [ScanStep], isWhole: Bool) {
    precondition(unsafe steps.allSatisfy { unsafe $0.column >= 0 && $0.column <= ScanSteps.columnMax })
    count = unsafe steps.count
    self.isWhole = isWhole
    unsafe base = UnsafeMutablePointer<ScanStep>.allocate(capacity: max(count, 1))
    for index in 0..<count { unsafe (base + index).initialize(to: steps[index]) }
  }

  deinit { unsafe base.deallocate() }

  @inline(__always)
  public func action(_ index: Int) -> ScanStep.Action {
    precondition(index >= 0 && index < count)
    return unsafe base[index].action
  }

  @inline(__always)
  public func register(_ index: Int) -> Int32 {
    precondition(index >= 0 && index < count)
    return unsafe base[index].register
  }

  @inline(__always)
  public mutating func set(_ index: Int, operand: Value) {
    precondition(index >= 0 && index < count)
    unsafe base[index].operand = operand
  }

  /// - Precondition: `target` is what the step's action says, and stays until the scan returns.
  @unsafe
  @inline(__always)
  public mutating func set(_ index: Int, target: UnsafeMutableRawPointer) {
    precondition(index >= 0 && index < count)
    unsafe base[index].target = target
  }

  public mutating func forgetFigures() {
    rowCount = 0
    callCount = 0
  }

  /// True where most calls find that the first row wants more than the steps.
  @inline(__always)
  public var isFutile: Bool { callCount >= 256 && rowCount < callCount }
}
