// What became of each planted bug, and of all.

import ApusSimulation

struct MutantResult {
  var plant: Plant
  var seedCount = 0
  /// The number of the first seed that killed it.
  var killSeeds: Int?
  var killCount = 0
  var oracle: Finding.Oracle?
  /// Findings of oracles that are not on its list.
  var others: [String: Int] = [:]
  var seconds = 0.0
  var control: String?
  var isControlBroken = false

  init(plant: Plant) { self.plant = plant }

  var isKilled: Bool { plant.isCanary ? killCount == seedCount && seedCount > 0 : killSeeds != nil }
  var isAsExpected: Bool { isKilled && !isControlBroken }

  private var otherText: String {
    others.isEmpty
      ? ""
      : "; not counted: " + others.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)x" }.joined(separator: " ")
  }

  var text: String {
    let expected = plant.oracles.map(\.number).sorted().joined(separator: " ")
    var text = "\(plant.name) (\(plant.layer)): "
    if plant.isCanary {
      text += "\(killCount) of \(seedCount) seeds ring the alarm"
    } else if let killSeeds, let oracle {
      text += "killed by \(oracle.rawValue) in \(killSeeds) seeds"
    } else {
      text += "SURVIVES \(seedCount) seeds"
    }
    text += ", \(decimals(seconds, 1)) s; expected \(expected)\(otherText)"
    if let control { text += "; control: \(control)" }
    return text
  }

  var line: FieldLine {
    var line = FieldLine()
    line.add("plant", plant.name)
    line.add("layer", plant.layer)
    line.add("meaning", plant.meaning)
    line.add("expected", plant.oracles.map(\.number).sorted().joined(separator: " "))
    line.add("seeds", seedCount)
    line.add("killed", isKilled ? 1 : 0)
    if let killSeeds { line.add("killSeeds", killSeeds) }
    if let oracle { line.add("oracle", oracle.rawValue) }
    line.add("others", others.sorted { $0.key < $1.key }.map { "\($0.key):\($0.value)" }.joined(separator: " "))
    line.add("milliseconds", Int(seconds * 1000))
    if let control { line.add("control", control) }
    return line
  }
}

struct MutationScore {
  private let results: [MutantResult]

  init(_ results: [MutantResult]) { self.results = results }

  var lines: [String] {
    let scored = results.filter { !$0.plant.isCanary }
    if scored.isEmpty { return [] }
    var layers: [String] = []
    for result in scored where !layers.contains(result.plant.layer) { layers.append(result.plant.layer) }
    var lines = layers.map { layer in row(layer, scored.filter { $0.plant.layer == layer }) }
    lines.append(row("all", scored))
    let broken = scored.filter(\.isControlBroken).map(\.plant.name)
    let controlled = scored.count { $0.control != nil }
    lines.append("negative controls: \(controlled - broken.count) of \(controlled) as expected")
    for canary in results where canary.plant.isCanary {
      lines.append("canary: \(canary.isKilled ? "always fails, as it must" : "DOES NOT ALWAYS FAIL")")
    }
    return lines
  }

  private func row(_ name: String, _ results: [MutantResult]) -> String {
    let killed = results.filter(\.isKilled)
    let counts = killed.compactMap(\.killSeeds).sorted()
    let median = counts.isEmpty ? "none" : "\(counts[counts.count / 2])"
    let padding = String(repeating: " ", count: max(1, 26 - name.count))
    let share = decimals(100 * Double(killed.count) / Double(max(1, results.count)), 1)
    return "\(name)\(padding)\(killed.count) of \(results.count) killed (\(share) %), median \(median) seeds to kill"
  }
}
