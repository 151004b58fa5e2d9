// Several connections of one process that write to one log: turns, commits that wait for one sync, and what of them shows before.

import ApusBase
import ApusIO
import ApusVM
import Foundation
import Testing

@testable import Apus
@testable import ApusStorage

private func waitsForOthers(_ result: StepResult) -> Bool { if case .pending(.signal) = result { true } else { false } }
private func isCompletion(_ wait: Wait) -> Bool { if case .completion = wait { true } else { false } }
private func isDone(_ result: StepResult) -> Bool { if case .done = result { true } else { false } }

@Suite struct GroupCommitTests {
  private func open(_ environment: MemoryEnvironment, count: Int) throws -> [Connection] {
    let first = try Connection("/g.db", environment: environment)
    try first.execute("PRAGMA journal_mode = wal; PRAGMA synchronous = full; CREATE TABLE t(x)")
    return try [first] + (1..<count).map { _ in
      let other = try Connection("/g.db", environment: environment)
      try other.execute("PRAGMA synchronous = full; PRAGMA busy_timeout = 5000; SELECT * FROM t")
      return other
    }
  }

  /// Whether a writer gets its turn now; it has it then.
  private func begins(_ connection: Connection) throws -> Bool {
    connection.busyTimeoutMilliseconds = 0
    do { try connection.execute("BEGIN IMMEDIATE") } catch {
      #expect(error.code.primary == .busy)
      return false
    }
    return true
  }

  @Test("a commit that waits for its sync lets the next writer go on top of it, and nobody sees either before")
  func earlyHandOver() throws {
    let environment = MemoryEnvironment(seed: 11, completesAtOnce: false)
    let connections = try open(environment, count: 4)
    let first = try Stepped(connections[0], "INSERT INTO t VALUES (1)")
    var isHandedOver = false
    while case .pending(let wait) = try first.statement.step() {
      if try begins(connections[1]) {
        isHandedOver = true
        break
      }
      connections[0].wait(for: wait)
    }
    #expect(isHandedOver, "the turn is free before the commit is answered")
    #expect(try connections[2].value("SELECT count(*) FROM t") == "0", "nobody sees it before")
    try connections[1].execute("INSERT INTO t VALUES (2)")
    let second = try Stepped(connections[1], "COMMIT")
    // The first one syncs, for itself alone: the other's frames came later. The other one waits for that, and then syncs itself.
    #expect(waitsForOthers(try second.goOn(through: isCompletion)))
    #expect(isDone(try first.goOn { _ in true }))
    #expect(try connections[2].value("SELECT count(*) FROM t") == "1")
    #expect(isDone(try second.goOn { _ in true }))
    #expect(try connections[2].value("SELECT count(*) FROM t") == "2")
    for stepped in [first, second] { stepped.statement.finalize() }
    for connection in connections { try connection.closeBlocking() }
  }

  enum Ending: CaseIterable { case select, settle }

  @Test(
    "a COMMIT that is dropped in its sync is ended by what only reads, and by settle; a checkpoint that is due is not",
    arguments: Ending.allCases, [1000, 1])
  func droppedLeader(by ending: Ending, checkpointFrames: Int) throws {
    let environment = MemoryEnvironment(seed: 16, completesAtOnce: false)
    let connections = try open(environment, count: 3)
    try connections[0].execute("PRAGMA wal_autocheckpoint = \(checkpointFrames)")
    try connections[0].execute("BEGIN CONCURRENT; INSERT INTO t VALUES (1)")
    let first = try Stepped(connections[0], "COMMIT")
    while case .pending(let wait) = try first.statement.step(), try !begins(connections[1]) { connections[0].wait(for: wait) }
    first.statement.reset()
    try connections[1].execute("INSERT INTO t VALUES (2)")
    let second = try Stepped(connections[1], "COMMIT")
    #expect(waitsForOthers(try second.goOn(through: isCompletion)))
    switch ending {
    case .select: #expect(try connections[0].value("SELECT count(*) FROM t") == "1")
    case .settle:
      while true {
        do throws(Fault) {
          try connections[0].settle()
          break
        } catch {
          guard case .wait(let wait) = error else { throw error }
          connections[0].wait(for: wait)
        }
      }
    }
    var waitCount = 0
    let result = try second.goOn { _ in
      waitCount += 1
      return waitCount < 100
    }
    #expect(isDone(result))
    #expect(try connections[2].value("SELECT count(*) FROM t") == "2")
    let error = #expect(throws: EngineError.self) { try connections[0].execute("INSERT INTO t VALUES (3)") }
    #expect(error?.message.contains("the transaction was committed") == true)
    try connections[0].execute("COMMIT")
    #expect(try connections[0].value("SELECT count(*) FROM t") == "2")
    for stepped in [first, second] { stepped.statement.finalize() }
    for connection in connections { try connection.closeBlocking() }
  }

