// Transactions: snapshot, write, commit, rollback. `unsafe` lives here.

import ApusBase
import ApusIO

extension Pager {
  /// Makes the newest committed state the connection's snapshot. Nothing happens where one is open.
  public func beginRead() throws(Fault) {
    if state != .none { return }
    state = .read
  }

  /// The last reader is gone.
  public func endRead() {
    precondition(state != .write)
    cursors.forgetPaths()
    state = .none
  }

  /// Starts a write transaction on the snapshot, which is opened first where there is none.
  public func beginWrite(exclusive: Bool = false) throws(Fault) {
    if state == .write { return }
    try beginRead()
    let one = currentPageCount == 0 ? try loadedPage(.one) : nil
    committedPageCount = currentPageCount
    state = .write
    if let one {
      _ = writable(one)
      currentPageCount = 1
    }
  }

  /// Ends the write transaction; its changes are what the next snapshots see, durable as `synchronous` says.
  public func commit() throws(Fault) {
    if state != .write { return }
    stampPageOne()
    while let slot = unsafe table.pointee.dirty.oldest { unsafe table.pointee.makeClean(slot) }
    endWrite()
  }

  /// Ends the write transaction; nothing of it stays.
  public func rollback() throws(Fault) {
    if state != .write { return }
    cursors.forgetPaths()
    while let slot = unsafe table.pointee.dirty.oldest {
      let original = unsafe slot.pointee.original
      unsafe slot.pointee.original = nil
      unsafe table.pointee.detach(slot)
      if let original { _ = unsafe table.pointee.insertClean(original) }
    }
    currentPageCount = committedPageCount
    endWrite()
  }

  private func endWrite() {
    savepoints = []
    releaseUndo(from: 0)
    freedPages.removeAll()
    contentlessPages.removeAll()
    state = .read
  }

  private func stampPageOne() {
    guard unsafe table.pointee.dirty.count > 0, let slot = unsafe table.pointee.findLoaded(1) else { return }
    let bytes = unsafe writable(Page(slot, byteCount: usableSize, isWritable: false)).mutableBytes
    bytes.setBigEndianUInt32(currentPageCount, at: DatabaseHeader.pageCountOffset)
  }
}
