// What `sqlite3_stmt*` points to: a prepared statement, the memory behind the pointers that were given out for it, and
// the error that `sqlite3_reset` tells again.
//
// `unsafe`: this is the border to C. A handle's address is the C pointer; C owns one reference to it from prepare to
// finalize.

import Apus
import ApusBase
import ApusVM

@safe
final class StatementHandle {
  let statement: PreparedStatement
  /// Kept alive as long as one of its statements is.
  let database: DatabaseHandle
  // The list of the connection's statements.
  var older: StatementHandle?
  weak var newer: StatementHandle?

  /// Stepped since the last reset: nothing may be bound then.
  private(set) var isStarted = false
  /// Between a row and the end.
  private var isOnRow = false
  /// What the last step failed with.
  private(set) var failure: EngineError?
  /// The parameters were cleared while the statement was on a row: they are when it ends.
  private var clearsBindings = false
  /// For `sqlite3_stmt_status`.
  var runCount: CInt = 0
  var recompileCount: CInt = 0

  private var program: Program
  private(set) var columnCount: Int
  /// Columns of the current row; 0 where there is none.
  private(set) var rowColumnCount = 0
  /// Counts steps and resets: what a cell was loaded from.
  private var row: UInt64 = 1
  private var cells: [ColumnCell] = []
  // Texts that were asked for.
  private let sqlText = StableText()
  private var names: [StableText] = []
  private var parameterNames: [Int: StableText] = [:]

  init(_ statement: PreparedStatement, _ database: DatabaseHandle) {
    self.statement = statement
    self.database = database
    program = statement.program
    columnCount = statement.columnCount
  }

  // MARK: running

  /// - Returns: SQLITE_ROW, SQLITE_DONE or an error's code.
  func step() -> CInt {
    let isFirst = !isOnRow
    // A run that has ended starts over without a reset: what was cleared during it is gone now.
    if isFirst, clearsBindings { clearBindings() }
    row &+= 1
    rowColumnCount = 0
    isStarted = true
    do throws(EngineError) {
      let hasRow = try statement.stepBlocking()
      if isFirst { began() }
      if failure != nil { failure = nil }
      isOnRow = hasRow
      if hasRow {
        rowColumnCount = columnCount
        return database.succeed(.row)
      }
      // The statement may have been a DETACH.
      database.dropUnusedBuffers()
      return database.succeed(.done)
    } catch {
      noteProgram()
      isOnRow = false
      failure = error
      return database.fail(error)
    }
  }

  private func began() {
    runCount &+= 1
    noteProgram()
  }

  /// The schema may have changed before a run: the statement was compiled again then, also where the run has failed.
  private func noteProgram() {
    let current = statement.program
    if current === program { return }
    program = current
    recompileCount &+= 1
    columnCount = statement.columnCount
    names = []
    cells = []
  }

  /// Ends the run.
  /// - Returns: the code of the step that failed, once; else whether the end succeeded.
  func reset() -> CInt {
    row &+= 1
    rowColumnCount = 0
    isOnRow = false
    if !isStarted { return ResultCode.ok.rawValue }
    isStarted = false
    let told = failure
    failure = nil
    do throws(EngineError) {
      try statement.resetBlocking()
    } catch {
      if clearsBindings { clearBindings() }
      return database.fail(error)
    }
    if clearsBindings { clearBindings() }
    if let told { return database.fail(told) }
    return database.succeed()
  }

  /// The run that is under way keeps what it was started with.
  func clearBindings() {
    clearsBindings = isOnRow
    if !isOnRow { statement.clearBindings() }
  }

  // MARK: the row

  /// Column `index` of the current row where it lies in the engine; nil where there is none.
  @inline(__always)
  func value(_ index: CInt) -> Value? {
    guard UInt(bitPattern: Int(index)) < UInt(bitPattern: rowColumnCount) else { return nil }
    return statement.column(Int(index))
  }

  /// The cell of column `index` of the current row, with a copy of the value; nil where there is none.
  func cell(_ index: CInt) -> ColumnCell? {
    guard UInt(bitPattern: Int(index)) < UInt(bitPattern: rowColumnCount) else { return nil }
    while cells.count <= Int(index) { cells.append(ColumnCell()) }
    let cell = cells[Int(index)]
    if !cell.holds(row) { cell.load(statement.column(Int(index)), row: row) }
    return cell
  }

  // MARK: texts

  func name(_ index: CInt) -> UnsafePointer<CChar>? {
    guard let column = column(index) else { return nil }
    while names.count <= Int(index) { names.append(StableText()) }
    let text = names[Int(index)]
    if !text.isSet { text.set(column.name) }
    return unsafe text.current
  }

  /// What column `index` is; nil where there is none.
  func column(_ index: CInt) -> ResultColumn? {
    let columns = statement.columns
    guard index >= 0, Int(index) < min(columnCount, columns.count) else { return nil }
    return columns[Int(index)]
  }

  func sql() -> UnsafePointer<CChar>? {
    if !sqlText.isSet { statement.withText { sqlText.set($0) } }
    return unsafe sqlText.current
  }

  func parameterName(_ index: CInt) -> UnsafePointer<CChar>? {
    if let known = parameterNames[Int(index)] { return unsafe known.current }
    guard let name = statement.parameterName(Int(index)) else { return nil }
    let text = StableText()
    parameterNames[Int(index)] = text
    text.set(name)
    return unsafe text.current
  }

  // MARK: pointers

  var pointer: OpaquePointer { unsafe OpaquePointer(Unmanaged.passUnretained(self).toOpaque()) }

  @inline(__always)
  static func from(_ pointer: OpaquePointer?) -> StatementHandle? {
    guard let pointer = unsafe pointer else { return nil }
    return unsafe Unmanaged<StatementHandle>.fromOpaque(UnsafeRawPointer(pointer)).takeUnretainedValue()
  }
}

/// Runs `body` with the statement's connection locked.
@inline(__always)
func withStatement<R>(_ pointer: OpaquePointer?, _ otherwise: R, _ body: (StatementHandle) -> R) -> R {
  guard let handle = unsafe StatementHandle.from(pointer) else { return otherwise }
  return handle.database.locked { body(handle) }
}
