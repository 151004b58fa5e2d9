// The parser's door.

import ApusBase

public enum SQLParser {
  /// Parses the first statement of `text` at or after `offset`, skipping empty ones.
  /// - Returns: nil when nothing but blanks, comments and `;` is left.
  public static func parseNext(
    _ text: ByteView, from offset: Int = 0, limits: SQLLimits = .default
  ) throws(SQLError) -> ParsedStatement? {
    throw SQLError("the parser is not built yet", at: offset)
  }

  /// Parses one expression that takes the whole text.
  public static func parseExpression(
    _ text: ByteView, limits: SQLLimits = .default
  ) throws(SQLError) -> Expression {
    throw SQLError("the parser is not built yet", at: 0)
  }
}
