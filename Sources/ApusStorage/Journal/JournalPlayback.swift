// Playing a rollback journal back into its database file: after a crash (a hot journal), or for a transaction that had
// spilled. Repeating it from the start is harmless, so it can be dropped at any wait. Runs under the EXCLUSIVE lock.

import ApusBase
import ApusIO

final class JournalPlayback {
  private enum Phase { case size, journalSync, superMark, superName, header, records, write, sync, done }

  private let queue: any IOQueue
  private let environment: any Environment
  private let journal: any File
  private let database: any File
  private let syncs: Bool
  private let isHot: Bool
  private var phase = Phase.size
  private var group: RequestGroup?
  private var buffer: MutableByteView?
  private var byteCount: Int64 = 0
  private var offset: Int64 = 0
  private var header: JournalFormat.Header?
  private var pageSize = 0
  private var recordsLeft = 0
  private var batchCount = 0
  /// Each at most once; few, whatever their numbers are: a set of bits would be as long as the largest.
  private var played: Set<UInt32> = []
  private var isAtEnd = false
  private var superChecksum: UInt32 = 0
  /// The super-journal that the journal names; known before anything is played back.
  private(set) var superJournal: String?
  /// Pages of the database after the rollback; nil where the journal held nothing.
  private(set) var pageCount: UInt32?

  private static let batchByteCount = 256 * 1024

  /// - Parameter isHot: the journal is somebody else's, who may never have synced it.
  init(
    queue: any IOQueue, environment: any Environment, journal: any File, database: any File, syncs: Bool, isHot: Bool
  ) {
    self.queue = queue
    self.environment = environment
    self.journal = journal
    self.database = database
    self.syncs = syncs
    self.isHot = isHot
  }

  /// What is in flight goes into the database.
  var isWriting: Bool {
    if case .write = phase { return true }
    return false
  }

  /// What is in flight when the playback is given up.
  func abandon() -> RequestGroup? {
    defer { group = nil }
    return group
  }

  func run() throws(Fault) {
    while true {
      #if PlantedBugs
        if environment.fires(.playbackYield) { throw .wait(.nothing) }
      #endif
      switch phase {
      case .size:
        let journal = self.journal
        byteCount = try faulting { () throws(EngineError) in try journal.size() }
        if byteCount < 16 {
          phase = .done
        } else if syncs && isHot {
          // What is played back in part must be there as a whole after a power cut.
          let group = RequestGroup()
          group.add(queue.sync(journal, .data))
          self.group = group
          phase = .journalSync
        } else {
          readSuperMark()
        }
      case .journalSync:
        try group?.finish(queue)
        readSuperMark()
      case .superMark:
        let view = try finishRead()
        let length = Int64(view.bigEndianUInt32(at: 0))
        let lengthMax = min(byteCount - 16, SuperJournal.pathByteCountMax)
        if view.bigEndianUInt64(at: 8) == JournalFormat.magic && length > 0 && length <= lengthMax {
          superChecksum = view.bigEndianUInt32(at: 4)
          read(at: byteCount - 16 - length, Int(length))
          phase = .superName
        } else {
          try readHeader()
        }
      case .superName:
        let name = try finishRead()
        let sum = SuperJournal.sum(name)
        // A transaction over several files has committed when its super-journal is gone: nothing to roll back.
        let (environment, path) = (self.environment, name.string)
        let exists = try faulting { () throws(EngineError) in try environment.exists(path) }
        if sum == superChecksum { superJournal = path }
        #if PlantedBugs
          let isIgnored = PlantedBug.isActive(.ignoreMissingSuperJournal)
        #else
          let isIgnored = false
        #endif
        if sum == superChecksum && !exists && !isIgnored {
          phase = .done
        } else {
          try readHeader()
        }
      case .header:
        try startSegment(try finishRead())
      case .records:
        try applyRecords(try finishRead())
      case .write:
        if let group {
          try group.finish(queue)
          self.group = nil
        }
        if isAtEnd { try finish() } else { try readRecords() }
      case .sync:
        if let group {
          try group.finish(queue)
          self.group = nil
        }
        phase = .done
      case .done:
        return
      }
    }
  }

  private func readSuperMark() {
    read(at: byteCount - 16, 16)
    phase = .superMark
  }

  private func read(at offset: Int64, _ byteCount: Int) {
    let group = RequestGroup()
    let buffer = group.allocate(byteCount)
    buffer.fill(0, byteCount)
    group.add(queue.read(journal, at: offset, into: buffer))
    self.group = group
    self.buffer = buffer
  }

