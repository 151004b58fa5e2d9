// Values as numbers and as text, CAST, and the application of affinities. Source: https://sqlite.org/datatype3.html
//
// Nothing here allocates except through the caller's buffer, where a number becomes text.

extension Value {
  // MARK: As numbers

  /// The 64-bit integer that SQLite sees: reals are cut off and clamped, of text the front that is an integer counts.
  @inlinable @inline(__always)
  public var asInteger: Int64 {
    kind == .integer ? integerValue : convertedInteger
  }

  public var convertedInteger: Int64 {
    switch kind {
    case .null: 0
    case .integer: integerValue
    case .real: Value.truncated(realValue)
    case .text, .blob: IntegerScan(bytes).value
    }
  }

  /// The double that SQLite sees: of text the front that is a number counts.
  @inlinable @inline(__always)
  public var asReal: Double {
    switch kind {
    case .real: realValue
    case .integer: Double(integerValue)
    default: convertedReal
    }
  }

  public var convertedReal: Double {
    switch kind {
    case .null: 0
    case .integer: Double(integerValue)
    case .real: realValue
    case .text, .blob: NumberScan(bytes).real
    }
  }

  /// Towards zero, clamped to the range of 64 bits.
  @inlinable
  public static func truncated(_ real: Double) -> Int64 {
    if real >= 9_223_372_036_854_775_808 { return .max }
    if real > -9_223_372_036_854_775_808 { return Int64(real) }
    return .min
  }

  /// The integer or real with which this value enters an arithmetic operation; NULL stays NULL.
  @inlinable @inline(__always)
  public var asNumber: Value { hasBytes ? convertedNumber : self }

  public var convertedNumber: Value {
    guard hasBytes else { return self }
    let scan = NumberScan(bytes)
    switch scan.form {
    case .real: return .real(scan.real)
    case .none: return .integer(0)
    case .integer:
      let integer = IntegerScan(bytes)
      let isInteger = integer.fits && (integer.isWhole || !scan.isWhole)
      return isInteger ? .integer(integer.value) : .real(scan.real)
    }
  }

  /// What `value` is as a condition; nil for NULL.
  @inlinable @inline(__always)
  public var truth: Bool? {
    switch kind {
    case .integer: integerValue != 0
    case .null: nil
    default: asReal != 0
    }
  }

  // MARK: As text

  /// Appends the value as text: bytes as they are, numbers as SQLite prints them, nothing for NULL.
  public func appendText(to buffer: inout ByteBuffer) {
    switch kind {
    case .null: break
    case .integer: buffer.append(integer: integerValue)
    case .real: buffer.append(real: realValue)
    case .text, .blob: buffer.append(bytes)
    }
  }

  /// The value as text: bytes where they are; a number is written to `scratch`, from its start.
  @inlinable @inline(__always)
  public func textBytes(in scratch: inout ByteBuffer) -> ByteView {
    hasBytes ? bytes : convertedText(in: &scratch)
  }

  public func convertedText(in scratch: inout ByteBuffer) -> ByteView {
    if hasBytes { return bytes }
    scratch.removeAll()
    appendText(to: &scratch)
    return scratch.bytes
  }

  // MARK: Affinity

  /// The value as a column of this affinity stores it. Text made of a number is written to `scratch`, from its start.
  @inlinable @inline(__always)
  public func applying(_ affinity: Affinity, scratch: inout ByteBuffer) -> Value {
    switch affinity {
    case .blob, .none: self
    case .text: isNumeric ? .text(convertedText(in: &scratch)) : self
    case .integer, .numeric: kind == .integer || kind == .null || kind == .blob ? self : asNumericColumn
    case .real: kind == .real || kind == .null || kind == .blob ? self : asRealColumn
    }
  }

  /// Affinity INTEGER and NUMERIC: text that is wholly a number becomes one, and a real that is an integer too.
  public var asNumericColumn: Value {
    switch kind {
    case .null, .integer, .blob: return self
    case .real: return Value.integerWhereExact(realValue)
    case .text:
      let scan = NumberScan(bytes)
      guard scan.form != .none, scan.isWhole else { return self }
      if scan.form == .integer {
        let integer = IntegerScan(bytes)
        if integer.fits, integer.isWhole { return .integer(integer.value) }
      }
      return Value.integerWhereExact(scan.real)
    }
  }

