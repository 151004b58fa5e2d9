// A pager agrees with a dictionary of pages, in every mode, with tiny budgets, faults and savepoints.

import ApusBase
import ApusIO
import ApusStorage
import Testing

@Suite struct PagerModelTests {
  struct Setting: CustomStringConvertible, Sendable {
    var mode: JournalMode
    var pageSize: Int
    var completesAtOnce: Bool
    var seed: UInt64
    var description: String { "\(mode) page \(pageSize) at once \(completesAtOnce) seed \(seed)" }
  }

  static let settings: [Setting] = {
    var all: [Setting] = []
    for seed in UInt64(1)...4 {
      for mode in [JournalMode.delete, .truncate, .persist, .memory, .wal] {
        all.append(
          Setting(
            mode: mode, pageSize: [512, 1024, 4096, 65536][Int(seed) % 4], completesAtOnce: seed % 2 == 0, seed: seed))
      }
    }
    return all
  }()

  @Test("random transactions agree with a dictionary", arguments: settings)
  func agreesWithDictionary(_ setting: Setting) throws {
    let environment = MemoryEnvironment(seed: setting.seed, completesAtOnce: setting.completesAtOnce)
    var random = SeededRandom(seed: setting.seed)
    func open() throws -> Driver {
      try Driver(environment, "/db", faults: setting.seed) {
        $0.pageSize = setting.pageSize
        $0.cacheBytes = 20 * setting.pageSize
        $0.dirtyBytes = 20 * setting.pageSize
        $0.sharedCacheBytes = 30 * setting.pageSize
        $0.autocheckpointFrames = 60
        $0.journalMode = setting.mode == .wal ? .delete : setting.mode
      }
    }
    var driver = try open()
    if setting.mode == .wal {
      let mode = try driver.run { () throws(Fault) in try driver.pager.setJournalMode(.wal) }
      #expect(mode == .wal)
    }
    var committed: [UInt32: UInt32] = [:]
    for transaction in 0..<25 {
      try driver.begin()
      var model = committed
      var saved: [[UInt32: UInt32]] = []
      for _ in 0..<random.below(60) {
        let tag = UInt32(truncatingIfNeeded: random.next()) >> 1
        let known = model.keys.sorted()
        switch random.below(12) {
        case 0...3: model[try driver.append(tag)] = tag
        case 4...6:
          if known.isEmpty { continue }
          let page = known[random.below(known.count)]
          try driver.set(page, tag)
          model[page] = tag
        case 7:
          if known.isEmpty { continue }
          let page = known[random.below(known.count)]
          try driver.free(page)
          model[page] = nil
        case 8:
          #expect(driver.pager.openSavepoint() == saved.count)
          saved.append(model)
        case 9:
          if saved.isEmpty { continue }
          let index = random.below(saved.count)
          try driver.run { () throws(Fault) in try driver.pager.rollback(toSavepoint: index) }
          model = saved[index]
          saved.removeSubrange((index + 1)...)
        case 10:
          if saved.isEmpty { continue }
          let index = random.below(saved.count)
          driver.pager.releaseSavepoint(index)
          saved.removeSubrange(index...)
        default:
          if known.isEmpty { continue }
          let page = known[random.below(known.count)]
          #expect(try driver.tag(page) == model[page], "\(setting), transaction \(transaction), page \(page)")
        }
      }
      if transaction.isMultiple(of: 2) { try driver.run { () throws(Fault) in try driver.pager.guardSnapshot() } }
      if random.below(3) == 0 {
        try driver.rollback()
      } else {
        try driver.commit()
        committed = model
      }
      try driver.run { () throws(Fault) in try driver.pager.beginRead() }
      for (page, tag) in committed where random.below(3) == 0 {
        #expect(try driver.tag(page) == tag, "\(setting), after transaction \(transaction), page \(page)")
      }
      driver.pager.endRead()
      if random.below(8) == 0 {
        driver.pager.close()
        driver = try open()
      }
    }
    driver.pager.close()
    let last = try open()
    try last.read {
      for (page, tag) in committed {
        let found = try last.tag(page)
        #expect(found == tag, "\(setting), at the end, page \(page)")
      }
    }
    last.pager.close()
  }
}
