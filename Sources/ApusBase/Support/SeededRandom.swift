// xoshiro256**, seeded through splitmix64: the engine's only generator, so that one seed replays one execution.
// Source: D. Blackman, S. Vigna, "Scrambled linear pseudorandom number generators", 2021.

public struct SeededRandom: RandomNumberGenerator, Sendable {
  private var state: (UInt64, UInt64, UInt64, UInt64)

  public init(seed: UInt64) {
    var splitter = seed
    func split() -> UInt64 {
      splitter &+= 0x9e37_79b9_7f4a_7c15
      var z = splitter
      z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
      z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
      return z ^ (z >> 31)
    }
    state = (split(), split(), split(), split())
  }

  public mutating func next() -> UInt64 {
    func rotate(_ value: UInt64, _ distance: UInt64) -> UInt64 { value << distance | value >> (64 - distance) }
    let result = rotate(state.1 &* 5, 7) &* 9
    let shifted = state.1 << 17
    state.2 ^= state.0
    state.3 ^= state.1
    state.1 ^= state.2
    state.0 ^= state.3
    state.2 ^= shifted
    state.3 = rotate(state.3, 45)
    return result
  }

  /// A number below `bound`, by the multiply-shift method (its bias is below 2^-32 for the bounds used here).
  public mutating func below(_ bound: Int) -> Int {
    precondition(bound > 0)
    return Int(truncatingIfNeeded: next().multipliedFullWidth(by: UInt64(bound)).high)
  }

  /// True once in `n` times on average.
  public mutating func oneIn(_ n: Int) -> Bool { below(n) == 0 }
}
