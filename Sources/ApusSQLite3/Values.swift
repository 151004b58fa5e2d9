// sqlite3_value_*. Source: https://sqlite.org/c3ref/value_blob.html
//
// `unsafe`: this is the border to C.

import ApusBase

func cell(_ value: OpaquePointer?) -> ColumnCell? {
  guard let value = unsafe value else { return nil }
  return unsafe Unmanaged<ColumnCell>.fromOpaque(UnsafeRawPointer(value)).takeUnretainedValue()
}

@_cdecl("sqlite3_value_type")
public func sqlite3_value_type(_ value: OpaquePointer?) -> CInt { unsafe cell(value)?.value.kind.code ?? 5 }

@_cdecl("sqlite3_value_numeric_type")
public func sqlite3_value_numeric_type(_ value: OpaquePointer?) -> CInt {
  guard let cell = unsafe cell(value) else { return 5 }
  return cell.value.asComparedNumber.kind.code
}

@_cdecl("sqlite3_value_int64")
public func sqlite3_value_int64(_ value: OpaquePointer?) -> Int64 { unsafe cell(value)?.value.asInteger ?? 0 }

@_cdecl("sqlite3_value_int")
public func sqlite3_value_int(_ value: OpaquePointer?) -> CInt {
  unsafe CInt(truncatingIfNeeded: sqlite3_value_int64(value))
}

@_cdecl("sqlite3_value_double")
public func sqlite3_value_double(_ value: OpaquePointer?) -> Double { unsafe cell(value)?.value.asReal ?? 0 }

@_cdecl("sqlite3_value_text")
public func sqlite3_value_text(_ value: OpaquePointer?) -> UnsafePointer<UInt8>? { unsafe cell(value)?.text() }

@_cdecl("sqlite3_value_blob")
public func sqlite3_value_blob(_ value: OpaquePointer?) -> UnsafeRawPointer? { unsafe cell(value)?.blob() }

@_cdecl("sqlite3_value_bytes")
public func sqlite3_value_bytes(_ value: OpaquePointer?) -> CInt {
  unsafe CInt(clamping: cell(value)?.byteCount ?? 0)
}

@_cdecl("sqlite3_value_dup")
public func sqlite3_value_dup(_ value: OpaquePointer?) -> OpaquePointer? {
  guard let original = unsafe cell(value) else { return nil }
  let copy = ColumnCell()
  copy.load(original.value, row: 0)
  return unsafe OpaquePointer(Unmanaged.passRetained(copy).toOpaque())
}

@_cdecl("sqlite3_value_free")
public func sqlite3_value_free(_ value: OpaquePointer?) {
  guard let value = unsafe value else { return }
  unsafe Unmanaged<ColumnCell>.fromOpaque(UnsafeRawPointer(value)).release()
}
