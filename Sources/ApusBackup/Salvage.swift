// Salvage: the rows of a damaged file, whatever can still be read of them, as SQL that makes a new database.
//
//   schema      the tree of page 1; besides it, leaves that nobody refers to and whose rows look like rows of a schema
//   tables      each one's tree, every page once; what is broken is left out, the rest goes on
//   the rest    leaves that belong to no known table, except free pages: rows of the table lost_and_found
//
// Nothing of the file is trusted: each number is checked before it is used, each page is visited once, and chains end.

import Apus
import ApusBase
import ApusIO
import ApusSQL

public enum SalvagedValue: Sendable, Equatable {
  case null
  case integer(Int64)
  case real(Double)
  case text([UInt8])
  case blob([UInt8])
}

public final class Salvage {
  private let pages: RawPages
  private var seen: [Bool]
  private var lostTable = "lost_and_found"
  private let emit: (String) -> Void

  /// The last statement: all of them are one transaction.
  static let end = "COMMIT;"

  public private(set) var rowCount = 0
  public private(set) var lostRowCount = 0

  /// Rows of the schema that are not the definition of what they say they are, and what the first of them says.
  public private(set) var refusedCount = 0
  public private(set) var firstRefusal: String?

  private static let sequenceTable = "sqlite_sequence"
  /// Tables of the engine's own, which nobody creates by name. No other table may have such a name: a row of the schema may give
  /// the schema's own, and rows inserted under that would be rows of the new database's schema.
  private static let ownTables: Set = [sequenceTable, "sqlite_stat1", "sqlite_stat2", "sqlite_stat3", "sqlite_stat4"]

  private static let depthMax = 40
  private static let columnCountMax = 32_767
  /// Longest row; a larger one is a broken length.
  private static let rowByteCountMax = 1_000_000_000
  /// What of a row is looked at where rows of a schema are searched for, and the bytes of all that are found.
  private static let schemaRowByteCountMax = 16 << 20
  private static let schemaByteCountMax = 64 << 20
  /// The cells of a sound page do not overlap, a broken length lets one do so: its rows have a page's bytes this many times.
  private static let overlapMax = 8
  /// Cells that turn out to be no records cost nothing but time: they may have a page's bytes this many times.
  private static let brokenMax = 64

  /// - Parameter emit: takes the statements one by one, with their semicolons.
  public init(_ environment: any Environment, _ path: String, emit: @escaping (String) -> Void) throws(EngineError) {
    pages = try RawPages(environment, path)
    seen = [Bool](repeating: false, count: Int(pages.pageCount) + 1)
    self.emit = emit
  }

  // MARK: The whole

  private struct Table {
    var name: String
    var root: UInt32
    var sql: String
    /// Names in the order of the record; nil where the definition cannot be read.
    var columns: [String]?
    /// Positions in the record of the columns that are to be left out: the row id's alias.
    var alias: Int?
    var hasRowid = true
  }

