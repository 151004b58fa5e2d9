// Every input that ever failed is run again, and so is what campaigns begin with.

import ApusHarness
import Foundation
import Testing

@Suite("Fuzz regressions", .timeLimit(.minutes(20)))
struct RegressionTests {
  static let package = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent()

  /// The tool, built beside these tests.
  private static func fuzz(_ arguments: [String]) throws -> ChildResult {
    var directory = try URL(fileURLWithPath: FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe"))
      .deletingLastPathComponent()
    // The test process may be a helper of the toolchain: then the package's build directory says where.
    if !FileManager.default.isExecutableFile(atPath: directory.appendingPathComponent("apus-fuzz").path) {
      directory = package.appendingPathComponent(".build/debug")
    }
    let tool = directory.appendingPathComponent("apus-fuzz").path
    let child = try #require(ChildProcess.run(tool, ["apus-fuzz"] + arguments), "cannot start \(tool)")
    return child.wait()
  }

  private func withFolder(_ body: (String) throws -> Void) throws {
    let folder = NSTemporaryDirectory() + "apus-fuzz-\(UUID().uuidString)"
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: folder) }
    try body(folder)
  }

  @Test("no input that ever failed fails again")
  func regressions() throws {
    let result = try Self.fuzz([
      "replay", "--deadline", "60", Self.package.appendingPathComponent("Fuzz/Corpus/Regressions").path,
    ])
    #expect(result.status == 0, "\(result.output)")
  }

  @Test(
    "what a campaign begins with passes",
    arguments: [
      "database", "wal", "journal", "record", "text", "script", "expression", "statements", "pattern", "date", "number",
      "tape",
    ])
  func seeds(target: String) throws {
    try withFolder { folder in
      let written = try Self.fuzz(["seeds", target, folder])
      #expect(written.status == 0, "\(written.output)")
      let result = try Self.fuzz(["replay", "--deadline", "60", "--target", target, folder])
      #expect(result.status == 0, "\(result.output)")
    }
  }

  @Test("an input that is longer than its target looks at has not passed")
  func tooLong() throws {
    try withFolder { folder in
      try Data(String(repeating: "w", count: 65).utf8).write(to: URL(fileURLWithPath: "\(folder)/long"))
      let replay = try Self.fuzz(["replay", "--target", "canary", folder])
      #expect(replay.status == 1 && replay.output.contains("1 failures"), "\(replay.output)")
    }
  }

  @Test("a failure is seen, shrunk and kept once")
  func canary() throws {
    try withFolder { folder in
      for (name, text) in [("one", "canary!"), ("two", "canary! and more of it"), ("good", "wren")] {
        try Data(text.utf8).write(to: URL(fileURLWithPath: "\(folder)/\(name)"))
      }
      let replay = try Self.fuzz(["replay", "--target", "canary", folder])
      #expect(replay.status == 1 && replay.output.contains("2 failures"), "\(replay.output)")
      let kept = folder + "-kept"
      defer { try? FileManager.default.removeItem(atPath: kept) }
      _ = try Self.fuzz(["triage", "canary", "--into", kept, "\(folder)/one", "\(folder)/two"])
      let files = try FileManager.default.contentsOfDirectory(atPath: kept + "/canary")
      #expect(files.count == 1)
      let bytes = try Data(contentsOf: URL(fileURLWithPath: "\(kept)/canary/\(files.first ?? "")"))
      #expect(bytes == Data("canary!".utf8))
    }
  }
}
