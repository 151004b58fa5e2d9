// Preparing, stepping and ending statements, and what they are. Source: https://sqlite.org/c3ref/stmt.html
//
// `unsafe`: this is the border to C.

import Apus
import ApusBase
import ApusSQL
import Glibc

@_cdecl("sqlite3_prepare_v3")
public func sqlite3_prepare_v3(
  _ database: OpaquePointer?, _ sql: UnsafePointer<CChar>?, _ byteCount: CInt, _ flags: UInt32,
  _ result: UnsafeMutablePointer<OpaquePointer?>?, _ tail: UnsafeMutablePointer<UnsafePointer<CChar>?>?
) -> CInt {
  guard let result = unsafe result else { return ResultCode.misuse.rawValue }
  unsafe result.pointee = nil
  guard let sql = unsafe sql else { return ResultCode.misuse.rawValue }
  return unsafe withDatabase(database) { handle, connection in
    // The text ends at its NUL, or at the count, whichever comes first.
    let length = unsafe byteCount < 0 ? strlen(sql) : strnlen(sql, Int(byteCount))
    if length > textByteCountMax { return handle.fail(.tooBig, "statement too long") }
    let text = unsafe ByteView(unchecked: UnsafeRawPointer(sql), count: length)
    do throws(EngineError) {
      let prepared = try connection.prepareBlocking(text)
      unsafe tail?.pointee = sql + prepared.end
      if let statement = prepared.statement {
        let new = StatementHandle(statement, handle)
        handle.add(new)
        unsafe result.pointee = OpaquePointer(Unmanaged.passRetained(new).toOpaque())
      }
      return handle.succeed()
    } catch {
      unsafe tail?.pointee = sql + SQLParser.stop(in: text)
      return handle.fail(error)
    }
  }
}

@_cdecl("sqlite3_prepare_v2")
public func sqlite3_prepare_v2(
  _ database: OpaquePointer?, _ sql: UnsafePointer<CChar>?, _ byteCount: CInt,
  _ result: UnsafeMutablePointer<OpaquePointer?>?, _ tail: UnsafeMutablePointer<UnsafePointer<CChar>?>?
) -> CInt { unsafe sqlite3_prepare_v3(database, sql, byteCount, 0, result, tail) }

@_cdecl("sqlite3_prepare")
public func sqlite3_prepare(
  _ database: OpaquePointer?, _ sql: UnsafePointer<CChar>?, _ byteCount: CInt,
  _ result: UnsafeMutablePointer<OpaquePointer?>?, _ tail: UnsafeMutablePointer<UnsafePointer<CChar>?>?
) -> CInt { unsafe sqlite3_prepare_v3(database, sql, byteCount, 0, result, tail) }

@_cdecl("sqlite3_step")
public func sqlite3_step(_ statement: OpaquePointer?) -> CInt {
  unsafe withStatement(statement, ResultCode.misuse.rawValue) { $0.step() }
}

@_cdecl("sqlite3_reset")
public func sqlite3_reset(_ statement: OpaquePointer?) -> CInt {
  unsafe withStatement(statement, ResultCode.ok.rawValue) { $0.reset() }
}

@_cdecl("sqlite3_finalize")
public func sqlite3_finalize(_ statement: OpaquePointer?) -> CInt {
  guard let pointer = unsafe statement else { return ResultCode.ok.rawValue }
  let owned = unsafe Unmanaged<StatementHandle>.fromOpaque(UnsafeRawPointer(pointer))
  let database = unsafe owned.takeUnretainedValue().database
  return database.locked { () -> CInt in
    // C's reference ends in here: what the statement leaves behind belongs to the connection.
    let handle = unsafe owned.takeRetainedValue()
    let code = handle.reset()
    handle.statement.finalize()
    database.remove(handle)
    database.closeIfUnused()
    return code
  }
}

// MARK: what a statement is

@_cdecl("sqlite3_sql")
public func sqlite3_sql(_ statement: OpaquePointer?) -> UnsafePointer<CChar>? {
  unsafe withStatement(statement, nil) { unsafe $0.sql() }
}

@_cdecl("sqlite3_expanded_sql")
public func sqlite3_expanded_sql(_ statement: OpaquePointer?) -> UnsafeMutablePointer<CChar>? {
  unsafe withStatement(statement, nil) { handle in unsafe handle.statement.withExpandedText { unsafe copyToC($0) } }
}

@_cdecl("sqlite3_db_handle")
public func sqlite3_db_handle(_ statement: OpaquePointer?) -> OpaquePointer? {
  unsafe StatementHandle.from(statement)?.database.pointer
}

/// Newest first, as SQLite goes through them.
@_cdecl("sqlite3_next_stmt")
public func sqlite3_next_stmt(_ database: OpaquePointer?, _ after: OpaquePointer?) -> OpaquePointer? {
  guard let handle = unsafe DatabaseHandle.from(database) else { return nil }
  return unsafe handle.locked { () -> OpaquePointer? in
    guard let previous = unsafe StatementHandle.from(after) else { return unsafe handle.newestStatement?.pointer }
    return unsafe previous.older?.pointer
  }
}

@_cdecl("sqlite3_stmt_readonly")
public func sqlite3_stmt_readonly(_ statement: OpaquePointer?) -> CInt {
  unsafe withStatement(statement, 1) { $0.statement.isReadOnly ? 1 : 0 }
}

@_cdecl("sqlite3_stmt_busy")
public func sqlite3_stmt_busy(_ statement: OpaquePointer?) -> CInt {
  unsafe withStatement(statement, 0) { $0.statement.isBusy ? 1 : 0 }
}

@_cdecl("sqlite3_stmt_isexplain")
public func sqlite3_stmt_isexplain(_ statement: OpaquePointer?) -> CInt {
  unsafe withStatement(statement, 0) { CInt($0.statement.explainMode) }
}

/// SQLITE_STMTSTATUS_REPREPARE (5) and _RUN (6) are counted; the other counters are not kept and read 0.
@_cdecl("sqlite3_stmt_status")
public func sqlite3_stmt_status(_ statement: OpaquePointer?, _ counter: CInt, _ reset: CInt) -> CInt {
  unsafe withStatement(statement, 0) { handle in
    switch counter {
    case 5:
      defer { if reset != 0 { handle.recompileCount = 0 } }
      return handle.recompileCount
    case 6:
      defer { if reset != 0 { handle.runCount = 0 } }
      return handle.runCount
    default: return 0
    }
  }
}
