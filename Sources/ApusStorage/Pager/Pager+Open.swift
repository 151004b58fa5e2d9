// Snapshots of a file: the SHARED lock, hot journals, the header, the log. `unsafe` lives here.

import ApusBase
import ApusIO

extension Pager {
  /// Called again until it returns; the pager then has a snapshot.
  func openSnapshot(_ store: FileStore) throws(Fault) {
    store.reap()
    try store.checkPoison()
    if store.isTemporary { return }
    try store.settleAbandonedPlayback()
    adaptTable()
    // One that was owed after a commit, or whose statement was dropped.
    if store.needsCheckpoint || store.wal?.checkpoint != nil { abandonCheckpoint(store) }
    var isBusy = false
    do {
      while true {
        if let wal = store.wal {
          if case .logHeader = store.opening {} else {
            try wal.settleAbandonedCheckpoint()
            try lockLog(store)
            guard let isOther = try beginRead(store, wal) else {
              isBusy = true
              break
            }
            if try !adoptLogSnapshot(store, wal, isOther: isOther) { break }
            store.opening = .logHeader
          }
          try adoptLogHeader(store)
          store.hasUnsoundHeader = false
          break
        }
        if try advanceOpening(store) { break }
      }
    } catch {
      if case .failure = error {
        store.note(error)
        if store.wal != nil { store.salts = .max }
        if case .logHeader = store.opening { store.hasUnsoundHeader = true }
        abandonOpening(store)
        if case .failure(let failure) = error, failure.code == .busyRecovery {
          throw busy("another connection recovers the log", code: .busyRecovery)
        }
      }
      throw error
    }
    store.opening = .start
    if isBusy { throw writerBusy(store) }
    // A write that lets its snapshot go while it waits for the lock counts its attempts across them.
    if !store.writeOpensRead { busyAttempts = 0 }
  }

  /// Who is to write takes the write lock first, and no read mark.
  /// - Returns: whether the snapshot is another one than the last; nil where somebody else writes.
  private func beginRead(_ store: FileStore, _ wal: WriteAheadLog) throws(Fault) -> Bool? {
    if store.writeOpensRead {
      switch try wal.beginReadToWrite() {
      case .opened(let isOther):
        noteUnpublishedBase(store, wal)
        return isOther
      case .busy: return nil
      case .needsMark: break
      }
    }
    return try wal.beginRead(allowsMarkZero: !store.keepsLog)
  }

  /// Gives up what a dropped `beginRead` left.
  func abandonOpening(_ store: FileStore, keepsLock: Bool = false) {
    var keepsLock = keepsLock
    if case .start = store.opening {} else { keepsLock = false }
    switch store.opening {
    case .start, .journal: break
    case .journalByte(let group, _, let file):
      store.abandon(group)
      file.close()
    case .rollback(let playback, let file):
      let isWriting = playback.isWriting
      let group = playback.abandon()
      if isWriting, let group, !group.isDone(store.queue) {
        // Originals on their way into the file: nobody else may be in there before they have landed.
        store.abandonedPlayback = group
      } else {
        store.abandon(group)
      }
      file.close()
    case .rollbackEnd(let group, _), .header(let group, _): store.abandon(group)
    case .superJournal(let cleanup): store.abandon(cleanup.abandon())
    case .mark(_, let group, _, _): store.abandon(group)
    case .logFile(let group, _, let log):
      store.abandon(group)
      log.close()
    // The log counts this snapshot as the last one, but nothing was adopted of it.
    case .logHeader: store.salts = .max
    }
    store.opening = .start
    store.abandon(store.wal?.abandonRecovery())
    guard let wal = store.wal else {
      if !keepsLock, store.abandonedPlayback == nil { store.lock.release() }
      return
    }
    wal.endRead()
    if keepsLock { return }
    if wal.index.memory.isPrivate {
      // Pages of a dropped checkpoint on their way into the file: nobody else may be in there before they have landed.
      if wal.hasPagesUnderWay { return }
      // The next snapshot opens the log as others do.
      store.notice = wal.notice ?? store.notice
      wal.file.close()
      wal.index.memory.close(delete: false)
      store.wal = nil
      store.lock.release()
    } else {
      store.lock.downgradeToShared()
    }
  }

