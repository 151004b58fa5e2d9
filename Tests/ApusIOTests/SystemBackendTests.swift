// What only the real world has: refused rings, errors of the operating system, foreign processes' locks.

import ApusBase
import CSQLite
import Glibc
import Testing

@testable import ApusIO

@Suite struct SystemBackendTests {
  private func failure(_ body: () throws -> Void) -> EngineError? {
    do { try body() } catch { return error as? EngineError }
    return nil
  }

  @Test("a refused ring is replaced by POSIX calls, and the reason is kept", arguments: [EPERM, ENOSYS, EACCES])
  func refused(number: Int32) throws {
    var options = RingOptions()
    options.injectedRefusal = number
    let environment = SystemEnvironment(options: options)
    #expect(environment.backendName == "posix")
    let reason = try #require(environment.backendReason)
    #expect(reason.hasPrefix("io_uring_setup: ") && reason.hasSuffix("(\(number))"))
  }

  @Test("a ring refused only when it is needed is replaced in the midst of requests")
  func refusedLate() throws {
    var options = RingOptions()
    options.injectedRefusal = EPERM
    options.sendsEverything = true
    let environment = SystemEnvironment(options: options)
    let directory = TestDirectory()
    let file = try environment.open(directory.file("a"), .create)
    let queue = environment.makeQueue()
    let bytes = Bytes([1, 2, 3])
    let first = queue.write(file, at: 0, from: [bytes.view.readable])
    let second = queue.sync(file, .data)
    #expect(queue.completionDescriptor == nil)
    #expect(try queue.finishCount(first) == 3)
    #expect(try queue.finishCount(second) == 0)
    #expect(environment.backendReason == "io_uring_setup: Operation not permitted (1)")
    #expect(try queue.read(file, 9, at: 0) == [1, 2, 3])
  }

  @Test("asking for POSIX calls gives them")
  func posix() {
    let environment = SystemEnvironment(backend: .posix)
    #expect(environment.backendName == "posix")
    #expect(environment.backendReason == "asked for")
  }

  @Test("a ring's descriptor polls readable when a request has completed")
  func descriptor() throws {
    var options = RingOptions()
    options.sendsEverything = true
    let environment = SystemEnvironment(options: options)
    if environment.backendName != "io_uring" { return }
    let directory = TestDirectory()
    let file = try environment.open(directory.file("a"), .create)
    let queue = environment.makeQueue()
    let ticket = queue.sync(file, .data)
    queue.submit()
    let descriptor = try #require(queue.completionDescriptor)
    var request = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
    #expect(unsafe poll(&request, 1, 10_000) == 1)
    switch queue.take(ticket) {
    case .done(0): break
    default: Issue.record("the sync has not completed")
    }
  }

  @Test("errors name SQLite's code, the path, the call, the system's words and a hint")
  func errors() throws {
    let environment = SystemEnvironment()
    let directory = TestDirectory()
    let missing = directory.file("none/a")
    let noDirectory = try #require(failure { _ = try environment.fullPath(missing) })
    #expect(noDirectory.code == .cannotOpen)
    #expect(noDirectory.message == "unable to open database file")
    #expect(noDirectory.cause == "realpath: No such file or directory (2)")
    #expect(noDirectory.hint != nil)
    let noFile = try #require(failure { _ = try environment.open(directory.file("a"), .readWrite) })
    #expect(noFile.code == .cannotOpen && noFile.object == directory.file("a"))
    let isDirectory = try #require(failure { _ = try environment.open(directory.path, .readOnly) })
    #expect(isDirectory.code == .cannotOpenIsDirectory)
    #expect(isDirectory.message == "unable to open database file")
    let full = try environment.open("/dev/full", .readWrite)
    for environment in [environment, SystemEnvironment(backend: .posix)] {
      let queue = environment.makeQueue()
      let error = try #require(failure { _ = try queue.write(full, [1], at: 0) })
      #expect(error.code == .full)
      #expect(error.message == "database or disk is full")
      #expect(error.cause?.hasSuffix("No space left on device (28)") == true)
    }
    let file = try environment.open(directory.file("a"), .create)
    file.close()
    #expect(try #require(failure { _ = try file.size() }).code == .misuse)
    let temporary = SystemEnvironment(temporaryDirectory: missing)
    #expect(failure { _ = try temporary.openTemporary() }?.code == .cannotOpen)
  }

