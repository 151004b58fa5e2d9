// What must not wait for ever, and what must not keep others waiting: transactions within transactions, reads that
// write, rows that nobody asks for any more, databases as bytes.

import ApusBase
import ApusIO
import ApusStorage
import Synchronization
import Testing

@testable import Apus

@Suite struct DoorWaitTests {
  private func database(
    _ path: String = "/waits.db", readers: Int = 2, completesAtOnce: Bool = true
  ) async throws -> Database {
    var configuration = Configuration()
    configuration.environment = MemoryEnvironment(seed: 31, completesAtOnce: completesAtOnce)
    configuration.readers = readers
    let database = try await Database.open(path, configuration)
    try await database.write { tx in
      try await tx.execute("CREATE TABLE t(x)")
      try await tx.execute(
        """
        WITH RECURSIVE c(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM c WHERE i < 2000)
        INSERT INTO t SELECT i FROM c
        """)
    }
    return database
  }

  private func number(_ database: Database, _ query: SQL) async throws -> Int? {
    try await database.read { tx in try await tx.one(query, as: Int.self) }
  }

  private func code(_ body: () async throws -> Void) async -> ApusError.Code? {
    do {
      try await body()
      return nil
    } catch {
      return (error as? ApusError)?.code
    }
  }

  /// The code that `body` fails with; nil where it does not come to an end within half a minute, or does not fail.
  private func failure(_ body: @escaping @Sendable () async throws -> Void) async throws -> ApusError? {
    let answer = ThreadMutex<(isThere: Bool, error: ApusError?)>((false, nil))
    let task = Task {
      do {
        try await body()
        answer.withLock { $0 = (true, nil) }
      } catch {
        answer.withLock { $0 = (true, error as? ApusError) }
      }
    }
    for _ in 0..<3000 where !answer.withLock({ $0.isThere }) { try await Task.sleep(for: .milliseconds(10)) }
    task.cancel()
    return answer.withLock { $0.error }
  }

  // MARK: transactions within transactions

  enum Nesting: CaseIterable {
    case writeInWrite, readInReadOfOne, blockingWriteInWrite, blockingInBlocking, readInWriteInMemory, closeInWrite
    case closeInRead
  }

  @Test("a task that would wait for itself is told so", arguments: Nesting.allCases)
  func selfWait(nesting: Nesting) async throws {
    let database = try await database(nesting == .readInWriteInMemory ? ":memory:" : "/waits.db", readers: 1)
    let error = try await failure {
      switch nesting {
      case .writeInWrite:
        try await database.write { _ in try await database.write { tx in try await tx.execute("DELETE FROM t") } }
      case .readInReadOfOne:
        try await database.read { _ in try await database.read { _ in } }
      case .blockingWriteInWrite:
        try await database.write { _ in try database.blocking.write { tx in try tx.execute("DELETE FROM t") } }
      case .blockingInBlocking:
        try database.blocking.read { _ in try database.blocking.read { _ in } }
      case .readInWriteInMemory:
        try await database.write { _ in try await database.read { _ in } }
      case .closeInWrite:
        try await database.write { _ in try await database.close() }
      case .closeInRead:
        try await database.read { _ in try await database.close() }
      }
    }
    #expect(error?.code == .misuse)
    #expect(error?.hint != nil)
    // Where it waits for ever, the following would too.
    guard error != nil else { return }
    #expect(try await number(database, "SELECT count(*) FROM t") == 2000)
    try await database.close()
  }

  @Test("a read within a read or a write has a connection of its own where one is free; another task waits in line")
  func nestedReads() async throws {
    let database = try await database(readers: 2)
    let count = try await database.read { _ in
      try await database.read { tx in try await tx.one("SELECT count(*) FROM t", as: Int.self) }
    }
    #expect(count == 2000)
    let later = ThreadMutex<Task<Void, any Error>?>(nil)
    try await database.write { tx in
      try await tx.execute("DELETE FROM t WHERE x > 10")
      let seen = try await database.read { tx in try await tx.one("SELECT count(*) FROM t", as: Int.self) }
      #expect(seen == 2000)
      later.withLock {
        $0 = Task { try await database.write { tx in _ = try await tx.execute("INSERT INTO t VALUES (11)") } }
      }
      try await Task.sleep(for: .milliseconds(50))
    }
    try await later.withLock { $0 }?.value
    #expect(try await number(database, "SELECT count(*) FROM t") == 11)
    try await database.close()
  }

