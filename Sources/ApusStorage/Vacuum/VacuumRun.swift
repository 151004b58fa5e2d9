// VACUUM: the database is written anew, without free pages and with full ones, into a database of its own; that one is
// the result (VACUUM INTO), or its pages take the place of the old ones in one transaction.
//
//   source -- schema rows, then each b-tree record by record --> a new database
//   new database -- page by page --> source, under its journal or log
//
// Records are copied as bytes: nothing is parsed but the schema's kinds and roots, so virtual tables' rows, generated
// columns and whatever text the schema holds are kept. Source: https://sqlite.org/lang_vacuum.html

import ApusBase
import ApusIO

/// One run. `advance` works off a bounded piece at each call and may wait.
public final class VacuumRun {
  /// What the new database is like.
  public struct Shape: Sendable {
    public var pageSize: Int
    public var reservedBytes: Int
    public var autoVacuum: AutoVacuum

    public init(pageSize: Int, reservedBytes: Int, autoVacuum: AutoVacuum) {
      self.pageSize = pageSize
      self.reservedBytes = reservedBytes
      self.autoVacuum = autoVacuum
    }
  }

  private struct SchemaRow {
    var record: [UInt8]
    var isTable: Bool
    var isIndex: Bool
    /// Made by a constraint: it has no text.
    var isImplicit: Bool
    var tableName: [UInt8]
    var root: UInt32
    var newRoot: UInt32 = 0
    var hasRowids = true
  }

  private enum Phase { case schema, roots, trees, rows, fields, commit, replace, copy, end, done }

  private let source: Pager
  private let target: Pager
  private let replaces: Bool
  private var back: (any BackupTarget)?
  private var phase = Phase.schema
  private var rows: [SchemaRow] = []
  private var next = 0
  private var reader: EntryReader?
  private var builder: TreeBuilder?
  /// Of the target, while its schema's rows are written.
  private var schemaCursor: BTreeCursor?
  private var copied: UInt32 = 0

  /// Entries that one call copies.
  private static let entriesPerPiece = 2_000

  /// - Parameters:
  ///   - source: in a transaction, one for writing where it is to be replaced, that has changed nothing.
  ///   - target: a new database for this run alone.
  ///   - replaces: the target's pages become the source's.
  public init(source: Pager, target: Pager, replaces: Bool) {
    self.source = source
    self.target = target
    self.replaces = replaces
    reader = EntryReader(BTreeCursor(pager: source, root: .one, key: nil, isWritable: false))
  }

  /// - Returns: true when all is done and durable. A source that was replaced has no transaction any more.
  public func advance() throws(Fault) -> Bool {
    switch phase {
    case .schema: try readSchema()
    case .roots: try makeRoots()
    case .trees: try copyEntries()
    case .rows: try writeSchema()
    case .fields: try writeFields()
    case .commit:
      try target.commit()
      phase = replaces ? .replace : .done
    case .replace: try beginReplacing()
    case .copy: try copyPages()
    case .end:
      try back?.commit(pageCount: target.pageCount)
      phase = .done
    case .done: break
    }
    return phase == .done
  }

  // MARK: The schema

  private func readSchema() throws(Fault) {
    source.beginOperation()
    let encoding = TextEncoding(rawValue: try source.meta(5)) ?? .utf8
    while try reader?.advance() == true {
      guard let record = try reader?.cursor.payload() else { break }
      let values = try Self.schemaValues(record, encoding)
      var row = values
      row.record = record.array
      if row.root > 0 {
        guard row.root > 1, row.root <= source.pageCount else {
          throw .corrupt(.one, "a root page outside the database")
        }
        row.hasRowids = try BTreePage(source.page(PageNumber(row.root))).kind.isTable
      }
      rows.append(row)
      reader?.take()
    }
    rows = Self.inOrderOfCreation(rows)
    next = 0
    reader = nil
    phase = .roots
  }

  private static func schemaValues(_ record: ByteView, _ encoding: TextEncoding) throws(Fault) -> SchemaRow {
    var fields = RecordReader(record)
    guard let type = fields.next(), fields.next() != nil, let table = fields.next(), let root = fields.next() else {
      throw .corrupt(.one, "a row of the schema is too short")
    }
    let sql = fields.next()
    var kind = ByteBuffer()
    if type.kind == .text { encoding.appendUTF8(type.bytes, to: &kind) }
    var number: UInt32 = 0
    if root.kind == .integer, root.integerValue != 0 { number = UInt32(clamping: max(root.integerValue, 1)) }
    return SchemaRow(
      record: [], isTable: kind.bytes.string == "table", isIndex: kind.bytes.string == "index",
      isImplicit: sql?.kind != .text, tableName: table.kind == .text ? table.bytes.array : [], root: number)
  }

  /// SQLite creates the tables first, each with its implicit indexes, then the other indexes, then what has no b-tree.
  private static func inOrderOfCreation(_ rows: [SchemaRow]) -> [SchemaRow] {
    var ordered: [SchemaRow] = []
    for row in rows where row.isTable && row.root > 0 {
      ordered.append(row)
      ordered += rows.filter { $0.isIndex && $0.isImplicit && $0.root > 0 && $0.tableName == row.tableName }
    }
    ordered += rows.filter { $0.isIndex && !$0.isImplicit && $0.root > 0 }
    let taken = Set(ordered.map(\.root))
    ordered += rows.filter { $0.root > 0 && !taken.contains($0.root) }
    return ordered + rows.filter { $0.root == 0 }
  }

