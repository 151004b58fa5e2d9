// Code for the loops over the FROM items: opening the trees, the tests that each loop makes, and the way back.

import ApusBase
import ApusSQL
import ApusStorage
import ApusVM

/// One loop of a running plan.
final class LoopLevel {
  let candidate: LoopCandidate
  let source: Source
  var isReversed = false
  /// Where the next row is made, where the next member of an IN is, and behind the loop.
  let next: Label
  let nextMember: Label
  let exit: Label
  var indexCursor: Int32 = -1
  /// How the loop goes on: `next`, `prev`, `goto`, or nothing for one row.
  var advance: (opcode: Opcode, cursor: Int32, top: Label)?
  var members: [(cursor: Int32, top: Label, next: Label, isReversed: Bool)] = []
  /// Set once the row of a LEFT JOIN has found a partner.
  var matched: Int32 = 0
  var body: Label?
  /// A loop by several searches: the body is a subroutine.
  var returnRegister: Int32 = 0
  var alternatives: [(clause: WhereClause, candidate: LoopCandidate, cursor: Int32)] = []

  init(_ candidate: LoopCandidate, _ source: Source, _ builder: ProgramBuilder) {
    self.candidate = candidate
    self.source = source
    next = builder.makeLabel()
    nextMember = builder.makeLabel()
    exit = builder.makeLabel()
  }
}

/// The loops of one query, between `beginLoops` and `endLoops`.
final class LoopSet {
  let clause: WhereClause
  var levels: [LoopLevel] = []
  /// Jump there for the next row.
  let next: Label
  /// Jump there when no more rows are wanted.
  let exit: Label
  /// The rows come in the wished order.
  var isOrdered = false
  var orderedPrefix = 0
  /// No two rows are equal in the wished columns.
  var isUnique = false
  var rowEstimate: LogEstimate = 0
  /// At most one row comes out.
  var isOneRow = false
  /// The only row is found by its rowid in the table's own tree, and the cursor is on it.
  var findsRowid: Bool {
    guard isOneRow, levels.count == 1, let level = levels.first, level.indexCursor < 0 else { return false }
    return level.source.table?.hasRowid == true && level.alternatives.isEmpty && level.candidate.index == nil
  }

  init(_ clause: WhereClause, next: Label, exit: Label) {
    self.clause = clause
    self.next = next
    self.exit = exit
  }
}

extension Generator {
  /// Plans the loops and generates their heads: the code that follows runs for each row that passes `filter` and the
  /// joins' conditions. `endLoops` closes them.
  func beginLoops(
    _ sources: [Source], _ filter: BoundExpression?, _ wishes: LoopWishes = LoopWishes(), opensTables: Bool = true
  ) throws(EngineError) -> LoopSet {
    let clause = WhereClause(sources, filter, self)
    for source in sources { source.isNullable = source.joinKind == .left }
    if sources.contains(where: \.isSpaceWalk) { try takeSpaceArguments(clause) }
    let path = try plan(clause, wishes)
    let exit = builder.makeLabel()
    let levels = path.loops.map { LoopLevel($0, sources[$0.source], builder) }
    let loops = LoopSet(clause, next: levels.last?.next ?? builder.makeLabel(), exit: exit)
    loops.levels = levels
    loops.rowEstimate = path.rows
    let wished = wishes.wishedTerms
    loops.isOrdered = !wished.isEmpty && path.ordered >= wished.count
    loops.orderedPrefix = max(path.ordered, 0)
    loops.isUnique = isUnique(wishes.distinct, clause)
    loops.isOneRow = levels.allSatisfy { $0.candidate.flags.contains(.oneRow) && $0.source.joinKind != .left }
    for (place, level) in levels.enumerated() {
      level.isReversed = wished.isEmpty || path.ordered < 1 ? false : path.isReversed & 1 << UInt64(place) != 0
    }
    // Conditions that no row changes are tested once.
    for term in clause.terms where term.mask == 0 && term.outerJoin < 0 && !term.isVirtual {
      try jump(ifFalse: term.expression, to: exit, nullJumps: true)
      term.markCoded()
    }
    for level in levels { try openLevel(level, clause, opensTables) }
    var ready: UInt64 = 0
    for level in levels {
      try beginLevel(level, clause, ready)
      ready |= level.candidate.mask
      try codeTests(level, clause, ready)
    }
    return loops
  }

