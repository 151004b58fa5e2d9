// Answers that SQLite 3.54.1 gave, kept in Recorded/answers.sql: where the SQLite of the system may be older and answer
// otherwise, and where rows come without ORDER BY in an order that matters.

import ApusHarness
import Testing

/// An empty database, its statements, and for each what SQLite said: the rows as lines, or the message.
struct RecordedScript: Sendable, CustomTestStringConvertible {
  var title: String
  var statements: [(sql: String, answer: [String])] = []

  var testDescription: String { title }

  static let all: [RecordedScript] = {
    let folder = #filePath.split(separator: "/").dropLast().joined(separator: "/")
    let bytes = Console.contents(of: "/\(folder)/Recorded/answers.sql") ?? []
    var scripts: [RecordedScript] = []
    for line in String(decoding: bytes, as: UTF8.self).split(separator: "\n") {
      if line.hasPrefix("## ") {
        scripts.append(RecordedScript(title: String(line.dropFirst(3))))
      } else if line.hasPrefix("# ") {
        continue
      } else if line.hasPrefix("= ") || line.hasPrefix("! ") {
        let last = scripts[scripts.count - 1].statements.count - 1
        scripts[scripts.count - 1].statements[last].answer.append(String(line))
      } else {
        scripts[scripts.count - 1].statements.append((String(line), []))
      }
    }
    return scripts
  }()
}

@Suite("Differential: recorded answers")
struct AnswerTests {
  @Test("every statement has the answer that SQLite 3.54.1 gave, its rows in the same order", arguments: RecordedScript.all)
  func answers(script: RecordedScript) throws {
    let connection = try Engines.named("apus").open(":memory:", readOnly: false)
    defer { connection.close() }
    for (sql, answer) in script.statements {
      let found: [String]
      switch Outcome(connection, sql) {
      case .table(let table): found = table.rows.map { "= " + $0.map(\.description).joined(separator: ", ") }
      case .failure(let failure): found = ["! \(failure.message)"]
      }
      // Byte by byte: for Swift, spellings are equal that Unicode calls equivalent.
      #expect(found.map { Array($0.utf8) } == answer.map { Array($0.utf8) }, "\(sql): \(found), not \(answer)")
    }
  }

  @Test("no script is lost")
  func scripts() { #expect(RecordedScript.all.count >= 15) }
}
