// Reads past the kernel's cache: the same bytes, whatever the file system, the range and the kernel say.

import ApusBase
import ApusIO
import Glibc
import Testing

@Suite struct DirectReadTests {
  static let backends = Backend.all.filter { !$0.name.hasPrefix("memory") }
  static let unit = DirectReads.unitByteCount

  private static func pattern(_ count: Int, seed: UInt64) -> [UInt8] {
    var random = SeededRandom(seed: seed)
    return (0..<count).map { _ in UInt8(truncatingIfNeeded: random.next()) }
  }

  private static func read(_ queue: any IOQueue, _ file: any File, _ count: Int, at offset: Int) throws -> [UInt8] {
    let buffer = Bytes(count: count, fill: 0xee)
    defer { withExtendedLifetime(buffer) {} }
    let length = try queue.finishCount(queue.readDirectly(file, at: Int64(offset), into: buffer.view))
    return Array(buffer.array.prefix(length))
  }

  /// Reads that a file of five units and some bytes answers: whole ones, others, and such that meet its end.
  private static func check(_ queue: any IOQueue, _ file: any File, _ bytes: [UInt8]) throws {
    let ranges = [
      (0, unit), (unit, 2 * unit), (0, bytes.count), (1, unit), (unit, 100), (unit + 512, 512), (4 * unit, 4 * unit),
      (5 * unit, unit), (6 * unit, unit), (64 * unit, unit),
    ]
    for (offset, count) in ranges {
      let expected = Array(bytes.dropFirst(offset).prefix(count))
      #expect(try read(queue, file, count, at: offset) == expected, "\(count) bytes at \(offset)")
    }
  }

  @Test("a direct read sees what a buffered write has just written, the file's end included", arguments: backends)
  func coherence(backend: Backend) throws {
    let environment = backend.make()
    let directory = TestDirectory()
    let file = try environment.open(directory.file("a"), .create)
    let (reader, writer) = (environment.makeQueue(), environment.makeQueue())
    for round in 1...8 as ClosedRange<UInt64> {
      let bytes = Self.pattern(5 * Self.unit + 700, seed: round)
      _ = try writer.write(file, bytes, at: 0)
      if round % 3 == 0 { _ = try writer.finishCount(writer.sync(file, .data)) }
      try Self.check(reader, file, bytes)
    }
  }

  @Test("many at once, in flight together", arguments: backends)
  func manyAtOnce(backend: Backend) throws {
    let environment = backend.make()
    let directory = TestDirectory()
    let file = try environment.open(directory.file("a"), .create)
    let queue = environment.makeQueue()
    let bytes = Self.pattern(40 * Self.unit, seed: 3)
    _ = try queue.write(file, bytes, at: 0)
    for _ in 0..<3 {
      let buffers = (0..<40).map { _ in Bytes(count: Self.unit) }
      let tickets = buffers.enumerated().map { index, buffer in
        queue.readDirectly(file, at: Int64(index * Self.unit), into: buffer.view)
      }
      queue.submit()
      for (index, ticket) in tickets.enumerated().reversed() {
        #expect(try queue.finishCount(ticket) == Self.unit)
        #expect(buffers[index].array == Array(bytes[index * Self.unit..<(index + 1) * Self.unit]))
      }
    }
  }

  @Test("several views by one call", arguments: backends)
  func views(backend: Backend) throws {
    let environment = backend.make()
    let directory = TestDirectory()
    let file = try environment.open(directory.file("a"), .create)
    let queue = environment.makeQueue()
    queue.driverBlocks = true
    let bytes = Self.pattern(4 * Self.unit, seed: 4)
    _ = try queue.write(file, bytes, at: 0)
    let buffers = (0..<4).map { _ in Bytes(count: Self.unit) }
    let count = queue.readDirectlyAtOnce(file, at: 0, into: buffers.map(\.view))
    if let count {
      #expect(count == bytes.count)
      #expect(buffers.flatMap(\.array) == bytes)
    }
    // What it does not bring whole it does not bring.
    #expect(queue.readDirectlyAtOnce(file, at: Int64(Self.unit), into: buffers.map(\.view)) == nil)
  }

  enum Place: CaseIterable { case opening, reading }

  @Test(
    "who is refused reads through the cache, and knows why",
    arguments: Place.allCases, [EINVAL, EIO, EAGAIN, EMFILE])
  func refused(place: Place, number: Int32) throws {
    for backend in [SystemEnvironment.Backend.posix, .automatic] {
      for sendsEverything in [false, true] {
        var options = RingOptions()
        options.sendsEverything = sendsEverything
        if place == .opening {
          options.injectedDirectOpenFailure = number
        } else {
          options.injectedDirectReadFailure = number
        }
        let environment = SystemEnvironment(backend: backend, options: options)
        let directory = TestDirectory()
        let file = try environment.open(directory.file("a"), .create)
        let queue = environment.makeQueue()
        let bytes = Self.pattern(5 * Self.unit + 700, seed: 5)
        _ = try queue.write(file, bytes, at: 0)
        try Self.check(queue, file, bytes)
        let reason = file.directReadRefusal()
        if place == .opening {
          #expect(reason?.hasPrefix("open(O_DIRECT): ") == true && reason?.hasSuffix("(\(number))") == true)
        } else if number == EINVAL {
          #expect(reason == "pread(O_DIRECT): Invalid argument (22)")
        } else {
          // Of other failures the next read knows nothing.
          #expect(reason == nil)
        }
      }
    }
  }