  /// Closes the loops, innermost first.
  func endLoops(_ loops: LoopSet) throws(EngineError) {
    if loops.levels.isEmpty { builder.place(loops.next) }
    for level in loops.levels.reversed() {
      builder.place(level.next)
      if let advance = level.advance {
        builder.emit(advance.opcode, advance.cursor, to: advance.top)
      }
      if level.returnRegister != 0 {
        builder.emit(.return, level.returnRegister, 0, 0)
      }
      builder.place(level.nextMember)
      for member in level.members.reversed() {
        builder.place(member.next)
        builder.emit(member.isReversed ? .prev : .next, member.cursor, to: member.top)
      }
      builder.place(level.exit)
      if level.matched != 0, let body = level.body {
        let behind = builder.makeLabel()
        builder.emit(.ifPos, level.matched, to: behind, 0)
        if level.source.automaticColumns == nil { builder.emit(.nullRow, Int32(level.source.cursor)) }
        if level.indexCursor >= 0 { builder.emit(.nullRow, level.indexCursor) }
        builder.emit(.goto, to: body)
        builder.place(behind)
      }
    }
    builder.place(loops.exit)
    for level in loops.levels {
      level.source.coveringIndex = nil
      level.source.automaticColumns = nil
    }
  }

  // MARK: Planning

  private func plan(_ clause: WhereClause, _ wishes: LoopWishes) throws(EngineError) -> JoinPath {
    if clause.sources.isEmpty { return JoinPath(ordered: wishes.wishedTerms.count) }
    var search = CandidateSearch(clause, wishes, self)
    try search.addAll()
    let order = JoinOrder(clause, wishes, search.candidates)
    guard var path = order.best(sortedRows: nil) else { throw EngineError(.error, "no query solution") }
    if !wishes.wishedTerms.isEmpty, let sorted = order.best(sortedRows: path.rows + 1) { path = sorted }
    OmitJoins.apply(&path, clause, wishes)
    return path
  }

  /// The cheapest way to find the rows of one part of an OR; nil where that is a full scan.
  func bestAlternative(_ clause: WhereClause, _ source: Source, allowed: UInt64 = ~0, depth: Int) -> LoopCandidate? {
    var search = CandidateSearch(clause, LoopWishes(), self)
    search.orDepth = depth
    try? search.addOne(source)
    return search.candidates
      .filter {
        $0.prerequisites & ~allowed == 0
          && ($0.equalityCount > 0 || $0.flags.contains(.range) || $0.flags.contains(.multipleOr))
      }
      .min { ($0.run, $0.rows) < ($1.run, $1.rows) }
  }

  // The searches of an OR, those of an OR inside one of its parts included.
  private func openAlternatives(
    _ level: LoopLevel, _ term: WhereTerm, _ clause: WhereClause, _ table: CatalogTable, allowed: UInt64, depth: Int,
    parent: Int32
  ) throws(EngineError) {
    let id = builder.explain("MULTI-INDEX OR", parent: parent)
    for (number, conjuncts) in term.alternatives.enumerated() {
      let line = builder.explain("INDEX \(number + 1)", parent: id)
      let part = WhereClause(conjuncts, in: clause, beside: term)
      guard let best = bestAlternative(part, level.source, allowed: allowed, depth: depth) else {
        throw EngineError(.internal, "an OR term lost its index")
      }
      if best.flags.contains(.multipleOr) {
        try openAlternatives(level, best.terms[0], part, table, allowed: allowed, depth: depth + 1, parent: line)
        continue
      }
      // The table's own row is needed by the body: never covering.
      best.flags.remove(.covering)
      var cursor: Int32 = -1
      if let index = best.index, index !== table.primaryKeyIndex {
        cursor = builder.allocateCursor()
        try open(index, of: table, cursor: cursor)
      }
      let outer = planParent
      planParent = line
      explain(LoopLevel(best, level.source, builder))
      planParent = outer
      level.alternatives.append((part, best, cursor))
    }
  }

