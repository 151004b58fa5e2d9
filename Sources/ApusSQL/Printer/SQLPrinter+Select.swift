// Selects to text.

extension SQLPrinter {
  mutating func write(_ select: Select) {
    if let with = select.with { write(with) }
    write(select.first)
    for compound in select.compounds {
      put(" \(compound.operator.keywords) ")
      write(compound.core)
    }
    writeTail(select.orderBy, select.limit)
  }

  mutating func writeTail(_ orderBy: [OrderingTerm], _ limit: Limit?) {
    if !orderBy.isEmpty {
      put(" ")
      writeOrderBy(orderBy)
    }
    guard let limit else { return }
    put(" LIMIT ")
    write(limit.count)
    if let offset = limit.offset {
      put(" OFFSET ")
      write(offset)
    }
  }

  mutating func writeWhere(_ filter: Expression?) {
    guard let filter else { return }
    put(" WHERE ")
    write(filter)
  }

  private mutating func write(_ core: SelectCore) {
    switch core {
    case .query(let query): write(query)
    case .values(let rows, _):
      put("VALUES ")
      list(rows) { $0.writeInParentheses($1) }
    }
  }

  private mutating func write(_ query: Query) {
    put(query.isDistinct ? "SELECT DISTINCT " : "SELECT ")
    write(query.columns)
    if let from = query.from {
      put(" FROM ")
      write(from)
    }
    writeWhere(query.filter)
    if !query.groupBy.isEmpty {
      put(" GROUP BY ")
      list(query.groupBy) { $0.write($1) }
    }
    if let having = query.having {
      put(" HAVING ")
      write(having)
    }
    if !query.windows.isEmpty {
      put(" WINDOW ")
      list(query.windows) { printer, window in
        printer.write(window.name)
        printer.put(" AS (")
        printer.write(window.definition)
        printer.put(")")
      }
    }
  }

  mutating func write(_ columns: [ResultColumn]) {
    list(columns) { printer, column in
      switch column {
      case .star: printer.put("*")
      case .tableStar(let table, _):
        printer.write(table)
        printer.put(".*")
      case .expression(let expression, let alias, _):
        printer.write(expression)
        printer.writeAlias(alias)
      }
    }
  }

  private mutating func writeAlias(_ alias: Name?) {
    guard let alias else { return }
    put(" AS ")
    write(alias)
  }

  mutating func write(_ with: With) {
    put(with.isRecursive ? "WITH RECURSIVE " : "WITH ")
    list(with.tables) { printer, table in
      printer.write(table.name)
      if !table.columns.isEmpty {
        printer.put(" ")
        printer.writeNames(table.columns)
      }
      switch table.materialization {
      case .materialized?: printer.put(" AS MATERIALIZED ")
      case .notMaterialized?: printer.put(" AS NOT MATERIALIZED ")
      case nil: printer.put(" AS ")
      }
      printer.writeInParentheses(table.select)
    }
    put(" ")
  }

  // MARK: FROM

  mutating func write(_ from: FromClause) {
    for term in from.terms {
      if let join = term.join { write(join) }
      write(term.source)
      switch term.constraint {
      case .none: break
      case .on(let condition):
        put(" ON ")
        write(condition)
      case .using(let columns):
        put(" USING ")
        writeNames(columns)
      }
    }
  }

  private mutating func write(_ join: JoinOperator) {
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

  private mutating func write(_ source: TableSource) {
    switch source {
    case .table(let table): write(table)
    case .function(let schema, let name, let arguments, let alias, _):
      write(schema: schema, name)
      writeInParentheses(arguments)
      writeAlias(alias)
    case .subquery(let select, let alias, _):
      writeInParentheses(select)
      writeAlias(alias)
    case .nested(let from, let alias, _):
      put("(")
      write(from)
      put(")")
      writeAlias(alias)
    }
  }

  mutating func write(_ table: TableReference) {
    write(schema: table.schema, table.name)
    writeAlias(table.alias)
    switch table.hint {
    case .none: break
    case .indexedBy(let index):
      put(" INDEXED BY ")
      write(index)
    case .notIndexed: put(" NOT INDEXED")
    }
  }
}
