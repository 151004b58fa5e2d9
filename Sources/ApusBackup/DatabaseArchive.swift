// A database in one archive file, and back.
//
// These calls wait on the calling thread. A backup holds one snapshot from its first page to its last: in WAL mode nobody is kept
// waiting by it, in a journal mode writers are until all has been read.

import Apus
import ApusBase
import ApusIO
import ApusStorage

/// How far a backup or a restore has come, in bytes of the database.
public struct ArchiveProgress: Sendable {
  public var done: Int64
  public var total: Int64
}

/// What an archive file holds.
public struct ArchiveSummary: Sendable {
  public var pageSize: Int
  public var pageCount: Int
  public var databaseByteCount: Int64
  public var archiveByteCount: Int64
}

public enum DatabaseArchive {
  public static let levelDefault = 3

  /// Writes the database file at `source` into the archive file `target`, which appears when it is whole.
  /// - Throws: SQLITE_CANTOPEN where `target` exists and `replaces` is false, or `source` has the name under which `target` is
  ///   made; what reading the database throws.
  @discardableResult
  public static func backup(
    _ environment: any Environment, from source: String, to target: String, level: Int = levelDefault, replaces: Bool = false,
    progress: (ArchiveProgress) -> Void = { _ in }
  ) throws(EngineError) -> ArchiveSummary {
    try PartialFile.checkIsNot(source, environment, for: target)
    let database = try ArchivedDatabase(environment, source)
    defer { database.close() }
    if !replaces, try environment.exists(try environment.fullPath(target)) { throw taken(target) }
    try database.begin()
    let writer = try ArchiveWriter(environment, target, level: level)
    guard let record = try database.writeBase(writer, ArchiveRecord(), replaces: replaces, progress) else {
      preconditionFailure("a backup that nobody has refused")
    }
    return ArchiveSummary(
      pageSize: Int(record.pageSize), pageCount: Int(record.pageCount), databaseByteCount: Int64(record.contentByteCount),
      archiveByteCount: writer.byteCount)
  }

  /// Makes a database file of the archive file at `source`, or reports what is wrong with the archive; then there is no file.
  /// - Throws: SQLITE_CANTOPEN where `target`, or a journal or log of that name, exists and `replaces` is false, or `source` has
  ///   the name under which `target` is made; SQLITE_BUSY where somebody uses it; SQLITE_NOTADB and SQLITE_CORRUPT for a file that
  ///   is no archive, or a damaged one.
  @discardableResult
  public static func restore(
    _ environment: any Environment, from source: String, to target: String, replaces: Bool = false,
    progress: (ArchiveProgress) -> Void = { _ in }
  ) throws(EngineError) -> ArchiveSummary {
    try PartialFile.checkIsNot(source, environment, for: target)
    let reader = try ArchiveReader(environment, source)
    defer { reader.close() }
    guard reader.record.kind == .base else {
      throw EngineError(.notADatabase, object: source, cause: "it holds commits, not a database", hint: "restore the directory")
    }
    let restored = try RestoredDatabase(environment, target, pageSize: Int(reader.record.pageSize), replaces: replaces)
    try restored.write(base: reader, progress)
    try restored.finish(pageCount: reader.record.pageCount)
    return summary(reader)
  }

  /// Reads everything and checks it.
  @discardableResult
  public static func verify(
    _ environment: any Environment, _ path: String, progress: (ArchiveProgress) -> Void = { _ in }
  ) throws(EngineError) -> ArchiveSummary {
    let reader = try ArchiveReader(environment, path)
    defer { reader.close() }
    var done: Int64 = 0
    try reader.read { bytes throws(EngineError) in
      done += Int64(bytes.count)
      progress(ArchiveProgress(done: done, total: Int64(reader.record.contentByteCount)))
      return true
    }
    return summary(reader)
  }

  private static func summary(_ reader: ArchiveReader) -> ArchiveSummary {
    ArchiveSummary(
      pageSize: Int(reader.record.pageSize), pageCount: Int(reader.record.pageCount),
      databaseByteCount: Int64(reader.record.contentByteCount), archiveByteCount: reader.byteCount)
  }

  /// What a database has beside it: whoever opens the database takes these files for a part of it.
  static let sideSuffixes = ["-journal", "-wal", "-shm"]

  /// - Parameter path: a full one.
  /// - Throws: SQLITE_CANTOPEN where a file has the name, or lies where a database of that name would have its own.
  static func checkIsFree(_ environment: any Environment, _ path: String) throws(EngineError) {
    if try environment.exists(path) { throw taken(path) }
    for suffix in sideSuffixes {
      if try environment.exists(path + suffix) {
        throw EngineError(
          .cannotOpen, object: path + suffix,
          cause: "it was left by another database of that name, and would be played into the new one",
          hint: "move it away, or delete it (restore --force does)")
      }
    }
  }

