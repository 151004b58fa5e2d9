// GROUP BY in a hash table, with room and without: SQLite's answers, and those of the way through a sorter.

import ApusBase
import ApusHarness
import Testing

/// Our engine and SQLite, each with an empty database in memory.
private struct EnginePair {
  let ours: any HarnessConnection
  let reference: any HarnessConnection

  init() throws {
    ours = try Engines.named("apus").open(":memory:", readOnly: false)
    reference = try SQLiteLibrary().open(":memory:", readOnly: false)
  }

  func close() {
    ours.close()
    reference.close()
  }

  /// The table of groups gets half of what the sorter gets.
  func setBudget(_ byteCount: Int) throws {
    let connection = try #require((ours as? ApusConnection)?.connection)
    connection.state.limits.sorterBytes = byteCount
    connection.state.limits.hashBytes = byteCount / 2
  }
}

@Suite("Differential: groups", .timeLimit(.minutes(20)))
struct GroupTests {
  /// Bytes that the engine's table of groups may have, in a sorter's budget (twice as much); the usual one last.
  static let budgets = [1 << 10, 16 << 10, 200 << 10, 4 << 20]

  /// Reals of more than 15 digits become other texts in SQLite 3.40 than in later versions.
  private static func literal(_ random: inout SeededRandom, isText: Bool) -> String {
    let text = literal(&random)
    return isText && text.contains(".") && text.count > 8 ? "'real'" : text
  }

  private static func literal(_ random: inout SeededRandom) -> String {
    switch random.below(16) {
    case 0, 1: "NULL"
    case 2: ["0", "1", "2", "-1"][random.below(4)]
    case 3: ["0.0", "1.0", "2.0", "-1.0"][random.below(4)]
    case 4: ["9223372036854775807", "-9223372036854775808", "9223372036854775807.0", "-9223372036854775808.0"][random.below(4)]
    case 5: ["9007199254740993", "9007199254740992.0", "9007199254740992", "9007199254740991"][random.below(4)]
    case 6: ["'1'", "x'31'", "'1.0'", "x'312e30'"][random.below(4)]
    case 7: ["''", "x''", "' '", "x'00'", "char(0)"][random.below(5)]
    case 8: ["'a'", "'A'", "'a '", "'ab'", "x'61'", "'aB'"][random.below(6)]
    case 9: "'prefix of eight and more \(random.below(40))'"
    case 10: "x'\(String(repeating: "6162", count: 1 + random.below(12)))'"
    case 11: ["0.5", "-1.5", "2.25", "1.5e0"][random.below(4)]
    case 12: "\(random.below(3000))"
    case 13: "'\(random.below(3000))'"
    case 14: "\(random.below(3000)).0"
    default: "\(random.below(60))"
    }
  }

  /// A table whose columns take everything, by affinity and collation, and whose integers may be summed.
  private static func script(_ random: inout SeededRandom, rowCount: Int) -> String {
    var text = "CREATE TABLE g(a, b TEXT COLLATE NOCASE, c REAL, d TEXT COLLATE RTRIM, e NUMERIC, n INTEGER, r REAL); BEGIN;\n"
    for _ in 0..<rowCount {
      let row = (0..<5).map { literal(&random, isText: $0 == 1 || $0 == 3) }.joined(separator: ", ")
      let number = random.oneIn(9) ? "NULL" : "\(random.below(200) - 50)"
      text += "INSERT INTO g VALUES (\(row), \(number), \(random.below(64)).5);\n"
    }
    return text + "COMMIT;"
  }

