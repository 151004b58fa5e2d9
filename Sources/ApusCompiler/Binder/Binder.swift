// Name resolution: from the syntax tree and the catalog to bound expressions. One binder serves one statement.

import ApusBase
import ApusSQL
import ApusVM

/// The names that an expression may use: the FROM items of one query, its result's aliases, and the enclosing scopes.
final class Scope {
  var sources: [Source]
  let parent: Scope?
  /// The select whose scope it is; marked as correlated when a name reaches beyond it.
  var select: BoundSelect?
  var query: BoundQuery?
  var aliases: [BoundResultColumn] = []
  var allowsAggregates = false
  /// Set where the expression must give the same value always.
  let purePlace: PurePlace?
  /// In an index's expressions the row id has no name: "rowid" in double quotes is a string.
  var hidesRowid = false
  var isGroupBy = false
  /// Sources that answer to qualified names only: `excluded`, `new`, `old`.
  var qualifiedSources: [Source] = []

  init(sources: [Source] = [], parent: Scope? = nil, pureIn place: PurePlace? = nil) {
    self.sources = sources
    self.parent = parent
    purePlace = place
  }
}

/// A common table in sight.
final class CommonTableFrame {
  let tables: [CommonTable]
  let parent: CommonTableFrame?
  let scope: Scope?
  init(_ tables: [CommonTable], parent: CommonTableFrame?, scope: Scope?) {
    self.tables = tables
    self.parent = parent
    self.scope = scope
  }
}

final class Binder {
  let context: CompilerContext
  /// Hands out cursor numbers.
  let builder: ProgramBuilder
  /// The text that the syntax tree's spans point into.
  var text: [UInt8]
  /// The view whose body is being bound, unless it is a temporary one: its names mean objects of its own database.
  var homeView: CatalogTable?
  var commonTables: CommonTableFrame?
  var openViews: [CatalogTable] = []
  /// Views that this statement has looked into, and common tables inside others, each as often as it was named.
  var viewCount = 0
  static let viewCountMax = 1000
  /// How deep the binder stands in expressions, each of them one, and in selects, each of them `selectNesting`: what walks
  /// over the bound tree needs as much stack.
  private var nesting = 0
  static let nestingMax = 3000
  static let selectNesting = 5
  /// The common table whose recursive part is being bound.
  var recursion: (name: Name, frame: CommonTableFrame, columns: [SourceColumn], used: [Source])?
  var openCommonTables: [(key: ExactText, frame: CommonTableFrame)] = []
  /// Databases that the statement reads, bit by bit.
  var databasesRead: UInt64 = 0
  /// The tables that FROM items and targets of changes name, in the order of their binding.
  private(set) var boundTables: [CatalogTable] = []
  /// Set when a subquery is bound; programs without one need no second thought.
  var hasSubqueries = false

  init(_ context: CompilerContext, text: [UInt8], builder: ProgramBuilder) {
    self.context = context
    self.text = text
    self.builder = builder
  }

  // MARK: Depth

  func enterSelect() throws(EngineError) {
    if nesting > Self.nestingMax { throw error("VIEWs and/or subqueries nested too deep") }
    nesting += Self.selectNesting
  }

  func leaveSelect() { nesting -= Self.selectNesting }

  func enterExpression() throws(EngineError) {
    if nesting > Self.nestingMax { throw error("Expression tree is too large (maximum depth \(SQLLimits().expressionDepthMax))") }
    nesting += 1
  }

  func leaveExpression() { nesting -= 1 }

  // MARK: What was made

  /// What was made for the statement, for `unlink`.
  private var sources: [Source] = []
  private var aggregates: [AggregateInfo] = []

  func newCursor() -> Int { Int(builder.allocateCursor()) }

  func newSource(_ table: CatalogTable? = nil, alias: Name?, name: String) -> Source {
    let source = Source(cursor: newCursor(), table: table, alias: alias, name: name)
    sources.append(source)
    return source
  }

  func newAggregates() -> AggregateInfo {
    let info = AggregateInfo()
    aggregates.append(info)
    return info
  }

  /// Breaks the circles of the bound tree (an ON reads columns of the FROM item that holds it), so that it is freed.
  func unlink() {
    for source in sources {
      source.on = nil
      source.select = nil
      source.spaceArguments = [:]
    }
    for info in aggregates {
      info.calls = []
      info.slots = []
    }
  }

  func error(_ message: String, _ offset: SourceOffset = .none) -> EngineError {
    EngineError(.error, message, sqlOffset: offset.rawValue >= 0 ? offset.value : nil)
  }

  func unsupported(_ what: String, _ offset: SourceOffset = .none) -> EngineError {
    error("not supported: \(what)", offset)
  }

  /// The text of a span; empty where it was not parsed from this text.
  func source(_ span: SourceSpan) -> String {
    let start = Int(span.start), end = Int(span.end)
    guard start >= 0, start < end, end <= text.count else { return "" }
    return String(decoding: text[start..<end], as: UTF8.self)
  }

  // MARK: Tables

  /// A FROM item, or the target of a change, for a table of the catalog.
  func source(for table: CatalogTable, alias: Name? = nil) -> Source {
    let source = newSource(table, alias: alias ?? table.name, name: table.name.text)
    source.rowEstimate = table.rowEstimate
    databasesRead |= 1 << UInt64(table.database)
    boundTables.append(table)
    return source
  }

