// From text to program: catalogs that are fresh, one statement parsed and compiled.

import ApusBase
import ApusCompiler
import ApusSQL
import ApusStorage
import ApusVM

extension Connection {
  /// What the first statement of a text compiles to.
  struct Compiled {
    var program: Program
    /// Offset in the text behind the statement.
    var end: Int
  }

  /// Prepares the first statement of `sql` from byte `start` on. May wait; call it again then with the same arguments.
  /// - Returns: nil where nothing but blanks, comments and `;` is left, and where the next statement begins.
  public func prepare(
    _ sql: ByteView, from start: Int = 0
  ) throws(Fault) -> (statement: PreparedStatement?, end: Int) {
    guard let compiled = try compile(sql, from: start) else { return (nil, sql.count) }
    let statement = PreparedStatement(self, compiled.program, sql.slice(start, compiled.end - start))
    return (statement, compiled.end)
  }

  public func prepareBlocking(
    _ sql: ByteView, from start: Int = 0
  ) throws(EngineError) -> (statement: PreparedStatement?, end: Int) {
    try block { () throws(Fault) in try prepare(sql, from: start) }
  }

  /// Prepares the only statement of `sql`. May wait.
  public func prepare(_ sql: String) throws(Fault) -> PreparedStatement {
    var text = ByteBuffer(capacity: sql.utf8.count)
    text.append(contentsOf: sql)
    let (statement, end) = try prepare(text.bytes)
    guard let statement else { throw .error(.misuse, cause: "the text holds no statement") }
    do throws(SQLError) {
      if try SQLParser.parseNext(text.bytes, from: end) == nil { return statement }
    } catch {}
    statement.finalize()
    throw .error(.misuse, cause: "the text holds more than one statement", hint: "run them one by one")
  }

  public func prepareBlocking(_ sql: String) throws(EngineError) -> PreparedStatement {
    try block { () throws(Fault) in try prepare(sql) }
  }

  /// Runs all statements of `sql`; rows are passed over.
  public func execute(_ sql: String) throws(EngineError) {
    var text = ByteBuffer(capacity: sql.utf8.count)
    text.append(contentsOf: sql)
    var start = 0
    while start < text.count {
      let (statement, end) = try prepareBlocking(text.bytes, from: start)
      guard let statement else { return }
      defer { statement.finalize() }
      while try statement.stepBlocking() {}
      start = end
    }
  }

  /// True where a dropped statement has left something that `settle`, or the next statement, ends (a COMMIT apart, which may be
  /// said again: `settle` ends one that can only be brought to its end): changes to be undone, a
  /// checkpoint or a journal's playback whose pages are on their way.
  public var owesWork: Bool { !state.owesNothing || state.owesDroppedWrites }

  /// Ends what statements, and the preparing of statements, have left that were dropped at a wait: changes are undone, locks and
  /// snapshots given back. Every statement does so before anything else; this is for a connection that has no next one. May
  /// wait; call it again then.
  public func settle() throws(Fault) {
    try checkProcess()
    try state.settleDebts()
    try state.settleDroppedCommits()
    try state.settleDroppedWrites()
    state.endIdleReads()
    state.giveUpOpenings()
  }

  // MARK: Compiling

  func compile(_ sql: ByteView, from start: Int) throws(Fault) -> Compiled? {
    lastError = nil
    warnings = []
    do throws(Fault) {
      if isClosed { throw .error(.misuse, cause: "the connection is closed") }
      try checkProcess()
      try state.settleDebts()
      return try compileFresh(sql, from: start)
    } catch {
      if case .failure(let failure) = error { lastError = failure }
      throw error
    }
  }

  private func compileFresh(_ sql: ByteView, from start: Int) throws(Fault) -> Compiled? {
    // Only this statement's text goes further: a script of a megabyte is not looked at as a whole for each of its lines.
    let rest = sql.suffix(from: start)
    let parsed: ParsedStatement?
    do throws(SQLError) {
      parsed = try SQLParser.parseNext(rest)
    } catch {
      throw Fault.failure(EngineError(.error, error.message, sqlOffset: error.offset < 0 ? nil : error.offset))
    }
    guard let parsed else { return nil }
    let text = rest.slice(0, parsed.end)
    let needsCatalogs = Self.needsCatalogs(parsed)
    while true {
      if needsCatalogs { try refreshCatalogs() }
      do throws(EngineError) {
        let program = try Compiler.compile(parsed, sql: text, context: compilerContext())
        warnings = takeNotices() + program.warnings
        return Compiled(program: program, end: start + parsed.end)
      } catch {
        // A name that is missing may have been created by another connection meanwhile.
        if needsCatalogs, try cookiesHaveChanged() { continue }
        throw Fault.failure(error)
      }
    }
  }

  /// What the files' recoveries have found out since the last statement was prepared.
  private func takeNotices() -> [String] {
    var notices: [String] = []
    for database in state.databases { if let pager = database?.pager { notices += pager.takeNotices() } }
    return notices
  }

  /// Pragmas of the connection alone look at no file: the time-out can be set while the file is locked, and what says how the
  /// file is to be opened comes before it is.
  private static let pragmasWithoutCatalogs: Set<String> = [
    "busy_timeout", "concurrent_isolation", "direct_reads", "journal_size_limit", "locking_mode", "page_checksums",
    "query_only", "recovery", "strict_pragmas", "synchronous", "wal_autocheckpoint", "wal_size_limit",
  ]

