// Selects to text.

extension SQLPrinter {
  mutating func print(_ select: Select) {
    if let with = select.with { print(with) }
    print(select.first)
    for compound in select.compounds {
      put(" \(compound.operator.keywords) ")
      print(compound.core)
    }
    printTail(select.orderBy, select.limit)
  }

  mutating func printTail(_ orderBy: [OrderingTerm], _ limit: Limit?) {
    if !orderBy.isEmpty {
      put(" ")
      printOrderBy(orderBy)
    }
    guard let limit else { return }
    put(" LIMIT ")
    print(limit.count)
    if let offset = limit.offset {
      put(" OFFSET ")
      print(offset)
    }
  }

  mutating func printWhere(_ filter: Expression?) {
    guard let filter else { return }
    put(" WHERE ")
    print(filter)
  }

  private mutating func print(_ core: SelectCore) {
    switch core {
    case .query(let query): print(query)
    case .values(let rows, _):
      put("VALUES ")
      list(rows) { $0.printInParentheses($1) }
    }
  }

  private mutating func print(_ query: Query) {
    put(query.isDistinct ? "SELECT DISTINCT " : "SELECT ")
    print(query.columns)
    if let from = query.from {
      put(" FROM ")
      print(from)
    }
    printWhere(query.filter)
    if !query.groupBy.isEmpty {
      put(" GROUP BY ")
      list(query.groupBy) { $0.print($1) }
    }
    if let having = query.having {
      put(" HAVING ")
      print(having)
    }
    if !query.windows.isEmpty {
      put(" WINDOW ")
      list(query.windows) { printer, window in
        printer.print(window.name)
        printer.put(" AS (")
        printer.print(window.definition)
        printer.put(")")
      }
    }
  }

  mutating func print(_ columns: [ResultColumn]) {
    list(columns) { printer, column in
      switch column {
      case .star: printer.put("*")
      case .tableStar(let table, _):
        printer.print(table)
        printer.put(".*")
      case .expression(let expression, let alias, _):
        printer.print(expression)
        printer.printAlias(alias)
      }
    }
  }

  private mutating func printAlias(_ alias: Name?) {
    guard let alias else { return }
    put(" AS ")
    print(alias)
  }

  mutating func print(_ with: With) {
    put(with.isRecursive ? "WITH RECURSIVE " : "WITH ")
    list(with.tables) { printer, table in
      printer.print(table.name)
      if !table.columns.isEmpty {
        printer.put(" ")
        printer.printNames(table.columns)
      }
      switch table.materialization {
      case .materialized?: printer.put(" AS MATERIALIZED ")
      case .notMaterialized?: printer.put(" AS NOT MATERIALIZED ")
      case nil: printer.put(" AS ")
      }
      printer.printInParentheses(table.select)
    }
    put(" ")
  }

  // MARK: FROM

  mutating func print(_ from: FromClause) {
    for term in from.terms {
      if let join = term.join { print(join) }
      print(term.source)
      switch term.constraint {
      case .none: break
      case .on(let condition):
        put(" ON ")
        print(condition)
      case .using(let columns):
        put(" USING ")
        printNames(columns)
      }
    }
  }

  private mutating func print(_ join: JoinOperator) {
    if join.kind == .comma { return put(", ") }
    put(join.isNatural ? " NATURAL " : " ")
    switch join.kind {
    case .comma, .inner: break
    case .cross: put("CROSS ")
    case .left: put("LEFT ")
    case .right: put("RIGHT ")
    case .full: put("FULL ")
    }
    put("JOIN ")
  }

  private mutating func print(_ source: TableSource) {
    switch source {
    case .table(let table): print(table)
    case .function(let schema, let name, let arguments, let alias, _):
      print(schema: schema, name)
      printInParentheses(arguments)
      printAlias(alias)
    case .subquery(let select, let alias, _):
      printInParentheses(select)
      printAlias(alias)
    case .nested(let from, let alias, _):
      put("(")
      print(from)
      put(")")
      printAlias(alias)
    }
  }

  mutating func print(_ table: TableReference) {
    print(schema: table.schema, table.name)
    printAlias(table.alias)
    switch table.hint {
    case .none: break
    case .indexedBy(let index):
      put(" INDEXED BY ")
      print(index)
    case .notIndexed: put(" NOT INDEXED")
    }
  }
}
