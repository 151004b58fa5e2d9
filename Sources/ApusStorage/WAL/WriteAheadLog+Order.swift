// A transaction that took no lock when it began takes its place in the log's order: the write lock, what was committed since
// its snapshot, and the newest commit as the one that it goes on top of.

import ApusBase
import ApusIO

extension WriteAheadLog {
  /// Takes the write lock and reads what is published under it; whoever committed before is in there.
  /// - Returns: nil where somebody else writes.
  /// - Throws: SQLITE_BUSY_SNAPSHOT where the wal-index has to be recovered: its frames cannot be compared with.
  func takePlace() throws(Fault) -> WALIndexHeader? {
    if isCheckpointWriting { return nil }
    precondition(readMark != nil && !holdsWriteLock)
    #if PlantedBugs
      if PlantedBug.isActive(.foreignSeenLate), seenEarly == nil {
        seenEarly = try index.readHeader()
        throw .wait(.nothing)
      }
    #endif
    guard try lockWriter() else { return nil }
    guard let newest = try? publishedHeader() else {
      releaseWriteLock()
      throw .error(
        .busySnapshot, object: path, cause: "the wal-index was damaged since this transaction began",
        hint: "roll back and run the transaction again")
    }
    return newest
  }

  private func publishedHeader() throws(Fault) -> WALIndexHeader? {
    #if PlantedBugs
      defer { seenEarly = nil }
      if let seenEarly { return seenEarly }
    #endif
    return try newestHeader()
  }

  /// The frames that were committed behind the open snapshot, up to `published`; nil where they cannot be told.
  ///
  /// A read mark above 0 keeps the log from starting again. Mark 0 does not, but it keeps everybody from copying into the file: the
  /// log can start again once, and not once more, since what is in the new one cannot be copied.
  func framesBehindSnapshot(_ published: WALIndexHeader) -> Range<UInt32>? {
    // No log is so long; the index lies in memory that others write to.
    if published.frameCount == .max { return nil }
    if published.salts == header.salts {
      return published.frameCount < header.frameCount ? nil : header.frameCount + 1..<published.frameCount + 1
    }
    let isNext = UInt32(truncatingIfNeeded: published.salts >> 32) == UInt32(truncatingIfNeeded: header.salts >> 32) &+ 1
    guard readMark == 0, isNext || header.frameCount == 0 else { return nil }
    return 1..<published.frameCount + 1
  }

  /// The newest commit is what this transaction's frames go on top of.
  func goOn(topOf published: WALIndexHeader) throws(Fault) {
    precondition(holdsWriteLock)
    header = published
    base = published
    tip = published.frameCount
    tipChecksum = published.checksum
    needsHeader = tip == 0
    try notePublished()
  }
}
