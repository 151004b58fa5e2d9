// The 100 bytes at the start of page 1. Source: https://sqlite.org/fileformat2.html#the_database_header
//
//   offset  size  meaning (big-endian)
//        0    16  "SQLite format 3\0"
//       16     2  page size, 1 meaning 65536
//       18     1  write version: 1 rollback journal, 2 WAL
//       19     1  read version
//       20     1  reserved bytes at the end of each page
//       21     3  payload fractions 64, 32, 32
//       24     4  change counter
//       28     4  pages in the file; valid where 92 equals 24
//       32     4  first freelist trunk page
//       36     4  freelist pages
//       40    60  the meta values 1 to 15: schema cookie, schema format, cache size, largest root (auto_vacuum), text
//                 encoding, user version, incremental vacuum, application id, 20 unused, 92 version-valid-for,
//                 96 SQLite's version number

import ApusBase

enum DatabaseHeader {
  static let byteCount = 100
  /// "SQLite f", "ormat 3\0".
  static let magic: (UInt64, UInt64) = (0x5351_4c69_7465_2066, 0x6f72_6d61_7420_3300)

  /// SQLite's most pages of a database: the number behind them stands for none.
  static let pageCountMax: UInt32 = 0xffff_fffe

  static let pageSizeOffset = 16
  static let writeVersionOffset = 18
  static let readVersionOffset = 19
  static let reservedOffset = 20
  static let changeCounterOffset = 24
  static let pageCountOffset = 28
  static let freelistTrunkOffset = 32
  static let freelistCountOffset = 36
  static let schemaCookieOffset = 40
  static let largestRootOffset = 52
  static let incrementalOffset = 64
  static let versionValidForOffset = 92
  static let libraryVersionOffset = 96

  /// What writers put at offset 96: the SQLite release whose format this engine follows.
  static let libraryVersion: UInt32 = 3_054_001

  static func isPageSize(_ size: Int) -> Bool { size >= 512 && size <= 65536 && size & (size - 1) == 0 }

  /// Fills a zeroed page 1 of an empty database: the header and an empty leaf of the schema table.
  static func initialize(_ page: MutableByteView, pageSize: Int, reserved: Int, isWAL: Bool) {
    page.fill(0, page.count)
    page.setBigEndianUInt64(magic.0, at: 0)
    page.setBigEndianUInt64(magic.1, at: 8)
    page.setBigEndianUInt16(pageSize == 65536 ? 1 : pageSize, at: pageSizeOffset)
    page[writeVersionOffset] = isWAL ? 2 : 1
    page[readVersionOffset] = isWAL ? 2 : 1
    page[reservedOffset] = UInt8(reserved)
    page[21] = 64
    page[22] = 32
    page[23] = 32
    page.setBigEndianUInt32(1, at: pageCountOffset)
    page[100] = 13
    // Where the cell content starts; 0 means 65536.
    page.setBigEndianUInt16((pageSize - reserved) & 0xffff, at: 105)
  }

  /// A header that readers accept: its magic, page size and fractions, and a version of the format that they know.
  static func isSound(_ header: ByteView) -> Bool {
    guard header.count >= byteCount, hasMagic(header) else { return false }
    let rawPageSize = header.bigEndianUInt16(at: pageSizeOffset), pageSize = rawPageSize == 1 ? 65536 : rawPageSize
    return isPageSize(pageSize) && pageSize - Int(header[reservedOffset]) >= 480 && header[21] == 64 && header[22] == 32
      && header[23] == 32 && header[readVersionOffset] <= 2
  }

  static func hasMagic(_ bytes: ByteView) -> Bool {
    bytes.bigEndianUInt64(at: 0) == magic.0 && bytes.bigEndianUInt64(at: 8) == magic.1
  }
}
