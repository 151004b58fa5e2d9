// The transactions of a worker that will be killed: number n is the same whoever computes it, so that the parent knows what
// must be in the file from the number that it finds there.

import ApusBase
import ApusHarness

struct KillPlan {
  struct Row: Equatable {
    var value: Int64
    var size: Int
    /// What the text follows from: no two rows have the same, so that a page of another row shows.
    var salt: UInt64

    var text: [UInt8] { Payload.letters(seed: salt, count: size) }
  }

  enum Change {
    case put(table: Int, key: Int64, Row)
    case delete(table: Int, from: Int64, to: Int64)
    case add(table: Int, from: Int64, to: Int64, Int64)
  }

  /// "t" has rowids and an index, "w" neither.
  static let names = ["t", "w"]
  static let schema = """
    CREATE TABLE state(id INTEGER PRIMARY KEY, n INTEGER);
    INSERT INTO state VALUES (1, 0);
    CREATE TABLE t(k INTEGER PRIMARY KEY, v INTEGER, s TEXT);
    CREATE INDEX tv ON t(v);
    CREATE TABLE w(k INTEGER PRIMARY KEY, v INTEGER, s TEXT) WITHOUT ROWID;
    """
  private static let keyCount = 150

  let seed: UInt64
  private(set) var number: Int64 = 0
  private(set) var tables: [[Int64: Row]] = [[:], [:]]

  init(seed: UInt64) { self.seed = seed }

  private func random(_ number: Int64) -> SeededRandom {
    SeededRandom(seed: seed ^ UInt64(bitPattern: number) &* 0x9e37_79b9_7f4a_7c15)
  }

  /// What transaction `number` changes.
  func changes(_ number: Int64) -> [Change] {
    var random = random(number)
    let isBig = random.oneIn(25)
    return (0...(isBig ? 60 + random.below(150) : random.below(8))).map { _ in Self.change(&random, number) }
  }

  private static func change(_ random: inout SeededRandom, _ number: Int64) -> Change {
    let table = random.below(2), key = Int64(random.below(keyCount))
    switch random.below(12) {
    case 0, 1: return .delete(table: table, from: key, to: key + Int64(random.below(6)))
    case 2: return .add(table: table, from: key, to: key + Int64(random.below(30)), 1 + Int64(random.below(9)))
    default:
      let scale = random.below(20)
      let size = scale == 0 ? 4000 + random.below(9000) : scale < 4 ? random.below(1500) : random.below(120)
      let row = Row(value: number &* 16 &+ Int64(random.below(16)), size: size, salt: random.next())
      return .put(table: table, key: key, row)
    }
  }

  /// Carries the model on to transaction `number`.
  mutating func advance(to number: Int64) {
    while self.number < number {
      self.number += 1
      for change in changes(self.number) { apply(change) }
    }
  }

  private mutating func apply(_ change: Change) {
    switch change {
    case .put(let table, let key, let row): tables[table][key] = row
    case .delete(let table, let from, let to):
      for key in from...to { tables[table][key] = nil }
    case .add(let table, let from, let to, let more):
      for key in from...to { tables[table][key]?.value += more }
    }
  }

  // MARK: As SQL

  static func execute(_ change: Change, on connection: any HarnessConnection) throws(EngineFailure) {
    let sql: String
    var values: [HarnessValue]
    switch change {
    case .put(let table, let key, let row):
      sql = "INSERT OR REPLACE INTO \(names[table]) VALUES (?, ?, ?)"
      values = [.integer(key), .integer(row.value), .text(row.text)]
    case .delete(let table, let from, let to):
      sql = "DELETE FROM \(names[table]) WHERE k BETWEEN ? AND ?"
      values = [.integer(from), .integer(to)]
    case .add(let table, let from, let to, let more):
      sql = "UPDATE \(names[table]) SET v = v + ? WHERE k BETWEEN ? AND ?"
      values = [.integer(more), .integer(from), .integer(to)]
    }
    let statement = try connection.prepare(sql)
    defer { statement.finalize() }
    for (index, value) in values.enumerated() { try statement.bind(value, at: index + 1) }
    while try statement.step() {}
  }

  static func number(in connection: any HarnessConnection) throws -> Int64 {
    guard case .integer(let number)? = try connection.rows("SELECT n FROM state WHERE id = 1").rows.first?.first else {
      throw ProofFailure("the table of the state is empty")
    }
    return number
  }

  /// The database is whole, and holds what this model holds.
  func check(_ connection: any HarnessConnection, _ who: String) throws {
    let report = try connection.rows("PRAGMA integrity_check").rows
    if report != [[.text("ok")]] {
      let lines = report.prefix(5).compactMap { $0.first?.description }
      throw ProofFailure("\(who): integrity_check: \(lines.joined(separator: "; "))")
    }
    for (table, name) in Self.names.enumerated() {
      let rows = try connection.rows("SELECT k, v, s FROM \(name)").rows
      if rows.count != tables[table].count {
        throw ProofFailure("\(who): after transaction \(number) \(name) has \(rows.count) rows, not \(tables[table].count)")
      }
      var missing = tables[table]
      for found in rows {
        guard case .integer(let key) = found[0], let row = missing.removeValue(forKey: key) else {
          throw ProofFailure("\(who): after transaction \(number) \(name) has a row of key \(found[0])")
        }
        if found[1...] != [.integer(row.value), .text(row.text)] {
          let text = Payload.difference(expected: row.text, found: found[2])
          let place = "after transaction \(number) \(name), key \(key)"
          throw ProofFailure("\(who): \(place): \(found[1]), not \(row.value); \(text)")
        }
      }
    }
  }
}
