// Super-journals: one file that holds the journals of a transaction over several files together.
// Source: https://sqlite.org/atomiccommit.html#_multi_file_commit
//
//   super-journal                     the end of each journal that it holds, at a sector's start (big-endian)
//     journal's path, NUL               4  number of the page with the lock bytes
//     journal's path, NUL               n  path of the super-journal
//     ...                               4  n
//                                       4  sum of the path's bytes
//                                       8  the journal's magic
//
// A journal that names a super-journal which is gone belongs to a commit that has happened. So deleting the super-journal
// is the commit of all files at once.

import ApusBase
import ApusIO

enum SuperJournal {
  /// Bytes behind the path in a journal.
  static let markByteCount = 16
  /// The longest path that a journal names: a system's longest one. What says more is no mark.
  static let pathByteCountMax: Int64 = 4096
  /// A longer super-journal is none of ours: it is left alone.
  static let byteCountMax: Int64 = 1 << 20

  /// SQLite's form of the name; the 9 is for file systems of eight letters.
  static func path(beside database: String, _ chance: UInt64) -> String {
    func digits(_ value: UInt64, _ count: Int) -> String {
      let text = String(value, radix: 16, uppercase: true)
      return String(repeating: "0", count: count - text.utf8.count) + text
    }
    return "\(database)-mj\(digits((chance >> 8) & 0xff_ffff, 6))9\(digits(chance & 0xff, 2))"
  }

  static func sum(_ bytes: ByteView) -> UInt32 {
    var sum: UInt32 = 0
    for position in 0..<bytes.count { sum &+= UInt32(bytes[position]) }
    return sum
  }

  /// What a journal ends with.
  static func record(_ path: String, pageSize: Int) -> ByteBuffer {
    var name = ByteBuffer()
    name.append(contentsOf: path)
    var record = ByteBuffer()
    append(UInt32(DatabaseLock.pendingByte / Int64(pageSize)) + 1, to: &record)
    record.append(name.bytes)
    append(UInt32(name.count), to: &record)
    append(sum(name.bytes), to: &record)
    append(UInt32(truncatingIfNeeded: JournalFormat.magic >> 32), to: &record)
    append(UInt32(truncatingIfNeeded: JournalFormat.magic), to: &record)
    return record
  }

  private static func append(_ value: UInt32, to record: inout ByteBuffer) {
    for shift: UInt32 in [24, 16, 8, 0] { record.append(UInt8(truncatingIfNeeded: value >> shift)) }
  }
}

/// The commit of a transaction that has changed several databases of one connection, or the part of it that is done. Restartable
/// from any wait. Journaled files become durable together; with a log, or without a journal, each file is atomic for itself.
public final class SuperCommit {
  private enum Phase {
    case locks, superFile, superWrite(RequestGroup), superSync(RequestGroup), journals, others, decision
    case decisionSync(RequestGroup), ends, done
  }

  private let environment: any Environment
  private let queue: any IOQueue
  private var pagers: [Pager] = []
  /// All that the transaction has changed; of these the files that the super-journal holds together, those that commit by
  /// themselves, and those that nobody sees but this connection.
  private var changed: [Pager] = []
  private var journaled: [Pager] = []
  private var others: [Pager] = []
  private var temporaries: [Pager] = []
  private var phase = Phase.locks
  private var path: String?
  private var file: (any File)?
  private var isDecided = false
  private var hasFailed = false
  private var isGivenUp = false

  /// Requests of a try that was dropped.
  private var abandoned: [RequestGroup] = []

  /// - Parameter queue: the one of the pagers.
  public init(environment: any Environment, queue: any IOQueue) {
    self.environment = environment
    self.queue = queue
  }

  /// The transaction, or its part in one of the files, is committed: a dropped commit has to be gone on with.
  public var mustFinish: Bool {
    #if PlantedBugs
      if PlantedBug.isActive(.finishOnlyDecided) { return !hasFailed && (isDecided || others.contains { $0.state != .write }) }
    #endif
    if isGivenUp { return false }
    return !hasFailed && (isDecided || changed.contains { $0.state != .write || $0.isBehindCommitPoint })
  }

