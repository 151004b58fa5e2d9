// Requests on files in memory. They complete at once, or, on request, later and in seeded order: a disk for tests of code
// that waits. Buffers are used at completion, so one that is changed too early shows.

import ApusBase

final class MemoryQueue: IOQueue {
  let alarm = Alarm()
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
          try file.node.checkLength(offset + views.reduce(0) { $0 + Int64($1.count) }, file.path)
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
  private let environment: MemoryEnvironment

  init(random: SeededRandom, environment: MemoryEnvironment) {
    self.random = random
    self.environment = environment
  }

  deinit { while isBusy { waitForCompletion() } }

  func read(_ file: any File, at offset: Int64, into buffer: MutableByteView) -> Ticket {
    start(.read(own(file), offset, buffer))
  }

  func readAtOnce(_ file: any File, at offset: Int64, into views: [MutableByteView]) -> Int? {
    let file = own(file)
    let wanted = views.reduce(0) { $0 + $1.count }
    var limit = wanted
    switch environment.cacheHits {
    case .never: return nil
    case .always: break
    case .sometimes: limit = random.oneIn(2) ? wanted : random.below(wanted + 1)
    }
    var done = 0
    for view in views where done < limit {
      let part = view.slice(0, min(view.count, limit - done))
      let count = file.node.read(at: offset + Int64(done), into: part)
      done += count
      if count < part.count { break }
    }
    environment.countCacheHit(done)
    return done > 0 ? done : nil
  }

  func readAtOnce(_ file: any File, at offset: Int64, into view: MutableByteView) -> Int? {
    readAtOnce(file, at: offset, into: [view])
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
    if environment.completesAtOnce { return table.insert(completed: request.perform()) }
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
