// The line for the write lock, as those see it who stand in it: whoever is first and has been for a millisecond is not passed by
// others of his process who came later (SPEC, "Progress").
//
// Who is called and does not come within 10 ms has lost his place: that the schedule lets nobody run for so long, or that a request
// of his own is late, is no fault of the engine's.

/// Where a client stands.
struct LinePlace {
  /// BEGIN IMMEDIATE has the turn when it ends, the COMMIT of a concurrent transaction when it writes to the log.
  enum Kind { case begin, commit }

  /// nil: it is not in line.
  var kind: Kind?
  /// The step in which its statement was begun, and in which it first had to wait for another connection.
  var asked = 0
  var since: Int?
  /// The statement has just ended with the turn.
  var hasTurn = false
  /// The moment in which it was seen to be the first.
  var firstSince: UInt64?
  /// Who came later and had the turn although this one was due.
  var passedCount = 0
}

enum LineWatch {
  /// Most of those who came later that may go before one who was due: that somebody had the turn and lost his transaction is not
  /// seen here.
  static let passedMax = 1
  /// How long the first may be passed by those who are awake.
  private static let patienceNanoseconds: UInt64 = 1_000_000
  /// How long the first in line may take to come.
  private static let comesWithinNanoseconds: UInt64 = 10_000_000

  /// `client` has got the turn; `others` are of its process.
  /// - Parameters:
  ///   - last: who had it before.
  ///   - readySince: by client's name, since when it could have gone on, or was called; nil where it waits.
  static func check(
    _ client: Client, _ others: [Client], last: Int?, readySince: [Int: UInt64], now: UInt64
  ) throws(Finding) {
    let asked = client.line.since ?? client.line.asked
    client.line = LinePlace()
    let first = others.filter { $0.line.kind != nil && $0.line.since != nil }.min { ($0.line.since ?? 0) < ($1.line.since ?? 0) }
    for other in others where other !== first {
      other.line.firstSince = nil
      other.line.passedCount = 0
    }
    guard let first, let since = first.line.since, since < asked, client.name != last else { return }
    if let ready = readySince[first.name], now >= ready + comesWithinNanoseconds {
      first.line.since = nil
      first.line.firstSince = nil
      first.line.passedCount = 0
      return
    }
    // Who was never called may wait for something else than its turn.
    if !first.isRung { return }
    let firstSince = first.line.firstSince ?? now
    first.line.firstSince = firstSince
    if now < firstSince + patienceNanoseconds { return }
    first.line.passedCount += 1
    if first.line.passedCount > passedMax {
      throw Finding(
        oracle: .liveness,
        text: "client \(first.name) waits for its turn to write since step \(since), and \(first.line.passedCount) who came "
          + "later have had theirs, the last of them client \(client.name), who came in step \(asked)")
    }
  }
}
