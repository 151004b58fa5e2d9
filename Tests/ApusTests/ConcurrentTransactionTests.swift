// BEGIN CONCURRENT: what two transactions that run beside each other may both do, and what one of them must be refused.

import ApusBase
import ApusIO
import ApusStorage
import Testing

@testable import Apus

/// Connections to one file in memory; requests take their time.
struct TwoWriters {
  let environment: MemoryEnvironment
  let first: Connection
  let second: Connection

  /// - Parameter setUp: tables; each table takes pages of its own.
  init(_ setUp: String, seed: UInt64 = 5) throws {
    environment = MemoryEnvironment(seed: seed, completesAtOnce: false)
    first = try Connection("/a.db", environment: environment)
    try first.execute("PRAGMA journal_mode = wal; \(setUp)")
    second = try Connection("/a.db", environment: environment)
    try second.execute("PRAGMA busy_timeout = 0")
  }

  func another() throws -> Connection { try Connection("/a.db", environment: environment) }

  /// Both begin and look at the file before either of them goes on.
  func beginBoth() throws {
    for connection in [first, second] { try connection.execute("BEGIN CONCURRENT") }
  }

  /// A connection that has committed nothing finds the file whole.
  func check() throws {
    let third = try another()
    #expect(try third.text("PRAGMA integrity_check") == ["ok"])
    try third.closeBlocking()
  }
}

extension Connection {
  /// The code that the statements fail with, or nil.
  func failure(_ sql: String) -> ResultCode? {
    do {
      try execute(sql)
      return nil
    } catch {
      return error.code
    }
  }

  /// What the refusal of a statement says.
  func refusal(_ sql: String) -> EngineError? {
    do {
      try execute(sql)
      return nil
    } catch {
      return error
    }
  }
}

private let twoTables = "CREATE TABLE a(id INTEGER PRIMARY KEY, v); CREATE TABLE b(id INTEGER PRIMARY KEY, v);"
  + " INSERT INTO a VALUES (1, 10); INSERT INTO b VALUES (1, 20);"

@Suite struct ConcurrentTransactionTests {
  @Test("two that change different tables commit, in whichever order, and neither takes a lock before")
  func disjointWritersCommit() throws {
    let bench = try TwoWriters(twoTables)
    try bench.beginBoth()
    try bench.first.execute("UPDATE a SET v = 11")
    try bench.second.execute("UPDATE b SET v = 21")
    // An ordinary writer does not wait for them either.
    let third = try bench.another()
    try third.execute("PRAGMA busy_timeout = 0; CREATE TEMP TABLE own(x); INSERT INTO own VALUES (1)")
    try bench.second.execute("COMMIT")
    #expect(try bench.first.value("SELECT v FROM b") == "20", "the snapshot is from before")
    #expect(bench.first.failure("COMMIT") == .busySnapshot, "it has looked at what the other one has changed")
    try bench.first.execute("ROLLBACK; BEGIN CONCURRENT; UPDATE a SET v = 12; COMMIT")
    #expect(try third.row("SELECT a.v, b.v FROM a, b") == ["12", "21"])
    try bench.check()
  }

  @Test("both commit where neither has looked at what the other has changed")
  func blindWritersCommit() throws {
    let bench = try TwoWriters(twoTables)
    try bench.beginBoth()
    try bench.first.execute("UPDATE a SET v = 11")
    try bench.second.execute("UPDATE b SET v = 21")
    try bench.second.execute("COMMIT")
    try bench.first.execute("COMMIT")
    #expect(try bench.second.row("SELECT a.v, b.v FROM a, b") == ["11", "21"])
    #expect(try bench.first.row("SELECT a.v, b.v FROM a, b") == ["11", "21"])
    try bench.check()
  }

  @Test("write skew: each reads what the other changes, and one is refused")
  func writeSkewIsRefused() throws {
    let bench = try TwoWriters(twoTables)
    try bench.beginBoth()
    #expect(try bench.first.value("SELECT v FROM b") == "20")
    #expect(try bench.second.value("SELECT v FROM a") == "10")
    try bench.first.execute("UPDATE a SET v = 0")
    try bench.second.execute("UPDATE b SET v = 0")
    try bench.first.execute("COMMIT")
    let refusal = bench.second.refusal("COMMIT")
    #expect(refusal?.code == .busySnapshot)
    #expect(refusal?.message == "database is locked")
    #expect(refusal?.cause?.contains("changed by another transaction since this one began") == true)
    #expect(refusal?.hint == "roll back and run the transaction again")
  }

