// Commit of a file: private images go to the log or through the rollback journal into the database. `unsafe` lives
// here.

import ApusBase
import ApusIO

extension Pager {
  /// - Parameter copiesBack: the checkpoint that may be due comes with it. Who calls for another statement than COMMIT does not
  ///   come back for that, and what it holds would stay.
  func commit(_ store: FileStore, copiesBack: Bool = true) throws(Fault) {
    if state != .write {
      if store.needsCheckpoint {
        try checkpointAfterCommit(store)
        store.wasCommittedInstead = false
      }
      return
    }
    do {
      store.reap()
      // Behind its turn the commit only waits.
      if !store.isAppended {
        try store.checkPoison()
        try takePlaceForCommit()
      }
      if !store.batch.isEmpty && !store.batchCommits { try finishSpill(store) }
      // A concurrent transaction without a place has changed nothing, and may not begin now.
      if usesPointerMap, !store.isCommitPrepared, store.concurrent?.phase != .open { try settlePointerMap() }
      if try prepareCommit(store) {
        if let wal = store.wal {
          try commitToLog(store, wal)
        } else if try !commitToFile(store) {
          return
        }
      }
    } catch {
      if case .failure = error {
        store.note(error)
        if store.isBehindCommitPoint, case .failure(let failure) = error { store.poison = store.poison ?? failure }
        store.releaseBatch()
        store.isCommitPrepared = false
        store.flush = .idle
      }
      throw error
    }
    store.lostCount = 0
    store.isLostToPending = false
    if store.isCommitPrepared { countConcurrentCommit(store) }
    endWrite()
    if !copiesBack { store.needsCheckpoint = false }
    if store.needsCheckpoint {
      // Where nobody comes back from a wait, its COMMIT was dropped: ROLLBACK is told that there is nothing to be undone.
      store.wasCommittedInstead = true
      try checkpointAfterCommit(store)
    }
    store.wasCommittedInstead = false
  }

  private func countConcurrentCommit(_ store: FileStore) {
    if let concurrent = store.concurrent {
      concurrent.registration?.isCommitted = true
      concurrent.registration?.isRebased = concurrent.rebaseSerial != nil
    } else if store.beganByRight {
      store.cache?.history.countCommit()
    }
  }

  /// The write transaction has something for the file, or has left a journal beside it that has to be ended.
  var hasChanges: Bool { changesContent || store?.isJournalBegun == true }

  /// What is to become the file's content differs from what is committed.
  private var changesContent: Bool {
    if currentPageCount != committedPageCount || store?.hasSpilled == true { return true }
    return unsafe table.pointee.dirty.count > 0
  }

  /// Stamps page 1 and collects what is to be written; false where there is nothing to be done.
  private func prepareCommit(_ store: FileStore) throws(Fault) -> Bool {
    if store.isCommitPrepared { return true }
    unsafe table.pointee.dirtyRoom = 0
    if !hasChanges { return false }
    if changesContent { try stampFirstPage(store) }
    var slot = unsafe table.pointee.dirty.oldest
    while let current = unsafe slot {
      let image = unsafe current.pointee.image
      if image.number <= currentPageCount {
        image.retain()
        store.batch.append(image)
      }
      unsafe slot = current.pointee.newer
    }
    noteChanges()
    store.batch.sort { $0.number < $1.number }
    sealBatch(store)
    store.batchCommits = true
    store.isCommitPrepared = true
    unsafe table.pointee.serialInForce = .max
    return true
  }

  /// In the log, page 1 is written only where something on it changed.
  private func stampFirstPage(_ store: FileStore) throws(Fault) {
    let isAlone = unsafe table.pointee.dirty.count == 0
    let one = try loadedPage(.one)
    let isPrivate = unsafe one.slot.pointee.isInDirtyList
    if store.wal == nil || isPrivate || isAlone || currentPageCount != committedPageCount { stamp(one) }
  }

