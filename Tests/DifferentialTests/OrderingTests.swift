// ORDER BY with LIMIT and OFFSET of every kind: the same rows in the same order as SQLite, ties included.

import ApusBase
import ApusHarness
import Testing

@Suite("Differential: ORDER BY", .timeLimit(.minutes(20)))
struct OrderingTests {
  private static let build = """
    CREATE TABLE t(id INTEGER PRIMARY KEY, n INT, r REAL, k TEXT, c TEXT COLLATE NOCASE, b BLOB, m);
    CREATE INDEX tn ON t(n);
    WITH RECURSIVE s(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM s WHERE i < 3000)
    INSERT INTO t SELECT i, i * 7919 % 97, i * 31 % 1000 / 8.0, 'a-long-common-beginning-' || (i * 7919 % 1009),
      substr('aAbBcC  ', i % 7 + 1, i % 3 + 1), zeroblob(i % 5), NULL FROM s;
    UPDATE t SET m = CASE id % 6 WHEN 0 THEN NULL WHEN 1 THEN n WHEN 2 THEN r WHEN 3 THEN k WHEN 4 THEN b
      ELSE id * 1000000000000003 END;
    UPDATE t SET r = NULL WHERE id % 41 = 0;
    """

  private static func pair() throws -> (ours: any HarnessConnection, reference: any HarnessConnection) {
    let ours = try Engines.named("apus").open(":memory:", readOnly: false)
    let reference = try SQLiteLibrary().open(":memory:", readOnly: false)
    for connection in [ours, reference] { try connection.execute(build) }
    return (ours, reference)
  }

  private static func query(_ random: inout SeededRandom) -> String {
    let columns = ["id", "n", "r", "k", "c", "b", "m", "n % 3", "-id", "k || c"]
    func pick(_ list: [String]) -> String { list[Int(random.below(list.count))] }
    let terms = (0..<1 + Int(random.below(3))).map { _ in
      pick(columns) + pick(["", "", " COLLATE NOCASE", " COLLATE RTRIM"]) + pick(["", " ASC", " DESC"])
        + pick(["", "", " NULLS FIRST", " NULLS LAST"])
    }
    let limit = pick([
      "", " LIMIT 0", " LIMIT 1", " LIMIT 10", " LIMIT 10", " LIMIT 70 OFFSET 5", " LIMIT 3, 40", " LIMIT -1 OFFSET 2900",
      " LIMIT 1500", " LIMIT 5000 OFFSET 10", " LIMIT 5 OFFSET -3", " LIMIT (SELECT count(*) / 400 FROM t) OFFSET 1 + 1",
      " LIMIT 9223372036854775807 OFFSET 5", " LIMIT -5",
    ])
    let order = " ORDER BY " + terms.joined(separator: ", ") + limit
    let partial = pick([
      "n, r", "n DESC, k", "n, c DESC, id", "n DESC, m, r", "n, -id", "n NULLS LAST, m", "id, n", "n COLLATE NOCASE, k",
    ])
    let filter = pick(["", " WHERE n > 20", " WHERE id % 2", " WHERE n = 5"])
    let list = (0..<1 + Int(random.below(4))).map { _ in pick(["id", "n", "r", "k", "c", "b", "m"]) }
    switch random.below(10) {
    case 8: return "SELECT id, k, n FROM t" + filter + " ORDER BY " + partial + limit
    case 9: return "SELECT DISTINCT c, n FROM t" + filter + " ORDER BY " + pick(["n, c", "n DESC, c DESC"]) + limit
    case 0: return "SELECT DISTINCT n, c FROM t" + filter + " ORDER BY " + pick(["n, c", "c DESC, n", "n % 3, n DESC, c"]) + limit
    case 1:
      return "SELECT n, count(*), max(k) FROM t" + filter + " GROUP BY n ORDER BY "
        + pick(["2 DESC, 1", "3, 1", "1 DESC", "sum(r), 1"]) + limit
    case 2:
      return "SELECT n AS x, k AS y FROM t WHERE id < 90 UNION ALL SELECT id, c FROM t WHERE id > 2900 ORDER BY "
        + pick(["x, y", "y DESC, x", "x DESC"]) + limit
    case 3:
      return "SELECT id, (SELECT k FROM t AS u WHERE u.n = t.n ORDER BY u.r DESC, u.id LIMIT 1) FROM t WHERE id < 40 "
        + "ORDER BY n, id" + limit
    case 4: return "SELECT count(*), sum(id), min(k) FROM (SELECT * FROM t" + filter + order + ")"
    default: return "SELECT " + list.joined(separator: ", ") + " FROM t" + filter + order
    }
  }

