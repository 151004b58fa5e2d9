// The arithmetic, bit and concatenation operators. NULL operands give NULL; text and blobs enter as the number at their
// front.

extension Value {
  @inlinable @inline(__always)
  public static func add(_ left: Value, _ right: Value) -> Value {
    if left.kind == .integer, right.kind == .integer {
      let (sum, overflow) = left.integerValue.addingReportingOverflow(right.integerValue)
      if !overflow { return .integer(sum) }
    } else if left.kind == .real, right.kind == .real {
      return .real(left.realValue + right.realValue)
    }
    return arithmetic(.add, left, right)
  }

  @inlinable @inline(__always)
  public static func subtract(_ left: Value, _ right: Value) -> Value {
    if left.kind == .integer, right.kind == .integer {
      let (difference, overflow) = left.integerValue.subtractingReportingOverflow(right.integerValue)
      if !overflow { return .integer(difference) }
    } else if left.kind == .real, right.kind == .real {
      return .real(left.realValue - right.realValue)
    }
    return arithmetic(.subtract, left, right)
  }

  @inlinable @inline(__always)
  public static func multiply(_ left: Value, _ right: Value) -> Value {
    if left.kind == .integer, right.kind == .integer {
      let (product, overflow) = left.integerValue.multipliedReportingOverflow(by: right.integerValue)
      if !overflow { return .integer(product) }
    } else if left.kind == .real, right.kind == .real {
      return .real(left.realValue * right.realValue)
    }
    return arithmetic(.multiply, left, right)
  }

  /// NULL where the divisor is zero.
  public static func divide(_ left: Value, _ right: Value) -> Value { arithmetic(.divide, left, right) }

  /// Of the operands as integers; a real where an operand is one. NULL where the divisor is zero.
  public static func remainder(_ left: Value, _ right: Value) -> Value { arithmetic(.remainder, left, right) }

  public enum ArithmeticOperator: Sendable { case add, subtract, multiply, divide, remainder }

  public static func arithmetic(_ operation: ArithmeticOperator, _ left: Value, _ right: Value) -> Value {
    let a = left.asNumber
    let b = right.asNumber
    if a.isNull || b.isNull { return .null }
    if a.kind == .integer, b.kind == .integer,
      let exact = integerArithmetic(operation, a.integerValue, b.integerValue)
    {
      return exact
    }
    let x = a.asReal
    let y = b.asReal
    switch operation {
    case .add: return .real(x + y)
    case .subtract: return .real(x - y)
    case .multiply: return .real(x * y)
    case .divide: return y == 0 ? .null : .real(x / y)
    case .remainder:
      let divisor = right.asInteger
      if divisor == 0 { return .null }
      // Int64.min % -1 would overflow; the remainder by -1 is zero anyhow.
      return .real(Double(divisor == -1 ? 0 : left.asInteger % divisor))
    }
  }

  // nil where the result does not fit: the caller goes on with reals.
  private static func integerArithmetic(_ operation: ArithmeticOperator, _ a: Int64, _ b: Int64) -> Value? {
    switch operation {
    case .add:
      let (result, overflow) = a.addingReportingOverflow(b)
      return overflow ? nil : .integer(result)
    case .subtract:
      let (result, overflow) = a.subtractingReportingOverflow(b)
      return overflow ? nil : .integer(result)
    case .multiply:
      let (result, overflow) = a.multipliedReportingOverflow(by: b)
      return overflow ? nil : .integer(result)
    case .divide:
      if b == 0 { return .null }
      return a == .min && b == -1 ? nil : .integer(a / b)
    case .remainder:
      if b == 0 { return .null }
      return b == -1 ? .integer(0) : .integer(a % b)
    }
  }

  // MARK: Bits

  public static func bitAnd(_ left: Value, _ right: Value) -> Value {
    left.isNull || right.isNull ? .null : .integer(left.asInteger & right.asInteger)
  }

  public static func bitOr(_ left: Value, _ right: Value) -> Value {
    left.isNull || right.isNull ? .null : .integer(left.asInteger | right.asInteger)
  }

  public static func bitNot(_ operand: Value) -> Value { operand.isNull ? .null : .integer(~operand.asInteger) }

  /// By a negative distance it shifts right; the sign is kept.
  public static func shiftLeft(_ left: Value, _ right: Value) -> Value {
    if left.isNull || right.isNull { return .null }
    let value = left.asInteger
    let distance = right.asInteger
    return .integer(distance < 0 ? shiftedRight(value, distance.magnitude) : shiftedLeft(value, distance.magnitude))
  }

  public static func shiftRight(_ left: Value, _ right: Value) -> Value {
    if left.isNull || right.isNull { return .null }
    let value = left.asInteger
    let distance = right.asInteger
    return .integer(distance < 0 ? shiftedLeft(value, distance.magnitude) : shiftedRight(value, distance.magnitude))
  }

  private static func shiftedLeft(_ value: Int64, _ distance: UInt64) -> Int64 {
    distance >= 64 ? 0 : Int64(bitPattern: UInt64(bitPattern: value) << distance)
  }

  private static func shiftedRight(_ value: Int64, _ distance: UInt64) -> Int64 {
    distance >= 64 ? (value < 0 ? -1 : 0) : value >> Int64(distance)
  }

  // MARK: Logic and text

  /// Three-valued NOT.
  public static func logicalNot(_ operand: Value) -> Value {
    guard let truth = operand.truth else { return .null }
    return .boolean(!truth)
  }

  /// The operator `||`: the two as text, one behind the other, written to `output` from its start. NULL gives NULL.
  /// Neither operand's bytes may lie in `output`.
  public static func concatenate(_ left: Value, _ right: Value, into output: inout ByteBuffer) -> Value {
    if left.isNull || right.isNull { return .null }
    output.removeAll()
    left.appendText(to: &output)
    right.appendText(to: &output)
    return .text(output.bytes)
  }
}
