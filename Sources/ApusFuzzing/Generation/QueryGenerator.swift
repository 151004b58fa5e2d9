// Random schemas with rows and indexes of every kind, and queries over them that have one answer, whatever the plan.

public struct GeneratedTable: Sendable {
  public var name: String
  public var columns: [GeneratedColumn]
  public var indexes: [String] = []
  public var hasRowid = true
  /// The first column is the row id.
  public var isKeyedByInteger = false
}

public struct GeneratedQuery: Sendable {
  public var sql: String
  /// The order of the rows is part of the answer.
  public var isOrdered = false
}

public struct QueryGenerator {
  public var tape: ChoiceTape
  public private(set) var tables: [GeneratedTable] = []
  /// What was generated, by name.
  public private(set) var features: [String: Int] = [:]

  public init(_ tape: ChoiceTape) { self.tape = tape }

  private mutating func note(_ feature: String) { features[feature, default: 0] += 1 }

  // MARK: - Schema

  private static let types = ["INTEGER", "TEXT", "REAL", "NUMERIC", "BLOB", ""]
  private static let rowCountMax = 12

  /// Tables, their rows and their indexes, in an order from the tape.
  public mutating func schema() -> [String] {
    var statements: [String] = []
    for number in 0..<1 + tape.below(3) {
      let (table, create) = makeTable("t\(number)")
      statements.append(create)
      tables.append(table)
      let isIndexedFirst = tape.oneIn(2)
      if isIndexedFirst { statements += indexes(number) }
      for _ in 0..<tape.below(Self.rowCountMax + 1) {
        // A row id is not the largest: the one behind it would be a random one.
        let values = table.columns.enumerated().map { index, _ in
          index == 0 && table.isKeyedByInteger ? tape.pick(["NULL", "\(tape.below(30) - 5)"]) : literal()
        }.joined(separator: ", ")
        statements.append("INSERT OR IGNORE INTO \(table.name) VALUES (\(values))")
      }
      if !isIndexedFirst { statements += indexes(number) }
    }
    return statements
  }

  private mutating func makeTable(_ name: String) -> (GeneratedTable, String) {
    var table = GeneratedTable(name: name, columns: [])
    let count = 1 + tape.below(4)
    let keyKind = tape.below(5)
    var parts: [String] = []
    for number in 0..<count {
      let type = tape.pick(Self.types)
      let collation = tape.oneIn(3) ? tape.pick(["NOCASE", "RTRIM"]) : "BINARY"
      var column = GeneratedColumn(name: "c\(number)", type: type, collation: collation)
      var text = "c\(number)" + (type.isEmpty ? "" : " \(type)")
      if number == 0, keyKind == 1 {
        column.type = "INTEGER"
        column.collation = "BINARY"
        table.columns.append(column)
        parts.append("c0 INTEGER PRIMARY KEY")
        table.isKeyedByInteger = true
        note("INTEGER PRIMARY KEY")
        continue
      }
      if collation != "BINARY" { text += " COLLATE \(collation)" }
      if tape.oneIn(6) {
        text += " NOT NULL"
        column.isNullable = false
      }
      if tape.oneIn(8) {
        text += " UNIQUE"
        note("UNIQUE")
      }
      parts.append(text)
      table.columns.append(column)
    }
    var suffix = ""
    if keyKind == 2 {
      let key = table.columns.prefix(1 + tape.below(2)).map(\.name)
      parts.append("PRIMARY KEY (\(key.joined(separator: tape.oneIn(3) ? " DESC, " : ", ")))")
      suffix = " WITHOUT ROWID"
      table.hasRowid = false
      note("WITHOUT ROWID")
    } else if keyKind == 3, count > 1 {
      parts.append("UNIQUE (c1, c0)")
      note("UNIQUE of two columns")
    }
    return (table, "CREATE TABLE \(name)(\(parts.joined(separator: ", ")))\(suffix)")
  }

  private mutating func indexes(_ number: Int) -> [String] {
    (0..<tape.below(3)).map { index in
      let table = tables[number]
      let name = "i\(number)_\(index)"
      tables[number].indexes.append(name)
      var terms: [String] = []
      for position in 0..<1 + tape.below(3) {
        let place = tape.below(table.columns.count)
        var term = table.columns[place].name
        if tape.oneIn(6) {
          term = tape.pick([
            "\(term) + 1", "length(\(term))", "abs(CAST(\(term) AS INTEGER) % 100)", "upper(\(term))",
            "\(term) IS NULL",
          ])
          note("index on an expression")
        }
        if tape.oneIn(6) {
          term += " COLLATE \(tape.pick(["NOCASE", "BINARY", "RTRIM"]))"
          note("index with COLLATE")
        }
        if tape.oneIn(4) {
          term += " DESC"
          note("index DESC")
          if position == 0 { tables[number].columns[place].leadsDescending = true }
        }
        terms.append(term)
      }
      var text = "CREATE INDEX \(name) ON \(table.name)(\(terms.joined(separator: ", ")))"
      if tape.oneIn(4) {
        let column = tape.pick(table.columns).name
        text += " WHERE " + tape.pick(["\(column) IS NOT NULL", "\(column) > 1", "\(column) = 'a'", "\(column) < 'b'"])
        note("partial index")
      }
      return text
    }
  }

