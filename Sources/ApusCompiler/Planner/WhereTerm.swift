// The conjuncts of WHERE and ON, each with what the planner can do with it.

import ApusBase
import ApusSQL
import ApusVM

struct TermOperators: OptionSet {
  var rawValue: UInt16
  static let `in` = TermOperators(rawValue: 1)
  static let equal = TermOperators(rawValue: 2)
  static let less = TermOperators(rawValue: 4)
  static let lessOrEqual = TermOperators(rawValue: 8)
  static let greater = TermOperators(rawValue: 16)
  static let greaterOrEqual = TermOperators(rawValue: 32)
  static let `is` = TermOperators(rawValue: 64)
  static let isNull = TermOperators(rawValue: 128)
  static let or = TermOperators(rawValue: 256)
  static let range: TermOperators = [.less, .lessOrEqual, .greater, .greaterOrEqual]
  static let equality: TermOperators = [.equal, .in, .is, .isNull]
}

final class WhereTerm {
  let expression: BoundExpression
  /// The FROM item that the left side is a column of, -1 for none.
  var source = -1
  /// The column: -1 the rowid, -2 an expression (`left`).
  var column = 0
  var left: BoundExpression?
  var right: BoundExpression?
  var operators: TermOperators = []
  /// FROM items that the right side, and the whole term, read.
  var rightMask: UInt64 = 0
  var mask: UInt64 = 0
  /// Written to the program, or made superfluous by the way a loop runs.
  var isCoded = false
  /// Made by the planner: implied by `parent`, never tested by itself.
  var isVirtual = false
  var parent: WhereTerm?
  /// How many children have to be coded before the parent is.
  var childCount = 0
  /// 10*log2 of the share of rows that pass, where that is known; positive: unknown.
  var truth: LogEstimate = 1
  var isHeuristicTruth = false
  /// From the ON clause of the LEFT JOIN whose right side this is; -1 for others.
  var outerJoin = -1
  /// The range that a LIKE implies; also upper-case forms fall into it, so the LIKE is tested too.
  var isLikeRange = false
  /// `left` was written on the right.
  var isSwapped = false
  /// Of an OR: its parts, each a list of conjuncts.
  var alternatives: [[BoundExpression]] = []

  init(_ expression: BoundExpression) { self.expression = expression }

  /// Whether all rows that pass it have the same value in its column, as far as `collation` tells values apart: the
  /// comparison must not convert the column's values, which have this affinity.
  func fixes(collation: Name?, affinity: Affinity) -> Bool {
    guard !operators.isDisjoint(with: [.equal, .is]), let comparison, comparison.isServed(by: affinity) else { return false }
    guard comparison.collation?.key ?? "binary" == collation?.key ?? "binary" else { return false }
    return right?.isDeterministic == true
  }

  /// How the term compares; which side was written first decides between two collations.
  var comparison: Comparison? {
    guard let left, let right else { return nil }
    return isSwapped ? Comparison(right, left) : Comparison(left, right)
  }

  /// Marks it as done, and its parent when all children are.
  func markCoded() {
    if isCoded { return }
    isCoded = true
    if let parent {
      parent.childCount -= 1
      if parent.childCount == 0, !isLikeRange { parent.markCoded() }
    }
  }
}

/// The conjuncts of one query, analysed.
final class WhereClause {
  private(set) var terms: [WhereTerm] = []
  let sources: [Source]
  let generator: Generator
  private let planNumber: Int

  init(_ sources: [Source], _ filter: BoundExpression?, _ generator: Generator) {
    self.sources = sources
    self.generator = generator
    generator.planCount += 1
    planNumber = generator.planCount
    terms.reserveCapacity(8)
    for (place, source) in sources.enumerated() {
      source.place = place
      source.planNumber = planNumber
    }
    for source in sources {
      if let on = source.on { addConjuncts(on, outerJoin: source.joinKind == .left ? source.place : -1) }
    }
    if let filter { addConjuncts(filter, outerJoin: -1) }
  }

  /// The conjuncts of one part of an OR, over the same FROM items; the conditions beside the OR hold as well.
  init(_ conjuncts: [BoundExpression], in whole: WhereClause, beside or: WhereTerm) {
    sources = whole.sources
    generator = whole.generator
    planNumber = whole.planNumber
    for conjunct in conjuncts { add(conjunct, outerJoin: -1) }
    for term in whole.terms where term !== or && !term.isVirtual && term.outerJoin < 0 && term.mask != 0 {
      add(term.expression, outerJoin: -1)
    }
  }

