// Savepoints in savepoints, in transactions that are many times the cache: the table is what a stack of dictionaries says, and
// what the connection holds in memory does not grow with the transaction.

import ApusBase
import ApusIO
import ApusStorage
import Testing

@testable import Apus

@Suite(.timeLimit(.minutes(20))) struct NestedSavepointTests {
  private struct Row: Equatable {
    var n: Int
    var length: Int
  }

  private static func check(_ connection: Connection, _ model: [Int: Row], _ place: Comment) throws {
    let expected = model.sorted { $0.key < $1.key }.map { "\($0.key)|\($0.value.n)|\($0.value.length)" }
    #expect(try connection.text("SELECT id, n, length(v) FROM t ORDER BY id") == expected, place)
  }

  @Test("nested savepoints agree with a stack of dictionaries", arguments: ["delete", "wal"], UInt64(1)...3)
  func agrees(mode: String, seed: UInt64) throws {
    var random = SeededRandom(seed: seed)
    let environment = MemoryEnvironment(seed: seed, completesAtOnce: false)
    let connection = try Connection("/a.db", environment: environment)
    try connection.execute(
      "PRAGMA page_size = 512; PRAGMA journal_mode = \(mode); CREATE TABLE t(id INTEGER PRIMARY KEY, n, v)")
    try connection.execute("PRAGMA cache_size = 10")
    var committed: [Int: Row] = [:]
    for round in 0..<3 {
      try connection.execute("BEGIN")
      var model = committed
      var stack: [[Int: Row]] = []
      for step in 0..<40 {
        let place: Comment = "\(mode), seed \(seed), round \(round), step \(step), depth \(stack.count)"
        let first = random.below(150), last = first + random.below(60), n = random.below(1000)
        let length = random.oneIn(9) ? 700 + random.below(900) : random.below(250)
        switch random.below(9) {
        case 0, 1:
          try connection.execute("SAVEPOINT s\(stack.count)")
          stack.append(model)
        case 2 where !stack.isEmpty:
          let depth = random.below(stack.count)
          try connection.execute("ROLLBACK TO s\(depth)")
          model = stack[depth]
          stack.removeSubrange((depth + 1)...)
          try Self.check(connection, model, place)
        case 3 where !stack.isEmpty:
          let depth = random.below(stack.count)
          try connection.execute("RELEASE s\(depth)")
          stack.removeSubrange(depth...)
        case 4:
          try connection.execute("DELETE FROM t WHERE id BETWEEN \(first) AND \(first + (last - first) / 4)")
          for id in first...first + (last - first) / 4 { model[id] = nil }
        case 5, 6:
          try connection.execute("UPDATE t SET n = \(n), v = zeroblob(\(length)) WHERE id BETWEEN \(first) AND \(last)")
          for id in first...last where model[id] != nil { model[id] = Row(n: n, length: length) }
        default:
          try connection.execute(
            """
            WITH RECURSIVE s(i) AS (VALUES (\(first)) UNION ALL SELECT i + 1 FROM s WHERE i < \(last))
            INSERT OR REPLACE INTO t SELECT i, \(n), zeroblob(\(length)) FROM s
            """)
          for id in first...last { model[id] = Row(n: n, length: length) }
        }
      }
      try Self.check(connection, model, "\(mode), seed \(seed), round \(round)")
      if random.oneIn(3) {
        try connection.execute("ROLLBACK")
      } else {
        try connection.execute("COMMIT")
        committed = model
      }
      try Self.check(connection, committed, "\(mode), seed \(seed), after round \(round)")
      #expect(try connection.text("PRAGMA integrity_check") == ["ok"], "\(mode), seed \(seed), round \(round)")
    }
    try connection.closeBlocking()
  }

  @Test("a roll-back to a savepoint that is dropped at a wait is ended by the next statement", arguments: ["delete", "wal"])
  func droppedRollback(mode: String) throws {
    for limit in stride(from: 0, to: 40, by: 8) {
      let environment = MemoryEnvironment(seed: 5, completesAtOnce: false)
      let connection = try Connection("/a.db", environment: environment)
      try connection.execute(
        """
        PRAGMA page_size = 512; PRAGMA journal_mode = \(mode); CREATE TABLE t(id INTEGER PRIMARY KEY, n, v);
        PRAGMA cache_size = 10; BEGIN;
        WITH RECURSIVE s(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM s WHERE i < 300)
        INSERT INTO t SELECT i, 1, zeroblob(300) FROM s;
        SAVEPOINT s; UPDATE t SET n = 2; SAVEPOINT s2; UPDATE t SET v = zeroblob(200)
        """)
      let statement = try connection.prepareBlocking("ROLLBACK TO s")
      var waits = 0
      var isDropped = false
      while !isDropped, case .pending(let wait) = try statement.step() {
        waits += 1
        isDropped = waits > limit
        if !isDropped { connection.wait(for: wait) }
      }
      statement.finalize()
      #expect(try connection.text("SELECT min(n), max(n), min(length(v)), count(*) FROM t") == ["1|1|300|300"], "\(mode), \(limit)")
      try connection.execute("COMMIT")
      #expect(try connection.text("PRAGMA integrity_check") == ["ok"], "\(mode), wait \(limit)")
      try connection.closeBlocking()
      if !isDropped { break }
    }
  }

  @Test("what a transaction holds in memory is bounded by cache_size", arguments: ["delete", "wal"])
  func staysSmall(mode: String) throws {
    let connection = try Connection("/a.db", environment: MemoryEnvironment(seed: 1))
    try connection.execute("PRAGMA journal_mode = \(mode); CREATE TABLE t(id INTEGER PRIMARY KEY, n, v); PRAGMA cache_size = 10")
    let pager = try #require(try? connection.state.pager(0))
    try connection.execute("BEGIN")
    var most = 0
    // The transaction is of 2 MB, and more than as much again is undone.
    func run(_ sql: String) throws {
      let statement = try connection.prepareBlocking(sql)
      defer { statement.finalize() }
      while case .row = try statement.step() {}
      most = max(most, pager.heldByteCount)
    }
    try run(
      """
      WITH RECURSIVE s(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM s WHERE i < 2000)
      INSERT INTO t SELECT i, 1, zeroblob(1000) FROM s
      """)
    try run("SAVEPOINT s")
    try run("UPDATE t SET n = 2")
    // Many statements in one savepoint, each of which changes the same pages.
    for n in 0..<60 { try run("UPDATE t SET n = \(n) WHERE id % 400 = 7") }
    for depth in 0..<40 {
      try run("SAVEPOINT d\(depth)")
      try run("UPDATE t SET n = n + 1 WHERE id % 800 = \(depth)")
    }
    try run("ROLLBACK TO s")
    #expect(try connection.text("SELECT sum(n), sum(length(v)) FROM t") == ["2000|2000000"])
    try run("COMMIT")
    #expect(most < 600 * 1024, "\(mode): \(most) bytes")
    try connection.closeBlocking()
  }
}
