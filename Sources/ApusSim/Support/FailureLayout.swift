// What a failure looks like, always in the same order: what, the chain of what led there, the moment, the size, how to see it
// again.

import ApusHarness
import ApusSimulation

struct FailureLayout {
  var finding: Finding
  var title: String
  var verdict: Verdict?
  var seconds: Double
  /// When it became inevitable, where that was looked for.
  var moment: String?
  /// From what to what it was shrunk, where it was.
  var shrunk: String?
  var replay: String
  /// What else there is: a script of plain SQL.
  var also: [String] = []

  /// A longer story is cut in its middle.
  private static let chainCountMax = 24

  func show() {
    var head = "FAIL \(finding.oracle.rawValue)   \(title)"
    if let verdict {
      head += "  world \(verdict.profile.kind.rawValue)  trace \(Self.short(verdict.traceHash)) "
      head += "(\(grouped(verdict.eventCount)) events, \(decimals(seconds, 2)) s)"
    }
    Console.line(head)
    Console.line("  what:    " + finding.text.split(separator: "\n").joined(separator: "\n           "))
    if let verdict {
      Console.line("  profile: \(verdict.profile)")
      Console.line(
        "  run:     \(verdict.commitCount) commits, \(verdict.cutCount) cuts, \(verdict.droppedCount) dropped statements"
      )
      let chain = chain(verdict)
      if !chain.isEmpty { Console.line("  cause chain:\n    " + chain.joined(separator: "\n    ")) }
    }
    Console.line(
      "  moment:  \(moment ?? "apus-sim bisect-moment \(replay)")   shrunk: \(shrunk ?? "apus-sim shrink \(replay)")")
    Console.line("  replay:  apus-sim replay \(replay)" + also.map { "   also: " + $0 }.joined())
  }

  private func chain(_ verdict: Verdict) -> [String] {
    let story = TraceStory(verdict).story
    if story.count <= Self.chainCountMax { return story }
    let end = story.suffix(Self.chainCountMax - 1)
    return ["... \(story.count - end.count) lines before (apus-sim trace \(replay))"] + end
  }

  private static func short(_ hash: String) -> String { "\(hash.prefix(4))…\(hash.suffix(2))" }
}

/// 18204 as "18,204".
func grouped(_ number: Int) -> String {
  var text = ""
  for (place, digit) in String(number).reversed().enumerated() {
    if place > 0, place % 3 == 0, digit != "-" { text = "," + text }
    text = "\(digit)" + text
  }
  return text
}

/// With so many digits behind the point.
func decimals(_ number: Double, _ count: Int) -> String {
  var scale = 1
  for _ in 0..<count { scale *= 10 }
  let scaled = Int((number * Double(scale)).rounded())
  if count == 0 { return "\(scaled)" }
  let rest = String(abs(scaled) % scale)
  let sign = scaled < 0 ? "-" : ""
  return sign + "\(abs(scaled) / scale)." + String(repeating: "0", count: count - rest.count) + rest
}
