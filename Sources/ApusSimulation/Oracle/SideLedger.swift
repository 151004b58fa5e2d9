// What the rows must show that concurrent transactions change beside the others, one row for each client.
//
// Two clients are a pair. Whoever commits has read both rows and puts into its own one more than the larger of the two: so no two
// answered commits of a pair have written one number, unless one of them has not seen the other (a write skew), which only one at
// snapshot isolation may do to those whose commits stand before its own. No row falls back
// behind what was answered before the transaction began, and none holds what nobody has written. Each commit adds its number to a
// table that all append to; some read that one by its index instead of the pair's rows.

struct SideLedger {
  /// A row takes more than half a page, so each has one for itself.
  static func padding(_ profile: SimulationProfile) -> Int { profile.pageSize * 5 / 8 }

  static func creationStatements(_ profile: SimulationProfile) -> [String] {
    [
      "CREATE TABLE side(client INTEGER PRIMARY KEY, n INTEGER NOT NULL, pad BLOB NOT NULL)",
      "CREATE TABLE tally(pair TEXT NOT NULL, n INTEGER NOT NULL, client INTEGER NOT NULL)",
      "CREATE INDEX tally_pair ON tally(pair, n)",
    ]
      + (0..<(profile.clientCount + 1) / 2 * 2).map { "INSERT INTO side VALUES(\($0),0,zeroblob(\(padding(profile))))" }
  }

  private var acknowledged: [Int: Int64] = [:]
  private var asked: [Int: Set<Int64>] = [:]
  /// By pair, who has written each number, where in the log's order, and at which level.
  private var claims: [Int: [Int64: (client: Int, place: UInt64, isAtSnapshot: Bool)]] = [:]
  /// Numbers that two of a pair have written.
  private(set) var skewCount = 0

  static func partner(of client: Int) -> Int { client ^ 1 }

  /// What the row may not be behind, for a transaction that begins now.
  func floor(of client: Int) -> Int64 { acknowledged[client] ?? 0 }

  /// COMMIT is asked for: from now on the row may hold the number.
  mutating func ask(_ number: Int64, of client: Int) { asked[client, default: []].insert(number) }

  static func pairName(of client: Int) -> String { "pair \(client / 2)" }

  /// - Returns: what is wrong with the pair's largest number, or nil.
  func problem(ofLargest number: Int64, pairOf client: Int, floor: Int64) -> String? {
    if number < floor { return "pair \(client / 2) has come to \(number), and \(floor) was answered before" }
    let names = [client, SideLedger.partner(of: client)]
    if number == 0 || names.contains(where: { asked[$0]?.contains(number) == true }) { return nil }
    return "pair \(client / 2) has come to \(number), which nobody has written"
  }

  /// - Returns: what is wrong with the number, or nil.
  func problem(_ number: Int64, of client: Int, floor: Int64) -> String? {
    if number < floor { return "row \(client) holds \(number), and \(floor) was answered before" }
    if number == 0 || asked[client]?.contains(number) == true { return nil }
    return "row \(client) holds \(number), which nobody has written"
  }

  /// The commit was answered.
  /// - Parameter place: the number of its write to the log.
  /// - Returns: what is wrong with that, or nil.
  mutating func acknowledge(_ number: Int64, of client: Int, at place: UInt64, isAtSnapshot: Bool) -> String? {
    acknowledged[client] = max(acknowledged[client] ?? 0, number)
    let pair = client / 2
    if let other = claims[pair]?[number], other.client != client {
      let isLaterAtSnapshot = other.place < place ? isAtSnapshot : other.isAtSnapshot
      if !isLaterAtSnapshot {
        return "clients \(other.client) and \(client) have both written \(number), each without having seen the other"
      }
      skewCount += 1
    }
    claims[pair, default: [:]][number] = (client, place, isAtSnapshot)
    return nil
  }

  /// The power went, and may have taken answered commits with it.
  mutating func forgetAnswers() {
    acknowledged = [:]
    claims = [:]
  }
}