  /// The roll-back of all files begins: what it has rolled back must not pass for committed.
  public func giveUp() { isGivenUp = true }

  /// Whoever was carrying it out has gone: the next try begins anew, with the locks, journals and files that there are.
  public func interrupt() {
    if mustFinish { return }
    switch phase {
    case .superWrite(let group), .superSync(let group), .decisionSync(let group): abandoned.append(group)
    case .locks, .superFile, .journals, .others, .decision, .ends, .done: break
    }
    phase = .locks
  }

  /// Called again after a wait with the same databases; after a failure again, or `discard` follows the roll-back of all.
  public func run(_ databases: [Pager]) throws(Fault) {
    if case .locks = phase { pagers = databases }
    do {
      while try advance() {}
    } catch {
      if case .failure = error {
        // Locks and journals stay as they are: the next try begins with them.
        hasFailed = !isDecided && changed.contains { $0.state != .write }
        if !isDecided { phase = .locks }
      }
      throw error
    }
  }

  private func advance() throws(Fault) -> Bool {
    switch phase {
    case .locks:
      for group in abandoned where !group.isDone(queue) { try group.finish(queue) }
      abandoned = []
      // A COMMIT of one of them alone that was dropped when it could no longer be undone.
      for pager in pagers where pager.state == .write && pager.isBehindCommitPoint {
        try pager.commit()
        pager.noteCommittedInstead()
      }
      changed = pagers.filter { $0.state == .write && $0.hasChanges }
      journaled = changed.filter(\.keepsDurableJournal)
      temporaries = changed.filter { $0.isTemporary || $0.isInMemory }
      others = changed.filter { !$0.keepsDurableJournal && !$0.isTemporary && !$0.isInMemory }
      // No file is written before all of them are free.
      if changed.count > 1 { for pager in changed { try pager.lockForCommit() } }
      phase = journaled.count > 1 || path != nil ? .superFile : .journals
    case .superFile: phase = .superWrite(try writeSuperJournal())
    case .superWrite(let group):
      try group.finish(queue)
      phase = .superSync(syncSuperJournal())
    case .superSync(let group):
      try group.finish(queue)
      phase = .journals
    case .journals:
      for pager in journaled { try pager.prepareCommit(superJournal: path) }
      // Nothing that can fail is left to them when the files are committed.
      for pager in temporaries { try pager.prepareCommit(superJournal: nil) }
      phase = .others
    case .others:
      for pager in others where pager.state == .write || pager.owesCheckpoint { try pager.commit() }
      phase = .decision
    case .decision:
      let group = RequestGroup()
      if let path {
        let environment = self.environment
        file?.close()
        file = nil
        try faulting { () throws(EngineError) in try environment.delete(path) }
        isDecided = true
        group.add(queue.syncDirectory(of: path))
      }
      for pager in journaled { pager.endCommit(hasSuperJournal: path != nil) }
      for pager in temporaries { pager.endCommit(hasSuperJournal: false) }
      phase = .decisionSync(group)
    case .decisionSync(let group):
      try group.finish(queue)
      phase = .ends
    case .ends:
      for pager in pagers where pager.state == .write || pager.owesCheckpoint { try pager.commit() }
      phase = .done
    case .done: return false
    }
    return true
  }

  private func writeSuperJournal() throws(Fault) -> RequestGroup {
    let environment = self.environment
    while file == nil {
      guard let beside = journaled.first?.filePath else { break }
      let path = SuperJournal.path(beside: beside, environment.randomUInt64())
      file = try faulting { () throws(EngineError) -> (any File)? in
        if try environment.exists(path) { return nil }
        return try environment.open(path, OpenMode(isWritable: true, mayCreate: true, isExclusive: true))
      }
      if file != nil { self.path = path }
    }
    var text = ByteBuffer()
    for pager in journaled {
      text.append(contentsOf: (pager.filePath ?? "") + "-journal")
      #if PlantedBugs
        if PlantedBug.isActive(.joinSuperNames), pager === journaled.last { break }
      #endif
      text.append(0)
    }
    let group = RequestGroup()
    let view = group.allocate(text.count)
    view.copy(text.bytes, to: 0)
    if let file { group.add(queue.write(file, at: 0, from: [view.readable])) }
    return group
  }

