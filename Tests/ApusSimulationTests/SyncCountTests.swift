// Which files are synced at each event, at each level of `synchronous`, in each journal mode, and in which order: the table in
// SPEC.md, chapter 4. A letter is a sync:
//
//   M m  database, the attached database     L l  log        D  directory
//   J j  journal, of the attached database   S    super-journal
//
// What SQLite 3.54.1 does instead stands in the table.

import Apus
import ApusBase
import ApusIO
import ApusSimulation
import Testing

@Suite("Syncs") struct SyncCountTests {
  static let levels = ["off", "normal", "full", "extra"]

  /// One connection on a virtual disk that says what was synced.
  struct World {
    let disk: SimulatedDisk
    let environment: SimulatedEnvironment
    var connection: Connection
    let level: String

    init(journal: String, level: String) throws {
      disk = SimulatedDisk(choices: ChoiceSource(.seed(5)))
      environment = SimulatedEnvironment(disk: disk, clock: VirtualClock(), seed: 5)
      self.level = level
      connection = try Connection("/d/main.db", environment: environment)
      try connection.execute("PRAGMA page_size = 512; PRAGMA synchronous = \(level)")
      if journal != "wal" { try connection.execute("PRAGMA journal_mode = \(journal)") }
      disk.syncLog = []
    }

    /// What `sql` has synced.
    func syncs(_ sql: String) throws -> String {
      disk.syncLog = []
      try connection.execute(sql)
      return letters()
    }

    func letters() -> String {
      (disk.syncLog ?? []).map { path in
        if path.hasSuffix("/") { return "D" }
        if path.contains("-mj") { return "S" }
        let letter = path.hasSuffix("-journal") ? "J" : path.hasSuffix("-wal") ? "L" : "M"
        return path.hasPrefix("/d/two.db") ? letter.lowercased() : letter
      }.joined()
    }

    func fill() throws {
      try connection.execute("BEGIN; INSERT INTO t VALUES (1, 1), (2, 2), (3, zeroblob(2000))")
      try connection.execute(
        """
        WITH RECURSIVE s(i) AS (VALUES (4) UNION ALL SELECT i + 1 FROM s WHERE i < 80)
        INSERT INTO t SELECT i, zeroblob(400) FROM s
        """)
      try connection.execute("COMMIT")
    }

    /// 50 pages of one row each, many more than the smallest cache leaves private.
    static let spilling = "UPDATE t SET b = zeroblob(401) WHERE a BETWEEN 5 AND 54"

    /// The processes end without a word, and what they wrote is all there.
    mutating func die() throws {
      disk.cutPower(.everything)
      connection = try Connection("/d/main.db", environment: environment)
      try connection.execute("PRAGMA synchronous = \(level)")
    }
  }

  struct Expected: CustomStringConvertible, Sendable {
    var journal: String
    /// Per level: OFF, NORMAL, FULL, EXTRA.
    var rows: [String: [String]]
    var description: String { journal }
  }

