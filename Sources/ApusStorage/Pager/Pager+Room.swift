// A log with a size limit (`PRAGMA wal_size_limit`): who may begin to append, and who waits for room.
//
//   before the turn   the log has reached its limit: what can be copied back is, then it starts again or its readers are waited for
//   under the turn    it has reached it meanwhile: it starts again, or the turn goes back, and the wait begins
//
// Nobody waits for room with the turn, with a place in line, or with an old snapshot of its own that keeps the log. Who is on an
// old mark with the newest snapshot waits until it finds a newer one, within its busy timeout.

import ApusBase
import ApusIO

extension Pager {
  /// `PRAGMA wal_size_limit`: bytes that the file's log may have when somebody begins to append to it, for all connections of this
  /// process, until the last of them closes the file; 0: none. Without effect where there is no file.
  public var logSizeLimit: Int64 { store?.cache?.logs.limit ?? 0 }

  public func setLogSizeLimit(_ byteCount: Int64) { store?.cache?.logs.setLimit(byteCount) }

  /// What messages about the log call this connection; 0 where there is no file.
  public var connectionNumber: Int { store?.connection?.number ?? 0 }

  /// Makes room in a log that has reached its limit, before the turn is asked for. Called again after a wait.
  /// - Throws: SQLITE_BUSY where a snapshot holds the log back for longer than the busy timeout.
  func awaitRoom(_ store: FileStore) throws(Fault) {
    guard let wal = store.wal, wal.roomLimit > 0, !wal.holdsWriteLock else { return }
    let published = try wal.index.readHeader()
    guard store.makesRoom || wal.isFull(through: published?.frameCount ?? 0) else { return }
    leaveLine(wal)
    if !store.makesRoom { try wal.moveToNewestMark() }
    try copyForRoom(store, wal)
    // With a snapshot of its own it is looked at what that keeps, under the turn.
    if state == .none, try !wal.canRestart() {
      let fault = noRoom(store, wal)
      if case .failure = fault { endRead() }
      throw fault
    }
  }

  /// The same for a concurrent transaction, which has a snapshot.
  /// - Throws: SQLITE_BUSY_SNAPSHOT where that is an older one than the newest, or lies on an older mark, and the wait is over: the
  ///   transaction would wait for itself.
  func awaitRoomForPlace(_ store: FileStore, _ wal: WriteAheadLog) throws(Fault) {
    guard wal.roomLimit > 0, !wal.holdsWriteLock, let published = try wal.index.readHeader() else { return }
    guard wal.isFull(through: published.frameCount) else { return }
    leaveLine(wal)
    if published != wal.header {
      // Nobody else ends the sync that its copying leads.
      if wal.awaited?.isForCheckpoint == true { try awaitBase() }
      throw loseForRoom(store, wal)
    }
    if !store.makesRoom { try wal.moveToNewestMark() }
    try copyForRoom(store, wal)
    if !store.keepsLog, try wal.moveToMarkZero(), try wal.canRestart() { return }
    let fault = noRoom(store, wal)
    if case .failure = fault, try !wal.isOnNewestMark { throw loseForRoom(store, wal) }
    throw fault
  }

  /// The turn has come on top of `published`, before anything is compared.
  /// - Returns: what it is on top of: the same, or the log's beginning.
  func claimRoom(
    _ store: FileStore, _ wal: WriteAheadLog, _ published: WALIndexHeader
  ) throws(Fault) -> WALIndexHeader {
    if wal.isFull(through: published.frameCount), !checksRoomEarlyOnly {
      if published != wal.header { throw loseForRoom(store, wal) }
      try restartLog(store, wal)
      if wal.isFull(through: wal.header.frameCount) { throw noRoom(store, wal) }
      wal.hasRoom = true
      return wal.header
    }
    wal.hasRoom = true
    return published
  }

  private var checksRoomEarlyOnly: Bool {
    #if PlantedBugs
      return PlantedBug.isActive(.roomBeforeTurnOnly)
    #else
      return false
    #endif
  }

