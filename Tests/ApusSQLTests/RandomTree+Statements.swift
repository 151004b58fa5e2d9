// Random statements.

import ApusBase

@testable import ApusSQL

extension RandomTree {
  mutating func statement() -> Statement {
    budget = 12 + random.below(20)
    parameters = 0
    switch random.below(16) {
    case 0...4: return .select(select())
    case 5: return .insert(insert())
    case 6: return .update(update())
    case 7: return .delete(Delete(table: target(), filter: maybe(2) { $0.expression() }, returning: returning()))
    case 8: return .createTable(createTable())
    case 9:
      return stored { tree in
        .createIndex(
          CreateIndex(
            isUnique: tree.chance(2), ifNotExists: tree.chance(2), schema: tree.maybe(3) { $0.name() },
            name: tree.name(), table: tree.name(), columns: tree.several(3) { OrderingTerm($0.expression()) },
            filter: tree.maybe(2) { $0.expression() }))
      }
    case 10:
      return stored { tree in
        .createView(
          CreateView(
            isTemporary: tree.chance(3), ifNotExists: tree.chance(2), schema: nil, name: tree.name(),
            columns: tree.chance(2) ? tree.several(2) { $0.name() } : [], select: tree.select()))
      }
    case 11: return stored { .createTrigger($0.trigger()) }
    case 12: return small()
    default: return definition()
    }
  }

  /// What is stored has no parameters: tries until there are none.
  private mutating func stored(_ body: (inout RandomTree) -> Statement) -> Statement {
    while true {
      budget = 8
      parameters = 0
      let statement = body(&self)
      if parameters == 0 { return statement }
    }
  }

  private mutating func target() -> TableReference {
    TableReference(schema: maybe(3) { $0.name() }, name: name(), alias: maybe(3) { $0.name() })
  }

  private mutating func returning() -> [ResultColumn] {
    chance(3) ? several(2) { .expression($0.expression(), alias: $0.maybe(2) { $0.name() }, span: .none) } : []
  }

  private mutating func assignments() -> [Assignment] {
    several(3) { tree in
      if tree.chance(3) {
        return Assignment(
          columns: [tree.name(), tree.name()], isRow: true,
          value: tree.chance(2) ? .row([tree.expression(), tree.expression()], .none) : .subquery(tree.select(), .none))
      }
      return Assignment(columns: [tree.name()], value: tree.expression())
    }
  }

  private mutating func insert() -> Insert {
    var insert = Insert(
      conflict: maybe(3) { $0.pick(ConflictAction.allCases) }, table: target(),
      columns: chance(2) ? several(3) { $0.name() } : [], source: .defaultValues)
    if !chance(6) {
      let width = 1 + random.below(3)
      let rows = several(3) { tree in (0..<width).map { _ in tree.expression() } }
      insert.source = .select(Select(first: .values(rows, .none)))
      if chance(3) {
        insert.upserts = several(2) { tree in
          Upsert(
            targets: tree.several(2) { OrderingTerm(.column(ColumnReference(column: $0.name()))) },
            targetFilter: tree.maybe(3) { $0.expression() },
            action: tree.chance(2) ? .nothing : .update(tree.assignments(), filter: tree.maybe(2) { $0.expression() }))
        }
      }
    }
    insert.returning = returning()
    return insert
  }

  private mutating func update() -> Update {
    var update = Update(
      conflict: maybe(3) { $0.pick(ConflictAction.allCases) }, table: target(), assignments: assignments())
    if chance(4) { update.from = FromClause([JoinTerm(source: .table(TableReference(name: name())))]) }
    update.filter = maybe(2) { $0.expression() }
    update.returning = returning()
    return update
  }

  private mutating func reference() -> ForeignKeyReference {
    ForeignKeyReference(
      table: name(), columns: chance(2) ? several(2) { $0.name() } : [], onDelete: pick(ReferenceAction.allCases),
      onUpdate: pick(ReferenceAction.allCases), match: maybe(4) { $0.name() }, isDeferred: chance(3))
  }

  private mutating func conflict() -> ConflictAction? { maybe(3) { $0.pick(ConflictAction.allCases) } }

  private mutating func column() -> ColumnDefinition {
    var column = ColumnDefinition(name: name(), type: maybe(2) { TypeName($0.pick(["INT", "VARCHAR(10)", "a b c"])) })
    while chance(2) {
      let kind: ColumnConstraint.Kind =
        switch random.below(9) {
        case 0:
          .primaryKey(order: pick([.ascending, .descending]), conflict: conflict(), isAutoincrement: chance(3))
        case 1: .notNull(conflict: conflict())
        case 2: .unique(conflict: conflict())
        case 3: .check(expression(), .none)
        case 4: .default(chance(2) ? .literal(literal(), .none) : expression(), .none)
        case 5: .collate(name())
        case 6: .references(reference())
        case 7: .generated(expression(), isStored: chance(2))
        default: .null(conflict: conflict())
        }
      column.constraints.append(ColumnConstraint(name: maybe(4) { $0.name() }, kind))
    }
    return column
  }

