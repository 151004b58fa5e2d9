// How rings are set up.

public struct RingOptions: Sendable {
  /// Requests that are handed to the kernel in one call; more wait their turn.
  public var entryCount: UInt32 = 64
  /// True where each queue stays on the thread that first waits on it. It permits `SINGLE_ISSUER` and `DEFER_TASKRUN`,
  /// with which the kernel refuses every other thread.
  public var queuesStayOnOneThread = false
  /// Sends lone requests to the ring too, which a thread that waits for them would otherwise do itself. For tests.
  public var sendsEverything = false
  /// The error number that setting up a ring shall fail with. For tests of the way round.
  public var injectedRefusal: Int32?
  /// The error number that the kernel shall answer to what is handed over without waiting. For tests of the way
  /// round.
  public var injectedSubmissionFailure: Int32?
  /// The error number that a direct read shall fail with, or already the opening for it. For tests of the way round.
  public var injectedDirectReadFailure: Int32?
  public var injectedDirectOpenFailure: Int32?

  public init() {}
}
