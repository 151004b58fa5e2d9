// The compiler without a database: catalogs made of CREATE statements, the messages of name resolution, plans.

import ApusBase
import ApusCompiler
import ApusFunctions
import ApusSQL
import ApusVM
import Testing

@Suite("Compiler")
struct CompilerTests {
  static let schema = [
    "CREATE TABLE t(a INTEGER PRIMARY KEY, b TEXT, c)",
    "CREATE TABLE u(a, d TEXT UNIQUE, e REAL DEFAULT 1)",
    "CREATE INDEX ub ON u(a, e)",
    "CREATE TABLE w(k TEXT, n INT, v, PRIMARY KEY(n, k)) WITHOUT ROWID",
    "CREATE INDEX wv ON w(v)",
    "CREATE VIEW x AS SELECT a AS p, b FROM t",
    "CREATE TABLE z(true, f)",
  ]

  static func catalog() throws -> Schema {
    var builder = SchemaBuilder(database: 0)
    for (place, sql) in schema.enumerated() {
      let words = sql.split { " (".contains($0) }.map(String.init)
      let type = words[1].lowercased(), name = words[2], table = type == "index" ? words[4] : name
      try builder.add(
        SchemaRow(type: type, name: name, tableName: table, root: Int64(type == "view" ? 0 : place * 2 + 2), sql: sql))
      if place == 1 {
        try builder.add(
          SchemaRow(type: "index", name: "sqlite_autoindex_u_1", tableName: "u", root: 20, sql: nil))
      }
    }
    return builder.finish(cookie: 1, generation: 1)
  }

  static func compile(_ sql: String) throws -> Program {
    var text = ByteBuffer()
    text.append(contentsOf: sql)
    let parsed = try #require(try SQLParser.parseNext(text.bytes))
    let context = CompilerContext(
      schemas: SchemaSet(main: try catalog()), functions: FunctionRegistry(builtIn: BuiltInFunctions.library))
    return try Compiler.compile(parsed, sql: text.bytes, context: context)
  }

  @Test("a schema gives tables their implicit indexes, keys and fields")
  func builds() throws {
    let schema = try Self.catalog()
    let t = try #require(try schema.table("t")), u = try #require(try schema.table("u"))
    let w = try #require(try schema.table("w"))
    #expect(t.rowidAlias == 0 && t.indexes.isEmpty)
    #expect(u.indexes.map(\.name.text) == ["ub", "sqlite_autoindex_u_1"])
    #expect(u.indexes[1].root == PageNumber(20))
    #expect(w.fields == [1, 0, 2])
    #expect(w.primaryKeyIndex?.columns.map(\.number) == [1, 0, 2])
    // A secondary index ends with the primary key.
    #expect(w.indexes.first?.columns.map(\.number) == [2, 1, 0])
    #expect(try schema.table("sqlite_schema") === schema.table("SQLITE_MASTER"))
  }

