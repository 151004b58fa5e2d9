// Values as logic tests write them: integers, reals with three decimals, text with what is not printable as '@'.
// `unsafe` lives here: vsnprintf(3).

import ApusHarness
import Glibc

enum ValueText {
  static func text(of value: HarnessValue, type: UInt8) -> [UInt8] {
    if value == .null { return Array("NULL".utf8) }
    switch type {
    case UInt8(ascii: "I"): return Array(String(integer(value)).utf8)
    case UInt8(ascii: "R"): return threeDecimals(real(value))
    default:
      let bytes: [UInt8] =
        switch value {
        case .text(let bytes), .blob(let bytes): bytes
        case .integer(let integer): Array(String(integer).utf8)
        case .real(let bits): fifteenDigits(Double(bitPattern: bits))
        case .null: []
        }
      if bytes.isEmpty { return Array("(empty)".utf8) }
      return bytes.map { $0 >= 0x20 && $0 <= 0x7e ? $0 : UInt8(ascii: "@") }
    }
  }

  private static func integer(_ value: HarnessValue) -> Int64 {
    switch value {
    case .integer(let integer): return integer
    case .real(let bits):
      let real = Double(bitPattern: bits)
      if real >= 9_223_372_036_854_775_808 { return .max }
      return real < -9_223_372_036_854_775_808 ? .min : Int64(real)
    case .text(let bytes), .blob(let bytes): return leadingInteger(bytes)
    case .null: return 0
    }
  }

  private static func leadingInteger(_ bytes: [UInt8]) -> Int64 {
    var digits = String(decoding: bytes.drop { $0 == 0x20 }, as: UTF8.self)[...]
    let sign = digits.hasPrefix("-") ? "-" : ""
    if digits.hasPrefix("-") || digits.hasPrefix("+") { digits = digits.dropFirst() }
    return Int64(sign + digits.prefix { $0.isASCII && $0.isNumber }) ?? 0
  }

  private static func real(_ value: HarnessValue) -> Double {
    switch value {
    case .integer(let integer): return Double(integer)
    case .real(let bits): return Double(bitPattern: bits)
    case .text(let bytes), .blob(let bytes): return unsafe strtod(String(decoding: bytes, as: UTF8.self), nil)
    case .null: return 0
    }
  }

  /// As SQLite's printf writes "%.3f": digits after the sixteenth are zeros.
  private static func threeDecimals(_ value: Double) -> [UInt8] {
    if value.magnitude < 1e16 || !value.isFinite { return format("%.3f", value) }
    let scientific = format("%.15e", value)
    let mantissa = scientific.prefix { $0 != UInt8(ascii: "e") }.filter { $0 != UInt8(ascii: ".") }
    let digits = mantissa.count - (value < 0 ? 1 : 0)
    let exponent = Int(String(decoding: scientific.drop { $0 != UInt8(ascii: "e") }.dropFirst(), as: UTF8.self)) ?? 0
    return mantissa + [UInt8](repeating: UInt8(ascii: "0"), count: max(0, exponent + 1 - digits)) + Array(".000".utf8)
  }

  private static func fifteenDigits(_ value: Double) -> [UInt8] {
    let text = format("%.15g", value)
    return text.contains(where: { ".eni".utf8.contains($0) }) ? text : text + Array(".0".utf8)
  }

  private static func format(_ format: String, _ value: Double) -> [UInt8] {
    var buffer = [CChar](repeating: 0, count: 400)
    let count = unsafe withVaList([value]) { arguments in
      unsafe vsnprintf(&buffer, buffer.count, format, arguments)
    }
    return buffer.prefix(max(0, min(Int(count), buffer.count - 1))).map { UInt8(bitPattern: $0) }
  }
}
