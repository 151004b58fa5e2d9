// Estimates as ten times the binary logarithm: products become sums, and SQLite's tuned constants can be used as they are.

public typealias LogEstimate = Int

extension LogEstimate {
  /// 10*log2(number), rounded as SQLite rounds it.
  public static func of(_ number: UInt64) -> LogEstimate {
    let tenths: [LogEstimate] = [0, 2, 3, 5, 6, 7, 8, 9]
    var x = number
    var y = 40
    if x < 8 {
      if x < 2 { return 0 }
      while x < 8 {
        y -= 10
        x <<= 1
      }
    } else {
      let shift = 60 - x.leadingZeroBitCount
      y += shift * 10
      x >>= UInt64(shift)
    }
    return tenths[Int(x & 7)] + y - 10
  }

  /// The estimate of the sum of two numbers.
  public static func sum(_ a: LogEstimate, _ b: LogEstimate) -> LogEstimate {
    let extra: [Int] = [
      10, 10, 9, 9, 8, 8, 7, 7, 7, 6, 6, 6, 5, 5, 5, 4, 4, 4, 4, 3, 3, 3, 3, 3, 3, 2, 2, 2, 2, 2, 2, 2,
    ]
    let (high, low) = a >= b ? (a, b) : (b, a)
    if high > low + 49 { return high }
    if high > low + 31 { return high + 1 }
    return high + extra[high - low]
  }

  /// The estimate of the logarithm of a number: what a search in a tree costs.
  public static func logarithm(_ n: LogEstimate) -> LogEstimate { n <= 10 ? 0 : of(UInt64(n)) - 33 }

  /// About 2^(x/10).
  public static func value(_ estimate: LogEstimate) -> UInt64 {
    if estimate < 0 { return 0 }
    let n = UInt64(estimate % 10)
    let fraction: UInt64 = n >= 5 ? n - 2 : n >= 1 ? n - 1 : n
    let x = estimate / 10
    if x > 60 { return UInt64(Int64.max) }
    return x >= 3 ? (fraction + 8) << UInt64(x - 3) : (fraction + 8) >> UInt64(3 - x)
  }
}
