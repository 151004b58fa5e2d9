// What a client asks next: the statement that its phase, its profile and the choices make.

import ApusBase

extension Client {
  /// What comes is not to be excused by what happened to an earlier transaction.
  private func noteFreshStart() {
    if engine?.owesWork == true || world.disk.inFlight.contains(where: { $0.actor == name }) { return }
    world.faults.noteFreshStart(of: name)
  }

  func startNext(mayBegin: Bool) throws(Finding) {
    switch phase {
    case .reopening, .closing, .gone: break
    case .settingUp(let index):
      let statements = world.profile.connectionStatements(of: name)
      if index < statements.count {
        start(statements[index], [])
      } else {
        phase = .resting
      }
    case .resting:
      if scan != nil { return goOnWithScan() }
      if let step = loosened { return goOnLoosely(step) }
      if !mayBegin { return }
      // Before it writes to the log again: that would pass for the commit.
      endKeys()
      if vacuumStep > 0 { return startVacuum() }
      choices.end(.transaction)
      hasMore = choices.begins(.transaction, if: true)
      if !hasMore { return }
      noteFreshStart()
      if choices.oneIn(world.profile.reconnectOneIn, .reconnects) {
        phase = .closing
        return
      }
      if choices.oneIn(world.profile.checkpointOneIn, .checkpoints) { return mayLoosen ? loosen() : askForCheckpoint() }
      if switchesLeft > 0 {
        switchesLeft -= 1
        if choices.oneIn(2, .switchesAgain) { return switchJournal() }
      } else if choices.oneIn(world.profile.switchOneIn, .switches) {
        switchesLeft = choices.oneIn(2, .switchesAgain) ? Self.switchesInRowMax : 0
        return switchJournal()
      }
      if world.profile.locksExclusively, choices.oneIn(Self.changesLockingOneIn, .changesLocking) { return changeLocking() }
      if choices.oneIn(world.profile.vacuumOneIn, .vacuums) { return startVacuum() }
      copyFloor = nil
      if world.damage == .none, choices.oneIn(Self.copyOneIn, .copiesFile) { return startCopy() }
      if choices.oneIn(Self.checkOneIn, .checksFile) {
        phase = .checking(rows: [])
        return start(choices.oneIn(2, .checksQuickly) ? "PRAGMA quick_check" : "PRAGMA integrity_check", [])
      }
      if choices.oneIn(Self.versionAtRestOneIn, .asksVersion) { return askVersion() }
      isConcurrent = false
      isAutocommit = false
      keys.isInDoubt = false
      behind = BehindCommit()
      if !world.profile.attaches, choices.oneIn(Self.autocommitOneIn, .isAutocommit), startAutocommit() { return }
      if world.profile.isConcurrent, choices.oneIn(world.profile.sideOneIn, .isSide) {
        return world.profile.hasKeys && !choices.oneIn(4, .isPair) ? startKeys() : startSide()
      }
      isWriting = !choices.oneIn(switchesLeft > 0 ? min(3, world.profile.readerOneIn) : world.profile.readerOneIn, .isReader)
      isDeferred = isWriting && choices.oneIn(4, .upgrades)
      operationsLeft = 1 + choices.below(world.profile.operationCountMax, .operationCount)
      oldestAllowed = world.ledger.lastSeen
      savedModels = []
      wayBack = nil
      growth = nil
      retry = nil
      vacuumsNext = false
      rollsBackAtWill = false
      changedSchema = false
      touchesOther = false
      phase = .beginning
      isConcurrent = isWriting && world.profile.isConcurrent && choices.oneIn(2, .beginsConcurrently)
      look = VersionLook(name, world, switchCount: switchCount)
      world.recorder?.begin(name, isConcurrent: isConcurrent, isAtSnapshot: isConcurrent && isAtSnapshot)
      start(drawBeginning(), [])
    case .beginning: phase = .resting
    case .readingStamp: start("SELECT n FROM stamp", [])
    case .readingOther: start("SELECT n FROM o.stamp", [])
    case .readingVersion: askVersion()
    case .choosing: try choose()
    case .operating, .savepointing, .housekeeping, .scanning, .finishingScan, .lookingAgain:
      throw Finding(oracle: .error, text: "client \(name) lost its statement")
    case .stamping: start("UPDATE stamp SET n=?1", [.integer(stamp)])
    case .stampingOther: start("UPDATE o.stamp SET n=?1", [.integer(stamp)])
    case .committing:
      if behind.doubted == nil { failureCountAtCommit = world.faults.failureCount }
      if isAutocommit { return start(Self.autocommitText, [.integer(stamp), .integer(base)]) }
      world.recorder?.noteCommitBegun(name)
      start(commitText, [])
    case .rollingBack:
      if engine?.isInTransaction == true { return start("ROLLBACK", []) }
      // What a dropped ROLLBACK has ended is undone; of a dropped COMMIT nobody knows yet.
      if rollsBackAtWill { noteRolledBack() } else { dropScan() }
      phase = .resting
    case .checkpointing, .checking: phase = .resting
    case .siding(let step): try startNextSide(step)
    }
  }

