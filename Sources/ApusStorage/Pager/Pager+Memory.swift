// Memory given back on demand (PRAGMA shrink_memory), and private pages written on demand (sqlite3_db_cacheflush).
// `unsafe` lives here: the page table.

import ApusBase
import ApusIO

extension Pager {
  /// Gives back what can be read or made again: clean pages that no cursor has pinned, images that wait for their next use,
  /// and images in the file's cache that no connection has in its table. Between two operations only; the snapshot and the
  /// transaction stay as they are.
  /// - Returns: bytes of pages that were freed.
  public func shrink() -> Int {
    if conversion != nil { return 0 }
    // Without a file the table is the database.
    var freed = unsafe table.pointee.shrink(dropsClean: store != nil)
    endDirtyRoom()
    if let cache = store?.cache { freed += cache.shrink() }
    return freed
  }

  /// Bytes of the page images that this connection alone holds in memory, its private pages included.
  public var ownByteCount: Int { unsafe table.pointee.ownByteCount }

  /// Bytes of the page images in the cache that the connections of this process share for the file.
  public var sharedByteCount: Int { store?.cache?.byteCount ?? 0 }

  /// Writes the private pages that no cursor has pinned, page 1 excepted, to where a spill would put them; the transaction
  /// goes on. Nothing happens where there is no write transaction, or where pages may not spill. Called again after a wait.
  /// - Returns: false where readers keep the file from being written.
  public func flushPrivatePages() throws(Fault) -> Bool {
    guard state == .write, let store, canSpill, !store.replacesFile else { return true }
    try store.checkPoison()
    beginOperation()
    if store.isCommitPrepared { try abandonCommit(store) }
    // What a dropped statement has begun comes first; after a wait this is what was begun here.
    if !store.batch.isEmpty, try !spillBatch(store) { return false }
    chooseVictims(store, all: true)
    if store.batch.isEmpty { return true }
    return try spillBatch(store)
  }

  private func spillBatch(_ store: FileStore) throws(Fault) -> Bool {
    store.spillBlockedUntil = 0
    try finishSpill(store)
    return store.spillBlockedUntil == 0
  }
}
