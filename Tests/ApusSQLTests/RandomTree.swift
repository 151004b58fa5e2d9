// Random syntax trees such as the parser can make, from a seed.

import ApusBase

@testable import ApusSQL

struct RandomTree {
  var random: SeededRandom
  /// Shrinks with depth, so that trees end.
  var budget = 0
  var parameters = 0

  init(seed: UInt64) { random = SeededRandom(seed: seed) }

  mutating func chance(_ n: Int) -> Bool { random.oneIn(n) }
  mutating func pick<Item>(_ items: [Item]) -> Item { items[random.below(items.count)] }
  mutating func maybe<Item>(_ n: Int, _ body: (inout RandomTree) -> Item) -> Item? { chance(n) ? body(&self) : nil }
  mutating func several<Item>(_ most: Int, _ body: (inout RandomTree) -> Item) -> [Item] {
    (0...random.below(most)).map { _ in body(&self) }
  }

  mutating func name() -> Name {
    let texts = [
      "a", "b", "tbl", "Column1", "x y", "select", "key", "left", "é", "a\"b", "`", "]", "'", "true", "_1", "x$",
    ]
    return Name(pick(texts), quote: pick([.none, .none, .double, .backtick]))
  }

  mutating func literal() -> Literal {
    switch random.below(11) {
    case 0: .null
    case 1: .integer(pick([0, 1, 42, .max, .min, -1, -4096]))
    case 2: .real(pick([0.5, 1, 1e300, .leastNonzeroMagnitude, 9.3e18, 0x1p63, .infinity, 123456789.125]))
    case 3: .text(pick(["", "a", "it's", "é\u{1F600}", "\"", "a\nb"]))
    case 4: .blob(pick([[], [0], [255, 1, 16]]))
    case 5: .boolean(chance(2))
    case 6: pick([.currentDate, .currentTime, .currentTimestamp])
    default: .integer(Int64(random.below(1000)))
    }
  }

  mutating func expression() -> Expression {
    budget -= 1
    if budget < 0 { return leaf() }
    switch random.below(20) {
    case 0...3: return leaf()
    case 4: return .unary(pick(UnaryOperator.allCases), negatable(), .none)
    case 5...8: return .binary(pick(BinaryOperator.allCases), expression(), notNull(), .none)
    case 9: return .collate(expression(), name(), .none)
    case 10:
      return .pattern(
        PatternMatch(
          pick(PatternOperator.allCases), isNegated: chance(2), operand: expression(), pattern: expression(),
          escape: maybe(3) { $0.expression() }))
    case 11: return .nullTest(expression(), isNegated: chance(2), .none)
    case 12: return .between(expression(), low: expression(), high: expression(), isNegated: chance(2), .none)
    case 13: return .membership(expression(), membershipSet(), isNegated: chance(2), .none)
    case 14: return chance(2) ? .exists(select(), .none) : .subquery(select(), .none)
    case 15: return .row([expression()] + several(3) { $0.expression() }, .none)
    case 16:
      return .conditional(
        Conditional(
          operand: maybe(2) { $0.expression() },
          branches: several(3) { Conditional.Branch(condition: $0.expression(), result: $0.expression()) },
          otherwise: maybe(2) { $0.expression() }))
    case 17: return .cast(expression(), TypeName(pick(["INTEGER", "VARCHAR(10)", "DECIMAL(10, -2)", ""])), .none)
    case 18 where chance(4):
      let action = pick(RaiseAction.allCases)
      return .raise(action, message: action == .ignore ? nil : expression(), .none)
    default: return .function(call())
    }
  }

  /// `IS NULL` is a test of its own.
  private mutating func notNull() -> Expression {
    let right = expression()
    if case .literal(.null, _) = right { return .literal(.integer(1), .none) }
    return right
  }

  /// What a sign can stand before and stay a sign.
  private mutating func negatable() -> Expression {
    let operand = expression()
    if case .literal(.integer(let value), _) = operand, value < 0 { return .literal(.integer(1), .none) }
    return operand
  }

  private mutating func leaf() -> Expression {
    switch random.below(6) {
    case 0, 1: return .literal(literal(), .none)
    case 2:
      parameters += 1
      return .parameter(Parameter(index: parameters, name: chance(2) ? ":p\(parameters)" : nil))
    default:
      let table = maybe(3) { $0.name() }
      return .column(
        ColumnReference(schema: table == nil ? nil : maybe(3) { $0.name() }, table: table, column: name()))
    }
  }

  private mutating func membershipSet() -> MembershipSet {
    switch random.below(4) {
    case 0: .select(select())
    case 1:
      .table(
        schema: maybe(3) { $0.name() }, name: name(), arguments: maybe(2) { $0.several(2) { $0.expression() } }, .none)
    default: .list(chance(5) ? [] : several(4) { $0.expression() })
    }
  }

