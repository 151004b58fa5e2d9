// Rings that are full, and queues whose requests take long: reads of a pipe that nobody writes to.

import ApusBase
import Glibc
import Testing

@testable import ApusIO

@Suite struct RingTests {
  /// A pipe with a name: a read of it ends when something is written, and not before.
  private func pipe(
    _ directory: TestDirectory, _ environment: SystemEnvironment
  ) throws -> (file: any File, end: Int32) {
    let path = directory.file("pipe")
    try #require(unsafe mkfifo(path, 0o600) == 0)
    let file = try environment.open(path, .readWrite)
    return (file, unsafe Glibc.open(path, O_RDWR))
  }

  private func options(entryCount: UInt32 = 4) -> RingOptions {
    var options = RingOptions()
    options.entryCount = entryCount
    options.sendsEverything = true
    return options
  }

  @Test("a thread that sleeps with a full ring is woken by others")
  func wokenWhenFull() throws {
    let environment = SystemEnvironment(options: options())
    let waker = try Waiter()
    // Where the kernel grants no ring, there is nothing to look at.
    guard let hub = environment.makeHub(wakeUp: waker) else { return }
    let directory = TestDirectory()
    let pipe = try pipe(directory, environment)
    let queue = environment.makeQueue()
    queue.join(hub)
    // As many as a hub's ring has room for.
    let bytes = (0..<256).map { _ in Bytes(count: 1) }
    let tickets = bytes.map { queue.read(pipe.file, at: 0, into: $0.view) }
    queue.submit()
    let isAwake = Awakening(waker)
    let begin = environment.monotonicNanoseconds()
    hub.turn(untilMonotonic: begin + 8_000_000_000, mayWait: true)
    #expect(environment.monotonicNanoseconds() - begin < 4_000_000_000)
    _ = isAwake
    let letters = [UInt8](repeating: 97, count: bytes.count)
    unsafe _ = Glibc.write(pipe.end, letters, letters.count)
    for ticket in tickets { #expect(try queue.finishCount(ticket) == 1) }
    queue.join(nil)
    close(pipe.end)
  }

  @Test("a kernel that takes nothing of a full ring is done without", arguments: [true, false])
  func refusedSubmission(isInHub: Bool) throws {
    var options = options()
    options.injectedSubmissionFailure = EBUSY
    let environment = SystemEnvironment(options: options)
    guard let hub = environment.makeHub(wakeUp: try Waiter()) else { return }
    let directory = TestDirectory()
    let file = try environment.open(directory.file("data"), .create)
    let content = (0..<2000).map { UInt8(truncatingIfNeeded: $0 &* 7) }
    let queue = environment.makeQueue()
    if isInHub { queue.join(hub) }
    let plain = SystemEnvironment(backend: .posix).makeQueue()
    #expect(try plain.write(file, content, at: 0) == content.count)
    let bytes = content.map { _ in Bytes(count: 1) }
    let tickets = bytes.indices.map { queue.read(file, at: Int64($0), into: bytes[$0].view) }
    queue.submit()
    for ticket in tickets { #expect(try queue.finishCount(ticket) == 1) }
    #expect(bytes.flatMap(\.array) == content)
    queue.join(nil)
  }

  @Test("a driver without a ring of its own does not wait when it turns to a queue")
  func joinsWithoutWaiting() throws {
    let environment = SystemEnvironment(options: options())
    guard environment.makeHub(wakeUp: try Waiter()) != nil else { return }
    let directory = TestDirectory()
    let pipe = try pipe(directory, environment)
    let queue = environment.makeQueue()
    queue.join(nil)
    let bytes = Bytes(count: 1)
    let ticket = queue.read(pipe.file, at: 0, into: bytes.view)
    queue.submit()
    // Later: for a join that waits.
    let end = pipe.end
    _ = EngineThread.start {
      sleep(3)
      unsafe _ = Glibc.write(end, "a", 1)
    }
    let begin = environment.monotonicNanoseconds()
    queue.join(nil)
    #expect(environment.monotonicNanoseconds() - begin < 2_000_000_000)
    #expect(try queue.finishCount(ticket) == 1)
    withExtendedLifetime(bytes) {}
  }
}

/// Wakes somebody a little later, from another thread.
private final class Awakening: Sendable {
  init(_ waker: Waiter) {
    _ = EngineThread.start {
      usleep(200_000)
      waker.wake()
    }
  }
}
