// Concurrent transactions (SPEC, "Concurrent transactions"): they change private pages without a lock, note which pages they
// looked at, and take their place in the order of the log when they commit.
//
//   open --- takes slot 0, compares --> placed --- looks at the newest page 1 --> ordinary --> commit as any writer
//     \------------------------------------\----> lost: only ROLLBACK is left
//
// Every page that a cursor reads is looked up in the slow way meanwhile (`PageTable.hideHits`), so that others pay nothing.
// `unsafe` lives here.

import ApusBase
import ApusIO

/// What a concurrent transaction knows of itself.
struct ConcurrentTransaction {
  enum Phase {
    /// No lock is held.
    case open
    /// The write lock is held, and nothing that was looked at has changed; page 1 may have.
    case placed
    /// An ordinary writer on top of the newest commit.
    case ordinary
  }

  var phase = Phase.open
  /// Pages of the snapshot that a result of the transaction depends on.
  var lookedAt = PageSet()
  /// The schema cookie of the snapshot.
  var cookie: UInt32 = 0
  /// Page 1 was written by a commit since the snapshot.
  var isHeaderOther = false
  /// Why the transaction cannot commit any more.
  var conflict: EngineError?
}

extension Pager {
  /// True for a file whose log lets transactions be concurrent. Its snapshot is open.
  public var canBeConcurrent: Bool {
    guard let store, !store.isTemporary, store.wal != nil else { return false }
    return !configuration.isReadOnly && !configuration.locksExclusively
  }

  public var isConcurrent: Bool { store?.concurrent != nil }

  /// From now on the transaction is a concurrent one; a snapshot is open and nothing was changed.
  public func beginConcurrent() throws(Fault) {
    guard let store, store.concurrent == nil else { return }
    precondition(state == .read)
    // Statements that have begun before go on inside: what their paths lead over counts from here.
    try cursors.saveAllBeforeRollback()
    cursors.forgetPaths()
    store.concurrent = ConcurrentTransaction()
    unsafe table.pointee.hideHits(true)
  }

  /// The transaction is over, committed or rolled back.
  public func endConcurrent() {
    guard let store, let concurrent = store.concurrent else { return }
    precondition(state != .write)
    // The log's snapshot is a newer one than this pager has adopted.
    if concurrent.phase == .placed { store.salts = .max }
    store.concurrent = nil
    unsafe table.pointee.hideHits(faultInjection != nil)
  }

  /// Before a statement of a concurrent transaction does anything.
  /// - Throws: SQLITE_BUSY_SNAPSHOT where the transaction is lost; `.wait`.
  public func checkConcurrent() throws(Fault) {
    guard let store, let concurrent = store.concurrent else { return }
    if let conflict = concurrent.conflict { throw .failure(conflict) }
    if concurrent.phase == .placed, let wal = store.wal { try takePlace(store, wal) }
  }

  /// The transaction cannot commit any more.
  public var isLost: Bool { store?.concurrent?.conflict != nil }

  /// A lost transaction lets its snapshot go at once, so that it keeps no checkpoint waiting. No statement uses it.
  public func leaveLostSnapshot() {
    guard isLost else { return }
    try? rollback()
    if state == .read { endRead() }
  }

  /// What the transaction reads of page 1 apart from the schema cookie, as a value or as a tree.
  public func noteHeaderRead() { noteLook(at: 1) }

  func noteLook(at number: UInt32) {
    #if PlantedBugs
      // One page in eight is looked at unseen.
      if PlantedBug.isActive(.forgetLooks), number % 8 == 3 { return }
    #endif
    if let store, store.concurrent?.phase == .open { store.concurrent?.lookedAt.insert(number) }
  }

  /// Pages stay in memory: there is no log of this transaction's to write them to.
  var keepsPrivatePages: Bool { store?.concurrent.map { $0.phase != .ordinary } ?? false }

  /// COMMIT begins: whether the transaction is lost is known before any other file commits.
  public func takePlaceForCommit() throws(Fault) {
    guard let store, let wal = store.wal, let concurrent = store.concurrent else { return }
    if let conflict = concurrent.conflict { throw .failure(conflict) }
    if state == .write, keepsPrivatePages, hasChanges { try takePlace(store, wal) }
  }

  /// Takes the place in the order of the log that the transaction's commit will have. From then on it is an ordinary writer. Called
  /// again after a wait.
  /// - Throws: SQLITE_BUSY where others write for longer than the busy timeout, and the transaction goes on; SQLITE_BUSY_SNAPSHOT
  ///   where what it looked at or changed was changed by others, and it is lost.
  func takePlace(_ store: FileStore, _ wal: WriteAheadLog) throws(Fault) {
    if store.concurrent?.phase == .open {
      let published: WALIndexHeader
      do throws(Fault) {
        guard let header = try wal.takePlace() else { throw writerBusy(wal) }
        published = header
      } catch {
        if case .failure(let failure) = error, failure.code == .busySnapshot { throw lose(failure, store, wal) }
        throw error
      }
      busyAttempts = 0
      do throws(Fault) {
        try compare(store, wal, published)
      } catch {
        if case .failure(let failure) = error, failure.code != .busySnapshot { wal.releaseWriteLock() }
        throw error
      }
      store.concurrent?.phase = .placed
    }
    if store.concurrent?.phase == .placed {
      try restartLog(store, wal)
      if store.concurrent?.isHeaderOther == true { try adoptHeader(store, wal) }
      noteBase(wal)
      noteUnpublishedBase(store, wal)
      store.concurrent?.phase = .ordinary
      unsafe table.pointee.dirtyRoom = 0
      unsafe table.pointee.hideHits(faultInjection != nil)
    }
  }

