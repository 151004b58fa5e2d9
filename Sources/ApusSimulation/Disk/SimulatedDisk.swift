// The virtual disk: what reads see, what a power cut would leave, and the requests in between.
//
// Each file has two contents. `current` is what the page cache of an operating system would show: every completed
// write. `durable` is what the platter holds: only what a sync has covered. Between them stands the ordered list of
// changes that are complete but volatile. A power cut keeps an arbitrary, seeded subset of them, torn at sector
// boundaries, and of the writes still in flight. Names work alike: a created or deleted name is volatile until its
// directory is synced, and a cut keeps a prefix of the changes of names, as a journaling file system does.
//
// What a request meets on its way is in +Faults, the ends of power and of processes are in +Cut.

import ApusBase
import ApusIO

/// One completed change of a file that no sync has covered yet.
struct VolatileChange {
  enum Kind {
    case write(offset: Int, bytes: [UInt8])
    case truncate(size: Int)
  }

  var sequence: UInt64
  var kind: Kind
}

/// A file's contents, apart from its name.
final class DiskFile: @unchecked Sendable {
  let inode: UInt64
  let role: FileRole
  var current: [UInt8] = []
  var durable: [UInt8] = []
  var volatile: [VolatileChange] = []
  var locks: [DiskLock] = []
  /// Open files that will be told of a failed sync at their next one.
  var untoldHandles: Set<UInt64> = []
  /// What a failed sync was to make durable, and what counts as durable since: read, and perhaps gone with the power.
  var untrusted: [Range<Int>] = []
  /// A failed sync has left a hole on the platter: also where the view has been cut there since, until a sync has covered that.
  var hasHole = false

  init(inode: UInt64, role: FileRole) {
    self.inode = inode
    self.role = role
  }

  static func apply(_ kind: VolatileChange.Kind, to content: inout [UInt8]) {
    switch kind {
    case .write(let offset, let bytes):
      if content.count < offset {
        content.append(contentsOf: repeatElement(0, count: offset - content.count))
      }
      let end = offset + bytes.count
      if content.count <= end {
        content.removeLast(content.count - offset)
        content.append(contentsOf: bytes)
      } else {
        content.replaceSubrange(offset..<end, with: bytes)
      }
    case .truncate(let size):
      if content.count > size {
        content.removeLast(content.count - size)
      } else {
        content.append(contentsOf: repeatElement(0, count: size - content.count))
      }
    }
  }

  /// `range` is written anew, so that the next sync covers it.
  func trust(_ range: Range<Int>) {
    if untrusted.isEmpty { return }
    untrusted = untrusted.flatMap { old -> [Range<Int>] in
      if !old.overlaps(range) { return [old] }
      let before = old.lowerBound..<max(old.lowerBound, min(old.upperBound, range.lowerBound))
      let after = min(old.upperBound, max(old.lowerBound, range.upperBound))..<old.upperBound
      return [before, after].filter { !$0.isEmpty }
    }
  }
}

/// A lock that one open file holds on a byte range.
struct DiskLock {
  var owner: UInt64
  var kind: LockKind
  var range: Range<Int64>
}

/// A request that was submitted and has not completed.
struct DiskRequest {
  enum Kind {
    case read(DiskFile, offset: Int, buffer: MutableByteView)
    case write(DiskFile, offset: Int, views: [ByteView])
    case sync(DiskFile, upTo: UInt64, handle: UInt64)
    case syncDirectory(directory: String, upTo: UInt64)
  }

  var ticket: Ticket
  var queue: UInt64
  var kind: Kind
  var path: String
  var process: SimulatedProcess
  /// The connection that asked.
  var actor: Int
  /// Bytes that parts of it have transferred.
  var done = 0
  /// Its statement was dropped: nobody asks how it ends.
  var isAbandoned = false
  /// It does not complete before.
  var notBefore: UInt64 = 0
}

