// Transactions and savepoints of a connection. Everything here that may wait is called again until it succeeds, and what
// it has done by then it does not do twice.

import ApusBase
import ApusStorage

extension ConnectionState {
  /// True where some statement other than `machine` is writing.
  func hasOtherWriter(than machine: MachineReference) -> Bool {
    if active.count == 1 { return false }
    for other in active where other != machine {
      if other.writes != 0 { return true }
    }
    return false
  }

  /// True where some other statement has stopped at a wait in the middle of a change.
  func isWriterMidway(except machine: MachineReference) -> Bool {
    if active.count == 1 { return false }
    for other in active where other != machine {
      if other.writes != 0 && other.isMidway { return true }
    }
    return false
  }

  /// Before a statement changes pages, the others take copies of what they borrow from them.
  func ownBorrowedValues(except machine: MachineReference) {
    if active.count == 1 { return }
    for other in active where other != machine { other.ownBorrowedValues() }
  }

  func activate(_ machine: MachineReference) {
    runMoment &+= 1
    active.append(machine)
  }

  func deactivate(_ machine: MachineReference) {
    runMoment &+= 1
    if active.last == machine {
      active.removeLast()
    } else if let index = active.firstIndex(of: machine) {
      active.remove(at: index)
    }
  }

  /// Starts the write transaction of database `index`, with a mark for each savepoint that is open.
  func beginWrite(_ index: Int, _ pager: Pager, exclusive: Bool) throws(Fault) {
    // Where it fails, too: what it has read there may be of a commit that has failed.
    defer { if pager.isOnUnpublishedBase { holdsBack = true } }
    // Whichever file its COMMIT had come to: what comes next was meant for the whole transaction.
    if !isAutocommit { for database in databases { try database?.pager.leaveDroppedCommit() } }
    let isNew = pager.state != .write
    if isNew, hasDurableCommit {
      throw .error(
        .busy, cause: "a COMMIT of this connection can no longer be undone and has not ended yet",
        hint: "let it finish, or reset it")
    }
    try pager.beginWrite(exclusive: exclusive)
    #if PlantedBugs
      if PlantedBug.isActive(.forgetOlderSavepoints) { return }
    #endif
    if savepoints.isEmpty { return }
    // Older marks are those of a dropped COMMIT that could not be undone.
    for position in savepoints.indices where isNew || savepoints[position].marks[index] == nil {
      savepoints[position].marks[index] = pager.openSavepoint()
    }
  }

  /// A concurrent transaction takes its place in the midst of a statement, which may have been dropped behind that.
  private func noteBases() {
    for database in databases where database?.pager.isOnUnpublishedBase == true { holdsBack = true }
  }

  /// Waits until what the connection's transactions began on is visible to everybody: nothing that they found there may be told
  /// before.
  /// - Throws: SQLITE_IOERR_FSYNC where that has failed, and they with it.
  public func awaitBases() throws(Fault) {
    for database in databases { try database?.pager.awaitBase() }
    holdsBack = false
  }

  /// A dropped statement may have begun to sync for others, who wait for the end of that.
  public func goOnWithBases() {
    for database in databases where database?.pager.owesPublication == true { try? database?.pager.awaitBase() }
  }

  // MARK: Concurrent transactions

  /// A statement of a concurrent transaction begins to use database `index`.
  /// - Throws: SQLITE_BUSY_SNAPSHOT where the transaction is lost; SQLITE_ERROR for a second file: two logs have no common order.
  func joinConcurrent(_ index: Int, _ pager: Pager) throws(Fault) {
    try pager.checkConcurrent()
    if pager.isOnUnpublishedBase { holdsBack = true }
    if pager.isConcurrent || pager.state == .write { return }
    // Who waits for nobody does not make others wait either. Who has come to the turn keeps it, whatever waits come before the end
    // of its beginning.
    let takesTurn = pager.state == .none && pager.hasRightToTurn && settings.values[.busyTimeout] ?? 0 > 0
    if takesTurn || pager.isBeginningWrite {
      try checkIsOnlyFile(index)
      try beginWrite(index, pager, exclusive: false)
      pager.noteRightTaken()
      return
    }
    let isNew = pager.state == .none
    pager.announceConcurrent()
    try pager.beginRead()
    do throws(Fault) {
      try checkIsOnlyFile(index)
    } catch {
      if isNew { pager.endRead() }
      throw error
    }
    guard pager.canBeConcurrent else { return }
    pager.textEncoding = settings.textEncoding
    pager.nameOfTree = { [weak opener] root in opener?.treeName(root, in: index) }
    try pager.beginConcurrent(isolation)
  }