  /// Compares the pages of the commits behind the snapshot with those that this transaction looked at and changed, and goes on top
  /// of them. Cannot wait.
  private func compare(_ store: FileStore, _ wal: WriteAheadLog, _ published: WALIndexHeader) throws(Fault) {
    guard let concurrent = store.concurrent else { return }
    guard let frames = wal.framesBehindSnapshot(published) else {
      throw lose(conflict(store, "the log was replaced by another process since this transaction began"), store, wal)
    }
    // Page 1 counts the pages, and is stamped at the commit.
    let takesPages = currentPageCount != committedPageCount || savepoints.contains { $0.pageCount != committedPageCount }
    var changed = PageSet()
    for frame in frames {
      #if PlantedBugs
        if PlantedBug.isActive(.compareFirstCommitOnly), frame != frames.lowerBound { break }
      #endif
      let page = try wal.index.page(ofFrame: frame)
      #if PlantedBugs
        let isBlind = PlantedBug.isActive(.forgetAllocation) && page == 1
        let writesOnly = PlantedBug.isActive(.validateWritesOnly)
      #else
        let isBlind = false
        let writesOnly = false
      #endif
      let isChanged = isPrivate(page) || page == 1 && takesPages
      if concurrent.lookedAt.contains(page) && !writesOnly || isChanged && !isBlind {
        throw lose(
          conflict(store, "page \(page): changed by another transaction since this one began"), store, wal)
      }
      changed.insert(page)
    }
    if !frames.isEmpty, isPrivate(1), try loadedCookie() != concurrent.cookie {
      throw lose(
        conflict(store, "this transaction changes the schema, and another one has committed since it began"), store, wal)
    }
    store.concurrent?.isHeaderOther = changed.contains(1)
    if published.salts != wal.header.salts {
      // Under mark 0: what this snapshot reads in the file is what the new log begins with.
      store.salts = published.salts
      store.generation = store.cache?.generation(ofSalts: published.salts) ?? store.generation
    }
    try wal.goOn(topOf: published)
    noteBase(wal)
    dropReads(store)
    #if PlantedBugs
      if PlantedBug.isActive(.keepStalePages) { return }
    #endif
    unsafe table.pointee.forEachClean { (table, slot) in
      if unsafe changed.contains(slot.pointee.number) { unsafe table.detach(slot) }
    }
    if !frames.isEmpty { dataVersion += 1 }
  }

  /// True where the transaction has changed the page, or taken it.
  private func isPrivate(_ number: UInt32) -> Bool {
    guard let slot = unsafe table.pointee.findLoaded(number) else { return false }
    return unsafe slot.pointee.flags.contains(.dirty)
  }

  /// Of a page 1 that is private, and so in memory.
  private func loadedCookie() throws(Fault) -> UInt32 {
    try loadedPage(.one).bytes.bigEndianUInt32(at: DatabaseHeader.schemaCookieOffset)
  }

  /// The schema must be the one that this transaction ran under; pages may have come or gone.
  private func adoptHeader(_ store: FileStore, _ wal: WriteAheadLog) throws(Fault) {
    let one = try loadedPage(.one).bytes
    if one.bigEndianUInt32(at: DatabaseHeader.schemaCookieOffset) != store.concurrent?.cookie {
      throw lose(conflict(store, "schema: changed since this transaction began"), store, wal)
    }
    #if PlantedBugs
      if PlantedBug.isActive(.snapshotPageCount) { return }
    #endif
    // Who adds or takes pages writes page 1: this transaction has not.
    precondition(currentPageCount == committedPageCount)
    currentPageCount = DatabaseShape(one)?.countedPages ?? wal.header.pageCount
    committedPageCount = currentPageCount
    for index in savepoints.indices { savepoints[index].pageCount = currentPageCount }
  }

  /// A roll-back to a savepoint forgets frames of this transaction's, not those that were committed below it.
  private func noteBase(_ wal: WriteAheadLog) {
    #if PlantedBugs
      if PlantedBug.isActive(.keepSavepointTip) { return }
    #endif
    for index in savepoints.indices {
      savepoints[index].tip = wal.tip
      savepoints[index].checksum = wal.tipChecksum
    }
  }

  private func conflict(_ store: FileStore, _ cause: String) -> EngineError {
    EngineError(.busySnapshot, object: store.path, cause: cause, hint: "roll back and run the transaction again")
  }

  /// The transaction is lost: nobody must find it holding the lock.
  private func lose(_ conflict: EngineError, _ store: FileStore, _ wal: WriteAheadLog) -> Fault {
    store.concurrent?.conflict = conflict
    wal.releaseWriteLock()
    return .failure(conflict)
  }
}