  /// The directory goes with a journal's first sync behind which the file is written; a journal that is kept has it once.
  static let journals = [
    Expected(
      journal: "delete",
      rows: [
        "create": ["", "JDM", "JJDM", "JJDMD"],
        "one page": ["", "JDM", "JJDM", "JJDMD"],
        "second": ["", "JDM", "JJDM", "JJDMD"],
        "grow": ["", "JDM", "JJDM", "JJDMD"],
        "delete": ["", "JDM", "JJDM", "JJDMD"],
        "roll back": ["", "", "", ""],
        // At the smallest cache: SQLite syncs its journal 13 times for 100 such pages, or 26.
        "spill": ["", "JDJJJJ", "JJDJJJJJJJJ", "JJDJJJJJJJJ"],
        "spilled commit": ["", "JM", "JJM", "JJMD"],
        "spilled roll back": ["", "M", "M", "MD"],
        "vacuum": ["", "JDM", "JJDM", "JJDMD"],
        "two files": ["", "SDJDMjDmD", "SDJJDMjjDmD", "SDJJDMjjDmDDD"],
        "hot journal": ["", "JMD", "JMD", "JMD"],
        "to WAL": ["", "JDMD", "JJDMD", "JJDMD"],
      ]),
    Expected(
      journal: "truncate",
      rows: [
        "create": ["", "JDM", "JJDMJ", "JJDMJ"],
        "one page": ["", "JM", "JJMJ", "JJMJ"],
        "second": ["", "JM", "JJMJ", "JJMJ"],
        "grow": ["", "JM", "JJMJ", "JJMJ"],
        "delete": ["", "JM", "JJMJ", "JJMJ"],
        "roll back": ["", "", "", ""],
        "spill": ["", "JJJJJ", "JJJJJJJJJJ", "JJJJJJJJJJ"],
        "spilled commit": ["", "JM", "JJMJ", "JJMJ"],
        "spilled roll back": ["", "M", "MJ", "MJ"],
        "vacuum": ["", "JM", "JJMJ", "JJMJ"],
        "two files": ["", "SDJMjmDJj", "SDJJMjjmDJj", "SDJJMjjmDJj"],
        "hot journal": ["", "JMD", "JMD", "JMD"],
        "to WAL": ["", "JDM", "JJDMJ", "JJDMJ"],
      ]),
    Expected(
      journal: "persist",
      rows: [
        "create": ["", "JDMJ", "JJDMJ", "JJDMJ"],
        "one page": ["", "JMJ", "JJMJ", "JJMJ"],
        "second": ["", "JMJ", "JJMJ", "JJMJ"],
        "grow": ["", "JMJ", "JJMJ", "JJMJ"],
        "delete": ["", "JMJ", "JJMJ", "JJMJ"],
        "roll back": ["", "", "", ""],
        "spill": ["", "JJJJJ", "JJJJJJJJJJ", "JJJJJJJJJJ"],
        "spilled commit": ["", "JMJ", "JJMJ", "JJMJ"],
        "spilled roll back": ["", "MJ", "MJ", "MJ"],
        "vacuum": ["", "JMJ", "JJMJ", "JJMJ"],
        "two files": ["", "SDJMjmDJj", "SDJJMjjmDJj", "SDJJMjjmDJj"],
        "hot journal": ["", "JMD", "JMD", "JMD"],
        "to WAL": ["", "JDMJ", "JJDMJ", "JJDMJ"],
      ]),
  ] + ["memory", "off"].map { journal in
    Expected(
      journal: journal,
      rows: [
        "create": ["", "M", "M", "M"],
        "one page": ["", "M", "M", "M"],
        "second": ["", "M", "M", "M"],
        "grow": ["", "M", "M", "M"],
        "delete": ["", "M", "M", "M"],
        "roll back": ["", "", "", ""],
        // Nothing spills: the file could not be brought back.
        "spill": ["", "", "", ""],
        "spilled commit": ["", "M", "M", "M"],
        "spilled roll back": ["", "", "", ""],
        // The copy goes back under a journal, as with DELETE: half of it must not stay.
        "vacuum": ["", "JDM", "JJDM", "JJDMD"],
        "two files": ["", "Mm", "Mm", "Mm"],
      ])
  }

