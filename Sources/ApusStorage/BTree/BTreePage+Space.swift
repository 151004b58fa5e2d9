// Room on a page: the gap between the cell pointers and the content area, the freeblocks, the fragments.
//
// A freeblock has its successor's offset in bytes 0 and 1 and its size in bytes 2 and 3; the list ascends, and two
// freeblocks are at least four bytes apart. Fewer than four free bytes between cells are a fragment.
//
// What can be wrong on the page is checked before its first byte changes.

import ApusBase

struct FreeSpace {
  /// Gap, freeblocks and fragments.
  var total: Int
  /// Between the cell pointers and the content area.
  var gap: Int
  var contentStart: Int
}

extension BTreePage {
  @inline(__always)
  var contentStart: Int {
    let start = bytes.bigEndianUInt16(at: headerStart &+ 5)
    return start == 0 ? 65536 : start
  }

  /// Bytes for cells and their pointers on a page of this kind.
  var capacity: Int { bytes.count - pointersStart }

  @inline(__always)
  func gap() throws(Fault) -> Int {
    let start = contentStart
    guard start >= pointersEnd, start <= bytes.count else { throw Fault.corrupt(number, "content area out of range") }
    return start &- pointersEnd
  }

  /// Walks the freeblocks and checks them.
  func freeSpace() throws(Fault) -> FreeSpace {
    let gap = try gap()
    let start = contentStart
    var total = gap + Int(bytes[headerStart + 7])
    var block = bytes.bigEndianUInt16(at: headerStart + 1)
    if block != 0, block < start { throw Fault.corrupt(number, "freeblock outside the content area") }
    while block != 0 {
      guard block <= bytes.count - 4 else { throw Fault.corrupt(number, "freeblock outside the page") }
      let next = bytes.bigEndianUInt16(at: block)
      let size = bytes.bigEndianUInt16(at: block + 2)
      guard size >= 4, block + size <= bytes.count, next == 0 || next > block + size + 3 else {
        throw Fault.corrupt(number, "freeblock out of order")
      }
      total += size
      block = next
    }
    guard total <= bytes.count - pointersEnd else { throw Fault.corrupt(number, "more free space than the page has") }
    return FreeSpace(total: total, gap: gap, contentStart: start)
  }

  /// A freeblock that takes `size` bytes without leaving too many fragments, and what points to it.
  func findFreeblock(_ size: Int) -> (pointer: Int, block: Int)? {
    var pointer = headerStart + 1
    var block = bytes.bigEndianUInt16(at: pointer)
    while block != 0 {
      let rest = bytes.bigEndianUInt16(at: block + 2) - size
      // A page is rearranged before its fragments exceed 60 bytes.
      if rest >= 4 || (rest >= 0 && Int(bytes[headerStart + 7]) + rest <= 57) { return (pointer, block) }
      pointer = block
      block = bytes.bigEndianUInt16(at: block)
    }
    return nil
  }

}

/// Changes one page. The caller has checked that there is room.
struct PageEditor {
  let bytes: MutableByteView
  let headerStart: Int
  let pointersStart: Int

  @inline(__always)
  init(_ page: Page, like old: BTreePage) {
    bytes = page.mutableBytes
    headerStart = old.headerStart
    pointersStart = old.pointersStart
  }

  @inline(__always)
  private func number(at offset: Int) -> Int { bytes.readable.bigEndianUInt16(at: offset) }

  @inline(__always)
  var cellCount: Int { number(at: headerStart &+ 3) }

  @inline(__always)
  var contentStart: Int {
    let start = number(at: headerStart &+ 5)
    return start == 0 ? 65536 : start
  }

  /// Takes `size` bytes from the gap.
  @inline(__always)
  func takeFromGap(_ size: Int) -> Int {
    let start = contentStart &- size
    bytes.setBigEndianUInt16(start, at: headerStart &+ 5)
    return start
  }

  /// Takes `size` bytes of a freeblock, from its end.
  func takeFreeblock(_ found: (pointer: Int, block: Int), _ size: Int) -> Int {
    let rest = number(at: found.block + 2) - size
    if rest < 4 {
      bytes.setBigEndianUInt16(number(at: found.block), at: found.pointer)
      #if PlantedBugs
        if PlantedBug.isActive(.forgetFragments) { return found.block }
      #endif
      bytes[headerStart + 7] += UInt8(truncatingIfNeeded: rest)
      return found.block
    }
    bytes.setBigEndianUInt16(rest, at: found.block + 2)
    return found.block + rest
  }