  private mutating func literal() -> String {
    var generator = ExpressionGenerator(tape)
    let literal = generator.storedLiteral()
    tape = generator.tape
    return literal
  }

  // MARK: - Sources

  /// A FROM clause and the columns that it offers.
  public struct Source: Sendable {
    /// Behind each table stands a mark, "{x}" for the alias x, where a hint may go.
    public var template: String
    public var columns: [GeneratedColumn]
    /// The tables in it with their aliases.
    public var tables: [(alias: String, table: GeneratedTable)]
    /// No outer join.
    public var isInner = true

    public var sql: String { sql(hints: [:]) }

    /// - Parameter hints: by alias, as "NOT INDEXED".
    public func sql(hints: [String: String]) -> String {
      tables.reduce(template) { text, table in
        text.split(separator: "{\(table.alias)}", omittingEmptySubsequences: false)
          .joined(separator: hints[table.alias].map { " \($0)" } ?? "")
      }
    }
  }

  public mutating func source(tableCountMax: Int = 3) -> Source {
    var source = Source(template: "", columns: [], tables: [])
    for number in 0..<1 + tape.below(tableCountMax) {
      let table = tape.pick(tables), alias = ["x", "y", "z"][number]
      let columns = table.columns.map { $0.of(alias) }
      if number == 0 {
        source.template = "\(table.name) AS \(alias){\(alias)}"
      } else {
        let kind = tape.pick(["JOIN", "LEFT JOIN", "CROSS JOIN", ","])
        note(kind)
        if kind == "LEFT JOIN" { source.isInner = false }
        source.template += "\(kind == "," ? "" : " ")\(kind) \(table.name) AS \(alias){\(alias)}"
        if kind != ",", kind != "CROSS JOIN" || tape.oneIn(2) {
          let left = tape.pick(source.columns).name, right = tape.pick(columns).name
          source.template +=
            " ON " + (tape.oneIn(4) ? "(\(predicate(source.columns + columns, depth: 2)))" : "\(left) = \(right)")
        }
      }
      source.columns += columns
      source.tables.append((alias, table))
    }
    return source
  }

  /// - Parameter collates: see `ExpressionGenerator.collates`.
  public mutating func predicate(_ columns: [GeneratedColumn], depth: Int, collates: Bool = true) -> String {
    withExpressions(columns, collates: collates) { $0.predicate(depth: depth) }
  }

  public mutating func expression(_ columns: [GeneratedColumn], depth: Int) -> String {
    withExpressions(columns) { $0.expression(depth: depth).sql }
  }

  private mutating func withExpressions(
    _ columns: [GeneratedColumn], collates: Bool = true, _ body: (inout ExpressionGenerator) -> String
  ) -> String {
    var generator = ExpressionGenerator(tape, columns: columns)
    generator.collates = collates
    generator.subqueries = tables.flatMap { table in table.columns.map { (table.name, $0) } }
    let text = body(&generator)
    tape = generator.tape
    features.merge(generator.features, uniquingKeysWith: +)
    return text
  }

  // MARK: - Queries

  /// Values that have one form each: a column under NOCASE, or of several types, has not.
  private mutating func distinctTerm(_ columns: [GeneratedColumn]) -> String {
    let column = tape.pick(columns)
    return column.collation == "BINARY" && column.type == "INTEGER" ? column.name : "quote(\(column.name))"
  }

  private func list(_ columns: [GeneratedColumn]) -> String { columns.map(\.name).joined(separator: ", ") }

  public mutating func aggregate(_ columns: [GeneratedColumn]) -> String {
    let column = tape.pick(columns).name
    switch tape.below(6) {
    case 0: return "count(*)"
    case 1: return "count(\(column))"
    case 2: return "min(\(column) COLLATE BINARY)"
    case 3: return "max(\(column) COLLATE BINARY)"
    case 4: return "sum(CAST(\(column) AS INTEGER) % 1000)"
    default: return "count(DISTINCT \(column))"
    }
  }