  @Test("a rollback journal, its file and their directory", arguments: journals)
  func journal(expected: Expected) throws {
    let journal = expected.journal
    for (place, level) in Self.levels.enumerated() {
      var world = try World(journal: journal, level: level)
      func check(_ event: String, _ found: String) {
        #expect(found == expected.rows[event]?[place], "\(journal), synchronous = \(level), \(event)")
      }
      check("create", try world.syncs("CREATE TABLE t(a INTEGER PRIMARY KEY, b)"))
      try world.fill()
      check("one page", try world.syncs("UPDATE t SET b = 5 WHERE a = 1"))
      check("second", try world.syncs("UPDATE t SET b = 6 WHERE a = 1"))
      check("grow", try world.syncs("INSERT INTO t(b) VALUES (zeroblob(3000))"))
      check("delete", try world.syncs("DELETE FROM t WHERE a = 3"))
      check("roll back", try world.syncs("BEGIN; UPDATE t SET b = 7 WHERE a = 1; ROLLBACK"))
      try world.connection.execute("PRAGMA cache_size = 10; BEGIN")
      check("spill", try world.syncs(World.spilling))
      check("spilled commit", try world.syncs("COMMIT"))
      try world.connection.execute("BEGIN; \(World.spilling)")
      check("spilled roll back", try world.syncs("ROLLBACK"))
      check("vacuum", try world.syncs("VACUUM"))
      try world.connection.execute("ATTACH '/d/two.db' AS two; PRAGMA two.synchronous = \(level)")
      try world.connection.execute("PRAGMA two.journal_mode = \(journal); CREATE TABLE two.u(a); INSERT INTO u VALUES (1)")
      check("two files", try world.syncs("BEGIN; UPDATE t SET b = 9 WHERE a = 1; UPDATE u SET a = 2; COMMIT"))
      guard expected.rows["hot journal"] != nil else { continue }
      try world.connection.execute("BEGIN; \(World.spilling)")
      try world.die()
      check("hot journal", try world.syncs("SELECT count(*) FROM t"))
      try world.connection.execute("PRAGMA journal_mode = \(journal)")
      check("to WAL", try world.syncs("PRAGMA journal_mode = wal"))
    }
  }

  /// Per level: OFF, NORMAL, FULL, EXTRA. The rows are in the order of the events.
  static let log: [(event: String, sql: String, expected: [String])] = [
    ("to WAL", "PRAGMA journal_mode = wal", ["", "JDMD", "JJDMD", "JJDMD"]),
    ("the log's first commit", "CREATE TABLE t(a INTEGER PRIMARY KEY, b)", ["", "LD", "LDL", "LDL"]),
    ("a commit", "INSERT INTO t VALUES (1, 1)", ["", "", "L", "L"]),
    ("a second one", "UPDATE t SET b = 2", ["", "", "L", "L"]),
    ("a commit that makes the file longer", "INSERT INTO t(b) VALUES (zeroblob(9000))", ["", "", "L", "L"]),
    ("a roll-back", "BEGIN; UPDATE t SET b = 3; ROLLBACK", ["", "", "", ""]),
    ("passive checkpoint", "PRAGMA wal_checkpoint", ["", "LM", "LM", "LM"]),
    ("a checkpoint with nothing to do", "PRAGMA wal_checkpoint", ["", "", "", ""]),
    ("the log starts again", "UPDATE t SET b = 4 WHERE a = 1", ["", "L", "LL", "LL"]),
    ("a commit behind that", "UPDATE t SET b = 5 WHERE a = 1", ["", "", "L", "L"]),
    ("checkpoint and restart", "PRAGMA wal_checkpoint(RESTART)", ["", "LM", "LM", "LM"]),
    ("the log starts again, 2", "UPDATE t SET b = 6 WHERE a = 1", ["", "L", "LL", "LL"]),
    ("checkpoint and truncate", "PRAGMA wal_checkpoint(TRUNCATE)", ["", "LM", "LM", "LM"]),
    ("behind the empty log", "UPDATE t SET b = 7 WHERE a = 1", ["", "L", "LL", "LL"]),
    ("a commit that checkpoints", "PRAGMA wal_autocheckpoint = 1; UPDATE t SET b = 8 WHERE a = 1", ["", "LM", "LLM", "LLM"]),
    ("and the next, which starts again", "UPDATE t SET b = 9 WHERE a = 1", ["", "LLM", "LLLM", "LLLM"]),
    ("back to a journal", "PRAGMA journal_mode = delete", ["", "JDMD", "JJDMD", "JJDMD"]),
    ("to WAL again", "PRAGMA journal_mode = wal", ["", "JDMD", "JJDMD", "JJDMD"]),
    ("the new log's first commit", "PRAGMA wal_autocheckpoint = 0; UPDATE t SET b = 10 WHERE a = 1", ["", "LD", "LDL", "LDL"]),
    ("back with a log", "PRAGMA journal_mode = delete", ["", "LMJDMD", "LMJJDMD", "LMJJDMD"]),
  ]

