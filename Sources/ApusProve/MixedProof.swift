// Processes of ours and of SQLite read, write and checkpoint one file, and any of them is killed at any moment and started
// again. No error but BUSY; no snapshot that breaks an invariant; nothing lost that was acknowledged; whole for both engines.

import ApusBase
import ApusHarness
import Glibc

struct MixedProof {
  let options: ProveCommand.Options
  private let sqlite: any HarnessEngine
  private let ours: any HarnessEngine = ApusEngine()
  private let path: String
  private let script: String
  private var pauseCount: Int64 = 0
  /// Each writer commits at least once in so many seconds, on a machine that has other things to do too.
  private static let secondsPerCommit = 5

  private final class Member {
    let writer: Int
    let isOurs: Bool
    var child: LiveChild?
    /// The last transaction that was acknowledged; the next one may be in the file while nobody has said so.
    var acknowledged: Int64 = 0
    var hasBegun = false, rests = false
    var commits = 0

    init(writer: Int, isOurs: Bool) {
      self.writer = writer
      self.isOurs = isOurs
    }
  }

  init(_ options: ProveCommand.Options) throws {
    self.options = options
    sqlite = try SQLiteLibrary()
    path = "\(options.directory)/apus-prove-\(options.tag)-mixed.db"
    script = path + ".py"
  }

  mutating func run() throws -> Bool {
    var random = SeededRandom(seed: options.seed)
    try create(&random)
    let hasScript = Self.knowsScript && Console.put(Array(MixedScript.text.utf8), to: script)
    let members = (0..<(options.apusCount + options.sqliteCount)).map {
      Member(writer: $0, isOurs: $0 < options.apusCount)
    }
    var killCount = 0, checkCount = 0
    let started = Console.nanoseconds()
    let end = started + UInt64(options.seconds) * 1_000_000_000
    var nextKill = started, nextCheck = started + 2_000_000_000
    do {
      defer {
        Console.remove(path + ".pause")
        for member in members { member.child?.end() }
      }
      for member in members { try start(member, hasScript, &random) }
      while Console.nanoseconds() < end {
        LiveChild.wait(for: members.compactMap(\.child), milliseconds: 20)
        for member in members { try listen(to: member) }
        let now = Console.nanoseconds()
        if now >= nextKill {
          let member = members[random.below(members.count)]
          if member.hasBegun || random.oneIn(4) {
            member.child?.end()
            killCount += 1
            try listen(to: member)
            try start(member, hasScript, &random)
          }
          nextKill = now + UInt64(50 + random.below(700)) * 1_000_000
        }
        if now >= nextCheck {
          try pause(members)
          try check(members)
          checkCount += 1
          Console.remove(path + ".pause")
          nextCheck = Console.nanoseconds() + 2_500_000_000
        }
      }
      try pause(members)
      try check(members)
      checkCount += 1
      if let lack = lack(members, killCount) { throw ProofFailure(lack) }
    } catch {
      Console.line("mixed: \(options.journal), seed \(options.seed): \((error as? ProofFailure)?.text ?? "\(error)")")
      Console.line("  the files are kept: \(path)*")
      return false
    }
    for suffix in ["", "-journal", "-wal", "-shm", ".py"] { Console.remove(path + suffix) }
    let our = members.reduce(0) { $0 + ($1.isOurs ? $1.commits : 0) }
    let their = members.reduce(0) { $0 + ($1.isOurs ? 0 : $1.commits) }
    Console.line(
      "mixed: \(options.journal), \(options.seconds) s, \(options.apusCount) of Apus (\(our) commits), "
        + "\(options.sqliteCount) of SQLite\(hasScript ? " (apsw)" : "") (\(their) commits), "
        + "\(killCount) kills, \(checkCount) checks: ok")
    return true
  }

  /// What a run without a failure has not done that it should have: nobody may be told BUSY for ever. nil where it
  /// has done all.
  private func lack(_ members: [Member], _ killCount: Int) -> String? {
    let commitCountMin = max(1, options.seconds / Self.secondsPerCommit)
    for member in members where member.commits < commitCountMin {
      let who = "writer \(member.writer) (\(member.isOurs ? "ours" : "SQLite"))"
      return "\(who) has committed \(member.commits) times in \(options.seconds) s, fewer than \(commitCountMin)"
    }
    return killCount == 0 && options.seconds > 1 ? "nobody was killed" : nil
  }

  /// Whether there is a Python that has apsw.
  private static var knowsScript: Bool {
    LiveChild.run("python3", ["python3", "-c", "import apsw"])?.join() == 0
  }

