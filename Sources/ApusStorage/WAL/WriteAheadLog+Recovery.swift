// Recovery: rebuilds the wal-index from the log. The frames of the longest prefix in which every checksum holds and
// every salt is the header's count, up to its last commit frame. Runs under the write, checkpoint and recover locks. What
// it finds may be a commit that ended with its process before the sync: the log is synced first, so that nobody is shown, and
// builds upon, what the next power cut takes away.

import ApusBase
import ApusIO

struct Recovery {
  enum Phase { case size, sync, header, frames, tail }

  var phase = Phase.size
  var fileByteCount: Int64 = 0
  var group: RequestGroup?
  var buffer: MutableByteView?
  var header = WALIndexHeader()
  var sum = WALChecksum()
  var nextFrame: UInt32 = 1
  /// The page of each frame that fits. The index gets them at the end: there are connections that read by it meanwhile.
  let pages = FramePages()
  var batchCount = 0

  // Behind the first frame that does not fit.
  var breakFrame: UInt32 = 0
  /// What the frame before says its checksum is; nil where it is not of this log.
  var storedSum: WALChecksum?
  var strangeCount = 0
  /// Commits in the chain of frames that fit each other, and in the longest one.
  var chainCommits = 0
  var lostCommits = 0
}

/// Pages by frame, the first frame's first. Four bytes a frame; a class, so that a copy of the recovery's state copies none.
final class FramePages {
  var numbers: [UInt32] = []
}

extension WriteAheadLog {
  private static let batchByteCount = 256 * 1024

  /// The index's header cannot be trusted: take the locks and begin.
  func startRecovery() throws(Fault) {
    if isReadOnly, (try? lock(.exclusive, WALIndex.writeSlot)) == nil {
      throw .error(
        .readOnlyRecovery, object: path, cause: "the log must be recovered, and its index can be read only",
        hint: "open the database once with write permission")
    }
    guard try lock(.exclusive, WALIndex.writeSlot) else {
      if try lock(.shared, WALIndex.recoverSlot) {
        unlock(WALIndex.recoverSlot)
        // Somebody writes, or takes the locks for a recovery; the header will be there in a moment.
        return try retryLater()
      }
      throw .error(.busyRecovery, object: path, cause: "another connection recovers the log")
    }
    let isAlone: Bool
    do throws(Fault) {
      if try index.readHeader() != nil {
        unlock(WALIndex.writeSlot)
        return
      }
      isAlone = try lock(.exclusive, WALIndex.checkpointSlot, count: 2)
    } catch {
      unlock(WALIndex.writeSlot)
      throw error
    }
    guard isAlone else {
      unlock(WALIndex.writeSlot)
      return try retryLater()
    }
    recovery = Recovery()
  }

  /// Makes the index's header valid where it is not.
  func recoverIfNeeded() throws(Fault) {
    while true {
      if recovery != nil { try continueRecovery() }
      if try index.readHeader() != nil { return }
      try startRecovery()
    }
  }

  func abandonRecovery() -> RequestGroup? {
    guard let group = recovery?.group else {
      if recovery != nil { endRecovery() }
      return nil
    }
    endRecovery()
    return group
  }

  private func endRecovery() {
    recovery = nil
    unlock(WALIndex.writeSlot, count: 3)
  }

  func continueRecovery() throws(Fault) {
    guard var state = recovery else { return }
    do {
      try recover(&state)
      recovery = state
      try finishRecovery(state)
      endRecovery()
    } catch {
      switch error {
      case .wait: recovery = state
      case .failure: endRecovery()
      }
      throw error
    }
  }

