// Transactions: snapshot, the right to write, and their ends. Commit and rollback of a file are in Pager+Commit and
// Pager+Rollback. `unsafe` lives here.

import ApusBase
import ApusIO

extension Pager {
  /// Makes the newest committed state the connection's snapshot. Nothing happens where one is open.
  /// - Throws: `.wait`; SQLITE_BUSY while a writer writes to the file; SQLITE_NOTADB, SQLITE_CORRUPT for a damaged
  /// header.
  public func beginRead() throws(Fault) {
    if state != .none, let store, store.wal?.isUnguarded == true { try leaveUnguarded(store) }
    if state == .write { try settleDroppedCommit() }
    if state != .none { return }
    store?.writeOpensRead = false
    try openRead()
  }

  /// The write lock has gone that alone protected the snapshot: its transaction is committed, or was rolled back, and
  /// nobody has said `endRead` yet.
  private func leaveUnguarded(_ store: FileStore) throws(Fault) {
    if state == .write {
      if isCommitting { throw .wait(.moment(environment.monotonicNanoseconds() + Pager.commitPauseNanoseconds)) }
      // It was dropped, and nobody else brings it to its end.
      try commit(store)
      store.wasCommittedInstead = true
    }
    if state == .read { endRead() }
  }

  /// A COMMIT was dropped behind its frames. It can only be brought to its end, and others of the process may wait for the sync
  /// that it has begun: that does not wait for what writes next, or ends the transaction. What reads sees what is committed.
  public func settleDroppedCommit() throws(Fault) {
    guard state == .write, !isCommitting, let store, store.isAppended else { return }
    try commit(store, copiesBack: false)
    store.wasCommittedInstead = true
  }

  /// How soon a statement looks again whether another one's COMMIT is over, for which its connection's alarm does not ring.
  private static let commitPauseNanoseconds: UInt64 = 1_000_000

  private func openRead() throws(Fault) {
    if state != .none { return }
    if let store {
      // Others of the process wait for the end of the sync that a dropped checkpoint has left.
      if store.wal?.awaited?.isForCheckpoint == true { try awaitBase() }
      try openSnapshot(store)
    } else if let brokenContents { throw .failure(brokenContents) }
    state = .read
  }

  /// The last reader is gone. A write transaction must have ended before. Also gives up what a dropped `beginRead` or
  /// `beginWrite` had come to.
  public func endRead() { endSnapshot(keepsPlace: false) }

  /// - Parameter keepsPlace: the connection stays in line for its turn to write.
  private func endSnapshot(keepsPlace: Bool) {
    precondition(state != .write)
    cursors.forgetPaths()
    if let store {
      store.writeOpensRead = false
      store.switching = nil
      if let wal = store.wal, wal.hasMoved {
        // The log counts the commit that the turn was on top of as the last snapshot, but nothing was adopted of it.
        wal.hasMoved = false
        store.salts = .max
        dataVersion += 1
      }
      if store.needsCheckpoint || store.makesRoom { abandonCheckpoint(store) }
      dropReads(store)
      if !keepsPlace { store.wal?.releaseWriteLock() }
      if store.journal != nil { removeKeptJournal(store) }
      abandonOpening(store, keepsLock: configuration.locksExclusively)
    }
    state = .none
  }

  /// Gives up a snapshot that was being opened when its statement, or the preparing of one, was dropped.
  public func giveUpOpening() {
    guard state == .none, let store, !store.isClosed else { return }
    giveUpTurn()
    let isRecovering = store.wal?.recovery != nil
    if case .start = store.opening, store.wal?.isGuardedByLock != true, !isRecovering { return }
    endRead()
  }

  /// A statement was dropped that was in line for its turn to write.
  public func giveUpTurn() {
    if let wal = store?.wal, wal.isInLine, !wal.holdsWriteLock { wal.releaseWriteLock() }
  }

