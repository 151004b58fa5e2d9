// Inputs run again, each target's in a child process: an input that traps or hangs is named, and the next child goes on behind it.

import ApusFuzzing
import ApusHarness
import Glibc

enum Replay {
  /// One line per failure; the last line counts.
  static func runAll(_ options: FuzzCommand.Options) -> Bool {
    var inputCount = 0, targetCount = 0, failureCount = 0
    for (target, files) in inputs(options) {
      targetCount += 1
      inputCount += files.count
      var next = 0
      while next < files.count {
        let (last, lines, result) = runChild(target, Array(files[next...]), options)
        for line in lines { Console.line("\(target): \(line)") }
        failureCount += lines.count
        if result.status == 0, next + last + 1 == files.count { break }
        failureCount += 1
        Console.line("\(target): \(files[next + last]): \(ending(result.status))")
        next += last + 1
      }
    }
    Console.line("replay: \(inputCount) inputs of \(targetCount) targets, \(failureCount) failures")
    return failureCount == 0 && inputCount > 0
  }

  static func ending(_ status: Int32) -> String {
    status == 124 ? "hangs" : status < 0 ? "dies by signal \(-status)" : "ends with \(status)"
  }

  private static func inputs(_ options: FuzzCommand.Options) -> [(target: String, files: [String])] {
    if !options.target.isEmpty { return [(options.target, options.rest.flatMap(Folders.files))] }
    return options.rest.flatMap { root in
      Folders.names(in: root).filter { Folders.isFolder("\(root)/\($0)") }.map { ($0, Folders.files("\(root)/\($0)")) }
    }
  }

  /// - Returns: the place of the last input that was begun, the findings, how the child ended.
  static func runChild(
    _ target: String, _ files: [String], _ options: FuzzCommand.Options
  ) -> (last: Int, findings: [String], result: ChildResult) {
    let arguments = ["replay", "--child", "--target", target, "--deadline", "\(options.deadline)"]
    guard let child = ChildProcess.again(arguments + files) else { FuzzCommand.stop("cannot start a child process") }
    let result = child.wait()
    var last = 0, findings: [String] = []
    for line in result.output.split(separator: "\n") {
      if line.hasPrefix("I\t") { last = Int(line.dropFirst(2)) ?? last }
      if line.hasPrefix("F\t") { findings.append(String(line.dropFirst(2))) }
    }
    return (last, findings, result)
  }

  /// In the child: says which input it begins, and what it finds.
  static func runInputs(_ options: FuzzCommand.Options) {
    signal(SIGALRM) { _ in _exit(124) }
    do {
      let type = FuzzCommand.target(options.target), target = try type.init()
      for (index, file) in options.rest.enumerated() {
        Console.line("I\t\(index)")
        guard let bytes = Console.contents(of: file) else { FuzzCommand.stop("cannot read \(file)") }
        if bytes.count > type.byteCountMax {
          Console.line("F\t\(file): \(bytes.count) bytes are more than the target looks at, \(type.byteCountMax)")
          continue
        }
        alarm(options.deadline)
        do throws(FuzzFinding) {
          try target.check(bytes)
        } catch {
          Console.line("F\t\(file): \(error.description.split(separator: "\n").joined(separator: " ↵ "))")
        }
      }
    } catch {
      FuzzCommand.stop("\(error)")
    }
  }
}
