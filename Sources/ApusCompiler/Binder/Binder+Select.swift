// Binds SELECT: its arms, result columns, GROUP BY, ORDER BY and LIMIT.

import ApusBase
import ApusSQL
import ApusVM

extension Binder {
  /// Binds a select whose enclosing scope is `parent`.
  func bind(_ select: Select, parent: Scope?) throws(EngineError) -> BoundSelect {
    try enterSelect()
    defer { leaveSelect() }
    let outerTables = commonTables
    if let with = select.with {
      for (place, table) in with.tables.enumerated()
      where with.tables[..<place].contains(where: { $0.name == table.name }) {
        throw error("duplicate WITH table name: \(table.name.text)", table.offset)
      }
      commonTables = CommonTableFrame(with.tables, parent: outerTables, scope: parent)
    }
    defer { commonTables = outerTables }
    let bound = BoundSelect(arms: [])
    var scopes: [Scope] = []
    for index in 0...select.compounds.count {
      let core = index == 0 ? select.first : select.compounds[index - 1].core
      let scope = Scope(parent: parent)
      scope.select = bound
      let query = try bind(core, scope)
      if let first = bound.arms.first, query.columns.count != first.columns.count {
        throw widthMismatch(select, index)
      }
      bound.arms.append(query)
      if index > 0 { bound.operators.append(select.compounds[index - 1].operator) }
      scopes.append(scope)
    }
    if bound.isCompound {
      try bindCompoundOrder(select, bound, scopes)
    } else if !select.orderBy.isEmpty {
      try bindOrder(select.orderBy, bound, scopes[0])
    }
    if let limit = select.limit {
      bound.limit = try scalar(limit.count, nil)
      if let offset = limit.offset { bound.offset = try scalar(offset, nil) }
    }
    return bound
  }

  private func widthMismatch(_ select: Select, _ index: Int) -> EngineError {
    if case .values = select.compounds[index - 1].core, case .values = select.first {
      return error("all VALUES must have the same number of terms", select.compounds[index - 1].offset)
    }
    let words =
      switch select.compounds[index - 1].operator {
      case .union: "UNION"
      case .unionAll: "UNION ALL"
      case .intersect: "INTERSECT"
      case .except: "EXCEPT"
      }
    return error(
      "SELECTs to the left and right of \(words) do not have the same number of result columns",
      select.compounds[index - 1].offset)
  }

  // MARK: One arm

  private func bind(_ core: SelectCore, _ scope: Scope) throws(EngineError) -> BoundQuery {
    let query = BoundQuery()
    scope.query = query
    switch core {
    case .values(let rows, _):
      for (number, row) in rows.enumerated() {
        var values: [BoundExpression] = []
        for value in row { values.append(try scalar(value, scope)) }
        if number == 0 {
          for (place, value) in values.enumerated() {
            query.columns.append(BoundResultColumn(value, name: "column\(place + 1)"))
          }
        } else {
          query.moreRows.append(values)
        }
      }
    case .query(let syntax):
      try bind(syntax, query, scope)
    }
    return query
  }

  private func bind(_ syntax: Query, _ query: BoundQuery, _ scope: Scope) throws(EngineError) {
    if !syntax.windows.isEmpty { throw unsupported("window functions", syntax.offset) }
    query.isDistinct = syntax.isDistinct
    if let from = syntax.from {
      try bind(from, scope)
      query.sources = scope.sources
      guard query.sources.count <= CompilerSettings.joinTableCountMax else {
        throw error("at most \(CompilerSettings.joinTableCountMax) tables in a join")
      }
    }
    scope.allowsAggregates = true
    query.columns.reserveCapacity(syntax.columns.count)
    for column in syntax.columns { try bind(column, query, scope) }
    guard query.columns.count <= context.settings.columnCountMax else {
      throw error("too many columns in result set")
    }
    scope.aliases = query.columns
    scope.allowsAggregates = false
    if let filter = syntax.filter { query.filter = try scalar(filter, scope) }
    if !syntax.groupBy.isEmpty {
      scope.isGroupBy = true
      for (index, term) in syntax.groupBy.enumerated() {
        query.groupBy.append(try bindGroupTerm(term, index, query, scope))
      }
      scope.isGroupBy = false
      if query.aggregates == nil { query.aggregates = newAggregates() }
    }
    if let having = syntax.having {
      scope.allowsAggregates = true
      let bound = try scalar(having, scope)
      scope.allowsAggregates = false
      guard query.aggregates != nil else { throw error("HAVING clause on a non-aggregate query") }
      query.having = bound
    }
  }