  /// What the transaction begins with: what keeps others out at once, or a savepoint, whose RELEASE is its COMMIT.
  private func drawBeginning() -> String {
    isSavepoint = false
    isExclusive = false
    if isConcurrent { return "BEGIN CONCURRENT" }
    if isWriting, !isDeferred {
      isExclusive = choices.oneIn(8, .beginsExclusively)
      return isExclusive ? "BEGIN EXCLUSIVE" : "BEGIN IMMEDIATE"
    }
    isSavepoint = choices.oneIn(6, .beginsWithSavepoint)
    return isSavepoint ? "SAVEPOINT whole" : "BEGIN"
  }

  /// A statement that is a transaction by itself: what was seen last gets another stamp, if it is there still.
  private func startAutocommit() -> Bool {
    base = world.ledger.lastSeen
    guard world.damage == .none, let model = world.ledger.model(of: base) else { return false }
    self.model = model
    isAutocommit = true
    isWriting = true
    isDeferred = false
    rollsBackAtWill = false
    changedSchema = false
    touchesOther = false
    savedModels = []
    versions = world.ledger.versions(of: base)
    busyCount = 0
    stamp = world.ledger.makeStamp()
    world.changes.noteStamp(stamp, of: name)
    world.ledger.beginCommit(stamp, base: base, model: model, versions: versions)
    phase = .committing
    return true
  }

  static let autocommitText = "UPDATE stamp SET n=?1 WHERE n=?2"

  private var commitText: String { isSavepoint ? "RELEASE whole" : "COMMIT" }