  private func recover(_ state: inout Recovery) throws(Fault) {
    let frameByteCount = WALFormat.frameHeaderByteCount + pageSize
    while true {
      #if PlantedBugs
        if environment.fires(.walYieldInRecovery) { throw .wait(.nothing) }
      #endif
      switch state.phase {
      case .size:
        let file = self.file
        state.fileByteCount = try faulting { () throws(EngineError) in try file.size() }
        if state.fileByteCount <= Int64(WALFormat.headerByteCount) { return }
        if syncsAtRecovery, !isReadOnly, !skipsRecoverySync {
          let group = RequestGroup()
          group.add(queue.sync(file, .data))
          group.add(queue.syncDirectory(of: path))
          state.group = group
        }
        state.phase = .sync
      case .sync:
        if let group = state.group {
          try group.finish(queue)
          needsDirectorySync = false
        }
        read(&state, at: 0, byteCount: WALFormat.headerByteCount)
        state.phase = .header
      case .header:
        guard let view = try finishRead(&state, WALFormat.headerByteCount) else { return }
        guard try readFileHeader(view, &state) else { return }
        state.phase = .frames
        readFrames(&state)
      case .frames:
        if state.batchCount == 0 { return }
        guard let view = try finishRead(&state, state.batchCount * frameByteCount) else { return }
        for position in 0..<state.batchCount {
          let frame = view.slice(position * frameByteCount, frameByteCount)
          guard try recoverFrame(frame, &state) else {
            state.breakFrame = state.nextFrame
            state.phase = .tail
            break
          }
        }
        readFrames(&state)
      case .tail:
        if state.batchCount == 0 { return }
        guard let view = try finishRead(&state, state.batchCount * frameByteCount) else { return }
        for position in 0..<state.batchCount {
          lookBehindBreak(view.slice(position * frameByteCount, frameByteCount), &state)
          if state.strangeCount > WriteAheadLog.strangeFramesMax { return }
        }
        readFrames(&state)
      }
    }
  }

  private var skipsRecoverySync: Bool {
    #if PlantedBugs
      return PlantedBug.isActive(.skipRecoverySync)
    #else
      return false
    #endif
  }

  private func read(_ state: inout Recovery, at offset: Int64, byteCount: Int) {
    let group = RequestGroup()
    let buffer = group.allocate(byteCount)
    group.add(queue.read(file, at: offset, into: buffer))
    state.buffer = buffer
    state.group = group
  }

  /// nil where the file is shorter than its size said.
  private func finishRead(_ state: inout Recovery, _ byteCount: Int) throws(Fault) -> ByteView? {
    guard let group = state.group, let buffer = state.buffer else { return nil }
    try group.finish(queue)
    return group.firstResult == byteCount ? buffer.readable : nil
  }

  private func readFrames(_ state: inout Recovery) {
    let frameByteCount = WALFormat.frameHeaderByteCount + pageSize
    let offset = WALFormat.frameOffset(state.nextFrame, pageSize: pageSize)
    #if PlantedBugs
      let end = state.fileByteCount - (PlantedBug.isActive(.recoverOneFrameLess) ? 1 : 0)
    #else
      let end = state.fileByteCount
    #endif
    let left = Int((end - offset) / Int64(frameByteCount))
    state.batchCount = max(0, min(left, max(1, WriteAheadLog.batchByteCount / frameByteCount)))
    if state.batchCount > 0 { read(&state, at: offset, byteCount: state.batchCount * frameByteCount) }
  }

  /// False where the header is damaged: the log then holds nothing.
  private func readFileHeader(_ view: ByteView, _ state: inout Recovery) throws(Fault) -> Bool {
    let magic = view.bigEndianUInt32(at: 0)
    guard magic & ~1 == WALFormat.magic, Int(view.bigEndianUInt32(at: 8)) == pageSize else { return false }
    state.header.isBigEndian = magic & 1 != 0
    var sum = WALChecksum()
    sum.add(view.slice(0, 24), isBigEndian: state.header.isBigEndian)
    guard sum.first == view.bigEndianUInt32(at: 24), sum.second == view.bigEndianUInt32(at: 28) else { return false }
    guard view.bigEndianUInt32(at: 4) == WALFormat.version else {
      throw .error(.cannotOpen, object: path, cause: "the log has an unknown version")
    }
    sequence = view.bigEndianUInt32(at: 12)
    state.header.salts = view.bigEndianUInt64(at: 16)
    state.sum = sum
    return true
  }

