// CREATE, ALTER and DROP.

import ApusBase

extension Parser {
  /// At CREATE.
  mutating func parseCreate() throws(SQLError) -> Statement {
    try expect(.create)
    let isTemporary = try accept(.temp)
    switch token.kind {
    case .table: return .createTable(try parseCreateTable(isTemporary))
    case .view: return .createView(try parseCreateView(isTemporary))
    case .trigger: return .createTrigger(try parseCreateTrigger(isTemporary))
    case .index where !isTemporary: return .createIndex(try parseCreateIndex(isUnique: false))
    case .unique where !isTemporary:
      try advance()
      guard token.kind == .index else { throw syntaxError() }
      return .createIndex(try parseCreateIndex(isUnique: true))
    case .virtual where !isTemporary: return .createVirtualTable(try parseCreateVirtualTable())
    default: throw syntaxError()
    }
  }

  private mutating func parseIfNotExists() throws(SQLError) -> Bool {
    guard try accept(.if) else { return false }
    try expect(.not)
    try expect(.exists)
    return true
  }

  // MARK: Tables

  private mutating func parseCreateTable(_ isTemporary: Bool) throws(SQLError) -> CreateTable {
    try advance()
    let ifNotExists = try parseIfNotExists()
    let place = token.offset
    let (schema, name, nameToken) = try parseQualifiedName()
    if isTemporary, let schema, schema.key != "temp" {
      throw SQLError("temporary table name must be unqualified", at: -1)
    }
    var table = CreateTable(
      isTemporary: isTemporary, ifNotExists: ifNotExists, schema: schema, name: name,
      body: .columns([], constraints: [], options: []), offset: place)
    if try accept(.as) {
      table.body = .select(try parseSelect())
    } else {
      table.body = try parseTableBody(name)
    }
    table.definition = SourceSpan(Int(nameToken.start), Int(previous.end))
    return table
  }

  private mutating func parseTableBody(_ name: Name) throws(SQLError) -> CreateTable.Body {
    try expect(.leftParen)
    var columns: [ColumnDefinition] = []
    var constraints: [TableConstraint] = []
    repeat {
      if !columns.isEmpty, isTableConstraint(token.kind) {
        constraints = try parseTableConstraints()
        break
      }
      columns.append(try parseColumnDefinition())
      if columns.count > limits.columnCountMax { throw SQLError("too many columns on \(name.text)", at: -1) }
    } while try accept(.comma)
    try expect(.rightParen)
    var options: TableOptions = []
    guard token.kind != .semicolon, token.kind != .endOfText else {
      return .columns(columns, constraints: constraints, options: options)
    }
    // The list of options may begin with a comma.
    _ = try accept(.comma)
    repeat {
      let isWithout = try accept(.without)
      let word = token
      _ = try parseName()
      guard token.kind == .comma || token.kind == .semicolon || token.kind == .endOfText else { throw syntaxError() }
      if isWithout, isWord(word, "rowid") {
        options.insert(.withoutRowID)
      } else if !isWithout, isWord(word, "strict") {
        options.insert(.strict)
      } else {
        throw SQLError("unknown table option: \(text(word))", at: -1)
      }
    } while try accept(.comma)
    return .columns(columns, constraints: constraints, options: options)
  }

  private func isTableConstraint(_ kind: TokenKind) -> Bool {
    switch kind {
    case .constraint, .primary, .unique, .check, .foreign: true
    default: false
    }
  }

  mutating func parseColumnDefinition() throws(SQLError) -> ColumnDefinition {
    let place = token.offset
    let name = try parseName()
    let type = try parseTypeName()
    return ColumnDefinition(name: name, type: type, constraints: try parseColumnConstraints(name), offset: place)
  }

