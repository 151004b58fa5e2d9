// The lock bytes of a database file. Source: https://sqlite.org/lockingv3.html,
// https://sqlite.org/fileformat2.html#the_lock_byte_page
//
//   offset       size  meaning
//   0x40000000      1  PENDING: no new readers; held by who waits for EXCLUSIVE
//   0x40000001      1  RESERVED: a writer prepares its transaction in memory
//   0x40000002    510  SHARED: locked shared by each reader, exclusively by who writes to the file

import ApusBase
import ApusIO

enum LockLevel: Int, Comparable {
  case none = 0, shared, reserved, pending, exclusive

  static func < (left: LockLevel, right: LockLevel) -> Bool { left.rawValue < right.rawValue }
}

struct DatabaseLock {
  static let pendingByte: Int64 = 0x4000_0000
  static let reservedByte = pendingByte + 1
  static let sharedFirst = pendingByte + 2
  static let sharedByteCount: Int64 = 510

  let file: any File
  private(set) var level = LockLevel.none
  /// Nobody is asked (`nolock=1`, `immutable=1`).
  let isIgnored: Bool

  init(_ file: any File, isIgnored: Bool = false) {
    self.file = file
    self.isIgnored = isIgnored
  }

  private func lock(_ kind: LockKind, _ offset: Int64, _ byteCount: Int64) throws(Fault) -> Bool {
    if isIgnored { return true }
    do { return try file.lock(kind, at: offset, length: byteCount) } catch { throw .failure(error) }
  }

  private func unlock(_ offset: Int64, _ byteCount: Int64) {
    if isIgnored { return }
    try? file.unlock(at: offset, length: byteCount)
  }

  /// False where a writer has EXCLUSIVE or waits for it.
  mutating func takeShared() throws(Fault) -> Bool {
    if level >= .shared { return true }
    guard try lock(.shared, DatabaseLock.pendingByte, 1) else { return false }
    // Whatever becomes of the second lock: nobody may keep writers out by the first.
    defer { unlock(DatabaseLock.pendingByte, 1) }
    let isTaken = try lock(.shared, DatabaseLock.sharedFirst, DatabaseLock.sharedByteCount)
    if isTaken { level = .shared }
    return isTaken
  }

  /// False where another connection prepares a write.
  mutating func takeReserved() throws(Fault) -> Bool {
    if level >= .reserved { return true }
    precondition(level == .shared)
    guard try lock(.exclusive, DatabaseLock.reservedByte, 1) else { return false }
    level = .reserved
    return true
  }

  /// False while readers are there; no new ones come in from the first try on.
  mutating func takeExclusive() throws(Fault) -> Bool {
    if level == .exclusive { return true }
    precondition(level >= .shared)
    if level < .pending {
      guard try lock(.exclusive, DatabaseLock.pendingByte, 1) else { return false }
      level = .pending
    }
    guard try lock(.exclusive, DatabaseLock.sharedFirst, DatabaseLock.sharedByteCount) else { return false }
    level = .exclusive
    return true
  }

  func isReservedByOther() throws(Fault) -> Bool {
    if isIgnored { return false }
    do {
      return try file.isLockedByOther(.exclusive, at: DatabaseLock.reservedByte, length: 1)
    } catch {
      throw .failure(error)
    }
  }

  mutating func downgradeToShared() {
    if level <= .shared { return }
    if level == .exclusive && !isIgnored {
      _ = try? file.lock(.shared, at: DatabaseLock.sharedFirst, length: DatabaseLock.sharedByteCount)
    }
    unlock(DatabaseLock.pendingByte, 2)
    level = .shared
  }

  mutating func release() {
    if level == .none { return }
    unlock(DatabaseLock.pendingByte, 2 + DatabaseLock.sharedByteCount)
    level = .none
  }
}
