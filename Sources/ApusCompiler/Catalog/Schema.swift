// One database's schema at one schema cookie, and the set of them that a statement is compiled against.

import ApusBase
import ApusSQL

/// The schema of one database: immutable, shared by the statements compiled from it.
public final class Schema: Sendable {
  /// 0 main, 1 temp, 2... attached ones.
  public let database: Int
  public let tables: [String: CatalogTable]
  /// Indexes by folded name, with the table's folded name.
  public let indexes: [String: (index: CatalogIndex, table: CatalogTable)]
  public let triggers: [String: CatalogTrigger]
  /// The cookie it was read under: programs verify it.
  public let cookie: UInt32
  /// Bumped by the connection at each reload.
  public let generation: UInt32

  init(
    database: Int, tables: [String: CatalogTable],
    indexes: [String: (index: CatalogIndex, table: CatalogTable)], triggers: [String: CatalogTrigger], cookie: UInt32,
    generation: UInt32
  ) {
    self.database = database
    self.tables = tables
    self.indexes = indexes
    self.triggers = triggers
    self.cookie = cookie
    self.generation = generation
  }

  /// The schema of a database in which nothing was created yet.
  public static func empty(database: Int, cookie: UInt32 = 0, generation: UInt32 = 0) -> Schema {
    SchemaBuilder(database: database).finish(cookie: cookie, generation: generation)
  }

  public func table(_ name: Name) -> CatalogTable? { table(key: name.key) }

  public func table(key: String) -> CatalogTable? {
    if let table = tables[key] { return table }
    if key.hasPrefix("sqlite_") { return tables[Schema.standardName(key, database: database)] }
    return nil
  }

  // sqlite_schema and sqlite_master name one table, and so do their temp forms.
  private static func standardName(_ key: String, database: Int) -> String {
    switch key {
    case "sqlite_schema": database == 1 ? "sqlite_temp_master" : "sqlite_master"
    case "sqlite_temp_schema": database == 1 ? "sqlite_temp_master" : key
    case "sqlite_master" where database == 1: "sqlite_temp_master"
    default: key
    }
  }
}

/// The databases of a connection by number: 0 main, 1 temp, 2... attached ones.
public struct SchemaSet: Sendable {
  public struct Database: Sendable {
    public var name: Name
    public var schema: Schema
    public init(name: Name, schema: Schema) {
      self.name = name
      self.schema = schema
    }
  }
  public var databases: [Database]

  public init(main: Schema, temporary: Schema? = nil) {
    databases = [
      Database(name: .main, schema: main),
      Database(name: .temp, schema: temporary ?? Schema.empty(database: 1)),
    ]
  }

  public func database(named name: Name) -> Int? {
    databases.lastIndex { $0.name.key == name.key } ?? (name.key == "main" ? 0 : nil)
  }

  /// Temp objects hide those of main, and those hide attached ones.
  public func table(_ name: Name, schema: Name? = nil) -> CatalogTable? {
    if let schema {
      guard let number = database(named: schema) else { return nil }
      return databases[number].schema.table(name)
    }
    for number in searchOrder {
      // The unqualified schema table is main's; temp's has its own name.
      if number == 1, name.key == "sqlite_master" || name.key == "sqlite_schema" { continue }
      if let table = databases[number].schema.table(name) { return table }
    }
    return nil
  }

  public func index(_ name: Name, schema: Name? = nil) -> (index: CatalogIndex, table: CatalogTable)? {
    if let schema {
      guard let number = database(named: schema) else { return nil }
      return databases[number].schema.indexes[name.key]
    }
    for number in searchOrder {
      if let found = databases[number].schema.indexes[name.key] { return found }
    }
    return nil
  }

  public func trigger(_ name: Name, schema: Name? = nil) -> (trigger: CatalogTrigger, database: Int)? {
    for number in searchOrder {
      if let schema, database(named: schema) != number { continue }
      if let found = databases[number].schema.triggers[name.key] { return (found, number) }
    }
    return nil
  }

  private var searchOrder: [Int] {
    databases.count == 2 ? [1, 0] : [1, 0] + Array(2..<databases.count)
  }
}
