// The virtual disk: what reads see, what a power cut would leave, and the requests in between.
//
// Each file has two contents. `current` is what the page cache of an operating system would show: every completed
// write. `durable` is what the platter holds: only what a sync has covered. Between them stands the ordered list of
// changes that are complete but volatile. A power cut keeps an arbitrary, seeded subset of them, torn at sector
// boundaries, and of the writes still in flight. Names work alike: a created or deleted name is volatile until its
// directory is synced, and a cut keeps a prefix of the changes of names, as a journaling file system does.

import ApusBase
import ApusIO

/// The unit that a disk writes atomically; a write of more bytes may be torn between sectors.
let sectorByteCount = 512

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
  var current: [UInt8] = []
  var durable: [UInt8] = []
  var volatile: [VolatileChange] = []
  var locks: [DiskLock] = []

  init(inode: UInt64) { self.inode = inode }

  static func apply(_ kind: VolatileChange.Kind, to content: inout [UInt8]) {
    switch kind {
    case .write(let offset, let bytes):
      if content.count < offset + bytes.count {
        content.append(contentsOf: repeatElement(0, count: offset + bytes.count - content.count))
      }
      content.replaceSubrange(offset..<offset + bytes.count, with: bytes)
    case .truncate(let size):
      if content.count > size {
        content.removeLast(content.count - size)
      } else {
        content.append(contentsOf: repeatElement(0, count: size - content.count))
      }
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
    case sync(DiskFile, upTo: UInt64)
    case syncDirectory(directory: String, upTo: UInt64)
  }

  var ticket: Ticket
  var queue: UInt64
  var kind: Kind
}

public final class SimulatedDisk: @unchecked Sendable {
  var names: [String: DiskFile] = [:]
  var durableNames: [String: DiskFile] = [:]
  var volatileNames: [(sequence: UInt64, path: String, file: DiskFile?)] = []
  var inFlight: [DiskRequest] = []
  /// Shared memory by database path; lost in a power cut.
  var sharedMemories: [String: SharedRegions] = [:]
  /// Grows with each power cut; handles of an older generation are dead.
  private(set) var generation: UInt64 = 1
  private(set) var completedCount: UInt64 = 0
  public private(set) var syncCount: UInt64 = 0
  /// The path of each file, and of each directory with a slash at its end, whose sync was asked for; nil: nobody wants to know.
  public var syncLog: [String]?
  /// Whether reads may find a part of what they want without a request.
  public var hasCache = false
  private let schedule: ChoiceStream
  private let survivors: ChoiceStream
  private let cache: ChoiceStream
  public var trace = TraceHash()

  private var nextSequence: UInt64 = 1
  private var nextInode: UInt64 = 1
  private var nextOwner: UInt64 = 1
  private var results: [Ticket: IOResult] = [:]
  private var nextTicket: UInt64 = 1

  public init(choices: ChoiceSource) {
    schedule = choices.stream("schedule")
    survivors = choices.stream("survivors")
    cache = choices.stream("cache")
  }

  func makeOwner() -> UInt64 {
    defer { nextOwner += 1 }
    return nextOwner
  }

  // MARK: names

  func file(named path: String) -> DiskFile? { names[path] }

  func create(_ path: String) -> DiskFile {
    let file = makeUnnamedFile()
    setName(path, to: file)
    return file
  }

  func makeUnnamedFile() -> DiskFile {
    defer { nextInode += 1 }
    return DiskFile(inode: nextInode)
  }

  func setName(_ path: String, to file: DiskFile?) {
    names[path] = file
    volatileNames.append((takeSequence(), path, file))
    trace.add(file == nil ? "unlink" : "create", path)
  }

  func takeSequence() -> UInt64 {
    defer { nextSequence += 1 }
    return nextSequence
  }

  // MARK: requests

  func submit(_ kind: DiskRequest.Kind, from queue: UInt64) -> Ticket {
    let ticket = Ticket(rawValue: nextTicket)
    nextTicket += 1
    inFlight.append(DiskRequest(ticket: ticket, queue: queue, kind: kind))
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
    var done = 0
    for view in views where done < limit {
      let count = min(view.count, limit - done)
      for index in 0..<count { view[index] = file.current[offset + done + index] }
      done += count
    }
    trace.add("cached", file.inode, offset, done)
    return done > 0 ? done : nil
  }

  func takeResult(_ ticket: Ticket) -> IOResult? { results.removeValue(forKey: ticket) }

  func isCompleted(_ ticket: Ticket) -> Bool { !inFlight.contains { $0.ticket == ticket } }

  func hasInFlight(queue: UInt64) -> Bool { inFlight.contains { $0.queue == queue } }

  /// Completes one request in flight, chosen by the schedule; of `queue` alone where one is given.
  /// - Returns: false where there was none.
  @discardableResult
  func completeOne(queue: UInt64? = nil) -> Bool {
    let candidates = inFlight.indices.filter { queue == nil || inFlight[$0].queue == queue }
    if candidates.isEmpty { return false }
    let request = inFlight.remove(at: candidates[schedule.below(candidates.count, .request)])
    completedCount += 1
    results[request.ticket] = .done(perform(request.kind))
    return true
  }

