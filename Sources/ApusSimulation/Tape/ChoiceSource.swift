// Where a run's chance comes from: the one source of all its draws, which is a seed or a tape.
//
// It is divided into streams, so that one draw more or less of a client leaves the schedule and the other clients alone:
//
//   profile     features, sizes and rates
//   world       processes, page faults
//   schedule    who goes on, which request completes; in spans of eras and steps
//   survivors   the power cuts
//   cache       what a read that must not wait finds
//   client N    what the Nth connection says; in spans of eras, transactions and statements
//   damage      what rots at the end
//   faults      what requests and calls meet, and what happens to the world as a whole
//   buggify     which points in the engine fire

import ApusBase

/// How many steps the schedule has begun.
final class StepCounter {
  var value = 0
}

public final class ChoiceSource {
  public enum Origin: Sendable {
    case seed(UInt64)
    case tape(Tape)
    /// The tape up to a step of the schedule, from there on a seed.
    case branch(Tape, step: Int, seed: UInt64)
    /// One stream from a seed; in all others every choice is 0.
    case only(String, seed: UInt64)
  }

  public let origin: Origin
  private let records: Bool
  private var streams: [ChoiceStream] = []
  let steps = StepCounter()

  /// - Parameter records: `tape` is then what was drawn.
  public init(_ origin: Origin, records: Bool = false) {
    self.origin = origin
    self.records = records
  }

  /// The stream of that name; ask once and keep it.
  public func stream(_ name: String) -> ChoiceStream {
    if let known = streams.first(where: { $0.name == name }) { return known }
    let parts: (seed: UInt64, tape: [TapeNode]?, branchStep: Int) =
      switch origin {
      case .seed(let seed): (Self.mix(seed, name), nil, 0)
      case .tape(let tape): (0, tape[name], .max)
      case .branch(let tape, let step, let seed): (Self.mix(seed, name), tape[name], step)
      case .only(let drawn, let seed): (Self.mix(seed, name), name == drawn ? nil : [], .max)
      }
    let stream = ChoiceStream(
      name: name, seed: parts.seed, tape: parts.tape, branchStep: parts.branchStep, records: records, steps: steps)
    streams.append(stream)
    return stream
  }

  /// What was drawn so far; empty where nothing is recorded.
  public var tape: Tape { Tape(streams: streams.map { Tape.Stream(name: $0.name, nodes: $0.tape) }) }

  /// A seed of its own for each stream: FNV-1a over the name, from the run's seed.
  private static func mix(_ seed: UInt64, _ name: String) -> UInt64 {
    var hash = 0xcbf2_9ce4_8422_2325 ^ seed
    for byte in name.utf8 { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
    return hash
  }
}
