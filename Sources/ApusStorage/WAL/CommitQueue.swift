// The connections of one process that write to one log: whose turn it is, which commits are written and not yet visible, and who
// syncs for all of them (SPEC, "Group commit").
//
//   line -> turn: frames are written -> pending -> a sync covers them -> published
//             \-> the next in line goes on top of the pending tip meanwhile
//
// The queue has a descriptor of the wal-index of its own, and with it the write lock: from the first turn until nobody is in line
// and nothing is pending. The mutex is held for memory work, for a lock that is taken at once, and for the wal-index header.
//
// It has one of the log, too, for the syncs. A system tells of what it could not write down only those descriptors that were open
// then, each once, and some tell one alone. So the syncs of a process's commits go by a descriptor that is older than what they
// cover, and no two syncs of the log are under way in one process, a checkpoint's included: each that fails is seen to fail before
// another one is believed.

import ApusBase
import ApusIO

final class CommitQueue: Sendable {
  /// Counts the commits that were appended by this process.
  typealias Serial = UInt64

  /// What a turn goes on top of.
  struct Base {
    /// The newest commit, where nobody else sees it yet; nil: what the wal-index publishes.
    var pendingTip: WALIndexHeader?
    var serial: Serial
  }

  enum Turn {
    case taken(Base)
    /// Others of the process come first; nobody rings before `until`, where it is given.
    /// - Parameter isSoon: it rings at once, if it does so at all.
    case notYet(until: UInt64?, isSoon: Bool = false)
    /// Another process has the write lock.
    case isForeign
  }

  enum Publication {
    case done
    case failed(EngineError)
    /// The caller is to sync the log, by `file` where there is one: that covers the commits up to `upTo`.
    case lead(upTo: Serial, file: (any File)?)
    /// The alarm rings when something has changed. Who was to lead may not have come by then.
    case wait(until: UInt64)
  }

