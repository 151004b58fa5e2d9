// What the machines of one connection share: its databases, its transaction, its counters, its functions.
// `Apus` makes one per connection. Used by one thread at a time, except for `interrupt`.
// `unsafe` lives here: what changes with every statement lies in memory of its own, read and written without a check for
// exclusive access.

import ApusBase
import ApusIO
import ApusStorage
import Synchronization

/// A database that the connection has open, under the name that SQL calls it by.
public struct AttachedDatabase {
  public var name: String
  public var pager: Pager

  public init(name: String, pager: Pager) {
    self.name = name
    self.pager = pager
  }
}

@safe
public final class ConnectionState {
  public let environment: any Environment
  public let queue: any IOQueue
  public let functions: FunctionRegistry
  /// Custom collations by name in capitals.
  public var collations: [String: any CustomCollation] = [:]

  /// Opens databases for ATTACH; nil: there is nobody who could.
  public weak var opener: (any DatabaseOpener)?
  /// Database 0.
  private var main: Pager { unsafe fields.pointee.main }
  /// Makes the temporary database when it is first used.
  private let makeTemporary: () throws(Fault) -> Pager
  private let fields: UnsafeMutablePointer<ConnectionFields>
  let interrupted = Atomic<Bool>(false)

  public init(
    environment: any Environment, queue: any IOQueue, main: Pager, functions: FunctionRegistry,
    makeTemporary: @escaping () throws(Fault) -> Pager
  ) {
    self.environment = environment
    self.queue = queue
    self.functions = functions
    self.makeTemporary = makeTemporary
    unsafe fields = UnsafeMutablePointer<ConnectionFields>.allocate(capacity: 1)
    unsafe fields.initialize(
      to: ConnectionFields(main: main, databases: [AttachedDatabase(name: "main", pager: main), nil]))
  }

  deinit {
    precondition(active.isEmpty, "statements end before their connection")
    unsafe fields.deinitialize(count: 1)
    unsafe fields.deallocate()
  }

  // MARK: Fields

  /// 0 main, 1 temp (nil until it is used), 2 and up attached.
  public internal(set) var databases: [AttachedDatabase?] {
    get { unsafe fields.pointee.databases }
    _modify { yield unsafe &fields.pointee.databases }
  }

  /// Results wait for `awaitBases`.
  public internal(set) var holdsBack: Bool {
    get { unsafe fields.pointee.holdsBack }
    set { unsafe fields.pointee.holdsBack = newValue }
  }
  /// The open transaction was begun with BEGIN CONCURRENT.
  public internal(set) var isConcurrent: Bool {
    get { unsafe fields.pointee.isConcurrent }
    set { unsafe fields.pointee.isConcurrent = newValue }
  }
  /// What it was begun at.
  var isolation: ConcurrentIsolation {
    get { unsafe fields.pointee.isolation }
    set { unsafe fields.pointee.isolation = newValue }
  }

  public internal(set) var isAutocommit: Bool {
    get { unsafe fields.pointee.isAutocommit }
    set { unsafe fields.pointee.isAutocommit = newValue }
  }

  var savepoints: [NamedSavepoint] {
    _read { yield unsafe fields.pointee.savepoints }
    _modify { yield unsafe &fields.pointee.savepoints }
  }

  /// Databases whose catalog is stale since the last `takeStaleCatalogs`, bit by bit.
  private var staleCatalogs: UInt64 {
    get { unsafe fields.pointee.staleCatalogs }
    set { unsafe fields.pointee.staleCatalogs = newValue }
  }

  /// Databases whose schema the open transaction has changed.
  var schemaChangedInTransaction: UInt64 {
    get { unsafe fields.pointee.schemaChangedInTransaction }
    set { unsafe fields.pointee.schemaChangedInTransaction = newValue }
  }

  /// Deferred foreign keys that are violated at the moment.
  public internal(set) var deferredConstraints: Int {
    get { unsafe fields.pointee.deferredConstraints }
    set { unsafe fields.pointee.deferredConstraints = newValue }
  }

  /// Changes, total changes, last rowid.
  public var figures: ConnectionFigures {
    get { unsafe fields.pointee.figures }
    set { unsafe fields.pointee.figures = newValue }
  }

  /// A statement has changed `count` rows.
  func noteChanges(_ count: Int64) {
    unsafe fields.pointee.figures.changes = count
    unsafe fields.pointee.figures.totalChanges += count
  }

