// Committed page images of one file, shared by the connections of one process.
//
// The key is page number and version; a version is a generation of the file's content and, in WAL mode, a frame:
//   - generation g, frame f > 0: what frame f of the log with the salts of g holds;
//   - generation g, frame 0: what the database file holds for a reader of g that finds no frame. No checkpoint changes
//     that while such a reader is there, and after it nobody asks for it. A log without a header has no salts: what
//     stands for it is forgotten when the last connection of the process closes the log, which may be deleted then;
//   - without a WAL a generation is a state of the file as its change counter tells.
// So commits and checkpoints leave the images valid. A restart of the log by this process renames them (the newest
// frame of each page becomes the file's content), and a commit through a rollback journal replaces the changed ones;
// only a change by another process makes them unreachable, and they leave by age.
//
// Eviction is SIEVE over a byte budget. Everything is under one lock, taken only when a connection's own table misses.
// `unsafe` lives here.

import ApusBase
import ApusIO
import Synchronization

final class FileCache: Sendable {
  struct Key: Hashable {
    var number: UInt32
    var version: UInt64

    func hash(into hasher: inout Hasher) { hasher.combine(mixed) }

    // The dictionary's own hash takes longer than everything else that is done here under the lock. Page numbers come from
    // the file, but no file can make them collide: the versions are ours, and a number is bound by the file's size.
    func _rawHashValue(seed: Int) -> Int { Int(truncatingIfNeeded: mixed ^ UInt64(truncatingIfNeeded: seed)) }

    private var mixed: UInt64 {
      let product = (version &* 0x9e37_79b9_7f4a_7c15 &+ UInt64(number)).multipliedFullWidth(by: 0xd6e8_feb8_6659_fd93)
      return product.high ^ product.low
    }
  }

  fileprivate struct State: Sendable {
    var images: [Key: PageImage] = [:]
    var newest: PageImage?
    var oldest: PageImage?
    var hand: PageImage?
    var byteCount = 0
    var byteCountMax: Int
    var nextGeneration: UInt32 = 1
    /// Salts of the log that generations stand for; only the newest are kept.
    var salts: [(salts: UInt64, generation: UInt32)] = []
    /// Connections that have the log open.
    var logUsers = 0
    /// The file's state without a log.
    var stamp: FileStamp?
    var stampGeneration: UInt32 = 0
    var users = 0
  }

  private struct RegistryKey: Hashable {
    var environment: ObjectIdentifier
    var file: FileIdentity
    /// A child has none of its parent's turns, locks and descriptors, though its memory says so.
    var forkCount: Int
  }

  private static let registry = ThreadMutex<[RegistryKey: FileCache]>([:])

  /// What open concurrent transactions are compared with.
  let history: CommitHistory
  /// Who reads from the log, and how large it may be.
  let logs = LogRegistry()
  private let state: ThreadMutex<State>
  private let registryKey: RegistryKey
  private let userCount = Atomic<Int>(0)

  /// Who writes to the file's log, and in which order.
  let commits: CommitQueue

  /// The connection that has committed to the log with syncs to come: 0 for none, `several` for more than one.
  private let syncingConnection = Atomic<Int>(0)
  private static let several = -1

  /// A connection is about to append a commit, and syncs at checkpoints.
  func noteSyncingCommit(of connection: Int) {
    let known = syncingConnection.load(ordering: .relaxed)
    if known == connection || known == Self.several { return }
    let (isFirst, _) = syncingConnection.compareExchange(expected: 0, desired: connection, ordering: .relaxed)
    if !isFirst { syncingConnection.store(Self.several, ordering: .relaxed) }
  }

  /// Whether somebody else in this process relies on the syncs of checkpoints, whoever makes them.
  func holdsSyncingCommits(ofOthersThan connection: Int) -> Bool {
    #if PlantedBugs
      if PlantedBug.isActive(.forgetSyncingCommits) { return false }
    #endif
    let known = syncingConnection.load(ordering: .relaxed)
    return known != 0 && known != connection
  }

  /// True where more than one connection uses the file.
  var isShared: Bool { connectionCount > 1 }
  /// Connections of this process that use the file.
  var connectionCount: Int { userCount.load(ordering: .relaxed) }