  static func taken(_ path: String) -> EngineError {
    EngineError(.cannotOpen, object: path, cause: "the file exists", hint: "say --force to replace it")
  }
}

/// A database that is being read for an archive: one pager, one snapshot at a time.
final class ArchivedDatabase {
  let environment: any Environment
  let queue: any IOQueue
  let pager: Pager
  private let patience = Patience()

  /// - Parameter keepsLog: see `Pager.keepsLog`.
  init(_ environment: any Environment, _ path: String, keepsLog: Bool = false) throws(EngineError) {
    self.environment = environment
    queue = environment.makeQueue()
    queue.driverBlocks = true
    var configuration = Pager.Configuration()
    // A hot journal or a log may have to be recovered first: not for reading only, where that can be.
    configuration.mayCreate = false
    pager = try Pager(environment: environment, queue: queue, path: path, configuration: configuration)
    pager.keepsLog = keepsLog
    pager.busyPolicy = { [patience] attempt in
      patience.momentToTryAgain(attempt, environment.monotonicNanoseconds())
    }
  }

  func run<R>(_ body: () throws(Fault) -> R) throws(EngineError) -> R {
    patience.renew()
    return try blocking(queue, environment, body)
  }

  func begin() throws(EngineError) {
    try run { () throws(Fault) in try pager.beginRead() }
    if pager.pageCount == 0 {
      end()
      throw EngineError(.notADatabase, object: pager.filePath, cause: "the file is empty")
    }
  }

  func end() { if pager.state == .read { pager.endRead() } }

  /// Copies the log, where there is one, into the file.
  /// - Throws: SQLITE_BUSY where somebody else is in the way; what writing throws.
  func copyLogBack() throws(EngineError) {
    let result = try run { () throws(Fault) in try pager.checkpoint(.passive) }
    if result.isBusy || result.checkpointed < result.walFrames {
      throw EngineError(.busy, object: pager.filePath, cause: "somebody uses the database")
    }
  }

  func close() {
    end()
    pager.close()
  }

  private static var pagesPerStep: UInt32 { 256 }

  /// The open snapshot as a base.
  /// - Parameter isWanted: false drops the file, when all has been read.
  /// - Returns: the record as it was written; nil where the file was dropped.
  func writeBase(
    _ writer: ArchiveWriter, _ draft: ArchiveRecord, replaces: Bool, _ progress: (ArchiveProgress) -> Void,
    isWanted: (ArchiveRecord) -> Bool = { _ in true }
  ) throws(EngineError) -> ArchiveRecord? {
    let walk = PageWalk(pager)
    let total = Int64(pager.pageCount) * Int64(pager.pageSize)
    var done: Int64 = 0
    var goesOn = true
    while goesOn {
      goesOn = try run { () throws(Fault) in
        try walk.run(pages: ArchivedDatabase.pagesPerStep) { _, page in
          writer.append(page)
          done += Int64(page.count)
        }
      }
      try writer.check()
      progress(ArchiveProgress(done: done, total: total))
    }
    var record = draft
    record.kind = .base
    record.pageSize = UInt64(pager.pageSize)
    record.pageCount = UInt64(pager.pageCount)
    record.time = UInt64(max(0, environment.wallClockMilliseconds()))
    record.take(pager.logPosition)
    try writer.describeContent(&record)
    if !isWanted(record) { return nil }
    return try writer.finish(record, replaces: replaces)
  }
}

/// How long somebody else's lock is waited for: counted from the beginning of each wait, however old the pager is.
final class Patience {
  static let nanoseconds: UInt64 = 10_000_000_000
  /// Looks at the lock that there are at least, also where the machine stood still meanwhile.
  static let attemptsMin = 10
  private static let pauseMillisecondsMax = 25

  private var began: UInt64?

  func renew() { began = nil }

  /// - Parameter attempt: how often this wait was asked for before.
  /// - Returns: nil where it has lasted long enough.
  func momentToTryAgain(_ attempt: Int, _ now: UInt64) -> UInt64? {
    if attempt == 0 { began = nil }
    let start = began ?? now
    began = start
    if now - start > Patience.nanoseconds, attempt > Patience.attemptsMin { return nil }
    return now + UInt64(min(attempt + 1, Patience.pauseMillisecondsMax)) * 1_000_000
  }
}

