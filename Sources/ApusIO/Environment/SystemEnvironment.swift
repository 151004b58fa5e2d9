// The real world: the operating system's files and clocks, with io_uring for data where the kernel grants it.

import ApusBase
import Glibc

public final class SystemEnvironment: Environment {
  public enum Backend: Sendable {
    /// io_uring; POSIX calls where it is refused.
    case automatic
    case posix
    /// As `automatic`; for those who want to say it.
    case ioUring
  }

  private enum Choice: Sendable {
    case undecided
    case ring
    case posix(reason: String?)
  }

  private let options: RingOptions
  private let temporaryDirectory: String?
  private let choice: ThreadMutex<Choice>

  /// - Parameters:
  ///   - temporaryDirectory: where temporary files go; by default the first of /var/tmp, /usr/tmp, /tmp and . that there is.
  ///   - options: how rings are set up; tests inject refusals here.
  public init(backend: Backend = .automatic, temporaryDirectory: String? = nil, options: RingOptions = RingOptions()) {
    self.options = options
    self.temporaryDirectory = temporaryDirectory
    switch backend {
    case .automatic, .ioUring: choice = ThreadMutex(.undecided)
    case .posix: choice = ThreadMutex(.posix(reason: "asked for"))
    }
    tzset()
  }

  // MARK: backend

  public var backendName: String { decidedReason().isRing ? "io_uring" : "posix" }
  public var backendReason: String? { decidedReason().reason }

  private func decidedReason() -> (isRing: Bool, reason: String?) {
    if case .undecided = choice.withLock({ $0 }) {
      // Nobody has needed a ring yet: see whether one would be granted.
      switch Ring.make(options) {
      case .success: break
      case .failure(let refusal): refuse(refusal.reason)
      }
    }
    return choice.withLock { choice in
      switch choice {
      case .posix(let reason): return (false, reason)
      case .undecided, .ring:
        choice = .ring
        return (true, nil)
      }
    }
  }

  /// A queue was refused its ring: from now on queues are POSIX queues. The first reason is kept.
  func refuse(_ reason: String) {
    choice.withLock { choice in
      if case .posix = choice { return }
      choice = .posix(reason: reason)
    }
  }

  public func makeQueue() -> any IOQueue {
    if case .posix = choice.withLock({ $0 }) { return PosixQueue() }
    return RingQueue(environment: self, options: options)
  }

  public func makeHub(wakeUp: Waiter) -> (any IOHub)? {
    if case .posix = choice.withLock({ $0 }) { return nil }
    // It belongs to the thread that makes it.
    var options = options
    options.queuesStayOnOneThread = true
    options.entryCount = max(options.entryCount, 256)
    switch Ring.make(options) {
    case .success(let ring): return RingHub(ring, wakeUp: wakeUp)
    case .failure(let refusal):
      if refusal.isPermanent { refuse(refusal.reason) }
      return nil
    }
  }

  // MARK: names

  public func open(_ path: String, _ mode: OpenMode) throws(EngineError) -> any File {
    var flags = O_NOFOLLOW | (mode.isWritable ? O_RDWR : O_RDONLY)
    if mode.mayCreate { flags |= O_CREAT }
    if mode.isExclusive { flags |= O_EXCL }
    var isWritable = mode.isWritable
    let owner = mode.mayCreate ? Self.ownerOfDatabase(path) : nil
    var fd = SystemCalls.open(path, flags, permissions: owner?.permissions ?? 0o644)
    if fd < 0, mode.isWritable, !mode.isExclusive, [EACCES, EPERM, EROFS].contains(Int32(-fd)) {
      let readOnly = SystemCalls.open(path, O_RDONLY | O_NOFOLLOW)
      if readOnly >= 0 {
        fd = readOnly
        isWritable = false
      }
    }
    if fd < 0 { throw SystemError.make(.cannotOpen, call: "open", errno: Int32(-fd), path: path) }
    let descriptor = Descriptor(Int32(fd), path: path)
    if let status = SystemCalls.status(descriptor.number).status {
      if status.isDirectory { throw SystemError.make(.cannotOpen, call: "open", errno: EISDIR, path: path) }
      if let owner, SystemCalls.isRoot(), status.user != owner.user || status.group != owner.group {
        SystemCalls.changeOwner(descriptor.number, user: owner.user, group: owner.group)
      }
    }
    return try PosixFile(descriptor, isWritable: isWritable, options)
  }

  /// A journal or a log belongs to whom its database belongs to, or its owner could not recover it.
  private static func ownerOfDatabase(_ path: String) -> SystemCalls.Status? {
    for suffix in ["-journal", "-wal"] where path.utf8.count > suffix.utf8.count && path.hasSuffix(suffix) {
      return SystemCalls.status(of: String(path.dropLast(suffix.count))).status
    }
    return nil
  }

