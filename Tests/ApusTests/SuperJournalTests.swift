// Transactions over several files: a COMMIT that is dropped at any wait, and a crash at any wait, leave all files at the same
// transaction, for us and for SQLite.

import ApusBase
import ApusHarness
import ApusIO
import ApusStorage
import Foundation
import Testing

@testable import Apus

@Suite(.timeLimit(.minutes(20))) struct SuperJournalTests {
  private static func open(_ environment: MemoryEnvironment, _ directory: String, mode: String) throws -> Connection {
    let connection = try Connection("\(directory)/main.db", environment: environment)
    try connection.execute("ATTACH '\(directory)/o.db' AS o; ATTACH '\(directory)/w.db' AS w; PRAGMA journal_mode = \(mode)")
    return connection
  }

  /// Three files with a table of 60 rows each, changed in one transaction that is not committed yet.
  private static func begin(
    _ environment: MemoryEnvironment, _ directory: String, mode: String, spills: Bool = false
  ) throws -> Connection {
    let connection = try open(environment, directory, mode: mode)
    for schema in ["main", "o", "w"] {
      if spills { try connection.execute("PRAGMA \(schema).cache_size = 10") }
      try connection.execute("CREATE TABLE \(schema).\(schema)_t(id INTEGER PRIMARY KEY, n, v)")
      try connection.execute(
        """
        WITH RECURSIVE s(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM s WHERE i < 60)
        INSERT INTO \(schema)_t SELECT i, 1, zeroblob(900) FROM s
        """)
    }
    try connection.execute("BEGIN")
    // The third file is changed by every other transaction only.
    for schema in ["main", "o"] + (spills ? ["w"] : []) {
      try connection.execute("UPDATE \(schema)_t SET n = 2, v = zeroblob(950)")
    }
    return connection
  }

  private static let counts = "SELECT (SELECT min(n) || max(n) FROM main_t), (SELECT min(n) || max(n) FROM o_t)"

  /// Steps COMMIT up to wait number `limit`, or to its end.
  private static func commit(_ connection: Connection, limit: Int) throws -> (statement: PreparedStatement, isDone: Bool) {
    let statement = try connection.prepareBlocking("COMMIT")
    var waits = 0
    while case .pending(let wait) = try statement.step() {
      waits += 1
      if waits > limit { return (statement, false) }
      connection.wait(for: wait)
    }
    return (statement, true)
  }

  enum Then: CaseIterable { case rollback, commit, change, savepoint, close }

  @Test("a COMMIT of several files that is dropped at a wait is done whole or not at all", arguments: Then.allCases)
  func dropped(then: Then) throws {
    for mode in ["delete", "truncate", "persist"] {
      var limit = 0
      while true {
        let environment = MemoryEnvironment(seed: 7, completesAtOnce: false)
        let connection = try Self.begin(environment, "/d", mode: mode, spills: limit % 2 == 1)
        let (statement, isDone) = try Self.commit(connection, limit: limit)
        if limit % 3 == 0 { statement.reset() }
        statement.finalize()
        if isDone { break }
        let place: Comment = "\(mode), wait \(limit), \(then)"
        var expected = ["11", "22"]
        switch then {
        case .rollback: _ = try? connection.execute("ROLLBACK")
        case .commit:
          _ = try? connection.execute("COMMIT")
          expected = ["22"]
        case .change:
          do {
            try connection.execute("UPDATE o_t SET n = 3; UPDATE main_t SET n = 3")
            try connection.execute("COMMIT")
            expected = ["33"]
          } catch {
            expected = ["22"]
          }
        case .savepoint:
          do {
            try connection.execute("SAVEPOINT s; UPDATE main_t SET n = 4; ROLLBACK TO s")
            try connection.execute("COMMIT")
          } catch {}
          expected = ["22"]
        case .close: try connection.closeBlocking()
        }
        if then != .close {
          #expect(connection.isAutocommit, place)
          let row = try connection.text(Self.counts)
          #expect(expected.contains { row == ["\($0)|\($0)"] }, "\(place): \(row)")
          try connection.closeBlocking()
        }
        let other = try Self.open(environment, "/d", mode: mode)
        let row = try other.text(Self.counts)
        #expect(expected.contains { row == ["\($0)|\($0)"] }, "\(place), opened again: \(row)")
        #expect(try other.text("PRAGMA integrity_check") == ["ok"], place)
        try other.closeBlocking()
        #expect(!environment.paths.contains { $0.contains("-mj") }, "\(place): \(environment.paths)")
        limit += 1
      }
      #expect(limit > 5)
    }
  }

  @Test("a process that is killed at any wait of a COMMIT leaves all files at one transaction", arguments: [false, true])
  func killed(spills: Bool) throws {
    let sqlite = try SQLiteLibrary()
    for (number, mode) in ["delete", "truncate", "persist"].enumerated() {
      let directory = FileManager.default.temporaryDirectory.resolvingSymlinksInPath()
        .appendingPathComponent("apus-super-\(UInt64.random(in: 0 ... .max))").path
      try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
      defer { try? FileManager.default.removeItem(atPath: directory) }
      var seen: Set<String> = []
      var limit = 0
      while true {
        let environment = MemoryEnvironment(seed: 11, completesAtOnce: false)
        let connection = try Self.begin(environment, directory, mode: mode, spills: spills)
        let (statement, isDone) = try Self.commit(connection, limit: limit)
        let place: Comment = "\(mode), wait \(limit)"
        // What a killed process leaves, read by another one: the attached file first, or both at once.
        let found = MemoryEnvironment(seed: 12)
        for path in environment.paths { found.setContents(of: path, to: environment.contents(of: path) ?? []) }
        if limit % 2 == 0 {
          let alone = try Connection("\(directory)/o.db", environment: found)
          #expect(try alone.text("SELECT count(*) FROM o_t") == ["60"], place)
          try alone.closeBlocking()
        }
        let ours = try Self.open(found, directory, mode: mode)
        let row = try ours.text(Self.counts)
        #expect(row == ["11|11"] || row == ["22|22"], "\(place): \(row)")
        #expect(try ours.text("PRAGMA integrity_check") == ["ok"], place)
        try ours.closeBlocking()
        seen.formUnion(row)
        if (limit + number) % 3 == 0 {
          // And by SQLite.
          for file in try FileManager.default.contentsOfDirectory(atPath: directory) {
            try FileManager.default.removeItem(atPath: directory + "/" + file)
          }
          for path in environment.paths where path.hasPrefix(directory) {
            try Data(environment.contents(of: path) ?? []).write(to: URL(fileURLWithPath: path))
          }
          let theirs = try sqlite.open("\(directory)/main.db", readOnly: false)
          try theirs.execute("ATTACH '\(directory)/o.db' AS o; ATTACH '\(directory)/w.db' AS w")
          let values = try theirs.rows(Self.counts).rows.map { "\($0[0])|\($0[1])".replacingOccurrences(of: "'", with: "") }
          #expect(values == row, "\(place): SQLite finds \(values), we \(row)")
          #expect(try theirs.rows("PRAGMA integrity_check").rows == [[.text("ok")]], place)
          theirs.close()
        }
        statement.finalize()
        if isDone { break }
        limit += 1
      }
      #expect(seen.count == 2, "\(mode): \(seen)")
    }
  }
}