  private mutating func call() -> FunctionCall {
    let isStar = chance(5)
    return FunctionCall(
      name: name(), arguments: isStar ? nil : chance(5) ? [] : several(3) { $0.expression() },
      isDistinct: !isStar && chance(5), orderBy: !isStar && chance(6) ? several(2) { $0.term() } : [],
      filter: maybe(6) { $0.expression() },
      over: maybe(6) { $0.chance(2) ? .named($0.name(), .none) : .window($0.window()) })
  }

  private mutating func window() -> WindowDefinition {
    WindowDefinition(
      base: maybe(3) { $0.name() }, partitionBy: chance(2) ? several(2) { $0.expression() } : [],
      orderBy: chance(2) ? several(2) { $0.term() } : [],
      frame: maybe(2) {
        let (start, end) = $0.bounds()
        return WindowFrame(
          unit: $0.pick(WindowFrame.Unit.allCases), start: start, end: end,
          exclusion: $0.pick(WindowFrame.Exclusion.allCases))
      })
  }

  private mutating func bounds() -> (WindowFrame.Bound, WindowFrame.Bound) {
    switch random.below(6) {
    case 0: (.unboundedPreceding, .currentRow)
    case 1: (.currentRow, .unboundedFollowing)
    case 2: (.unboundedPreceding, .unboundedFollowing)
    case 3: (.preceding(expression()), .following(expression()))
    case 4: (.following(expression()), .following(expression()))
    default: (.currentRow, .currentRow)
    }
  }

  private mutating func term() -> OrderingTerm {
    OrderingTerm(expression(), order: pick([.ascending, .descending]), nulls: pick([nil, nil, .first, .last]))
  }

  mutating func select() -> Select {
    budget -= 1
    let with = budget > 0 ? maybe(8) { $0.with() } : nil
    let first = core()
    var compounds: [Select.Compound] = []
    while chance(5), compounds.count < 3 {
      compounds.append(Select.Compound(pick(CompoundOperator.allCases), core()))
    }
    var select = Select(with: with, first: first, compounds: compounds)
    if (compounds.last?.core ?? first).isQuery {
      if chance(3) { select.orderBy = several(3) { $0.term() } }
      select.limit = maybe(3) { $0.limit() }
    }
    return select
  }

  private mutating func limit() -> Limit { Limit(count: expression(), offset: maybe(2) { $0.expression() }) }

  private mutating func with() -> With {
    var with = With(isRecursive: chance(2), tables: [])
    for index in 0...random.below(2) {
      var table = commonTable()
      table.name = Name("c\(index)")
      with.tables.append(table)
    }
    return with
  }

  private mutating func commonTable() -> CommonTable {
    CommonTable(
      name: name(), columns: chance(2) ? several(3) { $0.name() } : [],
      materialization: pick([nil, .materialized, .notMaterialized]), select: select())
  }

  private mutating func core() -> SelectCore {
    if chance(6) {
      let width = 1 + random.below(3)
      return .values(several(3) { tree in (0..<width).map { _ in tree.expression() } }, .none)
    }
    var query = Query(isDistinct: chance(4), columns: several(3) { $0.resultColumn() })
    if !chance(4) { query.from = from() }
    if chance(2) { query.filter = expression() }
    if chance(4) { query.groupBy = several(2) { $0.expression() } }
    if chance(5) { query.having = expression() }
    if chance(8) { query.windows = several(2) { NamedWindow(name: $0.name(), definition: $0.window()) } }
    return .query(query)
  }

  private mutating func resultColumn() -> ResultColumn {
    switch random.below(6) {
    case 0: .star(.none)
    case 1: .tableStar(name(), .none)
    default: .expression(expression(), alias: maybe(2) { $0.name() }, span: .none)
    }
  }

  private mutating func from() -> FromClause {
    FromClause(
      (0...random.below(3)).map { index in
        guard index > 0 else { return JoinTerm(source: source()) }
        let kind = pick(JoinOperator.Kind.allCases)
        let source = source()
        let constraint: JoinConstraint =
          chance(2) ? .none : chance(2) ? .on(expression()) : .using(several(2) { $0.name() })
        return JoinTerm(
          join: JoinOperator(kind, isNatural: kind != .comma && chance(3)), source: source, constraint: constraint)
      })
  }

  private mutating func source() -> TableSource {
    switch budget < 0 ? 9 : random.below(10) {
    case 0:
      .function(
        schema: maybe(3) { $0.name() }, name: name(), arguments: several(2) { $0.expression() },
        alias: maybe(2) { $0.name() }, .none)
    case 1, 2: .subquery(select(), alias: maybe(2) { $0.name() }, .none)
    case 3: .nested(from(), alias: maybe(2) { $0.name() }, .none)
    default: .table(table(withAlias: true))
    }
  }

  private mutating func table(withAlias: Bool = false) -> TableReference {
    TableReference(
      schema: maybe(4) { $0.name() }, name: name(), alias: withAlias ? maybe(2) { $0.name() } : nil,
      hint: pick([.none, .none, .notIndexed, .indexedBy(name())]))
  }
}
