// LIKE and GLOB: a pattern of single-character elements and "any run" marks against a text.
//
// Only the last "any run" mark ever needs to be tried again: what stood before it has matched as early as it can, and
// starting it later leaves less text for the rest. So the match needs no recursion, no memory, and at most
// (pattern bytes) * (text bytes) steps. A NUL ends both pattern and text, as for SQLite's C strings.

import ApusBase

struct PatternMatch {
  /// The character that stands for any run of characters, and that for any one; zero where there is none.
  var anyRun: UInt32
  var anyOne: UInt32
  /// Makes the next character of the pattern stand for itself; zero where there is none.
  var escape: UInt32
  /// `[...]` stands for one of a set of characters.
  var hasSets: Bool
  /// ASCII letters match in either case.
  var foldsCase: Bool

  static let like = PatternMatch(anyRun: 0x25, anyOne: 0x5f, escape: 0, hasSets: false, foldsCase: true)
  static let likeCaseSensitive = PatternMatch(anyRun: 0x25, anyOne: 0x5f, escape: 0, hasSets: false, foldsCase: false)
  static let glob = PatternMatch(anyRun: 0x2a, anyOne: 0x3f, escape: 0, hasSets: true, foldsCase: false)

  private enum Step { case matched(pattern: Int, text: Int), mismatch, never }

  func matches(_ pattern: ByteView, _ text: ByteView) -> Bool {
    var p = 0
    var t = 0
    var retryPattern = -1
    var retryText = 0
    while true {
      if p == pattern.count || pattern[p] == 0 {
        if t == text.count || text[t] == 0 { return true }
      } else if UInt32(pattern[p]) == anyRun, anyRun != 0 {
        p &+= 1
        if p == pattern.count || pattern[p] == 0 { return true }
        retryPattern = p
        t = skipAhead(pattern, p, text, t)
        retryText = t
        continue
      } else if t == text.count || text[t] == 0 {
        // Longer runs only leave less text.
        return false
      } else {
        switch step(pattern, p, text, t) {
        case .matched(let nextPattern, let nextText):
          p = nextPattern
          t = nextText
          continue
        case .never: return false
        case .mismatch: break
        }
      }
      // Mismatch: let the last run take one character more.
      if retryPattern < 0 || retryText == text.count || text[retryText] == 0 { return false }
      t = skipAhead(pattern, retryPattern, text, text.characterEnd(retryText))
      retryText = t
      p = retryPattern
    }
  }

  // Where the element at `p` is a plain ASCII character, the first place from `t` on that has it, or the text's end.
  @inline(__always)
  private func skipAhead(_ pattern: ByteView, _ p: Int, _ text: ByteView, _ t: Int) -> Int {
    let byte = pattern[p]
    let code = UInt32(byte)
    if byte >= 0x80 || code == anyRun || code == anyOne || code == escape || (hasSets && byte == 0x5b) { return t }
    let other = foldsCase && (byte | 0x20) &- 0x61 < 26 ? byte ^ 0x20 : byte
    var position = t
    // Eight bytes at a time while none of them is the byte, its other case, or NUL.
    let low: UInt64 = 0x0101_0101_0101_0101
    let first = low &* UInt64(byte)
    let second = low &* UInt64(other)
    while position &+ 8 <= text.count {
      let word = text.bigEndianUInt64(at: position)
      let a = word ^ first
      let b = word ^ second
      let zeros = ((a &- low) & ~a) | ((b &- low) & ~b) | ((word &- low) & ~word)
      if zeros & (low << 7) != 0 { break }
      position &+= 8
    }
    while position < text.count {
      let candidate = text[position]
      if candidate == byte || candidate == other || candidate == 0 { break }
      position &+= 1
    }
    return position
  }

  // One element of the pattern against one character of the text; neither is at its end.
  @inline(__always)
  private func step(_ pattern: ByteView, _ p: Int, _ text: ByteView, _ t: Int) -> Step {
    let byte = pattern[p]
    var code = UInt32(byte)
    var next = p &+ 1
    if byte >= 0x80 { (code, next) = pattern.character(at: p) }
    if hasSets, byte == 0x5b { return set(pattern, next, text, t) }
    if code == escape, escape != 0 {
      if next == pattern.count || pattern[next] == 0 { return .never }
      (code, next) = pattern.character(at: next)
    } else if code == anyOne, anyOne != 0 {
      return .matched(pattern: next, text: text.characterEnd(t))
    }
    let textByte = text[t]
    if textByte < 0x80 {
      let isEqual = UInt32(textByte) == code
        || (foldsCase && code < 0x80 && folded(textByte) == folded(UInt8(truncatingIfNeeded: code)))
      return isEqual ? .matched(pattern: next, text: t &+ 1) : .mismatch
    }
    let (character, end) = text.character(at: t)
    return character == code ? .matched(pattern: next, text: end) : .mismatch
  }

  @inline(__always)
  private func folded(_ byte: UInt8) -> UInt8 { byte &- 0x41 < 26 ? byte | 0x20 : byte }

  // `[abc]`, `[a-z]`, `[^...]`; a closing bracket in first place stands for itself. `start` is behind the bracket.
  private func set(_ pattern: ByteView, _ start: Int, _ text: ByteView, _ t: Int) -> Step {
    var position = start
    func read() -> UInt32 {
      if position == pattern.count || pattern[position] == 0 { return 0 }
      let (code, end) = pattern.character(at: position)
      position = end
      return code
    }
    func peek() -> UInt8 { position == pattern.count ? 0 : pattern[position] }
    let (character, end) = text.character(at: t)
    var isMember = false
    var isInverted = false
    var previous: UInt32 = 0
    var code = read()
    if code == 0x5e {
      isInverted = true
      code = read()
    }
    if code == 0x5d {
      if character == 0x5d { isMember = true }
      code = read()
    }
    while code != 0, code != 0x5d {
      if code == 0x2d, peek() != 0x5d, peek() != 0, previous > 0 {
        code = read()
        if character >= previous, character <= code { isMember = true }
        previous = 0
      } else {
        if character == code { isMember = true }
        previous = code
      }
      code = read()
    }
    // A set that never ends matches nothing.
    if code == 0 { return .never }
    return isMember != isInverted ? .matched(pattern: position, text: end) : .mismatch
  }
}