  private func addConjuncts(_ expression: BoundExpression, outerJoin: Int) {
    if case .binary(.and, let left, let right) = expression.kind {
      addConjuncts(left, outerJoin: outerJoin)
      addConjuncts(right, outerJoin: outerJoin)
    } else {
      add(expression, outerJoin: outerJoin)
    }
  }

  static func split(_ expression: BoundExpression, _ op: BinaryOperator, _ parts: inout [BoundExpression]) {
    if case .binary(op, let left, let right) = expression.kind {
      split(left, op, &parts)
      split(right, op, &parts)
    } else {
      parts.append(expression)
    }
  }

  /// The FROM items of this query that `expression` reads.
  func mask(_ expression: BoundExpression) -> UInt64 {
    var mask: UInt64 = 0
    expression.walk { node in
      switch node.kind {
      case .column(let source, _), .ifNullRow(let source, _):
        if source.planNumber == self.planNumber, source.place < self.sources.count, self.sources[source.place] === source {
          mask |= 1 << UInt64(source.place)
        }
      case .inSelect(_, let select, _), .exists(let select), .subquery(let select):
        if select.isCorrelated { return true }
      default: break
      }
      return true
    }
    return mask
  }

  private func ownColumn(_ expression: BoundExpression) -> (source: Int, column: Int)? {
    switch expression.kind {
    case .column(let source, let number):
      guard source.planNumber == planNumber else { return nil }
      return (source.place, number)
    case .aggregateColumn(let info, let slot): return ownColumn(info.slots[slot].expression)
    default: return nil
    }
  }

  // An index on an expression may serve this one.
  private func indexedExpression(_ expression: BoundExpression) -> Int? {
    let mask = mask(expression)
    guard mask != 0, mask & (mask - 1) == 0 else { return nil }
    let place = mask.trailingZeroBitCount
    guard let table = sources[place].table, table.indexes.contains(where: { $0.hasExpressions }) else { return nil }
    for index in table.indexes where index.hasExpressions {
      for bound in generator.indexExpressions(index, sources[place]) where bound?.matches(expression) == true {
        return place
      }
    }
    return nil
  }

  // MARK: Analysis

  private func add(_ expression: BoundExpression, outerJoin: Int) {
    let term = WhereTerm(expression)
    term.outerJoin = outerJoin
    term.mask = mask(expression)
    if outerJoin >= 0 { term.mask |= 1 << UInt64(outerJoin) }
    terms.append(term)
    analyze(term)
  }

  @discardableResult
  private func addVirtual(_ expression: BoundExpression, parent: WhereTerm) -> WhereTerm {
    let term = WhereTerm(expression)
    term.isVirtual = true
    term.parent = parent
    term.outerJoin = parent.outerJoin
    term.mask = parent.mask
    parent.childCount += 1
    terms.append(term)
    analyze(term)
    return term
  }

  private func analyze(_ term: WhereTerm) {
    switch term.expression.kind {
    case .binary(.or, _, _):
      if !term.isVirtual { analyzeOr(term) }
    case .binary(let op, let left, let right) where op.isComparison && op != .notEqual && op != .isNot:
      analyzeComparison(term, op, left.withoutCollate, right, isWhole: left)
    case .nullTest(let inner, isNegated: false):
      if let (source, column) = ownColumn(inner.withoutCollate) {
        setLeft(term, source, column, inner, .isNull, right: BoundExpression(.null))
      }
    case .inList(let left, let items, isNegated: false):
      var rightMask: UInt64 = 0
      for item in items { rightMask |= mask(item) }
      setMembership(term, left, rightMask)
    case .inSelect(let left, let select, isNegated: false):
      guard left.width == 1 else { return }
      var rightMask: UInt64 = 0
      if select.isCorrelated { rightMask = mask(BoundExpression(.exists(select))) }
      setMembership(term, left, rightMask)
    case .between(let value, let low, let high, isNegated: false):
      if term.isVirtual { return }
      addVirtual(BoundExpression(.binary(.greaterOrEqual, value, low)), parent: term)
      addVirtual(BoundExpression(.binary(.lessOrEqual, value, high)), parent: term)
    case .function(let definition, let arguments):
      if definition.traits.contains(.isLike) || definition.name == "glob" { analyzeLike(term, definition, arguments) }
    default: break
    }
  }

