// A database on its way to bytes, a few pages at a time, on one snapshot from the first page to the last one.

import ApusBase
import ApusStorage

public final class Serialization {
  private let connection: Connection
  private let pager: Pager
  private let walk: PageWalk
  private var bytes: [UInt8] = []
  private var isReserved = false

  /// - Throws: SQLITE_ERROR where the connection has no database `name`.
  public init(_ connection: Connection, _ name: String = "main") throws(EngineError) {
    self.connection = connection
    pager = try connection.database(named: name).pager
    try connection.state.checkNotVacuuming()
    walk = PageWalk(pager)
  }

  /// Reads the next pages, at most `pages`. Called again after a wait; between two steps nothing else uses the
  /// connection. A step that fails gives the snapshot back.
  /// - Returns: true when all are there.
  public func step(pages: UInt32) throws(Fault) -> Bool {
    do throws(Fault) {
      let isDone = try advance(pages)
      if isDone { finish() }
      return isDone
    } catch {
      if case .failure = error { finish() }
      throw error
    }
  }

  private func advance(_ pages: UInt32) throws(Fault) -> Bool {
    try connection.checkProcess()
    try connection.state.settleDebts()
    if pager.state == .none { try pager.beginRead() }
    if !isReserved {
      bytes.reserveCapacity(max(Int(pager.pageCount), 1) * pager.pageSize)
      isReserved = true
    }
    if pager.pageCount == 0 {
      try walk.showEmptyDatabase { _, page in bytes.append(contentsOf: page.array) }
      return true
    }
    return !(try walk.run(pages: pages) { _, page in bytes.append(contentsOf: page.array) })
  }

  /// Gives the snapshot back, where it is not an open transaction's.
  public func finish() { connection.endIdleRead(pager) }

  /// What was read; nothing of it stays here.
  public func takeBytes() -> [UInt8] {
    defer { bytes = [] }
    return bytes
  }
}
