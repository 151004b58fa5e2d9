// Tells a whole SQL statement from one that goes on, as `sqlite3_complete` does: a semicolon ends it, except inside strings,
// comments and the body of CREATE TRIGGER, which ends with "; END;". Source: https://sqlite.org/c3ref/complete.html

enum StatementText {
  private enum Word { case semicolon, space, other, explain, create, temporary, trigger, end }

  /// True where `sql` ends with a statement's semicolon, or holds nothing but spaces and comments after one.
  static func isComplete(_ sql: [UInt8]) -> Bool {
    // 0 nothing yet, 1 start of a statement, 2 inside one, 3 EXPLAIN, 4 CREATE, 5 in a trigger, 6 ";" there, 7 "; END".
    var state = 0
    var index = 0
    while index < sql.count {
      guard let word = nextWord(sql, &index) else { return false }
      switch (state, word) {
      case (_, .space): break
      case (5, .semicolon): state = 6
      case (5, _): state = 5
      case (6, .semicolon): state = 6
      case (6, .end): state = 7
      case (6, _): state = 5
      case (7, .semicolon): state = 1
      case (7, _): state = 5
      case (_, .semicolon): state = 1
      case (0, .explain), (1, .explain): state = 3
      case (0, .create), (1, .create), (3, .create): state = 4
      case (3, .explain), (3, .other): state = 3
      case (4, .temporary): state = 4
      case (4, .trigger): state = 5
      default: state = 2
      }
    }
    return state == 1
  }

  /// True where nothing but spaces and comments (and semicolons, where they are allowed) is in the text.
  static func isBlank(_ sql: some Collection<UInt8>, allowingSemicolons: Bool = false) -> Bool {
    let sql = Array(sql)
    var index = 0
    while index < sql.count {
      guard let word = nextWord(sql, &index) else { return true }
      if word == .space || (allowingSemicolons && word == .semicolon) { continue }
      return false
    }
    return true
  }

  static func isSpace(_ byte: UInt8) -> Bool { byte == 0x20 || (byte >= 0x09 && byte <= 0x0d) }

  /// nil where a string or a comment has no end.
  private static func nextWord(_ sql: [UInt8], _ index: inout Int) -> Word? {
    let first = sql[index]
    func at(_ i: Int) -> UInt8 { i < sql.count ? sql[i] : 0 }
    switch first {
    case UInt8(ascii: ";"):
      index += 1
      return .semicolon
    case 0x20, 0x09, 0x0a, 0x0c, 0x0d:
      index += 1
      return .space
    case UInt8(ascii: "/") where at(index + 1) == UInt8(ascii: "*"):
      index += 2
      while index < sql.count, !(sql[index] == UInt8(ascii: "*") && at(index + 1) == UInt8(ascii: "/")) { index += 1 }
      if index >= sql.count { return nil }
      index += 2
      return .space
    case UInt8(ascii: "-") where at(index + 1) == UInt8(ascii: "-"):
      while index < sql.count, sql[index] != 0x0a { index += 1 }
      return .space
    case UInt8(ascii: "["), UInt8(ascii: "`"), UInt8(ascii: "\""), UInt8(ascii: "'"):
      let close = first == UInt8(ascii: "[") ? UInt8(ascii: "]") : first
      index += 1
      while index < sql.count, sql[index] != close { index += 1 }
      if index >= sql.count { return nil }
      index += 1
      return .other
    default:
      let start = index
      while index < sql.count, isIdentifier(sql[index]) { index += 1 }
      if index == start {
        index += 1
        return .other
      }
      switch String(decoding: sql[start..<index], as: UTF8.self).lowercased() {
      case "create": return .create
      case "explain": return .explain
      case "temp", "temporary": return .temporary
      case "trigger": return .trigger
      case "end": return .end
      default: return .other
      }
    }
  }

  private static func isIdentifier(_ byte: UInt8) -> Bool {
    byte >= 0x80 || byte == UInt8(ascii: "_") || byte == UInt8(ascii: "$")
      || (byte >= 0x30 && byte <= 0x39) || (byte | 0x20 >= 0x61 && byte | 0x20 <= 0x7a)
  }
}