  private func makeRoots() throws(Fault) {
    try target.beginWrite()
    // Somebody may have made it since it was found to be new.
    if !replaces, target.committedPageCount > 0 { throw .error(.error, "output file already exists") }
    while next < rows.count {
      if rows[next].root > 0 {
        rows[next].newRoot = try BTree.create(target, rows[next].hasRowids ? .table : .index).rawValue
      }
      next += 1
    }
    next = 0
    phase = .trees
  }

  private func writeSchema() throws(Fault) {
    // An insertion that waits goes on in its cursor, which knows the overflow pages that it has written.
    var cursor = schemaCursor.take() ?? BTreeCursor(pager: target, root: .one, key: nil, isWritable: true)
    do throws(Fault) {
      while next < rows.count {
        let record = rows[next].record
        var changed = ByteBuffer()
        try Self.replaceRoot(record, rows[next].newRoot, into: &changed)
        try cursor.insert(rowid: Int64(next + 1), record: changed.bytes, isAppend: true)
        next += 1
      }
    } catch {
      schemaCursor = consume cursor
      throw error
    }
    phase = .fields
  }

  /// The record with another fourth column.
  private static func replaceRoot(_ record: [UInt8], _ root: UInt32, into target: inout ByteBuffer) throws(Fault) {
    var bytes = ByteBuffer()
    for byte in record { bytes.append(byte) }
    if root == 0 {
      target.append(bytes.bytes)
      return
    }
    try RecordCodec.replaceInteger(column: 3, of: bytes.bytes, by: Int64(root), into: &target)
  }

  // MARK: The b-trees

  private func copyEntries() throws(Fault) {
    while next < rows.count, rows[next].root == 0 { next += 1 }
    guard next < rows.count else {
      next = 0
      phase = .rows
      return
    }
    let row = rows[next]
    var builder = self.builder.take() ?? TreeBuilder(target, root: PageNumber(row.newRoot), isTable: row.hasRowids)
    var reader =
      self.reader.take()
      ?? EntryReader(
        BTreeCursor(
          pager: source, root: PageNumber(row.root), key: row.hasRowids ? nil : KeyDescription([]), isWritable: false))
    var isAtEnd = false
    do throws(Fault) {
      isAtEnd = try copyPiece(&builder, &reader, hasRowids: row.hasRowids)
    } catch {
      self.builder = consume builder
      self.reader = consume reader
      throw error
    }
    if isAtEnd {
      next += 1
    } else {
      self.builder = consume builder
      self.reader = consume reader
    }
  }

  /// - Returns: true when the tree is done.
  private func copyPiece(
    _ builder: inout TreeBuilder, _ reader: inout EntryReader, hasRowids: Bool
  ) throws(Fault) -> Bool {
    for _ in 0..<Self.entriesPerPiece {
      guard try reader.advance() else {
        try builder.finish()
        return true
      }
      try builder.append(try reader.cursor.payload(), rowid: hasRowids ? try reader.cursor.rowid : 0)
      reader.take()
    }
    return false
  }

  // MARK: The header

  /// The schema cookie grows; format, cache size, encoding, user version and application id stay.
  private func writeFields() throws(Fault) {
    source.beginOperation()
    try target.beginWriteOperation(pages: 1)
    var fields: [(Int, UInt32)] = [(1, try source.meta(1) &+ 1)]
    for field in [2, 3, 5, 6, 8] { fields.append((field, try source.meta(field))) }
    let one = try target.page(.one)
    let bytes = target.writable(one).mutableBytes
    for (field, value) in fields { bytes.setBigEndianUInt32(value, at: 36 + 4 * field) }
    phase = .commit
  }

  // MARK: Back into the source

  private var hasFile: Bool { !source.isInMemory && !source.isTemporary }

  private func beginReplacing() throws(Fault) {
    if back == nil {
      // What the old pages were is of no use any more, and what is private must not be taken for a change of them.
      back = hasFile ? FileBackupTarget(replacing: source) : MemoryBackupTarget(source)
      source.usesPointerMap = false
    }
    if !hasFile, source.state != .none {
      if source.state == .write { try source.rollback() }
      source.endRead()
    }
    try back?.begin(
      pageSize: target.pageSize, reserved: target.pageSize - target.usableSize, hasChecksums: source.hasChecksums)
    copied = 0
    phase = .copy
  }

  private func copyPages() throws(Fault) {
    guard let back else { return }
    for _ in 0..<64 where copied < target.pageCount {
      target.beginOperation()
      let number = copied + 1
      if number != target.lockBytePage {
        let page = try target.page(PageNumber(number))
        try back.makeRoom(for: number)
        let image = target.image(of: page)
        // Nobody else has seen it.
        if source.hasChecksums { PageSeal.seal(image.image.mutableBytes, number) }
        back.put(image)
      }
      copied = number
    }
    if copied == target.pageCount { phase = .end }
  }
}

/// A cursor and whether its row was taken, so that what waits finds its place again.
private struct EntryReader: ~Copyable {
  var cursor: BTreeCursor
  private var isPositioned = false
  private var isTaken = false
  private var isAtEnd = false

  init(_ cursor: consuming BTreeCursor) { self.cursor = cursor }

  /// - Returns: false behind the last row.
  mutating func advance() throws(Fault) -> Bool {
    if isAtEnd { return false }
    if isPositioned, !isTaken { return true }
    let found = isPositioned ? try cursor.next() : try cursor.moveToFirst()
    isPositioned = true
    isTaken = false
    isAtEnd = !found
    return found
  }

  mutating func take() { isTaken = true }
}
