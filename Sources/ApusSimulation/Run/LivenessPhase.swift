// The end of a run: no faults any more, and every connection must come through once more. Who does not is waiting for something
// that never comes, and the finding shows for what (O8).

import ApusBase

struct LivenessPhase {
  private let simulation: Simulation

  init(_ simulation: Simulation) { self.simulation = simulation }

  /// Runs until every connection has committed a writing transaction, or has nothing to write to any more.
  /// - Parameter step: one step of the schedule.
  func run(_ step: () throws(Finding) -> Void) throws(Finding) {
    let counts = simulation.clients.map(\.commitCount)
    for _ in 0..<Simulation.patienceSteps {
      let isThrough = simulation.clients.allSatisfy { client in
        client.isGone || !client.hasMore || client.commitCount > counts[client.name] || simulation.world.damage != .none
      }
      if isThrough { return }
      try step()
    }
    let waiting = simulation.clients.filter { !$0.isGone && $0.hasMore && $0.commitCount == counts[$0.name] }.map(\.name)
    throw Finding(
      oracle: .liveness, text: "without faults, clients \(waiting) have not committed anything\n\(WaitPicture(simulation).text)")
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
        case .completion(let ticket)?: "waits for \(describe(ticket, disk))"
        }
      return "    client \(client.name) in \(client.phaseName): \(wait)"
    }
    for (path, file) in disk.names.sorted(by: { $0.key < $1.key }) {
      for lock in file.locks { lines.append("    \(path): \(lock.kind) lock on bytes \(lock.range), handle \(lock.owner)") }
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
