// Every backend against one suite of behaviour.

import ApusBase
import ApusIO
import Testing

@Suite struct BackendTests {
  @Test("what is written is read back, and a read stops short only at the end", arguments: Backend.all)
  func roundTrip(backend: Backend) throws {
    let directory = TestDirectory()
    let environment = backend.make()
    let file = try environment.open(environment.fullPath(directory.file("a")), .create)
    let queue = environment.makeQueue()
    #expect(try queue.write(file, [1, 2, 3, 4, 5], at: 3) == 5)
    #expect(try file.size() == 8)
    #expect(try queue.read(file, 8, at: 0) == [0, 0, 0, 1, 2, 3, 4, 5])
    #expect(try queue.read(file, 100, at: 5) == [3, 4, 5])
    #expect(try queue.read(file, 10, at: 8) == [])
    #expect(try queue.read(file, 10, at: 1 << 30) == [])
    #expect(try queue.finishCount(queue.sync(file, .data)) == 0)
    #expect(try queue.finishCount(queue.sync(file, .full)) == 0)
    #expect(try queue.finishCount(queue.syncDirectory(of: file.path)) == 0)
    try file.truncate(to: 4)
    #expect(try queue.read(file, 8, at: 0) == [0, 0, 0, 1])
    try file.truncate(to: 6)
    #expect(try queue.read(file, 8, at: 0) == [0, 0, 0, 1, 0, 0])
    #expect(!queue.isBusy)
  }

  @Test("many views are written one behind the other, more than one call takes", arguments: Backend.all)
  func manyViews(backend: Backend) throws {
    let directory = TestDirectory()
    let environment = backend.make()
    let file = try environment.open(environment.fullPath(directory.file("a")), .create)
    let queue = environment.makeQueue()
    let pieces = (0..<2500).map { Bytes([UInt8]((0..<($0 % 7)).map { UInt8(truncatingIfNeeded: $0) })) }
    let expected = pieces.flatMap { $0.array }
    #expect(try queue.finishCount(queue.write(file, at: 11, from: pieces.map { $0.view.readable })) == expected.count)
    #expect(try queue.read(file, expected.count + 1, at: 11) == expected)
    #expect(try queue.finishCount(queue.write(file, at: 0, from: [])) == 0)
  }

