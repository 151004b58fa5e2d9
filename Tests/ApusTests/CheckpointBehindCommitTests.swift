// How much the checkpoint behind a commit copies: seldom, where readers hold it back, and the last frames too, where writers go on.

import ApusBase
import ApusIO
import Testing

@testable import Apus
@testable import ApusStorage
@testable import ApusVM

@Suite struct CheckpointBehindCommitTests {
  private static func world(completesAtOnce: Bool) throws -> (first: Connection, second: Connection) {
    let environment = MemoryEnvironment(seed: 9, completesAtOnce: completesAtOnce)
    let first = try Connection("/a.db", environment: environment)
    try first.execute(
      "PRAGMA page_size = 512; PRAGMA journal_mode = wal; CREATE TABLE t(a); INSERT INTO t VALUES (0);"
        + " PRAGMA wal_checkpoint(TRUNCATE); PRAGMA wal_autocheckpoint = 80; PRAGMA synchronous = normal")
    let second = try Connection("/a.db", environment: environment)
    try second.execute("PRAGMA busy_timeout = 0; PRAGMA wal_autocheckpoint = 0; PRAGMA synchronous = normal; SELECT * FROM t")
    return (first, second)
  }

  /// Frames of the log, and how many of them were copied.
  private static func log(_ connection: Connection) throws -> (frameCount: Int, backfill: Int) {
    do throws(Fault) {
      guard let index = try connection.state.pager(0).store?.wal?.index, let header = try index.readHeader() else { return (0, 0) }
      return (Int(header.frameCount), Int(try index.backfill))
    } catch {
      throw EngineError(.internal)
    }
  }

  @Test("where readers follow the writer, an eighth of wal_autocheckpoint is copied at once, not each commit's frames")
  func heldBack() throws {
    let (writer, reader) = try Self.world(completesAtOnce: true)
    var copied: Set<Int> = []
    for value in 0..<200 {
      try writer.execute("UPDATE t SET a = \(value)")
      let log = try Self.log(writer)
      #expect(log.frameCount == value + 1, "the reader keeps the log from starting again")
      copied.insert(log.backfill)
      if value > 0 { try reader.execute("COMMIT") }
      try reader.execute("BEGIN; SELECT * FROM t")
    }
    let steps = copied.sorted()
    #expect(steps.first == 0 && steps.last ?? 0 >= 185)
    // The first time all that is below the reader, then ten frames.
    #expect((13...15).contains(steps.count))
    for (left, right) in zip(steps, steps.dropFirst()) { #expect(right - left >= 10) }
    try reader.execute("COMMIT")
    try writer.execute("UPDATE t SET a = 0")
    let log = try Self.log(writer)
    #expect(log.backfill == log.frameCount, "nobody holds it back any more")
  }

  @Test("what another one commits during the copying is copied too, so that the log starts again")
  func lastFrames() throws {
    let (writer, other) = try Self.world(completesAtOnce: false)
    while try Self.log(writer).frameCount < 79 { try writer.execute("UPDATE t SET a = a + 1") }
    var commits = 0
    let statement = try Stepped(writer, "UPDATE t SET a = a + 1")
    let end = try statement.goOn { _ in
      let log = try? Self.log(writer)
      if let log, log.frameCount >= 80, commits < 3, other.refusal("UPDATE t SET a = a + 1000") == nil { commits += 1 }
      return true
    }
    if case .row = end { Issue.record("an UPDATE gives no rows") }
    #expect(commits == 3)
    let log = try Self.log(writer)
    #expect(log.frameCount == 83 && log.backfill == 83)
    try other.execute("UPDATE t SET a = a + 1000")
    #expect(try Self.log(writer).frameCount == 1)
  }

  @Test("beside a COMMIT that only has its checkpoint to do nothing begins, and ROLLBACK says that it was committed")
  func besideDurable() throws {
    for sql in ["INSERT INTO t VALUES (7)", "ROLLBACK"] {
      let (writer, other) = try Self.world(completesAtOnce: false)
      while try Self.log(writer).frameCount < 79 { try writer.execute("UPDATE t SET a = a + 1") }
      try writer.execute("BEGIN; UPDATE t SET a = a + 1; INSERT INTO t VALUES (5)")
      let statement = try Stepped(writer, "COMMIT")
      var refusal: EngineError?
      do {
        _ = try statement.goOn { _ in
          if let pager = try? writer.state.pager(0), pager.owesCheckpoint, pager.state != .write, refusal == nil {
            refusal = writer.refusal(sql)
            #expect(refusal != nil)
          }
          return true
        }
        #expect(sql != "ROLLBACK")
      } catch {
        #expect(sql == "ROLLBACK", "\(error)")
      }
      #expect(refusal?.code == (sql == "ROLLBACK" ? .abort : .busy))
      statement.statement.finalize()
      #expect(try other.value("SELECT count(*) FROM t") == "2")
      #expect(try writer.value("SELECT count(*) FROM t") == "2")
    }
  }
}
