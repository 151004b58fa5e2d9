// The synchronous core: connections and prepared statements.

import ApusBase
import ApusIO
import ApusVM
import Testing

@testable import Apus

/// Worlds that a property has to hold in.
struct World: CustomTestStringConvertible, Sendable {
  var name: String
  var make: @Sendable () -> any Environment
  var testDescription: String { name }

  static let all: [World] = [
    World(name: "memory") { MemoryEnvironment() },
    World(name: "memory, slow") { MemoryEnvironment(seed: 3, completesAtOnce: false) },
  ]
}

extension Connection {
  /// All rows of one statement as text, columns joined by "|".
  func text(_ sql: String, _ values: [DatabaseValue] = []) throws -> [String] {
    let statement = try prepareBlocking(sql)
    defer { statement.finalize() }
    try statement.bind(SQL(unsafe: sql, values))
    var rows: [String] = []
    while try statement.stepBlocking() {
      let columns = (0..<statement.columnCount).map { column -> String in
        switch ColumnReader(statement.column(column)).value {
        case .null: "NULL"
        case .integer(let value): "\(value)"
        case .real(let value): "\(value)"
        case .text(let value): value
        case .blob(let value): "blob(\(value.count))"
        }
      }
      rows.append(columns.joined(separator: "|"))
    }
    return rows
  }
}

func failure(_ body: () throws -> Void) -> EngineError? {
  do { try body() } catch { return error as? EngineError }
  return nil
}

@Suite struct CoreTests {
  @Test("a database is made, written, read, and read again by another connection", arguments: World.all)
  func roundTrip(world: World) throws {
    let environment = world.make()
    let connection = try Connection("/a.db", environment: environment)
    try connection.execute("CREATE TABLE t(a INTEGER PRIMARY KEY, b TEXT); INSERT INTO t VALUES (1,'x'),(2,'y');")
    #expect(connection.changes == 2)
    #expect(connection.lastInsertRowid == 2)
    #expect(try connection.text("SELECT * FROM t ORDER BY a") == ["1|x", "2|y"])
    let other = try Connection("/a.db", environment: environment)
    #expect(try other.text("SELECT b FROM t WHERE a = ?", [.integer(2)]) == ["y"])
    try other.execute("UPDATE t SET b = 'z' WHERE a = 1")
    #expect(try connection.text("SELECT b FROM t") == ["z", "y"])
    #expect(connection.totalChanges == 2)
    try connection.closeBlocking()
    try other.closeBlocking()
  }