  /// An ordinary writer has its turn, and has started the log again where that is possible.
  func claimRoom(_ store: FileStore, _ wal: WriteAheadLog) throws(Fault) {
    if !wal.hasRoom, wal.isFull(through: wal.header.frameCount), !checksRoomEarlyOnly {
      // What it was to go on top of is nothing that it has seen.
      store.unpublishedBase = nil
      if store.writeOpensRead {
        reopen(store)
        let fault = noRoom(store, wal)
        if case .failure = fault { endRead() }
        throw fault
      }
      // It has read: to wait with its snapshot would keep the log as it is.
      let holder = wal.holder()
      wal.releaseWriteLock()
      throw full(store, holder)
    }
    wal.hasRoom = true
  }

  /// The turn is for those who can use it.
  private func leaveLine(_ wal: WriteAheadLog) {
    if wal.isInLine { wal.releaseWriteLock() }
  }

  /// Copies back what can be.
  private func copyForRoom(_ store: FileStore, _ wal: WriteAheadLog) throws(Fault) {
    // A wal-index that was damaged is recovered with the next snapshot.
    if !store.makesRoom, try wal.index.readHeader() == nil { return }
    store.makesRoom = true
    do throws(Fault) {
      _ = try runCheckpoint(.passive, store, wal)
    } catch {
      if case .failure = error {
        store.makesRoom = false
        store.note(error)
      }
      throw error
    }
    store.makesRoom = false
  }

  /// A statement was dropped that was making room.
  /// - Parameter behindCommit: or one that ran the checkpoint behind its commit, which it holds no lock for any more.
  public func giveUpRoom(behindCommit: Bool = false) {
    guard let store, !store.isClosed else { return }
    if store.makesRoom || behindCommit && store.needsCheckpoint && state != .write { abandonCheckpoint(store) }
  }

  /// How soon it is looked again whether the log is free: who reads rings nobody.
  private static let roomPauseNanosecondsMax: UInt64 = 10_000_000

  /// The fault for a log that is held back: a wait within the busy timeout, then SQLITE_BUSY.
  private func noRoom(_ store: FileStore, _ wal: WriteAheadLog) -> Fault {
    wal.releaseWriteLock()
    let now = store.environment.monotonicNanoseconds()
    #if PlantedBugs
      if PlantedBug.isActive(.waitForRoomForEver) { return .wait(.moment(now + 500_000_000)) }
    #endif
    if let moment = busyPolicy?(busyAttempts) {
      let pause = min(UInt64(busyAttempts + 1) * 1_000_000, Self.roomPauseNanosecondsMax)
      busyAttempts += 1
      return .wait(.moment(min(moment, now + pause)))
    }
    busyAttempts = 0
    return full(store, wal.holder())
  }

  private func full(_ store: FileStore, _ holder: LogHolder) -> Fault {
    .error(
      .busy, object: store.path, cause: "the log has reached wal_size_limit; \(holder.words)",
      hint: "end what reads, or set a larger PRAGMA wal_size_limit")
  }

  private func loseForRoom(_ store: FileStore, _ wal: WriteAheadLog) -> Fault {
    giveUpRoom()
    return lose(conflict(store, "the log has reached wal_size_limit; \(LogHolder.own.words)"), .logSize, store, wal)
  }

  // MARK: Growth

  /// A commit has made the log longer: from 64 MiB on each doubling is told, with who holds it back.
  func noteGrowth(_ store: FileStore, _ wal: WriteAheadLog) {
    guard let cache = store.cache, let size = cache.logs.growth(to: wal.byteCount(through: wal.tip)) else { return }
    let holder = wal.holder()
    let who =
      switch holder {
      case .own, .nobody: "no other snapshot holds it back; run PRAGMA wal_checkpoint, or set PRAGMA wal_autocheckpoint"
      case .connection, .otherProcess: holder.words
      }
    let text = "\(wal.path): the log has grown to \(size >> 20) MiB; \(who)"
    store.notice = store.notice.map { "\($0); \(text)" } ?? text
  }
}
