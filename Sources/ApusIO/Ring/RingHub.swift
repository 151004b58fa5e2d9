// One ring for all connections of a driver's thread.
//
// Requests of many connections go to the kernel by few calls, the last of which is also the call in which the thread sleeps:
// until a request has completed, a moment has come, or another thread wakes it (an event that the ring polls). The hub belongs to
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
  private var unsent: [(queue: RingQueue, ticket: Ticket)] = []
  /// Places whose transfers go on: they are prepared again, not in the midst of reaping.
  private var continued: [Int] = []
  /// Something has landed in this turn, or somebody has woken the thread.
  private var hasLanded = false
  /// A lone request was kept back at the last turn.
  private var holdsBack = false
  private static let wakeToken: UInt64 = 0
  /// So many reads go to the ring untried, since the last try found nothing in the kernel's cache.
  private var untriedCount = 0
  private static let untriedCountMax = 16

  /// So many requests do not wait for the end of the round: the disk would have nothing to do while the processor is busy
  /// with the others' statements.
  private static let unsentCountMax = 8

  init(_ ring: Ring, wakeUp: Waiter) {
    self.ring = ring
    self.wakeUp = wakeUp
  }

  // The kernel still writes into the buffers of what is in flight.
  deinit { while free.count < requests.count || !unsent.isEmpty { turn(untilMonotonic: nil, mayWait: true) } }

  /// Whether it pays to ask the kernel's cache before the ring. A try that misses makes the kernel read that one page, and the
  /// disk is told of each by itself; in the ring it is told of many at once. So one miss sends the next reads untried.
  func mayFindCached() -> Bool {
    if untriedCount == 0 { return true }
    untriedCount -= 1
    return false
  }

  func noteCached(_ wasThere: Bool) { untriedCount = wasThere ? 0 : Self.untriedCountMax }

  /// Takes what a queue asks for; it goes out with the next `turn`, or with some others before. What a scan asks for at once waits
  /// for the turn: it is a round's work for the disk by itself.
  func send(_ queue: RingQueue, _ tickets: [Ticket]) {
    for ticket in tickets { unsent.append((queue, ticket)) }
    queue.sharedCount.wrappingAdd(tickets.count, ordering: .relaxed)
    if tickets.count >= Self.unsentCountMax || unsent.count < Self.unsentCountMax { return }
    prepareUnsent()
    RingQueue.check(ring.submit())
  }

  private func prepareUnsent() {
    for (queue, ticket) in unsent { place(queue, ticket) }
    unsent.removeAll(keepingCapacity: true)
  }

  private func place(_ queue: RingQueue, _ ticket: Ticket) {
    let place = free.popLast() ?? requests.count
    if place == requests.count { requests.append(nil) }
    requests[place] = (queue, ticket)
    prepare(place, queue, ticket)
  }

  private func prepare(_ place: Int, _ queue: RingQueue, _ ticket: Ticket) {
    for _ in 0..<RingQueue.roomAttemptsMax {
      if queue.send(ticket, ring, token: UInt64(place + 1)) { return }
      makeRoom()
    }
    // The kernel takes nothing more for the time being.
    queue.settleWithoutRing(ticket)
    land(place, queue)
  }

  /// The submission queue is full. A kernel that answers EBUSY takes no more before completions are reaped.
  private func makeRoom() {
    RingQueue.check(ring.submit())
    reap(asks: true)
  }

  private func land(_ place: Int, _ queue: RingQueue) {
    requests[place] = nil
    free.append(place)
    hasLanded = true
    queue.hasNews = true
    queue.sharedCount.wrappingSubtract(1, ordering: .releasing)
  }

  private func reap(asks: Bool) {
    ring.reap(asks: asks) { token, code in
      if token == Self.wakeToken {
        isPolling = false
        hasLanded = true
        wakeUp.clear()
        return
      }
      let place = Int(truncatingIfNeeded: token) - 1
      guard requests.indices.contains(place), let (queue, ticket) = requests[place] else { return }
      if queue.settle(ticket, code) == .transferGoesOn { continued.append(place) } else { land(place, queue) }
    }
  }

  private func prepareContinued() {
    while let place = continued.popLast() {
      if let (queue, ticket) = requests[place] { prepare(place, queue, ticket) }
    }
  }

  /// A read that is alone with a thread that would sleep until its end is done by that thread: it takes a plain call for it.
  private func readAlone() -> Bool {
    guard unsent.count == 1, free.count == requests.count, let (queue, ticket) = unsent.first, queue.readHere(ticket)
    else { return false }
    holdsBack = false
    unsent.removeAll(keepingCapacity: true)
    queue.hasNews = true
    queue.sharedCount.wrappingSubtract(1, ordering: .releasing)
    return true
  }

  func turn(untilMonotonic moment: UInt64?, mayWait: Bool) {
    if mayWait {
      if readAlone() { return }
    } else if unsent.count == 1, free.count == requests.count, !holdsBack {
      // The thread is likely to fall asleep next, and then does it itself.
      holdsBack = true
      return
    }
    holdsBack = false
    hasLanded = false
    prepareUnsent()
    prepareContinued()
    poll()
    // What has landed while room was made is news: whoever falls asleep now would miss it.
    let sleeps = mayWait && isPolling && !hasLanded
    RingQueue.check(sleeps ? ring.submitAndWait(untilMonotonic: moment) : ring.submitAndLook())
    reap(asks: false)
    prepareContinued()
  }

  /// Without the poll nobody could wake the thread: where the submission queue is full, it is handed over first.
  /// Where that does not help, the thread does not sleep at all.
  private func poll() {
    for _ in 0..<RingQueue.roomAttemptsMax where !isPolling {
      isPolling = ring.poll(wakeUp.descriptorNumber, token: Self.wakeToken)
      if !isPolling { makeRoom() }
    }
  }
}