  /// Database `index` joins the concurrent transaction. What a second file has been read for is compared with nobody's commits,
  /// though it may have a log.
  private func checkIsOnlyFile(_ index: Int) throws(Fault) {
    guard let own = databases[index]?.pager, own.isSharedFile else { return }
    for (other, database) in databases.enumerated() where other != index {
      guard let pager = database?.pager, pager.isSharedFile, pager.state != .none, own.canBeConcurrent || pager.canBeConcurrent
      else { continue }
      throw .error(
        .error, "a concurrent transaction uses one database file", object: databases[index]?.name,
        hint: "use BEGIN or BEGIN IMMEDIATE for a transaction over several files")
    }
  }

  /// - Throws: SQLITE_BUSY_SNAPSHOT where the open transaction is a concurrent one that has lost.
  func checkConcurrent() throws(Fault) {
    if !isConcurrent { return }
    for database in databases { try database?.pager.checkConcurrent() }
  }

  /// The statement goes on behind a wait, and may have been taking the transaction's place in the log.
  func finishPlaces() throws(Fault) {
    #if PlantedBugs
      if PlantedBug.isActive(.goOnWithHalfPlace) { return }
    #endif
    for database in databases { try database?.pager.finishPlace() }
    noteBases()
  }

  /// COMMIT has failed. A transaction that has lost needs its snapshot no longer.
  func leaveLostSnapshots() {
    if !isConcurrent || active.count > 1 { return }
    for database in databases { database?.pager.leaveLostSnapshot() }
  }

  /// A statement has lost the concurrent transaction.
  func stopReadersOfLost(except machine: MachineReference) {
    for (index, database) in databases.enumerated() where database?.pager.isLost == true {
      stopReaders(except: machine, of: 1 << UInt64(index))
    }
  }

  private func endConcurrent() {
    if !isConcurrent { return }
    for database in databases { database?.pager.endConcurrent() }
    isConcurrent = false
  }

  /// What others than `machine` read stays as it is when the transaction ends.
  private func guardReaders(except machine: MachineReference?) throws(Fault) {
    if active.isEmpty || active.count == 1 && active[0] == machine { return }
    for other in active where other != machine {
      for (index, database) in databases.enumerated() where other.uses & (1 << UInt64(index)) != 0 {
        if let pager = database?.pager, pager.state == .write { try pager.guardSnapshot() }
      }
    }
  }

  /// A roll-back fails for no reader.
  private func guardReadersOrStop(except machine: MachineReference?) throws(Fault) {
    do {
      try guardReaders(except: machine)
    } catch {
      if case .wait = error { throw error }
      stopReaders(except: machine, of: .max)
    }
  }

  /// Makes the transaction durable in every database that it wrote.
  /// - Parameter machine: the statement that ends with it.
  func commitAll(by machine: MachineReference?) throws(Fault) {
    do {
      try commitAllGuarded(machine)
    } catch {
      if case .wait = error { setCommitting(machine) } else if committing != nil { setCommitting(nil) }
      throw error
    }
    if committing != nil { setCommitting(nil) }
  }

  /// Tells the pagers whether a statement is there that brings their commits to an end.
  func setCommitting(_ machine: MachineReference?) {
    committing = machine
    for database in databases { database?.pager.isCommitting = machine != nil }
  }

  /// - Throws: SQLITE_BUSY while a VACUUM of this connection has stopped at a wait.
  public func checkNotVacuuming() throws(EngineError) {
    if vacuuming == nil { return }
    throw EngineError(.busy, cause: "a VACUUM of this connection is under way", hint: "let it finish, or reset it")
  }

