// `format` and `printf`: SQLite's own printf. Source: https://sqlite.org/printf.html
//
// The text is written to the call's output buffer from left to right. A letter that is not known ends the text.

import ApusBase
import ApusVM

enum FormatFunction {
  static let definitions: [FunctionDefinition] = [
    .scalar("format", .any, format),
    .scalar("printf", .any, format),
  ]

  static func format(_ context: inout FunctionContext, _ arguments: ValueRange) throws(Fault) {
    if arguments.count == 0 || arguments[0].isNull { return context.setNull() }
    let text = context.text(arguments[0], .first).untilNUL()
    context.output.removeAll()
    var formatter = Formatter(arguments: arguments.dropFirst(1), lengthLimit: context.lengthLimit)
    try formatter.run(text, &context)
    try context.setOutputText()
  }
}

private struct Formatter {
  let arguments: ValueRange
  let lengthLimit: Int
  var used = 0

  init(arguments: ValueRange, lengthLimit: Int) {
    self.arguments = arguments
    self.lengthLimit = lengthLimit
  }

  // MARK: Arguments: what is missing is NULL

  private mutating func next() -> Value {
    guard used < arguments.count else { return .null }
    used &+= 1
    return arguments[used &- 1]
  }

  // MARK: The loop

  mutating func run(_ format: ByteView, _ context: inout FunctionContext) throws(Fault) {
    var position = 0
    while position < format.count {
      var end = position
      while end < format.count, format[end] != 0x25 { end &+= 1 }
      context.output.append(format.slice(position, end &- position))
      if end == format.count { return }
      position = end &+ 1
      if position == format.count {
        context.output.append(0x25)
        return
      }
      var specification = FormatSpecification()
      let letter = specification.read(format, &position) { next().asInteger }
      guard try convert(letter, &specification, &context) else { return }
      try context.checkLength(context.output.count)
    }
  }

  /// - Returns: false where the letter is not known.
  private mutating func convert(
    _ letter: UInt8, _ specification: inout FormatSpecification, _ context: inout FunctionContext
  ) throws(Fault) -> Bool {
    switch letter {
    case UInt8(ascii: "d"), UInt8(ascii: "i"):
      try integer(signed: next().asInteger, &specification, &context)
    case UInt8(ascii: "r"):
      try ordinal(next().asInteger, &specification, &context)
    case UInt8(ascii: "u"):
      try integer(UInt64(bitPattern: next().asInteger), sign: 0, .decimal, specification, &context)
    case UInt8(ascii: "x"): try integer(next(), .hexadecimal, &specification, &context)
    case UInt8(ascii: "X"): try integer(next(), .capitalHexadecimal, &specification, &context)
    case UInt8(ascii: "p"): try integer(next(), .pointer, &specification, &context)
    case UInt8(ascii: "o"): try integer(next(), .octal, &specification, &context)
    case UInt8(ascii: "f"): try real(next().asReal, .plain, capital: false, specification, &context)
    case UInt8(ascii: "e"): try real(next().asReal, .exponential, capital: false, specification, &context)
    case UInt8(ascii: "E"): try real(next().asReal, .exponential, capital: true, specification, &context)
    case UInt8(ascii: "g"): try real(next().asReal, .general, capital: false, specification, &context)
    case UInt8(ascii: "G"): try real(next().asReal, .general, capital: true, specification, &context)
    case UInt8(ascii: "s"), UInt8(ascii: "z"): try string(next(), specification, &context)
    case UInt8(ascii: "c"): try character(next(), specification, &context)
    case UInt8(ascii: "q"): try quoted(next(), .single, specification, &context)
    case UInt8(ascii: "Q"): try quoted(next(), .literal, specification, &context)
    case UInt8(ascii: "w"): try quoted(next(), .double, specification, &context)
    case UInt8(ascii: "j"): try json(next(), quotes: false, specification, &context)
    case UInt8(ascii: "J"): try json(next(), quotes: true, specification, &context)
    case UInt8(ascii: "n"): break
    case UInt8(ascii: "%"):
      let start = context.output.count
      context.output.append(0x25)
      try pad(from: start, specification, &context)
    default: return false
    }
    return true
  }

  // MARK: Padding

  // Moves what was appended since `start` to its side of the field.
  private func pad(
    from start: Int, _ specification: FormatSpecification, _ context: inout FunctionContext, byCharacters: Bool = false
  ) throws(Fault) {
    let length = context.output.count &- start
    var width = specification.width
    if byCharacters, width > 0 {
      let written = context.output.bytes
      for offset in start..<written.count where written[offset] & 0xc0 == 0x80 { width &+= 1 }
    }
    guard width > length else { return }
    let padding = width &- length
    try context.checkLength(context.output.count &+ padding)
    context.output.resize(to: context.output.count &+ padding)
    let bytes = context.output.mutableBytes
    if specification.isLeft {
      bytes.fill(start &+ length, padding, with: 0x20)
    } else {
      bytes.move(from: start, to: start &+ padding, length: length)
      bytes.fill(start, padding, with: 0x20)
    }
  }

