// Scans that read ahead see what scans without it see: whatever part of the file the kernel has in its cache, wherever
// pages are newer in the log, in the transaction, or spilled.

import ApusBase
import ApusIO
import ApusStorage
import Testing

@testable import Apus

@Suite(.timeLimit(.minutes(20))) struct ReadAheadTests {
  struct Setting: CustomTestStringConvertible, Sendable {
    var seed: UInt64
    var mode: String
    var cacheHits: MemoryEnvironment.CacheHits
    var completesAtOnce: Bool
    var testDescription: String { "seed \(seed), \(mode), cache hits \(cacheHits), at once \(completesAtOnce)" }
  }

  static let settings: [Setting] = (1...8).map { seed in
    Setting(
      seed: seed, mode: ["wal", "wal", "delete"][Int(seed) % 3], cacheHits: seed % 4 == 0 ? .always : .sometimes,
      completesAtOnce: seed % 5 == 0)
  }

  /// Two environments over the same statements: one with cache hits and one without.
  @Test("a scan gives the same rows with read-ahead and without", arguments: settings)
  func sameRows(setting: Setting) throws {
    var random = SeededRandom(seed: setting.seed)
    let pageSize = [512, 1024, 4096][random.below(3)]
    let worlds = [
      MemoryEnvironment(seed: setting.seed, completesAtOnce: setting.completesAtOnce, cacheHits: setting.cacheHits),
      MemoryEnvironment(seed: setting.seed, completesAtOnce: true),
    ]
    func open() throws -> [[Connection]] {
      try worlds.map { world in
        try (0..<2).map { _ in
          let connection = try Connection("/a.db", environment: world)
          // Smaller than a read-ahead, or larger than the table.
          try connection.execute("PRAGMA cache_size = \(setting.seed % 2 == 0 ? 10 : 400); PRAGMA wal_autocheckpoint = 30")
          return connection
        }
      }
    }
    var connections = try open()
    func both(_ who: Int, _ sql: String) throws {
      for world in 0..<2 { try connections[world][who].execute(sql) }
    }
    try both(0, "PRAGMA page_size = \(pageSize); PRAGMA journal_mode = \(setting.mode)")
    try both(0, "CREATE TABLE t(id INTEGER PRIMARY KEY, k, v); CREATE INDEX tk ON t(k)")
    try both(0, "CREATE TABLE w(id PRIMARY KEY, k, v) WITHOUT ROWID")
    let rows = """
      WITH RECURSIVE s(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM s WHERE i < 500)
      INSERT INTO %@ SELECT i, i * 37 % 500, hex(zeroblob(30 + i % 50)) FROM s
      """
    for table in ["t", "w"] { try both(0, rows.replacing("%@", with: table)) }
    let scans = [
      "SELECT * FROM t", "SELECT * FROM t ORDER BY id DESC", "SELECT k FROM t ORDER BY k", "SELECT count(v) FROM t WHERE id > 100",
      "SELECT * FROM w", "SELECT id FROM t WHERE k BETWEEN 20 AND 400", "SELECT t.id, w.id FROM t JOIN w ON w.id = t.k LIMIT 300",
    ]
    func compare(_ place: String) throws {
      let sql = scans[random.below(scans.count)]
      for who in 0..<2 {
        let found = try connections[0][who].text(sql), expected = try connections[1][who].text(sql)
        #expect(found == expected, "\(setting.testDescription), \(place), connection \(who): \(sql)")
      }
    }
    for round in 0..<15 {
      let writer = random.below(2)
      let isExplicit = random.oneIn(2)
      if isExplicit { try both(writer, "BEGIN") }
      for step in 0..<1 + random.below(4) {
        let table = random.oneIn(2) ? "t" : "w", low = random.below(500), high = low + random.below(60)
        switch random.below(6) {
        case 0: try both(writer, "DELETE FROM \(table) WHERE id BETWEEN \(low) AND \(high)")
        case 1:
          let source = "SELECT id + 3, k, v || 'x' FROM t WHERE id BETWEEN \(low) AND \(high)"
          try both(writer, "INSERT OR REPLACE INTO \(table) \(source)")
        case 2: try both(writer, "UPDATE \(table) SET k = k + 1 WHERE id BETWEEN \(low) AND \(high)")
        case 3: try both(writer, "UPDATE \(table) SET v = zeroblob(900) WHERE id = \(low)")
        case 4: try both(writer, "UPDATE \(table) SET k = -k WHERE id % 40 = \(low % 40)")
        default:
          if setting.mode == "wal", !isExplicit { try both(random.below(2), "PRAGMA wal_checkpoint") }
        }
        // In the midst of the transaction: its own pages are newer than the file, and some are spilled. In a rollback
        // journal's mode a spill keeps the others out.
        if setting.mode == "wal" { try compare("round \(round), step \(step)") }
      }
      if isExplicit { try both(writer, random.oneIn(4) ? "ROLLBACK" : "COMMIT") }
      try compare("after round \(round)")
      if random.oneIn(6) {
        for world in connections { for connection in world { try connection.closeBlocking() } }
        connections = try open()
        try compare("opened again, round \(round)")
      }
    }
    #expect(worlds[0].cacheHitByteCount > 10 * pageSize && worlds[1].cacheHitByteCount == 0, "nothing was read ahead")
    for world in connections { for connection in world { try connection.closeBlocking() } }
    #expect(worlds[0].contents(of: "/a.db") == worlds[1].contents(of: "/a.db"), "\(setting.testDescription)")
  }

  @Test("a scan beside a statement that changes its table sees whole rows, each untouched one once", arguments: UInt64(1)...6)
  func openScans(seed: UInt64) throws {
    var random = SeededRandom(seed: seed)
    let environment = MemoryEnvironment(seed: seed, completesAtOnce: false, cacheHits: seed % 2 == 0 ? .always : .sometimes)
    let connection = try Connection("/a.db", environment: environment)
    try connection.execute("PRAGMA page_size = 512; PRAGMA journal_mode = wal; CREATE TABLE t(id INTEGER PRIMARY KEY, k, v)")
    try connection.execute(
      """
      WITH RECURSIVE s(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM s WHERE i < 800)
      INSERT INTO t SELECT i, i % 10, hex(zeroblob(40)) FROM s
      """)
    for round in 0..<8 {
      // A fresh connection has nothing in memory.
      let reader = try Connection("/a.db", environment: environment)
      try reader.execute("PRAGMA cache_size = \([10, 40, 1000][random.below(3)]); BEGIN")
      let scan = try reader.prepareBlocking("SELECT id, k, v FROM t WHERE k >= 0")
      var seen: [Int64] = []
      var changed: Set<Int64> = []
      while try scan.stepBlocking() {
        let id = scan.column(0).integerValue
        if let last = seen.last { #expect(id > last, "seed \(seed), round \(round)") }
        seen.append(id)
        if random.oneIn(60) {
          // Before, at, and behind the cursor; near enough to lie in what was read ahead.
          let target = id + Int64(random.below(160)) - 40
          changed.formUnion(target...target + 5)
          try reader.execute(
            random.oneIn(2)
              ? "DELETE FROM t WHERE id BETWEEN \(target) AND \(target + 5)"
              : "UPDATE t SET v = zeroblob(\(random.below(900))) WHERE id BETWEEN \(target) AND \(target + 5)")
        }
      }
      scan.finalize()
      let rows = try connection.text("SELECT id FROM t")
      let expected = rows.compactMap { Int64($0) }.filter { !changed.contains($0) }
      #expect(seen.filter { !changed.contains($0) } == expected, "seed \(seed), round \(round)")
      try reader.execute(random.oneIn(2) ? "COMMIT" : "ROLLBACK")
      try reader.closeBlocking()
      #expect(try connection.text("PRAGMA integrity_check") == ["ok"])
    }
    #expect(environment.cacheHitByteCount > 0)
    try connection.closeBlocking()
  }

  @Test("a scan of a file that was cut short says so, with read-ahead as without", arguments: [10, 100, 200, 201])
  func shortFile(pages: Int) throws {
    let world = MemoryEnvironment(seed: 7)
    let connection = try Connection("/a.db", environment: world)
    try connection.execute("PRAGMA page_size = 512; CREATE TABLE t(id INTEGER PRIMARY KEY, v)")
    try connection.execute(
      """
      WITH RECURSIVE s(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM s WHERE i < 900)
      INSERT INTO t SELECT i, hex(zeroblob(50)) FROM s
      """)
    try connection.closeBlocking()
    let whole = try #require(world.contents(of: "/a.db"))
    // Half a page more than so many: the last read of the range is short.
    let bytes = Array(whole.prefix(pages * 512 + (pages % 2 == 0 ? 200 : 0)))
    var answers: [String] = []
    for hits in [MemoryEnvironment.CacheHits.never, .sometimes, .always] {
      let environment = MemoryEnvironment(seed: 3, completesAtOnce: false, cacheHits: hits)
      environment.setContents(of: "/b.db", to: bytes)
      let reader = try Connection("/b.db", environment: environment)
      var rows = 0
      let error = failure {
        let statement = try reader.prepareBlocking("SELECT id, v FROM t")
        while try statement.stepBlocking() { rows += 1 }
      }
      answers.append("\(rows) rows, \(error.map { "\($0.code.rawValue) \($0.message)" } ?? "no error")")
      try? reader.closeBlocking()
    }
    #expect(answers[0] == answers[1] && answers[0] == answers[2], "\(pages) pages: \(answers)")
  }
}