  public func run() {
    emit("BEGIN;")
    emit("PRAGMA writable_schema = on;")
    emit("PRAGMA encoding = '\(["UTF-8", "UTF-16le", "UTF-16be"][pages.encoding - 1])';")
    emit("PRAGMA page_size = '\(pages.pageSize)';")
    emit("PRAGMA auto_vacuum = '0';")
    emit("PRAGMA user_version = '\(pages.userVersion)';")
    emit("PRAGMA application_id = '\(pages.applicationID)';")
    var schema: [[SalvagedValue]] = []
    walk(1) { _, _, values in schema.append(values) }
    schema += orphanedSchemaRows()
    var tables: [Table] = []
    var later: [String] = []
    var indexes: [UInt32] = []
    var names: Set<ExactText> = []
    for row in schema {
      guard row.count >= 5, case .text(let typeBytes) = row[0], case .text(let nameBytes) = row[1] else { continue }
      let title = String(decoding: nameBytes, as: UTF8.self)
      let type = String(decoding: typeBytes, as: UTF8.self)
      let key = Name(title).key.string, entry = ExactText(type + " " + key)
      let root: UInt32 = if case .integer(let root) = row[3] { UInt32(clamping: root) } else { 0 }
      guard !names.contains(entry) else { continue }
      // The entries of an index are made anew, or lost with it: they are no rows. A constraint's index has no text.
      if type == "index" { indexes.append(root) }
      guard case .text(let sql) = row[4] else { continue }
      let text = String(decoding: sql, as: UTF8.self)
      if type == "table", Salvage.ownTables.contains(key) {
        names.insert(entry)
        if let table = table(key, root, text) { tables.append(table) }
        continue
      }
      guard let definition = definition(type, title, text) else {
        refusedCount += 1
        if firstRefusal == nil { firstRefusal = "no definition of a \(type) \(title): \(text.prefix(200))" }
        continue
      }
      names.insert(entry)
      if type == "table", let table = table(title, root, text) {
        tables.append(table)
        emit(definition + ";")
      } else {
        later.append(definition)
      }
    }
    while tables.contains(where: { Name($0.name).key.string == lostTable }) { lostTable += "_0" }
    // Roots first: a broken tree must not take the pages of another.
    for table in tables { rows(of: table) }
    for root in indexes where root > 1 { walk(root) { _, _, _ in } }
    markFreelist()
    lostRows()
    for sql in later { emit(sql + ";") }
    emit("PRAGMA writable_schema = off;")
    emit(Salvage.end)
  }

  private func rows(of table: Table) {
    guard table.root > 1, table.columns != nil else { return }
    let isSequence = table.name == Salvage.sequenceTable
    if !isSequence, Salvage.ownTables.contains(table.name) {
      // Statistics are made anew.
      walk(table.root) { _, _, _ in }
      return
    }
    if isSequence { emit("DELETE FROM sqlite_sequence;") }
    walk(table.root) { [self] _, rowid, values in
      guard let statement = insert(table, rowid, values) else { return }
      rowCount += 1
      emit(statement)
    }
  }

  private func insert(_ table: Table, _ rowid: Int64?, _ values: [SalvagedValue]) -> String? {
    guard let columns = table.columns, table.hasRowid == (rowid != nil) else { return nil }
    var names: [String] = []
    var texts: [String] = []
    if let rowid {
      // A name of the row id that no column has.
      let taken = Set(columns.map { $0.lowercased() })
      if let alias = table.alias {
        names.append(SQLText.name(columns[alias]))
        texts.append(String(rowid))
      } else if let free = ["_rowid_", "rowid", "oid"].first(where: { !taken.contains($0) }) {
        names.append(free)
        texts.append(String(rowid))
      }
    }
    for (index, value) in values.enumerated() where index < columns.count && index != table.alias {
      names.append(SQLText.name(columns[index]))
      texts.append(literal(value))
    }
    return "INSERT OR IGNORE INTO \(SQLText.name(table.name))(\(names.joined(separator: ", "))) VALUES "
      + "(\(texts.joined(separator: ", ")));"
  }

  // MARK: The schema

