// Mathematics on doubles: NULL for what is no number and for results that do not exist.
// Source: https://sqlite.org/lang_mathfunc.html

import ApusBase
import ApusVM

enum MathFunctions {
  static let definitions: [FunctionDefinition] = [
    .scalar("acos", .exactly(1), { (c, a) throws(Fault) in apply(&c, a, MathLibrary.acos) }),
    .scalar("acosh", .exactly(1), { (c, a) throws(Fault) in apply(&c, a, MathLibrary.acosh) }),
    .scalar("asin", .exactly(1), { (c, a) throws(Fault) in apply(&c, a, MathLibrary.asin) }),
    .scalar("asinh", .exactly(1), { (c, a) throws(Fault) in apply(&c, a, MathLibrary.asinh) }),
    .scalar("atan", .exactly(1), { (c, a) throws(Fault) in apply(&c, a, MathLibrary.atan) }),
    .scalar("atan2", .exactly(2), { (c, a) throws(Fault) in apply(&c, a, MathLibrary.atan2) }),
    .scalar("atanh", .exactly(1), { (c, a) throws(Fault) in apply(&c, a, MathLibrary.atanh) }),
    .scalar("ceil", .exactly(1), { (c, a) throws(Fault) in roundTowards(&c, a, .up) }),
    .scalar("ceiling", .exactly(1), { (c, a) throws(Fault) in roundTowards(&c, a, .up) }),
    .scalar("cos", .exactly(1), { (c, a) throws(Fault) in apply(&c, a, MathLibrary.cos) }),
    .scalar("cosh", .exactly(1), { (c, a) throws(Fault) in apply(&c, a, MathLibrary.cosh) }),
    .scalar("degrees", .exactly(1), { (c, a) throws(Fault) in apply(&c, a) { $0 * (180.0 / Double.sqlPi) } }),
    .scalar("exp", .exactly(1), { (c, a) throws(Fault) in apply(&c, a, MathLibrary.exp) }),
    .scalar("floor", .exactly(1), { (c, a) throws(Fault) in roundTowards(&c, a, .down) }),
    .scalar("ln", .exactly(1), { (c, a) throws(Fault) in logarithm(&c, a, MathLibrary.log) }),
    .scalar("log", .exactly(1), { (c, a) throws(Fault) in logarithm(&c, a, MathLibrary.log10) }),
    .scalar("log", .exactly(2), logarithmToBase),
    .scalar("log10", .exactly(1), { (c, a) throws(Fault) in logarithm(&c, a, MathLibrary.log10) }),
    .scalar("log2", .exactly(1), { (c, a) throws(Fault) in logarithm(&c, a, MathLibrary.log2) }),
    .scalar("mod", .exactly(2), { (c, a) throws(Fault) in apply(&c, a, MathLibrary.remainder) }),
    .scalar("pi", .exactly(0), { (c, a) throws(Fault) in c.setReal(Double.sqlPi) }),
    .scalar("pow", .exactly(2), { (c, a) throws(Fault) in apply(&c, a, MathLibrary.pow) }),
    .scalar("power", .exactly(2), { (c, a) throws(Fault) in apply(&c, a, MathLibrary.pow) }),
    .scalar("radians", .exactly(1), { (c, a) throws(Fault) in apply(&c, a) { $0 * (Double.sqlPi / 180.0) } }),
    .scalar("sin", .exactly(1), { (c, a) throws(Fault) in apply(&c, a, MathLibrary.sin) }),
    .scalar("sinh", .exactly(1), { (c, a) throws(Fault) in apply(&c, a, MathLibrary.sinh) }),
    .scalar("sqrt", .exactly(1), { (c, a) throws(Fault) in apply(&c, a) { $0.squareRoot() } }),
    .scalar("tan", .exactly(1), { (c, a) throws(Fault) in apply(&c, a, MathLibrary.tan) }),
    .scalar("tanh", .exactly(1), { (c, a) throws(Fault) in apply(&c, a, MathLibrary.tanh) }),
    .scalar("trunc", .exactly(1), { (c, a) throws(Fault) in roundTowards(&c, a, .towardZero) }),
  ]

  // Text counts where it is wholly a number.
  @inline(__always)
  private static func number(_ value: Value) -> Double? {
    let number = value.asComparedNumber
    return number.isNumeric ? number.asReal : nil
  }

  @inline(__always)
  private static func apply(_ context: inout FunctionContext, _ arguments: ValueRange, _ body: (Double) -> Double) {
    guard let x = number(arguments[0]) else { return context.setNull() }
    context.setReal(body(x))
  }

  @inline(__always)
  private static func apply(
    _ context: inout FunctionContext, _ arguments: ValueRange, _ body: (Double, Double) -> Double
  ) {
    guard let x = number(arguments[0]), let y = number(arguments[1]) else { return context.setNull() }
    context.setReal(body(x, y))
  }

  // Integers stay integers.
  private static func roundTowards(
    _ context: inout FunctionContext, _ arguments: ValueRange, _ rule: FloatingPointRoundingRule
  ) {
    let number = arguments[0].asComparedNumber
    switch number.kind {
    case .integer: context.setInteger(number.integerValue)
    case .real: context.setReal(number.realValue.rounded(rule))
    case .null, .text, .blob: context.setNull()
    }
  }

  private static func logarithm(
    _ context: inout FunctionContext, _ arguments: ValueRange, _ body: (Double) -> Double
  ) {
    guard let x = number(arguments[0]), x > 0 else { return context.setNull() }
    context.setReal(body(x))
  }

  /// `log(base, x)`. Of `x` the front that is a number counts, as nowhere else here.
  private static func logarithmToBase(_ context: inout FunctionContext, _ arguments: ValueRange) throws(Fault) {
    guard let base = number(arguments[0]), base > 0 else { return context.setNull() }
    let divisor = MathLibrary.log(base)
    let x = arguments[1].asReal
    guard divisor > 0, x > 0 else { return context.setNull() }
    context.setReal(MathLibrary.log(x) / divisor)
  }
}

extension Double {
  static let sqlPi = 3.14159265358979323846
}