  @Test("lost update: both read and change one row, and one is refused")
  func lostUpdateIsRefused() throws {
    let bench = try TwoWriters(twoTables)
    try bench.beginBoth()
    for connection in [bench.first, bench.second] { try connection.execute("UPDATE a SET v = v + 1") }
    try bench.second.execute("COMMIT")
    #expect(bench.first.failure("COMMIT") == .busySnapshot)
    try bench.first.execute("ROLLBACK")
    #expect(try bench.first.value("SELECT v FROM a") == "11")
  }

  @Test("phantom: who has counted rows is refused when another one has come")
  func phantomIsRefused() throws {
    let bench = try TwoWriters(twoTables)
    try bench.beginBoth()
    #expect(try bench.first.value("SELECT count(*) FROM a WHERE v > 5") == "1")
    try bench.first.execute("UPDATE b SET v = 1")
    try bench.second.execute("INSERT INTO a VALUES (7, 70)")
    try bench.second.execute("COMMIT")
    #expect(bench.first.failure("COMMIT") == .busySnapshot)
  }

  @Test("unique claim: two take the same name, and one is refused")
  func uniqueClaimIsRefused() throws {
    let bench = try TwoWriters("CREATE TABLE claim(name TEXT UNIQUE, owner)")
    try bench.beginBoth()
    try bench.first.execute("INSERT INTO claim VALUES ('wren', 1)")
    try bench.second.execute("INSERT INTO claim VALUES ('wren', 2)")
    try bench.first.execute("COMMIT")
    #expect(bench.second.failure("COMMIT") == .busySnapshot)
    try bench.second.execute("ROLLBACK")
    #expect(bench.second.failure("INSERT INTO claim VALUES ('wren', 2)") == .constraintUnique)
    #expect(try bench.first.text("SELECT owner FROM claim") == ["1"])
  }

  @Test("two that take new pages from the end of the file, or from the freelist, get different ones")
  func pagesAreTakenOnce() throws {
    for free in [false, true] {
      let bench = try TwoWriters(twoTables + " CREATE TABLE c(x)")
      if free { try bench.first.execute("INSERT INTO c VALUES (zeroblob(200000)); DELETE FROM c") }
      try bench.beginBoth()
      try bench.first.execute("INSERT INTO a VALUES (2, zeroblob(30000))")
      try bench.second.execute("INSERT INTO b VALUES (2, zeroblob(30000))")
      try bench.first.execute("COMMIT")
      try bench.second.execute("COMMIT")
      try bench.check()
      let total = "SELECT sum(length(v)) FROM (SELECT v FROM a UNION ALL SELECT v FROM b)"
      #expect(try bench.first.row(total) == ["60004"])
    }
  }

  @Test("who takes no page commits beside one that does, and counts the file's pages anew")
  func pageCountFollows() throws {
    let bench = try TwoWriters(twoTables)
    try bench.beginBoth()
    try bench.first.execute("INSERT INTO a VALUES (2, zeroblob(30000))")
    try bench.second.execute("SAVEPOINT s; UPDATE b SET v = 21")
    try bench.first.execute("COMMIT")
    try bench.second.execute("COMMIT")
    try bench.check()
    #expect(try bench.first.row("SELECT a.v, b.v FROM a, b WHERE a.id = 1") == ["10", "21"])
    #expect(try bench.second.value("SELECT length(v) FROM a WHERE id = 2") == "30000")
  }