  /// The COMMIT of a transaction has stopped at a wait when it could no longer be undone.
  private var hasDurableCommit: Bool {
    if committing == nil || isAutocommit { return false }
    return databases.contains { database in
      guard let pager = database?.pager else { return false }
      return pager.isBehindCommitPoint || pager.owesCheckpoint && pager.state != .write
    }
  }

  private func commitAllGuarded(_ machine: MachineReference?) throws(Fault) {
    try guardReaders(except: machine)
    if isConcurrent { for database in databases { try database?.pager.takePlaceForCommit() } }
    if superCommit != nil || isWritingSeveral {
      try commitTogether()
    } else {
      for database in databases {
        // A commit that is done may still owe the log its checkpoint: a wait lies between the two.
        if let pager = database?.pager, pager.state == .write || pager.owesCheckpoint { try pager.commit() }
      }
    }
    endConcurrent()
    _ = takeWasCommittedInstead()
    savepoints = []
    schemaChangedInTransaction = 0
  }

  private var isWritingSeveral: Bool {
    var count = 0
    for database in databases where database?.pager.state == .write { count += 1 }
    return count > 1
  }

  private func commitTogether() throws(Fault) {
    let commit = superCommit ?? SuperCommit(environment: environment, queue: queue)
    superCommit = commit
    try commit.run(databases.compactMap { $0?.pager })
    superCommit = nil
  }

  /// Undoes the transaction in every database, and stops the statements that were reading what it had written.
  func rollbackAll(by machine: MachineReference?) throws(Fault) {
    var undone: UInt64 = 0
    if committing != machine, hasDurableCommit {
      for database in databases where database?.pager.owesCheckpoint == true { database?.pager.noteCommittedInstead() }
    }
    if let superCommit, superCommit.mustFinish {
      try commitAll(by: machine)
      for database in databases { database?.pager.noteCommittedInstead() }
    } else {
      rollingBack = machine
      superCommit?.giveUp()
      owed?.finishesCommit = false
      do {
        try guardReadersOrStop(except: machine)
        for (index, database) in databases.enumerated() {
          guard let pager = database?.pager, pager.state == .write else { continue }
          try pager.rollback()
          undone |= 1 << UInt64(index)
        }
      } catch {
        if case .failure = error { rollingBack = nil }
        throw error
      }
      rollingBack = nil
      stopReadersWithoutPlace(except: machine)
      superCommit?.discard()
      if superCommit != nil { superCommit = nil }
    }
    // Cursors find their places again, but not where the tables themselves are others now.
    if schemaChangedInTransaction != 0 { stopReaders(except: machine, of: undone) }
    forgetUndoneSchemas()
    endConcurrent()
    schemaChangedInTransaction = 0
    savepoints = []
    deferredConstraints = 0
    isAutocommit = true
  }

  /// The roll-back that has just ended was none in some database.
  func takeWasCommittedInstead() -> Bool {
    var wasCommitted = false
    for database in databases where database?.pager.takeWasCommittedInstead() == true { wasCommitted = true }
    return wasCommitted
  }

  /// Undoes the open transaction, if there is one: the connection closes.
  public func undoTransaction() throws(Fault) {
    if databases.contains(where: { $0?.pager.state == .write }) { try rollbackAll(by: nil) }
  }

  private func stopReaders(except machine: MachineReference?, of databases: UInt64) {
    for other in active where other != machine {
      if other.uses & databases != 0 { other.abort(.abortRollback) }
    }
  }

  /// The first half of what they do was undone with a savepoint, and their undo scopes with it: the second must not follow.
  private func stopWriters(except machine: MachineReference?, of databases: UInt64) {
    for other in active where other != machine && other.writes & databases != 0 { other.abortUndone() }
  }

  /// Something was rolled back, and the key of an open cursor could not be read before.
  func stopReadersWithoutPlace(except machine: MachineReference?) {
    for (index, database) in databases.enumerated() where database?.pager.takeLostCursors() == true {
      stopReaders(except: machine, of: 1 << UInt64(index))
    }
  }

  /// Ends the snapshots that no running statement and no transaction needs, those that a dropped one was opening too.
  public func endIdleReads() {
    if !isAutocommit { return }
    var used: UInt64 = 0
    for machine in active { used |= machine.uses | machine.pagersAtWork }
    for (index, database) in databases.enumerated() {
      guard let pager = database?.pager, used & (1 << UInt64(index)) == 0 else { continue }
      if pager.state == .read { pager.endRead() } else { pager.giveUpOpening() }
    }
  }

