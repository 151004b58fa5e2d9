// Threads of one process write to one file, each as fast as it can: concurrent transactions, ordinary ones and single
// statements; on request processes of SQLite write among them. All the while SQLite reads the file, and at each pause it
// checks it. No error but BUSY_SNAPSHOT, and that at most three times in a row; sums and counts exact; nobody waits beyond
// its busy timeout.

import ApusBase
import ApusHarness
import ApusIO
import Glibc
import Synchronization

struct WritersProof {
  static let accountCount = 50, balance = 1000, busyMilliseconds = 60_000
  /// The fourth attempt of a transaction is to succeed.
  private static let lostCountMax = 3
  private static let schema = """
    CREATE TABLE account(id INTEGER PRIMARY KEY, balance INTEGER);
    CREATE TABLE entry(id INTEGER PRIMARY KEY, writer INTEGER, n INTEGER, pad);
    CREATE INDEX entry_writer ON entry(writer, n);
    CREATE TABLE hot(id INTEGER PRIMARY KEY, n INTEGER);
    INSERT INTO hot VALUES (1, 0);
    """

  /// What a thread has done.
  struct Ledger {
    var concurrent = 0, ordinary = 0, single = 0
    var hot: Int64 = 0
    var lost = 0, lostInARow = 0
    /// The longest commit of an ordinary writer, in nanoseconds.
    var longest: UInt64 = 0

    var commits: Int { concurrent + ordinary + single }
  }

  /// What the threads and their parent tell each other.
  private final class Control: Sendable {
    let isOver = Atomic<Bool>(false)
    let pauses = Atomic<Bool>(false)
    let resting = Atomic<Int>(0)
    let ended = Atomic<Int>(0)
    let failure = Mutex<String?>(nil)
    let ledgers: Mutex<[Ledger]>

    init(_ count: Int) { ledgers = Mutex(Array(repeating: Ledger(), count: count)) }

    func fail(_ text: String) {
      failure.withLock { $0 = $0 ?? text }
      isOver.store(true, ordering: .relaxed)
    }

    /// Rests while a pause is wanted, outside any transaction.
    func restIfWanted() {
      guard pauses.load(ordering: .sequentiallyConsistent) else { return }
      resting.add(1, ordering: .sequentiallyConsistent)
      while pauses.load(ordering: .sequentiallyConsistent) { usleep(1000) }
      resting.subtract(1, ordering: .sequentiallyConsistent)
    }
  }

  /// A process of SQLite.
  private final class Foreign {
    /// nil: it reads.
    let writer: Int?
    let child: LiveChild
    /// Its commits, or its reads.
    var count = 0
    var rests = false

    init(writer: Int?, child: LiveChild) {
      self.writer = writer
      self.child = child
    }

    var name: String { writer.map { "writer \($0)" } ?? "the reader" }
  }

  let options: ProveCommand.Options
  private let path: String

  init(_ options: ProveCommand.Options) {
    self.options = options
    path = options.isChild ? options.database : "\(options.directory)/apus-prove-\(options.tag)-writers.db"
  }

  // MARK: - The parent