  // MARK: Integers

  private enum Radix {
    case decimal, hexadecimal, capitalHexadecimal, pointer, octal

    var base: UInt64 {
      switch self {
      case .decimal: 10
      case .octal: 8
      case .hexadecimal, .capitalHexadecimal, .pointer: 16
      }
    }

    var prefix: StaticString {
      switch self {
      case .decimal: ""
      case .octal: "0"
      case .hexadecimal, .pointer: "0x"
      case .capitalHexadecimal: "0X"
      }
    }
  }

  private func integer(
    signed value: Int64, _ specification: inout FormatSpecification, _ context: inout FunctionContext
  ) throws(Fault) {
    let sign = value < 0 ? 0x2d : specification.positiveSign
    try integer(value.magnitude, sign: sign, .decimal, specification, &context)
  }

  private func integer(
    _ value: Value, _ radix: Radix, _ specification: inout FormatSpecification, _ context: inout FunctionContext
  ) throws(Fault) {
    specification.hasThousands = false
    try integer(UInt64(bitPattern: value.asInteger), sign: 0, radix, specification, &context)
  }

  private func ordinal(
    _ value: Int64, _ specification: inout FormatSpecification, _ context: inout FunctionContext
  ) throws(Fault) {
    specification.hasThousands = false
    let sign = value < 0 ? 0x2d : specification.positiveSign
    let last = value.magnitude % 10
    let suffix: StaticString =
      switch last {
      case _ where (value.magnitude / 10) % 10 == 1: "th"
      case 1: "st"
      case 2: "nd"
      case 3: "rd"
      default: "th"
      }
    try integer(value.magnitude, sign: sign, .decimal, specification, &context, suffix: suffix)
  }

  private func integer(
    _ magnitude: UInt64, sign: UInt8, _ radix: Radix, _ specification: FormatSpecification,
    _ context: inout FunctionContext, suffix: StaticString? = nil
  ) throws(Fault) {
    var digits = InlineArray<24, UInt8>(repeating: 0x30)
    var first = 24
    var rest = magnitude
    repeat {
      first &-= 1
      let digit = UInt8(truncatingIfNeeded: rest % radix.base)
      digits[first] = digit < 10 ? 0x30 &+ digit : (radix == .hexadecimal ? 0x57 : 0x37) &+ digit
      rest /= radix.base
    } while rest > 0
    let digitCount = 24 &- first
    let suffixCount = suffix == nil ? 0 : 2
    var precision = specification.precision
    if specification.hasZeros { precision = max(precision, specification.width &- (sign == 0 ? 0 : 1)) }
    let total = max(digitCount &+ suffixCount, precision)
    try context.checkLength(context.output.count &+ total &+ total / 3)
    let start = context.output.count
    if specification.isAlternate, magnitude != 0 { context.output.append(radix.prefix) }
    if sign != 0 { context.output.append(sign) }
    for index in 0..<total &- suffixCount {
      // How many digits are to come, this one included.
      let left = total &- index
      if specification.hasThousands, index > 0, left % 3 == 0 { context.output.append(0x2c) }
      context.output.append(left &- suffixCount > digitCount ? 0x30 : digits[24 &- (left &- suffixCount)])
    }
    if let suffix { context.output.append(suffix) }
    try pad(from: start, specification, &context)
  }

  // MARK: Reals

  fileprivate enum Notation { case plain, exponential, general }

  fileprivate func real(
    _ value: Double, _ notation: Notation, capital: Bool, _ specification: FormatSpecification,
    _ context: inout FunctionContext
  ) throws(Fault) {
    // SQLite's own limit.
    var precision = min(specification.precision < 0 ? 6 : specification.precision, 100_000_000)
    if notation == .general { precision = max(1, precision) }
    let rounding =
      switch notation {
      case .plain: -precision
      case .general: precision
      case .exponential: precision &+ 1
      }
    let decimal = DecimalDigits(value, rounding: rounding, digitsMax: specification.isExtended ? 26 : 16)
    let start = context.output.count
    if decimal.kind != .finite, !(decimal.kind == .infinite && specification.hasZeros) {
      if decimal.kind == .notANumber {
        context.output.append(specification.hasZeros ? "null" : "NaN")
      } else {
        let sign = decimal.isNegative ? 0x2d : specification.positiveSign
        if sign != 0 { context.output.append(sign) }
        context.output.append("Inf")
      }
      return try pad(from: start, specification, &context)
    }
    try write(
      RealDigits(decimal), rounding, precision, notation, capital: capital, specification, &context)
  }

