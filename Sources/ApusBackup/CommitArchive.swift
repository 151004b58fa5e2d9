// A directory that holds every commit of a database: bases, and segments of committed frames between them.
//
//   HEAD                 what the archive ends with: the record of its last file, as text; replaced in one step behind each
//                        file
//   00000001-base.zst    a database as it was at a commit
//   00000002-log.zst     the commits after it, ...
//
// Each file's record repeats the digest of the one before it, so a file that is missing, older or from elsewhere shows. A file
// without its HEAD was left by a process that died: the next one writes it anew. The protocol stands in SPEC, chapter 15.

import Apus
import ApusBase
import ApusIO
import ApusStorage

public final class CommitArchive {
  let environment: any Environment
  public let directory: String
  private(set) var head: ArchiveRecord?

  /// - Parameter directory: exists; empty for a new archive.
  public init(_ environment: any Environment, directory: String) throws(EngineError) {
    self.environment = environment
    self.directory = try environment.fullPath(directory)
    try readHead()
  }

  /// The last commit that is in the archive; nil while it is empty.
  public var lastCommit: UInt64? { head?.lastCommit }

  // MARK: Files

  func path(_ ordinal: UInt64, _ kind: ArchiveRecord.Kind) -> String {
    let digits = String(ordinal)
    let number = String(repeating: "0", count: max(0, 8 - digits.count)) + digits
    return "\(directory)/\(number)-\(kind == .base ? "base" : "log").zst"
  }

  private var headPath: String { directory + "/HEAD" }

  func readHead() throws(EngineError) {
    head = nil
    guard try environment.exists(headPath) else { return }
    let file = try PlainFile(environment, headPath, .readOnly)
    defer { file.close() }
    let digits = 2 * ArchiveRecord.byteCount
    var text = ByteBuffer()
    text.resize(to: digits)
    guard file.end == Int64(digits + 1) else { throw damagedHead() }
    try file.read(at: 0, into: text.mutableBytes)
    var bytes = ByteBuffer()
    for index in 0..<ArchiveRecord.byteCount {
      guard let high = Self.digit(text.bytes[2 * index]), let low = Self.digit(text.bytes[2 * index + 1]) else {
        throw damagedHead()
      }
      bytes.append(high << 4 | low)
    }
    guard let record = ArchiveRecord(bytes.bytes) else { throw damagedHead() }
    head = record
  }

  private static func digit(_ byte: UInt8) -> UInt8? {
    switch byte {
    case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
    case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
    default: nil
    }
  }

  private func damagedHead() -> EngineError {
    EngineError(.corrupt, object: headPath, cause: "it is damaged", hint: "start a new archive in an empty directory")
  }

  func writeHead(_ record: ArchiveRecord) throws(EngineError) {
    var bytes = ByteBuffer()
    record.append(to: &bytes)
    var text = ByteBuffer()
    for byte in bytes.bytes.array {
      for half in [byte >> 4, byte & 15] { text.append(half < 10 ? UInt8(ascii: "0") + half : UInt8(ascii: "a") + half - 10) }
    }
    text.append(0x0a)
    let partial = try PartialFile(environment, headPath)
    try partial.content.append(text.bytes)
    try partial.finish(replaces: true)
    head = record
  }

  /// A file of the chain, as it was when its record was read. It is closed: a chain has any number of files, a process has not.
  private struct Link {
    var path: String
    var record: ArchiveRecord
    var digest: UInt64
    var byteCount: Int64
  }

  /// The file at its place in the chain.
  /// - Throws: SQLITE_CORRUPT where it is missing, damaged, or does not follow `previous`.
  private func link(_ ordinal: UInt64, after previous: Link?) throws(EngineError) -> Link {
    let (base, log) = (path(ordinal, .base), path(ordinal, .segment))
    let isBase = try environment.exists(base)
    let isLog = try environment.exists(log)
    guard isBase || isLog else {
      throw EngineError(.corrupt, object: directory, cause: "file \(ordinal) of the archive is missing")
    }
    let reader = try ArchiveReader(environment, isBase ? base : log)
    defer { reader.close() }
    let record = reader.record
    guard record.ordinal == ordinal, record.archive == head?.archive, (record.kind == .base) == isBase else {
      throw EngineError(.corrupt, object: reader.path, cause: "it belongs to another archive, or to another place in it")
    }
    let (first, last) = (record.firstCommit, record.lastCommit)
    guard isBase ? first == last : first <= last, first > 0, isBase || previous != nil else {
      throw EngineError(.corrupt, object: reader.path, cause: "the commits that it says it holds")
    }
    if let previous {
      guard record.previous == previous.digest, record.firstCommit == previous.record.lastCommit + 1 else {
        throw EngineError(.corrupt, object: reader.path, cause: "it does not follow the file before it")
      }
    }
    return Link(path: reader.path, record: record, digest: reader.digest, byteCount: reader.byteCount)
  }

  /// - Throws: SQLITE_CORRUPT where the file is no longer the one that the chain was made of.
  private func open(_ link: Link) throws(EngineError) -> ArchiveReader {
    let reader = try ArchiveReader(environment, link.path)
    guard reader.record == link.record, reader.digest == link.digest else {
      reader.close()
      throw EngineError(.corrupt, object: link.path, cause: "it was replaced while the archive was read")
    }
    return reader
  }

