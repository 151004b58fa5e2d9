// The pager: pages of one database file as one connection sees them, in transactions.
//
//   b-tree  ->  page(n), writable(page)  ->  page table (this connection)  ->  file cache (this process)  ->  WAL or file
//
// Everything that may wait throws `.wait` and is called again; until it is done, what it has come to is kept here, so a
// statement may be dropped at any wait. A pager is used by one thread at a time. `unsafe` lives here and in the
// extensions: the page table is memory that the pager owns, so that hits cost no exclusivity check.

import ApusBase
import ApusIO

@safe
public final class Pager {
  let table: UnsafeMutablePointer<PageTable>
  let environment: any Environment
  /// The b-tree cursors that are open on this pager.
  let cursors = CursorRegistry()
  public internal(set) var configuration: Configuration

  public internal(set) var state = State.none
  /// Pages of the database in the snapshot or the write transaction.
  var currentPageCount: UInt32 = 0
  /// Pages of the database when the write transaction began.
  var committedPageCount: UInt32 = 0

  // Savepoints: see Pager+Savepoints.
  var savepoints: [SavepointMark] = []
  var savepointSerial: UInt32 = 0
  var undo: [UndoEntry] = []
  var undoByteCount = 0

  /// Pages that the write transaction freed: their old content matters although they are free now.
  var freedPages = PageSet()
  /// Free pages of the snapshot that the write transaction took into use: what they held need not be journaled.
  var contentlessPages = PageSet()
  public internal(set) var dataVersion: UInt64 = 1
  private var faultChance: SeededRandom?

  init(environment: any Environment, configuration: Configuration) {
    self.environment = environment
    self.configuration = configuration
    unsafe table = UnsafeMutablePointer<PageTable>.allocate(capacity: 1)
    unsafe table.initialize(
      to: PageTable(pageSize: configuration.pageSize, reserved: configuration.reservedBytes))
  }

  deinit {
    releaseUndo(from: 0)
    cursors.destroy()
    unsafe table.pointee.destroy()
    unsafe table.deinitialize(count: 1)
    unsafe table.deallocate()
  }

  /// A database without a file: committed images live in memory only.
  public static func memory(environment: any Environment, configuration: Configuration = Configuration()) -> Pager {
    Pager(environment: environment, configuration: configuration)
  }

  public var pageSize: Int { unsafe table.pointee.pageSize }
  /// Page size less reserved bytes.
  public var usableSize: Int { unsafe table.pointee.usableSize }
  public var pageCount: UInt32 { currentPageCount }

  /// When set, accesses to pages throw `.wait(.nothing)` at random although the page is there: the debug switch that
  /// proves "load, then act".
  public var faultInjection: SeededRandom? {
    get { faultChance }
    set {
      faultChance = newValue
      unsafe table.pointee.hideHits(newValue != nil)
    }
  }

  func injectFault() throws(Fault) {
    if faultChance?.oneIn(4) == true { throw .wait(.nothing) }
  }
}