  /// The words of a type and its lengths, as they were written; nil where there is none. Where the first word stands in
  /// quotes, it is the whole type, without them.
  mutating func parseTypeName() throws(SQLError) -> TypeName? {
    guard token.kind.isAlias, !isGenerated() else { return nil }
    let first = token
    let start = Int(first.start)
    var end = start
    while token.kind.isAlias, !isGenerated() {
      let isSuffix = token.kind == .generated && peek() == .always
      if isSuffix { try advance() } else { end = Int(token.end) }
      try advance()
    }
    if try accept(.leftParen) {
      try skipSignedNumber()
      if try accept(.comma) { try skipSignedNumber() }
      end = Int(token.end)
      try expect(.rightParen)
    }
    guard end > start else { return nil }
    switch lexer.byte(start) {
    case 0x22, 0x27, 0x5b, 0x60:
      return TypeName(name(first).text, end == Int(first.end) ? .quoted : .quotedFirstWord)
    default: return TypeName(text(start, end))
    }
  }

  /// At GENERATED ALWAYS AS. Without AS the two words belong to the type, off which SQLite cuts them.
  private func isGenerated() -> Bool {
    guard token.kind == .generated else { return false }
    let always = lexer.token(at: Int(token.end))
    return always.kind == .always && lexer.token(at: Int(always.end)).kind == .as
  }

  private mutating func skipSignedNumber() throws(SQLError) {
    if token.kind == .plus || token.kind == .minus { try advance() }
    guard token.kind == .integer || token.kind == .float else { throw syntaxError() }
    try advance()
  }

  private mutating func parseColumnConstraints(_ column: Name) throws(SQLError) -> [ColumnConstraint] {
    var constraints: [ColumnConstraint] = []
    while true {
      let place = token.offset
      var name: Name?
      if try accept(.constraint) { name = try parseName() }
      if let kind = try parseColumnConstraint(&constraints, column) {
        if case .nameOnly = kind { continue }
        constraints.append(ColumnConstraint(name: name, kind, offset: place))
      } else if name != nil {
        constraints.append(ColumnConstraint(name: name, .nameOnly, offset: place))
      } else {
        return constraints
      }
    }
  }

  /// nil where no constraint follows; `.nameOnly` where the words changed the constraint before (DEFERRABLE).
  private mutating func parseColumnConstraint(
    _ earlier: inout [ColumnConstraint], _ column: Name
  ) throws(SQLError) -> ColumnConstraint.Kind? {
    switch token.kind {
    case .default: return try parseDefault(column)
    case .null:
      try advance()
      return .null(conflict: try parseOnConflict())
    case .not:
      try advance()
      if token.kind == .deferrable {
        try deferLast(&earlier, isNegated: true)
        return .nameOnly
      }
      try expect(.null)
      return .notNull(conflict: try parseOnConflict())
    case .primary:
      try advance()
      try expect(.key)
      let order = try parseSortOrder()
      let conflict = try parseOnConflict()
      return .primaryKey(order: order, conflict: conflict, isAutoincrement: try accept(.autoincrement))
    case .unique:
      try advance()
      return .unique(conflict: try parseOnConflict())
    case .check:
      try advance()
      let (expression, span) = try parseParenthesised()
      try rejectParameters("parameters prohibited in CHECK constraints", at: lastParameterStart)
      return .check(expression, span)
    case .references:
      return .references(try parseReference(withDeferral: false))
    case .deferrable:
      try deferLast(&earlier, isNegated: false)
      return .nameOnly
    case .collate:
      try advance()
      guard token.kind.isAlias else { throw syntaxError() }
      return .collate(try parseName())
    case .generated:
      try advance()
      try expect(.always)
      guard token.kind == .as else { throw syntaxError() }
      return try parseGenerated(column)
    case .as: return try parseGenerated(column)
    default: return nil
    }
  }

