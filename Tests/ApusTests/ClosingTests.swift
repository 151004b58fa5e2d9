// The end of a database: transactions under way, several who close it, connections that cannot be closed.

import ApusBase
import ApusIO
import Testing

@testable import Apus

/// Used by one thread at a time.
private struct StatementBox: @unchecked Sendable {
  let statement: PreparedStatement
}

@Suite struct ClosingTests {
  private func database(
    _ environment: any Environment = MemoryEnvironment(seed: 21), isNew: Bool = true
  ) async throws -> Database {
    var configuration = Configuration()
    configuration.environment = environment
    let database = try await Database.open("/closing.db", configuration)
    if isNew { try await database.write { tx in try await tx.execute("CREATE TABLE t(x)") } }
    return database
  }

  /// Looks until `condition` is true, some seconds long: what a test waits for may never come where the engine is wrong.
  private func comes(_ condition: () async -> Bool) async throws -> Bool {
    for _ in 0..<500 {
      if await condition() { return true }
      try await Task.sleep(for: .milliseconds(10))
    }
    return false
  }

  private func refuses(_ database: Database) async -> Bool {
    do {
      try await database.read { _ in }
      return false
    } catch {
      return (error as? ApusError)?.code == .misuse
    }
  }

  @Test("who closes a database that somebody else is closing waits with him for the transactions under way")
  func closedTwice() async throws {
    let database = try await database()
    let isWriting = Flag(), mayGoOn = Flag(), hasWritten = Flag(), isClosed = Flag(), isClosedToo = Flag()
    Task {
      try await database.write { tx in
        try await tx.execute("INSERT INTO t VALUES (1)")
        isWriting.raise()
        while !mayGoOn.isRaised { try await Task.sleep(for: .milliseconds(1)) }
        try await tx.execute("INSERT INTO t VALUES (2)")
      }
      hasWritten.raise()
    }
    #expect(try await comes { isWriting.isRaised })
    Task {
      try await database.close()
      isClosed.raise()
    }
    #expect(try await comes { await refuses(database) })
    Task {
      try await database.close()
      isClosedToo.raise()
    }
    // Long enough for the drivers' threads to end, if they were told to.
    try await Task.sleep(for: .milliseconds(200))
    #expect(!isClosed.isRaised && !isClosedToo.isRaised)
    mayGoOn.raise()
    #expect(try await comes { hasWritten.isRaised && isClosed.isRaised && isClosedToo.isRaised })
  }

  @Test("closing a database again, when it is closed, does nothing")
  func closedAgain() async throws {
    let database = try await database()
    try await database.close()
    try await database.close()
    #expect(await refuses(database))
  }

  @Test("where one connection cannot be closed in order, the others are, the writer last, and no file stays open")
  func unclosable() async throws {
    let environment = MemoryEnvironment(seed: 22)
    let database = try await database(environment)
    try await database.write { tx in try await tx.execute("INSERT INTO t VALUES (1), (2)") }
    // A statement that is under way, and that the pool knows nothing of.
    let handle = try await database.pool.lease(.read)
    try await database.prepare(handle)
    let statement = try await Session(handle).perform(sql: nil) { handle throws(Fault) in
      let statement = try handle.prepare("SELECT x FROM t")
      do throws(EngineError) {
        while case .pending = try statement.step() {}
      } catch {
        throw Fault.failure(error)
      }
      return StatementBox(statement: statement)
    }
    database.pool.giveBack(handle)
    for _ in 0..<2 {
      do {
        try await database.close()
        Issue.record("a statement is under way")
      } catch let error as ApusError {
        #expect(error.code == .busy)
      }
    }
    #expect(handle.connection == nil)
    // Who closes the file last takes the log away.
    #expect(environment.paths == ["/closing.db"])
    #expect(throws: EngineError.self) { try statement.statement.step() }
    let again = try await self.database(environment, isNew: false)
    let sum = try await again.read { tx in try await tx.one("SELECT sum(x) FROM t", as: Int.self) }
    #expect(sum == 3)
    try await again.close()
  }

  @Test("work for a driver whose thread has ended is refused")
  func refusal() async throws {
    let database = try await database()
    let handle = try await database.pool.lease(.write)
    database.pool.giveBack(handle)
    try await database.close()
    // The thread needs a moment to end; until then it does what it is given.
    let isRefused = Flag()
    Task {
      do {
        while true {
          try await Session(handle).perform(sql: nil) { _ in }
          try await Task.sleep(for: .milliseconds(1))
        }
      } catch let error as ApusError {
        if error.code == .misuse { isRefused.raise() }
      }
    }
    #expect(try await comes { isRefused.isRaised })
  }
}
