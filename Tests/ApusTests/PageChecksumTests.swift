// Page checksums: damage is reported wherever the page comes from, and a program that does not know of them stands out.

import ApusBase
import ApusIO
import ApusStorage
import Testing

@testable import Apus

@Suite struct PageChecksumTests {
  func made(_ environment: MemoryEnvironment, wal: Bool, rows: Int = 500) throws -> Connection {
    let connection = try open(environment)
    try connection.execute("PRAGMA page_size = 1024; PRAGMA page_checksums = on;")
    if wal { try connection.execute("PRAGMA journal_mode = wal;") }
    try connection.execute(
      """
      CREATE TABLE t(a INTEGER PRIMARY KEY, b TEXT); CREATE INDEX i ON t(b);
      WITH RECURSIVE c(x) AS (VALUES(1) UNION ALL SELECT x + 1 FROM c WHERE x < \(rows))
      INSERT INTO t SELECT x, hex(x * 7919) || 'abcdefghij' FROM c;
      """)
    return connection
  }

  /// Without a cache that connections share: every read is one.
  func open(_ environment: MemoryEnvironment) throws -> Connection {
    var options = Connection.Options()
    options.pager.sharedCacheBytes = 0
    return try Connection("/a.db", options, environment: environment)
  }

  /// The first failure of reading everything, in the file as it lies there.
  func reading(_ environment: MemoryEnvironment) throws -> EngineError? {
    let connection = try open(environment)
    defer { try? connection.closeBlocking() }
    return failure {
      let rows = try connection.text("SELECT count(*), sum(a), sum(length(b)), min(b), max(b) FROM t NOT INDEXED")
      _ = try connection.text("SELECT b FROM t INDEXED BY i ORDER BY b")
      #expect(rows.count == 1)
    }
  }

  @Test("a flipped bit of any page is reported, in the file and in the log", arguments: [false, true])
  func flippedBits(wal: Bool) throws {
    let environment = MemoryEnvironment()
    let connection = try made(environment, wal: wal)
    #expect(try connection.text("PRAGMA page_checksums") == ["1"])
    #expect(try connection.text("PRAGMA integrity_check") == ["ok"])
    // Beside a log the pages of the file are old ones: keep it, and damage its frames.
    let name = wal ? "/a.db-wal" : "/a.db"
    let good = try #require(environment.contents(of: name))
    if !wal { try connection.closeBlocking() }
    let unit = wal ? 1024 + 24 : 1024
    let start = wal ? 32 + 24 : 0
    var random = SeededRandom(seed: 11)
    var reported = 0
    for _ in 0..<60 {
      var bad = good
      let page = random.below((good.count - start) / unit)
      let place = start + page * unit + (page == 0 && !wal ? 100 + random.below(924) : random.below(1024))
      bad[place] ^= 1 << UInt8(random.below(8))
      environment.setContents(of: name, to: bad)
      if let error = try reading(environment) {
        #expect(error.code == .ioErrorData, "byte \(place): \(error)")
        reported += 1
      }
    }
    environment.setContents(of: name, to: good)
    #expect(try reading(environment) == nil)
    // Free pages and frames that newer ones replace are not read.
    #expect(reported > (wal ? 20 : 50))
  }

