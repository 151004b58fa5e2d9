// apus-prove: long proofs on whole files. `bad-input` gives the engine damaged databases, each in a child process;
// `round-trip` and `handover` write and exchange files with real SQLite.

import ApusHarness
import Glibc

@main
enum ProveCommand {
  static let usage = """
    usage: apus-prove bad-input [--variants N] [--seed S] [--base FILE|small] [--jobs N] [--deadline SECONDS]
           apus-prove round-trip [--transactions N] [--seed S] [--page-size N] [--auto-vacuum MODE]
                      [--encoding NAME] [--directory DIRECTORY]
           apus-prove handover [--rounds N] [--seed S] [--page-size N] [--directory DIRECTORY]
           apus-prove power-cut [--cuts N] [--seed S] [--commits N] [--directory DIRECTORY]
           apus-prove kills [--rounds N] [--seed S] [--directory DIRECTORY]
           apus-prove matrix [--files N] [--transactions 200] [--seed S] [--jobs N] [--directory DIRECTORY]
           apus-prove faults [--seed S] [--mode refusals] [--directory DIRECTORY]
           apus-prove mixed [--seconds N] [--seed S] [--journal delete|wal] [--apus 3] [--sqlite 3] [--directory DIRECTORY]
           apus-prove writers [--writers N] [--sqlite 0] [--seconds N] [--seed S] [--directory DIRECTORY]
           apus-prove large [--megabytes N] [--connections N] [--directory DIRECTORY]
      --variants      damaged copies (2000); each is reproduced by --variants 1 --seed ITS-NUMBER
      --base          what is damaged: a database file (/usr/share/proj/proj.db), or a small one that SQLite writes
      --deadline      seconds that one statement may take (60)
      --transactions  in all, spread over page sizes, kinds of tables and journal modes (10000)
      --mode          refusals: without the system calls that fail one by one
      --directory     where the files lie (/dev/shm, where a sync costs nothing; /tmp where there is none)
    """

  struct Options {
    var variants = 2000
    var transactions = 10_000
    var rounds = 40
    var seed: UInt64 = 1
    var base = "/usr/share/proj/proj.db"
    var jobs = 2
    var deadline: UInt32 = 60
    var pageSize: Int?
    var autoVacuum: Int?
    var encoding: String?
    var directory = Console.mayWrite(to: "/dev/shm") ? "/dev/shm" : "/tmp"
    /// What the names of this run's files have in common, and no other run's: process numbers are unique in one container only.
    let tag = "\(getpid())-" + String(Console.nanoseconds(), radix: 36)
    var seconds = 20
    var files = 300
    var journal = "wal"
    var apusCount = 3
    var sqliteCount = 3
    var megabytes = 1024
    var connections = 1000
    var writers = 16
    /// For children.
    var isChild = false
    var database = ""
    var mode = ""
    var number = 0
    var engine = "apus"
    var isVerbose = false
  }

  static func main() {
    var options = Options()
    var arguments = CommandLine.arguments.dropFirst()
    guard let verb = arguments.popFirst() else { stop(usage) }
    if verb == "matrix" { options.transactions = 200 }
    if verb == "writers" { options.sqliteCount = 0 }
    if PowerCutCommand.verbs.contains(verb) { exit(PowerCutCommand.run(verb, arguments)) }
    func value(_ name: String) -> String {
      guard let value = arguments.popFirst() else { stop("\(name) wants a value\n\(usage)") }
      return value
    }
    func number(_ name: String) -> Int {
      let text = value(name)
      guard let number = Int(text), number >= 0 else { stop("\(name) wants a number, not \(text)") }
      return number
    }
    while let argument = arguments.popFirst() {
      switch argument {
      case "--variants": options.variants = number(argument)
      case "--transactions": options.transactions = number(argument)
      case "--rounds": options.rounds = number(argument)
      case "--seed": options.seed = UInt64(number(argument))
      case "--base": options.base = value(argument)
      case "--jobs": options.jobs = max(1, number(argument))
      case "--deadline": options.deadline = UInt32(number(argument))
      case "--directory": options.directory = value(argument)
      case "--page-size": options.pageSize = number(argument)
      case "--files": options.files = number(argument)
      case "--seconds": options.seconds = number(argument)
      case "--journal": options.journal = value(argument)
      case "--apus": options.apusCount = number(argument)
      case "--sqlite": options.sqliteCount = number(argument)
      case "--auto-vacuum": options.autoVacuum = number(argument)
      case "--encoding": options.encoding = value(argument)
      case "--megabytes": options.megabytes = number(argument)
      case "--writers": options.writers = max(1, number(argument))
      case "--connections": options.connections = number(argument)
      case "--child": options.isChild = true
      case "--database": options.database = value(argument)
      case "--mode": options.mode = value(argument)
      case "--number": options.number = number(argument)
      case "--engine": options.engine = value(argument)
      case "--verbose": options.isVerbose = true
      default: stop("unknown option \(argument)\n\(usage)")
      }
    }
    switch verb {
    case "bad-input" where options.isChild: BadInput(options).runVariants()
    case "bad-input": exit(BadInput.runAll(options) ? 0 : 1)
    case "round-trip", "handover":
      do {
        let trip = try RoundTrip(options)
        exit((verb == "handover" ? trip.runHandovers() : trip.runTransactions()) ? 0 : 1)
      } catch {
        stop("\(error)")
      }
    case "large": exit(options.isChild ? LargeProof(options: options).work() : LargeProof(options: options).run() ? 0 : 1)
    case "faults", "kills", "matrix", "mixed", "writers": exit(crashes(verb, options))
    case "--help", "-h", "help": Console.line(usage)
    default: stop("unknown verb \(verb)\n\(usage)")
    }
  }

  /// The proofs whose processes are killed; their children too.
  private static func crashes(_ verb: String, _ options: Options) -> Int32 {
    do {
      switch (verb, options.isChild) {
      case ("kills", true): return try KillProof(options).work()
      case ("kills", false): return try KillProof(options).run() ? 0 : 1
      case ("faults", true): return options.mode.isEmpty ? FaultProof.read(options.database) : try RefusalProof.work(options)
      case ("faults", false): return try FaultProof(options).run() ? 0 : 1
      case ("matrix", true):
        let proof = try MatrixProof(options)
        return options.database.isEmpty ? proof.runSlice() : proof.write()
      case ("matrix", false): return try MatrixProof(options).run() ? 0 : 1
      case ("writers", true): return WritersProof(options).work()
      case ("writers", false): return try WritersProof(options).run() ? 0 : 1
      case (_, true): return MixedWorker.work(options)
      case (_, false):
        var proof = try MixedProof(options)
        return try proof.run() ? 0 : 1
      }
    } catch {
      Console.error("\(error)")
      return 2
    }
  }

  static func stop(_ message: String) -> Never {
    Console.error(message)
    exit(2)
  }
}
