// A connection: databases, a transaction, prepared statements. The synchronous door of the engine, which the C door, the
// shell, the simulator and the Swift API stand on.
//
// A connection and everything that hangs from it is used by one thread at a time; only `interrupt` may come from another.
// `unsafe` lives here: what every step looks at lies in memory that the connection owns.

import ApusBase
import ApusCompiler
import ApusFunctions
import ApusIO
import ApusStorage
import ApusVM

@safe
public final class Connection {
  public struct Options: Sendable {
    public var isReadOnly = false
    /// False: a missing file is an error.
    public var mayCreate = true
    /// Names that begin with "file:" are URIs.
    public var interpretsURI = false
    /// Asked about the path of each file, as the name or the URI gives it, before it is opened.
    public var checkPath: (@Sendable (String) throws(EngineError) -> Void)?
    public var pager = Pager.Configuration()

    public init() {}
  }

  public let environment: any Environment
  public let queue: any IOQueue
  private let options: Options
  private var driverBlocks = false
  /// The absolute path of the main database; empty for one in memory or in a temporary file.
  public let path: String
  public let isReadOnly: Bool
  public let functions: FunctionRegistry
  public let state: ConnectionState
  private let status: UnsafeMutablePointer<Status>
  private let forkCount: Int, knownForkCount: Int
  /// Of the last prepare or step; nil after success.
  public internal(set) var lastError: EngineError? {
    _read { yield unsafe status.pointee.lastError }
    _modify { yield unsafe &status.pointee.lastError }
  }
  /// What the statement prepared last leaves without effect, such as a pragma that is unknown.
  public internal(set) var warnings: [String] = []

  /// Asked, with the number of times it was asked before, whether to wait for another's lock once more. It and the timeout replace
  /// each other.
  public var busyHandler: ((Int) -> Bool)? {
    didSet { if busyHandler != nil { state.settings.values[.busyTimeout] = nil } }
  }
  private let busyPolicy = BusyPolicy()

  // Catalogs.
  var schemas: [Schema?] = [nil, nil]
  var staleCatalogs: UInt64 = 0
  var loader: CatalogLoader?
  var schemaGeneration: UInt32 = 0
  /// The catalog of a database that is being attached.
  var attachedCatalog: Schema?

  private var statementList = StatementList()
  public private(set) var isClosed: Bool {
    get { unsafe status.pointee.isClosed }
    set { unsafe status.pointee.isClosed = newValue }
  }

  /// What every step looks at, in memory of its own: no check for exclusive access.
  private struct Status {
    var lastError: EngineError?
    var isClosed = false
  }

  deinit {
    // What the parent has under way it goes on with; its queue would be waited for here: rather lose the copy.
    if isInherited { _ = unsafe Unmanaged.passRetained(state) }
    unsafe status.deinitialize(count: 1)
    unsafe status.deallocate()
  }

  /// Opens `name`: a path, ":memory:", "" (a temporary file), or a URI where the options say so. Nothing is read yet.
  /// - Throws: SQLITE_CANTOPEN where the file cannot be opened, or be created where it is missing.
  public init(
    _ name: String, _ options: Options = Options(), environment: any Environment
  ) throws(EngineError) {
    let queue = environment.makeQueue()
    let main = try Connection.open(name, options, environment, queue)
    path = main.filePath ?? ""
    isReadOnly = main.isReadOnly
    self.options = options
    unsafe status = .allocate(capacity: 1)
    unsafe status.initialize(to: Status())
    self.environment = environment
    forkCount = environment.forkCount
    knownForkCount = ProcessForks.knownCount
    self.queue = queue
    functions = FunctionRegistry(builtIn: BuiltInFunctions.library)
    state = ConnectionState(environment: environment, queue: queue, main: main, functions: functions) {
      () throws(Fault) in
      Pager.temporary(environment: environment, queue: queue)
    }
    busyPolicy.connection = self
    state.opener = self
    adopt(main)
  }