  fileprivate struct Place: Sendable {
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

  fileprivate struct Pending: Sendable {
    var serial: Serial
    var header: WALIndexHeader
    var firstFrame: UInt32
    var needsSync: Bool
    /// nil: its connection is gone.
    var owner: ObjectIdentifier?
  }

  fileprivate struct Failure: Sendable {
    var serials: ClosedRange<Serial>
    var error: EngineError
  }

  /// What the conflict report says of syncs.
  fileprivate struct Groups: Sendable {
    var count = 0
    var commitCount = 0
    var largest = 0
  }

  fileprivate struct State: Sendable {
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
    /// When somebody came to a turn by an offer the last time.
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

  private let state = ThreadMutex(State())
  /// What the commits have changed, in the order in which they were appended.
  private let history: CommitHistory

  init(_ history: CommitHistory) { self.history = history }

  /// How long the process keeps the write lock while some of its connections are in line.
  static let holdNanosecondsMax: UInt64 = 20_000_000
  /// How long it is free for others then.
  static let restNanoseconds: UInt64 = 2_000_000
  /// The same two where another process was seen to have the lock lately.
  static let contestedHoldNanosecondsMax: UInt64 = 10_000_000
  static let contestedRestNanoseconds: UInt64 = 10_000_000
  /// How long ago that is at most.
  fileprivate static let contestNanoseconds: UInt64 = 1_000_000_000
  /// How often the first in line gets the turn for certain. Meanwhile those go on whose threads are awake: to put one to sleep and
  /// to wake another for each commit would cost more than the commit.
  static let patienceNanoseconds: UInt64 = 1_000_000
  /// How long before that its thread is to be awake.
  fileprivate static let wakeNanoseconds: UInt64 = 60_000
  /// How soon the first in line looks whether the turn has fallen free, at first.
  fileprivate static let lookNanoseconds: UInt64 = 300_000
  /// How long the first in line, or who is to lead a sync, may take to come.
  fileprivate static let offerNanoseconds: UInt64 = 10_000_000
  fileprivate static let failureCountMax = 64

  /// Rings only when the mutex is free again: who wakes up asks for it at once, and a ring is a system call.
  private func withState<R, E: Error>(_ body: (inout State) throws(E) -> R) throws(E) -> R {
    var rings: [Alarm] = []
    defer { for alarm in rings { alarm.ring() } }
    return try state.withLock { (state) throws(E) -> R in
      defer { swap(&rings, &state.rings) }
      return try body(&state)
    }
  }

  // MARK: The turn

  /// Asks for the right to append. Who does not get it is in line from now on, until `leaveTurn`.
  /// - Parameters:
  ///   - isAlone: only with nothing pending.
  ///   - passesLine: before all others, and at once.
  func takeTurn(
    _ id: ObjectIdentifier, _ alarm: Alarm, isAlone: Bool, passesLine: Bool = false, now: UInt64,
    open: () throws(EngineError) -> (memory: any SharedMemory, file: any File)
  ) throws(Fault) -> Turn {
    try withState { (state) throws(Fault) -> Turn in
      if state.holder == id { return .taken(state.base) }
      let place = state.line.firstIndex { $0.id == id } ?? (passesLine ? 0 : state.line.count)
      if state.line.first(where: { $0.id == id }) == nil {
        // Who passes the line is due as soon as it has come.
        let since = passesLine ? now - min(now, Self.patienceNanoseconds) : now
        state.line.insert(Place(id: id, alarm: alarm, isAlone: isAlone, since: since), at: place)
        if passesLine, state.line.count > 1 { state.line[1].knowsItIsFirst = false }
      }
      if state.holder != nil || state.clearing != nil || state.mustRest { return state.notYet(place, now) }
      if now < state.restsUntil { return .notYet(until: state.restsUntil) }
      #if PlantedBugs
        let barges = PlantedBug.isActive(.barge)
      #else
        let barges = false
      #endif
      if place > 0, !barges, state.isForeign || state.isFirstDue(now) {
        state.offerTurn(now)
        if state.line.first?.id != id {
          if state.isForeign { return .notYet(until: now + Self.offerNanoseconds) }
          return state.notYet(state.line.firstIndex { $0.id == id } ?? 0, now)
        }
      }
      if isAlone, !state.pending.isEmpty { return .notYet(until: nil) }
      if !state.holdsLock {
        let isLocked: Bool
        do throws(EngineError) {
          if state.memory == nil { (state.memory, state.file) = try open() }
          isLocked = try state.memory?.lock(.exclusive, slot: WALIndex.writeSlot, count: 1) ?? false
        } catch {
          state.line.removeAll { $0.id == id }
          throw .failure(error)
        }
        state.isForeign = !isLocked
        if !isLocked {
          state.foreignSeen = now
          if state.offer?.id == id { state.offer?.ends = now + Self.offerNanoseconds }
          return .isForeign
        }
        state.holdsLock = true
        state.heldSince = now
        state.tip = nil
      }
      if place == 0, state.line.count > 1 || state.offer?.id == id { state.lastOffer = now }
      if state.offer?.id == id { state.offer = nil }
      state.line.removeAll { $0.id == id }
      state.holder = id
      state.holderFailure = nil
      // Who is next is awake when this turn ends.
      if state.commitsWait, let next = state.line.first, next.watchesUntil <= now { state.rings.append(next.alarm) }
      return .taken(state.base)
    }
  }

  /// Gives the turn back, or the place in line.
  func leaveTurn(_ id: ObjectIdentifier, now: UInt64) {
    withState { state in
      let wasFirst = state.line.first?.id == id
      state.line.removeAll { $0.id == id }
      if state.holder == id {
        state.holder = nil
        state.passOn(now, mayComeBack: true)
      } else if wasFirst {
        state.passOn(now)
      }
    }
  }

  /// The turn that began on `base` goes on top of a commit that has failed, or has lost what it has written itself.
  func failure(of base: Serial, by id: ObjectIdentifier) -> EngineError? { state.withLock { $0.failure(of: base, by: id) } }

  // MARK: Commits

  /// The frames of a commit are written: the next one goes on top of them, and the turn passes on. A commit that needs no sync, and
  /// stands on none that does, is published at once.
  /// - Returns: what to wait for; nil where it is published.
  /// - Throws: the failure of the commit that it stands on.
  func append(
    _ header: WALIndexHeader, on base: Serial, firstFrame: UInt32, keys: CommittedKeys?, needsSync: Bool,
    by id: ObjectIdentifier, now: UInt64, publish: (WALIndexHeader) throws(Fault) -> Void
  ) throws(Fault) -> Serial? {
    try withState { (state) throws(Fault) -> Serial? in
      precondition(state.holder == id)
      if let error = state.failure(of: base, by: id) { throw .failure(error) }
      let isVisible = !needsSync && state.pending.isEmpty
      if isVisible { try publish(header) }
      history.add(keys, salts: header.salts, from: firstFrame - 1, to: header.frameCount)
      state.lastSerial += 1
      if isVisible {
        history.publish(salts: header.salts, through: header.frameCount)
        state.settledSerial = state.lastSerial
        state.tip = nil
      } else {
        state.pending.append(
          Pending(serial: state.lastSerial, header: header, firstFrame: firstFrame, needsSync: needsSync, owner: id))
        state.tip = header
        state.gathering.noteAppend(now, pendingCount: state.pending.count)
        #if PlantedBugs
          if PlantedBug.isActive(.publishBeforeSync) { try publish(header) }
        #endif
      }
      state.holder = nil
      state.commitsWait = !isVisible
      // Who waits for a sync does not come back soon.
      state.passOn(now, mayComeBack: isVisible)
      return isVisible ? nil : state.lastSerial
    }
  }

  /// Whether the commit `serial` is visible, and what is to be done about it.
  func publication(of serial: Serial, for id: ObjectIdentifier, _ alarm: Alarm, now: UInt64) -> Publication {
    withState { state in
      if serial <= state.settledSerial {
        state.noteAnswered(id)
        return state.failure(of: serial).map { .failed($0) } ?? .done
      }
      var until = now + Self.offerNanoseconds
      if state.syncing == nil, state.clearing == nil {
        guard let end = state.gatheringEnd(serial, now) else {
          state.syncing = id
          state.gatherer = nil
          state.gathering.noteSyncBegan(now)
          return .lead(upTo: state.lastSerial, file: state.file)
        }
        // Who came first begins when the time is over; who makes them complete, before.
        if state.gatherer == nil { state.gatherer = id }
        if state.gatherer == id { until = min(until, end) }
      }
      if !state.waiting.contains(where: { $0.id == id }) { state.waiting.append((id, serial, alarm)) }
      return .wait(until: until)
    }
  }

  /// A checkpoint is to sync the log: when nobody else does, as the leader of what is pending then.
  /// - Returns: `.lead` or `.wait`.
  func syncForCheckpoint(_ id: ObjectIdentifier, _ alarm: Alarm, now: UInt64) -> Publication {
    publication(of: .max, for: id, alarm, now: now)
  }

  /// It does not wait for its sync any more.
  func leaveSyncLine(_ id: ObjectIdentifier) {
    withState { state in
      state.waiting.removeAll { $0.id == id }
      if state.gatherer == id {
        state.gatherer = nil
        state.wakeWaiting()
      }
    }
  }

  /// The sync that `id` led has ended well.
  func syncEnded(
    by id: ObjectIdentifier, upTo: Serial, now: UInt64, publish: (WALIndexHeader) throws(Fault) -> Void
  ) throws(Fault) {
    try withState { (state) throws(Fault) in
      precondition(state.syncing == id)
      state.syncing = nil
      defer { state.wakeWaiting() }
      #if PlantedBugs
        let upTo = PlantedBug.isActive(.ackByRunningSync) ? state.lastSerial : upTo
      #endif
      let undurable = state.pending.firstIndex { $0.needsSync && $0.serial > upTo } ?? state.pending.count
      state.gathering.noteSyncEnded(now, coveredCount: undurable, pendingCount: state.pending.count - undurable)
      guard undurable > 0 else { return }
      let last = state.pending[undurable - 1]
      try publish(last.header)
      history.publish(salts: last.header.salts, through: last.header.frameCount)
      state.pending.removeFirst(undurable)
      state.groups.count += 1
      state.groups.commitCount += undurable
      state.groups.largest = max(state.groups.largest, undurable)
      state.settledSerial = last.serial
      if state.pending.isEmpty {
        state.tip = nil
        state.passOn(now)
      }
    }
  }

  /// The sync that `id` led has failed: so has every commit that is pending, whatever it asked for, and the turn that is under way.
  /// - Returns: the first frame that no recovery must find; the caller sees to that, and says `clearingEnded`.
  func syncFailed(by id: ObjectIdentifier, _ error: EngineError) -> UInt32? {
    withState { state -> UInt32? in
      precondition(state.syncing == id)
      state.syncing = nil
      defer { state.wakeWaiting() }
      if state.holder != id { state.holderFailure = error }
      guard let first = state.pending.first else { return nil }
      #if PlantedBugs
        if PlantedBug.isActive(.retryFailedSync), first.serial == state.lastSerial { return nil }
      #endif
      fail(&state, error)
      state.clearing = id
      return first.firstFrame
    }
  }

  func clearingEnded(by id: ObjectIdentifier, now: UInt64) {
    withState { state in
      if state.clearing == id { state.clearing = nil }
      state.passOn(now)
    }
  }

  // MARK: Ends

  /// The connection is gone. Commits of it that are pending stay, as long as somebody is there who waits for what is on top.
  func leave(_ id: ObjectIdentifier, now: UInt64) {
    withState { state in
      state.line.removeAll { $0.id == id }
      state.waiting.removeAll { $0.id == id }
      if state.gatherer == id { state.gatherer = nil }
      state.noteAnswered(id)
      if state.holder == id { state.holder = nil }
      if state.clearing == id { state.clearing = nil }
      for index in state.pending.indices where state.pending[index].owner == id { state.pending[index].owner = nil }
      if state.syncing == id {
        // Nobody has seen how it ended: so it has failed.
        state.syncing = nil
        fail(
          &state,
          EngineError(.ioErrorFsync, cause: "the connection that synced the log for several commits was closed meanwhile"))
      } else if state.holder == nil, state.syncing == nil, state.pending.allSatisfy({ $0.owner == nil }) {
        fail(&state, EngineError(.ioErrorFsync, cause: "the connection was closed before its commit was durable"))
      }
      state.wakeWaiting()
      state.passOn(now)
    }
  }

  /// What is pending has failed. Its frames are written again with other commits: their keys must not pass for those.
  private func fail(_ state: inout State, _ error: EngineError) {
    guard let first = state.pending.first else { return }
    state.fail(error)
    history.forget(salts: first.header.salts, behind: first.firstFrame - 1)
  }

  /// A concurrent transaction registers in the history.
  func registerConcurrent() -> UInt64 {
    state.withLock { state in
      guard let first = state.pending.first, let last = state.pending.last else { return history.register() }
      return history.register(
        pending: CommitHistory.Stretch(salts: last.header.salts, frames: first.firstFrame..<last.header.frameCount + 1))
    }
  }

  func addGroups(to report: inout ConcurrentConflicts) {
    let groups = state.withLock { $0.groups }
    report.groupCount = groups.count
    report.groupedCommitCount = groups.commitCount
    report.largestGroup = groups.largest
  }

  /// No connection of the process has the log open any more.
  func close() {
    state.withLock { state in
      state.memory?.close(delete: false)
      state.file?.close()
      let (last, failures, groups) = (state.lastSerial, state.failures, state.groups)
      state = State()
      state.groups = groups
      state.lastSerial = last
      state.settledSerial = last
      state.failures = failures
    }
  }
}

extension CommitQueue.State {
  fileprivate var base: CommitQueue.Base { CommitQueue.Base(pendingTip: tip, serial: lastSerial) }

  fileprivate func failure(of serial: CommitQueue.Serial) -> EngineError? {
    failures.last { $0.serials.contains(serial) }?.error
  }

  fileprivate func failure(of base: CommitQueue.Serial, by id: ObjectIdentifier) -> EngineError? {
    failure(of: base) ?? (holder == id ? holderFailure : nil)
  }

  /// Until when a sync for commit `serial` waits for others.
  fileprivate func gatheringEnd(_ serial: CommitQueue.Serial, _ now: UInt64) -> UInt64? {
    // A checkpoint's sync is waited for by nobody's commit.
    serial == .max ? nil : gathering.end(now, pendingCount: pending.count)
  }

  fileprivate mutating func fail(_ error: EngineError) {
    gathering = SyncGathering()
    gatherer = nil
    guard !pending.isEmpty else { return }
    failures.append(CommitQueue.Failure(serials: settledSerial + 1...lastSerial, error: error))
    if failures.count > CommitQueue.failureCountMax { failures.removeFirst() }
    pending = []
    // A turn that begins now goes on top of what is published, not of what has failed.
    lastSerial += 1
    settledSerial = lastSerial
    tip = nil
  }

  /// Rings the first of those whose commit is settled, and the first of the others, who is to lead the next sync.
  fileprivate mutating func wakeWaiting() {
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
  fileprivate mutating func noteAnswered(_ id: ObjectIdentifier) {
    guard let index = settled.firstIndex(where: { $0.id == id }) else { return }
    settled.remove(at: index)
    #if PlantedBugs
      if PlantedBug.isActive(.forgetSettled) { return }
    #endif
    if index < settled.count { rings.append(settled[index].alarm) }
  }

  fileprivate mutating func ringFirst() {
    if let first = line.first { rings.append(first.alarm) }
  }

  /// The first in line is not to be overtaken any more.
  fileprivate func isFirstDue(_ now: UInt64) -> Bool {
    guard let first = line.first else { return false }
    return now >= max(first.since, lastOffer) + CommitQueue.patienceNanoseconds
  }

  /// Another process has had the lock lately, and may be waiting for it.
  private func isContested(_ now: UInt64) -> Bool { foreignSeen.map { now < $0 + CommitQueue.contestNanoseconds } ?? false }

  /// The turn is for the first in line alone, unless that does not come.
  fileprivate mutating func offerTurn(_ now: UInt64) {
    if let offer, offer.id == line.first?.id {
      if now < offer.ends {
        if line[0].isAlone, pending.isEmpty { ringFirst() }
        return
      }
      line.removeFirst()
    }
    guard let first = line.first else { return }
    offer = (first.id, now + CommitQueue.offerNanoseconds)
    if !first.isAlone || pending.isEmpty { rings.append(first.alarm) }
  }

  /// The answer to who has the place in line.
  fileprivate mutating func notYet(_ place: Int, _ now: UInt64) -> CommitQueue.Turn {
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
  fileprivate mutating func passOn(_ now: UInt64, mayComeBack: Bool = false) {
    if holder != nil || clearing != nil { return }
    let isContested = isContested(now)
    let holdMax = isContested ? CommitQueue.contestedHoldNanosecondsMax : CommitQueue.holdNanosecondsMax
    if holdsLock, !line.isEmpty, now >= heldSince + holdMax { mustRest = true }
    if !mustRest, let first = line.first {
      if isForeign || isFirstDue(now) {
        offerTurn(now)
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
