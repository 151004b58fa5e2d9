// An open file of the virtual disk, its locks, and the shared memory beside it.
// `unsafe` lives here for the shared regions, whose memory the disk owns.

import ApusBase
import ApusIO

final class SimulatedFile: File, @unchecked Sendable {
  let path: String
  let isWritable: Bool
  let disk: SimulatedDisk
  let content: DiskFile
  private let owner: UInt64
  private let generation: UInt64
  private var isOpen = true

  init(path: String, content: DiskFile, isWritable: Bool, disk: SimulatedDisk) {
    self.path = path
    self.content = content
    self.isWritable = isWritable
    self.disk = disk
    owner = disk.makeOwner()
    generation = disk.generation
  }

  deinit { close() }

  var identity: FileIdentity { FileIdentity(device: generation, inode: content.inode) }

  /// False after a power cut: the process that held this handle is gone.
  var isAlive: Bool { isOpen && generation == disk.generation }

  func checkAlive() throws(EngineError) {
    if !isAlive { throw EngineError(.ioError, object: path, cause: "the power is off") }
  }

  func size() throws(EngineError) -> Int64 {
    try checkAlive()
    return Int64(content.current.count)
  }

  func truncate(to size: Int64) throws(EngineError) {
    try checkAlive()
    disk.change(content, .truncate(size: Int(size)))
  }

  func preallocate(to size: Int64) {}

  func isStillNamed() -> Bool { isAlive && disk.file(named: path) === content }

  func lock(_ kind: LockKind, at offset: Int64, length: Int64) throws(EngineError) -> Bool {
    try checkAlive()
    let range = offset..<offset + length
    if isBlocked(kind, range) { return false }
    remove(range)
    content.locks.append(DiskLock(owner: owner, kind: kind, range: range))
    return true
  }

  func unlock(at offset: Int64, length: Int64) throws(EngineError) {
    if isAlive { remove(offset..<offset + length) }
  }

  func isLockedByOther(_ kind: LockKind, at offset: Int64, length: Int64) throws(EngineError) -> Bool {
    try checkAlive()
    return isBlocked(kind, offset..<offset + length)
  }

  private func isBlocked(_ kind: LockKind, _ range: Range<Int64>) -> Bool {
    content.locks.contains { lock in
      lock.owner != owner && lock.range.overlaps(range) && (kind == .exclusive || lock.kind == .exclusive)
    }
  }

  /// Takes `range` out of this owner's locks, which may leave pieces on both sides.
  private func remove(_ range: Range<Int64>) {
    var kept: [DiskLock] = []
    for lock in content.locks {
      guard lock.owner == owner && lock.range.overlaps(range) else {
        kept.append(lock)
        continue
      }
      if lock.range.lowerBound < range.lowerBound {
        kept.append(DiskLock(owner: owner, kind: lock.kind, range: lock.range.lowerBound..<range.lowerBound))
      }
      if lock.range.upperBound > range.upperBound {
        kept.append(DiskLock(owner: owner, kind: lock.kind, range: range.upperBound..<lock.range.upperBound))
      }
    }
    content.locks = kept
  }

  func openSharedMemory(readOnly: Bool) throws(EngineError) -> any SharedMemory {
    try checkAlive()
    return SimulatedSharedMemory(path: path, disk: disk)
  }

  func close() {
    if isAlive { content.locks.removeAll { $0.owner == owner } }
    isOpen = false
  }
}

/// The regions of one wal-index, shared by every process that maps it.
final class SharedRegions: @unchecked Sendable {
  static let regionByteCount = 32_768
  private var regions: [MutableByteView] = []
  var locks: [DiskLock] = []
  var openCount = 0

  deinit {
    for region in regions { unsafe region.unsafeBase.deallocate() }
  }

  func region(_ index: Int, extend: Bool) -> MutableByteView? {
    while regions.count <= index {
      if !extend { return nil }
      let memory = UnsafeMutableRawPointer.allocate(byteCount: Self.regionByteCount, alignment: 16)
      unsafe memory.initializeMemory(as: UInt8.self, repeating: 0, count: Self.regionByteCount)
      unsafe regions.append(MutableByteView(unchecked: memory, count: Self.regionByteCount))
    }
    return regions[index]
  }
}

final class SimulatedSharedMemory: SharedMemory, @unchecked Sendable {
  static let regionByteCount = SharedRegions.regionByteCount
  private let path: String
  private let disk: SimulatedDisk
  private let shared: SharedRegions
  private let owner: UInt64
  private let generation: UInt64
  private var isOpen = true

  init(path: String, disk: SimulatedDisk) {
    self.path = path
    self.disk = disk
    if let existing = disk.sharedMemories[path] {
      shared = existing
    } else {
      shared = SharedRegions()
      disk.sharedMemories[path] = shared
    }
    owner = disk.makeOwner()
    generation = disk.generation
    shared.openCount += 1
  }

  deinit { close(delete: false) }

  func region(_ index: Int, extend: Bool) throws(EngineError) -> MutableByteView? {
    shared.region(index, extend: extend)
  }

  func lock(_ kind: LockKind, slot: Int, count: Int) throws(EngineError) -> Bool {
    if generation != disk.generation { throw EngineError(.ioErrorSharedMemoryLock, cause: "the power is off") }
    let range = Int64(slot)..<Int64(slot + count)
    let isBlocked = shared.locks.contains { lock in
      lock.owner != owner && lock.range.overlaps(range) && (kind == .exclusive || lock.kind == .exclusive)
    }
    if isBlocked { return false }
    try unlock(slot: slot, count: count)
    for one in range { shared.locks.append(DiskLock(owner: owner, kind: kind, range: one..<one + 1)) }
    return true
  }

  func unlock(slot: Int, count: Int) throws(EngineError) {
    let range = Int64(slot)..<Int64(slot + count)
    shared.locks.removeAll { $0.owner == owner && $0.range.overlaps(range) }
  }

  func barrier() {}

  func close(delete: Bool) {
    if !isOpen { return }
    isOpen = false
    shared.locks.removeAll { $0.owner == owner }
    shared.openCount -= 1
    // The last one out leaves nothing behind: the next opener starts with an empty wal-index, as after the
    // dead-man switch.
    if shared.openCount == 0 && disk.sharedMemories[path] === shared { disk.sharedMemories[path] = nil }
  }
}
