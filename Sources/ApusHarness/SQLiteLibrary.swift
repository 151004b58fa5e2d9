// Real SQLite, loaded at run time, so that a tool can be pointed at any build of it and our own sqlite3_* never clash.
// `unsafe` lives here: pointers to C functions, and the handles that they return.

import Glibc

/// One loaded libsqlite3.
@safe
public final class SQLiteLibrary: HarnessEngine {
  typealias Handle = OpaquePointer
  typealias Text = UnsafePointer<CChar>

  let openV2: @convention(c) (Text?, UnsafeMutablePointer<Handle?>, Int32, Text?) -> Int32
  let closeV2: @convention(c) (Handle?) -> Int32
  let prepareV2:
    @convention(c) (Handle?, Text?, Int32, UnsafeMutablePointer<Handle?>, UnsafeMutablePointer<Text?>?) -> Int32
  let stepStatement: @convention(c) (Handle?) -> Int32
  let resetStatement: @convention(c) (Handle?) -> Int32
  let finalizeStatement: @convention(c) (Handle?) -> Int32
  let columnCount: @convention(c) (Handle?) -> Int32
  let columnName: @convention(c) (Handle?, Int32) -> Text?
  let columnType: @convention(c) (Handle?, Int32) -> Int32
  let columnInt64: @convention(c) (Handle?, Int32) -> Int64
  let columnDouble: @convention(c) (Handle?, Int32) -> Double
  let columnText: @convention(c) (Handle?, Int32) -> UnsafePointer<UInt8>?
  let columnBlob: @convention(c) (Handle?, Int32) -> UnsafeRawPointer?
  let columnBytes: @convention(c) (Handle?, Int32) -> Int32
  let bindInt64: @convention(c) (Handle?, Int32, Int64) -> Int32
  let bindDouble: @convention(c) (Handle?, Int32, Double) -> Int32
  let bindText: @convention(c) (Handle?, Int32, UnsafePointer<UInt8>?, Int32, OpaquePointer?) -> Int32
  let bindBlob: @convention(c) (Handle?, Int32, UnsafePointer<UInt8>?, Int32, OpaquePointer?) -> Int32
  let bindNull: @convention(c) (Handle?, Int32) -> Int32
  let changes: @convention(c) (Handle?) -> Int64
  let totalChanges: @convention(c) (Handle?) -> Int64
  let lastInsertRowid: @convention(c) (Handle?) -> Int64
  let errorMessage: @convention(c) (Handle?) -> Text?
  let extendedErrorCode: @convention(c) (Handle?) -> Int32
  let errorOffset: (@convention(c) (Handle?) -> Int32)?
  let backupInit: @convention(c) (Handle?, Text?, Handle?, Text?) -> Handle?
  let backupStep: @convention(c) (Handle?, Int32) -> Int32
  let backupFinish: @convention(c) (Handle?) -> Int32
  let allocate: @convention(c) (UInt64) -> UnsafeMutableRawPointer?
  let deserialize: @convention(c) (Handle?, Text?, UnsafeMutableRawPointer?, Int64, Int64, UInt32) -> Int32

  public let version: String
  public let compileOptions: [String]
  public let path: String
  public var name: String { "SQLite \(version)" }

