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

  private func checkRows(of table: CatalogTable, _ report: IntegrityReport, isQuick: Bool) throws(EngineError) {
    let source = binder.source(for: table)
    let cursor = Int32(source.cursor)
    try open(table, cursor: cursor)
    var entries: [(index: CatalogIndex, cursor: Int32, count: Int32)] = []
    for index in table.indexes where index !== table.primaryKeyIndex && !isQuick {
      let indexCursor = builder.allocateCursor()
      try open(index, of: table, cursor: indexCursor)
      entries.append((index, indexCursor, register()))
      integer(0, into: entries[entries.count - 1].count)
    }
    let rowNumber = register()
    integer(0, into: rowNumber)
    let one = register()
    integer(1, into: one)
    let previous = registers(table.primaryKeyIndex?.columns.count ?? 0)
    let behind = builder.makeLabel()
    builder.emit(.rewind, cursor, to: behind)
    let loop = builder.labelHere()
    builder.emit(.addImmediate, rowNumber, 1)
    if let key = table.primaryKeyIndex {
      let isInOrder = builder.makeLabel()
      builder.emit(.eq, one, to: isInOrder, rowNumber)
      builder.emit(.idxGT, cursor, to: isInOrder, previous, p4: Int32(key.keyCount))
      complain(report, "row not in PRIMARY KEY order for \(table.name.text)")
      builder.place(isInOrder)
      try codeIndexKey(key, source, into: previous)
    }
    for (number, column) in table.columns.enumerated()
    where column.isNotNull && number != table.rowidAlias && column.isStored {
      let value = builder.allocateTemporary()
      try codeColumn(source, number, into: value)
      let sound = builder.makeLabel()
      builder.emit(.notNull, value, to: sound)
      complain(report, "NULL value in \(table.name.text).\(column.name.text)")
      builder.place(sound)
      builder.releaseTemporary(value)
    }
    if !context.settings.ignoreCheckConstraints {
      for check in table.checks {
        let sound = builder.makeLabel()
        try jump(ifTrue: try binder.scalar(check.expression, Scope(sources: [source])), to: sound, nullJumps: true)
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
      builder.emit(.found, entry.cursor, to: absent, first, p4: Int32(count))
      let name = register()
      if table.hasRowid { builder.emit(.rowid, cursor, name) } else { builder.emit(.copy, rowNumber, name) }
      complain(report, "row ", name, " missing from index \(entry.index.name.text)")
      builder.place(absent)
    }
    builder.emit(.next, cursor, to: loop)
    builder.place(behind)
    for entry in entries {
      let total = register()
      builder.emit(.count, entry.cursor, total)
      let sound = builder.makeLabel()
      builder.emit(.eq, total, to: sound, entry.count)
      complain(report, "wrong # of entries in index \(entry.index.name.text)")
      builder.place(sound)
      builder.emit(.close, entry.cursor)
    }
    builder.emit(.close, cursor)
  }
}
