// Scans whose rows a cursor works off by itself: conditions, counts and sums over columns that hold values of every kind.

import ApusBase
import ApusHarness
import Testing

@Suite("Differential: scans", .timeLimit(.minutes(30)))
struct ScanTests {
  /// Three kinds of table: with row ids, without, and one whose rows overflow and have many columns.
  static let schema = [
    "CREATE TABLE m(id INTEGER PRIMARY KEY, i INT, r REAL, t TEXT, n NUMERIC, b)",
    "CREATE TABLE w(k INTEGER PRIMARY KEY, i INT, r REAL, t TEXT, n NUMERIC, b) WITHOUT ROWID",
    "CREATE TABLE v(id INTEGER PRIMARY KEY, i INT, r REAL, t TEXT, n NUMERIC, b, long TEXT, i2 INT, r2 REAL)",
  ]

  private static let columns = ["i", "r", "t", "n", "b"]

  /// A value that different affinities treat differently. Sums of those that are summed are exact whatever their order.
  private static func value(_ random: inout SeededRandom) -> String {
    switch random.below(14) {
    case 0: "NULL"
    case 1...4: "\(Int64(random.below(40)) - 10)"
    case 5, 6: "\(Double(random.below(80)) / 4 - 5)"
    case 7: "'\(random.below(30))'"
    case 8: "'\(random.below(12)).5'"
    case 9: ["'abc'", "'abd'", "'ABC'", "''", "'12abc'", "' 7 '"][random.below(6)]
    case 10: ["x'3132'", "x''", "x'ff00'"][random.below(3)]
    case 11: "\(random.below(200) * 1000)"
    case 12: ["0.0", "-0.0", "1e3", "-1"][random.below(4)]
    default: "\(random.below(3))"
    }
  }

  /// For the column that is never summed: numbers at the edge of what a double holds.
  private static func edge(_ random: inout SeededRandom) -> String {
    let edges = [
      "9007199254740991", "9007199254740992", "9007199254740993", "9007199254740992.0", "9223372036854775807",
      "-9223372036854775808", "9223372036854775807.0", "-9007199254740993", "1e300", "-1e300",
    ]
    return random.oneIn(3) ? value(&random) : edges[random.below(edges.count)]
  }

  private static func condition(_ random: inout SeededRandom) -> String {
    let column = columns[random.below(columns.count)]
    let operators = ["<", "<=", ">", ">=", "=", "<>", "IS", "IS NOT"]
    let sign = operators[random.below(operators.count)]
    switch random.below(8) {
    case 0: return "\(column) IS NULL"
    case 1: return "\(column) IS NOT NULL"
    case 2: return "\(value(&random)) \(sign) \(column)"
    case 3: return "\(column) BETWEEN \(value(&random)) AND \(value(&random))"
    case 4: return "b \(sign) \(edge(&random))"
    case 5: return "\(column) \(sign) \(columns[random.below(columns.count)])"
    case 6: return "\(column) \(sign) \(value(&random)) COLLATE NOCASE"
    default: return "\(column) \(sign) \(value(&random))"
    }
  }

  private static func query(_ random: inout SeededRandom) -> String {
    let table = ["m", "w", "v"][random.below(3)]
    let results = [
      "count(*)", "sum(i)", "count(*), sum(i), sum(r)", "total(r), count(*)", "avg(n), sum(n)", "sum(i), sum(i), count(i)",
      "sum(t), count(*)", "i, r, t, n, typeof(b), b", "count(*), max(i)", "sum(i + 1), count(*)",
    ]
    let conditions = (0..<random.below(4)).map { _ in condition(&random) }
    var sql = "SELECT \(results[random.below(results.count)]) FROM \(table)"
    if random.oneIn(4) { sql += " JOIN (SELECT 1 AS one UNION ALL SELECT 7) ON \(table).i = one" }
    if !conditions.isEmpty { sql += " WHERE \(conditions.joined(separator: random.oneIn(5) ? " OR " : " AND "))" }
    return sql
  }

  private static func fill(_ random: inout SeededRandom) -> [String] {
    var statements = schema
    for number in 0..<700 {
      let five = (0..<4).map { _ in value(&random) }.joined(separator: ", ") + ", " + edge(&random)
      statements.append("INSERT INTO m VALUES(\(number * 3), \(five))")
      if number < 300 { statements.append("INSERT INTO w VALUES(\(number * 7919 % 300), \(five))") }
      if number < 200 {
        let length = random.oneIn(3) ? 6000 : random.below(300)
        statements.append("INSERT INTO v VALUES(\(number), \(five), printf('%.\(length)c', 'x'), \(number), 0.5)")
      }
    }
    return statements
  }

