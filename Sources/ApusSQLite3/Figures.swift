// What a connection tells, and its settings.
//
// `unsafe`: this is the border to C.

import Apus
import ApusBase
import ApusSQL
import ApusStorage
import ApusVM

@_cdecl("sqlite3_changes64")
public func sqlite3_changes64(_ database: OpaquePointer?) -> Int64 {
  guard let handle = unsafe DatabaseHandle.from(database) else { return 0 }
  return handle.locked { handle.connection?.changes ?? 0 }
}

@_cdecl("sqlite3_changes")
public func sqlite3_changes(_ database: OpaquePointer?) -> CInt {
  unsafe CInt(truncatingIfNeeded: sqlite3_changes64(database))
}

@_cdecl("sqlite3_total_changes64")
public func sqlite3_total_changes64(_ database: OpaquePointer?) -> Int64 {
  guard let handle = unsafe DatabaseHandle.from(database) else { return 0 }
  return handle.locked { handle.connection?.totalChanges ?? 0 }
}

@_cdecl("sqlite3_total_changes")
public func sqlite3_total_changes(_ database: OpaquePointer?) -> CInt {
  unsafe CInt(truncatingIfNeeded: sqlite3_total_changes64(database))
}

@_cdecl("sqlite3_last_insert_rowid")
public func sqlite3_last_insert_rowid(_ database: OpaquePointer?) -> Int64 {
  guard let handle = unsafe DatabaseHandle.from(database) else { return 0 }
  return handle.locked { handle.connection?.lastInsertRowid ?? 0 }
}

@_cdecl("sqlite3_set_last_insert_rowid")
public func sqlite3_set_last_insert_rowid(_ database: OpaquePointer?, _ rowid: Int64) {
  guard let handle = unsafe DatabaseHandle.from(database) else { return }
  handle.locked { handle.connection?.lastInsertRowid = rowid }
}

@_cdecl("sqlite3_get_autocommit")
public func sqlite3_get_autocommit(_ database: OpaquePointer?) -> CInt {
  guard let handle = unsafe DatabaseHandle.from(database) else { return 0 }
  return handle.locked { handle.connection?.isAutocommit == false ? 0 : 1 }
}

@_cdecl("sqlite3_busy_timeout")
public func sqlite3_busy_timeout(_ database: OpaquePointer?, _ milliseconds: CInt) -> CInt {
  unsafe withDatabase(database) { _, connection in
    connection.busyHandler = nil
    connection.busyTimeoutMilliseconds = Int(milliseconds)
    return ResultCode.ok.rawValue
  }
}

@_cdecl("sqlite3_busy_handler")
public func sqlite3_busy_handler(
  _ database: OpaquePointer?, _ handler: (@convention(c) (UnsafeMutableRawPointer?, CInt) -> CInt)?,
  _ argument: UnsafeMutableRawPointer?
) -> CInt {
  unsafe withDatabase(database) { _, connection in
    connection.busyTimeoutMilliseconds = 0
    connection.busyHandler = nil
    if let handler = unsafe handler {
      connection.busyHandler = { attempt in unsafe handler(argument, CInt(clamping: attempt)) != 0 }
    }
    return ResultCode.ok.rawValue
  }
}

/// Any thread may call it while the connection is open: it does not wait for the connection's mutex.
@_cdecl("sqlite3_interrupt")
public func sqlite3_interrupt(_ database: OpaquePointer?) {
  unsafe DatabaseHandle.from(database)?.connection?.interrupt()
}

@_cdecl("sqlite3_is_interrupted")
public func sqlite3_is_interrupted(_ database: OpaquePointer?) -> CInt {
  unsafe DatabaseHandle.from(database)?.connection?.isInterrupted == true ? 1 : 0
}

// MARK: databases

/// The number of the database of this name; nil: main.
private func databaseNumber(_ connection: Connection, _ name: UnsafePointer<CChar>?) -> Int? {
  guard let name = unsafe name.map({ unsafe String(cString: $0) }) else { return 0 }
  return databaseNumber(connection, name)
}

func databaseNumber(_ connection: Connection, _ name: String) -> Int? {
  switch Name.fold(name) {
  case "main": 0
  case "temp": 1
  default: connection.state.databaseNumber(name)
  }
}

