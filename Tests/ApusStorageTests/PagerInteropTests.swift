// Real SQLite reads what the pager writes, and the pager reads what SQLite leaves: whole files, live logs, hot
// journals.

import ApusBase
import ApusIO
import ApusStorage
import CSQLite
import Testing

/// A connection of the real SQLite, in this process.
@safe
final class Reference {
  private var handle: OpaquePointer?

  init(_ path: String) throws {
    guard unsafe sqlite3_open(path, &handle) == SQLITE_OK else { throw Failure(message: "open \(path)") }
  }

  deinit { unsafe sqlite3_close_v2(handle) }

  struct Failure: Error { var message: String }

  func close() {
    unsafe sqlite3_close_v2(handle)
    unsafe handle = nil
  }

  /// The first column of each row.
  @discardableResult
  func run(_ sql: String) throws -> [String] {
    var rows: [String] = []
    var statement: OpaquePointer?
    var rest: String? = sql
    while let text = rest, !text.isEmpty {
      var used = 0
      let code = unsafe text.withCString { start -> Int32 in
        var tail: UnsafePointer<CChar>?
        let code = unsafe sqlite3_prepare_v2(handle, start, -1, &statement, &tail)
        if let tail = unsafe tail { used = unsafe tail - start }
        return code
      }
      guard code == SQLITE_OK else { throw Failure(message: unsafe String(cString: sqlite3_errmsg(handle))) }
      if unsafe statement == nil { break }
      var step = unsafe sqlite3_step(statement)
      while step == SQLITE_ROW {
        if let value = unsafe sqlite3_column_text(statement, 0) { rows.append(unsafe String(cString: value)) }
        step = unsafe sqlite3_step(statement)
      }
      let message = unsafe String(cString: sqlite3_errmsg(handle))
      unsafe sqlite3_finalize(statement)
      guard step == SQLITE_DONE else { throw Failure(message: message) }
      rest = used < text.utf8.count ? String(decoding: Array(text.utf8)[used...], as: UTF8.self) : nil
    }
    return rows
  }
}

/// Files in a directory of their own, removed at the end.
final class Directory {
  let environment = SystemEnvironment()
  let path: String

  init() {
    path = "/tmp/apus-pager-\(SystemEnvironment().randomUInt64())"
  }

  func file(_ name: String) -> String { "\(path)-\(name).db" }

  func remove(_ name: String) {
    for suffix in ["", "-wal", "-shm", "-journal"] { try? environment.delete(file(name) + suffix) }
  }

  func copy(_ from: String, _ to: String) throws {
    guard let size = try environment.size(of: from) else { return }
    let queue = environment.makeQueue()
    let source = try environment.open(from, .readOnly)
    let target = try environment.open(to, .create)
    var buffer = ByteBuffer()
    buffer.resize(to: Int(size))
    let view = buffer.mutableBytes
    for ticket in [queue.read(source, at: 0, into: view)] {
      while queue.take(ticket) == nil { queue.waitForCompletion() }
    }
    let ticket = queue.write(target, at: 0, from: [view.readable])
    while queue.take(ticket) == nil { queue.waitForCompletion() }
    source.close()
    target.close()
  }
}

@Suite struct PagerInteropTests {
  /// All pages of a database as the pager sees them.
  static func image(_ driver: Driver) throws -> [[UInt8]] {
    try driver.read {
      var pages: [[UInt8]] = []
      for number in 0..<driver.pager.pageCount where number != 0x4000_0000 / UInt32(driver.pager.pageSize) {
        pages.append(
          try driver.run { () throws(Fault) in
            driver.pager.beginOperation()
            return try driver.pager.page(PageNumber(number + 1)).bytes.array
          })
      }
      return pages
    }
  }

  /// Pages are too long to be printed.
  static func isSame(_ left: [[UInt8]], _ right: [[UInt8]]) -> Bool { left == right }

  static let fill = """
    CREATE TABLE t(a INTEGER PRIMARY KEY, b TEXT); CREATE INDEX i ON t(b);
    WITH RECURSIVE n(x) AS (VALUES(1) UNION ALL SELECT x+1 FROM n WHERE x<3000)
    INSERT INTO t SELECT x, hex(randomblob(20)) FROM n; DELETE FROM t WHERE a % 3 = 0;
    """

