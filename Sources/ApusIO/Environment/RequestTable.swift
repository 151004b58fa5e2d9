// The requests of one queue that have not been taken: a slot each, and a generation in the ticket so that a ticket taken
// twice is noticed.

import ApusBase

struct RequestTable<Request> {
  enum State {
    case free
    case pending(Request)
    case completed(IOResult)
  }

  private var states: [State] = []
  private var generations: [UInt32] = []
  private var freeSlots: [Int] = []
  /// Requests that are pending.
  private(set) var pendingCount = 0

  private static func ticket(_ slot: Int, _ generation: UInt32) -> Ticket {
    Ticket(rawValue: UInt64(generation) << 32 | UInt64(slot))
  }

  private func slot(_ ticket: Ticket) -> Int {
    let slot = Int(ticket.rawValue & 0xffff_ffff)
    precondition(
      slot < states.count && generations[slot] == UInt32(ticket.rawValue >> 32), "a ticket is taken once, from its queue")
    return slot
  }

  private mutating func insert(_ state: State) -> Ticket {
    if let slot = freeSlots.popLast() {
      states[slot] = state
      return Self.ticket(slot, generations[slot])
    }
    states.append(state)
    generations.append(1)
    return Self.ticket(states.count - 1, 1)
  }

  mutating func insert(pending request: Request) -> Ticket {
    pendingCount += 1
    return insert(.pending(request))
  }

  mutating func insert(completed result: IOResult) -> Ticket { insert(.completed(result)) }

  /// nil where it has completed meanwhile.
  func pending(_ ticket: Ticket) -> Request? {
    if case .pending(let request) = states[slot(ticket)] { return request }
    return nil
  }

  mutating func complete(_ ticket: Ticket, _ result: IOResult) {
    let slot = slot(ticket)
    guard case .pending = states[slot] else { preconditionFailure("a request completes once") }
    states[slot] = .completed(result)
    pendingCount -= 1
  }

  mutating func take(_ ticket: Ticket) -> IOResult? {
    let slot = slot(ticket)
    switch states[slot] {
    case .pending: return nil
    case .free: preconditionFailure("a ticket is taken once")
    case .completed(let result):
      states[slot] = .free
      generations[slot] &+= 1
      freeSlots.append(slot)
      return result
    }
  }
}
