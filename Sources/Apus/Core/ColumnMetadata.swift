// What is known of one column of a table. Source: https://sqlite.org/c3ref/table_column_metadata.html

import ApusBase
import ApusCompiler
import ApusSQL

public struct ColumnMetadata: Equatable, Sendable {
  public var declaredType: String?
  public var collation = "BINARY"
  public var isNotNull = false
  public var isPrimaryKey = false
  public var isAutoincrement = false
}

extension Connection {
  /// Looks `column` of `table` up. May wait; call it again then.
  /// - Parameters:
  ///   - schema: the database's name; nil to search temp, main and the attached ones.
  ///   - column: nil to ask only whether the table is there; "rowid" and its other names mean the rowid.
  /// - Returns: nil where there is no such table (a view is none) or column.
  public func columnMetadata(
    schema: String?, table name: String, column: String?
  ) throws(Fault) -> ColumnMetadata? {
    try refreshCatalogs()
    let table: CatalogTable?
    do throws(EngineError) {
      table = try schemaSet().table(Name(name), schema: schema.map { Name($0) })
    } catch {
      throw .failure(error)
    }
    guard let found = table, !found.isView else { return nil }
    var metadata = ColumnMetadata()
    var number: Int?
    if let column {
      let key = Name(column).key
      number = found.column(named: key)
      if number == nil {
        guard found.hasRowid, ["rowid", "oid", "_rowid_"].contains(key) else { return nil }
        number = found.rowidAlias
      }
    }
    guard let number else {
      metadata.declaredType = "INTEGER"
      metadata.isPrimaryKey = true
      return metadata
    }
    let definition = found.columns[number]
    metadata.declaredType = definition.declaredType
    metadata.collation = definition.collation?.text ?? "BINARY"
    metadata.isNotNull = definition.isNotNull
    metadata.isPrimaryKey = definition.primaryKeyPosition > 0
    metadata.isAutoincrement = found.isAutoincrement && number == found.rowidAlias
    return metadata
  }
}