  /// A statement was dropped at a wait, perhaps for its turn to write.
  func giveUpTurns(of used: UInt64) {
    for (index, database) in databases.enumerated() where used & (1 << UInt64(index)) != 0 { database?.pager.giveUpTurn() }
  }

  /// A statement was dropped at a wait, perhaps while it copied a log back.
  func giveUpRoom(behindCommit: Bool) {
    for database in databases { database?.pager.giveUpRoom(behindCommit: behindCommit) }
  }

  /// Gives up the snapshots that a dropped statement was opening; the connection has no next one that would go on with them.
  public func giveUpOpenings() {
    if !active.isEmpty { return }
    for database in databases { database?.pager.giveUpOpening() }
  }

  /// Pages of a dropped checkpoint or playback are on their way into a file, under its locks.
  public var owesDroppedWrites: Bool {
    databases.contains { $0?.pager.owesDroppedCheckpoint == true || $0?.pager.owesDroppedPlayback == true }
  }

  /// A COMMIT was dropped when its frames were written; the transaction is open still, and what comes next tells what became of it.
  public func settleDroppedCommits() throws(Fault) {
    for database in databases { try database?.pager.settleDroppedCommit() }
  }

  public func settleDroppedWrites() throws(Fault) {
    for database in databases {
      try database?.pager.settleDroppedPlayback()
      try database?.pager.settleDroppedCheckpoint()
    }
  }

  // MARK: Savepoints

  func openSavepoint(_ name: String) {
    if isAutocommit { _ = takeWasCommittedInstead() }
    var savepoint = NamedSavepoint(name: name, isTransaction: isAutocommit)
    for (index, database) in databases.enumerated() {
      if let pager = database?.pager, pager.state == .write { savepoint.marks[index] = pager.openSavepoint() }
    }
    isAutocommit = false
    savepoints.append(savepoint)
  }

  /// The newest savepoint of this name (ASCII case folded).
  func savepointIndex(_ name: String) -> Int? {
    let folded = ExactText.folding(name)
    #if PlantedBugs
      if PlantedBug.isActive(.findOuterSavepoint) { return savepoints.firstIndex { ExactText.folding($0.name) == folded } }
    #endif
    return savepoints.lastIndex { ExactText.folding($0.name) == folded }
  }

  func releaseSavepoint(_ position: Int) {
    for (index, mark) in savepoints[position].marks { databases[index]?.pager.releaseSavepoint(mark) }
    savepoints.removeSubrange(position...)
  }

  func rollback(toSavepoint position: Int, by machine: MachineReference) throws(Fault) {
    for database in databases { try database?.pager.leaveDroppedCommit() }
    // It takes steps: what is begun must be ended, whatever becomes of the statement.
    owe(OwedWork(rollback: position))
    let undone: UInt64
    do throws(Fault) {
      undone = try undo(toSavepoint: position)
    } catch {
      if case .failure(let failure) = error { oweRollback(after: failure) }
      throw error
    }
    owed = nil
    savepoints.removeSubrange((position + 1)...)
    stopWriters(except: machine, of: undone)
    stopReadersWithoutPlace(except: machine)
    if schemaChangedInTransaction != 0 { stopReaders(except: machine, of: undone) }
    forgetUndoneSchemas()
  }

  /// Changes were undone, of the schema perhaps. Its cookie will come again with another schema behind it: what was read or
  /// compiled under it must not pass for the new one.
  func forgetUndoneSchemas() {
    if schemaChangedInTransaction == 0 { return }
    #if PlantedBugs
      if !PlantedBug.isActive(.keepCatalogAfterRollback) { markCatalogsStale(schemaChangedInTransaction) }
    #else
      markCatalogsStale(schemaChangedInTransaction)
    #endif
    #if PlantedBugs
      if PlantedBug.isActive(.keepProgramsAfterRollback) { return }
    #endif
    functions.expirePrograms()
  }

