// The one door to the world: files, locks, shared memory, clock and chance.
//
// No layer above asks the operating system for anything by itself. The environment is handed in, and the simulator
// hands in its own. Data moves through an `IOQueue`, which never blocks unless it is told to; names, sizes and locks
// are answered at once.

import ApusBase

public protocol Environment: AnyObject, Sendable {
  /// Which backend runs data requests ("io_uring", "posix", "memory", "simulation").
  var backendName: String { get }
  /// Why it is not the preferred one ("io_uring_setup: Operation not permitted (1)"); nil where it is.
  var backendReason: String? { get }

  /// Opens `path`, an absolute path as `fullPath` gives it.
  func open(_ path: String, _ mode: OpenMode) throws(EngineError) -> any File
  /// Opens a new file that has no name and vanishes when it is closed.
  func openTemporary() throws(EngineError) -> any File
  func exists(_ path: String) throws(EngineError) -> Bool
  /// Size in bytes, nil where there is no such file.
  func size(of path: String) throws(EngineError) -> Int64?
  /// Deletes a file; a missing one is no error. The directory is synced only by `syncDirectory`.
  func delete(_ path: String) throws(EngineError)
  /// Gives a file another name in one step; the directory is synced only by `syncDirectory`.
  /// - Parameter replaces: a file that has the name goes; else it is an error (SQLITE_CANTOPEN), and nothing has
  ///   happened. A file system that cannot do that at once takes two steps: who is stopped between them leaves the file
  ///   with both names.
  func rename(_ path: String, to newPath: String, replaces: Bool) throws(EngineError)
  /// Absolute path with links in its directory part resolved, so that two names of one file find one journal.
  func fullPath(_ path: String) throws(EngineError) -> String

  /// A queue for one connection; it is used by one thread at a time.
  func makeQueue() -> any IOQueue
  /// What the queues of a driver's thread may share; made and used by that thread. nil where there is no such thing.
  func makeHub(wakeUp: Waiter) -> (any IOHub)?

  /// Nanoseconds of a clock that never goes back; for time-outs.
  func monotonicNanoseconds() -> UInt64
  /// Milliseconds since 1970-01-01 00:00 UTC; for SQL's date and time functions.
  func wallClockMilliseconds() -> Int64
  /// Offset of local time from UTC in seconds at the given moment of the wall clock.
  func localTimeOffsetSeconds(atMilliseconds moment: Int64) -> Int
  func randomUInt64() -> UInt64
  /// Blocks the thread until the clock has reached `moment`; the synchronous driver calls it while it waits for a lock.
  func sleep(untilMonotonic moment: UInt64)
  /// The same; ends earlier where the alarm rings.
  func sleep(untilMonotonic moment: UInt64, or alarm: Alarm)
  /// Memory that was freed goes back to the system; takes some milliseconds.
  func trimMemory()
  /// Grows where the process is a fork of the one that opened what it finds in its memory: neither locks nor queues from before
  /// are its own.
  var forkCount: Int { get }
  #if PlantedBugs
    /// Whether the engine does here what is rare and always right: the simulator's, see `BuggifyPoint`.
    func fires(_ point: BuggifyPoint) -> Bool
    /// What the simulator's world has made small; the same for all who share its files.
    var smallLimits: SmallLimits { get }
  #endif
}

extension Environment {
  public func makeHub(wakeUp: Waiter) -> (any IOHub)? { nil }
  public func trimMemory() {}
  public var forkCount: Int { 0 }
  public func sleep(untilMonotonic moment: UInt64, or alarm: Alarm) { if !alarm.take() { sleep(untilMonotonic: moment) } }
  #if PlantedBugs
    public func fires(_ point: BuggifyPoint) -> Bool { false }
    public var smallLimits: SmallLimits { SmallLimits() }
  #endif
}

/// One way to the kernel for all queues of a driver's thread, and the place where that thread sleeps.
public protocol IOHub: AnyObject {
  /// Sends what the queues have prepared, and takes in what has completed; sleeps, where it may, until something has,
  /// the moment has come, or the waiter was woken.
  func turn(untilMonotonic moment: UInt64?, mayWait: Bool)
}

