// Random transactions of several connections beside each other, SQLite's among them. Those that commit are replayed one by
// one, in the order of their commits, in a database of SQLite's: each statement must give what it gave, and the tables be
// the same.

import ApusBase
import ApusHarness
import Foundation
import Testing

@Suite("Concurrent transactions, replayed", .timeLimit(.minutes(20)))
struct ConcurrentReplayTests {
  private struct Step {
    var sql: String
    var result: String
  }

  private struct Client {
    var connection: any HarnessConnection
    var isForeign = false
    var isOpen = false
    var hasSavepoint = false
    var steps: [Step] = []
  }

  private static let schema = [
    "CREATE TABLE t(id INTEGER PRIMARY KEY, a, b TEXT COLLATE NOCASE UNIQUE, c)",
    "CREATE INDEX ta ON t(a DESC, b)", "CREATE INDEX tp ON t(c) WHERE a > 5", "CREATE INDEX te ON t(a + 1)",
    "CREATE TABLE w(k TEXT COLLATE NOCASE, n, v, PRIMARY KEY(k, n DESC)) WITHOUT ROWID",
    "CREATE TABLE q(id INTEGER PRIMARY KEY AUTOINCREMENT, a)",
    "CREATE TABLE q2(id INTEGER PRIMARY KEY AUTOINCREMENT, a)",
    "CREATE INDEX wv ON w(v)", "CREATE TABLE done(n INTEGER PRIMARY KEY)",
    "WITH RECURSIVE n(i) AS (VALUES(1) UNION ALL SELECT i + 1 FROM n WHERE i < 60) "
      + "INSERT INTO t SELECT i * 3, i % 11, 'k' || i, i % 7 FROM n",
    "WITH RECURSIVE n(i) AS (VALUES(1) UNION ALL SELECT i + 1 FROM n WHERE i < 60) "
      + "INSERT INTO w SELECT 'k' || (i % 9), i, i % 13 FROM n",
  ]

  private static func run(_ connection: any HarnessConnection, _ sql: String) -> String {
    do throws(EngineFailure) {
      return "\(try connection.rows(sql).rows)"
    } catch {
      return "failure \(Int(error.code) & 0xff)"
    }
  }

  private static func statement(_ random: inout SeededRandom) -> String {
    let id = 1 + random.below(200)
    let (a, b) = (random.below(12), (random.oneIn(2) ? "k" : "K") + "\(random.below(70))")
    let width = random.below(12)
    let padding = random.oneIn(6) ? "zeroblob(\(random.below(3000)))" : "\(random.below(9))"
    let action = ["", "", "OR REPLACE", "OR IGNORE"][random.below(4)]
    switch random.below(29) {
    case 23, 24: return "INSERT INTO q(a) VALUES (\(a))"
    case 25: return "INSERT \(action) INTO q VALUES (\(id), \(a))"
    case 26: return random.oneIn(3) ? "DELETE FROM q WHERE id > \(id)" : "INSERT INTO q2(a) VALUES (\(a))"
    case 27:
      let table = random.oneIn(3) ? "q2" : "q"
      return switch random.below(6) {
      case 0: "UPDATE sqlite_sequence SET seq = \(id) WHERE name = '\(table)'"
      case 1: "DELETE FROM sqlite_sequence WHERE name = '\(table)'"
      case 2: "SELECT count(*) FROM \(table) WHERE id > \(id)"
      default: "SELECT seq FROM sqlite_sequence WHERE name = '\(table)'"
      }
    case 0: return "SELECT id, a, b, length(c) FROM t WHERE id = \(id)"
    case 1: return "SELECT count(*), sum(a) FROM t WHERE id BETWEEN \(id) AND \(id + width)"
    case 2: return "SELECT id FROM t WHERE id >= \(id) ORDER BY id LIMIT \(1 + random.below(3))"
    case 3: return "SELECT id FROM t WHERE id < \(id) ORDER BY id DESC LIMIT \(1 + random.below(3))"
    case 4: return "SELECT a, b FROM t WHERE a = \(a) ORDER BY b, id LIMIT 3"
    case 5: return "SELECT a, id FROM t WHERE a > \(a) ORDER BY a, id LIMIT 2"
    case 6: return "SELECT id FROM t WHERE b = '\(b)'"
    case 7: return "SELECT count(*) FROM t WHERE c = \(a) AND a > 5"
    case 8: return "SELECT max(a), min(b) FROM t WHERE a + 1 = \(a)"
    case 9: return "SELECT n, v FROM w WHERE k = '\(b)' AND n < \(id) ORDER BY n LIMIT 3"
    case 10: return "SELECT w.n, t.id FROM w JOIN t ON t.id = w.n WHERE w.k = '\(b)' ORDER BY 1, 2"
    case 11: return "SELECT k, n FROM w WHERE v = \(a) ORDER BY k, n LIMIT 4"
    case 12, 13: return "INSERT \(action) INTO t(a, b, c) VALUES (\(a), '\(b)', \(padding))"
    case 14: return "INSERT \(action) INTO t VALUES (\(id), \(a), '\(b)', \(padding))"
    case 15: return "UPDATE t SET a = a + 1 WHERE id = \(id)"
    case 16: return "UPDATE t SET c = \(padding) WHERE id BETWEEN \(id) AND \(id + 2)"
    case 17: return "UPDATE \(action) t SET b = '\(b)' WHERE id = \(id)"
    case 18: return "DELETE FROM t WHERE id = \(id)"
    case 19: return "INSERT \(action) INTO w VALUES ('\(b)', \(id), \(padding))"
    case 20: return "UPDATE w SET v = \(padding) WHERE k = '\(b)' AND n > \(id)"
    case 21: return "DELETE FROM w WHERE k = '\(b)' AND n = \(id)"
    case 22: return random.oneIn(12) ? "DELETE FROM w" : "DELETE FROM t WHERE a = \(a) AND id < \(id)"
    default: return "INSERT INTO t(a, b, c) SELECT a, b || 'x', c FROM t WHERE id = \(id)"
    }
  }

