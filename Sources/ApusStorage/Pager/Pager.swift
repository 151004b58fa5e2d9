// The pager: pages of one database file as one connection sees them, in transactions.
//
//   b-tree -> page(n), writable(page) -> page table (this connection) -> file cache (this process) -> log or file
//
// Everything that may wait throws `.wait` and is called again; until it is done, what it has come to is kept here, so a
// statement may be dropped at any wait. A pager is used by one thread at a time. `unsafe` lives here and in the
// extensions: the page table is memory that the pager owns, so that hits cost no exclusivity check.

import ApusBase
import ApusIO

@safe
public final class Pager {
  let table: UnsafeMutablePointer<PageTable>
  let environment: any Environment
  /// The b-tree cursors that are open on this pager.
  let cursors = CursorRegistry()
  /// What operations read and write, in memory that the pager owns.
  private let fields: UnsafeMutablePointer<PagerFields>

  /// Gets a file when it grows over its budget.
  let isTemporary: Bool
  let temporaryQueue: (any IOQueue)?

  /// Consulted before SQLITE_BUSY is reported: given how often this wait was tried already, the moment of the monotonic
  /// clock at which to try again, or nil to give up.
  public var busyPolicy: ((Int) -> UInt64?)?
  var busyAttempts = 0
  /// A statement that has stopped at a wait is to bring this pager's commit to its end.
  public var isCommitting = false
  /// What a tree is called, for a conflict's words: its table, and its index.
  public var nameOfTree: ((UInt32) -> (table: String, index: String?)?)?
  /// What keys are written in, for the same.
  public var textEncoding = TextEncoding.utf8

  init(
    environment: any Environment, configuration: Configuration, store: FileStore? = nil,
    temporaryQueue: (any IOQueue)? = nil
  ) {
    self.environment = environment
    self.temporaryQueue = temporaryQueue
    isTemporary = temporaryQueue != nil
    unsafe fields = UnsafeMutablePointer<PagerFields>.allocate(capacity: 1)
    unsafe fields.initialize(to: PagerFields(configuration: configuration, store: store))
    unsafe table = UnsafeMutablePointer<PageTable>.allocate(capacity: 1)
    unsafe table.initialize(
      to: PageTable(pageSize: configuration.pageSize, reserved: configuration.reservedBytes))
    if store != nil { unsafe table.pointee.cleanLimit = cleanLimit }
  }

  deinit {
    if let store { release(store) }
    releaseUndo(from: 0)
    cursors.destroy()
    unsafe table.pointee.destroy()
    unsafe table.deinitialize(count: 1)
    unsafe table.deallocate()
    unsafe fields.deinitialize(count: 1)
    unsafe fields.deallocate()
  }

  /// A database without a file: committed images live in memory only.
  public static func memory(environment: any Environment, configuration: Configuration = Configuration()) -> Pager {
    Pager(environment: environment, configuration: configuration)
  }

  /// A database without a name for one connection's private use: no locks, no durability. It lives in memory until it
  /// outgrows its budget, then in an unlinked file.
  public static func temporary(
    environment: any Environment, queue: any IOQueue, configuration: Configuration = Configuration()
  ) -> Pager {
    Pager(environment: environment, configuration: configuration, temporaryQueue: queue)
  }

  /// Opens a database file; nothing is read before the first snapshot.
  /// - Throws: SQLITE_CANTOPEN where the file cannot be opened, or be created where it is missing.
  public convenience init(
    environment: any Environment, queue: any IOQueue, path: String, configuration: Configuration = Configuration()
  ) throws(EngineError) {
    let fullPath = try environment.fullPath(path)
    let file: any File
    var configuration = configuration
    if configuration.isImmutable { configuration.isReadOnly = true }
    if configuration.isReadOnly {
      file = try environment.open(fullPath, .readOnly)
    } else {
      file = try environment.open(fullPath, configuration.mayCreate ? .create : .readWrite)
      if !file.isWritable { configuration.isReadOnly = true }
    }
    self.init(
      environment: environment, configuration: configuration,
      store: FileStore(
        environment: environment, queue: queue, file: file, isTemporary: false,
        sharedCacheBytes: configuration.sharedCacheBytes,
        ignoresLocks: configuration.ignoresLocks || configuration.isImmutable))
  }

