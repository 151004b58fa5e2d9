// Binds expressions.

import ApusBase
import ApusSQL
import ApusVM

extension Binder {
  /// Binds an expression that must have one value.
  func scalar(_ expression: Expression, _ scope: Scope?) throws(EngineError) -> BoundExpression {
    let bound = try bind(expression, scope)
    try checkScalar(bound)
    return bound
  }

  func checkScalar(_ bound: BoundExpression) throws(EngineError) {
    let width = bound.width
    if width == 1 { return }
    if case .subquery = bound.kind {
      throw error("sub-select returns \(width) columns - expected 1", bound.offset)
    }
    throw error("row value misused", bound.offset)
  }

  /// Binds any expression; row values stay row values.
  func bind(_ expression: Expression, _ scope: Scope?) throws(EngineError) -> BoundExpression {
    try enterExpression()
    defer { leaveExpression() }
    switch expression {
    case .literal(let literal, let offset):
      if case .boolean(let value) = literal, let found = try column(named: value, offset, scope) { return found }
      return try bind(literal, offset)
    case .parameter(let parameter):
      return BoundExpression(.parameter(parameter.index), parameter.offset)
    case .column(let reference):
      return try bind(reference, scope)
    case .unary(let op, let operand, let offset):
      return BoundExpression(.unary(op, try scalar(operand, scope)), offset)
    case .binary(let op, let left, let right, let offset):
      return try bindBinary(op, left, right, offset, scope)
    case .collate(let operand, let name, let offset):
      _ = try context.collation(name)
      return BoundExpression(.collate(try bind(operand, scope), name), offset)
    case .pattern(let match):
      return try bindPattern(match, scope)
    case .nullTest(let operand, let isNegated, let offset):
      return BoundExpression(.nullTest(try scalar(operand, scope), isNegated: isNegated), offset)
    case .between(let operand, let low, let high, let isNegated, let offset):
      return try bindBetween(operand, low, high, isNegated, offset, scope)
    case .membership(let operand, let set, let isNegated, let offset):
      return try bindMembership(operand, set, isNegated, offset, scope)
    case .exists(let select, let offset):
      hasSubqueries = true
      return BoundExpression(.exists(try bind(select, parent: scope)), offset)
    case .subquery(let select, let offset):
      hasSubqueries = true
      return BoundExpression(.subquery(try bind(select, parent: scope)), offset)
    case .row(let parts, let offset):
      var bound: [BoundExpression] = []
      for part in parts { bound.append(try scalar(part, scope)) }
      return BoundExpression(.row(bound), offset)
    case .conditional(let conditional):
      return try bindConditional(conditional, scope)
    case .cast(let operand, let type, let offset):
      let affinity = type.text.isEmpty ? Affinity.numeric : TypeAffinity.of(type.text)
      return BoundExpression(.cast(try scalar(operand, scope), affinity), offset)
    case .raise(_, _, let offset):
      throw error("RAISE() may only be used within a trigger-program", offset)
    case .function(let call):
      return try bind(call, scope)
    }
  }

  private func bind(_ literal: Literal, _ offset: SourceOffset) throws(EngineError) -> BoundExpression {
    switch literal {
    case .null: return BoundExpression(.null, offset)
    case .integer(let value): return BoundExpression(.integer(value), offset)
    case .real(let value): return BoundExpression(.real(value), offset)
    case .text(let value): return BoundExpression(.text(value), offset)
    case .malformedText(let bytes):
      // A cast keeps the bytes; the plus takes its affinity away.
      return BoundExpression(.unary(.plus, BoundExpression(.cast(BoundExpression(.blob(bytes)), .text))), offset)
    case .blob(let value): return BoundExpression(.blob(value), offset)
    case .boolean(let value): return BoundExpression(.integer(value ? 1 : 0), offset)
    case .currentTime: return try call("current_time", [], offset)
    case .currentDate: return try call("current_date", [], offset)
    case .currentTimestamp: return try call("current_timestamp", [], offset)
    }
  }

  /// The column that is called `true` or `false`: it hides the literal.
  private func column(
    named value: Bool, _ offset: SourceOffset, _ scope: Scope?
  ) throws(EngineError) -> BoundExpression? {
    guard scope != nil else { return nil }
    return try find(ColumnReference(column: value ? "true" : "false", offset: offset), scope)
  }

