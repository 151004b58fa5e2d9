// Damaged databases give rows or a clear error: never a trap, never a hang. Variants run in child processes, in a world in
// memory; a child that dies names the variant and the statement, and the next child goes on behind it.

import Apus
import ApusBase
import ApusFuzzing
import ApusHarness
import ApusIO
import Glibc

struct BadInput {
  let options: ProveCommand.Options

  init(_ options: ProveCommand.Options) { self.options = options }

  // MARK: - All variants, in the parent

  static func runAll(_ options: ProveCommand.Options) -> Bool {
    let last = options.seed + UInt64(options.variants)
    let sliceCount = 50 as UInt64
    var slices: [(UInt64, UInt64)] = []
    var first = options.seed
    while first < last {
      slices.append((first, min(first + sliceCount, last)))
      first += sliceCount
    }
    slices.reverse()
    var running: [(key: UInt64, child: ChildProcess)] = []
    var variants = 0, ended = 0, statements = 0, errors = 0, rows = 0, deaths = 0
    var slowest: [(milliseconds: Int, what: String)] = []
    while !slices.isEmpty || !running.isEmpty {
      while running.count < options.jobs, let (from, end) = slices.popLast() {
        let arguments = [
          "bad-input", "--child", "--seed", "\(from)", "--variants", "\(end - from)", "--base", options.base,
          "--deadline", "\(options.deadline)",
        ]
        guard let child = ChildProcess.again(arguments) else { ProveCommand.stop("cannot start a child process") }
        running.append((end, child))
      }
      guard let (end, result) = ChildProcess.waitAny(&running) else { break }
      var current: UInt64 = 0
      var what = ""
      for line in result.output.split(separator: "\n") {
        let fields = line.split(separator: "\t").map(String.init)
        switch fields.first {
        case "V":
          (current, what) = (UInt64(fields[1]) ?? 0, fields[2])
          variants += 1
        case "S": what = fields[1]
        case "T" where fields.count == 3:
          slowest.append((Int(fields[1]) ?? 0, "variant \(current): \(fields[2])"))
          slowest.sort { $0.milliseconds > $1.milliseconds }
          slowest = Array(slowest.prefix(5))
        case "E":
          let numbers = fields.dropFirst().compactMap { Int($0) }
          if numbers.count == 3 {
            ended += 1
            statements += numbers[0]
            errors += numbers[1]
            rows += numbers[2]
          }
        default: break
        }
      }
      if result.status == 0 { continue }
      deaths += 1
      let how =
        result.status == 124
        ? "hung" : result.status < 0 ? "died by signal \(-result.status)" : "exit code \(result.status)"
      Console.line("variant \(current) \(how): \(what)")
      if current != 0, current + 1 < end { slices.append((current + 1, end)) }
      if current == 0 { break }
    }
    for (milliseconds, what) in slowest { Console.line("  \(milliseconds) ms: \(what)") }
    Console.line(
      "bad-input: \(variants) variants, \(statements) statements: \(rows) rows, \(errors) errors, \(deaths) deaths")
    if deaths > 0 { return false }
    // Damage that nobody meets, or that nothing survives, proves nothing.
    if variants != options.variants || ended != variants || rows == 0 || errors == 0 || statements <= variants {
      Console.line(
        "bad-input: FAILED: \(ended) of \(options.variants) variants have come to their end, or had nothing to read")
      return false
    }
    return true
  }

  // MARK: - Some variants, in the child

  /// Files that are damaged: a database alone, one with a log, one with a hot journal.
  private struct Base {
    var database: [UInt8]
    var log: [UInt8] = []
    var suffix = ""
  }

  func runVariants() {
    signal(SIGALRM) { _ in _exit(124) }
    let bases: [Base]
    do {
      bases = try makeBases()
    } catch {
      ProveCommand.stop("the base database: \(error)")
    }
    for variant in options.seed..<options.seed + UInt64(options.variants) {
      var damage = Damage(seed: variant)
      // Two of three are the database alone.
      let base = bases[damage.oneIn(3) && bases.count > 1 ? 1 + damage.below(bases.count - 1) : 0]
      var database = base.database, log = base.log
      if base.suffix.isEmpty || damage.oneIn(2) { damage.apply(to: &database) }
      if !base.suffix.isEmpty { damage.applyToLog(&log, base.suffix) }
      Console.write("V\t\(variant)\t\(damage.description)\n")
      let world = MemoryEnvironment(seed: variant, cacheHits: .sometimes)
      world.setContents(of: "/bad.db", to: database)
      if !base.suffix.isEmpty { world.setContents(of: "/bad.db" + base.suffix, to: log) }
      var run = VariantRun(world: world, options: options, damage: damage)
      run.run()
      Console.write("E\t\(run.statementCount)\t\(run.errorCount)\t\(run.rowCount)\n")
    }
  }

