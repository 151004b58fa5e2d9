// Checkpoints, the switch between journal modes, and closing.

import ApusBase
import ApusIO

extension Pager {
  /// Copies the log's frames back into the database file.
  /// - Returns: whether something was in the way; the log's frames; how many of them are in the file now. In other
  ///   journal modes (false, -1, -1), beside another checkpoint (true, -1, -1), as SQLite says.
  public func checkpoint(_ mode: CheckpointMode) throws(Fault) -> (isBusy: Bool, walFrames: Int, checkpointed: Int) {
    guard let (store, wal) = try logToCheckpoint() else { return (false, -1, -1) }
    if store.needsCheckpoint || wal.checkpoint.map({ $0.requested != mode }) ?? false { abandonCheckpoint(store) }
    let result: CheckpointResult
    do {
      // A recovery takes the checkpoint's own lock as well, and gives it back.
      if wal.checkpoint != nil, try wal.index.readHeader() == nil { abandonCheckpoint(store) }
      if wal.checkpoint == nil {
        try wal.settleAbandonedCheckpoint()
        try wal.recoverIfNeeded()
      }
      result = try wal.runCheckpoint(
        mode, database: store.file, synchronous: configuration.synchronous, cache: store.cache,
        generation: { self.checkpointGeneration(store, $0) }
      ) { () throws(Fault) in
        if let moment = self.busyPolicy?(self.busyAttempts) {
          self.busyAttempts += 1
          throw .wait(.moment(min(moment, wal.turnBegins ?? moment)))
        }
      }
    } catch {
      store.note(error)
      throw error
    }
    busyAttempts = 0
    if result.isRefused { return (true, -1, -1) }
    #if PlantedBugs
      if PlantedBug.isActive(.checkpointSaysAll) { return (result.isBusy, Int(result.frameCount), Int(result.frameCount)) }
    #endif
    // Readers are in no passive checkpoint's way: as in SQLite, its count tells what was left out.
    let isBusy = result.isBusy && mode != .passive
    // Whoever starts the log again says so before the count of what is copied falls.
    return (isBusy, Int(result.frameCount), Int(min(result.backfill, result.frameCount)))
  }

  /// What a checkpoint would tell now, without one: nothing is copied and nobody is waited for.
  public func logFigures() throws(Fault) -> (isBusy: Bool, walFrames: Int, checkpointed: Int) {
    guard let (_, wal) = try logToCheckpoint() else { return (false, -1, -1) }
    for _ in 0..<Self.figureAttemptsMax {
      guard let header = try wal.index.readHeader() else {
        try wal.recoverIfNeeded()
        continue
      }
      wal.index.memory.barrier()
      let backfill = try wal.index.backfill
      wal.index.memory.barrier()
      // Equal headers: the count belongs to this log and not to the one before it.
      if try wal.index.readHeader() == header { return (false, Int(header.frameCount), Int(backfill)) }
    }
    return (true, -1, -1)
  }

  /// A header that changes as often under the reader's eyes has writers that never pause.
  private static let figureAttemptsMax = 1000

  /// nil in other journal modes.
  private func logToCheckpoint() throws(Fault) -> (FileStore, WriteAheadLog)? {
    guard let store, !store.isTemporary else { return nil }
    if state == .write { throw .error(.locked, object: store.path, cause: "a transaction is open") }
    if store.wal == nil {
      let wasOpen = state != .none
      try beginRead()
      if !wasOpen { endRead() }
    }
    guard let wal = store.wal else { return nil }
    if configuration.isReadOnly { throw .error(.readOnly, object: store.path) }
    return (store, wal)
  }

  /// The generation under which the frames of the log with these salts are cached; 0, which the cache does not know, for a
  /// log that this connection has not read.
  private func checkpointGeneration(_ store: FileStore, _ salts: UInt64) -> UInt32 {
    salts == store.salts ? store.generation : 0
  }

  /// A commit has ended, and the checkpoint that follows it has not: `commit` goes on with it.
  public var owesCheckpoint: Bool { store?.needsCheckpoint ?? false }

