// Memory given back on demand, and pages flushed on demand: what is held goes down, what statements stand on stays.

import ApusBase
import ApusIO
import ApusStorage
import Testing

@testable import Apus

@Suite(.timeLimit(.minutes(20))) struct MemoryTests {
  private static let fill = """
    CREATE TABLE t(id INTEGER PRIMARY KEY, v); WITH RECURSIVE s(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM s WHERE i < 300)
    INSERT INTO t SELECT i, randomblob(3000) FROM s
    """

  private static func open(_ world: MemoryEnvironment, _ mode: String) throws -> Connection {
    let connection = try Connection("/a.db", environment: world)
    try connection.execute("PRAGMA journal_mode = \(mode)")
    return connection
  }

  @Test("shrink_memory gives clean pages back, and statements go on", arguments: ["delete", "wal"])
  func shrinks(mode: String) throws {
    let world = MemoryEnvironment(seed: 1, completesAtOnce: false)
    let connection = try Self.open(world, mode)
    try connection.execute(Self.fill)
    #expect(try connection.value("SELECT sum(length(v)) FROM t") == "900000")
    let before = connection.pageByteCount
    #expect(before > 1_000_000)
    // A statement that stands on a row keeps the pages of its path, and what it has given out.
    let reader = try connection.prepareBlocking("SELECT id, v FROM t ORDER BY id")
    #expect(try reader.stepBlocking())
    let first = reader.column(1).bytes.array
    #expect(try connection.row("PRAGMA shrink_memory").isEmpty)
    #expect(connection.pageByteCount < 64 << 10)
    #expect(reader.column(1).bytes.array == first)
    var count = 1
    while try reader.stepBlocking() {
      count += 1
      if count % 50 == 0 { connection.releaseMemory() }
      #expect(reader.column(0).asInteger == Int64(count))
    }
    #expect(count == 300)
    reader.finalize()
    #expect(connection.releaseMemory() > 0)
    #expect(connection.pageByteCount < 16 << 10)
    #expect(try connection.value("PRAGMA integrity_check") == "ok")
  }

  @Test("an open transaction keeps its changes, its savepoints and its way back", arguments: ["delete", "wal"])
  func transactionStays(mode: String) throws {
    let world = MemoryEnvironment(seed: 2, completesAtOnce: false)
    let connection = try Self.open(world, mode)
    try connection.execute("PRAGMA cache_size = 50")
    try connection.execute(Self.fill)
    try connection.execute("BEGIN; UPDATE t SET v = 1 WHERE id % 3 = 0; SAVEPOINT s; UPDATE t SET v = 2 WHERE id % 3 = 1")
    connection.releaseMemory()
    #expect(try connection.row("SELECT sum(v = 1), sum(v = 2) FROM t") == ["100", "100"])
    try connection.execute("ROLLBACK TO s")
    connection.releaseMemory()
    #expect(try connection.row("SELECT sum(v = 1), sum(v = 2) FROM t") == ["100", "0"])
    try connection.execute("ROLLBACK")
    connection.releaseMemory()
    #expect(try connection.row("SELECT sum(v = 1), sum(length(v)) FROM t") == ["0", "900000"])
    try connection.execute("BEGIN; DELETE FROM t WHERE id > 10")
    connection.releaseMemory()
    try connection.execute("COMMIT")
    connection.releaseMemory()
    #expect(try connection.value("SELECT count(*) FROM t") == "10")
    #expect(try connection.value("PRAGMA integrity_check") == "ok")
  }

  @Test("a database in memory loses nothing, and temporary tables neither")
  func memoryDatabasesStay() throws {
    let connection = try Connection(":memory:", environment: MemoryEnvironment(seed: 3))
    try connection.execute(Self.fill)
    try connection.execute("CREATE TEMP TABLE u(a)")
    try connection.execute("INSERT INTO u SELECT v FROM t; DELETE FROM t WHERE id > 200")
    connection.releaseMemory()
    #expect(try connection.row("SELECT count(*), sum(length(v)) FROM t") == ["200", "600000"])
    #expect(try connection.row("SELECT count(*), sum(length(a)) FROM u") == ["300", "900000"])
    #expect(try connection.value("PRAGMA integrity_check") == "ok")
  }

  @Test("the buffers of statements that do not run are given back, their parameters are not")
  func idleStatements() throws {
    let connection = try Connection(":memory:", environment: MemoryEnvironment(seed: 4))
    let statement = try connection.prepareBlocking("SELECT hex(zeroblob(500000)) || ?1")
    defer { statement.finalize() }
    var parameter = ByteBuffer()
    parameter.append("end")
    try statement.bind(.text(parameter.bytes), at: 1)
    for _ in 0..<2 {
      #expect(try statement.stepBlocking())
      // It runs: nothing of it goes.
      #expect(connection.releaseMemory() < 100_000)
      #expect(statement.column(0).bytes.count == 1_000_003)
      #expect(try !statement.stepBlocking())
      #expect(connection.releaseMemory() > 1_000_000)
      #expect(connection.releaseMemory() == 0)
      statement.reset()
    }
  }

  @Test("of the file's cache goes what no connection has in its table")
  func sharedCache() throws {
    let world = MemoryEnvironment(seed: 5, completesAtOnce: false)
    let first = try Self.open(world, "wal")
    let second = try Connection("/a.db", environment: world)
    #expect(try second.value("SELECT count(*) FROM sqlite_schema") == "0")
    try first.execute(Self.fill)
    #expect(try first.value("SELECT sum(length(v)) FROM t") == "900000")
    #expect(try second.value("SELECT sum(length(v)) FROM t") == "900000")
    let shared = first.sharedPageByteCount
    #expect(shared > 1_000_000)
    first.releaseMemory()
    // The second one still has its pages.
    #expect(first.sharedPageByteCount > shared / 2)
    second.releaseMemory()
    #expect(first.sharedPageByteCount < 32 << 10)
    #expect(try first.value("SELECT sum(length(v)) FROM t") == "900000")
    #expect(try second.value("SELECT sum(length(v)) FROM t") == "900000")
  }

  @Test("flushing writes the private pages and leaves the transaction open", arguments: ["delete", "persist", "wal"])
  func flushes(mode: String) throws {
    for end in ["ROLLBACK", "COMMIT"] {
      let world = MemoryEnvironment(seed: 6, completesAtOnce: false)
      let connection = try Self.open(world, mode)
      try connection.execute(Self.fill)
      func written() throws -> Int64 { try world.size(of: mode == "wal" ? "/a.db-wal" : "/a.db") ?? 0 }
      // Without a transaction nothing happens.
      let before = try written()
      try connection.flushBlocking()
      #expect(try written() == before)
      try connection.execute("BEGIN; INSERT INTO t(v) SELECT randomblob(3000) FROM t LIMIT 100")
      try connection.flushBlocking()
      #expect(try written() > before + 250_000, "\(mode) \(end)")
      // Nothing is left to write, and nothing is lost.
      try connection.flushBlocking()
      #expect(try connection.value("SELECT count(*) FROM t") == "400")
      try connection.execute("UPDATE t SET v = 5 WHERE id = 301; \(end)")
      #expect(try connection.value("SELECT count(*) FROM t") == (end == "COMMIT" ? "400" : "300"))
      #expect(try connection.value("PRAGMA integrity_check") == "ok")
      if mode != "wal", end == "ROLLBACK" { #expect(try written() == before) }
      try connection.execute("PRAGMA cache_spill = off; BEGIN; INSERT INTO t(v) SELECT randomblob(3000) FROM t LIMIT 100")
      let last = try written()
      try connection.flushBlocking()
      #expect(try written() == last)
      try connection.execute("COMMIT")
    }
  }

  @Test("a reader keeps a flush from the file: SQLITE_BUSY, and the transaction goes on")
  func flushMeetsReader() throws {
    let world = MemoryEnvironment(seed: 7, completesAtOnce: false)
    let writer = try Self.open(world, "delete")
    try writer.execute(Self.fill)
    let reader = try Connection("/a.db", environment: world)
    let statement = try reader.prepareBlocking("SELECT id FROM t")
    #expect(try statement.stepBlocking())
    try writer.execute("BEGIN; UPDATE t SET v = 1")
    #expect { try writer.flushBlocking() } throws: { ($0 as? EngineError)?.code == .busy }
    statement.finalize()
    try writer.flushBlocking()
    try writer.execute("COMMIT")
    #expect(try reader.value("SELECT sum(v) FROM t") == "300")
    #expect(try reader.value("PRAGMA integrity_check") == "ok")
  }
}