  private func makeBases() throws(EngineFailure) -> [Base] {
    let path = "\(options.directory)/apus-prove-\(options.tag).db"
    defer { for suffix in ["", "-wal", "-shm", "-journal"] { Console.remove(path + suffix) } }
    let sqlite = try SQLiteLibrary()
    func contents(_ suffix: String = "") -> [UInt8] { Console.contents(of: path + suffix) ?? [] }
    let changes: String
    if options.base == "small" {
      try sqlite.open(path, readOnly: false).use { (connection) throws(EngineFailure) in
        try connection.execute(SmallDatabase.script)
      }
      changes = "UPDATE t SET b = b || 'x', d = randomblob(700) WHERE a % 3 = 0; DELETE FROM w WHERE k LIKE '%7'"
    } else {
      guard let bytes = Console.contents(of: options.base) else {
        throw EngineFailure(code: 14, message: "cannot read \(options.base)")
      }
      guard Console.put(bytes, to: path) else { throw EngineFailure(code: 14, message: "cannot write \(path)") }
      changes = """
        UPDATE extent SET description = description || ' changed' WHERE code < '3000';
        DELETE FROM usage WHERE code LIKE '%7'; DELETE FROM supersession
        """
    }
    var bases = [Base(database: contents())]
    try sqlite.open(path, readOnly: false).use { (connection) throws(EngineFailure) in
      try connection.execute("PRAGMA journal_mode = delete; PRAGMA cache_size = 2; BEGIN; \(changes)")
      bases.append(Base(database: contents(), log: contents("-journal"), suffix: "-journal"))
      try connection.execute("ROLLBACK; PRAGMA journal_mode = wal; PRAGMA wal_autocheckpoint = 0; \(changes)")
      bases.append(Base(database: contents(), log: contents("-wal"), suffix: "-wal"))
    }
    return bases
  }
}

extension HarnessConnection {
  func use(_ body: (any HarnessConnection) throws(EngineFailure) -> Void) throws(EngineFailure) {
    defer { close() }
    try body(self)
  }
}

/// What is done with one damaged database.
private struct VariantRun {
  let world: MemoryEnvironment
  let options: ProveCommand.Options
  var damage: Damage
  var statementCount = 0
  var errorCount = 0
  var rowCount = 0
  private static let rowCountMax = 20_000
  /// The statement that runs, and since when.
  private var running = ""
  private var began = Console.nanoseconds()
  private static let slowMilliseconds: UInt64 = 500

  init(world: MemoryEnvironment, options: ProveCommand.Options, damage: Damage) {
    self.world = world
    self.options = options
    self.damage = damage
  }

  mutating func run() {
    var tables = options.base == "small" ? SmallDatabase.tables : ProjDatabase.tables
    guard let connection = try? Connection("/bad.db", environment: world) else {
      errorCount += 1
      return
    }
    // Names from the damaged schema too.
    for name in query(connection, "SELECT name, type, sql FROM sqlite_master") where !tables.contains(name) {
      if tables.count < 60 { tables.append(name) }
    }
    query(connection, damage.oneIn(2) ? "PRAGMA integrity_check" : "PRAGMA quick_check")
    for table in tables {
      let name = "\"" + table.split(separator: "\"", omittingEmptySubsequences: false).joined(separator: "\"\"") + "\""
      query(connection, "SELECT * FROM \(name)\(damage.oneIn(3) ? " ORDER BY 1 DESC" : "")")
      if damage.oneIn(4) { query(connection, "SELECT count(*) FROM \(name)") }
    }
    for sql in options.base == "small" ? SmallDatabase.queries : ProjDatabase.queries { query(connection, sql) }
    query(connection, "BEGIN")
    for sql in options.base == "small" ? SmallDatabase.changes : ProjDatabase.changes {
      if damage.oneIn(2) { query(connection, sql) }
    }
    query(connection, damage.oneIn(2) ? "COMMIT" : "ROLLBACK")
    if damage.oneIn(2) { query(connection, "PRAGMA integrity_check") }
    if damage.oneIn(3) { query(connection, "PRAGMA wal_checkpoint") }
    report("close")
    try? connection.closeBlocking()
    report("the end")
  }

  private mutating func report(_ sql: String) {
    let now = Console.nanoseconds(), milliseconds = (now - began) / 1_000_000
    if milliseconds >= Self.slowMilliseconds { Console.write("T\t\(milliseconds)\t\(running)\n") }
    (began, running) = (now, sql.split(separator: "\n").joined(separator: " "))
    Console.write("S\t\(running)\n")
    alarm(options.deadline)
  }

  /// Runs a statement and touches every byte of its rows.
  /// - Returns: the first column's texts.
  @discardableResult
  private mutating func query(_ connection: Connection, _ sql: String) -> [String] {
    report(sql)
    statementCount += 1
    var texts: [String] = []
    do throws(EngineError) {
      let statement = try connection.prepareBlocking(sql)
      defer { statement.finalize() }
      var count = 0
      while count < Self.rowCountMax, try statement.stepBlocking() {
        count += 1
        var sum = 0
        for column in 0..<statement.columnCount {
          let value = statement.column(column)
          if value.hasBytes {
            sum &+= value.bytes.array.last.map { Int($0) } ?? 0
            if column == 0, texts.count < 300 { texts.append(value.bytes.string) }
          } else {
            sum &+= Int(truncatingIfNeeded: value.asInteger)
          }
        }
      }
      rowCount += count
    } catch {
      errorCount += 1
      if options.isVerbose { Console.line("#\t\(sql): \(error.message)") }
    }
    return texts
  }
}