public final class SimulatedDisk: @unchecked Sendable {
  var names: [String: DiskFile] = [:]
  var durableNames: [String: DiskFile] = [:]
  var volatileNames: [(sequence: UInt64, path: String, file: DiskFile?)] = []
  var inFlight: [DiskRequest] = []
  /// Shared memory by database path; lost in a power cut.
  var sharedMemories: [String: SharedRegions] = [:]
  /// Who has which file open.
  var handles: [UInt64: OpenHandle] = [:]
  /// Grows with each power cut; handles of an older generation are dead.
  var generation: UInt64 = 1
  private(set) var completedCount: UInt64 = 0
  public var syncCount: UInt64 = 0
  /// By connection, how many syncs it has asked for.
  private(set) var syncsAsked: [Int: Int] = [:]
  /// The path of each file, and of each directory with a slash at its end, whose sync was asked for; nil: nobody wants to know.
  public var syncLog: [String]?
  /// Whether reads may find a part of what they want without a request.
  public var hasCache = false
  /// The unit that the disk writes atomically; a write of more bytes may be torn between sectors.
  var sectorByteCount = 512
  private let schedule: ChoiceStream
  let survivors: ChoiceStream
  private let cache: ChoiceStream
  public var trace = TraceHash()
  var faults: FaultInjector
  /// Set by the world; requests that are held back wait for it.
  var clock = VirtualClock()
  /// Inode << 32 | sector, of what cannot be read until it is written.
  var badSectors: Set<UInt64> = []
  #if PlantedBugs
    /// Every engine over these files has them.
    var smallLimits = SmallLimits()
  #endif

  /// Writes to logs that are complete, and by connection the number of its last one. What is all zeros is none: room for frames.
  private(set) var logWriteCount: UInt64 = 0
  private(set) var logWrites: [Int: UInt64] = [:]
  /// By connection the change that its last write to a log was.
  private var logChanges: [Int: (sequence: UInt64, process: SimulatedProcess)] = [:]
  /// Changes of logs that a failed sync was to cover; with the process that was told, where no other one will be.
  private var lostLogChanges: [UInt64: SimulatedProcess?] = [:]
  private var logWriter: Int?
  /// Since the last look something has become durable, or a name or the end of a file has changed: commits and recoveries hang on
  /// that.
  private(set) var isTurningPoint = false
  /// It is the name of a super-journal: several files turn with it.
  private(set) var isDecision = false
  /// Sees to `PRAGMA wal_size_limit`, where the world has one.
  var logLimit: LogLimit?
  /// The process is about to call the system, or looks at shared memory: others may go on first.
  var betweenCalls: ((SimulatedProcess) -> Void)?
  private var nextSequence: UInt64 = 1
  private var nextInode: UInt64 = 1
  private var nextOwner: UInt64 = 1
  var results: [Ticket: IOResult] = [:]
  private var nextTicket: UInt64 = 1
  /// Requests since somebody was last let go on, those to a disk without power included.
  private var requestCount = 0

  /// Where SHARED is locked: https://sqlite.org/fileformat2.html#the_lock_byte_page
  static let sharedFirst: Int64 = 0x4000_0002

  /// Most requests between two waits. Whoever makes more is in a loop that nobody could end.
  static let requestCountMax = 200_000

  public init(choices: ChoiceSource) {
    schedule = choices.stream("schedule")
    survivors = choices.stream("survivors")
    cache = choices.stream("cache")
    faults = FaultInjector(FaultRates(), choices)
  }

  func makeOwner() -> UInt64 {
    defer { nextOwner += 1 }
    return nextOwner
  }

  // MARK: names

  func file(named path: String) -> DiskFile? { names[path] }

  func create(_ path: String) -> DiskFile {
    let file = makeUnnamedFile(FileRole(path))
    setName(path, to: file)
    return file
  }

  func makeUnnamedFile(_ role: FileRole = .other) -> DiskFile {
    defer { nextInode += 1 }
    return DiskFile(inode: nextInode, role: role)
  }

