// What the commit queue knows, under its mutex: who has the turn and who is in line, which commits are pending, who syncs; and to
// whom the turn goes, whom a sync's end concerns, what a failure takes with it.

import ApusBase
import ApusIO

extension CommitQueue {
  struct Place: Sendable {
    var id: ObjectIdentifier
    var alarm: Alarm
    /// Wants the log with nothing pending.
    var isAlone: Bool
    var since: UInt64
    /// Its thread does not sleep before that.
    var watchesUntil: UInt64 = 0
    /// It looks by itself whether the turn is free.
    var knowsItIsFirst = false
  }

  struct Pending: Sendable {
    var serial: Serial
    var header: WALIndexHeader
    var firstFrame: UInt32
    var needsSync: Bool
    /// nil: its connection is gone.
    var owner: ObjectIdentifier?
  }

  struct Failure: Sendable {
    var serials: ClosedRange<Serial>
    var error: EngineError
  }

  /// What the conflict report says of syncs.
  struct Groups: Sendable {
    var count = 0
    var commitCount = 0
    var largest = 0
  }

  struct State: Sendable {
    var memory: (any SharedMemory)?
    /// The log.
    var file: (any File)?
    var holdsLock = false
    var heldSince: UInt64 = 0
    /// Another process had the lock when it was asked for the last time: the first in line alone asks again.
    var isForeign = false
    /// When that was found the last time.
    var foreignSeen: UInt64?
    /// Other processes get their chance: no turn is given until the lock was free for a while.
    var mustRest = false
    var restsUntil: UInt64 = 0

    var holder: ObjectIdentifier?
    /// A sync has failed that may have been to cover what the holder has written.
    var holderFailure: EngineError?
    var line: [Place] = []
    /// The first in line was told to come, and the turn is its own until then.
    var offer: (id: ObjectIdentifier, ends: UInt64)?
    /// When the first of several in line, or somebody by an offer, came to a turn the last time.
    var lastOffer: UInt64 = 0
    /// Who commits waits for a sync then, and does not come back soon.
    var commitsWait = false

    /// The newest commit; nil where it is the published one.
    var tip: WALIndexHeader?
    var lastSerial: Serial = 0
    /// All up to it are visible, or have failed.
    var settledSerial: Serial = 0
    var pending: [Pending] = []
    var waiting: [(id: ObjectIdentifier, serial: Serial, alarm: Alarm)] = []
    /// Their commits are settled. Each one that comes rings the next: so they do not all ask for their next turn at once.
    var settled: [(id: ObjectIdentifier, alarm: Alarm)] = []
    var syncing: ObjectIdentifier?
    var gathering = SyncGathering()
    /// Who begins the sync that waits for more commits, when its time is over.
    var gatherer: ObjectIdentifier?
    /// Who makes sure that no recovery finds what a failed sync has left.
    var clearing: ObjectIdentifier?
    var failures: [Failure] = []
    /// Whom to ring once the mutex is free.
    var rings: [Alarm] = []
    var groups = Groups()
  }
}

extension CommitQueue.State {
  var base: CommitQueue.Base { CommitQueue.Base(pendingTip: tip, serial: lastSerial) }

  func failure(of serial: CommitQueue.Serial) -> EngineError? {
    for failure in failures.reversed() {
      if failure.serials.contains(serial) { return failure.error }
      if failure.serials.upperBound < serial { break }
    }
    return nil
  }

  func failure(of base: CommitQueue.Serial, by id: ObjectIdentifier) -> EngineError? {
    failure(of: base) ?? (holder == id ? holderFailure : nil)
  }

  /// Until when a sync for commit `serial` waits for others.
  func gatheringEnd(_ serial: CommitQueue.Serial, _ now: UInt64) -> UInt64? {
    // A checkpoint's sync is waited for by nobody's commit.
    serial == .max ? nil : gathering.end(now, pendingCount: pending.count)
  }

  mutating func fail(_ error: EngineError) {
    gathering = SyncGathering()
    gatherer = nil
    guard !pending.isEmpty else { return }
    failures.append(CommitQueue.Failure(serials: settledSerial + 1...lastSerial, error: error))
    if failures.count > CommitQueue.failureCountMax {
      let oldest = failures.removeFirst()
      failures[0].serials = oldest.serials.lowerBound...failures[0].serials.upperBound
    }
    pending = []
    // A turn that begins now goes on top of what is published, not of what has failed.
    lastSerial += 1
    settledSerial = lastSerial
    tip = nil
  }

