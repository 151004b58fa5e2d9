// One process of `mixed`: transactions, reads that hold the invariants against the file, checkpoints. What it does, the
// script for Python's apsw in MixedScript.swift does too. It tells its parent, a line each:
//
//   S n      it has begun, and its counter is n          P n      it rests while the pause file says n
//   A n      its transaction n was acknowledged          E text   something is wrong

import ApusBase
import ApusHarness
import Glibc

struct MixedWorker {
  static let accountCount = 50, balance = 1000, kept = 30
  static let schema = """
    CREATE TABLE t(id INTEGER PRIMARY KEY, writer INTEGER, n INTEGER, v INTEGER, pad TEXT);
    CREATE INDEX tw ON t(writer, n);
    CREATE TABLE counters(writer INTEGER PRIMARY KEY, n INTEGER, total INTEGER) WITHOUT ROWID;
    CREATE TABLE accounts(id INTEGER PRIMARY KEY, balance INTEGER);
    """

  private let options: ProveCommand.Options
  private let engine: any HarnessEngine
  private var random: SeededRandom
  private var connection: any HarnessConnection
  /// Reads too: connections of one process share pages.
  private var second: any HarnessConnection
  private let writer: Int
  private var number: Int64 = 0

  init(_ options: ProveCommand.Options) throws {
    self.options = options
    engine = options.engine == "apus" ? ApusEngine() : try SQLiteLibrary()
    random = SeededRandom(seed: options.seed)
    writer = options.number
    connection = try engine.open(options.database, readOnly: false)
    second = try engine.open(options.database, readOnly: false)
  }

  /// Goes on until it is killed.
  static func work(_ options: ProveCommand.Options) -> Int32 {
    do {
      var worker = try MixedWorker(options)
      do {
        try worker.begin()
        while true { try worker.step() }
      } catch {
        let both = [worker.connection, worker.second].compactMap { ($0 as? ApusConnection)?.connection.lastError }
        let detail = both.map { " \($0)" }.joined()
        let text = (error as? ProofFailure)?.text ?? "\(error)"
        Console.line("E \(worker.engine.name) writer \(worker.writer): \(text)\(detail)")
      }
    } catch {
      Console.line("E \(error)")
    }
    return 3
  }

  private mutating func begin() throws {
    try configure()
    number = try eventually { try $0.counter() }
    Console.line("S \(number)")
  }

  private mutating func step() throws {
    let pause = options.database + ".pause"
    // While it is empty it is being written.
    if let number = Console.contents(of: pause), !number.isEmpty {
      Console.line("P \(String(decoding: number, as: UTF8.self))")
      while Console.contents(of: pause) == number { usleep(5000) }
    }
    switch random.below(100) {
    case 0..<55: try transaction(isBig: random.oneIn(40))
    case 55..<85: try read()
    case 85..<93: try checkpoint()
    case 93..<96:
      connection.close()
      connection = try engine.open(options.database, readOnly: false)
      try configure()
    default: usleep(UInt32(random.below(3000)))
    }
  }

  private mutating func configure() throws {
    let timeout = [0, 1, 20, 1000][random.below(4)], cache = [10, 50, 1000][random.below(3)]
    let synchronous = ["normal", "full", "off"][random.below(3)], frames = [20, 200, 1000][random.below(3)]
    _ = try eventually { worker in
      try worker.connection.execute(
        "PRAGMA busy_timeout = \(timeout); PRAGMA cache_size = \(cache); PRAGMA synchronous = \(synchronous);"
          + "PRAGMA wal_autocheckpoint = \(frames)")
    }
  }

  private func isBusy(_ error: any Error) -> Bool {
    guard let failure = error as? EngineFailure else { return false }
    return failure.code & 0xff == 5 || options.engine != "apus" && failure.code & 0xff == 15
  }

  /// Tries until nobody is in the way.
  private mutating func eventually<R>(_ body: (inout MixedWorker) throws -> R) throws -> R {
    while true {
      do {
        return try body(&self)
      } catch {
        if !isBusy(error) { throw error }
        usleep(UInt32(200 + random.below(2000)))
      }
    }
  }

  /// False where somebody is in the way.
  private mutating func attempt(_ body: (inout MixedWorker) throws -> Void) throws -> Bool {
    do {
      try body(&self)
      return true
    } catch {
      if !isBusy(error) { throw error }
      try? connection.execute("ROLLBACK")
      usleep(UInt32(random.below(1500)))
      return false
    }
  }

  private func integer(_ sql: String) throws -> Int64 {
    guard case .integer(let value)? = try connection.rows(sql).rows.first?.first else { return 0 }
    return value
  }

  private func counter() throws -> Int64 { try integer("SELECT n FROM counters WHERE writer = \(writer)") }

