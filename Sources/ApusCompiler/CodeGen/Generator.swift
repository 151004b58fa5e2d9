// Writes the program of one statement. The files of this room add to it: expressions, conditions, loops, selects.

import ApusBase
import ApusSQL
import ApusStorage
import ApusVM

final class Generator {
  let context: CompilerContext
  let builder: ProgramBuilder
  let binder: Binder

  /// Constants that are computed once, before the program's first row.
  private var hoisted: [(expression: BoundExpression, register: Int32)] = []
  /// Columns are read in place: right while no register outlives its cursor's row.
  var borrowsColumns = true
  /// Virtual columns that are being computed: one that needs itself has no value.
  var openGeneratedColumns: [(table: CatalogTable, number: Int)] = []
  /// The line of EXPLAIN QUERY PLAN that new lines are children of.
  var planParent: Int32 = 0
  var subqueryCount = 0
  /// Numbers the plans, so that FROM items know theirs.
  var planCount = 0
  var indexExpressionCache: [IndexExpressionKey: [BoundExpression?]] = [:]
  private let start: Label
  private var databasesVerified: UInt64 = 0
  /// Databases that the program writes, with whether whole-transaction rules apply.
  private var databasesWritten: UInt64 = 0
  private var keyDescriptions: [ObjectIdentifier: Int32] = [:]

  init(_ context: CompilerContext, sql: String, text: [UInt8], explainMode: Int) {
    self.context = context
    builder = ProgramBuilder(sql: sql, explainMode: explainMode)
    builder.textEncoding = context.settings.textEncoding
    binder = Binder(context, text: text, builder: builder)
    start = builder.makeLabel()
    builder.emit(.initialize, to: start)
  }

  // MARK: The frame of a program

  /// The program uses this database; it will begin a read transaction and verify the schema.
  func reads(_ database: Int) { databasesVerified |= 1 << UInt64(database) }

  /// The program writes this database.
  func writes(_ database: Int) {
    reads(database)
    databasesWritten |= 1 << UInt64(database)
  }

  /// Ends the program: a halt, then the part that opens transactions and computes constants.
  /// - Parameter endsWithHalt: false where the body has ended itself.
  func finish(endsWithHalt: Bool = true) throws(EngineError) -> Program {
    if endsWithHalt { builder.emit(.halt) }
    builder.place(start)
    databasesVerified |= binder.databasesRead
    for database in context.schemas.databases.indices where databasesVerified & 1 << UInt64(database) != 0 {
      let isWrite = databasesWritten & 1 << UInt64(database) != 0
      if isWrite, context.schemas.databases[database].schema.format < 4 { builder.writesLegacyRecords = true }
      let cookie = context.schemas.databases[database].schema.cookie
      builder.emit(
        .transaction, Int32(database), isWrite ? 1 : 0, Int32(bitPattern: cookie),
        p4: Int32(bitPattern: context.schemas.databases[database].schema.generation), p5: 1)
    }
    builder.databasesUsed = databasesVerified
    builder.databasesWritten = databasesWritten
    if databasesWritten != 0 { builder.isReadOnly = false }
    isHoisting = false
    for entry in hoisted { try code(entry.expression, into: entry.register) }
    builder.emit(.goto, 0, 1)
    return builder.finish()
  }

  // MARK: Registers

  func register() -> Int32 { builder.allocateRegister() }
  func registers(_ count: Int) -> Int32 { builder.allocateRegisters(count) }

  /// Lends a register for the time of `body`.
  func withTemporary<R>(_ body: (Int32) throws(EngineError) -> R) throws(EngineError) -> R {
    let register = builder.allocateTemporary()
    defer { builder.releaseTemporary(register) }
    return try body(register)
  }

  /// Constants go to the start of the program; false while that part is written.
  private(set) var isHoisting = true

  /// The register that will hold this constant once the program runs.
  /// - Precondition: `isHoisting`.
  func hoist(_ expression: BoundExpression) -> Int32 {
    for entry in hoisted.prefix(64) where entry.expression.matches(expression) { return entry.register }
    let register = builder.allocateRegister()
    hoisted.append((expression, register))
    return register
  }

  // MARK: Trees

  /// The description of an index's key order, all its columns included.
  func keyDescription(_ index: CatalogIndex) throws(EngineError) -> Int32 {
    if let shared = index.keyDescription { return builder.keyIndex(shared) }
    if let known = keyDescriptions[ObjectIdentifier(index)] { return known }
    let number = builder.keyIndex(
      try CatalogIndex.keyDescription(index.columns, index.origin, index.keyCount, context.collations))
    keyDescriptions[ObjectIdentifier(index)] = number
    return number
  }

  /// Opens `cursor` on the rows of a table.
  func open(_ table: CatalogTable, cursor: Int32, forWriting: Bool = false) throws(EngineError) {
    if forWriting { writes(table.database) } else { reads(table.database) }
    let key = try table.primaryKeyIndex.map { index throws(EngineError) in try keyDescription(index) } ?? -1
    builder.emit(
      forWriting ? .openWrite : .openRead, cursor, Int32(bitPattern: table.root.rawValue), Int32(table.database),
      p4: key)
    builder.comment("\(table.name.text)")
  }

  /// Opens `cursor` on an index.
  func open(
    _ index: CatalogIndex, of table: CatalogTable, cursor: Int32, forWriting: Bool = false
  ) throws(EngineError) {
    if forWriting { writes(table.database) } else { reads(table.database) }
    builder.emit(
      forWriting ? .openWrite : .openRead, cursor, Int32(bitPattern: index.root.rawValue), Int32(table.database),
      p4: try keyDescription(index))
    builder.comment("\(index.name.text)")
  }

  /// The key description for sorting by `terms`.
  func keyDescription(_ terms: [BoundOrder], extra: Int = 0) throws(EngineError) -> Int32 {
    var columns: [KeyColumn] = []
    columns.reserveCapacity(terms.count + extra)
    for term in terms {
      columns.append(
        KeyColumn(
          collation: try context.collation(collationForOrder(term.expression)), isDescending: term.isDescending,
          isNullsLast: term.isNullsLast != term.isDescending))
    }
    for _ in 0..<extra { columns.append(KeyColumn()) }
    return builder.keyIndex(KeyDescription(columns))
  }

  /// The key description for telling rows of these values apart.
  func keyDescription(distinguishing expressions: [BoundExpression]) throws(EngineError) -> Int32 {
    var columns: [KeyColumn] = []
    columns.reserveCapacity(expressions.count)
    for expression in expressions {
      columns.append(KeyColumn(collation: try context.collation(collationForOrder(expression))))
    }
    return builder.keyIndex(KeyDescription(columns))
  }

  func collationForOrder(_ expression: BoundExpression) -> Name? {
    let name = expression.collation
    return name?.key == "binary" ? nil : name
  }

  // MARK: Small phrases

  func integer(_ value: Int, into register: Int32) { builder.emit(.integer, Int32(value), register) }

  func null(_ register: Int32, count: Int = 1) {
    builder.emit(.null, 0, register, count > 1 ? register + Int32(count) - 1 : 0)
  }

  /// Runs `body` once per execution of the program.
  func once(_ body: () throws(EngineError) -> Void) throws(EngineError) {
    let behind = builder.makeLabel()
    builder.emit(.once, register(), to: behind)
    try body()
    builder.place(behind)
  }

  func unsupported(_ what: String) -> EngineError { EngineError(.error, "not supported: \(what)") }
}
