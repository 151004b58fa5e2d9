// The write-ahead log as SQL sees it: checkpoints beside other connections, and the ways into WAL mode and out of it.

import ApusBase
import ApusIO
import Testing

@testable import Apus
@testable import ApusStorage

extension Connection {
  /// The first column of the only row.
  func value(_ sql: String) throws -> String { try row(sql).first ?? "no row" }

  func row(_ sql: String) throws -> [String] {
    let statement = try prepareBlocking(sql)
    defer { statement.finalize() }
    guard try statement.stepBlocking() else { return [] }
    return (0..<statement.columnCount).map { column in
      let value = statement.column(column)
      switch value.kind {
      case .null: return "NULL"
      case .integer: return "\(value.integerValue)"
      case .real: return "\(value.realValue)"
      case .text, .blob: return value.bytes.string
      }
    }
  }
}

@Suite struct LogTests {
  private static func world(_ mode: String = "wal") throws -> (MemoryEnvironment, Connection, Connection) {
    let world = MemoryEnvironment(seed: 3, completesAtOnce: false)
    let first = try Connection("/a.db", environment: world)
    try first.execute("PRAGMA journal_mode = \(mode); CREATE TABLE t(a); INSERT INTO t VALUES (1)")
    return (world, first, try Connection("/a.db", environment: world))
  }