  private mutating func transaction(isBig: Bool) throws {
    let begin = ["BEGIN", "BEGIN IMMEDIATE", "BEGIN IMMEDIATE", "BEGIN EXCLUSIVE"][random.below(4)]
    let rows = isBig ? 40 + random.below(150) : 1 + random.below(4), isUndone = random.oneIn(12)
    let next = number + 1
    let isDone = try attempt { worker in
      try worker.connection.execute(begin)
      let found = try worker.counter()
      if found != worker.number { throw ProofFailure("the counter is \(found), but \(worker.number) was acknowledged") }
      var total: Int64 = 0
      for _ in 0..<rows {
        let value = Int64(worker.random.below(1000))
        let statement = try worker.connection.prepare("INSERT INTO t(writer, n, v, pad) VALUES (?, ?, ?, ?)")
        defer { statement.finalize() }
        for (index, value) in [Int64(worker.writer), next, value].enumerated() {
          try statement.bind(integer: value, at: index + 1)
        }
        try statement.bind(.text(Self.pad(Int64(worker.writer), next, value)), at: 4)
        while try statement.step() {}
        total += value
      }
      let old = "FROM t WHERE writer = \(worker.writer) AND n < \(next - Int64(Self.kept))"
      total -= try worker.integer("SELECT coalesce(sum(v), 0) \(old)")
      try worker.connection.execute("DELETE \(old)")
      try worker.connection.execute(
        "UPDATE counters SET n = \(next), total = total + \(total) WHERE writer = \(worker.writer)")
      let from = worker.random.below(Self.accountCount), to = worker.random.below(Self.accountCount)
      let amount = worker.random.below(20)
      try worker.connection.execute("UPDATE accounts SET balance = balance - \(amount) WHERE id = \(from)")
      try worker.connection.execute("UPDATE accounts SET balance = balance + \(amount) WHERE id = \(to)")
    }
    if !isDone { return }
    if isUndone { return try connection.execute("ROLLBACK") }
    for _ in 0..<200 {
      do {
        try connection.execute("COMMIT")
        number = next
        Console.line("A \(number)")
        return
      } catch {
        if !isBusy(error) { throw error }
        usleep(UInt32(200 + random.below(1000)))
      }
    }
    try connection.execute("ROLLBACK")
  }

  /// What a row's pad holds: it follows from the row's other columns, as in the script.
  static func pad(_ writer: Int64, _ n: Int64, _ value: Int64) -> [UInt8] {
    let size = Int((value * 7919 + n * 13 + writer) % (value % 10 == 0 ? 9000 : 200))
    let unit = Array("\(writer):\(n):\(value);".utf8)
    return (0..<size).map { unit[$0 % unit.count] }
  }

  private mutating func read() throws {
    let reader = random.oneIn(2) ? connection : second
    let isDone = try attempt { worker in
      try reader.execute("BEGIN")
      if let complaint = try Self.complaint(reader) { throw ProofFailure(complaint) }
      if worker.random.oneIn(4), let complaint = try Self.complaintOfPads(reader) { throw ProofFailure(complaint) }
      let found = try reader.rows("SELECT n FROM counters WHERE writer = \(worker.writer)").rows
      if found != [[.integer(worker.number)]] {
        throw ProofFailure("reads the counter as \(found), but \(worker.number) was acknowledged")
      }
      try reader.execute("COMMIT")
    }
    if !isDone { try? reader.execute("ROLLBACK") }
  }

  /// What is wrong with the snapshot, nil where nothing is.
  static func complaint(_ connection: any HarnessConnection) throws(EngineFailure) -> String? {
    let money = try connection.rows("SELECT sum(balance), count(*) FROM accounts").rows
    if money != [[.integer(Int64(accountCount * balance)), .integer(Int64(accountCount))]] { return "accounts: \(money)" }
    let counters = try connection.rows("SELECT writer, n, total FROM counters ORDER BY writer").rows
    let scanned = try connection.rows(
      "SELECT writer, max(n), sum(v), count(*) FROM (SELECT +writer AS writer, n, v, pad FROM t) GROUP BY writer").rows
    for row in counters {
      let table = scanned.first { $0[0] == row[0] }
      let expected = table.map { [$0[0], $0[1], $0[2]] } ?? [row[0], .integer(0), .integer(0)]
      if row != expected { return "counters say \(row), the table \(expected)" }
      let indexed = try connection.rows("SELECT count(*), max(n) FROM t WHERE writer = \(row[0])").rows
      if let table, indexed != [[table[3], table[1]]] { return "the index says \(indexed), the table \(table)" }
    }
    return nil
  }

  /// What is wrong with the rows' pads, nil where nothing is.
  static func complaintOfPads(_ connection: any HarnessConnection) throws(EngineFailure) -> String? {
    for row in try connection.rows("SELECT writer, n, v, pad FROM t").rows {
      guard case .integer(let writer) = row[0], case .integer(let n) = row[1], case .integer(let value) = row[2] else {
        return "a row \(row[0]), \(row[1]), \(row[2])"
      }
      let expected = pad(writer, n, value)
      if row[3] == .text(expected) { continue }
      let difference = Payload.difference(expected: expected, found: row[3])
      return "writer \(writer), transaction \(n), value \(value): \(difference)"
    }
    return nil
  }

  private mutating func checkpoint() throws {
    if options.journal != "wal" { return }
    let mode = ["PASSIVE", "FULL", "RESTART", "TRUNCATE"][random.below(4)]
    _ = try attempt { worker in _ = try worker.connection.rows("PRAGMA wal_checkpoint(\(mode))") }
  }
}
