// Instructions on registers alone: constants, copies, operators, tests, conversions.

import ApusBase
import ApusStorage

extension MachineCore {
  // MARK: Loading and copying

  func loadNull(_ i: Instruction) {
    var value = Value.null
    if i.p1 != 0 { value.flags = RegisterFlag.cleared }
    registers[i.p2] = value
    if i.p3 > i.p2 {
      for register in i.p2 + 1...i.p3 { registers[register] = value }
    }
  }

  func loadVariable(_ i: Instruction) {
    var value = parameters[i.p1]
    value.flags = 0
    registers[i.p2] = value
  }

  func move(_ i: Instruction) {
    for offset in 0..<max(i.p3, 1) { registers.move(from: i.p1 + offset, to: i.p2 + offset) }
  }

  func copy(_ i: Instruction) {
    for offset in 0...max(i.p3, 0) { registers.copy(from: i.p1 + offset, to: i.p2 + offset) }
  }

  @inline(__always)
  func shallowCopy(_ i: Instruction) {
    var value = registers[i.p1]
    if value.flags & RegisterFlag.owned != 0 { value.flags = RegisterFlag.shared }
    registers[i.p2] = value
  }

  // MARK: Operators

  mutating func concatenate(_ i: Instruction) throws(Fault) {
    let left = registers[i.p2]
    let right = registers[i.p1]
    let result = Value.concatenate(left, right, into: &scratch)
    if result.isNull {
      registers[i.p3] = .null
      return
    }
    guard result.bytes.count <= state.limits.lengthMax else { throw .error(.tooBig) }
    registers.adopt(i.p3, .text, &scratch)
  }

  func logicalNot(_ i: Instruction) { registers[i.p2] = .logicalNot(registers[i.p1]) }

  func logicalAnd(_ i: Instruction) {
    let left = registers[i.p1].truth
    let right = registers[i.p2].truth
    if left == false || right == false {
      registers[i.p3] = .integer(0)
    } else {
      registers[i.p3] = left == nil || right == nil ? .null : .integer(1)
    }
  }

  func logicalOr(_ i: Instruction) {
    let left = registers[i.p1].truth
    let right = registers[i.p2].truth
    if left == true || right == true {
      registers[i.p3] = .integer(1)
    } else {
      registers[i.p3] = left == nil || right == nil ? .null : .integer(0)
    }
  }

  func isTrue(_ i: Instruction) {
    guard let truth = registers[i.p1].truth else {
      registers[i.p2] = .integer(Int64(i.p3))
      return
    }
    registers[i.p2] = .boolean(truth != (i.p4 == 1))
  }

  // MARK: Comparisons

  /// Bits of a comparison's mask: which orders make it true.
  enum OrderMask {
    static let less: UInt8 = 1, equal: UInt8 = 2, greater: UInt8 = 4
  }

  /// r3 against r1.
  /// - Returns: true where the jump is taken.
  @inline(__always)
  mutating func compare(_ i: Instruction, _ mask: UInt8) -> Bool {
    let left = registers[i.p3]
    let right = registers[i.p1]
    if left.kind == right.kind, i.p5 & ComparisonFlags.storeResult.rawValue == 0 {
      if left.kind == .integer { return MachineCore.holds(mask, left.integerValue, right.integerValue) }
      if left.kind == .real { return MachineCore.holds(mask, left.realValue, right.realValue) }
    }
    return compareSlowly(i, left, right, mask)
  }

  /// The mask is a constant wherever this is inlined.
  @inline(__always)
  private static func holds<T: Comparable>(_ mask: UInt8, _ left: T, _ right: T) -> Bool {
    switch mask {
    case OrderMask.equal: left == right
    case OrderMask.less | OrderMask.greater: left != right
    case OrderMask.less: left < right
    case OrderMask.less | OrderMask.equal: left <= right
    case OrderMask.greater: left > right
    default: left >= right
    }
  }

