// apus-sim cancel-all: each kind of statement, dropped at each of its waits.

import ApusHarness
import ApusSimulation
import ArgumentParser

struct CancelAllCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "cancel-all", abstract: "Drops each kind of statement at each of its waits.",
    discussion: """
      Behind a drop the file, the connection and the process must be as if the statement had never begun: content, locks, read \
      marks, page counts, open files, the transaction; and the same statement again must do what it does undisturbed.
      """)

  @OptionGroup var world: WorldOptions
  @Option(help: "Only statements that contain this text.") var only: String?
  @Option(name: [.customShort("j"), .customLong("jobs")], help: "How many processes.") var jobs = 2
  @Flag(help: "List the statements.") var list = false
  @Flag(help: "A line for each statement.") var verbose = false
  @Option(help: .hidden) var part: Int?
  @Option(help: .hidden) var parts = 1

  func run() throws {
    let kinds = CancelKind.all.filter { kind in only.map { kind.name.contains($0) } ?? true }
    if list {
      for kind in kinds { Console.line(kind.name) }
      return
    }
    if let part { return runPart(part, kinds) }
    let clock = RunClock()
    var caseCount = 0, waitCount = 0
    var failures: [String] = []
    var arguments = ["cancel-all"] + world.arguments
    if let only { arguments += ["--only", only] }
    let troubles = PartPool(arguments: arguments, jobCount: max(1, jobs)).run { line in
      if let failure = line.text("failure") { failures.append(failure) }
      guard let waits = line.number("waits") else { return }
      caseCount += 1
      waitCount += waits
      if verbose { Console.line("\(waits) waits: \(line.text("case") ?? "")") }
    }
    for failure in failures { Console.line("FAIL " + failure) }
    for trouble in troubles { Console.line("FAIL \(trouble)") }
    Console.line(
      "\(kinds.count) kinds of statement in \(CancelSetting.all.count) settings, \(grouped(waitCount)) drops in "
        + "\(decimals(clock.seconds, 1)) s: \(failures.count + troubles.count) failed")
    if !failures.isEmpty || !troubles.isEmpty { throw ExitCode(1) }
  }

  private func runPart(_ part: Int, _ kinds: [CancelKind]) {
    world.activatePlant()
    let cases = kinds.flatMap { kind in CancelSetting.all.map { (kind, $0) } }
    for (number, (kind, setting)) in cases.enumerated() where number % parts == part {
      let result = CancelRun(kind, setting).run()
      var line = FieldLine()
      line.add("waits", result.waitCount)
      line.add("case", "\(kind.name) (\(setting))")
      Console.line(line.line)
      // The first says what is wrong, the others the same.
      if let first = result.failures.first {
        var line = FieldLine()
        let more = result.failures.count > 1 ? " (and at \(result.failures.count - 1) other waits)" : ""
        line.add("failure", "\(first)\(more)")
        Console.line(line.line)
      }
    }
  }
}