  /// After a commit: what can be copied is, without waiting for anybody. Its failure is not the commit's.
  ///
  /// What others have committed meanwhile is copied with the turn in hand: once everything is, new snapshots do not keep the log,
  /// and the next writer starts it again. Else each of the next commits would copy, and sync, the little that was left.
  func checkpointAfterCommit(_ store: FileStore) throws(Fault) {
    guard let wal = store.wal else { return }
    do {
      if store.lastFramesUntil == nil {
        let result = try runCheckpoint(.passive, leastFrameCount: leastFrameCount(wal), store, wal)
        if try mayCopyLastFrames(wal, result) {
          let isUrgent = wal.isHalfFull(through: result.frameCount)
          let patience = isUrgent ? Self.urgentLastFramesNanoseconds : Self.lastFramesNanoseconds
          store.lastFramesUntil = store.environment.monotonicNanoseconds() + patience
        }
      }
      if let limit = store.lastFramesUntil {
        _ = try runCheckpoint(.passive, takesTurn: true, store, wal) { () throws(Fault) in
          if store.environment.monotonicNanoseconds() < limit {
            throw .wait(.moment(min(limit, wal.turnBegins ?? limit)))
          }
        }
      }
    } catch {
      if case .wait = error { throw error }
      store.note(error)
    }
    store.lastFramesUntil = nil
    store.needsCheckpoint = false
  }

  /// How long a commit that is done stands in line to copy the last frames; and from half of `wal_size_limit` on.
  private static let lastFramesNanoseconds: UInt64 = 5_000_000
  private static let urgentLastFramesNanoseconds: UInt64 = 50_000_000

  /// A log that has grown in spite of readers is copied by an eighth of what it may grow by: else each commit behind that point
  /// would sync twice for what the oldest reader has moved on by.
  private func leastFrameCount(_ wal: WriteAheadLog) -> UInt32 {
    wal.isHalfFull(through: wal.tip) ? 0 : UInt32(clamping: min(configuration.autocheckpointFrames, 1000) / 8)
  }

  private func mayCopyLastFrames(_ wal: WriteAheadLog, _ result: CheckpointResult) throws(Fault) -> Bool {
    guard !result.isWhole, !result.isBusy, !result.isHeldBack, let published = try wal.index.readHeader() else { return false }
    guard published.frameCount > result.backfill else { return false }
    return published.frameCount - result.backfill <= WriteAheadLog.lastFrameCountMax
  }

  /// A checkpoint that waits for nobody, unless `busy` says so.
  func runCheckpoint(
    _ mode: CheckpointMode, takesTurn: Bool = false, leastFrameCount: UInt32 = 0, _ store: FileStore, _ wal: WriteAheadLog,
    busy: () throws(Fault) -> Void = { () throws(Fault) in }
  ) throws(Fault) -> CheckpointResult {
    try wal.runCheckpoint(
      mode, takesTurn: takesTurn, leastFrameCount: leastFrameCount, database: store.file,
      synchronous: configuration.synchronous, cache: store.cache, generation: { self.checkpointGeneration(store, $0) }, busy: busy)
  }

  /// A checkpoint, a switch of the journal mode or a closing was dropped at a wait. What it held goes: a plan that was made
  /// then must not be carried on with later, when the log is another.
  public func giveUpWork() {
    guard let store, !store.isClosed else { return }
    abandonCheckpoint(store)
    // A transaction of the pager's own is rolled back as the statement's.
    if store.switching == nil && !store.isClosing || state == .write { return }
    store.switching = nil
    store.abandon(store.logRemoval)
    store.logRemoval = nil
    store.isClosing = false
    if store.wal != nil { store.lock.downgradeToShared() }
    if state == .none { endRead() }
  }

  /// A dropped checkpoint still has its locks, since pages of it are on their way.
  public var owesDroppedCheckpoint: Bool { store?.wal?.abandoned != nil || owesPublication }

  /// A dropped statement was about to sync the log for others too.
  public var owesPublication: Bool { store?.wal?.awaited?.isOwn == false }

  /// Waits for the pages of a dropped checkpoint; then its locks go. Its failure is nobody's: the log has all that it was to copy.
  public func settleDroppedCheckpoint() throws(Fault) {
    guard let wal = store?.wal else { return }
    if owesPublication { try awaitBase() }
    do {
      try wal.settleAbandonedCheckpoint()
    } catch {
      if case .wait = error { throw error }
      try wal.settleAbandonedCheckpoint()
    }
    // A private index, and the lock that goes with it, were kept for the checkpoint alone.
    if state == .none, wal.index.memory.isPrivate, !configuration.locksExclusively { endRead() }
  }

  /// A dropped playback of a hot journal still has its lock, since originals are on their way into the file.
  public var owesDroppedPlayback: Bool { store?.abandonedPlayback != nil }

