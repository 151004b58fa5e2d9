// A recorded run: for each stream the choices in the order in which they were drawn, in spans.

/// A choice that was drawn, or a span of them.
public enum TapeNode: Equatable, Sendable {
  case choice(Choice, UInt64)
  case span(Span, [TapeNode])
}

public struct Tape: Equatable, Sendable {
  public struct Stream: Equatable, Sendable {
    public var name: String
    public var nodes: [TapeNode]

    public init(name: String, nodes: [TapeNode]) {
      self.name = name
      self.nodes = nodes
    }
  }

  /// In the order in which the run asked for them.
  public var streams: [Stream]

  public init(streams: [Stream] = []) { self.streams = streams }

  /// Empty where the tape has no such stream.
  public subscript(name: String) -> [TapeNode] {
    get { streams.first { $0.name == name }?.nodes ?? [] }
    set {
      if let place = streams.firstIndex(where: { $0.name == name }) {
        streams[place].nodes = newValue
      } else {
        streams.append(Stream(name: name, nodes: newValue))
      }
    }
  }
}
