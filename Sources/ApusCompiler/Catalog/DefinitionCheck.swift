// What the expressions of a stored definition may not say, as far as their text shows it: CREATE and the reading of
// sqlite_schema refuse the same. Which functions there are only a statement knows; see `Generator.checkStable`.

import ApusBase
import ApusSQL

enum DefinitionCheck {
  enum Place: String {
    case indexExpression = "index expressions"
    case indexFilter = "partial index WHERE clauses"
    case check = "CHECK constraints"
  }

  /// - Throws: SQLITE_ERROR with SQLite's message where the expression reads what the row does not hold, or names columns in
  ///   a way that would not outlive a renamed table.
  static func check(_ expression: Expression, of table: some TableShape, at place: Place) throws(EngineError) {
    switch expression {
    case .column(let reference):
      if place == .indexExpression, reference.table != nil {
        throw EngineError(.error, "the \".\" operator prohibited in \(place.rawValue)", sqlOffset: reference.offset.value)
      }
      if isKnown(reference, table, place) { return }
      if reference.table == nil, reference.column.isDoubleQuoted { return }
      throw EngineError(.error, "no such column: \(reference.spelled)", sqlOffset: reference.offset.value)
    case .literal(let literal, let offset):
      switch literal {
      case .currentDate, .currentTime, .currentTimestamp:
        if place == .check { return }
        throw EngineError(
          .error, "non-deterministic functions prohibited in \(place.rawValue)", sqlOffset: offset.value)
      default: return
      }
    default:
      if expression.isSubquery { throw EngineError(.error, "subqueries prohibited in \(place.rawValue)") }
      for operand in expression.operands { try check(operand, of: table, at: place) }
    }
  }

  /// Whether a parenthesised DEFAULT is one that SQLite takes: it reads no column and no table. A name in double quotes is no
  /// string here.
  static func isConstant(_ expression: Expression) -> Bool {
    if case .column = expression { return false }
    return !expression.isSubquery && expression.operands.allSatisfy { isConstant($0) }
  }

  private static func isKnown(_ reference: ColumnReference, _ table: some TableShape, _ place: Place) -> Bool {
    if let qualifier = reference.table, qualifier != table.name { return false }
    if table.column(named: reference.column.key) != nil { return true }
    return place != .indexExpression && table.hasRowid && Binder.isRowidName(reference.column.key)
  }
}

extension Expression {
  /// A select, or a membership that reads one.
  fileprivate var isSubquery: Bool {
    switch self {
    case .exists, .subquery, .membership(_, .select, _, _), .membership(_, .table, _, _): true
    default: false
    }
  }
}
