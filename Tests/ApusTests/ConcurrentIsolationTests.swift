// PRAGMA concurrent_isolation: which anomalies are possible at which level, and that the file is right at both.

import ApusBase
import ApusIO
import ApusStorage
import Testing

@testable import Apus

private let levels = ["serializable", "snapshot"]

@Suite("Concurrent isolation") struct ConcurrentIsolationTests {
  /// Doctors on call, each with a note that keeps them on one page or, at 512 bytes a page, on several.
  private func bench(_ level: String, _ setUp: String = "") throws -> TwoWriters {
    let bench = try TwoWriters(
      "PRAGMA page_size = 512; CREATE TABLE doctor(id INTEGER PRIMARY KEY, isOnCall, name TEXT UNIQUE, note);"
        + " INSERT INTO doctor VALUES (1, 1, 'ada', zeroblob(100)), (2, 1, 'bob', zeroblob(100));"
        + " CREATE TABLE log(x); \(setUp)")
    for connection in [bench.first, bench.second] {
      try connection.execute("PRAGMA concurrent_isolation = \(level)")
    }
    return bench
  }

  @Test("a row that is longer than the cache is deleted at either level", arguments: levels)
  func longRow(_ level: String) throws {
    let environment = MemoryEnvironment(seed: 5, completesAtOnce: false)
    let connection = try Connection("/a.db", environment: environment)
    try connection.execute(
      "PRAGMA page_size = 512; PRAGMA journal_mode = wal; CREATE TABLE t(id INTEGER PRIMARY KEY, k, v);"
        + " INSERT INTO t VALUES (1, 1, zeroblob(14000)), (2, 2, zeroblob(14000)); PRAGMA wal_checkpoint(TRUNCATE)")
    try connection.closeBlocking()
    let options = { () -> Connection.Options in
      var options = Connection.Options()
      options.pager.sharedCacheBytes = 0
      return options
    }()
    let small = try Connection("/a.db", options, environment: environment)
    try small.execute("PRAGMA cache_size = 5; PRAGMA concurrent_isolation = \(level); BEGIN CONCURRENT")
    let delete = try Stepped(small, "DELETE FROM t WHERE k BETWEEN 1 AND 1")
    var waits = 0
    let end = try delete.goOn { _ in
      waits += 1
      return waits < 2_000
    }
    guard case .done = end else {
      Issue.record("it does not end")
      return
    }
    delete.statement.finalize()
    try small.execute("COMMIT")
    #expect(try small.text("SELECT id FROM t") == ["2"])
    #expect(try small.text("PRAGMA integrity_check") == ["ok"])
  }

  // MARK: The pragma

  @Test("the pragma answers the name; a connection has its own; it begins serializable")
  func pragmaNames() throws {
    let bench = try bench("serializable")
    #expect(try bench.another().text("PRAGMA concurrent_isolation") == ["serializable"])
    try bench.first.execute("PRAGMA concurrent_isolation = SNAPSHOT")
    #expect(try bench.first.text("PRAGMA concurrent_isolation") == ["snapshot"])
    #expect(try bench.second.text("PRAGMA concurrent_isolation") == ["serializable"])
    try bench.first.execute("PRAGMA concurrent_isolation('serializable')")
    #expect(try bench.first.text("PRAGMA concurrent_isolation") == ["serializable"])
  }

  @Test("an unknown level changes nothing: a warning, an error where pragmas are strict")
  func unknownLevel() throws {
    let connection = try bench("snapshot").first
    try connection.execute("PRAGMA concurrent_isolation = linearizable")
    #expect(connection.warnings == ["PRAGMA concurrent_isolation: the value 'linearizable' has no effect"])
    #expect(try connection.text("PRAGMA concurrent_isolation") == ["snapshot"])
    #expect(connection.failure("PRAGMA strict_pragmas = on; PRAGMA concurrent_isolation = none") == .error)
  }

  @Test("said inside a transaction it counts for the next one")
  func pragmaInside() throws {
    for (before, inside) in [("serializable", "snapshot"), ("snapshot", "serializable")] {
      let bench = try bench(before)
      for isRefused in [before, inside].map({ $0 == "serializable" }) {
        try bench.beginBoth()
        try bench.second.execute("PRAGMA concurrent_isolation = \(inside)")
        try bench.second.execute("SELECT sum(isOnCall) FROM doctor; INSERT INTO log VALUES (1)")
        try bench.first.execute("UPDATE doctor SET isOnCall = 1 - isOnCall WHERE id = 1; COMMIT")
        #expect((bench.second.failure("COMMIT") == .busySnapshot) == isRefused)
        if isRefused { try bench.second.execute("ROLLBACK") }
      }
    }
  }

