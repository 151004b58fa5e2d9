// Entry points that programs link against and that are not built yet: each fails with an error that names it, and does
// nothing. They are here so that a program loads which does not call them.
//
// `unsafe`: this is the border to C.

import Apus
import ApusBase
import ApusSQL

private func refuse(_ database: OpaquePointer?, _ name: String) -> CInt {
  unsafe withDatabase(database) { handle, _ in handle.fail(.error, "not supported: \(name)") }
}

/// The removal of a function that is not there is done already; one of the built-in ones cannot be removed.
private func refuseFunction(
  _ database: OpaquePointer?, _ name: UnsafePointer<CChar>?, isRemoval: Bool, _ caller: String
) -> CInt {
  guard isRemoval, let name = unsafe name else { return unsafe refuse(database, caller) }
  let text = unsafe String(cString: name)
  return unsafe withDatabase(database) { handle, connection in
    connection.functions.isKnown(text) ? handle.fail(.error, "not supported: \(caller)") : handle.succeed()
  }
}

@_cdecl("sqlite3_create_function")
public func sqlite3_create_function(
  _ database: OpaquePointer?, _ name: UnsafePointer<CChar>?, _ count: CInt, _ encoding: CInt,
  _ argument: UnsafeMutableRawPointer?, _ function: UnsafeRawPointer?, _ step: UnsafeRawPointer?,
  _ final: UnsafeRawPointer?
) -> CInt {
  let isRemoval = unsafe function == nil && step == nil && final == nil
  return unsafe refuseFunction(database, name, isRemoval: isRemoval, "sqlite3_create_function")
}

@_cdecl("sqlite3_create_function_v2")
public func sqlite3_create_function_v2(
  _ database: OpaquePointer?, _ name: UnsafePointer<CChar>?, _ count: CInt, _ encoding: CInt,
  _ argument: UnsafeMutableRawPointer?, _ function: UnsafeRawPointer?, _ step: UnsafeRawPointer?,
  _ final: UnsafeRawPointer?, _ destructor: UnsafeRawPointer?
) -> CInt {
  unsafe destroy(destructor, UnsafeRawPointer(argument))
  let isRemoval = unsafe function == nil && step == nil && final == nil
  return unsafe refuseFunction(database, name, isRemoval: isRemoval, "sqlite3_create_function_v2")
}

@_cdecl("sqlite3_create_window_function")
public func sqlite3_create_window_function(
  _ database: OpaquePointer?, _ name: UnsafePointer<CChar>?, _ count: CInt, _ encoding: CInt,
  _ argument: UnsafeMutableRawPointer?, _ step: UnsafeRawPointer?, _ final: UnsafeRawPointer?,
  _ value: UnsafeRawPointer?, _ inverse: UnsafeRawPointer?, _ destructor: UnsafeRawPointer?
) -> CInt {
  unsafe destroy(destructor, UnsafeRawPointer(argument))
  let isRemoval = unsafe step == nil && final == nil && value == nil && inverse == nil
  return unsafe refuseFunction(database, name, isRemoval: isRemoval, "sqlite3_create_window_function")
}

/// The same for a collation. The built-in ones stay.
private func refuseCollation(
  _ database: OpaquePointer?, _ name: UnsafePointer<CChar>?, isRemoval: Bool, _ caller: String
) -> CInt {
  let key = unsafe name.map { unsafe Name.fold(String(cString: $0)) } ?? ""
  if !isRemoval || ["", "binary", "nocase", "rtrim"].contains(key) { return unsafe refuse(database, caller) }
  return unsafe withDatabase(database) { handle, _ in handle.succeed() }
}

@_cdecl("sqlite3_create_collation")
public func sqlite3_create_collation(
  _ database: OpaquePointer?, _ name: UnsafePointer<CChar>?, _ encoding: CInt, _ argument: UnsafeMutableRawPointer?,
  _ compare: UnsafeRawPointer?
) -> CInt { unsafe refuseCollation(database, name, isRemoval: compare == nil, "sqlite3_create_collation") }

/// Does not call the destructor on failure, as SQLite's does not.
@_cdecl("sqlite3_create_collation_v2")
public func sqlite3_create_collation_v2(
  _ database: OpaquePointer?, _ name: UnsafePointer<CChar>?, _ encoding: CInt, _ argument: UnsafeMutableRawPointer?,
  _ compare: UnsafeRawPointer?, _ destructor: UnsafeRawPointer?
) -> CInt {
  let isRemoval = unsafe compare == nil
  if isRemoval { unsafe destroy(destructor, UnsafeRawPointer(argument)) }
  return unsafe refuseCollation(database, name, isRemoval: isRemoval, "sqlite3_create_collation_v2")
}

@_cdecl("sqlite3_set_authorizer")
public func sqlite3_set_authorizer(
  _ database: OpaquePointer?, _ callback: UnsafeRawPointer?, _ argument: UnsafeMutableRawPointer?
) -> CInt {
  // Taking none away from none is done already.
  unsafe callback == nil ? ResultCode.ok.rawValue : refuse(database, "sqlite3_set_authorizer")
}

@_cdecl("sqlite3_trace_v2")
public func sqlite3_trace_v2(
  _ database: OpaquePointer?, _ mask: UInt32, _ callback: UnsafeRawPointer?, _ argument: UnsafeMutableRawPointer?
) -> CInt {
  unsafe callback == nil || mask == 0 ? ResultCode.ok.rawValue : refuse(database, "sqlite3_trace_v2")
}

/// Has no result to fail with: an error is left on the connection.
@_cdecl("sqlite3_progress_handler")
public func sqlite3_progress_handler(
  _ database: OpaquePointer?, _ steps: CInt, _ callback: UnsafeRawPointer?, _ argument: UnsafeMutableRawPointer?
) {
  if unsafe callback != nil { _ = unsafe refuse(database, "sqlite3_progress_handler") }
}

