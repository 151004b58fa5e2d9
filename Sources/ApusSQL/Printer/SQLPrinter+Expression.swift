// Expressions to text. Each is printed under the least precedence its place allows, and gets parentheses below that.

extension SQLPrinter {
  mutating func write(_ expression: Expression) { write(expression, Precedence.or) }

  mutating func write(_ expression: Expression, _ least: UInt8) {
    if SQLPrinter.precedence(expression) < least {
      put("(")
      writeBare(expression)
      put(")")
    } else {
      writeBare(expression)
    }
  }

  private static func precedence(_ expression: Expression) -> UInt8 {
    switch expression {
    case .unary(let operation, _, _): operation == .not ? Precedence.not : Precedence.sign
    case .binary(let operation, _, _, _): operation.precedence
    case .collate: Precedence.collate
    case .pattern, .nullTest, .between, .membership: Precedence.equality
    case .literal, .parameter, .column, .exists, .subquery, .row, .conditional, .cast, .raise, .function:
      Precedence.sign
    }
  }

  private mutating func writeBare(_ expression: Expression) {
    switch expression {
    case .literal(let literal, _): write(literal)
    case .parameter(let parameter): put(parameter.name ?? "?")
    case .column(let column):
      if let table = column.table {
        write(schema: column.schema, table)
        put(".")
      }
      write(column.column)
    case .unary(let operation, let operand, _):
      put(operation.symbol)
      let start = text.utf8.count
      write(operand, operation == .not ? Precedence.not : Precedence.sign)
      separateSigns(start)
    case .binary(let operation, let left, let right, _):
      write(left, operation.precedence)
      put(" \(operation.symbol) ")
      write(right, operation.precedence + 1)
    case .collate(let operand, let name, _):
      write(operand, Precedence.collate)
      put(" COLLATE ")
      write(name)
    case .pattern(let match): write(match)
    case .nullTest(let operand, let isNegated, _):
      write(operand, Precedence.equality)
      put(isNegated ? " IS NOT NULL" : " IS NULL")
    case .between(let operand, let low, let high, let isNegated, _):
      write(operand, Precedence.equality)
      put(isNegated ? " NOT BETWEEN " : " BETWEEN ")
      write(low, Precedence.order)
      put(" AND ")
      write(high, Precedence.order)
    case .membership(let operand, let set, let isNegated, _):
      write(operand, Precedence.equality)
      put(isNegated ? " NOT IN " : " IN ")
      write(set)
    case .exists(let select, _):
      put("EXISTS ")
      writeInParentheses(select)
    case .subquery(let select, _): writeInParentheses(select)
    case .row(let parts, _): writeInParentheses(parts)
    case .conditional(let conditional): write(conditional)
    case .cast(let operand, let type, _):
      put("CAST(")
      write(operand)
      put(" AS")
      write(type)
      put(")")
    case .raise(let action, let message, _):
      put("RAISE(\(action.keyword)")
      if let message {
        put(", ")
        write(message)
      }
      put(")")
    case .function(let call): write(call)
    }
  }

  /// Two minus signs in a row would begin a comment.
  private mutating func separateSigns(_ start: Int) {
    guard text.utf8.dropFirst(start).first == 0x2d, text.utf8.dropFirst(start - 1).first == 0x2d else { return }
    text.insert(" ", at: text.utf8.index(text.startIndex, offsetBy: start))
  }

