// The aggregates `min` and `max`: the group's state owns a copy of the best value so far. `unsafe` lives here, for the
// view of the state block. Source: https://sqlite.org/lang_aggfunc.html

import ApusBase
import ApusVM

enum ExtremeFunctions {
  static let definitions: [FunctionDefinition] = [
    .aggregate(
      "min", .exactly(1), [.innocuous, .usesCollation, .isMinimum, .anyOrder],
      AggregateFunction(
        stateByteCount: MemoryLayout<BestValue>.size,
        step: { (context, state, arguments) throws(Fault) in step(&context, state, arguments, sign: 1) },
        finalize: result, value: result, destroy: destroy)),
    .aggregate(
      "max", .exactly(1), [.innocuous, .usesCollation, .isMaximum, .anyOrder],
      AggregateFunction(
        stateByteCount: MemoryLayout<BestValue>.size,
        step: { (context, state, arguments) throws(Fault) in step(&context, state, arguments, sign: -1) },
        finalize: result, value: result, destroy: destroy)),
  ]

  // All zero is a NULL whose buffer is empty.
  private struct BestValue: ~Copyable {
    var value: Value
    var bytes: ByteBuffer
  }

  @inline(__always)
  private static func step(
    _ context: inout FunctionContext, _ state: AggregateState, _ arguments: ValueRange, sign: Int
  ) {
    let candidate = arguments[0]
    let best = unsafe state.pointer(as: BestValue.self)
    let current = unsafe best.pointee.value
    context.keepsBareColumns = !current.isNull
    if candidate.isNull { return }
    if !current.isNull, ValueComparison.order(current, candidate, context.collation) &* sign <= 0 { return }
    context.keepsBareColumns = false
    if candidate.hasBytes {
      unsafe best.pointee.bytes.removeAll()
      unsafe best.pointee.bytes.append(candidate.bytes)
      unsafe best.pointee.value = candidate.relocated(to: best.pointee.bytes.bytes)
    } else {
      unsafe best.pointee.value = candidate
    }
  }

  private static func result(_ context: inout FunctionContext, _ state: AggregateState) throws(Fault) {
    let value = unsafe state.pointer(as: BestValue.self).pointee.value
    switch value.kind {
    case .text: try context.setText(value.bytes)
    case .blob: try context.setBlob(value.bytes)
    case .null, .integer, .real: context.setArgument(value)
    }
  }

  private static func destroy(_ state: AggregateState) {
    _ = unsafe state.pointer(as: BestValue.self).move()
  }
}
