// A counting semaphore for threads that wait for each other. `unsafe` lives here.

import CLiburing
import Glibc

@safe
public final class ThreadSemaphore: @unchecked Sendable {
  private let semaphore: UnsafeMutablePointer<sem_t>

  public init(_ count: UInt32 = 0) {
    unsafe semaphore = .allocate(capacity: 1)
    unsafe semaphore.initialize(to: sem_t())
    unsafe sem_init(semaphore, 0, count)
  }

  deinit {
    unsafe sem_destroy(semaphore)
    unsafe semaphore.deallocate()
  }

  public func signal() { unsafe _ = sem_post(semaphore) }

  public func wait() { while unsafe sem_wait(semaphore) != 0 {} }

  /// - Returns: false where the moment of the monotonic clock has come first.
  func wait(untilMonotonic moment: UInt64?) -> Bool {
    guard let moment else {
      wait()
      return true
    }
    var time = timespec(tv_sec: Int(moment / 1_000_000_000), tv_nsec: Int(moment % 1_000_000_000))
    while unsafe sem_clockwait(semaphore, CLOCK_MONOTONIC, &time) != 0 {
      if errno == ETIMEDOUT { return false }
    }
    return true
  }

  /// Takes back what was signalled and not waited for.
  func forget() { while unsafe sem_trywait(semaphore) == 0 {} }
}
