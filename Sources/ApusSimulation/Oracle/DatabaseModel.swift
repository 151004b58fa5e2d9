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
    var state = tag &* 0x9e37_79b9_7f4a_7c15 | 1
    for _ in 0..<length {
      state ^= state << 13
      state ^= state >> 7
      state ^= state << 17
      let byte = UInt8(truncatingIfNeeded: state >> 32)
      bytes.append(tag % 2 == 0 ? 0x61 + byte % 26 : byte)
    }
    return bytes
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

  /// Text keys sort as their numbers do.
  public static func textKey(_ id: Int64) -> String {
    let digits = String(id)
    return "key" + String(repeating: "0", count: max(0, 8 - digits.count)) + digits
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
      let expected = rows.map { expectedEntry($0.key, $0.value, table: index) }
      if stored != expected { found.append(describe(stored, expected, "table \(shape.name)")) }
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
        var keys = rows.map { row in
          let value: ImageField = column == 1 ? .integer(row.value.k) : row.value.u.map(ImageField.integer) ?? .null
          return (value, row.key)
        }
        keys.sort { Self.order($0.0) != Self.order($1.0) ? Self.order($0.0) < Self.order($1.0) : $0.1 < $1.1 }
        let wanted = keys.map { FileWalker.Entry(rowid: 0, fields: [$0.0, key($0.1, in: index)]) }
        let present = entries[tree.root] ?? []
        if present != wanted { found.append(describe(present, wanted, "index \(name)")) }
      }
    }
    return found
  }

  private static func order(_ field: ImageField) -> Int64 {
    if case .integer(let number) = field { return number }
    return .min
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