  @Test("who is in line when the others close gets the turn that was kept for it", arguments: ["COMMIT", "ROLLBACK"])
  func inLineWhenAlone(end: String) throws {
    let environment = MemoryEnvironment(seed: 14, completesAtOnce: true)
    let connections = try open(environment, count: 2)
    connections[0].busyTimeoutMilliseconds = 5000
    try connections[1].execute("BEGIN IMMEDIATE; INSERT INTO t VALUES (1)")
    let waiting = try Stepped(connections[0], "INSERT INTO t VALUES (2)")
    #expect(!isDone(try waiting.goOn(through: isCompletion)))
    try connections[1].execute(end)
    try connections[1].closeBlocking()
    #expect(isDone(try waiting.goOn { _ in true }))
    waiting.statement.finalize()
    #expect(try connections[0].value("SELECT count(*) FROM t") == (end == "COMMIT" ? "2" : "1"))
    // Alone with its file it takes the lock itself, and leaves it.
    try connections[0].execute("INSERT INTO t VALUES (3)")
    let other = try Connection("/g.db", environment: environment)
    try other.execute("INSERT INTO t VALUES (4)")
    for connection in [connections[0], other] { try connection.closeBlocking() }
  }

  /// The write lock as another process has it.
  private func foreignLock(_ environment: MemoryEnvironment) throws -> any SharedMemory {
    let memory = try environment.open("/g.db", .readWrite).openSharedMemory(readOnly: false)
    #expect(try memory.lock(.exclusive, slot: WALIndex.writeSlot, count: 1))
    return memory
  }

  /// How long a statement wants to wait, in microseconds, before it looks again.
  private func pause(_ stepped: Stepped, _ environment: MemoryEnvironment) throws -> UInt64? {
    let now = environment.monotonicNanoseconds()
    guard case .pending(.moment(let moment)) = try stepped.goOn(through: isCompletion) else { return nil }
    return (moment - min(now, moment)) / 1000
  }

