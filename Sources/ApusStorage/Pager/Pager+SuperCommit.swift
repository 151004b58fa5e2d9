// One file's part in a commit of several: what SuperCommit asks of it.

import ApusBase
import ApusIO

extension Pager {
  /// The file has a journal that survives a crash, so that a super-journal can hold it.
  var keepsDurableJournal: Bool {
    guard let store, !store.isTemporary, store.wal == nil, configuration.synchronous != .off else { return false }
    switch configuration.journalMode {
    case .delete, .truncate, .persist, .wal: return true
    case .memory, .off: return false
    }
  }

  /// Takes the lock that the commit needs, before any file is written.
  /// - Throws: `.wait`; SQLITE_BUSY while readers are there.
  func lockForCommit() throws(Fault) {
    guard let store, !store.isTemporary, store.wal == nil else { return }
    guard try store.lock.takeExclusive() else { throw busy("readers are active") }
    busyAttempts = 0
  }

  /// Everything of a commit but the end of the journal: the file holds the transaction, and the journal the way back.
  func prepareCommit(superJournal: String?) throws(Fault) {
    if state == .write, conversion != nil { try makeRoom(0) }
    guard let store, state == .write else { return }
    store.superJournal = superJournal
    store.stopsBeforeEnd = true
    try commit(store)
  }

  /// The transaction cannot be rolled back any more.
  public var isBehindCommitPoint: Bool { store?.isBehindCommitPoint == true }

  /// All files are safe: the commit may go on to its end. With a super-journal, which is deleted, it must.
  func endCommit(hasSuperJournal: Bool) {
    if hasSuperJournal { store?.isCommitted = true }
    store?.stopsBeforeEnd = false
  }

  /// A roll-back that failed has left the journal to the next opener of the file.
  var hasLeftJournal: Bool { store?.poison != nil }
}
