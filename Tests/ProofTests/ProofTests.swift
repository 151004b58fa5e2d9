// Short runs of apus-prove: each proof once in small. The long runs are `make prove` (docs/tools.md).

import ApusHarness
import Foundation
import Testing

@Suite("Proofs on whole files", .timeLimit(.minutes(20)))
struct ProofTests {
  /// The tool, built beside these tests.
  private static func prove(_ arguments: [String]) throws -> ChildResult {
    var directory = try URL(fileURLWithPath: FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe"))
      .deletingLastPathComponent()
    // The test process may be a helper of the toolchain: then the package's build directory says where.
    if !FileManager.default.isExecutableFile(atPath: directory.appendingPathComponent("apus-prove").path) {
      let package = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent()
      directory = package.appendingPathComponent(".build/debug")
    }
    let tool = directory.appendingPathComponent("apus-prove").path
    let child = try #require(ChildProcess.run(tool, ["apus-prove"] + arguments), "cannot start \(tool)")
    return child.wait()
  }

  /// A proof that has left something out, as this machine does not allow it, counts as skipped, and the reason is
  /// shown.
  private static func cancelIfSkipped(_ result: ChildResult) throws {
    let lines = result.output.split(separator: "\n").filter { $0.contains("SKIPPED") }
    if !lines.isEmpty { try Test.cancel("\(lines.joined(separator: "; "))") }
  }

  @Test(
    "damaged databases give rows or a clear error, never a trap or a hang",
    arguments: [["--base", "small", "--variants", "30"], ["--variants", "2"]])
  func badInput(arguments: [String]) throws {
    let result = try Self.prove(["bad-input"] + arguments)
    #expect(result.status == 0, "\(result.output)")
  }

  @Test("after random transactions real SQLite finds the file whole, with the model's contents")
  func roundTrip() throws {
    let result = try Self.prove(["round-trip", "--transactions", "320"])
    #expect(result.status == 0, "\(result.output)")
  }

  @Test("files of SQLite, also those of a killed process, are recovered, changed and handed back")
  func handover() throws {
    let result = try Self.prove(["handover", "--rounds", "8"])
    #expect(result.status == 0, "\(result.output)")
  }

  @Test("after a power cut under a real file system what was acknowledged is there, and the control loses something")
  func powerCut() throws {
    let result = try Self.prove(["power-cut", "--cuts", "14", "--commits", "15"])
    #expect(result.status == 0, "\(result.output)")
    // Without /dev/fuse, loop devices or root the rig cannot stand.
    if !result.output.contains("SKIPPED power cuts") {
      #expect(result.output.contains("power cuts: 14 clean"), "\(result.output)")
    }
    try Self.cancelIfSkipped(result)
  }

  @Test("processes that are killed at any moment lose nothing that they acknowledged")
  func kills() throws {
    let result = try Self.prove(["kills", "--rounds", "60"])
    #expect(result.status == 0, "\(result.output)")
  }

  @Test("where the kernel refuses io_uring, files, room or names, the error says it and nothing is lost")
  func refusals() throws {
    let result = try Self.prove(["faults", "--mode", "refusals"])
    #expect(result.status == 0, "\(result.output)")
    #expect(result.output.contains("refusals: "), "\(result.output)")
    try Self.cancelIfSkipped(result)
  }

  @Test("processes of ours and of SQLite share a file while any of them is killed", arguments: ["wal", "delete"])
  func mixed(journal: String) throws {
    let result = try Self.prove(["mixed", "--seconds", "6", "--journal", journal])
    #expect(result.status == 0, "\(result.output)")
  }

  @Test("threads write to one file while SQLite reads it, and writes among them", arguments: [("3", "1"), ("24", "0")])
  func writers(count: String, foreign: String) throws {
    let result = try Self.prove(["writers", "--seconds", "4", "--writers", count, "--sqlite", foreign])
    #expect(result.status == 0, "\(result.output)")
  }

  @Test("files of every kind, left by killed processes too, are recovered, changed and handed back")
  func matrix() throws {
    let result = try Self.prove(["matrix", "--files", "24", "--transactions", "30"])
    #expect(result.status == 0, "\(result.output)")
  }
}