@_cdecl("sqlite3_enable_load_extension")
public func sqlite3_enable_load_extension(_ database: OpaquePointer?, _ isOn: CInt) -> CInt {
  isOn == 0 ? ResultCode.ok.rawValue : unsafe refuse(database, "sqlite3_enable_load_extension")
}

@_cdecl("sqlite3_load_extension")
public func sqlite3_load_extension(
  _ database: OpaquePointer?, _ file: UnsafePointer<CChar>?, _ entry: UnsafePointer<CChar>?,
  _ message: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?
) -> CInt {
  unsafe message?.pointee = copyToC("not supported: sqlite3_load_extension")
  return unsafe refuse(database, "sqlite3_load_extension")
}

@_cdecl("sqlite3_blob_open")
public func sqlite3_blob_open(
  _ database: OpaquePointer?, _ schema: UnsafePointer<CChar>?, _ table: UnsafePointer<CChar>?,
  _ column: UnsafePointer<CChar>?, _ rowid: Int64, _ flags: CInt, _ result: UnsafeMutablePointer<OpaquePointer?>?
) -> CInt {
  unsafe result?.pointee = nil
  return unsafe refuse(database, "sqlite3_blob_open")
}

@_cdecl("sqlite3_blob_reopen")
public func sqlite3_blob_reopen(_ blob: OpaquePointer?, _ rowid: Int64) -> CInt { ResultCode.misuse.rawValue }

@_cdecl("sqlite3_blob_close")
public func sqlite3_blob_close(_ blob: OpaquePointer?) -> CInt { ResultCode.ok.rawValue }

@_cdecl("sqlite3_blob_bytes")
public func sqlite3_blob_bytes(_ blob: OpaquePointer?) -> CInt { 0 }

@_cdecl("sqlite3_blob_read")
public func sqlite3_blob_read(
  _ blob: OpaquePointer?, _ buffer: UnsafeMutableRawPointer?, _ count: CInt, _ offset: CInt
) -> CInt { ResultCode.misuse.rawValue }

@_cdecl("sqlite3_blob_write")
public func sqlite3_blob_write(
  _ blob: OpaquePointer?, _ buffer: UnsafeRawPointer?, _ count: CInt, _ offset: CInt
) -> CInt { ResultCode.misuse.rawValue }

// What a function or a collation would be called with; without functions nobody calls them.

@_cdecl("sqlite3_user_data")
public func sqlite3_user_data(_ context: OpaquePointer?) -> UnsafeMutableRawPointer? { nil }

@_cdecl("sqlite3_aggregate_context")
public func sqlite3_aggregate_context(_ context: OpaquePointer?, _ size: CInt) -> UnsafeMutableRawPointer? { nil }

@_cdecl("sqlite3_context_db_handle")
public func sqlite3_context_db_handle(_ context: OpaquePointer?) -> OpaquePointer? { nil }

@_cdecl("sqlite3_result_blob")
public func sqlite3_result_blob(
  _ context: OpaquePointer?, _ blob: UnsafeRawPointer?, _ count: CInt, _ destructor: UnsafeRawPointer?
) {}

@_cdecl("sqlite3_result_blob64")
public func sqlite3_result_blob64(
  _ context: OpaquePointer?, _ blob: UnsafeRawPointer?, _ count: UInt64, _ destructor: UnsafeRawPointer?
) {}

@_cdecl("sqlite3_result_double")
public func sqlite3_result_double(_ context: OpaquePointer?, _ value: Double) {}

@_cdecl("sqlite3_result_error")
public func sqlite3_result_error(_ context: OpaquePointer?, _ message: UnsafePointer<CChar>?, _ count: CInt) {}

@_cdecl("sqlite3_result_error_code")
public func sqlite3_result_error_code(_ context: OpaquePointer?, _ code: CInt) {}

@_cdecl("sqlite3_result_error_nomem")
public func sqlite3_result_error_nomem(_ context: OpaquePointer?) {}

@_cdecl("sqlite3_result_error_toobig")
public func sqlite3_result_error_toobig(_ context: OpaquePointer?) {}

@_cdecl("sqlite3_result_int")
public func sqlite3_result_int(_ context: OpaquePointer?, _ value: CInt) {}

@_cdecl("sqlite3_result_int64")
public func sqlite3_result_int64(_ context: OpaquePointer?, _ value: Int64) {}

@_cdecl("sqlite3_result_null")
public func sqlite3_result_null(_ context: OpaquePointer?) {}

@_cdecl("sqlite3_result_subtype")
public func sqlite3_result_subtype(_ context: OpaquePointer?, _ subtype: CUnsignedInt) {}

@_cdecl("sqlite3_result_text")
public func sqlite3_result_text(
  _ context: OpaquePointer?, _ text: UnsafePointer<CChar>?, _ count: CInt, _ destructor: UnsafeRawPointer?
) {}

@_cdecl("sqlite3_result_text64")
public func sqlite3_result_text64(
  _ context: OpaquePointer?, _ text: UnsafePointer<CChar>?, _ count: UInt64, _ destructor: UnsafeRawPointer?,
  _ encoding: UInt8
) {}

@_cdecl("sqlite3_result_value")
public func sqlite3_result_value(_ context: OpaquePointer?, _ value: OpaquePointer?) {}

@_cdecl("sqlite3_result_zeroblob")
public func sqlite3_result_zeroblob(_ context: OpaquePointer?, _ count: CInt) {}

@_cdecl("sqlite3_result_zeroblob64")
public func sqlite3_result_zeroblob64(_ context: OpaquePointer?, _ count: UInt64) -> CInt { ResultCode.misuse.rawValue }