  @Test("a live log of SQLite is read as SQLite reads it", arguments: [512, 4096, 65536])
  func readsLiveLog(pageSize: Int) throws {
    let directory = Directory()
    defer { directory.remove("live") }
    let path = directory.file("live")
    let reference = try Reference(path)
    try reference.run("PRAGMA page_size=\(pageSize); PRAGMA journal_mode=WAL; PRAGMA wal_autocheckpoint=0;")
    try reference.run(PagerInteropTests.fill)
    let driver = try Driver(directory.environment, path)
    let pages = try PagerInteropTests.image(driver)
    #expect(driver.pager.journalMode == .wal)
    // The log's pages are what a checkpoint puts into the file.
    try reference.run("UPDATE t SET b = 'x' WHERE a < 100")
    let changed = try PagerInteropTests.image(driver)
    #expect((!PagerInteropTests.isSame(changed, pages)) as Bool)
    let answer = try reference.run("PRAGMA wal_checkpoint(PASSIVE)")
    #expect(answer == ["0"])
    let after = try PagerInteropTests.image(driver)
    #expect((PagerInteropTests.isSame(after, changed)) as Bool)
    driver.pager.close()
    reference.close()
    let plain = try Driver(directory.environment, path) { $0.isReadOnly = true }
    let last = try PagerInteropTests.image(plain)
    #expect((PagerInteropTests.isSame(last, changed)) as Bool)
    plain.pager.close()
  }

  @Test("SQLite reads what the pager commits to the log, and each sees the other's commits")
  func sharesLog() throws {
    let directory = Directory()
    defer { directory.remove("share") }
    let path = directory.file("share")
    let reference = try Reference(path)
    try reference.run("PRAGMA journal_mode=WAL; CREATE TABLE t(a); INSERT INTO t VALUES(1); PRAGMA user_version=1")
    let driver = try Driver(directory.environment, path)
    for round in UInt32(2)...40 {
      try driver.write { try driver.run { () throws(Fault) in try driver.pager.setMeta(6, round * 2) } }
      let seen = try reference.run("PRAGMA user_version")
      #expect(seen == ["\(round * 2)"])
      try reference.run("PRAGMA user_version=\(round * 2 + 1); INSERT INTO t VALUES(\(round))")
      let found = try driver.read { try driver.run { () throws(Fault) in try driver.pager.meta(6) } }
      #expect(found == round * 2 + 1)
      if round % 10 == 0 {
        let result = try driver.run { () throws(Fault) in try driver.pager.checkpoint(.passive) }
        #expect(result.walFrames == result.checkpointed)
      }
      if round % 15 == 0 { try reference.run("PRAGMA wal_checkpoint(TRUNCATE)") }
    }
    let check = try reference.run("PRAGMA integrity_check; SELECT count(*) FROM t")
    #expect(check == ["ok", "40"])
    // A writer on either side keeps the other out.
    try driver.begin()
    #expect(throws: Reference.Failure.self) { try reference.run("INSERT INTO t VALUES(0)") }
    try driver.rollback()
    driver.pager.endRead()
    try reference.run("BEGIN IMMEDIATE")
    #expect(throws: EngineError.self) { try driver.begin() }
    try reference.run("COMMIT")
    reference.close()
    driver.pager.close()
    #expect(try !directory.environment.exists(path + "-wal"))
    let again = try Reference(path)
    #expect(try again.run("PRAGMA integrity_check") == ["ok"])
  }

  @Test("a log left by a dead process is recovered on both sides")
  func recoversLog() throws {
    let directory = Directory()
    defer { for name in ["a", "b", "c"] { directory.remove(name) } }
    let reference = try Reference(directory.file("a"))
    try reference.run("PRAGMA journal_mode=WAL; PRAGMA wal_autocheckpoint=0;")
    try reference.run(PagerInteropTests.fill)
    for suffix in ["", "-wal"] { try directory.copy(directory.file("a") + suffix, directory.file("b") + suffix) }
    let driver = try Driver(directory.environment, directory.file("b"))
    try driver.write { try driver.run { () throws(Fault) in try driver.pager.setMeta(6, 77) } }
    for suffix in ["", "-wal"] { try directory.copy(directory.file("b") + suffix, directory.file("c") + suffix) }
    let other = try Reference(directory.file("c"))
    let found = try other.run("PRAGMA user_version; PRAGMA integrity_check; SELECT count(*) FROM t")
    #expect(found == ["77", "ok", "2000"])
    driver.pager.close()
    other.close()
  }

