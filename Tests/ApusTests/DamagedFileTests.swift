// Files with wrong bytes in places that SQL statements come to: each statement says that the file is damaged, and leaves it as it
// is. No statement goes on for longer than the file's size explains.

import ApusBase
import ApusIO
import ApusStorage
import Testing

@testable import Apus

/// A file of pages of 512 bytes, made by SQL, whose bytes a test then changes.
private struct DamagedFile {
  static let pageSize = 512
  let environment: MemoryEnvironment
  var bytes: [UInt8]

  init(_ sql: String, autoVacuum: Int = 0, environment: MemoryEnvironment = MemoryEnvironment()) throws {
    self.environment = environment
    bytes = []
    let connection = try open()
    try connection.execute("PRAGMA page_size = \(Self.pageSize); PRAGMA auto_vacuum = \(autoVacuum); \(sql)")
    try connection.closeBlocking()
    bytes = try #require(environment.contents(of: "/a.db"))
  }

  /// A connection that reads the bytes as they are.
  func open() throws -> Connection {
    if !bytes.isEmpty { environment.setContents(of: "/a.db", to: bytes) }
    var options = Connection.Options()
    options.pager.sharedCacheBytes = 0
    return try Connection("/a.db", options, environment: environment)
  }

  var pageCount: UInt32 { UInt32(bytes.count / Self.pageSize) }

  /// The big-endian number at an offset of a page.
  subscript(page: UInt32, offset: Int) -> UInt32 {
    get {
      let start = Int(page - 1) * Self.pageSize + offset
      return bytes[start..<start + 4].reduce(0) { $0 << 8 | UInt32($1) }
    }
    set {
      let start = Int(page - 1) * Self.pageSize + offset
      for index in 0..<4 { bytes[start + index] = UInt8(truncatingIfNeeded: newValue >> UInt32(24 - 8 * index)) }
    }
  }

  /// A table's interior page whose children are all the same one.
  mutating func setInterior(_ page: UInt32, child: UInt32) {
    let cells = 60
    var content = [UInt8](repeating: 0, count: Self.pageSize)
    let start = Self.pageSize - 5 * cells
    content[0] = 5
    content[4] = UInt8(cells)
    content[5] = UInt8(start >> 8)
    content[6] = UInt8(start & 255)
    content[11] = UInt8(child)
    for index in 0..<cells {
      let offset = start + 5 * index
      content[12 + 2 * index] = UInt8(offset >> 8)
      content[13 + 2 * index] = UInt8(offset & 255)
      content[offset + 3] = UInt8(child)
      content[offset + 4] = UInt8(index + 1)
    }
    put(content, page)
  }

  /// A table's leaf with one short row, or none.
  mutating func setLeaf(_ page: UInt32, rows: Int) {
    var content = [UInt8](repeating: 0, count: Self.pageSize)
    let start = Self.pageSize - 4 * rows
    content[0] = 13
    content[4] = UInt8(rows)
    content[5] = UInt8(start >> 8)
    content[6] = UInt8(start & 255)
    if rows > 0 {
      content[8] = UInt8(start >> 8)
      content[9] = UInt8(start & 255)
      content.replaceSubrange(start..., with: [2, 1, 2, 8])
    }
    put(content, page)
  }

  private mutating func put(_ content: [UInt8], _ page: UInt32) {
    bytes.replaceSubrange(Int(page - 1) * Self.pageSize..<Int(page) * Self.pageSize, with: content)
  }

  /// Runs a statement that must find the damage and change nothing.
  func expectDamage(_ sql: String, _ cause: String) throws {
    let connection = try open()
    let found = failure { _ = try connection.text(sql) }
    #expect(found?.code == .corrupt, "\(sql)")
    #expect(found?.cause == cause, "\(sql)")
    try connection.closeBlocking()
    #expect(environment.contents(of: "/a.db") == bytes, "\(sql)")
  }
}

@Suite("Damaged files under SQL", .timeLimit(.minutes(30)))
struct DamagedFileTests {
  private static func rows(_ count: Int, _ content: String) -> String {
    "WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < \(count)) SELECT i, \(content) FROM n"
  }

  // MARK: The freelist