  @Test("committed transactions, one after the other, give the same rows and reads", arguments: UInt64(1)...12)
  func replay(seed: UInt64) throws {
    var random = SeededRandom(seed: seed)
    let directory = FileManager.default.temporaryDirectory.resolvingSymlinksInPath()
      .appendingPathComponent("apus-replay-\(UInt64.random(in: 0 ... .max))").path
    try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: directory) }
    let sqlite = try SQLiteLibrary().open("\(directory)/a.db", readOnly: false)
    let serial = try SQLiteLibrary().open("\(directory)/b.db", readOnly: false)
    for connection in [sqlite, serial] {
      try connection.execute("PRAGMA page_size = \(seed % 3 == 0 ? 4096 : 512)")
      if seed % 4 == 1 { try connection.execute("PRAGMA auto_vacuum = \(1 + random.below(2))") }
      try connection.execute("PRAGMA journal_mode = WAL")
      for statement in Self.schema { try connection.execute(statement) }
    }
    let engine = try Engines.named("apus")
    // In some worlds nobody else writes: then keys decide alone.
    let hasForeign = seed % 2 == 0
    var clients = try (0..<5).map { _ in Client(connection: try engine.open("\(directory)/a.db", readOnly: false)) }
    if hasForeign { clients.append(Client(connection: sqlite, isForeign: true)) }
    for client in clients {
      try client.connection.execute("PRAGMA busy_timeout = 0")
      try client.connection.execute("PRAGMA wal_autocheckpoint = 30")
    }
    var order: [[Step]] = []
    var (committed, refused) = (0, 0)
    for moment in 0..<2500 {
      let index = random.below(clients.count)
      let connection = clients[index].connection
      if !clients[index].isOpen {
        // An ordinary transaction holds the lock from here to its end.
        let isOrdinary = clients[index].isForeign || random.oneIn(20)
        if isOrdinary {
          if hasForeign, random.oneIn(3) { continue }
          guard Self.run(connection, "BEGIN IMMEDIATE") == "[]" else { continue }
        } else {
          try connection.execute("BEGIN CONCURRENT")
        }
        clients[index].isOpen = true
        clients[index].steps = []
        clients[index].hasSavepoint = false
        let count = isOrdinary ? 1 + random.below(3) : 0
        for _ in 0..<count { step(&clients[index], Self.statement(&random)) }
        if !isOrdinary { continue }
      } else if !random.oneIn(6) {
        if random.oneIn(8) {
          let sql = clients[index].hasSavepoint ? random.oneIn(3) ? "RELEASE s" : "ROLLBACK TO s" : "SAVEPOINT s"
          step(&clients[index], sql)
          if sql != "ROLLBACK TO s" { clients[index].hasSavepoint.toggle() }
        } else {
          step(&clients[index], Self.statement(&random))
        }
        continue
      }
      clients[index].isOpen = false
      if random.oneIn(12) {
        try connection.execute("ROLLBACK")
        continue
      }
      step(&clients[index], "INSERT INTO done VALUES (\(moment))")
      switch Self.run(connection, "COMMIT") {
      case "[]":
        committed += 1
        order.append(clients[index].steps)
      case let failure:
        #expect(failure == "failure 5")
        refused += 1
        try connection.execute("ROLLBACK")
      }
    }
    for client in clients where client.isOpen { try client.connection.execute("ROLLBACK") }
    #expect(committed > 60 && refused > 10, "\(committed) committed, \(refused) refused")
    for (position, steps) in order.enumerated() {
      try serial.execute("BEGIN")
      for step in steps {
        let result = Self.run(serial, step.sql)
        #expect(result == step.result, "seed \(seed), commit \(position): \(step.sql)")
        if result != step.result { return }
      }
      try serial.execute("COMMIT")
    }
    for table in ["t", "w", "q", "q2", "sqlite_sequence", "done"] {
      let query = "SELECT * FROM \(table) ORDER BY 1, 2"
      let query1 = table == "done" ? "SELECT * FROM done ORDER BY 1" : query
      #expect(Self.run(sqlite, query1) == Self.run(serial, query1), "seed \(seed), table \(table)")
    }
    for client in clients { #expect(Self.run(client.connection, "PRAGMA integrity_check").contains("ok")) }
    #expect(Self.run(sqlite, "PRAGMA integrity_check").contains("ok"))
    for client in clients where !client.isForeign { client.connection.close() }
    sqlite.close()
    serial.close()
  }

  /// Runs a statement in the client's transaction. A row id that was chosen is no result: it is given in the replay.
  private func step(_ client: inout Client, _ sql: String) {
    let result = Self.run(client.connection, sql)
    var replayed = sql
    if !result.hasPrefix("failure"), client.connection.changes > 0 {
      if let range = sql.range(of: "(a) VALUES (") {
        replayed.replaceSubrange(range, with: "(id, a) VALUES (\(client.connection.lastInsertRowid), ")
      } else if let range = sql.range(of: "INTO t(a, b, c) VALUES (") {
        replayed.replaceSubrange(range, with: "INTO t(id, a, b, c) VALUES (\(client.connection.lastInsertRowid), ")
      } else if let range = sql.range(of: "INTO t(a, b, c) SELECT ") {
        replayed.replaceSubrange(range, with: "INTO t(id, a, b, c) SELECT \(client.connection.lastInsertRowid), ")
      }
    }
    client.steps.append(Step(sql: replayed, result: result))
  }
}
