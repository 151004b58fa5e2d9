// Random expressions whose value is one, whichever version of SQLite or plan computes it.
//
// The text form of a real with more than 15 digits changed after SQLite 3.40. Arithmetic may give one: what it gives is
// compared bit for bit, but becomes text only through CAST AS INTEGER. Nothing is raised that depends on the order of evaluation,
// unless asked for.

/// A column that an expression may name.
public struct GeneratedColumn: Sendable {
  public var name: String
  /// INTEGER, TEXT, REAL, NUMERIC, BLOB or nothing.
  public var type: String
  /// NOCASE, RTRIM or BINARY.
  public var collation: String
  public var isNullable = true
  /// An index begins with it, in descending order.
  public var leadsDescending = false

  /// The column of a table that an alias names.
  func of(_ alias: String) -> GeneratedColumn {
    var column = self
    column.name = "\(alias).\(name)"
    return column
  }
}

public struct ExpressionGenerator {
  public struct Text {
    public var sql: String
    /// May be a real whose text has many digits.
    public var isWide = false
  }

  public var tape: ChoiceTape
  public var columns: [GeneratedColumn]
  /// A column of some table, for IN (SELECT ...) and EXISTS.
  public var subqueries: [(table: String, column: GeneratedColumn)] = []
  /// COLLATE is written; without it a comparison's collation is the columns' alone.
  public var collates = true
  /// Functions that may fail.
  public var mayFail = false
  /// What was generated, by name.
  public private(set) var features: [String: Int] = [:]

  public init(_ tape: ChoiceTape, columns: [GeneratedColumn] = []) {
    self.tape = tape
    self.columns = columns
  }

  private mutating func note(_ feature: String) { features[feature, default: 0] += 1 }
  private mutating func pick(_ choices: [String]) -> String { tape.pick(choices) }

  // MARK: - Leaves

  private static let integers = ["0", "1", "-1", "2", "3", "7", "10", "-3", "100", "255", "65536"]
  private static let edges = [
    "9223372036854775807", "(-9223372036854775807-1)", "4294967296", "-2147483649", "0x7fffffff", "9007199254740993",
  ]
  /// No real is an integer: as 1 and 1.0 are one value, either might stand for both.
  private static let reals = ["0.5", "-1.5", "2.25", "1e-3", "-0.125", "1e300"]
  private static let texts = [
    "'a'", "'b'", "'A'", "'ab'", "''", "'a '", "'B'", "'1'", "'-1'", "'2.5'", "' 3'", "'4x'", "'a%'", "'_'", "'\u{e9}'",
    "'\u{c9}'",
    "'1e2'", "'0x10'", "'abcdefghijklmnop'", "' '", "'9223372036854775807'",
  ]
  private static let blobs = ["x''", "x'61'", "x'00ff'", "x'31'", "x'4142'"]

  public mutating func literal() -> String {
    switch tape.below(16) {
    case 0...4: pick(Self.integers)
    case 5: "NULL"
    case 6: pick(Self.edges)
    case 7, 8: pick(Self.reals)
    case 9...13: pick(Self.texts)
    case 14: pick(Self.blobs)
    default: "\(tape.below(40) - 10)"
    }
  }

  /// A value for a column of any type: none becomes a real of many digits in it.
  public mutating func storedLiteral() -> String {
    let text = literal()
    return Self.edges.contains(text) || text == "'9223372036854775807'" ? "7" : text
  }

  private mutating func leaf() -> Text {
    if columns.isEmpty || tape.oneIn(3) { return Text(sql: literal()) }
    note("column")
    return Text(sql: tape.pick(columns).name)
  }

  // MARK: - Contexts

  /// A value that becomes text, or is compared with one: no wide real.
  private mutating func narrow(_ depth: Int) -> String {
    let text = expression(depth: depth)
    return text.isWide ? "CAST(\(text.sql) AS INTEGER)" : text.sql
  }

