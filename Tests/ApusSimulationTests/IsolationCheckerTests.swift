// The isolation checker on histories made by hand, one for each anomaly, and on random serial ones.

import ApusBase
import Testing

@testable import ApusSimulation

@Suite struct IsolationCheckerTests {
  private typealias Step = History.Action

  private func history(_ parts: [(String, [History.Action], History.Outcome, Int, Int)]) -> History {
    History(parts.map { History.Transaction($0.0, $0.1, $0.2, begin: $0.3, end: $0.4) })
  }

  private func verdict(
    _ history: History, _ level: IsolationChecker.Level = .serializable, isStrict: Bool = true
  ) -> IsolationAnomaly.Kind? {
    var checker = IsolationChecker(history, level: level, isStrict: isStrict)
    do {
      try checker.check()
      return nil
    } catch {
      return error.kind
    }
  }

  @Test("transactions one after the other are in order")
  func serial() {
    let fine = history([
      ("a", [.append(key: 1, value: 1)], .committed, 1, 2),
      ("b", [.read(key: 1, values: [1]), .append(key: 1, value: 2), .read(key: 1, values: [1, 2])], .committed, 3, 4),
      ("c", [.append(key: 1, value: 3)], .aborted, 5, 6),
      ("d", [.append(key: 1, value: 4)], .unknown, 5, 6),
      ("e", [.read(key: 1, values: [1, 2])], .committed, 7, 8),
    ])
    #expect(verdict(fine) == nil)
    #expect(verdict(fine, .snapshot) == nil)
  }

  @Test("what a crash left open may have happened, and then it counts")
  func inDoubt() {
    let seen = history([
      ("a", [.append(key: 1, value: 1)], .unknown, 1, 2), ("b", [.read(key: 1, values: [1])], .committed, 3, 4),
      ("c", [.read(key: 1, values: [])], .committed, 5, 6),
    ])
    #expect(verdict(seen) == .snapshotViolation)
    #expect(verdict(seen, isStrict: false) == nil)
  }

  @Test("each anomaly by its name")
  func anomalies() {
    let orders = history([
      ("a", [.append(key: 1, value: 1)], .committed, 1, 9), ("b", [.append(key: 1, value: 2)], .committed, 1, 9),
      ("c", [.read(key: 1, values: [1, 2])], .committed, 1, 9), ("d", [.read(key: 1, values: [2])], .committed, 1, 9),
    ])
    #expect(verdict(orders) == .incompatibleOrder)
    let invented = history([("a", [.read(key: 1, values: [7])], .committed, 1, 2)])
    #expect(verdict(invented) == .incompatibleOrder)
    let lost = history([
      ("a", [.append(key: 1, value: 1)], .committed, 1, 2), ("b", [.read(key: 1, values: [])], .committed, 3, 4),
    ])
    #expect(verdict(lost) == .lostAppend)
    let aborted = history([
      ("a", [.append(key: 1, value: 1)], .aborted, 1, 4), ("b", [.read(key: 1, values: [1])], .committed, 2, 3),
    ])
    #expect(verdict(aborted) == .abortedRead)
    let intermediate = history([
      ("a", [.append(key: 1, value: 1), .append(key: 1, value: 2)], .committed, 1, 4),
      ("b", [.read(key: 1, values: [1])], .committed, 2, 3), ("c", [.read(key: 1, values: [1, 2])], .committed, 5, 6),
    ])
    #expect(verdict(intermediate) == .intermediateRead)
    let own = history([("a", [.append(key: 1, value: 1), .read(key: 1, values: [])], .committed, 1, 2)])
    #expect(verdict(own) == .inconsistentWithin)
    let unrepeatable = history([
      ("a", [.read(key: 1, values: []), .read(key: 1, values: [1])], .committed, 1, 4),
      ("b", [.append(key: 1, value: 1)], .committed, 2, 3),
    ])
    #expect(verdict(unrepeatable) == .inconsistentWithin)
    let writes = history([
      ("a", [.append(key: 1, value: 1), .append(key: 2, value: 4)], .committed, 1, 9),
      ("b", [.append(key: 1, value: 2), .append(key: 2, value: 3)], .committed, 1, 9),
      ("c", [.read(key: 1, values: [1, 2]), .read(key: 2, values: [3, 4])], .committed, 1, 9),
    ])
    #expect(verdict(writes) == .writeCycle)
    let flow = history([
      ("a", [.append(key: 1, value: 1), .read(key: 2, values: [2])], .committed, 1, 9),
      ("b", [.append(key: 2, value: 2), .read(key: 1, values: [1])], .committed, 1, 9),
    ])
    #expect(verdict(flow) == .informationCycle)
  }

  @Test("a stale snapshot is an anomaly only where real time counts")
  func realTime() {
    let stale = history([
      ("a", [.append(key: 1, value: 1)], .committed, 1, 2), ("b", [.append(key: 1, value: 2)], .committed, 3, 4),
      ("c", [.read(key: 1, values: [1])], .committed, 5, 6), ("d", [.read(key: 1, values: [1, 2])], .committed, 5, 6),
    ])
    #expect(verdict(stale) == .snapshotViolation)
    #expect(verdict(stale, isStrict: false) == nil)
    let backwards = history([
      ("b", [.append(key: 1, value: 2)], .committed, 1, 2), ("a", [.append(key: 1, value: 1)], .committed, 3, 4),
      ("c", [.read(key: 1, values: [1, 2])], .committed, 5, 6),
    ])
    #expect(verdict(backwards) == .staleOrder)
  }