  @inline(never)
  mutating func compareSlowly(_ i: Instruction, _ left: Value, _ right: Value, _ mask: UInt8) -> Bool {
    let flags = ComparisonFlags(rawValue: i.p5)
    var order: Int
    if left.isNull || right.isNull {
      if flags.contains(.nullEqual) {
        let areEqual = left.isNull && right.isNull && (left.flags | right.flags) & RegisterFlag.cleared == 0
        order = areEqual ? 0 : (left.isNull ? -1 : 1)
      } else {
        if flags.contains(.storeResult) {
          registers[i.p2] = .null
          return false
        }
        return flags.contains(.jumpIfNull)
      }
    } else {
      order = comparedOrder(left, right, flags.affinity, i.p4)
    }
    let bit: UInt8 = order < 0 ? OrderMask.less : (order == 0 ? OrderMask.equal : OrderMask.greater)
    let isTrue = mask & bit != 0
    if flags.contains(.storeResult) {
      registers[i.p2] = .boolean(isTrue)
      return false
    }
    return isTrue
  }

  private mutating func comparedOrder(_ left: Value, _ right: Value, _ affinity: Affinity, _ collation: Int32) -> Int {
    var left = left
    var right = right
    if affinity.isNumeric {
      if left.kind == .text, right.kind != .blob { left = left.asComparedNumber }
      if right.kind == .text, left.kind != .blob { right = right.asComparedNumber }
    } else if affinity == .text {
      if left.isNumeric, right.kind == .text { left = .text(left.convertedText(in: &scratch)) }
      if right.isNumeric, left.kind == .text { right = .text(right.convertedText(in: &scratch2)) }
    }
    if collation < 0 || left.kind != .text || right.kind != .text {
      return ValueComparison.order(left, right, .binary)
    }
    return ValueComparison.order(left, right, program.collations[Int(collation)])
  }

  mutating func compareRuns(_ i: Instruction) {
    let key = program.keyDescriptions[Int(i.p4)]
    if i.p5 & 1 == 0 || permutation < 0 {
      order = key.order.compare(registers.range(i.p1, Int(i.p3)), registers.range(i.p2, Int(i.p3)))
      return
    }
    let sequence = program.integerLists[Int(permutation)]
    permutation = -1
    order = 0
    for (index, offset) in sequence.prefix(Int(i.p3)).enumerated() {
      let column = index < key.columns.count ? key.columns[index] : KeyColumn()
      order = MachineCore.order(registers[i.p1 + offset], registers[i.p2 + offset], column)
      if order != 0 { return }
    }
  }

  private static func order(_ left: Value, _ right: Value, _ column: KeyColumn) -> Int {
    let order = ValueComparison.order(left, right, column.collation)
    if column.isNullsLast, left.isNull != right.isNull { return column.isDescending ? order : -order }
    return column.isDescending ? -order : order
  }

  // MARK: Tests

  @inline(__always)
  func isTrue(_ register: Int32, ifNull: Bool) -> Bool {
    let value = registers[register]
    if value.kind == .integer { return value.integerValue != 0 }
    return value.truth ?? ifNull
  }

  // MARK: Conversions

  /// Applies an affinity to a register in place.
  @inline(__always)
  mutating func apply(_ affinity: Affinity, to register: Int32) {
    let value = registers[register]
    switch affinity {
    case .blob, .none: return
    case .text: if !value.isNumeric { return }
    case .integer, .numeric: if value.kind != .text && value.kind != .real { return }
    case .real: if value.kind != .text && value.kind != .integer { return }
    }
    convert(register, affinity)
  }

  @inline(never)
  private mutating func convert(_ register: Int32, _ affinity: Affinity) {
    let value = registers[register]
    let converted = value.applying(affinity, scratch: &scratch)
    if converted.hasBytes {
      if !value.hasBytes { registers.adopt(register, converted.kind, &scratch) }
    } else {
      registers[register] = converted
    }
  }

  mutating func applyAffinities(_ first: Int32, _ list: Int32) {
    let affinities = program.affinityStrings[Int(list)]
    for index in affinities.indices { apply(affinities[index], to: first + Int32(index)) }
  }

  mutating func cast(_ i: Instruction) {
    guard let affinity = Affinity(rawValue: UInt8(truncatingIfNeeded: i.p2)) else { return }
    let value = registers[i.p1]
    if textEncoding != .utf8 { return castStored(i, affinity) }
    let result = value.cast(to: affinity, scratch: &scratch)
    if !result.hasBytes {
      registers[i.p1] = result
    } else if value.hasBytes {
      // The same bytes under another name.
      var renamed = result
      renamed.flags = value.flags
      registers[i.p1] = renamed
    } else {
      registers.adopt(i.p1, result.kind, &scratch)
    }
  }

