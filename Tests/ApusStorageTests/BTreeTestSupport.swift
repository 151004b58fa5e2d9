// A b-tree in a memory pager beside a model of it, and real SQLite as the judge of the pages.

import ApusBase
import ApusIO
import CSQLite
import Testing

@testable import ApusStorage

/// Calls again as long as the call waits, as a driver does.
func settled<T>(_ body: () throws(Fault) -> T) throws -> T {
  while true {
    do {
      return try body()
    } catch {
      if case .wait = error { continue }
      throw error
    }
  }
}

/// A cursor that closures may use.
final class CursorBox {
  var cursor: BTreeCursor

  init(_ pager: Pager, _ root: PageNumber, _ key: KeyDescription? = nil, isWritable: Bool = true) {
    cursor = BTreeCursor(pager: pager, root: root, key: key, isWritable: isWritable)
  }
}

/// Values whose bytes the fixture owns.
@safe
final class OwnedValues {
  private let memory: UnsafeMutablePointer<Value>
  private var bytes: [UnsafeMutableRawPointer]
  let count: Int

  enum Part {
    case null
    case integer(Int64)
    case real(Double)
    case blob([UInt8])
    case text(String)
  }

  init(_ parts: [Part]) {
    count = parts.count
    unsafe bytes = []
    unsafe memory = UnsafeMutablePointer<Value>.allocate(capacity: max(parts.count, 1))
    for (index, part) in parts.enumerated() {
      let value: Value =
        switch part {
        case .null: .null
        case .integer(let number): .integer(number)
        case .real(let number): .real(number)
        case .blob(let content): .blob(store(content))
        case .text(let text): .text(store(Array(text.utf8)))
        }
      unsafe (memory + index).initialize(to: value)
    }
  }

  private func store(_ content: [UInt8]) -> ByteView {
    let raw = UnsafeMutableRawPointer.allocate(byteCount: max(content.count, 1), alignment: 8)
    unsafe raw.copyMemory(from: content, byteCount: content.count)
    unsafe bytes.append(raw)
    return unsafe ByteView(unchecked: UnsafeRawPointer(raw), count: content.count)
  }

  deinit {
    for unsafe raw in unsafe bytes { unsafe raw.deallocate() }
    unsafe memory.deallocate()
  }

  var range: ValueRange { unsafe ValueRange(unchecked: UnsafePointer(memory), count: count) }

  func record() -> [UInt8] {
    var buffer = ByteBuffer()
    do { try RecordCodec.encode(range, into: &buffer) } catch { Issue.record("encode: \(error)") }
    return buffer.bytes.array
  }
}

func withView<T>(_ bytes: [UInt8], _ body: (ByteView) throws -> T) rethrows -> T {
  try unsafe bytes.withUnsafeBytes { try unsafe body(ByteView(unchecked: $0)) }
}

/// A database of one table in memory.
final class TreeFixture {
  let pager: Pager
  let root: PageNumber
  let key: KeyDescription?

  init(pageSize: Int, key: KeyDescription? = nil, sql: String, faults: UInt64?, reserved: Int = 0) throws {
    var configuration = Pager.Configuration()
    configuration.pageSize = pageSize
    configuration.reservedBytes = reserved
    pager = Pager.memory(environment: MemoryEnvironment(), configuration: configuration)
    self.key = key
    let pager = pager
    try settled { () throws(Fault) in try pager.beginWrite() }
    root = try settled { () throws(Fault) in try BTree.create(pager, key == nil ? .table : .index) }
    try settled { () throws(Fault) in
      try pager.setMeta(1, 1)
      try pager.setMeta(2, 4)
      try pager.setMeta(5, 1)
    }
    let schema = CursorBox(pager, .one)
    let row = OwnedValues([.text("table"), .text("t"), .text("t"), .integer(Int64(root.rawValue)), .text(sql)]).record()
    try withView(row) { view in try settled { () throws(Fault) in try schema.cursor.insert(rowid: 1, record: view) } }
    if let faults { pager.faultInjection = SeededRandom(seed: faults) }
  }

  /// The pages as a file.
  func file() throws -> [UInt8] {
    var bytes: [UInt8] = []
    let pager = pager
    for number in 1...pager.pageCount {
      bytes += try settled { () throws(Fault) in
        pager.beginOperation()
        return try pager.page(PageNumber(number)).bytes.array
      }
      bytes += [UInt8](repeating: 0, count: pager.pageSize - pager.usableSize)
    }
    // The page count that a commit would write.
    for (index, shift) in [24, 16, 8, 0].enumerated() { bytes[28 + index] = UInt8(pager.pageCount >> UInt32(shift) & 255) }
    return bytes
  }
}

/// Runs one statement on a database image in real SQLite and returns its rows, columns joined by "|".
func sqliteRows(_ file: [UInt8], _ sql: String) -> [String] {
  var database: OpaquePointer?
  guard unsafe sqlite3_open(":memory:", &database) == SQLITE_OK else { return ["cannot open"] }
  defer { unsafe sqlite3_close(database) }
  let copy = unsafe sqlite3_malloc64(UInt64(file.count))!
  unsafe copy.copyMemory(from: file, byteCount: file.count)
  let flags = UInt32(SQLITE_DESERIALIZE_FREEONCLOSE | SQLITE_DESERIALIZE_RESIZEABLE)
  guard
    unsafe sqlite3_deserialize(
      database, "main", copy.assumingMemoryBound(to: UInt8.self), Int64(file.count), Int64(file.count), flags)
      == SQLITE_OK
  else { return ["cannot deserialize"] }
  var statement: OpaquePointer?
  guard unsafe sqlite3_prepare_v2(database, sql, -1, &statement, nil) == SQLITE_OK else {
    return unsafe [String(cString: sqlite3_errmsg(database))]
  }
  defer { unsafe sqlite3_finalize(statement) }
  var rows: [String] = []
  var code = unsafe sqlite3_step(statement)
  while code == SQLITE_ROW {
    var columns: [String] = []
    let count = unsafe sqlite3_column_count(statement)
    for column in 0..<count {
      columns.append(unsafe sqlite3_column_text(statement, column).map { unsafe String(cString: $0) } ?? "NULL")
    }
    rows.append(columns.joined(separator: "|"))
    code = unsafe sqlite3_step(statement)
  }
  if code != SQLITE_DONE { rows.append(unsafe String(cString: sqlite3_errmsg(database))) }
  return rows
}

/// FNV-1a, so that contents compare without printing them.
func digest(_ bytes: [UInt8]) -> UInt64 {
  var hash: UInt64 = 0xcbf2_9ce4_8422_2325
  for byte in bytes { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
  return hash
}
