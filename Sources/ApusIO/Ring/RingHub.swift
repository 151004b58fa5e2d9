// One ring for all connections of a driver's thread.
//
// Requests of many connections go to the kernel in one call, which is also the call in which the thread sleeps: until a
// request has completed, a moment has come, or another thread wakes it (an event that the ring polls). The hub belongs to
// the thread that made it, and so does what is in flight in it; a queue says when nothing of it is (`isIdle`), and may
// then be used by another thread.

import ApusBase
import Glibc

final class RingHub: IOHub {
  private let ring: Ring
  private let wakeUp: Waiter
  private var isPolling = false
  /// What is in flight: token - 1 is the place.
  private var requests: [(queue: RingQueue, ticket: Ticket)?] = []
  private var free: [Int] = []
  private static let wakeToken: UInt64 = 0

  init(_ ring: Ring, wakeUp: Waiter) {
    self.ring = ring
    self.wakeUp = wakeUp
  }

  // The kernel still writes into the buffers of what is in flight.
  deinit { while free.count < requests.count { turn(untilMonotonic: nil, mayWait: true) } }

  /// Prepares a request; it goes out with the next `turn`.
  func send(_ queue: RingQueue, _ ticket: Ticket) {
    let place = free.popLast() ?? requests.count
    if place == requests.count { requests.append(nil) }
    requests[place] = (queue, ticket)
    queue.sharedCount.wrappingAdd(1, ordering: .relaxed)
    prepare(place, queue, ticket)
  }

  private func prepare(_ place: Int, _ queue: RingQueue, _ ticket: Ticket) {
    while !queue.send(ticket, ring, token: UInt64(place + 1)) {
      // The submission queue is full.
      RingQueue.check(ring.submit())
    }
  }

  func turn(untilMonotonic moment: UInt64?, mayWait: Bool) {
    if !isPolling { isPolling = ring.poll(wakeUp.descriptorNumber, token: Self.wakeToken) }
    RingQueue.check(mayWait ? ring.submitAndWait(untilMonotonic: moment) : ring.submit())
    var continued: [Int] = []
    ring.reap { token, code in
      if token == Self.wakeToken {
        isPolling = false
        wakeUp.clear()
        return
      }
      let place = Int(truncatingIfNeeded: token) - 1
      guard requests.indices.contains(place), let (queue, ticket) = requests[place] else { return }
      if queue.settle(ticket, code) == .transferGoesOn { return continued.append(place) }
      requests[place] = nil
      free.append(place)
      queue.hasNews = true
      queue.sharedCount.wrappingSubtract(1, ordering: .releasing)
    }
    for place in continued {
      if let (queue, ticket) = requests[place] { prepare(place, queue, ticket) }
    }
  }
}
