// The memory of a wal-index that only one connection uses: nobody else can be there (`locking_mode = EXCLUSIVE`), or the real
// one cannot be had (the `-shm` is read-only and nobody who may write has the database open). It is filled by recovery.

import ApusBase
import ApusIO

final class PrivateIndexMemory: SharedMemory, @unchecked Sendable {
  static let regionByteCount = 32768

  private var memory = RequestGroup()
  private var regions: [MutableByteView] = []
  /// Keeps checkpoints of those away who may write and come later; nil where a lock on the file does that.
  private let guardian: (any SharedMemory)?

  init(guardian: (any SharedMemory)? = nil) { self.guardian = guardian }


  func region(_ index: Int, extend: Bool) throws(EngineError) -> MutableByteView? {
    while regions.count <= index {
      let region = memory.allocate(Self.regionByteCount)
      region.fill(0, region.count)
      regions.append(region)
    }
    return regions[index]
  }

  func lock(_ kind: LockKind, slot: Int, count: Int) throws(EngineError) -> Bool { true }
  func unlock(slot: Int, count: Int) throws(EngineError) {}
  func barrier() {}
  func close(delete: Bool) { guardian?.close(delete: false) }
}

extension SharedMemory {
  /// True for the index of one connection alone.
  var isPrivate: Bool { self is PrivateIndexMemory }
}
