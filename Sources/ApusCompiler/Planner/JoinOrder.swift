// Chooses the order of the loops and one candidate for each: the N best partial paths are extended loop by loop.
// Source: https://sqlite.org/queryplanner-ng.html, "N nearest neighbors".

import ApusBase
import ApusSQL
import ApusVM

struct JoinPath {
  var mask: UInt64 = 0
  var loops: [LoopCandidate] = []
  var rows: LogEstimate = 0
  var cost: LogEstimate = 0
  var unsorted: LogEstimate = 0
  /// How many terms of the wished order it gives; -1: not known to give any.
  var ordered = -1
  var isReversed: UInt64 = 0
}

struct JoinOrder {
  let clause: WhereClause
  let wishes: LoopWishes
  let candidates: [LoopCandidate]

  /// The best path; nil where no order respects all joins (which cannot happen).
  /// - Parameters:
  ///   - queryLoops: how often the whole runs, as an estimate.
  ///   - sortedRows: the rows that a sort would have; nil leaves the wished order out of account.
  func best(queryLoops: LogEstimate = 0, sortedRows: LogEstimate?) -> JoinPath? {
    let count = clause.sources.count
    let width = count <= 1 ? 1 : count == 2 ? 5 : 12
    let terms = sortedRows == nil ? [] : wishes.wishedTerms
    var paths = [JoinPath(rows: min(queryLoops, 48))]
    paths[0].ordered = terms.isEmpty ? 0 : -1
    for _ in 0..<count {
      var next: [JoinPath] = []
      for from in paths {
        for loop in candidates {
          if loop.prerequisites & ~from.mask != 0 || loop.mask & from.mask != 0 { continue }
          if loop.flags.contains(.automatic), from.rows < 3 { continue }
          var path = from
          path.loops.append(loop)
          path.mask |= loop.mask
          path.rows = from.rows + loop.rows
          path.unsorted = LogEstimate.sum(
            LogEstimate.sum(loop.setup, loop.run + from.rows), from.unsorted)
          if path.ordered < 0 {
            let (ordered, reversed) = OrderCheck(clause: clause, wishes: wishes).satisfied(
              path.loops, isLast: path.loops.count == count)
            path.ordered = ordered
            path.isReversed = reversed
          }
          if path.ordered >= 0, path.ordered < terms.count {
            path.cost = LogEstimate.sum(path.unsorted, sortCost(sortedRows ?? 0, terms.count, path.ordered)) + 3
          } else {
            path.cost = path.unsorted
            path.unsorted -= 2
          }
          insert(path, &next, width)
        }
      }
      paths = next
      if paths.isEmpty { return nil }
    }
    return paths.min { $0.cost < $1.cost }
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

  private func insert(_ path: JoinPath, _ paths: inout [JoinPath], _ width: Int) {
    if let place = paths.firstIndex(where: { $0.mask == path.mask && ($0.ordered >= 0) == (path.ordered >= 0) }) {
      let other = paths[place]
      if other.cost < path.cost
        || (other.cost == path.cost
          && (other.rows < path.rows || (other.rows == path.rows && other.unsorted <= path.unsorted)))
      { return }
      paths[place] = path
      return
    }
    if paths.count < width {
      paths.append(path)
      return
    }
    var worst = 0
    for place in paths.indices.dropFirst() where paths[place].cost > paths[worst].cost
      || (paths[place].cost == paths[worst].cost && paths[place].unsorted > paths[worst].unsorted)
    { worst = place }
    if path.cost < paths[worst].cost || (path.cost == paths[worst].cost && path.unsorted < paths[worst].unsorted) {
      paths[worst] = path
    }
  }
}
