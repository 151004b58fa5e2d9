// The parts of an expression, whatever it is: what walks over syntax trees are made of.

extension Expression {
  /// The expressions that it is made of, in the order of the text. What stands inside selects is not among them.
  public var operands: [Expression] {
    switch self {
    case .literal, .parameter, .column, .exists, .subquery: []
    case .unary(_, let a, _), .collate(let a, _, _), .nullTest(let a, _, _), .cast(let a, _, _): [a]
    case .raise(_, let message, _): message.map { [$0] } ?? []
    case .binary(_, let a, let b, _): [a, b]
    case .pattern(let match): [match.operand, match.pattern] + (match.escape.map { [$0] } ?? [])
    case .between(let a, let low, let high, _, _): [a, low, high]
    case .membership(let a, .list(let list), _, _): [a] + list
    case .membership(let a, .select, _, _): [a]
    case .membership(let a, .table(_, _, let arguments, _), _, _): [a] + (arguments ?? [])
    case .row(let parts, _): parts
    case .conditional(let conditional):
      (conditional.operand.map { [$0] } ?? []) + conditional.branches.flatMap { [$0.condition, $0.result] }
        + (conditional.otherwise.map { [$0] } ?? [])
    case .function(let call): call.operands
    }
  }
}

extension FunctionCall {
  fileprivate var operands: [Expression] {
    var parts = arguments ?? []
    parts += orderBy.map(\.expression)
    if let filter { parts.append(filter) }
    if case .window(let window) = over { parts += window.partitionBy + window.orderBy.map(\.expression) }
    return parts
  }
}

extension ColumnReference {
  /// The name with what qualifies it, unquoted, as messages give it.
  public var spelled: String {
    var text = ""
    if let schema { text += schema.text + "." }
    if let table { text += table.text + "." }
    return text + column.text
  }
}
