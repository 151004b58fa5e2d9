// The io_uring backend's queue.
//
// What the kernel has in its cache is read at once (`RWF_NOWAIT`, about a microsecond); only a true miss becomes a request
// in flight. A request that is alone when its owner comes to wait for it is done by that thread itself: the ring costs
// more than it gives where nothing else is in flight. So the ring is made when there are several, or when a driver asks
// for submission because it has other things to do. Small writes go into the kernel's cache at once; syncs and misses are
// what takes time. Without a ring (refused) everything is done as the POSIX backend does it.

import ApusBase
import Glibc
import Synchronization

final class RingQueue: IOQueue {
  let alarm = Alarm()
  private enum Operation {
    case read(MutableByteView)
    case write([ByteView], total: Int)
    case sync(SyncKind)
    case syncDirectory
  }

  /// An object: it is looked at several times on its way, and holds four others.
  private final class Request {
    let operation: Operation
    let descriptor: Descriptor
    let offset: Int64
    /// Bytes transferred so far.
    var done = 0
    var vectors: VectorList?
    /// A read past the kernel's cache; nil once that has failed.
    var direct: DirectRead?

    init(_ operation: Operation, _ descriptor: Descriptor, offset: Int64, direct: DirectRead? = nil) {
      self.operation = operation
      self.descriptor = descriptor
      self.offset = offset
      self.direct = direct
    }
  }

  private struct DirectRead {
    var file: PosixFile
    var descriptor: Descriptor
    var buffer: DirectBuffer
  }

  /// Writes up to this size are copied into the kernel's cache by the caller; larger ones may meet its dirty limit.
  private static let directWriteBytesMax = 1 << 20

  private let environment: SystemEnvironment
  private let options: RingOptions
  private var table = RequestTable<Request>()
  private var unsent: [Ticket] = []
  private var buffers = DirectBufferStack()
  private var ring: Ring?
  private var isRefused = false
  /// The ring of the driver's thread that the requests go through; nil: one of the queue's own.
  private var hub: RingHub?
  /// Requests that are in flight in the hub. Its thread counts down, behind everything else that it does to them.
  let sharedCount = Atomic<Int>(0)
  /// Something has completed in the hub since the driver looked last.
  var hasNews = false
  // Read at each page: an atomic needs no check for exclusive access.
  private let blocks = Atomic<Bool>(false)
  var driverBlocks: Bool {
    get { blocks.load(ordering: .relaxed) }
    set { blocks.store(newValue, ordering: .relaxed) }
  }

  init(environment: SystemEnvironment, options: RingOptions) {
    self.environment = environment
    self.options = options
  }

  // The kernel still writes into the buffers of what is in flight.
  // A hub keeps the queues of what is in flight; what has not gone out touches nothing.
  deinit { if hub == nil { while isBusy { waitForCompletion() } } }

  // MARK: requests

  func read(_ file: any File, at offset: Int64, into buffer: MutableByteView) -> Ticket {
    guard let file = file as? PosixFile else { preconditionFailure("a file of another environment") }
    let descriptor: Descriptor
    do { descriptor = try file.descriptor } catch { return table.insert(completed: .failed(error)) }
    let request = Request(.read(buffer), descriptor, offset: offset)
    // In a hub the ring itself looks into the kernel's cache first, and reads what is missing for many requests by one call.
    if hub == nil, file.knowsNowait.load(ordering: .relaxed), !options.sendsEverything {
      switch SystemCalls.readCached(descriptor.number, at: offset, into: buffer) {
      case .done(let count): return table.insert(completed: .done(count))
      case .missed(let count): request.done = count
      case .unsupported: file.knowsNowait.store(false, ordering: .relaxed)
      case .failed(let number): return table.insert(completed: failure(request, Int(number)))
      }
    }
    return enqueue(request)
  }