  /// Whoever waits for a lock of this database asks the connection for how long.
  private func adopt(_ pager: Pager) {
    let policy = busyPolicy
    pager.busyPolicy = { attempt in policy.connection?.momentToTryAgain(attempt) }
  }

  /// Opens one of the connection's databases.
  private static func open(
    _ name: String, _ options: Options, _ environment: any Environment, _ queue: any IOQueue
  ) throws(EngineError) -> Pager {
    let location = try DatabaseLocation(name, interpretsURI: options.interpretsURI)
    var configuration = options.pager
    let mayWrite = !options.isReadOnly
    if !mayWrite, location.isReadOnly == false {
      throw EngineError(.permission, "access mode not allowed: \(location.mayCreate == true ? "rwc" : "rw")")
    }
    configuration.isReadOnly = !mayWrite || location.isReadOnly == true
    configuration.mayCreate = mayWrite && (location.mayCreate ?? options.mayCreate)
    configuration.ignoresLocks = location.ignoresLocks
    configuration.isImmutable = location.isImmutable
    configuration.locksExclusively = configuration.locksExclusively || location.locksExclusively
    switch location.place {
    case .file(let path):
      try options.checkPath?(path)
      return try Pager(environment: environment, queue: queue, path: path, configuration: configuration)
    case .memory: return Pager.memory(environment: environment, configuration: configuration)
    case .temporary: return Pager.temporary(environment: environment, queue: queue, configuration: configuration)
    }
  }

  // MARK: The process

  /// The process that opened it has forked this one: files, locks and ring are the parent's, and so is all that would be written. A
  /// database in memory is a copy.
  var isInherited: Bool {
    if ProcessForks.knownCount == knownForkCount { return false }
    return environment.forkCount != forkCount && state.databases.contains { $0?.pager.isSharedFile == true }
  }

  /// - Throws: SQLITE_MISUSE in a fork of the process that opened it.
  func checkProcess() throws(Fault) {
    if !isInherited { return }
    throw .error(
      .misuse, cause: "the connection was opened before fork, by the parent process",
      hint: "open a connection of its own in the child process")
  }

  // MARK: Figures

  /// No transaction is open that BEGIN or SAVEPOINT opened.
  public var isAutocommit: Bool { state.isAutocommit }
  /// Rows that the last INSERT, UPDATE or DELETE changed.
  public var changes: Int64 { state.figures.changes }
  public var totalChanges: Int64 { state.figures.totalChanges }
  public var lastInsertRowid: Int64 {
    get { state.figures.lastInsertRowid }
    set { state.figures.lastInsertRowid = newValue }
  }

  // MARK: Interrupting and waiting

  /// Stops the statements that run now at their next check. Any thread may call it.
  public func interrupt() { state.interrupt() }
  public var isInterrupted: Bool { state.isInterrupted }
  /// See `ConnectionState.keepsInterrupts`.
  func keepInterrupts() { state.keepsInterrupts = true }
  /// Forgets an interrupt that has hit nothing.
  public func clearInterrupt() { state.clearInterrupt() }

  /// How long a statement waits for another's lock before it fails with SQLITE_BUSY; `PRAGMA busy_timeout`.
  public var busyTimeoutMilliseconds: Int {
    get { Int(clamping: state.settings.values[.busyTimeout] ?? 0) }
    set { state.settings.values[.busyTimeout] = Int64(max(0, newValue)) }
  }

  private var busySince: UInt64 = 0
  /// SQLite's pauses, in milliseconds; the last one repeats.
  private static let busyPauses: [UInt64] = [1, 2, 5, 10, 15, 20, 25, 25, 25, 50, 50, 100]

