// Finds the ways to run each loop: full scans, rowid lookups, indexes with equalities and ranges, OR by several searches,
// automatic indexes. The costs are SQLite's, so that its plans come out. Source: https://sqlite.org/queryplanner-ng.html

import ApusBase
import ApusSQL
import ApusVM

struct CandidateSearch {
  let clause: WhereClause
  let wishes: LoopWishes
  var candidates: [LoopCandidate] = []
  let generator: Generator
  var orDepth = 0

  init(_ clause: WhereClause, _ wishes: LoopWishes, _ generator: Generator) {
    self.clause = clause
    self.wishes = wishes
    self.generator = generator
    candidates.reserveCapacity(8)
  }

  mutating func addAll() throws(EngineError) {
    var prior: UInt64 = 0
    var prerequisites: UInt64 = 0
    for source in clause.sources {
      // The right side of LEFT and CROSS joins stays behind all that stands left of it.
      if source.joinKind == .left || source.joinKind == .cross { prerequisites |= prior } else { prerequisites = 0 }
      try addTable(source, prerequisites)
      try addOr(source, prerequisites)
      prior |= 1 << UInt64(source.place)
    }
  }

  /// The candidates of one source alone.
  mutating func addOne(_ source: Source) throws(EngineError) {
    try addTable(source, 0)
    try addOr(source, 0)
  }

  /// How deep an OR inside an AND inside an OR is looked at.
  private static let orDepthMax = 3

  // MARK: One table

  private mutating func addTable(_ source: Source, _ prerequisites: UInt64) throws(EngineError) {
    let rowCount = source.table?.rowEstimate ?? source.rowEstimate
    if case .indexedBy(let name) = source.hint {
      guard let index = source.table?.indexes.first(where: { $0.name == name }) else { return }
      // A partial index that lacks rows of the answer is no way to it, even where the statement asks for it.
      if let filter = index.filter, !isImplied(filter, source) { return }
      addIndex(source, index, prerequisites)
      return
    }
    addAutomatic(source, prerequisites, rowCount)
    addScan(source, prerequisites, rowCount)
    guard let table = source.table else { return }
    if table.hasRowid { addRowid(source, table, prerequisites) }
    for index in table.indexes {
      if case .notIndexed = source.hint, index !== table.primaryKeyIndex { continue }
      if let filter = index.filter, !isImplied(filter, source) { continue }
      addIndex(source, index, prerequisites)
    }
  }

  private mutating func addScan(_ source: Source, _ prerequisites: UInt64, _ rowCount: LogEstimate) {
    // The primary key's index is the scan of a WITHOUT ROWID table.
    if source.table?.isWithoutRowid == true { return }
    let scan = LoopCandidate(source: source.place)
    scan.prerequisites = prerequisites
    if source.table != nil { scan.flags = [.rowid] }
    scan.rows = rowCount
    scan.run = rowCount + 16 - (source.table?.hasStatistics == true ? 2 : 0)
    adjustOutput(scan, rowCount)
    insert(scan)
  }

  private mutating func addRowid(_ source: Source, _ table: CatalogTable, _ prerequisites: UInt64) {
    let base = LoopCandidate(source: source.place)
    base.prerequisites = prerequisites
    base.flags = [.rowid]
    base.rows = table.rowEstimate
    extend(base, source, table, IndexShape(rowidOf: table))
  }

  private mutating func addIndex(_ source: Source, _ index: CatalogIndex, _ prerequisites: UInt64) {
    guard let table = source.table else { return }
    let rows = index.rowEstimates[0]
    let isPrimary = index === table.primaryKeyIndex
    let isCovering = isPrimary || covers(index, source)
    let base = LoopCandidate(source: source.place)
    base.prerequisites = prerequisites
    base.index = index
    base.flags = isCovering ? [.indexed, .covering] : [.indexed]
    base.rows = rows
    // A scan of the whole index: for its order, or because it is narrower than the table. A table without row ids is an
    // index itself: the others stand beside it, the newest first.
    let helpsOrder = mayOrder(source, index)
    let isNarrow = isCovering
      && (table.isWithoutRowid || !index.isUnordered && index.entryWidth < table.rowWidth && !wishes.changesRows)
    var isDemanded = index.filter != nil
    if case .indexedBy = source.hint { isDemanded = true }
    if helpsOrder || isPrimary || isNarrow || isDemanded {
      let scan = base.copy()
      if isCovering {
        scan.run = rows + 1 + (15 * index.entryWidth) / max(table.rowWidth, 1)
        adjustOutput(scan, rows)
        insert(scan)
      } else if helpsOrder || isDemanded {
        scan.run = LogEstimate.sum(rows + 1 + (15 * index.entryWidth) / max(table.rowWidth, 1), rows + 16)
        adjustOutput(scan, rows)
        insert(scan)
      }
    }
    extend(base, source, table, IndexShape(index, table, generator, source))
  }

