// PRAGMA integrity_check and quick_check: the trees' structure by the `integrityCheck` instruction, then each table's rows
// against its constraints and indexes.

import ApusBase
import ApusSQL
import ApusStorage
import ApusVM

extension Generator {
  /// How many complaints are given where the pragma names no number.
  private static let complaintCountDefault = 100

  func integrityCheck(_ pragma: Pragma, _ database: Int, isQuick: Bool) throws(EngineError) {
    var most = Self.complaintCountDefault
    var only: CatalogTable?
    if let argument = pragma.argument {
      if let number = Int(argument.text) {
        if number > 0 { most = min(number, Int(Int32.max)) }
      } else {
        only = try binder.table(TableReference(schema: pragma.schema, name: Name(argument.text)))
      }
    }
    builder.resultColumns = [ResultColumn(name: isQuick ? "quick_check" : "integrity_check")]
    let report = IntegrityReport(left: register(), text: register(), done: builder.makeLabel())
    integer(most, into: report.left)
    // Without a schema in the pragma's name all databases are checked; a temporary one only where it has something in it.
    for number in context.schemas.databases.indices {
      if let only {
        if number != only.database { continue }
      } else if pragma.schema != nil {
        if number != database { continue }
      } else if number == 1, context.schemas.databases[1].schema.tableCount <= 1 {
        continue
      }
      try checkDatabase(number, only, report, isQuick: isQuick)
    }
    let found = register()
    integer(most, into: found)
    builder.emit(.ne, found, to: report.done, report.left)
    text("ok", into: report.text)
    builder.emit(.resultRow, report.text, 1)
    builder.place(report.done)
  }

  private func checkDatabase(
    _ database: Int, _ only: CatalogTable?, _ report: IntegrityReport, isQuick: Bool
  ) throws(EngineError) {
    reads(database)
    let schema = context.schemas.databases[database].schema
    let tables = try schema.allTables().filter { !$0.isView && !$0.isVirtual }
    if only == nil {
      let roots = Set(tables.flatMap { [$0.root.rawValue] + $0.indexes.map(\.root.rawValue) }).sorted()
      builder.emit(
        .integrityCheck, Int32(database), report.text, report.left,
        p4: builder.integersIndex(roots.map { Int32(bitPattern: $0) }))
      let sound = builder.makeLabel()
      builder.emit(.isNull, report.text, to: sound)
      builder.emit(.resultRow, report.text, 1)
      builder.emit(.ifNot, report.left, to: report.done)
      builder.place(sound)
    }
    for table in tables where only == nil || only === table { try checkRows(of: table, report, isQuick: isQuick) }
  }

  private struct IntegrityReport {
    /// Complaints that may still be given.
    var left: Int32
    var text: Int32
    var done: Label
  }

  private func text(_ text: String, into register: Int32) {
    builder.emit(.constant, 0, register, p4: builder.constantIndex(.text(text)))
  }

  /// Gives `before`, the value of a register where there is one, and `after` as a complaint.
  private func complain(_ report: IntegrityReport, _ before: String, _ number: Int32? = nil, _ after: String = "") {
    text(before, into: report.text)
    if let number {
      let tail = builder.allocateTemporary()
      builder.emit(.concat, number, report.text, report.text)
      text(after, into: tail)
      builder.emit(.concat, tail, report.text, report.text)
      builder.releaseTemporary(tail)
    }
    builder.emit(.resultRow, report.text, 1)
    builder.emit(.addImmediate, report.left, -1)
    builder.emit(.ifNot, report.left, to: report.done)
  }

  /// An index under check, and the registers in which its table's rows are counted and their keys' digests added up.
  private struct CheckedIndex {
    let index: CatalogIndex
    let cursor: Int32
    let count: Int32
    let digest: Int32
  }