  @Test(
    "a definition that is none is damage, at the latest when its table is used",
    arguments: ["CREATE INDEX i ON nope(a)", "SELECT 1", "CREATE TABLE (", "CREATE TABLE y(a)", "CREATE TABLE x(a, A)", ""])
  func damagedSchema(sql: String) throws {
    var builder = SchemaBuilder(database: 0)
    let error = #expect(throws: EngineError.self) {
      try builder.add(SchemaRow(type: "table", name: "x", tableName: "x", root: 2, sql: sql.isEmpty ? nil : sql))
      _ = try builder.finish().table("x")
    }
    #expect(error?.code == .corrupt)
    #expect(error?.message.hasPrefix("malformed database schema (x)") == true)
  }

  @Test("common tables and views that double at each step end with an error, and columns that do are not copied")
  func doubling() throws {
    func chain(_ count: Int, _ body: (Int) -> String) -> String {
      let tables = (1...count).map { ", c\($0)(a) AS (\(body($0 - 1)))" }.joined()
      return "WITH c0(a) AS (SELECT b FROM t)" + tables + " SELECT a FROM c\(count)"
    }
    let error = #expect(throws: EngineError.self) {
      try Self.compile(chain(20) { "SELECT x.a FROM c\($0) x, c\($0) y" })
    }
    #expect(error?.message == "too many FROM clause terms, max: 1000")
    #expect(try Self.compile(chain(60) { "SELECT a + a FROM c\($0)" }).resultColumns.count == 1)
    #expect(try Self.compile(chain(5) { "SELECT x.a FROM c\($0) x, c\($0) y" }).resultColumns.count == 1)
  }

  // Each message was given by SQLite 3.54.1, which finds the same in a file that was opened.
  @Test(
    "what CREATE refuses is damage where it is stored",
    arguments: [
      ("i", "CREATE INDEX i ON t((SELECT 1))", "subqueries prohibited in index expressions"),
      ("i", "CREATE INDEX i ON t(t.a)", "the \".\" operator prohibited in index expressions"),
      ("i", "CREATE INDEX i ON t(zz + 1)", "no such column: zz"),
      ("i", "CREATE INDEX i ON t('zz')", "no such column: zz"),
      ("i", "CREATE INDEX i ON t(a) WHERE zz", "no such column: zz"),
      ("i", "CREATE INDEX i ON t(rowid)", "no such column: rowid"),
      ("i", "CREATE INDEX i ON t(?)", "parameters prohibited in index expressions"),
      ("i", "CREATE INDEX i ON t(a) WHERE ?", "parameters prohibited in partial index WHERE clauses"),
      ("i", "CREATE INDEX i ON t(a) WHERE (SELECT 1)", "subqueries prohibited in partial index WHERE clauses"),
      ("i", "CREATE INDEX i ON t(a NULLS FIRST)", "unsupported use of NULLS FIRST"),
      ("i", "CREATE INDEX i ON t(current_time)", "non-deterministic functions prohibited in index expressions"),
      ("t", "CREATE TABLE t(a CHECK(zz), b)", "no such column: zz"),
      ("t", "CREATE TABLE t(a CHECK((SELECT 1)), b)", "subqueries prohibited in CHECK constraints"),
      ("t", "CREATE TABLE t(a CHECK(?), b)", "parameters prohibited in CHECK constraints"),
      ("t", "CREATE TABLE t(a DEFAULT (zz), b)", "default value of column [a] is not constant"),
      ("t", "CREATE TABLE t(a DEFAULT (\"zz\"), b)", "default value of column [a] is not constant"),
      ("t", "CREATE TABLE t(a REFERENCES k(a, b), b)", "foreign key on a should reference only one column of table k"),
      ("t", "CREATE TABLE t(a, b, UNIQUE(zz))", "no such column: zz"),
      ("t", "CREATE TABLE t(a, b, UNIQUE(\"zz\"))", "expressions prohibited in PRIMARY KEY and UNIQUE constraints"),
    ])
  func refusedDefinition(name: String, sql: String, message: String) throws {
    var builder = SchemaBuilder(database: 0)
    let error = #expect(throws: EngineError.self) {
      let isIndex = name == "i"
      let table = isIndex ? "CREATE TABLE t(a, b)" : sql
      try builder.add(SchemaRow(type: "table", name: "t", tableName: "t", root: 2, sql: table))
      if isIndex { try builder.add(SchemaRow(type: "index", name: "i", tableName: "t", root: 3, sql: sql)) }
      _ = try builder.finish().table("t")
    }
    #expect(error?.code == .corrupt)
    #expect(error?.message == "malformed database schema (\(name)) - \(message)")
  }

  @Test(
    "what SQLite takes in a stored definition",
    arguments: ["CREATE INDEX i ON t(\"zz\")", "CREATE INDEX i ON t(nosuch(a))", "CREATE INDEX i ON t(a) WHERE t.a > rowid"])
  func acceptedDefinition(sql: String) throws {
    var builder = SchemaBuilder(database: 0)
    try builder.add(SchemaRow(type: "table", name: "t", tableName: "t", root: 2, sql: "CREATE TABLE t(a, b)"))
    try builder.add(SchemaRow(type: "index", name: "i", tableName: "t", root: 3, sql: sql))
    #expect(try builder.finish().table("t")?.indexes.count == 1)
  }

  @Test("a table's column that is called true hides the literal")
  func hidesLiteral() throws {
    let origins = try Self.compile("select true, false, z.true, f is true from z").resultColumns.map(\.originName)
    #expect(origins == ["true", nil, "true", nil])
    #expect(try Self.compile("select true from t").resultColumns[0].originName == nil)
  }

  // Each message was given by SQLite 3.54.1.
  static let expectedMessages: [(String, String)] = [
    ("select * from nope", "no such table: nope"),
    ("select * from main.nope", "no such table: main.nope"),
    ("select z from t", "no such column: z"),
    ("select main.t.z from t", "no such column: main.t.z"),
    ("select a from t, u", "ambiguous column name: a"),
    ("select rowid from t, u", "ambiguous column name: rowid"),
    ("select rowid from x", "no such column: rowid"),
    ("select foo(1)", "no such function: foo"),
    ("select abs(1, 2)", "wrong number of arguments to function abs()"),
    ("select * from t where count(*) > 1", "misuse of aggregate function count()"),
    ("select count(*) as n from t where n > 1", "misuse of aggregate: count()"),
    ("select sum(sum(a)) from t", "misuse of aggregate function sum()"),
    ("select a from t group by count(*)", "aggregate functions are not allowed in the GROUP BY clause"),
    ("select a from t having a > 1", "HAVING clause on a non-aggregate query"),
    ("select a from t order by 3", "1st ORDER BY term out of range - should be between 1 and 1"),
    ("select a from t group by 3", "1st GROUP BY term out of range - should be between 1 and 1"),
    ("select 1 union all select 2 order by 1 + 1", "1st ORDER BY term does not match any column in the result set"),
    (
      "select a from t union select a, b from t",
      "SELECTs to the left and right of UNION do not have the same number of result columns"
    ),
    ("select (1, 2)", "row value misused"),
    ("select (select 1, 2)", "sub-select returns 2 columns - expected 1"),
    ("select 1 in (select 1, 2)", "sub-select returns 2 columns - expected 1"),
    ("select *", "no tables specified"),
    ("select q.* from t", "no such table: q"),
    ("select * from t natural join u using(a)", "a NATURAL join may not have an ON or USING clause"),
    ("select * from t join u using(zz)", "cannot join using column zz - column not present in both tables"),
    ("select a collate foo from t order by 1", "no such collation sequence: foo"),
    ("with q(a, b) as (select 1) select * from q", "table q has 1 values for 2 columns"),
    ("select abs(a) filter (where a) from t", "FILTER may not be used with non-aggregate abs()"),
    ("select count(*) over () from t", "not supported: window functions"),
    ("select * from t right join u using(a)", "not supported: RIGHT JOIN"),
  ]

  @Test("what cannot be resolved is refused in SQLite's words", arguments: expectedMessages)
  func refuses(sql: String, message: String) throws {
    let error = #expect(throws: EngineError.self) { try Self.compile(sql) }
    #expect(error?.message == message, "\(sql)")
  }

  // Each plan was given by SQLite 3.54.1.
  static let expectedPlans: [(String, [String])] = [
    ("select * from t", ["SCAN t"]),
    ("select * from t where a = 5", ["SEARCH t USING INTEGER PRIMARY KEY (rowid=?)"]),
    ("select * from t where a > 5 and a <= 9", ["SEARCH t USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)"]),
    ("select * from u where d = 'x'", ["SEARCH u USING INDEX sqlite_autoindex_u_1 (d=?)"]),
    ("select a, e from u where a = 1 and e > 2", ["SEARCH u USING COVERING INDEX ub (a=? AND e>?)"]),
    ("select * from w where n = 1 and k = 'a'", ["SEARCH w USING PRIMARY KEY (n=? AND k=?)"]),
    ("select * from t order by b", ["SCAN t", "USE TEMP B-TREE FOR ORDER BY"]),
    ("select * from t order by a desc", ["SCAN t"]),
    ("select * from u join t on t.a = u.a", ["SCAN u", "SEARCH t USING INTEGER PRIMARY KEY (rowid=?)"]),
    ("select p from x where p = 1", ["SEARCH t USING INTEGER PRIMARY KEY (rowid=?)"]),
  ]

  @Test("statements run as SQLite would run them", arguments: expectedPlans)
  func plan(sql: String, plan: [String]) throws {
    #expect(try Self.compile("EXPLAIN QUERY PLAN " + sql).planRows.map(\.detail) == plan, "\(sql)")
  }

  @Test("result columns have SQLite's names, types and origins")
  func names() throws {
    let program = try Self.compile("select a, b AS q, a + 1, rowid, count(*), t.* from t")
    #expect(program.resultColumns.map(\.name) == ["a", "q", "a + 1", "a", "count(*)", "a", "b", "c"])
    #expect(program.resultColumns[0].declaredType == "INTEGER")
    #expect(program.resultColumns[1].originName == "b" && program.resultColumns[1].tableName == "t")
    #expect(program.resultColumns[2].originName == nil)
  }
}
