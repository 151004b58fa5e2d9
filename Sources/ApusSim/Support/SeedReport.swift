// What one seed came to, as it goes from a worker process to the one that asked.

import ApusSimulation

struct SeedReport {
  var seed: UInt64
  var finding: Finding?
  var hash = ""
  var step = 0
  var eventCount = 0
  var commitCount = 0
  var cutCount = 0
  var droppedCount = 0
  /// Concurrent transactions whose lists were found in order; transactions over keys that were done once more.
  var listCount = 0, replayedCount = 0
  /// How often only snapshots explain what was answered.
  var skewCount = 0
  var microseconds = 0
  var profile = ""
  var features: [String] = []
  /// Faults by kind that the run has met.
  var faults: [(name: String, tally: FaultTally)] = []
  /// Buggify points that fired.
  var buggifyHits: [(name: String, count: Int)] = []

  init(seed: UInt64, _ verdict: Verdict, microseconds: Int) {
    self.seed = seed
    finding = verdict.finding
    hash = verdict.traceHash
    step = verdict.step
    eventCount = verdict.eventCount
    commitCount = verdict.commitCount
    cutCount = verdict.cutCount
    droppedCount = verdict.droppedCount
    listCount = verdict.listCount
    replayedCount = verdict.replayedCount
    skewCount = verdict.skewCount
    self.microseconds = microseconds
    profile = verdict.profile.description
    features = verdict.profile.features
    faults = zip(FaultKind.allCases, verdict.coverage.faults).filter { $0.1.injected > 0 }.map { ($0.0.name, $0.1) }
    buggifyHits = BuggifyNames.all.enumerated().compactMap { place, name in
      let hits = verdict.coverage.buggifyHits
      return place < hits.count && hits[place] > 0 ? (name, hits[place]) : nil
    }
  }

  /// A seed during which the process stopped.
  init(seed: UInt64, trap: String) {
    self.seed = seed
    finding = Finding(oracle: .trap, text: trap)
  }

  var line: FieldLine {
    var line = FieldLine()
    line.add("seed", Int(truncatingIfNeeded: seed))
    if let finding {
      line.add("oracle", finding.oracle.word)
      line.add("finding", finding.text)
    }
    line.add("hash", hash)
    line.add("step", step)
    line.add("events", eventCount)
    line.add("commits", commitCount)
    line.add("cuts", cutCount)
    line.add("drops", droppedCount)
    line.add("lists", listCount)
    line.add("replayed", replayedCount)
    line.add("skews", skewCount)
    line.add("microseconds", microseconds)
    line.add("profile", profile)
    line.add("features", features.joined(separator: "|"))
    line.add(
      "faults",
      faults.map { "\($0.name):\($0.tally.injected):\($0.tally.retried):\($0.tally.surfaced):\($0.tally.healed)" }
        .joined(separator: "|"))
    line.add("buggify", buggifyHits.map { "\($0.name):\($0.count)" }.joined(separator: "|"))
    return line
  }

  init?(_ line: FieldLine) {
    guard let seed = line.number("seed") else { return nil }
    self.seed = UInt64(bitPattern: Int64(seed))
    if let word = line.text("oracle"), let oracle = Finding.Oracle(word: word) {
      finding = Finding(oracle: oracle, text: line.text("finding") ?? "")
    }
    hash = line.text("hash") ?? ""
    step = line.number("step") ?? 0
    eventCount = line.number("events") ?? 0
    commitCount = line.number("commits") ?? 0
    cutCount = line.number("cuts") ?? 0
    droppedCount = line.number("drops") ?? 0
    listCount = line.number("lists") ?? 0
    replayedCount = line.number("replayed") ?? 0
    skewCount = line.number("skews") ?? 0
    microseconds = line.number("microseconds") ?? 0
    profile = line.text("profile") ?? ""
    features = (line.text("features") ?? "").split(separator: "|").map(String.init)
    faults = (line.text("faults") ?? "").split(separator: "|").compactMap { part in
      let words = part.split(separator: ":")
      guard words.count == 5 else { return nil }
      let numbers = words.dropFirst().map { Int($0) ?? 0 }
      var tally = FaultTally()
      (tally.injected, tally.retried, tally.surfaced, tally.healed) = (numbers[0], numbers[1], numbers[2], numbers[3])
      return (String(words[0]), tally)
    }
    buggifyHits = (line.text("buggify") ?? "").split(separator: "|").compactMap { part in
      let words = part.split(separator: ":")
      return words.count == 2 ? (String(words[0]), Int(words[1]) ?? 0) : nil
    }
  }
}