  @Test("a file system that has no direct reads of its own, or has none at all, gives the same bytes")
  func otherFileSystems() throws {
    let environment = SystemEnvironment()
    let path = "/dev/shm/apus-direct-\(environment.randomUInt64())"
    guard let file = try? environment.open(path, .create) else { return }
    defer { unsafe unlink(path) }
    let queue = environment.makeQueue()
    let bytes = Self.pattern(5 * Self.unit + 700, seed: 6)
    _ = try queue.write(file, bytes, at: 0)
    try Self.check(queue, file, bytes)
  }

  @Test("the name that leads to another file by now is not followed")
  func replaced() throws {
    let environment = SystemEnvironment()
    let directory = TestDirectory()
    let file = try environment.open(directory.file("a"), .create)
    let queue = environment.makeQueue()
    let bytes = Self.pattern(5 * Self.unit + 700, seed: 7)
    _ = try queue.write(file, bytes, at: 0)
    try environment.rename(directory.file("a"), to: directory.file("b"), replaces: true)
    let other = try environment.open(directory.file("a"), .create)
    _ = try queue.write(other, Self.pattern(bytes.count, seed: 8), at: 0)
    try Self.check(queue, file, bytes)
    #expect(file.directReadRefusal() == "the file has another name by now")
  }

  /// Whether the file's first page is in the kernel's cache; a read would bring it there.
  private static func isCached(_ path: String) -> Bool {
    let descriptor = unsafe open(path, O_RDONLY)
    defer { close(descriptor) }
    guard let memory = unsafe mmap(nil, unit, PROT_READ, MAP_SHARED, descriptor, 0) else { return true }
    defer { unsafe munmap(memory, unit) }
    var state: UInt8 = 1
    return unsafe mincore(memory, unit, &state) != 0 || state & 1 != 0
  }

  @Test("what is read directly does not come into the kernel's cache", arguments: backends)
  func passesBy(backend: Backend) throws {
    let environment = backend.make()
    let directory = TestDirectory()
    let path = directory.file("a")
    let file = try environment.open(path, .create)
    let queue = environment.makeQueue()
    let bytes = Self.pattern(4 * Self.unit, seed: 9)
    _ = try queue.write(file, bytes, at: 0)
    _ = try queue.finishCount(queue.sync(file, .full))
    let descriptor = unsafe open(path, O_RDONLY)
    posix_fadvise(descriptor, 0, 0, POSIX_FADV_DONTNEED)
    close(descriptor)
    // A file system in memory forgets nothing.
    if file.directReadRefusal() != nil || Self.isCached(path) { return }
    #expect(try Self.read(queue, file, Self.unit, at: 0) == Array(bytes.prefix(Self.unit)))
    #expect(!Self.isCached(path))
    #expect(try queue.read(file, Self.unit, at: 0) == Array(bytes.prefix(Self.unit)))
    #expect(Self.isCached(path))
  }

  @Test("the second descriptor neither takes the file's locks away nor outlives it")
  func descriptors() throws {
    let environment = SystemEnvironment()
    let directory = TestDirectory()
    let path = directory.file("a")
    let (file, other) = (try environment.open(path, .create), try environment.open(path, .readWrite))
    let queue = environment.makeQueue()
    let bytes = Self.pattern(Self.unit, seed: 10)
    _ = try queue.write(file, bytes, at: 0)
    _ = try Self.read(queue, other, Self.unit, at: 0)
    #expect(try file.lock(.exclusive, at: 100, length: 1))
    #expect(try Self.read(queue, file, Self.unit, at: 0) == bytes)
    #expect(try !other.lock(.shared, at: 100, length: 1))
    other.close()
    let third = try environment.open(path, .readWrite)
    #expect(try !third.lock(.shared, at: 100, length: 1))
    file.close()
    #expect(try third.lock(.shared, at: 100, length: 1))
    #expect(file.directReadRefusal() == "the file is closed")
    #expect(throws: EngineError.self) { try Self.read(queue, file, Self.unit, at: 0) }
    #expect(Self.openDescriptors(path) == 1)
  }

  private static func openDescriptors(_ path: String) -> Int {
    (3..<1024).count { number in
      let target = unsafe [CChar](unsafeUninitializedCapacity: 4096) { buffer, count in
        count = max(0, unsafe readlink("/proc/self/fd/\(number)", buffer.baseAddress!, 4095))
      }
      return String(decoding: target.map { UInt8(bitPattern: $0) }, as: UTF8.self) == path
    }
  }
}
