// A failure that is kept (.apusrepro): what was found, with which planted bug, and the tape that leads there. Text, and lenient as
// the tape is, so that it outlives changes of the code: what a file says is no longer a seed but operations, choices and faults.
//
//   apusrepro 1
//   oracle durability
//   plant skipWALSync          where the failure is a planted bug's
//   scenario insert-storm      where its world is a scenario's
//   finding after cut 1 the file holds transaction 3; acknowledged was 4
//   # comments
//   stream profile
//   ...

public struct ReproFile: Sendable {
  /// The format's version.
  public static let version = 1
  public static let suffix = ".apusrepro"

  public var oracle: Finding.Oracle
  public var plant: String?
  /// Its world is a scenario's.
  public var scenario: String?
  /// As it was when the file was made.
  public var finding: String
  /// For people; not read back.
  public var comments: [String] = []
  public var tape: Tape

  public init(
    oracle: Finding.Oracle, plant: String?, scenario: String? = nil, finding: String, comments: [String] = [],
    tape: Tape
  ) {
    self.scenario = scenario
    self.oracle = oracle
    self.plant = plant
    self.finding = finding
    self.comments = comments
    self.tape = tape
  }

  public var text: String {
    var lines = ["apusrepro \(Self.version)", "oracle \(oracle.word)"]
    if let plant { lines.append("plant \(plant)") }
    if let scenario { lines.append("scenario \(scenario)") }
    lines.append("finding " + finding.split(separator: "\n").joined(separator: " / "))
    lines += comments.map { "# " + $0 }
    return lines.joined(separator: "\n") + "\n" + tape.text
  }

  /// - Throws: `TapeTextError` where it is not one.
  public init(text: String) throws(TapeTextError) {
    let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
    guard lines.first == "apusrepro \(Self.version)" else {
      throw TapeTextError(line: 1, text: "not a repro file of version \(Self.version)")
    }
    let start = lines.firstIndex { $0.hasPrefix("stream ") } ?? lines.count
    var fields: [Substring: String] = [:]
    for line in lines[1..<start] where !line.hasPrefix("#") {
      let parts = line.split(separator: " ", maxSplits: 1)
      if parts.count == 2 { fields[parts[0]] = String(parts[1]) }
    }
    guard let word = fields["oracle"], let oracle = Finding.Oracle(word: word) else {
      throw TapeTextError(line: 1, text: "no oracle, or one that is not known")
    }
    self.oracle = oracle
    plant = fields["plant"]
    scenario = fields["scenario"]
    finding = fields["finding"] ?? ""
    do throws(TapeTextError) {
      tape = try Tape(text: lines[start...].joined(separator: "\n"))
    } catch {
      throw TapeTextError(line: error.line + start, text: error.text)
    }
  }
}
