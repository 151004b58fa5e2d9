// Files in memory have an end, told by an error.

import ApusBase
import ApusIO
import Testing

@Suite struct MemoryLengthTests {
  @Test("a length that a damaged journal asks for is SQLITE_FULL, and the file stays as it is")
  func endsWithAnError() throws {
    let environment = MemoryEnvironment()
    let file = try environment.open("/a", .create)
    try file.truncate(to: 512)
    let error = #expect(throws: EngineError.self) { try file.truncate(to: 549_764_096_000) }
    #expect(error?.code == .full)
    #expect(try file.size() == 512)
  }

  @Test("an environment may have its files end earlier")
  func endsEarlier() throws {
    let file = try MemoryEnvironment(fileByteCountMax: 1024).open("/a", .create)
    try file.truncate(to: 1024)
    #expect(throws: EngineError.self) { try file.truncate(to: 1025) }
  }
}
