// BEGIN CONCURRENT: two transactions that meet on a page, and those that meet on a key.

import ApusBase
import ApusIO
import ApusStorage
import Testing

@testable import Apus

private let birds = "CREATE TABLE bird(id INTEGER PRIMARY KEY, name TEXT UNIQUE, weight, note);"
  + " CREATE INDEX bird_weight ON bird(weight DESC);"
  + " INSERT INTO bird VALUES (1, 'wren', 10, NULL), (2, 'rook', 400, NULL);"
  + " INSERT INTO bird VALUES (3, 'tit', 18, NULL), (9, 'owl', 500, NULL)"

/// What two transactions do beside each other, and whether the second one to commit is refused.
struct KeyCase: CustomTestStringConvertible, Sendable {
  var setUp = birds
  var first: String
  var second: String
  var isRefused: Bool
  var testDescription: String { "\(first) | \(second)" }
}

@Suite struct ConcurrentKeyTests {
  static let cases = [
    // Appends, updates of different rows, deletes.
    KeyCase(
      first: "INSERT INTO bird(name) VALUES ('jay')", second: "INSERT INTO bird(name) VALUES ('pie')",
      isRefused: false),
    KeyCase(
      first: "UPDATE bird SET weight = 11 WHERE id = 1", second: "UPDATE bird SET weight = 12 WHERE id = 2",
      isRefused: false),
    KeyCase(first: "DELETE FROM bird WHERE id = 1", second: "DELETE FROM bird WHERE id = 3", isRefused: false),
    KeyCase(first: "DELETE FROM bird WHERE id = 1", second: "UPDATE bird SET note = 1 WHERE id = 1", isRefused: true),
    KeyCase(first: "INSERT INTO bird(id) VALUES (7)", second: "INSERT INTO bird(id) VALUES (7)", isRefused: true),
    KeyCase(first: "INSERT INTO bird(id) VALUES (7)", second: "INSERT INTO bird(id) VALUES (8)", isRefused: false),
    // A sequence is raised by both.
    KeyCase(
      setUp: "CREATE TABLE log(id INTEGER PRIMARY KEY AUTOINCREMENT, v); INSERT INTO log(v) VALUES (1)",
      first: "INSERT INTO log(v) VALUES (2)", second: "INSERT INTO log(v) VALUES (3)", isRefused: false),
    KeyCase(
      setUp: "CREATE TABLE log(id INTEGER PRIMARY KEY AUTOINCREMENT, v); INSERT INTO log(v) VALUES (1), (1)",
      first: "UPDATE log SET v = 2 WHERE id = 2", second: "INSERT INTO log(v) VALUES (3)", isRefused: false),
    // Lost update, unique claim, a key that was absent.
    KeyCase(
      first: "UPDATE bird SET weight = weight + 1 WHERE id = 1",
      second: "UPDATE bird SET weight = weight + 1 WHERE id = 1", isRefused: true),
    KeyCase(
      first: "INSERT INTO bird(name) VALUES ('jay')", second: "INSERT INTO bird(name) VALUES ('jay')", isRefused: true),
    KeyCase(
      first: "INSERT INTO bird(id) VALUES (5)",
      second: "SELECT * FROM bird WHERE id = 5; UPDATE bird SET note = 1 WHERE id = 9", isRefused: true),
    KeyCase(
      first: "INSERT INTO bird(name) VALUES ('jay')",
      second: "SELECT id FROM bird WHERE name = 'jay'; UPDATE bird SET note = 1 WHERE id = 9", isRefused: true),
    // Phantoms: inside a range, behind the last entry, through an index and its order, at the end of a loop over it.
    KeyCase(
      first: "INSERT INTO bird(id) VALUES (5)",
      second: "SELECT count(*) FROM bird WHERE id BETWEEN 2 AND 8; UPDATE bird SET note = 1 WHERE id = 1",
      isRefused: true),
    KeyCase(
      first: "INSERT INTO bird(id) VALUES (99)",
      second: "SELECT id FROM bird WHERE id > 2; UPDATE bird SET note = 1 WHERE id = 1", isRefused: true),
    KeyCase(
      first: "INSERT INTO bird(id) VALUES (99)",
      second: "SELECT id FROM bird WHERE id < 3 ORDER BY id DESC; UPDATE bird SET note = 1 WHERE id = 9",
      isRefused: false),
    KeyCase(
      first: "INSERT INTO bird(id) VALUES (-5)",
      second: "SELECT id FROM bird WHERE id < 3 ORDER BY id DESC; UPDATE bird SET note = 1 WHERE id = 9",
      isRefused: true),
    KeyCase(
      first: "INSERT INTO bird(weight) VALUES (450)",
      second: "SELECT id FROM bird WHERE weight BETWEEN 300 AND 480; UPDATE bird SET note = 1 WHERE id = 1",
      isRefused: true),
    KeyCase(
      first: "INSERT INTO bird(weight) VALUES (490)",
      second: "SELECT id FROM bird WHERE weight BETWEEN 300 AND 480; UPDATE bird SET note = 1 WHERE id = 1",
      isRefused: false),
    KeyCase(
      first: "UPDATE bird SET weight = 20 WHERE id = 9",
      second: "SELECT max(weight) FROM bird; UPDATE bird SET note = 1 WHERE id = 1", isRefused: true),
    KeyCase(
      first: "UPDATE bird SET weight = 320 WHERE id = 1",
      second: "SELECT weight FROM bird WHERE weight > 300 ORDER BY weight; UPDATE bird SET note = 1 WHERE id = 3",
      isRefused: true),
    KeyCase(
      first: "DELETE FROM bird", second: "UPDATE bird SET note = 1 WHERE id = 9", isRefused: true),
    KeyCase(
      first: "INSERT INTO bird(id) VALUES (77)", second: "DELETE FROM bird", isRefused: true),
    // What was rolled back was read all the same, and was not changed.
    KeyCase(
      first: "UPDATE bird SET note = 5 WHERE id = 2",
      second: "SAVEPOINT s; UPDATE bird SET note = 1 WHERE id = 2; ROLLBACK TO s;"
        + " UPDATE bird SET note = 1 WHERE id = 9",
      isRefused: true),
    // NOCASE, WITHOUT ROWID, overflow, partial and expression indexes, REPLACE.
    KeyCase(
      setUp: "CREATE TABLE t(a TEXT COLLATE NOCASE UNIQUE, b); INSERT INTO t VALUES ('m', 1), ('z', 1)",
      first: "INSERT INTO t VALUES ('ABC', 1)", second: "INSERT INTO t VALUES ('abc', 2)", isRefused: true),
    KeyCase(
      setUp: "CREATE TABLE t(a TEXT COLLATE NOCASE UNIQUE, b); INSERT INTO t VALUES ('a', 1), ('z', 1)",
      first: "UPDATE t SET a = 'A' WHERE a = 'a'", second: "UPDATE t SET b = 2 WHERE a = 'z'", isRefused: false),
    KeyCase(
      setUp: "CREATE TABLE t(a, b, c, PRIMARY KEY(a, b)) WITHOUT ROWID; INSERT INTO t VALUES (1, 1, 1), (2, 2, 2)",
      first: "INSERT INTO t VALUES (1, 2, 5); UPDATE t SET c = 7 WHERE a = 1 AND b = 1",
      second: "INSERT INTO t VALUES (3, 2, 5); DELETE FROM t WHERE a = 2", isRefused: false),
    KeyCase(
      setUp: "CREATE TABLE t(a, b, c, PRIMARY KEY(a, b)) WITHOUT ROWID; INSERT INTO t VALUES (1, 1, 1), (2, 2, 2)",
      first: "INSERT INTO t VALUES (1, 2, 5)", second: "SELECT * FROM t WHERE a = 1; DELETE FROM t WHERE a = 2",
      isRefused: true),
    KeyCase(
      first: "UPDATE bird SET note = zeroblob(20000) WHERE id = 1",
      second: "UPDATE bird SET note = zeroblob(30000) WHERE id = 2; INSERT INTO bird(note) VALUES (randomblob(9000))",
      isRefused: false),
    KeyCase(
      setUp: "CREATE TABLE t(id INTEGER PRIMARY KEY, a, b); CREATE INDEX p ON t(a) WHERE b > 0;"
        + " CREATE INDEX e ON t(a + b); INSERT INTO t VALUES (1, 1, 1), (2, 2, 0), (3, 3, 3)",
      first: "UPDATE t SET b = 1 WHERE id = 2",
      second: "UPDATE t SET a = 9 WHERE id = 3; INSERT INTO t(a, b) VALUES (4, 4)", isRefused: false),
    KeyCase(
      setUp: "CREATE TABLE t(id INTEGER PRIMARY KEY, a, b); CREATE INDEX p ON t(a) WHERE b > 0;"
        + " CREATE INDEX e ON t(a + b); INSERT INTO t VALUES (1, 1, 1), (2, 2, 0), (3, 3, 3)",
      first: "UPDATE t SET b = 1 WHERE id = 2",
      second: "SELECT id FROM t WHERE a + b = 3; UPDATE t SET a = 9 WHERE id = 3", isRefused: true),
    KeyCase(
      first: "REPLACE INTO bird(id, name, weight) VALUES (20, 'wren', 3)",
      second: "REPLACE INTO bird(id, name, weight) VALUES (21, 'rook', 4)", isRefused: false),
    KeyCase(
      first: "REPLACE INTO bird(id, name, weight) VALUES (20, 'wren', 3)",
      second: "UPDATE bird SET weight = 1 WHERE id = 1", isRefused: true),
  ]