  func readAtOnce(_ file: any File, at offset: Int64, into views: [MutableByteView]) -> Int? {
    guard let file = file as? PosixFile, file.knowsNowait.load(ordering: .relaxed), !options.sendsEverything,
      let descriptor = try? file.descriptor
    else { return nil }
    return SystemCalls.readSome(descriptor.number, at: offset, into: views, waits: driverBlocks)
  }

  func readAtOnce(_ file: any File, at offset: Int64, into view: MutableByteView) -> Int? {
    guard let file = file as? PosixFile, file.knowsNowait.load(ordering: .relaxed), !options.sendsEverything,
      let descriptor = try? file.descriptor
    else { return nil }
    if driverBlocks {
      // One plain call takes a tenth less time than one that asks not to wait. An error is met again by a request.
      let count = SystemCalls.read(descriptor.number, at: offset, into: view)
      return count < 0 ? nil : count
    }
    if let hub, !hub.mayFindCached() { return nil }
    guard case .done(let count) = SystemCalls.readCached(descriptor.number, at: offset, into: view) else {
      hub?.noteCached(false)
      return nil
    }
    hub?.noteCached(true)
    return count
  }

  func readDirectly(_ file: any File, at offset: Int64, into buffer: MutableByteView) -> Ticket {
    guard let file = file as? PosixFile, let descriptor = try? file.descriptor,
      let direct = file.directDescriptor(at: offset, buffer.count)
    else { return read(file, at: offset, into: buffer) }
    let read = DirectRead(file: file, descriptor: direct, buffer: buffers.take(buffer.count))
    return enqueue(Request(.read(buffer), descriptor, offset: offset, direct: read))
  }

  func readDirectlyAtOnce(_ file: any File, at offset: Int64, into views: [MutableByteView]) -> Int? {
    if !driverBlocks || options.sendsEverything { return nil }
    return PosixQueue.readDirectly(file, at: offset, into: views, &buffers)
  }

  func write(_ file: any File, at offset: Int64, from views: [ByteView]) -> Ticket {
    let total = views.reduce(0) { $0 + $1.count }
    return start(file, .write(views, total: total), offset: offset)
  }

  func sync(_ file: any File, _ kind: SyncKind) -> Ticket { start(file, .sync(kind), offset: 0) }

  func syncDirectory(of path: String) -> Ticket {
    switch DirectorySync.open(of: path) {
    case .failure(let error): return table.insert(completed: .failed(error))
    case .success(let directory):
      return enqueue(Request(.syncDirectory, directory, offset: 0))
    }
  }

  private func start(_ file: any File, _ operation: Operation, offset: Int64) -> Ticket {
    let descriptor: Descriptor
    do { descriptor = try PosixQueue.descriptor(of: file) } catch { return table.insert(completed: .failed(error)) }
    let request = Request(operation, descriptor, offset: offset)
    if case .write(_, let total) = operation, total <= Self.directWriteBytesMax, !options.sendsEverything || total == 0
    {
      return table.insert(completed: perform(request))
    }
    return enqueue(request)
  }

  private func enqueue(_ request: Request) -> Ticket {
    if isRefused { return table.insert(completed: perform(request)) }
    let ticket = table.insert(pending: request)
    unsent.append(ticket)
    return ticket
  }

  // MARK: the caller's side

  func take(_ ticket: Ticket) -> IOResult? {
    if let result = table.take(ticket) { return result }
    reap()
    return table.take(ticket)
  }

  var isBusy: Bool { table.pendingCount > 0 }
  var completionDescriptor: Int32? { ring?.descriptor }

  func submit() {
    if unsent.isEmpty { return }
    if let hub {
      hub.send(self, unsent)
      unsent.removeAll(keepingCapacity: true)
      return
    }
    guard let ring = makeRing() else {
      for ticket in unsent { performPending(ticket) }
      unsent.removeAll()
      return
    }
    var index = 0, attempts = 0
    while index < unsent.count {
      if send(unsent[index], ring) {
        (index, attempts) = (index + 1, 0)
      } else if attempts < Self.roomAttemptsMax {
        // The submission queue is full.
        attempts += 1
        handOver(ring.submit())
        reap(ring)
      } else {
        performPending(unsent[index])
        index += 1
      }
    }
    unsent.removeAll(keepingCapacity: true)
    handOver(ring.submit())
  }

