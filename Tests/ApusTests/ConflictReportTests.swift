// PRAGMA concurrent_conflicts: why transactions were lost, how many have committed, and how many commits each sync has served.

import ApusBase
import ApusIO
import Foundation
import Testing

@testable import Apus
@testable import ApusStorage

private let birds = "CREATE TABLE bird(id INTEGER PRIMARY KEY, name TEXT UNIQUE, note);"
  + " CREATE TABLE nest(a, b, PRIMARY KEY (a, b)) WITHOUT ROWID; INSERT INTO nest VALUES (1, 'x'), (2, 'y');"
  + " INSERT INTO bird VALUES (1, 'wren', NULL), (2, 'rook', NULL), (9, 'owl', NULL)"

/// What one transaction commits while another one is open, and how that is counted.
struct LossCase: CustomTestStringConvertible, Sendable {
  var first: String
  var second: String
  var table: String?
  var kind: ConcurrentConflicts.Kind
  var testDescription: String { "\(kind)" }
}

@Suite struct ConflictReportTests {
  /// Without the sizes of groups, of which each sync is one.
  private func rows(_ connection: Connection, _ sql: String = "PRAGMA concurrent_conflicts") throws -> [[String]] {
    let statement = try connection.prepareBlocking(sql)
    defer { statement.finalize() }
    var rows: [[String]] = []
    while try statement.stepBlocking() {
      rows.append(
        (0..<statement.columnCount).map { column in
          let value = statement.column(column)
          return value.isNull ? "NULL" : value.kind == .integer ? "\(value.integerValue)" : value.bytes.string
        })
    }
    return rows.filter { !$0[1].contains("group") }
  }

  private func totals(_ schema: String = "main", commits: Int = 0, rebases: Int = 0) -> [[String]] {
    [("commits", commits), ("rebases", rebases)].map { [schema, $0.0, "NULL", "NULL", "\($0.1)"] }
  }

  static let cases = [
    LossCase(
      first: "UPDATE bird SET note = 1 WHERE id = 1", second: "UPDATE bird SET note = 2 WHERE id = 1", table: "bird", kind: .key),
    LossCase(
      first: "UPDATE nest SET a = 7 WHERE a = 1", second: "DELETE FROM nest WHERE a = 1", table: "nest", kind: .key),
    LossCase(
      first: "INSERT INTO bird(id) VALUES (5)",
      second: "SELECT count(*) FROM bird WHERE id BETWEEN 4 AND 8; UPDATE bird SET note = 1 WHERE id = 1", table: "bird",
      kind: .range),
    LossCase(
      first: "INSERT INTO bird(name) VALUES ('jay')", second: "INSERT INTO bird(name) VALUES ('jay')", table: "bird",
      kind: .indexKey),
    LossCase(
      first: "INSERT INTO bird VALUES (20, 'jay', 1)",
      second: "SELECT * FROM bird WHERE name = 'jay'; UPDATE bird SET note = 1 WHERE id = 1", table: "bird", kind: .indexRange),
    LossCase(first: "DELETE FROM bird", second: "UPDATE bird SET note = 2 WHERE id = 1", table: "bird", kind: .allRows),
    // A header field has no key.
    LossCase(
      first: "PRAGMA user_version = 4", second: "PRAGMA user_version; UPDATE bird SET note = 2 WHERE id = 1", kind: .page),
    LossCase(first: "CREATE TABLE egg(x)", second: "UPDATE bird SET note = 2 WHERE id = 1", kind: .schema),
    LossCase(first: "UPDATE bird SET note = 2 WHERE id = 1", second: "CREATE TABLE egg(x)", kind: .schemaChange),
  ]

