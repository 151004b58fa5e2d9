// The parser's state and its leaves: the current token, names, literals, parameters, errors.
//
// Recursive descent over statements, an operator stack over expressions (see Parser+Expression). One token of
// lookahead; the few places that need more ask the lexer again. Recursion is bounded by `nestingMax`, so that hostile
// text gets an error and not a stack overflow.

import ApusBase

struct Parser {
  let lexer: Lexer
  let limits: SQLLimits
  /// The current token: the first one not consumed.
  var token: Token
  /// The last token consumed.
  var previous: Token

  // The expression stacks, shared by all expressions under way.
  var operands: [Operand] = []
  var pending: [Pending] = []
  /// Set before an expression that may turn out to be `table.*`, and answered by `tableStar`.
  var mayBeTableStar = false
  var tableStar: Name?
  /// The greatest height of an expression of the current select.
  var selectHeight: Int32 = 0
  /// The height of the select parsed last.
  var lastSelectHeight: Int32 = 0

  var parameterCount = 0
  var parameterNames: [String?] = []
  var lastParameterStart = -1
  /// Filled once there are many named parameters. By their bytes: Swift takes strings for equal that Unicode writes in several
  /// ways, SQLite does not.
  var parameterIndex: [[UInt8]: Int] = [:]

  /// How many selects, parenthesised joins and window definitions the current token is inside of.
  var nesting = 0
  /// What a thread's stack of 512 KiB bears in a debug build, with room for the caller.
  static let nestingMax = 100
  /// SQLITE_LIMIT_PARSER_DEPTH: bounds what waits on the expression stacks.
  static let pendingCountMax = 2500

  init(_ text: ByteView, from offset: Int, limits: SQLLimits) throws(SQLError) {
    lexer = Lexer(text)
    self.limits = limits
    previous = Token(.endOfText, offset, offset)
    token = previous
    try advance()
  }

  // MARK: Tokens

  mutating func advance() throws(SQLError) {
    let last = token.kind
    previous = token
    token = lexer.token(at: Int(token.end))
    switch token.kind {
    case .illegal: throw unrecognized(token)
    case .over, .filter, .window: if !isWindowWord(after: last) { token.kind = .identifier }
    default: break
    }
  }

  /// OVER, FILTER and WINDOW are keywords only where what stands around them says so.
  private func isWindowWord(after last: TokenKind) -> Bool {
    let next = lexer.token(at: Int(token.end))
    switch token.kind {
    case .over: return last == .rightParen && (next.kind == .leftParen || isWindowName(next.kind))
    case .filter: return last == .rightParen && next.kind == .leftParen
    default: return isWindowName(next.kind) && lexer.token(at: Int(next.end)).kind == .as
    }
  }

  private func isWindowName(_ kind: TokenKind) -> Bool {
    kind.isName && kind != .indexed || kind == .over || kind == .window
  }

  /// Consumes the current token if it is of `kind`.
  @inline(__always)
  mutating func accept(_ kind: TokenKind) throws(SQLError) -> Bool {
    guard token.kind == kind else { return false }
    try advance()
    return true
  }

  @inline(__always)
  mutating func expect(_ kind: TokenKind) throws(SQLError) {
    guard token.kind == kind else { throw syntaxError() }
    try advance()
  }

  /// The kind of the token behind the current one.
  func peek() -> TokenKind { lexer.token(at: Int(token.end)).kind }

  mutating func enter() throws(SQLError) {
    nesting += 1
    if nesting > Parser.nestingMax { throw SQLError("Recursion limit", at: -1) }
  }

  mutating func leave() { nesting -= 1 }

  // MARK: Errors

  func syntaxError() -> SQLError { syntaxError(at: token) }

  func syntaxError(at token: Token) -> SQLError {
    if token.kind == .endOfText { return SQLError("incomplete input", at: -1) }
    return SQLError("near \"\(text(token))\": syntax error", at: Int(token.start))
  }

  func unrecognized(_ token: Token) -> SQLError {
    SQLError("unrecognized token: \"\(text(token))\"", at: Int(token.start))
  }

  func checkCount(_ count: Int, _ what: StaticString) throws(SQLError) {
    if count > limits.columnCountMax { throw SQLError("too many \(what)", at: -1) }
  }

  // MARK: Names

  func text(_ token: Token) -> String { lexer.text.slice(Int(token.start), token.length).string }

  func text(_ start: Int, _ end: Int) -> String { lexer.text.slice(start, max(end - start, 0)).string }