  func waitForCompletion() {
    if !isBusy { return }
    if let hub {
      submit()
      return hub.turn(untilMonotonic: nil, mayWait: true)
    }
    if unsent.count == 1, table.pendingCount == 1, !options.sendsEverything {
      performPending(unsent.removeLast())
      return
    }
    let before = table.pendingCount
    submit()
    guard let ring else { return }
    while true {
      reap(ring)
      if table.pendingCount < before { return }
      handOver(ring.submitAndWait())
    }
  }

  // MARK: the hub's side

  func join(_ hub: (any IOHub)?) {
    if let hub, hub === self.hub { return }
    let wanted = isRefused ? nil : hub as? RingHub
    // Nothing changes: what is in flight in the queue's own ring goes on, and nobody waits for it here.
    if wanted === self.hub { return }
    precondition(sharedCount.load(ordering: .acquiring) == 0, "a queue leaves its hub when nothing is in flight")
    // What went out by the queue's own ring comes back by it.
    while table.pendingCount > unsent.count { waitForCompletion() }
    self.hub = wanted
    hasNews = false
  }

  var isIdleInHub: Bool { sharedCount.load(ordering: .acquiring) == 0 }

  func takeNews() -> Bool {
    defer { hasNews = false }
    return hub == nil || hasNews || table.pendingCount == 0
  }

  /// Does a read by a call that waits.
  /// - Returns: false where it is something else.
  func readHere(_ ticket: Ticket) -> Bool {
    guard !options.sendsEverything, let request = table.pending(ticket), case .read = request.operation else {
      return false
    }
    table.complete(ticket, perform(request))
    return true
  }

  // MARK: the ring's side

  private func makeRing() -> Ring? {
    if let ring { return ring }
    if isRefused { return nil }
    switch Ring.make(options) {
    case .success(let made):
      ring = made
      return made
    case .failure(let refusal):
      isRefused = true
      if refusal.isPermanent { environment.refuse(refusal.reason) }
      return nil
    }
  }

  /// False where the submission queue is full.
  /// - Parameter token: what the completion comes back with; the ticket where the ring is the queue's own.
  func send(_ ticket: Ticket, _ ring: Ring, token: UInt64? = nil) -> Bool {
    let token = token ?? ticket.rawValue
    guard let request = table.pending(ticket) else { return true }
    let fd = request.descriptor.number, offset = request.offset + Int64(request.done)
    switch request.operation {
    case .read(let buffer):
      if let direct = request.direct {
        return ring.read(direct.descriptor.number, at: request.offset, into: direct.buffer.bytes, token: token)
      }
      let rest = buffer.slice(request.done, buffer.count - request.done)
      return ring.read(fd, at: offset, into: rest, token: token)
    case .write(let views, _):
      let vectors = VectorList(views, skipping: request.done)
      request.vectors = vectors
      return ring.write(fd, at: offset, vectors, token: token)
    case .sync(let kind): return ring.sync(fd, kind, token: token)
    case .syncDirectory: return ring.sync(fd, .full, token: token)
    }
  }

  private func handOver(_ code: CallResult) { Self.check(code) }

  /// So often a full submission queue is handed to a kernel that takes nothing of it (EBUSY, EAGAIN) before a request
  /// is done without the ring.
  static let roomAttemptsMax = 16

  /// What was not taken stays in the submission queue and goes with the next call.
  static func check(_ code: CallResult) {
    switch -code {
    case Int(EINTR), Int(EAGAIN), Int(EBUSY): break
    default: precondition(code >= 0, "io_uring_enter: \(SystemError.text(Int32(-code)))")
    }
  }

  private func reap() {
    if let ring, table.pendingCount > unsent.count { reap(ring) }
  }

