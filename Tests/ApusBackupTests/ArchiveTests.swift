// Archives: what goes in comes out, at every commit; what is damaged, missing or foreign is reported.

import Apus
import ApusBase
import ApusIO
import ApusStorage
import Testing

@testable import ApusBackup

@Suite struct ArchiveTests {
  func made(_ environment: any Environment, wal: Bool = true) throws -> Connection {
    let connection = try Connection("/a.db", environment: environment)
    try connection.execute("PRAGMA page_size = 1024;")
    if wal { try connection.execute("PRAGMA journal_mode = wal;") }
    try connection.execute("CREATE TABLE t(a INTEGER PRIMARY KEY, b TEXT); CREATE TABLE n(x); INSERT INTO n VALUES (0);")
    return connection
  }

  func number(_ connection: Connection, _ sql: String) throws -> Int64 {
    let statement = try connection.prepareBlocking(sql)
    defer { statement.finalize() }
    #expect(try statement.stepBlocking())
    return statement.column(0).asInteger
  }

  func rows(_ path: String, _ environment: any Environment) throws -> (Int64, Int64, String) {
    let connection = try Connection(path, environment: environment)
    defer { try? connection.closeBlocking() }
    let check = try connection.prepareBlocking("PRAGMA integrity_check")
    defer { check.finalize() }
    #expect(try check.stepBlocking())
    let text = check.column(0).bytes.string
    return (try number(connection, "SELECT x FROM n"), try number(connection, "SELECT count(*) FROM t"), text)
  }

