// An environment that photographs its files before every request: as a killed process leaves them, and as a power cut
// does that loses everything no sync covered.

import ApusBase
import ApusIO
import Synchronization

final class CrashWorld: Environment {
  typealias Files = [String: [UInt8]]

  struct Photograph {
    var files: Files
    /// How many commits were acknowledged when it was taken.
    var acknowledged: Int
    var isPowerCut: Bool
  }

  private struct State {
    var durable: Files = [:]
    /// Synced contents of files whose names are not durable yet.
    var content: Files = [:]
    var photographs: [Photograph] = []
    var acknowledged = 0
    var names: Set<String> = []
  }

  let base: MemoryEnvironment
  private let state = Mutex(State())

  init(seed: UInt64) { base = MemoryEnvironment(seed: seed) }

  var photographs: [Photograph] { state.withLock { $0.photographs } }
  func acknowledge() { state.withLock { $0.acknowledged += 1 } }

  private func visible(_ names: Set<String>) -> Files {
    var files: Files = [:]
    for name in names { if let bytes = base.contents(of: name) { files[name] = bytes } }
    return files
  }

  func photograph() {
    state.withLock { state in
      let kill = Photograph(files: visible(state.names), acknowledged: state.acknowledged, isPowerCut: false)
      let cut = Photograph(files: state.durable, acknowledged: state.acknowledged, isPowerCut: true)
      for photo in [kill, cut] {
        if let last = state.photographs.last(where: { $0.isPowerCut == photo.isPowerCut }), last.files == photo.files,
          last.acknowledged == photo.acknowledged
        {
          continue
        }
        state.photographs.append(photo)
      }
    }
  }

  func synced(_ path: String) {
    state.withLock { state in
      guard let bytes = base.contents(of: path) else { return }
      state.content[path] = bytes
      if state.durable[path] != nil { state.durable[path] = bytes }
    }
  }

  func syncedDirectory() {
    state.withLock { state in
      for name in state.names {
        if base.contents(of: name) == nil {
          state.durable[name] = nil
        } else if state.durable[name] == nil {
          state.durable[name] = state.content[name] ?? []
        }
      }
    }
  }

  /// What is there now is durable: the world before the test's crashes.
  func settle() {
    state.withLock { state in
      state.durable = visible(state.names)
      state.content = state.durable
      state.photographs = []
    }
  }

  var backendName: String { base.backendName }
  var backendReason: String? { nil }
  func open(_ path: String, _ mode: OpenMode) throws(EngineError) -> any File {
    photograph()
    state.withLock { _ = $0.names.insert(path) }
    return try base.open(path, mode)
  }
  func openTemporary() throws(EngineError) -> any File { try base.openTemporary() }
  func exists(_ path: String) throws(EngineError) -> Bool { try base.exists(path) }
  func size(of path: String) throws(EngineError) -> Int64? { try base.size(of: path) }
  func delete(_ path: String) throws(EngineError) {
    photograph()
    try base.delete(path)
    photograph()
  }
  func rename(_ path: String, to newPath: String, replaces: Bool) throws(EngineError) { throw EngineError(.ioError) }
  func fullPath(_ path: String) throws(EngineError) -> String { try base.fullPath(path) }
  func makeQueue() -> any IOQueue { CrashQueue(self) }
  func monotonicNanoseconds() -> UInt64 { base.monotonicNanoseconds() }
  func wallClockMilliseconds() -> Int64 { base.wallClockMilliseconds() }
  func localTimeOffsetSeconds(atMilliseconds moment: Int64) -> Int { 0 }
  func randomUInt64() -> UInt64 { base.randomUInt64() }
  func sleep(untilMonotonic moment: UInt64) { base.sleep(untilMonotonic: moment) }
}

final class CrashQueue: IOQueue {
  let alarm = Alarm()
  private let world: CrashWorld
  private let base: any IOQueue

  init(_ world: CrashWorld) {
    self.world = world
    base = world.base.makeQueue()
  }

  func read(_ file: any File, at offset: Int64, into buffer: MutableByteView) -> Ticket {
    base.read(file, at: offset, into: buffer)
  }

  /// A write's halves are visible one after the other: a crash may tear it.
  func write(_ file: any File, at offset: Int64, from views: [ByteView]) -> Ticket {
    world.photograph()
    let half = views.count / 2
    if half > 0 {
      let first = base.write(file, at: offset, from: Array(views[..<half]))
      while base.take(first) == nil { base.waitForCompletion() }
      world.photograph()
    }
    return base.write(file, at: offset, from: views)
  }

  func sync(_ file: any File, _ kind: SyncKind) -> Ticket {
    world.photograph()
    world.synced(file.path)
    return base.sync(file, kind)
  }

  func syncDirectory(of path: String) -> Ticket {
    world.photograph()
    world.syncedDirectory()
    return base.syncDirectory(of: path)
  }

  func take(_ ticket: Ticket) -> IOResult? { base.take(ticket) }
  var isBusy: Bool { base.isBusy }
  func submit() { base.submit() }
  func waitForCompletion() { base.waitForCompletion() }
  var completionDescriptor: Int32? { nil }
}
