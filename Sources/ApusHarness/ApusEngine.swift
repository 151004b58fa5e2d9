// Our own engine behind the tools' protocols.
// `unsafe` lives here: a text of ours is handed to the engine as a view while a call lasts.

import Apus
import ApusBase
import ApusIO

public final class ApusEngine: HarnessEngine {
  public var name: String { "Apus" }
  private let environment: any Environment

  public init(environment: any Environment = SystemEnvironment()) { self.environment = environment }

  public func open(_ path: String, readOnly: Bool) throws(EngineFailure) -> any HarnessConnection {
    try ApusConnection(path: path, readOnly: readOnly, environment: environment)
  }
}

extension EngineFailure {
  init(_ error: EngineError) {
    self.init(code: error.code.rawValue, message: error.message, offset: error.sqlOffset ?? -1)
  }
}

public final class ApusConnection: HarnessConnection {
  public let connection: Connection

  init(path: String, readOnly: Bool, environment: any Environment) throws(EngineFailure) {
    var options = Connection.Options()
    options.isReadOnly = readOnly
    do {
      connection = try Connection(path, options, environment: environment)
    } catch {
      throw EngineFailure(error)
    }
  }

  public func prepare(
    _ sql: [UInt8], from start: Int
  ) throws(EngineFailure) -> (statement: (any HarnessStatement)?, end: Int) {
    var prepared: PreparedStatement?
    var end = sql.count
    var failure: EngineError?
    unsafe sql.withUnsafeBytes { buffer in
      let view = unsafe ByteView(unchecked: buffer).suffix(from: start)
      do throws(EngineError) {
        let result = try connection.prepareBlocking(view)
        prepared = result.statement
        end = start + result.end
      } catch {
        failure = error
      }
    }
    if let failure { throw EngineFailure(failure) }
    guard let prepared else { return (nil, end) }
    return (ApusStatement(prepared), end)
  }

  public var changes: Int64 { connection.changes }
  public var totalChanges: Int64 { connection.totalChanges }
  public var lastInsertRowid: Int64 { connection.lastInsertRowid }
  public func backUp(to path: String) throws(EngineFailure) {
    do {
      let backup = try connection.makeBackup(toFile: path)
      while try connection.block({ () throws(Fault) in try backup.step(pages: .max) }) == false {}
      try connection.block { () throws(Fault) in try backup.finish() }
    } catch {
      throw EngineFailure(error)
    }
  }

  public func close() { try? connection.closeBlocking() }
}

public final class ApusStatement: HarnessStatement {
  public let statement: PreparedStatement

  init(_ statement: PreparedStatement) { self.statement = statement }

  public var columnCount: Int { statement.columnCount }

  public func columnName(_ column: Int) -> String { statement.columns[column].name }

  public func bind(_ value: HarnessValue, at index: Int) throws(EngineFailure) {
    func bind(_ value: Value) throws(EngineFailure) {
      do {
        try statement.bind(value, at: index)
      } catch {
        throw EngineFailure(error)
      }
    }
    switch value {
    case .null: try bind(.null)
    case .integer(let integer): try bind(.integer(integer))
    case .real(let bits): try bind(.real(Double(bitPattern: bits)))
    case .text(let bytes), .blob(let bytes):
      var failure: EngineFailure?
      unsafe bytes.withUnsafeBytes { buffer in
        let view = unsafe ByteView(unchecked: buffer)
        var isText = false
        if case .text = value { isText = true }
        do throws(EngineFailure) {
          try bind(isText ? .text(view) : .blob(view))
        } catch {
          failure = error
        }
      }
      if let failure { throw failure }
    }
  }

  public func bind(integer: Int64, at index: Int) throws(EngineFailure) {
    do {
      try statement.bind(.integer(integer), at: index)
    } catch {
      throw EngineFailure(error)
    }
  }

  public func step() throws(EngineFailure) -> Bool {
    do {
      return try statement.stepBlocking()
    } catch {
      throw EngineFailure(error)
    }
  }

  public func value(_ column: Int) -> HarnessValue {
    let value = statement.column(column)
    switch value.kind {
    case .null: return .null
    case .integer: return .integer(value.integerValue)
    case .real: return .real(value.realValue)
    case .text: return .text(value.bytes.array)
    case .blob: return .blob(value.bytes.array)
    }
  }

  public func integer(_ column: Int) -> Int64 { statement.column(column).asInteger }

  public func byteCount(_ column: Int) -> Int {
    let value = statement.column(column)
    return value.hasBytes ? value.bytes.count : 0
  }

  public func reset() { statement.reset() }
  public func finalize() { statement.finalize() }
}
