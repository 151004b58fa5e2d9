// Files with auto_vacuum: SQLite's pointer maps are understood, and damage to them is named in SQLite's words.

import ApusBase
import ApusIO
import CSQLite
import Testing

@testable import ApusStorage

@Suite("auto_vacuum")
struct AutoVacuumTests {
  @Test("the check of a pointer map complains as SQLite does", arguments: UInt64(1)...24)
  func complainsAsSQLite(seed: UInt64) throws {
    let directory = Directory()
    let path = directory.file("map")
    defer { directory.remove("map") }
    let reference = try Reference(path)
    try reference.run(
      """
      PRAGMA page_size=512; PRAGMA auto_vacuum=\(1 + seed % 2);
      CREATE TABLE t(a INTEGER PRIMARY KEY, b); CREATE INDEX i ON t(b); CREATE TABLE w(a PRIMARY KEY, b) WITHOUT ROWID;
      WITH RECURSIVE n(x) AS (VALUES(1) UNION ALL SELECT x+1 FROM n WHERE x<120)
        INSERT INTO t SELECT x, printf('%.*c', (x*37)%900, 'b') FROM n;
      INSERT INTO w SELECT 'k'||a, b FROM t; DELETE FROM t WHERE a%5=0;
      """)
    let roots = try reference.run("SELECT rootpage FROM sqlite_schema").compactMap { UInt32($0) }
    reference.close()
    let driver = try Driver(directory.environment, path, faults: seed)
    var random = SeededRandom(seed: seed)
    // One or two bytes of a map page, the header's largest root, or nothing.
    try driver.write {
      for _ in 0..<random.below(3) {
        let isHeader = random.oneIn(6)
        let page: UInt32 = isHeader ? 1 : 2 + 103 * UInt32(random.below(Int(driver.pager.pageCount - 2) / 103 + 1))
        let offset = isHeader ? 55 : random.below(500)
        try driver.run { () throws(Fault) in
          try driver.pager.beginWriteOperation(pages: 1)
          let bytes = driver.pager.writable(try driver.pager.page(PageNumber(page))).mutableBytes
          bytes[offset] = UInt8(random.below(7))
        }
      }
    }
    let ours = try driver.read {
      let check = IntegrityCheck(driver.pager, roots: roots.map { PageNumber($0) })
      try driver.run { () throws(Fault) in try check.run() }
      return check.complaints
    }
    driver.pager.close()
    let theirs = try Reference(path).run("PRAGMA quick_check").flatMap { $0.split(separator: "\n").map(String.init) }
      .filter { $0 != "ok" && !$0.hasPrefix("***") }
    #expect(ours.map(Self.essence).sorted() == theirs.map(Self.essence).sorted(), "seed \(seed)")
  }

  /// They fill the budget, but nowhere is a place to write them to.
  @Test("private pages behind the file's end do not keep a tree from being dropped")
  func dropBesideCutPages() throws {
    let driver = try Driver(MemoryEnvironment(seed: 1, completesAtOnce: false), "/a.db") { configuration in
      configuration.pageSize = 512
      configuration.cacheBytes = 5 * 512
      configuration.dirtyBytes = 5 * 512
    }
    var root = PageNumber.none
    try driver.write {
      root = try driver.run { () throws(Fault) in
        try driver.pager.beginWriteOperation(pages: 4)
        return try BTree.create(driver.pager, .table)
      }
    }
    for cut in 8...20 {
      try driver.begin()
      try driver.run { () throws(Fault) in
        try driver.pager.beginWriteOperation(pages: 1)
        let end = driver.pager.pageCount
        for _ in 0..<cut { _ = try driver.pager.allocate() }
        driver.pager.currentPageCount = end
      }
      var (waits, movedRoot, isDone) = (0, UInt32(0), false)
      while !isDone, waits < 1000 {
        do throws(Fault) {
          isDone = try BTree.drop(driver.pager, root: root, movedRoot: &movedRoot)
        } catch {
          guard case .wait = error else { throw error }
          driver.queue.waitForCompletion()
          waits += 1
        }
      }
      #expect(isDone, "\(cut) pages cut off")
      try driver.rollback()
      driver.pager.endRead()
    }
    driver.pager.close()
  }

  /// A complaint without its place, which the releases of SQLite spell differently.
  private static func essence(_ complaint: String) -> String {
    let text = complaint.replacing(" is never used", with: ": never used")
    return text.ranges(of: ": Bad ptr").first.map { String(text[$0.lowerBound...]) } ?? text
  }
}
