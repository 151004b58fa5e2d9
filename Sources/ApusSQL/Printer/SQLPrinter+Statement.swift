// Statements to text.

extension SQLPrinter {
  mutating func write(_ statement: Statement) {
    switch statement {
    case .select(let select): write(select)
    case .insert(let insert): write(insert)
    case .update(let update): write(update)
    case .delete(let delete): write(delete)
    case .createTable(let table): write(table)
    case .createIndex(let index): write(index)
    case .createView(let view): write(view)
    case .createTrigger(let trigger): write(trigger)
    case .createVirtualTable(let table): write(table)
    case .alterTable(let alter): write(alter)
    case .drop(let drop): write(drop)
    case .pragma(let pragma): write(pragma)
    case .begin(let mode): put(mode == .deferred ? "BEGIN" : "BEGIN \(mode.keyword)")
    case .commit: put("COMMIT")
    case .rollback: put("ROLLBACK")
    case .savepoint(let name): write("SAVEPOINT ", name)
    case .release(let name): write("RELEASE ", name)
    case .rollbackTo(let name): write("ROLLBACK TO ", name)
    case .attach(let database, let name, let key):
      put("ATTACH ")
      write(database)
      put(" AS ")
      write(name)
      if let key {
        put(" KEY ")
        write(key)
      }
    case .detach(let name):
      put("DETACH ")
      write(name)
    case .vacuum(let schema, let into):
      put("VACUUM")
      if let schema { write(" ", schema) }
      if let into {
        put(" INTO ")
        write(into)
      }
    case .analyze(let schema, let name): write("ANALYZE", schema, name)
    case .reindex(let schema, let name): write("REINDEX", schema, name)
    }
  }

  private mutating func write(_ words: String, _ name: Name) {
    put(words)
    write(name)
  }

  private mutating func write(_ word: String, _ schema: Name?, _ name: Name?) {
    put(word)
    guard let name else { return }
    put(" ")
    write(schema: schema, name)
  }

  private mutating func write(_ pragma: Pragma) {
    put("PRAGMA ")
    write(schema: pragma.schema, pragma.name)
    switch pragma.argument {
    case .name(let name)?: write(" = ", name)
    case .number(let number)?: put(" = \(number)")
    case nil: break
    }
  }

  // MARK: Changes

  private mutating func write(_ insert: Insert) {
    if let with = insert.with { write(with) }
    put("INSERT ")
    if let conflict = insert.conflict { put("OR \(conflict.keyword) ") }
    put("INTO ")
    write(insert.table)
    if !insert.columns.isEmpty {
      put(" ")
      writeNames(insert.columns)
    }
    switch insert.source {
    case .defaultValues: put(" DEFAULT VALUES")
    case .select(let select):
      put(" ")
      write(select)
    }
    for upsert in insert.upserts { write(upsert) }
    writeReturning(insert.returning)
  }

  private mutating func write(_ upsert: Upsert) {
    put(" ON CONFLICT")
    if !upsert.targets.isEmpty {
      put(" (")
      writeTerms(upsert.targets)
      put(")")
      writeWhere(upsert.targetFilter)
    }
    switch upsert.action {
    case .nothing: put(" DO NOTHING")
    case .update(let assignments, let filter):
      put(" DO UPDATE SET ")
      write(assignments)
      writeWhere(filter)
    }
  }

  private mutating func write(_ assignments: [Assignment]) {
    list(assignments) { printer, assignment in
      if assignment.isRow {
        printer.writeNames(assignment.columns)
      } else {
        printer.list(assignment.columns) { $0.write($1) }
      }
      printer.put(" = ")
      printer.write(assignment.value)
    }
  }

  private mutating func writeReturning(_ columns: [ResultColumn]) {
    guard !columns.isEmpty else { return }
    put(" RETURNING ")
    write(columns)
  }

