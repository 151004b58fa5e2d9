// The replay over keys on histories made by hand, and the worlds whose transactions it looks at.

import ApusBase
import Testing

@testable import ApusSimulation

@Suite("The replay over keys")
struct KeyLedgerTests {
  private typealias Item = KeyModel.Item
  private static let sum = KeyOperation.idRange(1...9)

  private static func sum(_ count: Int64, _ value: Int64) -> KeyLedger.Event {
    .statement(sum, .rows([[.integer(count), .integer(value)]]))
  }

  private static func put(
    _ id: Int64, _ name: String, _ conflict: Operation.Conflict = .abort, _ answer: KeyAnswer = .rows([])
  ) -> KeyLedger.Event {
    .statement(.putItem(id: id, Item(name: name, group: 0, value: 1), conflict), answer)
  }

  private static func content(_ names: [Int64: String]) -> KeyModel {
    var model = KeyModel()
    model.items = names.mapValues { Item(name: $0, group: 0, value: 1) }
    return model
  }

  /// Transactions that began together, each with its place in the log; 0 for one that only reads.
  private func finding(
    _ transactions: [(events: [KeyLedger.Event], place: UInt64)], _ content: KeyModel, done: [Int64]? = nil,
    losesTail: Bool = false, atSnapshot: Set<Int> = []
  ) -> Finding.Oracle? {
    var ledger = KeyLedger()
    let ids = transactions.indices.map { ledger.begin($0, isAtSnapshot: atSnapshot.contains($0)) }
    for (client, transaction) in transactions.enumerated() {
      for event in transaction.events { ledger.note(event, by: client, now: 0) }
      if transaction.place > 0 { ledger.noteMarked(client, now: 0) }
      ledger.noteAsked(client, at: 0)
      ledger.noteCommitted(client, at: transaction.place)
    }
    let due = zip(ids, transactions).filter { $1.place > 0 }.map(\.0)
    do throws(Finding) {
      try ledger.check(content, done: done ?? due, losesTail: losesTail)
      return nil
    } catch {
      return error.oracle
    }
  }

  @Test("an order of the log that explains every answer is one")
  func serial() {
    let found = finding(
      [([Self.sum(1, 1), Self.put(2, "b")], 2), ([Self.put(1, "a")], 1), ([Self.sum(1, 1)], 0), ([Self.sum(2, 2)], 0)],
      Self.content([1: "a", 2: "b"]))
    #expect(found == nil)
  }

  @Test("at snapshot isolation who has taken his place may see what was committed before it")
  func behindPlace() {
    let late = KeyLedger.Event.statement(.item(id: 1), .rows([[.text(Array("a".utf8)), .integer(0), .integer(1)]]))
    let others: (events: [KeyLedger.Event], place: UInt64) = ([Self.put(1, "a")], 1)
    #expect(finding([others, ([Self.put(2, "b"), late], 2)], Self.content([1: "a", 2: "b"]), atSnapshot: [1]) == nil)
    // What it has read before was changed.
    let found = finding([others, ([Self.sum(0, 0), Self.put(2, "b"), late], 2)], Self.content([1: "a", 2: "b"]), atSnapshot: [1])
    #expect(found == .snapshot)
  }

  @Test("at snapshot isolation a row that kept another one out is there at the place, too")
  func obstacle() throws {
    func finding(_ first: KeyLedger.Event, _ content: KeyModel) throws -> Finding.Oracle? {
      var ledger = KeyLedger()
      func commit(_ events: [KeyLedger.Event], by client: Int, at place: UInt64) {
        for event in events { ledger.note(event, by: client, now: place - 1) }
        ledger.noteMarked(client, now: place - 1)
        ledger.noteAsked(client, at: place - 1)
        ledger.noteCommitted(client, at: place)
      }
      let before = ledger.begin(0)
      commit([Self.put(1, "a")], by: 0, at: 1)
      try ledger.check(Self.content([1: "a"]), done: [before], losesTail: false)
      let ids = [ledger.begin(0), ledger.begin(1, isAtSnapshot: true)]
      ledger.note(Self.put(2, "A", .ignore), by: 1, now: 1)
      commit([first], by: 0, at: 2)
      commit([Self.put(3, "c")], by: 1, at: 3)
      do throws(Finding) {
        try ledger.check(content, done: [before] + ids, losesTail: false)
        return nil
      } catch {
        return error.oracle
      }
    }
    // Or it was not kept out, and its row is missing.
    let due: [Finding.Oracle?] = [.snapshot, .read]
    #expect(due.contains(try finding(.statement(.dropItem(id: 1), .rows([])), Self.content([3: "c"]))))
    let renaming = KeyLedger.Event.statement(.rename(id: 1, to: "b", replaces: false), .rows([]))
    #expect(due.contains(try finding(renaming, Self.content([1: "b", 3: "c"]))))
    #expect(try finding(Self.put(4, "d"), Self.content([1: "a", 3: "c", 4: "d"])) == nil)
  }

