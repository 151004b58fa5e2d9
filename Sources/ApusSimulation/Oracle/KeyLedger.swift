// Whether what the transactions over keys were answered can come from one after the other, in the order in which their commits were
// written to the log.
//
// That order is the engine's promise (SPEC, "Order"): validated, written and made visible in one order. The disk sees it, so
// nothing here looks into the engine: each transaction is done once more on the model, at its place in the order, and must be
// answered the same. So a read that another commit has made stale in between shows, whatever kind of read it was; so do a
// constraint that was checked too early, a count, a sum, and a change that was lost on the way. Who only reads has a place
// somewhere between what was answered before it began and the end.
//
// At snapshot isolation it is done once more on a snapshot: on some state before its place that has what was answered before it
// began, on one and the same for all its statements. What it has changed there must be at its place as the snapshot has it (else
// an update is lost), and is changed there; what comes of it must keep the constraints. Which snapshot it was is not always known:
// each that explains the answers is followed until something else is answered.

struct KeyLedger {
  enum Event {
    case statement(KeyOperation, KeyAnswer)
    case savepoint, wayBack
  }

  struct Transaction {
    var id: Int64
    var client: Int
    var isAtSnapshot = false
    var events: [Event] = []
    /// The newest place in the log's order that was answered before it began, and that was written when it was first answered.
    var floor: UInt64
    var ceiling = UInt64.max
    var isWriting = false
    /// How many writes the log had when COMMIT was asked for; nil before.
    var askedAt: UInt64?
    /// How many of its events were what a dropped COMMIT was about: a recovery may find that one without what came behind it.
    var doubtedCounts: [Int] = []
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
  /// Of those the ones whose answers only a snapshot explains.
  private(set) var skewCount = 0

  mutating func begin(_ client: Int, isAtSnapshot: Bool = false) -> Int64 {
    precondition(open[client] == nil)
    open[client] = Transaction(id: nextId, client: client, isAtSnapshot: isAtSnapshot, floor: answeredPlace)
    defer { nextId += 1 }
    return nextId
  }

  /// - Parameter now: the newest write to the log.
  mutating func note(_ event: Event, by client: Int, now: UInt64) {
    open[client]?.events.append(event)
    if case .statement = event { noteSnapshot(client, now) }
  }

  /// It writes, and asks for its COMMIT next.
  mutating func noteMarked(_ client: Int, now: UInt64) {
    open[client]?.isWriting = true
    noteSnapshot(client, now)
  }

  /// The transaction has a snapshot.
  private mutating func noteSnapshot(_ client: Int, _ now: UInt64) {
    // Behind a COMMIT that was given up it may read newer pages, where those that it has read are the same.
    if open[client]?.askedAt != nil {
      open[client]?.ceiling = .max
      return
    }
    let known = open[client]?.ceiling ?? 0
    open[client]?.ceiling = min(known, Self.place(behind: now))
  }

  mutating func noteAsked(_ client: Int, at place: UInt64) {
    if open[client]?.askedAt == nil { open[client]?.askedAt = place }
    open[client]?.outcome = .unknown
  }

  /// COMMIT was dropped, and nobody knows whether it is one.
  mutating func noteDoubted(_ client: Int) {
    if let count = open[client]?.events.count { open[client]?.doubtedCounts.append(count) }
  }

  /// The dropped COMMIT was one.
  mutating func noteTold(_ client: Int) {
    open[client]?.outcome = .committed
    if let count = open[client]?.doubtedCounts.last { open[client]?.events.removeSubrange(count...) }
    open[client]?.doubtedCounts = []
  }

  /// COMMIT was answered; its frames were the log's write number `place`.
  mutating func noteCommitted(_ client: Int, at place: UInt64) {
    open[client]?.outcome = .committed
    open[client]?.doubtedCounts = []
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
    let readers = losesTail ? [] : ended.filter { !$0.isWriting && $0.outcome == .committed }
    // nil: there are more than are followed.
    var next = content
    if let courses = try courses(order) {
      let found = courses.filter { $0.last?.shows(content) == true }
      if found.isEmpty {
        let due = courses.first?.last ?? base
        throw Finding(oracle: .read, text: "the tables of keys hold \(Self.difference(due, content))")
      }
      let problems = found.map { problem(of: readers, on: $0, order) }
      guard let course = problems.firstIndex(of: nil) else {
        throw Finding(oracle: .snapshot, text: problems.compactMap(\.self).first ?? "")
      }
      skewCount += skews(order, found[course])
      next = found[course].last ?? content
    }
    checkedCount += order.count + ended.count { !$0.isWriting && $0.outcome == .committed }
    ended = []
    base = next
    answeredPlace = 0
  }

  /// Most courses of events that are followed. Where there are more, nothing is said.
  private static let courseCountMax = 64