  /// Two tables, and free pages.
  private static func fileWithFreePages(autoVacuum: Int) throws -> DamagedFile {
    try DamagedFile(
      """
      CREATE TABLE t(a INTEGER PRIMARY KEY, b); CREATE TABLE u(a INTEGER PRIMARY KEY, b);
      INSERT INTO t \(rows(200, "zeroblob(40)")); INSERT INTO u \(rows(60, "zeroblob(40)"));
      DROP TABLE u
      """, autoVacuum: autoVacuum)
  }

  @Test("a freelist that is longer than the file is damage before anything is changed", arguments: [0, 2], [true, false])
  func longFreelist(autoVacuum: Int, isLargest: Bool) throws {
    var file = try Self.fileWithFreePages(autoVacuum: autoVacuum)
    file[1, 36] = isLargest ? .max : file.pageCount
    for sql in [
      "DROP TABLE t", "DELETE FROM t", "DELETE FROM t WHERE a % 10 > 0", "INSERT INTO t(b) VALUES (zeroblob(9000))",
      "CREATE TABLE v(a)",
    ] {
      try file.expectDamage(sql, "freelist longer than the database")
    }
  }

  @Test("a freelist that leads back to itself ends")
  func freelistLoop() throws {
    var file = try Self.fileWithFreePages(autoVacuum: 2)
    // Page 4 was a root, and free pages behind the largest root are looked for one by one.
    let trunk = file.pageCount
    file[1, 32] = trunk
    file[trunk, 0] = trunk
    file[trunk, 4] = 0
    file[1, 36] = 1 << 24
    try file.expectDamage("PRAGMA incremental_vacuum", "freelist longer than the database")
    try file.expectDamage("CREATE TABLE v(a)", "freelist longer than the database")
    file[1, 36] = file.pageCount - 1
    try file.expectDamage("PRAGMA incremental_vacuum", "a page on the freelist cannot be there")
    try file.expectDamage("CREATE TABLE v(a)", "a free page is not on the freelist")
  }

  // MARK: The pointer map

  @Test("a largest root that is a page of the pointer map is damage", arguments: [2, 105])
  func largestRootIsMapPage(largest: UInt32) throws {
    var file = try DamagedFile(
      "CREATE TABLE t(a INTEGER PRIMARY KEY, b); INSERT INTO t \(Self.rows(120, "zeroblob(400)"))", autoVacuum: 1)
    try #require(file.pageCount > 105)
    file[1, 52] = largest
    try file.expectDamage("DROP TABLE t", "largest root outside the database")
  }

  @Test("a page with a damaged cell does not move")
  func movedPage() throws {
    let made = try DamagedFile(
      """
      CREATE TABLE t(a INTEGER PRIMARY KEY, b); CREATE TABLE u(a INTEGER PRIMARY KEY, b);
      INSERT INTO t \(Self.rows(20, "zeroblob(100)")); INSERT INTO u \(Self.rows(100, "zeroblob(100)"));
      DELETE FROM t
      """, autoVacuum: 2)
    // The last page is a leaf of the second table, page 4 that table's root, which takes the place of a dropped one.
    for (page, kind, sql) in [(made.pageCount, UInt32(13), "PRAGMA incremental_vacuum(1)"), (4, 5, "DROP TABLE t")] {
      var file = made
      try #require(file[page, 0] >> 24 == kind)
      // Two cell pointers that lead behind the page's end.
      file[page, kind == 13 ? 8 : 12] = 0xffff_ffff
      try file.expectDamage(sql, "cell outside the content area")
      if kind == 5 {
        file = made
        file[page, 8] = made.pageCount + 1
        try file.expectDamage(sql, "a pointer of a cell leads nowhere")
      }
    }
  }

  // MARK: Overflow chains

