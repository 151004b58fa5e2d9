// The workloads: what each prepares outside the clock and does inside it, the same for every engine.

import ApusBase
import ApusHarness

/// One measured run of a workload.
struct Workload: Sendable {
  let name: String
  /// What the time covers, for the table: "1,000,000 rows", "100,000 look-ups".
  let scale: String
  /// The ratio that is promised; nil where none is.
  let promise: Double?
  let writes: Bool
  /// Nothing of the shared database is in memory when the clock starts.
  var isCold = false
  /// Prepares on a fresh connection (or, for `opensItself`, does all) and returns what is to be timed.
  let prepare: @Sendable (BenchContext) throws(EngineFailure) -> () throws(EngineFailure) -> Int64

  static let rowCount = 1_000_000
  static let sortedRowCount = 500_000
}

/// What a workload gets: an engine, the shared database for reading, and a place for a database of its own.
struct BenchContext {
  let engine: any HarnessEngine
  /// The database that all reading workloads share; a real SQLite wrote it.
  let shared: String
  /// A path that no file has, for writing workloads.
  let scratch: String

  func openShared() throws(EngineFailure) -> any HarnessConnection { try engine.open(shared, readOnly: true) }
  func openScratch() throws(EngineFailure) -> any HarnessConnection { try engine.open(scratch, readOnly: false) }
}

enum Workloads {
  /// Builds the shared database: deterministic, a million rows, two tables.
  static func build(_ path: String, with engine: any HarnessEngine) throws(EngineFailure) {
    let connection = try engine.open(path, readOnly: false)
    defer { connection.close() }
    try connection.execute(
      """
      PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;
      CREATE TABLE t(id INTEGER PRIMARY KEY, a INT, b INT, c REAL, k TEXT, d TEXT);
      CREATE TABLE g(id INTEGER PRIMARY KEY, t_id INT, n INT);
      BEGIN;
      WITH RECURSIVE s(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM s WHERE i < \(Workload.rowCount - 1))
      INSERT INTO t SELECT i + 1, i * 7919 % 1000003, i * 31 % 1000, i / 7.0,
        'key-' || printf('%07d', i * 7919 % 1000003), 'some text that makes a row longer ' || (i % 100) FROM s;
      WITH RECURSIVE s(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM s WHERE i < 99999)
      INSERT INTO g SELECT i + 1, i * 7919 % 1000000 + 1, i % 10 FROM s;
      CREATE INDEX tk ON t(k);
      CREATE INDEX gt ON g(t_id);
      COMMIT;
      """)
  }

  /// One number that a single-row query gives.
  static func single(
    _ name: String, _ scale: String, promise: Double?, _ sql: String
  ) -> Workload {
    Workload(name: name, scale: scale, promise: promise, writes: false) { (context) throws(EngineFailure) in
      let connection = try context.openShared()
      let statement = try connection.prepare(sql)
      return { () throws(EngineFailure) in
        defer { statement.reset() }
        return try statement.step() ? statement.integer(0) : -1
      }
    }
  }

  /// All rows of a query are stepped over; the sum of the first column is the result.
  private static func stream(
    _ name: String, _ scale: String, promise: Double?, _ sql: String
  ) -> Workload {
    Workload(name: name, scale: scale, promise: promise, writes: false) { (context) throws(EngineFailure) in
      let connection = try context.openShared()
      let statement = try connection.prepare(sql)
      return { () throws(EngineFailure) in
        defer { statement.reset() }
        var sum: Int64 = 0
        while try statement.step() { sum &+= statement.integer(0) }
        return sum
      }
    }
  }

  private static func lookUps(
    _ count: Int, on connection: any HarnessConnection, inTransaction: Bool
  ) throws(EngineFailure) -> () throws(EngineFailure) -> Int64 {
    let statement = try connection.prepare("SELECT a FROM t WHERE id = ?1")
    return { () throws(EngineFailure) in
      var random = SeededRandom(seed: 7)
      var sum: Int64 = 0
      if inTransaction { try connection.execute("BEGIN") }
      for _ in 0..<count {
        try statement.bind(integer: Int64(random.below(Workload.rowCount) + 1), at: 1)
        if try statement.step() { sum &+= statement.integer(0) }
        statement.reset()
      }
      if inTransaction { try connection.execute("COMMIT") }
      return sum
    }
  }

