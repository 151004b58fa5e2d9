// Keeps a CommitArchive up to date with a database in WAL mode.
//
// Between two rounds it holds a read mark behind what it has copied, so the log cannot start again before the rest is copied.
// See SPEC, chapter 15, for why no commit is missed.

import Apus
import ApusBase
import ApusIO
import ApusStorage

public final class LogArchiver {
  private let archive: CommitArchive
  private let level: Int
  /// The pager whose snapshot is archived, and one that opens the next before that is given up.
  private var held: ArchivedDatabase
  private var next: ArchivedDatabase
  private let lock: PlainFile
  /// The log was started again by us, behind this file: it goes on from its beginning.
  private var restartedLog: UInt64?

  /// Frames after which the archiver starts the log again itself; nobody else can while it holds its mark.
  public var framesBeforeRestart: UInt32 = 4000

  /// What a round has found.
  public struct Round: Sendable {
    /// Commits that came into the archive, the base included.
    public var commits: UInt64 = 0
    public var tookBase = false
    public var restartedLog = false
    /// Why the log, which is long, could not be started again; a later round tries it again.
    public var restartFailure: EngineError?
  }

  /// - Throws: SQLITE_BUSY where another archiver works on the directory; SQLITE_CORRUPT where HEAD is not its newest.
  public init(
    _ archive: CommitArchive, database path: String, level: Int = DatabaseArchive.levelDefault
  ) throws(EngineError) {
    self.archive = archive
    self.level = level
    lock = try PlainFile(archive.environment, archive.directory + "/LOCK", .create)
    guard try lock.file.lock(.exclusive, at: 0, length: 1) else {
      throw EngineError(.busy, object: archive.directory, cause: "another archiver works on it")
    }
    held = try ArchivedDatabase(archive.environment, path, keepsLog: true)
    next = try ArchivedDatabase(archive.environment, path, keepsLog: true)
    try archive.readHead()
    try checkHeadIsNewest()
  }

  /// A process that is stopped leaves one file that HEAD does not know, and that is written anew. Where there are more,
  /// HEAD is an old one or lost, and the files that would be written over are the archive.
  private func checkHeadIsNewest() throws(EngineError) {
    let ordinal = (archive.head?.ordinal ?? 0) + 2
    for kind in [ArchiveRecord.Kind.base, .segment] {
      let path = archive.path(ordinal, kind)
      if try archive.environment.exists(path) {
        throw EngineError(
          .corrupt, object: path, cause: "the archive has files behind the one that HEAD names",
          hint: "put its newest HEAD back, or start a new archive in an empty directory")
      }
    }
  }

  /// A read mark keeps the log from starting again behind what is in the archive.
  private var isHolding: Bool { held.pager.state == .read }

  /// Copies what was committed since the last round. Afterwards the log is held until the next round, or `close`.
  public func round(progress: (ArchiveProgress) -> Void = { _ in }) throws(EngineError) -> Round {
    var result = Round()
    try next.begin()
    guard let position = next.pager.logPosition else {
      next.end()
      throw EngineError(
        .error, object: next.pager.filePath, cause: "the database is not in WAL mode",
        hint: "PRAGMA journal_mode = wal, or back up without --incremental")
    }
    do throws(EngineError) {
      try copy(position, &result, progress)
    } catch {
      next.end()
      throw error
    }
    held.end()
    swap(&held, &next)
    if position.frame >= framesBeforeRestart {
      // What came into the archive is in it, whatever becomes of the log.
      do throws(EngineError) { result.restartedLog = try restart(position) } catch { result.restartFailure = error }
    }
    return result
  }

  /// The same for an archiver that goes on.
  /// - Returns: nil where somebody was in the way all the time: a later round copies what this one could not.
  public func roundUnlessBusy(progress: (ArchiveProgress) -> Void = { _ in }) throws(EngineError) -> Round? {
    do throws(EngineError) {
      return try round(progress: progress)
    } catch {
      if error.code.primary == .busy { return nil }
      throw error
    }
  }

