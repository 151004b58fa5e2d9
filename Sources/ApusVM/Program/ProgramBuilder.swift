// What the compiler writes programs with: it hands out registers, cursors and labels, and shares equal constants.

import ApusBase
import ApusStorage

/// An address that may not be known yet. `operand` stands for it until the program is finished.
public struct Label: Hashable, Sendable {
  public let operand: Int32
}

/// A constant of the pool.
public enum ConstantValue: Hashable, Sendable {
  case null
  case integer(Int64)
  /// The bits of the double, so that 0.0 and -0.0 differ.
  case real(UInt64)
  case text([UInt8])
  case blob([UInt8])

  public static func real(_ value: Double) -> ConstantValue { .real(value.bitPattern) }
  public static func text(_ value: String) -> ConstantValue { .text([UInt8](value.utf8)) }

  var byteCount: Int {
    switch self {
    case .null, .integer, .real: 0
    case .text(let bytes), .blob(let bytes): bytes.count
    }
  }
}

/// A pool that keeps equal items once.
struct SharedPool<Item: Hashable> {
  private(set) var items: [Item] = []
  private var indexes: [Item: Int32] = [:]

  // Few items are compared one by one; hashing pays only when there are many.
  private static var listedMax: Int { 16 }

  mutating func index(of item: Item) -> Int32 {
    if items.count <= Self.listedMax {
      for place in items.indices where items[place] == item { return Int32(place) }
    } else if let index = indexes[item] {
      return index
    }
    let index = Int32(items.count)
    items.append(item)
    if items.count > Self.listedMax + 1 {
      indexes[item] = index
    } else if items.count == Self.listedMax + 1 {
      for (place, item) in items.enumerated() { indexes[item] = Int32(place) }
    }
    return index
  }
}

public final class ProgramBuilder {
  public let sql: String
  /// 0 = the statement itself, 1 = EXPLAIN, 2 = EXPLAIN QUERY PLAN.
  public let explainMode: Int
  public var resultColumns: [ResultColumn] = []
  public var parameterNames: [String?] = []
  public var isReadOnly = true
  public var databasesUsed: UInt64 = 0
  public var databasesWritten: UInt64 = 0
  /// How the text of the connection's databases is stored; registers hold UTF-8 all the same.
  public var textEncoding = TextEncoding.utf8
  /// Records write 0 and 1 as bytes: a file of schema format 1 to 3 is written.
  public var writesLegacyRecords = false
  /// What the caller should know although the statement compiles.
  public var warnings: [String] = []

  let instructions = TrivialList<Instruction>(capacity: 48)
  private(set) var comments: [Int: String] = [:]
  /// The address of each label, -1 where it is not placed yet.
  private let labelAddresses = TrivialList<Int32>(capacity: 64)
  private(set) var registerCount: Int32 = 0
  private(set) var cursorCount: Int32 = 0
  private let freeTemporaries = TrivialList<Int32>(capacity: 16)

  var constants = SharedPool<ConstantValue>()
  var messages = SharedPool<ExactText>()
  var integerLists = SharedPool<[Int32]>()
  var affinityStrings = SharedPool<[Affinity]>()
  var keyDescriptions: [KeyDescription] = []
  var functions: [FunctionCall] = []
  var collations: [Collation] = []
  private(set) var tables: [TableDescription] = []
  private(set) var planRows: [PlanRow] = []

  public init(sql: String, explainMode: Int = 0) {
    self.sql = sql
    self.explainMode = explainMode
  }

  // MARK: Code

  /// The address that the next instruction will have.
  public var nextAddress: Int32 { Int32(instructions.count) }

  /// Appends an instruction and returns its address. Addresses among the operands are `Label.operand`s or numbers.
  @discardableResult
  public func emit(
    _ opcode: Opcode, _ p1: Int32 = 0, _ p2: Int32 = 0, _ p3: Int32 = 0, p4: Int32 = -1, p5: UInt16 = 0
  ) -> Int32 {
    instructions.append(Instruction(opcode, p1, p2, p3, p4: p4, p5: p5))
    return nextAddress - 1
  }

  /// Appends an instruction that jumps to `target`.
  @discardableResult
  public func emit(
    _ opcode: Opcode, _ p1: Int32 = 0, to target: Label, _ p3: Int32 = 0, p4: Int32 = -1, p5: UInt16 = 0
  ) -> Int32 {
    precondition(opcode.jumps.p2, "only a jump has a target")
    return emit(opcode, p1, target.operand, p3, p4: p4, p5: p5)
  }

  public func instruction(_ address: Int32) -> Instruction { instructions[Int(address)] }

  /// Changes an instruction that was emitted before.
  public func patch(_ address: Int32, _ change: (inout Instruction) -> Void) {
    var instruction = instructions[Int(address)]
    change(&instruction)
    instructions[Int(address)] = instruction
  }