  /// In exclusive mode nobody else may use the log, whichever memory its index lies in.
  private func lockLog(_ store: FileStore) throws(Fault) {
    guard configuration.locksExclusively, !configuration.isReadOnly else { return }
    guard try store.lock.takeExclusive() else {
      store.lock.downgradeToShared()
      throw busy("other connections use the log")
    }
  }

  /// One step without a log; true when the snapshot is open.
  private func advanceOpening(_ store: FileStore) throws(Fault) -> Bool {
    switch store.opening {
    case .start:
      // Nobody has been able to change the file since its header was read.
      let isKnown = store.lock.level >= .shared && (configuration.locksExclusively || configuration.isImmutable)
      if isKnown, store.stamp != nil, !store.isLeavingLog { return true }
      guard try store.lock.takeShared() else { throw busy("a writer has the EXCLUSIVE lock or waits for it") }
      store.opening = .journal
    case .journal:
      if configuration.isImmutable {
        readHeader(store)
        return false
      }
      let (environment, path) = (store.environment, store.journalPath)
      if try faulting({ () throws(EngineError) in try environment.exists(path) }) {
        try examineJournal(store)
      } else {
        readHeader(store)
      }
    case .journalByte(let group, let view, let file):
      try group.finish(store.queue)
      if group.firstResult == 1 && view[0] != 0 {
        try startRollback(store, file)
      } else {
        file.close()
        readHeader(store)
      }
    case .rollback(let playback, let file):
      try playback.run()
      file.close()
      let (environment, path) = (store.environment, store.journalPath)
      try faulting { () throws(EngineError) in try environment.delete(path) }
      let group = RequestGroup()
      // A journal that came back after the file went over to WAL would undo pages under it.
      if configuration.synchronous != .off { group.add(store.queue.syncDirectory(of: path)) }
      store.opening = .rollbackEnd(group, superJournal: playback.superJournal)
    case .rollbackEnd(let group, let superJournal?):
      try group.finish(store.queue)
      store.opening = .superJournal(
        SuperJournalCleanup(environment: store.environment, queue: store.queue, path: superJournal))
    case .superJournal(let cleanup):
      try cleanup.run()
      store.opening = .rollbackEnd(RequestGroup(), superJournal: nil)
    case .rollbackEnd(let group, nil):
      try group.finish(store.queue)
      store.lock.downgradeToShared()
      store.stamp = nil
      readHeader(store)
    case .header(let group, let view):
      try group.finish(store.queue)
      if let mark = readMark(store, group, view) {
        store.opening = mark
        return false
      }
      return try adoptHeader(store, view.readable, byteCount: group.firstResult ?? 0)
    case .mark(let group, let reading, let view, let reserved):
      try reading.finish(store.queue)
      store.hasChecksums = PageSeal.isMarked(reserved.readable)
      return try adoptHeader(store, view.readable, byteCount: group.firstResult ?? 0)
    case .logFile(let group, let view, let log):
      try group.finish(store.queue)
      log.close()
      store.opening = .journal
      try openLogAlone(store, view.readable, byteCount: group.firstResult ?? 0)
    case .logHeader: preconditionFailure("a log without one")
    }
    return false
  }

  private func readHeader(_ store: FileStore) {
    let group = RequestGroup()
    let view = group.allocate(DatabaseHeader.byteCount)
    group.add(store.queue.read(store.file, at: 0, into: view))
    store.opening = .header(group, view)
  }

