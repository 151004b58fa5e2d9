// Whether a history of list appends can have come from transactions one after the other. Source: Kingsbury and Alvaro, "Elle:
// Inferring Isolation Anomalies from Experimental Observations", VLDB 2020; Adya's names for the anomalies.
//
// The longest read of a list gives the order of its appends; every other read of it must be the beginning of that one. From the
// orders follows who must come before whom, and a cycle in that is an anomaly. Everything that is found is one; not everything
// that goes wrong is seen by somebody. Cost: linear in the history, but for the search in the components that have a cycle.

public struct IsolationAnomaly: Error, Equatable, Sendable, CustomStringConvertible {
  public enum Kind: String, Sendable {
    /// Two reads of a list that are not beginnings of one order, or a number that nobody has appended.
    case incompatibleOrder = "incompatible orders"
    /// A committed append that is in no later state of the list.
    case lostAppend = "lost append"
    case abortedRead = "aborted read (G1a)"
    case intermediateRead = "intermediate read (G1b)"
    /// A transaction does not see what it did itself, or reads two things in one snapshot.
    case inconsistentWithin = "inconsistent within a transaction"
    case writeCycle = "write cycle (G0)"
    case informationCycle = "circular information flow (G1c)"
    /// An order that contradicts who was answered before whom.
    case staleOrder = "cycle with real time"
    /// No snapshot explains it: a lost update, a read skew.
    case snapshotViolation = "snapshot violation (G-SI)"
    /// Snapshots explain it, no serial order does: a write skew.
    case antiDependencyCycle = "anti-dependency cycle (G2)"
  }

  public var kind: Kind
  public var text: String
  public var description: String { "\(kind.rawValue): \(text)" }
}

public struct IsolationChecker {
  /// `serializable` is for the transactions that are not at snapshot isolation: in each cycle there must be an anti-dependency of
  /// one that is. (Adya, "Weak Consistency", 1999: the mixed serialization graph.)
  public enum Level: Sendable { case serializable, snapshot }

  private let history: History
  private let level: Level
  private let isStrict: Bool
  private var writer: [Int: [Int: Int]] = [:]
  private var orders: [Int: [Int]] = [:]
  /// By transaction: it has happened, as far as anybody can tell.
  private var counted: [Bool] = []
  /// No serial order explains the history; what is checked for allows that.
  public private(set) var hasSkew = false

  /// - Parameter isStrict: who was answered before another one began comes before it.
  public init(_ history: History, level: Level = .serializable, isStrict: Bool = true) {
    self.history = history
    self.level = level
    self.isStrict = isStrict
  }

  /// - Throws: the first anomaly, the plainest kinds first.
  public mutating func check() throws(IsolationAnomaly) {
    try collectWriters()
    resolveUnknown()
    try checkWithin()
    try collectOrders()
    try checkReads()
    try checkCycles(makeGraph())
  }

  private func name(_ transaction: Int) -> String {
    history.transactions.indices.contains(transaction) ? history.transactions[transaction].name : "?"
  }

  private func anomaly(_ kind: IsolationAnomaly.Kind, _ text: String) -> IsolationAnomaly {
    IsolationAnomaly(kind: kind, text: text)
  }

  private mutating func collectWriters() throws(IsolationAnomaly) {
    for (number, transaction) in history.transactions.enumerated() {
      for case .append(let key, let value) in transaction.actions {
        if let other = writer[key]?[value] {
          throw anomaly(
            .incompatibleOrder, "\(value) is appended to list \(key) by \(name(other)) and by \(transaction.name)")
        }
        writer[key, default: [:]][value] = number
      }
    }
  }

  /// Each read against the reads and appends of its own transaction before it.
  private func checkWithin() throws(IsolationAnomaly) {
    for transaction in history.transactions where transaction.outcome != .aborted {
      var known: [Int: [Int]] = [:], own: [Int: [Int]] = [:]
      for action in transaction.actions {
        switch action {
        case .append(let key, let value):
          known[key]?.append(value)
          own[key, default: []].append(value)
        case .read(let key, let values):
          let appended = own[key] ?? []
          let isExpected = known[key].map { $0 == values } ?? (Array(values.suffix(appended.count)) == appended)
          if !isExpected {
            throw anomaly(
              .inconsistentWithin,
              "\(transaction.name) reads \(values) from list \(key), "
                + (known[key].map { "\($0) is due" } ?? "its own \(appended) is not at the end"))
          }
          known[key] = values
        }
      }
    }
  }