  public func openTemporary() throws(EngineError) -> any File {
    let unnamed = O_RDWR | 0o20_000_000 | O_DIRECTORY  // O_TMPFILE, <fcntl.h>
    var failure = ENOENT, place = "."
    for directory in temporaryDirectory.map({ [$0] }) ?? ["/var/tmp", "/usr/tmp", "/tmp", "."] {
      guard SystemCalls.status(of: directory).status?.isDirectory == true else { continue }
      let fd = SystemCalls.open(directory, unnamed | O_EXCL, permissions: 0o600)
      if fd >= 0 {
        return try PosixFile(Descriptor(Int32(fd), path: "\(directory)/(temporary)"), isWritable: true)
      }
      // Not every file system has files without names.
      let name = "\(directory)/apus-\(String(randomUInt64(), radix: 36))"
      let named = SystemCalls.open(name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, permissions: 0o600)
      if named >= 0 {
        _ = SystemCalls.unlink(name)
        return try PosixFile(Descriptor(Int32(named), path: "\(directory)/(temporary)"), isWritable: true)
      }
      (failure, place) = (Int32(-named), directory)
    }
    throw SystemError.make(.cannotOpen, call: "open", errno: failure, path: place)
  }

  public func exists(_ path: String) throws(EngineError) -> Bool { try size(of: path) != nil }

  public func size(of path: String) throws(EngineError) -> Int64? {
    let (status, number) = SystemCalls.status(of: path)
    if let status { return status.size }
    if number == ENOENT || number == ENOTDIR { return nil }
    throw SystemError.make(.ioErrorAccess, call: "stat", errno: number, path: path)
  }

  public func delete(_ path: String) throws(EngineError) {
    let code = SystemCalls.unlink(path)
    if code < 0, code != -Int(ENOENT) {
      throw SystemError.make(.ioErrorDelete, call: "unlink", errno: Int32(-code), path: path)
    }
  }

  public func rename(_ path: String, to newPath: String, replaces: Bool) throws(EngineError) {
    if replaces {
      let code = SystemCalls.rename(path, newPath)
      if code < 0 { throw SystemError.make(.ioError, call: "rename", errno: Int32(-code), path: newPath) }
      return
    }
    let code = SystemCalls.renameUnlessTaken(path, newPath)
    if code >= 0 { return }
    guard [EINVAL, ENOSYS].contains(Int32(-code)) else {
      throw SystemError.make(.cannotOpen, call: "renameat2", errno: Int32(-code), path: newPath)
    }
    try renameInSteps(path, to: newPath)
  }

  /// For file systems that cannot rename without replacing. A second name for the file fails where the name is taken,
  /// also by who comes at the same time; who is stopped behind it leaves both names (`File.hasOtherNames`). Where files
  /// have one name only, a look must do.
  func renameInSteps(_ path: String, to newPath: String) throws(EngineError) {
    let linked = SystemCalls.link(path, newPath)
    if linked >= 0 { return try delete(path) }
    guard [EPERM, EOPNOTSUPP, ENOSYS].contains(Int32(-linked)) else {
      throw SystemError.make(.cannotOpen, call: "link", errno: Int32(-linked), path: newPath)
    }
    if try exists(newPath) { throw SystemError.make(.cannotOpen, call: "rename", errno: EEXIST, path: newPath) }
    try rename(path, to: newPath, replaces: true)
  }

  /// Links in the file's own name are resolved too, as SQLite does it: its journal lies beside the file, not the link.
  public func fullPath(_ path: String) throws(EngineError) -> String {
    let linksMax = 40  // as the kernel
    var name = path
    for _ in 0..<linksMax {
      let (whole, number) = SystemCalls.realPath(name)
      if let whole { return whole }
      if number != ENOENT { throw SystemError.make(.cannotOpen, call: "realpath", errno: number, path: name) }
      if let target = SystemCalls.linkTarget(name) {
        name = target.hasPrefix("/") ? target : "\(DirectorySync.parent(of: name))/\(target)"
        continue
      }
      // A file that is not there yet: its directory must be.
      let (directory, directoryNumber) = SystemCalls.realPath(DirectorySync.parent(of: name))
      guard let directory else {
        throw SystemError.make(.cannotOpen, call: "realpath", errno: directoryNumber, path: name)
      }
      let last = name.utf8.lastIndex(of: UInt8(ascii: "/")).map { String(name[name.utf8.index(after: $0)...]) } ?? name
      return directory == "/" ? "/\(last)" : "\(directory)/\(last)"
    }
    throw SystemError.make(.cannotOpen, call: "realpath", errno: ELOOP, path: path)
  }

  // MARK: clocks and chance

  public func monotonicNanoseconds() -> UInt64 { SystemCalls.nanoseconds(CLOCK_MONOTONIC) }
  public func wallClockMilliseconds() -> Int64 { Int64(SystemCalls.nanoseconds(CLOCK_REALTIME) / 1_000_000) }

  public func localTimeOffsetSeconds(atMilliseconds moment: Int64) -> Int {
    // Rounded down, so that moments before 1970 fall into the right second.
    let seconds = moment >= 0 ? moment / 1000 : -((-moment + 999) / 1000)
    return SystemCalls.localTimeOffsetSeconds(Int(seconds))
  }

  public func randomUInt64() -> UInt64 { SystemCalls.randomUInt64() }
  public func sleep(untilMonotonic moment: UInt64) { SystemCalls.sleep(untilMonotonic: moment) }
  public func sleep(untilMonotonic moment: UInt64, or alarm: Alarm) { alarm.wait(untilMonotonic: moment) }
  public func trimMemory() { SystemCalls.trimMemory() }
  public var forkCount: Int { ProcessForks.count }
}
