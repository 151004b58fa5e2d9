// The aggregates `median`, `percentile`, `percentile_cont` and `percentile_disc`: the group's state owns all its numbers.
// `unsafe` lives here, for the view of the state block and for sorting the numbers in place.
// Source: https://sqlite.org/percentile.html

import ApusBase
import ApusVM

enum PercentileFunctions {
  static let definitions: [FunctionDefinition] = [
    .aggregate(
      "median", .exactly(1), [],
      function(
        step: { (c, s, a) throws(Fault) in try step(&c, s, a, .median) },
        inverse: { (c, s, a) throws(Fault) in remove(s, a) }, continuous)),
    .aggregate(
      "percentile", .exactly(2), [],
      function(
        step: { (c, s, a) throws(Fault) in try step(&c, s, a, .percentile) },
        inverse: { (c, s, a) throws(Fault) in remove(s, a) }, continuous)),
    .aggregate(
      "percentile_cont", .exactly(2), [],
      function(
        step: { (c, s, a) throws(Fault) in try step(&c, s, a, .continuous) },
        inverse: { (c, s, a) throws(Fault) in remove(s, a) }, continuous)),
    .aggregate(
      "percentile_disc", .exactly(2), [],
      function(
        step: { (c, s, a) throws(Fault) in try step(&c, s, a, .discrete) },
        inverse: { (c, s, a) throws(Fault) in remove(s, a) }, discrete)),
  ]

  private static func function(
    step: @escaping AggregateFunction.Step, inverse: @escaping AggregateFunction.Step,
    _ result: @escaping AggregateFunction.Result
  ) -> AggregateFunction {
    AggregateFunction(
      stateByteCount: MemoryLayout<Sample>.size, step: step, finalize: result, value: result, inverse: inverse,
      destroy: { state in _ = unsafe state.pointer(as: Sample.self).move() })
  }

  private enum Kind: String { case median, percentile, continuous = "percentile_cont", discrete = "percentile_disc" }

  // All zero is the empty sample.
  @safe
  private struct Sample: ~Copyable {
    /// The numbers, eight bytes each.
    var numbers: ByteBuffer
    var fraction: Double
    var hasFraction: Bool
    var isSorted: Bool

    var count: Int { numbers.count / 8 }

    var pointer: UnsafeMutableBufferPointer<Double> {
      mutating get {
        unsafe UnsafeMutableBufferPointer(
          start: numbers.mutableBytes.unsafeBase.assumingMemoryBound(to: Double.self), count: numbers.count / 8)
      }
    }

    subscript(index: Int) -> Double {
      mutating get {
        precondition(index >= 0 && index < count)
        return unsafe pointer[index]
      }
    }

    /// The first place whose number is not below `number`; the sample is sorted.
    mutating func place(of number: Double) -> Int {
      var low = 0
      var high = count
      while low < high {
        let middle = (low &+ high) / 2
        if self[middle] < number { low = middle &+ 1 } else { high = middle }
      }
      return low
    }

    mutating func sort() {
      if isSorted { return }
      var numbers = unsafe pointer
      unsafe numbers.sort()
      isSorted = true
    }

    mutating func add(_ number: Double) {
      let index = isSorted ? place(of: number) : count
      let old = numbers.count
      numbers.resize(to: old &+ 8)
      numbers.mutableBytes.move(from: index &* 8, to: index &* 8 &+ 8, length: old &- index &* 8)
      unsafe pointer[index] = number
    }

    mutating func remove(_ number: Double) {
      sort()
      let index = place(of: number)
      guard index < count, self[index] == number else { return }
      let rest = numbers.count &- index &* 8 &- 8
      numbers.mutableBytes.move(from: index &* 8 &+ 8, to: index &* 8, length: rest)
      numbers.resize(to: numbers.count &- 8)
    }
  }

  private static func step(
    _ context: inout FunctionContext, _ state: AggregateState, _ arguments: ValueRange, _ kind: Kind
  ) throws(Fault) {
    let sample = unsafe state.pointer(as: Sample.self)
    var fraction = 0.5
    if kind != .median {
      let number = arguments[1].asComparedNumber
      fraction = number.asReal / (kind == .percentile ? 100 : 1)
      guard number.isNumeric, fraction >= 0, fraction <= 1 else {
        let limit = kind == .percentile ? "100.0" : "1.0"
        throw context.error("the fraction argument to \(kind.rawValue)() is not between 0.0 and \(limit)")
      }
    }
    if unsafe !sample.pointee.hasFraction {
      unsafe sample.pointee.hasFraction = true
      unsafe sample.pointee.fraction = fraction
    } else if unsafe (sample.pointee.fraction - fraction).magnitude > 0.001 {
      throw context.error("the fraction argument to \(kind.rawValue)() is not the same for all input rows")
    }
    let value = arguments[0]
    if value.isNull { return }
    guard value.isNumeric else { throw context.error("input to \(kind.rawValue)() is not numeric") }
    guard value.asReal.isFinite else { throw context.error("Inf input to \(kind.rawValue)()") }
    unsafe try context.checkLength(sample.pointee.numbers.count)
    unsafe sample.pointee.add(value.asReal)
  }

  private static func remove(_ state: AggregateState, _ arguments: ValueRange) {
    guard arguments[0].isNumeric else { return }
    unsafe state.pointer(as: Sample.self).pointee.remove(arguments[0].asReal)
  }

  // Between two numbers of the sample, in proportion.
  private static func continuous(_ context: inout FunctionContext, _ state: AggregateState) throws(Fault) {
    let sample = unsafe state.pointer(as: Sample.self)
    let count = unsafe sample.pointee.count
    if count == 0 { return context.setNull() }
    unsafe sample.pointee.sort()
    let place = unsafe sample.pointee.fraction * Double(count - 1)
    let index = Int(place)
    let low = unsafe sample.pointee[index]
    if place == Double(index) || index == count - 1 { return context.setReal(low) }
    let high = unsafe sample.pointee[index + 1]
    context.setReal(low + (high - low) * (place - Double(index)))
  }

  private static func discrete(_ context: inout FunctionContext, _ state: AggregateState) throws(Fault) {
    let sample = unsafe state.pointer(as: Sample.self)
    let count = unsafe sample.pointee.count
    if count == 0 { return context.setNull() }
    unsafe sample.pointee.sort()
    let index = unsafe Int(sample.pointee.fraction * Double(count - 1))
    unsafe context.setReal(sample.pointee[index])
  }
}
