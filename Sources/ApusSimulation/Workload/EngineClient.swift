// One connection of the real engine, driven by hand: a statement at a time, and never blocking.

import Apus
import ApusBase
import ApusIO
import ApusVM

final class EngineClient {
  enum Answer {
    case waiting(Wait)
    case row([ImageField])
    case done
    case failed(EngineError)
  }

  private let connection: Connection
  let process: SimulatedProcess
  private let disk: SimulatedDisk
  private let faultSeed: UInt64?
  private var pending: (sql: String, bindings: [Operation.Binding])?
  private var running: PreparedStatement?
  /// What the next statement does instead of SQL.
  var plannedCopy: CopyPlan?
  private var copy: RunningCopy?
  /// Was dropped, or has failed, and has to be ended.
  private var leftCopy: RunningCopy?
  /// Statements that are prepared once and used again, as applications do.
  private var prepared: [String: PreparedStatement] = [:]

  /// Without parameters, and said by every transaction.
  private static let keptTexts: Set<String> = [
    "BEGIN", "BEGIN IMMEDIATE", "BEGIN EXCLUSIVE", "COMMIT", "ROLLBACK", "SELECT n FROM stamp", "SELECT n FROM o.stamp",
  ]

  /// Most times that the end of a connection may wait before the run counts as hanging.
  private static let closeWaitMax = 100_000

  /// Images that the process keeps, and bytes that a sorter holds, where the engine is to have little.
  private static let tightImageCount = 20, tightSorterBytes = 2_000

  /// - Parameter tightPageSize: the pages' size, where the engine is to have little memory.
  init(
    environment: SimulatedEnvironment, path: String, lockByteOffset: Int64, faultSeed: UInt64?, tightPageSize: Int? = nil
  ) throws(EngineError) {
    disk = environment.disk
    process = environment.process
    var options = Connection.Options()
    options.pager.lockByteOffset = lockByteOffset
    if let tightPageSize { options.pager.sharedCacheBytes = Self.tightImageCount * tightPageSize }
    connection = try Connection(path, options, environment: environment)
    if tightPageSize != nil { connection.state.limits.sorterBytes = Self.tightSorterBytes }
    connection.busyTimeoutMilliseconds = 0
    self.faultSeed = faultSeed
    try injectFaults(0)
  }

  /// Ends what a dropped statement has left.
  /// - Returns: what it waits for; nil when all is done.
  func settle() throws(EngineError) -> Wait? {
    try untilWait { () throws(Fault) in
      try endLeftCopy()
      try connection.settle()
    }
  }

  /// A dropped statement has left something for the next one.
  var owesWork: Bool { leftCopy != nil || connection.owesWork }

  /// True between BEGIN and the transaction's end.
  var isInTransaction: Bool { !connection.isAutocommit }

  /// Rung by other connections of the process.
  var alarm: Alarm { connection.queue.alarm }

  /// Rows that the last statement has changed.
  var changes: Int64 { connection.changes }

  /// The row id that the last INSERT without one was given.
  var lastInsertRowid: Int64 { connection.lastInsertRowid }

  private func injectFaults(_ database: Int) throws(EngineError) {
    guard let faultSeed else { return }
    do throws(Fault) {
      let pager = try connection.state.pager(database)
      if pager.faultInjection == nil { pager.faultInjection = SeededRandom(seed: faultSeed &+ UInt64(database)) }
    } catch {
      if case .failure(let failure) = error { throw failure }
    }
  }

  func injectFaultsIntoAttached() throws(EngineError) {
    for database in connection.state.databases.indices.dropFirst(2) { try injectFaults(database) }
  }

  deinit {
    // Statements end before their connection.
    running = nil
    scan = nil
    prepared = [:]
    copy = nil
    leftCopy = nil
  }

  /// True from `start` to the statement's end.
  var isBusy: Bool { pending != nil || running != nil || copy != nil }

  func start(_ sql: String, _ bindings: [Operation.Binding]) {
    precondition(!isBusy, "one statement at a time")
    pending = (sql, bindings)
  }

  /// Goes on until the next row, end, failure or wait.
  func poll() -> Answer {
    do throws(Fault) {
      try endLeftCopy()
      if pending != nil, let plan = plannedCopy {
        do throws(EngineError) { copy = try RunningCopy(plan, of: connection) } catch { throw Fault.failure(error) }
        plannedCopy = nil
        pending = nil
      }
      if let copy {
        try copy.goOn()
        self.copy = nil
        return .done
      }
      if let pending {
        running = try makeStatement(pending.sql, pending.bindings)
        self.pending = nil
      }
      guard let running else { return .done }
      switch try step(running) {
      case .row:
        return .row((0..<running.columnCount).map { Self.field(running.column($0)) })
      case .done:
        running.reset()
        self.running = nil
        return .done
      case .pending(let wait): return .waiting(wait)
      }
    } catch {
      switch error {
      case .wait(let wait): return .waiting(wait)
      case .failure(let failure):
        pending = nil
        leaveCopy()
        running?.reset()
        running = nil
        return .failed(failure)
      }
    }
  }

