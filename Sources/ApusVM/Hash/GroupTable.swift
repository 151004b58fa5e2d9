// The groups of a GROUP BY while rows come in: a hash table from key values to a block with the group's accumulators.
//
// A block holds the key's values and behind them the accumulators' states, each at a multiple of 16 bytes, zeroed. Blocks
// never move, so that a register may name a state by its address. Memory is bounded: once a new group finds no room,
// the table takes no further ones, and their rows go the long way, through a sorter. Keys are compared as BINARY does.
// `unsafe` lives here: the blocks and the table, in memory that the table owns.

import ApusBase
import ApusStorage

@safe
struct GroupTable: ~Copyable {
  /// An aggregate of the query: where its state lies in a block, and the register that names it.
  @unsafe
  private struct Accumulator {
    var register: Int32
    var offset: Int32
  }

  @unsafe
  private struct Entry {
    var hash: UInt64
    var block: UnsafeMutableRawPointer?
  }

  private static let chunkBytes = 64 << 10

  let keyCount: Int
  private let blockBytes: Int
  private let byteCountMax: Int
  private let accumulators: UnsafeMutablePointer<Accumulator>
  private let accumulatorCount: Int

  private var entries: UnsafeMutablePointer<Entry>
  private var mask = 255
  private var blocks: UnsafeMutablePointer<UnsafeMutableRawPointer>
  private var chunks: [UnsafeMutableRawPointer] = unsafe []
  private var chunkNext = 0
  private var chunkEnd = 0
  private var byteCount = 0
  private var isFull = false
  private(set) var count = 0
  private var position = 0

  /// - Parameter states: register and byte count of each accumulator.
  init(keyCount: Int, states: [(register: Int32, byteCount: Int)], byteCountMax: Int) {
    self.keyCount = keyCount
    self.byteCountMax = byteCountMax
    accumulatorCount = states.count
    unsafe accumulators = UnsafeMutablePointer<Accumulator>.allocate(capacity: max(states.count, 1))
    var offset = keyCount * MemoryLayout<Value>.stride
    for (index, state) in states.enumerated() {
      unsafe (accumulators + index).initialize(to: Accumulator(register: state.register, offset: Int32(offset)))
      offset += (max(state.byteCount, 16) + 15) & ~15
    }
    blockBytes = max(offset, 16)
    unsafe entries = GroupTable.makeEntries(256)
    unsafe blocks = UnsafeMutablePointer<UnsafeMutableRawPointer>.allocate(capacity: 128)
  }

  deinit {
    for unsafe chunk in unsafe chunks { unsafe chunk.deallocate() }
    unsafe entries.deallocate()
    unsafe blocks.deallocate()
    unsafe accumulators.deallocate()
  }

  private static func makeEntries(_ count: Int) -> UnsafeMutablePointer<Entry> {
    let entries = UnsafeMutablePointer<Entry>.allocate(capacity: count)
    unsafe entries.initialize(repeating: Entry(hash: 0, block: nil), count: count)
    return unsafe entries
  }

  // MARK: Rows

  /// Points the registers of the accumulators to the states of the key's group, a new one where need be.
  /// - Returns: false where a new group has no room.
  @inline(__always)
  mutating func find(_ key: ValueRange, _ registers: RegisterFile) -> Bool {
    let hash = GroupTable.hash(key)
    var index = Int(truncatingIfNeeded: hash) & mask
    while let block = unsafe entries[index].block {
      if unsafe entries[index].hash == hash && equals(block, key) {
        unsafe name(block, registers)
        return true
      }
      index = (index &+ 1) & mask
    }
    return add(key, hash, registers)
  }

  @inline(__always)
  private func equals(_ block: UnsafeMutableRawPointer, _ key: ValueRange) -> Bool {
    let values = unsafe block.assumingMemoryBound(to: Value.self)
    for index in 0..<keyCount {
      let left = unsafe values[index]
      let right = key[index]
      if left.kind == .integer, right.kind == .integer {
        if left.integerValue != right.integerValue { return false }
      } else if ValueComparison.order(left, right, .binary) != 0 {
        return false
      }
    }
    return true
  }

  @inline(__always)
  private func name(_ block: UnsafeMutableRawPointer, _ registers: RegisterFile) {
    for index in 0..<accumulatorCount {
      let accumulator = unsafe accumulators[index]
      var handle = unsafe Value.integer(Int64(Int(bitPattern: block + Int(accumulator.offset))))
      handle.flags = RegisterFlag.handle
      unsafe registers[accumulator.register] = handle
    }
  }

