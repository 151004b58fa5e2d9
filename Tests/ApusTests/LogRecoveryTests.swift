// The wal-index that has to be built anew while connections read by it.

import ApusBase
import ApusIO
import Testing

@testable import Apus
@testable import ApusStorage
@testable import ApusVM

@Suite struct LogRecoveryTests {
  /// The newest frame of each page, as a reader of `limit` frames finds it.
  private static func frames(_ index: WALIndex, pageCount: UInt32, limit: UInt32) throws -> [UInt32] {
    do throws(Fault) {
      var frames: [UInt32] = []
      for page in 1...pageCount { frames.append(try index.find(page, limit: limit)) }
      return frames
    } catch {
      throw EngineError(.internal)
    }
  }

  @Test("a reader finds its frames at every moment of a recovery, of a log of several regions too", arguments: [300, 1400])
  func keepsFramesOfReaders(pageCount: UInt32) throws {
    let environment = MemoryEnvironment(seed: 4, completesAtOnce: false)
    let reader = try Connection("/a.db", environment: environment)
    try reader.execute(
      """
      PRAGMA page_size = 512; PRAGMA journal_mode = wal; PRAGMA wal_autocheckpoint = 0; CREATE TABLE t(id INTEGER PRIMARY KEY, v);
      WITH RECURSIVE s(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM s WHERE i < \(pageCount))
      INSERT INTO t SELECT i, zeroblob(400) FROM s; UPDATE t SET v = zeroblob(402);
      UPDATE t SET v = zeroblob(401); BEGIN
      """)
    let due = try reader.value("SELECT count(*) FROM t WHERE length(v) = 401")
    let other = try Connection("/a.db", environment: environment)
    let wal = try #require(try reader.state.pager(0).store?.wal)
    let limit = wal.header.frameCount
    #expect(limit > 3 * pageCount)
    // The first region has the fewest frames: 4062.
    #expect(pageCount < 1000 || limit > 4062)
    let frames = try Self.frames(wal.index, pageCount: pageCount, limit: limit)
    #expect(frames.filter { $0 != 0 }.count == Int(pageCount))
    // As one leaves it that dies in the midst of its publication.
    try #require(try wal.index.memory.region(0, extend: false)).fill(0, 48)
    let insert = SteppedText(other, "INSERT INTO t VALUES (100000, 1)")
    var looks = 0
    while !insert.isOver {
      try insert.goOn(1)
      looks += 1
      #expect(try Self.frames(wal.index, pageCount: pageCount, limit: limit) == frames, "look \(looks)")
    }
    #expect(looks > 3)
    #expect(try Self.frames(wal.index, pageCount: pageCount, limit: limit) == frames)
    try reader.execute("PRAGMA shrink_memory")
    #expect(try reader.value("SELECT count(*) FROM t WHERE length(v) = 401") == due)
    try reader.execute("COMMIT")
    #expect(try reader.value("SELECT count(*) FROM t") == "\(pageCount + 1)")
    #expect(try other.text("PRAGMA integrity_check") == ["ok"])
  }

  @Test(
    "who drops a statement in the midst of a recovery keeps no lock",
    arguments: ["SELECT count(*) FROM t", "PRAGMA wal_checkpoint"])
  func dropsRecovery(sql: String) throws {
    var recoveries = 0
    for limit in 0..<30 {
      let environment = MemoryEnvironment(seed: UInt64(limit), completesAtOnce: false)
      let first = try Connection("/a.db", environment: environment)
      try first.execute("PRAGMA page_size = 512; PRAGMA journal_mode = wal; CREATE TABLE t(v)")
      try first.execute("INSERT INTO t VALUES (zeroblob(9000))")
      let other = try Connection("/a.db", environment: environment)
      #expect(try other.value("SELECT count(*) FROM t") == "1")
      let wal = try #require(try first.state.pager(0).store?.wal)
      let statement = try first.prepareBlocking(sql)
      try #require(try wal.index.memory.region(0, extend: false)).fill(0, 48)
      var isOver = false
      for step in 0...limit where !isOver {
        guard case .pending(let wait) = try statement.step() else {
          isOver = true
          break
        }
        if step < limit { first.wait(for: wait) }
      }
      if isOver { break }
      if wal.recovery != nil { recoveries += 1 }
      statement.finalize()
      try first.block { () throws(Fault) in try first.settle() }
      #expect(other.refusal("INSERT INTO t VALUES (2)") == nil, "wait \(limit)")
      #expect(try other.value("SELECT count(*) FROM t") == "2")
    }
    #expect(recoveries > 0)
  }

  @Test("a recovery beside a checkpoint that waits does not give that one's lock away")
  func recoversBesideCheckpoint() throws {
    let environment = MemoryEnvironment(seed: 8, completesAtOnce: false)
    let first = try Connection("/a.db", environment: environment)
    try first.execute("PRAGMA journal_mode = wal; CREATE TABLE t(v); INSERT INTO t VALUES (1); PRAGMA busy_timeout = 5000")
    let writer = try Connection("/a.db", environment: environment)
    let other = try Connection("/a.db", environment: environment)
    #expect(try other.value("SELECT count(*) FROM t") == "1")
    try writer.execute("BEGIN IMMEDIATE; INSERT INTO t VALUES (2)")
    let wal = try #require(try first.state.pager(0).store?.wal)
    var hasDamaged = false
    var held = 0
    _ = try Stepped(first, "PRAGMA wal_checkpoint(TRUNCATE)").goOn { wait in
      if case .moment = wait, !hasDamaged {
        hasDamaged = true
        try? wal.index.memory.region(0, extend: false)?.fill(0, 48)
        try? writer.execute("ROLLBACK")
        return true
      }
      // Whoever believes to have it, has it.
      if hasDamaged, wal.recovery == nil, wal.checkpoint?.holdsCheckpointLock == true {
        let memory = try? other.state.pager(0).store?.wal?.index.memory
        if (try? memory?.lock(.exclusive, slot: WALIndex.checkpointSlot, count: 1)) == true {
          try? memory?.unlock(slot: WALIndex.checkpointSlot, count: 1)
          Issue.record("another connection got the lock of a checkpoint")
        }
        held += 1
      }
      return true
    }
    #expect(hasDamaged && held > 0)
    #expect(try other.value("SELECT count(*) FROM t") == "1")
  }

  @Test("a wal-index whose header counts more frames than there can be is built anew", arguments: [0xffff_fff0, 0x8000_0000])
  func absurdCount(frameCount: Int) throws {
    let environment = MemoryEnvironment()
    let first = try Connection("/a.db", environment: environment)
    try first.execute("PRAGMA journal_mode = wal; CREATE TABLE t(v); INSERT INTO t VALUES (1)")
    let wal = try #require(try first.state.pager(0).store?.wal)
    do throws(Fault) {
      guard var header = try wal.index.readHeader() else { return }
      header.frameCount = UInt32(frameCount)
      try wal.index.writeHeader(header)
    } catch {
      Issue.record("\(error)")
    }
    #expect(try first.value("SELECT v FROM t") == "1")
    let other = try Connection("/a.db", environment: environment)
    try other.execute("INSERT INTO t VALUES (2)")
    #expect(try first.value("SELECT count(*) FROM t") == "2")
  }
}