  /// - Parameter path: a libsqlite3.so.0; nil for the system's.
  public init(path: String? = nil) throws(EngineFailure) {
    let path = path ?? "libsqlite3.so.0"
    self.path = path
    guard let library = unsafe dlopen(path, RTLD_NOW | RTLD_LOCAL) else {
      let reason = unsafe dlerror().map { unsafe String(cString: $0) } ?? "unknown reason"
      throw EngineFailure(code: 14, message: "cannot load \(path): \(reason)")
    }
    func optional<T>(_ name: String) -> T? {
      guard let address = unsafe dlsym(library, name) else { return nil }
      return unsafe unsafeBitCast(address, to: T.self)
    }
    func symbol<T>(_ name: String) throws(EngineFailure) -> T {
      guard let found: T = optional(name) else {
        throw EngineFailure(code: 14, message: "\(path) has no \(name)")
      }
      return found
    }
    unsafe openV2 = try symbol("sqlite3_open_v2")
    unsafe closeV2 = try symbol("sqlite3_close_v2")
    unsafe prepareV2 = try symbol("sqlite3_prepare_v2")
    unsafe stepStatement = try symbol("sqlite3_step")
    unsafe resetStatement = try symbol("sqlite3_reset")
    unsafe finalizeStatement = try symbol("sqlite3_finalize")
    unsafe columnCount = try symbol("sqlite3_column_count")
    unsafe columnName = try symbol("sqlite3_column_name")
    unsafe columnType = try symbol("sqlite3_column_type")
    unsafe columnInt64 = try symbol("sqlite3_column_int64")
    unsafe columnDouble = try symbol("sqlite3_column_double")
    unsafe columnText = try symbol("sqlite3_column_text")
    unsafe columnBlob = try symbol("sqlite3_column_blob")
    unsafe columnBytes = try symbol("sqlite3_column_bytes")
    unsafe bindInt64 = try symbol("sqlite3_bind_int64")
    unsafe bindDouble = try symbol("sqlite3_bind_double")
    unsafe bindText = try symbol("sqlite3_bind_text")
    unsafe bindBlob = try symbol("sqlite3_bind_blob")
    unsafe bindNull = try symbol("sqlite3_bind_null")
    unsafe changes = try symbol("sqlite3_changes64")
    unsafe totalChanges = try symbol("sqlite3_total_changes64")
    unsafe lastInsertRowid = try symbol("sqlite3_last_insert_rowid")
    unsafe errorMessage = try symbol("sqlite3_errmsg")
    unsafe extendedErrorCode = try symbol("sqlite3_extended_errcode")
    unsafe errorOffset = optional("sqlite3_error_offset")
    unsafe backupInit = try symbol("sqlite3_backup_init")
    unsafe backupStep = try symbol("sqlite3_backup_step")
    unsafe backupFinish = try symbol("sqlite3_backup_finish")
    unsafe allocate = try symbol("sqlite3_malloc64")
    unsafe deserialize = try symbol("sqlite3_deserialize")
    let libversion: @convention(c) () -> Text? = unsafe try symbol("sqlite3_libversion")
    let option: @convention(c) (Int32) -> Text? = unsafe try symbol("sqlite3_compileoption_get")
    version = unsafe libversion().map { unsafe String(cString: $0) } ?? "?"
    var options: [String] = []
    while let text = unsafe option(Int32(options.count)) { unsafe options.append(String(cString: text)) }
    compileOptions = options
  }

  public func open(_ path: String, readOnly: Bool) throws(EngineFailure) -> any HarnessConnection {
    try SQLiteConnection(library: self, path: path, readOnly: readOnly)
  }

  /// Opens a database in memory that has the bytes of a file.
  /// - Throws: SQLITE_NOMEM; bytes that are no database fail at the first use.
  public func open(image bytes: [UInt8]) throws(EngineFailure) -> any HarnessConnection {
    let connection = try SQLiteConnection(library: self, path: ":memory:", readOnly: false)
    guard let copy = unsafe allocate(UInt64(bytes.count + 1)) else {
      throw EngineFailure(code: 7, message: "out of memory")
    }
    unsafe bytes.withUnsafeBytes {
      unsafe copy.copyMemory(from: $0.baseAddress ?? UnsafeRawPointer(copy), byteCount: bytes.count)
    }
    // SQLite owns the copy from here on (FREEONCLOSE), and may replace it (RESIZEABLE).
    let code = unsafe deserialize(connection.handle, "main", copy, Int64(bytes.count), Int64(bytes.count), 3)
    if code != 0 { throw connection.lastFailure(code) }
    return connection
  }
}

@safe
public final class SQLiteConnection: HarnessConnection {
  let library: SQLiteLibrary
  var handle: OpaquePointer?

  init(library: SQLiteLibrary, path: String, readOnly: Bool) throws(EngineFailure) {
    self.library = library
    unsafe handle = nil
    var opened: OpaquePointer?
    let code = unsafe library.openV2(path, &opened, readOnly ? 1 : 6, nil)
    unsafe handle = opened
    if code != 0 {
      let failure = lastFailure(code)
      close()
      throw failure
    }
  }

  deinit { close() }

  public func backUp(to path: String) throws(EngineFailure) {
    let target = try SQLiteConnection(library: library, path: path, readOnly: false)
    defer { target.close() }
    guard let backup = unsafe library.backupInit(target.handle, "main", handle, "main") else {
      throw target.lastFailure(1)
    }
    _ = unsafe library.backupStep(backup, -1)
    let code = unsafe library.backupFinish(backup)
    if code != 0 { throw target.lastFailure(code) }
  }

  func lastFailure(_ code: Int32) -> EngineFailure {
    guard let handle = unsafe handle else { return EngineFailure(code: code, message: "out of memory") }
    return unsafe EngineFailure(
      code: library.extendedErrorCode(handle),
      message: library.errorMessage(handle).map { unsafe String(cString: $0) } ?? "",
      offset: Int(library.errorOffset?(handle) ?? -1))
  }