  private init(_ key: RegistryKey, byteCountMax: Int, noteByteCountMax: Int) {
    registryKey = key
    history = CommitHistory(byteCountMax: noteByteCountMax)
    commits = CommitQueue(history)
    state = ThreadMutex(State(byteCountMax: byteCountMax))
  }

  deinit {
    state.withLock { state in
      for image in state.images.values { image.release() }
    }
  }

  private static func noteByteCountMax(_ environment: any Environment) -> Int {
    #if PlantedBugs
      if let small = environment.smallLimits.noteByteCount { return small }
    #endif
    return CommitHistory.byteCountMax
  }

  /// The cache of a file; `close` must follow.
  static func open(_ environment: any Environment, _ file: FileIdentity, byteCountMax: Int) -> FileCache {
    let key = RegistryKey(environment: ObjectIdentifier(environment), file: file, forkCount: environment.forkCount)
    return registry.withLock { caches in
      let cache = caches[key] ?? FileCache(key, byteCountMax: byteCountMax, noteByteCountMax: noteByteCountMax(environment))
      caches[key] = cache
      cache.state.withLock { state in
        state.users += 1
        cache.userCount.store(state.users, ordering: .relaxed)
        state.byteCountMax = max(state.byteCountMax, byteCountMax)
      }
      return cache
    }
  }

  /// The last user's close drops the images.
  func close() {
    FileCache.registry.withLock { caches in
      let users = state.withLock { state in
        state.users -= 1
        userCount.store(state.users, ordering: .relaxed)
        return state.users
      }
      if users == 0 { caches[registryKey] = nil }
    }
  }

  // MARK: Generations

  /// A connection has opened the log. What commits there need not change the header bytes that tell states of the file apart: when
  /// it is read without a log again, its images are others, whatever these bytes say.
  func joinLog() {
    state.withLock { state in
      state.logUsers += 1
      #if PlantedBugs
        if PlantedBug.isActive(.keepStampBesideLog) { return }
      #endif
      state.stamp = nil
    }
  }

  /// A connection has closed the log. With the last one it may be deleted, and another one made: a log without a header has no
  /// salts that tell it from the one before, and the file may have got all that stood there.
  func leaveLog() {
    let isLast = state.withLock { state in
      state.logUsers -= 1
      return state.logUsers == 0
    }
    if isLast { commits.close() }
    state.withLock { state in
      #if PlantedBugs
        if PlantedBug.isActive(.keepEmptyLogImages) { return }
      #endif
      if state.logUsers == 0 { state.salts.removeAll { $0.salts == 0 } }
    }
  }

  /// A connection closes the log that has not come to read it. It may have opened it for the commits of all in the process: where
  /// nobody else has it open, they must not go on with what may be deleted next.
  func leaveLogUnread() {
    let isUnused = state.withLock { $0.logUsers == 0 }
    if isUnused { commits.close() }
  }

  /// The generation of a log's salts.
  func generation(ofSalts salts: UInt64) -> UInt32 {
    state.withLock { state in
      if let known = state.salts.last(where: { $0.salts == salts }) { return known.generation }
      return state.addGeneration(salts)
    }
  }

  /// The generation of the file as it is without a log.
  func generation(ofStamp stamp: FileStamp) -> UInt32 {
    state.withLock { state in
      if state.stamp != stamp {
        state.stamp = stamp
        state.stampGeneration = state.nextGeneration
        state.nextGeneration += 1
      }
      return state.stampGeneration
    }
  }

  /// The log started again with new salts after everything was copied to the file: images of the old generation whose
  /// frame is the newest of their page (`newestFrame` says) are now the file's content.
  func restart(from old: UInt32, toSalts salts: UInt64, newestFrame: (UInt32) -> UInt32) -> UInt32 {
    state.withLock { state in
      let generation = state.addGeneration(salts)
      var next = state.oldest
      while let image = next {
        unsafe next = image.header.pointee.newer.map { unsafe PageImage($0) }
        let version = unsafe image.header.pointee.version
        #if PlantedBugs
          let isBlind = PlantedBug.isActive(.renameStaleImages)
        #else
          let isBlind = false
        #endif
        if UInt32(version >> 32) != old { continue }
        if newestFrame(image.number) != UInt32(truncatingIfNeeded: version), !isBlind { continue }
        let renamed = Key(number: image.number, version: UInt64(generation) << 32)
        if state.images[renamed] != nil { continue }
        state.images[Key(number: image.number, version: version)] = nil
        unsafe image.header.pointee.version = renamed.version
        state.images[renamed] = image
      }
      return generation
    }
  }

