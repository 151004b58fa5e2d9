// Which terms of a wished order a path of loops gives by itself.

import ApusBase
import ApusSQL
import ApusVM

struct OrderCheck {
  private let clause: WhereClause
  private let isGroup: Bool
  private let isDistinctWish: Bool
  /// The wished order as terms.
  let terms: [BoundOrder]
  /// For each term whether the same row always gives it the same value.
  private let isSteady: [Bool]

  init(_ clause: WhereClause, _ wishes: LoopWishes) {
    self.clause = clause
    isGroup = wishes.isGroup
    isDistinctWish = wishes.isDistinctWish
    terms = wishes.wishedTerms
    isSteady = terms.map { $0.expression.isDeterministic }
  }

  /// The number of leading terms that come out in order, and the loops that have to run backwards for it.
  /// - Returns: -1 while more loops could still complete it.
  func satisfied(_ loops: [LoopCandidate], isLast: Bool) -> (Int, UInt64) {
    if terms.isEmpty { return (0, 0) }
    // One row at most is in any order.
    if isLast, loops.allSatisfy({ isOneRow($0) }) { return (terms.count, 0) }
    var done = [Bool](repeating: false, count: terms.count)
    var reversed: UInt64 = 0
    var ready: UInt64 = 0
    var isOrderDistinct = true
    for (position, loop) in loops.enumerated() {
      guard isOrderDistinct else { break }
      let source = clause.sources[loop.source]
      if loop.flags.contains(.multipleOr) || loop.flags.contains(.automatic) {
        // No order of its own; whatever comes behind it is not ordered overall.
        if !isOneRow(loop) { break }
      }
      // Terms whose column this loop fixes by equality.
      for (place, term) in terms.enumerated() where !done[place] {
        guard let (from, column) = column(term.expression), from === source else { continue }
        let isFixed = clause.terms.contains {
          $0.source == loop.source && $0.column == column && $0.rightMask & ~ready == 0 && $0.outerJoin < 0
            && $0.fixes(collation: termCollation(term), affinity: source.affinity(column))
        }
        if isFixed, source.joinKind != .left { done[place] = true }
      }
      if !loop.flags.contains(.oneRow) {
        let isReverse = matchIndex(loop, source, &done, &isOrderDistinct)
        if isReverse { reversed |= 1 << UInt64(position) }
      }
      ready |= loop.mask
      // Terms that need nothing beyond the loops so far and are constant in them.
      if isOrderDistinct {
        for (place, term) in terms.enumerated() where !done[place] && isSteady[place] {
          let mask = clause.mask(term.expression)
          if mask & ~ready == 0, mask == 0 { done[place] = true }
          else if mask != 0, mask & ~ready == 0, loops.prefix(position + 1).allSatisfy({ isOneRow($0) || mask & $0.mask == 0 }) {
            done[place] = true
          } else if mask & ~ready == 0, isOrderDistinct, position + 1 <= loops.count, !isGroup, done[..<place].allSatisfy({ $0 }) {
            // All rows so far differ in what came before: the rest orders nothing.
            if loops.prefix(position + 1).allSatisfy({ isDistinctThrough($0) }) { done[place] = true }
          }
        }
      }
      if done.allSatisfy({ $0 }) { return (terms.count, reversed) }
    }
    if isGroup || isDistinctWish {
      return done.allSatisfy({ $0 }) ? (terms.count, reversed) : (isLast ? 0 : isOrderDistinct ? -1 : 0, 0)
    }
    if isOrderDistinct, !isLast { return (-1, reversed) }
    let prefix = done.firstIndex(of: false) ?? terms.count
    return (prefix, prefix > 0 ? reversed : 0)
  }

  private func isOneRow(_ loop: LoopCandidate) -> Bool { loop.flags.contains(.oneRow) }
  private func isDistinctThrough(_ loop: LoopCandidate) -> Bool { loop.flags.contains(.oneRow) }

  private func termCollation(_ term: BoundOrder) -> Name? {
    let name = term.expression.collation
    return name?.key == "binary" ? nil : name
  }