  /// All files in order, their records checked against each other and against HEAD.
  private func chain() throws(EngineError) -> [Link] {
    guard let head else {
      throw EngineError(.cannotOpen, object: directory, cause: "no archive: there is no file HEAD")
    }
    var links: [Link] = []
    for ordinal in 1...max(head.ordinal, 1) { links.append(try link(ordinal, after: links.last)) }
    guard links.last?.record == head else {
      throw EngineError(.corrupt, object: directory, cause: "the last file is not the one that HEAD names")
    }
    return links
  }

  // MARK: What is in it

  public struct Entry: Sendable {
    public var isBase: Bool
    public var firstCommit: UInt64
    public var lastCommit: UInt64
    /// Commits before it may be missing: the log had been started again before they were copied.
    public var isBehindGap: Bool
    public var timeMilliseconds: Int64
    public var byteCount: Int64
  }

  /// The files in order.
  public func entries() throws(EngineError) -> [Entry] {
    try chain().enumerated().map { index, link in
      Entry(
        isBase: link.record.kind == .base, firstCommit: link.record.firstCommit, lastCommit: link.record.lastCommit,
        isBehindGap: link.record.kind == .base && index > 0, timeMilliseconds: Int64(clamping: link.record.time),
        byteCount: link.byteCount)
    }
  }

  /// Reads everything and checks it.
  public func verify() throws(EngineError) {
    for link in try chain() {
      let reader = try open(link)
      defer { reader.close() }
      switch link.record.kind {
      case .base: try reader.read { _ in true }
      case .segment: try readFrames(reader) { _, _, _ in }
      }
    }
  }

  // MARK: Restoring

  /// Makes a database file of the state at `commit`, by default the last one.
  /// - Throws: SQLITE_RANGE where the archive has no such commit; otherwise as `DatabaseArchive.restore`.
  /// - Returns: the commit.
  @discardableResult
  public func restore(
    to target: String, at commit: UInt64? = nil, replaces: Bool = false, progress: (ArchiveProgress) -> Void = { _ in }
  ) throws(EngineError) -> UInt64 {
    let links = try chain()
    let last = links.last?.record.lastCommit ?? 0
    let wanted = commit ?? last
    guard let start = links.lastIndex(where: { $0.record.kind == .base && $0.record.lastCommit <= wanted }), wanted <= last
    else {
      throw EngineError(
        .range, cause: "the archive has no commit \(wanted)",
        hint: "it has \(links.first?.record.lastCommit ?? 0) to \(last)")
    }
    let base = try open(links[start])
    defer { base.close() }
    let restored = try RestoredDatabase(
      environment, target, pageSize: Int(base.record.pageSize), replaces: replaces)
    try restored.write(base: base, progress)
    var pageCount = base.record.pageCount
    var reached = base.record.lastCommit
    for link in links[(start + 1)...] where link.record.kind == .segment && reached < wanted {
      guard link.record.pageSize == base.record.pageSize else {
        throw EngineError(.corrupt, object: link.path, cause: "its pages have another size than the base's")
      }
      let reader = try open(link)
      defer { reader.close() }
      try apply(reader, restored, &pageCount, &reached, upTo: wanted)
    }
    guard reached == wanted else { throw EngineError(.corrupt, object: directory, cause: "commit \(wanted) was not reached") }
    try restored.finish(pageCount: pageCount)
    return wanted
  }

  private func apply(
    _ reader: ArchiveReader, _ restored: RestoredDatabase, _ pageCount: inout UInt64, _ reached: inout UInt64,
    upTo wanted: UInt64
  ) throws(EngineError) {
    var count = pageCount
    var commit = reached
    // Also behind the last commit that is wanted: the rest tells whether the segment is whole.
    try readFrames(reader) { number, committed, page throws(EngineError) in
      if commit >= wanted { return }
      try restored.write(page: number, page)
      if committed != 0 {
        commit += 1
        count = UInt64(committed)
      }
    }
    pageCount = count
    reached = commit
  }

  /// Shows the frames of a segment in order.
  /// - Parameter body: gets the number of the page, the pages of the database where the frame commits, else 0, and
  ///   the page.
  /// - Throws: SQLITE_CORRUPT where the segment does not hold the commits that its record names, and nothing else.
  private func readFrames(
    _ reader: ArchiveReader,
    _ body: (_ number: UInt32, _ committed: UInt32, _ page: ByteView) throws(EngineError) -> Void
  ) throws(EngineError) {
    let record = reader.record
    let frameByteCount = 8 + Int(record.pageSize)
    var rest = ByteBuffer()
    var last = record.firstCommit - 1
    var committed: UInt32 = 0
    try reader.read { bytes throws(EngineError) in
      rest.append(bytes)
      var place = 0
      while rest.count - place >= frameByteCount {
        let frame = rest.bytes.slice(place, frameByteCount)
        let number = frame.bigEndianUInt32(at: 0)
        if number == 0 { throw EngineError(.corrupt, object: reader.path, cause: "a frame without a page") }
        committed = frame.bigEndianUInt32(at: 4)
        try body(number, committed, frame.suffix(from: 8))
        if committed != 0 { last += 1 }
        place += frameByteCount
      }
      let left = rest.count - place
      if place > 0 {
        rest.mutableBytes.move(from: place, to: 0, length: left)
        rest.resize(to: left)
      }
      return true
    }
    guard last == record.lastCommit, rest.count == 0, UInt64(committed) == record.pageCount else {
      throw EngineError(.corrupt, object: reader.path, cause: "it does not hold the commits that it says it holds")
    }
  }
}
