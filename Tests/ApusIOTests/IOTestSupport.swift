// What the tests of this target share: the backends, and a directory that is gone afterwards.

import ApusBase
import ApusIO
import Glibc
import Testing

/// A directory of its own under /tmp; removed with the object.
final class TestDirectory: Sendable {
  let path: String

  init() {
    var random = SystemEnvironment(backend: .posix).randomUInt64()
    random &= 0xffff_ffff_ffff
    path = "/tmp/apus-io-\(String(random, radix: 36))"
    unsafe mkdir(path, 0o700)
  }

  func file(_ name: String) -> String { "\(path)/\(name)" }

  deinit {
    guard let directory = unsafe opendir(path) else { return }
    while let entry = unsafe readdir(directory) {
      let name = unsafe withUnsafePointer(to: &entry.pointee.d_name) { place in
        unsafe place.withMemoryRebound(to: CChar.self, capacity: 256) { unsafe String(cString: $0) }
      }
      if name != ".", name != ".." { unsafe unlink(file(name)) }
    }
    unsafe closedir(directory)
    unsafe rmdir(path)
  }
}

/// A backend under test, with a place for its files.
struct Backend: CustomTestStringConvertible, Sendable {
  var name: String
  var make: @Sendable () -> any Environment
  var testDescription: String { name }

  static let all: [Backend] = [
    Backend(name: "posix") { SystemEnvironment(backend: .posix) },
    Backend(name: "io_uring") { SystemEnvironment() },
    Backend(name: "io_uring, everything through the ring") {
      var options = RingOptions()
      options.sendsEverything = true
      return SystemEnvironment(options: options)
    },
    Backend(name: "io_uring, queues on one thread") {
      var options = RingOptions()
      options.sendsEverything = true
      options.queuesStayOnOneThread = true
      options.entryCount = 4
      return SystemEnvironment(options: options)
    },
    Backend(name: "io_uring refused") {
      var options = RingOptions()
      options.injectedRefusal = EPERM
      options.sendsEverything = true
      return SystemEnvironment(options: options)
    },
    Backend(name: "memory") { MemoryEnvironment() },
    Backend(name: "memory, slow") { MemoryEnvironment(seed: 7, completesAtOnce: false) },
  ]
}

/// Memory that a test hands to a queue; freed with the object.
@safe
final class Bytes: @unchecked Sendable {
  private let memory: UnsafeMutableRawBufferPointer

  init(count: Int, fill: UInt8 = 0) {
    unsafe memory = .allocate(byteCount: count, alignment: 16)
    unsafe memory.initializeMemory(as: UInt8.self, repeating: fill)
  }

  convenience init(_ bytes: [UInt8]) {
    self.init(count: bytes.count)
    for (index, byte) in bytes.enumerated() { view[index] = byte }
  }

  deinit { unsafe memory.deallocate() }

  var view: MutableByteView { unsafe MutableByteView(unchecked: memory) }
  var array: [UInt8] { view.readable.array }
}

extension IOQueue {
  /// The synchronous driver in small.
  func finish(_ ticket: Ticket) -> IOResult {
    while true {
      if let result = take(ticket) { return result }
      waitForCompletion()
    }
  }

  func finishCount(_ ticket: Ticket) throws -> Int {
    switch finish(ticket) {
    case .done(let count): return count
    case .failed(let error): throw error
    }
  }

  func write(_ file: any File, _ bytes: [UInt8], at offset: Int64) throws -> Int {
    let buffer = Bytes(bytes)
    defer { withExtendedLifetime(buffer) {} }
    return try finishCount(write(file, at: offset, from: [buffer.view.readable]))
  }

  func read(_ file: any File, _ count: Int, at offset: Int64) throws -> [UInt8] {
    let buffer = Bytes(count: count, fill: 0xee)
    defer { withExtendedLifetime(buffer) {} }
    let length = try finishCount(read(file, at: offset, into: buffer.view))
    return Array(buffer.array.prefix(length))
  }
}
