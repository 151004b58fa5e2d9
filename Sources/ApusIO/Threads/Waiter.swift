// Where a driver's thread sleeps: until a request of one of its queues has completed, a moment has come, or another
// thread has something for it. `unsafe` lives here.

import ApusBase
import CLiburing
import Glibc

public final class Waiter: Sendable {
  private let event: Descriptor

  public init() throws(EngineError) {
    let flags = O_CLOEXEC | O_NONBLOCK  // EFD_CLOEXEC and EFD_NONBLOCK have these values.
    let fd = eventfd(0, flags)
    if fd < 0 { throw SystemError.make(.cannotOpen, call: "eventfd", errno: errno, path: "(driver)") }
    event = Descriptor(fd, path: "(driver)")
  }

  /// Ends the wait that is under way, or the next one. Any thread may call it.
  public func wake() {
    var one: UInt64 = 1
    unsafe _ = write(event.number, &one, 8)
  }

  var descriptorNumber: Int32 { event.number }

  /// Takes the wake-ups that have come.
  func clear() {
    var value: UInt64 = 0
    unsafe _ = read(event.number, &value, 8)
  }

  /// Blocks until one of `descriptors` is readable, `moment` of the monotonic clock has come, or `wake` was called.
  /// - Returns: the descriptors that are readable.
  public func wait(for descriptors: [Int32], untilMonotonic moment: UInt64?) -> [Int32] {
    var timeout = Int32(-1)
    if let moment {
      let now = SystemCalls.nanoseconds(CLOCK_MONOTONIC)
      let left = moment > now ? (moment - now + 999_999) / 1_000_000 : 0
      timeout = Int32(min(left, 60_000))
    }
    var list = [pollfd(fd: event.number, events: Int16(POLLIN), revents: 0)]
    for descriptor in descriptors { list.append(pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)) }
    let count = unsafe poll(&list, nfds_t(list.count), timeout)
    if count > 0, list[0].revents != 0 { clear() }
    return count > 0 ? list.dropFirst().filter { $0.revents != 0 }.map(\.fd) : []
  }
}
