// A statement with its values in it, as the shell takes it.

struct SQLText {
  private let sql: String
  private let bindings: [Operation.Binding]

  init(_ sql: String, _ bindings: [Operation.Binding]) {
    self.sql = sql
    self.bindings = bindings
  }

  var text: String {
    var text = ""
    var rest = sql[...]
    while let mark = rest.firstIndex(of: "?") {
      text += rest[..<mark]
      rest = rest[rest.index(after: mark)...]
      let digits = rest.prefix { $0.isNumber }
      rest = rest.dropFirst(digits.count)
      if let number = Int(digits), bindings.indices.contains(number - 1) {
        text += Self.literal(bindings[number - 1])
      } else {
        text += "?" + digits
      }
    }
    return text + rest
  }

  private static func literal(_ binding: Operation.Binding) -> String {
    switch binding {
    case .null: return "NULL"
    case .integer(let number): return "\(number)"
    case .text(let bytes): return "'" + String(decoding: bytes, as: UTF8.self) + "'"
    case .blob(let bytes):
      let digits = bytes.map { byte in
        let text = String(byte, radix: 16)
        return text.count < 2 ? "0" + text : text
      }
      return "x'" + digits.joined() + "'"
    }
  }
}
