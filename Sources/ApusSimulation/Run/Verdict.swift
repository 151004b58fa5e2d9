// What a run found.

public struct Finding: Error, Sendable, CustomStringConvertible {
  public enum Oracle: String, CaseIterable, Sendable {
    case read = "O3 model", durability = "O4 durability", walk = "O1 integrity walk", snapshot = "O5 snapshot"
    case error = "O10 unexpected error", liveness = "O8 liveness", leak = "O9 leaks", logAudit = "O13 log audit"
    case pragma = "O15 pragma effect", faultAccount = "O17 fault accounting"
    case logSize = "O18 log size"
    // Seen from outside of a run: two of a seed, a process that stops, a dropped statement.
    case determinism = "O11 determinism", trap = "O14 trap", cancellation = "A1 cancellation"
  }

  public var oracle: Oracle
  public var text: String

  public init(oracle: Oracle, text: String) {
    self.oracle = oracle
    self.text = text
  }

  public var description: String { "\(oracle.rawValue): \(text)" }
}

public struct Verdict: Sendable {
  /// The seed, or the tape, that it came from.
  public var choices: ChoiceSource.Origin
  public var profile: SimulationProfile
  public var finding: Finding?
  /// Where in the run it ended.
  public var step: Int
  public var traceHash: String
  public var eventCount: Int
  public var commitCount: Int
  public var cutCount: Int
  public var droppedCount: Int
  /// Concurrent transactions whose lists the isolation checker has found in order.
  public var listCount: Int
  /// Transactions over keys that were done once more in the order of the log, and answered the same.
  public var replayedCount: Int
  /// How often what was answered at snapshot isolation is explained by snapshots, and by no serial order.
  public var skewCount: Int
  /// Faults and buggify points that it has met.
  public var coverage: Coverage
  /// With the events, where they were asked for.
  public var trace: TraceHash
  /// What was drawn, where that was asked for.
  public var tape: Tape

  public var seed: UInt64? { if case .seed(let seed) = choices { seed } else { nil } }
}
