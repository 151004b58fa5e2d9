// The checks of the proofs see what is wrong: each is given a good database, and then the same with one thing wrong.

import ApusHarness
import Glibc
import Testing

@testable import ApusProve

@Suite("Checks of the proofs")
struct ProofCheckTests {
  private func memory() throws -> any HarnessConnection { try SQLiteLibrary().open(":memory:", readOnly: false) }

  @Test(
    "the model of the kills sees one wrong byte, a row that is missing and one too many",
    arguments: [
      "UPDATE t SET s = substr(s, 1, 700) || 'A' || substr(s, 702) WHERE k = (SELECT k FROM t WHERE length(s) > 1000)",
      "DELETE FROM w WHERE k = (SELECT min(k) FROM w)", "INSERT INTO w VALUES (100000, 1, '')",
      "UPDATE t SET v = v + 1 WHERE k = (SELECT max(k) FROM t)",
    ])
  func killPlan(damage: String) throws {
    let connection = try memory()
    defer { connection.close() }
    try connection.execute(KillPlan.schema)
    var plan = KillPlan(seed: 3)
    for number in Int64(1)...40 {
      for change in plan.changes(number) { try KillPlan.execute(change, on: connection) }
    }
    plan.advance(to: 40)
    try plan.check(connection, "SQLite")
    try connection.execute(damage)
    #expect(connection.totalChanges > 0)
    #expect(throws: ProofFailure.self) { try plan.check(connection, "SQLite") }
  }

  @Test(
    "the check after a power cut sees one wrong byte and an older version of a row",
    arguments: [
      """
      UPDATE t SET b = CAST(substr(b, 1, length(b) - 1) || 'A' AS BLOB)
      WHERE id = (SELECT max(id) FROM t WHERE length(b) > 0)
      """,
      "UPDATE t SET x = x - 1 WHERE id = (SELECT max(id) FROM t)", "UPDATE s SET n = n - 1",
    ])
  func cutWorkload(damage: String) throws {
    let path = "/tmp/apus-acknowledgements-\(getpid())-\(Console.nanoseconds())"
    #expect(Console.put([], to: path))
    defer { Console.remove(path) }
    let connection = try memory()
    defer { connection.close() }
    try connection.execute(CutWorkload.schema)
    let workload = CutWorkload(seed: 5)
    try workload.run(on: connection, count: 25, acknowledgements: path)
    #expect(try workload.check(connection) == 25)
    try connection.execute(damage)
    #expect(throws: ProofFailure.self) { try workload.check(connection) }
  }

  @Test("a row that comes twice does not take another one's place in the model's count")
  func duplicates() throws {
    let connection = try memory()
    defer { connection.close() }
    for name in TableModel.names {
      try connection.execute("CREATE TABLE \(name)(k, u, c, d); INSERT INTO \(name) VALUES (1, 1, 1, 1), (2, 2, 1, 2)")
    }
    let model = try TableModel(of: connection)
    try model.check(connection, "SQLite")
    try connection.execute("UPDATE t SET k = 2, u = 2, d = 2")
    #expect(throws: ProofFailure.self) { try model.check(connection, "SQLite") }
    try connection.execute("DELETE FROM t; INSERT INTO t VALUES (1, 1, 1, 1), (1, 1, 1, 1)")
    #expect(throws: ProofFailure.self) { try model.check(connection, "SQLite") }
  }

  @Test("a pad with one wrong byte, and one that is too short, are seen")
  func pads() throws {
    let connection = try memory()
    defer { connection.close() }
    try connection.execute(MixedWorker.schema)
    for value in Int64(90)...100 {
      let statement = try connection.prepare("INSERT INTO t(writer, n, v, pad) VALUES (2, 7, \(value), ?)")
      try statement.bind(.text(MixedWorker.pad(2, 7, value)), at: 1)
      while try statement.step() {}
      statement.finalize()
    }
    #expect(try MixedWorker.complaintOfPads(connection) == nil)
    for damage in ["pad = 'x' || substr(pad, 2)", "pad = substr(pad, 2)", "v = v + 1"] {
      try connection.execute("SAVEPOINT s; UPDATE t SET \(damage) WHERE v = 95")
      #expect(try MixedWorker.complaintOfPads(connection) != nil, "\(damage)")
      try connection.execute("ROLLBACK TO s; RELEASE s")
    }
  }

  @Test("a journal mode that is not taken is a failure")
  func journalMode() throws {
    let connection = try memory()
    defer { connection.close() }
    try connection.takeJournalMode("memory")
    #expect(throws: ProofFailure.self) { try connection.takeJournalMode("wal") }
  }

  @Test("a child that somebody else has waited for has not ended well")
  func lostChildren() throws {
    let child = try #require(ChildProcess.run("/bin/true", ["true"]))
    var status: Int32 = 0
    #expect(unsafe waitpid(child.identifier, &status, 0) == child.identifier)
    #expect(child.wait().status == ChildProcess.lostStatus)
    for asks in [true, false] {
      let live = try #require(LiveChild.run("/bin/true", ["true"]))
      #expect(unsafe waitpid(live.identifier, &status, 0) == live.identifier)
      #expect((asks ? live.statusIfEnded() : live.join()) == ChildProcess.lostStatus)
    }
    let good = try #require(LiveChild.run("/bin/true", ["true"]))
    #expect(good.join() == 0)
  }
}
