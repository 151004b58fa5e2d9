// A double as decimal digits, the way SQLite sees it: every REAL that becomes text goes through here.
//
// The double is scaled by a power of ten to an integer of 18 or 19 digits (for fewer than 17 significant digits, to one or
// two more than those), with a 64-bit power, so the last digit may be off by one for large exponents, exactly as SQLite's
// is; and it is rounded in decimal from there.
// The multiplication follows R. Cox, "Floating-Point Printing and Parsing Can Be Simple And Fast", 2026.

public struct DecimalDigits {
  public enum Class: Sendable { case finite, infinite, notANumber }

  /// ASCII digits, the first `count` of them; no trailing zeros except for zero itself.
  public private(set) var digits = InlineArray<24, UInt8>(repeating: 0x30)
  public private(set) var count = 0
  /// How many digits stand before the decimal point; zero or negative where zeros follow the point.
  public private(set) var pointPosition = 0
  public let isNegative: Bool
  public let kind: Class

  /// - Parameters:
  ///   - rounding: where positive, how many significant digits to keep; where zero or negative, how many digits
  ///     behind the point (negated).
  ///   - digitsMax: the most digits to keep in any case: 16, or 26 for the `!` flag of `printf`.
  public init(_ value: Double, rounding: Int, digitsMax: Int) {
    isNegative = value < 0
    if value == 0 {
      kind = .finite
      count = 1
      pointPosition = 1
      return
    }
    guard value.isFinite else {
      kind = value.isNaN ? .notANumber : .infinite
      return
    }
    kind = .finite
    let (decimal, exponent) = DecimalDigits.scaled(value.magnitude, digits: rounding > 0 && rounding < 17 ? rounding &+ 1 : 18)
    write(decimal)
    pointPosition = count &+ exponent
    round(to: rounding, digitsMax, value: value.magnitude, exponent: exponent)
    while count > 1, digits[count &- 1] == 0x30 { count &-= 1 }
  }

  /// `value` as `decimal * 10^exponent` with at least `digits` digits: rounded for 18, cut off for fewer.
  static func scaled(_ value: Double, digits: Int) -> (decimal: UInt64, exponent: Int) {
    let bits = value.bitPattern
    let field = Int(truncatingIfNeeded: bits >> 52)
    let fraction = bits & 0xf_ffff_ffff_ffff
    // value = mantissa * 2^e with the mantissa's top bit set.
    var mantissa: UInt64
    var e: Int
    if field == 0 {
      mantissa = fraction
      e = -1074
    } else {
      mantissa = fraction | 1 << 52
      e = field &- 1075
    }
    let shift = mantissa.leadingZeroBitCount
    mantissa <<= UInt64(shift)
    e &-= shift
    let power = digits &- 1 &- PowersOfTen.decimalLogarithm(e &+ 63)
    let high = mantissa.multipliedFullWidth(by: PowersOfTen.high(power)).high
    let distance = UInt64(-(e &+ PowersOfTen.binaryLogarithm(power) &+ 1))
    if digits < 18 { return (high >> distance, -power) }
    let doubled = high >> (distance &- 1)
    return ((doubled &+ ((doubled << 1) & 2)) >> 1, -power)
  }

  private mutating func write(_ decimal: UInt64) {
    var length = 1
    var bound: UInt64 = 10
    while decimal >= bound, length < 19 {
      length &+= 1
      bound &*= 10
    }
    if length == 19, decimal >= bound { length = 20 }
    count = length
    var rest = decimal
    while length >= 2 {
      length &-= 2
      let next = rest / 100
      let pair = UInt32(truncatingIfNeeded: rest &- next &* 100)
      let tens = pair / 10
      digits[length] = UInt8(truncatingIfNeeded: 0x30 &+ tens)
      digits[length &+ 1] = UInt8(truncatingIfNeeded: 0x30 &+ pair &- tens &* 10)
      rest = next
    }
    if length == 1 { digits[0] = UInt8(truncatingIfNeeded: 0x30 &+ rest) }
  }

  private mutating func round(to rounding: Int, _ digitsMax: Int, value: Double, exponent: Int) {
    var keep = rounding
    if keep <= 0 {
      keep = pointPosition &- keep
      if keep == 0, digits[0] >= 0x35 {
        // 0.6 to no digits: the digit that rounding carries into stands in front.
        insertFirst(0x30)
        keep = 1
      }
    }
    guard keep > 0, keep < count || count > digitsMax else { return }
    keep = min(keep, digitsMax)
    if keep == 17, let shorter = shortened(value, exponent) { keep = shorter }
    if keep >= count { return }
    count = keep
    if digits[keep] >= 0x35 { carry(into: keep &- 1) }
  }

  private mutating func carry(into last: Int) {
    var index = last
    while true {
      if digits[index] < 0x39 {
        digits[index] &+= 1
        return
      }
      digits[index] = 0x30
      if index == 0 {
        insertFirst(0x31)
        return
      }
      index &-= 1
    }
  }

  private mutating func insertFirst(_ digit: UInt8) {
    var index = count
    while index > 0 {
      digits[index] = digits[index &- 1]
      index &-= 1
    }
    digits[0] = digit
    count &+= 1
    pointPosition &+= 1
  }

  // With 17 digits, a number that was written with up to 14 ends in a run of zeros or nines: the shorter form stands
  // if it leads back to the same double. (0.3 is 0.29999999999999999 to 17 digits.)
  private func shortened(_ value: Double, _ exponent: Int) -> Int? {
    guard count >= 17 else { return nil }
    let isRunOfNines = digits[14] == 0x39 && digits[15] == 0x39
    let isRunOfZeros = digits[13] == 0x30 && digits[14] == 0x30 && (digits[15] == 0x30 || pointPosition >= count)
    guard isRunOfNines || isRunOfZeros else { return nil }
    let run: UInt8 = isRunOfNines ? 0x39 : 0x30
    var length = 14
    while length > 0, digits[length &- 1] == run { length &-= 1 }
    var decimal: UInt64 = 0
    for index in 0..<length { decimal = decimal &* 10 &+ UInt64(digits[index] &- 0x30) }
    if isRunOfNines { decimal &+= 1 }
    guard Double(decimal: decimal, exponent: exponent &+ count &- length) == value else { return nil }
    // The digit behind the run's start decides the rounding: a nine carries, a zero is cut.
    return max(length, 1)
  }
}
