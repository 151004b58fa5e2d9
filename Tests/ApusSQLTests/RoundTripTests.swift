// The printer is the parser's inverse.

import ApusBase
import Testing

@testable import ApusSQL

@Suite("printing")
struct RoundTripTests {
  @Test("an accepted statement, printed and parsed again, is the same tree")
  func corpus() throws {
    for text in acceptedStatements.split(separator: "\n") {
      guard let statement = try withView(String(text), { try SQLParser.parseNext($0) }) else { continue }
      let printed = statement.sql
      let again = try parse(printed)
      let isSame = again.statement == statement.statement
      #expect(isSame, "\(text)\n\(printed)")
      #expect(again.explain == statement.explain)
      #expect(again.sql == printed)
    }
  }

  @Test("a random tree, printed and parsed, is the same tree", arguments: UInt64(1)...300)
  func random(seed: UInt64) throws {
    var trees = RandomTree(seed: seed)
    for step in 0..<10 {
      let statement = trees.statement()
      let printed = statement.sql
      let parsed: ParsedStatement
      do { parsed = try parse(printed) } catch {
        Issue.record("seed \(seed), step \(step): \(error) in \(printed)")
        continue
      }
      let isSame = parsed.statement == statement
      #expect(isSame, "seed \(seed), step \(step): \(printed)\n\(parsed.sql)")
      #expect(parsed.sql == printed, "seed \(seed), step \(step)")
    }
  }

  @Test("a name is quoted where it must be")
  func names() {
    #expect(Name("abc").sql == "abc")
    #expect(Name("a b").sql == "`a b`")
    #expect(Name("a`b").sql == "`a``b`")
    #expect(Name("select").sql == "`select`")
    #expect(Name("Key").sql == "`Key`")
    #expect(Name("1a").sql == "`1a`")
    #expect(Name("").sql == "``")
    #expect(Name("x", quote: .double).sql == "\"x\"")
    #expect(Name("é").sql == "é")
  }
}
