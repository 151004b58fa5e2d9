// Many writers: threads with a connection each, committing to one file as fast as they can for a fixed time. Commits a second, how
// long a commit takes its caller, and what it costs in processor time; both engines in turn, by the same SQL. `unsafe` lives here:
// getrusage(2).

import ApusHarness
import ApusIO
import Glibc
import Synchronization

/// What the writers do.
struct WriterLoad {
  enum Place: String, CaseIterable { case own = "own tables", same = "one table", hot = "one row" }

  var writers: Int
  var rows: Int
  var place: Place
  var synchronous: String
  /// Ours begin with BEGIN CONCURRENT; SQLite's, and all of the other loads, with BEGIN IMMEDIATE.
  var isConcurrent = false
  /// Commits a second, ours over SQLite's, at least.
  var promise: Double?

  var name: String {
    "\(writers) writers, \(rows) \(rows == 1 ? "row" : "rows"), \(place.rawValue), \(synchronous)"
      + (isConcurrent ? ", CONCURRENT" : "")
  }

  /// The other one differs in how our transactions begin, at most.
  func isSameWork(_ other: WriterLoad) -> Bool {
    writers == other.writers && rows == other.rows && place == other.place && synchronous == other.synchronous
  }

  static let all: [WriterLoad] = ["FULL", "NORMAL", "OFF"].flatMap { level in
    [1, 100].flatMap { rows in
      Place.allCases.filter { $0 != .hot || rows == 1 }.flatMap { place in
        [1, 2, 4, 8, 16, 64].flatMap { writers in
          let isGoal =
            rows == 1 && place == .same && (level == "FULL" && writers == 16 || level == "NORMAL" && writers == 8)
          return [false, true].map { isConcurrent in
            WriterLoad(
              writers: writers, rows: rows, place: place, synchronous: level, isConcurrent: isConcurrent,
              promise: isGoal ? (level == "FULL" ? 6 : 1.5) : nil)
          }
        }
      }
    }
  }
}

/// What one engine made of a load.
struct WriterFigures {
  var commits = 0
  var seconds = 0.0
  /// Processor time of all threads, in microseconds a commit.
  var processor = 0.0
  /// Of each commit, from BEGIN to the answer, in nanoseconds, sorted.
  var latencies: [UInt64] = []
  /// Transactions that were begun again, since another one had changed what they had read.
  var conflicts = 0
  var failure: String?

  var rate: Double { seconds > 0 ? Double(commits) / seconds : 0 }

  func latency(_ share: Double) -> Double {
    latencies.isEmpty ? 0 : Double(latencies[min(latencies.count - 1, Int(Double(latencies.count) * share))]) / 1000
  }
}

/// One load, as each engine has done it.
struct WriterResult {
  var load: WriterLoad
  var ours: WriterFigures
  var sqlite: WriterFigures
  /// In MVCC mode; nil where Turso is not there.
  var turso: WriterFigures?

  var named: [(name: String, figures: WriterFigures)] {
    [("ours", ours), ("SQLite", sqlite)] + (turso.map { [("Turso", $0)] } ?? [])
  }
}

enum WriterBench {
  static let milliseconds: UInt64 = 700
  private static let busyMilliseconds = 60_000

  /// What a thread brings back.
  private final class Ledger: Sendable {
    let figures = Mutex(WriterFigures())
    let isOver = Atomic<Bool>(false)
  }

  private struct Shared: @unchecked Sendable {
    let engine: any HarnessEngine
    let path: String
  }

  static func run(
    _ load: WriterLoad, _ engine: any HarnessEngine, _ path: String
  ) throws(EngineFailure) -> WriterFigures {
    for suffix in ["", "-journal", "-wal", "-shm"] { Console.remove(path + suffix) }
    let keeper = try engine.open(path, readOnly: false)
    try keeper.execute("PRAGMA journal_mode = WAL; PRAGMA synchronous = \(load.synchronous)")
    try keeper.execute("CREATE TABLE hot(id INTEGER PRIMARY KEY, n)")
    try keeper.execute("INSERT INTO hot VALUES (1, 0); CREATE TABLE t(id INTEGER PRIMARY KEY, a INT, d TEXT)")
    for writer in 0..<load.writers {
      try keeper.execute("CREATE TABLE t\(writer)(id INTEGER PRIMARY KEY, a INT, d TEXT)")
    }
    let ledger = Ledger()
    let shared = Shared(engine: engine, path: path)
    let done = ThreadSemaphore(), go = ThreadSemaphore(), ready = ThreadSemaphore()
    for writer in 0..<load.writers {
      let isStarted = EngineThread.start {
        do throws(EngineFailure) {
          let connection = try shared.engine.open(shared.path, readOnly: false)
          try connection.execute(
            "PRAGMA synchronous = \(load.synchronous); PRAGMA busy_timeout = \(busyMilliseconds); SELECT * FROM hot")
          ready.signal()
          go.wait()
          try write(load, writer, connection, ledger, shared.engine)
          connection.close()
        } catch {
          ledger.figures.withLock { $0.failure = $0.failure ?? error.message }
          ready.signal()
        }
        done.signal()
      }
      if !isStarted { throw EngineFailure(code: 1, message: "no thread could be started") }
    }
    for _ in 0..<load.writers { ready.wait() }
    let (start, processor) = (Console.nanoseconds(), processorMicroseconds())
    for _ in 0..<load.writers { go.signal() }
    SystemEnvironment().sleep(untilMonotonic: start + milliseconds * 1_000_000)
    ledger.isOver.store(true, ordering: .relaxed)
    let seconds = Double(Console.nanoseconds() - start) / 1e9
    let used = processorMicroseconds() - processor
    for _ in 0..<load.writers { done.wait() }
    var figures = ledger.figures.withLock { $0 }
    figures.seconds = seconds
    figures.processor = used / Double(max(1, figures.commits))
    figures.latencies.sort()
    keeper.close()
    return figures
  }

