// The rows of a statement as an asynchronous sequence: batches are fetched, rows are decoded one by one without a suspension.

import ApusBase

/// Rows that are read when they are asked for. They end with their transaction: used later, they throw `misuse`.
///
/// Rows are read ahead in batches: what the transaction itself changes while it iterates may or may not be seen.
public struct Rows<Element: Sendable>: AsyncSequence {
  public typealias Failure = any Error
  typealias Decoder = @Sendable (borrowing Row) throws(ApusError) -> Element

  let session: Session
  let sql: SQL
  let decode: Decoder

  public func makeAsyncIterator() -> AsyncIterator { AsyncIterator(session, sql, decode) }

  public struct AsyncIterator: AsyncIteratorProtocol {
    public typealias Failure = any Error

    private let session: Session
    private let run: StatementRun
    private let end: End
    private let decode: Decoder
    private var batch: RowBatch?
    private var index = 0
    private var isOver = false

    init(_ session: Session, _ sql: SQL, _ decode: @escaping Decoder) {
      self.session = session
      self.decode = decode
      run = StatementRun(sql)
      end = End(session, run)
    }

    /// Dropped with the last copy of the iterator: rows that are left early keep no statement open.
    private final class End: Sendable {
      private let session: Session
      private let run: StatementRun

      init(_ session: Session, _ run: StatementRun) {
        self.session = session
        self.run = run
      }

      deinit { session.leave(run) }
    }

    public mutating func next() async throws -> Element? { try await next(isolation: nil) }

    public mutating func next(isolation actor: isolated (any Actor)?) async throws(any Error) -> Element? {
      if isOver { return nil }
      try session.checkOpen()
      while true {
        if let batch {
          if index < batch.rowCount {
            index += 1
            return try decode(Row(batch, index - 1))
          }
          if batch.isLast {
            isOver = true
            session.remove(run)
            return nil
          }
        } else {
          session.add(run)
        }
        let rowMax = batch == nil ? StatementRun.firstBatchRows : StatementRun.batchRows
        let run = run
        do {
          batch = try await session.perform(sql: run.sql.text) { handle throws(Fault) in
            try run.fetch(handle, rowMax: rowMax)
          }
        } catch {
          isOver = true
          throw error
        }
        index = 0
      }
    }
  }
}

extension Session {
  /// The first row; nil where there is none. What follows it is not read.
  nonisolated(nonsending) func first<R: Sendable>(_ sql: SQL, _ decode: @escaping Rows<R>.Decoder) async throws -> R? {
    try checkOpen()
    let run = StatementRun(sql)
    return try await perform(sql: sql.text) { handle throws(Fault) in
      let batch = try run.fetch(handle, rowMax: 1)
      run.finish(handle)
      if batch.rowCount == 0 { return nil }
      do throws(ApusError) { return try decode(Row(batch, 0)) } catch { throw Fault.failure(error.engineError) }
    }
  }

  /// All rows.
  nonisolated(nonsending) func all<R: Sendable>(_ sql: SQL, _ decode: @escaping Rows<R>.Decoder) async throws -> [R] {
    try checkOpen()
    var rows: [R] = []
    let run = StatementRun(sql)
    // Where the task is cancelled between two batches, the transaction's end finishes the statement.
    add(run)
    while true {
      let batch = try await perform(sql: sql.text) { handle throws(Fault) in
        try run.fetch(handle, rowMax: StatementRun.batchRows)
      }
      do throws(ApusError) {
        for index in 0..<batch.rowCount { rows.append(try decode(Row(batch, index))) }
      } catch {
        // The transaction may go on, and what it does next (DROP TABLE) must not find rows that nobody will ask for.
        try? await perform(sql: nil, isCancellable: false) { [self] handle throws(Fault) in
          run.finish(handle)
          remove(run)
        }
        throw error
      }
      if batch.isLast {
        remove(run)
        return rows
      }
    }
  }
}

extension ApusError {
  /// The way back into the engine's error, for what is decoded on the driver's thread.
  var engineError: EngineError {
    EngineError(
      ResultCode(code.rawValue), message, sqlOffset: offset, object: object, cause: cause, hint: hint)
  }
}

/// Decodes the columns of a row from left to right.
struct ColumnSequence: ~Copyable {
  private var column = 0

  mutating func next<T: ColumnDecodable>(_ row: borrowing Row, _ type: T.Type) throws(ApusError) -> T {
    defer { column += 1 }
    return try row.decode(column)
  }
}