  func run() throws -> Bool {
    let sqlite = try SQLiteLibrary()
    let maker = try sqlite.open(path, readOnly: false)
    try maker.takeJournalMode("wal")
    try maker.execute("BEGIN; \(Self.schema)")
    for account in 1...Self.accountCount { try maker.execute("INSERT INTO account VALUES (\(account), \(Self.balance))") }
    try maker.execute("COMMIT")
    maker.close()
    let control = Control(options.writers)
    var foreign: [Foreign] = []
    var checks = 0
    let started = Console.nanoseconds()
    do {
      defer {
        control.isOver.store(true, ordering: .relaxed)
        control.pauses.store(false, ordering: .sequentiallyConsistent)
        for one in foreign { one.child.end() }
        // Threads that were started end before their file goes.
        while control.ended.load(ordering: .sequentiallyConsistent) < options.writers { usleep(1000) }
        Console.remove(path + ".pause")
      }
      let seed = options.seed
      for writer in 0..<options.writers { start(control) { try Self.write(writer, seed: seed, $0, control) } }
      for number in 0...options.sqliteCount {
        let writer = number == 0 ? nil : options.writers + number - 1
        // Not in this process: SQLite's locks would go with any descriptor of ours that is closed.
        guard
          let child = LiveChild.again(
            ["writers", "--child", "--database", path, "--seed", "\(options.seed)"]
              + (writer.map { ["--number", "\($0)"] } ?? ["--mode", "read"]))
        else { throw ProofFailure("cannot start a child process") }
        foreign.append(Foreign(writer: writer, child: child))
      }
      let end = started + UInt64(options.seconds) * 1_000_000_000
      var next = started
      while Console.nanoseconds() < end, !control.isOver.load(ordering: .relaxed) {
        next = max(next, Console.nanoseconds()) + UInt64(max(1, min(10, options.seconds / 4))) * 1_000_000_000
        while Console.nanoseconds() < min(next, end), !control.isOver.load(ordering: .relaxed) {
          try listen(to: foreign)
          usleep(20_000)
        }
        try pause(control, foreign, number: checks)
        if !control.isOver.load(ordering: .relaxed) { try check(sqlite, control, foreign) }
        checks += 1
        Console.remove(path + ".pause")
        control.pauses.store(false, ordering: .sequentiallyConsistent)
      }
      if !control.isOver.load(ordering: .relaxed), let lack = lack(control, foreign, checks) {
        throw ProofFailure(lack)
      }
    } catch {
      control.fail((error as? ProofFailure)?.text ?? "\(error)")
    }
    if let failure = control.failure.withLock({ $0 }) {
      Console.line("writers: \(options.writers), seed \(options.seed): \(failure)\n  the files are kept: \(path)*")
      return false
    }
    for suffix in ["", "-wal", "-shm"] { Console.remove(path + suffix) }
    report(control, foreign, checks, seconds: Double(Console.nanoseconds() - started) / 1e9)
    return true
  }

  /// What a run without a failure has not done that it should have; nil where it has done all.
  private func lack(_ control: Control, _ foreign: [Foreign], _ checks: Int) -> String? {
    let ledgers = control.ledgers.withLock { $0 }
    for (writer, ledger) in ledgers.enumerated() where ledger.commits == 0 {
      return "writer \(writer) has committed nothing"
    }
    if !ledgers.contains(where: { $0.concurrent > 0 }) { return "no concurrent transaction was committed" }
    for one in foreign where one.count == 0 { return "SQLite, \(one.name), has done nothing" }
    return checks == 0 ? "nothing was checked" : nil
  }

  private func report(_ control: Control, _ foreign: [Foreign], _ checks: Int, seconds: Double) {
    let all = control.ledgers.withLock { $0 }
    func sum(_ count: (Ledger) -> Int) -> Int { all.reduce(0) { $0 + count($1) } }
    Console.line(
      "writers: \(options.writers) threads, \(Int(seconds)) s: \(sum(\.commits)) commits (\(sum(\.concurrent)) concurrent, "
        + "\(sum(\.ordinary)) ordinary, \(sum(\.single)) single statements; "
        + "\(all.map(\.commits).min() ?? 0) to \(all.map(\.commits).max() ?? 0) a thread)")
    Console.line(
      "  \(sum(\.lost)) lost to others, at most \(all.map(\.lostInARow).max() ?? 0) in a row; an ordinary writer "
        + "took at most \((all.map(\.longest).max() ?? 0) / 1_000_000) ms; SQLite: "
        + "\(foreign.reduce(0) { $0 + ($1.writer == nil ? 0 : $1.count) }) commits in \(foreign.count - 1) processes, "
        + "\(foreign.reduce(0) { $0 + ($1.writer == nil ? $1.count : 0) }) reads, \(checks) checks: ok")
  }

  private func start(_ control: Control, _ body: @escaping @Sendable (any HarnessConnection) throws -> Void) {
    let path = path
    let isStarted = EngineThread.start {
      do {
        let connection = try ApusEngine().open(path, readOnly: false)
        do {
          try connection.execute("PRAGMA busy_timeout = \(Self.busyMilliseconds)")
          try body(connection)
        } catch {
          let detail = (connection as? ApusConnection)?.connection.lastError.map { " \($0)" } ?? ""
          control.fail(((error as? ProofFailure)?.text ?? "\(error)") + detail)
        }
        connection.close()
      } catch {
        control.fail("\(error)")
      }
      control.ended.add(1, ordering: .sequentiallyConsistent)
    }
    if isStarted { return }
    control.fail("no thread could be started")
    control.ended.add(1, ordering: .sequentiallyConsistent)
  }

