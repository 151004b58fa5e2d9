// apus-sim: runs and replays simulation seeds.

import ApusBase
import ApusSimulation
import Glibc

@main
struct ApusSim {
  static func main() async {
    do throws(Usage) {
      let options = try Options(Array(CommandLine.arguments.dropFirst()))
      exit(await options.command.run(options))
    } catch {
      complain("apus-sim: \(error.text)\n\(Options.help)")
      exit(2)
    }
  }
}

/// Writes to standard error.
func complain(_ text: String) {
  var text = text
  text.withUTF8 { bytes in _ = unsafe write(2, bytes.baseAddress, bytes.count) }
}

struct Usage: Error { var text: String }

enum Command {
  case run, replay, plants, help

  func run(_ options: Options) async -> Int32 {
    switch self {
    case .run: return await runSeeds(options)
    case .replay: return replay(options)
    case .plants:
      for name in plantedBugNames { print(name) }
      return 0
    case .help:
      print(Options.help)
      return 0
    }
  }

  /// Runs the seeds on `jobs` workers and stops at the first that fails.
  private func runSeeds(_ options: Options) async -> Int32 {
    let clock = ContinuousClock()
    let start = clock.now
    let seeds = options.seed..<options.seed + UInt64(options.seedCount)
    var totals = Totals()
    var failures: [Verdict] = []
    await withTaskGroup(of: Verdict.self) { group in
      var next = seeds.lowerBound
      func launch() {
        guard next < seeds.upperBound, failures.isEmpty else { return }
        let seed = next
        next += 1
        group.addTask { Simulation(seed: seed).run() }
      }
      for _ in 0..<options.jobCount { launch() }
      while let verdict = await group.next() {
        totals.add(verdict)
        if verdict.finding != nil { failures.append(verdict) }
        if totals.seedCount % 100 == 0 { progress(totals, of: seeds.count, since: start, clock) }
        launch()
      }
    }
    let seconds = Double((clock.now - start) / .milliseconds(1)) / 1_000
    let first = failures.min { ($0.seed ?? 0) < ($1.seed ?? 0) }
    if let first { show(first, options) }
    print(
      "\(totals.seedCount) seeds, \(totals.commitCount) commits, \(totals.cutCount) power cuts, \(totals.droppedCount) "
        + "dropped statements, \(totals.eventCount) events in \(seconds) s: \(failures.count) failed")
    return first == nil ? 0 : 1
  }

  private func progress(
    _ totals: Totals, of count: Int, since start: ContinuousClock.Instant, _ clock: ContinuousClock
  ) {
    let seconds = max(0.001, Double((clock.now - start) / .milliseconds(1)) / 1_000)
    let rate = Double(totals.seedCount) / seconds
    let left = Int(Double(count - totals.seedCount) / rate)
    complain("\(totals.seedCount)/\(count) seeds, \(Int(rate * 10) / 10).\(Int(rate * 10) % 10) a second, \(left) s left\n")
  }

  private func replay(_ options: Options) -> Int32 {
    let verdict = Simulation(seed: options.seed, keepsTrace: options.showsTrace).run()
    for line in verdict.trace { print(line) }
    show(verdict, options)
    return verdict.finding == nil ? 0 : 1
  }

  private func show(_ verdict: Verdict, _ options: Options) {
    let plant = options.plant.map { " --plant \($0)" } ?? ""
    print(
      "\(verdict.finding == nil ? "PASS" : "FAIL") seed \(verdict.seed ?? 0)  trace \(verdict.traceHash) "
        + "(\(verdict.eventCount) events, step \(verdict.step))")
    print("  profile  \(verdict.profile)")
    print("  run      \(verdict.commitCount) commits, \(verdict.cutCount) cuts, \(verdict.droppedCount) dropped statements")
    if let finding = verdict.finding {
      print("  found    \(finding)")
      print("  replay   apus-sim replay --seed \(verdict.seed ?? 0)\(plant)")
    }
  }
}

struct Totals {
  var seedCount = 0
  var commitCount = 0
  var cutCount = 0
  var droppedCount = 0
  var eventCount = 0

  mutating func add(_ verdict: Verdict) {
    seedCount += 1
    commitCount += verdict.commitCount
    cutCount += verdict.cutCount
    droppedCount += verdict.droppedCount
    eventCount += verdict.eventCount
  }
}

struct Options {
  var command: Command
  var seed: UInt64 = 1
  var seedCount = 100
  var jobCount = 2
  var plant: String?
  var showsTrace = false

  static let help = """
    usage: apus-sim run [--seeds N] [--seed S] [-j JOBS] [--plant BUG]
           apus-sim replay --seed S [--plant BUG] [--trace]
           apus-sim plants
      run      runs N seeds from S on (100 from 1 on) and stops at the first failure
      replay   runs one seed again: the same seed gives the same trace, --trace prints it
      plants   lists the planted bugs; they need a build with --traits PlantedBugs
    exit status: 0 nothing found, 1 a finding, 2 wrong usage

    """

  init(_ arguments: [String]) throws(Usage) {
    var rest = arguments[...]
    switch rest.popFirst() {
    case "run": command = .run
    case "replay": command = .replay
    case "plants": command = .plants
    case "help", "--help", "-h", nil: command = .help
    case let other?: throw Usage(text: "unknown command '\(other)'")
    }
    while let option = rest.popFirst() {
      if option == "--trace" {
        showsTrace = true
        continue
      }
      guard let value = rest.popFirst() else { throw Usage(text: "\(option) needs a value") }
      switch option {
      case "--seeds": seedCount = try Self.number(option, value)
      case "--seed": seed = UInt64(try Self.number(option, value))
      case "-j", "--jobs": jobCount = try Self.number(option, value)
      case "--plant":
        try plantBug(value)
        plant = value
      default: throw Usage(text: "unknown option '\(option)'")
      }
    }
  }

  private static func number(_ option: String, _ value: String) throws(Usage) -> Int {
    guard let number = Int(value), number >= 0 else { throw Usage(text: "\(option) needs a number, not '\(value)'") }
    return number
  }
}

#if PlantedBugs
  private let plantedBugNames = PlantedBug.allCases.map(\.rawValue)

  private func plantBug(_ name: String) throws(Usage) {
    guard let bug = PlantedBug(rawValue: name) else {
      throw Usage(text: "unknown planted bug '\(name)'; see apus-sim plants")
    }
    PlantedBug.plant(bug)
  }
#else
  private let plantedBugNames: [String] = []

  private func plantBug(_ name: String) throws(Usage) {
    throw Usage(text: "this build has no planted bugs; build with --traits PlantedBugs")
  }
#endif
