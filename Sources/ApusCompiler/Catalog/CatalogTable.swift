// What the compiler knows about a table or a view: built once from the rows of sqlite_schema, never changed afterwards.

import ApusBase
import ApusSQL

/// A column of a table, or a result column of a view.
public struct CatalogColumn: Sendable {
  public enum Generation: Sendable { case virtual, stored }

  public var name: Name
  /// As it was written; nil where the definition gives none.
  public var declaredType: String?
  public var affinity: Affinity
  /// The collation's name as written, nil for BINARY.
  public var collation: Name?
  public var isNotNull = false
  public var notNullConflict: ConflictAction?
  public var defaultValue: Expression?
  /// The default's text, for `PRAGMA table_info`.
  public var defaultText: String?
  public var generation: Generation?
  public var generator: Expression?
  /// A hidden column of a virtual table.
  public var isHidden = false
  /// 1-based place in the primary key, zero when no part of it.
  public var primaryKeyPosition = 0
  /// Estimated size, in units of four bytes (see `TypeAffinity`).
  public var sizeEstimate = 1

  public init(name: Name, declaredType: String? = nil, affinity: Affinity = .blob) {
    self.name = name
    self.declaredType = declaredType
    self.affinity = affinity
  }

  public var isStored: Bool { generation != .virtual }
}

/// `CHECK (...)`, with the text that names it in the error.
public struct CatalogCheck: Sendable {
  public var name: String?
  public var expression: Expression
  public var text: String
}

public struct CatalogForeignKey: Sendable {
  public var columns: [Int]
  public var reference: ForeignKeyReference
}

/// A view: its body as parsed, and the text that its result columns' spans point into.
public struct CatalogView: Sendable {
  public var columns: [Name]
  public var select: Select
  public var text: [UInt8]
}

/// A trigger; only its existence is used so far.
public struct CatalogTrigger: Sendable {
  public var name: Name
  public var table: Name
  public var definition: CreateTrigger
}

/// A table, a view or a virtual table of one database. Immutable once its schema is built.
public final class CatalogTable: @unchecked Sendable {
  public let name: Name
  /// Which database it belongs to: 0 main, 1 temp, 2... attached ones.
  public let database: Int
  public internal(set) var root: PageNumber
  public internal(set) var columns: [CatalogColumn]
  /// The INTEGER PRIMARY KEY column, which is the rowid.
  public internal(set) var rowidAlias: Int?
  public internal(set) var isWithoutRowid = false
  public internal(set) var isStrict = false
  public internal(set) var isAutoincrement = false
  /// Of the primary key, where it is the rowid.
  public internal(set) var rowidConflict: ConflictAction?
  /// Column numbers of the primary key, in its order; one for a rowid alias.
  public internal(set) var primaryKey: [Int] = []
  /// Newest first, REPLACE ones last, as SQLite tries them. A WITHOUT ROWID table's list holds its primary key too.
  public internal(set) var indexes: [CatalogIndex] = []
  public internal(set) var checks: [CatalogCheck] = []
  public internal(set) var foreignKeys: [CatalogForeignKey] = []
  public internal(set) var triggers: [CatalogTrigger] = []
  public internal(set) var view: CatalogView?
  /// The module's name of a virtual table.
  public internal(set) var virtualModule: Name?
  /// Record field of each column: -1 for a virtual generated one; for WITHOUT ROWID the primary key's order.
  public internal(set) var fields: [Int] = []
  /// Estimated rows, 10*log2; 200 (a million rows) where sqlite_stat1 says nothing.
  public internal(set) var rowEstimate: LogEstimate = 200
  public internal(set) var hasStatistics = false
  /// Estimated row width, 10*log2.
  public internal(set) var rowWidth: LogEstimate = 0
  /// The whole CREATE statement as sqlite_schema holds it.
  public internal(set) var sql: String?

  private var columnNumbers: [String: Int]?

  public init(name: Name, database: Int, root: PageNumber = .none, columns: [CatalogColumn] = []) {
    self.name = name
    self.database = database
    self.root = root
    self.columns = columns
  }

  public var isView: Bool { view != nil }
  public var isVirtual: Bool { virtualModule != nil }
  public var hasRowid: Bool { !isWithoutRowid && view == nil }
  /// sqlite_schema and its kin, which statements may not change.
  public var isSystem: Bool { name.key.hasPrefix("sqlite_") }

  /// The primary key's index of a WITHOUT ROWID table, which holds its rows.
  public var primaryKeyIndex: CatalogIndex? {
    isWithoutRowid ? indexes.first { $0.origin == .primaryKey } : nil
  }

  /// The number of the column of this folded name.
  public func column(named key: String) -> Int? {
    if let columnNumbers { return columnNumbers[key] }
    return columns.firstIndex { $0.name.key == key }
  }

  /// Fills what is derived: fields, widths, the lookup table. The last step of building.
  func seal() {
    if columns.count > 8 {
      var numbers: [String: Int] = [:]
      numbers.reserveCapacity(columns.count)
      for (number, column) in columns.enumerated() where numbers[column.name.key] == nil {
        numbers[column.name.key] = number
      }
      columnNumbers = numbers
    }
    fields = [Int](repeating: -1, count: columns.count)
    var next = 0
    if isWithoutRowid, let key = primaryKeyIndex {
      for part in key.columns {
        if case .column(let number) = part.source { fields[number] = next }
        next += 1
      }
    } else {
      for number in columns.indices where columns[number].isStored {
        fields[number] = next
        next += 1
      }
    }
    var width = columns.reduce(0) { $0 + $1.sizeEstimate }
    if rowidAlias == nil { width += 1 }
    rowWidth = LogEstimate.of(UInt64(width * 4))
    for index in indexes { index.seal(self) }
  }
}
