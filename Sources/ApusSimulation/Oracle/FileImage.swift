// A database as its bytes say, read by the file format's document alone: https://sqlite.org/fileformat2.html.
// This oracle shares no code with the engine: a mistake of the engine must not hide itself here.

/// A field of a record.
public enum ImageField: Equatable, Sendable, CustomStringConvertible {
  case null, integer(Int64), real(UInt64), text([UInt8]), blob([UInt8])

  public var description: String {
    switch self {
    case .null: "NULL"
    case .integer(let number): "\(number)"
    case .real(let bits): "\(Double(bitPattern: bits))"
    case .text(let bytes): "'\(String(decoding: bytes, as: UTF8.self))'"
    case .blob(let bytes): "blob of \(bytes.count)"
    }
  }
}

/// The main file with the committed part of its write-ahead log laid over it.
public struct FileImage {
  public private(set) var pages: [[UInt8]] = []
  public private(set) var pageSize = 0
  /// `PRAGMA user_version`: https://sqlite.org/fileformat2.html#user_version_number
  var userVersion: Int64? { pages.first.map { $0[60..<64].reduce(0) { $0 << 8 | Int64($1) } } }
  public var usableSize: Int { pageSize - Int(pages.first?[20] ?? 0) }
  /// What kept the image from being read at all.
  public private(set) var problem: String?

  /// The page of the lock bytes, which nothing is ever written to.
  public var lockPage: Int { pageSize == 0 ? 0 : lockByteOffset / pageSize + 1 }
  private let lockByteOffset: Int

  /// - Parameter lockByteOffset: SQLite's place, but where a test has moved it.
  public init(database: [UInt8], wal: [UInt8]?, lockByteOffset: Int = 0x4000_0000) {
    self.lockByteOffset = lockByteOffset
    let frames = wal.map(Self.committedFrames) ?? (size: 0, pageSize: 0, frames: [:])
    if database.count >= 100 {
      let raw = Int(database[16]) << 8 | Int(database[17])
      pageSize = raw == 1 ? 65_536 : raw
    } else {
      pageSize = frames.pageSize
    }
    guard pageSize >= 512, pageSize & (pageSize - 1) == 0 else {
      if !(database.isEmpty && frames.frames.isEmpty) { problem = "page size \(pageSize) is not one" }
      return
    }
    // Behind the pages that the header counts may lie what a write that failed has left of one.
    let counted = database.count >= 32 ? database[28..<32].reduce(0) { $0 << 8 | Int($1) } : 0
    if frames.frames.isEmpty && database.count % pageSize != 0 && counted > database.count / pageSize {
      problem = "\(database.count) bytes are no whole number of pages"
    }
    let count = frames.frames.isEmpty ? database.count / pageSize : frames.size
    for number in 0..<count {
      if let page = frames.frames[number + 1] {
        pages.append(page)
      } else if (number + 1) * pageSize <= database.count {
        pages.append(Array(database[number * pageSize..<(number + 1) * pageSize]))
      } else {
        if number + 1 != lockPage { problem = "page \(number + 1) is neither in the file nor in the log" }
        pages.append([UInt8](repeating: 0, count: pageSize))
      }
    }
  }

  /// The frames of a log up to its last commit, by page; the checksum chain and the salts decide where it ends.
  static func committedFrames(_ wal: [UInt8]) -> (size: Int, pageSize: Int, frames: [Int: [UInt8]]) {
    func word(_ offset: Int) -> UInt32 {
      UInt32(wal[offset]) << 24 | UInt32(wal[offset + 1]) << 16 | UInt32(wal[offset + 2]) << 8 | UInt32(wal[offset + 3])
    }
    guard wal.count >= 32, word(0) & 0xffff_fffe == 0x377f_0682 else { return (0, 0, [:]) }
    let isBigEndian = word(0) & 1 == 1
    let pageSize = Int(word(8))
    guard pageSize >= 512, pageSize <= 65_536 else { return (0, 0, [:]) }
    var sum: (UInt32, UInt32) = (0, 0)
    func extend(_ range: Range<Int>) {
      var offset = range.lowerBound
      while offset < range.upperBound {
        let a = isBigEndian ? word(offset) : word(offset).byteSwapped
        let b = isBigEndian ? word(offset + 4) : word(offset + 4).byteSwapped
        sum.0 = sum.0 &+ a &+ sum.1
        sum.1 = sum.1 &+ b &+ sum.0
        offset += 8
      }
    }
    extend(0..<24)
    guard sum == (word(24), word(28)) else { return (0, 0, [:]) }
    var committed: [Int: [UInt8]] = [:]
    var open: [Int: [UInt8]] = [:]
    var size = 0
    var offset = 32
    while offset + 24 + pageSize <= wal.count {
      guard word(offset + 8) == word(16), word(offset + 12) == word(20), word(offset) != 0 else { break }
      extend(offset..<offset + 8)
      extend(offset + 24..<offset + 24 + pageSize)
      guard sum == (word(offset + 16), word(offset + 20)) else { break }
      open[Int(word(offset))] = Array(wal[offset + 24..<offset + 24 + pageSize])
      if word(offset + 4) != 0 {
        size = Int(word(offset + 4))
        committed.merge(open) { _, new in new }
        open = [:]
      }
      offset += 24 + pageSize
    }
    return (size, pageSize, committed)
  }
}
