// Trees that lose their entries level by level: an entry of an inner page gives way to a leaf's last one, leaves are
// joined, and the root takes its last child's content over, all of it by one statement.

import ApusBase
import ApusIO
import Testing

@testable import Apus

@Suite("Trees that shrink") struct ShrinkingTreeTests {
  /// 200 entries over four levels of pages with 504 usable bytes.
  private static func tree(_ seed: UInt64) throws -> Connection {
    let connection = try Connection("/a.db", environment: MemoryEnvironment(seed: seed))
    try connection.execute(
      "PRAGMA page_size = 512; PRAGMA page_checksums = on; CREATE TABLE m(id TEXT PRIMARY KEY, k, u, v) WITHOUT ROWID")
    try connection.execute(
      """
      WITH RECURSIVE n(i) AS (VALUES (0) UNION ALL SELECT i + 1 FROM n WHERE i < 199)
      INSERT INTO m
        SELECT printf('key%08d', i), i % 12, iif(i % 3, i, NULL), substr(hex(zeroblob(80)), 1, (i * 37 + \(seed) * 11) % 120) FROM n
      """)
    return connection
  }

  /// Some of these delete an entry of an inner page whose leaf is joined with others, while the root collapses.
  @Test("ranges deleted from the middle leave the tree whole", arguments: [UInt64(0), 2, 3], [52, 58, 59, 62])
  func ranges(seed: UInt64, first: Int) throws {
    let connection = try Self.tree(seed)
    for last in first..<130 {
      try connection.execute("DELETE FROM m WHERE id = printf('key%08d', \(last))")
      let check = try connection.text("PRAGMA integrity_check")
      try #require(check == ["ok"], "seed \(seed), from \(first) to \(last)")
    }
    try connection.closeBlocking()
  }

  @Test("entries deleted in any order leave the tree whole", arguments: UInt64(0)..<8)
  func anyOrder(seed: UInt64) throws {
    let connection = try Self.tree(seed)
    var random = SeededRandom(seed: seed)
    var keys = Array(0..<200)
    while !keys.isEmpty {
      let key = keys.remove(at: random.below(keys.count))
      try connection.execute("DELETE FROM m WHERE id = printf('key%08d', \(key))")
      let check = try connection.text("PRAGMA integrity_check")
      try #require(check == ["ok"], "seed \(seed), behind \(200 - keys.count) deletions")
    }
    try connection.closeBlocking()
  }
}
