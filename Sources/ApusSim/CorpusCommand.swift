// apus-sim corpus check: every failure that was ever kept. What a planted bug did must still be found with the bug, and not without
// it; what the engine did must not be found any more.

import ApusHarness
import ApusSimulation
import ArgumentParser

struct CorpusCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "corpus", abstract: "Works with the kept failures.", subcommands: [Check.self])

  struct Check: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "check", abstract: "Replays every kept failure.")

    @Argument(help: "Repro files.") var files: [String] = []
    @Option(help: "The directory with the corpus; its list of files is INDEX.") var directory =
      "Tests/ApusSimulationTests/Corpus"

    func run() throws {
      let paths = try files.isEmpty ? index() : files
      var failureCount = 0
      for path in paths {
        let problems = try check(path)
        Console.line("\(problems.isEmpty ? "ok  " : "FAIL") \(path)\(problems.map { "\n     " + $0 }.joined())")
        failureCount += problems.isEmpty ? 0 : 1
      }
      Console.line("\(paths.count) repro files, \(failureCount) failed")
      if failureCount > 0 { throw ExitCode(1) }
    }

    private func index() throws -> [String] {
      guard let bytes = Console.contents(of: directory + "/INDEX") else {
        throw ValidationError("\(directory)/INDEX cannot be read; say --directory")
      }
      return String(decoding: bytes, as: UTF8.self).split(separator: "\n").filter { !$0.hasPrefix("#") }.map { line in
        "\(directory)/\(line.split(separator: " ")[0])"
      }
    }

    /// In processes of their own: a planted bug may stop the engine, and there is one bug a process.
    private func check(_ path: String) throws -> [String] {
      let file = try ReproFile.read(path)
      let clean = WorldOptions(scenario: file.scenario)
      var problems: [String] = []
      if let finding = Self.run(path, clean) { problems.append("without a planted bug: \(finding)") }
      if let plant = file.plant {
        if Plant.all.isEmpty { return problems }
        let finding = Self.run(path, WorldOptions(scenario: file.scenario, plant: plant))
        if finding?.oracle != file.oracle {
          problems.append(
            "with \(plant): \(file.oracle.rawValue) is due, found is \(finding.map { "\($0)" } ?? "nothing")")
        }
      }
      return problems
    }

    private static func run(_ path: String, _ world: WorldOptions) -> Finding? {
      guard let child = LiveChild.again(["worker", "--tape", path] + world.arguments) else {
        return Finding(oracle: .trap, text: "a worker cannot be started")
      }
      var report: SeedReport?
      while !child.isAtEnd {
        LiveChild.wait(for: [child], milliseconds: 1000)
        for line in child.lines() { report = SeedReport(FieldLine(line: line)) ?? report }
      }
      let status = child.join()
      if let report { return report.finding }
      return Finding(oracle: .trap, text: SeedPool.reason(status))
    }
  }
}