  @Test("an overflow chain is freed for as long as its record is", arguments: [0, 1, 2])
  func longChain(autoVacuum: Int) throws {
    let keys = ["t(a INTEGER PRIMARY KEY, b)", "t(b PRIMARY KEY, a) WITHOUT ROWID"]
    for (index, length) in [600, 2_000, 8_100, 8_200, 8_300, 8_400, 8_500, 8_600, 8_700, 9_000, 17_000, 40_000].enumerated() {
      var file = try DamagedFile(
        """
        CREATE TABLE \(keys[index % 2]); CREATE TABLE u(a INTEGER PRIMARY KEY, b);
        INSERT INTO u VALUES (1, zeroblob(700)); INSERT INTO t(a, b) VALUES (1, zeroblob(\(length)))
        """, autoVacuum: autoVacuum)
      // Each table's only cell ends with the chain's head. The last page of the one chain leads to the other chain's only page.
      var last = file[autoVacuum == 0 ? 2 : 3, DamagedFile.pageSize - 4]
      while file[last, 0] != 0 { last = file[last, 0] }
      let foreign = file[autoVacuum == 0 ? 3 : 4, DamagedFile.pageSize - 4]
      try #require(file[foreign, 0] == 0)
      file[last, 0] = foreign
      for sql in ["DELETE FROM t", "DROP TABLE t", "BEGIN; SAVEPOINT s; DELETE FROM t; ROLLBACK TO s; DELETE FROM t; COMMIT"] {
        let connection = try file.open()
        try connection.execute(sql)
        #expect(try connection.text("PRAGMA integrity_check") == ["ok"], "\(sql), \(length) bytes")
        #expect(try connection.text("SELECT length(b) FROM u") == ["700"], "\(sql), \(length) bytes")
        try connection.closeBlocking()
      }
      // What is undone is whole again.
      let connection = try file.open()
      try connection.execute("BEGIN; DELETE FROM t; ROLLBACK")
      #expect(try connection.text("SELECT length(b) FROM t") == ["\(length)"])
      try connection.closeBlocking()
    }
  }

  // MARK: Trees

  /// A table of three levels that all share one page each; the leaf is one with as many rows.
  private func sharedPages(rows: Int) throws -> DamagedFile {
    var file = try DamagedFile(
      "CREATE TABLE t(a INTEGER PRIMARY KEY); CREATE TABLE u(a, b); INSERT INTO u \(Self.rows(40, "zeroblob(100)"))")
    try #require(file.pageCount >= 7)
    file.setInterior(2, child: 5)
    file.setInterior(5, child: 6)
    file.setInterior(6, child: 7)
    file.setLeaf(7, rows: rows)
    return file
  }

  @Test("a count of more leaves than the file has pages is damage")
  func countOfSharedLeaves() throws {
    try sharedPages(rows: 1).expectDamage("SELECT count(*) FROM t", "more leaves than the database has pages")
  }

  @Test(
    "an empty leaf below a root is damage",
    arguments: ["SELECT * FROM t", "SELECT max(a) FROM t", "SELECT count(*) FROM t", "SELECT a FROM t WHERE a = 7"])
  func emptyLeaf(sql: String) throws {
    try sharedPages(rows: 0).expectDamage(sql, "b-tree page without cells below the root")
  }

  @Test(
    "a count of all rows can be interrupted and limited",
    arguments: ["t(a INTEGER PRIMARY KEY, b)", "t(a PRIMARY KEY, b) WITHOUT ROWID"])
  func longCount(table: String) throws {
    let environment = MemoryEnvironment(seed: 3, completesAtOnce: false)
    let file = try DamagedFile(
      "CREATE TABLE \(table); INSERT INTO t \(Self.rows(10_000, "zeroblob(80)"))", environment: environment)
    let connection = try file.open()
    let count = try Stepped(connection, "SELECT count(*) FROM t")
    guard case .pending(let wait) = try count.goOn(through: { _ in false }) else {
      Issue.record("nothing was read")
      return
    }
    connection.interrupt()
    connection.wait(for: wait)
    #expect(failure { _ = try count.goOn(through: { _ in true }) }?.code == .interrupt)
    count.statement.finalize()
    // Pages that are there and pages that are waited for, in any order.
    #expect(try connection.text("SELECT count(*) FROM t") == ["10000"])
    let pager = try #require(try? connection.state.pager(0))
    for seed in UInt64(1)...3 {
      pager.faultInjection = SeededRandom(seed: seed)
      #expect(try connection.text("SELECT count(*) FROM t") == ["10000"], "seed \(seed)")
    }
    pager.faultInjection = nil
    connection.state.limits.turnCountMax = 1_000
    #expect(failure { _ = try connection.text("SELECT count(*) FROM t") }?.code == .interrupt)
    try connection.closeBlocking()
  }
}
