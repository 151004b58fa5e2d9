// PRAGMA wal_size_limit beside SQLite, which knows nothing of it: its snapshots hold the log back, and its commits may fill it.

import Apus
import ApusBase
import ApusHarness
import ApusIO
import Foundation
import Testing

@Suite("A log with a size limit beside SQLite", .timeLimit(.minutes(20)))
struct LogSizeBesideSQLiteTests {
  private static let frameBytes = 24 + 512
  private static let limit = 32 + 40 * frameBytes

  private final class Shared {
    let directory: String
    let ours: Connection
    let sqlite: any HarnessConnection

    init() throws {
      let url = FileManager.default.temporaryDirectory.resolvingSymlinksInPath()
        .appendingPathComponent("apus-log-size-\(UInt64.random(in: 0 ... .max))")
      try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
      directory = url.path
      let path = "\(directory)/a.db"
      sqlite = try SQLiteLibrary().open(path, readOnly: false)
      for statement in ["PRAGMA page_size=512", "PRAGMA journal_mode=WAL", "CREATE TABLE t(id INTEGER PRIMARY KEY, v)"] {
        try sqlite.execute(statement)
      }
      ours = try Connection(path, environment: SystemEnvironment())
      try ours.execute("PRAGMA synchronous = off; PRAGMA wal_size_limit = \(limit)")
    }

    deinit {
      try? ours.closeBlocking()
      sqlite.close()
      try? FileManager.default.removeItem(atPath: directory)
    }

    var logBytes: Int {
      ((try? FileManager.default.attributesOfItem(atPath: "\(directory)/a.db-wal")[.size]) as? Int) ?? 0
    }

    /// Commits until there is no room.
    func fill() throws -> EngineError? {
      for _ in 0..<200 {
        do throws(EngineError) { try ours.execute("INSERT INTO t(v) VALUES (zeroblob(100))") } catch { return error }
      }
      return nil
    }
  }

  @Test("SQLite's snapshot holds the log back, and the refusal says that it is another process's")
  func readerOfSQLite() throws {
    let shared = try Shared()
    #expect(try shared.fill() == nil, "nobody holds it back")
    for statement in ["BEGIN", "SELECT * FROM t"] { try shared.sqlite.execute(statement) }
    let error = try #require(try shared.fill())
    #expect(error.code == .busy && error.message == "database is locked")
    #expect(error.cause == "the log has reached wal_size_limit; a snapshot of another process holds it back")
    let length = shared.logBytes
    #expect(length >= Self.limit && length < Self.limit + 20 * Self.frameBytes)
    // It waits for it within the busy timeout.
    shared.ours.busyTimeoutMilliseconds = 300
    #expect(try shared.fill()?.code == .busy)
    #expect(shared.logBytes == length)
    shared.ours.busyTimeoutMilliseconds = 20_000
    let sqlite = shared.sqlite
    nonisolated(unsafe) let reader = sqlite
    let thread = Thread {
      Thread.sleep(forTimeInterval: 0.2)
      unsafe try? reader.execute("COMMIT")
    }
    thread.start()
    try shared.ours.execute("INSERT INTO t(v) VALUES (1)")
    while !thread.isFinished { Thread.sleep(forTimeInterval: 0.01) }
    #expect(try shared.fill() == nil)
    #expect(shared.logBytes <= length)
    #expect("\(try shared.sqlite.rows("PRAGMA integrity_check").rows)".contains("ok"))
  }

  @Test("a log that SQLite has filled is copied back and started again by the next writer, whatever his transaction")
  func filledBySQLite() throws {
    for begin in ["", "BEGIN IMMEDIATE;", "BEGIN CONCURRENT;", "BEGIN; SELECT count(*) FROM t;"] {
      let shared = try Shared()
      try shared.ours.execute("SELECT * FROM t")
      try shared.sqlite.execute("PRAGMA wal_autocheckpoint=0")
      for _ in 0..<60 { try shared.sqlite.execute("INSERT INTO t(v) VALUES (zeroblob(100))") }
      let commit = begin.isEmpty ? "" : "; COMMIT"
      try shared.ours.execute("\(begin) INSERT INTO t(v) VALUES (7)\(commit)")
      let frames = "\(try shared.sqlite.rows("PRAGMA wal_checkpoint").rows)"
      #expect(!frames.contains("6"), "the log has started again: \(frames)")
      #expect("\(try shared.sqlite.rows("SELECT count(*) FROM t").rows)".contains("61"))
      #expect("\(try shared.sqlite.rows("PRAGMA integrity_check").rows)".contains("ok"))
    }
  }
}