  /// Waits for the originals of a dropped playback; then its lock goes. The journal is hot as before.
  public func settleDroppedPlayback() throws(Fault) {
    do throws(Fault) {
      try store?.settleAbandonedPlayback()
    } catch {
      if case .wait = error { throw error }
      try store?.settleAbandonedPlayback()
    }
  }

  func abandonCheckpoint(_ store: FileStore) {
    #if PlantedBugs
      if PlantedBug.isActive(.keepDroppedCheckpoint), !store.isClosed { return }
    #endif
    store.abandon(store.wal?.abandonCheckpoint())
    store.needsCheckpoint = false
    store.lastFramesUntil = nil
    store.makesRoom = false
  }

  // MARK: Journal mode

  public var journalMode: JournalMode {
    if store == nil { return .memory }
    if store?.wal != nil { return .wal }
    return configuration.journalMode
  }

  /// Switches the journal mode; called again until it returns what the mode is now.
  /// - Throws: SQLITE_BUSY where other connections use the file; SQLITE_ERROR inside a transaction.
  public func setJournalMode(_ mode: JournalMode) throws(Fault) -> JournalMode {
    guard let store, !store.isTemporary else {
      return journalMode
    }
    if store.switching != mode {
      if state != .none, mode == journalMode { return mode }
      if state != .none { throw .error(.error, "cannot change into wal mode from within a transaction") }
      // The file says whether it is in WAL mode.
      try beginRead()
      endRead()
      if mode == journalMode { return mode }
      if store.wal == nil && mode != .wal {
        configuration.journalMode = mode
        return mode
      }
      if configuration.isReadOnly { return journalMode }
      store.switching = mode
    }
    do {
      if mode == .wal {
        try writeFileVersion(2, store)
      } else {
        try leaveLog(store)
        try writeFileVersion(1, store)
        configuration.journalMode = mode
      }
    } catch {
      if case .failure = error {
        store.switching = nil
        store.logRemoval = nil
        if state == .write { try? rollback() }
        if state != .write { endRead() }
      }
      throw error
    }
    store.switching = nil
    endRead()
    if mode == .wal {
      store.stamp = nil
      // The next snapshot opens the log.
      return .wal
    }
    return journalMode
  }

  /// Commits the version bytes through the rollback journal; nobody else may be in the file.
  private func writeFileVersion(_ version: UInt8, _ store: FileStore) throws(Fault) {
    if state != .write {
      try beginWrite(exclusive: true)
      store.syncsDirectoryAtEnd = true
      #if PlantedBugs
        if PlantedBug.isActive(.skipDirectorySyncAtSwitch) { store.syncsDirectoryAtEnd = false }
      #endif
    }
    let one = try loadedPage(.one)
    if one.bytes[DatabaseHeader.writeVersionOffset] != version && !store.isCommitPrepared {
      let bytes = writable(one).mutableBytes
      bytes[DatabaseHeader.writeVersionOffset] = version
      bytes[DatabaseHeader.readVersionOffset] = version
    }
    try commit()
    store.syncsDirectoryAtEnd = false
  }

  /// Copies everything back and deletes the log; the EXCLUSIVE lock proves that nobody else uses it, and stays until the
  /// file's version is changed: until then the header still asks for a log, which nobody may begin meanwhile.
  private func leaveLog(_ store: FileStore) throws(Fault) {
    if let wal = store.wal { try deleteLog(store, wal) }
    // With the power it would come back, beside a file that has none: whoever believes it undoes all that is committed since.
    guard let removal = store.logRemoval else { return }
    try removal.finish(store.queue)
    store.logRemoval = nil
  }

  private func copyLog(_ store: FileStore, _ wal: WriteAheadLog) throws(Fault) {
    #if PlantedBugs
      if PlantedBug.isActive(.leaveLogUncopied) { return }
    #endif
    let result = try wal.runCheckpoint(
      .passive, database: store.file, synchronous: configuration.synchronous, cache: store.cache,
      generation: { self.checkpointGeneration(store, $0) }
    ) { () throws(Fault) in }
    guard result.isWhole else {
      throw Fault.error(.busy, object: store.path, cause: "the log could not be copied back as a whole")
    }
  }

  /// A journal that is made for the change of the version is synced with its directory anyway.
  private func isJournalThere(_ store: FileStore) throws(EngineError) -> Bool {
    switch configuration.journalMode {
    case .memory, .off: true
    case .delete, .truncate, .persist, .wal: try environment.exists(store.journalPath)
    }
  }

