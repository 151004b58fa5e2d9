// A prepared statement at work: a program, its parameters, its registers and cursors.
//
//   ready --step--> running --row--> running ... --done or error--> ended --reset--> ready
//
// `step` returns `.pending` where an instruction waits; calling it again executes that instruction again. A machine that
// is reset or dropped between two steps of a wait undoes what its statement has done. Used by one thread at a time.
// `unsafe` lives here: the core lies in raw memory that the machine owns.

import ApusBase
import ApusStorage

@safe
public struct Machine: ~Copyable {
  private let core: UnsafeMutablePointer<MachineCore>

  public init(program: Program, state: ConnectionState) {
    unsafe core = UnsafeMutablePointer<MachineCore>.allocate(capacity: 1)
    unsafe core.initialize(to: MachineCore(program: program, state: state, at: core))
  }

  deinit {
    unsafe core.pointee.abandon()
    unsafe core.deinitialize(count: 1)
    unsafe core.deallocate()
  }

  public var program: Program { unsafe core.pointee.program }
  public var state: ConnectionState { unsafe core.pointee.state }

  /// True between the first step and the end.
  public var isRunning: Bool { unsafe core.pointee.phase == .running || core.pointee.phase == .ending }

  // MARK: Parameters

  /// Binds parameter `index` (from 1); bytes are copied.
  /// - Throws: SQLITE_RANGE where there is no such parameter, SQLITE_MISUSE while the statement runs.
  public mutating func bind(_ value: Value, at index: Int) throws(EngineError) {
    guard index >= 1, index <= program.parameterNames.count else { throw EngineError(.range) }
    guard !isRunning else { throw EngineError(.misuse) }
    guard !value.hasBytes || value.bytes.count <= state.limits.lengthMax else { throw EngineError(.tooBig) }
    unsafe core.pointee.parameters.setCopy(Int32(index), value)
  }

  public mutating func clearBindings() { unsafe core.pointee.parameters.clear() }

  /// What is bound at `index` (from 1).
  public func parameter(_ index: Int) -> Value {
    guard index >= 1, index <= program.parameterNames.count else { return .null }
    return unsafe core.pointee.parameters[Int32(index)]
  }

  // MARK: Running

  /// Runs until the next row, the end, or a wait. Stepping on after the end starts over.
  /// - Throws: the error that ended the statement; its changes are undone by then as the error asks.
  public mutating func step() throws(EngineError) -> StepResult { try unsafe core.pointee.step() }

  /// Ends the statement where it stands, so that it can be started over. A statement that was given a row keeps its
  /// changes; one that was waiting is undone.
  /// - Returns: `.done`, or `.pending`: call again.
  public mutating func reset() throws(EngineError) -> StepResult { try unsafe core.pointee.reset() }

  /// Gives back what a statement that does not run keeps for its next run. Its parameters stay.
  /// - Returns: bytes of buffers that were freed.
  public mutating func releaseIdleMemory() -> Int {
    if isRunning { return 0 }
    return unsafe core.pointee.releaseIdleMemory()
  }

  // MARK: The row

  /// Columns of the current row; 0 where there is none.
  public var columnCount: Int { unsafe core.pointee.resultCount }

  /// Column `index` of the current row; its bytes stay until the next step or reset.
  public func column(_ index: Int) -> Value {
    guard index >= 0, index < columnCount else { return .null }
    return unsafe core.pointee.registers[core.pointee.resultFirst + Int32(index)]
  }
}

extension MachineCore {
  mutating func step() throws(EngineError) -> StepResult {
    if phase == .ended || phase == .ready { try start() }
    resultCount = 0
    isMidway = false
    if phase == .running {
      do throws(Fault) {
        try state.settleDebts()
        if writes != 0 && state.active.count > 1 { state.ownBorrowedValues(except: reference) }
        if let abortCode { throw .error(abortCode) }
        context.forgetMoment()
        if uses != 0, state.isConcurrent { try state.finishPlaces() }
        switch try run() {
        case .row: return .row
        case .done, .pending: beginEnd(.keep, nil)
        }
      } catch {
        switch error {
        case .wait(let wait):
          isMidway = true
          return .pending(wait)
        case .failure(let failure): beginEnd(ending(for: failure), failure)
        }
      }
    }
    return try finishEnd()
  }