  private func perform(_ kind: DiskRequest.Kind) -> Int {
    switch kind {
    case .read(let file, let offset, let buffer):
      let count = max(0, min(buffer.count, file.current.count - offset))
      for index in 0..<count { buffer[index] = file.current[offset + index] }
      trace.add("read", file.inode, offset, count)
      return count
    case .write(let file, let offset, let views):
      // The disk reads the caller's memory now, at completion: a buffer given back too early shows.
      var bytes: [UInt8] = []
      for view in views { bytes.append(contentsOf: view.array) }
      change(file, .write(offset: offset, bytes: bytes))
      return bytes.count
    case .sync(let file, let upTo):
      syncCount += 1
      var kept: [VolatileChange] = []
      for change in file.volatile {
        if change.sequence <= upTo {
          DiskFile.apply(change.kind, to: &file.durable)
        } else {
          kept.append(change)
        }
      }
      file.volatile = kept
      trace.add("sync", file.inode, file.durable.count, kept.count)
      return 0
    case .syncDirectory(let directory, let upTo):
      syncCount += 1
      var kept: [(sequence: UInt64, path: String, file: DiskFile?)] = []
      for change in volatileNames {
        if change.sequence <= upTo && Self.directory(of: change.path) == directory {
          durableNames[change.path] = change.file
        } else {
          kept.append(change)
        }
      }
      volatileNames = kept
      trace.add("syncdir", directory)
      return 0
    }
  }

  func change(_ file: DiskFile, _ kind: VolatileChange.Kind) {
    DiskFile.apply(kind, to: &file.current)
    file.volatile.append(VolatileChange(sequence: takeSequence(), kind: kind))
    switch kind {
    case .write(let offset, let bytes):
      trace.add("write", file.inode, offset, bytes.count)
      trace.add(bytes)
    case .truncate(let size): trace.add("truncate", file.inode, size, 0)
    }
  }

  static func directory(of path: String) -> String {
    guard let slash = path.lastIndex(of: "/") else { return "" }
    return String(path[..<slash])
  }

  // MARK: the end of power

  /// How much of what was not synced a power cut keeps.
  public enum Survival: CaseIterable, Sendable { case nothing, everything, someTorn, prefix }

  /// Makes everything durable, as a clean unmount does: the state that a run starts from.
  public func settle() {
    while completeOne() {}
    for file in allFiles() {
      file.durable = file.current
      file.volatile = []
    }
    durableNames = names
    volatileNames = []
  }

  /// Cuts the power: what was not durable survives in part, as `survival` says; all handles die.
  public func cutPower(_ survival: Survival) {
    trace.add("cut", "\(survival)")
    var changes = allFiles().map { file in (file, file.volatile.map(\.kind)) }
    // A write in flight may have reached the platter or not.
    for request in inFlight {
      guard case .write(let file, let offset, let views) = request.kind else { continue }
      var bytes: [UInt8] = []
      for view in views { bytes.append(contentsOf: view.array) }
      if let index = changes.firstIndex(where: { $0.0 === file }) {
        changes[index].1.append(.write(offset: offset, bytes: bytes))
      }
    }
    for (file, kinds) in changes {
      let keptCount = survival == .prefix ? survivors.below(kinds.count + 1, .keptChanges) : kinds.count
      for kind in kinds.prefix(keptCount) {
        switch survival {
        case .nothing: break
        case .everything, .prefix: DiskFile.apply(kind, to: &file.durable)
        case .someTorn: applyTorn(kind, to: file)
        }
      }
      file.current = file.durable
      file.volatile = []
      file.locks = []
    }
    let keptNames =
      switch survival {
      case .nothing: 0
      case .everything: volatileNames.count
      case .someTorn, .prefix: survivors.below(volatileNames.count + 1, .keptNames)
      }
    for change in volatileNames.prefix(keptNames) { durableNames[change.path] = change.file }
    names = durableNames
    volatileNames = []
    inFlight = []
    results = [:]
    sharedMemories = [:]
    generation += 1
  }

  private func applyTorn(_ kind: VolatileChange.Kind, to file: DiskFile) {
    if survivors.oneIn(3, .losesChange) { return }
    guard case .write(let offset, let bytes) = kind, survivors.oneIn(2, .tears) else {
      DiskFile.apply(kind, to: &file.durable)
      return
    }
    var start = 0
    while start < bytes.count {
      let end = min(bytes.count, (offset + start) / sectorByteCount * sectorByteCount + sectorByteCount - offset)
      if !survivors.oneIn(2, .losesSector) {
        DiskFile.apply(.write(offset: offset + start, bytes: Array(bytes[start..<end])), to: &file.durable)
      }
      start = end
    }
  }

  /// Every file that a name or a volatile name leads to, in the order of their making.
  private func allFiles() -> [DiskFile] {
    var byInode: [UInt64: DiskFile] = [:]
    for file in names.values { byInode[file.inode] = file }
    for file in durableNames.values { byInode[file.inode] = file }
    for change in volatileNames { if let file = change.file { byInode[file.inode] = file } }
    return byInode.values.sorted { $0.inode < $1.inode }
  }

  /// The content of a file as a reader sees it now; nil where there is none of that name.
  public func content(of path: String) -> [UInt8]? { names[path]?.current }

  /// Puts a file on the disk, durable at once.
  public func install(_ path: String, _ content: [UInt8]) {
    let file = makeUnnamedFile()
    file.current = content
    file.durable = content
    names[path] = file
    durableNames[path] = file
  }
}