  /// A COMMIT was dropped at a wait and the transaction goes on: what it wrote is taken back, or counts as spilled.
  func abandonCommit(_ store: FileStore) throws(Fault) {
    if store.isBehindCommitPoint {
      try commit(store, copiesBack: false)
      store.wasCommittedInstead = true
      throw .error(.abort, "the transaction was committed")
    }
    if let wal = store.wal {
      try stopAppending(store, wal)
    } else {
      while !store.isSegmentSafe { try stepJournal(store) }
      try settle(store.flush.group, store)
      noteCutPages(store)
      #if PlantedBugs
        let isForgotten = PlantedBug.isActive(.forgetWrittenByDroppedCommit)
      #else
        let isForgotten = false
      #endif
      if store.isDatabaseTouched, !isForgotten {
        for image in store.batch { store.spilledPages.insert(image.number) }
        store.hasSpilled = true
      }
      store.flush = .idle
    }
    store.releaseBatch()
    store.batchCommits = false
    store.isCommitPrepared = false
  }

  /// The file was cut already: what it has lost lies in the journal, and comes from there when a savepoint is gone back to.
  private func noteCutPages(_ store: FileStore) {
    #if PlantedBugs
      if PlantedBug.isActive(.forgetCutPages) { return }
    #endif
    switch store.flush {
    case .databaseSync, .finalize: break
    case .idle, .originals, .segment, .superRecord, .segmentSync, .count, .countSync, .exclusive, .database, .journalEnd,
      .finalized:
      return
    }
    if currentPageCount >= committedPageCount { return }
    for number in currentPageCount + 1...committedPageCount where store.journalOffsets[number] != nil {
      store.spilledPages.insert(number)
    }
  }

  /// A segment counts as journaled only with its record count: an interrupted one is finished first.
  private func stepJournal(_ store: FileStore) throws(Fault) {
    switch store.flush {
    case .count(let group, let segment):
      try group.finish(store.queue)
      store.flush = .countSync(journalSync(store, withDirectory: true), segment)
    case .countSync(let group, let segment):
      try group.finish(store.queue)
      noteJournaled(store, segment)
      store.flush = .exclusive
    case .idle, .originals, .segment, .superRecord, .segmentSync, .exclusive, .database, .databaseSync, .finalize,
      .journalEnd, .finalized:
      preconditionFailure("nothing to finish")
    }
  }

  // MARK: The log

  private func commitToLog(_ store: FileStore, _ wal: WriteAheadLog) throws(Fault) {
    let synchronous = configuration.synchronous
    #if PlantedBugs
      let isEarly = PlantedBug.isActive(.ackBeforeSync)
    #else
      let isEarly = false
    #endif
    let syncs = synchronous >= .full && !isEarly
    if !store.isAppended {
      // A dropped statement was about to sync for what is below.
      if wal.awaited != nil { try awaitBase() }
      // A statement behind a dropped COMMIT was about to undo that, and was dropped too: its zeros must not land on new frames.
      if store.undoing != nil { try stopAppending(store, wal) }
      try wal.checkTurn()
      if synchronous != .off { store.cache?.noteSyncingCommit(of: connectionNumber) }
      try wal.appendFrames(
        store.batch, commitPageCount: currentPageCount, syncsHeader: synchronous != .off, syncsFrames: syncs)
      let keys = keysForOthers(store)
      if wal.turn == nil { publishKeys(keys, store, wal) }
      try wal.handOver(needsSync: syncs, keys: keys)
    }
    try wal.awaitPublication()
    store.unpublishedBase = nil
    // Published. The images are what their frames hold.
    if wal.header.salts != store.salts {
      let old = store.generation
      store.salts = wal.header.salts
      store.generation = store.cache?.restart(from: old, toSalts: store.salts) { _ in 0 } ?? old
    }
    wal.base = wal.header
    let first = wal.tip - UInt32(store.batch.count)
    let cache = store.cache?.isShared == true ? store.cache : nil
    for position in store.batch.indices {
      let version = UInt64(store.generation) << 32 | UInt64(first + 1 + UInt32(position))
      unsafe store.batch[position].header.pointee.version = version
      cache?.insert(store.batch[position], version: version)
    }
    settleTable()
    if configuration.autocheckpointFrames > 0 && Int(wal.tip) >= configuration.autocheckpointFrames {
      store.needsCheckpoint = true
    }
    // A log that is to be short is copied back whatever the pragma for others says.
    if wal.isHalfFull(through: wal.tip) { store.needsCheckpoint = true }
    noteGrowth(store, wal)
    #if PlantedBugs
      if environment.fires(.forceCheckpoint) { store.needsCheckpoint = true }
    #endif
  }

