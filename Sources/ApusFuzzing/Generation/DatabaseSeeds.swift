// Small databases, logs and journals: what campaigns on files begin with. Our engine writes those that it can, SQLite the rest.

import ApusBase
import ApusHarness
import ApusIO
import Glibc

enum DatabaseSeeds {
  private static let path = "/seed.db"

  private static let plain = """
    CREATE TABLE t(a INTEGER PRIMARY KEY, b TEXT UNIQUE, c REAL, d BLOB); CREATE INDEX ti ON t(c, b);
    CREATE TABLE w(k TEXT PRIMARY KEY, n INTEGER NOT NULL DEFAULT 3, x) WITHOUT ROWID; CREATE INDEX wi ON w(n DESC);
    CREATE TABLE e(v CHECK (v <> 'bad')); CREATE VIEW v AS SELECT t.a, w.n FROM t JOIN w ON w.n = t.a;
    """

  /// Rows as text, so that no statement is needed that our engine refuses.
  private static func rows(_ count: Int) -> String {
    (1...count).map { i in
      """
      INSERT INTO t VALUES(\(i), 'text \(i)', \(i) / 4.0, zeroblob(\(i % 7 == 0 ? i * 20 : i)));
      INSERT INTO w VALUES('key \(i)', \(i % 17), \(i % 9 == 0 ? "hex(zeroblob(\(i * 3)))" : "\(i)"));
      """
    }.joined()
      + "INSERT INTO e SELECT b FROM t WHERE a % 2; DELETE FROM t WHERE a BETWEEN \(count / 3) AND \(count / 2);"
  }

  /// Runs a script on a new database of ours and gives its files.
  private static func ours(_ script: String, suffix: String = "") throws(EngineFailure) -> (
    database: [UInt8], other: [UInt8]
  ) {
    let world = MemoryEnvironment(seed: 1)
    guard let connection = try ApusEngine(environment: world).open(path, readOnly: false) as? ApusConnection else {
      return ([], [])
    }
    try connection.execute(script)
    if suffix.isEmpty { connection.close() }
    return (world.contents(of: path) ?? [], world.contents(of: path + suffix) ?? [])
  }

  private static func sqlite(_ script: String) throws(EngineFailure) -> [UInt8] {
    // Several threads of one process may be at it.
    let path = "/dev/shm/apus-fuzz-seed-\(getpid())-\(SystemEnvironment().randomUInt64()).db"
    defer { for suffix in ["", "-journal", "-wal", "-shm"] { Console.remove(path + suffix) } }
    let connection = try SQLiteLibrary().open(path, readOnly: false)
    try connection.execute(script)
    connection.close()
    return Console.contents(of: path) ?? []
  }

  static func databases() throws(EngineFailure) -> [FuzzSeed] {
    var seeds = [FuzzSeed("nothing", [])]
    for (size, count) in [(512, 3), (512, 40), (512, 90), (1024, 50), (4096, 60)] {
      for extra in ["", "PRAGMA auto_vacuum = 1;", "PRAGMA encoding = 'UTF-16le';", "PRAGMA page_checksums = on;"] {
        let name = "ours-\(size)-\(count)" + (extra.split(separator: " ").dropFirst().first.map { "-\($0)" } ?? "")
        seeds.append(FuzzSeed(name, try ours("PRAGMA page_size = \(size);\(extra)\(plain)\(rows(count))").database))
      }
    }
    // The page size's edge, a database in WAL mode, and what only SQLite can make.
    seeds.append(
      FuzzSeed("ours-wal", try ours("PRAGMA page_size = 512; PRAGMA journal_mode = wal; \(plain)\(rows(20))").database))
    seeds.append(FuzzSeed("sqlite-small", try sqlite(SmallDatabase.script)))
    seeds.append(
      FuzzSeed(
        "sqlite-kinds",
        try sqlite(
          """
          PRAGMA page_size = 512; CREATE TABLE g(a, b AS (a * 2) STORED, c AS (a + 1)); INSERT INTO g VALUES(1), (5);
          CREATE TABLE s(id INTEGER PRIMARY KEY AUTOINCREMENT, q); INSERT INTO s(q) VALUES(1), (2);
          CREATE TABLE st(a INT, b TEXT, c ANY) STRICT; INSERT INTO st VALUES(1, 'x', 2.5);
          CREATE TRIGGER tr AFTER INSERT ON s BEGIN SELECT 1; END; CREATE INDEX gp ON g(a) WHERE a > 2;
          CREATE INDEX ge ON g(a + 1, a DESC); CREATE TABLE p(a REFERENCES s(id)); ALTER TABLE p ADD COLUMN z DEFAULT 'late';
          INSERT INTO p VALUES(1, 2); ANALYZE; PRAGMA user_version = 7;
          """)))
    return seeds.filter { $0.bytes.count <= DatabaseTarget.byteCountMax }
  }

