// What runs on the disk that will lose its power: transactions that follow from a seed alone, so that the number that a
// file carries says what else must be in it.
// `unsafe` lives here: open(2) and write(2) for the acknowledgements.

import ApusBase
import ApusHarness
import Glibc

struct CutWorkload {
  var seed: UInt64

  /// Key to (stamp of its last change, length of its blob).
  typealias Rows = [Int64: (stamp: Int64, length: Int)]

  private enum Change {
    case put(key: Int64, length: Int)
    case remove(from: Int64, to: Int64)
  }

  private func changes(of number: Int) -> [Change] {
    var random = SeededRandom(seed: seed &* 0x9e37_79b9 &+ UInt64(number))
    return (0...random.below(5)).map { _ in
      let key = Int64(random.below(300))
      if random.oneIn(6) { return .remove(from: key, to: key + Int64(random.below(12))) }
      return .put(key: key, length: random.oneIn(8) ? random.below(20_000) : random.below(400))
    }
  }

  static let schema = """
    CREATE TABLE s(n INTEGER);
    CREATE TABLE t(id INTEGER PRIMARY KEY, x INTEGER, b BLOB);
    CREATE INDEX tx ON t(x, id);
    INSERT INTO s VALUES (0);
    """

  /// Runs transactions 1 to `count`; each is acknowledged as soon as its COMMIT has returned.
  func run(on connection: any HarnessConnection, count: Int, acknowledgements: String) throws {
    let descriptor = unsafe open(acknowledgements, O_WRONLY | O_CLOEXEC)
    guard descriptor >= 0 else { throw ProofFailure("\(acknowledgements): \(RigRefusal.reason)") }
    defer { close(descriptor) }
    for number in 1...max(1, count) {
      try connection.execute("BEGIN")
      for change in changes(of: number) {
        switch change {
        case .put(let key, let length):
          let statement = try connection.prepare("INSERT OR REPLACE INTO t VALUES (\(key), \(number), ?)")
          defer { statement.finalize() }
          try statement.bind(.blob(payload(key, stamp: Int64(number), length)), at: 1)
          while try statement.step() {}
        case .remove(let first, let last): try connection.execute("DELETE FROM t WHERE id BETWEEN \(first) AND \(last)")
        }
      }
      try connection.execute("UPDATE s SET n = \(number); COMMIT")
      var stamp = UInt64(number)
      if unsafe write(descriptor, &stamp, 8) != 8 { throw ProofFailure("ack: \(RigRefusal.reason)") }
    }
  }

  /// What a row's blob holds: no two rows have the same, nor has one row twice.
  func payload(_ key: Int64, stamp: Int64, _ length: Int) -> [UInt8] {
    Payload.letters(seed: seed &* 0xbf58_476d_1ce4_e5b9 ^ UInt64(stamp) << 20 ^ UInt64(key), count: length)
  }

  private func rows(after number: Int) -> Rows {
    var rows: Rows = [:]
    for number in 1...max(1, number) {
      for change in changes(of: number) {
        switch change {
        case .put(let key, let length): rows[key] = (Int64(number), length)
        case .remove(let first, let last): for key in first...last { rows[key] = nil }
        }
      }
    }
    return number == 0 ? [:] : rows
  }

  /// The file is whole and holds exactly what its number says.
  /// - Returns: that number; nil where the database had not been made yet.
  func check(_ connection: any HarnessConnection) throws -> Int? {
    if try connection.rows("SELECT name FROM sqlite_schema WHERE name = 's'").rows.isEmpty { return nil }
    let report = try connection.rows("PRAGMA integrity_check").rows
    if report != [[.text("ok")]] { throw ProofFailure("integrity_check: \(report.prefix(3))") }
    guard case .integer(let number)? = try connection.rows("SELECT n FROM s").rows.first?.first else { return nil }
    let expected = rows(after: Int(number))
    for order in ["id", "x, id"] {
      let found = try connection.rows("SELECT id, x, b FROM t ORDER BY \(order)").rows
      if found.count != expected.count {
        throw ProofFailure("transaction \(number): \(found.count) rows by \(order), not \(expected.count)")
      }
      var missing = expected
      for row in found {
        guard case .integer(let key) = row[0], let wanted = missing.removeValue(forKey: key),
          row[1] == .integer(wanted.stamp)
        else { throw ProofFailure("transaction \(number): a row \(row[0]), \(row[1]) that does not belong there") }
        let blob = payload(key, stamp: wanted.stamp, wanted.length)
        if row[2] != .blob(blob) {
          throw ProofFailure("transaction \(number), row \(key): \(Payload.difference(expected: blob, found: row[2]))")
        }
      }
    }
    return Int(number)
  }
}
