// The end of a run: no faults any more, and every connection must come through once more. Who does not is waiting for something
// that never comes, and the finding shows for what (O8).

import ApusBase

struct LivenessPhase {
  private let simulation: Simulation

  init(_ simulation: Simulation) { self.simulation = simulation }

  /// Lets all end what they have begun, then each in turn commit a writing transaction while the others rest.
  /// - Parameter step: one step of the schedule, in which the connection of that name may begin a transaction.
  func run(_ step: (_ starter: Int?) throws(Finding) -> Void) throws(Finding) {
    try wait(for: "the transactions under way do not end", step, nil) { simulation.clients.allSatisfy(\.isResting) }
    if simulation.world.damage != .none { return }
    for client in simulation.clients {
      let count = client.commitCount
      try wait(for: "client \(client.name) alone commits nothing", step, client.name) {
        client.isGone || !client.hasMore || client.commitCount > count
      }
      try wait(for: "client \(client.name) does not come to rest", step, nil) { client.isResting }
    }
  }

  private func wait(
    for problem: String, _ step: (Int?) throws(Finding) -> Void, _ starter: Int?, until isDone: () -> Bool
  ) throws(Finding) {
    for _ in 0..<Simulation.patienceSteps {
      if isDone() { return }
      try step(starter)
    }
    throw Finding(oracle: .liveness, text: "without faults, \(problem)\n\(WaitPicture(simulation).text)")
  }
}

/// Who waits for what, and who has the locks.
struct WaitPicture {
  private let simulation: Simulation

  init(_ simulation: Simulation) { self.simulation = simulation }

  var text: String {
    let disk = simulation.world.disk
    var lines = simulation.clients.map { client -> String in
      let wait =
        switch client.wait {
        case nil: "can go on"
        case .nothing?: "gives way"
        case .moment(let moment)?: "waits for the moment \(moment)"
        case .signal?: "waits for another connection"
        case .completion(let ticket)?: "waits for \(describe(ticket, disk))"
        }
      return "    client \(client.name) in \(client.phaseName): \(wait)"
    }
    for (path, file) in disk.names.sorted(by: { $0.key < $1.key }) {
      for lock in file.locks {
        let client = disk.handles[lock.owner].map { " of client \($0.client)" } ?? ""
        lines.append("    \(path): \(lock.kind) lock on bytes \(lock.range), handle \(lock.owner)\(client)")
      }
    }
    for (owner, handle) in disk.handles.sorted(by: { $0.key < $1.key }) where disk.names[handle.path] !== handle.file {
      for lock in handle.file.locks where lock.owner == owner {
        lines.append(
          "    \(handle.path), without its name: \(lock.kind) lock on bytes \(lock.range), handle \(owner)"
            + " of client \(handle.client)")
      }
    }
    for (path, shared) in disk.sharedMemories.sorted(by: { $0.key < $1.key }) {
      for lock in shared.locks { lines.append("    \(path)-shm: \(lock.kind) lock on slot \(lock.range.lowerBound)") }
    }
    return lines.joined(separator: "\n")
  }

  private func describe(_ ticket: Ticket, _ disk: SimulatedDisk) -> String {
    guard let request = disk.inFlight.first(where: { $0.ticket == ticket }) else { return "what has completed" }
    let kind =
      switch request.kind {
      case .read(_, let offset, _): "a read at \(offset) of"
      case .write(_, let offset, _): "a write at \(offset) of"
      case .sync: "a sync of"
      case .syncDirectory: "a sync of the directory"
      }
    return "\(kind) \(request.path)\(request.notBefore > disk.clock.monotonicNanoseconds ? ", held back" : "")"
  }
}