  func call(_ name: String, _ arguments: [BoundExpression], _ offset: SourceOffset) throws(EngineError) -> BoundExpression {
    switch context.functions.lookUp(name, argumentCount: arguments.count) {
    case .found(let definition): return BoundExpression(.function(definition, arguments), offset)
    case .wrongArgumentCount: throw error("wrong number of arguments to function \(name)()", offset)
    case .unknown: throw error("no such function: \(name)", offset)
    }
  }

  // MARK: Operators

  private func bindBinary(
    _ op: BinaryOperator, _ left: Expression, _ right: Expression, _ offset: SourceOffset, _ scope: Scope?
  ) throws(EngineError) -> BoundExpression {
    if op == .is || op == .isNot {
      let isNegated = op == .isNot
      if case .literal(.null, _) = right {
        return BoundExpression(.nullTest(try scalar(left, scope), isNegated: isNegated), offset)
      }
      if case .literal(.boolean(let value), let place) = right, try column(named: value, place, scope) == nil {
        return BoundExpression(.truth(try scalar(left, scope), isTrue: value, isNegated: isNegated), offset)
      }
    }
    if op == .extract || op == .extractText {
      return try call(op == .extract ? "->" : "->>", [try scalar(left, scope), try scalar(right, scope)], offset)
    }
    // AND and OR chains lean to the left and may be long: unroll them.
    if op == .and || op == .or {
      var rights: [(Expression, SourceOffset)] = [(right, offset)]
      var first = left
      while case .binary(op, let a, let b, let place) = first {
        rights.append((b, place))
        first = a
      }
      var node = try scalar(first, scope)
      for (part, place) in rights.reversed() {
        node = BoundExpression(.binary(op, node, try scalar(part, scope)), place)
      }
      return node
    }
    let a = try bind(left, scope), b = try bind(right, scope)
    switch op {
    case .equal, .notEqual, .less, .lessOrEqual, .greater, .greaterOrEqual, .is, .isNot:
      if a.width > 1 || b.width > 1 { return try compareRows(op, a, b, offset) }
    default:
      try checkScalar(a)
      try checkScalar(b)
    }
    return BoundExpression(.binary(op, a, b), offset)
  }

  /// A comparison of row values, as comparisons of their parts.
  func compareRows(
    _ op: BinaryOperator, _ a: BoundExpression, _ b: BoundExpression, _ offset: SourceOffset
  ) throws(EngineError) -> BoundExpression {
    guard a.width == b.width else {
      if case .subquery = b.kind, a.width == 1 { try checkScalar(b) }
      if case .subquery = a.kind, b.width == 1 { try checkScalar(a) }
      throw error("row value misused", offset)
    }
    func part(_ op: BinaryOperator, _ index: Int) -> BoundExpression {
      BoundExpression(.binary(op, a.part(index), b.part(index)), offset)
    }
    func join(_ op: BinaryOperator, _ x: BoundExpression, _ y: BoundExpression) -> BoundExpression {
      BoundExpression(.binary(op, x, y), offset)
    }
    switch op {
    case .equal, .is:
      return (1..<a.width).reduce(part(op, 0)) { join(.and, $0, part(op, $1)) }
    case .notEqual, .isNot:
      return (1..<a.width).reduce(part(op, 0)) { join(.or, $0, part(op, $1)) }
    default:
      let strict: BinaryOperator = op == .less || op == .lessOrEqual ? .less : .greater
      var node = part(op, a.width - 1)
      for index in stride(from: a.width - 2, through: 0, by: -1) {
        node = join(.or, part(strict, index), join(.and, part(.equal, index), node))
      }
      return node
    }
  }

  private func bindBetween(
    _ operand: Expression, _ low: Expression, _ high: Expression, _ isNegated: Bool, _ offset: SourceOffset,
    _ scope: Scope?
  ) throws(EngineError) -> BoundExpression {
    let value = try bind(operand, scope), from = try bind(low, scope), to = try bind(high, scope)
    if value.width == 1, from.width == 1, to.width == 1 {
      return BoundExpression(.between(value, from, to, isNegated: isNegated), offset)
    }
    var tested = value
    if case .subquery = value.kind {
      // The row that BETWEEN tests has the collations of what it selects; on the other side of an operator it has none.
      tested = BoundExpression(
        .row(
          (0..<value.width).map { index in
            let part = value.part(index)
            guard let name = part.memberComparand.collation else { return part }
            let node = BoundExpression(.collate(part, name), offset)
            node.hasCollate = part.memberComparand.hasCollate
            return node
          }), value.offset)
    }
    let node = BoundExpression(
      .binary(
        .and, try compareRows(.greaterOrEqual, tested, from, offset),
        try compareRows(.lessOrEqual, tested, to, offset)),
      offset)
    return isNegated ? BoundExpression(.unary(.not, node), offset) : node
  }

