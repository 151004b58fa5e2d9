// One connection's script: transactions of random operations, each answer held against the model.

import ApusBase

final class Client {
  enum Phase {
    /// Has no connection, or one that must be opened again; ends it of its own will; given up for good.
    case reopening, closing, gone
    case settingUp(Int)
    case resting, beginning, readingStamp, readingOther
    case choosing
    case operating(Operation, rows: [[ImageField]])
    case savepointing(SavepointStep)
    /// A statement that changes the file and no row.
    case housekeeping(String)
    /// A SELECT is read up to some row and left open; later it is read to its end.
    case scanning(rowsLeft: Int), finishingScan
    case stamping, stampingOther, committing, rollingBack, checkpointing
    /// The connection's own check of the file.
    case checking(rows: [[ImageField]])
  }

  /// What happens to one of the savepoints s0, s1, ... of the transaction.
  enum SavepointStep {
    case open(Int), release(Int), goBack(to: Int)

    var sql: String {
      switch self {
      case .open(let number): "SAVEPOINT s\(number)"
      case .release(let number): "RELEASE s\(number)"
      case .goBack(let number): "ROLLBACK TO s\(number)"
      }
    }
  }

  /// Most savepoints that are open at a time.
  private static let savepointCountMax = 3

  /// One transaction in so many is the end of the connection instead, and another one opened.
  private static let reconnectOneIn = 30

  /// Statements that are commits, or undo one, are dropped so many times as often as others: they seldom wait.
  private static let dropsEndsTimes = 4

  /// Most times that one COMMIT is refused with BUSY before the client gives the transaction up.
  private static let busyCountMax = 60

  /// One transaction in so many is a check of the file instead.
  private static let checkOneIn = 30

  /// Failures behind each other after which a connection is opened anew; and, in a damaged file, given up.
  private static let troubleCountMax = 5, troubleCountInDamageMax = 12

  let name: Int
  let world: World
  private let choices: ChoiceStream
  private let makeEngine: () throws(EngineError) -> EngineClient
  private(set) var engine: EngineClient?
  var phase: Phase = .reopening
  private(set) var isWriting = false
  /// The transaction has begun as one that reads, and has not written yet.
  private var isDeferred = false
  private var model: DatabaseModel?
  /// At each open savepoint, outermost first.
  private var savedModels: [DatabaseModel] = []
  /// What is done about a statement that was dropped behind a savepoint.
  private var wayBack: SavepointStep?
  /// A commit of this connection failed, and it has not looked since.
  private var failedStamp: Int64?
  private var base: Int64 = 0
  private(set) var stamp: Int64 = 0
  private var oldestAllowed: Int64 = 0
  private var operationsLeft = 0
  private var busyCount = 0
  private var troubleCount = 0
  /// The statement begins with the undoing of one that was dropped.
  private var undoesFirst = false
  /// When the statement first waited for a lock.
  private var lockWaitSince: UInt64?
  private var lastLockWait: UInt64 = 0
  /// Writing transactions that were acknowledged.
  private(set) var commitCount = 0
  /// False where the tape that is replayed has no transaction of this client any more.
  private(set) var hasMore = true
  /// Could not get what it wants: others first.
  private(set) var yields = false
  /// What was dropped, and is said again.
  private var retry: Operation?
  private var scan: OpenScan?
  /// ROLLBACK is the transaction's own will, not what is left of a failure.
  private var rollsBackAtWill = false
  private var isVacuuming = false, isCheckpoint = false
  /// How many pragmas of a VACUUM were said.
  private var vacuumStep = 0
  private(set) var wait: Wait?

  /// - Parameter makeEngine: opens a connection of the client's process; called again when the client needs another one.
  init(name: Int, world: World, makeEngine: @escaping () throws(EngineError) -> EngineClient) {
    self.name = name
    self.world = world
    self.makeEngine = makeEngine
    choices = world.choices.stream("client \(name)")
    choices.begin(.era)
  }

  /// The connection is gone; what is left of its tape is not for the next one.
  func endEra() { choices.end(.era) }

