// apus-sim exhaust: every small workload, cut at every point, with every survivor set.

import ApusHarness
import ApusSimulation
import ArgumentParser

struct ExhaustCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "exhaust", abstract: "Cuts every small workload at every point, with five survivor sets.",
    discussion: "The workloads are all sequences of up to two statements of an alphabet of twelve.")

  @OptionGroup var world: WorldOptions
  @Option(help: "Statements of the longest workloads.") var statements = 2
  @Option(help: "Only this journal: wal, delete, truncate or persist.") var journal: String?
  @Option(help: "Only every Nth workload.") var every = 1
  @Option(name: [.customShort("j"), .customLong("jobs")], help: "How many processes.") var jobs = 2
  @Flag(help: "List the alphabet.") var alphabet = false
  @Option(help: .hidden) var part: Int?
  @Option(help: .hidden) var parts = 1

  func run() throws {
    if alphabet {
      for name in ExhaustRun.letterNames { Console.line(name) }
      return
    }
    let journals = ExhaustJournal.allCases.filter { journal == nil || $0.rawValue == journal }
    if journals.isEmpty { throw ValidationError("unknown journal '\(journal ?? "")'") }
    if let part { return try runPart(part, journals) }
    let clock = RunClock()
    var workloadCount = 0, crashCount = 0, pointCount = 0
    var failures: [String] = []
    var shownAt = 0.0
    let total = journals.count * ((ExhaustRun.workloads(length: statements).count + every - 1) / every)
    let troubles = PartPool(arguments: ["exhaust"] + arguments, jobCount: max(1, jobs)).run { line in
      if let failure = line.text("failure") { failures.append(failure) }
      guard let crashes = line.number("crashes") else { return }
      workloadCount += 1
      crashCount += crashes
      pointCount += line.number("points") ?? 0
      if clock.seconds - shownAt > 5 {
        shownAt = clock.seconds
        let left = Int(clock.seconds / Double(workloadCount) * Double(total - workloadCount))
        Console.error(
          "\(workloadCount)/\(total) workloads, \(grouped(crashCount)) crashes, \(failures.count) failed, \(left) s left"
        )
      }
    }
    for failure in failures { Console.line("FAIL " + failure) }
    for trouble in troubles { Console.line("FAIL \(trouble)") }
    Console.line(
      "\(grouped(workloadCount)) workloads, \(grouped(pointCount)) crash points, \(grouped(crashCount)) crashes in "
        + "\(decimals(clock.seconds, 1)) s: \(failures.count + troubles.count) failed")
    if !failures.isEmpty || !troubles.isEmpty { throw ExitCode(1) }
  }

  private var arguments: [String] {
    var words = ["--statements", "\(statements)", "--every", "\(every)"] + world.arguments
    if let journal { words += ["--journal", journal] }
    return words
  }

  private func runPart(_ part: Int, _ journals: [ExhaustJournal]) throws {
    world.activatePlant()
    for journal in journals {
      let run: ExhaustRun
      do throws(Finding) {
        run = try ExhaustRun(journal)
      } catch {
        var line = FieldLine()
        line.add("failure", "\(journal.rawValue), the file at the start: \(error)")
        Console.line(line.line)
        continue
      }
      let workloads = ExhaustRun.workloads(length: statements).enumerated().filter { $0.offset % every == 0 }.map(
        \.element)
      for (number, workload) in workloads.enumerated() where number % parts == part {
        let result = run.run(workload)
        var line = FieldLine()
        line.add("crashes", result.crashCount)
        line.add("points", result.pointCount)
        Console.line(line.line)
        for failure in result.failures {
          var line = FieldLine()
          line.add("failure", "\(failure)")
          Console.line(line.line)
        }
      }
    }
  }
}