  @Test("requests in flight together all complete, and agree with a model", arguments: Backend.all)
  func manyInFlight(backend: Backend) throws {
    let directory = TestDirectory()
    let environment = backend.make()
    let file = try environment.open(environment.fullPath(directory.file("a")), .create)
    let queue = environment.makeQueue()
    var random = SeededRandom(seed: 20)
    var model = [UInt8](repeating: 0, count: 300 * 512)
    var writes: [(Ticket, Bytes)] = []
    for page in 0..<300 {
      let bytes = (0..<512).map { _ in UInt8(truncatingIfNeeded: random.next()) }
      model.replaceSubrange(page * 512..<page * 512 + 512, with: bytes)
      let buffer = Bytes(bytes)
      writes.append((queue.write(file, at: Int64(page * 512), from: [buffer.view.readable]), buffer))
    }
    queue.submit()
    for (ticket, _) in writes { #expect(try queue.finishCount(ticket) == 512) }
    #expect(try queue.finishCount(queue.sync(file, .data)) == 0)
    var reads: [(Ticket, Bytes, Int)] = []
    for _ in 0..<500 {
      let offset = random.below(model.count), length = 1 + random.below(5000)
      let buffer = Bytes(count: length)
      reads.append((queue.read(file, at: Int64(offset), into: buffer.view), buffer, offset))
    }
    queue.submit()
    for (ticket, buffer, offset) in reads.reversed() {
      let count = try queue.finishCount(ticket)
      #expect(count == min(buffer.view.count, model.count - offset))
      #expect(Array(buffer.array.prefix(count)) == Array(model[offset..<offset + count]))
    }
    #expect(!queue.isBusy)
  }

  @Test("a queue that is dropped waits for its requests", arguments: Backend.all)
  func droppedQueue(backend: Backend) throws {
    let directory = TestDirectory()
    let environment = backend.make()
    let file = try environment.open(environment.fullPath(directory.file("a")), .create)
    for round in 0..<20 {
      // The buffers outlive the queue, which outlives its requests.
      let source = Bytes(count: 100_000, fill: UInt8(round + 1)), target = Bytes(count: 100_000)
      do {
        let queue = environment.makeQueue()
        _ = queue.write(file, at: 0, from: [source.view.readable])
        _ = queue.read(file, at: 0, into: target.view)
        _ = queue.sync(file, .data)
        queue.submit()
        file.preallocate(to: 200_000)
        withExtendedLifetime(queue) {}
      }
      withExtendedLifetime((source, target)) {}
    }
    #expect(try file.size() == 200_000)
  }

  @Test("a file may be closed while its requests are in flight", arguments: Backend.all)
  func closedFile(backend: Backend) throws {
    let directory = TestDirectory()
    let environment = backend.make()
    let path = try environment.fullPath(directory.file("a"))
    let file = try environment.open(path, .create)
    let queue = environment.makeQueue()
    _ = try queue.write(file, [UInt8](repeating: 9, count: 4096), at: 0)
    let target = Bytes(count: 4096)
    let ticket = queue.read(file, at: 0, into: target.view)
    file.close()
    file.close()
    let other = try environment.open(directory.file("b"), .create)
    #expect(try queue.finishCount(ticket) == 4096)
    #expect(target.array == [UInt8](repeating: 9, count: 4096))
    other.close()
  }

  @Test("names: exists, size, delete, moved files, temporary files", arguments: Backend.all)
  func names(backend: Backend) throws {
    let directory = TestDirectory()
    let environment = backend.make()
    let path = try environment.fullPath(directory.file("a"))
    #expect(try environment.exists(path) == false)
    #expect(try environment.size(of: path) == nil)
    try environment.delete(path)
    #expect(throws: EngineError.self) { try environment.open(path, .readWrite) }
    let file = try environment.open(path, .create)
    #expect(try environment.size(of: path) == 0)
    #expect(file.isStillNamed())
    #expect(throws: EngineError.self) {
      try environment.open(path, OpenMode(isWritable: true, mayCreate: true, isExclusive: true))
    }
    let same = try environment.open(path, .readOnly)
    #expect(same.identity == file.identity)
    #expect(file.isWritable && !same.isWritable)
    let queue = environment.makeQueue()
    #expect(throws: EngineError.self) { try queue.write(same, [1], at: 0) }
    try environment.delete(path)
    #expect(!file.isStillNamed())
    #expect(try queue.write(file, [1], at: 0) == 1)
    let temporary = try environment.openTemporary(), second = try environment.openTemporary()
    #expect(temporary.identity != second.identity)
    #expect(try queue.write(temporary, [1, 2], at: 0) == 2)
    #expect(try queue.read(temporary, 9, at: 0) == [1, 2])
    #expect(try second.size() == 0)
  }

  @Test("locks of two open files exclude each other, and vanish with close", arguments: Backend.all)
  func locks(backend: Backend) throws {
    let directory = TestDirectory()
    let environment = backend.make()
    let path = try environment.fullPath(directory.file("a"))
    let a = try environment.open(path, .create), b = try environment.open(path, .create)
    #expect(try a.lock(.shared, at: 10, length: 5))
    #expect(try b.lock(.shared, at: 12, length: 1))
    #expect(try !a.lock(.exclusive, at: 10, length: 5))
    #expect(try a.lock(.exclusive, at: 10, length: 2))
    #expect(try b.isLockedByOther(.shared, at: 0, length: 11))
    #expect(try !b.isLockedByOther(.shared, at: 12, length: 3))
    #expect(try b.isLockedByOther(.exclusive, at: 14, length: 1))
    #expect(try !a.isLockedByOther(.shared, at: 0, length: 100))
    try b.unlock(at: 0, length: 100)
    // The lock survives when some other open file of the process is closed.
    let c = try environment.open(path, .readOnly)
    c.close()
    #expect(try !b.lock(.shared, at: 11, length: 1))
    a.close()
    #expect(try b.lock(.exclusive, at: 0, length: 1 << 40))
  }

