// Opening and closing, errors. Source: https://sqlite.org/c3ref/open.html
//
// `unsafe`: this is the border to C.

import Apus
import ApusBase
import Glibc

private enum OpenFlag {
  static let readOnly: CInt = 0x1, create: CInt = 0x4, access: CInt = 0x7, uri: CInt = 0x40, memory: CInt = 0x80
  static let sharedCache: CInt = 0x20000, noFollow: CInt = 0x0100_0000, extendedCodes: CInt = 0x0200_0000
}

@_cdecl("sqlite3_open_v2")
public func sqlite3_open_v2(
  _ name: UnsafePointer<CChar>?, _ result: UnsafeMutablePointer<OpaquePointer?>?, _ flags: CInt,
  _ vfs: UnsafePointer<CChar>?
) -> CInt {
  guard let result = unsafe result else { return ResultCode.misuse.rawValue }
  let handle: DatabaseHandle
  var code = ResultCode.ok.rawValue
  let usesExtendedCodes = flags & OpenFlag.extendedCodes != 0
  do throws(EngineError) {
    handle = DatabaseHandle(
      try open(unsafe fileName(name), flags, vfs: unsafe vfs.map { unsafe String(cString: $0) }))
    handle.usesExtendedCodes = usesExtendedCodes
  } catch {
    // The caller asks this handle for the message, and closes it.
    handle = DatabaseHandle(nil)
    handle.usesExtendedCodes = usesExtendedCodes
    code = handle.fail(error)
  }
  if handle.connection != nil { openHandles.add(handle) }
  unsafe result.pointee = OpaquePointer(Unmanaged.passRetained(handle).toOpaque())
  return code
}

/// - Throws: SQLITE_CANTOPEN where the name is not UTF-8: a repaired name is another file's.
private func fileName(_ name: UnsafePointer<CChar>?) throws(EngineError) -> String {
  guard let name = unsafe name else { return "" }
  guard let text = unsafe String(validatingCString: name) else {
    throw EngineError(.cannotOpen, cause: "the name is not UTF-8")
  }
  return text
}

/// SQLITE_OPEN_NOFOLLOW: no part of the path may be a symbolic link.
private func refuseLinks(_ path: String) throws(EngineError) {
  let bytes = Array(path.utf8)
  for end in stride(from: 1, through: bytes.count, by: 1) where end == bytes.count || bytes[end] == UInt8(ascii: "/") {
    let part = String(decoding: bytes[..<end], as: UTF8.self)
    var status = stat()
    if unsafe lstat(part, &status) == 0, status.st_mode & S_IFMT == S_IFLNK {
      throw EngineError(.cannotOpenSymbolicLink, object: path, cause: "\(part) is a symbolic link")
    }
  }
}

private func open(_ name: String, _ flags: CInt, vfs: String?) throws(EngineError) -> Connection {
  // To read; to read and write; the same and create.
  guard [1, 2, 6].contains(flags & OpenFlag.access) else { throw EngineError(.misuse) }
  if let vfs, vfs != "unix" { throw EngineError(.error, "no such vfs: \(vfs)") }
  // Connections of one process share the page cache of a file anyway; those of a database in memory share nothing.
  if flags & OpenFlag.sharedCache != 0, flags & OpenFlag.memory != 0 || name == ":memory:" {
    throw EngineError(.error, "not supported: SQLITE_OPEN_SHAREDCACHE of a database in memory")
  }
  var options = Connection.Options()
  options.isReadOnly = flags & OpenFlag.readOnly != 0
  options.mayCreate = flags & OpenFlag.create != 0
  options.interpretsURI = flags & OpenFlag.uri != 0
  if flags & OpenFlag.noFollow != 0 { options.checkPath = refuseLinks }
  return try Connection(flags & OpenFlag.memory != 0 ? ":memory:" : name, options, environment: systemEnvironment)
}

@_cdecl("sqlite3_open")
public func sqlite3_open(_ name: UnsafePointer<CChar>?, _ result: UnsafeMutablePointer<OpaquePointer?>?) -> CInt {
  unsafe sqlite3_open_v2(name, result, 6, nil)
}

@_cdecl("sqlite3_close")
public func sqlite3_close(_ database: OpaquePointer?) -> CInt {
  guard let handle = unsafe DatabaseHandle.from(database) else { return ResultCode.ok.rawValue }
  let code = handle.locked { handle.close() }
  if code == ResultCode.ok.rawValue {
    openHandles.remove(handle)
    unsafe releaseHandle(database)
  }
  return code
}

@_cdecl("sqlite3_close_v2")
public func sqlite3_close_v2(_ database: OpaquePointer?) -> CInt {
  guard let handle = unsafe DatabaseHandle.from(database) else { return ResultCode.ok.rawValue }
  handle.locked {
    handle.isZombie = true
    openHandles.remove(handle)
    handle.closeIfUnused()
  }
  unsafe releaseHandle(database)
  return ResultCode.ok.rawValue
}

private func releaseHandle(_ database: OpaquePointer?) {
  guard let database = unsafe database else { return }
  unsafe Unmanaged<DatabaseHandle>.fromOpaque(UnsafeRawPointer(database)).release()
}

// MARK: errors

@_cdecl("sqlite3_errmsg")
public func sqlite3_errmsg(_ database: OpaquePointer?) -> UnsafePointer<CChar>? {
  guard let handle = unsafe DatabaseHandle.from(database) else { return unsafe sqlite3_errstr(ResultCode.noMemory.rawValue) }
  return unsafe handle.locked { unsafe handle.message }
}

@_cdecl("sqlite3_errcode")
public func sqlite3_errcode(_ database: OpaquePointer?) -> CInt {
  guard let handle = unsafe DatabaseHandle.from(database) else { return ResultCode.noMemory.rawValue }
  return handle.locked { handle.reportedCode }
}

@_cdecl("sqlite3_extended_errcode")
public func sqlite3_extended_errcode(_ database: OpaquePointer?) -> CInt {
  guard let handle = unsafe DatabaseHandle.from(database) else { return ResultCode.noMemory.rawValue }
  return handle.locked { handle.extendedCode }
}

@_cdecl("sqlite3_error_offset")
public func sqlite3_error_offset(_ database: OpaquePointer?) -> CInt {
  guard let handle = unsafe DatabaseHandle.from(database) else { return -1 }
  return handle.locked { handle.errorOffset }
}

@_cdecl("sqlite3_extended_result_codes")
public func sqlite3_extended_result_codes(_ database: OpaquePointer?, _ isOn: CInt) -> CInt {
  guard let handle = unsafe DatabaseHandle.from(database) else { return ResultCode.misuse.rawValue }
  handle.locked { handle.usesExtendedCodes = isOn != 0 }
  return ResultCode.ok.rawValue
}

@_cdecl("sqlite3_errstr")
public func sqlite3_errstr(_ code: CInt) -> UnsafePointer<CChar>? {
  unsafe permanentText(ResultCode(code).standardMessage)
}
