// Online backups between connections and files, and databases as bytes.
// Sources: https://sqlite.org/c3ref/backup_finish.html, https://sqlite.org/c3ref/serialize.html

import ApusBase
import ApusIO
import ApusSQL
import ApusStorage
import ApusVM

/// A backup under way. It is used by the thread that uses its connections.
public final class ConnectionBackup {
  /// For backups that are to end beside a writer that does not rest; a few attempts leave the source free between
  /// their steps.
  public static let usualRestartCount = 3

  private let backup: OnlineBackup
  /// The connection whose catalog is another one after the backup.
  private let changed: (connection: Connection, database: Int)?
  /// The connection whose database is copied, where there is one. It is not kept.
  private weak var source: Connection?
  private let hasSource: Bool

  init(_ backup: OnlineBackup, from source: Connection? = nil, changes: (Connection, Int)?) {
    self.backup = backup
    self.source = source
    hasSource = source != nil
    changed = changes
  }

  /// See `OnlineBackup.step`.
  /// - Throws: SQLITE_MISUSE where the source's connection is gone; then only `finish` is left.
  public func step(pages: Int) throws(Fault) -> Bool {
    if hasSource, source == nil, !backup.isDone { throw .error(.misuse, cause: "the source's connection is gone") }
    try source?.checkProcess()
    try changed?.connection.checkProcess()
    let isDone = try backup.step(pages: pages)
    if isDone, let changed { changed.connection.state.markCatalogsStale(1 << UInt64(changed.database)) }
    return isDone
  }

  public func finish() throws(Fault) {
    if source?.isInherited == true || changed?.connection.isInherited == true { return }
    try backup.finish()
  }

  /// See `OnlineBackup.restartCountMax`.
  public var restartCountMax: Int? {
    get { backup.restartCountMax }
    set { backup.restartCountMax = newValue }
  }

  public var isDone: Bool { backup.isDone }
  public var remaining: Int { backup.remaining }
  public var pageCount: Int { backup.pageCount }
}

/// How a database made of bytes may be used.
public struct DeserializeOptions: Sendable {
  public var isReadOnly = false
  /// Bytes that it may grow to; nil for no limit.
  public var byteCountMax: Int?

  public init(isReadOnly: Bool = false, byteCountMax: Int? = nil) {
    self.isReadOnly = isReadOnly
    self.byteCountMax = byteCountMax
  }
}

extension Connection {
  // MARK: Backups

  /// A backup of `source`'s database into one of this connection's. Nothing is done before the first step.
  /// - Throws: SQLITE_ERROR where a name is unknown, source and destination are the same, or the destination is in use.
  public func makeBackup(
    into name: String = "main", from source: Connection, database sourceName: String = "main"
  ) throws(EngineError) -> ConnectionBackup {
    if source === self { throw EngineError(.error, "source and destination must be distinct") }
    let (index, target) = try database(named: name)
    let (_, origin) = try source.database(named: sourceName)
    if target.state != .none || target.isBackupTarget { throw EngineError(.error, "destination database is in use") }
    let place = try backupTarget(target, queue: source.queue)
    return ConnectionBackup(source.backup(origin, to: place), from: source, changes: (self, index))
  }

  /// A backup of one of this connection's databases into the file at `path`, which need not exist.
  public func makeBackup(
    of name: String = "main", toFile path: String, configuration: Pager.Configuration = Pager.Configuration()
  ) throws(EngineError) -> ConnectionBackup {
    let (_, origin) = try database(named: name)
    if try environment.fullPath(path) == origin.filePath {
      throw EngineError(.error, "source and destination must be distinct")
    }
    let pager = try Pager(environment: environment, queue: queue, path: path, configuration: configuration)
    pager.busyPolicy = origin.busyPolicy
    return ConnectionBackup(backup(origin, to: FileBackupTarget(pager)), from: self, changes: nil)
  }

  /// A snapshot that a connection has left when it went is nobody else's.
  private func backup(_ origin: Pager, to target: any BackupTarget) -> OnlineBackup {
    OnlineBackup(source: origin, target: target) { [weak self] in
      if let self { endIdleRead(origin) } else if origin.state == .read { origin.endRead() }
    }
  }

  /// What is in the file at `path`, into one of this connection's databases.
  public func makeRestore(of name: String = "main", fromFile path: String) throws(EngineError) -> ConnectionBackup {
    let (index, target) = try database(named: name)
    if target.state != .none || target.isBackupTarget { throw EngineError(.error, "destination database is in use") }
    if try environment.fullPath(path) == target.filePath {
      throw EngineError(.error, "source and destination must be distinct")
    }
    var configuration = Pager.Configuration()
    // Not for reading only: a hot journal or a log is recovered first.
    configuration.mayCreate = false
    let origin = try Pager(environment: environment, queue: queue, path: path, configuration: configuration)
    origin.busyPolicy = target.busyPolicy
    let backup = OnlineBackup(source: origin, target: try backupTarget(target, queue: queue)) {
      if origin.state == .read { origin.endRead() }
    }
    return ConnectionBackup(backup, changes: (self, index))
  }

  private func backupTarget(_ pager: Pager, queue: any IOQueue) throws(EngineError) -> any BackupTarget {
    guard let path = pager.filePath else { return MemoryBackupTarget(pager) }
    if pager.isReadOnly { return RefusingTarget(path) }
    let own = try Pager(environment: environment, queue: queue, path: path, configuration: pager.configuration)
    own.busyPolicy = pager.busyPolicy
    let target = FileBackupTarget(own)
    target.hold(pager)
    return target
  }