  // MARK: Fields

  public internal(set) var configuration: Configuration {
    @inline(__always) _read { yield unsafe fields.pointee.configuration }
    @inline(__always) _modify { yield unsafe &fields.pointee.configuration }
  }
  public internal(set) var state: State {
    @inline(__always) get { unsafe fields.pointee.state }
    @inline(__always) set { unsafe fields.pointee.state = newValue }
  }
  /// Pages of the database in the snapshot or the write transaction.
  var currentPageCount: UInt32 {
    @inline(__always) get { unsafe fields.pointee.currentPageCount }
    @inline(__always) set { unsafe fields.pointee.currentPageCount = newValue }
  }
  /// Pages of the database when the write transaction began.
  var committedPageCount: UInt32 {
    @inline(__always) get { unsafe fields.pointee.committedPageCount }
    @inline(__always) set { unsafe fields.pointee.committedPageCount = newValue }
  }

  // Savepoints: see Pager+Savepoints.
  var savepoints: [SavepointMark] {
    @inline(__always) _read { yield unsafe fields.pointee.savepoints }
    @inline(__always) _modify {
      yield unsafe &fields.pointee.savepoints
      let serial = unsafe fields.pointee.savepoints.last?.serial ?? 0
      unsafe fields.pointee.savepointSerialInForce = serial
      unsafe table.pointee.serialInForce = serial
    }
  }
  var savepointSerialInForce: UInt64 { @inline(__always) get { unsafe fields.pointee.savepointSerialInForce } }
  var savepointSerial: UInt64 {
    @inline(__always) get { unsafe fields.pointee.savepointSerial }
    @inline(__always) set { unsafe fields.pointee.savepointSerial = newValue }
  }
  var undo: [UndoEntry] {
    @inline(__always) _read { yield unsafe fields.pointee.undo }
    @inline(__always) _modify { yield unsafe &fields.pointee.undo }
  }
  var undoByteCount: Int {
    @inline(__always) get { unsafe fields.pointee.undoByteCount }
    @inline(__always) set { unsafe fields.pointee.undoByteCount = newValue }
  }

  /// By the serial of their mark; empty where no mark was released inside another.
  var markedPages: [UInt64: MarkedPages] {
    @inline(__always) _read { yield unsafe fields.pointee.markedPages }
    @inline(__always) _modify { yield unsafe &fields.pointee.markedPages }
  }