  /// VACUUM, perhaps behind a pragma that makes it change the file's shape.
  func startVacuum() {
    phase = .checkpointing
    isCheckpoint = false
    isVacuuming = false
    newJournal = nil
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

  func choose() throws(Finding) {
    guard let model else { throw Finding(oracle: .error, text: "client \(name) has no model") }
    choices.end(.statement)
    if let operation = growth {
      growth = nil
      return start(operation, model)
    }
    if let step = wayBack {
      wayBack = nil
      operationsLeft = max(operationsLeft, 1)
      return change(step)
    }
    if let step = behind.next() { return try take(step, model) }
    if !choices.begins(.statement, if: operationsLeft > 0) {
      // The COMMIT of a concurrent transaction waits for no statement to end, and what it was lost with takes its readers along.
      if scan != nil, isConcurrent || !choices.oneIn(2, .scanOutlives) {
        phase = .finishingScan
        resumeScan()
        return
      }
      if !isWriting {
        phase = .committing
        world.recorder?.noteCommitBegun(name)
        start(commitText, [])
      } else if choices.oneIn(world.profile.hasComingTables ? 3 : world.profile.rollbackOneIn, .rollsBack) {
        phase = .rollingBack
        rollsBackAtWill = true
        start("ROLLBACK", [])
      } else {
        stamp = world.ledger.makeStamp()
        world.changes.noteStamp(stamp, of: name)
        phase = .stamping
        start("UPDATE stamp SET n=?1", [.integer(stamp)])
      }
      return
    }
    if operationsLeft == 1, isWriting, scan == nil, world.profile.dropsCommits, !world.profile.hasLog, savedModels.isEmpty,
      choices.oneIn(3, .savesLate)
    {
      // Its COMMIT, if that is dropped, can be gone back behind.
      return change(.open(0))
    }
    operationsLeft -= 1
    if scan == nil, retry == nil, !behind.mustLook, choices.oneIn(world.profile.scanOneIn, .opensScan) {
      let drawn = choices.below(model.shapes.count, .scanTable)
      let table = model.missing.contains(drawn) ? 0 : drawn
      let isByIndex = choices.oneIn(2, .scanByIndex)
      scan = OpenScan(
        table: table, before: model, isByIndex: isByIndex, changedSchema: changedSchema, metCount: world.faults.metCount(name))
      phase = .scanning(rowsLeft: choices.below(6, .scanRows))
      let name = model.shapes[table].name
      // The same text never comes from another operation: a statement is one run at a time.
      start(
        isByIndex ? "SELECT id, k FROM \(name) WHERE k>=?1 ORDER BY k" : "SELECT id, k FROM \(name) WHERE k>=?1 ORDER BY id",
        [.integer(.min)])
      return
    }
    if isWriting && scan == nil && choices.oneIn(world.profile.savepointOneIn, .usesSavepoint) {
      return change(savepointStep())
    }
    if isWriting, world.profile.autoVacuum == 2, vacuumsNext || choices.oneIn(savedModels.isEmpty ? 8 : 4, .vacuumsPages) {
      // What is cut off the file's end may have to come back.
      if scan == nil, savedModels.isEmpty, choices.oneIn(2, .usesSavepoint) {
        vacuumsNext = true
        return change(.open(0))
      }
      vacuumsNext = false
      let statement = "PRAGMA incremental_vacuum(\(choices.below(12, .vacuumedPages)))"
      phase = .housekeeping(statement)
      start(statement, [])
      return
    }
    if isWriting, choices.oneIn(Self.changesMemoryOneIn, .changesMemory) {
      // What is in memory goes, or there is room for more or less of it.
      let size = choices.below(4, .newCacheSize)
      let statement = size == 0 ? "PRAGMA shrink_memory" : "PRAGMA cache_size=\([5, 20, world.profile.cachePages][size - 1])"
      phase = .housekeeping(statement)
      start(statement, [])
      return
    }
    if isWriting, scan == nil, world.profile.autoVacuum > 0, choices.oneIn(40, .changesSchema) {
      // Tables that come and go move the roots of others.
      let name = "scratch\(choices.below(3, .scratchTable))"
      let statement =
        choices.oneIn(2, .dropsTable) ? "DROP TABLE IF EXISTS \(name)" : "CREATE TABLE IF NOT EXISTS \(name)(a, b UNIQUE)"
      changedSchema = true
      phase = .housekeeping(statement)
      start(statement, [])
      return
    }
    let operation =
      retry ?? listOperation() ?? (isWriting ? world.operationOfTide(choices, model) : nil)
      ?? world.generator.next(choices, model, readsOnly: !isWriting, mayChangeTables: scan == nil)
    retry = nil
    start(operation, model)
  }

  func start(_ operation: Operation, _ model: DatabaseModel) {
    if behind.mustLook, operation.isRead {
      retry = operation
      behind.steps.insert(.read, at: 0)
      phase = .lookingAgain(nil)
      return start("SELECT n FROM stamp", [])
    }
    if operation.changesSchema { changedSchema = true }
    if !operation.isRead, model.shapes[operation.table].database != nil { touchesOther = true }
    phase = .operating(operation, rows: [])
    start(operation.sql(model), operation.bindings(model))
  }

  /// The transaction is over, and its scan is not: it waits while others go on, gives some rows, or all that are left.
  private func goOnWithScan() {
    if choices.oneIn(3, .scanPauses) { return }
    phase = choices.oneIn(3, .scanStopsAgain) ? .scanning(rowsLeft: choices.below(6, .scanRows)) : .finishingScan
    resumeScan()
  }

  /// Its next step undoes first what a dropped statement has left, like every other statement.
  private func resumeScan() {
    undoesFirst = engine?.owesWork == true
    engine?.resumeScan()
  }

  func savepointStep() -> SavepointStep {
    let count = savedModels.count
    let verb = count == 0 ? 0 : choices.below(count == Self.savepointCountMax ? 2 : 3, .savepointVerb)
    if count == 0 || verb == 2 { return .open(count) }
    let number = count - 1 - choices.below(count, .savepoint)
    return verb == 0 ? .release(number) : .goBack(to: number)
  }

  func change(_ step: SavepointStep) {
    let step = step.resolved(count: savedModels.count)
    phase = .savepointing(step)
    start(step.sql, [])
  }

  func listOperation() -> Operation? {
    // A dropped COMMIT may be found by a recovery, without what comes behind it.
    guard let recorder = world.recorder, behind.doubted == nil, choices.oneIn(3, .usesList) else { return nil }
    let list = choices.below(HistoryRecorder.listCount, .list)
    if !isWriting || choices.oneIn(2, .readsList) { return .readList(list) }
    return .appendToList(list, value: recorder.makeValue())
  }
}