  /// Where the header reserves as many bytes as a checksum has, page 1 says whether it is one; looked at once per state of the
  /// file.
  private func readMark(_ store: FileStore, _ group: RequestGroup, _ view: MutableByteView) -> OpenPhase? {
    guard group.firstResult == DatabaseHeader.byteCount else { return nil }
    guard let shape = DatabaseShape(view.readable), shape.reserved == PageSeal.byteCount else {
      store.hasChecksums = false
      return nil
    }
    if FileStamp(view.readable) == store.stamp { return nil }
    let reading = RequestGroup()
    let reserved = reading.allocate(PageSeal.byteCount)
    reserved.fill(0, reserved.count)
    reading.add(store.queue.read(store.file, at: Int64(shape.pageSize - PageSeal.byteCount), into: reserved))
    return .mark(group, reading, view, reserved)
  }

  // MARK: Hot journals

  /// A journal is hot where no writer holds RESERVED and its first byte is not zero: its writer died.
  private func examineJournal(_ store: FileStore) throws(Fault) {
    if try store.lock.isReservedByOther() { return readHeader(store) }
    let (environment, path, database) = (store.environment, store.journalPath, store.file)
    if try faulting({ () throws(EngineError) in try database.size() }) == 0 {
      // A file that has lost its name knows nothing about what lies beside another one of that name.
      if !database.isStillNamed() { return readHeader(store) }
      // Nothing was written yet; the journal of a database that never came to be.
      if !configuration.isReadOnly, try store.lock.takeReserved() {
        try faulting { () throws(EngineError) in try environment.delete(path) }
        store.lock.downgradeToShared()
      }
      return readHeader(store)
    }
    if configuration.isReadOnly { throw .error(.readOnlyRollback, object: path) }
    let file: any File
    do { file = try environment.open(path, .readWrite) } catch {
      // Another connection has just rolled it back.
      if try faulting({ () throws(EngineError) in try environment.exists(path) }) { throw .failure(error) }
      return readHeader(store)
    }
    let group = RequestGroup()
    let view = group.allocate(1)
    group.add(store.queue.read(file, at: 0, into: view))
    store.opening = .journalByte(group, view, file)
  }

  private func giveUpRollback(_ store: FileStore, _ file: any File) {
    file.close()
    store.opening = .start
    store.lock.release()
  }

  private func startRollback(_ store: FileStore, _ file: any File) throws(Fault) {
    // Who had SHARED all along may have begun to write meanwhile: the journal is theirs, and they would wait for this connection
    // as it for them.
    if try store.lock.isReservedByOther() {
      file.close()
      store.lock.downgradeToShared()
      return readHeader(store)
    }
    guard try store.lock.takeExclusive() else {
      // Who has PENDING waits for the readers to go: no new ones come. Who has not lets SHARED go before it waits, or two would
      // wait for each other's.
      let isFirst = store.lock.level >= .pending
      if !isFirst { giveUpRollback(store, file) }
      let fault = busy("another connection reads or rolls back the hot journal")
      if isFirst, case .failure = fault { giveUpRollback(store, file) }
      throw fault
    }
    // Between the look and the lock somebody may have rolled it back and deleted it.
    if !file.isStillNamed() {
      file.close()
      store.lock.downgradeToShared()
      store.opening = .journal
      return
    }
    let playback = JournalPlayback(
      queue: store.queue, environment: store.environment, journal: file, database: store.file,
      syncs: configuration.synchronous != .off, isHot: true)
    store.opening = .rollback(playback, file)
  }

  // MARK: Header

