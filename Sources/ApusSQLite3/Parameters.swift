// Binding parameters. Source: https://sqlite.org/c3ref/bind_blob.html
//
// `unsafe`: this is the border to C.

import ApusBase
import Glibc

/// What a caller's text or blob may be as long as.
let textByteCountMax = 1_000_000_000

private func bind(_ statement: OpaquePointer?, _ index: CInt, _ value: Value) -> CInt {
  unsafe withStatement(statement, ResultCode.misuse.rawValue) { handle in
    // Between the first step and the reset the parameters belong to the run.
    if handle.isStarted { return handle.database.fail(.misuse) }
    do throws(EngineError) {
      try handle.statement.bind(value, at: Int(index))
      return handle.database.succeed()
    } catch {
      return handle.database.fail(error)
    }
  }
}

@_cdecl("sqlite3_bind_null")
public func sqlite3_bind_null(_ statement: OpaquePointer?, _ index: CInt) -> CInt {
  unsafe bind(statement, index, .null)
}

@_cdecl("sqlite3_bind_int64")
public func sqlite3_bind_int64(_ statement: OpaquePointer?, _ index: CInt, _ value: Int64) -> CInt {
  unsafe bind(statement, index, .integer(value))
}

@_cdecl("sqlite3_bind_int")
public func sqlite3_bind_int(_ statement: OpaquePointer?, _ index: CInt, _ value: CInt) -> CInt {
  unsafe bind(statement, index, .integer(Int64(value)))
}

@_cdecl("sqlite3_bind_double")
public func sqlite3_bind_double(_ statement: OpaquePointer?, _ index: CInt, _ value: Double) -> CInt {
  unsafe bind(statement, index, .real(value))
}

/// Calls the caller's destructor, unless it is SQLITE_STATIC (0) or SQLITE_TRANSIENT (-1): values are always copied.
func destroy(_ destructor: UnsafeRawPointer?, _ memory: UnsafeRawPointer?) {
  guard let destructor = unsafe destructor, Int(bitPattern: destructor) != -1 else { return }
  typealias Destructor = @convention(c) (UnsafeMutableRawPointer?) -> Void
  let call = unsafe unsafeBitCast(destructor, to: Destructor.self)
  unsafe call(UnsafeMutableRawPointer(mutating: memory))
}

@_cdecl("sqlite3_bind_text64")
public func sqlite3_bind_text64(
  _ statement: OpaquePointer?, _ index: CInt, _ text: UnsafePointer<CChar>?, _ byteCount: UInt64,
  _ destructor: UnsafeRawPointer?, _ encoding: UInt8
) -> CInt {
  guard let text = unsafe text else { return unsafe bind(statement, index, .null) }
  defer { unsafe destroy(destructor, UnsafeRawPointer(text)) }
  // SQLITE_UTF8, SQLITE_UTF8_ZT
  guard encoding == 1 || encoding == 16 else {
    return unsafe withStatement(statement, ResultCode.misuse.rawValue) {
      $0.database.fail(.error, "not supported: sqlite3_bind_text64 with UTF-16")
    }
  }
  guard byteCount <= UInt64(textByteCountMax) else { return unsafe failTooBig(statement) }
  return unsafe bind(statement, index, .text(ByteView(unchecked: UnsafeRawPointer(text), count: Int(byteCount))))
}

private func failTooBig(_ statement: OpaquePointer?) -> CInt {
  unsafe withStatement(statement, ResultCode.misuse.rawValue) { $0.database.fail(.tooBig) }
}

@_cdecl("sqlite3_bind_text")
public func sqlite3_bind_text(
  _ statement: OpaquePointer?, _ index: CInt, _ text: UnsafePointer<CChar>?, _ byteCount: CInt,
  _ destructor: UnsafeRawPointer?
) -> CInt {
  let length = unsafe text.map { unsafe byteCount < 0 ? strlen($0) : Int(byteCount) } ?? 0
  return unsafe sqlite3_bind_text64(statement, index, text, UInt64(length), destructor, 1)
}

@_cdecl("sqlite3_bind_blob64")
public func sqlite3_bind_blob64(
  _ statement: OpaquePointer?, _ index: CInt, _ blob: UnsafeRawPointer?, _ byteCount: UInt64,
  _ destructor: UnsafeRawPointer?
) -> CInt {
  guard let blob = unsafe blob else { return unsafe bind(statement, index, .null) }
  defer { unsafe destroy(destructor, blob) }
  guard byteCount <= UInt64(textByteCountMax) else { return unsafe failTooBig(statement) }
  return unsafe bind(statement, index, .blob(ByteView(unchecked: blob, count: Int(byteCount))))
}

@_cdecl("sqlite3_bind_blob")
public func sqlite3_bind_blob(
  _ statement: OpaquePointer?, _ index: CInt, _ blob: UnsafeRawPointer?, _ byteCount: CInt,
  _ destructor: UnsafeRawPointer?
) -> CInt {
  if byteCount < 0 { return ResultCode.misuse.rawValue }
  return unsafe sqlite3_bind_blob64(statement, index, blob, UInt64(byteCount), destructor)
}

@_cdecl("sqlite3_bind_zeroblob64")
public func sqlite3_bind_zeroblob64(_ statement: OpaquePointer?, _ index: CInt, _ byteCount: UInt64) -> CInt {
  guard byteCount <= UInt64(textByteCountMax) else { return unsafe failTooBig(statement) }
  var zeros = ByteBuffer(capacity: Int(byteCount))
  zeros.resize(to: Int(byteCount))
  zeros.mutableBytes.fill(0, Int(byteCount))
  return unsafe bind(statement, index, .blob(zeros.bytes))
}

@_cdecl("sqlite3_bind_zeroblob")
public func sqlite3_bind_zeroblob(_ statement: OpaquePointer?, _ index: CInt, _ byteCount: CInt) -> CInt {
  unsafe sqlite3_bind_zeroblob64(statement, index, UInt64(max(byteCount, 0)))
}

@_cdecl("sqlite3_bind_value")
public func sqlite3_bind_value(_ statement: OpaquePointer?, _ index: CInt, _ value: OpaquePointer?) -> CInt {
  unsafe bind(statement, index, cell(value)?.value ?? .null)
}

@_cdecl("sqlite3_bind_parameter_count")
public func sqlite3_bind_parameter_count(_ statement: OpaquePointer?) -> CInt {
  unsafe withStatement(statement, 0) { CInt($0.statement.parameterCount) }
}

@_cdecl("sqlite3_bind_parameter_name")
public func sqlite3_bind_parameter_name(_ statement: OpaquePointer?, _ index: CInt) -> UnsafePointer<CChar>? {
  unsafe withStatement(statement, nil) { unsafe $0.parameterName(index) }
}

@_cdecl("sqlite3_bind_parameter_index")
public func sqlite3_bind_parameter_index(_ statement: OpaquePointer?, _ name: UnsafePointer<CChar>?) -> CInt {
  guard let name = unsafe name else { return 0 }
  let text = unsafe String(cString: name)
  return unsafe withStatement(statement, 0) { CInt($0.statement.parameterIndex(text)) }
}

@_cdecl("sqlite3_clear_bindings")
public func sqlite3_clear_bindings(_ statement: OpaquePointer?) -> CInt {
  unsafe withStatement(statement, ResultCode.misuse.rawValue) { handle in
    handle.clearBindings()
    return ResultCode.ok.rawValue
  }
}
