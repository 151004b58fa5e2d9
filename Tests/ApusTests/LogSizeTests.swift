// PRAGMA wal_size_limit: the log starts again before it has reached the limit, whoever finds it there waits for those who hold it
// back, and nobody waits for himself.

import ApusBase
import ApusIO
import ApusStorage
import Testing

@testable import Apus
@testable import ApusStorage

@Suite struct LogSizeTests {
  private static let pageSize = 512

  private static func bytes(_ frames: Int) -> Int { 32 + frames * (24 + pageSize) }

  private struct Bench {
    let environment: MemoryEnvironment
    let first: Connection
    let second: Connection

    init(limit: Int? = 20, seed: UInt64 = 9) throws {
      environment = MemoryEnvironment(seed: seed, completesAtOnce: false)
      first = try Connection("/a.db", environment: environment)
      try first.execute(
        "PRAGMA page_size = \(LogSizeTests.pageSize); PRAGMA journal_mode = wal;"
          + " CREATE TABLE t(id INTEGER PRIMARY KEY, v); CREATE TABLE u(id INTEGER PRIMARY KEY, v);"
          + " INSERT INTO t VALUES (1, 0); PRAGMA wal_checkpoint(TRUNCATE)")
      second = try Self.another(environment)
      if let limit { try first.execute("PRAGMA wal_size_limit = \(LogSizeTests.bytes(limit))") }
    }

    func another() throws -> Connection { try Self.another(environment) }

    private static func another(_ environment: MemoryEnvironment) throws -> Connection {
      let connection = try Connection("/a.db", environment: environment)
      try connection.execute("PRAGMA busy_timeout = 0; SELECT * FROM t")
      return connection
    }

    /// Bytes of the log's file.
    func logBytes() throws -> Int { Int(try environment.open("/a.db-wal", .readOnly).size()) }

    /// Commits until the log has no room.
    func fill(_ connection: Connection) throws -> EngineError {
      for _ in 0..<200 {
        if let error = connection.refusal("INSERT INTO t(v) VALUES (zeroblob(100))") { return error }
      }
      Issue.record("the log is never full")
      throw EngineError(.internal)
    }

    /// Nobody has left anything: the log can be copied back as a whole and started again.
    func check() throws {
      for connection in [first, second] where !connection.isAutocommit { try connection.execute("ROLLBACK") }
      let third = try another()
      #expect(try third.row("PRAGMA wal_checkpoint(TRUNCATE)") == ["0", "0", "0"])
      #expect(try third.text("PRAGMA integrity_check") == ["ok"])
      for connection in [first, second, third] { try connection.closeBlocking() }
    }
  }

  private func frames(_ connection: Connection) throws -> Int { Int(try connection.row("PRAGMA wal_checkpoint")[1]) ?? .max }

  /// What a dropped statement has left is put right before the connection's next one.
  private static func settle(_ connection: Connection) throws {
    while true {
      do throws(Fault) { return try connection.settle() } catch {
        switch error {
        case .wait(let wait): connection.wait(for: wait)
        case .failure(let failure): throw failure
        }
      }
    }
  }

  @Test("the limit is the file's in this process: said by one connection, in force for all, until the last one closes")
  func setting() throws {
    let bench = try Bench(limit: nil)
    #expect(try bench.first.value("PRAGMA wal_size_limit") == "0")
    #expect(try bench.second.value("PRAGMA wal_size_limit = 70000") == "70000")
    #expect(try bench.first.value("PRAGMA wal_size_limit") == "70000")
    #expect(try bench.first.value("PRAGMA wal_size_limit = -5") == "0")
    #expect(try bench.first.value("PRAGMA wal_size_limit = few") == "0")
    #expect(bench.first.warnings == ["PRAGMA wal_size_limit: the value 'few' has no effect"])
    try bench.first.execute("ATTACH '/b.db' AS other; PRAGMA other.wal_size_limit = 8000; PRAGMA wal_size_limit = 9000")
    #expect(try bench.first.value("PRAGMA other.wal_size_limit") == "8000")
    #expect(try bench.second.value("PRAGMA wal_size_limit") == "9000")
    for connection in [bench.first, bench.second] { try connection.closeBlocking() }
    #expect(try bench.another().value("PRAGMA wal_size_limit") == "0")
    let memory = try Connection(":memory:", environment: bench.environment)
    #expect(try memory.value("PRAGMA wal_size_limit = 9000") == "0")
  }

