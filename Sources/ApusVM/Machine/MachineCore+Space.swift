// The rows of dbstat: one instruction begins a walk, another gives its next row.

import ApusBase
import ApusStorage

/// A walk through the pages of one of the connection's databases.
final class DatabaseWalk {
  let walk: SpaceWalk
  let database: String
  let isAggregate: Bool

  init(_ walk: SpaceWalk, _ database: String, isAggregate: Bool) {
    self.walk = walk
    self.database = database
    self.isAggregate = isAggregate
  }
}

/// p5 of `spaceBegin`: what is given.
public struct SpaceFlags: OptionSet, Sendable {
  public var rawValue: UInt16

  public init(rawValue: UInt16) { self.rawValue = rawValue }

  public static let schema = SpaceFlags(rawValue: 1)
  public static let aggregate = SpaceFlags(rawValue: 2)
  public static let name = SpaceFlags(rawValue: 4)
}

extension MachineCore {
  mutating func beginSpaceWalk(_ i: Instruction) throws(Fault) {
    let flags = SpaceFlags(rawValue: i.p5)
    spaceWalks[i.p1] = nil
    var database = Int(i.p4)
    if flags.contains(.schema) {
      guard let name = text(of: registers[i.p2]), let number = state.databaseNumber(name) else { return }
      database = number
    }
    guard database < state.databases.count, let attached = state.databases[database] else { return }
    var onlyName: [UInt8]?
    if flags.contains(.name) {
      guard let name = text(of: registers[i.p2 &+ 2]) else { return }
      onlyName = stored(name)
    }
    let isAggregate = flags.contains(.aggregate) && registers[i.p2 &+ 1].asReal != 0
    try openWholeFile(database, attached.pager)
    let walk = SpaceWalk(
      attached.pager, isAggregate: isAggregate, schemaName: stored("sqlite_schema"), onlyName: onlyName)
    spaceWalks[i.p1] = DatabaseWalk(walk, attached.name, isAggregate: isAggregate)
  }

  /// - Returns: false behind the last row.
  mutating func nextSpaceRow(_ i: Instruction) throws(Fault) -> Bool {
    guard let active = spaceWalks[i.p1], let row = try active.walk.next() else {
      spaceWalks[i.p1] = nil
      return false
    }
    let first = i.p3
    scratch2.removeAll()
    for byte in row.name { scratch2.append(byte) }
    decodeText(first, .text(scratch2.bytes))
    if active.isAggregate {
      for column: Int32 in [1, 3, 8] { registers[first &+ column] = .null }
      registers[first &+ 2] = .integer(Int64(row.pageCount))
    } else {
      setText(first &+ 1, String(decoding: row.path, as: UTF8.self))
      registers[first &+ 2] = .integer(Int64(row.page))
      setText(first &+ 3, "\(row.kind)")
    }
    registers[first &+ 4] = .integer(Int64(row.cellCount))
    registers[first &+ 5] = .integer(row.payloadBytes)
    registers[first &+ 6] = .integer(row.unusedBytes)
    registers[first &+ 7] = .integer(row.payloadBytesMax)
    // SQLite reckons with the page size of main, whichever database is asked.
    let pageBytes = Int64(try state.pager(0).pageSize)
    if !active.isAggregate { registers[first &+ 8] = .integer(pageBytes * (Int64(row.page) - 1)) }
    registers[first &+ 9] = .integer(active.isAggregate ? pageBytes * Int64(row.pageCount) : pageBytes)
    setText(first &+ 10, active.database)
    registers[first &+ 11] = .boolean(active.isAggregate)
    return true
  }

  private mutating func text(of value: Value) -> String? {
    value.isNull ? nil : value.convertedText(in: &scratch).string
  }

  /// Text as records have it.
  private mutating func stored(_ text: String) -> [UInt8] {
    scratch.removeAll()
    scratch.append(contentsOf: text)
    if textEncoding == .utf8 { return scratch.bytes.array }
    scratch2.removeAll()
    textEncoding.append(scratch.bytes, to: &scratch2)
    return scratch2.bytes.array
  }
}
