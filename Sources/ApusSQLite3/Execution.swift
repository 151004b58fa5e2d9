// sqlite3_exec, sqlite3_get_table, sqlite3_table_column_metadata.
//
// `unsafe`: this is the border to C.

import Apus
import ApusBase
import Glibc

typealias CText = UnsafeMutablePointer<CChar>
typealias ExecCallback =
  @convention(c) (
    UnsafeMutableRawPointer?, CInt, UnsafeMutablePointer<CText?>?, UnsafeMutablePointer<CText?>?
  ) -> CInt

/// Runs all statements of a text and shows each row to `row`.
/// - Returns: the result code; SQLITE_ABORT where `row` returns something else than 0.
private func execute(
  _ handle: DatabaseHandle, _ connection: Connection, _ sql: UnsafePointer<CChar>?, row: (StatementHandle) -> CInt
) -> CInt {
  guard let sql = unsafe sql else { return handle.succeed() }
  let length = unsafe strlen(sql)
  if length > textByteCountMax { return handle.fail(.tooBig, "statement too long") }
  let text = unsafe ByteView(unchecked: UnsafeRawPointer(sql), count: length)
  var start = 0
  while start < text.count {
    let current: StatementHandle
    do throws(EngineError) {
      let prepared = try connection.prepareBlocking(text, from: start)
      guard let statement = prepared.statement else { break }
      start = prepared.end
      current = StatementHandle(statement, handle)
    } catch {
      return handle.fail(error)
    }
    // Programs see it in `sqlite3_next_stmt` while a callback runs, and closing the connection fails.
    handle.add(current)
    defer {
      current.statement.finalize()
      handle.remove(current)
    }
    while current.step() == ResultCode.row.rawValue {
      if row(current) != 0 {
        _ = current.reset()
        return handle.fail(.abort)
      }
    }
    let code = current.reset()
    if code != ResultCode.ok.rawValue { return code }
  }
  return handle.succeed()
}

/// The text of a column as C programs get it, in the statement's memory.
private func cText(_ current: StatementHandle, _ index: Int) -> CText? {
  guard let text = unsafe current.cell(CInt(index))?.text() else { return nil }
  return unsafe UnsafeMutableRawPointer(mutating: text).assumingMemoryBound(to: CChar.self)
}

private func cName(_ current: StatementHandle, _ index: Int) -> CText? {
  unsafe current.name(CInt(index)).map { unsafe CText(mutating: $0) }
}

@_cdecl("sqlite3_exec")
public func sqlite3_exec(
  _ database: OpaquePointer?, _ sql: UnsafePointer<CChar>?,
  _ callback: (
    @convention(c) (
      UnsafeMutableRawPointer?, CInt, UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?,
      UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?
    ) -> CInt
  )?, _ argument: UnsafeMutableRawPointer?,
  _ message: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?
) -> CInt {
  unsafe message?.pointee = nil
  return unsafe withDatabase(database) { handle, connection in
    let code = unsafe execute(handle, connection, sql) { current in
      guard let callback = unsafe callback else { return 0 }
      return unsafe call(callback, argument, current)
    }
    if code != ResultCode.ok.rawValue { unsafe message?.pointee = copyToC(handle.messageString) }
    return code
  }
}

/// Hands the current row to a C callback: two arrays of C strings, NULL for NULL and behind the last one.
private func call(_ callback: ExecCallback, _ argument: UnsafeMutableRawPointer?, _ current: StatementHandle) -> CInt {
  let count = current.columnCount
  var texts: [CText?] = unsafe []
  unsafe texts.reserveCapacity(2 * (count + 1))
  for index in 0..<count { unsafe texts.append(cText(current, index)) }
  unsafe texts.append(nil)
  for index in 0..<count { unsafe texts.append(cName(current, index)) }
  unsafe texts.append(nil)
  return unsafe texts.withUnsafeMutableBufferPointer { buffer in
    guard let base = buffer.baseAddress else { return unsafe callback(argument, 0, nil, nil) }
    return unsafe callback(argument, CInt(count), base, base + count + 1)
  }
}

/// A copy of a C string in memory of `sqlite3_malloc`.
private func copied(_ text: CText?) -> CText? {
  guard let text = unsafe text else { return nil }
  let count = unsafe strlen(text) + 1
  guard let copy = unsafe sqlite3_malloc64(UInt64(count)) else { return nil }
  unsafe memcpy(copy, text, count)
  return unsafe copy.assumingMemoryBound(to: CChar.self)
}