  /// A note on the last instruction, which only EXPLAIN asks for.
  public func comment(_ text: @autoclosure () -> String) {
    if explainMode == 1 { comments[instructions.count - 1] = text() }
  }

  public func makeLabel() -> Label {
    labelAddresses.append(-1)
    return Label(operand: -Int32(labelAddresses.count))
  }

  /// The label means the next instruction.
  public func place(_ label: Label) {
    precondition(labelAddresses[Int(-label.operand) - 1] < 0, "a label has one place")
    labelAddresses[Int(-label.operand) - 1] = nextAddress
  }

  /// A label for the next instruction.
  public func labelHere() -> Label {
    let label = makeLabel()
    place(label)
    return label
  }

  // MARK: Registers and cursors

  public func allocateRegister() -> Int32 { allocateRegisters(1) }

  /// A run of `count` registers; returns the first. They are NULL when the program starts.
  public func allocateRegisters(_ count: Int) -> Int32 {
    let first = registerCount + 1
    registerCount += Int32(count)
    return first
  }

  public func allocateCursor() -> Int32 {
    cursorCount += 1
    return cursorCount - 1
  }

  /// A register whose content is of any kind until it is written; give it back with `releaseTemporary`.
  public func allocateTemporary() -> Int32 { freeTemporaries.popLast() ?? allocateRegister() }

  public func releaseTemporary(_ register: Int32) {
    assert((0..<freeTemporaries.count).allSatisfy { freeTemporaries[$0] != register }, "a register is released once")
    freeTemporaries.append(register)
  }

  // MARK: Pools

  public func constantIndex(_ value: ConstantValue) -> Int32 { constants.index(of: value) }
  public func messageIndex(_ text: String) -> Int32 { messages.index(of: ExactText(text)) }
  public func integersIndex(_ list: [Int32]) -> Int32 { integerLists.index(of: list) }
  public func affinityIndex(_ affinities: [Affinity]) -> Int32 { affinityStrings.index(of: affinities) }

  /// -1 for BINARY, which is what -1 means.
  public func collationIndex(_ collation: Collation) -> Int32 {
    if case .binary = collation { return -1 }
    if let index = collations.firstIndex(where: { ExactText($0.name) == ExactText(collation.name) }) { return Int32(index) }
    collations.append(collation)
    return Int32(collations.count - 1)
  }

  public func keyIndex(_ key: KeyDescription) -> Int32 {
    if let index = keyDescriptions.firstIndex(where: { $0 === key }) { return Int32(index) }
    keyDescriptions.append(key)
    return Int32(keyDescriptions.count - 1)
  }

  /// One index per call site: functions may keep something there.
  public func functionIndex(_ call: FunctionCall) -> Int32 {
    functions.append(call)
    return Int32(functions.count - 1)
  }

  public func tableIndex(_ table: TableDescription) -> Int32 {
    tables.append(table)
    return Int32(tables.count - 1)
  }

  /// Adds a line of EXPLAIN QUERY PLAN and the `explain` instruction for it; returns its id, for its children. A statement
  /// that is to run has no such lines: nobody asks it for them.
  @discardableResult
  public func explain(_ detail: @autoclosure () -> String, parent: Int32 = 0) -> Int32 {
    if explainMode == 0 { return 0 }
    let id = nextAddress, detail = detail()
    emit(.explain, id, parent, p4: messageIndex(detail))
    planRows.append(PlanRow(id: id, parent: parent, detail: detail))
    return id
  }

  // MARK: The end

  /// Resolves the labels. The last instruction must not fall through.
  /// - Precondition: every label in use is placed; every register and cursor was allocated here.
  public func finish() -> Program {
    let last = instructions.count
    for index in 0..<last {
      var instruction = instructions[index]
      let jumps = instruction.opcode.jumps
      if !jumps.p1, !jumps.p2, !jumps.p3 { continue }
      if jumps.p1 { instruction.p1 = resolve(instruction.p1, last) }
      if jumps.p2 { instruction.p2 = resolve(instruction.p2, last) }
      if jumps.p3 { instruction.p3 = resolve(instruction.p3, last) }
      instructions[index] = instruction
    }
    if textEncoding != .utf8 { storeTextEncoded() }
    // The loop fetches without a bounds check, so the end must be reached by a halt.
    instructions.append(Instruction(.halt, 0, 0))
    return Program(self)
  }

  private func resolve(_ operand: Int32, _ last: Int) -> Int32 {
    if operand >= 0 {
      precondition(operand <= last, "a jump stays inside the program")
      return operand
    }
    let address = labelAddresses[Int(-operand) - 1]
    precondition(address >= 0, "a label was never placed")
    return address
  }
}