  public func prepare(
    _ sql: [UInt8], from start: Int
  ) throws(EngineFailure) -> (statement: (any HarnessStatement)?, end: Int) {
    var statement: OpaquePointer?
    var consumed = 0
    var code: Int32 = 0
    unsafe sql.withUnsafeBufferPointer { buffer in
      guard let base = buffer.baseAddress else { return }
      unsafe base.withMemoryRebound(to: CChar.self, capacity: buffer.count) { text in
        var tail: UnsafePointer<CChar>?
        code = unsafe library.prepareV2(handle, text + start, Int32(buffer.count - start), &statement, &tail)
        consumed = unsafe tail.map { unsafe $0 - text } ?? buffer.count
      }
    }
    if code != 0 { throw lastFailure(code) }
    guard let statement = unsafe statement else { return (nil, consumed) }
    return unsafe (SQLiteStatement(connection: self, handle: statement), consumed)
  }

  public var changes: Int64 { unsafe library.changes(handle) }
  public var totalChanges: Int64 { unsafe library.totalChanges(handle) }
  public var lastInsertRowid: Int64 { unsafe library.lastInsertRowid(handle) }

  public func close() {
    guard let open = unsafe handle else { return }
    _ = unsafe library.closeV2(open)
    unsafe handle = nil
  }
}

@safe
public final class SQLiteStatement: HarnessStatement {
  private let connection: SQLiteConnection
  private let library: SQLiteLibrary
  private var handle: OpaquePointer?

  init(connection: SQLiteConnection, handle: OpaquePointer) {
    self.connection = connection
    library = connection.library
    unsafe self.handle = unsafe handle
  }

  deinit { finalize() }

  public var columnCount: Int { unsafe Int(library.columnCount(handle)) }

  public func columnName(_ column: Int) -> String {
    unsafe library.columnName(handle, Int32(column)).map { unsafe String(cString: $0) } ?? ""
  }

  public func bind(_ value: HarnessValue, at index: Int) throws(EngineFailure) {
    let transient = unsafe OpaquePointer(bitPattern: -1)
    let code: Int32
    switch value {
    case .null: code = unsafe library.bindNull(handle, Int32(index))
    case .integer(let integer): code = unsafe library.bindInt64(handle, Int32(index), integer)
    case .real(let bits): code = unsafe library.bindDouble(handle, Int32(index), Double(bitPattern: bits))
    case .text(let bytes):
      code = unsafe bytes.withUnsafeBufferPointer { buffer in
        unsafe library.bindText(handle, Int32(index), buffer.baseAddress, Int32(buffer.count), transient)
      }
    case .blob(let bytes):
      code = unsafe bytes.withUnsafeBufferPointer { buffer in
        unsafe library.bindBlob(handle, Int32(index), buffer.baseAddress, Int32(buffer.count), transient)
      }
    }
    if code != 0 { throw connection.lastFailure(code) }
  }

  public func bind(integer: Int64, at index: Int) throws(EngineFailure) {
    let code = unsafe library.bindInt64(handle, Int32(index), integer)
    if code != 0 { throw connection.lastFailure(code) }
  }

  public func step() throws(EngineFailure) -> Bool {
    let code = unsafe library.stepStatement(handle)
    if code == 100 { return true }
    if code == 101 { return false }
    throw connection.lastFailure(code)
  }

  public func value(_ column: Int) -> HarnessValue {
    let column = Int32(column)
    switch unsafe library.columnType(handle, column) {
    case 1: return unsafe .integer(library.columnInt64(handle, column))
    case 2: return unsafe .real(library.columnDouble(handle, column))
    case 3:
      let base = unsafe library.columnText(handle, column)
      let count = unsafe Int(library.columnBytes(handle, column))
      return unsafe .text(Array(UnsafeBufferPointer(start: base, count: base == nil ? 0 : count)))
    case 4:
      let base = unsafe library.columnBlob(handle, column)
      let count = unsafe Int(library.columnBytes(handle, column))
      return unsafe .blob(Array(UnsafeRawBufferPointer(start: base, count: base == nil ? 0 : count)))
    default: return .null
    }
  }

  public func integer(_ column: Int) -> Int64 { unsafe library.columnInt64(handle, Int32(column)) }

  public func byteCount(_ column: Int) -> Int { unsafe Int(library.columnBytes(handle, Int32(column))) }

  public func reset() { _ = unsafe library.resetStatement(handle) }

  public func finalize() {
    guard let open = unsafe handle else { return }
    _ = unsafe library.finalizeStatement(open)
    unsafe handle = nil
  }
}