  private func syncSuperJournal() -> RequestGroup {
    let group = RequestGroup()
    #if PlantedBugs
      if PlantedBug.isActive(.skipSuperJournalSync) { return group }
    #endif
    if let file, let path {
      group.add(queue.sync(file, .data))
      group.add(queue.syncDirectory(of: path))
    }
    return group
  }

  /// The transaction was rolled back: nothing names the super-journal any more, unless a journal had to be left to the next
  /// opener of its file.
  public func discard() {
    file?.close()
    file = nil
    #if PlantedBugs
      let isBlind = PlantedBug.isActive(.discardNeededSuperJournal)
    #else
      let isBlind = false
    #endif
    if isDecided || pagers.contains(where: \.hasLeftJournal) && !isBlind { return }
    if let path { try? environment.delete(path) }
  }
}

/// Deletes a super-journal that no journal names any more; what cannot be found out leaves it where it is.
final class SuperJournalCleanup {
  private enum Phase { case content, children, child, done }

  private let environment: any Environment
  private let queue: any IOQueue
  private let path: String
  private var phase = Phase.content
  private var children: [String] = []
  private var file: (any File)?
  private var group: RequestGroup?
  private var buffer: MutableByteView?

  init(environment: any Environment, queue: any IOQueue, path: String) {
    self.environment = environment
    self.queue = queue
    self.path = path
  }

  func abandon() -> RequestGroup? {
    defer { group = nil }
    return group
  }

  func run() throws(Fault) {
    while phase != .done {
      do {
        try advance()
      } catch {
        if case .wait = error { throw error }
        end()
      }
    }
  }

  private func end() {
    file?.close()
    file = nil
    group = nil
    buffer = nil
    phase = .done
  }

  private func advance() throws(Fault) {
    switch phase {
    case .content:
      guard let bytes = try read({ size in size <= SuperJournal.byteCountMax ? (0, Int(size)) : nil }, path) else { return end() }
      var start = 0
      for position in 0..<bytes.count where bytes[position] == 0 {
        children.append(bytes.slice(start, position - start).string)
        start = position + 1
      }
      close()
      #if PlantedBugs
        if PlantedBug.isActive(.askOneJournalOnly) { children = Array(children.suffix(1)) }
      #endif
      phase = .children
    case .children:
      guard let child = children.last else {
        let (environment, path) = (self.environment, self.path)
        try faulting { () throws(EngineError) in try environment.delete(path) }
        return end()
      }
      let environment = self.environment
      if try faulting({ () throws(EngineError) in try environment.exists(child) }) {
        phase = .child
      } else {
        children.removeLast()
      }
    case .child:
      guard let child = children.last else { return end() }
      let length = path.utf8.count + SuperJournal.markByteCount
      let bytes = try read({ size in size >= Int64(length) ? (size - Int64(length), length) : nil }, child)
      // It is still needed where a journal ends with its name.
      if let bytes, bytes.bigEndianUInt64(at: length - 8) == JournalFormat.magic,
        Int(bytes.bigEndianUInt32(at: length - 16)) == path.utf8.count,
        bytes.slice(0, path.utf8.count).string == path
      {
        return end()
      }
      close()
      children.removeLast()
      phase = .children
    case .done: break
    }
  }

  /// The bytes at the place that `place` chooses by the file's size; nil where there are none.
  private func read(
    _ place: (Int64) -> (offset: Int64, count: Int)?, _ path: String
  ) throws(Fault) -> ByteView? {
    if group == nil {
      let environment = self.environment
      let file = try faulting { () throws(EngineError) in try environment.open(path, .readOnly) }
      self.file = file
      let size = try faulting { () throws(EngineError) in try file.size() }
      guard let (offset, count) = place(size) else { return nil }
      let group = RequestGroup()
      let buffer = group.allocate(count)
      buffer.fill(0, count)
      group.add(queue.read(file, at: offset, into: buffer))
      self.group = group
      self.buffer = buffer
    }
    guard let group, let buffer else { return nil }
    try group.finish(queue)
    return buffer.readable
  }

  private func close() {
    file?.close()
    file = nil
    group = nil
    buffer = nil
  }
}