  /// True between two transactions, and where there are no more; false where a dropped statement has left something to do.
  var isResting: Bool {
    switch phase {
    case .gone: true
    case .resting: engine?.owesWork != true
    case .reopening, .closing, .settingUp, .beginning, .readingStamp, .readingOther, .choosing, .operating, .savepointing,
      .housekeeping, .scanning, .finishingScan, .stamping, .stampingOther, .committing, .rollingBack, .checkpointing,
      .checking:
      false
    }
  }

  var isGone: Bool {
    if case .gone = phase { return true }
    return false
  }

  /// Ends the connection; nothing may be under way.
  func close() throws(Finding) {
    world.faults.actor = name
    defer { world.faults.actor = -1 }
    let error = try engine?.close()
    engine = nil
    if let error, world.damage == .none, world.faults.excuse(error, of: name) == nil {
      throw Finding(oracle: .error, text: "closing: \(error) (code \(error.code.rawValue))")
    }
    world.faults.noteEnd(of: name)
  }

  /// The process is gone with the connection.
  func die() {
    world.ledger.doubt(stamp)
    world.faults.noteEnd(of: name)
    world.recorder?.close(name)
    engine = nil
    phase = .gone
    endEra()
  }

  /// Puts a statement into the trace and starts it.
  private func start(_ sql: String, _ bindings: [Operation.Binding]) {
    world.disk.trace.add("client", "\(name): \(sql) \(bindings)")
    world.disk.trace.say(name) { SQLText(sql, bindings).text }
    lockWaitSince = nil
    undoesFirst = engine?.owesWork == true
    engine?.start(sql, bindings)
  }

  /// Goes on until the next wait, row or end of a statement.
  func run(mayBegin: Bool) throws(Finding) {
    wait = nil
    yields = false
    world.faults.actor = name
    defer { world.faults.actor = -1 }
    if case .reopening = phase { return try reopen() }
    guard let engine else { return }
    if case .closing = phase { return try closeInPart(engine) }
    if !mayBegin, case .resting = phase { return try settle(engine) }
    if !engine.isBusy { try startNext(mayBegin: mayBegin) }
    guard engine.isBusy else {
      yields = true
      return
    }
    let answer = engine.poll()
    switch answer {
    case .waiting(let wait):
      self.wait = wait
      try checkDeadline(wait)
      if mayBeDropped, choices.oneIn(dropOneIn, .drops) { try drop(engine) }
    case .row(let fields): try receive(fields)
    case .done:
      world.disk.trace.add("done", UInt64(name), 0, 0)
      try finish()
    case .failed(let error):
      world.disk.trace.add("failed", UInt64(name), Int(error.code.rawValue), 0)
      try fail(error)
    }
  }

  private var mayBeDropped: Bool {
    if !world.mayDrop { return false }
    return switch phase {
    case .operating, .housekeeping, .checking: true
    // Without a journal on the disk a commit that has begun cannot be undone; VACUUM and some pragmas are one.
    case .checkpointing: world.profile.journal != .off && world.profile.journal != .memory
    case .committing, .rollingBack: world.profile.dropsCommits
    case .reopening, .closing, .gone, .settingUp, .resting, .beginning, .readingStamp, .readingOther, .choosing,
      .savepointing, .scanning, .finishingScan, .stamping, .stampingOther:
      false
    }
  }

  private var dropOneIn: Int {
    let usual = world.profile.cancelOneIn
    switch phase {
    case .checkpointing, .committing, .rollingBack: return usual == 0 ? 0 : max(2, usual / Self.dropsEndsTimes)
    default: return usual
    }
  }