  @Test(
    "the change of one row with overflow pages that is dropped at any wait leaves nothing behind",
    arguments: ["DELETE", "WAL"],
    [
      "INSERT INTO t VALUES (5, zeroblob(40000))", "UPDATE t SET b = zeroblob(30000) WHERE a = 1",
      "UPDATE t SET b = zeroblob(30000) WHERE a = 2", "UPDATE t SET b = 'short' WHERE a = 1", "DELETE FROM t WHERE a = 1",
    ])
  func droppedRow(mode: String, sql: String) throws {
    for waits in 1...400 {
      let environment = MemoryEnvironment(seed: UInt64(waits), completesAtOnce: false)
      let connection = try Connection("/a.db", environment: environment)
      _ = try connection.text("PRAGMA page_size = 512")
      _ = try connection.text("PRAGMA journal_mode = \(mode)")
      try connection.execute("CREATE TABLE t(a INTEGER PRIMARY KEY, b); INSERT INTO t VALUES (1, zeroblob(20000)), (2, 'x')")
      // A connection that has nothing in memory yet, and little room.
      let other = try Connection("/a.db", environment: environment)
      _ = try other.text("PRAGMA cache_size = 1")
      try other.execute("BEGIN; INSERT INTO t VALUES (3, 'kept')")
      let statement = try other.prepareBlocking(sql)
      var seen = 0
      var isDone = false
      while seen < waits, !isDone {
        switch try statement.step() {
        case .done: isDone = true
        case .row: break
        case .pending(let wait):
          seen += 1
          if seen < waits { other.wait(for: wait) }
        }
      }
      statement.finalize()
      if isDone { #expect(waits > 3, "\(sql): there was nothing to drop") }
      try other.execute("COMMIT")
      #expect(try other.text("PRAGMA integrity_check") == ["ok"], "\(sql), dropped at wait \(waits)")
      if !isDone {
        #expect(try other.text("SELECT a, length(b) FROM t") == ["1|20000", "2|1", "3|4"], "\(sql), wait \(waits)")
      }
      try other.closeBlocking()
      try connection.closeBlocking()
      if isDone { break }
    }
  }

  @Test("a statement is compiled again when another connection has changed the schema", arguments: World.all)
  func schemaChange(world: World) throws {
    let environment = world.make()
    let connection = try Connection("/a.db", environment: environment)
    let other = try Connection("/a.db", environment: environment)
    try connection.execute("CREATE TABLE t(a)")
    try connection.execute("INSERT INTO t VALUES (1)")
    let statement = try connection.prepareBlocking("SELECT *, ? FROM t")
    try statement.bind(.integer(7), at: 1)
    #expect(try statement.stepBlocking())
    statement.reset()
    try other.execute("DROP TABLE t")
    try other.execute("CREATE TABLE t(a, b)")
    try other.execute("INSERT INTO t VALUES (3, 4)")
    #expect(try statement.stepBlocking())
    #expect(statement.columnCount == 3)
    #expect(statement.column(1).integerValue == 4)
    #expect(statement.column(2).integerValue == 7)
    statement.finalize()
    // A table that the other has made is found although the catalog was read before.
    try other.execute("CREATE TABLE u(x)")
    #expect(try connection.text("SELECT * FROM u") == [])
    try other.execute("DROP TABLE u")
    #expect(failure { _ = try connection.text("SELECT * FROM u") }?.message == "no such table: u")
  }

  @Test("parameters of every form have numbers and names")
  func parameters() throws {
    let connection = try Connection(":memory:", environment: MemoryEnvironment())
    let statement = try connection.prepareBlocking("SELECT ?, ?5, :n, @m, $k, :n")
    #expect(statement.parameterCount == 8)
    #expect(statement.parameterName(1) == nil)
    #expect(statement.parameterName(5) == "?5")
    #expect(statement.parameterIndex(":n") == 6)
    #expect(statement.parameterIndex("@m") == 7)
    #expect(statement.parameterIndex("$k") == 8)
    #expect(statement.parameterIndex(":none") == 0)
    try statement.bind(.integer(9), at: 6)
    #expect(failure { try statement.bind(.null, at: 9) }?.code == .range)
    #expect(failure { try statement.bind(.null, at: 0) }?.code == .range)
    #expect(try statement.stepBlocking())
    #expect(failure { try statement.bind(.null, at: 1) }?.code == .misuse)
    #expect(statement.dataCount == 6)
    #expect(statement.column(2).integerValue == 9 && statement.column(5).integerValue == 9)
    #expect(statement.column(0).isNull && statement.column(99).isNull)
    #expect(try !statement.stepBlocking())
    #expect(statement.dataCount == 0)
    statement.clearBindings()
    #expect(statement.binding(6).isNull)
    statement.finalize()
    #expect(failure { _ = try statement.step() }?.code == .misuse)
  }

  @Test("errors carry SQLite's message and the place in the text")
  func errors() throws {
    let connection = try Connection(":memory:", environment: MemoryEnvironment())
    let missing = try #require(failure { _ = try connection.prepareBlocking("SELECT * FROM missing") })
    #expect(missing.message == "no such table: missing")
    #expect(connection.lastError?.message == missing.message)
    let syntax = try #require(failure { _ = try connection.prepareBlocking("SELECT 1 FORM t") })
    #expect(syntax.message == "near \"t\": syntax error")
    #expect(syntax.sqlOffset == 14)
    let column = try #require(failure { _ = try connection.prepareBlocking("SELECT nope") })
    #expect(column.message == "no such column: nope")
    try connection.execute("CREATE TABLE t(a UNIQUE)")
    try connection.execute("INSERT INTO t VALUES (1)")
    let unique = try #require(failure { try connection.execute("INSERT INTO t VALUES (1)") })
    #expect(unique.code == .constraintUnique)
    #expect(unique.message == "UNIQUE constraint failed: t.a")
    #expect(try connection.text("SELECT count(*) FROM t") == ["1"])
    #expect(connection.lastError == nil)
  }

  @Test("the statements of a text are prepared one by one")
  func tail() throws {
    let connection = try Connection(":memory:", environment: MemoryEnvironment())
    var text = ByteBuffer()
    text.append(contentsOf: " SELECT 1; -- one\n SELECT 2 ;; /* end */ ")
    let (first, end) = try connection.prepareBlocking(text.bytes)
    #expect(first?.sql == " SELECT 1;")
    let (second, end2) = try connection.prepareBlocking(text.bytes, from: end)
    #expect(try second?.stepBlocking() == true)
    #expect(second?.column(0).integerValue == 2)
    let (third, end3) = try connection.prepareBlocking(text.bytes, from: end2)
    #expect(third == nil)
    #expect(end3 == text.count)
    #expect(connection.statements.count == 2)
    #expect(failure { try connection.closeBlocking() }?.code == .busy)
    first?.finalize()
    second?.finalize()
    try connection.closeBlocking()
    #expect(failure { _ = try connection.prepareBlocking("SELECT 1") }?.code == .misuse)
    #expect(
      failure { _ = try Connection(":memory:", environment: MemoryEnvironment()).prepareBlocking("SELECT 1; SELECT 2") }?
        .code == .misuse)
  }