  private mutating func collectOrders() throws(IsolationAnomaly) {
    for (number, transaction) in history.transactions.enumerated() where counted[number] {
      for case .read(let key, let values) in transaction.actions where values.count > orders[key]?.count ?? 0 {
        orders[key] = values
      }
    }
    for (number, transaction) in history.transactions.enumerated() where counted[number] {
      for case .read(let key, let values) in transaction.actions {
        let order = orders[key] ?? []
        if Array(order.prefix(values.count)) != values {
          throw anomaly(
            .incompatibleOrder, "\(transaction.name) reads \(values) from list \(key), another one \(order)")
        }
      }
    }
    for (key, order) in orders.sorted(by: { $0.key < $1.key }) {
      if Set(order).count != order.count {
        throw anomaly(.incompatibleOrder, "list \(key) holds a number twice: \(order)")
      }
      for value in order where writer[key]?[value] == nil {
        throw anomaly(.incompatibleOrder, "\(value) in list \(key) was appended by nobody")
      }
    }
  }

  private func checkReads() throws(IsolationAnomaly) {
    for (reader, transaction) in history.transactions.enumerated() where counted[reader] {
      for case .read(let key, let values) in transaction.actions {
        for value in values {
          guard let writer = writer[key]?[value] else { continue }
          if history.transactions[writer].outcome == .aborted {
            throw anomaly(
              .abortedRead, "\(transaction.name) reads \(value) in list \(key), which \(name(writer)) took back")
          }
        }
        guard let last = values.last, let source = writer[key]?[last], source != reader else { continue }
        let appended = history.transactions[source].actions.compactMap { action -> Int? in
          if case .append(key, let value) = action { return value }
          return nil
        }
        if appended.last != last {
          throw anomaly(
            .intermediateRead,
            "\(transaction.name) reads list \(key) up to \(last), \(name(source)) appended \(appended) to it")
        }
      }
    }
    try checkLost()
  }

  /// A committed append must be in the longest read of its list where somebody read it that began behind the answer.
  private func checkLost() throws(IsolationAnomaly) {
    var lastReader: [Int: Int] = [:], known: [Int: Set<Int>] = [:]
    for (number, transaction) in history.transactions.enumerated() where transaction.outcome == .committed {
      for case .read(let key, _) in transaction.actions {
        if let other = lastReader[key], history.transactions[other].begin >= transaction.begin { continue }
        lastReader[key] = number
      }
    }
    for (key, order) in orders { known[key] = Set(order) }
    for transaction in history.transactions where transaction.outcome == .committed {
      for case .append(let key, let value) in transaction.actions where known[key]?.contains(value) != true {
        guard let reader = lastReader[key].map({ history.transactions[$0] }), reader.begin > transaction.end else {
          continue
        }
        throw anomaly(
          .lostAppend, "\(transaction.name) appended \(value) to list \(key), \(reader.name) does not find it")
      }
    }
  }

  /// Transactions of unknown outcome count where one that counts has read what they appended.
  private mutating func resolveUnknown() {
    counted = history.transactions.map { $0.outcome == .committed }
    var rest = history.transactions.indices.filter { counted[$0] }
    while let number = rest.popLast() {
      for case .read(let key, let values) in history.transactions[number].actions {
        for value in values {
          guard let source = writer[key]?[value], !counted[source] else { continue }
          if history.transactions[source].outcome == .unknown {
            counted[source] = true
            rest.append(source)
          }
        }
      }
    }
  }