  @Test("of two that met, the second is refused where a key says so, and else both commit", arguments: cases)
  func keysDecide(_ example: KeyCase) throws {
    for firstCommits in [true, false] where example.isRefused == false || firstCommits {
      let bench = try TwoWriters(example.setUp)
      func run(_ connection: Connection, _ sql: String) throws { try connection.execute("BEGIN CONCURRENT; " + sql) }
      try run(bench.first, example.first)
      try run(bench.second, example.second)
      let (early, late) = firstCommits ? (bench.first, bench.second) : (bench.second, bench.first)
      try early.execute("COMMIT")
      let refusal = late.refusal("COMMIT")
      #expect(refusal?.code == (example.isRefused ? .busySnapshot : nil), "\(String(describing: refusal?.cause))")
      if refusal != nil { try late.execute("ROLLBACK") }
      try bench.check()
      // The same, one after the other.
      let serial = try TwoWriters(example.setUp, seed: 9)
      let order = firstCommits ? [example.first, example.second] : [example.second, example.first]
      for (index, sql) in order.enumerated() where index == 0 || !example.isRefused {
        try run(serial.first, sql)
        try serial.first.execute("COMMIT")
      }
      let tables = try serial.first.text("SELECT name FROM sqlite_schema WHERE type = 'table'")
      // Row ids are given in the order of the statements, not of the commits.
      let isAutomatic = [example.first, example.second].contains {
        $0.contains("INTO bird(n") || $0.contains("INTO t(a, b)") || $0.contains("INTO log(v)")
      }
      for table in tables where firstCommits && !example.second.contains("randomblob") || !isAutomatic {
        let query = "SELECT * FROM \(table) ORDER BY 1"
        #expect(try bench.first.text(query) == serial.first.text(query), "\(table)")
      }
    }
  }