  /// Two texts in one. As a number, text of digits with a NUL behind them is one thing for SQLite 3.54 and another for 3.40:
  /// something stands between digits and what may begin with a NUL.
  private func joined(_ left: String, _ right: String) -> String {
    let mayHaveNUL =
      ["zeroblob(", "x'00ff'", "char(", "sq."].contains { right.contains($0) }
      || columns.contains { right.contains($0.name) }
    return mayHaveNUL ? "(\(left) || '~' || \(right))" : "(\(left) || \(right))"
  }

  /// Two sides of a comparison. Where one is wide, the other has no affinity of text.
  private mutating func sides(_ depth: Int) -> (String, String) {
    let left = expression(depth: depth), right = expression(depth: depth)
    switch (left.isWide, right.isWide) {
    case (true, true), (false, false): return (left.sql, right.sql)
    case (true, false): return ("CAST(\(left.sql) AS INTEGER)", right.sql)
    case (false, true): return (left.sql, "CAST(\(right.sql) AS INTEGER)")
    }
  }

  public mutating func expression(depth: Int) -> Text {
    if depth <= 0 || tape.isAtEnd { return leaf() }
    switch tape.below(24) {
    case 0, 1: return leaf()
    case 2, 3: return arithmetic(depth - 1)
    case 4...8: return Text(sql: predicate(depth: depth))
    case 9...13: return function(depth - 1)
    case 14: return conditional(depth - 1)
    case 15:
      note("||")
      return Text(sql: joined(narrow(depth - 1), narrow(depth - 1)))
    case 16: return cast(depth - 1)
    case 17:
      note("bits")
      return Text(sql: "(\(narrow(depth - 1)) \(pick(["&", "|", "<<", ">>"])) \(narrow(depth - 1)))")
    case 18:
      let operand = expression(depth: depth - 1)
      switch tape.below(3) {
      case 0: return Text(sql: "(- \(operand.sql))", isWide: true)
      case 1: return Text(sql: "(+ \(operand.sql))", isWide: operand.isWide)
      default: return Text(sql: "(~ \(operand.sql))")
      }
    case 19: return scalarSubquery() ?? leaf()
    default: return Text(sql: predicate(depth: depth - 1))
    }
  }

  private mutating func arithmetic(_ depth: Int) -> Text {
    note("arithmetic")
    let operation = pick(["+", "-", "*", "/", "%"])
    return Text(sql: "(\(expression(depth: depth).sql) \(operation) \(expression(depth: depth).sql))", isWide: true)
  }

  private mutating func cast(_ depth: Int) -> Text {
    note("CAST")
    switch tape.below(5) {
    case 0: return Text(sql: "CAST(\(expression(depth: depth).sql) AS INTEGER)")
    case 1: return Text(sql: "CAST(\(narrow(depth)) AS TEXT)")
    case 2: return Text(sql: "CAST(\(narrow(depth)) AS BLOB)")
    case 3: return Text(sql: "CAST(\(narrow(depth)) AS NUMERIC)", isWide: true)
    // Of "-" SQLite 3.40 makes -0.0, and 3.54 makes 0.0.
    default: return Text(sql: "(CAST(\(narrow(depth)) AS REAL) + 0.0)", isWide: true)
    }
  }

  private mutating func conditional(_ depth: Int) -> Text {
    note("CASE")
    let first = expression(depth: depth), second = expression(depth: depth)
    let isWide = first.isWide || second.isWide
    switch tape.below(3) {
    case 0:
      return Text(sql: "CASE WHEN \(predicate(depth: depth)) THEN \(first.sql) ELSE \(second.sql) END", isWide: isWide)
    case 1:
      return Text(
        sql: "CASE \(narrow(depth)) WHEN \(narrow(depth)) THEN \(first.sql) WHEN \(literal()) THEN \(second.sql) END",
        isWide: isWide)
    default: return Text(sql: "iif(\(predicate(depth: depth)), \(first.sql), \(second.sql))", isWide: isWide)
    }
  }

