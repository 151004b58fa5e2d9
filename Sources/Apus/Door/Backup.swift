// Backups of a database that is in use, and databases as bytes.

import ApusBase
import ApusIO
import ApusStorage

/// How far a backup or a restore has come.
public struct BackupProgress: Sendable {
  public var pageCount: Int
  public var remaining: Int

  /// From 0 to 1.
  public var fraction: Double { pageCount == 0 ? 1 : Double(pageCount - remaining) / Double(pageCount) }
}

extension Database {
  /// Copies the database as it is at some moment of the call into the file at `path`, which is replaced as a whole or
  /// not at all. Others read and write meanwhile: a commit makes the copy start over, three times at most. What is
  /// begun then keeps its snapshot to its end, so that a backup ends beside a writer that never rests. In WAL mode
  /// nobody waits for that; of a database with a rollback journal it keeps writers waiting as a long `read` does.
  /// - Parameters:
  ///   - pagesPerStep: what is copied at a time; between two steps the driver's thread turns to other statements.
  ///   - progress: called after each step by the calling task, where that runs (its actor), and not on a thread of
  ///     the database's. The next step waits for its return. Where it returns false the backup ends, with
  ///     `CancellationError`, and the file is as it was.
  /// - Throws: `ApusError`: `busy` where somebody uses the file at `path` for longer than the busy timeout.
  public nonisolated(nonsending) func backup(
    to path: String, pagesPerStep: Int = 1024, progress: (@Sendable (BackupProgress) -> Bool)? = nil
  ) async throws {
    try await copy(.read, pagesPerStep, progress) { connection throws(EngineError) in
      try connection.makeBackup(toFile: path)
    }
  }

  /// Replaces the database's content by that of the database file at `path`, as a whole or not at all.
  /// - Parameters: as those of `backup`.
  public nonisolated(nonsending) func restore(
    from path: String, pagesPerStep: Int = 1024, progress: (@Sendable (BackupProgress) -> Bool)? = nil
  ) async throws {
    try await copy(.write, pagesPerStep, progress) { connection throws(EngineError) in
      try connection.makeRestore(fromFile: path)
    }
  }

  /// The bytes of a database file with this content, of one snapshot. Other statements of the driver's thread run in
  /// between.
  public nonisolated(nonsending) func serialize() async throws -> [UInt8] {
    let handle = try await pool.lease(.read)
    defer { pool.giveBack(handle) }
    try await prepare(handle)
    let run = SerializationRun()
    return try await Session(handle).perform(sql: nil) { handle throws(Fault) in try run.advance(handle) }
  }

  /// A database in memory whose content is that of a database file's bytes.
  public nonisolated(nonsending) static func deserialize(
    _ bytes: [UInt8], _ configuration: Configuration = Configuration()
  ) async throws -> Database {
    let database = try await open(":memory:", configuration)
    let handle = try await database.pool.lease(.write)
    defer { database.pool.giveBack(handle) }
    try await Session(handle).perform(sql: nil) { handle throws(Fault) in
      var copy = ByteBuffer(capacity: bytes.count)
      for byte in bytes { copy.append(byte) }
      do throws(EngineError) { try handle.opened().deserialize("main", copy.bytes) } catch { throw Fault.failure(error) }
    }
    return database
  }

  private nonisolated(nonsending) func copy(
    _ role: ConnectionPool.Role, _ pagesPerStep: Int, _ progress: (@Sendable (BackupProgress) -> Bool)?,
    _ make: @escaping @Sendable (Connection) throws(EngineError) -> ConnectionBackup
  ) async throws {
    let handle = try await pool.lease(role)
    defer { pool.giveBack(handle) }
    try await prepare(handle)
    let session = Session(handle)
    let run = BackupRun(make)
    do {
      var isDone = false
      while !isDone {
        isDone = try await session.perform(sql: nil) { handle throws(Fault) in try run.step(handle, pagesPerStep) }
        if let progress, !progress(run.progress), !isDone { throw CancellationError() }
      }
    } catch {
      try? await session.perform(sql: nil, isCancellable: false) { _ throws(Fault) in try run.finish() }
      throw error
    }
    try await session.perform(sql: nil, isCancellable: false) { _ throws(Fault) in try run.finish() }
  }
}

/// A backup in the hands of the connection's owner.
private final class BackupRun: @unchecked Sendable {
  private let make: @Sendable (Connection) throws(EngineError) -> ConnectionBackup
  private var backup: ConnectionBackup?

  init(_ make: @escaping @Sendable (Connection) throws(EngineError) -> ConnectionBackup) { self.make = make }

  func step(_ handle: ConnectionHandle, _ pages: Int) throws(Fault) -> Bool {
    let current: ConnectionBackup
    if let backup {
      current = backup
    } else {
      do throws(EngineError) {
        current = try make(try handle.opened())
        current.restartCountMax = ConnectionBackup.usualRestartCount
      } catch {
        throw Fault.failure(error)
      }
    }
    backup = current
    return try current.step(pages: max(pages, 1))
  }

  /// The backup ends here, also where its end fails: its pagers wait for what is in flight, which no other thread can do.
  func finish() throws(Fault) {
    do throws(Fault) {
      try backup?.finish()
    } catch {
      if case .failure = error { backup = nil }
      throw error
    }
    backup = nil
  }

  var progress: BackupProgress {
    BackupProgress(pageCount: backup?.pageCount ?? 0, remaining: backup?.remaining ?? 0)
  }
}

/// A database on its way to bytes, in the hands of the connection's owner.
private final class SerializationRun: @unchecked Sendable {
  /// So many pages at a time; then it is the other statements' turn.
  private static let pagesPerTurn: UInt32 = 256
  private var serialization: Serialization?

  /// Called again after each wait.
  func advance(_ handle: ConnectionHandle) throws(Fault) -> [UInt8] {
    let current: Serialization
    if let serialization {
      current = serialization
      if handle.connection?.isInterrupted == true {
        current.finish()
        throw .error(.interrupt)
      }
    } else {
      do throws(EngineError) { current = try Serialization(handle.opened()) } catch { throw Fault.failure(error) }
      serialization = current
    }
    guard try current.step(pages: Self.pagesPerTurn) else { throw .wait(.nothing) }
    serialization = nil
    return current.takeBytes()
  }
}
