// SELECT and VALUES, FROM, windows, ordering, WITH.

import ApusBase

extension Parser {
  /// A select with its WITH, at the first token of either.
  mutating func parseSelect(isInExpression: Bool = false) throws(SQLError) -> Select {
    try enter()
    let outerHeight = selectHeight
    selectHeight = 0
    let with = token.kind == .with ? try parseWith() : nil
    let select = try parseSelect(with: with)
    lastSelectHeight = selectHeight
    // Where it stands in an expression, that adds to its height; a select of FROM or WITH is as high as its reader at least.
    selectHeight = max(outerHeight, isInExpression ? 0 : lastSelectHeight)
    leave()
    return select
  }

  /// A select behind its WITH.
  mutating func parseSelect(with: With?) throws(SQLError) -> Select {
    var select = Select(with: with, first: try parseCore())
    var isPlain = select.first.isQuery
    var misplaced: SQLError?
    while true {
      if isPlain {
        if token.kind == .order { select.orderBy = try parseOrderBy() }
        if token.kind == .limit { select.limit = try parseLimit() }
      }
      let place = token
      guard let operation = try acceptCompoundOperator() else { break }
      if misplaced == nil, !select.orderBy.isEmpty || select.limit != nil {
        let clause = select.orderBy.isEmpty ? "LIMIT" : "ORDER BY"
        misplaced = SQLError("\(clause) clause should come after \(operation.keywords) not before", at: -1)
      }
      let core = try parseCore()
      isPlain = core.isQuery
      select.compounds.append(Select.Compound(operation, core, offset: place.offset))
    }
    if let misplaced { throw misplaced }
    if select.compounds.count >= limits.compoundCountMax {
      throw SQLError("too many terms in compound SELECT", at: -1)
    }
    return select
  }

  private mutating func acceptCompoundOperator() throws(SQLError) -> CompoundOperator? {
    switch token.kind {
    case .union:
      try advance()
      return try accept(.all) ? .unionAll : .union
    case .intersect:
      try advance()
      return .intersect
    case .except:
      try advance()
      return .except
    default: return nil
    }
  }

  private mutating func parseCore() throws(SQLError) -> SelectCore {
    let place = token.offset
    if try accept(.values) { return .values(try parseRows(), place) }
    try expect(.select)
    var isDistinct = false
    if token.kind == .distinct || token.kind == .all {
      isDistinct = token.kind == .distinct
      try advance()
    }
    var query = Query(isDistinct: isDistinct, columns: try parseResultColumns(), offset: place)
    if try accept(.from) { query.from = try parseFrom() }
    if try accept(.where) { query.filter = try parseExpression() }
    if try accept(.group) {
      try expect(.by)
      query.groupBy = try parseExpressionList()
      try checkCount(query.groupBy.count, "terms in GROUP BY clause")
    }
    if try accept(.having) { query.having = try parseExpression() }
    if try accept(.window) {
      repeat {
        let name = try parseName()
        try expect(.as)
        try expect(.leftParen)
        query.windows.append(NamedWindow(name: name, definition: try parseWindowDefinition()))
        try expect(.rightParen)
      } while try accept(.comma)
    }
    return .query(query)
  }

  private mutating func parseRows() throws(SQLError) -> [[Expression]] {
    var rows: [[Expression]] = []
    repeat {
      try expect(.leftParen)
      var row: [Expression] = []
      row.reserveCapacity(rows.first?.count ?? 0)
      repeat { row.append(try parseExpression()) } while try accept(.comma)
      try expect(.rightParen)
      if let first = rows.first, first.count != row.count {
        throw SQLError("all VALUES must have the same number of terms", at: -1)
      }
      rows.append(row)
    } while try accept(.comma)
    return rows
  }

  mutating func parseResultColumns() throws(SQLError) -> [ResultColumn] {
    var columns: [ResultColumn] = []
    repeat {
      let start = token
      if try accept(.star) {
        columns.append(.star(start.offset))
        continue
      }
      mayBeTableStar = true
      let expression = try parseExpression()
      if let name = tableStar {
        tableStar = nil
        columns.append(.tableStar(name, start.offset))
        continue
      }
      let span = SourceSpan(Int(start.start), endOfBlanks(before: Int(token.start)))
      columns.append(.expression(expression, alias: try parseAlias(), span: span))
    } while try accept(.comma)
    try checkCount(columns.count, "columns in result set")
    return columns
  }

  /// A column's text reaches to the token behind it, comments included, blanks not.
  private func endOfBlanks(before offset: Int) -> Int {
    var end = offset
    while end > 0, lexer.byte(end - 1) == 0x20 || lexer.byte(end - 1) &- 9 < 5 { end -= 1 }
    return end
  }

