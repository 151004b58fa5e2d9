// Pages that are cut off a file, or leave its freelist, and come back with other content, while a savepoint still needs what had
// been spilled there.

import ApusBase
import ApusIO
import Testing

@testable import Apus

@Suite("Files that shrink and grow in a transaction") struct RegrownFileTests {
  private static func rows(_ first: Int, _ count: Int, _ content: String) -> String {
    """
    WITH RECURSIVE n(i) AS (VALUES (\(first)) UNION ALL SELECT i + 1 FROM n WHERE i < \(first + count - 1))
    SELECT i, \(content) FROM n
    """
  }

  /// All rows of `b` are changed, and spilled; then the file's last pages go, and others take their places.
  @Test(
    "going back to a savepoint brings back what was spilled", arguments: ["delete", "truncate", "wal"],
    [(40, 900, 1, 60), (40, 900, 10, 60), (80, 300, 10, 60), (80, 900, 10, 60), (80, 900, 1, 60)])
  func regrown(journal: String, shape: (rows: Int, size: Int, vacuumed: Int, grown: Int)) throws {
    let connection = try Connection("/a.db", environment: MemoryEnvironment())
    let text = "replace(hex(zeroblob(\(shape.size / 2))), '0', 'x')"
    try connection.execute(
      "PRAGMA page_size = 512; PRAGMA auto_vacuum = 2; PRAGMA journal_mode = \(journal); PRAGMA cache_size = 10")
    for table in ["a", "b"] {
      try connection.execute("CREATE TABLE \(table)(id INTEGER PRIMARY KEY, v)")
      try connection.execute("INSERT INTO \(table) " + Self.rows(1, shape.rows, "zeroblob(\(shape.size))"))
    }
    try connection.execute("DELETE FROM a WHERE id % 2")
    try connection.execute("BEGIN; UPDATE b SET v = \(text); SAVEPOINT s; PRAGMA incremental_vacuum(\(shape.vacuumed))")
    try connection.execute("INSERT INTO a " + Self.rows(1001, shape.grown, "zeroblob(\(shape.size))"))
    try connection.execute("ROLLBACK TO s; COMMIT")
    #expect(try connection.text("PRAGMA integrity_check") == ["ok"])
    #expect(try connection.text("SELECT count(*) FROM b WHERE v = \(text)") == ["\(shape.rows)"])
    let left = try connection.text("SELECT count(*), max(id) FROM a WHERE length(v) = \(shape.size)")
    #expect(left == ["\(shape.rows / 2)|\(shape.rows)"])
    try connection.closeBlocking()
  }

  /// What a vacuum has moved is committed where it was, and in no file: the transaction's roll-back needs it there.
  @Test("a database in memory keeps what is committed behind its end",
    arguments: ["ROLLBACK TO s", "INSERT INTO u VALUES (1), (1)"])
  func memory(undone: String) throws {
    let connection = try Connection(":memory:", environment: MemoryEnvironment())
    try connection.execute("PRAGMA page_size = 512; PRAGMA auto_vacuum = 2; CREATE TABLE u(x UNIQUE)")
    for table in ["a", "b"] {
      try connection.execute("CREATE TABLE \(table)(id INTEGER PRIMARY KEY, v)")
      try connection.execute("INSERT INTO \(table) " + Self.rows(1, 40, "zeroblob(900)"))
    }
    let before = try connection.text("SELECT id, hex(v) FROM b")
    try connection.execute("BEGIN; DELETE FROM a; PRAGMA incremental_vacuum")
    #expect(try connection.text("PRAGMA freelist_count") == ["0"])
    try connection.execute("SAVEPOINT s; INSERT INTO b VALUES (99999, 1)")
    if undone.hasPrefix("INSERT") {
      #expect(throws: EngineError.self) { try connection.execute(undone) }
    } else {
      try connection.execute(undone)
    }
    try connection.execute("ROLLBACK")
    #expect(try connection.text("PRAGMA integrity_check") == ["ok"])
    #expect(try connection.text("SELECT id, hex(v) FROM b") == before)
    try connection.closeBlocking()
  }
}
