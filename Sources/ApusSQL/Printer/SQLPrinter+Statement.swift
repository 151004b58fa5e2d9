// Statements to text.

extension SQLPrinter {
  mutating func print(_ statement: Statement) {
    switch statement {
    case .select(let select): print(select)
    case .insert(let insert): print(insert)
    case .update(let update): print(update)
    case .delete(let delete): print(delete)
    case .createTable(let table): print(table)
    case .createIndex(let index): print(index)
    case .createView(let view): print(view)
    case .createTrigger(let trigger): print(trigger)
    case .createVirtualTable(let table): print(table)
    case .alterTable(let alter): print(alter)
    case .drop(let drop): print(drop)
    case .pragma(let pragma): print(pragma)
    case .begin(let mode): put(mode == .deferred ? "BEGIN" : "BEGIN \(mode.keyword)")
    case .commit: put("COMMIT")
    case .rollback: put("ROLLBACK")
    case .savepoint(let name): print("SAVEPOINT ", name)
    case .release(let name): print("RELEASE ", name)
    case .rollbackTo(let name): print("ROLLBACK TO ", name)
    case .attach(let database, let name, let key):
      put("ATTACH ")
      print(database)
      put(" AS ")
      print(name)
      if let key {
        put(" KEY ")
        print(key)
      }
    case .detach(let name):
      put("DETACH ")
      print(name)
    case .vacuum(let schema, let into):
      put("VACUUM")
      if let schema { print(" ", schema) }
      if let into {
        put(" INTO ")
        print(into)
      }
    case .analyze(let schema, let name): print("ANALYZE", schema, name)
    case .reindex(let schema, let name): print("REINDEX", schema, name)
    }
  }

  private mutating func print(_ words: String, _ name: Name) {
    put(words)
    print(name)
  }

  private mutating func print(_ word: String, _ schema: Name?, _ name: Name?) {
    put(word)
    guard let name else { return }
    put(" ")
    print(schema: schema, name)
  }

  private mutating func print(_ pragma: Pragma) {
    put("PRAGMA ")
    print(schema: pragma.schema, pragma.name)
    switch pragma.argument {
    case .name(let name)?: print(" = ", name)
    case .number(let number)?: put(" = \(number)")
    case nil: break
    }
  }

  // MARK: Changes

  private mutating func print(_ insert: Insert) {
    if let with = insert.with { print(with) }
    put("INSERT ")
    if let conflict = insert.conflict { put("OR \(conflict.keyword) ") }
    put("INTO ")
    print(insert.table)
    if !insert.columns.isEmpty {
      put(" ")
      printNames(insert.columns)
    }
    switch insert.source {
    case .defaultValues: put(" DEFAULT VALUES")
    case .select(let select):
      put(" ")
      print(select)
    }
    for upsert in insert.upserts { print(upsert) }
    printReturning(insert.returning)
  }

  private mutating func print(_ upsert: Upsert) {
    put(" ON CONFLICT")
    if !upsert.targets.isEmpty {
      put(" (")
      printTerms(upsert.targets)
      put(")")
      printWhere(upsert.targetFilter)
    }
    switch upsert.action {
    case .nothing: put(" DO NOTHING")
    case .update(let assignments, let filter):
      put(" DO UPDATE SET ")
      print(assignments)
      printWhere(filter)
    }
  }

  private mutating func print(_ assignments: [Assignment]) {
    list(assignments) { printer, assignment in
      if assignment.isRow {
        printer.printNames(assignment.columns)
      } else {
        printer.list(assignment.columns) { $0.print($1) }
      }
      printer.put(" = ")
      printer.print(assignment.value)
    }
  }

  private mutating func printReturning(_ columns: [ResultColumn]) {
    guard !columns.isEmpty else { return }
    put(" RETURNING ")
    print(columns)
  }

  private mutating func print(_ update: Update) {
    if let with = update.with { print(with) }
    put("UPDATE ")
    if let conflict = update.conflict { put("OR \(conflict.keyword) ") }
    print(update.table)
    put(" SET ")
    print(update.assignments)
    if let from = update.from {
      put(" FROM ")
      print(from)
    }
    printWhere(update.filter)
    printReturning(update.returning)
    printTail(update.orderBy, update.limit)
  }

  private mutating func print(_ delete: Delete) {
    if let with = delete.with { print(with) }
    put("DELETE FROM ")
    print(delete.table)
    printWhere(delete.filter)
    printReturning(delete.returning)
    printTail(delete.orderBy, delete.limit)
  }

