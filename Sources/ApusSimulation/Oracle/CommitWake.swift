// Whether those are told whose commits have been settled by a sync: the first of them is, and each tells the next (SPEC, 17, "The
// commit queue"). Who is not looks itself after a while, so that a forgotten wake costs milliseconds and nothing else shows it.

struct CommitWake {
  private let client: Client
  /// It goes on by its own clock, and nobody of its process is on his way to tell it.
  private let isForgotten: Bool

  /// `client` is about to go on; `others` are of its process.
  init(_ client: Client, _ others: @autoclosure () -> [Client]) {
    self.client = client
    isForgotten = client.isCommitting && !client.isRung && client.waitsForOthers && !others().contains(where: Self.mayTell)
  }

  /// It has been rung and has not come yet, or has left a commit that is still to be asked for.
  private static func mayTell(_ other: Client) -> Bool {
    switch other.phase {
    case .closing, .reopening: true
    case .gone: false
    case .settingUp, .resting, .beginning, .readingStamp, .readingOther, .readingVersion, .choosing, .operating, .savepointing,
      .housekeeping, .scanning, .finishingScan, .stamping, .stampingOther, .lookingAgain, .committing, .rollingBack, .checkpointing,
      .checking, .siding:
      other.isRung || other.engine?.owesWork == true
    }
  }

  /// It has gone on.
  func check() throws(Finding) {
    // It had only to be told: there was nothing to be done before its answer.
    guard isForgotten, case .resting = client.phase else { return }
    throw Finding(
      oracle: .liveness, text: "client \(client.name): its commit was settled, and nobody told it; it has looked by itself")
  }
}
