// Snapshots: which committed state a connection reads, protected by a read mark; and the right to write on top of it.

import ApusBase
import ApusIO

extension WriteAheadLog {
  /// Opens the newest committed state.
  /// - Returns: true where it is another one than the last snapshot of this connection.
  func beginRead(allowsMarkZero: Bool = true) throws(Fault) -> Bool {
    precondition(readMark == nil)
    // Until an attempt succeeds, `header` stays what the last snapshot was: after a wait it is still compared with that.
    let old = header
    while true {
      if recovery != nil { try continueRecovery() }
      switch try tryBeginRead(allowsMarkZero: allowsMarkZero) {
      case .opened:
        attempts = 0
        tip = header.frameCount
        sharedFrameCount = tip
        connection?.note(since: environment.monotonicNanoseconds())
        #if PlantedBugs
          if PlantedBug.isActive(.compareFrameCountOnly) { return header.frameCount != old.frameCount }
        #endif
        return header != old
      case .raced: try retryLater()
      case .needsRecovery: try startRecovery()
      }
    }
  }

  /// Opens the newest committed state under the write lock, which is taken first and is all that protects it: without it nobody
  /// can commit, and so nobody can copy back more than this snapshot shows, or start the log again.
  /// - Returns: whether it is another one than the last snapshot; nil where the wal-index must be recovered first.
  func beginReadToWrite() throws(Fault) -> ReadToWrite {
    if isReadOnly || recovery != nil || holdsWriteLock { return .needsMark }
    if isCheckpointWriting { return .busy }
    precondition(readMark == nil)
    #if PlantedBugs
      let early = PlantedBug.isActive(.snapshotBeforeLock) ? try index.readHeader() : nil
    #endif
    guard try lockWriter() else { return .busy }
    var newest: WALIndexHeader?
    do throws(Fault) { newest = try newestHeader() } catch {
      releaseWriteLock()
      throw error
    }
    #if PlantedBugs
      newest = early ?? newest
    #endif
    guard let newest else {
      releaseWriteLock()
      return .needsMark
    }
    let isOther = header != newest
    header = newest
    isGuardedByLock = true
    attempts = 0
    try noteWritten()
    return .opened(isOther: isOther)
  }

  enum ReadToWrite {
    case opened(isOther: Bool)
    /// Somebody else writes.
    case busy
    /// The wal-index has to be recovered, or the lock is had for another reason.
    case needsMark
  }

  /// The next frame goes behind the snapshot.
  private func noteWritten() throws(Fault) {
    try notePublished()
    tip = header.frameCount
    tipChecksum = header.checksum
    needsHeader = tip == 0
  }

  /// Somebody reads on in a snapshot whose write lock is about to go: it gets a read mark. Called again until it returns.
  func guardByMark() throws(Fault) {
    guard isGuardedByLock, readMark == nil else { return }
    try takeMark()
    #if PlantedBugs
      if PlantedBug.isActive(.keepLockGuard) { return }
    #endif
    isGuardedByLock = false
  }

  /// Under the write lock the snapshot stays what it is: what is on top of the log may be pending, and a read mark goes no further
  /// than what is published.
  private func takeMark() throws(Fault) {
    let newest = header
    defer { header = newest }
    while readMark == nil {
      switch try tryBeginRead(allowsMarkZero: false) {
      case .opened: break
      case .raced: try retryLater()
      case .needsRecovery:
        throw .error(.protocol, object: path, cause: "the wal-index was damaged while it was locked")
      }
    }
    attempts = 0
  }

  enum ReadAttempt { case opened, raced, needsRecovery }

  /// One try, as walformat describes it. Mark 0 means "nothing from the log": a reader holds it where everything is
  /// copied back, and does not keep the log from starting again.
  func tryBeginRead(allowsMarkZero: Bool) throws(Fault) -> ReadAttempt {
    guard let seen = try index.readHeader() else { return .needsRecovery }
    #if PlantedBugs
      if environment.fires(.walSnapshotRaced) { return .raced }
    #endif
    let backfill = try index.backfill
    if allowsMarkZero && backfill == seen.frameCount {
      if try lock(.shared, WALIndex.readSlot(0)) {
        index.memory.barrier()
        if try index.readHeader() == seen {
          header = seen
          readMark = 0
          return .opened
        }
        unlock(WALIndex.readSlot(0))
        return .raced
      }
    }
    // The largest mark that is not behind the snapshot, moved up to it where nobody else holds it.
    var best = 0
    var bestFrame: UInt32 = 0
    for mark in 1..<WALIndex.readMarkCount {
      let frame = try index.readMark(mark)
      if frame <= seen.frameCount && (best == 0 || frame >= bestFrame) {
        best = mark
        bestFrame = frame
      }
    }
    if best == 0 || bestFrame < seen.frameCount {
      for mark in 1..<WALIndex.readMarkCount {
        if try lockToChange(WALIndex.readSlot(mark)) {
          try index.setReadMark(mark, seen.frameCount)
          unlock(WALIndex.readSlot(mark))
          best = mark
          bestFrame = seen.frameCount
          break
        }
      }
    }
    if best == 0 { return .raced }
    guard try lock(.shared, WALIndex.readSlot(best)) else { return .raced }
    index.memory.barrier()
    let markedFrame = try index.readMark(best)
    let published = try index.readHeader()
    if markedFrame == bestFrame && published == seen {
      header = seen
      readMark = best
      #if PlantedBugs
        if PlantedBug.isActive(.dropReadMark) { unlock(WALIndex.readSlot(best)) }
      #endif
      return .opened
    }
    unlock(WALIndex.readSlot(best))
    return .raced
  }

