// Whether what the transactions over keys were answered can come from one after the other, in the order in which their commits were
// written to the log.
//
// That order is the engine's promise (SPEC, "Order"): validated, written and made visible in one order. The disk sees it, so
// nothing here looks into the engine: each transaction is done once more on the model, at its place in the order, and must be
// answered the same. So a read that another commit has made stale in between shows, whatever kind of read it was; so do a
// constraint that was checked too early, a count, a sum, and a change that was lost on the way. Who only reads has a place
// somewhere between what was answered before it began and the end.

struct KeyLedger {
  enum Event {
    case statement(KeyOperation, KeyAnswer)
    case savepoint, wayBack
  }

  struct Transaction {
    var id: Int64
    var client: Int
    var events: [Event] = []
    /// The newest place in the log's order that was answered before it began.
    var floor: UInt64
    var isWriting = false
    /// How many writes the log had when COMMIT was asked for; nil before.
    var askedAt: UInt64?
    var outcome = History.Outcome.aborted
    var place: UInt64 = 0
  }

  // A place in the log's order is twice the number of the write that it was; odd between two of them, for a write that was still
  // on its way when its process or the power went, and may have happened all the same.
  private static func place(of write: UInt64) -> UInt64 { 2 * write }
  private static func place(behind write: UInt64) -> UInt64 { 2 * write + 1 }

  private var open: [Int: Transaction] = [:]
  private var ended: [Transaction] = []
  /// The state behind the last check.
  private var base = KeyModel()
  private var nextId: Int64 = 1
  private var answeredPlace: UInt64 = 0
  /// Transactions that were found in order.
  private(set) var checkedCount = 0

  mutating func begin(_ client: Int) -> Int64 {
    precondition(open[client] == nil)
    open[client] = Transaction(id: nextId, client: client, floor: answeredPlace)
    defer { nextId += 1 }
    return nextId
  }

  mutating func note(_ event: Event, by client: Int) { open[client]?.events.append(event) }

  /// It writes, and asks for its COMMIT next.
  mutating func noteMarked(_ client: Int) { open[client]?.isWriting = true }

  mutating func noteAsked(_ client: Int, at place: UInt64) {
    if open[client]?.askedAt == nil { open[client]?.askedAt = place }
    open[client]?.outcome = .unknown
  }

  /// COMMIT was answered; its frames were the log's write number `place`.
  mutating func noteCommitted(_ client: Int, at place: UInt64) {
    open[client]?.outcome = .committed
    if open[client]?.isWriting == true { answeredPlace = max(answeredPlace, Self.place(of: place)) }
    end(client, at: place, now: place)
  }

  /// COMMIT was refused.
  mutating func noteRefused(_ client: Int) { open[client]?.outcome = .aborted }

  /// The client has another transaction, or is gone.
  /// - Parameters:
  ///   - place: its last write to the log.
  ///   - now: the newest write of all.
  mutating func end(_ client: Int, at place: UInt64, now: UInt64) {
    guard var transaction = open.removeValue(forKey: client) else { return }
    transaction.place = place > transaction.askedAt ?? 0 ? Self.place(of: place) : Self.place(behind: now)
    ended.append(transaction)
  }

  // MARK: checking

  /// - Parameters:
  ///   - done: the transactions that the file knows.
  ///   - losesTail: answered commits may be gone.
  mutating func check(_ content: KeyModel, done: [Int64], losesTail: Bool) throws(Finding) {
    let done = Set(done)
    var order: [Transaction] = []
    for transaction in ended where transaction.isWriting {
      let isThere = done.contains(transaction.id)
      switch transaction.outcome {
      case .committed where !isThere && !losesTail:
        throw Finding(oracle: .durability, text: "\(name(transaction)) was answered, and is gone")
      case .aborted where isThere:
        throw Finding(oracle: .snapshot, text: "\(name(transaction)) was refused, and has happened")
      case .committed, .aborted, .unknown: if isThere { order.append(transaction) }
      }
    }
    order.sort { ($0.place, $0.id) < ($1.place, $1.id) }
    var readers = losesTail ? [] : ended.filter { !$0.isWriting && $0.outcome == .committed }
    var state = base
    for transaction in order {
      // What began behind this answer, or before, has its place from here on.
      readers.removeAll { $0.floor < transaction.place && problem(of: $0, on: state) == nil }
      var after = state
      if let problem = problem(of: transaction, &after) { throw Finding(oracle: .snapshot, text: problem) }
      state = after
    }
    for reader in readers { if let problem = problem(of: reader, on: state) { throw Finding(oracle: .snapshot, text: problem) } }
    if state != content { throw Finding(oracle: .read, text: "the tables of keys hold \(Self.difference(state, content))") }
    checkedCount += order.count + ended.count { !$0.isWriting && $0.outcome == .committed }
    ended = []
    base = content
    answeredPlace = 0
  }

  private func problem(of transaction: Transaction, on state: KeyModel) -> String? {
    var state = state
    return problem(of: transaction, &state)
  }

  /// - Returns: what the transaction was answered otherwise than `model` does; nil where nothing is.
  private func problem(of transaction: Transaction, _ model: inout KeyModel) -> String? {
    var saved = model
    for event in transaction.events {
      switch event {
      case .savepoint: saved = model
      case .wayBack: model = saved
      case .statement(let operation, let answer):
        let due = operation.answer(&model)
        if due != answer {
          return "\(name(transaction)): \(SQLText(operation.sql, operation.bindings(padding: 0)).text) was answered "
            + "\(Self.text(answer)); at its place in the log's order \(Self.text(due)) is due"
        }
      }
    }
    return nil
  }

  private func name(_ transaction: Transaction) -> String {
    "transaction \(transaction.id) over keys, of client \(transaction.client)"
  }

  private static func text(_ answer: KeyAnswer) -> String {
    switch answer {
    case .rows(let rows): "\(rows)"
    case .violates: "a violated constraint"
    }
  }

  private static func difference(_ due: KeyModel, _ content: KeyModel) -> String {
    for id in Set(due.items.keys).union(content.items.keys).sorted() where due.items[id] != content.items[id] {
      return "\(content.items[id].map { "\($0)" } ?? "no row") in item \(id), due is "
        + (due.items[id].map { "\($0)" } ?? "none")
    }
    for key in Set(due.marks.keys).union(content.marks.keys).sorted() where due.marks[key] != content.marks[key] {
      return "\(content.marks[key].map { "\($0)" } ?? "no row") in mark \(key.family) \(key.number), due is "
        + (due.marks[key].map { "\($0)" } ?? "none")
    }
    return "what they should"
  }
}