  private func column(_ expression: BoundExpression) -> (Source, Int)? {
    switch expression.withoutCollate.kind {
    case .column(let source, let number): (source, number)
    case .aggregateColumn(let info, let slot): column(info.slots[slot].expression)
    default: nil
    }
  }

  // Walks the index's columns along the terms. Returns whether the loop runs backwards.
  private func matchIndex(
    _ loop: LoopCandidate, _ source: Source, _ done: inout [Bool], _ isOrderDistinct: inout Bool
  ) -> Bool {
    var isReverse: Bool?
    let parts: [IndexColumn]
    let partCount: Int
    var isDistinct: Bool
    if let index = loop.index {
      let keyCount = index.keyCount
      parts = index.columns
      partCount = index === source.table?.primaryKeyIndex ? keyCount : parts.count
      isDistinct = index.isUnique && !loop.flags.contains(.membership)
        && (index.isUniqueNotNull || index.columns.count > index.keyCount)
      // With the row's identity at its end, the whole entry tells rows apart.
      isDistinct = isDistinct || partCount > keyCount
      if index.isUnordered {
        isOrderDistinct = false
        return false
      }
    } else if loop.flags.contains(.rowid) {
      parts = OrderCheck.rowidParts
      partCount = 1
      isDistinct = true
    } else {
      isOrderDistinct = false
      return false
    }
    var matchedAll = true
    for position in 0..<partCount {
      let part = parts[position]
      if position < loop.equalityCount, position < loop.terms.count {
        let term = loop.terms[position]
        if term.operators.contains(.in) {
          // The members come in order, ascending by their own, so this column may still be a term.
          if !term.operators.isDisjoint(with: .in) { isDistinct = false }
          return finishIn(&isOrderDistinct, isReverse)
        }
        // Fixed by an equality: it orders nothing. IS NULL too.
        markFixed(part, source, loop, position, &done)
        continue
      }
      // The next term that is not done must be this column.
      var match: Int?
      for (place, term) in terms.enumerated() where !done[place] {
        if matches(term, part, source, loop, position) {
          match = place
          break
        }
        if !isGroup { break }
      }
      guard let place = match else {
        matchedAll = false
        break
      }
      let term = terms[place]
      if !isGroup {
        let runsBackwards = part.isDescending != term.isDescending
        if let isReverse, isReverse != runsBackwards {
          matchedAll = false
          break
        }
        // NULLs lie where the index has them.
        let canBeNull = part.number == -2 || (part.number >= 0 && !(source.table?.columns[part.number].isNotNull ?? false))
        if canBeNull, term.isNullsLast != term.isDescending {
          matchedAll = false
          break
        }
        if isReverse == nil { isReverse = runsBackwards }
      }
      done[place] = true
    }
    if !matchedAll || !isDistinct { isOrderDistinct = false }
    return isReverse ?? false
  }

  private static let rowidParts = [IndexColumn(source: .rowid, collation: nil, isDescending: false)]

  private func finishIn(_ isOrderDistinct: inout Bool, _ isReverse: Bool?) -> Bool {
    isOrderDistinct = false
    return isReverse ?? false
  }

  private func markFixed(
    _ part: IndexColumn, _ source: Source, _ loop: LoopCandidate, _ position: Int, _ done: inout [Bool]
  ) {
    for (place, term) in terms.enumerated() where !done[place] {
      if matches(term, part, source, loop, position) { done[place] = true }
    }
  }

  private func matches(
    _ term: BoundOrder, _ part: IndexColumn, _ source: Source, _ loop: LoopCandidate, _ position: Int
  ) -> Bool {
    switch part.source {
    case .column(let number):
      guard let (from, column) = column(term.expression), from === source,
        column == number || (column == -1 && source.table?.rowidAlias == number)
      else { return false }
      return part.collation?.key ?? "binary" == termCollation(term)?.key ?? "binary"
    case .rowid:
      guard let (from, column) = column(term.expression), from === source else { return false }
      return column == -1
    case .expression:
      guard let index = loop.index, let bound = clause.generator.indexExpressions(index, source)[position] else {
        return false
      }
      return bound.matches(term.expression.withoutCollate)
        && part.collation?.key ?? bound.collation?.key ?? "binary" == termCollation(term)?.key ?? "binary"
    }
  }
}
