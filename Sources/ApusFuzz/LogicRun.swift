// The logic tester for a time: one database after the other, each from its seed; a histogram, and each finding with its seed.

import ApusFuzzing
import ApusHarness

enum LogicRun {
  private static let findingCountMax = 20

  static func run(_ options: FuzzCommand.Options) throws(EngineFailure) -> Bool {
    let tester: LogicTester
    if options.engine == "apus" {
      tester = .ours()
    } else {
      let engine = try Engines.named(options.engine)
      tester = LogicTester { () throws(EngineFailure) in try engine.open(":memory:", readOnly: false) }
    }
    let began = Console.nanoseconds(), end = began + UInt64(options.seconds) * 1_000_000_000
    var worlds = 0, findings = 0
    while worlds < options.worlds, Console.nanoseconds() < end, findings < findingCountMax {
      let seed = options.seed &+ UInt64(worlds)
      worlds += 1
      guard let finding = try tester.run(seed: seed) else { continue }
      findings += 1
      Console.line(
        "FINDING \(finding)\n  again: apus-fuzz logic --worlds 1 --seed \(seed) --engine \(options.engine)\n")
    }
    let milliseconds = max(1, (Console.nanoseconds() - began) / 1_000_000)
    let widest = tester.histogram.values.max() ?? 1
    for (feature, count) in tester.histogram.sorted(by: { ($0.key) < ($1.key) }) {
      let bar = String(repeating: "#", count: max(1, count * 40 / widest))
      let name = feature + String(repeating: " ", count: max(1, 44 - feature.count))
      Console.line("  \(name)\(String(repeating: " ", count: max(0, 9 - "\(count)".count)))\(count) \(bar)")
    }
    Console.line(
      "logic: \(worlds) databases, \(tester.checkCount) checks (\(tester.skippedCount) skipped), \(findings) findings, "
        + "\(UInt64(tester.checkCount) * 1000 / milliseconds) checks/s, seeds \(options.seed)..<\(options.seed &+ UInt64(worlds))"
    )
    return findings == 0 && tester.checkCount > 0
  }
}