  /// Puts a cell pointer at `index`.
  @inline(__always)
  func insertPointer(_ index: Int, to offset: Int) {
    let count = cellCount
    let place = pointersStart &+ 2 &* index
    if index < count { bytes.move(from: place, to: place &+ 2, length: 2 &* (count &- index)) }
    bytes.setBigEndianUInt16(offset, at: place)
    bytes.setBigEndianUInt16(count &+ 1, at: headerStart &+ 3)
  }

  func setPointer(_ index: Int, to offset: Int) {
    bytes.setBigEndianUInt16(offset, at: pointersStart + 2 * index)
  }

  func removePointer(_ index: Int) {
    let count = cellCount
    let place = pointersStart + 2 * index
    bytes.move(from: place + 2, to: place, length: 2 * (count - index - 1))
    bytes.setBigEndianUInt16(count - 1, at: headerStart + 3)
    if count == 1 {
      // Nothing is left: one gap.
      bytes.setBigEndianUInt16(0, at: headerStart + 1)
      bytes.setBigEndianUInt16(bytes.count, at: headerStart + 5)
      bytes[headerStart + 7] = 0
    }
  }

  /// Gives a cell's bytes back: a freeblock, joined with its neighbours, or more gap.
  /// - Precondition: `page.checkRelease` agreed.
  func release(_ offset: Int, _ size: Int) {
    var pointer = headerStart + 1
    var block = number(at: pointer)
    while block != 0, block < offset {
      pointer = block
      block = number(at: block)
    }
    var start = offset
    var end = offset + size
    var next = block
    var fragments = 0
    if block != 0, end + 3 >= block {
      fragments = block - end
      end = block + number(at: block + 2)
      next = number(at: block)
    }
    if pointer > headerStart + 1 {
      let previousEnd = pointer + number(at: pointer + 2)
      if previousEnd + 3 >= start {
        fragments += start - previousEnd
        start = pointer
      }
    }
    #if PlantedBugs
      if PlantedBug.isActive(.freeblockCoalesceOffByOne), start != offset { end += 1 }
    #endif
    bytes[headerStart + 7] -= UInt8(truncatingIfNeeded: fragments)
    if start <= contentStart {
      bytes.setBigEndianUInt16(next, at: headerStart + 1)
      bytes.setBigEndianUInt16(end, at: headerStart + 5)
    } else {
      if start == offset { bytes.setBigEndianUInt16(start, at: pointer) }
      bytes.setBigEndianUInt16(next, at: start)
      bytes.setBigEndianUInt16(end - start, at: start + 2)
    }
  }
}

extension BTreePage {
  /// Checks that `PageEditor.release` can give a cell's bytes back: the freeblocks are in order, none overlaps the cell, the
  /// fragments add up.
  /// - Returns: the page's free bytes so far.
  @discardableResult
  func checkRelease(_ offset: Int, _ size: Int) throws(Fault) -> Int {
    let start = contentStart
    let end = offset &+ size
    let fragmentBytes = Int(bytes[headerStart &+ 7])
    var total = try gap() &+ fragmentBytes
    var block = bytes.bigEndianUInt16(at: headerStart &+ 1)
    var isSound = offset >= start && end <= bytes.count && (block == 0 || block >= start)
    var fragments = 0
    var isBehind = false
    while block != 0 {
      guard block <= bytes.count &- 4 else { throw Fault.corrupt(number, "freeblock outside the page") }
      let word = bytes.bigEndianUInt32(at: block)
      let next = Int(word >> 16)
      let length = Int(word & 0xffff)
      guard length >= 4, block &+ length <= bytes.count, next == 0 || next > block &+ length &+ 3 else {
        throw Fault.corrupt(number, "freeblock out of order")
      }
      total &+= length
      if block < offset {
        // Only the last one before the cell can be its neighbour.
        if next == 0 || next >= offset {
          if block &+ length > offset || block == start { isSound = false }
          if block &+ length &+ 3 >= offset { fragments &+= offset &- block &- length }
        }
      } else if !isBehind {
        isBehind = true
        if end > block { isSound = false }
        if end &+ 3 >= block { fragments &+= block &- end }
      }
      block = next
    }
    guard total <= bytes.count &- pointersEnd else { throw Fault.corrupt(number, "more free space than the page has") }
    guard isSound, fragments <= fragmentBytes else { throw Fault.corrupt(number, "cell overlaps free space") }
    return total
  }
}
