// Reads an archive file, and believes nothing of it before it has checked it; see ArchiveFormat.

import ApusBase
import ApusIO

final class ArchiveReader {
  private let file: PlainFile
  private var entries: [(offset: Int64, compressed: Int, content: Int, hash: UInt32)] = []
  private let decompressor: ZstdDecompressor
  let record: ArchiveRecord
  let digest: UInt64

  var path: String { file.path }
  var byteCount: Int64 { file.end }

  /// - Throws: SQLITE_CANTOPEN; SQLITE_NOTADB where the file is no archive; SQLITE_CORRUPT where it is a damaged one.
  init(_ environment: any Environment, _ path: String) throws(EngineError) {
    let file = try PlainFile(environment, path, .readOnly)
    self.file = file
    decompressor = try ZstdDecompressor()
    func damaged(_ cause: String) -> EngineError { EngineError(.corrupt, object: file.path, cause: cause) }
    func bytes(_ offset: Int64, _ count: Int) throws(EngineError) -> [UInt8] {
      var buffer = ByteBuffer()
      buffer.resize(to: count)
      try file.read(at: offset, into: buffer.mutableBytes)
      return buffer.bytes.array
    }
    let footerCount = ArchiveFormat.footerByteCount
    guard file.end > Int64(footerCount + 8) else { throw EngineError(.notADatabase, object: file.path, cause: "no archive") }
    let footer = LittleEndian(try bytes(file.end - Int64(footerCount), footerCount))
    guard footer.word(5) == ArchiveFormat.footerMagic, footer.bytes[4] == 0x80 else {
      throw EngineError(
        .notADatabase, object: file.path, cause: "no seek table of zstd's at the end", hint: "the file is cut off, or no archive")
    }
    let frameCount = Int(footer.word(0))
    let tableBytes = frameCount * ArchiveFormat.entryByteCount + footerCount
    let tableStart = file.end - Int64(tableBytes) - 8
    guard frameCount >= 1, frameCount <= ArchiveFormat.frameCountMax, tableStart >= 0 else { throw damaged("the seek table") }
    let table = LittleEndian(try bytes(tableStart, tableBytes + 8))
    guard table.word(0) == ArchiveFormat.tableMagic, Int(table.word(4)) == tableBytes else { throw damaged("the seek table") }
    var offset: Int64 = 0
    for index in 0..<frameCount {
      let place = 8 + index * ArchiveFormat.entryByteCount
      let content = Int(table.word(place + 4))
      guard content <= ArchiveFormat.chunkByteCount else { throw damaged("the seek table: a frame that is too big") }
      entries.append((offset, Int(table.word(place)), content, table.word(place + 8)))
      offset += Int64(table.word(place))
    }
    let last = entries.removeLast()
    guard offset == tableStart, last.compressed == 8 + ArchiveRecord.byteCount else {
      throw damaged("the seek table does not describe the file")
    }
    let head = LittleEndian(try bytes(last.offset, last.compressed))
    var buffer = ByteBuffer()
    for byte in head.bytes.dropFirst(8) { buffer.append(byte) }
    guard head.word(0) == ArchiveFormat.recordMagic, let record = ArchiveRecord(buffer.bytes) else {
      throw damaged("the record behind the frames")
    }
    guard entries.reduce(0, { $0 + UInt64($1.content) }) == record.contentByteCount else {
      throw damaged("the frames do not hold as many bytes as the record says")
    }
    self.record = record
    digest = record.digest
  }

  /// Shows the content in order, each chunk when its checksums are right.
  /// - Parameter body: false ends it early; then the hash of the whole is not checked.
  func read(_ body: (ByteView) throws(EngineError) -> Bool) throws(EngineError) {
    var compressed = ByteBuffer()
    var content = ByteBuffer()
    var hashes = ByteBuffer()
    for (index, entry) in entries.enumerated() {
      compressed.resize(to: entry.compressed)
      try file.read(at: entry.offset, into: compressed.mutableBytes)
      content.resize(to: entry.content)
      do throws(EngineError) {
        try decompressor.decompress(compressed.bytes, into: content.mutableBytes)
      } catch {
        throw EngineError(.corrupt, object: file.path, cause: "frame \(index + 1): \(error.cause ?? error.message)")
      }
      let hash = XXHash64.hash(content.bytes)
      guard UInt32(truncatingIfNeeded: hash) == entry.hash else {
        throw EngineError(.corrupt, object: file.path, cause: "frame \(index + 1): the checksum is wrong")
      }
      hashes.appendLittleEndian(hash)
      if !(try body(content.bytes)) { return }
    }
    guard XXHash64.hash(hashes.bytes) == record.contentHash else {
      throw EngineError(.corrupt, object: file.path, cause: "the frames are not those that the record was written for")
    }
  }

  func close() { file.close() }
}

private struct LittleEndian {
  let bytes: [UInt8]
  init(_ bytes: [UInt8]) { self.bytes = bytes }

  func word(_ offset: Int) -> UInt32 {
    var value: UInt32 = 0
    for index in 0..<4 { value |= UInt32(bytes[offset + index]) << UInt32(8 * index) }
    return value
  }
}