  /// The statement is dropped at its wait; it must be as if it had never begun.
  private func drop(_ engine: EngineClient) throws(Finding) {
    engine.drop()
    wait = nil
    world.droppedCount += 1
    world.faults.noteRetried(.cancellation)
    world.faults.noteDropped(name)
    world.disk.abandonRequests(of: name)
    world.disk.trace.add("drop", UInt64(name), 0, 0)
    switch phase {
    case .checkpointing, .checking: phase = .resting
    case .operating where !engine.isInTransaction, .housekeeping where !engine.isInTransaction:
      // It had failed, and was taking the transaction with it.
      guard world.faults.hasMet(name) else {
        throw Finding(oracle: .cancellation, text: "client \(name): \(phaseName) was dropped, and its transaction is gone")
      }
      engine.dropScan()
      scan = nil
      phase = .resting
    case .operating(let operation, _):
      if choices.oneIn(2, .triesAgain) { retry = operation }
      if scan == nil, let last = savedModels.indices.last, choices.oneIn(2, .returnsToSavepoint) { wayBack = .goBack(to: last) }
      phase = .choosing
    case .committing:
      // Who goes on is told whether it was one.
      if isWriting { doubtCommit() }
      phase = .rollingBack
    case .rollingBack:
      // It has ended the transaction, or has never begun.
      if rollsBackAtWill, engine.isInTransaction, choices.oneIn(2, .goesOn) {
        operationsLeft = max(operationsLeft, 2)
        retry = model.map { .readAll(table: choices.pick($0.presentTables, .table)) }
        phase = .choosing
      }
    case .reopening, .closing, .gone, .settingUp, .resting, .beginning, .readingStamp, .readingOther, .choosing,
      .savepointing, .housekeeping, .scanning, .finishingScan, .stamping, .stampingOther:
      phase = .choosing
    }
  }

  /// The commit has not ended well. Who undoes the transaction, and then looks, knows.
  private func doubtCommit() {
    world.ledger.doubt(stamp)
    failedStamp = stamp
  }

  /// The dropped statement is the last one for a while; nobody comes who would end what it has left.
  private func settle(_ engine: EngineClient) throws(Finding) {
    do throws(EngineError) {
      wait = try engine.settle()
    } catch {
      try explain(error, "what a dropped statement has left")
      phase = .reopening
    }
  }

  /// A statement waits for locks as long as its time-out says, and some seconds for who is about to go.
  private func checkDeadline(_ wait: Wait) throws(Finding) {
    guard case .moment = wait else {
      // It has come further; the next lock has a time-out of its own.
      lockWaitSince = nil
      return
    }
    let now = world.clock.monotonicNanoseconds
    // A clock that was put on, by a stall or a suspended machine, ends one wait, and there may be another behind it.
    if now > lastLockWait + Self.jumpNanosecondsMin { lockWaitSince = nil }
    lastLockWait = now
    let since = lockWaitSince ?? now
    lockWaitSince = since
    let limit = 2 * UInt64(world.profile.busyTimeoutMilliseconds) * 1_000_000 + Self.raceNanosecondsMax
    if now > since + limit {
      throw Finding(
        oracle: .liveness,
        text: "client \(name) in \(phaseName) waits for a lock after \((now - since) / 1_000_000) ms, the time-out is "
          + "\(world.profile.busyTimeoutMilliseconds) ms")
    }
  }

  /// What the races for the wal-index may take besides.
  private static let raceNanosecondsMax: UInt64 = 12_000_000_000
  private static let jumpNanosecondsMin: UInt64 = 1_000_000_000

  // MARK: a connection anew

  /// The connection ends, as one does when a program has no more use for it.
  private func closeInPart(_ engine: EngineClient) throws(Finding) {
    do throws(EngineError) {
      wait = try engine.closeInPart()
      if wait != nil { return }
      world.disk.trace.add("close", UInt64(name), 0, 0)
    } catch {
      if error.code.primary != .busy { try explain(error, phaseName) }
    }
    self.engine = nil
    world.faults.noteEnd(of: name)
    phase = .reopening
  }

  private func reopen() throws(Finding) {
    scan = nil
    failedStamp = nil
    if engine != nil {
      _ = try engine?.close()
      engine = nil
      world.faults.noteEnd(of: name)
    }
    do throws(EngineError) {
      engine = try makeEngine()
      world.disk.trace.add("open", UInt64(name), 0, 0)
      phase = .settingUp(0)
    } catch {
      try explain(error, "opening")
      yields = true
      noteTrouble()
    }
  }