  @Test("a write skew is one's own where one is at snapshot isolation, a lost update never")
  func mixedLevels() throws {
    func history(_ first: [Step], _ second: [Step], atSnapshot: [Bool]) -> History {
      History([
        .init("a", first, begin: 1, end: 9, isAtSnapshot: atSnapshot[0]),
        .init("b", second, begin: 1, end: 9, isAtSnapshot: atSnapshot[1]),
        .init("c", [.read(key: 1, values: [1]), .read(key: 2, values: [2])], begin: 10, end: 11),
      ])
    }
    let skew: ([Step], [Step]) = (
      [.read(key: 2, values: []), .append(key: 1, value: 1)], [.read(key: 1, values: []), .append(key: 2, value: 2)]
    )
    #expect(verdict(history(skew.0, skew.1, atSnapshot: [false, false])) == .antiDependencyCycle)
    for levels in [[true, true], [true, false]] {
      var checker = IsolationChecker(history(skew.0, skew.1, atSnapshot: levels))
      try checker.check()
      #expect(checker.hasSkew)
    }
    let update = History([
      .init("a", [.read(key: 1, values: []), .append(key: 1, value: 1)], begin: 1, end: 9, isAtSnapshot: true),
      .init("b", [.read(key: 1, values: []), .append(key: 1, value: 2)], begin: 1, end: 9, isAtSnapshot: true),
      .init("c", [.read(key: 1, values: [1, 2])], begin: 10, end: 11),
    ])
    #expect(verdict(update) == .snapshotViolation)
  }

  @Test("a lost update breaks snapshots, a write skew breaks serial order alone")
  func isolation() {
    let update = history([
      ("a", [.read(key: 1, values: []), .append(key: 1, value: 1)], .committed, 1, 9),
      ("b", [.read(key: 1, values: []), .append(key: 1, value: 2)], .committed, 1, 9),
      ("c", [.read(key: 1, values: [1, 2])], .committed, 10, 11),
    ])
    #expect(verdict(update, .snapshot) == .snapshotViolation)
    let skew = history([
      ("a", [.read(key: 1, values: []), .append(key: 2, value: 1)], .committed, 1, 9),
      ("b", [.read(key: 2, values: []), .append(key: 1, value: 2)], .committed, 1, 9),
      ("c", [.read(key: 1, values: [2]), .read(key: 2, values: [1])], .committed, 10, 11),
    ])
    #expect(verdict(skew, .snapshot) == nil)
    #expect(verdict(skew) == .antiDependencyCycle)
    let readSkew = history([
      ("a", [.append(key: 1, value: 1), .append(key: 2, value: 2)], .committed, 1, 9),
      ("b", [.read(key: 1, values: [1]), .read(key: 2, values: [])], .committed, 1, 9),
      ("c", [.read(key: 2, values: [2])], .committed, 10, 11),
    ])
    #expect(verdict(readSkew, .snapshot) == .snapshotViolation)
  }

  @Test("random serial histories are in order; with one read from another moment they are not")
  func random() {
    var random = SeededRandom(seed: 5)
    for _ in 0..<40 {
      var lists: [Int: [Int]] = [:], transactions: [History.Transaction] = []
      var nextValue = 1
      for number in 0..<60 {
        var actions: [History.Action] = []
        let outcome: History.Outcome = random.oneIn(8) ? .aborted : .committed
        var state = lists
        for _ in 0..<1 + random.below(4) {
          let key = random.below(4)
          if random.oneIn(2) {
            actions.append(.append(key: key, value: nextValue))
            state[key, default: []].append(nextValue)
            nextValue += 1
          } else {
            actions.append(.read(key: key, values: state[key] ?? []))
          }
        }
        if outcome == .committed { lists = state }
        transactions.append(
          History.Transaction("T\(number)", actions, outcome, begin: number * 10, end: number * 10 + 5))
      }
      transactions.append(
        History.Transaction("last", (0..<4).map { .read(key: $0, values: lists[$0] ?? []) }, begin: 990, end: 995))
      #expect(verdict(History(transactions)) == nil)
      guard let values = lists[0], values.count > 1 else { continue }
      transactions.append(
        History.Transaction("stale", [.read(key: 0, values: Array(values.dropLast()))], begin: 1_000, end: 1_001))
      #expect(verdict(History(transactions)) != nil)
    }
  }

  @Test("twenty thousand transactions are checked")
  func size() {
    var lists: [[Int]] = Array(repeating: [], count: 500), transactions: [History.Transaction] = []
    var random = SeededRandom(seed: 9)
    for number in 0..<20_000 {
      let key = random.below(lists.count)
      // Lists stay short, as a workload that changes its keys keeps them.
      if lists[key].count < 40 {
        lists[key].append(number)
        transactions.append(
          History.Transaction("T\(number)", [.append(key: key, value: number)], begin: 2 * number, end: 2 * number + 1))
      } else {
        transactions.append(
          History.Transaction(
            "T\(number)", [.read(key: key, values: lists[key])], begin: 2 * number, end: 2 * number + 1))
      }
    }
    #expect(verdict(History(transactions)) == nil)
  }
}
