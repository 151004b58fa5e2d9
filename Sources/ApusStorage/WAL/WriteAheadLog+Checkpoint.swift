// Checkpoints: frames that no reader misses are copied back into the database file.
//
//   locks -> how far -> WAL sync -> copy in batches -> truncate -> database sync -> backfill published -> restart
//
// Everything is sampled under the checkpoint lock and the header is read again after the backfill count: a writer that
// restarts the log in between would otherwise pair an old header with a new count (SPEC, "WAL", the reset race).

import ApusBase
import ApusIO

struct Checkpoint {
  enum Phase {
    case begin, writerLock, plan, readMarks, copyLock, walSync, read, write, finishCopy, databaseSync, publish, reset
  }

  /// What was asked for; `mode` falls back to passive where a writer stays in the way.
  let requested: CheckpointMode
  var mode: CheckpointMode
  /// A passive one that takes the turn, so that everything is copied at one moment.
  let takesTurn: Bool
  /// Where readers hold it back, it is not worth its syncs for fewer.
  let leastFrameCount: UInt32
  var database: any File
  var synchronous: Synchronous
  var phase = Phase.begin
  var isBusy = false
  var group: RequestGroup?
  var header = WALIndexHeader()
  var backfill: UInt32 = 0
  var safeFrame: UInt32 = 0
  var nextMark = 1
  /// Page << 32 | newest frame, by page.
  var work: [UInt64] = []
  var done = 0
  var batchEnd = 0
  var images: [PageImage] = []
  var holdsCheckpointLock = false
  /// The write lock is its own, or it is in line for it.
  var wantsWriteLock = false
  var holdsCopyLock = false
  /// The sync of the log is under way, for whatever is pending as well.
  var syncsLog = false
  #if PlantedBugs
    var sampled: (WALIndexHeader, UInt32)?
  #endif

  init(mode: CheckpointMode, takesTurn: Bool, leastFrameCount: UInt32, database: any File, synchronous: Synchronous) {
    requested = mode
    self.takesTurn = takesTurn
    self.leastFrameCount = leastFrameCount
    self.mode = mode
    self.database = database
    self.synchronous = synchronous
  }
}

struct CheckpointResult {
  var isBusy: Bool
  var frameCount: UInt32
  var backfill: UInt32
  /// The file holds all that the log does, as it is now.
  var isWhole: Bool
  /// A reader misses what was not copied.
  var isHeldBack: Bool
  /// Another checkpoint was under way: this one has looked at nothing.
  var isRefused: Bool
}

extension WriteAheadLog {
  /// Most frames that are copied with the turn in hand.
  static let lastFrameCountMax: UInt32 = 1000
  /// Most pages that are in memory at once.
  private static let batchPageCount = 128
  /// The largest page.
  private static let lockBytePageByteCountMax: Int64 = 65536

  /// A checkpoint of this connection that waits has the write lock, or is in line for it.
  var isCheckpointWriting: Bool { (checkpoint ?? abandoned)?.wantsWriteLock == true }

  /// Called again until it returns. `busy` decides about waiting for a lock: it throws a wait or returns.
  func runCheckpoint(
    _ mode: CheckpointMode, takesTurn: Bool = false, leastFrameCount: UInt32 = 0, database: any File,
    synchronous: Synchronous, cache: FileCache?, generation: (_ salts: UInt64) -> UInt32, busy: () throws(Fault) -> Void
  ) throws(Fault) -> CheckpointResult {
    try settleAbandonedCheckpoint()
    var state =
      checkpoint
      ?? Checkpoint(
        mode: mode, takesTurn: takesTurn, leastFrameCount: leastFrameCount, database: database, synchronous: synchronous)
    checkpoint = nil
    do {
      try advance(&state, cache, generation, busy)
    } catch {
      switch error {
      case .wait: checkpoint = state
      case .failure:
        #if PlantedBugs
          if PlantedBug.isActive(.keepCopyLock) { state.holdsCopyLock = false }
        #endif
        endCheckpoint(&state)
      }
      throw error
    }
    defer { endCheckpoint(&state) }
    let backfill = try index.backfill
    #if PlantedBugs
      let isTrusted = PlantedBug.isActive(.keepDroppedCheckpoint)
    #else
      let isTrusted = false
    #endif
    let now = try index.readHeader()
    let isCurrent = isTrusted || now == state.header
    let isRefused = if case .begin = state.phase { true } else { false }
    return CheckpointResult(
      isBusy: state.isBusy, frameCount: state.header.frameCount, backfill: backfill,
      isWhole: isCurrent && backfill == state.header.frameCount, isHeldBack: state.safeFrame < state.header.frameCount,
      isRefused: isRefused)
  }