  /// - Throws: a finding where no fault explains the error, or where it does not say what happened to what.
  private func explain(_ error: EngineError, _ place: String) throws(Finding) {
    if world.damage != .none, FaultKind.damageCodes.contains(error.code) { return world.faults.noteSurfaced(name) }
    // What is in a file that somebody has changed is his.
    if world.damage == .anything, [.error, .schema, .full].contains(error.code) { return world.faults.noteSurfaced(name) }
    guard world.faults.excuse(error, of: name) != nil else {
      throw Finding(oracle: .error, text: "client \(name) in \(place): \(error) (code \(error.code.rawValue))")
    }
    if error.object == nil && error.code.primary != .readOnly {
      throw Finding(oracle: .error, text: "client \(name) in \(place): \(error) names nothing")
    }
    world.faults.noteSurfaced(name)
  }

  private func noteTrouble() {
    troubleCount += 1
    if world.damage != .none, troubleCount > Self.troubleCountInDamageMax { giveUp() }
  }

  private func giveUp() {
    _ = try? engine?.close()
    engine = nil
    world.faults.noteEnd(of: name)
    phase = .gone
  }

  /// What a client does about an error that a fault explains: it goes on with the transaction, undoes it, or opens the file anew.
  private func recover(from error: EngineError) {
    guard let engine else { return }
    engine.dropScan()
    scan = nil
    yields = true
    if case .committing = phase, isWriting { doubtCommit() }
    let mayGoOn: Bool
    if case .operating = phase { mayGoOn = world.damage == .none && choices.oneIn(2, .goesOn) } else { mayGoOn = false }
    noteTrouble()
    if isGone { return }
    let asksForIt = error.hint?.contains("open it again") == true || error.code.primary == .readOnly
    if asksForIt || troubleCount % Self.troubleCountMax == 0 {
      phase = .reopening
    } else if case .settingUp = phase {
      // Said again.
    } else if mayGoOn && engine.isInTransaction {
      // The statement is undone as a whole, and nothing else is.
      phase = .choosing
    } else if case .rollingBack = phase {
      phase = .reopening
    } else {
      phase = engine.isInTransaction ? .rollingBack : .resting
    }
  }

  // MARK: asking

  private func startNext(mayBegin: Bool) throws(Finding) {
    switch phase {
    case .reopening, .closing, .gone: break
    case .settingUp(let index):
      let statements = world.profile.connectionStatements
      if index < statements.count {
        start(statements[index], [])
      } else {
        phase = .resting
      }
    case .resting:
      if !mayBegin { return }
      if vacuumStep > 0 { return startVacuum() }
      choices.end(.transaction)
      hasMore = choices.begins(.transaction, if: true)
      if !hasMore { return }
      if choices.oneIn(Self.reconnectOneIn, .reconnects) {
        phase = .closing
        return
      }
      if choices.oneIn(world.profile.checkpointOneIn, .checkpoints) {
        phase = .checkpointing
        isCheckpoint = true
        let mode = choices.pick(["passive", "full", "restart", "truncate"], .checkpointMode)
        start("PRAGMA wal_checkpoint(\(mode))", [])
        return
      }
      if choices.oneIn(world.profile.vacuumOneIn, .vacuums) { return startVacuum() }
      if choices.oneIn(Self.checkOneIn, .checksFile) {
        phase = .checking(rows: [])
        return start(choices.oneIn(2, .checksQuickly) ? "PRAGMA quick_check" : "PRAGMA integrity_check", [])
      }
      isWriting = !choices.oneIn(4, .isReader)
      isDeferred = isWriting && choices.oneIn(4, .upgrades)
      operationsLeft = 1 + choices.below(world.profile.operationCountMax, .operationCount)
      oldestAllowed = world.ledger.lastSeen
      savedModels = []
      wayBack = nil
      retry = nil
      rollsBackAtWill = false
      phase = .beginning
      world.recorder?.begin(name)
      start(isWriting && !isDeferred ? "BEGIN IMMEDIATE" : "BEGIN", [])
    case .beginning: phase = .resting
    case .readingStamp: start("SELECT n FROM stamp", [])
    case .readingOther: start("SELECT n FROM o.stamp", [])
    case .choosing: try choose()
    case .operating, .savepointing, .housekeeping, .scanning, .finishingScan:
      throw Finding(oracle: .error, text: "client \(name) lost its statement")
    case .stamping: start("UPDATE stamp SET n=?1", [.integer(stamp)])
    case .stampingOther: start("UPDATE o.stamp SET n=?1", [.integer(stamp)])
    case .committing:
      world.recorder?.noteCommitBegun(name)
      start("COMMIT", [])
    case .rollingBack:
      if engine?.isInTransaction == true { start("ROLLBACK", []) } else { phase = .resting }
    case .checkpointing, .checking: phase = .resting
    }
  }

