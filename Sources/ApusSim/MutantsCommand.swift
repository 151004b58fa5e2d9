// apus-sim mutants: how many of the planted bugs does the simulator find, and how soon? A bug is killed where a seed trips an
// oracle of its list; nothing tells the run which bug it is. The sound engine must find nothing in as many seeds (`run`).

import ApusHarness
import ApusSimulation
import ArgumentParser

struct MutantsCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "mutants", abstract: "The mutation score: which planted bugs are found, in how many seeds.")

  @OptionGroup var world: WorldOptions
  @Option(help: "Most seeds for one bug.") var seeds = 1000
  @Option(help: "The first seed.") var seed: UInt64 = 1
  @Option(help: "Only this bug; may be given more than once.") var only: [String] = []
  @Option(help: "Seeds that a bug must survive in the world that has not what it needs.") var controlSeeds = 60
  @Option(name: [.customShort("j"), .customLong("jobs")], help: "How many processes.") var jobs = 2
  @Option(help: "Append a line for each bug to this file, for `report`.") var save: String?
  @Flag(help: "A line of JSON for each bug.") var json = false

  func run() throws {
    let chosen = try choose()
    var results: [MutantResult] = []
    for plant in chosen {
      let result = try hunt(plant)
      results.append(result)
      if json { Console.line(result.line.json) } else { Console.line(result.text) }
      if let save { try append(result.line.line, to: save) }
    }
    let score = MutationScore(results)
    if !json { for line in score.lines { Console.line(line) } }
    if results.contains(where: { !$0.isAsExpected }) { throw ExitCode(1) }
  }

  private func choose() throws -> [Plant] {
    if Plant.all.isEmpty { throw ValidationError("this build has no planted bugs; build with --traits PlantedBugs") }
    if only.isEmpty { return Plant.all }
    return try only.map { name in
      guard let plant = Plant.named(name) else {
        throw ValidationError("unknown planted bug '\(name)'; see apus-sim plants")
      }
      return plant
    }
  }

  private func hunt(_ plant: Plant) throws -> MutantResult {
    var result = MutantResult(plant: plant)
    let clock = RunClock()
    var options = world
    options.plant = plant.name
    let count = plant.isCanary ? min(20, seeds) : seeds
    // In other worlds the file may be damaged, and nothing asked of it, before anybody has looked.
    if plant.isCanary, options.profile == nil, options.scenario == nil { options.profile = .mixed }
    SeedPool(world: options, jobCount: max(1, jobs), chunkCount: 10).run(from: seed, count: count) { report in
      result.seedCount += 1
      guard let finding = report.finding else { return true }
      if !plant.oracles.contains(finding.oracle) {
        result.others[finding.oracle.number, default: 0] += 1
        return true
      }
      result.killCount += 1
      result.killSeeds = min(result.killSeeds ?? .max, Int(report.seed - seed) + 1)
      result.oracle = result.oracle ?? finding.oracle
      return plant.isCanary
    }
    result.seconds = clock.seconds
    guard plant.need != "nothing", let control = Scenario.control(without: plant.need) else { return result }
    let quiet = WorldOptions(scenario: control, plant: plant.name)
    result.control = "survives \(controlSeeds) seeds without"
    SeedPool(world: quiet, jobCount: max(1, jobs), chunkCount: 10).run(from: seed, count: controlSeeds) { report in
      guard let finding = report.finding else { return true }
      result.control = "FOUND without, seed \(report.seed), \(finding.oracle.rawValue)"
      result.isControlBroken = true
      return false
    }
    return result
  }

  private func append(_ line: String, to path: String) throws {
    let before = Console.contents(of: path) ?? []
    guard Console.put(before + Array((line + "\n").utf8), to: path) else {
      throw ValidationError("\(path) cannot be written")
    }
  }
}