public struct OpenMode: Sendable {
  public var isWritable: Bool
  public var mayCreate: Bool
  public var isExclusive: Bool

  public init(isWritable: Bool, mayCreate: Bool, isExclusive: Bool = false) {
    self.isWritable = isWritable
    self.mayCreate = mayCreate
    self.isExclusive = isExclusive
  }

  public static let readOnly = OpenMode(isWritable: false, mayCreate: false)
  public static let readWrite = OpenMode(isWritable: true, mayCreate: false)
  public static let create = OpenMode(isWritable: true, mayCreate: true)
}

/// Tells two names of one file from two files: the key of what connections share.
public struct FileIdentity: Hashable, Sendable {
  public var device: UInt64
  public var inode: UInt64

  public init(device: UInt64, inode: UInt64) {
    self.device = device
    self.inode = inode
  }
}

public enum LockKind: Sendable { case shared, exclusive }

/// An open file. Closed by `close()`, or with its last reference. Used by one connection, or under its owner's lock.
public protocol File: AnyObject, Sendable {
  var path: String { get }
  var identity: FileIdentity { get }
  /// False where the file could be opened for reading only.
  var isWritable: Bool { get }
  func size() throws(EngineError) -> Int64
  func truncate(to size: Int64) throws(EngineError)
  /// Reserves disk space, so that later overwrites need no block allocation; may do nothing.
  func preallocate(to size: Int64)
  /// False where the name no longer leads to this file (renamed, unlinked or replaced while open).
  func isStillNamed() -> Bool
  /// True where the file has more names than one: emptying it under one of them empties it under all.
  func hasOtherNames() -> Bool

  /// Takes or converts a lock on a byte range, as `F_OFD_SETLK` does: at once or not at all.
  /// - Returns: false where another open file holds a lock that conflicts.
  func lock(_ kind: LockKind, at offset: Int64, length: Int64) throws(EngineError) -> Bool
  func unlock(at offset: Int64, length: Int64) throws(EngineError)
  /// True where another open file holds a lock that conflicts with `kind` on the range (`F_OFD_GETLK`).
  func isLockedByOther(_ kind: LockKind, at offset: Int64, length: Int64) throws(EngineError) -> Bool

  /// Opens the wal-index beside this database file (`path` + "-shm").
  func openSharedMemory(readOnly: Bool) throws(EngineError) -> any SharedMemory
  /// For a wal-index that can be read only and that nobody keeps: locks read mark 0, so that the log's frames are not copied
  /// into the database, until the object is closed.
  /// - Returns: nil where somebody keeps the wal-index by now, or there is no way to lock it.
  func guardSharedMemory() throws(EngineError) -> (any SharedMemory)?
  /// Makes direct reads possible, where that was not done yet.
  /// - Returns: why there are none; nil where they are taken.
  func directReadRefusal() -> String?
  func close()
}

/// Reads past the system's cache.
public enum DirectReads {
  /// Offsets and lengths are multiples of it; others go through the cache. No disk in use asks for more.
  public static let unitByteCount = 4096
}

extension File {
  public func hasOtherNames() -> Bool { false }
  public func directReadRefusal() -> String? { nil }
  public func guardSharedMemory() throws(EngineError) -> (any SharedMemory)? { nil }
}

/// The memory of the wal-index: `-shm` mapped, in regions of 32 KiB. Locks are OFD locks on SQLite's bytes 120 to 127;
/// byte 128 is the dead-man switch, which every opener holds shared and the first holds exclusively to truncate.
public protocol SharedMemory: AnyObject, Sendable {
  static var regionByteCount: Int { get }
  /// The region's memory, stable until `close`. nil where it does not exist and `extend` is false.
  func region(_ index: Int, extend: Bool) throws(EngineError) -> MutableByteView?
  /// Locks slots `slot ..< slot + count` (0 write, 1 checkpoint, 2 recover, 3 to 7 read marks 0 to 4).
  func lock(_ kind: LockKind, slot: Int, count: Int) throws(EngineError) -> Bool
  func unlock(slot: Int, count: Int) throws(EngineError)
  /// A full memory barrier between this process's view and the others'.
  func barrier()
  /// Deletes the `-shm` file too where `delete` is set.
  func close(delete: Bool)
}

