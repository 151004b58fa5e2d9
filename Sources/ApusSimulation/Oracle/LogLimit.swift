// The log as the limit of its size has it (I32): whoever begins to append finds it below the limit. Seen at the writes that have
// completed, by the format's document alone: https://sqlite.org/fileformat2.html#walformat

import ApusBase

struct LogLimit {
  private struct Log {
    var salts: [UInt8] = []
    /// Where the frames of commits end, in order.
    var commitEnds: [Int] = []
  }

  private static let headerByteCount = 32
  private static let frameHeaderByteCount = 24

  let byteCount: Int
  private let frameByteCount: Int
  private var logs: [UInt64: Log] = [:]
  /// The first append that was begun beyond the limit.
  private(set) var problem: String?
  /// Commits that began in a log of half its limit or more.
  private(set) var lateCount = 0

  init(byteCount: Int, pageSize: Int) {
    self.byteCount = byteCount
    frameByteCount = Self.frameHeaderByteCount + pageSize
  }

  /// A write of `bytes` to the log with this inode is complete.
  mutating func note(_ inode: UInt64, _ offset: Int, _ bytes: [UInt8], by actor: Int) {
    guard offset >= Self.headerByteCount, (offset - Self.headerByteCount) % frameByteCount == 0, bytes.count >= frameByteCount
    else { return }
    var log = logs[inode] ?? Log()
    let salts = Array(bytes[8..<16])
    if salts != log.salts { log = Log(salts: salts) }
    // What lies behind is written over.
    log.commitEnds.removeAll { $0 > offset }
    let base = log.commitEnds.last ?? 0
    // Connections that the run opens for itself know of no limit.
    if actor >= 0, base >= byteCount, problem == nil {
      problem = "client \(actor) begins to append to a log of \(base) bytes; its limit is \(byteCount)"
    }
    if base >= byteCount / 2 { lateCount += 1 }
    var place = 0
    while place + frameByteCount <= bytes.count, Array(bytes[place + 8..<place + 16]) == salts {
      if bytes[place + 4..<place + 8].contains(where: { $0 != 0 }) { log.commitEnds.append(offset + place + frameByteCount) }
      place += frameByteCount
    }
    logs[inode] = log
  }
}