  // Whether rows cannot repeat in these expressions: they hold a key of the only table.
  private func isUnique(_ expressions: [BoundExpression], _ clause: WhereClause) -> Bool {
    guard !expressions.isEmpty, clause.sources.count == 1, let table = clause.sources[0].table else { return false }
    func holds(_ number: Int, _ collation: Name?) -> Bool {
      if expressions.contains(where: {
        // A column of an outer query's row is one value here, whatever its number.
        guard case .column(let source, let column) = $0.kind, source === clause.sources[0] else { return false }
        return column == number || (column == -1 && table.rowidAlias == number)
      }) { return true }
      return clause.terms.contains {
        $0.source == 0 && $0.column == number && $0.rightMask == 0
          && $0.fixes(collation: collation, affinity: clause.sources[0].affinity(number))
      }
    }
    if table.hasRowid, holds(-1, nil) { return true }
    return table.indexes.contains { index in
      index.isUniqueNotNull && index.filter == nil && !index.hasExpressions
        && index.columns.prefix(index.keyCount).allSatisfy { part in
          holds(part.number, part.collation)
            && (part.collation?.key ?? "binary") == (table.columns[max(part.number, 0)].collation?.key ?? "binary")
        }
    }
  }

  /// The bound expressions of an index on expressions, by index column.
  func indexExpressions(_ index: CatalogIndex, _ source: Source) -> [BoundExpression?] {
    let key = IndexExpressionKey(index: ObjectIdentifier(index), source: ObjectIdentifier(source))
    if let known = indexExpressionCache[key] { return known }
    let used = source.usedColumns
    let bound = index.columns.map { part -> BoundExpression? in
      guard case .expression(let expression) = part.source else { return nil }
      return try? indexExpression(expression, of: index, source, isStored: false)
    }
    source.usedColumns = used
    indexExpressionCache[key] = bound
    return bound
  }

  // MARK: Opening

  private func openLevel(_ level: LoopLevel, _ clause: WhereClause, _ opensTables: Bool) throws(EngineError) {
    let source = level.source, candidate = level.candidate
    source.coveringIndex = nil
    source.automaticColumns = nil
    explain(level)
    if source.isSpaceWalk { try codeSpaceWalk(source) }
    guard let table = source.table else { return }
    if candidate.flags.contains(.multipleOr) {
      try open(table, cursor: Int32(source.cursor))
      level.alternatives = []
      try openAlternatives(
        level, candidate.terms[0], clause, table, allowed: candidate.prerequisites, depth: 1, parent: planParent)
      return
    }
    let isPrimary = candidate.index === table.primaryKeyIndex
    let usesIndex = candidate.index != nil && !isPrimary
    let isCovering = usesIndex && candidate.flags.contains(.covering)
    if opensTables, !isCovering { try open(table, cursor: Int32(source.cursor)) }
    if usesIndex, let index = candidate.index {
      level.indexCursor = builder.allocateCursor()
      try open(index, of: table, cursor: level.indexCursor)
      if isCovering {
        source.coveringIndex = index
        source.coveringCursor = Int(level.indexCursor)
      }
    } else if isPrimary {
      level.indexCursor = -1
    }
  }

  // MARK: Loop heads

