// Concurrent transactions (SPEC, "Concurrent transactions"): they change private pages without a lock, note what they read and
// which pages they looked at, and take their place in the order of the log when they commit.
//
//   open --- takes slot 0, compares --> placed --- newest page 1, rebase --> ordinary --> commit as any writer
//     \------------------------------------\----> lost: only ROLLBACK is left
//
// Every page that a cursor reads is looked up in the slow way meanwhile (`PageTable.hideHits`), so that others pay nothing.
// `unsafe` lives here.

import ApusBase
import ApusIO

/// `PRAGMA concurrent_isolation`: what a concurrent transaction is compared with at its commit.
public enum ConcurrentIsolation: Int64, Sendable, CaseIterable {
  /// All that it has read or changed.
  case serializable
  /// What it has changed, and what its constraints rest on.
  case snapshot

  public var name: String {
    switch self {
    case .serializable: "serializable"
    case .snapshot: "snapshot"
    }
  }
}

/// What a concurrent transaction knows of itself. One for each, used by its connection alone.
final class ConcurrentTransaction {
  enum Phase {
    /// No lock is held.
    case open
    /// The write lock is held, and nothing that was looked at has changed. Page 1 may have; and private pages that met others' are
    /// gone, and their changes are being made anew.
    case placed
    /// An ordinary writer on top of the newest commit.
    case ordinary
  }

  let log: LogicalLog
  let isolation: ConcurrentIsolation
  /// The transaction among the open ones of the file.
  let registration: Registration?
  var phase = Phase.open
  /// Pages of the snapshot that a result of the transaction depends on, apart from those that `log` has.
  var lookedAt = PageSet()
  /// Pages that its plain reads looked at, where those are not validated.
  var plainPages = PageSet()
  /// Such a page has changed: behind its place the transaction would not read what it has read.
  var hasOldReads = false
  /// The schema cookie of the snapshot.
  var cookie: UInt32 = 0
  /// Page 1 was written by a commit since the snapshot.
  var isHeaderOther = false
  /// The changes on their way onto the newest pages.
  var rebase: RebaseRun?
  /// Savepoints up to this serial lie below a rebase: the way back to them is another one.
  var rebaseSerial: UInt64?
  /// Statements ran behind its place, and what they changed is in no log.
  var isBehindLog = false
  /// Why the transaction cannot commit any more.
  var conflict: EngineError?
  /// Row ids that it has got and not used yet, of the table that asked last.
  private var rowids = RowidBlock()

  /// - Parameter noteByteCount: what its notes may take.
  init(_ registration: Registration?, _ isolation: ConcurrentIsolation, noteByteCount: Int) {
    self.registration = registration
    self.isolation = isolation
    log = LogicalLog(byteCountMax: noteByteCount, reads: isolation == .serializable ? .all : .asserted)
  }

  /// A row id for a new row of a table, larger than `largest` and than each that another open transaction has.
  func newRowid(in root: UInt32, behind largest: Int64) -> Int64? {
    if rowids.root != root { rowids = RowidBlock(root: root) }
    if let rowid = rowids.next(behind: largest) { return rowid }
    guard let registration,
      let first = registration.history.newRowids(
        in: root, for: registration.number, behind: largest, count: rowids.nextCount)
    else { return nil }
    return rowids.begin(first)
  }

  /// Row ids in a row. The history gives them out under its lock: who asks again and again gets more at a time.
  private struct RowidBlock {
    var root: UInt32 = 0
    private var free: Range<Int64> = 0..<0
    private(set) var nextCount: Int64 = 1
    private static let countMax: Int64 = 64

    init(root: UInt32 = 0) { self.root = root }

    /// - Returns: nil where its rows were rolled back or deleted, too: their ids are given again.
    mutating func next(behind largest: Int64) -> Int64? {
      guard let first = free.first, largest < .max, first == largest + 1 else { return nil }
      free = first + 1..<free.upperBound
      return first
    }

    /// - Parameter first: the first of `nextCount`, or of as many as there are below the largest one.
    mutating func begin(_ first: Int64) -> Int64 {
      free = first == .max ? 0..<0 : first + 1..<(first > .max - nextCount ? .max : first + nextCount)
      nextCount = min(2 * nextCount, Self.countMax)
      return first
    }
  }

  /// Ends with the transaction, however that ends.
  final class Registration {
    let history: CommitHistory
    let number: UInt64
    /// For the conflict report.
    var isCommitted = false
    var isRebased = false

    init(_ cache: FileCache) {
      history = cache.history
      number = cache.commits.registerConcurrent()
    }

    deinit { history.leave(number, isCommitted: isCommitted, isRebased: isRebased) }
  }
}

extension Pager {
  /// True for a file whose log lets transactions be concurrent. Its snapshot is open.
  public var canBeConcurrent: Bool {
    guard let store, !store.isTemporary, store.wal != nil else { return false }
    return !configuration.isReadOnly && !configuration.locksExclusively
  }