  /// Pages that the write transaction freed: their old content matters although they are free now.
  var freedPages: PageSet {
    @inline(__always) _read { yield unsafe fields.pointee.freedPages }
    @inline(__always) _modify { yield unsafe &fields.pointee.freedPages }
  }
  /// Free pages of the snapshot that the write transaction took into use: what they held need not be journaled.
  var contentlessPages: PageSet {
    @inline(__always) _read { yield unsafe fields.pointee.contentlessPages }
    @inline(__always) _modify { yield unsafe &fields.pointee.contentlessPages }
  }
  /// Who copies this database.
  var recorders: [ChangeRecorder] {
    get { unsafe fields.pointee.recorders }
    _modify { yield unsafe &fields.pointee.recorders }
  }
  /// A backup is being written to this database.
  public internal(set) var isBackupTarget: Bool {
    get { unsafe fields.pointee.isBackupTarget }
    set { unsafe fields.pointee.isBackupTarget = newValue }
  }
  /// See `takeLostCursors`.
  var hasLostCursors: Bool {
    get { unsafe fields.pointee.hasLostCursors }
    set { unsafe fields.pointee.hasLostCursors = newValue }
  }
  /// What the bytes that a database in memory was made of suffer from.
  var brokenContents: EngineError? {
    get { unsafe fields.pointee.brokenContents }
    set { unsafe fields.pointee.brokenContents = newValue }
  }
  /// The write transaction's file has auto_vacuum: see PointerMap and AutoVacuum.
  var usesPointerMap: Bool {
    @inline(__always) get { unsafe fields.pointee.usesPointerMap }
    set { unsafe fields.pointee.usesPointerMap = newValue }
  }
  /// Entries of the pointer map that are not in its pages yet.
  var pointerEdits: [UInt32: PointerEntry] {
    _read { yield unsafe fields.pointee.pointerEdits }
    _modify { yield unsafe &fields.pointee.pointerEdits }
  }
  /// The freelist, while free pages are given back.
  var freePool: FreePool? {
    _read { yield unsafe fields.pointee.freePool }
    _modify { yield unsafe &fields.pointee.freePool }
  }
  public internal(set) var dataVersion: UInt64 {
    get { unsafe fields.pointee.dataVersion }
    set { unsafe fields.pointee.dataVersion = newValue }
  }
  private var faultChance: SeededRandom? {
    get { unsafe fields.pointee.faultChance }
    _modify { yield unsafe &fields.pointee.faultChance }
  }
  /// Cursors put into the log of a concurrent transaction what they read and change.
  var isNoting: Bool {
    @inline(__always) get { unsafe fields.pointee.isNoting }
    set { unsafe fields.pointee.isNoting = newValue }
  }
  /// What is looked at is what a change rests on.
  var assertsLooks: Bool {
    get { unsafe fields.pointee.assertsLooks }
    set { unsafe fields.pointee.assertsLooks = newValue }
  }
  /// nil while the database lives in memory only.
  var store: FileStore? {
    @inline(__always) get { unsafe fields.pointee.store }
    set { unsafe fields.pointee.store = newValue }
  }
  var conversion: Conversion? {
    get { unsafe fields.pointee.conversion }
    set { unsafe fields.pointee.conversion = newValue }
  }

  /// Most clean pages that stay in this connection's table. Where many connections have the file open, all their tables
  /// together may take what a few of them would: the file's own cache is behind them.
  var cleanLimit: Int { max(configuration.cacheBytes / pageSize / tableShare, 16) }

  /// Connections that share what one table may take.
  private var tableShare: Int { max(1, (store?.cache?.connectionCount ?? 1) / Pager.fullTableCount) }

  /// So many connections have a table of the full size.
  private static let fullTableCount = 4

  /// A transaction begins: connections have come or gone since the last one.
  func adaptTable() {
    let limit = cleanLimit
    if unsafe table.pointee.cleanLimit == limit { return }
    unsafe table.pointee.cleanLimit = limit
    unsafe table.pointee.needsTrim = true
  }

  /// Most private pages before they spill.
  var dirtyLimit: Int { max(configuration.dirtyBytes / pageSize, 16) }

  /// Every page can be in memory at the same time.
  public var fitsIntoCache: Bool { store == nil || Int(pageCount) <= cleanLimit }

  public var isReadOnly: Bool { configuration.isReadOnly }
  public var isInMemory: Bool { store == nil && !isTemporary }

  /// Sizes the connection's own table, as PRAGMA cache_size asks.
  public func setCacheBytes(_ byteCount: Int) {
    configuration.cacheBytes = byteCount
    configuration.dirtyBytes = byteCount
    unsafe table.pointee.dirtyRoom = 0
    if store != nil {
      unsafe table.pointee.cleanLimit = cleanLimit
      unsafe table.pointee.needsTrim = true
    }
  }

  // MARK: Spilling

  /// What SQLite reckons for a page in its cache beside the page itself; `cache_spill` counts with it.
  private static let pageOverheadByteCount = 136

  private func cachePageCount(_ size: Int64) -> Int64 {
    size >= 0 ? size : min(1024 * -max(size, -(1 << 40)) / Int64(pageSize + Self.pageOverheadByteCount), 1_000_000_000)
  }

  /// `PRAGMA cache_spill`: private pages may be written before the commit, or not.
  public func setSpilling(_ isOn: Bool) {
    configuration.spills = isOn
    endDirtyRoom()
  }

