// A counting semaphore for threads that wait for each other. `unsafe` lives here.

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
}
