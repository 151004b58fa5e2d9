// A file that is read and written from front to back, or in pieces, by a thread that waits.

import ApusBase
import ApusIO

final class PlainFile {
  let environment: any Environment
  let queue: any IOQueue
  let file: any File
  let path: String
  private(set) var end: Int64 = 0

  init(_ environment: any Environment, _ path: String, _ mode: OpenMode) throws(EngineError) {
    self.environment = environment
    self.path = try environment.fullPath(path)
    queue = environment.makeQueue()
    queue.driverBlocks = true
    file = try environment.open(self.path, mode)
    end = try file.size()
  }

  private func wait(_ ticket: Ticket) throws(EngineError) -> Int {
    while true {
      switch queue.take(ticket) {
      case .done(let count): return count
      case .failed(let error): throw error
      case nil: queue.waitForCompletion()
      }
    }
  }

  func write(_ bytes: ByteView, at offset: Int64) throws(EngineError) {
    if bytes.count == 0 { return }
    _ = try wait(queue.write(file, at: offset, from: [bytes]))
    end = max(end, offset + Int64(bytes.count))
  }

  func append(_ bytes: ByteView) throws(EngineError) { try write(bytes, at: end) }

  /// Fills the view.
  func read(at offset: Int64, into view: MutableByteView) throws(EngineError) {
    let count = view.count == 0 ? 0 : try wait(queue.read(file, at: offset, into: view))
    if count < view.count { throw EngineError(.ioErrorShortRead, object: path, cause: "the file is cut off") }
  }

  func truncate(to size: Int64) throws(EngineError) {
    try file.truncate(to: size)
    end = size
  }

  func sync() throws(EngineError) { _ = try wait(queue.sync(file, .full)) }

  func syncDirectory() throws(EngineError) { _ = try wait(queue.syncDirectory(of: path)) }

  func close() { file.close() }
}

/// A file in the making, under a name of its own until it is whole. What a killed process leaves is used again by the next.
final class PartialFile {
  static let suffix = "-partial"

  let finalPath: String
  let content: PlainFile
  /// The lock is held and the name is ours: nobody else may write under it, and what lies there may be deleted.
  private var isOurs = false

  /// Making a file empties whatever has its partial name, and deletes what lies beside that: none of it may be what the new file is
  /// made of.
  /// - Throws: SQLITE_CANTOPEN where `source` is.
  static func checkIsNot(_ source: String, _ environment: any Environment, for target: String) throws(EngineError) {
    let path = try environment.fullPath(source)
    let partial = try environment.fullPath(target) + suffix
    for name in [partial] + DatabaseArchive.sideSuffixes.map({ partial + $0 }) where path == name {
      throw EngineError(
        .cannotOpen, object: path, cause: "\(target) would be written under this name until it is whole",
        hint: "rename the source, or choose another target")
    }
  }

  /// - Throws: SQLITE_BUSY where somebody else is making the file at this moment.
  init(_ environment: any Environment, _ path: String) throws(EngineError) {
    finalPath = try environment.fullPath(path)
    content = try PlainFile(environment, finalPath + PartialFile.suffix, .create)
    guard try content.file.lock(.exclusive, at: 0, length: 1), content.file.isStillNamed() else {
      throw EngineError(.busy, object: content.path, cause: "another process is writing it")
    }
    isOurs = true
    try content.truncate(to: 0)
  }

  /// Makes the content durable and gives it its name.
  /// - Throws: as `publish`.
  func finish(replaces: Bool) throws(EngineError) {
    try content.sync()
    try publish(replaces: replaces)
  }

  /// Gives the file its name; its content is durable.
  /// - Throws: SQLITE_CANTOPEN where the name is taken and `replaces` is false; SQLITE_BUSY where somebody has deleted or replaced
  ///   the file in the making.
  func publish(replaces: Bool) throws(EngineError) {
    guard content.file.isStillNamed() else {
      throw EngineError(
        .busy, object: content.path, cause: "somebody has deleted or replaced it meanwhile", hint: "try again")
    }
    try content.environment.rename(content.path, to: finalPath, replaces: replaces)
    isOurs = false
    try content.syncDirectory()
    content.close()
  }

  deinit {
    // A file that another is writing is not ours to delete, nor one that has taken the place of ours.
    if isOurs, content.file.isStillNamed() { try? content.environment.delete(content.path) }
    content.close()
  }
}
