// Expressions: operator precedence with explicit stacks.
//
// `operands` holds finished subexpressions, `pending` the operators and open brackets that wait for their right side,
// so a thousand parentheses, function calls, CASEs or minus signs cost no recursion. The rules are those of SQLite's
// grammar, from loose to tight:
//
//   1 OR   2 AND   3 NOT   4 = == <> != IS MATCH LIKE GLOB REGEXP BETWEEN IN ISNULL NOTNULL   5 < <= > >=   6 ESCAPE
//   7 & | << >>   8 + -   9 * / %   10 || -> ->>   11 COLLATE   12 ~ and the signs
//
// A prefix operator is pushed without looking at what is below it; a binary one first reduces all that binds at least
// as tightly. An open bracket stops that. Reserved words that close a construct (END, THEN, ...) do so only when the
// bracket on top is theirs; otherwise they end the expression, or are a name.

struct Operand {
  var expression: Expression
  /// Nodes on the longest path down: `SQLLimits.expressionDepthMax` bounds it.
  var height: Int32
  /// Where the leftmost leaf stands: the place SQLite reports for an operator's error.
  var start: Int32
}

/// An operator or an open bracket.
struct Pending {
  enum Kind: UInt8 {
    case binary, unary, pattern, patternEscape, betweenHigh
    // Brackets: nothing reduces across them.
    case betweenLow, parenthesis, function, conditional, list, cast
  }
  var kind: Kind
  var precedence: UInt8
  /// The operator's raw value; a conditional's stage.
  var code: UInt8 = 0
  /// Negated, DISTINCT, or a CASE with an operand.
  var flag = false
  var token: Token
  /// How many operands lay below.
  var operandBase = 0
  var count: Int32 = 0
}

enum Precedence {
  static let or: UInt8 = 1, and: UInt8 = 2, not: UInt8 = 3, equality: UInt8 = 4, order: UInt8 = 5, escape: UInt8 = 6
  static let bits: UInt8 = 7, sum: UInt8 = 8, product: UInt8 = 9, concatenation: UInt8 = 10, collate: UInt8 = 11
  static let sign: UInt8 = 12
}

extension Parser {
  /// Stages of an open CASE.
  private enum Stage { static let operand: UInt8 = 0, condition: UInt8 = 1, result: UInt8 = 2, otherwise: UInt8 = 3 }

  mutating func parseExpression() throws(SQLError) -> Expression {
    let operand = try parseOperand()
    selectHeight = max(selectHeight, operand.height)
    return operand.expression
  }

  /// What `parse` reads stands inside an expression, whose height its expressions add to.
  /// - Returns: also the height of the highest one.
  private mutating func nested<R>(_ parse: (inout Parser) throws(SQLError) -> R) throws(SQLError) -> (R, height: Int32) {
    let outerHeight = selectHeight
    selectHeight = 0
    try enter()
    let result = try parse(&self)
    leave()
    let height = selectHeight
    selectHeight = outerHeight
    return (result, height)
  }

  mutating func parseExpressionList() throws(SQLError) -> [Expression] {
    var list = [try parseExpression()]
    while try accept(.comma) { list.append(try parseExpression()) }
    return list
  }

  private mutating func parseOperand() throws(SQLError) -> Operand {
    let base = pending.count
    repeat {
      repeat {} while try parsePrefix()
      if tableStar != nil { break }
    } while try parseInfix(base)
    guard let result = operands.popLast() else { throw syntaxError() }
    return result
  }

  // MARK: Before an operand

  /// Consumes a prefix operator, an opening bracket or an operand; true if an operand is still to come.
  private mutating func parsePrefix() throws(SQLError) -> Bool {
    let mayBeStar = mayBeTableStar
    mayBeTableStar = false
    switch token.kind {
    case .leftParen: return try parseParenthesis()
    case .minus: return try pushPrefix(.negate, Precedence.sign)
    case .plus: return try pushPrefix(.plus, Precedence.sign)
    case .bitNot: return try pushPrefix(.bitNot, Precedence.sign)
    case .not: return try pushPrefix(.not, Precedence.not)
    case .exists:
      try parseExists()
      return false
    case .case:
      try open(Pending(kind: .conditional, precedence: 0, token: token))
      if try accept(.when) { pending[pending.count - 1].code = Stage.condition }
      return true
    case .cast:
      try open(Pending(kind: .cast, precedence: 0, token: token))
      try expect(.leftParen)
      return true
    case .raise:
      try parseRaise()
      return false
    default:
      let first = token
      guard try parseLeaf(mayBeStar) else { return false }
      return try parseCall(first)
    }
  }

