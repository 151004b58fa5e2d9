// The durability ledger: which transactions were tried, acknowledged, and on top of which; and the model after each.
//
// Every writing transaction stamps the file with its own number, so a snapshot names the model that it must equal.

struct Ledger {
  struct Entry {
    var base: Int64
    var model: DatabaseModel
    /// What `PRAGMA user_version` may say: where a COMMIT was dropped and said again behind one, more than one number.
    var versions: Set<Int64> = [0]
  }

  private(set) var entries: [Int64: Entry]
  /// The newest transaction whose commit was answered.
  private(set) var lastAcknowledged: Int64 = 0
  /// The newest of them that no power cut may take: where connections of one file have several levels, not each is promised.
  private(set) var lastPromised: Int64 = 0
  /// The newest transaction that somebody has seen, acknowledged or not: nobody sees an older state from then on.
  private(set) var lastSeen: Int64 = 0
  private var nextStamp: Int64 = 1
  /// Those whose commit was asked for and not answered yet.
  private(set) var underWay: Set<Int64> = []
  /// Those whose commit failed, was dropped, or went with its process: each may be there or not, once for all who look.
  private(set) var doubtful: Set<Int64> = []

  /// Of the doubtful ones those that were looked for and not found: only a power cut may bring them back.
  private(set) var refuted: Set<Int64> = []

  init(_ model: DatabaseModel) { entries = [0: Entry(base: -1, model: model)] }

  mutating func makeStamp() -> Int64 {
    defer { nextStamp += 1 }
    return nextStamp
  }

  /// What a snapshot that shows `stamp` must hold; nil where nobody may see it.
  func model(of stamp: Int64) -> DatabaseModel? { refuted.contains(stamp) ? nil : entries[stamp]?.model }

  /// The same behind a power cut, which may bring a failed commit back.
  func modelAfterCut(of stamp: Int64) -> DatabaseModel? { entries[stamp]?.model }

  /// Whether `stamp` is `ancestor` or was built on top of it.
  func descends(_ stamp: Int64, from ancestor: Int64) -> Bool {
    var current = stamp
    while current > ancestor {
      guard let entry = entries[current] else { return false }
      current = entry.base
    }
    return current == ancestor
  }

  /// What `PRAGMA user_version` may say in a snapshot that shows `stamp`.
  func versions(of stamp: Int64) -> Set<Int64> { entries[stamp]?.versions ?? [0] }

  mutating func beginCommit(_ stamp: Int64, base: Int64, model: DatabaseModel, versions: Set<Int64>) {
    entries[stamp] = Entry(base: base, model: model, versions: versions)
    underWay.insert(stamp)
  }

  /// The commit of `stamp` was in doubt, and is asked for again, perhaps with another `user_version`.
  mutating func beginCommitAgain(_ stamp: Int64, versions: Set<Int64>) { entries[stamp]?.versions.formUnion(versions) }

  /// Its commit was answered: of what it was asked for, the last is there.
  mutating func settleVersions(_ stamp: Int64, _ versions: Set<Int64>) { entries[stamp]?.versions = versions }

  /// - Parameter isPromised: its connection's level is one that keeps what is answered.
  /// - Returns: false where the transaction is not on top of the last acknowledged one: two writers at once.
  mutating func acknowledge(_ stamp: Int64, isPromised: Bool) -> Bool {
    underWay.remove(stamp)
    doubtful.remove(stamp)
    if isPromised, descends(stamp, from: lastPromised) { lastPromised = stamp }
    if descends(stamp, from: lastSeen) { lastSeen = stamp }
    if descends(stamp, from: lastAcknowledged) {
      lastAcknowledged = stamp
      return descends(stamp, from: lastSeen) || descends(lastSeen, from: stamp)
    }
    // An older commit may be answered after a newer one that stands on top of it.
    return descends(lastAcknowledged, from: stamp)
  }

  /// A snapshot showed it.
  mutating func see(_ stamp: Int64) { if descends(stamp, from: lastSeen) { lastSeen = stamp } }

  /// Its commit was not answered, or with an error, and may have happened.
  mutating func doubt(_ stamp: Int64) { if underWay.remove(stamp) != nil { doubtful.insert(stamp) } }

  /// Its commit had failed; the connection that was told so has begun anew, on a snapshot without it.
  mutating func refute(_ stamp: Int64) { if doubtful.contains(stamp) { refuted.insert(stamp) } }

  /// A failed sync has taken back what was written, the taking back of commits too.
  mutating func forgetRefuted() { refuted = [] }

  mutating func abandon(_ stamp: Int64) {
    underWay.remove(stamp)
    entries[stamp] = nil
  }

  /// Whether a file that was found with `stamp` after a power cut keeps what `promise` says.
  func allowsAfterCut(_ stamp: Int64, promise: Promise) -> Bool {
    guard entries[stamp] != nil else { return false }
    switch promise {
    case .everything: return descends(stamp, from: lastAcknowledged)
    case .everythingPromised: return descends(stamp, from: lastPromised)
    case .allButTheLast:
      return descends(stamp, from: lastAcknowledged) || entries[lastAcknowledged]?.base == stamp
    case .prefix: return true
    }
  }

  enum Promise {
    /// Nothing acknowledged is lost.
    case everything
    /// The same, of commits by connections with FULL, and of what is below them.
    case everythingPromised
    /// The last commit may be lost: no sync covered its journal's deletion.
    case allButTheLast
    /// What remains is a prefix of what was acknowledged.
    case prefix
  }

  /// The world goes on from `stamp`.
  mutating func restart(at stamp: Int64) {
    lastAcknowledged = stamp
    lastPromised = stamp
    lastSeen = stamp
    underWay = []
    doubtful = []
    refuted = []
    for other in entries.keys where !descends(stamp, from: other) { entries[other] = nil }
  }
}
