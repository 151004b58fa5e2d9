// What only a build with planted bugs has: the bugs and the buggify points. Without the trait everything here is empty.

import ApusBase
import ApusSimulation

enum BuggifyNames {
  static var all: [String] {
    #if PlantedBugs
      BuggifyPoint.allCases.map { "\($0)" }
    #else
      []
    #endif
  }
}

/// A planted bug as the table has it.
struct Plant {
  var name: String
  var layer: String
  var meaning: String
  var oracles: Set<Finding.Oracle>
  /// What must happen in a run before it can show: "powerCut", "fault", ...
  var need: String
  /// It must be found by every seed: it proves that the alarm rings.
  var isCanary: Bool

  static var all: [Plant] {
    #if PlantedBugs
      PlantedBug.allCases.map { bug in
        let entry = bug.entry
        return Plant(
          name: bug.rawValue, layer: entry.layer.rawValue, meaning: entry.meaning, oracles: entry.oracles,
          need: entry.need.rawValue, isCanary: entry.layer == .canary)
      }
    #else
      []
    #endif
  }

  static func named(_ name: String) -> Plant? { all.first { $0.name == name } }

  /// Switches it on for this process.
  func activate() {
    #if PlantedBugs
      PlantedBug.plant(PlantedBug(rawValue: name))
    #endif
  }
}
