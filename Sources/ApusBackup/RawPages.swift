// The pages of a file that nobody vouches for, read one by one; no rule of the format stops it.

import ApusBase
import ApusIO

/// Bytes that may say anything: what lies outside them is nil.
struct RawBytes {
  let bytes: ByteView

  func byte(_ offset: Int) -> Int? { offset >= 0 && offset < bytes.count ? Int(bytes[offset]) : nil }

  func word16(_ offset: Int) -> Int? {
    offset >= 0 && offset <= bytes.count - 2 ? bytes.bigEndianUInt16(at: offset) : nil
  }

  func word32(_ offset: Int) -> UInt32? {
    offset >= 0 && offset <= bytes.count - 4 ? bytes.bigEndianUInt32(at: offset) : nil
  }

  /// A variable-length integer, and where it ends.
  func varint(_ offset: Int) -> (value: UInt64, end: Int)? {
    var value: UInt64 = 0
    for index in 0..<9 {
      guard let byte = byte(offset + index) else { return nil }
      if index == 8 { return (value << 8 | UInt64(byte), offset + 9) }
      value = value << 7 | UInt64(byte & 0x7f)
      if byte & 0x80 == 0 { return (value, offset + index + 1) }
    }
    return nil
  }
}

final class RawPages {
  let file: PlainFile
  private(set) var pageSize = 4096
  private(set) var usableSize = 4096
  private(set) var pageCount: UInt32 = 0
  /// 1 UTF-8, 2 and 3 UTF-16.
  private(set) var encoding = 1
  private(set) var userVersion: UInt32 = 0
  private(set) var applicationID: UInt32 = 0
  private(set) var freelistTrunk: UInt32 = 0
  /// Pages whose newest committed image lies in the log beside the file, and where.
  private var logged: [UInt32: Int64] = [:]
  private var log: PlainFile?
  private var buffer = ByteBuffer()
  private var held: UInt32 = 0

  init(_ environment: any Environment, _ path: String) throws(EngineError) {
    file = try PlainFile(environment, path, .readOnly)
    readHeader()
    pageCount = UInt32(clamping: (file.end + Int64(pageSize) - 1) / Int64(pageSize))
    let logPath = file.path + "-wal"
    if (try? environment.exists(logPath)) == true, let log = try? PlainFile(environment, logPath, .readOnly) {
      readLog(log)
    }
  }

  private func readHeader() {
    buffer.resize(to: 100)
    buffer.mutableBytes.fill(0, 100)
    let count = Int(min(file.end, 100))
    try? file.read(at: 0, into: buffer.mutableBytes.slice(0, count))
    let head = buffer.bytes
    let raw = head.bigEndianUInt16(at: 16)
    let size = raw == 1 ? 65536 : raw
    let reserved = Int(head[20])
    if size >= 512, size <= 65536, size & (size - 1) == 0, size - reserved >= 480 {
      pageSize = size
      usableSize = size - reserved
    } else {
      pageSize = guessedPageSize()
      usableSize = pageSize
    }
    let known = Int(head.bigEndianUInt32(at: 56))
    encoding = (1...3).contains(known) ? known : 1
    userVersion = head.bigEndianUInt32(at: 60)
    applicationID = head.bigEndianUInt32(at: 68)
    freelistTrunk = head.bigEndianUInt32(at: 32)
  }

  /// The largest size at whose multiples nearly as many pages begin as b-tree pages do as at those of any other.
  private func guessedPageSize() -> Int {
    var hits: [Int] = []
    var piece = ByteBuffer()
    piece.resize(to: 8)
    let end = min(file.end - 8, 4 << 20)
    for shift in 9...16 {
      let size = 1 << shift
      var count = 0
      for place in stride(from: Int64(size), to: end, by: size) {
        try? file.read(at: place, into: piece.mutableBytes)
        let page = RawBytes(bytes: piece.bytes)
        guard let kind = page.byte(0), [2, 5, 10, 13].contains(kind), let cells = page.word16(3), let start = page.word16(5),
          cells > 0, cells * 4 < size, start <= size, start >= cells * 2
        else { continue }
        count += 1
      }
      hits.append(count)
    }
    let most = hits.max() ?? 0
    if most == 0 { return 4096 }
    return 512 << (hits.lastIndex { $0 * 10 >= most * 9 } ?? 3)
  }

  /// Frames of the log's own salts, up to the last one that commits. Their checksums are not asked: rather a page too many.
  private func readLog(_ log: PlainFile) {
    var head = ByteBuffer()
    head.resize(to: 32)
    guard (try? log.read(at: 0, into: head.mutableBytes)) != nil, head.bytes.bigEndianUInt32(at: 0) & ~1 == 0x377f_0682,
      Int(head.bytes.bigEndianUInt32(at: 8)) == pageSize
    else { return }
    let salts = head.bytes.bigEndianUInt64(at: 16)
    var frame = ByteBuffer()
    frame.resize(to: 24)
    var open: [UInt32: Int64] = [:]
    var place: Int64 = 32
    while place + 24 + Int64(pageSize) <= log.end, (try? log.read(at: place, into: frame.mutableBytes)) != nil,
      frame.bytes.bigEndianUInt64(at: 8) == salts
    {
      open[frame.bytes.bigEndianUInt32(at: 0)] = place + 24
      let committed = frame.bytes.bigEndianUInt32(at: 4)
      if committed != 0 {
        for (page, offset) in open { logged[page] = offset }
        open = [:]
        pageCount = max(pageCount, min(committed, UInt32(clamping: pageCountMax(log))))
      }
      place += 24 + Int64(pageSize)
    }
    self.log = log
  }

  /// No number in a log makes the file longer than what there is.
  private func pageCountMax(_ log: PlainFile) -> Int64 { (file.end + log.end) / Int64(pageSize) + 1 }

  /// The page's usable bytes, zeros where the file ends; nil where there is no such page. Valid until the next call.
  func page(_ number: UInt32) -> RawBytes? {
    guard number >= 1, number <= pageCount else { return nil }
    if held == number { return RawBytes(bytes: buffer.bytes.slice(0, usableSize)) }
    held = 0
    buffer.resize(to: pageSize)
    if let offset = logged[number], let log {
      guard (try? log.read(at: offset, into: buffer.mutableBytes)) != nil else { return nil }
    } else {
      let start = Int64(number - 1) * Int64(pageSize)
      let count = Int(max(0, min(Int64(pageSize), file.end - start)))
      if count < pageSize { buffer.mutableBytes.fill(count, pageSize - count) }
      if count > 0, (try? file.read(at: start, into: buffer.mutableBytes.slice(0, count))) == nil { return nil }
    }
    held = number
    return RawBytes(bytes: buffer.bytes.slice(0, usableSize))
  }
}