  private func listen(to foreign: [Foreign]) throws {
    for one in foreign {
      for line in one.child.lines() {
        switch line.first {
        case "A": one.count += 1
        case "P": one.rests = true
        default: throw ProofFailure("SQLite, \(one.name): \(line)")
        }
      }
      if one.child.isAtEnd { throw ProofFailure("SQLite, \(one.name), has ended by itself") }
    }
  }

  /// Waits until nobody is inside a transaction.
  /// - Parameter number: what tells a process that still rests from this pause's forerunner that it is another one.
  private func pause(_ control: Control, _ foreign: [Foreign], number: Int) throws {
    for one in foreign { one.rests = false }
    guard Console.put(Array("\(number)".utf8), to: path + ".pause") else { throw ProofFailure("cannot write \(path).pause") }
    control.pauses.store(true, ordering: .sequentiallyConsistent)
    let limit = Console.nanoseconds() + 120_000_000_000
    func isResting() -> Bool {
      control.resting.load(ordering: .sequentiallyConsistent) == options.writers && foreign.allSatisfy(\.rests)
    }
    while !isResting(), !control.isOver.load(ordering: .relaxed) {
      try listen(to: foreign)
      usleep(2000)
      if Console.nanoseconds() > limit {
        let resting = control.resting.load(ordering: .sequentiallyConsistent)
        throw ProofFailure("hung: \(options.writers - resting) threads, \(foreign.count { !$0.rests }) processes")
      }
    }
  }

  private func check(_ sqlite: SQLiteLibrary, _ control: Control, _ foreign: [Foreign]) throws {
    let connection = try sqlite.open(path, readOnly: false)
    defer { connection.close() }
    func value(_ sql: String) throws -> String {
      guard let row = try connection.rows(sql).rows.first, let value = row.first else { throw ProofFailure("no row: \(sql)") }
      return "\(value)"
    }
    func expect(_ sql: String, _ expected: String) throws {
      let found = try value(sql)
      if found != "\(HarnessValue.text(Array(expected.utf8)))", found != Int64(expected).map({ "\(HarnessValue.integer($0))" }) {
        throw ProofFailure("\(sql): \(found), not \(expected)")
      }
    }
    try expect("PRAGMA integrity_check", "ok")
    try expect("SELECT sum(balance) FROM account", "\(Self.accountCount * Self.balance)")
    let ledgers = control.ledgers.withLock { $0 }
    try expect("SELECT n FROM hot", "\(ledgers.reduce(0) { $0 + $1.hot })")
    let commits = ledgers.enumerated().map { ($0, $1.commits) } + foreign.compactMap { one in one.writer.map { ($0, one.count) } }
    for (writer, count) in commits {
      try expect("SELECT count(*) FROM entry WHERE writer = \(writer)", "\(count)")
      try expect("SELECT count(DISTINCT n) FROM entry NOT INDEXED WHERE writer = \(writer) AND n <= \(count)", "\(count)")
    }
  }

  // MARK: - The threads

  private static func write(
    _ writer: Int, seed: UInt64, _ connection: any HarnessConnection, _ control: Control
  ) throws {
    var random = SeededRandom(seed: Self.seed(seed, of: writer))
    let level = ["full", "normal", "full", "off", "extra"][writer % 5]
    try connection.execute("PRAGMA synchronous = \(level); PRAGMA wal_autocheckpoint = \([200, 1000][writer % 2])")
    while true {
      control.restIfWanted()
      if control.isOver.load(ordering: .relaxed) { return }
      var ledger = control.ledgers.withLock { $0[writer] }
      try transact(writer, connection, &random, &ledger)
      control.ledgers.withLock { $0[writer] = ledger }
    }
  }

  private static func seed(_ seed: UInt64, of writer: Int) -> UInt64 { seed &* 1_000_003 &+ UInt64(writer) }

