// A sqllogictest file as records. Source: https://sqlite.org/sqllogictest/doc/trunk/about.wiki

struct LogicTestRecord {
  enum Kind {
    case statement(expectsError: Bool)
    case query(types: [UInt8], sort: Sort, label: String?, expected: [String])
    case hashThreshold(Int)
    case halt
    /// A record that this runner does not know; it counts as failed.
    case unknown(String)
  }

  enum Sort { case none, rows, values }

  var line: Int
  var kind: Kind
  var sql: String
  /// The `skipif` (true) and `onlyif` (false) conditions before the record.
  var conditions: [(isSkip: Bool, engine: String)] = []

  func applies(to engine: String) -> Bool {
    conditions.allSatisfy { $0.isSkip ? $0.engine != engine : $0.engine == engine }
  }
}

enum LogicTestFile {
  static func parse(_ bytes: [UInt8]) -> [LogicTestRecord] {
    let lines = bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false).map { line in
      String(decoding: line.last == UInt8(ascii: "\r") ? line.dropLast() : line, as: UTF8.self)
    }
    var records: [LogicTestRecord] = []
    var conditions: [(isSkip: Bool, engine: String)] = []
    var index = 0

    func isBlank(_ i: Int) -> Bool { i >= lines.count || lines[i].allSatisfy { $0 == " " || $0 == "\t" } }
    func takeText(until stop: (String) -> Bool) -> String {
      var text: [String] = []
      while !isBlank(index), !stop(lines[index]) {
        text.append(lines[index])
        index += 1
      }
      return text.joined(separator: "\n")
    }

    while index < lines.count {
      let line = index + 1
      // Everything after a '#' on a command line is a comment.
      let command = lines[index].prefix { $0 != "#" }
      let words = command.split(whereSeparator: { $0 == " " || $0 == "\t" }).map(String.init)
      index += 1
      guard let verb = words.first else { continue }
      var record = LogicTestRecord(line: line, kind: .halt, sql: "", conditions: conditions)
      switch verb {
      case "skipif", "onlyif":
        if words.count > 1 { conditions.append((verb == "skipif", words[1])) }
        continue
      case "halt": break
      case "hash-threshold": record.kind = .hashThreshold(words.count > 1 ? Int(words[1]) ?? 0 : 0)
      case "statement":
        record.kind = .statement(expectsError: words.count > 1 && words[1] == "error")
        record.sql = takeText(until: { _ in false })
      case "query":
        record.sql = takeText(until: { $0 == "----" })
        var expected: [String] = []
        if index < lines.count, lines[index] == "----" {
          index += 1
          while index < lines.count, !lines[index].isEmpty {
            expected.append(lines[index])
            index += 1
          }
        }
        let sort: LogicTestRecord.Sort =
          switch words.count > 2 ? words[2] : "nosort" {
          case "rowsort": .rows
          case "valuesort": .values
          default: .none
          }
        record.kind = .query(
          types: words.count > 1 ? Array(words[1].utf8) : [], sort: sort, label: words.count > 3 ? words[3] : nil,
          expected: expected)
      default: record.kind = .unknown(verb)
      }
      records.append(record)
      conditions = []
    }
    return records
  }
}