  /// What was private is the committed state now. Spilled images that are still here leave, as their version is
  /// unknown.
  private func settleTable() {
    unsafe table.pointee.forEachClean { (table, slot) in
      if unsafe slot.pointee.flags.contains(.dirty) { unsafe table.detach(slot) }
    }
    while let slot = unsafe table.pointee.dirty.oldest {
      if unsafe slot.pointee.number > currentPageCount {
        unsafe table.pointee.detach(slot)
      } else {
        unsafe table.pointee.makeClean(slot)
      }
    }
  }

  // MARK: The rollback journal

  /// - Returns: false where the file is written and the journal's end is still to come.
  private func commitToFile(_ store: FileStore) throws(Fault) -> Bool {
    try flush(store, isCommit: true)
    if store.stopsBeforeEnd { return false }
    // Without a page there was a journal to be ended, and nothing else.
    if !store.isTemporary, currentPageCount > 0 {
      let one = try loadedPage(.one).bytes
      let stamp = FileStamp(one)
      store.stamp = stamp
      store.cache?.restamp(stamp)
      // The file's state keeps its generation: what was asked for before, and not taken, would pass for what lies there now.
      dropReads(store)
      let version = UInt64(store.generation) << 32
      #if PlantedBugs
        if !PlantedBug.isActive(.keepSpilledInCache) { store.spilledPages.forEach { store.cache?.remove($0, version) } }
      #else
        store.spilledPages.forEach { store.cache?.remove($0, version) }
      #endif
      // A connection that is alone with its file keeps nothing there.
      let isShared = store.cache?.isShared == true
      for image in store.batch {
        unsafe image.header.pointee.version = version
        if isShared {
          store.cache?.insert(image, version: version, replacing: true)
        } else {
          store.cache?.remove(image.number, version)
        }
      }
    }
    settleTable()
    return true
  }

  /// Journal, then file; for a commit also sync and the end of the journal. Called again until it returns; the batch is
  /// the same each time.
  func flush(_ store: FileStore, isCommit: Bool) throws(Fault) {
    let synchronous = store.isTemporary ? Synchronous.off : configuration.synchronous
    while true {
      #if PlantedBugs
        if environment.fires(.journalYield) { throw .wait(.nothing) }
      #endif
      switch store.flush {
      case .idle:
        store.flush = try startJournal(store, isCommit: isCommit)
      case .originals(let group, let images, let segment):
        try group.finish(store.queue)
        store.flush = writeRecords(store, images, segment, countsAtOnce: synchronous < .full)
      case .segment(let group, let segment):
        try group.finish(store.queue)
        if segment.recordCount < segment.pages.count {
          store.flush = readOriginals(store, segment)
          continue
        }
        if isCommit, let name = store.superJournal {
          store.flush = .superRecord(try writeSuperRecord(store, name, behind: segment.end), segment)
          continue
        }
        store.flush = syncSegment(store, segment, synchronous)
      case .superRecord(let group, let segment):
        try group.finish(store.queue)
        store.hasSuperRecord = true
        if let segment {
          store.flush = syncSegment(store, segment, synchronous)
        } else {
          store.flush = synchronous == .off ? .exclusive : .countSync(journalSync(store, withDirectory: true), nil)
        }
      case .segmentSync(let group, let segment):
        try group.finish(store.queue)
        #if PlantedBugs
          if PlantedBug.isActive(.journaledBeforeCount) { noteJournaled(store, segment) }
        #endif
        if synchronous < .full {
          noteJournaled(store, segment)
          store.flush = .exclusive
        } else {
          // Without its count the segment protects nothing: a transaction goes on where only the statement has failed here.
          store.flush = .count(writeCount(store, segment), segment)
        }
      case .count(let group, let segment):
        try group.finish(store.queue)
        #if PlantedBugs
          if PlantedBug.isActive(.skipJournalCountSync) || PlantedBug.isActive(.skipJournalSync) {
            noteJournaled(store, segment)
            store.flush = .exclusive
            continue
          }
        #endif
        store.flush = .countSync(journalSync(store, withDirectory: true), segment)
      case .countSync(let group, let segment):
        try group.finish(store.queue)
        noteJournaled(store, segment)
        store.flush = .exclusive
      case .exclusive:
        if !store.isTemporary {
          guard try store.lock.takeExclusive() else {
            // A spill waits for nobody: the transaction grows on in memory. What replaces the whole file has no other place.
            let mayWait = isCommit || store.replacesFile
            throw mayWait ? busy("readers are active") : .error(.busy, object: store.path, cause: "readers are active")
          }
        }
        busyAttempts = 0
        #if PlantedBugs
          if !PlantedBug.isActive(.touchedAfterWrites) { store.isDatabaseTouched = true }
        #else
          store.isDatabaseTouched = true
        #endif
        store.flush = .database(writeDatabase(store))
      case .database(let group):
        try group.finish(store.queue)
        #if PlantedBugs
          if PlantedBug.isActive(.touchedAfterWrites) { store.isDatabaseTouched = true }
        #endif
        if !isCommit {
          store.flush = .idle
          return
        }
        if store.isTemporary {
          store.flush = .finalize
          continue
        }
        try fitDatabase(store)
        #if PlantedBugs
          let skips = PlantedBug.isActive(.ackBeforeSync)
        #else
          let skips = false
        #endif
        store.flush = synchronous == .off || skips || skipsSync(store) ? .finalize : .databaseSync(databaseSync(store))
      case .databaseSync(let group):
        #if PlantedBugs
          if PlantedBug.isActive(.acknowledgeFailedSync), group.isDone(store.queue) {
            store.flush = .finalize
            continue
          }
        #endif
        try group.finish(store.queue)
        store.flush = .finalize
      case .finalize:
        if store.stopsBeforeEnd { return }
        if store.isTemporary {
          // Its journal is of use to this transaction alone.
          store.flush = .idle
          return
        }
        store.flush = try endJournal(store)
      case .journalEnd(let group):
        try group.finish(store.queue)
        store.flush = finalSync(store)
      case .finalized(let group):
        try group?.finish(store.queue)
        cutJournal(store)
        store.flush = .idle
        return
      }
    }
  }