  @Test("without readers the log starts again at half of its limit, whatever wal_autocheckpoint says", arguments: [0, 1000])
  func startsAgain(autocheckpoint: Int) throws {
    for limit in [nil, 20] {
      let bench = try Bench(limit: limit)
      for connection in [bench.first, bench.second] { try connection.execute("PRAGMA wal_autocheckpoint = \(autocheckpoint)") }
      for number in 0..<120 {
        let connection = number % 3 == 0 ? bench.first : bench.second
        try connection.execute("UPDATE t SET v = \(number) WHERE id = 1")
      }
      let frames = (try bench.logBytes() - 32) / (24 + Self.pageSize)
      // A commit that makes the file longer writes room for 32 frames more.
      if limit == nil { #expect(frames >= 120) } else { #expect(frames <= 20 + 33) }
      try bench.check()
    }
  }

  @Test("a snapshot that holds the log back is named with its connection; when it ends the log starts again")
  func readerIsNamed() throws {
    let bench = try Bench()
    #expect((bench.first.number, bench.second.number) == (1, 2))
    try bench.first.execute("BEGIN; SELECT * FROM t")
    let error = try bench.fill(bench.second)
    #expect(error.code == .busy && error.message == "database is locked")
    #expect(error.cause?.hasPrefix("the log has reached wal_size_limit; the snapshot of connection 1, open for ") == true)
    #expect(error.cause?.hasSuffix("ms, holds it back") == true)
    #expect(error.object?.hasSuffix("/a.db") == true)
    // Now for longer, and within the busy timeout.
    let before = bench.environment.monotonicNanoseconds()
    bench.second.busyTimeoutMilliseconds = 41_000
    let late = bench.second.refusal("DELETE FROM t")
    #expect(late?.code == .busy)
    #expect(late?.cause?.contains("connection 1, open for 41 s, holds") == true, "\(late?.cause ?? "no cause")")
    #expect(bench.environment.monotonicNanoseconds() - before >= 41_000_000_000)
    // What was read stays readable, and reading needs no room.
    #expect(try bench.first.value("SELECT count(*) FROM t") == "1")
    #expect(try bench.another().value("SELECT count(*) > 5 FROM t") == "1")
    try bench.first.execute("COMMIT")
    bench.second.busyTimeoutMilliseconds = 0
    try bench.second.execute("INSERT INTO t(v) VALUES (1)")
    #expect(try frames(bench.second) < 9, "the log has started again")
    try bench.check()
  }

  @Test("who found no room on top of a commit that was not published reads that commit afterwards, not what he had read before")
  func noRoomOnPendingTip() throws {
    var onPending = 0
    for seed in 1...4 as ClosedRange<UInt64> {
      let bench = try Bench(limit: 10, seed: seed)
      try bench.first.execute(
        "WITH RECURSIVE n(i) AS (VALUES(2) UNION ALL SELECT i + 1 FROM n WHERE i < 22)"
          + " INSERT INTO t SELECT i, zeroblob(300) FROM n")
      #expect(try bench.second.value("SELECT sum(length(v)) FROM t") == "6301")
      let statement = try bench.first.prepareBlocking("UPDATE t SET v = zeroblob(310)")
      while case .pending(let wait) = try statement.step() {
        if let refusal = bench.second.refusal("BEGIN IMMEDIATE") {
          if refusal.cause?.hasPrefix("the log has reached") == true { onPending += 1 }
        } else {
          try bench.second.execute("ROLLBACK")
        }
        bench.first.wait(for: wait)
      }
      statement.finalize()
      #expect(try bench.second.value("SELECT sum(length(v)) FROM t") == "6820")
      #expect(try bench.second.text("PRAGMA integrity_check") == ["ok"])
      try bench.check()
    }
    #expect(onPending > 0)
  }

  @Test("one transaction may pass the limit by its own size")
  func largeTransaction() throws {
    let bench = try Bench()
    for _ in 0..<3 {
      try bench.second.execute("INSERT INTO t(v) VALUES (zeroblob(40000))")
      try bench.first.execute("BEGIN CONCURRENT; INSERT INTO u(v) VALUES (zeroblob(40000)); COMMIT")
    }
    try bench.check()
  }

  @Test("who waits for room has neither the turn nor a place in line, and goes on when the reader ends")
  func waitsParked() throws {
    let bench = try Bench()
    try bench.first.execute("BEGIN; SELECT * FROM t")
    _ = try bench.fill(bench.second)
    bench.second.busyTimeoutMilliseconds = 60_000
    let statement = try bench.second.prepareBlocking("INSERT INTO t(v) VALUES (7)")
    func waitsForMoment() throws -> Bool {
      while case .pending(let wait) = try statement.step() {
        if case .moment = wait { return true }
        bench.second.wait(for: wait)
      }
      return false
    }
    #expect(try waitsForMoment())
    // Somebody who takes away the limit writes at once: nobody stands before him.
    let third = try bench.another()
    try third.execute("PRAGMA wal_size_limit = 0; INSERT INTO t(v) VALUES (8)")
    try third.execute("PRAGMA wal_size_limit = \(Self.bytes(20))")
    #expect(try waitsForMoment())
    try bench.first.execute("COMMIT")
    while case .pending(let wait) = try statement.step() { bench.second.wait(for: wait) }
    statement.finalize()
    #expect(try third.value("SELECT count(*) FROM t WHERE v IN (7, 8)") == "2")
    try third.closeBlocking()
    try bench.check()
  }

  @Test("a concurrent transaction whose own old snapshot holds the log back is lost, and does not wait for itself")
  func ownSnapshotLoses() throws {
    let bench = try Bench()
    try bench.second.execute("BEGIN CONCURRENT; SELECT * FROM u; INSERT INTO u VALUES (5, 5)")
    let error = try bench.fill(bench.first)
    #expect(error.cause?.contains("the snapshot of connection 2") == true)
    bench.second.busyTimeoutMilliseconds = 60_000
    let before = bench.environment.monotonicNanoseconds()
    let refusal = bench.second.refusal("COMMIT")
    #expect(refusal?.code == .busySnapshot && refusal?.message == "database is locked")
    #expect(refusal?.cause == "the log has reached wal_size_limit; the snapshot of this transaction holds it back")
    #expect(refusal?.hint == "roll back and run the transaction again")
    #expect(bench.environment.monotonicNanoseconds() - before < 1_000_000_000)
    #expect(bench.first.concurrentConflicts()?.losses == [.init(kind: .logSize, count: 1)])
    // Its snapshot has gone at once.
    try bench.first.execute("INSERT INTO t(v) VALUES (2)")
    try bench.second.execute("ROLLBACK; BEGIN CONCURRENT; INSERT INTO u VALUES (5, 5); COMMIT")
    try bench.check()
  }

  /// A log that is longer than a limit that is said too late, and was not copied back.
  private func overgrown() throws -> Bench {
    let bench = try Bench(limit: nil)
    for connection in [bench.first, bench.second] { try connection.execute("PRAGMA wal_autocheckpoint = 0") }
    for _ in 0..<30 { try bench.first.execute("INSERT INTO t(v) VALUES (zeroblob(100))") }
    return bench
  }

  @Test("a concurrent transaction on the newest state makes room itself")
  func newestSnapshotCommits() throws {
    let bench = try overgrown()
    try bench.second.execute("BEGIN CONCURRENT; SELECT count(*) FROM t; INSERT INTO u VALUES (5, 5)")
    try bench.first.execute("PRAGMA wal_size_limit = \(Self.bytes(20))")
    try bench.second.execute("COMMIT")
    #expect(try frames(bench.second) < 9, "the log has started again")
    #expect(try bench.first.row("SELECT (SELECT count(*) FROM t), (SELECT v FROM u)") == ["31", "5"])
    try bench.check()
  }

  @Test("two concurrent transactions on the newest state do not keep each other waiting for ever")
  func twoOnNewestState() throws {
    let bench = try overgrown()
    for (connection, id) in [(bench.first, 5), (bench.second, 6)] {
      connection.busyTimeoutMilliseconds = 0
      try connection.execute("BEGIN CONCURRENT; INSERT INTO u VALUES (\(id), 5)")
    }
    try bench.first.execute("PRAGMA wal_size_limit = \(Self.bytes(20))")
    let refusal = bench.second.refusal("COMMIT")
    #expect(refusal?.code == .busy)
    #expect(refusal?.cause?.contains("the snapshot of connection 1, open for") == true, "\(refusal?.cause ?? "no cause")")
    // It goes on, and reads what it has read.
    #expect(try bench.second.value("SELECT count(*) FROM t") == "31")
    try bench.first.execute("COMMIT")
    try bench.second.execute("COMMIT")
    #expect(try bench.first.text("SELECT id FROM u") == ["5", "6"])
    try bench.check()
  }

  @Test("transactions on the newest state that found no free mark do not wait for each other for ever", arguments: [false, true])
  func onOlderMarks(readersStay: Bool) throws {
    let bench = try overgrown()
    let readers = try (0..<4).map { _ in try bench.another() }
    for reader in readers {
      try reader.execute("BEGIN; SELECT count(*) FROM t")
      try bench.first.execute("INSERT INTO t(v) VALUES (0)")
    }
    for (connection, id) in [(bench.first, 5), (bench.second, 6)] {
      connection.busyTimeoutMilliseconds = 0
      try connection.execute("BEGIN CONCURRENT; INSERT INTO u VALUES (\(id), 5)")
    }
    if !readersStay { for reader in readers { try reader.execute("COMMIT") } }
    try bench.first.execute("PRAGMA wal_size_limit = \(Self.bytes(20))")
    let refusal = bench.second.refusal("COMMIT")
    #expect(refusal?.code == (readersStay ? .busySnapshot : .busy))
    if readersStay {
      // It would keep back all that is behind its mark.
      #expect(refusal?.cause?.contains("the snapshot of this transaction holds it back") == true, "\(refusal?.cause ?? "no cause")")
      for reader in readers { try reader.execute("COMMIT") }
      try bench.second.execute("ROLLBACK")
    } else {
      #expect(bench.first.refusal("COMMIT")?.code == .busy, "the other one has taken a mark of the newest state")
      try bench.second.execute("COMMIT")
    }
    try bench.first.execute("COMMIT")
    #expect(try bench.first.text("SELECT id FROM u") == (readersStay ? ["5"] : ["5", "6"]))
    for reader in readers { try reader.closeBlocking() }
    try bench.check()
  }

  @Test("a transaction that is alone on an older mark raises that, and is not lost where others hold the log back")
  func aloneOnOlderMark() throws {
    let bench = try overgrown()
    let readers = try (0..<4).map { _ in try bench.another() }
    for reader in readers {
      try reader.execute("BEGIN; SELECT count(*) FROM t")
      try bench.first.execute("INSERT INTO t(v) VALUES (0)")
    }
    try bench.second.execute("PRAGMA busy_timeout = 0; BEGIN CONCURRENT; INSERT INTO u VALUES (6, 5)")
    try readers[3].execute("COMMIT")
    try bench.first.execute("PRAGMA wal_size_limit = \(Self.bytes(20))")
    let refusal = bench.second.refusal("COMMIT")
    #expect(refusal?.code == .busy)
    #expect(refusal?.cause?.contains("the snapshot of connection 3, open for") == true, "\(refusal?.cause ?? "no cause")")
    for reader in readers.prefix(3) { try reader.execute("COMMIT") }
    try bench.second.execute("COMMIT")
    #expect(try bench.first.text("SELECT id FROM u") == ["6"])
    for reader in readers { try reader.closeBlocking() }
    try bench.check()
  }

  @Test("a transaction that has read before it writes makes room, or is refused at once")
  func readBeforeWrite() throws {
    for isHeld in [false, true] {
      let bench = try overgrown()
      try bench.second.execute("BEGIN; SELECT count(*) FROM t; PRAGMA busy_timeout = 60000")
      let third = try bench.another()
      if isHeld { try third.execute("BEGIN; SELECT * FROM t") }
      try bench.first.execute("PRAGMA wal_size_limit = \(Self.bytes(20))")
      let before = bench.environment.monotonicNanoseconds()
      let refusal = bench.second.refusal("INSERT INTO u VALUES (5, 5)")
      #expect((refusal?.code == .busy) == isHeld && (refusal == nil) == !isHeld)
      if isHeld { #expect(refusal?.cause?.contains("the snapshot of connection 3") == true, "\(refusal?.cause ?? "no cause")") }
      #expect(bench.environment.monotonicNanoseconds() - before < 1_000_000_000)
      if isHeld { try third.execute("COMMIT; PRAGMA busy_timeout = 0") }
      if isHeld { try bench.second.execute("INSERT INTO u VALUES (5, 5)") }
      try bench.second.execute("COMMIT")
      #expect(try third.text("SELECT id FROM u") == ["5"])
      try third.closeBlocking()
      try bench.check()
    }
  }

  @Test("a statement that is dropped while it makes room leaves no lock", arguments: [false, true])
  func dropped(isConcurrent: Bool) throws {
    for stop in 0..<14 {
      let bench = try overgrown()
      if isConcurrent { try bench.second.execute("BEGIN CONCURRENT; INSERT INTO u VALUES (5, 5)") }
      try bench.first.execute("PRAGMA wal_size_limit = \(Self.bytes(20))")
      let statement = try bench.second.prepareBlocking(isConcurrent ? "COMMIT" : "INSERT INTO u VALUES (5, 5)")
      for _ in 0..<stop {
        guard case .pending(let wait) = try statement.step() else { break }
        bench.second.wait(for: wait)
      }
      statement.finalize()
      try Self.settle(bench.second)
      if !bench.second.isAutocommit { _ = bench.second.failure("ROLLBACK") }
      try bench.first.execute("INSERT INTO t(v) VALUES (1)")
      try bench.check()
    }
  }

  @Test("threads with a small limit: all commit in the end, and the log stays short")
  func mixture() throws {
    let bench = try Bench(limit: 12)
    var connections = [bench.first, bench.second]
    for _ in 0..<3 { connections.append(try bench.another()) }
    for connection in connections { connection.busyTimeoutMilliseconds = 0 }
    var random = SeededRandom(seed: 5)
    var (committed, refused) = (0, 0)
    for number in 0..<800 {
      let connection = connections[random.below(connections.count)]
      do throws(EngineError) {
        if connection.isAutocommit {
          switch random.below(3) {
          case 0: try connection.execute("UPDATE t SET v = \(number) WHERE id = 1")
          case 1: try connection.execute("BEGIN CONCURRENT; INSERT INTO u(v) VALUES (\(number))")
          default: try connection.execute("BEGIN; SELECT count(*) FROM u")
          }
        } else {
          try connection.execute("COMMIT")
          committed += 1
        }
      } catch {
        #expect(error.code.primary == .busy)
        refused += 1
        if !connection.isAutocommit { try connection.execute("ROLLBACK") }
      }
    }
    #expect(committed > 100 && refused > 10)
    // Twelve frames, one transaction, and room for the next.
    #expect(try bench.logBytes() <= Self.bytes(12 + 10 + 32))
    for connection in connections.dropFirst(2) { try connection.closeBlocking() }
    try bench.check()
  }

  @Test("each doubling beyond 64 MiB is told once, until the log has started again")
  func growth() throws {
    let logs = LogRegistry()
    let mib: Int64 = 1 << 20
    #expect([1, 63, 64, 65, 127].map { logs.growth(to: $0 * mib) } == [nil, nil, 64 * mib, nil, nil])
    #expect([130, 1000, 600].map { logs.growth(to: $0 * mib) } == [128 * mib, 512 * mib, nil])
    #expect([10, 70].map { logs.growth(to: $0 * mib) } == [nil, 64 * mib])
  }

  @Test("a log that grows without a limit warns, and names the oldest reader")
  func warns() throws {
    let environment = MemoryEnvironment()
    let first = try Connection("/a.db", environment: environment)
    try first.execute("PRAGMA page_size = 65536; PRAGMA journal_mode = wal; CREATE TABLE t(v)")
    let second = try Connection("/a.db", environment: environment)
    try first.execute("BEGIN; SELECT * FROM t")
    try second.execute("PRAGMA cache_size = 2000; INSERT INTO t VALUES (zeroblob(67200000))")
    try second.execute("SELECT 1")
    #expect(second.warnings.count == 1)
    #expect(second.warnings.first?.contains("the log has grown to 64 MiB; the snapshot of connection 1, open for ") == true)
    try second.execute("INSERT INTO t VALUES (1)")
    try second.execute("SELECT 1")
    #expect(second.warnings.isEmpty, "it is told once")
  }
}