  /// Whether the current token is the unquoted word `word` (lower case), keyword or not.
  func isWord(_ word: StaticString) -> Bool { isWord(token, word) }

  func isWord(_ token: Token, _ word: StaticString) -> Bool {
    guard token.length == word.utf8CodeUnitCount else { return false }
    return text(token).utf8.elementsEqual("\(word)".utf8) { $0 == $1 || ($0 &- 0x41 < 26 && $0 | 0x20 == $1) }
  }

  /// The token's text as a name, quotes removed.
  func name(_ token: Token) -> Name {
    switch lexer.byte(Int(token.start)) {
    case 0x22: Name(unquoted(token, 0x22), quote: .double)
    case 0x60: Name(unquoted(token, 0x60), quote: .backtick)
    case 0x27: Name(unquoted(token, 0x27), quote: .single)
    case 0x5b: Name(text(Int(token.start) + 1, Int(token.end) - 1), quote: .bracket)
    default: plainName(lexer.text.slice(Int(token.start), token.length))
    }
  }

  private func plainName(_ bytes: ByteView) -> Name {
    let text = bytes.string
    for offset in 0..<bytes.count where bytes[offset] &- 0x41 < 26 { return Name(text) }
    return Name(text: text, key: ExactText(text), quote: .none)
  }

  private func unquoted(_ token: Token, _ quote: UInt8) -> String {
    let content = lexer.text.slice(Int(token.start) + 1, token.length - 2)
    for offset in 0..<content.count where content[offset] == quote {
      return String(decoding: undoubled(content, quote), as: UTF8.self)
    }
    return content.string
  }

  private func undoubled(_ content: ByteView, _ quote: UInt8) -> [UInt8] {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(content.count)
    var offset = 0
    while offset < content.count {
      bytes.append(content[offset])
      offset += content[offset] == quote ? 2 : 1
    }
    return bytes
  }

  /// `nm`: consumes a name.
  mutating func parseName() throws(SQLError) -> Name {
    guard token.kind.isName else { throw syntaxError() }
    let name = name(token)
    try advance()
    return name
  }

  /// `nm dbnm`: `name` or `schema.name`, and the token of the name proper.
  mutating func parseQualifiedName() throws(SQLError) -> (schema: Name?, name: Name, token: Token) {
    let first = token
    let name = try parseName()
    guard try accept(.dot) else { return (nil, name, first) }
    let second = token
    return (name, try parseName(), second)
  }

  /// `(a, b, c)`
  mutating func parseNameList() throws(SQLError) -> [Name] {
    try expect(.leftParen)
    var names = [try parseName()]
    while try accept(.comma) { names.append(try parseName()) }
    try expect(.rightParen)
    return names
  }

  mutating func parseOptionalNameList() throws(SQLError) -> [Name] {
    token.kind == .leftParen ? try parseNameList() : []
  }

  // MARK: Literals

  /// The string token as a literal; bytes that are not UTF-8 are kept.
  func stringLiteral(_ token: Token) -> Literal {
    let content = lexer.text.slice(Int(token.start) + 1, token.length - 2)
    var isPlain = true
    for offset in 0..<content.count {
      let byte = content[offset]
      if byte >= 0x80 || byte == 0x27 {
        isPlain = false
        break
      }
    }
    if isPlain { return .text(content.string) }
    let bytes = undoubled(content, 0x27)
    if let string = String(validating: bytes, as: UTF8.self) { return .text(string) }
    return .malformedText(bytes)
  }

  func blobLiteral(_ token: Token) -> Literal {
    var bytes: [UInt8] = []
    let end = Int(token.end) - 1
    var offset = Int(token.start) + 2
    bytes.reserveCapacity((end - offset) / 2)
    while offset + 1 < end {
      bytes.append(Parser.hexValue(lexer.byte(offset)) << 4 | Parser.hexValue(lexer.byte(offset + 1)))
      offset += 2
    }
    return .blob(bytes)
  }

  static func hexValue(_ byte: UInt8) -> UInt8 { byte < 0x40 ? byte & 15 : (byte & 15) &+ 9 }

  /// An integer, real or separated number. An integer beyond Int64 becomes a real; a hexadecimal one is an error.
  func numericLiteral(_ token: Token) throws(SQLError) -> Literal {
    if token.kind == .integer {
      var value: Int64 = 0
      var fits = true
      var offset = Int(token.start)
      if token.length > 2, lexer.byte(offset + 1) | 0x20 == 0x78 { return try hexLiteral(token, text(token)) }
      while offset < Int(token.end) {
        let (product, overflow) = value.multipliedReportingOverflow(by: 10)
        let (sum, carry) = product.addingReportingOverflow(Int64(lexer.byte(offset) & 15))
        if overflow || carry {
          fits = false
          break
        }
        value = sum
        offset += 1
      }
      if fits { return .integer(value) }
    }
    return try wideNumericLiteral(token)
  }

