// PRAGMA journal_size_limit and cache_spill: the answers are SQLite's, and so is what stays of a journal.

import ApusHarness
import Foundation
import Testing

@Suite("Differential: journals and spilling", .timeLimit(.minutes(20)))
struct MemoryPragmaTests {
  private final class Side {
    let directory: String
    let connection: any HarnessConnection

    init(_ engine: any HarnessEngine, _ name: String) throws {
      let url = FileManager.default.temporaryDirectory.resolvingSymlinksInPath()
        .appendingPathComponent("apus-memory-\(name)-\(UUID().uuidString)")
      try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
      directory = url.path
      connection = try engine.open("\(directory)/main.db", readOnly: false)
    }

    func run(_ sql: String) -> String {
      do throws(EngineFailure) {
        return try connection.rows(sql.replacingOccurrences(of: "$", with: directory)).rows.map { "\($0)" }
          .joined(separator: " ")
      } catch {
        return "\(error)"
      }
    }

    /// The length of a file beside the database; nil where it is not there.
    func size(_ suffix: String) -> Int? {
      (try? FileManager.default.attributesOfItem(atPath: "\(directory)/main.db\(suffix)"))?[.size] as? Int
    }

    deinit {
      connection.close()
      try? FileManager.default.removeItem(atPath: directory)
    }
  }

  private static func sides() throws -> (ours: Side, reference: Side) {
    (try Side(ApusEngine(), "ours"), try Side(try SQLiteLibrary(), "reference"))
  }

  @Test(
    "what stays of a journal is what SQLite leaves", arguments: ["persist", "truncate", "delete"], [false, true])
  func keptJournal(mode: String, isExclusive: Bool) throws {
    for limit in [0, 100, 5000] {
      let (ours, reference) = try Self.sides()
      func both(_ sql: String) {
        let expected = reference.run(sql), found = ours.run(sql)
        #expect(found == expected, "\(mode) \(isExclusive) \(limit): \(sql)")
      }
      func compareJournals(_ moment: String) {
        #expect(ours.size("-journal") == reference.size("-journal"), "\(mode) \(isExclusive) \(limit): \(moment)")
      }
      both("PRAGMA locking_mode = \(isExclusive ? "exclusive" : "normal")")
      both("PRAGMA journal_mode = \(mode)")
      both("PRAGMA journal_size_limit = \(limit)")
      both("CREATE TABLE t(a)")
      both("INSERT INTO t VALUES (randomblob(400000))")
      for synchronous in ["off", "normal", "full"] {
        both("PRAGMA synchronous = \(synchronous)")
        both("UPDATE t SET a = randomblob(390000)")
        compareJournals(synchronous)
        both("BEGIN")
        both("PRAGMA cache_size = 10")
        both("UPDATE t SET a = randomblob(380000)")
        both("ROLLBACK")
        compareJournals("rollback")
      }
      both("PRAGMA integrity_check")
      both("PRAGMA locking_mode = normal")
      both("SELECT length(a) FROM t")
      compareJournals("normal locking")
      both("PRAGMA locking_mode = \(isExclusive ? "exclusive" : "normal")")
      both("UPDATE t SET a = randomblob(370000)")
      ours.connection.close()
      reference.connection.close()
      compareJournals("close")
    }
  }

  @Test("a kept journal without a limit keeps its length, and a limit is a database's own")
  func limits() throws {
    let (ours, reference) = try Self.sides()
    for sql in [
      "ATTACH '$/k.db' AS k", "PRAGMA k.journal_size_limit = 77", "PRAGMA journal_size_limit", "PRAGMA k.journal_size_limit",
      "PRAGMA main.journal_size_limit = 88", "PRAGMA temp.journal_size_limit = 99", "PRAGMA temp.journal_size_limit",
      "PRAGMA k.journal_size_limit", "PRAGMA journal_size_limit = -77", "PRAGMA journal_size_limit = '12'",
      "PRAGMA journal_size_limit = 0x10", "PRAGMA journal_size_limit = 5000000000", "PRAGMA journal_size_limit = +3",
      "PRAGMA k.journal_size_limit = -1", "PRAGMA k.journal_size_limit",
    ] {
      let expected = reference.run(sql)
      #expect(ours.run(sql) == expected, "\(sql)")
    }
    _ = ours.run("PRAGMA journal_mode = persist")
    _ = ours.run("PRAGMA journal_size_limit = -1")
    _ = ours.run("CREATE TABLE t(a)")
    _ = ours.run("INSERT INTO t VALUES (randomblob(400000))")
    _ = ours.run("UPDATE t SET a = randomblob(400000)")
    #expect(ours.size("-journal") ?? 0 > 8000)
  }