  private mutating func parseDefault(_ column: Name) throws(SQLError) -> ColumnConstraint.Kind {
    try advance()
    let start = token
    switch token.kind {
    case .leftParen:
      let (value, span) = try parseParenthesised()
      try rejectParameters("default value of column [\(column.text)] is not constant")
      return .default(value, span)
    case .plus, .minus:
      let isNegative = token.kind == .minus
      try advance()
      let place = token.offset
      let literal = try parseTerm()
      var value = Expression.unary(isNegative ? .negate : .plus, .literal(literal, place), start.offset)
      if isNegative, literal == .real(0x1p63), isMagnitudeOfSmallestInteger(at: place.value) {
        value = .literal(.integer(.min), place)
      }
      return .default(value, SourceSpan(Int(start.start), Int(previous.end)))
    default:
      if token.kind.isIdentifier, !isTerm(token.kind) {
        // A word is a string, or TRUE or FALSE.
        let word = try parseName()
        var literal = Literal.text(word.text)
        if !word.isQuoted, word.key == "true" || word.key == "false" { literal = .boolean(word.key == "true") }
        return .default(.literal(literal, start.offset), SourceSpan(Int(start.start), Int(previous.end)))
      }
      let literal = try parseTerm()
      return .default(.literal(literal, start.offset), SourceSpan(Int(start.start), Int(previous.end)))
    }
  }

  private func isTerm(_ kind: TokenKind) -> Bool {
    switch kind {
    case .null, .integer, .float, .separatedNumber, .blob, .string, .currentDate, .currentTime, .currentTimestamp:
      true
    default: false
    }
  }

  private mutating func parseTerm() throws(SQLError) -> Literal {
    let literal: Literal
    switch token.kind {
    case .null: literal = .null
    case .integer, .float, .separatedNumber: literal = try numericLiteral(token)
    case .blob: literal = blobLiteral(token)
    case .string: literal = stringLiteral(token)
    case .currentDate: literal = .currentDate
    case .currentTime: literal = .currentTime
    case .currentTimestamp: literal = .currentTimestamp
    default: throw syntaxError()
    }
    try advance()
    return literal
  }

  /// `(expression)` and the text between the parentheses with its comments, outer blanks removed.
  mutating func parseParenthesised() throws(SQLError) -> (Expression, SourceSpan) {
    var start = Int(token.end)
    try expect(.leftParen)
    let expression = try parseExpression()
    var end = Int(token.start)
    try expect(.rightParen)
    while start < end, isBlank(lexer.byte(start)) { start += 1 }
    while start < end, isBlank(lexer.byte(end - 1)) { end -= 1 }
    return (expression, SourceSpan(start, end))
  }

  private func isBlank(_ byte: UInt8) -> Bool { byte == 0x20 || byte &- 0x09 < 5 }

  /// A definition is stored, so nothing in it can be bound.
  private func rejectParameters(_ message: @autoclosure () -> String, at offset: Int = -1) throws(SQLError) {
    if parameterCount > 0 { throw SQLError(message(), at: offset) }
  }

  private mutating func parseGenerated(_ column: Name) throws(SQLError) -> ColumnConstraint.Kind {
    try expect(.as)
    let (expression, _) = try parseParenthesised()
    try rejectParameters("parameters prohibited in generated columns")
    guard token.kind.isIdentifier, token.kind != .indexed, token.kind != .generated else {
      return .generated(expression, isStored: false)
    }
    let isStored = isWord("stored")
    let isKnown = isStored || isWord("virtual")
    try advance()
    guard isKnown else {
      // A word where no column ends and no constraint begins is reported first.
      if token.kind.isAlias { throw syntaxError() }
      throw SQLError("error in generated column \"\(column.text)\"", at: -1)
    }
    return .generated(expression, isStored: isStored)
  }

  mutating func parseOnConflict() throws(SQLError) -> ConflictAction? {
    guard token.kind == .on else { return nil }
    try advance()
    try expect(.conflict)
    return try parseConflictAction()
  }

