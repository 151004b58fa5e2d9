// SQL scripts, whatever they say, on a small database: compiled, planned and run, and the database is whole afterwards.

import ApusBase
import ApusHarness
import ApusIO

final class ScriptTarget: FuzzTarget {
  static let name = "script"
  static let summary = "SQL scripts run on a small database: no trap, no internal error, a whole database"
  static let byteCountMax = 4096
  static let dictionary =
    SQLWords.all + ["t", "w", "a", "b", "c", "k", "v", "tb", "rowid", "sqlite_schema", "integrity_check"]
  private static let statementCountMax = 24

  private static let schema = """
    CREATE TABLE t(a INTEGER PRIMARY KEY, b TEXT COLLATE NOCASE, c REAL DEFAULT 2.5, CHECK (a < 1000));
    CREATE INDEX tb ON t(b, c DESC); CREATE UNIQUE INDEX tc ON t(c) WHERE c > 3;
    CREATE TABLE w(k PRIMARY KEY, v NOT NULL) WITHOUT ROWID; CREATE VIEW s AS SELECT a, v FROM t LEFT JOIN w ON k = b;
    INSERT INTO t VALUES (1, 'a', 1), (2, 'B', NULL), (5, 'b', 4.5), (9, NULL, 7), (10, x'00', 'z');
    INSERT INTO w VALUES ('a', 1), ('b', 2), (3, 'c'), ('n', 0);
    """

  private let world = MemoryEnvironment(seed: 1)
  private let image: [UInt8]

  init() throws(EngineFailure) {
    let connection = try FuzzEngines.ours("/script.db", in: world)
    try connection.execute("PRAGMA page_size = 512; " + Self.schema)
    connection.close()
    image = world.contents(of: "/script.db") ?? []
  }

  static func seeds() -> [FuzzSeed] {
    var seeds = SQLWords.statements.enumerated().map { FuzzSeed("statement-\($0.offset)", $0.element) }
    for (index, sql) in (SmallDatabase.queries + SmallDatabase.changes).enumerated() {
      seeds.append(FuzzSeed("small-\(index)", sql))
    }
    for seed in UInt64(1)...60 {
      var generator = QueryGenerator(ChoiceTape(seed: seed))
      seeds.append(
        FuzzSeed(
          "generated-\(seed)",
          (generator.schema() + (0..<3).map { _ in generator.query().sql }).joined(separator: ";\n")))
    }
    return seeds
  }

  func check(_ input: [UInt8]) throws(FuzzFinding) {
    let fresh = MemoryEnvironment(seed: 1)
    fresh.setContents(of: "/script.db", to: image)
    guard let connection = try? FuzzEngines.ours("/script.db", in: fresh) else {
      throw FuzzFinding("the database cannot be opened")
    }
    var isOpen = true
    defer { if isOpen { connection.close() } }
    var start = 0
    for _ in 0..<Self.statementCountMax {
      do throws(EngineFailure) {
        let (statement, end) = try connection.prepare(input, from: start)
        guard end > start else { break }
        start = end
        guard let statement else { break }
        defer { statement.finalize() }
        var count = 0
        while count < FuzzLimits.rowCountMax, try statement.step() {
          count += 1
          for column in 0..<statement.columnCount { _ = statement.byteCount(column) }
        }
      } catch {
        try FuzzFinding.check(error, String(decoding: input, as: UTF8.self))
        // Behind what cannot be compiled the next statement begins at the next ";".
        guard let next = input[start...].firstIndex(of: UInt8(ascii: ";")), next + 1 < input.count else { break }
        start = next + 1
      }
    }
    // What a statement was given one row of, or was stopped at, may have left a transaction open.
    try? connection.execute("COMMIT")
    connection.close()
    isOpen = false
    try Self.expectWhole(fresh, input)
  }

  /// Only these pragmas let a script break its database.
  private static func expectWhole(_ world: MemoryEnvironment, _ input: [UInt8]) throws(FuzzFinding) {
    let script = String(decoding: input, as: UTF8.self).lowercased()
    if script.contains("pragma") {
      for word in ["writable_schema", "page_checksums", "ignore_check"] where script.contains(word) { return }
    }
    do throws(EngineFailure) {
      // By a connection that knows nothing of the script, its locks and its attached databases.
      let connection = try FuzzEngines.ours("/script.db", in: world)
      defer { connection.close() }
      connection.connection.state.limits.turnCountMax = FuzzLimits.queryTurnCountMax
      let rows = try connection.firstRows("PRAGMA main.integrity_check")
      if rows != [[.text("ok")]] { throw EngineFailure(code: 11, message: "\(rows)") }
    } catch {
      if ResultCode(error.code).primary == .interrupt { return }
      throw FuzzFinding("the database is not whole", "\(error) after \(script)")
    }
  }
}
