// Every system call fails once, at every place of a short script, and from there on for good: the error says what it happened
// to and why, nothing acknowledged is lost, and the connection goes on or says that it must be opened again. Then refusals
// of the real kernel: limits of the process, and what a user without rights may do beside a log.
// `unsafe` lives here: setrlimit(2), chmod(2), mkdir(2).

import Apus
import ApusBase
import ApusHarness
import ApusIO
import Glibc

struct FaultProof {
  let options: ProveCommand.Options
  private let sqlite: any HarnessEngine
  private static let suffixes = ["", "-journal", "-wal", "-shm"]
  private static let commitCount: Int64 = 5
  /// Calls that a script in this mode does not make.
  private static let unneeded: [String: Set<FaultyCall>] = [
    "wal": [.delete], "delete": [.truncate, .map], "truncate": [.delete, .map], "persist": [.delete, .map],
  ]

  /// Which calls may fail without an error. A lock that is given back in part is given back as a whole at the next
  /// chance; the log's size is a guess of how much room to ask for; a log without room is tried again once a
  /// checkpoint has made some. All others must be told: a sync that has failed, say, is no durability.
  static func mayHeal(_ call: FaultyCall, _ isFull: Bool, _ isSticky: Bool) -> Bool {
    switch call {
    case .lock, .size: true
    case .write: isFull && !isSticky
    case .open, .read, .sync, .truncate, .delete, .map: false
    }
  }

  init(_ options: ProveCommand.Options) throws {
    self.options = options
    sqlite = try SQLiteLibrary()
  }

  private func remove(_ path: String) { for suffix in Self.suffixes { Console.remove(path + suffix) } }

  func run() throws -> Bool {
    var runs = 0, hits = 0, poisoned = 0, healed = 0
    let path = "\(options.directory)/apus-prove-\(options.tag)-faults.db"
    defer { remove(path) }
    try limits(path)
    try withoutRights()
    try RefusalProof(options, sqlite).run()
    if options.mode == "refusals" { return true }
    for journal in ["wal", "delete", "truncate", "persist"] {
      for call in FaultyCall.allCases {
        for (isFull, isSticky) in [(false, false), (false, true), (true, false), (true, true)] {
          if isFull, call != .write { continue }
          var place = 1
          let hitsBefore = hits
          while true {
            let kind = "\(call.rawValue)\(isFull ? " (disk full)" : "")"
            let what = "\(journal), \(kind) number \(place)\(isSticky ? " and all after it" : "")"
            if options.isVerbose { Console.line(what) }
            do {
              let outcome = try fail(path, journal, call, isFull, isSticky, place)
              runs += 1
              if !outcome.isHit { break }
              hits += 1
              if outcome.isPoisoned { poisoned += 1 }
              if !outcome.isSurfaced {
                healed += 1
                if !Self.mayHeal(call, isFull, isSticky) { throw ProofFailure("nobody has been told") }
              }
            } catch {
              Console.line("faults: \(what): \((error as? ProofFailure)?.text ?? "\(error)")")
              Console.line("  the files are kept: \(path)*")
              return false
            }
            // All of the first ones, then some.
            place += place < 25 ? 1 : place / 6
          }
          if hits == hitsBefore, Self.unneeded[journal]?.contains(call) != true {
            Console.line("faults: \(journal): no \(call.rawValue) has failed")
            return false
          }
        }
      }
    }
    Console.line(
      "faults: \(runs) runs, \(hits) calls failed, \(healed) of them did no harm, \(poisoned) connections said "
        + "that they must be opened again: ok")
    return true
  }

  // MARK: - One call

