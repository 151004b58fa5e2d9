// The line for the write lock, as those see it who stand in it: nobody is passed again and again by others of his process who came
// later (SPEC, "Progress").
//
// Who is called and does not come has lost his place: that the schedule lets nobody run for so long is no fault of the engine's.

/// Where a client stands.
struct LinePlace {
  /// The step in which its statement was begun, and in which it first had to wait for another connection.
  var asked = 0
  var since: Int?
  /// The statement has just ended with the turn.
  var hasTurn = false
  /// Who came later and had the turn before.
  var passedCount = 0
}

enum LineWatch {
  /// Most of those who came later that may go before one in line: whoever had the turn may have it again for a moment.
  static let passedMax = 4
  /// How long the first in line may take to come.
  private static let comesWithinNanoseconds: UInt64 = 10_000_000

  /// `client` has got the turn; `others` are of its process.
  /// - Parameter readySince: by client's name, since when it could have gone on; nil where it waits.
  static func check(_ client: Client, _ others: [Client], readySince: [Int: UInt64], now: UInt64) throws(Finding) {
    let asked = client.line.since ?? client.line.asked
    client.line = LinePlace()
    for other in others {
      guard let since = other.line.since, since < asked else { continue }
      if let ready = readySince[other.name], now >= ready + comesWithinNanoseconds {
        other.line = LinePlace(asked: asked)
        continue
      }
      other.line.passedCount += 1
      if other.line.passedCount > passedMax {
        throw Finding(
          oracle: .liveness,
          text: "client \(other.name) waits for the write lock since step \(since), and \(other.line.passedCount) who came later "
            + "have had it, the last of them client \(client.name), who came in step \(asked)")
      }
    }
  }
}
