// The line for the write lock, as those see it who stand in it: who was called is not passed by others of his process who came
// later (SPEC, "Progress").
//
// Who is called and does not come has lost his place: that the schedule lets nobody run for so long is no fault of the engine's.

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
  /// Who came later and had the turn although this one was called.
  var passedCount = 0
}

enum LineWatch {
  /// Most of those who came later that may go before one who was called. Whoever had the turn may have it again for a moment, and
  /// is called then who goes on waiting; that somebody had it and lost his transaction is not seen here.
  static let passedMax = 1
  /// How long the first in line may take to come.
  private static let comesWithinNanoseconds: UInt64 = 10_000_000

  /// `client` has got the turn; `others` are of its process.
  /// - Parameters:
  ///   - last: who had it before.
  ///   - readySince: by client's name, since when it could have gone on; nil where it waits.
  static func check(
    _ client: Client, _ others: [Client], last: Int?, readySince: [Int: UInt64], now: UInt64
  ) throws(Finding) {
    let asked = client.line.since ?? client.line.asked
    client.line = LinePlace()
    if client.name == last { return }
    for other in others {
      guard other.line.kind != nil, let since = other.line.since, since < asked else { continue }
      if let ready = readySince[other.name], now >= ready + comesWithinNanoseconds {
        other.line.since = nil
        other.line.passedCount = 0
        continue
      }
      if !other.isRung { continue }
      other.line.passedCount += 1
      if other.line.passedCount > passedMax {
        throw Finding(
          oracle: .liveness,
          text: "client \(other.name) waits for its turn to write since step \(since), and \(other.line.passedCount) who came "
            + "later have had theirs, the last of them client \(client.name), who came in step \(asked)")
      }
    }
  }
}
