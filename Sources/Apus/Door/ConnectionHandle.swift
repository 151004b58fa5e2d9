// A connection in the hands of one owner at a time: the driver's thread while a task has leased it, or the thread of a
// blocking call. The pool sees to that; it is why the handle may be sent.

import ApusBase
import ApusIO

final class ConnectionHandle: @unchecked Sendable {
  /// Set by the owner that opens it.
  private(set) var connection: Connection?
  let driver: Driver
  let role: ConnectionPool.Role
  /// Who has the lease; the pool's, under its lock.
  var leaseOwner: LeaseOwner?
  // What other threads may touch.
  private let interruptible = ThreadMutex<Interruptible?>(nil)

  private struct Interruptible: @unchecked Sendable {
    let connection: Connection
  }

  private var idle: StatementCache

  init(driver: Driver, role: ConnectionPool.Role, cachedStatements: Int) {
    self.driver = driver
    self.role = role
    idle = StatementCache(countMax: cachedStatements)
  }

  func adopt(_ connection: Connection) {
    connection.keepInterrupts()
    connection.queue.alarm.onRing { [driver] in driver.wake() }
    self.connection = connection
    interruptible.withLock { $0 = Interruptible(connection: connection) }
  }

  /// Any thread.
  func interrupt() { interruptible.withLock { $0?.connection.interrupt() } }

  func clearInterrupt() { connection?.clearInterrupt() }

  var queue: (any IOQueue)? { connection?.queue }

  /// For an owner that waits on a thread of its own: what is in flight in the driver's hub is brought in by the driver.
  func leaveHub() {
    guard let queue else { return }
    if !queue.isIdleInHub {
      let done = ThreadSemaphore()
      driver.submit(
        Job(self) { job in
          // What was in flight has landed before a driver ends.
          while !job.isRefused, job.handle.queue?.isIdleInHub == false { job.handle.queue?.waitForCompletion() }
          return .finished { done.signal() }
        })
      done.wait()
    }
    queue.join(nil)
  }
  func monotonicNanoseconds() -> UInt64 { connection?.environment.monotonicNanoseconds() ?? .max }

  /// Statements may change nothing, or may again. For the lease's owner, between statements.
  func setReading(_ onlyReads: Bool) { connection?.state.settings.onlyReads = onlyReads }

  func opened() throws(EngineError) -> Connection {
    guard let connection else { throw EngineError(.misuse, cause: "the connection is closed") }
    return connection
  }

  /// A statement with its values bound, from the cache or compiled. May wait; nothing is kept until it returns.
  func prepare(_ sql: SQL) throws(Fault) -> PreparedStatement {
    let connection: Connection
    do { connection = try opened() } catch { throw Fault.failure(error) }
    let statement: PreparedStatement
    if let cached = idle.take(sql.text) {
      statement = cached
    } else {
      statement = try connection.prepare(sql.text)
    }
    do {
      try statement.bind(sql)
    } catch {
      statement.finalize()
      throw Fault.failure(error)
    }
    return statement
  }

  /// Takes a statement back that is done with.
  func release(_ statement: PreparedStatement, _ sql: SQL) {
    statement.reset()
    if connection == nil { return statement.finalize() }
    statement.clearBindings()
    idle.give(sql.text, statement)
  }

  /// Ends the connection; an open transaction is undone. May wait. Where it fails, there is no connection any more either.
  func close() throws(Fault) {
    idle.clear()
    guard let connection else { return }
    do throws(Fault) {
      try connection.close()
    } catch {
      guard case .failure = error else { throw error }
      // Here, and not by whoever has the last reference, on a thread that the requests in flight do not belong to.
      connection.abandon()
      forgetConnection()
      throw error
    }
    forgetConnection()
  }

  private func forgetConnection() {
    interruptible.withLock { $0 = nil }
    connection = nil
  }
}

extension PreparedStatement {
  /// Binds the values that were interpolated.
  func bind(_ sql: SQL) throws(EngineError) {
    if parameterCount != sql.values.count {
      throw EngineError(
        .misuse, cause: "the text has \(parameterCount) parameters, \(sql.values.count) values are there to be bound",
        hint: "interpolate values instead of writing parameters into the text")
    }
    for (index, value) in sql.values.enumerated() {
      switch value {
      case .null: try bind(.null, at: index + 1)
      case .integer(let number): try bind(.integer(number), at: index + 1)
      case .real(let number): try bind(.real(number), at: index + 1)
      case .text(let text):
        var bytes = ByteBuffer(capacity: text.utf8.count)
        bytes.append(contentsOf: text)
        try bind(.text(bytes.bytes), at: index + 1)
      case .blob(let blob):
        var bytes = ByteBuffer(capacity: blob.count)
        for byte in blob { bytes.append(byte) }
        try bind(.blob(bytes.bytes), at: index + 1)
      }
    }
  }
}

extension ConnectionHandle {
  func conflicts() throws(Fault) -> ConcurrentConflicts {
    do { return try opened().concurrentConflicts() ?? ConcurrentConflicts() } catch { throw Fault.failure(error) }
  }
}
