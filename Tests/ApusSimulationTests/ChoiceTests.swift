// The tape is a run: recorded and replayed it gives the same trace, and any part of it still is a run.

import ApusBase
import ApusSimulation
import Testing

@Suite("The choice source")
struct ChoiceTests {
  @Test("a recorded tape replays to the same trace", arguments: UInt64(1)...6)
  func replaysTape(seed: UInt64) {
    let first = Simulation(ChoiceSource(.seed(seed), records: true)).run()
    let second = Simulation(ChoiceSource(.tape(first.tape), records: true)).run()
    #expect(first.traceHash == second.traceHash, "seed \(seed)")
    #expect(first.tape == second.tape, "seed \(seed)")
  }

  @Test("recording changes nothing", arguments: UInt64(1)...3)
  func recordsSilently(seed: UInt64) {
    let recorded = Simulation(ChoiceSource(.seed(seed), records: true)).run()
    #expect(recorded.traceHash == Simulation(seed: seed).run().traceHash, "seed \(seed)")
  }

  @Test("a tape with a part missing is a run that finds nothing", arguments: UInt64(1)...12)
  func forgivesMissingParts(seed: UInt64) {
    var tape = Simulation(ChoiceSource(.seed(seed % 4 + 1), records: true)).run().tape
    var random = SeededRandom(seed: seed)
    for place in tape.streams.indices {
      var nodes = tape.streams[place].nodes
      Self.removeSome(of: &nodes, &random)
      tape.streams[place].nodes = nodes
    }
    let verdict = Simulation(ChoiceSource(.tape(tape))).run()
    #expect(verdict.finding == nil, "seed \(seed)")
  }

  private static func removeSome(of nodes: inout [TapeNode], _ random: inout SeededRandom) {
    nodes = nodes.compactMap { node in
      if random.oneIn(5) { return nil }
      guard case .span(let span, var inner) = node else { return node }
      removeSome(of: &inner, &random)
      return .span(span, inner)
    }
  }

  @Test("an empty tape is the simplest run")
  func acceptsEmptyTape() {
    let verdict = Simulation(ChoiceSource(.tape(Tape()))).run()
    #expect(verdict.finding == nil && verdict.commitCount == 0 && verdict.cutCount == 1)
  }

  @Test("a choice finds its own name behind others, and is 0 where it cannot")
  func skipsOthers() {
    let nodes: [TapeNode] = [
      .choice(.kind, 3), .choice(.key, 5), .span(.step, [.choice(.key, 1)]), .choice(.key, 9),
      .span(.step, [.choice(.key, 2)]),
    ]
    let stream = ChoiceSource(.tape(Tape(streams: [Tape.Stream(name: "x", nodes: nodes)]))).stream("x")
    #expect(stream.below(10, .key) == 5)
    #expect(stream.below(10, .key) == 0)
    stream.begin(.step)
    #expect(stream.below(10, .key) == 1 && stream.below(10, .key) == 0)
    stream.end(.step)
    #expect(stream.below(9, .key) == 0 && stream.begins(.step, if: false))
    #expect(stream.below(10, .key) == 2)
    stream.end(.step)
    #expect(!stream.begins(.step, if: true))
  }
}
