// Random statements over a small schema: what two engines must agree on, step by step.
//
// Values are kept where SQLite's versions agree: reals have few digits (their text form changed after 3.40), sums are
// over integers, and every SELECT that is cut by LIMIT is ordered by all its columns. Nor may the outcome depend on the order
// in which a plan finds rows.

public struct StatementGenerator {
  public var random: ChoiceTape
  private var indexCount = 0
  private var isInTransaction = false

  public init(seed: UInt64) { random = ChoiceTape(seed: seed) }
  public init(_ tape: ChoiceTape) { random = tape }

  public static let schema = [
    "CREATE TABLE a(id INTEGER PRIMARY KEY, x INT, y TEXT, z)",
    "CREATE TABLE b(k TEXT PRIMARY KEY, v INT NOT NULL DEFAULT 7, w REAL) WITHOUT ROWID",
    "CREATE TABLE c(p INT, q TEXT COLLATE NOCASE, r NUMERIC DEFAULT 'd', UNIQUE(p, q))",
    "CREATE INDEX ax ON a(x)",
    "CREATE UNIQUE INDEX ayz ON a(y, z DESC)",
    "CREATE INDEX cr ON c(r)",
    "CREATE VIEW v AS SELECT a.x AS x, c.q AS q, a.id AS id FROM a LEFT JOIN c ON a.x = c.p",
  ]

  private static let columns: [String: [String]] = [
    "a": ["id", "x", "y", "z"], "b": ["k", "v", "w"], "c": ["p", "q", "r"],
  ]

  private mutating func pick<T>(_ choices: [T]) -> T { random.pick(choices) }
  private mutating func table() -> String { pick(["a", "b", "c"]) }
  private mutating func column(of table: String) -> String { pick(StatementGenerator.columns[table] ?? ["1"]) }

  mutating func literal() -> String {
    switch random.below(14) {
    case 0: "NULL"
    case 1...6: "\(random.below(12) - 3)"
    case 7: pick(["0.5", "-1.5", "2.0", "2.25", "1e3"])
    case 8...10: pick(["'a'", "'b'", "'A'", "'ab'", "''", "'a '", "'B'"])
    case 11: pick(["'1'", "'2'", "'1.5'", "' 3'", "'4x'"])
    case 12: pick(["x''", "x'61'", "x'00ff'"])
    default: pick(["65536", "-100000", "1048576"])
    }
  }

  mutating func expression(_ table: String, depth: Int = 2) -> String {
    if depth == 0 || random.oneIn(3) { return random.oneIn(2) ? column(of: table) : literal() }
    func sub() -> String { expression(table, depth: depth - 1) }
    switch random.below(16) {
    case 0: return "(\(sub()) \(pick(["+", "-", "*"])) \(sub()))"
    case 1: return "(CAST(\(sub()) AS INTEGER) \(pick(["/", "%"])) CAST(\(sub()) AS INTEGER))"
    case 2, 3, 4: return "(\(sub()) \(pick(["=", "<", ">", "<=", ">=", "<>", "IS", "IS NOT"])) \(sub()))"
    case 5: return "(\(sub()) \(pick(["AND", "OR"])) \(sub()))"
    case 6: return "(NOT \(sub()))"
    case 7: return "(\(sub()) \(pick(["&", "|", "<<", ">>"])) \(sub()))"
    case 8: return "(\(sub()) BETWEEN \(sub()) AND \(sub()))"
    case 9: return "(\(sub()) \(pick(["IN", "NOT IN"])) (\(literal()), \(literal()), \(sub())))"
    case 10: return "CASE WHEN \(sub()) THEN \(sub()) ELSE \(sub()) END"
    case 11: return "\(pick(["abs(CAST(\(sub()) AS INT) % 1000)", "typeof(\(sub()))", "length(typeof(\(sub())))"]))"
    case 12: return "\(pick(["coalesce", "ifnull", "nullif", "max", "min"]))(\(sub()), \(sub()))"
    case 13: return "(\(sub()) IS NULL)"
    case 14: return "CAST(\(sub()) AS INTEGER)"
    default: return "(\(column(of: table)) LIKE '\(pick(["a%", "%b", "_", "%", "A"]))')"
    }
  }

  private mutating func condition(_ table: String) -> String {
    switch random.below(6) {
    case 0: return ""
    case 1: return " WHERE \(column(of: table)) = \(literal())"
    case 2: return " WHERE \(column(of: table)) \(pick(["<", ">", "<=", ">="])) \(literal())"
    case 3: return " WHERE \(column(of: table)) IN (\(literal()), \(literal()), \(literal()))"
    case 4: return " WHERE \(column(of: table)) = \(literal()) AND \(expression(table))"
    default: return " WHERE \(expression(table))"
    }
  }

