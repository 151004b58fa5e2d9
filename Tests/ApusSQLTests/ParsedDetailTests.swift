// What a parsed statement says beside its tree: spans, parameters, the stored text, where it ends.

import ApusBase
import Testing

@testable import ApusSQL

@Suite("parsed details")
struct ParsedDetailTests {
  @Test("statements of a text are parsed one by one")
  func several() throws {
    try withView(" ; SELECT 1; -- x\n SELECT 2 ;; SELECT 3") { view in
      var texts: [String] = []
      var offset = 0
      while let statement = try SQLParser.parseNext(view, from: offset) {
        texts.append(view.string(statement.span))
        offset = statement.end
      }
      #expect(texts == ["SELECT 1;", "SELECT 2 ;", "SELECT 3"])
    }
    #expect(try withView("/* nothing */ ; -- at all") { try SQLParser.parseNext($0) } == nil)
    #expect(throws: SQLError.self) { try parse("SELECT 1; SELECT 2") }
    #expect(throws: SQLError.self) { try parse("") }
  }

  @Test("a result column's span is its text")
  func spans() throws {
    let text = "SELECT a+ 1 AS x, ( b ) , count( * ) FROM t"
    guard case .select(let select) = try parse(text).statement, case .query(let query) = select.first else {
      Issue.record("no query")
      return
    }
    let spans = query.columns.map { column -> String in
      guard case .expression(_, _, let span) = column else { return "?" }
      return withView(text) { $0.string(span) }
    }
    #expect(spans == ["a+ 1", "( b )", "count( * )"])
  }

  @Test("parameters are numbered as SQLite numbers them")
  func parameters() throws {
    let statement = try parse("SELECT ?, :a, ?5, ?, @b, :a, $c::d(e), ?2")
    #expect(statement.parameterCount == 8)
    #expect(statement.parameterNames == [nil, ":a", nil, nil, "?5", nil, "@b", "$c::d(e)"])
  }

  @Test("integers are integers up to both ends of Int64")
  func integers() throws {
    #expect(try parseExpression("9223372036854775807") == .literal(.integer(.max), .none))
    #expect(try parseExpression("9223372036854775808") == .literal(.real(0x1p63), .none))
    #expect(try parseExpression("-9223372036854775808") == .literal(.integer(.min), .none))
    #expect(try parseExpression("-9_223_372_036_854_775_808") == .literal(.integer(.min), .none))
    #expect(try parseExpression("-(9223372036854775808)") == .literal(.integer(.min), .none))
    #expect(try parseExpression("-9223372036854775808.0") == .unary(.negate, .literal(.real(0x1p63), .none), .none))
    #expect(try parseExpression("0xFFFFFFFFFFFFFFFF") == .literal(.integer(-1), .none))
    #expect(try parseExpression("1_0.2_5e1_0") == .literal(.real(10.25e10), .none))
    #expect(try parseExpression(".5") == .literal(.real(0.5), .none))
    #expect(try parseExpression("5.") == .literal(.real(5), .none))
    #expect(try parseExpression("1e400") == .literal(.real(.infinity), .none))
    #expect(try parseExpression("1e-400") == .literal(.real(0), .none))
  }

  @Test("bytes that are not UTF-8 survive in a string literal")
  func malformedText() throws {
    let bytes: [UInt8] = Array("SELECT '".utf8) + [0xff, 0x41] + Array("'".utf8)
    let statement = try unsafe bytes.withUnsafeBytes { try SQLParser.parseSingle(unsafe ByteView(unchecked: $0)) }
    guard case .select(let select) = statement.statement, case .query(let query) = select.first,
      case .expression(let value, _, _) = query.columns[0]
    else {
      Issue.record("no query")
      return
    }
    #expect(value == .literal(.malformedText([0xff, 0x41]), .none))
  }

  @Test(
    "sqlite_schema's text has a normalised heading and the writer's words",
    arguments: [
      ("create table  main . t1 ( a , b )  ; ", "CREATE TABLE t1 ( a , b )"),
      ("CREATE TEMP TABLE IF NOT EXISTS \"t 1\"(a) -- x", "CREATE TABLE \"t 1\"(a)"),
      ("create table t(a) without  rowid", "CREATE TABLE t(a) without  rowid"),
      ("create unique index if not exists main.i on t(a) where b", "CREATE UNIQUE INDEX i on t(a) where b"),
      ("create  index i on t(a);", "CREATE INDEX i on t(a)"),
      ("create temp view v(x) as select 1 ;", "CREATE VIEW v(x) as select 1"),
      (
        "create trigger main.r after insert on t begin select 1; end ;",
        "CREATE TRIGGER r after insert on t begin select 1; end"
      ),
      ("create virtual table v using m(a, b) ", "CREATE VIRTUAL TABLE v using m(a, b)"),
    ])
  func schemaText(text: String, expected: String) throws {
    let statement = try parse(text).statement
    let stored = withView(text) { view -> String in
      switch statement {
      case .createTable(let table): table.schemaText(view)
      case .createIndex(let index): index.schemaText(view)
      case .createView(let definition): definition.schemaText(view)
      case .createTrigger(let trigger): trigger.schemaText(view)
      case .createVirtualTable(let table): table.schemaText(view)
      default: "?"
      }
    }
    #expect(stored == expected)
  }

  @Test("a name keeps its text and compares without ASCII case")
  func names() throws {
    guard case .createTable(let table) = try parse("create table \"A\"\"b\" ([X y], `z``w`, 'q', É)").statement,
      case .columns(let columns, _, _) = table.body
    else {
      Issue.record("no table")
      return
    }
    #expect(table.name.text == "A\"b")
    #expect(table.name.isDoubleQuoted)
    #expect(columns.map(\.name.text) == ["X y", "z`w", "q", "É"])
    #expect(Name("ABC") == Name("abc", quote: .double))
    #expect(Name("É") != Name("é"))
  }

  @Test(
    "a text is complete behind the semicolon that ends a statement",
    arguments: [
      ("", false), ("select 1", false), ("select 1;", true), ("select 1; ", true), ("select 1; -- x", true),
      ("select 1; /* x */", true), ("select 1; /* x", false), ("select ';'", false), ("select ';';", true),
      ("select '", false), ("select [;", false), ("select [;];", true), (";", true), ("select 1; select 2", false),
      ("create trigger a begin select 1;", false), ("create trigger a begin select 1; end;", true),
      ("create temp trigger a begin select 1; end", false), ("CREATE TEMPORARY TRIGGER a BEGIN x; END ;", true),
      ("explain create trigger a begin select 1;", false), ("create table trigger;", true),
      ("create trigger a begin select 1; end; select 1", false), ("create trigger a begin x; endx;", false),
      ("-- only a comment", false), ("/**/;", true), ("/*/;", false), ("explain select 1;", true),
    ])
  func completeness(text: String, expected: Bool) {
    #expect(withView(text) { SQLParser.isComplete($0) } == expected)
  }
}
