// Savepoints: marks inside a write transaction, statements' undo scopes included.
//
// The first change of a page after a mark leaves an undo entry: the private image as it was at the mark, or "the page
// was as committed". Going back to a mark applies the entries newest first, a bounded number of them at a time. A slot's stamp is
// the serial of the mark in force when its image was made, so one comparison tells whether an entry is still owed. Images over
// the budget wait in a temporary file, see UndoFile. `unsafe` lives here.

import ApusBase

struct SavepointMark {
  var serial: UInt64
  var undoCount: Int
  var pageCount: UInt32
  var usesPointerMap = false
  var pointerEdits: [UInt32: PointerEntry] = [:]
  /// Where the log stood.
  var tip: UInt32 = 0
  var checksum = WALChecksum()
  /// Changes of a concurrent transaction.
  var changeCount = 0
  /// The freelist, while the file has none: a dropped COMMIT was giving pages back.
  var freePool: FreePool?
}

/// The pages of a mark's entries up to `end`; known once a mark inside it was released.
struct MarkedPages {
  var pages = PageSet()
  var end: Int
}

struct UndoEntry {
  var number: UInt32
  /// Where the image lies in the undo file, from 1 on; 0 where it does not.
  var place: UInt32 = 0
  /// Neither an image nor a place: the page was as committed.
  var image: PageImage?

  var isAsCommitted: Bool { image == nil && place == 0 }
}

extension Pager {
  /// Opens a savepoint and returns its index, the number of those open before.
  public func openSavepoint() -> Int {
    savepointSerial += 1
    var mark = SavepointMark(serial: savepointSerial, undoCount: undo.count, pageCount: currentPageCount)
    if usesPointerMap {
      mark.usesPointerMap = true
      mark.pointerEdits = pointerEdits
    }
    if let wal = store?.wal {
      mark.tip = wal.tip
      mark.checksum = wal.tipChecksum
    }
    mark.changeCount = logicalLog?.changeCount ?? 0
    #if PlantedBugs
      let forgetsPool = PlantedBug.isActive(.forgetFreePool)
    #else
      let forgetsPool = false
    #endif
    if let pool = freePool, pool.isOwned, !forgetsPool { mark.freePool = FreePool(pool) }
    savepoints.append(mark)
    return savepoints.count - 1
  }

  /// Forgets savepoint `index` and those opened after it; their changes stay.
  public func releaseSavepoint(_ index: Int) {
    precondition(index >= 0)
    if index >= savepoints.count { return }
    if index > 0, savepoints[index].undoCount < undo.count {
      mergeEntries(intoMark: index - 1, from: savepoints[index].undoCount)
    }
    if !markedPages.isEmpty { for mark in savepoints[index...] { markedPages[mark.serial] = nil } }
    if index == savepoints.count - 1 { savepoints.removeLast() } else { savepoints.removeSubrange(index...) }
    if index == 0 && !undo.isEmpty { releaseUndo(from: 0) }
  }

  /// Of each page a mark needs its oldest entry only: those behind it that came from marks which are released go. So many
  /// statements inside one savepoint cost no more than the pages that they change.
  private func mergeEntries(intoMark index: Int, from first: Int) {
    let serial = savepoints[index].serial
    var known = markedPages.removeValue(forKey: serial) ?? MarkedPages(end: savepoints[index].undoCount)
    for position in stride(from: known.end, to: first, by: 1) { known.pages.insert(undo[position].number) }
    store?.undoFile?.forgetWrites()
    var kept = first
    for position in first..<undo.count {
      let entry = undo[position]
      if known.pages.contains(entry.number) {
        drop(entry)
      } else {
        known.pages.insert(entry.number)
        #if PlantedBugs
          if PlantedBug.isActive(.loseEntryAtRelease), position == undo.count - 1, kept > first {
            drop(entry)
            continue
          }
        #endif
        undo[kept] = entry
        kept += 1
      }
    }
    undo.removeSubrange(kept...)
    store?.undoFile?.cut(to: undo, from: first)
    known.end = kept
    markedPages[serial] = known
  }

