// A cell that is about to be written: the head of a record, and where the rest of it is.

import ApusBase

extension MutableByteView {
  /// As `setVarint`, with the usual short numbers in line.
  @inline(__always)
  func setQuickVarint(_ value: UInt64, at offset: Int) -> Int {
    if value < 0x80 {
      self[offset] = UInt8(truncatingIfNeeded: value)
      return offset &+ 1
    }
    if value < 0x4000 {
      setBigEndianUInt16(Int(truncatingIfNeeded: (value & 0x3f80) << 1 | value & 0x7f | 0x8000), at: offset)
      return offset &+ 2
    }
    if value < 0x20_0000 {
      setBigEndianUInt16(Int(truncatingIfNeeded: (value & 0x1f_c000) >> 6 | (value & 0x3f80) >> 7 | 0x8080), at: offset)
      self[offset &+ 2] = UInt8(truncatingIfNeeded: value & 0x7f)
      return offset &+ 3
    }
    return setVarint(value, at: offset)
  }
}

struct NewCell {
  /// The whole record; `localBytes` of it go into the cell.
  let record: ByteView
  let rowid: Int64
  let isTable: Bool
  let localBytes: Int
  /// First page of the overflow chain; none where the record fits.
  let overflowHead: PageNumber
  /// What the cell takes in a leaf, without padding.
  let byteCount: Int

  @inline(__always)
  init(record: ByteView, rowid: Int64, isTable: Bool, overflowHead: PageNumber, _ geometry: TreeGeometry) {
    self.record = record
    self.rowid = rowid
    self.isTable = isTable
    self.overflowHead = overflowHead
    localBytes = geometry.localBytes(payload: record.count, isTable: isTable)
    var size = Varint.byteCount(UInt64(record.count)) &+ localBytes
    if isTable { size &+= Varint.byteCount(UInt64(bitPattern: rowid)) }
    if localBytes < record.count { size &+= 4 }
    byteCount = size
  }

  /// What the cell takes in a leaf.
  @inline(__always)
  var spaceBytes: Int { max(byteCount, TreeGeometry.cellBytesMin) }

  @inline(__always)
  func write(to bytes: MutableByteView, at offset: Int) {
    var position = bytes.setQuickVarint(UInt64(record.count), at: offset)
    if isTable { position = bytes.setQuickVarint(UInt64(bitPattern: rowid), at: position) }
    bytes.copy(record.slice(0, localBytes), to: position)
    position &+= localBytes
    if localBytes < record.count {
      bytes.setBigEndianUInt32(overflowHead.rawValue, at: position)
      position &+= 4
    }
    // A cell of three bytes takes four.
    while position < offset &+ TreeGeometry.cellBytesMin {
      bytes[position] = 0
      position &+= 1
    }
  }
}