  private func create(_ random: inout SeededRandom) throws {
    for suffix in ["", "-journal", "-wal", "-shm", ".pause"] { Console.remove(path + suffix) }
    let connection = try sqlite.open(path, readOnly: false)
    defer { connection.close() }
    try connection.execute("PRAGMA page_size = \([512, 1024, 4096, 4096][random.below(4)])")
    try connection.takeJournalMode(options.journal)
    try connection.execute("BEGIN; \(MixedWorker.schema)")
    for writer in 0..<(options.apusCount + options.sqliteCount) {
      try connection.execute("INSERT INTO counters VALUES (\(writer), 0, 0)")
    }
    for account in 0..<MixedWorker.accountCount {
      try connection.execute("INSERT INTO accounts VALUES (\(account), \(MixedWorker.balance))")
    }
    try connection.execute("COMMIT")
  }

  private func start(_ member: Member, _ hasScript: Bool, _ random: inout SeededRandom) throws {
    let seed = "\(random.next() >> 8)", writer = "\(member.writer)"
    if !member.isOurs, hasScript {
      member.child = LiveChild.run(
        "python3",
        ["python3", script, path, writer, seed, options.journal, "\(MixedWorker.accountCount)", "\(MixedWorker.balance)",
          "\(MixedWorker.kept)"])
    } else {
      member.child = LiveChild.again([
        "mixed", "--child", "--database", path, "--number", writer, "--seed", seed, "--journal", options.journal, "--engine",
        member.isOurs ? "apus" : "sqlite",
      ])
    }
    if member.child == nil { throw ProofFailure("cannot start a child process") }
    member.hasBegun = false
    member.rests = false
  }

  private func listen(to member: Member) throws {
    guard let child = member.child else { return }
    for line in child.lines() {
      let words = line.split(separator: " ", maxSplits: 1).map(String.init)
      let number = Int64(words.last ?? "") ?? -1
      switch words.first {
      case "S":
        if number != member.acknowledged, number != member.acknowledged + 1 {
          throw ProofFailure("writer \(member.writer) begins at \(number), but \(member.acknowledged) was acknowledged")
        }
        member.acknowledged = number
        member.hasBegun = true
      case "A":
        member.acknowledged = number
        member.commits += 1
      case "P": member.rests = number == pauseCount
      default: throw ProofFailure(line)
      }
    }
    if child.isAtEnd, let status = child.statusIfEnded(), status != -SIGKILL {
      throw ProofFailure("writer \(member.writer) (\(member.isOurs ? "ours" : "SQLite")) ended by itself: \(status)")
    }
  }

  /// Waits until nobody is inside a transaction.
  private mutating func pause(_ members: [Member]) throws {
    // A number of its own: who still sleeps in the pause before says so anew.
    pauseCount += 1
    for member in members { member.rests = false }
    guard Console.put(Array("\(pauseCount)".utf8), to: path + ".pause") else { throw ProofFailure("cannot write \(path).pause") }
    let limit = Console.nanoseconds() + 60_000_000_000
    while !members.allSatisfy(\.rests) {
      LiveChild.wait(for: members.compactMap(\.child), milliseconds: 20)
      for member in members { try listen(to: member) }
      if Console.nanoseconds() > limit {
        let late = members.filter { !$0.rests }.map { "\($0.writer) (\(Self.whereabouts($0.child)))" }
        throw ProofFailure("hung: writers \(late.joined(separator: ", "))")
      }
    }
  }

  /// What the kernel knows of a process that does not answer: its number, and the call in which it sleeps.
  private static func whereabouts(_ child: LiveChild?) -> String {
    guard let identifier = child?.identifier else { return "no process" }
    let call = Console.contents(of: "/proc/\(identifier)/wchan").map { String(decoding: $0, as: UTF8.self) }
    return "\(identifier) in \(call ?? "?")"
  }

  private func check(_ members: [Member]) throws {
    for engine in [sqlite, ours] {
      let connection = try engine.open(path, readOnly: false)
      defer { connection.close() }
      try connection.execute("PRAGMA busy_timeout = 2000")
      let report = try connection.rows("PRAGMA integrity_check").rows
      if report != [[.text("ok")]] { throw ProofFailure("\(engine.name): integrity_check: \(report.prefix(5))") }
      if let complaint = try MixedWorker.complaint(connection) { throw ProofFailure("\(engine.name): \(complaint)") }
      if let complaint = try MixedWorker.complaintOfPads(connection) {
        throw ProofFailure("\(engine.name): \(complaint)")
      }
      for member in members {
        let found = try connection.rows("SELECT n FROM counters WHERE writer = \(member.writer)").rows
        if found != [[.integer(member.acknowledged)]] {
          throw ProofFailure("\(engine.name): writer \(member.writer) has \(found), but \(member.acknowledged) was acknowledged")
        }
      }
    }
  }
}