  @Test("of those who wait for another process's write lock the first asks often, and the others wait for it")
  func firstAsksOthers() throws {
    let environment = MemoryEnvironment(seed: 15, completesAtOnce: true)
    let connections = try open(environment, count: 3)
    connections[0].busyTimeoutMilliseconds = 5000
    let foreign = try foreignLock(environment)
    let statements = try connections.map { try Stepped($0, "INSERT INTO t VALUES (1)") }
    #expect(try #require(try pause(statements[0], environment)) < 100)
    for other in statements.dropFirst() { #expect(try #require(try pause(other, environment)) > 500) }
    // Nobody commits meanwhile: it asks less and less often.
    var pauses: [UInt64] = []
    for _ in 0..<12 {
      environment.sleep(untilMonotonic: environment.monotonicNanoseconds() + 1_000_000)
      pauses.append(try #require(try pause(statements[0], environment)))
    }
    #expect(pauses == pauses.sorted() && (500...1100).contains(pauses[11]), "\(pauses)")
    try foreign.unlock(slot: WALIndex.writeSlot, count: 1)
    // It is free, and stays the first one's.
    #expect(try pause(statements[1], environment) != nil)
    #expect(isDone(try statements[0].goOn { _ in true }))
    for other in statements.dropFirst() { #expect(isDone(try other.goOn { _ in true })) }
    #expect(try connections[0].value("SELECT count(*) FROM t") == "3")
    for stepped in statements { stepped.statement.finalize() }
    for connection in connections { try connection.closeBlocking() }
    foreign.close(delete: false)
  }

  @Test("who waits for another process's write lock and does not come any more loses its place to the next")
  func firstDoesNotCome() throws {
    let environment = MemoryEnvironment(seed: 16, completesAtOnce: true)
    let connections = try open(environment, count: 2)
    connections[0].busyTimeoutMilliseconds = 5000
    let foreign = try foreignLock(environment)
    let statements = try connections.map { try Stepped($0, "INSERT INTO t VALUES (1)") }
    for stepped in statements { #expect(try pause(stepped, environment) != nil) }
    try foreign.unlock(slot: WALIndex.writeSlot, count: 1)
    foreign.close(delete: false)
    let began = environment.monotonicNanoseconds()
    #expect(isDone(try statements[1].goOn { _ in true }))
    #expect(environment.monotonicNanoseconds() - began < 200_000_000)
    #expect(isDone(try statements[0].goOn { _ in true }))
    for stepped in statements { stepped.statement.finalize() }
    for connection in connections { try connection.closeBlocking() }
  }

  @Test("the conflict report counts syncs, the commits that they serve, and the largest group")
  func groupsAreCounted() throws {
    let environment = MemoryEnvironment(seed: 11, completesAtOnce: false)
    let connections = try open(environment, count: 3)
    let before = try #require(connections[0].concurrentConflicts())
    let first = try Stepped(connections[0], "INSERT INTO t VALUES (0)")
    while case .pending(let wait) = try first.statement.step() {
      if try begins(connections[1]) { break }
      connections[0].wait(for: wait)
    }
    // While the first one syncs for itself two come on top, whom one sync serves.
    var others: [Stepped] = []
    for connection in connections.dropFirst() {
      if connection.isAutocommit { #expect(try begins(connection)) }
      try connection.execute("INSERT INTO t VALUES (1)")
      others.append(try Stepped(connection, "COMMIT"))
      #expect(waitsForOthers(try others[others.count - 1].goOn(through: isCompletion)))
    }
    for stepped in [first] + others { #expect(isDone(try stepped.goOn { _ in true })) }
    let report = try #require(connections[0].concurrentConflicts())
    #expect(report.groupCount - before.groupCount == 2)
    #expect(report.groupedCommitCount - before.groupedCommitCount == 3)
    #expect(report.largestGroup == 2 && before.largestGroup <= 1)
    #expect(report.commitCount == 0 && report.losses.isEmpty, "these are ordinary transactions")
    let rows = try connections[2].text("PRAGMA concurrent_conflicts")
    #expect(rows.count == 5)
    for stepped in [first] + others { stepped.statement.finalize() }
    for connection in connections { try connection.closeBlocking() }
  }

  @Test("a statement that begins on a commit that is not durable, and fails there, fails when that is durable")
  func failureOnPendingBase() throws {
    let environment = MemoryEnvironment(seed: 14, completesAtOnce: false)
    let connections = try open(environment, count: 3)
    try connections[0].execute("CREATE TABLE u(x INTEGER PRIMARY KEY)")
    try connections[1].execute("SELECT * FROM u")
    connections[1].busyTimeoutMilliseconds = 0
    let first = try Stepped(connections[0], "INSERT INTO u VALUES (7)")
    let second = try Stepped(connections[1], "INSERT INTO u VALUES (7)")
    var isHeld = false
    while !isHeld, case .pending(let wait) = try first.statement.step() {
      // SQLITE_BUSY until the turn is free.
      isHeld = (try? second.goOn(through: isCompletion)).map(waitsForOthers) ?? false
      if !isHeld { connections[0].wait(for: wait) }
    }
    #expect(isHeld, "it must not be told of a row that may never be")
    #expect(try connections[2].value("SELECT count(*) FROM u") == "0")
    #expect(isDone(try first.goOn { _ in true }))
    #expect { try second.goOn { _ in true } } throws: { ($0 as? EngineError)?.code.primary == .constraint }
    for stepped in [first, second] { stepped.statement.finalize() }
    for connection in connections { try connection.closeBlocking() }
  }

  @Test("what a transaction finds on a commit that is not durable is told when it is")
  func resultsOnPendingBase() throws {
    let environment = MemoryEnvironment(seed: 12, completesAtOnce: false)
    let connections = try open(environment, count: 3)
    let first = try Stepped(connections[0], "INSERT INTO t VALUES (7)")
    while case .pending(let wait) = try first.statement.step() {
      if try begins(connections[1]) { break }
      connections[0].wait(for: wait)
    }
    let stepped = try Stepped(connections[1], "SELECT x FROM t")
    #expect(waitsForOthers(try stepped.goOn(through: isCompletion)), "the row is there, and not given out")
    #expect(stepped.statement.dataCount == 0)
    #expect(try connections[2].value("SELECT count(*) FROM t") == "0")
    #expect(isDone(try first.goOn { _ in true }))
    #expect(try connections[2].value("SELECT count(*) FROM t") == "1")
    let result = try stepped.goOn { _ in true }
    if case .row = result {} else { Issue.record("\(result) instead of a row") }
    #expect(stepped.statement.column(0).integerValue == 7)
    stepped.statement.finalize()
    try connections[1].execute("COMMIT")
    #expect(try connections[2].value("SELECT count(*) FROM t") == "1")
    first.statement.finalize()
    for connection in connections { try connection.closeBlocking() }
  }

  @Test("who has lost three times begins with the turn, over waits and a dropped statement", arguments: [false, true])
  func turnOverWaits(isDropped: Bool) throws {
    let bench = try TwoWriters("CREATE TABLE t(n); INSERT INTO t VALUES (0)")
    try bench.second.execute("PRAGMA busy_timeout = 1000")
    for _ in 0..<3 {
      try bench.second.execute("BEGIN CONCURRENT; UPDATE t SET n = n + 1")
      try bench.first.execute("UPDATE t SET n = n + 10")
      #expect(bench.second.failure("COMMIT") == .busySnapshot)
      try bench.second.execute("ROLLBACK")
    }
    // With the lock in hand it waits for page 1, which nobody has in memory.
    let stepped = try Stepped(bench.second, "UPDATE t SET n = n + 1")
    for connection in [bench.second, bench.first] { try connection.execute("PRAGMA shrink_memory") }
    try bench.second.execute("BEGIN CONCURRENT")
    let result = try stepped.statement.step()
    if case .pending(.completion) = result {} else { Issue.record("\(result) instead of a wait") }
    #expect(bench.first.failure("PRAGMA busy_timeout = 0; BEGIN IMMEDIATE") == .busy, "the turn is had")
    if isDropped { stepped.statement.reset() }
    if isDropped { try bench.second.execute("UPDATE t SET n = n + 1") } else { #expect(isDone(try stepped.goOn { _ in true })) }
    stepped.statement.finalize()
    #expect(bench.first.failure("BEGIN IMMEDIATE") == .busy, "it still is")
    try bench.second.execute("COMMIT")
    #expect(try bench.first.value("SELECT n FROM t") == "31")
    try bench.check()
  }

  @Test("threads add to one table, each at its own level: nothing is lost, and the file is whole", arguments: [2, 8])
  func threads(count: Int) throws {
    let perThread = 120
    let setUp =
      "CREATE TABLE t(id INTEGER PRIMARY KEY, who, n); CREATE INDEX ti ON t(who, n);"
      + " CREATE TABLE sum(x); INSERT INTO sum VALUES (0)"
    try onThreads(count, setUp) { (connection, who) in
      try connection.execute("PRAGMA synchronous = \(["full", "normal", "full", "extra", "off"][who % 5])")
      for n in 0..<perThread {
        if n % 3 == 0 {
          try connection.execute("BEGIN IMMEDIATE")
          let before = try connection.value("SELECT x FROM sum")
          try connection.execute("UPDATE sum SET x = \(before) + 1")
          try connection.execute("INSERT INTO t(who, n) VALUES (\(who), \(n)); COMMIT")
        } else {
          try connection.execute("INSERT INTO t(who, n) VALUES (\(who), \(n))")
        }
      }
    } check: { (keeper) throws in
      #expect(try keeper.value("SELECT count(*) FROM t") == "\(count * perThread)")
      #expect(try keeper.value("SELECT count(DISTINCT who || '/' || n) FROM t") == "\(count * perThread)")
      #expect(try keeper.value("SELECT x FROM sum") == "\(count * perThread / 3)")
    }
  }

  @Test("threads transfer and append in concurrent transactions: lost ones are done again, and sums hold", arguments: [3, 8])
  func concurrentThreads(count: Int) throws {
    let perThread = 60
    let setUp =
      "CREATE TABLE account(id INTEGER PRIMARY KEY, sum);"
      + " CREATE TABLE entry(id INTEGER PRIMARY KEY, who, n); CREATE INDEX entry_who ON entry(who, n);"
      + " WITH RECURSIVE c(i) AS (VALUES(1) UNION ALL SELECT i + 1 FROM c WHERE i < 20)"
      + " INSERT INTO account SELECT i, 100 FROM c"
    try onThreads(count, setUp) { (connection, who) in
      try connection.execute("PRAGMA synchronous = \(who % 2 == 0 ? "full" : "normal")")
      for n in 0..<perThread {
        let from = (who * 7 + n * 3) % 20 + 1, to = (who * 5 + n * 11) % 20 + 1
        try connection.commit(
          n % 5 == 4 ? "IMMEDIATE" : "CONCURRENT",
          "UPDATE account SET sum = sum - 1 WHERE id = \(from); UPDATE account SET sum = sum + 1 WHERE id = \(to);"
            + " INSERT INTO entry(who, n) VALUES (\(who), \(n))")
      }
    } check: { (keeper) throws in
      let entries = "\(count * perThread)"
      #expect(try keeper.value("SELECT sum(sum) FROM account") == "2000")
      #expect(try keeper.value("SELECT count(*), count(DISTINCT who || '/' || n) FROM entry") == entries)
      #expect(try keeper.value("SELECT count(*) FROM entry INDEXED BY entry_who WHERE who >= 0") == entries)
    }
  }

  @Test("threads that all change one row commit at their fourth attempt at the latest", arguments: [4, 32])
  func hotRow(count: Int) throws {
    let perThread = 15
    try onThreads(count, "CREATE TABLE hot(id INTEGER PRIMARY KEY, n); INSERT INTO hot VALUES (1, 0)") { (connection, who) in
      try connection.execute("PRAGMA synchronous = \(who % 2 == 0 ? "full" : "normal")")
      for _ in 0..<perThread {
        try connection.commit("CONCURRENT", "UPDATE hot SET n = n + 1 WHERE id = 1")
      }
    } check: { (keeper) throws in
      #expect(try keeper.value("SELECT n FROM hot") == "\(count * perThread)")
    }
  }

  @Test("threads append to one table, and wait for the disk: nobody is lost to anybody", arguments: [2, 6])
  func appendsDoNotCollide(count: Int) throws {
    let perThread = 100
    try onThreads(count, "CREATE TABLE t(id INTEGER PRIMARY KEY, who)") { (connection, who) in
      try connection.execute("PRAGMA synchronous = full")
      for _ in 0..<perThread {
        try connection.execute("BEGIN CONCURRENT; INSERT INTO t(who) VALUES (\(who)); COMMIT")
      }
    } check: { (keeper) throws in
      #expect(try keeper.value("SELECT count(*) FROM t") == "\(count * perThread)")
    }
  }

  /// Threads with a connection each on a real file; then the file is whole.
  private func onThreads(
    _ count: Int, _ setUp: String, _ body: @escaping @Sendable (Connection, Int) throws -> Void,
    check: (Connection) throws -> Void
  ) throws {
    let directory = FileManager.default.temporaryDirectory.appendingPathComponent("apus-group-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: directory) }
    let path = directory.appendingPathComponent("g.db").path
    let environment = SystemEnvironment()
    let keeper = try Connection(path, environment: environment)
    try keeper.execute("PRAGMA journal_mode = wal; \(setUp)")
    let failures = Failures()
    let group = DispatchGroup()
    for who in 0..<count {
      group.enter()
      Thread.detachNewThread {
        defer { group.leave() }
        do {
          let connection = try Connection(path, environment: environment)
          try connection.execute("PRAGMA busy_timeout = 60000")
          try body(connection, who)
          try connection.closeBlocking()
        } catch {
          failures.add("\(who): \(error)")
        }
      }
    }
    group.wait()
    #expect(failures.all == [])
    try check(keeper)
    #expect(try keeper.text("PRAGMA integrity_check") == ["ok"])
    try keeper.closeBlocking()
  }
}

extension Connection {
  /// Runs a transaction again where it is lost to another one, three times at most.
  fileprivate func commit(_ kind: String, _ sql: String) throws(EngineError) {
    var lost = 0
    while true {
      do throws(EngineError) {
        return try execute("BEGIN \(kind); \(sql); COMMIT")
      } catch {
        guard error.code == .busySnapshot, lost < Pager.lostCountMax else { throw error }
        lost += 1
        try execute("ROLLBACK")
      }
    }
  }
}

private final class Failures: @unchecked Sendable {
  private let lock = NSLock()
  private var texts: [String] = []

  func add(_ text: String) { lock.withLock { texts.append(text) } }
  var all: [String] { lock.withLock { texts } }
}
