// A connection's prepared statements that nobody uses, by their text. The last few stand in a list that is searched by comparing
// texts: a loop that runs a handful of statements hashes none of them. The others are in a dictionary, and the one that was used
// longest ago leaves when there are too many. Used by the connection's owner only.

import ApusBase

struct StatementCache {
  private struct Entry {
    var text: ExactText
    var statement: PreparedStatement
    /// Larger than that of every entry that was given back before.
    var serial: UInt64
  }

  private static let recentCountMax = 6

  private let countMax: Int
  /// Oldest first.
  private var recent: [Entry] = []
  private var others: [ExactText: Entry] = [:]
  private var lastSerial: UInt64 = 0

  init(countMax: Int) { self.countMax = countMax }

  var count: Int { recent.count + others.count }

  /// The statement of this text, which leaves the cache.
  mutating func take(_ sql: String) -> PreparedStatement? {
    let text = ExactText(sql)
    if let place = recent.lastIndex(where: { $0.text == text }) { return recent.remove(at: place).statement }
    return others.isEmpty ? nil : others.removeValue(forKey: text)?.statement
  }

  /// Keeps a statement that is reset. One whose text is there already is finalized, as is what there is no room for.
  mutating func give(_ sql: String, _ statement: PreparedStatement) {
    let text = ExactText(sql)
    if countMax == 0 || recent.contains(where: { $0.text == text }) || !others.isEmpty && others[text] != nil {
      return statement.finalize()
    }
    lastSerial += 1
    recent.append(Entry(text: text, statement: statement, serial: lastSerial))
    if recent.count > min(Self.recentCountMax, countMax) {
      let oldest = recent.removeFirst()
      others[oldest.text] = oldest
    }
    if count > countMax, let oldest = others.values.min(by: { $0.serial < $1.serial }) {
      others.removeValue(forKey: oldest.text)?.statement.finalize()
    }
  }

  /// Finalizes them all.
  mutating func clear() {
    for entry in recent { entry.statement.finalize() }
    for entry in others.values { entry.statement.finalize() }
    recent = []
    others = [:]
  }
}