  /// Starts a write transaction on the snapshot, which is opened first where there is none.
  /// - Parameter exclusive: keeps readers out too, where the journal mode can (BEGIN EXCLUSIVE).
  /// - Throws: `.wait`; SQLITE_BUSY where another connection writes; SQLITE_BUSY_SNAPSHOT where the snapshot was opened
  ///   before and is not the newest state; SQLITE_READONLY.
  public func beginWrite(exclusive: Bool = false) throws(Fault) {
    if state == .write { return }
    if state == .read, let store, store.wal?.isUnguarded == true { try leaveUnguarded(store) }
    if configuration.isReadOnly { throw .error(.readOnly, object: store?.path) }
    if state == .none { store?.writeOpensRead = true }
    if let store, store.concurrent == nil { try awaitRoom(store) }
    do throws(Fault) {
      try openRead()
    } catch {
      // It was to be opened on the commit that this turn goes on top of.
      if case .failure = error { store?.wal?.releaseWriteLock() }
      throw error
    }
    if let store, !store.isTemporary {
      // A snapshot whose locks went with a failed sync or roll-back stays open; nothing begins on it.
      try store.checkPoison()
      if store.concurrent == nil { try takeWriteLock(store, exclusive: exclusive) }
    }
    let one = try loadedPage(.one)
    store?.concurrent?.cookie = one.bytes.bigEndianUInt32(at: DatabaseHeader.schemaCookieOffset)
    store?.writeOpensRead = false
    store?.wasCommittedInstead = false
    busyAttempts = 0
    committedPageCount = currentPageCount
    state = .write
    if currentPageCount == 0 {
      stampAutoVacuum(writable(one))
      currentPageCount = 1
    } else {
      usesPointerMap = one.bytes.bigEndianUInt32(at: DatabaseHeader.largestRootOffset) != 0
    }
  }

  private func takeWriteLock(_ store: FileStore, exclusive: Bool) throws(Fault) {
    guard let wal = store.wal else {
      guard try store.lock.takeReserved() else { throw writerBusy(store) }
      if exclusive {
        guard try store.lock.takeExclusive() else {
          let fault = busy("readers are active")
          // Who gives up lets new readers in again.
          if case .failure = fault { store.lock.downgradeToShared() }
          throw fault
        }
      }
      return
    }
    do throws(Fault) {
      guard try wal.beginWrite(mayMove: store.writeOpensRead) else { throw writerBusy(store) }
    } catch {
      // A transaction that has read nothing yet simply takes the newer state.
      if store.writeOpensRead, case .failure(let failure) = error, failure.code == .busySnapshot {
        reopen(store)
        throw Fault.wait(.nothing)
      }
      throw error
    }
    noteUnpublishedBase(store, wal)
    // Leaves mark 0, under which everything is read from the file.
    try restartLog(store, wal)
    try claimRoom(store, wal)
    if wal.hasMoved { try moveSnapshot(store, wal) }
  }

  /// The turn began on a commit that nobody else sees yet: what is found there must not be told before it is durable.
  func noteUnpublishedBase(_ store: FileStore, _ wal: WriteAheadLog) {
    store.unpublishedBase = wal.turn?.pendingTip == nil ? nil : wal.turn?.serial
  }

  /// The transaction began on a commit that is not durable yet.
  public var isOnUnpublishedBase: Bool { store?.unpublishedBase != nil }

  /// Waits until the commit that the transaction began on is durable, and everybody sees it.
  /// - Throws: SQLITE_IOERR_FSYNC where it has failed, and the transaction with it.
  public func awaitBase() throws(Fault) {
    guard let store, let wal = store.wal else { return }
    do throws(Fault) {
      // The sync that a dropped checkpoint has left is not what the transaction began on.
      if wal.awaited?.isForCheckpoint == true { try wal.awaitPublication() }
      if wal.awaited == nil, let serial = store.unpublishedBase { wal.awaited = AwaitedCommit(serial: serial, isOwn: false) }
      if wal.awaited?.isOwn == false { try wal.awaitPublication() }
    } catch {
      if case .failure = error { store.unpublishedBase = nil }
      store.note(error)
      throw error
    }
    store.unpublishedBase = nil
  }

  /// The next frame goes where it may: to the log's beginning, where nobody needs what is in it.
  func restartLog(_ store: FileStore, _ wal: WriteAheadLog) throws(Fault) {
    // Nothing is written yet: a snapshot that the file holds as well need not keep a log that is to be short.
    if wal.tip == wal.header.frameCount, wal.isHalfFull(through: wal.tip), !store.keepsLog { _ = try wal.moveToMarkZero() }
    let old = wal.header
    let oldGeneration = store.generation
    try wal.restartIfPossible { (salts) throws(Fault) in
      var newest: [UInt32: UInt32] = [:]
      if old.frameCount > 0 {
        for frame in 1...old.frameCount { newest[try wal.index.page(ofFrame: frame)] = frame }
      }
      store.salts = salts
      if let cache = store.cache {
        store.generation = cache.restart(from: oldGeneration, toSalts: salts) { newest[$0] ?? 0 }
      }
      self.renameClean(from: oldGeneration, to: store.generation) { newest[$0] ?? 0 }
    }
  }