  private func beginLevel(_ level: LoopLevel, _ clause: WhereClause, _ ready: UInt64) throws(EngineError) {
    let source = level.source, candidate = level.candidate
    if source.joinKind == .left {
      level.matched = register()
      integer(0, into: level.matched)
    }
    if source.coroutineRegister != 0, source.table == nil, !source.isMaterialized {
      builder.emit(
        .initCoroutine, Int32(source.coroutineRegister), 0, Int32(source.coroutineAddress))
      let behind = builder.makeLabel()
      builder.patch(builder.nextAddress - 1) { $0.p2 = behind.operand }
      builder.place(behind)
      let top = builder.labelHere()
      builder.emit(.yield, Int32(source.coroutineRegister), to: level.exit)
      level.advance = (.goto, 0, top)
      return
    }
    // The one row that a recursive table stands for lies in registers.
    if source.isRecursive { return }
    if candidate.flags.contains(.automatic) {
      try beginAutomatic(level, clause, ready)
    } else if candidate.flags.contains(.multipleOr) {
      try beginAlternatives(level, clause, ready)
    } else if candidate.index != nil {
      try beginIndex(level, candidate)
    } else if candidate.flags.contains(.rowid), candidate.equalityCount > 0 {
      try beginRowidLookup(level, candidate)
    } else if candidate.flags.contains(.rowid), candidate.flags.contains(.range) {
      try beginRowidRange(level, candidate)
    } else {
      builder.emit(level.isReversed ? .last : .rewind, Int32(source.cursor), to: level.exit)
      let top = builder.labelHere()
      level.advance = (level.isReversed ? .prev : .next, Int32(source.cursor), top)
    }
  }

  private func beginRowidLookup(_ level: LoopLevel, _ candidate: LoopCandidate) throws(EngineError) {
    let target = register()
    try codeEquality(level, candidate.terms[0], column: nil, into: target)
    builder.emit(.seekRowid, Int32(level.source.cursor), to: level.nextMember, target)
  }

  private func beginRowidRange(_ level: LoopLevel, _ candidate: LoopCandidate) throws(EngineError) {
    var terms = candidate.terms
    let bottom = candidate.flags.contains(.bottom) ? terms.removeFirst() : nil
    let top = candidate.flags.contains(.top) ? terms.removeFirst() : nil
    let (start, end) = level.isReversed ? (top, bottom) : (bottom, top)
    let cursor = Int32(level.source.cursor)
    if let start, let right = start.right {
      let value = try operand(right)
      let isStrict = !start.operators.isDisjoint(with: [.greater, .less])
      let opcode: Opcode =
        level.isReversed ? (isStrict ? .seekLT : .seekLE) : (isStrict ? .seekGT : .seekGE)
      builder.emit(opcode, cursor, to: level.exit, value.register, p4: 0)
      release(value)
      start.markCoded()
    } else {
      builder.emit(level.isReversed ? .last : .rewind, cursor, to: level.exit)
    }
    var limit: Int32 = 0
    if let end, let right = end.right {
      limit = register()
      try code(right, into: limit)
    }
    let loop = builder.labelHere()
    if let end {
      try withTemporary { (rowid) throws(EngineError) in
        self.builder.emit(.rowid, cursor, rowid)
        let isStrict = !end.operators.isDisjoint(with: [.greater, .less])
        let opcode: Opcode = level.isReversed ? (isStrict ? .le : .lt) : (isStrict ? .ge : .gt)
        var flags = ComparisonFlags.affinity(.numeric)
        flags.insert(.jumpIfNull)
        self.builder.emit(opcode, limit, to: level.exit, rowid, p5: flags.rawValue)
      }
      end.markCoded()
    }
    level.advance = (level.isReversed ? .prev : .next, cursor, loop)
  }

  /// The value that an index column has to equal. IN makes a loop of it.
  private func codeEquality(
    _ level: LoopLevel, _ term: WhereTerm, column: CandidateSearch.IndexShape.Part?, into target: Int32,
    isReversed: Bool = false
  ) throws(EngineError) {
    if term.operators.contains(.in) {
      let cursor = try codeSet(term.expression)
      // An empty set, or a search without a result, goes on with the set around this one.
      builder.emit(isReversed ? .last : .rewind, cursor, to: level.members.last?.next ?? level.exit)
      let top = builder.labelHere()
      builder.emit(.column, cursor, 0, target)
      let next = builder.makeLabel()
      builder.emit(.isNull, target, to: next)
      level.members.append((cursor, top, next, isReversed))
    } else if term.operators.contains(.isNull) {
      builder.emit(.null, 0, target)
    } else if let right = term.right {
      try code(right, into: target)
      if !term.operators.contains(.is), right.canBeNull {
        builder.emit(.isNull, target, to: level.members.last?.next ?? level.exit)
      }
    }
    term.markCoded()
  }

