// PRAGMA direct_reads: a connection that reads past the kernel's cache sees what all others write.

import ApusBase
import ApusHarness
import ApusIO
import Glibc
import Testing

@testable import Apus

@Suite(.timeLimit(.minutes(20))) struct DirectReadPragmaTests {
  struct Setting: CustomTestStringConvertible, Sendable {
    var seed: UInt64
    var pageSize = 4096
    var mode = "wal"
    var hasChecksums = false
    var isRefused = false
    var isForced = false
    var testDescription: String {
      "seed \(seed), \(pageSize), \(mode)\(hasChecksums ? ", checksums" : "")\(isRefused ? ", refused" : "")"
    }
  }

  static let settings: [Setting] = [
    Setting(seed: 1), Setting(seed: 2, mode: "delete"), Setting(seed: 3, mode: "persist"),
    Setting(seed: 4, pageSize: 512), Setting(seed: 5, pageSize: 1024, mode: "delete"),
    Setting(seed: 6, pageSize: 65_536), Setting(seed: 7, pageSize: 16_384, mode: "truncate"),
    Setting(seed: 8, hasChecksums: true), Setting(seed: 9, mode: "delete", hasChecksums: true),
    Setting(seed: 10, isRefused: true), Setting(seed: 11, mode: "delete", isRefused: true),
    Setting(seed: 12, isForced: true), Setting(seed: 13, mode: "delete", isForced: true),
  ]

  private static func path() -> String { "/tmp/apus-direct-\(SystemEnvironment().randomUInt64()).db" }

  private static func remove(_ path: String) {
    for suffix in ["", "-wal", "-shm", "-journal"] { unsafe unlink(path + suffix) }
  }

  /// Its pages come from the file at each transaction: nothing is shared, and little is kept.
  private static func open(_ path: String, _ environment: any Environment) throws -> Connection {
    var options = Connection.Options()
    options.pager.sharedCacheBytes = 0
    let connection = try Connection(path, options, environment: environment)
    try connection.execute("PRAGMA cache_size = 1; PRAGMA busy_timeout = 5000")
    return connection
  }

  @Test("direct readers see what others commit, SQLite too, synced or not", arguments: settings)
  func coherence(setting: Setting) throws {
    let path = Self.path()
    defer { Self.remove(path) }
    var options = RingOptions()
    options.sendsEverything = setting.isForced
    if setting.isRefused { options.injectedDirectReadFailure = EINVAL }
    let environment = SystemEnvironment(options: options)
    let writer = try Self.open(path, environment)
    try writer.execute("PRAGMA page_size = \(setting.pageSize)")
    try writer.execute("PRAGMA page_checksums = \(setting.hasChecksums ? "on" : "off")")
    try writer.execute("PRAGMA journal_mode = \(setting.mode); PRAGMA wal_autocheckpoint = 0")
    try writer.execute(
      """
      CREATE TABLE t(id INTEGER PRIMARY KEY, a INT, b TEXT); CREATE INDEX ta ON t(a);
      WITH RECURSIVE s(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM s WHERE i < 1200)
      INSERT INTO t SELECT i, i * 37 % 1000, printf('%0100d', i) FROM s
      """)
    let reader = try Self.open(path, environment)
    try reader.execute("PRAGMA direct_reads = on")
    let foreign = try SQLiteLibrary().open(path, readOnly: false)
    _ = try foreign.rows("PRAGMA busy_timeout = 5000; PRAGMA wal_autocheckpoint = 0")
    var random = SeededRandom(seed: setting.seed)
    let queries = [
      "SELECT count(*), sum(a), sum(length(b)) FROM t", "SELECT sum(a * id) FROM t WHERE a BETWEEN 100 AND 600",
      "SELECT group_concat(a) FROM (SELECT a FROM t WHERE id % 97 = 3 ORDER BY id)",
      "SELECT group_concat(b) FROM (SELECT b FROM t WHERE id > 1150 ORDER BY id)",
    ]
    for step in 0..<24 {
      let first = random.below(1100)
      let change = [
        "UPDATE t SET a = a + \(step) WHERE id BETWEEN \(first) AND \(first + 60)",
        "DELETE FROM t WHERE id = \(first)", "PRAGMA wal_checkpoint(PASSIVE)", "PRAGMA wal_checkpoint(TRUNCATE)",
        "INSERT INTO t(a, b) SELECT a, b FROM t WHERE id BETWEEN \(first) AND \(first + 20)",
        "PRAGMA synchronous = \(["off", "normal", "full"][random.below(3)])",
      ][random.below(6)]
      // A plain SQLite leaves no checksums.
      if setting.hasChecksums || random.oneIn(2) {
        _ = try writer.text(change)
      } else {
        _ = try foreign.rows(change)
      }
      if random.oneIn(3) { try reader.execute("UPDATE t SET a = a + 1 WHERE id = \(first)") }
      for query in queries {
        #expect(try reader.text(query) == writer.text(query), "step \(step), behind \(change)")
      }
    }
    #expect(try reader.text("PRAGMA integrity_check") == ["ok"])
    #expect(try reader.text("PRAGMA direct_reads") == ["1"])
    let backend = try reader.text("PRAGMA io_backend")[0]
    if setting.pageSize < 4096 {
      #expect(backend.hasSuffix(", direct reads refused: pages of \(setting.pageSize) bytes"))
    } else if setting.isRefused {
      #expect(backend.hasSuffix(", direct reads refused: pread(O_DIRECT): Invalid argument (22)"))
    } else {
      #expect(backend.contains(", direct reads"))
    }
    try reader.closeBlocking()
    try writer.closeBlocking()
    foreign.close()
  }

  @Test("what a transaction has spilled into the file comes back to it")
  func spilled() throws {
    let path = Self.path()
    defer { Self.remove(path) }
    let connection = try Self.open(path, SystemEnvironment())
    try connection.execute("PRAGMA direct_reads = on; PRAGMA synchronous = off")
    try connection.execute("CREATE TABLE t(id INTEGER PRIMARY KEY, a, b)")
    try connection.execute(
      """
      BEGIN; WITH RECURSIVE s(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM s WHERE i < 3000)
      INSERT INTO t SELECT i, i, zeroblob(500) FROM s; UPDATE t SET a = a + 1;
      """)
    #expect(try connection.text("SELECT sum(a), sum(length(b)) FROM t") == ["4504500|1500000"])
    try connection.execute("ROLLBACK; INSERT INTO t VALUES (1, 2, 3)")
    #expect(try connection.text("SELECT * FROM t; ") == ["1|2|3"])
    try connection.closeBlocking()
  }

  @Test("a page whose checksum is wrong is reported, directly read or not")
  func damaged() throws {
    let path = Self.path()
    defer { Self.remove(path) }
    let environment = SystemEnvironment()
    let writer = try Self.open(path, environment)
    try writer.execute("PRAGMA page_checksums = on; CREATE TABLE t(a); INSERT INTO t VALUES (zeroblob(20000))")
    let queue = environment.makeQueue()
    let file = try environment.open(path, .readWrite)
    var byte = ByteBuffer()
    byte.append(1)
    let ticket = queue.write(file, at: 3 * 4096 + 100, from: [byte.bytes])
    while queue.take(ticket) == nil { queue.waitForCompletion() }
    for value in ["off", "on"] {
      let reader = try Self.open(path, environment)
      try reader.execute("PRAGMA direct_reads = \(value)")
      #expect(failure { _ = try reader.text("SELECT hex(a) FROM t") }?.code == .ioErrorData)
      try reader.closeBlocking()
    }
    file.close()
    try writer.closeBlocking()
  }

  @Test("the pragma counts for all databases of the connection, those that come later too, or for one")
  func databases() throws {
    let paths = (0..<3).map { _ in Self.path() }
    defer { paths.forEach(Self.remove) }
    let connection = try Self.open(paths[0], SystemEnvironment())
    #expect(try connection.text("PRAGMA direct_reads") == ["0"])
    #expect(try !connection.text("PRAGMA io_backend")[0].contains("direct"))
    try connection.execute("ATTACH '\(paths[1])' AS one; PRAGMA direct_reads = on; ATTACH '\(paths[2])' AS two")
    for name in ["main", "one", "two"] { #expect(try connection.text("PRAGMA \(name).direct_reads") == ["1"]) }
    try connection.execute("PRAGMA one.direct_reads = 0")
    #expect(try ["main", "one", "two"].flatMap { try connection.text("PRAGMA \($0).direct_reads") } == ["1", "0", "1"])
    try connection.execute("PRAGMA direct_reads = off")
    for name in ["main", "one", "two"] { #expect(try connection.text("PRAGMA \(name).direct_reads") == ["0"]) }
    try connection.execute("PRAGMA strict_pragmas = on")
    #expect(failure { try connection.execute("PRAGMA direct_reads = sometimes") } != nil)
    let memory = try Connection(":memory:", environment: SystemEnvironment())
    try memory.execute("PRAGMA direct_reads = on; CREATE TABLE t(a)")
    #expect(try memory.text("PRAGMA direct_reads") == ["1"])
    try connection.closeBlocking()
  }

  @Test("who asks for what the file system refuses gets a warning, and his rows")
  func warning() throws {
    let path = Self.path()
    defer { Self.remove(path) }
    var options = RingOptions()
    options.injectedDirectOpenFailure = EINVAL
    let connection = try Self.open(path, SystemEnvironment(options: options))
    try connection.execute("PRAGMA direct_reads = on")
    try connection.execute("CREATE TABLE t(a)")
    #expect(connection.warnings == ["PRAGMA direct_reads: has no effect: open(O_DIRECT): Invalid argument (22)"])
    try connection.execute("INSERT INTO t VALUES (1)")
    #expect(connection.warnings.isEmpty)
    #expect(try connection.text("SELECT a FROM t") == ["1"])
    #expect(try connection.text("PRAGMA direct_reads") == ["1"])
    let backend = try connection.text("PRAGMA io_backend")[0]
    #expect(backend.hasSuffix("direct reads refused: open(O_DIRECT): Invalid argument (22)"))
  }

  @Test("all connections of a database that was opened so read directly, and many of its tasks see the same")
  func door() async throws {
    let path = Self.path()
    defer { Self.remove(path) }
    var configuration = Configuration()
    configuration.readsDirectly = true
    let database = try await Database.open(path, configuration)
    try await database.write { transaction in
      try await transaction.execute("CREATE TABLE t(id INTEGER PRIMARY KEY, a INT, b TEXT)")
      try await transaction.execute(
        """
        WITH RECURSIVE s(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM s WHERE i < 20000)
        INSERT INTO t SELECT i, i * 3, printf('%0100d', i) FROM s
        """)
    }
    try await database.write { try await $0.execute("PRAGMA wal_autocheckpoint = 10") }
    try await withThrowingTaskGroup(of: Void.self) { group in
      for task in 0..<8 {
        group.addTask {
          let setting = try await database.read { try await $0.one("PRAGMA direct_reads", as: Int64.self) }
          #expect(setting == 1)
          for step in 0..<200 {
            let id = Int64((task * 7919 + step * 104_729) % 20_000 + 1)
            let found = try await database.read { try await $0.one("SELECT a FROM t WHERE id = \(id)", as: Int64.self) }
            #expect((found ?? 0) % 3 == 0)
            if step % 50 != 0 { continue }
            try await database.write { _ = try await $0.execute("UPDATE t SET a = a + 3 WHERE id = \(id)") }
          }
        }
      }
      try await group.waitForAll()
    }
    let rest = try await database.read { try await $0.one("SELECT sum(a) % 3 FROM t", as: Int64.self) }
    #expect(rest == 0)
    try await database.close()
  }
}
