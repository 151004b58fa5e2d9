// INSERT, UPDATE and DELETE, alone and as steps of a trigger.

import ApusBase

extension Parser {
  /// At INSERT or REPLACE.
  mutating func parseInsert(with: With?, inTrigger: Bool = false) throws(SQLError) -> Insert {
    var conflict: ConflictAction?
    if try accept(.replace) {
      conflict = .replace
    } else {
      try expect(.insert)
      conflict = try parseOrConflict()
    }
    try expect(.into)
    let table = inTrigger ? try parseTriggerTable() : try parseTarget()
    let columns = try parseOptionalNameList()
    var insert = Insert(with: with, conflict: conflict, table: table, columns: columns, source: .defaultValues)
    if token.kind == .default, !inTrigger {
      try advance()
      try expect(.values)
      insert.returning = try parseReturning()
      return insert
    }
    switch token.kind {
    case .select, .values, .with: insert.source = .select(try parseSelect())
    default: throw syntaxError()
    }
    try parseUpserts(&insert)
    return insert
  }

  private mutating func parseOrConflict() throws(SQLError) -> ConflictAction? {
    try accept(.or) ? try parseConflictAction() : nil
  }

  mutating func parseConflictAction() throws(SQLError) -> ConflictAction {
    let action: ConflictAction
    switch token.kind {
    case .rollback: action = .rollback
    case .abort: action = .abort
    case .fail: action = .fail
    case .ignore: action = .ignore
    case .replace: action = .replace
    default: throw syntaxError()
    }
    try advance()
    return action
  }

  /// `nm`, `nm.nm`, each with `AS nm`.
  private mutating func parseTarget() throws(SQLError) -> TableReference {
    let place = token.offset
    let (schema, name, _) = try parseQualifiedName()
    let alias = try accept(.as) ? try parseName() : nil
    return TableReference(schema: schema, name: name, alias: alias, offset: place)
  }

  private mutating func parseTriggerTable() throws(SQLError) -> TableReference {
    let place = token.offset
    let (schema, name, _) = try parseQualifiedName()
    if schema != nil {
      throw SQLError(
        "qualified table names are not allowed on INSERT, UPDATE, and DELETE statements within triggers", at: -1)
    }
    return TableReference(name: name, offset: place)
  }

  private mutating func parseUpserts(_ insert: inout Insert) throws(SQLError) {
    while try accept(.on) {
      try expect(.conflict)
      var upsert = Upsert(action: .nothing)
      if try accept(.leftParen) {
        upsert.targets = try parseIndexedColumns()
        try expect(.rightParen)
        if try accept(.where) { upsert.targetFilter = try parseExpression() }
      }
      try expect(.do)
      if try accept(.nothing) {
        insert.upserts.append(upsert)
      } else {
        try expect(.update)
        try expect(.set)
        let assignments = try parseAssignments()
        upsert.action = .update(assignments, filter: try accept(.where) ? try parseExpression() : nil)
        insert.upserts.append(upsert)
      }
      // Only the last conflict clause may be without a target.
      if upsert.targets.isEmpty { break }
    }
    insert.returning = try parseReturning()
  }

  private mutating func parseReturning() throws(SQLError) -> [ResultColumn] {
    try accept(.returning) ? try parseResultColumns() : []
  }

  private mutating func parseAssignments() throws(SQLError) -> [Assignment] {
    var assignments: [Assignment] = []
    repeat {
      let place = token.offset
      let isRow = token.kind == .leftParen
      let columns = isRow ? try parseNameList() : [try parseName()]
      try expect(.equal)
      let value = try parseExpression()
      try checkAssignment(columns, isRow, value)
      assignments.append(Assignment(columns: columns, isRow: isRow, value: value, offset: place))
    } while try accept(.comma)
    try checkCount(assignments.count, "columns in set list")
    return assignments
  }

  /// A list of columns takes as many values; a subquery is counted when its columns are known.
  private func checkAssignment(_ columns: [Name], _ isRow: Bool, _ value: Expression) throws(SQLError) {
    guard isRow else { return }
    let count: Int
    switch value {
    case .row(let parts, _): count = parts.count
    case .subquery: return
    default: count = 1
    }
    if count != columns.count {
      if token.kind.rawValue <= TokenKind.variable.rawValue, token.kind != .comma, token.kind != .semicolon,
        token.kind != .endOfText
      {
        throw syntaxError()
      }
      throw SQLError("\(columns.count) columns assigned \(count) values", at: -1)
    }
  }

  /// At UPDATE.
  mutating func parseUpdate(with: With?, inTrigger: Bool = false) throws(SQLError) -> Update {
    try expect(.update)
    let conflict = try parseOrConflict()
    var table = inTrigger ? try parseTriggerTable() : try parseTarget()
    table.hint = try parseHint(inTrigger)
    try expect(.set)
    var update = Update(with: with, conflict: conflict, table: table, assignments: try parseAssignments())
    if try accept(.from) { update.from = try parseFrom() }
    if try accept(.where) { update.filter = try parseExpression() }
    if inTrigger { return update }
    update.returning = try parseReturning()
    if token.kind == .order { update.orderBy = try parseOrderBy() }
    if token.kind == .limit { update.limit = try parseLimit() }
    if !update.orderBy.isEmpty, update.limit == nil { throw SQLError("ORDER BY without LIMIT on UPDATE", at: -1) }
    return update
  }

  /// At DELETE.
  mutating func parseDelete(with: With?, inTrigger: Bool = false) throws(SQLError) -> Delete {
    try expect(.delete)
    try expect(.from)
    var table = inTrigger ? try parseTriggerTable() : try parseTarget()
    table.hint = try parseHint(inTrigger)
    var delete = Delete(with: with, table: table)
    if try accept(.where) { delete.filter = try parseExpression() }
    if inTrigger { return delete }
    delete.returning = try parseReturning()
    if token.kind == .order { delete.orderBy = try parseOrderBy() }
    if token.kind == .limit { delete.limit = try parseLimit() }
    if !delete.orderBy.isEmpty, delete.limit == nil { throw SQLError("ORDER BY without LIMIT on DELETE", at: -1) }
    return delete
  }

  private mutating func parseHint(_ inTrigger: Bool) throws(SQLError) -> IndexHint {
    let hint = try parseIndexHint()
    if inTrigger, hint != .none {
      let clause = hint == .notIndexed ? "NOT INDEXED" : "INDEXED BY"
      throw SQLError(
        "the \(clause) clause is not allowed on UPDATE or DELETE statements within triggers", at: -1)
    }
    return hint
  }
}
