// Hostile and unusual texts get errors; nothing traps and nothing overflows the stack.

import ApusBase
import Testing

@testable import ApusSQL

@Suite("limits")
struct ParserLimitTests {
  private func repeated(_ text: String, _ count: Int) -> String { String(repeating: text, count: count) }

  @Test("nesting without recursion goes as deep as the expression limit allows")
  func depth() {
    let tooLarge = "Expression tree is too large (maximum depth 1000)"
    func nested(_ front: String, _ back: String) -> String {
      (0..<4).reduce("1") { text, _ in front + text + repeated("+1", 600) + back }
    }
    let cases: [(String, String?)] = [
      (repeated("(", 2400) + "1" + repeated(")", 2400), nil),
      (repeated("(", 100_000), "Recursion limit"),
      (repeated("(", 100_000) + "1" + repeated(")", 100_000), "Recursion limit"),
      (repeated("abs(", 900) + "1" + repeated(")", 900), nil),
      (repeated("abs(", 1000) + "1" + repeated(")", 1000), "Expression tree is too large (maximum depth 1000)"),
      (repeated("abs(", 100_000), "Recursion limit"),
      (repeated("- ", 999) + "1", nil),
      (repeated("- ", 1000) + "1", "Expression tree is too large (maximum depth 1000)"),
      ("1" + repeated("+1", 999), nil),
      ("1" + repeated("+1", 1000), "Expression tree is too large (maximum depth 1000)"),
      ("1" + repeated(" AND 1", 100_000), "Expression tree is too large (maximum depth 1000)"),
      (repeated("CASE WHEN ", 100_000), "Recursion limit"),
      (repeated("1 IN (", 100_000), "Recursion limit"),
      (repeated("1 BETWEEN ", 100_000), "Recursion limit"),
      (repeated("(SELECT ", 40) + "1" + repeated(")", 40), nil),
      (repeated("(SELECT ", 100_000), "Recursion limit"),
      (repeated("EXISTS (SELECT ", 100_000), "Recursion limit"),
      (repeated("sum(1) OVER (ORDER BY ", 100_000), "Recursion limit"),
      (repeated("sum(1 ORDER BY ", 100_000), "Recursion limit"),
      (repeated("1 IN f(", 100_000), "Recursion limit"),
      (repeated("RAISE(ABORT, ", 100_000), "Recursion limit"),
      ("1 FROM " + repeated("(", 100_000), "Recursion limit"),
      ("1 FROM " + repeated("(SELECT * FROM ", 100_000), "Recursion limit"),
      ("1 FROM " + repeated("f(1 IN g(", 100_000), "Recursion limit"),
      ("1 FROM (" + repeated("WITH a AS (", 100_000), "Recursion limit"),
      ("1 IN (" + repeated("1,", 100_000) + "1)", nil),
      // Heights add up, however the expression stands in the other one.
      (nested("count(*) FILTER (WHERE ", ")"), tooLarge),
      (nested("count(*) OVER (ORDER BY ", ")"), tooLarge),
      (nested("count(*) OVER (ROWS ", " PRECEDING)"), tooLarge),
      (nested("max(1 ORDER BY ", ")"), tooLarge),
      (nested("RAISE(ABORT, ", ")"), tooLarge),
      (nested("1 IN f(", ")"), tooLarge),
      (nested("(SELECT 1 FROM (SELECT ", "))"), tooLarge),
      (nested("(WITH a AS (SELECT ", ") SELECT 1)"), tooLarge),
    ]
    for (text, message) in cases {
      #expect(parseError("SELECT " + text)?.message == message, "\(text.prefix(40))")
    }
  }

  @Test("counts have SQLite's limits and messages")
  func counts() {
    func list(_ count: Int, _ item: (Int) -> String = { _ in "1" }) -> String {
      (0..<count).map(item).joined(separator: ",")
    }
    let cases: [(String, String?)] = [
      ("SELECT 1" + repeated(" UNION SELECT 1", 499), nil),
      ("SELECT 1" + repeated(" UNION SELECT 1", 500), "too many terms in compound SELECT"),
      ("VALUES (1)" + repeated(", (1)", 100_000), nil),
      ("SELECT f(" + list(1000) + ")", nil),
      ("SELECT f(" + list(1001) + ")", "too many arguments on function f"),
      ("SELECT " + list(2000), nil),
      ("SELECT " + list(2001), "too many columns in result set"),
      ("SELECT 1 ORDER BY " + list(2001), "too many terms in ORDER BY clause"),
      ("SELECT 1 GROUP BY " + list(2001), "too many terms in GROUP BY clause"),
      ("CREATE TABLE t (" + list(2000) { "c\($0)" } + ")", nil),
      ("CREATE TABLE t (" + list(2001) { "c\($0)" } + ")", "too many columns on t"),
      ("CREATE INDEX i ON t (" + list(2001) { _ in "a" } + ")", "too many columns in index"),
      ("UPDATE t SET " + list(2001) { _ in "a = 1" }, "too many columns in set list"),
      ("SELECT 1 IN (" + list(32766) { ":a\($0)" } + ")", nil),
      ("SELECT 1 IN (" + list(32767) { ":a\($0)" } + ")", "too many SQL variables"),
      ("SELECT 1 IN (" + list(32767) { _ in "?" } + ")", "too many SQL variables"),
    ]
    for (text, message) in cases { #expect(parseError(text)?.message == message, "\(text.prefix(40))") }
  }

  @Test("lower limits are kept")
  func ownLimits() {
    var limits = SQLLimits()
    limits.expressionDepthMax = 3
    limits.sqlByteCountMax = 30
    func message(_ text: String) -> String? {
      withView(text) { view in
        do throws(SQLError) {
          _ = try SQLParser.parseNext(view, limits: limits)
          return nil
        } catch { return error.message }
      }
    }
    #expect(message("SELECT 1 + 2 + 3") == nil)
    #expect(message("SELECT 1 + 2 + 3 + 4") == "Expression tree is too large (maximum depth 3)")
    #expect(message("SELECT 1, 2, 3, 4, 5, 6, 7, 8, 9, 10") == "statement too long")
  }

  @Test("damaged texts give a tree or an error with an offset inside the text", arguments: UInt64(1)...40)
  func damage(seed: UInt64) {
    var random = SeededRandom(seed: seed)
    let marks = Array("()'\"`[];,.?:@$#-/*|&<>=!~ \u{0}x0".utf8)
    let statements = acceptedStatements.split(separator: "\n").map { Array($0.utf8) }
    for _ in 0..<250 {
      var bytes = statements[random.below(statements.count)]
      for _ in 0...random.below(3) where !bytes.isEmpty {
        let place = random.below(bytes.count)
        switch random.below(4) {
        case 0: bytes[place] = UInt8(random.below(256))
        case 1: bytes.remove(at: place)
        case 2: bytes.insert(marks[random.below(marks.count)], at: place)
        default: bytes.removeSubrange(place...)
        }
      }
      unsafe bytes.withUnsafeBytes { buffer in
        let view = unsafe ByteView(unchecked: buffer)
        _ = SQLParser.isComplete(view)
        do throws(SQLError) {
          var offset = 0
          while let statement = try SQLParser.parseNext(view, from: offset) {
            #expect(statement.end > offset, "seed \(seed): \(view.string)")
            offset = statement.end
            _ = statement.sql
          }
        } catch {
          #expect(error.offset >= -1 && error.offset <= view.count, "seed \(seed): \(view.string)")
        }
      }
    }
  }
}
