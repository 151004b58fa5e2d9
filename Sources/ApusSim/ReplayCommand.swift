// apus-sim replay: one seed, or one repro file, again.

import ApusHarness
import ApusSimulation
import ArgumentParser

struct ReplayCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "replay", abstract: "Runs a seed or a repro file again.",
    discussion: "The same binary gives the same trace. A repro file brings its planted bug; --clean leaves it out.")

  @OptionGroup var world: WorldOptions
  @Argument(help: "A seed, or the path of a repro file.") var source: String
  @Flag(help: "Without the repro file's planted bug.") var clean = false
  @Flag(help: "Print every event.") var trace = false

  func run() throws {
    let source = try SimulationSource(source)
    var world = try source.world(world)
    if clean { world.plant = nil }
    world.activatePlant()
    let start = Console.nanoseconds()
    let verdict = world.settings.run(source.origin, keepsTrace: true)
    let seconds = Double(Console.nanoseconds() - start) / 1e9
    if trace { for line in TraceStory(verdict).lines(TraceFilter()) { Console.line(line) } }
    guard let finding = verdict.finding else {
      Console.line("PASS \(source.title)  trace \(verdict.traceHash) (\(grouped(verdict.eventCount)) events)")
      Console.line("  profile: \(verdict.profile)")
      Console.line(
        "  run:     \(verdict.commitCount) commits, \(verdict.cutCount) cuts, \(verdict.droppedCount) dropped statements"
      )
      return
    }
    var replay = [source.argument]
    if case .seed = source { replay += world.arguments }
    FailureLayout(
      finding: finding, title: source.title, verdict: verdict, seconds: seconds, replay: replay.joined(separator: " ")
    ).show()
    throw ExitCode(1)
  }
}