  private func covers(_ index: CatalogIndex, _ source: Source) -> Bool {
    if source.usedColumns & ~index.columnMask != 0 { return false }
    return source.usedColumns >> 63 == 0
  }

  private func mayOrder(_ source: Source, _ index: CatalogIndex) -> Bool {
    if index.isUnordered { return false }
    func helps(_ expression: BoundExpression) -> Bool {
      switch expression.withoutCollate.kind {
      case .column(let other, let number):
        guard other === source else { return false }
        return number < 0 || index.columns.prefix(index.keyCount).contains { $0.number == number }
      case .aggregateColumn(let info, let slot): return helps(info.slots[slot].expression)
      default: return index.hasExpressions
      }
    }
    return wishes.orderBy.contains { helps($0.expression) } || wishes.groupBy.contains { helps($0) }
      || wishes.distinct.contains { helps($0) }
  }

  private func isImplied(_ filter: Expression, _ source: Source) -> Bool {
    guard source.joinKind != .left else { return false }
    // What the index is about is not read, so it does not keep other indexes from covering.
    let used = source.usedColumns
    defer { source.usedColumns = used }
    guard let bound = try? generator.binder.scalar(filter, Scope(sources: [source])), !bound.callsUnstable else {
      return false
    }
    var parts: [BoundExpression] = []
    WhereClause.split(bound, .and, &parts)
    return parts.allSatisfy { part in
      clause.terms.contains { term in
        guard term.outerJoin < 0, !term.isVirtual else { return false }
        if term.expression.matches(part) { return true }
        // x IS NOT NULL follows from any comparison of x.
        if case .nullTest(let inner, isNegated: true) = part.kind {
          switch term.expression.kind {
          case .binary(let op, let left, let right):
            return op.isComparison && op != .is && op != .isNot
              && (left.withoutCollate.matches(inner) || right.withoutCollate.matches(inner))
          case .between(let value, _, _, isNegated: false), .inList(let value, _, isNegated: false),
            .inSelect(let value, _, isNegated: false):
            return value.withoutCollate.matches(inner)
          default: return false
          }
        }
        return false
      }
    }
  }

  // MARK: Index columns

  /// The columns of an index as the search sees them; the rowid counts as an index of one column.
  struct IndexShape {
    struct Part {
      var column: Int
      var expression: BoundExpression?
      var collation: Name?
      var affinity: Affinity
      var isNotNull: Bool
    }
    var parts: [Part]
    var keyCount: Int
    var estimates: [LogEstimate]
    var width: LogEstimate
    var isRowid: Bool
    var isUnique: Bool
    var isUniqueNotNull: Bool
    var hasStatistics: Bool

    init(rowidOf table: CatalogTable) {
      parts = [Part(column: -1, expression: nil, collation: nil, affinity: .integer, isNotNull: true)]
      keyCount = 1
      estimates = [table.rowEstimate, 0]
      width = table.rowWidth
      isRowid = true
      isUnique = true
      isUniqueNotNull = true
      hasStatistics = table.hasStatistics
    }

    init(_ index: CatalogIndex, _ table: CatalogTable, _ generator: Generator, _ source: Source) {
      parts = []
      // The rowid or primary key at the end of an entry can be used like the named columns.
      let isPrimary = index === table.primaryKeyIndex
      let expressions = index.hasExpressions ? generator.indexExpressions(index, source) : []
      for (place, part) in index.columns.enumerated() {
        if isPrimary, place >= index.keyCount { break }
        let number = part.number
        let affinity: Affinity =
          number >= 0 ? table.columns[number].affinity : number == -1 ? .integer : expressions[place]?.affinity ?? .none
        parts.append(
          Part(
            column: number, expression: number == -2 ? expressions[place] : nil, collation: part.collation,
            affinity: affinity, isNotNull: number == -1 || number >= 0 && table.columns[number].isNotNull))
      }
      keyCount = index.keyCount
      estimates = index.rowEstimates
      width = index.entryWidth
      isRowid = false
      isUnique = index.isUnique
      isUniqueNotNull = index.isUniqueNotNull
      hasStatistics = index.hasStatistics
    }

    func estimate(_ count: Int) -> LogEstimate {
      count < estimates.count ? estimates[count] : 0
    }
  }