  private func bindPattern(_ match: PatternMatch, _ scope: Scope?) throws(EngineError) -> BoundExpression {
    let name =
      switch match.operator {
      case .like: "like"
      case .glob: "glob"
      case .regexp: "regexp"
      case .match: "match"
      }
    var arguments = [try scalar(match.pattern, scope), try scalar(match.operand, scope)]
    if let escape = match.escape { arguments.append(try scalar(escape, scope)) }
    let node = try call(name, arguments, match.offset)
    return match.isNegated ? BoundExpression(.unary(.not, node), match.offset) : node
  }

  private func bindMembership(
    _ operand: Expression, _ set: MembershipSet, _ isNegated: Bool, _ offset: SourceOffset, _ scope: Scope?
  ) throws(EngineError) -> BoundExpression {
    let value = try bind(operand, scope)
    switch set {
    case .list(let items):
      if value.width > 1 {
        var node: BoundExpression?
        for item in items {
          let row = try bind(item, scope)
          guard row.width == value.width else {
            throw error(
              "IN(...) element has \(row.width) term\(row.width == 1 ? "" : "s") - expected \(value.width)", offset)
          }
          let test = try compareRows(.equal, value, row, offset)
          node = node.map { BoundExpression(.binary(.or, $0, test), offset) } ?? test
        }
        let result = node ?? BoundExpression(.integer(0), offset)
        return isNegated ? BoundExpression(.unary(.not, result), offset) : result
      }
      var bound: [BoundExpression] = []
      bound.reserveCapacity(items.count)
      for item in items { bound.append(try scalar(item, scope)) }
      return BoundExpression(.inList(value, bound, isNegated: isNegated), offset)
    case .select(let select):
      hasSubqueries = true
      return try membership(value, try bind(select, parent: scope), isNegated, offset)
    case .table(let schema, let name, let arguments, let place):
      guard arguments == nil else { throw unsupported("table-valued functions", place) }
      hasSubqueries = true
      let reference = TableReference(schema: schema, name: name, offset: place)
      let query = Query(columns: [.star(place)], from: FromClause([JoinTerm(source: .table(reference))]))
      return try membership(value, try bind(Select(first: .query(query)), parent: scope), isNegated, offset)
    }
  }

  private func membership(
    _ value: BoundExpression, _ select: BoundSelect, _ isNegated: Bool, _ offset: SourceOffset
  ) throws(EngineError) -> BoundExpression {
    guard select.columnCount == value.width else {
      throw error("sub-select returns \(select.columnCount) columns - expected \(value.width)", offset)
    }
    return BoundExpression(.inSelect(value, select, isNegated: isNegated), offset)
  }

  private func bindConditional(_ conditional: Conditional, _ scope: Scope?) throws(EngineError) -> BoundExpression {
    var operand: BoundExpression?
    if let expression = conditional.operand { operand = try scalar(expression, scope) }
    var branches: [(condition: BoundExpression, result: BoundExpression)] = []
    for branch in conditional.branches {
      branches.append((try scalar(branch.condition, scope), try scalar(branch.result, scope)))
    }
    var otherwise: BoundExpression?
    if let expression = conditional.otherwise { otherwise = try scalar(expression, scope) }
    return BoundExpression(.conditional(operand, branches, otherwise), conditional.offset)
  }

  // MARK: Functions

  private func bind(_ call: ApusSQL.FunctionCall, _ scope: Scope?) throws(EngineError) -> BoundExpression {
    let count = call.arguments?.count ?? 0
    let definition: FunctionDefinition
    switch context.functions.lookUp(call.name.key.string, argumentCount: count) {
    case .found(let found): definition = found
    case .wrongArgumentCount:
      throw error("wrong number of arguments to function \(call.name.text)()", call.offset)
    case .unknown: throw error("no such function: \(call.name.text)", call.offset)
    }
    if call.over != nil || definition.traits.contains(.isWindowOnly) {
      guard call.over != nil else { throw error("misuse of window function \(call.name.text)()", call.offset) }
      throw unsupported("window functions", call.offset)
    }
    guard definition.isAggregate else {
      if call.filter != nil {
        throw error("FILTER may not be used with non-aggregate \(call.name.text)()", call.offset)
      }
      if !call.orderBy.isEmpty {
        throw error("ORDER BY may not be used with non-aggregate \(call.name.text)()", call.offset)
      }
      if call.arguments == nil {
        throw error("wrong number of arguments to function \(call.name.text)()", call.offset)
      }
      var arguments: [BoundExpression] = []
      for argument in call.arguments ?? [] { arguments.append(try scalar(argument, scope)) }
      try checkLikelihood(call, definition)
      return BoundExpression(.function(definition.pure(in: scope?.purePlace), arguments), call.offset)
    }
    return try bindAggregate(call, definition, scope)
  }

