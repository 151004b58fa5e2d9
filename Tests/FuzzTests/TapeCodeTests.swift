// The bytes of a simulator's tape: what is written is read, whatever is read is a tape, and no two names share a hash.

import ApusBase
import ApusSimulation
import Testing

@testable import ApusFuzzing

@Suite("Tapes as bytes")
struct TapeCodeTests {
  @Test("the names of choices have hashes of their own")
  func hashesDiffer() {
    let hashes = Set(Choice.allCases.map(TapeCode.hash))
    #expect(hashes.count == Choice.allCases.count, "rename the choice that is new")
  }

  @Test("a recorded run is written and read back, and runs as it did")
  func roundTrip() {
    let first = Simulation(ChoiceSource(.seed(7), records: true), kind: .mixed).run()
    let bytes = TapeCode.bytes(of: first.tape)
    let limits = TapeLimits(stepCount: .max, transactionCount: .max, statementCount: .max, eraCount: .max)
    let tape = TapeCode.tape(of: bytes, limits: limits)
    #expect(TapeCode.bytes(of: tape) == bytes)
    #expect(Simulation(ChoiceSource(.tape(tape))).run().traceHash == first.traceHash)
  }

  @Test("any bytes are a tape within its limits", arguments: UInt64(1)...32)
  func anyBytes(seed: UInt64) {
    var random = SeededRandom(seed: seed)
    let bytes = (0..<4000).map { _ in UInt8([0x81, 0x90, 0xa2, 0x62, random.below(256)][random.below(5)]) }
    let tape = TapeCode.tape(of: bytes, limits: TapeLimits(stepCount: 5))
    #expect(count(tape.streams.flatMap(\.nodes)) <= 5, "seed \(seed)")
    let written = TapeCode.bytes(of: tape)
    #expect(TapeCode.bytes(of: TapeCode.tape(of: written)) == written, "seed \(seed)")
  }

  private func count(_ nodes: [TapeNode]) -> Int {
    nodes.reduce(0) { sum, node in
      guard case .span(let span, let inner) = node else { return sum }
      return sum + count(inner) + (span == .step ? 1 : 0)
    }
  }
}
