// A double as a decimal number that reads back as the same double: what `.dump` and the quoting modes print.
//
// It is what the sqlite3 of today's distributions (3.40) prints for "%!.20g", digit for digit, so that dumps can be compared
// as text: the digits are taken one by one from an extended-precision number, so beyond the seventeenth they show that
// number's own error. Where the processor has no 80-bit floats, double's shortest form stands in.

enum RealText {
  /// As INSERT statements have it: a whole number that fits into 64 bits is written as one.
  static func forInsert(_ value: Double) -> String {
    if let whole = Int64(exactly: value) { return "\(whole).0" }
    return exact(value)
  }

  static func exact(_ value: Double) -> String {
    if value.isInfinite { return value < 0 ? "-1e999" : "1e999" }
    if value.isNaN { return "NULL" }
    if value == 0 { return "0.0" }
    #if arch(x86_64)
      return (value < 0 ? "-" : "") + extendedDigits(Float80(value.magnitude))
    #else
      return shortest(value)
    #endif
  }

  #if arch(x86_64)
    private static let precision = 19
    /// Digits that are taken from the number; what is asked for beyond them is zero.
    private static let digitCountMax = 26

    private static func extendedDigits(_ magnitude: Float80) -> String {
      // Scale to 1 ..< 10, by the largest powers of ten first: the order of the operations decides the last digits.
      var number = magnitude
      var exponent = 0
      var scale: Float80 = 1
      let huge = Float80(1e100 as Double)
      while number >= huge * scale, exponent <= 350 { (scale, exponent) = (scale * huge, exponent + 100) }
      while number >= 1e10 * scale, exponent <= 350 { (scale, exponent) = (scale * 1e10, exponent + 10) }
      while number >= 10 * scale, exponent <= 350 { (scale, exponent) = (scale * 10, exponent + 1) }
      number /= scale
      while number < Float80(1e-8 as Double) { (number, exponent) = (number * 1e8, exponent - 8) }
      while number < 1 { (number, exponent) = (number * 10, exponent - 1) }
      number += Float80(5.0e-10 * 1.0e-10 as Double)
      if number >= 10 { (number, exponent) = (number * Float80(0.1 as Double), exponent + 1) }

      var remaining = digitCountMax
      func digit() -> String {
        guard remaining > 0 else { return "0" }
        remaining -= 1
        let digit = Int(number)
        number = (number - Float80(digit)) * 10
        return String(digit)
      }
      let isScientific = exponent < -4 || exponent > precision
      var fractionDigits = isScientific ? precision : precision - exponent
      var text = ""
      if !isScientific, exponent < 0 {
        text = "0." + String(repeating: "0", count: -exponent - 1)
        fractionDigits -= -exponent - 1
      } else {
        for _ in 0...(isScientific ? 0 : exponent) { text += digit() }
        text += "."
      }
      for _ in 0..<max(0, fractionDigits) { text += digit() }
      while text.hasSuffix("0") { text.removeLast() }
      if text.hasSuffix(".") { text += "0" }
      guard isScientific else { return text }
      let power = exponent.magnitude < 10 ? "0\(exponent.magnitude)" : "\(exponent.magnitude)"
      return "\(text)e\(exponent < 0 ? "-" : "+")\(power)"
    }
  #else
    private static func shortest(_ value: Double) -> String { "\(value)" }
  #endif
}
