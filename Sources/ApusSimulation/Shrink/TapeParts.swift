// The parts of a tape that a shrinker takes out: where they are, and the tape without them.

/// Where a node lies: in which stream, and its place on each level of spans.
struct TapePath: Hashable {
  var stream: String
  var places: [Int]

  var parent: TapePath { TapePath(stream: stream, places: places.dropLast()) }
}

extension Tape {
  /// The stream of the Nth client begins so.
  static let clientPrefix = "client "

  /// The nodes that `isWanted` says, in order.
  func parts(_ isWanted: (_ stream: String, TapeNode) -> Bool) -> [TapePath] {
    var found: [TapePath] = []
    for stream in streams { Self.collect(stream.nodes, stream.name, [], isWanted, &found) }
    return found
  }

  private static func collect(
    _ nodes: [TapeNode], _ stream: String, _ places: [Int], _ isWanted: (String, TapeNode) -> Bool,
    _ found: inout [TapePath]
  ) {
    for (place, node) in nodes.enumerated() {
      if isWanted(stream, node) { found.append(TapePath(stream: stream, places: places + [place])) }
      if case .span(_, let inner) = node { collect(inner, stream, places + [place], isWanted, &found) }
    }
  }

  subscript(path: TapePath) -> TapeNode? {
    var nodes = self[path.stream]
    for (depth, place) in path.places.enumerated() {
      guard place < nodes.count else { return nil }
      if depth == path.places.count - 1 { return nodes[place] }
      guard case .span(_, let inner) = nodes[place] else { return nil }
      nodes = inner
    }
    return nil
  }

  /// The tape with each of `parts` put through `change`; nil takes the part out.
  func changing(_ parts: [TapePath], _ change: (TapeNode) -> TapeNode?) -> Tape {
    var result = self
    for (name, paths) in Dictionary(grouping: parts, by: \.stream) {
      result[name] = Self.changing(result[name], Set(paths.map(\.places)), [], change)
    }
    return result
  }

  private static func changing(
    _ nodes: [TapeNode], _ places: Set<[Int]>, _ prefix: [Int], _ change: (TapeNode) -> TapeNode?
  ) -> [TapeNode] {
    nodes.enumerated().compactMap { place, node in
      let here = prefix + [place]
      if places.contains(here) { return change(node) }
      guard case .span(let span, let inner) = node else { return node }
      return .span(span, changing(inner, places, here, change))
    }
  }

  func removing(_ parts: [TapePath]) -> Tape { changing(parts) { _ in nil } }

  // MARK: clients and their steps

  /// The steps of the schedule, by their numbers: the first is 1.
  private var steps: [TapePath] { parts { stream, node in stream == "schedule" && node.isSpan(.step) } }

  /// The steps in which client `name` went on, from step `first` up to before `end`.
  private func steps(of name: Int, from first: Int, before end: Int) -> [TapePath] {
    let all = steps
    guard first <= all.count else { return [] }
    return all[max(0, first - 1)..<max(max(0, first - 1), min(all.count, end - 1))].filter { path in
      guard case .span(_, let inner)? = self[path] else { return false }
      return inner.contains(.choice(.ran, UInt64(name + 1)))
    }
  }

  /// The step that a client's span began in, and the one that its next sibling, or its parent's, did.
  private func stepRange(of path: TapePath) -> (first: Int, end: Int)? {
    guard let first = self[path]?.mark else { return nil }
    var place = path
    while place.places.count > 1 {
      var next = place
      next.places[next.places.count - 1] += 1
      while let node = self[next] {
        if let mark = node.mark { return (first, mark) }
        next.places[next.places.count - 1] += 1
      }
      place = place.parent
    }
    return (first, .max)
  }

  /// Transactions or statements of clients are taken out, together with the steps in which they went on.
  func removingWithSteps(_ parts: [TapePath]) -> Tape {
    var removed = parts
    for path in parts {
      guard let name = Int(path.stream.dropFirst(Self.clientPrefix.count)), let range = stepRange(of: path) else {
        continue
      }
      removed += steps(of: name, from: range.first, before: range.end)
    }
    return removing(removed)
  }

  /// A client has nothing to say any more.
  func removingClient(_ stream: String) -> Tape {
    guard let name = Int(stream.dropFirst(Self.clientPrefix.count)) else { return self }
    var result = removing(steps(of: name, from: 1, before: .max))
    result[stream] = []
    return result
  }

  /// The era of that number, in the schedule and of all clients, is taken out.
  func removingEra(_ number: Int) -> Tape {
    var result = self
    for place in result.streams.indices {
      let eras = result.streams[place].nodes.indices.filter { result.streams[place].nodes[$0].isSpan(.era) }
      if number < eras.count { result.streams[place].nodes.remove(at: eras[number]) }
    }
    return result
  }

  // MARK: size

  var size: TapeSize {
    var size = TapeSize()
    for stream in streams {
      let isFault = stream.name.hasPrefix("fault") || stream.name == "buggify"
      Self.measure(stream.nodes, isFault: isFault, &size)
    }
    return size
  }

  private static func measure(_ nodes: [TapeNode], isFault: Bool, _ size: inout TapeSize) {
    for node in nodes {
      size.nodeCount += 1
      switch node {
      case .choice(.atStep, _): size.nodeCount -= 1
      case .choice(let choice, let value):
        if value == 0 { continue }
        if isFault || choice == .drops { size.faultCount += 1 }
        size.weight &+= min(value, 1 << 32)
      case .span(let span, let inner):
        switch span {
        case .statement: size.statementCount += 1
        case .transaction: size.transactionCount += 1
        case .step: size.stepCount += 1
        case .era, .liveness: break
        }
        measure(inner, isFault: isFault, &size)
      }
    }
  }
}

extension TapeNode {
  func isSpan(_ wanted: Span) -> Bool {
    if case .span(wanted, _) = self { return true }
    return false
  }

  /// The step that a client's span began in.
  var mark: Int? {
    guard case .span(_, let inner) = self, case .choice(.atStep, let step)? = inner.first else { return nil }
    return Int(step)
  }
}

/// How large a run is; what a person must read counts first.
public struct TapeSize: Comparable, Sendable, CustomStringConvertible {
  public var transactionCount = 0
  public var statementCount = 0
  public var faultCount = 0
  public var stepCount = 0
  public var nodeCount = 0
  public var weight: UInt64 = 0

  public static func < (left: TapeSize, right: TapeSize) -> Bool { left.key.lexicographicallyPrecedes(right.key) }

  private var key: [UInt64] {
    [
      UInt64(transactionCount + statementCount + faultCount), UInt64(stepCount), UInt64(nodeCount), weight,
    ]
  }

  public var description: String {
    "\(transactionCount) transactions, \(statementCount) statements, \(faultCount) faults, \(stepCount) steps"
  }
}