  private func adoptHeader(_ store: FileStore, _ header: ByteView, byteCount: Int) throws(Fault) -> Bool {
    let database = store.file
    let fileByteCount = try faulting { () throws(EngineError) in try database.size() }
    if fileByteCount == 0 {
      if currentPageCount != 0 || store.stamp != nil {
        unsafe table.pointee.dropClean()
        dataVersion += 1
      }
      store.stamp = nil
      currentPageCount = 0
      // A log beside an empty database is none of its own.
      let (environment, path) = (store.environment, store.logPath)
      if !configuration.isReadOnly {
        try faulting { () throws(EngineError) in
          if try environment.exists(path), database.isStillNamed() { try environment.delete(path) }
        }
      }
      return true
    }
    guard byteCount == DatabaseHeader.byteCount, DatabaseHeader.isSound(header) else {
      if try mayHaveLog(store) { return try readLogFileHeader(store) }
      throw .error(.notADatabase, object: store.path)
    }
    let rawPageSize = header.bigEndianUInt16(at: DatabaseHeader.pageSizeOffset)
    let pageSize = rawPageSize == 1 ? 65536 : rawPageSize
    let reserved = Int(header[DatabaseHeader.reservedOffset])
    if header[DatabaseHeader.writeVersionOffset] > 2 { configuration.isReadOnly = true }
    configure(pageSize: pageSize, reserved: reserved)
    let counted = header.bigEndianUInt32(at: DatabaseHeader.pageCountOffset)
    let change = header.bigEndianUInt32(at: DatabaseHeader.changeCounterOffset)
    let isCountValid = counted > 0 && change == header.bigEndianUInt32(at: DatabaseHeader.versionValidForOffset)
    store.headerPageCount = isCountValid ? counted : 0
    let stamp = FileStamp(header)
    let saysLog = header[DatabaseHeader.readVersionOffset] == 2 && !store.isLeavingLog && !configuration.isImmutable
    // A log counts whatever the header says: others of this file's users, SQLite among them, take it for theirs.
    let hasLog = try !saysLog && stamp != store.stamp ? mayHaveLog(store) : saysLog
    if hasLog {
      try openLog(store)
      return false
    }
    let filePageCount = self.filePageCount(fileByteCount)
    if isCountValid && counted > filePageCount {
      throw .error(.corrupt, object: store.path, cause: "the file is shorter than its header says")
    }
    let pageCount = isCountValid ? counted : filePageCount
    try checkPageCount(pageCount, store)
    if stamp != store.stamp {
      unsafe table.pointee.dropClean()
      // What this connection has put in the file's place itself is no commit of another one.
      if store.hasReadHeader, stamp != store.replacedStamp { dataVersion += 1 }
      store.stamp = stamp
      store.generation = store.cache?.generation(ofStamp: stamp) ?? 1
    }
    store.replacedStamp = nil
    store.hasReadHeader = true
    currentPageCount = pageCount
    return true
  }

  private func mayHaveLog(_ store: FileStore) throws(Fault) -> Bool {
    #if PlantedBugs
      if PlantedBug.isActive(.believeHeaderOnly) { return false }
    #endif
    if store.isLeavingLog || configuration.isImmutable || configuration.ignoresLocks { return false }
    let (environment, path, file) = (store.environment, store.logPath, store.file)
    // To SQLite an empty log is none.
    return try faulting { () throws(EngineError) in try environment.size(of: path) ?? 0 } > 0 && file.isStillNamed()
  }

  /// The file's header is damaged, as a copy that was cut leaves it; page 1 may be whole in the log, whose own header tells
  /// the page size.
  private func readLogFileHeader(_ store: FileStore) throws(Fault) -> Bool {
    let (environment, path) = (store.environment, store.logPath)
    let log = try faulting { () throws(EngineError) in try environment.open(path, .readOnly) }
    let group = RequestGroup()
    let view = group.allocate(WALFormat.headerByteCount)
    group.add(store.queue.read(log, at: 0, into: view))
    store.opening = .logFile(group, view, log)
    return false
  }

  private func openLogAlone(_ store: FileStore, _ header: ByteView, byteCount: Int) throws(Fault) {
    guard byteCount == header.count, let pageSize = WALFormat.pageSize(of: header) else {
      throw .error(.notADatabase, object: store.path)
    }
    configure(pageSize: pageSize, reserved: 0)
    store.headerPageCount = 0
    store.hasChecksums = false
    try openLog(store)
  }

  private func filePageCount(_ byteCount: Int64) -> UInt32 {
    UInt32(clamping: byteCount / Int64(pageSize) + (byteCount % Int64(pageSize) > 0 ? 1 : 0))
  }