  /// Nor do the statements around a transaction: ROLLBACK must come through while another connection has the file locked.
  private static func needsCatalogs(_ parsed: ParsedStatement) -> Bool {
    if parsed.explain != .none { return true }
    return switch parsed.statement {
    case .pragma(let pragma): !pragmasWithoutCatalogs.contains(pragma.name.key.string)
    case .begin(.deferred), .commit, .rollback, .savepoint, .release, .rollbackTo: false
    default: true
    }
  }

  /// The catalogs as they are known now.
  func schemaSet() -> SchemaSet {
    var set = SchemaSet(
      main: schemas[0] ?? Schema.empty(database: 0), temporary: schemas[1] ?? Schema.empty(database: 1))
    for index in schemas.indices.dropFirst(2) {
      guard let schema = schemas[index], let name = state.databases[index]?.name else { continue }
      set.databases.append(SchemaSet.Database(name: Name(name), schema: schema))
    }
    return set
  }

  private func compilerContext() -> CompilerContext {
    var settings = CompilerSettings()
    // The few that were ever set; others are as they begin.
    for (setting, value) in state.settings.values {
      switch setting {
      case .automaticIndex: settings.automaticIndex = value != 0
      case .reverseUnordered: settings.reverseUnorderedSelects = value != 0
      case .foreignKeys: settings.foreignKeys = value != 0
      case .recursiveTriggers: settings.recursiveTriggers = value != 0
      case .countChanges: settings.countChanges = value != 0
      case .caseSensitiveLike: settings.caseSensitiveLike = value != 0
      case .ignoreCheckConstraints: settings.ignoreCheckConstraints = value != 0
      case .writableSchema: settings.writableSchema = value != 0
      case .strictPragmas: settings.strictPragmas = value != 0
      default: break
      }
    }
    settings.queryOnly = state.isQueryOnly
    settings.textEncoding = state.settings.textEncoding
    var context = CompilerContext(
      schemas: schemaSet(), functions: functions, settings: settings, isAutocommit: state.isAutocommit)
    if !path.isEmpty { context.databasePaths[0] = path }
    if schemas.count > 2 {
      for index in 2..<schemas.count { context.databasePaths[index] = state.databases[index]?.pager.filePath }
    }
    return context
  }

  // MARK: Catalogs

  /// Reads the catalogs that are stale or were never read.
  func refreshCatalogs() throws(Fault) {
    staleCatalogs |= state.takeStaleCatalogs()
    let count = state.databases.count
    while schemas.count < count { schemas.append(nil) }
    for index in 0..<count {
      let bit: UInt64 = 1 << UInt64(index)
      if schemas[index] != nil, staleCatalogs & bit == 0 { continue }
      guard let pager = state.databases[index]?.pager else {
        schemas[index] = Schema.empty(database: index)
        staleCatalogs &= ~bit
        continue
      }
      do throws(EngineError) { try state.checkNotVacuuming() } catch { throw .failure(error) }
      let hasOpened = pager.state == .none
      try pager.beginRead()
      // One that a dropped statement has left half way may have read in another snapshot.
      if hasOpened || loader == nil || loader?.reads(pager, at: state.runMoment) != true {
        schemaGeneration &+= 1
        loader = CatalogLoader(
          database: index, pager: pager, generation: schemaGeneration, hasOpenedRead: hasOpened,
          moment: state.runMoment)
      }
      do throws(Fault) {
        schemas[index] = try loadCatalog()
        if index == 0, let encoding = loader?.textEncoding { state.settings.textEncoding = encoding }
      } catch {
        if case .failure = error {
          let hadOpened = loader?.hasOpenedRead == true
          loader = nil
          endIdleRead(index, pager, hadOpened)
        }
        throw error
      }
      let hadOpened = loader?.hasOpenedRead == true
      loader = nil
      staleCatalogs &= ~bit
      endIdleRead(index, pager, hadOpened)
    }
  }

  func loadCatalog() throws(Fault) -> Schema? { try loader?.load() }

  /// A snapshot that was opened here is not kept for a transaction that does not exist.
  func endIdleRead(_ pager: Pager) {
    if state.isAutocommit, !state.hasActiveStatements, pager.state == .read { pager.endRead() }
  }

  /// The same for a snapshot that only looked at the catalog: a transaction that has not come to this database needs none.
  private func endIdleRead(_ index: Int, _ pager: Pager, _ hasOpened: Bool) {
    if pager.state != .read { return }
    if state.isAutocommit && !state.hasActiveStatements || hasOpened && !state.isInUse(index) { pager.endRead() }
  }

  /// Marks the catalogs that another connection has changed as stale.
  private func cookiesHaveChanged() throws(Fault) -> Bool {
    if state.isVacuuming { return false }
    var haveChanged = false
    for (index, schema) in schemas.enumerated() {
      guard let schema, let pager = state.databases[index]?.pager else { continue }
      let hasOpened = pager.state == .none
      do throws(Fault) {
        try pager.beginRead()
        pager.beginOperation()
        let cookie = pager.pageCount == 0 ? 0 : try pager.meta(1)
        if cookie != schema.cookie {
          staleCatalogs |= 1 << UInt64(index)
          haveChanged = true
        }
      } catch {
        // Who cannot look because of another's lock reports what it meant to report; how a dropped COMMIT ended is told.
        guard case .failure(let failure) = error, failure.code.primary != .ioError else { throw error }
      }
      endIdleRead(index, pager, hasOpened)
    }
    return haveChanged
  }
}
