// Chooses the order of the loops and one candidate for each: the N best partial paths are extended loop by loop.
// Source: https://sqlite.org/queryplanner-ng.html, "N nearest neighbors".

import ApusBase
import ApusSQL
import ApusVM

struct JoinPath {
  var loops: [LoopCandidate] = []
  var rows: LogEstimate = 0
  /// How many terms of the wished order it gives; -1: not known to give any.
  var ordered = -1
  var isReversed: UInt64 = 0
}

/// A path that is being extended. Its loops are told by its last steps, so that it holds no array.
private struct PartialPath {
  var mask: UInt64 = 0
  var rows: LogEstimate = 0
  var cost: LogEstimate = 0
  var unsorted: LogEstimate = 0
  var ordered = -1
  var isReversed: UInt64 = 0
  /// The candidate of its last loop, and the step before it.
  var candidate = -1
  var previous = -1
}

struct JoinOrder {
  private let clause: WhereClause
  private let wishes: LoopWishes
  private let check: OrderCheck
  private let candidates: [LoopCandidate]

  init(_ clause: WhereClause, _ wishes: LoopWishes, _ candidates: [LoopCandidate]) {
    self.clause = clause
    self.wishes = wishes
    self.candidates = candidates
    check = OrderCheck(clause, wishes)
  }

  /// The best path; nil where no order respects all joins (which cannot happen).
  /// - Parameters:
  ///   - queryLoops: how often the whole runs, as an estimate.
  ///   - sortedRows: the rows that a sort would have; nil leaves the wished order out of account.
  func best(queryLoops: LogEstimate = 0, sortedRows: LogEstimate?) -> JoinPath? {
    let count = clause.sources.count
    let width = count <= 1 ? 1 : count == 2 ? 5 : 12
    let termCount = sortedRows == nil ? 0 : check.terms.count
    // The steps of all paths that were kept: a candidate, and the step before it.
    var steps: [(candidate: Int, previous: Int)] = []
    steps.reserveCapacity(width * count)
    var paths = [PartialPath(rows: min(queryLoops, 48), ordered: termCount == 0 ? 0 : -1)]
    var next: [PartialPath] = []
    paths.reserveCapacity(width)
    next.reserveCapacity(width)
    var loops: [LoopCandidate] = []
    loops.reserveCapacity(count)
    for _ in 0..<count {
      next.removeAll(keepingCapacity: true)
      for from in paths {
        var step = -1
        if from.candidate >= 0 {
          step = steps.count
          steps.append((from.candidate, from.previous))
        }
        if from.ordered < 0 { list(step, steps, &loops) }
        for (place, loop) in candidates.enumerated() {
          if loop.prerequisites & ~from.mask != 0 || loop.mask & from.mask != 0 { continue }
          if loop.flags.contains(.automatic), from.rows < 3 { continue }
          var path = from
          path.candidate = place
          path.previous = step
          path.mask |= loop.mask
          path.rows = from.rows + loop.rows
          path.unsorted = LogEstimate.sum(
            LogEstimate.sum(loop.setup, loop.run + from.rows), from.unsorted)
          if path.ordered < 0 {
            loops.append(loop)
            (path.ordered, path.isReversed) = check.satisfied(loops, isLast: loops.count == count)
            loops.removeLast()
          }
          if path.ordered >= 0, path.ordered < termCount {
            path.cost = LogEstimate.sum(path.unsorted, sortCost(sortedRows ?? 0, termCount, path.ordered)) + 3
          } else {
            path.cost = path.unsorted
            path.unsorted -= 2
          }
          insert(path, &next, width)
        }
      }
      swap(&paths, &next)
      if paths.isEmpty { return nil }
    }
    guard let best = paths.min(by: { $0.cost < $1.cost }) else { return nil }
    list(best.previous, steps, &loops)
    if best.candidate >= 0 { loops.append(candidates[best.candidate]) }
    return JoinPath(loops: loops, rows: best.rows, ordered: best.ordered, isReversed: best.isReversed)
  }

  /// The loops from the first one to `step`.
  private func list(_ step: Int, _ steps: [(candidate: Int, previous: Int)], _ loops: inout [LoopCandidate]) {
    loops.removeAll(keepingCapacity: true)
    var step = step
    while step >= 0 {
      loops.append(candidates[steps[step].candidate])
      step = steps[step].previous
    }
    loops.reverse()
  }

  private func sortCost(_ rows: LogEstimate, _ count: Int, _ sorted: Int) -> LogEstimate {
    let columns = LogEstimate.of(UInt64((wishes.resultCount + 59) / 30))
    var cost = rows + columns
    if sorted > 0 { cost += LogEstimate.of(UInt64((count - sorted) * 100 / count)) - 66 }
    var effective = rows
    if wishes.limit, let limit = wishes.limitEstimate, limit < effective {
      cost += 10
      effective = limit
    } else if !wishes.distinct.isEmpty, effective > 10 {
      effective -= 10
    }
    return cost + LogEstimate.logarithm(effective)
  }

  /// Keeps `path` where it is among the `width` best.
  private func insert(_ path: PartialPath, _ paths: inout [PartialPath], _ width: Int) {
    guard let place = place(for: path, paths, width) else { return }
    if place == paths.count { paths.append(path) } else { paths[place] = path }
  }

  private func place(for path: PartialPath, _ paths: [PartialPath], _ width: Int) -> Int? {
    if let place = paths.firstIndex(where: { $0.mask == path.mask && ($0.ordered >= 0) == (path.ordered >= 0) }) {
      if paths[place].cost < path.cost
        || (paths[place].cost == path.cost
          && (paths[place].rows < path.rows
            || (paths[place].rows == path.rows && paths[place].unsorted <= path.unsorted)))
      { return nil }
      return place
    }
    if paths.count < width { return paths.count }
    var worst = 0
    for place in paths.indices.dropFirst() where paths[place].cost > paths[worst].cost
      || (paths[place].cost == paths[worst].cost && paths[place].unsorted > paths[worst].unsorted)
    { worst = place }
    if path.cost < paths[worst].cost || (path.cost == paths[worst].cost && path.unsorted < paths[worst].unsorted) {
      return worst
    }
    return nil
  }
}