  /// The statement that a row of the schema stands for, made anew of what has been parsed: one CREATE, in the main database,
  /// without rows of its own. What else the text of a crafted file may say (ATTACH, COMMIT, several statements) is never run.
  /// - Returns: nil where the row is not the definition of what it says it is.
  private func definition(_ type: String, _ title: String, _ text: String) -> String? {
    let key = Name(title).key
    var bytes = ByteBuffer()
    bytes.append(contentsOf: text)
    guard !text.utf8.contains(0), !key.hasPrefix("sqlite_"), let parsed = try? SQLParser.parseSingle(bytes.bytes),
      parsed.explain == .none
    else { return nil }
    let kind: String
    let verb: String
    let name: Name
    let span: SourceSpan
    switch parsed.statement {
    case .createTable(let table):
      guard case .columns = table.body else { return nil }
      (kind, verb, name, span) = ("table", "TABLE ", table.name, table.definition)
    case .createVirtualTable(let table): (kind, verb, name, span) = ("table", "VIRTUAL TABLE ", table.name, table.definition)
    case .createIndex(let index):
      (kind, verb, name, span) = ("index", index.isUnique ? "UNIQUE INDEX " : "INDEX ", index.name, index.definition)
    case .createView(let view): (kind, verb, name, span) = ("view", "VIEW ", view.name, view.definition)
    case .createTrigger(let trigger): (kind, verb, name, span) = ("trigger", "TRIGGER ", trigger.name, trigger.definition)
    default: return nil
    }
    guard kind == type, name.key == key else { return nil }
    return "CREATE " + verb + bytes.bytes.slice(Int(span.start), span.byteCount).string
  }

  /// What a row of a table looks like in its record.
  private func table(_ name: String, _ root: UInt32, _ sql: String) -> Table? {
    var bytes = ByteBuffer()
    bytes.append(contentsOf: sql)
    var table = Table(name: name, root: root, sql: sql)
    guard let parsed = try? SQLParser.parseNext(bytes.bytes), case .createTable(let create) = parsed.statement else { return nil }
    guard case .columns(let definitions, let constraints, let options) = create.body else { return table }
    var key: [String] = []
    for definition in definitions {
      for constraint in definition.constraints {
        if case .primaryKey(let order, _, _) = constraint.kind {
          key = [definition.name.text]
          if order != .descending, definition.type.map({ "\($0.text)".uppercased() == "INTEGER" }) == true {
            table.alias = definitions.firstIndex { $0.name == definition.name }
          }
        }
      }
    }
    for constraint in constraints {
      guard case .primaryKey(let terms, _, _) = constraint.kind else { continue }
      key = terms.compactMap { columnName($0.expression) }
      if key.count == 1, let place = definitions.firstIndex(where: { $0.name.key == Name(key[0]).key }),
        definitions[place].type.map({ "\($0.text)".uppercased() == "INTEGER" }) == true
      {
        table.alias = place
      }
    }
    let stored = definitions.filter { definition in
      !definition.constraints.contains { if case .generated(_, isStored: false) = $0.kind { true } else { false } }
    }
    let isComputed = definitions.contains { definition in
      definition.constraints.contains { if case .generated = $0.kind { true } else { false } }
    }
    // Computed columns are not written, and their places in the record depend on more: such a table's rows go where lost ones do.
    if isComputed { return table }
    var names = stored.map(\.name.text)
    if options.contains(.withoutRowID) {
      table.hasRowid = false
      table.alias = nil
      var first: [String] = []
      for name in key where !first.contains(where: { Name($0).key == Name(name).key }) { first.append(name) }
      names = first + names.filter { name in !first.contains { Name($0).key == Name(name).key } }
    }
    table.columns = names
    return table
  }

  private func columnName(_ expression: Expression) -> String? {
    switch expression {
    case .column(let reference): reference.column.text
    case .collate(let inner, _, _): columnName(inner)
    default: nil
    }
  }

  /// Rows of a schema in leaves that page 1 does not lead to any more.
  private func orphanedSchemaRows() -> [[SalvagedValue]] {
    var found: [[SalvagedValue]] = []
    var left = Salvage.schemaByteCountMax
    for number in stride(from: UInt32(2), through: pages.pageCount, by: 1) where !seen[Int(number)] {
      guard let page = pages.page(number), page.byte(0) == 13 else { continue }
      var rows: [[SalvagedValue]] = []
      var isSchema = true
      var byteCount = 0
      eachRow(number, takesChains: false) { row in
        byteCount += row.byteCount
        isSchema = isSchemaRow(row.values) && byteCount <= left
        if isSchema { rows.append(row.values) }
        return isSchema
      }
      if isSchema, !rows.isEmpty {
        seen[Int(number)] = true
        found += rows
        left -= byteCount
      }
    }
    return found
  }