  private func checkPageCount(_ pageCount: UInt32, _ store: FileStore) throws(Fault) {
    if pageCount <= DatabaseHeader.pageCountMax { return }
    throw .error(.corrupt, object: store.path, cause: "it has more pages than a database can have")
  }

  // MARK: The log

  /// The header says WAL. The SHARED lock stays as long as the connection uses the log.
  private func openLog(_ store: FileStore) throws(Fault) {
    let (environment, path, file, readOnly) = (store.environment, store.logPath, store.file, configuration.isReadOnly)
    if configuration.ignoresLocks {
      throw .error(
        .cannotOpen, object: store.path, cause: "a database in WAL mode cannot be opened with nolock=1",
        hint: "use immutable=1 where nobody writes the file")
    }
    // What lies beside the name would be another file's log.
    try checkName(store)
    try lockLog(store)
    let exists = try faulting { () throws(EngineError) in try environment.exists(path) }
    let log: any File
    do {
      log = try environment.open(path, readOnly && exists ? .readOnly : .create)
    } catch {
      throw .failure(error)
    }
    let isAlone = configuration.locksExclusively && !readOnly
    let memory = try faulting { () throws(EngineError) -> any SharedMemory in
      if isAlone { return PrivateIndexMemory() }
      do throws(EngineError) { return try file.openSharedMemory(readOnly: false) } catch {
        guard readOnly else { throw error }
        do throws(EngineError) { return try file.openSharedMemory(readOnly: true) } catch {
          // Nobody who may write has the database open: this snapshot makes an index of its own. Who may write and comes
          // later can add to the log, but neither copy it back nor start it again.
          guard error.code == .readOnlyCannotInit, let guardian = try file.guardSharedMemory() else { throw error }
          return PrivateIndexMemory(guardian: guardian)
        }
      }
    }
    let wal = WriteAheadLog(
      environment: environment, queue: store.queue, file: log, memory: memory, pageSize: pageSize, database: store.file,
      cache: store.cache)
    wal.isReadOnly = readOnly
    wal.recoversStrictly = configuration.recoversStrictly
    wal.syncsAtRecovery = configuration.synchronous >= .full
    wal.sizeLimit = configuration.journalSizeLimit
    wal.connection = store.connection
    store.wal = wal
    store.stamp = nil
    store.salts = .max
    store.hasReadLog = false
  }

  /// - Throws: SQLITE_READONLY_DBMOVED where the file was renamed, unlinked or replaced since it was opened.
  func checkName(_ store: FileStore) throws(Fault) {
    if store.file.isStillNamed() { return }
    throw .error(
      .readOnlyDatabaseMoved, object: store.path, cause: "the file was renamed, unlinked or replaced while it was open",
      hint: "close the database and open it again under its name")
  }

