// Binds FROM: tables, views, common tables, subqueries, and what joins them.

import ApusBase
import ApusSQL
import ApusVM

extension Binder {
  func bind(_ from: FromClause, _ scope: Scope) throws(EngineError) {
    var constraints: [(source: Int, constraint: JoinConstraint, isNatural: Bool)] = []
    try add(from, to: scope, &constraints, firstJoin: nil)
    for item in constraints { try bindConstraint(item.source, item.constraint, item.isNatural, scope) }
  }

  private func add(
    _ from: FromClause, to scope: Scope,
    _ constraints: inout [(source: Int, constraint: JoinConstraint, isNatural: Bool)], firstJoin: JoinTerm?
  ) throws(EngineError) {
    for (index, term) in from.terms.enumerated() {
      let outer = index == 0 ? firstJoin : nil
      let join = outer?.join ?? term.join
      if let join, join.kind == .right || join.kind == .full {
        throw unsupported(join.kind == .right ? "RIGHT JOIN" : "FULL JOIN")
      }
      // Parentheses around inner joins change nothing.
      if case .nested(let inner, nil, _) = term.source, join?.kind != .left, outer == nil, join?.isNatural != true,
        case .none = usingOnly(term.constraint)
      {
        let start = scope.sources.count
        try add(inner, to: scope, &constraints, firstJoin: JoinTerm(join: join, source: term.source))
        if case .on = term.constraint { constraints.append((max(start, scope.sources.count - 1), term.constraint, false)) }
        continue
      }
      let source = try bind(term.source, scope)
      source.joinKind = join?.kind
      if join?.kind == .left { source.isNullable = true }
      scope.sources.append(source)
      if term.join?.isNatural == true || !isNone(term.constraint) {
        constraints.append((scope.sources.count - 1, term.constraint, term.join?.isNatural == true))
      }
    }
  }

  private func usingOnly(_ constraint: JoinConstraint) -> JoinConstraint {
    if case .using = constraint { constraint } else { .none }
  }

  private func isNone(_ constraint: JoinConstraint) -> Bool {
    if case .none = constraint { true } else { false }
  }

  // MARK: Sources

  private func bind(_ syntax: TableSource, _ scope: Scope) throws(EngineError) -> Source {
    switch syntax {
    case .table(let reference):
      return try bind(reference, scope)
    case .function(let schema, let name, let arguments, let alias, let offset):
      if try meansSpaceWalk(TableReference(schema: schema, name: name)) {
        return try spaceSource(alias: alias, arguments: arguments, scope)
      }
      if try context.schemas.table(name) == nil, !context.functions.isKnown(name.text) {
        throw error("no such table: \(name.text)", offset)
      }
      throw unsupported("table-valued functions", offset)
    case .subquery(let select, let alias, _):
      hasSubqueries = true
      let bound = try bind(select, parent: scope.parent)
      if bound.isCorrelated { scope.select?.isCorrelated = true }
      let source = newSource(alias: alias, name: alias?.text ?? "")
      source.name = alias?.text ?? "(subquery-\(source.cursor))"
      source.select = bound
      source.columns = columns(of: bound, names: [])
      return source
    case .nested(let from, let alias, _):
      hasSubqueries = true
      let bound = BoundSelect(arms: [])
      let inner = Scope(parent: scope.parent)
      inner.select = bound
      let query = BoundQuery()
      inner.query = query
      try bind(from, inner)
      if bound.isCorrelated { scope.select?.isCorrelated = true }
      query.sources = inner.sources
      var hidden: [Bool] = []
      for part in query.sources {
        for number in 0..<part.columnCount {
          let expression = column(part, number, .none)
          var result = BoundResultColumn(expression, name: part.columnName(number).text)
          result.nestedTable = part.isNested ? part.columns[number].nestedTable : part.alias
          query.columns.append(result)
          hidden.append(part.usingColumns.contains(part.columnName(number)))
        }
      }
      bound.arms = [query]
      let source = newSource(alias: alias, name: alias?.text ?? "")
      source.name = alias?.text ?? "(join-\(source.cursor))"
      source.select = bound
      // Without an alias they answer to their tables' names, which tell them apart.
      source.columns = columns(of: bound, names: query.columns.map { Name($0.name) }, areUnique: alias != nil)
      if alias == nil {
        source.isNested = true
        for number in source.columns.indices {
          source.columns[number].nestedTable = query.columns[number].nestedTable
          source.columns[number].isHiddenByUsing = hidden[number]
        }
      }
      return source
    }
  }

