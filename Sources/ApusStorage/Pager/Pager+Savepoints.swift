// Savepoints: marks inside a write transaction, statements' undo scopes included.
//
// The first change of a page after a mark leaves an undo entry: the private image as it was at the mark, or "the page
// was as committed". Going back to a mark applies the entries newest first. A slot's stamp is the serial of the mark in
// force when its image was made, so one comparison tells whether an entry is still owed. `unsafe` lives here.

import ApusBase

struct SavepointMark {
  var serial: UInt32
  var undoCount: Int
  var pageCount: UInt32
  var usesPointerMap = false
  var pointerEdits: [UInt32: PointerEntry] = [:]
  /// Where the log stood.
  var tip: UInt32 = 0
  var checksum = WALChecksum()
}

struct UndoEntry {
  var number: UInt32
  /// nil: the page was as committed.
  var image: PageImage?
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
    savepoints.append(mark)
    return savepoints.count - 1
  }

  /// Forgets savepoint `index` and those opened after it; their changes stay.
  public func releaseSavepoint(_ index: Int) {
    precondition(index >= 0)
    if index >= savepoints.count { return }
    if index == savepoints.count - 1 { savepoints.removeLast() } else { savepoints.removeSubrange(index...) }
    if index == 0 && !undo.isEmpty { releaseUndo(from: 0) }
  }

  /// Undoes everything since savepoint `index` was opened; it stays open, those after it are gone.
  public func rollback(toSavepoint index: Int) throws(Fault) {
    guard state == .write, index < savepoints.count else { return }
    if let store {
      if !store.batch.isEmpty && !store.batchCommits { try finishSpill(store) }
      if store.isCommitPrepared { try abandonCommit(store) }
    }
    let mark = savepoints[index]
    try cursors.saveAllBeforeRollback()
    let originals = try loadOriginals(from: mark.undoCount)
    // Everything is loaded: act. What a dropped statement was reading may lie in frames that are used anew.
    cursors.forgetPaths()
    #if PlantedBugs
      let keepsReads = PlantedBug.isActive(.keepReadsAfterRollback)
    #else
      let keepsReads = false
    #endif
    if let store, !keepsReads { dropReads(store) }
    if let wal = store?.wal { try wal.truncateTip(to: mark.tip, mark.checksum) }
    savepoints.removeSubrange((index + 1)...)
    while undo.count > mark.undoCount { undoPage(undo.removeLast(), originals) }
    for image in originals.values { image.release() }
    currentPageCount = mark.pageCount
    usesPointerMap = mark.usesPointerMap
    pointerEdits = mark.pointerEdits
    freePool = nil
    if store == nil { dropPages(behind: currentPageCount) }
    // What is private now has no entry behind this mark.
    savepointSerial += 1
    savepoints[index].serial = savepointSerial
  }

  /// Pages that were committed at the mark and have been overwritten in the file since: their originals are in the
  /// journal.
  private func loadOriginals(from undoCount: Int) throws(Fault) -> [UInt32: PageImage] {
    guard let store, store.wal == nil, store.hasSpilled, let journal = store.journal else { return [:] }
    let load: OriginalLoad
    if let active = store.originalLoad {
      load = active
    } else {
      load = OriginalLoad(group: RequestGroup(), images: [:])
      for entry in undo[undoCount...] where entry.image == nil && store.spilledPages.contains(entry.number) {
        guard load.images[entry.number] == nil, let offset = store.journalOffsets[entry.number] else { continue }
        let image = PageImage.allocate(entry.number, byteCount: pageSize)
        load.images[entry.number] = image
        load.group.hold(image)
        load.group.add(store.queue.read(journal, at: offset, into: image.mutableBytes))
      }
      store.originalLoad = load
    }
    do { try load.group.finish(store.queue) } catch {
      if case .failure = error {
        store.originalLoad = nil
        for image in load.images.values { image.release() }
      }
      throw error
    }
    store.originalLoad = nil
    return load.images
  }

  private func undoPage(_ entry: UndoEntry, _ originals: [UInt32: PageImage]) {
    var original: PageImage?
    if let slot = unsafe table.pointee.findLoaded(entry.number) {
      original = unsafe slot.pointee.original
      unsafe slot.pointee.original = nil
      unsafe table.pointee.detach(slot)
    }
    if let image = entry.image {
      undoByteCount -= pageSize
      _ = unsafe table.pointee.insertDirty(image, original: original, stamp: 0)
    } else if let image = originals[entry.number] {
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
    if image != nil { undoByteCount += pageSize }
    undo.append(UndoEntry(number: number, image: image))
  }

  /// The same, with a reference that the entry takes over.
  func remember(_ number: UInt32, copy image: PageImage) {
    undoByteCount += pageSize
    undo.append(UndoEntry(number: number, image: image))
  }

  func releaseUndo(from count: Int) {
    while undo.count > count {
      if let image = undo.removeLast().image {
        undoByteCount -= pageSize
        unsafe table.pointee.recycle(image)
      }
    }
  }
}

/// Originals on their way from the journal.
final class OriginalLoad {
  let group: RequestGroup
  var images: [UInt32: PageImage]

  init(group: RequestGroup, images: [UInt32: PageImage]) {
    self.group = group
    self.images = images
  }
}
