// The wal-index of SQLite: `-shm` beside the database, mapped in regions of 32 KiB and shared with every process that has
// the database open, SQLite's included.
//
//   byte       lock
//   120        writer
//   121        checkpointer
//   122        recovery
//   123..127   read marks 0 to 4
//   128        dead-man switch: shared while the file is open; exclusive while the first opener truncates
//
// The first opener finds nobody on the dead-man switch, so whatever the file holds was left by processes that died: it is
// cut to nothing, and recovery will write it anew. Source: SQLite, "WAL-mode File Format", section 2, and the comments of
// `unixLockSharedMemory`. Every open one has its own open file description, so connections of one process exclude each
// other like those of two.

import ApusBase
import Glibc
import Synchronization

final class PosixSharedMemory: SharedMemory {
  static let regionByteCount = 32768
  static let lockBase: Int64 = 120, slotCount = 8
  static let deadManSwitch: Int64 = 128
  /// How often the switch is asked again while another opener holds it exclusively: for the time of one `ftruncate`.
  private static let switchTriesMax = 50
  /// Bytes that the first opener leaves: too few for a header, enough to see that somebody was there.
  private static let truncatedByteCount: Int64 = 3
  /// A region is given blocks by touching each of these, so that writing to the mapping cannot meet a full disk.
  private static let allocationUnitBytes: Int64 = 4096

  private let descriptor: Descriptor
  private let isWritable: Bool
  private struct State {
    var regions: [Int: MutableByteView] = [:]
    var isOpen = true
  }
  private let state = ThreadMutex(State())

  init(beside file: PosixFile, readOnly: Bool) throws(EngineError) {
    let path = file.path + "-shm"
    let (status, number) = SystemCalls.status(try file.descriptor.number)
    guard let status else { throw SystemError.make(.ioErrorFstat, call: "fstat", errno: number, path: file.path) }
    var isWritable = !readOnly
    var fd = -Int(EACCES)
    if isWritable {
      fd = SystemCalls.open(path, O_RDWR | O_CREAT | O_NOFOLLOW, permissions: status.permissions)
      if fd >= 0, SystemCalls.isRoot() { SystemCalls.changeOwner(Int32(fd), user: status.user, group: status.group) }
    }
    if fd == -Int(EACCES) || fd == -Int(EPERM) || fd == -Int(EROFS) {
      isWritable = false
      fd = SystemCalls.open(path, O_RDONLY | O_NOFOLLOW)
    }
    if fd < 0 { throw SystemError.make(.cannotOpen, call: "open", errno: Int32(-fd), path: path) }
    descriptor = Descriptor(Int32(fd), path: path)
    self.isWritable = isWritable
    try joinOrTruncate()
  }

  /// Only for its locks: nothing is truncated, and nothing mapped.
  init(guarding file: PosixFile) throws(EngineError) {
    let path = file.path + "-shm"
    let fd = SystemCalls.open(path, O_RDONLY | O_NOFOLLOW)
    if fd < 0 { throw SystemError.make(.cannotOpen, call: "open", errno: Int32(-fd), path: path) }
    descriptor = Descriptor(Int32(fd), path: path)
    isWritable = false
  }

  /// Takes read mark 0; false where somebody keeps the index. The lock first: who comes after the look finds it.
  func guardsAlone() throws(EngineError) -> Bool {
    guard try lock(.shared, slot: 3, count: 1) else { return false }
    return try !isKept()
  }

  private func isKept() throws(EngineError) -> Bool {
    let (holder, number) = SystemCalls.conflict(descriptor.number, .exclusive, at: Self.deadManSwitch, length: 1)
    if number != 0 {
      throw SystemError.make(.ioErrorLock, call: "fcntl(F_OFD_GETLK)", errno: number, path: descriptor.path)
    }
    return holder != .nobody
  }

  deinit { close(delete: false) }

  private func joinOrTruncate() throws(EngineError) {
    for _ in 0..<Self.switchTriesMax {
      let (holder, number) = SystemCalls.conflict(descriptor.number, .exclusive, at: Self.deadManSwitch, length: 1)
      if number != 0 {
        throw SystemError.make(.ioErrorLock, call: "fcntl(F_OFD_GETLK)", errno: number, path: descriptor.path)
      }
      switch holder {
      case .exclusive: break
      case .shared:
        if try take(.shared, at: Self.deadManSwitch, length: 1) { return }
      case .nobody:
        if !isWritable {
          throw EngineError(
            .readOnlyCannotInit, object: descriptor.path,
            cause: "nobody who may write has the database open, so its wal-index cannot be trusted",
            hint: "open the database once with write permission, or with immutable=1 if nothing writes it")
        }
        if try take(.exclusive, at: Self.deadManSwitch, length: 1) {
          let code = SystemCalls.truncate(descriptor.number, to: Self.truncatedByteCount)
          if code < 0 {
            throw SystemError.make(
              .ioErrorSharedMemoryOpen, call: "ftruncate", errno: Int32(-code), path: descriptor.path)
          }
          // Turning an exclusive lock into a shared one never waits.
          _ = try take(.shared, at: Self.deadManSwitch, length: 1)
          return
        }
      }
      SystemCalls.sleep(untilMonotonic: SystemCalls.nanoseconds(CLOCK_MONOTONIC) &+ 1_000_000)
    }
    throw EngineError(
      .busy, object: descriptor.path, cause: "another process is initialising the wal-index", hint: "try again")
  }