  /// `PRAGMA cache_spill = N`: pages where positive, KiB where negative; 0 changes nothing.
  public func setSpillSize(_ size: Int64) {
    if size == 0 { return }
    configuration.spillPageCount = Int(cachePageCount(size))
    endDirtyRoom()
  }

  /// What PRAGMA cache_spill answers: 0 where nothing spills, else the larger of its own limit and `cache_size` in pages.
  public var spillSize: Int64 {
    configuration.spills ? max(cachePageCount(configuration.cacheSize), Int64(configuration.spillPageCount)) : 0
  }

  /// What PRAGMA cache_size answers.
  public func setCacheSize(_ value: Int64) { configuration.cacheSize = value }

  public func setSynchronous(_ level: Synchronous) {
    configuration.synchronous = level
    store?.wal?.syncsAtRecovery = level >= .full
  }
  public func setAutocheckpoint(frames: Int) { configuration.autocheckpointFrames = frames }
  public func setJournalSizeLimit(_ byteCount: Int64) {
    configuration.journalSizeLimit = max(byteCount, -1)
    store?.wal?.sizeLimit = configuration.journalSizeLimit
  }
  /// Locks stay between transactions, or no longer: what is held goes with the next snapshot's end.
  public func setLocking(exclusive: Bool) { configuration.locksExclusively = exclusive }
  public func setRecovery(strict: Bool) {
    configuration.recoversStrictly = strict
    store?.wal?.recoversStrictly = strict
  }

  public func setDirectReads(_ isOn: Bool) {
    configuration.readsDirectly = isOn
    guard isOn, let store, store.notice == nil, let refusal = store.file.directReadRefusal() else { return }
    store.notice = "PRAGMA direct_reads: has no effect: \(refusal)"
  }

  /// For `PRAGMA io_backend`: nil where nobody asks for direct reads, or there is no file.
  public var directReadState: String? {
    guard configuration.readsDirectly, let store else { return nil }
    if !hasDirectPages { return "direct reads refused: pages of \(pageSize) bytes" }
    return store.file.directReadRefusal().map { "direct reads refused: \($0)" } ?? "direct reads"
  }

  var hasDirectPages: Bool { pageSize % DirectReads.unitByteCount == 0 }

  /// What was found out about the file beside what was asked, and is told once: a recovery that left commits out.
  public func takeNotices() -> [String] {
    guard let store, let notice = store.notice ?? store.wal?.notice else { return [] }
    store.notice = nil
    store.wal?.notice = nil
    return [notice]
  }

  /// Most pages that the database may have; it never gets fewer than it has.
  public func limit(pageCount: UInt32) {
    configuration.pageCountMax = min(max(pageCount, currentPageCount), DatabaseHeader.pageCountMax)
  }

  public static func isPageSize(_ size: Int) -> Bool { DatabaseHeader.isPageSize(size) }

  /// For a database that has no page yet.
  /// - Returns: false where it is too late or the size is not one.
  public func setPageSize(_ size: Int) -> Bool {
    guard state == .none, currentPageCount == 0, DatabaseHeader.isPageSize(size) else { return false }
    configuration.pageSize = size
    configure(pageSize: size, reserved: configuration.reservedBytes)
    return true
  }

  /// For a database that has no page yet, or whose first page this transaction makes; any other only changes from FULL to
  /// INCREMENTAL and back, by the header.
  /// - Returns: false where it is too late.
  public func setAutoVacuum(_ mode: AutoVacuum) throws(Fault) -> Bool {
    if currentPageCount == 0 {
      configuration.autoVacuum = mode
      return true
    }
    guard state == .write, currentPageCount == 1, committedPageCount == 0 else { return false }
    configuration.autoVacuum = mode
    stampAutoVacuum(writable(try loadedPage(.one)))
    return true
  }

