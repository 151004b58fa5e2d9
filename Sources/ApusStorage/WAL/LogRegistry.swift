// What the connections of one process know of each other's snapshots of a file, and the limit of its log. One object a file and
// process; it belongs to the file's cache. A snapshot costs two stores and a look at the clock, and nobody waits for anybody.

import ApusIO
import Synchronization

final class LogRegistry: Sendable {
  /// A connection's snapshot.
  final class Connection: Sendable {
    /// From 1, in the order in which they have opened the file.
    let number: Int
    /// The read mark that it holds; -1 for none.
    fileprivate let mark = Atomic<Int>(-1)
    /// When its snapshot was opened.
    fileprivate let since = Atomic<UInt64>(0)

    fileprivate init(_ number: Int) { self.number = number }

    func note(mark: Int?) { self.mark.store(mark ?? -1, ordering: .relaxed) }
    func note(since moment: UInt64) { since.store(moment, ordering: .relaxed) }
  }

  private struct State {
    var connections: [Connection] = []
    var nextNumber = 1
  }

  private let state = ThreadMutex(State())
  private let limitBytes = Atomic<Int64>(0)
  private let warnedBytes = Atomic<Int64>(0)

  /// The size from which on each doubling of the log is told.
  static let warningBytes: Int64 = 64 << 20

  /// `PRAGMA wal_size_limit` in bytes; 0: none.
  var limit: Int64 { limitBytes.load(ordering: .relaxed) }

  func setLimit(_ byteCount: Int64) { limitBytes.store(max(byteCount, 0), ordering: .relaxed) }

  func join() -> Connection {
    state.withLock { state in
      let connection = Connection(state.nextNumber)
      state.nextNumber += 1
      state.connections.append(connection)
      return connection
    }
  }

  func leave(_ connection: Connection) {
    state.withLock { state in state.connections.removeAll { $0 === connection } }
  }

  /// Of those that hold the read mark the one that has been open for longest.
  func reader(on mark: Int, besides own: Connection?) -> (number: Int, since: UInt64)? {
    state.withLock { state in
      state.connections.filter { $0 !== own && $0.mark.load(ordering: .relaxed) == mark }
        .map { ($0.number, $0.since.load(ordering: .relaxed)) }
        .min { $0.1 < $1.1 }
    }
  }

  /// The log has grown to `byteCount` with a commit.
  /// - Returns: the size to warn of, once for each doubling beyond `warningBytes` until the log has started again.
  func growth(to byteCount: Int64) -> Int64? {
    let warned = warnedBytes.load(ordering: .relaxed)
    if byteCount < Self.warningBytes {
      if warned != 0 { warnedBytes.store(0, ordering: .relaxed) }
      return nil
    }
    var size = Self.warningBytes
    while size <= byteCount / 2 { size *= 2 }
    if size <= warned { return nil }
    return warnedBytes.compareExchange(expected: warned, desired: size, ordering: .relaxed).exchanged ? size : nil
  }
}