  @Test("a lock is waited for as long as the busy timeout says")
  func busy() throws {
    let environment = MemoryEnvironment()
    let a = try Connection("/a.db", environment: environment), b = try Connection("/a.db", environment: environment)
    try a.execute("CREATE TABLE t(x)")
    try a.execute("BEGIN IMMEDIATE")
    #expect(failure { try b.execute("BEGIN IMMEDIATE") }?.code.primary == .busy)
    b.busyTimeoutMilliseconds = 250
    let start = environment.monotonicNanoseconds()
    let busy = try #require(failure { try b.execute("BEGIN IMMEDIATE") })
    #expect(busy.message == "database is locked")
    #expect(environment.monotonicNanoseconds() - start >= 250_000_000)
    var asked: [Int] = []
    b.busyHandler = { count in
      asked.append(count)
      return count < 3
    }
    #expect(failure { try b.execute("BEGIN IMMEDIATE") }?.code.primary == .busy)
    #expect(asked == [0, 1, 2, 3])
    try a.execute("COMMIT")
    try b.execute("BEGIN IMMEDIATE")
    #expect(!b.isAutocommit)
    try b.execute("ROLLBACK")
  }

  @Test("what begins and ends a transaction needs no look at a file that is locked")
  func transactionOnLockedFile() throws {
    let environment = MemoryEnvironment()
    let a = try Connection("/a.db", environment: environment), b = try Connection("/a.db", environment: environment)
    try a.execute("CREATE TABLE t(x)")
    try a.execute("BEGIN EXCLUSIVE")
    for statement in ["BEGIN", "SAVEPOINT s", "ROLLBACK TO s", "RELEASE s"] { try b.execute(statement) }
    #expect(failure { try b.execute("SELECT * FROM t") }?.code.primary == .busy)
    try b.execute("ROLLBACK")
    #expect(b.isAutocommit)
    try b.execute("BEGIN")
    try b.execute("COMMIT")
    try a.execute("COMMIT")
    try b.execute("SELECT * FROM t")
  }

  @Test("an interrupt stops a statement, and hits no later one")
  func interrupt() throws {
    let connection = try Connection(":memory:", environment: MemoryEnvironment())
    try connection.execute("CREATE TABLE t(x)")
    for value in 0..<200 { _ = try connection.text("INSERT INTO t VALUES (?)", [.integer(Int64(value))]) }
    let statement = try connection.prepareBlocking("SELECT a.x FROM t a, t b")
    #expect(try statement.stepBlocking())
    connection.interrupt()
    let error = failure { while try statement.stepBlocking() {} }
    #expect(error?.code == .interrupt)
    #expect(error?.message == "interrupted")
    statement.finalize()
    #expect(try connection.text("SELECT count(*) FROM t") == ["200"])
  }