  /// Gives up a checkpoint whose statement was dropped; the copied pages do no harm. Pages that are still on their way must not
  /// land behind those of the next checkpoint: its locks stay until they have, see `settleAbandonedCheckpoint`.
  func abandonCheckpoint() -> RequestGroup? {
    guard var state = checkpoint else { return nil }
    checkpoint = nil
    #if PlantedBugs
      let releasesEarly = PlantedBug.isActive(.releaseLocksEarly)
    #else
      let releasesEarly = false
    #endif
    if case .write = state.phase, !releasesEarly, state.group?.isDone(queue) == false {
      abandoned = state
      return nil
    }
    let group = state.group
    state.group = nil
    endCheckpoint(&state)
    return group
  }

  /// Pages of a dropped checkpoint have not landed yet.
  var hasPagesUnderWay: Bool { abandoned?.group?.isDone(queue) == false }

  /// Before anything else is done with the log.
  func settleAbandonedCheckpoint() throws(Fault) {
    guard var state = abandoned else { return }
    if state.group?.isDone(queue) == false { try state.group?.finish(queue) }
    abandoned = nil
    endCheckpoint(&state)
  }

  private func endCheckpoint(_ state: inout Checkpoint) {
    for image in state.images { image.release() }
    state.images = []
    if state.holdsCopyLock { unlock(WALIndex.readSlot(0)) }
    if case .walSync = state.phase, !state.syncsLog { cache?.commits.leaveSyncLine(ObjectIdentifier(self)) }
    if state.wantsWriteLock { releaseWriteLock() }
    #if PlantedBugs
      if PlantedBug.isActive(.keepCheckpointLock), state.isBusy { state.holdsCheckpointLock = false }
    #endif
    if state.holdsCheckpointLock { unlock(WALIndex.checkpointSlot) }
    state.holdsCopyLock = false
    state.wantsWriteLock = false
    state.holdsCheckpointLock = false
  }

