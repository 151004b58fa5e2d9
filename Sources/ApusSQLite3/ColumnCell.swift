// A value as C sees it: what `sqlite3_value*` points to, and the memory behind the pointers of the column functions.
// A cell is made once per column and its memory is used again for each row.
// Source: https://sqlite.org/c3ref/column_blob.html
//
// `unsafe`: it gives out addresses of its buffer, which stay until the cell is loaded again.

import ApusBase

@safe
final class ColumnCell {
  private(set) var value = Value.null
  /// The row that it was loaded from; no row is 0.
  private var row: UInt64 = 0
  // The value's bytes or its text, and a NUL behind them.
  private var buffer = ByteBuffer()
  private var hasText = false

  func holds(_ row: UInt64) -> Bool { self.row == row }

  /// Takes a copy of `source`, a value of row `row`.
  func load(_ source: Value, row: UInt64) {
    self.row = row
    value = source
    hasText = source.hasBytes
    guard source.hasBytes else { return }
    let count = source.bytes.count
    buffer.removeAll()
    buffer.reserve(count + 1)
    buffer.append(source.bytes)
    buffer.append(0)
    value = source.relocated(to: buffer.bytes.slice(0, count))
  }

  /// The bytes of text or blob, the text of a number; nil for NULL and for no bytes.
  func blob() -> UnsafeRawPointer? {
    guard let text = unsafe text(), byteCount > 0 else { return nil }
    return unsafe UnsafeRawPointer(text)
  }

  /// The same with a NUL behind it; nil for NULL only.
  func text() -> UnsafePointer<UInt8>? {
    if value.kind == .null { return nil }
    makeText()
    return unsafe buffer.bytes.unsafeBase.assumingMemoryBound(to: UInt8.self)
  }

  var byteCount: Int {
    if value.kind == .null { return 0 }
    makeText()
    return buffer.count - 1
  }

  private func makeText() {
    if hasText { return }
    buffer.removeAll()
    value.appendText(to: &buffer)
    buffer.append(0)
    hasText = true
  }
}

extension Value.Kind {
  /// SQLITE_INTEGER, SQLITE_FLOAT, SQLITE_TEXT, SQLITE_BLOB, SQLITE_NULL.
  var code: CInt {
    switch self {
    case .integer: 1
    case .real: 2
    case .text: 3
    case .blob: 4
    case .null: 5
    }
  }
}