  private static func write(
    _ load: WriterLoad, _ writer: Int, _ connection: any HarnessConnection, _ ledger: Ledger,
    _ engine: any HarnessEngine
  ) throws(EngineFailure) {
    let isConcurrent = load.isConcurrent && engine is ApusEngine
    let table = load.place == .own ? "t\(writer)" : "t"
    let statement = try connection.prepare(
      load.place == .hot
        ? "UPDATE hot SET n = n + 1 WHERE id = 1"
        : "INSERT INTO \(table)(a, d) VALUES (?1, 'some text that makes a row longer')")
    let begin = try connection.prepare(isConcurrent ? "BEGIN CONCURRENT" : "BEGIN IMMEDIATE")
    let commit = try connection.prepare("COMMIT")
    var latencies: [UInt64] = []
    latencies.reserveCapacity(20_000)
    let rollback = try connection.prepare("ROLLBACK")
    func transaction() throws(EngineFailure) {
      defer { for one in [begin, statement, commit] { one.reset() } }
      _ = try begin.step()
      begin.reset()
      for row in 0..<load.rows {
        if load.place != .hot { try statement.bind(integer: Int64(row), at: 1) }
        _ = try statement.step()
        statement.reset()
      }
      _ = try commit.step()
    }
    var conflicts = 0
    while !ledger.isOver.load(ordering: .relaxed) {
      let start = Console.nanoseconds()
      while true {
        do throws(EngineFailure) {
          try transaction()
          break
        } catch {
          guard isConcurrent, error.code & 0xff == 5 else { throw error }
          conflicts += 1
          _ = try? rollback.step()
          rollback.reset()
        }
      }
      latencies.append(Console.nanoseconds() - start)
    }
    for one in [statement, begin, commit, rollback] { one.finalize() }
    ledger.figures.withLock {
      $0.conflicts += conflicts
      $0.commits += latencies.count
      $0.latencies += latencies
    }
  }

  private static func processorMicroseconds() -> Double {
    var usage = rusage()
    unsafe getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
    func microseconds(_ time: timeval) -> Double { Double(time.tv_sec) * 1e6 + Double(time.tv_usec) }
    return microseconds(usage.ru_utime) + microseconds(usage.ru_stime)
  }

  // MARK: - The table

  static func header(hasTurso: Bool) -> String {
    let engines = hasTurso ? "(ours/SQLite/Turso)" : "(ours/SQLite)"
    return "\nwriters                                             ours c/s  SQLite c/s   ratio  at least"
      + (hasTurso ? " Turso c/s   ratio" : "") + "   p50, p99, p999, CPU a commit in us \(engines)"
  }

  private static func cell(_ text: String, _ width: Int) -> String {
    String(repeating: " ", count: max(1, width - text.count)) + text
  }

  private static func ratio(_ ours: WriterFigures, _ theirs: WriterFigures) -> String {
    theirs.rate > 0 ? BenchReport.decimal(ours.rate / theirs.rate, 2) : "-"
  }

  static func line(_ result: WriterResult) -> String {
    let (load, ours, theirs) = (result.load, result.ours, result.sqlite)
    func figures(_ value: (WriterFigures) -> Double) -> String {
      let each = [ours, theirs] + (result.turso.map { [$0] } ?? [])
      return cell(each.map { BenchReport.decimal(value($0), 0) }.joined(separator: "/"), each.count * 8)
    }
    var line = load.name + String(repeating: " ", count: max(0, 50 - load.name.count))
    line += cell(BenchReport.decimal(ours.rate, 0), 10) + cell(BenchReport.decimal(theirs.rate, 0), 12)
    line += cell(ratio(ours, theirs), 8) + cell(load.promise.map { BenchReport.decimal($0, 1) } ?? "", 10)
    if let turso = result.turso { line += cell(BenchReport.decimal(turso.rate, 0), 10) + cell(ratio(ours, turso), 8) }
    line +=
      figures { $0.latency(0.5) } + figures { $0.latency(0.99) } + figures { $0.latency(0.999) } + figures(\.processor)
    for (name, engine) in result.named where engine.conflicts > 0 {
      line += "\n  \(name): \(engine.conflicts) conflicts, \(engine.commits) commits"
    }
    for (name, engine) in result.named { if let failure = engine.failure { line += "\n  \(name): \(failure)" } }
    return line
  }
}