  @inline(never)
  private func wideNumericLiteral(_ token: Token) throws(SQLError) -> Literal {
    var digits = text(token)
    if token.kind == .separatedNumber {
      let bytes = Array(digits.utf8)
      let isHex = bytes.count > 2 && bytes[1] | 0x20 == 0x78
      for index in bytes.indices where bytes[index] == 0x5f {
        let isDigit = isHex ? Lexer.isHexDigit : Lexer.isDigit
        guard index > 0, index + 1 < bytes.count, isDigit(bytes[index - 1]), isDigit(bytes[index + 1]) else {
          throw SQLError("unrecognized token: \"\(digits)\"", at: -1)
        }
      }
      digits = String(decoding: bytes.filter { $0 != 0x5f }, as: UTF8.self)
      if isHex { return try hexLiteral(token, digits) }
      if let integer = Int64(digits) { return .integer(integer) }
    }
    return .real(Parser.real(digits))
  }

  private func hexLiteral(_ token: Token, _ digits: String) throws(SQLError) -> Literal {
    if let bits = UInt64(
      digits.utf8.dropFirst(2).reduce(into: "") { $0.unicodeScalars.append(Unicode.Scalar($1)) },
      radix: 16)
    {
      return .integer(Int64(bitPattern: bits))
    }
    throw SQLError("hex literal too big: \(digits)", at: Int(token.start))
  }

  /// Decimal digits with an optional fraction and exponent.
  static func real(_ digits: String) -> Double { Double(digits) ?? .infinity }

  /// Whether the literal at `offset` is the integer 9223372036854775808, whose negation is an integer again.
  func isMagnitudeOfSmallestInteger(at offset: Int) -> Bool {
    let token = lexer.token(at: offset)
    guard token.kind == .integer || token.kind == .separatedNumber else { return false }
    let digits = text(token).utf8.filter { $0 != 0x5f }
    return UInt64(String(decoding: digits, as: UTF8.self)) == 1 << 63
  }

  /// Whether the literal at `offset` was written in hexadecimal.
  func isHexadecimal(at offset: Int) -> Bool {
    lexer.byte(offset) == 0x30 && lexer.byte(offset + 1) | 0x20 == 0x78
  }

  // MARK: Parameters

  mutating func parameter(_ token: Token) throws(SQLError) -> Parameter {
    let index: Int
    var name: String?
    lastParameterStart = Int(token.start)
    if token.length == 1 {
      parameterCount += 1
      index = parameterCount
    } else if lexer.byte(Int(token.start)) == 0x3f {
      let text = text(token)
      let number = Int(text.utf8.dropFirst().reduce(0) { $0 > 1_000_000 ? $0 : $0 * 10 + Int($1 & 15) })
      if number < 1 || number > limits.parameterNumberMax {
        throw SQLError(
          "variable number must be between ?1 and ?\(limits.parameterNumberMax)", at: Int(token.start))
      }
      index = number
      parameterCount = max(parameterCount, number)
      name = text
      setParameterName(text, at: number)
    } else {
      let text = text(token)
      name = text
      if let known = indexOfParameter(text) {
        index = known
      } else {
        parameterCount += 1
        index = parameterCount
        setParameterName(text, at: index)
      }
    }
    if parameterCount > limits.parameterNumberMax {
      throw SQLError("too many SQL variables", at: Int(token.start))
    }
    return Parameter(index: index, name: name, offset: token.offset)
  }

  private func indexOfParameter(_ name: String) -> Int? {
    if !parameterIndex.isEmpty { return parameterIndex[Array(name.utf8)] }
    return parameterNames.firstIndex { $0?.utf8.elementsEqual(name.utf8) == true }.map { $0 + 1 }
  }

  private mutating func setParameterName(_ name: String, at index: Int) {
    while parameterNames.count < index { parameterNames.append(nil) }
    guard parameterNames[index - 1] == nil else { return }
    parameterNames[index - 1] = name
    if !parameterIndex.isEmpty {
      parameterIndex[Array(name.utf8)] = index
    } else if parameterNames.count > 16 {
      for (position, name) in parameterNames.enumerated() {
        if let name { parameterIndex[Array(name.utf8)] = position + 1 }
      }
    }
  }
}