  @Test("byte-range locks agree with a byte-by-byte model", arguments: [Backend.all[0], Backend.all[5]])
  func lockModel(backend: Backend) throws {
    let directory = TestDirectory()
    let environment = backend.make()
    let path = try environment.fullPath(directory.file("a"))
    var files: [any File] = []
    for _ in 0..<3 { files.append(try environment.open(path, .create)) }
    var model = [[LockKind?]](repeating: [LockKind?](repeating: nil, count: 20), count: 3)
    let seed: UInt64 = 5
    var random = SeededRandom(seed: seed)
    for step in 0..<2000 {
      let owner = random.below(3), start = random.below(19), length = 1 + random.below(20 - start)
      if random.oneIn(3) {
        try files[owner].unlock(at: Int64(start), length: Int64(length))
        for byte in start..<start + length { model[owner][byte] = nil }
        continue
      }
      let kind: LockKind = random.oneIn(2) ? .shared : .exclusive
      let isFree = (start..<start + length).allSatisfy { byte in
        (0..<3).allSatisfy { other in
          other == owner || model[other][byte] == nil || (kind == .shared && model[other][byte] == .shared)
        }
      }
      #expect(
        try files[owner].isLockedByOther(kind, at: Int64(start), length: Int64(length)) == !isFree,
        "seed \(seed), step \(step)")
      #expect(
        try files[owner].lock(kind, at: Int64(start), length: Int64(length)) == isFree, "seed \(seed), step \(step)")
      if isFree { for byte in start..<start + length { model[owner][byte] = kind } }
    }
  }

  @Test("the shared memory is one memory, with locks between openers", arguments: Backend.all)
  func sharedMemory(backend: Backend) throws {
    let directory = TestDirectory()
    let environment = backend.make()
    let path = try environment.fullPath(directory.file("a"))
    let file = try environment.open(path, .create), other = try environment.open(path, .create)
    let a = try file.openSharedMemory(readOnly: false), b = try other.openSharedMemory(readOnly: false)
    #expect(try a.region(0, extend: false) == nil)
    let region = try #require(try a.region(0, extend: true))
    #expect(region.count == 32768)
    #expect(region.readable.array.allSatisfy { $0 == 0 })
    region[32767] = 7
    a.barrier()
    #expect(try b.region(0, extend: false)?[32767] == 7)
    #expect(try b.region(2, extend: false) == nil)
    try #require(try b.region(2, extend: true))[0] = 1
    #expect(try a.region(2, extend: false)?[0] == 1)
    #expect(try a.region(1, extend: true) != nil)
    #expect(try a.lock(.exclusive, slot: 0, count: 1))
    #expect(try !b.lock(.shared, slot: 0, count: 1))
    #expect(try b.lock(.shared, slot: 3, count: 5))
    #expect(try !a.lock(.exclusive, slot: 3, count: 5))
    try b.unlock(slot: 3, count: 5)
    #expect(try a.lock(.exclusive, slot: 3, count: 5))
    a.close(delete: false)
    #expect(try b.lock(.exclusive, slot: 0, count: 8))
    #expect(try b.region(0, extend: false)?[32767] == 7)
    b.close(delete: false)
    // Nobody was left: what the next opener finds cannot be trusted and is gone.
    let c = try file.openSharedMemory(readOnly: false)
    #expect(try c.region(0, extend: false) == nil)
    c.close(delete: true)
    #expect(try environment.exists(path + "-shm") == false)
  }

  @Test("clock and chance")
  func clocks() {
    for environment in [SystemEnvironment(), MemoryEnvironment()] as [any Environment] {
      let start = environment.monotonicNanoseconds()
      environment.sleep(untilMonotonic: start + 2_000_000)
      #expect(environment.monotonicNanoseconds() >= start + 2_000_000)
      #expect(environment.wallClockMilliseconds() > 1_700_000_000_000)
      #expect(environment.randomUInt64() != environment.randomUInt64())
      #expect(abs(environment.localTimeOffsetSeconds(atMilliseconds: -1)) <= 16 * 3600)
    }
    #expect(MemoryEnvironment(seed: 3).randomUInt64() == MemoryEnvironment(seed: 3).randomUInt64())
  }
}