  static let all: [Workload] = reading + writing + opening + sorting + cold + maintenance

  private static let reading: [Workload] = [
    single("scan with sum", "1,000,000 rows", promise: 0.6, "SELECT sum(a) FROM t"),
    single("scan, filtered", "1,000,000 rows", promise: 0.6, "SELECT sum(a) FROM t WHERE b < 500 AND c > 1000.0"),
    single("scan, count(*)", "1,000,000 rows", promise: nil, "SELECT count(*) FROM t"),
    single("scan with LIKE", "1,000,000 rows", promise: nil, "SELECT count(*) FROM t WHERE d LIKE '%longer 7%'"),
    stream("GROUP BY", "1,000,000 rows, 1,000 groups", promise: 0.6, "SELECT b, count(*), sum(a) FROM t GROUP BY b"),
    Workload(
      name: "point SELECT by rowid", scale: "100,000 look-ups", promise: 1.0, writes: false
    ) { (context) throws(EngineFailure) in
      let connection = try context.openShared()
      return try lookUps(100_000, on: connection, inTransaction: true)
    },
    Workload(
      name: "point SELECT, autocommit", scale: "10,000 look-ups", promise: nil, writes: false
    ) { (context) throws(EngineFailure) in
      let connection = try context.openShared()
      return try lookUps(10_000, on: connection, inTransaction: false)
    },
    Workload(
      name: "point SELECT by text index", scale: "100,000 look-ups", promise: 1.0, writes: false
    ) { (context) throws(EngineFailure) in
      let connection = try context.openShared()
      let statement = try connection.prepare("SELECT a FROM t WHERE k = ?1")
      var random = SeededRandom(seed: 8)
      var keys: [HarnessValue] = []
      for _ in 0..<100_000 {
        let digits = String(random.below(1_000_003) + 10_000_000).dropFirst()
        keys.append(.text("key-\(digits)"))
      }
      return { () throws(EngineFailure) in
        var sum: Int64 = 0
        try connection.execute("BEGIN")
        for key in keys {
          try statement.bind(key, at: 1)
          if try statement.step() { sum &+= statement.integer(0) }
          statement.reset()
        }
        try connection.execute("COMMIT")
        return sum
      }
    },
    Workload(
      name: "range of 1,000 rows", scale: "500 ranges", promise: 1.0, writes: false
    ) { (context) throws(EngineFailure) in
      let connection = try context.openShared()
      let statement = try connection.prepare("SELECT a, d FROM t WHERE id BETWEEN ?1 AND ?2")
      return { () throws(EngineFailure) in
        var random = SeededRandom(seed: 9)
        var sum: Int64 = 0
        try connection.execute("BEGIN")
        for _ in 0..<500 {
          let first = Int64(random.below(Workload.rowCount - 1000) + 1)
          try statement.bind(integer: first, at: 1)
          try statement.bind(integer: first + 999, at: 2)
          while try statement.step() { sum &+= statement.integer(0) &+ Int64(statement.byteCount(1)) }
          statement.reset()
        }
        try connection.execute("COMMIT")
        return sum
      }
    },
    stream(
      "ORDER BY, integer key", "500,000 rows", promise: 1.0,
      "SELECT a FROM t WHERE id <= \(Workload.sortedRowCount) ORDER BY a"),
    stream(
      "ORDER BY, text key", "500,000 rows", promise: 1.0,
      "SELECT a, d FROM t WHERE id <= \(Workload.sortedRowCount) ORDER BY k DESC"),
    single(
      "join through an index", "100,000 x 1", promise: 1.0,
      "SELECT sum(t.a + g.n) FROM g JOIN t ON t.id = g.t_id"),
    single(
      "join through a secondary index", "1,000,000 x 0.1", promise: 1.0,
      "SELECT sum(t.a + g.n) FROM t CROSS JOIN g ON g.t_id = t.id"),
  ]

  static func createTarget(_ connection: any HarnessConnection) throws(EngineFailure) {
    try connection.execute("CREATE TABLE w(id INTEGER PRIMARY KEY, a INT, k TEXT)")
  }

  static func fill(_ connection: any HarnessConnection, rows: Int) throws(EngineFailure) {
    try createTarget(connection)
    try connection.execute("CREATE INDEX wk ON w(k); BEGIN")
    try insert(connection, rows: rows)
    try connection.execute("COMMIT")
  }