  private func advance(
    _ state: inout Checkpoint, _ cache: FileCache?, _ generation: (UInt64) -> UInt32, _ busy: () throws(Fault) -> Void
  ) throws(Fault) {
    while true {
      #if PlantedBugs
        if environment.fires(.checkpointYield) { throw .wait(.nothing) }
      #endif
      switch state.phase {
      case .begin:
        #if PlantedBugs
          // The reset race: what is to be copied is read before the lock is had, and believed ever after.
          if PlantedBug.isActive(.staleCheckpointPlan), state.sampled == nil, let seen = try index.readHeader() {
            state.sampled = (seen, try index.backfill)
            throw .wait(.nothing)
          }
        #endif
        guard try lock(.exclusive, WALIndex.checkpointSlot) else {
          state.isBusy = true
          return
        }
        state.holdsCheckpointLock = true
        state.phase = state.mode == .passive && !state.takesTurn || holdsWriteLock ? .plan : .writerLock
      case .writerLock:
        state.wantsWriteLock = true
        if try !lockWriter(isAlone: true, passesLine: state.takesTurn) {
          try busy()
          releaseWriteLock()
          state.isBusy = true
          if state.takesTurn { return }
          state.mode = .passive
        }
        state.phase = .plan
      case .plan:
        try plan(&state)
      case .readMarks:
        try checkReadMarks(&state, busy)
      case .copyLock:
        let isHeldBack = state.safeFrame < state.header.frameCount
        if state.safeFrame <= state.backfill || isHeldBack && state.safeFrame - state.backfill < state.leastFrameCount {
          state.phase = .reset
          continue
        }
        if readMark == 0 {
          // Our own snapshot is the file: it must not change under a reader of this connection.
          state.isBusy = true
          return
        }
        guard try lock(.exclusive, WALIndex.readSlot(0)) else {
          if state.mode != .passive { try busy() }
          state.isBusy = true
          return
        }
        state.holdsCopyLock = true
        try checkSize(of: state.header, in: state.database)
        try index.setBackfillAttempted(state.safeFrame)
        try collectWork(&state)
        #if PlantedBugs
          if PlantedBug.isActive(.publishBackfillEarly) { try index.setBackfill(state.safeFrame) }
        #endif
        state.phase = .walSync
      case .walSync:
        // Its frames are known: what others' commits were promised holds, whoever copies them back.
        if let cache, let connection, cache.holdsSyncingCommits(ofOthersThan: connection.number) {
          state.synchronous = max(state.synchronous, .normal)
        }
        #if PlantedBugs
          let skips = PlantedBug.isActive(.backfillBeforeWALSync)
        #else
          let skips = false
        #endif
        if state.synchronous == .off || skips {
          state.phase = .read
        } else if state.group == nil, let commits = commitsToSync {
          try syncForCheckpoint(&state.syncsLog, commits)
          state.phase = .read
        } else if let group = state.group {
          try finish(group, &state)
          settle(group)
          state.phase = .read
        } else {
          let group = RequestGroup()
          addSync(to: group)
          state.group = group
        }
      case .read:
        if let group = state.group {
          try finish(group, &state)
          if !group.hasTransferredOnly(pageSize) {
            throw .error(.ioErrorShortRead, object: path, cause: "a committed frame is missing")
          }
          state.phase = .write
        } else if state.done == state.work.count {
          state.phase = .finishCopy
        } else {
          // The log that is copied, as it was found under the checkpoint lock: nobody restarts it now.
          readBatch(&state, cache, generation(state.header.salts))
        }
      case .write:
        if let group = state.group {
          #if PlantedBugs
            if PlantedBug.isActive(.ignoreBackfillErrors), group.isDone(queue) {
              state.group = nil
            } else {
              try finish(group, &state)
            }
          #else
            try finish(group, &state)
          #endif
          for image in state.images { image.release() }
          state.images = []
          state.done = state.batchEnd
          state.phase = .read
        } else {
          writeBatch(&state)
        }
      case .finishCopy:
        #if PlantedBugs
          let cutsAlways = PlantedBug.isActive(.cutToNewestLength)
        #else
          let cutsAlways = false
        #endif
        if try index.readHeader()?.frameCount == state.safeFrame || cutsAlways {
          let database = state.database
          let byteCount = Int64(state.header.pageCount) * Int64(pageSize)
          // A damaged log may lack the last pages: the file gets its length all the same, or it would contradict its header.
          try faulting { () throws(EngineError) in
            if try database.size() != byteCount { try database.truncate(to: byteCount) }
          }
        }
        state.phase = .databaseSync
      case .databaseSync:
        #if PlantedBugs
          let skips = PlantedBug.isActive(.resetBeforeDatabaseSync)
        #else
          let skips = false
        #endif
        if state.synchronous == .off || skips {
          state.phase = .publish
        } else if let group = state.group {
          try finish(group, &state)
          state.phase = .publish
        } else {
          state.group = RequestGroup()
          state.group?.add(queue.sync(state.database, .data))
        }
      case .publish:
        try index.setBackfill(state.safeFrame)
        state.phase = .reset
      case .reset:
        try reset(&state, busy)
        return
      }
    }
  }

