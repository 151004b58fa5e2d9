// What the compiler knows about an index, the implicit ones of UNIQUE and PRIMARY KEY included.

import ApusBase
import ApusSQL
import ApusStorage

/// One column of an index entry.
public struct IndexColumn: Sendable {
  public enum Source: Sendable {
    case column(Int)
    case rowid
    case expression(Expression)
  }
  public var source: Source
  public var collation: Name?
  public var isDescending: Bool

  /// The table's column, -1 for the rowid, -2 for an expression.
  public var number: Int {
    switch source {
    case .column(let number): number
    case .rowid: -1
    case .expression: -2
    }
  }
}

/// Immutable; see `IndexDraft` for how it comes about.
public final class CatalogIndex: Sendable {
  public enum Origin: Sendable { case create, unique, primaryKey }

  public let name: Name
  public let origin: Origin
  public let isUnique: Bool
  /// What a UNIQUE or PRIMARY KEY constraint said to do; nil for CREATE INDEX (abort) and unsaid.
  public let conflict: ConflictAction?
  public let root: PageNumber
  /// The key's columns, then what identifies the row: the rowid, or the primary key's columns that are not there yet. The
  /// primary key of a WITHOUT ROWID table goes on with all other columns.
  public let columns: [IndexColumn]
  /// How many of `columns` the definition names.
  public let keyCount: Int
  /// Each column's `number`.
  private let numbers: [Int]
  /// Of a partial index.
  public let filter: Expression?
  /// Estimated rows that share the first n columns, 10*log2; [0] is the number of entries.
  public let rowEstimates: [LogEstimate]
  public let hasStatistics: Bool
  public let isUnordered: Bool
  /// Estimated entry width, 10*log2.
  public let entryWidth: LogEstimate
  /// All key columns of a unique index are NOT NULL.
  public let isUniqueNotNull: Bool
  /// Table columns below 63 that the entry holds; bit 63 is never set.
  public let columnMask: UInt64
  /// Some column of the entry is an expression.
  public let hasExpressions: Bool
  /// The order of its entries, shared by all statements; nil where a collation is the application's.
  let keyDescription: KeyDescription?

  init(_ draft: IndexDraft, _ tableColumns: [CatalogColumn], _ rowEstimates: [LogEstimate]) {
    name = draft.name
    origin = draft.origin
    isUnique = draft.isUnique
    conflict = draft.conflict
    root = draft.root
    columns = draft.columns
    numbers = draft.columns.map(\.number)
    keyCount = draft.keyCount
    filter = draft.filter
    self.rowEstimates = rowEstimates
    hasStatistics = draft.hasStatistics
    isUnordered = draft.isUnordered
    var width = 0
    var mask: UInt64 = 0
    var hasExpressions = false
    for part in draft.columns {
      let number = part.number
      width += number < 0 ? 1 : tableColumns[number].sizeEstimate
      if number >= 0, number < 63 { mask |= 1 << UInt64(number) }
      if number == -2 { hasExpressions = true }
    }
    entryWidth = LogEstimate.of(UInt64(width * 4))
    columnMask = mask
    keyDescription = try? Self.keyDescription(draft.columns, draft.origin, draft.keyCount, [:])
    self.hasExpressions = hasExpressions
    isUniqueNotNull = draft.isUnique && draft.columns.prefix(draft.keyCount).allSatisfy { part in
      switch part.source {
      case .column(let number): tableColumns[number].isNotNull
      case .rowid: true
      case .expression: false
      }
    }
  }

  static func keyDescription(
    _ parts: [IndexColumn], _ origin: Origin, _ keyCount: Int, _ collations: [ExactText: Collation]
  ) throws(EngineError) -> KeyDescription {
    var columns: [KeyColumn] = []
    columns.reserveCapacity(parts.count)
    var hasRowid = false
    for part in parts {
      if case .rowid = part.source { hasRowid = true }
      columns.append(
        KeyColumn(
          collation: try CompilerContext.collation(part.collation, collations), isDescending: part.isDescending))
    }
    // Entries of a table without row ids are told apart by its primary key alone.
    let isTable = origin == .primaryKey && !hasRowid
    return KeyDescription(columns, uniqueCount: isTable ? keyCount : nil)
  }

  /// The place of a table's column (-1: the rowid) in the entry.
  public func position(ofColumn number: Int) -> Int? { numbers.firstIndex(of: number) }
}
