// apus-sim scenario: a class of corruption, on the sound engine and with its planted bugs.

import ApusHarness
import ApusSimulation
import ArgumentParser

struct ScenarioCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "scenario", abstract: "Runs a named class of corruption: clean, and with its planted bugs.",
    discussion:
      "Without a name it lists them. The clean engine must pass, each planted bug must be found within the budget.")

  @Argument(help: "The scenario's name, or 'all'.") var name: String?
  @Option(help: "How many seeds on the clean engine.") var seeds = 200
  @Option(name: [.customShort("j"), .customLong("jobs")], help: "How many processes.") var jobs = 2

  func run() throws {
    guard let name else { return list() }
    let chosen = name == "all" ? Scenario.all : Scenario.all.filter { $0.name == name }
    if chosen.isEmpty { throw ValidationError("unknown scenario '\(name)'; see apus-sim scenario") }
    var failureCount = 0
    for scenario in chosen {
      Console.line("\(scenario.name): \(scenario.symptom)")
      failureCount += runClean(scenario) ? 0 : 1
      for plant in scenario.plants { failureCount += try catches(plant, scenario) ? 0 : 1 }
    }
    if failureCount > 0 { throw ExitCode(1) }
  }

  private func list() {
    for scenario in Scenario.all {
      Console.line("\(scenario.name)\n    \(scenario.symptom); budget \(scenario.budgetSeconds) s")
      if !scenario.plants.isEmpty { Console.line("    finds " + scenario.plants.joined(separator: ", ")) }
    }
    for due in Scenario.due { Console.line("\(due.name)\n    \(due.symptom); due: \(due.reason)") }
  }

  private func runClean(_ scenario: Scenario) -> Bool {
    let world = WorldOptions(scenario: scenario.name)
    let clock = RunClock()
    var failure: SeedReport?
    var count = 0
    SeedPool(world: world, jobCount: jobs).run(from: 1, count: seeds) { report in
      count += 1
      if report.finding != nil { failure = report }
      return failure == nil
    }
    if let failure { RunCommand.show(failure, world) }
    Console.line("  clean: \(failure == nil ? "pass" : "FAIL") (\(count) seeds, \(decimals(clock.seconds, 1)) s)")
    return failure == nil
  }

  private func catches(_ name: String, _ scenario: Scenario) throws -> Bool {
    guard let plant = Plant.named(name) else {
      Console.line("  \(name): not in this build")
      return false
    }
    let world = WorldOptions(scenario: scenario.name, plant: name)
    let clock = RunClock(seconds: Double(scenario.budgetSeconds))
    var caught: SeedReport?
    var count = 0
    SeedPool(world: world, jobCount: jobs, chunkCount: 5).run(from: 1, count: nil, mayGoOn: { clock.mayGoOn }) {
      report in
      count += 1
      if let finding = report.finding, plant.oracles.contains(finding.oracle) { caught = report }
      return caught == nil && clock.mayGoOn
    }
    let seconds = decimals(clock.seconds, 1)
    guard let caught, let finding = caught.finding else {
      Console.line("  \(name): NOT FOUND in \(count) seeds, \(seconds) s")
      return false
    }
    Console.line("  \(name): found by \(finding.oracle.rawValue), seed \(caught.seed), \(count) seeds, \(seconds) s")
    return true
  }
}
