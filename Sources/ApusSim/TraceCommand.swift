// apus-sim trace: what happened to a page, in a transaction, or between two steps.

import ApusHarness
import ApusSimulation
import ArgumentParser

struct TraceCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "trace", abstract: "Prints a run's events: all, or those of a page, a transaction, some steps.")

  @OptionGroup var world: WorldOptions
  @Argument(help: "A seed, or the path of a repro file.") var source: String
  @Option(help: "Only reads and writes of this page, in the file and in the log.") var page: Int?
  @Option(help: "Only the transaction that stamps the file with this number.") var txn: Int?
  @Option(help: "From this step on.") var from: Int?
  @Option(help: "Up to this step.") var to: Int?
  @Flag(help: "Only what the clients said and what befell them.") var story = false

  func run() throws {
    let source = try SimulationSource(source)
    let world = try source.world(world)
    world.activatePlant()
    let verdict = world.settings.run(source.origin, keepsTrace: true)
    var filter = TraceFilter()
    filter.page = page
    filter.transaction = txn
    filter.from = from ?? 0
    filter.to = to ?? .max
    for line in story ? TraceStory(verdict).story : TraceStory(verdict).lines(filter) { Console.line(line) }
    if let finding = verdict.finding { Console.line("step \(verdict.step)  found: \(finding)") }
  }
}
