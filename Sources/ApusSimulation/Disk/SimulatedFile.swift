// An open file of the virtual disk, its locks, and the shared memory beside it.
// `unsafe` lives here for the shared regions, whose memory the disk owns.

import ApusBase
import ApusIO

final class SimulatedFile: File, @unchecked Sendable {
  let path: String
  let isWritable: Bool
  let disk: SimulatedDisk
  let content: DiskFile
  let owner: UInt64
  private let process: SimulatedProcess
  private let generation: UInt64
  private var isOpen = true
  private weak var memory: SimulatedSharedMemory?

  init(path: String, content: DiskFile, isWritable: Bool, disk: SimulatedDisk, process: SimulatedProcess) {
    self.path = path
    self.content = content
    self.isWritable = isWritable
    self.disk = disk
    self.process = process
    owner = disk.makeOwner()
    generation = disk.generation
    disk.handles[owner] = OpenHandle(path: path, file: content, process: process, client: disk.faults.actor)
    if content.role == .log { disk.faults.noteOpenedLog(disk.faults.actor) }
  }

  deinit { close() }

  var identity: FileIdentity { FileIdentity(device: generation, inode: content.inode) }

  /// False after a power cut, or where the process is gone.
  var isAlive: Bool { isOpen && generation == disk.generation && process.isAlive }

  func checkAlive() throws(EngineError) {
    disk.betweenCalls?(process)
    if !isAlive { throw EngineError(.ioError, object: path, cause: "the power is off") }
  }

  func size() throws(EngineError) -> Int64 {
    try checkAlive()
    return Int64(content.current.count)
  }

  func truncate(to size: Int64) throws(EngineError) {
    try checkAlive()
    try disk.checkCall(.truncate, path, content)
    disk.change(content, .truncate(size: Int(size)))
  }

  func preallocate(to size: Int64) {}

  func isStillNamed() -> Bool {
    disk.betweenCalls?(process)
    return isAlive && disk.file(named: path) === content
  }

  // A power cut may keep the first half of a rename.
  func hasOtherNames() -> Bool { disk.names.values.count { $0 === content } > 1 }

  func lock(_ kind: LockKind, at offset: Int64, length: Int64) throws(EngineError) -> Bool {
    try checkAlive()
    let range = offset..<offset + length
    // Who has the range already asks the system for nothing that it could run out of.
    if !content.locks.contains(where: { $0.owner == owner && $0.range == range }) {
      try disk.checkCall(.lock, path, content)
    }
    if isBlocked(kind, range) { return false }
    remove(range)
    content.locks.append(DiskLock(owner: owner, kind: kind, range: range))
    return true
  }

  func unlock(at offset: Int64, length: Int64) throws(EngineError) {
    disk.betweenCalls?(process)
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
    try disk.checkCall(.open, path + "-shm", content)
    // A second one beside it is the process's, and its locks are those of all its connections.
    let isOwn = memory?.isOpen != true
    let opened = SimulatedSharedMemory(path: path, disk: disk, process: process, connection: isOwn ? disk.faults.actor : nil)
    if isOwn { memory = opened }
    return opened
  }

  func close() {
    if isAlive {
      content.locks.removeAll { $0.owner == owner }
      disk.handles[owner] = nil
      content.untoldHandles.remove(owner)
    }
    isOpen = false
  }
}

/// The regions of one wal-index, shared by every process that maps it.
final class SharedRegions: @unchecked Sendable {
  static let regionByteCount = 32_768
  private var regions: [MutableByteView] = []
  var locks: [DiskLock] = []
  private var openers: [UInt64: SimulatedProcess] = [:]
  private var connections: [UInt64: Int] = [:]
  var openCount: Int { openers.count }

  func join(_ owner: UInt64, _ process: SimulatedProcess, _ connection: Int?) {
    openers[owner] = process
    connections[owner] = connection
  }

  /// Whose it is; nil where it is no connection's alone.
  func connection(of owner: UInt64) -> Int? { connections[owner] }

