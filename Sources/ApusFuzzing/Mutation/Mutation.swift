// One step of a campaign: from an input to the next.

import ApusBase

public enum Mutation {
  /// Changes the input by the target's own mutation, or by the fuzzer's (with its dictionary and what it has seen compared), and
  /// makes it believable again, mostly.
  /// - Parameter plain: the fuzzer's mutation of bytes.
  public static func step(
    _ target: any FuzzTarget, _ input: [UInt8], seed: UInt64, plain: ([UInt8]) -> [UInt8]
  ) -> [UInt8] {
    var random = SeededRandom(seed: seed)
    var changed = input
    if random.oneIn(3) || !target.mutate(&changed, &random) { changed = plain(input) }
    if !random.oneIn(5) { target.repair(&changed, &random) }
    return changed
  }
}
