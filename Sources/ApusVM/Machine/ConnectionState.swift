// What the machines of one connection share: its databases, its transaction, its counters, its functions.
// `Apus` makes one per connection. Used by one thread at a time, except for `interrupt`.
// `unsafe` lives here: the figures lie in memory of their own, which every insert writes without an exclusivity check.

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

  /// 0 main, 1 temp (nil until it is used), 2 and up attached.
  public internal(set) var databases: [AttachedDatabase?]
  /// Makes the temporary database when it is first used.
  private let makeTemporary: () throws(Fault) -> Pager

  // The transaction.
  public internal(set) var isAutocommit = true
  var savepoints: [NamedSavepoint] = []
  /// Databases whose catalog is stale since the last `takeStaleCatalogs`, bit by bit.
  private(set) var staleCatalogs: UInt64 = 0
  /// Databases whose schema the open transaction has changed.
  var schemaChangedInTransaction: UInt64 = 0
  /// Deferred foreign keys that are violated at the moment.
  public internal(set) var deferredConstraints = 0

  // What statements read and leave behind.
  let figuresMemory: UnsafeMutablePointer<ConnectionFigures>
  public var settings = ConnectionSettings()
  public var limits = MachineLimits()
  let interrupted = Atomic<Bool>(false)

  /// Machines that run: between their first step and their end.
  var active: [MachineReference] = []
  /// What a statement that was dropped at a wait has left undone.
  var owed: OwedWork?

  public init(
    environment: any Environment, queue: any IOQueue, main: Pager, functions: FunctionRegistry,
    makeTemporary: @escaping () throws(Fault) -> Pager
  ) {
    self.environment = environment
    self.queue = queue
    self.functions = functions
    self.makeTemporary = makeTemporary
    databases = [AttachedDatabase(name: "main", pager: main), nil]
    unsafe figuresMemory = UnsafeMutablePointer<ConnectionFigures>.allocate(capacity: 1)
    unsafe figuresMemory.initialize(to: ConnectionFigures())
  }

  deinit {
    precondition(active.isEmpty, "statements end before their connection")
    unsafe figuresMemory.deallocate()
  }

  /// Changes, total changes, last rowid.
  public var figures: ConnectionFigures {
    get { unsafe figuresMemory.pointee }
    set { unsafe figuresMemory.pointee = newValue }
  }

  /// Stops the statements that run now at their next check. The one method that any thread may call.
  public func interrupt() { interrupted.store(true, ordering: .relaxed) }

  public func clearInterrupt() { interrupted.store(false, ordering: .relaxed) }

  public var isInterrupted: Bool { interrupted.load(ordering: .relaxed) }

  // MARK: Databases

  /// The pager of database `index`; the temporary one is made now where it was not.
  public func pager(_ index: Int) throws(Fault) -> Pager {
    if index < databases.count, let database = databases[index] { return database.pager }
    guard index == 1 else { throw .error(.error, "unknown database") }
    let pager = try makeTemporary()
    databases[1] = AttachedDatabase(name: "temp", pager: pager)
    return pager
  }

  /// A pager for a statement's ephemeral tables.
  func makeEphemeralPager() -> Pager {
    Pager.temporary(environment: environment, queue: queue)
  }

  public func attach(_ database: AttachedDatabase) -> Int {
    if let free = databases.indices.dropFirst(2).first(where: { databases[$0] == nil }) {
      databases[free] = database
      return free
    }
    databases.append(database)
    return databases.count - 1
  }

  /// - Precondition: no statement uses it.
  public func detach(_ index: Int) -> AttachedDatabase? {
    precondition(index >= 2 && index < databases.count)
    let database = databases[index]
    databases[index] = nil
    return database
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
}

/// What pragmas set for a connection.
public struct ConnectionSettings: Sendable {
  public var values: [Setting: Int64] = [:]
  /// Changes of database files are refused (PRAGMA query_only).
  public var isQueryOnly = false

  public init() {}
}

/// What a statement may cost.
public struct MachineLimits: Sendable {
  /// Bytes of a text, a blob or a row.
  public var lengthMax = 1_000_000_000
  /// Loop turns of one statement (jumps backward); 0: no limit.
  public var turnCountMax: UInt64 = 0
  /// Bytes that a sorter may hold in memory before it spills.
  public var sorterBytes = 4 << 20
  /// Bytes that a hash table may hold before sorting takes over.
  public var hashBytes = 4 << 20

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
  var marks: [Int: Int] = [:]
  var wholeTransaction = false
}