  // MARK: Anomalies

  @Test("write skew: impossible at serializable, possible at snapshot; in one table and one page", arguments: levels)
  func writeSkew(level: String) throws {
    let bench = try bench(level)
    try bench.beginBoth()
    for (connection, id) in [(bench.first, 1), (bench.second, 2)] {
      #expect(try connection.value("SELECT sum(isOnCall) FROM doctor WHERE id IN (1, 2)") == "2")
      try connection.execute("UPDATE doctor SET isOnCall = 0 WHERE id = \(id)")
    }
    try bench.first.execute("COMMIT")
    #expect(bench.second.failure("COMMIT") == (level == "snapshot" ? nil : .busySnapshot))
    #expect(try bench.first.value("SELECT sum(isOnCall) FROM doctor") == (level == "snapshot" ? "0" : "1"))
    try bench.check()
  }

  @Test("phantom of a plain read: impossible at serializable, possible at snapshot", arguments: levels)
  func phantom(level: String) throws {
    let bench = try bench(level)
    try bench.beginBoth()
    for (connection, name) in [(bench.first, "cy"), (bench.second, "dee")] {
      #expect(try connection.value("SELECT count(*) FROM doctor") == "2")
      try connection.execute("INSERT INTO doctor(name) VALUES ('\(name)')")
    }
    try bench.first.execute("COMMIT")
    #expect(bench.second.failure("COMMIT") == (level == "snapshot" ? nil : .busySnapshot))
    #expect(try bench.first.value("SELECT count(*) FROM doctor") == (level == "snapshot" ? "4" : "3"))
    try bench.check()
  }

  @Test("lost update: impossible at both levels, however the new value is worked out", arguments: levels)
  func lostUpdate(level: String) throws {
    for isRead in [true, false] {
      let bench = try bench(level)
      try bench.beginBoth()
      for connection in [bench.first, bench.second] {
        let value = isRead ? try connection.value("SELECT isOnCall FROM doctor WHERE id = 1") : "isOnCall"
        try connection.execute("UPDATE doctor SET isOnCall = \(value) + 1 WHERE id = 1")
      }
      try bench.second.execute("COMMIT")
      let refusal = bench.first.refusal("COMMIT")
      #expect(refusal?.code == .busySnapshot)
      #expect(refusal?.cause == "table doctor, key 1: changed by another transaction since this one began")
      try bench.first.execute("ROLLBACK")
      #expect(try bench.first.value("SELECT isOnCall FROM doctor WHERE id = 1") == "2")
    }
  }

  @Test("a row that one deletes and the other changes: one is refused at both levels", arguments: levels)
  func deleteAgainstUpdate(level: String) throws {
    for statements in [
      ["DELETE FROM doctor WHERE id = 2", "UPDATE doctor SET isOnCall = 7 WHERE id = 2"],
      ["UPDATE doctor SET isOnCall = 7 WHERE id = 2", "DELETE FROM doctor WHERE id = 2"],
      ["DELETE FROM doctor", "INSERT INTO doctor(id) VALUES (9)"],
      ["INSERT INTO doctor(id) VALUES (9)", "DELETE FROM doctor"],
      ["REPLACE INTO doctor(id, name) VALUES (9, 'ada')", "UPDATE doctor SET isOnCall = 7 WHERE name = 'ada'"],
    ] {
      let bench = try bench(level)
      try bench.beginBoth()
      try bench.first.execute(statements[0])
      try bench.second.execute(statements[1])
      try bench.first.execute("COMMIT")
      #expect(bench.second.failure("COMMIT") == .busySnapshot, "\(statements)")
      try bench.check()
    }
  }

  @Test("what a constraint has found counts at both levels: of a row id, of a PRIMARY KEY, of an index", arguments: levels)
  func foundByConstraint(level: String) throws {
    for key in ["INTEGER PRIMARY KEY", "INT PRIMARY KEY", "UNIQUE"] {
      let bench = try bench(level, "CREATE TABLE k(id \(key)); INSERT INTO k VALUES (5)")
      try bench.beginBoth()
      try bench.first.execute("INSERT OR IGNORE INTO k VALUES (5); INSERT INTO log VALUES (5)")
      try bench.second.execute("DELETE FROM k WHERE id = 5; COMMIT")
      #expect(bench.first.failure("COMMIT") == .busySnapshot, "\(key)")
      try bench.check()
    }
  }

