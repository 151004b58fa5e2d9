// PRAGMA shrink_memory and its kin: what a connection holds in memory and can do without.

import ApusBase
import ApusStorage

extension ConnectionState {
  /// Gives back what the connection keeps only because it may be needed again: pages that can be read again, and what
  /// statements that do not run have kept. What statements that run stand on stays.
  /// - Returns: bytes that were freed.
  @discardableResult
  public func shrinkMemory() -> Int {
    var freed = opener?.shrinkStatements() ?? 0
    for database in databases { freed += database?.pager.shrink() ?? 0 }
    if freed > 0 { environment.trimMemory() }
    return freed
  }

  /// Writes the private pages of the open transaction that nobody stands on; it goes on.
  /// - Returns: false where readers have kept some database from being written.
  public func flushPrivatePages() throws(Fault) -> Bool {
    try settleDebts()
    // After a wait those that are written have nothing left to write.
    var isWhole = true
    for database in databases {
      if let pager = database?.pager, try !pager.flushPrivatePages() { isWhole = false }
    }
    return isWhole
  }
}