  @inline(__always)
  func makeReal(_ register: Int32) {
    let value = registers[register]
    if value.kind == .integer { registers[register] = .real(Double(value.integerValue)) }
  }

  /// - Returns: false where the value is no integer and has no equal one.
  func makeInteger(_ register: Int32) -> Bool {
    let value = registers[register]
    if value.kind == .integer { return true }
    let number = value.kind == .text ? value.asNumericColumn : value
    if number.kind == .integer {
      registers[register] = number
      return true
    }
    guard number.kind == .real else { return false }
    let exact = Value.integerWhereExact(number.realValue)
    guard exact.kind == .integer else { return false }
    registers[register] = exact
    return true
  }

  func addImmediate(_ i: Instruction) {
    registers[i.p1] = .integer(registers[i.p1].asInteger &+ Int64(i.p2))
  }

  /// Checks a row against a STRICT table's types.
  mutating func checkTypes(_ i: Instruction) throws(Fault) {
    let table = program.tables[Int(i.p4)]
    for index in 0..<Int(i.p2) where index < table.columns.count {
      let register = i.p1 + Int32(index)
      let column = table.columns[index]
      let fits: Bool
      switch column.strictType {
      case "INT", "INTEGER":
        apply(.integer, to: register)
        fits = registers[register].kind == .integer
      case "REAL":
        apply(.real, to: register)
        fits = registers[register].isNumeric
      case "TEXT":
        apply(.text, to: register)
        fits = registers[register].kind == .text
      case "BLOB": fits = registers[register].kind == .blob
      default: fits = true
      }
      if fits || registers[register].isNull { continue }
      let kind = ["NULL", "INT", "REAL", "TEXT", "BLOB"][Int(registers[register].kind.rawValue)]
      failureEnding = .undoStatement
      throw .error(
        .constraintDataType, "cannot store \(kind) value in \(column.strictType) column \(table.name).\(column.name)")
    }
  }

  // MARK: Counters

  @inline(__always)
  func isPositiveAndCountDown(_ i: Instruction) -> Bool {
    let value = registers[i.p1].asInteger
    if value <= 0 { return false }
    registers[i.p1] = .integer(value &- Int64(i.p3))
    return true
  }

  @inline(__always)
  func isNotZeroAndCountDown(_ i: Instruction) -> Bool {
    let value = registers[i.p1].asInteger
    if value == 0 { return false }
    if value > 0 { registers[i.p1] = .integer(value &- 1) }
    return true
  }

  @inline(__always)
  func countsDownToZero(_ i: Instruction) -> Bool {
    let value = registers[i.p1].asInteger &- 1
    registers[i.p1] = .integer(value)
    return value == 0
  }

  func addOffset(_ i: Instruction) {
    let limit = registers[i.p1].asInteger
    let offset = max(registers[i.p3].asInteger, 0)
    let (sum, overflow) = limit.addingReportingOverflow(offset)
    registers[i.p2] = .integer(limit <= 0 || overflow ? -1 : sum)
  }

  // MARK: Functions

  mutating func callFunction(_ i: Instruction) throws(Fault) {
    let arguments = registers.range(i.p2, Int(i.p5))
    guard let scalar = functions[i.p4].scalar else { throw .error(.internal, "an aggregate is not called as a function") }
    prepareCall(i.p4)
    do throws(Fault) {
      try scalar(&context, arguments)
    } catch {
      finishCall(i.p4)
      throw error
    }
    finishCall(i.p4)
    takeResult(into: i.p3)
  }

  @inline(__always)
  mutating func prepareCall(_ function: Int32) {
    context.begin()
    if functions[function].needsCollation { context.collation = functions[function].collation }
    if functions[function].needsFigures { context.figures = state.figures }
    if functions[function].hasCallState { exchangeCallState(function) }
  }

  @inline(__always)
  mutating func finishCall(_ function: Int32) {
    if functions[function].hasCallState { exchangeCallState(function) }
  }

