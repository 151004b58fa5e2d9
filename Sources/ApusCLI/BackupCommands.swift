// .backup, .save and .restore: copies of databases while they are open.

import ApusBackup
import ApusBase
import ApusIO

extension DotCommand {
  /// Pages of a step, as sqlite3 takes them.
  private static let pagesPerStep = 100

  static func backup(_ name: String, _ arguments: [String], _ shell: Shell) throws(ShellFailure) -> Bool {
    var names: [String] = []
    for argument in arguments {
      guard argument.hasPrefix("-") else {
        names.append(argument)
        continue
      }
      // Without syncs a crash may leave half of it; sqlite3 has the option, and here it changes nothing.
      if argument.drop(while: { $0 == "-" }) == "async" { continue }
      shell.output.error("unknown option: \(argument)")
      return false
    }
    guard let file = names.last else {
      shell.output.error("missing FILENAME argument on .\(name)")
      return false
    }
    guard names.count <= 2 else {
      shell.output.error("Usage: .\(name) ?DB? ?OPTIONS? FILENAME")
      return false
    }
    try shell.session.backup(names.count == 2 ? names[0] : "main", toFile: file, pagesPerStep: pagesPerStep)
    return true
  }

  static func restore(_ arguments: [String], _ shell: Shell) throws(ShellFailure) -> Bool {
    guard let file = arguments.last, arguments.count <= 2 else {
      shell.output.error("Usage: .restore ?DB? FILE")
      return false
    }
    try shell.session.restore(
      arguments.count == 2 ? arguments[0] : "main", fromFile: file, pagesPerStep: pagesPerStep)
    return true
  }

  static func recover(_ shell: Shell) -> Bool {
    do throws(EngineError) {
      let output = shell.output
      let salvage = try Salvage(SystemEnvironment(), shell.path) { output.write($0 + "\n") }
      salvage.run()
      if let first = salvage.firstRefusal {
        output.error("\(salvage.refusedCount) rows of the schema were left out, the first: \(first)")
      }
      return true
    } catch {
      shell.output.error("Error: \(error.message)")
      return false
    }
  }
}
