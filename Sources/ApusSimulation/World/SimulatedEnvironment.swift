// One process's view of the virtual world: names, clock and chance, all from the seed.
// Several environments over one disk are several processes: they share files and wal-index, nothing else.

import ApusBase
import ApusIO

/// The clock of the virtual world; it moves only when the scheduler moves it.
public final class VirtualClock: @unchecked Sendable {
  public var monotonicNanoseconds: UInt64 = 1_000_000_000
  /// What the wall clock is off by: somebody sets it.
  public var wallOffsetMilliseconds: Int64 = 0
  /// 2026-01-01 00:00 UTC.
  public static let epochMilliseconds: Int64 = 1_767_225_600_000

  public init() {}
}

public final class SimulatedEnvironment: Environment, @unchecked Sendable {
  public let disk: SimulatedDisk
  public let clock: VirtualClock
  public let process = SimulatedProcess()
  private var random: SeededRandom
  #if PlantedBugs
    /// nil: no point fires.
    var buggify: Buggifier?
  #endif

  public init(disk: SimulatedDisk, clock: VirtualClock, seed: UInt64) {
    self.disk = disk
    self.clock = clock
    random = SeededRandom(seed: seed ^ 0xe11)
  }

  #if PlantedBugs
    public func fires(_ point: BuggifyPoint) -> Bool { buggify?.fires(point) ?? false }
    public var smallLimits: SmallLimits { disk.smallLimits }
  #endif

  public var backendName: String { "simulation" }
  public var backendReason: String? { nil }

  public func open(_ path: String, _ mode: OpenMode) throws(EngineError) -> any File {
    disk.betweenCalls?(process)
    if let existing = disk.file(named: path) {
      if mode.isExclusive { throw EngineError(.cannotOpen, object: path, cause: "open: File exists (17)") }
      try disk.checkCall(.open, path, existing)
      let isWritable = mode.isWritable && !disk.faults.isReadOnly
      if mode.isWritable, !isWritable { disk.faults.noteForAll(.readOnlyFileSystem) }
      return SimulatedFile(path: path, content: existing, isWritable: isWritable, disk: disk, process: process)
    }
    guard mode.mayCreate else {
      throw EngineError(.cannotOpen, object: path, cause: "open: No such file or directory (2)")
    }
    try disk.checkCall(.open, path, nil)
    try disk.checkCall(.create, path, nil)
    return SimulatedFile(path: path, content: disk.create(path), isWritable: true, disk: disk, process: process)
  }

  public func openTemporary() throws(EngineError) -> any File {
    try disk.checkCall(.open, "(temporary)", nil)
    return SimulatedFile(
      path: "(temporary)", content: disk.makeUnnamedFile(), isWritable: true, disk: disk, process: process)
  }

  public func exists(_ path: String) throws(EngineError) -> Bool {
    disk.betweenCalls?(process)
    return disk.file(named: path) != nil
  }

  public func size(of path: String) throws(EngineError) -> Int64? {
    disk.betweenCalls?(process)
    return disk.file(named: path).map { Int64($0.current.count) }
  }

  public func delete(_ path: String) throws(EngineError) {
    disk.betweenCalls?(process)
    guard let file = disk.file(named: path) else { return }
    try disk.checkCall(.delete, path, file)
    disk.setName(path, to: nil)
  }

  public func rename(_ path: String, to newPath: String, replaces: Bool) throws(EngineError) {
    guard let file = disk.file(named: path), replaces || disk.file(named: newPath) == nil else {
      throw EngineError(.cannotOpen, object: newPath, cause: "rename: No such file, or the name is taken")
    }
    disk.setName(newPath, to: file)
    disk.setName(path, to: nil)
  }

  public func fullPath(_ path: String) throws(EngineError) -> String { path.hasPrefix("/") ? path : "/" + path }

  public func makeQueue() -> any IOQueue { SimulatedQueue(disk: disk, process: process) }

  public func monotonicNanoseconds() -> UInt64 { clock.monotonicNanoseconds }

  public func wallClockMilliseconds() -> Int64 {
    VirtualClock.epochMilliseconds + Int64(clock.monotonicNanoseconds / 1_000_000) + clock.wallOffsetMilliseconds
  }

  public func localTimeOffsetSeconds(atMilliseconds moment: Int64) -> Int { 0 }

  public func randomUInt64() -> UInt64 { random.next() }

  public func sleep(untilMonotonic moment: UInt64) {
    clock.monotonicNanoseconds = max(clock.monotonicNanoseconds, moment)
  }
}

/// One connection's requests. They stay in flight until the scheduler, or a wait, completes them in seeded order.
final class SimulatedQueue: IOQueue {
  let alarm = Alarm()
  private let disk: SimulatedDisk
  private let process: SimulatedProcess
  private let identity: UInt64
  private let generation: UInt64

  init(disk: SimulatedDisk, process: SimulatedProcess) {
    self.disk = disk
    self.process = process
    identity = disk.makeOwner()
    generation = disk.generation
  }

  private var isAlive: Bool { generation == disk.generation && process.isAlive }

  deinit {
    // The owner frees its buffers next.
    if isAlive { while disk.completeOne(queue: identity) {} }
  }

  private func content(of file: any File) -> DiskFile? {
    guard isAlive, let file = file as? SimulatedFile, file.isAlive else { return nil }
    return file.content
  }

  private func submit(_ file: any File, _ kind: (DiskFile) -> DiskRequest.Kind) -> Ticket {
    guard disk.admitRequest(), let content = content(of: file) else { return Ticket(rawValue: 0) }
    return disk.submit(kind(content), of: file.path, from: identity, process)
  }

  func read(_ file: any File, at offset: Int64, into buffer: MutableByteView) -> Ticket {
    submit(file) { .read($0, offset: Int(offset), buffer: buffer) }
  }

  func readAtOnce(_ file: any File, at offset: Int64, into views: [MutableByteView]) -> Int? {
    guard disk.hasCache, let content = content(of: file) else { return nil }
    return disk.readCached(content, offset: Int(offset), into: views)
  }

  func readAtOnce(_ file: any File, at offset: Int64, into view: MutableByteView) -> Int? {
    readAtOnce(file, at: offset, into: [view])
  }

  func write(_ file: any File, at offset: Int64, from views: [ByteView]) -> Ticket {
    submit(file) { .write($0, offset: Int(offset), views: views) }
  }

  func sync(_ file: any File, _ kind: SyncKind) -> Ticket {
    let upTo = disk.takeSequence()
    disk.syncLog?.append(file.path)
    let handle = (file as? SimulatedFile)?.owner ?? 0
    return submit(file) { .sync($0, upTo: upTo, handle: handle) }
  }

  func syncDirectory(of path: String) -> Ticket {
    if !disk.admitRequest() || !isAlive { return Ticket(rawValue: 0) }
    let directory = SimulatedDisk.directory(of: path)
    disk.syncLog?.append(directory + "/")
    return disk.submit(
      .syncDirectory(directory: directory, upTo: disk.takeSequence()), of: directory, from: identity, process)
  }

  func take(_ ticket: Ticket) -> IOResult? {
    if !isAlive || ticket.rawValue == 0 {
      if disk.isEndless { return .done(0) }
      return .failed(EngineError(.ioError, cause: "the power is off"))
    }
    return disk.takeResult(ticket)
  }

  var isBusy: Bool { isAlive && disk.hasInFlight(queue: identity) }

  func submit() {}

  func waitForCompletion() {
    if isAlive { disk.completeOne(queue: identity) }
  }

  var completionDescriptor: Int32? { nil }
}