  /// Undoes everything since savepoint `index` was opened; it stays open, those after it are gone. Called again after a wait, and
  /// before anything else.
  public func rollback(toSavepoint index: Int) throws(Fault) {
    guard state == .write, index < savepoints.count else { return }
    if let store {
      if !store.batch.isEmpty && !store.batchCommits { try finishSpill(store) }
      if store.isCommitPrepared { try abandonCommit(store) }
      try store.undoFile?.settle(store.queue)
    }
    let mark = savepoints[index]
    try saveCursorsBeforeRollback()
    try loadEntries(from: max(mark.undoCount, undo.count - Pager.entriesPerStep))
    // What is needed for the first step is loaded: act. What a dropped statement was reading may lie in frames that are used
    // anew.
    cursors.forgetPaths()
    #if PlantedBugs
      let keepsReads = PlantedBug.isActive(.keepReadsAfterRollback)
    #else
      let keepsReads = false
    #endif
    if let store, !keepsReads { dropReads(store) }
    #if PlantedBugs
      if PlantedBug.isActive(.dropReadsAtRollbackTo) {
        store?.concurrent?.lookedAt.removeAll()
        store?.concurrent?.log.forgetReads()
      }
    #endif
    // Who has no place in the log, or has lost it, has no frames there.
    if let wal = store?.wal, wal.holdsWriteLock, !keepsPrivatePages { try wal.truncateTip(to: mark.tip, mark.checksum) }
    if !markedPages.isEmpty { for other in savepoints[index...] { markedPages[other.serial] = nil } }
    savepoints.removeSubrange((index + 1)...)
    while undo.count > mark.undoCount {
      let first = max(mark.undoCount, undo.count - Pager.entriesPerStep)
      try loadEntries(from: first)
      let load = store?.undoLoad
      while undo.count > first {
        let place = undo.count - 1
        undoPage(undo.removeLast(), load?.take(place), load)
      }
      load?.release()
      store?.undoLoad = nil
      store?.undoFile?.cut(to: undo)
      // What was detached goes. Frames that were written now would be forgotten with those behind the mark.
      beginOperation()
      if let store, store.wal == nil { try spillPages(0, store) }
    }
    #if PlantedBugs
      let keepsCount = PlantedBug.isActive(.keepPageCountAtRollback),
        keepsEdits = PlantedBug.isActive(.keepMapEditsAtRollback)
    #else
      let keepsCount = false, keepsEdits = false
    #endif
    if !keepsCount { currentPageCount = mark.pageCount }
    usesPointerMap = mark.usesPointerMap
    if !keepsEdits { pointerEdits = mark.pointerEdits }
    freePool = mark.freePool.map { FreePool($0) }
    if freePool != nil { endDirtyRoom() }
    // An earlier mark, or the transaction's own roll-back, may need what is committed: without a file it is nowhere else.
    if store == nil { dropPages(behind: max(currentPageCount, committedPageCount)) }
    // What is private now has no entry behind this mark.
    savepointSerial += 1
    savepoints[index].serial = savepointSerial
    cutChanges(to: mark)
  }

  /// Entries that are undone at a time: what a roll-back needs in memory does not grow with the transaction.
  private static var entriesPerStep: Int { 64 }

  /// Brings the images of the entries from `first` on that are not in memory: from the undo file, and those of pages that were
  /// committed at the mark and have been overwritten in the file since, from the journal.
  private func loadEntries(from first: Int) throws(Fault) {
    guard let store else { return }
    let load: UndoLoad
    let step = UndoLoad.Step(serial: savepointSerial, first: first, end: undo.count)
    if let active = store.undoLoad, active.step == step {
      load = active
    } else {
      if let stale = store.undoLoad {
        // Of a roll-back that was dropped.
        store.abandon(stale.group)
        stale.release()
      }
      load = UndoLoad(step)
      for position in first..<undo.count {
        let entry = undo[position]
        if entry.place != 0, let file = store.undoFile {
          load.read(
            file.file, at: file.offset(of: entry.place, pageSize), entry.number, pageSize, store.queue, key: position)
        } else if entry.isAsCommitted, store.wal == nil, store.hasSpilled, !skipsOriginals, let journal = store.journal,
          store.spilledPages.contains(entry.number), !load.hasOriginal(entry.number),
          let offset = store.journalOffsets[entry.number]
        {
          load.read(journal, at: offset, entry.number, pageSize, store.queue, key: nil)
        }
      }
      store.undoLoad = load
    }
    do throws(Fault) {
      try load.group.finish(store.queue)
      guard load.group.hasTransferredOnly(pageSize) else {
        throw Fault.error(
          .ioErrorShortRead, object: store.path, cause: "a page that the transaction had written ends early",
          hint: "the file was cut by somebody else, or its file system is full")
      }
    } catch {
      if case .failure = error {
        store.undoLoad = nil
        load.release()
      }
      throw error
    }
  }

