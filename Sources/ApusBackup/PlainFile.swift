// A file that is read and written from front to back, or in pieces, by a thread that waits.

import ApusBase
import ApusIO

final class PlainFile {
  let environment: any Environment
  let queue: any IOQueue
  let file: any File
  let path: String
  private(set) var end: Int64 = 0

  convenience init(_ environment: any Environment, _ path: String, _ mode: OpenMode) throws(EngineError) {
    try self.init(environment, fullPath: try environment.fullPath(path), mode)
  }

  /// - Parameter path: a full one; where it leads to is not followed.
  init(_ environment: any Environment, fullPath path: String, _ mode: OpenMode) throws(EngineError) {
    self.environment = environment
    self.path = path
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
  /// made of. Nor may the new file take the source's own place: what others write there meanwhile would be lost.
  /// - Throws: SQLITE_CANTOPEN where `source` is.
  static func checkIsNot(_ source: String, _ environment: any Environment, for target: String) throws(EngineError) {
    let path = try environment.fullPath(source)
    let finalPath = try environment.fullPath(target)
    for name in [path] + DatabaseArchive.sideSuffixes.map({ path + $0 }) where finalPath == name {
      throw EngineError(
        .cannotOpen, object: finalPath,
        cause: "the target would take the place of the source, or of what lies beside it",
        hint: "choose another target")
    }
    let partial = finalPath + suffix
    for name in [partial] + DatabaseArchive.sideSuffixes.map({ partial + $0 }) where path == name {
      throw EngineError(
        .cannotOpen, object: path, cause: "\(target) would be written under this name until it is whole",
        hint: "rename the source, or choose another target")
    }
  }

  /// - Throws: SQLITE_BUSY where somebody else is making the file at this moment; SQLITE_CANTOPEN where its name is a
  ///   link.
  init(_ environment: any Environment, _ path: String) throws(EngineError) {
    finalPath = try environment.fullPath(path)
    let name = finalPath + PartialFile.suffix
    let found = try PartialFile.locked(environment, name, .create)
    if found.file.hasOtherNames() {
      // Left between the two steps of a rename: it is the finished file as well, and not to be emptied. Its lock is
      // held until another file has the name.
      defer { found.close() }
      try environment.delete(name)
      content = try PartialFile.locked(
        environment, name, OpenMode(isWritable: true, mayCreate: true, isExclusive: true))
    } else {
      content = found
    }
    isOurs = true
    try content.truncate(to: 0)
  }

  private static func locked(
    _ environment: any Environment, _ name: String, _ mode: OpenMode
  ) throws(EngineError) -> PlainFile {
    let content = try PlainFile(environment, fullPath: name, mode)
    guard try content.file.lock(.exclusive, at: 0, length: 1), content.file.isStillNamed() else {
      content.close()
      throw EngineError(.busy, object: name, cause: "another process is writing it")
    }
    return content
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
