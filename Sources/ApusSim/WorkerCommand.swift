// apus-sim worker: what the other commands run in processes of their own. A line per run, as FieldLine has it.

import ApusHarness
import ApusSimulation
import ArgumentParser

struct WorkerCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "worker", abstract: "Runs seeds, or a tape, for a parent process.", shouldDisplay: false)

  @OptionGroup var world: WorldOptions
  @Option(help: "The first seed.") var from: UInt64 = 1
  @Option(help: "How many seeds.") var count = 1
  @Option(help: "Replay this repro file instead.") var tape: String?
  @Option(help: "Write the tape of the run into this file.") var record: String?
  @Option(help: "Draw anew from this step on.") var branch: Int?

  func run() throws {
    world.activatePlant()
    if let tape {
      let file = try ReproFile.read(tape)
      if let branch {
        for seed in from..<from &+ UInt64(count) { report(seed, .branch(file.tape, step: branch, seed: seed)) }
      } else {
        report(0, .tape(file.tape))
      }
      return
    }
    for seed in from..<from &+ UInt64(count) { report(seed, .seed(seed)) }
  }

  private func report(_ seed: UInt64, _ origin: ChoiceSource.Origin) {
    let start = Console.nanoseconds()
    let verdict = world.settings.run(origin, records: record != nil)
    let report = SeedReport(seed: seed, verdict, microseconds: Int((Console.nanoseconds() - start) / 1000))
    if let record {
      let finding = verdict.finding ?? Finding(oracle: .read, text: "")
      let file = ReproFile(oracle: finding.oracle, plant: nil, finding: finding.text, tape: verdict.tape)
      _ = Console.put(Array(file.text.utf8), to: record)
    }
    Console.line(report.line.line)
  }
}
