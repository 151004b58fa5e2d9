// Numbers to text, as SQLite prints them: integers in decimal, reals with up to 17 significant digits, a point always.

extension ByteBuffer {
  /// Decimal digits with a minus sign where needed.
  public mutating func append(integer value: Int64) {
    if value < 0 { append(0x2d) }
    append(decimal: value.magnitude)
  }

  public mutating func append(decimal magnitude: UInt64) {
    var digits = InlineArray<20, UInt8>(repeating: 0x30)
    var position = 20
    var rest = magnitude
    repeat {
      position &-= 1
      let next = rest / 10
      digits[position] = UInt8(truncatingIfNeeded: 0x30 &+ rest &- next &* 10)
      rest = next
    } while rest > 0
    reserve(count &+ 20 &- position)
    while position < 20 {
      append(digits[position])
      position &+= 1
    }
  }

  /// As `CAST(value AS TEXT)` gives it.
  public mutating func append(real value: Double) {
    let decimal = DecimalDigits(value, rounding: 17, digitsMax: 26)
    switch decimal.kind {
    case .infinite: append(decimal.isNegative ? "-Inf" : "Inf")
    case .notANumber: append("NaN")
    case .finite:
      if decimal.isNegative { append(0x2d) }
      let exponent = decimal.pointPosition &- 1
      if exponent < -4 || exponent > 16 {
        appendExponential(decimal, exponent)
      } else {
        appendPlain(decimal)
      }
    }
  }

  private mutating func appendPlain(_ decimal: borrowing DecimalDigits) {
    let point = decimal.pointPosition
    if point <= 0 {
      append(0x30)
      append(0x2e)
      for _ in point..<0 { append(0x30) }
      for index in 0..<decimal.count { append(decimal.digits[index]) }
      return
    }
    for index in 0..<point { append(index < decimal.count ? decimal.digits[index] : 0x30) }
    append(0x2e)
    if point >= decimal.count { append(0x30) }
    var index = point
    while index < decimal.count {
      append(decimal.digits[index])
      index &+= 1
    }
  }

  private mutating func appendExponential(_ decimal: borrowing DecimalDigits, _ exponent: Int) {
    append(decimal.digits[0])
    append(0x2e)
    if decimal.count == 1 { append(0x30) }
    var index = 1
    while index < decimal.count {
      append(decimal.digits[index])
      index &+= 1
    }
    append(0x65)
    append(exponent < 0 ? 0x2d : 0x2b)
    let magnitude = exponent.magnitude
    if magnitude < 10 { append(0x30) }
    append(decimal: UInt64(magnitude))
  }
}
