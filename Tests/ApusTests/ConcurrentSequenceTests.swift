// BEGIN CONCURRENT and AUTOINCREMENT: those who take row ids go beside each other, and the sequence ends with the largest of them.

import ApusBase
import ApusIO
import ApusStorage
import Testing

@testable import Apus

@Suite struct ConcurrentSequenceTests {
  private static let tables =
    "CREATE TABLE log(id INTEGER PRIMARY KEY AUTOINCREMENT, v); CREATE TABLE other(id INTEGER PRIMARY KEY AUTOINCREMENT, v);"
    + " CREATE TABLE plain(id INTEGER PRIMARY KEY, v); INSERT INTO plain VALUES (1, 0)"

  private func sequence(_ connection: Connection, _ table: String = "log") throws -> [String] {
    try connection.text("SELECT seq FROM sqlite_sequence WHERE name = '\(table)'")
  }

  private func insert(_ connection: Connection, _ table: String = "log") throws -> Int64 {
    try connection.execute("INSERT INTO \(table)(v) VALUES (1)")
    return connection.lastInsertRowid
  }

  @Test(
    "two that insert at once both commit, in either order, with ids of their own", arguments: [true, false], [0, 10])
  func bothCommit(firstCommits: Bool, before: Int) throws {
    let bench = try TwoWriters(Self.tables)
    for _ in 0..<before { _ = try insert(bench.first) }
    try bench.beginBoth()
    let start = Int64(before)
    #expect(try [insert(bench.first), insert(bench.second), insert(bench.first)] == [start + 1, start + 2, start + 3])
    let (early, late) = firstCommits ? (bench.first, bench.second) : (bench.second, bench.first)
    try early.execute("COMMIT")
    #expect(try sequence(bench.another()) == ["\(firstCommits ? start + 3 : start + 2)"])
    #expect(late.refusal("COMMIT")?.cause == nil)
    #expect(try sequence(early) == ["\(start + 3)"])
    #expect(
      try early.row("SELECT count(*), count(DISTINCT id), max(id) FROM log")
        == Array(repeating: "\(start + 3)", count: 3))
    #expect(try insert(early) == start + 4)
    #expect(early.concurrentConflicts()?.lossCount == 0)
    try bench.check()
  }

  @Test("the first rows of two tables, and of one, make a row of sqlite_sequence each")
  func firstRows() throws {
    let bench = try TwoWriters(Self.tables)
    let third = try bench.another()
    try bench.beginBoth()
    try third.execute("BEGIN CONCURRENT")
    _ = try (insert(bench.first), insert(bench.second), insert(third, "other"))
    for connection in [bench.second, third, bench.first] { #expect(connection.refusal("COMMIT")?.cause == nil) }
    #expect(try bench.first.text("SELECT name || ' ' || seq FROM sqlite_sequence ORDER BY 1") == ["log 2", "other 1"])
    #expect(try bench.first.text("SELECT count(DISTINCT rowid) FROM sqlite_sequence") == ["2"])
    try bench.check()
  }

  @Test(
    "an id is none that the sequence has passed, though the table is empty; nor one that another open transaction has")
  func behindTheSequence() throws {
    let bench = try TwoWriters(Self.tables)
    try bench.first.execute("INSERT INTO log VALUES (40, 1); DELETE FROM log")
    try bench.beginBoth()
    #expect(try insert(bench.first) == 41)
    #expect(try insert(bench.second) == 42)
    try bench.first.execute("DELETE FROM log WHERE id > 40; COMMIT")
    // The first one's is gone, and not given again.
    #expect(try insert(bench.second) == 43)
    #expect(bench.second.refusal("COMMIT")?.cause == nil)
    #expect(try bench.first.text("SELECT id FROM log") == ["42", "43"])
    try bench.beginBoth()
    try bench.first.execute("INSERT INTO log VALUES (90, 1); DELETE FROM log WHERE id = 90; COMMIT")
    // The other one's snapshot knows nothing of that.
    #expect(try insert(bench.second) == 91)
    try bench.second.execute("COMMIT")
    #expect(try sequence(bench.first) == ["91"])
  }

  @Test("an id that another transaction has used, whatever became of the row, is a conflict")
  func usedIds() throws {
    for used in [
      "INSERT INTO log VALUES (1, 1)", "INSERT INTO log VALUES (1, 1), (2, 2); DELETE FROM log WHERE id < 9",
    ] {
      let bench = try TwoWriters(Self.tables)
      try bench.beginBoth()
      #expect(try insert(bench.second) == 1)
      try bench.first.execute(used + "; COMMIT")
      let refusal = bench.second.refusal("COMMIT")
      #expect(
        refusal?.code == .busySnapshot && refusal?.cause?.contains("table log, key 1:") == true,
        "\(String(describing: refusal))")
    }
  }

  @Test(
    "a savepoint that is rolled back takes the raise with it; one that is released keeps it", arguments: [true, false])
  func savepoints(isReleased: Bool) throws {
    let bench = try TwoWriters(Self.tables)
    try bench.beginBoth()
    _ = try insert(bench.first)
    try bench.first.execute("SAVEPOINT s; INSERT INTO log VALUES (70, 1); INSERT INTO other VALUES (5, 1)")
    try bench.first.execute(isReleased ? "RELEASE s" : "ROLLBACK TO s")
    #expect(try insert(bench.second) == 2)
    try bench.second.execute("COMMIT")
    #expect(bench.first.refusal("COMMIT")?.cause == nil)
    #expect(try sequence(bench.second) == [isReleased ? "70" : "2"])
    #expect(try sequence(bench.second, "other") == (isReleased ? ["5"] : []))
    try bench.check()
  }

  @Test("an ordinary writer beside a concurrent one raises as well")
  func ordinary() throws {
    let bench = try TwoWriters(Self.tables)
    _ = try insert(bench.first)
    try bench.second.execute("BEGIN CONCURRENT")
    #expect(try insert(bench.second) == 2)
    #expect(try insert(bench.first) == 3)
    #expect(bench.second.refusal("COMMIT")?.cause == nil)
    #expect(try sequence(bench.first) == ["3"])
    try bench.check()
  }

  static let others = [
    "SELECT seq FROM sqlite_sequence; UPDATE plain SET v = 1", "UPDATE sqlite_sequence SET seq = 20 WHERE name = 'log'",
    "DELETE FROM sqlite_sequence WHERE name = 'log'", "DELETE FROM sqlite_sequence",
    "INSERT INTO sqlite_sequence VALUES ('log', 7)",
  ]

  @Test(
    "whoever reads or changes sqlite_sequence by SQL conflicts with those who raise it", arguments: others,
    [true, false])
  func everyOtherUse(sql: String, raiseCommits: Bool) throws {
    let bench = try TwoWriters(Self.tables)
    _ = try (insert(bench.first), insert(bench.first, "other"))
    try bench.beginBoth()
    _ = try insert(bench.first)
    try bench.second.execute(sql)
    let (early, late) = raiseCommits ? (bench.first, bench.second) : (bench.second, bench.first)
    try early.execute("COMMIT")
    let isRead = sql.hasPrefix("SELECT")
    let refusal = late.refusal("COMMIT")
    // Who only reads changes nothing for the other one.
    #expect(refusal?.code == (isRead && !raiseCommits ? nil : .busySnapshot), "\(String(describing: refusal))")
    if let refusal {
      #expect(refusal.cause?.hasPrefix("table sqlite_sequence, ") == true, "\(String(describing: refusal.cause))")
    }
    if refusal != nil { try late.execute("ROLLBACK") }
    try bench.check()
  }

  @Test("who raises a sequence and changes it otherwise, too, is compared by page, and loses nothing")
  func bothWays() throws {
    for sql in ["UPDATE sqlite_sequence SET seq = 30", "DELETE FROM sqlite_sequence"] {
      for isFirst in [true, false] {
        let bench = try TwoWriters(Self.tables)
        _ = try insert(bench.first)
        try bench.first.execute("BEGIN CONCURRENT; \(isFirst ? sql : "SELECT 1")")
        let taken = try insert(bench.first)
        if !isFirst { try bench.first.execute(sql) }
        try bench.first.execute("COMMIT")
        let due = isFirst ? "\(taken)" : sql.hasPrefix("UPDATE") ? "30" : nil
        #expect(try sequence(bench.second) == (due.map { [$0] } ?? []))
        #expect(taken == (isFirst && sql.hasPrefix("UPDATE") ? 31 : 2))
      }
    }
  }

  @Test("DROP TABLE and an insert beside it: one of them is lost", arguments: [true, false])
  func dropTable(dropCommits: Bool) throws {
    let bench = try TwoWriters(Self.tables)
    _ = try insert(bench.first)
    try bench.beginBoth()
    try bench.first.execute("DROP TABLE log")
    _ = try insert(bench.second)
    let (early, late) = dropCommits ? (bench.first, bench.second) : (bench.second, bench.first)
    try early.execute("COMMIT")
    #expect(late.failure("COMMIT") == .busySnapshot)
    try late.execute("ROLLBACK")
    #expect(try sequence(bench.first) == (dropCommits ? [] : ["2"]))
    try bench.check()
  }

  @Test("sixteen append to one table with AUTOINCREMENT, and all commit", arguments: [0, 1])
  func manyAppend(autoVacuum: Int) throws {
    let bench = try TwoWriters("PRAGMA auto_vacuum = \(autoVacuum); " + Self.tables)
    let connections = try (0..<16).map { _ in try bench.another() }
    var previous: Int64 = 0
    for round in 0..<4 {
      var largest = previous
      for connection in connections { try connection.execute("BEGIN CONCURRENT") }
      for (index, connection) in connections.enumerated() {
        for _ in 0..<5 {
          try connection.execute("INSERT INTO log(v) VALUES ('\(round) \(index)' || hex(zeroblob(300)))")
          #expect(connection.lastInsertRowid > previous)
          largest = max(largest, connection.lastInsertRowid)
        }
      }
      previous = largest
      for connection in connections.reversed() { #expect(connection.refusal("COMMIT")?.cause == nil) }
      #expect(try sequence(bench.first) == ["\(previous)"])
    }
    // Five rows take blocks of 1, 2 and 4 ids, and 1, 1, 2 and 4 where the sequence's row is made in between.
    #expect(previous <= 16 * 8 + 3 * 16 * 7)
    #expect(try bench.first.row("SELECT count(*), count(DISTINCT id), max(id) FROM log") == ["320", "320", "\(previous)"])
    try bench.check()
  }

  @Test("at snapshot isolation raises go beside each other and beside reads, and not beside changes")
  func atSnapshot() throws {
    let bench = try TwoWriters(Self.tables)
    _ = try insert(bench.first)
    for connection in [bench.first, bench.second] { try connection.execute("PRAGMA concurrent_isolation = snapshot") }
    try bench.beginBoth()
    _ = try insert(bench.first)
    try bench.second.execute("SELECT seq FROM sqlite_sequence")
    _ = try insert(bench.second)
    try bench.first.execute("COMMIT")
    #expect(bench.second.refusal("COMMIT")?.cause == nil)
    #expect(try sequence(bench.first) == ["3"])
    try bench.beginBoth()
    try bench.first.execute("UPDATE sqlite_sequence SET seq = 2 WHERE name = 'log'")
    // Nothing to raise, and yet it rests on the sequence.
    try bench.second.execute("INSERT OR IGNORE INTO log VALUES (3, 9); UPDATE plain SET v = 5")
    try bench.first.execute("COMMIT")
    #expect(bench.second.failure("COMMIT") == .busySnapshot)
  }
}