  public var settings: ConnectionSettings {
    get { unsafe fields.pointee.settings }
    _modify { yield unsafe &fields.pointee.settings }
  }

  public var limits: MachineLimits {
    get { unsafe fields.pointee.limits }
    set { unsafe fields.pointee.limits = newValue }
  }

  /// Changes of database files are refused, by PRAGMA query_only or by the connection's owner.
  public var isQueryOnly: Bool { unsafe fields.pointee.settings.isQueryOnly || fields.pointee.settings.onlyReads }

  /// Machines that run: between their first step and their end.
  var active: [MachineReference] {
    _read { yield unsafe fields.pointee.active }
    _modify { yield unsafe &fields.pointee.active }
  }

  /// The commit of several files that is under way, or failed.
  var superCommit: SuperCommit? {
    get { unsafe fields.pointee.superCommit }
    set { unsafe fields.pointee.superCommit = newValue }
  }

  /// Grows with each beginning and each end of a statement: between two equal values neither snapshot nor schema is another.
  public var runMoment: UInt64 {
    get { unsafe fields.pointee.runMoment }
    set { unsafe fields.pointee.runMoment = newValue }
  }

  /// The statement that commits and has stopped at a wait.
  var committing: MachineReference? {
    get { unsafe fields.pointee.committing }
    set { unsafe fields.pointee.committing = newValue }
  }

  /// The statement that is undoing the whole transaction and has stopped at a wait.
  var rollingBack: MachineReference? {
    get { unsafe fields.pointee.rollingBack }
    set { unsafe fields.pointee.rollingBack = newValue }
  }

  public var isVacuuming: Bool { vacuuming != nil }

  /// The statement that runs VACUUM: until it ends, no other one of the connection begins.
  var vacuuming: MachineReference? {
    get { unsafe fields.pointee.vacuuming }
    set { unsafe fields.pointee.vacuuming = newValue }
  }

  @inline(__always)
  public var owesNothing: Bool { unsafe fields.pointee.owed == nil }

  /// What a statement that was dropped at a wait has left undone.
  var owed: OwedWork? {
    _read { yield unsafe fields.pointee.owed }
    _modify { yield unsafe &fields.pointee.owed }
  }

  /// Stops the statements that run now at their next check. The one method that any thread may call.
  public func interrupt() { interrupted.store(true, ordering: .relaxed) }

  /// An interrupt also hits a statement that has not begun yet: who drives the connection clears it. Otherwise, as in
  /// SQLite, it is forgotten when the first statement starts.
  public var keepsInterrupts: Bool {
    get { unsafe fields.pointee.keepsInterrupts }
    set { unsafe fields.pointee.keepsInterrupts = newValue }
  }

  public func clearInterrupt() { interrupted.store(false, ordering: .relaxed) }

  public var isInterrupted: Bool { interrupted.load(ordering: .relaxed) }

  // MARK: Databases

  /// The pager of database `index`; the temporary one is made now where it was not.
  public func pager(_ index: Int) throws(Fault) -> Pager {
    if index == 0 { return main }
    if index < databases.count, let database = databases[index] { return database.pager }
    guard index == 1 else { throw .error(.error, "unknown database") }
    let pager = try makeTemporary()
    adoptSettings(pager)
    databases[1] = AttachedDatabase(name: "temp", pager: pager)
    return pager
  }

  /// What was said for all databases counts for one that joins.
  func adoptSettings(_ pager: Pager) {
    if settings.values[.cacheSpill] == 0 { pager.setSpilling(false) }
    if main.configuration.readsDirectly { pager.setDirectReads(true) }
  }

  /// A pager for a statement's ephemeral tables.
  func makeEphemeralPager() -> Pager {
    Pager.temporary(environment: environment, queue: queue)
  }

  /// Another database under the same name.
  /// - Precondition: no statement uses it.
  public func replacePager(_ index: Int, _ pager: Pager) {
    if let old = databases[index]?.pager { precondition(old.state == .none) }
    databases[index]?.pager = pager
    if index == 0 { unsafe fields.pointee.main = pager }
  }

  // MARK: Catalogs

  /// The databases whose catalogs must be read again before the next statement is compiled; they count as fresh then.
  public func takeStaleCatalogs() -> UInt64 {
    defer { staleCatalogs = 0 }
    return staleCatalogs
  }

  public var hasStaleCatalogs: Bool { staleCatalogs != 0 }

  public func markCatalogsStale(_ databases: UInt64) { staleCatalogs |= databases }

  // MARK: Statements