  public var isConcurrent: Bool { store?.concurrent != nil }

  /// A file that others may open, and not a temporary one or memory.
  public var isSharedFile: Bool { store.map { !$0.isTemporary } ?? false }

  /// Most concurrent transactions in a row that a connection loses to others.
  public static let lostCountMax = 3

  /// The next concurrent transaction is to begin with the turn, so that it is lost to nobody: the last ones were lost, or the last
  /// one was to a commit that no snapshot shows yet, as another one would be.
  public var hasRightToTurn: Bool {
    guard let store, canBeConcurrent else { return false }
    return store.lostCount >= Self.lostCountMax || store.isLostToPending
  }

  /// A write transaction has the write lock and has not begun yet: it waits, or its statement was dropped at a wait.
  public var isBeginningWrite: Bool {
    guard let store, let wal = store.wal, store.concurrent == nil else { return false }
    return state != .write && wal.holdsWriteLock && !wal.isCheckpointWriting
  }

  /// A concurrent transaction has begun as a writer, by that right.
  public func noteRightTaken() { store?.beganByRight = state == .write }

  /// A concurrent transaction is about to open its snapshot: what is published from now on it can be compared with by key.
  public func announceConcurrent() {
    guard state == .none, let store, store.wal != nil, store.announced == nil else { return }
    store.announced = store.cache.map { ConcurrentTransaction.Registration($0) }
  }

  /// From now on the transaction is a concurrent one; a snapshot is open and nothing was changed.
  public func beginConcurrent(_ isolation: ConcurrentIsolation = .serializable) throws(Fault) {
    guard let store, store.concurrent == nil else { return }
    precondition(state == .read)
    // Statements that have begun before go on inside: what their paths lead over counts from here.
    try cursors.saveEverything()
    cursors.forgetPaths()
    announceConcurrent()
    #if PlantedBugs
      let isolation = PlantedBug.isActive(.leakIsolation) ? store.cache?.history.leaked(isolation) ?? isolation : isolation
    #endif
    store.concurrent = ConcurrentTransaction(
      store.announced ?? store.cache.map { .init($0) }, isolation, noteByteCount: noteByteCountMax)
    store.announced = nil
    isNoting = true
    unsafe table.pointee.hideHits(true)
  }

  /// The transaction is over, committed or rolled back.
  public func endConcurrent() {
    store?.announced = nil
    guard let store, let concurrent = store.concurrent else { return }
    precondition(state != .write)
    // The log's snapshot is a newer one than this pager has adopted.
    if concurrent.phase == .placed { store.salts = .max }
    store.concurrent = nil
    isNoting = false
    unsafe table.pointee.hideHits(faultInjection != nil)
  }

  /// Before a statement of a concurrent transaction does anything.
  /// - Throws: SQLITE_BUSY_SNAPSHOT where the transaction is lost; `.wait`.
  public func checkConcurrent() throws(Fault) {
    guard let store, let concurrent = store.concurrent else { return }
    if let conflict = concurrent.conflict { throw .failure(conflict) }
    if concurrent.hasOldReads {
      let conflict = conflict(
        store, "COMMIT was given up when others had changed what this transaction has read at snapshot isolation")
      store.concurrent?.conflict = conflict
      store.cache?.history.countLoss(.oldReads, table: nil)
      throw .failure(conflict)
    }
    if concurrent.phase != .open { store.concurrent?.isBehindLog = true }
    try finishPlace()
  }

  /// Before a statement of a concurrent transaction goes on behind a wait. Where that came while the transaction took its place,
  /// its pages are those of the newest commit already, and what it knows of the file, its size for one, is not.
  public func finishPlace() throws(Fault) {
    guard let store, let concurrent = store.concurrent, concurrent.phase == .placed, concurrent.conflict == nil else { return }
    guard let wal = store.wal else { return }
    do throws(Fault) {
      try takePlace(store, wal, mayRebase: false)
    } catch {
      // Its changes may be made anew in part.
      if case .failure(let failure) = error, !isLost { throw lose(failure, .log, store, wal) }
      throw error
    }
  }

  /// The transaction cannot commit any more.
  public var isLost: Bool { store?.concurrent?.conflict != nil }

  /// A lost transaction lets its snapshot go at once, so that it keeps no checkpoint waiting. No statement uses it.
  public func leaveLostSnapshot() {
    guard isLost else { return }
    try? rollback()
    if state == .read { endRead() }
  }

  // MARK: Notes

  /// The log of reads and changes.
  var logicalLog: LogicalLog? { store?.concurrent?.log ?? store?.changeLog }

