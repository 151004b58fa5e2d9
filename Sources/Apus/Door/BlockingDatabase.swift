// The same verbs for threads that may block: tools, tests, scripts. The caller's thread does the work itself.

import ApusBase
import ApusIO

public struct BlockingDatabase: Sendable {
  let database: Database

  /// Runs `body` on one snapshot of the database. Statements that write fail with `readOnly`.
  public func read<T>(_ body: (borrowing BlockingReadTransaction) throws -> T) throws -> T {
    let plan = RetryPlan(retries: 0, within: nil, database.setup.environment)
    return try transaction(.read, "BEGIN", plan) { session in try body(BlockingReadTransaction(session)) }
  }

  /// Runs `body` in a transaction that is committed when it returns, and undone when it throws.
  /// - Parameters: as those of `Database.write`; the pauses block the thread.
  @discardableResult
  public func write<T>(
    _ mode: WriteMode = .immediate, retries: Int = 0, within limit: Duration? = nil,
    _ body: (borrowing BlockingWriteTransaction) throws -> T
  ) throws -> T {
    let plan = RetryPlan(retries: retries, within: limit, database.setup.environment)
    return try transaction(mode.role, mode.statement, plan) { session in try body(BlockingWriteTransaction(session)) }
  }

  /// The same report as `Database.concurrentConflicts`.
  public func concurrentConflicts() throws -> ConcurrentConflicts {
    try withHandle(.read) { handle in
      try Session(handle).block(sql: nil) { handle throws(Fault) in try handle.conflicts() }
    }
  }

  private func transaction<T>(
    _ role: ConnectionPool.Role, _ begin: String, _ plan: RetryPlan, _ body: (Session) throws -> T
  ) throws -> T {
    try withHandle(role) { handle in
      handle.setReading(role == .read)
      defer { handle.setReading(false) }
      var plan = plan
      while true {
        do {
          return try attempt(Session(handle), begin, body)
        } catch {
          guard let moment = plan.nextAttempt(behind: error) else { throw error }
          database.setup.environment.sleep(untilMonotonic: moment)
        }
      }
    }
  }

  private func withHandle<T>(_ role: ConnectionPool.Role, _ body: (ConnectionHandle) throws -> T) throws -> T {
    try database.setup.checkProcess()
    let pool = database.pool
    let semaphore = ThreadSemaphore()
    let handle = try pool.leaseBlocking(
      role, semaphore: { _ in semaphore.wait() }, make: { ConnectionPool.ThreadWaiter { semaphore.signal() } })
    defer { pool.giveBack(handle) }
    let opening = ConnectionOpening(database.setup)
    handle.clearInterrupt()
    handle.leaveHub()
    if handle.connection == nil { try Session(handle).block(sql: nil) { handle throws(Fault) in try opening.open(handle) } }
    return try body(handle)
  }

  private func attempt<T>(_ session: Session, _ begin: String, _ body: (Session) throws -> T) throws -> T {
    do {
      _ = try session.blockingExecute(SQL.own(begin))
      let result = try body(session)
      session.finishAll()
      _ = try session.blockingExecute(SQL.own("COMMIT"))
      session.end()
      return result
    } catch {
      session.finishAll()
      if session.handle.connection?.isAutocommit == false { _ = try? session.blockingExecute(SQL.own("ROLLBACK")) }
      session.end()
      throw error
    }
  }
}

extension Session {
  /// Calls `body` again after each wait, on this thread.
  func block<R>(sql: String?, _ body: (ConnectionHandle) throws(Fault) -> R) throws(ApusError) -> R {
    while true {
      do throws(Fault) {
        return try body(handle)
      } catch {
        switch error {
        case .failure(let failure): throw ApusError(failure, sql: sql)
        case .wait(let wait):
          do throws(EngineError) { try handle.opened().wait(for: wait) } catch { throw ApusError(error, sql: sql) }
        }
      }
    }
  }

  func blockingExecute(_ sql: SQL) throws(ApusError) -> Int {
    try checkOpen()
    let run = StatementRun(sql)
    return try block(sql: sql.text) { handle throws(Fault) in try run.execute(handle) }
  }

  func blockingRows(_ sql: SQL, _ body: (borrowing Row) throws -> Bool) throws {
    try checkOpen()
    let run = StatementRun(sql)
    defer { run.finish(handle) }
    var rowMax = StatementRun.firstBatchRows
    while true {
      let batch = try block(sql: sql.text) { handle throws(Fault) in try run.fetch(handle, rowMax: rowMax) }
      for index in 0..<batch.rowCount {
        if !(try body(Row(batch, index))) { return }
      }
      if batch.isLast { return }
      rowMax = StatementRun.batchRows
    }
  }

  func blockingAll<R>(_ sql: SQL, _ decode: (borrowing Row) throws(ApusError) -> R) throws -> [R] {
    var rows: [R] = []
    try blockingRows(sql) { row in
      rows.append(try decode(row))
      return true
    }
    return rows
  }

  func blockingFirst<R>(_ sql: SQL, _ decode: (borrowing Row) throws(ApusError) -> R) throws -> R? {
    var first: R?
    try blockingRows(sql) { row in
      first = try decode(row)
      return false
    }
    return first
  }
}

/// What every blocking transaction may do: query its snapshot.
public protocol BlockingQuerying: ~Copyable {
  /// The connection that runs it.
  var session: Session { get }
}

extension BlockingQuerying where Self: ~Copyable {
  /// Calls `body` with each row of a query.
  public func forEach(_ sql: SQL, _ body: (borrowing Row) throws -> Void) throws {
    try session.blockingRows(sql) { row in
      try body(row)
      return true
    }
  }

  public func all<each C: ColumnDecodable>(_ sql: SQL, as type: (repeat each C).Type) throws -> [(repeat each C)] {
    try session.blockingAll(sql) { row throws(ApusError) in try row.columns(type) }
  }

  public func all<R: RowDecodable>(_ sql: SQL, as type: R.Type) throws -> [R] {
    try session.blockingAll(sql) { row throws(ApusError) in try R(row: row) }
  }

  public func one<each C: ColumnDecodable>(_ sql: SQL, as type: (repeat each C).Type) throws -> (repeat each C)? {
    try session.blockingFirst(sql) { row throws(ApusError) in try row.columns(type) }
  }

  public func one<R: RowDecodable>(_ sql: SQL, as type: R.Type) throws -> R? {
    try session.blockingFirst(sql) { row throws(ApusError) in try R(row: row) }
  }
}

public struct BlockingReadTransaction: ~Copyable, BlockingQuerying {
  public let session: Session

  init(_ session: Session) { self.session = session }
}

public struct BlockingWriteTransaction: ~Copyable, BlockingQuerying {
  public let session: Session

  init(_ session: Session) { self.session = session }

  /// Runs a statement to its end.
  /// - Returns: the number of rows that it changed.
  @discardableResult
  public func execute(_ sql: SQL) throws -> Int { try session.blockingExecute(sql) }

  /// A part of the transaction that is undone by itself when its closure throws.
  @discardableResult
  public func savepoint<T>(_ body: (borrowing BlockingWriteTransaction) throws -> T) throws -> T {
    let name = session.nextSavepoint()
    try execute(SQL.own("SAVEPOINT \(name)"))
    do {
      let result = try body(self)
      try execute(SQL.own("RELEASE \(name)"))
      return result
    } catch {
      _ = try? session.blockingExecute(SQL.own("ROLLBACK TO \(name)"))
      _ = try? session.blockingExecute(SQL.own("RELEASE \(name)"))
      throw error
    }
  }
}