  @Test("two names of one file have one full path, links in the name included")
  func links() throws {
    let environment = SystemEnvironment()
    let directory = TestDirectory()
    let real = try environment.fullPath(directory.file("a"))
    unsafe symlink("a", directory.file("dangling"))
    #expect(try environment.fullPath(directory.file("dangling")) == real)
    _ = try environment.open(real, .create)
    #expect(try environment.fullPath(directory.file("dangling")) == real)
    #expect(try environment.fullPath(directory.path + "/./../" + directory.path.split(separator: "/").last! + "/a") == real)
    #expect(throws: EngineError.self) { try environment.open(directory.file("dangling"), .readOnly) }
    unsafe symlink("loop", directory.file("loop"))
    #expect(throws: EngineError.self) { try environment.fullPath(directory.file("loop")) }
  }

  @Test("a rename that does not replace leaves one name, and a taken one alone", arguments: [false, true])
  func renamesUnlessTaken(inSteps: Bool) throws {
    let environment = SystemEnvironment()
    let directory = TestDirectory()
    let (from, to) = (directory.file("a"), directory.file("b"))
    func rename() throws(EngineError) {
      if inSteps { return try environment.renameInSteps(from, to: to) }
      try environment.rename(from, to: to, replaces: false)
    }
    let file = try environment.open(from, .create)
    let taken = try environment.open(to, .create)
    #expect(failure { try rename() }?.code == .cannotOpen)
    #expect(file.isStillNamed() && taken.isStillNamed() && !file.hasOtherNames())
    try environment.delete(to)
    try rename()
    #expect(try !environment.exists(from))
    #expect(try environment.open(to, .readOnly).identity == file.identity)
    #expect(!file.hasOtherNames())
    unsafe #expect(link(to, from) == 0)
    #expect(file.hasOtherNames())
  }

  @Test("the wal-index interoperates with SQLite: one memory, and locks that exclude each other")
  func foreignSharedMemory() throws {
    let directory = TestDirectory()
    let path = directory.file("a.db")
    var connection: OpaquePointer?
    #expect(unsafe sqlite3_open(path, &connection) == SQLITE_OK)
    func run(_ sql: String) -> Int32 { unsafe sqlite3_exec(connection, sql, nil, nil, nil) }
    #expect(run("PRAGMA journal_mode = wal; CREATE TABLE t(a); INSERT INTO t VALUES (1)") == SQLITE_OK)

    let environment = SystemEnvironment()
    let file = try environment.open(environment.fullPath(path), .readWrite)
    let memory = try file.openSharedMemory(readOnly: false)
    // SQLite holds the dead-man switch, so what is there was not truncated: its version number is still there.
    let region = try #require(try memory.region(0, extend: false))
    #expect(region.readable.littleEndianUInt32(at: 0) == 3_007_000)
    #expect(run("BEGIN IMMEDIATE") == SQLITE_OK)
    #expect(try !memory.lock(.exclusive, slot: 0, count: 1))
    #expect(run("COMMIT") == SQLITE_OK)
    #expect(try memory.lock(.exclusive, slot: 0, count: 1))
    #expect(run("BEGIN IMMEDIATE") == SQLITE_BUSY)
    try memory.unlock(slot: 0, count: 1)
    let before = region.readable.littleEndianUInt32(at: 16)
    #expect(run("INSERT INTO t VALUES (2)") == SQLITE_OK)
    #expect(region.readable.littleEndianUInt32(at: 16) == before + 1)
    unsafe sqlite3_close(connection)
    memory.close(delete: false)
    file.close()
  }
}