  /// Affinity REAL: text that is wholly a number becomes a real, and so does an integer.
  public var asRealColumn: Value {
    switch kind {
    case .null, .real, .blob: return self
    case .integer: return .real(Double(integerValue))
    case .text:
      let number = asNumericColumn
      return number.kind == .integer ? .real(Double(number.integerValue)) : number
    }
  }

  /// Numeric affinity as comparisons apply it to text: no real becomes an integer.
  public var asComparedNumber: Value {
    guard kind == .text else { return self }
    let scan = NumberScan(bytes)
    guard scan.form != .none, scan.isWhole else { return self }
    if scan.form == .integer {
      let integer = IntegerScan(bytes)
      // Behind a NUL there may be anything; SQLite then takes the double, and an integer for it where it is small.
      let isInteger = integer.isWhole ? integer.fits : Value.isSmall(integer.value)
      if isInteger { return .integer(integer.value) }
    }
    return .real(scan.real)
  }

  /// The integer equal to `real`, strictly inside the range of 64 bits; else the real.
  public static func integerWhereExact(_ real: Double) -> Value {
    let integer = truncated(real)
    return Double(integer) == real && integer > .min && integer < .max ? .integer(integer) : .real(real)
  }

  // MARK: CAST

  /// `CAST(self AS type)` for a type of this affinity. Text made of a number is written to `scratch`, from its start.
  public func cast(to affinity: Affinity, scratch: inout ByteBuffer) -> Value {
    if isNull { return .null }
    switch affinity {
    case .none: return self
    case .text: return .text(convertedText(in: &scratch))
    case .blob: return .blob(convertedText(in: &scratch))
    case .integer: return .integer(asInteger)
    case .real: return .real(asReal)
    case .numeric:
      guard hasBytes else { return self }
      let scan = NumberScan(bytes)
      if scan.form != .real {
        let integer = IntegerScan(bytes)
        if integer.fits { return .integer(integer.value) }
      }
      return Value.smallIntegerWhereExact(scan.real)
    }
  }

  // CAST AS NUMERIC turns a real into an integer only where it is small.
  private static func smallIntegerWhereExact(_ real: Double) -> Value {
    let integer = truncated(real)
    return Double(integer) == real && isSmall(integer) ? .integer(integer) : .real(real)
  }

  // A double tells neighbouring integers well apart (51 bits).
  private static func isSmall(_ integer: Int64) -> Bool { integer >= -(1 << 51) && integer < 1 << 51 }
}

extension Affinity {
  /// What a comparison of an expression of affinity `left` with one of affinity `right` applies to both sides:
  /// `.numeric`, `.text`, or `.blob` for nothing.
  public static func comparison(_ left: Affinity, _ right: Affinity) -> Affinity {
    if left != .none, right != .none { return left.isNumeric || right.isNumeric ? .numeric : .blob }
    let only = left == .none ? right : left
    return only.isNumeric ? .numeric : only == .none ? .blob : only
  }

  @inlinable
  public var isNumeric: Bool { rawValue >= Affinity.numeric.rawValue }

  /// The affinity of a declared type, by the first rule that applies to its name.
  public init(declaredType name: ByteView) {
    self = .numeric
    if name.count == 0 {
      self = .blob
      return
    }
    var isReal = false, isBlob = false, isText = false
    // The last four bytes, folded to lower case.
    var window: UInt32 = 0
    for index in 0..<name.count {
      let byte = name[index]
      window = window << 8 | UInt32(byte >= 0x41 && byte <= 0x5a ? byte | 0x20 : byte)
      if window & 0xff_ffff == 0x69_6e74 {  // "int"
        self = .integer
        return
      }
      switch window {
      case 0x6368_6172, 0x636c_6f62, 0x7465_7874: isText = true  // "char", "clob", "text"
      case 0x626c_6f62: isBlob = true  // "blob"
      case 0x7265_616c, 0x666c_6f61, 0x646f_7562: isReal = true  // "real", "floa", "doub"
      default: break
      }
    }
    if isText { self = .text } else if isBlob { self = .blob } else if isReal { self = .real }
  }
}