  private func deleteLog(_ store: FileStore, _ wal: WriteAheadLog) throws(Fault) {
    guard try store.lock.takeExclusive() else {
      store.lock.downgradeToShared()
      throw busy("other connections use the log")
    }
    var syncsDirectory = false
    do throws(Fault) {
      try wal.recoverIfNeeded()
      try copyLog(store, wal)
      syncsDirectory = try faulting { () throws(EngineError) in try isJournalThere(store) }
      // Between its last snapshot and the lock others may have committed.
      let newest = try wal.index.readHeader()
      let (environment, path) = (store.environment, store.logPath)
      try faulting { () throws(EngineError) in try environment.delete(path) }
      if newest != wal.header, newest == nil || newest != wal.emptied { dataVersion += 1 }
    } catch {
      if case .failure = error { store.lock.downgradeToShared() }
      throw error
    }
    wal.leaveCommits()
    wal.file.close()
    wal.index.memory.close(delete: true)
    store.wal = nil
    store.salts = 0
    dropCleanPages()
    store.stamp = nil
    store.hasReadHeader = false
    if syncsDirectory, configuration.synchronous != .off {
      let removal = RequestGroup()
      removal.add(store.queue.syncDirectory(of: store.logPath))
      store.logRemoval = removal
    }
    // The lock stays: nobody comes in before the file says that it has no log.
  }

  // MARK: Closing

  /// Ends everything, restartable: rolls back what is open; the last connection of a log copies it back and deletes it.
  public func shutDown() throws(Fault) {
    guard let store, !store.isClosed else { return }
    if !store.isClosing { giveUpWork() }
    store.isClosing = true
    if state == .write { try rollback() }
    endRead()
    if let wal = store.wal, !configuration.isReadOnly, store.poison == nil {
      do {
        if try store.lock.takeExclusive() {
          try leaveLogAtClose(store, wal)
        }
      } catch {
        if case .wait = error { throw error }
      }
    }
    removeKeptJournal(store, isClosing: true)
    release(store)
  }

  private func leaveLogAtClose(_ store: FileStore, _ wal: WriteAheadLog) throws(Fault) {
    guard !store.hasUnsoundHeader, try wal.index.readHeader() != nil else { return }
    let result = try wal.runCheckpoint(
      .passive, database: store.file, synchronous: configuration.synchronous, cache: store.cache,
      generation: { self.checkpointGeneration(store, $0) }
    ) { () throws(Fault) in }
    guard !result.isBusy, result.isWhole else { return }
    let (environment, path) = (store.environment, store.logPath)
    // A database that was renamed while it was open leaves what lies beside its old name alone.
    let isNamed = wal.file.isStillNamed() && store.file.isStillNamed()
    if isNamed { try faulting { () throws(EngineError) in try environment.delete(path) } }
    wal.leaveCommits()
    wal.file.close()
    wal.index.memory.close(delete: isNamed)
    store.wal = nil
  }

  /// Ends everything; blocks at waits.
  public func close() {
    guard let store, !store.isClosed else { return }
    try? blocking(store.queue, environment) { () throws(Fault) in try self.shutDown() }
    if !store.isClosed { release(store) }
  }

  /// Gives handles, locks and buffers back without writing anything.
  func release(_ store: FileStore) {
    if store.isClosed { return }
    store.isClosed = true
    store.abandon(store.flush.group)
    store.abandon(store.wal?.append.group)
    store.abandon(store.undoing)
    store.abandon(store.playback?.abandon())
    store.abandon(store.undoLoad?.group)
    for group in store.undoFile?.takeAbandoned() ?? [] { store.abandon(group) }
    abandonCheckpoint(store)
    dropReads(store)
    // No lock goes before what was written under it has landed.
    store.drain()
    abandonOpening(store)
    store.drain()
    store.releaseBatch()
    store.undoLoad?.release()
    // Others of the process keep what they change for as long as it is open.
    store.concurrent = nil
    store.announced = nil
    if let wal = store.wal {
      wal.endRead()
      wal.releaseWriteLock()
      wal.leaveCommits()
      wal.file.close()
      wal.index.memory.close(delete: false)
      store.wal = nil
    }
    store.journal?.close()
    store.journal = nil
    store.lock.release()
    store.file.close()
    store.leaveCache()
  }
}