/// The table is one block of pointers; in front of what the caller gets stands their number.
@_cdecl("sqlite3_get_table")
public func sqlite3_get_table(
  _ database: OpaquePointer?, _ sql: UnsafePointer<CChar>?,
  _ result: UnsafeMutablePointer<UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?>?,
  _ rowCount: UnsafeMutablePointer<CInt>?, _ columnCount: UnsafeMutablePointer<CInt>?,
  _ message: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?
) -> CInt {
  guard let result = unsafe result else { return ResultCode.misuse.rawValue }
  unsafe result.pointee = nil
  unsafe message?.pointee = nil
  unsafe rowCount?.pointee = 0
  unsafe columnCount?.pointee = 0
  return unsafe withDatabase(database) { handle, connection in
    var cells: [CText?] = unsafe []
    var width = 0
    var rows = 0
    var isUneven = false
    var code = unsafe execute(handle, connection, sql) { current in
      let count = current.columnCount
      if rows == 0 {
        width = count
        for index in 0..<count { unsafe cells.append(copied(cName(current, index))) }
      } else if count != width {
        isUneven = true
        return 1
      }
      for index in 0..<count { unsafe cells.append(copied(cText(current, index))) }
      rows += 1
      return 0
    }
    if isUneven {
      code = handle.fail(.error, "sqlite3_get_table() called with two or more incompatible queries")
    }
    let count = unsafe cells.count
    var block: UnsafeMutableRawPointer?
    if code == ResultCode.ok.rawValue {
      unsafe block = sqlite3_malloc64(UInt64((count + 1) * MemoryLayout<CText?>.stride))
      if unsafe block == nil { code = handle.fail(.noMemory) }
    }
    guard let block = unsafe block else {
      for index in 0..<count { unsafe sqlite3_free(cells[index]) }
      unsafe message?.pointee = copyToC(handle.messageString)
      return code
    }
    let table = unsafe block.bindMemory(to: CText?.self, capacity: count + 1)
    unsafe table.initialize(to: CText(bitPattern: count))
    for index in 0..<count { unsafe (table + index + 1).initialize(to: cells[index]) }
    unsafe result.pointee = table + 1
    unsafe rowCount?.pointee = CInt(clamping: rows)
    unsafe columnCount?.pointee = CInt(clamping: width)
    return code
  }
}

@_cdecl("sqlite3_free_table")
public func sqlite3_free_table(_ table: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?) {
  guard let table = unsafe table else { return }
  let start = unsafe table - 1
  let count = unsafe Int(bitPattern: start.pointee)
  for place in 0..<count { unsafe sqlite3_free(table[place]) }
  unsafe sqlite3_free(start)
}

@_cdecl("sqlite3_table_column_metadata")
public func sqlite3_table_column_metadata(
  _ database: OpaquePointer?, _ schema: UnsafePointer<CChar>?, _ table: UnsafePointer<CChar>?,
  _ column: UnsafePointer<CChar>?, _ type: UnsafeMutablePointer<UnsafePointer<CChar>?>?,
  _ collation: UnsafeMutablePointer<UnsafePointer<CChar>?>?, _ isNotNull: UnsafeMutablePointer<CInt>?,
  _ isPrimaryKey: UnsafeMutablePointer<CInt>?, _ isAutoincrement: UnsafeMutablePointer<CInt>?
) -> CInt {
  unsafe type?.pointee = nil
  unsafe collation?.pointee = nil
  unsafe isNotNull?.pointee = 0
  unsafe isPrimaryKey?.pointee = 0
  unsafe isAutoincrement?.pointee = 0
  guard let table = unsafe table else { return ResultCode.misuse.rawValue }
  let schemaName = unsafe schema.map { unsafe String(cString: $0) }
  let tableName = unsafe String(cString: table)
  let columnName = unsafe column.map { unsafe String(cString: $0) }
  return unsafe withDatabase(database) { handle, connection in
    do throws(EngineError) {
      let found = try connection.block { () throws(Fault) in
        try connection.columnMetadata(schema: schemaName, table: tableName, column: columnName)
      }
      guard let found else {
        let name = columnName.map { "\(tableName).\($0)" } ?? tableName
        return handle.fail(.error, "no such table column: \(name)")
      }
      unsafe type?.pointee = found.declaredType.flatMap { unsafe handle.texts.pointer($0) }
      unsafe collation?.pointee = handle.texts.pointer(found.collation)
      unsafe isNotNull?.pointee = found.isNotNull ? 1 : 0
      unsafe isPrimaryKey?.pointee = found.isPrimaryKey ? 1 : 0
      unsafe isAutoincrement?.pointee = found.isAutoincrement ? 1 : 0
      return handle.succeed()
    } catch {
      return handle.fail(error)
    }
  }
}