  private func checkRows(of table: CatalogTable, _ report: IntegrityReport, isQuick: Bool) throws(EngineError) {
    let source = binder.source(for: table)
    let cursor = Int32(source.cursor)
    try open(table, cursor: cursor)
    var entries: [CheckedIndex] = []
    for index in table.indexes where index !== table.primaryKeyIndex && !isQuick {
      let indexCursor = builder.allocateCursor()
      try open(index, of: table, cursor: indexCursor)
      let entry = CheckedIndex(index: index, cursor: indexCursor, count: register(), digest: register())
      integer(0, into: entry.count)
      integer(0, into: entry.digest)
      entries.append(entry)
    }
    try checkConstraints(of: table, source, entries, report)
    for entry in entries { try checkIndex(entry, of: table, source, report) }
    builder.emit(.close, cursor)
  }

  /// One walk over the rows: constraints, and what the indexes should hold.
  private func checkConstraints(
    of table: CatalogTable, _ source: Source, _ entries: [CheckedIndex], _ report: IntegrityReport
  ) throws(EngineError) {
    let cursor = Int32(source.cursor)
    let behind = builder.makeLabel()
    let walk = table.hasRowid ? nil : EntryWalk(previous: register(), found: registers(2))
    if let walk { begin(walk) }
    builder.emit(.rewind, cursor, to: behind)
    let loop = builder.labelHere(), next = builder.makeLabel()
    checkRecord(cursor, next: next) { complain(report, "malformed record in \(table.name.text): ", $0) }
    if let walk {
      builder.emit(.checkEntry, cursor, walk.previous, walk.found)
      let sound = builder.makeLabel()
      builder.emit(.ifNot, walk.found + 1, to: sound)
      complain(report, "row not in PRIMARY KEY order for \(table.name.text)")
      builder.place(sound)
    }
    for (number, column) in table.columns.enumerated() where number != table.rowidAlias && column.isStored {
      let kind = Self.columnClass(column, isStrict: table.isStrict)
      if !column.isNotNull && kind == nil { continue }
      let value = builder.allocateTemporary()
      try codeColumn(source, number, into: value)
      if column.isNotNull {
        let sound = builder.makeLabel()
        builder.emit(.notNull, value, to: sound)
        complain(report, "NULL value in \(table.name.text).\(column.name.text)")
        builder.place(sound)
      }
      if let kind {
        let sound = builder.makeLabel()
        builder.emit(.fitsColumn, value, to: sound, kind.class.rawValue)
        complain(report, "\(kind.words) value in \(table.name.text).\(column.name.text)")
        builder.place(sound)
      }
      builder.releaseTemporary(value)
    }
    if !context.settings.ignoreCheckConstraints {
      for check in table.checks {
        let sound = builder.makeLabel()
        let bound = try binder.scalar(check.expression, Scope(sources: [source], pureIn: .check))
        try jump(ifTrue: bound, to: sound, nullJumps: true)
        complain(report, "CHECK constraint failed in \(table.name.text)")
        builder.place(sound)
      }
    }
    for entry in entries {
      let absent = builder.makeLabel()
      try skipUnlessIndexed(entry.index, source, to: absent)
      let count = entry.index.columns.count
      let first = registers(count)
      try codeIndexKey(entry.index, source, into: first)
      builder.emit(.addImmediate, entry.count, 1)
      builder.emit(.digest, first, Int32(count), entry.digest)
      builder.place(absent)
    }
    builder.place(next)
    builder.emit(.next, cursor, to: loop)
    builder.place(behind)
  }

  /// Goes on to `next` where nothing can be read of the row.
  private func checkRecord(_ cursor: Int32, next: Label, complain: (_ place: Int32) -> Void) {
    let place = builder.allocateTemporary()
    let sound = builder.makeLabel()
    builder.emit(.checkRecord, cursor, place)
    builder.emit(.isNull, place, to: sound)
    complain(place)
    builder.emit(.goto, to: next)
    builder.place(sound)
    builder.releaseTemporary(place)
  }

  /// What the values of a column are checked for, and what is said of one that is none of it.
  private static func columnClass(_ column: CatalogColumn, isStrict: Bool) -> (class: ColumnClass, words: String)? {
    if isStrict {
      let type = (column.declaredType ?? "").uppercased()
      switch type {
      case "INT", "INTEGER": return (.strictInteger, "non-\(type)")
      case "REAL": return (.strictReal, "non-REAL")
      case "TEXT": return (.strictText, "non-TEXT")
      case "BLOB": return (.strictBlob, "non-BLOB")
      default: return nil
      }
    }
    switch column.affinity {
    case .text: return (.text, "NUMERIC")
    case .integer, .numeric: return (.numeric, "TEXT")
    case .real, .blob, .none: return nil
    }
  }