  @Test("integrity_check names every page whose checksum is wrong")
  func check() throws {
    let environment = MemoryEnvironment()
    let connection = try made(environment, wal: false, rows: 3000)
    try connection.execute("DELETE FROM t WHERE a BETWEEN 800 AND 1500;")
    #expect(try connection.text("PRAGMA integrity_check") == ["ok"])
    #expect(try connection.text("PRAGMA freelist_count") != ["0"])
    try connection.closeBlocking()
    var bytes = try #require(environment.contents(of: "/a.db"))
    let pages = [4, 17, 40]
    for page in pages { bytes[(page - 1) * 1024 + 700] ^= 8 }
    environment.setContents(of: "/a.db", to: bytes)
    let again = try Connection("/a.db", environment: environment)
    let statement = try again.prepareBlocking("PRAGMA quick_check")
    #expect(try statement.stepBlocking())
    let text = statement.column(0).bytes.string
    statement.finalize()
    for page in pages { #expect(text.contains("page \(page): wrong checksum"), "\(text)") }
  }

  @Test("a page that a program without checksums has written is reported, can be read, and accepted", arguments: [false, true])
  func foreignWriter(changesPageOne: Bool) throws {
    let environment = MemoryEnvironment()
    try made(environment, wal: false).closeBlocking()
    var bytes = try #require(environment.contents(of: "/a.db"))
    // What SQLite leaves: content changed, reserved bytes kept.
    if changesPageOne { bytes[27] &+= 1 }
    if changesPageOne { bytes[95] &+= 1 }
    let last = bytes.count - 1024
    bytes[last + 1000] ^= 1
    environment.setContents(of: "/a.db", to: bytes)
    let error = try reading(environment)
    #expect(error?.code == .ioErrorData)
    #expect(error?.cause?.contains("does not keep page checksums") == true)
    let connection = try Connection("/a.db", environment: environment)
    try connection.execute("PRAGMA page_checksums = ignore;")
    #expect(try connection.text("SELECT count(*) FROM t NOT INDEXED") == ["500"])
    try connection.resealPages()
    try connection.closeBlocking()
    #expect(try reading(environment) == nil)
    let after = try Connection("/a.db", environment: environment)
    #expect(try after.text("PRAGMA page_checksums") == ["1"])
    #expect(try after.text("SELECT count(*) FROM t") == ["500"])
  }

  @Test("resealing leaves the connection as watchful as it was, also where it fails")
  func watchfulness() throws {
    let environment = MemoryEnvironment()
    try made(environment, wal: false).closeBlocking()
    var bytes = try #require(environment.contents(of: "/a.db"))
    bytes[bytes.count - 24] ^= 1
    environment.setContents(of: "/a.db", to: bytes)
    let connection = try open(environment)
    let other = try open(environment)
    try other.execute("BEGIN IMMEDIATE;")
    #expect(failure { try connection.resealPages() }?.code.primary == .busy)
    try other.execute("ROLLBACK;")
    let error = failure {
      _ = try connection.text("SELECT sum(length(b)) FROM t NOT INDEXED")
      _ = try connection.text("SELECT b FROM t INDEXED BY i ORDER BY b")
    }
    #expect(error?.code == .ioErrorData)
    try connection.execute("PRAGMA page_checksums = ignore;")
    try connection.resealPages()
    #expect(try !connection.database(named: "main").pager.verifiesChecksums)
    let fresh = try open(environment)
    try fresh.resealPages()
    #expect(try fresh.database(named: "main").pager.verifiesChecksums)
  }

  @Test("backups carry the checksums along, memory does not", arguments: [false, true])
  func backups(wal: Bool) throws {
    let environment = MemoryEnvironment()
    let connection = try made(environment, wal: wal)
    let backup = try connection.makeBackup(toFile: "/b.db")
    while !(try connection.block { () throws(Fault) in try backup.step(pages: 20) }) {}
    try connection.block { () throws(Fault) in try backup.finish() }
    let copy = try Connection("/b.db", environment: environment)
    #expect(try copy.text("PRAGMA page_checksums") == ["1"])
    #expect(try copy.text("PRAGMA integrity_check") == ["ok"])
    try copy.execute("DELETE FROM t WHERE a > 100;")
    #expect(try copy.text("PRAGMA integrity_check") == ["ok"])
    let memory = try Connection(":memory:", environment: environment)
    let restore = try memory.makeRestore(fromFile: "/b.db")
    while !(try memory.block { () throws(Fault) in try restore.step(pages: 20) }) {}
    try memory.block { () throws(Fault) in try restore.finish() }
    try memory.execute("DELETE FROM t WHERE a > 50;")
    #expect(try memory.text("PRAGMA page_checksums") == ["0"])
    let back = try memory.makeBackup(toFile: "/c.db")
    #expect(try memory.block { () throws(Fault) in try back.step(pages: -1) })
    try memory.block { () throws(Fault) in try back.finish() }
    let third = try Connection("/c.db", environment: environment)
    #expect(try third.text("PRAGMA page_checksums") == ["0"])
    #expect(try third.text("SELECT count(*) FROM t") == ["50"])
  }

  @Test("it is chosen before the first page, and never for memory")
  func choice() throws {
    let environment = MemoryEnvironment()
    let plain = try Connection("/p.db", environment: environment)
    try plain.execute("CREATE TABLE t(a); PRAGMA page_checksums = on;")
    #expect(try plain.text("PRAGMA page_checksums") == ["0"])
    let memory = try Connection(":memory:", environment: environment)
    try memory.execute("PRAGMA page_checksums = on; CREATE TABLE t(a);")
    #expect(try memory.text("PRAGMA page_checksums") == ["0"])
    #expect(failure { try plain.resealPages() }?.code == .misuse)
  }
}
