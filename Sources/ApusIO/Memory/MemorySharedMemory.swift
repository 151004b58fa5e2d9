// The wal-index of a database in a memory environment: regions on the heap, shared by all connections that open it.
// `unsafe` lives here.

import ApusBase
import Synchronization

/// The regions and their locks; owned by the openers together.
@safe
final class MemorySharedRegions: Sendable {
  private struct State {
    var regions: [Int: MutableByteView] = [:]
    var locks = RangeLocks()
    var openerCount = 0
  }
  private let state = ThreadMutex(State())

  deinit {
    for region in state.withLock({ Array($0.regions.values) }) { unsafe region.unsafeBase.deallocate() }
  }

  func join() { state.withLock { $0.openerCount += 1 } }

  /// True where the last opener left.
  func leave() -> Bool {
    state.withLock { state in
      state.openerCount -= 1
      return state.openerCount == 0
    }
  }

  func region(_ index: Int, extend: Bool) -> MutableByteView? {
    let length = PosixSharedMemory.regionByteCount
    return state.withLock { state in
      if let region = state.regions[index] { return region }
      guard extend else { return nil }
      let memory = UnsafeMutableRawPointer.allocate(byteCount: length, alignment: 4096)
      let region = unsafe MutableByteView(unchecked: memory, count: length)
      region.fill(0, length)
      state.regions[index] = region
      return region
    }
  }

  func withLocks<R>(_ body: (inout RangeLocks) -> R) -> R { state.withLock { body(&$0.locks) } }
}

final class MemorySharedMemory: SharedMemory {
  static var regionByteCount: Int { PosixSharedMemory.regionByteCount }

  private let node: MemoryNode
  private let regions: MemorySharedRegions
  private let isOpen = Atomic<Bool>(true)

  init(_ node: MemoryNode) {
    self.node = node
    regions = node.joinSharedMemory()
  }

  deinit { close(delete: false) }

  private var owner: ObjectIdentifier { ObjectIdentifier(self) }

  func region(_ index: Int, extend: Bool) throws(EngineError) -> MutableByteView? {
    regions.region(index, extend: extend)
  }

  func lock(_ kind: LockKind, slot: Int, count: Int) throws(EngineError) -> Bool {
    precondition(slot >= 0 && count > 0 && slot + count <= PosixSharedMemory.slotCount)
    return regions.withLocks { $0.lock(owner, kind, Int64(slot), Int64(count)) }
  }

  func unlock(slot: Int, count: Int) throws(EngineError) {
    precondition(slot >= 0 && count > 0 && slot + count <= PosixSharedMemory.slotCount)
    regions.withLocks { $0.unlock(owner, Int64(slot), Int64(count)) }
  }

  func barrier() { atomicMemoryFence(ordering: .sequentiallyConsistent) }

  func close(delete: Bool) {
    guard isOpen.exchange(false, ordering: .relaxed) else { return }
    regions.withLocks { $0.unlock(owner, 0, 0) }
    node.leaveSharedMemory(regions)
  }
}
