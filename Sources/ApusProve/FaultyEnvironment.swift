// The operating system with one call that fails: the system's environment, handed through, but for the chosen call, which
// comes back with an error as the kernel would give it.

import ApusBase
import ApusIO
import Synchronization

enum FaultyCall: String, CaseIterable {
  case open, read, write, sync, truncate, delete, size, lock, map
}

/// One call that has failed.
struct FaultHit: Equatable {
  var path: String
  var cause: String
}

/// Which call fails: the one that brings `countdown` to zero, and, where `isSticky`, all of its kind that follow.
final class FaultPlan: Sendable {
  private struct State {
    var call: FaultyCall?
    var isFull = false
    var isSticky = false
    var countdown = 0
    var hits: [FaultHit] = []
  }
  private let state = Mutex(State())

  func arm(_ call: FaultyCall, isFull: Bool, isSticky: Bool, after countdown: Int) {
    state.withLock { $0 = State(call: call, isFull: isFull, isSticky: isSticky, countdown: countdown) }
  }

  func disarm() { state.withLock { $0.call = nil } }
  var hits: [FaultHit] { state.withLock { $0.hits } }

  /// The error of this call; nil where it goes through.
  func fault(_ call: FaultyCall, _ path: String) -> EngineError? {
    let isFull = state.withLock { state -> Bool? in
      guard state.call == call else { return nil }
      state.countdown -= 1
      guard state.countdown == 0 || state.isSticky && state.countdown < 0 else { return nil }
      return state.isFull
    }
    guard let isFull else { return nil }
    let error = error(call, path, isFull)
    state.withLock { $0.hits.append(FaultHit(path: path, cause: error.cause ?? "")) }
    return error
  }

  private func error(_ call: FaultyCall, _ path: String, _ isFull: Bool) -> EngineError {
    let codes: [FaultyCall: (ResultCode, String)] = [
      .open: (.cannotOpen, "open: Too many open files (24)"), .read: (.ioErrorRead, "pread: Input/output error (5)"),
      .write: (.ioErrorWrite, "pwrite: Input/output error (5)"), .sync: (.ioErrorFsync, "fdatasync: Input/output error (5)"),
      .truncate: (.ioErrorTruncate, "ftruncate: Input/output error (5)"),
      .delete: (.ioErrorDelete, "unlink: Input/output error (5)"), .size: (.ioErrorFstat, "fstat: Input/output error (5)"),
      .lock: (.ioErrorLock, "fcntl(F_OFD_SETLK): No locks available (37)"),
      .map: (.ioErrorSharedMemoryMap, "mmap: Cannot allocate memory (12)"),
    ]
    let (code, cause) = codes[call] ?? (.ioError, "")
    if isFull, call == .write || call == .open || call == .truncate {
      return EngineError(.full, object: path, cause: "\(call == .write ? "pwrite" : "\(call)"): No space left on device (28)")
    }
    return EngineError(code, object: path, cause: cause)
  }

  func check(_ call: FaultyCall, _ path: String) throws(EngineError) { if let error = fault(call, path) { throw error } }
}

final class FaultyEnvironment: Environment {
  let plan = FaultPlan()
  private let real = SystemEnvironment(backend: .posix)

  var backendName: String { real.backendName }
  var backendReason: String? { real.backendReason }

  func open(_ path: String, _ mode: OpenMode) throws(EngineError) -> any File {
    try plan.check(.open, path)
    return FaultyFile(try real.open(path, mode), plan)
  }

  func openTemporary() throws(EngineError) -> any File {
    try plan.check(.open, "(temporary)")
    return FaultyFile(try real.openTemporary(), plan)
  }

  func exists(_ path: String) throws(EngineError) -> Bool {
    try plan.check(.size, path)
    return try real.exists(path)
  }

  func size(of path: String) throws(EngineError) -> Int64? {
    try plan.check(.size, path)
    return try real.size(of: path)
  }

  func delete(_ path: String) throws(EngineError) {
    try plan.check(.delete, path)
    try real.delete(path)
  }

  func rename(_ path: String, to newPath: String, replaces: Bool) throws(EngineError) {
    try real.rename(path, to: newPath, replaces: replaces)
  }