  private func syncSegment(
    _ store: FileStore, _ segment: JournalSegment, _ synchronous: Synchronous
  ) -> FlushPhase {
    #if PlantedBugs
      let skips = PlantedBug.isActive(.skipJournalSync)
    #else
      let skips = false
    #endif
    if skips && synchronous >= .full { return .count(writeCount(store, segment), segment) }
    if synchronous == .off || skips {
      noteJournaled(store, segment)
      return .exclusive
    }
    return .segmentSync(journalSync(store, withDirectory: synchronous < .full), segment)
  }

  private var hasJournal: Bool {
    switch configuration.journalMode {
    case .delete, .truncate, .persist, .wal: true
    case .memory, .off: false
    }
  }

  private func startJournal(_ store: FileStore, isCommit: Bool) throws(Fault) -> FlushPhase {
    if !hasJournal { return .exclusive }
    var needed = store.batch.map(\.number).filter { needsJournal($0, store) }
    // Pages that the file loses: a rollback must bring them back.
    #if PlantedBugs
      let forgetsLost = PlantedBug.isActive(.forgetLostPages)
    #else
      let forgetsLost = false
    #endif
    if isCommit, currentPageCount < committedPageCount, !forgetsLost {
      for number in currentPageCount + 1...committedPageCount where number != lockBytePage && needsJournal(number, store) {
        needed.append(number)
      }
    }
    if needed.isEmpty && store.journalByteCount > 0 {
      guard isCommit, let name = store.superJournal, !store.hasSuperRecord else { return .exclusive }
      return .superRecord(try writeSuperRecord(store, name, behind: store.journalByteCount), nil)
    }
    // One sync serves the next spills too.
    if !isCommit { needed = dirtyPages().filter { needsJournal($0, store) } }
    #if PlantedBugs
      if PlantedBug.isActive(.forgetJournalPage), needed.count > 4 { needed.removeLast() }
    #endif
    let pages =
      store.replacesFile && !isCommit
      ? JournalPages.all(through: committedPageCount, lockBytePage: lockBytePage) : .listed(needed.sorted())
    if store.journalByteCount == 0, !store.isTemporary, committedPageCount > 0 { try checkName(store) }
    if store.journalByteCount == 0, let kept = store.journal, !store.isTemporary, !kept.isStillNamed() {
      // Another connection has deleted the journal that this one keeps open: what goes there would protect nothing.
      kept.close()
      store.journal = nil
    }
    if store.journal == nil {
      let (environment, path) = (store.environment, store.journalPath)
      let isTemporary = store.isTemporary
      store.journal = try faulting { () throws(EngineError) in
        return isTemporary ? try environment.openTemporary() : try environment.open(path, .create)
      }
      store.needsJournalDirectorySync = !isTemporary
      #if PlantedBugs
        if PlantedBug.isActive(.skipNameOfKeptJournal), configuration.journalMode != .delete {
          store.needsJournalDirectorySync = false
        }
      #endif
    }
    if store.journalByteCount == 0, let journal = store.journal {
      // A journal that was kept may have old headers behind the new ones.
      try faulting { () throws(EngineError) in
        if try journal.size() > 0 { try journal.truncate(to: 0) }
      }
    }
    store.isJournalBegun = true
    // Its records go where the name was.
    store.hasSuperRecord = false
    let sector = Int64(JournalFormat.sectorByteCount)
    let start = (store.journalByteCount + sector - 1) / sector * sector
    let byteCount = sector + Int64(pages.count * JournalFormat.recordByteCount(pageSize))
    return readOriginals(
      store,
      JournalSegment(
        offset: start, end: start + byteCount, pages: pages,
        nonce: UInt32(truncatingIfNeeded: environment.randomUInt64())))
  }

