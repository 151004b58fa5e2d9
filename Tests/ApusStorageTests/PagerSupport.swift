// What the pager's tests share: a blocking driver around a pager, and pages that name themselves.

import ApusBase
import ApusIO
import ApusStorage
import Testing

/// A pager with its queue, driven synchronously. With `faults`, accesses fault at random.
final class Driver {
  let environment: any Environment
  let queue: any IOQueue
  let pager: Pager

  init(
    _ environment: any Environment, _ path: String, faults: UInt64? = nil,
    _ configure: (inout Pager.Configuration) -> Void = { _ in }
  ) throws {
    var configuration = Pager.Configuration()
    configure(&configuration)
    self.environment = environment
    queue = environment.makeQueue()
    pager = try Pager(environment: environment, queue: queue, path: path, configuration: configuration)
    if let faults { pager.faultInjection = SeededRandom(seed: faults) }
  }

  func run<Result>(_ operation: () throws(Fault) -> Result) throws -> Result {
    try blocking(queue, environment, operation)
  }

  func begin() throws { try run { () throws(Fault) in try pager.beginWrite() } }
  func commit() throws { try run { () throws(Fault) in try pager.commit() } }
  func rollback() throws { try run { () throws(Fault) in try pager.rollback() } }

  /// One write transaction with a snapshot of its own.
  func write(_ body: () throws -> Void) throws {
    try begin()
    try body()
    try commit()
    pager.endRead()
  }

  func read<Result>(_ body: () throws -> Result) throws -> Result {
    try run { () throws(Fault) in try pager.beginRead() }
    defer { pager.endRead() }
    return try body()
  }

  func append(_ tag: UInt32) throws -> UInt32 {
    try run { () throws(Fault) in
      try pager.beginWriteOperation(pages: 2)
      let page = try pager.allocate()
      Driver.fill(page, tag)
      return page.number.rawValue
    }
  }

  func set(_ number: UInt32, _ tag: UInt32) throws {
    try run { () throws(Fault) in
      try pager.beginWriteOperation(pages: 1)
      let page = try pager.page(PageNumber(number))
      Driver.fill(pager.writable(page), tag)
    }
  }

  func free(_ number: UInt32) throws {
    try run { () throws(Fault) in
      try pager.beginWriteOperation(pages: 3)
      _ = try pager.page(PageNumber(number))
      try pager.free(PageNumber(number))
    }
  }

  /// The tag of a page that is filled with one.
  func tag(_ number: UInt32) throws -> UInt32 {
    try run { () throws(Fault) in
      pager.beginOperation()
      let bytes = try pager.page(PageNumber(number)).bytes
      let tag = bytes.bigEndianUInt32(at: 0)
      // Every 64th word and the last.
      for offset in stride(from: 0, to: bytes.count - 3, by: 256) where bytes.bigEndianUInt32(at: offset) != tag {
        return UInt32.max
      }
      return bytes.bigEndianUInt32(at: (bytes.count - 4) & ~3) == tag ? tag : UInt32.max
    }
  }

  static func fill(_ page: Page, _ tag: UInt32) {
    let bytes = page.mutableBytes
    for offset in stride(from: 0, to: bytes.count - 3, by: 4) { bytes.setBigEndianUInt32(tag, at: offset) }
  }
}
