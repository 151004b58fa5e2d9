// Bounds-checked views of raw memory: the only way in which database bytes are read.
//
// A view does not own its memory. Whoever hands it out promises that the memory outlives the use: the page cache for as
// long as the page is pinned, the machine for as long as the register is not overwritten. Every access checks its
// bounds, in release builds too, so a wrong offset stops the program instead of reading a neighbour's bytes. Offsets
// that come from a file are checked by the caller first, with a thrown error.

/// A read-only, bounds-checked window on `count` bytes.
@safe
public struct ByteView: @unchecked Sendable {
  @usableFromInline let base: UnsafeRawPointer
  public let count: Int

  /// - Precondition: `base` points to at least `count` readable bytes for as long as the view is used.
  @unsafe
  @inlinable @inline(__always)
  public init(unchecked base: UnsafeRawPointer, count: Int) {
    precondition(count >= 0)
    unsafe self.base = base
    self.count = count
  }

  @unsafe
  @inlinable @inline(__always)
  public init(unchecked buffer: UnsafeRawBufferPointer) {
    unsafe self.base = buffer.baseAddress ?? ByteView.emptyBase
    self.count = buffer.count
  }

  /// The address of the first byte, for registers and system calls.
  @unsafe
  @inlinable @inline(__always)
  public var unsafeBase: UnsafeRawPointer { unsafe base }

  @unsafe
  @inlinable @inline(__always)
  public var unsafeBuffer: UnsafeRawBufferPointer { unsafe UnsafeRawBufferPointer(start: base, count: count) }

  @inlinable @inline(__always)
  public static var empty: ByteView { unsafe ByteView(unchecked: ByteView.emptyBase, count: 0) }

  // Never read: a view of no bytes needs some address that is not null.
  @unsafe
  @inlinable @inline(__always)
  static var emptyBase: UnsafeRawPointer { unsafe UnsafeRawPointer(bitPattern: 16).unsafelyUnwrapped }

  @inlinable @inline(__always)
  public subscript(offset: Int) -> UInt8 {
    precondition(UInt(bitPattern: offset) < UInt(bitPattern: count))
    return unsafe base.load(fromByteOffset: offset, as: UInt8.self)
  }

  @inlinable @inline(__always)
  public func bigEndianUInt16(at offset: Int) -> Int {
    precondition(offset >= 0 && offset <= count &- 2)
    return unsafe Int(UInt16(bigEndian: base.loadUnaligned(fromByteOffset: offset, as: UInt16.self)))
  }

  @inlinable @inline(__always)
  public func bigEndianUInt32(at offset: Int) -> UInt32 {
    precondition(offset >= 0 && offset <= count &- 4)
    return unsafe UInt32(bigEndian: base.loadUnaligned(fromByteOffset: offset, as: UInt32.self))
  }

  @inlinable @inline(__always)
  public func bigEndianUInt64(at offset: Int) -> UInt64 {
    precondition(offset >= 0 && offset <= count &- 8)
    return unsafe UInt64(bigEndian: base.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
  }

  @inlinable @inline(__always)
  public func littleEndianUInt32(at offset: Int) -> UInt32 {
    precondition(offset >= 0 && offset <= count &- 4)
    return unsafe UInt32(littleEndian: base.loadUnaligned(fromByteOffset: offset, as: UInt32.self))
  }

  /// The bytes from `offset` on, `length` of them.
  @inlinable @inline(__always)
  public func slice(_ offset: Int, _ length: Int) -> ByteView {
    precondition(offset >= 0 && length >= 0 && offset <= count &- length)
    return unsafe ByteView(unchecked: base + offset, count: length)
  }

  @inlinable @inline(__always)
  public func suffix(from offset: Int) -> ByteView { slice(offset, count &- offset) }

  /// Compares byte by byte as unsigned numbers, a prefix before what it is a prefix of: SQLite's BINARY order.
  /// - Returns: negative, zero or positive.
  @inlinable @inline(__always)
  public func compare(_ other: ByteView) -> Int {
    let shared = min(count, other.count)
    let order = unsafe shared == 0 ? 0 : memoryOrder(base, other.base, shared)
    return order != 0 ? order : count &- other.count
  }

  /// The bytes as a span, for callers of the public API.
  public func withSpan<R, E: Error>(_ body: (RawSpan) throws(E) -> R) throws(E) -> R {
    try unsafe body(RawSpan(_unsafeBytes: unsafeBuffer))
  }

  public func elementsEqual(_ other: ByteView) -> Bool { count == other.count && compare(other) == 0 }

  /// The bytes are the string's UTF-8: `string` has nothing repaired where it is so of that string. Never per row.
  public func isEqual(to string: String) -> Bool {
    var string = string
    return string.withUTF8 { unsafe elementsEqual(ByteView(unchecked: UnsafeRawBufferPointer($0))) }
  }

  /// A copy as an array; for messages, tests and the edges of the engine, never per row.
  public var array: [UInt8] { unsafe [UInt8](unsafeBuffer) }

  /// The bytes as a string, invalid UTF-8 repaired; for messages, tests and the edges of the engine, never per row.
  public var string: String { unsafe String(decoding: unsafeBuffer, as: UTF8.self) }
}

/// A writable, bounds-checked window on `count` bytes.
@safe
public struct MutableByteView: @unchecked Sendable {
  @usableFromInline let base: UnsafeMutableRawPointer
  public let count: Int

