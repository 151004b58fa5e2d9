// apus-conformance: runs sqllogictest files, each in a process of its own, and counts what passed, failed and was refused.
// `unsafe` lives here: reading directories.

import ApusHarness
import Glibc
import Synchronization

/// The line of the record that runs, for the report of a statement that does not end.
private let currentLine = Atomic<Int>(0)

@main
enum ConformanceCommand {
  static let usage = """
    usage: apus-conformance [--engine apus|sqlite|PATH] [--jobs N] [--deadline SECONDS] [--failures N] PLACE...
      PLACE        a .test file, or a directory that is searched for them
      --engine     what is tested: apus (the default), the system's SQLite, or a libsqlite3.so.0
      --jobs       files at a time (2)
      --deadline   seconds that one statement may take (60)
      --failures   how many failures of a file are shown (5)
    A file fails that has a failure, or of which nothing passes; so does a refusal that is not among the known ones.
    """

  /// What the engine may refuse by name, and how often at most in a whole run: none since all that the corpus asks is
  /// built.
  private static let refusalCountMax: [String: Int] = [:]

  struct Options {
    var engine = "apus"
    var jobs = 2
    var deadline: UInt32 = 60
    var failures = 5
    var places: [String] = []
    var single: String?
  }

  static func main() {
    var options = Options()
    var arguments = CommandLine.arguments.dropFirst()
    func value(_ name: String) -> String {
      guard let value = arguments.popFirst() else { stop("\(name) wants a value\n\(usage)") }
      return value
    }
    func number(_ name: String) -> Int {
      let text = value(name)
      guard let number = Int(text), number > 0 else { stop("\(name) wants a positive number, not \(text)") }
      return number
    }
    while let argument = arguments.popFirst() {
      switch argument {
      case "--engine": options.engine = value(argument)
      case "--jobs": options.jobs = number(argument)
      case "--deadline": options.deadline = UInt32(number(argument))
      case "--failures": options.failures = number(argument)
      case "--single": options.single = value(argument)
      case "--help", "-h":
        Console.line(usage)
        return
      default:
        if argument.hasPrefix("-") { stop("unknown option \(argument)\n\(usage)") }
        options.places.append(argument)
      }
    }
    if let single = options.single { return runSingle(single, options) }
    if options.places.isEmpty { stop(usage) }
    let files = options.places.flatMap(testFiles).sorted()
    if files.isEmpty { stop("no .test file under \(options.places.joined(separator: ", "))") }
    exit(runAll(files, options) ? 0 : 1)
  }

  private static func stop(_ message: String) -> Never {
    Console.error(message)
    exit(2)
  }

  // MARK: - One file, in the child

  /// Writes tab-separated lines for the parent: F line text, R line text, S passed.
  private static func runSingle(_ path: String, _ options: Options) {
    let engine: any HarnessEngine
    do {
      engine = try Engines.named(options.engine)
    } catch {
      stop(error.message)
    }
    guard let bytes = Console.contents(of: path) else { stop("cannot read \(path)") }
    signal(SIGALRM) { _ in
      Console.write("F\t\(currentLine.load(ordering: .relaxed))\tthe statement passed its deadline\n")
      _exit(124)
    }
    let records = LogicTestFile.parse(bytes)
    let runner = LogicTestRunner(engine: engine) { line in
      currentLine.store(line, ordering: .relaxed)
      alarm(options.deadline)
    }
    let outcome = runner.run(records)
    func flat(_ text: String) -> String { String(text.map { $0 == "\n" || $0 == "\t" ? " " : $0 }) }
    var report = ""
    for failure in outcome.failed { report += "F\t\(failure.line)\t\(flat(failure.text))\n" }
    for refusal in outcome.refused { report += "R\t\(refusal.line)\t\(flat(refusal.text))\n" }
    Console.write(report + "S\t\(outcome.passed)\n")
  }

  // MARK: - All files, in the parent

  private static func runAll(_ files: [String], _ options: Options) -> Bool {
    var waiting = files[...]
    var running: [(key: String, child: ChildProcess)] = []
    var passed = 0, failed = 0, refused = 0
    var refusals: [String: Int] = [:]
    while !waiting.isEmpty || !running.isEmpty {
      while running.count < options.jobs, let file = waiting.popFirst() {
        let arguments = ["--engine", options.engine, "--deadline", "\(options.deadline)", "--single", file]
        guard let child = ChildProcess.again(arguments) else { stop("cannot start a child process") }
        running.append((file, child))
      }
      guard let (file, result) = ChildProcess.waitAny(&running) else { break }
      var outcome = LogicTestOutcome()
      var isWhole = false
      for line in result.output.split(separator: "\n") {
        let fields = line.split(separator: "\t", maxSplits: 2).map(String.init)
        switch fields.first {
        case "F": outcome.failed.append((Int(fields[1]) ?? 0, fields.count > 2 ? fields[2] : ""))
        case "R": outcome.refused.append((Int(fields[1]) ?? 0, fields.count > 2 ? fields[2] : ""))
        case "S": (outcome.passed, isWhole) = (Int(fields[1]) ?? 0, true)
        default: break
        }
      }
      if !isWhole || result.status != 0, outcome.failed.isEmpty {
        let reason = result.status < 0 ? "signal \(-result.status)" : "exit code \(result.status)"
        outcome.failed.append((0, "the process ended with \(reason)"))
      }
      if outcome.passed == 0, outcome.failed.isEmpty { outcome.failed.append((0, "nothing of the file has passed")) }
      Console.line(
        "\(file): \(outcome.passed) passed, \(outcome.failed.count) failed, \(outcome.refused.count) refused")
      for failure in outcome.failed.prefix(options.failures) {
        Console.line("  line \(failure.line): \(failure.text.prefix(400))")
      }
      if outcome.failed.count > options.failures {
        Console.line("  ... and \(outcome.failed.count - options.failures) more")
      }
      for refusal in outcome.refused { refusals[refusal.text, default: 0] += 1 }
      passed += outcome.passed
      failed += outcome.failed.count
      refused += outcome.refused.count
    }
    if !refusals.isEmpty {
      Console.line("refused by name:")
      for (text, count) in refusals.sorted(by: { ($1.value, $0.key) < ($0.value, $1.key) }) {
        Console.line("  \(count) x \(text)")
      }
    }
    Console.line("\(passed) passed, \(failed) failed, \(refused) refused")
    let unknown = refusals.filter { $0.value > refusalCountMax[$0.key, default: 0] }
    if !unknown.isEmpty {
      Console.line("FAILED: \(unknown.count) refusals are not among the known ones, or come too often")
    }
    return failed == 0 && passed > 0 && unknown.isEmpty
  }

  private static func testFiles(under place: String) -> [String] {
    guard let directory = unsafe opendir(place) else { return place.hasSuffix(".test") ? [place] : [] }
    defer { unsafe closedir(directory) }
    var found: [String] = []
    while let entry = unsafe readdir(directory) {
      let name = unsafe withUnsafePointer(to: &entry.pointee.d_name) { pointer in
        unsafe pointer.withMemoryRebound(to: CChar.self, capacity: 256) { unsafe String(cString: $0) }
      }
      if name.hasPrefix(".") { continue }
      found += testFiles(under: place.hasSuffix("/") ? place + name : "\(place)/\(name)")
    }
    return found
  }
}
