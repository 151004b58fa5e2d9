// An integer times a power of ten to the nearest double.
//
// The 128-bit power suffices for 64-bit integers, without any fallback: N. Mushtak, D. Lemire, "Fast Number Parsing
// Without Fallback", 2023. Ties can only occur where the power is exact or a division by it is.

extension Double {
  /// `decimal * 10^exponent`, rounded to nearest, ties to even; infinite where it is too large.
  public init(decimal: UInt64, exponent: Int) {
    if decimal == 0 {
      self = 0
      return
    }
    if decimal <= 1 << 53, exponent >= -22, exponent <= 22 {
      let exact = Double(decimal)
      self = exponent < 0 ? exact / smallPower(-exponent) : exact * smallPower(exponent)
      return
    }
    guard exponent >= PowersOfTen.exponentMin else {
      self = 0
      return
    }
    guard exponent <= 308 else {
      self = .infinity
      return
    }
    let zeros = decimal.leadingZeroBitCount
    let scaled = decimal << UInt64(zeros)
    // scaled * 10^exponent = (high:low + something below) * 2^(binary - 63), `isExact` where the something is zero.
    var high: UInt64
    var low: UInt64
    var isExact: Bool
    var binary: Int
    if exponent < 0, exponent >= -27 {
      // 5^27 is the last power of five below 2^63: divide, and ties are seen.
      let divisor = powerOfFive(-exponent)
      let divisorZeros = divisor.leadingZeroBitCount
      let normalised = divisor << UInt64(divisorZeros)
      // scaled/2 < normalised, so that the first quotient fits.
      let first = normalised.dividingFullWidth((scaled >> 1, scaled << 63))
      let second = normalised.dividingFullWidth((first.remainder, 0))
      high = first.quotient
      low = second.quotient
      isExact = second.remainder == 0
      // scaled / 5^k / 2^k = (high:low / 2^64) * 2 * 2^(divisorZeros - 64) * 2^-k
      binary = exponent &+ divisorZeros &- 63 &+ 63
    } else {
      let upper = scaled.multipliedFullWidth(by: PowersOfTen.high(exponent))
      let lower = scaled.multipliedFullWidth(by: PowersOfTen.low(exponent))
      let sum = upper.low.addingReportingOverflow(lower.high)
      high = upper.high &+ (sum.overflow ? 1 : 0)
      low = sum.partialValue
      isExact = lower.low == 0 && exponent >= 0 && exponent <= 55
      binary = PowersOfTen.binaryLogarithm(exponent) &+ 64
    }
    if high >> 63 == 0 {
      high = high << 1 | low >> 63
      low <<= 1
      binary &-= 1
    }
    self.init(rounding: high, low, isExact, exponent: binary &- zeros &- 63)
  }

  /// `high * 2^exponent`, where `low` and `isExact` tell what lies below the last bit of `high`, whose top bit is set.
  private init(rounding high: UInt64, _ low: UInt64, _ isExact: Bool, exponent: Int) {
    // As a normal number the mantissa is high >> 11, and its unit 2^(exponent + 11).
    var shift = 11
    var field = exponent &+ 11 &+ 1075
    if field < 1 {
      shift &+= 1 &- field
      field = 0
    }
    if shift > 64 {
      self = 0
      return
    }
    var mantissa = shift == 64 ? 0 : high >> UInt64(shift)
    let half: UInt64 = 1 << UInt64(shift &- 1)
    let rest = shift == 64 ? high : high & (half &* 2 &- 1)
    let isAboveTie = low != 0 || !isExact
    if rest > half || (rest == half && (isAboveTie || mantissa & 1 == 1)) { mantissa &+= 1 }
    if field == 0 {
      // A subnormal; a carry into bit 52 makes it the smallest normal number by itself.
      self = Double(bitPattern: mantissa)
      return
    }
    if mantissa >> 53 != 0 {
      mantissa >>= 1
      field &+= 1
    }
    self = field >= 2047 ? .infinity : Double(bitPattern: UInt64(field) << 52 | mantissa & 0xf_ffff_ffff_ffff)
  }
}

/// 10^p for p from 0 to 22: exact doubles.
@inline(__always)
private func smallPower(_ p: Int) -> Double { smallPowers[p] }

private let smallPowers: [Double] = [
  1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20,
  1e21, 1e22,
]

/// 5^k for k from 0 to 27.
private func powerOfFive(_ k: Int) -> UInt64 {
  var power: UInt64 = 1
  for _ in 0..<k { power &*= 5 }
  return power
}