  func fullPath(_ path: String) throws(EngineError) -> String { try real.fullPath(path) }
  func makeQueue() -> any IOQueue { FaultyQueue(real.makeQueue(), plan) }
  func monotonicNanoseconds() -> UInt64 { real.monotonicNanoseconds() }
  func wallClockMilliseconds() -> Int64 { real.wallClockMilliseconds() }
  func localTimeOffsetSeconds(atMilliseconds moment: Int64) -> Int { real.localTimeOffsetSeconds(atMilliseconds: moment) }
  func randomUInt64() -> UInt64 { real.randomUInt64() }
  func sleep(untilMonotonic moment: UInt64) { real.sleep(untilMonotonic: moment) }
}

final class FaultyFile: File {
  let real: any File
  private let plan: FaultPlan

  init(_ real: any File, _ plan: FaultPlan) {
    self.real = real
    self.plan = plan
  }

  var path: String { real.path }
  var identity: FileIdentity { real.identity }
  var isWritable: Bool { real.isWritable }

  func size() throws(EngineError) -> Int64 {
    try plan.check(.size, path)
    return try real.size()
  }

  func truncate(to size: Int64) throws(EngineError) {
    try plan.check(.truncate, path)
    try real.truncate(to: size)
  }

  func preallocate(to size: Int64) { real.preallocate(to: size) }
  func isStillNamed() -> Bool { real.isStillNamed() }
  func hasOtherNames() -> Bool { real.hasOtherNames() }

  func lock(_ kind: LockKind, at offset: Int64, length: Int64) throws(EngineError) -> Bool {
    try plan.check(.lock, path)
    return try real.lock(kind, at: offset, length: length)
  }

  func unlock(at offset: Int64, length: Int64) throws(EngineError) { try real.unlock(at: offset, length: length) }

  func isLockedByOther(_ kind: LockKind, at offset: Int64, length: Int64) throws(EngineError) -> Bool {
    try plan.check(.lock, path)
    return try real.isLockedByOther(kind, at: offset, length: length)
  }

  func openSharedMemory(readOnly: Bool) throws(EngineError) -> any SharedMemory {
    try plan.check(.map, path + "-shm")
    return try real.openSharedMemory(readOnly: readOnly)
  }

  func close() { real.close() }
}

final class FaultyQueue: IOQueue {
  private let real: any IOQueue
  private let plan: FaultPlan
  private var failures: [Ticket: EngineError] = [:]
  private var failureCount: UInt64 = 0

  init(_ real: any IOQueue, _ plan: FaultPlan) {
    self.real = real
    self.plan = plan
  }

  var alarm: Alarm { real.alarm }

  private func file(_ file: any File) -> any File { (file as? FaultyFile)?.real ?? file }

  /// A request that has failed already; its ticket is none of the real queue's.
  private func failed(_ error: EngineError) -> Ticket {
    failureCount += 1
    let ticket = Ticket(rawValue: .max - failureCount)
    failures[ticket] = error
    return ticket
  }

  func read(_ file: any File, at offset: Int64, into buffer: MutableByteView) -> Ticket {
    if let error = plan.fault(.read, file.path) { return failed(error) }
    return real.read(self.file(file), at: offset, into: buffer)
  }

  func write(_ file: any File, at offset: Int64, from views: [ByteView]) -> Ticket {
    if let error = plan.fault(.write, file.path) {
      // Half of it may be there.
      if let first = views.first, views.count > 1 {
        let part = real.write(self.file(file), at: offset, from: [first])
        while real.take(part) == nil { real.waitForCompletion() }
      }
      return failed(error)
    }
    return real.write(self.file(file), at: offset, from: views)
  }

  func sync(_ file: any File, _ kind: SyncKind) -> Ticket {
    if let error = plan.fault(.sync, file.path) { return failed(error) }
    return real.sync(self.file(file), kind)
  }

  func syncDirectory(of path: String) -> Ticket {
    if let error = plan.fault(.sync, path) { return failed(error) }
    return real.syncDirectory(of: path)
  }

  func take(_ ticket: Ticket) -> IOResult? {
    if let error = failures.removeValue(forKey: ticket) { return .failed(error) }
    return real.take(ticket)
  }

  var isBusy: Bool { real.isBusy }
  func submit() { real.submit() }
  func waitForCompletion() { real.waitForCompletion() }
  var completionDescriptor: Int32? { real.completionDescriptor }
}
