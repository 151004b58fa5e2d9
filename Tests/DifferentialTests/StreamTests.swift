// Streams of random statements: our engine and SQLite agree after every step on rows, counters, errors and contents.

import ApusFuzzing
import ApusHarness
import Foundation
import Testing

@Suite("Differential: random statements", .timeLimit(.minutes(30)))
struct StreamTests {
  static let stepCount = 400
  /// In an order that no choice of index decides.
  static let contents = ["SELECT * FROM a ORDER BY id", "SELECT * FROM b ORDER BY k", "SELECT * FROM c ORDER BY rowid"]

  @Test("a stream of statements has SQLite's results, counters and errors", arguments: UInt64(1)...24)
  func streamsAgree(seed: UInt64) throws {
    let ours = try Engines.named("apus").open(":memory:", readOnly: false)
    let reference = try SQLiteLibrary().open(":memory:", readOnly: false)
    var log = StatementGenerator.schema
    for sql in log {
      try reference.execute(sql)
      try ours.execute(sql)
    }
    var generator = StatementGenerator(seed: seed)
    for step in 1...StreamTests.stepCount {
      let sql = generator.statement()
      log.append(sql)
      let isOrdered = sql.contains("ORDER BY") && sql.hasPrefix("SELECT")
      let expected = Outcome(reference, sql)
      let found = Outcome(ours, sql)
      // Which of several rows breaks which rule first depends on the order in which an UPDATE finds them.
      if sql.hasPrefix("UPDATE"), case .failure = expected, case .failure = found { continue }
      if let difference = Outcome.difference(expected: expected, found: found, isOrdered: isOrdered) {
        return fail(seed, step, log, difference)
      }
      let counters = [reference, ours].map { [$0.changes, $0.totalChanges, $0.lastInsertRowid] }
      if counters[0] != counters[1] {
        return fail(seed, step, log, "changes, total, rowid: \(counters[0]), found \(counters[1])")
      }
      if sql.hasPrefix("SELECT") { continue }
      for query in StreamTests.contents {
        if let difference = Outcome.compare(query, ours, reference, isOrdered: true) {
          return fail(seed, step, log, "afterwards, \(query): \(difference)")
        }
      }
    }
  }

  /// Reports the step, and leaves the statements up to there in a file that either shell runs.
  private func fail(_ seed: UInt64, _ step: Int, _ log: [String], _ difference: String) {
    let path = FileManager.default.temporaryDirectory.appendingPathComponent("apus-stream-\(seed).sql").path
    try? Data((log.joined(separator: ";\n") + ";\n").utf8).write(to: URL(fileURLWithPath: path))
    Issue.record("seed \(seed), step \(step): \(log.last ?? "")\n  \(difference)\n  all statements: \(path)")
  }
}
