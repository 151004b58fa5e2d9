// Online backups and databases as bytes.

import ApusBase
import ApusIO
import ApusStorage
import Testing

@testable import Apus

@Suite struct BackupTests {
  static let setup = "CREATE TABLE t(a INTEGER PRIMARY KEY, b TEXT); CREATE INDEX i ON t(b);"
  static let filling = """
    WITH RECURSIVE c(x) AS (VALUES(1) UNION ALL SELECT x + 1 FROM c WHERE x < 900)
    INSERT INTO t SELECT x, hex(x * 7919) || 'abcdefghij' FROM c
    """

  func made(_ path: String, _ environment: any Environment, pageSize: Int = 1024, wal: Bool = false) throws -> Connection {
    let connection = try Connection(path, environment: environment)
    try connection.execute("PRAGMA page_size = \(pageSize);")
    if wal { try connection.execute("PRAGMA journal_mode = wal;") }
    try connection.execute(Self.setup)
    try connection.execute(Self.filling)
    return connection
  }

  func step(_ backup: ConnectionBackup, _ pages: Int, _ connection: Connection) throws(EngineError) -> Bool {
    try connection.block { () throws(Fault) in try backup.step(pages: pages) }
  }

  func finish(_ backup: ConnectionBackup, _ connection: Connection) throws {
    try connection.block { () throws(Fault) in try backup.finish() }
  }

  struct Case: CustomTestStringConvertible, Sendable {
    var world: World
    var source: String
    var target: String
    var sourceIsLog = false
    var targetIsLog = false
    var targetPageSize = 0
    var testDescription: String { "\(world.name): \(source) \(sourceIsLog) -> \(target) \(targetIsLog) \(targetPageSize)" }
  }

  static let cases: [Case] = World.all.flatMap { world in
    [
      Case(world: world, source: "/a.db", target: "/b.db"),
      Case(world: world, source: "/a.db", target: "/b.db", sourceIsLog: true),
      Case(world: world, source: "/a.db", target: "/b.db", targetPageSize: 4096),
      Case(world: world, source: "/a.db", target: "/b.db", sourceIsLog: true, targetPageSize: 512),
      Case(world: world, source: "/a.db", target: "/b.db", targetIsLog: true, targetPageSize: 1024),
      Case(world: world, source: "/a.db", target: ":memory:"),
      Case(world: world, source: ":memory:", target: "/b.db", targetPageSize: 1024),
      Case(world: world, source: ":memory:", target: ":memory:", targetPageSize: 1024),
    ]
  }

  @Test("what takes the place of a file with a pointer map keeps its free pages", arguments: ["delete", "wal"])
  func overPointerMap(mode: String) throws {
    let environment = MemoryEnvironment()
    let target = try Connection("/b.db", environment: environment)
    try target.execute("PRAGMA page_size = 1024; PRAGMA auto_vacuum = full; PRAGMA journal_mode = \(mode); \(Self.setup)")
    try target.execute(Self.filling)
    try target.closeBlocking()
    let source = try made("/a.db", environment)
    try source.execute("CREATE TABLE gone(v); INSERT INTO gone VALUES (zeroblob(40000)); DROP TABLE gone")
    let backup = try source.makeBackup(toFile: "/b.db")
    while try !step(backup, 5, source) {}
    try finish(backup, source)
    let copy = try Connection("/b.db", environment: environment)
    #expect(try copy.text("PRAGMA integrity_check") == ["ok"])
    #expect(try copy.value("PRAGMA freelist_count") == source.value("PRAGMA freelist_count"))
    #expect(try copy.value("PRAGMA freelist_count") != "0")
  }

