// What the kernel refuses for good: io_uring, by a filter on system calls as containers have it; files, by a limit that is reached
// while a database is open; the directory, to a user who may write the file in it; the name, which somebody has removed. The
// error says what it happened to and why, nothing is lost, and the handle goes on, or says why it cannot.
// `unsafe` lives here: setrlimit(2), chmod(2), mkdir(2).

import Apus
import ApusBase
import ApusHarness
import ApusIO
import Glibc
import Synchronization

struct RefusalProof {
  private let options: ProveCommand.Options
  private let sqlite: any HarnessEngine
  private let directory: String
  private static let suffixes = ["", "-journal", "-wal", "-shm"]
  private static let commitCount = 12

  init(_ options: ProveCommand.Options, _ sqlite: any HarnessEngine) {
    self.options = options
    self.sqlite = sqlite
    directory = "\(options.directory)/apus-prove-\(options.tag)-refusals"
  }

  private var path: String { directory + "/a.db" }

  private func removeAll() { for suffix in Self.suffixes { Console.remove(path + suffix) } }

  func run() throws {
    unsafe mkdir(directory, 0o755)
    defer {
      removeAll()
      unsafe _ = rmdir(directory)
    }
    let filtered = try rings()
    for journal in ["delete", "truncate", "persist", "wal"] {
      try files(journal)
      try unlinked(journal)
    }
    try closedDirectory()
    let count = filtered.map { "\($0)" } ?? "no"
    Console.line("refusals: \(count) processes under a filter, limits, names and directories: ok")
  }

  // MARK: io_uring

  /// - Returns: how many processes have run under a filter; nil where the kernel grants none.
  private func rings() throws -> Int? {
    let free = SystemEnvironment()
    var count = 0
    let refusals = [
      ("io_uring_setup", [EPERM, ENOSYS]), ("io_uring_enter", [EPERM, ENOSYS]), ("io_uring_register", [EPERM]),
    ]
    for (call, errors) in refusals {
      for error in errors {
        for kind in ["plain", "everything", "hub"] {
          removeAll()
          let what = "\(call), error \(error), \(kind)"
          let child = LiveChild.again([
            "faults", "--child", "--mode", "\(call):\(kind)", "--number", "\(error)", "--database", path,
          ])
          let status = child?.join(), lines = child?.lines() ?? []
          if status == 77 {
            // Granted to one process, it is granted to all.
            if count > 0 { throw ProofFailure("\(what): no filter") }
            Console.line("refusals: SKIPPED: this kernel grants no filter")
            return nil
          }
          // The engine needs no io_uring_register.
          var expected = "posix (\(call): \(unsafe String(cString: strerror(error))) (\(error)))"
          if call == "io_uring_register" || free.backendName == "posix" {
            expected = free.backendName + (free.backendReason.map { " (\($0))" } ?? "")
          }
          if status != 0 || lines != [expected, "\(Self.commitCount)"] {
            throw ProofFailure("\(what): status \(status ?? -1), \(lines), not \([expected, "\(Self.commitCount)"])")
          }
          try check(rows: Self.commitCount, bytes: Self.commitCount * 2_000_000, what)
          count += 1
        }
      }
    }
    return count
  }

  /// The child: works under the filter and says which backend it had, and how much it has committed.
  static func work(_ options: ProveCommand.Options) throws -> Int32 {
    let words = options.mode.split(separator: ":").map(String.init)
    if words.first == "directory" { return inClosedDirectory(options.database) }
    guard let number = SystemCallFilter.numbers[words.first ?? ""] else {
      throw ProofFailure("no such call: \(options.mode)")
    }
    if !SystemCallFilter.refuse(number, with: Int32(options.number)) { return 77 }
    if words.last == "hub" { return workAtOnce(options.database) }
    var ring = RingOptions()
    ring.sendsEverything = words.last == "everything"
    let connection = try Connection(options.database, environment: SystemEnvironment(options: ring))
    try connection.takeJournalMode("wal")
    try connection.execute("CREATE TABLE t(a)")
    for number in 1...commitCount {
      if number == commitCount / 2 { try connection.takeJournalMode("delete") }
      try connection.execute("INSERT INTO t VALUES (zeroblob(2000000))")
    }
    Console.line(try text(connection, "PRAGMA io_backend"))
    Console.line(try text(connection, "SELECT count(*) FROM t WHERE length(a) = 2000000"))
    try connection.closeBlocking()
    return 0
  }

  /// The same through the asynchronous door, whose thread has one ring for all connections.
  private static func workAtOnce(_ path: String) -> Int32 {
    let end = End()
    Task {
      do {
        let database = try await Database.open(path)
        try await database.write { transaction in _ = try await transaction.execute("CREATE TABLE t(a)") }
        for _ in 0..<commitCount {
          try await database.write { transaction in
            _ = try await transaction.execute("INSERT INTO t VALUES (zeroblob(2000000))")
          }
        }
        let backend = try await database.read { try await $0.one("PRAGMA io_backend", as: String.self) }
        let count = try await database.read {
          try await $0.one("SELECT count(*) FROM t WHERE length(a) = 2000000", as: Int.self)
        }
        Console.line(backend ?? "no row")
        Console.line("\(count ?? -1)")
        try await database.close()
        end.status.withLock { $0 = 0 }
      } catch {
        Console.line("\(error)")
        end.status.withLock { $0 = 3 }
      }
    }
    while true {
      if let status = end.status.withLock({ $0 }) { return status }
      usleep(1000)
    }
  }

  private final class End: Sendable { let status = Mutex<Int32?>(nil) }

