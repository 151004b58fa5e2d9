// Functions on values of any type: choice, comparison, sign, rounding. Source: https://sqlite.org/lang_corefunc.html

import ApusBase
import ApusVM

enum ValueFunctions {
  private static let inline: FunctionTraits = [.deterministic, .innocuous, .isInline]

  static let definitions: [FunctionDefinition] = [
    .scalar("coalesce", .atLeast(2), inline, coalesce),
    .scalar("ifnull", .exactly(2), inline, coalesce),
    .scalar("iif", .atLeast(2), inline, choose),
    .scalar("if", .atLeast(2), inline, choose),
    .scalar("likely", .exactly(1), inline, first),
    .scalar("unlikely", .exactly(1), inline, first),
    .scalar("likelihood", .exactly(2), inline, first),
    .scalar("nullif", .exactly(2), [.deterministic, .innocuous, .usesCollation], nullIf),
    .scalar("min", .atLeast(1), [.deterministic, .innocuous, .usesCollation], minimum),
    .scalar("max", .atLeast(1), [.deterministic, .innocuous, .usesCollation], maximum),
    .scalar("typeof", .exactly(1), typeName),
    .scalar("subtype", .exactly(1), [.deterministic, .innocuous, .readsSubtype], subtype),
    .scalar("abs", .exactly(1), absolute),
    .scalar("sign", .exactly(1), sign),
    .scalar("round", .exactly(1), round),
    .scalar("round", .exactly(2), round),
    .scalar("zeroblob", .exactly(1), zeroBlob),
  ]

  // MARK: Choice

  static func coalesce(_ context: inout FunctionContext, _ arguments: ValueRange) throws(Fault) {
    for index in 0..<arguments.count where !arguments[index].isNull { return context.setArgument(arguments[index]) }
    context.setNull()
  }

  /// `iif(condition, value, condition, value, ..., otherwise)`.
  static func choose(_ context: inout FunctionContext, _ arguments: ValueRange) throws(Fault) {
    var index = 0
    while index &+ 1 < arguments.count {
      if arguments[index].truth == true { return context.setArgument(arguments[index &+ 1]) }
      index &+= 2
    }
    if index < arguments.count { context.setArgument(arguments[index]) } else { context.setNull() }
  }

  static func first(_ context: inout FunctionContext, _ arguments: ValueRange) throws(Fault) {
    context.setArgument(arguments[0])
  }

  static func nullIf(_ context: inout FunctionContext, _ arguments: ValueRange) throws(Fault) {
    let isEqual = ValueComparison.order(arguments[0], arguments[1], context.collation) == 0
    if isEqual { context.setNull() } else { context.setArgument(arguments[0]) }
  }

  static func minimum(_ context: inout FunctionContext, _ arguments: ValueRange) throws(Fault) {
    var best = arguments[0]
    if best.isNull { return context.setNull() }
    for index in 1..<max(1, arguments.count) {
      let value = arguments[index]
      if value.isNull { return context.setNull() }
      // Of equal values the last one wins, as in SQLite.
      if ValueComparison.order(best, value, context.collation) >= 0 { best = value }
    }
    context.setArgument(best)
  }

  static func maximum(_ context: inout FunctionContext, _ arguments: ValueRange) throws(Fault) {
    var best = arguments[0]
    if best.isNull { return context.setNull() }
    for index in 1..<max(1, arguments.count) {
      let value = arguments[index]
      if value.isNull { return context.setNull() }
      if ValueComparison.order(best, value, context.collation) < 0 { best = value }
    }
    context.setArgument(best)
  }

  // MARK: Type

  static func typeName(_ context: inout FunctionContext, _ arguments: ValueRange) throws(Fault) {
    switch arguments[0].kind {
    case .null: context.setText("null")
    case .integer: context.setText("integer")
    case .real: context.setText("real")
    case .text: context.setText("text")
    case .blob: context.setText("blob")
    }
  }

  static func subtype(_ context: inout FunctionContext, _ arguments: ValueRange) throws(Fault) {
    context.setInteger(Int64(arguments[0].subtype))
  }

  static func zeroBlob(_ context: inout FunctionContext, _ arguments: ValueRange) throws(Fault) {
    let count = max(0, arguments[0].asInteger)
    guard count <= context.lengthLimit else { throw context.tooBig() }
    context.output.resize(to: Int(count))
    context.output.mutableBytes.fill(0, Int(count))
    try context.setOutputBlob()
  }

  // MARK: Numbers

  static func absolute(_ context: inout FunctionContext, _ arguments: ValueRange) throws(Fault) {
    let value = arguments[0]
    switch value.kind {
    case .null: context.setNull()
    case .integer:
      guard value.integerValue != .min else { throw context.error("integer overflow") }
      context.setInteger(value.integerValue < 0 ? -value.integerValue : value.integerValue)
    case .real, .text, .blob:
      let real = value.asReal
      context.setReal(real < 0 ? -real : real)
    }
  }

  static func sign(_ context: inout FunctionContext, _ arguments: ValueRange) throws(Fault) {
    let number = arguments[0].asComparedNumber
    guard number.isNumeric else { return context.setNull() }
    let real = number.asReal
    context.setInteger(real < 0 ? -1 : (real > 0 ? 1 : 0))
  }

  static func round(_ context: inout FunctionContext, _ arguments: ValueRange) throws(Fault) {
    var digits: Int64 = 0
    if arguments.count == 2 {
      if arguments[1].isNull { return context.setNull() }
      digits = min(30, max(0, arguments[1].asInteger))
    }
    if arguments[0].isNull { return context.setNull() }
    let value = arguments[0].asReal
    // From 2^52 on a double has no fraction.
    if !(value.magnitude <= 4_503_599_627_370_496) { return context.setReal(value) }
    if digits == 0 {
      return context.setReal(Double(Int64(value + (value < 0 ? -0.5 : 0.5))))
    }
    let decimal = DecimalDigits(value, rounding: -Int(digits), digitsMax: 26)
    context.setReal(decimal.value(fractionDigitsMax: Int(digits)))
  }
}

extension DecimalDigits {
  /// The double nearest to the digits, of which at most so many behind the point count.
  func value(fractionDigitsMax: Int) -> Double {
    var magnitude: UInt64 = 0
    var used = 0
    while used < count, used &- pointPosition < fractionDigitsMax, magnitude < 1_000_000_000_000_000_000 {
      magnitude = magnitude &* 10 &+ UInt64(digits[used] &- 0x30)
      used &+= 1
    }
    let result = Double(decimal: magnitude, exponent: pointPosition &- used)
    return isNegative ? -result : result
  }
}