  /// Images that are in this connection's table but no longer in the cache follow a restart of the log too.
  private func renameClean(from old: UInt32, to new: UInt32, _ newestFrame: (UInt32) -> UInt32) {
    unsafe table.pointee.forEachClean { (_, slot) in
      let image = unsafe slot.pointee.image
      let version = unsafe image.header.pointee.version
      if UInt32(version >> 32) == old, newestFrame(image.number) == UInt32(truncatingIfNeeded: version) {
        unsafe image.header.pointee.version = UInt64(new) << 32
      }
    }
  }

  func writerBusy(_ store: FileStore) -> Fault {
    if !store.writeOpensRead { store.wal?.releaseWriteLock() }
    #if PlantedBugs
      if PlantedBug.isActive(.busyAsIOError), !store.writeOpensRead { return .error(.ioErrorLock, object: store.path) }
    #endif
    if !store.writeOpensRead { return .error(.busy, object: store.path, cause: "another connection writes") }
    reopen(store)
    guard let wal = store.wal else {
      let fault = busy("another connection writes")
      if case .failure = fault { endRead() }
      return fault
    }
    let fault = writerBusy(wal)
    if case .failure = fault { endRead() }
    return fault
  }

  /// Lets the snapshot go, so that the next try has the newest one.
  func reopen(_ store: FileStore) {
    endSnapshot(keepsPlace: true)
    store.writeOpensRead = true
  }

  private func releaseWriteLock() {
    guard let store else { return }
    if let wal = store.wal { wal.releaseWriteLock() } else { releaseFile(store) }
    store.writeOpensRead = false
  }

  /// The end of a transaction that wrote to the file.
  private func releaseFile(_ store: FileStore) {
    if !configuration.locksExclusively { store.lock.downgradeToShared() }
  }

  /// Before `commit` or `rollback`, where the snapshot is to outlive them: the write lock may be all that protects it. Called again
  /// until it returns.
  /// - Throws: `.wait`; SQLITE_PROTOCOL where read marks change all the time, SQLITE_IOERR where one cannot be locked.
  public func guardSnapshot() throws(Fault) {
    #if PlantedBugs
      if PlantedBug.isActive(.leaveReadersUnguarded) { return }
    #endif
    try store?.wal?.guardByMark()
  }

  /// Ends the write transaction; its changes are what the next snapshots see, durable as `synchronous` says. A snapshot
  /// of the result stays open until `endRead`; but in WAL mode only where the transaction had read before it wrote, or after
  /// `guardSnapshot`: otherwise the next `beginRead` opens another one. May be called again after a failure, or be
  /// followed by `rollback`.
  public func commit() throws(Fault) {
    if conversion != nil { try makeRoom(0) }
    if let store { return try commit(store) }
    if state != .write { return }
    if usesPointerMap { try settlePointerMap() }
    if unsafe table.pointee.dirty.count > 0 { stamp(try loadedPage(.one)) }
    noteChanges()
    while let slot = unsafe table.pointee.dirty.oldest { unsafe table.pointee.makeClean(slot) }
    if currentPageCount < committedPageCount { dropPages(behind: currentPageCount) }
    endWrite()
  }

  /// A statement of the transaction goes on behind a COMMIT that was dropped: that one is taken back, or brought to its end.
  /// - Throws: SQLITE_ABORT where it was one, until ROLLBACK or COMMIT: what comes next was meant for that transaction.
  public func leaveDroppedCommit() throws(Fault) {
    guard let store, !isCommitting else { return }
    if state == .write {
      if store.isCommitPrepared { try abandonCommit(store) }
    } else if store.wasCommittedInstead {
      throw .error(.abort, "the transaction was committed")
    }
  }

  /// A roll-back of several files has found that the transaction could only be committed.
  public func noteCommittedInstead() { store?.wasCommittedInstead = true }

  /// True once where the last roll-back has found that the transaction could only be committed.
  public func takeWasCommittedInstead() -> Bool {
    guard let store, store.wasCommittedInstead else { return false }
    store.wasCommittedInstead = false
    return true
  }

  /// Every cursor saves its key while the pages still show it. May wait; repeatable.
  func saveCursorsBeforeRollback() throws(Fault) {
    if try !cursors.saveAllBeforeRollback() { hasLostCursors = true }
  }