  private func bindGroupTerm(
    _ term: Expression, _ index: Int, _ query: BoundQuery, _ scope: Scope
  ) throws(EngineError) -> BoundExpression {
    if let number = Binder.integerLiteral(term) {
      guard number >= 1, number <= query.columns.count else {
        throw error(
          "\(Binder.ordinal(index + 1)) GROUP BY term out of range - should be between 1 and \(query.columns.count)")
      }
      let expression = query.columns[Int(number) - 1].expression
      if expression.firstAggregate != nil {
        throw error("aggregate functions are not allowed in the GROUP BY clause")
      }
      return expression.deepCopy()
    }
    let bound = try scalar(term, scope)
    if bound.firstAggregate != nil {
      throw error("aggregate functions are not allowed in the GROUP BY clause")
    }
    return bound
  }

  static func integerLiteral(_ expression: Expression) -> Int64? {
    switch expression {
    case .literal(.integer(let value), _): value <= Int64(Int32.max) ? value : nil
    case .unary(.negate, let inner, _): integerLiteral(inner).map { 0 &- $0 }
    case .unary(.plus, let inner, _): integerLiteral(inner)
    case .collate(let inner, _, _): integerLiteral(inner)
    default: nil
    }
  }

  static func ordinal(_ number: Int) -> String {
    let suffix: String
    switch (number % 10, number % 100) {
    case (_, 11...13): suffix = "th"
    case (1, _): suffix = "st"
    case (2, _): suffix = "nd"
    case (3, _): suffix = "rd"
    default: suffix = "th"
    }
    return "\(number)\(suffix)"
  }

  // MARK: Result columns

  private func bind(_ column: ApusSQL.ResultColumn, _ query: BoundQuery, _ scope: Scope) throws(EngineError) {
    switch column {
    case .expression(let expression, let alias, let span):
      let bound = try scalar(expression, scope)
      query.columns.append(
        BoundResultColumn(bound, name: resultName(bound, expression, alias, span), alias: alias))
    case .star(let offset):
      guard !query.sources.isEmpty else { throw error("no tables specified", offset) }
      try checkAliases(query.sources, offset)
      for source in query.sources { expand(source, of: query, includesUsing: false, offset) }
    case .tableStar(let name, let offset):
      var found = false
      for source in query.sources {
        if source.isNested, source.columns.contains(where: { $0.nestedTable == name }) {
          found = true
          for (number, column) in source.columns.enumerated() where column.nestedTable == name {
            append(source, number, to: query, offset)
          }
        } else if source.alias == name, !source.isNested {
          found = true
          expand(source, of: query, includesUsing: true, offset)
        }
      }
      guard found else { throw error("no such table: \(name.text)", offset) }
    }
  }

  // Two items of one name make each of their common columns ambiguous.
  private func checkAliases(_ sources: [Source], _ offset: SourceOffset) throws(EngineError) {
    guard sources.count > 1 else { return }
    for (place, source) in sources.enumerated() where source.alias != nil && !source.isNested {
      for other in sources[(place + 1)...]
      where other.alias == source.alias && other.database == source.database && !other.isNested {
        for number in 0..<source.columnCount {
          let name = source.columnName(number)
          guard other.column(named: name.key) != nil, !other.usingColumns.contains(name) else { continue }
          let schema = source.database.map { context.schemas.databases[$0].name.text } ?? "*"
          throw error("ambiguous column name: \(schema).\(source.alias?.text ?? "").\(name.text)", offset)
        }
      }
    }
  }

  private func expand(_ source: Source, of query: BoundQuery, includesUsing: Bool, _ offset: SourceOffset) {
    for number in 0..<source.columnCount {
      if !includesUsing, source.usingColumns.contains(source.columnName(number)) { continue }
      if source.isHidden(number) { continue }
      if source.isNested, source.columns[number].isHiddenByUsing, !includesUsing { continue }
      append(source, number, to: query, offset)
    }
  }

