// Requests on files in memory. They complete at once, or, on request, later and in seeded order: a disk for tests of code
// that waits. Buffers are used at completion, so one that is changed too early shows.

import ApusBase

final class MemoryQueue: IOQueue {
  enum Request {
    case read(MemoryFile, Int64, MutableByteView)
    case write(MemoryFile, Int64, [ByteView])
    case sync

    func perform() -> IOResult {
      switch self {
      case .read(let file, let offset, let buffer): return .done(file.node.read(at: offset, into: buffer))
      case .write(let file, let offset, let views):
        do {
          try file.checkWritable()
          return .done(file.node.write(at: offset, views))
        } catch {
          return .failed(error)
        }
      case .sync: return .done(0)
      }
    }
  }

  private var table = RequestTable<Request>()
  private var inFlight: [Ticket] = []
  private var random: SeededRandom
  private let completesAtOnce: Bool

  init(random: SeededRandom, completesAtOnce: Bool) {
    self.random = random
    self.completesAtOnce = completesAtOnce
  }

  deinit { while isBusy { waitForCompletion() } }

  func read(_ file: any File, at offset: Int64, into buffer: MutableByteView) -> Ticket {
    start(.read(own(file), offset, buffer))
  }

  func write(_ file: any File, at offset: Int64, from views: [ByteView]) -> Ticket {
    start(.write(own(file), offset, views))
  }

  func sync(_ file: any File, _ kind: SyncKind) -> Ticket { start(.sync) }
  func syncDirectory(of path: String) -> Ticket { start(.sync) }

  private func own(_ file: any File) -> MemoryFile {
    guard let file = file as? MemoryFile else { preconditionFailure("a file of another environment") }
    return file
  }

  private func start(_ request: Request) -> Ticket {
    if completesAtOnce { return table.insert(completed: request.perform()) }
    let ticket = table.insert(pending: request)
    inFlight.append(ticket)
    return ticket
  }

  func take(_ ticket: Ticket) -> IOResult? { table.take(ticket) }
  var isBusy: Bool { table.pendingCount > 0 }
  func submit() {}

  func waitForCompletion() {
    if inFlight.isEmpty { return }
    let index = random.below(inFlight.count)
    let ticket = inFlight.remove(at: index)
    guard let request = table.pending(ticket) else { return }
    table.complete(ticket, request.perform())
  }

  var completionDescriptor: Int32? { nil }
}