  /// A commit through the rollback journal, under the EXCLUSIVE lock: the file's state has another stamp, and the
  /// images of the changed pages follow by `insert(replacing:)`.
  func restamp(_ stamp: FileStamp) {
    state.withLock { state in state.stamp = stamp }
  }

  // MARK: Images

  /// The image with a reference for the caller.
  func find(_ number: UInt32, _ version: UInt64) -> PageImage? {
    state.withLock { state in
      guard let image = state.images[Key(number: number, version: version)] else { return nil }
      unsafe image.header.pointee.wasVisited = true
      image.retain()
      return image
    }
  }

  /// Adds a committed image; the caller keeps its own reference.
  func insert(_ image: PageImage, version: UInt64, replacing: Bool = false) {
    state.withLock { state in
      let key = Key(number: image.number, version: version)
      if let old = state.images[key] {
        if !replacing || old == image { return }
        state.remove(old)
      }
      unsafe image.header.pointee.version = version
      state.add(image, key)
      state.evict()
    }
  }

  /// Drops a page's image, after a commit that removed the page.
  func remove(_ number: UInt32, _ version: UInt64) {
    state.withLock { state in
      if let old = state.images[Key(number: number, version: version)] { state.remove(old) }
    }
  }

  var byteCount: Int { state.withLock { $0.byteCount } }

  /// Drops the images that no connection has in its table: who needs one reads it again.
  /// - Returns: their bytes.
  func shrink() -> Int {
    state.withLock { state in
      let before = state.byteCount
      var next = state.oldest
      while let image = next {
        next = unsafe image.header.pointee.newer.map { unsafe PageImage($0) }
        if image.isUnique { state.remove(image) }
      }
      if state.images.isEmpty { state.images = [:] }
      return before - state.byteCount
    }
  }
}

/// What tells one state of a database file from another without a log: header bytes 24 to 39.
struct FileStamp: Equatable, Sendable {
  var changeCounterAndPageCount: UInt64
  var freelist: UInt64

  init(changeCounterAndPageCount: UInt64, freelist: UInt64) {
    self.changeCounterAndPageCount = changeCounterAndPageCount
    self.freelist = freelist
  }

  /// As page 1, or the header alone, has it.
  init(_ header: ByteView) {
    self.init(changeCounterAndPageCount: header.bigEndianUInt64(at: 24), freelist: header.bigEndianUInt64(at: 32))
  }
}

extension FileCache.State {
  fileprivate mutating func addGeneration(_ newSalts: UInt64) -> UInt32 {
    let generation = nextGeneration
    nextGeneration += 1
    salts.append((newSalts, generation))
    if salts.count > 8 { salts.removeFirst() }
    return generation
  }

  fileprivate mutating func add(_ image: PageImage, _ key: FileCache.Key) {
    image.retain()
    images[key] = image
    unsafe image.header.pointee.wasVisited = false
    unsafe image.header.pointee.newer = nil
    unsafe image.header.pointee.older = newest?.header
    if let first = newest { unsafe first.header.pointee.newer = image.header } else { oldest = image }
    newest = image
    byteCount += image.byteCount + PageImage.headerByteCount
  }

  fileprivate mutating func remove(_ image: PageImage) {
    let newer = unsafe image.header.pointee.newer.map { unsafe PageImage($0) }
    let older = unsafe image.header.pointee.older.map { unsafe PageImage($0) }
    if hand == image { hand = newer }
    if let newer { unsafe newer.header.pointee.older = older?.header } else { newest = older }
    if let older { unsafe older.header.pointee.newer = newer?.header } else { oldest = newer }
    images[FileCache.Key(number: image.number, version: unsafe image.header.pointee.version)] = nil
    byteCount -= image.byteCount + PageImage.headerByteCount
    image.release()
  }

  fileprivate mutating func evict() {
    while byteCount > byteCountMax, let image = hand ?? oldest {
      hand = unsafe image.header.pointee.newer.map { unsafe PageImage($0) }
      if unsafe image.header.pointee.wasVisited {
        unsafe image.header.pointee.wasVisited = false
      } else {
        remove(image)
      }
    }
  }
}