  private func momentToTryAgain(_ attempt: Int) -> UInt64? {
    if isInterrupted { return nil }
    let now = environment.monotonicNanoseconds()
    // There is a timeout where somebody has set one after the handler, PRAGMA busy_timeout among others.
    if let busyHandler, state.settings.values[.busyTimeout] == nil { return busyHandler(attempt) ? now : nil }
    let (product, overflow) = UInt64(busyTimeoutMilliseconds).multipliedReportingOverflow(by: 1_000_000)
    let timeout = overflow ? .max : product
    if timeout == 0 { return nil }
    if attempt == 0 { busySince = now }
    let waited = now &- busySince
    if waited >= timeout { return nil }
    let pause = Self.busyPauses[min(attempt, Self.busyPauses.count - 1)] &* 1_000_000
    return now &+ min(pause, timeout &- waited)
  }

  /// Blocks until what an operation waits for may have happened: the synchronous driver.
  public func wait(for wait: Wait) {
    switch wait {
    case .completion: queue.waitForCompletion()
    case .moment(let moment), .signal(let moment): environment.sleep(untilMonotonic: moment, or: queue.alarm)
    case .nothing: break
    }
  }

  /// Who steps the statements from now on: the calling thread, which waits, or somebody who has other things to do.
  func setDriver(blocks: Bool) {
    if driverBlocks == blocks { return }
    driverBlocks = blocks
    queue.driverBlocks = blocks
  }

  // MARK: Statements

  /// The statements that are not finalized, in the order of their making.
  public var statements: [PreparedStatement] { statementList.statements }

  func register(_ statement: PreparedStatement) -> Int { statementList.add(statement) }

  func unregister(_ place: Int) { statementList.remove(place) }

  // MARK: Attaching

  /// A database for ATTACH, opened as the connection's first one was.
  func openAttached(_ name: String) throws(EngineError) -> Pager {
    let pager: Pager
    do throws(EngineError) {
      pager = try Connection.open(name, options, environment, queue)
    } catch {
      // Of the system's reasons SQLite tells nothing; what is wrong with a URI it says.
      if error.code.primary != .cannotOpen {
        throw EngineError(error.code.primary == .permission ? .error : error.code, error.message)
      }
      throw EngineError(
        .cannotOpen, "unable to open database: \(name)", object: error.object, cause: error.cause, hint: error.hint)
    }
    adopt(pager)
    return pager
  }

  // MARK: The end

  /// Statements are not finalized, or backups not finished.
  public var isInUse: Bool { !statementList.isEmpty || state.databases.contains { $0?.pager.isInBackup == true } }

  /// Undoes an open transaction and closes the files. May wait; call it again then.
  /// - Throws: SQLITE_BUSY while statements are not finalized.
  ///
  /// In a fork of the process that opened it nothing but the handle goes: the rest is the parent's.
  public func close() throws(Fault) {
    if isClosed { return }
    if isInherited {
      for statement in statements { statement.finalize() }
      isClosed = true
      return
    }
    if isInUse {
      throw .error(.busy, "unable to close due to unfinalized statements or unfinished backups")
    }
    loader = nil
    try state.settleDebts(isEnd: true)
    try state.undoTransaction()
    for database in state.databases {
      if let pager = database?.pager, pager.state == .read { pager.endRead() }
    }
    for database in state.databases { database?.pager.close() }
    isClosed = true
  }

  /// Gives the files back where `close` has failed; blocks at waits. Statements are finalized; what cannot be undone is left to
  /// whoever opens the files next.
  public func abandon() {
    if isClosed { return }
    loader = nil
    for statement in statements { statement.finalize() }
    if !isInherited { for database in state.databases { database?.pager.close() } }
    isClosed = true
  }

  public func closeBlocking() throws(EngineError) { try block { () throws(Fault) in try close() } }

  /// Calls `body` again after each wait, on this thread, until it returns or fails.
  public func block<R>(_ body: () throws(Fault) -> R) throws(EngineError) -> R {
    while true {
      do throws(Fault) {
        return try body()
      } catch {
        switch error {
        case .failure(let failure): throw failure
        case .wait(let wait): self.wait(for: wait)
        }
      }
    }
  }
}

/// Breaks the circle between a connection and its pagers.
private final class BusyPolicy {
  weak var connection: Connection?
}
