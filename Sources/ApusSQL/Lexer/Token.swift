// The kinds of tokens. Their order groups them, so that "may this keyword be a name here?" is one comparison.

enum TokenKind: UInt8, Sendable {
  /// The end of the text, also a zero byte.
  case endOfText
  /// A token no statement contains: an unknown character, an unclosed quote, a malformed number.
  case illegal
  case semicolon, leftParen, rightParen, comma, dot
  case plus, minus, star, slash, percent, concatenate, arrow, doubleArrow
  case equal, notEqual, less, lessOrEqual, greater, greaterOrEqual
  case bitAnd, bitOr, bitNot, shiftLeft, shiftRight
  case integer, float
  /// A number with `_` between digits.
  case separatedNumber
  case blob, variable

  // Reserved words.
  case add, all, alter, and, `as`, autoincrement, between, `case`, check, collate, commit, constraint, create,
    `default`, deferrable, delete, distinct, drop, `else`, escape, except, exists, foreign, from, group, having,
    `in`, index, insert, intersect, into, `is`, isnull, join, limit, not, nothing, notnull, null, on, or, order,
    primary, references, returning, select, set, table, then, to, transaction, union, unique, update, using, values,
    when, `where`
  // Keywords only where the words around them say so; otherwise the parser makes them identifiers.
  case filter, over, window

  // From here on, every token can be a name.
  case string
  // Join operators: names, but no aliases without AS.
  case cross, full, inner, left, natural, outer, right

  // Names and aliases.
  case indexed
  /// A word that is no keyword, or a word in `"`, `` ` `` or `[]`.
  case identifier
  case abort, action, after, always, analyze, asc, attach, before, begin, by, cascade, cast, column, conflict,
    current, currentDate, currentTime, currentTimestamp, database, deferred, desc, detach, `do`, each, end, exclude,
    exclusive, explain, fail, first, following, `for`, generated, glob, groups, `if`, ignore, immediate,
    initially, instead, key, last, like, match, materialized, no, nulls, of, offset, others, partition, plan,
    pragma, preceding, query, raise, range, recursive, regexp, reindex, release, rename, replace, restrict, rollback,
    row, rows, savepoint, temp, ties, trigger, unbounded, vacuum, view, virtual, with, without

  /// `nm` of SQLite's grammar: identifiers, strings, and keywords that are no reserved words.
  @inline(__always) var isName: Bool { rawValue >= TokenKind.string.rawValue }
  /// `id`: as `isName`, without strings and join operators.
  @inline(__always) var isIdentifier: Bool { rawValue >= TokenKind.indexed.rawValue }
  /// `ids` with the fallback of unreserved keywords: what can be an alias without AS, or a word of a type.
  @inline(__always) var isAlias: Bool { rawValue > TokenKind.indexed.rawValue || self == .string }
  @inline(__always) var isJoinWord: Bool {
    rawValue >= TokenKind.cross.rawValue && rawValue <= TokenKind.right.rawValue
  }
}

struct Token {
  var kind: TokenKind
  var start: Int32
  var end: Int32

  @inline(__always) init(_ kind: TokenKind, _ start: Int, _ end: Int) {
    self.kind = kind
    self.start = Int32(truncatingIfNeeded: start)
    self.end = Int32(truncatingIfNeeded: end)
  }
  @inline(__always) var offset: SourceOffset { SourceOffset(Int(start)) }
  @inline(__always) var length: Int { Int(end) - Int(start) }
}