  private func append(_ source: Source, _ number: Int, to query: BoundQuery, _ offset: SourceOffset) {
    var column = BoundResultColumn(column(source, number, offset), name: source.columnName(number).text)
    column.nestedTable = source.isNested ? source.columns[number].nestedTable : source.alias
    query.columns.append(column)
  }

  private func resultName(
    _ bound: BoundExpression, _ syntax: Expression, _ alias: Name?, _ span: SourceSpan
  ) -> String {
    if let alias { return alias.text }
    if case .column(let source, let number) = bound.kind, case .column = syntax {
      return source.columnName(number).text
    }
    return source(span)
  }

  // MARK: ORDER BY

  private func bindOrder(_ terms: [OrderingTerm], _ bound: BoundSelect, _ scope: Scope) throws(EngineError) {
    let query = bound.arms[0]
    scope.allowsAggregates = true
    defer { scope.allowsAggregates = false }
    for (index, term) in terms.enumerated() {
      var collation: [(Name, SourceOffset)] = []
      var bare = term.expression
      while case .collate(let inner, let name, let offset) = bare {
        collation.append((name, offset))
        bare = inner
      }
      var place: Int?
      if case .column(let reference) = bare, reference.table == nil {
        place = query.columns.firstIndex { $0.alias == reference.column }
      }
      if place == nil, let number = Binder.integerLiteral(bare) {
        guard number >= 1, number <= query.columns.count else {
          throw error(
            "\(Binder.ordinal(index + 1)) ORDER BY term out of range - should be between 1 and \(query.columns.count)")
        }
        place = Int(number) - 1
      }
      var expression: BoundExpression
      if let place {
        expression = query.columns[place].expression
        for (name, offset) in collation.reversed() {
          _ = try context.collation(name)
          expression = BoundExpression(.collate(expression, name), offset)
        }
      } else {
        expression = try scalar(term.expression, scope)
        let bare = expression.withoutCollate
        place = query.columns.firstIndex { $0.expression.matches(bare) }
      }
      if query.aggregates == nil, let call = expression.firstAggregate {
        throw error("misuse of aggregate: \(call.name)()", expression.offset)
      }
      var order = order(term, expression)
      order.resultColumn = place ?? -1
      bound.orderBy.append(order)
    }
  }

  private func bindCompoundOrder(_ select: Select, _ bound: BoundSelect, _ scopes: [Scope]) throws(EngineError) {
    for (index, term) in select.orderBy.enumerated() {
      var explicit: Name?
      var bare = term.expression
      while case .collate(let inner, let name, _) = bare {
        if explicit == nil { explicit = name }
        bare = inner
      }
      var place: Int?
      if let number = Binder.integerLiteral(bare) {
        guard number >= 1, number <= bound.columnCount else {
          throw error(
            "\(Binder.ordinal(index + 1)) ORDER BY term out of range - should be between 1 and \(bound.columnCount)")
        }
        place = Int(number) - 1
      }
      if place == nil {
        for (arm, scope) in zip(bound.arms, scopes) {
          if case .column(let reference) = bare, reference.table == nil {
            place = arm.columns.firstIndex { ($0.alias ?? Name($0.name)) == reference.column }
          }
          if place == nil {
            scope.allowsAggregates = arm.aggregates != nil
            defer { scope.allowsAggregates = false }
            if let expression = try? scalar(bare, scope) {
              place = arm.columns.firstIndex { $0.expression.matches(expression) }
            }
          }
          if place != nil { break }
        }
      }
      guard let place else {
        throw error("\(Binder.ordinal(index + 1)) ORDER BY term does not match any column in the result set")
      }
      var collation = explicit
      if collation == nil {
        // The leftmost arm that has a collation to give decides.
        for arm in bound.arms where collation == nil { collation = arm.columns[place].expression.collation }
      }
      if let collation { _ = try context.collation(collation) }
      var order = order(term, BoundExpression(.integer(Int64(place + 1))))
      order.resultColumn = place
      if let collation {
        order.expression = BoundExpression(.collate(order.expression, collation))
      }
      bound.orderBy.append(order)
    }
  }
}
