// A compiled statement: instructions and the pools that they index. Immutable, so connections and threads may share it.
// Its memory is raw, so that the loop reads it without counting references. `unsafe` lives here.

import ApusBase
import ApusStorage

/// A column of the result, as `sqlite3_column_name`, `_decltype` and `_origin_name` give it.
public struct ResultColumn: Sendable {
  public var name: String
  public var declaredType: String?
  public var databaseName: String?
  public var tableName: String?
  public var originName: String?

  public init(
    name: String, declaredType: String? = nil, databaseName: String? = nil, tableName: String? = nil,
    originName: String? = nil
  ) {
    self.name = name
    self.declaredType = declaredType
    self.databaseName = databaseName
    self.tableName = tableName
    self.originName = originName
  }
}

/// What instructions say about a table in messages, hooks and type checks.
public struct TableDescription: Sendable {
  public struct Column: Sendable {
    public var name: String
    /// The column's type in a STRICT table, in capitals ("INT", "ANY", ...).
    public var strictType: String

    public init(name: String, strictType: String = "ANY") {
      self.name = name
      self.strictType = strictType
    }
  }

  public var name: String
  public var columns: [Column]

  public init(name: String, columns: [Column] = []) {
    self.name = name
    self.columns = columns
  }
}

/// A function at its call site.
public struct FunctionCall: Sendable {
  public var definition: FunctionDefinition
  /// For functions that compare.
  public var collation: Collation

  public init(_ definition: FunctionDefinition, collation: Collation = .binary) {
    self.definition = definition
    self.collation = collation
  }
}

/// One line of EXPLAIN QUERY PLAN.
public struct PlanRow: Sendable {
  public var id: Int32
  public var parent: Int32
  public var detail: String
}

@safe
public final class Program: @unchecked Sendable {
  public let sql: String
  public let resultColumns: [ResultColumn]
  /// By number from 1; nil for `?`. The count is the largest number used.
  public let parameterNames: [String?]
  /// Registers 1 ... registerCount; register 0 is never used by a program.
  public let registerCount: Int
  public let cursorCount: Int
  /// Writes no database file (temporary ones apart): `sqlite3_stmt_readonly`.
  public let isReadOnly: Bool
  /// Inserts, updates or deletes: `changes()` is about it when it has ended.
  public let countsChanges: Bool
  /// False where the program changes one row by one instruction, behind which nothing can fail: there is nothing to undo.
  let needsUndoScope: Bool
  /// Bit i: database i takes part (bit i of `writes`: in a write transaction).
  public let databasesUsed: UInt64
  public let databasesWritten: UInt64
  public let planRows: [PlanRow]
  let comments: [Int: String]
  /// 0 = the statement itself, 1 = EXPLAIN, 2 = EXPLAIN QUERY PLAN: the driver lists the program instead of running it.
  public let explainMode: Int
  /// What the caller should know although the statement compiled: a pragma without effect.
  public let warnings: [String]

  public let keyDescriptions: [KeyDescription]
  public let functions: [FunctionCall]
  public let collations: [Collation]
  public let messages: [String]
  public let tables: [TableDescription]
  public let integerLists: [[Int32]]
  public let affinityStrings: [[Affinity]]

  let scanLoops: [ScanLoop]
  let textEncoding: TextEncoding
  let writesLegacyRecords: Bool

  /// The instructions, which `codeList` keeps.
  let code: UnsafePointer<Instruction>
  private let codeList: TrivialList<Instruction>
  let constantValues: UnsafeMutableBufferPointer<Value>
  private let constantBytes: ByteBuffer

  /// Takes the builder's instructions over.
  init(_ builder: ProgramBuilder) {
    let instructions = builder.instructions
    sql = builder.sql
    resultColumns = builder.resultColumns
    parameterNames = builder.parameterNames
    registerCount = Int(builder.registerCount)
    cursorCount = Int(builder.cursorCount)
    isReadOnly = builder.isReadOnly
    countsChanges = (0..<instructions.count).contains { instructions[$0].countsChanges }
    needsUndoScope = !UndoScope.isSingleChange(instructions)
    databasesUsed = builder.databasesUsed
    databasesWritten = builder.databasesWritten
    planRows = builder.planRows
    comments = builder.comments
    explainMode = builder.explainMode
    warnings = builder.warnings
    keyDescriptions = builder.keyDescriptions
    functions = builder.functions
    collations = builder.collations
    messages = builder.messages.items.map(\.string)
    tables = builder.tables
    integerLists = builder.integerLists.items
    affinityStrings = builder.affinityStrings.items

    textEncoding = builder.textEncoding
    writesLegacyRecords = builder.writesLegacyRecords
    // A cursor's own steps compare what is stored.
    scanLoops = builder.textEncoding == .utf8 ? ScanLoop.replaceLoops(in: instructions) : []
    codeList = instructions
    unsafe code = instructions.start

    let constants = builder.constants.items
    var byteCount = 0
    for constant in constants { byteCount += constant.byteCount }
    var bytes = ByteBuffer()
    if byteCount > 0 { bytes.reserve(byteCount) }
    let values = UnsafeMutableBufferPointer<Value>.allocate(capacity: constants.count)
    for (index, constant) in constants.enumerated() {
      let start = bytes.count
      let value: Value
      switch constant {
      case .null: value = .null
      case .integer(let number): value = .integer(number)
      case .real(let pattern): value = .real(Double(bitPattern: pattern))
      case .text(let text):
        for byte in text { bytes.append(byte) }
        value = .text(bytes.bytes.suffix(from: start))
      case .blob(let blob):
        for byte in blob { bytes.append(byte) }
        value = .blob(bytes.bytes.suffix(from: start))
      }
      unsafe (values.baseAddress! + index).initialize(to: value)
    }
    unsafe constantValues = values
    constantBytes = bytes
  }

  deinit { unsafe constantValues.deallocate() }

  public var instructionCount: Int { codeList.count }

  public func instruction(_ address: Int) -> Instruction { codeList[address] }

  /// The constant at `index` of the pool; its bytes live as long as the program.
  public func constant(_ index: Int) -> Value {
    precondition(unsafe index >= 0 && index < constantValues.count)
    return unsafe constantValues[index]
  }
}