  private func makeGraph() -> DependencyGraph {
    var graph = DependencyGraph(count: history.transactions.count)
    for (key, order) in orders.sorted(by: { $0.key < $1.key }) {
      let writers = order.compactMap { writer[key]?[$0] }
      for place in writers.indices.dropFirst() {
        graph.add(writers[place - 1], Dependency(kind: .write, key: key, value: order[place], target: writers[place]))
      }
    }
    for (reader, transaction) in history.transactions.enumerated() where counted[reader] {
      var own: Set<Int> = []
      // Who has only read has its place where its snapshot is.
      let isOfSnapshot = transaction.isAtSnapshot && transaction.actions.contains { if case .append = $0 { true } else { false } }
      for action in transaction.actions {
        guard case .read(let key, let values) = action else {
          if case .append(_, let value) = action { own.insert(value) }
          continue
        }
        let seen = values.filter { !own.contains($0) }
        if let last = seen.last, let source = writer[key]?[last] {
          graph.add(source, Dependency(kind: .read, key: key, value: last, target: reader))
        }
        // What follows its own appends is behind it by the order of writes.
        let order = orders[key] ?? []
        if seen.count < order.count, let next = writer[key]?[order[seen.count]] {
          graph.add(
            reader,
            Dependency(kind: .antiDependency, key: key, value: order[seen.count], target: next, isOfSnapshot: isOfSnapshot))
        }
      }
    }
    if isStrict { addRealTime(&graph) }
    return graph
  }

  /// An edge from each transaction to those that began behind its answer, by way of one node for each answer, so that their
  /// number stays linear: the nodes follow each other, an answer leads to its node, and a node to who begins next.
  private func addRealTime(_ graph: inout DependencyGraph) {
    enum Event { case begin(Int), end(Int) }
    var events: [(moment: Int, rank: Int, event: Event)] = []
    for (number, transaction) in history.transactions.enumerated() where counted[number] {
      events.append((transaction.begin, 0, .begin(number)))
      // Nobody knows when one of unknown outcome ended.
      if transaction.outcome == .committed { events.append((transaction.end, 1, .end(number))) }
    }
    events.sort { ($0.moment, $0.rank) < ($1.moment, $1.rank) }
    var last: Int?
    for (_, _, event) in events {
      switch event {
      case .begin(let number):
        if let last { graph.add(last, Dependency(kind: .realTime, key: 0, value: 0, target: number)) }
      case .end(let number):
        let node = graph.addNode()
        if let last { graph.add(last, Dependency(kind: .realTime, key: 0, value: 0, target: node)) }
        graph.add(number, Dependency(kind: .realTime, key: 0, value: 0, target: node))
        last = node
      }
    }
  }

  private mutating func checkCycles(_ graph: DependencyGraph) throws(IsolationAnomaly) {
    func look(
      _ kind: IsolationAnomaly.Kind, separated: Bool = false, _ accepts: (Dependency) -> Bool
    ) throws(IsolationAnomaly) {
      guard let cycle = graph.cycle(separated: separated, accepts) else { return }
      throw anomaly(kind, describe(cycle))
    }
    try look(.writeCycle) { $0.kind == .write }
    try look(.informationCycle) { $0.kind == .write || $0.kind == .read }
    if isStrict { try look(.staleOrder) { $0.kind != .antiDependency } }
    try look(.snapshotViolation, separated: true) { _ in true }
    if level == .serializable { try look(.antiDependencyCycle) { !$0.isOfSnapshot } }
    if history.transactions.contains(where: \.isAtSnapshot) { hasSkew = graph.cycle { _ in true } != nil }
  }

  private func describe(_ cycle: [(source: Int, edge: Dependency)]) -> String {
    cycle.compactMap { source, edge -> String? in
      let text: String
      switch edge.kind {
      case .write: text = "appended to list \(edge.key) before \(edge.value) of"
      case .read: text = "appended \(edge.value) to list \(edge.key), read by"
      case .antiDependency: text = "did not see \(edge.value) in list \(edge.key) of"
      case .realTime:
        // From an answer's node it is told with the edge that leads there.
        if !history.transactions.indices.contains(source) { return nil }
        return "\(name(source)) was answered before the next began"
      }
      return "\(name(source)) \(text) \(name(edge.target))"
    }.joined(separator: "; ")
  }
}