  /// The registers of `checkEntry`: the entry before; the sum of digests and, behind it, what was found.
  private struct EntryWalk {
    let previous: Int32
    let found: Int32
  }

  private func begin(_ walk: EntryWalk) {
    builder.emit(.null, 0, walk.previous)
    integer(0, into: walk.found)
  }

  /// One walk over the index's entries: their order, no two alike in a unique one, and as many as there are rows, with the
  /// same digests. Only where something of that is wrong each row is searched for.
  private func checkIndex(
    _ entry: CheckedIndex, of table: CatalogTable, _ source: Source, _ report: IntegrityReport
  ) throws(EngineError) {
    let index = entry.index
    let walk = EntryWalk(previous: register(), found: registers(2))
    let walked = register(), isDisordered = register()
    begin(walk)
    integer(0, into: walked)
    integer(0, into: isDisordered)
    let behind = builder.makeLabel(), suspect = builder.makeLabel(), done = builder.makeLabel()
    builder.emit(.rewind, entry.cursor, to: behind)
    let loop = builder.labelHere()
    let legible = builder.makeLabel()
    checkRecord(entry.cursor, next: legible) { complain(report, "malformed record in index \(index.name.text): ", $0) }
    builder.place(legible)
    builder.emit(.checkEntry, entry.cursor, walk.previous, walk.found, p4: index.isUnique ? Int32(index.keyCount) : 0)
    builder.emit(.addImmediate, walked, 1)
    let sound = builder.makeLabel(), unlike = builder.makeLabel()
    builder.emit(.ifNot, walk.found + 1, to: sound)
    builder.emit(.addImmediate, walk.found + 1, -2)
    builder.emit(.if, walk.found + 1, to: unlike)
    complain(report, "non-unique entry in index \(index.name.text)")
    builder.emit(.goto, to: sound)
    builder.place(unlike)
    integer(1, into: isDisordered)
    builder.place(sound)
    builder.emit(.next, entry.cursor, to: loop)
    builder.place(behind)
    builder.emit(.if, isDisordered, to: suspect)
    builder.emit(.ne, walked, to: suspect, entry.count)
    builder.emit(.eq, walk.found, to: done, entry.digest)
    builder.place(suspect)
    try searchRows(entry, of: table, source, isDisordered, report)
    let right = builder.makeLabel()
    builder.emit(.eq, walked, to: right, entry.count)
    complain(report, "wrong # of entries in index \(index.name.text)")
    builder.place(right)
    builder.emit(.ifNot, isDisordered, to: done)
    complain(report, "entries out of order in index \(index.name.text)")
    builder.place(done)
    builder.emit(.close, entry.cursor)
  }

  /// Names the rows that an index lacks; one that is named explains the disorder, which is then not told besides.
  private func searchRows(
    _ entry: CheckedIndex, of table: CatalogTable, _ source: Source, _ isDisordered: Int32, _ report: IntegrityReport
  ) throws(EngineError) {
    let cursor = Int32(source.cursor)
    let rowNumber = register(), name = register()
    integer(0, into: rowNumber)
    let behind = builder.makeLabel()
    builder.emit(.rewind, cursor, to: behind)
    let loop = builder.labelHere()
    builder.emit(.addImmediate, rowNumber, 1)
    let absent = builder.makeLabel()
    checkRecord(cursor, next: absent) { _ in }
    try skipUnlessIndexed(entry.index, source, to: absent)
    let count = entry.index.columns.count
    let first = registers(count)
    try codeIndexKey(entry.index, source, into: first)
    builder.emit(.found, entry.cursor, to: absent, first, p4: Int32(count))
    if table.hasRowid { builder.emit(.rowid, cursor, name) } else { builder.emit(.copy, rowNumber, name) }
    complain(report, "row ", name, " missing from index \(entry.index.name.text)")
    integer(0, into: isDisordered)
    builder.place(absent)
    builder.emit(.next, cursor, to: loop)
    builder.place(behind)
  }
}
