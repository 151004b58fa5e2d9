// Locks between connections of one file at the moments where one gives them up or takes them over.

import ApusBase
import ApusHarness
import ApusIO
import Testing

@testable import Apus
@testable import ApusStorage
@testable import ApusVM

@Suite struct LockHandoverTests {
  @Test("exclusive locks that are to go stay until the pages of a dropped checkpoint have landed")
  func keepsLocksForPages() throws {
    var kept = 0
    for limit in 0..<80 {
      let environment = MemoryEnvironment(seed: UInt64(limit), completesAtOnce: false)
      let connection = try Connection("/a.db", environment: environment)
      try connection.execute(
        """
        PRAGMA page_size = 512; PRAGMA locking_mode = exclusive; PRAGMA journal_mode = wal; PRAGMA wal_autocheckpoint = 10;
        CREATE TABLE t(a, b); WITH RECURSIVE s(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM s WHERE i < 40)
        INSERT INTO t SELECT i, hex(zeroblob(100)) FROM s
        """)
      let update = try connection.prepareBlocking("UPDATE t SET a = a + 1")
      var hasEnded = false
      for step in 0...limit {
        guard case .pending(let wait) = try update.step() else {
          hasEnded = true
          break
        }
        if step < limit { connection.wait(for: wait) }
      }
      try connection.execute("PRAGMA locking_mode = normal")
      update.finalize()
      if hasEnded { break }
      let isUnderWay = try connection.state.pager(0).store?.wal?.hasPagesUnderWay == true
      let other = try Connection("/a.db", environment: environment)
      if isUnderWay {
        kept += 1
        #expect(other.refusal("INSERT INTO t VALUES (1, 2)")?.code == .busy, "wait \(limit)")
        #expect(connection.owesWork)
      }
      try connection.block { () throws(Fault) in try connection.settle() }
      let due = isUnderWay ? "3" : nil
      try other.execute("UPDATE t SET a = a + 1; PRAGMA wal_checkpoint(TRUNCATE)")
      let least = try connection.value("SELECT min(a) FROM t")
      #expect(due == nil || least == due)
      #expect(try connection.text("PRAGMA integrity_check") == ["ok"])
    }
    #expect(kept > 0)
  }

  @Test("who opens a file while its journal begins, and who writes it, do not wait for each other")
  func journalThatIsNotHot() throws {
    var steps = 0
    var isOver = false
    while !isOver {
      let environment = MemoryEnvironment(seed: 7, completesAtOnce: false)
      let writer = try Connection("/a.db", environment: environment)
      try writer.execute(
        "PRAGMA page_size = 512; PRAGMA journal_mode = persist; CREATE TABLE t(a); INSERT INTO t VALUES (1);"
          + " PRAGMA busy_timeout = 1000; BEGIN; SELECT * FROM t")
      let opener = try Connection("/a.db", environment: environment)
      try opener.execute("PRAGMA busy_timeout = 1000")
      let update = try writer.prepareBlocking("UPDATE t SET a = 2")
      let commit = try writer.prepareBlocking("COMMIT")
      let select = SteppedText(opener, "SELECT a FROM t")
      // It has found no writer, and is about to read the journal's first byte.
      try select.goOn(1)
      var left = steps
      isOver = true
      for statement in [update, commit] {
        while case .pending(let wait) = try statement.step() {
          if left == 0 {
            isOver = false
            try select.goOn(3)
          }
          left -= 1
          writer.wait(for: wait)
          // Whoever waits for a lock waits for somebody who goes on.
          if case .moment = wait { left = -1 }
          if left < 0 { try select.goOn(1) }
        }
      }
      while !select.isOver { try select.goOn(1) }
      #expect(["1", "2"].contains(select.value))
      #expect(try opener.value("SELECT a FROM t") == "2")
      steps += 1
    }
    #expect(steps > 3)
  }

  /// Two connections to a log, with a second one in the same environment that has a lock of its own on the wal-index.
  private func pair(_ pragmas: String = "") throws -> (first: Connection, second: Connection, foreign: any SharedMemory) {
    let environment = MemoryEnvironment(seed: 11, completesAtOnce: false)
    let first = try Connection("/a.db", environment: environment)
    try first.execute(
      "PRAGMA page_size = 512; PRAGMA journal_mode = wal; CREATE TABLE t(id INTEGER PRIMARY KEY, v); INSERT INTO t VALUES (1, 0);"
        + " PRAGMA busy_timeout = 1000; \(pragmas)")
    let second = try Connection("/a.db", environment: environment)
    try second.execute("PRAGMA busy_timeout = 1000; SELECT * FROM t; \(pragmas)")
    return (first, second, try environment.open("/a.db", .readWrite).openSharedMemory(readOnly: false))
  }

