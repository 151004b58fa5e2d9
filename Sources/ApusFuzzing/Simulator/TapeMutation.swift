// Changes of a tape that leave it one: values, and whole spans that go, come twice, change places, or come from another tape.

import ApusBase
import ApusSimulation

struct TapeMutation {
  /// Tapes whose spans may come in.
  let donors: [Tape]

  func change(_ tape: inout Tape, _ random: inout SeededRandom) {
    for _ in 0...random.below(4) { changeOnce(&tape, &random) }
  }

  private func changeOnce(_ tape: inout Tape, _ random: inout SeededRandom) {
    guard let place = tape.streams.indices.randomElement(&random) else { return }
    // The profile is short, and decides what all the others can mean.
    let stream = random.oneIn(6) ? tape.streams.firstIndex { $0.name == "profile" } ?? place : place
    switch random.below(8) {
    case 0, 1, 2: changeValue(in: &tape.streams[stream].nodes, &random)
    case 3: changeSpans(in: &tape.streams[stream].nodes, &random) { spans, place, _ in spans.remove(at: place) }
    case 4:
      changeSpans(in: &tape.streams[stream].nodes, &random) { spans, place, random in
        spans.insert(contentsOf: repeatElement(spans[place], count: 1 + random.below(3)), at: place)
      }
    case 5:
      changeSpans(in: &tape.streams[stream].nodes, &random) { spans, place, random in
        spans.swapAt(place, random.below(spans.count))
      }
    default: splice(into: &tape, stream, &random)
    }
  }

  private func changeValue(in nodes: inout [TapeNode], _ random: inout SeededRandom) {
    Self.change(&nodes, &random, isWanted: { if case .choice = $0 { true } else { false } }) { nodes, place, random in
      guard case .choice(let choice, let value) = nodes[place] else { return }
      let changed: UInt64
      switch random.below(6) {
      case 0: changed = 0
      case 1: changed = value &+ 1
      case 2: changed = value &- 1
      case 3: changed = value ^ 1
      case 4: changed = random.next() >> UInt64(random.below(64))
      default: changed = UInt64(random.below(16))
      }
      nodes[place] = .choice(choice, changed)
    }
  }

  private func changeSpans(
    in nodes: inout [TapeNode], _ random: inout SeededRandom,
    _ body: (inout [TapeNode], Int, inout SeededRandom) -> Void
  ) {
    Self.change(&nodes, &random, isWanted: { if case .span = $0 { true } else { false } }, body)
  }

  /// Goes down by chance to a node that is wanted, and changes it among its neighbours.
  private static func change(
    _ nodes: inout [TapeNode], _ random: inout SeededRandom, isWanted: (TapeNode) -> Bool,
    _ body: (inout [TapeNode], Int, inout SeededRandom) -> Void
  ) {
    let spans = nodes.indices.filter { if case .span = nodes[$0] { true } else { false } }
    let wanted = nodes.indices.filter { isWanted(nodes[$0]) }
    if let place = spans.randomElement(&random), wanted.isEmpty || random.below(4) > 0,
      case .span(let span, var inner) = nodes[place], inner.contains(where: { isWanted($0) || $0.isSpan })
    {
      change(&inner, &random, isWanted: isWanted, body)
      nodes[place] = .span(span, inner)
    } else if let place = wanted.randomElement(&random) {
      body(&nodes, place, &random)
    }
  }

  /// A span of a donor comes behind one of its kind; a client's may come from any client. Or a whole stream is the donor's.
  private func splice(into tape: inout Tape, _ stream: Int, _ random: inout SeededRandom) {
    guard let donor = donors.randomElement(&random) else { return }
    let name = tape.streams[stream].name
    let isClient = name.hasPrefix("client")
    let streams = donor.streams.filter { isClient ? $0.name.hasPrefix("client") : $0.name == name }
    guard let source = streams.randomElement(&random) else { return }
    if random.oneIn(5) {
      tape.streams[stream].nodes = source.nodes
      return
    }
    let spans = Self.spans(of: source.nodes)
    guard let (kind, nodes) = spans.randomElement(&random) else { return }
    func isOfKind(_ node: TapeNode) -> Bool { if case .span(kind, _) = node { true } else { false } }
    Self.change(&tape.streams[stream].nodes, &random, isWanted: isOfKind) { siblings, place, random in
      if random.oneIn(2) {
        siblings[place] = .span(kind, nodes)
      } else {
        siblings.insert(.span(kind, nodes), at: place)
      }
    }
  }

  private static func spans(of nodes: [TapeNode]) -> [(Span, [TapeNode])] {
    nodes.flatMap { node -> [(Span, [TapeNode])] in
      guard case .span(let span, let inner) = node else { return [] }
      return [(span, inner)] + spans(of: inner)
    }
  }
}

extension TapeNode {
  fileprivate var isSpan: Bool { if case .span = self { true } else { false } }
}

extension RandomAccessCollection {
  fileprivate func randomElement(_ random: inout SeededRandom) -> Element? {
    isEmpty ? nil : self[index(startIndex, offsetBy: random.below(count))]
  }
}