  @Test("SQLite recovers a log that ends in zeros, and goes on with it; the pager goes on with that")
  func sharesZeros() throws {
    let directory = Directory()
    defer { for name in ["a", "b"] { directory.remove(name) } }
    let (first, second) = (directory.file("a"), directory.file("b"))
    let reference = try Reference(first)
    try reference.run("PRAGMA journal_mode=WAL; CREATE TABLE t(a)")
    reference.close()
    let driver = try Driver(directory.environment, first)
    try driver.write { try driver.run { () throws(Fault) in try driver.pager.setMeta(6, 5) } }
    // One frame and room for many.
    let byteCount = try #require(try directory.environment.size(of: first + "-wal"))
    #expect(byteCount > 32 + 10 * (24 + 4096))
    for suffix in ["", "-wal"] { try directory.copy(first + suffix, second + suffix) }
    driver.pager.close()
    let other = try Reference(second)
    #expect(try other.run("PRAGMA user_version") == ["5"])
    let again = try Driver(directory.environment, second)
    for round in 6...80 {
      try other.run("INSERT INTO t VALUES(\(round)); PRAGMA user_version=\(round * 2)")
      let found = try again.read { try again.run { () throws(Fault) in try again.pager.meta(6) } }
      #expect(found == UInt32(round * 2))
      try again.write { try again.run { () throws(Fault) in try again.pager.setMeta(6, found + 1) } }
      #expect(try other.run("PRAGMA user_version") == ["\(round * 2 + 1)"])
    }
    #expect(try other.run("PRAGMA integrity_check; SELECT count(*) FROM t") == ["ok", "75"])
    other.close()
    again.pager.close()
  }

  @Test("a hot journal of SQLite is rolled back")
  func rollsBackSQLitesJournal() throws {
    let directory = Directory()
    defer { for name in ["a", "b"] { directory.remove(name) } }
    let reference = try Reference(directory.file("a"))
    // Without free pages: what they hold is not journaled.
    try reference.run(PagerInteropTests.fill + "VACUUM")
    let before = try Driver(directory.environment, directory.file("a"))
    let pages = try PagerInteropTests.image(before)
    before.pager.close()
    // A small cache spills, so the file is changed while the journal is hot.
    try reference.run(
      "PRAGMA cache_size=5; BEGIN; UPDATE t SET b = b || 'changed'; INSERT INTO t SELECT a+10000, b FROM t")
    for suffix in ["", "-journal"] { try directory.copy(directory.file("a") + suffix, directory.file("b") + suffix) }
    #expect(try directory.environment.exists(directory.file("b") + "-journal"))
    let driver = try Driver(directory.environment, directory.file("b"))
    let after = try PagerInteropTests.image(driver)
    #expect((PagerInteropTests.isSame(after, pages)) as Bool)
    #expect(try !directory.environment.exists(directory.file("b") + "-journal"))
    driver.pager.close()
  }

  @Test("SQLite rolls back a hot journal of the pager")
  func sqliteRollsBack() throws {
    let directory = Directory()
    defer { for name in ["a", "b"] { directory.remove(name) } }
    let reference = try Reference(directory.file("a"))
    try reference.run(PagerInteropTests.fill + "VACUUM")
    reference.close()
    let driver = try Driver(directory.environment, directory.file("a")) {
      $0.dirtyBytes = 1
      $0.cacheBytes = 1
    }
    try driver.begin()
    for page in 2..<driver.pager.pageCount { try driver.set(page, 0xdead_beef) }
    for suffix in ["", "-journal"] { try directory.copy(directory.file("a") + suffix, directory.file("b") + suffix) }
    #expect(try directory.environment.exists(directory.file("b") + "-journal"))
    try driver.rollback()
    driver.pager.close()
    for name in ["a", "b"] {
      let other = try Reference(directory.file(name))
      let found = try other.run("PRAGMA integrity_check; SELECT count(*) FROM t")
      #expect(found == ["ok", "2000"])
      other.close()
    }
  }

  @Test("files that are no databases are refused in SQLite's words")
  func refusesStrangers() throws {
    let environment = MemoryEnvironment(seed: 1)
    environment.setContents(of: "/text", to: Array(repeating: 0x41, count: 4096))
    let driver = try Driver(environment, "/text")
    #expect { try driver.read {} } throws: { ($0 as? EngineError)?.message == "file is not a database" }
  }
}
