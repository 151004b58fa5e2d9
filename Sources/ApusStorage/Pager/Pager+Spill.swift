// Spilling: when a write transaction outgrows its budget, the oldest private pages that nobody has pinned are written
// to where the commit would put them: as frames without a commit mark, or into the file once the journal is safe.
// Happens only as an operation begins. `unsafe` lives here.

import ApusBase
import ApusIO

/// A temporary database on its way from memory into a file.
struct Conversion {
  var file: any File
  var group: RequestGroup
}

extension Pager {
  /// Makes room for `pages` more private pages.
  func makeRoom(_ pages: Int) throws(Fault) {
    if isTemporary && store == nil { return try convertIfLarge() }
    guard let store else { return }
    let room = max(concurrentLimit, pages + Pager.unspilledPagesMin)
    if let wal = store.wal, store.concurrent?.phase == .open, unsafe table.pointee.dirty.count + pages > room {
      // What does not fit into memory goes into the log, and so takes its place there now.
      try takePlace(store, wal, mayRebase: false)
    }
    // What its statements go on with must not come from a commit that may yet fail.
    if store.concurrent?.phase == .ordinary, store.unpublishedBase != nil, !store.isCommitPrepared { try awaitBase() }
    try spillPages(pages, store)
    if undoByteCount > undoLimit || store.undoFile?.isWriting == true { try spillUndo(store) }
  }

  func spillPages(_ pages: Int, _ store: FileStore) throws(Fault) {
    if store.batch.isEmpty || store.batchCommits {
      let count = unsafe table.pointee.dirty.count
      // A budget smaller than what one operation asks for would spill, and sync, for each page.
      let limit = max(spillLimit, pages + Pager.unspilledPagesMin, store.spillBlockedUntil)
      #if PlantedBugs
        let isForced = count > 0 && environment.fires(.forceSpill)
      #else
        let isForced = false
      #endif
      if !canSpill || !isForced && (count + pages <= limit || count + pages - privatePagesBehindEnd <= limit) { return }
      // A commit that could not go on (busy) and was followed by more changes starts over.
      if store.batchCommits { forgetCommit(store) }
      chooseVictims(store)
      if store.batch.isEmpty { return }
    }
    try finishSpill(store)
  }

  /// See `PageTable.dirtyRoom`.
  var dirtyRoom: Int {
    guard let store else { return isTemporary ? 0 : .max }
    #if PlantedBugs
      if environment.fires(.forceSpill) { return 0 }
    #endif
    if !store.batch.isEmpty || store.isCommitPrepared || undoByteCount > undoLimit { return 0 }
    if keepsPrivatePages { return concurrentLimit }
    return canSpill ? max(spillLimit, store.spillBlockedUntil) : .max
  }

  /// Private pages that the file has lost since: a roll-back to a savepoint may need them, and nowhere is a place to write them to.
  /// What would be spilled in their stead comes back at once, and is spilled again.
  private var privatePagesBehindEnd: Int {
    var count = 0
    var slot = unsafe table.pointee.dirty.oldest
    while let current = unsafe slot {
      if unsafe current.pointee.number > currentPageCount { count += 1 }
      unsafe slot = current.pointee.newer
    }
    return count
  }

  /// Most private pages of a transaction that has no place in the log yet.
  private var concurrentLimit: Int { configuration.spills ? spillLimit : .max / 2 }

  /// Most private pages before they spill: the budget, or what PRAGMA cache_spill asks for beyond it.
  private var spillLimit: Int { max(dirtyLimit, configuration.spillPageCount) }

  var canSpill: Bool {
    if !configuration.spills || keepsPrivatePages { return false }
    let keepsNoJournal = configuration.journalMode == .memory || configuration.journalMode == .off
    return store?.wal != nil || store?.isTemporary == true || !keepsNoJournal
  }

  private func forgetCommit(_ store: FileStore) {
    precondition(store.flush.group == nil && store.wal?.append.group == nil)
    store.releaseBatch()
    store.batchCommits = false
    store.isCommitPrepared = false
    store.flush = .idle
  }

  /// A quarter of the private pages: the oldest that were not used since the last spill, then the oldest; less page 1 and
  /// what is pinned. More would come back soon, and fewer would make more writes of the same.
  /// - Parameter all: takes what is pinned or page 1 apart, everything.
  func chooseVictims(_ store: FileStore, all: Bool = false) {
    unsafe table.pointee.dirtyRoom = 0
    let count = unsafe table.pointee.dirty.count
    let wanted = all ? count : max(count / 4, count - spillLimit, Pager.spilledPagesMin)
    for sparesUsed in all ? [false] : [true, false] where store.batch.count < wanted {
      var slot = unsafe table.pointee.dirty.oldest
      while let current = unsafe slot, store.batch.count < wanted {
        unsafe slot = current.pointee.newer
        if unsafe current.pointee.number == 1 || current.pointee.pins > 0 || current.pointee.number > currentPageCount {
          continue
        }
        if sparesUsed, unsafe current.pointee.wasVisited {
          unsafe current.pointee.wasVisited = false
          continue
        }
        let image = unsafe current.pointee.image
        if !sparesUsed, !all, store.batch.contains(image) { continue }
        image.retain()
        store.batch.append(image)
      }
    }
    store.batch.sort { $0.number < $1.number }
    sealBatch(store)
    store.batchCommits = false
  }

