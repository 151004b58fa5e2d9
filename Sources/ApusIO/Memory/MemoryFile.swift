// An open file of a memory environment.

import ApusBase
import Synchronization

final class MemoryFile: File {
  let path: String
  let isWritable: Bool
  let node: MemoryNode
  private let environment: MemoryEnvironment
  private let isOpen = Atomic<Bool>(true)

  init(_ node: MemoryNode, path: String, isWritable: Bool, environment: MemoryEnvironment) {
    self.node = node
    self.path = path
    self.isWritable = isWritable
    self.environment = environment
    environment.countOpenFiles(1)
  }

  deinit { close() }

  var identity: FileIdentity { node.identity }
  private var owner: ObjectIdentifier { ObjectIdentifier(self) }

  func size() throws(EngineError) -> Int64 { Int64(node.byteCount) }

  func truncate(to size: Int64) throws(EngineError) {
    try checkWritable()
    try node.checkLength(size, path)
    node.truncate(to: size)
  }

  func preallocate(to size: Int64) {
    if isWritable, Int(size) > node.byteCount { try? truncate(to: size) }
  }

  func isStillNamed() -> Bool { environment.node(at: path) === node }

  func lock(_ kind: LockKind, at offset: Int64, length: Int64) throws(EngineError) -> Bool {
    node.withLocks { $0.lock(owner, kind, offset, length) }
  }

  func unlock(at offset: Int64, length: Int64) throws(EngineError) {
    node.withLocks { $0.unlock(owner, offset, length) }
  }

  func isLockedByOther(_ kind: LockKind, at offset: Int64, length: Int64) throws(EngineError) -> Bool {
    node.withLocks { $0.conflicts(owner, kind, offset, length) }
  }

  func openSharedMemory(readOnly: Bool) throws(EngineError) -> any SharedMemory { MemorySharedMemory(node) }

  func close() {
    if isOpen.exchange(false, ordering: .relaxed) {
      node.withLocks { $0.unlock(owner, 0, 0) }
      environment.countOpenFiles(-1)
    }
  }

  func checkWritable() throws(EngineError) {
    if !isWritable { throw EngineError(.ioErrorWrite, object: path, cause: "the file was opened for reading only") }
  }
}
