// The write-ahead log as bytes. Source: https://sqlite.org/fileformat2.html#the_write_ahead_log
//
//   offset  size  file header (big-endian)               offset  size  frame header (big-endian), the page behind it
//        0     4  0x377f0682 | 1 for big-endian sums           0     4  page number
//        4     4  version 3007000                              4     4  pages in the database, 0 inside a transaction
//        8     4  page size                                    8     8  salts, as in the file header
//       12     4  checkpoint sequence                         16     8  checksum of all frames up to here: bytes 0..7
//       16     8  salts                                                 and the page, on top of the previous checksum
//       24     8  checksum of bytes 0..23
//
// `unsafe` lives here: the checksum's loop reads words behind one bounds check.

import ApusBase

struct WALChecksum: Equatable {
  var first: UInt32 = 0
  var second: UInt32 = 0

  /// Adds a multiple of eight bytes, as pairs of 32-bit words in the log's byte order.
  mutating func add(_ bytes: ByteView, isBigEndian: Bool) {
    precondition(bytes.count & 7 == 0)
    var s1 = first
    var s2 = second
    let words = unsafe bytes.unsafeBase
    var offset = 0
    if isBigEndian {
      while offset < bytes.count {
        unsafe s1 &+= UInt32(bigEndian: words.loadUnaligned(fromByteOffset: offset, as: UInt32.self)) &+ s2
        unsafe s2 &+= UInt32(bigEndian: words.loadUnaligned(fromByteOffset: offset &+ 4, as: UInt32.self)) &+ s1
        offset &+= 8
      }
    } else {
      while offset < bytes.count {
        unsafe s1 &+= UInt32(littleEndian: words.loadUnaligned(fromByteOffset: offset, as: UInt32.self)) &+ s2
        unsafe s2 &+= UInt32(littleEndian: words.loadUnaligned(fromByteOffset: offset &+ 4, as: UInt32.self)) &+ s1
        offset &+= 8
      }
    }
    first = s1
    second = s2
  }
}

enum WALFormat {
  static let headerByteCount = 32
  static let frameHeaderByteCount = 24
  static let magic: UInt32 = 0x377f_0682
  static let version: UInt32 = 3_007_000

  /// Where frame `number` (from 1 on) starts.
  static func frameOffset(_ number: UInt32, pageSize: Int) -> Int64 {
    Int64(headerByteCount) + Int64(number - 1) * Int64(frameHeaderByteCount + pageSize)
  }

  static func writeHeader(
    _ view: MutableByteView, pageSize: Int, sequence: UInt32, salts: UInt64, isBigEndian: Bool
  ) -> WALChecksum {
    view.setBigEndianUInt32(magic | (isBigEndian ? 1 : 0), at: 0)
    view.setBigEndianUInt32(version, at: 4)
    view.setBigEndianUInt32(UInt32(pageSize), at: 8)
    view.setBigEndianUInt32(sequence, at: 12)
    view.setBigEndianUInt64(salts, at: 16)
    var sum = WALChecksum()
    sum.add(view.readable.slice(0, 24), isBigEndian: isBigEndian)
    view.setBigEndianUInt32(sum.first, at: 24)
    view.setBigEndianUInt32(sum.second, at: 28)
    return sum
  }

  /// Nil where the header of a log's file is damaged.
  static func pageSize(of header: ByteView) -> Int? {
    guard header.count >= headerByteCount else { return nil }
    let number = header.bigEndianUInt32(at: 0), size = Int(header.bigEndianUInt32(at: 8))
    var sum = WALChecksum()
    sum.add(header.slice(0, 24), isBigEndian: number & 1 != 0)
    let isWhole = sum.first == header.bigEndianUInt32(at: 24) && sum.second == header.bigEndianUInt32(at: 28)
    return number & ~1 == magic && isWhole && DatabaseHeader.isPageSize(size) ? size : nil
  }

  /// Fills a frame's header and carries the running checksum on.
  static func writeFrameHeader(
    _ view: MutableByteView, page: ByteView, number: UInt32, commitPageCount: UInt32, salts: UInt64,
    isBigEndian: Bool, sum: inout WALChecksum
  ) {
    view.setBigEndianUInt32(number, at: 0)
    view.setBigEndianUInt32(commitPageCount, at: 4)
    view.setBigEndianUInt64(salts, at: 8)
    sum.add(view.readable.slice(0, 8), isBigEndian: isBigEndian)
    sum.add(page, isBigEndian: isBigEndian)
    view.setBigEndianUInt32(sum.first, at: 16)
    view.setBigEndianUInt32(sum.second, at: 20)
  }
}