  /// INDEXED BY and NOT INDEXED, for the search in any statement.
  func setHint(_ reference: TableReference, of source: Source) throws(EngineError) {
    source.hint = reference.hint
    if case .indexedBy(let name) = reference.hint, source.table?.indexes.contains(where: { $0.name == name }) != true {
      throw error("no such index: \(name.text)", reference.offset)
    }
  }

  private func bind(_ reference: TableReference, _ scope: Scope) throws(EngineError) -> Source {
    if reference.schema == nil, let source = try bindCommonTable(reference, scope) { return source }
    if try meansSpaceWalk(reference) { return spaceSource(alias: reference.alias) }
    let table = try table(reference)
    if table.isVirtual { throw unsupported("virtual table \(table.name.text)", reference.offset) }
    guard let view = table.view else {
      let source = source(for: table, alias: reference.alias)
      source.writtenSchema = reference.schema
      try setHint(reference, of: source)
      return source
    }
    hasSubqueries = true
    guard !openViews.contains(where: { $0 === table }) else {
      throw error("view \(table.name.text) is circularly defined", reference.offset)
    }
    try countView(reference)
    openViews.append(table)
    let outerText = text, outerTables = commonTables, outerView = homeView
    text = view.text
    commonTables = nil
    homeView = table.database == 1 ? nil : table
    defer {
      text = outerText
      commonTables = outerTables
      homeView = outerView
      openViews.removeLast()
    }
    let bound = try bind(view.select, parent: nil)
    if !view.columns.isEmpty, view.columns.count != bound.columnCount {
      throw error("expected \(view.columns.count) columns for '\(table.name.text)' but got \(bound.columnCount)")
    }
    let source = newSource(
      alias: reference.alias ?? reference.name, name: reference.alias?.text ?? table.name.text)
    source.database = table.database
    source.select = bound
    source.columns = columns(of: bound, names: view.columns)
    databasesRead |= 1 << UInt64(table.database)
    return source
  }

  // Views of views double their number at each step: a few damaged bytes must not cost hours.
  private func countView(_ reference: TableReference) throws(EngineError) {
    viewCount += 1
    guard viewCount <= Binder.viewCountMax else {
      throw error("too many FROM clause terms, max: \(Binder.viewCountMax)", reference.offset)
    }
  }

  /// The result columns of a view.
  func viewColumns(_ view: CatalogTable) throws(EngineError) -> [SourceColumn] {
    viewCount = 0
    return try bind(TableReference(schema: context.schemas.databases[view.database].name, name: view.name), Scope()).columns
  }

  // MARK: Common tables

  private func bindCommonTable(_ reference: TableReference, _ scope: Scope) throws(EngineError) -> Source? {
    if let recursion, recursion.name == reference.name, isInSight(recursion.frame, reference.name) {
      let source = newSource(
        alias: reference.alias ?? reference.name, name: reference.alias?.text ?? reference.name.text)
      source.columns = recursion.columns
      source.isRecursive = true
      self.recursion?.used.append(source)
      return source
    }
    var frame = commonTables
    while let current = frame {
      if let place = current.tables.firstIndex(where: { $0.name == reference.name }) {
        let source = try bind(current.tables[place], current, reference)
        if source.select?.isCorrelated == true { scope.select?.isCorrelated = true }
        return source
      }
      frame = current.parent
    }
    return nil
  }

  private func isInSight(_ frame: CommonTableFrame, _ name: Name) -> Bool {
    var level = commonTables
    while let current = level {
      if current === frame { return true }
      if current.tables.contains(where: { $0.name == name }) { return false }
      level = current.parent
    }
    return false
  }

  private func bind(
    _ table: CommonTable, _ frame: CommonTableFrame, _ reference: TableReference
  ) throws(EngineError) -> Source {
    hasSubqueries = true
    guard !openCommonTables.contains(where: { $0.key == table.name.key && $0.frame === frame }) else {
      throw error("circular reference: \(table.name.text)", reference.offset)
    }
    if !openCommonTables.isEmpty || !openViews.isEmpty { try countView(reference) }
    openCommonTables.append((table.name.key, frame))
    let outerTables = commonTables, outerRecursion = recursion
    commonTables = frame
    defer {
      commonTables = outerTables
      recursion = outerRecursion
      openCommonTables.removeLast()
    }
    let bound = try bindBody(of: table, frame)
    if !table.columns.isEmpty, table.columns.count != bound.columnCount {
      throw error(
        "table \(table.name.text) has \(bound.columnCount) values for \(table.columns.count) columns", table.offset)
    }
    let source = newSource(
      alias: reference.alias ?? reference.name, name: reference.alias?.text ?? table.name.text)
    source.select = bound
    source.isCommonTable = true
    source.materialization = table.materialization
    source.columns = columns(of: bound, names: table.columns)
    return source
  }

