// One connection's script: transactions of random operations, each answer held against the model.

import ApusBase

final class Client {
  enum Phase {
    /// Has no connection, or one that must be opened again; ends it of its own will; given up for good.
    case reopening, closing, gone
    case settingUp(Int)
    case resting, beginning, readingStamp, readingOther
    /// Of the file, at the transaction's snapshot or by itself.
    case readingVersion
    case choosing
    case operating(Operation, rows: [[ImageField]])
    case savepointing(SavepointStep)
    /// A statement that changes the file and no row.
    case housekeeping(String)
    /// A SELECT is read up to some row and left open; later it is read to its end.
    case scanning(rowsLeft: Int), finishingScan
    case stamping, stampingOther, committing, rollingBack, checkpointing
    /// Behind a dropped COMMIT: which transaction the snapshot shows.
    case lookingAgain(Int64?)
    /// The connection's own check of the file.
    case checking(rows: [[ImageField]])
    /// In a transaction beside those that the model knows.
    case siding(SideStep)
  }

  /// What happens to one of the transaction's savepoints, by its number, the outermost is 0. The third has the first one's name, in
  /// other letters, the fourth the second one's, and so on.
  enum SavepointStep {
    case open(Int), release(Int), goBack(to: Int)

    private static func name(_ number: Int) -> String { ["s0", "s1", "S0", "S1"][number % 4] }

    /// The step that the engine takes where `count` are open: a name means the newest that has it.
    func resolved(count: Int) -> SavepointStep {
      func newest(_ number: Int) -> Int { number + max(0, count - 1 - number) / 2 * 2 }
      return switch self {
      case .open: self
      case .release(let number): .release(newest(number))
      case .goBack(let number): .goBack(to: newest(number))
      }
    }

    var sql: String {
      switch self {
      case .open(let number): "SAVEPOINT \(Self.name(number))"
      case .release(let number): "RELEASE \(Self.name(number))"
      case .goBack(let number): "ROLLBACK TO \(Self.name(number))"
      }
    }
  }

  /// Most savepoints that are open at a time.
  static let savepointCountMax = 3

  /// Statements that are commits, or undo one, are dropped so many times as often as others: they seldom wait.
  static let dropsEndsTimes = 4

  /// Of commits through a rollback journal one in so many is dropped at a wait that is drawn among the first of so many, or when it
  /// has asked for so many syncs, which end its stages: with the same chance at every wait few of them would come far.
  static let dropsLateOneIn = 2, dropWaitCounts = [12, 30, 80], dropSyncMax = 5
  /// The same of commits of two files, which have stages of their own besides.
  static let dropSyncOfTwoMax = 12

  /// Most times that one COMMIT is refused with BUSY before the client gives the transaction up, or a statement of the set-up
  /// before it pauses.
  static let busyCountMax = 60

  /// Transactions behind a change of the journal mode among which others come.
  static let switchesInRowMax = 8

  /// One statement of a writing transaction in so many changes what the connection keeps in memory.
  static let changesMemoryOneIn = 50

  /// One transaction in so many is a statement in autocommit mode.
  static let autocommitOneIn = 10

  /// One transaction in so many is a check of the file instead.
  static let checkOneIn = 30

  /// Failures behind each other after which a connection is opened anew; and, in a damaged file, given up.
  static let troubleCountMax = 5, troubleCountInDamageMax = 12

