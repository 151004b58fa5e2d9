// Instructions on transactions, and what a statement's end means for the transaction.
//
//   statement ends   autocommit                                   inside a transaction
//   well             commit, once no other statement is writing    its undo scope is released
//   abort            roll back, once no other statement is writing back to its undo scope
//   fail             as well                                       as well
//   rollback         roll back                                     roll back
//
// Every step may wait and is repeated; what is done is not done twice. Source: https://sqlite.org/lang_conflict.html

import ApusBase
import ApusStorage

extension MachineCore {
  // MARK: Beginning

  mutating func beginTransaction(_ i: Instruction) throws(Fault) {
    let index = Int(i.p1)
    let pager = try state.pager(index)
    let bit: UInt64 = 1 << UInt64(index)
    let isWrite = i.p2 != 0 && (i.p5 & 2 == 0 || !pager.isReadOnly)
    if isWrite, state.isQueryOnly { throw .error(.readOnly) }
    // Known first, so that whatever begins below is ended with this statement even if it is dropped at a wait.
    uses |= bit
    if state.isConcurrent { try state.joinConcurrent(index, pager) }
    // A write opens its snapshot itself: while it has none, it may wait for another writer and then see what that one did.
    if !isWrite { try pager.beginRead() }
    if isWrite {
      guard !state.isWriterMidway(except: reference) else {
        throw .error(
          .busy, cause: "another statement of this connection is in the middle of a change",
          hint: "let it finish, or reset it")
      }
      try state.beginWrite(index, pager, exclusive: i.p2 == 2)
      // Before anything that may wait: who drops the statement there must know that it has begun to write.
      if writes & bit == 0 {
        if program.needsUndoScope { marks.insert(index, pager.openSavepoint()) }
        writes |= bit
        state.ownBorrowedValues(except: reference)
      }
      try pager.noteChangesForOthers()
    }
    if i.p5 & 1 != 0 {
      let cookie = try pager.meta(1)
      #if PlantedBugs
        let isTrusted = PlantedBug.isActive(.skipCookieCheck)
      #else
        let isTrusted = false
      #endif
      if cookie != UInt32(bitPattern: i.p3), !isTrusted {
        state.markCatalogsStale(bit)
        throw .error(.schema)
      }
    }
  }

  /// A snapshot for what reads the file as a whole, its header included.
  mutating func openWholeFile(_ index: Int, _ pager: Pager) throws(Fault) {
    uses |= 1 << UInt64(index)
    if state.isConcurrent { try state.joinConcurrent(index, pager) }
    try pager.beginRead()
    pager.noteHeaderRead()
  }

  /// BEGIN, COMMIT, ROLLBACK.
  mutating func setAutocommit(_ i: Instruction) throws(Fault) {
    let wantsAutocommit = i.p1 != 0
    let isRollback = i.p2 != 0
    failureEnding = .leave
    guard wantsAutocommit != state.isAutocommit else {
      throw .error(
        .error,
        !wantsAutocommit
          ? "cannot start a transaction within a transaction"
          : isRollback ? "cannot rollback - no transaction is active" : "cannot commit - no transaction is active")
    }
    if !wantsAutocommit {
      // What was told of an earlier transaction, or to nobody, is not this one's.
      _ = state.takeWasCommittedInstead()
      state.isAutocommit = false
      state.isConcurrent = i.p3 != 0
      state.isolation = ConcurrentIsolation(rawValue: state.settings.values[.concurrentIsolation] ?? 0) ?? .serializable
      return
    }
    if isRollback {
      do throws(Fault) {
        try state.rollbackAll(by: reference)
      } catch {
        // Its files are undone in part.
        if case .failure = error { state.oweRollback() }
        throw error
      }
      if state.takeWasCommittedInstead() {
        throw .error(.abort, "the transaction was committed", cause: "its COMMIT was dropped when it could no longer be undone")
      }
      return
    }
    // Behind a concurrent commit a statement would read on in another state than the one that it began in.
    guard !state.hasOtherWriter(than: reference), !state.isConcurrent || state.active.count == 1 else {
      throw .error(.busy, "cannot commit transaction - SQL statements in progress")
    }
    try commit()
    state.isAutocommit = true
  }

  /// Commits everything. A lock that cannot be had leaves the transaction open; any other failure undoes it.
  private mutating func commit() throws(Fault) {
    if state.deferredConstraints > 0 {
      failureEnding = .leave
      throw .error(.constraintForeignKey, ConstraintKind.foreignKey.words)
    }
    do throws(Fault) {
      try state.commitAll(by: reference)
    } catch {
      if case .failure(let failure) = error {
        failureEnding = failure.code.primary == .busy ? .leave : .undoTransaction
        state.leaveLostSnapshots()
      }
      throw error
    }
  }

  mutating func savepoint(_ i: Instruction) throws(Fault) {
    let name = program.messages[Int(i.p4)]
    failureEnding = .leave
    try state.checkConcurrent()
    let otherWriter = state.hasOtherWriter(than: reference)
    if i.p1 == 0 {
      if otherWriter { throw .error(.busy, "cannot open savepoint - SQL statements in progress") }
      state.openSavepoint(name)
      return
    }
    guard let position = state.savepointIndex(name) else { throw .error(.error, "no such savepoint: \(name)") }
    if i.p1 == 1 {
      if otherWriter { throw .error(.busy, "cannot release savepoint - SQL statements in progress") }
      if position == 0, state.savepoints[0].isTransaction {
        try commit()
        state.isAutocommit = true
      } else {
        state.releaseSavepoint(position)
      }
    } else {
      try state.rollback(toSavepoint: position, by: reference)
    }
  }

