// apus-bench: our engine and SQLite in one process, turn by turn; medians, ratios, and each one's peak memory.
// `unsafe` lives here: unlink(2), mkdir(2).

import ApusHarness
import Glibc

@main
enum BenchCommand {
  static let usage = """
    usage: apus-bench [--sqlite PATH] [--rounds N] [--only TEXT]... [--json FILE] [--directory DIR] [--shell APUS]
                      [--turso PROGRAM]
      --sqlite      the libsqlite3.so.0 to compare with; the system's by default
      --rounds      runs of each workload and engine; the median counts (5)
      --only        the workloads whose name contains TEXT
      --json        where the figures go as JSON (build/bench.json)
      --directory   where the databases are made (.build/bench)
      --shell       the shell whose start is timed (.build-shell/release/apus)
      --turso       what runs Turso's writers, empty for none (.ci/bench-turso)
    """

  struct Options {
    var sqlite: String?
    var rounds = 5
    var only: [String] = []
    var json = "build/bench.json"
    var directory = ".build/bench"
    var shell = ".build-shell/release/apus"
    var turso = ".ci/bench-turso"
    /// Run in a child: one engine, one workload, once; prints the peak of its memory.
    var single: (engine: String, workload: Int)?
  }

  static func main() {
    var options = Options()
    var arguments = CommandLine.arguments.dropFirst()
    func value(_ name: String) -> String {
      guard let value = arguments.popFirst() else { stop("\(name) wants a value\n\(usage)") }
      return value
    }
    while let argument = arguments.popFirst() {
      switch argument {
      case "--sqlite": options.sqlite = value(argument)
      case "--rounds": options.rounds = max(1, Int(value(argument)) ?? 5)
      case "--only": options.only.append(value(argument))
      case "--json": options.json = value(argument)
      case "--directory": options.directory = value(argument)
      case "--shell": options.shell = value(argument)
      case "--turso": options.turso = value(argument)
      case "--single": options.single = (value(argument), Int(value(argument)) ?? 0)
      case "--help", "-h":
        Console.line(usage)
        return
      default: stop("unknown option \(argument)\n\(usage)")
      }
    }
    do {
      if let single = options.single { return try runSingle(single.engine, single.workload, options) }
      try run(options)
    } catch {
      stop(error.message)
    }
  }

  private static func stop(_ message: String) -> Never {
    Console.error(message)
    exit(2)
  }

  // MARK: - One workload

  private static func remove(_ path: String) {
    for suffix in ["", "-journal", "-wal", "-shm"] { unsafe unlink(path + suffix) }
  }

  /// Prepares, measures and tidies up one run.
  private static func time(
    _ workload: Workload, _ engine: any HarnessEngine, _ options: Options
  ) throws(EngineFailure) -> (nanoseconds: UInt64, result: Int64) {
    let scratch = "\(options.directory)/scratch-\(getpid()).db"
    remove(scratch)
    defer { remove(scratch) }
    let context = BenchContext(engine: engine, shared: "\(options.directory)/shared.db", scratch: scratch)
    let body = try workload.prepare(context)
    if !workload.writes && !workload.isCold { _ = try body() }  // Once for the caches: what is compared is the work, not the disk.
    if workload.isCold { ColdFile.forget(Workloads.coldPath(context.shared)) }
    let start = Console.nanoseconds()
    let result = try body()
    return (Console.nanoseconds() - start, result)
  }

  private static func runSingle(_ engine: String, _ index: Int, _ options: Options) throws(EngineFailure) {
    guard Workloads.all.indices.contains(index) else { stop("no such workload") }
    _ = try time(Workloads.all[index], try Engines.named(engine), options)
    let status = String(decoding: Console.contents(of: "/proc/self/status") ?? [], as: UTF8.self)
    for line in status.split(separator: "\n") where line.hasPrefix("VmHWM:") {
      Console.line(line.split(separator: " ").dropFirst().joined())
    }
  }

  /// The peak memory in KiB of a child that runs one workload on one engine.
  private static func peak(_ engine: String, _ index: Int, _ options: Options) -> Int? {
    let arguments = ["--directory", options.directory, "--single", engine, "\(index)"]
    guard let result = ChildProcess.again(arguments)?.wait(), result.status == 0 else { return nil }
    let digits = result.output.drop { !$0.isNumber }.prefix { $0.isNumber }
    return Int(digits)
  }

  // MARK: - All of them

  private static func run(_ options: Options) throws(EngineFailure) {
    let reference = try SQLiteLibrary(path: options.sqlite)
    let engines: [(key: String, engine: any HarnessEngine)] = [
      ("apus", try Engines.named("apus")), (options.sqlite ?? "sqlite", reference),
    ]
    Console.line("compared with \(reference.name) from \(reference.path)")
    let telling = ["STMT_SCANSTATUS", "THREADSAFE", "DEFAULT_SYNCHRONOUS", "DEFAULT_WAL", "STAT4", "DEBUG", "COMPILER"]
    let relevant = reference.compileOptions.filter { option in telling.contains { option.contains($0) } }
    Console.line("its build: \(relevant.joined(separator: ", "))")
    try makeSharedDatabase(options)
    Console.line("\(options.rounds) rounds, engines in turn, medians; memory is the peak of a process of its own")
    Console.line(BenchReport.header())

    var measurements: [Measurement] = []
    for (index, workload) in Workloads.all.enumerated() where isWanted(workload.name, options) {
      var measurement = Measurement(workload: workload, engines: engines.map { .init(name: $0.engine.name) })
      var results: Set<Int64> = []
      for round in 0..<options.rounds {
        // Who begins changes from round to round, so that neither always finds the caches warm.
        let order = round % 2 == 0 ? [0, 1] : [1, 0]
        for position in order where measurement.engines[position].failure == nil {
          do throws(EngineFailure) {
            let (nanoseconds, result) = try time(workload, engines[position].engine, options)
            measurement.engines[position].nanoseconds.append(nanoseconds)
            results.insert(result)
          } catch {
            measurement.engines[position].failure = error.message
          }
        }
      }
      if results.count > 1 { measurement.engines[0].failure = "the engines' results differ: \(results.sorted())" }
      for position in engines.indices where measurement.engines[position].failure == nil {
        measurement.engines[position].peakKibibytes = peak(engines[position].key, index, options)
      }
      measurements.append(measurement)
      Console.line(BenchReport.line(measurement))
      for failure in BenchReport.failures(measurement) { Console.line(failure) }
    }
    if isWanted("shell start", options) { measureShell(options) }
    let writers = measureWriters(engines.map(\.engine), options)
    summary(measurements)
    write(BenchReport.json(measurements, writers, reference: reference, rounds: options.rounds), to: options.json)
  }