  /// True while some statement is between its first step and its end.
  public var hasActiveStatements: Bool { !active.isEmpty }

  /// True while some statement that runs reads or writes database `index`.
  public func isInUse(_ index: Int) -> Bool { active.contains { ($0.uses | $0.writes) & (1 << UInt64(index)) != 0 } }
}

/// What changes as statements run.
private struct ConnectionFields {
  var keepsInterrupts = false
  var main: Pager
  var databases: [AttachedDatabase?]
  var isAutocommit = true
  var isConcurrent = false
  var isolation = ConcurrentIsolation.serializable
  var holdsBack = false
  var savepoints: [NamedSavepoint] = []
  var staleCatalogs: UInt64 = 0
  var schemaChangedInTransaction: UInt64 = 0
  var deferredConstraints = 0
  var figures = ConnectionFigures()
  var settings = ConnectionSettings()
  var limits = MachineLimits()
  var active: [MachineReference] = []
  var owed: OwedWork?
  var superCommit: SuperCommit?
  var rollingBack: MachineReference?
  var committing: MachineReference?
  var vacuuming: MachineReference?
  var runMoment: UInt64 = 0
}

/// The pagers' savepoints that a statement opened: its undo scopes, by database.
struct UndoMarks {
  // Nearly every statement writes one database.
  private var database = -1
  private var mark = 0
  private var others: [(database: Int, mark: Int)] = []

  @inline(__always)
  var isEmpty: Bool { database < 0 }

  subscript(database: Int) -> Int? {
    if self.database == database { return mark }
    return others.first { $0.database == database }?.mark
  }

  /// - Precondition: there is none for the database.
  mutating func insert(_ database: Int, _ mark: Int) {
    if self.database < 0 {
      self.database = database
      self.mark = mark
    } else {
      others.append((database, mark))
    }
  }

  /// Takes the older mark of each database.
  mutating func merge(_ newer: UndoMarks) {
    var merged = self
    func take(_ database: Int, _ mark: Int) {
      if merged.database == database {
        merged.mark = min(merged.mark, mark)
      } else if let place = merged.others.firstIndex(where: { $0.database == database }) {
        merged.others[place].mark = min(merged.others[place].mark, mark)
      } else {
        merged.insert(database, mark)
      }
    }
    if newer.database >= 0 { take(newer.database, newer.mark) }
    for other in newer.others { take(other.database, other.mark) }
    self = merged
  }

  @inline(__always)
  func forEach(_ body: (_ database: Int, _ mark: Int) throws(Fault) -> Void) throws(Fault) {
    if database < 0 { return }
    try body(database, mark)
    for other in others { try body(other.database, other.mark) }
  }

  @inline(__always)
  mutating func removeAll() {
    if database < 0 { return }
    database = -1
    if !others.isEmpty { others = [] }
  }
}

/// What pragmas set for a connection.
public struct ConnectionSettings: Sendable {
  public var values: [Setting: Int64] = [:]
  /// Changes of database files are refused (PRAGMA query_only).
  public var isQueryOnly = false
  /// The same, by the connection's owner: no statement ends it.
  public var onlyReads = false
  /// How all databases of the connection store text: the main one's encoding, or what PRAGMA encoding asks for while that
  /// one is empty.
  public var textEncoding = TextEncoding.utf8

  public init() {}
}

/// What a statement may cost.
public struct MachineLimits: Sendable {
  /// Bytes of a text, a blob or a row.
  public var lengthMax = 1_000_000_000
  /// Loop turns of one statement (jumps backward); 0: no limit.
  public var turnCountMax: UInt64 = 0
  /// Bytes that a sorter may hold in memory before it spills.
  public var sorterBytes = 12 << 20
  /// Most databases beside main and temp (SQLITE_LIMIT_ATTACHED).
  public var attachedCountMax = 10
  /// Bytes that a hash table may hold before sorting takes over.
  public var hashBytes = 2 << 20

  public init() {}
}

struct NamedSavepoint {
  var name: String
  /// Opened outside a transaction: its release commits.
  var isTransaction: Bool
  /// The pagers' own savepoints, by database; absent where the database was not being written.
  var marks: [Int: Int] = [:]
}

/// What must be undone before the connection goes on.
struct OwedWork {
  var marks = UndoMarks()
  var wholeTransaction = false
  /// The savepoint to which a roll-back was begun.
  var rollback: Int?
  /// A commit of several files has come so far that it must be ended.
  var finishesCommit = false
}
