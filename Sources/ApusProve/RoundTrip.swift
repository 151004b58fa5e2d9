// Files that our engine writes are whole for real SQLite and hold what the model holds; files that SQLite writes, also
// those of a killed process, are recovered, changed and handed back; both engines take turns on one live file.

import ApusBase
import ApusHarness
import Glibc

struct RoundTrip {
  let options: ProveCommand.Options
  let ours: any HarnessEngine = ApusEngine()
  let sqlite: any HarnessEngine

  static let pageSizes = [512, 1024, 4096, 65536]
  static let modes = ["delete", "wal"]
  /// Most databases are UTF-8.
  static let encodings = ["UTF-8", "UTF-16le", "UTF-8", "UTF-16be"]
  private static let suffixes = ["", "-journal", "-wal", "-shm"]

  init(_ options: ProveCommand.Options) throws {
    self.options = options
    sqlite = try SQLiteLibrary()
  }

  private func path(_ name: String) -> String { "\(options.directory)/apus-prove-\(options.tag)-\(name).db" }

  private func remove(_ path: String) { for suffix in Self.suffixes { Console.remove(path + suffix) } }

  /// Runs `body` for every page size and journal mode.
  private func forEachKind(_ what: String, _ body: (Int, String, UInt64) throws -> Void) -> Bool {
    var isGood = true
    for size in options.pageSize.map({ [$0] }) ?? Self.pageSizes {
      for (place, mode) in Self.modes.enumerated() {
        let seed = options.seed &* 1000 &+ UInt64(size * 2 + place)
        do {
          try body(size, mode, seed)
        } catch {
          isGood = false
          let text = (error as? ProofFailure)?.text ?? "\(error)"
          Console.line("\(what): page size \(size), \(mode), seed \(options.seed): \(text)")
        }
      }
    }
    return isGood
  }

  private func configure(_ connection: any HarnessConnection, _ size: Int, _ mode: String) throws {
    try connection.takeJournalMode(mode)
    let found = try connection.rows("PRAGMA page_size").rows
    if found != [[.integer(Int64(size))]] { throw ProofFailure("page_size is \(found)") }
  }

  private func create(
    _ engine: any HarnessEngine, _ path: String, _ size: Int, _ mode: String, autoVacuum: Int, _ encoding: String
  ) throws -> any HarnessConnection {
    remove(path)
    let connection = try engine.open(path, readOnly: false)
    try connection.execute("PRAGMA page_size = \(size); PRAGMA auto_vacuum = \(autoVacuum)")
    try connection.execute("PRAGMA encoding = '\(encoding)'")
    try configure(connection, size, mode)
    try connection.execute(TableModel.schema)
    return connection
  }

  // MARK: - Our files

  func runTransactions() -> Bool {
    let kinds = (options.pageSize == nil ? Self.pageSizes.count : 1) * Self.modes.count
    let count = (options.transactions + kinds - 1) / kinds, batch = 25
    var total = 0, batches = 0
    let isGood = forEachKind("round-trip") { size, mode, seed in
      let path = path("round-\(size)-\(mode)")
      defer { remove(path) }
      var random = SeededRandom(seed: seed)
      var model = TableModel(isVerbose: options.isVerbose)
      let autoVacuum = options.autoVacuum ?? random.below(3)
      let encoding = options.encoding ?? Self.encodings[random.below(4)]
      var connection = try create(ours, path, size, mode, autoVacuum: autoVacuum, encoding)
      for number in 1...count {
        do {
          try model.runTransaction(&random, on: connection)
        } catch {
          throw ProofFailure("transaction \(number): \((error as? ProofFailure)?.text ?? "\(error)")")
        }
        total += 1
        if autoVacuum == 2, random.oneIn(8) {
          try connection.execute("PRAGMA incremental_vacuum(\(random.below(20)))")
        }
        guard number % batch == 0 || number == count else { continue }
        batches += 1
        do {
          try model.check(connection, "ours")
          if random.oneIn(3) {
            connection.close()
            try checkFile(model, path)
            try checkName(path)
            connection = try ours.open(path, readOnly: false)
            // A small cache: pages are spilled before their transaction ends.
            if random.oneIn(2) { try connection.execute("PRAGMA cache_size = 10") }
          } else {
            try checkFile(model, path)
          }
        } catch {
          throw ProofFailure("after transaction \(number): \((error as? ProofFailure)?.text ?? "\(error)")")
        }
      }
      connection.close()
      try checkFile(model, path)
    }
    Console.line("round-trip: \(total) transactions in \(batches) batches: \(isGood ? "ok" : "failed")")
    return isGood
  }

  /// Opening a file that somebody has removed would make an empty one: "no such table" would then be nobody's fault.
  private func checkName(_ path: String) throws {
    if !Console.exists(path) { throw ProofFailure("\(path) is gone: something else has removed it") }
  }

