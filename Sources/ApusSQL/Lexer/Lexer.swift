// Text to tokens, one at a time: `token(at:)` is a function of the text and an offset, so looking ahead is calling it
// again. The text ends at its end or at a zero byte, as for SQLite.

import ApusBase

struct Lexer {
  let text: ByteView

  init(_ text: ByteView) { self.text = text }

  /// The byte at `offset`, 0 behind the end.
  @inline(__always)
  func byte(_ offset: Int) -> UInt8 { offset < text.count ? text[offset] : 0 }

  /// The first token at or after `offset`, behind blanks, comments and byte order marks.
  func token(at offset: Int) -> Token {
    var start = offset
    while true {
      let first = byte(start)
      switch first {
      case 0x20, 0x09, 0x0a, 0x0c, 0x0d:
        start &+= 1
        while Lexer.isSpace(byte(start)) { start &+= 1 }
      case 0x2d:  // -
        let second = byte(start &+ 1)
        if second == 0x2d {
          start &+= 2
          while byte(start) != 0x0a, byte(start) != 0 { start &+= 1 }
          continue
        }
        if second == 0x3e {
          return byte(start &+ 2) == 0x3e
            ? Token(.doubleArrow, start, start &+ 3) : Token(.arrow, start, start &+ 2)
        }
        return Token(.minus, start, start &+ 1)
      case 0x2f:  // /
        guard byte(start &+ 1) == 0x2a, byte(start &+ 2) != 0 else { return Token(.slash, start, start &+ 1) }
        start = commentEnd(start &+ 2)
      case 0xef where byte(start &+ 1) == 0xbb && byte(start &+ 2) == 0xbf:
        start &+= 3
      default:
        return token(startingWith: first, at: start)
      }
    }
  }

  /// Behind the `*/` that closes a comment, or the end of the text.
  func commentEnd(_ offset: Int) -> Int {
    var offset = offset
    while true {
      let next = byte(offset)
      if next == 0 { return offset }
      if next == 0x2a, byte(offset &+ 1) == 0x2f { return offset &+ 2 }
      offset &+= 1
    }
  }

  private func token(startingWith first: UInt8, at start: Int) -> Token {
    switch first {
    case 0x61...0x7a, 0x41...0x5a, 0x5f, 0x80...0xff:
      if first | 0x20 == 0x78, byte(start &+ 1) == 0x27 { return blob(at: start) }
      return word(at: start)
    case 0x30...0x39: return number(at: start)
    case 0: return Token(.endOfText, start, start)
    case 0x28: return Token(.leftParen, start, start &+ 1)
    case 0x29: return Token(.rightParen, start, start &+ 1)
    case 0x2c: return Token(.comma, start, start &+ 1)
    case 0x2e:
      if Lexer.isDigit(byte(start &+ 1)) { return number(at: start) }
      return Token(.dot, start, start &+ 1)
    case 0x3b: return Token(.semicolon, start, start &+ 1)
    case 0x2a: return Token(.star, start, start &+ 1)
    case 0x2b: return Token(.plus, start, start &+ 1)
    case 0x25: return Token(.percent, start, start &+ 1)
    case 0x7e: return Token(.bitNot, start, start &+ 1)
    case 0x26: return Token(.bitAnd, start, start &+ 1)
    case 0x27, 0x22, 0x60: return quoted(first, at: start)
    case 0x5b: return bracketed(at: start)
    case 0x3f:
      var end = start &+ 1
      while Lexer.isDigit(byte(end)) { end &+= 1 }
      return Token(.variable, start, end)
    case 0x3a, 0x40, 0x24, 0x23: return variable(at: start)
    default: return punctuation(first, byte(start &+ 1), at: start)
    }
  }

  private func punctuation(_ first: UInt8, _ second: UInt8, at start: Int) -> Token {
    switch (first, second) {
    case (0x3d, 0x3d): Token(.equal, start, start &+ 2)
    case (0x3d, _): Token(.equal, start, start &+ 1)
    case (0x3c, 0x3d): Token(.lessOrEqual, start, start &+ 2)
    case (0x3c, 0x3e): Token(.notEqual, start, start &+ 2)
    case (0x3c, 0x3c): Token(.shiftLeft, start, start &+ 2)
    case (0x3c, _): Token(.less, start, start &+ 1)
    case (0x3e, 0x3d): Token(.greaterOrEqual, start, start &+ 2)
    case (0x3e, 0x3e): Token(.shiftRight, start, start &+ 2)
    case (0x3e, _): Token(.greater, start, start &+ 1)
    case (0x21, 0x3d): Token(.notEqual, start, start &+ 2)
    case (0x7c, 0x7c): Token(.concatenate, start, start &+ 2)
    case (0x7c, _): Token(.bitOr, start, start &+ 1)
    default: Token(.illegal, start, start &+ 1)
    }
  }

