// A prepared statement: a program with its parameters, compiled again by itself where the schema has changed.
//
// `unsafe` lives here: the machine, and how far the statement has come, lie in memory that the statement owns, from its making
// to its end. As properties of a class they would cost checks for exclusive access at each row and each column.

import ApusBase
import ApusCompiler
import ApusVM

@safe
public final class PreparedStatement {
  public let connection: Connection
  /// The statement's text, with what stands before it; bytes that are not UTF-8 are repaired in it.
  public let sql: String
  /// The text byte for byte, where `sql` is not that.
  private let original: [UInt8]?
  private let machine: UnsafeMutablePointer<Machine>
  private let progress: UnsafeMutablePointer<Progress>
  private let isListing: Bool
  private var listing: ProgramListing?
  private var heldResult: Result<StepResult, EngineError>?
  /// Its place in the connection's list, until it is finalized.
  private var place: Int?

  /// As often as SQLite tries (SQLITE_MAX_SCHEMA_RETRY).
  private static let recompileCountMax = 50

  init(_ connection: Connection, _ program: Program, _ text: ByteView) {
    self.connection = connection
    // Mostly nothing stands before the statement: one text will do.
    sql = text.isEqual(to: program.sql) ? program.sql : text.string
    original = text.isEqual(to: sql) ? nil : text.array
    unsafe machine = .allocate(capacity: 1)
    unsafe machine.initialize(to: Machine(program: program, state: connection.state))
    unsafe progress = .allocate(capacity: 1)
    unsafe progress.initialize(to: Progress(functionsVersion: connection.functions.version))
    isListing = program.explainMode != 0
    if isListing { listing = ProgramListing(program) }
    place = connection.register(self)
  }

  deinit {
    unregister()
    // In a fork the run is the parent's: nothing of it is given back here, memory included.
    if !connection.isInherited {
      unsafe machine.deinitialize(count: 1)
      unsafe machine.deallocate()
    }
    unsafe progress.deallocate()
  }

  private struct Progress {
    var functionsVersion: Int
    var isFinalized = false
    var isRunning = false
    var hasRow = false
    /// A result that is not given out yet.
    var isHeld = false
    // Compiling again because of SQLITE_SCHEMA: whether one is under way, and how often in this run.
    var mustRecompile = false
    var recompileCount = 0
  }

  private var isFinalized: Bool {
    get { unsafe progress.pointee.isFinalized }
    set { unsafe progress.pointee.isFinalized = newValue }
  }
  private var isRunning: Bool {
    get { unsafe progress.pointee.isRunning }
    set { unsafe progress.pointee.isRunning = newValue }
  }
  private var hasRow: Bool {
    get { unsafe progress.pointee.hasRow }
    set { unsafe progress.pointee.hasRow = newValue }
  }
  private var isHeld: Bool {
    get { unsafe progress.pointee.isHeld }
    set { unsafe progress.pointee.isHeld = newValue }
  }
  private var mustRecompile: Bool {
    get { unsafe progress.pointee.mustRecompile }
    set { unsafe progress.pointee.mustRecompile = newValue }
  }
  private var recompileCount: Int {
    get { unsafe progress.pointee.recompileCount }
    set { unsafe progress.pointee.recompileCount = newValue }
  }
  private var functionsVersion: Int {
    get { unsafe progress.pointee.functionsVersion }
    set { unsafe progress.pointee.functionsVersion = newValue }
  }

  // MARK: What it is

  public var program: Program { unsafe machine.pointee.program }
  /// 0 a statement, 1 EXPLAIN, 2 EXPLAIN QUERY PLAN.
  public var explainMode: Int { program.explainMode }
  public var columns: [ResultColumn] { listing?.columns ?? program.resultColumns }
  public var columnCount: Int { listing?.columns.count ?? program.resultColumns.count }
  /// The statement's text as it was given, bytes that are not UTF-8 included.
  public func withText<R>(_ body: (ByteView) -> R) -> R {
    if let original { return unsafe original.withUnsafeBytes { unsafe body(ByteView(unchecked: $0)) } }
    var text = sql
    return text.withUTF8 { unsafe body(ByteView(unchecked: UnsafeRawBufferPointer($0))) }
  }