  /// True once where a cursor has lost its place in a roll-back, since its key could not be read: its statement must fail, and not
  /// end as if there were no more rows.
  public func takeLostCursors() -> Bool {
    defer { hasLostCursors = false }
    return hasLostCursors
  }

  /// Ends the write transaction; nothing of it stays. A snapshot stays open until `endRead`, as behind `commit`.
  public func rollback() throws(Fault) {
    if state != .write { return }
    try saveCursorsBeforeRollback()
    cursors.forgetPaths()
    // The log's snapshot is a newer one than this pager has adopted.
    if store?.concurrent?.phase == .placed { store?.salts = .max }
    if let store {
      // A dropped COMMIT that had come past its commit point is finished instead.
      if store.isBehindCommitPoint {
        // What is in memory is of the database that was replaced.
        if store.replacesFile { try endReplacing(store) } else { try commit(store) }
        store.wasCommittedInstead = true
        return
      }
      dropReads(store)
      // Pages of another database on their way into the file must not land behind the rollback.
      if store.replacesFile { try settleAbandoned(store) }
      try undoFile(store)
    }
    #if PlantedBugs
      if PlantedBug.isActive(.stalePageAfterRollback), let slot = unsafe table.pointee.dirty.newest {
        unsafe table.pointee.makeClean(slot)
      }
    #endif
    while let slot = unsafe table.pointee.dirty.oldest {
      let original = unsafe slot.pointee.original
      unsafe slot.pointee.original = nil
      unsafe table.pointee.detach(slot)
      if let original { _ = unsafe table.pointee.insertClean(original) }
    }
    unsafe table.pointee.forEachClean { (table, slot) in
      if unsafe slot.pointee.flags.contains(.dirty) { unsafe table.detach(slot) }
    }
    if store == nil { dropPages(behind: committedPageCount) }
    currentPageCount = committedPageCount
    endWrite()
  }

  /// In memory a page behind the end would come back with its old content.
  func dropPages(behind last: UInt32) {
    unsafe table.pointee.forEachClean { (table, slot) in
      if unsafe slot.pointee.number > last { unsafe table.detach(slot) }
    }
  }

  func endWrite() {
    unsafe table.pointee.dirtyRoom = 0
    if let store { endChangeLog(store) }
    savepoints = []
    releaseUndo(from: 0)
    if !markedPages.isEmpty { markedPages = [:] }
    freedPages.removeAll()
    contentlessPages.removeAll()
    usesPointerMap = false
    pointerEdits = [:]
    freePool = nil
    state = .read
    guard let store else { return }
    if let file = store.undoFile {
      for group in file.takeAbandoned() { store.abandon(group) }
      store.undoFile = nil
    }
    store.releaseBatch()
    store.flush = .idle
    store.isCommitPrepared = false
    store.superJournal = nil
    store.hasSuperRecord = false
    store.stopsBeforeEnd = false
    store.syncsDirectoryAtEnd = false
    store.isCommitted = false
    store.beganByRight = false
    store.journaledPages.removeAll()
    store.journalOffsets = [:]
    store.journalByteCount = 0
    store.isJournalBegun = false
    store.spilledPages.removeAll()
    store.hasSpilled = false
    store.isDatabaseTouched = false
    store.replacesFile = false
    store.spillBlockedUntil = 0
    if let wal = store.wal { wal.releaseWriteLock() } else { releaseFile(store) }
  }

  /// Change counter, page count and their validity mark, as every SQLite writer leaves them.
  func stamp(_ one: Page) {
    let bytes = writable(one).mutableBytes
    #if PlantedBugs
      let step: UInt32 = PlantedBug.isActive(.keepChangeCounter) ? 0 : 1
    #else
      let step: UInt32 = 1
    #endif
    let change = bytes.readable.bigEndianUInt32(at: DatabaseHeader.changeCounterOffset) &+ step
    bytes.setBigEndianUInt32(change, at: DatabaseHeader.changeCounterOffset)
    bytes.setBigEndianUInt32(change, at: DatabaseHeader.versionValidForOffset)
    bytes.setBigEndianUInt32(DatabaseHeader.libraryVersion, at: DatabaseHeader.libraryVersionOffset)
    bytes.setBigEndianUInt32(currentPageCount, at: DatabaseHeader.pageCountOffset)
  }
}
