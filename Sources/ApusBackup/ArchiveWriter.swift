// Writes an archive file chunk by chunk; see ArchiveFormat.

import ApusBase
import ApusIO

final class ArchiveWriter {
  private let partial: PartialFile
  private let compressor: ZstdCompressor
  private var chunk = ByteBuffer(capacity: ArchiveFormat.chunkByteCount)
  private var table = ByteBuffer()
  private var hashes = ByteBuffer()
  private var frameCount = 0
  private(set) var contentByteCount: UInt64 = 0
  /// The first failure; what is appended after it goes nowhere.
  private var failure: EngineError?

  init(_ environment: any Environment, _ path: String, level: Int) throws(EngineError) {
    partial = try PartialFile(environment, path)
    compressor = try ZstdCompressor(level: level)
  }

  var byteCount: Int64 { partial.content.end }

  /// Never fails at once, so that it can be called where nothing may: `finish` and `check` tell.
  func append(_ bytes: ByteView) {
    var rest = bytes
    while rest.count > 0, failure == nil {
      let part = min(rest.count, ArchiveFormat.chunkByteCount - chunk.count)
      chunk.append(rest.slice(0, part))
      rest = rest.suffix(from: part)
      if chunk.count == ArchiveFormat.chunkByteCount { flush() }
    }
  }

  func check() throws(EngineError) { if let failure { throw failure } }

  private func flush() {
    if chunk.count == 0 || failure != nil { return }
    do throws(EngineError) {
      let hash = XXHash64.hash(chunk.bytes)
      let frame = try compressor.compress(chunk.bytes)
      try partial.content.append(frame)
      note(compressed: frame.count, content: chunk.count, hash: hash)
      hashes.appendLittleEndian(hash)
      contentByteCount += UInt64(chunk.count)
      chunk.removeAll()
      if frameCount >= ArchiveFormat.frameCountMax - 1 { throw EngineError(.tooBig) }
    } catch {
      failure = error
    }
  }

  private func note(compressed: Int, content: Int, hash: UInt64) {
    table.appendLittleEndian(UInt32(truncatingIfNeeded: compressed))
    table.appendLittleEndian(UInt32(truncatingIfNeeded: content))
    table.appendLittleEndian(UInt32(truncatingIfNeeded: hash))
    frameCount += 1
  }

  /// Ends the content, and notes what it is.
  func describeContent(_ record: inout ArchiveRecord) throws(EngineError) {
    flush()
    try check()
    record.contentByteCount = contentByteCount
    record.contentHash = XXHash64.hash(hashes.bytes)
  }

  /// Ends the file, which then has its name.
  /// - Returns: the record as it was written.
  func finish(_ draft: ArchiveRecord, replaces: Bool) throws(EngineError) -> ArchiveRecord {
    var record = draft
    try describeContent(&record)
    var tail = ByteBuffer()
    tail.appendLittleEndian(ArchiveFormat.recordMagic)
    tail.appendLittleEndian(UInt32(ArchiveRecord.byteCount))
    record.append(to: &tail)
    note(compressed: 8 + ArchiveRecord.byteCount, content: 0, hash: XXHash64.hash(.empty))
    tail.appendLittleEndian(ArchiveFormat.tableMagic)
    tail.appendLittleEndian(UInt32(table.count + ArchiveFormat.footerByteCount))
    tail.append(table.bytes)
    tail.appendLittleEndian(UInt32(frameCount))
    tail.append(0x80)
    tail.appendLittleEndian(ArchiveFormat.footerMagic)
    try partial.content.append(tail.bytes)
    try partial.finish(replaces: replaces)
    return record
  }
}
