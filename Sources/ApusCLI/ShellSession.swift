// The shell's view of the engine: one connection, its statements, and failures as the shell reports them.
// `unsafe` lives here: a text of ours is handed to the engine as a view while a call lasts.

import Apus
import ApusBase
import ApusIO

struct ShellFailure: Error {
  /// SQLite's primary result code.
  var code: Int
  var message: String
  /// Byte offset of the offending token in the statement.
  var offset: Int?
  var cause: String?
  var hint: String?

  init(_ error: EngineError) {
    code = Int(error.code.primary.rawValue)
    message = error.message
    offset = error.sqlOffset
    cause = [error.object, error.cause].compactMap(\.self).joined(separator: ": ")
    if cause?.isEmpty == true { cause = nil }
    hint = error.hint
  }
}

final class Session {
  private let connection: Connection

  init(path: String, readOnly: Bool) throws(ShellFailure) {
    var options = Connection.Options()
    options.isReadOnly = readOnly
    do {
      connection = try Connection(path, options, environment: SystemEnvironment())
    } catch {
      throw ShellFailure(error)
    }
  }

  /// The first statement of `sql` from byte `start` on; nil where only blanks and comments are left.
  func prepare(_ sql: [UInt8], from start: Int) throws(ShellFailure) -> (statement: SessionStatement?, end: Int) {
    var result: Result<(statement: PreparedStatement?, end: Int), EngineError>?
    unsafe sql.withUnsafeBytes { buffer in
      let view = unsafe ByteView(unchecked: buffer).suffix(from: start)
      do throws(EngineError) {
        result = .success(try connection.prepareBlocking(view))
      } catch {
        result = .failure(error)
      }
    }
    switch result {
    case .success(let prepared)?: return (prepared.statement.map(SessionStatement.init), start + prepared.end)
    case .failure(let error)?: throw ShellFailure(error)
    case nil: return (nil, sql.count)
    }
  }

  var changes: Int64 { connection.changes }
  var totalChanges: Int64 { connection.totalChanges }
  /// Of the statement prepared last.
  var warnings: [String] { connection.warnings }

  // MARK: Backups

  func backup(_ name: String, toFile path: String, pagesPerStep: Int) throws(ShellFailure) {
    do throws(EngineError) {
      try run(try connection.makeBackup(of: name, toFile: path), pagesPerStep)
    } catch {
      throw ShellFailure(error)
    }
  }

  func restore(_ name: String, fromFile path: String, pagesPerStep: Int) throws(ShellFailure) {
    do throws(EngineError) {
      try run(try connection.makeRestore(of: name, fromFile: path), pagesPerStep)
    } catch {
      throw ShellFailure(error)
    }
  }

  private func run(_ backup: ConnectionBackup, _ pagesPerStep: Int) throws(EngineError) {
    backup.restartCountMax = ConnectionBackup.usualRestartCount
    do throws(EngineError) {
      while !(try connection.block({ () throws(Fault) in try backup.step(pages: pagesPerStep) })) {}
    } catch {
      try? connection.block { () throws(Fault) in try backup.finish() }
      throw error
    }
    try connection.block { () throws(Fault) in try backup.finish() }
  }

  func close() { try? connection.closeBlocking() }
}

final class SessionStatement {
  private let statement: PreparedStatement
  private var scratch = ByteBuffer()

  init(_ statement: PreparedStatement) { self.statement = statement }

  var columnCount: Int { statement.columnCount }

  func columnName(_ column: Int) -> String { statement.columns[column].name }

  func step() throws(ShellFailure) -> Bool {
    do {
      return try statement.stepBlocking()
    } catch {
      throw ShellFailure(error)
    }
  }

  func kind(_ column: Int) -> Value.Kind { statement.column(column).kind }

  /// The column as text: a blob's bytes as they are, a number as SQLite writes it, nothing for NULL.
  func text(_ column: Int) -> [UInt8] { view(column).array }

  /// The same without a copy: valid until the next call.
  func view(_ column: Int) -> ByteView {
    let value = statement.column(column)
    if value.hasBytes { return value.bytes }
    scratch.removeAll()
    value.appendText(to: &scratch)
    return scratch.bytes
  }

  func integer(_ column: Int) -> Int64 { statement.column(column).asInteger }
  func real(_ column: Int) -> Double { statement.column(column).asReal }
  func finish() { statement.finalize() }
}