  private func isSchemaRow(_ values: [SalvagedValue]) -> Bool {
    guard values.count == 5, case .text(let type) = values[0], case .text = values[1],
      ["table", "index", "view", "trigger"].contains(String(decoding: type, as: UTF8.self))
    else { return false }
    switch (values[3], values[4]) {
    case (.integer, .text(let sql)): return String(decoding: sql.prefix(6), as: UTF8.self).uppercased() == "CREATE"
    case (.integer, .null): return true
    default: return false
    }
  }

  // MARK: Trees

  /// Shows the rows of the tree at `root`, each page once in the whole run.
  private func walk(_ root: UInt32, _ body: (_ page: UInt32, _ rowid: Int64?, _ values: [SalvagedValue]) -> Void) {
    var stack = [(number: root, depth: 0)]
    while let (number, depth) = stack.popLast() {
      guard number >= 1, number <= pages.pageCount, !seen[Int(number)], depth < Salvage.depthMax else { continue }
      guard let page = pages.page(number) else { continue }
      let start = number == 1 ? 100 : 0
      switch page.byte(start) {
      case 13:
        seen[Int(number)] = true
        eachRow(number) { row in
          body(number, row.rowid, row.values)
          return true
        }
      case 10:
        seen[Int(number)] = true
        eachRow(number) { row in
          body(number, nil, row.values)
          return true
        }
      case 5, 2:
        seen[Int(number)] = true
        stack += children(page, start).reversed().map { ($0, depth + 1) }
        guard page.byte(start) == 2 else { continue }
        eachRow(number) { row in
          body(number, nil, row.values)
          return true
        }
      default: continue
      }
    }
  }

  private func children(_ page: RawBytes, _ start: Int) -> [UInt32] {
    var found: [UInt32] = []
    for place in cellPlaces(page, start) {
      if let child = page.word32(place) { found.append(child) }
    }
    if let last = page.word32(start + 8) { found.append(last) }
    return found
  }

  private func cellPlaces(_ page: RawBytes, _ start: Int) -> [Int] {
    guard let kind = page.byte(start), let count = page.word16(start + 3) else { return [] }
    let pointers = start + (kind == 5 || kind == 2 ? 12 : 8)
    let most = max(0, (page.bytes.count - pointers) / 2)
    // A cell that several pointers name is one row.
    var known: Set<Int> = []
    return (0..<min(count, most)).compactMap { index in
      guard let place = page.word16(pointers + 2 * index), place >= pointers, place < page.bytes.count,
        known.insert(place).inserted
      else { return nil }
      return place
    }
  }

  private struct Row {
    var rowid: Int64?
    var values: [SalvagedValue]
    var byteCount = 0
  }

  /// Shows the rows of a leaf, or the entries of an index's page, one by one until `body` returns false.
  private func eachRow(_ number: UInt32, takesChains: Bool = true, _ body: (Row) -> Bool) {
    guard let page = pages.page(number) else { return }
    let start = number == 1 ? 100 : 0
    guard let kind = page.byte(start), [2, 10, 13].contains(kind) else { return }
    var left = Salvage.overlapMax * page.bytes.count, leftToBroken = Salvage.brokenMax * page.bytes.count
    // A page of a chain belongs to one row.
    var chained: Set<UInt32> = []
    for place in cellPlaces(page, start) {
      // Following a chain gives the page's bytes up.
      guard let page = pages.page(number), let row = row(page, place, kind, takesChains, &left, &leftToBroken, &chained)
      else { continue }
      if !body(row) { return }
    }
  }