  @Test("pages of an empty log do not come back with the next empty log")
  func emptyLogAnew() throws {
    let environment = MemoryEnvironment()
    func open() throws -> Connection { try Connection("/a.db", environment: environment) }
    let maker = try open()
    try maker.execute("PRAGMA journal_mode = wal; CREATE TABLE t(x); INSERT INTO t VALUES (1)")
    try maker.closeBlocking()
    let a = try open(), b = try open()
    for connection in [a, b, a] { #expect(try connection.text("SELECT x FROM t") == ["1"]) }
    try a.execute("UPDATE t SET x = 2")
    try b.closeBlocking()
    // These have looked at nothing yet: `a` is the last one of the log, and deletes it.
    let c = try open(), d = try open()
    try a.closeBlocking()
    for connection in [c, d] { #expect(try connection.text("SELECT x FROM t") == ["2"]) }
    try c.execute("UPDATE t SET x = x + 1")
    #expect(try d.text("SELECT x FROM t") == ["3"])
    try c.closeBlocking()
    try d.closeBlocking()
  }

  @Test("a reader of the file keeps a passive checkpoint from copying, and is in no passive checkpoint's way")
  func passiveBesideReaderOfFile() throws {
    let (_, first, second) = try Self.world()
    try first.execute("PRAGMA wal_autocheckpoint = 0; PRAGMA wal_checkpoint")
    try second.execute("BEGIN; SELECT * FROM t")
    try first.execute("INSERT INTO t VALUES (2)")
    let row = try first.row("PRAGMA wal_checkpoint(PASSIVE)")
    #expect(row[0] == "0" && row[1] != "0" && row[2] < row[1], "\(row)")
    #expect(try first.value("PRAGMA wal_checkpoint(FULL)") == "1")
    try second.execute("COMMIT")
    #expect(try first.value("PRAGMA wal_checkpoint(FULL)") == "0")
  }

  @Test("a number for wal_autocheckpoint that no 32 bits hold is none, as in SQLite")
  func autocheckpointBeyondWords() throws {
    let (_, first, _) = try Self.world()
    #expect(try first.value("PRAGMA wal_autocheckpoint = 5000000000") == "0")
    try first.execute("INSERT INTO t VALUES (2)")
    #expect(try first.value("PRAGMA wal_autocheckpoint = 2147483647") == "2147483647")
    try first.execute("INSERT INTO t VALUES (3)")
    #expect(try first.value("SELECT count(*) FROM t") == "3")
  }

  @Test("a connection that empties the log sees what others have committed since it read last")
  func truncatingDoesNotHideCommits() throws {
    let (_, first, second) = try Self.world()
    #expect(try second.value("SELECT a FROM t") == "1")
    try first.execute("UPDATE t SET a = 2")
    #expect(try second.row("PRAGMA wal_checkpoint(TRUNCATE)") == ["0", "0", "0"])
    #expect(try second.value("SELECT a FROM t") == "2")
    try second.execute("UPDATE t SET a = a + 1")
    #expect(try first.value("SELECT a FROM t") == "3")
  }

  @Test("the journal mode changes from each to each, with every request waited for")
  func journalModesChange() throws {
    let (_, first, second) = try Self.world("delete")
    try second.closeBlocking()
    var count = 1
    for from in ["wal", "delete", "truncate", "persist"] {
      for to in ["wal", "delete", "truncate", "persist"] {
        #expect(try first.value("PRAGMA journal_mode = \(from)") == from)
        try first.execute("INSERT INTO t VALUES (7)")
        #expect(try first.value("PRAGMA journal_mode = \(to)") == to)
        try first.execute("INSERT INTO t VALUES (8)")
        count += 2
        #expect(try first.value("SELECT count(*) FROM t") == "\(count)")
        #expect(try first.value("PRAGMA integrity_check") == "ok")
      }
    }
  }

  @Test("WAL mode is not left while another connection uses the log, and all goes on")
  func leavingNeedsToBeAlone() throws {
    let (world, first, second) = try Self.world()
    #expect(try second.value("SELECT a FROM t") == "1")
    #expect { try first.value("PRAGMA journal_mode = delete") } throws: { ($0 as? EngineError)?.code == .busy }
    try second.execute("UPDATE t SET a = 5")
    #expect(try first.value("SELECT a FROM t") == "5")
    try second.closeBlocking()
    #expect(try first.value("PRAGMA journal_mode = delete") == "delete")
    #expect(try world.exists("/a.db-wal") == false)
    let third = try Connection("/a.db", environment: world)
    try third.execute("UPDATE t SET a = 6")
    #expect(try first.value("SELECT a FROM t") == "6")
  }

  @Test("what says how a file is opened is said before it is looked at")
  func pragmasBeforeTheFirstRead() throws {
    let (_, first, second) = try Self.world("delete")
    try first.execute("BEGIN EXCLUSIVE")
    #expect(try second.value("PRAGMA busy_timeout = 5") == "5")
    #expect { try second.value("SELECT a FROM t") } throws: { ($0 as? EngineError)?.code == .busy }
    try first.execute("COMMIT")
    #expect(try second.value("SELECT a FROM t") == "1")
  }

  @Test("in exclusive mode locks stay, a log needs no shared memory, and NORMAL gives all back", arguments: ["wal", "delete"])
  func exclusiveLocking(mode: String) throws {
    let (world, first, second) = try Self.world(mode)
    try first.closeBlocking()
    #expect(try second.value("PRAGMA locking_mode = exclusive") == "exclusive")
    try second.execute("UPDATE t SET a = 2")
    let third = try Connection("/a.db", environment: world)
    #expect { try third.value("SELECT a FROM t") } throws: { ($0 as? EngineError)?.code == .busy }
    #expect(try second.value("SELECT a FROM t") == "2")
    #expect(try second.value("PRAGMA wal_checkpoint") == "0")
    #expect(try second.value("PRAGMA locking_mode = normal") == "normal")
    #expect(try second.value("SELECT a FROM t") == "2")
    #expect(try third.value("SELECT a FROM t") == "2")
    try third.execute("UPDATE t SET a = 3")
    #expect(try second.value("SELECT a FROM t") == "3")
    // With others around it cannot be had.
    if mode == "wal" {
      try second.execute("PRAGMA locking_mode = exclusive")
      #expect { try second.value("SELECT a FROM t") } throws: { ($0 as? EngineError)?.code == .busy }
      try third.execute("UPDATE t SET a = 4")
      try second.execute("PRAGMA locking_mode = normal")
      #expect(try second.value("SELECT a FROM t") == "4")
    }
  }

  @Test("an attempt to read that fails does not hide what others commit behind it")
  func failedReadHidesNothing() throws {
    let (_, first, second) = try Self.world()
    let version = try second.value("PRAGMA data_version")
    try second.execute("PRAGMA locking_mode = exclusive")
    #expect { try second.value("SELECT a FROM t") } throws: { ($0 as? EngineError)?.code == .busy }
    try second.execute("PRAGMA locking_mode = normal")
    #expect(try second.value("PRAGMA data_version") == version)
    try second.execute("PRAGMA locking_mode = exclusive")
    #expect { try second.value("SELECT a FROM t") } throws: { ($0 as? EngineError)?.code == .busy }
    try first.execute("UPDATE t SET a = 2")
    try second.execute("PRAGMA locking_mode = normal")
    #expect(try second.value("PRAGMA data_version") != version)
  }

  @Test("data_version stays where the connection's own checkpoints empty the log, however often")
  func ownCheckpoints() throws {
    let (_, first, second) = try Self.world()
    try first.execute("UPDATE t SET a = 3")
    let version = try first.value("PRAGMA data_version")
    try first.execute("PRAGMA wal_checkpoint(TRUNCATE); PRAGMA wal_checkpoint(TRUNCATE)")
    #expect(try first.value("SELECT a FROM t") == "3")
    #expect(try first.value("PRAGMA data_version") == version)
    try first.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    try second.execute("UPDATE t SET a = 4; PRAGMA wal_checkpoint(TRUNCATE)")
    try first.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    #expect(try first.value("PRAGMA data_version") != version)
  }

  @Test("data_version tells of commits behind a switch of the journal mode")
  func versionBehindSwitch() throws {
    let (_, first, second) = try Self.world("delete")
    var version = try second.value("PRAGMA data_version")
    try first.execute("PRAGMA journal_mode = wal; UPDATE t SET a = 2")
    #expect(try second.value("PRAGMA data_version") != version)
    version = try second.value("PRAGMA data_version")
    #expect(try second.value("PRAGMA data_version") == version)
    // Whoever changes the mode hears of those who come behind, too.
    try second.closeBlocking()
    #expect(try first.value("PRAGMA journal_mode = delete") == "delete")
    #expect(try first.value("PRAGMA journal_mode = wal") == "wal")
    version = try first.value("PRAGMA data_version")
    #expect(try first.value("PRAGMA journal_mode = delete") == "delete")
    #expect(try first.value("PRAGMA journal_mode = wal") == "wal")
    let third = try Connection("/a.db", environment: first.environment)
    try third.execute("UPDATE t SET a = 3")
    #expect(try first.value("PRAGMA data_version") != version)
  }

  @Test("data_version stays where a connection has changed the file itself", arguments: ["delete", "truncate", "memory", "wal"])
  func versionBehindOwnChanges(mode: String) throws {
    let (_, first, second) = try Self.world(mode)
    let version = try first.value("PRAGMA data_version")
    for statement in ["VACUUM", "INSERT INTO t VALUES (2)", "PRAGMA wal_checkpoint(TRUNCATE)", "VACUUM", "DELETE FROM t"] {
      try first.execute(statement)
      #expect(try first.value("PRAGMA data_version") == version, "\(statement)")
    }
    try second.execute("INSERT INTO t VALUES (3)")
    #expect(try first.value("PRAGMA data_version") != version)
  }

  @Test("a checkpoint beside another one says nothing of the log")
  func checkpointBesideAnother() throws {
    let (_, first, second) = try Self.world()
    #expect(try second.value("SELECT a FROM t") == "1")
    try first.execute("INSERT INTO t VALUES (2)")
    let wal = try #require(try first.state.pager(0).store?.wal)
    var rows: [[String]] = []
    _ = try Stepped(first, "PRAGMA wal_checkpoint").goOn { _ in
      if wal.checkpoint?.holdsCheckpointLock == true, let row = try? second.row("PRAGMA wal_checkpoint") { rows.append(row) }
      return true
    }
    #expect(!rows.isEmpty && rows.allSatisfy { $0 == ["1", "-1", "-1"] })
  }

  @Test("data_version tells of commits beside a connection that came out of exclusive mode")
  func versionBehindExclusiveMode() throws {
    let (world, first, second) = try Self.world()
    try second.closeBlocking()
    try first.closeBlocking()
    let own = try Connection("/a.db", environment: world)
    try own.execute("PRAGMA locking_mode = exclusive")
    let version = try own.value("PRAGMA data_version")
    try own.execute("PRAGMA locking_mode = normal")
    #expect(try own.value("PRAGMA data_version") == version)
    let other = try Connection("/a.db", environment: world)
    try other.execute("UPDATE t SET a = 2")
    #expect(try own.value("PRAGMA data_version") != version)
  }

  @Test("a connection in exclusive mode goes into WAL mode and out of it")
  func exclusiveModeChanges() throws {
    let (world, first, second) = try Self.world("delete")
    try first.closeBlocking()
    try second.execute("PRAGMA locking_mode = exclusive")
    for mode in ["wal", "persist", "wal", "delete"] {
      #expect(try second.value("PRAGMA journal_mode = \(mode)") == mode)
      try second.execute("INSERT INTO t VALUES (2)")
      #expect(try second.value("PRAGMA journal_mode") == mode)
    }
    #expect(try second.value("SELECT count(*) FROM t") == "5")
    try second.closeBlocking()
    let third = try Connection("/a.db", environment: world)
    #expect(try third.value("SELECT count(*) FROM t") == "5")
  }

  /// A log of five commits of one page each, as a process that was killed leaves it.
  private static func brokenLog(at frame: Int) throws -> MemoryEnvironment {
    let (world, first, _) = try Self.world()
    try first.execute("PRAGMA wal_checkpoint(TRUNCATE); PRAGMA synchronous = normal")
    for value in 10..<15 { try first.execute("UPDATE t SET a = \(value)") }
    let twin = MemoryEnvironment(seed: 9)
    try copy("/a.db", world, twin)
    try copy("/a.db-wal", world, twin)
    let queue = twin.makeQueue()
    let log = try twin.open("/a.db-wal", .readWrite)
    let damage = RequestBytes([0xff, 0xfe, 0xfd])
    let ticket = queue.write(log, at: Int64(32 + (frame - 1) * (24 + 4096) + 24 + 100), from: [damage.view])
    while queue.take(ticket) == nil { queue.waitForCompletion() }
    return twin
  }

  private static func copy(_ path: String, _ from: MemoryEnvironment, _ to: MemoryEnvironment) throws {
    let queue = from.makeQueue(), target = to.makeQueue()
    let source = try from.open(path, .readOnly), new = try to.open(path, .create)
    let bytes = RequestBytes([UInt8](repeating: 0, count: Int(try source.size())))
    let ticket = queue.read(source, at: 0, into: bytes.mutableView)
    while queue.take(ticket) == nil { queue.waitForCompletion() }
    let written = target.write(new, at: 0, from: [bytes.view])
    while target.take(written) == nil { target.waitForCompletion() }
  }

  @Test("a log that is damaged before intact commits is told of, or refused where recovery is strict")
  func midLogBreak() throws {
    let world = try Self.brokenLog(at: 2)
    let strict = try Connection("/a.db", environment: world)
    #expect(try strict.value("PRAGMA recovery = strict") == "strict")
    #expect { try strict.value("SELECT a FROM t") } throws: {
      ($0 as? EngineError)?.code == .corrupt && ($0 as? EngineError)?.cause?.contains("frame 2") == true
    }
    let lenient = try Connection("/a.db", environment: world)
    let statement = try lenient.prepareBlocking("SELECT a FROM t")
    #expect(lenient.warnings.count == 1 && lenient.warnings.first?.contains("3 intact commits") == true)
    statement.finalize()
    #expect(try lenient.value("SELECT a FROM t") == "10")
    #expect(lenient.warnings.isEmpty)
  }

  @Test("a torn tail is no damage: the last commits alone do not count")
  func tornTail() throws {
    for frame in 4...5 {
      let connection = try Connection("/a.db", environment: try Self.brokenLog(at: frame))
      try connection.execute("PRAGMA recovery = strict")
      #expect(try connection.value("SELECT a FROM t") == "\(8 + frame)")
    }
  }

  @Test("page 1 says how many pages there are, and the file may have more")
  func pageOneCounts() throws {
    let (world, first, second) = try Self.world()
    try first.closeBlocking()
    try second.closeBlocking()
    let file = try #require(world.contents(of: "/a.db"))
    let twin = MemoryEnvironment(seed: 9)
    twin.setContents(of: "/a.db", to: file + [UInt8](repeating: 7, count: 3 * 4096))
    let connection = try Connection("/a.db", environment: twin)
    #expect(try connection.value("PRAGMA page_count") == "2")
    #expect(try connection.value("PRAGMA integrity_check") == "ok")
    try connection.execute("CREATE TABLE u(a); INSERT INTO u VALUES (2)")
    #expect(try connection.value("PRAGMA page_count") == "3")
    try connection.closeBlocking()
    #expect(twin.contents(of: "/a.db")?.count == 3 * 4096)
  }

  @Test("a commit of fewer pages than page 1 counts is refused each time, and not copied back")
  func commitOfFewerPages() throws {
    let (world, first, _) = try Self.world()
    try first.execute("PRAGMA wal_checkpoint(TRUNCATE); UPDATE t SET a = 2")
    var file = try #require(world.contents(of: "/a.db"))
    file[31] = 3
    let log = try #require(world.contents(of: "/a.db-wal"))
    let twin = MemoryEnvironment(seed: 9, completesAtOnce: false)
    twin.setContents(of: "/a.db", to: file)
    twin.setContents(of: "/a.db-wal", to: log)
    for _ in 0..<2 {
      let connection = try Connection("/a.db", environment: twin)
      for _ in 0..<2 {
        #expect { try connection.value("SELECT a FROM t") } throws: { ($0 as? EngineError)?.code == .corrupt }
      }
      try connection.closeBlocking()
      #expect(twin.contents(of: "/a.db") == file)
      #expect(twin.contents(of: "/a.db-wal") == log)
    }
  }

  @Test("journal_size_limit cuts the log's file when it has started again")
  func logIsCut() throws {
    let (world, first, second) = try Self.world()
    try second.closeBlocking()
    #expect(try first.value("PRAGMA journal_size_limit = 20000") == "20000")
    try first.execute("INSERT INTO t SELECT zeroblob(400000)")
    let full = try world.size(of: "/a.db-wal") ?? 0
    #expect(full > 400_000)
    try first.execute("PRAGMA wal_checkpoint(RESTART); UPDATE t SET a = 1 WHERE a = 1")
    #expect(try world.size(of: "/a.db-wal") == 20000)
    #expect(try first.value("PRAGMA integrity_check") == "ok")
  }

  @Test("a URI may ask for no locks, for an immutable file, for a shared cache")
  func uriParameters() throws {
    let (world, first, second) = try Self.world("delete")
    try second.closeBlocking()
    var options = Connection.Options()
    options.interpretsURI = true
    try first.execute("BEGIN EXCLUSIVE")
    let free = try Connection("file:/a.db?nolock=1", options, environment: world)
    #expect(try free.value("SELECT a FROM t") == "1")
    let frozen = try Connection("file:/a.db?immutable=1&cache=shared&psow=0", options, environment: world)
    #expect(try frozen.value("SELECT a FROM t") == "1")
    #expect { try frozen.execute("DELETE FROM t") } throws: { ($0 as? EngineError)?.code == .readOnly }
    try first.execute("COMMIT; PRAGMA journal_mode = wal; INSERT INTO t VALUES (2)")
    let late = try Connection("file:/a.db?immutable=1", options, environment: world)
    #expect(try late.value("SELECT count(*) FROM t") == "1")
    let lockless = try Connection("file:/a.db?nolock=1", options, environment: world)
    #expect { try lockless.value("SELECT a FROM t") } throws: { ($0 as? EngineError)?.code == .cannotOpen }
    #expect { _ = try Connection("file:/a.db?vfs=no", options, environment: world) } throws: {
      ($0 as? EngineError)?.message == "no such vfs: no"
    }
  }

