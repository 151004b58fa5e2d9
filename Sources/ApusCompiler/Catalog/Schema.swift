// One database's schema at one schema cookie, and the set of them that a statement is compiled against.

import ApusBase
import ApusSQL

/// The schema of one database at one moment. Tables are made when they are first asked for, so it is used by one connection,
/// which is to say by one thread at a time.
public final class Schema {
  /// 0 main, 1 temp, 2... attached ones.
  public let database: Int
  private let entries: [ExactText: SchemaEntry]
  /// The folded name of each index's table.
  private let indexTables: [ExactText: ExactText]
  private let triggers: [ExactText: Name]
  /// The cookie it was read under: programs verify it.
  public let cookie: UInt32
  /// Bumped by the connection at each reload.
  public let generation: UInt32
  /// The file's schema format: below 4, indexes ignore DESC and records write 0 and 1 as bytes.
  public let format: UInt32

  init(
    database: Int, entries: [ExactText: SchemaEntry], indexTables: [ExactText: ExactText], triggers: [ExactText: Name],
    cookie: UInt32, generation: UInt32, format: UInt32
  ) {
    self.database = database
    self.entries = entries
    self.indexTables = indexTables
    self.triggers = triggers
    self.cookie = cookie
    self.generation = generation
    self.format = format
  }

  /// The schema of a database in which nothing was created yet.
  public static func empty(database: Int, cookie: UInt32 = 0, generation: UInt32 = 0) -> Schema {
    SchemaBuilder(database: database).finish(cookie: cookie, generation: generation)
  }

  // MARK: Tables

  /// - Throws: SQLITE_CORRUPT where its definition cannot be understood.
  public func table(_ name: Name) throws(EngineError) -> CatalogTable? { try table(key: name.key) }

  public func table(key: ExactText) throws(EngineError) -> CatalogTable? { try entry(key)?.table() }

  /// Whether there is a table or a view of this folded name.
  public func hasTable(key: ExactText) -> Bool { entry(key) != nil }

  private func entry(_ key: ExactText) -> SchemaEntry? {
    if let entry = entries[key] { return entry }
    if key.hasPrefix("sqlite_") { return entries[Schema.standardName(key, database: database)] }
    return nil
  }

  /// Tables and views, by folded name; the schema table is one of them.
  public func allTables() throws(EngineError) -> [CatalogTable] {
    var tables: [CatalogTable] = []
    for key in entries.keys.sorted() {
      if let table = try entries[key]?.table() { tables.append(table) }
    }
    return tables
  }

  /// How many tables and views there are, with the schema table.
  public var tableCount: Int { entries.count }

  // MARK: Indexes and triggers

  public func hasIndex(key: ExactText) -> Bool { indexTables[key] != nil }

  public func index(key: ExactText) throws(EngineError) -> (index: CatalogIndex, table: CatalogTable)? {
    guard let table = try table(key: indexTables[key] ?? ownerOfPrimaryKey(key)),
      let index = table.indexes.first(where: { $0.name.key == key })
    else { return nil }
    return (index, table)
  }

  // The index that is a WITHOUT ROWID table has no row of its own: sqlite_autoindex_TABLE_NUMBER.
  private func ownerOfPrimaryKey(_ key: ExactText) -> ExactText {
    guard key.hasPrefix("sqlite_autoindex_"), let end = key.string.lastIndex(of: "_") else { return "" }
    return ExactText(String(key.string[..<end].dropFirst("sqlite_autoindex_".utf8.count)))
  }

  /// The name of the trigger of this folded name, as it was written.
  public func trigger(key: ExactText) -> Name? { triggers[key] }

  // sqlite_schema and sqlite_master name one table, and so do their temp forms.
  private static func standardName(_ key: ExactText, database: Int) -> ExactText {
    switch key {
    case "sqlite_schema": database == 1 ? "sqlite_temp_master" : "sqlite_master"
    case "sqlite_temp_schema": database == 1 ? "sqlite_temp_master" : key
    case "sqlite_master" where database == 1: "sqlite_temp_master"
    default: key
    }
  }
}

/// The databases of a connection by number: 0 main, 1 temp, 2... attached ones.
public struct SchemaSet {
  public struct Database {
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
  /// - Throws: SQLITE_CORRUPT where its definition cannot be understood.
  public func table(_ name: Name, schema: Name? = nil) throws(EngineError) -> CatalogTable? {
    if let schema {
      guard let number = database(named: schema) else { return nil }
      return try databases[number].schema.table(name)
    }
    for place in databases.indices {
      let number = Self.searched(place)
      // The unqualified schema table is main's; temp's has its own name.
      if number == 1, name.key == "sqlite_master" || name.key == "sqlite_schema" { continue }
      if let table = try databases[number].schema.table(name) { return table }
    }
    return nil
  }

  public func index(
    _ name: Name, schema: Name? = nil
  ) throws(EngineError) -> (index: CatalogIndex, table: CatalogTable)? {
    if let schema {
      guard let number = database(named: schema) else { return nil }
      return try databases[number].schema.index(key: name.key)
    }
    for place in databases.indices {
      if let found = try databases[Self.searched(place)].schema.index(key: name.key) { return found }
    }
    return nil
  }

  public func trigger(_ name: Name, schema: Name? = nil) -> (name: Name, database: Int)? {
    for place in databases.indices {
      let number = Self.searched(place)
      if let schema, database(named: schema) != number { continue }
      if let found = databases[number].schema.trigger(key: name.key) { return (found, number) }
    }
    return nil
  }

  // Temp comes before main, and main before the attached ones.
  private static func searched(_ place: Int) -> Int { place < 2 ? 1 - place : place }
}
