// A memory environment that shows every step at which names change, and can refuse one: for looks at what a process that is
// stopped there leaves. It can refuse writes, too.

import ApusBase
import ApusIO

final class WatchedEnvironment: Environment, @unchecked Sendable {
  enum Step: Equatable { case delete(String), rename(String, to: String) }

  let inner: MemoryEnvironment
  /// Called before each step; what it throws is what the step throws.
  var watch: (Step) throws(EngineError) -> Void = { _ in }
  /// The file that cannot be written to.
  var refusedPath: String?

  init(_ inner: MemoryEnvironment) { self.inner = inner }

  func delete(_ path: String) throws(EngineError) {
    try watch(.delete(path))
    try inner.delete(path)
  }

  func rename(_ path: String, to newPath: String, replaces: Bool) throws(EngineError) {
    try watch(.rename(path, to: newPath))
    try inner.rename(path, to: newPath, replaces: replaces)
  }

  var backendName: String { inner.backendName }
  var backendReason: String? { inner.backendReason }
  func open(_ path: String, _ mode: OpenMode) throws(EngineError) -> any File { try inner.open(path, mode) }
  func openTemporary() throws(EngineError) -> any File { try inner.openTemporary() }
  func exists(_ path: String) throws(EngineError) -> Bool { try inner.exists(path) }
  func size(of path: String) throws(EngineError) -> Int64? { try inner.size(of: path) }
  func fullPath(_ path: String) throws(EngineError) -> String { try inner.fullPath(path) }
  func makeQueue() -> any IOQueue { WatchedQueue(inner.makeQueue(), self) }
  func monotonicNanoseconds() -> UInt64 { inner.monotonicNanoseconds() }
  func wallClockMilliseconds() -> Int64 { inner.wallClockMilliseconds() }
  func localTimeOffsetSeconds(atMilliseconds moment: Int64) -> Int { inner.localTimeOffsetSeconds(atMilliseconds: moment) }
  func randomUInt64() -> UInt64 { inner.randomUInt64() }
  func sleep(untilMonotonic moment: UInt64) { inner.sleep(untilMonotonic: moment) }
}

private final class WatchedQueue: IOQueue {
  private let inner: any IOQueue
  private unowned let environment: WatchedEnvironment
  private var refused: Set<Ticket> = []

  init(_ inner: any IOQueue, _ environment: WatchedEnvironment) {
    self.inner = inner
    self.environment = environment
  }

  func write(_ file: any File, at offset: Int64, from views: [ByteView]) -> Ticket {
    if file.path != environment.refusedPath { return inner.write(file, at: offset, from: views) }
    let ticket = Ticket(rawValue: .max - UInt64(refused.count))
    refused.insert(ticket)
    return ticket
  }

  func take(_ ticket: Ticket) -> IOResult? {
    if refused.remove(ticket) != nil { return .failed(EngineError(.ioErrorWrite, cause: "refused")) }
    return inner.take(ticket)
  }

  func read(_ file: any File, at offset: Int64, into buffer: MutableByteView) -> Ticket {
    inner.read(file, at: offset, into: buffer)
  }
  func sync(_ file: any File, _ kind: SyncKind) -> Ticket { inner.sync(file, kind) }
  func syncDirectory(of path: String) -> Ticket { inner.syncDirectory(of: path) }
  var alarm: Alarm { inner.alarm }
  var isBusy: Bool { inner.isBusy }
  func submit() { inner.submit() }
  func waitForCompletion() { inner.waitForCompletion() }
  var completionDescriptor: Int32? { inner.completionDescriptor }
}