  private mutating func write(_ update: Update) {
    if let with = update.with { write(with) }
    put("UPDATE ")
    if let conflict = update.conflict { put("OR \(conflict.keyword) ") }
    write(update.table)
    put(" SET ")
    write(update.assignments)
    if let from = update.from {
      put(" FROM ")
      write(from)
    }
    writeWhere(update.filter)
    writeReturning(update.returning)
    writeTail(update.orderBy, update.limit)
  }

  private mutating func write(_ delete: Delete) {
    if let with = delete.with { write(with) }
    put("DELETE FROM ")
    write(delete.table)
    writeWhere(delete.filter)
    writeReturning(delete.returning)
    writeTail(delete.orderBy, delete.limit)
  }

  // MARK: Definitions

  private mutating func writeCreate(_ kind: String, isTemporary: Bool, ifNotExists: Bool, _ schema: Name?, _ name: Name)
  {
    put(isTemporary ? "CREATE TEMP \(kind) " : "CREATE \(kind) ")
    if ifNotExists { put("IF NOT EXISTS ") }
    write(schema: schema, name)
  }

  private mutating func write(_ table: CreateTable) {
    writeCreate(
      "TABLE", isTemporary: table.isTemporary, ifNotExists: table.ifNotExists, table.schema, table.name)
    switch table.body {
    case .select(let select):
      put(" AS ")
      write(select)
    case .columns(let columns, let constraints, let options):
      put(" (")
      list(columns) { $0.write($1) }
      for constraint in constraints {
        put(", ")
        write(constraint)
      }
      put(")")
      if options.contains(.strict) { put(" STRICT") }
      if options.contains(.withoutRowID) { put(options.contains(.strict) ? ", WITHOUT ROWID" : " WITHOUT ROWID") }
    }
  }

  private mutating func write(_ column: ColumnDefinition) {
    write(column.name)
    if let type = column.type { write(type) }
    for constraint in column.constraints {
      put(" ")
      writeConstraintName(constraint.name, isAlone: constraint.kind == .nameOnly)
      write(constraint.kind)
    }
  }

  private mutating func writeConstraintName(_ name: Name?, isAlone: Bool) {
    guard let name else { return }
    write("CONSTRAINT ", name)
    if !isAlone { put(" ") }
  }

  private mutating func writeConflict(_ conflict: ConflictAction?) {
    if let conflict { put(" ON CONFLICT \(conflict.keyword)") }
  }

  private mutating func write(_ kind: ColumnConstraint.Kind) {
    switch kind {
    case .primaryKey(let order, let conflict, let isAutoincrement):
      put(order == .descending ? "PRIMARY KEY DESC" : "PRIMARY KEY")
      writeConflict(conflict)
      if isAutoincrement { put(" AUTOINCREMENT") }
    case .notNull(let conflict):
      put("NOT NULL")
      writeConflict(conflict)
    case .null(let conflict):
      put("NULL")
      writeConflict(conflict)
    case .unique(let conflict):
      put("UNIQUE")
      writeConflict(conflict)
    case .check(let condition, _):
      put("CHECK ")
      writeInParentheses([condition])
    case .default(let value, _): writeDefault(value)
    case .collate(let name): write("COLLATE ", name)
    case .references(let reference): write(reference)
    case .generated(let value, let isStored):
      put("AS ")
      writeInParentheses([value])
      if isStored { put(" STORED") }
    case .nameOnly: break
    }
  }

  private mutating func writeDefault(_ value: Expression) {
    put("DEFAULT ")
    switch value {
    case .literal(.malformedText, _): writeInParentheses([value])
    case .literal, .unary(.negate, .literal, _), .unary(.plus, .literal, _): write(value)
    default: writeInParentheses([value])
    }
  }