  func setName(_ path: String, to file: DiskFile?) {
    names[path] = file
    volatileNames.append((takeSequence(), path, file))
    noteTurningPoint(path)
    trace.add(file == nil ? "unlink" : "create", path)
    if let file { trace.name(file.inode, path) }
  }

  func takeSequence() -> UInt64 {
    defer { nextSequence += 1 }
    return nextSequence
  }

  /// Bytes that all files together have.
  var usedByteCount: Int { names.values.reduce(0) { $0 + $1.current.count } }

  // MARK: requests

  /// Somebody is let go on, until he waits.
  func noteTurn() { requestCount = 0 }

  /// - Returns: false where the request is one too many.
  func admitRequest() -> Bool {
    requestCount += 1
    return !isEndless
  }

  /// The engine does not come back. From now on every request is answered as done, so that it does; that is what the run has found.
  var isEndless: Bool { requestCount > Self.requestCountMax }

  func submit(_ kind: DiskRequest.Kind, of path: String, from queue: UInt64, _ process: SimulatedProcess) -> Ticket {
    let ticket = Ticket(rawValue: nextTicket)
    nextTicket += 1
    var request = DiskRequest(
      ticket: ticket, queue: queue, kind: kind, path: path, process: process, actor: faults.actor)
    request.notBefore = drawDelay()
    switch kind {
    case .sync, .syncDirectory:
      syncsAsked[faults.actor, default: 0] += 1
      faults.noteSyncAsked(by: faults.actor)
    case .read, .write: break
    }
    inFlight.append(request)
    return ticket
  }

  /// What the imaginary kernel has of a range in its cache: all of it, nothing, or a seeded part from the beginning, as
  /// a call that must not wait finds it.
  /// - Returns: how many bytes; nil where there is nothing.
  func readCached(_ file: DiskFile, offset: Int, into views: [MutableByteView]) -> Int? {
    let wanted = views.reduce(0) { $0 + $1.count }
    let present = max(0, min(wanted, file.current.count - offset))
    var limit = 0
    switch cache.below(4, .cached) {
    case 0: break
    case 1: limit = cache.below(present + 1, .cachedLength)
    default: limit = present
    }
    if hasBadSector(file, offset..<offset + wanted) { limit = 0 }
    var done = 0
    for view in views where done < limit {
      let count = min(view.count, limit - done)
      view.copy(file.current, from: offset + done, count: count)
      done += count
    }
    trace.add("cached", file.inode, offset, done)
    return done > 0 ? done : nil
  }

  func noteLogWrite(of connection: Int, _ process: SimulatedProcess) {
    logWriteCount += 1
    logWriter = connection
    logWrites[connection] = logWriteCount
    logChanges[connection] = (nextSequence - 1, process)
  }

  /// A sync has failed that was to cover `lost`; `process` alone is told, or everybody.
  func noteLost(_ lost: [VolatileChange], onlyTo process: SimulatedProcess?) {
    for change in lost { lostLogChanges[change.sequence] = .some(process) }
  }

  /// A sync that was to cover what the connection has written to a log last has failed, and its process could know. No later sync
  /// makes up for it.
  func hasLostLogWrite(_ connection: Int) -> Bool {
    guard let change = logChanges[connection], let told = lostLogChanges[change.sequence] else { return false }
    return told == nil || told === change.process
  }

  /// The connection whose write to a log has just completed.
  func takeLogWriter() -> Int? {
    defer { logWriter = nil }
    return logWriter
  }

  /// - Parameter path: whose name has changed, or is durable now.
  func noteTurningPoint(_ path: String? = nil) {
    isTurningPoint = true
    if let path, FileRole(path) == .superJournal { isDecision = true }
  }

  func takeTurningPoint() -> (is: Bool, isDecision: Bool) {
    defer { (isTurningPoint, isDecision) = (false, false) }
    return (isTurningPoint, isDecision)
  }