  @Test("cache_spill answers as SQLite does")
  func spillAnswers() throws {
    let (ours, reference) = try Self.sides()
    #expect(ours.run("PRAGMA temp.cache_spill") == reference.run("PRAGMA temp.cache_spill"))
    let statements = [
      "PRAGMA cache_spill", "ATTACH '$/k.db' AS k", "PRAGMA cache_spill = 5000", "PRAGMA cache_spill", "PRAGMA k.cache_spill",
      "PRAGMA cache_spill = on", "PRAGMA cache_spill", "PRAGMA k.cache_spill = 0",
      "PRAGMA cache_spill", "PRAGMA k.cache_spill", "PRAGMA cache_spill = 1", "PRAGMA cache_spill",
      "PRAGMA k.cache_spill = -100", "PRAGMA k.cache_spill", "PRAGMA k.cache_spill = -100000", "PRAGMA k.cache_spill",
      "PRAGMA cache_spill = false", "PRAGMA cache_spill", "ATTACH '$/l.db' AS l", "PRAGMA l.cache_spill",
      "PRAGMA cache_spill = yes", "PRAGMA l.cache_spill", "PRAGMA cache_size = 100", "PRAGMA cache_spill",
      "PRAGMA cache_size = -64", "PRAGMA cache_spill", "PRAGMA cache_spill = 600", "PRAGMA cache_spill",
      "PRAGMA cache_spill = no", "PRAGMA cache_spill = 0x41", "PRAGMA cache_spill", "PRAGMA cache_size = 0",
      "PRAGMA cache_spill = 1", "PRAGMA cache_spill",
    ]
    for pageSize in [512, 1024, 4096, 65536] {
      for sql in ["PRAGMA page_size = \(pageSize)"] + statements {
        let expected = reference.run(sql)
        #expect(ours.run(sql) == expected, "\(pageSize): \(sql)")
      }
      _ = ours.run("DETACH k")
      _ = ours.run("DETACH l")
      _ = reference.run("DETACH k")
      _ = reference.run("DETACH l")
      // The statements begin with the defaults.
      for sql in ["PRAGMA cache_size = -2000", "PRAGMA cache_spill = 1"] { _ = (ours.run(sql), reference.run(sql)) }
    }
  }

  @Test("pages spill as cache_spill says", arguments: ["delete", "wal"])
  func spilling(mode: String) throws {
    /// Whether a transaction of some 250 pages has reached the disk before its commit: the log or the journal is there.
    func spills(_ asks: String) throws -> Bool {
      let side = try Side(ApusEngine(), "spill")
      _ = side.run("PRAGMA journal_mode = \(mode)")
      _ = side.run("CREATE TABLE t(a)")
      for sql in asks.split(separator: ";") { #expect(side.run(String(sql)) == "") }
      let before = side.size(mode == "wal" ? "-wal" : "-journal") ?? 0
      _ = side.run("BEGIN")
      for _ in 0..<250 { #expect(side.run("INSERT INTO t VALUES (randomblob(3900))") == "") }
      let after = side.size(mode == "wal" ? "-wal" : "-journal") ?? 0
      #expect(side.run("COMMIT") == "")
      #expect(side.run("SELECT count(*) FROM t") == "[250]")
      #expect(side.run("PRAGMA integrity_check") == "['ok']")
      return after > before
    }
    #expect(try !spills("PRAGMA cache_size = 500"))
    #expect(try spills("PRAGMA cache_size = 50"))
    #expect(try !spills("PRAGMA cache_size = 50; PRAGMA cache_spill = off"))
    #expect(try spills("PRAGMA cache_size = 50; PRAGMA cache_spill = off; PRAGMA cache_spill = on"))
    #expect(try !spills("PRAGMA cache_size = 50; PRAGMA cache_spill = 1000"))
    #expect(try spills("PRAGMA cache_size = 50; PRAGMA cache_spill = 150"))
    // The budget is the other bound.
    #expect(try !spills("PRAGMA cache_size = 500; PRAGMA cache_spill = 20"))
  }
}