  /// Whose commits a sync of the log is for; nil where no other connection of the process could have any.
  private var commitsToSync: CommitQueue? {
    #if PlantedBugs
      if PlantedBug.isActive(.checkpointSyncsAlone) { return nil }
    #endif
    return isReadOnly || index.memory.isPrivate ? nil : cache?.commits
  }

  private func finish(_ group: RequestGroup, _ state: inout Checkpoint) throws(Fault) {
    try group.finish(queue)
    state.group = nil
  }

  /// Header, backfill count, header again: equal headers prove that the count belongs to the log's generation. From
  /// then on no writer can restart the log before this checkpoint ends, since only the holder of the checkpoint lock
  /// raises the count to the last frame.
  private func plan(_ state: inout Checkpoint) throws(Fault) {
    guard let seen = try index.readHeader() else { return try retryLater() }
    index.memory.barrier()
    state.backfill = try index.backfill
    index.memory.barrier()
    guard try index.readHeader() == seen else { return try retryLater() }
    attempts = 0
    state.header = seen
    #if PlantedBugs
      if let sampled = state.sampled { (state.header, state.backfill) = sampled }
    #endif
    state.safeFrame = state.header.frameCount
    state.nextMark = 1
    state.phase = state.backfill < state.header.frameCount ? .readMarks : .reset
    // Others have gone on while it was in line: they must not wait for so much.
    if state.takesTurn, state.header.frameCount - min(state.backfill, state.header.frameCount) > Self.lastFrameCountMax {
      state.phase = .reset
    }
  }

  /// A mark below the last frame belongs to a reader that must not see later pages in the file; one that nobody holds
  /// is moved out of the way.
  private func checkReadMarks(_ state: inout Checkpoint, _ busy: () throws(Fault) -> Void) throws(Fault) {
    while state.nextMark < WALIndex.readMarkCount {
      let mark = state.nextMark
      let frame = try index.readMark(mark)
      if state.safeFrame > frame {
        if try lock(.exclusive, WALIndex.readSlot(mark)) {
          if readMark == mark {
            // Our own: alone on it, it moves to where our snapshot really is.
            try index.setReadMark(mark, header.frameCount)
            _ = try lock(.shared, WALIndex.readSlot(mark))
            state.safeFrame = min(state.safeFrame, max(header.frameCount, frame))
          } else {
            try index.setReadMark(mark, mark == 1 ? state.safeFrame : WALIndex.markUnused)
            unlock(WALIndex.readSlot(mark))
          }
        } else {
          if state.mode != .passive && readMark != mark { try busy() }
          #if PlantedBugs
            let passes = PlantedBug.isActive(.copyPastReaders)
          #else
            let passes = false
          #endif
          if !passes { state.safeFrame = frame }
          if state.mode != .passive { state.isBusy = true }
        }
      }
      state.nextMark += 1
    }
    state.phase = .copyLock
  }

  /// What a commit says of the database's size must come from somewhere: from the file, the log, or the lock bytes' page.
  func checkSize(of header: WALIndexHeader, in database: any File) throws(Fault) {
    let size = try faulting { () throws(EngineError) in try database.size() }
    let lacking = Int64(header.pageCount) * Int64(pageSize) - max(size, 0)
    if lacking > Int64(header.frameCount) * Int64(pageSize) + WriteAheadLog.lockBytePageByteCountMax {
      throw .error(
        .corrupt, object: path,
        cause: "\(header.frameCount) frames make a database of \(header.pageCount) pages out of \(size) bytes",
        hint: "run PRAGMA integrity_check; restore from a backup")
    }
  }