  private static var spilledPagesMin: Int { 12 }

  /// Private pages that never spill, however small the budget.
  private static var unspilledPagesMin: Int { 8 }

  /// Called again until it returns; the statement that began it may be gone by then.
  func finishSpill(_ store: FileStore) throws(Fault) {
    if store.batch.isEmpty { return }
    #if PlantedBugs
      let isLost = PlantedBug.isActive(.evictDirtyPage)
    #else
      let isLost = false
    #endif
    do {
      if let wal = store.wal {
        if !isLost {
          try wal.appendFrames(
            store.batch, commitPageCount: 0, syncsHeader: configuration.synchronous != .off, syncsFrames: false)
        }
      } else {
        try flush(store, isCommit: false)
      }
    } catch {
      if case .failure(let failure) = error {
        store.note(error)
        if store.wal == nil, store.isDatabaseTouched {
          // What of it has reached the file is nobody's: the journal has what was there, and the commit cuts off what lies behind.
          for image in store.batch { store.spilledPages.insert(image.number) }
          store.hasSpilled = true
        }
        store.releaseBatch()
        store.flush = .idle
        if failure.code == .busy {
          // Readers are in the file: the transaction grows on in memory for now.
          store.spillBlockedUntil = unsafe table.pointee.dirty.count * 2
          return
        }
      }
      throw error
    }
    for image in store.batch {
      guard let slot = unsafe table.pointee.findLoaded(image.number), unsafe slot.pointee.image == image,
        unsafe slot.pointee.isInDirtyList
      else { continue }
      #if PlantedBugs
        let forgets = PlantedBug.isActive(.forgetSpilledForSavepoint)
      #else
        let forgets = false
      #endif
      if !forgets, !savepoints.isEmpty, store.wal != nil, unsafe slot.pointee.stamp < savepointSerialInForce {
        // Going back to the savepoint forgets the frame: the image must stay, and never change again.
        remember(image.number, privateImage: image)
        unsafe slot.pointee.stamp = savepointSerialInForce
      }
      unsafe table.pointee.markSpilled(slot)
      store.spilledPages.insert(image.number)
    }
    store.hasSpilled = true
    store.releaseBatch()
  }

  // MARK: Temporary databases

  private func convertIfLarge() throws(Fault) {
    guard let queue = temporaryQueue else { return }
    let count = unsafe table.pointee.clean.count + table.pointee.dirty.count
    if conversion == nil && (count <= max(spillLimit, cleanLimit) || !configuration.spills) { return }
    if conversion == nil { conversion = try startConversion(queue) }
    guard let active = conversion else { return }
    do throws(Fault) {
      try active.group.finish(queue)
    } catch {
      // There may be room the next time.
      if case .failure = error { conversion = nil }
      throw error
    }
    conversion = nil
    let store = FileStore(
      environment: environment, queue: queue, file: active.file, isTemporary: true, sharedCacheBytes: 0)
    store.hasReadHeader = true
    self.store = store
    unsafe table.pointee.cleanLimit = cleanLimit
    unsafe table.pointee.needsTrim = true
  }

  /// Waits for the writes of a conversion that a dropped statement has left unfinished, and gives the file up: it has the pages of
  /// a database that is about to be replaced. Called again after a wait.
  func endConversion() throws(Fault) {
    guard let active = conversion, let queue = temporaryQueue else { return }
    do throws(Fault) {
      try active.group.finish(queue)
    } catch {
      if case .wait = error { throw error }
    }
    conversion = nil
  }

  /// Writes the committed image of every page.
  private func startConversion(_ queue: any IOQueue) throws(Fault) -> Conversion {
    let environment = self.environment
    let file = try faulting { () throws(EngineError) in try environment.openTemporary() }
    let group = RequestGroup()
    for unsafe list in unsafe [table.pointee.clean, table.pointee.dirty] {
      var slot = unsafe list.oldest
      while let current = unsafe slot {
        unsafe slot = current.pointee.newer
        let isPrivate = unsafe current.pointee.flags.contains(.dirty)
        guard let image = unsafe isPrivate ? current.pointee.original : current.pointee.image else { continue }
        group.hold(image)
        group.add(
          queue.write(file, at: Int64(image.number - 1) * Int64(pageSize), from: [image.bytes]))
      }
    }
    return Conversion(file: file, group: group)
  }
}
