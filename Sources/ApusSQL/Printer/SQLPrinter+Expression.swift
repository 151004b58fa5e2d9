// Expressions to text. Each is printed under the least precedence its place allows, and gets parentheses below that.

extension SQLPrinter {
  mutating func print(_ expression: Expression) { print(expression, Precedence.or) }

  mutating func print(_ expression: Expression, _ least: UInt8) {
    if SQLPrinter.precedence(expression) < least {
      put("(")
      printBare(expression)
      put(")")
    } else {
      printBare(expression)
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

  private mutating func printBare(_ expression: Expression) {
    switch expression {
    case .literal(let literal, _): print(literal)
    case .parameter(let parameter): put(parameter.name ?? "?")
    case .column(let column):
      if let table = column.table {
        print(schema: column.schema, table)
        put(".")
      }
      print(column.column)
    case .unary(let operation, let operand, _):
      put(operation.symbol)
      let start = text.utf8.count
      print(operand, operation == .not ? Precedence.not : Precedence.sign)
      separateSigns(start)
    case .binary(let operation, let left, let right, _):
      print(left, operation.precedence)
      put(" \(operation.symbol) ")
      print(right, operation.precedence + 1)
    case .collate(let operand, let name, _):
      print(operand, Precedence.collate)
      put(" COLLATE ")
      print(name)
    case .pattern(let match): print(match)
    case .nullTest(let operand, let isNegated, _):
      print(operand, Precedence.equality)
      put(isNegated ? " IS NOT NULL" : " IS NULL")
    case .between(let operand, let low, let high, let isNegated, _):
      print(operand, Precedence.equality)
      put(isNegated ? " NOT BETWEEN " : " BETWEEN ")
      print(low, Precedence.order)
      put(" AND ")
      print(high, Precedence.order)
    case .membership(let operand, let set, let isNegated, _):
      print(operand, Precedence.equality)
      put(isNegated ? " NOT IN " : " IN ")
      print(set)
    case .exists(let select, _):
      put("EXISTS ")
      printInParentheses(select)
    case .subquery(let select, _): printInParentheses(select)
    case .row(let parts, _): printInParentheses(parts)
    case .conditional(let conditional): print(conditional)
    case .cast(let operand, let type, _):
      put("CAST(")
      print(operand)
      put(type.text.isEmpty ? " AS)" : " AS \(type.text))")
    case .raise(let action, let message, _):
      put("RAISE(\(action.keyword)")
      if let message {
        put(", ")
        print(message)
      }
      put(")")
    case .function(let call): print(call)
    }
  }

  /// Two minus signs in a row would begin a comment.
  private mutating func separateSigns(_ start: Int) {
    guard text.utf8.dropFirst(start).first == 0x2d, text.utf8.dropFirst(start - 1).first == 0x2d else { return }
    text.insert(" ", at: text.utf8.index(text.startIndex, offsetBy: start))
  }

  mutating func printInParentheses(_ select: Select) {
    put("(")
    print(select)
    put(")")
  }

  mutating func printInParentheses(_ expressions: [Expression]) {
    put("(")
    list(expressions) { $0.print($1) }
    put(")")
  }

  private mutating func print(_ match: PatternMatch) {
    print(match.operand, Precedence.equality)
    put(match.isNegated ? " NOT \(match.operator.keyword) " : " \(match.operator.keyword) ")
    print(match.pattern, Precedence.order)
    if let escape = match.escape {
      put(" ESCAPE ")
      print(escape, Precedence.order)
    }
  }

  private mutating func print(_ set: MembershipSet) {
    switch set {
    case .list(let list): printInParentheses(list)
    case .select(let select): printInParentheses(select)
    case .table(let schema, let name, let arguments, _):
      print(schema: schema, name)
      if let arguments { printInParentheses(arguments) }
    }
  }

  private mutating func print(_ conditional: Conditional) {
    put("CASE")
    if let operand = conditional.operand {
      put(" ")
      print(operand)
    }
    for branch in conditional.branches {
      put(" WHEN ")
      print(branch.condition)
      put(" THEN ")
      print(branch.result)
    }
    if let otherwise = conditional.otherwise {
      put(" ELSE ")
      print(otherwise)
    }
    put(" END")
  }

  private mutating func print(_ call: FunctionCall) {
    print(call.name)
    put("(")
    if call.isDistinct { put("DISTINCT ") }
    if let arguments = call.arguments {
      list(arguments) { $0.print($1) }
    } else {
      put("*")
    }
    if !call.orderBy.isEmpty {
      put(" ")
      printOrderBy(call.orderBy)
    }
    put(")")
    if let filter = call.filter {
      put(" FILTER (WHERE ")
      print(filter)
      put(")")
    }
    switch call.over {
    case .named(let name, _)?:
      put(" OVER ")
      print(name)
    case .window(let window)?:
      put(" OVER (")
      print(window)
      put(")")
    case nil: break
    }
  }

  mutating func print(_ window: WindowDefinition) {
    var separator = ""
    if let base = window.base {
      print(base)
      separator = " "
    }
    if !window.partitionBy.isEmpty {
      put("\(separator)PARTITION BY ")
      list(window.partitionBy) { $0.print($1) }
      separator = " "
    }
    if !window.orderBy.isEmpty {
      put(separator)
      printOrderBy(window.orderBy)
      separator = " "
    }
    if let frame = window.frame {
      put("\(separator)\(frame.unit.keyword) BETWEEN ")
      print(frame.start)
      put(" AND ")
      print(frame.end)
      switch frame.exclusion {
      case .noOthers: break
      case .currentRow: put(" EXCLUDE CURRENT ROW")
      case .group: put(" EXCLUDE GROUP")
      case .ties: put(" EXCLUDE TIES")
      }
    }
  }

  private mutating func print(_ bound: WindowFrame.Bound) {
    switch bound {
    case .unboundedPreceding: put("UNBOUNDED PRECEDING")
    case .unboundedFollowing: put("UNBOUNDED FOLLOWING")
    case .currentRow: put("CURRENT ROW")
    case .preceding(let distance):
      print(distance)
      put(" PRECEDING")
    case .following(let distance):
      print(distance)
      put(" FOLLOWING")
    }
  }

  mutating func printOrderBy(_ terms: [OrderingTerm]) {
    put("ORDER BY ")
    printTerms(terms)
  }

  mutating func printTerms(_ terms: [OrderingTerm]) {
    list(terms) { printer, term in
      printer.print(term.expression)
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
