// Committed frames, read from the log as they follow each other: what an archive of commits is made of.
//
// A position is a place between two frames of one log: the log's salts, the frames before it, and the running checksum
// there. Whoever walks on from a position proves by the checksums that he reads the frames which follow those that he knows.

import ApusBase
import ApusIO

public struct LogPosition: Equatable, Sendable {
  public var salts: UInt64
  public var frame: UInt32
  /// Of the last frame before it; at frame 0 nothing is known yet.
  public var checksum: UInt64

  public init(salts: UInt64, frame: UInt32, checksum: UInt64) {
    self.salts = salts
    self.frame = frame
    self.checksum = checksum
  }
}

extension Pager {
  /// A snapshot always holds a read mark that keeps the log from starting again, also where everything is copied back. Where the
  /// database has no log, nothing changes.
  public var keepsLog: Bool {
    get { store?.keepsLog ?? false }
    set {
      precondition(state == .none)
      store?.keepsLog = newValue
    }
  }

  /// Where the open snapshot ends in the log; nil without a log.
  public var logPosition: LogPosition? {
    guard state != .none, let wal = store?.wal else { return nil }
    return LogPosition(wal.header)
  }

  /// Starts the log again from its beginning, if `expected` is where it ends: nothing that is not before that place is lost
  /// sight of. Then, in any case, opens a snapshot with `keepsLog`; between the end of the old mark and the new snapshot the write
  /// lock is held, so nobody commits. Called again after a wait; never waits for a lock.
  /// - Parameter release: ends the snapshot that has kept the log so far.
  /// - Precondition: no snapshot is open, and one was before.
  /// - Returns: whether the log was started again.
  public func restartLog(at expected: LogPosition, release: () -> Void) throws(Fault) -> Bool {
    precondition(state == .none)
    guard let store, let wal = store.wal, !configuration.isReadOnly else { return false }
    if !wal.holdsWriteLock {
      guard try wal.lock(.exclusive, WALIndex.writeSlot) else { return false }
      wal.holdsWriteLock = true
      guard let header = try wal.index.readHeader(), LogPosition(header) == expected else {
        wal.releaseWriteLock()
        return false
      }
      release()
    }
    do throws(Fault) {
      _ = try wal.runCheckpoint(
        .truncate, database: store.file, synchronous: max(configuration.synchronous, .normal), cache: nil,
        generation: { _ in 0 }
      ) { () throws(Fault) in }
    } catch {
      if case .wait = error { throw error }
      wal.releaseWriteLock()
      throw error
    }
    // Marks cannot be missed now: nobody writes. So this does not race, but for checkpointers that move marks.
    store.keepsLog = true
    wal.holdsWriteLock = false
    do throws(Fault) {
      try openSnapshot(store)
    } catch {
      wal.holdsWriteLock = true
      if case .failure = error { wal.releaseWriteLock() }
      throw error
    }
    wal.holdsWriteLock = true
    wal.releaseWriteLock()
    state = .read
    return wal.header.salts != expected.salts
  }
}

extension LogPosition {
  init(_ header: WALIndexHeader) {
    self.init(
      salts: header.salts, frame: header.frameCount,
      checksum: UInt64(header.checksum.first) << 32 | UInt64(header.checksum.second))
  }
}

/// Reads the frames from a position up to the end of a pager's open snapshot.
public final class LogWalk {
  private let pager: Pager
  private let end: LogPosition
  private var position: LogPosition
  private var group: RequestGroup?
  private var buffer: MutableByteView?
  private var batchCount: UInt32 = 0
  private var knowsStart: Bool

  private static let batchFrames: UInt32 = 64

  /// - Parameter start: nil for the log's beginning.
  /// - Precondition: the pager has a snapshot of a log with `keepsLog`, and keeps it until the walk has ended.
  public init?(_ pager: Pager, from start: LogPosition?) {
    guard let end = pager.logPosition else { return nil }
    self.pager = pager
    self.end = end
    position = start ?? LogPosition(salts: end.salts, frame: 0, checksum: 0)
    knowsStart = position.frame > 0
    guard position.salts == end.salts, position.frame <= end.frame else { return nil }
  }

  /// Shows the next frames. Called again after a wait.
  /// - Parameter body: page number, pages of the database where the frame commits (else 0), the page.
  /// - Returns: false at the end.
  /// - Throws: SQLITE_CORRUPT where the frames are not those that follow.
  public func next(_ body: (_ page: UInt32, _ commitPageCount: UInt32, _ bytes: ByteView) -> Void) throws(Fault) -> Bool {
    guard let store = pager.store, let wal = store.wal, position.frame < end.frame else { return false }
    let frameByteCount = WALFormat.frameHeaderByteCount + pager.pageSize
    let headByteCount = knowsStart ? 0 : WALFormat.headerByteCount
    if group == nil {
      let fresh = RequestGroup()
      batchCount = min(LogWalk.batchFrames, end.frame - position.frame)
      let view = fresh.allocate(headByteCount + Int(batchCount) * frameByteCount)
      let offset = WALFormat.frameOffset(position.frame + 1, pageSize: pager.pageSize) - Int64(headByteCount)
      fresh.add(store.queue.read(wal.file, at: offset, into: view))
      group = fresh
      buffer = view
    }
    guard let group, let view = buffer?.readable else { return false }
    try group.finish(store.queue)
    guard group.firstResult == view.count else { throw foreign("the log is shorter than its index says") }
    if !knowsStart {
      guard view.bigEndianUInt64(at: 16) == end.salts else { throw foreign("the log's header has other salts") }
      position.checksum = view.bigEndianUInt64(at: 24)
      knowsStart = true
    }
    let isBigEndian = wal.header.isBigEndian
    var sum = WALChecksum(
      first: UInt32(truncatingIfNeeded: position.checksum >> 32), second: UInt32(truncatingIfNeeded: position.checksum))
    // All of it is right before any of it is shown.
    for index in 0..<Int(batchCount) {
      let frame = view.slice(headByteCount + index * frameByteCount, frameByteCount)
      sum.add(frame.slice(0, 8), isBigEndian: isBigEndian)
      sum.add(frame.suffix(from: WALFormat.frameHeaderByteCount), isBigEndian: isBigEndian)
      guard frame.bigEndianUInt64(at: 8) == end.salts, frame.bigEndianUInt32(at: 16) == sum.first,
        frame.bigEndianUInt32(at: 20) == sum.second
      else { throw foreign("frame \(position.frame + UInt32(index) + 1) does not follow the one before it") }
    }
    for index in 0..<Int(batchCount) {
      let frame = view.slice(headByteCount + index * frameByteCount, frameByteCount)
      body(
        frame.bigEndianUInt32(at: 0), frame.bigEndianUInt32(at: 4),
        frame.suffix(from: WALFormat.frameHeaderByteCount))
    }
    position.frame += batchCount
    position.checksum = UInt64(sum.first) << 32 | UInt64(sum.second)
    self.group = nil
    buffer = nil
    return true
  }

  private func foreign(_ cause: String) -> Fault { .error(.corrupt, object: pager.store?.logPath, cause: cause) }
}
