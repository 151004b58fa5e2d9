// What must be left of connections that have nothing to do, or are closed: nothing (O9).

import ApusBase
import ApusIO

struct LeakCheck {
  private let world: World

  init(_ world: World) { self.world = world }

  /// Every connection is between two transactions: nobody writes, reads or copies back.
  func checkResting() throws(Finding) {
    for (path, shared) in world.disk.sharedMemories.sorted(by: { $0.key < $1.key }) {
      if let lock = shared.locks.first {
        throw Finding(
          oracle: .leak, text: "\(path): at rest, somebody keeps slot \(lock.range.lowerBound) of the wal-index (\(lock.kind))")
      }
    }
    for (path, file) in world.disk.names.sorted(by: { $0.key < $1.key }) {
      // Whoever uses a log keeps SHARED.
      for lock in file.locks where lock.kind == .exclusive || !world.disk.hasLog(path) {
        throw Finding(oracle: .leak, text: "\(path): at rest, somebody keeps a lock (\(lock.kind)) on bytes \(lock.range)")
      }
    }
  }

  /// Every connection is closed: no handle, no lock, no memory, no request, no file without a name.
  func checkClosed() throws(Finding) {
    if let handle = world.disk.handles.min(by: { $0.key < $1.key })?.value {
      throw Finding(oracle: .leak, text: "\(handle.path) is open although every connection is closed")
    }
    for (path, file) in world.disk.names.sorted(by: { $0.key < $1.key }) where !file.locks.isEmpty {
      throw Finding(oracle: .leak, text: "\(path) is locked although every connection is closed")
    }
    if let path = world.disk.sharedMemories.keys.min() {
      throw Finding(oracle: .leak, text: "the wal-index of \(path) is there although every connection is closed")
    }
    if let request = world.disk.inFlight.first {
      throw Finding(oracle: .leak, text: "a request for \(request.path) is in flight although every connection is closed")
    }
  }

  /// The last connection was alone with the files, and had no trouble: none has a log, or a journal that would be played back, and
  /// where nobody else ever had trouble no super-journal is there.
  func checkNames(hadTrouble: Bool) throws(Finding) {
    for (path, file) in world.disk.names.sorted(by: { $0.key < $1.key })
    where !path.hasPrefix(World.copyPrefix) {
      let isLeft =
        switch FileRole(path) {
        case .log: !file.current.isEmpty
        case .journal: !JournalImage(file.current).isHeadless
        case .superJournal: !hadTrouble
        case .database, .other: false
        }
      if isLeft { throw Finding(oracle: .leak, text: "\(path) is there although every connection is closed") }
    }
  }
}
