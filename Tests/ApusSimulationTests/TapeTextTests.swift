// A kept failure outlives the code that made it: its text says what it says, whatever else is in it.

import ApusSimulation
import Testing

@Suite("The tape as text")
struct TapeTextTests {
  @Test("what is written is read again", arguments: UInt64(1)...6)
  func roundTrips(seed: UInt64) throws {
    let tape = RunSettings().run(.seed(seed), records: true).tape
    #expect(try Tape(text: tape.text) == Tape(streams: tape.streams.filter { !$0.nodes.isEmpty }), "seed \(seed)")
  }

  @Test("a tape without its zeros is the same run", arguments: UInt64(1)...6)
  func simplifies(seed: UInt64) throws {
    let verdict = RunSettings().run(.seed(seed), records: true)
    let again = RunSettings().run(.tape(try Tape(text: verdict.tape.simplified.text)))
    #expect(again.traceHash == verdict.traceHash, "seed \(seed)")
  }

  @Test("names that are no longer known are left out")
  func forgivesUnknownNames() throws {
    let text = """
      # a comment
      stream schedule
        era
          step formerChoice=7 clockAdvance=3
          2 * formerSpan clockAdvance=9
            step clockAdvance=8
          3 * step ran=2
          - completes=1*4
      """
    let tape = try Tape(text: text)
    let step = TapeNode.span(.step, [.choice(.ran, 2)])
    let era: [TapeNode] =
      [.span(.step, [.choice(.clockAdvance, 3)]), step, step, step] + Array(repeating: .choice(.completes, 1), count: 4)
    #expect(tape["schedule"] == [.span(.era, era)])
  }

  @Test(
    "a line that is none is refused with its number",
    arguments: ["era", "stream x\n  step a", "stream x\n  0 * step", "stream x\n  step clockAdvance=x", "  step"])
  func refusesNonsense(text: String) {
    #expect(throws: TapeTextError.self) { try Tape(text: text) }
  }

  @Test("a repro file is read as it was written")
  func readsReproFile() throws {
    let tape = RunSettings().run(.seed(3), records: true).tape.simplified
    let file = ReproFile(
      oracle: .durability, plant: "x", scenario: "insert-storm", finding: "two\nlines", comments: ["for people"],
      tape: tape)
    let again = try ReproFile(text: file.text)
    #expect(again.oracle == .durability && again.plant == "x" && again.scenario == "insert-storm")
    #expect(again.finding == "two / lines" && again.tape == tape)
    #expect(throws: TapeTextError.self) { try ReproFile(text: "apusrepro 9\noracle O4\n") }
  }
}