  @unsafe
  @inlinable @inline(__always)
  public init(unchecked base: UnsafeMutableRawPointer, count: Int) {
    precondition(count >= 0)
    unsafe self.base = base
    self.count = count
  }

  @unsafe
  @inlinable @inline(__always)
  public init(unchecked buffer: UnsafeMutableRawBufferPointer) {
    unsafe self.base = buffer.baseAddress ?? UnsafeMutableRawPointer(mutating: ByteView.emptyBase)
    self.count = buffer.count
  }

  @unsafe
  @inlinable @inline(__always)
  public var unsafeBase: UnsafeMutableRawPointer { unsafe base }

  @unsafe
  @inlinable @inline(__always)
  public var unsafeBuffer: UnsafeMutableRawBufferPointer {
    unsafe UnsafeMutableRawBufferPointer(start: base, count: count)
  }

  @inlinable @inline(__always)
  public var readable: ByteView { unsafe ByteView(unchecked: UnsafeRawPointer(base), count: count) }

  @inlinable @inline(__always)
  public subscript(offset: Int) -> UInt8 {
    get {
      precondition(UInt(bitPattern: offset) < UInt(bitPattern: count))
      return unsafe base.load(fromByteOffset: offset, as: UInt8.self)
    }
    nonmutating set {
      precondition(UInt(bitPattern: offset) < UInt(bitPattern: count))
      unsafe base.storeBytes(of: newValue, toByteOffset: offset, as: UInt8.self)
    }
  }

  @inlinable @inline(__always)
  public func setBigEndianUInt16(_ value: Int, at offset: Int) {
    precondition(offset >= 0 && offset <= count &- 2)
    unsafe base.storeBytes(of: UInt16(truncatingIfNeeded: value).bigEndian, toByteOffset: offset, as: UInt16.self)
  }

  @inlinable @inline(__always)
  public func setBigEndianUInt32(_ value: UInt32, at offset: Int) {
    precondition(offset >= 0 && offset <= count &- 4)
    unsafe base.storeBytes(of: value.bigEndian, toByteOffset: offset, as: UInt32.self)
  }

  @inlinable @inline(__always)
  public func setBigEndianUInt64(_ value: UInt64, at offset: Int) {
    precondition(offset >= 0 && offset <= count &- 8)
    unsafe base.storeBytes(of: value.bigEndian, toByteOffset: offset, as: UInt64.self)
  }

  @inlinable @inline(__always)
  public func setLittleEndianUInt32(_ value: UInt32, at offset: Int) {
    precondition(offset >= 0 && offset <= count &- 4)
    unsafe base.storeBytes(of: value.littleEndian, toByteOffset: offset, as: UInt32.self)
  }

  /// Copies `source` to `offset`; the two may overlap.
  @inlinable @inline(__always)
  public func copy(_ source: ByteView, to offset: Int) {
    precondition(offset >= 0 && offset <= count &- source.count)
    unsafe (base + offset).copyMemory(from: source.base, byteCount: source.count)
  }

  /// Moves `length` bytes inside the view; the ranges may overlap.
  @inlinable @inline(__always)
  public func move(from source: Int, to target: Int, length: Int) {
    precondition(length >= 0 && source >= 0 && target >= 0)
    precondition(source <= count &- length && target <= count &- length)
    unsafe (base + target).copyMemory(from: base + source, byteCount: length)
  }

  @inlinable @inline(__always)
  public func fill(_ offset: Int, _ length: Int, with byte: UInt8 = 0) {
    precondition(length >= 0 && offset >= 0 && offset <= count &- length)
    unsafe (base + offset).initializeMemory(as: UInt8.self, repeating: byte, count: length)
  }

  @inlinable @inline(__always)
  public func slice(_ offset: Int, _ length: Int) -> MutableByteView {
    precondition(offset >= 0 && length >= 0 && offset <= count &- length)
    return unsafe MutableByteView(unchecked: base + offset, count: length)
  }
}

/// `memcmp` without importing the C library into every client.
@unsafe
@inlinable @inline(__always)
func memoryOrder(_ left: UnsafeRawPointer, _ right: UnsafeRawPointer, _ count: Int) -> Int {
  var offset = 0
  if count >= 8 {
    while true {
      let a = unsafe left.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
      let b = unsafe right.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
      if a != b { return a.bigEndian < b.bigEndian ? -1 : 1 }
      // The last word reaches back over bytes that are known to be equal.
      if offset == count &- 8 { return 0 }
      offset = min(offset &+ 8, count &- 8)
    }
  }
  while offset < count {
    let a = unsafe left.load(fromByteOffset: offset, as: UInt8.self)
    let b = unsafe right.load(fromByteOffset: offset, as: UInt8.self)
    if a != b { return Int(a) &- Int(b) }
    offset &+= 1
  }
  return 0
}