  private func row(
    _ page: RawBytes, _ cell: Int, _ kind: Int, _ takesChains: Bool, _ left: inout Int, _ leftToBroken: inout Int,
    _ chained: inout Set<UInt32>
  ) -> Row? {
    var place = kind == 2 ? cell + 4 : cell
    guard let (size, afterSize) = page.varint(place), size > 0, size <= UInt64(Salvage.rowByteCountMax) else { return nil }
    place = afterSize
    var rowid: Int64?
    if kind == 13 {
      guard let (value, end) = page.varint(place) else { return nil }
      rowid = Int64(bitPattern: value)
      place = end
    }
    let usable = page.bytes.count
    let total = Int(size)
    let most = kind == 13 ? usable - 35 : (usable - 12) * 64 / 255 - 23
    var local = total
    if total > most {
      let least = (usable - 12) * 32 / 255 - 23
      let surplus = least + (total - least) % (usable - 4)
      local = surplus <= most ? surplus : least
    }
    let present = min(local, usable - place)
    if present <= 0 || present > left || present > leftToBroken { return nil }
    var payload = ByteBuffer(capacity: present)
    payload.append(page.bytes.slice(place, present))
    if total > local, present == local, let next = page.word32(place + local) {
      let most = takesChains ? total : min(total, Salvage.schemaRowByteCountMax)
      followChain(next, most, &payload, takes: takesChains, &chained)
    }
    guard let values = values(RawBytes(bytes: payload.bytes)) else {
      leftToBroken -= present
      return nil
    }
    left -= present
    return Row(rowid: rowid, values: values, byteCount: payload.count)
  }

  private func followChain(
    _ first: UInt32, _ total: Int, _ payload: inout ByteBuffer, takes: Bool, _ chained: inout Set<UInt32>
  ) {
    var next = first
    while next != 0, payload.count < total, let page = pages.page(next), !seen[Int(next)], chained.insert(next).inserted {
      payload.append(page.bytes.slice(4, min(total - payload.count, page.bytes.count - 4)))
      if takes { seen[Int(next)] = true }
      next = page.word32(0) ?? 0
    }
  }

  /// The columns of a record as far as they are there; nil where the bytes are no record.
  private func values(_ record: RawBytes) -> [SalvagedValue]? {
    guard let (headerCount, first) = record.varint(0), headerCount >= UInt64(first),
      headerCount <= UInt64(record.bytes.count)
    else { return nil }
    var place = first
    var content = Int(headerCount)
    var values: [SalvagedValue] = []
    while place < Int(headerCount), values.count < Salvage.columnCountMax {
      guard let (type, end) = record.varint(place), end <= Int(headerCount) else { return values.isEmpty ? nil : values }
      place = end
      guard let (value, count) = value(record, type, content) else { return nil }
      values.append(value)
      content = min(content + count, record.bytes.count + Salvage.rowByteCountMax)
    }
    return values
  }

  /// NULL where the content is cut off; nil for a type that there is not.
  private func value(_ record: RawBytes, _ type: UInt64, _ place: Int) -> (SalvagedValue, Int)? {
    func integer(_ count: Int) -> SalvagedValue {
      guard place + count <= record.bytes.count else { return .null }
      var value = Int64(Int8(bitPattern: record.bytes[place]))
      for index in 1..<max(count, 1) { value = value << 8 | Int64(record.bytes[place + index]) }
      return .integer(value)
    }
    switch type {
    case 0: return (.null, 0)
    case 1, 2, 3, 4: return (integer(Int(type)), Int(type))
    case 5: return (integer(6), 6)
    case 6: return (integer(8), 8)
    case 7:
      guard place + 8 <= record.bytes.count else { return (.null, 8) }
      let real = Double(bitPattern: record.bytes.bigEndianUInt64(at: place))
      return (real.isNaN ? .null : .real(real), 8)
    case 8: return (.integer(0), 0)
    case 9: return (.integer(1), 0)
    case 10, 11: return nil
    default:
      guard type < UInt64(2 * Salvage.rowByteCountMax) else { return nil }
      let count = Int(type - 12) / 2
      guard place + count <= record.bytes.count else { return (.null, count) }
      let bytes = record.bytes.slice(place, count).array
      return (type & 1 == 0 ? .blob(bytes) : .text(utf8(bytes)), count)
    }
  }