  /// Consumes an operand without parts; true if it turns out to be a function's name, with its `(` to come. Apart from
  /// `parsePrefix`, which calls of calls go through, so that the stack holds one small frame for each.
  @inline(never)
  private mutating func parseLeaf(_ mayBeStar: Bool) throws(SQLError) -> Bool {
    let first = token
    switch first.kind {
    case .identifier:
      try advance()
      switch token.kind {
      case .leftParen: return true
      case .dot: try parseColumn(first, mayBeStar)
      default: pushWord(first)
      }
    case .integer, .float, .separatedNumber:
      push(.literal(try numericLiteral(first), first.offset), first)
      try advance()
    case .string:
      try advance()
      if token.kind == .dot {
        try parseColumn(first, mayBeStar)
      } else {
        push(.literal(stringLiteral(first), first.offset), first)
      }
    case .variable:
      // `#1` names a register in SQLite's own nested statements.
      if lexer.byte(Int(first.start)) == 0x23, Lexer.isDigit(lexer.byte(Int(first.start) + 1)) { throw syntaxError() }
      push(.parameter(try parameter(first)), first)
      try advance()
    case .null: try pushLiteral(.null)
    case .blob: try pushLiteral(blobLiteral(first))
    case .currentDate: try pushLiteral(.currentDate)
    case .currentTime: try pushLiteral(.currentTime)
    case .currentTimestamp: try pushLiteral(.currentTimestamp)
    default:
      guard first.kind.isName else { throw syntaxError() }
      try advance()
      switch token.kind {
      case .leftParen: return true
      case .dot: try parseColumn(first, mayBeStar)
      default: push(.column(ColumnReference(column: name(first), offset: first.offset)), first)
      }
    }
    return false
  }

  private mutating func parseExists() throws(SQLError) {
    let first = token
    try advance()
    try expect(.leftParen)
    let select = try parseSelect(isInExpression: true)
    try expect(.rightParen)
    try push(.exists(select, first.offset), height: lastSelectHeight + 1, first.start)
  }

  private mutating func push(_ leaf: Expression, _ token: Token) {
    operands.append(Operand(expression: leaf, height: 1, start: token.start))
  }

  private mutating func push(_ node: Expression, height: Int32, _ start: Int32) throws(SQLError) {
    if Int(height) > limits.expressionDepthMax {
      throw SQLError("Expression tree is too large (maximum depth \(limits.expressionDepthMax))", at: -1)
    }
    operands.append(Operand(expression: node, height: height, start: start))
  }

  private mutating func pushLiteral(_ literal: Literal) throws(SQLError) {
    push(.literal(literal, token.offset), token)
    try advance()
  }

  /// An unquoted word alone: a column, or TRUE or FALSE.
  private mutating func pushWord(_ word: Token) {
    if word.length == 4, isWord(word, "true") {
      push(.literal(.boolean(true), word.offset), word)
    } else if word.length == 5, isWord(word, "false") {
      push(.literal(.boolean(false), word.offset), word)
    } else {
      push(.column(ColumnReference(column: name(word), offset: word.offset)), word)
    }
  }

  private mutating func pushPrefix(_ operation: UnaryOperator, _ precedence: UInt8) throws(SQLError) -> Bool {
    try open(Pending(kind: .unary, precedence: precedence, code: operation.rawValue, token: token))
    return true
  }

  /// Puts an operator or a bracket on the stack and goes on to the next token.
  private mutating func open(_ entry: Pending) throws(SQLError) {
    if pending.count >= Parser.pendingCountMax { throw SQLError("Recursion limit", at: -1) }
    pending.append(entry)
    pending[pending.count - 1].operandBase = operands.count
    try advance()
  }

