// What the compiler knows about an index, the implicit ones of UNIQUE and PRIMARY KEY included.

import ApusBase
import ApusSQL

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

public final class CatalogIndex: @unchecked Sendable {
  public enum Origin: Sendable { case create, unique, primaryKey }

  public let name: Name
  public let origin: Origin
  public let isUnique: Bool
  /// What a UNIQUE or PRIMARY KEY constraint said to do; nil for CREATE INDEX (abort) and unsaid.
  public let conflict: ConflictAction?
  public internal(set) var root: PageNumber
  /// The key's columns, then what identifies the row: the rowid, or the primary key's columns that are not there yet. The
  /// primary key of a WITHOUT ROWID table goes on with all other columns.
  public internal(set) var columns: [IndexColumn]
  /// How many of `columns` the definition names.
  public let keyCount: Int
  /// Of a partial index.
  public let filter: Expression?
  /// Estimated rows that share the first n columns, 10*log2; [0] is the number of entries.
  public internal(set) var rowEstimates: [LogEstimate] = []
  public internal(set) var hasStatistics = false
  public internal(set) var isUnordered = false
  /// Estimated entry width, 10*log2.
  public internal(set) var entryWidth: LogEstimate = 0
  /// All key columns of a unique index are NOT NULL.
  public internal(set) var isUniqueNotNull = false
  /// Table columns below 63 that the entry holds; bit 63 is never set.
  public internal(set) var columnMask: UInt64 = 0

  init(
    name: Name, origin: Origin, isUnique: Bool, conflict: ConflictAction?, root: PageNumber, columns: [IndexColumn],
    keyCount: Int, filter: Expression?
  ) {
    self.name = name
    self.origin = origin
    self.isUnique = isUnique
    self.conflict = conflict
    self.root = root
    self.columns = columns
    self.keyCount = keyCount
    self.filter = filter
  }

  public var hasExpressions: Bool {
    columns.contains { if case .expression = $0.source { true } else { false } }
  }

  /// The place of a table's column (-1: the rowid) in the entry.
  public func position(ofColumn number: Int) -> Int? { columns.firstIndex { $0.number == number } }

  func seal(_ table: CatalogTable) {
    var width = 0
    for part in columns {
      let number = part.number
      width += number < 0 ? 1 : table.columns[number].sizeEstimate
      if number >= 0, number < 63 { columnMask |= 1 << UInt64(number) }
    }
    entryWidth = LogEstimate.of(UInt64(width * 4))
    isUniqueNotNull = isUnique && columns.prefix(keyCount).allSatisfy { part in
      switch part.source {
      case .column(let number): table.columns[number].isNotNull
      case .rowid: true
      case .expression: false
      }
    }
    if !hasStatistics { useDefaultEstimates(table) }
  }

  // SQLite's guesses: ten rows for the first column, and fewer for each further one.
  private func useDefaultEstimates(_ table: CatalogTable) {
    let guesses: [LogEstimate] = [33, 32, 30, 28, 27]
    var entries = table.rowEstimate
    if entries < 99 {
      entries = 99
      table.rowEstimate = 99
    }
    if filter != nil { entries -= 10 }
    rowEstimates = [entries]
    for place in 0..<keyCount { rowEstimates.append(place < guesses.count ? guesses[place] : 23) }
    if isUnique { rowEstimates[keyCount] = 0 }
  }
}
