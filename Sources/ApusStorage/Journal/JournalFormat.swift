// The rollback journal as bytes. Source: https://sqlite.org/fileformat2.html#the_rollback_journal
//
//   offset  size  header, padded to a sector (big-endian)      record
//        0     8  d9 d5 05 f9 20 a1 63 d7                       page number (4)
//        8     4  records behind it, 0xffffffff: up to the end  original page
//       12     4  nonce of the checksums                        checksum (4): nonce + every 200th byte from the end
//       16     4  pages of the database before
//       20     4  sector size
//       24     4  page size
//
// A spilled transaction has several headers, each at a sector's start. A transaction over several files ends with the
// name of its super-journal: lock-byte page number, name, length, sum of its bytes, magic.

import ApusBase

enum JournalFormat {
  static let magic: UInt64 = 0xd9d5_05f9_20a1_63d7
  static let headerByteCount = 28
  /// What writers use: a power cut does not damage bytes next to those being written (SQLite's "powersafe overwrite").
  static let sectorByteCount = 512

  struct Header {
    var recordCount: UInt32
    var nonce: UInt32
    var pageCount: UInt32
    var sectorByteCount: Int
    var pageSize: Int
  }

  static func write(_ header: Header, to view: MutableByteView) {
    view.setBigEndianUInt64(magic, at: 0)
    view.setBigEndianUInt32(header.recordCount, at: 8)
    view.setBigEndianUInt32(header.nonce, at: 12)
    view.setBigEndianUInt32(header.pageCount, at: 16)
    view.setBigEndianUInt32(UInt32(header.sectorByteCount), at: 20)
    view.setBigEndianUInt32(UInt32(header.pageSize), at: 24)
  }

  /// nil where there is no journal header.
  static func read(_ view: ByteView) -> Header? {
    guard view.count >= headerByteCount, view.bigEndianUInt64(at: 0) == magic else { return nil }
    let sector = Int(view.bigEndianUInt32(at: 20))
    let pageSize = Int(view.bigEndianUInt32(at: 24))
    guard DatabaseHeader.isPageSize(pageSize), sector >= 32, sector <= 65536, sector & (sector - 1) == 0 else {
      return nil
    }
    return Header(
      recordCount: view.bigEndianUInt32(at: 8), nonce: view.bigEndianUInt32(at: 12),
      pageCount: view.bigEndianUInt32(at: 16), sectorByteCount: sector, pageSize: pageSize)
  }

  static func recordByteCount(_ pageSize: Int) -> Int { pageSize + 8 }

  static func checksum(_ page: ByteView, nonce: UInt32) -> UInt32 {
    var sum = nonce
    var offset = page.count - 200
    while offset > 0 {
      sum &+= UInt32(page[offset])
      offset -= 200
    }
    return sum
  }
}
