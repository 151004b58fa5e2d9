// apus-sim: the simulator's command line. A command has a file of its own; what they share lies in Support.

import ApusHarness
import ArgumentParser

@main
struct ApusSim: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "apus-sim",
    abstract: "Runs the real engine in a virtual world, and makes what it finds small.",
    discussion: "Exit status: 0 nothing found, 1 a finding, 64 wrong usage.",
    subcommands: [
      RunCommand.self, ReplayCommand.self, ShrinkCommand.self, TraceCommand.self, BisectMomentCommand.self,
      ScenarioCommand.self, MutantsCommand.self, PlantsCommand.self, ExhaustCommand.self, CancelAllCommand.self,
      CorpusCommand.self, ReportCommand.self, WorkerCommand.self,
    ])

  static func main() {
    // A worker that stops is reported; a backtrace of each would only be slow.
    Console.keepVariable("SWIFT_BACKTRACE", or: "enable=no")
    main(nil)
  }
}
