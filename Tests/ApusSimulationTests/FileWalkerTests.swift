// The walker is itself an oracle, so it is tried first: files that SQLite wrote pass, files with a planted damage fail.

import ApusBase
import ApusSimulation
import CSQLite
import Foundation
import Testing

@Suite("The integrity walk")
struct FileWalkerTests {
  /// Runs statements in SQLite and returns the file's bytes.
  private func bytesWrittenBySQLite(_ statements: [String]) throws -> [UInt8] {
    let path = NSTemporaryDirectory() + "apus-walker-\(UUID().uuidString).db"
    defer { try? FileManager.default.removeItem(atPath: path) }
    var handle: OpaquePointer?
    try #require(unsafe sqlite3_open(path, &handle) == SQLITE_OK)
    for statement in statements {
      let code = unsafe sqlite3_exec(handle, statement, nil, nil, nil)
      #expect(code == SQLITE_OK, "\(statement.prefix(80))")
    }
    unsafe sqlite3_close(handle)
    return [UInt8](try Data(contentsOf: URL(fileURLWithPath: path)))
  }

  private func sample(pageSize: Int, seed: UInt64) throws -> [UInt8] {
    var random = SeededRandom(seed: seed)
    var statements = ["PRAGMA page_size=\(pageSize)"]
    statements += TableShape(name: "t", isWithoutRowid: false).createStatements
    statements += TableShape(name: "w", isWithoutRowid: true).createStatements
    for _ in 0..<400 {
      let table = random.oneIn(2) ? "t" : "w"
      let id = Int64(random.below(90))
      let key = table == "t" ? "\(id)" : "'\(DatabaseModel.textKey(id))'"
      if random.oneIn(3) {
        statements.append("DELETE FROM \(table) WHERE id=\(key)")
      } else {
        let length = random.below(random.oneIn(5) ? 9_000 : 60)
        statements.append(
          "INSERT OR REPLACE INTO \(table) VALUES(\(key),\(random.below(9)),\(random.below(500)),zeroblob(\(length)))")
      }
    }
    return try bytesWrittenBySQLite(statements)
  }

  @Test("SQLite's files pass", arguments: [512, 1024, 4096, 65536], [UInt64(1), 2])
  func acceptsSQLite(pageSize: Int, seed: UInt64) throws {
    var walker = FileWalker(FileImage(database: try sample(pageSize: pageSize, seed: seed), wal: nil))
    let found = walker.walk()
    #expect(walker.violations == [], "page size \(pageSize), seed \(seed)")
    #expect(found.schema.filter { $0.type == "index" }.count == 4)
  }

  @Test("a damaged byte in a page's header, pointers or freelist is seen", arguments: UInt64(1)...20)
  func seesDamage(seed: UInt64) throws {
    let pageSize = 1024
    let clean = try sample(pageSize: pageSize, seed: 7)
    var random = SeededRandom(seed: seed)
    var damaged = clean
    // Every byte of a b-tree page's first twelve counts, but for those of interior pages' right child.
    let leaves = (1..<clean.count / pageSize).filter { clean[$0 * pageSize] == 13 || clean[$0 * pageSize] == 10 }
    let page = leaves[random.below(leaves.count)]
    let offset = page * pageSize + [0, 3, 4, 5, 6, 7, 8][random.below(7)]
    damaged[offset] ^= UInt8(1 << random.below(8))
    var walker = FileWalker(FileImage(database: damaged, wal: nil))
    _ = walker.walk()
    #expect(!walker.violations.isEmpty, "seed \(seed): byte \(offset - page * pageSize) of page \(page + 1)")
  }
}
