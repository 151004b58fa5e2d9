// `apus-prove power-cut`: its options, and the two verbs that its child processes are started with.

import ApusHarness
import Glibc

enum PowerCutCommand {
  static let verbs = ["power-cut", "power-cut-writer", "power-cut-check"]

  struct Options {
    var cuts = 500
    var commits = 60
    var seed: UInt64 = 1
    var directory = "/tmp"
    // Of the children.
    var journal = "wal"
    var synchronous = "FULL"
    var acknowledgements = ""
    var engine = "apus"
    var usesRing = false
  }

  static func run(_ verb: String, _ arguments: ArraySlice<String>) -> Int32 {
    var options = Options(), arguments = arguments
    while let argument = arguments.popFirst() {
      if argument == "--ring" {
        options.usesRing = true
        continue
      }
      guard let value = arguments.popFirst() else { return refuse("\(argument) wants a value") }
      let number = Int(value)
      switch (argument, number) {
      case ("--cuts", let number?): options.cuts = number
      case ("--commits", let number?): options.commits = number
      case ("--seed", let number?): options.seed = UInt64(number.magnitude)
      case ("--directory", _): options.directory = value
      case ("--journal", _): options.journal = value
      case ("--synchronous", _): options.synchronous = value
      case ("--acknowledgements", _): options.acknowledgements = value
      case ("--engine", _): options.engine = value
      default: return refuse("unknown option \(argument) \(value)")
      }
    }
    do {
      switch verb {
      case "power-cut-writer": try PowerCutRig.runWriter(options)
      case "power-cut-check": try PowerCutRig.runCheck(options)
      default: return PowerCutRig(options).run() ? 0 : 1
      }
      return 0
    } catch {
      Console.line((error as? ProofFailure)?.text ?? "\(error)")
      return 1
    }
  }

  private static func refuse(_ message: String) -> Int32 {
    Console.error("\(message)\n\(ProveCommand.usage)")
    return 2
  }
}