  /// - Returns: true for another snapshot than the last one: its page 1 is to be asked for the page count.
  private func adoptLogSnapshot(_ store: FileStore, _ wal: WriteAheadLog, isOther: Bool) throws(Fault) -> Bool {
    let isFirst = store.salts == .max
    #if PlantedBugs
      let isUnseen = PlantedBug.isActive(.keepVersionAtRestart) && wal.header.salts != store.salts
    #else
      let isUnseen = false
    #endif
    store.joinLog()
    if wal.header.salts != store.salts || isFirst {
      store.salts = wal.header.salts
      store.generation = store.cache?.generation(ofSalts: store.salts) ?? 1
    }
    if isOther || isFirst {
      // What follows an attempt that failed is looked at as the first snapshot is, and may be another than the last.
      // Behind the first snapshot of a log that was opened in the place of something else nobody knows who has committed what, as
      // with SQLite.
      let isOwn = store.hasReadLog && wal.header == wal.emptied
      #if PlantedBugs
        let isStuck = PlantedBug.isActive(.dataVersionStuck)
      #else
        let isStuck = false
      #endif
      if store.hasReadHeader, isOther || !store.hasReadLog, !isOwn, !isUnseen, !isStuck { dataVersion += 1 }
      if isFirst { dropCleanPages() } else { try dropStalePages(store) }
      if wal.header.pageCount > 0 {
        // A count that is no larger than the last snapshot's was looked at with that.
        if isFirst || wal.header.pageCount > currentPageCount { try wal.checkSize(of: wal.header, in: store.file) }
        try checkPageCount(wal.header.pageCount, store)
        currentPageCount = wal.header.pageCount
      } else {
        let file = store.file
        let byteCount = try faulting { () throws(EngineError) in try file.size() }
        let pageCount = filePageCount(byteCount)
        try checkPageCount(pageCount, store)
        // A file that somebody has cut must not pass for an empty database. That it is shorter than the header said is no matter:
        // others may have copied back since that was read. What counts is the snapshot's page 1 (`adoptLogHeader`).
        if isFirst, pageCount == 0, store.headerPageCount > 0 {
          throw .error(.corrupt, object: store.path, cause: "the file is shorter than its header says")
        }
        currentPageCount = pageCount
      }
    }
    wal.emptied = nil
    store.hasReadHeader = true
    store.hasReadLog = true
    return isOther || isFirst
  }

  /// The snapshot is now the commit that this turn goes on top of.
  func moveSnapshot(_ store: FileStore, _ wal: WriteAheadLog) throws(Fault) {
    wal.hasMoved = false
    // What `openSnapshot` goes on with after a wait.
    state = .none
    store.opening = .logHeader
    do throws(Fault) {
      _ = try adoptLogSnapshot(store, wal, isOther: true)
      try openSnapshot(store)
    } catch {
      if case .failure = error {
        // What is half adopted is nobody's snapshot; `openSnapshot` has seen to its own failures.
        if case .logHeader = store.opening { abandonOpening(store) }
        wal.releaseWriteLock()
      }
      throw error
    }
    state = .read
  }

  /// The snapshot's page 1 counts, not the file's, which may be an older one: it says how many pages there are, as in SQLite (the
  /// last commit, or the file, may have more but not fewer), and how many bytes of each are reserved.
  private func adoptLogHeader(_ store: FileStore) throws(Fault) {
    if currentPageCount == 0 { return }
    let one = try loadedPage(.one)
    guard DatabaseHeader.isSound(one.bytes), let shape = DatabaseShape(one.bytes) else {
      throw .error(.notADatabase, object: store.path)
    }
    guard shape.pageSize == pageSize else {
      throw .error(
        .corrupt, object: store.path, cause: "the log has pages of \(pageSize) bytes, and a header that says \(shape.pageSize)")
    }
    if let counted = shape.countedPages {
      if counted > currentPageCount {
        throw .error(
          .corrupt, object: store.path,
          cause: "the database has \(counted) pages by its header, and \(currentPageCount) by its log or its file")
      }
      currentPageCount = counted
    }
    if shape.reserved == pageSize - usableSize { return }
    store.hasChecksums = unsafe PageSeal.isMarked(pageOne: one.slot.pointee.image.bytes)
    configure(pageSize: pageSize, reserved: shape.reserved)
  }

  /// Keeps the pages that are the same in the new snapshot.
  private func dropStalePages(_ store: FileStore) throws(Fault) {
    var slot = unsafe table.pointee.clean.oldest
    while let current = unsafe slot {
      unsafe slot = current.pointee.newer
      let version = try version(of: unsafe current.pointee.number, store)
      #if PlantedBugs
        let known = unsafe current.pointee.image.header.pointee.version
        let isEqualFrame = UInt32(truncatingIfNeeded: known) == UInt32(truncatingIfNeeded: version)
        if PlantedBug.isActive(.keepEqualFrames), version != 0, isEqualFrame { continue }
      #endif
      if unsafe version == 0 || current.pointee.image.header.pointee.version != version {
        unsafe table.pointee.detach(current)
      }
    }
    unsafe table.pointee.trim()
  }
}