  private mutating func createTable() -> CreateTable {
    if chance(5) {
      return CreateTable(ifNotExists: chance(2), schema: maybe(3) { $0.name() }, name: name(), body: .select(select()))
    }
    while true {
      budget = 8
      parameters = 0
      let constraints: [TableConstraint] =
        chance(2)
        ? []
        : several(2) { tree in
          let kind: TableConstraint.Kind =
            switch tree.random.below(4) {
            case 0:
              .primaryKey(
                tree.several(2) { OrderingTerm($0.expression()) }, isAutoincrement: tree.chance(4),
                conflict: tree.conflict())
            case 1: .unique(tree.several(2) { OrderingTerm($0.expression()) }, conflict: tree.conflict())
            case 2: .check(tree.expression(), conflict: tree.conflict(), .none)
            default: .foreignKey(tree.several(2) { $0.name() }, tree.reference())
            }
          return TableConstraint(name: tree.maybe(2) { $0.name() }, kind)
        }
      let table = CreateTable(
        isTemporary: false, ifNotExists: chance(2), schema: maybe(3) { $0.name() }, name: name(),
        body: .columns(
          several(4) { $0.column() }, constraints: constraints, options: TableOptions(rawValue: UInt8(random.below(4))))
      )
      if parameters == 0 { return table }
    }
  }

  private mutating func trigger() -> CreateTrigger {
    CreateTrigger(
      ifNotExists: chance(2), schema: maybe(3) { $0.name() }, name: name(),
      timing: pick(CreateTrigger.Timing.allCases),
      event: pick([.delete, .insert, .update(of: []), .update(of: [name()])]),
      table: TableReference(name: name()), filter: maybe(2) { $0.expression() },
      steps: several(3) { tree in
        switch tree.random.below(4) {
        case 0: .select(tree.select())
        case 1: .delete(Delete(table: TableReference(name: tree.name()), filter: tree.maybe(2) { $0.expression() }))
        case 2:
          .update(Update(table: TableReference(name: tree.name()), assignments: tree.assignments()))
        default:
          .insert(
            Insert(
              table: TableReference(name: tree.name()),
              source: .select(Select(first: .values([[tree.expression()]], .none)))))
        }
      })
  }

  private mutating func small() -> Statement {
    switch random.below(12) {
    case 0:
      .pragma(
        Pragma(
          schema: maybe(2) { $0.name() }, name: name(),
          argument: pick([nil, .name(name()), .number("-5"), .number("1.5"), .number("7")])))
    case 1: .begin(pick(TransactionMode.allCases))
    case 2: .commit
    case 3: .rollback
    case 4: .savepoint(name())
    case 5: .release(name())
    case 6: .rollbackTo(name())
    case 7: .attach(database: expression(), name: expression(), key: maybe(3) { $0.expression() })
    case 8: .detach(expression())
    case 9: .vacuum(schema: maybe(2) { $0.name() }, into: maybe(2) { $0.expression() })
    case 10: .analyze(schema: nil, name: maybe(2) { $0.name() })
    default: .reindex(schema: name(), name: name())
    }
  }

  private mutating func definition() -> Statement {
    switch random.below(4) {
    case 0:
      .drop(Drop(pick(Drop.Kind.allCases), ifExists: chance(2), schema: maybe(2) { $0.name() }, name: name()))
    case 1:
      .createVirtualTable(
        CreateVirtualTable(
          ifNotExists: chance(2), schema: maybe(2) { $0.name() }, name: name(), module: name(),
          arguments: chance(2) ? [] : several(3) { $0.pick(["a", "b (c, d)", "tokenize = 'x y'", "1 + (2)"]) }))
    default:
      stored { tree in
        let action: AlterTable.Action =
          switch tree.random.below(7) {
          case 0: .rename(to: tree.name())
          case 1: .renameColumn(tree.name(), to: tree.name())
          case 2: .addColumn(tree.column(), .none)
          case 3: .dropColumn(tree.name())
          case 4:
            .addConstraint(
              TableConstraint(name: tree.maybe(2) { $0.name() }, .check(tree.expression(), conflict: nil, .none)), .none
            )
          case 5: .setNotNull(tree.name(), conflict: tree.conflict())
          default: .dropNotNull(tree.name())
          }
        return .alterTable(
          AlterTable(table: TableReference(schema: tree.maybe(2) { $0.name() }, name: tree.name()), action: action))
      }
    }
  }
}
