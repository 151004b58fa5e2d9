// A LEFT JOIN that adds no rows and whose columns nobody reads is left out.
// Source: https://sqlite.org/optoverview.html#omit_outer_join

import ApusSQL

enum OmitJoins {
  static func apply(_ path: inout JoinPath, _ clause: WhereClause, _ wishes: LoopWishes) {
    guard let outputs = wishes.outputs, path.loops.count > 1 else { return }
    var used: UInt64 = 0
    for output in outputs { used |= clause.mask(output) }
    for place in stride(from: path.loops.count - 1, through: 1, by: -1) {
      let loop = path.loops[place]
      guard clause.sources[loop.source].joinKind == .left, loop.mask & used == 0,
        loop.flags.contains(.oneRow) || !wishes.distinct.isEmpty
      else { continue }
      // Only its own ON may read it.
      let others = clause.terms.contains { !$0.isVirtual && $0.mask & loop.mask != 0 && $0.outerJoin != loop.source }
      if others { continue }
      for term in clause.terms where term.mask & loop.mask != 0 { term.isCoded = true }
      path.loops.remove(at: place)
      let low = path.isReversed & ((1 << UInt64(place)) - 1)
      path.isReversed = low | (path.isReversed >> UInt64(place + 1)) << UInt64(place)
    }
  }
}