  private mutating func write(_ reference: ForeignKeyReference) {
    write("REFERENCES ", reference.table)
    if !reference.columns.isEmpty {
      put(" ")
      writeNames(reference.columns)
    }
    if reference.onDelete != .noAction { put(" ON DELETE \(reference.onDelete.keyword)") }
    if reference.onUpdate != .noAction { put(" ON UPDATE \(reference.onUpdate.keyword)") }
    if let match = reference.match { write(" MATCH ", match) }
    if reference.isDeferred { put(" DEFERRABLE INITIALLY DEFERRED") }
  }

  private mutating func write(_ constraint: TableConstraint) {
    writeConstraintName(constraint.name, isAlone: constraint.kind == .nameOnly)
    switch constraint.kind {
    case .primaryKey(let columns, let isAutoincrement, let conflict):
      put("PRIMARY KEY (")
      writeTerms(columns)
      put(isAutoincrement ? " AUTOINCREMENT)" : ")")
      writeConflict(conflict)
    case .unique(let columns, let conflict):
      put("UNIQUE (")
      writeTerms(columns)
      put(")")
      writeConflict(conflict)
    case .check(let condition, let conflict, _):
      put("CHECK ")
      writeInParentheses([condition])
      writeConflict(conflict)
    case .foreignKey(let columns, let reference):
      put("FOREIGN KEY ")
      writeNames(columns)
      put(" ")
      write(reference)
    case .nameOnly: break
    }
  }

  private mutating func write(_ index: CreateIndex) {
    writeCreate(
      index.isUnique ? "UNIQUE INDEX" : "INDEX", isTemporary: false, ifNotExists: index.ifNotExists, index.schema,
      index.name)
    write(" ON ", index.table)
    put(" (")
    writeTerms(index.columns)
    put(")")
    writeWhere(index.filter)
  }

  private mutating func write(_ view: CreateView) {
    writeCreate("VIEW", isTemporary: view.isTemporary, ifNotExists: view.ifNotExists, view.schema, view.name)
    if !view.columns.isEmpty {
      put(" ")
      writeNames(view.columns)
    }
    put(" AS ")
    write(view.select)
  }

  private mutating func write(_ trigger: CreateTrigger) {
    writeCreate(
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
        list(columns) { $0.write($1) }
      }
    }
    put(" ON ")
    write(trigger.table)
    if let filter = trigger.filter {
      put(" WHEN ")
      write(filter)
    }
    put(" BEGIN")
    for step in trigger.steps {
      put(" ")
      switch step {
      case .insert(let insert): write(insert)
      case .update(let update): write(update)
      case .delete(let delete): write(delete)
      case .select(let select): write(select)
      }
      put(";")
    }
    put(" END")
  }

  private mutating func write(_ table: CreateVirtualTable) {
    writeCreate("VIRTUAL TABLE", isTemporary: false, ifNotExists: table.ifNotExists, table.schema, table.name)
    write(" USING ", table.module)
    if !table.arguments.isEmpty {
      put("(")
      list(table.arguments) { $0.put($1) }
      put(")")
    }
  }

  private mutating func write(_ alter: AlterTable) {
    put("ALTER TABLE ")
    write(alter.table)
    switch alter.action {
    case .rename(let name): write(" RENAME TO ", name)
    case .renameColumn(let column, let name):
      write(" RENAME COLUMN ", column)
      write(" TO ", name)
    case .addColumn(let column, _):
      put(" ADD COLUMN ")
      write(column)
    case .dropColumn(let name): write(" DROP COLUMN ", name)
    case .addConstraint(let constraint, _):
      put(" ADD ")
      write(constraint)
    case .dropConstraint(let name): write(" DROP CONSTRAINT ", name)
    case .setNotNull(let name, let conflict):
      write(" ALTER COLUMN ", name)
      put(" SET NOT NULL")
      writeConflict(conflict)
    case .dropNotNull(let name):
      write(" ALTER COLUMN ", name)
      put(" DROP NOT NULL")
    }
  }

  private mutating func write(_ drop: Drop) {
    put("DROP \(drop.kind.keyword) ")
    if drop.ifExists { put("IF EXISTS ") }
    write(schema: drop.schema, drop.name)
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
