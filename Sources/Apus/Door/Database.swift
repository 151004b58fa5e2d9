// A database, as an application holds it.

import ApusBase
import ApusIO

/// One database file (or one database in memory), open for any number of tasks and threads.
///
/// A transaction is a closure. Reads run beside each other and beside a write, each on its own snapshot; writes run one
/// after the other. No task blocks a thread while it waits: for the disk, for a lock, for a connection.
///
/// A transaction within another one of the same task has a connection of its own, and throws `misuse` where none is
/// free: a `write` within a `write`, a `read` within a `read` when all readers are busy, anything within a
/// transaction of a database in memory.
public final class Database: Sendable {
  let pool: ConnectionPool
  let setup: ConnectionSetup
  private let drivers: [Driver]

  /// Opens a database: a path, ":memory:", or a URI "file:..." with the parameter mode.
  ///
  /// A file is put into WAL mode, so that readers and the writer do not wait for each other.
  /// - Throws: `ApusError`: `cannotOpen` where the file cannot be opened, `notADatabase` where it is something else.
  public nonisolated(nonsending) static func open(
    _ path: String, _ configuration: Configuration = Configuration()
  ) async throws -> Database {
    let setup = try ConnectionSetup(path, configuration)
    let writeDriver: Driver
    var started: Driver?
    var readDrivers: [Driver] = []
    do {
      writeDriver = try Driver(setup.environment)
      try writeDriver.start()
      started = writeDriver
      // Readers have threads of their own, so that a long query does not keep the writer waiting. One carries many
      // statements that wait; a second one pays where the processor is what they wait for.
      let threadCount = min(EngineThread.processorCount, (configuration.readers + 3) / 4)
      while setup.isShared, readDrivers.count < max(1, threadCount) {
        let driver = try Driver(setup.environment)
        try driver.start()
        readDrivers.append(driver)
      }
    } catch {
      for driver in [started].compactMap({ $0 }) + readDrivers { driver.stop() }
      throw ApusError(error)
    }
    let drivers = readDrivers.isEmpty ? [writeDriver] : readDrivers
    let count = configuration.cachedStatements
    let writer = ConnectionHandle(driver: writeDriver, role: .write, cachedStatements: count)
    let pool = ConnectionPool(
      writer: writer, readers: setup.isShared ? max(1, configuration.readers) : 0,
      concurrentWriters: max(1, configuration.concurrentWriters)
    ) { role, number in
      let driver = role == .read ? drivers[number % drivers.count] : writeDriver
      return ConnectionHandle(driver: driver, role: role, cachedStatements: count)
    }
    let database = Database(pool: pool, setup: setup, drivers: [writeDriver] + readDrivers)
    let handle = try await pool.lease(.write)
    defer { pool.giveBack(handle) }
    try await database.prepare(handle)
    return database
  }

  private init(pool: ConnectionPool, setup: ConnectionSetup, drivers: [Driver]) {
    self.pool = pool
    self.setup = setup
    self.drivers = drivers
  }

  deinit {
    // Nobody has a lease: a transaction keeps its database.
    for handle in pool.drainNow() {
      handle.driver.submit(
        Job(handle) { job in
          do throws(Fault) {
            if !job.isRefused { try handle.close() }
          } catch {
            if case .wait(let wait) = error { return .waiting(wait) }
          }
          return .finished {}
        })
    }
    for driver in drivers { driver.stop() }
  }

  /// Opens the connection of a handle that has none yet.
  nonisolated(nonsending) func prepare(_ handle: ConnectionHandle) async throws {
    if handle.connection != nil { return }
    let opening = ConnectionOpening(setup)
    try await Session(handle).perform(sql: nil) { handle throws(Fault) in try opening.open(handle) }
  }

  /// Runs `body` on one snapshot of the database. Statements that write fail with `readOnly`, as behind PRAGMA
  /// query_only.
  ///
  /// Cancelling the task interrupts the statement that runs, and throws `CancellationError`.
  public nonisolated(nonsending) func read<T>(
    _ body: nonisolated(nonsending) (borrowing ReadTransaction) async throws -> sending T
  ) async throws -> sending T {
    try setup.checkProcess()
    let handle = try await pool.lease(.read)
    let session = Session(handle)
    let result: T
    defer {
      handle.setReading(false)
      pool.giveBack(handle)
    }
    do {
      try await prepare(handle)
      handle.setReading(true)
      session.beginLater()
      result = try await body(ReadTransaction(session))
      try await session.commitRead()
    } catch {
      await session.rollback()
      throw error
    }
    return result
  }

