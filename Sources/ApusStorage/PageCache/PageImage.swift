// One version of one page in memory: a header, then the page's bytes. An image that was committed never changes again.
//
//   offset  size  meaning
//        0     8  reference count (atomic: connections on several threads share images)
//        8     8  version: generation of the file's content << 32 | WAL frame, see FileCache
//       16     4  page number
//       20     4  byte count of the page
//       24    24  the shared cache's list and mark, under the cache's lock
//       48     8  what the allocator gave
//       56     8  free
//       64     -  the page
//
// `unsafe` lives here: images are raw memory with counted references, so that nothing on the way of a row is a class.

import ApusBase
import Synchronization

@unsafe
struct PageImageHeader: ~Copyable {
  let references = Atomic<Int>(1)
  var version: UInt64 = 0
  var number: UInt32
  var byteCount: UInt32
  var newer: UnsafeMutablePointer<PageImageHeader>?
  var older: UnsafeMutablePointer<PageImageHeader>?
  var wasVisited = false
  var isCached = false
  /// What the allocator gave.
  let block: UnsafeMutableRawPointer

  init(number: UInt32, byteCount: UInt32, block: UnsafeMutableRawPointer) {
    unsafe self.block = block
    unsafe self.number = number
    unsafe self.byteCount = byteCount
  }
}

/// A counted reference that is counted by hand: `retain` and `release` must balance.
@safe
struct PageImage: @unchecked Sendable, Equatable {
  static let headerByteCount = 64

  let header: UnsafeMutablePointer<PageImageHeader>

  @inline(__always)
  init(_ header: UnsafeMutablePointer<PageImageHeader>) { unsafe self.header = header }

  /// A new image with one reference; its bytes are undefined.
  static func allocate(_ number: UInt32, byteCount: Int) -> PageImage {
    precondition(unsafe MemoryLayout<PageImageHeader>.size <= headerByteCount)
    // Cache lines of their own: the kernel copies a page into other places up to twice as slowly. Aligned here, since
    // what the C library's aligned allocation frees is not found again by the next one.
    let alignment = 64
    let block = UnsafeMutableRawPointer.allocate(
      byteCount: headerByteCount + byteCount + alignment - 16, alignment: 16)
    let raw = unsafe block.alignedUp(toMultipleOf: alignment)
    let header = unsafe raw.bindMemory(to: PageImageHeader.self, capacity: 1)
    unsafe header.initialize(to: PageImageHeader(number: number, byteCount: UInt32(byteCount), block: block))
    return unsafe PageImage(header)
  }

  @inline(__always)
  var base: UnsafeMutableRawPointer { unsafe UnsafeMutableRawPointer(header) + PageImage.headerByteCount }

  @inline(__always)
  var number: UInt32 { unsafe header.pointee.number }

  @inline(__always)
  var byteCount: Int { unsafe Int(header.pointee.byteCount) }

  /// The whole page, reserved bytes included.
  var bytes: ByteView { unsafe ByteView(unchecked: UnsafeRawPointer(base), count: byteCount) }

  /// The whole page, to be filled before anybody else sees the image.
  var mutableBytes: MutableByteView { unsafe MutableByteView(unchecked: base, count: byteCount) }

  func retain() { _ = unsafe header.pointee.references.wrappingAdd(1, ordering: .relaxed) }

  func release() {
    let left = unsafe header.pointee.references.wrappingSubtract(1, ordering: .acquiringAndReleasing).newValue
    precondition(left >= 0)
    if left == 0 {
      #if PlantedBugs
        mutableBytes.fill(0, byteCount, with: PageImage.poison)
      #endif
      let block = unsafe header.pointee.block
      unsafe header.deinitialize(count: 1)
      unsafe block.deallocate()
    }
  }

  #if PlantedBugs
    /// What freed pages hold: who uses one after its end, the disk included, shows it.
    static let poison: UInt8 = 0xdb

    func poisonIfUnique() { if isUnique { mutableBytes.fill(0, byteCount, with: PageImage.poison) } }
  #endif

  /// True where nobody else holds the image.
  var isUnique: Bool { unsafe header.pointee.references.load(ordering: .acquiring) == 1 }

  static func == (left: PageImage, right: PageImage) -> Bool { unsafe left.header == right.header }
}