  /// `AS nm`, or a bare word.
  private mutating func parseAlias() throws(SQLError) -> Name? {
    if try accept(.as) { return try parseName() }
    return token.kind.isAlias ? try parseName() : nil
  }

  // MARK: FROM

  /// Behind FROM, or behind the parenthesis of nested joins.
  mutating func parseFrom() throws(SQLError) -> FromClause {
    var terms: [JoinTerm] = []
    var join: JoinOperator?
    repeat {
      let source = try parseTableSource()
      var constraint = JoinConstraint.none
      if try accept(.on) {
        constraint = .on(try parseExpression())
      } else if try accept(.using) {
        constraint = .using(try parseNameList())
      }
      if join == nil, constraint != .none, token.kind != .do, token.kind != .endOfText || nesting < 2 {
        var word = "ON"
        if case .using = constraint { word = "USING" }
        throw SQLError("a JOIN clause is required before \(word)", at: -1)
      }
      terms.append(JoinTerm(join: join, source: source, constraint: constraint))
      join = try acceptJoin()
    } while join != nil
    return FromClause(terms)
  }

  private mutating func acceptJoin() throws(SQLError) -> JoinOperator? {
    if try accept(.comma) { return JoinOperator(.comma) }
    if try accept(.join) { return JoinOperator(.inner) }
    guard token.kind.isJoinWord else { return nil }
    var words: [Token] = []
    while words.count < 3, token.kind != .join {
      guard words.isEmpty || token.kind.isName else { throw syntaxError() }
      words.append(token)
      try advance()
    }
    try expect(.join)
    guard token.kind.isName || token.kind == .leftParen else { throw syntaxError() }
    return try joinOperator(words)
  }

  private func joinOperator(_ words: [Token]) throws(SQLError) -> JoinOperator {
    var (isNatural, isInner, isOuter, isCross, isLeft, isRight) = (false, false, false, false, false, false)
    var isKnown = true
    for word in words {
      switch word.kind {
      case .natural: isNatural = true
      case .left: (isLeft, isOuter) = (true, true)
      case .right: (isRight, isOuter) = (true, true)
      case .full: (isLeft, isRight, isOuter) = (true, true, true)
      case .outer: isOuter = true
      case .inner: isInner = true
      case .cross: (isInner, isCross) = (true, true)
      default: isKnown = false
      }
    }
    if !isKnown || (isInner && isOuter) || (isOuter && !isLeft && !isRight) {
      let spelling = words.map { text($0) }.joined(separator: " ")
      throw SQLError("unknown join type: \(spelling)", at: Int(words[0].start))
    }
    let kind: JoinOperator.Kind =
      isLeft ? (isRight ? .full : .left) : isRight ? .right : isCross ? .cross : .inner
    return JoinOperator(kind, isNatural: isNatural)
  }

  private mutating func parseTableSource() throws(SQLError) -> TableSource {
    let place = token.offset
    if try accept(.leftParen) {
      switch token.kind {
      case .select, .values, .with:
        let select = try parseSelect()
        try expect(.rightParen)
        return .subquery(select, alias: try parseAlias(), place)
      default:
        try enter()
        let from = try parseFrom()
        leave()
        try expect(.rightParen)
        return .nested(from, alias: try parseAlias(), place)
      }
    }
    let (schema, name, _) = try parseQualifiedName()
    if try accept(.leftParen) {
      try enter()
      let arguments = token.kind == .rightParen ? [] : try parseExpressionList()
      leave()
      try expect(.rightParen)
      return .function(schema: schema, name: name, arguments: arguments, alias: try parseAlias(), place)
    }
    var table = TableReference(schema: schema, name: name, alias: try parseAlias(), offset: place)
    table.hint = try parseIndexHint()
    return .table(table)
  }

  mutating func parseIndexHint() throws(SQLError) -> IndexHint {
    if try accept(.indexed) {
      try expect(.by)
      return .indexedBy(try parseName())
    }
    if try accept(.not) {
      try expect(.indexed)
      return .notIndexed
    }
    return .none
  }

  // MARK: ORDER BY, LIMIT, WITH

  /// At ORDER.
  mutating func parseOrderBy() throws(SQLError) -> [OrderingTerm] {
    try expect(.order)
    try expect(.by)
    let terms = try parseOrderingTerms()
    try checkCount(terms.count, "terms in ORDER BY clause")
    return terms
  }

  /// The columns of an index or a key, or the targets of a conflict clause, in parentheses that are open.
  mutating func parseIndexedColumns() throws(SQLError) -> [OrderingTerm] {
    let terms = try parseOrderingTerms()
    try checkCount(terms.count, "columns in index")
    return terms
  }