  /// At REFERENCES.
  private mutating func parseReference(withDeferral: Bool) throws(SQLError) -> ForeignKeyReference {
    try expect(.references)
    var reference = ForeignKeyReference(table: try parseName())
    reference.columns = try parseOptionalNameList()
    while true {
      if try accept(.on) {
        let event = token.kind
        switch event {
        case .insert, .delete, .update: try advance()
        default: throw syntaxError()
        }
        let action = try parseReferenceAction()
        if event == .delete { reference.onDelete = action }
        if event == .update { reference.onUpdate = action }
      } else if try accept(.match) {
        reference.match = try parseName()
      } else {
        break
      }
    }
    if withDeferral {
      let isNegated = token.kind == .not
      if isNegated {
        try advance()
        guard token.kind == .deferrable else { throw syntaxError() }
      }
      if token.kind == .deferrable { reference.isDeferred = try parseDeferral() && !isNegated }
    }
    return reference
  }

  /// At DEFERRABLE; true if INITIALLY DEFERRED follows.
  private mutating func parseDeferral() throws(SQLError) -> Bool {
    try expect(.deferrable)
    guard try accept(.initially) else { return false }
    if try accept(.deferred) { return true }
    try expect(.immediate)
    return false
  }

  private mutating func deferLast(_ constraints: inout [ColumnConstraint], isNegated: Bool) throws(SQLError) {
    let isDeferred = try parseDeferral() && !isNegated
    for index in constraints.indices.reversed() {
      if case .references(var reference) = constraints[index].kind {
        reference.isDeferred = isDeferred
        constraints[index].kind = .references(reference)
        return
      }
    }
  }

  private mutating func parseReferenceAction() throws(SQLError) -> ReferenceAction {
    if try accept(.cascade) { return .cascade }
    if try accept(.restrict) { return .restrict }
    if try accept(.no) {
      try expect(.action)
      return .noAction
    }
    try expect(.set)
    if try accept(.null) { return .setNull }
    try expect(.default)
    return .setDefault
  }

  /// Table constraints up to the closing parenthesis; the commas between them are optional.
  private mutating func parseTableConstraints() throws(SQLError) -> [TableConstraint] {
    var constraints: [TableConstraint] = []
    repeat {
      constraints.append(try parseTableConstraint())
      if token.kind == .comma {
        try advance()
        guard isTableConstraint(token.kind) else { throw syntaxError() }
      }
    } while isTableConstraint(token.kind)
    return constraints
  }

  mutating func parseTableConstraint() throws(SQLError) -> TableConstraint {
    let place = token.offset
    var name: Name?
    if try accept(.constraint) { name = try parseName() }
    switch token.kind {
    case .primary:
      try advance()
      try expect(.key)
      try expect(.leftParen)
      let columns = try parseIndexedColumns()
      try rejectParameters("parameters prohibited in index expressions", at: lastParameterStart)
      let isAutoincrement = try accept(.autoincrement)
      try expect(.rightParen)
      let kind = TableConstraint.Kind.primaryKey(
        columns, isAutoincrement: isAutoincrement, conflict: try parseOnConflict())
      return TableConstraint(name: name, kind, offset: place)
    case .unique:
      try advance()
      try expect(.leftParen)
      let columns = try parseIndexedColumns()
      try rejectParameters("parameters prohibited in index expressions", at: lastParameterStart)
      try expect(.rightParen)
      return TableConstraint(name: name, .unique(columns, conflict: try parseOnConflict()), offset: place)
    case .check:
      try advance()
      let (expression, span) = try parseParenthesised()
      try rejectParameters("parameters prohibited in CHECK constraints", at: lastParameterStart)
      return TableConstraint(name: name, .check(expression, conflict: try parseOnConflict(), span), offset: place)
    case .foreign:
      try advance()
      try expect(.key)
      let columns = try parseNameList()
      guard token.kind == .references else { throw syntaxError() }
      let reference = try parseReference(withDeferral: true)
      return TableConstraint(name: name, .foreignKey(columns, reference), offset: place)
    default:
      guard name != nil else { throw syntaxError() }
      return TableConstraint(name: name, .nameOnly, offset: place)
    }
  }

  // MARK: Indexes, views, triggers, virtual tables