  /// True where the page's committed content must be in the journal before the file's page is overwritten. What a free page holds
  /// matters to nobody, but a torn one would fail with its checksum when it is checked or copied.
  private func needsJournal(_ number: UInt32, _ store: FileStore) -> Bool {
    if number > committedPageCount || store.journaledPages.contains(number) { return false }
    return store.hasChecksums || !contentlessPages.contains(number)
  }

  private func dirtyPages() -> [UInt32] {
    var numbers: [UInt32] = []
    numbers.reserveCapacity(unsafe table.pointee.dirty.count)
    var slot = unsafe table.pointee.dirty.oldest
    while let current = unsafe slot {
      numbers.append(unsafe current.pointee.number)
      unsafe slot = current.pointee.newer
    }
    return numbers
  }

  /// Records that are read and written at a time: what a commit needs in memory does not grow with it.
  private static var recordsPerWrite: Int { 64 }

  /// The next originals of a segment: at hand where the transaction is small, else they are still in the file.
  private func readOriginals(_ store: FileStore, _ segment: JournalSegment) -> FlushPhase {
    let group = RequestGroup()
    var images: [PageImage] = []
    #if PlantedBugs
      let most = environment.fires(.journalRecordOfOne) ? 1 : Pager.recordsPerWrite
    #else
      let most = Pager.recordsPerWrite
    #endif
    for position in segment.recordCount..<min(segment.recordCount + most, segment.pages.count) {
      let number = segment.pages[position]
      if let slot = unsafe table.pointee.findLoaded(number), let original = unsafe slot.pointee.original {
        group.hold(original)
        images.append(original)
        continue
      }
      let original = unsafe table.pointee.makeImage(number)
      group.hold(original)
      original.release()
      images.append(original)
      let offset = Int64(number - 1) * Int64(pageSize)
      if store.queue.readAtOnce(store.file, at: offset, into: original.mutableBytes) == pageSize { continue }
      original.mutableBytes.fill(0, pageSize)
      group.add(store.queue.read(store.file, at: offset, into: original.mutableBytes))
    }
    return .originals(group, images, segment)
  }

  /// The segment's next records, behind its header where they are the first: each is the page's number, the page, and a
  /// checksum. What stands between two pages lies in one piece of memory, the pages are written from where they are.
  private func writeRecords(
    _ store: FileStore, _ images: [PageImage], _ segment: JournalSegment, countsAtOnce: Bool
  ) -> FlushPhase {
    guard let journal = store.journal else { preconditionFailure("the journal is open") }
    let sector = segment.recordCount == 0 ? JournalFormat.sectorByteCount : 0
    let recordByteCount = JournalFormat.recordByteCount(pageSize)
    let group = RequestGroup()
    let small = group.allocate(sector + 8 * images.count)
    if sector > 0 {
      small.fill(0, sector)
      JournalFormat.write(
        JournalFormat.Header(
          recordCount: countsAtOnce ? UInt32(segment.pages.count) : 0, nonce: segment.nonce,
          pageCount: committedPageCount, sectorByteCount: sector, pageSize: pageSize), to: small)
    }
    var views: [ByteView] = []
    views.reserveCapacity(2 * images.count + 1)
    var start = 0
    var end = sector
    for image in images {
      small.setBigEndianUInt32(image.number, at: end)
      views.append(small.readable.slice(start, end + 4 - start))
      views.append(image.bytes)
      group.hold(image)
      start = end + 4
      end += 8
      small.setBigEndianUInt32(JournalFormat.checksum(image.bytes, nonce: segment.nonce), at: start)
    }
    views.append(small.readable.slice(start, end - start))
    let headerByteCount = segment.recordCount == 0 ? 0 : JournalFormat.sectorByteCount
    let offset = segment.offset + Int64(headerByteCount + segment.recordCount * recordByteCount)
    var written = segment
    written.recordCount += images.count
    group.add(store.queue.write(journal, at: offset, from: views))
    return .segment(group, written)
  }