  /// VACUUM, perhaps behind a pragma that makes it change the file's shape.
  private func startVacuum() {
    phase = .checkpointing
    isCheckpoint = false
    isVacuuming = false
    vacuumStep += 1
    if vacuumStep == 1, choices.oneIn(3, .changesPageSize) {
      return start("PRAGMA page_size=\(512 << choices.below(4, .newPageSize))", [])
    }
    if vacuumStep == 2, choices.oneIn(3, .changesAutoVacuum) {
      return start("PRAGMA auto_vacuum=\(choices.below(3, .newAutoVacuum))", [])
    }
    vacuumStep = 0
    isVacuuming = true
    start("VACUUM", [])
  }

  private func choose() throws(Finding) {
    guard let model else { throw Finding(oracle: .error, text: "client \(name) has no model") }
    choices.end(.statement)
    if let step = wayBack {
      wayBack = nil
      operationsLeft = max(operationsLeft, 1)
      return change(step)
    }
    if !choices.begins(.statement, if: operationsLeft > 0) {
      if scan != nil {
        phase = .finishingScan
        engine?.resumeScan()
        return
      }
      if !isWriting {
        phase = .committing
        world.recorder?.noteCommitBegun(name)
        start("COMMIT", [])
      } else if choices.oneIn(world.profile.hasComingTables ? 3 : 8, .rollsBack) {
        phase = .rollingBack
        rollsBackAtWill = true
        start("ROLLBACK", [])
      } else {
        stamp = world.ledger.makeStamp()
        phase = .stamping
        start("UPDATE stamp SET n=?1", [.integer(stamp)])
      }
      return
    }
    operationsLeft -= 1
    if isWriting, scan == nil, retry == nil, choices.oneIn(world.profile.scanOneIn, .opensScan) {
      let drawn = choices.below(model.shapes.count, .scanTable)
      let table = model.missing.contains(drawn) ? 0 : drawn
      let isByIndex = choices.oneIn(2, .scanByIndex)
      scan = OpenScan(table: table, before: model, isByIndex: isByIndex)
      phase = .scanning(rowsLeft: choices.below(6, .scanRows))
      let name = model.shapes[table].name
      // The same text never comes from another operation: a statement is one run at a time.
      start(
        isByIndex ? "SELECT id, k FROM \(name) WHERE k>=?1 ORDER BY k" : "SELECT id, k FROM \(name) WHERE k>=?1 ORDER BY id",
        [.integer(-1)])
      return
    }
    if isWriting && scan == nil && choices.oneIn(world.profile.savepointOneIn, .usesSavepoint) {
      return change(savepointStep())
    }
    if isWriting, world.profile.autoVacuum == 2, choices.oneIn(8, .vacuumsPages) {
      let statement = "PRAGMA incremental_vacuum(\(choices.below(12, .vacuumedPages)))"
      phase = .housekeeping(statement)
      start(statement, [])
      return
    }
    if isWriting, scan == nil, world.profile.autoVacuum > 0, choices.oneIn(40, .changesSchema) {
      // Tables that come and go move the roots of others.
      let name = "scratch\(choices.below(3, .scratchTable))"
      let statement =
        choices.oneIn(2, .dropsTable) ? "DROP TABLE IF EXISTS \(name)" : "CREATE TABLE IF NOT EXISTS \(name)(a, b UNIQUE)"
      phase = .housekeeping(statement)
      start(statement, [])
      return
    }
    let operation =
      retry ?? listOperation() ?? world.generator.next(choices, model, readsOnly: !isWriting, mayChangeTables: scan == nil)
    retry = nil
    phase = .operating(operation, rows: [])
    start(operation.sql(model), operation.bindings(model))
  }