  /// An ordinary write transaction begins, and has changed nothing: where concurrent ones are open, it notes the keys that it
  /// changes, so that its commit is compared with them by key. May wait.
  public func noteChangesForOthers() throws(Fault) {
    guard state == .write, let store, store.wal != nil, store.concurrent == nil, store.changeLog == nil,
      let history = store.cache?.history, history.hasOpen || history.mayBeOpened && commitsWait(store), !hasChanges
    else { return }
    try cursors.saveEverything()
    cursors.forgetPaths()
    store.changeLog = LogicalLog(byteCountMax: noteByteCountMax / 4, reads: .none)
    isNoting = true
  }

  /// What the notes of a concurrent transaction may take; those of an ordinary one a quarter.
  var noteByteCountMax: Int {
    #if PlantedBugs
      if let small = environment.smallLimits.noteByteCount { return small }
    #endif
    return LogicalLog.usualByteCount
  }

  /// Commits of this connection are not visible at once: a transaction may begin below one that is written.
  func commitsWait(_ store: FileStore) -> Bool { configuration.synchronous >= .full && store.cache?.isShared == true }

  /// The ordinary transaction has ended.
  func endChangeLog(_ store: FileStore) {
    if store.changeLog == nil { return }
    store.changeLog = nil
    isNoting = false
  }

  /// What the transaction reads of page 1 apart from the schema cookie, as a value or as a tree.
  /// - Parameter isAsserted: a change rests on it.
  public func noteHeaderRead(isAsserted: Bool = false) { noteLook(at: 1, isPlain: !isAsserted) }

  /// - Parameters:
  ///   - isKeyed: what comes of it is in the log.
  ///   - isPlain: a read that no change rests on, unless the operation asserts what it looks at.
  func noteLook(at number: UInt32, isKeyed: Bool = false, isPlain: Bool = false) {
    #if PlantedBugs
      // One page in eight is looked at unseen.
      if PlantedBug.isActive(.forgetLooks), number % 8 == 3 { return }
    #endif
    guard let store, store.concurrent?.phase == .open else { return }
    // What it has taken itself is in nobody's snapshot.
    if state == .write, number > committedPageCount || contentlessPages.contains(number) { return }
    if isPlain, !assertsLooks, keepsPlainReadsApart {
      #if PlantedBugs
        if PlantedBug.isActive(.forgetPlainPages) { return }
      #endif
      store.concurrent?.plainPages.insert(number)
      return
    }
    if isKeyed { store.concurrent?.log.pages.insert(number) } else { store.concurrent?.lookedAt.insert(number) }
  }

  /// What was only read is not validated.
  var keepsPlainReadsApart: Bool { store?.concurrent?.isolation == .snapshot }

  /// A change that no key tells of: the schema, the header, the file's end.
  func noteUnkeyedChange() {
    if isNoting { logicalLog?.dropKeys() }
  }

  /// A row id for a new row that no other open transaction has; nil where there is none, or nobody gives them out.
  func newRowid(in root: PageNumber, behind largest: Int64) -> Int64? {
    guard let concurrent = store?.concurrent, concurrent.registration != nil else {
      return store?.cache?.history.newRowid(in: root.rawValue, behind: largest)
    }
    return concurrent.newRowid(in: root.rawValue, behind: largest)
  }

  /// A roll-back has come to the mark. Where it lies below a rebase, the changes before it are made anew.
  func cutChanges(to mark: SavepointMark) {
    logicalLog?.cut(to: mark.changeCount)
    guard let store, let concurrent = store.concurrent else { return }
    if let serial = concurrent.rebaseSerial, mark.serial <= serial { beginRebase(store) }
  }

  // MARK: Its place

  /// Pages stay in memory: there is no log of this transaction's to write them to.
  var keepsPrivatePages: Bool { store?.concurrent.map { $0.phase != .ordinary } ?? false }

  /// COMMIT begins: whether the transaction is lost is known before any other file commits.
  public func takePlaceForCommit() throws(Fault) {
    guard let store, let wal = store.wal, let concurrent = store.concurrent else { return }
    if let conflict = concurrent.conflict { throw .failure(conflict) }
    if state == .write, concurrent.phase == .placed || concurrent.phase == .open && hasChanges {
      try takePlace(store, wal, mayRebase: true)
    }
  }