  private static func measureWriters(_ engines: [any HarnessEngine], _ options: Options) -> [WriterResult] {
    let loads = WriterLoad.all.filter { isWanted($0.name, options) }
    if loads.isEmpty { return [] }
    let turso = TursoWriters(program: options.turso)
    let path = "\(options.directory)/writers.db"
    Console.line(WriterBench.header(hasTurso: turso != nil))
    var results: [WriterResult] = []
    for load in loads {
      let figures = engines.map { engine -> WriterFigures in
        do throws(EngineFailure) {
          return try WriterBench.run(load, engine, path)
        } catch {
          return WriterFigures(failure: error.message)
        }
      }
      // Its BEGIN IMMEDIATE is no way to have many writers: what it has done concurrently stands beside both of ours.
      let before = results.last { $0.load.isSameWork(load) }?.turso
      let third = before ?? turso?.run(load, "\(options.directory)/turso.db", milliseconds: WriterBench.milliseconds)
      let result = WriterResult(load: load, ours: figures[0], sqlite: figures[1], turso: third)
      results.append(result)
      Console.line(WriterBench.line(result))
    }
    remove(path)
    if turso != nil {
      for suffix in ["", "-wal", "-shm", "-log"] { unsafe unlink("\(options.directory)/turso.db" + suffix) }
    }
    return results
  }

  private static func isWanted(_ name: String, _ options: Options) -> Bool {
    options.only.isEmpty || options.only.contains { name.contains($0) }
  }

  private static func makeSharedDatabase(_ options: Options) throws(EngineFailure) {
    var path = ""
    for part in options.directory.split(separator: "/", omittingEmptySubsequences: false) {
      path += path.isEmpty && !options.directory.hasPrefix("/") ? String(part) : "/\(part)"
      unsafe mkdir(path, 0o755)
    }
    let shared = "\(options.directory)/shared.db"
    if unsafe access("\(shared).done", F_OK) == 0, unsafe access(Workloads.coldPath(shared), F_OK) == 0 { return }
    remove(shared)
    Console.line("making \(shared) (once)")
    let builder = try SQLiteLibrary()
    try Workloads.build(shared, with: builder)
    let cold = Workloads.coldPath(shared)
    remove(cold)
    try Workloads.copy(shared, to: cold, with: builder)
    write("", to: "\(shared).done")
  }

  /// `:memory: "select 1"`: how long a process of either shell lives.
  private static func measureShell(_ options: Options) {
    let shells = [options.shell, "/usr/bin/sqlite3"]
    guard shells.allSatisfy({ unsafe access($0, X_OK) == 0 }) else { return }
    var times: [[UInt64]] = [[], []]
    for _ in 0..<60 {
      for position in shells.indices {
        let start = Console.nanoseconds()
        guard let child = ChildProcess.run(shells[position], [shells[position], ":memory:", "select 1"]) else { return }
        _ = child.wait()
        times[position].append(Console.nanoseconds() - start)
      }
    }
    let medians = times.map { Double($0.sorted()[$0.count / 2]) }
    let ratio = BenchReport.decimal(medians[0] / medians[1], 2)
    let each = medians.map { BenchReport.decimal($0 / 1e6, 2) }
    Console.line("shell start and end: \(each[0]) ms, sqlite3 \(each[1]) ms, ratio \(ratio) (at most 1.5)")
  }

  private static func summary(_ measurements: [Measurement]) {
    let ratios = measurements.compactMap(\.ratio)
    if !ratios.isEmpty {
      let sorted = ratios.sorted()
      Console.line("median ratio \(BenchReport.decimal(sorted[sorted.count / 2], 2)) over \(ratios.count) workloads")
    }
    for measurement in measurements {
      if let ratio = measurement.ratio, let promise = measurement.workload.promise, ratio > promise {
        Console.line("above its bound: \(measurement.workload.name): \(BenchReport.decimal(ratio, 2)) > \(promise)")
      }
      if let extra = measurement.extraMemory, extra > 16 * 1024 {
        Console.line("more than 16 MiB above SQLite: \(measurement.workload.name): \(extra / 1024) MiB")
      }
    }
  }

  private static func write(_ text: String, to path: String) {
    if let slash = path.lastIndex(of: "/") { unsafe mkdir(String(path[..<slash]), 0o755) }
    let descriptor = unsafe open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
    guard descriptor >= 0 else { return Console.error("cannot write \(path)") }
    Console.write(text, to: descriptor)
    close(descriptor)
  }
}