  /// What the transactions in their order make of the state: the states behind 0, 1, 2, ... of them. There is more than one such
  /// course where it is open which snapshot one of them had.
  private func courses(_ order: [Transaction]) throws(Finding) -> [[KeyModel]]? {
    var courses = [[base]]
    for (place, transaction) in order.enumerated() {
      // What was answered before it began is in its snapshot, and nothing that was not yet written when it was first answered.
      let oldest = order.prefix { $0.place <= transaction.floor }.count
      let newest = min(place, max(oldest, order.prefix { $0.place <= transaction.ceiling }.count))
      var next: [[KeyModel]] = []
      var reason: String?
      for course in courses {
        // Who has outgrown his cache goes on behind his place, and has read nothing that is otherwise there.
        let snapshots = transaction.isAtSnapshot ? (Array(oldest...max(oldest, newest)) + [place]).reversed() : [place]
        var states: [KeyModel] = []
        for snapshot in snapshots where snapshot <= place {
          for variant in variants(of: transaction) {
            switch outcome(of: variant, on: course[snapshot], course[place]) {
            case .success(let state): if !states.contains(state) { states.append(state) }
            case .failure(let problem): reason = reason ?? problem.text
            }
          }
        }
        next += states.map { course + [$0] }
      }
      if next.isEmpty {
        throw Finding(oracle: .snapshot, text: reason ?? "\(name(transaction)) was answered before it was written")
      }
      if next.count > Self.courseCountMax { return nil }
      courses = next
    }
    return courses
  }

  /// What may have been committed of it.
  private func variants(of transaction: Transaction) -> [Transaction] {
    var variants = [transaction]
    for count in transaction.doubtedCounts where count < transaction.events.count {
      var variant = transaction
      variant.events.removeSubrange(count...)
      variants.append(variant)
    }
    return variants
  }

  private struct Problem: Error { var text: String }

  /// The transaction, which reads `snapshot`, at its place behind `state`: what it changes must be there as in the snapshot.
  private func outcome(of transaction: Transaction, on snapshot: KeyModel, _ state: KeyModel) -> Result<KeyModel, Problem> {
    var after = snapshot
    if let problem = problem(of: transaction, &after) { return .failure(Problem(text: problem)) }
    var moved = state
    if let lost = moved.apply(from: snapshot, to: after) {
      return .failure(Problem(text: "\(name(transaction)) changes \(lost), which another one has changed since its snapshot"))
    }
    if let violated = moved.violation { return .failure(Problem(text: "\(name(transaction)) leaves \(violated)")) }
    if transaction.isAtSnapshot, let gone = goneReason(transaction, snapshot, state) { return .failure(Problem(text: gone)) }
    return .success(moved)
  }

  /// What a constraint's look-up has found counts like what it has not found: a row that kept another one out is there at the
  /// transaction's place, too.
  private func goneReason(_ transaction: Transaction, _ snapshot: KeyModel, _ state: KeyModel) -> String? {
    var model = snapshot
    var saved = model
    for event in transaction.events {
      switch event {
      case .savepoint: saved = model
      case .wayBack: model = saved
      case .statement(let operation, _):
        let reasons = operation.obstacles(model)
        if !reasons.isEmpty, reasons.isSubset(of: operation.obstacles(snapshot)), operation.obstacles(state).isEmpty {
          return "\(name(transaction)): \(SQLText(operation.sql, operation.bindings(padding: 0)).text) was kept out by a row that "
            + "is gone at its place in the log's order"
        }
        _ = operation.answer(&model)
      }
    }
    return nil
  }

  /// Who only reads was answered by one of the states from what was answered before it began.
  private func problem(of readers: [Transaction], on course: [KeyModel], _ order: [Transaction]) -> String? {
    for reader in readers {
      let oldest = order.prefix { $0.place <= reader.floor }.count
      if course[oldest...].contains(where: { problem(of: reader, on: $0) == nil }) { continue }
      return problem(of: reader, on: course[course.count - 1])
    }
    return nil
  }

  /// How many would have been answered otherwise at their place, or have left something else.
  private func skews(_ order: [Transaction], _ course: [KeyModel]) -> Int {
    order.indices.count { place in
      var after = course[place]
      return problem(of: order[place], &after) != nil || after != course[place + 1]
    }
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

  private static func difference(_ name: String, _ due: [Int64: Int64], _ content: [Int64: Int64]) -> String? {
    for id in Set(due.keys).union(content.keys).sorted() where due[id] != content[id] {
      let there = content[id].map { "\($0)" } ?? "no row", wanted = due[id].map { "\($0)" } ?? "none"
      return "\(there) in \(name) \(id), due is \(wanted)"
    }
    return nil
  }

  private static func difference(_ due: KeyModel, _ content: KeyModel) -> String {
    for id in Set(due.tickets.keys).union(content.tickets.keys).sorted() where due.tickets[id] != content.tickets[id] {
      return "\(content.tickets[id].map { "\($0)" } ?? "no row") in ticket \(id), due is "
        + (due.tickets[id].map { "\($0)" } ?? "none")
    }
    if let found = difference("coupon", due.coupons, content.coupons) { return found }
    if let found = difference("slip", due.slips, content.slips) { return found }
    for client in Set(due.owns.keys).union(content.owns.keys).sorted() {
      if let found = difference("own\(client)", due.owns[client] ?? [:], content.owns[client] ?? [:]) { return found }
    }
    if due.couponSequence != content.couponSequence {
      return "the sequence \(content.couponSequence.map { "\($0)" } ?? "of nothing") of coupons, due is "
        + (due.couponSequence.map { "\($0)" } ?? "none")
    }
    if due.sequence != content.sequence {
      return "the sequence \(content.sequence.map { "\($0)" } ?? "of nothing") of tickets, due is "
        + (due.sequence.map { "\($0)" } ?? "none")
    }
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
