// What the database must contain, held as plainly as possible: one dictionary a table.
//
// Payloads are not kept but made again from (tag, length). Every table has the same columns, so that a statement has one
// meaning for all: `id` (the key), `k` (indexed), `u` (unique where not null), `v` (text or blob).

public struct ModelRow: Equatable, Sendable {
  public var k: Int64
  public var u: Int64?
  public var tag: UInt64
  public var length: Int

  /// The payload: even tags are text, odd ones blobs.
  public var payload: [UInt8] { Self.payload(tag: tag, length: length) }
  public var isText: Bool { tag % 2 == 0 }

  static func payload(tag: UInt64, length: Int) -> [UInt8] {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(length)
    var maker = PayloadMaker(tag)
    for _ in 0..<length { bytes.append(maker.next()) }
    return bytes
  }

  /// Whether `field` is the payload. Made byte by byte, and nowhere kept: most looks at a row find it as it should be.
  func isPayload(_ field: ImageField) -> Bool {
    let bytes: [UInt8]
    switch field {
    case .text(let text) where isText: bytes = text
    case .blob(let blob) where !isText: bytes = blob
    case .null, .integer, .real, .text, .blob: return false
    }
    guard bytes.count == length else { return false }
    var maker = PayloadMaker(tag)
    return bytes.allSatisfy { $0 == maker.next() }
  }

  /// Whether `fields` are `k`, `u` and `v`.
  func isRow(_ fields: ArraySlice<ImageField>) -> Bool {
    let first = fields.startIndex
    return fields.count == 3 && fields[first] == .integer(k) && fields[first + 1] == (u.map(ImageField.integer) ?? .null)
      && isPayload(fields[first + 2])
  }
}

/// The bytes of a payload, one by one.
private struct PayloadMaker {
  private var state: UInt64
  private let isText: Bool

  init(_ tag: UInt64) {
    state = tag &* 0x9e37_79b9_7f4a_7c15 | 1
    isText = tag % 2 == 0
  }

  mutating func next() -> UInt8 {
    state ^= state << 13
    state ^= state >> 7
    state ^= state << 17
    let byte = UInt8(truncatingIfNeeded: state >> 32)
    return isText ? 0x61 + byte % 26 : byte
  }
}

/// How a table stores its rows.
public struct TableShape: Equatable, Sendable {
  public var name: String
  public var isWithoutRowid: Bool
  /// An index on `k` and a unique one on `u`; without them a change of a row is a change of one tree.
  public var hasIndexes: Bool
  /// The attached database that it lies in; nil: main. Its name is its own in all of them.
  public var database: String?
  /// It is made and dropped by transactions, and so is an index on its `k`.
  public var comesAndGoes: Bool

  public init(
    name: String, isWithoutRowid: Bool, hasIndexes: Bool = true, database: String? = nil, comesAndGoes: Bool = false
  ) {
    self.name = name
    self.comesAndGoes = comesAndGoes
    self.database = database
    self.isWithoutRowid = isWithoutRowid
    self.hasIndexes = hasIndexes
  }

  var createIndexStatement: String { "CREATE INDEX \(name)_k ON \(name)(k)" }

  public var createStatements: [String] {
    let key = isWithoutRowid ? "id TEXT PRIMARY KEY" : "id INTEGER PRIMARY KEY"
    let schema = database.map { $0 + "." } ?? ""
    let table = "CREATE TABLE \(schema)\(name)(\(key), k INTEGER NOT NULL, u INTEGER, v)\(isWithoutRowid ? " WITHOUT ROWID" : "")"
    if !hasIndexes { return [table] }
    return [
      table,
      "CREATE INDEX \(schema)\(name)_k ON \(name)(k)",
      "CREATE UNIQUE INDEX \(schema)\(name)_u ON \(name)(u)",
    ]
  }
}

public struct DatabaseModel: Sendable {
  public var shapes: [TableShape]
  public var tables: [[Int64: ModelRow]]
  /// Of the tables that come and go, those that are not there, and those that have an index on `k`.
  public var missing: Set<Int>
  public var indexed: Set<Int> = []
  /// What the attached file says is its last transaction: of those that change main alone it knows nothing.
  var otherStamp: Int64 = 0

  /// The same tables with the same rows.
  func isAs(_ other: DatabaseModel) -> Bool {
    tables == other.tables && missing == other.missing && indexed == other.indexed
  }

  public init(shapes: [TableShape]) {
    self.shapes = shapes
    tables = shapes.map { _ in [:] }
    missing = Set(shapes.indices.filter { shapes[$0].comesAndGoes })
  }

  /// The tables that are there.
  var presentTables: [Int] { shapes.indices.filter { !missing.contains($0) } }

  /// The key as the file holds it.
  public func key(_ id: Int64, in table: Int) -> ImageField {
    shapes[table].isWithoutRowid ? .text(Array(Self.textKey(id).utf8)) : .integer(id)
  }

  /// Whether `field` is the key as the file holds it.
  func isKey(_ field: ImageField, _ id: Int64, in table: Int) -> Bool {
    switch field {
    case .integer(let number): return !shapes[table].isWithoutRowid && number == id
    case .text(let bytes): return shapes[table].isWithoutRowid && bytes.elementsEqual(Self.textKey(id).utf8)
    case .null, .real, .blob: return false
    }
  }

