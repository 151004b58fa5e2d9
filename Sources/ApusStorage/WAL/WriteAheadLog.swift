// The write-ahead log of one connection: its snapshot, the write lock, and where the next frame goes.
//
// Everything here keeps SQLite's protocol on the shared wal-index, so that connections of other processes, SQLite's own
// included, may work on the same file. Files beside this one: reading (+Snapshot), recovery (+Recovery), appending
// (+Append), copying back (+Checkpoint).

import ApusBase
import ApusIO

final class WriteAheadLog {
  let environment: any Environment
  let queue: any IOQueue
  let file: any File
  let index: WALIndex
  let path: String
  let pageSize: Int
  /// What the log is copied back into.
  let database: any File
  let cache: FileCache?

  /// The snapshot; while this connection writes, the state that its commit goes on top of.
  var header = WALIndexHeader()
  /// What the published header is while this connection writes.
  var base = WALIndexHeader()
  /// What a checkpoint of this connection has left of a log whose last commit was its last snapshot: nothing else has changed.
  var emptied: WALIndexHeader?
  /// The read mark that protects the snapshot, or nil.
  var readMark: Int? { didSet { connection?.note(mark: readMark) } }
  /// Where the process's other connections see which snapshot this one has.
  var connection: LogRegistry.Connection?
  /// The log was below its limit when the turn began, or there was none.
  var hasRoom = false
  var holdsWriteLock = false
  /// The snapshot has no read mark, and is lost when the write lock goes.
  var isGuardedByLock = false
  /// The write lock is the process's, and this connection's turn has come.
  var turn: CommitQueue.Base?
  /// The connection has asked for its turn, or has it.
  var isInLine = false
  /// The write lock was all that protected the snapshot, and is gone.
  var isUnguarded: Bool { isGuardedByLock && !holdsWriteLock }
  /// The snapshot has become a newer one, whose pages are still to be looked at.
  var hasMoved = false
  /// No turn is given before this moment.
  var turnBegins: UInt64?
  /// Another process has the write lock, and this connection is the one that asks for it.
  var foreignWait: ForeignWait?
  /// Frames behind it are other connections' commits that are not durable yet: no image of them is shared.
  var sharedFrameCount: UInt32 = 0
  /// The commit that the connection waits for.
  var awaited: AwaitedCommit?
  /// How often a snapshot was tried for and lost to a race.
  var attempts = 0

  // Appending. Frames behind `header.frameCount` up to `tip` are this connection's, not committed.
  var tip: UInt32 = 0
  var tipChecksum = WALChecksum()
  /// Incremented by each restart; it goes into the file header.
  var sequence: UInt32 = 0
  /// The file's own header must be written before the next frame.
  var needsHeader = false
  /// The log's directory entry may not be durable yet: the first sync covers it. True for every opener, not only for the one
  /// that made the file, since nobody knows whether that one ever synced.
  var needsDirectorySync = true
  /// The requests that cover it. Only their end counts: they may be abandoned with the statement that began them.
  private var directorySync: RequestGroup?
  var append = AppendPhase.idle
  /// How long the file is known to be, in the log with these salts; frames that lie inside overwrite zeros.
  var allocatedByteCount: Int64?
  var allocatedSalts: UInt64 = 0
  /// False once the disk had no room for zeros.
  var mayFill = true
  /// Frames whose commit mark may have reached the file although the commit was not published.
  var doubtfulFrame: UInt32?

  var recovery: Recovery?
  var checkpoint: Checkpoint?
  /// One that was given up while pages were on their way into the file.
  var abandoned: Checkpoint?
  /// The index may be one that can be read only; then it grants no lock for writing.
  var isReadOnly = false
  /// Commits behind a damaged frame make recovery fail; otherwise `notice` tells of them.
  var recoversStrictly = false
  /// Commits are promised to be durable: so must be those that recovery takes over.
  var syncsAtRecovery = true
  var notice: String?
  /// What stays of the file when the log starts again; negative: all of it.
  var sizeLimit: Int64 = -1
  /// The log has started again, and its file is longer than it needs to be.
  var mayCutFile = false

  #if PlantedBugs
    /// What a transaction takes for the newest commit before it has the lock.
    var seenEarly: WALIndexHeader?
  #endif

  init(
    environment: any Environment, queue: any IOQueue, file: any File, memory: any SharedMemory, pageSize: Int,
    database: any File, cache: FileCache?
  ) {
    self.database = database
    self.cache = cache
    self.environment = environment
    self.queue = queue
    self.file = file
    self.path = file.path
    #if PlantedBugs
      self.index = WALIndex(memory, environment.smallLimits)
    #else
      self.index = WALIndex(memory)
    #endif
    self.pageSize = pageSize
  }

  // MARK: Syncs

  /// Adds the sync of the log, and of its directory entry where that may be needed, to `group`.
  /// - Parameter other: the log by another descriptor; nil: by this connection's own.
  func addSync(to group: RequestGroup, _ other: (any File)? = nil) {
    group.add(queue.sync(other ?? file, .data))
    if needsDirectorySync {
      group.add(queue.syncDirectory(of: path))
      directorySync = group
    }
  }

  /// `group` has ended well.
  func settle(_ group: RequestGroup) {
    #if PlantedBugs
      let isAny = PlantedBug.isActive(.settleNameByAnyRequest)
    #else
      let isAny = false
    #endif
    guard directorySync === group || isAny else { return }
    directorySync = nil
    needsDirectorySync = false
  }

  // MARK: Locks

  func lock(_ kind: LockKind, _ slot: Int, count: Int = 1) throws(Fault) -> Bool {
    do { return try index.memory.lock(kind, slot: slot, count: count) } catch { throw .failure(error) }
  }

  /// The same for what has to be changed; false where the index can be read only.
  func lockToChange(_ slot: Int) throws(Fault) -> Bool {
    if !isReadOnly { return try lock(.exclusive, slot) }
    return (try? lock(.exclusive, slot)) ?? false
  }

  /// A failing unlock leaves nothing to do: the lock ends with the descriptor.
  func unlock(_ slot: Int, count: Int = 1) { try? index.memory.unlock(slot: slot, count: count) }

  func endRead() {
    #if PlantedBugs
      if PlantedBug.isActive(.keepReadLock), readMark ?? 0 > 1 { readMark = nil }
    #endif
    if let readMark { unlock(WALIndex.readSlot(readMark)) }
    readMark = nil
    isGuardedByLock = false
  }

  /// The newest frame of a page in the snapshot, or in the write transaction.
  /// - Throws: SQLITE_BUSY_SNAPSHOT where nothing protects the snapshot any more.
  func frame(of page: UInt32) throws(Fault) -> UInt32 {
    if isUnguarded {
      throw .error(.busySnapshot, object: path, cause: "the transaction that this snapshot belonged to has ended")
    }
    return try index.find(page, limit: holdsWriteLock ? tip : header.frameCount)
  }
}

/// Turns a failure of the environment into a fault.
@inline(__always)
func faulting<Result>(_ body: () throws(EngineError) -> Result) throws(Fault) -> Result {
  do { return try body() } catch { throw .failure(error) }
}