  private mutating func parseCreateIndex(isUnique: Bool) throws(SQLError) -> CreateIndex {
    try advance()
    let ifNotExists = try parseIfNotExists()
    let place = token.offset
    let (schema, name, nameToken) = try parseQualifiedName()
    try expect(.on)
    let tablePlace = token.offset
    let table = try parseName()
    try expect(.leftParen)
    let columns = try parseIndexedColumns()
    try rejectParameters("parameters prohibited in index expressions", at: lastParameterStart)
    try expect(.rightParen)
    let filter = try accept(.where) ? try parseExpression() : nil
    try rejectParameters("parameters prohibited in partial index WHERE clauses", at: lastParameterStart)
    return CreateIndex(
      isUnique: isUnique, ifNotExists: ifNotExists, schema: schema, name: name, table: table, columns: columns,
      filter: filter, offset: place, tableOffset: tablePlace,
      definition: SourceSpan(Int(nameToken.start), Int(previous.end)))
  }

  private mutating func parseCreateView(_ isTemporary: Bool) throws(SQLError) -> CreateView {
    try advance()
    let ifNotExists = try parseIfNotExists()
    let place = token.offset
    let (schema, name, nameToken) = try parseQualifiedName()
    let columns = try parseOptionalNameList()
    try expect(.as)
    let select = try parseSelect()
    guard token.kind == .semicolon || token.kind == .endOfText else { throw syntaxError() }
    if parameterCount > 0 { throw SQLError("parameters are not allowed in views", at: -1) }
    return CreateView(
      isTemporary: isTemporary, ifNotExists: ifNotExists, schema: schema, name: name, columns: columns,
      select: select, offset: place, definition: SourceSpan(Int(nameToken.start), Int(previous.end)))
  }

  private mutating func parseCreateTrigger(_ isTemporary: Bool) throws(SQLError) -> CreateTrigger {
    try advance()
    let ifNotExists = try parseIfNotExists()
    let place = token.offset
    let (schema, name, nameToken) = try parseQualifiedName()
    var timing = CreateTrigger.Timing.before
    if try accept(.after) {
      timing = .after
    } else if try accept(.instead) {
      try expect(.of)
      timing = .insteadOf
    } else {
      _ = try accept(.before)
    }
    let event: CreateTrigger.Event
    switch token.kind {
    case .delete: event = .delete
    case .insert: event = .insert
    case .update: event = .update(of: [])
    default: throw syntaxError()
    }
    try advance()
    var trigger = CreateTrigger(
      isTemporary: isTemporary, ifNotExists: ifNotExists, schema: schema, name: name, timing: timing, event: event,
      table: TableReference(name: name), steps: [], offset: place)
    if case .update = event, try accept(.of) {
      var columns = [try parseName()]
      while try accept(.comma) { columns.append(try parseName()) }
      trigger.event = .update(of: columns)
    }
    try expect(.on)
    let tablePlace = token.offset
    let (tableSchema, table, _) = try parseQualifiedName()
    trigger.table = TableReference(schema: tableSchema, name: table, offset: tablePlace)
    if try accept(.for) {
      try expect(.each)
      try expect(.row)
    }
    if try accept(.when) { trigger.filter = try parseExpression() }
    try expect(.begin)
    if isTemporary, schema != nil { throw SQLError("temporary trigger may not have qualified name", at: -1) }
    repeat {
      trigger.steps.append(try parseTriggerStep())
      try expect(.semicolon)
    } while token.kind != .end
    try advance()
    if parameterCount > 0 { throw SQLError("trigger cannot use variables", at: -1) }
    trigger.definition = SourceSpan(Int(nameToken.start), Int(previous.end))
    return trigger
  }

  private mutating func parseTriggerStep() throws(SQLError) -> CreateTrigger.Step {
    switch token.kind {
    case .update: return .update(try parseUpdate(with: nil, inTrigger: true))
    case .insert, .replace:
      let insert = try parseInsert(with: nil, inTrigger: true)
      if !insert.returning.isEmpty { throw SQLError("cannot use RETURNING in a trigger", at: -1) }
      return .insert(insert)
    case .delete: return .delete(try parseDelete(with: nil, inTrigger: true))
    case .select, .values, .with: return .select(try parseSelect())
    default: throw syntaxError()
    }
  }

