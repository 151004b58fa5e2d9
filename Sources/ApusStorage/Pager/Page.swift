// A handle on a page image: trivial bytes, valid until the connection's next operation or as long as it is pinned.
// `unsafe` lives here.

import ApusBase

@safe
public struct Page: @unchecked Sendable {
  let slot: SlotPointer
  let base: UnsafeMutableRawPointer
  let byteCount: UInt32
  let numberValue: UInt32
  /// True for what `writable` and `allocate` return: the bytes may be changed until the next operation starts.
  public let isWritable: Bool

  @inline(__always)
  init(_ slot: SlotPointer, byteCount: Int, isWritable: Bool) {
    unsafe self.slot = slot
    unsafe base = slot.pointee.image.base
    self.byteCount = UInt32(truncatingIfNeeded: byteCount)
    unsafe numberValue = slot.pointee.number
    self.isWritable = isWritable
  }

  @inline(__always)
  public var number: PageNumber { PageNumber(numberValue) }

  /// The usable bytes: page size less the reserved ones.
  @inline(__always)
  public var bytes: ByteView { unsafe ByteView(unchecked: UnsafeRawPointer(base), count: Int(byteCount)) }

  /// - Precondition: `isWritable`.
  @inline(__always)
  public var mutableBytes: MutableByteView {
    precondition(isWritable)
    return unsafe MutableByteView(unchecked: base, count: Int(byteCount))
  }
}
