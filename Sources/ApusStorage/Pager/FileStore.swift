// What a pager knows about its file: handles, locks, log, journal, the reads in flight and how far a commit has come.

import ApusBase
import ApusIO

final class FileStore {
  let environment: any Environment
  let queue: any IOQueue
  let file: any File
  let path: String
  let isTemporary: Bool
  /// nil for a temporary file, which nobody shares.
  let cache: FileCache?
  /// This connection among those of the process that have the file open.
  let connection: LogRegistry.Connection?
  var lock: DatabaseLock
  var wal: WriteAheadLog? {
    didSet {
      guard wal == nil, oldValue != nil else { return }
      guard hasJoinedLog else {
        cache?.leaveLogUnread()
        return
      }
      hasJoinedLog = false
      cache?.leaveLog()
    }
  }
  /// The cache counts this one among those that have the log open.
  private var hasJoinedLog = false

  /// What images of the current snapshot are keyed with.
  var generation: UInt32 = 0
  var salts: UInt64 = 0
  var stamp: FileStamp?
  /// What the file has that this connection has put in the place of the last one (VACUUM, a backup), until it is looked at.
  var replacedStamp: FileStamp?
  var hasReadHeader = false
  /// The log that is open has given a snapshot.
  var hasReadLog = false
  /// Pages of the database as the header said when the log was opened; 0 where it did not.
  var headerPageCount: UInt32 = 0
  /// Page 1 of the log's last snapshot is none, or contradicts the log: nothing of that must replace what is in the file.
  var hasUnsoundHeader = false

  var opening = OpenPhase.start
  var reads: [PendingRead] = [] { didSet { hasReads = !reads.isEmpty } }
  /// What each page that is loaded asks first: of the array it would cost a check for exclusive access.
  private(set) var hasReads = false
  /// Requests of dropped statements, kept until the queue has given their buffers back.
  var abandoned: [RequestGroup] = []
  /// After a failed sync nothing that the handle says is true any more.
  var poison: EngineError?

  /// What the transaction, or the last one, began on, while that is not known to be visible to everybody.
  var unpublishedBase: CommitQueue.Serial?

  /// The last roll-back came behind the commit point of a dropped COMMIT, and has ended that instead.
  var wasCommittedInstead = false

  /// See Pager+Concurrent; nil for every other transaction.
  var concurrent: ConcurrentTransaction?
  /// Concurrent transactions that were lost since the last commit; `Pager.hasRightToTurn`.
  var lostCount = 0
  var isLostToPending = false
  /// A concurrent transaction that has the turn from its beginning.
  var beganByRight = false
  /// Of a concurrent transaction that has no snapshot yet.
  var announced: ConcurrentTransaction.Registration?
  /// What an ordinary writer changes while concurrent transactions of the process are open, which its commit is compared with.
  var changeLog: LogicalLog?

