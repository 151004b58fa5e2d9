// The checks of the logic tester, generated over a generated schema.

import ApusHarness

struct LogicGenerator {
  var queries: QueryGenerator

  init(_ queries: QueryGenerator) { self.queries = queries }

  /// - Parameter connection: the database, where a pivot row is looked up.
  mutating func check(_ connection: any HarnessConnection) -> LogicCheck? {
    switch queries.tape.below(12) {
    case 0: return partitionOfRows()
    case 1: return partitionOfAggregates()
    case 2: return partitionOfDistinct()
    case 3: return partitionOfGroups()
    case 4, 5: return nonOptimized()
    case 6, 7: return pivot(connection)
    case 8, 9: return hints()
    case 10: return joinOrders()
    default: return rewritings()
    }
  }

  private func list(_ columns: [GeneratedColumn]) -> String { columns.map(\.name).joined(separator: ", ") }

  /// A condition, and the three parts into which it cuts any table.
  private mutating func parts(_ columns: [GeneratedColumn]) -> [String] {
    let condition = queries.predicate(columns, depth: 3)
    return [condition, "NOT \(condition)", "\(condition) IS NULL"]
  }

  // MARK: - Ternary logic partitioning

  private mutating func partitionOfRows() -> LogicCheck {
    let from = queries.source(), select = "SELECT \(list(from.columns)) FROM \(from.sql)"
    return LogicCheck(
      method: "TLP WHERE", relation: .partition, queries: [select] + parts(from.columns).map { "\(select) WHERE \($0)" }
    )
  }

  private mutating func partitionOfAggregates() -> LogicCheck {
    let from = queries.source(), column = queries.tape.pick(from.columns).name
    let values = """
      count(\(column)) AS n, min(\(column) COLLATE BINARY) AS l, max(\(column) COLLATE BINARY) AS h, \
      sum(CAST(\(column) AS INTEGER) % 1000) AS s
      """
    let arms = parts(from.columns).map { "SELECT \(values) FROM \(from.sql) WHERE \($0)" }.joined(
      separator: " UNION ALL ")
    return LogicCheck(
      method: "TLP aggregates", relation: .same,
      queries: [
        "SELECT \(values) FROM \(from.sql)",
        "SELECT sum(n), min(l COLLATE BINARY), max(h COLLATE BINARY), sum(s) FROM (\(arms))",
      ])
  }

  private mutating func partitionOfDistinct() -> LogicCheck {
    let from = queries.source(), column = queries.tape.pick(from.columns).name
    let select = "SELECT DISTINCT quote(\(column)) FROM \(from.sql)"
    return LogicCheck(
      method: "TLP DISTINCT", relation: .partitionOfSets,
      queries: [select] + parts(from.columns).map { "\(select) WHERE \($0)" })
  }

  private mutating func partitionOfGroups() -> LogicCheck {
    let from = queries.source(), key = queries.tape.pick(from.columns).name
    let values = [queries.aggregate(from.columns), queries.aggregate(from.columns)]
    let groups = "SELECT min(quote(\(key))), count(*), \(values[0]) FROM \(from.sql) GROUP BY \(key)"
    let condition =
      "(\(values[1]) \(queries.tape.pick([">", "<", "=", "IS NOT"])) \(queries.tape.pick(["1", "0", "NULL", "'a'", values[0]])))"
    return LogicCheck(
      method: "TLP HAVING", relation: .partition,
      queries: [groups]
        + ["", "NOT ", ""].enumerated().map {
          "\(groups) HAVING \($0.element)\(condition)\($0.offset == 2 ? " IS NULL" : "")"
        })
  }

  // MARK: - A condition where it cannot be optimized

  private mutating func nonOptimized() -> LogicCheck {
    let from = queries.source(), condition = queries.predicate(from.columns, depth: 3)
    return LogicCheck(
      method: "NoREC", relation: .countsTrue,
      queries: ["SELECT count(*) FROM \(from.sql) WHERE \(condition)", "SELECT \(condition) IS TRUE FROM \(from.sql)"])
  }

  // MARK: - Pivoted query synthesis

  /// One row of each table, alone in a table without indexes, says what a condition is; turned to be true, it must keep that row.
  private mutating func pivot(_ connection: any HarnessConnection) -> LogicCheck? {
    var tables: [(alias: String, table: GeneratedTable)] = []
    for alias in ["x", "y"].prefix(1 + queries.tape.below(2)) {
      tables.append((alias, queries.tape.pick(queries.tables)))
    }
    var setup: [String] = []
    for (alias, table) in tables {
      guard let rows = try? connection.rows("SELECT * FROM \(table.name)").rows, !rows.isEmpty else { return nil }
      let row = rows[queries.tape.below(rows.count)]
      let columns = table.columns.map { "\($0.name) \($0.type) COLLATE \($0.collation)" }.joined(separator: ", ")
      setup += [
        "DROP TABLE IF EXISTS pivot_\(alias)", "CREATE TABLE pivot_\(alias)(\(columns))",
        "INSERT INTO pivot_\(alias) VALUES (\(row.map(\.literal).joined(separator: ", ")))",
      ]
    }
    let columns = tables.flatMap { table in table.table.columns.map { $0.of(table.alias) } }
    var generator = ExpressionGenerator(queries.tape, columns: columns)
    let condition = generator.predicate(depth: 3)
    queries.tape = generator.tape
    let all = tables.map { "\($0.table.name) AS \($0.alias)" }.joined(separator: ", ")
    let pivots = tables.map { "pivot_\($0.alias) AS \($0.alias)" }.joined(separator: ", ")
    // What it says of the pivot row decides how it is turned.
    for sql in setup { try? connection.execute(sql) }
    let evaluation = "SELECT \(condition) IS TRUE, \(condition) IS FALSE FROM \(pivots)"
    guard let truth = try? connection.rows(evaluation).rows.first else { return nil }
    let turned =
      truth[0] == .integer(1) ? condition : truth[1] == .integer(1) ? "NOT \(condition)" : "\(condition) IS NULL"
    return LogicCheck(
      method: "PQS", relation: .keepsPivot, setup: setup,
      queries: [
        "SELECT \(list(columns)) FROM \(all)", "SELECT \(list(columns)) FROM \(pivots)",
        "SELECT (\(turned)) IS TRUE FROM \(pivots)",
        "SELECT \(list(columns)) FROM \(all) WHERE \(turned)",
      ])
  }

