// The parser accepts and rejects what SQLite does, with SQLite's words.

import ApusBase
import Testing

@testable import ApusSQL

@Suite("grammar")
struct GrammarTests {
  @Test("what SQLite accepts is accepted")
  func accepts() {
    let statements = acceptedStatements.split(separator: "\n")
    #expect(statements.count > 350)
    for statement in statements {
      let error = parseError(String(statement))
      #expect(error == nil, "\(statement)")
    }
  }

  @Test("what SQLite rejects is rejected with its message and offset")
  func rejects() throws {
    let lines = rejectedStatements.split(separator: "\n")
    #expect(lines.count > 350)
    for line in lines {
      let parts = line.split(separator: " | ", maxSplits: 2, omittingEmptySubsequences: false)
      try #require(parts.count == 3, "\(line)")
      let error = parseError(String(parts[2]))
      #expect(error?.message == String(parts[1]), "\(line)")
      #expect(error?.offset == Int(parts[0]), "\(line)")
    }
  }

  @Test("messages of the grammar's own checks")
  func ownChecks() {
    let expected = [
      ("create trigger a after insert on t begin select ?; end", "trigger cannot use variables"),
      (
        "create trigger a after insert on t begin insert into t(a) values(1) returning a; end",
        "cannot use RETURNING in a trigger"
      ),
      ("create table t8(a, b as (1) foo)", "error in generated column \"b\""),
      ("create temp table main.t8(a)", "temporary table name must be unqualified"),
      ("update t set (a,b) = 1", "2 columns assigned 1 values"),
      ("with a as (select 1), a as (select 2) select 1", "duplicate WITH table name: a"),
      ("select 'a\u{0}b'", "unrecognized token: \"'a\""),
    ]
    for (text, message) in expected { #expect(parseError(text)?.message == message, "\(text)") }
  }

  @Test(
    "operators group as their precedence says",
    arguments: [
      ("a OR b AND c", "a OR (b AND c)"), ("a AND b OR c", "(a AND b) OR c"),
      ("NOT a = b", "NOT (a = b)"), ("NOT a AND b", "(NOT a) AND b"), ("NOT a IN (1)", "NOT (a IN (1))"),
      ("a = b = c", "(a = b) = c"), ("a = b < c", "a = (b < c)"), ("a IS b LIKE c", "(a IS b) LIKE c"),
      ("a < b | c", "a < (b | c)"), ("a | b & c << d", "((a | b) & c) << d"), ("a << b + c", "a << (b + c)"),
      ("a + b * c", "a + (b * c)"), ("a - b - c", "(a - b) - c"), ("a * b || c", "a * (b || c)"),
      ("a || b -> c", "(a || b) -> c"), ("-a COLLATE x", "(-a) COLLATE x"), ("a || b COLLATE x", "a || (b COLLATE x)"),
      ("- a * b", "(-a) * b"), ("~ a + b", "(~a) + b"), ("1 + NOT a * b", "1 + (NOT (a * b))"),
      ("a BETWEEN 1 AND 2 AND c", "(a BETWEEN 1 AND 2) AND c"),
      ("a BETWEEN 1 AND 2 = b", "(a BETWEEN 1 AND 2) = b"), ("a BETWEEN 1 AND 2 < b", "a BETWEEN 1 AND (2 < b)"),
      ("a LIKE b || c ESCAPE d", "a LIKE (b || c) ESCAPE d"), ("a LIKE b = c", "(a LIKE b) = c"),
      ("a NOT NULL = b", "(a NOT NULL) = b"), ("a OR b NOT NULL", "a OR (b NOT NULL)"),
      ("a + b ISNULL", "(a + b) ISNULL"), ("a IS NOT NULL", "a NOTNULL"), ("((a)) + (b)", "a + b"),
      ("a IS NOT DISTINCT FROM b", "a IS b"), ("a IS DISTINCT FROM b", "a IS NOT b"), ("a == b", "a = b"),
      ("a != b", "a <> b"), ("a IN (1) IN (2)", "(a IN (1)) IN (2)"),
    ])
  func precedence(text: String, explicit: String) throws {
    #expect(try parseExpression(text) == parseExpression(explicit))
  }

  @Test("every keyword is recognised in every case, and nothing near it")
  func keywords() {
    let words = [
      "ABORT", "BY", "CURRENT_DATE", "CURRENT_TIME", "CURRENT_TIMESTAMP", "SELECT", "TEMPORARY", "TEMP",
      "AUTOINCREMENT",
      "MATERIALIZED", "TRANSACTION", "WITHOUT", "REFERENCES", "NOTNULL", "INDEXED", "EXCLUSIVE", "CONSTRAINT",
    ]
    func kind(_ text: String) -> TokenKind { withView(text) { Lexer($0).token(at: 0).kind } }
    for word in words {
      #expect(kind(word) != .identifier, "\(word)")
      #expect(kind(word.lowercased()) == kind(word), "\(word)")
      #expect(kind(String(word.dropLast()) + "_") == .identifier, "\(word)")
      #expect(kind(word + "S") == .identifier, "\(word)")
      #expect(kind("\"\(word)\"") == .identifier, "\(word)")
    }
  }
}