  /// Runs `body` in a transaction that is committed when it returns, and undone when it throws.
  ///
  ///
  /// - Parameters:
  ///   - retries: how often the transaction is begun again, and `body` called again, where it was lost to another one
  ///     (`WriteMode.concurrent`), each time behind a pause of chance length that grows from 1 to 64 ms. Cancelling the task ends a
  ///     pause.
  ///   - limit: no further attempt begins later than that behind this call.
  /// - Throws: what `body` throws; `ApusError` with the code `busySnapshot` for the last conflict, where no retry is left; with the
  ///   code `busy` where another writer held its lock for longer than the busy timeout; `CancellationError` where the task was
  ///   cancelled before the commit.
  @discardableResult
  public nonisolated(nonsending) func write<T>(
    _ mode: WriteMode = .immediate, retries: Int = 0, within limit: Duration? = nil,
    _ body: nonisolated(nonsending) (borrowing WriteTransaction) async throws -> sending T
  ) async throws -> sending T {
    // The same connection for all attempts: it is the one that has the right not to be lost again.
    try setup.checkProcess()
    let handle = try await pool.lease(mode.role)
    defer { pool.giveBack(handle) }
    var plan = RetryPlan(retries: retries, within: limit, setup.environment)
    while true {
      let session = Session(handle)
      do {
        try await prepare(handle)
        try await session.begin(mode.statement)
        let result = try await body(WriteTransaction(session))
        try await session.commit()
        return result
      } catch {
        await session.rollback()
        guard let moment = plan.nextAttempt(behind: error) else { throw error }
        try await Session(handle).perform(sql: nil) { handle throws(Fault) in
          if handle.connection?.isInterrupted == true { throw .error(.interrupt) }
          if handle.monotonicNanoseconds() < moment { throw .wait(.moment(moment)) }
        }
      }
    }
  }

  /// What this process has seen of the file's concurrent transactions (`WriteMode.concurrent`, BEGIN CONCURRENT) since the first of
  /// its connections opened the file: those that were lost, by table and kind of conflict, those that have committed, and how
  /// many commits each sync has served. All counts are zero for a database in memory.
  ///
  /// It waits for a free reader, as `read` does, and touches no file. Counting costs a transaction nothing but an addition.
  /// - Throws: `ApusError` with the code `misuse` where the database is closed; what opening a reader's connection meets.
  public nonisolated(nonsending) func concurrentConflicts() async throws -> ConcurrentConflicts {
    try setup.checkProcess()
    let handle = try await pool.lease(.read)
    defer { pool.giveBack(handle) }
    try await prepare(handle)
    return try await Session(handle).perform(sql: nil) { handle throws(Fault) in try handle.conflicts() }
  }

  /// The threads that the statements of reading transactions run on, as executors.
  ///
  /// A task that prefers one of them (`addTask(executorPreference:)`) is not handed to another thread and back at each of
  /// its statements, which is most of what a short statement costs. It is for tasks that do little but read: what they
  /// compute keeps the statements of all the others on that thread waiting, and they must not block. The executors are
  /// to be used while the database is open; a task that outlives it goes on on the global executor.
  public var executors: [any TaskExecutor] { drivers.count > 1 ? Array(drivers.dropFirst()) : drivers }

  /// The same verbs for threads that may block.
  public var blocking: BlockingDatabase { BlockingDatabase(database: self) }

  /// Waits for the transactions under way and closes the database; later uses throw `misuse`. Who calls it again waits for the end
  /// of the first call, and gets what that got.
  /// - Throws: `misuse` within a transaction of the same task, which goes on, as does the database. Otherwise what
  ///   the first connection met that could not be closed in order. All files are given back nevertheless; what could
  ///   not be undone is undone by whoever opens the database next.
  public nonisolated(nonsending) func close() async throws {
    try setup.checkProcess()
    // The drivers go on until the last transaction has ended: only who has waited for that may stop them.
    guard let handles = try await pool.drain() else { return try await pool.awaitClosing() }
    var outcome: Result<Void, any Error> = .success(())
    for handle in handles {
      do {
        try await Session(handle).perform(sql: nil, isCancellable: false) { handle throws(Fault) in try handle.close() }
      } catch {
        if case .success = outcome { outcome = .failure(error) }
      }
    }
    for driver in drivers { driver.stop() }
    pool.endClosing(outcome)
    try outcome.get()
  }
}