  // MARK: - Predicates

  public mutating func predicate(depth: Int) -> String {
    if depth <= 0 || tape.isAtEnd { return "(\(leaf().sql) \(pick(["=", "<", ">", "IS"])) \(leaf().sql))" }
    let depth = depth - 1
    switch tape.below(20) {
    case 0...4:
      note("comparison")
      let (left, right) = sides(depth)
      let operation = pick(["=", "<", ">", "<=", ">=", "<>", "IS", "IS NOT"])
      guard collates, tape.oneIn(5) else { return "(\(left) \(operation) \(right))" }
      note("COLLATE")
      return "(\(left) COLLATE \(pick(["NOCASE", "BINARY", "RTRIM"])) \(operation) \(right))"
    case 5, 6: return "(\(predicate(depth: depth)) AND \(predicate(depth: depth)))"
    case 7, 8: return "(\(predicate(depth: depth)) OR \(predicate(depth: depth)))"
    case 9: return "(NOT \(predicate(depth: depth)))"
    case 10:
      note("BETWEEN")
      return "(\(narrow(depth)) \(pick(["", "NOT "]))BETWEEN \(narrow(depth)) AND \(narrow(depth)))"
    case 11, 12:
      note("IN list")
      return "(\(narrow(depth)) \(pick(["IN", "NOT IN"])) (\(literal()), \(literal()), \(narrow(depth))))"
    case 13: return "(\(narrow(depth)) \(pick(["IS NULL", "IS NOT NULL"])))"
    case 14:
      note("LIKE")
      let pattern =
        tape.oneIn(4) ? narrow(depth) : pick(["'a%'", "'%b'", "'_'", "'%'", "'A'", "'%a%'", "'ab%'", "'1%'"])
      return "(\(narrow(depth)) \(pick(["LIKE", "NOT LIKE"])) \(pattern)\(tape.oneIn(5) ? " ESCAPE '\\'" : ""))"
    case 15:
      note("GLOB")
      return
        "(\(narrow(depth)) \(pick(["GLOB", "NOT GLOB"])) \(pick(["'a*'", "'*b'", "'?'", "'[a-c]*'", "'[^a]'", "'*'", "'1*'"])))"
    case 16:
      note("row value")
      return
        "((\(narrow(depth)), \(narrow(depth))) \(pick(["=", "<", ">=", "IS", "<>"])) (\(narrow(depth)), \(narrow(depth))))"
    case 17, 18: return subqueryPredicate(depth) ?? "(\(narrow(depth)) IS NOT \(literal()))"
    default: return "(\(narrow(depth)) \(pick(["IS TRUE", "IS NOT FALSE", "ISNULL", "NOTNULL"])))"
    }
  }

  private mutating func subqueryPredicate(_ depth: Int) -> String? {
    if subqueries.isEmpty { return nil }
    let (table, column) = tape.pick(subqueries)
    switch tape.below(3) {
    case 0:
      note("IN (SELECT)")
      // SQLite 3.40 looks for a NULL at the beginning of the index only.
      let isHidden = column.leadsDescending && column.isNullable
      return "(\(narrow(depth)) \(pick(["IN", "NOT IN"])) (SELECT \(isHidden ? "+" : "")\(column.name) FROM \(table)))"
    case 1:
      note("EXISTS")
      return "(\(pick(["", "NOT "]))EXISTS (SELECT 1 FROM \(table) AS sq WHERE sq.\(column.name) = \(leaf().sql)))"
    default:
      note("IN (SELECT correlated)")
      let name = "sq.\(column.name)"
      return "(\(narrow(depth)) IN (SELECT \(name) FROM \(table) AS sq WHERE \(name) > \(leaf().sql)))"
    }
  }