  private func step(_ statement: PreparedStatement) throws(Fault) -> StepResult {
    do throws(EngineError) { return try statement.step() } catch { throw Fault.failure(error) }
  }

  private func makeStatement(_ sql: String, _ bindings: [Operation.Binding]) throws(Fault) -> PreparedStatement {
    let statement: PreparedStatement
    if let known = prepared[sql] {
      statement = known
    } else {
      statement = try connection.prepare(sql)
      if !bindings.isEmpty || Self.keptTexts.contains(sql) { prepared[sql] = statement }
    }
    do throws(EngineError) {
      for (place, binding) in bindings.enumerated() { try bind(binding, to: statement, at: place + 1) }
    } catch {
      throw Fault.failure(error)
    }
    return statement
  }

  private func bind(_ binding: Operation.Binding, to statement: PreparedStatement, at place: Int) throws(EngineError) {
    var buffer = ByteBuffer()
    switch binding {
    case .null: try statement.bind(.null, at: place)
    case .integer(let number): try statement.bind(.integer(number), at: place)
    case .text(let bytes):
      for byte in bytes { buffer.append(byte) }
      try statement.bind(.text(buffer.bytes), at: place)
    case .blob(let bytes):
      for byte in bytes { buffer.append(byte) }
      try statement.bind(.blob(buffer.bytes), at: place)
    }
  }

  // MARK: a SELECT that stays open

  private var scan: PreparedStatement?

  var hasScan: Bool { scan != nil }

  /// Puts the current statement aside after it gave a row; `resumeScan` goes on with it.
  func keepAsScan() {
    scan = running
    running = nil
  }

  func resumeScan() {
    precondition(!isBusy)
    running = scan
    scan = nil
  }

  /// The SELECT that stayed open is of no use any more.
  func dropScan() {
    scan?.reset()
    scan = nil
  }

  /// Drops the statement at its wait.
  func drop() {
    pending = nil
    leaveCopy()
    running?.reset()
    running = nil
  }

  /// Ends the connection.
  /// - Returns: what kept it from ending well; it is gone all the same, with its last reference.
  func close() throws(Finding) -> EngineError? {
    for _ in 0..<Self.closeWaitMax {
      do throws(EngineError) {
        switch try closeInPart() {
        case nil: return nil
        case .moment(let moment)?: connection.environment.sleep(untilMonotonic: moment)
        case .completion?, .nothing?: disk.completeOne()
        case .signal(let moment)?: if !disk.completeOne() { connection.environment.sleep(untilMonotonic: moment) }
        }
      } catch {
        return error
      }
    }
    throw Finding(oracle: .liveness, text: "closing does not end")
  }

  /// The end of the connection, until it waits.
  /// - Returns: what it waits for; nil when it is closed.
  func closeInPart() throws(EngineError) -> Wait? {
    pending = nil
    running = nil
    scan = nil
    leaveCopy()
    for statement in prepared.values.sorted(by: { $0.sql < $1.sql }) { statement.finalize() }
    prepared = [:]
    return try untilWait { () throws(Fault) in
      try endLeftCopy()
      try connection.close()
    }
  }

  private func leaveCopy() {
    plannedCopy = nil
    leftCopy = copy ?? leftCopy
    copy = nil
  }

  private func endLeftCopy() throws(Fault) {
    guard let copy = leftCopy else { return }
    do { try copy.end() } catch {
      if case .failure = error { leftCopy = nil }
      throw error
    }
    leftCopy = nil
  }

  private func untilWait(_ work: () throws(Fault) -> Void) throws(EngineError) -> Wait? {
    do throws(Fault) {
      try work()
      return nil
    } catch {
      switch error {
      case .wait(let wait): return wait
      case .failure(let failure): throw failure
      }
    }
  }

  private static func field(_ value: Value) -> ImageField {
    switch value.kind {
    case .null: .null
    case .integer: .integer(value.integerValue)
    case .real: .real(value.realValue.bitPattern)
    case .text: .text(value.bytes.array)
    case .blob: .blob(value.bytes.array)
    }
  }
}