  private static func insert(_ connection: any HarnessConnection, rows: Int) throws(EngineFailure) {
    let statement = try connection.prepare("INSERT INTO w(id, a, k) VALUES (?1, ?2, ?3)")
    defer { statement.finalize() }
    let words = (0..<100).map { HarnessValue.text("a text of some length \($0)") }
    for row in 1...rows {
      try statement.bind(integer: Int64(row), at: 1)
      try statement.bind(integer: Int64(row &* 7919 % 1_000_003), at: 2)
      try statement.bind(words[row % 100], at: 3)
      _ = try statement.step()
      statement.reset()
    }
  }

  private static func byKey(_ name: String, _ sql: String) -> Workload {
    Workload(name: name, scale: "100,000 rows", promise: nil, writes: true) { (context) throws(EngineFailure) in
      let connection = try context.openScratch()
      try fill(connection, rows: 200_000)
      let statement = try connection.prepare(sql)
      return { () throws(EngineFailure) in
        var random = SeededRandom(seed: 11)
        try connection.execute("BEGIN")
        for _ in 0..<100_000 {
          try statement.bind(integer: Int64(random.below(200_000) + 1), at: 1)
          _ = try statement.step()
          statement.reset()
        }
        try connection.execute("COMMIT")
        return connection.totalChanges
      }
    }
  }

  private static let writing: [Workload] = [
    Workload(
      name: "INSERT in one transaction", scale: "1,000,000 rows", promise: 1.2, writes: true
    ) { (context) throws(EngineFailure) in
      let connection = try context.openScratch()
      try createTarget(connection)
      return { () throws(EngineFailure) in
        try connection.execute("BEGIN")
        try insert(connection, rows: 1_000_000)
        try connection.execute("COMMIT")
        return connection.totalChanges
      }
    },
    Workload(
      name: "INSERT, autocommit, WAL, FULL", scale: "300 commits", promise: nil, writes: true
    ) { (context) throws(EngineFailure) in
      let connection = try context.openScratch()
      try connection.execute("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL")
      try createTarget(connection)
      return { () throws(EngineFailure) in
        try insert(connection, rows: 300)
        return connection.totalChanges
      }
    },
    byKey("UPDATE by key", "UPDATE w SET a = a + 1 WHERE id = ?1"),
    byKey("UPDATE of an indexed column", "UPDATE w SET k = k || 'x' WHERE id = ?1"),
    byKey("DELETE by key", "DELETE FROM w WHERE id = ?1"),
  ]

  private static let sorting: [Workload] = [
    stream(
      "ORDER BY, the first 10", "500,000 rows", promise: nil,
      "SELECT a, d FROM t WHERE id <= \(Workload.sortedRowCount) ORDER BY c DESC, a LIMIT 10"),
    stream(
      "ORDER BY, text without index", "500,000 rows", promise: nil,
      "SELECT a, d FROM t WHERE id <= \(Workload.sortedRowCount) ORDER BY k || '' DESC"),
  ]

  private static let opening: [Workload] = [
    Workload(
      name: "open and first query", scale: "100 times, proj.db", promise: nil, writes: false
    ) { (context) throws(EngineFailure) in
      return { () throws(EngineFailure) in
        var sum: Int64 = 0
        for _ in 0..<100 {
          let connection = try context.engine.open("/usr/share/proj/proj.db", readOnly: true)
          let statement = try connection.prepare("SELECT count(*) FROM ellipsoid")
          if try statement.step() { sum &+= statement.integer(0) }
          statement.finalize()
          connection.close()
        }
        return sum
      }
    },
    Workload(
      name: "prepare", scale: "10,000 statements", promise: nil, writes: false
    ) { (context) throws(EngineFailure) in
      let connection = try context.openShared()
      return { () throws(EngineFailure) in
        var count: Int64 = 0
        for number in 0..<10_000 {
          let sql = """
            SELECT t.id, t.a + \(number), count(*) FROM t JOIN g ON g.t_id = t.id WHERE t.k >= ?1 AND t.b IN (1, 2, 3) \
            GROUP BY t.b ORDER BY 2 DESC LIMIT 10
            """
          let statement = try connection.prepare(sql)
          count &+= Int64(statement.columnCount)
          statement.finalize()
        }
        return count
      }
    },
  ]
}