  // The likelihood is for the planner, before there are values.
  private func checkLikelihood(_ call: ApusSQL.FunctionCall, _ definition: FunctionDefinition) throws(EngineError) {
    guard definition.name == "likelihood", definition.traits.contains(.isInline) else { return }
    if case .literal(.real(0...1), _) = call.arguments?.last { return }
    throw error("second argument to \(call.name.text)() must be a constant between 0.0 and 1.0", call.offset)
  }

  private func bindAggregate(
    _ call: ApusSQL.FunctionCall, _ definition: FunctionDefinition, _ scope: Scope?
  ) throws(EngineError) -> BoundExpression {
    guard let scope, scope.allowsAggregates else {
      if let scope, scope.isGroupBy {
        throw error("aggregate functions are not allowed in the GROUP BY clause", call.offset)
      }
      throw error("misuse of aggregate function \(call.name.text)()", call.offset)
    }
    if call.arguments == nil, !definition.traits.contains(.isCount) {
      throw error("wrong number of arguments to function \(call.name.text)()", call.offset)
    }
    if call.isDistinct, call.arguments?.count != 1 {
      throw error("DISTINCT aggregates must have exactly one argument", call.offset)
    }
    scope.allowsAggregates = false
    defer { scope.allowsAggregates = true }
    var arguments: [BoundExpression] = []
    for argument in call.arguments ?? [] { arguments.append(try scalar(argument, scope)) }
    var filter: BoundExpression?
    if let expression = call.filter { filter = try scalar(expression, scope) }
    var orderBy: [BoundOrder] = []
    for term in call.orderBy {
      orderBy.append(order(term, try scalar(term.expression, scope)))
    }
    if definition.traits.contains(.anyOrder) || count(arguments) == 0 { orderBy = [] }
    let aggregate = AggregateCall(
      definition, name: call.name.text, arguments: arguments, isDistinct: call.isDistinct, filter: filter,
      orderBy: orderBy)
    let node = BoundExpression(.aggregate(aggregate), call.offset)
    let home = owner(of: node, from: scope)
    guard let query = home.query else {
      throw error("misuse of aggregate function \(call.name.text)()", call.offset)
    }
    if query.aggregates == nil { query.aggregates = newAggregates() }
    // Equal calls are computed once.
    if let same = query.aggregates?.calls.first(where: { BoundExpression(.aggregate($0)).matches(node) }) {
      return BoundExpression(.aggregate(same), call.offset)
    }
    query.aggregates?.calls.append(aggregate)
    return node
  }

  private func count(_ list: [BoundExpression]) -> Int { list.count }

  // An aggregate belongs to the innermost query whose columns it reads; to its own where it reads none.
  private func owner(of node: BoundExpression, from scope: Scope) -> Scope {
    var sources: [Source] = []
    var inner: [Source] = []
    node.walk { part in
      if case .column(let source, _) = part.kind { sources.append(source) }
      if case .subquery(let select) = part.kind { inner.append(contentsOf: select.arms.flatMap(\.sources)) }
      if case .exists(let select) = part.kind { inner.append(contentsOf: select.arms.flatMap(\.sources)) }
      if case .inSelect(_, let select, _) = part.kind { inner.append(contentsOf: select.arms.flatMap(\.sources)) }
      return true
    }
    sources.removeAll { source in inner.contains { $0 === source } }
    if sources.isEmpty { return scope }
    var level: Scope? = scope
    while let current = level {
      if sources.contains(where: { source in current.sources.contains { $0 === source } }) { return current }
      level = current.parent
    }
    return scope
  }

  func order(_ term: OrderingTerm, _ bound: BoundExpression) -> BoundOrder {
    let isDescending = term.order == .descending
    let isNullsLast = term.nulls.map { $0 == .last } ?? isDescending
    return BoundOrder(bound, isDescending: isDescending, isNullsLast: isNullsLast)
  }
}
