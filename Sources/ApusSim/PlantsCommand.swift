// apus-sim plants: the table of the planted bugs.

import ApusHarness
import ApusSimulation
import ArgumentParser

struct PlantsCommand: ParsableCommand {
  static let configuration = CommandConfiguration(commandName: "plants", abstract: "Lists the planted bugs, by layer.")

  func run() throws {
    if Plant.all.isEmpty { Console.line("this build has none; build with --traits PlantedBugs") }
    var layers: [String] = []
    for plant in Plant.all where !layers.contains(plant.layer) { layers.append(plant.layer) }
    for layer in layers {
      Console.line(layer)
      for plant in Plant.all where plant.layer == layer {
        let oracles = plant.oracles.map(\.number).sorted().joined(separator: " ")
        let need = plant.need == "nothing" ? "" : "; needs \(plant.need)"
        Console.line("  \(plant.name)\n      \(plant.meaning) (\(oracles)\(need))")
      }
    }
    Console.line("\(Plant.all.count) planted bugs")
  }
}
