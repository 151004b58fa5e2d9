// Who goes on next. Two kinds: each step picks anybody, or connections have priorities that change a few times in an era (PCT:
// S. Burckhardt et al., "A Randomized Scheduler with Probabilistic Guarantees of Finding Bugs", 2010), so that one of them
// runs far ahead, or stands still in the midst of something, until all others are through.

import ApusBase

struct Schedule {
  enum Kind: Sendable, Equatable {
    case anybody
    /// The number of changes of priority in an era.
    case priorities(changes: Int)
  }

  private let kind: Kind
  /// By connection; the highest goes first.
  private var priorities: [Int] = []
  private var changeSteps: [Int] = []
  private var lowest = 0
  private var step = 0

  init(_ kind: Kind) { self.kind = kind }

  /// An era of about `steps` steps begins.
  mutating func begin(clientCount: Int, steps: Int, _ choices: ChoiceStream) {
    step = 0
    lowest = 0
    priorities = Array(1...max(1, clientCount))
    changeSteps = []
    guard case .priorities(let changes) = kind else { return }
    for place in stride(from: priorities.count - 1, to: 0, by: -1) {
      priorities.swapAt(place, choices.below(place + 1, .priority))
    }
    for _ in 0..<changes { changeSteps.append(choices.below(max(1, steps), .priorityStep)) }
  }

  /// Which of the connections that can go on does.
  /// - Parameter ready: their names.
  mutating func choose(_ ready: [Int], _ choices: ChoiceStream) -> Int {
    step += 1
    guard case .priorities = kind else { return choices.place(in: ready, .ran) { choices.drawn(below: ready.count) } }
    var best = 0
    for place in ready.indices where priorities[ready[place]] > priorities[ready[best]] { best = place }
    if changeSteps.contains(step) { demote(ready[best]) }
    return choices.place(in: ready, .ran) { best }
  }

  /// The connection has nothing to do, or could not get what it wants: others first.
  mutating func demote(_ name: Int) {
    guard case .priorities = kind, name < priorities.count else { return }
    lowest -= 1
    priorities[name] = lowest
  }
}
