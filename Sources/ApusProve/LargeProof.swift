// Memory that does not grow with the work: a transaction of a gigabyte on a cache of ten pages, with a savepoint, rolled back to
// and committed; and a thousand connections to one file. Each runs in a process of its own, whose peak is measured.

import ApusHarness
import Glibc

struct LargeProof {
  let options: ProveCommand.Options

  /// Peaks, in KiB. A process that has done nothing takes about 12 MiB.
  private static let transactionPeakMax = 64 * 1024
  /// One connection that has read such a table.
  private static let firstPeakMax = 64 * 1024
  /// What one connection may add that has read a table far larger than its cache.
  private static let connectionPeakMax = 256

  private var path: String { options.database }

  func run() -> Bool {
    var isGood = true
    for mode in ["delete", "wal"] {
      let result = child("transaction", mode, options.megabytes)
      isGood = report("\(options.megabytes) MB in one transaction, \(mode)", result, Self.transactionPeakMax) && isGood
    }
    let one = child("connections", "wal", 1)
    let many = child("connections", "wal", options.connections)
    let most = (one?.peakKibibytes ?? 0) + options.connections * Self.connectionPeakMax
    isGood = report("1 connection", one, Self.firstPeakMax) && isGood
    return report("\(options.connections) connections to one file", many, most) && isGood
  }

  private func child(_ engine: String, _ mode: String, _ number: Int) -> ChildResult? {
    let database = "\(options.directory)/apus-large-\(getpid()).db"
    let child = ChildProcess.again([
      "large", "--child", "--engine", engine, "--mode", mode, "--number", "\(number)", "--database", database,
    ])
    defer { for suffix in ["", "-journal", "-wal", "-shm"] { Console.remove(database + suffix) } }
    return child?.wait()
  }

  private func report(_ what: String, _ result: ChildResult?, _ most: Int) -> Bool {
    guard let result else {
      Console.line("\(what): no child process")
      return false
    }
    let isGood = result.status == 0 && result.peakKibibytes <= most
    let verdict = isGood ? "" : ": FAILED \(result.output)"
    Console.line("\(what): peak \(result.peakKibibytes) KiB (at most \(most)), \(Int(result.cpuSeconds)) s\(verdict)")
    return isGood
  }

  // MARK: Children

  func work() -> Int32 {
    do {
      if options.engine == "transaction" { try transaction() } else { try connections() }
      return 0
    } catch {
      Console.line("\((error as? ProofFailure)?.text ?? "\(error)")")
      return 1
    }
  }

  private func expect(_ connection: any HarnessConnection, _ sql: String, _ value: Int) throws {
    let rows = try connection.rows(sql).rows
    if rows != [[.integer(Int64(value))]] { throw ProofFailure("\(sql) gives \(rows), not \(value)") }
  }

  private func transaction() throws {
    let connection = try ApusEngine().open(path, readOnly: false)
    defer { connection.close() }
    try connection.takeJournalMode(options.mode)
    try connection.execute("PRAGMA cache_size = 10; CREATE TABLE t(id INTEGER PRIMARY KEY, n, v)")
    let count = options.number * 1_000
    try connection.execute("BEGIN")
    try connection.execute(
      """
      WITH RECURSIVE s(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM s WHERE i < \(count))
      INSERT INTO t SELECT i, 1, zeroblob(1000) FROM s
      """)
    try connection.execute("SAVEPOINT s; UPDATE t SET n = 2, v = zeroblob(1001)")
    try expect(connection, "SELECT sum(n) FROM t", 2 * count)
    try connection.execute("ROLLBACK TO s")
    try expect(connection, "SELECT sum(n * length(v)) FROM t", 1_000 * count)
    try connection.execute("UPDATE t SET n = 3; SAVEPOINT s2; UPDATE t SET n = 4; RELEASE s2; RELEASE s; COMMIT")
    try expect(connection, "SELECT sum(n) FROM t", 4 * count)
    // And once more over what is committed: now the journal holds all of it.
    try connection.execute("BEGIN; UPDATE t SET n = 5; SAVEPOINT s; UPDATE t SET n = 6; ROLLBACK TO s")
    try expect(connection, "SELECT sum(n) FROM t", 5 * count)
    try connection.execute("ROLLBACK")
    try expect(connection, "SELECT sum(n) FROM t", 4 * count)
    let answer = try connection.rows("PRAGMA quick_check").rows
    if answer != [[.text("ok")]] { throw ProofFailure("quick_check: \(answer)") }
  }

  /// Every connection reads all of a table of 40 MB.
  private func connections() throws {
    let engine = ApusEngine()
    let first = try engine.open(path, readOnly: false)
    try first.takeJournalMode(options.mode)
    try first.execute("CREATE TABLE t(id INTEGER PRIMARY KEY, v)")
    try first.execute(
      """
      WITH RECURSIVE s(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM s WHERE i < 40000)
      INSERT INTO t SELECT i, zeroblob(1000) FROM s
      """)
    var all: [any HarnessConnection] = [first]
    defer { for connection in all { connection.close() } }
    for _ in 0..<options.number {
      let connection = try engine.open(path, readOnly: false)
      try expect(connection, "SELECT count(*) FROM t WHERE length(v) = 1000", 40_000)
      all.append(connection)
    }
  }
}