  @Test("a change of the schema and any other commit exclude each other")
  func schemaChangesExclude() throws {
    let bench = try TwoWriters(twoTables)
    try bench.beginBoth()
    try bench.first.execute("CREATE TABLE c(x)")
    try bench.second.execute("UPDATE b SET v = 21")
    try bench.second.execute("COMMIT")
    #expect(bench.first.failure("COMMIT") == .busySnapshot)
    try bench.first.execute("ROLLBACK")
    try bench.beginBoth()
    try bench.first.execute("CREATE TABLE c(x)")
    try bench.second.execute("UPDATE b SET v = 22")
    try bench.first.execute("COMMIT")
    let refusal = bench.second.refusal("COMMIT")
    #expect(refusal?.code == .busySnapshot)
    #expect(refusal?.cause == "schema: changed since this transaction began")
    try bench.second.execute("ROLLBACK; INSERT INTO c VALUES (1)")
    #expect(try bench.first.text("SELECT x FROM c") == ["1"])
  }

  @Test("a lost transaction answers everything but ROLLBACK with the conflict, and holds nothing")
  func lostTransactionOnlyRollsBack() throws {
    let bench = try TwoWriters(twoTables)
    try bench.beginBoth()
    for connection in [bench.first, bench.second] { try connection.execute("SAVEPOINT s; UPDATE a SET v = v + 1") }
    try bench.second.execute("COMMIT")
    for statement in ["COMMIT", "COMMIT", "SELECT * FROM a", "UPDATE a SET v = 1", "RELEASE s", "ROLLBACK TO s", "SAVEPOINT q"] {
      #expect(bench.first.failure(statement) == .busySnapshot, "\(statement)")
    }
    #expect(!bench.first.isAutocommit)
    // Its snapshot keeps no checkpoint waiting.
    #expect(try bench.second.row("PRAGMA wal_checkpoint(TRUNCATE)") == ["0", "0", "0"])
    try bench.first.execute("ROLLBACK; UPDATE a SET v = v + 1")
    #expect(try bench.second.value("SELECT v FROM a") == "12")
  }

  @Test("who has lost three times begins with the turn, and nobody commits before it")
  func fourthAttemptHasTheTurn() throws {
    let two = try TwoWriters(twoTables)
    try two.second.execute("PRAGMA busy_timeout = 1000")
    for attempt in 0..<3 {
      try two.second.execute("BEGIN CONCURRENT; UPDATE a SET v = v + 1")
      try two.first.execute("UPDATE a SET v = v + 1")
      #expect(two.second.failure("COMMIT") == .busySnapshot, "attempt \(attempt)")
      try two.second.execute("ROLLBACK")
    }
    try two.second.execute("BEGIN CONCURRENT; UPDATE a SET v = v + 1")
    try two.first.execute("PRAGMA busy_timeout = 0")
    #expect(two.first.failure("UPDATE a SET v = v + 1") == .busy)
    try two.second.execute("COMMIT")
    #expect(try two.first.value("SELECT v FROM a") == "14")
    // It has committed: the next one has no turn before its COMMIT.
    try two.second.execute("BEGIN CONCURRENT; UPDATE a SET v = v + 1")
    try two.first.execute("UPDATE b SET v = 0")
    try two.second.execute("COMMIT")
    try two.check()
  }

  @Test("a transaction that has changed nothing commits whatever others did")
  func readersCommit() throws {
    let bench = try TwoWriters(twoTables)
    try bench.beginBoth()
    #expect(try bench.first.value("SELECT v FROM a") == "10")
    try bench.second.execute("UPDATE a SET v = 11; COMMIT")
    #expect(try bench.first.value("SELECT v FROM a") == "10")
    try bench.first.execute("UPDATE a SET v = 5 WHERE id = 99; COMMIT")
    #expect(try bench.first.value("SELECT v FROM a") == "11")
  }

  @Test("COMMIT waits for the writer as long as the busy timeout, and may be said again")
  func commitWaitsForItsPlace() throws {
    let bench = try TwoWriters(twoTables)
    try bench.second.execute("BEGIN CONCURRENT; UPDATE b SET v = 21")
    try bench.first.execute("BEGIN IMMEDIATE; UPDATE a SET v = 11")
    #expect(bench.second.failure("COMMIT") == .busy)
    #expect(!bench.second.isAutocommit)
    try bench.first.execute("COMMIT")
    try bench.second.execute("COMMIT")
    #expect(try bench.first.row("SELECT a.v, b.v FROM a, b") == ["11", "21"])
  }