  private func collectWork(_ state: inout Checkpoint) throws(Fault) {
    var all: [UInt64] = []
    all.reserveCapacity(Int(state.safeFrame - state.backfill))
    for frame in (state.backfill + 1)...state.safeFrame {
      let page = try index.page(ofFrame: frame)
      if page >= 1 && page <= state.header.pageCount { all.append(UInt64(page) << 32 | UInt64(frame)) }
    }
    all.sort()
    for position in all.indices where position + 1 == all.count || all[position + 1] >> 32 != all[position] >> 32 {
      #if PlantedBugs
        if PlantedBug.isActive(.copyOlderFrame), position > 0, all[position - 1] >> 32 == all[position] >> 32 {
          state.work.append(all[position - 1])
          continue
        }
      #endif
      state.work.append(all[position])
    }
  }

  private func readBatch(_ state: inout Checkpoint, _ cache: FileCache?, _ generation: UInt32) {
    let group = RequestGroup()
    state.batchEnd = min(state.done + WriteAheadLog.batchPageCount, state.work.count)
    #if PlantedBugs
      if environment.fires(.checkpointBatchOfOne) { state.batchEnd = min(state.done + 1, state.work.count) }
    #endif
    for item in state.work[state.done..<state.batchEnd] {
      let page = UInt32(item >> 32)
      let frame = UInt32(truncatingIfNeeded: item)
      if let image = cache?.find(page, UInt64(generation) << 32 | UInt64(frame)) {
        state.images.append(image)
        continue
      }
      let image = PageImage.allocate(page, byteCount: pageSize)
      state.images.append(image)
      group.hold(image)
      let offset = WALFormat.frameOffset(frame, pageSize: pageSize) + Int64(WALFormat.frameHeaderByteCount)
      group.add(queue.read(file, at: offset, into: image.mutableBytes))
    }
    state.group = group
  }

  private func writeBatch(_ state: inout Checkpoint) {
    let group = RequestGroup()
    var position = 0
    while position < state.images.count {
      let first = state.images[position]
      var views: [ByteView] = []
      while position < state.images.count && state.images[position].number == first.number + UInt32(views.count) {
        views.append(state.images[position].bytes)
        group.hold(state.images[position])
        position += 1
      }
      group.add(queue.write(state.database, at: Int64(first.number - 1) * Int64(pageSize), from: views))
    }
    state.group = group
  }

  /// RESTART waits until the next writer can start the log again; TRUNCATE starts it and empties the file.
  private func reset(_ state: inout Checkpoint, _ busy: () throws(Fault) -> Void) throws(Fault) {
    if state.holdsCopyLock {
      unlock(WALIndex.readSlot(0))
      state.holdsCopyLock = false
    }
    switch state.mode {
    case .passive: return
    case .full:
      if try index.backfill < state.header.frameCount { state.isBusy = true }
    case .restart, .truncate:
      let backfill = try index.backfill
      #if PlantedBugs
        let isBlind = PlantedBug.isActive(.restartHalfCopied)
      #else
        let isBlind = false
      #endif
      if backfill < state.header.frameCount && !isBlind || readMark != nil {
        state.isBusy = true
        return
      }
      guard try lock(.exclusive, WALIndex.readSlot(1), count: WALIndex.readMarkCount - 1) else {
        try busy()
        state.isBusy = true
        return
      }
      // Whatever fails from here on: nobody could read by a mark that stays locked.
      defer { unlock(WALIndex.readSlot(1), count: WALIndex.readMarkCount - 1) }
      if state.mode == .truncate {
        // What this connection has read last stays what the next snapshot is compared with: others may have committed since.
        let last = header
        header = state.header
        #if PlantedBugs
          defer { if !PlantedBug.isActive(.forgetForeignCommits) { header = last } }
        #else
          defer { header = last }
        #endif
        // One that is empty is no other log by being cut once more: to who is on mark 0 the second since passes for a replaced one.
        if state.header.frameCount > 0 {
          try restart { (_) throws(Fault) in }
          emptied = last == state.header || emptied == state.header ? header : nil
        }
        let file = self.file
        try faulting { () throws(EngineError) in try file.truncate(to: 0) }
        state.header.frameCount = 0
        state.mode = .passive
      }
    }
  }
}
