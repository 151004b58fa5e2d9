// What ends a connection's wait for other connections of its process: for its turn to write, for a sync that covers its commit.
//
// A ring is kept until somebody takes it: who registers for one, and only then falls asleep, misses none. One ring too many does no
// harm, since whoever waits looks again.

import Synchronization

public final class Alarm: Sendable {
  private let isRung = Atomic<Bool>(false)
  private let semaphore = ThreadSemaphore()
  private let listener = Mutex<(@Sendable () -> Void)?>(nil)

  public init() {}

  /// Any thread may call it.
  public func ring() {
    if isRung.exchange(true, ordering: .sequentiallyConsistent) { return }
    semaphore.signal()
    listener.withLock { $0 }?()
  }

  /// True where it has rung and nobody has taken that yet.
  public var hasRung: Bool { isRung.load(ordering: .relaxed) }

  /// True where it has rung since the last call.
  public func take() -> Bool {
    if !isRung.load(ordering: .relaxed) { return false }
    let wasRung = isRung.exchange(false, ordering: .sequentiallyConsistent)
    if wasRung { semaphore.forget() }
    return wasRung
  }

  /// Blocks the thread until it rings, or the moment of the monotonic clock has come.
  public func wait(untilMonotonic moment: UInt64? = nil) {
    while !take() {
      if !semaphore.wait(untilMonotonic: moment) { return }
    }
  }

  /// Called by each ring, on the thread that rings: a driver that sleeps elsewhere.
  public func onRing(_ body: (@Sendable () -> Void)?) { listener.withLock { $0 = body } }
}
