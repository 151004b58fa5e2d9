// What becomes of a client's statements: each answer, and each failure, held against the model and the world's faults.

import ApusBase

extension Client {
  func receive(_ fields: [ImageField]) throws(Finding) {
    switch phase {
    case .readingStamp:
      guard case .integer(let number)? = fields.first else {
        // Another page in the place of the one that was asked for.
        if world.damage == .anything { return }
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
      versions = world.ledger.versions(of: number)
      world.ledger.see(number)
      if let failed = failedStamp {
        failedStamp = nil
        // The write that takes it back may have failed as well.
        let isTakenBack = world.faults.failureCount == failureCountAtCommit
        if isTakenBack, !world.ledger.descends(number, from: failed) { world.ledger.refute(failed) }
      }
    case .readingOther:
      if world.damage == .none, let model, fields != [.integer(model.otherStamp)] {
        throw Finding(
          oracle: .snapshot,
          text: "client \(name) sees transaction \(base) in one file and \(fields) in the other, \(model.otherStamp) is due")
      }
    case .operating(let operation, var rows):
      // Nobody else has the rows then, and none of them is copied for the next one.
      phase = .choosing
      rows.append(fields)
      phase = .operating(operation, rows: rows)
    case .checkpointing: if isCheckpoint || newJournal != nil { checkpointRows.append(fields) }
    case .settingUp: break
    case .lookingAgain:
      guard case .integer(let number)? = fields.first else { return }
      phase = .lookingAgain(number)
    case .scanning(let rowsLeft):
      scan?.seen.append(fields)
      if rowsLeft > 0 {
        phase = .scanning(rowsLeft: rowsLeft - 1)
      } else {
        engine?.keepAsScan()
        // What a dropped statement had left is undone, and nobody is told.
        if undoesFirst { world.faults.noteDropped(name) }
        phase = phaseOfScan
      }
    case .finishingScan: scan?.seen.append(fields)
    case .checking(let rows): phase = .checking(rows: rows + [fields])
    case .readingVersion: try noteVersion(fields)
    case .siding(.reading(let rows)): phase = .siding(.reading(rows: rows + [fields]))
    case .siding(.keys(.operating(let operation, var rows))):
      phase = .choosing
      rows.append(fields)
      phase = .siding(.keys(.operating(operation, rows: rows)))
    case .siding(.keys(.listing(let action, let rows))): phase = .siding(.keys(.listing(action, rows: rows + [fields])))
    case .reopening, .closing, .gone, .resting, .beginning, .choosing, .savepointing, .housekeeping, .stamping,
      .stampingOther, .committing, .rollingBack, .siding:
      throw Finding(oracle: .error, text: "client \(name): a row where none is due: \(fields)")
    }
  }

  func finish() throws(Finding) {
    var isCommit = false
    // Who has only read promises nobody anything.
    if case .committing = phase { isCommit = isWriting && (!isAutocommit || engine?.changes == 1) }
    if case .siding(.committing) = phase { isCommit = true }
    if case .siding(.keys(.committing)) = phase { isCommit = keys.isWriting }
    if let fault = world.faults.noteSuccess(name, endsTransaction: isCommit, forgives: forgives) {
      throw Finding(oracle: .faultAccount, text: "client \(name): \(phaseName) ended well, and nobody told of: \(fault)")
    }
    if isCommit, world.keepsWhatIsAnswered, !world.profile.isLax(name), world.disk.hasLostLogWrite(name) {
      throw Finding(oracle: .logAudit, text: "client \(name): COMMIT was answered, and a sync that was to cover it had failed")
    }
    world.changes.end(
      name, isAnswered: isCommit || isVacuum && !world.profile.attaches, changesOther: isCommit && model?.otherStamp == stamp)
    if isCommit || isVacuum { try checkKeptFiles() }
    if case .checkpointing = phase {
      if isCheckpoint { try checkCheckpoint() }
      if let newJournal { try checkSwitch(newJournal) }
    }
    switch phase {
    case .reopening, .closing, .gone: break
    case .settingUp(let index):
      do throws(EngineError) { try engine?.injectFaultsIntoAttached() } catch { try explain(error, phaseName) }
      phase = .settingUp(index + 1)
      busyCount = 0
    case .resting: break
    case .beginning:
      model = nil
      phase = .readingStamp
    case .readingStamp:
      if model == nil {
        if world.faults.hasLostFrames(name) {
          phase = .rollingBack
          break
        }
        if world.damage == .none { throw Finding(oracle: .read, text: "client \(name): the stamp is gone") }
        model = world.ledger.model(of: world.ledger.lastAcknowledged)
      }
      look.stamp = base
      look.ended = world.changes.tick()
      phase = world.profile.attaches ? .readingOther : .choosing
      if !world.profile.attaches, choices.oneIn(Self.versionOneIn, .asksVersion) { phase = .readingVersion }
    case .readingOther:
      look.ended = world.changes.tick()
      phase = choices.oneIn(Self.versionOneIn, .asksVersion) ? .readingVersion : .choosing
    case .readingVersion: try finishVersion()
    case .choosing: break
    case .housekeeping(let statement):
      if let version = BehindCommit.version(in: statement) { versions = [version] }
      drawWayBack(oneIn: 2)
      // What is left of the freelist is taken by somebody.
      if statement.hasPrefix("PRAGMA incremental_vacuum"), scan == nil, wayBack == nil, growth == nil, let model,
        choices.oneIn(3, .growsBehindVacuum)
      {
        growth = world.generator.growth(choices, model)
      }
      phase = .choosing
    case .lookingAgain(let number):
      try noteLook(number)
      phase = .choosing
    case .scanning, .finishingScan:
      if let scan, let model, world.damage == .none, let problem = scan.problem(after: model) {
        throw Finding(oracle: .read, text: "client \(name): \(problem)")
      }
      phase = phaseOfScan
      scan = nil
    case .operating(let operation, let rows):
      try verify(operation, rows)
      if !operation.isRead { noteWrite() }
      if operation.givesPagesBack { drawWayBack(oneIn: world.profile.tide > 0 ? 3 : 6) }
      phase = .choosing
    case .savepointing(.open):
      if let model {
        savedModels.append(SavedModel(model: model, versions: versions, stamp: behind.isAsStamped ? stamp : nil))
      }
      world.recorder?.noteSavepoint(name)
      phase = .choosing
    case .savepointing(.release(let number)):
      savedModels.removeSubrange(number...)
      world.recorder?.noteRelease(name, of: number)
      phase = .choosing
    case .savepointing(.goBack(let number)):
      model = savedModels[number].model
      versions = savedModels[number].versions
      behind.isAsStamped = savedModels[number].stamp == stamp
      behind.mustLook = false
      savedModels.removeSubrange((number + 1)...)
      world.recorder?.noteWayBack(name, to: number)
      phase = .choosing
    case .stamping where world.profile.attaches && (touchesOther || !choices.oneIn(2, .changesMainAlone)):
      noteWrite()
      touchesOther = true
      phase = .stampingOther
    case .stamping, .stampingOther:
      if case .stampingOther = phase { model?.otherStamp = stamp }
      guard let model else { return }
      troubleCount = 0
      world.ledger.beginCommit(stamp, base: baseOfCommit, model: model, versions: versions)
      behind.isAsStamped = true
      busyCount = 0
      phase = .committing
    case .committing where isAutocommit && !isCommit:
      // Somebody else has committed since.
      abandonCommit()
      phase = .resting
    case .committing:
      if !isAutocommit { world.recorder?.noteCommitted(name) }
      if isWriting {
        world.commitCount += 1
        commitCount += 1
        world.syncedWriters.insert(name)
        // A tail that may be lost may leave the first try.
        if world.promise(behind: stamp, model) == .everything { world.ledger.settleVersions(stamp, versions) }
        behind = BehindCommit()
        if !world.ledger.acknowledge(stamp, isPromised: !world.profile.isLax(name)), world.damage == .none {
          throw Finding(
            oracle: .durability,
            text: "client \(name) committed \(stamp) on top of \(base), but \(world.ledger.lastAcknowledged) was acknowledged")
        }
        try world.audit()
      }
      if let model { scan?.noteEnd(model) }
      phase = .resting
    case .rollingBack:
      noteRolledBack()
      phase = .resting
    case .siding(let step): try finishSide(step)
    case .checking where copyFloor != nil:
      if let copyFloor { try checkCopy(from: copyFloor) }
      phase = .resting
    case .checking(let rows):
      if world.damage == .none, rows != [[.text(Array("ok".utf8))]] {
        throw Finding(oracle: .walk, text: "client \(name): \(phaseName): \(rows)")
      }
      phase = .resting
    case .checkpointing:
      troubleCount = 0
      // Under a rollback journal another connection's transaction may lie in the file now, but right behind a VACUUM.
      if world.hasLog || isVacuuming { try world.audit() }
      isVacuuming = false
      if loosened == .goesBack { loosened = nil }
      phase = .resting
    }
  }

  /// Pages were given back, perhaps behind a savepoint: it is gone back to, at once or when something else lies on them.
  private func drawWayBack(oneIn n: Int) {
    guard scan == nil, growth == nil, let model, let last = savedModels.indices.last, choices.oneIn(n, .returnsToSavepoint)
    else { return }
    wayBack = .goBack(to: last)
    if choices.oneIn(2, .growsFirst) { growth = world.generator.growth(choices, model) }
  }

  /// Where a scan that was put aside, or has come to its end, is gone on from.
  private var phaseOfScan: Phase { scan?.outlivesTransaction == true ? .resting : .choosing }

  /// The transaction is undone, by its own will; a scan reads on what was there before.
  func noteRolledBack() {
    if scan == nil { return }
    guard let model = world.ledger.model(of: base) else { return dropScan() }
    scan?.noteEnd(model)
  }

  /// The file's write lock is had; that of another file comes with the first change there.
  func noteWrite() { if !world.profile.attaches { isDeferred = false } }

  /// Whether the statement that ended well may have let the failure go.
  func forgives(_ fault: FaultInjector.OwedFault) -> Bool {
    if undoesFirst { return true }
    // VACUUM and its pragmas are commits.
    let isAsked: Bool
    if case .checkpointing = phase { isAsked = isCheckpoint || newJournal != nil } else { isAsked = false }
    switch phase {
    // Undoing goes on whatever happens; what is left is hot, or in doubt.
    case .rollingBack, .reopening, .closing, .gone, .settingUp: return true
    case .resting, .beginning, .readingStamp, .readingOther, .readingVersion, .choosing, .operating, .savepointing,
      .housekeeping, .scanning, .finishingScan, .stamping, .stampingOther, .lookingAgain, .committing, .checkpointing,
      .checking, .siding:
      break
    }
    // What takes back a dropped COMMIT writes to the log: that one stays in doubt until the next.
    let isCommitting =
      switch phase {
      case .committing, .siding(.keys(.committing)): true
      default: false
      }
    if behind.doubted != nil || keys.isInDoubt, fault.role == .log, !fault.kind.isSync, !isCommitting { return true }
    switch (fault.kind, fault.role) {
    // What nobody came to use; what was used in its place would show.
    case (.readError, _), (.stickyReadError, _): return true
    // The checkpoint behind a commit fails for itself.
    case (_, .database) where world.profile.mayHaveLog: return !isAsked
    // The log that started again, and is longer than it should be.
    case (.truncateError, .log), (.readOnlyFileSystem, .log): return !isAsked
    // The journal that stays, behind its commit.
    case (.truncateError, .journal), (.readOnlyFileSystem, .journal):
      return world.profile.journalLimitBytes >= 0 && (world.profile.journal == .persist || world.profile.switchOneIn > 0)
    // Zeros over commits whose owners were told that they have failed, with the sync of the checkpoint behind this one.
    case (.writeError, .log): return world.faults.owesSync(name)
    // Behind a hot journal's playback: the super-journal stays for whoever comes next, or for good.
    case (_, .superJournal): return !isCommitting
    // A journal that it names could not be looked at: so the super-journal stays, too.
    case (.tooManyFiles, .journal), (.refusedOpen, .journal): return !isCommitting && world.hasSuperJournal
    default: return world.damage == .anything
    }
  }

  func verify(_ operation: Operation, _ rows: [[ImageField]]) throws(Finding) {
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
      let expected = operation.expectedRows(after)
      if !operation.isAnswered(by: rows, expected, after) {
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
    if let due = operation.changeCount(after), let engine, engine.changes != Int64(due) {
      throw Finding(
        oracle: .read, text: "client \(name): \(operation.sql(after)) has changed \(engine.changes) rows, \(due) are due")
    }
    guard asAnswered(operation, after).apply(to: &after) else {
      throw Finding(oracle: .read, text: "client \(name): \(operation.sql(after)) must violate a constraint and did not")
    }
    if behind.isAsStamped, let model, !after.isAs(model) { behind.noteChange() }
    model = after
  }

  /// Beside concurrent transactions, a row without a row id gets the next one that no other open transaction was given.
  private func asAnswered(_ operation: Operation, _ model: DatabaseModel) -> Operation {
    guard world.profile.isConcurrent, case .append(let table, let row) = operation, let rowid = engine?.lastInsertRowid,
      rowid > model.tables[table].keys.max() ?? 0
    else { return operation }
    return .insert(table: table, id: rowid, row: row, conflict: .abort)
  }

  func note(_ action: History.Action) { world.recorder?.note(action, by: name) }

  func fail(_ error: EngineError) throws(Finding) {
    if try failOrdinarily(error) { return world.faults.noteDropped(name) }
    if error.code == .abortRollback, let scan, scan.outlivesTransaction,
      scan.mayBeAborted || world.faults.hasMet(name, since: scan.metCount)
    {
      dropScan()
      phase = .resting
      return
    }
    // Its place could not be kept, or the whole transaction was undone: a fault of its connection can bring that about.
    if error.code == .abortRollback, let scan, !scan.outlivesTransaction, world.faults.hasMet(name, since: scan.metCount) {
      recover(from: error)
      return
    }
    if error.code == .abort, case .rollingBack = phase, keys.isInDoubt {
      keys.isInDoubt = false
      phase = .resting
      return
    }
    if error.code == .abort, case .siding(.keys) = phase, keys.isInDoubt {
      // It says that the COMMIT was one.
      world.keys.noteTold(name)
      phase = engine?.isInTransaction == true ? .rollingBack : .resting
      return
    }
    if error.code == .abort, try isToldOfCommit() { return }
    try explain(error, phaseName)
    // What undoes the copy may fail as well, and nobody is told: its journal stays for the next one.
    if case .checking = phase, copyFloor != nil { return phase = .closing }
    recover(from: error)
  }

  /// What happens without any fault: somebody else has a lock, a constraint is violated.
  func failOrdinarily(_ error: EngineError) throws(Finding) -> Bool {
    let isBusy = error.code.primary == .busy
    // Who has no lock yet does not always get it: to read, or to go on to write.
    let mayLack = isBusy && (!isWriting || isDeferred || isConcurrent)
    yields = isBusy
    switch phase {
    case .checking where isBusy && copyFloor != nil: phase = .closing
    case .beginning where isBusy, .checking where isBusy: phase = .resting
    // A VACUUM has given the database other pages than the copy has, or was begun with.
    case .checking where copyFloor != nil && error.code.primary == .readOnly && world.profile.vacuumOneIn > 0: phase = .closing
    case .readingStamp where mayLack, .readingOther where mayLack: phase = .rollingBack
    case .readingVersion where isBusy: phase = engine?.isInTransaction == true ? .rollingBack : .resting
    case .committing where isAutocommit && isBusy:
      abandonCommit()
      phase = .resting
    case .committing where isConcurrent && error.code == .busySnapshot:
      world.recorder?.noteAborted(name)
      abandonCommit()
      phase = .rollingBack
    case .siding(.committing) where isBusy && error.code != .busySnapshot && busyCount < Self.busyCountMax: busyCount += 1
    case .siding(.keys(.committing)) where isBusy && error.code != .busySnapshot && busyCount < Self.busyCountMax:
      busyCount += 1
      goOnBehindCommit()
    case .siding(.keys(.lost)): return error.code == .busySnapshot
    case .siding(.keys) where isBusy: refuseCommitOfKeys(error)
    case .siding(.keys(.operating(let operation, _))) where error.code.primary == .constraint && !operation.takesRowid:
      refuseKeys(operation)
    case .siding where isBusy: phase = .rollingBack
    case .savepointing where isConcurrent && error.code == .busySnapshot: phase = .rollingBack
    case .committing where isBusy:
      busyCount += 1
      if busyCount > Self.busyCountMax {
        world.recorder?.noteAborted(name)
        if isWriting { abandonCommit() }
        phase = .rollingBack
      }
    case .settingUp where isBusy:
      // Where all try at once, and at once again, nobody ever has the file alone: the client waits, longer each time.
      busyCount += 1
      if busyCount > Self.busyCountMax {
        wait = .moment(world.disk.clock.monotonicNanoseconds + UInt64(busyCount * (name + 1)) * 1_000_000)
      }
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
    case .operating
    where isWriting && isDeferred && !isConcurrent && error.code == .busySnapshot && choices.oneIn(2, .staysBehindRefusal):
      // It can only read on, and does: what it was refused must be in nobody's way.
      isWriting = false
      operationsLeft += 1 + choices.below(world.profile.operationCountMax, .operationCount)
      phase = .choosing
    case .operating where mayLack, .choosing where mayLack, .housekeeping where mayLack, .stamping where mayLack,
      .stampingOther where mayLack, .scanning where mayLack, .lookingAgain where mayLack:
      dropScan()
      phase = .rollingBack
    case .reopening, .closing, .gone, .settingUp, .resting, .beginning, .readingStamp, .readingOther, .readingVersion,
      .choosing, .operating, .savepointing, .housekeeping, .scanning, .finishingScan, .stamping, .stampingOther, .lookingAgain,
      .committing, .rollingBack, .checkpointing, .checking, .siding:
      return false
    }
    return true
  }
}