  @Test("a backup whose source has gone is refused, and its end leaves the target as it was", arguments: [false, true])
  func sourceIsGone(toFile: Bool) throws {
    let environment = MemoryEnvironment()
    let target = try Connection("/b.db", environment: environment)
    try target.execute("CREATE TABLE u(a); INSERT INTO u VALUES (7);")
    var source: Connection? = try made("/a.db", environment)
    let backup = try #require(
      try toFile ? source?.makeBackup(toFile: "/b.db") : source.map { try target.makeBackup(from: $0) })
    #expect(try !step(backup, 3, target))
    source = nil
    for _ in 0..<2 {
      do throws(EngineError) {
        _ = try step(backup, -1, target)
        Issue.record("a step without a source")
      } catch {
        #expect(error.code == .misuse && error.cause != nil)
      }
    }
    try finish(backup, target)
    try finish(backup, target)
    try target.execute("INSERT INTO u SELECT a + 1 FROM u;")
    let statement = try target.prepareBlocking("SELECT sum(a) FROM u")
    defer { statement.finalize() }
    #expect(try statement.stepBlocking())
    #expect(statement.column(0).asInteger == 15)
  }

  @Test("the target equals the source as it is at the end, whoever writes meanwhile", arguments: cases)
  func followsChanges(test: Case) throws {
    let environment = test.world.make()
    let source = try made(test.source, environment, wal: test.sourceIsLog)
    let target: Connection
    if test.targetPageSize > 0 {
      target = try made(test.target, environment, pageSize: test.targetPageSize, wal: test.targetIsLog)
      try target.execute("CREATE TABLE old(x); DELETE FROM t;")
    } else {
      target = try Connection(test.target, environment: environment)
    }
    let backup = try target.makeBackup(from: source)
    #expect(failure { _ = try target.makeBackup(from: source) }?.message == "destination database is in use")
    var steps = 0
    while !(try step(backup, 7, source)) {
      steps += 1
      if steps < 12 {
        // Rows on pages that were copied, and on others.
        try source.execute("UPDATE t SET b = b || '\(steps)' WHERE a % 200 = \(steps); INSERT INTO t(b) VALUES ('\(steps)');")
      }
      if steps == 5, test.source != ":memory:" {
        let other = try Connection(test.source, environment: environment)
        try other.execute("DELETE FROM t WHERE a BETWEEN 300 AND 310;")
        try other.closeBlocking()
      }
      try #require(steps < 1000)
    }
    #expect(backup.remaining == 0 && backup.pageCount > 20)
    let refusal = "unable to close due to unfinalized statements or unfinished backups"
    #expect(failure { try source.closeBlocking() }?.message == refusal)
    try finish(backup, source)
    let rows = try source.text("SELECT count(*), sum(a), sum(length(b)) FROM t")
    #expect(try target.text("SELECT count(*), sum(a), sum(length(b)) FROM t") == rows)
    #expect(try target.text("PRAGMA integrity_check") == ["ok"])
    #expect(try target.text("SELECT name FROM sqlite_schema ORDER BY 1") == ["i", "t"])
    #expect(try target.text("PRAGMA page_size") == ["1024"])
    try target.execute("INSERT INTO t(b) VALUES ('after');")
    try source.closeBlocking()
    try target.closeBlocking()
    if test.target != ":memory:" {
      let again = try Connection(test.target, environment: environment)
      #expect(try again.text("PRAGMA integrity_check") == ["ok"])
      #expect(try again.text("SELECT count(*) FROM t WHERE b = 'after'") == ["1"])
      try again.closeBlocking()
    }
  }

  @Test("a backup that ends early leaves the target as it was", arguments: World.all)
  func givenUp(world: World) throws {
    let environment = world.make()
    let source = try made("/a.db", environment)
    for isLog in [false, true] {
      let path = "/old\(isLog).db"
      let target = try made(path, environment, wal: isLog)
      try target.execute("DELETE FROM t WHERE a > 10;")
      let backup = try target.makeBackup(from: source)
      #expect(try step(backup, 40, source) == false)
      let reader = try Connection(path, environment: environment)
      if !isLog { #expect(failure { _ = try reader.text("SELECT 1 FROM t") }?.code == .busy) }
      try finish(backup, source)
      #expect(try target.text("SELECT count(*) FROM t") == ["10"])
      #expect(try target.text("PRAGMA integrity_check") == ["ok"])
      #expect(try reader.text("SELECT count(*) FROM t") == ["10"])
    }
  }

  @Test("what SQLite refuses is refused")
  func refusals() throws {
    let environment = MemoryEnvironment()
    let source = try made("/a.db", environment)
    let target = try made("/w.db", environment, pageSize: 4096, wal: true)
    #expect(failure { _ = try source.makeBackup(from: source) }?.message == "source and destination must be distinct")
    #expect(failure { _ = try target.makeBackup(into: "nix", from: source) }?.message == "unknown database nix")
    var backup = try target.makeBackup(from: source)
    #expect(failure { _ = try step(backup, 5, source) }?.code == .readOnly)
    #expect(failure { _ = try step(backup, 5, source) }?.code == .readOnly)
    try finish(backup, source)
    let memory = try Connection(":memory:", environment: environment)
    try memory.execute("CREATE TABLE x(y);")
    backup = try memory.makeBackup(from: source)
    #expect(failure { _ = try step(backup, 5, source) }?.code == .readOnly)
    try finish(backup, source)
    // The source's own transaction is in the way for a while.
    let fresh = try Connection("/new.db", environment: environment)
    backup = try fresh.makeBackup(from: source)
    try source.execute("BEGIN; INSERT INTO t(b) VALUES (1);")
    #expect(failure { _ = try step(backup, 5, source) }?.code == .busy)
    try source.execute("COMMIT;")
    #expect(try step(backup, -1, source))
    try finish(backup, source)
    // A writer on the target, too.
    let writer = try Connection("/new.db", environment: environment)
    try writer.execute("BEGIN IMMEDIATE;")
    backup = try fresh.makeBackup(from: source)
    #expect(failure { _ = try step(backup, 5, source) }?.code == .busy)
    try writer.execute("ROLLBACK;")
    #expect(try step(backup, -1, source))
    try finish(backup, source)
    try fresh.execute("BEGIN; SELECT * FROM t;")
    #expect(failure { _ = try fresh.makeBackup(from: source) }?.message == "destination database is in use")
  }

  @Test("a database becomes bytes and comes back", arguments: World.all)
  func bytes(world: World) throws {
    let environment = world.make()
    let source = try made("/a.db", environment, wal: true)
    let bytes = try source.serialize()
    let memory = try Connection(":memory:", environment: environment)
    try memory.execute("CREATE TABLE gone(x);")
    try bytes.withView { view throws(EngineError) in try memory.deserialize("main", view) }
    #expect(try memory.text("SELECT count(*) FROM t") == ["900"])
    try memory.execute("DELETE FROM t WHERE a > 5;")
    #expect(try memory.text("PRAGMA integrity_check") == ["ok"])
    try [UInt8]("junk".utf8).withView { view throws(EngineError) in try memory.deserialize("main", view) }
    #expect(failure { _ = try memory.text("SELECT * FROM t") }?.code == .notADatabase)
    try bytes.withView { view throws(EngineError) in
      try memory.deserialize("main", view, DeserializeOptions(isReadOnly: true))
    }
    #expect(failure { _ = try memory.text("DELETE FROM t") }?.code == .readOnly)
    try bytes.withView { view throws(EngineError) in
      try memory.deserialize("main", view, DeserializeOptions(byteCountMax: bytes.count))
    }
    #expect(failure { try memory.execute("INSERT INTO t(b) SELECT b FROM t;") }?.code == .full)
    #expect(try memory.text("SELECT count(*) FROM t") == ["900"])
    #expect(failure { try [UInt8]().withView { view throws(EngineError) in try memory.deserialize("nix", view) } }?.code == .error)
    // A file in the place of memory goes too.
    try source.execute("INSERT INTO t VALUES (9999, 'x');")
    try bytes.withView { view throws(EngineError) in try source.deserialize("main", view) }
    #expect(try source.text("SELECT max(a) FROM t") == ["900"])
    #expect(source.isInMemory("main"))
  }

  @Test("backup, restore and bytes through the Swift door")
  func door() async throws {
    let environment = MemoryEnvironment()
    var configuration = Configuration()
    configuration.environment = environment
    let database = try await Database.open("/d.db", configuration)
    try await database.write { transaction in
      try await transaction.execute("CREATE TABLE t(a)")
      try await transaction.execute("INSERT INTO t VALUES (1), (2)")
    }
    try await database.backup(to: "/copy.db", pagesPerStep: 1) { $0.fraction >= 0 }
    try await database.write { transaction in try await transaction.execute("DELETE FROM t") }
    try await database.restore(from: "/copy.db")
    let count = try await database.read { try await $0.one("SELECT count(*) FROM t", as: Int.self) }
    #expect(count == 2)
    let memory = try await Database.deserialize(try await database.serialize(), configuration)
    let again = try await memory.read { try await $0.one("SELECT sum(a) FROM t", as: Int.self) }
    #expect(again == 3)
    await #expect(throws: CancellationError.self) {
      try await database.backup(to: "/copy2.db", pagesPerStep: 1) { _ in false }
    }
    try await memory.close()
    try await database.close()
  }

  @Test("a backup beside a writer that never rests comes to its end")
  func besideSteadyWriter() async throws {
    var configuration = Configuration()
    configuration.environment = MemoryEnvironment()
    let database = try await Database.open("/d.db", configuration)
    try await database.write { tx in
      try await tx.execute("CREATE TABLE t(a)")
      for _ in 0..<20 { try await tx.execute("INSERT INTO t VALUES (zeroblob(9000))") }
    }
    let steps = ThreadMutex(0)
    try await database.backup(to: "/copy.db", pagesPerStep: 5) { _ in
      let count = steps.withLock { steps in
        steps += 1
        return steps
      }
      _ = try? database.blocking.write { tx in try tx.execute("INSERT INTO t VALUES (\(count))") }
      return count < 500
    }
    // Three beginnings that were lost, and the one that kept its snapshot.
    #expect(steps.withLock { $0 } < 40)
    let copy = try await Database.open("/copy.db", configuration)
    #expect(try await copy.read { tx in try await tx.all("PRAGMA integrity_check", as: String.self) } == ["ok"])
    let kept = try await copy.read { tx in try await tx.one("SELECT max(a) FROM t WHERE a < 500", as: Int.self) }
    #expect(kept == 3)
    try await copy.close()
    try await database.close()
  }

  @Test("restarts are counted: the last copy keeps its snapshot, with a log and without", arguments: [true, false])
  func lastCopy(wal: Bool) throws {
    let environment = MemoryEnvironment()
    let source = try made("/a.db", environment, wal: wal)
    let writer = try Connection("/a.db", environment: environment)
    let backup = try source.makeBackup(toFile: "/b.db")
    backup.restartCountMax = 2
    var commits = 0, steps = 0
    while !(try step(backup, 10, source)) {
      steps += 1
      try #require(steps < 100)
      // Beside a rollback journal the snapshot's lock keeps the writer away.
      if (try? writer.execute("INSERT INTO t(b) VALUES ('more');")) != nil { commits += 1 }
    }
    try finish(backup, source)
    #expect(wal ? commits == steps : commits == 2)
    let copy = try Connection("/b.db", environment: environment)
    #expect(try copy.text("PRAGMA integrity_check") == ["ok"])
    #expect(try copy.text("SELECT count(*) FROM t WHERE b = 'more'") == ["2"])
    // The snapshot has gone with the backup.
    try writer.execute("INSERT INTO t(b) VALUES ('last');")
    for connection in [copy, writer, source] { try connection.closeBlocking() }
  }

  @Test("a backup that cannot be undone gives its files back on the thread that its requests belong to")
  func endOnDriver() async throws {
    let environment = StickyFileEnvironment(MemoryEnvironment(), suffix: "-journal")
    var configuration = Configuration()
    configuration.environment = environment
    let database = try await Database.open("/d.db", configuration)
    try await database.write { tx in
      try await tx.execute("CREATE TABLE t(a)")
      for number in 1...200 { try await tx.execute("INSERT INTO t VALUES (zeroblob(1000 + \(number)))") }
    }
    // Databases with rollback journals in the places of the copies: several, since which thread is the last is chance.
    let copies = (1...16).map { "/copy\($0).db" }
    for copy in copies {
      let old = try Connection(copy, environment: environment)
      try old.execute("CREATE TABLE old(x); INSERT INTO old VALUES (zeroblob(9000));")
      try old.closeBlocking()
    }
    environment.makeSticky()
    for copy in copies {
      await #expect(throws: CancellationError.self) {
        try await database.backup(to: copy, pagesPerStep: 40) { _ in false }
      }
    }
    let driver = await Task(executorPreference: database.executors[0]) { EngineThread.current }.value
    // Once for the backup's end, once more when its pager is dropped.
    #expect(environment.threads == copies.flatMap { _ in [driver, driver] })
    try await database.close()
  }
}