  private func beginIndex(
    _ level: LoopLevel, _ candidate: LoopCandidate, skipsSeek: Bool = false
  ) throws(EngineError) {
    guard let index = candidate.index, let table = level.source.table else { return }
    let isPrimary = index === table.primaryKeyIndex
    let cursor = isPrimary ? Int32(level.source.cursor) : level.indexCursor
    let equalities = candidate.equalityCount
    var rest = Array(candidate.terms.dropFirst(equalities))
    var start = candidate.flags.contains(.bottom) ? rest.removeFirst() : nil
    var end = candidate.flags.contains(.top) ? rest.removeFirst() : nil
    let isDescending = equalities < index.columns.count && index.columns[equalities].isDescending
    let isReversed = level.isReversed
    let base = registers(equalities + 1)
    let endBase = end != nil ? registers(equalities + 1) : base
    var affinities: [Affinity] = []
    for place in 0..<equalities {
      let isMemberReversed = isReversed != index.columns[place].isDescending
      try codeEquality(
        level, candidate.terms[place], column: nil, into: base + Int32(place), isReversed: isMemberReversed)
      affinities.append(keyAffinity(candidate.terms[place], index, place, table))
    }
    if affinities.contains(where: { $0 != .blob }) {
      builder.emit(.affinity, base, Int32(equalities), p4: builder.affinityIndex(affinities))
    }
    var canBeNull = true
    if equalities < index.columns.count {
      let number = index.columns[equalities].number
      canBeNull = number == -2 || (number >= 0 && !table.columns[number].isNotNull)
    }
    var seeksPastNull = false, stopsAtNull = false
    // NULLs come first in an ascending index: an upper bound alone must not take them.
    if start == nil, end != nil, canBeNull { seeksPastNull = true }
    if start != nil, end == nil, canBeNull { stopsAtNull = isDescending != isReversed }
    if isReversed != isDescending {
      swap(&start, &end)
      let past = seeksPastNull
      seeksPastNull = false
      if past { stopsAtNull = true } else { stopsAtNull = false }
    } else {
      stopsAtNull = false
    }
    let skip = level.members.isEmpty ? level.exit : level.nextMember
    var count = equalities
    var isStartInclusive = true
    if let start, let right = start.right {
      try code(right, into: base + Int32(equalities))
      if right.canBeNull { builder.emit(.isNull, base + Int32(equalities), to: skip) }
      let affinity = keyAffinity(start, index, equalities, table)
      if affinity != .blob {
        builder.emit(.affinity, base + Int32(equalities), 1, p4: builder.affinityIndex([affinity]))
      }
      count += 1
      isStartInclusive = start.operators.isDisjoint(with: [.greater, .less])
    } else if seeksPastNull {
      builder.emit(.null, 0, base + Int32(equalities))
      count += 1
      isStartInclusive = false
    }
    if count == 0 {
      builder.emit(isReversed ? .last : .rewind, cursor, to: skip)
    } else {
      let opcode: Opcode =
        isReversed ? (isStartInclusive ? .seekLE : .seekLT) : (isStartInclusive ? .seekGE : .seekGT)
      builder.emit(opcode, cursor, to: skip, base, p4: Int32(count))
    }
    // The end of the range.
    var endCount = equalities
    var isEndInclusive = true
    var endRegister = base
    if let end, let right = end.right {
      endRegister = endBase
      if endBase != base, equalities > 0 { builder.emit(.copy, base, endBase, Int32(equalities - 1)) }
      try code(right, into: endRegister + Int32(equalities))
      if right.canBeNull { builder.emit(.isNull, endRegister + Int32(equalities), to: skip) }
      let affinity = keyAffinity(end, index, equalities, table)
      if affinity != .blob {
        builder.emit(.affinity, endRegister + Int32(equalities), 1, p4: builder.affinityIndex([affinity]))
      }
      endCount += 1
      isEndInclusive = end.operators.isDisjoint(with: [.greater, .less])
    } else if stopsAtNull {
      // The start's value has been used by the search; a key of its own ends the range.
      endRegister = registers(equalities + 1)
      if equalities > 0 { builder.emit(.copy, base, endRegister, Int32(equalities - 1)) }
      builder.emit(.null, 0, endRegister + Int32(equalities))
      endCount += 1
      isEndInclusive = false
    }
    start?.markCoded()
    end?.markCoded()
    let top = builder.labelHere()
    if endCount > 0 {
      let opcode: Opcode =
        isReversed ? (isEndInclusive ? .idxLT : .idxLE) : (isEndInclusive ? .idxGT : .idxGE)
      builder.emit(opcode, cursor, to: skip, endRegister, p4: Int32(endCount))
    }
    if !candidate.flags.contains(.oneRow) {
      level.advance = (isReversed ? .prev : .next, cursor, top)
    }
    if !isPrimary, !candidate.flags.contains(.covering) { try seekRow(level, index, table, cursor) }
  }