  private func word(at start: Int) -> Token {
    var end = start
    var first: UInt64 = 0
    var second: UInt64 = 0
    var rest = false
    while true {
      let next = byte(end)
      guard Lexer.isIdentifierByte(next) else { break }
      let length = end &- start
      let folded = UInt64(next &- 0x41 < 26 ? next | 0x20 : next)
      if length < 8 {
        first |= folded << UInt64(truncatingIfNeeded: length &* 8)
      } else if length < 16 {
        second |= folded << UInt64(truncatingIfNeeded: (length &- 8) &* 8)
      } else {
        rest = rest || folded != 0x70  // CURRENT_TIMESTAM[P]
      }
      end &+= 1
    }
    let length = end &- start
    if length <= 8 { return Token(length < 2 ? .identifier : Keyword.short(first), start, end) }
    if rest || length > Keyword.byteCountMax { return Token(.identifier, start, end) }
    return Token(Keyword.long(first, second, byteCount: length), start, end)
  }

  private func number(at start: Int) -> Token {
    var kind = TokenKind.integer
    var end = start
    if byte(start) == 0x30, byte(start &+ 1) | 0x20 == 0x78, Lexer.isHexDigit(byte(start &+ 2)) {
      end = start &+ 3
      while true {
        let next = byte(end)
        if !Lexer.isHexDigit(next) {
          guard next == 0x5f else { break }
          kind = .separatedNumber
        }
        end &+= 1
      }
    } else {
      skipDigits(&end, &kind)
      if byte(end) == 0x2e {
        if kind == .integer { kind = .float }
        end &+= 1
        skipDigits(&end, &kind)
      }
      if byte(end) | 0x20 == 0x65 {
        let next = byte(end &+ 1)
        if Lexer.isDigit(next) || ((next == 0x2b || next == 0x2d) && Lexer.isDigit(byte(end &+ 2))) {
          if kind == .integer { kind = .float }
          end &+= 2
          skipDigits(&end, &kind)
        }
      }
    }
    while Lexer.isIdentifierByte(byte(end)) {
      kind = .illegal
      end &+= 1
    }
    return Token(kind, start, end)
  }

  private func skipDigits(_ end: inout Int, _ kind: inout TokenKind) {
    while true {
      let next = byte(end)
      if !Lexer.isDigit(next) {
        guard next == 0x5f else { return }
        kind = .separatedNumber
      }
      end &+= 1
    }
  }

  private func blob(at start: Int) -> Token {
    var end = start &+ 2
    while Lexer.isHexDigit(byte(end)) { end &+= 1 }
    var kind = TokenKind.blob
    if byte(end) != 0x27 || (end &- start) % 2 != 0 {
      kind = .illegal
      while byte(end) != 0, byte(end) != 0x27 { end &+= 1 }
    }
    if byte(end) != 0 { end &+= 1 }
    return Token(kind, start, end)
  }

  private func quoted(_ quote: UInt8, at start: Int) -> Token {
    var end = start &+ 1
    while true {
      let next = byte(end)
      if next == 0 { return Token(.illegal, start, end) }
      end &+= 1
      if next == quote {
        guard byte(end) == quote else { return Token(quote == 0x27 ? .string : .identifier, start, end) }
        end &+= 1
      }
    }
  }

  private func bracketed(at start: Int) -> Token {
    var end = start &+ 1
    while true {
      let next = byte(end)
      if next == 0 { return Token(.illegal, start, end) }
      end &+= 1
      if next == 0x5d { return Token(.identifier, start, end) }
    }
  }

  /// `:name`, `@name`, `#name` and `$name::more(anything without blanks)`.
  private func variable(at start: Int) -> Token {
    var end = start &+ 1
    var length = 0
    var kind = TokenKind.variable
    while true {
      let next = byte(end)
      if Lexer.isIdentifierByte(next) {
        length &+= 1
      } else if next == 0x28, length > 0 {
        repeat { end &+= 1 } while byte(end) != 0 && !Lexer.isSpace(byte(end)) && byte(end) != 0x29
        if byte(end) == 0x29 { end &+= 1 } else { kind = .illegal }
        break
      } else if next == 0x3a, byte(end &+ 1) == 0x3a {
        end &+= 1
      } else {
        break
      }
      end &+= 1
    }
    return Token(length == 0 ? .illegal : kind, start, end)
  }

  @inline(__always)
  static func isSpace(_ byte: UInt8) -> Bool { byte == 0x20 || byte &- 0x09 < 5 }
  @inline(__always)
  static func isDigit(_ byte: UInt8) -> Bool { byte &- 0x30 < 10 }
  @inline(__always)
  static func isHexDigit(_ byte: UInt8) -> Bool { byte &- 0x30 < 10 || (byte | 0x20) &- 0x61 < 6 }
  /// Letters, digits, `_`, `$` and every byte of a character beyond ASCII.
  @inline(__always)
  static func isIdentifierByte(_ byte: UInt8) -> Bool {
    (byte | 0x20) &- 0x61 < 26 || byte &- 0x30 < 10 || byte >= 0x80 || byte == 0x5f || byte == 0x24
  }
}