  @Test("a log, its file and their directory", arguments: levels)
  func log(level: String) throws {
    let place = try #require(Self.levels.firstIndex(of: level))
    let world = try World(journal: "wal", level: level)
    for (event, sql, expected) in Self.log {
      #expect(try world.syncs(sql) == expected[place], "synchronous = \(level), \(event)")
    }
  }

  @Test("a log of two files, of a second connection, and at the end of the last one", arguments: levels)
  func logs(level: String) throws {
    let place = try #require(Self.levels.firstIndex(of: level))
    var world = try World(journal: "wal", level: level)
    func check(_ event: String, _ found: String, _ expected: [String]) {
      #expect(found == expected[place], "synchronous = \(level), \(event)")
    }
    try world.connection.execute("PRAGMA journal_mode = wal; CREATE TABLE t(a INTEGER PRIMARY KEY, b)")
    try world.fill()
    try world.connection.execute("ATTACH '/d/two.db' AS two; PRAGMA two.synchronous = \(level)")
    try world.connection.execute("PRAGMA two.journal_mode = wal; CREATE TABLE two.u(a); INSERT INTO u VALUES (1)")
    check("two files", try world.syncs("BEGIN; UPDATE t SET b = 9; UPDATE u SET a = 2; COMMIT"), ["", "", "Ll", "Ll"])
    try world.connection.execute("DETACH two; PRAGMA cache_size = 10; BEGIN")
    check("spill", try world.syncs(World.spilling), ["", "", "", ""])
    check("spilled commit", try world.syncs("COMMIT"), ["", "", "L", "L"])
    let second = try Connection("/d/main.db", environment: world.environment)
    try second.execute("PRAGMA synchronous = \(level)")
    world.disk.syncLog = []
    try second.execute("UPDATE t SET b = 10 WHERE a = 1")
    // Nobody knows whether who made the log ever synced its name.
    check("a second connection's first commit", world.letters(), ["", "", "LD", "LD"])
    try second.closeBlocking()
    world.disk.syncLog = []
    try world.connection.closeBlocking()
    check("the last one closes", world.letters(), ["", "LM", "LM", "LM"])
    world.connection = try Connection("/d/main.db", environment: world.environment)
    try world.connection.execute("PRAGMA synchronous = \(level)")
    check("a new log", try world.syncs("UPDATE t SET b = 11 WHERE a = 1"), ["", "LD", "LDL", "LDL"])
    world.disk.cutPower(.everything)
    world.connection = try Connection("/d/main.db", environment: world.environment)
    let recovery = "PRAGMA synchronous = \(level); SELECT count(*) FROM t"
    check("recovery", try world.syncs(recovery), ["", "", "LD", "LD"])
  }

  @Test(
    "a log that is left does not come back beside the file that has none, where the journal's name is old",
    arguments: levels.dropFirst(), ["persist", "truncate"])
  func logLeft(level: String, journal: String) throws {
    let world = try World(journal: journal, level: level)
    try world.connection.execute("CREATE TABLE t(a); PRAGMA journal_mode = wal; INSERT INTO t VALUES (1)")
    let syncs = try world.syncs("PRAGMA journal_mode = \(journal)")
    // The file's version is the last that is written to it.
    let directory = try #require(syncs.firstIndex(of: "D")), file = try #require(syncs.lastIndex(of: "M"))
    #expect(directory < file, "\(syncs)")
  }
}
