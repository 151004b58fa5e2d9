// Whole statements: what each begins with, and the small ones.

import ApusBase

extension Parser {
  /// The next statement that is not empty, with its `;`; nil at the end of the text.
  mutating func parseNext() throws(SQLError) -> ParsedStatement? {
    while try accept(.semicolon) {}
    if token.kind == .endOfText { return nil }
    let start = Int(token.start)
    var explain = Explain.none
    if try accept(.explain) {
      explain = .program
      if try accept(.query) {
        try expect(.plan)
        explain = .queryPlan
      }
    }
    let statement = try parseStatement()
    guard token.kind == .semicolon || token.kind == .endOfText else { throw syntaxError() }
    return ParsedStatement(
      statement: statement, explain: explain, span: SourceSpan(start, Int(token.end)),
      parameterCount: parameterCount, parameterNames: parameterNames)
  }

  mutating func parseStatement() throws(SQLError) -> Statement {
    switch token.kind {
    case .select, .values: return .select(try parseSelect())
    case .with: return try parseWithStatement()
    case .insert, .replace: return .insert(try parseInsert(with: nil))
    case .update: return .update(try parseUpdate(with: nil))
    case .delete: return .delete(try parseDelete(with: nil))
    case .create: return try parseCreate()
    case .drop: return .drop(try parseDrop())
    case .alter: return .alterTable(try parseAlter())
    case .pragma: return .pragma(try parsePragma())
    case .begin: return .begin(try parseBegin())
    case .commit, .end:
      try advance()
      _ = try parseTransactionName()
      return .commit
    case .rollback: return try parseRollback()
    case .savepoint:
      try advance()
      return .savepoint(try parseName())
    case .release:
      try advance()
      _ = try accept(.savepoint)
      return .release(try parseName())
    case .attach: return try parseAttach()
    case .detach:
      try advance()
      _ = try accept(.database)
      return .detach(try parseExpression())
    case .vacuum: return try parseVacuum()
    case .analyze:
      let (schema, name) = try parseOptionalTarget()
      return .analyze(schema: schema, name: name)
    case .reindex:
      let (schema, name) = try parseOptionalTarget()
      return .reindex(schema: schema, name: name)
    default: throw syntaxError()
    }
  }

  private mutating func parseWithStatement() throws(SQLError) -> Statement {
    try enter()
    let with = try parseWith()
    leave()
    switch token.kind {
    case .insert, .replace: return .insert(try parseInsert(with: with))
    case .update: return .update(try parseUpdate(with: with))
    case .delete: return .delete(try parseDelete(with: with))
    default:
      try enter()
      let select = try parseSelect(with: with)
      leave()
      return .select(select)
    }
  }

  // MARK: Transactions

  private mutating func parseBegin() throws(SQLError) -> TransactionMode {
    try advance()
    var mode = TransactionMode.deferred
    switch token.kind {
    case .deferred: try advance()
    case .immediate:
      mode = .immediate
      try advance()
    case .exclusive:
      mode = .exclusive
      try advance()
    case .identifier where isWord("concurrent"):
      mode = .concurrent
      try advance()
    default: break
    }
    _ = try parseTransactionName()
    return mode
  }

  /// `TRANSACTION [name]`; SQLite ignores the name, and so do we.
  private mutating func parseTransactionName() throws(SQLError) -> Name? {
    guard try accept(.transaction), token.kind.isName else { return nil }
    return try parseName()
  }

  private mutating func parseRollback() throws(SQLError) -> Statement {
    try advance()
    _ = try parseTransactionName()
    guard try accept(.to) else { return .rollback }
    _ = try accept(.savepoint)
    return .rollbackTo(try parseName())
  }

  // MARK: Databases

  private mutating func parseAttach() throws(SQLError) -> Statement {
    try advance()
    _ = try accept(.database)
    let database = try parseExpression()
    try expect(.as)
    let name = try parseExpression()
    let key = try accept(.key) ? try parseExpression() : nil
    return .attach(database: database, name: name, key: key)
  }

  private mutating func parseVacuum() throws(SQLError) -> Statement {
    try advance()
    let schema = token.kind.isName ? try parseName() : nil
    let into = try accept(.into) ? try parseExpression() : nil
    return .vacuum(schema: schema, into: into)
  }

  private mutating func parseOptionalTarget() throws(SQLError) -> (Name?, Name?) {
    try advance()
    guard token.kind.isName else { return (nil, nil) }
    let (schema, name, _) = try parseQualifiedName()
    return (schema, name)
  }

  private mutating func parsePragma() throws(SQLError) -> Pragma {
    try advance()
    let place = token.offset
    let (schema, name, _) = try parseQualifiedName()
    var pragma = Pragma(schema: schema, name: name, offset: place)
    if try accept(.equal) {
      pragma.argument = try parsePragmaArgument()
    } else if try accept(.leftParen) {
      pragma.argument = try parsePragmaArgument()
      try expect(.rightParen)
    }
    return pragma
  }

  private mutating func parsePragmaArgument() throws(SQLError) -> Pragma.Argument {
    switch token.kind {
    case .integer, .float, .plus, .minus:
      let sign = token.kind == .minus ? "-" : ""
      if token.kind == .plus || token.kind == .minus { try advance() }
      guard token.kind == .integer || token.kind == .float else { throw syntaxError() }
      let number = sign + text(token)
      try advance()
      return .number(number)
    case .on, .delete, .default:
      let word = name(token)
      try advance()
      return .name(word)
    default: return .name(try parseName())
    }
  }
}
