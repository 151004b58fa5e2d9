// After a crash anywhere the file is the last acknowledged transaction, or one whose commit was under way, whole.

import ApusBase
import ApusIO
import ApusStorage
import Testing

@Suite struct PagerCrashTests {
  /// How the journal is kept: a mode, and what changes its end.
  struct Keeping: CustomTestStringConvertible {
    var mode: JournalMode
    var isExclusive = false
    var sizeLimit: Int64 = -1
    var testDescription: String { "\(mode)\(isExclusive ? " exclusive" : "") \(sizeLimit)" }
  }

  static let keepings = [
    Keeping(mode: .delete), Keeping(mode: .truncate), Keeping(mode: .persist), Keeping(mode: .wal),
    Keeping(mode: .persist, sizeLimit: 600), Keeping(mode: .persist, sizeLimit: 0),
    Keeping(mode: .delete, isExclusive: true), Keeping(mode: .delete, isExclusive: true, sizeLimit: 1500),
  ]

  @Test("a crash after any request leaves a whole transaction", arguments: keepings, [1, 2])
  func survivesCrashes(keeping: Keeping, seed: Int) throws {
    let mode = keeping.mode
    let world = CrashWorld(seed: UInt64(seed))
    var random = SeededRandom(seed: UInt64(seed))
    let driver = try Driver(world, "/db") {
      $0.pageSize = 512
      $0.dirtyBytes = 16 * 512
      $0.cacheBytes = 16 * 512
      $0.autocheckpointFrames = 30
      $0.synchronous = .extra
      $0.journalMode = mode == .wal ? .delete : mode
      $0.locksExclusively = keeping.isExclusive
      $0.journalSizeLimit = keeping.sizeLimit
    }
    // Every page that is ever used is there from the start, so that a state is one number per page.
    var model: [UInt32] = []
    try driver.write {
      for page in UInt32(2)...30 {
        let number = try driver.append(page)
        #expect(number == page)
        model.append(page)
      }
    }
    if mode == .wal { _ = try driver.run { () throws(Fault) in try driver.pager.setJournalMode(.wal) } }
    try driver.read {}
    world.settle()
    var states = [model]
    for _ in 0..<12 {
      try driver.begin()
      for _ in 0..<random.below(40) {
        let page = random.below(29)
        let tag = UInt32(truncatingIfNeeded: random.next()) >> 1
        try driver.set(UInt32(page + 2), tag)
        model[page] = tag
      }
      if random.below(4) == 0 {
        try driver.rollback()
        model = states[states.count - 1]
      } else {
        states.append(model)
        try driver.commit()
        world.acknowledge()
      }
      driver.pager.endRead()
    }
    let photographs = world.photographs
    #expect(photographs.count > 20)
    for (index, photograph) in photographs.enumerated() {
      let after = MemoryEnvironment(seed: 9)
      for (name, bytes) in photograph.files { after.setContents(of: name, to: bytes) }
      let reader = try Driver(after, "/db")
      let found = try reader.read { try (UInt32(2)...30).map { try reader.tag($0) } }
      let last = min(photograph.acknowledged + 1, states.count - 1)
      let isWhole = found == states[photograph.acknowledged] || found == states[last]
      #expect(
        isWhole,
        """
        \(keeping.testDescription), seed \(seed), photograph \(index), cut \(photograph.isPowerCut), \
        after \(photograph.acknowledged)
        """)
      // It must be writable again, and stay what it is.
      if index % 5 == 0 {
        try reader.write { try reader.set(2, 7) }
        let changed = try reader.read { try (UInt32(2)...30).map { try reader.tag($0) } }
        #expect((changed == [7] + found.dropFirst()) as Bool)
      }
      reader.pager.close()
    }
    driver.pager.close()
  }
}
