// The parser's door.

import ApusBase

public enum SQLParser {
  /// Parses the first statement of `text` at or after `offset`, skipping empty ones.
  ///
  /// The text may hold further statements: `ParsedStatement.end` is where they begin.
  /// - Returns: nil when nothing but blanks, comments and `;` is left.
  /// - Throws: `SQLError` with SQLite's message and the offset of the token concerned.
  public static func parseNext(
    _ text: ByteView, from offset: Int = 0, limits: SQLLimits = .default
  ) throws(SQLError) -> ParsedStatement? {
    try check(text, limits)
    var parser = try Parser(text, from: offset, limits: limits)
    return try parser.parseNext()
  }

  /// Where SQLite's parser stops in a text whose first statement cannot be prepared: behind that statement where its grammar
  /// is right, else behind the token that is wrong, or before it where it is no token.
  public static func stop(in text: ByteView, limits: SQLLimits = .default) -> Int {
    let offset: Int
    do throws(SQLError) {
      return try parseNext(text, limits: limits)?.end ?? text.count
    } catch {
      offset = error.offset
    }
    guard offset >= 0, offset < text.count else { return text.count }
    let token = Lexer(text).token(at: offset)
    return Int(token.kind == .illegal ? token.start : token.end)
  }

  /// Parses one expression that takes the whole text.
  public static func parseExpression(
    _ text: ByteView, limits: SQLLimits = .default
  ) throws(SQLError) -> Expression {
    try check(text, limits)
    var parser = try Parser(text, from: 0, limits: limits)
    let expression = try parser.parseExpression()
    guard parser.token.kind == .endOfText else { throw parser.syntaxError() }
    return expression
  }

  /// Parses the only statement of `text`, as `sqlite_schema` stores one for each table, index, view and trigger.
  /// - Throws: also where there is none, or more than one.
  public static func parseSingle(
    _ text: ByteView, limits: SQLLimits = .default
  ) throws(SQLError) -> ParsedStatement {
    guard let statement = try parseNext(text, limits: limits) else { throw SQLError("incomplete input", at: -1) }
    let rest = Lexer(text).token(at: statement.end)
    guard rest.kind == .endOfText else {
      throw SQLError("near \"\(text.slice(Int(rest.start), rest.length).string)\": syntax error", at: Int(rest.start))
    }
    return statement
  }

  private static func check(_ text: ByteView, _ limits: SQLLimits) throws(SQLError) {
    if text.count > min(limits.sqlByteCountMax, Int(Int32.max) - 16) {
      throw SQLError("statement too long", at: -1)
    }
  }
}
