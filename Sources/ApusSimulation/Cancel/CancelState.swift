// What must be the same before a statement and behind its drop.

import ApusBase
import ApusIO

/// The rows and the schema that a file holds, by name: where they lie may differ.
struct CancelContent {
  private var schema: [String]
  private var trees: [(name: String, entries: [FileWalker.Entry])]

  init(_ schema: [FileWalker.SchemaRow], _ entries: [Int: [FileWalker.Entry]]) {
    self.schema = schema.map { "\($0.type) \($0.name) \($0.table) \($0.sql)" }.sorted()
    trees = schema.filter { $0.root > 0 }.map { (name: $0.name, entries: entries[$0.root] ?? []) }
    trees.sort { $0.name < $1.name }
  }

  func difference(to other: CancelContent) -> String? {
    if schema != other.schema { return "the schema is another one" }
    for (left, right) in zip(trees, other.trees) where left.entries != right.entries {
      return "\(left.name) has \(right.entries.count) other entries where \(left.entries.count) are due"
    }
    return nil
  }
}

/// Everything about the file, the connection and the process that a statement may touch.
struct CancelState {
  private var locks: [String]
  private var readMarks: [String]
  private var handles: [String]
  private var names: [String]
  private var inFlightCount: Int
  private var isInTransaction: Bool
  private var counts: String
  private var content: CancelContent
  private var pageCount: Int

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
    counts = engine.changeCounts
    let found = world.walk()
    content = CancelContent(found.schema, found.entries)
    pageCount = found.image.pages.count
  }

  /// The first thing that is not as before.
  func difference(to after: CancelState) -> String? {
    func first(_ what: String, _ before: [String], _ after: [String]) -> String? {
      if before == after { return nil }
      let more = after.filter { !before.contains($0) }, less = before.filter { !after.contains($0) }
      return "\(what): " + (more.map { "+ " + $0 } + less.map { "- " + $0 }).joined(separator: ", ")
    }
    if after.inFlightCount != 0 { return "\(after.inFlightCount) requests are in flight" }
    if isInTransaction != after.isInTransaction {
      return isInTransaction ? "the transaction is over" : "a transaction is open"
    }
    if counts != after.counts { return "the counts of changes were \(counts), and are \(after.counts)" }
    if pageCount != after.pageCount { return "the file had \(pageCount) pages, and has \(after.pageCount)" }
    return first("locks", locks, after.locks) ?? first("read marks", readMarks, after.readMarks)
      ?? first("open files", handles, after.handles) ?? first("names", names, after.names)
      ?? content.difference(to: after.content)
  }
}
