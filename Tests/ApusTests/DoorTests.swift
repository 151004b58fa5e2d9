// The Swift API: transactions as closures, async and blocking.

import ApusBase
import ApusIO
import Synchronization
import Testing

@testable import Apus

struct Person: RowDecodable, Equatable {
  var id: Int64
  var name: String
  var age: Int?

  init(id: Int64, name: String, age: Int?) {
    self.id = id
    self.name = name
    self.age = age
  }

  init(row: borrowing Row) throws(ApusError) {
    id = try row["id"]
    name = try row["name"]
    age = try row["age"]
  }
}

final class Counter {
  var count = 0
}

final class Flag: Sendable {
  private let value = Atomic<Bool>(false)
  func raise() { value.store(true, ordering: .releasing) }
  var isRaised: Bool { value.load(ordering: .acquiring) }
}

private final class Counts: Sendable {
  private let value = Atomic<Int>(0)
  func add() { value.add(1, ordering: .relaxed) }
  var count: Int { value.load(ordering: .relaxed) }
}

@Suite struct DoorTests {
  /// A database in a memory environment, where several connections share a file.
  private func people(completesAtOnce: Bool = true) async throws -> Database {
    var configuration = Configuration()
    configuration.environment = MemoryEnvironment(seed: 11, completesAtOnce: completesAtOnce)
    let database = try await Database.open("/people.db", configuration)
    try await database.write { tx in
      try await tx.execute("CREATE TABLE person(id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, age INTEGER)")
      for (name, age) in [("Ada", 36), ("Grace", 85), ("Edsger", nil)] as [(String, Int?)] {
        try await tx.execute("INSERT INTO person(name, age) VALUES (\(name), \(age))")
      }
    }
    return database
  }

  @Test("write, then read rows as tuples and as values", arguments: [true, false])
  func rows(completesAtOnce: Bool) async throws {
    let database = try await people(completesAtOnce: completesAtOnce)
    let minimum = 30
    let names = try await database.read { tx in
      var names: [String] = []
      for try await (name, age) in tx.rows(
        "SELECT name, age FROM person WHERE age >= \(minimum) ORDER BY id", as: (String, Int).self)
      {
        names.append("\(name) \(age)")
      }
      return names
    }
    #expect(names == ["Ada 36", "Grace 85"])
    let all = try await database.read { tx in try await tx.all("SELECT * FROM person ORDER BY id", as: Person.self) }
    let expected = [
      Person(id: 1, name: "Ada", age: 36), Person(id: 2, name: "Grace", age: 85), Person(id: 3, name: "Edsger", age: nil),
    ]
    #expect(all == expected)
    let one = try await database.read { tx in try await tx.one("SELECT max(age) FROM person", as: Int.self) }
    #expect(one == 85)
    let none = try await database.read { tx in try await tx.one("SELECT 1 WHERE 0", as: Int.self) }
    #expect(none == nil)
    let list = try await database.read { tx in
      try await tx.all("SELECT \(id: "name") FROM person WHERE id IN \(list: [1, 3]) ORDER BY id", as: String.self)
    }
    #expect(list == ["Ada", "Edsger"])
    try await database.close()
  }

