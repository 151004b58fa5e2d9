// Numbers and text: what text is read as which number, and that numbers survive their text.

import ApusBase
import ApusHarness

final class NumberTarget: FuzzTarget {
  static let name = "number"
  static let summary = "numbers in text: SQLite's reading, and numbers that come back from their text"
  static let byteCountMax = 400
  static let dictionary = [
    "e", "E", "+", "-", ".", "1e308", "1e-308", "9223372036854775807", "9223372036854775808", "0x", "inf", "nan",
    "00000", "e+",
    "4.9e-324", "17976931348623157", "2.2250738585072014e-308",
  ]
  private static let sql = """
    SELECT CAST(?1 AS INTEGER), typeof(CAST(?1 AS NUMERIC)), typeof(?1 + 0), CAST(CAST(?1 AS BLOB) AS INTEGER),
    CAST(?1 AS REAL), ?1 + 0
    """
  /// SQLite 3.40 reads up to this many digits exactly.
  private static let exactDigitCountMax = 15
  /// Digits that a reading keeps; what stands behind them is as good as zeros.
  private static let keptDigitCount = 18

  private let engines: StatementInBoth

  init() throws(EngineFailure) { engines = try StatementInBoth(Self.sql) }

  static func seeds() -> [FuzzSeed] {
    let texts = [
      "0", "-1", "12345678", "9223372036854775807", "9223372036854775808", "-9223372036854775808",
      "-9223372036854775809", "1.5",
      ".5", "5.", "1e3", "1e", "1e+", "1e400", "1e-400", " 12 ", "12abc", "abc", "+", "-", ".", "", "0x10", "1e15",
      "123456789012345678",
      "0.1", "1e22", "1e23", "4.9e-324", "1.7976931348623157e308", "00000000000000000000001",
      "0.00000000000000000000000000001e30",
    ]
    return texts.enumerated().map { FuzzSeed("number-\($0.offset)", $0.element) }
  }

  func check(_ input: [UInt8]) throws(FuzzFinding) {
    try compareReading(input)
    try Self.checkExactness(input)
    if input.count >= 8 { try Self.checkText(input[0..<8].reduce(0) { $0 << 8 | UInt64($1) }) }
  }

  /// A text with a NUL in it is not compared: since 3.54, as here, arithmetic takes it for a real.
  private func compareReading(_ input: [UInt8]) throws(FuzzFinding) {
    if input.contains(0) { return }
    var answers: [[HarnessValue]] = []
    for statement in engines.statements {
      do throws(EngineFailure) {
        answers.append(try statement.rows(with: [.text(input)])[0])
      } catch {
        throw FuzzFinding("a number's text gives an error", "\(error)")
      }
    }
    for (column, (expected, found)) in zip(answers[0], answers[1]).enumerated() where expected != found {
      // In the last digits SQLite 3.40 is not exact, and we are.
      if case .real(let one) = expected, case .real(let other) = found, Self.isRight(other, besides: one, input) {
        continue
      }
      // The very smallest ones are 0 there, and 0 is an integer where it may be one.
      if column == 1, case .real(let one) = answers[0][4], case .real(let other) = answers[1][4],
        Double(bitPattern: one) == 0, Self.isRight(other, besides: one, input)
      {
        continue
      }
      throw FuzzFinding(
        "a number is read otherwise",
        "\(HarnessValue.text(input)), column \(column): expected \(expected), found \(found)")
    }
  }

  /// Whether a real that is not SQLite's is the one that the text says: rounded rightly, or beside that one where
  /// there are more digits than a number's reading keeps. The sign of a zero does not count: for "-" SQLite 3.40 says
  /// -0.0, later ones 0.0.
  static func isRight(_ found: UInt64, besides reference: UInt64, _ input: [UInt8]) -> Bool {
    let (text, digitCount) = number(in: input), signs: UInt64 = 1 << 63
    guard let exact = text.isEmpty ? 0 : Double(text) else { return false }
    if found & ~signs == 0, exact == 0 || reference & ~signs == 0 && exact.magnitude <= .leastNonzeroMagnitude {
      return true
    }
    if found & signs != exact.bitPattern & signs { return false }
    let sizes = [found & ~signs, exact.bitPattern & ~signs]
    return max(sizes[0], sizes[1]) - min(sizes[0], sizes[1]) <= (digitCount > keptDigitCount ? 1 : 0)
  }

  /// The number that a text begins with, as SQLite sees it, and how many digits it has behind leading zeros.
  private static func number(in input: [UInt8]) -> (text: String, digitCount: Int) {
    var rest = input.drop { $0 == 0x20 || (0x09...0x0d).contains($0) }
    var text: [UInt8] = []
    func take(_ isTaken: (UInt8) -> Bool) -> [UInt8] {
      let taken = Array(rest.prefix(while: isTaken))
      rest = rest.dropFirst(taken.count)
      return taken
    }
    if let sign = rest.first, sign == 0x2b || sign == 0x2d {
      text.append(sign)
      rest = rest.dropFirst()
    }
    var digits = take(isASCIIDigit)
    text += digits.isEmpty ? [0x30] : digits
    if rest.first == 0x2e {
      rest = rest.dropFirst()
      let fraction = take(isASCIIDigit)
      if !fraction.isEmpty { text += [0x2e] + fraction }
      digits += fraction
    }
    if digits.isEmpty { return ("", 0) }
    if rest.first.map({ $0 | 0x20 }) == 0x65 {
      rest = rest.dropFirst()
      var exponent: [UInt8] = [0x65]
      if let sign = rest.first, sign == 0x2b || sign == 0x2d {
        exponent.append(sign)
        rest = rest.dropFirst()
      }
      let power = take(isASCIIDigit)
      if !power.isEmpty { text += exponent + power }
    }
    return (String(decoding: text, as: UTF8.self), digits.drop { $0 == 0x30 }.count)
  }

  /// A text that is a number and no more, of so many digits that no rounding happens before the last step, is read as Swift
  /// reads it.
  private static func checkExactness(_ input: [UInt8]) throws(FuzzFinding) {
    let digits = input.drop { $0 == UInt8(ascii: "-") }
    guard let first = digits.first, isASCIIDigit(first),
      digits.allSatisfy({ isASCIIDigit($0) || [0x2e, 0x65, 0x2d].contains($0) }),
      digits.count(where: isASCIIDigit) <= exactDigitCountMax,
      let expected = Double(String(decoding: input, as: UTF8.self))
    else { return }
    try withView(of: input) { (view) throws(FuzzFinding) in
      let found = NumberScan(view).real
      if found.bitPattern != expected.bitPattern, !(found == 0 && expected == 0) {
        throw FuzzFinding("a number is not read exactly", "\(view.string): expected \(expected), found \(found)")
      }
    }
  }

  /// A number's text gives the number again.
  private static func checkText(_ bits: UInt64) throws(FuzzFinding) {
    var text = ByteBuffer()
    text.append(integer: Int64(bitPattern: bits))
    if text.bytes.string != String(Int64(bitPattern: bits)) {
      throw FuzzFinding("an integer's text differs", text.bytes.string)
    }
    let real = Double(bitPattern: bits)
    guard real.isFinite else { return }
    var realText = ByteBuffer()
    realText.append(real: real)
    let printed = realText.bytes.string
    guard let again = Double(printed) else { throw FuzzFinding("a real's text is no number", "\(real): \(printed)") }
    if again != real { throw FuzzFinding("a real does not survive its text", "\(real): \(printed)") }
    if NumberScan(realText.bytes).real != real {
      throw FuzzFinding("a real's text is read as another real", "\(real): \(printed)")
    }
  }
}
