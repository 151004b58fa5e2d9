// Appending frames: one gathered write, one sync for a commit, then the index, then the header that makes it visible.
//
//   header write -> header sync -> frames write -> sync -> index -> published
//
// Up to the write of a commit frame the transaction can be rolled back by forgetting the tip. From then until it is
// published, rolling back first breaks the commit frame in the file (`doubtfulFrame`), so that no recovery finds it.
//
// A small commit that is synced and would make the file longer writes zeros behind its frames, room for the next ones: their
// sync then has no new blocks and no new size to record, which takes half as long. No frame is ever found in zeros.

import ApusBase
import ApusIO

enum AppendPhase {
  case idle
  case header(RequestGroup)
  case headerSync(RequestGroup)
  case frames(RequestGroup, AppendedFrames)
  case sync(RequestGroup, AppendedFrames)

  var group: RequestGroup? {
    switch self {
    case .idle: nil
    case .header(let group), .headerSync(let group): group
    case .frames(let group, _), .sync(let group, _): group
    }
  }
}

struct AppendedFrames {
  var pages: [UInt32]
  var checksum: WALChecksum
  /// Where the write ends in the file, and how much of it are zeros.
  var end: Int64
  var zeroBytes: Int
}

extension WriteAheadLog {
  /// Frames that zeros are written for at a time.
  static let filledFrameCount = 32

  /// Appends the images as frames; with `commitPageCount` the last one commits. Called again until it returns.
  /// - Parameter images: must be the same at each call; they stay unchanged until it returns. In a turn the commit is neither
  ///   synced nor published: `handOver` follows.
  func appendFrames(
    _ images: [PageImage], commitPageCount: UInt32, syncsHeader: Bool, syncsFrames: Bool
  ) throws(Fault) {
    precondition(holdsWriteLock && hasRoom && !images.isEmpty)
    let fills = commitPageCount != 0 && syncsFrames
    while true {
      #if PlantedBugs
        if environment.fires(.walYieldInAppend) { throw .wait(.nothing) }
      #endif
      switch append {
      case .idle:
        try index.reserve(tip + UInt32(images.count))
        append = needsHeader ? .header(writeFileHeader()) : writeFrames(images, commitPageCount, fills)
      case .header(let group):
        try step(group)
        needsHeader = false
        mayCutFile = true
        #if PlantedBugs
          if PlantedBug.isActive(.keepLongLog) { mayCutFile = false }
        #endif
        #if PlantedBugs
          let skipsHeader = PlantedBug.isActive(.skipLogHeaderSync)
        #else
          let skipsHeader = false
        #endif
        if syncsHeader && !skipsHeader {
          append = .headerSync(sync())
        } else {
          append = writeFrames(images, commitPageCount, fills)
        }
      case .headerSync(let group):
        try step(group)
        append = writeFrames(images, commitPageCount, fills)
      case .frames(let group, let frames):
        do throws(Fault) {
          try step(group)
        } catch {
          guard case .failure(let failure) = error, failure.code.primary == .full, frames.zeroBytes > 0 else {
            throw error
          }
          mayFill = false
          continue
        }
        if let allocated = allocatedByteCount { allocatedByteCount = max(allocated, frames.end) }
        #if PlantedBugs
          let skips = PlantedBug.isActive(.skipWALSync) || PlantedBug.isActive(.syncBesideFrames)
        #else
          let skips = false
        #endif
        if commitPageCount != 0 && syncsFrames && !skips && turn == nil {
          append = .sync(sync(), frames)
        } else {
          return try finishAppend(frames, commitPageCount)
        }
      case .sync(let group, let frames):
        #if PlantedBugs
          if PlantedBug.isActive(.acknowledgeFailedSync), group.isDone(queue) {
            return try finishAppend(frames, commitPageCount)
          }
        #endif
        try step(group)
        return try finishAppend(frames, commitPageCount)
      }
    }
  }

  private func step(_ group: RequestGroup) throws(Fault) {
    do {
      try group.finish(queue)
      settle(group)
    } catch {
      if case .failure = error { append = .idle }
      throw error
    }
  }

  private func sync() -> RequestGroup {
    let group = RequestGroup()
    addSync(to: group)
    return group
  }

  private func writeFileHeader() -> RequestGroup {
    if header.salts == 0 { header.salts = environment.randomUInt64() }
    header.isBigEndian = false
    let group = RequestGroup()
    let view = group.allocate(WALFormat.headerByteCount)
    tipChecksum = WALFormat.writeHeader(
      view, pageSize: pageSize, sequence: sequence, salts: header.salts, isBigEndian: header.isBigEndian)
    group.add(queue.write(file, at: 0, from: [view.readable]))
    return group
  }

