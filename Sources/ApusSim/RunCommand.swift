// apus-sim run: seeds, one after the other, until one fails.

import ApusHarness
import ApusSimulation
import ArgumentParser

struct RunCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "run", abstract: "Runs seeds until one finds something.",
    discussion: "Each seed draws its world, its workload, its schedule and its faults. Progress goes to standard error."
  )

  @OptionGroup var world: WorldOptions
  @Option(help: "How many seeds; 100 where no time is given.") var seeds: Int?
  @Option(help: "The first seed.") var seed: UInt64 = 1
  @Option(help: "Run for so many minutes.") var minutes: Double?
  @Option(help: "Run until the isolation checker has found the lists of so many concurrent transactions in order.")
  var transactions: Int?
  @Option(name: [.customShort("j"), .customLong("jobs")], help: "How many processes.") var jobs = 2
  @Flag(help: "Go on behind a finding, and list all.") var keepGoing = false
  @Flag(help: "Run each seed twice, in two processes, and compare the traces.") var twice = false
  @Flag(help: "A line of JSON for each seed on standard output.") var json = false

  func run() throws {
    let clock = RunClock(minutes: minutes)
    let count = seeds ?? (minutes == nil && transactions == nil ? 100 : nil)
    let transactionCount = transactions ?? .max
    var totals = SeedTotals()
    var failures: [SeedReport] = []
    var hashes: [UInt64: String] = [:]
    var progress = Progress(clock, count: count.map { twice ? 2 * $0 : $0 }, minutes: minutes)
    func handle(_ report: SeedReport) -> Bool {
      var report = report
      if twice {
        if let other = hashes.removeValue(forKey: report.seed) {
          if other != report.hash, report.finding == nil {
            report.finding = Finding(oracle: .determinism, text: "two runs gave the traces \(other) and \(report.hash)")
          }
        } else {
          hashes[report.seed] = report.hash
        }
      }
      totals.add(report)
      if json { Console.line(report.line.json) }
      progress.note(totals)
      guard let finding = report.finding else { return totals.listCount < transactionCount }
      // A long run tells of it at once; the layout comes at the end.
      if keepGoing { Console.error("seed \(report.seed): \(finding)") }
      failures.append(report)
      return keepGoing
    }
    let pool = SeedPool(world: world, jobCount: max(1, jobs))
    if twice {
      // A chunk and the same chunk again: two processes, or one after the other where there is one job.
      var first = seed
      let end = seed &+ UInt64(count ?? 100)
      while first < end, clock.mayGoOn, keepGoing || failures.isEmpty {
        let size = min(200, Int(end - first))
        for _ in 0..<2 { pool.run(from: first, count: size, mayGoOn: { clock.mayGoOn }, handle: handle) }
        first += UInt64(size)
      }
    } else {
      pool.run(from: seed, count: count, mayGoOn: { clock.mayGoOn }, handle: handle)
    }
    let shown = failures.sorted { $0.seed < $1.seed }
    for failure in keepGoing ? shown[...] : shown.prefix(1) { Self.show(failure, world) }
    let summary = "\(totals.text(clock.seconds)): \(failures.count) failed"
    if json { Console.error(summary) } else { Console.line(summary) }
    if !failures.isEmpty { throw ExitCode(1) }
  }

  /// Runs the seed again with its trace, where the process survives that.
  static func show(_ report: SeedReport, _ world: WorldOptions) {
    guard let finding = report.finding else { return }
    var verdict: Verdict?
    if finding.oracle != .trap {
      world.activatePlant()
      verdict = world.settings.run(.seed(report.seed), keepsTrace: true)
    }
    let replay = (["\(report.seed)"] + world.arguments).joined(separator: " ")
    FailureLayout(
      finding: finding, title: "seed \(report.seed)", verdict: verdict, seconds: Double(report.microseconds) / 1e6,
      replay: replay
    ).show()
  }
}