  // From an index entry to its table's row: at once for WITHOUT ROWID, when a column needs it for others.
  private func seekRow(
    _ level: LoopLevel, _ index: CatalogIndex, _ table: CatalogTable, _ cursor: Int32
  ) throws(EngineError) {
    if let key = table.primaryKeyIndex {
      let base = registers(key.keyCount)
      for (place, part) in key.columns.prefix(key.keyCount).enumerated() {
        let position = index.position(ofColumn: part.number) ?? 0
        builder.emit(.column, cursor, Int32(position), base + Int32(place), p5: ColumnFlags.borrowed.rawValue)
      }
      builder.emit(.notFound, Int32(level.source.cursor), to: level.next, base, p4: Int32(key.keyCount))
      return
    }
    var map = [Int32](repeating: -1, count: table.columns.count)
    for (number, field) in table.fields.enumerated() where field >= 0 {
      if let position = index.position(ofColumn: number) { map[field] = Int32(position) }
    }
    builder.emit(.deferredSeek, cursor, 0, Int32(level.source.cursor), p4: builder.integersIndex(map))
  }

  /// What the index column's affinity makes of a key value, where the comparison would convert it.
  private func keyAffinity(_ term: WhereTerm, _ index: CatalogIndex, _ place: Int, _ table: CatalogTable) -> Affinity {
    if term.operators.contains(.in) || term.operators.contains(.isNull) { return .blob }
    guard let left = term.left, let right = term.right else { return .blob }
    let wanted = Comparison.affinity(left.affinity, right.affinity)
    if wanted == .blob || wanted == .none { return .blob }
    let number = index.columns[place].number
    let affinity = number >= 0 ? table.columns[number].affinity : number == -1 ? .integer : left.affinity
    switch right.kind {
    case .integer, .real: if affinity.isNumericKind { return .blob }
    case .text: if affinity == .text { return .blob }
    default: break
    }
    switch affinity {
    case .integer, .real, .numeric: return .numeric
    case .text: return .text
    case .blob, .none: return .blob
    }
  }

  // MARK: Several searches

