// A COMMIT that is dropped at any of its waits, and an application that goes on: with another COMMIT, behind ROLLBACK TO, or
// behind other statements. Either it is told SQLITE_ABORT, and the first COMMIT counts, or that had never been said.

import ApusBase
import ApusIO
import Testing

@testable import Apus
@testable import ApusStorage

@Suite(.timeLimit(.minutes(20))) struct DroppedCommitTests {
  enum Next: CaseIterable, Sendable {
    case commit, rollbackTo, emptySavepoint, violation, insert, droppedInsert, userVersion, incremental, select

    var sql: String? {
      switch self {
      case .commit: nil
      case .rollbackTo: "ROLLBACK TO s"
      case .emptySavepoint: "SAVEPOINT x; ROLLBACK TO x"
      case .violation: "INSERT INTO t VALUES (900, 1, 900, 'a'), (901, 2, 900, 'b')"
      case .insert, .droppedInsert: "INSERT INTO t VALUES (1000, 1, 1000, zeroblob(100))"
      case .userVersion: "PRAGMA user_version = 7"
      case .incremental: "PRAGMA auto_vacuum = incremental"
      case .select: "SELECT count(*) FROM t"
      }
    }
  }

  private static let modes = [
    "auto_vacuum = full; PRAGMA journal_mode = delete", "auto_vacuum = full; PRAGMA journal_mode = wal",
    "auto_vacuum = none; PRAGMA journal_mode = truncate", "auto_vacuum = none; PRAGMA journal_mode = wal",
  ]
  private static let filling = """
    CREATE TABLE t(id INTEGER PRIMARY KEY, k, u UNIQUE, v);
    WITH RECURSIVE s(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM s WHERE i < 110)
    INSERT INTO t SELECT i, i, i, CASE i % 9 WHEN 0 THEN hex(zeroblob(i * 6)) ELSE hex(zeroblob(i)) END FROM s
    """

  private static func contents(_ connection: Connection) throws -> [String] {
    try connection.text("SELECT id, k, u, length(v), substr(v, 1, 9) FROM t ORDER BY id")
  }

  /// Goes on until the statement ends, or drops it at its wait number `limit`.
  /// - Returns: whether it has ended.
  private static func run(_ connection: Connection, _ sql: String, limit: Int) throws -> Bool {
    let statement = try connection.prepareBlocking(sql)
    for _ in 0..<limit {
      guard case .pending(let wait) = try statement.step() else { return true }
      connection.wait(for: wait)
    }
    guard case .pending = try statement.step() else { return true }
    statement.reset()
    return false
  }

  private struct World {
    let environment: MemoryEnvironment
    let connection: Connection
    /// Behind the first statement, and behind all.
    let first: [String]
    let all: [String]

    init(_ mode: String, seed: UInt64) throws {
      environment = MemoryEnvironment(seed: seed, completesAtOnce: false, cacheHits: .sometimes)
      connection = try Connection("/a.db", environment: environment)
      try connection.execute("PRAGMA page_size = 512; PRAGMA \(mode); \(DroppedCommitTests.filling); PRAGMA cache_size = 12")
      try connection.execute("BEGIN; UPDATE t SET k = k + 100 WHERE id < 5")
      first = try DroppedCommitTests.contents(connection)
      try connection.execute("SAVEPOINT s; DELETE FROM t WHERE id BETWEEN 5 AND 36")
      all = try DroppedCommitTests.contents(connection)
    }
  }

  @Test("a COMMIT that was dropped is told of, or has never been", arguments: modes, Next.allCases)
  func goesOn(mode: String, next: Next) throws {
    var limit = 0
    var isOver = false
    while !isOver {
      let world = try World(mode, seed: UInt64(limit))
      let connection = world.connection
      isOver = try Self.run(connection, "COMMIT", limit: limit)
      if isOver { break }
      let place = "\(mode), \(next), wait \(limit)"
      var code: ResultCode?
      if let sql = next.sql {
        do {
          if case .droppedInsert = next { _ = try Self.run(connection, sql, limit: limit % 3) } else { try connection.execute(sql) }
        } catch {
          code = (error as? EngineError)?.code
        }
      }
      let wasTold = code == .abort
      if !wasTold, let code { #expect(code.primary == .constraint, "\(place): \(code)") }
      do {
        try connection.execute("COMMIT")
      } catch {
        #expect(error.code == .abort, "\(place): \(error)")
        try connection.execute("ROLLBACK")
      }
      let other = try Connection("/a.db", environment: world.environment)
      for reader in [other, connection] {
        let found = try Self.contents(reader)
        var due = world.all
        if case .rollbackTo = next, !wasTold { due = world.first }
        if case .insert = next, !wasTold { due.append("1000|1|1000|100|") }
        let rows = found.filter { next != .droppedInsert || !$0.hasPrefix("1000") }
        #expect(rows.map { $0.prefix(12) } == due.map { $0.prefix(12) }, "\(place): \(wasTold)")
        #expect(try reader.text("PRAGMA integrity_check") == ["ok"], "\(place)")
        #expect(try reader.value("PRAGMA user_version") == (next == .userVersion && !wasTold ? "7" : "0"), "\(place)")
      }
      try connection.execute("DELETE FROM t WHERE id > 90; INSERT INTO t VALUES (2000, 1, 2000, zeroblob(3000))")
      #expect(try other.text("PRAGMA integrity_check") == ["ok"], "\(place), later")
      try other.closeBlocking()
      try connection.closeBlocking()
      limit += 1
    }
  }

  @Test(
    "a VACUUM that is dropped at any wait, and what comes behind it, under exclusive locks too",
    arguments: ["delete", "persist", "truncate", "wal"], ["normal", "exclusive"])
  func dropsVacuum(mode: String, locking: String) throws {
    var limit = 0
    var isOver = false
    while !isOver {
      let environment = MemoryEnvironment(seed: UInt64(limit), completesAtOnce: false, cacheHits: .sometimes)
      let connection = try Connection("/a.db", environment: environment)
      try connection.execute(
        "PRAGMA page_size = 512; PRAGMA journal_mode = \(mode); \(Self.filling); CREATE INDEX tk ON t(k);"
          + " DELETE FROM t WHERE id % 3 = 0; PRAGMA locking_mode = \(locking); UPDATE t SET k = k + 1; PRAGMA page_size = 1024")
      let due = try Self.contents(connection)
      isOver = try Self.run(connection, "VACUUM", limit: limit)
      let place = "\(mode), \(locking), wait \(limit)"
      #expect(try Self.contents(connection) == due, "\(place)")
      try connection.execute("INSERT INTO t VALUES (3000, 1, 3000, zeroblob(2000)); UPDATE t SET k = 5 WHERE id < 50")
      #expect(try connection.text("PRAGMA integrity_check") == ["ok"], "\(place)")
      try connection.closeBlocking()
      let other = try Connection("/a.db", environment: environment)
      #expect(try other.text("PRAGMA integrity_check") == ["ok"], "\(place), opened anew")
      #expect(try other.value("SELECT count(*) FROM t") == "\(due.count + 1)", "\(place)")
      try other.closeBlocking()
      limit += 1
    }
  }

  @Test("what is dropped half way without a journal is not called undone", arguments: ["off", "memory"])
  func keptJournal(mode: String) throws {
    for limit in 0..<12 {
      let environment = MemoryEnvironment(seed: UInt64(limit), completesAtOnce: false)
      let connection = try Connection("/a.db", environment: environment)
      try connection.execute("PRAGMA page_size = 512; PRAGMA journal_mode = persist; \(Self.filling)")
      try connection.execute("PRAGMA journal_mode = \(mode); BEGIN; UPDATE t SET k = k + 1000")
      if try Self.run(connection, "COMMIT", limit: limit) { continue }
      let error = connection.refusal("ROLLBACK") ?? connection.refusal("SELECT * FROM t")
      let other = try Connection("/a.db", environment: environment)
      let changed = try other.value("SELECT count(*) FROM t WHERE k >= 1000")
      #expect(changed == "0" || error != nil, "wait \(limit): \(changed) rows, and nobody was told")
    }
  }

  enum Undone: CaseIterable, Sendable {
    case onlyFile, emptyFile, attachedFile, bothFiles

    var changes: String {
      switch self {
      case .onlyFile: "SAVEPOINT s; UPDATE t SET k = k + 100"
      case .emptyFile: "SAVEPOINT s; CREATE TABLE n(a); INSERT INTO n VALUES (1)"
      case .attachedFile: "INSERT INTO t VALUES (1000, 1, 1000, 'a'); SAVEPOINT s; UPDATE b.o SET a = a + 1"
      case .bothFiles: "SAVEPOINT s; INSERT INTO t VALUES (1000, 1, 1000, 'a'); UPDATE b.o SET a = a + 1"
      }
    }
  }

  @Test(
    "a journal is ended by the COMMIT of a transaction that has gone back behind all that it protected",
    arguments: ["delete", "truncate", "persist"], Undone.allCases)
  func endsJournalOfNothing(mode: String, undone: Undone) throws {
    var limit = 0
    var isOver = false
    var journals = 0
    while !isOver {
      let environment = MemoryEnvironment(seed: UInt64(limit), completesAtOnce: false, cacheHits: .sometimes)
      let connection = try Connection("/a.db", environment: environment)
      if undone != .emptyFile { try connection.execute("PRAGMA page_size = 512; \(Self.filling) LIMIT 20") }
      try connection.execute("ATTACH '/b.db' AS b; CREATE TABLE b.o(a); INSERT INTO b.o VALUES (1), (2)")
      try connection.execute("PRAGMA journal_mode = \(mode); BEGIN; \(undone.changes)")
      isOver = try Self.run(connection, "COMMIT", limit: limit)
      let place = "\(mode), \(undone), wait \(limit)"
      let begun = ["/a.db", "/b.db"].filter { Self.hasHeader(environment, $0) }
      do {
        if !isOver { try connection.execute("ROLLBACK TO s; COMMIT") }
        journals += begun.count
      } catch {
        #expect(error.code == .abort, "\(place): \(error)")
        // It says the same, where the transaction is not over yet.
        if let refusal = connection.refusal("ROLLBACK") { #expect([.abort, .error].contains(refusal.code), "\(place): \(refusal)") }
      }
      for path in ["/a.db", "/b.db"] { #expect(!Self.hasHeader(environment, path), "\(place): the journal of \(path)") }
      #expect(try connection.text("PRAGMA integrity_check") == ["ok"], "\(place)")
      try connection.execute("UPDATE b.o SET a = a + 10; CREATE TABLE later(a)")
      try connection.closeBlocking()
      limit += limit < 8 ? 1 : 2
    }
    #expect(journals > 3)
  }

  /// A journal that whoever opens the file would play back.
  private static func hasHeader(_ environment: MemoryEnvironment, _ path: String) -> Bool {
    (environment.contents(of: path + "-journal") ?? []).prefix(8).contains { $0 != 0 }
  }
}