  @Test("a backup is the database, and any flipped byte of it shows", arguments: [false, true])
  func wholeFile(wal: Bool) throws {
    let environment = MemoryEnvironment()
    let source = try made(environment, wal: wal)
    try source.execute(
      "WITH RECURSIVE c(x) AS (VALUES(1) UNION ALL SELECT x + 1 FROM c WHERE x < 3000) INSERT INTO t SELECT x, hex(x * 7) FROM c")
    let summary = try DatabaseArchive.backup(environment, from: "/a.db", to: "/a.zst")
    #expect(summary.databaseByteCount == Int64(summary.pageCount * 1024))
    #expect(throws: EngineError.self) { try DatabaseArchive.backup(environment, from: "/a.db", to: "/a.zst") }
    try DatabaseArchive.backup(environment, from: "/a.db", to: "/a.zst", replaces: true)
    try DatabaseArchive.restore(environment, from: "/a.zst", to: "/b.db")
    #expect(try rows("/b.db", environment) == (0, 3000, "ok"))
    #expect(throws: EngineError.self) { try DatabaseArchive.restore(environment, from: "/a.zst", to: "/b.db") }
    try DatabaseArchive.restore(environment, from: "/a.zst", to: "/b.db", replaces: true)
    // In use.
    #expect(throws: EngineError.self) {
      let user = try Connection("/b.db", environment: environment)
      try user.execute("BEGIN; SELECT * FROM t;")
      try DatabaseArchive.restore(environment, from: "/a.zst", to: "/b.db", replaces: true)
    }
    let good = try #require(environment.contents(of: "/a.zst"))
    var random = SeededRandom(seed: 7)
    for _ in 0..<150 {
      var bad = good
      let place = random.below(bad.count)
      if random.oneIn(5) { bad.removeLast(bad.count - place) } else { bad[place] ^= UInt8(1 + random.below(255)) }
      environment.setContents(of: "/bad.zst", to: bad)
      #expect(throws: EngineError.self, "byte \(place)") {
        try DatabaseArchive.restore(environment, from: "/bad.zst", to: "/c.db")
      }
      #expect(environment.contents(of: "/c.db") == nil)
    }
  }

  @Test("every commit of a followed database can be restored", arguments: UInt64(1)...6)
  func everyCommit(seed: UInt64) throws {
    let environment = MemoryEnvironment(seed: seed)
    var random = SeededRandom(seed: seed)
    var source = try made(environment)
    if seed.isMultiple(of: 2) {
      // The log begins empty.
      try source.closeBlocking()
      source = try Connection("/a.db", environment: environment)
    }
    let archive = try CommitArchive(environment, directory: "/archive")
    let archiver = try LogArchiver(archive, database: "/a.db")
    archiver.framesBeforeRestart = UInt32(5 + random.below(60))
    var restarts = 0
    #expect(try archiver.round().tookBase)
    var written: Int64 = 0
    for round in 0..<40 {
      for _ in 0..<random.below(6) {
        written += 1
        let change = random.oneIn(4) ? "DELETE FROM t WHERE a % 7 = \(random.below(7));" : ""
        try source.execute(
          "BEGIN; UPDATE n SET x = \(written); INSERT INTO t(b) VALUES (hex(randomblob(\(random.below(900))))); \(change) COMMIT;")
      }
      if random.oneIn(3) { try source.execute("PRAGMA wal_checkpoint(\(["passive", "full", "truncate"][random.below(3)]));") }
      let found = try archiver.round()
      #expect(!found.tookBase, "seed \(seed), round \(round)")
      if found.restartedLog { restarts += 1 }
    }
    #expect(restarts > 0, "seed \(seed)")
    let last = try #require(archive.lastCommit)
    #expect(Int64(last) == written + 1, "seed \(seed): the base is commit 1, then every commit")
    #expect(try CommitArchive(environment, directory: "/archive").entries().last?.lastCommit == last)
    for commit in stride(from: UInt64(1), through: last, by: 5) {
      try archive.restore(to: "/r.db", at: commit, replaces: true)
      let (x, _, check) = try rows("/r.db", environment)
      #expect(x == Int64(commit) - 1 && check == "ok", "seed \(seed), commit \(commit)")
    }
    try archive.restore(to: "/r.db", replaces: true)
    #expect(try rows("/r.db", environment).0 == written)
    #expect(try rows("/r.db", environment).1 == number(source, "SELECT count(*) FROM t"))
    #expect(throws: EngineError.self) { try archive.restore(to: "/x.db", at: last + 1) }
    try archive.verify()
    archiver.close()
  }

  @Test("an archiver that was away goes on where the log still holds what it lacks, or takes a base")
  func gaps() throws {
    let environment = MemoryEnvironment()
    let source = try made(environment)
    let archive = try CommitArchive(environment, directory: "/archive")
    func round() throws -> LogArchiver.Round {
      let archiver = try LogArchiver(archive, database: "/a.db")
      defer { archiver.close() }
      archiver.framesBeforeRestart = .max
      return try archiver.round()
    }
    #expect(try round().tookBase)
    try source.execute("UPDATE n SET x = 1; UPDATE n SET x = 2;")
    let second = try round()
    #expect(second.commits == 2 && !second.tookBase)
    #expect(try round().commits == 0)
    // Nobody holds the log: it starts again.
    try source.execute("PRAGMA wal_checkpoint(truncate); UPDATE n SET x = 3;")
    #expect(try round().tookBase)
    #expect(try archive.entries().map(\.isBehindGap) == [false, false, true])
    for (commit, value) in [(1, 0), (2, 1), (3, 2), (4, 3)] {
      try archive.restore(to: "/r.db", at: UInt64(commit), replaces: true)
      #expect(try rows("/r.db", environment).0 == Int64(value))
    }
    let journal = try Connection("/j.db", environment: environment)
    try journal.execute("CREATE TABLE t(a);")
    let other = try LogArchiver(try CommitArchive(environment, directory: "/archive2"), database: "/j.db")
    #expect(throws: EngineError.self) { try other.round() }
    other.close()
  }

  @Test("commits whose log the last close has deleted are not missed", arguments: [false, true])
  func emptyLogs(follows: Bool) throws {
    let environment = MemoryEnvironment()
    try made(environment).closeBlocking()
    let archive = try CommitArchive(environment, directory: "/archive")
    func round() throws -> LogArchiver.Round {
      let archiver = try LogArchiver(archive, database: "/a.db")
      defer { archiver.close() }
      archiver.framesBeforeRestart = .max
      return try archiver.round()
    }
    #expect(try round().tookBase)
    // At rest: nothing new, and no file for it.
    let idle = try round()
    #expect(idle.commits == 0 && !idle.tookBase)
    #expect(try archive.entries().count == 1)
    #expect(environment.contents(of: "/archive/00000002-base.zst") == nil)
    let away = try Connection("/a.db", environment: environment)
    try away.execute("UPDATE n SET x = 1; INSERT INTO t(b) VALUES (hex(randomblob(9000)));")
    try away.closeBlocking()
    if !follows {
      let found = try round()
      #expect(found.tookBase && found.commits == 1)
      try archive.restore(to: "/r.db")
      #expect(try rows("/r.db", environment) == (1, 1, "ok"))
    }
    let archiver = try LogArchiver(archive, database: "/a.db")
    #expect(try archiver.round().tookBase == follows)
    let source = try Connection("/a.db", environment: environment)
    try source.execute("UPDATE n SET x = 2; UPDATE n SET x = 3;")
    let found = try archiver.round()
    #expect(found.commits == 2 && !found.tookBase)
    archiver.close()
    try archive.restore(to: "/r.db", replaces: true)
    #expect(try rows("/r.db", environment) == (3, 1, "ok"))
    #expect(try archive.entries().map(\.isBehindGap) == [false, true, false])
  }

  @Test("what a database that is gone has left beside it does not come into the restored one", arguments: [false, true])
  func orphans(wal: Bool) throws {
    let environment = MemoryEnvironment()
    let source = try made(environment, wal: wal)
    try DatabaseArchive.backup(environment, from: "/a.db", to: "/a.zst")
    // The same database later, at a moment when a log with commits or a hot journal lies beside it.
    try source.execute("PRAGMA wal_checkpoint(truncate); PRAGMA cache_size = 5; BEGIN; UPDATE n SET x = 5;")
    try source.execute(
      "WITH RECURSIVE c(x) AS (VALUES(1) UNION ALL SELECT x + 1 FROM c WHERE x < 500) INSERT INTO t SELECT x, hex(x * 7) FROM c;")
    if wal { try source.execute("COMMIT;") }
    let suffix = wal ? "-wal" : "-journal"
    let orphan = try #require(environment.contents(of: "/a.db" + suffix))
    #expect(orphan.count > 1000)
    for name in wal ? ["-wal", "-shm"] : ["-journal"] {
      environment.setContents(of: "/b.db" + name, to: name == suffix ? orphan : [0])
      do {
        try DatabaseArchive.restore(environment, from: "/a.zst", to: "/b.db")
        Issue.record("restored beside \(name)")
      } catch {
        #expect(error.code == .cannotOpen && error.object == "/b.db" + name && error.hint != nil)
      }
      #expect(environment.contents(of: "/b.db") == nil)
      #expect(throws: EngineError.self) { try Recovery.run(environment, from: "/a.db", to: "/b.db") }
      try DatabaseArchive.restore(environment, from: "/a.zst", to: "/b.db", replaces: true)
      #expect(environment.contents(of: "/b.db" + name) == nil)
      #expect(try rows("/b.db", environment) == (0, 0, "ok"))
      try environment.delete("/b.db")
    }
  }

  @Test("an archive may have more files than a process")
  func manyFiles() throws {
    let environment = MemoryEnvironment(openFileCountMax: 40)
    let source = try made(environment)
    let archive = try CommitArchive(environment, directory: "/archive")
    let archiver = try LogArchiver(archive, database: "/a.db")
    for value in 1...60 {
      try source.execute("UPDATE n SET x = \(value);")
      _ = try archiver.round()
    }
    archiver.close()
    #expect(try archive.entries().count == 60)
    try archive.verify()
    try archive.restore(to: "/r.db")
    #expect(try rows("/r.db", environment) == (60, 0, "ok"))
    try archive.restore(to: "/r.db", at: 31, replaces: true)
    #expect(try rows("/r.db", environment) == (31, 0, "ok"))
  }

  /// /a.zst, which has no rows, and /b.db, which has 500 in its log, or a hot journal that takes its change back.
  /// - Returns: what the old one holds.
  func makeUnrested(_ memory: MemoryEnvironment, wal: Bool) throws -> (Int64, Int64, String) {
    let source = try made(memory, wal: wal)
    try DatabaseArchive.backup(memory, from: "/a.db", to: "/a.zst")
    try source.execute("UPDATE n SET x = 1;")
    try source.execute("PRAGMA wal_checkpoint(truncate); PRAGMA cache_size = 5; BEGIN; UPDATE n SET x = 2;")
    try source.execute(
      "WITH RECURSIVE c(x) AS (VALUES(1) UNION ALL SELECT x + 1 FROM c WHERE x < 500) INSERT INTO t SELECT x, hex(x * 7) FROM c;")
    if wal { try source.execute("COMMIT;") }
    for name in wal ? ["", "-wal"] : ["", "-journal"] {
      memory.setContents(of: "/b.db" + name, to: try #require(memory.contents(of: "/a.db" + name)))
    }
    return wal ? (2, 500, "ok") : (1, 0, "ok")
  }

  /// What who comes after a stop at this moment finds in /b.db.
  func left(_ memory: MemoryEnvironment) throws -> (Int64, Int64, String) {
    let copy = MemoryEnvironment()
    for name in ["", "-journal", "-wal"] {
      if let bytes = memory.contents(of: "/b.db" + name) { copy.setContents(of: "/b.db" + name, to: bytes) }
    }
    return try rows("/b.db", copy)
  }

  @Test("an old database that cannot be brought to rest for now ends the restore", arguments: [false, true])
  func passingFailure(wal: Bool) throws {
    let memory = MemoryEnvironment()
    let environment = WatchedEnvironment(memory)
    let old = try makeUnrested(memory, wal: wal)
    environment.refusedPath = "/b.db"
    environment.watch = { step throws(EngineError) in
      if case .rename(_, to: "/b.db") = step { throw EngineError(.ioError, cause: "refused") }
    }
    do throws(EngineError) {
      try DatabaseArchive.restore(environment, from: "/a.zst", to: "/b.db", replaces: true)
      Issue.record("restored")
    } catch {
      #expect(error.code == .ioErrorWrite && error.hint != nil, "\(error)")
    }
    #expect(try left(memory) == old)
    #expect(memory.contents(of: "/b.db-partial") == nil)
    environment.refusedPath = nil
    environment.watch = { _ in }
    try DatabaseArchive.restore(environment, from: "/a.zst", to: "/b.db", replaces: true)
    #expect(try left(memory) == (0, 0, "ok"))
  }

  @Test("each wait for a lock lasts as long as the first one, however old the archiver is")
  func patience() throws {
    let environment = MemoryEnvironment()
    let other = try made(environment, wal: false)
    let database = try ArchivedDatabase(environment, "/a.db")
    defer { database.close() }
    try other.execute("BEGIN EXCLUSIVE;")
    for _ in 0..<3 {
      environment.sleep(untilMonotonic: environment.monotonicNanoseconds() + 3 * Patience.nanoseconds)
      let start = environment.monotonicNanoseconds()
      do throws(EngineError) {
        try database.begin()
        Issue.record("opened")
      } catch {
        #expect(error.code.primary == .busy)
      }
      let waited = environment.monotonicNanoseconds() - start
      #expect(waited > Patience.nanoseconds && waited < 2 * Patience.nanoseconds)
    }
    try other.execute("COMMIT;")
    try database.begin()
  }

  @Test("a round whose restart of the log fails tells what it has archived")
  func failingRestart() throws {
    let memory = MemoryEnvironment()
    let environment = WatchedEnvironment(memory)
    let source = try made(memory)
    let archive = try CommitArchive(environment, directory: "/archive")
    let archiver = try LogArchiver(archive, database: "/a.db")
    archiver.framesBeforeRestart = 5
    #expect(try archiver.round().tookBase)
    for value in 1...8 { try source.execute("UPDATE n SET x = \(value);") }
    environment.refusedPath = "/a.db"
    let failed = try archiver.round()
    #expect(failed.commits == 8 && !failed.tookBase && !failed.restartedLog)
    #expect(failed.restartFailure?.code == .ioErrorWrite)
    try source.execute("UPDATE n SET x = 9;")
    let again = try archiver.round()
    #expect(again.commits == 1 && !again.tookBase && again.restartFailure != nil)
    environment.refusedPath = nil
    try source.execute("UPDATE n SET x = 10;")
    let last = try archiver.round()
    #expect(last.commits == 1 && !last.tookBase && last.restartedLog && last.restartFailure == nil)
    try source.execute("UPDATE n SET x = 11;")
    #expect(try archiver.round().commits == 1)
    archiver.close()
    try archive.restore(to: "/r.db")
    #expect(try rows("/r.db", memory) == (11, 0, "ok"))
  }

  @Test("an archiver that goes on outlasts somebody's lock")
  func busyRound() throws {
    let environment = MemoryEnvironment()
    try made(environment).closeBlocking()
    let archiver = try LogArchiver(try CommitArchive(environment, directory: "/archive"), database: "/a.db")
    defer { archiver.close() }
    let file = try environment.open("/a.db", .readWrite)
    #expect(try file.lock(.exclusive, at: 0x4000_0000, length: 512))
    for _ in 0..<2 { #expect(try archiver.roundUnlessBusy() == nil) }
    #expect(throws: EngineError.self) { try archiver.round() }
    try file.unlock(at: 0x4000_0000, length: 512)
    #expect(try archiver.roundUnlessBusy()?.tookBase == true)
  }

  @Test("a segment that holds more or fewer commits than it says is reported", arguments: [-2, -1, 1, 5])
  func countedCommits(difference: Int) throws {
    let environment = MemoryEnvironment()
    let source = try made(environment)
    let archive = try CommitArchive(environment, directory: "/archive")
    let archiver = try LogArchiver(archive, database: "/a.db")
    _ = try archiver.round()
    try source.execute("UPDATE n SET x = 1; UPDATE n SET x = 2; UPDATE n SET x = 3;")
    #expect(try archiver.round().commits == 3)
    archiver.close()
    try archive.verify()
    try archive.restore(to: "/r.db", at: 2)
    var record = try #require(archive.head)
    let reader = try ArchiveReader(environment, archive.path(2, .segment))
    var frames = ByteBuffer()
    try reader.read { bytes throws(EngineError) in
      frames.append(bytes)
      return true
    }
    reader.close()
    record.lastCommit = UInt64(Int(record.lastCommit) + difference)
    let writer = try ArchiveWriter(environment, archive.path(2, .segment), level: 1)
    writer.append(frames.bytes)
    try archive.writeHead(try writer.finish(record, replaces: true))
    for wanted in 2...record.lastCommit {
      do throws(EngineError) {
        try archive.restore(to: "/r.db", at: wanted, replaces: true)
        Issue.record("commit \(wanted) was restored")
      } catch {
        #expect(error.code == .corrupt)
      }
    }
    #expect(throws: EngineError.self) { try archive.verify() }
    #expect(try rows("/r.db", environment) == (1, 0, "ok"))
  }

  @Test("a restore that is stopped anywhere leaves the old database or the new one", arguments: [false, true])
  func stoppedRestore(wal: Bool) throws {
    let memory = MemoryEnvironment()
    let environment = WatchedEnvironment(memory)
    let old = try makeUnrested(memory, wal: wal)
    func found() throws -> (Int64, Int64, String) { try left(memory) }
    var steps: [WatchedEnvironment.Step] = []
    var isRefusing = true
    environment.watch = { step throws(EngineError) in
      steps.append(step)
      do { #expect(try found() == old, "\(step)") } catch { Issue.record("\(step): \(error)") }
      guard case .rename(_, to: "/b.db") = step else { return }
      let file = try memory.open("/b.db", .readWrite)
      defer { file.close() }
      #expect(try !file.lock(.shared, at: 0x4000_0002, length: 510), "nobody comes in before the rename")
      if isRefusing { throw EngineError(.ioError, cause: "refused") }
    }
    #expect(throws: EngineError.self) {
      try DatabaseArchive.restore(environment, from: "/a.zst", to: "/b.db", replaces: true)
    }
    #expect(try found() == old)
    #expect(steps.contains(.rename("/b.db-partial", to: "/b.db")))
    isRefusing = false
    try DatabaseArchive.restore(environment, from: "/a.zst", to: "/b.db", replaces: true)
    #expect(try found() == (0, 0, "ok"))
    // What cannot be brought to rest is replaced all the same.
    memory.setContents(of: "/b.db", to: [UInt8](repeating: 7, count: 5000))
    memory.setContents(of: "/b.db-wal", to: [UInt8](repeating: 7, count: 5000))
    environment.watch = { _ in }
    try DatabaseArchive.restore(environment, from: "/a.zst", to: "/b.db", replaces: true)
    #expect(try found() == (0, 0, "ok"))
  }

  @Test("who finds a file being written leaves it alone, and a file in the making that was taken away is not published")
  func twoWriters() throws {
    let environment = MemoryEnvironment()
    let first = try PartialFile(environment, "/x")
    for _ in 0..<3 {
      #expect(throws: EngineError.self) { _ = try PartialFile(environment, "/x") }
      #expect(environment.paths == ["/x-partial"])
    }
    let bytes: [UInt8] = [1, 2, 3]
    var buffer = ByteBuffer()
    for byte in bytes { buffer.append(byte) }
    try first.content.append(buffer.bytes)
    try first.finish(replaces: false)
    #expect(environment.contents(of: "/x") == bytes)
    #expect(environment.paths == ["/x"])
    do {
      let second = try PartialFile(environment, "/x")
      try environment.delete("/x-partial")
      environment.setContents(of: "/x-partial", to: [9])
      #expect(throws: EngineError.self) { try second.finish(replaces: true) }
    }
    #expect(environment.contents(of: "/x") == bytes)
    #expect(environment.contents(of: "/x-partial") == [9])
  }

  @Test("a missing, damaged or foreign file of a chain is reported")
  func brokenChains() throws {
    let environment = MemoryEnvironment()
    let source = try made(environment)
    let archive = try CommitArchive(environment, directory: "/archive")
    let other = try CommitArchive(environment, directory: "/other")
    let archivers = [try LogArchiver(archive, database: "/a.db"), try LogArchiver(other, database: "/a.db")]
    for value in 0..<5 {
      try source.execute("UPDATE n SET x = \(value);")
      for archiver in archivers { _ = try archiver.round() }
    }
    let names = (2...5).map { "/0000000\($0)-log.zst" }
    let files = try names.map { try #require(environment.contents(of: "/archive" + $0)) }
    func isRefused(_ comment: String) {
      #expect(throws: EngineError.self, "\(comment)") {
        try CommitArchive(environment, directory: "/archive").restore(to: "/r.db", replaces: true)
      }
    }
    for (index, name) in names.enumerated() {
      try environment.delete("/archive" + name)
      isRefused("missing \(name)")
      environment.setContents(of: "/archive" + name, to: try #require(environment.contents(of: "/other" + name)))
      isRefused("foreign \(name)")
      environment.setContents(of: "/archive" + name, to: files[(index + 1) % 4])
      isRefused("another in the place of \(name)")
      var bad = files[index]
      bad[bad.count / 3] ^= 1
      environment.setContents(of: "/archive" + name, to: bad)
      isRefused("damaged \(name)")
      environment.setContents(of: "/archive" + name, to: files[index])
    }
    try CommitArchive(environment, directory: "/archive").restore(to: "/r.db", replaces: true)
    #expect(try rows("/r.db", environment).0 == 4)
    for archiver in archivers { archiver.close() }
  }

  @Test("an archive whose HEAD is lost or old is not written over", arguments: [false, true])
  func lostHead(isOld: Bool) throws {
    let environment = MemoryEnvironment()
    let source = try made(environment)
    var heads: [[UInt8]] = []
    let archive = try CommitArchive(environment, directory: "/archive")
    let archiver = try LogArchiver(archive, database: "/a.db")
    for value in 1...3 {
      try source.execute("UPDATE n SET x = \(value);")
      _ = try archiver.round()
      heads.append(try #require(environment.contents(of: "/archive/HEAD")))
    }
    archiver.close()
    let names = environment.paths.filter { $0.hasSuffix(".zst") }
    let files = names.map { environment.contents(of: $0) }
    try environment.delete("/archive/HEAD")
    if isOld { environment.setContents(of: "/archive/HEAD", to: heads[0]) }
    #expect(throws: EngineError.self) {
      let other = try LogArchiver(try CommitArchive(environment, directory: "/archive"), database: "/a.db")
      _ = try other.round()
    }
    #expect(names.map { environment.contents(of: $0) } == files)
    environment.setContents(of: "/archive/HEAD", to: heads[2])
    try CommitArchive(environment, directory: "/archive").restore(to: "/r.db")
    #expect(try rows("/r.db", environment) == (3, 0, "ok"))
    // One file behind HEAD is what a process leaves that was stopped.
    environment.setContents(of: "/archive/HEAD", to: heads[1])
    let next = try LogArchiver(try CommitArchive(environment, directory: "/archive"), database: "/a.db")
    #expect(try next.round().commits == 1)
    next.close()
  }

  @Test("a record with numbers that no archive has is reported")
  func craftedRecords() throws {
    let environment = MemoryEnvironment()
    let source = try made(environment)
    let archive = try CommitArchive(environment, directory: "/archive")
    let archiver = try LogArchiver(archive, database: "/a.db")
    _ = try archiver.round()
    archiver.close()
    try source.closeBlocking()
    let good = try #require(archive.head)
    let crafts: [(inout ArchiveRecord) -> Void] = [
      { $0.pageCount = .max }, { $0.pageCount = 1 << 52 }, { $0.pageCount = 0xffff_ffff },
      { ($0.firstCommit, $0.lastCommit) = (.max, .max) }, { $0.lastCommit = .max }, { $0.ordinal = .max },
      { $0.contentByteCount = .max }, { $0.time = .max }, { $0.frame = .max },
    ]
    for (index, craft) in crafts.enumerated() {
      var record = good
      craft(&record)
      // As a single archive file, as one in a chain, and in HEAD.
      let writer = try ArchiveWriter(environment, "/x.zst", level: 1)
      var page = ByteBuffer()
      page.resize(to: 1024)
      writer.append(page.bytes)
      _ = try writer.finish(record, replaces: true)
      let isHarmless = index > 5
      if !isHarmless {
        #expect(throws: EngineError.self) { try DatabaseArchive.verify(environment, "/x.zst") }
      }
      #expect(throws: EngineError.self) { try DatabaseArchive.restore(environment, from: "/x.zst", to: "/y.db") }
      environment.setContents(of: "/crafted/00000001-base.zst", to: try #require(environment.contents(of: "/x.zst")))
      var bytes = ByteBuffer()
      record.append(to: &bytes)
      let digits = Array("0123456789abcdef".utf8)
      let text = bytes.bytes.array.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }
      environment.setContents(of: "/crafted/HEAD", to: text + [0x0a])
      #expect(throws: EngineError.self) { try CommitArchive(environment, directory: "/crafted").restore(to: "/y.db") }
      _ = try? LogArchiver(try CommitArchive(environment, directory: "/crafted"), database: "/a.db").round()
      for name in environment.paths where name.hasPrefix("/crafted/") { try environment.delete(name) }
    }
    #expect(environment.contents(of: "/y.db") == nil)
  }

  @Test("XXH64 is the published function")
  func hash() {
    func hash(_ text: String, seed: UInt64 = 0) -> UInt64 {
      var bytes = ByteBuffer()
      bytes.append(contentsOf: text)
      return XXHash64.hash(bytes.bytes, seed: seed)
    }
    #expect(hash("") == 0xef46_db37_51d8_e999)
    #expect(hash("a") == 0xd24e_c4f1_a98c_6e5b)
    #expect(hash("abc") == 0x44bc_2cf5_ad77_0999)
    #expect(hash("Nobody inspects the spammish repetition") == 0xfbce_a83c_8a37_8bf1)
  }
}
