// Whether the file has a log, as far as that was answered: a change of the journal mode into WAL or out of it is there for good
// when its answer is, but with NORMAL. The version bytes go through a rollback journal, which must not come back with the power.

struct SettledMode {
  /// Of the file's header, as an answered change has left it; nil where one is under way, or has not ended well.
  private(set) var version: UInt8?
  /// Clients that change it, or try to.
  private var underWay: Set<Int> = []
  private var before: (version: UInt8?, hasLog: Bool) = (nil, false)

  mutating func begin(_ client: Int, hasLog: Bool) {
    before = (underWay.isEmpty ? version : nil, hasLog)
    version = nil
    underWay.insert(client)
  }

  /// The change was answered, and is in force.
  mutating func end(_ client: Int, hasLog: Bool) {
    guard underWay == [client] else { return abandon(client) }
    underWay = []
    // What was so already, some other change may have left half done.
    version = hasLog == before.hasLog ? before.version : hasLog ? 2 : 1
  }

  mutating func abandon(_ client: Int) {
    guard underWay.remove(client) != nil else { return }
    version = nil
    before.version = nil
  }

  /// - Returns: what is wrong with a header that says `found`; nil where nothing is.
  func problem(_ found: UInt8?) -> String? {
    guard let version, found != version else { return nil }
    return "say that it has \(version == 2 ? "no" : "a") log, and the last change of the journal mode was answered otherwise"
  }
}
