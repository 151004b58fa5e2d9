// Memory of a connection: how much it is, and how to have less of it.

import ApusBase
import ApusStorage
import ApusVM

extension Connection {
  /// Gives back what the connection keeps only because it may be needed again, as `PRAGMA shrink_memory` does: pages that can
  /// be read again, and buffers of statements that do not run.
  /// - Returns: bytes that were freed.
  @discardableResult
  public func releaseMemory() -> Int { state.shrinkMemory() }

  /// Bytes of page images in memory that belong to this connection alone.
  public var pageByteCount: Int { state.databases.reduce(0) { $0 + ($1?.pager.ownByteCount ?? 0) } }

  /// Bytes of page images that its files' caches hold, for all connections of this process.
  public var sharedPageByteCount: Int { state.databases.reduce(0) { $0 + ($1?.pager.sharedByteCount ?? 0) } }

  /// Writes the pages that the open transaction has changed, as far as no cursor stands on them, to where a spill puts them.
  /// - Throws: SQLITE_BUSY where readers have kept some database from being written (the others were); what a write met.
  public func flushBlocking() throws(EngineError) {
    let isWhole = try block { () throws(Fault) in
      try checkProcess()
      return try state.flushPrivatePages()
    }
    if !isWhole { throw EngineError(.busy) }
  }
}