  private func fail(
    _ path: String, _ journal: String, _ call: FaultyCall, _ isFull: Bool, _ isSticky: Bool, _ place: Int
  ) throws -> (isHit: Bool, isSurfaced: Bool, isPoisoned: Bool) {
    remove(path)
    var plan = KillPlan(seed: options.seed &+ UInt64(place))
    let made = try sqlite.open(path, readOnly: false)
    try made.takeJournalMode(journal)
    try made.execute(KillPlan.schema)
    made.close()
    let world = FaultyEnvironment()
    world.plan.arm(call, isFull: isFull, isSticky: isSticky, after: place)
    var acknowledged: Int64 = 0, isPoisoned = false, isClosed = false, surfaced: EngineError?
    do {
      let connection = try Connection(path, environment: world)
      // What is thrown on the way keeps its place.
      defer {
        world.plan.disarm()
        if !isClosed { try? connection.closeBlocking() }
      }
      do {
        try connection.execute("PRAGMA cache_size = 10")
        try connection.takeJournalMode(journal)
        for number in 1...Self.commitCount {
          try commit(number, plan, connection)
          acknowledged = number
          if number == 3 { try connection.execute("PRAGMA wal_checkpoint(TRUNCATE)") }
        }
      } catch let error as EngineError {
        surfaced = error
        world.plan.disarm()
        isPoisoned = try !goesOn(connection)
      }
      world.plan.disarm()
      if surfaced == nil { try goOnTogether(connection, path) }
      isClosed = true
      do {
        try connection.closeBlocking()
      } catch {
        if !isPoisoned { throw ProofFailure("closing: \(error)") }
      }
    } catch let error as EngineError {
      surfaced = surfaced ?? error
    }
    let hits = world.plan.hits
    if let surfaced { try check(surfaced, isFull, hits) }
    if hits.isEmpty || surfaced == nil, acknowledged != Self.commitCount {
      throw ProofFailure("\(acknowledged) commits")
    }
    let reference = try sqlite.open(path, readOnly: false)
    defer { reference.close() }
    let number = try KillPlan.number(in: reference)
    if number != acknowledged, number != acknowledged + 1 {
      throw ProofFailure("transaction \(number) is in the file, and \(acknowledged) was acknowledged")
    }
    plan.advance(to: number)
    try plan.check(reference, "SQLite")
    return (!hits.isEmpty, surfaced != nil, isPoisoned)
  }

  private func commit(_ number: Int64, _ plan: KillPlan, _ connection: Connection) throws {
    try connection.execute("BEGIN")
    for change in plan.changes(number) {
      switch change {
      case .put(let table, let key, let row):
        let text = String(decoding: row.text, as: UTF8.self)
        try connection.execute("INSERT OR REPLACE INTO \(KillPlan.names[table]) VALUES (\(key), \(row.value), '\(text)')")
      case .delete(let table, let from, let to):
        try connection.execute("DELETE FROM \(KillPlan.names[table]) WHERE k BETWEEN \(from) AND \(to)")
      case .add(let table, let from, let to, let more):
        try connection.execute("UPDATE \(KillPlan.names[table]) SET v = v + \(more) WHERE k BETWEEN \(from) AND \(to)")
      }
    }
    try connection.execute("UPDATE state SET n = \(number); COMMIT")
  }

  private func check(_ error: EngineError, _ isFull: Bool, _ hits: [FaultHit]) throws {
    if error.object == nil || error.cause == nil { throw ProofFailure("an error without path or cause: \(error)") }
    if !hits.contains(where: { error.object == $0.path && error.cause == $0.cause }) {
      let told = "\(error.object ?? "") \(error.cause ?? "")"
      throw ProofFailure("the error is \(told), but what failed was \(hits.suffix(2))")
    }
    let primary = error.code.primary
    if isFull ? primary != .full : ![.ioError, .cannotOpen, .full].contains(primary) {
      throw ProofFailure("the error is \(error) (\(error.code.rawValue))")
    }
  }

  /// True where the connection works again; false where it says that it must be opened again.
  private func goesOn(_ connection: Connection) throws -> Bool {
    do {
      if !connection.isAutocommit { try connection.execute("ROLLBACK") }
      try connection.execute("SELECT count(*) FROM t; UPDATE state SET n = n")
      return true
    } catch {
      if error.hint?.contains("open it again") == true { return false }
      throw ProofFailure("afterwards: \(error)")
    }
  }

  /// What nobody was told of must leave nothing behind: the connection writes, and a lock that it has kept is in
  /// nobody's way.
  private func goOnTogether(_ connection: Connection, _ path: String) throws {
    if try !goesOn(connection) { throw ProofFailure("the connection must be opened again, and nobody has been told") }
    let other = try sqlite.open(path, readOnly: false)
    defer { other.close() }
    do {
      try other.execute("SELECT count(*) FROM t; UPDATE state SET n = n")
    } catch {
      throw ProofFailure("beside it SQLite says: \(error)")
    }
  }

