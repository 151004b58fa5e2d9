// What ends a connection's wait for other connections of its process: for its turn to write, for a sync that covers its commit.
//
// A ring is kept until somebody takes it: who registers for one, and only then falls asleep, misses none. One ring too many does no
// harm, since whoever waits looks again.

import Glibc
import Synchronization

public final class Alarm: Sendable {
  private let isRung = Atomic<Bool>(false)
  private let semaphore = ThreadSemaphore()
  private let isExpected = Atomic<Bool>(false)
  private let listener = ThreadMutex<(@Sendable () -> Void)?>(nil)

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

  /// Whoever waits next is likely to be rung at once, and stays awake for a moment.
  public func expect() { isExpected.store(true, ordering: .relaxed) }

  /// What it costs at least to fall asleep and to be woken.
  public static let watchNanoseconds: UInt64 = 25_000
  private static let watcherCount = Atomic<Int>(0)
  /// One processor is left to whom they wait for.
  private static let watcherCountMax = EngineThread.processorCount - 1

  private func watch() {
    let others = Alarm.watcherCount.add(1, ordering: .relaxed).oldValue
    defer { Alarm.watcherCount.subtract(1, ordering: .relaxed) }
    if others >= Alarm.watcherCountMax { return }
    let end = SystemCalls.nanoseconds(CLOCK_MONOTONIC) + Alarm.watchNanoseconds
    while !hasRung, SystemCalls.nanoseconds(CLOCK_MONOTONIC) < end {}
  }

  /// Blocks the thread until it rings, or the moment of the monotonic clock has come.
  public func wait(untilMonotonic moment: UInt64? = nil) {
    if isExpected.exchange(false, ordering: .relaxed) { watch() }
    while !take() {
      if !semaphore.wait(untilMonotonic: moment) { return }
    }
  }

  /// Called by each ring, on the thread that rings: a driver that sleeps elsewhere.
  public func onRing(_ body: (@Sendable () -> Void)?) { listener.withLock { $0 = body } }
}
