// BEGIN CONCURRENT on a file that SQLite writes at the same time.

import ApusBase
import ApusHarness
import Foundation
import Testing

@Suite("Concurrent transactions beside SQLite", .timeLimit(.minutes(20)))
struct ConcurrentTests {
  /// A file that two of our connections and one of SQLite's have open.
  private final class Shared {
    let directory: String
    let ours: [any HarnessConnection]
    let sqlite: any HarnessConnection

    init() throws {
      let url = FileManager.default.temporaryDirectory.resolvingSymlinksInPath()
        .appendingPathComponent("apus-concurrent-\(UInt64.random(in: 0 ... .max))")
      try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
      directory = url.path
      let path = "\(directory)/a.db"
      sqlite = try SQLiteLibrary().open(path, readOnly: false)
      for statement in [
        "PRAGMA page_size=512", "PRAGMA journal_mode=WAL", "CREATE TABLE account(id INTEGER PRIMARY KEY, sum, note)",
        "WITH RECURSIVE n(i) AS (VALUES(1) UNION ALL SELECT i+1 FROM n WHERE i<100) "
          + "INSERT INTO account SELECT i, 100, zeroblob(100) FROM n",
      ] {
        try sqlite.execute(statement)
      }
      let engine = try Engines.named("apus")
      ours = [try engine.open(path, readOnly: false), try engine.open(path, readOnly: false)]
    }

    deinit {
      for connection in ours + [sqlite] { connection.close() }
      try? FileManager.default.removeItem(atPath: directory)
    }
  }

  /// The code that the statement fails with, 0 for none.
  private func code(_ connection: any HarnessConnection, _ sql: String) -> Int {
    do throws(EngineFailure) {
      try connection.execute(sql)
      return 0
    } catch {
      return Int(error.code)
    }
  }

  @Test("a commit of SQLite's counts like any other: refused where pages meet, passed where they do not")
  func foreignCommits() throws {
    let shared = try Shared()
    let ours = shared.ours[0]
    for (id, expected) in [(90, 0), (1, 5)] {
      for statement in ["BEGIN CONCURRENT", "UPDATE account SET sum = sum - 1 WHERE id = 1"] { try ours.execute(statement) }
      try shared.sqlite.execute("UPDATE account SET sum = sum + 0, note = zeroblob(99) WHERE id = \(id)")
      #expect(code(ours, "COMMIT") & 0xff == expected)
      if expected != 0 { try ours.execute("ROLLBACK") }
      #expect("\(try shared.sqlite.rows("PRAGMA integrity_check").rows)".contains("ok"))
    }
    #expect("\(try shared.sqlite.rows("SELECT sum FROM account WHERE id = 1").rows)".contains("99"))
  }

  @Test("a conflict with SQLite's commit is counted as one with another process, and so is a log that it replaced")
  func foreignConflicts() throws {
    let shared = try Shared()
    let ours = shared.ours[0]
    func count(_ kind: String) throws -> Bool {
      "\(try ours.rows("PRAGMA concurrent_conflicts").rows)".contains(kind)
    }
    for statement in ["BEGIN CONCURRENT", "UPDATE account SET sum = sum - 1 WHERE id = 1"] { try ours.execute(statement) }
    try shared.sqlite.execute("UPDATE account SET note = zeroblob(99) WHERE id = 1")
    #expect(!(try count("foreign page")))
    #expect(code(ours, "COMMIT") & 0xff == 5)
    try ours.execute("ROLLBACK")
    #expect(try count("foreign page"))
    #expect(!(try count("\"log\"")))
  }

  @Test(
    "the sum holds while SQLite transfers, checkpoints and starts the log again", arguments: UInt64(1)...3,
    ["serializable", "snapshot"])
  func bank(seed: UInt64, level: String) throws {
    let shared = try Shared()
    for connection in shared.ours { try connection.execute("PRAGMA concurrent_isolation = \(level)") }
    var random = SeededRandom(seed: seed)
    var isOpen = [false, false]
    var (committed, refused) = (0, 0)
    func transfer(_ connection: any HarnessConnection) throws {
      let (from, to) = (1 + random.below(100), 1 + random.below(100))
      try connection.execute("UPDATE account SET sum = sum - 1 WHERE id = \(from)")
      try connection.execute("UPDATE account SET sum = sum + 1, note = zeroblob(\(random.below(900))) WHERE id = \(to)")
    }
    for _ in 0..<600 {
      let index = random.below(3)
      if index == 2 {
        try shared.sqlite.execute("BEGIN IMMEDIATE")
        try transfer(shared.sqlite)
        try shared.sqlite.execute("COMMIT")
        if random.oneIn(5) { _ = code(shared.sqlite, "PRAGMA wal_checkpoint(\(random.oneIn(2) ? "RESTART" : "PASSIVE"))") }
        continue
      }
      let connection = shared.ours[index]
      if !isOpen[index] { try connection.execute("BEGIN CONCURRENT") }
      isOpen[index] = true
      if random.oneIn(2) {
        try transfer(connection)
        continue
      }
      isOpen[index] = false
      switch code(connection, "COMMIT") {
      case 0: committed += 1
      case let failure:
        #expect(failure & 0xff == 5)
        refused += 1
        try connection.execute("ROLLBACK")
      }
    }
    for index in 0..<2 where isOpen[index] { try shared.ours[index].execute("ROLLBACK") }
    #expect(committed > 20 && refused > 20)
    for connection in shared.ours + [shared.sqlite] {
      #expect("\(try connection.rows("SELECT sum(sum) FROM account").rows)".contains("10000"))
      #expect("\(try connection.rows("PRAGMA integrity_check").rows)".contains("ok"))
    }
  }
}
