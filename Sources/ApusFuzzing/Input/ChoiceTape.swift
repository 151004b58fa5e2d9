// The choices of a generator, read from bytes: one input, one generated thing. A fuzzer that changes a byte changes a choice,
// and what was chosen before it stays. Behind its end a tape says 0, or goes on from a seed.
//
// Generators put what is short and plain at 0, so that a tape that ends makes them end.

import ApusBase

public struct ChoiceTape: Sendable {
  private let bytes: [UInt8]
  private var position = 0
  private var random: SeededRandom?

  public init(_ bytes: [UInt8]) { self.bytes = bytes }

  /// A tape without an end.
  public init(seed: UInt64) {
    bytes = []
    random = SeededRandom(seed: seed)
  }

  /// Nothing is left to choose: everything from here on is 0.
  public var isAtEnd: Bool { position >= bytes.count && random == nil }

  public mutating func byte() -> UInt8 {
    if position < bytes.count {
      position += 1
      return bytes[position - 1]
    }
    return UInt8(randomBelow(256))
  }

  private mutating func randomBelow(_ bound: Int) -> Int { random?.below(bound) ?? 0 }

  /// A number below `bound`: one byte of the tape, two where `bound` is above 256.
  public mutating func below(_ bound: Int) -> Int {
    precondition(bound > 0 && bound <= 65536)
    if position >= bytes.count { return randomBelow(bound) }
    if bound == 1 { return 0 }
    let low = Int(byte())
    return (bound <= 256 ? low : low << 8 | Int(byte())) % bound
  }

  /// True once in `n` times on average.
  public mutating func oneIn(_ n: Int) -> Bool { below(n) == 0 }

  public mutating func pick<T>(_ choices: [T]) -> T { choices[below(choices.count)] }
}
