// The write lock, and what becomes of a commit whose frames are written, where several connections of the process write to the log:
// see `CommitQueue`. A connection that is alone with its file takes the lock by its own descriptor, and syncs for itself.

import ApusBase
import ApusIO

/// A commit that the connection waits for: its own, or the one that it stands on.
struct AwaitedCommit {
  enum Phase {
    case waiting
    /// This connection syncs for all that are appended up to `upTo`.
    case syncing(RequestGroup, upTo: CommitQueue.Serial)
    /// The sync has failed; what it was to cover is made unreadable.
    case breaking(RequestGroup, EngineError)
  }

  var serial: CommitQueue.Serial
  var isOwn: Bool
  /// It is a checkpoint's sync: whoever waits must know how it ended, whatever it covers.
  var isForCheckpoint = false
  var phase = Phase.waiting

  var group: RequestGroup? {
    switch phase {
    case .waiting: nil
    case .syncing(let group, _), .breaking(let group, _): group
    }
  }
}

/// A wait for the write lock while another process has it.
struct ForeignWait {
  /// When it began, or when somebody was seen to have committed since.
  var since: UInt64
  var newest: WALIndexHeader?
}

extension WriteAheadLog {
  private var id: ObjectIdentifier { ObjectIdentifier(self) }

  /// nil for a connection that is alone with its file, unless it is in line yet: the queue keeps the lock for it.
  private var sharedCommits: CommitQueue? {
    guard let cache, cache.isShared || isInLine, !isReadOnly, !index.memory.isPrivate else { return nil }
    return cache.commits
  }

  /// How soon the lock is tried again that another process has, by how long ago that process has committed or this wait has begun:
  /// nobody rings when it gives the lock back, and who commits without a pause has it again some microseconds later.
  private static let foreignPauses: [(until: UInt64, pause: UInt64)] = [
    (2_000_000, 50_000), (10_000_000, 200_000), (.max, 1_000_000),
  ]

  /// When the lock is tried again.
  private func foreignMoment(_ now: UInt64) -> UInt64 {
    let newest = (try? index.readHeader()) ?? nil
    var wait = foreignWait ?? ForeignWait(since: now, newest: newest)
    if wait.newest != newest { wait = ForeignWait(since: now, newest: newest) }
    foreignWait = wait
    let waited = now &- wait.since
    return now + (Self.foreignPauses.first { waited < $0.until }?.pause ?? 1_000_000)
  }

  /// Takes the write lock, or this connection's turn under the process's one.
  /// - Parameters:
  ///   - isAlone: with no commit of the process pending.
  ///   - passesLine: before the others of the process.
  /// - Returns: false where somebody else writes; the connection may be in line then, until `releaseWriteLock`.
  func lockWriter(isAlone: Bool = false, passesLine: Bool = false) throws(Fault) -> Bool {
    precondition(!holdsWriteLock)
    hasRoom = false
    turnBegins = nil
    guard let commits = sharedCommits else {
      guard try lock(.exclusive, WALIndex.writeSlot) else {
        turnBegins = foreignMoment(environment.monotonicNanoseconds())
        return false
      }
      holdsWriteLock = true
      foreignWait = nil
      return true
    }
    isInLine = true
    let (environment, database, path) = (environment, database, path)
    let now = environment.monotonicNanoseconds()
    let answer = try commits.takeTurn(id, queue.alarm, isAlone: isAlone, passesLine: passesLine, now: now) {
      () throws(EngineError) in
      let log = try environment.open(path, .readWrite)
      return (try database.openSharedMemory(readOnly: false), log)
    }
    if case .isForeign = answer {} else { foreignWait = nil }
    switch answer {
    case .taken(let base):
      turn = base
      holdsWriteLock = true
      return true
    case .notYet(let until, let isSoon):
      turnBegins = until
      if isSoon { queue.alarm.expect() }
      return false
    case .isForeign:
      turnBegins = foreignMoment(environment.monotonicNanoseconds())
      return false
    }
  }

  /// Gives the write lock back, or the place in line.
  func releaseWriteLock() {
    if turn == nil, holdsWriteLock { unlock(WALIndex.writeSlot) }
    holdsWriteLock = false
    hasRoom = false
    turn = nil
    foreignWait = nil
    if isInLine { cache?.commits.leaveTurn(id, now: environment.monotonicNanoseconds()) }
    isInLine = false
  }

  /// What a writer goes on top of. To be asked with the write lock.
  func newestHeader() throws(Fault) -> WALIndexHeader? {
    if let tip = turn?.pendingTip { return tip }
    return try index.readHeader()
  }

