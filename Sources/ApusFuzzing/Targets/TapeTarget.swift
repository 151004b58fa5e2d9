// The simulator's choices from bytes: schedules, faults, power cuts and transactions that coverage guides, not chance alone.
// What a run's oracles find is the target's finding.

import ApusBase
import ApusHarness
import ApusSimulation

public final class TapeTarget: FuzzTarget {
  public static let name = "tape"
  public static let summary = "a run of the simulator: what its oracles say"
  public static let byteCountMax = 1 << 16

  private lazy var mutation = TapeMutation(donors: Self.seeds().map { TapeCode.tape(of: $0.bytes) })

  public init() {}

  /// Short runs of all kinds of world.
  public static func seeds() -> [FuzzSeed] {
    let seeds = SimulationProfile.Kind.allCases.flatMap { kind in
      (1...UInt64(runsPerKind)).map { seed in
        let simulation = Simulation(ChoiceSource(.seed(seed), records: true), kind: kind) { profile in
          profile.stepsPerEra = stepsPerEra
          profile.cutCount = min(profile.cutCount, 1)
          profile.clientCount = min(profile.clientCount, 3)
          profile.auditEvery = 3
        }
        return FuzzSeed("\(kind.rawValue)-\(seed)", TapeCode.bytes(of: simulation.run().tape))
      }
    }
    return seeds.filter { $0.bytes.count <= byteCountMax }
  }

  private static let runsPerKind = 3, stepsPerEra = 120

  public func check(_ input: [UInt8]) throws(FuzzFinding) {
    guard let finding = Simulation(ChoiceSource(.tape(TapeCode.tape(of: input)))).run().finding else { return }
    // The oracle's sentence up to the first number or name: what follows is the run's particulars.
    let sentence = finding.text.prefix { $0.isLetter || $0 == " " || $0 == "," }
    throw FuzzFinding("\(finding.oracle.word) \(sentence)", finding.text)
  }

  public func mutate(_ input: inout [UInt8], _ random: inout SeededRandom) -> Bool {
    var tape = TapeCode.tape(of: input)
    if tape.streams.isEmpty { tape = mutation.donors[random.below(mutation.donors.count)] }
    mutation.change(&tape, &random)
    input = TapeCode.bytes(of: tape)
    return true
  }

  /// The input as the simulator keeps failures: `apus-sim` replays, shrinks and explains it.
  public static func repro(of input: [UInt8]) -> String {
    let verdict = Simulation(ChoiceSource(.tape(TapeCode.tape(of: input)), records: true)).run()
    let finding = verdict.finding ?? Finding(oracle: .read, text: "nothing was found")
    return ReproFile(oracle: finding.oracle, plant: nil, finding: finding.text, tape: verdict.tape).text
  }
}