  private static let changes = [
    "UPDATE t SET b = b || 'x', d = zeroblob(700) WHERE a % 3 = 0; DELETE FROM w WHERE k LIKE '%7'",
    "INSERT INTO t SELECT a + 1000, 'new' || a, c, d FROM t; UPDATE w SET n = n + 1",
    "DELETE FROM t; DELETE FROM w; CREATE TABLE n(z)",
  ]

  static func logs() throws(EngineFailure) -> [FuzzSeed] {
    var seeds: [FuzzSeed] = []
    for (size, count) in [(512, 3), (512, 30), (1024, 30)] {
      for (index, change) in changes.enumerated() {
        let script = """
          PRAGMA page_size = \(size); \(plain)\(rows(count)) PRAGMA journal_mode = wal; PRAGMA wal_autocheckpoint = 0; \(change);
          """
        let (database, log) = try ours(script, suffix: "-wal")
        seeds.append(FuzzSeed("wal-\(size)-\(count)-\(index)", SplitInput(database, log).bytes))
      }
    }
    return seeds.filter { $0.bytes.count <= LogTarget.byteCountMax && $0.bytes.count > 1000 }
  }

  static func journals() throws(EngineFailure) -> [FuzzSeed] {
    var seeds: [FuzzSeed] = []
    for (size, count) in [(512, 3), (512, 30), (1024, 30)] {
      for (index, change) in changes.enumerated() {
        let script = """
          PRAGMA page_size = \(size); \(plain)\(rows(count)) PRAGMA journal_mode = delete; PRAGMA cache_size = 1; BEGIN; \(change);
          """
        let (database, journal) = try ours(script, suffix: "-journal")
        seeds.append(FuzzSeed("journal-\(size)-\(count)-\(index)", SplitInput(database, journal).bytes))
      }
    }
    return seeds.filter { $0.bytes.count <= JournalTarget.byteCountMax && $0.bytes.count > 1000 }
  }

  /// Another database, made of this one by our engine: the change that keeps every offset right.
  /// - Returns: false where the bytes are no database that can be changed.
  static func change(_ bytes: inout [UInt8], _ random: inout SeededRandom, byteCountMax: Int) -> Bool {
    let world = MemoryEnvironment(seed: 1)
    world.setContents(of: path, to: bytes)
    guard let connection = try? FuzzEngines.ours(path, in: world) else { return false }
    for _ in 0...random.below(3) {
      try? connection.execute(structuralChanges[random.below(structuralChanges.count)])
    }
    connection.close()
    guard let changed = world.contents(of: path), changed.count <= byteCountMax, !changed.isEmpty else { return false }
    let hasChanged = changed != bytes
    bytes = changed
    return hasChanged
  }

  private static let structuralChanges: [String] =
    SmallDatabase.changes + changes + [
      "CREATE TABLE x1(a, b, c, d, e, f, g)", "CREATE TABLE x2(p PRIMARY KEY, q) WITHOUT ROWID", "DROP TABLE x1",
      "INSERT INTO x1 VALUES (1, 2.5, 'x', x'00', NULL, 0, 1)", "INSERT INTO x2 SELECT b, a FROM t", "DROP TABLE e",
      "DROP INDEX wi",
      "CREATE INDEX x3 ON t(length(b), a DESC) WHERE c > 1", "VACUUM", "PRAGMA auto_vacuum = 2; VACUUM",
      "PRAGMA page_size = 1024; VACUUM",
      "PRAGMA incremental_vacuum(3)", "PRAGMA user_version = 12345", "DELETE FROM x1",
      "CREATE VIEW x4 AS SELECT * FROM x1",
      "CREATE TABLE x5(a COLLATE NOCASE UNIQUE, b DEFAULT 'y' CHECK (b <> 'z'), PRIMARY KEY(b, a))",
      "INSERT INTO t(b) VALUES (printf('%.*c', 3000, 'q'))",
    ]
}