  /// Frames up to here everybody may see. Others have been appended by commits that are not durable, and may fail.
  func notePublished() throws(Fault) {
    sharedFrameCount = turn?.pendingTip == nil ? header.frameCount : try index.readHeader()?.frameCount ?? 0
  }

  /// The commit under this turn has failed.
  func checkTurn() throws(Fault) {
    guard let turn, let commits = cache?.commits, let error = commits.failure(of: turn.serial, by: id) else { return }
    throw .failure(error)
  }

  /// The commit's frames are written. From here on it can no longer be rolled back.
  /// - Parameter keys: what it has changed, where somebody will be compared with that.
  func handOver(needsSync: Bool, keys: CommittedKeys?) throws(Fault) {
    guard let turn, let commits = cache?.commits else { return }
    let first = base.salts == header.salts ? base.frameCount + 1 : 1
    let serial = try commits.append(
      header, on: turn.serial, firstFrame: first, keys: keys, needsSync: needsSync, by: id,
      now: environment.monotonicNanoseconds()
    ) { (header) throws(Fault) in try index.writeHeader(header) }
    doubtfulFrame = nil
    holdsWriteLock = false
    hasRoom = false
    isInLine = false
    self.turn = nil
    if let serial { awaited = AwaitedCommit(serial: serial, isOwn: true) } else { sharedFrameCount = header.frameCount }
  }

  /// Waits until the awaited commit is visible. Called again until it returns.
  /// - Throws: SQLITE_IOERR_FSYNC where it has failed.
  func awaitPublication() throws(Fault) {
    guard let commits = cache?.commits else { return }
    while let current = awaited {
      switch current.phase {
      case .waiting:
        switch commits.publication(of: current.serial, for: id, queue.alarm, now: environment.monotonicNanoseconds()) {
        case .done:
          awaited = nil
          if current.isOwn { sharedFrameCount = header.frameCount }
        case .failed(let error):
          awaited = nil
          throw .failure(error)
        case .lead(let upTo, let file):
          let group = RequestGroup()
          addSync(to: group, file)
          awaited?.phase = .syncing(group, upTo: upTo)
        case .wait(let until): throw .wait(.signal(until: until))
        }
      case .syncing(let group, let upTo):
        do throws(Fault) {
          try group.finish(queue)
        } catch {
          guard case .failure(let failure) = error else { throw error }
          let frames = commits.syncFailed(by: id, failure)
          if frames.isEmpty {
            #if PlantedBugs
              if PlantedBug.isActive(.retryFailedSync), !current.isForCheckpoint {
                awaited?.phase = .waiting
                continue
              }
            #endif
            awaited = nil
            throw .failure(failure)
          }
          awaited?.phase = .breaking(breakFrames(frames), failure)
          continue
        }
        settle(group)
        awaited?.phase = .waiting
        let now = environment.monotonicNanoseconds()
        try commits.syncEnded(by: id, upTo: upTo, now: now) { (header) throws(Fault) in try index.writeHeader(header) }
      case .breaking(let group, let failure):
        do throws(Fault) { try group.finish(queue) } catch { if case .wait = error { throw error } }
        commits.clearingEnded(by: id, now: environment.monotonicNanoseconds())
        awaited = nil
        throw .failure(failure)
      }
    }
  }

  /// Syncs the log for a checkpoint, when no other connection of the process does. Called again until it returns. Where it fails,
  /// so have the commits that are pending: nobody else may ever be told.
  /// - Parameter isUnderWay: it has begun.
  func syncForCheckpoint(_ isUnderWay: inout Bool, _ commits: CommitQueue) throws(Fault) {
    while !isUnderWay {
      // What a dropped statement has left comes first.
      if awaited != nil { try awaitPublication() }
      switch commits.syncForCheckpoint(id, queue.alarm, now: environment.monotonicNanoseconds()) {
      case .lead(let upTo, let file):
        let group = RequestGroup()
        addSync(to: group, file)
        awaited = AwaitedCommit(serial: upTo, isOwn: false, isForCheckpoint: true, phase: .syncing(group, upTo: upTo))
        isUnderWay = true
      case .wait(let until): throw .wait(.signal(until: until))
      case .done, .failed: preconditionFailure("no commit is the last one")
      }
    }
    try awaitPublication()
  }

  /// The connection lets go of the log. What it has under way for others is brought to its end; blocks meanwhile.
  func leaveCommits() {
    while awaited?.group != nil {
      do throws(Fault) {
        try awaitPublication()
      } catch {
        guard case .wait(.completion) = error else { break }
        queue.waitForCompletion()
      }
    }
    awaited = nil
    holdsWriteLock = false
    turn = nil
    isInLine = false
    cache?.commits.leave(id, now: environment.monotonicNanoseconds())
  }
}