  private func recoverFrame(_ frame: ByteView, _ state: inout Recovery) throws(Fault) -> Bool {
    let number = frame.bigEndianUInt32(at: 0)
    guard frame.bigEndianUInt64(at: 8) == state.header.salts, number != 0 else { return false }
    state.sum.add(frame.slice(0, 8), isBigEndian: state.header.isBigEndian)
    state.sum.add(
      frame.suffix(from: WALFormat.frameHeaderByteCount), isBigEndian: state.header.isBigEndian)
    guard state.sum.first == frame.bigEndianUInt32(at: 16), state.sum.second == frame.bigEndianUInt32(at: 20) else {
      return false
    }
    state.pages.numbers.append(number)
    let pageCount = frame.bigEndianUInt32(at: 4)
    var isCommit = pageCount != 0
    #if PlantedBugs
      if PlantedBug.isActive(.acceptUncommittedTail) { isCommit = true }
    #endif
    if isCommit {
      state.header.frameCount = state.nextFrame
      if pageCount != 0 { state.header.pageCount = pageCount }
      state.header.checksum = state.sum
    }
    state.nextFrame += 1
    return true
  }

  /// Frames of other logs in a row behind which none of this one is looked for.
  private static let strangeFramesMax = 32

  /// A torn tail is at most one transaction, and what stands behind it are frames of older logs. Frames of this log that
  /// continue each other and hold two commits were there when the second of them was written: the frame before them has
  /// been damaged since, or the disk never got it (a power cut with `synchronous` NORMAL).
  private func lookBehindBreak(_ frame: ByteView, _ state: inout Recovery) {
    state.nextFrame += 1
    guard frame.bigEndianUInt64(at: 8) == state.header.salts, frame.bigEndianUInt32(at: 0) != 0 else {
      state.storedSum = nil
      state.chainCommits = 0
      state.strangeCount += 1
      return
    }
    state.strangeCount = 0
    let stored = WALChecksum(first: frame.bigEndianUInt32(at: 16), second: frame.bigEndianUInt32(at: 20))
    if var sum = state.storedSum {
      sum.add(frame.slice(0, 8), isBigEndian: state.header.isBigEndian)
      sum.add(frame.suffix(from: WALFormat.frameHeaderByteCount), isBigEndian: state.header.isBigEndian)
      if sum != stored {
        state.chainCommits = 0
      } else if frame.bigEndianUInt32(at: 4) != 0 {
        state.chainCommits += 1
        state.lostCommits = max(state.lostCommits, state.chainCommits)
      }
    }
    state.storedSum = stored
  }

  private func reportBreak(_ state: Recovery) throws(Fault) {
    if state.lostCommits < 2 { return }
    let what =
      "frame \(state.breakFrame) of the log is damaged, and \(state.lostCommits) intact commits stand behind it"
    if recoversStrictly {
      throw .error(
        .corrupt, object: path, cause: what,
        hint: "copy the database and its log first; PRAGMA recovery = prefix then takes what stands before the damage")
    }
    notice = "\(path): \(what); they are left out"
  }

  private func finishRecovery(_ state: Recovery) throws(Fault) {
    try reportBreak(state)
    var found = state.header
    found.pageSize = pageSize
    #if PlantedBugs
      if PlantedBug.isActive(.chainFromLastFrame), found.frameCount > 0 { found.checksum = state.sum }
    #endif
    try index.replaceFrames(by: state.pages.numbers.prefix(Int(found.frameCount)))
    try index.setBackfill(0)
    try index.setBackfillAttempted(found.frameCount)
    try index.setReadMark(0, 0)
    for mark in 1..<WALIndex.readMarkCount where mark != readMark {
      #if PlantedBugs
        if PlantedBug.isActive(.resetHeldMarks) { try index.setReadMark(mark, WALIndex.markUnused) }
      #endif
      if try lock(.exclusive, WALIndex.readSlot(mark)) {
        try index.setReadMark(mark, mark == 1 && found.frameCount > 0 ? found.frameCount : WALIndex.markUnused)
        unlock(WALIndex.readSlot(mark))
      }
    }
    try index.writeHeader(found)
  }
}
