// The functions that a program calls, and the accumulators of its aggregates, in raw memory: a call site costs two loads.
// `unsafe` lives here.

import ApusBase

/// One call site.
struct FunctionSlot {
  /// The aggregate's step by itself: what is called for each row is not to be copied out of a larger whole.
  var step: AggregateFunction.Step
  var stateByteCount: Int
  /// The context must be prepared before a step.
  var needsPreparation: Bool
  var scalar: FunctionDefinition.Scalar?
  var aggregate: AggregateFunction?
  var collation: Collation
  var needsCollation: Bool
  var needsFigures: Bool
  var hasCallState: Bool
  var callState: AnyObject?
}

@safe
struct FunctionTable {
  private let slots: UnsafeMutablePointer<FunctionSlot>
  let count: Int

  init(_ calls: [FunctionCall]) {
    count = calls.count
    unsafe slots = UnsafeMutablePointer<FunctionSlot>.allocate(capacity: max(count, 1))
    for (index, call) in calls.enumerated() {
      let traits = call.definition.traits
      var slot = FunctionSlot(
        step: FunctionTable.notAnAggregate, stateByteCount: 0,
        needsPreparation: !traits.isDisjoint(with: [.usesCollation, .readsConnection, .hasCallState]),
        scalar: nil, aggregate: nil, collation: call.collation, needsCollation: traits.contains(.usesCollation),
        needsFigures: traits.contains(.readsConnection), hasCallState: traits.contains(.hasCallState), callState: nil)
      switch call.definition.body {
      case .scalar(let body): slot.scalar = body
      case .aggregate(let body):
        slot.aggregate = body
        slot.step = body.step
        slot.stateByteCount = body.stateByteCount
      }
      unsafe (slots + index).initialize(to: slot)
    }
  }

  func destroy() {
    unsafe slots.deinitialize(count: count)
    unsafe slots.deallocate()
  }

  func clearCallStates() {
    for index in 0..<count { unsafe slots[index].callState = nil }
  }

  /// The step of the aggregate called at `function`.
  @inline(__always)
  func step(_ function: Int32) -> AggregateFunction.Step {
    assert(function >= 0 && function < count)
    return unsafe slots[Int(function)].step
  }

  private static let notAnAggregate: AggregateFunction.Step = {
    (_: inout FunctionContext, _: AggregateState, _: ValueRange) throws(Fault) in
    throw .error(.internal, "a function is not an aggregate")
  }

  /// The state that an accumulator's register names.
  @inline(__always)
  func state(_ accumulator: Value, _ function: Int32) -> AggregateState {
    guard let memory = unsafe UnsafeMutableRawPointer(bitPattern: Int(accumulator.integerValue)) else {
      preconditionFailure("an accumulator is the address of a block")
    }
    return unsafe AggregateState(unchecked: memory, byteCount: slots[Int(function)].stateByteCount)
  }

  @inline(__always)
  func needsPreparation(_ function: Int32) -> Bool { unsafe slots[Int(function)].needsPreparation }

  @inline(__always)
  subscript(function: Int32) -> FunctionSlot {
    _read {
      assert(function >= 0 && function < count)
      yield unsafe slots[Int(function)]
    }
    nonmutating _modify {
      assert(function >= 0 && function < count)
      yield unsafe &slots[Int(function)]
    }
  }
}

extension AggregateState {
  /// `aggStepCount` where the accumulator has begun.
  /// - Returns: false where nothing was done.
  @inline(__always)
  static func countRow(_ accumulator: Value) -> Bool {
    guard accumulator.flags & RegisterFlag.handle != 0,
      let count = unsafe UnsafeMutablePointer<Int64>(bitPattern: Int(accumulator.integerValue))
    else { return false }
    unsafe count.pointee &+= 1
    return true
  }

  /// `aggStepSum` where the accumulator has begun, for a number of the kind that came before.
  /// - Returns: false where nothing was done.
  @inline(__always)
  static func addToSum(_ accumulator: Value, _ value: Value) -> Bool {
    guard accumulator.flags & RegisterFlag.handle != 0,
      let sum = unsafe UnsafeMutablePointer<QuickSum>(bitPattern: Int(accumulator.integerValue))
    else { return false }
    if value.kind == .integer { return unsafe sum.pointee.add(value.integerValue) }
    return value.kind == .real ? unsafe sum.pointee.add(value.realValue) : false
  }
}

/// The accumulators in use. A block keeps its memory when it is freed.
@safe
struct AggregateTable: ~Copyable {
  @unsafe
  private struct Block {
    var memory: UnsafeMutableRawPointer
    var byteCount: Int
    /// Call site, -1 where the block is free.
    var function: Int32
  }

  private var blocks: UnsafeMutablePointer<Block>
  private var count = 0
  private var room = 8
  private var freeCount = 0

  init() { unsafe blocks = UnsafeMutablePointer<Block>.allocate(capacity: 8) }

  deinit {
    for index in 0..<count { unsafe blocks[index].memory.deallocate() }
    unsafe blocks.deallocate()
  }

  /// A zeroed block for call site `function`.
  /// - Returns: its address, which stays until it is freed.
  mutating func allocate(_ function: Int32, byteCount: Int) -> Int64 {
    let wanted = max(byteCount, 16)
    var index = count
    if freeCount > 0 {
      for candidate in 0..<count where unsafe blocks[candidate].function < 0 {
        index = candidate
        break
      }
      freeCount -= 1
      if unsafe blocks[index].byteCount < wanted {
        unsafe blocks[index].memory.deallocate()
        unsafe blocks[index].memory = .allocate(byteCount: wanted, alignment: 16)
        unsafe blocks[index].byteCount = wanted
      }
    } else {
      if count == room { grow() }
      unsafe (blocks + index).initialize(
        to: Block(memory: .allocate(byteCount: wanted, alignment: 16), byteCount: wanted, function: function))
      count += 1
    }
    unsafe blocks[index].function = function
    unsafe blocks[index].memory.initializeMemory(as: UInt8.self, repeating: 0, count: blocks[index].byteCount)
    return unsafe Int64(Int(bitPattern: blocks[index].memory))
  }

  private mutating func grow() {
    let grown = UnsafeMutablePointer<Block>.allocate(capacity: room * 2)
    unsafe grown.update(from: blocks, count: count)
    unsafe blocks.deallocate()
    unsafe blocks = grown
    room *= 2
  }

  /// Frees the block at `address`.
  mutating func free(_ address: Int64, _ functions: FunctionTable) {
    for index in 0..<count where unsafe Int(bitPattern: blocks[index].memory) == Int(address) {
      free(at: index, functions)
      return
    }
  }

  private mutating func free(at index: Int, _ functions: FunctionTable) {
    let function = unsafe blocks[index].function
    if function < 0 { return }
    let state = unsafe AggregateState(unchecked: blocks[index].memory, byteCount: blocks[index].byteCount)
    functions[function].aggregate?.destroy?(state)
    unsafe blocks[index].function = -1
    freeCount += 1
  }

  mutating func freeAll(_ functions: FunctionTable) {
    for index in 0..<count { free(at: index, functions) }
  }
}