  private func writeFrames(_ images: [PageImage], _ commitPageCount: UInt32, _ fills: Bool) -> AppendPhase {
    let group = RequestGroup()
    let headers = group.allocate(images.count * WALFormat.frameHeaderByteCount)
    let next = tip + UInt32(images.count) + 1
    var frames = AppendedFrames(
      pages: [], checksum: tipChecksum, end: WALFormat.frameOffset(next, pageSize: pageSize), zeroBytes: 0)
    frames.pages.reserveCapacity(images.count)
    var views: [ByteView] = []
    views.reserveCapacity(images.count * 2)
    for position in images.indices {
      let image = images[position]
      let view = headers.slice(position * WALFormat.frameHeaderByteCount, WALFormat.frameHeaderByteCount)
      WALFormat.writeFrameHeader(
        view, page: image.bytes, number: image.number,
        commitPageCount: position == images.count - 1 ? commitPageCount : 0, salts: header.salts,
        isBigEndian: header.isBigEndian, sum: &frames.checksum)
      group.hold(image)
      views.append(view.readable)
      views.append(image.bytes)
      frames.pages.append(image.number)
    }
    if fills, mayFill, images.count <= WriteAheadLog.filledFrameCount, endsFile(frames.end) {
      frames.zeroBytes = WriteAheadLog.filledFrameCount * (WALFormat.frameHeaderByteCount + pageSize)
      let zeros = group.allocate(frames.zeroBytes)
      zeros.fill(0, zeros.count)
      views.append(zeros.readable)
      frames.end += Int64(zeros.count)
    }
    if commitPageCount != 0 { doubtfulFrame = tip + 1 }
    group.add(queue.write(file, at: WALFormat.frameOffset(tip + 1, pageSize: pageSize), from: views))
    #if PlantedBugs
      if PlantedBug.isActive(.syncBesideFrames), commitPageCount != 0 { addSync(to: group) }
    #endif
    return .frames(group, frames)
  }

  /// True where what is written up to `end` makes the file longer. Another process that cut the file also restarted the log.
  private func endsFile(_ end: Int64) -> Bool {
    #if PlantedBugs
      if environment.fires(.walSkipZeroFill) { return false }
    #endif
    if let allocatedByteCount, allocatedSalts == header.salts, end <= allocatedByteCount { return false }
    // Other connections make it longer, too.
    allocatedByteCount = try? file.size()
    allocatedSalts = header.salts
    return end > allocatedByteCount ?? .max
  }

  private func finishAppend(_ frames: AppendedFrames, _ commitPageCount: UInt32) throws(Fault) {
    append = .idle
    for page in frames.pages {
      try index.append(tip + 1, page: page)
      tip += 1
    }
    tipChecksum = frames.checksum
    if commitPageCount == 0 { return }
    header.frameCount = tip
    header.pageCount = commitPageCount
    header.checksum = tipChecksum
    header.change &+= 1
    header.pageSize = pageSize
    if turn == nil {
      try index.writeHeader(header)
      doubtfulFrame = nil
      sharedFrameCount = tip
    }
    cutFile()
  }

  /// After the first commit of a log that has started again: frames of the old one need no room any more. A failure leaves
  /// them there, which does no harm.
  private func cutFile() {
    guard mayCutFile, sizeLimit >= 0 else { return }
    #if PlantedBugs
      if environment.fires(.walSkipLengthCut) { return }
    #endif
    mayCutFile = false
    #if PlantedBugs
      let next = PlantedBug.isActive(.cutLastFrame) ? tip : tip + 1
    #else
      let next = tip + 1
    #endif
    let end = max(sizeLimit, WALFormat.frameOffset(next, pageSize: pageSize))
    guard let size = try? file.size(), size > end else { return }
    try? file.truncate(to: end)
    allocatedByteCount = nil
  }

  /// Goes back to an earlier tip: a savepoint, or the beginning.
  func truncateTip(to frame: UInt32, _ checksum: WALChecksum) throws(Fault) {
    if tip != frame { try index.truncate(to: frame) }
    tip = frame
    #if PlantedBugs
      if PlantedBug.isActive(.keepChecksumAtRollback), frame != 0 { return }
    #endif
    tipChecksum = checksum
    #if PlantedBugs
      if PlantedBug.isActive(.forgetLogHeaderAtRollback) { return }
    #endif
    // A savepoint may be older than the file header that its transaction wrote, and does not know its checksum: the next
    // frame is the first one, behind a header of its own.
    if frame == 0 { needsHeader = true }
  }

  /// Overwrites the headers of frames, so that no recovery goes beyond them.
  func breakFrames(_ frames: [UInt32]) -> RequestGroup {
    let group = RequestGroup()
    let zeros = group.allocate(WALFormat.frameHeaderByteCount)
    zeros.fill(0, zeros.count)
    for frame in frames {
      group.add(queue.write(file, at: WALFormat.frameOffset(frame, pageSize: pageSize), from: [zeros.readable]))
    }
    return group
  }

  /// Overwrites the first header of a commit that was written but not published.
  func breakDoubtfulFrame() -> RequestGroup? {
    guard let frame = doubtfulFrame else { return nil }
    doubtfulFrame = nil
    #if PlantedBugs
      if PlantedBug.isActive(.keepDoubtfulFrame) { return nil }
    #endif
    return breakFrames([frame])
  }
}