  @Test("transactions: rolled back as a whole, committed as a whole", arguments: World.all)
  func transactions(world: World) throws {
    let environment = world.make()
    let connection = try Connection("/a.db", environment: environment)
    try connection.execute("CREATE TABLE t(x)")
    #expect(connection.isAutocommit)
    try connection.execute("BEGIN; INSERT INTO t VALUES (1); INSERT INTO t VALUES (2)")
    #expect(!connection.isAutocommit)
    try connection.execute("ROLLBACK")
    #expect(connection.isAutocommit)
    #expect(try connection.text("SELECT x FROM t") == [])
    try connection.execute("BEGIN; INSERT INTO t VALUES (3); COMMIT")
    #expect(try connection.text("SELECT x FROM t") == ["3"])
    try connection.execute("BEGIN; CREATE TABLE u(y)")
    #expect(try connection.text("SELECT * FROM u") == [])
    try connection.execute("ROLLBACK")
    #expect(failure { _ = try connection.text("SELECT * FROM u") }?.message == "no such table: u")
    // An open transaction is undone when the connection is closed.
    try connection.execute("BEGIN; INSERT INTO t VALUES (4)")
    try connection.closeBlocking()
    let other = try Connection("/a.db", environment: environment)
    #expect(try other.text("SELECT x FROM t") == ["3"])
  }

  @Test("EXPLAIN lists the program, EXPLAIN QUERY PLAN the plan")
  func explain() throws {
    let connection = try Connection(":memory:", environment: MemoryEnvironment())
    try connection.execute("CREATE TABLE t(x)")
    let statement = try connection.prepareBlocking("EXPLAIN SELECT x FROM t")
    #expect(statement.explainMode == 1)
    #expect(statement.columns.map(\.name) == ["addr", "opcode", "p1", "p2", "p3", "p4", "p5", "comment"])
    #expect(try statement.stepBlocking())
    #expect(statement.column(1).bytes.string == "Init")
    statement.finalize()
    #expect(try connection.text("EXPLAIN QUERY PLAN SELECT x FROM t").first?.hasSuffix("SCAN t") == true)
  }

  @Test("a name is a path, memory, a temporary file or a URI")
  func locations() throws {
    func place(_ name: String) throws -> DatabaseLocation { try DatabaseLocation(name, interpretsURI: true) }
    #expect(try place(":memory:").place == .memory)
    #expect(try place("").place == .temporary)
    #expect(try place("a b.db").place == .file("a b.db"))
    #expect(try place("file:a%20b.db").place == .file("a b.db"))
    #expect(try place("file:///x/y.db?mode=ro#f").place == .file("/x/y.db"))
    #expect(try place("file:///x/y.db?mode=ro").isReadOnly == true)
    #expect(try place("file://localhost/x?vfs=unix&mode=rw").mayCreate == false)
    #expect(try place("file:x?mode=memory").place == .memory)
    #expect(try place("file:x?cache=private").place == .file("x"))
    #expect(failure { _ = try place("file://host/x") }?.message == "invalid uri authority: host")
    #expect(failure { _ = try place("file:x?mode=odd") }?.message == "no such access mode: odd")
    #expect(failure { _ = try place("file::memory:?cache=shared") }?.message == "not supported: cache=shared")
    #expect(try DatabaseLocation("file:x", interpretsURI: false).place == .file("file:x"))
  }

  @Test("a missing file is an error where it must not be created")
  func missing() throws {
    var options = Connection.Options()
    options.mayCreate = false
    let error = failure { _ = try Connection("/none.db", options, environment: MemoryEnvironment()) }
    #expect(error?.code == .cannotOpen)
    #expect(error?.message == "unable to open database file")
  }
}