  func region(_ index: Int, extend: Bool) throws(EngineError) -> MutableByteView? {
    precondition(index >= 0)
    let (known, isOpen) = state.withLock { ($0.regions[index], $0.isOpen) }
    precondition(isOpen, "the shared memory is closed")
    if descriptor.isInherited { throw SystemError.ofParent(descriptor.path) }
    if let known { return known }
    let length = Self.regionByteCount
    let start = Int64(index) * Int64(length), end = start + Int64(length)
    let (status, number) = SystemCalls.status(descriptor.number)
    guard let status else {
      throw SystemError.make(.ioErrorSharedMemorySize, call: "fstat", errno: number, path: descriptor.path)
    }
    if status.size < end {
      if !extend || !isWritable { return nil }
      try allocate(from: status.size, to: end)
    }
    let (memory, mapNumber) = SystemCalls.map(descriptor.number, at: start, length: length, isWritable: isWritable)
    guard let memory else {
      throw SystemError.make(.ioErrorSharedMemoryMap, call: "mmap", errno: mapNumber, path: descriptor.path)
    }
    state.withLock { $0.regions[index] = memory }
    return memory
  }

  /// Gives the file blocks up to `end`, contents unchanged. Where the file system cannot, a byte is written at the end of
  /// each new block, as SQLite does it: callers extend under the write lock, so nobody else has written there.
  private func allocate(from size: Int64, to end: Int64) throws(EngineError) {
    if SystemCalls.allocate(descriptor.number, from: size, to: end) >= 0 { return }
    var block = size / Self.allocationUnitBytes
    while block < end / Self.allocationUnitBytes {
      let code = SystemCalls.writeZero(descriptor.number, at: (block + 1) * Self.allocationUnitBytes - 1)
      if code < 0 {
        throw SystemError.make(.ioErrorSharedMemorySize, call: "pwrite", errno: Int32(-code), path: descriptor.path)
      }
      block += 1
    }
  }

  func lock(_ kind: LockKind, slot: Int, count: Int) throws(EngineError) -> Bool {
    precondition(slot >= 0 && count > 0 && slot + count <= Self.slotCount)
    return try take(kind, at: Self.lockBase + Int64(slot), length: Int64(count))
  }

  func unlock(slot: Int, count: Int) throws(EngineError) {
    precondition(slot >= 0 && count > 0 && slot + count <= Self.slotCount)
    if descriptor.isInherited { return }
    let code = SystemCalls.unlock(descriptor.number, at: Self.lockBase + Int64(slot), length: Int64(count))
    if code < 0 {
      throw SystemError.make(
        .ioErrorSharedMemoryLock, call: "fcntl(F_OFD_SETLK)", errno: Int32(-code), path: descriptor.path)
    }
  }

  private func take(_ kind: LockKind, at offset: Int64, length: Int64) throws(EngineError) -> Bool {
    if descriptor.isInherited { throw SystemError.ofParent(descriptor.path) }
    let code = SystemCalls.lock(descriptor.number, kind, at: offset, length: length)
    if code < 0 {
      throw SystemError.make(
        .ioErrorSharedMemoryLock, call: "fcntl(F_OFD_SETLK)", errno: Int32(-code), path: descriptor.path)
    }
    return code == 1
  }

  func barrier() { atomicMemoryFence(ordering: .sequentiallyConsistent) }

  func close(delete: Bool) {
    let regions = state.withLock { state -> [MutableByteView]? in
      if !state.isOpen { return nil }
      state.isOpen = false
      defer { state.regions = [:] }
      return Array(state.regions.values)
    }
    guard let regions else { return }
    // Of the parent's neither maps nor locks are here.
    if descriptor.isInherited { return }
    for region in regions { SystemCalls.unmap(region) }
    // The name may lead to another database's file by now.
    if delete,
      SystemCalls.status(of: descriptor.path).status?.identity == SystemCalls.status(descriptor.number).status?.identity
    {
      _ = SystemCalls.unlink(descriptor.path)
    }
    // All locks of this opener, the dead-man switch included; the descriptor goes with the object.
    _ = SystemCalls.unlock(descriptor.number, at: 0, length: 0)
  }
}
