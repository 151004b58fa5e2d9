// Numbers of pages that a crafted file claims, and cannot have: they are refused before anything grows with them.

import ApusBase
import ApusIO
import CSQLite
import Testing

@testable import ApusStorage

@Suite struct CraftedCountTests {
  private func code(_ body: () throws -> Void) -> ResultCode? {
    do {
      try body()
      return nil
    } catch {
      if case .failure(let failure)? = error as? Fault { return failure.code }
      return (error as? EngineError)?.code
    }
  }

  /// The file is as long as it says, and mostly a hole: the list could be followed for hours.
  @Test("a freelist that leads back to itself is refused where it does", arguments: [false, true])
  func loopingFreelist(isLeaf: Bool) throws {
    let directory = Directory()
    let path = directory.file("loop")
    defer { directory.remove("loop") }
    let reference = try Reference(path)
    try reference.run(
      """
      PRAGMA page_size=512; PRAGMA auto_vacuum=2; CREATE TABLE t(a); INSERT INTO t VALUES (zeroblob(20000)); DELETE FROM t;
      """)
    reference.close()
    let pageCount: UInt32 = 1 << 27
    let file = try directory.environment.open(path, .readWrite)
    try file.truncate(to: Int64(pageCount) * 512)
    file.close()
    let driver = try Driver(directory.environment, path)
    try driver.write {
      try driver.run { () throws(Fault) in
        driver.pager.currentPageCount = pageCount
        try driver.pager.beginWriteOperation(pages: 1)
        let one = driver.pager.writable(try driver.pager.page(.one))
        let trunk = one.bytes.bigEndianUInt32(at: DatabaseHeader.freelistTrunkOffset)
        one.mutableBytes.setBigEndianUInt32(pageCount - 1, at: DatabaseHeader.freelistCountOffset)
        let bytes = driver.pager.writable(try driver.pager.page(PageNumber(trunk))).mutableBytes
        bytes.setBigEndianUInt32(isLeaf ? 0 : trunk, at: 0)
        bytes.setBigEndianUInt32(isLeaf ? 1 : 0, at: 4)
        bytes.setBigEndianUInt32(pageCount + 1, at: 8)
      }
    }
    try driver.begin()
    let found = code {
      try driver.run { () throws(Fault) in
        var steps = 1
        try driver.pager.vacuum(&steps)
      }
    }
    #expect(found == .corrupt && driver.pager.freePool == nil)
    try driver.rollback()
    driver.pager.endRead()
    driver.pager.close()
  }

  @Test("a commit in the log may count the pages that file and log have", arguments: [nil, 1000, 0xffff_fffe, UInt32.max])
  func countInLog(claimed: UInt32?) throws {
    let environment = MemoryEnvironment(seed: 3)
    let writer = try Driver(environment, "/a.db") { $0.pageSize = 512 }
    _ = try writer.run { () throws(Fault) in try writer.pager.setJournalMode(.wal) }
    try writer.write { for tag in UInt32(1)...5 { _ = try writer.append(tag) } }
    let file = try #require(environment.contents(of: "/a.db"))
    var log = try #require(environment.contents(of: "/a.db-wal"))
    writer.pager.close()
    // The pages are in the log only.
    #expect(file.count < 6 * 512)
    if let claimed { claim(claimed, &log) }
    let twin = MemoryEnvironment(seed: 4)
    twin.setContents(of: "/a.db", to: file)
    twin.setContents(of: "/a.db-wal", to: log)
    let reader = try Driver(twin, "/a.db")
    let found = code { try reader.read { #expect(reader.pager.pageCount == 6) } }
    #expect(found == (claimed == nil ? nil : .corrupt))
    reader.pager.close()
  }

  /// Writes another page count into the last commit's frame, with a sound checksum.
  private func claim(_ pageCount: UInt32, _ log: inout [UInt8]) {
    let frameByteCount = WALFormat.frameHeaderByteCount + 512
    var changed = log
    withView(log) { bytes in
      // Behind the last commit there may be zeros.
      var last = WALFormat.headerByteCount + (log.count - WALFormat.headerByteCount) / frameByteCount * frameByteCount
      repeat { last -= frameByteCount } while bytes.bigEndianUInt32(at: last + 4) == 0
      let isBigEndian = bytes.bigEndianUInt32(at: 0) & 1 == 1
      var sum = WALChecksum()
      sum.first = bytes.bigEndianUInt32(at: last - frameByteCount + 16)
      sum.second = bytes.bigEndianUInt32(at: last - frameByteCount + 20)
      var header = ByteBuffer()
      header.resize(to: WALFormat.frameHeaderByteCount)
      WALFormat.writeFrameHeader(
        header.mutableBytes, page: bytes.slice(last + WALFormat.frameHeaderByteCount, 512),
        number: bytes.bigEndianUInt32(at: last), commitPageCount: pageCount, salts: bytes.bigEndianUInt64(at: last + 8),
        isBigEndian: isBigEndian, sum: &sum)
      changed.replaceSubrange(last..<last + WALFormat.frameHeaderByteCount, with: header.bytes.array)
    }
    log = changed
  }

  @Test("behind the last page that a database can have there is none", arguments: [0xffff_fffd, 0xffff_fffe, UInt32.max])
  func lastPage(pageCount: UInt32) throws {
    var configuration = Pager.Configuration()
    configuration.pageSize = 512
    let pager = Pager.memory(environment: MemoryEnvironment(), configuration: configuration)
    try settled { () throws(Fault) in try pager.beginWrite() }
    pager.currentPageCount = pageCount
    var number: UInt32 = 0
    let found = code { number = try settled { () throws(Fault) in try pager.allocate().numberValue } }
    #expect(found == (pageCount < 0xffff_fffe ? nil : .full))
    #expect(number == (pageCount < 0xffff_fffe ? 0xffff_fffe : 0))
  }

  @Test("all pages of a file, but that of the lock bytes", arguments: [0, 1, 6, 7, 8, 20] as [UInt32])
  func wholeFile(pageCount: UInt32) {
    let pages = JournalPages.all(through: pageCount, lockBytePage: 7)
    let listed = (0..<pageCount).map { $0 + 1 }.filter { $0 != 7 }
    #expect((0..<pages.count).map { pages[$0] } == listed)
  }
}