  private func undo(toSavepoint position: Int) throws(Fault) -> UInt64 {
    var undone: UInt64 = 0
    for index in databases.indices {
      guard let mark = savepoints[position].marks[index], let pager = databases[index]?.pager else { continue }
      try pager.rollback(toSavepoint: mark)
      undone |= 1 << UInt64(index)
    }
    return undone
  }

  /// Something could not be undone, and is half done: nothing of the transaction may stay. Unless it turned out to be committed.
  private func oweRollback(after failure: EngineError) {
    #if PlantedBugs
      if PlantedBug.isActive(.keepHalfUndone) {
        owed = nil
        return
      }
    #endif
    if failure.code == .abort {
      owed = nil
    } else {
      oweRollback()
    }
  }

  /// The transaction is over, and what undoes it is still to come, before anything else.
  func oweRollback() {
    isAutocommit = true
    owed = OwedWork(wholeTransaction: true)
  }

  // MARK: What dropped statements leave behind

  /// A statement ends while the commit of several files is not over: where it can no longer be undone, the next one ends it.
  func noteUnfinishedCommit() {
    guard let superCommit else { return }
    superCommit.interrupt()
    if superCommit.mustFinish { owe(OwedWork(finishesCommit: true)) }
  }

  /// The statement was dropped in the midst of undoing the transaction, which nobody can go back to: it is over, and the next
  /// statement undoes the rest before anything else.
  func noteUnfinishedRollback(of machine: MachineReference) {
    guard rollingBack == machine else { return }
    rollingBack = nil
    #if PlantedBugs
      if PlantedBug.isActive(.forgetDroppedRollback) { return }
    #endif
    isAutocommit = true
    owe(OwedWork(wholeTransaction: true))
  }

  func owe(_ work: OwedWork) {
    guard var debt = owed else {
      owed = work
      return
    }
    debt.wholeTransaction = debt.wholeTransaction || work.wholeTransaction
    debt.rollback = work.rollback ?? debt.rollback
    debt.finishesCommit = debt.finishesCommit || work.finishesCommit
    debt.marks.merge(work.marks)
    owed = debt
  }

  /// Undoes what a statement had done that was dropped at a wait. Every statement calls it before anything else.
  /// - Parameter isEnd: nothing comes next; the connection closes.
  public func settleDebts(isEnd: Bool = false) throws(Fault) {
    if owesNothing { return }
    guard let debt = owed else { return }
    if debt.finishesCommit {
      do throws(Fault) {
        try commitAll(by: nil)
      } catch {
        // Nothing of it can be finished any more.
        if case .failure = error, superCommit?.mustFinish != true { oweRollback() }
        throw error
      }
      isAutocommit = true
      deferredConstraints = 0
      owed = nil
      endIdleReads()
      if isEnd { return }
      // What comes next was meant for the transaction.
      throw .error(.abort, "the transaction was committed")
    }
    #if PlantedBugs
      if debt.wholeTransaction, PlantedBug.isActive(.keepDroppedTransaction) {
        owed = nil
        return
      }
    #endif
    if debt.wholeTransaction {
      try rollbackAll(by: nil)
    } else {
      do throws(Fault) {
        try undoParts(debt)
      } catch {
        if case .failure(let failure) = error { oweRollback(after: failure) }
        throw error
      }
    }
    owed = nil
    endIdleReads()
  }

  /// Undoes what is owed of a transaction that goes on.
  private func undoParts(_ debt: OwedWork) throws(Fault) {
    if let position = debt.rollback, position < savepoints.count {
      let undone = try undo(toSavepoint: position)
      savepoints.removeSubrange((position + 1)...)
      stopWriters(except: nil, of: undone)
      if schemaChangedInTransaction != 0 { stopReaders(except: nil, of: undone) }
    }
    for index in databases.indices {
      guard let mark = debt.marks[index], let pager = databases[index]?.pager else { continue }
      #if PlantedBugs
        if !PlantedBug.isActive(.keepDroppedStatement) { try pager.rollback(toSavepoint: mark) }
      #else
        try pager.rollback(toSavepoint: mark)
      #endif
      pager.releaseSavepoint(mark)
    }
    stopReadersWithoutPlace(except: nil)
    forgetUndoneSchemas()
  }
}
