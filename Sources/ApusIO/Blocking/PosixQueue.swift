// The POSIX backend's queue: each request is a system call that has returned before the request's ticket is out.

import ApusBase
import Glibc

final class PosixQueue: IOQueue {
  let alarm = Alarm()
  private var table = RequestTable<Never>()
  private var buffers = DirectBufferStack()

  func read(_ file: any File, at offset: Int64, into buffer: MutableByteView) -> Ticket {
    perform(file, .ioErrorRead, "pread") { SystemCalls.read($0, at: offset, into: buffer) }
  }

  // Whatever is asked for here, the thread waits for it: so rather for much at once.
  func readAtOnce(_ file: any File, at offset: Int64, into views: [MutableByteView]) -> Int? {
    guard let descriptor = try? PosixQueue.descriptor(of: file) else { return nil }
    return SystemCalls.readSome(descriptor.number, at: offset, into: views, waits: true)
  }

  func readAtOnce(_ file: any File, at offset: Int64, into view: MutableByteView) -> Int? {
    guard let descriptor = try? PosixQueue.descriptor(of: file) else { return nil }
    // An error is met again by a request, which tells it.
    let count = SystemCalls.read(descriptor.number, at: offset, into: view)
    return count < 0 ? nil : count
  }

  func readDirectly(_ file: any File, at offset: Int64, into buffer: MutableByteView) -> Ticket {
    if readDirectlyAtOnce(file, at: offset, into: [buffer]) != nil { return table.insert(completed: .done(buffer.count)) }
    return read(file, at: offset, into: buffer)
  }

  func readDirectlyAtOnce(_ file: any File, at offset: Int64, into views: [MutableByteView]) -> Int? {
    PosixQueue.readDirectly(file, at: offset, into: views, &buffers)
  }

  /// All of it or nothing, by a call that waits.
  static func readDirectly(
    _ file: any File, at offset: Int64, into views: [MutableByteView], _ buffers: inout DirectBufferStack
  ) -> Int? {
    let wanted = views.reduce(0) { $0 + $1.count }
    guard let file = file as? PosixFile, let descriptor = file.directDescriptor(at: offset, wanted) else { return nil }
    let buffer = buffers.take(wanted)
    defer { buffers.give(buffer) }
    guard file.readDirectly(descriptor, at: offset, into: buffer) != nil else { return nil }
    var start = 0
    for view in views {
      view.copy(buffer.bytes.readable.slice(start, view.count), to: 0)
      start += view.count
    }
    return wanted
  }

  func write(_ file: any File, at offset: Int64, from views: [ByteView]) -> Ticket {
    perform(file, .ioErrorWrite, views.count == 1 ? "pwrite" : "pwritev") {
      SystemCalls.write($0, at: offset, views)
    }
  }

  func sync(_ file: any File, _ kind: SyncKind) -> Ticket {
    perform(file, .ioErrorFsync, kind == .data ? "fdatasync" : "fsync") { SystemCalls.sync($0, kind) }
  }

  func syncDirectory(of path: String) -> Ticket {
    switch DirectorySync.open(of: path) {
    case .failure(let error): return table.insert(completed: .failed(error))
    case .success(let directory):
      return table.insert(completed: DirectorySync.result(SystemCalls.sync(directory.number, .full), directory))
    }
  }

  func take(_ ticket: Ticket) -> IOResult? { table.take(ticket) }

  var isBusy: Bool { false }
  func submit() {}
  func waitForCompletion() {}
  var completionDescriptor: Int32? { nil }

  private func perform(
    _ file: any File, _ code: ResultCode, _ call: StaticString, _ body: (Int32) -> CallResult
  ) -> Ticket {
    let descriptor: Descriptor
    do {
      descriptor = try PosixQueue.descriptor(of: file)
    } catch {
      return table.insert(completed: .failed(error))
    }
    let count = body(descriptor.number)
    return table.insert(completed: PosixQueue.result(count, code, call, descriptor))
  }

  static func descriptor(of file: any File) throws(EngineError) -> Descriptor {
    guard let file = file as? PosixFile else { preconditionFailure("a file of another environment") }
    return try file.descriptor
  }

  static func result(
    _ count: CallResult, _ code: ResultCode, _ call: StaticString, _ descriptor: Descriptor
  ) -> IOResult {
    count >= 0
      ? .done(count)
      : .failed(SystemError.make(code, call: call, errno: Int32(-count), path: descriptor.path))
  }
}

/// How a directory's entries are made durable.
enum DirectorySync {
  /// The directory that holds `path`.
  static func parent(of path: String) -> String {
    guard let slash = path.utf8.lastIndex(of: UInt8(ascii: "/")) else { return "." }
    return slash == path.startIndex ? "/" : String(path[..<slash])
  }

  static func open(of path: String) -> Result<Descriptor, EngineError> {
    let directory = parent(of: path)
    let fd = SystemCalls.open(directory, O_RDONLY | O_DIRECTORY)
    if fd < 0 {
      return .failure(
        SystemError.make(.ioErrorDirectoryFsync, call: "open", errno: Int32(-fd), path: directory))
    }
    return .success(Descriptor(Int32(fd), path: directory))
  }

  static func result(_ code: CallResult, _ directory: Descriptor) -> IOResult {
    // Some file systems have nothing to sync in a directory and say so.
    if code == -Int(EINVAL) || code == -Int(EOPNOTSUPP) { return .done(0) }
    return PosixQueue.result(code, .ioErrorDirectoryFsync, "fsync", directory)
  }
}