  /// The table of this name, or SQLite's error.
  func table(_ reference: TableReference) throws(EngineError) -> CatalogTable {
    if let homeView { return try table(reference, in: homeView) }
    if let table = try context.schemas.table(reference.name, schema: reference.schema) { return table }
    if reference.name == Self.spaceWalkName { throw error("table dbstat may not be modified", reference.offset) }
    if let schema = reference.schema {
      throw error("no such table: \(schema.text).\(reference.name.text)", reference.offset)
    }
    throw error("no such table: \(reference.name.text)", reference.offset)
  }

  private func table(_ reference: TableReference, in view: CatalogTable) throws(EngineError) -> CatalogTable {
    let home = context.schemas.databases[view.database]
    if let schema = reference.schema, context.schemas.database(named: schema) != view.database {
      throw EngineError(
        .corrupt,
        "malformed database schema (\(view.name.text)) - view \(view.name.text) cannot reference objects in database "
          + schema.text)
    }
    if let table = try home.schema.table(reference.name) { return table }
    throw error("no such table: \(home.name.text).\(reference.name.text)", reference.offset)
  }

  // MARK: Columns

  static func isRowidName(_ key: ExactText) -> Bool { key == "rowid" || key == "oid" || key == "_rowid_" }

  func column(_ source: Source, _ number: Int, _ offset: SourceOffset) -> BoundExpression {
    var column = number
    if let table = source.table, table.rowidAlias == number { column = -1 }
    source.markUsed(column)
    return BoundExpression(.column(source, column), offset)
  }

  /// The column that a name means, or the string that SQLite takes a name in double quotes for.
  func bind(_ reference: ColumnReference, _ scope: Scope?) throws(EngineError) -> BoundExpression {
    if let found = try find(reference, scope) { return found }
    if reference.table == nil, reference.column.isDoubleQuoted, context.settings.doubleQuotedStrings {
      return BoundExpression(.text(reference.column.text), reference.offset)
    }
    throw error("no such column: \(reference.spelled)", reference.offset)
  }

  /// Finds the column that a name means, innermost scope first.
  func find(_ reference: ColumnReference, _ scope: Scope?) throws(EngineError) -> BoundExpression? {
    let key = reference.column.key
    let isRowid = Binder.isRowidName(key) && scope?.hidesRowid != true
    var level = scope
    while let current = level {
      var found: BoundExpression?
      var count = 0
      var rowidSources: [Source] = []
      for source in current.sources {
        if let table = reference.table {
          if source.isNested {
            for (number, column) in source.columns.enumerated()
            where column.name.key == key && column.nestedTable == table && reference.schema == nil {
              count += 1
              if found == nil { found = self.column(source, number, reference.offset) }
            }
            continue
          }
          guard answers(source, to: table, schema: reference.schema) else { continue }
        }
        if let number = source.column(named: key) {
          if source.isNested {
            for (place, column) in source.columns.enumerated() where column.name.key == key && !column.isHiddenByUsing {
              if count > 0, source.usingColumns.contains(reference.column) { continue }
              count += 1
              if found == nil { found = self.column(source, place, reference.offset) }
            }
          } else {
            // The right side of USING and NATURAL is the left side's column.
            if count > 0, reference.table == nil, source.usingColumns.contains(reference.column) { continue }
            count += 1
            if found == nil { found = self.column(source, number, reference.offset) }
          }
        } else if isRowid, source.hasRowid {
          rowidSources.append(source)
        }
      }
      if count == 0, let table = reference.table, reference.schema == nil {
        for source in current.qualifiedSources where source.alias == table {
          if let number = source.column(named: key) {
            count += 1
            found = self.column(source, number, reference.offset)
          } else if isRowid, source.hasRowid {
            count += 1
            found = self.column(source, -1, reference.offset)
          }
        }
      }
      if count == 0, !rowidSources.isEmpty {
        count = rowidSources.count
        found = column(rowidSources[0], -1, reference.offset)
      }
      if count == 0, reference.table == nil {
        for column in current.aliases where column.alias == reference.column {
          if !current.allowsAggregates, let call = column.expression.firstAggregate {
            throw error("misuse of aggregate: \(call.name)()", reference.offset)
          }
          guard column.expression.width == 1 else { throw error("row value misused", reference.offset) }
          markCorrelated(from: scope, to: current)
          // Before grouping the expression is another one than behind it.
          return current.allowsAggregates ? column.expression : column.expression.deepCopy()
        }
      }
      if count > 1 { throw error("ambiguous column name: \(reference.spelled)", reference.offset) }
      if let found {
        markCorrelated(from: scope, to: current)
        return found
      }
      level = current.parent
    }
    return nil
  }

  private func answers(_ source: Source, to table: Name, schema: Name?) -> Bool {
    guard source.alias == table else { return false }
    guard let schema else { return true }
    guard let database = source.database else { return false }
    return context.schemas.database(named: schema) == database
  }

  private func markCorrelated(from scope: Scope?, to home: Scope) {
    var level = scope
    while let current = level, current !== home {
      current.select?.isCorrelated = true
      level = current.parent
    }
  }
}

extension BoundExpression {
  /// Whether it calls a function that may give another value for the same arguments.
  var callsUnstable: Bool {
    contains { node in
      guard case .function(let definition, _) = node.kind else { return false }
      return !definition.traits.contains(.deterministic)
    }
  }

  /// The first aggregate call in it that does not belong to a subquery.
  var firstAggregate: AggregateCall? {
    var found: AggregateCall?
    walk(intoSelects: false) { node in
      if found == nil, case .aggregate(let call) = node.kind { found = call }
      return found == nil
    }
    return found
  }
}
