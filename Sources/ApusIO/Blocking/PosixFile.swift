// A file of the operating system: names, sizes and open-file-description locks. Data moves through the queues.

import ApusBase
import Glibc
import Synchronization

final class PosixFile: File {
  let path: String
  let identity: FileIdentity
  let isWritable: Bool
  // nil after `close()`. A queue keeps the descriptor for as long as a request of its is in flight.
  private let held: Mutex<Descriptor?>
  /// False once the file system has refused `RWF_NOWAIT`.
  let knowsNowait = Atomic<Bool>(true)

  init(_ descriptor: Descriptor, isWritable: Bool) throws(EngineError) {
    let (status, number) = SystemCalls.status(descriptor.number)
    guard let status else {
      throw SystemError.make(.ioErrorFstat, call: "fstat", errno: number, path: descriptor.path)
    }
    path = descriptor.path
    identity = status.identity
    self.isWritable = isWritable
    held = Mutex(descriptor)
  }

  var descriptor: Descriptor {
    get throws(EngineError) {
      guard let descriptor = held.withLock({ $0 }) else {
        throw EngineError(.misuse, object: path, cause: "the file is closed")
      }
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

  func close() {
    guard let descriptor = held.withLock({ $0.take() }) else { return }
    // Requests in flight may hold the descriptor a little longer; the locks go now.
    _ = SystemCalls.unlock(descriptor.number, at: 0, length: 0)
  }

  private func check(_ code: CallResult, _ failure: ResultCode, _ call: StaticString) throws(EngineError) {
    if code < 0 { throw SystemError.make(failure, call: call, errno: Int32(-code), path: path) }
  }
}
