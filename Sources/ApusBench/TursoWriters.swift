// Turso at the same loads, in a process of its own: a program (`.ci/bench-turso`) that runs its Python package's threads.

import ApusHarness

struct TursoWriters {
  let program: String
  /// Version and mode, for the reader of the figures.
  let name: String

  /// - Returns: nil where the program has no Turso, with a line that says why.
  init?(program: String) {
    if program.isEmpty { return nil }
    guard let result = ChildProcess.run(program, [program, "check"])?.wait() else {
      Console.line("SKIPPED Turso: \(program) cannot be run")
      return nil
    }
    let text =
      result.output.split(separator: "\n").last.map(String.init)
      ?? "SKIPPED Turso: \(program) ended with \(result.status)"
    Console.line(text)
    if result.status != 0 { return nil }
    self.program = program
    name = text
  }

  func run(_ load: WriterLoad, _ path: String, milliseconds: UInt64) -> WriterFigures {
    let place =
      switch load.place {
      case .own: "own"
      case .same: "same"
      case .hot: "hot"
      }
    let arguments = [
      program, path, "\(load.writers)", "\(load.rows)", place, load.synchronous,
      BenchReport.decimal(Double(milliseconds) / 1000, 3),
    ]
    guard let result = ChildProcess.run(program, arguments)?.wait() else {
      return WriterFigures(failure: "\(program) cannot be run")
    }
    var figures = WriterFigures()
    for line in result.output.split(separator: "\n") {
      let fields = line.split(separator: " ")
      switch fields.first {
      case "seconds": figures.seconds = fields.last.flatMap { Double($0) } ?? 0
      case "processor": figures.processor = fields.last.flatMap { Double($0) } ?? 0
      case "conflicts": figures.conflicts = fields.last.flatMap { Int($0) } ?? 0
      case "latencies": figures.latencies = fields.dropFirst().compactMap { UInt64($0) }.sorted()
      case "failure": figures.failure = String(line)
      default: break
      }
    }
    figures.commits = figures.latencies.count
    figures.processor = figures.processor * 1e6 / Double(max(1, figures.commits))
    if result.status != 0 { figures.failure = figures.failure ?? "Turso's program ended with \(result.status)" }
    return figures
  }
}
