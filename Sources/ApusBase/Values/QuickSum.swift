// A running sum: of integers exactly, as long as it fits, then of doubles with the roundings made good.

/// All zero is the empty sum. Sums of doubles are compensated (A. Neumaier, ZAMM 54, 1974), as SQLite's are.
public struct QuickSum: BitwiseCopyable, Sendable {
  public var exact: Int64 = 0
  public var count: Int64 = 0
  public var high = 0.0
  /// What the roundings of `high` have lost so far.
  public var compensation = 0.0
  /// The sum is in `high` and `compensation`, no longer in `exact`.
  public var isApproximate = false
  /// Nothing but integers came, and their sum did not fit.
  public var hasOverflowed = false

  public init() {}

  /// - Returns: false where it takes more than this, and nothing was added.
  @inlinable @inline(__always)
  public mutating func add(_ integer: Int64) -> Bool {
    if isApproximate { return false }
    let (sum, overflow) = exact.addingReportingOverflow(integer)
    if overflow { return false }
    exact = sum
    count &+= 1
    return true
  }

  /// - Returns: false where the sum is still exact, and nothing was added.
  @inlinable @inline(__always)
  public mutating func add(_ real: Double) -> Bool {
    if !isApproximate { return false }
    count &+= 1
    hasOverflowed = false
    addApproximately(real)
    return true
  }

  /// True where `add` of the integer would do.
  @inlinable @inline(__always)
  public func takes(_ integer: Int64) -> Bool { !isApproximate && !exact.addingReportingOverflow(integer).overflow }

  @inlinable @inline(__always)
  public mutating func addApproximately(_ real: Double) {
    let sum = high + real
    if high.magnitude > real.magnitude {
      compensation += (high - sum) + real
    } else {
      compensation += (real - sum) + high
    }
    high = sum
  }
}