  /// Adds the candidates that use one more column of the index than `base` does.
  private mutating func extend(
    _ base: LoopCandidate, _ source: Source, _ table: CatalogTable, _ shape: IndexShape, inRows: LogEstimate = 0
  ) {
    let place = base.equalityCount
    guard place < shape.parts.count else { return }
    let part = shape.parts[place]
    var operators: TermOperators = [.in, .equal, .is, .isNull, .less, .lessOrEqual, .greater, .greaterOrEqual]
    if base.flags.contains(.bottom) { operators = [.less, .lessOrEqual] }
    if part.isNotNull, part.column != -2 { operators.remove(.isNull) }
    let found = clause.find(
      source: source.place, column: part.column, expression: part.expression, collation: part.collation,
      affinity: part.affinity, operators: operators)
    let rowCount = shape.estimates[0]
    let searchCost = LogEstimate.logarithm(rowCount)
    for term in found {
      if term.rightMask & (1 << UInt64(source.place)) != 0 { continue }
      // A WHERE condition on the right side of LEFT JOIN tests the null row too; it must not steer the search.
      if source.joinKind == .left, term.outerJoin != source.place { continue }
      if term.isLikeRange, term.operators.contains(.less), !base.flags.contains(.bottom) { continue }
      let next = base.copy()
      next.terms.append(term)
      next.prerequisites |= term.rightMask
      next.prerequisites &= ~next.mask
      var members: LogEstimate = 0
      if term.operators.contains(.in) {
        next.flags.formUnion([.membership])
        switch term.expression.kind {
        case .inList(_, let items, _): members = LogEstimate.of(UInt64(items.count))
        default: members = 46
        }
        if shape.hasStatistics, searchCost >= 10 {
          let x = shape.estimate(place) + LogEstimate.logarithm(members) + 10 - (members + searchCost)
          if x < 0, inRows != 0 || place > 0 { continue }
        }
        next.flags.insert(.equality)
        next.flags.insert(.membership)
      } else if !term.operators.isDisjoint(with: [.equal, .is]) {
        next.flags.insert(.equality)
        if part.column == -1 || (part.column >= 0 && inRows == 0 && place == shape.keyCount - 1) {
          if part.column == -1 || shape.isUniqueNotNull
            || (shape.keyCount == 1 && shape.isUnique && term.operators.contains(.equal))
          {
            next.flags.insert(.oneRow)
          } else if shape.isUnique {
            next.flags.insert(.uniqueWanted)
          }
        }
      } else if term.operators.contains(.isNull) {
        next.flags.insert(.null)
      } else if !term.operators.isDisjoint(with: [.greater, .greaterOrEqual]) {
        next.flags.formUnion([.range, .bottom])
        if term.isLikeRange, let position = clause.terms.firstIndex(where: { $0 === term }),
          position + 1 < clause.terms.count
        {
          next.flags.insert(.top)
          next.terms.append(clause.terms[position + 1])
        }
      } else {
        next.flags.formUnion([.range, .top])
      }
      if next.flags.contains(.range), !term.operators.isDisjoint(with: .range) {
        adjustForRange(next, base)
      } else {
        next.equalityCount += 1
        if term.truth <= 0, part.column >= 0 {
          next.rows += term.truth - members
        } else {
          next.rows += shape.estimate(place + 1) - shape.estimate(place)
          if term.operators.contains(.isNull) { next.rows += 10 }
        }
      }
      // What the searches and the rows cost.
      let entryCost = next.rows + 1 + (15 * shape.width) / max(table.rowWidth, 1)
      next.run = LogEstimate.sum(searchCost, entryCost)
      if !next.flags.contains(.covering), !next.flags.contains(.rowid) {
        next.run = LogEstimate.sum(next.run, next.rows + 16)
      }
      let unadjusted = next.rows
      next.run += inRows + members
      next.rows += inRows + members
      adjustOutput(next, rowCount)
      insert(next)
      if !next.flags.contains(.top), next.equalityCount < shape.parts.count,
        next.equalityCount < shape.keyCount || !shape.isRowid
      {
        let further = next.copy()
        further.rows = next.flags.contains(.range) ? base.rows : unadjusted
        extend(further, source, table, shape, inRows: inRows + members)
      }
    }
  }

  private func adjustForRange(_ next: LoopCandidate, _ base: LoopCandidate) {
    let bounds = (next.flags.contains(.bottom) ? 1 : 0) + (next.flags.contains(.top) ? 1 : 0)
    let reduced = base.rows - 20 * bounds - (bounds == 2 ? 20 : 0)
    next.rows = min(base.rows - bounds, max(reduced, 10))
  }