  mutating func write(_ type: TypeName) {
    switch type.spelling {
    case .words: put(type.text.isEmpty ? "" : " \(type.text)")
    case .quoted: put(" \(Self.quoted(type.text, "\""))")
    case .quotedFirstWord: put(" \(Self.quoted(type.text, "\""))(1)")
    }
  }

  mutating func writeInParentheses(_ select: Select) {
    put("(")
    write(select)
    put(")")
  }

  mutating func writeInParentheses(_ expressions: [Expression]) {
    put("(")
    list(expressions) { $0.write($1) }
    put(")")
  }

  private mutating func write(_ match: PatternMatch) {
    write(match.operand, Precedence.equality)
    put(match.isNegated ? " NOT \(match.operator.keyword) " : " \(match.operator.keyword) ")
    write(match.pattern, Precedence.order)
    if let escape = match.escape {
      put(" ESCAPE ")
      write(escape, Precedence.order)
    }
  }

  private mutating func write(_ set: MembershipSet) {
    switch set {
    case .list(let list): writeInParentheses(list)
    case .select(let select): writeInParentheses(select)
    case .table(let schema, let name, let arguments, _):
      write(schema: schema, name)
      if let arguments { writeInParentheses(arguments) }
    }
  }

  private mutating func write(_ conditional: Conditional) {
    put("CASE")
    if let operand = conditional.operand {
      put(" ")
      write(operand)
    }
    for branch in conditional.branches {
      put(" WHEN ")
      write(branch.condition)
      put(" THEN ")
      write(branch.result)
    }
    if let otherwise = conditional.otherwise {
      put(" ELSE ")
      write(otherwise)
    }
    put(" END")
  }

  private mutating func write(_ call: FunctionCall) {
    write(call.name)
    put("(")
    if call.isDistinct { put("DISTINCT ") }
    if let arguments = call.arguments {
      list(arguments) { $0.write($1) }
    } else {
      put("*")
    }
    if !call.orderBy.isEmpty {
      put(" ")
      writeOrderBy(call.orderBy)
    }
    put(")")
    if let filter = call.filter {
      put(" FILTER (WHERE ")
      write(filter)
      put(")")
    }
    switch call.over {
    case .named(let name, _)?:
      put(" OVER ")
      write(name)
    case .window(let window)?:
      put(" OVER (")
      write(window)
      put(")")
    case nil: break
    }
  }

  mutating func write(_ window: WindowDefinition) {
    var separator = ""
    if let base = window.base {
      write(base)
      separator = " "
    }
    if !window.partitionBy.isEmpty {
      put("\(separator)PARTITION BY ")
      list(window.partitionBy) { $0.write($1) }
      separator = " "
    }
    if !window.orderBy.isEmpty {
      put(separator)
      writeOrderBy(window.orderBy)
      separator = " "
    }
    if let frame = window.frame {
      put("\(separator)\(frame.unit.keyword) BETWEEN ")
      write(frame.start)
      put(" AND ")
      write(frame.end)
      switch frame.exclusion {
      case .noOthers: break
      case .currentRow: put(" EXCLUDE CURRENT ROW")
      case .group: put(" EXCLUDE GROUP")
      case .ties: put(" EXCLUDE TIES")
      }
    }
  }

  private mutating func write(_ bound: WindowFrame.Bound) {
    switch bound {
    case .unboundedPreceding: put("UNBOUNDED PRECEDING")
    case .unboundedFollowing: put("UNBOUNDED FOLLOWING")
    case .currentRow: put("CURRENT ROW")
    case .preceding(let distance):
      write(distance)
      put(" PRECEDING")
    case .following(let distance):
      write(distance)
      put(" FOLLOWING")
    }
  }

  mutating func writeOrderBy(_ terms: [OrderingTerm]) {
    put("ORDER BY ")
    writeTerms(terms)
  }

  mutating func writeTerms(_ terms: [OrderingTerm]) {
    list(terms) { printer, term in
      printer.write(term.expression)
      if term.order == .descending { printer.put(" DESC") }
      if let nulls = term.nulls { printer.put(nulls == .first ? " NULLS FIRST" : " NULLS LAST") }
    }
  }
}

extension UnaryOperator {
  var symbol: String {
    switch self {
    case .negate: "-"
    case .plus: "+"
    case .bitNot: "~"
    case .not: "NOT "
    }
  }
}

extension BinaryOperator {
  /// As it is written.
  public var symbol: String {
    switch self {
    case .or: "OR"
    case .and: "AND"
    case .equal: "="
    case .notEqual: "<>"
    case .is: "IS"
    case .isNot: "IS NOT"
    case .less: "<"
    case .lessOrEqual: "<="
    case .greater: ">"
    case .greaterOrEqual: ">="
    case .bitAnd: "&"
    case .bitOr: "|"
    case .shiftLeft: "<<"
    case .shiftRight: ">>"
    case .add: "+"
    case .subtract: "-"
    case .multiply: "*"
    case .divide: "/"
    case .remainder: "%"
    case .concatenate: "||"
    case .extract: "->"
    case .extractText: "->>"
    }
  }

  var precedence: UInt8 {
    switch self {
    case .or: Precedence.or
    case .and: Precedence.and
    case .equal, .notEqual, .is, .isNot: Precedence.equality
    case .less, .lessOrEqual, .greater, .greaterOrEqual: Precedence.order
    case .bitAnd, .bitOr, .shiftLeft, .shiftRight: Precedence.bits
    case .add, .subtract: Precedence.sum
    case .multiply, .divide, .remainder: Precedence.product
    case .concatenate, .extract, .extractText: Precedence.concatenation
    }
  }
}

extension PatternOperator {
  /// As it is written; lower case, the name of the function it calls.
  public var keyword: String {
    switch self {
    case .like: "LIKE"
    case .glob: "GLOB"
    case .regexp: "REGEXP"
    case .match: "MATCH"
    }
  }
}

extension RaiseAction {
  public var keyword: String {
    switch self {
    case .ignore: "IGNORE"
    case .rollback: "ROLLBACK"
    case .abort: "ABORT"
    case .fail: "FAIL"
    }
  }
}

extension WindowFrame.Unit {
  public var keyword: String {
    switch self {
    case .rows: "ROWS"
    case .range: "RANGE"
    case .groups: "GROUPS"
    }
  }
}