  @Test("unique claim: impossible at both levels, by index, by primary key, by REPLACE", arguments: levels)
  func uniqueClaim(level: String) throws {
    for (setUp, first, second) in [
      ("", "INSERT INTO doctor(id, name) VALUES (7, 'c')", "INSERT INTO doctor(id, name) VALUES (99, 'c')"),
      ("", "INSERT INTO doctor(id, name) VALUES (99, 'c')", "INSERT INTO doctor(id, name) VALUES (7, 'c')"),
      ("", "UPDATE doctor SET name = 'cy' WHERE id = 1", "UPDATE doctor SET name = 'cy' WHERE id = 2"),
      ("", "REPLACE INTO doctor(id, name) VALUES (7, 'cy')", "REPLACE INTO doctor(id, name) VALUES (99, 'cy')"),
      ("", "INSERT INTO doctor(id) VALUES (7)", "INSERT INTO doctor(id) VALUES (7)"),
      (
        "CREATE TABLE w(a, b, c, PRIMARY KEY(a, b)) WITHOUT ROWID", "INSERT INTO w VALUES (1, 1, 1)",
        "INSERT INTO w VALUES (1, 1, 2)"
      ),
      (
        "CREATE TABLE n(a TEXT COLLATE NOCASE UNIQUE)", "INSERT INTO n(rowid, a) VALUES (5, 'X')",
        "INSERT INTO n(rowid, a) VALUES (6, 'x')"
      ),
      (
        "CREATE TABLE p(a, b); CREATE UNIQUE INDEX pi ON p(a) WHERE b > 0",
        "INSERT INTO p(rowid, a, b) VALUES (5, 1, 1)",
        "INSERT INTO p(rowid, a, b) VALUES (6, 1, 2)"
      ),
      (
        "CREATE TABLE e(a, b); CREATE UNIQUE INDEX ei ON e(a + b)", "INSERT INTO e(rowid, a, b) VALUES (5, 1, 2)",
        "INSERT INTO e(rowid, a, b) VALUES (6, 2, 1)"
      ),
    ] {
      let bench = try bench(level, setUp)
      try bench.beginBoth()
      try bench.first.execute(first)
      try bench.second.execute(second)
      try bench.first.execute("COMMIT")
      #expect(bench.second.failure("COMMIT") == .busySnapshot, "\(first) | \(second)")
      try bench.check()
    }
  }

  @Test("a serializable transaction keeps its guarantee beside one at snapshot")
  func mixedLevels() throws {
    for first in [0, 1] {
      let bench = try bench("snapshot")
      try bench.second.execute("PRAGMA concurrent_isolation = serializable")
      try bench.beginBoth()
      for connection in [bench.first, bench.second] {
        #expect(try connection.value("SELECT sum(isOnCall) FROM doctor") == "2")
      }
      try bench.first.execute("UPDATE doctor SET isOnCall = 0 WHERE id = 1")
      try bench.second.execute("UPDATE doctor SET isOnCall = 0 WHERE id = 2")
      let order = first == 0 ? [bench.first, bench.second] : [bench.second, bench.first]
      try order[0].execute("COMMIT")
      #expect(order[1].failure("COMMIT") == (first == 0 ? .busySnapshot : nil))
    }
  }

  @Test("what is read stays what it was when the transaction began, at both levels", arguments: levels)
  func repeatableRead(level: String) throws {
    let bench = try bench(level)
    try bench.beginBoth()
    #expect(try bench.first.value("SELECT sum(isOnCall) FROM doctor") == "2")
    try bench.second.execute("UPDATE doctor SET isOnCall = 50; COMMIT")
    try bench.first.execute("INSERT INTO log VALUES (1)")
    #expect(try bench.first.value("SELECT sum(isOnCall) FROM doctor") == "2")
  }

  @Test("the schema is compared at both levels", arguments: levels)
  func schema(level: String) throws {
    for (first, second) in [
      ("CREATE INDEX i ON doctor(isOnCall)", "UPDATE doctor SET isOnCall = 3 WHERE id = 1"),
      ("UPDATE doctor SET isOnCall = 3 WHERE id = 1", "CREATE INDEX i ON doctor(isOnCall)"),
      ("CREATE TABLE own(x)", "CREATE TABLE other(x)"), ("PRAGMA user_version = 3", "PRAGMA user_version = 4"),
    ] {
      let bench = try bench(level)
      try bench.beginBoth()
      try bench.first.execute(first)
      try bench.second.execute(second)
      try bench.first.execute("COMMIT")
      #expect(bench.second.failure("COMMIT") == .busySnapshot, "\(first) | \(second)")
      try bench.check()
    }
  }

  // MARK: By pages