  private func checkFile(_ model: TableModel, _ path: String) throws {
    try checkName(path)
    let reference = try sqlite.open(path, readOnly: false)
    defer { reference.close() }
    try model.check(reference, "SQLite")
  }

  // MARK: - SQLite's files

  func runHandovers() -> Bool {
    var rounds = 0
    let isGood = forEachKind("handover") { size, mode, seed in
      var unfinishedCount = 0
      for round in 0..<max(1, options.rounds / 8) {
        var random = SeededRandom(seed: seed &* 1000 &+ UInt64(round))
        do {
          if try handOver(size, mode, &random) { unfinishedCount += 1 }
          try takeTurns(size, mode, &random)
        } catch {
          throw ProofFailure("round \(round): \((error as? ProofFailure)?.text ?? "\(error)")")
        }
        rounds += 1
      }
      if unfinishedCount == 0 { throw ProofFailure("SQLite never left a journal or a log") }
    }
    Console.line("handover: \(rounds) rounds: \(isGood ? "ok" : "failed")")
    return isGood
  }

  /// What a killed SQLite leaves is what it was at that moment: its files are copied in mid-transaction.
  /// - Returns: whether there was a journal or a log among them: a transaction of few pages stays in memory.
  private func handOver(_ size: Int, _ mode: String, _ random: inout SeededRandom) throws -> Bool {
    let source = path("source"), left = path("left"), twin = path("twin")
    defer { for path in [source, left, twin] { remove(path) } }
    var model = TableModel(isVerbose: options.isVerbose)
    let writer = try create(sqlite, source, size, mode, autoVacuum: random.below(3), Self.encodings[random.below(4)])
    defer { writer.close() }
    for _ in 0..<20 { try model.runTransaction(&random, on: writer) }
    // Committed pages in the log, or pages of an unfinished transaction in file and log.
    try writer.execute("PRAGMA cache_size = 1; PRAGMA cache_spill = 1; BEGIN")
    try writer.execute("UPDATE t SET d = d || 'unfinished', c = 99; INSERT INTO w SELECT 'x' || k, NULL, d, c FROM t")
    let isUnfinished = hasBytes(source + (mode == "delete" ? "-journal" : "-wal"))
    for suffix in Self.suffixes {
      // The wal-index is sometimes missing, as after a copy.
      if suffix == "-shm", random.oneIn(2) { continue }
      guard let bytes = Console.contents(of: source + suffix) else { continue }
      guard Console.put(bytes, to: left + suffix) else { throw ProofFailure("cannot write \(left)") }
    }
    try writer.execute("ROLLBACK")
    try model.check(writer, "SQLite, the source")
    let connection = try ours.open(left, readOnly: false)
    try model.check(connection, "ours, recovered")
    for _ in 0..<10 { try model.runTransaction(&random, on: connection) }
    try model.check(connection, "ours, changed")
    if random.oneIn(2) { connection.close() }
    let reference = try sqlite.open(left, readOnly: false)
    try model.check(reference, "SQLite, handed back")
    for _ in 0..<10 { try model.runTransaction(&random, on: reference) }
    reference.close()
    let last = try ours.open(left, readOnly: false)
    try model.check(last, "ours, again")
    last.close()
    connection.close()
    return isUnfinished
  }

  private func hasBytes(_ path: String) -> Bool { (Console.contents(of: path)?.count ?? 0) > 512 }

  /// Both engines have one file open and write in turn.
  private func takeTurns(_ size: Int, _ mode: String, _ random: inout SeededRandom) throws {
    let path = path("turns")
    defer { remove(path) }
    var model = TableModel(isVerbose: options.isVerbose)
    let first = try create(
      random.oneIn(2) ? ours : sqlite, path, size, mode, autoVacuum: random.below(3), Self.encodings[random.below(4)])
    first.close()
    var connections = [try ours.open(path, readOnly: false), try sqlite.open(path, readOnly: false)]
    defer { for connection in connections.reversed() { connection.close() } }
    for turn in 0..<30 {
      let writer = random.below(2)
      do {
        try model.runTransaction(&random, on: connections[writer])
        if random.oneIn(3) { try model.check(connections[1 - writer], writer == 0 ? "SQLite" : "ours") }
        if random.oneIn(10) {
          // SQLite's locks are its process's: a descriptor of ours that closes would drop them, so SQLite goes first.
          let both = random.oneIn(2)
          connections[1].close()
          if both {
            connections[0].close()
            connections[0] = try ours.open(path, readOnly: false)
          }
          connections[1] = try sqlite.open(path, readOnly: false)
        }
        if mode == "wal", random.oneIn(10) { _ = try connections[random.below(2)].rows("PRAGMA wal_checkpoint") }
      } catch {
        throw ProofFailure("turn \(turn), writer \(writer): \((error as? ProofFailure)?.text ?? "\(error)")")
      }
    }
    for (place, connection) in connections.enumerated() { try model.check(connection, place == 0 ? "ours" : "SQLite") }
  }
}
