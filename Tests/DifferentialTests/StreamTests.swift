// Streams of random statements: our engine and SQLite agree after every step on rows, counters, errors and contents.

import ApusHarness
import Testing

@Suite("Differential: random statements", .timeLimit(.minutes(10)))
struct StreamTests {
  static let stepCount = 400

  @Test("a stream of statements has SQLite's results, counters and errors", arguments: UInt64(1)...24)
  func streamsAgree(seed: UInt64) throws {
    let ours = try Engines.named("apus").open(":memory:", readOnly: false)
    let reference = try SQLiteLibrary().open(":memory:", readOnly: false)
    for sql in StatementGenerator.schema {
      try reference.execute(sql)
      try ours.execute(sql)
    }
    var generator = StatementGenerator(seed: seed)
    for step in 1...StreamTests.stepCount {
      let sql = generator.statement()
      let isOrdered = sql.contains("ORDER BY") && sql.hasPrefix("SELECT")
      if let difference = Outcome.compare(sql, ours, reference, isOrdered: isOrdered) {
        Issue.record("seed \(seed), step \(step): \(sql)\n  \(difference)")
        return
      }
      let counters = [reference, ours].map { [$0.changes, $0.totalChanges, $0.lastInsertRowid] }
      if counters[0] != counters[1] {
        Issue.record("seed \(seed), step \(step): \(sql)\n  changes, total, rowid: \(counters[0]), found \(counters[1])")
        return
      }
      guard step % 20 == 0 else { continue }
      for table in ["a", "b", "c"] {
        if let difference = Outcome.compare("SELECT * FROM \(table)", ours, reference, isOrdered: true) {
          Issue.record("seed \(seed), step \(step): contents of \(table) differ\n  \(difference)")
          return
        }
      }
    }
  }
}