  // The write transaction.
  var journal: (any File)?
  var journalByteCount: Int64 = 0
  var journaledPages = PageSet()
  /// Where the original of a journaled page lies; kept only once the transaction has spilled.
  var journalOffsets: [UInt32: Int64] = [:]
  var needsJournalDirectorySync = false
  /// This transaction has written something into the journal, or is about to; one that is only kept open needs no end.
  var isJournalBegun = false
  /// Pages of this transaction whose newest image lies in the log (uncommitted) or in the file (journaled).
  var spilledPages = PageSet()
  var hasSpilled = false
  /// The file itself differs from the last commit.
  var isDatabaseTouched = false
  var flush = FlushPhase.idle
  /// What is being written; each holds a reference.
  var batch: [PageImage] = []
  var batchCommits = false
  var isCommitPrepared = false
  /// The super-journal that this transaction's journal names at its end, and whether it does already.
  var superJournal: String?
  var hasSuperRecord = false
  /// The commit goes no further than to a safe file: other files follow before the journal ends.
  var stopsBeforeEnd = false
  /// The super-journal is gone.
  var isCommitted = false
  var syncsDirectoryAtEnd = false
  var playback: JournalPlayback?
  var undoFile: UndoFile?
  var undoLoad: UndoLoad?
  var undoing: RequestGroup?
  var isUndoingJournal = false
  var needsCheckpoint = false
  /// The checkpoint behind a commit is in line for the turn, to copy the last frames, until then.
  var lastFramesUntil: UInt64?
  /// A writer copies back what it can, since the log has reached its limit.
  var makesRoom = false
  /// See PageSeal.
  var hasChecksums = false
  var verifiesChecksums = true
  /// See `Pager.keepsLog`.
  var keepsLog = false
  /// A backup puts another database in place of this one: all of it goes into the journal.
  var replacesFile = false
  /// The write transaction began with its own snapshot, so it may try again with a newer one.
  var writeOpensRead = false
  /// Spilling waits until so many pages are private: readers kept the file from being written.
  var spillBlockedUntil = 0
  /// `shutDown` has begun.
  var isClosing = false
  /// Writes of a hot journal's playback that was dropped: EXCLUSIVE stays until they have landed.
  var abandonedPlayback: RequestGroup?
  var isClosed = false
  /// What a recovery of the log has found out, until somebody asks.
  var notice: String?
  /// The journal mode that a switch under way leads to.
  var switching: JournalMode?
  /// The sync that makes the end of the log's name durable.
  var logRemoval: RequestGroup?
  /// The log is copied back and deleted, or about to be; the file's header says so last.
  var isLeavingLog: Bool { switching != nil && switching != .wal }

  /// The first snapshot of the log is open: nobody deletes the log from now on until it is closed here.
  func joinLog() {
    if hasJoinedLog { return }
    hasJoinedLog = true
    cache?.joinLog()
  }

  init(
    environment: any Environment, queue: any IOQueue, file: any File, isTemporary: Bool, sharedCacheBytes: Int,
    ignoresLocks: Bool = false
  ) {
    self.environment = environment
    self.queue = queue
    self.file = file
    self.path = file.path
    self.isTemporary = isTemporary
    cache = isTemporary
      ? nil : FileCache.open(environment, file.identity, byteCountMax: sharedCacheBytes)
    connection = cache?.logs.join()
    lock = DatabaseLock(file, isIgnored: ignoresLocks)
  }

  func leaveCache() {
    if let connection { cache?.logs.leave(connection) }
    cache?.close()
  }

  var journalPath: String { path + "-journal" }
  var logPath: String { path + "-wal" }

  /// The journal is gone, or may be, or the commit waits for a sync with others: the transaction cannot be rolled back any more.
  var isBehindCommitPoint: Bool {
    switch flush {
    case _ where isCommitted || isAppended: true
    case .journalEnd, .finalized: isCommitPrepared && !isUndoingJournal
    case .idle, .originals, .segment, .superRecord, .segmentSync, .count, .countSync, .exclusive, .database,
      .databaseSync, .finalize:
      false
    }
  }

  /// The transaction's commit is in the log, and not visible yet: others go on top of it.
  var isAppended: Bool { wal?.awaited?.isOwn == true }

  /// The journal may be left as it is between two flushes.
  var isSegmentSafe: Bool {
    switch flush {
    case .count, .countSync: false
    case .idle, .originals, .segment, .superRecord, .segmentSync, .exclusive, .database, .databaseSync, .finalize,
      .journalEnd, .finalized:
      true
    }
  }

  func abandon(_ group: RequestGroup?) {
    if let group, !isOver(group) { abandoned.append(group) }
  }

  /// True when nothing of it is in flight any more. A sync that fails when its statement is gone has failed all the same: what it
  /// was to cover may be lost, and the next sync would not say so. That counts at once, whatever else of the group is on its way.
  private func isOver(_ group: RequestGroup) -> Bool {
    do throws(Fault) {
      try group.finish(queue)
    } catch {
      note(group.failure.map(Fault.failure) ?? error)
      if case .wait = error { return false }
    }
    return true
  }

  /// Waits for what a dropped playback of a hot journal was writing; then its lock goes.
  func settleAbandonedPlayback() throws(Fault) {
    guard let group = abandonedPlayback else { return }
    if !group.isDone(queue) { try group.finish(queue) }
    abandonedPlayback = nil
    lock.release()
  }

  func reap() {
    if !abandoned.isEmpty { abandoned.removeAll { isOver($0) } }
  }