  private var skipsOriginals: Bool {
    #if PlantedBugs
      return PlantedBug.isActive(.skipOriginalsAtRollback)
    #else
      return false
    #endif
  }

  private func undoPage(_ entry: UndoEntry, _ saved: PageImage?, _ load: UndoLoad?) {
    var original: PageImage?
    if let slot = unsafe table.pointee.findLoaded(entry.number) {
      original = unsafe slot.pointee.original
      unsafe slot.pointee.original = nil
      unsafe table.pointee.detach(slot)
    }
    if entry.image != nil { undoByteCount -= pageSize }
    if let image = entry.image ?? saved {
      _ = unsafe table.pointee.insertDirty(image, original: original, stamp: 0)
    } else if let image = load?.original(entry.number) {
      // The file does not hold the page as it was: it is written again with the commit.
      original?.release()
      image.retain()
      _ = unsafe table.pointee.insertDirty(image, original: nil, stamp: 0)
    } else if let original {
      _ = unsafe table.pointee.insertClean(original)
    }
  }

  func remember(_ number: UInt32, privateImage image: PageImage?) {
    image?.retain()
    if image != nil { noteUndoImage() }
    undo.append(UndoEntry(number: number, image: image))
  }

  /// The same, with a reference that the entry takes over.
  func remember(_ number: UInt32, copy image: PageImage) {
    noteUndoImage()
    undo.append(UndoEntry(number: number, image: image))
  }

  private func noteUndoImage() {
    undoByteCount += pageSize
    // The next operation makes room.
    if undoByteCount > undoLimit, store != nil { unsafe table.pointee.dirtyRoom = 0 }
  }

  private func drop(_ entry: UndoEntry) {
    guard let image = entry.image else { return }
    undoByteCount -= pageSize
    unsafe table.pointee.recycle(image)
  }

  func releaseUndo(from count: Int) {
    store?.undoFile?.forgetWrites()
    while undo.count > count { drop(undo.removeLast()) }
    store?.undoFile?.cut(to: undo)
  }

  // MARK: Images over the budget

  /// Undo images that stay in memory, in bytes.
  var undoLimit: Int {
    #if PlantedBugs
      if environment.fires(.forceUndoSpill) { return 0 }
    #endif
    return dirtyLimit * pageSize
  }

  /// What the connection itself holds of this database: pages in its table and undo images; for tests.
  public var heldByteCount: Int { unsafe table.pointee.heldSlotCount * pageSize + undoByteCount }

  /// Writes the oldest undo images to the undo file until half of the budget is free. Called again until it returns.
  func spillUndo(_ store: FileStore) throws(Fault) {
    if let file = store.undoFile, file.isWriting { try endUndoWrite(store, file) }
    if undoByteCount <= undoLimit { return }
    let file: UndoFile
    if let open = store.undoFile {
      file = open
    } else {
      let environment = self.environment
      file = UndoFile(try faulting { () throws(EngineError) in try environment.openTemporary() })
      store.undoFile = file
    }
    while undoByteCount > undoLimit / 2, file.startWrite(undo, pageSize, store.queue) { try endUndoWrite(store, file) }
  }

  private func endUndoWrite(_ store: FileStore, _ file: UndoFile) throws(Fault) {
    try file.finishWrite(store.queue)
    for written in file.takeWritten() {
      guard let image = undo[written.position].image else { continue }
      undo[written.position].place = written.place
      undo[written.position].image = nil
      undoByteCount -= pageSize
      unsafe table.pointee.recycle(image)
    }
  }
}
