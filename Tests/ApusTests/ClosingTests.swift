// The end of a database: transactions under way, several who close it, connections that cannot be closed.

import ApusIO
import Testing

@testable import Apus

@Suite struct ClosingTests {
  private func database(_ environment: any Environment = MemoryEnvironment(seed: 21)) async throws -> Database {
    var configuration = Configuration()
    configuration.environment = environment
    let database = try await Database.open("/closing.db", configuration)
    try await database.write { tx in try await tx.execute("CREATE TABLE t(x)") }
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