  private static func query(_ random: inout SeededRandom) -> (keys: String, aggregates: String, rest: String) {
    let terms = ["a", "c", "e", "n", "b", "d", "b COLLATE BINARY", "d COLLATE BINARY", "n % 7", "typeof(a)", "a IS NULL", "1.0 * n"]
    var keys: [String] = []
    for _ in 0..<1 + random.below(3) {
      let term = terms[random.below(random.oneIn(3) ? terms.count : 4)]
      if !keys.contains(term) { keys.append(term) }
    }
    let choices = [
      "count(*)", "count(a)", "sum(n)", "total(n)", "avg(n)", "sum(r)", "count(c)", "sum(CAST(e AS INT) % 1000)", "count(n + 1)",
    ]
    let aggregates = (0..<1 + random.below(3)).map { _ in choices[random.below(choices.count)] }.joined(separator: ", ")
    let filter = ["", "", " WHERE n > 0", " WHERE a IS NOT NULL", " WHERE n % 3 <> 1", " WHERE a = 'none'"][random.below(6)]
    let list = keys.joined(separator: ", ")
    var rest = "FROM g\(filter) GROUP BY \(list)"
    if random.oneIn(4) { rest += " HAVING count(*) > 1" }
    switch random.below(5) {
    case 0: rest += " ORDER BY \(list)"
    case 1: rest += " ORDER BY \(keys.map { $0 + " DESC" }.joined(separator: ", "))"
    case 2: rest += " ORDER BY count(*), \(list)"
    default: break
    }
    return (list, aggregates, rest)
  }

  @Test("random groupings have SQLite's answer, and the sorter's", arguments: UInt64(1)...6)
  func randomGroups(seed: UInt64) throws {
    var random = SeededRandom(seed: seed)
    let pair = try EnginePair()
    defer { pair.close() }
    let (ours, reference) = (pair.ours, pair.reference)
    let script = Self.script(&random, rowCount: seed % 3 == 0 ? 2000 : 500)
    try ours.execute(script)
    try reference.execute(script)
    for _ in 0..<15 {
      let budget = Self.budgets[random.below(Self.budgets.count)]
      try pair.setBudget(budget)
      let (keys, aggregates, rest) = Self.query(&random)
      let sql = "SELECT \(keys), \(aggregates) \(rest)"
      // Groups come in the order of their keys, in both engines.
      let difference = Outcome.compare(sql, ours, reference, isOrdered: true)
      #expect(difference == nil, "seed \(seed), budget \(budget): \(sql): \(difference ?? "")")
      // A FILTER keeps the engine from hashing.
      let sorted = "SELECT \(keys), \(aggregates), count(*) FILTER (WHERE n > 1) \(rest)"
      let left = try ours.rows(sql).rows, right = try ours.rows(sorted).rows.map { Array($0.dropLast()) }
      #expect(left == right, "seed \(seed), budget \(budget): \(sql): hashed and sorted")
    }
  }

  @Test("far more groups than the table has room for, each with rows that come early and late", arguments: [16 << 10, 1 << 20])
  func manyGroups(budget: Int) throws {
    let pair = try EnginePair()
    defer { pair.close() }
    let (ours, reference) = (pair.ours, pair.reference)
    let script = """
      CREATE TABLE m(k, t TEXT, n INTEGER);
      WITH RECURSIVE s(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM s WHERE i < 30000)
      INSERT INTO m SELECT i * 7919 % 20011, 'group ' || (i * 7919 % 20011 / 2), i % 1000 FROM s;
      """
    try ours.execute(script)
    try reference.execute(script)
    try pair.setBudget(budget)
    for sql in [
      "SELECT k, count(*), sum(n) FROM m GROUP BY k", "SELECT t, k, avg(n) FROM m GROUP BY t, k",
      "SELECT count(*), sum(c), sum(n) FROM (SELECT t, count(*) AS c, sum(n) AS n FROM m GROUP BY t)",
    ] {
      let difference = Outcome.compare(sql, ours, reference, isOrdered: true)
      #expect(difference == nil, "budget \(budget): \(sql): \(difference ?? "")")
    }
  }