  private func beginAlternatives(
    _ level: LoopLevel, _ clause: WhereClause, _ ready: UInt64
  ) throws(EngineError) {
    guard let table = level.source.table else { return }
    let source = level.source
    level.returnRegister = register()
    let body = builder.makeLabel()
    let keyCount = table.primaryKeyIndex?.keyCount ?? 1
    let seen: Int32
    if let key = table.primaryKeyIndex {
      seen = builder.allocateCursor()
      var columns: [KeyColumn] = []
      for part in key.columns.prefix(keyCount) {
        columns.append(KeyColumn(collation: try context.collation(part.collation)))
      }
      builder.emit(.openEphemeral, seen, Int32(keyCount), p4: builder.keyIndex(KeyDescription(columns)))
    } else {
      seen = register()
      builder.emit(.null, 0, seen)
    }
    for (number, alternative) in level.alternatives.enumerated() {
      let inner = LoopLevel(alternative.candidate, source, builder)
      inner.indexCursor = alternative.cursor
      let parent = alternative.candidate
      if parent.index != nil {
        try beginIndex(inner, parent)
      } else if parent.equalityCount > 0 {
        try beginRowidLookup(inner, parent)
      } else {
        try beginRowidRange(inner, parent)
      }
      let known = ready | level.candidate.mask
      for term in alternative.clause.terms where !term.isVirtual && !term.isCoded && term.mask & ~known == 0 {
        try jump(ifFalse: term.expression, to: inner.next, nullJumps: true)
        term.markCoded()
      }
      let first = registers(keyCount)
      if let key = table.primaryKeyIndex {
        for (place, part) in key.columns.prefix(keyCount).enumerated() {
          try codeColumn(source, part.number, into: first + Int32(place))
        }
        builder.emit(.found, seen, to: inner.next, first, p4: Int32(keyCount))
        try withTemporary { (record) throws(EngineError) in
          self.builder.emit(.makeRecord, first, Int32(keyCount), record)
          self.builder.emit(.idxInsert, seen, record, first, p4: 0)
        }
      } else {
        builder.emit(.rowid, Int32(source.cursor), first)
        let isLast = number == level.alternatives.count - 1
        builder.emit(
          .rowSetTest, seen, to: inner.next, first, p4: number == 0 ? 0 : isLast ? -1 : Int32(number))
      }
      builder.emit(.gosub, level.returnRegister, to: body)
      builder.place(inner.next)
      if let advance = inner.advance { builder.emit(advance.opcode, advance.cursor, to: advance.top) }
      builder.place(inner.nextMember)
      for member in inner.members.reversed() {
        builder.place(member.next)
        builder.emit(member.isReversed ? .prev : .next, member.cursor, to: member.top)
      }
      builder.place(inner.exit)
    }
    builder.emit(.goto, to: level.exit)
    builder.place(body)
    // Parts that read FROM items further in have not been tested yet.
    if level.candidate.terms[0].mask & ~(ready | level.candidate.mask) == 0 { level.candidate.terms[0].markCoded() }
  }

  // MARK: Automatic indexes

  private func beginAutomatic(
    _ level: LoopLevel, _ clause: WhereClause, _ ready: UInt64
  ) throws(EngineError) {
    let source = level.source
    var terms: [WhereTerm] = []
    for term in clause.terms where term.source == source.place && term.column >= 0 {
      guard !term.operators.isDisjoint(with: [.equal, .is]), term.rightMask & ~ready == 0, let left = term.left,
        let right = term.right, !terms.contains(where: { $0.column == term.column })
      else { continue }
      if source.joinKind == .left, term.outerJoin != source.place { continue }
      if Comparison(left, right).isServed(by: source.affinity(term.column)) { terms.append(term) }
    }
    let cursor = builder.allocateCursor()
    level.indexCursor = cursor
    var columns = terms.map(\.column)
    var map = [Int](repeating: -1, count: source.columnCount + 1)
    for number in 0..<source.columnCount where source.usedColumns & 1 << UInt64(min(number, 63)) != 0 {
      if !columns.contains(number) { columns.append(number) }
    }
    for (place, column) in columns.enumerated() { map[column] = place }
    // The rowid keeps equal rows apart; ephemeral tables have one too.
    let hasRowid = source.table?.hasRowid ?? true
    map[source.columnCount] = columns.count
    var key: [KeyColumn] = []
    for term in terms {
      guard let left = term.left, let right = term.right else { continue }
      let comparison = term.isSwapped ? Comparison(right, left) : Comparison(left, right)
      key.append(KeyColumn(collation: try context.collation(comparison.collation)))
    }
    let description = builder.keyIndex(KeyDescription(key))
    if source.indexedRegister == 0 {
      try once { () throws(EngineError) in try self.fillAutomatic(source, columns, hasRowid, cursor, description) }
    } else {
      let filled = builder.makeLabel()
      builder.emit(.if, source.indexedRegister, to: filled, 0)
      integer(1, into: source.indexedRegister)
      try fillAutomatic(source, columns, hasRowid, cursor, description)
      builder.place(filled)
    }
    let base = registers(terms.count)
    for (place, term) in terms.enumerated() {
      guard let right = term.right else { continue }
      try code(right, into: base + Int32(place))
      if !term.operators.contains(.is), right.canBeNull {
        builder.emit(.isNull, base + Int32(place), to: level.exit)
      }
      let wanted = Comparison.affinity(source.affinity(term.column), right.affinity)
      if wanted != .blob, wanted != .none {
        let own = source.affinity(term.column)
        builder.emit(
          .affinity, base + Int32(place), 1, p4: builder.affinityIndex([own == .text ? .text : .numeric]))
      }
      term.markCoded()
    }
    source.automaticColumns = map
    source.coveringCursor = Int(cursor)
    builder.emit(.seekGE, cursor, to: level.exit, base, p4: Int32(terms.count))
    let top = builder.labelHere()
    builder.emit(.idxGT, cursor, to: level.exit, base, p4: Int32(terms.count))
    level.advance = (.next, cursor, top)
  }