  private mutating func scalarSubquery() -> Text? {
    if subqueries.isEmpty { return nil }
    note("scalar subquery")
    let (table, column) = tape.pick(subqueries)
    let name = "sq.\(column.name)"
    switch tape.below(3) {
    case 0: return Text(sql: "(SELECT count(*) FROM \(table))")
    case 1: return Text(sql: "(SELECT count(\(name)) FROM \(table) AS sq WHERE \(name) <= \(leaf().sql))")
    default: return Text(sql: "(SELECT max(\(name) COLLATE BINARY) FROM \(table) AS sq)")
    }
  }

  // MARK: - Functions

  private mutating func function(_ depth: Int) -> Text {
    note("function")
    func small(_ sql: String) -> String { "(CAST(\(sql) AS INTEGER) % 10)" }
    switch tape.below(26) {
    case 0: return Text(sql: "typeof(\(expression(depth: depth).sql))")
    case 1: return Text(sql: "length(\(narrow(depth)))")
    case 2: return Text(sql: "\(pick(["upper", "lower"]))(\(narrow(depth)))")
    case 3: return Text(sql: "\(pick(["trim", "ltrim", "rtrim"]))(\(narrow(depth)))")
    case 4: return Text(sql: "\(pick(["trim", "ltrim", "rtrim"]))(\(narrow(depth)), \(narrow(depth)))")
    case 5: return Text(sql: "substr(\(narrow(depth)), \(small(narrow(depth))))")
    case 6: return Text(sql: "substr(\(narrow(depth)), \(small(narrow(depth))), \(small(narrow(depth))))")
    case 7: return Text(sql: "instr(\(narrow(depth)), \(narrow(depth)))")
    // Where nothing is sought, SQLite 3.40 gave back the value as it was, and later ones give its text.
    case 8: return Text(sql: "replace(CAST(\(narrow(depth)) AS TEXT), \(narrow(depth)), \(pick(Self.texts)))")
    case 9: return Text(sql: "hex(\(narrow(depth)))")
    case 10: return Text(sql: "quote(\(narrow(depth)))")
    case 11: return Text(sql: "unicode(\(narrow(depth)))")
    case 12: return Text(sql: "char(\(small(narrow(depth))) + 65, 97)")
    case 13:
      let first = expression(depth: depth), second = expression(depth: depth)
      return Text(
        sql: "\(pick(["coalesce", "ifnull"]))(\(first.sql), \(second.sql))", isWide: first.isWide || second.isWide)
    case 14: return Text(sql: "nullif(\(narrow(depth)), \(narrow(depth)))")
    case 15:
      let first = expression(depth: depth), second = expression(depth: depth)
      return Text(sql: "\(pick(["min", "max"]))(\(first.sql), \(second.sql))", isWide: first.isWide || second.isWide)
    case 16:
      if mayFail { return Text(sql: "abs(\(expression(depth: depth).sql))", isWide: true) }
      return Text(sql: "abs(CAST(\(expression(depth: depth).sql) AS INTEGER) % 1000)")
    case 17: return Text(sql: "sign(\(expression(depth: depth).sql))")
    case 18: return Text(sql: "round(\(expression(depth: depth).sql))", isWide: true)
    case 19: return Text(sql: "zeroblob(abs(\(small(narrow(depth)))))")
    case 20:
      return Text(
        sql:
          "printf('%d|%s|%5d|%-5s|%x|%c', \(narrow(depth)), \(narrow(depth)), \(narrow(depth)), \(narrow(depth)), 255, 'q')"
      )
    case 21: return Text(sql: "like(\(narrow(depth)), \(narrow(depth)))")
    case 22: return Text(sql: "glob(\(narrow(depth)), \(narrow(depth)))")
    case 23: return Text(sql: "\(pick(["likely", "unlikely"]))(\(narrow(depth)))")
    case 24: return Text(sql: "length(hex(\(narrow(depth))))")
    default: return Text(sql: "coalesce(\(narrow(depth)), \(narrow(depth)), \(literal()))")
    }
  }
}