  private func finishRead() throws(Fault) -> ByteView {
    guard let group, let buffer else { preconditionFailure("nothing is being read") }
    try group.finish(queue)
    return buffer.readable
  }

  private func readHeader() throws(Fault) {
    let sector = Int64(header?.sectorByteCount ?? JournalFormat.sectorByteCount)
    #if PlantedBugs
      let short: Int64 = PlantedBug.isActive(.skipAdjacentSegment) && offset > 0 ? 0 : 1
      offset = (offset + sector - short) / sector * sector
    #else
      offset = (offset + sector - 1) / sector * sector
    #endif
    // As for SQLite, a header counts where its whole sector is there: nothing stands behind one that is cut off, and what it says
    // of the database's length may be as broken.
    if offset + sector > byteCount { return try finish() }
    read(at: offset, JournalFormat.headerByteCount)
    phase = .header
  }

  private func startSegment(_ view: ByteView) throws(Fault) {
    guard let found = JournalFormat.read(view) else { return try finish() }
    let isFirst = header == nil
    if isFirst {
      pageSize = found.pageSize
      pageCount = found.pageCount
      let (database, size) = (self.database, Int64(found.pageCount) * Int64(found.pageSize))
      try faulting { () throws(EngineError) in
        if try database.size() > size { try database.truncate(to: size) }
      }
      header = found
    } else {
      #if PlantedBugs
        if !PlantedBug.isActive(.keepSegmentNonce) { header?.nonce = found.nonce }
      #else
        header?.nonce = found.nonce
      #endif
    }
    offset += Int64(header?.sectorByteCount ?? JournalFormat.sectorByteCount)
    let room = Int(max(0, byteCount - offset) / Int64(JournalFormat.recordByteCount(pageSize)))
    recordsLeft = found.recordCount == 0xffff_ffff ? room : min(room, Int(found.recordCount))
    try readRecords()
  }

  private func readRecords() throws(Fault) {
    if recordsLeft == 0 { return try readHeader() }
    let recordByteCount = JournalFormat.recordByteCount(pageSize)
    batchCount = min(recordsLeft, max(1, JournalPlayback.batchByteCount / recordByteCount))
    read(at: offset, batchCount * recordByteCount)
    phase = .records
  }

  private func applyRecords(_ view: ByteView) throws(Fault) {
    let recordByteCount = JournalFormat.recordByteCount(pageSize)
    let lockBytePage = UInt32(DatabaseLock.pendingByte / Int64(pageSize)) + 1
    let writes = RequestGroup()
    let copy = writes.allocate(view.count)
    copy.copy(view, to: 0)
    for position in 0..<batchCount {
      let record = copy.readable.slice(position * recordByteCount, recordByteCount)
      let number = record.bigEndianUInt32(at: 0)
      let page = record.slice(4, pageSize)
      // A record that is not whole was never synced, so its page was never changed.
      #if PlantedBugs
        let isTrusted = PlantedBug.isActive(.trustTornRecords)
      #else
        let isTrusted = false
      #endif
      guard number != 0, number != lockBytePage,
        isTrusted
          || JournalFormat.checksum(page, nonce: header?.nonce ?? 0) == record.bigEndianUInt32(at: 4 + pageSize)
      else {
        isAtEnd = true
        break
      }
      if number > (pageCount ?? 0) || played.contains(number) { continue }
      played.insert(number)
      writes.add(queue.write(database, at: Int64(number - 1) * Int64(pageSize), from: [page]))
    }
    offset += Int64(batchCount * recordByteCount)
    recordsLeft -= batchCount
    group = writes
    phase = .write
  }

  /// The file's last pages may have held nothing that was journaled: it gets its length back all the same.
  private func finish() throws(Fault) {
    if let pageCount {
      let (database, size) = (self.database, Int64(pageCount) * Int64(pageSize))
      try faulting { () throws(EngineError) in
        if try database.size() < size { try database.truncate(to: size) }
      }
    }
    #if PlantedBugs
      if PlantedBug.isActive(.skipPlaybackSync) {
        group = nil
        phase = .done
        return
      }
    #endif
    if syncs && pageCount != nil {
      let group = RequestGroup()
      group.add(queue.sync(database, .data))
      self.group = group
      phase = .sync
    } else {
      group = nil
      phase = .done
    }
  }
}