  private func utf8(_ bytes: [UInt8]) -> [UInt8] {
    if pages.encoding == 1 { return bytes }
    let isLittle = pages.encoding == 2
    let units = stride(from: 0, to: bytes.count - 1, by: 2).map { index in
      let (a, b) = (UInt16(bytes[index]), UInt16(bytes[index + 1]))
      return isLittle ? a | b << 8 : a << 8 | b
    }
    return Array(String(decoding: units, as: UTF16.self).utf8)
  }

  // MARK: What belongs to nobody

  private func markFreelist() {
    var trunk = pages.freelistTrunk
    while trunk > 1, trunk <= pages.pageCount, !seen[Int(trunk)], let page = pages.page(trunk), let count = page.word32(4),
      Int(count) <= page.bytes.count / 4 - 2
    {
      seen[Int(trunk)] = true
      for index in 0..<Int(count) {
        if let leaf = page.word32(8 + 4 * index), leaf > 1, leaf <= pages.pageCount { seen[Int(leaf)] = true }
      }
      trunk = page.word32(0) ?? 0
    }
  }

  private func lostRows() {
    // Inner pages that nobody leads to are roots of what hangs from them.
    var parents: [UInt32: UInt32] = [:]
    for number in stride(from: UInt32(2), through: pages.pageCount, by: 1) where !seen[Int(number)] {
      guard let page = pages.page(number), let kind = page.byte(0), kind == 5 || kind == 2 else { continue }
      for child in children(page, 0) where child != number && parents[child] == nil { parents[child] = number }
    }
    func root(_ number: UInt32) -> UInt32 {
      var top = number
      for _ in 0..<Salvage.depthMax {
        guard let parent = parents[top] else { break }
        top = parent
      }
      return top
    }
    var columnCount = 0
    var statements: [String] = []
    for number in stride(from: UInt32(2), through: pages.pageCount, by: 1) where !seen[Int(number)] {
      guard let kind = pages.page(number)?.byte(0), kind == 13 || kind == 10 else { continue }
      eachRow(number) { row in
        if row.values.isEmpty { return true }
        columnCount = max(columnCount, min(row.values.count, 1900))
        let shown = row.values.prefix(1900)
        statements.append(
          "(\(root(number)), \(number), \(row.values.count), \(row.rowid.map { String($0) } ?? "NULL"), "
            + shown.map(literal).joined(separator: ", ") + ");")
        let places = (0..<shown.count).map { "c\($0)" }.joined(separator: ", ")
        statements[statements.count - 1] = "(rootpgno, pgno, nfield, id, \(places)) VALUES " + statements[statements.count - 1]
        return true
      }
    }
    if statements.isEmpty { return }
    let columns = (0..<columnCount).map { ", c\($0)" }.joined()
    emit("CREATE TABLE \(SQLText.name(lostTable))(rootpgno INTEGER, pgno INTEGER, nfield INTEGER, id INTEGER\(columns));")
    for statement in statements {
      lostRowCount += 1
      emit("INSERT INTO \(SQLText.name(lostTable))" + statement)
    }
  }

  private func literal(_ value: SalvagedValue) -> String {
    switch value {
    case .null: return "NULL"
    case .integer(let number): return String(number)
    case .real(let number): return number.isInfinite ? (number < 0 ? "-1e999" : "1e999") : "\(number)"
    case .blob(let bytes): return "X'\(SQLText.hex(bytes))'"
    case .text(let bytes):
      // A NUL ends a statement's text, and bytes that are no UTF-8 would be repaired.
      let text = String(decoding: bytes, as: UTF8.self)
      if bytes.contains(0) || !text.utf8.elementsEqual(bytes) { return "CAST(X'\(SQLText.hex(bytes))' AS TEXT)" }
      return SQLText.string(text)
    }
  }
}

