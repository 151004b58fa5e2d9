// SELECT after name resolution: arms joined by compound operators, each with its FROM items.

import ApusBase
import ApusSQL
import ApusVM

/// A whole select: one arm, or a compound.
final class BoundSelect {
  var arms: [BoundQuery]
  /// operators[i] stands between arms[i] and arms[i + 1].
  var operators: [CompoundOperator]
  /// Of a compound: terms name result columns. A single arm's terms are any expressions.
  var orderBy: [BoundOrder] = []
  var limit: BoundExpression?
  var offset: BoundExpression?
  /// Some name in it belongs to an enclosing query.
  var isCorrelated = false
  /// A recursive common table's body: arms before this index are the initial ones.
  var recursiveArmStart: Int?
  var recursiveSources: [Source] = []
  /// Set once code was generated for it as a subquery: where the result lies, and the subroutine to call again.
  var codedRegister = 0
  /// Estimated rows, known when code for it was generated.
  var rowEstimate: LogEstimate = 0

  init(arms: [BoundQuery], operators: [CompoundOperator] = []) {
    self.arms = arms
    self.operators = operators
  }

  var isCompound: Bool { arms.count > 1 }
  var columns: [BoundResultColumn] { arms[0].columns }
  var columnCount: Int { arms[0].columns.count }

  /// The expression that gives a column its affinity and collation where the select is an operand: the last arm's. Rows of
  /// constants (VALUES) have none to give.
  func comparand(_ column: Int) -> BoundExpression? {
    guard let last = arms.last else { return nil }
    guard last.isValues, let row = last.moreRows.last else { return last.columns[column].expression }
    let isConstant = last.columns.allSatisfy { $0.expression.isConstant }
      && last.moreRows.allSatisfy { $0.allSatisfy { $0.isConstant } }
    return isConstant ? nil : row[column]
  }
}

struct BoundResultColumn {
  var expression: BoundExpression
  /// What the statement calls the column.
  var name: String
  var alias: Name?
  /// FROM item's alias, for parenthesised joins.
  var nestedTable: Name?
  /// Belongs to the right side of a USING; only visible with its table's name.
  var isHiddenByUsing = false

  init(_ expression: BoundExpression, name: String, alias: Name? = nil) {
    self.expression = expression
    self.name = name
    self.alias = alias
  }
}

/// One SELECT or VALUES.
final class BoundQuery {
  var columns: [BoundResultColumn] = []
  var sources: [Source] = []
  var filter: BoundExpression?
  var groupBy: [BoundExpression] = []
  var having: BoundExpression?
  var isDistinct = false
  /// Rows of VALUES beyond the first, which `columns` holds.
  var moreRows: [[BoundExpression]] = []
  /// Set for an aggregate query.
  var aggregates: AggregateInfo?

  init() {}
  var isValues: Bool { !moreRows.isEmpty }
}

/// A column of a FROM item that is a subquery.
struct SourceColumn {
  var name: Name
  var affinity: Affinity
  var collation: Name?
  var declaredType: String?
  var nestedTable: Name?
  var isHiddenByUsing = false
  /// `*` leaves it out.
  var isHidden = false
}

/// A FROM item, or the table that a statement changes.
final class Source {
  /// The machine's cursor on its rows, unique within the program; bit number of planner masks comes from the plan.
  let cursor: Int
  let table: CatalogTable?
  /// The body of a subquery, view or common table.
  var select: BoundSelect?
  /// Columns of `select`.
  var columns: [SourceColumn] = []
  /// What qualified names call it.
  var alias: Name?
  /// The name that messages and EXPLAIN QUERY PLAN use.
  var name: String
  var joinKind: JoinOperator.Kind?
  /// ON, and what USING and NATURAL mean.
  var on: BoundExpression?
  var usingColumns: [Name] = []
  var hint: IndexHint = .none
  /// The schema that the text names it by.
  var writtenSchema: Name?
  /// The database of the table or view.
  var database: Int?
  /// A common table expression's name counts for no database.
  var isCommonTable = false
  var materialization: Materialization?
  /// The parenthesised join it stands for.
  var isNested = false
  /// A recursive reference to the common table being computed.
  var isRecursive = false
  /// It is the built-in relation `dbstat`.
  var isSpaceWalk = false
  /// What its hidden columns and its name are compared with, by column; set when its loop is planned.
  var spaceArguments: [Int: BoundExpression] = [:]
  /// Bit c: column c is used; bit 63: some column from 63 on.
  var usedColumns: UInt64 = 0

  /// Its place in the FROM that is being planned, and which planning that is.
  var place = 0
  var planNumber = -1

  // Set by code generation.
  /// The row's columns lie in registers from here on (a coroutine's row, a row about to be written).
  var registerBase: Int?
  /// With `registerBase`: the register that holds the rowid.
  var rowidRegister: Int?
  /// Covering index cursor: columns are read there, table column -> index column.
  var coveringCursor = -1
  var coveringIndex: CatalogIndex?
  /// The coroutine's state register.
  var coroutineRegister = 0
  var coroutineAddress = 0
  /// Rows were put into an ephemeral table, which `cursor` is open on.
  var isMaterialized = false
  /// Set where it is filled more than once: the register that says whether an automatic index on it is up to date.
  var indexedRegister: Int32 = 0
  /// May stand on the null row.
  var isNullable = false
  /// An automatic index's columns: table column -> entry column.
  var automaticColumns: [Int]?
  var rowEstimate: LogEstimate = 200

  init(cursor: Int, table: CatalogTable?, alias: Name?, name: String) {
    self.cursor = cursor
    self.table = table
    self.alias = alias
    self.name = name
    database = table?.database
  }

  var columnCount: Int { table?.columns.count ?? columns.count }
  var hasRowid: Bool { table?.hasRowid ?? false }

  func column(named key: ExactText) -> Int? {
    if let table { return table.column(named: key) }
    return columns.firstIndex { $0.name.key == key }
  }

  func columnName(_ number: Int) -> Name {
    if let table {
      if number >= 0 { return table.columns[number].name }
      if let alias = table.rowidAlias { return table.columns[alias].name }
      return "rowid"
    }
    return number < 0 ? "rowid" : columns[number].name
  }

  func isHidden(_ number: Int) -> Bool { table?.columns[number].isHidden ?? columns[number].isHidden }

  func affinity(_ number: Int) -> Affinity {
    if number < 0 { return .integer }
    return table?.columns[number].affinity ?? columns[number].affinity
  }

  func collation(_ number: Int) -> Name? {
    if number < 0 { return nil }
    return table != nil ? table?.columns[number].collation : columns[number].collation
  }

  /// The columns of REAL affinity that some arm of `select` may fill with integers.
  var realColumns: [Int] {
    guard let select, select.isCompound || select.arms[0].isValues else { return [] }
    return columns.indices.filter { number in
      columns[number].affinity == .real
        && select.arms.contains { arm in
          arm.columns[number].expression.affinity != .real || arm.moreRows.contains { $0[number].affinity != .real }
        }
    }
  }

  func declaredType(_ number: Int) -> String? {
    if let table {
      if number < 0 { return table.rowidAlias.flatMap { table.columns[$0].declaredType } ?? "INTEGER" }
      return table.columns[number].declaredType
    }
    return number < 0 ? nil : columns[number].declaredType
  }

  func markUsed(_ number: Int) {
    if number >= 0 { usedColumns |= 1 << UInt64(min(number, 63)) }
  }
}
