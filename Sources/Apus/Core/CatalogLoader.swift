// Reads a database's catalog from its schema table. It may wait at any page and goes on where it was.

import ApusBase
import ApusCompiler
import ApusStorage

/// One reading of the catalog of one database; kept by the connection until it has succeeded.
struct CatalogLoader: ~Copyable {
  private enum Phase {
    case header, rows, statistics, done
  }

  private enum HeaderField {
    static let schemaCookie = 1, schemaFormat = 2, textEncoding = 5
  }

  /// Schema formats that we understand: 4 has descending indexes.
  private static let schemaFormatMax: UInt32 = 4

  let database: Int
  private let pager: Pager
  private let generation: UInt32
  private var phase = Phase.header
  private var cookie: UInt32 = 0
  private var format: UInt32 = 0
  private var builder: SchemaBuilder
  private var cursor: BTreeCursor
  private var isPositioned = false
  /// nil where the database does not say yet.
  private(set) var textEncoding: TextEncoding?

  /// The snapshot is this reading's own.
  let hasOpenedRead: Bool

  /// `ConnectionState.runMoment` when it began.
  private let moment: UInt64

  init(database: Int, pager: Pager, generation: UInt32, hasOpenedRead: Bool, moment: UInt64) {
    self.moment = moment
    self.hasOpenedRead = hasOpenedRead
    self.database = database
    self.pager = pager
    self.generation = generation
    builder = SchemaBuilder(database: database, pageCountMax: pager.pageCount)
    cursor = BTreeCursor(pager: pager, root: .one, key: nil, isWritable: false)
  }

  /// The database is being attached: the connection has others already.
  var isAttachment = false
  /// What it must be encoded in, then.
  var connectionEncoding = TextEncoding.utf8

  /// Whether it is a reading of that database, in the snapshot of that moment.
  func reads(_ pager: Pager, at moment: UInt64) -> Bool { self.pager === pager && self.moment == moment }

  /// - Precondition: a read transaction is open, and stays open until this has returned.
  mutating func load() throws(Fault) -> Schema {
    if phase == .header {
      if pager.pageCount == 0 { return Schema.empty(database: database, cookie: 0, generation: generation) }
      try pager.checkHeader()
      cookie = try pager.meta(HeaderField.schemaCookie)
      format = try pager.meta(HeaderField.schemaFormat)
      let encoding = try pager.meta(HeaderField.textEncoding)
      if format > Self.schemaFormatMax { throw Fault.error(.error, "unsupported file format") }
      textEncoding = TextEncoding(rawValue: encoding & 3)
      if isAttachment, let textEncoding, textEncoding != connectionEncoding {
        throw Fault.error(.error, "attached databases must use the same text encoding as main database")
      }
      phase = .rows
    }
    if phase == .rows {
      while try moveOn() {
        let row = try schemaRow()
        do throws(EngineError) { try builder.add(row) } catch { throw Fault.failure(error) }
        isTaken = true
      }
      phase = .statistics
      isPositioned = false
    }
    if phase == .statistics {
      if let table = builder.statisticsTable {
        if !isStatistics {
          cursor = BTreeCursor(pager: pager, root: table, key: nil, isWritable: false)
          isStatistics = true
        }
        while try moveOn() {
          if let name = try text(0), let stat = try text(2) {
            builder.addStatistics(table: name, index: try text(1), stat: stat)
          }
          isTaken = true
        }
      }
      phase = .done
    }
    return builder.finish(cookie: cookie, generation: generation, format: format)
  }

  private var isStatistics = false
  // The current row has been taken into the builder: go to the next one.
  private var isTaken = false

  private mutating func moveOn() throws(Fault) -> Bool {
    pager.beginOperation()
    if !isPositioned {
      let found = try cursor.moveToFirst()
      isPositioned = true
      isTaken = false
      return found
    }
    if !isTaken { return true }
    let found = try cursor.next()
    isTaken = false
    return found
  }

  private mutating func schemaRow() throws(Fault) -> SchemaRow {
    let type = try text(0), name = try text(1), tableName = try text(2)
    var root: Int64?
    if let value = try cursor.column(3), value.kind == .integer { root = value.integerValue }
    return SchemaRow(type: type ?? "", name: name ?? "", tableName: tableName ?? "", root: root, sql: try text(4))
  }

  private mutating func text(_ column: Int) throws(Fault) -> String? {
    guard let value = try cursor.column(column), value.kind == .text else { return nil }
    guard let textEncoding, textEncoding != .utf8 else { return value.bytes.string }
    var text = ByteBuffer()
    textEncoding.appendUTF8(value.bytes, to: &text)
    return text.bytes.string
  }
}
