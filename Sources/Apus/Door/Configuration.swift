// How a database is opened.

import ApusIO

public struct Configuration: Sendable {
  /// Connections that may read at the same time. A database in memory has one connection for all.
  public var readers = 4
  /// Connections that may be in concurrent write transactions at the same time (`WriteMode.concurrent`), beside the one for all
  /// others. A database in memory has one connection for all.
  public var concurrentWriters = 4
  /// How long a transaction waits for another's lock before it fails with `busy`.
  public var busyTimeout: Duration = .seconds(5)
  /// Prepared statements that each connection keeps for reuse.
  public var cachedStatements = 256
  public var isReadOnly = false
  /// False: opening a file that does not exist fails.
  public var mayCreate = true
  /// Pages that the engine's own caches lack come past the system's cache: for databases larger than memory. What the system's
  /// cache would have held gets slower. Where the file system refuses, `PRAGMA io_backend` says why. As `PRAGMA direct_reads`.
  public var readsDirectly = false
  /// Where files, clocks and chance come from. By default the system, with io_uring where the kernel grants it.
  public var environment: (any Environment)?

  public init() {}
}

/// How a write transaction stands beside others.
public struct WriteMode: Sendable, Hashable {
  let statement: String
  let role: ConnectionPool.Role

  /// Waits for other writers before its first statement.
  public static let immediate = WriteMode(statement: "BEGIN IMMEDIATE", role: .write)
  /// Runs beside other writers, and waits for none of them before its commit. Where one of them has changed what it had read, the
  /// commit fails with `busySnapshot` and nothing is written. A transaction is retried with `retries`; its fourth attempt is never
  /// lost, where there is a `busyTimeout` for it to wait for others.
  public static let concurrent = WriteMode(statement: "BEGIN CONCURRENT", role: .concurrentWrite)
}

/// When a transaction that was lost to another one is begun again.
struct RetryPlan {
  private var left: Int
  private let environment: any Environment
  /// Of the environment's monotonic clock.
  private let deadline: UInt64?
  private var attempts = 0

  init(retries: Int, within limit: Duration?, _ environment: any Environment) {
    left = retries
    self.environment = environment
    deadline = limit.map { limit in
      let (sum, overflow) =
        environment.monotonicNanoseconds().addingReportingOverflow(limit.clampedCount(perSecond: 1_000_000_000))
      return overflow ? .max : sum
    }
  }

  /// When the next attempt is due: up to 1 ms behind the first one, twice that behind each further one, 64 ms at most, by chance,
  /// so that those who met do not meet again.
  /// - Returns: a moment of the environment's monotonic clock; nil where the error is no lost transaction, or there is no further
  ///   attempt.
  mutating func nextAttempt(behind error: any Error) -> UInt64? {
    guard left > 0, let error = error as? ApusError, error.code == .busySnapshot else { return nil }
    let most: UInt64 = 1_000_000 << UInt64(min(attempts, 6))
    let moment = environment.monotonicNanoseconds() &+ environment.randomUInt64() % most
    if let deadline, moment >= deadline { return nil }
    left -= 1
    attempts += 1
    return moment
  }
}

extension Duration {
  /// How many parts of a second it has, whole ones: zero where it is negative, the largest number where there are more.
  /// - Parameter perSecond: how many make a second, such as 1000 milliseconds; a divisor of 10^18.
  func clampedCount(perSecond: UInt64) -> UInt64 {
    let (seconds, attoseconds) = components
    if seconds < 0 || attoseconds < 0 { return 0 }
    let whole = UInt64(seconds).multipliedReportingOverflow(by: perSecond)
    let part = UInt64(attoseconds) / (1_000_000_000_000_000_000 / perSecond)
    let sum = whole.partialValue.addingReportingOverflow(part)
    return whole.overflow || sum.overflow ? .max : sum.partialValue
  }
}
