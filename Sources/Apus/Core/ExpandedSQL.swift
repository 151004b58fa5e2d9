// A statement's text with its parameters replaced by what is bound. Source: https://sqlite.org/c3ref/expanded_sql.html

import ApusBase
import ApusFunctions
import ApusSQL
import ApusVM

extension PreparedStatement {
  /// The statement's text with the bound values in place of the parameters, as literals.
  /// A text is cut off at its first NUL, as SQLite cuts it.
  public var expandedSQL: String { withExpandedText { $0.string } }

  /// The same, byte for byte.
  public func withExpandedText<R>(_ body: (ByteView) -> R) -> R {
    var text = ByteBuffer(capacity: sql.utf8.count)
    withText { text.append($0) }
    var result = FunctionContext(environment: connection.environment)
    var end = 0
    var next = 1
    for place in SQLParser.parameterPlaces(in: text.bytes) {
      result.output.append(text.bytes.slice(end, place.offset - end))
      end = place.offset + place.count
      let name = text.bytes.slice(place.offset, place.count)
      var index = next
      if name[0] == UInt8(ascii: "?"), name.count > 1 {
        index = Int(name.suffix(from: 1).string) ?? 0
      } else if name[0] != UInt8(ascii: "?") {
        index = parameterIndex(name.string)
      }
      next = max(index + 1, next)
      Self.append(binding(index), &result)
    }
    result.output.append(text.bytes.suffix(from: end))
    return body(result.output.bytes)
  }

  private static func append(_ value: Value, _ result: inout FunctionContext) {
    let hexadecimal: StaticString = "0123456789abcdef"
    switch value.kind {
    case .null: result.output.append("NULL")
    case .integer: result.output.append(integer: value.integerValue)
    case .real: try? PrintfFormatter.appendLiteral(value.realValue, &result)
    case .text:
      result.output.append(0x27)
      for offset in 0..<value.bytes.count {
        let byte = value.bytes[offset]
        if byte == 0 { break }
        if byte == 0x27 { result.output.append(byte) }
        result.output.append(byte)
      }
      result.output.append(0x27)
    case .blob:
      var digits = ByteBuffer(capacity: 16)
      digits.append(hexadecimal)
      result.output.append("x'")
      for offset in 0..<value.bytes.count {
        result.output.append(digits.bytes[Int(value.bytes[offset] >> 4)])
        result.output.append(digits.bytes[Int(value.bytes[offset] & 15)])
      }
      result.output.append(0x27)
    }
  }
}
