// Parsing strings, for tests.

import ApusBase

@testable import ApusSQL

func withView<Result>(_ text: String, _ body: (ByteView) throws -> Result) rethrows -> Result {
  let bytes = Array(text.utf8)
  return try unsafe bytes.withUnsafeBytes { try body(unsafe ByteView(unchecked: $0)) }
}

func parse(_ text: String) throws -> ParsedStatement {
  try withView(text) { try SQLParser.parseSingle($0) }
}

func parseExpression(_ text: String) throws -> Expression {
  try withView(text) { try SQLParser.parseExpression($0) }
}

/// The error that parsing the first statement gives, nil if there is none.
func parseError(_ text: String) -> SQLError? {
  withView(text) { view in
    do throws(SQLError) {
      _ = try SQLParser.parseNext(view)
      return nil
    } catch {
      return error
    }
  }
}
