// Several connections in one process: snapshots stay what they were, conflicts have SQLite's codes, threads do not
// disturb each other.

import ApusBase
import ApusIO
import ApusStorage
import Synchronization
import Testing

@Suite struct PagerSharingTests {
  private static func world(_ mode: JournalMode) throws -> (MemoryEnvironment, Driver, Driver) {
    let environment = MemoryEnvironment(seed: 5)
    let first = try Driver(environment, "/db")
    try first.write { for page in UInt32(2)...20 { _ = try first.append(page) } }
    if mode == .wal { _ = try first.run { () throws(Fault) in try first.pager.setJournalMode(.wal) } }
    return (environment, first, try Driver(environment, "/db"))
  }

  @Test("a reader of the log keeps its snapshot while others commit and checkpoint")
  func keepsSnapshot() throws {
    let (_, writer, reader) = try PagerSharingTests.world(.wal)
    try reader.run { () throws(Fault) in try reader.pager.beginRead() }
    let old = try reader.tag(5)
    let version = reader.pager.dataVersion
    for round in UInt32(100)..<110 {
      try writer.write { try writer.set(5, round) }
      _ = try writer.run { () throws(Fault) in try writer.pager.checkpoint(.passive) }
      #expect(try reader.tag(5) == old)
      #expect(try reader.tag(UInt32(round - 90)) == round - 90)
    }
    #expect(throws: EngineError.self) { try reader.begin() }
    reader.pager.endRead()
    let now = try reader.read { try reader.tag(5) }
    #expect(now == 109)
    #expect(reader.pager.dataVersion != version)
    writer.pager.close()
    reader.pager.close()
  }

  @Test("an old snapshot cannot be written on: BUSY_SNAPSHOT; a second writer: BUSY")
  func reportsConflicts() throws {
    let (_, first, second) = try PagerSharingTests.world(.wal)
    try second.run { () throws(Fault) in try second.pager.beginRead() }
    try first.write { try first.set(3, 33) }
    #expect { try second.begin() } throws: { ($0 as? EngineError)?.code == .busySnapshot }
    second.pager.endRead()
    try first.begin()
    #expect { try second.begin() } throws: { ($0 as? EngineError)?.code == .busy }
    try first.commit()
    first.pager.endRead()
    try second.write { try second.set(4, 44) }
    let found = try first.read { try [first.tag(3), first.tag(4)] }
    #expect(found == [33, 44])
  }

  @Test("with a rollback journal a commit waits for readers, and readers for a commit")
  func locksFile() throws {
    let (_, first, second) = try PagerSharingTests.world(.delete)
    try second.run { () throws(Fault) in try second.pager.beginRead() }
    try first.begin()
    try first.set(3, 33)
    #expect { try first.commit() } throws: { ($0 as? EngineError)?.code == .busy }
    #expect(try second.tag(3) == 3)
    second.pager.endRead()
    // PENDING keeps new readers out until the commit is through.
    #expect { try second.read {} } throws: { ($0 as? EngineError)?.code == .busy }
    try first.commit()
    first.pager.endRead()
    let found = try second.read { try second.tag(3) }
    #expect(found == 33)
  }

  @Test("a page that was asked for ahead of time, and never taken from there, is not the old one behind a COMMIT")
  func oldReadBehindCommit() throws {
    let environment = MemoryEnvironment(seed: 5, completesAtOnce: false)
    let setup = try Driver(environment, "/db")
    try setup.write { for page in UInt32(2)...60 { _ = try setup.append(page) } }
    setup.pager.close()
    let writer = try Driver(environment, "/db") {
      $0.cacheBytes = 8 * 4096
      $0.dirtyBytes = 8 * 4096
    }
    let reader = try Driver(environment, "/db")
    try writer.run { () throws(Fault) in try writer.pager.beginRead() }
    writer.pager.pages(prefetch: [PageNumber(5)])
    // Now the file's cache has it too.
    #expect(try reader.read { try reader.tag(5) } == 5)
    try writer.begin()
    for page in UInt32(5)...60 { try writer.set(page, 1000 + page) }
    // It was written ahead of the commit, and has made room for others.
    for page in UInt32(6)...60 { #expect(try writer.tag(page) == 1000 + page) }
    try writer.commit()
    for page in UInt32(5)...60 { #expect(try writer.tag(page) == 1000 + page) }
    writer.pager.endRead()
    #expect(try reader.read { try reader.tag(5) } == 1005)
  }

  @Test("threads with a connection each count to the same number")
  func countsAcrossThreads() async throws {
    let environment = SystemEnvironment(backend: .posix)
    let path = "/tmp/apus-pager-threads-\(environment.randomUInt64()).db"
    defer { for suffix in ["", "-wal", "-shm", "-journal"] { try? environment.delete(path + suffix) } }
    let setup = try Driver(environment, path)
    try setup.write { _ = try setup.append(0) }
    _ = try setup.run { () throws(Fault) in try setup.pager.setJournalMode(.wal) }
    let rounds = 60
    try await withThrowingTaskGroup(of: Void.self) { group in
      for _ in 0..<3 {
        group.addTask {
          let driver = try Driver(environment, path) { $0.autocheckpointFrames = 10 }
          driver.pager.busyPolicy = { $0 < 200_000 ? environment.monotonicNanoseconds() + 200_000 : nil }
          for _ in 0..<rounds {
            try driver.begin()
            let tag = try driver.tag(2)
            try driver.set(2, tag + 1)
            try driver.commit()
            driver.pager.endRead()
          }
          driver.pager.close()
        }
      }
      try await group.waitForAll()
    }
    let total = try setup.read { try setup.tag(2) }
    #expect(total == UInt32(3 * rounds))
    setup.pager.close()
  }
}