  private func setMembership(_ term: WhereTerm, _ left: BoundExpression, _ rightMask: UInt64) {
    let bare = left.withoutCollate
    if let (source, column) = ownColumn(bare) {
      guard rightMask & 1 << UInt64(source) == 0 else { return }
      setLeft(term, source, column, left, .in, right: nil)
      term.rightMask = rightMask
    } else if let source = indexedExpression(bare) {
      setLeft(term, source, -2, left, .in, right: nil)
      term.rightMask = rightMask
    }
  }

  private func setLeft(
    _ term: WhereTerm, _ source: Int, _ column: Int, _ left: BoundExpression, _ op: TermOperators,
    right: BoundExpression?
  ) {
    // What an ON clause says of its left side does not restrict that side.
    if term.outerJoin >= 0, term.outerJoin != source { return }
    term.source = source
    term.column = column
    term.left = left
    term.right = right
    term.operators = op
    term.rightMask = right.map { mask($0) } ?? 0
    if term.outerJoin >= 0 { term.rightMask |= (1 << UInt64(term.outerJoin)) - 1 }
  }

  private func analyzeComparison(
    _ term: WhereTerm, _ op: BinaryOperator, _ left: BoundExpression, _ right: BoundExpression, isWhole: BoundExpression
  ) {
    let leftMask = mask(left), rightMask = mask(right)
    guard leftMask & rightMask == 0 else { return }
    let bareRight = right.withoutCollate
    let operators = WhereClause.operators(op)
    var isUsed = false
    if let (source, column) = ownColumn(left) {
      setLeft(term, source, column, isWhole, operators, right: right)
      isUsed = term.source >= 0
    } else if leftMask != 0, let source = indexedExpression(left) {
      setLeft(term, source, -2, isWhole, operators, right: right)
      isUsed = term.source >= 0
    }
    var swapped: (source: Int, column: Int)?
    if let found = ownColumn(bareRight) {
      swapped = found
    } else if rightMask != 0, let source = indexedExpression(bareRight) {
      swapped = (source, -2)
    }
    guard let (source, column) = swapped, term.outerJoin < 0 || term.outerJoin == source else { return }
    let target: WhereTerm
    if isUsed {
      target = WhereTerm(BoundExpression(.binary(op.mirrored, right, isWhole), term.expression.offset))
      target.isVirtual = true
      target.parent = term
      target.outerJoin = term.outerJoin
      target.mask = term.mask
      term.childCount = 1
      terms.append(target)
    } else {
      target = term
    }
    target.isSwapped = true
    setLeft(target, source, column, right, WhereClause.operators(op.mirrored), right: isWhole)
  }

  private static func operators(_ op: BinaryOperator) -> TermOperators {
    switch op {
    case .equal: .equal
    case .is: .is
    case .less: .less
    case .lessOrEqual: .lessOrEqual
    case .greater: .greater
    default: .greaterOrEqual
    }
  }

  // MARK: OR

  private func analyzeOr(_ term: WhereTerm) {
    var parts: [BoundExpression] = []
    WhereClause.split(term.expression, .or, &parts)
    // All of them equalities of one column: that is IN.
    if let membership = membership(parts) {
      addVirtual(membership, parent: term)
      return
    }
    // Each of them can use an index of the same table: several searches, each row once.
    var usable: UInt64 = ~0
    for part in parts {
      var conjuncts: [BoundExpression] = []
      WhereClause.split(part, .and, &conjuncts)
      term.alternatives.append(conjuncts)
      var sources: UInt64 = 0
      for conjunct in conjuncts {
        let probe = WhereTerm(conjunct)
        probe.mask = mask(conjunct)
        let count = terms.count
        analyze(probe)
        if probe.source >= 0 { sources |= 1 << UInt64(probe.source) }
        if probe.operators == .or { sources |= probe.rightMask }
        for extra in terms[count...] where extra.source >= 0 { sources |= 1 << UInt64(extra.source) }
        terms.removeSubrange(count...)
      }
      usable &= sources
    }
    guard usable != 0, usable != ~0, term.outerJoin < 0 else { return }
    term.operators = .or
    term.rightMask = usable
  }

