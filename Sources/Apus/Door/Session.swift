// One transaction of a task: the leased connection, and the jobs that run on it one after the other.

import ApusBase
import ApusIO
import Synchronization

/// The connection of a running transaction. It has nothing to offer outside the library.
public final class Session: Sendable {
  let handle: ConnectionHandle
  /// False once the transaction has ended: what escaped from its closure must not reach the next one's snapshot.
  private let isOpen = Atomic<Bool>(true)
  private let savepointSerial = Atomic<Int>(0)
  /// Statements that are under way.
  private let runs = ThreadMutex<[StatementRun]>([])
  /// Statements whose rows nobody asks for any more; the next job finishes them.
  private let left = ThreadMutex<[StatementRun]>([])
  private let hasLeft = Atomic<Bool>(false)
  private let delayedBegin = ThreadMutex<StatementRun?>(nil)

  init(_ handle: ConnectionHandle) { self.handle = handle }

  func end() { isOpen.store(false, ordering: .releasing) }

  func nextSavepoint() -> String {
    "apus_\(savepointSerial.wrappingAdd(1, ordering: .relaxed).newValue)"
  }

  func add(_ run: StatementRun) { runs.withLock { $0.append(run) } }
  func remove(_ run: StatementRun) { runs.withLock { $0.removeAll { $0 === run } } }

  /// Any thread: nobody will ask for the rest of the rows.
  func leave(_ run: StatementRun) {
    let wasUnderWay = runs.withLock { runs -> Bool in
      guard let index = runs.firstIndex(where: { $0 === run }) else { return false }
      runs.remove(at: index)
      // Under the same lock: the transaction's end finds it in one place or in the other.
      left.withLock { $0.append(run) }
      return true
    }
    if wasUnderWay { hasLeft.store(true, ordering: .releasing) }
  }

  /// On the driver's thread, before the next work of the transaction.
  private func finishLeft() {
    guard hasLeft.exchange(false, ordering: .acquiringAndReleasing) else { return }
    let over = left.withLock { left in
      defer { left = [] }
      return left
    }
    for run in over { run.finish(handle) }
  }

  /// Ends what is under way; on the driver's thread, or in a blocking call.
  func finishAll() {
    let open = runs.withLock { runs in
      defer { runs = [] }
      return runs + left.withLock { left in
        defer { left = [] }
        return left
      }
    }
    for run in open { run.finish(handle) }
  }

  func checkOpen() throws(ApusError) {
    if !isOpen.load(ordering: .acquiring) {
      throw ApusError(
        .misuse, "bad parameter or other API misuse", cause: "the transaction has ended",
        hint: "read what is needed inside the transaction's closure")
    }
  }

  // MARK: the transaction

  /// Begins a transaction that takes its snapshot with its first statement: BEGIN goes to the driver's thread together
  /// with that statement, and not at all where there is none.
  func beginLater() { delayedBegin.withLock { $0 = StatementRun(SQL.own("BEGIN")) } }

  /// On the driver's thread, before the first work of the transaction; called again after a wait.
  private func beginNow(_ handle: ConnectionHandle) throws(Fault) {
    guard let run = delayedBegin.withLock({ $0 }) else { return }
    _ = try run.execute(handle)
    delayedBegin.withLock { $0 = nil }
  }

  /// Ends a transaction that has only read. It is the connection's owner who does it, on its own thread: giving a snapshot
  /// back needs no I/O, and takes less time than to ask the driver for it.
  nonisolated(nonsending) func commitRead() async throws {
    if delayedBegin.withLock({ $0 }) != nil { return end() }
    // Reads that nobody has waited for are still in the driver's hands.
    if handle.queue?.isIdleInHub == false { return try await commit() }
    end()
    let run = StatementRun(SQL.own("COMMIT"))
    handle.clearInterrupt()
    do throws(Fault) {
      finishAll()
      _ = try run.execute(handle)
    } catch {
      switch error {
      case .failure(let failure): throw ApusError(failure, sql: "COMMIT")
      case .wait: _ = try await perform(sql: "COMMIT") { handle throws(Fault) in try run.execute(handle) }
      }
    }
  }

  nonisolated(nonsending) func begin(_ statement: String) async throws {
    let run = StatementRun(SQL.own(statement))
    _ = try await perform(sql: statement) { handle throws(Fault) in try run.execute(handle) }
  }

  nonisolated(nonsending) func commit() async throws {
    end()
    let run = StatementRun(SQL.own("COMMIT"))
    _ = try await perform(sql: "COMMIT") { [self] handle throws(Fault) in
      finishAll()
      return try run.execute(handle)
    }
  }

  /// Undoes the transaction, also where the task was cancelled. A failure leaves nothing to undo: the engine has rolled
  /// back by itself, or the connection is unusable and says so at its next use.
  nonisolated(nonsending) func rollback() async {
    end()
    delayedBegin.withLock { $0 = nil }
    let run = StatementRun(SQL.own("ROLLBACK"))
    _ = try? await perform(sql: "ROLLBACK", isCancellable: false) { [self] handle throws(Fault) in
      finishAll()
      if handle.connection?.isAutocommit != false { return 0 }
      return try run.execute(handle)
    }
  }

  nonisolated(nonsending) func execute(_ sql: SQL) async throws -> Int {
    try checkOpen()
    let run = StatementRun(sql)
    return try await perform(sql: sql.text) { handle throws(Fault) in try run.execute(handle) }
  }

  // MARK: jobs

  /// Runs `body` on the driver's thread, again after each wait, until it returns or fails.
  /// - Parameter isCancellable: false for what must happen also when the task was cancelled (a rollback).
  nonisolated(nonsending) func perform<R: Sendable>(
    sql: String?, isCancellable: Bool = true,
    _ body: @escaping @Sendable (ConnectionHandle) throws(Fault) -> R
  ) async throws -> R {
    if isCancellable { try Task.checkCancellation() }
    let handle = handle
    let job = Job(handle)
    func run() async throws -> R {
      try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<R, any Error>) in
        job.start { [self] job in
          if job.isRefused { return .finished { continuation.resume(throwing: ConnectionPool.closed) } }
          if job.isCancelled, isCancellable, !job.hasBegun {
            return .finished { continuation.resume(throwing: CancellationError()) }
          }
          do throws(Fault) {
            if hasLeft.load(ordering: .relaxed) { finishLeft() }
            try beginNow(handle)
            let result = try body(handle)
            return .finished { continuation.resume(returning: result) }
          } catch {
            switch error {
            case .wait(let wait): return .waiting(wait)
            case .failure(let failure):
              // An interrupt ends the waiting for a lock too, which fails as it does when its time is over.
              let isInterrupt = failure.code == .interrupt || failure.code.primary == .busy
              let wasCancelled = job.isCancelled && isInterrupt
              return .finished {
                continuation.resume(throwing: wasCancelled ? CancellationError() : ApusError(failure, sql: sql))
              }
            }
          }
        }
      }
    }
    if !isCancellable { return try await run() }
    return try await withTaskCancellationHandler(operation: run, onCancel: { job.cancel() })
  }
}
