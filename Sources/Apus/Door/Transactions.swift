// What a transaction's closure may do. A transaction cannot be copied, and is borrowed, so it does not leave its closure.

import ApusBase

/// What every transaction may do: query its snapshot.
public protocol Querying: ~Copyable {
  /// The connection that runs it.
  var session: Session { get }
}

extension Querying where Self: ~Copyable {
  /// The rows of a query, each one as a tuple of its columns.
  public func rows<each C: ColumnDecodable>(_ sql: SQL, as type: (repeat each C).Type) -> Rows<(repeat each C)> {
    Rows(session: session, sql: sql) { row throws(ApusError) in try row.columns(type) }
  }

  /// The rows of a query, each one as a value of a type of your own.
  public func rows<R: RowDecodable>(_ sql: SQL, as type: R.Type) -> Rows<R> {
    Rows(session: session, sql: sql) { row throws(ApusError) in try R(row: row) }
  }

  /// All rows at once.
  public nonisolated(nonsending) func all<each C: ColumnDecodable>(
    _ sql: SQL, as type: (repeat each C).Type
  ) async throws -> [(repeat each C)] {
    try await session.all(sql) { row throws(ApusError) in try row.columns(type) }
  }

  public nonisolated(nonsending) func all<R: RowDecodable>(_ sql: SQL, as type: R.Type) async throws -> [R] {
    try await session.all(sql) { row throws(ApusError) in try R(row: row) }
  }

  /// The first row; nil where there is none.
  public nonisolated(nonsending) func one<each C: ColumnDecodable>(
    _ sql: SQL, as type: (repeat each C).Type
  ) async throws -> (repeat each C)? {
    try await session.first(sql) { row throws(ApusError) in try row.columns(type) }
  }

  public nonisolated(nonsending) func one<R: RowDecodable>(_ sql: SQL, as type: R.Type) async throws -> R? {
    try await session.first(sql) { row throws(ApusError) in try R(row: row) }
  }
}

/// One snapshot of the database.
public struct ReadTransaction: ~Copyable, Querying {
  public let session: Session

  init(_ session: Session) { self.session = session }
}

/// A transaction that may change the database. It is committed when its closure returns, and undone when it throws.
public struct WriteTransaction: ~Copyable, Querying {
  public let session: Session

  init(_ session: Session) { self.session = session }

  /// Runs a statement to its end.
  /// - Returns: the number of rows that it changed.
  @discardableResult
  public nonisolated(nonsending) func execute(_ sql: SQL) async throws -> Int { try await session.execute(sql) }

  /// A part of the transaction that is undone by itself when its closure throws.
  @discardableResult
  public nonisolated(nonsending) func savepoint<T>(
    _ body: nonisolated(nonsending) (borrowing WriteTransaction) async throws -> sending T
  ) async throws -> sending T {
    let name = session.nextSavepoint()
    _ = try await session.execute(SQL.own("SAVEPOINT \(name)"))
    let result: T
    do {
      result = try await body(self)
    } catch {
      await session.undo(toSavepoint: name)
      throw error
    }
    _ = try await session.execute(SQL.own("RELEASE \(name)"))
    return result
  }
}

extension Session {
  /// Undoes to a savepoint and removes it, also where the task was cancelled.
  nonisolated(nonsending) func undo(toSavepoint name: String) async {
    for statement in ["ROLLBACK TO \(name)", "RELEASE \(name)"] {
      let run = StatementRun(SQL.own(statement))
      _ = try? await perform(sql: statement, isCancellable: false) { handle throws(Fault) in try run.execute(handle) }
    }
  }
}

extension Row {
  borrowing func columns<each C: ColumnDecodable>(_ type: (repeat each C).Type) throws(ApusError) -> (repeat each C) {
    var sequence = ColumnSequence()
    return (repeat try sequence.next(self, (each C).self))
  }
}
