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
  static let contestNanoseconds: UInt64 = 1_000_000_000
  /// How often the first in line gets the turn for certain. Meanwhile those go on whose threads are awake: to put one to sleep and
  /// to wake another for each commit would cost more than the commit.
  static let patienceNanoseconds: UInt64 = 1_000_000
  /// How long before that its thread is to be awake.
  static let wakeNanoseconds: UInt64 = 60_000
  /// How soon the first in line looks whether the turn has fallen free, at first.
  static let lookNanoseconds: UInt64 = 300_000
  /// How long the first in line, or who is to lead a sync, may take to come.
  static let offerNanoseconds: UInt64 = 10_000_000
  /// Above it the oldest ones are taken together: what lay between them passes for failed, too.
  static let failureCountMax = 100_000

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
      let known = state.line.firstIndex { $0.id == id }
      let place = known ?? (passesLine ? 0 : state.line.count)
      if known == nil {
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
      if isAlone, !state.pending.isEmpty {
        // It does not look by itself: whoever leaves the turn rings it.
        if let own = state.line.firstIndex(where: { $0.id == id }) { state.line[own].knowsItIsFirst = false }
        return .notYet(until: nil)
      }
      if !state.holdsLock {
        let isLocked: Bool
        do throws(EngineError) {
          if state.memory == nil { (state.memory, state.file) = try open() }
          isLocked = try state.memory?.lock(.exclusive, slot: WALIndex.writeSlot, count: 1) ?? false
        } catch {
          state.leaveLine(id)
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
      state.leaveLine(id)
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
        #if PlantedBugs
          if PlantedBug.isActive(.keepWriteLock) { return }
        #endif
        state.passOn(now)
      }
    }
  }

  /// The sync that `id` led has failed: so has every commit that is pending, whatever it asked for, and the turn that is under way.
  /// - Returns: the first frame of each commit, which no recovery must find, nor take for what stands behind damage; the caller
  ///   sees to that, and says `clearingEnded`. None where nothing was pending.
  func syncFailed(by id: ObjectIdentifier, _ error: EngineError) -> [UInt32] {
    withState { state -> [UInt32] in
      precondition(state.syncing == id)
      state.syncing = nil
      defer { state.wakeWaiting() }
      #if PlantedBugs
        if state.holder != id, !PlantedBug.isActive(.hideFailedSync) { state.holderFailure = error }
      #else
        if state.holder != id { state.holderFailure = error }
      #endif
      let frames = state.pending.map(\.firstFrame)
      if frames.isEmpty { return [] }
      #if PlantedBugs
        if PlantedBug.isActive(.retryFailedSync), frames.count == 1, state.pending[0].serial == state.lastSerial { return [] }
      #endif
      fail(&state, error)
      state.clearing = id
      return frames
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
      state.leaveLine(id)
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
    #if PlantedBugs
      if PlantedBug.isActive(.keepFailedKeys) { return }
    #endif
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

  /// No connection of the process has the log open any more. One that opens it meanwhile may be at work here before it counts: then
  /// the last of those that come closes.
  func close() {
    state.withLock { state in
      let isIdle = state.holder == nil && state.line.isEmpty && state.pending.isEmpty && state.syncing == nil
      if !isIdle || state.clearing != nil { return }
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
