// apus-sim shrink: a failing run made small, and kept as a repro file.

import ApusHarness
import ApusSimulation
import ArgumentParser

struct ShrinkCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "shrink", abstract: "Makes a failing run small by delta debugging.",
    discussion: """
      Drops clients, transactions, statements, rows, faults and switches of the schedule as long as the same oracle finds \
      something. The result is a repro file, and a script of plain SQL where no fault is needed.
      """)

  @OptionGroup var world: WorldOptions
  @Argument(help: "A seed, or the path of a repro file.") var source: String
  @Option(name: .shortAndLong, help: "The repro file to write; by default NAME.apusrepro here.") var output: String?
  @Option(help: "Seconds after which the smallest so far is kept.") var seconds: Double = 60

  func run() throws {
    let source = try SimulationSource(source)
    let world = try source.world(world)
    world.activatePlant()
    let clock = RunClock(seconds: seconds)
    let first = world.settings.run(source.origin, records: true)
    guard let finding = first.finding else {
      Console.line("PASS \(source.title): nothing to shrink")
      return
    }
    let runner = TapeRunner(world: world, isTrap: finding.oracle == .trap)
    var shrinker = Shrinker(first.tape, finding, mayGoOn: { clock.mayGoOn }, run: runner.replay)
    let before = shrinker.size
    shrinker.shrink()
    let tape = shrinker.tape.simplified
    let verdict = world.settings.run(.tape(tape), keepsTrace: true)
    var path = output ?? Self.name(source, world) + ReproFile.suffix
    if !path.hasSuffix(ReproFile.suffix) { path += ReproFile.suffix }
    let file = ReproFile(
      oracle: finding.oracle, plant: world.plant, scenario: world.scenario, finding: shrinker.finding.text,
      comments: ["from \(source.title): \(before)", "profile \(verdict.profile)"] + TraceStory(verdict).story,
      tape: tape)
    guard Console.put(Array(file.text.utf8), to: path) else { throw ValidationError("\(path) cannot be written") }
    var also: [String] = []
    let script = PlainScript(verdict)
    if let reason = script.reason {
      also.append("sql=none (\(reason))")
    } else {
      let scriptPath = String(path.dropLast(ReproFile.suffix.count)) + ".sql"
      _ = Console.put(Array(script.text.utf8), to: scriptPath)
      also.append("sql=\(scriptPath)")
    }
    FailureLayout(
      finding: verdict.finding ?? shrinker.finding, title: source.title, verdict: verdict, seconds: clock.seconds,
      shrunk: "\(before) → \(shrinker.size), \(shrinker.runCount) runs, \(decimals(clock.seconds, 1)) s",
      replay: path, also: also
    ).show()
    if verdict.finding?.oracle != finding.oracle {
      throw ValidationError("the repro file does not fail as the run does")
    }
  }

  private static func name(_ source: SimulationSource, _ world: WorldOptions) -> String {
    switch source {
    case .seed(let seed): (world.plant.map { $0 + "-" } ?? "") + "\(seed)"
    case .file(let path, _):
      String(path.dropLast(path.hasSuffix(ReproFile.suffix) ? ReproFile.suffix.count : 0)) + "-small"
    }
  }
}