  /// Writes no database file.
  public var isReadOnly: Bool { explainMode != 0 || program.isReadOnly }
  /// True between the first step and the end or the reset.
  public var isBusy: Bool { isRunning }

  // MARK: Parameters

  public var parameterCount: Int { program.parameterNames.count }

  /// The name with its sigil (":n", "@n", "$n", "?7"); nil for `?`.
  public func parameterName(_ index: Int) -> String? {
    index >= 1 && index <= parameterCount ? program.parameterNames[index - 1] : nil
  }

  /// The number of the parameter with this name, sigil included; 0 where there is none.
  public func parameterIndex(_ name: String) -> Int {
    // By bytes: Swift takes strings for equal that Unicode writes in several ways.
    (program.parameterNames.firstIndex { $0?.utf8.elementsEqual(name.utf8) == true } ?? -1) + 1
  }

  /// Binds parameter `index` (from 1); the bytes are copied.
  /// - Throws: SQLITE_RANGE where there is no such parameter, SQLITE_MISUSE while the statement runs.
  public func bind(_ value: Value, at index: Int) throws(EngineError) {
    if isFinalized || isRunning {
      throw EngineError(.misuse, cause: isFinalized ? "the statement is finalized" : "the statement runs")
    }
    try unsafe machine.pointee.bind(value, at: index)
  }

  public func clearBindings() { unsafe machine.pointee.clearBindings() }

  /// What is bound at `index` (from 1); its bytes stay until it is bound anew.
  public func binding(_ index: Int) -> Value { unsafe machine.pointee.parameter(index) }

  // MARK: Running

  /// Runs to the next row, the end, or a wait; after `.pending` call it again. After the end it starts over.
  public func step() throws(EngineError) -> StepResult {
    if connection.lastError != nil { connection.lastError = nil }
    do throws(EngineError) {
      let result = connection.state.holdsBack || isHeld ? try advanceHoldingBack() : try advanceFreely()
      hasRow = if case .row = result { true } else { false }
      isRunning = if case .done = result { false } else { true }
      if !isRunning { recompileCount = 0 }
      return result
    } catch {
      hasRow = false
      isRunning = false
      recompileCount = 0
      mustRecompile = false
      connection.lastError = error
      throw error
    }
  }

  /// The transaction goes on top of a commit that is not durable yet. What shows something of that is given out when it is: rows,
  /// failures, and the transaction's end.
  private func advanceHoldingBack() throws(EngineError) -> StepResult {
    let outcome: Result<StepResult, EngineError>
    if let heldResult {
      outcome = heldResult
    } else {
      do throws(EngineError) { outcome = .success(try advance()) } catch { outcome = .failure(error) }
    }
    return try giveOut(outcome)
  }

  private func giveOut(_ outcome: Result<StepResult, EngineError>) throws(EngineError) -> StepResult {
    switch outcome {
    case .success(.pending): return try outcome.get()
    case .success(.done) where !connection.isAutocommit:
      connection.state.goOnWithBases()
      return .done
    case .success, .failure: break
    }
    #if PlantedBugs
      if PlantedBug.isActive(.answerOnPendingBase) { return try outcome.get() }
    #endif
    do throws(Fault) {
      try connection.state.awaitBases()
    } catch {
      switch error {
      case .wait(let wait):
        heldResult = outcome
        isHeld = true
        return .pending(wait)
      case .failure(let failure):
        letGo()
        throw failure
      }
    }
    letGo()
    return try outcome.get()
  }

  /// The statement may be the one that begins on such a commit.
  private func advanceFreely() throws(EngineError) -> StepResult {
    let outcome: Result<StepResult, EngineError>
    do throws(EngineError) {
      let result = try advance()
      if !connection.state.holdsBack { return result }
      outcome = .success(result)
    } catch {
      if !connection.state.holdsBack { throw error }
      outcome = .failure(error)
    }
    return try giveOut(outcome)
  }

  private func letGo() {
    heldResult = nil
    isHeld = false
  }