extension ArchiveRecord {
  mutating func take(_ position: LogPosition?) {
    salts = position?.salts ?? 0
    frame = UInt64(position?.frame ?? 0)
    checksum = position?.checksum ?? 0
  }

  var position: LogPosition { LogPosition(salts: salts, frame: UInt32(truncatingIfNeeded: frame), checksum: checksum) }
}

/// A database file in the making.
final class RestoredDatabase {
  private let partial: PartialFile
  private let pageSize: Int
  private let replaces: Bool
  private let environment: any Environment

  init(_ environment: any Environment, _ path: String, pageSize: Int, replaces: Bool) throws(EngineError) {
    self.environment = environment
    self.pageSize = pageSize
    self.replaces = replaces
    if !replaces { try DatabaseArchive.checkIsFree(environment, try environment.fullPath(path)) }
    partial = try PartialFile(environment, path)
  }

  func write(base: ArchiveReader, _ progress: (ArchiveProgress) -> Void) throws(EngineError) {
    let total = Int64(base.record.contentByteCount)
    try base.read { bytes throws(EngineError) in
      try partial.content.append(bytes)
      progress(ArchiveProgress(done: partial.content.end, total: total))
      return true
    }
    guard total == Int64(base.record.pageCount) * Int64(pageSize) else {
      throw EngineError(.corrupt, object: base.path, cause: "the content has another size than its pages")
    }
  }

  func write(page: UInt32, _ bytes: ByteView) throws(EngineError) {
    try partial.content.write(bytes, at: Int64(page - 1) * Int64(pageSize))
  }

  func finish(pageCount: UInt64) throws(EngineError) {
    let size = Int64(pageCount) * Int64(pageSize)
    if partial.content.end != size { try partial.content.truncate(to: size) }
    var head = ByteBuffer()
    head.resize(to: 100)
    try partial.content.read(at: 0, into: head.mutableBytes)
    guard head.bytes.slice(0, 16).array == Array("SQLite format 3\0".utf8) else {
      throw EngineError(.notADatabase, cause: "the archive's content is no database")
    }
    // Before anything of the old database goes: a disk may be full, or fail.
    try partial.content.sync()
    let old = replaces ? try clearTheWay() : nil
    defer { old?.close() }
    if !replaces { try DatabaseArchive.checkIsFree(environment, partial.finalPath) }
    try partial.publish(replaces: replaces)
  }

  /// Nobody may use the file that goes, and nothing of it may be taken for the new one's.
  /// - Returns: that file, locked; nil where there is none.
  private func clearTheWay() throws(EngineError) -> (any File)? {
    let path = partial.finalPath
    let old = try environment.exists(path) ? environment.open(path, .readWrite) : nil
    if let old {
      try lockWhole(old)
      if try hasFilesBeside(path) {
        try old.unlock(at: RestoredDatabase.lockBytes, length: RestoredDatabase.lockByteCount)
        try bringToRest(path)
        try lockWhole(old)
      }
    }
    // Also where the database is gone: its log alone would be played into the new one.
    if try hasFilesBeside(path) {
      for suffix in DatabaseArchive.sideSuffixes { try environment.delete(path + suffix) }
      try partial.content.syncDirectory()
    }
    return old
  }

  private func hasFilesBeside(_ path: String) throws(EngineError) -> Bool {
    for suffix in DatabaseArchive.sideSuffixes {
      if try environment.exists(path + suffix) { return true }
    }
    return false
  }

  // SQLite's lock bytes: PENDING, RESERVED, SHARED.
  private static let lockBytes: Int64 = 0x4000_0000
  private static let lockByteCount: Int64 = 512

  private func lockWhole(_ old: any File) throws(EngineError) {
    if try old.lock(.exclusive, at: RestoredDatabase.lockBytes, length: RestoredDatabase.lockByteCount) { return }
    throw EngineError(.busy, object: old.path, cause: "somebody uses the database", hint: "close it everywhere first")
  }

  /// Lets the old database roll its journal back, or copy its log back: then it is whole without them, and who is stopped between
  /// their end and the rename still has it. A damaged one goes as it is.
  /// - Throws: every failure that may pass: the journal and the log are still needed then.
  private func bringToRest(_ path: String) throws(EngineError) {
    do throws(EngineError) {
      let database = try ArchivedDatabase(environment, path)
      defer { database.close() }
      try database.begin()
      database.end()
      try database.copyLogBack()
    } catch {
      if [.corrupt, .notADatabase].contains(error.code.primary) { return }
      throw EngineError(
        error.code, error.message, object: error.object ?? path, cause: error.cause,
        hint: error.hint ?? "the old database is left as it is; try again, or move it away with what lies beside it")
    }
  }
}