  /// Rings the first of those whose commit is settled, and the first of the others, who is to lead the next sync.
  mutating func wakeWaiting() {
    var hasLeader = syncing != nil || clearing != nil
    let next = settled.count
    waiting.removeAll { one in
      if one.serial <= settledSerial {
        settled.append((one.id, one.alarm))
        return true
      }
      if hasLeader { return false }
      hasLeader = true
      rings.append(one.alarm)
      return true
    }
    if next < settled.count { rings.append(settled[next].alarm) }
  }

  /// Somebody knows what became of its commit, or does not ask any more.
  mutating func noteAnswered(_ id: ObjectIdentifier) {
    guard let index = settled.firstIndex(where: { $0.id == id }) else { return }
    settled.remove(at: index)
    #if PlantedBugs
      if PlantedBug.isActive(.forgetSettled) { return }
    #endif
    if index < settled.count { rings.append(settled[index].alarm) }
  }

  mutating func ringFirst() {
    if let first = line.first { rings.append(first.alarm) }
  }

  /// The first in line is not to be overtaken any more.
  func isFirstDue(_ now: UInt64) -> Bool {
    guard let first = line.first else { return false }
    return now >= max(first.since, lastOffer) + CommitQueue.patienceNanoseconds
  }

  /// Another process has had the lock lately, and may be waiting for it.
  private func isContested(_ now: UInt64) -> Bool { foreignSeen.map { now < $0 + CommitQueue.contestNanoseconds } ?? false }

  /// It has no place any more, and what was offered for that place is over: whoever comes back stands behind the others.
  mutating func leaveLine(_ id: ObjectIdentifier) {
    line.removeAll { $0.id == id }
    if offer?.id == id { offer = nil }
  }

  /// The turn is for the first in line alone, unless that does not come.
  mutating func offerTurn(_ now: UInt64) {
    if let offer, offer.id == line.first?.id {
      if now < offer.ends {
        if line[0].isAlone, pending.isEmpty { ringFirst() }
        return
      }
      // It may not come at all: it is in line again when it asks the next time.
      line.removeFirst()
    }
    offer = nil
    guard let first = line.first else { return }
    offer = (first.id, now + CommitQueue.offerNanoseconds)
    if !first.isAlone || pending.isEmpty { rings.append(first.alarm) }
  }

  /// The answer to who has the place in line.
  mutating func notYet(_ place: Int, _ now: UInt64) -> CommitQueue.Turn {
    guard place == 0 else {
      line[place].knowsItIsFirst = false
      if commitsWait { line[place].watchesUntil = now + Alarm.watchNanoseconds }
      return .notYet(until: now + CommitQueue.offerNanoseconds, isSoon: commitsWait)
    }
    // Who had the turn may not come back, and nobody rings then: the first in line looks by itself, and is awake when it is due.
    line[0].knowsItIsFirst = true
    let due = max(line[0].since, lastOffer) + CommitQueue.patienceNanoseconds
    let isSoon = commitsWait || now + CommitQueue.wakeNanoseconds >= due
    line[0].watchesUntil = isSoon ? now + Alarm.watchNanoseconds : 0
    if isSoon { return .notYet(until: due > now ? due : nil, isSoon: true) }
    let pause = max(CommitQueue.lookNanoseconds, now - min(now, line[0].since))
    return .notYet(until: min(now + pause, due - CommitQueue.wakeNanoseconds))
  }

  /// Nobody has the turn: somebody in line gets it, or the lock goes.
  /// - Parameter mayComeBack: who had it is likely to ask for it again.
  mutating func passOn(_ now: UInt64, mayComeBack: Bool = false) {
    if holder != nil || clearing != nil { return }
    let isContested = isContested(now)
    let holdMax = isContested ? CommitQueue.contestedHoldNanosecondsMax : CommitQueue.holdNanosecondsMax
    if holdsLock, !line.isEmpty, now >= heldSince + holdMax { mustRest = true }
    let offers = !mustRest && (isForeign || isFirstDue(now))
    if offers { offerTurn(now) }
    if !mustRest, let first = line.first {
      if offers {
        // The first in line was rung, if it can come.
      } else if let next = line.first(where: { $0.watchesUntil > now }) ?? (mayComeBack ? nil : first) {
        rings.append(next.alarm)
      } else if !first.knowsItIsFirst {
        rings.append(first.alarm)
      }
      return
    }
    guard pending.isEmpty else { return }
    if holdsLock { try? memory?.unlock(slot: WALIndex.writeSlot, count: 1) }
    holdsLock = false
    tip = nil
    if mustRest {
      mustRest = false
      restsUntil = now + (isContested ? CommitQueue.contestedRestNanoseconds : CommitQueue.restNanoseconds)
      ringFirst()
    }
  }
}