  @Test("keys that are equal and look different are one group, which looks like its first row; the rest are several")
  func equalKeys() throws {
    let pair = try EnginePair()
    defer { pair.close() }
    let (ours, reference) = (pair.ours, pair.reference)
    let large = Double(sign: .plus, exponent: 63, significand: 1)
    let values: [HarnessValue] = [
      .real(-0.0), .real(0.0), .integer(0), .integer(1), .real(1.0), .text("1"), .blob([0x31]), .text("1.0"), .null,
      .text(""), .blob([]), .text([0]), .blob([0]), .text([0xff, 0xfe]), .blob([0xff, 0xfe]), .text([0xff, 0xff]),
      .integer(1 << 53 + 1), .real(Double(1 << 53)), .integer(1 << 53), .integer(.max), .real(large), .integer(.min),
      .real(-large), .real(.infinity), .real(-.infinity), .real(.leastNonzeroMagnitude), .real(.greatestFiniteMagnitude),
      .text("abcdefgh"),
      .text("abcdefghi"), .text("Abcdefgh"), .text("abcdefgh "),
    ]
    var random = SeededRandom(seed: 5)
    for round in 0..<6 {
      let order = (values + values + values).shuffled(using: &random)
      for engine in [ours, reference] {
        try engine.execute("DROP TABLE IF EXISTS e; CREATE TABLE e(a, n INTEGER)")
        let statement = try engine.prepare("INSERT INTO e VALUES (?, ?)")
        for (number, value) in order.enumerated() {
          try statement.bind(value, at: 1)
          try statement.bind(integer: Int64(number), at: 2)
          _ = try statement.step()
          statement.reset()
        }
        statement.finalize()
      }
      for budget in Self.budgets {
        try pair.setBudget(budget)
        for sql in ["SELECT a, count(*), sum(n) FROM e GROUP BY a", "SELECT a, n % 2, sum(n) FROM e GROUP BY a, n % 2"] {
          let difference = Outcome.compare(sql, ours, reference, isOrdered: true)
          #expect(difference == nil, "round \(round), budget \(budget): \(sql): \(difference ?? "")")
        }
      }
    }
  }

  @Test("a grouping that runs again and again begins anew each time")
  func again() throws {
    let pair = try EnginePair()
    defer { pair.close() }
    let (ours, reference) = (pair.ours, pair.reference)
    let script = """
      CREATE TABLE p(id INTEGER PRIMARY KEY, k);
      CREATE TABLE q(k, x, n);
      WITH RECURSIVE s(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM s WHERE i < 200)
      INSERT INTO q SELECT i % 9, i % 23, i FROM s;
      INSERT INTO p SELECT DISTINCT k, k FROM q;
      """
    for engine in [ours, reference] { try engine.execute(script) }
    for sql in [
      "SELECT k, (SELECT group_concat(s, ' ') FROM (SELECT sum(n) AS s FROM q WHERE q.k = p.k GROUP BY x)) FROM p ORDER BY k",
      "SELECT k FROM p WHERE 69 IN (SELECT sum(n) FROM q WHERE q.k <= p.k GROUP BY x) ORDER BY k",
      "SELECT p.k, g.x, g.c FROM p JOIN (SELECT k, x, count(*) AS c FROM q GROUP BY k, x) g ON g.k = p.k ORDER BY 1, 2",
      "SELECT a, count(*) FROM (SELECT x % 5 AS a, sum(n) AS b FROM q GROUP BY x) GROUP BY a",
      "SELECT x, sum(n) FROM q WHERE 0 GROUP BY x", "SELECT x, sum(n) FROM q GROUP BY x LIMIT 3 OFFSET 2",
    ] {
      let difference = Outcome.compare(sql, ours, reference, isOrdered: true)
      #expect(difference == nil, "\(sql): \(difference ?? "")")
    }
    // The same statement, reset in the middle and run again.
    let statement = try ours.prepare("SELECT x, count(*), sum(n) FROM q GROUP BY x")
    let expected = try reference.rows("SELECT x, count(*), sum(n) FROM q GROUP BY x").rows
    for stop in [0, 1, 5, 100] {
      var rows: [[HarnessValue]] = []
      while rows.count < stop, try statement.step() { rows.append((0..<3).map { statement.value($0) }) }
      #expect(rows == Array(expected.prefix(stop)))
      statement.reset()
    }
    statement.finalize()
  }
}
