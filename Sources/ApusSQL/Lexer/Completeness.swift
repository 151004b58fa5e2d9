// Whether a text ends where a statement ends, as `sqlite3_complete` decides it: a shell asks for more lines until it
// does. Only words are looked at, not the grammar.

import ApusBase

extension SQLParser {
  /// Whether `text` ends with a `;` that ends a statement: not one inside a string, a comment or a trigger's body, which
  /// ends with `; END;`.
  public static func isComplete(_ text: ByteView) -> Bool {
    var scanner = CompletenessScanner(lexer: Lexer(text))
    return scanner.isComplete()
  }
}

private struct CompletenessScanner {
  enum Phase {
    /// Nothing yet: not even a `;`.
    case empty
    /// Behind the `;` of a statement.
    case complete
    case statement
    case explain
    case create
    case trigger
    case triggerSemicolon
    case triggerEnd
  }
  enum Word { case semicolon, other, explain, create, temporary, trigger, end }

  let lexer: Lexer
  var phase = Phase.empty

  init(lexer: Lexer) { self.lexer = lexer }

  mutating func isComplete() -> Bool {
    var offset = 0
    while true {
      let byte = lexer.byte(offset)
      switch byte {
      case 0: return phase == .complete
      case 0x20, 0x09, 0x0a, 0x0c, 0x0d: offset += 1
      case 0x2f where lexer.byte(offset + 1) == 0x2a:
        let end = lexer.commentEnd(offset + 2)
        guard lexer.byte(end - 1) == 0x2f, lexer.byte(end - 2) == 0x2a, end >= offset + 4 else { return false }
        offset = end
      case 0x2d where lexer.byte(offset + 1) == 0x2d:
        while lexer.byte(offset) != 0x0a, lexer.byte(offset) != 0 { offset += 1 }
      case 0x5b, 0x27, 0x22, 0x60:
        let close: UInt8 = byte == 0x5b ? 0x5d : byte
        offset += 1
        while lexer.byte(offset) != close {
          if lexer.byte(offset) == 0 { return false }
          offset += 1
        }
        offset += 1
        take(.other)
      case 0x3b:
        offset += 1
        take(.semicolon)
      default:
        let start = offset
        while Lexer.isIdentifierByte(lexer.byte(offset)) { offset += 1 }
        if offset == start { offset += 1 }
        take(word(start, offset))
      }
    }
  }

  private func word(_ start: Int, _ end: Int) -> Word {
    switch end - start {
    case 3, 4, 6, 7, 9: break
    default: return .other
    }
    switch Name.fold(lexer.text.slice(start, end - start).string) {
    case "create": return .create
    case "explain": return .explain
    case "temp", "temporary": return .temporary
    case "trigger": return .trigger
    case "end": return .end
    default: return .other
    }
  }

  private mutating func take(_ word: Word) {
    switch (phase, word) {
    case (.trigger, .semicolon), (.triggerSemicolon, .semicolon): phase = .triggerSemicolon
    case (_, .semicolon): phase = .complete
    case (.empty, .explain), (.complete, .explain): phase = .explain
    case (.empty, .create), (.complete, .create), (.explain, .create): phase = .create
    case (.empty, _), (.complete, _), (.statement, _): phase = .statement
    case (.explain, .other): break
    case (.explain, _): phase = .statement
    case (.create, .temporary): break
    case (.create, .trigger): phase = .trigger
    case (.create, _): phase = .statement
    case (.triggerSemicolon, .end): phase = .triggerEnd
    case (.trigger, _), (.triggerSemicolon, _), (.triggerEnd, _): phase = .trigger
    }
  }
}