  @Test("conditions, counts and sums over all kinds of values are SQLite's", arguments: UInt64(1)...6)
  func scansAgree(seed: UInt64) throws {
    let ours = try Engines.named("apus").open(":memory:", readOnly: false)
    let reference = try SQLiteLibrary().open(":memory:", readOnly: false)
    var random = SeededRandom(seed: seed)
    for sql in ScanTests.fill(&random) {
      try reference.execute(sql)
      try ours.execute(sql)
    }
    for _ in 0..<400 {
      let sql = ScanTests.query(&random)
      if let difference = Outcome.compare(sql, ours, reference, isOrdered: false) {
        Issue.record("seed \(seed): \(sql)\n  \(difference)")
        return
      }
    }
  }

  /// Integers of every width that a record knows, with NULL between them; one value in `rarity` is of another kind.
  private static func integer(_ random: inout SeededRandom, rarity: Int) -> String {
    if random.oneIn(rarity) { return ["0.5", "'12'", "'x'", "x'31'", "-1e6"][random.below(5)] }
    if random.oneIn(9) { return "NULL" }
    // With reals among them every sum is exact still: SQLite of before 3.43 rounds them otherwise.
    let width = rarity == .max ? 50 : 40
    let magnitude = Int64(bitPattern: random.next() >> UInt64(64 - width + random.below(width)))
    return "\(random.oneIn(2) ? magnitude : -magnitude)"
  }

  @Test("sums of columns that hold integers alone, and of those that do so for a while", arguments: UInt64(1)...4)
  func sumsOfIntegersAgree(seed: UInt64) throws {
    let ours = try Engines.named("apus").open(":memory:", readOnly: false)
    let reference = try SQLiteLibrary().open(":memory:", readOnly: false)
    var random = SeededRandom(seed: seed)
    var statements = ["CREATE TABLE p(a INT, b, c INT, d INT, e)", "CREATE TABLE q(k INT PRIMARY KEY, a, d, e) WITHOUT ROWID"]
    for number in 0..<1500 {
      let rarity = [.max, .max, 400, 1000, .max][number % 5]
      let four = (0..<4).map { _ in ScanTests.integer(&random, rarity: rarity) }
      let text = String(repeating: "y", count: random.oneIn(80) ? 5000 : random.below(250))
      statements.append("INSERT INTO p VALUES(\(four.joined(separator: ", ")), '\(text)')")
      statements.append("INSERT INTO q VALUES(\(number * 7919 % 1501), \(four[0]), '\(text)', \(four[1]))")
    }
    for sql in statements {
      try reference.execute(sql)
      try ours.execute(sql)
    }
    for query in ["p.a", "p.b", "p.c", "p.d", "q.a", "q.e", "q.k"].map({ $0.split(separator: ".") }) {
      for aggregate in ["sum", "total", "avg"] {
        let sql = "SELECT \(aggregate)(\(query[1])) FROM \(query[0])"
        let difference = Outcome.compare(sql, ours, reference, isOrdered: false)
        #expect(difference == nil, "seed \(seed): \(sql)")
      }
    }
  }

  @Test("a sum of integers that overflows fails as SQLite's does, wherever in a leaf it happens")
  func overflow() throws {
    let ours = try Engines.named("apus").open(":memory:", readOnly: false)
    let reference = try SQLiteLibrary().open(":memory:", readOnly: false)
    for connection in [ours, reference] {
      try connection.execute("CREATE TABLE o(a INT, b INT)")
      for row in 0..<40 {
        let large = row == 17 ? "9223372036854775807" : "1"
        try connection.execute("INSERT INTO o VALUES(\(large), \(row))")
      }
    }
    for sql in [
      "SELECT sum(a) FROM o", "SELECT sum(b), sum(a) FROM o", "SELECT sum(a), sum(b), count(*) FROM o WHERE b <> 17",
      "SELECT total(a), sum(b), count(*) FROM o", "SELECT avg(a) FROM o WHERE b < 30",
    ] {
      let difference = Outcome.compare(sql, ours, reference, isOrdered: true)
      #expect(difference == nil, "\(sql): \(difference ?? "")")
    }
  }
}