  // MARK: Files, names and directories

  /// No descriptor is left while a transaction commits: whatever it needs one for fails, and works when there are some again.
  private func files(_ journal: String) throws {
    removeAll()
    let connection = try Connection(path, environment: SystemEnvironment())
    try connection.execute("CREATE TABLE t(a); INSERT INTO t VALUES (zeroblob(10))")
    try Self.limited(toFiles: 3) {
      do {
        try connection.execute("PRAGMA journal_mode = \(journal); INSERT INTO t VALUES (zeroblob(10))")
        throw ProofFailure("\(journal): a transaction without a file for its journal")
      } catch let error as EngineError {
        if error.code.primary != .cannotOpen || error.cause?.contains("Too many open files") != true
          || error.object?.hasPrefix(directory) != true
        {
          throw ProofFailure("\(journal), over the limit of files: \(error)")
        }
      }
    }
    if !connection.isAutocommit { try connection.execute("ROLLBACK") }
    try connection.execute("PRAGMA journal_mode = \(journal); INSERT INTO t VALUES (zeroblob(10))")
    try connection.closeBlocking()
    try check(rows: 2, bytes: 20, "\(journal), after the limit of files")
  }

  /// A database whose name is gone is read on; what is written to it would have no journal that anybody finds.
  private func unlinked(_ journal: String) throws {
    removeAll()
    let connection = try Connection(path, environment: SystemEnvironment())
    try connection.execute("PRAGMA journal_mode = \(journal); CREATE TABLE t(a); INSERT INTO t VALUES (1)")
    // A log that is open goes on; a new one is not begun beside the name.
    if journal == "wal" { try connection.execute("PRAGMA journal_mode = delete") }
    Console.remove(path)
    do {
      try connection.execute("PRAGMA journal_mode = \(journal); INSERT INTO t VALUES (2)")
      throw ProofFailure("\(journal): a file without a name was written")
    } catch let error as EngineError {
      if error.code != .readOnlyDatabaseMoved || error.object != path || error.cause == nil || error.hint == nil {
        throw ProofFailure("\(journal), unlinked: \(error)")
      }
    }
    let found = try Self.text(connection, "SELECT count(*) FROM t")
    if found != "1" { throw ProofFailure("\(journal), unlinked: \(found) rows") }
    try connection.closeBlocking()
    for suffix in ["", "-wal", "-shm"] where Console.exists(path + suffix) {
      throw ProofFailure("\(journal), unlinked: \(path)\(suffix) is there")
    }
  }

  /// Somebody may write the file, but not the directory: there is no place for a journal.
  private func closedDirectory() throws {
    guard geteuid() == 0 else { return Console.line("refusals: SKIPPED without root: a directory that may not be written") }
    removeAll()
    let connection = try Connection(path, environment: SystemEnvironment())
    try connection.execute("CREATE TABLE t(a); INSERT INTO t VALUES (zeroblob(10))")
    try connection.closeBlocking()
    unsafe chmod(path, 0o666)
    let child = LiveChild.again(["faults", "--child", "--mode", "directory", "--database", path])
    let status = child?.join(), lines = child?.lines() ?? []
    if lines != ["1", "\(path)-journal", "open: Permission denied (13)", "1"] || status != 0 {
      throw ProofFailure("in a directory that may not be written: status \(status ?? -1), \(lines)")
    }
    try check(rows: 1, bytes: 10, "a directory that may not be written")
  }

  private static func inClosedDirectory(_ path: String) -> Int32 {
    guard setgid(65534) == 0, setuid(65534) == 0 else { return 2 }
    do {
      let connection = try Connection(path, environment: SystemEnvironment())
      Console.line(try text(connection, "SELECT count(*) FROM t"))
      do {
        try connection.execute("INSERT INTO t VALUES (2)")
        Console.line("written")
      } catch {
        Console.line(error.object ?? "no path")
        Console.line(error.cause ?? "no cause")
      }
      if !connection.isAutocommit { try connection.execute("ROLLBACK") }
      Console.line(try text(connection, "SELECT count(*) FROM t"))
      try connection.closeBlocking()
      return 0
    } catch {
      Console.line("\(error)")
      return 3
    }
  }

  // MARK: Helpers

  private static func text(_ connection: Connection, _ sql: String) throws(EngineError) -> String {
    let statement = try connection.prepareBlocking(sql)
    defer { statement.finalize() }
    guard try statement.stepBlocking() else { return "no row" }
    let value = statement.column(0)
    return value.kind == .integer ? "\(value.integerValue)" : value.bytes.string
  }

  private func check(rows: Int, bytes: Int, _ what: String) throws {
    let reference = try sqlite.open(path, readOnly: false)
    defer { reference.close() }
    let found = try reference.rows("SELECT count(*), sum(length(a)) FROM t").rows
    let report = try reference.rows("PRAGMA integrity_check").rows
    if found != [[.integer(Int64(rows)), .integer(Int64(bytes))]] || report != [[.text("ok")]] {
      throw ProofFailure("\(what): SQLite finds \(found), \(report)")
    }
  }

  private static func limited(toFiles count: UInt, _ body: () throws -> Void) throws {
    let files = __rlimit_resource_t(7)  // RLIMIT_NOFILE
    var old = rlimit()
    unsafe getrlimit(files, &old)
    var new = rlimit(rlim_cur: rlim_t(count), rlim_max: old.rlim_max)
    unsafe setrlimit(files, &new)
    defer { unsafe _ = setrlimit(files, &old) }
    try body()
  }
}
