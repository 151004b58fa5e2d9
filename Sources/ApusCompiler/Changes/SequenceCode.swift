// AUTOINCREMENT: the largest row id that a table ever had stands in `sqlite_sequence`. An INSERT reads it before its first row
// and writes it behind the last. Source: https://sqlite.org/autoinc.html

import ApusBase
import ApusSQL
import ApusStorage
import ApusVM

/// The sequence of a table whose rows are being inserted.
struct Sequence {
  /// The table's name, and in the register behind it the largest row id, with those of this statement.
  var name: Int32
  var largest: Int32 { name + 1 }
  /// The largest row id as it was read; NULL where there was no row.
  var old: Int32
  /// The row of `sqlite_sequence`, or NULL.
  var rowid: Int32
  var cursor: Int32
}

extension Generator {
  static let sequenceTable = "sqlite_sequence"

  /// Reads the sequence; nil for a table without one.
  /// - Parameter target: the cursor of the table, which is open.
  /// - Throws: SQLITE_CORRUPT_SEQUENCE where `sqlite_sequence` is missing or is another kind of table.
  func beginSequence(_ table: CatalogTable, _ target: Int32) throws(EngineError) -> Sequence? {
    guard table.isAutoincrement else { return nil }
    let schema = context.schemas.databases[table.database].schema
    guard let known = try schema.table(key: ExactText(Self.sequenceTable)), known.hasRowid, !known.isView, !known.isVirtual,
      known.columns.count == 2
    else { throw EngineError(.corruptSequence, object: "table \(Self.sequenceTable)") }
    let sequence = Sequence(name: registers(2), old: register(), rowid: register(), cursor: builder.allocateCursor())
    builder.emit(.constant, 0, sequence.name, p4: builder.constantIndex(.text(table.name.text)))
    for cleared in [sequence.old, sequence.rowid] { builder.emit(.null, 0, cleared) }
    integer(0, into: sequence.largest)
    try open(known, cursor: sequence.cursor, forWriting: true)
    builder.emit(.serveSequence, sequence.cursor, target)
    let found = register()
    let done = builder.makeLabel(), behind = builder.makeLabel()
    builder.emit(.rewind, sequence.cursor, to: done)
    let loop = builder.labelHere()
    builder.emit(.column, sequence.cursor, Int32(known.fields[0]), found)
    builder.emit(.ne, sequence.name, to: behind, found, p4: -1, p5: ComparisonFlags.jumpIfNull.rawValue)
    builder.emit(.rowid, sequence.cursor, sequence.rowid)
    builder.emit(.column, sequence.cursor, Int32(known.fields[1]), sequence.largest)
    // Whatever stands there counts as an integer.
    builder.emit(.addImmediate, sequence.largest, 0)
    builder.emit(.copy, sequence.largest, sequence.old)
    builder.emit(.goto, to: done)
    builder.place(behind)
    builder.emit(.next, sequence.cursor, to: loop)
    builder.place(done)
    return sequence
  }

  /// A row id was given by the statement: the sequence does not fall behind it, whatever becomes of the row.
  func raise(_ sequence: Sequence, to rowid: Int32) {
    let isBelow = builder.makeLabel()
    builder.emit(.le, sequence.largest, to: isBelow, rowid, p4: -1)
    builder.emit(.copy, rowid, sequence.largest)
    builder.place(isBelow)
  }

  /// Writes the sequence, where it has grown or has no row yet.
  func endSequence(_ sequence: Sequence?) {
    guard let sequence else { return }
    let done = builder.makeLabel(), known = builder.makeLabel()
    builder.emit(.le, sequence.old, to: done, sequence.largest, p4: -1)
    builder.emit(.notNull, sequence.rowid, to: known)
    builder.emit(.newRowid, sequence.cursor, sequence.rowid)
    builder.place(known)
    let record = register()
    builder.emit(.makeRecord, sequence.name, 2, record, p4: -1)
    builder.emit(.insert, sequence.cursor, record, sequence.rowid, p4: -1)
    builder.place(done)
    builder.emit(.close, sequence.cursor)
  }
}