  private mutating func parseColumn(_ first: Token, _ mayBeStar: Bool) throws(SQLError) {
    try advance()
    if token.kind == .star, mayBeStar {
      tableStar = name(first)
      push(.column(ColumnReference(column: name(first), offset: first.offset)), first)
      return try advance()
    }
    let second = try parseName()
    if try accept(.dot) {
      let third = try parseName()
      push(
        .column(ColumnReference(schema: name(first), table: second, column: third, offset: first.offset)), first)
    } else {
      push(.column(ColumnReference(table: name(first), column: second, offset: first.offset)), first)
    }
  }

  private mutating func parseParenthesis() throws(SQLError) -> Bool {
    let first = token
    try open(Pending(kind: .parenthesis, precedence: 0, token: token))
    switch token.kind {
    case .select, .values, .with:
      pending.removeLast()
      let select = try parseSelect(isInExpression: true)
      try expect(.rightParen)
      try push(.subquery(select, first.offset), height: lastSelectHeight + 1, first.start)
      return false
    default: return true
    }
  }

  private mutating func parseRaise() throws(SQLError) {
    let first = token
    try advance()
    try expect(.leftParen)
    let action: RaiseAction
    switch token.kind {
    case .ignore: action = .ignore
    case .rollback: action = .rollback
    case .abort: action = .abort
    case .fail: action = .fail
    default: throw syntaxError()
    }
    try advance()
    var message: Expression?
    var height: Int32 = 0
    if action != .ignore {
      try expect(.comma)
      (message, height) = try nested { (parser) throws(SQLError) in try parser.parseExpression() }
    }
    try expect(.rightParen)
    try push(.raise(action, message: message, first.offset), height: height + 1, first.start)
  }

  /// Behind a function's name, at its `(`.
  private mutating func parseCall(_ first: Token) throws(SQLError) -> Bool {
    try open(Pending(kind: .function, precedence: 0, token: first))
    switch token.kind {
    case .star:
      try advance()
      guard token.kind == .rightParen else { throw syntaxError() }
      pending.removeLast()
      try finishCall(first, arguments: nil, isDistinct: false, height: 0)
      return false
    case .distinct:
      pending[pending.count - 1].flag = true
      try advance()
    case .all: try advance()
    default: break
    }
    guard token.kind == .rightParen || token.kind == .order else { return true }
    try closeFunction()
    return false
  }

  // MARK: Behind an operand

  /// Consumes operators and closing brackets; true if an operand is to come, false at the expression's end.
  private mutating func parseInfix(_ base: Int) throws(SQLError) -> Bool {
    while true {
      switch token.kind {
      case .equal: return try pushBinary(.equal, Precedence.equality, base)
      case .notEqual: return try pushBinary(.notEqual, Precedence.equality, base)
      case .less: return try pushBinary(.less, Precedence.order, base)
      case .lessOrEqual: return try pushBinary(.lessOrEqual, Precedence.order, base)
      case .greater: return try pushBinary(.greater, Precedence.order, base)
      case .greaterOrEqual: return try pushBinary(.greaterOrEqual, Precedence.order, base)
      case .plus: return try pushBinary(.add, Precedence.sum, base)
      case .minus: return try pushBinary(.subtract, Precedence.sum, base)
      case .star: return try pushBinary(.multiply, Precedence.product, base)
      case .slash: return try pushBinary(.divide, Precedence.product, base)
      case .percent: return try pushBinary(.remainder, Precedence.product, base)
      case .concatenate: return try pushBinary(.concatenate, Precedence.concatenation, base)
      case .arrow: return try pushBinary(.extract, Precedence.concatenation, base)
      case .doubleArrow: return try pushBinary(.extractText, Precedence.concatenation, base)
      case .bitAnd: return try pushBinary(.bitAnd, Precedence.bits, base)
      case .bitOr: return try pushBinary(.bitOr, Precedence.bits, base)
      case .shiftLeft: return try pushBinary(.shiftLeft, Precedence.bits, base)
      case .shiftRight: return try pushBinary(.shiftRight, Precedence.bits, base)
      case .or: return try pushBinary(.or, Precedence.or, base)
      case .and:
        try reduce(Precedence.and, base)
        if pending.count > base, pending[pending.count - 1].kind == .betweenLow {
          pending[pending.count - 1].kind = .betweenHigh
          pending[pending.count - 1].precedence = Precedence.equality
          try advance()
          return true
        }
        return try pushBinary(.and, Precedence.and, base)
      case .is: return try parseIs(base)
      case .like, .glob, .regexp, .match, .between:
        try reduce(Precedence.equality, base)
        try pushPattern(isNegated: false)
        return true
      case .in:
        try reduce(Precedence.equality, base)
        if try parseIn(isNegated: false) { return true }
      case .not:
        try reduce(Precedence.equality, base)
        try advance()
        switch token.kind {
        case .like, .glob, .regexp, .match, .between:
          try pushPattern(isNegated: true)
          return true
        case .in: if try parseIn(isNegated: true) { return true }
        case .null: try finishNullTest(isNegated: true)
        default: throw syntaxError()
        }
      case .isnull, .notnull:
        try reduce(Precedence.equality, base)
        try finishNullTest(isNegated: token.kind == .notnull)
      case .collate:
        try reduce(Precedence.collate, base)
        try advance()
        guard token.kind.isAlias else { throw syntaxError() }
        let operand = try popOperand()
        try push(.collate(operand.expression, name(token), token.offset), height: operand.height + 1, operand.start)
        try advance()
      case .escape:
        try reduce(Precedence.order, base)
        guard pending.count > base, pending[pending.count - 1].kind == .pattern else {
          throw syntaxError()
        }
        pending[pending.count - 1].kind = .patternEscape
        try advance()
        return true
      default:
        try reduce(Precedence.or, base)
        if pending.count == base { return false }
        if try closeBracket() { return true }
      }
    }
  }

