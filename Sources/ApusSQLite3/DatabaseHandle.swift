// What `sqlite3*` points to. A connection is serialized by its own recursive mutex, as SQLite's default threading mode
// promises.
//
// `unsafe`: this is the border to C. A handle's address is the C pointer; C owns one reference to it from open to close.

import Apus
import ApusBase
import ApusIO
import ApusStorage
import ApusVM

/// The world of all connections of the process.
let systemEnvironment = SystemEnvironment()

@safe
final class DatabaseHandle {
  /// nil where opening failed: such a handle only tells why.
  let connection: Connection?
  private let mutex = RecursiveMutex()
  var usesExtendedCodes = false
  /// Closed by `sqlite3_close_v2`, perhaps while statements or backups are left.
  var isZombie = false
  /// Backups from or into this connection, from init to finish.
  var unfinishedBackupCount = 0
  /// The newest statement; each leads to the one made before it.
  private(set) var newestStatement: StatementHandle?
  /// Names of files and databases, declared types: they stay until the connection is closed.
  var texts = StableTextTable()

  /// What databases were made of, while they live.
  private var deserialized: [(pager: Pager, buffer: DeserializedBuffer)] = []

  private(set) var code = ResultCode.ok
  private var error: EngineError?
  private let messageText = StableText()
  private var isMessageStale = true

  init(_ connection: Connection?) { self.connection = connection }

  /// Runs `body` while no other thread is in this connection.
  @inline(__always)
  func locked<R>(_ body: () -> R) -> R {
    mutex.lock()
    defer { mutex.unlock() }
    return body()
  }

  /// Runs `body` where no other thread is in this connection; nil where one is.
  func lockedAtOnce<R>(_ body: () -> R) -> R? {
    guard mutex.tryLock() else { return nil }
    defer { mutex.unlock() }
    return body()
  }

  // MARK: errors

  /// What the next `sqlite3_errcode` tells.
  @inline(__always)
  @discardableResult
  func succeed(_ code: ResultCode = .ok) -> CInt {
    self.code = code
    return code.rawValue
  }

  @discardableResult
  func fail(_ error: EngineError) -> CInt {
    code = error.code
    self.error = error
    isMessageStale = true
    return result(error.code)
  }

  @discardableResult
  func fail(_ code: ResultCode, _ message: String? = nil) -> CInt { fail(EngineError(code, message)) }

  /// The code as callers of this connection get it.
  func result(_ code: ResultCode) -> CInt { usesExtendedCodes ? code.rawValue : code.primary.rawValue }

  private var isFailed: Bool { code != .ok && code != .row && code != .done }

  /// The text of the last error, at an address that stays until another error.
  var message: UnsafePointer<CChar>? {
    guard isFailed, let error else { return unsafe permanentText(code.standardMessage) }
    if isMessageStale {
      messageText.set(error.message)
      isMessageStale = false
    }
    return unsafe messageText.current
  }

  var messageString: String { isFailed ? error?.message ?? code.standardMessage : code.standardMessage }
  var errorOffset: CInt { isFailed ? CInt(clamping: error?.sqlOffset ?? -1) : -1 }
  var extendedCode: CInt { code.rawValue }
  var reportedCode: CInt { result(code) }

  // MARK: pointers

  var pointer: OpaquePointer { unsafe OpaquePointer(Unmanaged.passUnretained(self).toOpaque()) }

  @inline(__always)
  static func from(_ pointer: OpaquePointer?) -> DatabaseHandle? {
    guard let pointer = unsafe pointer else { return nil }
    return unsafe Unmanaged<DatabaseHandle>.fromOpaque(UnsafeRawPointer(pointer)).takeUnretainedValue()
  }

  // MARK: statements

  func add(_ statement: StatementHandle) {
    statement.older = newestStatement
    newestStatement?.newer = statement
    newestStatement = statement
  }

  func remove(_ statement: StatementHandle) {
    statement.older?.newer = statement.newer
    if let newer = statement.newer {
      newer.older = statement.older
    } else if newestStatement === statement {
      newestStatement = statement.older
    }
    statement.older = nil
    statement.newer = nil
  }

  // MARK: the end

  /// The end of a connection that `sqlite3_close_v2` was called on, once its last statement and its last backup have ended.
  func closeIfUnused() {
    guard isZombie, newestStatement == nil, unfinishedBackupCount == 0 else { return }
    _ = close()
  }

  /// - Returns: SQLITE_OK, or SQLITE_BUSY while statements or backups are left.
  func close() -> CInt {
    guard let connection else { return ResultCode.ok.rawValue }
    do throws(EngineError) {
      try connection.closeBlocking()
    } catch {
      if connection.isInUse { return fail(error) }
      // The caller could not do more about it: what was not undone is left to whoever opens the files next.
      connection.abandon()
    }
    return ResultCode.ok.rawValue
  }

  // MARK: databases made of bytes

  /// What the database with this pager was made of; nil where it was not made of bytes.
  func buffer(of pager: Pager?) -> DeserializedBuffer? { deserialized.first { $0.pager === pager }?.buffer }

  func keep(_ buffer: DeserializedBuffer, for pager: Pager) {
    dropUnusedBuffers()
    deserialized.append((pager, buffer))
  }

  /// Gives back what databases were made of that are gone.
  func dropUnusedBuffers() {
    if deserialized.isEmpty { return }
    deserialized.removeAll { kept in connection?.state.databases.contains { $0?.pager === kept.pager } != true }
  }
}

/// Runs `body` with the connection locked; SQLITE_MISUSE where there is none.
func withDatabase(_ pointer: OpaquePointer?, _ body: (DatabaseHandle, Connection) -> CInt) -> CInt {
  guard let handle = unsafe DatabaseHandle.from(pointer) else { return ResultCode.misuse.rawValue }
  return handle.locked {
    guard let connection = handle.connection, !handle.isZombie else { return ResultCode.misuse.rawValue }
    return body(handle, connection)
  }
}