  /// Text keys sort as their numbers do.
  public static func textKey(_ id: Int64) -> String {
    let digits = String(id)
    return "key" + "00000000".dropFirst(digits.utf8.count) + digits
  }

  /// Compares what a walk of a database's file found with the model, trees and indexes alike.
  /// - Returns: the differences, empty where there are none.
  public func differences(
    schema: [FileWalker.SchemaRow], entries: [Int: [FileWalker.Entry]], database: String? = nil
  ) -> [String] {
    var found: [String] = []
    for (index, shape) in shapes.enumerated() where shape.database == database {
      let table = schema.first { $0.name == shape.name && $0.type == "table" }
      if missing.contains(index) {
        if table != nil { found.append("table \(shape.name) is there, and was dropped or never made") }
        continue
      }
      guard let table else {
        found.append("table \(shape.name) is missing")
        continue
      }
      let rows = tables[index].sorted { $0.key < $1.key }
      let stored = entries[table.root] ?? []
      if stored.count != rows.count || !zip(stored, rows).allSatisfy({ isEntry($0, $1.key, $1.value, table: index) }) {
        found.append(describe(stored, rows.map { expectedEntry($0.key, $0.value, table: index) }, "table \(shape.name)"))
      }
      let isIndexed = indexed.contains(index)
      if shape.comesAndGoes, !isIndexed, schema.contains(where: { $0.name == "\(shape.name)_k" }) {
        found.append("index \(shape.name)_k is there, and was dropped or never made")
      }
      if !shape.hasIndexes && !isIndexed { continue }
      for (name, column) in [("\(shape.name)_k", 1), ("\(shape.name)_u", 2)].prefix(isIndexed ? 1 : 2) {
        guard let tree = schema.first(where: { $0.name == name }) else {
          found.append("index \(name) is missing")
          continue
        }
        var keys = rows.map { (value: column == 1 ? $0.value.k : $0.value.u, id: $0.key) }
        // NULL comes first.
        keys.sort { ($0.value ?? .min, $0.id) < ($1.value ?? .min, $1.id) }
        let present = entries[tree.root] ?? []
        if present.count != keys.count || !zip(present, keys).allSatisfy({ isEntry($0, $1.value, $1.id, table: index) }) {
          let wanted = keys.map {
            FileWalker.Entry(rowid: 0, fields: [$0.value.map(ImageField.integer) ?? .null, key($0.id, in: index)])
          }
          found.append(describe(present, wanted, "index \(name)"))
        }
      }
    }
    return found
  }

  /// Whether it is what `expectedEntry` says.
  private func isEntry(_ entry: FileWalker.Entry, _ id: Int64, _ row: ModelRow, table: Int) -> Bool {
    guard let first = entry.fields.first, row.isRow(entry.fields.dropFirst()) else { return false }
    return shapes[table].isWithoutRowid
      ? entry.rowid == 0 && isKey(first, id, in: table) : entry.rowid == id && first == .null
  }

  /// Whether it is an index's entry for the key `id`, of a row with `value` in the index's column.
  private func isEntry(_ entry: FileWalker.Entry, _ value: Int64?, _ id: Int64, table: Int) -> Bool {
    entry.rowid == 0 && entry.fields.count == 2 && entry.fields[0] == (value.map(ImageField.integer) ?? .null)
      && isKey(entry.fields[1], id, in: table)
  }

  private func expectedEntry(_ id: Int64, _ row: ModelRow, table: Int) -> FileWalker.Entry {
    let payload: ImageField = row.isText ? .text(row.payload) : .blob(row.payload)
    let rest: [ImageField] = [.integer(row.k), row.u.map(ImageField.integer) ?? .null, payload]
    // A rowid table stores NULL where its key column stands: the key is the row id.
    return shapes[table].isWithoutRowid
      ? FileWalker.Entry(rowid: 0, fields: [key(id, in: table)] + rest)
      : FileWalker.Entry(rowid: id, fields: [.null] + rest)
  }

  private func describe(_ stored: [FileWalker.Entry], _ expected: [FileWalker.Entry], _ name: String) -> String {
    let position = zip(stored, expected).enumerated().first { $0.element.0 != $0.element.1 }?.offset
    let place = position ?? min(stored.count, expected.count)
    func text(_ entries: [FileWalker.Entry]) -> String {
      guard place < entries.count else { return "nothing" }
      let fields = entries[place].fields.map { field in
        switch field {
        case .text(let bytes) where bytes.count > 20: "text of \(bytes.count) bytes"
        case .blob(let bytes): "blob of \(bytes.count) bytes"
        case .text(let bytes): "'" + String(decoding: bytes, as: UTF8.self) + "'"
        case .integer(let number): "\(number)"
        case .real(let bits): "\(Double(bitPattern: bits))"
        case .null: "NULL"
        }
      }
      return "rowid \(entries[place].rowid) (\(fields.joined(separator: ", ")))"
    }
    return "\(name): \(stored.count) entries where \(expected.count) are due; "
      + "at \(place): \(text(stored)) instead of \(text(expected))"
  }
}
