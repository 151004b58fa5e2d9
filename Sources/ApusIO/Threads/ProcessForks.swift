// Which process this is. `fork` copies the memory, and with it what this process knows of its files; the descriptors behind it,
// and so their locks, stay one with the parent's, as do rings and the wal-index. Whoever holds such things compares.
//
// A lock ends with the last descriptor of its open file. So a child lets the inherited ones go at once: else it would keep what a
// parent has locked that is killed. It forgets the maps of the wal-index likewise (`SystemCalls.map`).

import Glibc
import Synchronization

public enum ProcessForks {
  /// Descriptors above are not closed in a child.
  private static let descriptorCountMax = 64 * 1024
  private static let made = Atomic<Int>(0)
  /// One bit for each open descriptor.
  private static let opened = InlineArray<1024, Atomic<UInt64>> { _ in Atomic(0) }
  private static let isWatching: Bool = {
    made.store(0, ordering: .relaxed)
    forget(0)
    return pthread_atfork(nil, nil, { ProcessForks.beginChild() }) == 0
  }()

  /// The same as `count`, for each row: whoever compares has asked for that one before.
  public static var knownCount: Int { made.load(ordering: .relaxed) }

  /// How often memory was handed from a process to its child since the first one looked.
  static var count: Int { isWatching ? made.load(ordering: .relaxed) : 0 }

  /// The descriptor was opened by this process.
  static func note(_ descriptor: Int32) {
    guard isWatching, descriptor >= 0, descriptor < descriptorCountMax else { return }
    opened[Int(descriptor) / 64].bitwiseOr(1 << UInt64(descriptor % 64), ordering: .relaxed)
  }

  /// It is about to be closed.
  static func forget(_ descriptor: Int32) {
    guard descriptor >= 0, descriptor < descriptorCountMax else { return }
    opened[Int(descriptor) / 64].bitwiseAnd(~(1 << UInt64(descriptor % 64)), ordering: .relaxed)
  }

  /// The only thread of a new process; any lock may be taken, by a thread that it does not have.
  private static func beginChild() {
    made.add(1, ordering: .relaxed)
    var word = 0
    while word < descriptorCountMax / 64 {
      var bits = opened[word].exchange(0, ordering: .relaxed)
      while bits != 0 {
        SystemCalls.close(Int32(word * 64 + bits.trailingZeroBitCount))
        bits &= bits - 1
      }
      word += 1
    }
  }
}
