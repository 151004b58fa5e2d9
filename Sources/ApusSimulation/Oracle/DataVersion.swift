// `PRAGMA data_version`, held against who has committed what between two looks of a connection (O5): it is another one where
// another connection has committed, and the same where nobody else has: https://sqlite.org/pragma.html#pragma_data_version
//
// The moments are the ledger's own: they count what clients have asked for. A snapshot shows all that was answered before it was
// asked for, and nothing that was asked for after it was there.

/// What all clients do that may give the files another content.
struct ChangeLedger {
  private var moment = 0
  /// By client: the last time that it may have changed something; since when it is at it.
  private var touched: [Int: Int] = [:]
  private var underWay: [Int: Int] = [:]
  /// In a transaction that writes. Even one that is rolled back may have begun the log anew: another version, as with SQLite.
  private var writers: Set<Int> = []
  /// By client: when the newest of its answered commits was asked for.
  private var answered: [Int: Int] = [:]
  /// The same, of those that have changed the attached file.
  private var answeredOther: [Int: Int] = [:]
  /// By client: since when something may be there that was not answered.
  private var doubted: [Int: Int] = [:]
  private var makers: [Int64: Int] = [:]
  /// Processes that have ended.
  private(set) var killCount = 0
  /// Changes that have failed or were dropped, and of which something may be left.
  private(set) var brokenCount = 0

  mutating func tick() -> Int {
    moment += 1
    return moment
  }

  /// The client undoes something, or goes.
  mutating func touch(_ client: Int) { touched[client] = tick() }

  mutating func noteWriting(_ client: Int) {
    touch(client)
    writers.insert(client)
  }

  /// It is in no transaction.
  mutating func noteResting(_ client: Int) { if writers.remove(client) != nil { touch(client) } }

  mutating func begin(_ client: Int) {
    touch(client)
    underWay[client] = moment
  }

  /// - Parameter isAnswered: it was a commit, and all who look from now on see it.
  mutating func end(_ client: Int, isAnswered: Bool, changesOther: Bool = false) {
    guard let begun = underWay.removeValue(forKey: client) else { return }
    touch(client)
    let first = doubted[client] ?? begun
    doubted[client] = isAnswered ? nil : first
    if isAnswered { answered[client] = first }
    if isAnswered, changesOther { answeredOther[client] = first }
  }

  mutating func noteBroken() { brokenCount += 1 }

  mutating func noteKill() { killCount += 1 }

  mutating func noteStamp(_ stamp: Int64, of client: Int) { makers[stamp] = client }

  func maker(of stamp: Int64) -> Int? { makers[stamp] }

  func isAnybodyAtIt(beside client: Int) -> Bool {
    underWay.keys.contains { $0 != client } || writers.contains { $0 != client }
  }

  func isQuiet(beside client: Int, since moment: Int) -> Bool {
    !isAnybodyAtIt(beside: client) && !touched.contains { $0.key != client && $0.value >= moment }
  }

  /// When the newest commit that was answered to others was asked for.
  func newestAnswered(beside client: Int, inOther: Bool) -> Int {
    (inOther ? answeredOther : answered).reduce(0) { $1.key == client ? $0 : max($0, $1.value) }
  }
}

/// A snapshot in time, and what it says.
struct VersionLook {
  /// Asked for, and there.
  var begun: Int, ended = 0
  var isBesideNobody: Bool
  /// Of others, and of those the ones that have changed the attached file.
  var newestAnswered: Int, newestAnsweredOther: Int
  var killCount: Int, failureCount: Int
  /// Changes of the journal mode that the connection has asked for: another log is another version, as with SQLite.
  var switchCount: Int
  /// The transaction that it shows, where that was asked.
  var stamp: Int64?
  var version: Int64 = 0

  init(_ client: Int, _ world: World, switchCount: Int) {
    self.switchCount = switchCount
    begun = world.changes.tick()
    isBesideNobody = !world.changes.isAnybodyAtIt(beside: client)
    newestAnswered = world.changes.newestAnswered(beside: client, inOther: false)
    newestAnsweredOther = world.changes.newestAnswered(beside: client, inOther: true)
    killCount = world.changes.killCount
    failureCount = world.faults.failureCount
  }

  /// - Parameter isOfOther: the version is the attached file's.
  /// - Returns: what is wrong with this look, of the same connection as `last`; nil where nothing is.
  func problem(after last: VersionLook, of client: Int, isOfOther: Bool, _ world: World) -> String? {
    let isFaultless = failureCount == last.failureCount && world.faults.failureCount == failureCount
    if version == last.version {
      if (isOfOther ? newestAnsweredOther : newestAnswered) > last.ended, isFaultless {
        return "data_version is \(version) still, and another connection has committed since"
      }
      if let stamp, let other = last.stamp,
        let maker = maker(between: other, and: stamp, beside: client, isOfOther: isOfOther, world)
      {
        return "data_version is \(version) still, and client \(maker) has committed between transactions \(other) and \(stamp)"
      }
      return nil
    }
    let isQuiet = last.isBesideNobody && world.changes.isQuiet(beside: client, since: last.begun)
    if isQuiet, isFaultless, switchCount == last.switchCount, world.changes.killCount == last.killCount {
      return "data_version was \(last.version) and is \(version), and nobody else has committed"
    }
    return nil
  }

  /// Another client whose transaction stands between the two.
  private func maker(
    between older: Int64, and newer: Int64, beside client: Int, isOfOther: Bool, _ world: World
  ) -> Int? {
    guard world.ledger.descends(newer, from: older) else { return nil }
    var current = newer
    while current > older, let entry = world.ledger.entries[current] {
      let isChange = !isOfOther || entry.model.otherStamp == current
      if isChange, let maker = world.changes.maker(of: current), maker != client { return maker }
      current = entry.base
    }
    return nil
  }
}