  private static func transact(
    _ writer: Int, _ connection: any HarnessConnection, _ random: inout SeededRandom, _ ledger: inout Ledger
  ) throws {
    let n = ledger.commits + 1
    let size = random.oneIn(40) ? 9000 : random.below(60)
    let entry = "INSERT INTO entry(writer, n, pad) VALUES (\(writer), \(n), zeroblob(\(size)))"
    let began = Console.nanoseconds()
    if random.oneIn(6) {
      try connection.execute(entry)
      ledger.single += 1
      ledger.longest = max(ledger.longest, Console.nanoseconds() - began)
      return
    }
    let isOrdinary = random.oneIn(6), isHot = random.oneIn(4), counts = random.oneIn(8)
    let from = 1 + random.below(accountCount), to = 1 + random.below(accountCount), amount = 1 + random.below(9)
    var lost = 0
    while true {
      do {
        try connection.execute(isOrdinary ? "BEGIN IMMEDIATE" : "BEGIN CONCURRENT")
        if counts {
          let count = try connection.rows("SELECT count(*) FROM entry WHERE writer = \(writer)").rows
          if count != [[.integer(Int64(n - 1))]] { throw ProofFailure("writer \(writer) counts \(count), not \(n - 1)") }
        }
        if isHot {
          try connection.execute("UPDATE hot SET n = n + 1 WHERE id = 1")
        } else {
          try connection.execute("UPDATE account SET balance = balance - \(amount) WHERE id = \(from)")
          try connection.execute("UPDATE account SET balance = balance + \(amount) WHERE id = \(to)")
        }
        try connection.execute(entry)
        try connection.execute("COMMIT")
        break
      } catch let error as EngineFailure where error.code == ResultCode.busySnapshot.rawValue && !isOrdinary {
        lost += 1
        ledger.lost += 1
        if lost > lostCountMax { throw ProofFailure("writer \(writer) was lost \(lost) times in a row:") }
        try connection.execute("ROLLBACK")
      }
    }
    ledger.lostInARow = max(ledger.lostInARow, lost)
    if isHot { ledger.hot += 1 }
    if isOrdinary {
      ledger.ordinary += 1
      ledger.longest = max(ledger.longest, Console.nanoseconds() - began)
    } else {
      ledger.concurrent += 1
    }
  }

  // MARK: - The processes of SQLite

  /// Reads, or commits, until it is killed, and says so line by line.
  func work() -> Int32 {
    var random = SeededRandom(seed: Self.seed(options.seed, of: options.number))
    do {
      let connection = try SQLiteLibrary().open(path, readOnly: false)
      try connection.execute("PRAGMA busy_timeout = \(Self.busyMilliseconds); PRAGMA synchronous = full")
      var n = 0
      while true {
        var answered: [UInt8]?
        while let pause = Console.contents(of: path + ".pause") {
          if pause != answered { Console.line("P") }
          answered = pause
          usleep(2000)
        }
        n += 1
        if options.mode == "read" { try read(connection) } else { try commit(n, connection, &random) }
        Console.line("A \(n)")
      }
    } catch {
      Console.line("E \((error as? ProofFailure)?.text ?? "\(error)")")
      return 3
    }
  }

  private func commit(_ n: Int, _ connection: any HarnessConnection, _ random: inout SeededRandom) throws {
    let from = 1 + random.below(Self.accountCount), to = 1 + random.below(Self.accountCount)
    try connection.execute("BEGIN IMMEDIATE")
    try connection.execute("UPDATE account SET balance = balance - 1 WHERE id = \(from)")
    try connection.execute("UPDATE account SET balance = balance + 1 WHERE id = \(to)")
    try connection.execute("INSERT INTO entry(writer, n) VALUES (\(options.number), \(n)); COMMIT")
  }

  private func read(_ connection: any HarnessConnection) throws {
    try connection.execute("BEGIN")
    let sum = try connection.rows("SELECT sum(balance) FROM account").rows
    if sum != [[.integer(Int64(Self.accountCount * Self.balance))]] { throw ProofFailure("a sum of \(sum)") }
    let entries = "SELECT (SELECT count(*) FROM entry) - (SELECT count(*) FROM entry INDEXED BY entry_writer WHERE writer >= 0)"
    let difference = try connection.rows(entries).rows
    if difference != [[.integer(0)]] { throw ProofFailure("\(difference) entries that their index lacks") }
    try connection.execute("COMMIT")
    usleep(3000)
  }
}