  private mutating func popOperand() throws(SQLError) -> Operand {
    guard let operand = operands.popLast() else { throw syntaxError() }
    return operand
  }

  private mutating func pushBinary(
    _ operation: BinaryOperator, _ precedence: UInt8, _ base: Int
  ) throws(SQLError) -> Bool {
    try reduce(precedence, base)
    try open(Pending(kind: .binary, precedence: precedence, code: operation.rawValue, token: token))
    return true
  }

  private mutating func parseIs(_ base: Int) throws(SQLError) -> Bool {
    try reduce(Precedence.equality, base)
    let first = token
    try advance()
    var isNegated = try accept(.not)
    if try accept(.distinct) {
      guard token.kind == .from else { throw syntaxError() }
      try advance()
      isNegated.toggle()
    }
    let operation: BinaryOperator = isNegated ? .isNot : .is
    pending.append(Pending(kind: .binary, precedence: Precedence.equality, code: operation.rawValue, token: first))
    return true
  }

  /// LIKE and its kind, and BETWEEN.
  private mutating func pushPattern(isNegated: Bool) throws(SQLError) {
    let first = token
    let operation: PatternOperator
    switch token.kind {
    case .glob: operation = .glob
    case .regexp: operation = .regexp
    case .match: operation = .match
    case .between:
      return try open(Pending(kind: .betweenLow, precedence: 0, flag: isNegated, token: first))
    default: operation = .like
    }
    try open(
      Pending(
        kind: .pattern, precedence: Precedence.equality, code: operation.rawValue, flag: isNegated, token: first))
  }

  private mutating func finishNullTest(isNegated: Bool) throws(SQLError) {
    let operand = try popOperand()
    try push(
      .nullTest(operand.expression, isNegated: isNegated, SourceOffset(Int(operand.start))),
      height: operand.height + 1, operand.start)
    try advance()
  }

  /// At IN; true if a list's first expression is to come.
  private mutating func parseIn(isNegated: Bool) throws(SQLError) -> Bool {
    let first = token
    try advance()
    guard token.kind == .leftParen else {
      let start = token
      let (schema, name, _) = try parseQualifiedName()
      var arguments: [Expression]?
      var height: Int32 = 1
      if try accept(.leftParen) {
        (arguments, height) = try nested { (parser) throws(SQLError) in
          parser.token.kind == .rightParen ? [] : try parser.parseExpressionList()
        }
        try expect(.rightParen)
      }
      try finishIn(
        .table(schema: schema, name: name, arguments: arguments, start.offset), isNegated: isNegated, height: height)
      return false
    }
    try open(Pending(kind: .list, precedence: 0, flag: isNegated, token: first))
    switch token.kind {
    case .select, .values, .with:
      pending.removeLast()
      let select = try parseSelect(isInExpression: true)
      try expect(.rightParen)
      try finishIn(.select(select), isNegated: isNegated, height: lastSelectHeight)
      return false
    case .rightParen:
      pending.removeLast()
      try advance()
      try finishIn(.list([]), isNegated: isNegated, height: 0)
      return false
    default: return true
    }
  }

