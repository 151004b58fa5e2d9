// LIKE and GLOB: our matcher against SQLite's, in the same process, on any bytes.

import ApusHarness

final class PatternTarget: FuzzTarget {
  static let name = "pattern"
  static let summary = "LIKE, with and without ESCAPE, and GLOB: SQLite's answers"
  static let byteCountMax = 512
  static let dictionary = [
    "%", "_", "*", "?", "[", "]", "[^", "[!", "[a-z]", "[]", "[^]]", "\\", "\u{e9}", "\u{1f600}", "%%", "**", "-",
  ]
  private static let sql = "SELECT ?1 LIKE ?2, ?1 GLOB ?2, ?1 LIKE ?2 ESCAPE ?3, like(?2, ?1), ?1 NOT GLOB ?2"

  private let engines: StatementInBoth

  init() throws(EngineFailure) { engines = try StatementInBoth(Self.sql) }

  static func seeds() -> [FuzzSeed] {
    let pairs = [
      ("abc", "a%"), ("abc", "%c"), ("aXbXc", "%X%X%"), ("ABC", "abc"), ("a", "_"), ("\u{e9}\u{e8}", "_\u{e8}"),
      ("10%", "10\\%"),
      ("abc", "[a-c]*"), ("b", "[^a]"), ("]", "[]]"), ("-", "[a-]"), ("a-c", "a[-]c"), ("abcabc", "*abc"), ("", "%"),
      ("", ""),
      ("\u{1f600}x", "?x"), ("a\u{0}b", "a%"), ("aaaaaaaaaaaaab", "a*a*a*a*b"), ("x", "[x"), ("\u{c9}", "\u{e9}"),
    ]
    return pairs.enumerated().map {
      FuzzSeed("pair-\($0.offset)", SplitInput(Array($0.element.0.utf8), Array($0.element.1.utf8)).bytes)
    }
  }

  func check(_ input: [UInt8]) throws(FuzzFinding) {
    let split = SplitInput(input)
    // The escape character: the pattern's first byte, or a backslash.
    let escape = split.second.count > 3 && split.second[0] < 0x80 ? [split.second[0]] : [UInt8(ascii: "\\")]
    let parameters: [HarnessValue] = [.text(split.first), .text(split.second), .text(escape)]
    var answers: [String] = []
    for statement in engines.statements {
      do throws(EngineFailure) {
        answers.append("\(try statement.rows(with: parameters))")
      } catch {
        answers.append("\(error)")
      }
    }
    if answers[0] != answers[1] {
      throw FuzzFinding("a pattern's answer differs", "\(parameters): expected \(answers[0]), found \(answers[1])")
    }
  }
}