  @inline(never)
  private mutating func add(_ key: ValueRange, _ hash: UInt64, _ registers: RegisterFile) -> Bool {
    if isFull { return false }
    var keyBytes = 0
    for index in 0..<keyCount where key[index].hasBytes { keyBytes &+= key[index].bytes.count }
    let wanted = (blockBytes &+ keyBytes &+ 15) & ~15
    // The table's own share: an entry and a block's address, twice for the room to grow.
    guard byteCount &+ wanted &+ 64 &* (count &+ 1) <= byteCountMax else {
      isFull = true
      return false
    }
    byteCount &+= wanted
    let block = unsafe allocate(wanted)
    unsafe block.initializeMemory(as: UInt8.self, repeating: 0, count: blockBytes)
    let values = unsafe block.assumingMemoryBound(to: Value.self)
    var end = blockBytes
    for index in 0..<keyCount {
      var value = key[index]
      if value.hasBytes {
        let bytes = value.bytes
        unsafe (block + end).copyMemory(from: bytes.unsafeBase, byteCount: bytes.count)
        value = unsafe value.relocated(to: ByteView(unchecked: block + end, count: bytes.count))
        end &+= bytes.count
      }
      value.flags = 0
      unsafe (values + index).initialize(to: value)
    }
    if (count &+ 1) &* 2 > mask &+ 1 { grow() }
    unsafe place(hash, block)
    unsafe (blocks + count).initialize(to: block)
    count &+= 1
    unsafe name(block, registers)
    return true
  }

  private mutating func place(_ hash: UInt64, _ block: UnsafeMutableRawPointer) {
    var index = Int(truncatingIfNeeded: hash) & mask
    while unsafe entries[index].block != nil { index = (index &+ 1) & mask }
    unsafe entries[index] = Entry(hash: hash, block: block)
  }

  private mutating func grow() {
    let old = unsafe entries
    let oldCount = mask + 1
    unsafe entries = GroupTable.makeEntries(oldCount * 2)
    mask = oldCount * 2 - 1
    for index in 0..<oldCount {
      if let block = unsafe old[index].block { unsafe place(old[index].hash, block) }
    }
    unsafe old.deallocate()
    // There are never more blocks than half the entries.
    let grown = UnsafeMutablePointer<UnsafeMutableRawPointer>.allocate(capacity: oldCount)
    unsafe grown.update(from: blocks, count: count)
    unsafe blocks.deallocate()
    unsafe blocks = grown
  }

  private mutating func allocate(_ size: Int) -> UnsafeMutableRawPointer {
    if chunkNext &+ size > chunkEnd {
      chunkEnd = max(size, GroupTable.chunkBytes)
      chunkNext = 0
      unsafe chunks.append(.allocate(byteCount: chunkEnd, alignment: 16))
    }
    let memory = unsafe chunks[chunks.count - 1] + chunkNext
    chunkNext &+= size
    return unsafe memory
  }

  // MARK: Groups

  /// The next group in the order in which they came: its key to the registers from `first` on, its number to `number`.
  mutating func next(_ first: Int32, number: Int32, _ registers: RegisterFile) -> Bool {
    guard position < count else { return false }
    let values = unsafe blocks[position].assumingMemoryBound(to: Value.self)
    for index in 0..<keyCount { unsafe registers[first + Int32(index)] = values[index] }
    registers[number] = .integer(Int64(position))
    position += 1
    return true
  }

  /// Points the registers of the accumulators to the states of group `number`.
  /// - Returns: false where there is no such group.
  func load(_ number: Int64, _ registers: RegisterFile) -> Bool {
    guard number >= 0, number < Int64(count) else { return false }
    unsafe name(blocks[Int(number)], registers)
    return true
  }

  // MARK: Hashing

  /// Values that BINARY holds for equal have equal hashes: an integer and the real of the same value, too.
  @inline(__always)
  static func hash(_ key: ValueRange, from start: UInt64 = 0) -> UInt64 {
    var hash = start
    for index in 0..<key.count {
      let value = key[index]
      if value.kind == .integer {
        hash = mix(hash ^ UInt64(bitPattern: value.integerValue))
      } else {
        hash = mix(hash ^ hashSlowly(value))
      }
    }
    return hash
  }

  @inline(__always)
  private static func mix(_ bits: UInt64) -> UInt64 {
    let product = (bits &+ 0x9e37_79b9_7f4a_7c15) &* 0xff51_afd7_ed55_8ccd
    return product ^ (product >> 32)
  }

  @inline(never)
  private static func hashSlowly(_ value: Value) -> UInt64 {
    switch value.kind {
    case .null: return 0x7f4a_7c15_9e37_79b9
    case .integer: return UInt64(bitPattern: value.integerValue)
    case .real:
      let exact = Value.integerWhereExact(value.realValue)
      if exact.kind == .integer { return UInt64(bitPattern: exact.integerValue) }
      if let integer = Int64(exactly: value.realValue) { return UInt64(bitPattern: integer) }
      return value.realValue.bitPattern
    case .text, .blob:
      let bytes = value.bytes
      var hash = UInt64(bytes.count) &+ (value.kind == .text ? 0x1000_0000_0000 : 0x2000_0000_0000)
      var offset = 0
      while offset &+ 8 <= bytes.count {
        hash = mix(hash ^ bytes.bigEndianUInt64(at: offset))
        offset &+= 8
      }
      while offset < bytes.count {
        hash = mix(hash ^ UInt64(bytes[offset]))
        offset &+= 1
      }
      return hash
    }
  }
}
