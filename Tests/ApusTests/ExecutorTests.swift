// Tasks that run on the threads that read.

import ApusIO
import Testing

@testable import Apus

@Suite struct ExecutorTests {
  private static let rowCount: Int64 = 500

  private func database(completesAtOnce: Bool) async throws -> Database {
    var configuration = Configuration()
    configuration.environment = MemoryEnvironment(seed: 12, completesAtOnce: completesAtOnce)
    configuration.readers = 6
    let database = try await Database.open("/numbers.db", configuration)
    try await database.write { tx in
      try await tx.execute("CREATE TABLE n(id INTEGER PRIMARY KEY, square INTEGER)")
      for id in 1...Self.rowCount { try await tx.execute("INSERT INTO n VALUES (\(id), \(id * id))") }
    }
    return database
  }

  @Test("tasks on the reading threads see every row, beside a writer", arguments: [true, false])
  func reads(completesAtOnce: Bool) async throws {
    let database = try await database(completesAtOnce: completesAtOnce)
    let executors = database.executors
    #expect(!executors.isEmpty)
    let sum = try await withThrowingTaskGroup(of: Int64.self) { group in
      for task in 0..<12 {
        group.addTask(executorPreference: executors[task % executors.count]) {
          try await database.read { tx in
            var sum: Int64 = 0
            for id in stride(from: Int64(task) + 1, through: Self.rowCount, by: 12) {
              sum += try await tx.one("SELECT square FROM n WHERE id = \(id)", as: Int64.self) ?? 0
            }
            return sum
          }
        }
      }
      // A writer's statements run on another thread; its task is resumed on the executor that it prefers.
      group.addTask(executorPreference: executors[0]) {
        for id in 1...20 {
          try await database.write { tx in
            try await tx.execute("INSERT INTO n VALUES (\(Self.rowCount + Int64(id)), 0)")
          }
        }
        return 0
      }
      var sum: Int64 = 0
      for try await part in group { sum += part }
      return sum
    }
    #expect(sum == (1...Self.rowCount).reduce(0) { $0 + $1 * $1 })
    let count = try await database.read { try await $0.one("SELECT count(*) FROM n", as: Int64.self) }
    #expect(count == Self.rowCount + 20)
    try await database.close()
  }

  @Test("a long chain of statements that find all in memory keeps nobody else waiting for ever")
  func fairness() async throws {
    let database = try await database(completesAtOnce: true)
    let executor = database.executors[0]
    let isDone = Flag()
    async let other: Void = Task(executorPreference: executor) {
      _ = try await database.read { try await $0.one("SELECT sum(square) FROM n", as: Int64.self) }
      isDone.raise()
    }.value
    let turns = try await Task(executorPreference: executor) {
      try await database.read { tx in
        var turns = 0
        while !isDone.isRaised, turns < 1_000_000 {
          _ = try await tx.one("SELECT square FROM n WHERE id = 7", as: Int64.self)
          turns += 1
        }
        return turns
      }
    }.value
    try await other
    #expect(turns < 1_000_000)
    try await database.close()
  }

  @Test("a task goes on when its database is closed and its thread has ended")
  func afterClose() async throws {
    let database = try await database(completesAtOnce: true)
    let executor = database.executors[0]
    let code = try await Task(executorPreference: executor) {
      try await database.close()
      for _ in 0..<10 { try await Task.sleep(for: .milliseconds(2)) }
      do {
        _ = try await database.read { try await $0.one("SELECT 1", as: Int64.self) }
        return ApusError.Code(rawValue: 0)
      } catch let error as ApusError {
        return error.code
      }
    }.value
    #expect(code == .misuse)
  }

  @Test("cancelling a task on a reading thread interrupts its statement")
  func cancellation() async throws {
    let database = try await database(completesAtOnce: false)
    let hasBegun = Flag()
    let task = Task(executorPreference: database.executors[0]) {
      try await database.read { tx in
        hasBegun.raise()
        return try await tx.one(
          "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT count(*) FROM c", as: Int64.self)
      }
    }
    while !hasBegun.isRaised { await Task.yield() }
    task.cancel()
    await #expect(throws: CancellationError.self) { try await task.value }
    try await database.close()
  }
}
