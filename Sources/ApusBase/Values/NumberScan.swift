// Text to numbers by SQLite's rules: leading and trailing ASCII white space, a sign, digits, a point, an exponent; the
// longest prefix counts. No hexadecimal here (that is for literals), no "inf", no "nan".

@inlinable @inline(__always)
public func isSQLSpace(_ byte: UInt8) -> Bool { byte == 0x20 || (byte >= 0x09 && byte <= 0x0d) }

@inlinable @inline(__always)
public func isASCIIDigit(_ byte: UInt8) -> Bool { byte &- 0x30 < 10 }

/// What the front of a text is as a number.
public struct NumberScan: Sendable {
  public enum Form: Sendable {
    /// There is no number.
    case none
    /// Digits alone.
    case integer
    /// With a point or an exponent.
    case real
  }

  public var form: Form
  /// Nothing but white space follows, up to the text's end or its first NUL.
  public var isWhole: Bool
  public var isNegative: Bool
  /// The first 19 or so significant digits; the number is `decimal * 10^exponent`.
  public var decimal: UInt64
  public var exponent: Int

  /// Zero where there is no number.
  public var real: Double {
    let magnitude = Double(decimal: decimal, exponent: exponent)
    return isNegative ? -magnitude : magnitude
  }

  public init(_ text: ByteView) {
    var position = 0
    let end = text.count
    while position < end, isSQLSpace(text[position]) { position &+= 1 }
    isNegative = false
    if position < end, text[position] == 0x2d || text[position] == 0x2b {
      isNegative = text[position] == 0x2d
      position &+= 1
    }
    // Digits beyond this many cannot be added without overflow; SQLite cuts them off.
    let decimalMax: UInt64 = (UInt64.max - 9) / 10
    var decimal: UInt64 = 0
    var scale = 0
    let digitsStart = position
    while position < end, isASCIIDigit(text[position]) {
      if decimal < decimalMax {
        decimal = decimal &* 10 &+ UInt64(text[position] &- 0x30)
      } else {
        scale &+= 1
      }
      position &+= 1
    }
    var hasDigits = position > digitsStart
    form = .integer
    if position < end, text[position] == 0x2e {
      let pointPosition = position
      position &+= 1
      let fractionStart = position
      while position < end, isASCIIDigit(text[position]) {
        if decimal < decimalMax {
          decimal = decimal &* 10 &+ UInt64(text[position] &- 0x30)
          scale &-= 1
        }
        position &+= 1
      }
      if position > fractionStart { hasDigits = true }
      if hasDigits { form = .real } else { position = pointPosition }
    }
    guard hasDigits else {
      form = .none
      isWhole = false
      isNegative = false
      self.decimal = 0
      exponent = 0
      return
    }
    if position < end, text[position] | 0x20 == 0x65 {
      var cursor = position &+ 1
      var isExponentNegative = false
      if cursor < end, text[cursor] == 0x2d || text[cursor] == 0x2b {
        isExponentNegative = text[cursor] == 0x2d
        cursor &+= 1
      }
      let exponentStart = cursor
      var value = 0
      while cursor < end, isASCIIDigit(text[cursor]) {
        if value < 100_000 { value = value &* 10 &+ Int(text[cursor] &- 0x30) }
        cursor &+= 1
      }
      if cursor > exponentStart {
        scale &+= isExponentNegative ? -value : value
        position = cursor
        form = .real
      }
    }
    while position < end, isSQLSpace(text[position]) { position &+= 1 }
    isWhole = position == end || text[position] == 0
    self.decimal = decimal
    exponent = scale
  }
}

/// The integer at the front of a text.
public struct IntegerScan: Sendable {
  /// Clamped to 64 bits; zero where there are no digits.
  public var value: Int64
  /// The digits fit.
  public var fits: Bool
  /// Nothing but white space follows, up to the text's end; false where there are no digits.
  public var isWhole: Bool

  public init(_ text: ByteView) {
    var position = 0
    let end = text.count
    while position < end, isSQLSpace(text[position]) { position &+= 1 }
    var isNegative = false
    if position < end, text[position] == 0x2d || text[position] == 0x2b {
      isNegative = text[position] == 0x2d
      position &+= 1
    }
    let start = position
    var magnitude: UInt64 = 0
    var overflow = false
    while position < end, isASCIIDigit(text[position]) {
      let (product, o1) = magnitude.multipliedReportingOverflow(by: 10)
      let (sum, o2) = product.addingReportingOverflow(UInt64(text[position] &- 0x30))
      if o1 || o2 { overflow = true } else { magnitude = sum }
      position &+= 1
    }
    let hasDigits = position > start
    while position < end, isSQLSpace(text[position]) { position &+= 1 }
    isWhole = hasDigits && position == end
    if overflow || magnitude > (isNegative ? 1 << 63 : UInt64(Int64.max)) {
      value = isNegative ? .min : .max
      fits = false
    } else {
      value = isNegative ? Int64(bitPattern: 0 &- magnitude) : Int64(bitPattern: magnitude)
      fits = true
    }
  }
}
