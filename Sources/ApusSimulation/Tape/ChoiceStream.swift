// One stream of named choices: drawn from a seed, or taken from a tape.
//
// The rule of the replay is lenient, so that a tape that was shortened, or recorded by older code, still is a run:
//   - a choice takes the next value of its name in the same span, skipping at most `skippedMax` others;
//   - where there is none, or it is out of range, the choice is 0;
//   - a span takes the next span of its kind; where there is none, all its choices are 0;
//   - what is left of a span at its end is skipped.

import ApusBase

public final class ChoiceStream {
  /// A span of the tape that is being replayed, and how far.
  private struct Frame {
    var nodes: [TapeNode]
    var next = 0
  }

  /// Most choices of other names that a choice skips to find its own; more are another draw's.
  private static let skippedMax = 8

  public let name: String
  private var random: SeededRandom
  /// The open spans, outermost first; nil where the seed decides.
  private var replayed: [Frame]?
  /// The open spans, outermost first; nil where nobody wants the tape.
  private var recorded: [[TapeNode]]?
  private var openSpans: [Span] = []

  init(name: String, seed: UInt64, tape: [TapeNode]?, records: Bool) {
    self.name = name
    random = SeededRandom(seed: seed)
    replayed = tape.map { [Frame(nodes: $0)] }
    recorded = records ? [[]] : nil
  }

  public var isReplayed: Bool { replayed != nil }

  // MARK: choices

  /// A number below `bound`.
  public func below(_ bound: Int, _ choice: Choice) -> Int {
    precondition(bound > 0)
    let value = replayed == nil ? random.below(bound) : Int(clamping: taken(choice))
    let result = value < bound ? value : 0
    if recorded != nil { record(choice, UInt64(result)) }
    return result
  }

  /// True once in `n` times on average, never where `n` is 0. On the tape 1 is true.
  public func oneIn(_ n: Int, _ choice: Choice) -> Bool {
    if n <= 0 { return false }
    let result = replayed == nil ? random.below(n) == 0 : taken(choice) == 1
    if recorded != nil { record(choice, result ? 1 : 0) }
    return result
  }

  /// What the caller has chosen, where the tape does not say otherwise.
  public func decided(_ value: Int, below bound: Int, _ choice: Choice) -> Int {
    precondition(value < bound)
    let taken = replayed == nil ? value : Int(clamping: taken(choice))
    let result = taken < bound ? taken : 0
    if recorded != nil { record(choice, UInt64(result)) }
    return result
  }

  /// 64 bits.
  public func number(_ choice: Choice) -> UInt64 {
    let result = replayed == nil ? random.next() : taken(choice)
    if recorded != nil { record(choice, result) }
    return result
  }

  /// One of `values`, which begin with the simplest.
  public func pick<T>(_ values: [T], _ choice: Choice) -> T { values[below(values.count, choice)] }

  // MARK: spans

  /// Opens a span: the next one of the tape, or one whose choices are all 0.
  public func begin(_ span: Span) {
    openSpans.append(span)
    if recorded != nil { recorded?.append([]) }
    if replayed != nil { enter(nextSpan(span)) }
  }

  /// Opens a span where there is to be another one: by `isDue` where the seed decides, else where the tape has one more.
  public func begins(_ span: Span, if isDue: Bool) -> Bool {
    if replayed != nil {
      guard let place = nextSpan(span) else { return false }
      enter(place)
    } else if !isDue {
      return false
    }
    openSpans.append(span)
    if recorded != nil { recorded?.append([]) }
    return true
  }

  /// Closes the innermost span `span`, and those that are open in it.
  public func end(_ span: Span) {
    guard openSpans.contains(span) else { return }
    var closed: Span?
    while closed != span { closed = closeInnermost() }
  }

  private func closeInnermost() -> Span? {
    guard let span = openSpans.popLast() else { return nil }
    if let nodes = recorded?.popLast() {
      let last = (recorded?.count ?? 0) - 1
      recorded?[last].append(.span(span, nodes))
    }
    if replayed != nil { replayed?.removeLast() }
    return span
  }

  // MARK: the tape

  /// What was drawn so far; spans that are open end here.
  var tape: [TapeNode] {
    guard let recorded else { return [] }
    var nodes: [TapeNode] = recorded.last ?? []
    for depth in stride(from: recorded.count - 2, through: 0, by: -1) {
      nodes = recorded[depth] + [.span(openSpans[depth], nodes)]
    }
    return nodes
  }

  private func record(_ choice: Choice, _ value: UInt64) {
    let last = (recorded?.count ?? 0) - 1
    recorded?[last].append(.choice(choice, value))
  }

  private func taken(_ choice: Choice) -> UInt64 {
    guard let depth = replayed?.indices.last, let frame = replayed?[depth] else { return 0 }
    for place in frame.next..<min(frame.nodes.count, frame.next + Self.skippedMax + 1) {
      guard case .choice(let name, let value) = frame.nodes[place] else { return 0 }
      if name == choice {
        replayed?[depth].next = place + 1
        return value
      }
    }
    return 0
  }

  /// The place of the next span of this kind in the innermost open one.
  private func nextSpan(_ span: Span) -> Int? {
    guard let frame = replayed?.last else { return nil }
    return frame.nodes.indices.dropFirst(frame.next).first { place in
      if case .span(span, _) = frame.nodes[place] { return true }
      return false
    }
  }

  private func enter(_ place: Int?) {
    guard let depth = replayed?.indices.last else { return }
    guard let place, case .span(_, let nodes)? = replayed?[depth].nodes[place] else {
      replayed?.append(Frame(nodes: []))
      return
    }
    replayed?[depth].next = place + 1
    replayed?.append(Frame(nodes: nodes))
  }
}
