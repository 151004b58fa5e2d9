// Memory that connections hold and can do without. Source: https://sqlite.org/c3ref/release_memory.html,
// https://sqlite.org/c3ref/db_release_memory.html, https://sqlite.org/c3ref/db_cacheflush.html
//
// `unsafe`: this is the border to C.

import Apus
import ApusBase
import ApusIO

/// The open connections of the process, from open to close.
final class HandleRegistry: Sendable {
  /// A handle that another thread may lock.
  private struct Entry: @unchecked Sendable {
    let handle: DatabaseHandle
  }

  private let entries = ThreadMutex<[ObjectIdentifier: Entry]>([:])

  func add(_ handle: DatabaseHandle) {
    let entry = Entry(handle: handle)
    entries.withLock { $0[ObjectIdentifier(entry.handle)] = entry }
  }

  func remove(_ handle: DatabaseHandle) {
    let identifier = ObjectIdentifier(handle)
    // What is taken out goes when the lock is free again.
    _ = entries.withLock { $0.removeValue(forKey: identifier) }
  }

  var handles: [DatabaseHandle] { entries.withLock { Array($0.values) }.map(\.handle) }
}

let openHandles = HandleRegistry()

@_cdecl("sqlite3_db_release_memory")
public func sqlite3_db_release_memory(_ database: OpaquePointer?) -> CInt {
  unsafe withDatabase(database) { _, connection in
    connection.releaseMemory()
    return ResultCode.ok.rawValue
  }
}

/// Asks one connection after the other until `count` bytes are free; those that another thread is in are left out.
/// - Returns: the bytes that were freed.
@_cdecl("sqlite3_release_memory")
public func sqlite3_release_memory(_ count: CInt) -> CInt {
  var freed = 0
  for handle in openHandles.handles where freed < Int(count) {
    freed += handle.lockedAtOnce { handle.connection.map { $0.isClosed ? 0 : $0.releaseMemory() } ?? 0 } ?? 0
  }
  return CInt(clamping: freed)
}

/// Leaves the connection's error as it is, as SQLite's does.
@_cdecl("sqlite3_db_cacheflush")
public func sqlite3_db_cacheflush(_ database: OpaquePointer?) -> CInt {
  unsafe withDatabase(database) { handle, connection in
    do throws(EngineError) {
      try connection.flushBlocking()
      return ResultCode.ok.rawValue
    } catch {
      return handle.result(error.code)
    }
  }
}

/// What a limit would have to count is not counted: nothing is limited (0), and no limit is taken (negative).
private func heapLimit(_ limit: Int64) -> Int64 { limit > 0 ? -1 : 0 }

@_cdecl("sqlite3_soft_heap_limit64")
public func sqlite3_soft_heap_limit64(_ limit: Int64) -> Int64 { heapLimit(limit) }

@_cdecl("sqlite3_hard_heap_limit64")
public func sqlite3_hard_heap_limit64(_ limit: Int64) -> Int64 { heapLimit(limit) }