  /// Most lost races before SQLITE_PROTOCOL: about ten seconds.
  private static let attemptCountMax = 120

  func retryLater() throws(Fault) {
    attempts += 1
    if attempts < 5 { return }
    if attempts > WriteAheadLog.attemptCountMax {
      attempts = 0
      throw .error(.protocol, object: path, cause: "another process changes the wal-index all the time")
    }
    let pause = UInt64(min(attempts * attempts, 100)) * 1_000_000
    throw .wait(.moment(environment.monotonicNanoseconds() + pause))
  }

  /// Takes the write lock on top of the open snapshot.
  /// - Parameter mayMove: nothing was read from the snapshot yet: it may become the commit that the turn goes on top of.
  /// - Returns: false where somebody else writes.
  /// - Throws: BUSY_SNAPSHOT where somebody has committed since the snapshot was opened.
  func beginWrite(mayMove: Bool) throws(Fault) -> Bool {
    // The lock may be had already, for a checkpoint of this connection.
    if isCheckpointWriting { return false }
    if holdsWriteLock { return true }
    precondition(readMark != nil && !isGuardedByLock)
    hasMoved = false
    guard try lockWriter() else { return false }
    #if PlantedBugs
      let isBlind = PlantedBug.isActive(.writeOnStaleSnapshot)
    #else
      let isBlind = false
    #endif
    let newest: WALIndexHeader?
    do throws(Fault) { newest = try newestHeader() } catch {
      releaseWriteLock()
      throw error
    }
    if newest != header && !isBlind {
      // A log whose first commit is pending has no salts that anybody else knows.
      guard mayMove, turn != nil, let newest, newest.salts == header.salts || header.frameCount == 0 else {
        releaseWriteLock()
        throw .error(.busySnapshot, cause: "another connection has committed since this transaction's snapshot")
      }
      // The read mark stays where it is: it keeps the log all the same.
      header = newest
      hasMoved = true
    }
    try noteWritten()
    return true
  }

  /// Starts the log from its beginning where everything in it is copied back and nobody reads from it; otherwise the
  /// next frame goes behind the last. A writer never stays on mark 0, since its own snapshot will lie in the log.
  ///
  /// `willRestart` is told the new salts just before, while the old frames can still be found.
  func restartIfPossible(willRestart: (UInt64) throws(Fault) -> Void) throws(Fault) {
    precondition(holdsWriteLock)
    if readMark == 0 || isGuardedByLock {
      // Sampled under the write lock: only a writer resets it, only a checkpointer raises it, and never past the
      // header.
      let backfill = try index.backfill
      #if PlantedBugs
        let isSkipped = environment.fires(.walSkipRestart)
      #else
        let isSkipped = false
      #endif
      // A concurrent transaction may be on mark 0 below commits that nobody has copied.
      if backfill > 0 && backfill == header.frameCount && !isSkipped {
        #if PlantedBugs
          if PlantedBug.isActive(.restartUnderReaders) { try restart(willRestart) }
        #endif
        if try lock(.exclusive, WALIndex.readSlot(1), count: WALIndex.readMarkCount - 1) {
          defer { unlock(WALIndex.readSlot(1), count: WALIndex.readMarkCount - 1) }
          try restart(willRestart)
        }
      }
      // The mark may have to be waited for, and whoever waits may be dropped: what is undone then is nothing of before.
      base = header
      if readMark == 0 { endRead() }
    }
    if !isGuardedByLock { try takeMark() }
    base = header
  }

  /// New salts make every frame of the old log invalid. The index header is written before the backfill count falls, so
  /// that nobody combines the old header with the new count (see SPEC, "WAL").
  func restart(_ willRestart: (UInt64) throws(Fault) -> Void) throws(Fault) {
    sequence &+= 1
    let salts = nextSalts()
    try willRestart(salts)
    header.salts = salts
    header.frameCount = 0
    try index.writeHeader(header)
    index.memory.barrier()
    #if PlantedBugs
      let keepsBackfill = PlantedBug.isActive(.keepBackfillAtRestart)
    #else
      let keepsBackfill = false
    #endif
    if !keepsBackfill { try index.setBackfill(0) }
    try index.setBackfillAttempted(0)
    try index.setReadMark(1, 0)
    for mark in 2..<WALIndex.readMarkCount { try index.setReadMark(mark, WALIndex.markUnused) }
    tip = 0
    tipChecksum = WALChecksum()
    needsHeader = true
  }

  private func nextSalts() -> UInt64 {
    #if PlantedBugs
      if PlantedBug.isActive(.keepSaltsAtReset) { return header.salts }
    #endif
    let salt1 = UInt32(truncatingIfNeeded: header.salts >> 32) &+ 1
    return UInt64(salt1) << 32 | UInt64(UInt32(truncatingIfNeeded: environment.randomUInt64()))
  }
}
