// `PRAGMA wal_size_limit`: whether the log may grow, whether it can start again, and who keeps it from that (SPEC, "Checkpoints
// and the log's size").
//
// No transaction begins to append to a log that has reached its limit. One that wants to waits, without a place in line, until all
// is copied back and nobody reads from the log; then it starts the log again and goes on.

import ApusBase
import ApusIO

/// Who keeps the log from starting again.
enum LogHolder: Equatable {
  case connection(number: Int, openNanoseconds: UInt64)
  /// The transaction that asks.
  case own
  case otherProcess
  /// Nobody who reads: a checkpoint that is under way, or commits that wait for a sync.
  case nobody

  var words: String {
    switch self {
    case .connection(let number, let open): "the snapshot of connection \(number), open for \(Self.words(open)), holds it back"
    case .own: "the snapshot of this transaction holds it back"
    case .otherProcess: "a snapshot of another process holds it back"
    case .nobody: "it is being copied back"
    }
  }

  private static func words(_ nanoseconds: UInt64) -> String {
    nanoseconds < 1_000_000_000 ? "\(nanoseconds / 1_000_000) ms" : "\(nanoseconds / 1_000_000_000) s"
  }
}

extension WriteAheadLog {
  /// Bytes of the log's file up to the end of frame `frame`; 0 for a log without frames.
  func byteCount(through frame: UInt32) -> Int64 {
    frame == 0 ? 0 : WALFormat.frameOffset(frame + 1, pageSize: pageSize)
  }

  /// The limit of `PRAGMA wal_size_limit` in bytes; 0: none.
  var roomLimit: Int64 { cache?.logs.limit ?? 0 }

  /// A log that ends with frame `frame` has reached its limit.
  func isFull(through frame: UInt32) -> Bool {
    let limit = roomLimit
    #if PlantedBugs
      if PlantedBug.isActive(.appendAtLimit) { return false }
    #endif
    return limit > 0 && byteCount(through: frame) >= limit
  }

  /// From half of the limit on checkpoints try to have everything copied at one moment.
  func isHalfFull(through frame: UInt32) -> Bool {
    let limit = roomLimit
    return limit > 0 && byteCount(through: frame) >= limit / 2
  }

  /// A snapshot of the newest state may lie on an older mark, as where all were taken when it began: then it keeps frames from
  /// being copied back that it does not need. It moves to a mark of the newest state, its own where nobody else is on that.
  func moveToNewestMark() throws(Fault) {
    #if PlantedBugs
      if PlantedBug.isActive(.keepOlderMark) { return }
    #endif
    guard let mark = readMark, try !isOnNewestMark, try index.readHeader() == header else { return }
    let frame = header.frameCount
    if try lockToChange(WALIndex.readSlot(mark)) {
      try index.setReadMark(mark, frame)
      _ = try lock(.shared, WALIndex.readSlot(mark))
      return
    }
    for other in 1..<WALIndex.readMarkCount where other != mark {
      let slot = WALIndex.readSlot(other)
      if try index.readMark(other) != frame {
        if try !lockToChange(slot) { continue }
        try index.setReadMark(other, frame)
        unlock(slot)
      }
      if try !lock(.shared, slot) { continue }
      index.memory.barrier()
      // The old mark is held until here: the log cannot have started again. Where somebody has committed since, a checkpoint may
      // have looked at this mark before it was ours, and find the old one free: then it stays where it is.
      if try index.readMark(other) == frame, try index.readHeader() == header {
        unlock(WALIndex.readSlot(mark))
        readMark = other
        return
      }
      unlock(slot)
    }
  }

  /// Nothing that its snapshot does not need is kept back by its mark.
  var isOnNewestMark: Bool {
    get throws(Fault) {
      guard let mark = readMark, mark > 0 else { return true }
      return try index.readMark(mark) >= header.frameCount
    }
  }

  /// Where everything is copied back, a snapshot of the newest state need not keep the log: the file holds it.
  /// - Returns: true where it is on mark 0 now.
  func moveToMarkZero() throws(Fault) -> Bool {
    guard let mark = readMark, mark > 0 else { return readMark == 0 }
    #if PlantedBugs
      let isBlind = PlantedBug.isActive(.moveToZeroUncopied)
    #else
      let isBlind = false
    #endif
    guard try index.readHeader() == header, try index.backfill == header.frameCount || isBlind else { return false }
    guard try lock(.shared, WALIndex.readSlot(0)) else { return false }
    index.memory.barrier()
    guard try index.readHeader() == header else {
      unlock(WALIndex.readSlot(0))
      return false
    }
    unlock(WALIndex.readSlot(mark))
    readMark = 0
    return true
  }

  /// Everything is copied back, and nobody else reads from the log: the next writer starts it again.
  func canRestart() throws(Fault) -> Bool {
    guard let published = try index.readHeader(), try index.backfill == published.frameCount else { return false }
    // Its own mark stays locked.
    for mark in 1..<WALIndex.readMarkCount where mark != readMark {
      guard try lock(.exclusive, WALIndex.readSlot(mark)) else { return false }
      unlock(WALIndex.readSlot(mark))
    }
    return true
  }

  /// Who keeps the log from starting again: of those who read from it the one that began first with the oldest state.
  func holder() -> LogHolder { (try? foundHolder()) ?? .nobody }

  private func foundHolder() throws(Fault) -> LogHolder {
    guard let published = try index.readHeader() else { return .nobody }
    var oldest: (mark: Int, frame: UInt32)?
    for mark in 1..<WALIndex.readMarkCount {
      let frame = try index.readMark(mark)
      if let known = oldest, known.frame <= frame { continue }
      if mark == readMark {
        oldest = (mark, frame)
      } else if try lockToChange(WALIndex.readSlot(mark)) {
        unlock(WALIndex.readSlot(mark))
      } else {
        oldest = (mark, frame)
      }
    }
    if oldest == nil, try index.backfill < published.frameCount {
      // Who reads the file itself keeps others from copying into it.
      if readMark == 0 {
        oldest = (0, 0)
      } else if try lockToChange(WALIndex.readSlot(0)) {
        unlock(WALIndex.readSlot(0))
      } else if checkpoint?.holdsCopyLock != true {
        oldest = (0, 0)
      }
    }
    guard let oldest else { return .nobody }
    if let other = cache?.logs.reader(on: oldest.mark, besides: connection) {
      let now = environment.monotonicNanoseconds()
      return .connection(number: other.number, openNanoseconds: now - min(other.since, now))
    }
    return oldest.mark == readMark ? .own : .otherProcess
  }
}
