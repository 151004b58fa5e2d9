// Whose turn it is among the connections of one process, and when the process gives the write lock back.

import ApusBase
import ApusIO
import Testing

@testable import ApusStorage

@Suite struct CommitQueueTests {
  /// Two connections of a process, and another process that wants the write lock.
  private final class Line {
    let queue = CommitQueue(CommitHistory())
    let file: any File
    let foreign: any SharedMemory
    let alarms = [Alarm(), Alarm()]
    private let database: any File
    private let names = [MemoryKey(), MemoryKey()]
    private final class MemoryKey {}

    init() throws {
      let environment = MemoryEnvironment(seed: 3)
      database = try environment.open("/a.db", .create)
      file = try environment.open("/a.db-wal", .create)
      foreign = try database.openSharedMemory(readOnly: false)
    }

    func id(_ index: Int) -> ObjectIdentifier { ObjectIdentifier(names[index]) }

    func take(_ index: Int, isAlone: Bool = false, passesLine: Bool = false, now: UInt64) throws -> CommitQueue.Turn {
      try queue.takeTurn(id(index), alarms[index], isAlone: isAlone, passesLine: passesLine, now: now) { () throws(EngineError) in
        (try database.openSharedMemory(readOnly: false), file)
      }
    }

    /// Another process gets the lock, and gives it back.
    func isFree() throws -> Bool {
      guard try foreign.lock(.exclusive, slot: WALIndex.writeSlot, count: 1) else { return false }
      try foreign.unlock(slot: WALIndex.writeSlot, count: 1)
      return true
    }
  }

  @Test("the lock goes with the turn where the only one in line did not come when it was its own")
  func offerThatNobodyTakes() throws {
    let line = try Line()
    guard case .taken = try line.take(0, now: 0) else { throw Unexpected("not taken") }
    guard case .notYet = try line.take(1, now: 0) else { throw Unexpected("taken") }
    // The one in line is due, and is rung; it does not come, and somebody passes the line.
    line.queue.leaveTurn(line.id(0), now: 2_000_000)
    #expect(line.alarms[1].take())
    guard case .taken = try line.take(0, passesLine: true, now: 3_000_000) else { throw Unexpected("not taken") }
    line.queue.leaveTurn(line.id(0), now: 4_000_000 + CommitQueue.offerNanoseconds)
    // It has given up what it wanted to write.
    line.queue.leaveTurn(line.id(1), now: 5_000_000 + CommitQueue.offerNanoseconds)
    #expect(try line.isFree())
    guard case .taken = try line.take(1, now: 40_000_000) else { throw Unexpected("not taken") }
    line.queue.leaveTurn(line.id(1), now: 40_000_000)
    #expect(try line.isFree())
  }

  @Test("an offer ends with the place in line that it was made for")
  func offerOfAnEarlierPlace() throws {
    let line = try Line()
    guard case .taken = try line.take(0, now: 0) else { throw Unexpected("not taken") }
    guard case .notYet = try line.take(1, now: 0) else { throw Unexpected("taken") }
    line.queue.leaveTurn(line.id(0), now: 2_000_000)
    // Offered to the second one, which gives up; it comes back when the offer's time is over.
    line.queue.leaveTurn(line.id(1), now: 2_010_000)
    #expect(try line.isFree())
    guard case .taken = try line.take(0, now: 14_000_000) else { throw Unexpected("not taken") }
    guard case .notYet = try line.take(1, now: 14_000_000) else { throw Unexpected("taken") }
    _ = line.alarms[1].take()
    line.queue.leaveTurn(line.id(0), now: 15_500_000)
    #expect(line.alarms[1].hasRung)
    #expect(try !line.isFree())
    guard case .notYet = try line.take(0, now: 15_600_000) else { throw Unexpected("taken") }
    guard case .taken = try line.take(1, now: 15_700_000) else { throw Unexpected("not taken") }
  }

  @Test("who wants the log with nothing pending is rung by whoever leaves the turn")
  func alone() throws {
    let line = try Line()
    guard case .taken(let base) = try line.take(0, now: 0) else { throw Unexpected("not taken") }
    // It is the first in line, and looks by itself.
    guard case .notYet(.some, _) = try line.take(1, isAlone: true, now: 0) else { throw Unexpected("does not look") }
    let serial = try line.queue.append(
      WALIndexHeader(), on: base.serial, firstFrame: 1, keys: nil, needsSync: true, by: line.id(0), now: 100_000
    ) { _ in }
    guard case .lead(let last, _) = line.queue.publication(of: serial ?? 0, for: line.id(0), line.alarms[0], now: 100_000) else {
      throw Unexpected("does not lead")
    }
    _ = line.alarms[1].take()
    guard case .notYet(nil, _) = try line.take(1, isAlone: true, now: 200_000) else { throw Unexpected("looks by itself") }
    // A third one has the turn when the sync ends, and rolls back.
    guard case .taken = try line.take(0, now: 250_000) else { throw Unexpected("not taken") }
    try line.queue.syncEnded(by: line.id(0), upTo: last, now: 300_000) { _ in }
    _ = line.alarms[1].take()
    line.queue.leaveTurn(line.id(0), now: 350_000)
    #expect(line.alarms[1].hasRung)
    guard case .taken = try line.take(1, isAlone: true, now: 360_000) else { throw Unexpected("not taken") }
  }

  private struct Unexpected: Error {
    let what: String
    init(_ what: String) { self.what = what }
  }
}