  private mutating func finishIn(_ set: MembershipSet, isNegated: Bool, height: Int32) throws(SQLError) {
    let operand = try popOperand()
    try push(
      .membership(operand.expression, set, isNegated: isNegated, SourceOffset(Int(operand.start))),
      height: max(operand.height, height) + 1, operand.start)
  }

  // MARK: Reducing

  /// Builds the nodes of all operators on top that bind at least as tightly as `precedence`.
  private mutating func reduce(_ precedence: UInt8, _ base: Int) throws(SQLError) {
    while pending.count > base {
      let top = pending[pending.count - 1]
      guard top.precedence >= precedence else { return }
      pending.removeLast()
      try apply(top)
    }
  }

  private mutating func apply(_ top: Pending) throws(SQLError) {
    let right = try popOperand()
    switch top.kind {
    case .unary: try applyUnary(top, right)
    case .binary:
      let left = try popOperand()
      let operation = BinaryOperator(rawValue: top.code) ?? .or
      let height = max(left.height, right.height) + 1
      let place = SourceOffset(Int(left.start))
      if operation == .is || operation == .isNot, case .literal(.null, _) = right.expression {
        return try push(
          .nullTest(left.expression, isNegated: operation == .isNot, place), height: left.height + 1, left.start)
      }
      try push(.binary(operation, left.expression, right.expression, place), height: height, left.start)
    case .pattern, .patternEscape:
      let escape: Operand? = top.kind == .patternEscape ? right : nil
      let pattern = top.kind == .patternEscape ? try popOperand() : right
      let left = try popOperand()
      let match = PatternMatch(
        PatternOperator(rawValue: top.code) ?? .like, isNegated: top.flag, operand: left.expression,
        pattern: pattern.expression, escape: escape?.expression, offset: top.token.offset)
      let height = max(left.height, pattern.height, escape?.height ?? 0)
      try push(.pattern(match), height: height + (top.flag ? 2 : 1), left.start)
    case .betweenHigh:
      let low = try popOperand()
      let left = try popOperand()
      let node = Expression.between(
        left.expression, low: low.expression, high: right.expression, isNegated: top.flag,
        SourceOffset(Int(left.start)))
      try push(node, height: max(left.height, low.height, right.height) + (top.flag ? 2 : 1), left.start)
    case .betweenLow, .parenthesis, .function, .conditional, .list, .cast:
      preconditionFailure("a bracket is closed, not reduced")
    }
  }

  private mutating func applyUnary(_ top: Pending, _ operand: Operand) throws(SQLError) {
    let operation = UnaryOperator(rawValue: top.code) ?? .plus
    if operation == .negate, case .literal(let literal, let place) = operand.expression {
      switch literal {
      case .real(0x1p63) where isMagnitudeOfSmallestInteger(at: place.value):
        return try push(.literal(.integer(.min), place), height: 1, operand.start)
      case .integer(.min) where isHexadecimal(at: place.value):
        let number = lexer.token(at: place.value)
        throw SQLError("hex literal too big: -\(text(number))", at: place.value)
      default: break
      }
    }
    try push(
      .unary(operation, operand.expression, SourceOffset(Int(operand.start))), height: operand.height + 1,
      operand.start)
  }

  // MARK: Closing brackets