  let name: Int
  let world: World
  let choices: ChoiceStream
  let makeEngine: () throws(EngineError) -> EngineClient
  var engine: EngineClient?
  var phase: Phase = .reopening
  var isWriting = false
  /// The transaction has begun as one that reads, and has not written yet.
  var isDeferred = false
  /// It has begun with BEGIN EXCLUSIVE; with a savepoint instead of a BEGIN.
  var isExclusive = false, isSavepoint = false
  /// It is one statement, without a BEGIN: `committing` is all of it.
  var isAutocommit = false
  /// It has begun with BEGIN CONCURRENT.
  var isConcurrent = false
  var side = SideTransaction(usesSavepoint: false, floors: [0, 0], padding: 0)
  var keys = KeyTransaction()
  var model: DatabaseModel? { didSet { if let model { scan?.note(model) } } }
  /// At each open savepoint, outermost first.
  var savedModels: [SavedModel] = []
  /// What `PRAGMA user_version` may say in the transaction.
  var versions: Set<Int64> = [0]
  var behind = BehindCommit()
  /// What is done about a statement that was dropped behind a savepoint.
  var wayBack: SavepointStep?
  /// A commit of this connection failed, and it has not looked since.
  var failedStamp: Int64?
  /// How much had failed when it was asked for.
  var failureCountAtCommit = 0
  var base: Int64 = 0
  var stamp: Int64 = 0
  var oldestAllowed: Int64 = 0
  var operationsLeft = 0
  var busyCount = 0
  var troubleCount = 0
  /// The statement begins with the undoing of one that was dropped.
  var undoesFirst = false
  /// How often the statement has waited, and the wait at which it is dropped; nil where none was drawn.
  var waitCount = 0
  var dropWait: Int?
  /// How many syncs the connection had asked for, and at how many the statement is dropped.
  var syncsBefore = 0
  var dropSync: Int?
  /// When the statement first waited for a lock.
  var lockWaitSince: UInt64?
  var lastLockWait: UInt64 = 0
  /// Writing transactions that were acknowledged.
  var commitCount = 0
  /// False where the tape that is replayed has no transaction of this client any more.
  var hasMore = true
  /// Could not get what it wants: others first.
  var yields = false
  /// `incremental_vacuum` comes next: a savepoint is opened before.
  var vacuumsNext = false
  /// What was dropped, and is said again, perhaps with other values.
  var retry: Operation?
  /// What takes pages that were given back behind a savepoint, before the way back to it.
  var growth: Operation?
  var scan: OpenScan?
  /// The transaction has changed the schema, or has tried to.
  var changedSchema = false
  /// ROLLBACK is the transaction's own will, not what is left of a failure.
  var rollsBackAtWill = false
  var isVacuuming = false, isCheckpoint = false
  /// The snapshot, and its connection's last looks at `data_version`: of main, and of the attached file.
  lazy var look = VersionLook(name, world, switchCount: switchCount)
  var looks: [Int: VersionLook] = [:]
  var asksOther = false
  /// Changes of the journal mode that it has asked for.
  var switchCount = 0
  /// Such a change seldom comes alone: among so many transactions more there are other ones, and many that only look.
  var switchesLeft = 0
  /// The checkpoint under way, its answer, and how it was when it was asked for.
  var checkpointMode = "", checkpointRows: [[ImageField]] = []
  /// The journal mode that is asked for, and the one that this connection was told; nil where another may be in force.
  var newJournal: SimulationProfile.Journal?, toldJournal: SimulationProfile.Journal?
  var checkpointBegun = 0, logWriteCountBefore: UInt64 = 0
  /// Its connection is at synchronous OFF for one checkpoint, and goes back to the level that its commits have.
  var loosened: LooseCheckpoint?
  /// A statement of the transaction has asked for the write lock, and was not told BUSY; whether it has changed anything does not
  /// matter.
  var hasAskedToWrite = false
  /// When its statement was asked for.
  var busySince: UInt64 = 0
  /// Its place in line for the write lock.
  var line = LinePlace()
  /// The frames of the transaction's COMMIT are written. Who says it again waits for their sync, not in line.
  var hasWrittenCommit = false
  /// How many pragmas of a VACUUM were said.
  var vacuumStep = 0
  /// The transaction has changed the attached file, or has tried to.
  var touchesOther = false
  var wait: Wait?
  /// What had been seen when the copy began that is under way; nil: the check is one of the file itself.
  var copyFloor: Int64?

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

  /// Its concurrent transactions are at snapshot isolation.
  var isAtSnapshot: Bool { world.profile.isAtSnapshot(name) }

