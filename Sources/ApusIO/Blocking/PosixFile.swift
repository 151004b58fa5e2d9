// A file of the operating system: names, sizes and open-file-description locks. Data moves through the queues.

import ApusBase
import Glibc
import Synchronization

final class PosixFile: File {
  let path: String
  let identity: FileIdentity
  let isWritable: Bool
  // nil after `close()`. A queue keeps the descriptor for as long as a request of its is in flight.
  private let held: ThreadMutex<Descriptor?>
  /// False once the file system has refused `RWF_NOWAIT`.
  let knowsNowait = Atomic<Bool>(true)

  /// The way past the kernel's cache; temporary files have none.
  private enum DirectAccess {
    case untried
    case open(Descriptor)
    case refused(reason: String)
  }
  private let direct = ThreadMutex(DirectAccess.untried)
  private let options: RingOptions?

  init(_ descriptor: Descriptor, isWritable: Bool, _ options: RingOptions? = nil) throws(EngineError) {
    let (status, number) = SystemCalls.status(descriptor.number)
    guard let status else {
      throw SystemError.make(.ioErrorFstat, call: "fstat", errno: number, path: descriptor.path)
    }
    path = descriptor.path
    identity = status.identity
    self.isWritable = isWritable
    self.options = options
    held = ThreadMutex(descriptor)
  }

  var descriptor: Descriptor {
    get throws(EngineError) {
      guard let descriptor = held.withLock({ $0 }) else {
        throw EngineError(.misuse, object: path, cause: "the file is closed")
      }
      if descriptor.isInherited { throw SystemError.ofParent(path) }
      return descriptor
    }
  }

  func size() throws(EngineError) -> Int64 {
    let (status, number) = SystemCalls.status(try descriptor.number)
    guard let status else { throw SystemError.make(.ioErrorFstat, call: "fstat", errno: number, path: path) }
    return status.size
  }

  func truncate(to size: Int64) throws(EngineError) {
    try check(SystemCalls.truncate(try descriptor.number, to: size), .ioErrorTruncate, "ftruncate")
  }

  func preallocate(to size: Int64) {
    guard let fd = try? descriptor.number, let status = SystemCalls.status(fd).status, status.size < size else {
      return
    }
    _ = SystemCalls.allocate(fd, from: status.size, to: size)
  }

  func isStillNamed() -> Bool { SystemCalls.status(of: path).status?.identity == identity }

  func hasOtherNames() -> Bool {
    guard let number = try? descriptor.number, let status = SystemCalls.status(number).status else { return false }
    return status.linkCount > 1
  }

  func lock(_ kind: LockKind, at offset: Int64, length: Int64) throws(EngineError) -> Bool {
    let code = SystemCalls.lock(try descriptor.number, kind, at: offset, length: length)
    try check(code, .ioErrorLock, "fcntl(F_OFD_SETLK)")
    return code == 1
  }

  func unlock(at offset: Int64, length: Int64) throws(EngineError) {
    let code = SystemCalls.unlock(try descriptor.number, at: offset, length: length)
    try check(code, .ioErrorUnlock, "fcntl(F_OFD_SETLK)")
  }

  func isLockedByOther(_ kind: LockKind, at offset: Int64, length: Int64) throws(EngineError) -> Bool {
    let (holder, number) = SystemCalls.conflict(try descriptor.number, kind, at: offset, length: length)
    if number != 0 { throw SystemError.make(.ioErrorLock, call: "fcntl(F_OFD_GETLK)", errno: number, path: path) }
    return holder != .nobody
  }

  func openSharedMemory(readOnly: Bool) throws(EngineError) -> any SharedMemory {
    try PosixSharedMemory(beside: self, readOnly: readOnly)
  }

  func guardSharedMemory() throws(EngineError) -> (any SharedMemory)? {
    let memory = try PosixSharedMemory(guarding: self)
    return try memory.guardsAlone() ? memory : nil
  }

  // MARK: direct reads

  func directReadRefusal() -> String? {
    direct.withLock { access in
      if case .untried = access { access = openDirectly() }
      if case .refused(let reason) = access { return reason }
      return nil
    }
  }

  /// nil where the range is read through the kernel's cache.
  func directDescriptor(at offset: Int64, _ byteCount: Int) -> Descriptor? {
    let unit = DirectReads.unitByteCount
    guard offset % Int64(unit) == 0, byteCount % unit == 0, byteCount > 0 else { return nil }
    return direct.withLock { access in
      if case .untried = access { access = openDirectly() }
      if case .open(let descriptor) = access, !descriptor.isInherited { return descriptor }
      return nil
    }
  }

  private func openDirectly() -> DirectAccess {
    guard let options else { return .refused(reason: "a temporary file") }
    let fd = options.injectedDirectOpenFailure.map { -Int($0) } ?? SystemCalls.openDirectly(path)
    if fd < 0 { return .refused(reason: "open(O_DIRECT): \(SystemError.text(Int32(-fd)))") }
    let descriptor = Descriptor(Int32(fd), path: path)
    guard SystemCalls.status(descriptor.number).status?.identity == identity else {
      return .refused(reason: "the file has another name by now")
    }
    return .open(descriptor)
  }

  /// Reads by a call that waits; nil where it has not brought all, and is to be done again through the kernel's cache.
  func readDirectly(_ descriptor: Descriptor, at offset: Int64, into buffer: DirectBuffer) -> Int? {
    let count = injectedReadFailure ?? SystemCalls.readOnce(descriptor.number, at: offset, into: buffer.bytes)
    if count == buffer.bytes.count { return count }
    noteDirectRead(count)
    return nil
  }

  var injectedReadFailure: CallResult? { options?.injectedDirectReadFailure.map { -Int($0) } }

  /// - Parameter code: what a direct read that has not brought all has come to.
  func noteDirectRead(_ code: CallResult) {
    guard code == -Int(EINVAL) || code == -Int(EOPNOTSUPP) else { return }
    direct.withLock { $0 = .refused(reason: "pread(O_DIRECT): \(SystemError.text(Int32(-code)))") }
  }

  func close() {
    guard let descriptor = held.withLock({ $0.take() }) else { return }
    direct.withLock { $0 = .refused(reason: "the file is closed") }
    // Requests in flight may hold the descriptor a little longer; the locks go now.
    _ = SystemCalls.unlock(descriptor.number, at: 0, length: 0)
  }

  private func check(_ code: CallResult, _ failure: ResultCode, _ call: StaticString) throws(EngineError) {
    if code < 0 { throw SystemError.make(failure, call: call, errno: Int32(-code), path: path) }
  }
}