  @Test("a file that lost its name is read on, but not written, and what lies beside the name is left alone")
  func movedFile() throws {
    let directory = "/tmp/apus-moved-\(SystemEnvironment().randomUInt64())"
    let world = SystemEnvironment()
    for path in [directory, directory + "-wal", directory + "-journal", directory + "-shm"] { try world.delete(path) }
    let old = try Connection(directory, environment: world)
    try old.execute("CREATE TABLE t(a); INSERT INTO t VALUES (1)")
    try world.delete(directory)
    let new = try Connection(directory, environment: world)
    try new.execute("PRAGMA journal_mode = wal; CREATE TABLE n(a); INSERT INTO n VALUES (2)")
    #expect { try old.execute("INSERT INTO t VALUES (3)") } throws: {
      let error = $0 as? EngineError
      return error?.code == .readOnlyDatabaseMoved && error?.object != nil && error?.hint != nil
    }
    #expect(try old.value("SELECT count(*) FROM t") == "1")
    try old.closeBlocking()
    #expect(try world.exists(directory + "-wal"))
    #expect(try new.value("SELECT a FROM n") == "2")
    // The same with a log of its own.
    try world.delete(directory)
    let third = try Connection(directory, environment: world)
    try third.execute("CREATE TABLE x(a)")
    try new.closeBlocking()
    try third.closeBlocking()
    for path in [directory, directory + "-wal", directory + "-journal", directory + "-shm"] { try world.delete(path) }
  }

  @Test("BEGIN EXCLUSIVE that gives up lets new readers in")
  func exclusiveGivesUp() throws {
    let (world, first, second) = try Self.world("delete")
    try first.execute("BEGIN; SELECT a FROM t")
    #expect(try first.value("SELECT a FROM t") == "1")
    #expect { try second.execute("BEGIN EXCLUSIVE") } throws: { ($0 as? EngineError)?.code == .busy }
    let third = try Connection("/a.db", environment: world)
    #expect(try third.value("SELECT a FROM t") == "1")
  }
}

/// Memory that stays until a request has been answered.
private final class RequestBytes {
  private var buffer = ByteBuffer()

  init(_ bytes: [UInt8]) { for byte in bytes { buffer.append(byte) } }

  var view: ByteView { buffer.bytes }
  var mutableView: MutableByteView { buffer.mutableBytes }
}