  @Test("a concurrent COMMIT that is dropped in line leaves the line, and other processes get the lock when the turn ends")
  func droppedInLine() throws {
    let (first, second, foreign) = try pair()
    try second.execute("BEGIN CONCURRENT; INSERT INTO t VALUES (2, 2)")
    try first.execute("BEGIN IMMEDIATE; UPDATE t SET v = 1 WHERE id = 1")
    let commit = try Stepped(second, "COMMIT")
    guard case .pending = try commit.goOn(through: { if case .completion = $0 { true } else { false } }) else {
      Issue.record("it does not wait for the turn")
      return
    }
    commit.statement.reset()
    try first.execute("COMMIT")
    #expect(try foreign.lock(.exclusive, slot: WALIndex.writeSlot, count: 1))
    try foreign.unlock(slot: WALIndex.writeSlot, count: 1)
    try second.execute("COMMIT")
    #expect(try first.value("SELECT sum(v) FROM t") == "3")
  }

  @Test("a COMMIT that is dropped in the checkpoint behind it keeps nobody from checkpoints")
  func droppedInCheckpoint() throws {
    var committed = 0
    for limit in 0..<60 {
      let (first, second, foreign) = try pair("PRAGMA wal_autocheckpoint = 4; PRAGMA cache_size = 10")
      try first.execute("BEGIN; WITH RECURSIVE s(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM s WHERE i < 20)"
          + " INSERT INTO t SELECT i + 10, zeroblob(400) FROM s")
      let commit = try first.prepareBlocking("COMMIT")
      var hasEnded = false
      for step in 0...limit {
        guard case .pending(let wait) = try commit.step() else {
          hasEnded = true
          break
        }
        if step < limit { first.wait(for: wait) }
      }
      if hasEnded { break }
      let isCommitted = try second.value("SELECT count(*) FROM t") == "21"
      commit.reset()
      try first.block { () throws(Fault) in try first.settle() }
      if !isCommitted { continue }
      committed += 1
      #expect(try foreign.lock(.exclusive, slot: 1, count: 1), "wait \(limit)")
      try foreign.unlock(slot: 1, count: 1)
    }
    #expect(committed > 0)
  }

  @Test("writers of this process and of another one exclude each other, whatever log was opened before")
  func foreignWriters() throws {
    let environment = SystemEnvironment()
    let path = "/tmp/apus-handover-\(environment.randomUInt64()).db"
    defer { for suffix in ["", "-wal", "-shm", "-journal"] { try? environment.delete(path + suffix) } }
    let library = try SQLiteLibrary()
    let maker = try Connection(path, environment: environment)
    try maker.execute("CREATE TABLE t(a); INSERT INTO t VALUES (1)")
    try maker.closeBlocking()
    let first = try Connection(path, environment: environment)
    let second = try Connection(path, environment: environment)
    for connection in [first, second] { #expect(try connection.value("SELECT a FROM t") == "1") }
    let foreign = try library.open(path, readOnly: false)
    try foreign.execute("PRAGMA journal_mode = wal")
    try foreign.execute("BEGIN IMMEDIATE")
    #expect(first.refusal("BEGIN IMMEDIATE")?.code == .busy)
    try first.closeBlocking()
    try foreign.execute("INSERT INTO t VALUES (2)")
    try foreign.execute("COMMIT")
    foreign.close()
    // The log of before is gone, and with it what it was locked by.
    let third = try Connection(path, environment: environment)
    #expect(try third.value("SELECT count(*) FROM t") == "2")
    let another = try library.open(path, readOnly: false)
    try second.execute("BEGIN IMMEDIATE; INSERT INTO t VALUES (3)")
    #expect(throws: EngineFailure.self) { try another.execute("BEGIN IMMEDIATE") }
    try second.execute("COMMIT")
    try another.execute("BEGIN IMMEDIATE")
    #expect(third.refusal("BEGIN IMMEDIATE")?.code == .busy)
    try another.execute("INSERT INTO t VALUES (4)")
    try another.execute("COMMIT")
    another.close()
    #expect(try third.text("SELECT a FROM t") == ["1", "2", "3", "4"])
    #expect(try second.text("PRAGMA integrity_check") == ["ok"])
  }
}