  private func savepointStep() -> SavepointStep {
    let count = savedModels.count
    let verb = count == 0 ? 0 : choices.below(count == Self.savepointCountMax ? 2 : 3, .savepointVerb)
    if count == 0 || verb == 2 { return .open(count) }
    let number = count - 1 - choices.below(count, .savepoint)
    return verb == 0 ? .release(number) : .goBack(to: number)
  }

  private func change(_ step: SavepointStep) {
    phase = .savepointing(step)
    start(step.sql, [])
  }

  private func listOperation() -> Operation? {
    guard let recorder = world.recorder, choices.oneIn(3, .usesList) else { return nil }
    let list = choices.below(HistoryRecorder.listCount, .list)
    if !isWriting || choices.oneIn(2, .readsList) { return .readList(list) }
    return .appendToList(list, value: recorder.makeValue())
  }

  // MARK: answers

  private func receive(_ fields: [ImageField]) throws(Finding) {
    switch phase {
    case .readingStamp:
      guard case .integer(let number)? = fields.first else {
        throw Finding(oracle: .read, text: "client \(name): the stamp reads \(fields)")
      }
      if world.damage != .none {
        // An older state may be what is left.
        base = number
        model = world.ledger.model(of: number) ?? world.ledger.model(of: world.ledger.lastAcknowledged)
        return
      }
      guard let found = world.ledger.model(of: number) else {
        throw Finding(oracle: .snapshot, text: "client \(name) sees transaction \(number), which nobody committed")
      }
      guard world.ledger.descends(number, from: oldestAllowed) else {
        throw Finding(
          oracle: .snapshot, text: "client \(name) sees transaction \(number), older than \(oldestAllowed), which was acknowledged")
      }
      base = number
      model = found
      world.ledger.see(number)
      if let failed = failedStamp {
        failedStamp = nil
        if !world.ledger.descends(number, from: failed) { world.ledger.refute(failed) }
      }
    case .readingOther:
      if world.damage == .none, fields != [.integer(base)] {
        throw Finding(
          oracle: .snapshot, text: "client \(name) sees transaction \(base) in one file and \(fields) in the other")
      }
    case .operating(let operation, var rows):
      rows.append(fields)
      phase = .operating(operation, rows: rows)
    case .settingUp, .checkpointing: break
    case .scanning(let rowsLeft):
      scan?.seen.append(fields)
      if rowsLeft > 0 {
        phase = .scanning(rowsLeft: rowsLeft - 1)
      } else {
        engine?.keepAsScan()
        phase = .choosing
      }
    case .finishingScan: scan?.seen.append(fields)
    case .checking(let rows): phase = .checking(rows: rows + [fields])
    case .reopening, .closing, .gone, .resting, .beginning, .choosing, .savepointing, .housekeeping, .stamping,
      .stampingOther, .committing, .rollingBack:
      throw Finding(oracle: .error, text: "client \(name): a row where none is due: \(fields)")
    }
  }