  func leave(_ owner: UInt64) {
    locks.removeAll { $0.owner == owner }
    openers[owner] = nil
    connections[owner] = nil
  }

  /// The process has the write lock, and others have the index open too.
  func isWritten(by process: SimulatedProcess) -> Bool {
    let isShared = openers.values.contains { $0 !== process }
    return isShared
      && locks.contains { $0.kind == .exclusive && $0.range.lowerBound == 0 && openers[$0.owner] === process }
  }

  /// Its writer ends between the two copies of a header: what they say differs, and whoever comes next recovers the log, beside
  /// those who read on by what they have.
  func tearHeader() {
    guard let first = regions.first else { return }
    first[Self.changeCounterOffset] = first.readable[Self.changeCounterOffset] &+ 1
  }

  /// Of the first copy of the header.
  private static let changeCounterOffset = 8

  /// The process is gone, with all that it had.
  func leave(_ process: SimulatedProcess) {
    for owner in openers.filter({ $0.value === process }).keys.sorted() { leave(owner) }
  }

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
  private let process: SimulatedProcess
  private let owner: UInt64
  private let generation: UInt64
  private(set) var isOpen = true

  init(path: String, disk: SimulatedDisk, process: SimulatedProcess, connection: Int? = nil) {
    self.path = path
    self.disk = disk
    self.process = process
    if let existing = disk.sharedMemories[path] {
      shared = existing
    } else {
      shared = SharedRegions()
      disk.sharedMemories[path] = shared
    }
    owner = disk.makeOwner()
    generation = disk.generation
    shared.join(owner, process, connection)
  }

  deinit { close(delete: false) }

  func region(_ index: Int, extend: Bool) throws(EngineError) -> MutableByteView? {
    shared.region(index, extend: extend)
  }

  func lock(_ kind: LockKind, slot: Int, count: Int) throws(EngineError) -> Bool {
    disk.betweenCalls?(process)
    if generation != disk.generation || !process.isAlive {
      throw EngineError(.ioErrorSharedMemoryLock, cause: "the power is off")
    }
    let range = Int64(slot)..<Int64(slot + count)
    let isBlocked = shared.locks.contains { lock in
      lock.owner != owner && lock.range.overlaps(range) && (kind == .exclusive || lock.kind == .exclusive)
    }
    if isBlocked { return false }
    remove(slot: slot, count: count)
    for one in range { shared.locks.append(DiskLock(owner: owner, kind: kind, range: one..<one + 1)) }
    return true
  }

  func unlock(slot: Int, count: Int) throws(EngineError) {
    disk.betweenCalls?(process)
    remove(slot: slot, count: count)
  }

  private func remove(slot: Int, count: Int) {
    let range = Int64(slot)..<Int64(slot + count)
    shared.locks.removeAll { $0.owner == owner && $0.range.overlaps(range) }
  }

  func barrier() { disk.betweenCalls?(process) }

  func close(delete: Bool) {
    if !isOpen { return }
    isOpen = false
    if generation != disk.generation || !process.isAlive { return }
    shared.leave(owner)
    // The last one out leaves nothing behind: the next opener starts with an empty wal-index, as after the
    // dead-man switch. Where it is deleted, whoever has it mapped keeps what has no name any more.
    if delete || shared.openCount == 0, disk.sharedMemories[path] === shared { disk.sharedMemories[path] = nil }
  }
}

extension MutableByteView {
  /// Copies `count` bytes of an array, from `offset` on, to the view's beginning.
  func copy(_ source: [UInt8], from offset: Int, count: Int) {
    if count == 0 { return }
    precondition(offset >= 0 && offset + count <= source.count && count <= self.count)
    unsafe source.withUnsafeBytes { bytes in
      unsafe copy(ByteView(unchecked: UnsafeRawBufferPointer(rebasing: bytes[offset..<offset + count])), to: 0)
    }
  }
}
