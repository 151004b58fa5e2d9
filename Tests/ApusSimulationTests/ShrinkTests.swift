// The shrinker keeps what matters and nothing else. What "fails" here is a pattern on the tape, so that the smallest is known.

import ApusSimulation
import Testing

@Suite("The shrinker")
struct ShrinkTests {
  private static func contains(_ nodes: [TapeNode], _ isWanted: (Choice, UInt64) -> Bool) -> Bool {
    nodes.contains { node in
      switch node {
      case .choice(let choice, let value): isWanted(choice, value)
      case .span(_, let inner): contains(inner, isWanted)
      }
    }
  }

  @Test("a run that fails for two statements of two clients keeps them alone", arguments: UInt64(1)...3)
  func keepsWhatMatters(seed: UInt64) {
    func fails(_ tape: Tape) -> Bool {
      Self.contains(tape["client 0"]) { $0 == .rowK && $1 >= 7 }
        && Self.contains(tape["client 1"]) { $0 == .key && $1 >= 3 }
    }
    func run(_ tape: Tape) -> ShrinkOutcome {
      ShrinkOutcome(finding: fails(tape) ? Finding(oracle: .read, text: "both") : nil, tape: tape)
    }
    // A seed with two clients that have much to say.
    var tape = Tape()
    var first = seed * 100
    while !fails(tape) {
      tape = RunSettings(kind: .mixed).run(.seed(first), records: true).tape
      first += 1
    }
    var shrinker = Shrinker(tape, Finding(oracle: .read, text: "both"), mayGoOn: { true }, run: run)
    shrinker.shrink()
    #expect(fails(shrinker.tape), "seed \(seed)")
    #expect(shrinker.size.statementCount == 2 && shrinker.size.transactionCount == 2, "seed \(seed): \(shrinker.size)")
    #expect(shrinker.size.stepCount == 0 && shrinker.size.weight == 10, "seed \(seed): \(shrinker.size)")
  }
}
