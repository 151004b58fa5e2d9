// A COMMIT may be dropped at any of its waits: then it is rolled back, taken up again, or the transaction goes on.

import ApusBase
import ApusIO
import ApusStorage
import Testing

@Suite struct PagerCancellationTests {
  enum Afterwards: CaseIterable, Sendable { case rollback, commit, change }

  /// Waits at most `limit` times.
  /// - Returns: true where the operation came to its end.
  static func run(_ driver: Driver, limit: Int, _ operation: () throws(Fault) -> Void) throws -> Bool {
    for _ in 0...limit {
      do {
        try operation()
        return true
      } catch {
        switch error {
        case .failure(let failure): throw failure
        case .wait(.completion):
          driver.queue.submit()
          driver.queue.waitForCompletion()
        case .wait(.moment(let moment)): driver.environment.sleep(untilMonotonic: moment)
        case .wait(.signal(let moment)): driver.environment.sleep(untilMonotonic: moment, or: driver.queue.alarm)
        case .wait(.nothing): break
        }
      }
    }
    return false
  }

  @Test(
    "a commit dropped at any wait leaves a whole state",
    arguments: [JournalMode.delete, .persist, .wal], Afterwards.allCases)
  func survivesDroppedCommit(mode: JournalMode, afterwards: Afterwards) throws {
    let environment = MemoryEnvironment(seed: 3, completesAtOnce: false)
    let driver = try Driver(environment, "/db") {
      $0.pageSize = 512
      $0.synchronous = .extra
      $0.autocheckpointFrames = 40
      $0.journalMode = mode == .wal ? .delete : mode
    }
    try driver.write { for page in UInt32(2)...20 { _ = try driver.append(page) } }
    if mode == .wal { _ = try driver.run { () throws(Fault) in try driver.pager.setJournalMode(.wal) } }
    let checker = try Driver(environment, "/db")
    var tag: UInt32 = 100
    var old = Array(UInt32(2)...20)
    for limit in 0..<24 {
      try driver.begin()
      var new = old
      for page in UInt32(2)...12 {
        tag += 1
        try driver.set(page, tag)
        new[Int(page) - 2] = tag
      }
      let isDone = try PagerCancellationTests.run(driver, limit: limit) { () throws(Fault) in
        try driver.pager.commit()
      }
      if !isDone {
        switch afterwards {
        case .rollback: try driver.rollback()
        case .commit: try driver.commit()
        case .change:
          // Behind its commit point the commit is finished instead, and the change is refused.
          if (try? driver.set(13, tag)) != nil {
            new[11] = tag
            try driver.commit()
          }
        }
      }
      try driver.run { () throws(Fault) in try driver.pager.beginRead() }
      let mine = try (UInt32(2)...20).map { try driver.tag($0) }
      driver.pager.endRead()
      let others = try checker.read { try (UInt32(2)...20).map { try checker.tag($0) } }
      let place = "\(mode), \(afterwards), after \(limit) waits"
      #expect(mine == others, "\(place)")
      #expect(others == new || !isDone && afterwards == .rollback && others == old, "\(place)")
      old = others
    }
    driver.pager.close()
    checker.pager.close()
  }
}