  // MARK: - Plans

  /// The same query with and without each index.
  private mutating func hints() -> LogicCheck {
    let from = queries.source(), condition = queries.predicate(from.columns, depth: 3)
    func query(_ hints: [String: String]) -> String {
      "SELECT \(list(from.columns)) FROM \(from.sql(hints: hints)) WHERE \(condition)"
    }
    var texts = [query([:]), query(Dictionary(uniqueKeysWithValues: from.tables.map { ($0.alias, "NOT INDEXED") }))]
    for (alias, table) in from.tables {
      // A partial index may not serve the query: then there is no such plan.
      for index in table.indexes.prefix(1 + queries.tape.below(2)) {
        texts.append(query([alias: "INDEXED BY \(index)"]))
      }
    }
    return LogicCheck(method: "plan: hints", relation: .same, queries: texts)
  }

  /// Inner joins in every order.
  private mutating func joinOrders() -> LogicCheck {
    let count = 2 + queries.tape.below(2)
    var tables: [String] = [], columns: [GeneratedColumn] = []
    for alias in ["x", "y", "z"].prefix(count) {
      let table = queries.tape.pick(queries.tables)
      tables.append("\(table.name) AS \(alias)")
      columns += table.columns.map { $0.of(alias) }
    }
    let links = (1..<count).map { _ in "\(queries.tape.pick(columns).name) = \(queries.tape.pick(columns).name)" }
    let condition = (links + [queries.predicate(columns, depth: 2)]).joined(separator: " AND ")
    var texts = ["SELECT \(list(columns)) FROM \(tables.joined(separator: ", ")) WHERE \(condition)"]
    for first in tables.indices {
      var rest = tables
      let head = rest.remove(at: first)
      for tail in [rest, rest.reversed()] {
        texts.append(
          "SELECT \(list(columns)) FROM \(([head] + tail).joined(separator: " CROSS JOIN ")) WHERE \(condition)")
      }
    }
    return LogicCheck(method: "plan: join orders", relation: .same, queries: texts)
  }

  /// The same query, said otherwise or under other settings.
  private mutating func rewritings() -> LogicCheck {
    let from = queries.source(), columns = from.columns
    let condition = queries.predicate(columns, depth: 3)
    let select = "SELECT \(list(columns)) FROM \(from.sql)"
    let query = "\(select) WHERE \(condition)"
    var materialized = from.template
    for (alias, table) in from.tables {
      materialized = materialized.split(
        separator: "\(table.name) AS \(alias){\(alias)}", omittingEmptySubsequences: false
      )
      .joined(separator: "m_\(alias) AS \(alias)")
    }
    let tables = from.tables.map { "m_\($0.alias) AS MATERIALIZED (SELECT * FROM \($0.table.name))" }.joined(
      separator: ", ")
    let order = queries.tape.pick(columns).name
    return LogicCheck(
      method: "plan: rewritings", relation: .same,
      queries: [
        query, "\(select) WHERE CASE WHEN \(condition) THEN 1 END", "\(query) ORDER BY \(order)",
        "\(query) ORDER BY \(order) DESC",
        "\(select) WHERE NOT (NOT \(condition))", "SELECT * FROM (\(query))", "\(query) LIMIT -1",
        "WITH \(tables) SELECT \(list(columns)) FROM \(materialized) WHERE \(condition)",
        "PRAGMA automatic_index = off; \(query); PRAGMA automatic_index = on",
        "PRAGMA reverse_unordered_selects = on; \(query); PRAGMA reverse_unordered_selects = off",
      ])
  }
}

extension HarnessValue {
  /// The value as it can stand in a statement.
  var literal: String {
    switch self {
    case .null: return "NULL"
    case .integer(.min): return "(-9223372036854775807 - 1)"
    case .integer(let value): return "\(value)"
    case .real(let bits): return "\(Double(bitPattern: bits))"
    case .text(let bytes):
      let text = String(decoding: bytes, as: UTF8.self)
      return "'" + text.split(separator: "'", omittingEmptySubsequences: false).joined(separator: "''") + "'"
    case .blob: return description
    }
  }
}
