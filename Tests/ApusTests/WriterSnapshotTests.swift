// The snapshot of a transaction that begins with a write: the write lock protects it, and what comes when that goes.

import ApusBase
import ApusIO
import ApusStorage
import ApusVM
import Testing

@testable import Apus

@Suite struct WriterSnapshotTests {
  private static let rowCount = 400

  /// Two connections in WAL mode; the table is larger than the first one's cache.
  private static func world(_ level: String = "normal") throws -> (Connection, Connection) {
    let environment = MemoryEnvironment(seed: 5, completesAtOnce: false)
    let writer = try Connection("/w.db", environment: environment)
    try writer.execute(
      """
      PRAGMA journal_mode = wal; PRAGMA synchronous = \(level); PRAGMA cache_size = 4;
      CREATE TABLE t(id INTEGER PRIMARY KEY, n, d);
      WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < \(rowCount))
        INSERT INTO t SELECT i, 0, zeroblob(900) FROM c
      """)
    return (writer, try Connection("/w.db", environment: environment))
  }

  /// What a driver does behind a statement that was dropped.
  private static func settle(_ connection: Connection) throws {
    while true {
      do {
        return try connection.settle()
      } catch {
        switch error {
        case .wait(let wait): connection.wait(for: wait)
        case .failure(let failure): throw failure
        }
      }
    }
  }

  /// The commit has its frames in the log and waits for their sync: `other` has the turn then.
  private static func step(_ commit: Stepped, untilAppendedBefore other: Connection) throws {
    other.busyTimeoutMilliseconds = 0
    var isAppended = false
    while !isAppended, case .pending(let wait) = try commit.statement.step() {
      isAppended = (try? other.execute("BEGIN IMMEDIATE")) != nil
      if !isAppended { commit.statement.connection.wait(for: wait) }
    }
    #expect(isAppended)
  }

  /// What is left of a scan of `n`.
  private static func rest(of statement: PreparedStatement) throws -> [Int64] {
    var values: [Int64] = []
    while try statement.stepBlocking() { values.append(statement.column(0).integerValue) }
    return values
  }

  @Test(
    "a statement that reads on behind COMMIT or ROLLBACK keeps its snapshot, whatever others do",
    arguments: ["COMMIT", "ROLLBACK"])
  func readsOn(end: String) throws {
    let (writer, other) = try Self.world()
    try writer.execute("BEGIN IMMEDIATE; UPDATE t SET n = 1")
    let scan = try writer.prepareBlocking("SELECT n FROM t ORDER BY id")
    #expect(try scan.stepBlocking())
    try writer.execute(end)
    try other.execute("UPDATE t SET n = 2")
    #expect(try other.row("PRAGMA wal_checkpoint(TRUNCATE)").first == "1", "the reader keeps the log")
    try other.execute("UPDATE t SET n = 3")
    #expect(try Self.rest(of: scan) == Array(repeating: end == "COMMIT" ? 1 : 0, count: Self.rowCount - 1))
    scan.finalize()
    #expect(try other.row("PRAGMA wal_checkpoint(TRUNCATE)").first == "0", "nothing keeps the log now")
    #expect(try writer.value("SELECT sum(n) FROM t") == "\(3 * Self.rowCount)")
    for connection in [writer, other] { try connection.closeBlocking() }
  }

