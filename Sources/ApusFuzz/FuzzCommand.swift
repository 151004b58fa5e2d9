// apus-fuzz: the fuzz targets without a fuzzer. Replays inputs, prepares campaigns, sorts what they found; runs the logic tester.

import ApusFuzzing
import ApusHarness
import Glibc

@main
enum FuzzCommand {
  static let usage = """
    usage: apus-fuzz VERB
      list                            the targets
      seeds TARGET DIRECTORY          writes the first inputs of a campaign
      dictionary TARGET FILE          writes the words of a target, as libFuzzer reads them
      replay DIRECTORY...             runs every input; DIRECTORY holds one folder per target
      replay --target TARGET PATH...  the same for files and folders of one target
      triage TARGET [--into DIRECTORY] FILE...
                                      shrinks what fails, keeps one of each kind in DIRECTORY/TARGET
      repro FILE                      an input of the target tape as the simulator's tools read it (.apusrepro)
      logic [--seconds N] [--worlds N] [--seed N] [--engine apus|sqlite]
                                      the logic tester: queries that check each other, on generated databases
    --deadline N: seconds that one input may take (10)
    """

  struct Options {
    var target = ""
    var into = "Fuzz/Corpus/Regressions"
    var seconds = 60
    var worlds = Int.max
    var seed: UInt64 = 1
    var engine = "apus"
    var deadline: UInt32 = 10
    var isChild = false
    var rest: [String] = []
  }

  static func main() {
    var arguments = CommandLine.arguments.dropFirst().makeIterator()
    guard let verb = arguments.next() else { stop(usage) }
    var options = Options()
    func value(_ name: String) -> String {
      guard let value = arguments.next() else { stop("\(name) wants a value") }
      return value
    }
    func number<N: FixedWidthInteger>(_ name: String) -> N {
      guard let number = N(value(name)) else { stop("\(name) wants a number") }
      return number
    }
    while let argument = arguments.next() {
      switch argument {
      case "--target": options.target = value(argument)
      case "--into": options.into = value(argument)
      case "--seconds": options.seconds = number(argument)
      case "--worlds": options.worlds = number(argument)
      case "--seed": options.seed = number(argument)
      case "--engine": options.engine = value(argument)
      case "--deadline": options.deadline = number(argument)
      case "--child": options.isChild = true
      default:
        if argument.hasPrefix("--") { stop("unknown option \(argument)\n\(usage)") }
        options.rest.append(argument)
      }
    }
    do {
      switch verb {
      case "list": for target in FuzzTargets.all { Console.line("\(target.name)\t\(target.summary)") }
      case "seeds": try writeSeeds(options)
      case "dictionary": writeDictionary(options)
      case "replay" where options.isChild: Replay.runInputs(options)
      case "replay": exit(Replay.runAll(options) ? 0 : 1)
      case "triage" where options.isChild: Triage.shrinkInput(options)
      case "triage": exit(Triage.run(options) ? 0 : 1)
      case "repro": printRepro(options)
      case "logic": exit(try LogicRun.run(options) ? 0 : 1)
      case "--help", "-h", "help": Console.line(usage)
      default: stop("unknown verb \(verb)\n\(usage)")
      }
    } catch {
      stop("\(error)")
    }
  }

  static func target(_ name: String) -> any FuzzTarget.Type {
    guard let target = FuzzTargets.named(name) else {
      stop("no target \(name); there are \(FuzzTargets.all.map { $0.name }.joined(separator: ", "))")
    }
    return target
  }

  private static func writeSeeds(_ options: Options) throws(EngineFailure) {
    guard options.rest.count == 2 else { stop(usage) }
    let seeds = try target(options.rest[0]).seeds()
    for seed in seeds where !Console.put(seed.bytes, to: "\(options.rest[1])/seed-\(seed.name)") {
      stop("cannot write to \(options.rest[1])")
    }
    Console.line("\(seeds.count) seeds of \(options.rest[0])")
  }

  private static func writeDictionary(_ options: Options) {
    guard options.rest.count == 2 else { stop(usage) }
    let digits = Array("0123456789abcdef".utf8)
    var text: [UInt8] = []
    for word in target(options.rest[0]).dictionary {
      text.append(UInt8(ascii: "\""))
      for byte in word.utf8 {
        let isPlain = (0x20..<0x7f).contains(byte) && byte != UInt8(ascii: "\"") && byte != UInt8(ascii: "\\")
        text += isPlain ? [byte] : Array("\\x".utf8) + [digits[Int(byte >> 4)], digits[Int(byte & 15)]]
      }
      text += Array("\"\n".utf8)
    }
    if !Console.put(text, to: options.rest[1]) { stop("cannot write \(options.rest[1])") }
  }

  private static func printRepro(_ options: Options) {
    guard options.rest.count == 1, let bytes = Console.contents(of: options.rest[0]) else { stop(usage) }
    Console.line(TapeTarget.repro(of: bytes))
  }

  static func stop(_ message: String) -> Never {
    Console.error(message)
    exit(2)
  }
}
