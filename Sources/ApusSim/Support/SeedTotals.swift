// What many seeds came to together, and how far they are.

import ApusHarness
import ApusSimulation

struct SeedTotals {
  private(set) var seedCount = 0
  private(set) var commitCount = 0
  private(set) var cutCount = 0
  private(set) var droppedCount = 0
  private(set) var listCount = 0
  private(set) var replayedCount = 0
  private(set) var skewCount = 0
  private(set) var eventCount = 0
  private(set) var failureCount = 0
  private(set) var features: [String: Int] = [:]
  private(set) var faults: [String: FaultTally] = [:]
  private(set) var buggifyHits: [String: Int] = [:]
  private(set) var oracles: [String: Int] = [:]

  mutating func add(_ report: SeedReport) {
    seedCount += 1
    commitCount += report.commitCount
    cutCount += report.cutCount
    droppedCount += report.droppedCount
    listCount += report.listCount
    replayedCount += report.replayedCount
    skewCount += report.skewCount
    eventCount += report.eventCount
    for feature in report.features { features[feature, default: 0] += 1 }
    for (name, tally) in report.faults { faults[name, default: FaultTally()] += tally }
    for (name, count) in report.buggifyHits { buggifyHits[name, default: 0] += count }
    if let finding = report.finding {
      failureCount += 1
      oracles[finding.oracle.rawValue, default: 0] += 1
    }
  }

  func text(_ seconds: Double) -> String {
    "\(grouped(seedCount)) seeds, \(grouped(commitCount)) commits, \(grouped(cutCount)) power cuts, "
      + "\(grouped(droppedCount)) dropped statements, \(grouped(eventCount)) events in \(decimals(seconds, 1)) s "
      + "(\(decimals(Double(seedCount) / max(0.001, seconds), 1)) seeds a second)\(checked)"
  }

  /// How many transactions the isolation checker and the replay over keys have found in order.
  private var checked: String {
    if listCount + replayedCount == 0 { return "" }
    return "; in order: \(grouped(listCount)) concurrent transactions over lists, \(grouped(replayedCount)) over keys"
      + (skewCount == 0 ? "" : ", with \(grouped(skewCount)) write skews at snapshot isolation")
  }
}

/// How long a command has run, and may run.
struct RunClock: Sendable {
  private let start = Console.nanoseconds()
  private let limit: Double?

  init(minutes: Double? = nil) { limit = minutes.map { $0 * 60 } }
  init(seconds: Double) { limit = seconds }

  var seconds: Double { Double(Console.nanoseconds() - start) / 1e9 }
  var mayGoOn: Bool { limit.map { seconds < $0 } ?? true }
}

/// A line on standard error every few seconds.
struct Progress {
  private let clock: RunClock
  private let count: Int?
  private let minutes: Double?
  private var shownAt = 0.0
  private static let everySeconds = 5.0

  init(_ clock: RunClock, count: Int?, minutes: Double? = nil) {
    self.clock = clock
    self.count = count
    self.minutes = minutes
  }

  mutating func note(_ totals: SeedTotals) {
    let now = clock.seconds
    if now - shownAt < Self.everySeconds { return }
    shownAt = now
    let rate = Double(totals.seedCount) / max(0.001, now)
    var left: [Double] = []
    if let count { left.append(Double(count - totals.seedCount) / max(0.001, rate)) }
    if let minutes { left.append(minutes * 60 - now) }
    let end = left.min().map { ", \(Int(max(0, $0))) s left" } ?? ""
    let of = count.map { "/\($0)" } ?? ""
    Console.error("\(totals.seedCount)\(of) seeds, \(decimals(rate, 1)) a second, \(totals.failureCount) failed\(end)")
  }
}
