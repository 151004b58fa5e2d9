// What a rolled-back transaction left in files is undone: frames behind the last commit, or pages that had been written
// under the journal's protection. Repeatable from any wait. `unsafe` lives here.

import ApusBase
import ApusIO

extension Pager {
  func undoFile(_ store: FileStore) throws(Fault) {
    if keepsPrivatePages, store.wal?.holdsWriteLock == false { return }
    if let wal = store.wal {
      try undoLog(store, wal)
    } else {
      try undoDatabase(store)
    }
  }

  private func undoLog(_ store: FileStore, _ wal: WriteAheadLog) throws(Fault) {
    try stopAppending(store, wal)
    // A commit that has failed behind its turn: what it had appended is the next writer's to replace.
    if !wal.holdsWriteLock {
      wal.header = wal.base
      return
    }
    try wal.truncateTip(to: wal.base.frameCount, wal.base.checksum)
    wal.header = wal.base
  }

  /// What is being written must be over before something else is written there.
  func stopAppending(_ store: FileStore, _ wal: WriteAheadLog) throws(Fault) {
    try settle(wal.append.group, store)
    wal.append = .idle
    if wal.doubtfulFrame != nil { store.undoing = wal.breakDoubtfulFrame() }
    if let group = store.undoing {
      try settle(group, store)
      store.undoing = nil
    }
  }

  /// Waits for the group and forgets its failure.
  func settle(_ group: RequestGroup?, _ store: FileStore) throws(Fault) {
    guard let group else { return }
    do {
      try group.finish(store.queue)
    } catch {
      if case .wait = error { throw error }
      store.note(error)
    }
  }

  private func undoDatabase(_ store: FileStore) throws(Fault) {
    if store.poison != nil {
      // The journal stays: whoever opens the file next rolls it back. Our locks go, so that they can.
      try settle(store.flush.group, store)
      store.journal?.close()
      store.journal = nil
      store.lock.release()
      return
    }
    if store.playback == nil && !store.isUndoingJournal {
      try settle(store.flush.group, store)
      store.flush = .idle
    }
    // One that was kept from another journal mode has nothing of this transaction.
    if store.isDatabaseTouched && (store.journal == nil || !store.isJournalBegun) {
      store.poison = EngineError(
        .ioErrorWrite, object: store.path, cause: "the transaction was written in part, and there is no journal")
      return try undoDatabase(store)
    }
    if store.isDatabaseTouched, let journal = store.journal {
      let playback =
        store.playback
        ?? JournalPlayback(
          queue: store.queue, environment: store.environment, journal: journal, database: store.file,
          syncs: !store.isTemporary && configuration.synchronous != .off, isHot: false)
      store.playback = playback
      do { try playback.run() } catch {
        if case .failure = error {
          // Half undone: only a fresh look at the hot journal can help.
          store.note(error)
          if case .failure(let failure) = error { store.poison = store.poison ?? failure }
          store.playback = nil
          return try undoDatabase(store)
        }
        throw error
      }
      store.isDatabaseTouched = false
      store.playback = nil
    }
    if store.journal != nil && store.isJournalBegun && !store.isUndoingJournal {
      store.flush = try endJournal(store)
      store.isUndoingJournal = true
    }
    try settle(store.flush.group, store)
    if case .journalEnd = store.flush {
      store.flush = finalSync(store)
      try settle(store.flush.group, store)
    }
    // Records that were played back may go before the header is wiped on the disk: playing some of them again changes nothing.
    if store.poison == nil { cutJournal(store) }
    store.flush = .idle
    store.isUndoingJournal = false
  }
}