  // The digits to print; an infinity with zeros in front is a nine with a thousand digits before the point.
  private struct RealDigits {
    let decimal: DecimalDigits
    let isHuge: Bool

    init(_ decimal: DecimalDigits) {
      self.decimal = decimal
      isHuge = decimal.kind == .infinite
    }

    var point: Int { isHuge ? 1000 : decimal.pointPosition }

    func digit(_ index: Int) -> UInt8 {
      if isHuge { return index == 0 ? 0x39 : 0x30 }
      return index < decimal.count ? decimal.digits[index] : 0x30
    }
  }

  private func write(
    _ digits: RealDigits, _ rounding: Int, _ initialPrecision: Int, _ notation: Notation, capital: Bool,
    _ specification: FormatSpecification, _ context: inout FunctionContext
  ) throws(Fault) {
    var precision = initialPrecision
    var sign: UInt8 = specification.positiveSign
    if digits.decimal.isNegative {
      // The flag # drops the sign of what prints as zero.
      let isZero =
        specification.isAlternate && sign == 0 && notation == .plain && digits.point <= rounding
      sign = isZero ? 0 : 0x2d
    }
    let exponent = digits.point &- 1
    var isExponential = notation == .exponential
    var dropsZeros = specification.isExtended
    if notation == .general {
      precision &-= 1
      dropsZeros = !specification.isAlternate
      if exponent < -4 || exponent > precision { isExponential = true } else { precision &-= exponent }
    }
    var place = isExponential ? 0 : exponent
    let hasThousands = specification.hasThousands
    try context.checkLength(context.output.count &+ max(0, place) &* 4 / 3 &+ precision &+ 15)
    let start = context.output.count
    if sign != 0 { context.output.append(sign) }
    let hasPoint = precision > 0 || specification.isAlternate || specification.isExtended
    var index = 0
    if place < 0 {
      context.output.append(0x30)
    } else {
      while place >= 0 {
        context.output.append(digits.digit(index))
        index &+= 1
        if hasThousands, place % 3 == 0, place > 1 { context.output.append(0x2c) }
        place &-= 1
      }
    }
    if hasPoint { context.output.append(0x2e) }
    var zeros = place &+ 1
    while zeros < 0, precision > 0 {
      context.output.append(0x30)
      precision &-= 1
      zeros &+= 1
    }
    while precision > 0 {
      context.output.append(digits.digit(index))
      index &+= 1
      precision &-= 1
    }
    if dropsZeros, hasPoint { dropZeros(specification, &context) }
    if isExponential { appendExponent(exponent, capital: capital, &context) }
    padWithZeros(from: start, sign, specification, &context)
    try pad(from: start, specification, &context)
  }

  private func dropZeros(_ specification: FormatSpecification, _ context: inout FunctionContext) {
    while let last = context.output.last, last == 0x30 { context.output.resize(to: context.output.count &- 1) }
    guard context.output.last == 0x2e else { return }
    if specification.isExtended {
      context.output.append(0x30)
    } else {
      context.output.resize(to: context.output.count &- 1)
    }
  }

  private func appendExponent(_ exponent: Int, capital: Bool, _ context: inout FunctionContext) {
    context.output.append(capital ? 0x45 : 0x65)
    context.output.append(exponent < 0 ? 0x2d : 0x2b)
    let magnitude = UInt64(exponent.magnitude)
    if magnitude < 10 { context.output.append(0x30) }
    context.output.append(decimal: magnitude)
  }

  private func padWithZeros(
    from start: Int, _ sign: UInt8, _ specification: FormatSpecification, _ context: inout FunctionContext
  ) {
    let length = context.output.count &- start
    guard specification.hasZeros, !specification.isLeft, length < specification.width,
      specification.width <= lengthLimit
    else { return }
    let padding = specification.width &- length
    let head = start &+ (sign == 0 ? 0 : 1)
    context.output.resize(to: context.output.count &+ padding)
    let bytes = context.output.mutableBytes
    bytes.move(from: head, to: head &+ padding, length: length &- (head &- start))
    bytes.fill(head, padding, with: 0x30)
  }

  // MARK: Text

  // The front of the text that the precision leaves.
  private func cut(_ text: ByteView, _ specification: FormatSpecification) -> ByteView {
    let text = text.untilNUL()
    guard specification.precision >= 0 else { return text }
    guard specification.isExtended else { return text.slice(0, min(text.count, specification.precision)) }
    var end = 0
    var characters = 0
    while characters < specification.precision, end < text.count {
      end = text.characterEnd(end)
      characters &+= 1
    }
    return text.slice(0, end)
  }

  private func string(
    _ value: Value, _ specification: FormatSpecification, _ context: inout FunctionContext
  ) throws(Fault) {
    let text = cut(context.text(value, .second), specification)
    let start = context.output.count
    context.output.append(text)
    try pad(from: start, specification, &context, byCharacters: specification.isExtended)
  }