  @Test("a transaction that outgrows its memory takes its place early, and is an ordinary writer from then on")
  func largeTransactionTakesItsPlace() throws {
    let bench = try TwoWriters(twoTables + " CREATE TABLE c(x)")
    try bench.second.execute("PRAGMA cache_size = 20; BEGIN CONCURRENT; UPDATE b SET v = 21; SAVEPOINT s")
    // Something is committed below it: a roll-back to the savepoint must not forget that.
    try bench.first.execute("UPDATE a SET v = 11")
    for _ in 0..<60 { try bench.second.execute("INSERT INTO c VALUES (zeroblob(3000))") }
    #expect(bench.first.failure("PRAGMA busy_timeout = 0; UPDATE a SET v = 12") == .busy)
    try bench.second.execute("ROLLBACK TO s; INSERT INTO c VALUES (zeroblob(9000)); COMMIT")
    #expect(try bench.first.row("SELECT a.v, b.v, length(x) FROM a, b, c") == ["11", "21", "9000"])
    try bench.check()
    try bench.first.execute("UPDATE a SET v = 12")
    #expect(try bench.second.value("SELECT v FROM a") == "12")
  }

  @Test("roll-back of a transaction with a place leaves what others committed below it")
  func largeTransactionRollsBack() throws {
    let bench = try TwoWriters(twoTables + " CREATE TABLE c(x)")
    try bench.second.execute("PRAGMA cache_size = 20; BEGIN CONCURRENT")
    #expect(try bench.second.value("SELECT v FROM b") == "20")
    try bench.first.execute("UPDATE a SET v = 11")
    for _ in 0..<60 { try bench.second.execute("INSERT INTO c VALUES (zeroblob(3000))") }
    try bench.second.execute("ROLLBACK")
    #expect(try bench.second.row("SELECT v, (SELECT count(*) FROM c) FROM a") == ["11", "0"])
    try bench.first.execute("UPDATE a SET v = 12")
    #expect(try bench.second.value("SELECT v FROM a") == "12")
    try bench.check()
  }

  @Test("a snapshot that was all copied back is compared with the log that started again since")
  func logStartsAgainUnderneath() throws {
    for meets in [false, true] {
      let bench = try TwoWriters(twoTables)
      #expect(try bench.first.row("PRAGMA wal_checkpoint(FULL)").first == "0")
      try bench.second.execute("BEGIN CONCURRENT; UPDATE b SET v = v + 1")
      let changed = meets ? "b" : "a"
      try bench.first.execute("UPDATE \(changed) SET v = v + 1; UPDATE \(changed) SET v = v + 1")
      #expect(bench.second.failure("COMMIT") == (meets ? .busySnapshot : nil))
      if meets { try bench.second.execute("ROLLBACK") }
      #expect(try bench.first.row("SELECT a.v, b.v FROM a, b") == (meets ? ["10", "22"] : ["12", "21"]))
      #expect(try bench.second.row("SELECT a.v, b.v FROM a, b") == (meets ? ["10", "22"] : ["12", "21"]))
      try bench.check()
    }
  }

  @Test("on mark 0 and below commits that nobody has copied, the log does not start again")
  func uncopiedCommitsStay() throws {
    let bench = try TwoWriters(twoTables)
    #expect(try bench.first.row("PRAGMA wal_checkpoint(FULL)").first == "0")
    // The log is not started again while somebody reads from it.
    let reader = try bench.another()
    try bench.first.execute("UPDATE a SET v = 11")
    try reader.execute("BEGIN")
    #expect(try reader.value("SELECT v FROM a") == "11")
    #expect(try bench.first.row("PRAGMA wal_checkpoint(FULL)").first == "0")
    try bench.second.execute("BEGIN CONCURRENT; UPDATE b SET v = 21")
    try bench.first.execute("UPDATE a SET v = 12")
    try reader.execute("COMMIT")
    try bench.second.execute("COMMIT")
    #expect(try bench.first.row("SELECT a.v, b.v FROM a, b") == ["12", "21"])
    try bench.check()
  }

