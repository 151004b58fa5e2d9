// The loop of dbstat: what the query says of its hidden columns is found among the conditions, then the rows are put into an
// ephemeral table before the loops begin.

import ApusBase
import ApusSQL
import ApusVM

extension Generator {
  /// Takes the conditions that say which database and which trees are walked, before the loops are planned.
  func takeSpaceArguments(_ clause: WhereClause) throws(EngineError) {
    for source in clause.sources where source.isSpaceWalk {
      source.spaceArguments = [:]
      for term in clause.terms {
        guard term.source == source.place, source.joinKind == .left ? term.outerJoin == source.place : term.outerJoin < 0
        else { continue }
        let isHidden = term.column == SpaceColumn.schema || term.column == SpaceColumn.aggregate
        guard isHidden || term.column == SpaceColumn.name else { continue }
        if term.operators.contains(.equal), let right = term.right, clause.mask(right) == 0 {
          if isHidden {
            source.spaceArguments[term.column] = right
          } else if let left = term.left, (Comparison.collation(left, right)?.key ?? "binary") == "binary" {
            source.spaceArguments[term.column] = right
          }
          // The database has been found by then, under whichever spelling.
          if term.column == SpaceColumn.schema {
            term.operators = []
            term.markCoded()
          }
        } else if isHidden, term.operators.contains(.equal) || term.operators.contains(.in) {
          let what = "\(source.columnName(term.column).text) of dbstat"
          throw unsupported(term.operators.contains(.in) ? "IN for \(what)" : "\(what) compared with another table's column")
        }
      }
    }
  }

  /// Walks the pages and keeps the rows.
  func codeSpaceWalk(_ source: Source) throws(EngineError) {
    var flags: SpaceFlags = []
    let arguments = registers(3)
    let given: [(column: Int, flag: SpaceFlags)] = [
      (SpaceColumn.schema, .schema), (SpaceColumn.aggregate, .aggregate), (SpaceColumn.name, .name),
    ]
    for (place, argument) in given.enumerated() {
      guard let value = source.spaceArguments[argument.column] else { continue }
      try code(value, into: arguments + Int32(place))
      flags.insert(argument.flag)
    }
    readsDatabase(of: source)
    let cursor = Int32(source.cursor)
    let first = registers(SpaceColumn.all.count), record = register(), rowid = register()
    builder.emit(.openEphemeral, cursor, Int32(SpaceColumn.all.count))
    builder.emit(.spaceBegin, cursor, arguments, 0, p4: 0, p5: flags.rawValue)
    let next = builder.labelHere(), behind = builder.makeLabel()
    builder.emit(.spaceNext, cursor, to: behind, first)
    builder.emit(.makeRecord, first, Int32(SpaceColumn.all.count), record)
    builder.emit(.newRowid, cursor, rowid)
    builder.emit(.insert, cursor, record, rowid, p5: ChangeFlags.append.rawValue)
    builder.emit(.goto, to: next)
    builder.place(behind)
  }

  /// The databases that the walk may read: the one that a literal names, else main or all.
  private func readsDatabase(of source: Source) {
    guard let schema = source.spaceArguments[SpaceColumn.schema] else { return reads(0) }
    if case .text(let name) = schema.kind {
      if let number = context.schemas.database(named: Name(name)) { reads(number) }
    } else {
      for number in context.schemas.databases.indices { reads(number) }
    }
  }

  /// What EXPLAIN QUERY PLAN says behind the name, as SQLite says it.
  func spacePlan(_ source: Source) -> String {
    let bits = [SpaceColumn.schema: 1, SpaceColumn.name: 2, SpaceColumn.aggregate: 4]
    let number = source.spaceArguments.keys.reduce(0) { $0 | (bits[$1] ?? 0) }
    return " VIRTUAL TABLE INDEX 0x\(number):"
  }
}