  @Test(
    "a scan of entries that go on in overflow pages finds its place behind ROLLBACK, and behind that of a statement",
    arguments: ["wal", "delete"], ["ROLLBACK", "ROLLBACK TO s"])
  func readsLongEntriesOn(mode: String, end: String) throws {
    let environment = MemoryEnvironment(seed: 5, completesAtOnce: false)
    let connection = try Connection("/l.db", environment: environment)
    try connection.execute(
      """
      PRAGMA page_size = 512; PRAGMA journal_mode = \(mode); PRAGMA cache_size = 10;
      CREATE TABLE t(id INTEGER PRIMARY KEY, n); INSERT INTO t VALUES(1, 1);
      CREATE TABLE w(name TEXT PRIMARY KEY, d) WITHOUT ROWID;
      WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < 50)
        INSERT INTO w SELECT 'name ' || (100 + i), zeroblob(1800) FROM c
      """)
    try connection.execute("BEGIN IMMEDIATE; UPDATE t SET n = 2; SAVEPOINT s; UPDATE t SET n = 3")
    let scan = try connection.prepareBlocking("SELECT name FROM w ORDER BY name")
    for _ in 0..<3 { #expect(try scan.stepBlocking()) }
    try connection.execute(end)
    var names: [String] = []
    while try scan.stepBlocking() { names.append(String(decoding: scan.column(0).bytes.array, as: UTF8.self)) }
    #expect(names == (104...150).map { "name \($0)" })
    scan.finalize()
    if end != "ROLLBACK" { try connection.execute("ROLLBACK") }
    #expect(try connection.value("SELECT n FROM t") == "1")
    try connection.closeBlocking()
  }

  @Test("a writer that nobody reads beside keeps no log when its transaction is over")
  func leavesNoMark() throws {
    let (writer, other) = try Self.world()
    for _ in 0..<3 {
      try writer.execute("BEGIN IMMEDIATE; UPDATE t SET n = n + 1; COMMIT")
      #expect(try other.row("PRAGMA wal_checkpoint(TRUNCATE)") == ["0", "0", "0"])
    }
    #expect(try other.value("SELECT sum(n) FROM t") == "\(3 * Self.rowCount)")
    for connection in [writer, other] { try connection.closeBlocking() }
  }

  @Test("behind a COMMIT that was dropped when it was appended, a reader sees it, and ROLLBACK tells of it")
  func readsBehindDroppedCommit() throws {
    let (writer, other) = try Self.world("full")
    try writer.execute("BEGIN IMMEDIATE; UPDATE t SET n = 1 WHERE id = 7")
    let commit = try Stepped(writer, "COMMIT")
    try Self.step(commit, untilAppendedBefore: other)
    commit.statement.finalize()
    #expect(try writer.value("SELECT n FROM t WHERE id = 7") == "1")
    #expect { try writer.execute("ROLLBACK") } throws: { ($0 as? EngineError)?.code == .abort }
    try other.execute("ROLLBACK")
    #expect(try other.value("SELECT sum(n) FROM t") == "1")
    for connection in [writer, other] { try connection.closeBlocking() }
  }

  @Test(
    "behind a COMMIT that was dropped at its checkpoint, the next write begins on a snapshot of its own",
    arguments: [false, true])
  func writesBehindDroppedCheckpoint(reads: Bool) throws {
    let (writer, other) = try Self.world()
    try writer.execute("PRAGMA wal_autocheckpoint = 1")
    try writer.execute("BEGIN IMMEDIATE; UPDATE t SET n = 1 WHERE id = 7")
    let commit = try Stepped(writer, "COMMIT")
    var isPublished = false
    while !isPublished, case .pending(let wait) = try commit.statement.step() {
      isPublished = try other.value("SELECT sum(n) FROM t") == "1"
      if !isPublished { writer.wait(for: wait) }
    }
    #expect(isPublished, "it copies back what it has committed")
    commit.statement.finalize()
    try Self.settle(writer)
    try other.execute("UPDATE t SET n = 5 WHERE id = 8; PRAGMA wal_checkpoint(TRUNCATE); UPDATE t SET n = n + 1 WHERE id = 7")
    if reads { #expect(try writer.value("SELECT sum(n) FROM t") == "7") }
    // It was meant for the transaction that is over.
    #expect(writer.failure("UPDATE t SET n = n + 1 WHERE id = 8") == .abort)
    #expect(writer.failure("ROLLBACK") == .abort)
    try writer.execute("BEGIN; UPDATE t SET n = n + 1 WHERE id = 8; COMMIT")
    #expect(try other.value("SELECT sum(n) FROM t") == "8")
    #expect(try other.value("PRAGMA integrity_check") == "ok")
    for connection in [writer, other] { try connection.closeBlocking() }
  }

  @Test("behind a COMMIT that was dropped at its checkpoint, ROLLBACK tells that the transaction was committed")
  func rollsBackBehindDroppedCheckpoint() throws {
    let (writer, other) = try Self.world()
    try writer.execute("PRAGMA wal_autocheckpoint = 1")
    try writer.execute("BEGIN IMMEDIATE; UPDATE t SET n = 1 WHERE id = 7")
    let scan = try writer.prepareBlocking("SELECT n FROM t ORDER BY id")
    #expect(try scan.stepBlocking())
    let commit = try Stepped(writer, "COMMIT")
    var isPublished = false
    while !isPublished, case .pending(let wait) = try commit.statement.step() {
      isPublished = try other.value("SELECT sum(n) FROM t") == "1"
      if !isPublished { writer.wait(for: wait) }
    }
    commit.statement.finalize()
    #expect { try writer.execute("ROLLBACK") } throws: { ($0 as? EngineError)?.code == .abort }
    try Self.settle(writer)
    try other.execute("UPDATE t SET n = 2")
    #expect(try Self.rest(of: scan).reduce(0, +) == 1, "what it reads on is what was committed")
    scan.finalize()
    try writer.execute("BEGIN; UPDATE t SET n = 3; ROLLBACK")
    #expect(try other.value("SELECT sum(n) FROM t") == "\(2 * Self.rowCount)")
    for connection in [writer, other] { try connection.closeBlocking() }
  }

  @Test("beside a COMMIT that waits for its sync, a statement of the connection waits for it")
  func readsBesideCommit() throws {
    let (writer, other) = try Self.world("full")
    try writer.execute("BEGIN IMMEDIATE; UPDATE t SET n = 1 WHERE id = 7")
    let commit = try Stepped(writer, "COMMIT")
    let scan = try Stepped(writer, "SELECT sum(n) FROM t")
    try Self.step(commit, untilAppendedBefore: other)
    guard case .pending(.moment) = try scan.goOn(through: { if case .completion = $0 { true } else { false } }) else {
      Issue.record("it must not read what is not durable")
      return
    }
    while case .pending(let wait) = try commit.statement.step() { writer.wait(for: wait) }
    let result = try scan.goOn { _ in true }
    if case .row = result {} else { Issue.record("\(result) instead of a row") }
    #expect(scan.statement.column(0).integerValue == 1)
    for stepped in [scan, commit] { stepped.statement.finalize() }
    try other.execute("ROLLBACK")
    for connection in [writer, other] { try connection.closeBlocking() }
  }
}