  // MARK: Definitions

  private mutating func printCreate(_ kind: String, isTemporary: Bool, ifNotExists: Bool, _ schema: Name?, _ name: Name) {
    put(isTemporary ? "CREATE TEMP \(kind) " : "CREATE \(kind) ")
    if ifNotExists { put("IF NOT EXISTS ") }
    print(schema: schema, name)
  }

  private mutating func print(_ table: CreateTable) {
    printCreate(
      "TABLE", isTemporary: table.isTemporary, ifNotExists: table.ifNotExists, table.schema, table.name)
    switch table.body {
    case .select(let select):
      put(" AS ")
      print(select)
    case .columns(let columns, let constraints, let options):
      put(" (")
      list(columns) { $0.print($1) }
      for constraint in constraints {
        put(", ")
        print(constraint)
      }
      put(")")
      if options.contains(.strict) { put(" STRICT") }
      if options.contains(.withoutRowID) { put(options.contains(.strict) ? ", WITHOUT ROWID" : " WITHOUT ROWID") }
    }
  }

  private mutating func print(_ column: ColumnDefinition) {
    print(column.name)
    if let type = column.type { put(" \(type.text)") }
    for constraint in column.constraints {
      put(" ")
      printConstraintName(constraint.name, isAlone: constraint.kind == .nameOnly)
      print(constraint.kind)
    }
  }

  private mutating func printConstraintName(_ name: Name?, isAlone: Bool) {
    guard let name else { return }
    print("CONSTRAINT ", name)
    if !isAlone { put(" ") }
  }

  private mutating func printConflict(_ conflict: ConflictAction?) {
    if let conflict { put(" ON CONFLICT \(conflict.keyword)") }
  }

  private mutating func print(_ kind: ColumnConstraint.Kind) {
    switch kind {
    case .primaryKey(let order, let conflict, let isAutoincrement):
      put(order == .descending ? "PRIMARY KEY DESC" : "PRIMARY KEY")
      printConflict(conflict)
      if isAutoincrement { put(" AUTOINCREMENT") }
    case .notNull(let conflict):
      put("NOT NULL")
      printConflict(conflict)
    case .null(let conflict):
      put("NULL")
      printConflict(conflict)
    case .unique(let conflict):
      put("UNIQUE")
      printConflict(conflict)
    case .check(let condition, _):
      put("CHECK ")
      printInParentheses([condition])
    case .default(let value, _): printDefault(value)
    case .collate(let name): print("COLLATE ", name)
    case .references(let reference): print(reference)
    case .generated(let value, let isStored):
      put("AS ")
      printInParentheses([value])
      if isStored { put(" STORED") }
    case .nameOnly: break
    }
  }

  private mutating func printDefault(_ value: Expression) {
    put("DEFAULT ")
    switch value {
    case .literal(.malformedText, _): printInParentheses([value])
    case .literal, .unary(.negate, .literal, _), .unary(.plus, .literal, _): print(value)
    default: printInParentheses([value])
    }
  }

  private mutating func print(_ reference: ForeignKeyReference) {
    print("REFERENCES ", reference.table)
    if !reference.columns.isEmpty {
      put(" ")
      printNames(reference.columns)
    }
    if reference.onDelete != .noAction { put(" ON DELETE \(reference.onDelete.keyword)") }
    if reference.onUpdate != .noAction { put(" ON UPDATE \(reference.onUpdate.keyword)") }
    if let match = reference.match { print(" MATCH ", match) }
    if reference.isDeferred { put(" DEFERRABLE INITIALLY DEFERRED") }
  }

  private mutating func print(_ constraint: TableConstraint) {
    printConstraintName(constraint.name, isAlone: constraint.kind == .nameOnly)
    switch constraint.kind {
    case .primaryKey(let columns, let isAutoincrement, let conflict):
      put("PRIMARY KEY (")
      printTerms(columns)
      put(isAutoincrement ? " AUTOINCREMENT)" : ")")
      printConflict(conflict)
    case .unique(let columns, let conflict):
      put("UNIQUE (")
      printTerms(columns)
      put(")")
      printConflict(conflict)
    case .check(let condition, let conflict, _):
      put("CHECK ")
      printInParentheses([condition])
      printConflict(conflict)
    case .foreignKey(let columns, let reference):
      put("FOREIGN KEY ")
      printNames(columns)
      put(" ")
      print(reference)
    case .nameOnly: break
    }
  }

