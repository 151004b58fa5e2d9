// SQLITE_BUSY has a reason (O8): whoever asks for the right to write and is told BUSY, somebody else writes then, or may. That a
// connection keeps a lock which it does not need shows here, whatever lock it is and however it came to be kept: to the others
// the file is busy with nobody at work.
//
// What a client may hold is told by what it has asked for, never by the locks themselves.

import ApusBase

/// Since when nobody but some client has been at work.
struct BusyReason {
  /// What a client may keep from others.
  enum Hold: Comparable {
    case nothing
    /// A snapshot: with a log that keeps no writer out.
    case snapshot
    case writing
  }

  private var holds: [Int: Hold] = [:]
  /// By client: when it was last seen with a snapshot, or writing.
  private var lastRead: [Int: UInt64] = [:], lastWritten: [Int: UInt64] = [:]

  /// The turn to write rests for that long behind a process that has held it, or waits for who was called.
  private static let restNanoseconds: UInt64 = 30_000_000

  mutating func note(_ client: Int, _ hold: Hold, now: UInt64) {
    // What it held until now counts as held until now.
    let last = max(holds.updateValue(hold, forKey: client) ?? .nothing, hold)
    if last >= .snapshot { lastRead[client] = now }
    if last == .writing { lastWritten[client] = now }
  }

  /// - Parameters:
  ///   - begun: when the statement was asked for.
  ///   - letsReadersBe: those who only read are no reason.
  func isAnybodyInTheWay(of client: Int, since begun: UInt64, letsReadersBe: Bool) -> Bool {
    let least = letsReadersBe ? Hold.writing : .snapshot
    if holds.contains(where: { $0.key != client && $0.value >= least }) { return true }
    let since = begun - min(begun, Self.restNanoseconds)
    return (letsReadersBe ? lastWritten : lastRead).contains { $0.key != client && $0.value >= since }
  }
}

extension Client {
  /// What its connection may hold now.
  var hold: BusyReason.Hold {
    guard let engine else {
      if case .gone = phase { return .nothing }
      return .writing
    }
    if engine.owesWork || world.disk.inFlight.contains(where: { $0.actor == name }) { return .writing }
    switch phase {
    case .gone: return .nothing
    case .resting: return scan == nil && !engine.isInTransaction && !engine.isBusy ? .nothing : .snapshot
    case .readingStamp, .readingOther, .readingVersion, .choosing, .scanning, .finishingScan, .lookingAgain, .checking:
      return engine.isInTransaction && mayHaveWriteLock ? .writing : .snapshot
    case .beginning: return isWriting ? .writing : .snapshot
    case .operating(let operation, _):
      return mayHaveWriteLock || !operation.isRead ? .writing : .snapshot
    case .reopening, .closing, .settingUp, .savepointing, .housekeeping, .stamping, .stampingOther, .committing, .rollingBack,
      .checkpointing, .siding:
      return .writing
    }
  }

  /// By right a concurrent transaction has the turn from its beginning.
  private var mayHaveWriteLock: Bool {
    hasAskedToWrite || isWriting && (!isDeferred || isConcurrent || world.profile.attaches)
  }

  /// The statement under way asks for the write lock.
  var asksToWrite: Bool {
    switch phase {
    case .operating(let operation, _): !operation.isRead
    case .housekeeping, .stamping, .stampingOther: true
    case .reopening, .closing, .gone, .settingUp, .resting, .beginning, .readingStamp, .readingOther, .readingVersion, .choosing,
      .savepointing, .scanning, .finishingScan, .lookingAgain, .committing, .rollingBack, .checkpointing, .checking, .siding:
      false
    }
  }

  /// It was told BUSY.
  func checkBusy(_ error: EngineError) throws(Finding) {
    guard error.code == .busy, isWriting, !isConcurrent, world.damage == .none, world.profile.faults[.foreignHolder] == 0,
      world.profile.sizeLimitFrames == 0
    else { return }
    switch phase {
    // Without a log it keeps readers out as well, and waits for them.
    case .beginning: if isExclusive, !world.profile.hasLog { return }
    // The first write of a deferred transaction. Under a rollback journal it may have to write to the file, and wait for readers.
    case .operating, .stamping: if !world.profile.hasLog || !isDeferred { return }
    default: return
    }
    let isCalm = world.changes.killCount == 0 && world.changes.brokenCount == 0 && world.faults.failureCount == 0
    let letsReadersBe = isCalm && world.profile.switchOneIn == 0
    if world.busyReason.isAnybodyInTheWay(of: name, since: busySince, letsReadersBe: letsReadersBe) { return }
    throw Finding(
      oracle: .liveness,
      text: "client \(name): \(phaseName) is told SQLITE_BUSY, and no other client \(letsReadersBe ? "writes" : "is at work")")
  }
}
