// Concurrent write transactions through the door: who retries, when, and how often.

import Apus
import ApusIO
import Foundation
import Synchronization
import Testing

/// How often a closure was called.
private final class Attempts: Sendable {
  private let value = Atomic<Int>(0)
  func add() { value.add(1, ordering: .relaxed) }
  var count: Int { value.load(ordering: .relaxed) }
}

@Suite struct ConcurrentWriteTests {
  private func open(_ setUp: SQL..., writers: Int = 4) async throws -> (database: Database, directory: URL) {
    let directory = FileManager.default.temporaryDirectory.appendingPathComponent("apus-door-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
    var configuration = Configuration()
    configuration.concurrentWriters = writers
    let database = try await Database.open(directory.appendingPathComponent("c.db").path, configuration)
    for sql in setUp { try await database.write { transaction in _ = try await transaction.execute(sql) } }
    return (database, directory)
  }

  private func value(_ database: Database, _ sql: SQL = "SELECT n FROM hot") async throws -> Int64? {
    try await database.read { transaction in try await transaction.one(sql, as: Int64.self) }
  }

  private func hotRow() async throws -> (database: Database, directory: URL) {
    try await open("CREATE TABLE hot(id INTEGER PRIMARY KEY, n)", "INSERT INTO hot VALUES (1, 0)")
  }

  /// A transaction that is lost to `other`, which runs between its read and its commit.
  private func lose(
    _ database: Database, retries: Int, within limit: Duration? = nil, attempts: Attempts,
    to other: @Sendable @escaping () async throws -> Void
  ) async throws {
    try await database.write(.concurrent, retries: retries, within: limit) { transaction in
      attempts.add()
      let n: Int64 = try await transaction.one("SELECT n FROM hot", as: Int64.self) ?? 0
      try await other()
      try await transaction.execute("UPDATE hot SET n = \(n + 1)")
    }
  }

  @Test("tasks that all change one row commit with three retries, and none is lost")
  func hotRowCommits() async throws {
    let (database, directory) = try await hotRow()
    defer { try? FileManager.default.removeItem(at: directory) }
    try await withThrowingTaskGroup(of: Void.self) { group in
      for _ in 0..<12 {
        group.addTask {
          for _ in 0..<10 {
            try await database.write(.concurrent, retries: 3) { transaction in
              let n: Int64 = try await transaction.one("SELECT n FROM hot", as: Int64.self) ?? 0
              try await transaction.execute("UPDATE hot SET n = \(n + 1)")
            }
          }
        }
      }
      try await group.waitForAll()
    }
    #expect(try await value(database) == 120)
    try await database.close()
  }

  @Test("without a retry the conflict is thrown, with its table, and the closure has run once")
  func noRetry() async throws {
    let (database, directory) = try await hotRow()
    defer { try? FileManager.default.removeItem(at: directory) }
    let attempts = Attempts()
    let error = await #expect(throws: ApusError.self) {
      try await lose(database, retries: 0, attempts: attempts) {
        try await database.write { transaction in _ = try await transaction.execute("UPDATE hot SET n = n + 10") }
      }
    }
    #expect(error?.code == .busySnapshot)
    #expect(error?.object == "hot")
    #expect(attempts.count == 1)
    #expect(try await value(database) == 10)
    try await database.close()
  }

  @Test("the closure runs again until nobody is in its way; the result is that of the last time")
  func retries() async throws {
    let (database, directory) = try await hotRow()
    defer { try? FileManager.default.removeItem(at: directory) }
    let attempts = Attempts()
    try await lose(database, retries: 5, attempts: attempts) {
      if attempts.count > 2 { return }
      try await database.write { transaction in _ = try await transaction.execute("UPDATE hot SET n = n + 10") }
    }
    #expect(attempts.count == 3)
    #expect(try await value(database) == 21)
    try await database.close()
  }

  @Test("no attempt begins behind the limit, and cancelling ends the retries")
  func deadlineAndCancellation() async throws {
    let (database, directory) = try await hotRow()
    defer { try? FileManager.default.removeItem(at: directory) }
    let attempts = Attempts()
    let error = await #expect(throws: ApusError.self) {
      try await lose(database, retries: 5, within: .zero, attempts: attempts) {
        try await database.write { transaction in _ = try await transaction.execute("UPDATE hot SET n = n + 10") }
      }
    }
    #expect(error?.code == .busySnapshot)
    #expect(attempts.count == 1)
    let task = Task {
      try await database.write(.concurrent, retries: 1000) { transaction in
        attempts.add()
        _ = try await transaction.one("SELECT n FROM hot", as: Int64.self)
        throw ApusError(.busySnapshot, "database is locked")
      }
    }
    while attempts.count < 3 { await Task.yield() }
    task.cancel()
    await #expect(throws: CancellationError.self) { try await task.value }
    try await database.close()
  }

  @Test("two databases on one file are one process: their transactions are compared by key, and take different row ids")
  func twoDatabases() async throws {
    let (first, directory) = try await open("CREATE TABLE log(id INTEGER PRIMARY KEY, x)")
    defer { try? FileManager.default.removeItem(at: directory) }
    let second = try await Database.open(directory.appendingPathComponent("c.db").path)
    try await first.write(.concurrent) { transaction in
      try await transaction.execute("INSERT INTO log(x) VALUES (1)")
      try await second.write(.concurrent) { other in _ = try await other.execute("INSERT INTO log(x) VALUES (2)") }
    }
    #expect(try await value(first, "SELECT count(DISTINCT id) FROM log") == 2)
    #expect(try await first.concurrentConflicts().commitCount == 2)
    try await second.close()
    try await first.close()
  }

  @Test("threads append beside each other, and block only for their commits")
  func blockingWriters() async throws {
    let (database, directory) = try await open("CREATE TABLE t(id INTEGER PRIMARY KEY, who)", writers: 3)
    defer { try? FileManager.default.removeItem(at: directory) }
    let failures = Mutex<[String]>([])
    let group = DispatchGroup()
    for who in 0..<6 {
      group.enter()
      Thread.detachNewThread {
        do {
          for _ in 0..<20 {
            try database.blocking.write(.concurrent, retries: 3) { transaction in
              _ = try transaction.execute("INSERT INTO t(who) VALUES (\(who))")
            }
          }
        } catch {
          failures.withLock { $0.append("\(error)") }
        }
        group.leave()
      }
    }
    group.wait()
    #expect(failures.withLock { $0 } == [])
    #expect(try await value(database, "SELECT count(*) FROM t") == 120)
    try await database.close()
  }

  @Test("a database in memory has one connection: its transactions come one after the other")
  func inMemory() async throws {
    let database = try await Database.open(":memory:")
    try await database.write(.concurrent, retries: 1) { transaction in _ = try await transaction.execute("CREATE TABLE t(x)") }
    try await database.write(.concurrent) { transaction in _ = try await transaction.execute("INSERT INTO t VALUES (1)") }
    #expect(try await value(database, "SELECT count(*) FROM t") == 1)
    try await database.close()
  }
}