@_cdecl("sqlite3_db_filename")
public func sqlite3_db_filename(_ database: OpaquePointer?, _ name: UnsafePointer<CChar>?) -> UnsafePointer<CChar>? {
  guard let handle = unsafe DatabaseHandle.from(database) else { return nil }
  return unsafe handle.locked { () -> UnsafePointer<CChar>? in
    guard let connection = handle.connection, let number = unsafe databaseNumber(connection, name) else { return nil }
    return unsafe handle.texts.pointer(connection.state.databases[number]?.pager.filePath ?? "")
  }
}

@_cdecl("sqlite3_db_readonly")
public func sqlite3_db_readonly(_ database: OpaquePointer?, _ name: UnsafePointer<CChar>?) -> CInt {
  guard let handle = unsafe DatabaseHandle.from(database) else { return -1 }
  return handle.locked {
    guard let connection = handle.connection, let number = unsafe databaseNumber(connection, name) else { return -1 }
    return connection.state.databases[number]?.pager.isReadOnly == true ? 1 : 0
  }
}

@_cdecl("sqlite3_db_name")
public func sqlite3_db_name(_ database: OpaquePointer?, _ index: CInt) -> UnsafePointer<CChar>? {
  guard let handle = unsafe DatabaseHandle.from(database), index >= 0 else { return nil }
  return unsafe handle.locked { () -> UnsafePointer<CChar>? in
    guard let databases = handle.connection?.state.databases, Int(index) < databases.count else { return nil }
    if index == 1 { return unsafe handle.texts.pointer("temp") }
    guard let name = databases[Int(index)]?.name else { return nil }
    return unsafe handle.texts.pointer(name)
  }
}

/// SQLITE_TXN_NONE 0, _READ 1, _WRITE 2; the highest of all databases where no name is given.
@_cdecl("sqlite3_txn_state")
public func sqlite3_txn_state(_ database: OpaquePointer?, _ name: UnsafePointer<CChar>?) -> CInt {
  guard let handle = unsafe DatabaseHandle.from(database) else { return -1 }
  return handle.locked {
    guard let connection = handle.connection else { return -1 }
    func state(_ number: Int) -> CInt {
      switch connection.state.databases[number]?.pager.state {
      case .write: 2
      case .read: 1
      default: 0
      }
    }
    if unsafe name == nil { return connection.state.databases.indices.map(state).max() ?? 0 }
    guard let number = unsafe databaseNumber(connection, name) else { return -1 }
    return state(number)
  }
}

// MARK: settings

/// The settings of `sqlite3_db_config` from 1002 on: whether each is on. None can be switched; foreign keys (the first) are not
/// enforced.
private let settingsOn: [Bool] = [
  false, true, false, false, false, false, false, false, false, false, false, true, true, true, false, true, false,
  false, true, true, true,
]

/// The Swift half of `sqlite3_db_config`. A negative value only asks.
@_cdecl("apus_db_config")
public func apus_db_config(
  _ database: UnsafeMutableRawPointer?, _ verb: CInt, _ value: CInt, _ result: UnsafeMutablePointer<CInt>?
) -> CInt {
  unsafe withDatabase(database.map { OpaquePointer($0) }) { handle, _ in
    // SQLITE_DBCONFIG_LOOKASIDE: there is none whose size could be set.
    if verb == 1001 { return ResultCode.ok.rawValue }
    let setting = Int(verb) - 1002
    guard setting >= 0, setting < settingsOn.count else {
      return handle.fail(.error, "not supported: sqlite3_db_config(\(verb))")
    }
    let isOn = settingsOn[setting]
    if value >= 0, (value > 0) != isOn {
      return handle.fail(.error, "not supported: sqlite3_db_config(\(verb), \(value))")
    }
    unsafe result?.pointee = isOn ? 1 : 0
    return ResultCode.ok.rawValue
  }
}

@_cdecl("apus_config")
public func apus_config(_ verb: CInt) -> CInt {
  // The threading modes (1 to 3) are all served by the serialized one.
  verb >= 1 && verb <= 3 ? ResultCode.ok.rawValue : ResultCode.error.rawValue
}

/// Limits are SQLite's defaults and cannot be changed: the answer is the limit in force.
@_cdecl("sqlite3_limit")
public func sqlite3_limit(_ database: OpaquePointer?, _ limit: CInt, _ value: CInt) -> CInt {
  let limits: [CInt] = [1_000_000_000, 1_000_000_000, 2_000, 1_000, 500, 250_000_000, 1_000, 10, 50_000, 32_766, 1_000, 0]
  guard limit >= 0, Int(limit) < limits.count else { return -1 }
  return limits[Int(limit)]
}
