// A world in memory: files, locks, shared memory, a clock that moves only when somebody sleeps or looks, and seeded
// chance. For tests: the same calls give the same answers. It may be used from several threads.

import ApusBase
import Synchronization

public final class MemoryEnvironment: Environment {
  struct State {
    var nodes: [String: MemoryNode] = [:]
    var inodeCount: UInt64 = 0
    var clock: UInt64 = 1_000_000_000
    var random: SeededRandom
  }

  /// What a read finds in the imaginary kernel's cache, so that it needs no request.
  public enum CacheHits: Sendable {
    case never, always
    /// A seeded part of it, from its beginning.
    case sometimes
  }

  private let state: ThreadMutex<State>
  /// False: requests complete in seeded order, one at each `waitForCompletion`, as on a slow disk.
  public let completesAtOnce: Bool
  public let cacheHits: CacheHits
  private let cacheHitBytes = Atomic<Int>(0)
  private let fileByteCountMax: Int64
  private let openFileCount = Atomic<Int>(0)
  private let openFileCountMax: Int
  /// 2026-01-01 00:00 UTC.
  private static let wallClockStart: Int64 = 1_767_225_600_000

  /// - Parameters:
  ///   - fileByteCountMax: where it would be longer, a file gives SQLITE_FULL.
  ///   - openFileCountMax: one more open file gives SQLITE_CANTOPEN.
  public init(
    seed: UInt64 = 1, completesAtOnce: Bool = true, cacheHits: CacheHits = .never, fileByteCountMax: Int64 = 1 << 32,
    openFileCountMax: Int = .max
  ) {
    state = ThreadMutex(State(random: SeededRandom(seed: seed)))
    self.completesAtOnce = completesAtOnce
    self.cacheHits = cacheHits
    self.fileByteCountMax = fileByteCountMax
    self.openFileCountMax = openFileCountMax
  }

  public var backendName: String { "memory" }
  public var backendReason: String? { nil }

  public func makeQueue() -> any IOQueue {
    MemoryQueue(random: SeededRandom(seed: randomUInt64()), environment: self)
  }

  func countCacheHit(_ byteCount: Int) { cacheHitBytes.add(byteCount, ordering: .relaxed) }

  /// Bytes that came from the imaginary cache, by calls for several pages too. For tests.
  public var cacheHitByteCount: Int { cacheHitBytes.load(ordering: .relaxed) }

  // MARK: names

  public func open(_ path: String, _ mode: OpenMode) throws(EngineError) -> any File {
    enum Outcome {
      case opened(MemoryNode)
      case missing
      case present
    }
    if openFileCount.load(ordering: .relaxed) >= openFileCountMax {
      throw EngineError(.cannotOpen, object: path, cause: "open: the environment has \(openFileCountMax) open files")
    }
    let outcome = state.withLock { state -> Outcome in
      if let node = state.nodes[path] { return mode.isExclusive && mode.mayCreate ? .present : .opened(node) }
      guard mode.mayCreate else { return .missing }
      let node = makeNode(&state)
      state.nodes[path] = node
      return .opened(node)
    }
    switch outcome {
    case .opened(let node): return MemoryFile(node, path: path, isWritable: mode.isWritable, environment: self)
    case .missing:
      throw EngineError(.cannotOpen, object: path, cause: "open: no such file in this memory environment")
    case .present: throw EngineError(.cannotOpen, object: path, cause: "open: the file exists already")
    }
  }

  public func openTemporary() throws(EngineError) -> any File {
    let node = state.withLock { makeNode(&$0) }
    return MemoryFile(node, path: "(temporary)", isWritable: true, environment: self)
  }

  func countOpenFiles(_ change: Int) { openFileCount.add(change, ordering: .relaxed) }

  private func makeNode(_ state: inout State) -> MemoryNode {
    state.inodeCount += 1
    return MemoryNode(FileIdentity(device: 0, inode: state.inodeCount), byteCountMax: fileByteCountMax)
  }

  func node(at path: String) -> MemoryNode? { state.withLock { $0.nodes[path] } }

  public func exists(_ path: String) throws(EngineError) -> Bool { node(at: path) != nil }
  public func size(of path: String) throws(EngineError) -> Int64? { node(at: path).map { Int64($0.byteCount) } }
  public func delete(_ path: String) throws(EngineError) { state.withLock { _ = $0.nodes.removeValue(forKey: path) } }

  public func rename(_ path: String, to newPath: String, replaces: Bool) throws(EngineError) {
    let isDone = state.withLock { state -> Bool in
      guard let node = state.nodes[path], replaces || state.nodes[newPath] == nil else { return false }
      state.nodes[path] = nil
      state.nodes[newPath] = node
      return true
    }
    if !isDone { throw EngineError(.cannotOpen, object: newPath, cause: "rename: no such file, or the name is taken") }
  }

  public func fullPath(_ path: String) throws(EngineError) -> String { path.hasPrefix("/") ? path : "/\(path)" }

  /// All bytes of a file; nil where there is none. For tests.
  public func contents(of path: String) -> [UInt8]? { node(at: path)?.contents }

  /// The names of all files, sorted. For tests.
  public var paths: [String] { state.withLock { $0.nodes.keys.sorted() } }

  /// Puts a file there, or replaces its bytes. For tests.
  public func setContents(of path: String, to bytes: [UInt8]) {
    let node = state.withLock { state -> MemoryNode in
      if let node = state.nodes[path] { return node }
      let node = makeNode(&state)
      state.nodes[path] = node
      return node
    }
    node.replace(bytes)
  }

  // MARK: clock and chance

  /// Moves on by a microsecond at each look, so that loops that wait for a moment end.
  public func monotonicNanoseconds() -> UInt64 {
    state.withLock { state in
      state.clock &+= 1_000
      return state.clock
    }
  }

  public func wallClockMilliseconds() -> Int64 {
    Self.wallClockStart &+ Int64(state.withLock { $0.clock } / 1_000_000)
  }

  public func localTimeOffsetSeconds(atMilliseconds moment: Int64) -> Int { 0 }
  public func randomUInt64() -> UInt64 { state.withLock { $0.random.next() } }

  /// Moves the clock to `moment` and returns.
  public func sleep(untilMonotonic moment: UInt64) {
    state.withLock { state in state.clock = max(state.clock, moment) }
  }
}