  @Test("a statement that was prepared before its table changed names the columns of now", arguments: [true, false])
  func changedColumns(completesAtOnce: Bool) async throws {
    let database = try await people(completesAtOnce: completesAtOnce)
    func all() async throws -> [Person] {
      try await database.read { tx in try await tx.all("SELECT * FROM person ORDER BY id", as: Person.self) }
    }
    for _ in 0..<8 { #expect(try await all().count == 3) }
    try await database.write { tx in
      try await tx.execute("DROP TABLE person")
      try await tx.execute("CREATE TABLE person(age INTEGER, mark TEXT, id INTEGER PRIMARY KEY, name TEXT)")
      try await tx.execute("INSERT INTO person VALUES (36, 'x', 7, 'Ada'), (85, 'y', 8, 'Grace')")
    }
    let due = [Person(id: 7, name: "Ada", age: 36), Person(id: 8, name: "Grace", age: 85)]
    for _ in 0..<8 { #expect(try await all() == due) }
    try await database.close()
  }

  @Test("many rows arrive complete and in order, over several batches")
  func batches() async throws {
    let database = try await Database.open(":memory:")
    try await database.write { tx in
      try await tx.execute("CREATE TABLE n(i INTEGER PRIMARY KEY, t TEXT)")
      for i in 1...3000 { try await tx.execute("INSERT INTO n VALUES (\(i), \("text \(i)"))") }
      var next = 1
      for try await (i, t) in tx.rows("SELECT i, t FROM n ORDER BY i", as: (Int, String).self) {
        #expect(i == next)
        #expect(t == "text \(i)")
        next += 1
      }
      #expect(next == 3001)
    }
  }

  @Test("a transaction whose closure throws leaves nothing behind; a savepoint undoes its own part")
  func rollback() async throws {
    struct Stop: Error {}
    let database = try await people()
    await #expect(throws: Stop.self) {
      try await database.write { tx in
        try await tx.execute("DELETE FROM person")
        throw Stop()
      }
    }
    let changed = try await database.write { tx in
      let changed = try await tx.execute("UPDATE person SET age = 1 WHERE id < 3")
      try? await tx.savepoint { tx in
        try await tx.execute("DELETE FROM person")
        throw Stop()
      }
      try await tx.savepoint { tx in _ = try await tx.execute("UPDATE person SET age = 2 WHERE id = 3") }
      return changed
    }
    #expect(changed == 2)
    let ages = try await database.read { tx in try await tx.all("SELECT age FROM person ORDER BY id", as: Int.self) }
    #expect(ages == [1, 1, 2])
  }

  @Test("errors say what happened, in which statement")
  func errors() async throws {
    let database = try await people()
    do {
      try await database.write { tx in _ = try await tx.execute("INSERT INTO person(name) VALUES (\("Ada"))") }
      Issue.record("the name is taken")
    } catch let error as ApusError {
      #expect(error.code == .constraintUnique)
      #expect(error.message == "UNIQUE constraint failed: person.name")
      #expect(error.sql == "INSERT INTO person(name) VALUES (?)")
      #expect(!error.isRetryable)
    }
    do {
      _ = try await database.read { tx in try await tx.all("SELECT age FROM person", as: Int.self) }
      Issue.record("NULL is no Int")
    } catch let error as ApusError {
      #expect(error.code == .mismatch)
      #expect(error.cause == "expected Int, found NULL")
    }
    do {
      _ = try await database.read { tx in try await tx.one("SELECT ?", as: Int.self) }
      Issue.record("a parameter without a value")
    } catch let error as ApusError {
      #expect(error.code == .misuse)
    }
    do {
      try await database.read { tx in _ = try await tx.one("SELEC 1", as: Int.self) }
    } catch let error as ApusError {
      #expect(error.message == "near \"SELEC\": syntax error")
      #expect(error.offset == 0)
    }
  }

  @Test("rows that escape from their transaction say so")
  func escapedRows() async throws {
    let database = try await people()
    // The compiler refuses to return them; a variable outside can still take them along.
    var escaped: Rows<Int>?
    try await database.read { tx in escaped = tx.rows("SELECT id FROM person", as: Int.self) }
    let rows = try #require(escaped)
    do {
      for try await _ in rows {}
      Issue.record("the transaction has ended")
    } catch let error as ApusError {
      #expect(error.code == .misuse)
      #expect(error.cause == "the transaction has ended")
    }
  }

  @Test("a closure keeps its caller's isolation and may use what is not Sendable")
  @MainActor func isolation() async throws {
    let database = try await people()
    let counter = Counter()
    try await database.read { tx in
      for try await id in tx.rows("SELECT id FROM person", as: Int.self) { counter.count += id }
    }
    #expect(counter.count == 6)
  }

  @Test("many tasks read and write at once; each write is whole, none is lost")
  func manyTasks() async throws {
    let database = try await people()
    try await database.write { tx in
      try await tx.execute("CREATE TABLE account(id INTEGER PRIMARY KEY, balance INTEGER)")
      for id in 0..<10 { try await tx.execute("INSERT INTO account VALUES (\(id), 100)") }
    }
    try await withThrowingTaskGroup(of: Void.self) { group in
      for task in 0..<20 {
        group.addTask {
          for step in 0..<5 {
            let from = (task + step) % 10, to = (task * 3 + step + 1) % 10
            try await database.write { tx in
              try await tx.execute("UPDATE account SET balance = balance - 1 WHERE id = \(from)")
              try await tx.execute("UPDATE account SET balance = balance + 1 WHERE id = \(to)")
            }
            let sum = try await database.read { tx in try await tx.one("SELECT sum(balance) FROM account", as: Int.self) }
            #expect(sum == 1000)
          }
        }
      }
      try await group.waitForAll()
    }
    try await database.close()
    await #expect(throws: ApusError.self) { try await database.read { _ in } }
  }

  @Test("cancelling a task interrupts its statement and undoes its transaction")
  func cancellation() async throws {
    let database = try await people()
    try await database.write { tx in
      try await tx.execute("CREATE TABLE n(i)")
      for i in 0..<300 { try await tx.execute("INSERT INTO n VALUES (\(i))") }
    }
    let started = Flag()
    await withTaskGroup(of: Bool.self) { group in
      group.addTask {
        do {
          try await database.write { tx in
            try await tx.execute("UPDATE person SET age = 0")
            started.raise()
            _ = try await tx.one("SELECT count(*) FROM n a, n b, n c, n d", as: Int.self)
          }
          return false
        } catch {
          return error is CancellationError
        }
      }
      while !started.isRaised { await Task.yield() }
      group.cancelAll()
      for await wasCancelled in group { #expect(wasCancelled) }
    }
    let ages = try await database.read { tx in try await tx.all("SELECT age FROM person ORDER BY id", as: Int?.self) }
    #expect(ages == [36, 85, nil])
    // A task that was cancelled before it asks gets nothing either.
    let task = Task {
      unsafe withUnsafeCurrentTask { unsafe $0?.cancel() }
      try await database.read { _ in }
    }
    await #expect(throws: CancellationError.self) { try await task.value }
    _ = try await database.write { tx in try await tx.execute("UPDATE person SET age = 1") }
  }

  @Test("cancelling a task that waits for another's lock is a cancellation")
  func cancelledAtLock() async throws {
    var configuration = Configuration()
    configuration.environment = MemoryEnvironment(seed: 13)
    // Its clock moves at each look.
    configuration.busyTimeout = .seconds(100_000)
    let database = try await Database.open("/locked.db", configuration)
    let other = try await Database.open("/locked.db", configuration)
    try await database.write { tx in
      try await tx.execute("CREATE TABLE t(x)")
      let task = Task {
        try await other.write { _ in Issue.record("the lock is another's") }
      }
      // Long enough to come to the lock; a task that has not come so far is cancelled as well.
      try await Task.sleep(for: .milliseconds(200))
      task.cancel()
      await #expect(throws: CancellationError.self) { try await task.value }
    }
    try await other.write { tx in try await tx.execute("INSERT INTO t VALUES (1)") }
    try await other.close()
    try await database.close()
  }

  @Test("work that cannot be interrupted is called once when its task is cancelled, and waits on")
  func cancelledWithoutInterrupt() async throws {
    var configuration = Configuration()
    configuration.environment = SystemEnvironment()
    let database = try await Database.open(":memory:", configuration)
    let handle = try await database.pool.lease(.write)
    let end = handle.monotonicNanoseconds() + 500_000_000
    let calls = Counts()
    let task = Task {
      try await Session(handle).perform(sql: nil) { handle throws(Fault) in
        calls.add()
        if handle.monotonicNanoseconds() < end { throw Fault.wait(.moment(end)) }
      }
    }
    while calls.count == 0 { await Task.yield() }
    task.cancel()
    try await task.value
    // The first call, that of the cancellation, and those at the end.
    #expect(calls.count <= 5)
    database.pool.giveBack(handle)
    try await database.close()
  }

  static let durations: [Duration] = [
    .seconds(Int64.max), .seconds(Int64.max / 1000),
    // 2^64 ns, and one less.
    .seconds(18_446_744_073) + .nanoseconds(709_551_616), .seconds(18_446_744_073) + .nanoseconds(709_551_615),
  ]

  @Test("a timeout and a limit may be as long as a duration can be", arguments: durations)
  func longDurations(duration: Duration) async throws {
    var configuration = Configuration()
    configuration.environment = MemoryEnvironment(seed: 14)
    configuration.busyTimeout = duration
    let database = try await Database.open("/long.db", configuration)
    let other = try await Database.open("/long.db", configuration)
    let isWaiting = Flag()
    let task = Task {
      while !isWaiting.isRaised { await Task.yield() }
      try await other.write(retries: 1, within: duration) { tx in try await tx.execute("INSERT INTO t VALUES (1)") }
    }
    try await database.write { tx in
      try await tx.execute("CREATE TABLE t(x)")
      isWaiting.raise()
      try await Task.sleep(for: .milliseconds(20))
    }
    try await task.value
    let lost = ApusError(.busySnapshot, "database is locked")
    let environment = database.setup.environment
    var plan = RetryPlan(retries: 1, within: duration, environment)
    #expect(plan.nextAttempt(behind: lost) != nil)
    var none = RetryPlan(retries: 1, within: .zero - duration, environment)
    #expect(none.nextAttempt(behind: lost) == nil)
    try await other.close()
    try await database.close()
  }

  @Test("a number of milliseconds that nanoseconds have no room for is a timeout that does not end")
  func longBusyTimeout() throws {
    let environment = MemoryEnvironment(seed: 15)
    let connection = try Connection("/long.db", environment: environment)
    let other = try Connection("/long.db", environment: environment)
    try connection.execute("BEGIN IMMEDIATE")
    // 2^58 ms: in nanoseconds a multiple of 2^64.
    other.busyTimeoutMilliseconds = 1 << 58
    let statement = try other.prepareBlocking("BEGIN IMMEDIATE")
    var pauseCount = 0
    while pauseCount < 20, case .pending(.moment(let moment)) = try statement.step() {
      environment.sleep(untilMonotonic: moment)
      pauseCount += 1
    }
    #expect(pauseCount == 20)
    statement.finalize()
    try connection.execute("ROLLBACK")
    try other.closeBlocking()
    try connection.closeBlocking()
  }

  enum Abandonment: CaseIterable { case undecodable, undecodableAndCaught, cancelled }

  @Test("a statement that is given up between two batches is finished, and kept for the next one", arguments: Abandonment.allCases)
  func abandonedBatches(abandonment: Abandonment) async throws {
    struct Number: RowDecodable {
      init(row: borrowing Row) throws(ApusError) {
        let value: Int = try row["i"]
        // In the first batch of several.
        guard value == 500 else { return }
        unsafe withUnsafeCurrentTask { unsafe $0?.cancel() }
      }
    }
    var configuration = Configuration()
    configuration.environment = MemoryEnvironment(seed: 16)
    configuration.readers = 1
    let database = try await Database.open("/batches.db", configuration)
    let query: SQL =
      "WITH RECURSIVE c(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM c WHERE i < 3000) SELECT i FROM c"
    let task = Task {
      try await database.read { tx in
        switch abandonment {
        case .undecodable: _ = try await tx.all(query, as: String.self)
        case .undecodableAndCaught: _ = try? await tx.all(query, as: String.self)
        case .cancelled: _ = try await tx.all(query, as: Number.self)
        }
      }
    }
    switch abandonment {
    case .undecodable: await #expect(throws: ApusError.self) { try await task.value }
    case .undecodableAndCaught: try await task.value
    case .cancelled: await #expect(throws: CancellationError.self) { try await task.value }
    }
    let handle = try await database.pool.lease(.read)
    let isBusy = try await Session(handle).perform(sql: nil) { handle throws(Fault) in
      handle.connection?.statements.filter { $0.sql == query.text }.map(\.isBusy) ?? []
    }
    #expect(isBusy == [false])
    database.pool.giveBack(handle)
    try await database.close()
  }

  @Test("a row that cannot be decoded leaves no statement in the way of the transaction's next ones", arguments: [true, false])
  func undecodableRow(completesAtOnce: Bool) async throws {
    let database = try await people(completesAtOnce: completesAtOnce)
    try await database.write { tx in
      try await tx.execute(
        """
        INSERT INTO person(name, age)
        WITH RECURSIVE c(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM c WHERE i < 2000) SELECT 'n' || i, i FROM c
        """)
      await #expect(throws: ApusError.self) { _ = try await tx.all("SELECT name FROM person", as: Int.self) }
      try await tx.execute("DROP TABLE person")
      try await tx.execute("CREATE TABLE person(id)")
    }
    let count = try await database.read { tx in try await tx.all("SELECT count(*) FROM person", as: Int.self) }
    #expect(count == [0])
    try await database.close()
  }

  @Test("the driver has let go of a job's work when the job's owner is answered")
  func letsGo() async throws {
    final class Held: Sendable {}
    let database = try await people()
    let handle = try await database.pool.lease(.read)
    try await database.prepare(handle)
    var keptCount = 0
    for _ in 0..<20_000 {
      var held = Held()
      try await use(held, handle)
      if !isKnownUniquelyReferenced(&held) { keptCount += 1 }
    }
    #expect(keptCount == 0)
    database.pool.giveBack(handle)
    try await database.close()
  }

  private func use(_ object: some AnyObject & Sendable, _ handle: ConnectionHandle) async throws {
    try await Session(handle).perform(sql: nil) { _ in withExtendedLifetime(object) {} }
  }

  @Test("the blocking door has the same verbs")
  func blocking() async throws {
    struct Stop: Error {}
    let database = try await people()
    let changed = try database.blocking.write { tx in
      let changed = try tx.execute("UPDATE person SET age = 50 WHERE age IS NULL")
      try? tx.savepoint { tx in
        try tx.execute("DELETE FROM person")
        throw Stop()
      }
      return changed
    }
    #expect(changed == 1)
    #expect(throws: Stop.self) {
      try database.blocking.write { tx in
        try tx.execute("DELETE FROM person")
        throw Stop()
      }
    }
    let ages = try database.blocking.read { tx in try tx.all("SELECT age FROM person ORDER BY id", as: Int.self) }
    #expect(ages == [36, 85, 50])
    var names: [String] = []
    try database.blocking.read { tx in
      try tx.forEach("SELECT name FROM person ORDER BY id") { row in names.append(try row["NAME"]) }
    }
    #expect(names == ["Ada", "Grace", "Edsger"])
    let grace = try database.blocking.read { tx in
      try tx.one("SELECT id, name FROM person WHERE id = \(2)", as: (Int, String).self)
    }
    #expect(grace?.1 == "Grace")
  }

  @Test("a file on disk: WAL, several readers, read-only")
  func file() async throws {
    let random = SystemEnvironment().randomUInt64()
    let path = "/tmp/apus-door-\(random).db"
    let environment = SystemEnvironment()
    defer { for suffix in ["", "-wal", "-shm"] { try? environment.delete(path + suffix) } }
    let database = try await Database.open(path)
    try await database.write { tx in
      try await tx.execute("CREATE TABLE t(x)")
      try await tx.execute("INSERT INTO t VALUES (\([1, 2, 3] as [UInt8])), (\(2.5)), (\(true))")
    }
    let mode = try await database.read { tx in try await tx.one("PRAGMA journal_mode", as: String.self) }
    #expect(mode == "wal")
    try await withThrowingTaskGroup(of: Int?.self) { group in
      for _ in 0..<8 {
        group.addTask { try await database.read { tx in try await tx.one("SELECT count(*) FROM t", as: Int.self) } }
      }
      for try await count in group { #expect(count == 3) }
    }
    try await database.close()
    var readOnly = Configuration()
    readOnly.isReadOnly = true
    let again = try await Database.open(path, readOnly)
    let values = try await again.read { tx in try await tx.all("SELECT x FROM t", as: DatabaseValue.self) }
    #expect(values == [.blob([1, 2, 3]), .real(2.5), .integer(1)])
    do {
      try await again.write { tx in _ = try await tx.execute("DELETE FROM t") }
      Issue.record("the database is read-only")
    } catch let error as ApusError {
      #expect(error.code.primary == .readOnly)
    }
    try await again.close()
  }
}
