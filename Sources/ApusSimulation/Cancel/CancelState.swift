// What must be the same before a statement and behind its drop.

import ApusBase
import ApusIO

/// The rows and the schema of a database, by name: where they lie may differ.
struct CancelContent {
  private var schema: [String]
  private var trees: [(name: String, rows: [[ImageField]])]

  /// As the bytes of the file say, indexes too.
  init(_ schema: [FileWalker.SchemaRow], _ entries: [Int: [FileWalker.Entry]]) {
    self.schema = schema.map { "\($0.type) \($0.name) \($0.table) \($0.sql)" }.sorted()
    trees = schema.filter { $0.root > 0 }.map { row in
      (name: row.name, rows: (entries[row.root] ?? []).map { [.integer($0.rowid)] + $0.fields })
    }
    trees.sort { $0.name < $1.name }
  }

  /// As a connection sees it.
  /// - Parameter isChecked: counts of pages count, and the connection's own check of the file must find nothing.
  init(_ world: QuietWorld, _ engine: EngineClient, isChecked: Bool = true) throws(Finding) {
    let rows = try world.must(engine, "SELECT type, name, sql FROM sqlite_schema ORDER BY name")
    schema = rows.map { "\($0)" }
    for figure in isChecked ? ["page_count", "freelist_count"] : [] {
      schema.append("\(figure) \(try world.must(engine, "PRAGMA \(figure)"))")
    }
    trees = []
    for row in rows where row.first == .text(Array("table".utf8)) {
      guard case .text(let bytes) = row[1] else { continue }
      let name = String(decoding: bytes, as: UTF8.self)
      trees.append((name: name, rows: try world.must(engine, "SELECT * FROM \(name)")))
    }
    if !isChecked { return }
    let check = try world.must(engine, "PRAGMA integrity_check")
    if check != [[.text(Array("ok".utf8))]] { throw Finding(oracle: .walk, text: "integrity_check: \(check)") }
  }

  func difference(to other: CancelContent) -> String? {
    if schema != other.schema {
      let new = other.schema.first { !schema.contains($0) } ?? "less than before"
      return "the schema, or the count of pages, is another one: \(new.prefix(80))"
    }
    for (left, right) in zip(trees, other.trees) where left.rows != right.rows {
      return "\(left.name) has \(right.rows.count) other entries where \(left.rows.count) are due"
    }
    return nil
  }
}

/// What a connection and its process hold of the file. In a transaction that goes on more may be held than before: a lock that
/// its COMMIT needs anyway, the journal that it writes to. A connection that is at rest may hold less.
struct CancelState {
  private var locks: [String]
  private var readMarks: [String]
  private var handles: [String]
  private var names: [String]
  private var inFlightCount: Int
  private var isInTransaction: Bool

  init(_ world: QuietWorld, _ engine: EngineClient) {
    let disk = world.disk
    locks = disk.names.sorted { $0.key < $1.key }.flatMap { path, file in
      file.locks.map { "\($0.kind) on bytes \($0.range) of \(path)" }.sorted()
    }
    readMarks = disk.sharedMemories.sorted { $0.key < $1.key }.flatMap { path, shared in
      shared.locks.map { "\($0.kind) on slot \($0.range.lowerBound) of \(path)-shm" }.sorted()
    }
    handles = disk.handles.values.map(\.path).sorted()
    names = disk.names.keys.sorted()
    inFlightCount = disk.inFlight.count
    isInTransaction = engine.isInTransaction
  }

  /// The first thing that is not as before.
  func difference(to after: CancelState) -> String? {
    func first(_ what: String, _ before: [String], _ after: [String]) -> String? {
      let more = after.filter { !before.contains($0) }
      // EXCLUSIVE is SHARED too.
      let less = before.filter { !after.contains($0) && !after.contains($0.replacing("shared", with: "exclusive")) }
      if isInTransaction ? less.isEmpty : more.isEmpty { return nil }
      return "\(what): " + (more.map { "+ " + $0 } + less.map { "- " + $0 }).joined(separator: ", ")
    }
    if after.inFlightCount != 0 { return "\(after.inFlightCount) requests are in flight" }
    if isInTransaction != after.isInTransaction {
      return isInTransaction ? "the transaction is over" : "a transaction is open"
    }
    return first("locks", locks, after.locks) ?? first("read marks", readMarks, after.readMarks)
      ?? first("open files", handles, after.handles) ?? first("names", names, after.names)
  }
}
