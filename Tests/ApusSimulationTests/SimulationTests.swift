// The simulator in small: seeds that must pass, and the promise that a seed is an execution.

import ApusSimulation
import Testing

@Suite("The simulator")
struct SimulationTests {
  @Test("a seed finds nothing", arguments: UInt64(1)...16)
  func findsNothing(seed: UInt64) {
    let verdict = Simulation(seed: seed).run()
    #expect(verdict.finding == nil, "seed \(seed): \(verdict.profile)")
    #expect((verdict.cutCount > 0 || verdict.profile.cutCount == 0) && verdict.eventCount > 0, "seed \(seed) did nothing")
  }

  @Test("the same seed gives the same trace, another seed another", arguments: [UInt64(3), 10, 14])
  func replays(seed: UInt64) {
    let first = Simulation(seed: seed).run()
    let second = Simulation(seed: seed, keepsTrace: true).run()
    #expect(first.traceHash == second.traceHash && first.eventCount == second.eventCount, "seed \(seed)")
    #expect(Simulation(seed: seed + 1).run().traceHash != first.traceHash, "seed \(seed)")
  }
}
