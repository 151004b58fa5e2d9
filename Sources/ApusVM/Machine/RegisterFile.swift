// The machine's registers: values side by side, and beside each value a buffer that its text or blob may live in.
//
// A value's bytes lie in one of four places, told by its flags:
//
//   flag      the bytes lie in                                   valid
//   (none)    the program's constants, the statement's parameters  as long as the statement runs
//   owned     this register's own buffer                           until the register is written
//   borrowed  a page that a cursor pins, or a cursor's own buffer  until that cursor moves
//   shared    another register's buffer                            until that register is written
//
// Buffers keep their memory between rows, so that rows cost no allocation. `unsafe` lives here. Register numbers come from
// a program that `ProgramBuilder` allocated them for, so they are checked in debug builds only.

import ApusBase

enum RegisterFlag {
  static let owned: UInt16 = 1
  static let borrowed: UInt16 = 2
  static let shared: UInt16 = 4
  /// A NULL that equals nothing.
  static let cleared: UInt16 = 8
  /// The integer is the number of an aggregate's or a row set's slot.
  static let handle: UInt16 = 16
  /// A real that stands as an integer while a record is made of it.
  static let compacted: UInt16 = 32
}

@safe
struct RegisterFile {
  private let values: UnsafeMutablePointer<Value>
  private let buffers: UnsafeMutablePointer<ByteBuffer>
  let count: Int

  init(count: Int) {
    self.count = count
    unsafe values = UnsafeMutablePointer<Value>.allocate(capacity: count + 1)
    unsafe values.initialize(repeating: .null, count: count + 1)
    unsafe buffers = UnsafeMutablePointer<ByteBuffer>.allocate(capacity: count + 1)
    for index in 0...count { unsafe (buffers + index).initialize(to: ByteBuffer()) }
  }

  func destroy() {
    unsafe values.deallocate()
    unsafe buffers.deinitialize(count: count + 1)
    unsafe buffers.deallocate()
  }

  func clear() {
    for index in 0...count { unsafe values[index] = .null }
  }

  /// Bytes that the registers' buffers have room for.
  var bufferByteCount: Int {
    var total = 0
    for index in 0...count { unsafe total += buffers[index].capacity }
    return total
  }

  /// Gives the buffers back. No register may hold bytes.
  func freeBuffers() {
    for index in 0...count where unsafe buffers[index].capacity > 0 { unsafe buffers[index] = ByteBuffer() }
  }

  @inline(__always)
  subscript(register: Int32) -> Value {
    get {
      assert(register >= 0 && register <= count)
      return unsafe values[Int(register)]
    }
    nonmutating set {
      assert(register >= 0 && register <= count)
      unsafe values[Int(register)] = newValue
    }
  }

  @inline(__always)
  subscript(buffer register: Int32) -> ByteBuffer {
    _read {
      assert(register >= 0 && register <= count)
      yield unsafe buffers[Int(register)]
    }
    nonmutating _modify {
      assert(register >= 0 && register <= count)
      yield unsafe &buffers[Int(register)]
    }
  }

  @unsafe
  @inline(__always)
  func pointer(_ register: Int32) -> UnsafeMutablePointer<Value> {
    assert(register >= 0 && register <= count)
    return unsafe values + Int(register)
  }

  @inline(__always)
  func range(_ first: Int32, _ length: Int) -> ValueRange {
    assert(first >= 0 && length >= 0 && Int(first) + length <= count + 1)
    return unsafe ValueRange(unchecked: UnsafePointer(values + Int(first)), count: length)
  }

  /// Stores a value whose bytes, if it has any, live as long as the statement runs.
  @inline(__always)
  func setStable(_ register: Int32, _ value: Value) { self[register] = value }

  /// Stores a copy of `value`, bytes included. They must not lie in this register's own buffer, except all of it.
  @inline(__always)
  func setCopy(_ register: Int32, _ value: Value) {
    if value.hasBytes { copyBytes(register, value) } else { self[register] = value }
  }

  @inline(never)
  func copyBytes(_ register: Int32, _ value: Value) {
    let bytes = value.bytes
    var copy: Value
    if unsafe bytes.count > 0 && bytes.unsafeBase == buffers[Int(register)].bytes.unsafeBase {
      copy = value
    } else {
      unsafe buffers[Int(register)].removeAll()
      unsafe buffers[Int(register)].append(bytes)
      copy = unsafe value.relocated(to: buffers[Int(register)].bytes)
    }
    copy.flags = RegisterFlag.owned
    self[register] = copy
  }

  /// The value's bytes come to lie in the register's own buffer, unless they live as long as the statement.
  @inline(__always)
  func own(_ register: Int32) {
    let value = self[register]
    if value.flags & (RegisterFlag.borrowed | RegisterFlag.shared) != 0, value.hasBytes { copyBytes(register, value) }
  }

  /// The register takes the bytes of `buffer` over as text or blob; `buffer` gets the register's old memory.
  func adopt(_ register: Int32, _ kind: Value.Kind, _ buffer: inout ByteBuffer) {
    unsafe swap(&buffers[Int(register)], &buffer)
    let bytes = unsafe buffers[Int(register)].bytes
    var value: Value = kind == .text ? .text(bytes) : .blob(bytes)
    value.flags = RegisterFlag.owned
    self[register] = value
  }

  /// Moves a value and its bytes; the source becomes NULL.
  func move(from source: Int32, to target: Int32) {
    if source == target { return }
    let value = self[source]
    if value.flags & RegisterFlag.owned != 0 {
      unsafe swap(&buffers[Int(source)], &buffers[Int(target)])
      self[target] = value
    } else if value.flags & (RegisterFlag.borrowed | RegisterFlag.shared) != 0 {
      setCopy(target, value)
    } else {
      self[target] = value
    }
    self[source] = .null
  }

  func copy(from source: Int32, to target: Int32) {
    let value = self[source]
    if value.hasBytes, value.flags & (RegisterFlag.owned | RegisterFlag.borrowed | RegisterFlag.shared) != 0 {
      copyBytes(target, value)
    } else {
      self[target] = value
    }
  }

  /// Every borrowed value takes a copy of its bytes: before another statement changes the pages under this one.
  func ownAll() {
    for index in 1..<max(Int32(count) + 1, 1) where self[index].flags & RegisterFlag.borrowed != 0 { own(index) }
  }
}