  private mutating func filter(_ columns: [GeneratedColumn]) -> String {
    tape.oneIn(4) ? "" : " WHERE \(predicate(columns, depth: 3))"
  }

  public mutating func query() -> GeneratedQuery {
    let from = source(), columns = from.columns
    switch tape.below(12) {
    case 0, 1: return GeneratedQuery(sql: "SELECT \(list(columns)) FROM \(from.sql)\(filter(columns))")
    case 2:
      return GeneratedQuery(
        sql:
          "SELECT \(expression(columns, depth: 3)) AS e, \(expression(columns, depth: 2)) FROM \(from.sql)\(filter(columns))"
      )
    case 3:
      note("aggregates")
      return GeneratedQuery(
        sql:
          "SELECT \(aggregate(columns)), \(aggregate(columns)), \(aggregate(columns)) FROM \(from.sql)\(filter(columns))"
      )
    case 4:
      note("GROUP BY")
      let key = tape.pick(columns).name
      let having =
        tape.oneIn(2) ? " HAVING \(aggregate(columns)) \(tape.pick([">", "<", "IS NOT"])) \(tape.below(4))" : ""
      return GeneratedQuery(
        sql:
          "SELECT min(quote(\(key))), \(aggregate(columns)), count(*) FROM \(from.sql)\(filter(columns)) GROUP BY \(key)\(having)"
      )
    case 5:
      note("DISTINCT")
      return GeneratedQuery(
        sql: "SELECT DISTINCT \(distinctTerm(columns)), \(distinctTerm(columns)) FROM \(from.sql)\(filter(columns))")
    case 6:
      note("compound")
      let other = source(tableCountMax: 1)
      let left = "SELECT quote(\(tape.pick(columns).name)) FROM \(from.sql)\(filter(columns))"
      let operation = tape.pick(["UNION", "UNION ALL", "INTERSECT", "EXCEPT"])
      return GeneratedQuery(
        sql:
          "\(left) \(operation) SELECT quote(\(tape.pick(other.columns).name)) FROM \(other.sql)\(filter(other.columns))"
      )
    case 7, 8:
      note("ORDER BY with LIMIT")
      let order = columns.map { "\($0.name) COLLATE BINARY\(tape.oneIn(3) ? " DESC" : ""), typeof(\($0.name))" }.joined(
        separator: ", ")
      let first =
        tape.oneIn(2) ? "" : "\(tape.pick(columns).name) COLLATE BINARY\(tape.oneIn(2) ? " DESC" : " NULLS LAST"), "
      let limit = " LIMIT \(tape.below(8))\(tape.oneIn(2) ? "" : " OFFSET \(tape.below(4))")"
      return GeneratedQuery(
        sql: "SELECT \(list(columns)) FROM \(from.sql)\(filter(columns)) ORDER BY \(first)\(order)\(limit)",
        isOrdered: true)
    case 9:
      note("subquery in FROM")
      let names = columns.indices.map { "e\($0)" }
      let inner =
        "SELECT \(zip(columns, names).map { "\($0.0.name) AS \($0.1)" }.joined(separator: ", ")) FROM \(from.sql)\(filter(columns))"
      let outer = zip(columns, names).map { column, name -> GeneratedColumn in
        var outer = column
        outer.name = "s.\(name)"
        return outer
      }
      if tape.oneIn(2) {
        return GeneratedQuery(sql: "SELECT \(list(outer)) FROM (\(inner)) AS s\(filter(outer))")
      }
      note("CTE")
      let materialized = tape.pick(["", "MATERIALIZED ", "NOT MATERIALIZED "])
      return GeneratedQuery(sql: "WITH s AS \(materialized)(\(inner)) SELECT \(list(outer)) FROM s\(filter(outer))")
    case 10:
      note("recursive CTE")
      let column = tape.pick(columns).name
      return GeneratedQuery(
        sql: """
          WITH RECURSIVE n(v) AS (VALUES (1) UNION ALL SELECT v + 1 FROM n WHERE v < \(1 + tape.below(6))) \
          SELECT n.v, quote(\(column)) FROM \(from.sql) CROSS JOIN n WHERE \(column) >= n.v
          """)
    default:
      note("correlated subquery in the result")
      let table = tape.pick(tables), other = tape.pick(table.columns).name
      let outer = tape.pick(columns).name
      return GeneratedQuery(
        sql: """
          SELECT \(list(columns)), (SELECT count(*) FROM \(table.name) AS q WHERE q.\(other) = \(outer)) \
          FROM \(from.sql)\(filter(columns))
          """)
    }
  }
}