  // MARK: Header fields and journals

  func readCookie(_ i: Instruction) throws(Fault) {
    let pager = try state.pager(Int(i.p1))
    // Who compiles against the schema is compared by its cookie as it is.
    if i.p3 != 1 { pager.noteHeaderRead() }
    registers[i.p2] = .integer(Int64(Int32(bitPattern: try pager.meta(Int(i.p3)))))
  }

  func setCookie(_ i: Instruction) throws(Fault) {
    try state.pager(Int(i.p1)).setMeta(Int(i.p2), UInt32(bitPattern: i.p3))
    if i.p2 == 1 { state.schemaChangedInTransaction |= 1 << UInt64(i.p1) }
  }

  mutating func markSchemaChanged(_ i: Instruction) {
    schemaChanged |= i.p1 < 0 ? .max : 1 << UInt64(i.p1)
  }

  // MARK: The end of a statement

  /// The ending that an error asks for where its instruction did not say.
  func ending(for error: EngineError) -> Ending {
    // What others of this connection were reading on is no snapshot any more.
    if error.code == .busySnapshot, state.isConcurrent { state.stopReadersOfLost(except: reference) }
    if let failureEnding { return failureEnding }
    switch error.code.primary {
    case .ioError: return writes != 0 || !state.isAutocommit ? .undoTransaction : .undoStatement
    case .interrupt: return writes != 0 ? .undoTransaction : .undoStatement
    // A damaged freelist shows in the midst of a change, and this one has no undo scope.
    case .corrupt: return isChangingWithoutScope ? .undoTransaction : .undoStatement
    default: return .undoStatement
    }
  }

  /// True at the instruction that changes the row of a program that has no undo scope.
  private var isChangingWithoutScope: Bool {
    if program.needsUndoScope || !marks.isEmpty || writes == 0 { return false }
    return opcode == .insert || opcode == .delete
  }

  /// Carries `ending` out. Repeated after a wait.
  mutating func end() throws(Fault) {
    cursors.closeAll()
    let isAlone = state.isAutocommit && !state.hasOtherWriter(than: reference)
    switch ending {
    case .keep:
      if writes != 0 {
        if isAlone {
          try commit()
        } else {
          releaseMarks()
        }
      }
      noteSchemaChange()
      setChanges(changes)
    case .undoStatement:
      if writes != 0 {
        if isAlone {
          try state.rollbackAll(by: reference)
        } else {
          try marks.forEach { (index, mark) throws(Fault) in try state.pager(index).rollback(toSavepoint: mark) }
          state.stopReadersWithoutPlace(except: reference)
          releaseMarks()
          state.forgetUndoneSchemas()
        }
      }
      setChanges(0)
    case .undoTransaction:
      try state.rollbackAll(by: reference)
      setChanges(0)
    case .leave: releaseMarks()
    }
    finish()
  }

  /// The statement ends, or was dropped at a wait: nobody will go on with what its pagers were at.
  private mutating func giveUpPagers() {
    for (index, database) in state.databases.enumerated() where pagersAtWork & (1 << UInt64(index)) != 0 {
      database?.pager.giveUpWork()
    }
    pagersAtWork = 0
  }

  private mutating func releaseMarks() {
    if marks.isEmpty { return }
    try? marks.forEach { (index, mark) throws(Fault) in try state.pager(index).releaseSavepoint(mark) }
    marks.removeAll()
  }

  /// For a program that runs without an undo scope: its only change goes in several steps, between which it may wait.
  mutating func openUndoScope() throws(Fault) {
    var rest = writes
    while rest != 0 {
      let index = rest.trailingZeroBitCount
      rest &= rest - 1
      marks.insert(index, try state.pager(index).openSavepoint())
    }
  }

  private mutating func noteSchemaChange() {
    if schemaChanged == 0 { return }
    state.markCatalogsStale(schemaChanged)
    if !state.isAutocommit { state.schemaChangedInTransaction |= schemaChanged }
  }

  private func setChanges(_ count: Int64) {
    if !program.countsChanges { return }
    state.noteChanges(count)
  }

  /// The statement is over and its transaction settled: snapshots that nobody needs any more end.
  mutating func finish() {
    phase = .ended
    if isMidway {
      // COMMIT asks for turns in all files, and runs the checkpoints behind it.
      let isCommit = state.committing != nil && state.committing == reference
      state.giveUpTurns(of: isCommit ? .max : uses)
      state.giveUpRoom(behindCommit: isCommit)
    }
    marks.removeAll()
    uses = 0
    writes = 0
    if temporary != nil { temporary = nil }
    if attachment != nil { attachment = nil }
    if pagersAtWork != 0 { giveUpPagers() }
    if state.superCommit != nil { state.noteUnfinishedCommit() }
    if state.committing != nil, state.committing == reference { state.setCommitting(nil) }
    if state.vacuuming != nil, state.vacuuming == reference { state.vacuuming = nil }
    if state.rollingBack != nil { state.noteUnfinishedRollback(of: reference) }
    state.deactivate(reference)
    state.endIdleReads()
  }
}