/// A new database of what is left of a damaged one.
public struct Recovery: Sendable {
  public var rows = 0
  /// Rows of lost_and_found.
  public var lostRows = 0
  /// Rows of the schema that are no definitions, statements that the new database refused, and the first refusal.
  public var refused = 0
  public var firstRefusal: String?

  /// - Throws: SQLITE_CANTOPEN where `target`, or a journal or log of that name, exists, or `source` cannot be read,
  ///   or has the name under which `target` is made; SQLITE_BUSY where somebody is writing `target`; SQLITE_FULL, SQLITE_IOERR or
  ///   SQLITE_NOMEM where the rows could not be stored; SQLITE_ABORT where their transaction has ended early. Then there is no
  ///   file.
  public static func run(
    _ environment: any Environment, from source: String, to target: String
  ) throws(EngineError) -> Recovery {
    try PartialFile.checkIsNot(source, environment, for: target)
    let finalPath = try environment.fullPath(target)
    try DatabaseArchive.checkIsFree(environment, finalPath)
    let partial = try PartialFile(environment, finalPath)
    let path = partial.content.path
    for suffix in DatabaseArchive.sideSuffixes { try environment.delete(path + suffix) }
    do throws(EngineError) {
      let recovery = try fill(path, environment, from: source)
      try DatabaseArchive.checkIsFree(environment, finalPath)
      try partial.finish(replaces: false)
      return recovery
    } catch {
      for suffix in DatabaseArchive.sideSuffixes { try? environment.delete(path + suffix) }
      throw error
    }
  }

  private static func fill(
    _ path: String, _ environment: any Environment, from source: String
  ) throws(EngineError) -> Recovery {
    let connection = try Connection(path, environment: environment)
    var recovery = Recovery()
    var failure: EngineError?
    let salvage = try Salvage(environment, source) { statement in
      if failure != nil { return }
      do throws(EngineError) {
        try connection.execute(statement)
      } catch {
        // A statement may be refused for what it says. One that fails for want of room takes the transaction with it.
        if [.full, .ioError, .noMemory].contains(error.code.primary) || statement == Salvage.end {
          failure = error
          return
        }
        recovery.refused += 1
        if recovery.firstRefusal == nil { recovery.firstRefusal = "\(error.message): \(statement.prefix(200))" }
      }
      if connection.isAutocommit, statement != Salvage.end {
        failure = EngineError(.abort, object: path, cause: "the transaction has ended early: \(statement.prefix(200))")
      }
    }
    salvage.run()
    recovery.rows = salvage.rowCount
    recovery.lostRows = salvage.lostRowCount
    recovery.refused += salvage.refusedCount
    recovery.firstRefusal = salvage.firstRefusal ?? recovery.firstRefusal
    if let failure {
      try? connection.closeBlocking()
      throw failure
    }
    try connection.closeBlocking()
    return recovery
  }
}

enum SQLText {
  static func name(_ name: String) -> String { quoted(name, "\"") }
  static func string(_ text: String) -> String { quoted(text, "'") }

  private static func quoted(_ text: String, _ mark: Unicode.Scalar) -> String {
    var result = String.UnicodeScalarView()
    result.append(mark)
    for scalar in text.unicodeScalars {
      if scalar == mark { result.append(mark) }
      result.append(scalar)
    }
    result.append(mark)
    return String(result)
  }

  static func hex(_ bytes: [UInt8]) -> String {
    let digits = Array("0123456789ABCDEF".utf8)
    var text: [UInt8] = []
    text.reserveCapacity(2 * bytes.count)
    for byte in bytes {
      text.append(digits[Int(byte >> 4)])
      text.append(digits[Int(byte & 15)])
    }
    return String(decoding: text, as: UTF8.self)
  }
}
