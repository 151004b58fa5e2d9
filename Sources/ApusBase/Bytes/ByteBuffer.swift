// A growable run of bytes with one owner: records under construction, function results, spilled values.
// It grows by doubling, never shrinks by itself, and is freed with its owner. `unsafe` lives here.

@safe
public struct ByteBuffer: ~Copyable, @unchecked Sendable {
  @usableFromInline var base: UnsafeMutableRawPointer?
  @usableFromInline var length: Int
  @usableFromInline var room: Int

  @inlinable
  public init() {
    unsafe base = nil
    length = 0
    room = 0
  }

  public init(capacity: Int) {
    self.init()
    reserve(capacity)
  }

  deinit { unsafe base?.deallocate() }

  @inlinable @inline(__always)
  public var count: Int { length }

  @inlinable @inline(__always)
  public var capacity: Int { room }

  /// Valid until the next call that grows or frees the buffer.
  @inlinable @inline(__always)
  public var bytes: ByteView {
    unsafe base == nil ? .empty : ByteView(unchecked: UnsafeRawPointer(base!), count: length)
  }

  /// Valid until the next call that grows or frees the buffer.
  @inlinable @inline(__always)
  public var mutableBytes: MutableByteView {
    mutating get {
      if unsafe base == nil { reserve(16) }
      return unsafe MutableByteView(unchecked: base!, count: length)
    }
  }

  /// Makes room for `capacity` bytes in all; keeps what is there.
  @inlinable @inline(__always)
  public mutating func reserve(_ capacity: Int) {
    if capacity > room { grow(to: capacity) }
  }

  @usableFromInline
  mutating func grow(to capacity: Int) {
    let newRoom = max(capacity, room &* 2, 64)
    let grown = UnsafeMutableRawPointer.allocate(byteCount: newRoom, alignment: 16)
    if let old = unsafe base {
      unsafe grown.copyMemory(from: old, byteCount: length)
      unsafe old.deallocate()
    }
    unsafe base = grown
    room = newRoom
  }

  /// Sets the length; bytes past the old length are undefined until written.
  @inlinable @inline(__always)
  public mutating func resize(to count: Int) {
    precondition(count >= 0)
    reserve(count)
    length = count
  }

  @inlinable @inline(__always)
  public mutating func removeAll() { length = 0 }

  @inlinable @inline(__always)
  public mutating func append(_ byte: UInt8) {
    if length == room { grow(to: length &+ 1) }
    unsafe base!.storeBytes(of: byte, toByteOffset: length, as: UInt8.self)
    length &+= 1
  }

  /// Appends `view`, which must not lie inside this buffer.
  @inlinable @inline(__always)
  public mutating func append(_ view: ByteView) {
    if view.count == 0 { return }
    reserve(length &+ view.count)
    unsafe (base! + length).copyMemory(from: view.unsafeBase, byteCount: view.count)
    length &+= view.count
  }

  public mutating func append(_ text: StaticString) {
    if text.hasPointerRepresentation {
      unsafe append(ByteView(unchecked: UnsafeRawPointer(text.utf8Start), count: text.utf8CodeUnitCount))
    } else {
      append(contentsOf: "\(text)")
    }
  }

  /// Appends a string's UTF-8; for messages and the edges of the engine, never per row.
  public mutating func append(contentsOf text: String) {
    var text = text
    text.withUTF8 { unsafe append(ByteView(unchecked: UnsafeRawBufferPointer($0))) }
  }
}
