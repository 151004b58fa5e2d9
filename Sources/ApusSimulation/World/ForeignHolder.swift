// Another program that has locks on the database: it keeps one for some time, and lets it go or dies with it (F23). It takes
// locks as SQLite's protocol says, and never writes.

import ApusBase
import ApusIO

final class ForeignHolder {
  private let disk: SimulatedDisk
  private let process = SimulatedProcess()
  private var file: SimulatedFile?
  private var memory: SimulatedSharedMemory?
  private(set) var until: UInt64 = 0
  /// What it holds, for who waits for it.
  private(set) var name = "nothing"

  private static let pendingByte: Int64 = 0x4000_0000
  private static let reservedByte = pendingByte + 1, sharedFirst = pendingByte + 2
  private static let sharedByteCount: Int64 = 510
  private static let nanosecondsMax = 3_000_000_000
  private static let slotNames = ["the right to write", "the right to copy back", "the right to recover"]

  var isHolding: Bool { file != nil }

  init(_ disk: SimulatedDisk) { self.disk = disk }

  /// Takes some lock, where nobody is in the way.
  func take(path: String, isLog: Bool) {
    guard file == nil, let content = disk.file(named: path) else { return }
    let opened = SimulatedFile(path: path, content: content, isWritable: true, disk: disk, process: process)
    file = opened
    until = disk.clock.monotonicNanoseconds + UInt64(disk.faults.choices.below(Self.nanosecondsMax, .lockTime))
    let isTaken = isLog && disk.faults.choices.oneIn(2, .usesSlot) ? takeSlot(path, opened) : takeLevel(opened)
    if isTaken { disk.trace.add("foreign", name) } else { release() }
  }

  private func lock(_ file: SimulatedFile, _ kind: LockKind, _ offset: Int64, _ length: Int64) -> Bool {
    (try? file.lock(kind, at: offset, length: length)) ?? false
  }

  private func takeShared(_ file: SimulatedFile) -> Bool {
    guard lock(file, .shared, Self.pendingByte, 1), lock(file, .shared, Self.sharedFirst, Self.sharedByteCount) else {
      return false
    }
    try? file.unlock(at: Self.pendingByte, length: 1)
    return true
  }

  private func takeLevel(_ file: SimulatedFile) -> Bool {
    let level = disk.faults.choices.below(4, .lockLevel)
    name = ["SHARED", "RESERVED", "PENDING", "EXCLUSIVE"][level]
    guard takeShared(file) else { return false }
    if level >= 1, !lock(file, .exclusive, Self.reservedByte, 1) { return false }
    // It would have to recover before it may want to write.
    if level >= 1, let journal = disk.file(named: file.path + "-journal"), journal.current.first ?? 0 != 0 { return false }
    if level >= 2, !lock(file, .exclusive, Self.pendingByte, 1) { return false }
    return level < 3 || lock(file, .exclusive, Self.sharedFirst, Self.sharedByteCount)
  }

  /// One of the wal-index's: those for changes exclusively, a read mark as a reader has it. Who has the wal-index open has the file
  /// locked SHARED, or the log could be deleted under it.
  private func takeSlot(_ path: String, _ file: SimulatedFile) -> Bool {
    guard takeShared(file), disk.sharedMemories[path] != nil else { return false }
    let opened = SimulatedSharedMemory(path: path, disk: disk, process: process)
    memory = opened
    let slot = disk.faults.choices.below(8, .lockSlot)
    name = slot < 3 ? Self.slotNames[slot] : "read mark \(slot - 3)"
    return (try? opened.lock(slot < 3 ? .exclusive : .shared, slot: slot, count: 1)) ?? false
  }

  /// Time has gone on.
  func step() { if isHolding, disk.clock.monotonicNanoseconds >= until { release() } }

  /// Lets go of everything, or dies: for others it is the same.
  func release() {
    memory?.close(delete: false)
    file?.close()
    memory = nil
    file = nil
  }
}