  func takeResult(_ ticket: Ticket) -> IOResult? { results.removeValue(forKey: ticket) }

  func isCompleted(_ ticket: Ticket) -> Bool { !inFlight.contains { $0.ticket == ticket } }

  func hasInFlight(queue: UInt64) -> Bool { inFlight.contains { $0.queue == queue } }

  /// The connection's statement was dropped. What it has in flight is late, where requests may be: it lands when nobody thinks of
  /// it any more.
  func abandonRequests(of connection: Int) {
    for place in inFlight.indices where inFlight[place].actor == connection {
      inFlight[place].isAbandoned = true
      inFlight[place].notBefore = max(inFlight[place].notBefore, drawLateness())
    }
  }

  /// When the first of the requests that are held back may complete; nil where none is.
  var nextMoment: UInt64? { inFlight.map(\.notBefore).min() }

  /// Completes one request in flight, chosen by the schedule; of `queue` alone where one is given.
  /// - Parameter advancesClock: where all are held back, time goes on to the first of them.
  /// - Returns: false where there was none.
  @discardableResult
  func completeOne(queue: UInt64? = nil, advancesClock: Bool = true) -> Bool {
    if queue == nil { noteTurn() }
    func candidates() -> [Int] {
      inFlight.indices.filter {
        (queue == nil || inFlight[$0].queue == queue) && inFlight[$0].notBefore <= clock.monotonicNanoseconds
      }
    }
    var ready = candidates()
    if ready.isEmpty {
      let moments = inFlight.filter { queue == nil || $0.queue == queue }.map(\.notBefore)
      guard advancesClock, let first = moments.min() else { return false }
      clock.monotonicNanoseconds = max(clock.monotonicNanoseconds, first)
      ready = candidates()
    }
    let place = ready[schedule.below(ready.count, .request)]
    completedCount += 1
    advance(place)
    return true
  }

  func change(_ file: DiskFile, _ kind: VolatileChange.Kind) {
    DiskFile.apply(kind, to: &file.current)
    file.volatile.append(VolatileChange(sequence: takeSequence(), kind: kind))
    switch kind {
    case .write(let offset, let bytes):
      if file.role == .journal || file.role == .superJournal { noteTurningPoint() }
      file.trust(offset..<offset + bytes.count)
      trace.add("write", file.inode, offset, bytes.count)
      trace.add(bytes)
    case .truncate(let size):
      noteTurningPoint()
      file.trust(size..<Int.max)
      trace.add("truncate", file.inode, size, 0)
    }
  }

  static func directory(of path: String) -> String {
    guard let slash = path.lastIndex(of: "/") else { return "" }
    return String(path[..<slash])
  }

  /// Every file that a name or a volatile name leads to, in the order of their making.
  func allFiles() -> [DiskFile] {
    var byInode: [UInt64: DiskFile] = [:]
    for file in names.values { byInode[file.inode] = file }
    for file in durableNames.values { byInode[file.inode] = file }
    for change in volatileNames { if let file = change.file { byInode[file.inode] = file } }
    return byInode.values.sorted { $0.inode < $1.inode }
  }

  /// The file's header says that it has a log.
  func hasLog(_ path: String) -> Bool {
    guard let content = names[path]?.current, content.count > Self.readVersionOffset else { return false }
    return content[Self.readVersionOffset] == 2
  }

  private static let readVersionOffset = 19

  /// The content of a file as a reader sees it now; nil where there is none of that name.
  public func content(of path: String) -> [UInt8]? { names[path]?.current }

  /// What the platter holds under that name.
  func durableContent(of path: String) -> [UInt8]? { durableNames[path]?.durable }

  /// Puts a file on the disk, durable at once.
  public func install(_ path: String, _ content: [UInt8]) {
    let file = makeUnnamedFile(FileRole(path))
    file.current = content
    file.durable = content
    names[path] = file
    durableNames[path] = file
    trace.name(file.inode, path)
  }
}
