// Values as text that can be read back: hex, unhex, quote, unistr. Source: https://sqlite.org/lang_corefunc.html

import ApusBase
import ApusVM

enum LiteralFunctions {
  static let definitions: [FunctionDefinition] = [
    .scalar("hex", .exactly(1), hexadecimal),
    .scalar("unhex", .exactly(1), unhexadecimal),
    .scalar("unhex", .exactly(2), unhexadecimal),
    .scalar("quote", .exactly(1), quote),
    .scalar("unistr", .exactly(1), unistring),
    .scalar("unistr_quote", .exactly(1), unistringQuote),
  ]

  private static func digit(_ value: UInt8) -> UInt8 { value < 10 ? 0x30 &+ value : 0x37 &+ value }

  private static func appendHexadecimal(_ bytes: ByteView, to output: inout ByteBuffer) {
    output.reserve(output.count &+ 2 &* bytes.count)
    for offset in 0..<bytes.count {
      output.append(digit(bytes[offset] >> 4))
      output.append(digit(bytes[offset] & 0x0f))
    }
  }

  static func hexadecimal(_ context: inout FunctionContext, _ arguments: ValueRange) throws(Fault) {
    let bytes = context.text(arguments[0])
    try context.checkLength(2 &* bytes.count)
    context.output.removeAll()
    if arguments[0].kind == .text, context.textEncoding != .utf8 {
      var stored = ByteBuffer()
      context.textEncoding.append(bytes, to: &stored)
      appendHexadecimal(stored.bytes, to: &context.output)
    } else {
      appendHexadecimal(bytes, to: &context.output)
    }
    try context.setOutputText()
  }

  /// NULL where the text is not pairs of digits; between pairs, characters of the second argument are skipped.
  static func unhexadecimal(_ context: inout FunctionContext, _ arguments: ValueRange) throws(Fault) {
    if arguments[0].isNull { return context.setNull() }
    let text = context.text(arguments[0], .first)
    let skipped = arguments.count == 2 ? context.text(arguments[1], .second).untilNUL() : ByteView.empty
    if arguments.count == 2, arguments[1].isNull { return context.setNull() }
    context.output.removeAll()
    var offset = 0
    while offset < text.count {
      guard let high = hexadecimalDigit(text[offset]) else {
        let (code, end) = text.character(at: offset)
        if code == 0 { break }
        guard contains(skipped, code) else { return context.setNull() }
        offset = end
        continue
      }
      guard offset &+ 1 < text.count, let low = hexadecimalDigit(text[offset &+ 1]) else { return context.setNull() }
      context.output.append(high << 4 | low)
      offset &+= 2
    }
    try context.setOutputBlob()
  }

  private static func contains(_ set: ByteView, _ code: UInt32) -> Bool {
    var offset = 0
    while offset < set.count {
      let member = set.character(at: offset)
      if member.code == code { return true }
      offset = member.end
    }
    return false
  }

  /// The SQL literal of the value.
  static func quote(_ context: inout FunctionContext, _ arguments: ValueRange) throws(Fault) {
    context.output.removeAll()
    appendLiteral(arguments[0], to: &context.output)
    try context.setOutputText()
  }

  static func appendLiteral(_ value: Value, to output: inout ByteBuffer) {
    switch value.kind {
    case .null: output.append("NULL")
    case .integer: output.append(integer: value.integerValue)
    case .real:
      if value.realValue.isInfinite {
        output.append(value.realValue < 0 ? "-9.0e+999" : "9.0e+999")
      } else {
        output.append(real: value.realValue)
      }
    case .blob:
      output.append("X'")
      appendHexadecimal(value.bytes, to: &output)
      output.append(0x27)
    case .text: appendQuoted(value.bytes.untilNUL(), to: &output)
    }
  }

  private static func appendQuoted(_ text: ByteView, to output: inout ByteBuffer) {
    output.reserve(output.count &+ text.count &+ 2)
    output.append(0x27)
    for offset in 0..<text.count {
      if text[offset] == 0x27 { output.append(0x27) }
      output.append(text[offset])
    }
    output.append(0x27)
  }

  /// As `quote`, with `unistr` around text that has control characters.
  static func unistringQuote(_ context: inout FunctionContext, _ arguments: ValueRange) throws(Fault) {
    let value = arguments[0]
    context.output.removeAll()
    let text = value.kind == .text ? value.bytes.untilNUL() : ByteView.empty
    var hasControl = false
    for offset in 0..<text.count where text[offset] < 0x20 { hasControl = true }
    if hasControl {
      appendUnistring(text, to: &context.output)
    } else {
      appendLiteral(value, to: &context.output)
    }
    try context.setOutputText()
  }

  static func appendUnistring(_ text: ByteView, to output: inout ByteBuffer) {
    output.append("unistr('")
    for offset in 0..<text.count {
      let byte = text[offset]
      switch byte {
      case 0x27: output.append("''")
      case 0x5c: output.append("\\\\")
      case 0..<0x20:
        output.append("\\u00")
        output.append(byte >= 0x10 ? 0x31 : 0x30)
        let low = byte & 0x0f
        output.append(low < 10 ? 0x30 &+ low : 0x57 &+ low)
      default: output.append(byte)
      }
    }
    output.append("')")
  }

  /// Text with \XXXX, \uXXXX, \+XXXXXX and \UXXXXXXXX replaced by the characters they name.
  static func unistring(_ context: inout FunctionContext, _ arguments: ValueRange) throws(Fault) {
    if arguments[0].isNull { return context.setNull() }
    let text = context.text(arguments[0])
    context.output.removeAll()
    var offset = 0
    while offset < text.count {
      let byte = text[offset]
      offset &+= 1
      guard byte == 0x5c else {
        context.output.append(byte)
        continue
      }
      let mark = offset < text.count ? text[offset] : 0
      if mark == 0x5c {
        context.output.append(0x5c)
        offset &+= 1
        continue
      }
      let (skip, digits) =
        switch mark {
        case 0x75: (1, 4)
        case 0x2b: (1, 6)
        case 0x55: (1, 8)
        default: (0, 4)
        }
      guard let code = number(text, offset &+ skip, digits) else { throw context.error("invalid Unicode escape") }
      context.output.append(character: code)
      offset &+= skip &+ digits
    }
    try context.setOutputText()
  }

  private static func number(_ text: ByteView, _ start: Int, _ digits: Int) -> UInt32? {
    guard start &+ digits <= text.count else { return nil }
    var code: UInt32 = 0
    for offset in start..<start &+ digits {
      guard let digit = hexadecimalDigit(text[offset]) else { return nil }
      code = code << 4 | UInt32(digit)
    }
    return code
  }
}
