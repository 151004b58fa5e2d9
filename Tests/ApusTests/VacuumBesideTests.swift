// VACUUM that has stopped at a wait, and what comes beside it: statements of its own connection, and readers of the file.

import ApusBase
import ApusIO
import Testing

@testable import Apus
@testable import ApusStorage
@testable import ApusVM

@Suite(.timeLimit(.minutes(20))) struct VacuumBesideTests {
  private static let filling = """
    CREATE TABLE t(id INTEGER PRIMARY KEY, k, v);
    WITH RECURSIVE s(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM s WHERE i < 1500)
    INSERT INTO t SELECT i, i, hex(zeroblob(i % 90)) FROM s;
    CREATE INDEX tk ON t(k); DELETE FROM t WHERE id % 3 = 0
    """

  private static func world(_ mode: String, seed: UInt64 = 3) throws -> (environment: MemoryEnvironment, connection: Connection) {
    let environment = MemoryEnvironment(seed: seed, completesAtOnce: false, cacheHits: .sometimes)
    let connection = try Connection("/a.db", environment: environment)
    try connection.execute("PRAGMA page_size = 512; PRAGMA journal_mode = \(mode); \(filling); PRAGMA cache_size = 10")
    return (environment, connection)
  }

  @Test(
    "no other statement of the connection begins between its beginning and its end",
    arguments: ["delete", "persist", "wal"], ["VACUUM", "VACUUM INTO '/b.db'"])
  func refusesOthers(mode: String, vacuum: String) throws {
    let (environment, connection) = try Self.world(mode)
    let due = try connection.text("SELECT * FROM t")
    let texts = ["SELECT * FROM t", "INSERT INTO t VALUES (9000, 1, 1)", "BEGIN", "PRAGMA user_version = 5"]
    let prepared = try texts.map { try connection.prepareBlocking($0) }
    let statement = try Stepped(connection, vacuum)
    var refusals = 0
    var waits = 0
    _ = try statement.goOn { _ in
      waits += 1
      if !connection.state.isVacuuming { return true }
      let other = prepared[waits % prepared.count]
      do throws(EngineError) {
        _ = try other.stepBlocking()
        Issue.record("\(texts[waits % texts.count]) began at wait \(waits)")
      } catch {
        #expect(error.code == .busy && error.cause?.contains("VACUUM") == true, "\(error)")
        refusals += 1
      }
      #expect((try? connection.serialize())?.count == nil)
      return true
    }
    #expect(refusals > 20)
    for other in prepared { other.finalize() }
    statement.statement.finalize()
    #expect(try connection.text("SELECT * FROM t") == due)
    try connection.execute("UPDATE t SET k = k + 1")
    let files = vacuum == "VACUUM" ? ["/a.db"] : ["/a.db", "/b.db"]
    for file in files {
      let other = try Connection(file, environment: environment)
      #expect(try other.text("PRAGMA integrity_check") == ["ok"])
      #expect(try other.value("SELECT count(*) FROM t") == "\(due.count)")
    }
  }

  @Test("one that was dropped leaves the connection to others", arguments: ["delete", "wal"])
  func dropped(mode: String) throws {
    for limit in [1, 20, 60, 120] {
      let (_, connection) = try Self.world(mode, seed: UInt64(limit))
      let due = try connection.text("SELECT * FROM t")
      let statement = try Stepped(connection, "VACUUM")
      var waits = 0
      _ = try statement.goOn { _ in
        waits += 1
        return waits < limit
      }
      statement.statement.finalize()
      #expect(try connection.text("SELECT * FROM t") == due)
      #expect(try connection.text("PRAGMA integrity_check") == ["ok"])
    }
  }

  @Test("where readers are in the file it waits for them as long as the busy timeout says", arguments: ["delete", "truncate"])
  func waitsForReaders(mode: String) throws {
    let (environment, connection) = try Self.world(mode)
    let reader = try Connection("/a.db", environment: environment)
    try reader.execute("BEGIN; SELECT * FROM t")
    #expect(connection.refusal("VACUUM")?.code == .busy)
    try connection.execute("PRAGMA busy_timeout = 2000")
    var hasWaited = false
    _ = try Stepped(connection, "VACUUM").goOn { wait in
      if case .moment = wait, !hasWaited {
        hasWaited = true
        try? reader.execute("COMMIT")
      }
      return true
    }
    #expect(hasWaited)
    #expect(try reader.text("PRAGMA integrity_check") == ["ok"])
    #expect(try reader.value("PRAGMA freelist_count") == "0")
  }
}
