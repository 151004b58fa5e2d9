// A record as one line: for the parent process as "name=value" with tabs between, for other programs as JSON.

struct FieldLine {
  enum Value {
    case text(String), number(Int)
  }

  private(set) var fields: [(name: String, value: Value)] = []

  init() {}

  mutating func add(_ name: String, _ text: String) { fields.append((name, .text(text))) }
  mutating func add(_ name: String, _ number: Int) { fields.append((name, .number(number))) }

  // MARK: between processes

  var line: String {
    fields.map { field in
      switch field.value {
      case .text(let text): "\(field.name)='" + Self.escaped(text)
      case .number(let number): "\(field.name)=\(number)"
      }
    }.joined(separator: "\t")
  }

  init(line: String) {
    for part in line.split(separator: "\t") {
      let pair = part.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
      guard pair.count == 2 else { continue }
      if pair[1].hasPrefix("'") {
        add(String(pair[0]), Self.unescaped(pair[1].dropFirst()))
      } else if let number = Int(pair[1]) {
        add(String(pair[0]), number)
      }
    }
  }

  func text(_ name: String) -> String? {
    for field in fields where field.name == name { if case .text(let text) = field.value { return text } }
    return nil
  }

  func number(_ name: String) -> Int? {
    for field in fields where field.name == name { if case .number(let number) = field.value { return number } }
    return nil
  }

  private static func escaped(_ text: String) -> String {
    text.map { character in
      switch character {
      case "\\": "\\\\"
      case "\n": "\\n"
      case "\t": "\\t"
      default: String(character)
      }
    }.joined()
  }

  private static func unescaped(_ text: Substring) -> String {
    var result = ""
    var isEscape = false
    for character in text {
      if isEscape {
        result.append(character == "n" ? "\n" : character == "t" ? "\t" : character)
        isEscape = false
      } else if character == "\\" {
        isEscape = true
      } else {
        result.append(character)
      }
    }
    return result
  }

  // MARK: for other programs

  var json: String {
    "{"
      + fields.map { field in
        switch field.value {
        case .text(let text): "\"\(field.name)\":\"" + Self.jsonEscaped(text) + "\""
        case .number(let number): "\"\(field.name)\":\(number)"
        }
      }.joined(separator: ",") + "}"
  }

  private static func jsonEscaped(_ text: String) -> String {
    var result = ""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\"": result += "\\\""
      case "\\": result += "\\\\"
      case "\n": result += "\\n"
      case "\t": result += "\\t"
      case let control where control.value < 0x20:
        let digits = String(control.value, radix: 16)
        result += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
      default: result.unicodeScalars.append(scalar)
      }
    }
    return result
  }
}