  @Test("COMMIT is refused while another statement of the connection reads on")
  func commitBesideReader() throws {
    let bench = try TwoWriters(twoTables + " INSERT INTO a VALUES (2, 3)")
    try bench.first.execute("BEGIN CONCURRENT; UPDATE b SET v = 21")
    let statement = try bench.first.prepareBlocking("SELECT v FROM a")
    #expect(try statement.stepBlocking())
    #expect(bench.first.failure("COMMIT") == .busy)
    statement.finalize()
    try bench.first.execute("COMMIT")
  }

  @Test("a statement that began before BEGIN CONCURRENT reads on inside it")
  func readerFromBefore() throws {
    let bench = try TwoWriters(twoTables + " INSERT INTO a VALUES (2, 3)")
    let statement = try bench.first.prepareBlocking("SELECT v FROM a")
    #expect(try statement.stepBlocking())
    try bench.first.execute("BEGIN CONCURRENT; UPDATE b SET v = 21")
    try bench.second.execute("UPDATE a SET v = 77")
    #expect(try statement.stepBlocking())
    #expect(statement.column(0).integerValue == 3)
    #expect(try !statement.stepBlocking())
    statement.finalize()
    #expect(bench.first.failure("COMMIT") == .busySnapshot)
  }

  @Test("one file a transaction; temporary tables besides")
  func oneFile() throws {
    let bench = try TwoWriters(twoTables)
    try bench.first.execute(
      "ATTACH '/b.db' AS other; PRAGMA other.journal_mode = wal; CREATE TABLE other.t(x); CREATE TEMP TABLE own(x)")
    try bench.first.execute("BEGIN CONCURRENT; UPDATE a SET v = 11; INSERT INTO own VALUES (1)")
    let refusal = bench.first.refusal("INSERT INTO other.t VALUES (1)")
    #expect(refusal?.code == .error)
    #expect(refusal?.message == "a concurrent transaction uses one database file")
    try bench.first.execute("COMMIT")
    #expect(try bench.second.value("SELECT v FROM a") == "11")
    // Whoever loses has committed nothing in the temporary ones either.
    try bench.first.execute("BEGIN CONCURRENT; UPDATE a SET v = 12; INSERT INTO own VALUES (2)")
    try bench.second.execute("UPDATE a SET v = 13")
    #expect(bench.first.failure("COMMIT") == .busySnapshot)
    try bench.first.execute("ROLLBACK")
    #expect(try bench.first.text("SELECT x FROM own") == ["1"])
  }

  @Test("a second file is refused whatever journal it has, and whichever of the two comes first", arguments: ["wal", "delete"])
  func secondFile(mode: String) throws {
    let bench = try TwoWriters(twoTables)
    try bench.first.execute("ATTACH '/b.db' AS other; PRAGMA other.journal_mode = \(mode); CREATE TABLE other.t(x)")
    for (first, second) in [("SELECT * FROM a", "SELECT * FROM other.t"), ("SELECT * FROM other.t", "UPDATE a SET v = 1")] {
      try bench.first.execute("BEGIN CONCURRENT; \(first)")
      let refusal = bench.first.refusal(second)
      #expect(refusal?.code == .error, "\(second)")
      #expect(refusal?.message == "a concurrent transaction uses one database file", "\(second)")
      // The one that came first goes on.
      try bench.first.execute("\(first); COMMIT")
    }
    try bench.first.execute("BEGIN; UPDATE a SET v = 1; INSERT INTO other.t VALUES (1); COMMIT")
    // Two files without a log are two files of an ordinary transaction.
    try bench.first.execute("PRAGMA other.journal_mode = delete; ATTACH '/c.db' AS third; CREATE TABLE third.t(x)")
    try bench.first.execute("BEGIN CONCURRENT; INSERT INTO other.t VALUES (2); INSERT INTO third.t VALUES (2); COMMIT")
    #expect(try bench.first.text("SELECT count(*) FROM other.t, third.t") == ["2"])
  }

