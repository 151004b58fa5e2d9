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

/// `CHECK (...)`, with what the error calls it: its name, or its text.
public struct CatalogCheck: Sendable {
  public var name: String
  public var expression: Expression
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

/// A table, a view or a virtual table of one database; see `TableDraft` for how it comes about.
public final class CatalogTable: TableShape, Sendable {
  public let name: Name
  /// Which database it belongs to: 0 main, 1 temp, 2... attached ones.
  public let database: Int
  public let root: PageNumber
  public let columns: [CatalogColumn]
  /// The INTEGER PRIMARY KEY column, which is the rowid.
  public let rowidAlias: Int?
  public let isWithoutRowid: Bool
  public let isStrict: Bool
  public let isAutoincrement: Bool
  /// Of the primary key, where it is the rowid.
  public let rowidConflict: ConflictAction?
  /// Column numbers of the primary key, in its order; one for a rowid alias.
  public let primaryKey: [Int]
  /// Newest first, REPLACE ones last, as SQLite tries them. A WITHOUT ROWID table's list holds its primary key too.
  public let indexes: [CatalogIndex]
  /// The primary key's index of a WITHOUT ROWID table, which holds its rows.
  public let primaryKeyIndex: CatalogIndex?
  public let checks: [CatalogCheck]
  public let foreignKeys: [CatalogForeignKey]
  public let view: CatalogView?
  /// The module's name of a virtual table.
  public let virtualModule: Name?
  /// Record field of each column: -1 for a virtual generated one; for WITHOUT ROWID the primary key's order.
  public let fields: [Int]
  /// Estimated rows, 10*log2; 200 (a million rows) where sqlite_stat1 says nothing.
  public let rowEstimate: LogEstimate
  public let hasStatistics: Bool
  /// Estimated row width, 10*log2.
  public let rowWidth: LogEstimate
  /// The whole CREATE statement as sqlite_schema holds it.
  public let sql: String?
  private let triggerRows: [SchemaRow]
  private let columnNumbers: [ExactText: Int]?

  init(_ draft: TableDraft, indexes: [CatalogIndex], fields: [Int], rowWidth: LogEstimate) {
    name = draft.name
    database = draft.database
    root = draft.root
    columns = draft.columns
    rowidAlias = draft.rowidAlias
    isWithoutRowid = draft.isWithoutRowid
    isStrict = draft.isStrict
    isAutoincrement = draft.isAutoincrement
    rowidConflict = draft.rowidConflict
    primaryKey = draft.primaryKey
    self.indexes = indexes
    primaryKeyIndex = draft.isWithoutRowid ? indexes.first { $0.origin == .primaryKey } : nil
    checks = draft.checks
    foreignKeys = draft.foreignKeys
    view = draft.view
    virtualModule = draft.virtualModule
    self.fields = fields
    rowEstimate = draft.rowEstimate
    hasStatistics = draft.hasStatistics
    self.rowWidth = rowWidth
    sql = draft.sql
    triggerRows = draft.triggerRows
    var numbers: [ExactText: Int]?
    if draft.columns.count > Self.listedColumnsMax {
      var found: [ExactText: Int] = [:]
      found.reserveCapacity(draft.columns.count)
      for (number, column) in draft.columns.enumerated() where found[column.name.key] == nil {
        found[column.name.key] = number
      }
      numbers = found
    }
    columnNumbers = numbers
  }

  /// Up to so many columns their names are compared one by one.
  private static let listedColumnsMax = 8

  public var isView: Bool { view != nil }
  public var isVirtual: Bool { virtualModule != nil }
  public var hasRowid: Bool { !isWithoutRowid && view == nil }
  /// sqlite_schema and its kin, which statements may not change.
  public var isSystem: Bool { name.key.hasPrefix("sqlite_") }
  var rowKey: [IndexColumn]? { primaryKeyIndex.map { Array($0.columns.prefix($0.keyCount)) } }

  /// The number of the column of this folded name.
  public func column(named key: ExactText) -> Int? {
    if let columnNumbers { return columnNumbers[key] }
    return columns.firstIndex { $0.name.key == key }
  }

  /// Its triggers, parsed at each call: who only reads the table never needs them.
  /// - Throws: SQLITE_CORRUPT, "malformed database schema (NAME) - ...".
  func triggers() throws(EngineError) -> [CatalogTrigger] {
    var triggers: [CatalogTrigger] = []
    for row in triggerRows {
      guard case .createTrigger(let create) = try row.parsed(), create.name == Name(row.name),
        create.table.name == Name(row.tableName)
      else {
        throw row.malformed()
      }
      triggers.append(CatalogTrigger(name: create.name, table: create.table.name, definition: create))
    }
    return triggers
  }
}
