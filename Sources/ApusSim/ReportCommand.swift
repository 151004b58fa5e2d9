// apus-sim report: one page that shows what the simulator exercises, and what it finds.

import ApusHarness
import ApusSimulation
import ArgumentParser

struct ReportCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "report",
    abstract: "Writes one static HTML page: seeds, faults, buggify points, features, mutation score.",
    discussion: "Runs the seeds itself. The mutation score comes from a file that `mutants --save` has written.")

  @OptionGroup var world: WorldOptions
  @Option(name: .shortAndLong, help: "The page.") var output = "apus-sim.html"
  @Option(help: "How many seeds.") var seeds = 500
  @Option(help: "The first seed.") var seed: UInt64 = 1
  @Option(help: "What `mutants --save` has written.") var mutants: String?
  @Option(name: [.customShort("j"), .customLong("jobs")], help: "How many processes.") var jobs = 2

  func run() throws {
    let clock = RunClock()
    var totals = SeedTotals()
    var reports: [SeedReport] = []
    var progress = Progress(clock, count: seeds)
    SeedPool(world: world, jobCount: max(1, jobs)).run(from: seed, count: seeds) { report in
      totals.add(report)
      reports.append(report)
      progress.note(totals)
      return true
    }
    reports.sort { $0.seed < $1.seed }
    var results: [FieldLine] = []
    if let mutants {
      guard let bytes = Console.contents(of: mutants) else { throw ValidationError("\(mutants) cannot be read") }
      results = String(decoding: bytes, as: UTF8.self).split(separator: "\n").map { FieldLine(line: String($0)) }
    }
    let page = ReportPage(totals: totals, reports: reports, mutants: results, seconds: clock.seconds)
    guard Console.put(Array(page.html.utf8), to: output) else { throw ValidationError("\(output) cannot be written") }
    Console.line("\(output): \(totals.text(clock.seconds)): \(totals.failureCount) failed")
    if totals.failureCount > 0 { throw ExitCode(1) }
  }
}
