// Reading what no memory holds: whole scans, and single rows with one or many statements in flight.
//
// SQLite runs one statement after the other on its thread, since its API has no other way to wait; ours are in flight on
// one thread of the asynchronous driver, which the tasks of an application share. `unsafe` lives here: posix_fadvise(2).

import Apus
import ApusBase
import ApusHarness
import ApusIO
import Glibc
import Synchronization

/// A file of which the kernel's cache holds nothing.
enum ColdFile {
  static func forget(_ path: String) {
    let descriptor = unsafe open(path, O_RDWR | O_CLOEXEC)
    guard descriptor >= 0 else { return }
    fdatasync(descriptor)  // What is not on the disk yet cannot be forgotten.
    posix_fadvise(descriptor, 0, 0, POSIX_FADV_DONTNEED)
    close(descriptor)
  }
}

extension Workloads {
  /// A copy of the shared database in WAL mode, as applications have it that read and write at the same time.
  static func coldPath(_ shared: String) -> String { shared.replacing("shared.db", with: "cold.db") }

  static func copy(_ path: String, to target: String, with engine: any HarnessEngine) throws(EngineFailure) {
    let source = try engine.open(path, readOnly: true)
    try source.execute("VACUUM INTO '\(target)'")
    source.close()
    let connection = try engine.open(target, readOnly: false)
    try connection.execute("PRAGMA journal_mode = WAL")
    connection.close()
  }

  static let cold: [Workload] =
    [
      coldScan("cold scan", backend: .automatic, promise: 0.6),
      coldScan("cold scan, POSIX calls", backend: .posix, promise: 0.6),
      Workload(
        name: "cold scan, asynchronous", scale: "1,000,000 rows", promise: nil, writes: false, isCold: true
      ) { (context) throws(EngineFailure) in
        guard context.engine is ApusEngine else { return try scan(context.engine, coldPath(context.shared)) }
        let database = try openAsynchronous(coldPath(context.shared), readers: 1)
        return { () throws(EngineFailure) in
          try blocking { try await database.read { try await $0.one("SELECT sum(b) FROM t", as: Int64.self) } ?? -1 }
        }
      },
    ] + [1, 8, 64].map { coldLookUps(inFlight: $0) }
    + [1, 8, 64].map { coldLookUps(inFlight: $0, readsDirectly: true) } + [coldTransactions(inFlight: 64)]

  private static func scan(
    _ engine: any HarnessEngine, _ path: String
  ) throws(EngineFailure) -> () throws(EngineFailure) -> Int64 {
    let connection = try engine.open(path, readOnly: true)
    let statement = try connection.prepare("SELECT sum(b) FROM t")
    return { () throws(EngineFailure) in
      defer { statement.reset() }
      return try statement.step() ? statement.integer(0) : -1
    }
  }

  private static func coldScan(_ name: String, backend: SystemEnvironment.Backend, promise: Double) -> Workload {
    Workload(
      name: name, scale: "1,000,000 rows", promise: promise, writes: false, isCold: true
    ) { (context) throws(EngineFailure) in
      let engine =
        context.engine is ApusEngine ? ApusEngine(environment: SystemEnvironment(backend: backend)) : context.engine
      return try scan(engine, coldPath(context.shared))
    }
  }

  private static let lookUpCount = 8192

  /// The keys that are looked up, the same for every engine.
  private static func coldKeys() -> [Int64] {
    var random = SeededRandom(seed: 21)
    return (0..<lookUpCount).map { _ in Int64(random.below(Workload.rowCount) + 1) }
  }

  /// - Parameters:
  ///   - inFlight: statements that are under way at a time, each task's one after the other in one transaction.
  ///   - readsDirectly: ours, not SQLite's, which has no such thing.
  private static func coldLookUps(inFlight: Int, readsDirectly: Bool = false) -> Workload {
    Workload(
      name: "cold point reads, \(inFlight) in flight\(readsDirectly ? ", direct reads" : "")", scale: "\(lookUpCount) look-ups",
      promise: inFlight == 64 ? 0.3 : nil, writes: false, isCold: true
    ) { (context) throws(EngineFailure) in
      let keys = coldKeys()
      guard context.engine is ApusEngine else { return try lookUps(keys, in: context, inTransaction: true) }
      let path = coldPath(context.shared)
      let database = try openAsynchronous(path, readers: inFlight, readsDirectly: readsDirectly)
      return { () throws(EngineFailure) in
        try sum(tasks: inFlight, of: database) { first in
          try await database.read { transaction in
            var sum: Int64 = 0
            for index in stride(from: first, to: keys.count, by: inFlight) {
              sum &+= try await transaction.one("SELECT a FROM t WHERE id = \(keys[index])", as: Int64.self) ?? 0
            }
            return sum
          }
        }
      }
    }
  }