  @Test("a lost transaction counts once, under its table and kind", arguments: cases)
  func eachKind(test: LossCase) throws {
    let bench = try TwoWriters(birds)
    try bench.beginBoth()
    try bench.second.execute(test.second)
    try bench.first.execute(test.first + "; COMMIT")
    #expect(try rows(bench.first) == totals(commits: 1))
    for _ in 0..<3 { #expect(bench.second.failure("COMMIT") == .busySnapshot) }
    #expect(bench.second.failure("SELECT 1 FROM bird") == .busySnapshot)
    let loss = [["main", "lost", test.table ?? "NULL", test.kind.rawValue, "1"]]
    // The lost transaction, too, can ask why.
    for connection in [bench.second, bench.first] { #expect(try rows(connection) == loss + totals(commits: 1)) }
    try bench.second.execute("ROLLBACK")
    #expect(try rows(bench.second) == loss + totals(commits: 1))
    let report = bench.second.concurrentConflicts()
    #expect(report?.losses == [.init(table: test.table, kind: test.kind, count: 1)])
    #expect(report?.lossCount == 1 && report?.commitCount == 1)
  }

  @Test("a log that is not the one of the snapshot any more, or whose index is damaged", arguments: [true, false])
  func lostLog(isDamaged: Bool) throws {
    let bench = try TwoWriters(birds)
    try bench.second.execute("BEGIN CONCURRENT; UPDATE bird SET note = 2 WHERE id = 1")
    // As another process leaves it that has recovered the log, or has died in the midst of that.
    let memory = try bench.environment.open("/a.db", .readWrite).openSharedMemory(readOnly: false)
    let index = WALIndex(memory)
    let header = try #require(try index.readHeader())
    var other = header
    other.salts &+= 5 << 32
    if isDamaged {
      try #require(try memory.region(0, extend: false)).fill(0, 2 * WALIndexHeader.byteCount)
    } else {
      try index.writeHeader(other)
    }
    let refusal = bench.second.refusal("COMMIT")
    #expect(refusal?.code == .busySnapshot)
    let cause = isDamaged ? "the wal-index was damaged" : "the log was replaced by another process"
    #expect(refusal?.cause == cause + " since this transaction began")
    #expect(try rows(bench.first) == [["main", "lost", "NULL", "log", "1"]] + totals())
    try index.writeHeader(header)
    memory.close(delete: false)
    try bench.second.execute("ROLLBACK; UPDATE bird SET note = 3 WHERE id = 1")
    try bench.check()
  }

  @Test("a log that is cut to nothing again and again below a transaction is the same log")
  func emptiedLog() throws {
    let bench = try TwoWriters(birds)
    try bench.first.execute("PRAGMA wal_checkpoint")
    try bench.second.execute("BEGIN CONCURRENT; UPDATE bird SET note = 2 WHERE id = 1")
    for _ in 0..<3 { #expect(try bench.first.text("PRAGMA wal_checkpoint(truncate)") == ["0|0|0"]) }
    #expect(bench.second.refusal("COMMIT") == nil)
    try bench.check()
  }

  @Test(
    "a commit that was written, and not published, before the first concurrent transaction began is this process's own")
  func pendingIsOwn() throws {
    let bench = try TwoWriters(birds)
    let third = try bench.another()
    for connection in [bench.first, bench.second, third] {
      try connection.execute("PRAGMA synchronous = full; SELECT * FROM bird")
    }
    let writing = try Stepped(bench.first, "UPDATE bird SET note = 1 WHERE id = 1")
    while case .pending(let wait) = try writing.statement.step() {
      // Whoever gets the turn does so behind the commit, which nobody sees yet.
      if third.failure("BEGIN IMMEDIATE") == nil { break }
      bench.first.wait(for: wait)
    }
    try bench.second.execute("BEGIN CONCURRENT; UPDATE bird SET note = 2 WHERE id = 1")
    _ = try writing.goOn { _ in true }
    try third.execute("ROLLBACK")
    writing.statement.finalize()
    let refusal = bench.second.refusal("COMMIT")
    #expect(
      refusal?.cause?.hasSuffix("changed by another transaction since this one began") == true,
      "\(String(describing: refusal))")
    #expect(try rows(third) == [["main", "lost", "NULL", "page", "1"]] + totals())
    try bench.second.execute("ROLLBACK")
    #expect(try bench.second.value("SELECT note FROM bird WHERE id = 1") == "1")
    for connection in [bench.first, bench.second, third] { try connection.closeBlocking() }
  }

  @Test("counts add up, most first; who only reads, rolls back or is ordinary is no commit")
  func addsUp() throws {
    let bench = try TwoWriters(birds)
    for (table, times) in [("bird", 1), ("nest", 2)] {
      let change = table == "bird" ? "UPDATE bird SET note = 1 WHERE id = 1" : "UPDATE nest SET b = 'z' || b WHERE a = 1"
      for _ in 0..<times {
        try bench.beginBoth()
        for connection in [bench.first, bench.second] { try connection.execute(change) }
        try bench.first.execute("COMMIT")
        #expect(bench.second.failure("COMMIT") == .busySnapshot)
        try bench.second.execute("ROLLBACK; UPDATE bird SET note = 3 WHERE id = 9")
      }
    }
    try bench.first.execute("BEGIN CONCURRENT; SELECT * FROM bird; COMMIT")
    try bench.first.execute("BEGIN CONCURRENT; UPDATE bird SET note = 5; ROLLBACK")
    try bench.first.execute("BEGIN IMMEDIATE; UPDATE bird SET note = 6; COMMIT")
    #expect(
      try rows(bench.second) == [["main", "lost", "nest", "key", "2"], ["main", "lost", "bird", "key", "1"]] + totals(commits: 3))
  }

  @Test("a rebase is counted with its commit")
  func rebases() throws {
    let bench = try TwoWriters(birds)
    try bench.beginBoth()
    for connection in [bench.first, bench.second] { try connection.execute("INSERT INTO bird(note) VALUES (1)") }
    for connection in [bench.first, bench.second] { try connection.execute("COMMIT") }
    #expect(try rows(bench.first) == totals(commits: 2, rebases: 1))
  }

  @Test("a transaction that begins with the turn, as it was lost three times, is a commit like any")
  func byRight() throws {
    let bench = try TwoWriters(birds)
    bench.second.busyTimeoutMilliseconds = 1000
    let change = "UPDATE bird SET note = ifnull(note, 0) + 1 WHERE id = 1"
    for round in 1...4 {
      try bench.second.execute("BEGIN CONCURRENT; \(change)")
      if round == 4 {
        #expect(bench.first.failure("PRAGMA busy_timeout = 0; \(change)") == .busy)
        try bench.second.execute("COMMIT")
      } else {
        try bench.first.execute(change)
        #expect(bench.second.failure("COMMIT") == .busySnapshot)
        try bench.second.execute("ROLLBACK")
      }
    }
    #expect(try rows(bench.first) == [["main", "lost", "bird", "key", "3"]] + totals(commits: 1))
  }

  @Test("without a log, in memory, read-only, attached: what there is to report is reported under the schema's name")
  func names() throws {
    let environment = MemoryEnvironment()
    let first = try Connection("/a.db", environment: environment)
    try first.execute("CREATE TABLE t(id INTEGER PRIMARY KEY, n); INSERT INTO t VALUES (1, 0)")
    #expect(try rows(first) == totals(), "a rollback journal")
    try first.execute("BEGIN CONCURRENT; UPDATE t SET n = 1; COMMIT")
    #expect(try rows(first) == totals(), "it was BEGIN")
    try first.execute("PRAGMA journal_mode = wal; ATTACH '/b.db' AS other; ATTACH ':memory:' AS memory")
    try first.execute("PRAGMA other.journal_mode = wal; CREATE TABLE other.u(id INTEGER PRIMARY KEY, n)")
    try first.execute("INSERT INTO other.u VALUES (1, 0); CREATE TEMP TABLE own(x)")
    let second = try Connection("/b.db", environment: environment)
    try second.execute("BEGIN CONCURRENT; UPDATE u SET n = 1")
    try first.execute("BEGIN CONCURRENT; UPDATE u SET n = 2; COMMIT")
    #expect(second.failure("COMMIT") == .busySnapshot)
    let loss = ["other", "lost", "u", "key", "1"]
    #expect(try rows(first) == totals() + [loss] + totals("other", commits: 1))
    #expect(try rows(first, "PRAGMA other.concurrent_conflicts") == [loss] + totals("other", commits: 1))
    #expect(try rows(first, "PRAGMA memory.concurrent_conflicts") == [])
    #expect(try rows(first, "PRAGMA temp.concurrent_conflicts") == [])
    #expect(first.concurrentConflicts(of: "OTHER")?.lossCount == 1)
    #expect(first.concurrentConflicts(of: "memory") == nil && first.concurrentConflicts(of: "nobody") == nil)
    var options = Connection.Options()
    options.isReadOnly = true
    let reader = try Connection("/b.db", options, environment: environment)
    #expect(try rows(reader).first == ["main", "lost", "u", "key", "1"])
    let statement = try reader.prepareBlocking("PRAGMA concurrent_conflicts")
    #expect(statement.columns.map(\.name) == ["schema", "measure", "table", "kind", "count"])
    #expect(statement.isReadOnly)
    statement.finalize()
    try first.execute("PRAGMA concurrent_conflicts = 0")
    #expect(first.warnings == ["PRAGMA concurrent_conflicts: the value '0' has no effect"])
  }

  @Test("the door gives the same report, to tasks and to threads")
  func door() async throws {
    let directory = FileManager.default.temporaryDirectory.appendingPathComponent("apus-report-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: directory) }
    var configuration = Configuration()
    configuration.concurrentWriters = 2
    let database = try await Database.open(directory.appendingPathComponent("c.db").path, configuration)
    try await database.write { transaction in
      try await transaction.execute("CREATE TABLE t(id INTEGER PRIMARY KEY, n)")
      try await transaction.execute("INSERT INTO t VALUES (1, 0)")
    }
    await #expect(throws: ApusError.self) {
      try await database.write(.concurrent) { transaction in
        try await transaction.execute("UPDATE t SET n = 1")
        try await database.write(.concurrent) { other in try await other.execute("UPDATE t SET n = 2") }
      }
    }
    let report = try await database.concurrentConflicts()
    #expect(report.losses == [.init(table: "t", kind: .key, count: 1)])
    #expect(report.commitCount == 1 && report.groupedCommitCount >= 1)
    #expect(try database.blocking.concurrentConflicts() == report)
    try await database.close()
    await #expect(throws: ApusError.self) { try await database.concurrentConflicts() }
    let memory = try await Database.open(":memory:")
    #expect(try await memory.concurrentConflicts() == ConcurrentConflicts())
    try await memory.close()
  }
}