  private func noteJournaled(_ store: FileStore, _ segment: JournalSegment?) {
    guard let segment else { return }
    var offset = segment.offset + Int64(JournalFormat.sectorByteCount)
    for position in 0..<segment.pages.count {
      let page = segment.pages[position]
      store.journaledPages.insert(page)
      // What replaces the whole file has no savepoint to go back to.
      if !store.replacesFile { store.journalOffsets[page] = offset + 4 }
      offset += Int64(JournalFormat.recordByteCount(pageSize))
    }
    store.journalByteCount = segment.end
  }

  private func journalSync(_ store: FileStore, withDirectory: Bool) -> RequestGroup {
    let group = RequestGroup()
    if let journal = store.journal { group.add(store.queue.sync(journal, .data)) }
    #if PlantedBugs
      if PlantedBug.isActive(.skipJournalDirectorySync) { return group }
    #endif
    if withDirectory && store.needsJournalDirectorySync {
      group.add(store.queue.syncDirectory(of: store.journalPath))
      store.needsJournalDirectorySync = false
    }
    return group
  }

  /// The name counts where it is the last of the journal: what an earlier, longer segment has left there goes.
  private func writeSuperRecord(_ store: FileStore, _ name: String, behind end: Int64) throws(Fault) -> RequestGroup {
    if let journal = store.journal {
      #if PlantedBugs
        let keepsRest = PlantedBug.isActive(.keepJournalRest)
      #else
        let keepsRest = false
      #endif
      try faulting { () throws(EngineError) in
        let size = try journal.size()
        if size > end, !keepsRest { try journal.truncate(to: end) }
      }
    }
    let group = RequestGroup()
    let record = SuperJournal.record(name, pageSize: pageSize)
    let view = group.allocate(record.count)
    view.copy(record.bytes, to: 0)
    let sector = Int64(JournalFormat.sectorByteCount)
    if let journal = store.journal {
      group.add(store.queue.write(journal, at: (end + sector - 1) / sector * sector, from: [view.readable]))
    }
    return group
  }

  private func writeCount(_ store: FileStore, _ segment: JournalSegment) -> RequestGroup {
    let group = RequestGroup()
    let view = group.allocate(4)
    view.setBigEndianUInt32(UInt32(segment.pages.count), at: 0)
    if let journal = store.journal {
      group.add(store.queue.write(journal, at: segment.offset + 8, from: [view.readable]))
    }
    return group
  }

  /// Neighbours go in one write.
  private func writeDatabase(_ store: FileStore) -> RequestGroup {
    let group = RequestGroup()
    var position = 0
    while position < store.batch.count {
      let first = store.batch[position].number
      var views: [ByteView] = []
      while position < store.batch.count && store.batch[position].number == first + UInt32(views.count) {
        group.hold(store.batch[position])
        views.append(store.batch[position].bytes)
        position += 1
      }
      group.add(store.queue.write(store.file, at: Int64(first - 1) * Int64(pageSize), from: views))
    }
    return group
  }

  /// The file ends where the header says.
  private func fitDatabase(_ store: FileStore) throws(Fault) {
    let (file, size) = (store.file, Int64(currentPageCount) * Int64(pageSize))
    // A spilled page that a rollback to a savepoint took back may stand behind the end, too; and where a COMMIT was dropped that
    // had cut the file, free pages may be missing, which nobody writes.
    if currentPageCount >= committedPageCount && !store.hasSpilled { return }
    try faulting { () throws(EngineError) in
      if try file.size() != size { try file.truncate(to: size) }
    }
  }

  private func skipsSync(_ store: FileStore) -> Bool {
    #if PlantedBugs
      return store.superJournal != nil && PlantedBug.isActive(.commitBeforeAllFilesSynced)
    #else
      return false
    #endif
  }