  // A compound whose last arms name the table itself is recursive.
  private func bindBody(of table: CommonTable, _ frame: CommonTableFrame) throws(EngineError) -> BoundSelect {
    var select = table.select
    guard let firstRecursive = select.compounds.firstIndex(where: { Binder.mentions($0.core, table.name) }) else {
      return try bind(select, parent: frame.scope)
    }
    for compound in select.compounds[firstRecursive...] {
      guard Binder.mentions(compound.core, table.name) else {
        throw error("recursive reference must be in the last arms of the compound: \(table.name.text)", table.offset)
      }
    }
    let recursiveOperator = select.compounds[firstRecursive].operator
    guard recursiveOperator == .union || recursiveOperator == .unionAll else {
      throw error("circular reference: \(table.name.text)", table.offset)
    }
    let arms = Array(select.compounds[firstRecursive...])
    let orderBy = select.orderBy, limit = select.limit
    select.compounds.removeSubrange(firstRecursive...)
    select.orderBy = []
    select.limit = nil
    let initial = try bind(select, parent: frame.scope)
    let names = table.columns
    recursion = (table.name, frame, columns(of: initial, names: names), [])
    let whole = BoundSelect(arms: initial.arms, operators: initial.operators)
    whole.isCorrelated = initial.isCorrelated
    let outerTables = commonTables
    if let with = table.select.with {
      commonTables = CommonTableFrame(with.tables, parent: outerTables, scope: frame.scope)
    }
    defer { commonTables = outerTables }
    for arm in arms {
      let part = try bind(Select(first: arm.core), parent: frame.scope)
      guard part.columnCount == whole.columnCount else {
        let words = arm.operator == .union ? "UNION" : "UNION ALL"
        throw error("SELECTs to the left and right of \(words) do not have the same number of result columns")
      }
      if part.arms[0].aggregates != nil { throw error("recursive aggregate queries not supported") }
      whole.arms.append(part.arms[0])
      whole.operators.append(arm.operator)
      if part.isCorrelated { whole.isCorrelated = true }
    }
    whole.recursiveArmStart = initial.arms.count
    whole.recursiveSources = recursion?.used ?? []
    recursion = nil
    for term in orderBy {
      guard case .some(let number) = Binder.integerLiteral(term.expression) ?? columnNumber(term, whole, names),
        number >= 1, number <= whole.columnCount
      else { throw error("1st ORDER BY term does not match any column in the result set") }
      var bound = order(term, BoundExpression(.integer(number)))
      bound.resultColumn = Int(number) - 1
      whole.orderBy.append(bound)
    }
    if let limit {
      whole.limit = try scalar(limit.count, nil)
      if let offset = limit.offset { whole.offset = try scalar(offset, nil) }
    }
    return whole
  }

  private func columnNumber(_ term: OrderingTerm, _ select: BoundSelect, _ names: [Name]) -> Int64? {
    guard case .column(let reference) = term.expression, reference.table == nil else { return nil }
    if let place = names.firstIndex(of: reference.column) { return Int64(place + 1) }
    for arm in select.arms {
      if let place = arm.columns.firstIndex(where: { Name($0.name) == reference.column }) { return Int64(place + 1) }
    }
    return nil
  }

  private static func mentions(_ core: SelectCore, _ name: Name) -> Bool {
    guard case .query(let query) = core, let from = query.from else { return false }
    return mentions(from, name)
  }

  private static func mentions(_ from: FromClause, _ name: Name) -> Bool {
    from.terms.contains { term in
      switch term.source {
      case .table(let reference): reference.schema == nil && reference.name == name
      case .nested(let inner, _, _): mentions(inner, name)
      case .subquery(let select, _, _):
        mentions(select.first, name) || select.compounds.contains { mentions($0.core, name) }
      case .function: false
      }
    }
  }

  // MARK: Columns of a subquery