  @Test("a commit without keys: what was only read does not count at snapshot, what is written does", arguments: levels)
  func withoutKeys(level: String) throws {
    for (second, meetsRead, meetsWrite) in [
      ("SELECT sum(isOnCall) FROM doctor; INSERT INTO log VALUES (1)", true, false),
      ("UPDATE doctor SET isOnCall = 5 WHERE id = 1", true, true),
      ("SELECT * FROM doctor WHERE id = 1; UPDATE doctor SET isOnCall = 5 WHERE id = 1", true, true),
      ("INSERT INTO doctor(name) VALUES ('ada2')", true, true),
    ] {
      let bench = try bench(level)
      // It began when no concurrent transaction was open: nobody keeps its keys.
      try bench.first.execute("BEGIN IMMEDIATE; UPDATE doctor SET isOnCall = 4 WHERE id = 1")
      try bench.second.execute("BEGIN CONCURRENT; \(second)")
      try bench.first.execute("COMMIT")
      let isRefused = level == "snapshot" ? meetsWrite : meetsRead
      #expect((bench.second.failure("COMMIT") == .busySnapshot) == isRefused, "\(second)")
      if isRefused { try bench.second.execute("ROLLBACK") }
      try bench.check()
    }
  }

  @Test("a leaf or a chain that a commit without keys has freed was changed here: refused", arguments: levels)
  func freedPages(level: String) throws {
    for rows in ["id BETWEEN 20 AND 60", "id > 10", "id < 60", "1"] {
      for change in [
        "UPDATE t SET v = v + 1 WHERE id = 40", "SELECT v, length(b) FROM t WHERE id = 40; DELETE FROM t WHERE id = 40",
        "UPDATE t SET b = zeroblob(2000) WHERE id = 40",
        "SELECT b FROM t; UPDATE t SET b = zeroblob(10) WHERE id = 40", "UPDATE t SET k = -5 WHERE id = 40",
      ] {
        let bench = try bench(
          level,
          "CREATE TABLE t(id INTEGER PRIMARY KEY, v, k, b); CREATE INDEX tk ON t(k);"
            + " WITH RECURSIVE n(i) AS (VALUES(1) UNION ALL SELECT i + 1 FROM n WHERE i < 80)"
            + " INSERT INTO t SELECT i, i, i * 7 % 80, zeroblob(iif(i % 20 = 0, 3000, 60)) FROM n")
        try bench.first.execute("BEGIN IMMEDIATE; DELETE FROM t WHERE \(rows)")
        try bench.second.execute("BEGIN CONCURRENT; \(change)")
        try bench.first.execute("COMMIT")
        #expect(bench.second.failure("COMMIT") == .busySnapshot, "\(rows) | \(change)")
        try bench.second.execute("ROLLBACK")
        try bench.check()
      }
    }
  }

  // MARK: Behind its place