  private mutating func start() throws(EngineError) {
    if state.vacuuming != nil { try state.checkNotVacuuming() }
    if !state.keepsInterrupts, !state.hasActiveStatements { state.clearInterrupt() }
    // The preparing of a statement that was dropped may have left a snapshot, which is older by now than what others know.
    if state.active.isEmpty { state.endIdleReads() }
    // A new machine, and one that was reset, is as `clear` leaves it.
    if phase == .ended { clear() }
    phase = .running
    state.activate(reference)
  }

  /// Back to the state before the first step. Parameters stay. The end has closed the cursors.
  private mutating func clear() {
    aggregates.freeAll(functions)
    functions.clearCallStates()
    scans.clear()
    registers.clear()
    if !rowSets.isEmpty { rowSets.removeAll() }
    address = 0
    budget = MachineCore.turnsPerCheck
    turnCount = 0
    progress = 0
    // Setting what is nil to nil moves its memory.
    if integrityCheck != nil { integrityCheck = nil }
    if conflictReport != nil { conflictReport = nil }
    progressCount = 0
    permutation = -1
    order = 0
    changes = 0
    schemaChanged = 0
    if failure != nil { failure = nil }
    failureEnding = nil
    abortCode = nil
    resultCount = 0
    isMidway = false
    phase = .ready
  }

  /// - Precondition: the program does not run.
  mutating func releaseIdleMemory() -> Int {
    clear()
    let freed = registers.bufferByteCount + scratch.capacity + scratch2.capacity + encodedKey.capacity
      + context.output.capacity
    registers.freeBuffers()
    cursors.freeSpares()
    scratch = ByteBuffer()
    scratch2 = ByteBuffer()
    encodedKey = ByteBuffer()
    context.output = ByteBuffer()
    unpacked = UnpackedRecord()
    return freed
  }

  private mutating func beginEnd(_ ending: Ending, _ failure: EngineError?) {
    self.ending = ending
    if failure != nil || self.failure != nil { self.failure = failure }
    dropVacuum()
    if !spaceWalks.isEmpty { spaceWalks = [:] }
    phase = .ending
  }

  /// Carries the end out, as often as it waits.
  private mutating func finishEnd() throws(EngineError) -> StepResult {
    while phase == .ending {
      do throws(Fault) {
        try end()
      } catch {
        switch error {
        case .wait(let wait):
          isMidway = true
          return .pending(wait)
        case .failure(let problem): giveUp(problem)
        }
      }
    }
    if let failure { throw failure }
    return .done
  }

  /// The end itself failed. A commit that failed undoes; an undoing that failed leaves that to the connection's next use.
  private mutating func giveUp(_ problem: EngineError) {
    if failure == nil { failure = problem }
    if ending == .keep {
      ending = .undoTransaction
      return
    }
    if ending != .leave { oweUndoing() }
    finish()
  }

  /// What the statement has done is left to the connection's next statement.
  private func oweUndoing() {
    let isWhole = ending == .undoTransaction || state.isAutocommit && !state.hasOtherWriter(than: reference)
    // It cannot go on.
    if isWhole { state.isAutocommit = true }
    if writes != 0 || isWhole { state.owe(OwedWork(marks: marks, wholeTransaction: isWhole)) }
  }

  mutating func reset() throws(EngineError) -> StepResult {
    switch phase {
    case .ready, .ended:
      clear()
      return .done
    case .running:
      beginEnd(isMidway ? .undoStatement : .keep, nil)
    case .ending: break
    }
    defer { if phase == .ended { clear() } }
    return try finishEnd()
  }

  /// The machine goes away: what it has begun is left to the connection's next statement.
  mutating func abandon() {
    if phase == .running || phase == .ending {
      cursors.closeAll()
      if !spaceWalks.isEmpty { spaceWalks = [:] }
      if writes != 0 {
        let isAlone = state.isAutocommit && !state.hasOtherWriter(than: reference)
        state.owe(OwedWork(marks: marks, wholeTransaction: isAlone))
      }
      finish()
    }
    aggregates.freeAll(functions)
  }
}