/// An environment where files with a certain ending cannot be deleted; it notes which threads have tried.
private final class StickyFileEnvironment: Environment {
  private let real: any Environment
  private let suffix: String
  private let tried = ThreadMutex<(isSticky: Bool, threads: [UInt])>((false, []))

  init(_ real: any Environment, suffix: String) {
    self.real = real
    self.suffix = suffix
  }

  func makeSticky() { tried.withLock { $0.isSticky = true } }
  var threads: [UInt] { tried.withLock { $0.threads } }

  func delete(_ path: String) throws(EngineError) {
    let isRefused = tried.withLock { tried -> Bool in
      guard tried.isSticky, path.hasSuffix(suffix) else { return false }
      tried.threads.append(EngineThread.current)
      return true
    }
    if isRefused { throw EngineError(.ioErrorDelete, object: path, cause: "unlink: Input/output error (5)") }
    try real.delete(path)
  }

  var backendName: String { real.backendName }
  var backendReason: String? { real.backendReason }
  func open(_ path: String, _ mode: OpenMode) throws(EngineError) -> any File { try real.open(path, mode) }
  func openTemporary() throws(EngineError) -> any File { try real.openTemporary() }
  func exists(_ path: String) throws(EngineError) -> Bool { try real.exists(path) }
  func size(of path: String) throws(EngineError) -> Int64? { try real.size(of: path) }
  func rename(_ path: String, to newPath: String, replaces: Bool) throws(EngineError) {
    try real.rename(path, to: newPath, replaces: replaces)
  }
  func fullPath(_ path: String) throws(EngineError) -> String { try real.fullPath(path) }
  func makeQueue() -> any IOQueue { real.makeQueue() }
  func makeHub(wakeUp: Waiter) -> (any IOHub)? { real.makeHub(wakeUp: wakeUp) }
  func monotonicNanoseconds() -> UInt64 { real.monotonicNanoseconds() }
  func wallClockMilliseconds() -> Int64 { real.wallClockMilliseconds() }
  func localTimeOffsetSeconds(atMilliseconds moment: Int64) -> Int { real.localTimeOffsetSeconds(atMilliseconds: moment) }
  func randomUInt64() -> UInt64 { real.randomUInt64() }
  func sleep(untilMonotonic moment: UInt64) { real.sleep(untilMonotonic: moment) }
}

extension [UInt8] {
  fileprivate func withView(_ body: (ByteView) throws(EngineError) -> Void) throws(EngineError) {
    var copy = ByteBuffer(capacity: Swift.max(count, 1))
    for byte in self { copy.append(byte) }
    try body(copy.bytes)
  }
}
