// Reading the current row. Numbers come straight from the engine; bytes are copied into the column's cell, whose memory
// stays where it is until the next step or reset. Source: https://sqlite.org/c3ref/column_blob.html
//
// `unsafe`: this is the border to C.

import Apus
import ApusBase
import ApusVM

@_cdecl("sqlite3_column_count")
public func sqlite3_column_count(_ statement: OpaquePointer?) -> CInt {
  unsafe withStatement(statement, 0) { CInt($0.columnCount) }
}

@_cdecl("sqlite3_data_count")
public func sqlite3_data_count(_ statement: OpaquePointer?) -> CInt {
  unsafe withStatement(statement, 0) { CInt($0.rowColumnCount) }
}

// MARK: what a column is

@_cdecl("sqlite3_column_name")
public func sqlite3_column_name(_ statement: OpaquePointer?, _ index: CInt) -> UnsafePointer<CChar>? {
  unsafe withStatement(statement, nil) { unsafe $0.name(index) }
}

private func origin(
  _ statement: OpaquePointer?, _ index: CInt, _ part: (ResultColumn) -> String?
) -> UnsafePointer<CChar>? {
  unsafe withStatement(statement, nil) { handle in
    guard let text = handle.column(index).flatMap(part) else { return nil }
    return unsafe handle.database.texts.pointer(text)
  }
}

@_cdecl("sqlite3_column_decltype")
public func sqlite3_column_decltype(_ statement: OpaquePointer?, _ index: CInt) -> UnsafePointer<CChar>? {
  unsafe origin(statement, index) { $0.declaredType }
}

@_cdecl("sqlite3_column_database_name")
public func sqlite3_column_database_name(_ statement: OpaquePointer?, _ index: CInt) -> UnsafePointer<CChar>? {
  unsafe origin(statement, index) { $0.databaseName }
}

@_cdecl("sqlite3_column_table_name")
public func sqlite3_column_table_name(_ statement: OpaquePointer?, _ index: CInt) -> UnsafePointer<CChar>? {
  unsafe origin(statement, index) { $0.tableName }
}

@_cdecl("sqlite3_column_origin_name")
public func sqlite3_column_origin_name(_ statement: OpaquePointer?, _ index: CInt) -> UnsafePointer<CChar>? {
  unsafe origin(statement, index) { $0.originName }
}

// MARK: values

@inline(__always)
private func value<R>(_ statement: OpaquePointer?, _ index: CInt, _ otherwise: R, _ body: (Value) -> R) -> R {
  unsafe withStatement(statement, otherwise) { handle in
    guard let value = handle.value(index) else {
      handle.database.fail(.range)
      return otherwise
    }
    return body(value)
  }
}

@inline(__always)
private func cell<R>(_ statement: OpaquePointer?, _ index: CInt, _ otherwise: R, _ body: (ColumnCell) -> R) -> R {
  unsafe withStatement(statement, otherwise) { handle in
    guard let cell = handle.cell(index) else {
      handle.database.fail(.range)
      return otherwise
    }
    return body(cell)
  }
}

@_cdecl("sqlite3_column_type")
public func sqlite3_column_type(_ statement: OpaquePointer?, _ index: CInt) -> CInt {
  unsafe value(statement, index, Value.Kind.null.code) { $0.kind.code }
}

@_cdecl("sqlite3_column_int64")
public func sqlite3_column_int64(_ statement: OpaquePointer?, _ index: CInt) -> Int64 {
  unsafe value(statement, index, 0) { $0.asInteger }
}

@_cdecl("sqlite3_column_int")
public func sqlite3_column_int(_ statement: OpaquePointer?, _ index: CInt) -> CInt {
  unsafe value(statement, index, 0) { CInt(truncatingIfNeeded: $0.asInteger) }
}

@_cdecl("sqlite3_column_double")
public func sqlite3_column_double(_ statement: OpaquePointer?, _ index: CInt) -> Double {
  unsafe value(statement, index, 0) { $0.asReal }
}

@_cdecl("sqlite3_column_text")
public func sqlite3_column_text(_ statement: OpaquePointer?, _ index: CInt) -> UnsafePointer<UInt8>? {
  unsafe cell(statement, index, nil) { unsafe $0.text() }
}

@_cdecl("sqlite3_column_blob")
public func sqlite3_column_blob(_ statement: OpaquePointer?, _ index: CInt) -> UnsafeRawPointer? {
  unsafe cell(statement, index, nil) { unsafe $0.blob() }
}

@_cdecl("sqlite3_column_bytes")
public func sqlite3_column_bytes(_ statement: OpaquePointer?, _ index: CInt) -> CInt {
  unsafe withStatement(statement, 0) { handle in
    guard let value = handle.value(index) else {
      handle.database.fail(.range)
      return 0
    }
    if value.hasBytes { return CInt(clamping: value.bytes.count) }
    return CInt(clamping: handle.cell(index)?.byteCount ?? 0)
  }
}

/// The cell itself: what it was converted to stays with the row, as with the column functions.
@_cdecl("sqlite3_column_value")
public func sqlite3_column_value(_ statement: OpaquePointer?, _ index: CInt) -> OpaquePointer? {
  unsafe cell(statement, index, nil) { unsafe OpaquePointer(Unmanaged.passUnretained($0).toOpaque()) }
}
