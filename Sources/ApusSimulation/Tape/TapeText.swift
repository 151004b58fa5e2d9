// A tape as text, for people and for version control.
//
//   stream schedule
//     era
//       step clockAdvance=120 completes=1
//       3 * step ran=2
//   stream client 1
//     era
//       transaction isReader=0 operationCount=2
//         statement kind=31 key=4
//         - rollsBack=1
//
// A line is a span with the choices that begin it, indented by its depth; "3 *" is three of them; "-" has choices that stand
// behind a span of the same depth. `drops=0*40` is forty times the same.

extension Tape {
  public var text: String {
    var lines: [String] = []
    for stream in streams where !stream.nodes.isEmpty {
      lines.append("stream \(stream.name)")
      Self.write(stream.nodes[...], depth: 1, to: &lines)
    }
    return lines.joined(separator: "\n") + "\n"
  }

  private static func write(_ nodes: ArraySlice<TapeNode>, depth: Int, to lines: inout [String]) {
    let indent = String(repeating: "  ", count: depth)
    var rest = nodes
    while let node = rest.first {
      switch node {
      case .choice:
        lines.append(indent + "-" + takeChoices(&rest))
      case .span(let span, let inner):
        let count = rest.prefix { $0 == node }.count
        rest = rest.dropFirst(count)
        var behind = inner[...]
        lines.append(indent + (count > 1 ? "\(count) * " : "") + span.rawValue + takeChoices(&behind))
        write(behind, depth: depth + 1, to: &lines)
      }
    }
  }

  private static func takeChoices(_ nodes: inout ArraySlice<TapeNode>) -> String {
    var text = ""
    while case .choice(let choice, let value)? = nodes.first {
      let count = nodes.prefix { $0 == .choice(choice, value) }.count
      nodes = nodes.dropFirst(count)
      text += " \(choice.rawValue)=\(value)" + (count > 1 ? "*\(count)" : "")
    }
    return text
  }
}

/// A line that is not a tape's.
public struct TapeTextError: Error, CustomStringConvertible {
  public var line: Int
  public var text: String

  public var description: String { "line \(line): \(text)" }
}

extension Tape {
  /// Choices and spans whose names are no longer known are left out: the rest still is a run.
  /// - Throws: `TapeTextError` where a line is not of the format.
  public init(text: String) throws(TapeTextError) {
    var reader = TapeReader()
    for line in text.split(separator: "\n", omittingEmptySubsequences: false) { try reader.read(line) }
    streams = reader.finish()
  }
}

private struct TapeReader {
  /// A span that is open; `span` is nil for a stream, and for a span of an unknown name.
  private struct Level {
    var depth: Int
    var count: Int
    var span: Span?
    var nodes: [TapeNode] = []
  }

  private var streams: [Tape.Stream] = []
  private var name: String?
  private var levels: [Level] = []
  private var lineNumber = 0

  /// Most times that one line may repeat.
  private static let countMax = 1_000_000

  mutating func read(_ line: Substring) throws(TapeTextError) {
    lineNumber += 1
    let content = line.drop { $0 == " " }
    if content.isEmpty || content.hasPrefix("#") { return }
    let depth = (line.count - content.count) / 2
    if depth == 0 {
      guard content.hasPrefix("stream ") else { throw TapeTextError(line: lineNumber, text: "a stream is due") }
      close(to: 0)
      finishStream()
      name = String(content.dropFirst(7))
      levels = [Level(depth: 0, count: 1, span: nil)]
      return
    }
    if name == nil { throw TapeTextError(line: lineNumber, text: "choices outside of a stream") }
    close(to: depth)
    var words = content.split(separator: " ")[...]
    if words.first == "-" {
      words.removeFirst()
      try addChoices(words)
      return
    }
    var count = 1
    if words.count >= 3, words[words.startIndex + 1] == "*" {
      guard let number = Int(words[words.startIndex]), number > 0, number <= Self.countMax else {
        throw TapeTextError(line: lineNumber, text: "'\(words[words.startIndex])' is no number of spans")
      }
      count = number
      words = words.dropFirst(2)
    }
    levels.append(Level(depth: depth, count: count, span: Span(rawValue: String(words.removeFirst()))))
    try addChoices(words)
  }

  private mutating func addChoices(_ words: ArraySlice<Substring>) throws(TapeTextError) {
    for word in words {
      let parts = word.split(separator: "=", maxSplits: 1)
      let numbers = parts.last?.split(separator: "*", maxSplits: 1) ?? []
      guard parts.count == 2, let value = UInt64(numbers[0]), let count = numbers.count == 2 ? Int(numbers[1]) : 1,
        count > 0, count <= Self.countMax
      else { throw TapeTextError(line: lineNumber, text: "'\(word)' is no choice") }
      guard let choice = Choice(rawValue: String(parts[0])) else { continue }
      levels[levels.count - 1].nodes += repeatElement(.choice(choice, value), count: count)
    }
  }

  /// Closes the spans that are as deep as `depth` or deeper.
  private mutating func close(to depth: Int) {
    while let level = levels.last, level.depth >= depth, levels.count > 1 {
      levels.removeLast()
      guard let span = level.span else { continue }
      levels[levels.count - 1].nodes += repeatElement(.span(span, level.nodes), count: level.count)
    }
  }

  private mutating func finishStream() {
    if let name, let level = levels.first { streams.append(Tape.Stream(name: name, nodes: level.nodes)) }
    levels = []
  }

  mutating func finish() -> [Tape.Stream] {
    close(to: 0)
    finishStream()
    return streams
  }
}