  /// Page 1 of a new file.
  func stampAutoVacuum(_ one: Page) {
    let mode = configuration.autoVacuum
    one.mutableBytes.setBigEndianUInt32(mode == .none ? 0 : 1, at: DatabaseHeader.largestRootOffset)
    one.mutableBytes.setBigEndianUInt32(mode == .incremental ? 1 : 0, at: DatabaseHeader.incrementalOffset)
    usesPointerMap = mode != .none
  }

  /// Another page size than the table's: everything in it goes.
  func configure(pageSize: Int, reserved: Int) {
    if pageSize == self.pageSize && usableSize == pageSize - reserved { return }
    unsafe table.pointee.destroy()
    unsafe table.pointee = PageTable(pageSize: pageSize, reserved: reserved)
    if store != nil { unsafe table.pointee.cleanLimit = cleanLimit }
    unsafe table.pointee.hideHits(faultChance != nil)
  }

  /// The fault for a lock that somebody else has: a wait as long as the policy says, then SQLITE_BUSY.
  func busy(_ cause: String, code: ResultCode = .busy) -> Fault {
    if let moment = busyPolicy?(busyAttempts) {
      busyAttempts += 1
      return .wait(.moment(moment))
    }
    busyAttempts = 0
    return .error(code, object: store?.path, cause: cause)
  }

  /// The same where another connection writes to the log. One whose time has run out is in line no longer.
  func writerBusy(_ wal: WriteAheadLog) -> Fault {
    let fault = busy("another connection writes")
    if case .wait(.moment(let moment)) = fault { return .wait(.moment(min(moment, wal.turnBegins ?? moment))) }
    wal.releaseWriteLock()
    return fault
  }

  public var pageSize: Int { unsafe table.pointee.pageSize }
  /// Page size less reserved bytes.
  public var usableSize: Int { unsafe table.pointee.usableSize }
  public var pageCount: UInt32 { currentPageCount }

  /// When set, accesses to pages throw `.wait(.nothing)` at random although the page is there: the debug switch that
  /// proves "load, then act".
  public var faultInjection: SeededRandom? {
    get { faultChance }
    set {
      faultChance = newValue
      unsafe table.pointee.hideHits(newValue != nil)
    }
  }

  func injectFault(at number: UInt32) throws(Fault) {
    let isMet = faultChance?.oneIn(4) == true
    #if PlantedBugs
      if state == .write, unsafe fields.pointee.pace.spares(number) { return }
      if isMet { noteWaitForPage() }
    #endif
    if isMet { throw .wait(.nothing) }
  }

  #if PlantedBugs
    /// The step under way begins again and again, and is to come through.
    var isStepSlow: Bool { unsafe fields.pointee.pace.isSlow }

    func noteWaitForPage() { if state == .write { unsafe fields.pointee.pace.noteWait() } }

    func noteChangeOfPage() { unsafe fields.pointee.pace.noteChange() }
  #endif
}

/// What changes as the pager works. Memory of its own, as the page table is: no access is checked for exclusivity.
private struct PagerFields {
  var configuration: Pager.Configuration
  var state = Pager.State.none
  var currentPageCount: UInt32 = 0
  var committedPageCount: UInt32 = 0
  var savepoints: [SavepointMark] = []
  var savepointSerialInForce: UInt64 = 0
  var savepointSerial: UInt64 = 0
  var undo: [UndoEntry] = []
  var undoByteCount = 0
  var markedPages: [UInt64: MarkedPages] = [:]
  var freedPages = PageSet()
  var contentlessPages = PageSet()
  var usesPointerMap = false
  var pointerEdits: [UInt32: PointerEntry] = [:]
  var freePool: FreePool?
  var dataVersion: UInt64 = 1
  var faultChance: SeededRandom?
  var store: FileStore?
  var conversion: Conversion?
  var recorders: [ChangeRecorder] = []
  var brokenContents: EngineError?
  var isBackupTarget = false
  var hasLostCursors = false
  var isNoting = false
  var assertsLooks = false
  #if PlantedBugs
    var pace = StepPace()
  #endif

  init(configuration: Pager.Configuration, store: FileStore?) {
    self.configuration = configuration
    self.store = store
  }
}
