// Files in the making, and what must not be emptied or replaced by them.

import Apus
import ApusBase
import ApusIO
import Glibc
import Testing

@testable import ApusBackup

@Suite struct PartialFileTests {
  /// Calls `body` with the path of a directory that is gone afterwards.
  func inDirectory(_ names: [String], _ body: (_ path: String) throws -> Void) throws {
    let path = "/tmp/apus-partial-\(String(SystemEnvironment().randomUInt64(), radix: 36))"
    unsafe mkdir(path, 0o700)
    defer {
      for name in names { unsafe unlink("\(path)/\(name)") }
      unsafe rmdir(path)
    }
    try body(path)
  }

  func append(_ bytes: [UInt8], to file: PlainFile) throws {
    var buffer = ByteBuffer()
    for byte in bytes { buffer.append(byte) }
    try file.append(buffer.bytes)
    // A view does not keep its buffer.
    withExtendedLifetime(buffer) {}
  }

  func write(_ bytes: [UInt8], _ path: String, _ environment: SystemEnvironment) throws {
    let file = try PlainFile(environment, path, .create)
    try append(bytes, to: file)
    file.close()
  }

  func contents(_ path: String, _ environment: SystemEnvironment) throws -> [UInt8] {
    let file = try PlainFile(environment, path, .readOnly)
    defer { file.close() }
    var bytes = ByteBuffer()
    bytes.resize(to: Int(file.end))
    try file.read(at: 0, into: bytes.mutableBytes)
    return bytes.bytes.array
  }

  @Test("a finished file that has the partial name as well is not emptied, and is replaced as a whole")
  func twoNames() throws {
    let environment = SystemEnvironment(backend: .posix)
    try inDirectory(["x", "x-partial"]) { directory in
      let path = directory + "/x"
      try write([1, 2, 3], path, environment)
      // As a rename in two steps leaves it that is stopped between them.
      unsafe #expect(link(path, path + "-partial") == 0)
      do {
        let dropped = try PartialFile(environment, path)
        #expect(try contents(path, environment) == [1, 2, 3])
        #expect(throws: EngineError.self, "it is locked") { try PartialFile(environment, path) }
        try append([4], to: dropped.content)
      }
      #expect(try contents(path, environment) == [1, 2, 3])
      unsafe #expect(link(path, path + "-partial") == 0)
      let file = try PartialFile(environment, path)
      try append([5, 6], to: file.content)
      try file.finish(replaces: true)
      #expect(try contents(path, environment) == [5, 6])
      #expect(try !environment.exists(path + "-partial"))
    }
  }

  @Test("a partial name that is a link is refused, and what it leads to is left alone")
  func linked() throws {
    let environment = SystemEnvironment(backend: .posix)
    try inDirectory(["other", "x-partial"]) { directory in
      try write([1, 2, 3], directory + "/other", environment)
      unsafe #expect(symlink("other", directory + "/x-partial") == 0)
      #expect(throws: EngineError.self) { try PartialFile(environment, directory + "/x") }
      #expect(try contents(directory + "/other", environment) == [1, 2, 3])
    }
  }

  @Test("nothing takes the place of what it is made of", arguments: ["/a.db", "/a.db-wal", "/a.db-journal"])
  func ownSource(target: String) throws {
    let environment = MemoryEnvironment()
    let source = try Connection("/a.db", environment: environment)
    try source.execute("PRAGMA journal_mode = wal; CREATE TABLE t(a); INSERT INTO t VALUES (1);")
    let old = environment.contents(of: target)
    do throws(EngineError) {
      try DatabaseArchive.backup(environment, from: "/a.db", to: target, replaces: true)
      Issue.record("the source was replaced")
    } catch {
      #expect(error.code == .cannotOpen)
    }
    #expect(environment.contents(of: target) == old)
  }
}
