// Every kept failure, on the engine as it is: none may be found any more. `apus-sim corpus check` replays them with their planted
// bugs too.

import ApusSimulation
import Foundation
import Testing

@Suite("The corpus of kept failures")
struct CorpusReplayTests {
  private static var directory: URL {
    URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("Corpus")
  }

  @Test("what was found once is not found any more")
  func findsNothing() throws {
    let index = try String(contentsOf: Self.directory.appendingPathComponent("INDEX"), encoding: .utf8)
    let names = index.split(separator: "\n").filter { !$0.hasPrefix("#") }.compactMap { $0.split(separator: " ").first }
    let present = try FileManager.default.contentsOfDirectory(atPath: Self.directory.path).filter {
      $0.hasSuffix(ReproFile.suffix)
    }
    #expect(names.map(String.init).sorted() == present.sorted(), "INDEX lists what is there")
    for name in names {
      let file = try ReproFile(
        text: String(contentsOf: Self.directory.appendingPathComponent(String(name)), encoding: .utf8))
      let settings = RunSettings(scenario: file.scenario.flatMap { Scenario.named($0) })
      let finding = settings.run(.tape(file.tape)).finding
      #expect(finding == nil, "\(name): \(finding.map(\.description) ?? "")")
    }
  }
}