  func releaseBatch() {
    for image in batch { image.release() }
    batch = []
  }

  /// Blocks until nothing is in flight; before the buffers go.
  func drain() {
    for read in reads { abandoned.append(read.group) }
    reads = []
    while true {
      reap()
      let isSettled = settlesAbandonedLocks()
      if abandoned.isEmpty && isSettled || !queue.isBusy { return }
      queue.waitForCompletion()
    }
  }

  private func settlesAbandonedLocks() -> Bool {
    do throws(Fault) {
      try settleAbandonedPlayback()
      try wal?.settleAbandonedCheckpoint()
      return true
    } catch { return false }
  }

  /// A failed sync poisons the handle.
  func note(_ fault: Fault) {
    guard case .failure(let error) = fault else { return }
    if error.code == .ioErrorFsync || error.code == .ioErrorDirectoryFsync { poison = error }
  }

  func checkPoison() throws(Fault) {
    guard let poison else { return }
    throw .error(
      poison.code, object: path, cause: poison.cause ?? poison.message,
      hint: "a sync failed, so what is on the disk is unknown: close the database and open it again")
  }
}

/// A page on its way into memory.
struct PendingRead {
  var number: UInt32
  /// Where it comes from; 0 for an image that must not be shared.
  var version: UInt64
  var isPrivate: Bool
  /// 0 where it comes from the file.
  var frame: UInt32
  var image: PageImage
  var group: RequestGroup
}

/// How far opening a snapshot has come.
enum OpenPhase {
  case start
  case journal
  case journalByte(RequestGroup, MutableByteView, any File)
  case rollback(JournalPlayback, any File)
  case rollbackEnd(RequestGroup, superJournal: String?)
  case superJournal(SuperJournalCleanup)
  case header(RequestGroup, MutableByteView)
  /// The header, and the reserved bytes of page 1.
  case mark(RequestGroup, RequestGroup, MutableByteView, MutableByteView)
  /// The header of the log's file: that of the database file is damaged.
  case logFile(RequestGroup, MutableByteView, any File)
  /// The log's snapshot is open; its page 1 is still to be read.
  case logHeader
}

/// How far writing a batch through the rollback journal has come.
enum FlushPhase {
  case idle
  case originals(RequestGroup, [PageImage], JournalSegment)
  case segment(RequestGroup, JournalSegment)
  /// The name of the super-journal; behind a new segment, if there is one.
  case superRecord(RequestGroup, JournalSegment?)
  case segmentSync(RequestGroup, JournalSegment)
  case count(RequestGroup, JournalSegment)
  /// nil: the segment counts already, the name of a super-journal behind it is new.
  case countSync(RequestGroup, JournalSegment?)
  case exclusive
  case database(RequestGroup)
  case databaseSync(RequestGroup)
  case finalize
  case journalEnd(RequestGroup)
  case finalized(RequestGroup?)

  var group: RequestGroup? {
    switch self {
    case .idle, .exclusive, .finalize: nil
    case .originals(let group, _, _), .segment(let group, _), .segmentSync(let group, _): group
    case .superRecord(let group, _): group
    case .count(let group, _): group
    case .countSync(let group, _): group
    case .database(let group), .databaseSync(let group): group
    case .journalEnd(let group): group
    case .finalized(let group): group
    }
  }
}

/// The pages of a segment, in ascending order. All of a file's take no memory: it may be sparse, and have billions of them.
enum JournalPages {
  case listed([UInt32])
  case all(through: UInt32, lockBytePage: UInt32)

  var count: Int {
    switch self {
    case .listed(let pages): pages.count
    case .all(let last, let lockBytePage): Int(last) - (lockBytePage <= last ? 1 : 0)
    }
  }

  subscript(position: Int) -> UInt32 {
    switch self {
    case .listed(let pages): return pages[position]
    case .all(_, let lockBytePage):
      let number = UInt32(position + 1)
      return number < lockBytePage ? number : number + 1
    }
  }
}

struct JournalSegment {
  var offset: Int64
  var end: Int64
  var pages: JournalPages
  var nonce: UInt32
  /// Records that are written.
  var recordCount = 0
}
