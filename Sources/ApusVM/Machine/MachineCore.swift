// What a running program consists of. It lies in raw memory at a fixed address that a `Machine` owns, so that the loop
// reads it without counting references, and the connection can name it. `unsafe` lives here.

import ApusBase
import ApusStorage

public enum StepResult: Sendable {
  /// A row is there to be read, until the next step.
  case row
  /// The program has ended well.
  case done
  /// Call `step` again when what it waits for has happened.
  case pending(Wait)
}

@safe
struct MachineCore: ~Copyable {
  enum Phase: UInt8 {
    /// Not begun, or reset.
    case ready
    case running
    /// The program is over; what it did is being kept or undone.
    case ending
    case ended
  }

  /// What becomes of the statement's changes.
  enum Ending: UInt8 {
    /// They stay, and are committed where this was an autocommit transaction.
    case keep
    case undoStatement
    case undoTransaction
    /// Nothing is committed and nothing undone (a failed COMMIT leaves the transaction open).
    case leave
  }

  /// This core, as the connection knows it.
  let reference: MachineReference
  let program: Program
  let state: ConnectionState
  let code: UnsafePointer<Instruction>
  let constants: UnsafePointer<Value>
  let registers: RegisterFile
  let parameters: RegisterFile
  let cursors: CursorTable
  let functions: FunctionTable
  let scans: ScanTable

  var address = 0
  var phase = Phase.ready
  var ending = Ending.keep
  /// Why the program ends, where it ends badly.
  var failure: EngineError?
  /// What `halt` wants to become of the changes when the error that it throws arrives.
  var failureEnding: Ending?
  /// Set by another statement's rollback.
  var abortCode: ResultCode?
  /// Stopped at a wait: not between two of its rows.
  var isMidway = false

  /// Loop turns left until interrupts and limits are looked at.
  var budget = MachineCore.turnsPerCheck
  var turnCount: UInt64 = 0

  /// The last `compare`.
  var order = 0
  var permutation: Int32 = -1
  /// How far an instruction that acts in steps has come; 0 between instructions.
  var progress = 0
  var progressCount: Int64 = 0
  var integrityCheck: IntegrityCheck?
  /// What digests begin with: drawn once, so that no file can be made to have equal ones.
  var digestKey: UInt64?
  /// Walks for `dbstat`, by their number.
  var spaceWalks: [Int32: DatabaseWalk] = [:]
  /// Rows of the conflict report that are still to be given.
  var conflictReport: ConflictReport?
  var vacuumRun: VacuumRun?
  /// Where VACUUM INTO writes.
  var vacuumTarget: Pager?
  /// The database that ATTACH has opened and not taken in yet.
  var attachment: Attachment?

  var resultFirst: Int32 = 0
  var resultCount = 0

  /// Databases that this run reads or writes, bit by bit.
  var uses: UInt64 = 0
  var writes: UInt64 = 0
  /// The statement's undo scopes, by database.
  var marks = UndoMarks()
  var changes: Int64 = 0
  var schemaChanged: UInt64 = 0
  /// Databases whose pager this statement keeps at work across waits: a checkpoint, a switch of the journal mode, a closing.
  var pagersAtWork: UInt64 = 0

  /// Where ephemeral tables lie; made when first used.
  var temporary: Pager?
  var context: FunctionContext
  var aggregates = AggregateTable()
  var rowSets: [RowSet] = []
  var scratch = ByteBuffer()
  var scratch2 = ByteBuffer()
  var unpacked = UnpackedRecord()
  /// How records store text; anything but UTF-8 is converted, see MachineCore+Encoding.
  let textEncoding: TextEncoding
  /// UTF-8, and of schema format 4.
  let writesPlainRecords: Bool
  var encodedKey = ByteBuffer()

  init(program: Program, state: ConnectionState, at address: UnsafeMutablePointer<MachineCore>) {
    unsafe reference = MachineReference(address)
    self.program = program
    self.state = state
    textEncoding = program.textEncoding
    writesPlainRecords = program.textEncoding == .utf8 && !program.writesLegacyRecords
    unsafe code = program.code
    unsafe constants = UnsafePointer(program.constantValues.baseAddress!)
    registers = RegisterFile(count: program.registerCount)
    parameters = RegisterFile(count: program.parameterNames.count)
    cursors = CursorTable(count: program.cursorCount)
    functions = FunctionTable(program.functions)
    scans = ScanTable(program.scanLoops)
    context = FunctionContext(environment: state.environment)
    context.textEncoding = program.textEncoding
  }

  deinit {
    cursors.destroy()
    registers.destroy()
    parameters.destroy()
    functions.destroy()
    scans.destroy()
  }

  /// The instruction at which the program stands.
  var opcode: Opcode { unsafe code[address].opcode }

  @inline(__always)
  func constant(_ index: Int32) -> Value { unsafe constants[Int(index)] }
}

/// A core, named to those who share its connection. The core says goodbye before it goes.
@safe
struct MachineReference: Equatable {
  private let core: UnsafeMutablePointer<MachineCore>

  @unsafe
  init(_ core: UnsafeMutablePointer<MachineCore>) { unsafe self.core = core }

  static func == (left: MachineReference, right: MachineReference) -> Bool { unsafe left.core == right.core }

  var uses: UInt64 { unsafe core.pointee.uses }
  var pagersAtWork: UInt64 { unsafe core.pointee.pagersAtWork }
  var writes: UInt64 { unsafe core.pointee.writes }
  var isMidway: Bool { unsafe core.pointee.isMidway }

  /// What it has changed was undone already.
  func abortUndone() {
    unsafe core.pointee.marks.removeAll()
    abort(.abortRollback)
  }

  func abort(_ code: ResultCode) { unsafe core.pointee.abortCode = code }

  func ownBorrowedValues() { unsafe core.pointee.registers.ownAll() }
}