  private mutating func parseCreateVirtualTable() throws(SQLError) -> CreateVirtualTable {
    try advance()
    guard token.kind == .table else { throw syntaxError() }
    try advance()
    let ifNotExists = try parseIfNotExists()
    let place = token.offset
    let (schema, name, nameToken) = try parseQualifiedName()
    try expect(.using)
    var table = CreateVirtualTable(
      ifNotExists: ifNotExists, schema: schema, name: name, module: try parseName(), offset: place)
    if token.kind == .leftParen { table.arguments = try parseModuleArguments() }
    table.definition = SourceSpan(Int(nameToken.start), Int(previous.end))
    return table
  }

  /// Any tokens with balanced parentheses, split at the commas outside them.
  private mutating func parseModuleArguments() throws(SQLError) -> [String] {
    try expect(.leftParen)
    var arguments: [String] = []
    var depth = 0
    var start = Int(token.start)
    var end = start
    while true {
      switch token.kind {
      case .endOfText, .semicolon: throw syntaxError()
      case .leftParen: depth += 1
      case .rightParen where depth > 0: depth -= 1
      case .comma where depth == 0, .rightParen:
        if token.kind == .comma || end > start || !arguments.isEmpty { arguments.append(text(start, end)) }
        let isLast = token.kind == .rightParen
        try advance()
        if isLast { return arguments }
        start = Int(token.start)
        end = start
        continue
      default: break
      }
      end = Int(token.end)
      try advance()
    }
  }

  // MARK: ALTER and DROP

  /// At DROP.
  mutating func parseDrop() throws(SQLError) -> Drop {
    try advance()
    let kind: Drop.Kind
    switch token.kind {
    case .table: kind = .table
    case .index: kind = .index
    case .view: kind = .view
    case .trigger: kind = .trigger
    default: throw syntaxError()
    }
    try advance()
    var ifExists = false
    if try accept(.if) {
      try expect(.exists)
      ifExists = true
    }
    let place = token.offset
    let (schema, name, _) = try parseQualifiedName()
    return Drop(kind, ifExists: ifExists, schema: schema, name: name, offset: place)
  }

  /// At ALTER.
  mutating func parseAlter() throws(SQLError) -> AlterTable {
    try advance()
    try expect(.table)
    let place = token.offset
    let (schema, name, _) = try parseQualifiedName()
    let table = TableReference(schema: schema, name: name, offset: place)
    return AlterTable(table: table, action: try parseAlterAction())
  }

  private mutating func parseAlterAction() throws(SQLError) -> AlterTable.Action {
    switch token.kind {
    case .rename:
      try advance()
      if try accept(.to) { return .rename(to: try parseName()) }
      _ = try accept(.column)
      let column = try parseName()
      try expect(.to)
      return .renameColumn(column, to: try parseName())
    case .add:
      try advance()
      let start = Int(token.start)
      if token.kind == .constraint || token.kind == .check {
        var name: Name?
        if try accept(.constraint) { name = try parseName() }
        guard token.kind == .check else { throw syntaxError() }
        var constraint = try parseTableConstraint()
        constraint.name = name
        return .addConstraint(constraint, SourceSpan(start, Int(previous.end)))
      }
      _ = try accept(.column)
      let columnStart = Int(token.start)
      let column = try parseColumnDefinition()
      return .addColumn(column, SourceSpan(columnStart, Int(previous.end)))
    case .drop:
      try advance()
      if try accept(.constraint) { return .dropConstraint(try parseName()) }
      _ = try accept(.column)
      return .dropColumn(try parseName())
    case .alter:
      try advance()
      _ = try accept(.column)
      let column = try parseName()
      if try accept(.drop) {
        try expect(.not)
        try expect(.null)
        return .dropNotNull(column)
      }
      try expect(.set)
      try expect(.not)
      try expect(.null)
      return .setNotNull(column, conflict: try parseOnConflict())
    default: throw syntaxError()
    }
  }
}
