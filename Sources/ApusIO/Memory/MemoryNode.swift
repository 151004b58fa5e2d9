// What a name in a memory environment leads to: bytes, byte-range locks, and the wal-index of the database.

import ApusBase

final class MemoryNode: Sendable {
  struct State: ~Copyable {
    var bytes = ByteBuffer()
    var locks = RangeLocks()
    var sharedMemory: MemorySharedRegions?
  }

  let identity: FileIdentity
  /// Where the file ends at the latest. A damaged journal may ask for any length, and memory that is not to be had ends the
  /// process.
  private let byteCountMax: Int64
  private let state = ThreadMutex(State())

  init(_ identity: FileIdentity, byteCountMax: Int64) {
    self.identity = identity
    self.byteCountMax = byteCountMax
  }

  var byteCount: Int { state.withLock { $0.bytes.count } }
  var contents: [UInt8] { state.withLock { $0.bytes.bytes.array } }

  func replace(_ bytes: [UInt8]) {
    state.withLock { state in
      state.bytes.removeAll()
      for byte in bytes { state.bytes.append(byte) }
    }
  }

  func read(at offset: Int64, into buffer: MutableByteView) -> Int {
    state.withLock { state in
      let count = min(buffer.count, max(0, state.bytes.count - Int(offset)))
      if count > 0 { buffer.copy(state.bytes.bytes.slice(Int(offset), count), to: 0) }
      return count
    }
  }

  /// - Throws: SQLITE_FULL where the file would be longer than files of its environment may be.
  func checkLength(_ byteCount: Int64, _ path: String) throws(EngineError) {
    if byteCount > byteCountMax {
      throw EngineError(.full, object: path, cause: "a file in memory has at most \(byteCountMax) bytes")
    }
  }

  func write(at offset: Int64, _ views: [ByteView]) -> Int {
    state.withLock { state in
      var place = Int(offset)
      for view in views where view.count > 0 {
        Self.extend(&state.bytes, to: place + view.count)
        state.bytes.mutableBytes.copy(view, to: place)
        place += view.count
      }
      return place - Int(offset)
    }
  }

  func truncate(to size: Int64) {
    state.withLock { state in
      if Int(size) > state.bytes.count {
        Self.extend(&state.bytes, to: Int(size))
      } else {
        state.bytes.resize(to: Int(size))
      }
    }
  }

  private static func extend(_ bytes: inout ByteBuffer, to count: Int) {
    let old = bytes.count
    if count <= old { return }
    bytes.resize(to: count)
    bytes.mutableBytes.fill(old, count - old)
  }

  func withLocks<R>(_ body: (inout RangeLocks) -> R) -> R { state.withLock { body(&$0.locks) } }

  /// The regions of the wal-index; made by the first opener, gone with the last.
  func joinSharedMemory() -> MemorySharedRegions {
    state.withLock { state in
      let regions = state.sharedMemory ?? MemorySharedRegions()
      state.sharedMemory = regions
      regions.join()
      return regions
    }
  }

  func leaveSharedMemory(_ regions: MemorySharedRegions) {
    state.withLock { state in
      if regions.leave() { state.sharedMemory = nil }
    }
  }
}

/// Byte-range locks with the semantics of open file descriptions: an owner never conflicts with itself, and a new lock
/// replaces what the owner held on the range.
struct RangeLocks: Sendable {
  private struct Held {
    var owner: ObjectIdentifier
    var kind: LockKind
    var range: Range<Int64>
  }
  private var held: [Held] = []

  /// A length of zero reaches to the end, as `fcntl` has it.
  private static func range(_ offset: Int64, _ length: Int64) -> Range<Int64> {
    offset..<(length == 0 ? Int64.max : offset + length)
  }

  func conflicts(_ owner: ObjectIdentifier, _ kind: LockKind, _ offset: Int64, _ length: Int64) -> Bool {
    let range = Self.range(offset, length)
    return held.contains {
      $0.owner != owner && $0.range.overlaps(range) && (kind == .exclusive || $0.kind == .exclusive)
    }
  }

  mutating func lock(_ owner: ObjectIdentifier, _ kind: LockKind, _ offset: Int64, _ length: Int64) -> Bool {
    if conflicts(owner, kind, offset, length) { return false }
    unlock(owner, offset, length)
    held.append(Held(owner: owner, kind: kind, range: Self.range(offset, length)))
    return true
  }

  mutating func unlock(_ owner: ObjectIdentifier, _ offset: Int64, _ length: Int64) {
    let range = Self.range(offset, length)
    var kept: [Held] = []
    for lock in held {
      guard lock.owner == owner, lock.range.overlaps(range) else {
        kept.append(lock)
        continue
      }
      if lock.range.lowerBound < range.lowerBound {
        kept.append(Held(owner: owner, kind: lock.kind, range: lock.range.lowerBound..<range.lowerBound))
      }
      if lock.range.upperBound > range.upperBound {
        kept.append(Held(owner: owner, kind: lock.kind, range: range.upperBound..<lock.range.upperBound))
      }
    }
    held = kept
  }
}