  mutating func parseOrderingTerms() throws(SQLError) -> [OrderingTerm] {
    var terms: [OrderingTerm] = []
    repeat {
      var term = OrderingTerm(try parseExpression())
      term.order = try parseSortOrder()
      if try accept(.nulls) {
        switch token.kind {
        case .first: term.nulls = .first
        case .last: term.nulls = .last
        default: throw syntaxError()
        }
        try advance()
      }
      terms.append(term)
    } while try accept(.comma)
    return terms
  }

  mutating func parseSortOrder() throws(SQLError) -> SortOrder {
    if try accept(.asc) { return .ascending }
    return try accept(.desc) ? .descending : .ascending
  }

  /// At LIMIT. `LIMIT a, b` is `LIMIT b OFFSET a`.
  mutating func parseLimit() throws(SQLError) -> Limit {
    try expect(.limit)
    let first = try parseExpression()
    if try accept(.offset) { return Limit(count: first, offset: try parseExpression()) }
    if try accept(.comma) { return Limit(count: try parseExpression(), offset: first) }
    return Limit(count: first)
  }

  /// At WITH.
  mutating func parseWith() throws(SQLError) -> With {
    try expect(.with)
    var with = With(isRecursive: try accept(.recursive), tables: [])
    repeat {
      let place = token.offset
      let name = try parseName()
      let columns = try parseOptionalNameList()
      try expect(.as)
      var materialization: Materialization?
      if try accept(.materialized) {
        materialization = .materialized
      } else if try accept(.not) {
        try expect(.materialized)
        materialization = .notMaterialized
      }
      try expect(.leftParen)
      let select = try parseSelect()
      try expect(.rightParen)
      if with.tables.contains(where: { $0.name == name }) {
        throw SQLError("duplicate WITH table name: \(name.text)", at: -1)
      }
      with.tables.append(
        CommonTable(name: name, columns: columns, materialization: materialization, select: select, offset: place))
    } while try accept(.comma)
    return with
  }

  // MARK: Windows

  /// Between the parentheses of a window.
  mutating func parseWindowDefinition() throws(SQLError) -> WindowDefinition {
    var window = WindowDefinition()
    switch token.kind {
    case .partition, .rows, .range, .groups: break
    default: if token.kind.isName { window.base = try parseName() }
    }
    if try accept(.partition) {
      try expect(.by)
      window.partitionBy = try parseExpressionList()
    }
    if token.kind == .order { window.orderBy = try parseOrderBy() }
    switch token.kind {
    case .rows: window.frame = try parseFrame(.rows)
    case .range: window.frame = try parseFrame(.range)
    case .groups: window.frame = try parseFrame(.groups)
    default: break
    }
    return window
  }

  private mutating func parseFrame(_ unit: WindowFrame.Unit) throws(SQLError) -> WindowFrame {
    try advance()
    var frame: WindowFrame
    if try accept(.between) {
      let start = try parseBound(isStart: true)
      try expect(.and)
      frame = WindowFrame(unit: unit, start: start, end: try parseBound(isStart: false))
    } else {
      frame = WindowFrame(unit: unit, start: try parseBound(isStart: true))
    }
    if try accept(.exclude) {
      switch token.kind {
      case .no:
        try advance()
        guard token.kind == .others else { throw syntaxError() }
      case .current:
        try advance()
        guard token.kind == .row else { throw syntaxError() }
        frame.exclusion = .currentRow
      case .group: frame.exclusion = .group
      case .ties: frame.exclusion = .ties
      default: throw syntaxError()
      }
      try advance()
    }
    switch (frame.start, frame.end) {
    case (.currentRow, .preceding), (.following, .preceding), (.following, .currentRow):
      throw SQLError("unsupported frame specification", at: -1)
    default: return frame
    }
  }

  private mutating func parseBound(isStart: Bool) throws(SQLError) -> WindowFrame.Bound {
    if try accept(.unbounded) {
      try expect(isStart ? .preceding : .following)
      return isStart ? .unboundedPreceding : .unboundedFollowing
    }
    if try accept(.current) {
      try expect(.row)
      return .currentRow
    }
    let distance = try parseExpression()
    if try accept(.preceding) { return .preceding(distance) }
    try expect(.following)
    return .following(distance)
  }
}

extension SelectCore {
  var isQuery: Bool {
    if case .query = self { true } else { false }
  }
}

extension CompoundOperator {
  /// As it is written, and as SQLite's messages name it.
  public var keywords: String {
    switch self {
    case .union: "UNION"
    case .unionAll: "UNION ALL"
    case .intersect: "INTERSECT"
    case .except: "EXCEPT"
    }
  }
}