public enum SyncKind: Sendable {
  /// Data and what is needed to read it back (`fdatasync`).
  case data
  /// Data and all metadata (`fsync`).
  case full
}

/// Requests in flight of one connection. Buffers stay valid and, for writes, unchanged until the request is taken.
public protocol IOQueue: AnyObject {
  /// Reads into all of `buffer`. The result is the number of bytes read, fewer only at the end of the file.
  func read(_ file: any File, at offset: Int64, into buffer: MutableByteView) -> Ticket
  /// Reads into the views, one behind the other, what is in memory anyway; a hint that takes no ticket and never waits.
  /// - Returns: how many bytes were read, from the front; nil where nothing was.
  func readAtOnce(_ file: any File, at offset: Int64, into views: [MutableByteView]) -> Int?
  /// The same for one view.
  func readAtOnce(_ file: any File, at offset: Int64, into view: MutableByteView) -> Int?
  /// As `read`, past the system's cache where that is possible.
  func readDirectly(_ file: any File, at offset: Int64, into buffer: MutableByteView) -> Ticket
  /// As `readAtOnce`, past the system's cache, and so only where the thread may wait for the disk.
  func readDirectlyAtOnce(_ file: any File, at offset: Int64, into views: [MutableByteView]) -> Int?
  /// Writes the views one behind the other from `offset` on. A short write is finished or fails: the result is the sum.
  func write(_ file: any File, at offset: Int64, from views: [ByteView]) -> Ticket
  /// Covers the writes that had completed before the call, and no others.
  func sync(_ file: any File, _ kind: SyncKind) -> Ticket
  /// Makes a directory's entries durable: after a file in it was created or deleted.
  func syncDirectory(of path: String) -> Ticket
  /// The result and the end of the ticket; nil while the request is in flight.
  func take(_ ticket: Ticket) -> IOResult?
  /// Rung by other connections of the process that this one waits for.
  var alarm: Alarm { get }
  /// Set by a driver that would do nothing but wait for what is asked for: `readAtOnce` may then go to the disk.
  var driverBlocks: Bool { get set }
  /// True while some request is in flight.
  var isBusy: Bool { get }
  /// Sends what was queued to the kernel, if anything was.
  func submit()
  /// Blocks until at least one request in flight has completed; returns at once where none is in flight.
  func waitForCompletion()
  /// From now on requests go through a hub, or, with nil, not any more. Called by the queue's owner; with a hub by its thread.
  func join(_ hub: (any IOHub)?)
  /// True where the hub's thread has nothing to do with the queue: nothing of it is in flight there.
  var isIdleInHub: Bool { get }
  /// True where something has completed since the last call, or nothing is awaited; always without a hub.
  func takeNews() -> Bool
  /// A descriptor that polls readable when completions are there (for a driver's event loop); nil where requests complete at once.
  var completionDescriptor: Int32? { get }
}

extension IOQueue {
  public func readAtOnce(_ file: any File, at offset: Int64, into views: [MutableByteView]) -> Int? { nil }
  public func readAtOnce(_ file: any File, at offset: Int64, into view: MutableByteView) -> Int? { nil }
  public func readDirectly(_ file: any File, at offset: Int64, into buffer: MutableByteView) -> Ticket {
    read(file, at: offset, into: buffer)
  }
  public func readDirectlyAtOnce(_ file: any File, at offset: Int64, into views: [MutableByteView]) -> Int? {
    readAtOnce(file, at: offset, into: views)
  }
  public func join(_ hub: (any IOHub)?) {}
  public var isIdleInHub: Bool { true }
  public func takeNews() -> Bool { true }
  public var driverBlocks: Bool {
    get { false }
    set {}
  }
}

public enum IOResult: Sendable {
  case done(Int)
  case failed(EngineError)
}
