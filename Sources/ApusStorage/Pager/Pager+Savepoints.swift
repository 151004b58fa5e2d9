// Savepoints: marks inside a write transaction, statements' undo scopes included.
//
// The first change of a page after a mark leaves an undo entry: the private image as it was at the mark, or "the page was
// as committed". Going back to a mark applies the entries newest first. A slot's stamp is the serial of the mark in force
// when its image was made, so one comparison tells whether an entry is still owed. `unsafe` lives here.

import ApusBase

struct SavepointMark {
  var serial: UInt32
  var undoCount: Int
  var pageCount: UInt32
}

struct UndoEntry {
  var number: UInt32
  /// nil: the page was as committed.
  var image: PageImage?
}

extension Pager {
  var savepointSerialInForce: UInt32 { savepoints.last?.serial ?? 0 }

  /// Opens a savepoint and returns its index, the number of those open before.
  public func openSavepoint() -> Int {
    savepointSerial += 1
    savepoints.append(
      SavepointMark(serial: savepointSerial, undoCount: undo.count, pageCount: currentPageCount))
    return savepoints.count - 1
  }

  /// Forgets savepoint `index` and those opened after it; their changes stay.
  public func releaseSavepoint(_ index: Int) {
    precondition(index >= 0)
    if index >= savepoints.count { return }
    savepoints.removeSubrange(index...)
    if savepoints.isEmpty { releaseUndo(from: 0) }
  }

  /// Undoes everything since savepoint `index` was opened; it stays open, those after it are gone.
  public func rollback(toSavepoint index: Int) throws(Fault) {
    guard state == .write, index < savepoints.count else { return }
    cursors.forgetPaths()
    let mark = savepoints[index]
    savepoints.removeSubrange((index + 1)...)
    while undo.count > mark.undoCount {
      let entry = undo.removeLast()
      undoPage(entry)
    }
    currentPageCount = mark.pageCount
    // What is private now has no entry behind this mark.
    savepointSerial += 1
    savepoints[index].serial = savepointSerial
  }

  private func undoPage(_ entry: UndoEntry) {
    var original: PageImage?
    if let slot = unsafe table.pointee.findLoaded(entry.number) {
      original = unsafe slot.pointee.original
      unsafe slot.pointee.original = nil
      unsafe table.pointee.detach(slot)
    }
    if let image = entry.image {
      undoByteCount -= pageSize
      _ = unsafe table.pointee.insertDirty(image, original: original, stamp: 0)
    } else if let original {
      _ = unsafe table.pointee.insertClean(original)
    }
  }

  func remember(_ number: UInt32, privateImage image: PageImage?) {
    image?.retain()
    if image != nil { undoByteCount += pageSize }
    undo.append(UndoEntry(number: number, image: image))
  }

  func releaseUndo(from count: Int) {
    while undo.count > count {
      if let image = undo.removeLast().image {
        undoByteCount -= pageSize
        image.release()
      }
    }
  }
}