  /// As `coldLookUps`, with a transaction for each look-up.
  private static func coldTransactions(inFlight: Int) -> Workload {
    Workload(
      name: "cold point reads, \(inFlight) transactions", scale: "\(lookUpCount) look-ups", promise: nil, writes: false,
      isCold: true
    ) { (context) throws(EngineFailure) in
      let keys = coldKeys()
      guard context.engine is ApusEngine else { return try lookUps(keys, in: context, inTransaction: false) }
      let database = try openAsynchronous(coldPath(context.shared), readers: inFlight)
      return { () throws(EngineFailure) in
        try sum(tasks: inFlight, of: database) { first in
          var sum: Int64 = 0
          for index in stride(from: first, to: keys.count, by: inFlight) {
            sum &+=
              try await database.read {
                try await $0.one("SELECT a FROM t WHERE id = \(keys[index])", as: Int64.self)
              } ?? 0
          }
          return sum
        }
      }
    }
  }

  private static func lookUps(
    _ keys: [Int64], in context: BenchContext, inTransaction: Bool
  ) throws(EngineFailure) -> () throws(EngineFailure) -> Int64 {
    let connection = try context.engine.open(coldPath(context.shared), readOnly: true)
    let statement = try connection.prepare("SELECT a FROM t WHERE id = ?1")
    return { () throws(EngineFailure) in
      var sum: Int64 = 0
      if inTransaction { try connection.execute("BEGIN") }
      for key in keys {
        try statement.bind(integer: key, at: 1)
        if try statement.step() { sum &+= statement.integer(0) }
        statement.reset()
      }
      if inTransaction { try connection.execute("COMMIT") }
      return sum
    }
  }

  /// Runs tasks beside each other, on the threads that read, and adds up what they give.
  private static func sum(
    tasks: Int, of database: Database, _ body: @escaping @Sendable (Int) async throws -> Int64
  ) throws(EngineFailure) -> Int64 {
    try blocking {
      try await withThrowingTaskGroup(of: Int64.self) { group in
        let executors = database.executors
        for task in 0..<tasks {
          group.addTask(executorPreference: executors[task % executors.count]) { try await body(task) }
        }
        var sum: Int64 = 0
        for try await part in group { sum &+= part }
        return sum
      }
    }
  }

  private static func openAsynchronous(
    _ path: String, readers: Int, readsDirectly: Bool = false
  ) throws(EngineFailure) -> Database {
    try blocking {
      var configuration = Configuration()
      configuration.isReadOnly = true
      configuration.readers = readers
      configuration.readsDirectly = readsDirectly
      let database = try await Database.open(path, configuration)
      // The connections are opened now, and the statement is prepared: what is timed is the reading.
      try await withThrowingTaskGroup(of: Void.self) { group in
        for _ in 0..<readers {
          group.addTask {
            try await database.read { transaction in
              let last = try await transaction.one("SELECT max(id) FROM t", as: Int64.self)
              _ = try await transaction.one("SELECT a FROM t WHERE id = \(last)", as: Int64.self)
            }
          }
        }
        try await group.waitForAll()
      }
      return database
    }
  }

  /// Runs a task and blocks this thread until its end.
  private static func blocking<R: Sendable>(
    _ body: @escaping @Sendable () async throws -> R
  ) throws(EngineFailure) -> R {
    let answer = Answer<R>()
    Task.detached {
      do { answer.give(.success(try await body())) } catch { answer.give(.failure(error)) }
    }
    switch answer.wait() {
    case .success(let value): return value
    case .failure(let error): throw EngineFailure(code: 1, message: "\(error)")
    case nil: throw EngineFailure(code: 1, message: "the task gave no answer")
    }
  }
}

/// What a task found out, for a thread that waits for it.
private final class Answer<R: Sendable>: Sendable {
  private let result = Mutex<Result<R, any Error>?>(nil)
  private let semaphore = ThreadSemaphore()

  func give(_ result: Result<R, any Error>) {
    self.result.withLock { $0 = result }
    semaphore.signal()
  }

  func wait() -> Result<R, any Error>? {
    semaphore.wait()
    return result.withLock { $0 }
  }
}