  private func membership(_ parts: [BoundExpression]) -> BoundExpression? {
    var column: BoundExpression?
    var items: [BoundExpression] = []
    for part in parts {
      guard case .binary(.equal, let left, let right) = part.kind else { return nil }
      var matched = false
      for (a, b) in [(left, right), (right, left)] where !matched {
        guard ownColumn(a) != nil, !a.hasCollate, !b.hasCollate else { continue }
        if let column {
          guard column.matches(a) else { continue }
        } else if case .column = b.kind, parts.count > 1, !canBeColumn(a, in: parts[1]) {
          continue
        }
        // IN compares with the left side's affinity and collation only.
        guard Comparison.affinity(a.affinity, b.affinity) == a.affinity || b.affinity == .none, b.collation == nil else { continue }
        column = a
        items.append(b)
        matched = true
      }
      if !matched { return nil }
    }
    guard let column else { return nil }
    return BoundExpression(.inList(column, items, isNegated: false))
  }

  private func canBeColumn(_ column: BoundExpression, in part: BoundExpression) -> Bool {
    guard case .binary(.equal, let left, let right) = part.kind else { return false }
    return column.matches(left) || column.matches(right)
  }

  // MARK: LIKE

  // x LIKE 'abc%' implies x >= 'ABC' AND x < 'abd' where x is text by affinity; GLOB likewise without the case.
  private func analyzeLike(_ term: WhereTerm, _ definition: FunctionDefinition, _ arguments: [BoundExpression]) {
    // In UTF-16 the order of bytes is not that of the pattern's characters.
    guard generator.context.settings.textEncoding == .utf8 else { return }
    guard !term.isVirtual, arguments.count == 2, case .text(let pattern) = arguments[0].kind,
      let (_, column) = ownColumn(arguments[1]), column >= 0, arguments[1].affinity == .text
    else { return }
    let isGlob = definition.name == "glob"
    let ignoresCase = !isGlob && !definition.traits.contains(.isCaseSensitive)
    let stops: [UInt8] = isGlob ? Array("*?[".utf8) : Array("%_".utf8)
    var prefix: [UInt8] = []
    for byte in pattern.utf8 {
      if stops.contains(byte) { break }
      prefix.append(byte)
    }
    guard let last = prefix.last, last < 0x7f, prefix.allSatisfy({ $0 < 0x80 }) else { return }
    // A pattern that a number could match must not become a range over text.
    if prefix.first == 0x2d || prefix.first.map({ $0 &- 0x30 < 10 }) == true || prefix.count == 1 && last == 0x2d {
      guard arguments[1].affinity == .text else { return }
    }
    var low = prefix, high = prefix
    if ignoresCase {
      low = prefix.map { $0 &- 0x61 < 26 ? $0 & 0xdf : $0 }
      high = prefix.map { $0 &- 0x41 < 26 ? $0 | 0x20 : $0 }
      if last == 0x40 { return }
    }
    high[high.count - 1] &+= 1
    let collation: Name = ignoresCase ? "NOCASE" : "BINARY"
    let operand = BoundExpression(.collate(arguments[1], collation))
    let from = BoundExpression(.text(String(decoding: low, as: UTF8.self)))
    let to = BoundExpression(.text(String(decoding: high, as: UTF8.self)))
    let first = addVirtual(BoundExpression(.binary(.greaterOrEqual, operand, from)), parent: term)
    let second = addVirtual(BoundExpression(.binary(.less, operand, to)), parent: term)
    first.isLikeRange = true
    second.isLikeRange = true
  }

  // MARK: Search

  /// Terms that restrict `column` of a source by one of `operators` and that an index column of this affinity and
  /// collation can serve.
  func find(
    source: Int, column: Int, expression: BoundExpression?, collation: Name?, affinity: Affinity,
    operators: TermOperators
  ) -> [WhereTerm] {
    var found: [WhereTerm] = []
    for term in terms where term.source == source && !term.operators.isDisjoint(with: operators) {
      guard term.column == column, let left = term.left else { continue }
      if column == -2 {
        guard let expression, left.withoutCollate.matches(expression) else { continue }
      }
      guard term.operators.contains(.isNull) || serves(term, left, collation, affinity, column) else { continue }
      found.append(term)
    }
    return found
  }

  private func serves(
    _ term: WhereTerm, _ left: BoundExpression, _ collation: Name?, _ affinity: Affinity, _ column: Int
  ) -> Bool {
    let comparison: Comparison
    switch term.expression.kind {
    case .inList:
      comparison = Comparison(left, BoundExpression(.null))
    case .inSelect(_, let select, _):
      comparison = Comparison(left, select.comparand(0) ?? BoundExpression(.null))
    default:
      guard let own = term.comparison else { return false }
      comparison = own
    }
    if column != -1, comparison.collation?.key ?? "binary" != collation?.key ?? "binary" { return false }
    return comparison.isServed(by: affinity)
  }
}