  private func copy(
    _ position: LogPosition, _ result: inout Round, _ progress: (ArchiveProgress) -> Void
  ) throws(EngineError) {
    guard let head = archive.head else { return try takeBase(nil, &result, progress) }
    let start: LogPosition?
    // An empty log has no salts, and looks like any other: while nobody held it, commits may have come, been copied back and
    // lost their log.
    if head.salts == 0, !isHolding { return try takeBase(head, &result, progress) }
    if head.salts == position.salts, head.frame <= UInt64(position.frame), head.pageSize == UInt64(next.pager.pageSize) {
      start = head.position
      if head.frame == UInt64(position.frame) {
        // Nothing new; a log of another history with the same salts and length there is not, unless copied by hand.
        if head.checksum == position.checksum || head.frame == 0 { return }
        return try takeBase(head, &result, progress)
      }
    } else if isHolding, restartedLog == position.salts || head.frame == 0 {
      // The log that we started again, or one that was empty and got its salts with its first frame: all of it is new.
      start = nil
      if position.frame == 0 { return }
    } else {
      return try takeBase(head, &result, progress)
    }
    guard let walk = LogWalk(next.pager, from: start) else { return try takeBase(head, &result, progress) }
    var record = ArchiveRecord()
    record.kind = .segment
    record.archive = head.archive
    record.ordinal = head.ordinal + 1
    record.previous = head.digest
    record.firstCommit = head.lastCommit + 1
    record.lastCommit = head.lastCommit
    record.pageSize = UInt64(next.pager.pageSize)
    let writer = try ArchiveWriter(archive.environment, archive.path(record.ordinal, .segment), level: level)
    var header = ByteBuffer()
    var goesOn = true
    do throws(EngineError) {
      while goesOn {
        goesOn = try next.run { () throws(Fault) in
          try walk.next { page, commitPageCount, bytes in
            header.removeAll()
            header.resize(to: 8)
            header.mutableBytes.setBigEndianUInt32(page, at: 0)
            header.mutableBytes.setBigEndianUInt32(commitPageCount, at: 4)
            writer.append(header.bytes)
            writer.append(bytes)
            if commitPageCount != 0 {
              record.lastCommit += 1
              record.pageCount = UInt64(commitPageCount)
            }
          }
        }
        try writer.check()
      }
    } catch {
      // Not the log that the archive knows: what was written of it goes with the writer.
      guard error.code == .corrupt else { throw error }
      return try takeBase(head, &result, progress)
    }
    record.take(position)
    record.time = UInt64(max(0, archive.environment.wallClockMilliseconds()))
    try dropLeftover(record.ordinal)
    let written = try writer.finish(record, replaces: true)
    try archive.writeHead(written)
    restartedLog = nil
    result.commits += written.lastCommit - head.lastCommit
  }

  private func takeBase(
    _ head: ArchiveRecord?, _ result: inout Round, _ progress: (ArchiveProgress) -> Void
  ) throws(EngineError) {
    var record = ArchiveRecord()
    record.archive = head?.archive ?? max(archive.environment.randomUInt64(), 1)
    record.ordinal = (head?.ordinal ?? 0) + 1
    record.previous = head?.digest ?? 0
    record.firstCommit = (head?.lastCommit ?? 0) + 1
    record.lastCommit = record.firstCommit
    let writer = try ArchiveWriter(archive.environment, archive.path(record.ordinal, .base), level: level)
    try dropLeftover(record.ordinal)
    // The log does not tell whether a database that was at rest has changed: its content does.
    let isAtRest = head?.salts == 0 && head?.kind == .base && next.pager.logPosition?.salts == 0
    let written = try next.writeBase(writer, record, replaces: true, progress) { record in
      !isAtRest || !record.hasContent(of: head)
    }
    restartedLog = nil
    guard let written else { return }
    try archive.writeHead(written)
    result.commits += 1
    result.tookBase = true
  }

  /// A file without its HEAD, of the other kind: the next reader must not find two.
  private func dropLeftover(_ ordinal: UInt64) throws(EngineError) {
    for kind in [ArchiveRecord.Kind.base, .segment] {
      try archive.environment.delete(archive.path(ordinal, kind))
    }
  }

  /// Everything up to `position` is in the archive: the log may start again, if nobody has committed since. The new mark is taken
  /// before anybody can commit.
  private func restart(_ position: LogPosition) throws(EngineError) -> Bool {
    let (old, fresh) = (held, next)
    // The pager that restarts must have seen the log.
    if fresh.pager.state == .none {
      try fresh.begin()
      fresh.end()
    }
    let isRestarted = try fresh.run { () throws(Fault) in try fresh.pager.restartLog(at: position) { old.end() } }
    if fresh.pager.state == .read {
      swap(&held, &next)
      if isRestarted { restartedLog = held.pager.logPosition?.salts }
    }
    return isRestarted
  }

  /// Gives the log free.
  public func close() {
    held.close()
    next.close()
    lock.close()
  }
}
