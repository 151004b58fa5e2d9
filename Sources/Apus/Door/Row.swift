// Rows on their way to the application: read in batches, decoded one by one.

import ApusBase
import ApusVM

/// Rows of one statement, copied out of the engine. Immutable once it is sealed.
final class RowBatch: Sendable {
  let columns: [ResultColumn]
  let rowCount: Int
  /// True where no row follows.
  let isLast: Bool
  // The values row by row; text and blobs lie in `bytes`.
  private let values: [Value]
  private let bytes: ByteBuffer

  fileprivate init(_ columns: [ResultColumn], _ rowCount: Int, isLast: Bool, _ values: [Value], _ bytes: consuming ByteBuffer) {
    self.columns = columns
    self.rowCount = rowCount
    self.isLast = isLast
    self.values = values
    self.bytes = bytes
  }

  func value(_ row: Int, _ column: Int) -> Value { values[row * columns.count + column] }
}

/// Collects the rows of a batch.
struct RowBatchBuilder: ~Copyable {
  private var columns: [ResultColumn]
  private(set) var rowCount = 0
  private var values: [Value] = []
  private var starts: [Int] = []
  private var bytes = ByteBuffer()

  init(_ columns: [ResultColumn]) { self.columns = columns }

  var byteCount: Int { bytes.count + values.count * 16 }

  mutating func append(_ statement: PreparedStatement) {
    // A statement whose tables have changed is compiled anew at its first step: only with a row its columns are certain.
    if rowCount == 0 { columns = statement.columns }
    for column in 0..<columns.count {
      let value = statement.column(column)
      starts.append(bytes.count)
      if value.hasBytes { bytes.append(value.bytes) }
      values.append(value)
    }
    rowCount += 1
  }

  consuming func seal(isLast: Bool) -> RowBatch {
    // Only now does the buffer stay where it is.
    for index in values.indices where values[index].hasBytes {
      values[index] = values[index].relocated(to: bytes.bytes.slice(starts[index], values[index].bytes.count))
    }
    return RowBatch(columns, rowCount, isLast: isLast, values, bytes)
  }
}

/// One row of a result, while it is read.
public struct Row: ~Copyable {
  let batch: RowBatch
  let index: Int

  init(_ batch: RowBatch, _ index: Int) {
    self.batch = batch
    self.index = index
  }

  public var columnCount: Int { batch.columns.count }
  public var columnNames: [String] { batch.columns.map(\.name) }

  /// Column `column`, counted from 0.
  /// - Throws: `ApusError` with the code `range` where there is no such column, `mismatch` where its value is no `T`.
  public subscript<T: ColumnDecodable>(_ column: Int) -> T {
    get throws(ApusError) { try decode(column) }
  }

  /// The first column of this name (ASCII case folded).
  public subscript<T: ColumnDecodable>(_ name: String) -> T {
    get throws(ApusError) {
      let names = batch.columns
      guard let column = names.firstIndex(where: { ExactText($0.name) == ExactText(name) })
        ?? names.firstIndex(where: { ExactText.folding($0.name) == ExactText.folding(name) })
      else {
        throw ApusError(
          .range, "column index out of range", object: "column \(name)",
          hint: "the result has the columns \(columnNames.joined(separator: ", "))")
      }
      return try decode(column)
    }
  }

  func decode<T: ColumnDecodable>(_ column: Int) throws(ApusError) -> T {
    guard column >= 0, column < batch.columns.count else {
      throw ApusError(
        .range, "column index out of range", object: "column \(column)", hint: "the result has \(columnCount) columns")
    }
    do {
      return try T(column: ColumnReader(batch.value(index, column)))
    } catch {
      var located = error
      located.object = "row value of column \(column), \(batch.columns[column].name)"
      throw located
    }
  }
}

/// A type that a whole row can be read as.
public protocol RowDecodable: Sendable {
  init(row: borrowing Row) throws(ApusError)
}
