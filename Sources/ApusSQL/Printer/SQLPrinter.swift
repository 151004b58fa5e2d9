// The syntax tree back to text: the leaves, and the door. Printing and parsing again gives an equal tree.
//
// Keywords are upper case, one blank between words, parentheses only where precedence asks for them. A name is quoted
// where it must be: in double quotes if it was so written (which allows SQLite to take it for a string), else in
// backticks, which leave no doubt.

extension Statement {
  /// The statement's text, without a `;`.
  public var sql: String { SQLPrinter.text { $0.write(self) } }
}

extension ParsedStatement {
  /// The statement's text with its EXPLAIN, without a `;`.
  public var sql: String {
    switch explain {
    case .none: statement.sql
    case .program: "EXPLAIN " + statement.sql
    case .queryPlan: "EXPLAIN QUERY PLAN " + statement.sql
    }
  }
}

extension Select {
  public var sql: String { SQLPrinter.text { $0.write(self) } }
}

extension Expression {
  public var sql: String { SQLPrinter.text { $0.write(self) } }
}

extension Name {
  /// The name as it can stand in a statement, quoted where it must be.
  public var sql: String { SQLPrinter.text { $0.write(self) } }
}

struct SQLPrinter {
  var text = ""

  static func text(_ body: (inout SQLPrinter) -> Void) -> String {
    var printer = SQLPrinter()
    body(&printer)
    return printer.text
  }

  mutating func put(_ word: String) { text += word }

  /// The items with a comma between them.
  mutating func list<Item>(_ items: [Item], _ body: (inout SQLPrinter, Item) -> Void) {
    for (index, item) in items.enumerated() {
      if index > 0 { put(", ") }
      body(&self, item)
    }
  }

  mutating func write(_ name: Name) {
    if name.quote == .none, SQLPrinter.isPlain(name) { return put(name.text) }
    let quote: Character = name.quote == .double || name.quote == .single ? "\"" : "`"
    put(SQLPrinter.quoted(name.text, quote))
  }

  mutating func write(schema: Name?, _ name: Name) {
    if let schema {
      write(schema)
      put(".")
    }
    write(name)
  }

  mutating func writeNames(_ names: [Name]) {
    put("(")
    list(names) { $0.write($1) }
    put(")")
  }

  /// Whether the name is no keyword, and of the form of a word.
  static func isPlain(_ name: Name) -> Bool {
    let bytes = name.key.utf8
    guard let first = bytes.first, bytes.allSatisfy({ Lexer.isIdentifierByte($0) }), !Lexer.isDigit(first),
      first != 0x24, name.key != "true", name.key != "false"
    else { return false }
    guard bytes.count >= 2, bytes.count <= Keyword.byteCountMax else { return true }
    var words: (UInt64, UInt64) = (0, 0)
    for (index, byte) in bytes.enumerated() {
      if index < 8 {
        words.0 |= UInt64(byte) << UInt64(index * 8)
      } else if index < 16 {
        words.1 |= UInt64(byte) << UInt64(index * 8 - 64)
      }
    }
    let kind =
      bytes.count <= 8 ? Keyword.short(words.0) : Keyword.long(words.0, words.1, byteCount: bytes.count)
    return kind == .identifier
  }

  /// `text` between quotes, those inside doubled.
  static func quoted(_ text: String, _ quote: Character) -> String {
    var result = String(quote)
    for scalar in text.unicodeScalars {
      result.unicodeScalars.append(scalar)
      if String(scalar) == String(quote) { result.append(quote) }
    }
    result.append(quote)
    return result
  }

  mutating func write(_ literal: Literal) {
    switch literal {
    case .null: put("NULL")
    case .integer(let value) where value < 0 && value != .min:
      // A negative literal was written in hexadecimal; a sign would make it an operation.
      put("0x\(String(UInt64(bitPattern: value), radix: 16))")
    case .integer(let value): put(String(value))
    case .real(let value): put(SQLPrinter.number(value))
    case .text(let text): put(SQLPrinter.quoted(text, "'"))
    case .malformedText(let bytes): put("CAST(x'\(SQLPrinter.hex(bytes))' AS TEXT)")
    case .blob(let bytes): put("x'\(SQLPrinter.hex(bytes))'")
    case .boolean(let value): put(value ? "TRUE" : "FALSE")
    case .currentTime: put("CURRENT_TIME")
    case .currentDate: put("CURRENT_DATE")
    case .currentTimestamp: put("CURRENT_TIMESTAMP")
    }
  }

  /// The shortest decimal that reads back as `value`, recognisable as a real.
  static func number(_ value: Double) -> String {
    if value.isNaN { return "NULL" }
    if value.isInfinite { return value < 0 ? "-9e999" : "9e999" }
    return "\(value)"
  }

  static func hex(_ bytes: [UInt8]) -> String {
    let digits = Array("0123456789ABCDEF".utf8)
    var text: [UInt8] = []
    for byte in bytes {
      text.append(digits[Int(byte >> 4)])
      text.append(digits[Int(byte & 15)])
    }
    return String(decoding: text, as: UTF8.self)
  }
}