  @Test("a task that is cancelled when it has been served leaves nothing behind in the pool") @MainActor
  func cancelledBehindService() async throws {
    let database = try await database()
    let handle = try await database.pool.lease(.write)
    let task = Task { @MainActor in database.pool.giveBack(try await database.pool.lease(.write)) }
    while database.pool.waiterCount == 0 { await Task.yield() }
    // Nothing runs on this actor in between: the task is served, and does not know it yet.
    database.pool.giveBack(handle)
    task.cancel()
    try await task.value
    #expect(database.pool.abandonedCount == 0)
    try await database.close()
  }

  // MARK: reads

  @Test("what runs in a read writes nothing", arguments: ["/waits.db", ":memory:"])
  func readsOnly(path: String) async throws {
    let database = try await database(path)
    let writes = [
      "DELETE FROM t", "CREATE TABLE u(x)", "INSERT INTO t VALUES (1)", "PRAGMA user_version = 5",
    ]
    for text in writes {
      do {
        _ = try await database.read { tx in try await tx.all(SQL.own(text), as: DatabaseValue.self) }
        Issue.record("\(text) has written")
      } catch let error as ApusError {
        #expect(error.code == .readOnly, "\(text): \(error)")
      }
      #expect(throws: ApusError.self) {
        try database.blocking.read { tx in _ = try tx.all(SQL.own(text), as: DatabaseValue.self) }
      }
    }
    // Nor when it says that it may.
    let error = await code {
      try await database.read { tx in
        _ = try await tx.all("PRAGMA query_only = off", as: Int.self)
        _ = try await tx.all("DELETE FROM t", as: Int.self)
      }
    }
    #expect(error == .readOnly)
    // Writes go on, also on the connection that has read.
    let changed = try await database.write { tx in try await tx.execute("DELETE FROM t WHERE x <= 1999") }
    #expect(changed == 1999)
    let blocking = try database.blocking.write { tx in try tx.execute("DELETE FROM t") }
    #expect(blocking == 1)
    try await database.close()
  }

  // MARK: rows

  @Test("rows that are left early stand in nobody's way", arguments: [true, false])
  func leftEarly(completesAtOnce: Bool) async throws {
    let database = try await database(completesAtOnce: completesAtOnce)
    try await database.write { tx in
      for try await number in tx.rows("SELECT x FROM t", as: Int.self) where number == 3 { break }
      try await tx.execute("DROP TABLE t")
      try await tx.execute("CREATE TABLE t(y)")
    }
    #expect(try await number(database, "SELECT count(y) FROM t") == 0)
    try await database.close()
  }

  // MARK: bytes

  @Test("a database becomes bytes between other statements of its thread")
  func serializesInSlices() async throws {
    let database = try await database()
    try await database.write { tx in
      try await tx.execute("INSERT INTO t SELECT zeroblob(3000) FROM t")
    }
    // Two readers on one thread: one looks, the other one is what the database is read by.
    let reader = try await database.pool.lease(.read), looker = try await database.pool.lease(.read)
    try await database.prepare(reader)
    try await database.prepare(looker)
    database.pool.giveBack(reader)
    let isOver = Flag(), isLooking = Flag()
    async let seen = Session(looker).perform(sql: nil) { [seen = Looks()] _ throws(Fault) in
      isLooking.raise()
      if reader.connection?.state.databases[0]?.pager.state == .read { seen.add() }
      if !isOver.isRaised { throw Fault.wait(.nothing) }
      return seen.count
    }
    while !isLooking.isRaised { await Task.yield() }
    let bytes = try await database.serialize()
    isOver.raise()
    #expect(try await seen > 1)
    #expect(bytes.count > 4_000_000)
    database.pool.giveBack(looker)
    let copy = try await Database.deserialize(bytes)
    #expect(try await number(copy, "SELECT count(*) FROM t") == 4000)
    try await copy.close()
    try await database.close()
  }

  @Test("bytes that cannot be read give the snapshot back")
  func failingBytes() throws {
    let environment = MemoryEnvironment()
    var options = Connection.Options()
    options.pager.sharedCacheBytes = 0
    let connection = try Connection("/bad.db", options, environment: environment)
    try connection.execute(
      """
      PRAGMA page_size = 1024; PRAGMA page_checksums = on; CREATE TABLE t(x);
      INSERT INTO t VALUES (zeroblob(9000));
      """)
    try connection.closeBlocking()
    var bytes = try #require(environment.contents(of: "/bad.db"))
    bytes[5000] ^= 1
    environment.setContents(of: "/bad.db", to: bytes)
    let damaged = try Connection("/bad.db", options, environment: environment)
    #expect(throws: EngineError.self) { _ = try damaged.serialize() }
    #expect(damaged.state.databases[0]?.pager.state == Pager.State.none)
    try damaged.closeBlocking()
  }
}

private final class Looks: Sendable {
  private let value = Atomic<Int>(0)
  func add() { value.add(1, ordering: .relaxed) }
  var count: Int { value.load(ordering: .relaxed) }
}