  @Test("sixteen append to one table, and all commit", arguments: [0, 1, 2])
  func manyAppend(autoVacuum: Int) throws {
    let bench = try TwoWriters(
      "PRAGMA auto_vacuum = \(autoVacuum); CREATE TABLE t(id INTEGER PRIMARY KEY, v); CREATE INDEX i ON t(v)")
    let connections = try (0..<16).map { _ in try bench.another() }
    for round in 0..<4 {
      for connection in connections { try connection.execute("BEGIN CONCURRENT") }
      for (index, connection) in connections.enumerated() {
        for row in 0..<5 {
          try connection.execute("INSERT INTO t(v) VALUES ('\(round) \(index) \(row)' || hex(zeroblob(300)))")
        }
      }
      for connection in connections { #expect(connection.refusal("COMMIT")?.cause == nil) }
    }
    // Five rows take blocks of 1, 2 and 4 ids: two of each transaction's may be gaps.
    #expect(try bench.first.row("SELECT count(*), count(DISTINCT id), max(id) <= 448 FROM t") == ["320", "320", "1"])
    try bench.check()
  }

  @Test("row ids: what a transaction alone takes is what SQLite would, and what is rolled back is taken again")
  func rowids() throws {
    let bench = try TwoWriters("CREATE TABLE t(id INTEGER PRIMARY KEY, v)")
    func insert(_ connection: Connection) throws -> String {
      try connection.execute("INSERT INTO t(v) VALUES (1)")
      return "\(connection.lastInsertRowid)"
    }
    try bench.beginBoth()
    #expect(try insert(bench.first) == "1")
    #expect(try insert(bench.second) == "2")
    #expect(try insert(bench.first) == "3")
    try bench.first.execute("SAVEPOINT s")
    #expect(try insert(bench.first) == "4")
    try bench.first.execute("ROLLBACK TO s")
    #expect(try insert(bench.first) == "4")
    try bench.first.execute("ROLLBACK")
    #expect(try insert(bench.second) == "3")
    try bench.second.execute("COMMIT")
    try bench.first.execute("BEGIN CONCURRENT")
    #expect(try insert(bench.first) == "4")
    // What is left of the ids that it got at a time does not come before those that are free again.
    for last in ["5", "6"] { #expect(try insert(bench.first) == last) }
    try bench.first.execute("SAVEPOINT s")
    #expect(try insert(bench.first) == "7")
    try bench.first.execute("ROLLBACK TO s; DELETE FROM t WHERE id > 4")
    for last in ["5", "6", "7", "8"] { #expect(try insert(bench.first) == last) }
    try bench.first.execute("DELETE FROM t WHERE id > 4; COMMIT")
    #expect(try bench.second.text("SELECT id FROM t") == ["2", "3", "4"])
    try bench.second.execute("INSERT INTO t VALUES (9223372036854775807, 1)")
    try bench.beginBoth()
    _ = try insert(bench.first)
    _ = try insert(bench.second)
    try bench.first.execute("COMMIT")
    try bench.second.execute("COMMIT")
    try bench.check()
  }

  @Test("a conflict names table, index and key")
  func conflictNamesKey() throws {
    for (first, second, object, cause) in [
      ("UPDATE bird SET note = 1 WHERE id = 1", "UPDATE bird SET note = 2 WHERE id = 1", "bird", "table bird, key 1"),
      (
        "INSERT INTO bird VALUES (20, 'jay', 1, 1)",
        "SELECT * FROM bird WHERE name = 'jay'; DELETE FROM bird WHERE id = 1",
        "bird.sqlite_autoindex_bird_1", "table bird, index sqlite_autoindex_bird_1, key ('jay', 20)"
      ),
      ("DELETE FROM bird", "UPDATE bird SET note = 2 WHERE id = 1", "bird", "table bird, all rows"),
    ] {
      let bench = try TwoWriters(birds)
      try bench.beginBoth()
      try bench.first.execute(first + "; ")
      try bench.second.execute(second)
      try bench.first.execute("COMMIT")
      let refusal = bench.second.refusal("COMMIT")
      #expect(refusal?.cause == cause + ": changed by another transaction since this one began")
      #expect(refusal?.object == object)
      #expect(refusal?.message == "database is locked")
    }
  }

  @Test("a conflict's key is readable whatever the file is encoded in", arguments: ["UTF-8", "UTF-16le", "UTF-16be"])
  func conflictNamesKeyInUTF16(encoding: String) throws {
    let environment = MemoryEnvironment(seed: 3, completesAtOnce: false)
    let first = try Connection("/a.db", environment: environment)
    try first.execute("PRAGMA encoding = '\(encoding)'; PRAGMA journal_mode = wal; CREATE TABLE b(name TEXT UNIQUE)")
    let second = try Connection("/a.db", environment: environment)
    for connection in [first, second] { try connection.execute("BEGIN CONCURRENT; INSERT INTO b VALUES ('Hähér''s 🐦')") }
    try first.execute("COMMIT")
    #expect(
      second.refusal("COMMIT")?.cause
        == "table b, index sqlite_autoindex_b_1, key ('Hähér''s 🐦', 1): changed by another transaction since this one began")
  }

  @Test("an ordinary writer beside an open transaction is compared by keys, and takes row ids that nobody was given")
  func ordinaryWriterHasKeys() throws {
    for (sql, isRefused) in [
      ("UPDATE bird SET weight = 1 WHERE id = 2", false), ("UPDATE bird SET weight = 1 WHERE id = 3", true),
      ("DELETE FROM bird WHERE id > 5", false), ("BEGIN; SAVEPOINT s; DELETE FROM bird; ROLLBACK TO s; COMMIT", false),
      ("BEGIN; UPDATE bird SET note = 4 WHERE id = 2; SAVEPOINT s; DELETE FROM bird; COMMIT", true),
      ("INSERT INTO bird(name) VALUES ('jay')", false), ("REPLACE INTO bird(name) VALUES ('tit')", true),
    ] {
      let bench = try TwoWriters(birds)
      try bench.second.execute("BEGIN CONCURRENT; UPDATE bird SET note = 2 WHERE id = 3")
      try bench.second.execute("INSERT INTO bird(name) VALUES ('pie')")
      try bench.first.execute(sql)
      #expect(bench.second.failure("COMMIT") == (isRefused ? .busySnapshot : nil), "\(sql)")
      if isRefused { try bench.second.execute("ROLLBACK") }
      try bench.check()
    }
  }

  @Test("a commit without keys meets what a commit with keys has moved")
  func moveBetween() throws {
    let bench = try TwoWriters(
      "PRAGMA page_size = 512; CREATE TABLE t(id INTEGER PRIMARY KEY, v); CREATE TABLE u(x); INSERT INTO u VALUES (1);"
        + " WITH RECURSIVE n(i) AS (VALUES(1) UNION ALL SELECT i + 1 FROM n WHERE i < 40)"
        + " INSERT INTO t SELECT i * 10, zeroblob(30) FROM n")
    let third = try bench.another()
    try bench.beginBoth()
    #expect(try bench.second.value("SELECT count(*) FROM t WHERE id BETWEEN 100 AND 110") == "2")
    try bench.second.execute("UPDATE u SET x = 2")
    // A commit with keys splits the leaf that was looked at: what was read lies on a new page.
    for id in 111..<119 { try bench.first.execute("INSERT INTO t VALUES (\(id), zeroblob(60))") }
    try bench.first.execute("COMMIT")
    // A change of the header has no key.
    try third.execute("BEGIN; UPDATE t SET v = 7 WHERE id = 110; PRAGMA user_version = 3; COMMIT")
    #expect(bench.second.failure("COMMIT") == .busySnapshot)
  }

  @Test("a COMMIT that is dropped in a rebase, at any wait: the transaction goes on, back to a savepoint too")
  func droppedCommit() throws {
    for stop in 0..<40 {
      for end in 0..<4 {
        let bench = try TwoWriters(birds)
        try bench.beginBoth()
        try bench.first.execute("INSERT INTO bird(name, note) VALUES ('jay', zeroblob(9000)); COMMIT")
        try bench.second.execute(
          "INSERT INTO bird(name) VALUES ('pie'); SAVEPOINT s;"
            + " INSERT INTO bird(name, note) VALUES ('auk', zeroblob(20000)); UPDATE bird SET weight = 5 WHERE id = 3")
        let statement = try bench.second.prepareBlocking("COMMIT")
        var isDone = false
        for _ in 0..<stop where !isDone {
          guard case .pending(let wait) = try statement.step() else {
            isDone = true
            break
          }
          bench.second.wait(for: wait)
        }
        statement.finalize()
        if isDone { continue }
        let extra: String
        switch end {
        case 0: extra = "COMMIT"
        case 1: extra = "ROLLBACK TO s; COMMIT"
        case 2: extra = "ROLLBACK"
        default:
          extra = "INSERT INTO bird(name) VALUES ('emu'); ROLLBACK TO s;"
            + " INSERT INTO bird(name) VALUES ('gull'); COMMIT"
        }
        // Behind its commit point it was a commit.
        let isCommitted = bench.second.failure(extra) != nil
        let names = try bench.first.text("SELECT name FROM bird WHERE id > 9 ORDER BY 1")
        var expected = ["jay"]
        if end == 0 || isCommitted { expected += ["auk", "pie"] }
        if end == 1 || end == 3, !isCommitted { expected += ["pie"] }
        if end == 3, !isCommitted { expected += ["gull"] }
        #expect(names == expected.sorted(), "stop \(stop), end \(end)")
        try bench.check()
      }
    }
  }
}