  // MARK: - The kernel's own refusals

  /// A limit on the size of files, then on open files, and both lifted again.
  private func limits(_ path: String) throws {
    signal(SIGXFSZ, SIG_IGN)
    for journal in ["delete", "wal"] {
      remove(path)
      let connection = try Connection(path, environment: SystemEnvironment())
      try connection.execute("PRAGMA journal_mode = \(journal); CREATE TABLE t(a); INSERT INTO t VALUES (1)")
      try limited(__rlimit_resource_t(1), to: 200_000) {
        do {
          try connection.execute("INSERT INTO t SELECT zeroblob(300000)")
          throw ProofFailure("a file grew over the limit")
        } catch let error as EngineError {
          if error.code != .full || error.cause?.contains("File too large") != true || error.object == nil {
            throw ProofFailure("over the size limit: \(error) (\(error.code.rawValue))")
          }
        }
      }
      try connection.execute("INSERT INTO t SELECT zeroblob(300000)")
      try connection.closeBlocking()
      let reference = try sqlite.open(path, readOnly: false)
      defer { reference.close() }
      let found = try reference.rows("SELECT count(*), sum(length(a)) FROM t").rows
      if found != [[.integer(2), .integer(300_001)]] { throw ProofFailure("after the limit: \(found)") }
    }
    try limited(__rlimit_resource_t(7), to: 3) {
      do {
        _ = try Connection(path, environment: SystemEnvironment())
        throw ProofFailure("a file was opened over the limit")
      } catch let error as EngineError {
        if error.code != .cannotOpen || error.cause?.contains("Too many open files") != true || error.hint == nil {
          throw ProofFailure("over the limit of files: \(error)")
        }
      }
    }
  }

  private func limited(_ resource: __rlimit_resource_t, to value: UInt, _ body: () throws -> Void) throws {
    var old = rlimit()
    unsafe getrlimit(resource, &old)
    var new = rlimit(rlim_cur: rlim_t(value), rlim_max: old.rlim_max)
    unsafe setrlimit(resource, &new)
    defer { unsafe _ = setrlimit(resource, &old) }
    try body()
  }

  /// Somebody who may only read, in a directory that he may not write: beside a living writer, beside a log that a killed
  /// one left, and where there is no wal-index. Needs root, to become somebody.
  private func withoutRights() throws {
    guard geteuid() == 0 else { return Console.line("faults: SKIPPED without root: what a user without rights may do") }
    let directory = "\(options.directory)/apus-prove-\(options.tag)-rights", path = directory + "/a.db"
    unsafe mkdir(directory, 0o755)
    defer {
      remove(path)
      unsafe _ = rmdir(directory)
    }
    let writer = try Connection(path, environment: SystemEnvironment())
    try writer.execute("PRAGMA journal_mode = wal; CREATE TABLE t(a); INSERT INTO t VALUES (1), (2)")
    try asNobody(path, expected: "2")
    // As a killed process leaves it.
    let bytes = Self.suffixes.map { Console.contents(of: path + $0) }
    try writer.closeBlocking()
    for (suffix, content) in zip(Self.suffixes, bytes) where content != nil {
      guard Console.put(content ?? [], to: path + suffix) else { throw ProofFailure("cannot write \(path)\(suffix)") }
    }
    try asNobody(path, expected: "2")
    Console.remove(path + "-shm")
    try asNobody(path, expected: "unable to open database file")
  }

  private func asNobody(_ path: String, expected: String) throws {
    let child = LiveChild.again(["faults", "--child", "--database", path])
    let status = child?.join()
    let lines = child?.lines() ?? []
    if lines != [expected] || status != 0 { throw ProofFailure("a user without rights: \(lines), not \(expected)") }
  }

  /// The child that gives its rights up.
  static func read(_ path: String) -> Int32 {
    guard setgid(65534) == 0, setuid(65534) == 0 else { return 2 }
    do {
      let connection = try ApusEngine().open(path, readOnly: false)
      defer { connection.close() }
      let rows = try connection.rows("SELECT count(*) FROM t").rows
      Console.line(rows.first?.first?.description ?? "no row")
      return 0
    } catch {
      Console.line(error.message)
      return 0
    }
  }
}