  private mutating func print(_ index: CreateIndex) {
    printCreate(
      index.isUnique ? "UNIQUE INDEX" : "INDEX", isTemporary: false, ifNotExists: index.ifNotExists, index.schema,
      index.name)
    print(" ON ", index.table)
    put(" (")
    printTerms(index.columns)
    put(")")
    printWhere(index.filter)
  }

  private mutating func print(_ view: CreateView) {
    printCreate("VIEW", isTemporary: view.isTemporary, ifNotExists: view.ifNotExists, view.schema, view.name)
    if !view.columns.isEmpty {
      put(" ")
      printNames(view.columns)
    }
    put(" AS ")
    print(view.select)
  }

  private mutating func print(_ trigger: CreateTrigger) {
    printCreate(
      "TRIGGER", isTemporary: trigger.isTemporary, ifNotExists: trigger.ifNotExists, trigger.schema, trigger.name)
    switch trigger.timing {
    case .before: put(" BEFORE ")
    case .after: put(" AFTER ")
    case .insteadOf: put(" INSTEAD OF ")
    }
    switch trigger.event {
    case .delete: put("DELETE")
    case .insert: put("INSERT")
    case .update(let columns):
      put("UPDATE")
      if !columns.isEmpty {
        put(" OF ")
        list(columns) { $0.print($1) }
      }
    }
    put(" ON ")
    print(trigger.table)
    if let filter = trigger.filter {
      put(" WHEN ")
      print(filter)
    }
    put(" BEGIN")
    for step in trigger.steps {
      put(" ")
      switch step {
      case .insert(let insert): print(insert)
      case .update(let update): print(update)
      case .delete(let delete): print(delete)
      case .select(let select): print(select)
      }
      put(";")
    }
    put(" END")
  }

  private mutating func print(_ table: CreateVirtualTable) {
    printCreate("VIRTUAL TABLE", isTemporary: false, ifNotExists: table.ifNotExists, table.schema, table.name)
    print(" USING ", table.module)
    if !table.arguments.isEmpty {
      put("(")
      list(table.arguments) { $0.put($1) }
      put(")")
    }
  }

  private mutating func print(_ alter: AlterTable) {
    put("ALTER TABLE ")
    print(alter.table)
    switch alter.action {
    case .rename(let name): print(" RENAME TO ", name)
    case .renameColumn(let column, let name):
      print(" RENAME COLUMN ", column)
      print(" TO ", name)
    case .addColumn(let column, _):
      put(" ADD COLUMN ")
      print(column)
    case .dropColumn(let name): print(" DROP COLUMN ", name)
    case .addConstraint(let constraint, _):
      put(" ADD ")
      print(constraint)
    case .dropConstraint(let name): print(" DROP CONSTRAINT ", name)
    case .setNotNull(let name, let conflict):
      print(" ALTER COLUMN ", name)
      put(" SET NOT NULL")
      printConflict(conflict)
    case .dropNotNull(let name):
      print(" ALTER COLUMN ", name)
      put(" DROP NOT NULL")
    }
  }

  private mutating func print(_ drop: Drop) {
    put("DROP \(drop.kind.keyword) ")
    if drop.ifExists { put("IF EXISTS ") }
    print(schema: drop.schema, drop.name)
  }
}

extension TransactionMode {
  public var keyword: String {
    switch self {
    case .deferred: "DEFERRED"
    case .immediate: "IMMEDIATE"
    case .exclusive: "EXCLUSIVE"
    case .concurrent: "CONCURRENT"
    }
  }
}

extension ConflictAction {
  public var keyword: String {
    switch self {
    case .rollback: "ROLLBACK"
    case .abort: "ABORT"
    case .fail: "FAIL"
    case .ignore: "IGNORE"
    case .replace: "REPLACE"
    }
  }
}

extension ReferenceAction {
  /// As it is written, and as `PRAGMA foreign_key_list` shows it.
  public var keyword: String {
    switch self {
    case .noAction: "NO ACTION"
    case .restrict: "RESTRICT"
    case .setNull: "SET NULL"
    case .setDefault: "SET DEFAULT"
    case .cascade: "CASCADE"
    }
  }
}

extension Drop.Kind {
  public var keyword: String {
    switch self {
    case .table: "TABLE"
    case .index: "INDEX"
    case .view: "VIEW"
    case .trigger: "TRIGGER"
    }
  }
}