  @Test("who outgrows its memory at snapshot is lost where what it has read was changed, and else goes on")
  func outgrown() throws {
    for (isRead, isRefused) in [(true, true), (false, false)] {
      let bench = try bench("snapshot", "CREATE TABLE big(x)")
      try bench.second.execute("PRAGMA cache_size = 20; BEGIN CONCURRENT; INSERT INTO log VALUES (1)")
      if isRead { #expect(try bench.second.value("SELECT sum(isOnCall) FROM doctor") == "2") }
      try bench.first.execute("UPDATE doctor SET isOnCall = 5")
      var failure: ResultCode?
      for _ in 0..<60 where failure == nil {
        failure = bench.second.failure("INSERT INTO big VALUES (zeroblob(3000))")
      }
      #expect(failure == (isRefused ? .busySnapshot : nil))
      if !isRefused {
        #expect(try bench.second.value("SELECT sum(isOnCall) FROM doctor") == "10")
        try bench.second.execute("COMMIT")
      } else {
        try bench.second.execute("ROLLBACK")
      }
      try bench.check()
    }
  }

  @Test("a COMMIT that is dropped behind validation: what was read at snapshot is not read anew on other pages")
  func droppedCommit() throws {
    var lost = 0
    for stop in 0..<30 {
      let bench = try bench("snapshot")
      try bench.beginBoth()
      #expect(try bench.second.value("SELECT sum(isOnCall) FROM doctor") == "2")
      try bench.second.execute("INSERT INTO log VALUES (zeroblob(9000)); INSERT INTO doctor(name) VALUES ('dee')")
      try bench.first.execute("UPDATE doctor SET isOnCall = 5 WHERE id = 1; INSERT INTO log VALUES (2); COMMIT")
      let statement = try bench.second.prepareBlocking("COMMIT")
      var isDone = false
      for _ in 0..<stop where !isDone {
        guard case .pending(let wait) = try statement.step() else {
          isDone = true
          break
        }
        bench.second.wait(for: wait)
      }
      statement.finalize()
      if isDone { continue }
      do {
        let sum = try bench.second.value("SELECT sum(isOnCall) FROM doctor")
        // Before its place the transaction goes on as it was; behind its commit point it has ended.
        #expect(sum == (bench.second.isAutocommit ? "6" : "2"))
      } catch let error as EngineError where error.code == .busySnapshot {
        lost += 1
        #expect(error.cause?.hasPrefix("COMMIT was given up") == true)
        #expect(bench.second.failure("COMMIT") == .busySnapshot)
        #expect(bench.second.concurrentConflicts()?.losses == [.init(kind: .oldReads, count: 1)])
      } catch let error as EngineError {
        #expect(error.code == .abort)
      }
      // Behind its commit point this says that it was a commit.
      if !bench.second.isAutocommit { _ = bench.second.failure("ROLLBACK") }
      #expect(try bench.first.value("SELECT sum(isOnCall) FROM doctor") == "6")
      try bench.first.execute("INSERT INTO log VALUES (3)")
      try bench.check()
    }
    #expect(lost > 0)
  }

  // MARK: All together

  @Test("counters, claims and chains at snapshot, beside writers without keys: none is lost", arguments: UInt64(1)...6)
  func mixture(seed: UInt64) throws {
    let bench = try bench(
      "snapshot",
      "CREATE TABLE c(id INTEGER PRIMARY KEY, n, name TEXT UNIQUE, b); CREATE INDEX cn ON c(n);"
        + " WITH RECURSIVE i(i) AS (VALUES(1) UNION ALL SELECT i + 1 FROM i WHERE i < 60)"
        + " INSERT INTO c SELECT i, 0, 'n' || i, zeroblob(i * 37 % 700) FROM i")
    var random = SeededRandom(seed: seed)
    var connections = [bench.first, bench.second]
    for _ in 0..<3 { connections.append(try bench.another()) }
    for (index, connection) in connections.enumerated() {
      // One in five is serializable.
      try connection.execute(
        "PRAGMA busy_timeout = 0; PRAGMA concurrent_isolation = \(levels[index == 4 ? 0 : 1]);"
          + " PRAGMA wal_autocheckpoint = 30")
    }
    var added = connections.map { _ in 0 }
    var isOpen = connections.map { _ in false }
    var (total, committed, refused) = (0, 0, 0)
    for step in 0..<900 {
      let index = random.below(connections.count)
      let connection = connections[index]
      if !isOpen[index], random.oneIn(6) {
        // An ordinary transaction that changes the header: its commit has no keys.
        let id = 1 + random.below(60)
        let change = "BEGIN; PRAGMA user_version = \(step); UPDATE c SET n = n + 1 WHERE id = \(id); COMMIT"
        if connection.failure(change) == nil {
          total += 1
        } else if !connection.isAutocommit {
          try connection.execute("ROLLBACK")
        }
        continue
      }
      if !isOpen[index] { try connection.execute("BEGIN CONCURRENT; SELECT sum(n) FROM c") }
      isOpen[index] = true
      if random.oneIn(3) {
        isOpen[index] = false
        switch connection.failure("COMMIT") {
        case nil:
          committed += 1
          total += added[index]
        case .busySnapshot:
          refused += 1
          try connection.execute("ROLLBACK")
        case let code: Issue.record("COMMIT fails with \(String(describing: code))")
        }
        added[index] = 0
        continue
      }
      let id = 1 + random.below(60)
      switch random.below(4) {
      case 0: try connection.execute("UPDATE c SET b = zeroblob(\(random.below(2000))) WHERE id = \(id)")
      case 1: _ = connection.failure("INSERT INTO c(n, name) VALUES (0, 'm\(random.below(40))')")
      case 2: try connection.execute("DELETE FROM c WHERE id > 60 AND id % 7 = \(random.below(7)) AND n = 0")
      default:
        try connection.execute("UPDATE c SET n = n + 1 WHERE id = \(id)")
        added[index] += connection.changes == 1 ? 1 : 0
      }
    }
    for (index, connection) in connections.enumerated() where isOpen[index] { try connection.execute("ROLLBACK") }
    #expect(committed > 30 && refused > 30, "seed \(seed)")
    #expect(try bench.first.value("SELECT sum(n) FROM c") == "\(total)", "seed \(seed)")
    try bench.check()
  }
}
