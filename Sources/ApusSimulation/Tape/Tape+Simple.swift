// A tape without what its replay does not need.

extension Tape {
  /// Without the choices that are 0 anyway where the tape has none, and without marks.
  public var simplified: Tape {
    Tape(streams: streams.map { Stream(name: $0.name, nodes: Self.simplified($0.nodes)) }.filter { !$0.nodes.isEmpty })
  }

  private static func simplified(_ nodes: [TapeNode]) -> [TapeNode] {
    var kept: [TapeNode] = []
    // A 0 in front of another choice of its name keeps that one from being taken for it.
    var later: Set<Choice> = []
    for node in nodes.reversed() {
      switch node {
      case .choice(.atStep, _): break
      case .choice(let choice, let value):
        if value == 0 && !later.contains(choice) { continue }
        later.insert(choice)
        kept.append(node)
      case .span(let span, let inner): kept.append(.span(span, simplified(inner)))
      }
    }
    return kept.reversed()
  }
}
