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
  /// Who was chosen last by `place(in:)`.
  private var lastName = -1
  private var openSpans: [Span] = []
  private let steps: StepCounter
  /// From this step on the seed decides, whatever the tape says.
  private let branchStep: Int

  init(name: String, seed: UInt64, tape: [TapeNode]?, branchStep: Int, records: Bool, steps: StepCounter) {
    self.name = name
    self.steps = steps
    self.branchStep = branchStep
    random = SeededRandom(seed: seed)
    replayed = tape.map { [Frame(nodes: $0)] }
    recorded = records ? [[]] : nil
  }

  private var isReplayed: Bool {
    if replayed == nil { return false }
    if steps.value < branchStep { return true }
    replayed = nil
    return false
  }

  // MARK: choices

  /// A number below `bound`.
  public func below(_ bound: Int, _ choice: Choice) -> Int {
    precondition(bound > 0)
    let value = isReplayed ? Int(clamping: taken(choice)) : random.below(bound)
    let result = value < bound ? value : 0
    if recorded != nil { record(choice, UInt64(result)) }
    return result
  }

  /// True once in `n` times on average, never where `n` is 0. On the tape 1 is true.
  public func oneIn(_ n: Int, _ choice: Choice) -> Bool {
    if n <= 0 { return false }
    let result = isReplayed ? taken(choice) == 1 : random.below(n) == 0
    if recorded != nil { record(choice, result ? 1 : 0) }
    return result
  }

  /// What the caller has chosen, where the tape does not say otherwise.
  public func decided(_ value: Int, below bound: Int, _ choice: Choice) -> Int {
    precondition(value < bound)
    let taken = isReplayed ? Int(clamping: taken(choice)) : value
    let result = taken < bound ? taken : 0
    if recorded != nil { record(choice, UInt64(result)) }
    return result
  }

  /// 64 bits.
  public func number(_ choice: Choice) -> UInt64 {
    let result = isReplayed ? taken(choice) : random.next()
    if recorded != nil { record(choice, result) }
    return result
  }

  /// The place of one of `names`: the one that `drawn` gives, or where a tape is replayed, the name that it holds.
  ///
  /// On the tape stands the name and 1, so that the choice means the same where others are to be had. What is not to be had, and
  /// 0, is the name that was chosen last, else the first: nothing switches.
  public func place(in names: [Int], _ choice: Choice, drawn: () -> Int) -> Int {
    precondition(!names.isEmpty)
    let place: Int
    if isReplayed {
      let wanted = taken(choice)
      place = names.firstIndex { UInt64($0 + 1) == wanted } ?? names.firstIndex { $0 == lastName } ?? 0
    } else {
      place = drawn()
    }
    if recorded != nil { record(choice, UInt64(names[place] + 1)) }
    lastName = names[place]
    return place
  }

  /// A number for `place(in:)`, which is not on the tape by itself.
  public func drawn(below bound: Int) -> Int { random.below(bound) }

  /// One of `values`, which begin with the simplest.
  public func pick<T>(_ values: [T], _ choice: Choice) -> T { values[below(values.count, choice)] }

  // MARK: spans

  /// Opens a span: the next one of the tape, or one whose choices are all 0.
  public func begin(_ span: Span) {
    if span == .step { steps.value += 1 }
    if isReplayed { enter(nextSpan(span)) }
    open(span)
  }

  /// Opens a span where there is to be another one: by `isDue` where the seed decides, else where the tape has one more.
  public func begins(_ span: Span, if isDue: Bool) -> Bool {
    if isReplayed {
      guard let place = nextSpan(span) else { return false }
      enter(place)
    } else if !isDue {
      return false
    }
    if span == .step { steps.value += 1 }
    open(span)
    return true
  }

  private func open(_ span: Span) {
    openSpans.append(span)
    if recorded == nil { return }
    recorded?.append([])
    // Where it stands in the schedule; a replay passes over it.
    if span == .transaction || span == .statement { record(.atStep, UInt64(steps.value)) }
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
    // The tape may have been left in the midst of it.
    if let depth = replayed?.count, depth > 1 { replayed?.removeLast() }
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