  private func fillAutomatic(
    _ source: Source, _ columns: [Int], _ hasRowid: Bool, _ cursor: Int32, _ description: Int32
  ) throws(EngineError) {
    let width = columns.count + (hasRowid ? 1 : 0)
    builder.emit(.openAutoindex, cursor, Int32(width), p4: description)
    let done = builder.makeLabel()
    builder.emit(.rewind, Int32(source.cursor), to: done)
    let top = builder.labelHere()
    let first = registers(width)
    for (place, column) in columns.enumerated() { try codeColumn(source, column, into: first + Int32(place)) }
    if hasRowid { builder.emit(.rowid, Int32(source.cursor), first + Int32(columns.count)) }
    try withTemporary { (record) throws(EngineError) in
      self.builder.emit(.makeRecord, first, Int32(width), record)
      self.builder.emit(.idxInsert, cursor, record, first, p4: 0)
    }
    builder.emit(.next, Int32(source.cursor), to: top)
    builder.place(done)
  }

  // MARK: Tests

  // The conditions that can be tested now: those that read the index alone first, those with subqueries last.
  private func codeTests(_ level: LoopLevel, _ clause: WhereClause, _ ready: UInt64) throws(EngineError) {
    let isOuter = level.source.joinKind == .left
    func isDue(_ term: WhereTerm) -> Bool {
      if term.isVirtual || term.isCoded || term.mask & ~ready != 0 { return false }
      return !isOuter || term.outerJoin == level.source.place
    }
    let due = clause.terms.filter(isDue)
    let costs = due.map { cost($0, level) }
    for pass in 0..<3 {
      for (place, term) in due.enumerated() where costs[place] == pass && !term.isCoded {
        try jump(ifFalse: term.expression, to: level.next, nullJumps: true)
        term.markCoded()
      }
    }
    guard isOuter else { return }
    level.body = builder.labelHere()
    integer(1, into: level.matched)
    for term in clause.terms where !term.isVirtual && !term.isCoded && term.mask & ~ready == 0 && term.outerJoin < 0 {
      try jump(ifFalse: term.expression, to: level.next, nullJumps: true)
      term.markCoded()
    }
    // ON conditions of outer joins further left that read only what is there now.
    for term in clause.terms where !term.isVirtual && !term.isCoded && term.mask & ~ready == 0 {
      try jump(ifFalse: term.expression, to: level.next, nullJumps: true)
      term.markCoded()
    }
  }

  /// 0: reads the index alone; 1: the table's row; 2: has a subquery.
  func cost(_ term: WhereTerm, _ level: LoopLevel) -> Int {
    if term.expression.isCostly { return 2 }
    guard let index = level.candidate.index, level.indexCursor >= 0, level.source.table?.hasRowid == true else { return 0 }
    var readsRow = false
    term.expression.walk { node in
      if case .column(let source, let number) = node.kind, source === level.source,
        index.position(ofColumn: number) == nil
      { readsRow = true }
      return !readsRow
    }
    return readsRow ? 1 : 0
  }
}

struct IndexExpressionKey: Hashable {
  var index: ObjectIdentifier
  var source: ObjectIdentifier
}