  private mutating func exchangeCallState(_ function: Int32) {
    let state = context.callState
    context.callState = functions[function].callState
    functions[function].callState = state
  }

  @inline(__always)
  mutating func takeResult(into register: Int32) {
    var result = context.result
    if !result.hasBytes || context.place == .immediate {
      result.flags = 0
      registers[register] = result
    } else {
      takeBytes(result, into: register)
    }
  }

  @inline(never)
  private mutating func takeBytes(_ result: Value, into register: Int32) {
    if context.place == .output {
      let subtype = result.subtype
      registers.adopt(register, result.kind, &context.output)
      if subtype != 0 {
        var value = registers[register]
        value.subtype = subtype
        registers[register] = value
      }
    } else {
      registers.copyBytes(register, result)
    }
  }

  // MARK: Aggregates

  @inline(__always)
  mutating func stepAggregate(_ i: Instruction) throws(Fault) {
    var accumulator = registers[i.p3]
    if accumulator.flags & RegisterFlag.handle == 0 {
      accumulator = newAccumulator(i.p4)
      registers[i.p3] = accumulator
    }
    if functions.needsPreparation(i.p4) || i.p1 != 0 {
      try stepWithContext(i, accumulator)
      return
    }
    try functions.step(i.p4)(&context, functions.state(accumulator, i.p4), registers.range(i.p2, Int(i.p5)))
  }

  @inline(never)
  private mutating func stepWithContext(_ i: Instruction, _ accumulator: Value) throws(Fault) {
    prepareCall(i.p4)
    context.keepsBareColumns = false
    do throws(Fault) {
      try functions.step(i.p4)(&context, functions.state(accumulator, i.p4), registers.range(i.p2, Int(i.p5)))
    } catch {
      finishCall(i.p4)
      throw error
    }
    finishCall(i.p4)
    if i.p1 != 0 { registers[i.p1] = .boolean(context.keepsBareColumns) }
  }

  // MARK: Groups

  func openGroups(_ i: Instruction) {
    let list = program.integerLists[Int(i.p4)]
    var states: [(register: Int32, byteCount: Int)] = []
    for index in stride(from: 0, to: list.count - 1, by: 2) {
      states.append((list[index + 1], functions[list[index]].stateByteCount))
    }
    cursors.open(
      i.p1, groups: GroupTable(keyCount: Int(i.p2), states: states, byteCountMax: state.limits.hashBytes))
  }

  @inline(__always)
  func findGroup(_ i: Instruction) -> Bool {
    cursors[groups: i.p1].find(registers.range(i.p3, cursors[groups: i.p1].keyCount), registers)
  }

  func nextGroup(_ i: Instruction) -> Bool { cursors[groups: i.p1].next(i.p3, number: i.p4, registers) }

  func loadGroup(_ i: Instruction) throws(Fault) {
    guard cursors[groups: i.p1].load(registers[i.p2].asInteger, registers) else {
      throw .error(.internal, "a group has a number that no group has")
    }
  }

  @inline(never)
  private mutating func newAccumulator(_ function: Int32) -> Value {
    let byteCount = functions[function].aggregate?.stateByteCount ?? 16
    var handle = Value.integer(aggregates.allocate(function, byteCount: byteCount))
    handle.flags = RegisterFlag.handle
    return handle
  }

  mutating func finishAggregate(_ i: Instruction) throws(Fault) {
    var accumulator = registers[i.p1]
    if accumulator.flags & RegisterFlag.handle == 0 { accumulator = newAccumulator(i.p4) }
    let address = accumulator.integerValue
    guard let aggregate = functions[i.p4].aggregate else { throw .error(.internal, "a function is not an aggregate") }
    prepareCall(i.p4)
    // The accumulator is gone whatever comes.
    registers[i.p1] = .null
    do throws(Fault) {
      try aggregate.finalize(&context, functions.state(accumulator, i.p4))
    } catch {
      finishCall(i.p4)
      aggregates.free(address, functions)
      throw error
    }
    finishCall(i.p4)
    // The result may lie in the accumulator's memory: take it before that is freed.
    takeResult(into: i.p1)
    aggregates.free(address, functions)
  }
}
