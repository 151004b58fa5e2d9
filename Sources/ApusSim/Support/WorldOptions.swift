// The options that say which world a run takes place in, and with which bug.

import ApusSimulation
import ArgumentParser

extension SimulationProfile.Kind: ExpressibleByArgument {}

struct WorldOptions: ParsableArguments {
  @Option(help: "The kind of world: mixed, calm, power, flaky, rot, ops or inferno. By default they take turns.")
  var profile: SimulationProfile.Kind?

  @Option(help: "The world of a scenario; `apus-sim scenario` lists them.")
  var scenario: String?

  @Option(help: "Run with a planted bug; `apus-sim plants` lists them.")
  var plant: String?

  init() {}

  init(profile: SimulationProfile.Kind? = nil, scenario: String? = nil, plant: String? = nil) {
    self.profile = profile
    self.scenario = scenario
    self.plant = plant
  }

  func validate() throws {
    if let scenario, Scenario.named(scenario) == nil {
      throw ValidationError("unknown scenario '\(scenario)'; see apus-sim scenario")
    }
    if let plant, Plant.named(plant) == nil {
      let advice = Plant.all.isEmpty ? "this build has none; build with --traits PlantedBugs" : "see apus-sim plants"
      throw ValidationError("unknown planted bug '\(plant)'; \(advice)")
    }
  }

  var settings: RunSettings {
    RunSettings(kind: profile, scenario: scenario.flatMap { Scenario.named($0) })
  }

  func activatePlant() { plant.flatMap { Plant.named($0) }?.activate() }

  /// The same options on a command line.
  var arguments: [String] {
    var words: [String] = []
    if let profile { words += ["--profile", profile.rawValue] }
    if let scenario { words += ["--scenario", scenario] }
    if let plant { words += ["--plant", plant] }
    return words
  }
}
