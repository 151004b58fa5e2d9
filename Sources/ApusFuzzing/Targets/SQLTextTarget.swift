// SQL text: every statement that parses is printed and parsed again, and the trees are equal.

import ApusBase
import ApusHarness
import ApusSQL

final class SQLTextTarget: FuzzTarget {
  static let name = "text"
  static let summary = "SQL text: parse, print, parse again gives the same tree"
  static let byteCountMax = 4096
  static let dictionary = SQLWords.all

  init() {}

  static func seeds() -> [FuzzSeed] {
    SQLWords.statements.enumerated().map { FuzzSeed("statement-\($0.offset)", $0.element) }
      + (1...40).map { number in
        var generator = StatementGenerator(seed: UInt64(number))
        return FuzzSeed("generated-\(number)", generator.statement() + ";" + generator.statement())
      }
  }

  func check(_ input: [UInt8]) throws(FuzzFinding) {
    try withView(of: input) { (text) throws(FuzzFinding) in
      _ = SQLParser.isComplete(text)
      var offset = 0
      // A literal that is no UTF-8 is printed as what it is cast from: then only what is printed is parsed and printed again.
      let isUTF8 = String(validating: input, as: UTF8.self) != nil
      while let parsed = Self.next(text, from: offset) {
        guard parsed.end > offset, parsed.end <= text.count else {
          throw FuzzFinding("the end of a statement is not behind its beginning", "\(offset), \(parsed.end)")
        }
        for place in SQLParser.parameterPlaces(in: text.slice(offset, parsed.end - offset)) {
          if place.offset + place.count > parsed.end - offset {
            throw FuzzFinding("a parameter ends behind its statement")
          }
        }
        offset = parsed.end
        try Self.roundTrip(parsed, isUTF8: isUTF8)
      }
      _ = try? SQLParser.parseExpression(text)
    }
  }

  private static func next(_ text: ByteView, from offset: Int) -> ParsedStatement? {
    do throws(SQLError) {
      return try SQLParser.parseNext(text, from: offset)
    } catch {
      return nil
    }
  }

  private static func roundTrip(_ parsed: ParsedStatement, isUTF8: Bool) throws(FuzzFinding) {
    let printed = parsed.sql
    try withView(of: Array(printed.utf8)) { (view) throws(FuzzFinding) in
      let again: ParsedStatement
      do throws(SQLError) {
        again = try SQLParser.parseSingle(view)
      } catch {
        throw FuzzFinding("what was printed cannot be parsed", "\(error): \(printed)")
      }
      if isUTF8, again.statement != parsed.statement || again.explain != parsed.explain {
        throw FuzzFinding("the tree differs", "\(printed)\n\(again.sql)")
      }
      if again.sql != printed { throw FuzzFinding("the text differs", "\(printed)\n\(again.sql)") }
    }
  }
}
