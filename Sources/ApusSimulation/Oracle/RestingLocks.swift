// The locks of a connection whose statement has ended outside of a transaction (O9): none, but SHARED on a file with a log; and of
// one that was refused the lock to write: those of a reader. A lock that is kept would else be noticed where the connection ends,
// or by whoever waits for it in vain.

struct RestingLocks {
  private let disk: SimulatedDisk
  private let client: Int

  init(_ disk: SimulatedDisk, of client: Int) {
    self.disk = disk
    self.client = client
  }

  /// - Returns: the first lock that is one too many; nil where there is none.
  var problem: String? {
    for (path, file) in disk.names.sorted(by: { $0.key < $1.key }) {
      let hasLog = disk.hasLog(path)
      for lock in file.locks where disk.handles[lock.owner]?.client == client {
        if hasLog, lock.kind == .shared, lock.range.lowerBound == SimulatedDisk.sharedFirst { continue }
        return "\(path): at rest it keeps a lock (\(lock.kind)) on bytes \(lock.range)"
      }
    }
    for (path, shared) in disk.sharedMemories.sorted(by: { $0.key < $1.key }) {
      for lock in shared.locks where shared.connection(of: lock.owner) == client {
        return "\(path): at rest it keeps slot \(lock.range.lowerBound) of the wal-index (\(lock.kind))"
      }
    }
    return nil
  }

  /// - Returns: the first lock that is more than a reader's; nil where there is none.
  var problemOfReader: String? {
    for (path, file) in disk.names.sorted(by: { $0.key < $1.key }) {
      for lock in file.locks where disk.handles[lock.owner]?.client == client {
        if lock.kind == .shared, lock.range.lowerBound == SimulatedDisk.sharedFirst { continue }
        return "\(path): it may not write, and keeps a lock (\(lock.kind)) on bytes \(lock.range)"
      }
    }
    for (path, shared) in disk.sharedMemories.sorted(by: { $0.key < $1.key }) {
      for lock in shared.locks where shared.connection(of: lock.owner) == client && lock.kind == .exclusive {
        return "\(path): it may not write, and keeps slot \(lock.range.lowerBound) of the wal-index"
      }
    }
    return nil
  }
}