  /// Takes the place in the order of the log that the transaction's commit will have. From then on it is an ordinary writer. Called
  /// again after a wait.
  /// - Parameter mayRebase: no statement is at work on the private pages: they may be made anew.
  /// - Throws: SQLITE_BUSY where others write for longer than the busy timeout, and the transaction goes on; SQLITE_BUSY_SNAPSHOT
  ///   where what it looked at or changed was changed by others, and it is lost; SQLITE_INTERNAL where its changes do not fit
  ///   what they are made on.
  func takePlace(_ store: FileStore, _ wal: WriteAheadLog, mayRebase: Bool) throws(Fault) {
    if store.concurrent?.phase == .open {
      let published: WALIndexHeader
      do throws(Fault) {
        published = try takeTurn(store, wal)
      } catch {
        if case .failure(let failure) = error {
          if isLost { throw error }
          if failure.code == .busySnapshot { throw lose(failure, .log, store, wal) }
          // Without a mark nothing protects its snapshot from here on.
          if wal.readMark == nil { throw lose(conflict(store, failure.cause ?? failure.message), .log, store, wal) }
          wal.releaseWriteLock()
        }
        throw error
      }
      busyAttempts = 0
      do throws(Fault) {
        try validate(store, wal, published, mayRebase: mayRebase)
      } catch {
        if case .failure(let failure) = error, !isLost {
          // Its pages may be the newest commit's already, and its changes not made anew.
          if store.concurrent?.phase == .placed { throw lose(failure, .log, store, wal) }
          wal.releaseWriteLock()
        }
        throw error
      }
      store.concurrent?.phase = .placed
      isNoting = false
      #if PlantedBugs
        if environment.fires(.placeYield) { throw .wait(.nothing) }
      #endif
    }
    if store.concurrent?.phase == .placed {
      try restartLog(store, wal)
      if store.concurrent?.isHeaderOther == true { try adoptHeader(store, wal) }
      noteBase(wal)
      noteUnpublishedBase(store, wal)
      if let rebase = store.concurrent?.rebase { try rebase.run(self) }
      store.concurrent?.rebase = nil
      store.concurrent?.phase = .ordinary
      unsafe table.pointee.dirtyRoom = 0
      unsafe table.pointee.hideHits(faultInjection != nil)
    }
  }

  /// Waits for room in the log, and for the turn.
  /// - Returns: the newest commit.
  private func takeTurn(_ store: FileStore, _ wal: WriteAheadLog) throws(Fault) -> WALIndexHeader {
    if wal.holdsWriteLock {
      // It was starting the log again, and has no mark there yet.
      if wal.readMark == nil { try restartLog(store, wal) }
      return try claimRoom(store, wal, wal.newestHeader() ?? wal.header)
    }
    try awaitRoomForPlace(store, wal)
    guard let header = try wal.takePlace() else { throw writerBusy(wal) }
    return try claimRoom(store, wal, header)
  }

  /// The newest commit is what this transaction goes on top of; what others have changed leaves its table.
  func goOn(
    _ store: FileStore, _ wal: WriteAheadLog, topOf published: WALIndexHeader, without changed: PageSet
  ) throws(Fault) {
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
  }

  /// True where the transaction has changed the page, or taken it.
  func isPrivate(_ number: UInt32) -> Bool {
    guard let slot = unsafe table.pointee.findLoaded(number) else { return false }
    return unsafe slot.pointee.flags.contains(.dirty)
  }

  /// The schema must be the one that this transaction ran under; pages may have come or gone.
  private func adoptHeader(_ store: FileStore, _ wal: WriteAheadLog) throws(Fault) {
    let rebases = store.concurrent?.rebase != nil
    // A rebase that has begun has changed page 1 since.
    if rebases, isPrivate(1) { return }
    let one = try loadedPage(.one).bytes
    if one.bigEndianUInt32(at: DatabaseHeader.schemaCookieOffset) != store.concurrent?.cookie {
      throw lose(conflict(store, "schema: changed since this transaction began"), .schema, store, wal)
    }
    #if PlantedBugs
      if PlantedBug.isActive(.snapshotPageCount) { return }
    #endif
    // Who adds or takes pages writes page 1: this transaction has not.
    precondition(currentPageCount == committedPageCount)
    currentPageCount = DatabaseShape(one)?.countedPages ?? wal.header.pageCount
    committedPageCount = currentPageCount
    if rebases { usesPointerMap = one.bigEndianUInt32(at: DatabaseHeader.largestRootOffset) != 0 }
    for index in savepoints.indices {
      savepoints[index].pageCount = currentPageCount
      if rebases { savepoints[index].usesPointerMap = usesPointerMap }
    }
    store.concurrent?.isHeaderOther = false
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

  func conflict(_ store: FileStore, object: String? = nil, _ cause: String) -> EngineError {
    EngineError(
      .busySnapshot, object: object ?? store.path, cause: cause, hint: "roll back and run the transaction again")
  }

  /// The transaction is lost: nobody must find it holding the lock.
  func lose(
    _ conflict: EngineError, _ kind: ConcurrentConflicts.Kind, table: String? = nil, _ store: FileStore, _ wal: WriteAheadLog
  ) -> Fault {
    store.concurrent?.conflict = conflict
    store.cache?.history.countLoss(kind, table: table)
    store.lostCount += 1
    store.isLostToPending = wal.turn?.pendingTip != nil
    isNoting = false
    wal.releaseWriteLock()
    return .failure(conflict)
  }
}