  private func character(
    _ value: Value, _ specification: FormatSpecification, _ context: inout FunctionContext
  ) throws(Fault) {
    var bytes = context.text(value, .second)
    bytes = bytes.slice(0, bytes.count == 0 ? 0 : min(4, bytes.characterEnd(0)))
    let copies = max(1, specification.precision)
    try context.checkLength(context.output.count &+ copies &* max(1, bytes.count))
    let start = context.output.count
    for _ in 0..<copies {
      if bytes.count == 0 { context.output.append(0) } else { context.output.append(bytes) }
    }
    try pad(from: start, specification, &context, byCharacters: true)
  }

  private enum Quoting { case single, literal, double }

  private func quoted(
    _ value: Value, _ quoting: Quoting, _ specification: FormatSpecification, _ context: inout FunctionContext
  ) throws(Fault) {
    let start = context.output.count
    if value.isNull {
      let text: StaticString = quoting == .literal ? "NULL" : "(NULL)"
      context.output.append(text)
      if specification.precision >= 0 {
        context.output.resize(to: min(context.output.count, start &+ specification.precision))
      }
      return try pad(from: start, specification, &context)
    }
    let text = cut(context.text(value, .second), specification)
    let quote: UInt8 = quoting == .double ? 0x22 : 0x27
    var hasControl = false
    for offset in 0..<text.count where text[offset] < 0x20 { hasControl = true }
    let isEscaped = specification.isAlternate && quoting != .double && (hasControl || quoting == .single)
    if quoting == .literal {
      if isEscaped { context.output.append("unistr(") }
      context.output.append(quote)
    }
    for offset in 0..<text.count {
      let byte = text[offset]
      if byte == quote { context.output.append(byte) }
      if isEscaped, byte == 0x5c {
        context.output.append("\\\\")
      } else if isEscaped, byte < 0x20 {
        context.output.append("\\u00")
        appendHexadecimal(byte, &context)
      } else {
        context.output.append(byte)
      }
    }
    if quoting == .literal {
      context.output.append(quote)
      if isEscaped { context.output.append(0x29) }
    }
    try pad(from: start, specification, &context, byCharacters: specification.isExtended)
  }

  private func json(
    _ value: Value, quotes: Bool, _ specification: FormatSpecification, _ context: inout FunctionContext
  ) throws(Fault) {
    let start = context.output.count
    if value.isNull {
      if quotes { context.output.append("null") }
      return try pad(from: start, specification, &context)
    }
    let text = cut(context.text(value, .second), specification)
    if quotes { context.output.append(0x22) }
    for offset in 0..<text.count {
      let byte = text[offset]
      switch byte {
      case 0x22: context.output.append("\\\"")
      case 0x5c: context.output.append("\\\\")
      case 0x08: context.output.append("\\b")
      case 0x09: context.output.append("\\t")
      case 0x0a: context.output.append("\\n")
      case 0x0c: context.output.append("\\f")
      case 0x0d: context.output.append("\\r")
      case 0..<0x20:
        context.output.append("\\u00")
        appendHexadecimal(byte, &context)
      default: context.output.append(byte)
      }
    }
    if quotes { context.output.append(0x22) }
    try pad(from: start, specification, &context, byCharacters: specification.isExtended)
  }

  private func appendHexadecimal(_ byte: UInt8, _ context: inout FunctionContext) {
    context.output.append(0x30 &+ (byte >> 4))
    let low = byte & 0x0f
    context.output.append(low < 10 ? 0x30 &+ low : 0x57 &+ low)
  }
}

extension ByteBuffer {
  fileprivate var last: UInt8? { count == 0 ? nil : bytes[count &- 1] }
}

/// The formatter without the SQL function around it: for texts that the engine itself makes as SQLite's printf would.
public enum PrintfFormatter {
  /// Appends `format` with its arguments filled in to `context.output`.
  /// - Throws: SQLITE_TOOBIG where the text would be over the context's limit.
  public static func format(
    _ format: ByteView, _ arguments: ValueRange, _ context: inout FunctionContext
  ) throws(Fault) {
    var formatter = Formatter(arguments: arguments, lengthLimit: context.lengthLimit)
    try formatter.run(format.untilNUL(), &context)
  }

  /// Appends `value` to `context.output` as `%!.15g` prints it: what a literal of it looks like in SQLite's texts.
  public static func appendLiteral(_ value: Double, _ context: inout FunctionContext) throws(Fault) {
    var specification = FormatSpecification()
    specification.isExtended = true
    specification.precision = 15
    try Formatter(arguments: .empty, lengthLimit: context.lengthLimit)
      .real(value, .general, capital: false, specification, &context)
  }
}