  private mutating func select() -> String {
    let table = table()
    let columns = (StatementGenerator.columns[table] ?? []).joined(separator: ", ")
    switch random.below(12) {
    case 0: return "SELECT \(expression(table)), \(expression(table)) FROM \(table)\(condition(table))"
    case 1:
      return "SELECT count(*), min(\(column(of: table))), max(\(column(of: table))) FROM \(table)\(condition(table))"
    case 2:
      let key = column(of: table)
      return "SELECT \(key), count(*), count(\(column(of: table))) FROM \(table)\(condition(table)) GROUP BY \(key)"
    case 3: return "SELECT DISTINCT \(column(of: table)), \(column(of: table)) FROM \(table)\(condition(table))"
    case 4:
      let order = pick(["", " DESC"])
      return "SELECT \(columns) FROM \(table)\(condition(table)) ORDER BY \(columns)\(order) LIMIT \(random.below(6))"
    case 5:
      let other = self.table()
      let on = "t.\(column(of: table)) = u.\(column(of: other))"
      return "SELECT t.*, u.* FROM \(table) t \(pick(["JOIN", "LEFT JOIN"])) \(other) u ON \(on)"
    case 6:
      let other = self.table()
      let key = column(of: table)
      return
        "SELECT \(columns) FROM \(table) WHERE \(key) IN (SELECT \(column(of: other)) FROM \(other)\(condition(other)))"
    case 7:
      let other = self.table()
      let link = "u.\(column(of: other)) = t.\(column(of: table))"
      return
        "SELECT \(columns) FROM \(table) t WHERE \(pick(["", "NOT "]))EXISTS (SELECT 1 FROM \(other) u WHERE \(link))"
    case 8:
      let other = self.table()
      let compound = pick(["UNION", "UNION ALL", "INTERSECT", "EXCEPT"])
      return "SELECT \(column(of: table)) FROM \(table) \(compound) SELECT \(column(of: other)) FROM \(other)"
    case 9: return "SELECT x, q, id FROM v WHERE id \(pick(["<", ">", "="])) \(random.below(12))"
    case 10: return "SELECT sum(CAST(\(column(of: table)) AS INTEGER) % 1000) FROM \(table)\(condition(table))"
    default: return "SELECT * FROM \(table)\(condition(table))"
    }
  }

  /// A row id that fits: SQLite leaves a statement of many rows half done where a misfit stops it inside a transaction
  /// (under OR IGNORE, FAIL and REPLACE); our engine undoes it.
  private mutating func rowid() -> String { random.oneIn(4) ? "NULL" : "\(random.below(24) - 3)" }

  private mutating func values(_ table: String, _ columns: [String]) -> String {
    "(\(columns.map { $0 == "id" ? rowid() : literal() }.joined(separator: ", ")))"
  }

  private mutating func insert() -> String {
    let table = table()
    let conflict = pick(["", "", "", " OR IGNORE", " OR REPLACE", " OR ABORT", " OR FAIL"])
    var columns = StatementGenerator.columns[table] ?? []
    if random.oneIn(3) { columns.remove(at: random.below(columns.count)) }
    let target = "INSERT\(conflict) INTO \(table)(\(columns.joined(separator: ", ")))"
    switch random.below(8) {
    case 0:
      let other = self.table()
      let sources = columns.map { name in
        let source = expression(other, depth: 1)
        return name == "id" ? "CAST(\(source) AS INTEGER) % 100" : source
      }.joined(separator: ", ")
      let order = StatementGenerator.columns[other]?.joined(separator: ", ") ?? "1"
      return "\(target) SELECT \(sources) FROM \(other) ORDER BY 1, \(order)"
    case 1: return "INSERT INTO \(table) DEFAULT VALUES"
    case 2, 3: return "\(target) VALUES \(values(table, columns)), \(values(table, columns)), \(values(table, columns))"
    default: return "\(target) VALUES \(values(table, columns))"
    }
  }

  private mutating func update() -> String {
    let table = table()
    let conflict = pick(["", "", "", " OR IGNORE", " OR REPLACE"])
    let column = column(of: table)
    var assignments = "\(column) = \(expression(table, depth: 1))"
    let other = self.column(of: table)
    if other != column, random.oneIn(3) { assignments += ", \(other) = \(literal())" }
    // Uniqueness is checked row by row, so that the order of the rows would decide: one row at a time then.
    let isFree = ["x", "v", "w", "r"].contains(column) && ["x", "v", "w", "r"].contains(other)
    if !conflict.isEmpty || !isFree {
      let key = ["a": "id", "b": "k", "c": "rowid"][table] ?? "rowid"
      return "UPDATE\(conflict) \(table) SET \(assignments) WHERE \(key) = (SELECT min(\(key)) FROM \(table))"
    }
    return "UPDATE \(table) SET \(assignments)\(condition(table))"
  }

  public mutating func statement() -> String {
    switch random.below(40) {
    case 0:
      if isInTransaction {
        isInTransaction = false
        return pick(["COMMIT", "ROLLBACK"])
      }
      isInTransaction = true
      return "BEGIN"
    case 1:
      indexCount += 1
      let table = table()
      let columns = "\(column(of: table)), \(column(of: table)) \(pick(["ASC", "DESC"]))"
      return "CREATE INDEX i\(indexCount) ON \(table)(\(columns))"
    case 2: return "DROP INDEX IF EXISTS i\(random.below(indexCount + 1))"
    case 3...14: return insert()
    case 15...20: return update()
    case 21...23:
      let table = table()
      let condition = condition(table)
      return "DELETE FROM \(table)\(condition.isEmpty ? " WHERE \(column(of: table)) > 3" : condition)"
    default: return select()
    }
  }
}