  @Test("what is only read in a second file would be compared with nobody: two that read each other's file")
  func skewOverTwoFiles() throws {
    let bench = try TwoWriters(twoTables)
    try bench.first.execute("ATTACH '/b.db' AS other; PRAGMA other.journal_mode = wal; CREATE TABLE other.t(x)")
    var options = Connection.Options()
    options.interpretsURI = true
    let third = try Connection("/a.db", options, environment: bench.environment)
    try third.execute("ATTACH 'file:/b.db?mode=ro' AS other; BEGIN CONCURRENT; UPDATE a SET v = 0")
    #expect(third.failure("SELECT count(*) FROM other.t") == .error)
    try third.execute("ROLLBACK")
  }

  @Test("PRAGMA journal_mode: the mode that is there is no change, in a transaction either; a lost one has no snapshot for it")
  func journalModeInside() throws {
    let bench = try TwoWriters(twoTables)
    for begin in ["BEGIN", "BEGIN IMMEDIATE", "BEGIN CONCURRENT"] {
      try bench.first.execute("\(begin); UPDATE a SET v = v + 1")
      #expect(try bench.first.value("PRAGMA journal_mode = wal") == "wal", "\(begin)")
      #expect(bench.first.failure("PRAGMA journal_mode = delete") == .error, "\(begin)")
      try bench.first.execute("COMMIT")
    }
    try bench.beginBoth()
    for connection in [bench.first, bench.second] { try connection.execute("UPDATE a SET v = v + 1") }
    try bench.second.execute("COMMIT")
    #expect(bench.first.failure("COMMIT") == .busySnapshot)
    #expect(bench.first.failure("PRAGMA journal_mode") == .busySnapshot)
    #expect(bench.first.failure("PRAGMA journal_mode = wal") == .busySnapshot)
    try bench.first.execute("ROLLBACK")
  }

  @Test("PRAGMA journal_mode as the first statement: what commits behind it is told by its key")
  func journalModeFirst() throws {
    let bench = try TwoWriters(twoTables)
    try bench.first.execute("BEGIN CONCURRENT; PRAGMA journal_mode")
    try bench.second.execute("BEGIN CONCURRENT; UPDATE a SET v = v + 1; COMMIT")
    try bench.first.execute("UPDATE a SET v = v + 1")
    #expect(bench.first.refusal("COMMIT")?.cause == "table a, key 1: changed by another transaction since this one began")
    try bench.first.execute("ROLLBACK")
  }

  @Test("synchronous may not be changed inside a transaction", arguments: ["BEGIN", "BEGIN CONCURRENT", "SAVEPOINT s"])
  func synchronousInside(begin: String) throws {
    let bench = try TwoWriters(twoTables)
    try bench.first.execute("\(begin); UPDATE a SET v = 1")
    let refusal = bench.first.refusal("PRAGMA synchronous = off")
    #expect(refusal?.code == .error)
    #expect(refusal?.message == "Safety level may not be changed inside a transaction")
    #expect(try bench.first.value("PRAGMA synchronous") == "2")
    try bench.first.execute("COMMIT; PRAGMA synchronous = off")
    #expect(try bench.first.value("PRAGMA synchronous") == "0")
  }

  @Test("without a log BEGIN CONCURRENT is BEGIN")
  func withoutLog() throws {
    let environment = MemoryEnvironment(seed: 2, completesAtOnce: false)
    for path in ["/a.db", ":memory:"] {
      let connection = try Connection(path, environment: environment)
      try connection.execute("CREATE TABLE t(x); BEGIN CONCURRENT; INSERT INTO t VALUES (1); COMMIT")
      #expect(try connection.text("SELECT x FROM t") == ["1"])
      try connection.execute("BEGIN CONCURRENT; INSERT INTO t VALUES (2); ROLLBACK")
      #expect(try connection.text("SELECT x FROM t") == ["1"])
      #expect(connection.failure("BEGIN CONCURRENT; BEGIN CONCURRENT") == .error)
    }
  }

  @Test("an ordinary transaction that has read is not refused for a concurrent one that has not committed")
  func ordinaryWriterAbortsNobody() throws {
    let bench = try TwoWriters(twoTables)
    try bench.second.execute("BEGIN CONCURRENT; UPDATE b SET v = 21")
    try bench.first.execute("BEGIN; UPDATE a SET v = 11; COMMIT; BEGIN IMMEDIATE; UPDATE a SET v = 12; COMMIT")
    try bench.second.execute("COMMIT")
    #expect(try bench.first.row("SELECT a.v, b.v FROM a, b") == ["12", "21"])
  }

