// What the clients of a run do to the lists, as they see it, for the isolation checker: what was answered, and nothing else.
//
// The lists lie in a table of their own, of which no model knows: what is wrong with them only the history tells.

/// Records one run's history. A client has one transaction at a time.
final class HistoryRecorder {
  static let listCount = 6
  static let creationStatements = [
    "CREATE TABLE l(key INTEGER PRIMARY KEY, list TEXT NOT NULL)",
    "INSERT INTO l VALUES" + (0..<listCount).map { "(\($0),'')" }.joined(separator: ","),
  ]
  static let readStatement = "SELECT key, list FROM l ORDER BY key"

  private var history = History()
  private var open: [Int: History.Transaction] = [:]
  /// By client, how many actions came before its savepoint.
  private var marks: [Int: [Int]] = [:]
  private var number = 0
  private var lastValue = 0
  /// Clients whose open transaction has begun with BEGIN CONCURRENT.
  private var concurrent: Set<Int> = []
  /// Such transactions that have committed since the last check, and before it: those were found in order.
  private var uncheckedCount = 0
  private(set) var checkedCount = 0
  /// Checks in which snapshots explain what no serial order does.
  private(set) var skewCount = 0
  /// Only the order of moments counts.
  private var moment = 0

  /// A number that was in no list yet.
  func makeValue() -> Int {
    lastValue += 1
    return lastValue
  }

  private func tick() -> Int {
    moment += 1
    return moment
  }

  /// The client's first statement is asked for.
  func begin(_ client: Int, isConcurrent: Bool = false, isAtSnapshot: Bool = false) {
    close(client)
    if isConcurrent { concurrent.insert(client) } else { concurrent.remove(client) }
    marks[client] = []
    number += 1
    open[client] = History.Transaction(
      "transaction \(number) of client \(client)", [], .aborted, begin: tick(), end: 0, isAtSnapshot: isAtSnapshot)
  }

  /// The statement was answered.
  func note(_ action: History.Action, by client: Int) { open[client]?.actions.append(action) }

  func noteSavepoint(_ client: Int) { marks[client, default: []].append(open[client]?.actions.count ?? 0) }

  /// The savepoint and those behind it are gone.
  func noteRelease(_ client: Int, of savepoint: Int) { marks[client]?.removeSubrange(savepoint...) }

  /// What came behind the savepoint has never been, what was read there neither; it stays open itself.
  func noteWayBack(_ client: Int, to savepoint: Int) {
    guard let mark = marks[client]?[savepoint], let count = open[client]?.actions.count, mark <= count else { return }
    marks[client]?.removeSubrange((savepoint + 1)...)
    open[client]?.actions.removeLast(count - mark)
  }

  /// COMMIT was asked for: from now on it may have happened.
  func noteCommitBegun(_ client: Int) { open[client]?.outcome = .unknown }

  func noteCommitted(_ client: Int) {
    open[client]?.outcome = .committed
    if concurrent.contains(client), open[client]?.actions.isEmpty == false { uncheckedCount += 1 }
    close(client)
  }

  /// COMMIT was refused, and the transaction undone.
  func noteAborted(_ client: Int) {
    open[client]?.outcome = .aborted
    close(client)
  }

  /// The client is at another transaction, or gone.
  func close(_ client: Int) {
    guard var transaction = open.removeValue(forKey: client) else { return }
    transaction.end = tick()
    if !transaction.actions.isEmpty { history.transactions.append(transaction) }
  }

  /// The lists as a connection sees them when nobody writes.
  static func lists(_ rows: [[ImageField]]) -> [(key: Int, values: [Int])] {
    rows.compactMap { row in
      guard row.count == 2, case .integer(let key) = row[0] else { return nil }
      return (Int(key), values(row[1]))
    }
  }

  static func values(_ field: ImageField?) -> [Int] {
    guard case .text(let bytes)? = field else { return [] }
    return String(decoding: bytes, as: UTF8.self).split(separator: ",").map { Int($0) ?? -1 }
  }

  /// All transactions so far, with what the lists hold now.
  /// - Parameter losesTail: acknowledged commits may be gone; nothing is asked of the lists, and the history begins anew with them.
  func check(_ rows: [[ImageField]], losesTail: Bool) throws(Finding) {
    for client in open.keys.sorted() { close(client) }
    let lists = Self.lists(rows)
    if !losesTail {
      history.transactions.append(
        History.Transaction(
          "what is there at last", lists.map { .read(key: $0.key, values: $0.values) }, begin: tick(), end: tick()))
    }
    var checker = IsolationChecker(history)
    do throws(IsolationAnomaly) {
      try checker.check()
    } catch {
      throw Finding(oracle: .snapshot, text: "the lists' history: \(error)")
    }
    if checker.hasSkew { skewCount += 1 }
    checkedCount += uncheckedCount
    uncheckedCount = 0
    if !losesTail { return }
    let left = lists.flatMap { list in list.values.map { History.Action.append(key: list.key, value: $0) } }
    history = History([History.Transaction("what the power cut has left", left, begin: tick(), end: tick())])
  }
}
