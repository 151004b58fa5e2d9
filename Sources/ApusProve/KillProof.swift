// Processes of ours are killed (SIGKILL) at random moments: in transactions, commits, checkpoints, switches of the journal
// mode and recoveries. Whoever opens the file next, our engine or SQLite, finds it whole, with every transaction that was
// acknowledged, and at most the one more whose commit was under way.

import ApusBase
import ApusHarness
import Glibc

struct KillProof {
  let options: ProveCommand.Options
  let sqlite: any HarnessEngine
  let ours: any HarnessEngine = ApusEngine()

  static let modes = ["delete", "truncate", "persist", "wal"]
  private static let suffixes = ["", "-journal", "-wal", "-shm"]
  /// Rounds on one file.
  private static let roundsPerFile = 100
  /// So many rounds and more have commits among them, and so many everything that is counted.
  private static let roundsForCommits = 40, roundsForAll = 500

  init(_ options: ProveCommand.Options) throws {
    self.options = options
    sqlite = try SQLiteLibrary()
  }

  // MARK: - The parent

  private struct Tally {
    var kills = 0, commits: Int64 = 0, inDoubt = 0, journals = 0, logs = 0, recoveries = 0
  }

  func run() -> Bool {
    let path = "\(options.directory)/apus-prove-\(options.tag)-kills.db"
    let started = Console.nanoseconds()
    var tally = Tally()
    var random = SeededRandom(seed: options.seed)
    var plan = KillPlan(seed: 0)
    for round in 0..<options.rounds {
      do {
        if round % Self.roundsPerFile == 0 {
          remove(path)
          plan = KillPlan(seed: random.next() >> 8)
          try create(path, &random)
        }
        try self.round(round, path, &plan, &random, &tally)
      } catch {
        Console.line("kills: round \(round), seed \(options.seed): \((error as? ProofFailure)?.text ?? "\(error)")")
        Console.line("  the files are kept: \(path)*")
        return false
      }
    }
    remove(path)
    if let lack = lack(tally) {
      Console.line("kills: \(options.rounds) rounds, seed \(options.seed): \(lack)")
      return false
    }
    let seconds = Double(Console.nanoseconds() - started) / 1e9
    Console.line(
      "kills: \(options.rounds) rounds, \(tally.kills) kills, \(tally.commits) commits (\(tally.inDoubt) in doubt survived), left "
        + "\(tally.journals) journals and \(tally.logs) logs, \(tally.recoveries) recoveries killed, "
        + "\(Int(Double(options.rounds) / seconds)) rounds/s: ok")
    return true
  }

  /// What a run without a failure has not met that it should have; nil where it has met all.
  private func lack(_ tally: Tally) -> String? {
    if tally.kills == 0 || tally.kills != options.rounds { return "\(tally.kills) kills" }
    if options.rounds >= Self.roundsForCommits, tally.commits == 0 { return "no commits" }
    if options.rounds < Self.roundsForAll { return nil }
    if tally.commits < Int64(options.rounds / 10) { return "\(tally.commits) commits" }
    if tally.journals == 0 { return "no kill has left a journal" }
    if tally.logs == 0 { return "no kill has left a log" }
    return tally.recoveries == 0 ? "no recovery was killed" : nil
  }

  private func remove(_ path: String) { for suffix in Self.suffixes { Console.remove(path + suffix) } }

  private func create(_ path: String, _ random: inout SeededRandom) throws {
    let sizes = [512, 1024, 4096, 4096, 16384, 65536]
    let connection = try (random.oneIn(2) ? ours : sqlite).open(path, readOnly: false)
    defer { connection.close() }
    try connection.execute("PRAGMA page_size = \(sizes[random.below(sizes.count)])")
    try connection.execute(KillPlan.schema)
  }