  /// Names, affinities and collations of a subquery's columns.
  /// - Parameter areUnique: columns of one name are told apart as a, a:1.
  func columns(of select: BoundSelect, names: [Name], areUnique: Bool = true) -> [SourceColumn] {
    var columns: [SourceColumn] = []
    columns.reserveCapacity(select.columnCount)
    var seen: Set<ExactText> = []
    for (number, result) in select.columns.enumerated() {
      var name: Name
      if number < names.count {
        name = names[number]
      } else if let alias = result.alias {
        name = alias
      } else {
        name = Name(result.name.isEmpty ? "column\(number + 1)" : result.name)
      }
      // SQLite gives no column of a subquery these names.
      if name.key == "true" || name.key == "false" { name = Name("column\(number + 1)") }
      if areUnique, seen.contains(name.key) {
        let base = Self.withoutNumber(name.text)
        var count = 0
        repeat {
          count += 1
          name = Name("\(base):\(count)")
        } while seen.contains(name.key)
      }
      seen.insert(name.key)
      let collation = select.arms.count == 1
        ? result.expression.collation
        : select.arms.lazy.compactMap { $0.columns[number].expression.collation }.first
      columns.append(
        SourceColumn(
          name: name, affinity: columnAffinity(select, number), collation: collation,
          declaredType: declaredType(result.expression)))
    }
    return columns
  }

  // "a:1" is a column's second name for "a".
  private static func withoutNumber(_ name: String) -> Substring {
    let bytes = name.utf8
    let digits = bytes.reversed().prefix { $0 &- 0x30 < 10 }.count
    let end = bytes.index(bytes.endIndex, offsetBy: -digits)
    guard digits > 0, end > bytes.startIndex, bytes[bytes.index(before: end)] == 0x3a else { return name[...] }
    return name[..<bytes.index(before: end)]
  }

  // The leftmost arm with an affinity gives it, unless a later arm has values that it would change.
  private func columnAffinity(_ select: BoundSelect, _ number: Int) -> Affinity {
    var affinity = Affinity.none
    var kinds = 0
    var arm = 0
    while arm < select.arms.count {
      affinity = select.arms[arm].columns[number].expression.affinity
      arm += 1
      if affinity != .none { break }
      kinds |= select.arms[arm - 1].columns[number].expression.valueKinds
    }
    if select.arms[0].isValues {
      for row in select.arms[0].moreRows { kinds |= row[number].valueKinds }
    }
    if select.isCompound, affinity.rawValue >= Affinity.text.rawValue {
      for later in select.arms[arm...] { kinds |= later.columns[number].expression.valueKinds }
      if affinity == .text, kinds & 1 != 0 { return .blob }
      if affinity.isNumericKind, kinds & 2 != 0 { return .blob }
    }
    // A cast makes its own values real and no others.
    if affinity == .real, case .cast = select.arms[0].columns[number].expression.kind { return .numeric }
    return affinity
  }

  func declaredType(_ expression: BoundExpression) -> String? {
    switch expression.kind {
    case .column(let source, let number): source.declaredType(number)
    case .subquery(let select): declaredType(select.columns[0].expression)
    case .aggregateColumn(let info, let slot): declaredType(info.slots[slot].expression)
    default: nil
    }
  }

  // MARK: Join constraints

  private func bindConstraint(
    _ index: Int, _ constraint: JoinConstraint, _ isNatural: Bool, _ scope: Scope
  ) throws(EngineError) {
    let right = scope.sources[index]
    var names: [Name] = []
    if isNatural {
      guard isNone(constraint) else {
        throw error("a NATURAL join may not have an ON or USING clause")
      }
      for number in 0..<right.columnCount where !right.isHidden(number) {
        let name = right.columnName(number)
        if scope.sources[..<index].contains(where: { $0.column(named: name.key) != nil }) { names.append(name) }
      }
    }
    switch constraint {
    case .none: break
    case .on(let expression):
      let bound = try scalar(expression, scope)
      right.on = right.on.map { BoundExpression(.binary(.and, $0, bound)) } ?? bound
    case .using(let list): names = list
    }
    for name in names {
      guard let rightColumn = right.column(named: name.key),
        let left = scope.sources[..<index].first(where: { $0.column(named: name.key) != nil }),
        let leftColumn = left.column(named: name.key)
      else {
        throw error("cannot join using column \(name.text) - column not present in both tables")
      }
      let test = BoundExpression(.binary(.equal, column(left, leftColumn, .none), column(right, rightColumn, .none)))
      right.on = right.on.map { BoundExpression(.binary(.and, $0, test)) } ?? test
      right.usingColumns.append(name)
    }
  }
}