  /// Terms that the loop does not use still reduce its rows.
  private func adjustOutput(_ loop: LoopCandidate, _ rowCount: LogEstimate) {
    let own = loop.mask
    let notAllowed = ~(loop.prerequisites | own)
    var reduction: LogEstimate = 0
    for term in clause.terms {
      if term.isVirtual { continue }
      if term.mask & own == 0 || term.mask & notAllowed != 0 { continue }
      if loop.terms.contains(where: { $0 === term || $0.parent === term }) { continue }
      if term.truth <= 0 {
        loop.rows += term.truth
        continue
      }
      loop.rows -= 1
      if !term.operators.isDisjoint(with: [.equal, .is]), let right = term.right {
        // Equality with -1, 0 or 1 is often a flag; with anything else it is rarer.
        let k: LogEstimate = right.integerLiteral.map { $0 >= -1 && $0 <= 1 } == true ? 10 : 20
        reduction = max(reduction, k)
      }
    }
    loop.rows = min(loop.rows, rowCount - reduction)
    if loop.rows < 0 { loop.rows = 0 }
  }

  // MARK: Automatic indexes

  private mutating func addAutomatic(_ source: Source, _ prerequisites: UInt64, _ rowCount: LogEstimate) {
    guard generator.context.settings.automaticIndex, orDepth == 0, !source.isRecursive,
      source.coroutineRegister == 0 || source.isMaterialized
    else { return }
    if case .notIndexed = source.hint { return }
    if let table = source.table, table.isWithoutRowid { return }
    for term in clause.terms {
      guard term.source == source.place, term.column >= 0, !term.operators.isDisjoint(with: [.equal, .is]),
        term.rightMask & (1 << UInt64(source.place)) == 0, let left = term.left, let right = term.right
      else { continue }
      if source.joinKind == .left, term.outerJoin != source.place { continue }
      guard Comparison(left, right).isServed(by: source.affinity(term.column)) else { continue }
      let loop = LoopCandidate(source: source.place)
      let search = LogEstimate.logarithm(rowCount)
      loop.equalityCount = 1
      loop.terms = [term]
      loop.setup = search + rowCount
      if source.table != nil { loop.setup += 28 } else { loop.setup -= 25 }
      if loop.setup < 0 { loop.setup = 0 }
      loop.rows = 43
      loop.run = LogEstimate.sum(search, 43)
      loop.flags = [.automatic]
      loop.prerequisites = prerequisites | term.rightMask
      insert(loop)
    }
  }

  // MARK: OR

  private mutating func addOr(_ source: Source, _ prerequisites: UInt64) throws(EngineError) {
    guard orDepth < Self.orDepthMax, let table = source.table, table.hasRowid || table.isWithoutRowid,
      source.joinKind != .left
    else { return }
    for term in clause.terms where term.operators == .or && term.rightMask & (1 << UInt64(source.place)) != 0 {
      var run: LogEstimate = 0, rows: LogEstimate = 0
      var needed: UInt64 = 0
      var isFirst = true, isUsable = true
      for conjuncts in term.alternatives {
        guard let best = generator.bestAlternative(
          WhereClause(conjuncts, in: clause, beside: term), source, depth: orDepth + 1)
        else {
          isUsable = false
          break
        }
        run = isFirst ? best.run : LogEstimate.sum(run, best.run)
        rows = isFirst ? best.rows : LogEstimate.sum(rows, best.rows)
        needed |= best.prerequisites
        isFirst = false
      }
      guard isUsable, !isFirst else { continue }
      let loop = LoopCandidate(source: source.place)
      loop.flags = [.multipleOr]
      loop.terms = [term]
      loop.prerequisites = (prerequisites | needed) & ~loop.mask
      // Each row goes through a set of the rows seen.
      loop.run = run + 1
      loop.rows = rows
      insert(loop)
    }
  }

  // MARK: Keeping the best

  private mutating func insert(_ loop: LoopCandidate) {
    for (place, other) in candidates.enumerated() where other.source == loop.source {
      if other.flags.contains(.automatic) || loop.flags.contains(.automatic) { continue }
      if other.flags.contains(.multipleOr) || loop.flags.contains(.multipleOr) { continue }
      // Only candidates of one index are alternatives without regard to the order they give.
      guard other.index === loop.index || wishes.orderBy.isEmpty && wishes.groupBy.isEmpty && wishes.distinct.isEmpty
      else { continue }
      if other.prerequisites & ~loop.prerequisites == 0, other.run <= loop.run, other.rows <= loop.rows,
        other.setup <= loop.setup
      { return }
      if loop.prerequisites & ~other.prerequisites == 0, loop.run <= other.run, loop.rows <= other.rows,
        loop.setup <= other.setup
      {
        candidates[place] = loop
        return
      }
    }
    candidates.append(loop)
  }
}
