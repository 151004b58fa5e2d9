// apus-sim bisect-moment: the step behind which the failure was inevitable.

import ApusHarness
import ApusSimulation
import ArgumentParser

struct BisectMomentCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "bisect-moment", abstract: "Finds the step behind which a failure was inevitable.",
    discussion:
      "The run is replayed up to a step; what follows is drawn anew, many times. P(fail) rises where the harm is done.")

  @OptionGroup var world: WorldOptions
  @Argument(help: "A seed, or the path of a repro file.") var source: String
  @Option(help: "How often each step's future is drawn.") var runs = MomentSearch.runCountUsual

  func run() throws {
    let source = try SimulationSource(source)
    let world = try source.world(world)
    world.activatePlant()
    let verdict = world.settings.run(source.origin, records: true, keepsTrace: true)
    guard let finding = verdict.finding else {
      Console.line("PASS \(source.title): no moment to look for")
      return
    }
    let runner = TapeRunner(world: world, isTrap: false)
    var search = MomentSearch(lastStep: verdict.step, runCount: max(1, runs)) { step, seed in
      runner.fails(verdict.tape, from: step, seed: seed, finding.oracle)
    }
    let rise = search.search()
    Console.line("\(finding)")
    for point in search.points {
      let bar = String(repeating: "#", count: Int(point.share * 40))
      Console.line("  step \(Self.padded(point.step))  P(fail) \(decimals(point.share, 2))  \(bar)")
    }
    guard let rise, rise.behind.share - rise.before.share > 0.1 else {
      Console.line("P(fail) rises nowhere: what fails was so from the beginning, or comes by chance at the end")
      return
    }
    Console.line(
      "moment: P(fail) \(decimals(rise.before.share, 2)) at step \(rise.before.step), "
        + "\(decimals(rise.behind.share, 2)) at step \(rise.behind.step)")
    var filter = TraceFilter()
    filter.from = rise.before.step
    filter.to = rise.behind.step
    for line in TraceStory(verdict).lines(filter).prefix(40) { Console.line("  " + line) }
  }

  private static func padded(_ step: Int) -> String {
    let digits = String(step)
    return String(repeating: " ", count: max(0, 6 - digits.count)) + digits
  }
}
