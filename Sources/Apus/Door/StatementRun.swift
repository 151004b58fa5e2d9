// One statement on its way, from its text to its last row. It is called again after each wait and goes on where it was.
// Used by the connection's owner only.

import ApusBase
import ApusVM

final class StatementRun: @unchecked Sendable {
  /// Rows of the first batch, and of the later ones: the first row comes soon, the many come cheap.
  static let firstBatchRows = 16, batchRows = 512
  private static let batchBytes = 256 * 1024

  let sql: SQL
  private var statement: PreparedStatement?
  private var builder: RowBatchBuilder?
  private var changesBefore: Int64 = 0
  private var isFinished = false

  init(_ sql: SQL) { self.sql = sql }

  private func start(_ handle: ConnectionHandle) throws(Fault) -> PreparedStatement {
    if let statement { return statement }
    let prepared = try handle.prepare(sql)
    statement = prepared
    changesBefore = prepared.connection.totalChanges
    return prepared
  }

  /// Runs the statement to its end; rows are passed over.
  /// - Returns: the rows that it changed.
  func execute(_ handle: ConnectionHandle) throws(Fault) -> Int {
    let statement = try start(handle)
    while true {
      switch try step(statement, handle) {
      case .row: continue
      case .pending(let wait): throw Fault.wait(wait)
      case .done:
        let changes = statement.connection.totalChanges - changesBefore
        finish(handle)
        return Int(changes)
      }
    }
  }

  /// The next rows, at most `rowMax`; the last batch says so.
  func fetch(_ handle: ConnectionHandle, rowMax: Int) throws(Fault) -> RowBatch {
    if isFinished { return RowBatchBuilder([]).seal(isLast: true) }
    let statement = try start(handle)
    var rows = builder.take() ?? RowBatchBuilder(statement.columns)
    var isLast = false
    while rows.rowCount < rowMax, rows.byteCount < Self.batchBytes {
      let result: StepResult
      do { result = try step(statement, handle) } catch { throw error }
      switch result {
      case .row: rows.append(statement)
      case .pending(let wait):
        // What has been read stays for the next call, unless it can be given out now.
        builder = consume rows
        throw Fault.wait(wait)
      case .done: isLast = true
      }
      if isLast { break }
    }
    if isLast { finish(handle) }
    return rows.seal(isLast: isLast)
  }

  private func step(_ statement: PreparedStatement, _ handle: ConnectionHandle) throws(Fault) -> StepResult {
    statement.connection.setDriver(blocks: false)
    do {
      return try statement.step()
    } catch {
      discard()
      throw Fault.failure(error)
    }
  }

  /// Gives the statement back to the cache.
  func finish(_ handle: ConnectionHandle) {
    isFinished = true
    builder = nil
    if let statement { handle.release(statement, sql) }
    statement = nil
  }

  private func discard() {
    isFinished = true
    builder = nil
    statement?.finalize()
    statement = nil
  }
}
