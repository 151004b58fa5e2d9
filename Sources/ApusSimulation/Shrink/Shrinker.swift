// Delta debugging over the tape: ever smaller parts are taken out as long as the same oracle finds something.
// Source: A. Zeller, R. Hildebrandt, "Simplifying and isolating failure-inducing input", 2002.
//
// In order: whole streams of faults, clients, eras, transactions, statements, steps of the schedule, single faults, and at last
// every choice towards 0. A run that still fails is recorded anew, so that the next round starts from what it really drew.

public struct ShrinkOutcome: Sendable {
  public var finding: Finding?
  public var tape: Tape

  public init(finding: Finding?, tape: Tape) {
    self.finding = finding
    self.tape = tape
  }
}

public struct Shrinker {
  private let oracle: Finding.Oracle
  private let run: (Tape) -> ShrinkOutcome
  private let mayGoOn: () -> Bool
  public private(set) var tape: Tape
  public private(set) var finding: Finding
  public private(set) var size: TapeSize
  public private(set) var runCount = 0

  /// - Parameters:
  ///   - tape: recorded in a run that fails so.
  ///   - mayGoOn: false when the time is over.
  ///   - run: replays a tape, and records it.
  public init(
    _ tape: Tape, _ finding: Finding, mayGoOn: @escaping () -> Bool, run: @escaping (Tape) -> ShrinkOutcome
  ) {
    self.tape = tape
    self.finding = finding
    oracle = finding.oracle
    size = tape.size
    self.run = run
    self.mayGoOn = mayGoOn
  }

  /// Shrinks until nothing gets smaller any more, or the time is over.
  public mutating func shrink() {
    var before: TapeSize
    repeat {
      before = size
      dropStreams()
      dropClients()
      dropEras()
      sweep({ $0.spans(.transaction) }) { [$0.removingWithSteps($1), $0.removing($1)] }
      sweep({ $0.spans(.statement) }) { [$0.removingWithSteps($1), $0.removing($1)] }
      sweep({ $0.spans(.step) }) { [$0.removing($1)] }
      sweep({ $0.nonzeroChoices { !$0.hasPrefix(Tape.clientPrefix) && $0 != "schedule" && $0 != "profile" } }) {
        [$0.settingToZero($1)]
      }
      sweep({ $0.nonzeroChoices { $0 == "schedule" } }) { [$0.settingToZero($1)] }
      sweep({ $0.nonzeroChoices { $0 == "profile" } }) { [$0.settingToZero($1)] }
      sweep({ $0.nonzeroChoices { $0.hasPrefix(Tape.clientPrefix) } }) { [$0.settingToZero($1)] }
      lowerValues()
    } while size < before && mayGoOn()
  }

  /// Takes `candidate` where it fails as the tape does, and is smaller.
  private mutating func accepts(_ candidate: Tape) -> Bool {
    if candidate == tape || !mayGoOn() { return false }
    runCount += 1
    let outcome = run(candidate)
    guard let found = outcome.finding, found.oracle == oracle, outcome.tape.size < size else { return false }
    tape = outcome.tape
    finding = found
    size = tape.size
    return true
  }

  private mutating func dropStreams() {
    for name in tape.streams.map(\.name) where !name.hasPrefix(Tape.clientPrefix) && name != "schedule" {
      var candidate = tape
      candidate[name] = []
      _ = accepts(candidate)
    }
  }

  private mutating func dropClients() {
    for name in tape.streams.map(\.name) where name.hasPrefix(Tape.clientPrefix) {
      _ = accepts(tape.removingClient(name))
    }
    // Fewer connections, where the last ones have nothing to say.
    for path in tape.parts({ stream, node in stream == "profile" && node.isChoice(.clientCount) }) {
      guard case .choice(_, let value)? = tape[path] else { continue }
      for fewer in 0..<value where accepts(tape.changing([path]) { _ in .choice(.clientCount, fewer) }) { break }
    }
  }

  private mutating func dropEras() {
    var number = 0
    while number < (tape["schedule"].count { $0.isSpan(.era) }), mayGoOn() {
      let fewer = tape.parts { stream, node in stream == "profile" && node.isChoice(.cutCount) }
      let candidate = tape.removingEra(number).changing(fewer) { node in
        guard case .choice(let choice, let value) = node, value > 0 else { return node }
        return .choice(choice, value - 1)
      }
      if !accepts(candidate) { number += 1 }
    }
  }

  /// Takes out, or changes, ever smaller runs of parts.
  private mutating func sweep(_ list: (Tape) -> [TapePath], _ candidates: (Tape, [TapePath]) -> [Tape]) {
    var length = list(tape).count
    while length > 0, mayGoOn() {
      var start = 0
      while true {
        let parts = list(tape)
        guard start < parts.count, mayGoOn() else { break }
        let chunk = Array(parts[start..<min(parts.count, start + length)])
        var isTaken = false
        for candidate in candidates(tape, chunk) where !isTaken { isTaken = accepts(candidate) }
        if !isTaken || list(tape).count >= parts.count { start += length }
      }
      length /= 2
    }
  }

  /// Each choice towards 0: halves, then by one.
  private mutating func lowerValues() {
    var number = 0
    while mayGoOn() {
      let parts = tape.nonzeroChoices { _ in true }
      guard number < parts.count, case .choice(let choice, let value)? = tape[parts[number]] else { return }
      var isLower = false
      if choice != .ran {
        for lower in [value / 2, value - 1] where lower > 0 && lower < value && !isLower {
          isLower = accepts(tape.changing([parts[number]]) { _ in .choice(choice, lower) })
        }
      }
      if !isLower { number += 1 }
    }
  }
}

extension Tape {
  func spans(_ span: Span) -> [TapePath] { parts { _, node in node.isSpan(span) } }

  func nonzeroChoices(_ isWanted: (String) -> Bool) -> [TapePath] {
    parts { stream, node in
      guard isWanted(stream), case .choice(let choice, let value) = node else { return false }
      return value != 0 && choice != .atStep
    }
  }

  func settingToZero(_ parts: [TapePath]) -> Tape {
    changing(parts) { node in
      if case .choice(let choice, _) = node { return .choice(choice, 0) }
      return node
    }
  }
}

extension TapeNode {
  func isChoice(_ wanted: Choice) -> Bool {
    if case .choice(wanted, _) = self { return true }
    return false
  }
}