  private func advance() throws(EngineError) -> StepResult {
    if isFinalized { throw EngineError(.misuse, cause: "the statement is finalized") }
    if connection.isClosed { throw EngineError(.misuse, cause: "the connection is closed") }
    if connection.isInherited {
      do throws(Fault) { try connection.checkProcess() } catch { if case .failure(let failure) = error { throw failure } }
    }
    if isListing { return listing?.advance() == true ? .row : .done }
    if !isRunning, functionsVersion != connection.functions.version { mustRecompile = true }
    while true {
      if mustRecompile {
        do throws(Fault) {
          // The schema that it has met may be one of a commit that is not durable: until it is, nobody can read it.
          if connection.state.holdsBack { try connection.state.awaitBases() }
          try recompile()
        } catch {
          switch error {
          case .wait(let wait): return .pending(wait)
          case .failure(let failure): throw failure
          }
        }
      }
      do throws(EngineError) {
        return try unsafe machine.pointee.step()
      } catch {
        // Only the beginning of a run finds that out: nothing has been done or given out.
        guard error.code == .schema, recompileCount < Self.recompileCountMax else { throw error }
        recompileCount += 1
        mustRecompile = true
      }
    }
  }

  private func recompile() throws(Fault) {
    var text = ByteBuffer(capacity: sql.utf8.count)
    withText { text.append($0) }
    guard let compiled = try connection.compile(text.bytes, from: 0) else { throw .error(.schema) }
    replaceMachine(compiled.program)
    functionsVersion = connection.functions.version
    mustRecompile = false
  }

  /// A new machine with the old one's bindings. What the old one had begun is undone before the connection's next statement.
  private func replaceMachine(_ program: Program) {
    var fresh = Machine(program: program, state: connection.state)
    for index in stride(from: 1, through: min(parameterCount, program.parameterNames.count), by: 1) {
      // A value that was bound once is neither out of range nor too big.
      try? fresh.bind(unsafe machine.pointee.parameter(index), at: index)
    }
    unsafe machine.pointee = fresh
  }

  /// Runs to the next row or the end, on this thread.
  /// - Returns: true where there is a row.
  public func stepBlocking() throws(EngineError) -> Bool {
    connection.setDriver(blocks: true)
    while true {
      switch try step() {
      case .row: return true
      case .done: return false
      case .pending(let wait): connection.wait(for: wait)
      }
    }
  }

  /// Gives back what it keeps for its next run, where it does not run.
  /// - Returns: bytes that were freed.
  func releaseIdleMemory() -> Int {
    if isRunning || isFinalized { return 0 }
    return unsafe machine.pointee.releaseIdleMemory()
  }

  // MARK: The row

  /// Columns of the current row; 0 where there is none.
  public var dataCount: Int { hasRow ? columnCount : 0 }

  /// Column `index` of the current row, NULL where there is none; its bytes stay until the next step or reset.
  public func column(_ index: Int) -> Value {
    if isListing, let listing { return hasRow ? listing.column(index) : .null }
    return unsafe machine.pointee.column(index)
  }

  // MARK: Ending

  /// Ends the run, so that the statement can be started over; bindings stay. Never waits: what would have to be waited for
  /// (the undoing of a statement that was dropped at a wait) is done before the connection's next statement.
  public func reset() {
    // What it had begun is the parent's, who goes on with it.
    if connection.isInherited { return settleReset() }
    if let result = try? unsafe machine.pointee.reset(), case .pending = result { replaceMachine(program) }
    settleReset()
  }

  /// The same, and waits: changes of a statement that was given a row in autocommit mode are committed.
  /// - Throws: what the commit met.
  public func resetBlocking() throws(EngineError) {
    defer { settleReset() }
    if connection.isInherited { return }
    while case .pending(let wait) = try unsafe machine.pointee.reset() { connection.wait(for: wait) }
  }

  private func settleReset() {
    if isHeld { letGo() }
    if isListing { listing?.rewind() }
    hasRow = false
    isRunning = false
    mustRecompile = false
    recompileCount = 0
  }

  /// Ends the statement for good; using it later fails with SQLITE_MISUSE.
  public func finalize() {
    if isFinalized { return }
    reset()
    isFinalized = true
    unregister()
  }

  private func unregister() {
    if let place { connection.unregister(place) }
    place = nil
  }
}