  @Test("random ORDER BY, LIMIT and OFFSET give SQLite's rows in SQLite's order", arguments: UInt64(1)...5)
  func queries(seed: UInt64) throws {
    let (ours, reference) = try OrderingTests.pair()
    var random = SeededRandom(seed: seed)
    for _ in 0..<60 {
      let sql = OrderingTests.query(&random)
      let difference = Outcome.compare(sql, ours, reference, isOrdered: true)
      #expect(difference == nil, "seed \(seed): \(sql): \(difference ?? "")")
    }
  }

  @Test("a table larger than the page cache gives its rows in the order of an index as SQLite does")
  func lookups() throws {
    let path = "/tmp/apus-ordering-\(Console.nanoseconds()).db"
    defer { Console.remove(path) }
    let writer = try SQLiteLibrary().open(path, readOnly: false)
    try writer.execute(OrderingTests.build)
    try writer.execute("CREATE INDEX tk ON t(k, n); UPDATE t SET b = zeroblob(id % 7 * 300) WHERE id % 5 = 0")
    writer.close()
    let ours = try Engines.named("apus").open(path, readOnly: false)
    let reference = try SQLiteLibrary().open(path, readOnly: false)
    for connection in [ours, reference] { try connection.execute("PRAGMA cache_size = 5") }
    for sql in [
      "SELECT a.* FROM t AS a ORDER BY n", "SELECT id, r, b, m FROM t ORDER BY k DESC, n DESC",
      "SELECT id, r, k || m FROM t WHERE id > 1000 ORDER BY n DESC", "SELECT r FROM t WHERE n % 3 = 0 ORDER BY n",
      "SELECT m FROM t WHERE r > 50 ORDER BY n", "SELECT m FROM t WHERE id < 0 ORDER BY n",
      "SELECT sum(r), count(m), group_concat(c) FROM (SELECT * FROM t ORDER BY k, n)",
      "SELECT u.id, v.n FROM (SELECT id, m, c FROM t ORDER BY k, n LIMIT -1) AS u JOIN t AS v ON v.id = u.id + 1",
      "SELECT n, (SELECT group_concat(c) FROM (SELECT c FROM t AS v WHERE v.id % 40 = u.n ORDER BY v.k)) FROM t AS u "
        + "WHERE id < 30",
    ] {
      for _ in 0..<2 {
        let difference = Outcome.compare(sql, ours, reference, isOrdered: true)
        #expect(difference == nil, "\(sql): \(difference ?? "")")
      }
    }
    // Rows are deleted and changed while they are read.
    for connection in [ours, reference] {
      let statement = try connection.prepare("SELECT id, r, m FROM t ORDER BY k, n")
      var count = 0
      while try statement.step() {
        count += 1
        if count % 100 == 1 { try connection.execute("UPDATE t SET c = 'changed' WHERE id = \(statement.integer(0))") }
      }
      #expect(count == 3000)
      statement.finalize()
      try connection.execute("UPDATE t SET c = 'a'")
      connection.close()
    }
  }

  @Test("LIMIT and OFFSET may be parameters, negative and zero ones included")
  func parameters() throws {
    let (ours, reference) = try OrderingTests.pair()
    for (limit, offset) in [(10, 0), (10, 5), (0, 0), (-1, 2990), (-1, -1), (5, -1), (4000, 2999), (1, 3000)] as [(Int64, Int64)] {
      var results: [[Int64]] = []
      for connection in [ours, reference] {
        let statement = try connection.prepare("SELECT id FROM t ORDER BY n, r DESC LIMIT ?1 OFFSET ?2")
        // Twice: what the first run has left must not matter.
        for _ in 0..<2 {
          try statement.bind(integer: limit, at: 1)
          try statement.bind(integer: offset, at: 2)
          var ids: [Int64] = []
          while try statement.step() { ids.append(statement.integer(0)) }
          statement.reset()
          results.append(ids)
        }
        statement.finalize()
      }
      #expect(Set(results).count == 1, "LIMIT \(limit) OFFSET \(offset)")
    }
  }
}