  @Test("the sum over accounts holds, whoever is refused", arguments: [UInt64(1), 2, 3, 4])
  func bank(seed: UInt64) throws {
    // Pages of 512 bytes: accounts spread over many, so that some transfers meet and some do not.
    let bench = try TwoWriters("PRAGMA page_size = 512; CREATE TABLE t(x)", seed: seed)
    let setUp = try bench.another()
    try setUp.execute("CREATE TABLE account(id INTEGER PRIMARY KEY, sum, note DEFAULT (zeroblob(100)))")
    for id in 1...100 { try setUp.execute("INSERT INTO account(id, sum) VALUES (\(id), 100)") }
    var random = SeededRandom(seed: seed)
    var connections = [bench.first, bench.second]
    for _ in 0..<4 { connections.append(try bench.another()) }
    for connection in connections { try connection.execute("PRAGMA busy_timeout = 0; PRAGMA wal_autocheckpoint = 20") }
    var isOpen = connections.map { _ in false }
    var (committed, refused) = (0, 0)
    for _ in 0..<1500 {
      let index = random.below(connections.count)
      let connection = connections[index]
      if !isOpen[index] {
        try connection.execute("BEGIN CONCURRENT")
        isOpen[index] = true
      }
      if random.oneIn(3) {
        switch connection.failure("COMMIT") {
        case nil: committed += 1
        case .busySnapshot:
          refused += 1
          try connection.execute("ROLLBACK")
        case let code: Issue.record("COMMIT fails with \(String(describing: code))")
        }
        isOpen[index] = false
        continue
      }
      let (from, to) = (1 + random.below(100), 1 + random.below(100))
      try connection.execute("UPDATE account SET sum = sum - 1 WHERE id = \(from)")
      try connection.execute("UPDATE account SET sum = sum + 1 WHERE id = \(to)")
      if random.oneIn(4) {
        try connection.execute("SAVEPOINT s; UPDATE account SET sum = 0 WHERE id = \(to); ROLLBACK TO s")
      }
    }
    for (index, connection) in connections.enumerated() where isOpen[index] { try connection.execute("ROLLBACK") }
    #expect(committed > 50 && refused > 50)
    #expect(try setUp.value("SELECT sum(sum) FROM account") == "10000")
    try bench.check()
  }

  @Test("a concurrent transaction that changes nothing leaves an auto_vacuum file's free pages where they are")
  func freePagesOfAutoVacuum() throws {
    let environment = MemoryEnvironment(seed: 8, completesAtOnce: false)
    let maker = try Connection("/a.db", environment: environment)
    try maker.execute(
      "PRAGMA page_size = 512; PRAGMA auto_vacuum = incremental; PRAGMA journal_mode = wal; CREATE TABLE t(x);"
        + " INSERT INTO t VALUES (zeroblob(5000)), (1); DELETE FROM t WHERE x <> 1")
    try maker.closeBlocking()
    // FULL with free pages, as SQLite's `sqlite3_autovacuum_pages` leaves them.
    var bytes = try #require(environment.contents(of: "/a.db"))
    for place in 64..<68 { bytes[place] = 0 }
    environment.setContents(of: "/a.db", to: bytes)
    let connection = try Connection("/a.db", environment: environment)
    #expect(try connection.text("PRAGMA auto_vacuum") == ["1"])
    let free = try connection.text("PRAGMA freelist_count")
    #expect(free != ["0"])
    try connection.execute("BEGIN CONCURRENT; DELETE FROM t WHERE 0; COMMIT")
    #expect(try connection.text("PRAGMA freelist_count") == free)
    try connection.execute("BEGIN CONCURRENT; INSERT INTO t VALUES (2); COMMIT")
    #expect(try connection.text("PRAGMA freelist_count") == ["0"])
    #expect(try connection.text("PRAGMA integrity_check") == ["ok"])
    try connection.closeBlocking()
  }
}
