// An archive file: Zstandard frames, a record of ours, a seek table. `zstd -d` makes of it what was put in.
//
//   frames           each of 256 KiB of content (the last one of less), with zstd's own checksum
//   skippable frame  0x184d2a5d, byte count, "apus arc", then the fields of `ArchiveRecord`, little-endian, 8 bytes each
//   skippable frame  0x184d2a5e, byte count: the seek table
//     per frame      compressed bytes (4), content bytes (4), low half of the content's XXH64 (4); one for the record, too
//     footer         number of frames (4), 0x80 (1), 0x8f92eab1 (4)
//
// Source of the seek table: https://github.com/facebook/zstd/blob/dev/contrib/seekable_format/zstd_seekable_compression_format.md
//
// The content of a base is a database file; that of a segment is commits: per frame of the log the page number (4, big-endian), the
// pages of the database where it commits, else 0 (4), and the page.

import ApusBase

enum ArchiveFormat {
  static let chunkByteCount = 256 << 10
  static let recordMagic: UInt32 = 0x184d_2a5d
  static let tableMagic: UInt32 = 0x184d_2a5e
  static let footerMagic: UInt32 = 0x8f92_eab1
  static let footerByteCount = 9
  static let entryByteCount = 12
  static let name: UInt64 = 0x6372_6120_7375_7061  // "apus arc"
  /// Frames of one file: the format's limit.
  static let frameCountMax = 0x800_0000
}

/// What an archive file says of itself. Everything it holds is under `digest`, the next file of its chain repeats that.
struct ArchiveRecord: Equatable {
  enum Kind: UInt64 { case base = 1, segment = 2 }

  var kind = Kind.base
  /// The chain that it belongs to; 0 for a backup that stands alone.
  var archive: UInt64 = 0
  /// Its place in the chain, from 1 on.
  var ordinal: UInt64 = 0
  /// The digest of the file before it.
  var previous: UInt64 = 0
  /// The commits that it holds; for a base the one whose state it is, twice.
  var firstCommit: UInt64 = 0
  var lastCommit: UInt64 = 0
  var pageSize: UInt64 = 0
  /// Pages of the database after its last commit.
  var pageCount: UInt64 = 0
  // Where it ends in the database's log: salts, frame, checksum.
  var salts: UInt64 = 0
  var frame: UInt64 = 0
  var checksum: UInt64 = 0
  /// Milliseconds since 1970.
  var time: UInt64 = 0
  var contentByteCount: UInt64 = 0
  /// XXH64 of the XXH64s of the chunks, in order.
  var contentHash: UInt64 = 0

  /// Above what any number of files or commits can reach; below it sums and conversions cannot overflow.
  static let countMax: UInt64 = 1 << 62
  /// Most pages of a database. Source: https://sqlite.org/limits.html#max_page_count
  static let pageCountMax: UInt64 = 0xffff_fffe

  static let fieldCount = 15
  /// Name, fields, digest.
  static let byteCount = 8 * (fieldCount + 1)

  private var fields: [UInt64] {
    [
      ArchiveFormat.name, kind.rawValue, archive, ordinal, previous, firstCommit, lastCommit, pageSize, pageCount, salts, frame,
      checksum, time, contentByteCount, contentHash,
    ]
  }

  var digest: UInt64 {
    var bytes = ByteBuffer(capacity: ArchiveRecord.byteCount)
    for field in fields { bytes.appendLittleEndian(field) }
    return XXHash64.hash(bytes.bytes, seed: ArchiveFormat.name)
  }

  func append(to bytes: inout ByteBuffer) {
    for field in fields { bytes.appendLittleEndian(field) }
    bytes.appendLittleEndian(digest)
  }

  /// Both hold the same bytes.
  func hasContent(of other: ArchiveRecord?) -> Bool {
    guard let other else { return false }
    return contentByteCount == other.contentByteCount && contentHash == other.contentHash && pageSize == other.pageSize
  }

  init() {}

  /// nil where the bytes are no record.
  init?(_ bytes: ByteView) {
    guard bytes.count == ArchiveRecord.byteCount else { return nil }
    func field(_ index: Int) -> UInt64 {
      UInt64(bytes.littleEndianUInt32(at: 8 * index)) | UInt64(bytes.littleEndianUInt32(at: 8 * index + 4)) << 32
    }
    guard field(0) == ArchiveFormat.name, let kind = Kind(rawValue: field(1)) else { return nil }
    self.kind = kind
    archive = field(2)
    ordinal = field(3)
    previous = field(4)
    firstCommit = field(5)
    lastCommit = field(6)
    pageSize = field(7)
    pageCount = field(8)
    salts = field(9)
    frame = field(10)
    checksum = field(11)
    time = field(12)
    contentByteCount = field(13)
    contentHash = field(14)
    guard field(15) == digest, pageSize >= 512, pageSize <= 65536, pageSize & (pageSize - 1) == 0,
      pageCount <= ArchiveRecord.pageCountMax, ordinal < ArchiveRecord.countMax, firstCommit < ArchiveRecord.countMax,
      lastCommit < ArchiveRecord.countMax
    else { return nil }
  }
}

extension ByteBuffer {
  mutating func appendLittleEndian(_ value: UInt64) {
    for shift in 0..<8 { append(UInt8(truncatingIfNeeded: value >> UInt64(8 * shift))) }
  }

  mutating func appendLittleEndian(_ value: UInt32) {
    for shift in 0..<4 { append(UInt8(truncatingIfNeeded: value >> UInt32(8 * shift))) }
  }
}