  /// - Throws: SQLITE_ERROR where the connection has no such database.
  func database(named name: String) throws(EngineError) -> (index: Int, pager: Pager) {
    let key = Name(name).key
    let known = state.databases.firstIndex { $0.map { Name($0.name).key == key } ?? false }
    guard let index = known ?? (key == Name("temp").key ? 1 : nil) else { throw EngineError(.error, "unknown database \(name)") }
    return (index, try block { () throws(Fault) in try state.pager(index) })
  }

  // MARK: Page checksums

  /// Gives every page of a database with page checksums the checksum of what it holds: for a file that a program has written which
  /// does not keep them. Whether the content is right, only a look at it tells.
  /// - Throws: SQLITE_MISUSE where the file carries no checksums.
  public func resealPages(_ name: String = "main") throws(EngineError) {
    let (_, pager) = try database(named: name)
    if pager.state != .none { throw EngineError(.error, cause: "a transaction is open") }
    let verifies = pager.verifiesChecksums
    pager.verifiesChecksums = false
    defer { pager.verifiesChecksums = verifies }
    var next: UInt32 = 1
    do throws(EngineError) {
      try block { () throws(Fault) in try pager.resealPages(from: &next) }
    } catch {
      try? block { () throws(Fault) in
        if pager.state == .write { try pager.rollback() }
        if pager.state == .read { pager.endRead() }
      }
      throw error
    }
  }

  // MARK: Bytes

  /// The bytes that a file with this database would have, what the open transaction has changed included.
  public func serialize(_ name: String = "main") throws(EngineError) -> [UInt8] {
    let serialization = try Serialization(self, name)
    return try block { () throws(Fault) in
      while !(try serialization.step(pages: .max)) {}
      return serialization.takeBytes()
    }
  }

  /// The same, page by page, after `reserve` was told how many bytes there are.
  public func serialize(
    _ name: String, reserve: (Int) -> Void, _ body: (_ number: UInt32, _ page: ByteView) -> Void
  ) throws(EngineError) {
    let (_, pager) = try database(named: name)
    try state.checkNotVacuuming()
    let walk = PageWalk(pager)
    var isFirst = true
    // A page that cannot be read ends the snapshot too.
    defer { endIdleRead(pager) }
    try block { () throws(Fault) in
      try checkProcess()
      try state.settleDebts()
      if pager.state == .none { try pager.beginRead() }
      if isFirst {
        reserve(max(Int(pager.pageCount), 1) * pager.pageSize)
        isFirst = false
      }
      if pager.pageCount == 0 { try walk.showEmptyDatabase(body) } else { try walk.run(body) }
    }
  }

  /// Makes the database `name` one in memory with the given content, as sqlite3_deserialize does; the bytes are copied. What the
  /// name stood for before is closed. Bytes that are no database show at the first use.
  /// - Throws: SQLITE_ERROR for an unknown name and for "temp"; SQLITE_BUSY while a transaction or a backup uses it.
  public func deserialize(
    _ name: String = "main", _ bytes: ByteView, _ options: DeserializeOptions = DeserializeOptions()
  ) throws(EngineError) {
    let (index, old) = try database(named: name)
    if index == 1 { throw EngineError(.error, "unknown database \(name)") }
    try state.checkNotVacuuming()
    if old.state != .none || old.isInBackup || old.isBackupTarget { throw EngineError(.busy) }
    var configuration = Pager.Configuration()
    configuration.isReadOnly = options.isReadOnly
    let pager = Pager.memory(environment: environment, contents: bytes, configuration: configuration)
    if let byteCountMax = options.byteCountMax {
      pager.limit(pageCount: UInt32(clamping: byteCountMax / max(pager.pageSize, 1)))
    }
    pager.busyPolicy = old.busyPolicy
    try block { () throws(Fault) in try old.shutDown() }
    state.replacePager(index, pager)
    schemas[index] = nil
    loader = nil
    state.markCatalogsStale(1 << UInt64(index))
    // The new schema may have the old one's cookie.
    functions.expirePrograms()
  }

  /// Bytes that `serialize` would give.
  public func byteCount(of name: String = "main") throws(EngineError) -> Int {
    let (_, pager) = try database(named: name)
    try state.checkNotVacuuming()
    try block { () throws(Fault) in
      try checkProcess()
      try state.settleDebts()
      if pager.state == .none { try pager.beginRead() }
    }
    defer { endIdleRead(pager) }
    return Int(pager.pageCount) * pager.pageSize
  }

  /// The database `name` lives in memory.
  public func isInMemory(_ name: String) -> Bool {
    guard let found = try? database(named: name) else { return false }
    return found.pager.isInMemory
  }
}

/// A database that may not be written: the first step says so, as SQLite does.
private final class RefusingTarget: BackupTarget {
  private let path: String
  init(_ path: String) { self.path = path }
  func begin(pageSize: Int, reserved: Int, hasChecksums: Bool) throws(Fault) { throw .error(.readOnly, object: path) }
  func makeRoom(for number: UInt32) {}
  func put(_ image: BackupPage) {}
  func commit(pageCount: UInt32) {}
  func close() {}
}