  private func finish() throws(Finding) {
    var isCommit = false
    // Who has only read promises nobody anything.
    if case .committing = phase { isCommit = isWriting }
    if let fault = world.faults.noteSuccess(name, endsTransaction: isCommit, forgives: forgives) {
      throw Finding(oracle: .faultAccount, text: "client \(name): \(phaseName) ended well, and nobody told of: \(fault)")
    }
    switch phase {
    case .reopening, .closing, .gone: break
    case .settingUp(let index):
      do throws(EngineError) { try engine?.injectFaultsIntoAttached() } catch { try explain(error, phaseName) }
      phase = .settingUp(index + 1)
    case .resting: break
    case .beginning:
      model = nil
      phase = .readingStamp
    case .readingStamp:
      if model == nil {
        if world.damage == .none { throw Finding(oracle: .read, text: "client \(name): the stamp is gone") }
        model = world.ledger.model(of: world.ledger.lastAcknowledged)
      }
      phase = world.profile.attaches ? .readingOther : .choosing
    case .readingOther: phase = .choosing
    case .choosing: break
    case .housekeeping: phase = .choosing
    case .scanning, .finishingScan:
      if let scan, let model, world.damage == .none, let problem = scan.problem(after: model) {
        throw Finding(oracle: .read, text: "client \(name): \(problem)")
      }
      scan = nil
      phase = .choosing
    case .operating(let operation, let rows):
      try verify(operation, rows)
      if !operation.isRead { noteWrite() }
      phase = .choosing
    case .savepointing(.open):
      if let model { savedModels.append(model) }
      world.recorder?.noteSavepoint(name)
      phase = .choosing
    case .savepointing(.release(let number)):
      savedModels.removeSubrange(number...)
      world.recorder?.noteRelease(name, of: number)
      phase = .choosing
    case .savepointing(.goBack(let number)):
      model = savedModels[number]
      savedModels.removeSubrange((number + 1)...)
      world.recorder?.noteWayBack(name, to: number)
      phase = .choosing
    case .stamping where world.profile.attaches:
      noteWrite()
      phase = .stampingOther
    case .stamping, .stampingOther:
      guard let model else { return }
      troubleCount = 0
      world.ledger.beginCommit(stamp, base: base, model: model)
      busyCount = 0
      phase = .committing
    case .committing:
      world.recorder?.noteCommitted(name)
      if isWriting {
        world.commitCount += 1
        commitCount += 1
        if !world.ledger.acknowledge(stamp), world.damage == .none {
          throw Finding(
            oracle: .durability,
            text: "client \(name) committed \(stamp) on top of \(base), but \(world.ledger.lastAcknowledged) was acknowledged")
        }
        try world.audit()
      }
      phase = .resting
    case .rollingBack: phase = .resting
    case .checking(let rows):
      if world.damage == .none, rows != [[.text(Array("ok".utf8))]] {
        throw Finding(oracle: .walk, text: "client \(name): \(phaseName): \(rows)")
      }
      phase = .resting
    case .checkpointing:
      troubleCount = 0
      // Under a rollback journal another connection's transaction may lie in the file now, but right behind a VACUUM.
      if world.profile.journal == .wal || isVacuuming { try world.audit() }
      isVacuuming = false
      phase = .resting
    }
  }

  /// The file's write lock is had; that of another file comes with the first change there.
  private func noteWrite() { if !world.profile.attaches { isDeferred = false } }

  /// Whether the statement that ended well may have let the failure go.
  private func forgives(_ fault: FaultInjector.OwedFault) -> Bool {
    if undoesFirst { return true }
    // VACUUM and its pragmas are commits.
    let isAsked: Bool
    if case .checkpointing = phase { isAsked = isCheckpoint } else { isAsked = false }
    switch phase {
    // Undoing goes on whatever happens; what is left is hot, or in doubt.
    case .rollingBack, .reopening, .closing, .gone, .settingUp: return true
    case .resting, .beginning, .readingStamp, .readingOther, .choosing, .operating, .savepointing, .housekeeping, .scanning,
      .finishingScan, .stamping, .stampingOther, .committing, .checkpointing, .checking:
      break
    }
    switch (fault.kind, fault.role) {
    // What nobody came to use; what was used in its place would show.
    case (.readError, _), (.stickyReadError, _): return true
    // The checkpoint behind a commit fails for itself.
    case (_, .database) where world.profile.journal == .wal: return !isAsked
    // The log that started again, and is longer than it should be.
    case (.truncateError, .log), (.readOnlyFileSystem, .log): return !isAsked
    // Behind a hot journal's playback: the super-journal stays for whoever comes next, or for good.
    case (_, .superJournal):
      if case .committing = phase { return false }
      return true
    default: return world.damage == .anything
    }
  }

  private func verify(_ operation: Operation, _ rows: [[ImageField]]) throws(Finding) {
    guard var after = model else { return }
    switch operation {
    case .appendToList(let list, let value): return note(.append(key: list, value: value))
    case .readList(let list): return note(.read(key: list, values: HistoryRecorder.values(rows.first?.first)))
    default: break
    }
    if world.damage == .anything {
      _ = operation.apply(to: &after)
      model = after
      return
    }
    if operation.isRead {
      let expected = operation.expectedRows(after).map { id, row in
        [
          after.key(id, in: operation.table), .integer(row.k), row.u.map(ImageField.integer) ?? .null,
          row.isText ? .text(row.payload) : .blob(row.payload),
        ]
      }
      if rows != expected {
        throw Finding(
          oracle: .read,
          text: "client \(name), transaction on \(base): \(operation.sql(after)) gives \(rows.count) rows, "
            + "\(expected.count) are due")
      }
      return
    }
    if let due = operation.schemaError(after) {
      throw Finding(oracle: .read, text: "client \(name): \(operation.sql(after)) must fail with '\(due)' and did not")
    }
    guard operation.apply(to: &after) else {
      throw Finding(oracle: .read, text: "client \(name): \(operation.sql(after)) must violate a constraint and did not")
    }
    model = after
  }

