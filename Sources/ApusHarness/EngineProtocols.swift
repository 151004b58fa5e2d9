// What the tools ask of an engine, so that one runner, one comparison and one benchmark serve ours and SQLite alike.

/// One value of a result row or parameter. Two reals are equal where their bits are.
public enum HarnessValue: Hashable, Sendable, CustomStringConvertible {
  case null
  case integer(Int64)
  case real(UInt64)
  case text([UInt8])
  case blob([UInt8])

  public static func real(_ value: Double) -> HarnessValue { .real(value.bitPattern) }
  public static func text(_ value: String) -> HarnessValue { .text(Array(value.utf8)) }

  public var description: String {
    switch self {
    case .null: return "NULL"
    case .integer(let value): return "\(value)"
    case .real(let bits): return "\(Double(bitPattern: bits))"
    case .text(let bytes): return "'\(String(decoding: bytes, as: UTF8.self))'"
    case .blob(let bytes):
      let digits = Array("0123456789abcdef")
      return "x'" + String(bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }) + "'"
    }
  }
}

/// An engine's refusal: SQLite's extended result code and message.
public struct EngineFailure: Error, Hashable, CustomStringConvertible {
  public var code: Int32
  public var message: String
  /// Byte offset of the offending token in the statement's text; negative where it is not known.
  public var offset: Int

  public init(code: Int32, message: String, offset: Int = -1) {
    self.code = code
    self.message = message
    self.offset = offset
  }

  public var description: String { "\(message) (\(code))" }
  /// True for what our engine does not build yet and says so by name.
  public var isRefusal: Bool { message.hasPrefix("not supported") }
}

public protocol HarnessEngine: AnyObject {
  /// "apus 0.1" or "SQLite 3.40.1".
  var name: String { get }
  func open(_ path: String, readOnly: Bool) throws(EngineFailure) -> any HarnessConnection
}

public protocol HarnessConnection: AnyObject {
  /// Prepares the first statement of `sql` from byte `start` on.
  /// - Returns: the statement, nil where only spaces and comments are left, and where the next one starts.
  func prepare(_ sql: [UInt8], from start: Int) throws(EngineFailure) -> (statement: (any HarnessStatement)?, end: Int)
  var changes: Int64 { get }
  var totalChanges: Int64 { get }
  var lastInsertRowid: Int64 { get }
  /// Copies the main database into a file by the engine's online backup, in one step.
  func backUp(to path: String) throws(EngineFailure)
  func close()
}

/// A prepared statement. Columns and parameters count from 0 and 1, as in SQLite's API.
public protocol HarnessStatement: AnyObject {
  var columnCount: Int { get }
  func columnName(_ column: Int) -> String
  func bind(_ value: HarnessValue, at index: Int) throws(EngineFailure)
  func bind(integer: Int64, at index: Int) throws(EngineFailure)
  /// True with a row, false at the end.
  func step() throws(EngineFailure) -> Bool
  func value(_ column: Int) -> HarnessValue
  func integer(_ column: Int) -> Int64
  /// The number of bytes of the column as text or blob: touches the value without copying it.
  func byteCount(_ column: Int) -> Int
  func reset()
  func finalize()
}

extension HarnessConnection {
  public func prepare(_ sql: String) throws(EngineFailure) -> any HarnessStatement {
    guard let statement = try prepare(Array(sql.utf8), from: 0).statement else {
      throw EngineFailure(code: 21, message: "no statement in: \(sql)")
    }
    return statement
  }

  /// Runs every statement of `sql` to its end.
  public func execute(_ sql: String) throws(EngineFailure) {
    let bytes = Array(sql.utf8)
    var start = 0
    while start < bytes.count {
      let (statement, end) = try prepare(bytes, from: start)
      start = max(end, start + 1)
      guard let statement else { continue }
      defer { statement.finalize() }
      while try statement.step() {}
    }
  }

  /// The column names and all rows of one statement.
  public func rows(_ sql: String) throws(EngineFailure) -> ResultTable {
    let statement = try prepare(sql)
    defer { statement.finalize() }
    var table = ResultTable(columns: (0..<statement.columnCount).map { statement.columnName($0) })
    while try statement.step() {
      table.rows.append((0..<statement.columnCount).map { statement.value($0) })
    }
    return table
  }
}

public struct ResultTable: Hashable, Sendable {
  public var columns: [String]
  public var rows: [[HarnessValue]] = []

  public init(columns: [String]) { self.columns = columns }
}