  private func reap(_ ring: Ring) {
    var continued: [Ticket] = []
    ring.reap { token, code in
      let ticket = Ticket(rawValue: token)
      if settle(ticket, code) == .transferGoesOn { continued.append(ticket) }
    }
    if continued.isEmpty { return }
    for ticket in continued where !send(ticket, ring) { performPending(ticket) }
    handOver(ring.submit())
  }

  /// Does a request of the hub's without the ring, which has no room for it.
  func settleWithoutRing(_ ticket: Ticket) {
    while settle(ticket, -EAGAIN) == .transferGoesOn {}
  }

  enum Settlement { case settled, transferGoesOn }

  func settle(_ ticket: Ticket, _ code: Int32) -> Settlement {
    guard let request = table.pending(ticket) else { return .settled }
    request.vectors = nil
    if let direct = request.direct { return settle(ticket, request, direct, direct.file.injectedReadFailure ?? Int(code)) }
    let kind: TransferStep.Kind, byteCount: Int
    switch request.operation {
    case .read(let buffer): (kind, byteCount) = (.read, buffer.count)
    case .write(_, let total): (kind, byteCount) = (.write, total)
    case .sync, .syncDirectory: (kind, byteCount) = (.sync, 0)
    }
    switch TransferStep.after(code, of: kind, byteCount: byteCount, done: &request.done) {
    case .settled(let count): table.complete(ticket, .done(count))
    case .failed(let number): table.complete(ticket, failure(request, Int(number)))
    // Not carried out, or not known to this kernel: done here instead.
    case .notCarriedOut: table.complete(ticket, perform(request))
    case .goesOn: return .transferGoesOn
    }
    return .settled
  }

  private func settle(_ ticket: Ticket, _ request: Request, _ direct: DirectRead, _ code: CallResult) -> Settlement {
    defer { buffers.give(direct.buffer) }
    if case .read(let buffer) = request.operation, code == buffer.count {
      buffer.copy(direct.buffer.bytes.readable, to: 0)
      table.complete(ticket, .done(code))
      return .settled
    }
    direct.file.noteDirectRead(code)
    request.direct = nil
    return .transferGoesOn
  }

  // MARK: without the ring

  private func performPending(_ ticket: Ticket) {
    if let request = table.pending(ticket) { table.complete(ticket, perform(request)) }
  }

  /// Does what remains of a request by system calls that wait.
  private func perform(_ request: Request) -> IOResult {
    let fd = request.descriptor.number
    let count: CallResult
    switch request.operation {
    case .read(let buffer):
      if let direct = request.direct {
        defer { buffers.give(direct.buffer) }
        if let count = direct.file.readDirectly(direct.descriptor, at: request.offset, into: direct.buffer) {
          buffer.copy(direct.buffer.bytes.readable, to: 0)
          return .done(count)
        }
      }
      let rest = buffer.slice(request.done, buffer.count - request.done)
      let more = SystemCalls.read(fd, at: request.offset + Int64(request.done), into: rest)
      count = more < 0 ? more : request.done + more
    case .write(let views, _): count = SystemCalls.write(fd, at: request.offset, views, skipping: request.done)
    case .sync(let kind): count = SystemCalls.sync(fd, kind)
    case .syncDirectory: return DirectorySync.result(SystemCalls.sync(fd, .full), request.descriptor)
    }
    return count < 0 ? failure(request, -count) : .done(count)
  }

  private func failure(_ request: Request, _ number: Int) -> IOResult {
    let code: CallResult = -number
    switch request.operation {
    case .read: return PosixQueue.result(code, .ioErrorRead, "read", request.descriptor)
    case .write: return PosixQueue.result(code, .ioErrorWrite, "write", request.descriptor)
    case .sync(.data): return PosixQueue.result(code, .ioErrorFsync, "fdatasync", request.descriptor)
    case .sync(.full): return PosixQueue.result(code, .ioErrorFsync, "fsync", request.descriptor)
    case .syncDirectory: return PosixQueue.result(code, .ioErrorDirectoryFsync, "fsync", request.descriptor)
    }
  }
}