  /// True between two transactions, and where there are no more; false where a dropped statement has left something to do, or a
  /// scan is open still.
  var isResting: Bool {
    switch phase {
    case .gone: true
    case .resting: scan == nil && loosened == nil && engine?.owesWork != true
    case .reopening, .closing, .settingUp, .beginning, .readingStamp, .readingOther, .readingVersion, .choosing, .operating,
      .savepointing, .housekeeping, .scanning, .finishingScan, .stamping, .stampingOther, .committing, .rollingBack,
      .checkpointing, .lookingAgain, .checking, .siding:
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
    world.changes.noteResting(name)
    world.changes.end(name, isAnswered: false)
    world.ledger.doubt(stamp)
    world.settledMode.abandon(name)
    world.faults.noteEnd(of: name)
    world.recorder?.close(name)
    endKeys()
    engine = nil
    world.syncedWriters = []
    phase = .gone
    world.busyReason.note(name, .nothing, now: world.clock.monotonicNanoseconds)
    endEra()
  }

  /// Puts a statement into the trace and starts it.
  func start(_ sql: String, _ bindings: [Operation.Binding]) {
    world.disk.trace.add("client", "\(name): \(sql) [\(bindings.map(\.description).joined(separator: ", "))]")
    world.disk.trace.say(name) { SQLText(sql, bindings).text }
    lockWaitSince = nil
    waitCount = 0
    dropWait = nil
    dropSync = nil
    syncsBefore = world.disk.syncsAsked[name] ?? 0
    undoesFirst = engine?.owesWork == true
    world.faults.drawTurn(of: name, isCommit: sql == "COMMIT")
    busySince = world.clock.monotonicNanoseconds
    if sql != "COMMIT" { hasWrittenCommit = false }
    line = LinePlace(kind: asksForTurn(sql), asked: world.disk.trace.step)
    world.busyReason.note(name, hold, now: busySince)
    if isInWriting { world.changes.noteWriting(name) }
    if mayChangeFiles || undoesFirst { world.changes.begin(name) }
    engine?.start(sql, bindings)
  }

  /// Another connection has rung for this one.
  var isRung: Bool { engine?.alarm.hasRung ?? true }

  /// Goes on until the next wait, row or end of a statement.
  func run(mayBegin: Bool) throws(Finding) {
    wait = nil
    _ = engine?.alarm.take()
    yields = false
    world.faults.actor = name
    world.busyReason.note(name, hold, now: world.clock.monotonicNanoseconds)
    defer {
      world.busyReason.note(name, hold, now: world.clock.monotonicNanoseconds)
      world.faults.actor = -1
    }
    if case .reopening = phase { return try reopen() }
    guard let engine else { return }
    if case .closing = phase { return try closeInPart(engine) }
    if !mayBegin, scan == nil, loosened == nil, case .resting = phase { return try settle(engine) }
    if !engine.isBusy { try startNext(mayBegin: mayBegin) }
    guard engine.isBusy else {
      yields = true
      return
    }
    let asks = asksToWrite
    let answer = engine.poll()
    defer { if !engine.isInTransaction { hasAskedToWrite = false } }
    switch answer {
    case .waiting(let wait):
      self.wait = wait
      noteLine(wait)
      try checkDeadline(wait)
      if mayBeDropped, isDropped() {
        if asks { hasAskedToWrite = true }
        try drop(engine)
      }
    case .row(let fields): try receive(fields)
    case .done:
      world.disk.trace.add("done", UInt64(name), 0, 0)
      if asks { hasAskedToWrite = true }
      if line.kind == .begin { line.hasTurn = true }
      try finish()
      if !engine.isInTransaction { world.changes.noteResting(name) }
      try checkLocks(engine)
    case .failed(let error):
      line = LinePlace()
      world.settledMode.abandon(name)
      world.changes.end(name, isAnswered: false)
      if error.code.primary != .busy, mayChangeFiles { world.changes.noteBroken() }
      world.disk.trace.add("failed", UInt64(name), Int(error.code.rawValue), 0)
      try checkBusy(error)
      if asks, error.code.primary != .busy { hasAskedToWrite = true }
      let hasOnlyRead = error.code.primary == .busy && hasOnlyRead
      try fail(error)
      if !engine.isInTransaction { world.changes.noteResting(name) }
      try checkLocks(engine)
      if hasOnlyRead { try checkLocksOfReader(engine) }
    }
  }

  /// How the statement asks for the turn to write; nil where it does not, or undoes something first.
  private func asksForTurn(_ sql: String) -> LinePlace.Kind? {
    if undoesFirst { return nil }
    if sql == "BEGIN IMMEDIATE" || sql == "BEGIN EXCLUSIVE" { return .begin }
    guard sql == "COMMIT", !hasWrittenCommit else { return nil }
    let isWriter =
      switch phase {
      case .committing: isConcurrent
      case .siding(.committing): true
      case .siding(.keys(.committing)): keys.isConcurrent && keys.isWriting
      default: false
      }
    return isWriter ? .commit : nil
  }

  private func noteLine(_ wait: Wait) {
    switch wait {
    case .moment, .signal: if line.since == nil, line.kind != nil { line.since = world.disk.trace.step }
    case .completion, .nothing: break
    }
  }

  /// Its COMMIT is under way.
  var isCommitting: Bool {
    switch phase {
    case .committing, .siding(.committing), .siding(.keys(.committing)): engine?.isBusy == true
    default: false
    }
  }

  /// It waits until another connection rings.
  var waitsForOthers: Bool { if case .signal? = wait { true } else { false } }

  var mayBeDropped: Bool {
    if !world.mayDrop { return false }
    let hasJournal = world.profile.journal != .off && world.profile.journal != .memory
    return switch phase {
    case .operating, .housekeeping, .checking: true
    // Without a journal on the disk a commit that has begun cannot be undone; VACUUM and some pragmas are one.
    case .checkpointing, .rollingBack: hasJournal
    case .siding(.keys(.operating)), .siding(.keys(.listing)): true
    case .committing, .siding(.keys(.committing)): hasJournal && world.profile.dropsCommits
    // Whoever opens a snapshot may have to put right what others have left.
    case .beginning, .readingStamp: true
    case .settingUp(let index): world.profile.connectionStatements(of: name)[index].hasPrefix("PRAGMA")
    case .reopening, .closing, .gone, .resting, .readingOther, .readingVersion, .choosing, .savepointing, .scanning, .finishingScan,
      .stamping, .stampingOther, .lookingAgain, .siding:
      false
    }
  }

  /// The statement waits: whether it is dropped here.
  private func isDropped() -> Bool {
    waitCount += 1
    if waitCount == 1, endsInJournal, choices.oneIn(Self.dropsLateOneIn, .dropsLate) {
      if choices.oneIn(4, .dropsAtAnyWait) {
        dropWait = 1 + choices.below(choices.pick(Self.dropWaitCounts, .dropWait), .dropWait)
      } else {
        dropSync = 1 + choices.below(world.profile.attaches ? Self.dropSyncOfTwoMax : Self.dropSyncMax, .dropSync)
      }
    }
    if let dropWait { return waitCount == dropWait }
    if let dropSync { return (world.disk.syncsAsked[name] ?? 0) - syncsBefore >= dropSync }
    return choices.oneIn(dropOneIn, .drops)
  }

  /// It is a commit, or undoes one, with no log.
  private var endsInJournal: Bool {
    if world.profile.hasLog || world.profile.cancelOneIn == 0 { return false }
    switch phase {
    case .checkpointing, .committing, .rollingBack: return true
    default: return false
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
  func drop(_ engine: EngineClient) throws(Finding) {
    engine.drop()
    wait = nil
    world.settledMode.abandon(name)
    world.changes.end(name, isAnswered: false)
    if mayChangeFiles { world.changes.noteBroken() }
    world.droppedCount += 1
    world.faults.noteRetried(.cancellation)
    world.faults.noteDropped(name)
    world.disk.abandonRequests(of: name)
    world.disk.trace.add("drop", UInt64(name), 0, 0)
    switch phase {
    case .checking where copyFloor != nil: phase = .closing
    case .checkpointing, .checking: phase = .resting
    // Said again.
    case .settingUp: break
    case .beginning:
      line = LinePlace()
      phase = engine.isInTransaction ? .rollingBack : .resting
    case .readingStamp: if !engine.isInTransaction || !choices.oneIn(2, .opensAgain) { phase = .rollingBack }
    case .operating where !engine.isInTransaction, .housekeeping where !engine.isInTransaction,
      .siding(.keys(.operating)) where !engine.isInTransaction, .siding(.keys(.listing)) where !engine.isInTransaction:
      // It had failed, and was taking the transaction with it.
      guard world.faults.hasMet(name) || keys.isInDoubt else {
        throw Finding(oracle: .cancellation, text: "client \(name): \(phaseName) was dropped, and its transaction is gone")
      }
      dropScan()
      phase = .resting
    case .operating(let operation, _):
      if choices.oneIn(2, .triesAgain) {
        retry = choices.oneIn(2, .variesRetry) ? operation.withOtherContent(choices.number(.tag)) : operation
      }
      drawWayBackBehindDrop()
      phase = .choosing
    case .housekeeping:
      drawWayBackBehindDrop()
      phase = .choosing
    case .siding(.keys(let step)): dropKeys(step)
    case .committing:
      // Who goes on is told whether it was one.
      if isWriting { doubtCommit() }
      phase = .rollingBack
      drawBehindCommit()
    case .rollingBack:
      // It has ended the transaction, or has never begun.
      if rollsBackAtWill, engine.isInTransaction, choices.oneIn(2, .goesOn) {
        operationsLeft = max(operationsLeft, 2)
        retry = model.map { .readAll(table: choices.pick($0.presentTables, .table)) }
        phase = .choosing
      }
    case .reopening, .closing, .gone, .resting, .readingOther, .readingVersion, .choosing, .savepointing, .scanning, .finishingScan,
      .stamping, .stampingOther, .lookingAgain, .siding:
      phase = .choosing
    }
  }

  /// The scan that is open is of no use any more.
  func dropScan() {
    engine?.dropScan()
    scan = nil
  }

  /// The commit has not ended well. Who undoes the transaction, and then looks, knows.
  func doubtCommit() {
    world.ledger.doubt(stamp)
    failedStamp = stamp
    behind.doubted = stamp
  }

  /// The dropped statement is the last one for a while; nobody comes who would end what it has left.
  func settle(_ engine: EngineClient) throws(Finding) {
    world.changes.touch(name)
    do throws(EngineError) {
      wait = try engine.settle()
    } catch {
      try explain(error, "what a dropped statement has left")
      phase = .reopening
    }
  }

  /// A statement waits for locks as long as its time-out says, and some seconds for who is about to go.
  func checkDeadline(_ wait: Wait) throws(Finding) {
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
  static let raceNanosecondsMax: UInt64 = 12_000_000_000
  static let jumpNanosecondsMin: UInt64 = 1_000_000_000

  // MARK: a connection anew

  /// The connection ends, as one does when a program has no more use for it.
  func closeInPart(_ engine: EngineClient) throws(Finding) {
    world.changes.noteResting(name)
    world.changes.touch(name)
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

  func reopen() throws(Finding) {
    scan = nil
    copyFloor = nil
    looks = [:]
    toldJournal = nil
    loosened = nil
    hasAskedToWrite = false
    world.syncedWriters = []
    world.changes.touch(name)
    world.changes.noteResting(name)
    failedStamp = nil
    if engine != nil {
      _ = try engine?.close()
      engine = nil
      world.faults.noteEnd(of: name)
    }
    do throws(EngineError) {
      engine = try makeEngine()
      world.disk.trace.add("open", UInt64(name), 0, 0)
      world.noteOpened()
      phase = .settingUp(0)
    } catch {
      try explain(error, "opening")
      yields = true
      noteTrouble()
    }
  }

  /// - Throws: a finding where no fault explains the error, or where it does not say what happened to what.
  func explain(_ error: EngineError, _ place: String) throws(Finding) {
    if world.damage != .none, FaultKind.damageCodes.contains(error.code) { return world.faults.noteSurfaced(name) }
    // What is in a file that somebody has changed is his.
    if world.damage == .anything, [.error, .schema, .full, .readOnly].contains(error.code) {
      return world.faults.noteSurfaced(name)
    }
    // The header has a word for it, which rot may write as well.
    if world.damage != .none, error.code == .readOnly, world.saysReadOnly { return world.faults.noteSurfaced(name) }
    guard world.faults.excuse(error, of: name) != nil else {
      throw Finding(oracle: .error, text: "client \(name) in \(place): \(error) (code \(error.code.rawValue))")
    }
    if error.object == nil && error.code.primary != .readOnly {
      throw Finding(oracle: .error, text: "client \(name) in \(place): \(error) names nothing")
    }
    world.faults.noteSurfaced(name)
  }

  func noteTrouble() {
    troubleCount += 1
    if world.damage != .none, troubleCount > Self.troubleCountInDamageMax { giveUp() }
  }

  func giveUp() {
    _ = try? engine?.close()
    engine = nil
    world.faults.noteEnd(of: name)
    phase = .gone
  }

  /// What a client does about an error that a fault explains: it goes on with the transaction, undoes it, or opens the file anew.
  func recover(from error: EngineError) {
    guard let engine else { return }
    dropScan()
    yields = true
    if case .committing = phase, isWriting { doubtCommit() }
    let mayGoOn: Bool
    switch phase {
    case .operating: mayGoOn = world.damage == .none && choices.oneIn(2, .goesOn)
    // Nothing of it has happened, or the engine refuses what comes next.
    case .savepointing(.goBack): mayGoOn = world.damage == .none && choices.oneIn(2, .goesOnBehindWayBack)
    default: mayGoOn = false
    }
    noteTrouble()
    if isGone { return }
    let asksForIt = error.hint?.contains("open it again") == true || error.code.primary == .readOnly
    if asksForIt || troubleCount % Self.troubleCountMax == 0 {
      phase = .reopening
    } else if case .settingUp = phase {
      // Said again.
    } else if case .committing = phase, mayCommitAgain, engine.isInTransaction, choices.oneIn(2, .goesOnBehindFailure) {
      // As behind one that was dropped: it is said again, at once or with something else before.
      phase = .rollingBack
      drawBehindCommit()
    } else if mayGoOn && engine.isInTransaction {
      // The statement is undone as a whole, and nothing else is.
      if case .savepointing = phase { behind.steps = [.commit] }
      phase = .choosing
    } else if case .rollingBack = phase {
      phase = .reopening
    } else {
      phase = engine.isInTransaction ? .rollingBack : .resting
    }
  }

  /// With a log a commit that has failed may be found there by a recovery, whatever comes behind it.
  private var mayCommitAgain: Bool { isWriting && world.damage == .none && !world.profile.mayHaveLog }

  var phaseName: String {
    switch phase {
    case .reopening: "opening the file anew"
    case .closing: "the end of its connection"
    case .gone: "its grave"
    case .settingUp: "set-up"
    case .resting: "rest"
    case .beginning: isSavepoint ? "SAVEPOINT" : "BEGIN"
    case .readingStamp, .readingOther: "its first read"
    case .readingVersion: "PRAGMA data_version"
    case .choosing: "between statements"
    case .operating(let operation, _): model.map(operation.sql) ?? "an operation"
    case .savepointing(let step): step.sql
    case .housekeeping(let statement): statement
    case .scanning, .finishingScan: "a scan that stays open"
    case .stamping, .stampingOther: "its stamp"
    case .lookingAgain: "its look behind a dropped COMMIT"
    case .committing where isAutocommit: Self.autocommitText
    case .committing: isSavepoint ? "RELEASE of the transaction" : "COMMIT"
    case .rollingBack: "ROLLBACK"
    case .checkpointing: "a checkpoint or VACUUM"
    case .checking: "its check of the file"
    case .siding(.keys(.operating(let operation, _))): operation.sql
    case .siding(let step): "\(step) of a side transaction"
    }
  }
}