  private func databaseSync(_ store: FileStore) -> RequestGroup {
    let group = RequestGroup()
    group.add(store.queue.sync(store.file, .data))
    return group
  }

  /// What happens to the journal at the end of a transaction. Under exclusive locks nobody looks for a journal: DELETE keeps
  /// it as PERSIST does, until the locks go (`removeKeptJournal`).
  private func journalEnding(_ store: FileStore) -> JournalMode {
    if store.isTemporary { return .truncate }
    let keeps = configuration.locksExclusively && store.switching == nil && store.superJournal == nil
    return configuration.journalMode == .delete && keeps ? .persist : configuration.journalMode
  }

  /// The journal's header is wiped: with NORMAL that is synced too, as SQLite does it.
  func finalSync(_ store: FileStore) -> FlushPhase {
    let isSynced = !store.isTemporary && configuration.synchronous != .off
    return .finalized(isSynced ? journalSync(store, withDirectory: false) : nil)
  }

  /// The commit point: the journal is deleted, emptied, or its header wiped. A roll-back ends with it too.
  func endJournal(_ store: FileStore) throws(Fault) -> FlushPhase {
    guard let journal = store.journal else { return .finalized(nil) }
    let group = RequestGroup()
    let (environment, path) = (store.environment, store.journalPath)
    let synchronous = store.isTemporary ? Synchronous.off : configuration.synchronous
    switch journalEnding(store) {
    case .delete, .wal, .memory, .off:
      try faulting { () throws(EngineError) in try environment.delete(path) }
      journal.close()
      store.journal = nil
      #if PlantedBugs
        if PlantedBug.isActive(.skipJournalEndSync) { return .finalized(nil) }
      #endif
      guard synchronous >= .extra || store.syncsDirectoryAtEnd && synchronous != .off else { return .finalized(nil) }
      group.add(store.queue.syncDirectory(of: path))
    case .truncate:
      try faulting { () throws(EngineError) in try journal.truncate(to: 0) }
      // What a super-journal held together must not come back in part: the old records, with the next super-journal's name.
      if synchronous >= (store.superJournal == nil ? .full : .normal) { group.add(store.queue.sync(journal, .full)) }
    case .persist where store.superJournal != nil:
      // The name at its end must not be found by a later transaction's reader.
      try faulting { () throws(EngineError) in try journal.truncate(to: 0) }
      if synchronous != .off { group.add(store.queue.sync(journal, .full)) }
    case .persist where configuration.journalSizeLimit == 0:
      try faulting { () throws(EngineError) in try journal.truncate(to: 0) }
      if synchronous >= .full { group.add(store.queue.sync(journal, .full)) }
    case .persist:
      #if PlantedBugs
        if PlantedBug.isActive(.cutJournalBeforeWipe) { cutJournal(store) }
      #endif
      let zeros = group.allocate(JournalFormat.headerByteCount)
      zeros.fill(0, zeros.count)
      group.add(store.queue.write(journal, at: 0, from: [zeros.readable]))
      return .journalEnd(group)
    }
    return .finalized(group)
  }

  /// The length that a kept journal is to have, where it is longer (`PRAGMA journal_size_limit`).
  private func journalExcess(_ store: FileStore) -> Int64? {
    let limit = configuration.journalSizeLimit
    guard limit > 0, journalEnding(store) == .persist, let size = try? store.journal?.size() else { return nil }
    return size > limit ? limit : nil
  }

  /// Behind the commit point, or the roll-back. A failure leaves the journal as long as it is, which does no harm.
  func cutJournal(_ store: FileStore) {
    #if PlantedBugs
      if PlantedBug.isActive(.keepLongJournal) { return }
    #endif
    if let limit = journalExcess(store) { try? store.journal?.truncate(to: limit) }
  }

  /// The locks under which DELETE has kept the journal are about to go: so does the journal.
  func removeKeptJournal(_ store: FileStore, isClosing: Bool = false) {
    guard let journal = store.journal, configuration.journalMode == .delete, !store.isTemporary else { return }
    guard isClosing || !configuration.locksExclusively, store.wal == nil, store.lock.level == .exclusive,
      store.poison == nil
    else { return }
    // Its header is wiped, so that it may also stay.
    if journal.isStillNamed() { try? store.environment.delete(store.journalPath) }
    journal.close()
    store.journal = nil
  }
}
