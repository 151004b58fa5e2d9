// The aggregates whose state is a few numbers: count, sum, avg, total. Source: https://sqlite.org/lang_aggfunc.html
//
// Doubles are added with a running compensation of the rounding error (A. Neumaier, 1974), so that the order of rows
// hardly shows. A sum of integers stays exact; if it overflows, `sum` fails and the others go on with doubles.

import ApusBase
import ApusVM

enum SumFunctions {
  static let definitions: [FunctionDefinition] = [
    .aggregate("count", .exactly(0), [.innocuous, .isCount, .anyOrder], countAll),
    .aggregate("count", .exactly(1), [.innocuous, .isCount, .anyOrder], count),
    .aggregate("sum", .exactly(1), [.innocuous], summing(sumResult)),
    .aggregate("total", .exactly(1), [.innocuous], summing(totalResult)),
    .aggregate("avg", .exactly(1), [.innocuous], summing(averageResult)),
  ]

  // MARK: count

  private static let countAll = AggregateFunction(
    stateByteCount: 8,
    step: { (_, state, _) throws(Fault) in state.update(Int64.self) { $0 &+= 1 } },
    finalize: countResult, value: countResult,
    inverse: { (_, state, _) throws(Fault) in state.store(state.load(as: Int64.self) &- 1) }, quickStep: .countRows)

  private static let count = AggregateFunction(
    stateByteCount: 8,
    step: { (_, state, arguments) throws(Fault) in
      if !arguments[0].isNull { state.update(Int64.self) { $0 &+= 1 } }
    },
    finalize: countResult, value: countResult,
    inverse: { (_, state, arguments) throws(Fault) in
      if !arguments[0].isNull { state.store(state.load(as: Int64.self) &- 1) }
    })

  private static func countResult(_ context: inout FunctionContext, _ state: AggregateState) throws(Fault) {
    context.setInteger(state.load(as: Int64.self))
  }

  // MARK: sum, total, avg

  private static func summing(_ result: @escaping AggregateFunction.Result) -> AggregateFunction {
    AggregateFunction(
      stateByteCount: MemoryLayout<RunningSum>.size,
      step: { (_, state, arguments) throws(Fault) in
        let value = arguments[0]
        state.update(RunningSum.self) { $0.addFast(value) }
      },
      finalize: result, value: result,
      inverse: { (_, state, arguments) throws(Fault) in
        let number = arguments[0].asSummand
        if !number.isNull { state.update(RunningSum.self) { $0.remove(number) } }
      }, quickStep: .sumNumbers)
  }

  private static func sumResult(_ context: inout FunctionContext, _ state: AggregateState) throws(Fault) {
    let sum = state.load(as: RunningSum.self)
    if sum.count <= 0 { return context.setNull() }
    if !sum.isApproximate { return context.setInteger(sum.exact) }
    if sum.hasOverflowed { throw context.error("integer overflow") }
    context.setReal(sum.real)
  }

  private static func totalResult(_ context: inout FunctionContext, _ state: AggregateState) throws(Fault) {
    context.setReal(state.load(as: RunningSum.self).real)
  }

  private static func averageResult(_ context: inout FunctionContext, _ state: AggregateState) throws(Fault) {
    let sum = state.load(as: RunningSum.self)
    if sum.count <= 0 { return context.setNull() }
    context.setReal(sum.real / Double(sum.count))
  }
}

extension Value {
  /// What `sum` adds: text that is wholly a number as that number, other text and blobs as the number at their front.
  @inline(__always)
  fileprivate var asSummand: Value {
    if !hasBytes { return self }
    let number = asComparedNumber
    return number.isNumeric ? number : .real(number.asReal)
  }
}

/// The sum as the functions see it; the machine adds most numbers by itself.
typealias RunningSum = QuickSum

extension QuickSum {
  var real: Double {
    if !isApproximate { return Double(exact) }
    return compensation.isFinite ? high + compensation : high
  }

  @inline(__always)
  mutating func addFast(_ value: Value) {
    if value.kind == .integer {
      if add(value.integerValue) { return }
    } else if value.kind == .real {
      if add(value.realValue) { return }
    }
    addSlowly(value)
  }

  @inline(never)
  private mutating func addSlowly(_ value: Value) {
    let number = value.asSummand
    if !number.isNull { add(number) }
  }

  private mutating func add(_ number: Value) {
    count &+= 1
    if number.kind == .integer {
      let integer = number.integerValue
      if isApproximate { return addApproximately(integer) }
      let (sum, overflow) = exact.addingReportingOverflow(integer)
      if !overflow {
        exact = sum
      } else {
        hasOverflowed = true
        becomeApproximate()
        addApproximately(integer)
      }
    } else {
      if isApproximate { hasOverflowed = false } else { becomeApproximate() }
      addApproximately(number.realValue)
    }
  }

  mutating func remove(_ number: Value) {
    count &-= 1
    if !isApproximate {
      let (difference, overflow) = exact.subtractingReportingOverflow(number.asInteger)
      if !overflow {
        exact = difference
        return
      }
      hasOverflowed = true
      becomeApproximate()
    }
    if number.kind == .integer {
      if number.integerValue == .min {
        addApproximately(Int64.max)
        addApproximately(1 as Int64)
      } else {
        addApproximately(-number.integerValue)
      }
    } else {
      addApproximately(-number.realValue)
    }
  }

  private mutating func becomeApproximate() {
    isApproximate = true
    high = 0
    compensation = 0
    let (large, small) = QuickSum.split(exact)
    high = large
    compensation = small
  }

  // An integer beyond 2^52 in two parts that are exact doubles.
  private static func split(_ integer: Int64) -> (large: Double, small: Double) {
    if integer > -4_503_599_627_370_496, integer < 4_503_599_627_370_496 { return (Double(integer), 0) }
    let small = integer % 16384
    return (Double(integer - small), Double(small))
  }

  private mutating func addApproximately(_ integer: Int64) {
    let (large, small) = QuickSum.split(integer)
    addApproximately(large)
    if small != 0 { addApproximately(small) }
  }
}