  private static func take(_ id: Int64) -> KeyLedger.Event { .statement(.takeTicket(7, id: id), .rows([])) }

  private static func tickets(_ ids: [Int64], sequence: Int64?) -> KeyModel {
    var model = KeyModel()
    for id in ids { model.tickets[id] = 7 }
    model.sequence = sequence
    return model
  }

  @Test("tickets: ids in any order, the largest of them in the sequence; none twice, and no sequence that falls")
  func tickets() {
    let saved = KeyLedger.Event.savepoint, back = KeyLedger.Event.wayBack
    let inverted: [(events: [KeyLedger.Event], place: UInt64)] = [
      ([Self.take(1), Self.take(3)], 2), ([Self.take(2)], 1),
    ]
    #expect(finding(inverted, Self.tickets([1, 2, 3], sequence: 3)) == nil)
    #expect(finding(inverted, Self.tickets([1, 2, 3], sequence: 2)) == .read)
    #expect(finding(inverted, Self.tickets([1, 2, 3], sequence: 3), atSnapshot: [0, 1]) == nil)
    #expect(finding([([saved, Self.take(4), back, Self.take(1)], 1)], Self.tickets([1], sequence: 1)) == nil)
    let dropped = KeyLedger.Event.statement(.dropTickets(from: 1), .rows([]))
    #expect(finding([([Self.take(1), dropped], 1), ([Self.take(1)], 2)], Self.tickets([1], sequence: 1)) == .snapshot)
    #expect(
      finding([([Self.take(1), dropped], 1), ([Self.take(1)], 2)], Self.tickets([1], sequence: 1), atSnapshot: [1])
        == .snapshot)
    let setBack = KeyLedger.Event.statement(.setSequence(0), .rows([]))
    #expect(
      finding([([Self.take(1), dropped, setBack], 1), ([Self.take(1)], 2)], Self.tickets([1], sequence: 1)) == nil)
    let readsOne = KeyLedger.Event.statement(.sequence, .rows([[.integer(1)]]))
    #expect(
      finding(
        [([Self.take(1)], 1), ([Self.take(2)], 2), ([readsOne, Self.take(3)], 3)], Self.tickets([1, 2, 3], sequence: 3))
        == .snapshot)
  }

  @Test("a count that another commit has made stale is found, by whoever counted")
  func skew() {
    let both = Self.content([1: "a", 2: "b"])
    let counted = [[Self.sum(0, 0), Self.put(1, "a")], [Self.sum(0, 0), Self.put(2, "b")]]
    #expect(finding([(counted[0], 1), (counted[1], 2)], both) == .snapshot)
    #expect(finding([([Self.put(1, "a")], 1), ([Self.put(2, "b")], 2), ([Self.sum(1, 2)], 0)], both) == .snapshot)
  }

  @Test("a name is one's own, in letters of whatever size")
  func claims() {
    let claims: [(events: [KeyLedger.Event], place: UInt64)] = [([Self.put(1, "ka")], 1), ([Self.put(2, "KA")], 2)]
    #expect(finding(claims, Self.content([1: "ka", 2: "KA"])) == .snapshot)
    let refused: [(events: [KeyLedger.Event], place: UInt64)] = [
      ([Self.put(1, "ka")], 1), ([Self.put(2, "KA", .abort, .violates)], 2), ([Self.put(3, "Ka", .replace)], 3),
    ]
    #expect(finding(refused, Self.content([3: "Ka"])) == nil)
    #expect(finding(refused, Self.content([3: "ka"])) == .read)
  }

  @Test("what ROLLBACK TO takes back has not been, and what was read there has")
  func savepoints() {
    let undone: [KeyLedger.Event] = [
      Self.put(1, "a"), .savepoint, Self.put(2, "b"), Self.sum(2, 2), .wayBack, Self.sum(1, 1),
    ]
    #expect(finding([(undone, 1)], Self.content([1: "a"])) == nil)
    #expect(finding([(undone, 1)], Self.content([1: "a", 2: "b"])) == .read)
    #expect(finding([([Self.put(5, "e")], 1), (undone, 2)], Self.content([1: "a", 5: "e"])) == .snapshot)
  }

  @Test("answered is answered, unless the power may take it")
  func durability() {
    let one: [(events: [KeyLedger.Event], place: UInt64)] = [([Self.put(1, "a")], 1)]
    #expect(finding(one, KeyModel(), done: []) == .durability)
    #expect(finding(one, KeyModel(), done: [], losesTail: true) == nil)
  }

  @Test("at snapshot isolation a read may be stale at the commit, if it is one snapshot's")
  func snapshots() {
    let both = Self.content([1: "a", 2: "b"])
    let counted = [[Self.sum(0, 0), Self.put(1, "a")], [Self.sum(0, 0), Self.put(2, "b")]]
    #expect(finding([(counted[0], 1), (counted[1], 2)], both, atSnapshot: [0, 1]) == nil)
    #expect(finding([(counted[0], 1), (counted[1], 2)], both, atSnapshot: [1]) == nil)
    #expect(finding([(counted[0], 1), (counted[1], 2)], both, atSnapshot: [0]) == .snapshot, "the stale one is serializable")
    let unrepeatable = [Self.sum(0, 0), Self.sum(1, 1), Self.put(2, "b")]
    #expect(finding([([Self.put(1, "a")], 1), (unrepeatable, 2)], both, atSnapshot: [0, 1]) == .snapshot)
  }

  @Test("at snapshot isolation no update is lost, a name is one's own, and a range changes what the snapshot has in it")
  func snapshotChanges() {
    let first: (events: [KeyLedger.Event], place: UInt64) = ([Self.put(1, "a")], 1)
    let overwrites = [Self.sum(0, 0), Self.put(1, "b", .replace)]
    #expect(finding([first, (overwrites, 2)], Self.content([1: "b"]), atSnapshot: [0, 1]) == .snapshot)
    let claims = [Self.sum(0, 0), Self.put(2, "A")]
    #expect(finding([first, (claims, 2)], Self.content([1: "a", 2: "A"]), atSnapshot: [0, 1]) == .snapshot)
    let adds: [KeyLedger.Event] = [.statement(.addToItems(1...9, 5), .rows([]))]
    #expect(finding([first, (adds, 2)], Self.content([1: "a"]), atSnapshot: [1]) == nil)
    #expect(finding([first, (adds, 2)], Self.content([1: "a"])) == .read)
  }

  @Test("worlds at snapshot isolation have write skews, and those at the other have none")
  func skews() throws {
    var counts: [Int] = []
    for (name, last) in [("snapshot-writers", UInt64(60)), ("keyed-writers", 6)] {
      let scenario = try #require(Scenario.named(name))
      counts.append(try (1...last).reduce(0) { count, seed in
        let verdict = RunSettings(scenario: scenario).run(.seed(seed))
        #expect(verdict.finding == nil, "seed \(seed): \(verdict.profile)")
        try #require(verdict.replayedCount > 0)
        return count + verdict.skewCount
      })
    }
    #expect(counts[0] > 0 && counts[1] == 0, "\(counts)")
  }

  @Test("a commit that was on its way when the power went has its place behind all that were written")
  func onItsWay() {
    var ledger = KeyLedger()
    // The first commit was answered before the others began; the power keeps the second one's write, which nobody saw complete.
    for (client, event) in [Self.put(1, "a"), Self.put(2, "b"), Self.sum(1, 1)].enumerated() {
      _ = ledger.begin(client)
      ledger.note(event, by: client, now: 0)
      if client < 2 { ledger.noteMarked(client, now: 0) }
      ledger.noteAsked(client, at: client == 0 ? 0 : 1)
      if client != 1 { ledger.noteCommitted(client, at: 1) }
    }
    ledger.end(1, at: 0, now: 1)
    #expect(throws: Never.self) { try ledger.check(Self.content([1: "a", 2: "b"]), done: [1, 2], losesTail: false) }
  }

  @Test(
    "the worlds of concurrent transactions find nothing, and have something to check",
    arguments: ["keyed-writers", "concurrent-writers", "group-commit"])
  func worlds(name: String) throws {
    let scenario = try #require(Scenario.named(name))
    var listCount = 0, replayedCount = 0
    for seed in UInt64(1)...8 {
      let verdict = RunSettings(scenario: scenario).run(.seed(seed))
      #expect(verdict.finding == nil, "seed \(seed): \(verdict.profile)")
      listCount += verdict.listCount
      replayedCount += verdict.replayedCount
    }
    #expect(replayedCount > 0 && (listCount > 0 || name != "concurrent-writers"), "\(listCount), \(replayedCount)")
  }
}
