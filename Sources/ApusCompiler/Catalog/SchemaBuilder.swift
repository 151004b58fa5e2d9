// Builds a schema from the rows of sqlite_schema, in their order, as SQLite does when it opens a file.

import ApusBase
import ApusSQL

/// A row of sqlite_schema.
public struct SchemaRow: Sendable {
  public var type: String
  public var name: String
  public var tableName: String
  /// nil where the column holds no integer.
  public var root: Int64?
  /// nil for the implicit index of a constraint.
  public var sql: String?

  public init(type: String, name: String, tableName: String, root: Int64?, sql: String?) {
    self.type = type
    self.name = name
    self.tableName = tableName
    self.root = root
    self.sql = sql
  }
}

public struct SchemaBuilder {
  public let database: Int
  /// A table's root beyond this page is damage; 0 does not check.
  public let pageCountMax: UInt32
  var tables: [String: CatalogTable] = [:]
  var indexes: [String: (index: CatalogIndex, table: CatalogTable)] = [:]
  var triggers: [String: CatalogTrigger] = [:]

  public init(database: Int, pageCountMax: UInt32 = 0) {
    self.database = database
    self.pageCountMax = pageCountMax
    let key = database == 1 ? "sqlite_temp_master" : "sqlite_master"
    let table = CatalogTable(name: Name(key), database: database, root: .one, columns: [
      CatalogColumn(name: "type", declaredType: "TEXT", affinity: .text),
      CatalogColumn(name: "name", declaredType: "TEXT", affinity: .text),
      CatalogColumn(name: "tbl_name", declaredType: "TEXT", affinity: .text),
      CatalogColumn(name: "rootpage", declaredType: "INT", affinity: .integer),
      CatalogColumn(name: "sql", declaredType: "TEXT", affinity: .text),
    ])
    for column in 0..<5 where column != 3 { table.columns[column].sizeEstimate = 5 }
    tables[key] = table
  }

  /// Takes the next row. Throws SQLITE_CORRUPT, "malformed database schema (NAME) - ...".
  public mutating func add(_ row: SchemaRow) throws(EngineError) {
    guard let root = row.root else { throw malformed(row.name) }
    guard let sql = row.sql, !sql.isEmpty else {
      guard let entry = indexes[Name.fold(row.name)] else { throw malformed(row.name, "orphan index") }
      guard root >= 2, pageCountMax == 0 || root <= Int64(pageCountMax) else {
        throw malformed(row.name, "invalid rootpage")
      }
      entry.index.root = PageNumber(UInt32(truncatingIfNeeded: root))
      return
    }
    guard sql.utf8.count > 2, sql.utf8.first.map({ $0 | 0x20 }) == 0x63 else { throw malformed(row.name) }
    var buffer = ByteBuffer(capacity: sql.utf8.count)
    buffer.append(contentsOf: sql)
    let statement: ParsedStatement?
    do throws(SQLError) {
      statement = try SQLParser.parseNext(buffer.bytes)
    } catch {
      throw malformed(row.name, error.message)
    }
    do throws(EngineError) {
      try add(statement?.statement, row, PageNumber(UInt32(truncatingIfNeeded: root)), sql)
    } catch {
      throw error.code == .corrupt ? error : malformed(row.name, error.message)
    }
  }

  private mutating func add(
    _ statement: Statement?, _ row: SchemaRow, _ root: PageNumber, _ sql: String
  ) throws(EngineError) {
    switch statement {
    case .createTable(let create):
      guard pageCountMax == 0 || (root.rawValue >= 2 && root.rawValue <= pageCountMax) else {
        throw malformed(row.name, "invalid rootpage")
      }
      let table = try TableBuilder(create, database: database, root: root, sql: sql).build()
      guard tables[table.name.key] == nil else {
        throw EngineError(.error, "table \(table.name.text) already exists")
      }
      add(table)
    case .createIndex(let create):
      guard let table = tables[create.table.key], !table.isView else {
        throw EngineError(.error, "no such table: \(create.table.text)")
      }
      guard root.rawValue >= 2, pageCountMax == 0 || root.rawValue <= pageCountMax else {
        throw malformed(row.name, "invalid rootpage")
      }
      let index = try TableBuilder.index(create, on: table, root: root)
      TableBuilder.link(index, to: table)
      indexes[index.name.key] = (index, table)
    case .createView(let create):
      let table = CatalogTable(name: create.name, database: database)
      table.view = CatalogView(columns: create.columns, select: create.select, text: Array(sql.utf8))
      table.sql = sql
      tables[create.name.key] = table
    case .createTrigger(let create):
      let trigger = CatalogTrigger(name: create.name, table: create.table.name, definition: create)
      triggers[create.name.key] = trigger
      tables[create.table.name.key]?.triggers.append(trigger)
    case .createVirtualTable(let create):
      let table = CatalogTable(name: create.name, database: database)
      table.virtualModule = create.module
      table.sql = sql
      tables[create.name.key] = table
    default:
      throw malformed(row.name)
    }
  }

  mutating func add(_ table: CatalogTable) {
    tables[table.name.key] = table
    for index in table.indexes { indexes[index.name.key] = (index, table) }
  }

  /// A row of sqlite_stat1: `stat` is "rows n1 n2 ... [unordered] [sz=n] [noskipscan]".
  public mutating func addStatistics(table: String, index: String?, stat: String) {
    guard let table = tables[Name.fold(table)] else { return }
    var numbers: [LogEstimate] = []
    var isUnordered = false
    for word in stat.utf8.split(separator: 0x20) {
      if let number = UInt64(Substring(word)) {
        numbers.append(LogEstimate.of(number))
      } else if Substring(word).hasPrefix("unordered") {
        isUnordered = true
      }
    }
    guard let rows = numbers.first else { return }
    if let index, let found = indexes[Name.fold(index)]?.index ?? (index == table.name.text ? table.primaryKeyIndex : nil) {
      guard numbers.count > found.keyCount else { return }
      found.rowEstimates = Array(numbers.prefix(found.keyCount + 1))
      found.hasStatistics = true
      found.isUnordered = isUnordered
      if found.filter == nil {
        table.rowEstimate = rows
        table.hasStatistics = true
      }
    } else if index == nil {
      table.rowEstimate = rows
      table.hasStatistics = true
    }
  }

  /// The root of sqlite_stat1, whose rows `addStatistics` wants; nil where there is none.
  public var statisticsTable: PageNumber? { tables["sqlite_stat1"].map(\.root) }

  /// Makes the schema; the builder is used up.
  public func finish(cookie: UInt32 = 0, generation: UInt32 = 0) -> Schema {
    for table in tables.values { table.seal() }
    return Schema(
      database: database, tables: tables, indexes: indexes, triggers: triggers, cookie: cookie, generation: generation)
  }

  private func malformed(_ name: String, _ reason: String? = nil) -> EngineError {
    let suffix = reason.map { " - \($0)" } ?? ""
    return EngineError(.corrupt, "malformed database schema (\(name.isEmpty ? "?" : name))\(suffix)")
  }
}