  /// At a token that is no operator, with an open bracket on top; true if an operand is to come.
  private mutating func closeBracket() throws(SQLError) -> Bool {
    let top = pending[pending.count - 1]
    switch (top.kind, token.kind) {
    case (.parenthesis, .comma), (.function, .comma), (.list, .comma):
      try advance()
      return true
    case (.parenthesis, .rightParen):
      pending.removeLast()
      let count = operands.count - top.operandBase
      if count > 1 {
        let start = operands[top.operandBase].start
        let (parts, height) = popOperands(from: top.operandBase)
        try push(.row(parts, top.token.offset), height: height + 1, start)
      }
      try advance()
    case (.function, .rightParen), (.function, .order): try closeFunction()
    case (.list, .rightParen):
      pending.removeLast()
      let (list, height) = popOperands(from: top.operandBase)
      try advance()
      try finishIn(.list(list), isNegated: top.flag, height: height)
    case (.cast, .as):
      pending.removeLast()
      try advance()
      let type = try parseTypeName() ?? TypeName("")
      try expect(.rightParen)
      let operand = try popOperand()
      try push(.cast(operand.expression, type, top.token.offset), height: operand.height + 1, top.token.start)
    case (.conditional, _): return try continueConditional(top)
    default: throw syntaxError()
    }
    return false
  }

  private mutating func popOperands(from base: Int) -> ([Expression], height: Int32) {
    var list: [Expression] = []
    var height: Int32 = 0
    list.reserveCapacity(operands.count - base)
    for index in base..<operands.count {
      list.append(operands[index].expression)
      height = max(height, operands[index].height)
    }
    operands.removeSubrange(base...)
    return (list, height)
  }

  private mutating func continueConditional(_ top: Pending) throws(SQLError) -> Bool {
    let last = pending.count - 1
    switch (top.code, token.kind) {
    case (Stage.operand, .when):
      pending[last].flag = true
      pending[last].code = Stage.condition
    case (Stage.condition, .then): pending[last].code = Stage.result
    case (Stage.result, .when): pending[last].code = Stage.condition
    case (Stage.result, .else): pending[last].code = Stage.otherwise
    case (Stage.result, .end), (Stage.otherwise, .end):
      pending.removeLast()
      let (parts, height) = popOperands(from: top.operandBase)
      let first = top.flag ? 1 : 0
      let hasElse = top.code == Stage.otherwise
      var branches: [Conditional.Branch] = []
      for index in stride(from: first, to: parts.count - (hasElse ? 1 : 0), by: 2) {
        branches.append(Conditional.Branch(condition: parts[index], result: parts[index + 1]))
      }
      let node = Conditional(
        operand: top.flag ? parts[0] : nil, branches: branches, otherwise: hasElse ? parts[parts.count - 1] : nil,
        offset: top.token.offset)
      try push(.conditional(node), height: height + 1, top.token.start)
      try advance()
      return false
    default: throw syntaxError()
    }
    try advance()
    return true
  }

  /// At the `)` or ORDER that ends a call's arguments.
  private mutating func closeFunction() throws(SQLError) {
    let top = pending.removeLast()
    var (arguments, height) = popOperands(from: top.operandBase)
    if arguments.count > limits.functionArgumentCountMax {
      throw SQLError("too many arguments on function \(text(top.token))", at: Int(top.token.start))
    }
    var orderBy: [OrderingTerm] = []
    if token.kind == .order {
      let terms = try nested { (parser) throws(SQLError) in try parser.parseOrderBy() }
      orderBy = terms.0
      height = max(height, terms.height)
      guard token.kind == .rightParen else { throw syntaxError() }
    }
    try finishCall(top.token, arguments: arguments, isDistinct: top.flag, orderBy: orderBy, height: height)
  }

  /// At the closing parenthesis of a call.
  private mutating func finishCall(
    _ first: Token, arguments: [Expression]?, isDistinct: Bool, orderBy: [OrderingTerm] = [], height: Int32
  ) throws(SQLError) {
    try advance()
    var height = height
    var call = FunctionCall(
      name: name(first), arguments: arguments, isDistinct: isDistinct, orderBy: orderBy, offset: first.offset)
    if token.kind == .filter {
      try advance()
      try expect(.leftParen)
      try expect(.where)
      let filter = try nested { (parser) throws(SQLError) in try parser.parseExpression() }
      call.filter = filter.0
      height = max(height, filter.height)
      try expect(.rightParen)
    }
    if token.kind == .over {
      try advance()
      if try accept(.leftParen) {
        let window = try nested { (parser) throws(SQLError) in try parser.parseWindowDefinition() }
        call.over = .window(window.0)
        height = max(height, window.height)
        try expect(.rightParen)
      } else {
        let place = token.offset
        call.over = .named(try parseName(), place)
      }
    }
    try push(.function(call), height: height + 1, first.start)
  }
}
