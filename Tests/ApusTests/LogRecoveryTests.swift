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

  @Test("a reader finds its frames at every moment of a recovery, of a log of several regions too", arguments: [300, 2500])
  func keepsFramesOfReaders(pageCount: UInt32) throws {
    let environment = MemoryEnvironment(seed: 4, completesAtOnce: false)
    let reader = try Connection("/a.db", environment: environment)
    try reader.execute(
      """
      PRAGMA page_size = 512; PRAGMA journal_mode = wal; PRAGMA wal_autocheckpoint = 0; CREATE TABLE t(id INTEGER PRIMARY KEY, v);
      WITH RECURSIVE s(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM s WHERE i < \(pageCount))
      INSERT INTO t SELECT i, zeroblob(400) FROM s; UPDATE t SET v = zeroblob(401); BEGIN
      """)
    let due = try reader.value("SELECT count(*) FROM t WHERE length(v) = 401")
    let other = try Connection("/a.db", environment: environment)
    let wal = try #require(try reader.state.pager(0).store?.wal)
    let limit = wal.header.frameCount
    #expect(limit > 2 * pageCount)
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
}