  private func note(_ action: History.Action) { world.recorder?.note(action, by: name) }

  private func fail(_ error: EngineError) throws(Finding) {
    if try failOrdinarily(error) { return world.faults.noteDropped(name) }
    if error.code == .abort, case .rollingBack = phase, world.ledger.doubtful.contains(stamp) {
      // A dropped COMMIT had come past its commit point: that is an answer.
      guard world.ledger.acknowledge(stamp) else {
        throw Finding(oracle: .durability, text: "client \(name) has committed \(stamp), which another one knows nothing of")
      }
      phase = .resting
      return
    }
    try explain(error, phaseName)
    recover(from: error)
  }

  /// What happens without any fault: somebody else has a lock, a constraint is violated.
  private func failOrdinarily(_ error: EngineError) throws(Finding) -> Bool {
    let isBusy = error.code.primary == .busy
    // Who has no lock yet does not always get it: to read, or to go on to write.
    let mayLack = isBusy && (!isWriting || isDeferred)
    yields = isBusy
    switch phase {
    case .beginning where isBusy, .checking where isBusy: phase = .resting
    case .readingStamp where mayLack, .readingOther where mayLack: phase = .rollingBack
    case .committing where isBusy:
      busyCount += 1
      if busyCount > Self.busyCountMax {
        world.recorder?.noteAborted(name)
        if isWriting { world.ledger.abandon(stamp) }
        phase = .rollingBack
      }
    case .settingUp where isBusy: break
    case .checkpointing where isBusy: phase = .resting
    case .operating(let operation, _) where error.code.primary == .constraint && world.damage != .anything:
      guard var after = model else { return true }
      if operation.apply(to: &after) {
        throw Finding(oracle: .read, text: "client \(name): \(operation.sql(after)): \(error) where none is due")
      }
      phase = .choosing
    case .operating where error.code.primary == .constraint: phase = .choosing
    case .operating(let operation, _)
    where error.code == .error && world.damage != .anything && error.message == model.flatMap(operation.schemaError):
      phase = .choosing
    case .operating(let operation, _) where mayLack && isWriting && error.code != .busySnapshot && choices.oneIn(3, .triesAgain):
      retry = operation
      phase = .choosing
    case .operating where mayLack, .choosing where mayLack, .housekeeping where mayLack, .stamping where mayLack,
      .stampingOther where mayLack, .scanning where mayLack:
      engine?.dropScan()
      scan = nil
      phase = .rollingBack
    case .reopening, .closing, .gone, .settingUp, .resting, .beginning, .readingStamp, .readingOther, .choosing, .operating,
      .savepointing, .housekeeping, .scanning, .finishingScan, .stamping, .stampingOther, .committing, .rollingBack,
      .checkpointing, .checking:
      return false
    }
    return true
  }

  var phaseName: String {
    switch phase {
    case .reopening: "opening the file anew"
    case .closing: "the end of its connection"
    case .gone: "its grave"
    case .settingUp: "set-up"
    case .resting: "rest"
    case .beginning: "BEGIN"
    case .readingStamp, .readingOther: "its first read"
    case .choosing: "between statements"
    case .operating(let operation, _): model.map(operation.sql) ?? "an operation"
    case .savepointing(let step): step.sql
    case .housekeeping(let statement): statement
    case .scanning, .finishingScan: "a scan that stays open"
    case .stamping, .stampingOther: "its stamp"
    case .committing: "COMMIT"
    case .rollingBack: "ROLLBACK"
    case .checkpointing: "a checkpoint or VACUUM"
    case .checking: "its check of the file"
    }
  }
}
