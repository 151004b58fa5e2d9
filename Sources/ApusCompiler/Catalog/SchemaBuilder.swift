// Collects the rows of sqlite_schema, in their order. What they say is parsed when the table is first asked for: most
// connections use few of a file's tables, and the definitions (triggers above all) are most of what opening a file costs.
//
// So a row that names no table of its own, or a page that is not there, is reported at once, as SQLite does; a definition that
// does not parse is reported by the first statement that uses its table, in the same words.

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

  /// The statement that it holds.
  /// - Throws: SQLITE_CORRUPT where that is none.
  func parsed() throws(EngineError) -> Statement {
    var buffer = ByteBuffer()
    buffer.append(contentsOf: sql ?? "")
    let statement: ParsedStatement?
    do throws(SQLError) {
      statement = try SQLParser.parseNext(buffer.bytes)
    } catch {
      throw malformed(error.message)
    }
    guard let statement else { throw malformed() }
    return statement.statement
  }

  func malformed(_ reason: String? = nil) -> EngineError {
    let suffix = reason.map { " - \($0)" } ?? ""
    return EngineError(.corrupt, "malformed database schema (\(name.isEmpty ? "?" : name))\(suffix)")
  }
}

public struct SchemaBuilder {
  public let database: Int
  /// A table's root beyond this page is damage; 0 does not check.
  public let pageCountMax: UInt32
  private var entries: [ExactText: SchemaEntry] = [:]
  private var indexTables: [ExactText: ExactText] = [:]
  private var triggers: [ExactText: Name] = [:]

  public init(database: Int, pageCountMax: UInt32 = 0) {
    self.database = database
    self.pageCountMax = pageCountMax
    let key = database == 1 ? "sqlite_temp_master" : "sqlite_master"
    entries[ExactText(key)] = SchemaEntry(schemaTable: key, database: database)
  }

  /// Takes the next row. Throws SQLITE_CORRUPT, "malformed database schema (NAME) - ...".
  public mutating func add(_ row: SchemaRow) throws(EngineError) {
    guard let root = row.root else { throw row.malformed() }
    let isImplicit = row.sql?.isEmpty ?? true
    if !isImplicit {
      guard let sql = row.sql, sql.utf8.count > 2, sql.utf8.first.map({ $0 | 0x20 }) == 0x63 else { throw row.malformed() }
    }
    switch isImplicit ? "index" : Name.fold(row.type) {
    case "table", "view":
      let key = Name.fold(row.name)
      guard entries[key] == nil else { throw row.malformed("table \(row.name) already exists") }
      entries[key] = SchemaEntry(row, database: database, pageCountMax: pageCountMax)
    case "index":
      let key = Name.fold(row.tableName)
      guard let entry = entries[key] else {
        throw row.malformed(isImplicit ? "orphan index" : "no such table: \(row.tableName)")
      }
      guard root >= 2, pageCountMax == 0 || root <= Int64(pageCountMax) else { throw row.malformed("invalid rootpage") }
      entry.indexes.append(row)
      indexTables[Name.fold(row.name)] = key
    case "trigger":
      triggers[Name.fold(row.name)] = Name(row.name)
      entries[Name.fold(row.tableName)]?.triggers.append(row)
    default:
      throw row.malformed()
    }
  }

  /// A row of sqlite_stat1.
  public mutating func addStatistics(table: String, index: String?, stat: String) {
    entries[Name.fold(table)]?.statistics.append((index, stat))
  }

  /// The root of sqlite_stat1, whose rows `addStatistics` wants; nil where there is none.
  public var statisticsTable: PageNumber? {
    guard let root = entries["sqlite_stat1"]?.row.root, root >= 2, pageCountMax == 0 || root <= Int64(pageCountMax) else {
      return nil
    }
    return PageNumber(UInt32(truncatingIfNeeded: root))
  }

  /// Makes the schema; the builder is used up.
  /// - Parameter format: the file's schema format; 0 where nothing was created yet, and 1 where something was all the same.
  public func finish(cookie: UInt32 = 0, generation: UInt32 = 0, format: UInt32 = 4) -> Schema {
    let isEmpty = entries.count == 1
    let format = format == 0 ? (isEmpty ? 4 : 1) : format
    for entry in entries.values { entry.format = format }
    return Schema(
      database: database, entries: entries, indexTables: indexTables, triggers: triggers, cookie: cookie,
      generation: generation, format: format)
  }
}