  private func round(
    _ round: Int, _ path: String, _ plan: inout KillPlan, _ random: inout SeededRandom, _ tally: inout Tally
  ) throws {
    let arguments = [
      "kills", "--child", "--database", path, "--seed", "\(plan.seed)", "--mode", Self.modes[random.below(Self.modes.count)],
      "--number", "\(random.next() >> 8)",
    ]
    guard let child = LiveChild.again(arguments) else { throw ProofFailure("cannot start a child process") }
    var lines: [String] = []
    // Mostly the first milliseconds matter: recovery, the switch of the mode, the first commits.
    if random.oneIn(3) {
      usleep(UInt32(2000 + random.below(20_000)))
    } else {
      // On a machine that has other things to do it takes its time to begin.
      LiveChild.wait(for: [child], milliseconds: 2000)
      if random.oneIn(2) { lines = Self.linesUntilCommit(of: child) }
      usleep(UInt32(random.below(random.oneIn(8) ? 80_000 : 15_000)))
    }
    let status = child.end()
    var acknowledged = plan.number
    for line in lines + child.lines() {
      let words = line.split(separator: " ", maxSplits: 1).map(String.init)
      switch words.first {
      case "O": break
      case "A": acknowledged = Int64(words.last ?? "") ?? acknowledged
      default: throw ProofFailure("the worker says: \(line)")
      }
    }
    if status != -SIGKILL { throw ProofFailure("the worker ended by itself: \(status)") }
    tally.kills += 1
    if (Console.contents(of: path + "-journal")?.first ?? 0) != 0 { tally.journals += 1 }
    if Console.exists(path + "-wal") { tally.logs += 1 }
    // A recovery is killed too, and begun again by somebody else.
    while random.oneIn(4) {
      guard let second = LiveChild.again(["kills", "--child", "--database", path, "--mode", "recover"]) else {
        throw ProofFailure("cannot start a child process")
      }
      usleep(UInt32(1000 + random.below(7000)))
      let status = second.end()
      for line in second.lines() where line != "R" { throw ProofFailure("a recovery says: \(line)") }
      if status != 0, status != -SIGKILL { throw ProofFailure("a recovery ended by itself: \(status)") }
      if status == -SIGKILL { tally.recoveries += 1 }
    }
    let who = random.oneIn(2) ? ours : sqlite
    let connection = try who.open(path, readOnly: false)
    defer { connection.close() }
    // The locks of a process that was killed in the midst of a request of io_uring's may outlive it by a moment.
    try connection.execute("PRAGMA busy_timeout = 2000")
    let number = try KillPlan.number(in: connection)
    if number < acknowledged || number > acknowledged + 1 {
      throw ProofFailure("\(who.name) finds transaction \(number); the last that was acknowledged is \(acknowledged)")
    }
    if number > acknowledged { tally.inDoubt += 1 }
    tally.commits += number - plan.number
    plan.advance(to: number)
    try plan.check(connection, who.name)
  }

  /// What a worker says until it has committed something, or for two seconds.
  private static func linesUntilCommit(of child: LiveChild) -> [String] {
    let limit = Console.nanoseconds() + 2_000_000_000
    var lines = child.lines()
    while !lines.contains(where: { $0.hasPrefix("A ") }), !child.isAtEnd, Console.nanoseconds() < limit {
      LiveChild.wait(for: [child], milliseconds: 100)
      lines += child.lines()
    }
    return lines
  }

  // MARK: - The worker

  /// Commits until it is killed; each commit is told as "A number" once it is acknowledged.
  func work() -> Int32 {
    do {
      try options.mode == "recover" ? recover() : commitForEver()
    } catch {
      Console.line("E \(error)")
    }
    return options.mode == "recover" ? 0 : 3
  }

  private func recover() throws {
    let connection = try ours.open(options.database, readOnly: false)
    try connection.execute("PRAGMA busy_timeout = 2000")
    _ = try KillPlan.number(in: connection)
    Console.line("R")
    connection.close()
  }

  private func commitForEver() throws {
    var random = SeededRandom(seed: UInt64(options.number))
    let plan = KillPlan(seed: options.seed)
    let connection = try ours.open(options.database, readOnly: false)
    try connection.execute("PRAGMA busy_timeout = 2000")
    if random.oneIn(5) { try connection.execute("PRAGMA locking_mode = exclusive") }
    if random.oneIn(4) { try connection.execute("PRAGMA journal_size_limit = \(random.below(30_000))") }
    try connection.execute("PRAGMA synchronous = \(["off", "normal", "full", "extra"][random.below(4)])")
    if random.oneIn(2) { try connection.execute("PRAGMA cache_size = 10") }
    if random.oneIn(2) { try connection.execute("PRAGMA wal_autocheckpoint = \([0, 5, 30][random.below(3)])") }
    try connection.takeJournalMode(options.mode)
    var number = try KillPlan.number(in: connection)
    Console.line("O")
    while true {
      if random.oneIn(12) {
        try connection.execute("BEGIN")
        for change in plan.changes(number + 100_000) { try KillPlan.execute(change, on: connection) }
        try connection.execute("ROLLBACK")
      }
      number += 1
      let isImmediate = random.oneIn(2), withSavepoint = random.oneIn(10)
      try connection.execute(isImmediate ? "BEGIN IMMEDIATE" : "BEGIN")
      for change in plan.changes(number) { try KillPlan.execute(change, on: connection) }
      if withSavepoint {
        try connection.execute("SAVEPOINT s")
        for change in plan.changes(number + 200_000) { try KillPlan.execute(change, on: connection) }
        try connection.execute("ROLLBACK TO s; RELEASE s")
      }
      try connection.execute("UPDATE state SET n = \(number)")
      try connection.execute("COMMIT")
      Console.line("A \(number)")
      if random.oneIn(15) {
        _ = try connection.rows("PRAGMA wal_checkpoint(\(["PASSIVE", "FULL", "RESTART", "TRUNCATE"][random.below(4)]))")
      }
      if random.oneIn(30) {
        try connection.takeJournalMode(Self.modes[random.below(Self.modes.count)])
      }
    }
  }
}
