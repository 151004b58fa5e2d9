// A spill whose journal segment was written, and synced, but not counted: the pages in it are not protected, and must go into the
// journal again before the file is changed.

import ApusBase
import ApusIO
import ApusStorage
import Testing

/// The queue of a disk that refuses the writing of a journal's record count, once.
private final class RefusingQueue: IOQueue {
  private let base: any IOQueue
  private var refused: [Ticket: EngineError] = [:]
  var refuses = false

  init(_ base: any IOQueue) { self.base = base }

  var alarm: Alarm { base.alarm }
  func read(_ file: any File, at offset: Int64, into buffer: MutableByteView) -> Ticket {
    base.read(file, at: offset, into: buffer)
  }

  func write(_ file: any File, at offset: Int64, from views: [ByteView]) -> Ticket {
    guard refuses, file.path.hasSuffix("-journal"), views.count == 1, views[0].count == 4 else {
      return base.write(file, at: offset, from: views)
    }
    refuses = false
    let ticket = Ticket(rawValue: .max)
    refused[ticket] = EngineError(.ioErrorWrite, object: file.path, cause: "refused")
    return ticket
  }

  func sync(_ file: any File, _ kind: SyncKind) -> Ticket { base.sync(file, kind) }
  func syncDirectory(of path: String) -> Ticket { base.syncDirectory(of: path) }
  func take(_ ticket: Ticket) -> IOResult? {
    if let error = refused.removeValue(forKey: ticket) { return .failed(error) }
    return base.take(ticket)
  }
  var isBusy: Bool { base.isBusy }
  func submit() { base.submit() }
  func waitForCompletion() { base.waitForCompletion() }
  var completionDescriptor: Int32? { nil }
}

@Suite struct UncountedSegmentTests {
  private static let pageCount: UInt32 = 120

  @Test("a page is journaled when its segment counts, not before", arguments: [JournalMode.delete, .persist])
  func journaledAgain(mode: JournalMode) throws {
    let environment = MemoryEnvironment(seed: 21, completesAtOnce: true)
    let queue = RefusingQueue(environment.makeQueue())
    var configuration = Pager.Configuration()
    configuration.pageSize = 512
    configuration.synchronous = .full
    configuration.journalMode = mode
    configuration.cacheBytes = 16 * 512
    configuration.dirtyBytes = 16 * 512
    let pager = try Pager(environment: environment, queue: queue, path: "/u.db", configuration: configuration)
    func run<R>(_ body: () throws(Fault) -> R) throws -> R { try blocking(queue, environment, body) }
    func set(_ number: UInt32, _ tag: UInt32) throws {
      try run { () throws(Fault) in
        try pager.beginWriteOperation(pages: 1)
        let page = try pager.page(PageNumber(number))
        Driver.fill(pager.writable(page), tag)
      }
    }
    try run { () throws(Fault) in try pager.beginWrite() }
    for tag in 2...Self.pageCount {
      try run { () throws(Fault) in
        try pager.beginWriteOperation(pages: 2)
        Driver.fill(try pager.allocate(), tag)
      }
    }
    try run { () throws(Fault) in try pager.commit() }
    pager.endRead()

    try run { () throws(Fault) in try pager.beginWrite() }
    queue.refuses = true
    var failures = 0
    for number in 2...Self.pageCount {
      do { try set(number, 1000 + number) } catch {
        failures += 1
        try set(number, 1000 + number)
      }
    }
    #expect(failures == 1, "one spill has failed, and the transaction went on")
    try run { () throws(Fault) in try pager.rollback() }
    pager.endRead()
    let other = try Driver(environment, "/u.db") { $0.pageSize = 512 }
    try other.read {
      for number in 2...Self.pageCount {
        let tag = try other.tag(number)
        #expect(tag == number, "page \(number) is not what was committed")
      }
    }
    other.pager.close()
    pager.close()
  }
}
