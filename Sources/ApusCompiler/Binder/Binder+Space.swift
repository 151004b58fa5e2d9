// dbstat: a relation that no schema lists. Where no table has its name, it stands for the pages of a database; its hidden
// columns `schema` and `aggregate` say of which one, and whether each b-tree makes one row. Source: https://sqlite.org/dbstat.html

import ApusBase
import ApusSQL
import ApusVM

/// The columns of dbstat, in their order.
enum SpaceColumn {
  static let name = 0, schema = 10, aggregate = 11

  static let all: [SourceColumn] = {
    let words: [(StaticString, Affinity, String)] = [
      ("name", .text, "TEXT"), ("path", .text, "TEXT"), ("pageno", .integer, "INTEGER"), ("pagetype", .text, "TEXT"),
      ("ncell", .integer, "INTEGER"), ("payload", .integer, "INTEGER"), ("unused", .integer, "INTEGER"),
      ("mx_payload", .integer, "INTEGER"), ("pgoffset", .integer, "INTEGER"), ("pgsize", .integer, "INTEGER"),
      ("schema", .text, "TEXT"), ("aggregate", .numeric, "BOOLEAN"),
    ]
    return words.enumerated().map { number, words in
      SourceColumn(
        name: Name("\(words.0)"), affinity: words.1, declaredType: words.2, isHidden: number >= SpaceColumn.schema)
    }
  }()
}

extension Binder {
  static let spaceWalkName: Name = "dbstat"

  /// - Throws: where a view of a database's schema asks for it: who makes the file must not reach so far.
  func meansSpaceWalk(_ reference: TableReference) throws(EngineError) -> Bool {
    guard reference.name == Self.spaceWalkName else { return false }
    if let homeView {
      if try context.schemas.databases[homeView.database].schema.table(reference.name) != nil { return false }
      throw error("unsafe use of virtual table \"dbstat\"", reference.offset)
    }
    return try context.schemas.table(reference.name, schema: reference.schema) == nil
  }

  func spaceSource(alias: Name?) -> Source {
    let source = newSource(alias: alias ?? Self.spaceWalkName, name: alias?.text ?? Self.spaceWalkName.text)
    source.columns = SpaceColumn.all
    source.isSpaceWalk = true
    source.isMaterialized = true
    source.database = 0
    databasesRead |= 1
    return source
  }

  /// With arguments: conditions on the hidden columns, in their order.
  func spaceSource(alias: Name?, arguments: [Expression], _ scope: Scope) throws(EngineError) -> Source {
    let source = spaceSource(alias: alias)
    guard arguments.count <= 2 else { throw error("too many arguments on dbstat() - max 2") }
    for (place, argument) in arguments.enumerated() {
      let value = try scalar(argument, scope)
      let test = BoundExpression(.binary(.equal, column(source, SpaceColumn.schema + place, .none), value))
      source.on = source.on.map { BoundExpression(.binary(.and, $0, test)) } ?? test
    }
    return source
  }
}
